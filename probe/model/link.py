"""To whom this host's Tomcat really replicates: its TCP connections to receivers, and what they say of members.

A connection on which the kernel has to repeat itself is broken, whatever the heartbeats say: with asynchronous
sends no Tomcat logs a line of it. None at all says nothing: a node that has not sent a session yet has none.
"""

from collections.abc import Iterable, Mapping
from enum import IntEnum, StrEnum
from typing import Final

import msgspec

from probe.model.events import Event, Kind
from probe.model.presence import HEARD, Presence
from probe.model.track import Track

STUCK_AFTER: Final = 2
"""Times in a row that the kernel repeats itself before an open connection counts as stuck: about 0.6 s."""
HOLD: Final = 30.0
"""seconds for which a link is broken after its last stuck connection, unless one is seen to work."""
MOST_STRANGERS: Final = 16
"""Addresses without a member that are named."""


class TcpState(IntEnum):
    """The states that are looked at, by the kernel's numbers."""

    ESTABLISHED = 1
    SYN_SENT = 2
    FIN_WAIT1 = 4
    CLOSE_WAIT = 8
    LAST_ACK = 9
    LISTEN = 10
    CLOSING = 11


class Connection(msgspec.Struct, frozen=True):
    """One TCP socket of this host; both ends as members are named.

    ``send_queue`` in bytes not acknowledged, ``retransmits`` in a row and ``all_retransmits`` since it is open,
    ``round_trip`` in seconds, ``acked`` in bytes. ``user`` and ``inode`` tell whose it is.
    """

    local: str
    remote: str
    state: TcpState
    user: int = 0
    inode: int = 0
    send_queue: int = 0
    retransmits: int = 0
    all_retransmits: int = 0
    round_trip: float = 0.0
    acked: int = 0

    @property
    def stuck(self) -> bool:
        """Whether the other end does not answer the kernel."""
        return self.retransmits >= (1 if self.state is TcpState.SYN_SENT else STUCK_AFTER)


class LinkState(StrEnum):
    """What the connections to a member say."""

    UP = "up"
    BROKEN = "broken"
    NONE = "none"


class Finding(StrEnum):
    """What a link shows when it is held against what is heard."""

    UNHEARD = "unheard"
    GHOST = "ghost"
    STUCK = "stuck"


class Link:
    """All connections between this host and one member; counts go on where connections end."""

    __slots__ = ("acked", "incoming", "name", "opening", "outgoing", "retransmits", "round_trip", "send_queue",
                 "since", "state", "stuck_at")  # fmt: skip

    def __init__(self, name: str, now: float) -> None:
        self.name = name
        self.state = LinkState.NONE
        self.since = now
        self.stuck_at: float | None = None
        self.outgoing = self.incoming = self.opening = self.send_queue = 0
        self.retransmits = self.acked = 0
        self.round_trip: float | None = None

    def look(self, outgoing: list[Connection], incoming: int, now: float) -> None:
        """Take the connections that there are now."""
        established = [one for one in outgoing if one.state is TcpState.ESTABLISHED]
        self.outgoing, self.incoming = len(established), incoming
        self.opening = sum(one.state is TcpState.SYN_SENT for one in outgoing)
        self.send_queue = sum(one.send_queue for one in outgoing if one.state is not TcpState.SYN_SENT)
        self.round_trip = max((one.round_trip for one in established), default=None)
        if any(one.stuck for one in outgoing):
            self.stuck_at = now
        elif established or (self.stuck_at is not None and now - self.stuck_at > HOLD):
            self.stuck_at = None
        state = LinkState.UP if established else LinkState.NONE
        state = LinkState.BROKEN if self.stuck_at is not None else state
        if state is not self.state:
            self.state, self.since = state, now

    def finding(self, track: Track | None) -> Finding | None:
        """Return what it shows of a member as it is heard here."""
        if self.state is LinkState.BROKEN:
            return Finding.STUCK if track is not None and track.presence in HEARD else None
        if self.state is LinkState.NONE or track is None:
            return None
        if track.presence not in HEARD and track.presence is not Presence.UNHEARD:
            return Finding.UNHEARD
        return Finding.GHOST if track.ghost else None


_Key = tuple[str, str, int]


class Links:
    """One group's links; ``take`` is given all of this host's sockets whose port may be a receiver's."""

    def __init__(self) -> None:
        self.links: dict[str, Link] = {}
        self.strangers: tuple[str, ...] = ()
        self.why = "it was not looked yet"
        self._seen: dict[_Key, tuple[int, int]] | None = None

    def fail(self, why: str) -> None:
        """Take that the kernel does not say."""
        self.why = why
        self.links, self.strangers, self._seen = {}, (), None

    def take(
        self, group: str, connections: Iterable[Connection], members: Mapping[str, Track], now: float
    ) -> list[Event]:
        """Take the sockets that there are now; return what changed. Only a host with a receiver has links."""
        connections = list(connections)
        receivers = [one for one in connections if one.state is TcpState.LISTEN]
        if not receivers:
            self.fail("no receiver listens on this host")
            return []
        self.why = ""
        outgoing, incoming = _sorted(connections, receivers)
        known = {name for name in outgoing if name in members}
        self.strangers = tuple(sorted(outgoing.keys() - known))[:MOST_STRANGERS]
        events: list[Event] = []
        for name in known | self.links.keys() | _hosts(incoming, members):
            if name in members:
                events += self._look(group, name, outgoing.get(name, []), incoming, members[name], now)
            else:
                del self.links[name]
        self._count(outgoing)
        return events

    def _look(
        self,
        group: str,
        name: str,
        outgoing: list[Connection],
        incoming: Mapping[str, int],
        track: Track,
        now: float,
    ) -> list[Event]:
        link = self.links.setdefault(name, Link(name, now))
        before = link.state
        link.look(outgoing, incoming.get(_host(name), 0), now)
        if link.state is LinkState.BROKEN is not before:
            text = f"{name} takes nothing from this host's Tomcat: {_trouble(outgoing)}"
            return [_event(Kind.LINK_BROKEN, group, text, track, now)]
        if before is LinkState.BROKEN is not link.state:
            text = f"{name} is no longer seen to take nothing from this host's Tomcat"
            return [_event(Kind.LINK_MENDED, group, text, track, now)]
        return []

    def _count(self, outgoing: Mapping[str, list[Connection]]) -> None:
        """Add what is new since the last look; a connection that ended in between takes its last with it."""
        before, self._seen = self._seen, {}
        for name, connections in outgoing.items():
            link = self.links.get(name)
            for one in connections:
                key = one.local, one.remote, one.inode
                self._seen[key] = one.all_retransmits, one.acked
                if link is not None and before is not None:  # what was before the first look is not counted
                    retransmits, acked = before.get(key, (0, 0))
                    link.retransmits += max(0, one.all_retransmits - retransmits)
                    link.acked += max(0, one.acked - acked)


def _sorted(
    connections: Iterable[Connection], receivers: Iterable[Connection]
) -> tuple[dict[str, list[Connection]], dict[str, int]]:
    """Return who is sent to, by name, and how many come in, by host; of the receivers' own users only."""
    users = {one.user for one in receivers}
    ports = {_port(one.local) for one in receivers}
    outgoing: dict[str, list[Connection]] = {}
    incoming: dict[str, int] = {}
    for one in connections:
        if one.state is TcpState.LISTEN or one.user not in users:
            continue
        if _port(one.local) in ports:
            incoming[_host(one.remote)] = incoming.get(_host(one.remote), 0) + 1
        else:
            outgoing.setdefault(one.remote, []).append(one)
    return outgoing, incoming


def _hosts(incoming: Mapping[str, int], members: Iterable[str]) -> set[str]:
    """Return the members from whose host connections come in; of two on one host it is not known whose."""
    by_host: dict[str, list[str]] = {}
    for name in members if incoming else ():
        by_host.setdefault(_host(name), []).append(name)
    return {names[0] for host, names in by_host.items() if host in incoming and len(names) == 1}


def _trouble(outgoing: Iterable[Connection]) -> str:
    opening = sum(one.state is TcpState.SYN_SENT for one in outgoing)
    if opening:
        return f"{opening} connections are not answered (SYN-SENT)"
    stuck = [one for one in outgoing if one.stuck]
    queue, times = sum(one.send_queue for one in stuck), max((one.retransmits for one in stuck), default=0)
    return f"{queue} bytes wait, sent {times} times again without an answer"


def _event(kind: Kind, group: str, text: str, track: Track, now: float) -> Event:
    return Event(now, kind, group, text, member=track.name, unique_id=track.unique_id.hex())


def _host(name: str) -> str:
    return name.rpartition(":")[0]


def _port(name: str) -> str:
    return name.rpartition(":")[2]
