"""`devices`, `doctor` and `bench`, and the command line itself."""

import json
import subprocess
import sys

import pytest
from tests.history.rig import spell
from tests.sources.microphones import LINE_IN, ROOT, YETI, Microphones

from genrewatch.cli import COMMANDS, main, parser
from genrewatch.daemon.narrow_bands import NARROW_KEY
from genrewatch.history.database import database_path
from genrewatch.history.store import HistoryStore
from genrewatch.host.persistent_state import PersistentState
from genrewatch_drill.servers.mosquitto import Mosquitto
from genrewatch_drill.servers.ports import free_port

REQUIRED = {"bundle": ["list"], "classify": ["x.wav"], "config": ["example"], "backup": ["x.zip"], "restore": ["x.zip"]}
"""Arguments without which a command cannot be parsed."""


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """A machine with two microphones and an empty state directory."""
    for key, value in Microphones(tmp_path / "microphones.json", YETI, LINE_IN, refused=[96_000]).environment.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("GENREWATCH_STATE", str(tmp_path / "state"))
    return monkeypatch


def checks(capsys) -> dict[str, dict[str, str]]:
    return {check["name"]: check for check in map(json.loads, capsys.readouterr().out.splitlines())}


def test_devices_prints_the_source_that_opens_each_microphone(capsys):
    assert main(["devices"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    also = "also 8000 16000 32000 44100"
    assert first == f"* Blue Yeti  (48000 Hz, {also}; 2 channels; ALSA)  --source 'mic:Blue Yeti'"
    assert second.startswith("  Line-in  (44100 Hz, ")
    assert main(["devices", "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[1])["source"] == "mic:Line-in"


def test_devices_reports_a_machine_without_microphone_or_sound_library(machine, tmp_path, capsys):
    Microphones(tmp_path / "microphones.json")
    assert main(["devices"]) == 1
    assert "no microphone on this machine" in capsys.readouterr().out
    machine.setenv("FAKE_PORTAUDIO", "missing")
    assert main(["devices"]) == 1
    assert capsys.readouterr().err == "microphone: PortAudio library not found\n"


def test_doctor_finds_all_well_with_the_shipped_bundle_and_a_broker(tmp_path, capsys):
    with Mosquitto(tmp_path / "broker") as broker:
        assert main(["doctor", "--json", "--mqtt", broker.url]) == 0
    found = checks(capsys)
    assert {check["result"] for check in found.values()} == {"ok"}
    assert "golden vectors agree" in found["bundle"]["detail"]
    assert "MQTT 5" in found["broker"]["detail"]


def test_doctor_distinguishes_what_is_absent_from_what_is_wrong(machine, tmp_path, capsys):
    machine.setenv("FAKE_PORTAUDIO", "missing")
    machine.setenv("PATH", str(tmp_path))
    machine.setattr("genrewatch.commands.checks.DEFAULT_BROKER", f"mqtt://127.0.0.1:{free_port()}")
    assert main(["doctor", "--json"]) == 0
    found = checks(capsys)
    assert {name for name, check in found.items() if check["result"] == "absent"} == {"decoder", "microphone", "broker"}
    (tmp_path / "file").write_text("")
    machine.setenv("GENREWATCH_STATE", str(tmp_path / "file" / "state"))
    assert main(["doctor", "--json"]) == 1
    assert checks(capsys)["disk"]["result"] == "wrong"


def test_doctor_reports_the_history_and_one_that_cannot_be_read(machine, tmp_path, capsys):
    machine.setenv("GENREWATCH_STATE", str(tmp_path))
    main(["doctor", "--json"])
    assert checks(capsys)["history"]["detail"] == f"none in {tmp_path} yet"
    store = HistoryStore(database_path(tmp_path, "box"), "box", deliver=True)
    store.append([spell(), spell()], [])
    store.remove_delivered([1])
    store.close()
    main(["doctor", "--json"])
    assert checks(capsys)["history"]["detail"] == "box: 2 spells kept, 1 to be delivered"
    database_path(tmp_path, "attic").write_bytes(b"rubbish " * 1000)
    assert main(["doctor", "--json"]) == 1
    history = checks(capsys)["history"]
    assert history["result"] == "wrong"
    assert "history-attic.db" in history["detail"]


def test_doctor_names_a_source_with_a_narrow_band(machine, tmp_path, capsys):
    machine.setenv("GENREWATCH_STATE", str(tmp_path))
    PersistentState(tmp_path / "memory-box.json").put(NARROW_KEY, {"camera": "no sound above 4000 Hz"})
    assert main(["doctor", "--json", "--mqtt", "none"]) == 0
    assert checks(capsys)["band"] == {"name": "band", "result": "absent", "detail": "camera: no sound above 4000 Hz"}


def test_bench_measures_every_stage(capsys):
    assert main(["bench", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["segment_s"] == pytest.approx(7.45, abs=0.01)
    for name in ("front_end_ms", "inference_ms", "pipeline_cpu_ms_per_s", "real_time_factor", "peak_rss_mb"):
        assert figures[name] > 0


@pytest.mark.parametrize("arguments", [[], ["listne"], ["classify"], ["classify", "x", "--jobs", "many"]])
def test_a_command_line_that_cannot_be_understood_is_exit_code_2(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


def test_help_lists_every_command_and_imports_none_of_them():
    program = (
        "import sys\n"
        "from genrewatch.cli import main\n"
        "try:\n"
        "    main(['--help'])\n"
        "except SystemExit:\n"
        "    print([name for name in sys.modules if name.startswith('genrewatch.commands.') or name == 'numpy'])"
    )
    answer = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "[]"
    assert all(f"\n    {name}" in answer.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_options_of_its_own(name, capsys):
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: genrewatch {name} [-h] ")
    assert callable(parser([name]).parse_args([name, *REQUIRED.get(name, [])]).run)


def test_a_reader_that_goes_away_is_no_error():
    command = f"{sys.executable} -m genrewatch listen --source 'demo:?pace=max&loop=no' --mqtt none --json | head -n 1"
    answer = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], cwd=ROOT, capture_output=True, text=True)
    assert "Traceback" not in answer.stderr
    assert json.loads(answer.stdout)["source"] == "demo"


def test_the_device_runs_without_the_lab():
    program = (
        "import sys\n"
        "from genrewatch.commands import bench, classify, doctor, listen\n"
        "lab = {'tensorflow', 'keras', 'librosa', 'scipy', 'sklearn', 'joblib', 'soundfile'}\n"
        "lab |= {'genrewatch_trainer', 'genrewatch_export'}\n"
        "print(sorted(lab & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
