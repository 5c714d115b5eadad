"""Drains a UDP socket in batches: bytes, kernel time, TTL, arriving interface, the kernel's drop counter.

``recvmmsg`` through ctypes: one system call and no allocation but the datagrams for up to ``BATCH`` of them.
Python's own ``recvmsg`` costs a call and a list of control messages for each.
"""

import ctypes
import errno
import mmap
import os
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec

from probe.model.track import Origin
from probe.model.watch import Datagram

BATCH: Final = 64
LONGEST: Final = 65536
"""bytes: no UDP datagram is longer; pages of a slot that no datagram touched cost nothing."""
ORIGINS: Final = 65_536
"""Origins remembered; beyond that they are forgotten all at once."""

SO_TIMESTAMPNS: Final = 35
SO_RXQ_OVFL: Final = 40
IP_PKTINFO: Final = 8
IP_RECVTTL: Final = 12
_TIMESTAMP: Final = (socket.SOL_SOCKET, SO_TIMESTAMPNS)
_DROPS: Final = (socket.SOL_SOCKET, SO_RXQ_OVFL)
_CONTROL: Final = 256  # bytes of control messages a slot has room for
_NAME: Final = 32  # bytes of socket address

_HEADER: Final = struct.Struct("@PI4xPNPNi4xI4x")  # struct mmsghdr: a msghdr and the bytes received
_RESULT: Final = struct.Struct("@8xI4x8x8x8xNi4xI4x")  # what the kernel fills in: lengths and flags
_CMSG: Final = struct.Struct("@Nii")


class Family(msgspec.Struct, frozen=True):
    """Where an address family keeps what a datagram is asked for."""

    name: str
    pktinfo: tuple[int, int]
    interface_at: int
    hops: tuple[int, int]


FAMILIES: Final = {
    # struct sockaddr_in and in_pktinfo; struct sockaddr_in6 and in6_pktinfo
    socket.AF_INET: Family("4x4s24x", (socket.IPPROTO_IP, IP_PKTINFO), 0, (socket.IPPROTO_IP, socket.IP_TTL)),
    socket.AF_INET6: Family(
        "8x16s8x", (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO), 16, (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT)
    ),
}


def ask_for_metadata(sock: socket.socket) -> None:
    """Have the kernel tell time, interface, TTL and drops with each datagram."""
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    sock.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
    if sock.family is socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)


class Layout:
    """Where the fields of one shape of control block stand, learned once by walking its headers."""

    def __init__(self, control: bytes, family: Family) -> None:
        places = dict(_walk(control))
        wanted = {_TIMESTAMP: ("qq", 0), family.pktinfo: ("i", family.interface_at), family.hops: ("i", 0)}
        self.complete = places.keys() >= wanted.keys()
        self.drops_at = places.get(_DROPS)
        text, end, order = "=", 0, []
        for key in sorted(wanted.keys() & places.keys(), key=places.__getitem__):
            kind, offset = wanted[key]
            at = places[key] + offset
            text += f"{at - end}x{kind}"
            end = at + struct.calcsize("=" + kind)
            order.append(key)
        self.usual = order == list(wanted)
        self.struct = struct.Struct(f"{text}{_CONTROL - end}x")


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
    """The datagrams of one non-blocking UDP socket; ``names`` gives an interface's name for its index."""

    def __init__(self, sock: socket.socket, names: Callable[[int], str]) -> None:
        ask_for_metadata(sock)
        self._sock = sock
        self._fd = sock.fileno()
        self._family = FAMILIES[socket.AddressFamily(sock.family)]
        self._names = names
        self._source = struct.Struct("=" + self._family.name)
        self._origins: dict[tuple[bytes, int, int], Origin] = {}
        self._layouts: dict[int, Layout] = {}
        self.drops = 0
        self._lay_out_memory()

    def _lay_out_memory(self) -> None:
        self._data = mmap.mmap(-1, BATCH * LONGEST)
        self._sources = mmap.mmap(-1, BATCH * _NAME)
        self._control = mmap.mmap(-1, BATCH * _CONTROL)
        self._iovecs = mmap.mmap(-1, BATCH * 16)
        self._messages = mmap.mmap(-1, BATCH * _HEADER.size)
        data, sources, control, iovecs, messages = map(
            _address, (self._data, self._sources, self._control, self._iovecs, self._messages)
        )
        for slot in range(BATCH):
            struct.pack_into("@PN", self._iovecs, slot * 16, data + slot * LONGEST, LONGEST)
            header = (
                sources + slot * _NAME,
                _NAME,
                iovecs + slot * 16,
                1,
                control + slot * _CONTROL,
                _CONTROL,
                0,
                0,
            )
            _HEADER.pack_into(self._messages, slot * _HEADER.size, *header)
        self._fresh = self._messages[:]
        self._messages_at = messages

    def read(self) -> list[Datagram]:
        """Return what waits, at most ``BATCH``; nothing when nothing does. Raises OSError."""
        self._messages[:] = self._fresh
        count = _recvmmsg(self._fd, self._messages_at, BATCH, socket.MSG_DONTWAIT, None)
        if count < 0:
            return _nothing(ctypes.get_errno())
        offset = time.monotonic() - time.time()
        results = list(_RESULT.iter_unpack(memoryview(self._messages)[: count * _HEADER.size]))
        sources = self._source.iter_unpack(memoryview(self._sources)[: count * _NAME])
        length = results[0][1]
        layout = self._layout(length, 0)
        if layout.usual and all(result[1] == length for result in results):
            facts: Iterable[tuple[int, ...]] = layout.struct.iter_unpack(
                memoryview(self._control)[: count * _CONTROL]
            )
        else:
            facts = [self._facts(result[1], slot) for slot, result in enumerate(results)]
        self._count_drops(results[-1][1], count - 1)
        data, origins = self._data, self._origins
        found: list[Datagram] = []
        start = 0
        for (_, _, _, size), (source,), (seconds, nanoseconds, interface, hops) in zip(
            results, sources, facts, strict=False
        ):
            origin = origins.get((source, interface, hops))
            if origin is None:
                origin = self._origin(source, interface, hops)
            found.append((data[start : start + size], seconds + nanoseconds * 1e-9 + offset, origin))
            start += LONGEST
        return found

    def _layout(self, length: int, slot: int) -> Layout:
        layout = self._layouts.get(length)
        if layout is None:
            control = self._control[slot * _CONTROL : slot * _CONTROL + min(length, _CONTROL)]
            layout = self._layouts[length] = Layout(control, self._family)
        return layout

    def _facts(self, length: int, slot: int) -> tuple[int, ...]:
        """Return time, interface and hops of one slot whose control block differs from its neighbours'."""
        layout = self._layout(length, slot)
        if layout.usual:
            return layout.struct.unpack_from(self._control, slot * _CONTROL)
        now = time.time_ns()  # a control block without these: the time of reading is the best there is
        return now // 10**9, now % 10**9, 0, -1

    def _count_drops(self, length: int, slot: int) -> None:
        at = self._layout(length, slot).drops_at
        if at is not None:
            self.drops = int.from_bytes(self._control[slot * _CONTROL + at :][:4], sys.byteorder)

    def _origin(self, source: bytes, interface: int, hops: int) -> Origin:
        if len(self._origins) >= ORIGINS:
            self._origins.clear()
        origin = Origin(source, self._names(interface), hops)
        self._origins[source, interface, hops] = origin
        return origin

    def forget_interfaces(self) -> None:
        """Ask for interfaces' names anew: an index may mean another one now."""
        self._origins.clear()


_libc: Final = ctypes.CDLL(None, use_errno=True)
_recvmmsg: Final = _libc.recvmmsg
_recvmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p]


def _address(memory: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def _nothing(error: int) -> list[Datagram]:
    if error in {errno.EAGAIN, errno.EINTR}:
        return []
    raise OSError(error, os.strerror(error))
