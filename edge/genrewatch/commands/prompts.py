"""Questions on the terminal, or answers piped in: an empty answer, and the end of the input, mean the default."""

import getpass
import sys


class Prompts:
    """Asks questions; with `defaults` it takes every default without asking."""

    def __init__(self, *, defaults: bool = False) -> None:
        self._defaults = defaults

    @property
    def live(self) -> bool:
        """True if a person sees the output while it is written."""
        return not self._defaults and sys.stdin.isatty() and sys.stdout.isatty()

    def ask(self, question: str, default: str = "") -> str:
        """Return the answer, without white space around it."""
        text = f"{question} [{default}]: " if default else f"{question}: "
        if self._defaults:
            print(f"{text}{default}")
            return default
        print(text, end="", flush=True)
        answer = sys.stdin.readline()
        if not answer.endswith("\n") or not sys.stdin.isatty():
            print(answer.strip())
        return answer.strip() or default

    def secret(self, question: str) -> str:
        """Return the answer, which is not shown."""
        if self._defaults:
            return ""
        if self.live:
            return getpass.getpass(f"{question}: ")
        print(f"{question}:")
        return sys.stdin.readline().rstrip("\n")

    def confirm(self, question: str, *, default: bool) -> bool:
        """Return the answer to a question of yes or no."""
        answer = self.ask(f"{question} ({'Y/n' if default else 'y/N'})").lower()
        return default if answer not in ("y", "yes", "n", "no") else answer in ("y", "yes")
