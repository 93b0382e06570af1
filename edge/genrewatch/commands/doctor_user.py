"""The user as whom `genrewatch doctor` checks: what root can open may be closed to a service."""

import grp
import os
import pwd
import shlex
import sys
from pathlib import Path

from genrewatch.commands.checks import Check
from genrewatch.contract.errors import ConfigError, os_error_reason

SOUND_GROUP = "audio"
"""Group of the unit's `SupplementaryGroups=`, which may open sound cards."""
AS_SERVICE = (
    "systemd-run --pipe --wait -p User=genrewatch -p DynamicUser=yes -p SupplementaryGroups=audio "
    "-p StateDirectory=genrewatch -p EnvironmentFile=-/etc/genrewatch.env"
)


def as_service(file: Path | None) -> str:
    """Return the command that checks as a user whom systemd makes at the start of the service."""
    words = [str(Path(sys.executable).with_name("genrewatch")), "doctor", "--config", str(file or "FILE")]
    return f"{AS_SERVICE} {shlex.join(words)}"


def become(name: str, file: Path | None) -> None:
    """Give up root for another user with its groups and the sound cards' group; raises ConfigError."""
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        expected = f"a user of this machine; for one that systemd makes at the start: {as_service(file)}"
        raise ConfigError("--user", f"no user {name}", expected) from None
    try:
        groups = {*os.getgrouplist(name, user.pw_gid), *_sound_group()}
        if os.geteuid() != user.pw_uid:
            os.setgroups(sorted(groups))
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)
    except OSError as exc:
        raise ConfigError("--user", f"cannot become {name} ({os_error_reason(exc)})", "root, as by sudo") from None
    os.environ["HOME"] = user.pw_dir


def _sound_group() -> list[int]:
    try:
        return [grp.getgrnam(SOUND_GROUP).gr_gid]
    except KeyError:
        return []


def user_check(file: Path) -> Check:
    """Return as whom the checks are made; root is no proof that a service can do the same."""
    if os.geteuid() != 0:
        return Check(name="user", result="ok", detail=_name(os.geteuid()))
    detail = f"root, who may do more than a service: --user NAME checks as its user, or: {as_service(file)}"
    return Check(name="user", result="absent", detail=detail)


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
