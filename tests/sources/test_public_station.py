"""A public station in a network namespace of its own: what its playlists, redirects and cameras lead to stays public.

Loopback has a public address there, 8.8.8.8, and a private one, 10.0.0.1, on which nothing may be asked for.
"""

import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

SET_UP = 'ip link set lo up && ip addr add 8.8.8.8/32 dev lo && ip addr add 10.0.0.1/32 dev lo && exec "$@"'
PROGRAM = Path(__file__).with_name("public_station.py")


def inside(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a new network namespace."""
    return subprocess.run(
        ["unshare", "--map-root-user", "--net", "sh", "-c", SET_UP, "sh", *command],
        capture_output=True,
        text=True,
        timeout=60,
    )


@cache
def possible() -> bool:
    try:
        return inside("true").returncode == 0
    except OSError:
        return False


pytestmark = pytest.mark.skipif(not possible(), reason="no network namespace can be made here")


@pytest.mark.parametrize(
    ("page", "options", "expected"),
    [
        ("/playlist", "", "10.0.0.1 is a private address (private=yes lets"),
        ("/redirect", "", "10.0.0.1 is a private address (private=yes lets"),
        ("/segments", "", "10.0.0.1 is a private address (private=yes lets"),
        ("/key", "", "10.0.0.1 is a private address (private=yes lets"),
        ("/camera", "", "a redirect inside RTSP or MMSH is not followed"),
        ("/windows", "", "a redirect inside RTSP or MMSH is not followed"),
        ("/playlist", "#private=yes", "asked"),
        ("/redirect", "#private=yes", "asked"),
        ("/camera", "#private=yes", "asked"),
        ("/windows", "#private=yes", "asked"),
    ],
)
def test_what_a_public_station_leads_to_is_asked_for_only_where_that_is_allowed(page, options, expected):
    ended = inside(sys.executable, str(PROGRAM), page, options)
    assert ended.returncode == 0, ended.stderr
    *reason, asked = ended.stdout.splitlines()
    if expected == "asked":
        assert asked == "asked"
    else:
        assert expected in reason[0]
        assert asked == "not asked"
