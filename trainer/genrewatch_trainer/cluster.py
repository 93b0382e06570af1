"""Work file by file in parallel: on the cores of this machine, or on an existing Dask cluster.

Both go through joblib and call the same function on the same files; results come back in order. Workers of a cluster
must have this version of genrewatch installed and see the files under the same paths.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from genrewatch import __version__
from genrewatch.contract.errors import ConfigError, not_installed
from genrewatch.host.command_line import ignore_interrupts

CONNECT_S = 10


@contextmanager
def parallel(*, jobs: int, cluster: str | None) -> Iterator[Callable[[Iterable[Any]], Iterator[Any]]]:
    """Yield a function that runs joblib's delayed calls and iterates over their results in order.

    It uses `jobs` processes here (-1: one per core), or the workers of the Dask scheduler at `cluster`
    (tcp://HOST:PORT). Raises ConfigError where there is no cluster, it has no workers, or one of them has another
    version of genrewatch.
    """
    from joblib import Parallel, parallel_config

    if cluster is None:
        yield Parallel(n_jobs=jobs, return_as="generator", initializer=ignore_interrupts)
        return
    with _client(cluster), parallel_config(backend="dask"):
        yield Parallel(n_jobs=-1, return_as="generator")


@contextmanager
def _client(address: str) -> Iterator[None]:
    try:
        from distributed import Client
    except ModuleNotFoundError as exc:
        raise not_installed(exc, "cluster") from None
    try:
        client = Client(address, timeout=CONNECT_S)
    except (OSError, ValueError) as exc:
        raise ConfigError("--cluster", f"no Dask scheduler at {address} ({_brief(exc)})", "tcp://HOST:PORT") from None
    with client:
        _check_workers(client, address)
        yield


def _check_workers(client: Any, address: str) -> None:
    found = client.run(_version)
    if not found:
        raise ConfigError("--cluster", f"{address} has no workers", "dask worker " + address)
    for worker, version in found.items():
        if version != __version__:
            raise ConfigError("--cluster", f"worker {worker} has genrewatch {version}", __version__)


def _version() -> str:
    """Return this process's version; runs on a worker."""
    return __version__


def _brief(exc: Exception) -> str:
    return (str(exc).splitlines() or [type(exc).__name__])[0]
