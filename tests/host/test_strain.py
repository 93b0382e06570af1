"""Strain on the machine is read from a tree of files; without those files there is nothing to say."""

from pathlib import Path

import pytest

from genrewatch.host.strain import PRESSURE, THROTTLED, strain_problems, written_mb


@pytest.fixture
def pi(tmp_path: Path) -> Path:
    """A Raspberry Pi that is well."""
    put(tmp_path, THROTTLED, "0\n")
    put(tmp_path, "sys/class/thermal/thermal_zone0/type", "cpu-thermal\n")
    put(tmp_path, "sys/class/thermal/thermal_zone0/temp", "61200\n")
    memory = "some avg10=40.00 avg60=40.00 avg300=9.00 total=1\nfull avg10=9.00 avg60=2.50 avg300=0.00 total=1\n"
    put(tmp_path, PRESSURE, memory)
    put(tmp_path, "proc/self/io", "rchar: 9\nwrite_bytes: 5001216\ncancelled_write_bytes: 7\n")
    return tmp_path


def put(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


def test_a_machine_that_is_well_or_not_known_has_no_line(pi, tmp_path):
    assert strain_problems(pi) == []
    assert strain_problems(tmp_path / "nothing") == []
    assert written_mb(pi) == 5.001
    assert written_mb(tmp_path / "nothing") is None


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        (THROTTLED, "50005\n", ["under-voltage", "throttled"]),
        (THROTTLED, "0x8\n", ["near its limit of temperature"]),
        (THROTTLED, "50000\n", []),  # since the last boot, not now
        ("sys/class/thermal/thermal_zone0/temp", "86400\n", ["hot, 86 °C"]),
        (PRESSURE, "full avg10=0.00 avg60=31.40 avg300=0.00 total=1\n", ["memory is short", "31 %"]),
    ],
)
def test_what_is_wrong_is_a_line(pi, name, text, expected):
    put(pi, name, text)
    found = " / ".join(strain_problems(pi))
    assert bool(found) == bool(expected)
    assert all(part in found for part in expected)


@pytest.mark.parametrize("name", [THROTTLED, PRESSURE, "sys/class/thermal/thermal_zone0/temp", "proc/self/io"])
@pytest.mark.parametrize("text", ["", "\n\n", "full\n", "full avg60=\n", "x y=z\n", "\udcff", "write_bytes: x\n"])
def test_files_with_other_contents_are_left_out(pi, name, text):
    put(pi, name, "")
    (pi / name).write_bytes(text.encode(errors="surrogateescape"))
    assert strain_problems(pi) == []
    written_mb(pi)
