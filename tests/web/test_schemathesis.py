"""Schemathesis makes requests from the OpenAPI description, good and bad, and compares our answers with it."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from tests.history.rig import spell
from tests.web.rig import NODE, Served, served

from genrewatch.history.database import database_path
from genrewatch.history.store import HistoryStore
from genrewatch.sinks.mqtt.config import MqttConfig
from genrewatch.sinks.web import doctor

schemathesis = pytest.importorskip("schemathesis")
from schemathesis.specs.openapi.checks import positive_data_acceptance  # noqa: E402

EXCLUDED = [positive_data_acceptance]
"""A description cannot say that `until` must come after `since`, or that a source must exist."""
NEVER_ENDS = "/events"
SETTINGS = settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    directory = tmp_path_factory.mktemp("state")
    store = HistoryStore(database_path(directory, NODE), NODE, deliver=False)
    store.append([spell("rock", start_s=10.0 * n) for n in range(3)], [])
    store.close()
    (directory / "bundles" / "other").mkdir(parents=True)
    mqtt = MqttConfig(heartbeat_s=1, bundles=str(directory / "bundles"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doctor, "CODE", "")
        with served(history=database_path(directory, NODE), mqtt=mqtt) as running:
            yield running


@pytest.fixture(scope="module")
def operations(node: Served) -> dict[str, Any]:
    schema = schemathesis.openapi.from_dict(node.get("api/v1/openapi.json").json)
    found = (result.ok() for result in schema.get_all_operations())
    return {operation.label: operation for operation in found if operation.path != NEVER_ENDS}


@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.name.lower())
def test_every_answer_is_as_described(node: Served, operations: dict[str, Any], mode: Any) -> None:
    assert len(operations) > 15
    checked = 0
    for operation in operations.values():

        @SETTINGS
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case: Any) -> None:
            case.call_and_validate(base_url=node.url + "api/v1", excluded_checks=EXCLUDED)

        with suppress(Unsatisfiable):  # a request without parameters cannot be wrong
            check()
            checked += 1
    assert checked >= 8
