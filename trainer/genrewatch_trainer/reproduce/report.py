"""The summary as a page: every number of the text comes from it, and what was not measured is not spoken of."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

TITLES = {
    "random": "random 70/30, by clip (the paper's)",
    "fault_filtered": "fault-filtered",
    "artist": "artist-filtered, 3 folds",
}
FIGURES = {
    "sound.png": "Waveform and power spectrum of one clip.",
    "mel_spectrograms.png": "Log-mel of one clip of each genre.",
    "curves.png": "Loss and accuracy by epoch.",
    "confusion_random.png": "Confusion by majority vote, random split; counts over all seeds.",
    "confusion_fault_filtered.png": "Confusion by majority vote, fault-filtered split; counts over all seeds.",
    "confusion_artist.png": "Confusion by majority vote, artist-filtered folds together.",
    "roc.png": "ROC of each genre against the rest, clips by mean posterior, all seeds together.",
    "seconds_heard.png": "Clip accuracy by how much of a clip is heard.",
    "risk_coverage.png": "Errors by how many clips are answered; the vote of eq. 2 is one point.",
    "reliability.png": "What the network's confidence is worth, as trained, without a temperature.",
}
COLUMNS = {
    "segment": "segment_accuracy",
    "clip, mean posterior": "clip_accuracy_mean",
    "**clip, vote (eq. 2)**": "clip_accuracy_vote",
    "coverage": "coverage",
    "vote, where covered": "accuracy_on_covered",
}


def page(summary: Mapping[str, Any], command: str, drawn: Sequence[str]) -> str:
    """Markdown; `drawn` names the figures that are there."""
    sections = [
        _head(summary, command),
        _splits(summary),
        _errors(summary),
        _table_ii(summary),
        _mfcc(summary),
        _audio(summary),
        _confidence(summary),
        _figures(drawn),
        _runs(summary),
        _missing(summary),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(summary: Mapping[str, Any], command: str) -> str:
    splits, store = summary["splits"], summary["store"]
    lines = ["# The paper, reproduced", ""]
    if "random" in splits:
        got, paper = _of("random", "clip_accuracy_vote", summary), summary["paper"]["cnn_percent"]
        short = paper - 100 * splits["random"]["metrics"]["clip_accuracy_vote"]["mean"]
        lines += [
            f"The paper reports {paper} % for its network and majority vote on a random 70/30 split. Its network, "
            f"trained as it says, gives **{got} %** here with refusals counted as errors, {_points(short)} than that.",
        ]
        for key, who in (
            ("fault_filtered", "without known faults"),
            ("artist", "by artist"),
        ):
            if key in splits:
                hidden = splits["random"]["metrics"]["clip_accuracy_vote"]["mean"]
                hidden -= splits[key]["metrics"]["clip_accuracy_vote"]["mean"]
                lines += [
                    f"Parted {who} ({TITLES[key]}), it gives **{_of(key, 'clip_accuracy_vote', summary)} %**: "
                    f"{_points(100 * hidden)}."
                ]
        lines += [""]
    lines += [
        f"Made by `{command}` from {store['clips']} clips of {len(store['labels'])} genres ({store['provenance']}). "
        f"± is the standard deviation over seeds; text and tables are written from [summary.json](summary.json).",
    ]
    network = summary["network"].get("random")
    if network:
        lines += [
            "",
            f"The network is the paper's: five blocks of 3x3 convolution, ReLU, 2x2 max-pooling and dropout 0.2 with "
            f"16-32-64-128-256 filters, one dense layer, Adam at 0.001, batches of 32, {network['epochs']} epochs of "
            f"one random crop a clip, no augmentation. The paper names no validation part, so the last epoch is "
            f"judged and nothing is chosen on the test part. Its input here is {network['frames']} frames x "
            f"{network['rows']} bands ({network['segment_s']:.2f} s), the geometry in which the corpus is stored, not "
            f"the paper's 660 x 128; "
            f"a clip is judged by segments every {network['hop_s']:.2f} s.",
        ]
    groups = store["repeats"]
    if groups:
        lines += [
            "",
            f"{len(groups)} groups of clips are the same recording, cell for cell; none is on two sides of a split. "
            "Repeats that are not exact are not known, and may be.",
        ]
    return "\n".join(lines)


def _splits(summary: Mapping[str, Any]) -> str:
    rows = [
        [TITLES[key], _percent(summary["artist_in_training"][key]), *_measured(summary["splits"][key])]
        for key in TITLES
        if key in summary["splits"]
    ]
    if not rows:
        return ""
    table = _table(["split", "artist known from training", "seeds", "test clips", *COLUMNS], rows)
    text = (
        "*Artist known from training* is the share of test clips with a clip of the same artist in the training part, "
        "as far as artists are known. "
        "A refusal (no genre with more than half of the segments' votes) is an error in the column *vote*; *coverage* "
        "is the share that is not refused, *where covered* the accuracy on that share. All in percent."
    )
    return f"## What the random split hides\n\n{table}\n\n{text}"


def _measured(split: Mapping[str, Any]) -> list[str]:
    metrics = split["metrics"]
    return [str(split["seeds"]), f"{metrics['n_clips']['mean']:.0f}", *(_percent(metrics[k]) for k in COLUMNS.values())]


def _errors(summary: Mapping[str, Any]) -> str:
    lines = []
    for key in TITLES:
        if key in summary["splits"]:
            split = summary["splits"][key]
            recall = sorted(
                ((row["recall"], genre) for genre, row in split["genres"].items() if genre != "mean"), reverse=True
            )
            worst = ", ".join(f"{c['true']} as {c['decided']} ({c['share']:.0%})" for c in split["confusions"])
            lines.append(
                f"- {TITLES[key]}: best {_recalls(recall[:3])}; worst {_recalls(recall[::-1][:3])}; "
                f"commonest confusions {worst or 'none'}."
            )
    return "\n".join(["## Which genres", "", "Recall by vote, a refusal being a miss:", "", *lines]) if lines else ""


def _recalls(pairs: Iterable[tuple[float, str]]) -> str:
    return ", ".join(f"{genre} {recall:.0%}" for recall, genre in pairs)


def _table_ii(summary: Mapping[str, Any]) -> str:
    keys = [key for key in TITLES if any(key in of_key for of_key in summary["table_ii"].values())]
    if not keys:
        return ""
    low, high = summary["paper"]["others_percent"]
    rows = [
        [method, f"{low}-{high}", *(_percent(of_key[key]) if key in of_key else "" for key in keys)]
        for method, of_key in summary["table_ii"].items()
    ]
    cnn = [_of(key, "clip_accuracy_vote", summary) if key in summary["splits"] else "" for key in keys]
    rows.append(["CNN, majority vote", str(summary["paper"]["cnn_percent"]), *cnn])
    seeds = max(len(of["values"]) for of_key in summary["table_ii"].values() for of in of_key.values())
    text = (
        f"Of the five classical classifiers the paper's figures are known here as a range only. They see the mean and "
        f"deviation of 20 MFCC of a clip and the deviation of their change; scaling is learned from the training part "
        f"alone, and what can be tuned is chosen by cross-validation inside it. They never refuse. Splits as the "
        f"network's, {seeds} seeds at most; the network's seeds are in the first table."
    )
    return f"## Table II\n\n{_table(['method', 'the paper', *(TITLES[k] for k in keys)], rows)}\n\n{text}"


def _mfcc(summary: Mapping[str, Any]) -> str:
    rows = []
    for key in ("random", "fault_filtered"):
        if f"mfcc-{key}" in summary["splits"] and key in summary["splits"]:
            rows += [
                [TITLES[key], name, *_measured(summary["splits"][which])]
                for name, which in (("log-mel", key), ("MFCC", f"mfcc-{key}"))
            ]
    if not rows:
        return ""
    n = next(net["rows"] for key, net in summary["network"].items() if key.startswith("mfcc-"))
    text = (
        f"The same network on {n} MFCC a frame (orthonormal DCT-II of the log-mel below the clip's loudest cell), each "
        f"scaled by its mean and deviation in the training part."
    )
    return (
        f"## MFCC in place of log-mel\n\n{_table(['split', 'input', 'seeds', 'test clips', *COLUMNS], rows)}\n\n{text}"
    )


def _audio(summary: Mapping[str, Any]) -> str:
    if "audio" not in summary["splits"]:
        return ""
    network, split = summary["network"]["audio"], summary["splits"]["audio"]
    run = next(run for run in summary["runs"] if run["name"].startswith("audio-"))
    n_train, n_test = run["n_train_clips"], split["metrics"]["n_clips"]["mean"]
    vote = split["metrics"]["clip_accuracy_vote"]["mean"]
    error = 100 * (vote * (1 - vote) / n_test) ** 0.5
    text = (
        f"The recipe `paper` as it stands, n_fft {network['n_fft']}, hop {network['hop_length']}, {network['rows']} x "
        f"{network['frames']}, from sound files through the device's decoder and front end: {n_train} clips to train "
        f"and {n_test:.0f} to test, {network['epochs']} epochs. This shows that the path works, not how good it is: so "
        f"few clips teach little, and one standard error is about {error:.0f} points."
    )
    table = _table(["split", "seeds", "test clips", *COLUMNS], [["random 70/30, by clip", *_measured(split)]])
    return f"## The paper's own front end\n\n{text}\n\n{table}"


def _confidence(summary: Mapping[str, Any]) -> str:
    keys = [key for key in TITLES if key in summary["splits"]]
    if not keys:
        return ""
    rows = []
    for key in keys:
        split = summary["splits"][key]
        auc, ece = split["auc_mean"], split["metrics"]["segment_ece"]
        rows.append(
            [
                TITLES[key],
                "" if auc is None else f"{auc:.3f}",
                f"{split['mean_risk']:.3f}",
                f"{ece['mean']:.3f}" + ("" if ece["sd"] is None else f" ± {ece['sd']:.3f}"),
            ]
        )
    table = _table(["split", "mean AUC, one genre against the rest", "risk, mean over coverages", "segment ECE"], rows)
    heard = "".join(
        f" {TITLES[key].capitalize()}: {100 * of[0]['by_mean']:.1f} % after {of[0]['seconds']:.1f} s, "
        f"{100 * of[-1]['by_mean']:.1f} % after {of[-1]['seconds']:.1f} s, by mean posterior."
        for key, of in summary["seconds_heard"].items()
    )
    return f"## Ranking, confidence, patience\n\n{table}" + (f"\n\nHow long to listen.{heard}" if heard else "")


def _figures(drawn: Sequence[str]) -> str:
    lines = [f"![{FIGURES[name]}]({name})\n\n*{FIGURES[name]}*" for name in FIGURES if name in drawn]
    return "\n\n".join(["## Figures", *lines]) if lines else ""


def _runs(summary: Mapping[str, Any]) -> str:
    rows = [
        [
            run["name"],
            f"{run['scheme']}: {', '.join(run['train_parts'])}",
            str(run["n_train_clips"]),
            f"{run['weights_of_epoch']} of {run['epochs']}",
            f"{100 * run['training_accuracy']:.1f}",
            f"{run['hours'] * 60:.0f}",
            run["versions"].get("backend", ""),
        ]
        for run in summary["runs"]
    ]
    if not rows:
        return ""
    columns = ["run", "trained on", "clips", "epoch judged", "training accuracy, %", "minutes", "backend"]
    curves = "The run for the curves keeps the validation part out, to show it, and is in no other table."
    note = f"\n\n{curves}" if any(run["name"].startswith("curves") for run in summary["runs"]) else ""
    return f"## Runs\n\n{_table(columns, rows)}{note}"


def _missing(summary: Mapping[str, Any]) -> str:
    if not summary["missing_runs"]:
        return ""
    return (
        f"In no figure above, because the fit or another fold of its seed is not finished: "
        f"{', '.join(summary['missing_runs'])}."
    )


def _of(key: str, metric: str, summary: Mapping[str, Any]) -> str:
    return _percent(summary["splits"][key]["metrics"][metric])


def _percent(spread: Mapping[str, Any]) -> str:
    mean = f"{100 * spread['mean']:.1f}"
    return mean if spread["sd"] is None else f"{mean} ± {100 * spread['sd']:.1f}"


def _points(fewer: float) -> str:
    return f"{abs(fewer):.1f} points {'less' if fewer >= 0 else 'more'}"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
