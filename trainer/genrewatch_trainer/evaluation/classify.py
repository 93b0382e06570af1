"""The device's `genrewatch classify` over an archive, on a Dask cluster; each file goes through the device's own code.

It is part of the lab because the device must not depend on joblib and Dask.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from joblib import delayed

from genrewatch.commands.classify import Classified, classify_file
from genrewatch.daemon.config import ListenConfig
from genrewatch.inference.pipeline import Pipeline, open_pipeline
from genrewatch_trainer.cluster import parallel


def classify_on(cluster: str, paths: Sequence[Path], config: ListenConfig) -> Iterator[Classified]:
    """Classify files in order on a Dask cluster; see `genrewatch_trainer.cluster.parallel`."""
    open_pipeline(
        config.bundle_path, config.vote.apply, config.level
    )  # fails here, not on a worker, if the bundle is wrong
    with parallel(jobs=-1, cluster=cluster) as run:
        for path, classified in zip(paths, run(delayed(_work)(path.absolute(), config) for path in paths), strict=True):
            yield replace(classified, path=path)


def _work(path: Path, config: ListenConfig) -> Classified:
    return classify_file(path, _worker_pipeline(config))


@cache
def _worker_pipeline(config: ListenConfig) -> Pipeline:
    """Return the pipeline of this worker; it is opened once, and threads take turns in its network."""
    return open_pipeline(config.bundle_path, config.vote.apply, config.level)
