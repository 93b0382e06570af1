"""The outbox is worked off in order, each record struck with its receipt, whatever the connection does."""

import time

import pytest
from tests.history.rig import FakeTransport, spell

from genrewatch.history import delivery
from genrewatch.history.database import database_path
from genrewatch.history.delivery import MOST_UNDER_WAY, Delivery
from genrewatch.history.store import HistoryStore


@pytest.fixture
def store(tmp_path):
    made = HistoryStore(database_path(tmp_path, "box"), "box", deliver=True)
    yield made
    made.close()


def test_a_record_is_struck_when_its_receipt_comes_and_not_before(store):
    transport = FakeTransport()
    delivering = Delivery(transport, per_s=1000)
    delivering.turn(store)
    store.append([spell("rock"), spell("jazz", source="line")], [])
    delivering.turn(store)
    assert [(source, record["genre"], record["backfilled"]) for source, record in transport.posted] == [
        ("mic", "rock", False),
        ("line", "jazz", False),
    ]
    assert (store.waiting, delivering.linked) == (2, True)
    transport.acknowledge(2)
    delivering.turn(store)
    assert [outbox_record.seq for outbox_record in store.outbox_records(0, 9)] == [1]
    transport.acknowledge(1)
    delivering.turn(store)
    assert (store.waiting, transport.seqs) == (0, [1, 2])


def test_without_a_link_nothing_is_sent_and_with_one_what_has_waited_is_marked(store):
    transport = FakeTransport()
    transport.connection_number = 0
    delivering = Delivery(transport, per_s=1000)
    store.append([spell("rock"), spell("jazz")], [])
    delivering.turn(store)
    assert not transport.posted
    transport.connection_number = 1
    delivering.turn(store)
    store.append([spell("pop")], [])
    time.sleep(0.01)
    delivering.turn(store)
    assert {record["seq"]: record["backfilled"] for _, record in transport.posted} == {1: True, 2: True, 3: False}


def test_what_a_broken_link_has_not_acknowledged_is_sent_again_under_the_same_number(store):
    transport = FakeTransport()
    delivering = Delivery(transport, per_s=1000)
    delivering.turn(store)
    store.append([spell() for _ in range(3)], [])
    delivering.turn(store)
    transport.acknowledge(1)
    delivering.turn(store)
    transport.connection_number = 2
    store.append([spell()], [])
    for _ in range(20):
        delivering.turn(store)
        time.sleep(0.002)
    assert transport.seqs == [1, 2, 3, 2, 3, 4]
    assert [record["hash"] for _, record in transport.posted[1:3]] == [r["hash"] for _, r in transport.posted[3:5]]


def test_receipts_that_the_old_link_still_brought_count(store):
    transport = FakeTransport()
    delivering = Delivery(transport, per_s=1000)
    store.append([spell(), spell()], [])
    delivering.turn(store)
    time.sleep(0.01)
    delivering.turn(store)
    transport.acknowledge(1, 2)
    transport.connection_number = 0
    delivering.turn(store)
    assert store.waiting == 0


def test_no_more_than_a_few_are_under_way_and_a_full_connection_is_tried_again(store, monkeypatch):
    monkeypatch.setattr(delivery, "UNTAKEN_S", 0.01)
    transport = FakeTransport()
    delivering = Delivery(transport, per_s=1000)
    delivering.turn(store)
    store.append([spell() for _ in range(MOST_UNDER_WAY + 5)], [])
    delivering.turn(store)
    delivering.turn(store)
    assert transport.seqs == list(range(1, MOST_UNDER_WAY + 1))
    transport.full = True
    transport.acknowledge(1, 3)
    delivering.turn(store)
    assert len(transport.posted) == MOST_UNDER_WAY
    assert delivering.next_turn < float("inf")
    transport.full = False
    time.sleep(0.02)
    delivering.turn(store)
    assert transport.seqs[-3:] == [11, 12, 13]


def test_what_is_held_back_is_not_forgotten_when_its_time_comes_before_anybody_asks(store):
    transport = FakeTransport()
    transport.full = True
    delivering = Delivery(transport, per_s=1000)
    delivering.turn(store)
    store.append([spell()], [])
    delivering.turn(store)
    delivering._not_before = time.monotonic() - 1
    assert delivering.next_turn < time.monotonic()


def test_after_an_outage_the_pace_is_kept(store):
    transport = FakeTransport()
    transport.connection_number = 0
    delivering = Delivery(transport, per_s=50)
    store.append([spell() for _ in range(200)], [])
    delivering.turn(store)
    transport.connection_number, began = 1, time.monotonic()
    while time.monotonic() - began < 1.0:
        delivering.turn(store)
        transport.acknowledge(1, len(transport.posted))
        time.sleep(0.002)
    took_s = time.monotonic() - began
    assert 5 <= len(transport.posted) <= 50 * (took_s + 1) + 1
    assert transport.seqs == sorted(set(transport.seqs))


def test_a_refusal_is_said_once_and_the_record_is_sent_again_later(store, monkeypatch, caplog):
    monkeypatch.setattr(delivery, "REFUSED_S", 0.02)
    transport = FakeTransport()
    delivering = Delivery(transport, per_s=1000)
    delivering.turn(store)
    store.append([spell(), spell()], [])
    delivering.turn(store)
    transport.acknowledge(1, 2, accepted=False)
    delivering.turn(store)
    assert transport.seqs == [1, 2], "not at once"
    time.sleep(0.03)
    delivering.turn(store)
    assert transport.seqs == [1, 2, 1, 2]
    transport.acknowledge(3, 4, accepted=False)
    delivering.turn(store)
    time.sleep(0.03)
    delivering.turn(store)
    transport.acknowledge(5, 6)
    delivering.turn(store)
    assert store.waiting == 0
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_a_receipt_is_not_forgotten_when_the_disk_is_full_at_that_moment(store):
    transport = FakeTransport()
    delivering = Delivery(transport, per_s=1000)
    delivering.turn(store)
    store.append([spell()], [])
    delivering.turn(store)
    transport.acknowledge(1)
    store._db.execute("PRAGMA query_only = 1")
    with pytest.raises(Exception, match="readonly"):
        delivering.turn(store)
    store._db.execute("PRAGMA query_only = 0")
    delivering.turn(store)
    assert store.waiting == 0
