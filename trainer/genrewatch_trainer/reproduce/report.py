"""The summary as a page of Markdown: every number comes from the summary; parts that were not measured are omitted."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from genrewatch_trainer.reproduce import paper
from genrewatch_trainer.reproduce.markdown import fewer_points, percent, table
from genrewatch_trainer.reproduce.tables import audio, confidence, confusions, mfcc, splits, table_ii

FIGURES = {
    "sound.png": "Waveform and power spectrum of one clip.",
    "mel_spectrograms.png": "Log-mel of one clip of each genre.",
    "curves.png": "Loss and accuracy by epoch.",
    "confusion_random.png": "Confusion by majority vote, random split; counts over all seeds.",
    "confusion_fault_filtered.png": "Confusion by majority vote, fault-filtered split; counts over all seeds.",
    "confusion_artist.png": "Confusion by majority vote, artist-filtered folds together.",
    "roc.png": "ROC of each genre against the rest, clips by mean posterior, all seeds together.",
    "seconds_heard.png": "Clip accuracy by how many seconds of a clip are used.",
    "risk_coverage.png": "Error rate by share of clips answered; the vote of eq. 2 is one point.",
    "reliability.png": "Accuracy by the network's confidence, as trained, without a temperature.",
}
SPLITS_IN_WORDS = {"fault_filtered": "On the fault-filtered split", "artist": "On three artist-filtered folds"}


def page(summary: Mapping[str, Any], command: str, drawn: Sequence[str]) -> str:
    """Return the report; `drawn` names the figures that are there."""
    sections = [
        "# The paper, reproduced",
        _result(summary),
        *_method(summary, command),
        splits(summary),
        confusions(summary),
        table_ii(summary),
        _paper(summary),
        mfcc(summary),
        audio(summary),
        confidence(summary),
        _figures(drawn),
        _runs(summary),
        _missing(summary),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _result(summary: Mapping[str, Any]) -> str:
    votes = {key: split["metrics"]["clip_accuracy_vote"] for key, split in summary["splits"].items()}
    if "random" not in votes:
        return ""
    random = 100 * votes["random"]["mean"]
    lines = [
        f"The paper reports {summary['paper']['cnn_percent']} % for its network with majority vote on a random 70/30 "
        f"split. The same network, trained as described there, gives **{percent(votes['random'])} %** here, with "
        f"refusals counted as errors: {fewer_points(summary['paper']['cnn_percent'] - random)}."
    ]
    lines += [
        f"{words}, it gives **{percent(votes[key])} %**: {fewer_points(random - 100 * votes[key]['mean'])} than on "
        "the random split."
        for key, words in SPLITS_IN_WORDS.items()
        if key in votes
    ]
    return "\n".join(lines)


def _method(summary: Mapping[str, Any], command: str) -> Iterator[str]:
    store, network = summary["store"], summary["network"].get("random")
    yield (
        f"Made by `{command}` from {store['clips']} clips of {len(store['labels'])} genres ({store['provenance']}). "
        "± is the standard deviation over seeds. Text and tables are generated from [summary.json](summary.json)."
    )
    if network:
        yield (
            "The network is the paper's: five blocks of 3x3 convolution, ReLU, 2x2 max-pooling and dropout 0.2 with "
            f"16-32-64-128-256 filters, one dense layer, Adam at 0.001, batches of 32, {network['epochs']} epochs of "
            "one random crop per clip, no augmentation. The paper has no validation part, so the last epoch is "
            "evaluated, and no choice is made on the test part. The input here has "
            f"{network['frames']} frames x {network['rows']} bands ({network['segment_s']:.2f} s) instead of the "
            "paper's 660 x 128, because the corpus is stored in this geometry. Segments of a clip are "
            f"{network['hop_s']:.2f} s apart."
        )
    if groups := store["repeats"]:
        yield (
            f"{len(groups)} groups of clips have the same log-mel, and no group is on both sides of a split. Inexact "
            "repeats are unknown and possible."
        )


def _paper(summary: Mapping[str, Any]) -> str:
    if "random" not in summary["splits"]:
        return ""
    split = summary["splits"]["random"]
    metrics, genres = split["metrics"], split["genres"]
    lines = [
        f"- Accuracy of a single prediction, before the vote: {paper.CNN_SINGLE_PERCENT} %. Here one segment gives "
        f"{percent(metrics['segment_accuracy'])} %, the mean posterior of a clip "
        f"{percent(metrics['clip_accuracy_mean'])} %."
    ]
    if "blues" in genres:
        lines.append(
            f"- Recall of blues: {paper.BLUES_RECALL_PERCENT} %. Here: {100 * genres['blues']['recall']:.0f} % by vote."
        )
    lines += [
        f"- Most frequent confusions: {'; '.join(paper.CONFUSIONS)}. Those found here are listed under *Genres*.",
        f"- Training: {paper.ITERATIONS:,} iterations with batches of {paper.BATCH} in {paper.EPOCHS} epochs on "
        f"{paper.GPU}, that is one crop per training clip and epoch, as here.",
    ]
    return "\n".join(["## Further figures of the paper", "", *lines])


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
    columns = ["run", "trained on", "clips", "epoch evaluated", "training accuracy, %", "minutes", "backend"]
    curves = "The run for the curves holds the validation part out and is in no other table."
    note = f"\n\n{curves}" if any(run["name"].startswith("curves") for run in summary["runs"]) else ""
    return f"## Runs\n\n{table(columns, rows)}{note}"


def _missing(summary: Mapping[str, Any]) -> str:
    if not summary["missing_runs"]:
        return ""
    return (
        "Not included, because the fit or another fold of the same seed is not finished: "
        f"{', '.join(summary['missing_runs'])}."
    )
