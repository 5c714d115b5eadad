"""What a simulated cluster sends and what befalls it, in order of time; no clock and no socket.

Members behave as ``McastServiceImpl`` does: nothing for two periods after the start, then two heartbeats
close together, then one a period of fixed delay; one goodbye at a clean stop; a new unique id at each start.
"""

import heapq
import random
import struct
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from functools import partial
from itertools import count
from typing import Final

import msgspec

from protocols.heartbeat import GOODBYE, Heartbeat, Member, encode

TWIN: Final = 0.004
"""seconds between the first two heartbeats of a member."""
DRIFT, JITTER = 0.0004, 0.0003
"""seconds: what a period is longer than frequency, mean and deviation, as measured on real members."""
CHURN_AWAY: Final = (1.0, 10.0)
"""seconds for which a member that churn took is away."""


class Act(StrEnum):
    """What befalls a member."""

    START = "start"
    STALL = "stall"
    RESUME = "resume"
    CRASH = "crash"
    RESTART = "restart"
    GOODBYE = "goodbye"
    CLOCK_STEP = "clock-step"
    LOSS = "loss"


class Fault(msgspec.Struct, frozen=True):
    """One act on one member (counted from 0) at a time of the story.

    ``seconds`` is how long a stall or a loss lasts, how far a clock steps, how long a restart takes after
    the crash it begins with.
    """

    act: Act
    member: int
    at: float
    seconds: float = 0.0


class Sent(msgspec.Struct, frozen=True, gc=False):
    """A datagram leaves a member."""

    at: float
    member: int
    data: bytes


Moment = Sent | Fault


class Shape(msgspec.Struct, frozen=True):
    """What the cluster is like. Member n listens on ``host``, port ``first_port`` + n (wrapping past 65535).

    ``loss`` is the probability with which a datagram is lost; ``churn`` how many members a second crash or
    leave, to be back within ``CHURN_AWAY``. Durations in seconds. The same seed tells the same story.
    """

    members: int = 3
    frequency: float = 0.5
    stagger: float | None = None
    """seconds between two starts; None spreads them over one period."""
    host: bytes = b"\x7f\x00\x00\x01"
    ports: tuple[int, ...] = ()
    first_port: int = 4000
    domain: bytes = b""
    payload: bytes = b""
    loss: float = 0.0
    churn: float = 0.0
    seed: int = 0

    def port(self, index: int) -> int:
        """Return the receiver port of a member."""
        return self.ports[index] if self.ports else (self.first_port + index - 1) % 65535 + 1

    def member(self, index: int, unique_id: bytes) -> Member:
        """Return the member block of one incarnation."""
        return Member(self.host, self.port(index), unique_id, domain=self.domain, payload=self.payload)


class _Life:
    """One member between the acts."""

    __slots__ = ("beat", "born", "clock", "incarnation", "lost_until", "member", "running", "stalled_until")

    def __init__(self) -> None:
        self.running = False
        self.incarnation = 0
        self.born = self.clock = 0.0
        self.stalled_until = self.lost_until = float("-inf")
        self.member: Member | None = None
        self.beat = bytearray()

    def begin(self, member: Member, at: float) -> None:
        self.running = True
        self.member = member
        self.born, self.clock, self.stalled_until = at, 0.0, float("-inf")
        self.beat = bytearray(encode(Heartbeat(member, 0)))

    def end(self) -> None:
        self.running = False
        self.incarnation += 1  # what was still due is no longer this member's

    def say(self, at: float) -> bytes:
        _write_alive(self.beat, 14, int((at - self.born + self.clock) * 1000))
        return bytes(self.beat)

    def part(self) -> None:
        """Have the next word be the goodbye."""
        if self.member is not None:
            leaving = msgspec.structs.replace(self.member, command=GOODBYE)
            self.beat = bytearray(encode(Heartbeat(leaving, 0)))


_write_alive = struct.Struct(">q").pack_into
_Step = Callable[[float], Iterable[Moment]]


class Cluster:
    """Tells one story. ``faults`` may go on for ever; they must be in order of time."""

    def __init__(self, shape: Shape, faults: Iterable[Fault] = ()) -> None:
        self.shape = shape
        self._random = random.Random(shape.seed)  # noqa: S311  # a story is no secret
        self._lives = [_Life() for _ in range(shape.members)]
        self._faults = iter(faults)
        self._order = count()
        self._due: list[tuple[float, int, _Step]] = []
        stagger = shape.frequency / shape.members if shape.stagger is None else shape.stagger
        for index in range(shape.members):
            self._push(index * stagger, partial(self._act, Act.START, index, 0.0))
        self._await_fault()
        if shape.churn:
            self._await_churn(0.0)

    def play(self) -> Iterator[Moment]:
        """Yield what is sent and what happens, from time 0 on, as long as anything can happen."""
        while self._due:
            at, _, step = heapq.heappop(self._due)
            yield from step(at)

    def end(self, at: float) -> Iterator[Moment]:
        """Yield the goodbyes of all who still run."""
        for index in range(self.shape.members):
            yield from self._act(Act.GOODBYE, index, 0.0, at)

    def _push(self, at: float, step: _Step) -> None:
        heapq.heappush(self._due, (at, next(self._order), step))

    # -- beating

    def _beat(self, index: int, incarnation: int, at: float) -> Iterable[Moment]:
        life = self._lives[index]
        if life.incarnation != incarnation:
            return ()
        step = partial(self._beat, index, incarnation)
        if at < life.stalled_until:
            self._push(life.stalled_until, step)  # its sleep is over by then: it beats at once
            return ()
        self._push(at + max(0.0, self._random.gauss(self.shape.frequency + DRIFT, JITTER)), step)
        return self._send(index, life, at)

    def _beat_once(self, index: int, incarnation: int, at: float) -> Iterable[Moment]:
        life = self._lives[index]
        return self._send(index, life, at) if life.incarnation == incarnation else ()

    def _send(self, index: int, life: _Life, at: float) -> Iterable[Moment]:
        lost = at < life.lost_until or (self.shape.loss and self._random.random() < self.shape.loss)
        return () if lost else (Sent(at, index, life.say(at)),)

    # -- what befalls a member

    def _await_fault(self) -> None:
        fault = next(self._faults, None)
        if fault is not None:
            self._push(fault.at, partial(self._strike, fault))

    def _strike(self, fault: Fault, at: float) -> Iterable[Moment]:
        self._await_fault()
        return self._act(fault.act, fault.member, fault.seconds, at)

    def _await_churn(self, at: float) -> None:
        self._push(at + self._random.expovariate(self.shape.churn), self._churn)

    def _churn(self, at: float) -> Iterable[Moment]:
        self._await_churn(at)
        index = self._random.randrange(self.shape.members)
        act = self._random.choice((Act.CRASH, Act.GOODBYE))
        self._push(at + self._random.uniform(*CHURN_AWAY), partial(self._act, Act.START, index, 0.0))
        return self._act(act, index, 0.0, at)

    def _act(self, act: Act, index: int, seconds: float, at: float) -> Iterable[Moment]:
        life = self._lives[index]
        if life.running is (act is Act.START):
            return ()  # it runs already, or it is not there to suffer it
        fault = Fault(act, index, at, seconds)
        return (fault, *_ACTS[act](self, fault, life))

    def _start(self, fault: Fault, life: _Life) -> Iterable[Moment]:
        life.begin(self.shape.member(fault.member, _unique_id(self._random)), fault.at)
        first = fault.at + 2 * self.shape.frequency
        self._push(first, partial(self._beat_once, fault.member, life.incarnation))
        self._push(first + TWIN, partial(self._beat, fault.member, life.incarnation))
        return ()

    def _stall(self, fault: Fault, life: _Life) -> Iterable[Moment]:
        life.stalled_until = fault.at + fault.seconds
        self._push(life.stalled_until, partial(self._resume, fault.member, life.incarnation))
        return ()

    def _resume(self, index: int, incarnation: int, at: float) -> Iterable[Moment]:
        life = self._lives[index]
        if life.incarnation != incarnation or at < life.stalled_until:
            return ()
        return (Fault(Act.RESUME, index, at),)

    def _crash(self, _fault: Fault, life: _Life) -> Iterable[Moment]:
        life.end()
        return ()

    def _restart(self, fault: Fault, life: _Life) -> Iterable[Moment]:
        life.end()
        self._push(fault.at + fault.seconds, partial(self._act, Act.START, fault.member, 0.0))
        return ()

    def _leave(self, fault: Fault, life: _Life) -> Iterable[Moment]:
        life.end()
        life.part()
        return self._send(fault.member, life, fault.at)

    def _step_clock(self, fault: Fault, life: _Life) -> Iterable[Moment]:
        life.clock += fault.seconds
        return ()

    def _lose(self, fault: Fault, life: _Life) -> Iterable[Moment]:
        life.lost_until = fault.at + fault.seconds
        return ()


_ACTS: Final = {
    Act.START: Cluster._start,  # noqa: SLF001
    Act.STALL: Cluster._stall,  # noqa: SLF001
    Act.CRASH: Cluster._crash,  # noqa: SLF001
    Act.RESTART: Cluster._restart,  # noqa: SLF001
    Act.GOODBYE: Cluster._leave,  # noqa: SLF001
    Act.CLOCK_STEP: Cluster._step_clock,  # noqa: SLF001
    Act.LOSS: Cluster._lose,  # noqa: SLF001
}


def _unique_id(chance: random.Random) -> bytes:
    """Return 16 bytes shaped as a UUID of version 4 (``UUIDGenerator.randomUUID``)."""
    shaped = bytearray(chance.randbytes(16))
    shaped[6] = shaped[6] & 0x0F | 0x40
    shaped[8] = shaped[8] & 0x3F | 0x80
    return bytes(shaped)
