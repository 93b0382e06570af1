"""The inputs of `genrewatch listen`: the bundle, and the sources with their pipelines."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from genrewatch.contract.errors import ConfigError, require
from genrewatch.daemon.config import ListenConfig
from genrewatch.daemon.source_state import SourceSetup
from genrewatch.host.hidden_paths import require_visible
from genrewatch.inference.bundle_check import open_checked_pipeline
from genrewatch.inference.pipeline import Pipeline
from genrewatch.sources.kinds import name_for_people, open_sources, restarts
from genrewatch.sources.source import Source
from genrewatch.sources.uri import SourceConfig


def names(setups: Sequence[SourceSetup]) -> dict[str, str]:
    """Return the display names by source id."""
    return {setup.source.id: setup.name for setup in setups}


def open_configured_bundle(config: ListenConfig, file: Path | None) -> Pipeline:
    """Open and check the bundle; raises GenrewatchError that names the file."""
    require_visible(config.bundle_path, f"{file}: bundle" if file else "bundle")
    try:
        features = config.history.keeps_features
        return open_checked_pipeline(config.bundle_path, config.vote.apply, config.level, features=features)
    except ConfigError as exc:  # whether [vote] of the file is possible depends on the bundle
        raise ConfigError(f"{file}: {exc.where}" if file else exc.where, exc.found, exc.expected) from None


def open_inputs(
    config: ListenConfig, pipeline: Pipeline, file: Path | None, *, retry_start: bool = False
) -> list[SourceSetup]:
    """Return each source, not yet started, with its pipeline; those of a file, or of several, may be absent at first.

    With `retry_start` all may.
    """
    several = file is not None or len(config.source) > 1
    sources = open_sources(config.source, retry_start=retry_start or several)
    setups = []
    for number, (source, wanted) in enumerate(zip(sources, config.source, strict=True)):
        try:
            setups.append(_setup(source, wanted, pipeline))
        except ConfigError as exc:
            where = f"source[{number}].{exc.where}"
            raise ConfigError(f"{file}: {where}" if file else where, exc.found, exc.expected) from None
    return setups


def pipeline_of_source(pipeline: Pipeline, wanted: SourceConfig) -> Pipeline:
    """Return the pipeline with the vote of one source; ConfigError where the bundle does not allow it."""
    return replace(pipeline, vote=wanted.vote.apply(pipeline.vote))


def _setup(source: Source, wanted: SourceConfig, pipeline: Pipeline) -> SourceSetup:
    adjusted, genres = pipeline_of_source(pipeline, wanted), pipeline.manifest.genres
    for genre in wanted.expected_genres:
        require(genre in genres, "expected_genres", repr(genre), "some of " + ", ".join(genres))
    return SourceSetup(
        source=source,
        pipeline=adjusted,
        name=name_for_people(wanted, source.id),
        reopen=partial(_reopen, replace(wanted, id=source.id)),
        restarts=restarts(wanted),
    )


def _reopen(config: SourceConfig) -> Source:
    """Open a source again; its device may be absent at first."""
    return open_sources([config], retry_start=True)[0]
