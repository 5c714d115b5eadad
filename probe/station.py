"""One group's rooms: its watch, its sensors, and the timer that lets silence speak."""

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final, Protocol

from probe.config import Group
from probe.model.events import Event, Kind
from probe.model.evidence import Answer
from probe.model.fitness import Fitness, Unfit
from probe.model.presence import Presence
from probe.model.views import GroupView, Joined, MemberView, view_group, view_members
from probe.model.watch import Datagram, Watch

SLICE: Final = 200
"""members frozen at once while a view is made; between slices the loop runs on."""
_URGENT: Final = frozenset({Kind.LATE, Kind.SILENT})
"""Events on which a receiver is asked at once, so that its answer is there when dropTime is over."""


class Ears(Protocol):
    """What a station needs of its multicast sensor."""

    def drain(self) -> None:
        """Hand over every datagram that waits in the socket."""

    def status(self) -> Joined:
        """Return how the sockets stand."""


class Questions(Protocol):
    """What a station needs of its receiver sensor."""

    def urge(self, address: bytes) -> None:
        """Ask this member as soon as its pause allows."""


class Station:
    """Watches one group; ``tell`` takes what happens, in order."""

    def __init__(self, group: Group, forget_after: float, tell: Callable[[list[Event]], None]) -> None:
        now = time.monotonic()
        self.group = group
        self.watch = Watch(group.rules(forget_after), now, Fitness(group.drop_time, now))
        self.watch.fitness.trouble(Unfit.NOT_JOINED, now)
        self.ears: Ears | None = None
        self.questions: Questions | None = None
        self._tell = tell
        self._timer: asyncio.TimerHandle | None = None
        self._drops = 0

    def adopt(self, group: Group, forget_after: float) -> None:
        """Take new settings; the members known stay."""
        self.group = group
        self.watch.adopt(group.rules(forget_after), time.monotonic())
        self.arm()

    # -- what the sensors say

    def receive(self, batch: list[Datagram]) -> None:
        """Take what was drained from the socket."""
        if events := self.watch.receive(batch):
            self._happened(events)

    def take(self, address: bytes, answer: Answer) -> None:
        """Take how a receiver took a question."""
        self._happened(self.watch.take(address, answer, time.monotonic()))

    def joined(self, interfaces: Iterable[bool]) -> None:
        """Take whether the joins hold now, one truth per interface."""
        now, fitness, holds = time.monotonic(), self.watch.fitness, list(interfaces)
        for reason, trouble in ((Unfit.NOT_JOINED, not any(holds)), (Unfit.INTERFACE_DOWN, not all(holds))):
            if trouble:
                fitness.trouble(reason, now)
            else:
                fitness.cured(reason, now)
        self._unsettle(now)

    def lagged(self, seconds: float, now: float) -> None:
        """Take how late the loop was."""
        self._note(Unfit.LOOP_LAG if self.watch.fitness.lag(seconds, now) else None, now)

    def suspended(self, now: float) -> None:
        """Take that the host was asleep."""
        self._note(Unfit.SUSPENDED, now)

    def _note(self, reason: Unfit | None, now: float) -> None:
        if reason is not None:
            self.watch.fitness.trouble(reason, now)
            self._unsettle(now)

    def _unsettle(self, now: float) -> None:
        self.watch.unsettle(now)
        self.arm()

    # -- time

    def arm(self) -> None:
        """Wake at the watch's next deadline. Heartbeats only push it out: a timer that is early re-arms."""
        deadline = self.watch.deadline()
        if deadline is None:
            return
        if self._timer is not None:
            if self._timer.when() <= deadline and not self._timer.cancelled():
                return
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(0.0, deadline - time.monotonic()), self._wake)

    def _wake(self) -> None:
        """Drain before silence speaks: what waits in the socket was not silent."""
        self._timer = None
        if self.ears is not None:
            self.ears.drain()
            self._count_drops(self.ears.status().receive_drops)
        self._happened(self.watch.tick(time.monotonic()))

    def _count_drops(self, drops: int) -> None:
        if drops > self._drops:
            self._drops = drops
            self._note(Unfit.RECEIVE_DROPS, time.monotonic())

    def _happened(self, events: list[Event]) -> None:
        if events:
            self._tell(events)
            self._urge(events)
        self.arm()

    def _urge(self, events: list[Event]) -> None:
        if self.questions is None:
            return
        names = {event.member for event in events if event.kind in _URGENT}
        for track in self.watch.membership if names else ():
            if track.name in names and track.presence is not Presence.LEFT:
                self.questions.urge(track.address)

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    # -- what is shown

    async def view(self, offset: float) -> GroupView:
        """Freeze the group, a slice of its members at a time."""
        members: list[MemberView] = []
        tracks = list(self.watch.membership)
        fit = not self.watch.fitness.reasons(time.monotonic())
        for start in range(0, len(tracks), SLICE):
            members += view_members(tracks[start : start + SLICE], time.monotonic(), offset, fit=fit)
            await asyncio.sleep(0)
        joined = self.ears.status() if self.ears is not None else Joined(self.group.address, self.group.port)
        return view_group(self.watch, joined, time.monotonic(), offset, members)
