"""What the kernel says over rtnetlink of one route, of bridges and of who joined what behind them.

Asked once, read at once; the same ABI as ``sensors/rtnetlink``, which tells of links and addresses.
"""

import ipaddress
import socket
import struct
from collections.abc import Iterator
from typing import Final

import msgspec

from probe.sensors.rtnetlink import LONGEST, attributes, check, split

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_DONE: Final = 3
_NEW_LINK, _GET_LINK = 16, 18
_NEW_ROUTE, _GET_ROUTE = 24, 26
_NEW_MDB, _GET_MDB = 84, 86  # a dump is answered with the number of its question
_REQUEST: Final = 0x1
_DUMP: Final = 0x300

_HEADER: Final = struct.Struct("=IHHII")  # nlmsghdr
_LINK: Final = struct.Struct("=BxHiII")  # ifinfomsg
_ROUTE: Final = struct.Struct("=BBBBBBBBI")  # rtmsg: family, lengths, tos, table, protocol, scope, type, flags
_PORT: Final = struct.Struct("=BxxxI")  # br_port_msg: family, bridge
_ENTRY: Final = struct.Struct("=IBBH16s2s")  # br_mdb_entry: port, state, flags, vlan, address, protocol
_INT: Final = struct.Struct("=I")

_DST, _OIF, _PREFSRC = 1, 4, 7  # RTA_*
_NAME, _MASTER, _INFO = 3, 10, 18  # IFLA_IFNAME, _MASTER, _LINKINFO
_KIND, _DATA = 1, 2  # IFLA_INFO_*
_SNOOPING, _QUERIER, _QUERIER_STATE = 23, 25, 47  # IFLA_BR_MCAST_*


class Route(msgspec.Struct, frozen=True):
    """Where packets to an address leave: the interface's index, and the source they get."""

    interface: int
    source: str = ""


class Device(msgspec.Struct, frozen=True):
    """A link's kind ("" for hardware), the bridge it is a port of (0: none), and a bridge's own settings.

    ``querier`` is whether the bridge asks itself, ``heard`` the address of the querier it knows.
    """

    index: int
    name: str
    kind: str = ""
    master: int = 0
    snooping: bool = False
    querier: bool = False
    heard: str = ""


def route_to(address: IPAddress) -> Route:
    """Ask for the route to an address. Raises OSError, ENETUNREACH where there is none."""
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET  # noqa: PLR2004
    wanted = struct.pack("=HH", 4 + len(address.packed), _DST) + address.packed
    body = _ROUTE.pack(family, 8 * len(address.packed), 0, 0, 0, 0, 0, 0, 0) + wanted
    for kind, answer in _ask(_GET_ROUTE, body, _REQUEST):
        if kind == _NEW_ROUTE and len(answer) >= _ROUTE.size:
            found = dict(attributes(answer, _ROUTE.size))
            source = found.get(_PREFSRC, b"")
            named = str(ipaddress.ip_address(source)) if len(source) in {4, 16} else ""
            return Route(_number(found.get(_OIF, b"")), named)
    raise OSError("the kernel says nothing of that route")


def devices() -> list[Device]:
    """Ask for every link. Raises OSError."""
    found = []
    for kind, body in _ask(_GET_LINK, bytes(_LINK.size), _REQUEST | _DUMP):
        if kind == _NEW_LINK and len(body) >= _LINK.size:
            family, _, index, _, _ = _LINK.unpack_from(body)
            if family == socket.AF_UNSPEC:
                found.append(_device(index, dict(attributes(body, _LINK.size))))
    return found


def _device(index: int, said: dict[int, bytes]) -> Device:
    info = dict(attributes(said.get(_INFO, b""), 0))
    data = dict(attributes(info.get(_DATA, b""), 0))
    kind = _text(info.get(_KIND, b""))
    device = Device(index, _text(said.get(_NAME, b"")), kind, _number(said.get(_MASTER, b"")))
    if kind != "bridge":
        return device
    heard = dict(attributes(data.get(_QUERIER_STATE, b""), 0)).get(1, b"")
    return msgspec.structs.replace(
        device,
        snooping=data.get(_SNOOPING, b"\0") != b"\0",
        querier=data.get(_QUERIER, b"\0") != b"\0",
        heard=str(ipaddress.ip_address(heard)) if len(heard) == 4 and any(heard) else "",  # noqa: PLR2004
    )


def joined_ports(group: IPAddress) -> list[tuple[int, int]]:
    """Ask bridges which ports they know to want a group: (bridge, port). Raises OSError."""
    body = _PORT.pack(socket.AF_BRIDGE, 0)
    return [
        (bridge, port)
        for kind, answer in _ask(_GET_MDB, body, _REQUEST | _DUMP)
        if kind in {_NEW_MDB, _GET_MDB} and len(answer) >= _PORT.size
        for bridge in (_PORT.unpack_from(answer)[1],)
        for port in _ports(answer, group)
    ]


def _ports(answer: bytes, group: IPAddress) -> Iterator[int]:
    for table in _nested(answer[_PORT.size :]):
        for entry in _nested(table):
            for info in _nested(entry):
                if len(info) >= _ENTRY.size:
                    port, _, _, _, address, _ = _ENTRY.unpack_from(info)
                    if address.startswith(group.packed):
                        yield port


def _nested(body: bytes) -> Iterator[bytes]:
    return (value for kind, value in attributes(body, 0) if kind == 1)  # MDBA_MDB, _ENTRY, _ENTRY_INFO


def _ask(what: int, body: bytes, flags: int) -> Iterator[tuple[int, bytes]]:
    """Yield the type and body of each message of the answer. Raises OSError."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as asker:
        asker.settimeout(5.0)
        asker.send(_HEADER.pack(_HEADER.size + len(body), what, flags, 0, 0) + body)
        while True:
            for kind, answer in split(asker.recv(LONGEST)):
                check(kind, answer)
                if kind == _DONE:
                    return
                yield kind, answer
            if not flags & _DUMP:
                return


def _number(raw: bytes) -> int:
    number: int = _INT.unpack(raw)[0] if len(raw) == _INT.size else 0
    return number


def _text(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode("utf-8", "replace")
