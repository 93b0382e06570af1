"""The campaigns: their short forms keep every promise, and their checks notice each broken one."""

import json
import socket
import time

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from genrewatch.host.times import ms_to_rfc3339
from genrewatch_drill.campaigns import disk
from genrewatch_drill.campaigns.fleet import duration_problems, fleet_drill
from genrewatch_drill.campaigns.kill_checks import KillChecks, losses_s
from genrewatch_drill.campaigns.killed_daemon import Lifetime
from genrewatch_drill.campaigns.kills import kill_drill
from genrewatch_drill.campaigns.outage_checks import stale_messages, too_fast, wrongly_marked
from genrewatch_drill.campaigns.outages import outage_drill
from genrewatch_drill.campaigns.report import Report
from genrewatch_drill.rig.audit import ReceivedRecord, audit, canonical, total
from genrewatch_drill.rig.collector import ReceivedMessage
from genrewatch_drill.rig.killable_broker import KillableBroker
from genrewatch_drill.rig.mqtt_packets import PacketSplitter, acknowledged_id, parse_publish, record_key
from genrewatch_drill.rig.snapshot import Snapshot
from genrewatch_drill.servers.ports import wait_until_closed


def record(seq, source="a", start_s=None, end_s=None, **more):
    """Return a record of a run in which each record holds a second of sound."""
    start_s = float(seq - 1) if start_s is None else start_s
    end_s = start_s + 1 if end_s is None else end_s
    held = {"heard_s": end_s - start_s, "lost_s": 0.0, "mono_start_s": 100 + start_s, "mono_end_s": 100 + end_s}
    return {"source": source, "seq": seq, "run": "r", "reason": "majority", "start_s": start_s, "end_s": end_s} | (
        held | {"prev": f"hash{seq - 1}", "hash": f"hash{seq}"} | more
    )


def stored(*records):
    return {one["seq"]: canonical(one) for one in records}


def received(*records, at=None, backfilled=False):
    return [
        ReceivedRecord(
            at=float(number) if at is None else at,
            node="n",
            source=one["source"],
            seq=one["seq"],
            text=canonical(one),
            backfilled=backfilled,
        )
        for number, one in enumerate(records)
    ]


FIVE = [record(seq) for seq in range(1, 6)]


def test_an_audit_of_records_stored_and_received_has_no_problems():
    found = audit(stored(*FIVE), received(*FIVE), {1, 2, 3, 4, 5})
    assert found.problems == []
    assert (found.stored, found.received, found.twice) == (5, 5, 0)


def test_a_record_received_twice_is_counted_and_no_problem():
    found = audit(stored(*FIVE), received(*FIVE[:3], *FIVE[1:]), set())
    assert (found.problems, found.twice) == ([], 2)


def test_a_record_that_was_not_received_is_lost():
    assert audit(stored(*FIVE), received(*FIVE[:3], FIVE[4]), {1, 2, 3, 5}).problems == ["1 lost"]


def test_a_record_that_the_broker_acknowledged_is_lost_by_the_broker():
    found = audit(stored(*FIVE), received(*FIVE[:3], FIVE[4]), {1, 2, 3, 4, 5})
    assert (found.problems, found.lost_by_broker) == ([], 1)


def test_a_spell_under_a_new_seq_is_noticed():
    again = record(6, start_s=4.0)
    assert audit(stored(*FIVE, again), received(*FIVE, again), set()).problems == ["1 twice under a new seq"]


def test_a_part_of_a_spell_under_a_new_seq_is_noticed():
    draft = record(6, start_s=4.0, end_s=4.5, interrupted=True)
    assert audit(stored(*FIVE, draft), received(*FIVE, draft), set()).renumbered == 1


def test_the_sound_of_another_source_or_run_is_other_sound():
    others = [record(6, source="b", start_s=0.0), record(7, run="s", start_s=0.0)]
    assert audit(stored(*FIVE, *others), received(*FIVE, *others), set()).problems == []


def test_a_stall_may_have_lasted_longer_by_the_clock_than_by_the_sound():
    stall = record(1, end_s=9.0, reason="stalled")
    after = record(2, start_s=0.0)
    assert audit(stored(stall, after), received(stall, after), set()).renumbered == 0


def test_two_contents_of_one_seq_are_noticed():
    forged = record(3, heard_s=2.0)
    assert audit(stored(*FIVE), received(*FIVE, forged), set()).problems == ["1 with two contents"]
    assert audit(stored(*FIVE), received(*FIVE[:2], forged, *FIVE[3:]), set()).problems == ["1 with two contents"]


def test_a_hash_belongs_to_the_content():
    assert audit(stored(*FIVE), received(*FIVE[:4], record(5, hash="other")), set()).contradictions == 1


def test_what_was_received_must_be_in_the_database():
    found = audit(stored(*FIVE[:4]), received(*FIVE), set())
    assert found.problems == ["1 received but not stored"]


def test_a_missing_seq_is_noticed():
    rest = [*FIVE[:2], *FIVE[3:]]
    assert audit(stored(*rest), received(*rest), set()).problems == ["1 seq missing", "1 holes"]


def test_order_is_checked_within_each_source():
    swapped = [FIVE[0], FIVE[2], FIVE[1], *FIVE[3:]]
    assert audit(stored(*FIVE), received(*swapped), set()).problems == ["1 out of order"]
    other = record(3, source="b", start_s=0.0)
    mixed = [FIVE[0], other, FIVE[1]]
    assert audit(stored(*mixed), received(*mixed), set()).disorder == 0


def test_sound_that_is_in_no_spell_is_noticed():
    late = [record(1), record(2, start_s=1.5)]
    assert audit(stored(*late), received(*late), set()).problems == ["1 holes"]
    assert audit(stored(record(1, start_s=3.0)), received(record(1, start_s=3.0)), set()).holes == 1


def test_audits_of_several_nodes_add_up():
    one = audit(stored(*FIVE), received(*FIVE[:4]), set())
    assert total([one, one]).problems == ["2 lost"]


def test_after_a_kill_no_record_may_be_absent_or_changed():
    checks = KillChecks()
    checks.add(Snapshot(texts=stored(*FIVE[:3]), outbox={3}), [], acknowledged={1, 2})
    assert checks.problems == []
    checks.add(Snapshot(texts=stored(*FIVE[:2], record(3, heard_s=9.0))), [], acknowledged={1, 2, 3})
    assert checks.problems == ["1 records vanished"]


def test_a_record_received_before_a_kill_must_be_stored_after_it():
    checks = KillChecks()
    checks.add(Snapshot(texts=stored(*FIVE[:3]), outbox={1, 2, 3}), [(4, canonical(FIVE[3]))], acknowledged=set())
    assert checks.problems == ["1 records vanished"]


def test_a_record_may_leave_the_outbox_only_after_its_puback():
    checks = KillChecks()
    checks.add(Snapshot(texts=stored(*FIVE), outbox={5}), [], acknowledged={1, 2})
    assert checks.problems == ["2 records left the outbox without a PUBACK"]


def test_a_broken_database_is_reported():
    checks = KillChecks()
    checks.add(Snapshot(problem="seq 3: its end was cut off"), [], acknowledged=set())
    assert checks.problems == ["a database after a kill: seq 3: its end was cut off"]


def test_the_loss_of_a_lifetime_is_the_sound_written_less_the_sound_kept():
    lifetimes = [Lifetime(started=99, ended=104), Lifetime(started=104.5, ended=120)]
    texts = stored(*FIVE[:3], record(4, mono_start_s=105.0)).values()
    assert losses_s(texts, {("a", 0): 3.5, ("a", 1): 3.0, ("b", 1): 0.0}, lifetimes) == {"a": [0.5, 2.0]}


def message(kind, at, *, old_s=0.0, expiry_s=None, seq=1):
    body = {"ts": ms_to_rfc3339(round(1000 * (at - old_s))), "seq": seq}
    return ReceivedMessage(
        at=at, wall=at, node="n", source="a", kind=kind, payload=json.dumps(body).encode(), retain=False,
        expiry_s=expiry_s,
    )  # fmt: skip


def test_stale_states_and_events_are_noticed():
    good = [
        message("state", 10.0, old_s=2, expiry_s=4, seq=1),
        message("event", 11.0),
        message("state", 12.0, expiry_s=6, seq=2),
    ]
    assert stale_messages(good, expire_s=6) == []
    assert len(stale_messages([message("state", 10.0, old_s=9, expiry_s=1)], expire_s=6)) == 1
    assert len(stale_messages([message("state", 10.0, old_s=4, expiry_s=6)], expire_s=6)) == 1
    assert len(stale_messages([message("event", 10.0, old_s=4)], expire_s=6)) == 1
    assert stale_messages([*good, message("state", 13.0, expiry_s=6, seq=1)], expire_s=6) == ["state 1 of a after 2"]


def test_back_fill_that_comes_all_at_once_is_noticed():
    many = [record(seq) for seq in range(1, 101)]
    paced = [one for n, r in enumerate(many) for one in received(r, at=n / 5, backfilled=True)]
    assert too_fast(paced, per_s=5) == 0
    assert too_fast(received(*many, at=3.0, backfilled=True), per_s=5) > 50
    assert too_fast(received(*many, at=3.0), per_s=5) == 0


def test_back_fill_must_be_marked_and_nothing_else():
    waited, fresh = record(1), record(2, start_s=99.0)
    outages = [(100.5, 110.0)]
    assert wrongly_marked(received(waited, at=112.0, backfilled=True), outages) == 0
    assert wrongly_marked(received(waited, at=112.0), outages) == 1
    assert wrongly_marked(received(fresh, at=200.1), outages) == 0
    assert wrongly_marked(received(fresh, at=200.1, backfilled=True), outages) == 1


def test_a_node_whose_records_do_not_add_up_is_reported():
    snapshots = {"n": Snapshot(texts=stored(*FIVE)), "m": Snapshot()}
    assert (
        duration_problems(snapshots, {"n": {"heard_s": 5.0, "lost_s": 0.4}, "m": {"heard_s": 0.0, "lost_s": 0.0}}) == []
    )
    assert duration_problems(snapshots, {"n": {"heard_s": 7.0, "lost_s": 0.0}}) == [
        "m ended without a report",
        "n received 7.0 s, its records hold 5.0 s",
    ]


def test_packets_are_split_however_the_bytes_arrive():
    topic, payload = b"genrewatch/n/a/history", json.dumps({"seq": 7}).encode()
    body = len(topic).to_bytes(2, "big") + topic + b"\x00\x05" + b"\x02\x01\x01" + payload
    stream = bytes([0x32, len(body)]) + body + b"\x40\x02\x00\x05" + b"\x40\x04\x00\x06\x87\x00"
    splitter = PacketSplitter()
    packets = [packet for byte in stream for packet in splitter.push(bytes([byte]))]
    publish = parse_publish(packets[0], v5=True)
    assert (publish.packet_id, record_key(publish)) == (5, ("n", 7))
    assert [acknowledged_id(packet) for packet in packets] == [None, 5, None]


def test_the_proxy_sees_pubacks_and_is_closed_while_the_broker_is_dead(tmp_path):
    with KillableBroker(tmp_path) as broker:
        node = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        node.connect("127.0.0.1", broker.proxy.port)
        node.loop_start()
        payload = json.dumps(record(1))
        node.publish("genrewatch/n/a/history", payload, qos=1).wait_for_publish(10)
        deadline = time.monotonic() + 10
        while not broker.collector.records and time.monotonic() < deadline:
            time.sleep(0.01)
        assert broker.acknowledgements.of("n") == {1}
        assert [record.seq for record in broker.collector.records] == [1]
        broker.kill()
        wait_until_closed(broker.proxy.port)
        node.loop_stop()
        broker.start()
        socket.create_connection(("127.0.0.1", broker.proxy.port), timeout=5).close()
        assert len(broker.outages) == 1


def test_a_report_is_printed_as_text_json_and_markdown():
    well = Report(name="kills", title="killed", numbers={"lost": 0, "longest": 1.25})
    assert well.text().splitlines() == ["killed", "  lost     0", "  longest  1.2", "pass: every promise was kept"]
    broken = Report(name="kills", title="killed", numbers={"lost": 1}, problems=["1 lost"])
    assert json.loads(broken.as_json())["verdict"] == "fail"
    assert "| lost | 1 |\n" in broken.markdown()
    assert broken.markdown().endswith("fail: 1 lost\n")
    assert Report(name="kills", title="killed", skipped="no broker").verdict == "skipped"


@pytest.mark.slow
def test_three_kills_lose_nothing(tmp_path):
    report = kill_drill(tmp_path, 3, seed=1)
    assert report.problems == []
    assert report.numbers["kills of the broker"] == 1
    assert report.numbers["records stored"] == report.numbers["received"] > 0
    assert report.numbers["database whole after a kill"] == "4 of 4"


@pytest.mark.slow
def test_a_fleet_of_six_loses_nothing(tmp_path):
    report = fleet_drill(tmp_path, 6, minutes=0.2)
    assert report.problems == []
    assert report.numbers["records stored"] == report.numbers["received"] > 0


@pytest.mark.slow
def test_an_outage_loses_nothing(tmp_path):
    report = outage_drill(tmp_path, 1, outage_s=2.0)
    assert report.problems == []
    assert report.numbers["records stored"] == report.numbers["received"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["damaged", "clock"])
def test_a_fault_of_disk_or_clock_loses_nothing(tmp_path, monkeypatch, name):
    monkeypatch.setattr(disk, "GOOD_S", 2.0)
    monkeypatch.setattr(disk, "ROWS", [row for row in disk.ROWS if row.name == name])
    (result,) = disk.disk_drill(tmp_path)
    assert result.verdict == "pass", result.outcome.seen
