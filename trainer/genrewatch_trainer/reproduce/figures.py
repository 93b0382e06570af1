"""The PNGs of the report, in Okabe and Ito's colours for colour-blind readers; lines also differ in style or marker."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from genrewatch.contract.front_end import FrontEndConfig, PowerDb, Samples, mel_edges
from genrewatch_trainer.files import atomic_file
from genrewatch_trainer.reproduce.measures import DurationAccuracy, Reliability, Roc
from genrewatch_trainer.training.epoch_log import Row

BLUE, ORANGE, GREEN, RED, BLACK = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#000000"
STYLES = ((BLUE, "-", "o"), (RED, "--", "s"), (GREEN, "-.", "^"), (ORANGE, ":", "D"))
"""Colour, line and marker of the first, second, ... curve."""
DPI = 110
SPECTROGRAM_DPI = 75
SPECTRUM_FFT = 8192
SPECTRUM_FLOOR_DB = -120.0
LEAST_COVERAGE = 0.05  # below it a risk is that of a handful of clips
FREQUENCY_TICKS = (128, 512, 2048, 8192)


def draw_sound(path: Path, samples: Samples, sample_rate: int, name: str) -> None:
    """Draw waveform and power spectrum (mean of Hann-tapered stretches, dB re full scale) of one clip."""
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    wave, spectrum = figure.subplots(2, 1)
    wave.plot(np.arange(len(samples)) / sample_rate, samples, color=BLUE, linewidth=0.3)
    wave.set(xlabel="time (s)", ylabel="amplitude (full scale = 1)", title=name, xlim=(0, len(samples) / sample_rate))
    hz, power_db = power_spectrum(samples, sample_rate)
    spectrum.semilogx(hz[1:], power_db[1:], color=BLUE, linewidth=0.8)
    spectrum.set(xlabel="frequency (Hz)", ylabel="power (dB re full scale)", xlim=(20, sample_rate / 2))
    spectrum.grid(alpha=0.3, which="both")
    _save(figure, path)


def power_spectrum(samples: Samples, sample_rate: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return frequencies in Hz and mean power in dB; a full-scale sine has a peak of 0 dB."""
    n = min(SPECTRUM_FFT, len(samples))
    taper = np.hanning(n + 1)[:-1]
    starts = range(0, len(samples) - n + 1, max(1, n // 2))
    power = np.mean([np.abs(np.fft.rfft(samples[s : s + n] * taper)) ** 2 for s in starts], axis=0)
    power_db = 10 * np.log10(np.maximum(power * (2 / taper.sum()) ** 2, 10 ** (SPECTRUM_FLOOR_DB / 10)))
    return np.asarray(np.fft.rfftfreq(n, 1 / sample_rate), np.float64), np.asarray(power_db, np.float64)


def draw_spectrograms(path: Path, clips: Mapping[str, PowerDb], front_end: FrontEndConfig) -> None:
    """Draw one log-mel per genre, title -> (n_frames, n_mels) dB, relative to its own loudest cell."""
    columns = min(5, len(clips))
    rows = -(-len(clips) // columns)
    figure = Figure(figsize=(2.6 * columns + 1, 2.3 * rows + 0.6), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    image: Any = None
    for axes in grid.flat[len(clips) :]:
        axes.set_visible(False)
    for axes, (title, clip) in zip(grid.flat, clips.items(), strict=False):
        seconds = len(clip) * front_end.hop_length / front_end.sample_rate
        image = axes.imshow(
            (clip - clip.max()).T,
            origin="lower",
            aspect="auto",
            cmap="viridis",
            vmin=-front_end.range_db,
            vmax=0,
            extent=(0, seconds, 0, front_end.n_mels),
        )
        axes.set_title(title, fontsize=10)
    ticks = [hz for hz in FREQUENCY_TICKS if front_end.fmin < hz < front_end.fmax]
    bands = np.interp(ticks, mel_edges(front_end)[1:-1], np.arange(front_end.n_mels) + 0.5)
    grid[0, 0].set_yticks(bands, [str(hz) for hz in ticks])
    figure.supxlabel("time (s)", fontsize=10)
    figure.supylabel("frequency (Hz, mel scale)", fontsize=10)
    figure.colorbar(image, ax=grid, label="dB below the loudest cell")
    _save(figure, path, dpi=SPECTROGRAM_DPI)


def draw_curves(path: Path, rows: Sequence[Row], title: str) -> None:
    """Draw loss and accuracy by epoch, of the training and of the held-out clips if there are any."""
    figure = Figure(figsize=(9, 3.8), layout="constrained")
    for axes, quantity, unit in zip(figure.subplots(1, 2), ("loss", "accuracy"), ("nats", "share"), strict=True):
        lines = {quantity: "training segments", f"val_{quantity}": "segments held out"}
        lines |= {f"val_clip_{quantity}": "clips held out, mean posterior"}
        for (key, name), (colour, line, _) in zip(lines.items(), STYLES, strict=False):
            if key in rows[0]:
                axes.plot([r["epoch"] for r in rows], [r[key] for r in rows], line, color=colour, label=name)
        axes.set(xlabel="epoch", ylabel=f"{quantity} ({unit})")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    figure.axes[0].set_ylim(bottom=0)
    figure.axes[1].set_ylim(0, 1)
    figure.suptitle(title, fontsize=11)
    _save(figure, path)


def draw_roc(path: Path, curves: Mapping[str, Mapping[str, Roc]]) -> None:
    """Draw a panel per split with a curve per genre, areas in the legend."""
    figure = Figure(figsize=(5.2 * len(curves), 4.8), layout="constrained")
    colours = (BLUE, ORANGE, GREEN, RED, BLACK)
    for axes, (title, of_genre) in zip(
        figure.subplots(1, len(curves), squeeze=False).flat, curves.items(), strict=True
    ):
        for number, (genre, roc) in enumerate(of_genre.items()):
            line = ("-", "--", ":")[number // len(colours) % 3]
            colour = colours[number % len(colours)]
            label = f"{genre} {roc.auc:.3f}"
            axes.plot(roc.false_rate, roc.true_rate, line, color=colour, linewidth=1.4, label=label)
        axes.plot([0, 1], [0, 1], color="0.6", linewidth=0.8)
        axes.set(
            xlabel="false positive rate", ylabel="true positive rate", title=title, xlim=(-0.01, 1), ylim=(0, 1.01)
        )
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8, title="area under the curve", loc="lower right")
    _save(figure, path)


def draw_seconds(path: Path, rows: Mapping[str, Sequence[DurationAccuracy]]) -> None:
    """Draw accuracy by duration, a colour per split, by mean posterior and by vote."""
    figure = Figure(figsize=(7, 4.4), layout="constrained")
    axes = figure.subplots()
    for (title, by_duration), (colour, _, marker) in zip(rows.items(), STYLES, strict=False):
        seconds = [row.seconds for row in by_duration]
        axes.plot(
            seconds, [r.by_mean for r in by_duration], "-" + marker, color=colour, label=f"{title}, mean posterior"
        )
        axes.plot(
            seconds,
            [r.by_vote for r in by_duration],
            "--" + marker,
            color=colour,
            markerfacecolor="white",
            label=f"{title}, majority vote",
        )
    axes.set(
        xlabel="seconds of the clip used", ylabel="clip accuracy (refusals are errors)", xlim=(0, None), ylim=(0, 1)
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="lower right")
    _save(figure, path)


def draw_risk(
    path: Path,
    curves: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]],
    votes: Mapping[str, tuple[float, float]],
) -> None:
    """Draw errors among the covered by coverage; a marker shows (coverage, risk) of the majority vote."""
    figure = Figure(figsize=(6.5, 4.4), layout="constrained")
    axes = figure.subplots()
    for (title, (coverage, risk)), (colour, line, marker) in zip(curves.items(), STYLES, strict=False):
        shown = coverage >= LEAST_COVERAGE
        axes.plot(coverage[shown], risk[shown], line, color=colour, label=f"{title}, most confident first")
        axes.plot(*votes[title], marker, color=colour, markersize=9, linestyle="none", label=f"{title}, majority vote")
    axes.set(xlabel="coverage (share of clips answered)", ylabel="risk (errors among the answered)")
    axes.set(xlim=(0, 1.02), ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="upper left")
    _save(figure, path)


def draw_reliability(path: Path, of_split: Mapping[str, Reliability]) -> None:
    """Draw the share of right answers by confidence, and the number of answers per bin."""
    figure = Figure(figsize=(5.5, 6), layout="constrained")
    axes, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    axes.plot([0, 1], [0, 1], color="0.5", linewidth=0.8, label="perfect")
    for (title, found), (colour, line, marker) in zip(of_split.items(), STYLES, strict=False):
        axes.plot(found.confidence, found.accuracy, line + marker, color=colour, markersize=5, label=title)
        below.plot(found.confidence, found.count / found.count.sum(), line + marker, color=colour, markersize=5)
    axes.set(ylabel="share of right segments", ylim=(0, 1), xlim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    below.set(xlabel="confidence (greatest posterior of a segment)", ylabel="share of all", ylim=(0, None))
    below.grid(alpha=0.3)
    _save(figure, path)


def _save(figure: Figure, path: Path, dpi: int = DPI) -> None:
    with atomic_file(path) as beside:
        figure.savefig(beside, dpi=dpi)
