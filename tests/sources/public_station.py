"""Inside a namespace: `python public_station.py PAGE OPTIONS` opens a public station.

It prints why there is no sound, and whether 10.0.0.1 was asked for anything.
"""

import sys
import threading
from contextlib import suppress
from socket import create_server, socket

sys.path.insert(0, sys.argv[0].rpartition("/tests/")[0])

from tests.daemon.listening import Events, opened
from tests.sources.web import answer, redirect

from genrewatch.contract.errors import SourceError

PRIVATE = "http://10.0.0.1:8000/live.mp3"
HLS = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n{}#EXTINF:2,\n{}\n#EXT-X-ENDLIST\n"
PAGES = {
    "/playlist": answer(f"#EXTM3U\n{PRIVATE}\n".encode()),
    "/redirect": redirect(PRIVATE),
    "/windows": redirect(PRIVATE),
    "/segments": answer(HLS.format("", PRIVATE.replace("mp3", "ts")).encode()),
    "/key": answer(HLS.format(f"#EXT-X-KEY:METHOD=AES-128,URI={PRIVATE}\n", "/a.ts").encode()),
    "/a.ts": answer(bytes(1880)),
}


def serve(address: str, port: int, reply: object) -> None:
    server = create_server((address, port))

    def run() -> None:
        while True:
            with server.accept()[0] as client, suppress(OSError):
                reply(client)

    threading.Thread(target=run, daemon=True).start()


def station(client: socket) -> None:
    path = client.recv(65_536).split(b" ")[1].decode()
    client.sendall(PAGES.get(path, answer(b"", status="404 Not Found")))


def camera(client: socket) -> None:
    client.recv(4096)
    client.sendall(b"RTSP/1.0 302 Found\r\nCSeq: 1\r\nLocation: rtsp://10.0.0.1:8000/\r\n\r\n")
    client.recv(1)


def main(page: str, options: str) -> None:
    asked = threading.Event()
    serve("8.8.8.8", 80, station)
    serve("8.8.8.8", 554, camera)
    serve("10.0.0.1", 8000, lambda client: asked.set())
    scheme = {"/camera": "rtsp", "/windows": "mmsh"}.get(page, "http")
    url = f"{scheme}://8.8.8.8{page}"
    try:
        list(opened(f"{url}{options}", stall_s=2).blocks(Events()))
    except SourceError as exc:
        print(exc)
    print("asked" if asked.is_set() else "not asked")


main(*sys.argv[1:])
