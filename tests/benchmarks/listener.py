"""Accuracy on later songs after a simulated listener has corrected k wrong spells, learned as by `genrewatch learn`.

    python tests/benchmarks/listener.py BUNDLE STORE[:SCHEME:PART] ... --png curves.png

The bundle must not have learned the songs of the stores. Each song is a spell. In each trial 60 % of the artists are
heard earlier; of the spells that the bundle gets wrong there, k are corrected; the songs of the other artists are
later. A head that `learn` refuses leaves the bundle's own in use. Needs the extra `train`.
"""

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import argparse
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genrewatch.contract.bundle import Bundle, load_bundle
from genrewatch.contract.vote import NOT_MUSIC
from genrewatch.history.feature_means import FeatureMeans
from genrewatch.history.feature_store import decoded, encoded
from genrewatch.inference.head import Head, read_head
from genrewatch.learning.corrected_spells import CorrectedSpell
from genrewatch.learning.refit import fit, is_right, measure
from genrewatch_trainer.adaptation.clip_features import clip_features
from genrewatch_trainer.data.splits import parts_of
from genrewatch_trainer.data.store import Store

COUNTS, NOISES = (5, 20, 50), (0.0, 0.2, 1.0)
EARLIER = 0.6
VECTORS = 8
SONG_MS = 240_000


@dataclass(frozen=True, kw_only=True, eq=False)
class Song:
    """A song with its segments, and the spell that the device would keep of it."""

    group: str
    segments: NDArray[np.float32]
    spell: CorrectedSpell


def songs(bundle: Bundle, wanted: str, first: int) -> list[Song]:
    """Return the songs of `STORE` or `STORE:SCHEME:PART`."""
    path, _, part = wanted.partition(":")
    store = Store.load(Path(path))
    scheme, _, name = part.partition(":")
    parts = parts_of(store.index, scheme, seed=0) if part else {}
    chosen = [i for i, clip in enumerate(store.index.clips) if not part or parts.get(clip.name) == name]
    clips, found = clip_features(bundle, store, chosen), []
    for i, segments in enumerate(clips.features):
        means = FeatureMeans(VECTORS)
        for segment in segments:
            means.add(segment)
        vectors = decoded(encoded(means.means()), len(means.means()))
        spell = CorrectedSpell(seq=first + i + 1, source="a", label=clips.labels[i], start_ms=0, vectors=vectors)
        found.append(Song(group=f"{path} {clips.groups[i]}", segments=segments, spell=spell))
    return found


def right(head: Head, labels: Sequence[str], song: Song) -> bool:
    """Return whether the mean posterior over the song's segments is right."""
    return is_right(head, labels, replace(song.spell, vectors=song.segments))


def trial(bundle: Bundle, all_songs: list[Song], seed: int, limits: tuple[float, float]) -> dict[tuple, dict]:
    """Return (noise, k) -> result of one split into earlier and later artists."""
    rng, labels, old = np.random.default_rng(seed), bundle.manifest.labels, read_head(bundle.model)
    artists = rng.permutation(sorted({song.group for song in all_songs}))
    earlier = set(artists[: round(EARLIER * len(artists))])
    later = [song for song in all_songs if song.group not in earlier]
    heard = [song for song in all_songs if song.group in earlier]
    played = [heard[i] for i in rng.permutation(len(heard))]
    spells = [replace(song.spell, seq=n + 1, start_ms=n * SONG_MS) for n, song in enumerate(played)]
    wrong = [spells[i] for i in rng.permutation(len(spells)) if not right(old, labels, played[i])]
    found = {(0.0, 0): {"head": old, "accepted": True, "spells": 0}}
    for noise in NOISES:
        genres = [label for label in labels if label != NOT_MUSIC]
        named = [
            replace(spell, label=rng.choice([other for other in genres if other != spell.label]))
            if rng.random() < noise
            else spell
            for spell in wrong
        ]
        for count in COUNTS:
            spells = sorted(named[:count], key=lambda spell: spell.seq)
            new = fit(bundle.summary, labels, spells)
            figures = measure(old, new, bundle.summary, labels, spells)
            accepted = figures.refusal(*limits) is None
            found[noise, count] = {"head": new if accepted else old, "accepted": accepted, "figures": figures}
            found[noise, count]["spells"] = len(spells)
    for result in found.values():
        result["right"] = [(song.spell.label, right(result["head"], labels, song)) for song in later]
    return found


def print_table(results: list[dict[tuple, dict]]) -> dict[tuple, tuple[float, float]]:
    """Print the tables, and return (noise, k) -> mean and deviation of the accuracy."""
    accuracies = {}
    print("| wrong corrections | k | corrected | accepted | held-out gain, points | summary, points | right later |")
    print("|---|---|---|---|---|---|---|")
    for key in results[0]:
        ones = [result[key] for result in results]
        later = [np.mean([hit for _, hit in one["right"]]) for one in ones]
        accuracies[key] = float(np.mean(later)), float(np.std(later))
        figures = [one["figures"] for one in ones if "figures" in one]
        gain = f"{100 * np.mean([f.after - f.before for f in figures]):+.0f}" if figures else "-"
        loss = f"{100 * np.mean([f.summary_after - f.summary_before for f in figures]):+.1f}" if figures else "-"
        spells, accepted = np.mean([one["spells"] for one in ones]), sum(one["accepted"] for one in ones)
        share = f"{100 * accuracies[key][0]:.0f} ± {100 * accuracies[key][1]:.0f} %"
        print(f"| {key[0]:.0%} | {key[1]} | {spells:.0f} | {accepted} of {len(ones)} | {gain} | {loss} | {share} |")
    keys = [key for key in results[0] if key[0] == 0]
    print("\n| genre | " + " | ".join(f"k = {key[1]}" for key in keys) + " |\n|---|" + "---|" * len(keys))
    for genre in sorted({label for label, _ in results[0][keys[0]]["right"]}):
        hits = [[hit for one in results for label, hit in one[key]["right"] if label == genre] for key in keys]
        print(f"| {genre} | " + " | ".join(f"{np.mean(each):.0%}" for each in hits) + " |")
    return accuracies


def draw(accuracies: dict[tuple, tuple[float, float]], path: Path) -> None:
    """Draw accuracy by k, a line for each share of wrong corrections."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    lines = defaultdict(list)
    for noise in NOISES:
        lines[noise] = [(0, *accuracies[0.0, 0])] + [(count, *accuracies[noise, count]) for count in COUNTS]
    figure, axes = pyplot.subplots(figsize=(6, 3.6), dpi=120)
    for noise, points in lines.items():
        counts, mean, deviation = np.array(points).T
        axes.errorbar(counts, 100 * mean, 100 * deviation, marker="o", capsize=3, label=f"{noise:.0%} wrong")
    axes.set(xlabel="corrected spells", ylabel="later songs right, %", xticks=[0, *COUNTS])
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Software": None})


def main() -> None:
    """Print and draw the curves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("stores", nargs="+", metavar="STORE[:SCHEME:PART]")
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--max-loss", type=float, default=5.0)
    parser.add_argument("--min-gain", type=float, default=20.0)
    parser.add_argument("--png", type=Path)
    parsed = parser.parse_args()
    bundle, found = load_bundle(parsed.bundle), list[Song]()
    for wanted in parsed.stores:
        found += songs(bundle, wanted, len(found))
    limits = parsed.max_loss, parsed.min_gain
    results = [trial(bundle, found, seed, limits) for seed in range(parsed.trials)]
    accuracies = print_table(results)
    if parsed.png:
        draw(accuracies, parsed.png)


if __name__ == "__main__":
    main()
