"""Connections to servers, with their certificates verified."""

import os
import socket
import time
from dataclasses import dataclass

from genrewatch.sources.tuner.addresses import Reach, SocketAddress

CONNECT_TIMEOUT_S = 5.0
OPEN_TIMEOUT_S = 8.0
"""Limit for the answer of a server. The supervisor has the limit for the sound."""
BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


@dataclass(frozen=True, kw_only=True)
class Tls:
    """The rules for certificates."""

    verify: bool
    """Whether a certificate must be valid and name its host."""
    ca_file: str | None
    """A PEM file of the authorities to trust; None for the system's."""

    def wrap(self, connection: socket.socket, host: str) -> socket.socket:
        """Return the encrypted connection; OSError, with a line that names the host, for a wrong certificate."""
        import ssl  # 4 MB, for https only

        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except OSError as exc:
            raise OSError(f"ca_file {self.ca_file}: {exc.strerror or 'no certificates in it'}") from None
        if not self.verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            return context.wrap_socket(connection, server_hostname=host)
        except ssl.SSLCertVerificationError as exc:
            advice = "ca_file= names its authority, tls_verify=no accepts any"
            raise OSError(f"the certificate of {host} is not trusted: {exc.verify_message} ({advice})") from None
        except ssl.SSLError as exc:
            raise OSError(f"TLS with {host} failed: {(exc.reason or str(exc)).replace('_', ' ').lower()}") from None

    def bundle(self) -> str | None:
        """Return the file of authorities that ffmpeg needs named."""
        candidates = (self.ca_file, os.environ.get("SSL_CERT_FILE"), *BUNDLES)
        return next((path for path in candidates if path and os.path.isfile(path)), None)


@dataclass(frozen=True, kw_only=True)
class Access:
    """All that opening an address needs besides the address."""

    reach: Reach
    tls: Tls
    agent: str
    """User-Agent."""


def connect(addresses: list[SocketAddress]) -> socket.socket:
    """Connect to the first address that accepts; OSError of the last one."""
    error, deadline = OSError("no address"), time.monotonic() + OPEN_TIMEOUT_S
    for family, address in addresses:
        connection = socket.socket(family, socket.SOCK_STREAM)
        connection.settimeout(max(0.1, min(CONNECT_TIMEOUT_S, deadline - time.monotonic())))
        try:
            connection.connect(address)
        except OSError as exc:
            connection.close()
            error = exc
            continue
        connection.settimeout(OPEN_TIMEOUT_S)
        return connection
    raise error
