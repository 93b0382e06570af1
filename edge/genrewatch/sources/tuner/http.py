"""A small HTTP client that accepts what stations send.

`http.client`, and urllib3 with it, refuses `ICY 200 OK` and more than 100 headers; h11, and httpx with it, refuses the
same status line. Everything that is read has a limit.
"""

import base64
import hashlib
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import BinaryIO, cast
from urllib.parse import unquote, urlsplit

from genrewatch.sources.tuner.addresses import ascii_url, joined, port_of
from genrewatch.sources.tuner.connection import Access, connect

MAX_HEAD_BYTES = 131_072
MAX_REDIRECTS = 8
PIECE_BYTES = 16_384
_STATUS = re.compile(r"^(?:HTTP/\d(?:\.\d)?|ICY|SOURCE|HTTP)\s+(\d{3})\s*(.*)$", re.IGNORECASE)
_CHALLENGE = re.compile(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s,]+))')

Read = Callable[[int], bytes]


@dataclass(frozen=True, kw_only=True)
class Response:
    """An answer whose body has not been read."""

    status: int
    reason: str
    headers: dict[str, str]
    """By lower-case name; text in Latin-1, which keeps each byte."""
    url: str
    """Address after redirects, without its login."""
    read: Read
    """Returns 1 to n bytes of the decoded body, none at its end."""
    close: Callable[[], None]

    @property
    def content_type(self) -> str:
        """The media type in lower case, without parameters."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()


def open_url(url: str, access: Access, headers: Mapping[str, str] | None = None) -> Response:
    """Request a URL and follow redirects; OSError or ValueError, in one line, where that leads to no document."""
    login = ""
    for _ in range(MAX_REDIRECTS):
        origin, (given, _, host) = urlsplit(url), urlsplit(url).netloc.rpartition("@")
        login = given or login
        response = _request(url, access, dict(headers or {}), login)
        location = response.headers.get("location")
        if response.status not in (301, 302, 303, 307, 308) or not location:
            if response.status >= 400:
                response.close()
                raise OSError(f"{response.status} {response.reason}".strip())
            return response
        response.close()
        text = location.encode("latin-1").decode("utf-8", "surrogateescape")
        url = joined(url, text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
        target = urlsplit(url)
        if target.scheme not in ("http", "https"):
            raise ValueError(f"a redirect to a {target.scheme} address is not allowed")
        if target.netloc.rpartition("@")[2] != host or (origin.scheme, target.scheme) == ("https", "http"):
            login = ""  # which is for its own host, and not for the clear
    raise ValueError("redirects without an end")


def read_all(response: Response, limit: int) -> bytes:
    """Return at most `limit` bytes of the body."""
    pieces, size = [], 0
    while size < limit and (piece := response.read(min(PIECE_BYTES, limit - size))):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def pushed_back(start: bytes, read: Read) -> Read:
    """Return a reader of `start` and then of the rest."""
    waiting = [start]

    def read_again(n: int) -> bytes:
        if not waiting[0]:
            return read(n)
        piece, waiting[0] = waiting[0][:n], waiting[0][n:]
        return piece

    return read_again


def _request(url: str, access: Access, headers: dict[str, str], login: str) -> Response:
    authorization = "Basic " + base64.b64encode(unquote(login).encode()).decode() if login else ""
    response = _send(url, access, headers, authorization)
    challenge = response.headers.get("www-authenticate", "")
    if response.status == 401 and login and challenge.lower().startswith("digest"):
        response.close()
        return _send(url, access, headers, _digest(challenge, unquote(login), _path(url)))
    return response


def _send(url: str, access: Access, headers: dict[str, str], authorization: str) -> Response:
    parts = urlsplit(url)
    host = parts.hostname or ""
    secure = parts.scheme == "https"
    port = port_of(url) or (443 if secure else 80)
    connection = connect(access.reach.addresses(host, port))
    try:
        if secure:
            connection = access.tls.wrap(connection, host)
        lines = {"Host": parts.netloc.rpartition("@")[2], "User-Agent": access.agent, "Accept": "*/*"}
        lines |= {"Accept-Encoding": "identity", "Icy-MetaData": "1", "Connection": "close", **headers}
        lines |= {"Authorization": authorization} if authorization else {}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        connection.sendall(f"GET {_path(url)} HTTP/1.1\r\n{head}\r\n".encode("latin-1"))
        file = cast(BinaryIO, connection.makefile("rb", PIECE_BYTES))
        status, reason, received = _read_head(file)
    except BaseException:
        connection.close()
        raise

    def close() -> None:
        file.close()
        connection.close()

    connection.settimeout(None)  # from here the supervisor has the limit
    url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    read = _body(file, received)
    return Response(status=status, reason=reason, headers=received, url=url, read=read, close=close)


def _path(url: str) -> str:
    parts = urlsplit(ascii_url(url))
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _read_head(file: BinaryIO) -> tuple[int, str, dict[str, str]]:
    """Return status, reason and headers; OSError where no HTTP server answers."""
    left = MAX_HEAD_BYTES
    while True:
        first = file.readline(left)
        if not first:
            raise OSError("server closed without an answer")
        found = _STATUS.match(first.decode("latin-1").strip())
        if not found:
            raise OSError("the answer is not HTTP")
        headers: dict[str, str] = {}
        while (line := file.readline(left)) not in (b"", b"\n", b"\r\n"):
            left -= len(line)
            if left <= 0:
                raise OSError(f"more than {MAX_HEAD_BYTES} bytes of headers")
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.strip().lower()] = value.strip()
        if not found[1].startswith("1"):
            return int(found[1]), found[2].strip(), headers


def _body(file: BinaryIO, headers: Mapping[str, str]) -> Read:
    if "chunked" in headers.get("transfer-encoding", "").lower():
        read = _chunks(file)
    elif headers.get("content-length", "").isdecimal():
        read = _counted(file, int(headers["content-length"]))
    else:
        read = file.read1  # type: ignore[attr-defined]
    encoding = headers.get("content-encoding", "").lower()
    return _inflated(read) if encoding in ("gzip", "x-gzip", "deflate") else read


def _counted(file: BinaryIO, length: int) -> Read:
    left = [length]

    def read(n: int) -> bytes:
        piece: bytes = file.read1(min(n, left[0])) if left[0] else b""  # type: ignore[attr-defined]
        left[0] -= len(piece)
        return piece

    return read


def _chunks(file: BinaryIO) -> Read:
    """Return a reader of chunks; one that is cut off, or has no size, ends the body."""
    left = [0]

    def read(n: int) -> bytes:
        while not left[0]:
            line = file.readline(100)
            if line in (b"\r\n", b"\n"):
                continue
            try:
                left[0] = int(line.partition(b";")[0], 16)
            except ValueError:
                return b""
            if left[0] <= 0:
                return b""
        piece: bytes = file.read1(min(n, left[0]))  # type: ignore[attr-defined]
        left[0] -= len(piece)
        return piece

    return read


def _inflated(read: Read) -> Read:
    """Return a reader of what gzip or zlib has packed; it never holds more than was asked for."""
    inflate = zlib.decompressobj(47)

    def read_inflated(n: int) -> bytes:
        while not inflate.eof:
            packed = inflate.unconsumed_tail or read(PIECE_BYTES)
            try:
                piece = inflate.decompress(packed, n)
            except zlib.error:
                raise OSError("gzip that is damaged") from None
            if piece or not packed:
                return piece
        return b""

    return read_inflated


def _digest(challenge: str, login: str, path: str) -> str:
    """Return the Authorization header that answers a Digest challenge (RFC 7616, MD5 and SHA-256)."""
    given = {name.lower(): quoted or bare for name, quoted, bare in _CHALLENGE.findall(challenge)}
    user, _, password = login.partition(":")
    algorithm = given.get("algorithm", "MD5")
    algorithm_hash = hashlib.sha256 if algorithm.upper().startswith("SHA-256") else hashlib.md5

    def digest(*parts: str) -> str:
        return algorithm_hash(":".join(parts).encode()).hexdigest()

    nonce, realm = given.get("nonce", ""), given.get("realm", "")
    secret, request = digest(user, realm, password), digest("GET", path)
    fields = {"username": user, "realm": realm, "nonce": nonce, "uri": path, "algorithm": algorithm}
    if "auth" in re.split(r"[\s,]+", given.get("qop", "")):
        count, client = "00000001", base64.b16encode(hashlib.sha256(nonce.encode()).digest()[:8]).decode()
        answer = digest(secret, nonce, count, client, "auth", request)
        extra = f', qop=auth, nc={count}, cnonce="{client}"'
    else:
        answer, extra = digest(secret, nonce, request), ""
    fields |= {"response": answer} | ({"opaque": given["opaque"]} if "opaque" in given else {})
    return "Digest " + ", ".join(f'{name}="{value}"' for name, value in fields.items()) + extra
