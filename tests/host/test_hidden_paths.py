"""Paths that a unit's sandbox hides are refused by name; the lines are those of a service under systemd 252."""

from pathlib import Path

import pytest

from genrewatch.contract.errors import ConfigError
from genrewatch.host.hidden_paths import require_visible

SERVICE = """\
170 155 0:49 /systemd/inaccessible/dir /home ro,nosuid,nodev,noexec shared:30 - tmpfs tmpfs rw
171 155 0:49 /systemd/inaccessible/dir /root ro,nosuid,nodev,noexec shared:31 - tmpfs tmpfs rw
172 155 254:0 /tmp/systemd-private-0123-genrewatch.service-abc/tmp /tmp rw,relatime shared:32 - ext4 /dev/vda rw
"""
PLAIN = "23 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n24 23 0:40 / /tmp rw - tmpfs tmpfs rw\n"


@pytest.fixture
def mounts(tmp_path):
    def written(text: str) -> Path:
        path = tmp_path / "mountinfo"
        path.write_text(text)
        return path

    return written


@pytest.mark.parametrize(
    ("path", "setting"),
    [("/home/pi/song.wav", "ProtectHome="), ("/root/x", "ProtectHome="), ("/tmp/snapfifo", "PrivateTmp=")],
)
def test_a_hidden_path_is_refused_with_the_setting_that_hides_it(path, setting, mounts):
    with pytest.raises(ConfigError, match=f"^bundle: {path} is hidden from the service \\({setting}"):
        require_visible(Path(path), "bundle", mounts(SERVICE))


def test_other_paths_and_other_processes_are_not_refused(mounts):
    for path in ("/srv/song.wav", "/homes/x", "/var/tmp/x"):
        require_visible(Path(path), "bundle", mounts(SERVICE))
    for path in ("/home/pi/song.wav", "/tmp/snapfifo"):
        require_visible(Path(path), "bundle", mounts(PLAIN))
        require_visible(Path(path), "bundle", Path("/absent"))
