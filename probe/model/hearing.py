"""Who hears whom: what several places see becomes losses, deaf places and sides."""

import ipaddress
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from probe.model.sight import MemberSight, Role, Vantage

MOST_KINDS: Final = 256
"""Kinds of members (heard and lacked at the same places) that sides are made of; the rarest are left out."""


class Loss(msgspec.Struct, frozen=True, gc=False):
    """A member that lives and is not heard at a place: since when, last heard there (model's clock).

    ``answers`` tells whether its receiver answers there; ``back`` whether the other way works: whether
    the member's own side hears those for whom the place stands (None: not known).
    """

    member: str
    place: str
    since: float
    last_heard: float | None
    answers: bool | None
    back: bool | None = None


class Side(msgspec.Struct, frozen=True, gc=False):
    """Members that hear each other and not the other sides; ``places`` are those that prove it."""

    domain: str
    members: tuple[str, ...]
    places: tuple[str, ...]


class Place:
    """A vantage that may judge; ``since`` is when it began to do so without a break."""

    def __init__(self, vantage: Vantage, since: float) -> None:
        sight = vantage.sight
        assert sight is not None  # noqa: S101  # only usable vantages become places
        self.name, self.role, self.at, self.since = vantage.name, vantage.role, vantage.at, since
        self.says = sight.verdict.state
        self.members: dict[str, MemberSight] = {one.member: one for one in sight.members}
        self.heard = {name for name, one in self.members.items() if one.up and one.age_seconds is not None}
        interfaces = [interface for text in sight.addresses if (interface := _interface(text)) is not None]
        self.hosts = {interface.ip for interface in interfaces}
        self._networks = [interface.network for interface in interfaces]

    def beside(self, hosts: Iterable["_Host"]) -> bool:
        """Whether one of these hosts is this place's own."""
        return any(host in self.hosts for host in hosts)

    def minds(self, member: str, hosts: Collection["_Host"]) -> bool:
        """Whether its silence about a member means anything.

        Not about its own host's members: localLoopbackDisabled silences them there, and only there. And only
        about who was heard here, is expected here, or lives on a network of this place: the same group on
        another segment is another cluster.
        """
        if self.role is Role.REMOTE or self.beside(hosts):
            return False
        seen = self.members.get(member)
        if seen is not None and (seen.expected or seen.age_seconds is not None):
            return True
        return any(host in network for host in hosts for network in self._networks)

    def last_heard(self, member: str) -> float | None:
        """Return when it last heard a member (model's clock)."""
        seen = self.members.get(member)
        return self.at - seen.age_seconds if seen is not None and seen.age_seconds is not None else None


_Host = ipaddress.IPv4Address | ipaddress.IPv6Address


def _interface(text: str) -> ipaddress.IPv4Interface | ipaddress.IPv6Interface | None:
    try:
        return ipaddress.ip_interface(text)
    except ValueError:
        return None


def host_of(member: str) -> _Host | None:
    """Return the host of "10.0.0.1:4000"."""
    return _address(member.rpartition(":")[0].strip("[]"))


def _address(text: str) -> _Host | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def hosts_of(member: str, places: Iterable[Place]) -> set[_Host]:
    """Return where a member lives: as it announces, and as its datagrams come from."""
    found = {host_of(member)}
    found |= {_address(place.members[member].source) for place in places if member in place.heard}
    return {host for host in found if host is not None}


def find_losses(places: Sequence[Place], alive: Mapping[str, float]) -> list[Loss]:
    """Return who is not heard where; ``alive`` maps whoever is heard anywhere to since when it is, unbroken."""
    losses = []
    for place in places:
        for member in sorted(alive.keys() - place.heard):
            if place.minds(member, hosts_of(member, places)):
                last, seen = place.last_heard(member), place.members.get(member)
                since = max(alive[member], place.since, last if last is not None else place.since)
                losses.append(Loss(member, place.name, since, last, seen.answers if seen else None))
    return losses


def find_deaf(places: Sequence[Place], losses: Iterable[Loss]) -> dict[str, float]:
    """Return the places that hear no other host, and since when, though what they lack is heard elsewhere.

    One that hears its own host's members is deaf only if nobody else misses these (else they are cut off), and
    if it lacks several hosts (one alone may be at fault itself).
    """
    lacking: defaultdict[str, list[Loss]] = defaultdict(list)
    missed = set()
    for loss in losses:
        lacking[loss.place].append(loss)
        missed.add(loss.member)
    deaf = {}
    for place in places:
        lacked = lacking.get(place.name)
        if not lacked or any(not place.beside(hosts_of(member, places)) for member in place.heard):
            continue
        elsewhere = set[str]().union(*(other.heard for other in places if other is not place))
        several = len({host_of(loss.member) for loss in lacked}) > 1
        if not place.heard or (several and place.heard <= elsewhere - missed):
            last = [loss.last_heard for loss in lacked if loss.last_heard is not None]
            deaf[place.name] = max([min(loss.since for loss in lacked), *last])
    return deaf


class Hearing:
    """Which members hear which, as far as the places that stand for them tell.

    A ``local`` place stands for its host's members, whoever hears them; members without one are stood for
    by every place that hears them, unless it is remote.
    """

    def __init__(self, places: Sequence[Place], losses: Sequence[Loss]) -> None:
        self._lacked: defaultdict[str, set[str]] = defaultdict(set)
        for loss in losses:
            self._lacked[loss.member].add(loss.place)
        self._local: dict[_Host, frozenset[str]] = {}
        for place in places:
            if place.role is Role.LOCAL:
                for host in place.hosts:
                    self._local[host] = self._local.get(host, frozenset()) | {place.name}
        heard: defaultdict[str, set[str]] = defaultdict(set)
        domains: dict[str, str] = {}
        for place in places:
            for member in place.heard:
                heard[member].add(place.name)
                domains.setdefault(member, place.members[member].domain)
        speaking = {place.name for place in places if place.role is not Role.REMOTE}
        self._kinds: dict[_Kind, list[str]] = defaultdict(list)
        for member, at in heard.items():
            self._kinds[self._kind(member, domains[member], at, speaking)].append(member)
        self.kind_of = {member: kind for kind, members in self._kinds.items() for member in members}

    def _kind(self, member: str, domain: str, heard: set[str], speaking: set[str]) -> "_Kind":
        host = host_of(member) if self._local else None
        stands = self._local.get(host, frozenset()) if host is not None else frozenset[str]()
        lacked = frozenset(self._lacked.get(member, ()))
        return _Kind(domain, stands or frozenset(heard & speaking), frozenset(heard), lacked)

    def back(self, loss: Loss) -> bool | None:
        """Whether the lost member's side hears those for whom the losing place stands."""
        lost = self.kind_of[loss.member]
        ways = [lost.hears(kind) for kind in self._kinds if loss.place in kind.stands and kind is not lost]
        if not ways or False in ways:
            return False if ways else None
        return None if None in ways else True

    def sides(self) -> list[Side]:
        """Return the sides of every domain that has at least two, the largest first; else nothing."""
        kinds = sorted(self._kinds, key=lambda kind: (-len(self._kinds[kind]), kind.domain, self._kinds[kind]))
        found = []
        for domain in sorted({kind.domain for kind in kinds}):
            parts = _parts([kind for kind in kinds[:MOST_KINDS] if kind.domain == domain])
            if len(parts) > 1:
                found += [self._side(domain, part, parts) for part in parts]
        return sorted(found, key=lambda side: (side.domain, -len(side.members), side.members))

    def _side(self, domain: str, part: list["_Kind"], parts: list[list["_Kind"]]) -> Side:
        members = sorted(member for kind in part for member in self._kinds[kind])
        stand = frozenset[str]().union(*(kind.stands for kind in part))
        miss = frozenset[str]().union(*(kind.lacked for other in parts if other is not part for kind in other))
        return Side(domain, tuple(members), tuple(sorted(stand & miss)))


class _Kind(msgspec.Struct, frozen=True, gc=False):
    """Members alike: of one domain, stood for, heard and lacked by the same places."""

    domain: str
    stands: frozenset[str]
    heard: frozenset[str]
    lacked: frozenset[str]

    def hears(self, other: "_Kind") -> bool | None:
        if self.stands & other.heard:
            return True
        return False if self.stands and self.stands <= other.lacked else None


def _parts(kinds: list[_Kind]) -> list[list[_Kind]]:
    """Return the parts of the graph of mutual hearing; who is lost one way only stays with a side."""
    sides: list[list[_Kind]] = []
    for part in _components(kinds):
        side = next((side for side in sides if not _apart(side, part)), None)
        if side is None:
            sides.append(part)
        else:
            side += part
    return sides


def _apart(side: list[_Kind], other: list[_Kind]) -> bool:
    """Whether members of the two do not hear each other, both ways."""
    return any(a.hears(b) is False and b.hears(a) is False for a in side for b in other)


def _components(kinds: list[_Kind]) -> list[list[_Kind]]:
    """Return who is connected, where no way is disproved."""
    parts: list[list[_Kind]] = []
    for kind in kinds:
        near = [
            part
            for part in parts
            if any(kind.hears(one) is not False and one.hears(kind) is not False for one in part)
        ]
        parts = [part for part in parts if part not in near]
        parts.append([kind, *(one for part in near for one in part)])
    return sorted(parts, key=len, reverse=True)
