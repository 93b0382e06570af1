"""A real Icecast on a free loopback port, fed by ffmpeg with the demo programme: MP3, AAC and Ogg, with ICY titles."""

import os
import pwd
import shutil
import subprocess
import sys
import time
from base64 import b64encode
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from tests.servers import free_port, wait_for_port
from tests.sounds import write_wav

from genrewatch import programme

Codec = Literal["mp3", "aac", "ogg"]
ENCODING = {
    "mp3": ["-c:a", "libmp3lame", "-b:a", "96k", "-content_type", "audio/mpeg", "-f", "mp3"],
    "aac": ["-c:a", "aac", "-b:a", "96k", "-content_type", "audio/aac", "-f", "adts"],
    "ogg": ["-c:a", "libvorbis", "-b:a", "96k", "-content_type", "application/ogg", "-f", "ogg"],
}
PASSWORD = "hackme"
READY_S = 15.0

CONFIG = """<icecast>
  <hostname>localhost</hostname>
  <limits><sources>10</sources><source-timeout>10</source-timeout><burst-size>16384</burst-size></limits>
  <authentication>
    <source-password>{password}</source-password>
    <admin-user>admin</admin-user><admin-password>{password}</admin-password>
  </authentication>
  <listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket>
  <paths>
    <logdir>{directory}</logdir><webroot>/usr/share/icecast2/web</webroot><adminroot>/usr/share/icecast2/admin</adminroot>
  </paths>
  <logging><accesslog>access.log</accesslog><errorlog>error.log</errorlog><loglevel>3</loglevel></logging>
  {security}
</icecast>
"""


class Icecast:
    """An Icecast with its stations; it can be killed and started again on the same port."""

    def __init__(self, directory: Path) -> None:
        self.port = free_port()
        self._directory = directory
        self._logs = TemporaryDirectory(prefix="icecast-")  # not in `directory`, which only we may enter
        self._server: subprocess.Popen[bytes] | None = None
        self._stations: dict[str, subprocess.Popen[bytes]] = {}

    def url(self, mount: str) -> str:
        """Where a station is heard."""
        return f"http://127.0.0.1:{self.port}/{mount}"

    def start(self) -> "Icecast":
        """Starts the server and waits until it accepts connections."""
        program = shutil.which("icecast2") or shutil.which("icecast", path="/usr/bin:/usr/local/bin")
        assert program, "icecast2 is not installed: apt install icecast2"
        self._directory.mkdir(parents=True, exist_ok=True)
        security = ""
        if os.geteuid() == 0:  # as which Icecast refuses to run
            owner = pwd.getpwnam("nobody")
            os.chown(self._logs.name, owner.pw_uid, owner.pw_gid)
            security = "<security><changeowner><user>nobody</user><group>nogroup</group></changeowner></security>"
        config = self._directory / "icecast.xml"
        config.write_text(
            CONFIG.format(password=PASSWORD, port=self.port, directory=self._logs.name, security=security)
        )
        output = (self._directory / "icecast.out").open("ab")
        with output:
            self._server = subprocess.Popen([program, "-c", str(config)], stdout=output, stderr=output)
        wait_for_port(self.port, alive=lambda: self._server is not None and self._server.poll() is None)
        return self

    def broadcast(self, mount: str, codec: Codec = "mp3", *, name: str = "Test FM", title: str | None = None) -> str:
        """Plays the programme's chorale, over and over, as a station; returns its address once it is on the air."""
        sound = self._directory / "chorale.wav"
        if not sound.exists():
            write_wav(sound, programme.item("chorale"), rate=programme.SAMPLE_RATE)
        command = ["ffmpeg", "-nostdin", "-v", "error", "-re", "-stream_loop", "-1", "-i", str(sound)]
        command += ["-metadata", f"title={title}"] if title else []
        command += ["-ar", "44100", "-ac", "2", "-ice_name", name, "-ice_genre", "chorale", *ENCODING[codec]]
        command += [f"icecast://source:{PASSWORD}@127.0.0.1:{self.port}/{mount}"]
        log = (self._directory / "station.log").open("ab")
        with log:
            station = self._stations[mount] = subprocess.Popen(command, stdout=log, stderr=log)
        end = time.monotonic() + READY_S
        while f'mount="/{mount}"' not in self._admin("stats"):
            assert station.poll() is None, self.log()
            assert time.monotonic() < end, "the station does not come on the air"
            time.sleep(0.05)
        return self.url(mount)

    def title(self, mount: str, song: str, *, charset: str = "UTF-8") -> None:
        """Says what a station plays now, as its studio would."""
        self._admin(f"metadata?mount=/{mount}&mode=updinfo&charset={charset}&song={quote(song, encoding=charset)}")

    def silence(self, mount: str) -> None:
        """Takes a station off the air."""
        station = self._stations.pop(mount)
        station.kill()
        station.wait()

    def kill(self) -> None:
        """Ends the server and with it every station."""
        for process in (self._server, *self._stations.values()):
            if process is not None:
                process.kill()
                process.wait()
        self._server = None
        self._stations.clear()

    def log(self) -> str:
        """What server and stations have said, for looking at after a failure."""
        return "\n".join(
            file.read_text(errors="replace")
            for file in sorted([*self._directory.iterdir(), *Path(self._logs.name).iterdir()])
            if file.suffix in (".log", ".out")
        )

    def __enter__(self) -> "Icecast":
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _admin(self, what: str) -> str:
        login = b64encode(f"admin:{PASSWORD}".encode()).decode()
        request = Request(f"http://127.0.0.1:{self.port}/admin/{what}", headers={"Authorization": f"Basic {login}"})
        end = time.monotonic() + READY_S
        while True:
            try:
                with urlopen(request, timeout=READY_S) as answer:
                    text: str = answer.read().decode(errors="replace")
                    return text
            except (ConnectionError, URLError):  # Icecast resets a connection now and then
                assert time.monotonic() < end, self.log()
                time.sleep(0.05)


def main() -> None:
    """`python -m tests.icecast DIRECTORY`: three stations whose titles change, until interrupted."""
    with Icecast(Path(sys.argv[1])) as server:
        for codec in ENCODING:
            print(server.broadcast(f"live.{codec}", codec, title="Chorale"), flush=True)  # type: ignore[arg-type]
        for number in range(1_000_000):
            for mount in ("live.mp3", "live.aac"):
                server.title(mount, f"Anonymous – Chorale no. {number}")
            time.sleep(20)


if __name__ == "__main__":
    main()
