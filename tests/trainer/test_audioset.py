"""The teacher of AudioSet taggers: genre scores, log-mel and errors; the networks are not here."""

from pathlib import Path

import numpy as np
import pytest

from genrewatch.contract.errors import ConfigError
from genrewatch_trainer.distillation.teachers.audioset import GENRES, genre_scores, main, mn04_log_mel, read_classes


def write_classes(path: Path, names: list[str]) -> Path:
    path.write_text("index,mid,display_name\n" + "".join(f'{i},/m/{i},"{name}"\n' for i, name in enumerate(names)))
    return path


def test_the_score_of_a_genre_is_its_greatest_logit(tmp_path: Path) -> None:
    names = ["Speech", *[name for group in GENRES.values() for name in group]]
    classes = read_classes(write_classes(tmp_path / "labels.csv", names))
    logits = np.full(len(names), -9, np.float32)
    logits[[names.index("Opera"), names.index("Punk rock"), names.index("Grunge"), 0]] = -1, -3, -2, 5
    scores = dict(zip(GENRES, genre_scores(logits, classes), strict=True))
    assert scores == dict.fromkeys(GENRES, -9) | {"classical": -1, "rock": -2}


def test_classes_without_a_genre_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no class of blues"):
        read_classes(write_classes(tmp_path / "labels.csv", ["Speech"]))
    with pytest.raises(ConfigError, match="labels"):
        read_classes(tmp_path / "none" / "labels.csv")


def test_a_tone_is_in_its_band() -> None:
    hz = 1000 * np.array([1, 4])
    tones = [np.sin(2 * np.pi * f * np.arange(32_000) / 32_000).astype(np.float32) for f in hz]
    low, high = (mn04_log_mel(tone).mean(axis=1).argmax() for tone in tones)
    mel = 1127 * np.log(1 + np.array([*hz, 15_000]) / 700)
    assert mn04_log_mel(tones[0]).shape[0] == 128
    assert [low, high] == pytest.approx(list(129 * mel[:2] / mel[2] - 1), abs=1)


def test_a_missing_network_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "22050"]) == 2
    assert main([str(tmp_path), "22050", "100"]) == 2
    assert capsys.readouterr().err.count("\n") == 2
