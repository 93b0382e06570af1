"""The messages to systemd, on real sockets."""

import os
import socket

import pytest

from genrewatch.host.service_manager import MAX_STATUS, ServiceManager


@pytest.fixture(params=["path", "abstract"])
def manager_socket(request, tmp_path):
    address = str(tmp_path / "notify") if request.param == "path" else f"\0genrewatch-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(address)
        server.settimeout(5)
        yield server, address.replace("\0", "@")


def test_each_message_is_a_datagram_of_its_own(manager_socket):
    server, address = manager_socket
    manager = ServiceManager({"NOTIFY_SOCKET": address})
    assert manager.listens
    manager.ready()
    manager.alive()
    manager.status("bar: rock\nhall: " + "x" * MAX_STATUS)
    manager.stopping()
    received = [server.recv(4096).decode() for _ in range(4)]
    assert received[:2] == ["READY=1", "WATCHDOG=1"]
    assert received[2].startswith("STATUS=bar: rock hall: x")
    assert len(received[2]) == len("STATUS=") + MAX_STATUS
    assert received[3] == "STOPPING=1"


def test_without_a_manager_nothing_is_sent_and_a_full_or_absent_socket_blocks_nobody(tmp_path):
    ServiceManager({}).ready()
    assert not ServiceManager({}).listens
    ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "absent")}).ready()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "full"))
        manager = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "full")})
        for _ in range(5000):
            manager.alive()


def test_the_watchdog_is_that_of_this_process_only():
    mine, other = str(os.getpid()), str(os.getpid() + 1)
    assert ServiceManager({"WATCHDOG_USEC": "90000000"}).watchdog_s == 90.0
    assert ServiceManager({"WATCHDOG_USEC": "90000000", "WATCHDOG_PID": mine}).watchdog_s == 90.0
    assert ServiceManager({"WATCHDOG_USEC": "90000000", "WATCHDOG_PID": other}).watchdog_s is None
    assert ServiceManager({"WATCHDOG_USEC": "0"}).watchdog_s is None
    assert ServiceManager({}).watchdog_s is None
