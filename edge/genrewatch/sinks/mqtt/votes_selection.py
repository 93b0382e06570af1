"""The segments whose votes are published."""

from collections import Counter

from genrewatch.contract.vote import Verdict


class VotesSelection:
    """Selects every n-th segment of each source, or with 0 those at which its verdict changes."""

    def __init__(self, every: int) -> None:
        self._every = every
        self._seen: Counter[str] = Counter()
        self._answers: dict[str, tuple[str | None, str]] = {}

    def selects(self, source_id: str, verdict: Verdict) -> bool:
        """Return whether the votes of the next segment of a source are published; its first ones always are."""
        answer = verdict.genre, verdict.reason
        changed = self._answers.get(source_id) != answer
        self._answers[source_id] = answer
        number = self._seen[source_id]
        self._seen[source_id] += 1
        return number % self._every == 0 if self._every else changed
