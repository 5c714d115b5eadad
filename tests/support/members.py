"""Tomcats as the wire shows them, and a vantage that hears them: all time is handed in."""

from collections.abc import Iterable

import msgspec

from probe.model.events import Event, Kind
from probe.model.evidence import Answer, Check, Outcome
from probe.model.membership import Membership
from probe.model.rules import Rules
from probe.model.track import NOWHERE, Origin, Track
from probe.model.watch import Watch
from protocols.heartbeat import EPOCH_LIKE_MS, GOODBYE, Heartbeat, Member, encode

PERIOD = 0.5
CLUSTER_KINDS = frozenset(
    {Kind.WHOLE, Kind.DEGRADED, Kind.LATENT_SPLIT, Kind.ASYMMETRIC, Kind.SPLIT, Kind.DEAF, Kind.DOWN}
    | {Kind.MERGING, Kind.MERGED, Kind.EMPTY, Kind.UNKNOWN}
)


class Node:
    """One process of a Tomcat: 10.0.0.n:4000, with its own clock, born at a time of the story."""

    def __init__(self, number: int = 1, born: float = 0.0, incarnation: int = 0, **fields: bytes | int) -> None:
        self.number = number
        self.born = born
        self.incarnation = incarnation
        self.fields = fields
        unique_id = number.to_bytes(8) + incarnation.to_bytes(8)
        host = bytes((10, 0, number >> 8, number & 255))
        self.member = msgspec.structs.replace(Member(host, 4000, unique_id), **fields)
        self.name = self.member.name
        self.address = self.member.address
        self.clock = 0.0

    @classmethod
    def of(cls, member: Member) -> "Node":
        """Make one that announces this very member block."""
        node = cls()
        node.member, node.name, node.address = member, member.name, member.address
        return node

    def beat(self, at: float) -> Heartbeat:
        """Say what it sends at a time."""
        return Heartbeat(self.member, round((at - self.born + self.clock) * 1000))

    def goodbye(self, at: float) -> Heartbeat:
        """Say its goodbye."""
        return Heartbeat(msgspec.structs.replace(self.member, command=GOODBYE), self.beat(at).alive_ms)

    def recovered(self, at: float) -> Heartbeat:
        """Say what it sends after McastService's recovery: its alive time is a wall clock."""
        return Heartbeat(self.member, 1700 * 10**9 + round(at * 1000))

    def again(self, born: float) -> "Node":
        """Start it anew under a new unique id."""
        return Node(self.number, born, self.incarnation + 1, **self.fields)


def answer(outcome: Outcome, at: float, check: Check = Check.ACK) -> Answer:
    """Answer a question put at a time."""
    connected, answered = outcome is not Outcome.REFUSED, outcome is Outcome.ANSWERED
    return Answer(at, check, outcome, 0.001 if connected else None, 0.002 if answered else None)


class Hearing:
    """A membership alone; what is told gathers in ``told``. Silence speaks at its exact deadline."""

    def __init__(self, rules: Rules | None = None) -> None:
        self.membership = Membership(rules or Rules())
        self.told: list[Event] = []

    def until(self, now: float) -> None:
        """Let the silence until a time speak."""
        while (at := self.membership.deadline()) is not None and at <= now:
            self.told += self.membership.tick(at)

    def hear(self, heartbeat: Heartbeat, at: float, origin: Origin = NOWHERE) -> list[Event]:
        """Hear one datagram."""
        self.until(at)
        events = self.membership.hear(heartbeat, at, origin)
        self.told += events
        return events

    def beats(self, node: Node, times: Iterable[float], origin: Origin = NOWHERE) -> None:
        """Hear heartbeats at these times."""
        for at in times:
            self.hear(node.beat(at), at, origin)

    def take(self, node: Node, outcome: Outcome, at: float, check: Check = Check.ACK) -> list[Event]:
        """Take how the node's receiver took a question."""
        self.until(at)
        events = self.membership.take(node.address, answer(outcome, at, check), at)
        self.told += events
        return events

    def track(self, node: Node) -> Track:
        """Return what is known of a node's address."""
        track = self.membership.get(node.address)
        assert track is not None
        return track

    def kinds(self, *, without: frozenset[Kind] = frozenset()) -> list[Kind]:
        """Return what was told, in order."""
        return [event.kind for event in self.told if event.kind not in without]

    def one(self, kind: Kind) -> Event:
        """Return the only event of a kind."""
        [event] = [event for event in self.told if event.kind is kind]
        return event


class Vantage:
    """A watch that hears bytes; told by the second, fit from the first second unless said otherwise."""

    def __init__(self, rules: Rules | None = None, *, fit: bool = True) -> None:
        self.watch = Watch(rules or Rules(), 0.0)
        if fit:
            self.watch.fitness.calm = 0.0
            self.watch.fitness._until.clear()
        self.told: list[Event] = []

    def until(self, now: float) -> None:
        """Let the silence until a time speak."""
        while (at := self.watch.deadline()) is not None and at <= now:
            self.told += self.watch.tick(at)

    def hear(self, heartbeat: Heartbeat, at: float, origin: Origin = NOWHERE) -> None:
        """Hear one datagram."""
        self.until(at)
        self.told += self.watch.receive([(encode(heartbeat), at, origin)])

    def beats(self, nodes: Iterable[Node], start: float, end: float, period: float = PERIOD) -> None:
        """Hear each of some nodes once a period, from one time up to another (not included)."""
        nodes = list(nodes)
        for n in range(round((end - start) / period)):
            for node in nodes:
                at = start + n * period + node.number * 0.001
                self.hear(node.beat(at), at)
        self.until(end)

    def take(self, node: Node, outcome: Outcome, at: float, check: Check = Check.ACK) -> None:
        """Take how the node's receiver took a question."""
        self.until(at)
        self.told += self.watch.take(node.address, answer(outcome, at, check), at)

    @property
    def states(self) -> list[Kind]:
        """Return the changes of the cluster's state, in order."""
        return [event.kind for event in self.told if event.kind in CLUSTER_KINDS]

    @property
    def state(self) -> str:
        """Return the cluster's state."""
        return self.watch.judge.verdict.state.value

    def of(self, node: Node) -> str:
        """Return a member's state."""
        track = self.watch.membership.get(node.address)
        assert track is not None
        return track.state().value

    def said(self) -> str:
        """Return the evidence in force, times as plain seconds."""
        return self.watch.judge.verdict.evidence(lambda at: f"{at:.1f}")


__all__ = ["CLUSTER_KINDS", "EPOCH_LIKE_MS", "PERIOD", "Hearing", "Node", "Vantage", "answer"]
