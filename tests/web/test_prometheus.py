"""A real Prometheus scrapes a node, and every query of the dashboard and of the rules returns data there."""

import json
import re
import subprocess
import time
import tomllib
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.sinks.mqtt_rig import JAZZ
from tests.sinks.test_schemas import schema
from tests.web.rig import later, served, until

from genrewatch_drill.servers.ports import free_port
from genrewatch_drill.servers.programs import require_program

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "deploy/grafana/genrewatch.json").read_text(encoding="utf-8"))
RULES = ROOT / "deploy/prometheus"
QUERIES = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def query(port: int, text: str) -> list[dict[str, Any]]:
    url = f"http://127.0.0.1:{port}/api/v1/query?" + urllib.parse.urlencode({"query": text})
    with urllib.request.urlopen(url, timeout=5) as answer:
        found: list[dict[str, Any]] = json.loads(answer.read())["data"]["result"]
    return found


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Run a Prometheus that scrapes a node every second until it has several samples; yield its port."""
    directory, port = tmp_path_factory.mktemp("prometheus"), free_port()
    with served() as node:
        target = node.url.removeprefix("http://").rstrip("/")
        config = (RULES / "prometheus.yml").read_text(encoding="utf-8").replace("127.0.0.1:8710", target)
        config = config.replace("genrewatch.rules.yml", str(RULES / "genrewatch.rules.yml"))
        (directory / "prometheus.yml").write_text("global: {scrape_interval: 1s, scrape_timeout: 1s}\n" + config)
        command = [require_program("prometheus"), f"--config.file={directory}/prometheus.yml"]
        command += [f"--storage.tsdb.path={directory}/data", f"--web.listen-address=127.0.0.1:{port}"]
        with (directory / "log").open("w") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            until(lambda: answers(port), 30)
            for number in range(1, 4):
                node.play("mic", later(JAZZ, number))
                time.sleep(1)
            yield port
        finally:
            process.kill()
            process.wait(10)


def answers(port: int) -> bool:
    try:
        return bool(query(port, "up == 1"))
    except OSError:
        return False


@pytest.mark.parametrize("text", QUERIES)
def test_every_panel_of_the_dashboard_returns_data(prometheus: int, text: str) -> None:
    assert query(prometheus, text), text


def test_a_scrape_is_up_and_counts(prometheus: int) -> None:
    assert query(prometheus, "up")[0]["value"][1] == "1"
    assert query(prometheus, 'genrewatch_ballots_total{source="mic"}')


def test_the_alert_rules_do_what_they_should() -> None:
    promtool = require_program("promtool")
    checked = subprocess.run(
        [promtool, "test", "rules", "genrewatch.test.yml"], cwd=RULES, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_alert_rule_is_tested() -> None:
    rules, tests = ((RULES / f"genrewatch.{name}.yml").read_text(encoding="utf-8") for name in ("rules", "test"))
    assert set(re.findall(r"- alert: (\w+)", rules)) == set(re.findall(r"alertname: (\w+)", tests))


def test_the_example_for_brokers_reads_fields_that_are_published() -> None:
    text = (RULES / "mqtt_exporter.yml").read_text(encoding="utf-8")
    properties = schema("state")["properties"]
    assert set(re.findall(r"mqtt_name: (\w+)", text)) <= set(properties)
    (mapped,) = re.findall(r"map: {(.*)}", text)
    numbers = dict(re.findall(r'"?(\w+)"?: (\d+)', mapped))
    assert set(numbers) == set(properties["reason"]["enum"])
    assert len(set(numbers.values())) == len(numbers)
    assert (
        re.fullmatch(re.findall(r'device_id_regex: "(.*)"', text)[0], "genrewatch/box/mic/state")["deviceid"]  # type: ignore[index]
        == "box/mic"
    )


def test_the_example_for_telegraf_reads_fields_that_are_published() -> None:
    telegraf = tomllib.loads((ROOT / "deploy/telegraf.conf").read_text(encoding="utf-8"))
    for consumer in telegraf["inputs"]["mqtt_consumer"]:
        (topic,) = consumer["topics"]
        properties = schema(topic.rpartition("/")[2])["properties"]
        used = {*consumer["tag_keys"], *consumer["json_string_fields"], *consumer["fieldinclude"]}
        assert {*used, consumer["json_time_key"]} <= set(properties), topic
        numbers = {
            key for key in consumer["fieldinclude"] if "number" in str(properties[key]) or "$ref" in properties[key]
        }
        assert set(consumer["json_string_fields"]) | numbers == set(consumer["fieldinclude"])
