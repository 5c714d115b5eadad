"""The socket that heartbeats leave by, and what it refuses: no Tomcat is to hear an invented member."""

import ctypes
import fcntl
import ipaddress
import os
import socket
import struct
from types import TracebackType
from typing import Final, Self

import msgspec

TOMCAT_GROUP: Final = "228.0.0.4"
"""``McastService``'s default."""
GROUP: Final = "239.255.77.66"
PORT: Final = 45664
"""Neither is Tomcat's: a Tomcat bound to its own port on this host may hear every group that is joined here."""

_IFF_LOOPBACK: Final = 0x8
_SIOCGIFFLAGS: Final = 0x8913
_SIOCGIFADDR: Final = 0x8915
_SEND_BUFFER: Final = 1 << 22


class RefusedError(ValueError):
    """Heartbeats would go where a real Tomcat may hear them, and nobody has said that this is meant."""


class Place(msgspec.Struct, frozen=True):
    """Where heartbeats go. The two permissions have to be given explicitly (see ``check``)."""

    group: str = GROUP
    port: int = PORT
    interface: str = "lo"
    tomcat_group: bool = False
    any_interface: bool = False

    @property
    def name(self) -> str:
        """Return "239.255.77.66:45664 on lo"."""
        host = f"[{self.group}]" if ":" in self.group else self.group
        return f"{host}:{self.port} on {self.interface}"

    @property
    def packed(self) -> bytes:
        """Return the group's address as bytes."""
        return ipaddress.ip_address(self.group).packed

    def check(self) -> None:
        """Raise ``RefusedError`` unless nothing but this host can hear it, or it is said to be meant."""
        try:
            address = ipaddress.ip_address(self.group)
        except ValueError as error:
            raise RefusedError(f"group {self.group}: not an IP address") from error
        if not address.is_multicast:
            raise RefusedError(f"group {self.group}: not a multicast address; heartbeats go to groups only")
        if self.group == TOMCAT_GROUP and not self.tomcat_group:
            raise RefusedError(
                f"group {self.group} is Tomcat's own: every Tomcat that hears it would connect to the invented "
                "members; take another group, or say that you mean it with --allow-tomcat-group"
            )
        if not is_loopback(self.interface) and not self.any_interface:
            raise RefusedError(
                f"interface {self.interface} is not loopback: other hosts would hear the invented members; "
                "take lo, or say that you mean it with --allow-any-interface"
            )


def is_loopback(interface: str) -> bool:
    """Ask the kernel; raises ``RefusedError`` for an interface that is not there."""
    flags: int = struct.unpack_from("H", _ask_kernel(interface, _SIOCGIFFLAGS), 16)[0]
    return bool(flags & _IFF_LOOPBACK)


def _ask_kernel(interface: str, what: int) -> bytes:
    """Return a ``struct ifreq``: 16 bytes of name, then the answer."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            return fcntl.ioctl(asked, what, struct.pack("16s24x", interface.encode()[:15]))
        except OSError as error:
            raise RefusedError(f"interface {interface}: {os.strerror(error.errno or 0)}") from error


class Outlet:
    """A socket connected to a place. On loopback with a time-to-live of 0: nothing can leave the host."""

    def __init__(self, place: Place) -> None:
        place.check()
        self.place = place
        ttl = 0 if is_loopback(place.interface) else 1
        index = socket.if_nametoindex(place.interface)
        if ":" in place.group:
            self.socket = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, ttl)
        else:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            address = _ask_kernel(place.interface, _SIOCGIFADDR)[20:24]  # else it is the default route's
            request = struct.pack("=4s4si", b"", address, index)
            self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, request)
            self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        try:
            self.socket.connect((place.group, place.port))
        except OSError:
            self.socket.close()
            raise

    def send(self, data: bytes) -> None:
        """Send one datagram; raises OSError."""
        self.socket.send(data)

    def send_many(self, stack: "Stack", first: int, count: int) -> None:
        """Send a run of a stack's datagrams in as few system calls as it takes; raises OSError."""
        while count > 0:
            sent = _sendmmsg(self.socket.fileno(), stack.pointer(first), min(count, _MOST_AT_ONCE), 0)
            if sent < 0:
                code = ctypes.get_errno()
                raise OSError(code, os.strerror(code))
            first, count = first + sent, count - sent

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Stack:
    """Datagrams of one length, one behind the other in one buffer, ready for sendmmsg.

    ``buffer[n * length : (n + 1) * length]`` is the nth and may be overwritten in place.
    """

    def __init__(self, datagrams: list[bytes]) -> None:
        self.length = len(datagrams[0])
        if any(len(data) != self.length for data in datagrams):
            raise ValueError("the datagrams of a stack have one length")
        self.buffer = bytearray(b"".join(datagrams))
        self.count = len(datagrams)
        base = ctypes.addressof((ctypes.c_char * len(self.buffer)).from_buffer(self.buffer))
        self._vectors = (_Vector * self.count)(
            *(_Vector(base + n * self.length, self.length) for n in range(self.count))
        )
        vector = ctypes.addressof(self._vectors)
        self._messages = (_Message * self.count)()
        for n, message in enumerate(self._messages):
            message.header.vector = vector + n * ctypes.sizeof(_Vector)
            message.header.vectors = 1

    def pointer(self, first: int) -> ctypes.c_void_p:
        """Return where the kernel finds the nth message header."""
        return ctypes.c_void_p(ctypes.addressof(self._messages) + first * ctypes.sizeof(_Message))


class _Vector(ctypes.Structure):
    """``struct iovec``."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Header(ctypes.Structure):
    """``struct msghdr``."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint),
        ("vector", ctypes.c_void_p),
        ("vectors", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """``struct mmsghdr``: a header, and how much of it was sent."""

    _fields_ = (("header", _Header), ("sent", ctypes.c_uint))


_MOST_AT_ONCE: Final = 1024  # UIO_MAXIOV
_sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg
