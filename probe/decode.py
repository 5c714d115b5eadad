"""Bytes in words: what each datagram or frame is, from hex lines or from a capture."""

import struct
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from protocols import frame as frames
from protocols import message
from protocols.datagram import Content, classify
from protocols.heartbeat import Decoder, Heartbeat, Member, address_name, host_text
from protocols.malformed import Effect, Malformed
from protocols.packet import SYN, Datagram, Segment, Unread, dissect
from protocols.pcap import Packet
from protocols.reassembly import Reassembly

Record = dict[str, Any]
"""One line of ``decode --json``."""

MOST_STREAMS: Final = 4_096
"""Directions of TCP connections followed at once; the one without traffic longest leaves first."""


def read_hex(line: str) -> bytes:
    """Read a line of hex; spaces, colons, a leading 0x and what follows # do not count. Raises ValueError."""
    text = line.partition("#")[0].strip().removeprefix("0x")
    return bytes.fromhex(text.replace(":", " "))


class Describer:
    """Says what bytes are, remembering the members it met."""

    def __init__(self) -> None:
        self._decoder = Decoder()

    def datagram(self, data: bytes) -> list[Record]:
        """Return one record for a heartbeat, one for each frame of a broadcast, one for anything else."""
        known = self._decoder.recall(data)
        if known is not None:
            return [{"kind": "heartbeat", **_describe_member(known)}]
        contents = classify(data, self._decoder.learn)
        return [_describe(content) for content in contents] or [{"kind": "foreign"}]

    def frame(self, data: bytes) -> Record:
        """Return the record of a frame, by the data between its length and its footer."""
        try:
            return _describe(self._recall(data) or self._learn(data))
        except Malformed as refused:
            return _describe(refused)

    def _recall(self, data: bytes) -> frames.Frame | None:
        """Read a frame as Tomcats write it from a sender met before: by slices, ten times faster."""
        if len(data) < _MEMBER or data[12:16] != _ID_LENGTH:
            return None
        message_at = _MEMBER + _i32(data, 32)[0] + 4
        if not _MEMBER + 4 < message_at <= len(data):
            return None
        sender = self._decoder.recall(data[_MEMBER : message_at - 4])
        length = _i32(data, message_at - 4)[0]
        slack = len(data) - message_at - length
        if sender is None or length < 0 or slack < 0:
            return None
        options, timestamp_ms = _start(data)
        body = data[message_at : message_at + length]
        return frames.Frame(sender, body, options, timestamp_ms, data[16:32], slack)

    def _learn(self, data: bytes) -> frames.Frame | frames.Acknowledgement:
        content = frames.parse_data(data)
        if isinstance(content, frames.Frame) and len(content.id) == _MEMBER - 20:
            self._decoder.learn(data[_MEMBER : _MEMBER + _i32(data, 32)[0]])
        return content


_start = struct.Struct(">iq").unpack_from
_i32 = struct.Struct(">i").unpack_from
_ID_LENGTH: Final = (16).to_bytes(4)
_MEMBER: Final = 36
"""Where the sender's member block stands, behind a message id of 16 bytes."""


def _describe(content: Content) -> Record:
    """Return one record."""
    if isinstance(content, Heartbeat):
        return {"kind": "goodbye" if content.member.is_goodbye else "heartbeat", **_describe_member(content)}
    if isinstance(content, frames.Frame):
        return _describe_frame(content)
    if isinstance(content, Malformed):
        return {"kind": "malformed", "reason": content.reason.value, "effect": content.effect.value}
    return {"kind": "ack" if content is frames.Acknowledgement.ACK else "fail-ack"}


def _describe_member(heartbeat: Heartbeat) -> Record:
    known = _describe_block(heartbeat.member)
    if not heartbeat.oddities:
        return known | {"alive_ms": heartbeat.alive_ms}
    oddities = [oddity.value for oddity in heartbeat.oddities]
    return known | {"alive_ms": heartbeat.alive_ms, "oddities": oddities}


@lru_cache(maxsize=2_048)  # of members whose payload may be 64 KiB
def _describe_block(member: Member) -> Record:
    """Describe all of a member block but its alive time; not to be changed."""
    return {
        "host": host_text(member.host),
        "port": member.port,
        "secure_port": member.secure_port,
        "udp_port": member.udp_port,
        "alive_ms": 0,
        "unique_id": member.unique_id.hex(),
        "command": member.command.hex(),
        "domain": member.domain.hex(),
        "payload_length": len(member.payload),
        "oddities": [],
    }


def _describe_frame(content: frames.Frame) -> Record:
    return {
        "kind": "frame",
        "options": content.options,
        "timestamp_ms": content.timestamp_ms,
        "id": content.id.hex(),
        "sender": _describe_member(content.sender),
        "message": message.name(content).name,
        "length": content.length,
    }


class Capture:
    """Says what a capture holds; ``notes`` tells afterwards what could not be said."""

    def __init__(self) -> None:
        self._describer = Describer()
        self._streams: OrderedDict[tuple[bytes, int, bytes, int], _Stream] = OrderedDict()
        self._unread = Counter[Unread]()
        self._missing = 0

    def describe(self, packets: Iterable[Packet]) -> Iterator[Record]:
        """Yield the records of every UDP datagram and of every Tribes frame on TCP, as they end."""
        for packet in packets:
            content = dissect(packet)
            if isinstance(content, Datagram):
                found = self._describer.datagram(content.payload)
            elif isinstance(content, Unread):
                self._unread[content] += 1
                continue
            else:
                found = self._follow(content)
            for record in found:
                yield record | _addresses(packet.at, content)

    def _follow(self, segment: Segment) -> list[Record]:
        key = (segment.source, segment.source_port, segment.destination, segment.destination_port)
        stream = self._streams.get(key)
        if stream is None:
            if len(self._streams) >= MOST_STREAMS:
                self._missing += self._streams.popitem(last=False)[1].missing
            stream = self._streams[key] = _Stream(self._describer.frame)
        else:
            self._streams.move_to_end(key)
        return stream.take(segment)

    def notes(self) -> list[str]:
        """Return what was left out, one sentence each."""
        missing = self._missing + sum(stream.missing for stream in self._streams.values())
        unfinished = sum(stream.unfinished for stream in self._streams.values())
        counts = {
            "bytes of TCP streams are not in the capture; frames over them are left out": missing,
            "TCP streams end inside a frame": unfinished,
            "fragments of IP packets were not put together": self._unread[Unread.FRAGMENT],
            "packets were cut short by the capture": self._unread[Unread.CUT],
            "packets are of a link type that is not read": self._unread[Unread.LINK],
        }
        return [f"{count} {what}" for what, count in counts.items() if count]


class _Stream:
    """One direction of a TCP connection: its frames."""

    def __init__(self, describe: Callable[[bytes], Record]) -> None:
        self._describe = describe
        self._order = Reassembly()
        self._reader = frames.Reader()
        self._take: Callable[[bytes], list[Record]] = self._seek
        self._tail = b""

    @property
    def missing(self) -> int:
        return self._order.missing

    @property
    def unfinished(self) -> bool:
        return self._reader.waiting > 0

    def take(self, segment: Segment) -> list[Record]:
        if segment.flags & SYN:
            self._take = self._begin
        found: list[Record] = []
        for chunk in self._order.take(segment):
            if chunk is None:
                self._reader, self._tail = frames.Reader(), b""
                self._take = self._begin if segment.flags & SYN else self._seek
            else:
                found += self._take(chunk)
        return found

    def _begin(self, chunk: bytes) -> list[Record]:
        """Take the first bytes of a connection: they say whether it is one between Tomcats."""
        if not chunk.startswith(frames.HEADER[: len(chunk)]):
            self._take = self._ignore
            return [{"kind": "foreign"}]
        self._take = self._read
        return self._read(chunk)

    def _seek(self, chunk: bytes) -> list[Record]:
        """Look for a frame's start: the capture began, or missed something, in the middle."""
        seen = self._tail + chunk
        start = seen.find(frames.HEADER)
        if start < 0:
            self._tail = seen[1 - len(frames.HEADER) :]
            return []
        self._tail = b""
        self._take = self._read
        return self._read(seen[start:])

    def _read(self, chunk: bytes) -> list[Record]:
        try:
            return [self._describe(data) for data in self._reader.feed(chunk)]
        except Malformed as refused:
            self._reader = frames.Reader()
            self._take = self._ignore  # as a Tomcat does: it closes, or waits for ever
            return [_describe(refused)]

    def _ignore(self, _chunk: bytes) -> list[Record]:
        return []


def _addresses(at: float, content: Datagram | Segment) -> Record:
    return {
        "time": round(at, 6),
        "source": _name(content.source, content.source_port),
        "destination": _name(content.destination, content.destination_port),
    }


_name: Final = lru_cache(maxsize=16_384)(address_name)


# -- for people


def text(record: Record) -> str:
    """Say a record in one line."""
    words = _TEXTS[record["kind"]](record)
    if "time" not in record:
        return words
    return f"{clock(record['time'])} {record['source']} > {record['destination']} {words}"


def clock(at: float) -> str:
    """Write unix time as local time of day, to the microsecond."""
    seconds, fraction = divmod(round(at * 1e6), 10**6)
    return f"{_second(seconds)}.{fraction:06}"


@lru_cache(maxsize=64)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%H:%M:%S")


def _heartbeat_text(record: Record) -> str:
    return f"{record['kind']} {_member_text(record)}"


def _member_text(record: Record) -> str:
    host = f"[{record['host']}]" if ":" in record["host"] else record["host"]
    words = [f"{host}:{record['port']} alive {record['alive_ms'] / 1000:.3f} s id {record['unique_id']}"]
    if record["domain"]:
        words.append(f"domain {bytes.fromhex(record['domain']).decode('latin-1')!a}")
    if record["payload_length"]:
        words.append(f"payload {record['payload_length']} bytes")
    if record["oddities"]:
        words.append(f"odd: {' '.join(record['oddities'])}")
    return ", ".join(words)


def _frame_text(record: Record) -> str:
    return (
        f"frame {record['message']} ({record['length']} bytes, options 0x{record['options'] & 0xFFFFFFFF:x}) "
        f"from {_member_text(record['sender'])}"
    )


def _malformed_text(record: Record) -> str:
    return f"malformed: {record['reason']}; {_EFFECTS[Effect(record['effect'])]}"


_EFFECTS: Final = {
    Effect.IGNORED: "a Tomcat ignores it",
    Effect.STALLS: "a Tomcat that hears it is deaf for 500 ms",
    Effect.KILLS: "a Tomcat that hears it stays deaf until it is restarted",
}
_TEXTS: Final[dict[str, Callable[[Record], str]]] = {
    "heartbeat": _heartbeat_text,
    "goodbye": _heartbeat_text,
    "frame": _frame_text,
    "ack": lambda _: "ack",
    "fail-ack": lambda _: "fail-ack",
    "malformed": _malformed_text,
    "foreign": lambda _: "foreign",
}
