"""Drains a UDP socket in batches, with the kernel's word on each datagram: when, whence, through what."""

import socket
import struct
import time
from collections.abc import Callable, Iterator
from typing import Final

import msgspec

from probe.model.track import Datagram, Origin
from probe.sensors.recvmmsg import BATCH, CONTROL, DATA, INLINE, SLOT, Slots

ORIGINS: Final = 16_384
"""Origins remembered; beyond that they are forgotten all at once."""
CLOCK_SLACK: Final = 0.005
"""seconds by which an arrival may seem to precede the last look at the empty socket."""

SO_TIMESTAMPNS: Final = 35
SO_RXQ_OVFL: Final = 40
IP_PKTINFO: Final = 8
IP_RECVTTL: Final = 12

_TIMESTAMP: Final = (socket.SOL_SOCKET, SO_TIMESTAMPNS)
_DROPS: Final = (socket.SOL_SOCKET, SO_RXQ_OVFL)
_CMSG: Final = struct.Struct("=Qii")  # length with this header, level, type
_INT: Final = struct.Struct("=I")
_TOGETHER: Final = 0.0001  # seconds between two clocks that were read without an interruption


class Family(msgspec.Struct, frozen=True):
    """Where an address family keeps what a datagram is asked for."""

    name_size: int
    source: tuple[int, int]
    packet: tuple[int, int]
    index_at: int
    ttl: tuple[int, int]
    asks: tuple[tuple[int, int], ...]


FAMILIES: Final = {
    # struct sockaddr_in and in_pktinfo; struct sockaddr_in6 and in6_pktinfo
    socket.AF_INET: Family(
        name_size=16,
        source=(4, 8),
        packet=(socket.IPPROTO_IP, IP_PKTINFO),
        index_at=0,
        ttl=(socket.IPPROTO_IP, socket.IP_TTL),
        asks=((socket.IPPROTO_IP, IP_PKTINFO), (socket.IPPROTO_IP, IP_RECVTTL)),
    ),
    socket.AF_INET6: Family(
        name_size=28,
        source=(8, 24),
        packet=(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO),
        index_at=16,
        ttl=(socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT),
        asks=(
            (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO),
            (socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT),
        ),
    ),
}


def ask_for_metadata(sock: socket.socket) -> None:
    """Have the kernel tell time, interface, TTL and drops with each datagram."""
    for level, option in (_TIMESTAMP, _DROPS, *FAMILIES[socket.AddressFamily(sock.family)].asks):
        sock.setsockopt(level, option, 1)


class Layout(dict[bytes, Origin]):
    """Where control blocks of one length hold what, learned by walking the first of them.

    It remembers origins by their raw bytes: those from packet info and TTL to the end of the source address.
    """

    def __init__(self, control: bytes, family: Family, origin: Callable[[bytes, int, int], Origin]) -> None:
        super().__init__()
        places = dict(_walk(control))
        stamp, packet, ttl = places[_TIMESTAMP], places[family.packet], places[family.ttl]
        start, end = min(packet, ttl), CONTROL + family.name_size
        self.drops_at = places.get(_DROPS)
        self._rows: dict[int, struct.Struct] = {}
        self._form = f"={stamp}xqq{start - stamp - 16}x{end - start}s{DATA - end}x"
        self._index, self._ttl = packet + family.index_at - start, ttl - start
        self._source = slice(*(CONTROL + edge - start for edge in family.source))
        self._origin = origin

    def rows(self, size: int) -> struct.Struct:
        """Return what takes a slot apart: seconds, nanoseconds, raw origin, so many bytes of the datagram."""
        rows = self._rows.get(size)
        if rows is None:
            rows = self._rows[size] = struct.Struct(f"{self._form}{size}s{INLINE - size}x")
        return rows

    def __missing__(self, key: bytes) -> Origin:
        if len(self) >= ORIGINS:
            self.clear()
        index, ttl = (_INT.unpack_from(key, offset)[0] for offset in (self._index, self._ttl))
        origin = self[key] = self._origin(key[self._source], index, ttl)
        return origin


def _walk(control: bytes) -> Iterator[tuple[tuple[int, int], int]]:
    """Yield level and type of each control message, and where its data starts."""
    at = 0
    while at + _CMSG.size <= len(control):
        length, level, kind = _CMSG.unpack_from(control, at)
        if length < _CMSG.size:
            return
        yield (level, kind), at + _CMSG.size
        at += (length + 7) & ~7  # CMSG_ALIGN


class Datagrams:
    """The datagrams of one UDP socket; ``names`` gives an interface's name for its index.

    The same origin is the same object every time. ``drops`` counts what the kernel had dropped before the
    last datagram read, since the socket was made.
    """

    def __init__(self, sock: socket.socket, names: Callable[[int], str]) -> None:
        ask_for_metadata(sock)
        self.drops = 0
        self._sock = sock
        self._family = FAMILIES[socket.AddressFamily(sock.family)]
        self._names = names
        self._slots = Slots()
        self._layouts: dict[int, Layout] = {}
        self._origins: dict[Origin, Origin] = {}
        self._emptied = time.monotonic()

    def read(self) -> list[Datagram]:
        """Return what waits, at most ``BATCH``; fewer mean that the socket was empty. Raises OSError."""
        lengths, controls = self._slots.fill(self._sock.fileno())
        if not lengths:
            return []
        now, offset = _clocks()
        batch = self._batch(lengths, controls, offset)
        if batch[0][1] < self._emptied - CLOCK_SLACK or batch[-1][1] > now:
            batch = [(data, self._plausible(at, now), origin) for data, at, origin in batch]
        if len(lengths) < BATCH:
            self._emptied = now
        return batch

    def _batch(self, lengths: list[int], controls: list[int], offset: float) -> list[Datagram]:
        """Put together what arrived, run by run of control blocks of one length: mostly there is one run."""
        raw = self._slots.slots[: len(lengths) * SLOT]
        alike = lengths.count(lengths[0]) == len(lengths) and lengths[0] <= INLINE
        size = lengths[0] if alike else INLINE
        batch: list[Datagram] = []
        for first, last in _runs(controls):
            layout = self._layout(controls[first], raw[first * SLOT : last * SLOT])
            rows = layout.rows(size).iter_unpack(raw[first * SLOT : last * SLOT])
            batch += [
                (data, seconds + nanoseconds * 1e-9 + offset, layout[origin])
                for seconds, nanoseconds, origin, data in rows
            ]
        self._count_drops(controls[-1], raw[-SLOT:])
        return batch if alike else self._fit(batch, lengths)

    def _fit(self, batch: list[Datagram], lengths: list[int]) -> list[Datagram]:
        """Give each datagram its own length: shorter than its slot, or going on in its tail."""
        tail = self._slots.tail
        return [
            (data[:length] if length <= INLINE else data + tail(index, length), at, origin)
            for index, (length, (data, at, origin)) in enumerate(zip(lengths, batch, strict=True))
        ]

    def _layout(self, length: int, slots: bytes) -> Layout:
        layout = self._layouts.get(length)
        if layout is None:
            layout = self._layouts[length] = Layout(slots[:length], self._family, self._origin)
        return layout

    def _count_drops(self, control: int, slot: bytes) -> None:
        """Take the kernel's counter; it has 32 bits and comes only once it is not 0."""
        at = self._layouts[control].drops_at
        if at is not None:
            self.drops += (_INT.unpack_from(slot, at)[0] - self.drops) & 0xFFFF_FFFF

    def _origin(self, source: bytes, index: int, ttl: int) -> Origin:
        if len(self._origins) >= ORIGINS:
            self._origins.clear()
        origin = Origin(source, self._names(index), ttl)
        return self._origins.setdefault(origin, origin)

    def _plausible(self, at: float, now: float) -> float:
        """Return the arrival, or now if the wall clock was set between arriving and reading."""
        return at if self._emptied - CLOCK_SLACK <= at <= now else now

    def forget_interfaces(self) -> None:
        """Ask for interfaces' names anew: an index may mean another one now."""
        for layout in self._layouts.values():
            layout.clear()


def _runs(controls: list[int]) -> Iterator[tuple[int, int]]:
    """Yield where each run of equal numbers starts and ends."""
    first = 0
    while first < len(controls):
        last = first + controls.count(controls[first])
        if last > len(controls) or len(set(controls[first:last])) > 1:
            last = first + 1
        yield first, last
        first = last


def _clocks() -> tuple[float, float]:
    """Return now, and what is to be added to unix time to come to it."""
    for _ in range(3):
        before = time.monotonic()
        unix = time.time()
        now = time.monotonic()
        if now - before < _TOGETHER:
            break
    return now, now - unix
