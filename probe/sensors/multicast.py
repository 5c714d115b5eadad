"""Joins a membership group and hears it, wherever it can be heard now. Never sends (invariant 1)."""

import asyncio
import contextlib
import errno
import ipaddress
import time
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from probe.config import Group
from probe.model.track import Datagram
from probe.model.views import Joined
from probe.sensors.datagrams import Datagrams
from probe.sensors.groupsocket import GroupSocket, one_interface_only
from probe.sensors.interfaces import Interface, Network
from probe.sensors.recvmmsg import BATCH

RECEIVE_BUFFER: Final = 4 * 2**20
"""bytes asked for: ten thousand heartbeats while the loop is elsewhere."""
TURN: Final = 0.005
"""seconds for which one socket is drained before the loop gets its turn again."""


class Ear(msgspec.Struct, frozen=True):
    """One socket and the datagrams that come out of it."""

    socket: GroupSocket
    datagrams: Datagrams


class Multicast:
    """One group's memberships, one per interface: on one socket, or on one each where IPv6 binds to a scope.

    ``take`` gets batches of datagrams. ``changed`` is told of every join that begins or ends to hold: the
    interface ("" when there is none at all), whether it holds, and why. Where no interface is named, it joins
    every one but loopback that carries multicast, is up and has an address of the group's family; such an
    interface is listed while it can be heard on, and for good once a datagram was heard on it.
    """

    def __init__(
        self,
        group: Group,
        take: Callable[[list[Datagram]], None],
        changed: Callable[[str, bool, str], None],
        buffer: int = RECEIVE_BUFFER,
    ) -> None:
        """Open and bind the socket; nothing is joined yet. Raises OSError."""
        self.group = group
        self.address = ipaddress.ip_address(group.address)
        self._take = take
        self._changed = changed
        self._buffer = buffer
        self._loop = asyncio.get_running_loop()
        self._ears: dict[int, Ear] = {}
        self._interfaces: dict[int, Interface] = {}
        self._memberships: set[tuple[int, int]] = set()
        self._failures: dict[str, str] = {}
        self._heard: set[str] = set()
        self._status: dict[str, bool] = {}
        self._drops_before = 0
        if not one_interface_only(self.address):
            self._ear(0)

    # -- hearing

    def _ear(self, scope: int) -> Ear:
        ear = self._ears.get(scope)
        if ear is None:
            sock = GroupSocket(self.address, self.group.port, self._buffer, scope)
            ear = self._ears[scope] = Ear(sock, Datagrams(sock.socket, self._name))
            self._loop.add_reader(sock.socket.fileno(), self._readable, ear.datagrams)
        return ear

    def _readable(self, datagrams: Datagrams) -> None:
        """Hand over what waits, but for one turn only: the loop calls again while there is more."""
        until = time.monotonic() + TURN
        while len(self._hand_over(datagrams)) == BATCH and time.monotonic() < until:
            pass

    def drain(self) -> None:
        """Hand over every datagram that has arrived until now."""
        now = time.monotonic()
        for ear in self._ears.values():
            while len(batch := self._hand_over(ear.datagrams)) == BATCH and batch[-1][1] < now:
                pass

    def _hand_over(self, datagrams: Datagrams) -> list[Datagram]:
        batch = datagrams.read()
        if batch:
            self._take(batch)
        return batch

    def _name(self, index: int) -> str:
        interface = self._interfaces.get(index)
        if interface is None:
            return f"#{index}"
        self._heard.add(interface.name)
        return interface.name

    # -- joining

    def follow(self, interfaces: Iterable[Interface]) -> None:
        """Join where the group can be heard now; tell which joins hold and which hold no more."""
        were = {interface.identity: interface.name for interface in self._interfaces.values()}
        self._interfaces = {interface.index: interface for interface in interfaces}
        there = {interface.identity: interface for interface in self._interfaces.values()}
        gone = self._memberships - there.keys()
        for identity in gone:
            self._leave(identity)
        self._failures.clear()
        for identity, interface in there.items():
            if identity not in self._memberships and self._wants(interface):
                self._join(identity, interface)
        for ear in self._ears.values():
            ear.datagrams.forget_interfaces()
        self._tell(made_anew={were[identity] for identity in gone if identity in were})

    def _wants(self, interface: Interface) -> bool:
        if self.group.interfaces:
            return any(map(interface.answers_to, self.group.interfaces))
        return interface.multicast and not interface.loopback and not self._silence(interface)

    def _silence(self, interface: Interface) -> str:
        """Say why nothing can be heard on an interface, nothing when it can."""
        if not interface.up:
            return "the interface is down"
        if not interface.running:
            return "the interface has no carrier"
        if interface.address(self.address.version) is None:
            return f"the interface has no IPv{self.address.version} address"
        return ""

    def _join(self, identity: tuple[int, int], interface: Interface) -> None:
        """Join; while an interface is down the kernel keeps its memberships, so this is done once a life."""
        try:
            self._ear(self._scope(interface.index)).socket.join(interface.index)
        except OSError as error:
            self._failures[interface.name] = _explain(error)
        else:
            self._memberships.add(identity)

    def _leave(self, identity: tuple[int, int]) -> None:
        """Give back a membership whose interface is gone: the kernel still counts it."""
        self._memberships.discard(identity)
        scope = self._scope(identity[0])
        with contextlib.suppress(OSError):
            self._ears[scope].socket.leave(identity[0])
        if scope:
            self._shut(self._ears.pop(scope))

    def _scope(self, index: int) -> int:
        return index if one_interface_only(self.address) else 0

    # -- telling

    def _tell(self, made_anew: set[str]) -> None:
        """Tell what changed since it was told last; ``made_anew`` went, and may be back unmissed."""
        reasons = {name: self._reason(name) for name in self._listed()}
        if not reasons:
            reasons[""] = "no interface carries multicast now"
        for name in sorted(self._status.keys() - reasons.keys()):
            if name and self._status[name]:
                self._changed(name, False, self._reason(name))  # noqa: FBT003  # the callback's form
        before, self._status = self._status, {name: not reason for name, reason in reasons.items()}
        for name, reason in reasons.items():
            if before.get(name) is not self._status[name]:
                self._changed(name, self._status[name], reason or "joined")
            elif name in made_anew and not reason:
                self._changed(name, True, "joined again: the interface was made anew")  # noqa: FBT003

    def _listed(self) -> list[str]:
        """Return the interfaces whose joins matter, as they are named in the settings."""
        if self.group.interfaces:
            return list(self.group.interfaces)
        wanted = {interface.name for interface in self._interfaces.values() if self._wants(interface)}
        return sorted(wanted | self._heard)

    def _reason(self, name: str) -> str:
        """Say why a join does not hold, nothing when it does."""
        interface = self._called(name)
        if interface is None:
            return "there is no such interface"
        return self._failures.get(interface.name) or self._silence(interface)

    def _called(self, name: str) -> Interface | None:
        found = (interface for interface in self._interfaces.values() if interface.answers_to(name))
        return next(found, None)

    def status(self) -> Joined:
        """Return how the sockets stand."""
        return Joined(
            address=self.group.address,
            port=self.group.port,
            interfaces={name: joined for name, joined in self._status.items() if name},
            receive_buffer=min((ear.socket.buffer for ear in self._ears.values()), default=0),
            receive_drops=self.drops(),
            addresses=tuple(
                str(address)
                for interface in self._joined()
                for address in interface.addresses
                if not address.ip.is_link_local
            ),
        )

    def drops(self) -> int:
        """Return how many datagrams the kernel dropped until now because a socket's buffer was full."""
        return self._drops_before + sum(ear.socket.drops() for ear in self._ears.values())

    def networks(self) -> list[Network]:
        """Return the networks of the interfaces whose joins hold."""
        return [network for interface in self._joined() for network in interface.networks()]

    def _joined(self) -> list[Interface]:
        found = (self._called(name) for name, holds in self._status.items() if holds)
        return [interface for interface in found if interface is not None]

    # -- ending

    def _shut(self, ear: Ear) -> None:
        self._drops_before += ear.socket.drops()
        self._loop.remove_reader(ear.socket.socket.fileno())
        ear.socket.close()

    def close(self) -> None:
        """Leave the group."""
        while self._ears:
            self._shut(self._ears.popitem()[1])


def _explain(error: OSError) -> str:
    if error.errno == errno.ENOBUFS:
        return "the kernel allows a socket no more memberships (net.ipv4.igmp_max_memberships)"
    return f"joining failed: {error.strerror}"
