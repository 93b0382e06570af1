"""A real radio station: Icecast on a free loopback port, fed by ffmpeg with music as MP3, AAC and Ogg, with titles."""

import os
import pwd
import subprocess
import time
from base64 import b64encode
from contextlib import suppress
from pathlib import Path
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from genrewatch.contract.errors import SourceError
from genrewatch_drill.rig.broker import find_program, free_port, wait_for_port

ENCODING = {
    "mp3": ["-c:a", "libmp3lame", "-b:a", "96k", "-content_type", "audio/mpeg", "-f", "mp3"],
    "aac": ["-c:a", "aac", "-b:a", "96k", "-content_type", "audio/aac", "-f", "adts"],
    "ogg": ["-c:a", "libvorbis", "-b:a", "96k", "-content_type", "application/ogg", "-f", "ogg"],
}
STATION = "Drill FM"
PASSWORD = "drill"
READY_S = 30.0

CONFIG = """<icecast>
  <hostname>localhost</hostname>
  <limits><sources>10</sources><source-timeout>10</source-timeout><burst-size>16384</burst-size></limits>
  <authentication>
    <source-password>{password}</source-password>
    <admin-user>admin</admin-user><admin-password>{password}</admin-password>
  </authentication>
  <listen-socket><port>{port}</port><bind-address>127.0.0.1</bind-address></listen-socket>
  <fileserve>0</fileserve>
  <paths>
    <logdir>{directory}</logdir><webroot>/usr/share/icecast2/web</webroot><adminroot>/usr/share/icecast2/admin</adminroot>
  </paths>
  <logging><accesslog>access.log</accesslog><errorlog>error.log</errorlog><loglevel>2</loglevel></logging>
  {security}
</icecast>
"""
AS_NOBODY = "<security><changeowner><user>nobody</user><group>nogroup</group></changeowner></security>"


class Station:
    """An Icecast with a stream for each encoding; it can be killed and started again on the same port."""

    def __init__(self, directory: Path, sound: Path) -> None:
        """`sound` is a file that is played over and over."""
        self.port = free_port()
        self._directory, self._sound = directory, sound
        self._server: subprocess.Popen[bytes] | None = None
        self._feeders: dict[str, subprocess.Popen[bytes]] = {}

    def url(self, codec: str) -> str:
        """Where a stream is heard."""
        return f"http://127.0.0.1:{self.port}/live.{codec}"

    def start(self) -> None:
        """Starts server and streams and waits until all are on the air; SourceError when one does not come, twice."""
        try:
            self._start()
        except SourceError:  # as when the port was not quite free
            self.kill()
            time.sleep(1.0)
            self._start()

    def _start(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:  # as which Icecast refuses to run
            self._directory.parent.chmod(0o711)  # its logs are in there
            nobody = pwd.getpwnam("nobody")
            os.chown(self._directory, nobody.pw_uid, nobody.pw_gid)
        config = self._directory / "icecast.xml"
        security = AS_NOBODY if os.geteuid() == 0 else ""
        config.write_text(
            CONFIG.format(password=PASSWORD, port=self.port, directory=self._directory, security=security)
        )
        self._server = self._spawn([find_program("icecast2") or "icecast2", "-c", str(config)])
        wait_for_port(self.port, self._server)
        self._feeders = {codec: self._spawn(self._feed(codec)) for codec in ENCODING}
        end = time.monotonic() + READY_S
        while missing := [codec for codec in ENCODING if f'mount="/live.{codec}"' not in self._admin("stats")]:
            if time.monotonic() > end or self._server.poll() is not None:
                raise SourceError("the drill's station", f"{missing} not on the air", "ffmpeg to feed it")
            time.sleep(0.1)
            for codec in missing:
                if self._feeders[codec].poll() is not None:  # it was too early
                    self._feeders[codec] = self._spawn(self._feed(codec))

    def title(self, codec: str, song: str) -> None:
        """Says what a stream plays now, as its studio would."""
        self._admin(f"metadata?mount=/live.{codec}&mode=updinfo&charset=UTF-8&song={quote(song)}")

    def kill(self) -> None:
        """Ends the server and its streams without a word."""
        for process in (self._server, *self._feeders.values()):
            if process is not None:
                process.kill()
                process.wait()
        self._server, self._feeders = None, {}

    def _feed(self, codec: str) -> list[str]:
        command = ["ffmpeg", "-nostdin", "-v", "error", "-re", "-stream_loop", "-1", "-i", str(self._sound)]
        command += ["-metadata", f"title=Drill number 1 in {codec}", "-ice_name", STATION]
        command += ["-ar", "44100", "-ac", "2", *ENCODING[codec]]  # a rate that every encoder takes
        return [*command, f"icecast://source:{PASSWORD}@127.0.0.1:{self.port}/live.{codec}"]

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        with (self._directory / "output.log").open("ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _admin(self, what: str) -> str:
        login = b64encode(f"admin:{PASSWORD}".encode()).decode()
        request = Request(f"http://127.0.0.1:{self.port}/admin/{what}", headers={"Authorization": f"Basic {login}"})
        with suppress(URLError, OSError), urlopen(request, timeout=READY_S) as answer:
            text: str = answer.read().decode(errors="replace")
            return text
        return ""
