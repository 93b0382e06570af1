"""The configuration file of `genrewatch listen`; command-line options override it."""

from dataclasses import dataclass
from pathlib import Path

from genrewatch.audio.level import LevelConfig
from genrewatch.contract.decode import decode, read_toml
from genrewatch.contract.errors import ConfigError, require
from genrewatch.contract.ids import ID_CHARACTERS, is_id
from genrewatch.contract.vote import VoteOverrides
from genrewatch.history.config import HistoryConfig
from genrewatch.host.paths import SHIPPED_BUNDLE, expand_home
from genrewatch.sinks.hooks.config import HookConfig
from genrewatch.sinks.mqtt.config import PASSWORD_CREDENTIAL, PASSWORD_VARIABLE, MqttConfig
from genrewatch.sinks.web.config import PASSWORD_CREDENTIAL as WEB_CREDENTIAL
from genrewatch.sinks.web.config import PASSWORD_VARIABLE as WEB_VARIABLE
from genrewatch.sinks.web.config import WebConfig
from genrewatch.sources.uri import SourceConfig


@dataclass(frozen=True, kw_only=True)
class ListenConfig:
    """The settings of the whole file."""

    node: str | None = None
    """Id of this node in topics; default one that is created once and kept in the state directory."""
    bundle: str | None = None
    """Directory of the model; default the shipped bundle."""
    source: tuple[SourceConfig, ...] = ()
    """Sources to listen to, one table each; default one with `uri = "auto"`."""
    vote: VoteOverrides = VoteOverrides()
    """The vote; each key replaces the default of the bundle."""
    level: LevelConfig = LevelConfig()
    """Limits of silence and dead air."""
    mqtt: MqttConfig = MqttConfig()
    """The broker, and what is published."""
    history: HistoryConfig = HistoryConfig()
    """The history on disk, in the state directory."""
    web: WebConfig = WebConfig()
    """The page, the API and the metrics."""
    hook: tuple[HookConfig, ...] = ()
    """Commands to run, URLs to call or notifications to send on events, a table each: `command`, `url` or `notify`."""
    health_s: float = 30.0
    """Seconds between health messages, 1 to 3600."""

    def __post_init__(self) -> None:
        require(1 <= self.health_s <= 3600, "health_s", self.health_s, "1 to 3600")
        kept = self.history.enabled or not self.mqtt.corrections
        require(kept, "mqtt.corrections", "true without a history", "false, or history.enabled = true")
        require(self.node is None or is_id(self.node), "node", repr(self.node), ID_CHARACTERS)

    @property
    def bundle_path(self) -> Path:
        """Directory of the bundle."""
        return expand_home(self.bundle) if self.bundle else SHIPPED_BUNDLE


def load_config(path: Path | None) -> ListenConfig:
    """Read a TOML file strictly; without one, return the defaults.

    Raises ConfigError for an unknown key, a wrong value, and a file with a password that other users can read.
    """
    if path is None:
        return ListenConfig()
    _require_permission(path)
    config = decode(ListenConfig, read_toml(path), where=str(path))
    for key, password, variable, credential in (
        ("mqtt.password", config.mqtt.password, PASSWORD_VARIABLE, PASSWORD_CREDENTIAL),
        ("web.password", config.web.password, WEB_VARIABLE, WEB_CREDENTIAL),
    ):
        if password is not None and (mode := path.stat().st_mode & 0o777) & 0o077:
            expected = f"chmod 600 {path}, {variable}, or the credential {credential} of the service (docs/service.md)"
            raise ConfigError(f"{path}: {key}", f"other users of this machine can read it (mode {mode:o})", expected)
    return config


def _require_permission(path: Path) -> None:
    """Raise ConfigError for a file that this user may not read; what else can be wrong with it is found later."""
    try:
        path.open("rb").close()
    except PermissionError:
        expected = "chmod 644, and passwords not in it but in the credentials of the unit (docs/service.md)"
        raise ConfigError(str(path), "this user may not read it", expected) from None
    except OSError:
        pass
