"""Captured packets down to what UDP and TCP carry; no more of the headers than a capture needs."""

import struct
from enum import StrEnum
from typing import Final

import msgspec

from protocols.pcap import Packet

_IPV4, _IPV6 = 0x0800, 0x86DD
_VLAN: Final = frozenset({0x8100, 0x88A8, 0x9100})
_TCP, _UDP = 6, 17
_EXTENSIONS: Final = frozenset({0, 43, 60})  # hop-by-hop, routing, destination options
_FRAGMENT: Final = 44
SYN: Final = 0x02


class Unread(StrEnum):
    """Why a packet gave neither a datagram nor a segment."""

    OTHER = "other"
    """Neither UDP nor TCP over IP."""
    FRAGMENT = "fragment"
    """A fragment of an IP packet: they are not put together."""
    CUT = "cut"
    """The capture did not keep enough of it."""
    LINK = "link"
    """A link type that is not read."""


class Datagram(msgspec.Struct, frozen=True, gc=False):
    """A UDP datagram: packed addresses, ports, IP TTL and payload."""

    source: bytes
    source_port: int
    destination: bytes
    destination_port: int
    ttl: int
    payload: bytes


class Segment(msgspec.Struct, frozen=True, gc=False):
    """A TCP segment; ``size`` is what its payload measured on the wire, where the capture kept less."""

    source: bytes
    source_port: int
    destination: bytes
    destination_port: int
    sequence: int
    flags: int
    payload: bytes
    size: int


def dissect(packet: Packet) -> Datagram | Segment | Unread:
    """Read one packet's headers; whatever its bytes, no exception."""
    try:
        kind, offset = _network(packet.link, packet.data)
        if kind == _IPV4:
            return _ipv4(packet.data, offset)
        return _ipv6(packet.data, offset) if kind == _IPV6 else _UNREAD[kind]
    except (struct.error, IndexError):
        return Unread.CUT


_unpack_u16 = struct.Struct(">H").unpack_from
_unpack_ports = struct.Struct(">HHH").unpack_from
_unpack_ipv4 = struct.Struct(">B x H 2x H BB 2x 4s 4s").unpack_from
_unpack_ipv6 = struct.Struct(">4x H BB 16s 16s").unpack_from
_unpack_tcp = struct.Struct(">HH I 4x BB").unpack_from


def _network(link: int, data: bytes) -> tuple[int, int]:
    """Return what the link layer carries, and where."""
    if link == _ETHERNET:
        return _ethernet(data)
    if link in _ETHER_TYPE_AT:
        at, offset = _ETHER_TYPE_AT[link]
        return _known(_unpack_u16(data, at)[0]), offset
    if link in _IP_AT:
        offset = _IP_AT[link]
        return _VERSIONS.get(data[offset] >> 4, _OTHER), offset
    return _NO_LINK, 0


_ETHERNET: Final = 1
_ETHER_TYPE_AT: Final = {113: (14, 16), 276: (0, 20)}
"""Linux cooked captures: link type to where the EtherType and the packet stand."""
_IP_AT: Final = {0: 4, 108: 4, 12: 0, 14: 0, 101: 0, 228: 0, 229: 0}
"""Loopback and raw link types: where the IP header stands; its version says the rest."""
_VERSIONS: Final = {4: _IPV4, 6: _IPV6}
_OTHER, _NO_LINK = 0, -1
_UNREAD: Final = {_OTHER: Unread.OTHER, _NO_LINK: Unread.LINK}


def _ethernet(data: bytes) -> tuple[int, int]:
    at = 12
    kind = _unpack_u16(data, at)[0]
    while kind in _VLAN:
        at += 4
        kind = _unpack_u16(data, at)[0]
    return _known(kind), at + 2


def _known(kind: int) -> int:
    return kind if kind in (_IPV4, _IPV6) else _OTHER


def _ipv4(data: bytes, start: int) -> Datagram | Segment | Unread:
    first, size, fragment, ttl, protocol, source, destination = _unpack_ipv4(data, start)
    if fragment & 0x3FFF:
        return Unread.FRAGMENT
    offset = start + (first & 0x0F) * 4
    end = start + size if size else len(data)  # 0: the card was left to split it
    return _transport(data, offset, end, protocol, ttl, source, destination)


def _ipv6(data: bytes, start: int) -> Datagram | Segment | Unread:
    size, protocol, hops, source, destination = _unpack_ipv6(data, start)
    offset = start + 40
    end = offset + size if size else len(data)
    while protocol in _EXTENSIONS:
        protocol, offset = data[offset], offset + 8 + data[offset + 1] * 8
    if protocol == _FRAGMENT:
        return Unread.FRAGMENT
    return _transport(data, offset, end, protocol, hops, source, destination)


def _transport(
    data: bytes, offset: int, end: int, protocol: int, ttl: int, source: bytes, destination: bytes
) -> Datagram | Segment | Unread:
    if protocol == _UDP:
        source_port, destination_port, size = _unpack_ports(data, offset)
        payload = data[offset + 8 : min(end, offset + size)]
        if end > len(data) or len(payload) != size - 8:
            return Unread.CUT
        return Datagram(source, source_port, destination, destination_port, ttl, payload)
    if protocol == _TCP:
        source_port, destination_port, sequence, header, flags = _unpack_tcp(data, offset)
        body = offset + (header >> 4) * 4
        payload, size = data[body:end], max(0, end - body)
        return Segment(source, source_port, destination, destination_port, sequence, flags, payload, size)
    return Unread.OTHER


def build_udp(
    source: bytes, source_port: int, destination: bytes, destination_port: int, payload: bytes, ttl: int = 1
) -> bytes:
    """Write an IP packet with a UDP datagram, from the IP header on; addresses packed, of one family."""
    size = 8 + len(payload)
    ports = struct.pack(">HHH", source_port, destination_port, size)
    pseudo = source + destination + struct.pack(">II", size, _UDP) + ports + b"\x00\x00" + payload
    udp = ports + struct.pack(">H", _checksum(pseudo) or 0xFFFF) + payload
    if len(source) == _IPV4_LENGTH:
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + size, 0, 0x4000, ttl, _UDP, 0) + source + destination
        return head[:10] + struct.pack(">H", _checksum(head)) + head[12:] + udp
    return struct.pack(">IHBB", 6 << 28, size, _UDP, ttl) + source + destination + udp


_IPV4_LENGTH: Final = 4


def _checksum(data: bytes) -> int:
    """Return the internet checksum (RFC 1071)."""
    total: int = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
