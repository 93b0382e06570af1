"""Streaming music-genre classification for small devices.

The names in `__all__` are the Python interface; everything else may change between versions.

>>> import numpy as np
>>> import genrewatch
>>> pipeline = genrewatch.open_bundle()                       # the shipped model; or open_bundle("my-bundle")
>>> genrewatch.classify(np.zeros(22_050 * 30), 22_050, pipeline).verdict.reason
'silence'
>>> for result in genrewatch.listen("demo:?pace=max&loop=no", pipeline):
...     if result.verdict.genre:                              # None while refused, silent or warming up
...         print(f"{result.verdict.genre} after {result.end_s:.1f} s")
...         break                                             # doctest: +ELLIPSIS
classical after ... s

`classify_file(path, pipeline)` classifies a sound file, and `listen("http://...", pipeline)` a radio station.
Importing this package is cheap: the names are loaded when they are first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genrewatch.api import Classification, classify, classify_file, listen, open_bundle
    from genrewatch.contract.errors import BundleError, ConfigError, DataError, GenrewatchError, SourceError
    from genrewatch.contract.vote import Verdict
    from genrewatch.inference.pipeline import Pipeline, SegmentResult

__version__ = "0.5.0"

__all__ = [
    "BundleError",
    "Classification",
    "ConfigError",
    "DataError",
    "GenrewatchError",
    "Pipeline",
    "SegmentResult",
    "SourceError",
    "Verdict",
    "__version__",
    "classify",
    "classify_file",
    "listen",
    "open_bundle",
]

_HOMES = {
    "genrewatch.api": ("Classification", "classify", "classify_file", "listen", "open_bundle"),
    "genrewatch.contract.errors": ("BundleError", "ConfigError", "DataError", "GenrewatchError", "SourceError"),
    "genrewatch.contract.vote": ("Verdict",),
    "genrewatch.inference.pipeline": ("Pipeline", "SegmentResult"),
}


def __getattr__(name: str) -> Any:
    """Import a public name from the module that defines it (PEP 562), so that child processes stay small."""
    from importlib import import_module

    for module, names in _HOMES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module 'genrewatch' has no attribute {name!r}")


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(__all__)
