"""A certificate that no authority has signed, for a server that must not be trusted."""

import ssl
import subprocess
from pathlib import Path

from genrewatch_drill.servers.programs import require_program


def untrusted(directory: Path) -> ssl.SSLContext:
    """Return the context of a server for 127.0.0.1 whose certificate is its own authority; needs openssl."""
    directory.mkdir(parents=True, exist_ok=True)
    key, certificate = directory / "key.pem", directory / "certificate.pem"
    command = [require_program("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(certificate), *names], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
