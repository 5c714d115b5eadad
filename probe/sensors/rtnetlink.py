"""The three kinds of rtnetlink message that tell of links and their addresses; layouts are the kernel's ABI.

Read here and not by pyroute2, which takes 24 MB and a quarter of a second to import.
"""

import ipaddress
import os
import socket
import struct
from collections.abc import Iterator
from typing import Final

import msgspec

GROUPS: Final = 0x1 | 0x10 | 0x100
"""RTMGRP_LINK, _IPV4_IFADDR, _IPV6_IFADDR: what to bind to, to be told of changes."""
LONGEST: Final = 2**16
"""bytes to read at once: the kernel's messages are shorter."""

UP: Final = 0x1
LOOPBACK: Final = 0x8
RUNNING: Final = 0x40
MULTICAST: Final = 0x1000

_ERROR, _DONE = 2, 3
_NEW_LINK, _DEL_LINK, _GET_LINK = 16, 17, 18
_NEW_ADDRESS, _GET_ADDRESS = 20, 22
_REQUEST_DUMP: Final = 0x1 | 0x300  # NLM_F_REQUEST | NLM_F_DUMP
_NAME = 3  # IFLA_IFNAME
_ADDRESS, _LOCAL = 1, 2  # IFA_ADDRESS is the peer's on a point-to-point link, IFA_LOCAL this host's

_HEADER: Final = struct.Struct("=IHHII")  # nlmsghdr: length with this header, type, flags, sequence, port
_LINK: Final = struct.Struct("=BxHiII")  # ifinfomsg: family, device type, index, flags, change
_OF_LINK: Final = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix length, flags, scope, index
_ATTRIBUTE: Final = struct.Struct("=HH")  # rtattr: length with this header, type
_CODE: Final = struct.Struct("=i")

IPInterface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


class Link(msgspec.Struct, frozen=True):
    """A link that is there."""

    index: int
    name: str
    flags: int


class Gone(msgspec.Struct, frozen=True):
    """A link that went; its index may come again."""

    index: int


class Address(msgspec.Struct, frozen=True):
    """An address of a link, with its network."""

    index: int
    address: IPInterface


Message = Link | Gone | Address


def list_links() -> list[Message]:
    """Ask the kernel for every link and address. It answers at once. Raises OSError."""
    with socket.socket(
        socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
    ) as asker:
        return [message for what in (_GET_LINK, _GET_ADDRESS) for message in _dump(asker, what)]


def _dump(asker: socket.socket, what: int) -> Iterator[Message]:
    asker.send(_HEADER.pack(_HEADER.size + _LINK.size, what, _REQUEST_DUMP, 0, 0) + bytes(_LINK.size))
    while True:
        answer = asker.recv(LONGEST)
        yield from read(answer)
        if any(kind == _DONE for kind, _ in split(answer)):
            return


def read(data: bytes) -> Iterator[Message]:
    """Yield what the messages say, as far as they are whole; raises OSError where the kernel says one."""
    for kind, body in split(data):
        check(kind, body)
        if kind in {_NEW_LINK, _DEL_LINK} and len(body) >= _LINK.size:
            family, _, index, flags, _ = _LINK.unpack_from(body)
            name = dict(attributes(body, _LINK.size)).get(_NAME, b"").rstrip(b"\0").decode(errors="replace")
            if family == socket.AF_UNSPEC:  # others tell of a bridge's ports
                yield Gone(index) if kind == _DEL_LINK else Link(index, name, flags)
        elif kind == _NEW_ADDRESS and len(body) >= _OF_LINK.size:
            yield from _address(body)


def _address(body: bytes) -> Iterator[Address]:
    _, prefix, _, _, index = _OF_LINK.unpack_from(body)
    found = dict(attributes(body, _OF_LINK.size))
    packed = found.get(_LOCAL) or found.get(_ADDRESS, b"")
    if len(packed) == 4 and prefix <= 32:  # noqa: PLR2004  # IPv4
        yield Address(index, ipaddress.IPv4Interface((packed, prefix)))
    elif len(packed) == 16 and prefix <= 128:  # noqa: PLR2004  # IPv6
        yield Address(index, ipaddress.IPv6Interface((packed, prefix)))


def check(kind: int, body: bytes) -> None:
    """Raise OSError where a message is the kernel's refusal."""
    if kind == _ERROR and len(body) >= _CODE.size:
        code = -_CODE.unpack_from(body)[0]
        raise OSError(code, os.strerror(code))


def split(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and body of each message."""
    start = 0
    while start + _HEADER.size <= len(data):
        length, kind, _, _, _ = _HEADER.unpack_from(data, start)
        if not _HEADER.size <= length <= len(data) - start:
            return
        yield kind, data[start + _HEADER.size : start + length]
        start += (length + 3) & ~3


def attributes(body: bytes, start: int) -> Iterator[tuple[int, bytes]]:
    """Yield type and value of each attribute from a place on, as far as they are whole."""
    while start + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, start)
        if not _ATTRIBUTE.size <= length <= len(body) - start:
            return
        yield kind & 0x3FFF, body[start + _ATTRIBUTE.size : start + length]
        start += (length + 3) & ~3
