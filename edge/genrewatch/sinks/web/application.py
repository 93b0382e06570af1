"""The WSGI application: routes, checks and errors."""

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from genrewatch import __version__
from genrewatch.contract.payload import SCHEMA_VERSION
from genrewatch.sinks.web.control import Commands, json_body
from genrewatch.sinks.web.event_streams import EventStreams
from genrewatch.sinks.web.guard import Guard, Refused, Request
from genrewatch.sinks.web.history_api import HistoryApi
from genrewatch.sinks.web.live_sources import LiveSources
from genrewatch.sinks.web.metrics import Metrics
from genrewatch.sinks.web.node_api import NodeApi
from genrewatch.sinks.web.openmetrics import OPENMETRICS_TYPE, PLAIN_TYPE, exposition
from genrewatch.sinks.web.responses import CSV, ZIP, Response, error_response, json_response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

PAGE_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
API = "/api/v1/"
MAX_PARAMETERS = 20
PAGE = files("genrewatch.sinks.web") / "page"

Query = dict[str, str]

log = logging.getLogger("genrewatch")


class Application:
    """Answers every request of the server; threads of waitress call it."""

    def __init__(
        self,
        *,
        node: str,
        guard: Guard,
        live: LiveSources,
        streams: EventStreams,
        history: HistoryApi,
        metrics: Metrics,
        node_api: NodeApi,
        health: Callable[[], bytes],
        labels: Callable[[], Sequence[str]],
        bundles: bool,
    ) -> None:
        """`health` returns the payload of the node's diagnostics now, `labels` those of its model."""
        self._node, self._guard, self._live, self._streams = node, guard, live, streams
        self._metrics, self._labels, self._bundles = metrics, labels, bundles
        self._files = {path.name: path for path in PAGE.iterdir() if "." in path.name and path.name[0] != "."}
        self._files |= {f"texts/{path.name}": path for path in (PAGE / "texts").iterdir()}
        self._failed = False
        self.commands: Commands | None = None
        """Carries out writes; None before the daemon runs."""
        self._reads: dict[str, Callable[[Query], Response]] = {
            "state": lambda query: json_response(self._states()),
            "health": lambda query: Response(body=[health()]),
            "sources": lambda query: json_response(self._sources()),
            "spells": lambda query: json_response(history.spells(query)),
            "spells.csv": lambda query: _download(history.spells_csv(query), "spells.csv"),
            "report": lambda query: json_response(history.report(query)),
            "report.csv": lambda query: _download(history.report_csv(query), "report.csv"),
            "corrections": lambda query: json_response(node_api.corrections()),
            "bundles": lambda query: json_response(node_api.bundles()),
            "doctor": lambda query: json_response(node_api.doctor()),
            "diagnosis.zip": lambda query: _download([node_api.diagnosis()], "genrewatch-diagnosis.zip", ZIP),
            "openapi.json": lambda query: self._file("openapi.json"),
        }
        self._writes: dict[str, Callable[[dict[str, Any]], None]] = {
            "listen": lambda body: self._running().listen(body),
            "bundle": lambda body: self._running().bundle(body),
            "test-event": lambda body: self._running().test_event(body),
            "doctor": node_api.start_doctor,
            "correct": node_api.correct,
        }

    def __call__(self, request: dict[str, Any], start_response: "StartResponse") -> Iterable[bytes]:
        """Answer a request."""
        try:
            self._guard.check(request)
            response = self._answer(request)
        except Refused as exc:
            response = error_response(exc.status, exc.why, exc.headers)
        except Exception:
            self._log_defect()
            response = error_response("500 Internal Server Error", "a defect of genrewatch; see its log")
        start_response(response.status, response.all_headers)
        return response.body if request["REQUEST_METHOD"] != "HEAD" else []

    def _answer(self, request: Request) -> Response:
        path, method = request.get("PATH_INFO", "/") or "/", request["REQUEST_METHOD"]
        if method == "POST":
            return self._write(path, request)
        if method not in ("GET", "HEAD"):
            raise Refused("405 Method Not Allowed", f"{method} is not supported", (("Allow", "GET, HEAD, POST"),))
        if path == "/metrics":
            return self._metrics_page(request)
        if path == API + "events":
            return self._events(request, head=method == "HEAD")
        if path.startswith(API) and (read := self._reads.get(path.removeprefix(API))):
            return read(_query(request))
        return self._file(path.removeprefix("/") or "index.html")

    def _write(self, path: str, request: Request) -> Response:
        write = self._writes.get(path.removeprefix(API)) if path.startswith(API) else None
        if write is None:
            raise Refused("404 Not Found", "no such command")
        write(json_body(request))
        return json_response({"accepted": True}, "202 Accepted")

    def _running(self) -> Commands:
        if self.commands is None:
            raise Refused("503 Service Unavailable", "the daemon is starting", (("Retry-After", "2"),))
        return self.commands

    def _states(self) -> dict[str, Any]:
        states = [json.loads(source.state) for _, source in self._live.items() if source.state is not None]
        return {"v": SCHEMA_VERSION, "node": self._node, "states": states}

    def _sources(self) -> dict[str, Any]:
        with self._live.lock:
            sources = [source.fields(source_id) for source_id, source in self._live.items()]
        head = {"v": SCHEMA_VERSION, "node": self._node, "version": __version__, "labels": list(self._labels())}
        return {**head, "bundles": self._bundles, "sources": sources}

    def _events(self, request: Request, *, head: bool) -> Response:
        headers = (("Cache-Control", "no-store"), ("X-Accel-Buffering", "no"))
        if head:
            return Response(body=[], type="text/event-stream", headers=headers)
        viewer = self._streams.open()
        if viewer is None:
            raise Refused("503 Service Unavailable", "too many viewers", (("Retry-After", "30"),))
        disconnected = request.get("waitress.client_disconnected", lambda: False)
        body = self._streams.chunks(viewer, disconnected)
        return Response(body=body, type="text/event-stream", headers=headers)

    def _metrics_page(self, request: Request) -> Response:
        openmetrics = "application/openmetrics-text" in request.get("HTTP_ACCEPT", "")
        text = exposition(self._metrics.families(), openmetrics=openmetrics)
        return Response(body=[text.encode()], type=OPENMETRICS_TYPE if openmetrics else PLAIN_TYPE)

    def _file(self, name: str) -> Response:
        path = self._files.get(name)
        if path is None:
            raise Refused("404 Not Found", "no such page")
        kind = PAGE_TYPES.get("." + name.rpartition(".")[2], "application/octet-stream")
        return Response(body=[path.read_bytes()], type=kind, headers=(("Cache-Control", "no-cache"),))

    def _log_defect(self) -> None:
        """Log a defect with its traceback, the first time only."""
        if not self._failed:
            log.exception("a request of the page failed; further failures are not logged")
        self._failed = True


def _query(request: Request) -> Query:
    """Return the parameters of a query; raises Refused for more than any request needs."""
    try:
        return dict(parse_qsl(request.get("QUERY_STRING", ""), keep_blank_values=True, max_num_fields=MAX_PARAMETERS))
    except ValueError:
        raise Refused("400 Bad Request", f"more than {MAX_PARAMETERS} parameters") from None


def _download(body: Iterable[bytes], name: str, kind: str = CSV) -> Response:
    headers = (("Cache-Control", "no-store"), ("Content-Disposition", f'attachment; filename="{name}"'))
    return Response(body=_started(body), type=kind, headers=headers)


def _started(body: Iterable[bytes]) -> Iterable[bytes]:
    """Return the body with its first chunk made, so that an error is still an answer."""
    chunks = iter(body)
    first = next(chunks, b"")

    def all_chunks() -> Iterable[bytes]:
        yield first
        yield from chunks

    return all_chunks()
