"""What this vantage sees, frozen: the one value that metrics, API, page, STATUS and peers are made from.

All times in it are unix seconds. ``/api/v1/view`` is this, as JSON.
"""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Final

import msgspec

from probe.model.belief import Beliefs, Found, Held
from probe.model.canary import Pair, State
from probe.model.events import Kind
from probe.model.hearing import Loss
from probe.model.histogram import Histogram
from probe.model.joint import Joint
from probe.model.judge import Judge
from probe.model.learning import Learning
from probe.model.link import Link, Links
from probe.model.rules import Rules
from probe.model.sight import GroupSight, MemberSight, ReceiverSight, Role, VerdictSight
from probe.model.track import Track
from probe.model.watch import Watch
from protocols.heartbeat import EPOCH_LIKE_MS, host_text


class ReceiverView(msgspec.Struct, frozen=True, gc=False):
    """The last answer of a member's receiver, and how many questions failed for which reason.

    ``failures`` holds (check, reason, count); ``not_asked`` says why no question is put, if none is.
    """

    check: str | None = None
    outcome: str | None = None
    connected: bool | None = None
    answered: bool | None = None
    asked_at: float | None = None
    connect_seconds: float | None = None
    answer_seconds: float | None = None
    checks: dict[str, int] = {}
    failures: tuple[tuple[str, str, int], ...] = ()
    not_asked: str | None = None


class FindingView(msgspec.Struct, frozen=True, gc=False):
    """What a Tomcat's belief shows: since when, about which members and unique ids, in one clause."""

    finding: str
    since: float
    members: tuple[str, ...]
    unique_ids: tuple[str, ...]
    text: str


class BeliefView(msgspec.Struct, frozen=True, gc=False):
    """What a Tomcat itself believes; ``hears`` and ``keeps`` are "host:port#unique_id"."""

    source: str
    read_at: float
    drop_time_seconds: float
    hears: tuple[str, ...]
    keeps: tuple[str, ...]
    findings: list[FindingView]


class SourceView(msgspec.Struct, frozen=True, gc=False):
    """A Tomcat whose belief is to be read; ``up`` while it is, else ``why``; ``member`` once that is known."""

    url: str
    member: str
    up: bool
    why: str
    read_at: float | None


class LinkView(msgspec.Struct, frozen=True, gc=False):
    """This host's TCP connections to a member's receiver; ``incoming`` are those from its host to ours.

    ``opening`` are not answered yet; ``send_queue`` (bytes) is not acknowledged; ``retransmits`` and ``acked``
    (bytes) are counted since the first look. ``finding``: what that shows, held against what is heard.
    """

    state: str
    since: float
    outgoing: int
    opening: int
    incoming: int
    send_queue: int
    retransmits: int
    acked: int
    round_trip_seconds: float | None
    finding: str | None


class LinksView(msgspec.Struct, frozen=True, gc=False):
    """Why nothing is seen of this host's connections, if so; connections to whom no member announces."""

    why: str
    strangers: tuple[str, ...]


class MemberView(msgspec.Struct, frozen=True, gc=False):
    """One member as seen from here; ``unique_id`` and ``domain`` are lower-case hex."""

    member: str
    state: str
    since: float
    up: bool
    expected: bool
    unique_id: str
    domain: str
    source: str
    interface: str
    secure_port: int
    udp_port: int
    ttl: int
    oddities: tuple[str, ...]
    first_heartbeat: float | None
    last_heartbeat: float | None
    age_seconds: float | None
    start: float | None
    alive_ms: int
    heartbeats: int
    heartbeats_lost: int
    stalls: int
    stall_seconds: float
    restarts_clean: int
    restarts_unclean: int
    flaps: int
    period_seconds: float
    address_mismatch: bool
    address_clash: bool
    stranger: bool
    ghost: str
    rivals: tuple[str, ...]
    receiver: ReceiverView
    expected_by: str | None = None
    belief: BeliefView | None = None
    link: LinkView | None = None


class VerdictView(msgspec.Struct, frozen=True, gc=False):
    """The verdict: state, since when, the sentence, members alive of those wanted, members per state."""

    state: str
    since: float
    sentence: str
    alive: int
    wanted: int
    counts: dict[str, int]


class HistogramView(msgspec.Struct, frozen=True, gc=False):
    """Upper bounds (s), counts (one more for all above), sum (s)."""

    bounds: list[float]
    counts: list[int]
    sum: float


class PartView(msgspec.Struct, frozen=True, gc=False):
    """Members that hear each other and not the other parts; ``vantages`` are those that prove it."""

    domain: str
    members: tuple[str, ...]
    vantages: tuple[str, ...]


class LossView(msgspec.Struct, frozen=True, gc=False):
    """A member that lives and is not heard at a vantage.

    ``answers``: its receiver does, there. ``back``: the other direction works. Both null when not known.
    """

    member: str
    vantage: str
    since: float
    last_heard: float | None
    answers: bool | None
    back: bool | None


class TogetherView(msgspec.Struct, frozen=True, gc=False):
    """What this probe and its peers see together; ``silent`` says which of them could not judge, and why."""

    state: str
    since: float
    sentence: str
    alive: int
    wanted: int
    vantages: tuple[str, ...]
    silent: dict[str, str]
    parts: list[PartView]
    losses: list[LossView]
    deaf: dict[str, float]


class SessionView(msgspec.Struct, frozen=True, gc=False):
    """What became of sessions made on one node and shown to another; delay and resolution of the last check.

    ``failures`` holds (reason, count); ``made`` counts the sessions that the checks made, ``ended`` those of
    them that were logged out.
    """

    made_on: str
    shown_to: str
    state: str
    since: float | None
    checked_at: float | None
    reason: str | None
    sentence: str
    delay_seconds: float | None
    resolution_seconds: float | None
    checks: int
    failures: tuple[tuple[str, int], ...]
    made: int
    ended: int
    delays: HistogramView


class PeerView(msgspec.Struct, frozen=True, gc=False):
    """Another probe; ``up`` while its view is read, else ``why``; ``groups`` are what it watches."""

    name: str
    url: str
    role: str
    up: bool
    why: str
    version: str
    read_at: float | None
    groups: tuple[str, ...]


class GroupView(msgspec.Struct, frozen=True, gc=False):
    """One group as seen from here; only ``together`` is from elsewhere, too, and no peer reads it.

    ``state_saved``: what was learned is safe on disk; null where nothing is to be saved.
    """

    group: str
    address: str
    port: int
    frequency_seconds: float
    drop_time_seconds: float
    joined: dict[str, bool]
    receive_buffer: int
    receive_drops: int
    datagrams: dict[str, int]
    malformed: list[tuple[str, str, int]]
    overflow: int
    events: dict[str, int]
    expected: int
    view_hash: int
    view_incarnation_hash: int
    fit: bool
    unfit: list[str]
    verdict: VerdictView
    gaps: HistogramView
    checks: dict[str, HistogramView]
    members: list[MemberView]
    addresses: tuple[str, ...] = ()
    together: TogetherView | None = None
    not_learned: int = 0
    state_saved: bool | None = None
    beliefs: list[SourceView] = []
    sessions: list[SessionView] = []
    links: LinksView | None = None


class Build(msgspec.Struct, frozen=True, gc=False):
    """What this probe is made of: its version, Python's, and the event loop."""

    version: str
    python: str
    loop: str


class Reload(msgspec.Struct, frozen=True, gc=False):
    """Whether the last reload of the settings succeeded, and when the last good one did."""

    successful: bool
    succeeded_at: float


class ProbeView(msgspec.Struct, frozen=True, gc=False):
    """Everything this probe sees, at ``time``."""

    build: Build
    reload: Reload
    time: float
    started: float
    ready: bool
    fit: bool
    unfit: list[str]
    loop_lag_seconds: float
    groups: list[GroupView]
    role: str = Role.SEGMENT.value
    peers: list[PeerView] = []


class Joined(msgspec.Struct, frozen=True, gc=False):
    """How a group's sockets stand: address and port, interface to joined, granted buffer (bytes), drops.

    ``addresses`` are those of the interfaces joined, with their networks ("10.0.0.1/24").
    """

    address: str
    port: int
    interfaces: dict[str, bool] = {}
    receive_buffer: int = 0
    receive_drops: int = 0
    addresses: tuple[str, ...] = ()


def clock_text(offset: float) -> Callable[[float], str]:
    """Return what writes a time of the model's clock as local wall time; ``offset`` is unix minus model."""

    def write(at: float) -> str:
        return datetime.fromtimestamp(at + offset).astimezone().strftime("%H:%M:%S")

    return write


def view_group(
    watch: Watch,
    joined: Joined,
    now: float,
    offset: float,
    members: list[MemberView] | None = None,
    joint: Joint | None = None,
    pairs: Iterable[Pair] = (),
    *,
    saved: bool | None = None,
    links: Links | None = None,
) -> GroupView:
    """Freeze one group; ``offset`` is unix time minus the model's clock.

    ``members`` may have been frozen before, a slice at a time, where the loop must not wait for thousands.
    """
    rules, membership = watch.rules, watch.membership
    unfit = [reason.value for reason in watch.fitness.reasons(now)]
    up = [track for track in membership if track.is_up]
    return GroupView(
        group=rules.name,
        address=joined.address,
        port=joined.port,
        frequency_seconds=rules.frequency,
        drop_time_seconds=rules.drop_time,
        joined=joined.interfaces,
        receive_buffer=joined.receive_buffer,
        receive_drops=joined.receive_drops,
        datagrams=dict(watch.datagrams),
        malformed=[(*key, count) for key, count in watch.malformed.items()],
        overflow=membership.overflow,
        events={kind.value: watch.events[kind] for kind in Kind},
        expected=_expected(rules, membership.learning),
        view_hash=_hash(track.name for track in up),
        view_incarnation_hash=_hash(
            f"{track.name}#{unique_id.hex()}" for track in up for unique_id in _incarnations(track, now, rules)
        ),
        fit=not unfit,
        unfit=unfit,
        verdict=_view_verdict(watch.judge, offset),
        gaps=_view_histogram(membership.gaps),
        checks={check.value: _view_histogram(one) for check, one in membership.check_seconds.items()},
        members=members
        if members is not None
        else view_members(
            membership,
            now,
            offset,
            fit=not unfit,
            beliefs=view_beliefs(watch.beliefs, now, offset),
            links=links,
        ),
        addresses=joined.addresses,
        together=view_together(joint, offset) if joint is not None else None,
        not_learned=membership.learning.refused,
        state_saved=saved,
        beliefs=[_view_source(url, held, now, offset) for url, held in watch.beliefs.held.items()],
        sessions=[view_pair(pair, offset) for pair in pairs],
        links=LinksView(links.why, links.strangers) if links is not None else None,
    )


def _view_link(link: Link | None, track: Track, offset: float) -> LinkView | None:
    if link is None:
        return None
    finding = link.finding(track)
    return LinkView(
        state=link.state.value,
        since=link.since + offset,
        outgoing=link.outgoing,
        opening=link.opening,
        incoming=link.incoming,
        send_queue=link.send_queue,
        retransmits=link.retransmits,
        acked=link.acked,
        round_trip_seconds=link.round_trip,
        finding=finding.value if finding is not None else None,
    )


def view_pair(pair: Pair, offset: float) -> SessionView:
    """Freeze what is known of sessions made on one node and shown to another."""
    result = pair.result
    return SessionView(
        made_on=pair.made_on,
        shown_to=pair.shown_to,
        state=(result.state if result is not None else State.UNKNOWN).value,
        since=pair.since + offset if result is not None else None,
        checked_at=pair.checked_at + offset if pair.checked_at is not None else None,
        reason=result.reason.value if result is not None and result.reason is not None else None,
        sentence=result.text if result is not None else "not checked yet",
        delay_seconds=result.delay if result is not None else None,
        resolution_seconds=result.resolution if result is not None else None,
        checks=pair.checks,
        failures=tuple((reason.value, count) for reason, count in pair.failures.items()),
        made=pair.made,
        ended=pair.ended,
        delays=_view_histogram(pair.delays),
    )


def view_beliefs(beliefs: Beliefs, now: float, offset: float) -> dict[str, BeliefView]:
    """Freeze what each member itself believes, as far as that was read lately."""
    return {
        held.member: BeliefView(
            source=held.read.source,
            read_at=held.read.at + offset,
            drop_time_seconds=held.read.belief.drop_time,
            hears=tuple(map(str, held.read.belief.hears)),
            keeps=tuple(map(str, held.read.belief.keeps)),
            findings=[_view_finding(one, offset) for one in held.found],
        )
        for held in beliefs.fresh(now)
        if held.read is not None and held.read.belief is not None
    }


def _view_finding(found: Found, offset: float) -> FindingView:
    return FindingView(
        finding=found.finding.value,
        since=found.since + offset,
        members=tuple(entry.member for entry in found.about),
        unique_ids=tuple(entry.unique_id.hex() for entry in found.about),
        text=found.text,
    )


def _view_source(url: str, held: Held, now: float, offset: float) -> SourceView:
    read_at = held.read.at + offset if held.read is not None else None
    return SourceView(url, held.member, held.is_fresh(now), held.why, read_at)


def view_together(joint: Joint, offset: float) -> TogetherView:
    """Freeze what several vantages say."""
    verdict = joint.verdict
    return TogetherView(
        state=verdict.state.value,
        since=verdict.since + offset,
        sentence=verdict.sentence(clock_text(offset)),
        alive=verdict.alive,
        wanted=verdict.wanted,
        vantages=joint.judged,
        silent=joint.silent,
        parts=[PartView(side.domain, side.members, side.places) for side in joint.sides],
        losses=[_view_loss(loss, offset) for loss in joint.losses],
        deaf={name: since + offset for name, since in joint.deaf.items()},
    )


def _view_loss(loss: Loss, offset: float) -> LossView:
    last = loss.last_heard + offset if loss.last_heard is not None else None
    return LossView(loss.member, loss.place, loss.since + offset, last, loss.answers, loss.back)


def sight_of(group: GroupView) -> GroupSight:
    """Return what of this probe's own view is judged on among others'."""
    return GroupSight(
        address=group.address,
        port=group.port,
        drop_time_seconds=group.drop_time_seconds,
        expected=group.expected,
        fit=group.fit,
        unfit=group.unfit,
        verdict=VerdictSight(group.verdict.state),
        members=[_sight_of_member(member) for member in group.members],
        addresses=list(group.addresses),
    )


def _sight_of_member(member: MemberView) -> MemberSight:
    receiver = member.receiver
    return MemberSight(
        member=member.member,
        state=member.state,
        up=member.up,
        expected=member.expected,
        unique_id=member.unique_id,
        domain=member.domain,
        source=member.source,
        last_heartbeat=member.last_heartbeat,
        age_seconds=member.age_seconds,
        receiver=ReceiverSight(receiver.connected, receiver.answered, receiver.asked_at),
        expected_by=member.expected_by,
    )


_NOT_READ: Final[Mapping[str, BeliefView]] = {}


def view_members(
    tracks: Iterable[Track],
    now: float,
    offset: float,
    *,
    fit: bool,
    beliefs: Mapping[str, BeliefView] = _NOT_READ,
    links: Links | None = None,
) -> list[MemberView]:
    """Freeze some members, with what those believe who are read, and this host's connections to them."""
    known = links.links if links is not None else {}
    return [
        view_member(track, now, offset, fit=fit, belief=beliefs.get(track.name), link=known.get(track.name))
        for track in tracks
    ]


def view_member(
    track: Track,
    now: float,
    offset: float,
    *,
    fit: bool,
    belief: BeliefView | None = None,
    link: Link | None = None,
) -> MemberView:
    """Freeze one member."""
    member, heard = track.member, track.first_heard > 0 or track.heartbeats > 0
    return MemberView(
        member=track.name,
        state=track.state(fit=fit).value,
        since=track.since + offset,
        up=track.is_up,
        expected=track.expected,
        unique_id=track.unique_id.hex(),
        domain=member.domain.hex() if member else "",
        source=host_text(track.origin.source) if track.origin.source else "",
        interface=track.origin.interface,
        secure_port=member.secure_port if member else -1,
        udp_port=member.udp_port if member else -1,
        ttl=track.origin.ttl,
        oddities=tuple(oddity.value for oddity in member.oddities) if member and member.oddities else (),
        first_heartbeat=track.first_heard + offset if heard else None,
        last_heartbeat=track.last_heard + offset if heard else None,
        age_seconds=now - track.last_heard if heard else None,
        start=track.last_heard + offset - track.alive_ms / 1000
        if heard and 0 <= track.alive_ms < EPOCH_LIKE_MS
        else None,
        alive_ms=track.alive_ms,
        heartbeats=track.heartbeats,
        heartbeats_lost=track.lost,
        stalls=track.stalls,
        stall_seconds=track.stall_seconds,
        restarts_clean=track.restarts_clean,
        restarts_unclean=track.restarts_unclean,
        flaps=track.flaps,
        period_seconds=track.period,
        address_mismatch=track.mismatch,
        address_clash=track.clash_until > now,
        stranger=track.stranger,
        ghost=track.ghost,
        rivals=tuple(unique_id.hex() for unique_id in track.rivals) if track.rivals else (),
        receiver=_view_receiver(track, offset),
        expected_by=track.expected_by.value if track.expected_by is not None else None,
        belief=belief,
        link=_view_link(link, track, offset),
    )


_NOT_ASKED: Final = ReceiverView()


def _view_receiver(track: Track, offset: float) -> ReceiverView:
    answer = track.answer
    if answer is None:
        return ReceiverView(not_asked=track.not_asked) if track.not_asked else _NOT_ASKED
    return ReceiverView(
        check=answer.check.value,
        outcome=answer.outcome.value,
        connected=answer.connected,
        answered=answer.answered,
        asked_at=answer.asked_at + offset,
        connect_seconds=answer.connect_seconds,
        answer_seconds=answer.answer_seconds,
        checks=dict(track.checks),
        failures=tuple((*key, count) for key, count in track.failures.items()),
        not_asked=track.not_asked or None,
    )


def _view_histogram(histogram: Histogram) -> HistogramView:
    return HistogramView(list(histogram.bounds), list(histogram.counts), histogram.sum)


def _view_verdict(judge: Judge, offset: float) -> VerdictView:
    verdict = judge.verdict
    return VerdictView(
        state=verdict.state.value,
        since=verdict.since + offset,
        sentence=verdict.sentence(clock_text(offset)),
        alive=verdict.alive,
        wanted=verdict.wanted,
        counts={state.value: count for state, count in verdict.counts.items()},
    )


def _expected(rules: Rules, learning: Learning) -> int:
    learned = {one.member for one in learning.members(rules.domain)}
    return max(rules.expected_count, len(rules.expected | rules.static | learned))


def _incarnations(track: Track, now: float, rules: Rules) -> list[bytes]:
    """Return every unique id heard on the address within dropTime: more than one in a clash."""
    if track.clash_until <= now:
        return [track.unique_id]
    live = [rival for rival, heard in track.rivals.items() if now - heard < rules.drop_time]
    return [track.unique_id, *live]


def _hash(names: Iterable[str]) -> int:
    """Return the first 48 bits of SHA-256 over the sorted names, joined by newlines."""
    return int.from_bytes(hashlib.sha256("\n".join(sorted(names)).encode()).digest()[:6], "big")
