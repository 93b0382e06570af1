"""What a child starts in a session of its own is ended with the child, and reaped."""

import os
import subprocess
import sys
import textwrap

import pytest

from genrewatch.host.orphans import MARK, new_mark

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has subreapers")
PROGRAM = """
    import sys, time
    from pathlib import Path
    from genrewatch.host.orphans import adopt_orphans, reap_orphans
    from genrewatch.host.process import ChildProcess

    adopt_orphans()
    double_fork = (
        "import os, sys, time\\n"
        "if os.fork() == 0:\\n"
        "    os.setsid()\\n"
        "    if os.fork() == 0:\\n"
        "        open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(float(sys.argv[2]))\\n"
        "    os._exit(0)\\n"
        "time.sleep(600)"
    )
    child = ChildProcess([sys.executable, "-c", double_fork, sys.argv[1], sys.argv[2]])
    while not Path(sys.argv[1]).exists() or not Path(sys.argv[1]).read_text(): time.sleep(0.01)
    time.sleep(0.2)
    if sys.argv[2] == "600":
        child.end()
    else:
        reap_orphans()
    pid = Path(sys.argv[1]).read_text()
    print(Path("/proc/" + pid).exists())
    child.end()
"""


@pytest.mark.parametrize("seconds", ["600", "0.01"])
def test_a_process_that_detached_itself_is_gone(tmp_path, seconds):
    command = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(tmp_path / "pid"), seconds]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (answer.stdout, answer.stderr) == ("False\n", "")


def test_every_child_has_a_mark_of_its_own():
    assert new_mark() != new_mark()
    assert MARK not in os.environ
