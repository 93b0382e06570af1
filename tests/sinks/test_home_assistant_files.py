"""The blueprints and the card for Home Assistant use triggers, entities and words that the discovery announces."""

import re
from pathlib import Path
from typing import Any

import pytest
from tests.sinks.test_home_assistant import DEVICE, everything

from genrewatch.contract.bundle import load_bundle
from genrewatch.contract.verdict_text import verdict_texts
from genrewatch.daemon.config import SHIPPED_BUNDLE

yaml = pytest.importorskip("yaml")
FOLDER = Path(__file__).parents[2] / "deploy" / "home_assistant"


class Loader(yaml.SafeLoader):  # type: ignore[misc, name-defined]
    """YAML with Home Assistant's `!input`."""


Loader.add_constructor("!input", lambda loader, node: f"!input {node.value}")


def blueprint(name: str) -> dict[str, Any]:
    content: dict[str, Any] = yaml.load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"), Loader)
    return content


def inputs_used(content: object) -> set[str]:
    return set(re.findall(r"!input (\w+)", repr(content)))


@pytest.mark.parametrize("name", ["alarm_blueprint", "genre_blueprint"])
def test_every_input_of_a_blueprint_is_declared_and_used(name: str) -> None:
    content = blueprint(name)
    assert inputs_used(content) == set(content["blueprint"]["input"])


def test_the_triggers_of_the_alarm_are_announced() -> None:
    announced = {
        (what["subtype"], what["type"]): what["payload"]
        for what in everything(DEVICE).values()
        if what["platform"] == "device_automation"
    }
    for trigger in blueprint("alarm_blueprint")["triggers"]:
        assert announced[trigger["subtype"], trigger["type"]] == trigger["id"]


def test_the_genres_of_the_blueprint_are_states_of_the_sensor() -> None:
    options = blueprint("genre_blueprint")["blueprint"]["input"]["genres"]["selector"]["select"]["options"]
    assert set(options) <= set(verdict_texts(load_bundle(SHIPPED_BUNDLE).manifest.labels))


def test_the_entities_of_the_card_are_announced() -> None:
    text = (FOLDER / "card.yaml").read_text(encoding="utf-8")
    used = set(re.findall(r"\b\w+\.genrewatch_bar_\w+", text))
    announced = {what.get("default_entity_id", "").replace("gw_1", "bar") for what in everything(DEVICE).values()}
    assert len(used) >= 6
    assert used <= announced
    assert yaml.safe_load(text)["type"] == "vertical-stack"
