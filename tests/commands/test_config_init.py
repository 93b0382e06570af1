"""`genrewatch config init`: on a terminal, with answers piped in, and with every default."""

import os
import pty
import subprocess
import sys
import time
import types
from pathlib import Path

import pytest
from tests.sources.microphones import LINE_IN, ROOT, YETI, Microphones

from genrewatch.cli import main
from genrewatch.contract.errors import GenrewatchError
from genrewatch.daemon.config import load_config
from genrewatch.sinks.mqtt.find_brokers import find_brokers
from genrewatch_drill.servers.mosquitto import Mosquitto
from genrewatch_drill.servers.ports import free_port

COMMAND = [sys.executable, "-m", "genrewatch", "config", "init"]


@pytest.fixture
def broker(tmp_path):
    """A broker with the login box, geheim."""
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "box", "geheim"], check=True, capture_output=True)
    with Mosquitto(tmp_path / "broker", lines=["allow_anonymous false", f"password_file {passwords}"]) as running:
        yield running


@pytest.fixture
def machine(tmp_path):
    return {**os.environ, **Microphones(tmp_path / "microphones.json", YETI, LINE_IN).environment}


class Terminal:
    """A program on a pseudo-terminal."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=ROOT, start_new_session=True
        )
        os.close(slave)
        self.text = ""

    def answer(self, question: str, answer: str, longest_s: float = 60.0) -> None:
        deadline, start = time.monotonic() + longest_s, len(self.text)
        while question not in self.text[start:]:
            assert time.monotonic() < deadline, self.text
            self._read()
        os.write(self._master, answer.encode() + b"\n")

    def end(self) -> int:
        while self._read():
            pass
        os.close(self._master)
        return self._process.wait(30)

    def _read(self) -> bool:
        try:
            data = os.read(self._master, 4096)
        except OSError:  # Linux: the other side is closed
            return False
        self.text += data.decode()
        return bool(data)


@pytest.mark.slow
def test_on_a_terminal_the_level_is_seen_and_a_login_can_be_corrected(broker, machine, tmp_path):
    path = tmp_path / "box.toml"
    terminal = Terminal([*COMMAND, str(path)], machine)
    terminal.answer("Microphone, by its number", "2")
    terminal.answer("right source?", "y")
    terminal.answer("Broker (", broker.url)
    terminal.answer("User name", "box")
    terminal.answer("Password", "falsch")
    terminal.answer("Another login?", "y")
    terminal.answer("User name", "box")
    terminal.answer("Password", "geheim")
    terminal.answer("Name of the source", "Record player")
    terminal.answer("Location", "Living room")
    assert terminal.end() == 0
    assert "Blue Yeti" in terminal.text
    assert "\r[#" in terminal.text
    assert "dBFS" in terminal.text
    assert "refuses the login" in terminal.text
    assert "accepts the login" in terminal.text
    assert "geheim" not in terminal.text
    assert path.stat().st_mode & 0o777 == 0o600
    config = load_config(path)
    assert config.source[0].uri == "mic:Line-in"
    assert (config.source[0].name, config.source[0].suggested_area) == ("Record player", "Living room")
    assert (config.mqtt.url, config.mqtt.password) == (broker.url, "geheim")


def test_answers_can_be_piped_in_and_a_file_is_replaced_only_when_asked(tmp_path):
    path = tmp_path / "box.toml"

    def init(answers: str, *options: str) -> subprocess.CompletedProcess[str]:
        command = [*COMMAND, str(path), *options]
        return subprocess.run(command, input=answers, capture_output=True, text=True, cwd=ROOT, timeout=60)

    assert init("demo:\nnone\nKüche\n\n").returncode == 0
    assert path.stat().st_mode & 0o777 == 0o644
    assert load_config(path).source[0].name == "Küche"
    assert load_config(path).mqtt.url == "none"
    before = path.read_text()
    assert init("n\n").returncode == 1
    assert init("", "--yes").returncode == 1
    assert path.read_text() == before
    assert init("y\nfile:/nowhere.wav\nnone\n").returncode == 0
    assert load_config(path).source[0].uri == "file:/nowhere.wav"
    assert list(tmp_path.iterdir()) == [path]


def test_yes_takes_every_default(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("genrewatch.commands.init_source.microphones", list)
    monkeypatch.setattr("genrewatch.commands.init_source.DEFAULT", "demo:?pace=max")
    monkeypatch.setattr("genrewatch.commands.config_init.PORT", free_port())
    path = tmp_path / "box.toml"
    assert main(["config", "init", str(path), "--yes"]) == 0
    assert load_config(path).mqtt.url.startswith("mqtt://localhost:")
    assert "wrong: mqtt.url: no broker answers" in capsys.readouterr().out


@pytest.mark.slow
def test_a_folder_that_cannot_be_written_and_a_broker_that_is_none_are_one_line(tmp_path, monkeypatch):
    def init(path: Path, answers: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, str(path)], input=answers, capture_output=True, text=True, cwd=ROOT, timeout=60
        )

    done = init(tmp_path / "absent" / "box.toml", "demo:\nnone\n\n\n")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    done = init(tmp_path / "box.toml", "demo:\nftp://x\nftp://x\nftp://x\n")
    assert done.returncode == 2
    assert "mqtt://HOST[:PORT]" in done.stderr


def test_without_the_package_the_network_is_not_searched(monkeypatch):
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    with pytest.raises(GenrewatchError, match=r"genrewatch\[mdns\]"):
        find_brokers(0.0)


def test_brokers_are_found_by_what_they_announce(monkeypatch):
    """The package in its role, since it need not be installed; `test_a_real_announcement` has the real one."""
    infos = {
        "house._mqtt._tcp.local.": types.SimpleNamespace(
            server="no-such-host.invalid.", port=1884, parsed_addresses=lambda: ["192.0.2.7"]
        ),
        "Home._home-assistant._tcp.local.": types.SimpleNamespace(
            server="localhost.", port=8123, parsed_addresses=lambda: ["127.0.0.1"]
        ),
        "gone._mqtt._tcp.local.": None,
    }

    class Network:
        def __init__(self, interfaces: object) -> None: ...
        def get_service_info(self, kind: str, name: str) -> object:
            return infos[name]

        def close(self) -> None: ...

    def browse(network, kinds, listener):
        for name in infos:
            listener.add_service(network, name.partition(".")[2], name)

    package = types.SimpleNamespace(
        Zeroconf=Network, ServiceBrowser=browse, InterfaceChoice=types.SimpleNamespace(Default=1)
    )
    monkeypatch.setitem(sys.modules, "zeroconf", package)
    found = {broker.description: broker.url for broker in find_brokers(0.0)}
    assert found == {"house": "mqtt://192.0.2.7:1884", "Home": "mqtt://localhost:1883"}


def test_a_real_announcement_is_found():
    zeroconf = pytest.importorskip("zeroconf")
    kind, name = "_mqtt._tcp.local.", f"test{free_port()}"
    info = zeroconf.ServiceInfo(kind, f"{name}.{kind}", addresses=[b"\x7f\0\0\1"], port=1883, server=f"{name}.local.")
    network = zeroconf.Zeroconf(interfaces=["127.0.0.1"])
    try:
        network.register_service(info)
        found = {broker.description: broker.url for broker in find_brokers(1.0, ["127.0.0.1"])}
    finally:
        network.close()
    assert found[name] == "mqtt://127.0.0.1:1883"
