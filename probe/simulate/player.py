"""Lets a story happen: at its times, through a socket or into a capture."""

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from probe.simulate.crowd import SLICE, Strangers
from probe.simulate.outlet import Outlet, Place
from probe.simulate.story import Fault, Moment, Sent, Shape
from protocols import pcap
from protocols.packet import build_udp

_CATCH_UP: Final = 0.1
"""seconds of strangers that are sent at once at most, when behind."""


class Player:
    """Sends what a story says, and strangers beside it; ``tell`` takes what befalls members."""

    def __init__(
        self,
        outlet: Outlet,
        tell: Callable[[Fault], None] = lambda _: None,
        strangers: Strangers | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._outlet = outlet
        self._tell = tell
        self._strangers = strangers
        self._clock = clock
        self._sleep = sleep
        self._started = clock()
        self._invented = 0
        self.sent = 0
        self.behind = 0.0
        """seconds by which the story was late at worst."""

    @property
    def now(self) -> float:
        """Return the story's time."""
        return self._clock() - self._started

    def play(self, moments: Iterable[Moment], seconds: float) -> None:
        """Do each moment at its time, for so many seconds or until the story ends."""
        for moment in moments:
            self._wait(min(moment.at, seconds))
            if moment.at >= seconds:
                return
            self.do(moment)

    def do(self, moment: Moment) -> None:
        """Do one moment now; raises OSError."""
        if isinstance(moment, Sent):
            self._outlet.send(moment.data)
            self.sent += 1
        else:
            self._tell(moment)

    def _wait(self, at: float) -> None:
        while (left := at - self.now) > 0:
            self._flood()
            self._sleep(min(left, SLICE) if self._strangers else left)
        self.behind = max(self.behind, -left)

    def _flood(self) -> None:
        if self._strangers is None:
            return
        due = int(self.now * self._strangers.rate) - self._invented
        self._invented += due
        self._strangers.send(self._outlet, min(due, int(self._strangers.rate * _CATCH_UP) + 1))


def until(moments: Iterable[Moment], seconds: float) -> Iterator[Moment]:
    """Yield a story's moments before a time of it."""
    for moment in moments:
        if moment.at >= seconds:
            return
        yield moment


def record(moments: Iterable[Moment], shape: Shape, place: Place, started: float) -> Iterator[bytes]:
    """Yield a capture, piece by piece, of what the story sends; ``started`` is its unix time.

    Raises ValueError where the group is no address of the host's IP version.
    """
    destination = place.packed
    if len(destination) != len(shape.host):
        raise ValueError(f"group {place.group} and the members' host are of different IP versions")
    yield pcap.write_header(pcap.RAW_IP)
    for moment in moments:
        if isinstance(moment, Sent):
            data = build_udp(shape.host, place.port, destination, place.port, moment.data)
            yield pcap.write_packet(pcap.Packet(started + moment.at, pcap.RAW_IP, data, len(data)))
