"""A capture through the same model that watches live, under the capture's own clock."""

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from probe.decode import clock
from probe.model.events import Event
from probe.model.rules import Rules
from probe.model.track import Origin
from probe.model.views import clock_text
from probe.model.watch import Watch
from protocols.heartbeat import address_name, is_heartbeat
from protocols.packet import Datagram, dissect
from protocols.pcap import Packet

Group = tuple[bytes, int]
"""A group's packed address and port."""

MOST_GROUPS: Final = 64
"""Groups watched at once; heartbeats on any other are passed over."""
_MOST_ORIGINS: Final = 65_536


class Replay:
    """Watches the groups of a capture: those named, or else each on which a heartbeat is seen.

    Receivers cannot be asked in a capture, so silence stays ``silent``. Silence speaks at its exact deadline,
    as it would live; the story ends with the last packet.
    """

    def __init__(self, rules: Rules, groups: Iterable[Group] = ()) -> None:
        self.rules = msgspec.structs.replace(rules, asks=False)
        self.watches: dict[Group, Watch] = {}
        self._named = frozenset(groups)
        self._origins: dict[tuple[bytes, int], Origin] = {}
        self._started: float | None = None
        self.now = 0.0

    def play(self, packets: Iterable[Packet]) -> Iterator[Event]:
        """Yield what happens, in order of time; may be called again with a later capture."""
        for packet in packets:
            self._begin(packet.at)
            self.now = max(self.now, packet.at)
            content = dissect(packet)
            if isinstance(content, Datagram) and (watch := self._watch(content)) is not None:
                yield from self._tick()
                yield from watch.receive([(content.payload, self.now, self._origin(content))])

    def finish(self) -> Iterator[Event]:
        """Yield what the silence until the last packet means, and judge for the last time."""
        if not self.watches:
            self._open(_DEFAULT)
        yield from self._tick()
        for watch in self.watches.values():
            yield from watch.assess(self.now)

    def _begin(self, at: float) -> None:
        if self._started is None:
            self._started = self.now = at
            for group in sorted(self._named):
                self._open(group)

    def _open(self, group: Group) -> Watch:
        rules = msgspec.structs.replace(self.rules, name=address_name(*group))
        watch = self.watches[group] = Watch(rules, self._started or 0.0)
        return watch

    def _watch(self, datagram: Datagram) -> Watch | None:
        group = (datagram.destination, datagram.destination_port)
        watch = self.watches.get(group)
        if watch is not None or self._named or len(self.watches) >= MOST_GROUPS:
            return watch
        found = is_heartbeat(datagram.payload) and _is_multicast(datagram.destination)
        return self._open(group) if found else None

    def _tick(self) -> Iterator[Event]:
        """Let every silence before now speak, the earliest first."""
        while True:
            due = [(at, watch) for watch in self.watches.values() if (at := watch.deadline()) is not None]
            at, watch = min(due, key=lambda pair: pair[0], default=(float("inf"), None))
            if watch is None or at > self.now:
                return
            yield from watch.tick(at)

    def _origin(self, datagram: Datagram) -> Origin:
        """Return the same object for the same place: the model compares identity."""
        key = (datagram.source, datagram.ttl)
        origin = self._origins.get(key)
        if origin is None:
            if len(self._origins) >= _MOST_ORIGINS:
                self._origins.clear()
            origin = self._origins[key] = Origin(datagram.source, "", datagram.ttl)
        return origin


def describe_event(event: Event) -> dict[str, Any]:
    """Return one line of ``replay --json``; its time is unix time, the event's own values stand beside."""
    return {
        "time": round(event.at, 6),
        "event": event.kind.value,
        "group": event.group,
        "member": event.member,
        "unique_id": event.unique_id,
        "text": event.say(_TIME_OF_DAY),
        "fit": event.fit,
        **event.values,
    }


def event_text(event: Event) -> str:
    """Say an event in one line."""
    text, kind = event.say(_TIME_OF_DAY), event.kind.value
    return (
        f"{clock(event.at)} {text}"
        if text.startswith(f"{kind} since ")
        else f"{clock(event.at)} {kind}: {text}"
    )


def describe_verdict(watch: Watch, now: float) -> dict[str, Any]:
    """Return the last line of ``replay --json``: one group's verdict and its members' states."""
    verdict = watch.judge.verdict
    fit = not watch.fitness.reasons(now)
    return {
        "verdict": verdict.state.value,
        "members": {track.name: track.state(fit=fit).value for track in watch.membership},
        "group": watch.rules.name,
        "since": round(verdict.since, 6),
        "sentence": verdict.sentence(_TIME_OF_DAY),
    }


def verdict_text(watch: Watch, now: float) -> str:
    """Say a group's verdict, and below it each member's state."""
    found = describe_verdict(watch, now)
    members = [f"  {name} {state}" for name, state in found["members"].items()]
    return "\n".join([f"{found['group']}: {found['sentence']}", *members])


def read_group(text: str) -> Group:
    """Read "228.0.0.4:45564" or "[ff02::1]:45564"; without a port it is 45564. Raises ValueError."""
    host, colon, port = text.rpartition(":") if "]" in text or text.count(":") == 1 else (text, "", "")
    if text.endswith("]"):
        host, colon, port = text, "", ""
    address = ipaddress.ip_address(host.strip("[]"))
    if not address.is_multicast:
        raise ValueError(f"{address} is not a multicast address")
    number = int(port) if colon else _TOMCAT_PORT
    if not 0 < number < 1 << 16:
        raise ValueError(f"port {number} is not between 1 and 65535")
    return address.packed, number


_TIME_OF_DAY: Final = clock_text(0.0)
"""As a live probe writes it in the same sentence."""
_TOMCAT_PORT: Final = 45564
_DEFAULT: Final = (bytes((228, 0, 0, 4)), _TOMCAT_PORT)


def _is_multicast(address: bytes) -> bool:
    return address[0] >> 4 == 0xE if len(address) == 4 else address[0] == 0xFF  # noqa: PLR2004  # IPv4, IPv6
