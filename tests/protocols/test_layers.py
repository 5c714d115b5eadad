"""The scapy layers agree byte for byte with the readers, both ways."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.packet import Padding, Raw
from scapy.sessions import TCPSession
from scapy.utils import PcapReader
from support.wire import CAPTURES, FRAMES, HEARTBEATS, Vector, damaged, ends_early, outcome, vector, vectors

from protocols.frame import Acknowledgement, Frame, encode_frame, parse_data, split
from protocols.heartbeat import BEGIN, GOODBYE, Heartbeat, Layout, Member, encode, host_text, parse
from protocols.layers import (
    TribesAcknowledgement,
    TribesChannelData,
    TribesFrame,
    TribesHeartbeat,
    TribesHeartbeat6,
)

LAYERS = {Layout.CURRENT: TribesHeartbeat, Layout.TOMCAT_6: TribesHeartbeat6}
SECRET = "0123456789ABCDEF"  # noqa: S105  # of the vectors


def rebuilt(layer: Any) -> bytes:
    """Build a dissected layer from its fields, not from the bytes it remembers."""
    copy = layer.copy()
    copy.clear_cache()
    return bytes(copy)


def check_heartbeat(layer: Any, heartbeat: Heartbeat) -> None:
    """Hold a dissected heartbeat against the one that was read."""
    member = heartbeat.member
    assert type(layer) is LAYERS[member.layout]
    assert layer.host == host_text(member.host)
    assert (layer.alive_ms, layer.port, layer.secure_port) == (
        heartbeat.alive_ms,
        member.port,
        member.secure_port,
    )
    assert getattr(layer, "udp_port", -1) == member.udp_port
    assert (layer.unique_id, layer.member_command, layer.domain, layer.member_payload) == (
        member.unique_id,
        member.command,
        member.domain,
        member.payload,
    )


def check_frame(layer: Any, content: Frame | Acknowledgement) -> None:
    """Hold a dissected frame against the one that was read."""
    assert type(layer) is TribesFrame
    if isinstance(content, Acknowledgement):
        assert layer.data.code == content.value
        return
    data = layer.data
    assert type(data) is TribesChannelData
    assert int(data.options) == content.options & 0xFFFFFFFF
    assert (data.timestamp_ms, data.id, data.message) == (content.timestamp_ms, content.id, content.message)
    check_heartbeat(data.sender, content.sender)


def check_datagram(data: bytes) -> None:
    """Hold the dissection of any heartbeat against the reader."""
    layer, read = TribesHeartbeat(data), outcome(parse, data)
    assert bytes(layer) == rebuilt(layer) == data
    if isinstance(read, Heartbeat):
        check_heartbeat(layer, read)
    else:
        assert type(layer) is Raw


def check_broadcast(data: bytes) -> None:
    """Hold the dissection of any run of frames against the reader."""
    layer, read = TribesFrame(data), outcome(split, data)
    assert bytes(layer) == rebuilt(layer) == data
    if not isinstance(read, list):
        assert type(layer) in {Raw, Padding, TribesFrame}
        return
    for each in read:
        content = outcome(parse_data, each)
        if isinstance(content, Frame | Acknowledgement):
            check_frame(layer, content)
        else:
            assert type(layer.data) in {Raw, type(None)}
        layer = layer.payload


# -- dissecting


@pytest.mark.parametrize("each", [*vectors("members"), *vectors("tomcat6")], ids=lambda each: each.name)
def test_dissects_heartbeats(each: Vector) -> None:
    """Each vector is dissected into the fields that are read, or left Raw, and built again."""
    if each.data.startswith(BEGIN[:8]):
        check_datagram(each.data)


@pytest.mark.parametrize("each", vectors("frames"), ids=lambda each: each.name)
def test_dissects_frames(each: Vector) -> None:
    """Each vector is dissected into the messages that are read, or left Raw or as Padding, and built again."""
    check_broadcast(each.data)


@given(damaged(HEARTBEATS.map(encode)).filter(lambda data: data.startswith(BEGIN[:8])) | ends_early())
def test_dissects_any_heartbeat(data: bytes) -> None:
    """Sound or damaged, the layers see what the reader sees."""
    check_datagram(data)


@given(damaged(st.lists(FRAMES.map(encode_frame), min_size=1, max_size=3).map(b"".join)))
def test_dissects_any_broadcast(data: bytes) -> None:
    """Sound or damaged, the layers see the frames that the reader sees."""
    if data:
        check_broadcast(data)


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_dissects_captures(capture: Path) -> None:
    """By their ports, heartbeats and frames are found in every capture, and built again byte for byte."""
    with PcapReader(str(capture)) as packets:
        for packet in packets:
            for carrier in (UDP, TCP):
                if carrier not in packet or not packet[carrier].payload:
                    continue
                payload = packet[carrier].payload
                if type(payload) is Padding or 45569 in {packet[carrier].sport, packet[carrier].dport}:
                    continue
                assert isinstance(payload, TribesHeartbeat | TribesFrame)
                assert rebuilt(payload) == bytes(payload)


def test_frames_split_over_segments() -> None:
    """TCPSession waits for the rest of a frame."""
    stream = vector("frames", "two-frames")
    session = TCPSession()
    found = []
    for start, end in ((0, 5), (5, 100), (100, 210), (210, len(stream))):
        packet = IP(src="10.0.0.1", dst="10.0.0.2") / TCP(dport=4000, sport=40_000, seq=1 + start, flags="A")
        whole = session.process(IP(bytes(packet / Raw(stream[start:end]))))
        if whole and TribesFrame in whole:
            found.append(bytes(whole[TCP].payload))
    assert b"".join(found) == stream
    assert len(found) == 2


# -- building


@given(HEARTBEATS)
def test_builds_heartbeats(heartbeat: Heartbeat) -> None:
    """A layer with these fields is the datagram a Tomcat would send."""
    assert bytes(crafted(heartbeat)) == encode(heartbeat)


def crafted(heartbeat: Heartbeat) -> Any:
    """Craft a heartbeat by its fields."""
    member = heartbeat.member
    udp_port = {"udp_port": member.udp_port} if member.layout is Layout.CURRENT else {}
    return LAYERS[member.layout](
        alive_ms=heartbeat.alive_ms,
        port=member.port,
        secure_port=member.secure_port,
        host=host_text(member.host),
        member_command=member.command,
        domain=member.domain,
        unique_id=member.unique_id,
        member_payload=member.payload,
        **udp_port,
    )


@given(FRAMES)
def test_builds_frames(frame: Frame) -> None:
    """A layer with these fields is the frame a Tomcat would send."""
    data = TribesChannelData(
        options=frame.options & 0xFFFFFFFF,
        timestamp_ms=frame.timestamp_ms,
        id=frame.id,
        sender=crafted(frame.sender),
        message=frame.message,
    )
    assert bytes(TribesFrame(data=data)) == encode_frame(frame)


def test_builds_the_two_answers() -> None:
    """The answers are frames of three bytes."""
    assert bytes(TribesFrame(data=TribesAcknowledgement())) == vector("frames", "ack")
    code = Acknowledgement.FAIL_ACK.value
    assert bytes(TribesFrame(data=TribesAcknowledgement(code=code))) == vector("frames", "fail-ack")


def test_defaults_and_ports() -> None:
    """The plainest of each is sound, and goes to the port a Tomcat listens at."""
    member = Member(bytes([127, 0, 0, 1]), 4000, bytes(16))
    packet = IP() / UDP() / TribesHeartbeat()
    assert parse(bytes(packet[UDP].payload)) == Heartbeat(member, 0)
    assert (packet[UDP].sport, packet[UDP].dport) == (45564, 45564)
    packet = IP() / TCP() / TribesFrame()
    assert parse_data(split(bytes(packet[TCP].payload))[0]) == Frame(Heartbeat(member, 0), b"")
    assert packet[TCP].dport == 4000


def test_crafts_what_is_malformed() -> None:
    """A length that is given stands, however wrong."""
    layer = TribesHeartbeat(member_command_length=-1, body_length=7)
    assert layer.build()[10:14] == (7).to_bytes(4)
    assert outcome(parse, TribesHeartbeat(member_command_length=-1).build()) == ("command-length", "stalls")


def test_says_who_and_hides_what() -> None:
    """A summary names the member; a message, with the session ids in it, is counted only."""
    assert TribesHeartbeat(host="2001:db8::7").summary() == "Tribes heartbeat of 2001:db8::7 port 4000"
    assert TribesHeartbeat(member_command=GOODBYE).summary() == "Tribes goodbye of 127.0.0.1 port 4000"
    layer = TribesFrame(vector("frames", "session-evt-13"))
    assert "<424 bytes>" in repr(layer)
    assert SECRET not in repr(layer) + layer.show(dump=True)


def test_nothing_else_imports_scapy() -> None:
    """Half a second of importing is paid by those only who ask for the layers."""
    modules = ", ".join(f"protocols.{each}" for each in ("heartbeat", "frame", "message", "datagram"))
    script = f"import sys, {modules}; print([each for each in sys.modules if each.startswith('scapy')])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
