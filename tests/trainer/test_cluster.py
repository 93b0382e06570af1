"""prepare and classify on a real Dask scheduler with two worker processes: the same bytes as on one machine."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sounds import tune, write_wav

from genrewatch.cli import main as genrewatch
from genrewatch_drill.servers.ports import free_port
from genrewatch_trainer import cluster as spreading
from genrewatch_trainer.cli import main

ROOT = Path(__file__).parents[2]
WAIT_S = 60


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a scheduler that two workers have joined; they run in a folder of their own."""
    from distributed import Client

    folder = tmp_path_factory.mktemp("dask")
    address = f"tcp://127.0.0.1:{free_port()}"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DASK_DISTRIBUTED__DIAGNOSTICS__NVML": "False"}
    environment |= {"DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "60s"}
    local = ["--no-dashboard"]
    run = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--host", address, *local]
    join = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny", *local]
    join += ["--host", "127.0.0.1"]
    processes = []
    with (folder / "log").open("wb") as log:
        try:
            for command in (run, join, join):
                processes.append(subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log))
            with Client(address, timeout=WAIT_S) as client:
                client.wait_for_workers(2, timeout=WAIT_S)
            yield address
        finally:
            for process in reversed(processes):
                process.kill()
                process.wait()


@pytest.mark.slow
def test_a_store_made_on_a_cluster_is_the_store_made_locally(
    scheduler: str, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(corpus.parent)  # the workers are elsewhere: a relative path must not be theirs
    printed = []
    for name, where in (("local", ["--jobs", "1"]), ("spread", ["--cluster", scheduler])):
        command = ["prepare", corpus.name, "-o", str(tmp_path / name), "--front-end", "compact", *where]
        assert main(command) == 0
        captured = capsys.readouterr()
        printed.append(captured.out.replace(name, "store"))
        assert "broken.wav" in captured.err
    assert printed[0] == printed[1]
    for file in ("power_db.npy", "store.json"):
        assert (tmp_path / "local" / file).read_bytes() == (tmp_path / "spread" / file).read_bytes()


@pytest.mark.slow
def test_classify_on_a_cluster_prints_what_the_device_prints(
    scheduler: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for seed in range(3):
        write_wav(tmp_path / "sounds" / f"{seed}.wav", tune(12, seed=seed)) if seed else (tmp_path / "sounds").mkdir()
    (tmp_path / "sounds" / "broken.wav").write_text("this is text")
    assert genrewatch(["classify", "sounds", "--json", "--timeline"]) == 1
    local = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert main(["classify", "sounds", "--json", "--timeline", "--cluster", scheduler]) == 1
    spread = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line for line in spread if "error" not in line] == [line for line in local if "error" not in line]
    assert [line["path"] for line in spread] == [line["path"] for line in local]
    assert "cannot be decoded" in spread[-1]["error"]


def test_workers_of_another_version_are_refused(
    scheduler: str, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spreading, "__version__", "99.0")
    assert main(["prepare", str(corpus), "-o", str(tmp_path / "s"), "--cluster", scheduler]) == 2
    assert "has genrewatch 0" in capsys.readouterr().err
    assert not (tmp_path / "s").exists()


def test_no_cluster_is_one_line(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spreading, "CONNECT_S", 1)
    for address in (f"tcp://127.0.0.1:{free_port()}", "nonsense"):
        assert main(["prepare", str(corpus), "-o", str(tmp_path / "s"), "--cluster", address]) == 2
        error = capsys.readouterr().err.splitlines()[-1]
        assert error.startswith(f"genrewatch-train: --cluster: no Dask scheduler at {address}")
        assert not (tmp_path / "s").exists()


def test_without_dask_the_extra_that_brings_it_is_named(
    corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main(["prepare", str(corpus), "-o", str(tmp_path / "s"), "--cluster", "tcp://127.0.0.1:1"]) == 2
    assert "pip install 'genrewatch[cluster]'" in capsys.readouterr().err
