"""One system call for a batch of datagrams, into memory that is laid out once (``recvmmsg`` through ctypes).

Each datagram has a slot: its control block, its source address and its first ``INLINE`` bytes side by side, so
that one pass of ``struct`` takes a whole batch apart. A longer datagram goes on in a tail of its own; a tail
takes memory only once something was written there. For 64-bit Linux.
"""

import ctypes
import errno
import mmap
import os
import socket
from typing import Final

BATCH: Final = 128
"""datagrams per system call, at most."""
LONGEST: Final = 65_535
"""bytes: no UDP datagram is longer."""
CONTROL: Final = 128
"""bytes of control messages a slot has room for: timestamp, drops, packet info and TTL are at most 120."""
DATA: Final = CONTROL + 32
"""Where in a slot the datagram starts; between is room for a socket address."""
INLINE: Final = 256
"""bytes of a datagram in its slot: a heartbeat without a payload fits."""
SLOT: Final = DATA + INLINE


class _Piece(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """struct mmsghdr: a msghdr, and the bytes received."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("pieces", ctypes.c_void_p),
        ("piece_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("padding", ctypes.c_uint32),
        ("length", ctypes.c_uint32),
    )


# PyDLL keeps the interpreter: the call never waits, and to get it back from a rendering scrape takes 5 ms
_recvmmsg: Final = ctypes.PyDLL(None, use_errno=True).recvmmsg
_recvmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)


class Slots:
    """The memory that the kernel writes a batch into."""

    def __init__(self) -> None:
        self.slots = mmap.mmap(-1, BATCH * SLOT)
        self.tails = mmap.mmap(-1, BATCH * LONGEST)
        self._messages = (_Message * BATCH)()
        self._pieces = (_Piece * (2 * BATCH))()
        self._point()
        self._fresh = bytes(self._messages)
        self._address = ctypes.addressof(self._messages)
        self._used = BATCH
        octets = memoryview(self._messages).cast("B")
        size = ctypes.sizeof(_Message)
        self._lengths = octets.cast("I")[_Message.length.offset // 4 :: size // 4]
        self._controls = octets.cast("Q")[_Message.control_length.offset // 8 :: size // 8]

    def _point(self) -> None:
        """Tell each message where its parts go."""
        slots, tails = _address(self.slots), _address(self.tails)
        for index, message in enumerate(self._messages):
            slot, pair = slots + index * SLOT, 2 * index
            self._pieces[pair] = _Piece(slot + DATA, INLINE)
            self._pieces[pair + 1] = _Piece(tails + index * LONGEST, LONGEST - INLINE)
            message.name, message.name_length = slot + CONTROL, DATA - CONTROL
            message.pieces, message.piece_count = ctypes.addressof(self._pieces[pair]), 2
            message.control, message.control_length = slot, CONTROL

    def fill(self, fd: int) -> tuple[list[int], list[int]]:
        """Receive what waits; return the lengths of the datagrams and of their control blocks."""
        ctypes.memmove(self._address, self._fresh, self._used * ctypes.sizeof(_Message))
        count: int = _recvmmsg(fd, self._address, BATCH, socket.MSG_DONTWAIT, None)
        if count < 0:
            _check(ctypes.get_errno())
            count = 0
        self._used = count
        return self._lengths[:count].tolist(), self._controls[:count].tolist()

    def tail(self, index: int, length: int) -> bytes:
        """Return what of a datagram of so many bytes did not fit its slot."""
        start = index * LONGEST
        return self.tails[start : start + length - INLINE]


def _address(memory: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def _check(error: int) -> None:
    if error not in {errno.EAGAIN, errno.EINTR}:
        raise OSError(error, os.strerror(error))
