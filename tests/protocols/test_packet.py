"""Packets down to UDP and TCP: as scapy takes them apart, whatever carries them."""

import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrDestOpt, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop
from scapy.layers.l2 import ARP, CookedLinux, CookedLinuxV2, Dot1AD, Dot1Q, Ether, Loopback
from scapy.packet import Padding, Raw
from support.wire import CAPTURES, datagrams

from protocols.packet import SYN, Datagram, Segment, Unread, build_udp, dissect
from protocols.pcap import Packet, read

V4 = IP(src="10.0.0.1", dst="228.0.0.4", ttl=1)
V6 = IPv6(src="fd00::1", dst="ff15::4", hlim=1)
BODY = UDP(sport=45564, dport=45564) / Raw(b"hello")
ETHERNET, NULL, RAW, COOKED, COOKED_2 = 1, 0, 101, 113, 276


def packet(content: Any, link: int = ETHERNET) -> Packet:
    """Return what a capture holds of a scapy packet."""
    data = bytes(content)
    return Packet(0.0, link, data, len(data))


CARRIERS = {
    "ethernet": (ETHERNET, Ether() / V4 / BODY),
    "ethernet, IPv6": (ETHERNET, Ether() / V6 / BODY),
    "ethernet, padded": (ETHERNET, Ether() / V4 / BODY / Padding(bytes(20))),
    "VLAN": (ETHERNET, Ether() / Dot1Q(vlan=7) / V4 / BODY),
    "VLAN in VLAN": (ETHERNET, Ether() / Dot1AD(vlan=7) / Dot1Q(vlan=8) / V6 / BODY),
    "cooked": (COOKED, CookedLinux(proto=0x0800) / V4 / BODY),
    "cooked v2": (COOKED_2, CookedLinuxV2(proto=0x86DD) / V6 / BODY),
    "loopback": (NULL, Loopback(type=2) / V4 / BODY),
    "raw": (RAW, V4 / BODY),
    "raw, IPv6": (RAW, V6 / BODY),
    "IP options": (
        ETHERNET,
        Ether() / IP(src="10.0.0.1", dst="228.0.0.4", ttl=1, options=[("NOP")] * 4) / BODY,
    ),
    "IPv6 extension headers": (ETHERNET, Ether() / V6 / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / BODY),
}


@pytest.mark.parametrize(("link", "content"), CARRIERS.values(), ids=CARRIERS)
def test_a_datagram_is_found_in_whatever_carries_it(link: int, content: Any) -> None:
    """Payload, ports, addresses and TTL are the same in every link type."""
    found = dissect(packet(content, link))
    assert isinstance(found, Datagram)
    assert (found.payload, found.source_port, found.destination_port, found.ttl) == (b"hello", 45564, 45564, 1)
    assert len(found.source) == len(found.destination) == (4 if IP in content else 16)


OTHERS = {
    "ARP": (packet(Ether() / ARP()), Unread.OTHER),
    "ICMP": (packet(Ether() / IP(proto=1) / Raw(bytes(20))), Unread.OTHER),
    "a first fragment": (packet(Ether() / fragment(V4 / UDP() / Raw(bytes(3000)), 1400)[0]), Unread.FRAGMENT),
    "a later fragment": (packet(Ether() / fragment(V4 / UDP() / Raw(bytes(3000)), 1400)[1]), Unread.FRAGMENT),
    "an IPv6 fragment": (packet(Ether() / V6 / IPv6ExtHdrFragment() / BODY), Unread.FRAGMENT),
    "a link type nobody reads": (packet(Ether() / V4 / BODY, 105), Unread.LINK),
    "cut in the payload": (Packet(0.0, RAW, bytes(V4 / BODY)[:-1], 33), Unread.CUT),
    "cut in the UDP header": (Packet(0.0, RAW, bytes(V4 / BODY)[:25], 33), Unread.CUT),
    "cut in the IP header": (Packet(0.0, RAW, bytes(V4 / BODY)[:12], 33), Unread.CUT),
    "empty": (Packet(0.0, RAW, b"", 33), Unread.CUT),
    "a UDP length beyond the packet": (packet(V4 / UDP(len=99) / Raw(b"hello"), RAW), Unread.CUT),
    "a UDP length too short": (packet(V4 / UDP(len=3) / Raw(b"hello"), RAW), Unread.CUT),
}


@pytest.mark.parametrize(("content", "expected"), OTHERS.values(), ids=OTHERS)
def test_what_is_no_datagram_is_named(content: Packet, expected: Unread) -> None:
    """Each packet that is not read says why."""
    assert dissect(content) is expected


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_captured_datagrams_are_scapys(capture: Path) -> None:
    """Every UDP payload of a real capture is the one scapy finds."""
    with capture.open("rb") as file:
        found = [content.payload for p in read(file) if isinstance(content := dissect(p), Datagram)]
    assert found == list(datagrams(capture))


def test_a_segment_says_what_was_on_the_wire() -> None:
    """A segment cut by the capture still tells its true size; padding is not payload."""
    whole = bytes(
        Ether() / V4 / TCP(sport=1, dport=2, seq=7, flags="S", options=[("NOP", None)] * 4) / b"hello"
    )
    found = dissect(Packet(0.0, ETHERNET, whole[:-2], len(whole)))
    assert isinstance(found, Segment)
    assert (found.sequence, found.flags & SYN, found.payload, found.size) == (7, SYN, b"hel", 5)
    padded = dissect(Packet(0.0, ETHERNET, whole + bytes(9), len(whole)))
    assert isinstance(padded, Segment)
    assert padded.payload == b"hello"


@given(st.sampled_from([0, 1, 101, 113, 276, 108, 999]), st.binary(max_size=120))
def test_no_bytes_raise(link: int, data: bytes) -> None:
    """Whatever the bytes, there is an answer."""
    assert isinstance(dissect(Packet(0.0, link, data, len(data))), Datagram | Segment | Unread)


@given(st.sampled_from([*CARRIERS.values()]), st.data())
def test_no_damage_raises(carrier: tuple[int, Any], draw: st.DataObject) -> None:
    """Nor does damage in the headers."""
    link, content = carrier
    data = bytearray(bytes(content))
    for _ in range(3):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    assert isinstance(dissect(Packet(0.0, link, bytes(data), len(data))), Datagram | Segment | Unread)


@pytest.mark.parametrize(
    "addresses", [(b"\x0a\0\0\1", b"\xe4\0\0\4"), (bytes(15) + b"\1", b"\xff" + bytes(15))]
)
@given(payload=st.binary(max_size=99))
def test_a_packet_of_our_own_is_sound(addresses: tuple[bytes, bytes], payload: bytes) -> None:
    """What is built is dissected to the same, and scapy finds its checksums right."""
    data = build_udp(addresses[0], 1, addresses[1], 2, payload)
    assert dissect(Packet(0.0, RAW, data, len(data))) == Datagram(addresses[0], 1, addresses[1], 2, 1, payload)
    theirs = (IP if len(addresses[0]) == 4 else IPv6)(data)
    checked = theirs.copy()
    del checked[UDP].chksum
    if IP in checked:
        del checked.chksum
    assert bytes(checked) == data


def test_a_whole_capture_reads_from_memory() -> None:
    """Reader and dissector work on any binary source."""
    data = CAPTURES[0].read_bytes()
    assert sum(isinstance(dissect(p), Datagram) for p in read(io.BytesIO(data))) == 36
