"""Sends datagrams to groups, as any program might; on loopback unless another interface is named."""

import socket
import struct
from types import TracebackType
from typing import Self


class Speaker:
    """A socket that sends by one interface."""

    def __init__(self, interface: str = "lo", *, ttl: int = 1, version: int = 4) -> None:
        index = socket.if_nametoindex(interface)
        if version == 4:
            self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            source = socket.inet_aton("127.0.0.1" if interface == "lo" else "0.0.0.0")
            where = struct.pack("=4s4si", bytes(4), source, index)
            self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, where)
            self.socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, ttl)
        else:
            self.socket = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, ttl)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)

    def say(self, data: bytes, group: str, port: int) -> None:
        """Send one datagram; raises OSError."""
        self.socket.sendto(data, (group, port))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()
