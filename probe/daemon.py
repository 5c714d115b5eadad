"""Builds the rooms, runs them in one TaskGroup, stops on a signal."""

import asyncio
import gc
import platform
import signal
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Final

from probe.config import BeliefSource, Group, Settings, state_directory
from probe.fields import ConfigError, shown
from probe.memory import NOT_KEPT, DamagedError
from probe.model.belief import Reading
from probe.model.events import Event, Kind
from probe.model.fitness import LAG_LIMIT, Unfit
from probe.model.presence import HEARD
from probe.model.rules import ExpectedBy
from probe.model.sight import Role
from probe.model.track import Track
from probe.model.verdict import ClusterState
from probe.model.views import Build, ProbeView, Reload, clock_text
from probe.sensors.belief import Tomcats
from probe.sensors.interfaces import Interface, Interfaces
from probe.sensors.multicast import Multicast
from probe.sensors.peers import Peers
from probe.sensors.session import Canaries
from probe.station import Station
from probe.surface.journal import Journal, Libraries
from probe.surface.systemd import Notifier
from probe.surface.web import ListenError, NotForgottenError, NotKnownError, Web
from probe.web_config import WebConfig, load_web_config

VERSION: Final = version("tribes-probe")
LOOK_EVERY: Final = 0.25
"""seconds between two looks at this probe's own health."""
COMPARE_EVERY: Final = 0.5
"""seconds between two comparisons with peers, or ten times as long as one takes."""
ASLEEP: Final = 1.0
"""seconds by which boot time may outrun the monotonic clock before the host is said to have slept."""

_VERDICTS: Final = frozenset(Kind(state.value) for state in ClusterState) | {Kind.MERGED}

Load = Callable[[], Settings]


class Daemon:
    """One running probe. ``load`` reads the settings for a reload; it raises ``ConfigError``."""

    def __init__(self, settings: Settings, load: Load | None = None) -> None:
        self.settings = settings
        self.journal = Journal(settings.log.level, settings.log.format)
        self.stations: dict[str, Station] = {}
        self._load = load
        self._reload = Reload(successful=True, succeeded_at=time.time())
        self._reloading = asyncio.Lock()
        self._started = time.time()
        self._listening_since = time.monotonic()
        self._stop = asyncio.Event()
        self._hung_up = asyncio.Event()
        self._lag = 0.0
        self._notifier = Notifier()
        self._web = Web(self, settings.web.telemetry_path, _web_config(settings))
        self._interfaces = Interfaces(self._follow)
        self._peers = self._meet(settings)
        self._tomcats = self._attend(settings)
        self._reading: list[asyncio.Task[None]] = []
        self._said = ""
        self._tasks = asyncio.TaskGroup()

    # -- life

    async def run(self, ready: Callable[[list[str]], None] = lambda _: None) -> None:
        """Run until ``stop``; ``ready`` is told where the page is. Raises ``ListenError``, OSError at start."""
        with Libraries(self.journal):
            await self._run(ready)

    async def _run(self, ready: Callable[[list[str]], None]) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.stop)
        loop.add_signal_handler(signal.SIGINT, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._hung_up.set)
        try:
            for group in self.settings.groups:
                self.stations[group.name] = self._station(group, self.settings)
            await self._web.listen(self.settings.web.listen_addresses)
            async with self._tasks as tasks:
                await self._live(tasks, ready)
        finally:
            for station in self.stations.values():
                station.close()
            await self._web.close()
            self._notifier.close()

    async def _live(self, tasks: asyncio.TaskGroup, ready: Callable[[list[str]], None]) -> None:
        work = [
            tasks.create_task(one)
            for one in (
                self._interfaces.watch(),
                self._look(),
                self._feed_watchdog(),
                self._reload_on_signal(),
                self._compare(),
            )
        ]
        self._read_others()
        for station in self.stations.values():
            station.start(tasks)
        self._remember()
        self.journal.info("started", f"tribes-probe {VERSION}: {', '.join(dict.fromkeys(self._web.addresses))}")
        gc.freeze()  # what start-up made stays: no collection needs to look at it again
        self._notifier.ready()
        ready(self._web.addresses)
        await self._stop.wait()
        self._notifier.stopping()
        self.journal.info("stopping", "a clean stop was asked for")
        for one in (*work, *self._reading):
            one.cancel()
        for station in self.stations.values():
            station.close()
        self.stations = {}

    def stop(self) -> None:
        """Ask for a clean stop."""
        self._stop.set()

    def _station(self, group: Group, settings: Settings) -> Station:
        return Station(
            group, settings.forget_after, self._tell, self._join_changed, self._learned, self._saved_changed
        )

    # -- what happens

    def _tell(self, events: list[Event]) -> None:
        offset = time.time() - time.monotonic()
        for event in events:
            self.journal.event(event, event.at + offset)
        if any(event.kind in _VERDICTS for event in events):
            self._say()

    def _say(self) -> None:
        """Have STATUS say what the page says."""
        if (sentence := self._sentence()) != self._said:
            self._said = sentence
            self._notifier.status(sentence)

    def _sentence(self) -> str:
        clock = clock_text(time.time() - time.monotonic())
        sentences = {name: station.sentence(clock) for name, station in self.stations.items()}
        if len(sentences) == 1:
            return next(iter(sentences.values()))
        return "; ".join(f"{name} {sentence}" for name, sentence in sentences.items())

    def _join_changed(self, group: Group, interface: str, joined: bool, why: str) -> None:  # noqa: FBT001
        facts = {"group": group.name, "interface": interface}
        if joined:
            self.journal.info("group-joined", f"hears {group.address}:{group.port} on {interface}", **facts)
        else:
            self.journal.warn("group-not-joined", f"does not hear {group.address}:{group.port}: {why}", **facts)

    def _follow(self, interfaces: tuple[Interface, ...]) -> None:
        for station in self.stations.values():
            station.follow(interfaces)

    # -- what is learned

    def _remember(self) -> None:
        """Have what is learned be kept where the settings say."""
        folder = state_directory(self.settings)
        for station in self.stations.values():
            try:
                station.remember(folder, self._tasks)
            except DamagedError as error:
                self.journal.error("state-damaged", str(error), group=station.group.name)
        if folder is None and any(group.learns for group in self.settings.groups):
            self.journal.warn("state-not-saved", NOT_KEPT)

    def _learned(self, group: Group, members: list[str]) -> None:
        for member in members:
            text = (
                f"{member} was up for {group.learn_after:g} s: it is expected until it is forgotten by request"
            )
            self.journal.info("learned", text, group=group.name, member=member)

    def _saved_changed(self, group: Group, why: str) -> None:
        if why:
            text = f"who was learned cannot be saved, and is lost if the probe stops: {why}"
            self.journal.warn("state-not-saved", text, group=group.name)
        else:
            self.journal.info("state-saved", "who was learned is saved again", group=group.name)

    def forget(self, member: str, group: str | None = None) -> str:
        """Miss a member of a group no more, or of the only group that knows it; say what that means.

        Raises ``NotKnownError``, and ``NotForgottenError`` for whom forgetting would not help.
        """
        station, track = self._find(member, group)
        name = station.group.name
        if track.expected_by in {ExpectedBy.SETTINGS, ExpectedBy.STATIC}:
            raise NotForgottenError(
                f"{member} is expected by the settings of {name}: take it out there and reload"
            )
        heard = track.presence in HEARD
        if heard and not track.expected:
            raise NotForgottenError(
                f"{member} is heard in {name} and was not learned: nothing is to be forgotten"
            )
        station.forget(member)
        text = f"{member} of {name} is forgotten"
        if heard:
            text += (
                f"; it is heard, and is expected again once it is up for {station.group.learn_after:g} s more"
            )
        self.journal.info("forget", text, group=name, member=member)
        return text

    def _find(self, member: str, group: str | None) -> tuple[Station, Track]:
        if group is not None and group not in self.stations:
            raise NotKnownError(f"no group is called {shown(group)}: there is {', '.join(self.stations)}")
        found = [
            (station, track)
            for name, station in self.stations.items()
            if group in {None, name} and (track := station.watch.membership.named(member)) is not None
        ]
        if not found:
            raise NotKnownError(f"{member} is not known")
        if len(found) > 1:
            names = ", ".join(station.group.name for station, _ in found)
            raise NotForgottenError(f"{member} is known in {names}: say in which group to forget it")
        return found[0]

    # -- this probe's own health

    async def _look(self) -> None:
        asleep = _asleep()
        while True:
            due = time.monotonic() + LOOK_EVERY
            await asyncio.sleep(LOOK_EVERY)
            now = time.monotonic()
            self._lag = max(0.0, now - due)
            slept, asleep = _asleep() - asleep, _asleep()
            for station in self.stations.values():
                station.look(now)
                if self._lag > LAG_LIMIT:
                    station.incident(Unfit.LOOP_LAG, now)
                if slept > ASLEEP:
                    station.incident(Unfit.SUSPENDED, now)
            self.journal.close_windows(now)
            self._say()  # evidence, and what Tomcats believe, comes and goes without an event

    async def _feed_watchdog(self) -> None:
        if self._notifier.watchdog_seconds is None:
            return
        while True:
            self._notifier.alive()
            await asyncio.sleep(self._notifier.watchdog_seconds)

    # -- other probes

    def _meet(self, settings: Settings, before: Peers | None = None) -> Peers:
        return Peers(settings.peers, self._started, self._peer_changed, before)

    def _read_others(self) -> None:
        """Begin to read the peers and Tomcats there are now, and no others."""
        for task in self._reading:
            task.cancel()
        self._reading = [self._tasks.create_task(one.run()) for one in (self._peers, self._tomcats) if one]

    def _peer_changed(self, name: str, why: str) -> None:
        if why:
            self.journal.warn("peer-not-read", f"the view of {name} is missing: {why}", peer=name)
        else:
            self.journal.info("peer-read", f"the view of {name} is read", peer=name)

    # -- what Tomcats believe

    def _attend(self, settings: Settings) -> Tomcats:
        return Tomcats(settings.groups, self._believe, self._belief_changed)

    def _belief_changed(self, group: str, source: BeliefSource, why: str) -> None:
        facts = {"group": group, "source": source.url}
        if why:
            self.journal.warn("belief-not-read", f"what {source.url} believes is not read: {why}", **facts)
        else:
            self.journal.info("belief-read", f"what {source.url} believes is read", **facts)

    def _believe(self, group: str, reading: Reading) -> None:
        station = self.stations.get(group)
        if station is None:
            return
        found = station.believe(reading)
        if found is None:
            return
        member = station.watch.beliefs.held[reading.source].member
        if found:
            findings = ", ".join(one.finding.value for one in found)
            text = "; ".join(one.text for one in found)
            self.journal.warn("belief", text, group=group, member=member, findings=findings)
        else:
            text = f"{member} agrees again with what is heard here"
            self.journal.info("belief", text, group=group, member=member, findings="")

    # -- with others

    async def _compare(self) -> None:
        while True:
            began = time.monotonic()
            for station in list(self.stations.values()):
                group = station.group
                others = self._peers.vantages(group.address, group.port)
                await station.compare(others, Role(self.settings.role))
            await asyncio.sleep(max(COMPARE_EVERY, 10 * (time.monotonic() - began)))

    # -- reload

    async def _reload_on_signal(self) -> None:
        while True:
            await self._hung_up.wait()
            self._hung_up.clear()
            await self.reload()

    async def reload(self) -> str | None:
        """Read the settings anew; a bad file leaves the old ones in force. Return what was wrong."""
        async with self._reloading:
            if self._stop.is_set():
                return "the probe is stopping"
            self._notifier.reloading()
            try:
                await self._apply(self._load() if self._load is not None else self.settings)
            except (ConfigError, ListenError, OSError) as error:
                self._reload = Reload(successful=False, succeeded_at=self._reload.succeeded_at)
                self.journal.error("reload-failed", f"the old settings stay in force: {error}")
                return str(error)
            finally:
                self._notifier.ready()
            self._reload = Reload(successful=True, succeeded_at=time.time())
            self.journal.info("reloaded", f"{len(self.stations)} groups")
            return None

    async def _apply(self, settings: Settings) -> None:
        """Open all that can fail first, then change over: nothing is half applied."""
        web_config, peers = _web_config(settings), self._meet(settings, self._peers)
        tomcats = self._attend(settings)
        tomcats.inherit(self._tomcats)
        stations, sockets, canaries = self._prepare(settings)
        try:
            await self._web.adopt(web_config)
        except BaseException:
            _close_all(stations, sockets)
            raise
        self._change_over(settings, stations, sockets, canaries)
        self._remember()
        self._peers, self._tomcats = peers, tomcats
        self._read_others()

    def _prepare(
        self, settings: Settings
    ) -> tuple[dict[str, Station], dict[str, Multicast], dict[str, Canaries]]:
        """Open stations for new groups and sockets for moved ones; read what checks of sessions need.

        Raises OSError or ``ConfigError``, and then leaves none open.
        """
        stations: dict[str, Station] = {}
        sockets: dict[str, Multicast] = {}
        canaries: dict[str, Canaries] = {}
        try:
            for group in settings.groups:
                station = self.stations.get(group.name)
                if station is None:
                    stations[group.name] = self._station(group, settings)
                    continue
                canaries[group.name] = station.check_sessions(group)
                if _place(station.group) != _place(group):
                    sockets[group.name] = station.listen(group)
        except (OSError, ConfigError):
            _close_all(stations, sockets)
            raise
        return stations, sockets, canaries

    def _change_over(
        self,
        settings: Settings,
        stations: dict[str, Station],
        sockets: dict[str, Multicast],
        canaries: dict[str, Canaries],
    ) -> None:
        for name in ("listen_addresses", "telemetry_path"):
            if getattr(settings.web, name) != getattr(self.settings.web, name):
                self.journal.warn("reload", f"web.{name} takes effect at the next start")
        self.settings = settings
        self.journal.configure(settings.log.level, settings.log.format)
        kept = {group.name for group in settings.groups}
        for name in self.stations.keys() - kept:
            self.stations.pop(name).close()
        for group in settings.groups:
            if group.name in stations:
                self.stations[group.name] = stations[group.name]
                self.stations[group.name].start(self._tasks)
            else:
                self.stations[group.name].adopt(
                    group, settings.forget_after, sockets.get(group.name), canaries[group.name], self._tasks
                )
        self._follow(self._interfaces.now)

    # -- what the web shows

    async def view(self) -> ProbeView:
        """Return everything this probe sees now."""
        offset, now = time.time() - time.monotonic(), time.monotonic()
        groups = [await station.view(offset) for station in list(self.stations.values())]
        unfit = sorted(
            {reason.value for one in self.stations.values() for reason in one.watch.fitness.reasons(now)}
        )
        return ProbeView(
            build=Build(VERSION, platform.python_version(), type(asyncio.get_running_loop()).__module__),
            reload=self._reload,
            time=time.time(),
            started=self._started,
            ready=self.not_ready() is None,
            fit=not unfit,
            unfit=unfit,
            loop_lag_seconds=self._lag,
            groups=groups,
            role=self.settings.role,
            peers=self._peers.view(),
        )

    def not_ready(self) -> str | None:
        """Say why this probe is not ready: not joined, or younger than one dropTime."""
        for name, station in self.stations.items():
            if not any(station.multicast.status().interfaces.values()):
                return f"{name} is joined on no interface"
            age = time.monotonic() - self._listening_since
            if age < station.group.drop_time:
                return f"listening for {age:.1f} s, dropTime of {name} is {station.group.drop_time:g} s"
        return None


def _web_config(settings: Settings) -> WebConfig:
    path = settings.web.config_file
    return load_web_config(Path(path)) if path is not None else WebConfig()


def _place(group: Group) -> tuple[str, int, tuple[str, ...]]:
    """Return what a socket is made for."""
    return group.address, group.port, group.interfaces


def _close_all(stations: dict[str, Station], sockets: dict[str, Multicast]) -> None:
    for station in stations.values():
        station.close()
    for multicast in sockets.values():
        multicast.close()


def _asleep() -> float:
    """Return for how long (seconds) this host was suspended since it started."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic()


def run(
    settings: Settings, load: Load | None = None, ready: Callable[[list[str]], None] = lambda _: None
) -> None:
    """Run a daemon until it is told to stop, on uvloop where there is one.

    Raises ``ConfigError``, ``ListenError`` or OSError at start.
    """

    async def live() -> None:
        await Daemon(settings, load).run(ready)

    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(live())


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop, or None (asyncio's own) where it is not installed."""
    try:
        import uvloop  # noqa: PLC0415  # not everywhere
    except ImportError:
        return None
    return uvloop.new_event_loop
