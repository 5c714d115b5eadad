"""What is said of a message: its kind and event, and never a session id."""

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.wire import CAPTURES, Vector, damaged, segments, vector, vectors

from protocols.descriptor import EXTERNALIZABLE, STREAM, spell
from protocols.frame import LIVENESS_TEST, Frame, Reader, parse_data, split
from protocols.heartbeat import Heartbeat, Member
from protocols.message import Carried, Message, name

SENDER = Heartbeat(Member(bytes(4), 4000, bytes(16)), 1)
BYTES, OBJECT = 1, 8
"""Options of a message of bytes, and of a serialised object."""


def say(message: bytes, options: int = OBJECT) -> Message:
    """Name a message."""
    return name(Frame(SENDER, message, options))


def carried(file: str, vector_name: str) -> Frame:
    """Return the frame of a vector."""
    frame = parse_data(split(vector(file, vector_name))[0])
    assert isinstance(frame, Frame)
    return frame


SHOP = "localhost#/shop"
MAP = "localhost#/shop-map"


@pytest.mark.parametrize(
    ("frame", "said", "context"),
    [
        ("tfd-test-default", "liveness-test", ""),
        ("tfd-test-with-ack", "liveness-test", ""),
        ("tfd-test-sync-ack", "liveness-test", ""),
        ("static-member-start", "static-member-start", ""),
        ("static-member-stop", "static-member-stop", ""),
        ("coord-alive", "coordinator-alive", ""),
        ("coord-request", "coordinator:REQUEST", ""),
        ("two-phase-confirm", "two-phase-confirm", ""),
        ("udp-option", "unknown", ""),
        ("gzip-flag", "gzipped", ""),
        ("empty-message", "empty", ""),
        ("session-evt-2", "session:SESSION_EXPIRED", SHOP),
        ("session-evt-3", "session:SESSION_ACCESSED", SHOP),
        ("session-evt-4", "session:GET_ALL_SESSIONS", SHOP),
        ("session-evt-12", "session:ALL_SESSION_DATA", SHOP),
        ("session-evt-13", "session:SESSION_DELTA", SHOP),
        ("session-evt-14", "session:ALL_SESSION_TRANSFERCOMPLETE", SHOP),
        ("session-evt-15", "session:CHANGE_SESSION_ID", SHOP),
        ("session-evt-16", "session:ALL_SESSION_NOCONTEXTMANAGER", SHOP),
        ("map-msg-2", "map:RETRIEVE_BACKUP", ""),
        ("map-msg-3", "map:PROXY", ""),
        ("map-msg-4", "map:REMOVE", ""),
        ("map-msg-6", "map:START", ""),
        ("map-msg-9", "map:COPY", ""),
        ("map-msg-10", "map:STATE_COPY", ""),
        ("map-msg-11", "map:ACCESS", ""),
        ("map-msg-12", "map:NOTIFY_MAPMEMBER", ""),
        ("map-msg-13", "map:PING", ""),
        ("rpc-map-init", "rpc:map:INIT", MAP),
        ("rpc-no-channel-reply", "rpc-no-channel", MAP),
        ("static-provider-stop", "static-membership:STOP", ""),
        ("static-provider-ping", "static-membership:PING", ""),
    ],
)
def test_names_what_a_tomcat_sends(frame: str, said: str, context: str) -> None:
    """Texts by their bytes, objects by their class, and their event where the descriptor is known."""
    message = name(carried("frames", frame))
    assert (message.name, message.context) == (said, context)


@pytest.mark.parametrize("each", vectors("messages"), ids=lambda each: f"{each.expect['tomcat']}-{each.name}")
def test_names_what_older_tomcats_send(each: Vector) -> None:
    """The descriptors of 6.0 and 7.0 are known too."""
    message = say(each.data)
    expected = each.expect
    assert (message.carried.value, message.event, message.context) == (
        expected["carried"],
        expected["event"],
        expected["context"],
    )
    assert b"SECRET" in each.data or each.name not in {"session", "map", "rpc"}
    assert "SECRET" not in repr(message)


def test_names_classes_of_applications() -> None:
    """An object of any other class is told by its class; a value without one is an object all the same."""
    assert say(STREAM + spell(("com.example.Thing", 1, ()))).java_class == "com.example.Thing"
    assert say(STREAM + b"t\0\x05hello" + bytes(40)) == Message(Carried.JAVA_OBJECT)


@pytest.mark.parametrize("appended", [b"\0\0\0\x01", b"\0", b"\0\0\0\0\0\0\0\x02\x01"])
def test_what_interceptors_append_does_not_matter(appended: bytes) -> None:
    """OrderInterceptor appends a number, FragmentationInterceptor its mark."""
    assert say(LIVENESS_TEST + appended, BYTES).carried is Carried.LIVENESS_TEST
    assert say(carried("frames", "map-msg-2").message + appended).name == "map:RETRIEVE_BACKUP"


@pytest.mark.parametrize(
    ("message", "options", "said"),
    [
        (b"\x93" * 28, OBJECT, Carried.ENCRYPTED),
        (b"\x93" * 28, OBJECT | 0x100, Carried.ENCRYPTED),
        (b"\x93" * 27, OBJECT, Carried.UNKNOWN),
        (b"\x93" * 28, OBJECT | BYTES, Carried.UNKNOWN),
        (b"\x1f\x8b" + b"\x93" * 40, OBJECT, Carried.ENCRYPTED),
        (b"\x93" * 40 + bytes.fromhex("000000010000000301"), OBJECT, Carried.FRAGMENT),
        (b"\x93" * 40 + bytes.fromhex("000000030000000301"), OBJECT, Carried.ENCRYPTED),
        (b"\x93" * 40 + bytes.fromhex("000000000000000101"), OBJECT, Carried.ENCRYPTED),
        (b"\x01", OBJECT, Carried.UNKNOWN),
    ],
)
def test_what_has_no_magic(message: bytes, options: int, said: Carried) -> None:
    """What claims to be an object and is none was encrypted, if it is long enough, or is a later fragment."""
    assert say(message, options).carried is said


@pytest.mark.parametrize("tampered", [70, 100, 250])
def test_another_descriptor_gives_the_class_alone(tampered: int) -> None:
    """One byte in which the descriptor differs, and no field is believed."""
    message = bytearray(carried("frames", "session-evt-13").message)
    message[tampered] ^= 1
    assert say(bytes(message)) == Message(
        Carried.SESSION, "", "org.apache.catalina.ha.session.SessionMessageImpl"
    )


def test_unknown_events_are_numbers() -> None:
    """An event that no Tomcat of today has is told as it is."""
    message = bytearray(carried("frames", "session-evt-13").message)
    message[283:287] = (99).to_bytes(4)
    assert say(bytes(message)).name == "session:99"


@pytest.mark.parametrize("context", [b"0123456789ABCDEF.node1", b"a#\x1b[2J", b"#" * 256])
def test_contexts_that_are_none(context: bytes) -> None:
    """What stands for a context but does not look like one, or is not printable, is not told."""
    message = carried("frames", "session-evt-13").message
    place = message.index(b"t\0\x0flocalhost#/shop")
    forged = message[:place] + b"t" + len(context).to_bytes(2) + context + message[place + 18 :]
    assert say(forged).context == ""


def test_rpc_in_rpc_is_not_followed() -> None:
    """A message may be wrapped once; nesting it a thousand times costs nothing."""
    rpc = spell(("org.apache.catalina.tribes.group.RpcMessage", 0x712A750FF274E509, ()), flags=EXTERNALIZABLE)
    block = b"w\x1b\0" + (16).to_bytes(4) + bytes(16) + (2).to_bytes(4) + b"#m"
    message = say(STREAM + (rpc + block) * 10_000)
    assert (message.name, message.context) == ("rpc:rpc", "#m")


SAMPLES = [vector("frames", each.name) for each in vectors("frames") if each.expect.get("messages")]


@given(
    st.binary(max_size=80)
    | damaged(st.sampled_from([each.data for each in vectors("messages")]))
    | damaged(st.sampled_from(SAMPLES).map(lambda data: data[128:])),
    st.integers(-(2**31), 2**31 - 1),
)
def test_any_message_has_a_name(message: bytes, options: int) -> None:
    """Any bytes are named, in printable words."""
    said = say(message, options)
    assert all(text.isprintable() for text in (said.name, said.context, said.java_class))


# -- secrets

IDS = re.compile(rb"[0-9A-F]{32}(?:\.[!-~]+)?|SID\d+|SECRET[A-Z]*")


def recorded() -> list[Frame]:
    """Return every message of the vectors and captures."""
    found = [parse_data(data) for sample in SAMPLES for data in split(sample)]
    for capture in CAPTURES:
        readers: dict[object, Reader] = {}
        for direction, chunk in segments(capture):
            found += map(parse_data, readers.setdefault(direction, Reader()).feed(chunk))
    return [frame for frame in found if isinstance(frame, Frame)]


def test_session_ids_never_leave() -> None:
    """No value that is said of a message holds a session id that the message holds, or a part of one."""
    kept = 0
    for frame in recorded():
        ids = {each.decode() for each in IDS.findall(frame.message)}
        kept += len(ids)
        said = every_text(msgspec.to_builtins(name(frame))) + repr(name(frame)) + repr(frame)
        assert not [each for each in ids if each[:12] in said]
    assert kept > 1_000


def every_text(values: dict[str, Any]) -> str:
    """Join all values of what was said."""
    return " ".join(map(str, values.values()))
