"""The kernel's messages on links and addresses."""

import contextlib
import errno
import ipaddress
import socket
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from probe.sensors import rtnetlink
from probe.sensors.rtnetlink import Address, Gone, Link, Message

NEW_LINK, DEL_LINK, NEW_ADDRESS, ERROR, DONE = 16, 17, 20, 2, 3
IFA_ADDRESS, IFA_LOCAL, IFLA_IFNAME, IFLA_MTU = 1, 2, 3, 4


def message(kind: int, body: bytes) -> bytes:
    """Put a netlink header before a body, and padding behind it."""
    return struct.pack("=IHHII", 16 + len(body), kind, 0, 0, 0) + body + bytes(-len(body) % 4)


def attribute(kind: int, value: bytes) -> bytes:
    """Write a routing attribute."""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def link(index: int, name: str, flags: int = 0, kind: int = NEW_LINK, family: int = 0) -> bytes:
    """Write what tells of a link."""
    body = struct.pack("=BxHiII", family, 1, index, flags, 0)
    return message(kind, body + attribute(IFLA_MTU, bytes(4)) + attribute(IFLA_IFNAME, name.encode() + b"\0"))


def address(index: int, prefix: int, *attributes: bytes) -> bytes:
    """Write what tells of an address."""
    return message(NEW_ADDRESS, struct.pack("=BBBBI", 2, prefix, 0, 0, index) + b"".join(attributes))


V4, PEER, V6 = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2]), ipaddress.ip_address("fd77::1").packed

TOLD: list[tuple[str, bytes, list[Message]]] = [
    ("nothing", b"", []),
    ("a link", link(2, "eth0", 0x1043), [Link(2, "eth0", 0x1043)]),
    ("a link that went", link(2, "eth0", kind=DEL_LINK), [Gone(2)]),
    ("a bridge's port says nothing of the link", link(2, "eth0", family=socket.AF_BRIDGE), []),
    ("a link that leaves a bridge is not gone", link(2, "eth0", kind=DEL_LINK, family=socket.AF_BRIDGE), []),
    ("several", link(1, "lo") + link(2, "e"), [Link(1, "lo", 0), Link(2, "e", 0)]),
    ("IPv4", address(2, 24, attribute(1, V4)), [Address(2, ipaddress.IPv4Interface("10.0.0.1/24"))]),
    (
        "point to point: our own end",
        address(2, 32, attribute(IFA_ADDRESS, PEER), attribute(IFA_LOCAL, V4)),
        [Address(2, ipaddress.IPv4Interface("10.0.0.1/32"))],
    ),
    ("IPv6", address(3, 64, attribute(1, V6)), [Address(3, ipaddress.IPv6Interface("fd77::1/64"))]),
    ("an address of no known size", address(3, 8, attribute(1, b"abc")), []),
    ("a prefix that cannot be", address(3, 33, attribute(1, V4)), []),
    ("the end of a dump", message(DONE, bytes(4)), []),
    ("no error", message(ERROR, bytes(2)), []),
    ("another kind", message(99, bytes(40)), []),
    ("a body too short", message(NEW_LINK, bytes(8)), []),
    ("a length too long", struct.pack("=IHHII", 99, NEW_LINK, 0, 0, 0), []),
    ("a length too short", struct.pack("=IHHII", 3, NEW_LINK, 0, 0, 0) + link(1, "lo"), []),
]


@pytest.mark.parametrize(("data", "expected"), [row[1:] for row in TOLD], ids=[row[0] for row in TOLD])
def test_messages_are_read_as_far_as_they_are_whole(data: bytes, expected: list[Message]) -> None:
    """The table says what each means."""
    assert list(rtnetlink.read(data)) == expected


def test_an_error_of_the_kernel_is_raised_as_such() -> None:
    """Its number is negated on the wire."""
    data = message(ERROR, struct.pack("=i", -errno.ENOBUFS))
    with pytest.raises(OSError, match="No buffer space available"):
        list(rtnetlink.read(data))


@given(st.binary(max_size=200))
@example(link(2, "eth0")[:-3])
def test_any_bytes_are_read_to_an_end(data: bytes) -> None:
    """Nothing but the kernel's own error comes out of any bytes."""
    with contextlib.suppress(OSError):
        assert len(list(rtnetlink.read(data))) <= len(data) // 16


def test_every_cut_of_a_message_is_read_to_an_end() -> None:
    """A cut message says less, never something else."""
    data = link(2, "eth0") + address(2, 24, attribute(1, V4))
    whole = list(rtnetlink.read(data))
    for end in range(len(data)):
        assert list(rtnetlink.read(data[:end])) == whole[: (end >= len(link(2, "eth0")))]


def test_this_host_has_a_loopback_with_its_address() -> None:
    """The kernel's own answer, read by the same code."""
    told = rtnetlink.list_links()
    index = socket.if_nametoindex("lo")
    [lo] = [one for one in told if isinstance(one, Link) and one.name == "lo"]
    assert lo.index == index
    assert lo.flags & rtnetlink.LOOPBACK
    assert Address(index, ipaddress.IPv4Interface("127.0.0.1/8")) in told
