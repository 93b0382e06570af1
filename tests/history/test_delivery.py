"""The outbox is delivered in order, each record removed with its acknowledgement, whatever the connection does."""

import time

import pytest
from tests.history.rig import FakeTransport, spell

from genrewatch.history import delivery
from genrewatch.history.database import database_path
from genrewatch.history.delivery import MAX_IN_FLIGHT, Delivery
from genrewatch.history.store import HistoryStore


@pytest.fixture
def store(tmp_path):
    made = HistoryStore(database_path(tmp_path, "box"), "box", deliver=True)
    yield made
    made.close()


def test_a_record_leaves_the_outbox_with_its_acknowledgement_and_not_before(store):
    transport = FakeTransport()
    sender = Delivery(transport, per_s=1000)
    sender.run(store)
    store.append([spell("rock"), spell("jazz", source="line")], [])
    sender.run(store)
    assert [(source, record["genre"], record["backfilled"]) for source, record in transport.published] == [
        ("mic", "rock", False),
        ("line", "jazz", False),
    ]
    assert (store.waiting, sender.connected) == (2, True)
    transport.acknowledge(2)
    sender.run(store)
    assert [outbox_record.seq for outbox_record in store.outbox_records(0, 9)] == [1]
    transport.acknowledge(1)
    sender.run(store)
    assert (store.waiting, transport.seqs) == (0, [1, 2])


def test_nothing_is_sent_without_a_connection_and_waiting_records_are_marked_backfilled(store):
    transport = FakeTransport()
    transport.connection_number = 0
    sender = Delivery(transport, per_s=1000)
    store.append([spell("rock"), spell("jazz")], [])
    sender.run(store)
    assert not transport.published
    transport.connection_number = 1
    sender.run(store)
    store.append([spell("pop")], [])
    time.sleep(0.01)
    sender.run(store)
    assert {record["seq"]: record["backfilled"] for _, record in transport.published} == {1: True, 2: True, 3: False}


def test_records_in_flight_on_a_broken_connection_are_sent_again_with_the_same_seq(store):
    transport = FakeTransport()
    sender = Delivery(transport, per_s=1000)
    sender.run(store)
    store.append([spell() for _ in range(3)], [])
    sender.run(store)
    transport.acknowledge(1)
    sender.run(store)
    transport.connection_number = 2
    store.append([spell()], [])
    for _ in range(20):
        sender.run(store)
        time.sleep(0.002)
    assert transport.seqs == [1, 2, 3, 2, 3, 4]
    assert [record["hash"] for _, record in transport.published[1:3]] == [
        r["hash"] for _, r in transport.published[3:5]
    ]


def test_acknowledgements_of_the_old_connection_count(store):
    transport = FakeTransport()
    sender = Delivery(transport, per_s=1000)
    store.append([spell(), spell()], [])
    sender.run(store)
    time.sleep(0.01)
    sender.run(store)
    transport.acknowledge(1, 2)
    transport.connection_number = 0
    sender.run(store)
    assert store.waiting == 0


def test_records_in_flight_are_limited_and_a_full_queue_is_retried(store, monkeypatch):
    monkeypatch.setattr(delivery, "RETRY_FULL_S", 0.01)
    transport = FakeTransport()
    sender = Delivery(transport, per_s=1000)
    sender.run(store)
    store.append([spell() for _ in range(MAX_IN_FLIGHT + 5)], [])
    sender.run(store)
    sender.run(store)
    assert transport.seqs == list(range(1, MAX_IN_FLIGHT + 1))
    transport.full = True
    transport.acknowledge(1, 3)
    sender.run(store)
    assert len(transport.published) == MAX_IN_FLIGHT
    assert sender.next_run_s < float("inf")
    transport.full = False
    time.sleep(0.02)
    sender.run(store)
    assert transport.seqs[-3:] == [11, 12, 13]


def test_a_retry_stays_due_after_its_time_has_passed(store):
    transport = FakeTransport()
    transport.full = True
    sender = Delivery(transport, per_s=1000)
    sender.run(store)
    store.append([spell()], [])
    sender.run(store)
    sender._retry_s = time.monotonic() - 1
    assert sender.next_run_s < time.monotonic()


def test_records_are_sent_at_the_configured_rate_after_an_outage(store):
    transport = FakeTransport()
    transport.connection_number = 0
    sender = Delivery(transport, per_s=50)
    store.append([spell() for _ in range(200)], [])
    sender.run(store)
    transport.connection_number, began = 1, time.monotonic()
    while time.monotonic() - began < 1.0:
        sender.run(store)
        transport.acknowledge(1, len(transport.published))
        time.sleep(0.002)
    took_s = time.monotonic() - began
    assert 5 <= len(transport.published) <= 50 * (took_s + 1) + 1
    assert transport.seqs == sorted(set(transport.seqs))


def test_a_refusal_is_logged_once_and_the_record_is_sent_again_later(store, monkeypatch, caplog):
    monkeypatch.setattr(delivery, "RETRY_REFUSED_S", 0.02)
    transport = FakeTransport()
    sender = Delivery(transport, per_s=1000)
    sender.run(store)
    store.append([spell(), spell()], [])
    sender.run(store)
    transport.acknowledge(1, 2, accepted=False)
    sender.run(store)
    assert transport.seqs == [1, 2], "not before the pause"
    time.sleep(0.03)
    sender.run(store)
    assert transport.seqs == [1, 2, 1, 2]
    transport.acknowledge(3, 4, accepted=False)
    sender.run(store)
    time.sleep(0.03)
    sender.run(store)
    transport.acknowledge(5, 6)
    sender.run(store)
    assert store.waiting == 0
    assert [record.levelname for record in caplog.records] == ["ERROR"]


def test_an_acknowledgement_is_kept_while_the_disk_is_full(store):
    transport = FakeTransport()
    sender = Delivery(transport, per_s=1000)
    sender.run(store)
    store.append([spell()], [])
    sender.run(store)
    transport.acknowledge(1)
    store._db.execute("PRAGMA query_only = 1")
    with pytest.raises(Exception, match="readonly"):
        sender.run(store)
    store._db.execute("PRAGMA query_only = 0")
    sender.run(store)
    assert store.waiting == 0


def test_a_record_larger_than_the_broker_reads_leaves_the_outbox_and_holds_up_no_other(store, caplog):
    transport = FakeTransport()
    sender = Delivery(transport, per_s=1000)
    sender.run(store)
    store.append([spell("rock"), spell("x" * 2000), spell("jazz"), spell("y" * 2000)], [])
    transport.largest = 1500
    for _ in range(3):
        sender.run(store)
    assert transport.seqs == [1, 3]
    assert (sender.undeliverable, store.stored, store.waiting) == (2, 4, 2)
    transport.acknowledge(1, 2)
    sender.run(store)
    assert store.waiting == 0
    assert [record.message for record in caplog.records] == [
        "record 2 of the history stays here only: the broker reads no message as large; further ones are counted"
    ]


def test_a_record_that_is_refused_while_others_of_its_source_are_accepted_is_not_tried_without_end(store, monkeypatch):
    monkeypatch.setattr(delivery, "RETRY_REFUSED_S", 0.0)
    transport = FakeTransport()
    sender = Delivery(transport, per_s=1000)
    sender.run(store)
    store.append([spell("rock"), spell("jazz"), spell("pop", source="line")], [])
    sender.run(store)
    transport.acknowledge(1, accepted=False)
    transport.acknowledge(3)
    sender.run(store)
    transport.acknowledge(2)
    transport.acknowledge(4, accepted=False)
    sender.run(store)
    sender.run(store)
    assert (sender.undeliverable, store.waiting) == (1, 0)


def test_records_that_are_all_refused_are_kept_until_the_broker_accepts_them(store, monkeypatch):
    monkeypatch.setattr(delivery, "RETRY_REFUSED_S", 0.0)
    transport = FakeTransport()
    sender = Delivery(transport, per_s=1000)
    store.append([spell("rock"), spell("pop", source="line")], [])
    for number in (1, 3, 5, 7):
        sender.run(store)
        transport.acknowledge(number, accepted=False)
        transport.acknowledge(number + 1, accepted=number < 0)
    sender.run(store)
    assert (sender.undeliverable, store.waiting) == (0, 2)
