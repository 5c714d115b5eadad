"""A socket that hears one multicast group and nothing else, and cannot be heard."""

import contextlib
import errno
import ipaddress
import socket
import struct
from typing import Final

import msgspec

from protocols.heartbeat import address_name

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_SO_RCVBUFFORCE: Final = 33
_SO_MEMINFO: Final = 55
_IP_MULTICAST_ALL: Final = 49
_IPV6_MULTICAST_ALL: Final = 29
_MEMINFO: Final = struct.Struct("=32xI")  # what was dropped is the ninth of its numbers
_INDEX: Final = struct.Struct("=i")


class Family(msgspec.Struct, frozen=True):
    """What an address family calls its options; ``once`` are set when a socket is made."""

    family: socket.AddressFamily
    level: int
    join: int
    leave: int
    middle: bytes
    once: tuple[tuple[int, int], ...]


FAMILIES: Final = {
    4: Family(
        socket.AF_INET,
        socket.IPPROTO_IP,
        socket.IP_ADD_MEMBERSHIP,
        socket.IP_DROP_MEMBERSHIP,
        middle=bytes(4),  # struct ip_mreqn has an address of the interface before its index
        once=((_IP_MULTICAST_ALL, 0), (socket.IP_MULTICAST_TTL, 0), (socket.IP_MULTICAST_LOOP, 0)),
    ),
    6: Family(
        socket.AF_INET6,
        socket.IPPROTO_IPV6,
        socket.IPV6_JOIN_GROUP,
        socket.IPV6_LEAVE_GROUP,
        middle=b"",
        once=(
            (socket.IPV6_V6ONLY, 1),
            (_IPV6_MULTICAST_ALL, 0),
            (socket.IPV6_MULTICAST_HOPS, 0),
            (socket.IPV6_MULTICAST_LOOP, 0),
        ),
    ),
}
"""MULTICAST_ALL off: what another process of the host joined is not heard here. TTL 0 and LOOP off, and the
sending half shut besides: nothing is ever sent to a membership group (invariant 1), not even by mistake."""


def one_interface_only(group: IPAddress) -> bool:
    """Whether a socket bound to this group hears a single interface: IPv6 groups of link or interface scope."""
    return group.version == 6 and group.packed[1] & 0x0F in {1, 2}  # noqa: PLR2004


class GroupSocket:
    """Bound to the group's own address, so that neither other groups on the port nor unicasts are heard.

    ``scope`` is an interface's index where the group needs one, ``buffer`` the bytes asked for. Raises OSError.
    """

    def __init__(self, group: IPAddress, port: int, buffer: int, scope: int = 0) -> None:
        self.family = FAMILIES[group.version]
        self.group = group
        self.scope = scope
        self.socket = socket.socket(self.family.family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._prepare(buffer)
            self.socket.bind((str(group), port) if group.version == 4 else (str(group), port, 0, scope))  # noqa: PLR2004
            with contextlib.suppress(OSError):  # ENOTCONN is said, and the half is shut all the same: EPIPE
                self.socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            self.socket.close()
            remedy = ": another program does not share it" if error.errno == errno.EADDRINUSE else ""
            place = address_name(group.packed, port)
            raise OSError(error.errno, f"cannot listen on UDP {place}: {error.strerror}{remedy}") from error

    def _prepare(self, buffer: int) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a Tomcat beside us has the port too
        for option, value in self.family.once:
            self.socket.setsockopt(self.family.level, option, value)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, buffer)
        except PermissionError:  # not CAP_NET_ADMIN: as much as net.core.rmem_max allows
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)

    def join(self, index: int) -> None:
        """Become a member on an interface. Raises OSError."""
        self.socket.setsockopt(self.family.level, self.family.join, self._membership(index))

    def leave(self, index: int) -> None:
        """Be a member there no longer. Raises OSError."""
        self.socket.setsockopt(self.family.level, self.family.leave, self._membership(index))

    def _membership(self, index: int) -> bytes:
        return self.group.packed + self.family.middle + _INDEX.pack(index)

    @property
    def buffer(self) -> int:
        """Bytes granted, as the kernel counts them: twice what was asked for, for its own books."""
        return self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    def drops(self) -> int:
        """Return how many datagrams the kernel has dropped until now for want of room."""
        info = self.socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        dropped: int = _MEMINFO.unpack(info)[0]
        return dropped

    def close(self) -> None:
        """Leave everywhere."""
        self.socket.close()
