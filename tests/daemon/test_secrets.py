"""A secret in every place that may hold one, and a search of every place where others could read it."""

import base64
import io
import os
import shlex
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path

import pytest
from tests.servers import Watcher
from tests.sources.web import RawServer, answer

from genrewatch.cli import main
from genrewatch_drill.rig.processes import children
from genrewatch_drill.servers.mosquitto import Mosquitto
from genrewatch_drill.servers.ports import free_port

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

SECRETS = {
    name: f"S3kr1t-{name}"
    for name in ("broker", "environ", "web", "login", "token", "line", "named", "webhook", "hookquery", "argument")
}
PROGRAM = f"""
import sys, time
sys.stdout.buffer.write(bytes(16000)); sys.stdout.flush(); time.sleep(1)
sys.exit("no route to http://me:it's{SECRETS["line"]}@host/x, token={SECRETS["named"]}")
"""
HOOK = "import os, sys, time; time.sleep(1); sys.exit(' '.join(os.environ.values()) + ' http://me:%s@host/')"


def config(tmp_path: Path, broker: Mosquitto, station: RawServer) -> Path:
    """A configuration with secrets in all its keys that take one."""
    url = f"{station.url('/live', login='me:pa' + chr(39) + SECRETS['login'] + '@')}?token={SECRETS['token']}"
    program = shlex.join([sys.executable, "-c", PROGRAM])
    hook = shlex.join([sys.executable, "-c", HOOK % SECRETS["argument"]])
    webhook = f"http://me:{SECRETS['webhook']}@127.0.0.1:{free_port()}/x?key={SECRETS['hookquery']}"
    path = tmp_path / "listen.toml"
    path.write_text(f'''
node = "box"
health_s = 1.0
[mqtt]
url = "{broker.url}"
username = "me"
password = "{SECRETS["broker"]}"
[web]
port = {free_port()}
[[source]]
uri = {toml(url + "#id=station")}
[[source]]
uri = {toml(f"cmd:{program}?rate=8000&id=program")}
[[hook]]
on = ["test"]
command = {toml(hook)}
[[hook]]
on = ["test"]
url = "{webhook}"
''')
    path.chmod(0o600)
    return path


def toml(text: str) -> str:
    return '"""' + text.replace("\\", "\\\\").replace('"', '\\"') + '"""'


def web(path: Path, what: str, body: bytes | None = None) -> bytes:
    """Answer of the daemon's web server, with its login."""
    port = next(line for line in path.read_text().splitlines() if line.startswith("port")).split()[-1]
    login = base64.b64encode(f"me:{SECRETS['web']}".encode()).decode()
    headers = {"Authorization": f"Basic {login}", "X-Genrewatch": "1", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{what}", body, headers)
    with urllib.request.urlopen(request, timeout=10) as reply:
        return reply.read()


def of_children(pid: int) -> dict[str, bytes]:
    """Command lines and environments of all that runs below a process, but for the words that the user has chosen."""
    found, left = {}, [pid]
    while left:
        for child in children(left.pop()):
            left.append(child)
            try:
                words = Path(f"/proc/{child}/cmdline").read_bytes()
                found[f"environ of {words!r}"] = Path(f"/proc/{child}/environ").read_bytes()
            except OSError:
                continue
            if b"--config" in words:  # the daemon itself, between fork and exec
                del found[f"environ of {words!r}"]
            elif b"sys.exit" not in words:
                found[f"command line {child}"] = words
    return found


def secrets_in(places: dict[str, bytes]) -> set[tuple[str, str]]:
    forms = {name: [secret.encode(), base64.b64encode(f"me:{secret}".encode())] for name, secret in SECRETS.items()}
    return {
        (name, place) for place, data in places.items() for name, all_ in forms.items() if any(f in data for f in all_)
    }


def test_no_secret_is_shown_anywhere(tmp_path):
    state, places = tmp_path / "state", dict[str, bytes]()
    secret = {"GENREWATCH_MQTT_PASSWORD": SECRETS["environ"], "GENREWATCH_WEB_PASSWORD": SECRETS["web"]}
    environment = {**os.environ, "GENREWATCH_STATE": str(state), **secret}
    listen = [sys.executable, "-m", "genrewatch", "listen"]
    with Mosquitto(tmp_path / "broker") as broker, Watcher(broker.port) as watcher, RawServer() as station:
        station.pages[f"/live?token={SECRETS['token']}"] = answer(bytes(200_000), "Content-Type: audio/mpeg")
        path = config(tmp_path, broker, station)
        command = [*listen, "--config", str(path)]
        daemon = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        watcher.next("/status", 30)
        for source in ("station", "program"):
            web(path, "api/v1/test-event", f'{{"source": "{source}"}}'.encode())
        deadline, failed = time.monotonic() + 20, False
        while not failed and time.monotonic() < deadline:
            for place, data in of_children(daemon.pid).items():
                places[place] = places.get(place, b"") + data
            health = web(path, "api/v1/health")
            failed = all(word in health for word in (b"no route to", b"exit code", b"refused"))
            time.sleep(0.02)
        assert failed, health
        places |= {name: web(path, f"api/v1/{name}") for name in ("state", "health", "sources", "spells", "report")}
        places["metrics"] = web(path, "metrics")
        diagnose = [*listen[:-1], "diagnose", "--config", str(path), "-o", str(tmp_path / "diagnosis.zip")]
        diagnosis = subprocess.run(diagnose, env=environment, capture_output=True, check=True, timeout=60)
        places["diagnose"] = diagnosis.stdout + diagnosis.stderr
        for archive in (tmp_path / "diagnosis.zip", io.BytesIO(web(path, "api/v1/diagnosis.zip"))):
            with zipfile.ZipFile(archive) as file:
                places |= {f"{archive}: {name}": file.read(name) for name in file.namelist()}
        daemon.terminate()
        places["stdout"], places["stderr"] = daemon.communicate(timeout=10)
        places["topics"] = "\n".join(f"{seen.topic} {seen.payload}" for seen in watcher.settled()).encode()
        doctor = subprocess.run(
            [*listen[:-1], "doctor", "--mqtt", broker.url], env={**environment, "GENREWATCH_MQTT_USERNAME": "me"},
            capture_output=True, check=False, timeout=60,
        )  # fmt: skip
        places["doctor"] = doctor.stdout + doctor.stderr
    for file in state.rglob("*"):
        if file.is_file():
            places[file.name] = file.read_bytes()
    assert any("environ of" in place for place in places)
    assert any(b"ffmpeg" in data or b"tuner" in data for place, data in places.items() if "command line" in place)
    assert len(places["topics"]) > 500
    assert secrets_in(places) == set()


@pytest.mark.parametrize(
    "text",
    [
        "[mqtt]\npassword = 314159265\n",
        "[mqtt]\npassword = [314159265]\n",
        '[mqtt]\nurl = "mqtt://me:314159265@host"\n',
        '[[source]]\nuri = "http://me:31 4159265@host/x y"\n',
        '[[source]]\nuri = "htp://me:314159265@host/x"\n',
        '[[source]]\nuri = "http://me:314159265@host:port/x"\n',
        '[[source]]\nuri = ["http://me:314159265@host/x"]\n',
        '[[hook]]\non = ["test"]\nurl = "http://me:314159265@/x"\n',
        '[[hook]]\non = ["test"]\ncommand = "curl \'http://me:314159265@host"\n',
        "[web]\npassword = 314159265\n",
    ],
)
def test_an_error_of_the_configuration_quotes_no_secret(tmp_path, capsys, text):
    path = tmp_path / "listen.toml"
    path.write_text(text)
    path.chmod(0o600)
    assert main(["listen", "--config", str(path), "--mqtt", "none", "--web", "none"]) == 2
    error = capsys.readouterr().err
    assert "4159265" not in error
    assert error.count("\n") == 1
