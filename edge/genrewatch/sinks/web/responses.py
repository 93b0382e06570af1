"""Responses of the web server, with the headers that every one of them has."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from genrewatch.contract.compact_json import compact_json

JSON, CSV, ZIP = "application/json", "text/csv; charset=utf-8", "application/zip"
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'self'",
    )
)
ALWAYS = (
    ("Content-Security-Policy", CONTENT_SECURITY_POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)


@dataclass(frozen=True, kw_only=True)
class Response:
    """A status, headers and a body."""

    body: Iterable[bytes]
    status: str = "200 OK"
    type: str = JSON
    headers: tuple[tuple[str, str], ...] = field(default=(("Cache-Control", "no-store"),))

    @property
    def all_headers(self) -> list[tuple[str, str]]:
        """The headers to send."""
        return [("Content-Type", self.type), *self.headers, *ALWAYS]


def json_response(fields: Mapping[str, Any], status: str = "200 OK") -> Response:
    """Return fields as JSON."""
    return Response(body=[compact_json(fields).encode()], status=status)


def error_response(status: str, why: str, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    """Return an error as JSON with the one field `error`."""
    body = [compact_json({"error": why}).encode()]
    return Response(body=body, status=status, headers=(("Cache-Control", "no-store"), *headers))
