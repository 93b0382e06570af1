"""What `genrewatch listen` can be told, in a TOML file; command-line options go before it, defaults after it."""

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
from genrewatch.sources.uri import SourceConfig


@dataclass(frozen=True, kw_only=True)
class ListenConfig:
    """The whole file."""

    node: str | None = None
    """This box's name in topics; default one that is made once and kept in the state directory."""
    bundle: str | None = None
    """Directory of the model; default the one that comes with genrewatch."""
    source: tuple[SourceConfig, ...] = ()
    """Where to listen; default `auto`."""
    vote: VoteOverrides = VoteOverrides()
    """How segments become a verdict."""
    level: LevelConfig = LevelConfig()
    """What counts as silence."""
    mqtt: MqttConfig = MqttConfig()
    """Where verdicts go."""
    history: HistoryConfig = HistoryConfig()
    """What is kept on disk."""
    hook: tuple[HookConfig, ...] = ()
    """What is run or called when something happens."""
    health_s: float = 30.0
    """Seconds between health messages."""

    def __post_init__(self) -> None:
        require(1 <= self.health_s <= 3600, "health_s", self.health_s, "1 to 3600")
        require(self.node is None or is_id(self.node), "node", repr(self.node), ID_CHARACTERS)

    @property
    def bundle_path(self) -> Path:
        """The bundle's directory."""
        return expand_home(self.bundle) if self.bundle else SHIPPED_BUNDLE


def load_config(path: Path | None) -> ListenConfig:
    """Reads a TOML file strictly; without one, the defaults. A file with a password must be its owner's alone."""
    if path is None:
        return ListenConfig()
    config = decode(ListenConfig, read_toml(path), where=str(path))
    if config.mqtt.password is not None and (mode := path.stat().st_mode & 0o777) & 0o077:
        expected = f"chmod 600 {path}, {PASSWORD_VARIABLE}, or systemd's LoadCredential={PASSWORD_CREDENTIAL}:FILE"
        raise ConfigError(f"{path}: mqtt.password", f"others of this machine can read it (mode {mode:o})", expected)
    return config
