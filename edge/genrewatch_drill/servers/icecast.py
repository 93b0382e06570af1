"""A real Icecast on a free loopback port, with stations that ffmpeg feeds: MP3, AAC and Ogg, with titles."""

import os
import pwd
import subprocess
import time
from base64 import b64encode
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from genrewatch.contract.errors import GenrewatchError
from genrewatch_drill.servers.ports import free_port, wait_for_port
from genrewatch_drill.servers.programs import require_program

Codec = Literal["mp3", "aac", "ogg"]
ENCODING: dict[Codec, list[str]] = {
    "mp3": ["-c:a", "libmp3lame", "-content_type", "audio/mpeg", "-f", "mp3"],
    "aac": ["-c:a", "aac", "-content_type", "audio/aac", "-f", "adts"],
    "ogg": ["-c:a", "libvorbis", "-content_type", "application/ogg", "-f", "ogg"],
}
SAMPLE_RATE = 44_100
"""A rate that every encoder accepts, Hz."""
PASSWORD = "hackme"
READY_S = 30.0

CONFIG = """<icecast>
  <hostname>localhost</hostname>
  <limits><sources>10</sources><source-timeout>10</source-timeout><burst-size>{burst}</burst-size></limits>
  <authentication>
    <source-password>{password}</source-password>
    <admin-user>admin</admin-user><admin-password>{password}</admin-password>
  </authentication>
  <listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket>
  <fileserve>0</fileserve>
  <paths>
    <logdir>{directory}</logdir><webroot>/usr/share/icecast2/web</webroot><adminroot>/usr/share/icecast2/admin</adminroot>
  </paths>
  <logging><accesslog>access.log</accesslog><errorlog>error.log</errorlog><loglevel>3</loglevel></logging>
  {security}
</icecast>
"""
AS_NOBODY = "<security><changeowner><user>nobody</user><group>nogroup</group></changeowner></security>"


class Icecast:
    """A server with its stations; it can be killed and restarted on the same port. A context manager."""

    def __init__(self, directory: Path, sound: Path, *, burst_bytes: int = 16_384) -> None:
        """`sound` is a file that every station loops; `directory` receives the configuration and ffmpeg's output.

        `burst_bytes` are sent at once to a new listener.
        """
        self.port, self._burst_bytes = free_port(), burst_bytes
        self._directory, self._sound = directory, sound
        self._logs = TemporaryDirectory(prefix="icecast-")  # a directory that the user `nobody` may enter
        self._server: subprocess.Popen[bytes] | None = None
        self._commands: dict[str, list[str]] = {}
        self._feeds: dict[str, subprocess.Popen[bytes]] = {}

    def url(self, mount: str) -> str:
        """Return the address of a station."""
        return f"http://127.0.0.1:{self.port}/{mount}"

    def start(self) -> "Icecast":
        """Start the server and all stations that were broadcast before; GenrewatchError after two failures."""
        try:
            self._start()
        except GenrewatchError:  # for example because the port was not yet released
            self.kill()
            time.sleep(1.0)
            self._start()
        return self

    def broadcast(
        self, mount: str, codec: Codec = "mp3", *, name: str = "Test FM", title: str | None = None, kbit: int = 96
    ) -> str:
        """Add a station of `kbit` kbit/s and wait until it is on the air; return its address."""
        command = [require_program("ffmpeg"), "-nostdin", "-v", "error", "-re", "-stream_loop", "-1"]
        command += ["-i", str(self._sound), *(["-metadata", f"title={title}"] if title else []), "-ice_name", name]
        command += ["-ar", str(SAMPLE_RATE), "-ac", "2", *ENCODING[codec], "-b:a", f"{kbit}k"]
        self._commands[mount] = [*command, f"icecast://source:{PASSWORD}@127.0.0.1:{self.port}/{mount}"]
        self._wait_on_air([mount])
        return self.url(mount)

    def title(self, mount: str, song: str, *, charset: str = "UTF-8") -> None:
        """Change the title of a station."""
        self._admin(f"metadata?mount=/{mount}&mode=updinfo&charset={charset}&song={quote(song, encoding=charset)}")

    def stop(self, mount: str) -> None:
        """Take a station off the air and wait until it is."""
        del self._commands[mount]
        _kill(self._feeds.pop(mount))
        end = time.monotonic() + READY_S
        while f'mount="/{mount}"' in self._admin("stats") and time.monotonic() < end:
            time.sleep(0.05)

    def kill(self) -> None:
        """Send SIGKILL to the server and to ffmpeg."""
        for process in (self._server, *self._feeds.values()):
            if process is not None:
                _kill(process)
        self._server = None
        self._feeds.clear()

    def close(self) -> None:
        """Kill everything and remove the server's logs."""
        self.kill()
        self._logs.cleanup()

    def log(self) -> str:
        """Return the logs of server and ffmpeg, for a failure's message."""
        files = sorted([*self._directory.iterdir(), *Path(self._logs.name).iterdir()])
        return "\n".join(file.read_text(errors="replace") for file in files if file.suffix == ".log")

    def __enter__(self) -> "Icecast":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def _start(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        security = ""
        if os.geteuid() == 0:  # Icecast refuses to run as root
            nobody = pwd.getpwnam("nobody")
            os.chown(self._logs.name, nobody.pw_uid, nobody.pw_gid)
            security = AS_NOBODY
        config = self._directory / "icecast.xml"
        config.write_text(
            CONFIG.format(
                password=PASSWORD,
                port=self.port,
                directory=self._logs.name,
                security=security,
                burst=self._burst_bytes,
            )
        )
        self._server = self._spawn([require_program("icecast2"), "-c", str(config)])
        wait_for_port(self.port, self._server)
        self._wait_on_air(list(self._commands))

    def _wait_on_air(self, mounts: list[str]) -> None:
        end = time.monotonic() + READY_S
        while mounts := [mount for mount in mounts if f'mount="/{mount}"' not in self._admin("stats")]:
            if time.monotonic() > end:
                raise GenrewatchError("icecast2", f"{', '.join(mounts)} not on the air: {self.log()[-1000:]}")
            for mount in mounts:
                feed = self._feeds.get(mount)
                if feed is None or feed.poll() is not None:  # ffmpeg ends when it connects before the server is ready
                    self._feeds[mount] = self._spawn(self._commands[mount])
            time.sleep(0.1)

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        with (self._directory / "output.log").open("ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _admin(self, request_path: str) -> str:
        login = b64encode(f"admin:{PASSWORD}".encode()).decode()
        url, headers = f"http://127.0.0.1:{self.port}/admin/{request_path}", {"Authorization": f"Basic {login}"}
        end = time.monotonic() + READY_S
        while True:
            try:
                with urlopen(Request(url, headers=headers), timeout=READY_S) as answer:
                    text: str = answer.read().decode(errors="replace")
                    return text
            except (ConnectionError, URLError) as exc:  # Icecast resets a connection now and then
                if time.monotonic() > end or self._server is None or self._server.poll() is not None:
                    raise GenrewatchError("icecast2", f"{exc}: {self.log()[-1000:]}") from exc
                time.sleep(0.05)


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
