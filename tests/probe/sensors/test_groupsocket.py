"""One group is heard and nothing else, beside whoever else has the port."""

import contextlib
import ipaddress
import os
import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.netns import Lab
from support.speaker import Speaker

from probe.sensors.groupsocket import GroupSocket, one_interface_only

GROUP, OTHER, PORT = "239.255.70.1", "239.255.70.2", 45710
LO = socket.if_nametoindex("lo")


@contextlib.contextmanager
def listening(group: str = GROUP, port: int = PORT, buffer: int = 1 << 16) -> Iterator[GroupSocket]:
    """Give a socket that hears a group on loopback."""
    ear = GroupSocket(ipaddress.ip_address(group), port, buffer)
    try:
        ear.join(LO)
        yield ear
    finally:
        ear.close()


def heard(ear: GroupSocket, last: bytes = b"last") -> list[bytes]:
    """Return what arrived up to the last word."""
    words: list[bytes] = []
    while not words or words[-1] != last:
        assert select.select([ear.socket], [], [], 5)[0], f"only {words} came"
        words.append(ear.socket.recv(100))
    return words[:-1]


def test_groups_on_one_port_are_not_heard_crosswise() -> None:
    """Each socket hears its own group, though this host has joined both and both share a port."""
    with listening(GROUP) as one, listening(OTHER) as two, Speaker() as speaker:
        speaker.say(b"to one", GROUP, PORT)
        speaker.say(b"to two", OTHER, PORT)
        for group in (GROUP, OTHER):
            speaker.say(b"last", group, PORT)
        assert heard(one) == [b"to one"]
        assert heard(two) == [b"to two"]


def test_unicasts_are_not_heard() -> None:
    """A datagram to this host's own address on the group's port goes elsewhere."""
    with listening() as ear, Speaker() as speaker:
        speaker.say(b"unicast", "127.0.0.1", PORT)
        speaker.say(b"last", GROUP, PORT)
        assert heard(ear) == []


def test_a_process_beside_us_has_the_port_and_hears_too() -> None:
    """A socket bound to the port of all addresses, as a Tomcat's, and ours get the same datagram."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tomcat:
        tomcat.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tomcat.bind(("", PORT))
        tomcat.settimeout(5)
        with listening() as ear, Speaker() as speaker:
            speaker.say(b"to all", GROUP, PORT)
            speaker.say(b"last", GROUP, PORT)
            assert heard(ear) == [b"to all"]
            assert tomcat.recv(100) == b"to all"


def test_after_leaving_nothing_is_heard() -> None:
    """What is said while the membership is given back does not arrive, what is said later does."""
    with listening(OTHER), listening() as ear, Speaker() as speaker:
        ear.leave(LO)
        speaker.say(b"unheard", GROUP, PORT)
        ear.join(LO)
        speaker.say(b"last", GROUP, PORT)
        assert heard(ear) == []


@pytest.mark.parametrize("group", [GROUP, "ff15::4"])
def test_nothing_can_be_sent_by_it(group: str) -> None:
    """Invariant 1 is kept by the kernel: even a mistake in this program cannot speak to the group."""
    ear = GroupSocket(ipaddress.ip_address(group), PORT, 1 << 16)
    try:
        for send in (ear.socket.sendto, lambda data, to: ear.socket.sendmsg([data], [], 0, to)):
            with pytest.raises(BrokenPipeError):
                send(b"by mistake", (group, PORT))
    finally:
        ear.close()


def test_the_receive_buffer_is_what_the_kernel_grants() -> None:
    """Without privilege it is what net.core.rmem_max allows, doubled for the kernel's own books."""
    allowed = int(Path("/proc/sys/net/core/rmem_max").read_text())
    with _unprivileged(), listening(buffer=4 * allowed) as ear:
        assert ear.buffer == 2 * allowed


@pytest.mark.netns
def test_with_privilege_the_receive_buffer_is_what_was_asked_for() -> None:
    """With CAP_NET_ADMIN the host's limit does not bind."""
    allowed = int(Path("/proc/sys/net/core/rmem_max").read_text())
    with listening(buffer=4 * allowed) as ear:
        assert ear.buffer == 8 * allowed


@contextlib.contextmanager
def _unprivileged() -> Iterator[None]:
    me = os.geteuid()
    if me == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(me)


def test_drops_are_counted_without_reading() -> None:
    """The kernel tells how many datagrams found the buffer full."""
    with listening(buffer=1) as ear, Speaker() as speaker:
        assert ear.drops() == 0
        for _ in range(100):
            speaker.say(bytes(100), GROUP, PORT)
        kept = 0
        with contextlib.suppress(BlockingIOError):
            while ear.socket.recv(200):
                kept += 1
        assert ear.drops() == 100 - kept > 0


@pytest.mark.parametrize(
    ("group", "expected"),
    [
        ("239.255.0.1", False),
        ("224.0.0.1", False),
        ("ff01::1", True),
        ("ff02::1", True),
        ("ff12::1", True),
        ("ff05::1", False),
        ("ff15::1", False),
        ("ff0e::1", False),
    ],
)
def test_ipv6_groups_of_small_scope_need_a_socket_per_interface(group: str, *, expected: bool) -> None:
    """Interface and link scope bind to one interface; wider ones, and IPv4, do not."""
    assert one_interface_only(ipaddress.ip_address(group)) is expected


def test_an_address_that_cannot_be_bound_leaves_nothing_open() -> None:
    """The error is the kernel's; a socket left open would be a warning, and so a failure."""
    with pytest.raises(OSError, match="Cannot assign requested address"):
        GroupSocket(ipaddress.ip_address("192.0.2.1"), PORT, 1 << 16)


@pytest.mark.netns
@pytest.mark.parametrize(("group", "scoped"), [("ff15::4", False), ("ff02::4", True)])
def test_ipv6_groups_are_heard_and_nothing_else(group: str, *, scoped: bool) -> None:
    """Another group on the port, and a unicast, stay unheard on a segment of two hosts."""
    with Lab(2) as lab:
        here, there = lab.hosts
        with here.inside():
            index = socket.if_nametoindex("eth0")
            ear = GroupSocket(ipaddress.ip_address(group), PORT, 1 << 16, index if scoped else 0)
            ear.join(index)
        with there.inside(), Speaker("eth0", version=6) as speaker:
            speaker.say(b"other group", "ff15::5", PORT)
            speaker.say(b"unicast", here.address6, PORT)
            speaker.say(b"group", group, PORT)
            speaker.say(b"last", group, PORT)
        try:
            assert heard(ear) == [b"group"]
        finally:
            ear.close()
