"""One group's rooms: its watch, its sensors, and the timer that lets silence speak."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from probe.config import Group
from probe.memory import Keeper, Memory
from probe.model.belief import Found, Reading
from probe.model.events import Event, Kind
from probe.model.evidence import Answer
from probe.model.fitness import Fitness, Unfit
from probe.model.learning import Learned
from probe.model.link import Connection, Links
from probe.model.sight import HERE, Role, Vantage
from probe.model.track import Datagram
from probe.model.vantages import Together
from probe.model.views import GroupView, MemberView, sight_of, view_beliefs, view_group, view_members
from probe.model.watch import Watch
from probe.sensors.interfaces import Interface
from probe.sensors.links import Look
from probe.sensors.multicast import Multicast
from probe.sensors.receivers import Network, Receivers
from probe.sensors.session import Canaries

SLICE: Final = 200
"""members frozen at once while a view is made; between slices the loop runs on."""
_BACK: Final = frozenset({Kind.RETURNED, Kind.RESTARTED, Kind.RECOVERED, Kind.CHANNEL_RESTARTED})

Tell = Callable[[list[Event]], None]
Changed = Callable[[Group, str, bool, str], None]
"""Group, interface, whether its join holds, why."""
Saved = Callable[[Group, str], None]
"""Group, and why what it learned cannot be saved; empty when it can again."""


class Station:
    """Watches one group; ``tell`` takes what happens, ``changed`` every join that begins or ends.

    ``learned`` takes who is newly learned, ``saved`` that this can be saved no more, or again.
    """

    def __init__(
        self,
        group: Group,
        forget_after: float,
        tell: Tell,
        changed: Changed,
        learned: Callable[[Group, list[str]], None],
        saved: Saved,
    ) -> None:
        """Open the socket; raises OSError, or ``ConfigError`` when files of the sessions cannot be used."""
        now = time.monotonic()
        self.group = group
        self.watch = Watch(group.rules(forget_after), now, Fitness(group.drop_time, now))
        self.watch.fitness.trouble(Unfit.NOT_JOINED, now)
        self.watch.beliefs.keep(source.url for source in group.belief)
        self._tell = tell
        self._changed = changed
        self._learned = learned
        self._saved = saved
        self._known: frozenset[Learned] = frozenset()
        self._revision = 0
        self._keeper: Keeper | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = 0.0
        self._drops = 0
        self._asking: asyncio.Task[None] | None = None
        self._checking: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        self.links: Links | None = None
        self.canaries = Canaries(group.name, group.sessions, self._told)
        self.multicast = self.listen(group)
        self.receivers = self._receivers()
        self.together: Together | None = None
        self._arm()

    def listen(self, group: Group) -> Multicast:
        """Open a socket for these settings, to be handed to ``adopt``; raises OSError."""
        return Multicast(group, self._receive, self._joined)

    def _receivers(self) -> Receivers:
        return Receivers(self.group.receiver_check, self._take, self._networks, self.watch.membership.named)

    def check_sessions(self, group: Group) -> Canaries:
        """Read what checks of sessions need, to be handed to ``adopt``; raises ``ConfigError``."""
        return Canaries(group.name, group.sessions, self._told, self.canaries)

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Begin to ask receivers, and to check sessions."""
        self._asking = _instead(self._asking, tasks.create_task(self.receivers.run()))
        self._checking = _instead(self._checking, tasks.create_task(self.canaries.run()))
        self._look_at_links(tasks)
        self._follow_all()

    def _look_at_links(self, tasks: asyncio.TaskGroup) -> None:
        """Begin to look at this host's connections, or no more; what is known of them stays."""
        if self._looking is not None:
            self._looking.cancel()
        self.links = (self.links or Links()) if self.group.links else None
        if self.links is not None:
            look = Look(self.group.receiver_check.allowed_ports, self._linked, self.links.fail)
            self._looking = tasks.create_task(look.run())

    def adopt(
        self,
        group: Group,
        forget_after: float,
        multicast: Multicast | None,
        canaries: Canaries,
        tasks: asyncio.TaskGroup,
    ) -> None:
        """Take new settings, and another socket if one is given; the members known stay. ``follow`` is next."""
        now = time.monotonic()
        if (group.address, group.port) != (self.group.address, self.group.port):
            self._stop_keeping()  # what was learned there is safe in a file of its own
            self.watch.start_anew(now)
            self._known = frozenset()
        self.group = group
        self.watch.adopt(group.rules(forget_after), now)
        self.watch.fitness.calm = group.drop_time
        self.watch.beliefs.keep(source.url for source in group.belief)
        if multicast is not None:
            self.multicast.drain()
            self.multicast.close()
            self.multicast = multicast
        if self.receivers.check != group.receiver_check:
            self.receivers = self._receivers()
            self._asking = _instead(self._asking, tasks.create_task(self.receivers.run()))
            self._follow_all()
        self.canaries = canaries
        self._checking = _instead(self._checking, tasks.create_task(canaries.run()))
        self._look_at_links(tasks)

    def _forget_answers(self) -> None:
        """Let go of the answers of who is asked no more: they would be held against it for ever."""
        for track in self.watch.membership:
            if track.not_asked:
                track.answer = track.closed = None

    def close(self) -> None:
        """Leave the group, ask nobody any more."""
        self.multicast.close()
        if self._timer is not None:
            self._timer.cancel()
        for task in (self._asking, self._checking, self._looking):
            if task is not None:
                task.cancel()
        self._stop_keeping()

    # -- what is learned

    def remember(self, folder: Path | None, tasks: asyncio.TaskGroup) -> None:
        """Keep in this folder who is learned; who was learned before the probe started is expected again.

        Raises ``DamagedError`` when it cannot be told who that was; all else is done then.
        """
        memory = None
        if folder is not None and self.group.learns:
            memory = Memory(folder, f"{self.group.address}-{self.group.port}")
        if memory is not None and self._keeper is not None and self._keeper.memory.path == memory.path:
            return
        self._stop_keeping()
        if memory is None:
            return
        keeper = self._keeper = Keeper(memory, partial(self._saved, self.group))
        self._keeping = tasks.create_task(keeper.run())
        try:
            self.watch.recall(keeper.recall(), time.monotonic())
        finally:
            self._known |= self.watch.membership.learning.everybody()
            keeper.keep(self._known)
            self._follow_all()
            self._arm()

    def _stop_keeping(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
        self._keeper = self._keeping = None

    def _keep(self) -> None:
        """Save who is learned, where that changed."""
        known = self.watch.membership.learning.everybody()
        if news := sorted(known - self._known):
            self._learned(self.group, [one.member for one in news])
        self._known = known
        if self._keeper is not None:
            self._keeper.keep(known)

    def forget(self, member: str) -> None:
        """Miss a member no more; raises KeyError for who is not known."""
        self._happened(self.watch.forget(member, time.monotonic()))

    # -- what the sensors say

    def follow(self, interfaces: tuple[Interface, ...]) -> None:
        """Take the host's interfaces as they are now."""
        self.multicast.follow(interfaces)
        holds = list(self.multicast.status().interfaces.values())
        now, fitness = time.monotonic(), self.watch.fitness
        for reason, trouble in ((Unfit.NOT_JOINED, not any(holds)), (Unfit.INTERFACE_DOWN, not all(holds))):
            if trouble:
                fitness.trouble(reason, now)
            else:
                fitness.cured(reason, now)
        self._follow_all()
        self._forget_answers()
        self._unsettle(now)

    def _joined(self, interface: str, joined: bool, why: str) -> None:  # noqa: FBT001  # the sensor's callback
        self._changed(self.group, interface, joined, why)

    def _receive(self, batch: list[Datagram]) -> None:
        if events := self.watch.receive(batch):
            self._happened(events)

    def _take(self, address: bytes, answer: Answer) -> None:
        self._happened(self.watch.take(address, answer, time.monotonic()))

    def believe(self, reading: Reading) -> tuple[Found, ...] | None:
        """Take what a Tomcat says it believes; return what that shows, if it is news."""
        self.multicast.drain()
        news = self.watch.believe(reading, time.monotonic())
        self._arm()
        return news

    def _linked(self, connections: list[Connection]) -> None:
        if self.links is not None:
            members = {track.name: track for track in self.watch.membership}
            self._told(self.links.take(self.group.name, connections, members, time.monotonic()))

    def _told(self, events: list[Event]) -> None:
        """Tell what no heartbeat and no receiver told."""
        if events:
            self.watch.events.update(event.kind for event in events)
            self._tell(events)

    def _networks(self) -> list[Network]:
        return self.multicast.networks()

    def incident(self, reason: Unfit, now: float) -> None:
        """Take that this probe cannot be trusted for a while."""
        self.watch.fitness.trouble(reason, now)
        self._unsettle(now)

    def _unsettle(self, now: float) -> None:
        self.watch.unsettle(now)
        self._arm()

    # -- time

    def _arm(self) -> None:
        """Wake at the watch's next deadline. Heartbeats only push it out: a timer that is early re-arms."""
        deadline = self.watch.deadline()
        if deadline is None:
            return
        loop = asyncio.get_running_loop()
        at = loop.time() + deadline - time.monotonic()
        if self._timer is not None:
            if self._wakes_at <= at:
                return
            self._timer.cancel()
        self._wakes_at = at
        self._timer = loop.call_at(at, self._wake)

    def _wake(self) -> None:
        """Drain before silence speaks: what waits in the socket was not silent."""
        self._timer = None
        self.multicast.drain()
        self._happened(self.watch.tick(time.monotonic()))

    def look(self, now: float) -> None:
        """Look at what the kernel had to drop."""
        drops = self.multicast.drops()
        if drops > self._drops:
            self.incident(Unfit.RECEIVE_DROPS, now)
        self._drops = drops

    def _happened(self, events: list[Event]) -> None:
        if events:
            self._tell(events)
            for event in events:
                if event.member:
                    self._ask(event)
        if self.watch.membership.learning.revision != self._revision:
            self._revision = self.watch.membership.learning.revision
            self._keep()
        self._arm()

    # -- asking

    def _ask(self, event: Event) -> None:
        """Ask a late member at once, whatever it answered: it may have ended since. At dropTime it is known."""
        track = self.watch.membership.named(event.member)
        if track is None:
            return
        self.receivers.follow(track)
        if event.kind is Kind.LATE or (event.kind is Kind.SILENT and track.fresh_answer is None):
            self.receivers.urge(track.name)
        elif event.kind in _BACK:
            self.receivers.heard_again(track.name)

    def _follow_all(self) -> None:
        for track in self.watch.membership:
            self.receivers.follow(track)

    # -- what is shown

    async def view(self, offset: float) -> GroupView:
        """Freeze the group, a slice of its members at a time; ``offset`` is unix minus monotonic time."""
        members: list[MemberView] = []
        tracks = list(self.watch.membership)
        fit = not self.watch.fitness.reasons(time.monotonic())
        beliefs = view_beliefs(self.watch.beliefs, time.monotonic(), offset)
        for start in range(0, len(tracks), SLICE):
            some = tracks[start : start + SLICE]
            members += view_members(some, time.monotonic(), offset, fit=fit, beliefs=beliefs, links=self.links)
            await asyncio.sleep(0)
        joint = self.together.joint if self.together is not None else None
        saved = self._keeper.saved if self._keeper is not None else None
        status, pairs = self.multicast.status(), self.canaries.pairs
        return view_group(
            self.watch,
            status,
            time.monotonic(),
            offset,
            members,
            joint,
            pairs,
            saved=saved,
            links=self.links,
        )

    def sentence(self, clock: Callable[[float], str]) -> str:
        """Say what this probe says alone, and what it says with others."""
        alone = self.watch.judge.verdict.sentence(clock)
        if self.together is None:
            return alone
        return f"{alone}; together {self.together.joint.verdict.sentence(clock)}"

    # -- with others

    async def compare(self, others: list[Vantage], role: Role) -> None:
        """Judge over what others see of the group, too; without others there is nothing to compare."""
        if not others:
            self.together = None
            return
        asked_at = time.monotonic()
        view = await self.view(0.0)
        now = time.monotonic()
        here = Vantage(HERE, role, asked_at, now, sight_of(view))
        together = self.together = self.together or Together(self.group.name, now)
        # pure, and on frozen values; with thousands of members cut off it takes longer than the loop may wait
        if events := await asyncio.to_thread(together.judge, [here, *others], now):
            self.watch.events.update(event.kind for event in events)
            self._tell(events)


def _instead(before: "asyncio.Task[None] | None", task: "asyncio.Task[None]") -> "asyncio.Task[None]":
    """Cancel a task and return the one that takes its place."""
    if before is not None:
        before.cancel()
    return task
