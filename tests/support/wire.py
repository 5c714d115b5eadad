"""Bytes of the wire for tests: recorded vectors and captures, and strategies that invent more."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.utils import PcapReader

from protocols.frame import Frame
from protocols.heartbeat import BEGIN, END, GOODBYE, Heartbeat, Layout, Member, encode
from protocols.malformed import Effect, Malformed

VECTORS = Path(__file__).parent.parent / "vectors"
CAPTURES = sorted((VECTORS / "captures").glob("*.pcap"))

EFFECTS = {
    "java.lang.ArrayIndexOutOfBoundsException": Effect.IGNORED,
    "java.lang.IllegalArgumentException": Effect.STALLS,
    "java.lang.NegativeArraySizeException": Effect.STALLS,
    "java.lang.OutOfMemoryError": Effect.KILLS,
}
"""What the membership receiver thread makes of the exceptions that vectors name."""


class Vector(NamedTuple):
    """One line of a vector file."""

    name: str
    data: bytes
    expect: dict[str, Any]


def vectors(file: str) -> list[Vector]:
    """Read a vector file by its name without suffix."""
    lines = map(json.loads, (VECTORS / f"{file}.jsonl").read_text().splitlines())
    return [Vector(line["name"], bytes.fromhex(line["hex"]), line.get("expect", line)) for line in lines]


def vector(file: str, name: str) -> bytes:
    """Return the bytes of one vector."""
    return next(each.data for each in vectors(file) if each.name == name)


def datagrams(capture: Path) -> Iterator[bytes]:
    """Yield the payload of every UDP datagram of a capture."""
    with PcapReader(str(capture)) as packets:
        yield from (bytes(packet[UDP].payload) for packet in packets if UDP in packet)


def segments(capture: Path) -> Iterator[tuple[object, bytes]]:
    """Yield (direction, new bytes) of every TCP connection of a capture; retransmissions are dropped."""
    expected: dict[object, int] = {}
    with PcapReader(str(capture)) as packets:
        for packet in packets:
            if TCP not in packet:
                continue
            ip, tcp = packet[IP if IP in packet else IPv6], packet[TCP]
            direction = (ip.src, tcp.sport, ip.dst, tcp.dport)
            size = ip.len - ip.ihl * 4 if IP in packet else ip.plen
            payload = bytes(tcp.payload)[: size - tcp.dataofs * 4]
            if tcp.flags.S or direction not in expected:
                expected[direction] = tcp.seq + (1 if tcp.flags.S else 0)
            if payload and tcp.seq == expected[direction]:
                expected[direction] += len(payload)
                yield direction, payload


def outcome(read: Callable[[bytes], object], data: bytes) -> object:
    """Return what was read, or the reason and effect of the refusal; anything else is a failure."""
    try:
        return read(data)
    except Malformed as refused:
        return refused.reason, refused.effect


# -- strategies

INT = st.integers(-(2**31), 2**31 - 1)
LONG = st.integers(-(2**63), 2**63 - 1)
LENGTH = st.sampled_from([0, 1, 3, 4, 8, 13, 14, 16, 53, 77, -1, -18, 2**31 - 1, -(2**31), 2**27]) | INT
PORTS = st.sampled_from([-1, 0, 4000, 65535, 65536]) | INT


def members(layout: st.SearchStrategy[Layout] = st.sampled_from(Layout)) -> st.SearchStrategy[Member]:  # noqa: B008
    """Invent members as a Tomcat could announce them, or nearly."""
    hosts = st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16) | st.binary(max_size=127)
    return st.builds(
        _member,
        host=hosts,
        port=PORTS,
        unique_id=st.binary(min_size=16, max_size=16),
        secure_port=PORTS,
        udp_port=PORTS,
        command=st.sampled_from([b"", b"", GOODBYE, b"HELLO"]),
        domain=st.binary(max_size=20),
        payload=st.binary(max_size=40) | st.just(END),
        layout=layout,
    )


def _member(**fields: Any) -> Member:
    if fields["layout"] is Layout.TOMCAT_6:
        fields["udp_port"] = -1  # it has none
    return Member(**fields)


ALIVE = st.integers(0, 10**9) | LONG
HEARTBEATS = st.builds(Heartbeat, members(), ALIVE)
CURRENT_HEARTBEATS = st.builds(Heartbeat, members(st.just(Layout.CURRENT)), ALIVE)
FRAMES = st.builds(
    Frame,
    sender=HEARTBEATS,
    message=st.binary(max_size=80),
    options=INT,
    timestamp_ms=LONG,
    id=st.binary(min_size=16, max_size=16) | st.binary(max_size=20),
)


@st.composite
def damaged(draw: st.DrawFn, sound: st.SearchStrategy[bytes]) -> bytes:
    """Damage sound bytes a little, and mostly where it matters: in their lengths."""
    data = bytearray(draw(sound))
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.integers(0, max(0, len(data) - 4)) | st.sampled_from([7, 10, 14, 23, 35, 39, 43]))
        match draw(st.sampled_from(["length", "byte", "cut", "insert", "append"])):
            case "length":
                data[place : place + 4] = draw(LENGTH).to_bytes(4, signed=True)
            case "byte":
                data[place : place + 1] = draw(st.binary(min_size=1, max_size=1))
            case "cut":
                del data[place:]
            case "insert":
                data[place:place] = draw(st.sampled_from([BEGIN, END, b"FLT2002", b"TLF2003"]))
            case "append":
                data += draw(st.binary(max_size=30))
    return bytes(data)


@st.composite
def ends_early(draw: st.DrawFn) -> bytes:
    """Invent a heartbeat whose body length puts the end marker among the fields, even in the alive time."""
    data = bytearray(encode(draw(CURRENT_HEARTBEATS)))
    body = draw(st.integers(0, 12))
    data[10:14] = body.to_bytes(4)
    data[14 + body : 24 + body] = END
    if draw(st.booleans()):
        data[35:36] = b"\x04"
    return bytes(data) + draw(st.binary(max_size=20))


def unjudged(heartbeat: Heartbeat) -> Heartbeat:
    """Return a heartbeat without what reading found odd in its member."""
    return Heartbeat(msgspec.structs.replace(heartbeat.member, oddities=()), heartbeat.alive_ms)
