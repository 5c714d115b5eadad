"""The walk: every step in the order in which the packets go; a step that cannot be taken stops nothing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import msgspec

from probe.config import Peer, Settings
from probe.doctor import (
    bridge,
    buffers,
    container,
    drops,
    exchange,
    firewall,
    hearing,
    igmp,
    jvm,
    links,
    names,
    others,
    ports,
    routes,
    selftest,
)
from probe.doctor.files import printable
from probe.doctor.finding import Finding, Judgement, unknown, without
from probe.doctor.hearing import Heard
from probe.doctor.subject import Subject
from probe.fields import ConfigError, shown
from probe.sensors.interfaces import list_interfaces

Judged = Judgement | list[Judgement]
Note = Callable[[str], None]
"""Says beside the findings what takes a while."""


class Order(msgspec.Struct, frozen=True):
    """What is to be looked at; ``self_test`` is the port to measure on, None for no self-test."""

    settings: Settings
    peers: tuple[Peer, ...] = ()
    hosts: tuple[str, ...] = ()
    """The peers' hosts, for the self-test."""
    self_test: int | None = None
    listen: float | None = None
    """seconds; None for two dropTimes."""
    root: Path = Path("/")


async def walk(order: Order, note: Note) -> AsyncIterator[Finding]:
    """Yield what each step finds, as it is found."""
    try:
        interfaces = list_interfaces()
    except OSError as failed:
        interfaces = ()
        yield _finding("interfaces", "", links.LOOKED_AT, without(failed))
    subjects = [Subject(group, interfaces) for group in order.settings.groups]
    for subject in subjects:
        async for finding in _Host(subject, order.root).steps():
            yield finding
    for finding in await _step("container", "", container.LOOKED_AT, lambda: _place(order.root)):
        yield finding
    for finding in await _step("buffers", "", buffers.LOOKED_AT, lambda: _buffers(order.root)):
        yield finding
    async for finding in _outside(order, subjects, note):
        yield finding


async def _place(root: Path) -> Judged:
    return container.judge(container.read_place(root))


async def _buffers(root: Path) -> Judged:
    return buffers.judge(buffers.read_buffers(root))


class _Host:
    """The steps on this host for one group; later ones use what earlier ones found."""

    def __init__(self, subject: Subject, root: Path) -> None:
        self.subject = subject
        self.root = root
        self.announced = ""
        self.way = routes.Way()
        self.held: list[ports.Held] = []

    async def steps(self) -> AsyncIterator[Finding]:
        """Take each."""
        table: tuple[tuple[str, str, Callable[[], Awaitable[Judged]]], ...] = (
            ("host name", names.LOOKED_AT, self._name),
            ("interfaces", links.LOOKED_AT, self._links),
            ("route", routes.GROUP_LOOKED_AT, self._route),
            ("rp_filter", routes.FILTER_LOOKED_AT, self._filters),
            ("firewall", firewall.LOOKED_AT, self._firewall),
            ("group port", ports.GROUP_LOOKED_AT, self._group_port),
            ("receiver port", ports.RECEIVER_LOOKED_AT, self._receiver_port),
            ("bridge", bridge.LOOKED_AT, self._bridge),
            ("igmp", igmp.LOOKED_AT, self._igmp),
            ("drops", drops.LOOKED_AT, self._drops),
            ("jvm", jvm.LOOKED_AT, self._jvm),
        )
        for name, looked_at, look in table:
            for finding in await _step(name, self.subject.group.name, looked_at, look):
                yield finding

    async def _name(self) -> Judged:
        found = await names.look_up(self.subject.receiver_address, self.root)
        known = bool(self.subject.group.clusters)
        self.announced = found.java if known else ""
        receivers = ports.read_receivers(self.subject, self.root)
        return names.judge(
            found, self.subject, frozenset(one.socket.address for one in receivers if one.is_java)
        )

    async def _links(self) -> Judged:
        return links.judge(self.subject)

    async def _route(self) -> Judged:
        self.way = routes.read_way(self.subject)
        return routes.judge_way(self.way, self.subject, self.announced)

    async def _filters(self) -> Judged:
        return routes.judge_filters(routes.read_filters(self.subject, self.root), self.subject)

    async def _firewall(self) -> Judged:
        filters = await asyncio.to_thread(firewall.read_filters, self.subject.version)
        return firewall.judge(filters, self.subject)

    async def _group_port(self) -> Judged:
        self.held, shared = ports.read_group_port(self.subject, self.root)
        return ports.judge_group_port(self.held, shared, self.subject)

    async def _receiver_port(self) -> Judged:
        held = ports.read_receivers(self.subject, self.root)
        return ports.judge_receivers(held, self.subject, self.announced)

    async def _bridge(self) -> Judged:
        return bridge.judge(bridge.read_bridges(self.subject), self.subject)

    async def _igmp(self) -> Judged:
        found = igmp.read_memberships(self.subject, self.root)
        return igmp.judge(found, self.subject, self.way.interface, bool(self.held))

    async def _drops(self) -> Judged:
        return drops.judge(await drops.read_backlogs(self.subject, self.root), self.subject)

    async def _jvm(self) -> Judged:
        return jvm.judge(jvm.read_tomcats(self.root), self.subject)


async def _outside(order: Order, subjects: list[Subject], note: Note) -> AsyncIterator[Finding]:
    """Listen to every group at once, ask its receivers, then the peers; at last measure."""
    listening = [order.listen or hearing.how_long(subject.group) for subject in subjects]
    note(f"listening for {max(listening):g} s")
    heard = await asyncio.gather(
        *(hearing.listen(one.group, seconds) for one, seconds in zip(subjects, listening, strict=True)),
        return_exceptions=True,
    )
    for subject, one in zip(subjects, heard, strict=True):
        for finding in _heard(subject, one):
            yield finding
    for peer in order.peers:
        for subject, one in zip(subjects, heard, strict=True):
            view = one.view if isinstance(one, Heard) else None

            async def ask(peer: Peer = peer, subject: Subject = subject, view: object = view) -> Judged:
                return others.judge(await others.read(peer), subject, view)  # type: ignore[arg-type]

            for finding in await _step(f"peer {peer.name}", subject.group.name, others.LOOKED_AT, ask):
                yield finding
    if order.self_test is not None:
        async for finding in _measured(order, subjects, note):
            yield finding


def _heard(subject: Subject, heard: Heard | BaseException) -> Iterator[Finding]:
    group = subject.group.name
    if not isinstance(heard, Heard):
        failed = heard.exceptions[0] if isinstance(heard, BaseExceptionGroup) else heard
        why = without(failed) if isinstance(failed, OSError) else _failed(failed)
        yield _finding("heard", group, hearing.HEARD_AT, why)
        return
    yield _finding("heard", group, hearing.HEARD_AT, hearing.judge_heard(heard, subject))
    yield _finding("addresses", group, hearing.FROM_AT, hearing.judge_addresses(heard))
    yield _finding("datagrams", group, hearing.DATAGRAMS_AT, hearing.judge_datagrams(heard))
    yield _finding("receivers", group, hearing.ASKED_AT, hearing.judge_asked(heard))


async def _measured(order: Order, subjects: list[Subject], note: Note) -> AsyncIterator[Finding]:
    """Measure with each peer, groups in the order of their addresses: the other side has the same."""
    port = order.self_test or selftest.PORT
    for host in order.hosts:
        for subject in sorted(subjects, key=lambda one: one.group.address):
            note(f"self-test with {host}: waiting up to {selftest.MEET:g} s for the doctor there")

            async def measure(subject: Subject = subject, host: str = host) -> Judged:
                return exchange.judge(await selftest.measure(subject, host, port))

            looked_at = f"{exchange.COUNT} datagrams each way to {subject.group.address}, UDP port {port}"
            for finding in await _step(f"self-test {host}", subject.group.name, looked_at, measure):
                yield finding


async def _step(name: str, group: str, looked_at: str, look: Callable[[], Awaitable[Judged]]) -> list[Finding]:
    """Take one step; whatever goes wrong in it is its finding."""
    try:
        judged = await look()
    except OSError as failed:
        judged = without(failed)
    except Exception as failed:  # noqa: BLE001  # the walk stops at nothing
        judged = _failed(failed)
    return [_finding(name, group, looked_at, one) for one in (judged if isinstance(judged, list) else [judged])]


def _failed(failed: BaseException) -> Judgement:
    said = failed.problems[0] if isinstance(failed, ConfigError) else str(failed)
    return unknown(f"this step failed: {type(failed).__name__} {shown(said)}", "look there by hand")


def _finding(step: str, group: str, looked_at: str, one: Judgement) -> Finding:
    found, means, remedy = map(printable, (one.found, one.means, one.remedy))
    return Finding(step, group, looked_at, one.status, found, means, remedy)
