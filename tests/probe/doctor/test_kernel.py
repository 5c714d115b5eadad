"""Bridges, memberships, unread sockets and buffers: what the kernel's figures mean."""

from pathlib import Path
from typing import Any

import pytest
from support.examination import subject

from probe.doctor import bridge, buffers, drops, igmp
from probe.doctor.bridge import Bridge
from probe.doctor.buffers import Buffers, read_buffers
from probe.doctor.drops import Backlog
from probe.doctor.finding import Status
from probe.doctor.igmp import Memberships, read_memberships
from probe.doctor.netlink import Device
from probe.doctor.sockets import Owner

# -- bridges


def bridged(**settings: Any) -> Bridge:
    """Return a bridge of two ports, one of which wants the group."""
    return Bridge(Device(3, "br0", "bridge", **settings), ("v1", "v2"), ("v2",))


@pytest.mark.parametrize(
    ("bridges", "status", "words"),
    [
        ([], Status.OK, "no bridge"),
        ([Bridge(Device(3, "docker0", "bridge", snooping=True))], Status.OK, "docker0 without a port"),
        ([bridged()], Status.OK, "does not snoop"),
        ([bridged(snooping=True)], Status.WARNING, "knows of no querier"),
        ([bridged(snooping=True, querier=True)], Status.OK, "asks itself: 228.0.0.4 goes to v2 of v1, v2"),
        ([bridged(snooping=True, heard="10.0.0.254")], Status.OK, "knows the querier 10.0.0.254"),
    ],
)
def test_a_bridge(bridges: list[Bridge], status: Status, words: str) -> None:
    """Snooping needs somebody who asks."""
    judged = bridge.judge(bridges, subject())
    assert (judged.status, words in judged.found) == (status, True), judged


# -- IGMP

TABLE = """Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter
1\tlo        :     1      V3
\t\t\t\t010000E0     1 0:00000000\t\t0
2\teth0      :     2      V2
\t\t\t\t040000E4     3 0:00000000\t\t0
\t\t\t\t010000E0     1 0:00000000\t\t0
"""
TABLE6 = "2    eth0            ff020000000000000000000000000004     2 00000004 0\n1 lo broken\n"


def test_reading_memberships(tmp_path: Path) -> None:
    """The group's line belongs to the interface above it; versions and forced ones are told apart."""
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/igmp").write_text(TABLE)
    (tmp_path / "proc/net/igmp6").write_text(TABLE6)
    conf = tmp_path / "proc/sys/net/ipv4/conf/eth0"
    conf.mkdir(parents=True)
    (conf / "force_igmp_version").write_text("2\n")
    assert read_memberships(subject(), tmp_path) == Memberships(
        {"eth0": 3}, {"lo": "V3", "eth0": "V2"}, {"eth0": 2}
    )
    assert read_memberships(subject(address="ff02::4"), tmp_path).joined == {"eth0": 2}


@pytest.mark.parametrize(
    ("memberships", "way", "held", "status"),
    [
        (Memberships(), "eth0", False, Status.OK),
        (Memberships(), "eth0", True, Status.ERROR),
        (Memberships({"eth0": 1}), "eth0", True, Status.OK),
        (Memberships({"eth0": 1}), "", True, Status.OK),
        (Memberships({"eth1": 1}), "eth0", True, Status.WARNING),
        (Memberships({"eth0": 1}, forced={"all": 1}), "eth0", True, Status.WARNING),
        (Memberships(most=0), "eth0", False, Status.ERROR),
        (Memberships(most=20), "eth0", False, Status.OK),
    ],
)
def test_memberships(memberships: Memberships, way: str, held: bool, status: Status) -> None:  # noqa: FBT001
    """Who waits must have joined, where the heartbeats go."""
    assert igmp.judge(memberships, subject(), way, held).status is status


# -- sockets that are not read


@pytest.mark.parametrize(
    ("waiting", "dropped", "status"),
    [
        ((0, 0), (0, 0), Status.OK),
        ((768, 0), (0, 0), Status.OK),
        ((768, 768), (0, 0), Status.OK),
        ((768, 3072), (0, 0), Status.ERROR),
        ((212416, 212416), (9, 13), Status.ERROR),
        ((0, 0), (9, 9), Status.WARNING),
        ((212416, 0), (9, 13), Status.WARNING),
    ],
)
def test_a_backlog(waiting: tuple[int, int], dropped: tuple[int, int], status: Status) -> None:
    """What piles up is not read; what was dropped once is a pause of the past."""
    judged = drops.judge([Backlog(Owner(7, "java"), waiting, dropped)], subject())
    assert judged.status is status
    assert "java (pid 7)" in judged.found


def test_nobody_waits() -> None:
    """Without a socket there is nothing to be deaf."""
    assert drops.judge([], subject()).status is Status.OK


# -- buffers


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (Buffers(212992, 212992), Status.OK),
        (Buffers(212992, 4194304), Status.OK),
        (Buffers(65536, 4194304), Status.WARNING),
        (Buffers(212992, 65536), Status.WARNING),
        (Buffers(None, 212992), Status.UNKNOWN),
    ],
)
def test_buffers(found: Buffers, status: Status) -> None:
    """Half of the usual size is too little; what cannot be read is unknown."""
    assert buffers.judge(found).status is status


def test_reading_buffers(tmp_path: Path) -> None:
    """What is not there, or no number, is not known."""
    (tmp_path / "proc/sys/net/core").mkdir(parents=True)
    (tmp_path / "proc/sys/net/core/rmem_default").write_text("212992\n")
    (tmp_path / "proc/sys/net/core/rmem_max").write_text("many\n")
    assert read_buffers(tmp_path) == Buffers(212992, None)
