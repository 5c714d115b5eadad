"""Joins a membership group and hears it. Never sends: nothing here writes to the socket (invariant 1)."""

import asyncio
import contextlib
import ipaddress
import socket
import struct
from collections.abc import Callable, Iterable
from typing import Final

from probe.config import Group
from probe.model.views import Joined
from probe.model.watch import Datagram
from probe.sensors.datagrams import BATCH, Datagrams
from probe.sensors.interfaces import Interface

RECEIVE_BUFFER: Final = 8 * 2**20
"""bytes asked for: some seconds of a large cluster while the loop is elsewhere."""
BATCHES: Final = 8
"""Batches drained before the loop gets its turn again."""

_IP_MULTICAST_ALL: Final = 49
_IPV6_MULTICAST_ALL: Final = 29
_SO_RCVBUFFORCE: Final = 33
_SO_MEMINFO: Final = 55
_MEMINFO_DROPS: Final = 8


class Multicast:
    """One group's socket and its memberships, one per interface.

    ``take`` gets batches of datagrams; ``changed`` is told of every join that begins or ends to hold:
    interface, whether it holds, and why.
    """

    def __init__(
        self,
        group: Group,
        take: Callable[[list[Datagram]], None],
        changed: Callable[[str, bool, str], None],
    ) -> None:
        """Open and bind the socket; nothing is joined yet. Raises OSError."""
        self.group = group
        self.address = ipaddress.ip_address(group.address)
        self._take = take
        self._changed = changed
        self._interfaces: dict[int, Interface] = {}
        self._joined: dict[str, Interface] = {}
        self._status: dict[str, bool] = dict.fromkeys(group.interfaces, False)
        self.socket = _open(self.address, group.port)
        self._datagrams = Datagrams(self.socket, self._name)
        asyncio.get_running_loop().add_reader(self.socket.fileno(), self.drain)

    def drain(self) -> None:
        """Hand over what waits, in batches, and leave the rest to the loop's next turn."""
        for _ in range(BATCHES):
            batch = self._datagrams.read()
            if batch:
                self._take(batch)
            if len(batch) < BATCH:
                return

    def follow(self, interfaces: Iterable[Interface]) -> None:
        """Join where the group can be heard now; say which joins hold no more."""
        self._interfaces = {interface.index: interface for interface in interfaces}
        wanted = {
            interface.name: interface for interface in self._interfaces.values() if self._wants(interface)
        }
        for name, interface in list(self._joined.items()):
            present = wanted.get(name)
            if present is None or present.index != interface.index:
                self._leave(interface)
        for name, interface in wanted.items():
            if name not in self._joined:
                self._join(interface)
        self._datagrams.forget_interfaces()

    def _wants(self, interface: Interface) -> bool:
        named = interface.name in self.group.interfaces
        if self.group.interfaces and not named:
            return False
        usable = interface.up and interface.running and (interface.multicast or interface.loopback)
        return (
            usable and (named or not interface.loopback) and interface.address(self.address.version) is not None
        )

    def _join(self, interface: Interface) -> None:
        try:
            self._membership(interface, join=True)
        except OSError as error:
            self._tell(interface.name, joined=False, why=f"join failed: {error.strerror}")
            return
        self._joined[interface.name] = interface
        self._tell(interface.name, joined=True, why="joined")

    def _leave(self, interface: Interface) -> None:
        del self._joined[interface.name]
        there = self._interfaces.get(interface.index)
        why = "the interface is down" if there is not None else "the interface is gone"
        with contextlib.suppress(OSError):  # with the interface its membership went
            self._membership(interface, join=False)
        self._tell(interface.name, joined=False, why=why)
        if not self.group.interfaces:
            self._status.pop(interface.name, None)

    def _tell(self, name: str, *, joined: bool, why: str) -> None:
        if self._status.get(name) is joined and not joined and name not in self.group.interfaces:
            return
        self._status[name] = joined
        self._changed(name, joined, why)

    def _membership(self, interface: Interface, *, join: bool) -> None:
        packed = self.address.packed
        if self.address.version == 4:  # noqa: PLR2004  # struct ip_mreqn
            option = socket.IP_ADD_MEMBERSHIP if join else socket.IP_DROP_MEMBERSHIP
            self.socket.setsockopt(
                socket.IPPROTO_IP, option, packed + bytes(4) + struct.pack("@i", interface.index)
            )
            return
        option = socket.IPV6_JOIN_GROUP if join else socket.IPV6_LEAVE_GROUP
        self.socket.setsockopt(socket.IPPROTO_IPV6, option, packed + struct.pack("@i", interface.index))

    def _name(self, index: int) -> str:
        interface = self._interfaces.get(index)
        return interface.name if interface else f"#{index}"

    def status(self) -> Joined:
        """Return how the socket stands."""
        return Joined(
            address=self.group.address,
            port=self.group.port,
            interfaces=dict(self._status),
            receive_buffer=self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF),
            receive_drops=self.drops(),
        )

    def drops(self) -> int:
        """Return how many datagrams the kernel dropped because the socket's buffer was full."""
        info = self.socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 64)
        at = _MEMINFO_DROPS * 4
        return struct.unpack_from("@I", info, at)[0] if len(info) > at else self._datagrams.drops

    def networks(self) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
        """Return the networks of the interfaces joined."""
        return [address.network for interface in self._joined.values() for address in interface.addresses]

    def close(self) -> None:
        """Leave the group."""
        asyncio.get_running_loop().remove_reader(self.socket.fileno())
        self.socket.close()


def _open(address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _enlarge(sock)
        _only_joined(sock)
        sock.bind((str(address), port))  # the group's own address: others on this port are not heard
    except OSError:
        sock.close()
        raise
    return sock


def _enlarge(sock: socket.socket) -> None:
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, RECEIVE_BUFFER)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)


def _only_joined(sock: socket.socket) -> None:
    """Hear only what this socket joined, not what another process of the host did."""
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL, 0)
