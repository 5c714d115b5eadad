"""What systemd is told, over a real socket."""

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe.surface.systemd import Notifier


@pytest.fixture(name="manager", params=["path", "abstract"])
def _manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[socket.socket, str]]:
    """Give the manager's socket and what a service finds in NOTIFY_SOCKET."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        name = str(tmp_path / "notify")
        if request.param == "abstract":
            name = f"@tribes-probe-test-{os.getpid()}"
        manager.bind(name.replace("@", "\0"))
        manager.settimeout(5)
        yield manager, name


def test_every_message(manager: tuple[socket.socket, str]) -> None:
    """Each in the manager's own words."""
    ear, name = manager
    notifier = Notifier({"NOTIFY_SOCKET": name})
    before = time.monotonic_ns() // 1000
    for tell in (notifier.ready, notifier.alive, notifier.stopping, notifier.reloading):
        tell()
    notifier.status("whole since 03:12:07:\n3 of 3 members alive")
    notifier.close()
    told = [ear.recv(4096).decode() for _ in range(5)]
    assert told[:3] == ["READY=1", "WATCHDOG=1", "STOPPING=1"]
    reloading, stamp = told[3].split("\n")
    assert reloading == "RELOADING=1"
    assert before <= int(stamp.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000
    assert told[4] == "STATUS=whole since 03:12:07: 3 of 3 members alive"


def test_a_long_status_is_cut(manager: tuple[socket.socket, str]) -> None:
    """A verdict over thousands of members fits one datagram."""
    ear, name = manager
    notifier = Notifier({"NOTIFY_SOCKET": name})
    notifier.status("x " * 100_000)
    notifier.close()
    assert len(ear.recv(1 << 20)) == len("STATUS=") + 1000


@pytest.mark.parametrize("address", ["", "/nowhere/notify", "@nobody-listens", "/" + "x" * 200])
def test_nobody_who_listens_is_no_error(address: str) -> None:
    """Started by hand, or after the manager went, the service goes on."""
    notifier = Notifier({"NOTIFY_SOCKET": address} if address else {})
    for tell in (notifier.ready, notifier.reloading, notifier.alive, notifier.stopping):
        tell()
    notifier.close()


def test_a_manager_that_does_not_read_does_not_stop_the_service(manager: tuple[socket.socket, str]) -> None:
    """Its queue is full: the message is dropped, nobody waits."""
    _, name = manager
    notifier = Notifier({"NOTIFY_SOCKET": name})
    for _ in range(5_000):
        notifier.alive()
    notifier.close()


ME = str(os.getpid())


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": ME}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "me"}, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_it_wants(
    environment: dict[str, str], seconds: float | None
) -> None:
    """If it is meant for this process at all."""
    notifier = Notifier(environment)
    notifier.close()
    assert notifier.watchdog_seconds == seconds
