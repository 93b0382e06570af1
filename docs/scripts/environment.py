"""The reference of environment variables: the names are found in the source, their meanings are kept here."""

import ast
import importlib.util
import re
from pathlib import Path

from docs.scripts.markdown import code, page, table

PACKAGES = ("genrewatch", "genrewatch_trainer", "genrewatch_export")
OURS, ANY = re.compile(r"GENREWATCH_[A-Z_]+"), re.compile(r"[A-Z]+(_[A-Z]+)+")
INTERNAL = {"GENREWATCH_SYSTEM_ROOT"}
"""Variables that only tests set."""

MEANINGS = {
    "GENREWATCH_MQTT_USERNAME": "User name for the broker. Replaces `mqtt.username`.",
    "GENREWATCH_MQTT_PASSWORD": "Password for the broker. Replaces `mqtt.password`. No child process or hook gets it.",
    "GENREWATCH_WEB_PASSWORD": "Password of the page. Replaces `web.password`. No child process or hook gets it.",
    "CREDENTIALS_DIRECTORY": "Set by systemd: the directory of its credentials, `mqtt_username`, `mqtt_password`, "
    "`web_password`.",
    "GENREWATCH_STATE": "State directory: the node's id, its persistent state and the history.",
    "STATE_DIRECTORY": "Set by systemd (`StateDirectory=`): the state directory when `GENREWATCH_STATE` is not set.",
    "JOURNAL_STREAM": "Set by systemd where standard error is the journal: the default of `--log-format` is `journal`.",
    "NOTIFY_SOCKET": "Set by systemd (`Type=notify`): the socket for reports that it is ready, and its status.",
    "WATCHDOG_USEC": "Set by systemd (`WatchdogSec=`): the longest time between two reports of progress.",
    "WATCHDOG_PID": "Set by systemd: the process that `WATCHDOG_USEC` is meant for.",
    "XDG_STATE_HOME": "The state directory is `genrewatch` below it when neither is set. Default `~/.local/state`.",
    "SSL_CERT_FILE": "PEM file of the authorities that stations' certificates need. Default the system's.",
    "GENREWATCH_EVENT": "Set for the command of a hook: the type of the event.",
    "GENREWATCH_SOURCE": "Set for the command of a hook: the id of the source.",
    "GENREWATCH_GENRE": "Set for the command of a hook: the genre, empty without one.",
    "GENREWATCH_CHILD": "Set for every child process: a mark by which what it leaves behind is found and ended.",
    "MALLOC_ARENA_MAX": "Set for ffmpeg, so that its threads reserve little address space.",
    "KERAS_BACKEND": "Backend of Keras: `tensorflow` (default of the export), `jax` or `torch`.",
    "TF_CPP_MIN_LOG_LEVEL": "Log lines of TensorFlow: 0 is all of them, 3 none. Not set: none.",
}

INTRODUCTION = """\
All are optional. Login variables, systemd's credentials and the keys of the configuration file are tried in this order.
"""


class UndescribedVariable(Exception):
    """The code reads a variable that has no meaning here, or the reverse."""


def environment_page() -> str:
    """Return the page of environment variables; raises UndescribedVariable."""
    found = variables()
    if differing := set(found) ^ set(MEANINGS):
        text = ", ".join(sorted(differing))
        raise UndescribedVariable(f"{text}: the code and docs/scripts/environment.py do not name the same variables")
    rows = [(code(name), meaning, ", ".join(map(code, found[name]))) for name, meaning in MEANINGS.items()]
    return page("Environment variables", INTRODUCTION, table(("variable", "meaning", "used in"), rows))


def variables() -> dict[str, list[str]]:
    """Return each environment variable that the packages use, with the modules that name it."""
    found: dict[str, list[str]] = {}
    for package in PACKAGES:
        for path in _modules(package):
            module = ".".join([package, *path.with_suffix("").parts]).removesuffix(".__init__")
            for name in sorted(names(_source(package, path)) - INTERNAL):
                found.setdefault(name, []).append(module)
    return found


def names(source: str) -> set[str]:
    """Return the variables that a module names: our own anywhere, others where the module reads the environment."""
    pattern = ANY if "environ" in source else OURS
    constants = (node.value for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Constant))
    return {text for text in constants if isinstance(text, str) and pattern.fullmatch(text)}


def _root(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    return Path(spec.origin or "").parent


def _modules(package: str) -> list[Path]:
    root = _root(package)
    return sorted(path.relative_to(root) for path in root.rglob("*.py"))


def _source(package: str, path: Path) -> str:
    return (_root(package) / path).read_text(encoding="utf-8")
