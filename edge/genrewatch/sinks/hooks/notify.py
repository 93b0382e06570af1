"""A hook's notification: by Apprise to phones and mail (ntfy, Telegram, SMTP and many more), extra `notify`.

Apprise runs in a child process, so that the daemon stays small and no service can hold it up. The addresses, which are
secrets, are passed on standard input, never on the command line.
"""

import importlib.util
import json
import subprocess
import sys
from collections.abc import Sequence

from genrewatch.contract.errors import ConfigError
from genrewatch.host.environment import child_environment
from genrewatch.sinks.events import Event
from genrewatch.sinks.hooks.action import Outcome
from genrewatch.sinks.hooks.command import Command
from genrewatch.sinks.hooks.rendering import Rendering

WORDS = (sys.executable, "-P", "-m", "genrewatch.sinks.hooks.apprise_child")
CHECK_S = 30.0


class Notification:
    """See `Action`."""

    def __init__(self, urls: Sequence[str], rendering: Rendering, timeout_s: float) -> None:
        self._urls, self._rendering = list(urls), rendering
        self._command = Command(WORDS, timeout_s)

    def run(self, event: Event, body: bytes) -> Outcome:
        """See `Action`."""
        request = {"urls": self._urls, "title": self._rendering.title(body), "body": self._rendering.text(body)}
        return self._command.run(event, json.dumps(request).encode())

    def stop(self) -> None:
        """See `Action`."""
        self._command.stop()


def check_urls(urls: Sequence[str], key: str) -> None:
    """Raise ConfigError naming `key` where Apprise is not installed or does not know an address."""
    if importlib.util.find_spec("apprise") is None:
        raise ConfigError(key, "Apprise is not installed", "pip install 'genrewatch[notify]'")
    request = json.dumps({"urls": list(urls), "check": True})
    try:
        done = subprocess.run(
            WORDS, input=request, capture_output=True, text=True, timeout=CHECK_S, env=child_environment(), check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return  # a machine under load; a wrong address shows when it is used
    if done.returncode:
        raise ConfigError(key, done.stderr.strip().rpartition("\n")[2], "Apprise URLs, as ntfy://TOPIC")
