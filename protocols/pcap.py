"""Capture files, classic pcap and pcapng: bytes to packets, one bounded record at a time.

Formats: https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-05.html and draft-ietf-opsawg-pcapng-03.
"""

import struct
from collections.abc import Iterator
from typing import Final, Protocol

import msgspec

LONGEST: Final = 1 << 20
"""bytes: no record or block is longer; tcpdump's own limit for a packet is 262144."""
_CHUNK: Final = 1 << 18

_CLASSIC: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", 1e-6),
    b"\xa1\xb2\xc3\xd4": (">", 1e-6),
    b"\x4d\x3c\xb2\xa1": ("<", 1e-9),
    b"\xa1\xb2\x3c\x4d": (">", 1e-9),
}
"""Magic to byte order and seconds per unit of the second time field."""
_SECTION: Final = b"\x0a\x0d\x0d\x0a"
_BYTE_ORDER: Final = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}
_INTERFACE, _OBSOLETE_PACKET, _SIMPLE_PACKET, _PACKET = 1, 2, 3, 6
_END_OF_OPTIONS, _TIME_RESOLUTION, _TIME_OFFSET = 0, 9, 14


class Source(Protocol):
    """What packets are read from: a binary file or a pipe."""

    def read1(self, size: int, /) -> bytes:
        """Return what is there, at most ``size`` bytes, none at the end."""


class CaptureError(ValueError):
    """The file is no capture, is damaged, or ends in the middle; what came before is sound."""


class Packet(msgspec.Struct, frozen=True, gc=False):
    """One captured packet: unix time (s), link type (LINKTYPE_ number), bytes, and its length on the wire."""

    at: float
    link: int
    data: bytes
    length: int


def is_capture(start: bytes) -> bool:
    """Tell from its first four bytes whether a file is a capture."""
    return start[:4] in _CLASSIC or start[:4] == _SECTION


RAW_IP: Final = 101
"""LINKTYPE_RAW: packets begin with their IP header."""


def write_header(link: int) -> bytes:
    """Write the start of a classic capture."""
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, LONGEST, link)


def write_packet(packet: Packet) -> bytes:
    """Write one packet of a classic capture."""
    seconds, fraction = divmod(round(packet.at * 1e6), 10**6)
    return struct.pack("<4I", seconds, fraction, len(packet.data), packet.length) + packet.data


def read(source: Source) -> Iterator[Packet]:
    """Yield the packets in file order; raises ``CaptureError`` after the last sound one."""
    reader = _Reader(source)
    magic = reader.take(4, "file header")
    if magic in _CLASSIC:
        return _read_classic(reader, *_CLASSIC[magic])
    if magic == _SECTION:
        return _read_blocks(reader)
    raise CaptureError("not a capture: neither pcap nor pcapng")


class _Reader:
    """Takes exact lengths from a source that gives chunks."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.buffer = b""
        self.offset = 0
        self._before = 0  # bytes of the file that lie before the buffer

    def has(self, size: int) -> bool:
        """Whether ``size`` bytes lie at ``offset``, after reading on if need be."""
        missing = size - (len(self.buffer) - self.offset)
        if missing <= 0:
            return True
        parts = [self.buffer[self.offset :]]
        self._before += self.offset
        while missing > 0 and (part := self._source.read1(_CHUNK)):
            parts.append(part)
            missing -= len(part)
        self.buffer = b"".join(parts)
        self.offset = 0
        return missing <= 0

    def ended(self) -> bool:
        return not self.has(1)

    def take(self, size: int, what: str, taken: int = 0) -> bytes:
        """Take the rest of something of which so many bytes were taken before."""
        if size > LONGEST:
            raise CaptureError(f"damaged: a {what} of {size} bytes")
        if not self.has(size):
            raise self.cut(what, taken)
        start = self.offset
        self.offset = start + size
        return self.buffer[start : start + size]

    def cut(self, what: str, taken: int = 0) -> CaptureError:
        at = self._before + self.offset - taken
        return CaptureError(f"cut in the middle: its last {what}, at byte {at}, is not whole")


def _read_classic(reader: _Reader, order: str, unit: float) -> Iterator[Packet]:
    link = struct.unpack(order + "16xI", reader.take(20, "file header"))[0] & 0x0FFFFFFF
    header = struct.Struct(order + "4I").unpack_from
    has = reader.has
    while has(16):
        seconds, fraction, size, length = header(reader.buffer, reader.offset)
        reader.offset += 16
        yield Packet(seconds + fraction * unit, link, reader.take(size, "packet", 16), length)
    if not reader.ended():
        raise reader.cut("packet")


class _Interface(msgspec.Struct, gc=False):
    """What an interface description says of the packets that name it."""

    link: int
    snap_length: int
    units_per_second: int = 1_000_000
    offset: int = 0


class _Section:
    """One section of a pcapng file: its byte order, and the interfaces described so far."""

    def __init__(self, order: str) -> None:
        self.order = order
        self.interfaces: list[_Interface] = []
        self.unpack_packet = struct.Struct(order + "5I").unpack_from
        self.unpack_length = struct.Struct(order + "2I").unpack

    def describe(self, body: bytes) -> None:
        if len(self.interfaces) >= _MOST_INTERFACES:
            raise CaptureError(f"damaged: more than {_MOST_INTERFACES} interfaces")
        link, snap_length = struct.unpack_from(self.order + "H2xI", body)
        interface = _Interface(link, snap_length or LONGEST)
        for code, value in self._options(body, 8):
            if code == _TIME_RESOLUTION and len(value) == 1:
                exponent = value[0] & 0x7F
                interface.units_per_second = 2**exponent if value[0] & 0x80 else 10**exponent
            elif code == _TIME_OFFSET and len(value) == 8:  # noqa: PLR2004  # an i64
                interface.offset = struct.unpack(self.order + "q", value)[0]
        self.interfaces.append(interface)

    def _options(self, body: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
        while offset + 4 <= len(body):
            code, size = struct.unpack_from(self.order + "2H", body, offset)
            if code == _END_OF_OPTIONS:
                return
            yield code, body[offset + 4 : offset + 4 + size]
            offset += 4 + (size + 3 & ~3)

    def packet(self, body: bytes) -> Packet:
        number, high, low, size, length = self.unpack_packet(body)
        return self._packet(number, high << 32 | low, body[20 : 20 + size], size, length)

    def obsolete_packet(self, body: bytes) -> Packet:
        number, high, low, size, length = struct.unpack_from(self.order + "H2x4I", body)
        return self._packet(number, high << 32 | low, body[20 : 20 + size], size, length)

    def simple_packet(self, body: bytes) -> Packet:
        """Read a packet of the first interface; it has no time."""
        length = struct.unpack_from(self.order + "I", body)[0]
        size = min(length, self.interfaces[0].snap_length)
        return self._packet(0, 0, body[4 : 4 + size], size, length)

    def _packet(self, number: int, time: int, data: bytes, size: int, length: int) -> Packet:
        if len(data) < size:
            raise CaptureError("damaged: a packet longer than its block")
        interface = self.interfaces[number]
        return Packet(interface.offset + time / interface.units_per_second, interface.link, data, length)


_MOST_INTERFACES: Final = 4096


def _read_blocks(reader: _Reader) -> Iterator[Packet]:
    section = _begin_section(reader)
    while not reader.ended():
        kind_bytes = reader.take(4, "block")
        if kind_bytes == _SECTION:
            section = _begin_section(reader)
            continue
        kind, size = section.unpack_length(kind_bytes + reader.take(4, "block"))
        body = _take_body(reader, size, 8)
        try:
            if kind == _PACKET:
                yield section.packet(body)
            elif kind == _INTERFACE:
                section.describe(body)
            elif kind == _SIMPLE_PACKET:
                yield section.simple_packet(body)
            elif kind == _OBSOLETE_PACKET:
                yield section.obsolete_packet(body)
        except (struct.error, IndexError, OverflowError) as error:
            raise CaptureError("damaged: a block too short, or of an interface nobody described") from error


def _begin_section(reader: _Reader) -> _Section:
    size, magic = (reader.take(4, "section header") for _ in range(2))
    if magic not in _BYTE_ORDER:
        raise CaptureError("damaged: a section without a byte order")
    order = _BYTE_ORDER[magic]
    _take_body(reader, struct.unpack(order + "I", size)[0], 12)
    return _Section(order)


def _take_body(reader: _Reader, size: int, taken: int) -> bytes:
    """Take the rest of a block whose first bytes were ``taken``, and its length said once more at the end."""
    if size % 4 or size < taken + 4:
        raise CaptureError(f"damaged: a block of {size} bytes")
    return reader.take(size - taken, "block", taken)[:-4]
