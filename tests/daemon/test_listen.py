"""`genrewatch listen`, the real daemon: real files, pipes, children, Mosquitto and signals."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from tests.servers import Watcher
from tests.sounds import pcm16, tune, write_wav
from tests.sources.microphones import YETI, Microphones

from genrewatch.cli import main
from genrewatch_drill.servers.mosquitto import Mosquitto

ROOT = str(Path(__file__).parents[2])
PLACE = ("ts", "source", "path")


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """Music, a long pause, other music: 42 s, stereo, at a rate that is not the bundle's."""
    silence = np.zeros(48_000 * 14, np.float32)
    sound = np.concatenate([tune(14, rate=48_000, seed=3), silence, tune(14, rate=48_000, seed=4, level=0.4)])
    return write_wav(tmp_path_factory.mktemp("listen") / "clip.wav", sound, rate=48_000, channels=2)


@pytest.fixture
def environment(tmp_path) -> dict[str, str]:
    microphones = Microphones(tmp_path / "microphones.json", YETI)
    return {**os.environ, **microphones.environment, "GENREWATCH_STATE": str(tmp_path / "state")}


def run(*arguments: str, environment, stdin=subprocess.DEVNULL) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "genrewatch", "listen", *arguments]
    return subprocess.run(command, env=environment, stdin=stdin, capture_output=True, text=True, timeout=60)


def segments(printed: str) -> list[dict]:
    """The JSON lines of segments, without what tells a live source from a file."""
    records = [json.loads(line) for line in printed.splitlines()]
    return [{k: v for k, v in r.items() if k not in PLACE} for r in records if "start_s" in r]


@pytest.fixture(scope="module")
def timeline(clip) -> list[dict]:
    """Output of `classify --timeline --json` for the clip."""
    command = [sys.executable, "-m", "genrewatch", "classify", str(clip), "--timeline", "--json"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    return segments(printed)


def test_the_timeline_of_the_clip_has_silence_in_it_and_music_around(timeline):
    reasons = [line["reason"] for line in timeline]
    assert "silence" in [line["label"] for line in timeline]
    assert reasons[0] == "warming_up"
    assert timeline[0]["label"] != "silence" != timeline[-1]["label"]
    assert any(line["level_dbfs"] is None for line in timeline)


def test_a_file_as_live_source_gives_verdict_for_verdict_what_classify_gives(clip, timeline, environment):
    answer = run("--source", f"file:{clip}?pace=max", "--mqtt", "none", "--json", environment=environment)
    assert answer.returncode == 0
    assert segments(answer.stdout) == timeline


def test_standard_input_gives_the_same_whatever_the_sizes_of_the_writes(clip, timeline, environment, rng):
    raw = write_raw(clip)
    command = [sys.executable, "-m", "genrewatch", "listen", "--mqtt", "none", "--json"]
    command += ["--source", "stdin:?rate=48000&channels=2&format=s16le"]
    daemon = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=False)
    at = 0
    while at < len(raw):
        n = int(rng.choice([1, 777, 4096, 300_001]))
        daemon.stdin.write(raw[at : at + n])
        daemon.stdin.flush()
        at += n
    printed, _ = daemon.communicate(timeout=60)
    assert segments(printed.decode()) == timeline


def write_raw(clip: Path) -> bytes:
    """The clip's samples as s16le bytes, both channels."""
    return clip.read_bytes()[44:]


def test_a_command_that_decodes_gives_the_same(clip, timeline, environment):
    command = f"cmd:ffmpeg -nostdin -v error -i {clip} -f wav -?restart=never"
    answer = run("--source", command, "--mqtt", "none", "--json", environment=environment)
    assert answer.returncode == 0
    assert segments(answer.stdout) == timeline


def test_several_sources_reach_the_broker_each_on_topics_of_its_own(clip, tmp_path, environment):
    with Mosquitto(tmp_path / "broker") as broker, Watcher(broker.port) as watcher:
        uris = ["--source", f"file:{clip}?pace=max&id=one", "--source", f"file:{clip}?pace=max&id=two"]
        answer = run(*uris, "--mqtt", broker.url, "--node", "box", environment=environment)
        assert answer.returncode == 0
        seen = watcher.settled()
    for source in ("one", "two"):
        assert [s.payload for s in seen if s.topic == f"genrewatch/box/{source}/availability"] == ["online", "offline"]
        states = [json.loads(s.payload) for s in seen if s.topic == f"genrewatch/box/{source}/state"]
        assert {state["source"] for state in states} == {source}
        assert "silence" in [state["reason"] for state in states]
    assert [s.payload for s in seen if s.topic == "genrewatch/box/status"] == ["online", "offline"]
    health = [json.loads(s.payload) for s in seen if s.topic == "genrewatch/box/health"]
    assert health[-1]["sources"]["one"]["segments"] == health[-1]["sources"]["two"]["segments"] > 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_with_offline_and_no_child_left(number, tmp_path, environment):
    with Mosquitto(tmp_path / "broker") as broker, Watcher(broker.port) as watcher:
        command = [sys.executable, "-m", "genrewatch", "listen", "--source", "mic:yeti"]
        command += ["--mqtt", broker.url, "--node", "box"]
        daemon = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        watcher.until(lambda seen: seen.topic == "genrewatch/box/mic/availability" and seen.payload == "online")
        watcher.next("/mic/state", 30)
        children = Path(f"/proc/{daemon.pid}/task/{daemon.pid}/children").read_text().split()
        daemon.send_signal(number)
        assert daemon.wait(5) == 0
        offline = [watcher.next("/availability"), watcher.next("/status")]
        daemon.communicate()
    assert [seen.payload for seen in offline] == ["offline", "offline"]
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


def test_a_missing_microphone_is_one_line_and_exit_code_2(environment):
    answer = run("--source", "mic:Focusrite", "--mqtt", "none", environment=environment)
    assert answer.returncode == 2
    assert [line for line in answer.stderr.splitlines() if "no microphone named 'Focusrite'" in line] != []
    assert "Traceback" not in answer.stderr


def test_one_bad_source_leaves_the_others_their_verdicts(clip, timeline, environment):
    bad = "cmd:sh -c 'exit 3'?restart=never"
    good = f"file:{clip}?pace=max"
    answer = run("--source", bad, "--source", good, "--mqtt", "none", "--json", environment=environment)
    assert answer.returncode == 0
    assert segments(answer.stdout) == timeline


def test_people_read_a_line_for_each_change_and_where_to_watch(clip, tmp_path, environment):
    with Mosquitto(tmp_path / "broker") as broker:
        answer = run("--source", f"file:{clip}?pace=max", "--mqtt", broker.url, environment=environment)
    lines = answer.stdout.splitlines()
    assert "online: opened" in lines[0]
    assert "warming_up" in lines[1]
    assert any("(silence)" in line for line in lines)
    assert lines[-1].endswith("offline: ended")
    assert len(lines) < 20
    assert f"mosquitto_sub -h 127.0.0.1 -p {broker.port} -t 'genrewatch/gw-" in answer.stderr


def test_it_uses_no_processor_while_nothing_arrives(environment):
    command = [sys.executable, "-m", "genrewatch", "listen", "--source", "cmd:sleep 600?rate=8000", "--mqtt", "none"]
    daemon = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    for line in daemon.stderr:
        if b"sources:" in line:
            break
    time.sleep(0.3)
    before = cpu_ticks(daemon.pid)
    time.sleep(1.0)
    used = cpu_ticks(daemon.pid) - before
    daemon.terminate()
    daemon.communicate(timeout=10)
    assert used <= 1


def cpu_ticks(pid: int) -> int:
    """Processor time of a process in hundredths of a second."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_raw_bytes_without_a_rate_are_one_line(environment, monkeypatch, tmp_path):
    noise = tmp_path / "noise"
    noise.write_bytes(pcm16(tune(1)))
    with noise.open("rb") as stdin:
        answer = run("--source", "stdin:", "--mqtt", "none", environment=environment, stdin=stdin)
    assert answer.returncode == 2
    assert "raw bytes without a WAV header, expected WAV, or raw PCM with ?rate=" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_text_file_named_wav_is_one_line(tmp_path, environment):
    path = tmp_path / "a.wav"
    path.write_text("text")
    answer = run("--source", f"file:{path}", "--mqtt", "none", environment=environment)
    assert answer.returncode == 2
    assert "cannot be decoded" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_login_in_the_url_is_refused_and_not_repeated(capsys):
    assert main(["listen", "--mqtt", "mqtt://me:hunter2@host"]) == 2
    error = capsys.readouterr().err
    assert "GENREWATCH_MQTT_PASSWORD" in error
    assert "hunter2" not in error


def test_three_children_that_ignore_sigterm_do_not_hold_up_the_end(environment):
    program = "import signal,sys,time;signal.signal(signal.SIGTERM,signal.SIG_IGN)"
    program += ";sys.stdout.buffer.write(bytes(160000));sys.stdout.flush();time.sleep(600)"
    command = [sys.executable, "-m", "genrewatch", "listen", "--mqtt", "none"]
    for _ in range(3):
        command += ["--source", f'cmd:{sys.executable} -c "{program}"?rate=8000']
    daemon = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    online = 0
    while online < 3:
        line = daemon.stdout.readline()
        assert line, daemon.stderr.read()
        online += b"online" in line
    daemon.terminate()
    assert daemon.wait(5) == 0
    daemon.communicate()


def test_a_source_that_has_given_no_sound_is_offline_at_the_end(tmp_path, environment):
    with Mosquitto(tmp_path / "broker") as broker, Watcher(broker.port) as watcher:
        command = [
            sys.executable,
            "-m",
            "genrewatch",
            "listen",
            "--source",
            "cmd:sleep 600?rate=8000&first_sound_s=inf",
        ]
        command += ["--mqtt", broker.url, "--node", "box", "--web", "none"]
        daemon = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        watcher.next("/status", 30)
        daemon.terminate()
        out, _ = daemon.communicate(timeout=5)
        assert daemon.returncode == 0
        assert watcher.next("/availability").payload == "offline"
    assert out.decode().splitlines()[-1].endswith("offline: stopped")


def test_a_paused_standard_input_is_stalled_and_not_silence(environment):
    command = [
        sys.executable,
        "-m",
        "genrewatch",
        "listen",
        "--source",
        "stdin:?rate=22050",
        "--mqtt",
        "none",
        "--json",
    ]
    daemon = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=False)
    daemon.stdin.write(pcm16(tune(8)))
    daemon.stdin.flush()
    seen = [json.loads(daemon.stdout.readline()) for _ in range(4)]
    assert [line.get("availability") for line in seen] == ["online", None, "offline", None]
    assert seen[2]["why"] == "no sound for 8 s"
    assert seen[3]["reason"] == "stalled"
    daemon.stdin.write(pcm16(tune(2)))
    daemon.stdin.flush()
    assert json.loads(daemon.stdout.readline())["availability"] == "online"
    daemon.terminate()
    daemon.communicate(timeout=5)
    assert daemon.returncode == 0


def test_output_that_cannot_be_written_does_not_stop_the_verdicts(clip, tmp_path, environment):
    with Mosquitto(tmp_path / "broker") as broker, Watcher(broker.port) as watcher, open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "genrewatch", "listen", "--source", f"file:{clip}?pace=max"]
        command += ["--mqtt", broker.url, "--node", "box"]
        answer = subprocess.run(command, env=environment, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
        seen = watcher.settled()
    assert "Traceback" not in answer.stderr
    assert answer.stderr.count("no space left on device") == 1
    assert any("silence" in message.payload for message in seen if message.topic.endswith("/state"))


def test_two_daemons_cannot_be_the_same_node(environment):
    command = [
        sys.executable,
        "-m",
        "genrewatch",
        "listen",
        "--source",
        "cmd:sleep 600?rate=8000",
        "--mqtt",
        "mqtt://127.0.0.1:1",
    ]
    first = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    for line in first.stderr:
        if b"sources:" in line:
            break
    second = run("--source", "cmd:sleep 600?rate=8000", "--mqtt", "mqtt://127.0.0.1:1", environment=environment)
    first.terminate()
    first.communicate(timeout=10)
    assert second.returncode == 2
    assert "another genrewatch runs as gw-" in second.stderr
