"""Whose sockets there are, and whether a Tomcat may have its ports."""

from pathlib import Path

import pytest
from support.examination import OWN, subject

from probe.doctor.finding import Status
from probe.doctor.ports import Held, judge_group_port, judge_receivers, read_receivers
from probe.doctor.sockets import Owner, Socket, owners, read_sockets

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue and so on\n"
UDP = "  1: 0400E4E4:B1FC 00000000:0000 07 00000000:00000A00 00:00000000 00000000  1000        0 77 2 0 5\n"
MAPPED = (
    "  2: 0000000000000000FFFF00000100000A:0FA0 00000000000000000000000000000000:0000 0A 00000000:00000000 "
    "00:00000000 00000000     0        0 78 1 0 100 0 0 10 0\n"
)
GLOBAL = MAPPED.replace("0000000000000000FFFF00000100000A", "000000FD000000000000000001000000").replace(
    "78", "79"
)


def table(root: Path, name: str, *lines: str) -> None:
    """Write one of the kernel's tables."""
    (root / "proc/net").mkdir(parents=True, exist_ok=True)
    (root / "proc/net" / name).write_text(HEAD + "".join(lines))


def test_the_kernels_tables(tmp_path: Path) -> None:
    """Addresses are in this machine's order, mapped ones are IPv4; broken lines are passed over."""
    table(tmp_path, "udp", UDP, "  9: nonsense\n", "\n")
    table(tmp_path, "tcp")
    table(tmp_path, "tcp6", MAPPED, GLOBAL)
    assert list(read_sockets("udp", tmp_path)) == [Socket("228.228.0.4", 45564, 7, 0xA00, 1000, 77, 5)]
    assert [one.address for one in read_sockets("tcp", tmp_path)] == [OWN, "fd00::1"]
    (held, other) = read_receivers(subject(), tmp_path)
    assert (str(held), other.owner.pid) == ("10.0.0.1:4000 by user 0 (root may see the process)", 0)


def test_whose_it_is(tmp_path: Path) -> None:
    """A process that has the socket among its descriptors is its owner; who may not be read is passed over."""
    for pid, target in ((9, "socket:[1]"), (10, "socket:[77]"), (11, "/dev/null")):
        folder = tmp_path / "proc" / str(pid)
        (folder / "fd").mkdir(parents=True)
        (folder / "fd/3").symlink_to(target)
        (folder / "comm").write_text("ja\x1bva\n")
    (tmp_path / "proc/12").mkdir()
    one = Socket("0.0.0.0", 45564, 7, 0, 1000, 77)
    assert owners([one], tmp_path) == {77: Owner(10, "ja va", 1000)}


def held(address: str = OWN, port: int = 4000, name: str = "java", pid: int = 5) -> Held:
    """Return a socket that somebody listens on."""
    return Held(Socket(address, port, 10, 0, 0, 1), Owner(pid, name))


@pytest.mark.parametrize(
    ("found", "shared", "status"),
    [
        ([], True, Status.OK),
        ([held()], True, Status.OK),
        ([held(name="ntpd")], False, Status.ERROR),
        ([], False, Status.ERROR),
    ],
)
def test_the_groups_port(found: list[Held], shared: bool, status: Status) -> None:  # noqa: FBT001
    """Whoever has it must share it."""
    assert judge_group_port(found, shared, subject()).status is status


@pytest.mark.parametrize(
    ("found", "announced", "status"),
    [
        ([], OWN, Status.OK),
        ([held()], OWN, Status.OK),
        ([held()], "", Status.OK),
        ([held("0.0.0.0")], OWN, Status.OK),
        ([held(pid=0, name="")], OWN, Status.OK),
        ([held("127.0.1.1")], OWN, Status.ERROR),
        ([held()], "10.0.0.2", Status.WARNING),
        ([held(name="nginx")], OWN, Status.WARNING),
        ([held(name="nginx"), held(port=4001)], OWN, Status.OK),
        ([held(name="nginx", port=port) for port in range(4000, 4100)], OWN, Status.ERROR),
    ],
)
def test_the_receivers_port(found: list[Held], announced: str, status: Status) -> None:
    """A receiver listens where it is announced, and nobody else is in its way."""
    assert judge_receivers(found, subject(), announced).status is status


def test_a_receiver_on_loopback_is_not_told_to_stay_there() -> None:
    """The line to paste has an address that others reach, or none."""
    for announced, pasted in (("127.0.1.1", "…"), (OWN, OWN), ("", "…")):
        remedy = judge_receivers([held("127.0.1.1")], subject(), announced).remedy
        assert remedy == f'write <Receiver address="{pasted}" …/> with the address that others reach'
