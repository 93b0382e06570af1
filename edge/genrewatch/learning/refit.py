"""A new head from the summary of a bundle and corrected spells, and the figures by which it is accepted or refused.

A label's weight is shared between its centres and its corrected spells: the more spells, the greater their part.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.summary import FeatureSummary
from genrewatch.inference.classifier import softmax
from genrewatch.inference.head import Head
from genrewatch.learning.corrected_spells import CorrectedSpell, groups
from genrewatch.learning.regression import fit_head

STRENGTH = 0.3
"""scikit-learn's C, for labels of weight 1. Chosen, as the next two, by `tests/benchmarks/listener.py`."""
HALF_AT = 10
"""Corrected spells of a label that weigh as much as its centres."""
MOST = 0.75
"""Largest part of a label's weight that corrected spells get."""
FEWEST_SPELLS = 5
FEWEST_OF_A_NEW_LABEL = 5
MOST_FOLDS = 8


@dataclass(frozen=True, kw_only=True)
class Figures:
    """The gain and the loss of a new head."""

    spells: int
    groups: int
    held_out: str
    """What was held out together: days or stretches."""
    before: float
    """Share of the corrected spells that the head of the bundle gets right."""
    after: float
    """Share that heads get right which were fitted without the group of the spell."""
    summary_before: float
    """Share of the bundle's summary that its own head gets right."""
    summary_after: float
    """Share that the new head gets right."""

    def refusal(self, max_loss: float, min_gain: float) -> str | None:
        """Return why the head is refused; None if it is accepted. Both limits are points, 0 to 100."""
        loss, gain = 100 * (self.summary_before - self.summary_after), 100 * (self.after - self.before)
        if loss > max_loss:
            return f"it loses {loss:.1f} points on the bundle's summary, at most {max_loss:g} are allowed"
        if gain < min_gain:
            return f"it gains {gain:.1f} points on held-out corrections, at least {min_gain:g} are wanted"
        return None


def labels_to_learn(labels: Sequence[str], spells: Sequence[CorrectedSpell]) -> tuple[tuple[str, ...], list[str]]:
    """Return the labels of the new head, and those of too few spells to be learned."""
    counts = Counter(spell.label for spell in spells if spell.label not in labels)
    new = sorted(label for label, count in counts.items() if count >= FEWEST_OF_A_NEW_LABEL)
    return (*labels, *new), sorted(counts.keys() - set(new))


def fit(summary: FeatureSummary, labels: Sequence[str], spells: Sequence[CorrectedSpell]) -> Head:
    """Fit a head on all centres and spells; a label without centres weighs as much as the others."""
    counts = Counter(spell.label for spell in spells)
    known = {labels[i] for i in summary.labels}
    part = {label: min(MOST, n / (n + HALF_AT)) if label in known else 1.0 for label, n in counts.items()}
    totals = np.bincount(summary.labels, summary.shares, len(labels))
    kept = np.array([1 - part.get(label, 0.0) for label in labels])
    features, ids = [summary.centres], [summary.labels.astype(np.int64)]
    weights = [summary.shares / totals[summary.labels] * kept[summary.labels]]
    for spell in spells:
        n = len(spell.vectors)
        features.append(spell.vectors)
        ids.append(np.full(n, labels.index(spell.label)))
        weights.append(np.full(n, part[spell.label] / counts[spell.label] / n))
    return fit_head(np.concatenate(features), np.concatenate(ids), np.concatenate(weights), len(labels), STRENGTH)


def measure(
    old: Head, new: Head, summary: FeatureSummary, labels: Sequence[str], spells: list[CorrectedSpell]
) -> Figures:
    """Compare the heads on the summary, and cross-validate on the spells, whose groups are held out together."""
    group, what = groups(spells)
    names = np.random.default_rng(0).permutation(np.unique(group))
    right = np.zeros(len(spells), bool)
    for held_out in np.array_split(names, min(MOST_FOLDS, len(names))):
        out = np.isin(group, held_out)
        head = fit(summary, labels, [spell for spell, is_out in zip(spells, out, strict=True) if not is_out])
        for i in np.flatnonzero(out):
            right[i] = is_right(head, labels, spells[i])
    return Figures(
        spells=len(spells),
        groups=len(names),
        held_out=what,
        before=float(np.mean([is_right(old, labels, spell) for spell in spells])),
        after=float(right.mean()),
        summary_before=_summary_right(old, summary),
        summary_after=_summary_right(new, summary),
    )


def is_right(head: Head, labels: Sequence[str], spell: CorrectedSpell) -> bool:
    """Return whether the label of the greatest mean posterior is that of the spell."""
    return labels[int(posteriors(head, spell.vectors).mean(axis=0).argmax())] == spell.label


def posteriors(head: Head, features: NDArray[np.float32], temperature: float = 1.0) -> NDArray[np.float32]:
    """Return the posteriors (n, n_labels) of features (n, n_features)."""
    return softmax((features @ head.weights.T + head.offsets) / np.float32(temperature))


def matching_temperature(old: Head, temperature: float, new: Head, summary: FeatureSummary) -> float:
    """Return the temperature at which the new head is as sure of the bundle's summary as the old one is."""
    wanted = _sureness(old, temperature, summary)
    low, high = np.log(0.02), np.log(50.0)
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if _sureness(new, float(np.exp(middle)), summary) > wanted else (low, middle)
    return round(float(np.exp((low + high) / 2)), 4)


def _sureness(head: Head, temperature: float, summary: FeatureSummary) -> float:
    best = posteriors(head, summary.centres, temperature).max(axis=1)
    return float(np.average(best, weights=summary.shares))


def _summary_right(head: Head, summary: FeatureSummary) -> float:
    found = (summary.centres @ head.weights.T + head.offsets).argmax(axis=1)
    return float(np.average(found == summary.labels, weights=summary.shares))
