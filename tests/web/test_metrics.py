"""`/metrics`: what the official parser and promtool accept, with the names that dashboards rely on."""

import subprocess
from collections.abc import Iterator

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as plain_families
from tests.sinks.mqtt_rig import JAZZ, SILENCE
from tests.web.rig import Served, later, served

from genrewatch.sinks.web.openmetrics import Family, exposition
from genrewatch.sources.source import NowPlaying
from genrewatch_drill.servers.programs import require_program

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
GAUGES = {
    *("source_up", "source_enabled", "verdict", "confidence_ratio", "level_dbfs", "peak_dbfs", "dead_air"),
    "source_bandwidth_hertz",
    *("clipped_ratio", "hop_factor", "waiting_seconds", "verdict_last_timestamp_seconds", "history_stored_spells"),
    *(
        "history_undeliverable_spells",
        "history_waiting_spells",
        "history_unsaved_spells",
        "mqtt_connected",
        "degraded",
        "cpu_temperature_celsius",
    ),
}
COUNTERS = {
    *("airtime_seconds", "heard_seconds", "lost_seconds", "segments", "ballots", "restarts", "events", "hook_runs"),
    *("history_dropped_spells", "mqtt_connections", "mqtt_dropped", "mqtt_commands", "mqtt_ignored", "written_bytes"),
}
LABELS = {"source", "name", "kind", "verdict", "cause", "label", "type", "hook", "result"}
LABELS |= {"version", "model", "model_version", "python"}


@pytest.fixture(scope="module")
def node() -> Iterator[Served]:
    with served(sources={"mic": 'Mic "1"\\\n', "radio": "Radio"}) as running:
        running.sink.on_now_playing("radio", NowPlaying(station="Secret FM", title="A title"))
        running.play("mic", later(JAZZ, 1))
        running.play("radio", later(SILENCE, 1))
        yield running


def test_the_official_parser_reads_openmetrics(node: Served) -> None:
    answer = node.get("metrics", Accept=OPENMETRICS)
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
    found = {family.name: family for family in openmetrics_families(answer.body.decode())}
    assert {f"genrewatch_{name}" for name in (*GAUGES, *COUNTERS, "build", "source")} == {
        name for name in found if name.startswith("genrewatch_")
    }
    assert {found[f"genrewatch_{name}"].type for name in COUNTERS} == {"counter"}
    assert {found[f"genrewatch_{name}"].type for name in GAUGES} == {"gauge"}
    assert found["genrewatch_build"].type == "info"
    assert {"process_cpu_seconds", "process_resident_memory_bytes", "process_start_time_seconds"} < set(found)
    (info,) = [sample for sample in found["genrewatch_source"].samples if sample.labels["source"] == "mic"]
    assert info.labels["name"] == 'Mic "1"\\\n'


def test_both_formats_have_the_same_samples(node: Served) -> None:
    def samples(families: object) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
        return {(s.name, tuple(sorted(s.labels.items()))) for family in families for s in family.samples}  # type: ignore

    plain = plain_families(node.get("metrics").body.decode())
    assert samples(plain) == samples(openmetrics_families(node.get("metrics", Accept=OPENMETRICS).body.decode()))


def test_no_title_station_url_or_node_is_a_label(node: Served) -> None:
    text = node.get("metrics").body.decode()
    assert not any(word in text for word in ("Secret FM", "A title", "http://", "box"))
    assert {key for family in plain_families(text) for s in family.samples for key in s.labels} <= LABELS


def test_digital_silence_has_no_level(node: Served) -> None:
    text = node.get("metrics").body.decode()
    assert 'genrewatch_level_dbfs{source="mic"} -18.26' in text
    assert 'genrewatch_level_dbfs{source="radio"}' not in text
    assert 'genrewatch_verdict{source="radio",verdict="jazz"} 0' in text
    assert 'genrewatch_verdict{source="radio",verdict="silence"} 1' in text


def test_promtool_finds_nothing(node: Served) -> None:
    promtool = require_program("promtool")
    checked = subprocess.run([promtool, "check", "metrics"], input=node.get("metrics").body, capture_output=True)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def test_numbers_and_texts_are_escaped() -> None:
    family = Family(name="a", kind="gauge", help='b\\ "c"\n')
    for value in (float("nan"), float("inf"), 0.25, 3.0, -1e20):
        family.add(value, label=f'x"\\\n{value}')
    text = exposition([family], openmetrics=True)
    (parsed,) = openmetrics_families(text)
    assert parsed.documentation == 'b\\ "c"\n'
    assert [sample.value for sample in parsed.samples][1:] == [float("inf"), 0.25, 3.0, -1e20]
    assert parsed.samples[0].labels == {"label": 'x"\\\nnan'}
