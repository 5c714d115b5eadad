"""Thousands of members, or a flood of invented ones, at a steady rate and at little cost to the sender."""

import struct
import time
from collections.abc import Callable
from typing import Final

from probe.simulate.outlet import Outlet, Stack
from probe.simulate.story import Shape
from protocols.heartbeat import Heartbeat, encode

SLICE: Final = 0.005
"""seconds between two bursts of a flood or a crowd."""
_write_alive = struct.Struct(">q").pack_into
_write_port = struct.Struct(">i").pack_into
_write_id = struct.Struct(">QQ").pack_into
_ALIVE, _PORT, _HOST, _UNIQUE_ID = 14, 22, 35, 47  # offsets in a heartbeat of an IPv4 host without a domain


class Crowd:
    """Members that beat one after the other in an endless round, ``1 / members`` of a period apart.

    ``shape.loss`` and ``shape.churn`` are not heeded: see ``story.Cluster`` for that.
    """

    def __init__(self, shape: Shape, age: float = 60.0) -> None:
        self.shape = shape
        self.rate = shape.members / shape.frequency
        self._age = age
        self._next = 0
        self._stack = Stack(
            [encode(Heartbeat(shape.member(n, _numbered_id(shape.seed, n)), 0)) for n in range(shape.members)]
        )

    def send(self, outlet: Outlet, count: int, at: float) -> None:
        """Send the next ``count`` heartbeats with the alive time they have ``at`` seconds into the story."""
        alive = int((self._age + at) * 1000)
        while count > 0:
            run = min(count, self._stack.count - self._next)
            buffer, length = self._stack.buffer, self._stack.length
            for offset in range(self._next * length + _ALIVE, (self._next + run) * length, length):
                _write_alive(buffer, offset, alive)
            outlet.send_many(self._stack, self._next, run)
            self._next = (self._next + run) % self._stack.count
            count -= run


class Strangers:
    """Members that are invented on the spot, each heard once; ``seed`` keeps two floods apart."""

    def __init__(self, rate: float, seed: int = 0, burst: int = 1024) -> None:
        self.rate = rate
        self.invented = 0
        self._seed = seed
        self._stack = Stack([encode(Heartbeat(Shape().member(0, bytes(16)), 1_000))] * burst)

    def send(self, outlet: Outlet, count: int, _at: float = 0.0) -> None:
        """Invent and send ``count`` members."""
        while count > 0:
            run = min(count, self._stack.count)
            for n in range(run):
                self._invent(n * self._stack.length)
            outlet.send_many(self._stack, 0, run)
            count -= run

    def _invent(self, start: int) -> None:
        number = self.invented = self.invented + 1
        buffer = self._stack.buffer
        _write_port(buffer, start + _PORT, 1 + number % 65535)
        _write_port(buffer, start + _HOST, 0x0A000000 | number // 65535 & 0xFFFFFF)
        _write_id(buffer, start + _UNIQUE_ID, self._seed, number)


def keep_up(
    senders: list[Crowd | Strangers],
    outlet: Outlet,
    seconds: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> int:
    """Let the senders send at their rates for so long; return how many datagrams were sent.

    A sender that falls behind catches up, at most a tenth of a second's worth at once.
    """
    started = clock()
    sent = [0] * len(senders)
    while (at := clock() - started) < seconds:
        for n, sender in enumerate(senders):
            due = min(int(at * sender.rate) - sent[n], max(1, int(sender.rate / 10)))
            if due > 0:
                sender.send(outlet, due, at)
                sent[n] += due
        sleep(SLICE)
    return sum(sent)


def _numbered_id(seed: int, number: int) -> bytes:
    return struct.pack(">QQ", seed | 0x4000, number | 1 << 63)
