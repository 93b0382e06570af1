"""The bundle of `genrewatch listen`: chosen by `genrewatch bundle use`, else that of the configuration."""

import argparse
import logging

from genrewatch.commands.listen_inputs import open_configured_bundle
from genrewatch.contract.errors import GenrewatchError, require
from genrewatch.daemon.config import ListenConfig
from genrewatch.host.hidden_paths import require_visible
from genrewatch.host.node import state_directory
from genrewatch.host.paths import expand_home
from genrewatch.inference.bundle_check import open_checked_pipeline
from genrewatch.inference.pipeline import Pipeline
from genrewatch.learning.bundle_choice import CONFIGURED, BundleChoice, Bundles

log = logging.getLogger("genrewatch")


def open_first(config: ListenConfig, args: argparse.Namespace, choice: BundleChoice) -> Pipeline:
    """Return the pipeline of the chosen bundle, or of the configured one where there is none that can be used.

    A bundle of the command line stands over the choice. Raises GenrewatchError.
    """
    try:
        name = CONFIGURED if args.bundle is not None else choice.read()
        if name != CONFIGURED:
            pipeline = open_named(config, name)
            for genre in (genre for source in config.source for genre in source.expected_genres):
                require(genre in pipeline.manifest.genres, "expected_genres", repr(genre), f"a genre of bundle {name}")
            return pipeline
    except GenrewatchError as exc:
        log.error("the chosen bundle cannot be used, the configured one is: %s", exc)
    return open_configured_bundle(config, args.config)


def open_named(config: ListenConfig, name: str) -> Pipeline:
    """Return the pipeline of the bundle of a name; raises GenrewatchError."""
    others = None if config.mqtt.bundles is None else expand_home(config.mqtt.bundles)
    bundles = Bundles(state=state_directory(), configured=config.bundle_path, others=others)
    path = bundles.path(name)
    require_visible(path, f"bundle {name}")
    return open_checked_pipeline(path, config.vote.apply, config.level, features=config.history.keeps_features)
