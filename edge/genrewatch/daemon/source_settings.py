"""Settings that commands have changed: kept in the persistent state, and applied over those of the configuration."""

import logging
from collections.abc import Collection, Mapping

from genrewatch.contract.errors import ConfigError
from genrewatch.host.persistent_state import PersistentState
from genrewatch.inference.pipeline import Pipeline
from genrewatch.inference.settings import Value, parse_setting, settings_of, with_settings

SETTINGS_KEY = "settings"
"""Key of the persistent state: by source id, the values that commands have set."""

log = logging.getLogger("genrewatch")


class SourceSettings:
    """The changed settings of a node's sources; its methods are called in the main thread."""

    def __init__(self, settable: Collection[str], persistent_state: PersistentState) -> None:
        """`settable` are the keys that the configuration allows; values of others are kept and not applied."""
        self._settable, self._persistent_state = settable, persistent_state

    def allow(self, settable: Collection[str]) -> None:
        """Allow commands to change these settings from now on."""
        self._settable = settable

    def apply(self, source_id: str, pipeline: Pipeline) -> Pipeline:
        """Return a pipeline with the changed settings of a source."""
        kept = self._kept().get(source_id, {})
        values = {key: parse_setting(key, str(value)) for key, value in kept.items() if key in self._settable}
        return with_settings(pipeline, {key: value for key, value in values.items() if value is not None})

    def change(self, source_id: str, key: str, value: Value, pipeline: Pipeline) -> Pipeline:
        """Return a pipeline with another setting, and keep it; one that is impossible is logged and changes nothing."""
        try:
            changed = with_settings(pipeline, {key: value})
        except ConfigError as exc:
            log.error("%s: %s", source_id, exc)
            return pipeline
        kept = self._kept()
        self._persistent_state.put(SETTINGS_KEY, {**kept, source_id: {**kept.get(source_id, {}), key: value}})
        log.info("%s: %s is set to %s", source_id, key, value)
        return changed

    def shown(self, pipeline: Pipeline) -> dict[str, Value]:
        """Return the present values of the settings that commands can change."""
        return {key: value for key, value in settings_of(pipeline).items() if key in self._settable}

    def _kept(self) -> Mapping[str, dict[str, Value]]:
        kept: dict[str, dict[str, Value]] = self._persistent_state.get(SETTINGS_KEY, {})
        return kept
