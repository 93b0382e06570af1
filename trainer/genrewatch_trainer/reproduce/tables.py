"""The sections of the report that are a table and its explanation."""

from collections.abc import Iterable, Mapping
from typing import Any

from genrewatch_trainer.reproduce import paper
from genrewatch_trainer.reproduce.markdown import fraction, percent, table

TITLES = {
    "random": "random 70/30, by clip (the paper's)",
    "fault_filtered": "fault-filtered",
    "artist": "artist-filtered, 3 folds",
}
COLUMNS = {
    "segment": "segment_accuracy",
    "clip, mean posterior": "clip_accuracy_mean",
    "**clip, vote (eq. 2)**": "clip_accuracy_vote",
    "coverage": "coverage",
    "vote, where covered": "accuracy_on_covered",
}
N_BEST = 3


def splits(summary: Mapping[str, Any]) -> str:
    """Return the accuracies of each split."""
    rows = [
        [TITLES[key], percent(summary["artist_in_training"][key]), *_measured(summary["splits"][key])]
        for key in _keys(summary)
    ]
    if not rows:
        return ""
    text = (
        "*Artist in training* is the share of test clips whose artist also has a clip in the training part, as far as "
        "artists are known. A refusal (no genre has more than half of the segments' votes) is an error in the column "
        "*vote*. *Coverage* is the share of clips that are not refused, *where covered* the accuracy on those. All "
        "figures are percentages."
    )
    columns = ["split", "artist in training", "seeds", "test clips", *COLUMNS]
    return f"## Accuracy by split\n\n{table(columns, rows)}\n\n{text}"


def confusions(summary: Mapping[str, Any]) -> str:
    """Return the genres with the best and worst recall and the most frequent confusions of each split."""
    lines = []
    for key in _keys(summary):
        split = summary["splits"][key]
        rows = ((row["recall"], genre) for genre, row in split["genres"].items() if genre != "mean")
        recall = sorted(rows, reverse=True)
        pairs = ", ".join(f"{c['true']} as {c['decided']} ({c['share']:.0%})" for c in split["confusions"])
        lines.append(
            f"- {TITLES[key]}: best {_recalls(recall[:N_BEST])}; worst {_recalls(recall[::-1][:N_BEST])}; "
            f"most frequent confusions {pairs or 'none'}."
        )
    text = "Recall by vote; a refusal is a miss."
    return "\n".join(["## Genres", "", text, "", *lines]) if lines else ""


def table_ii(summary: Mapping[str, Any]) -> str:
    """Return the classical classifiers and the network beside the paper's figures."""
    found = summary["table_ii"]
    keys = [key for key in TITLES if any(key in of_key for of_key in found.values())]
    if not keys:
        return ""
    rows = [
        [method, f"{paper.CLASSIFIERS_PERCENT[method]:.2f}", *(percent(of[key]) if key in of else "" for key in keys)]
        for method, of in found.items()
    ]
    votes = {key: percent(split["metrics"]["clip_accuracy_vote"]) for key, split in summary["splits"].items()}
    rows.append(["CNN, majority vote", f"{paper.CNN_VOTE_PERCENT:.2f}", *(votes.get(key, "") for key in keys)])
    seeds = max(len(of["values"]) for of_key in found.values() for of in of_key.values())
    text = (
        "Accuracy in percent. The input of the five classifiers is the mean and deviation of 20 MFCC over a clip and "
        "the deviation of their change. Scaling is fitted on the training part only, parameters are chosen by "
        f"cross-validation inside it. They never refuse. Splits as for the network, at most {seeds} seeds; the "
        "network's seeds are in the first table."
    )
    return f"## Table II\n\n{table(['method', 'the paper', *(TITLES[key] for key in keys)], rows)}\n\n{text}"


def mfcc(summary: Mapping[str, Any]) -> str:
    """Return the comparison of MFCC and log-mel as the network's input."""
    rows = []
    for key in ("random", "fault_filtered"):
        if f"mfcc-{key}" in summary["splits"] and key in summary["splits"]:
            rows += [
                [TITLES[key], name, *_measured(summary["splits"][which])]
                for name, which in (("log-mel", key), ("MFCC", f"mfcc-{key}"))
            ]
    if not rows:
        return ""
    n = next(network["rows"] for key, network in summary["network"].items() if key.startswith("mfcc-"))
    text = (
        f"The same network on {n} MFCC per frame (orthonormal DCT-II of the log-mel relative to the clip's loudest "
        "cell), each scaled by its mean and deviation in the training part."
    )
    columns = ["split", "input", "seeds", "test clips", *COLUMNS]
    return f"## MFCC instead of log-mel\n\n{table(columns, rows)}\n\n{text}"


def audio(summary: Mapping[str, Any]) -> str:
    """Return the result of the paper's own front end on sound files."""
    if "audio" not in summary["splits"]:
        return ""
    network, split = summary["network"]["audio"], summary["splits"]["audio"]
    run = next(run for run in summary["runs"] if run["name"].startswith("audio-"))
    n_train, n_test = run["n_train_clips"], split["metrics"]["n_clips"]["mean"]
    vote = split["metrics"]["clip_accuracy_vote"]["mean"]
    error = 100 * (vote * (1 - vote) / n_test) ** 0.5
    text = (
        f"The recipe `paper` unchanged, n_fft {network['n_fft']}, hop {network['hop_length']}, {network['rows']} x "
        f"{network['frames']}, from sound files through the device's decoder and front end: {n_train} clips to train "
        f"and {n_test:.0f} to test, {network['epochs']} epochs. This checks the path, not the accuracy: there are few "
        f"clips, and one standard error is about {error:.0f} points."
    )
    rows = [["random 70/30, by clip", *_measured(split)]]
    return f"## The paper's own front end\n\n{text}\n\n{table(['split', 'seeds', 'test clips', *COLUMNS], rows)}"


def confidence(summary: Mapping[str, Any]) -> str:
    """Return ranking, risk and calibration of each split, and accuracy by duration."""
    rows = []
    for key in _keys(summary):
        split = summary["splits"][key]
        auc = split["auc_mean"]
        rows.append(
            [
                TITLES[key],
                "" if auc is None else f"{auc:.3f}",
                f"{split['mean_risk']:.3f}",
                fraction(split["metrics"]["segment_ece"]),
            ]
        )
    if not rows:
        return ""
    columns = ["split", "mean AUC, one genre against the rest", "mean risk over coverages", "segment ECE"]
    durations = "".join(
        f" {TITLES[key].capitalize()}: {100 * of[0]['by_mean']:.1f} % after {of[0]['seconds']:.1f} s, "
        f"{100 * of[-1]['by_mean']:.1f} % after {of[-1]['seconds']:.1f} s."
        for key, of in summary["seconds_heard"].items()
    )
    text = f"\n\nAccuracy by mean posterior and duration.{durations}" if durations else ""
    return f"## Ranking, confidence, duration\n\n{table(columns, rows)}{text}"


def _keys(summary: Mapping[str, Any]) -> list[str]:
    return [key for key in TITLES if key in summary["splits"]]


def _measured(split: Mapping[str, Any]) -> list[str]:
    metrics = split["metrics"]
    return [str(split["seeds"]), f"{metrics['n_clips']['mean']:.0f}", *(percent(metrics[k]) for k in COLUMNS.values())]


def _recalls(pairs: Iterable[tuple[float, str]]) -> str:
    return ", ".join(f"{genre} {recall:.0%}" for recall, genre in pairs)
