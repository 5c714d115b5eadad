"""Every metric: name, help, labels; projected from one view at each scrape: nothing outlives its member.

Samples are made while they are written: ten thousand members are a quarter of a million lines.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from ipaddress import ip_interface
from itertools import accumulate
from typing import Any, Final

from prometheus_client import GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.samples import Sample

from probe.model.belief import Finding
from probe.model.canary import State
from probe.model.evidence import MemberState
from probe.model.fitness import Unfit
from probe.model.link import LinkState
from probe.model.verdict import ClusterState
from probe.model.views import GroupView, HistogramView, MemberView, ProbeView, SessionView

Labels = dict[str, str]
Rows = Iterable[tuple[str, Labels, float]]
"""Name suffix ("_total"), labels, value."""


class Projected(Metric):
    """A metric family whose samples are made each time they are read."""

    def __init__(self, name: str, kind: str, text: str, rows: Callable[[], Rows]) -> None:
        self._rows = rows
        super().__init__(name, text, kind)

    @property  # type: ignore[override]  # the writers only ever iterate
    def samples(self) -> Iterator[Sample]:
        """Yield them."""
        return (Sample(self.name + suffix, labels, value) for suffix, labels, value in self._rows())

    @samples.setter
    def samples(self, _: object) -> None:
        """Take the empty list that the parent class begins with, and drop it."""


Family = tuple[str, str, str]
"""Name, type, help."""

_Pairs = Iterable[tuple[Labels, float]]

PROBE: Final[dict[Family, Callable[[ProbeView], _Pairs]]] = {
    ("tribes_probe_fit", "gauge", "0 with the reason while the probe must not judge."): lambda view: (
        ({"reason": reason.value}, reason.value not in view.unfit) for reason in Unfit
    ),
    ("tribes_probe_loop_lag_seconds", "gauge", "How late the event loop last was."): lambda view: [
        ({}, view.loop_lag_seconds)
    ],
    (
        "tribes_probe_config_last_reload_successful",
        "gauge",
        "1 when the last reload of the settings succeeded.",
    ): lambda view: [({}, view.reload.successful)],
    (
        "tribes_probe_config_last_reload_success_timestamp_seconds",
        "gauge",
        "When the settings in force were read.",
    ): lambda view: [({}, view.reload.succeeded_at)],
    ("tribes_probe_build", "info", "What this probe is made of."): lambda view: [
        ({"version": view.build.version, "python": view.build.python, "loop": view.build.loop}, 1)
    ],
}

GROUP: Final[dict[Family, Callable[[GroupView], _Pairs]]] = {
    ("tribes_group_joined", "gauge", "1 while the multicast join holds."): lambda group: (
        ({"interface": interface}, joined) for interface, joined in group.joined.items()
    ),
    ("tribes_group", "info", "Settings in force."): lambda group: [
        (
            {
                "address": group.address,
                "port": str(group.port),
                "frequency_seconds": _number(group.frequency_seconds),
                "drop_time_seconds": _number(group.drop_time_seconds),
            },
            1,
        )
    ],
    ("tribes_group_network", "info", "A network of the interfaces it listens on."): lambda group: (
        ({"network": network}, 1) for network in sorted({_network(one) for one in group.addresses})
    ),
    ("tribes_group_drop_time_seconds", "gauge", "dropTime in force."): lambda group: [
        ({}, group.drop_time_seconds)
    ],
    ("tribes_group_fit", "gauge", "1 while this vantage may judge the group."): lambda group: [({}, group.fit)],
    ("tribes_datagrams", "counter", "Datagrams received on the group."): lambda group: (
        ({"kind": kind}, count) for kind, count in group.datagrams.items()
    ),
    (
        "tribes_datagrams_malformed",
        "counter",
        "Datagrams refused, and what a Tomcat would suffer from them.",
    ): lambda group: (
        ({"reason": reason, "effect": effect}, count) for reason, effect, count in group.malformed
    ),
    ("tribes_receive_buffer_bytes", "gauge", "Socket buffer granted by the kernel."): lambda group: [
        ({}, group.receive_buffer)
    ],
    ("tribes_receive_drops", "counter", "Datagrams lost in this host's own socket buffer."): lambda group: [
        ({}, group.receive_drops)
    ],
    (
        "tribes_members_overflow",
        "counter",
        "Datagrams of members not tracked: too many of them, or too fast.",
    ): lambda group: [({}, group.overflow)],
    ("tribes_events", "counter", "Things that happened, in the words of the log."): lambda group: (
        ({"kind": kind}, count) for kind, count in group.events.items()
    ),
    ("tribes_cluster_state", "gauge", "1 for the state the cluster is in."): lambda group: (
        ({"state": state.value}, group.verdict.state == state.value) for state in ClusterState
    ),
    (
        "tribes_vantages_state",
        "gauge",
        "1 for the state that this probe and its peers see together; none without peers.",
    ): lambda group: (
        ({"state": state.value}, group.together.state == state.value)
        for state in ClusterState
        if group.together is not None
    ),
    ("tribes_cluster_members", "gauge", "Members per state."): lambda group: (
        ({"state": state.value}, group.verdict.counts.get(state.value, 0)) for state in MemberState
    ),
    (
        "tribes_cluster_members_expected",
        "gauge",
        "Members expected, by the settings or learned.",
    ): lambda group: [({}, group.expected)],
    (
        "tribes_members_not_learned",
        "counter",
        "Members that were up for long enough and found no room among the learned.",
    ): lambda group: [({}, group.not_learned)],
    (
        "tribes_probe_state_saved",
        "gauge",
        "1 while who was learned is safe on disk; none where nothing is to be kept.",
    ): lambda group: [] if group.state_saved is None else [({}, group.state_saved)],
    ("tribes_view_members", "gauge", "Members up in this vantage's view."): lambda group: [
        ({}, sum(member.up for member in group.members))
    ],
    (
        "tribes_view_hash",
        "gauge",
        "48 bits of SHA-256 over the members up: equal where views are equal.",
    ): lambda group: [({}, group.view_hash)],
    (
        "tribes_view_incarnation_hash",
        "gauge",
        "The same over the members up and their unique ids.",
    ): lambda group: [({}, group.view_incarnation_hash)],
}


def _network(address: str) -> str:
    return str(ip_interface(address).network)


_STATES: Final = tuple(state.value for state in MemberState)


def _known(value: float | None) -> list[tuple[Labels, float]]:
    return [] if value is None else [({}, value)]


def _receiver_up(member: MemberView) -> _Pairs:
    receiver = member.receiver
    if receiver.connected is not None:
        yield {"check": "connect"}, receiver.connected
    if receiver.answered is not None:
        yield {"check": "ack"}, receiver.answered


_FINDINGS: Final = tuple(finding.value for finding in Finding)


def _belief(member: MemberView) -> _Pairs:
    if member.belief is not None:
        found = {one.finding for one in member.belief.findings}
        for finding in _FINDINGS:
            yield {"finding": finding}, finding in found


def _link_up(member: MemberView) -> _Pairs:
    if member.link is not None and member.link.state != LinkState.NONE:
        yield {}, member.link.state == LinkState.UP


def _link(member: MemberView, field: str) -> _Pairs:
    return _known(getattr(member.link, field)) if member.link is not None else ()


MEMBER: Final[dict[Family, Callable[[MemberView], _Pairs]]] = {
    ("tribes_member_up", "gauge", "1 while a heartbeat younger than dropTime is known."): lambda m: [
        ({}, m.up)
    ],
    ("tribes_member_state", "gauge", "1 for the state the member is in."): lambda m: (
        ({"state": state}, state == m.state) for state in _STATES
    ),
    ("tribes_member", "info", "What the member says of itself."): lambda m: [
        (
            {
                "unique_id": m.unique_id,
                "domain": m.domain,
                "source": m.source,
                "interface": m.interface,
                "secure_port": str(m.secure_port),
                "udp_port": str(m.udp_port),
            },
            1,
        )
    ],
    ("tribes_member_last_heartbeat_timestamp_seconds", "gauge", "When it was last heard."): lambda m: _known(
        m.last_heartbeat
    ),
    (
        "tribes_member_last_heartbeat_age_seconds",
        "gauge",
        "How long ago it was last heard, by the monotonic clock.",
    ): lambda m: _known(m.age_seconds),
    ("tribes_member_start_timestamp_seconds", "gauge", "When it started, by its alive time."): lambda m: _known(
        m.start
    ),
    ("tribes_member_heartbeats", "counter", "Heartbeats heard."): lambda m: [({}, m.heartbeats)],
    (
        "tribes_member_heartbeats_lost",
        "counter",
        "Heartbeats missing from gaps that kept their phase.",
    ): lambda m: [({}, m.heartbeats_lost)],
    ("tribes_member_stalls", "counter", "Pauses of the sender."): lambda m: [({}, m.stalls)],
    ("tribes_member_stall_seconds", "counter", "Time the sender was paused."): lambda m: [
        ({}, m.stall_seconds)
    ],
    ("tribes_member_restarts", "counter", "New unique ids on the same address."): lambda m: [
        ({"goodbye": "yes"}, m.restarts_clean),
        ({"goodbye": "no"}, m.restarts_unclean),
    ],
    ("tribes_member_flaps", "counter", "Silent and back without a restart."): lambda m: [({}, m.flaps)],
    ("tribes_member_ttl", "gauge", "IP TTL as received."): lambda m: [({}, m.ttl)] if m.ttl >= 0 else [],
    (
        "tribes_member_address_mismatch",
        "gauge",
        "1 when the host it announces is not the source of its datagrams.",
    ): lambda m: [({}, m.address_mismatch)],
    ("tribes_member_address_clash", "gauge", "1 while two members announce this address."): lambda m: [
        ({}, m.address_clash)
    ],
    ("tribes_member_stranger", "gauge", "1 when it or its domain is not expected."): lambda m: [
        ({}, m.stranger)
    ],
    ("tribes_member_ghost", "gauge", "1 when its peers may keep an old entry of it."): lambda m: [
        ({}, bool(m.ghost))
    ],
    (
        "tribes_member_belief",
        "gauge",
        "1 while this Tomcat's own belief shows this; none while it is not read.",
    ): _belief,
    (
        "tribes_link_up",
        "gauge",
        "1 while this host's Tomcat has a working connection to it, 0 while one is stuck; none without any.",
    ): _link_up,
    ("tribes_link_send_queue_bytes", "gauge", "Sent to its receiver and not acknowledged."): lambda m: _link(
        m, "send_queue"
    ),
    ("tribes_link_round_trip_seconds", "gauge", "Round trip to it, as this host's kernel smooths it."): (
        lambda m: _link(m, "round_trip_seconds")
    ),
    ("tribes_link_retransmits", "counter", "Segments that this host had to send to it again."): (
        lambda m: _link(m, "retransmits")
    ),
    ("tribes_link_acked_bytes", "counter", "Bytes to its receiver that were acknowledged."): lambda m: _link(
        m, "acked"
    ),
    ("tribes_receiver_up", "gauge", "1 when the last question was answered."): _receiver_up,
    ("tribes_receiver_checks", "counter", "Questions put."): lambda m: (
        ({"check": check}, count) for check, count in m.receiver.checks.items()
    ),
    ("tribes_receiver_check_failures", "counter", "Questions that failed, by reason."): lambda m: (
        ({"check": check, "reason": reason}, count) for check, reason, count in m.receiver.failures
    ),
}


SESSION: Final[dict[Family, Callable[[SessionView], _Pairs]]] = {
    (
        "tribes_session_replicated",
        "gauge",
        "1 when the other node knew the last session, 0 when it did not; none while that is not known.",
    ): lambda s: [] if s.state == State.UNKNOWN else [({}, s.state == State.REPLICATED)],
    ("tribes_session_checks", "counter", "Sessions made on one node and shown to another."): lambda s: [
        ({}, s.checks)
    ],
    ("tribes_session_check_failures", "counter", "Checks that did not end well, by reason."): lambda s: (
        ({"reason": reason}, count) for reason, count in s.failures
    ),
}


class Projection(Collector):
    """Projects one view."""

    def __init__(self, view: ProbeView) -> None:
        self.view = view

    def collect(self) -> Iterator[Metric]:
        """Yield every family."""
        for family, pairs in PROBE.items():
            yield _projected(family, partial(pairs, self.view))
        for family, group_pairs in GROUP.items():
            yield _projected(family, partial(self._groups, group_pairs))
        for family, member_pairs in MEMBER.items():
            yield _projected(family, partial(self._members, member_pairs))
        for family, session_pairs in SESSION.items():
            yield _projected(family, partial(self._sessions, session_pairs))
        yield _projected(
            (
                "tribes_member_local",
                "gauge",
                "1 when it is on this probe's own host, where localLoopbackDisabled silences it.",
            ),
            self._locals,
        )
        yield _projected(
            ("tribes_peer_up", "gauge", "1 while another probe's view of the group is read."), self._peers
        )
        yield _projected(
            ("tribes_belief_up", "gauge", "1 while it is read what this Tomcat itself believes."), self._sources
        )
        yield Projected(
            "tribes_heartbeat_gap_seconds", "histogram", "Time between heartbeats of one member.", self._gaps
        )
        yield Projected(
            "tribes_receiver_check_duration_seconds", "histogram", "Time to an answer.", self._durations
        )
        yield Projected(
            "tribes_session_replication_delay_seconds",
            "histogram",
            "Time until the other node knew a session.",
            self._delays,
        )

    def _groups(self, pairs: Callable[[GroupView], _Pairs]) -> _Pairs:
        for group in self.view.groups:
            for labels, value in pairs(group):
                yield {"group": group.group, **labels}, value

    def _members(self, pairs: Callable[[MemberView], _Pairs]) -> _Pairs:
        for group in self.view.groups:
            for member in group.members:
                for labels, value in pairs(member):
                    yield {"group": group.group, "member": member.member, **labels}, value

    def _locals(self) -> _Pairs:
        for group in self.view.groups:
            own = {address.partition("/")[0] for address in group.addresses}
            for member in group.members:
                host = member.member.rpartition(":")[0].strip("[]")
                yield {"group": group.group, "member": member.member}, host in own or member.source in own

    def _sessions(self, pairs: Callable[[SessionView], _Pairs]) -> _Pairs:
        for group in self.view.groups:
            for session in group.sessions:
                for labels, value in pairs(session):
                    yield {**_between(group, session), **labels}, value

    def _peers(self) -> _Pairs:
        for group in self.view.groups:
            for peer in self.view.peers:
                watches = f"{group.address}:{group.port}" in peer.groups
                yield {"group": group.group, "peer": peer.name}, peer.up and watches

    def _sources(self) -> _Pairs:
        for group in self.view.groups:
            for source in group.beliefs:
                yield {"group": group.group, "member": source.member, "source": source.url}, source.up

    def _gaps(self) -> Rows:
        for group in self.view.groups:
            yield from _histogram({"group": group.group}, group.gaps)

    def _durations(self) -> Rows:
        for group in self.view.groups:
            for check, histogram in group.checks.items():
                yield from _histogram({"group": group.group, "check": check}, histogram)

    def _delays(self) -> Rows:
        for group in self.view.groups:
            for session in group.sessions:
                yield from _histogram(_between(group, session), session.delays)


def _between(group: GroupView, session: SessionView) -> Labels:
    return {"group": group.group, "from": session.made_on, "to": session.shown_to}


def _projected(family: Family, pairs: Callable[[], _Pairs]) -> Projected:
    name, kind, text = family
    suffix = {"counter": "_total", "info": "_info"}.get(kind, "")
    return Projected(name, kind, text, lambda: ((suffix, labels, value) for labels, value in pairs()))


def _histogram(labels: Labels, histogram: HistogramView) -> Rows:
    counts = list(accumulate(histogram.counts))
    for bound, count in zip((*histogram.bounds, float("inf")), counts, strict=True):
        yield "_bucket", {**labels, "le": _number(bound)}, count
    yield "_count", labels, counts[-1]
    yield "_sum", labels, histogram.sum


def _number(value: float) -> str:
    """Write a number as the exposition formats do."""
    return "+Inf" if value == float("inf") else repr(float(value))


class Exposition:
    """Everything a scrape shows: the projection of a view, and the client's own collectors."""

    def __init__(self) -> None:
        self._own = CollectorRegistry(auto_describe=False)
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=self._own)

    def render(self, view: ProbeView, accept: str) -> tuple[Iterator[bytes], str]:
        """Return the text, a family at a time, and its content type, as the client's Accept header asks."""
        encode, content_type = choose_encoder(accept)
        return _families(encode, (Projection(view), self._own)), content_type


_END: Final = b"# EOF\n"


def _families(encode: Callable[[Collector], bytes], collectors: Iterable[Any]) -> Iterator[bytes]:
    """Encode family by family, so that no more than one is ever held as text."""
    ended = False
    for collector in collectors:
        for family in collector.collect():
            text = encode(_One(family))
            ended = text.endswith(_END)
            yield text.removesuffix(_END)
    if ended:
        yield _END


class _One(Collector):
    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> Iterator[Metric]:
        yield self._family
