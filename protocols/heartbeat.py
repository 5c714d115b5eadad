"""The membership datagram of McastService: one member block, sent every ``frequency``.

The grammar below is the only parser. A member repeats the same bytes but for its alive time, so
``Decoder`` remembers the rest and a known member costs two slices and a look-up.
"""

import ipaddress
import struct
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

import msgspec
from construct import (
    Bytes,
    Const,
    Construct,
    Int8sb,
    Int32sb,
    Int64sb,
    Prefixed,
    StreamError,
    Struct,
    Tell,
)

from protocols.malformed import Effect, Malformed, Reason
from protocols.sized import Sized

BEGIN: Final = b"TRIBES-B\x01\x00"
END: Final = b"TRIBES-E\x01\x00"
LEGACY_BEGIN: Final = b"TRIBES-B"
LEGACY_END: Final = b"TRIBES-E"
GOODBYE: Final = b"BABY-ALEX"
"""``Member.SHUTDOWN_PAYLOAD``; it travels in the command field and is compared for exact equality."""

UDP_LIMIT: Final = 65507
"""bytes: the largest payload of a UDP datagram over IPv4."""
EPOCH_LIKE_MS: Final = 10**12
"""An alive time from here on is a wall clock: the sender's serviceStartTime was 0 or -1 (recovery)."""

_ALIVE = slice(14, 22)
LEAST: Final = _ALIVE.stop
"""bytes that ``splitter`` needs at least."""
_MIN_BODY = 8  # a shorter body puts the end marker inside the alive time: never remembered


class Layout(StrEnum):
    """Which Tomcat's member block: 7.0 to main, or 6.0 (markers without ``01 00``, no UDP port)."""

    CURRENT = "current"
    TOMCAT_6 = "tomcat-6"


class Oddity(StrEnum):
    """What a Tomcat accepts although its own writer never produces it."""

    TRAILING_BYTES = "trailing-bytes"
    BODY_LENGTH_SHORT = "body-length-short"
    BODY_LENGTH_LONG = "body-length-long"
    FIELDS_OVER_END_MARKER = "fields-over-end-marker"
    HOST_LENGTH = "host-length"
    PORT = "port"
    LEGACY_LAYOUT = "legacy-layout"
    UNKNOWN_COMMAND = "unknown-command"
    ALIVE_IS_EPOCH = "alive-is-epoch"
    ALIVE_NEGATIVE = "alive-negative"


def _fields(*udp_port: Construct) -> Construct:
    return Struct(
        "alive_ms" / Int64sb,
        "port" / Int32sb,
        "secure_port" / Int32sb,
        *udp_port,
        "host" / Sized(Int8sb, Reason.HOST_LENGTH),
        "command" / Sized(Int32sb, Reason.COMMAND_LENGTH),
        "domain" / Sized(Int32sb, Reason.DOMAIN_LENGTH),
        "unique_id" / Bytes(16),
        "payload" / Sized(Int32sb, Reason.PAYLOAD_LENGTH),
    )


FIELDS: Final = {Layout.CURRENT: _fields("udp_port" / Int32sb), Layout.TOMCAT_6: _fields()}
"""The fields between body length and end marker, big-endian (``MemberImpl.getData``)."""
MARKERS: Final = {Layout.CURRENT: (BEGIN, END), Layout.TOMCAT_6: (LEGACY_BEGIN, LEGACY_END)}
GRAMMAR: Final = {
    layout: Struct("begin" / Const(begin), "body" / Prefixed(Int32sb, FIELDS[layout]), "end" / Const(end))
    for layout, (begin, end) in MARKERS.items()
}
"""The whole datagram as a Tomcat writes it. Reading is laxer: see ``parse``."""


class Member(msgspec.Struct, frozen=True, gc=False):
    """What a member says of itself, all but its alive time (``MemberImpl``).

    ``host`` and ``port`` are those the Receiver is bound to, not the datagram's source; neither is
    checked by a Tomcat. ``address`` and ``name`` ("10.0.0.1:4000") are derived once.
    """

    host: bytes
    port: int
    unique_id: bytes
    secure_port: int = -1
    udp_port: int = -1
    command: bytes = b""
    domain: bytes = b""
    payload: bytes = b""
    layout: Layout = Layout.CURRENT
    oddities: tuple[Oddity, ...] = ()
    address: bytes = b""
    """host and port packed: the key under which tables know the member."""
    name: str = ""

    def __post_init__(self) -> None:
        """Derive what tables and people call the member."""
        msgspec.structs.force_setattr(self, "address", self.host + struct.pack(">i", self.port))
        msgspec.structs.force_setattr(self, "name", address_name(self.host, self.port))

    @property
    def is_goodbye(self) -> bool:
        """Whether this announces a clean stop (or a recovery)."""
        return self.command == GOODBYE


class Heartbeat(msgspec.Struct, frozen=True, gc=False):
    """One member block: who, and for how long by the sender's wall clock (ms, may jump or be negative)."""

    member: Member
    alive_ms: int

    @property
    def oddities(self) -> tuple[Oddity, ...]:
        """The member's oddities and those of this alive time."""
        if 0 <= self.alive_ms < EPOCH_LIKE_MS:
            return self.member.oddities
        odd = Oddity.ALIVE_NEGATIVE if self.alive_ms < 0 else Oddity.ALIVE_IS_EPOCH
        return (*self.member.oddities, odd)


@lru_cache(maxsize=16_384)
def host_text(host: bytes) -> str:
    """Return "10.0.0.1" or "2001:db8::7"; a host of any other length as hex after "0x"."""
    if len(host) in {4, 16}:
        return str(ipaddress.ip_address(host))
    return "0x" + host.hex()


def address_name(host: bytes, port: int) -> str:
    """Return "10.0.0.1:4000", IPv6 in brackets."""
    text = host_text(host)
    return f"[{text}]:{port}" if ":" in text else f"{text}:{port}"


def is_heartbeat(data: bytes) -> bool:
    """Tell by the magic whether this claims to be a member block, of any layout."""
    return data.startswith(LEGACY_BEGIN)


def parse(data: bytes, length: int | None = None) -> Heartbeat:
    """Read one datagram by the bare grammar, remembering nothing.

    Accepts what ``MemberImpl.getMember`` accepts and names each slack as an oddity; refuses what it
    refuses with ``Malformed``, whatever the bytes. ``length`` is that of the member block where more
    stands behind it; like Java, the fields are bounded by the data all the same.
    """
    length = len(data) if length is None else length
    layout = Layout.CURRENT if data.startswith(BEGIN) else Layout.TOMCAT_6
    if layout is Layout.TOMCAT_6 and not data.startswith(LEGACY_BEGIN):
        raise Malformed(Reason.BEGIN_MARKER)
    try:
        start, end = _envelope(data, length, layout)
        fields, fields_end = _read_fields(data, start, layout)
    except Malformed as refused:
        if layout is Layout.CURRENT:
            raise
        raise Malformed(Reason.BEGIN_MARKER) from refused  # to a current Tomcat it is no member block
    alive_ms = fields.pop("alive_ms")
    return Heartbeat(
        Member(**fields, layout=layout, oddities=_oddities(data, length, layout, fields, end, fields_end)),
        alive_ms,
    )


def _envelope(data: bytes, length: int, layout: Layout) -> tuple[int, int]:
    """Return where the fields start and where the body length puts the end marker."""
    begin, end_marker = MARKERS[layout]
    start = len(begin) + 4
    if length < start or len(data) < start:
        raise Malformed(Reason.TOO_SMALL)
    body_length: int = Int32sb.parse(data[len(begin) : start])
    end = start + body_length
    if length < end + len(end_marker) or not 0 <= end < len(data):
        raise Malformed(Reason.BODY_LENGTH)
    if not data.startswith(end_marker, end):
        raise Malformed(Reason.END_MARKER, Effect.STALLS)
    return start, end


def _read_fields(data: bytes, start: int, layout: Layout) -> tuple[dict[str, Any], int]:
    """Read the fields, bounded by the datagram and not by the body length, as ``getMember`` does."""
    try:
        fields = _POSITIONED[layout].parse(data[start:])
    except StreamError as error:
        raise Malformed(Reason.TRUNCATED_FIELDS) from error
    values = dict(fields.fields)
    values.pop("_io", None)
    return values, start + fields.end


_POSITIONED: Final = {layout: Struct("fields" / FIELDS[layout], "end" / Tell) for layout in Layout}


def _oddities(
    data: bytes, length: int, layout: Layout, fields: dict[str, Any], end: int, fields_end: int
) -> tuple[Oddity, ...]:
    ports = (fields["port"], fields["secure_port"], fields.get("udp_port", -1))
    found = {
        Oddity.TRAILING_BYTES: length > end + len(MARKERS[layout][1]),
        Oddity.BODY_LENGTH_SHORT: fields_end > end and data.startswith(MARKERS[layout][1], fields_end),
        Oddity.BODY_LENGTH_LONG: fields_end < end,
        Oddity.FIELDS_OVER_END_MARKER: fields_end > end and not data.startswith(MARKERS[layout][1], fields_end),
        Oddity.HOST_LENGTH: len(fields["host"]) not in {4, 16},
        Oddity.PORT: not 0 < ports[0] <= 65535 or any(not -1 <= port <= 65535 for port in ports),  # noqa: PLR2004
        Oddity.LEGACY_LAYOUT: layout is Layout.TOMCAT_6,
        Oddity.UNKNOWN_COMMAND: fields["command"] not in {b"", GOODBYE},
    }
    return tuple(oddity for oddity, seen in found.items() if seen)


def encode(heartbeat: Heartbeat) -> bytes:
    """Write the datagram as a Tomcat of the member's layout does.

    Raises ValueError for a host over 127 bytes or a datagram over the UDP limit
    (``MemberImpl.getData`` and ``setPayload`` refuse likewise).
    """
    member = heartbeat.member
    if len(member.host) > 127:  # noqa: PLR2004  # the host length is a signed byte
        raise ValueError(f"host of {len(member.host)} bytes: at most 127 fit the length field")
    body = {name: getattr(member, name, None) for name in member.__struct_fields__}
    data: bytes = GRAMMAR[member.layout].build({"body": {**body, "alive_ms": heartbeat.alive_ms}})
    if len(data) > UDP_LIMIT:
        raise ValueError(f"heartbeat of {len(data)} bytes: UDP carries at most {UDP_LIMIT}")
    return data


class Decoder:
    """Reads datagrams like ``parse``, remembering members so that a known one costs its alive time only.

    Two generations of at most ``size`` members each: who was not heard while the younger filled up
    leaves first. Datagrams over ``longest`` bytes are read afresh each time, so that the memory stays
    under ``2 * size * longest`` bytes whatever the network sends.
    """

    def __init__(self, size: int = 16_384, longest: int = 1_500) -> None:
        self.size = size
        self.longest = longest
        self._young: dict[bytes, Member] = {}
        self._old: dict[bytes, Member] = {}

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def recall(self, data: bytes) -> Heartbeat | None:
        """Return the heartbeat if its member is remembered; never more than a look-up."""
        key = data[:14] + data[22:]  # all but the alive time
        member = self._young.get(key)
        if member is None:
            member = self._old.get(key)
            if member is None:
                return None
            self._remember(key, member)
        return Heartbeat(member, _alive_at(data, 14)[0])

    def decode(self, data: bytes) -> Heartbeat:
        """Read one datagram; raises ``Malformed`` exactly when ``parse`` does."""
        return self.recall(data) or self.learn(data)

    def learn(self, data: bytes) -> Heartbeat:
        """Read one datagram by the grammar and remember its member."""
        heartbeat = parse(data)
        if len(data) <= self.longest and is_lasting(heartbeat.member, data):
            self._remember(data[:14] + data[22:], heartbeat.member)
        return heartbeat

    def _remember(self, key: bytes, member: Member) -> None:
        if len(self._young) >= self.size:
            self._old = self._young
            self._young = {}
        self._young[key] = member


_alive_at = struct.Struct(">q").unpack_from


@lru_cache(maxsize=UDP_LIMIT)
def splitter(length: int) -> Callable[[bytes], tuple[bytes, int, bytes]]:
    """Return what takes datagrams of so many bytes (22 or more) apart: head, alive time in ms, tail.

    Head and tail together are all that a member repeats; of what ``parse`` accepted and ``is_lasting``.
    """
    return struct.Struct(f">{_ALIVE.start}sq{length - _ALIVE.stop}s").unpack


def is_lasting(member: Member, data: bytes) -> bool:
    """Whether the member repeats this datagram, and no check but one of the alive time looks at those bytes."""
    lasting = member.layout is Layout.CURRENT and not member.is_goodbye
    return lasting and int.from_bytes(data[10:14], "big", signed=True) >= _MIN_BODY
