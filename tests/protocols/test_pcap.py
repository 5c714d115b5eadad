"""Capture files: read like scapy reads them, however damaged without a surprise."""

import contextlib
import io
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.l2 import Ether
from scapy.packet import Raw
from scapy.utils import PcapNgWriter, RawPcapReader
from support.wire import CAPTURES, VECTORS

from protocols.pcap import LONGEST, CaptureError, Packet, is_capture, read, write_header, write_packet

STEADY = (VECTORS / "captures" / "c-kill9.pcap").read_bytes()
PACKETS = [Packet(1.5, 1, b"one", 3), Packet(2.25, 1, b"", 60), Packet(3.0, 1, b"three", 5)]


def classic(order: str = "<", magic: int = 0xA1B2C3D4, unit: int = 10**6, link: int = 1) -> bytes:
    """Write PACKETS as a classic capture."""
    head = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 65535, link)
    return head + b"".join(
        struct.pack(order + "4I", int(p.at), round(p.at % 1 * unit), len(p.data), p.length) + p.data
        for p in PACKETS
    )


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """Write one pcapng block."""
    body += bytes(-len(body) % 4)
    size = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + size + body + size


def section(order: str = "<") -> bytes:
    """Write a pcapng section header."""
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(*options: bytes, order: str = "<", snap_length: int = 0) -> bytes:
    """Write a pcapng interface description."""
    return block(1, struct.pack(order + "HHI", 1, 0, snap_length) + b"".join(options), order)


def packet(units: int, data: bytes, order: str = "<", number: int = 0) -> bytes:
    """Write an enhanced packet block."""
    return block(
        6,
        struct.pack(order + "5I", number, units >> 32, units & 0xFFFFFFFF, len(data), len(data)) + data,
        order,
    )


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit"), [(0xA1B2C3D4, 10**6), (0xA1B23C4D, 10**9)])
def test_all_four_classic_forms_read_alike(order: str, magic: int, unit: int) -> None:
    """Byte order and time unit follow from the magic number."""
    assert list(read(io.BytesIO(classic(order, magic, unit)))) == PACKETS


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_a_capture_reads_as_scapy_reads_it(capture: Path) -> None:
    """Every packet of a real capture has scapy's bytes, length and time."""
    with capture.open("rb") as file, RawPcapReader(str(capture)) as theirs:
        ours = list(read(file))
        expected = list(theirs)
    assert [p.data for p in ours] == [data for data, _ in expected]
    assert [p.length for p in ours] == [meta.wirelen for _, meta in expected]
    assert [p.at for p in ours] == pytest.approx([meta.sec + meta.usec / 1e6 for _, meta in expected], abs=1e-6)


def test_pcapng_as_scapy_writes_it(tmp_path: Path) -> None:
    """A pcapng file of another program gives the packets that went into it."""
    file = tmp_path / "some.pcapng"
    sent = [Ether() / Raw(each.data) for each in PACKETS]
    with PcapNgWriter(str(file)) as writer:
        for frame, each in zip(sent, PACKETS, strict=True):
            frame.time = each.at
            writer.write(frame)
    data = file.read_bytes()
    assert is_capture(data)
    assert [(p.at, p.data) for p in read(io.BytesIO(data))] == [
        (each.at, bytes(frame)) for frame, each in zip(sent, PACKETS, strict=True)
    ]


OPTION_NANOSECONDS = struct.pack("<HHB3x", 9, 1, 9)
OPTION_BINARY = struct.pack("<HHB3x", 9, 1, 0x80 | 10)
OPTION_OFFSET = struct.pack("<HHq", 14, 8, 1000)
COMMENT = struct.pack("<HH", 1, 5) + b"hello\0\0\0"
END = bytes(4)

PCAPNG = {
    "microseconds": (section() + interface() + packet(1_500_000, b"x"), [(1.5, b"x")]),
    "nanoseconds": (section() + interface(OPTION_NANOSECONDS) + packet(1_500_000_000, b"x"), [(1.5, b"x")]),
    "powers of two": (section() + interface(OPTION_BINARY) + packet(1536, b"x"), [(1.5, b"x")]),
    "a time offset": (
        section() + interface(COMMENT, OPTION_OFFSET, END) + packet(500_000, b"x"),
        [(1000.5, b"x")],
    ),
    "big-endian": (section(">") + interface(order=">") + packet(2**33, b"x", ">"), [(2**33 / 1e6, b"x")]),
    "two sections": (
        section()
        + interface()
        + packet(0, b"a")
        + section(">")
        + interface(order=">")
        + packet(10**6, b"b", ">"),
        [(0.0, b"a"), (1.0, b"b")],
    ),
    "two interfaces": (
        section() + interface() + interface(OPTION_NANOSECONDS) + packet(10**9, b"x", number=1),
        [(1.0, b"x")],
    ),
    "a block nobody knows": (section() + block(0xBAD, b"what") + interface() + packet(0, b"x"), [(0.0, b"x")]),
    "a simple packet": (section() + interface() + block(3, struct.pack("<I", 3) + b"abc"), [(0.0, b"abc")]),
    "a simple packet, snapped": (
        section() + interface(snap_length=2) + block(3, struct.pack("<I", 3) + b"ab"),
        [(0.0, b"ab")],
    ),
    "an obsolete packet": (
        section() + interface() + block(2, struct.pack("<HH4I", 0, 0, 0, 10**6, 1, 1) + b"x"),
        [(1.0, b"x")],
    ),
    "nothing": (section(), []),
}


@pytest.mark.parametrize(("data", "expected"), PCAPNG.values(), ids=PCAPNG)
def test_pcapng_forms(data: bytes, expected: list[tuple[float, bytes]]) -> None:
    """Each form of the format gives its packets with their times."""
    assert [(p.at, p.data) for p in read(io.BytesIO(data))] == expected


REFUSED = {
    "not a capture": (b"GIF89a", "not a capture"),
    "empty": (b"", "cut in the middle"),
    "a packet of a gigabyte": (
        write_header(1) + struct.pack("<4I", 0, 0, 2**30, 2**30),
        "damaged: a packet of",
    ),
    "a block of a gigabyte": (section() + struct.pack("<II", 6, 2**30), "damaged: a block of"),
    "a block of odd length": (section() + struct.pack("<II", 6, 13), "damaged: a block of 13 bytes"),
    "a block without body": (section() + struct.pack("<II", 6, 8), "damaged: a block of 8 bytes"),
    "no byte order": (struct.pack("<III", 0x0A0D0D0A, 28, 0), "without a byte order"),
    "an interface nobody described": (section() + packet(0, b"x"), "damaged: a block too short"),
    "a packet longer than its block": (
        section() + interface() + block(6, struct.pack("<5I", 0, 0, 0, 9, 9)),
        "longer than its block",
    ),
    "interfaces without end": (section() + interface() * 5000, "more than 4096 interfaces"),
}


@pytest.mark.parametrize(("data", "message"), REFUSED.values(), ids=REFUSED)
def test_a_damaged_file_is_named(data: bytes, message: str) -> None:
    """Damage is told in one sentence, and nothing is allocated for a length that is only claimed."""
    with pytest.raises(CaptureError, match=message):
        list(read(io.BytesIO(data)))


@given(st.integers(0, len(STEADY)))
def test_a_file_cut_in_the_middle_gives_what_came_before(length: int) -> None:
    """Whole packets are read, then the cut is told, unless it fell between two."""
    found: list[Packet] = []
    cut = False
    try:
        for each in read(io.BytesIO(STEADY[:length])):
            found.append(each)  # noqa: PERF402  # those before the error count
    except CaptureError as error:
        cut = "cut in the middle" in str(error)
    assert found == list(read(io.BytesIO(STEADY)))[: len(found)]
    assert cut is (length != 24 + sum(16 + len(each.data) for each in found))


@given(st.sampled_from([classic(), PCAPNG["two sections"][0], PCAPNG["a time offset"][0]]), st.data())
def test_any_damage_ends_in_packets_or_one_error(data: bytes, draw: st.DataObject) -> None:
    """Whatever the bytes, nothing but CaptureError is raised."""
    damaged = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 4))):
        damaged[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    with contextlib.suppress(CaptureError):
        assert all(len(p.data) <= LONGEST for p in read(io.BytesIO(bytes(damaged))))


def test_what_is_written_is_read() -> None:
    """A capture of our own reads back."""
    data = write_header(1) + b"".join(map(write_packet, PACKETS))
    assert list(read(io.BytesIO(data))) == PACKETS


def test_a_pipe_gives_packets_as_they_come() -> None:
    """A packet is given as soon as it is there, not when the buffer is full."""

    class Pipe:
        def __init__(self) -> None:
            self.pieces = [write_header(1), *map(write_packet, PACKETS)]

        def read1(self, _size: int, /) -> bytes:
            return self.pieces.pop(0) if self.pieces else b""

    pipe = Pipe()
    packets = read(pipe)
    assert next(packets) == PACKETS[0]
    assert len(pipe.pieces) == 2
