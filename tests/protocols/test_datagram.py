"""Datagrams of which nothing is known, told apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.wire import FRAMES, HEARTBEATS, damaged, vector, vectors

from protocols.datagram import classify
from protocols.frame import Acknowledgement, Frame, encode_frame, parse_data, split
from protocols.heartbeat import Decoder, Heartbeat, encode, parse
from protocols.malformed import Effect, Malformed, Reason

ACK = vector("frames", "ack")
BROKEN = vector("frames", "uid-len-negative")


def test_heartbeats() -> None:
    """What begins with the marker of either layout is a heartbeat."""
    for data in (vector("members", "ipv4-minimal"), vector("members", "shutdown"), vector("tomcat6", "plain")):
        assert classify(data) == (parse(data),)


def test_frames() -> None:
    """What begins with the header of a frame is a broadcast: all its frames, answers among them."""
    test = vector("frames", "tfd-test-default")
    assert classify(test + ACK + b"...") == (parse_data(split(test)[0]), Acknowledgement.ACK)


@pytest.mark.parametrize("data", [b"", b"T", b"GET / HTTP/1.0\r\n\r\n", b"\x00FLT2002", b"TRIBES"])
def test_foreign(data: bytes) -> None:
    """What begins with neither is nothing of Tribes."""
    assert classify(data) == ()


@pytest.mark.parametrize(
    ("data", "reasons"),
    [
        (vector("members", "bad-end-flipped"), [(Reason.END_MARKER, Effect.STALLS)]),
        (vector("members", "bad-begin-version-2"), [(Reason.BEGIN_MARKER, Effect.IGNORED)]),
        (vector("frames", "partial-half"), [(Reason.FRAME_LENGTH, Effect.IGNORED)]),
        (BROKEN, [(Reason.MESSAGE_ID_LENGTH, Effect.STALLS)]),
        (BROKEN + BROKEN, [(Reason.MESSAGE_ID_LENGTH, Effect.STALLS)] * 2),
    ],
)
def test_malformed(data: bytes, reasons: list[tuple[Reason, Effect]]) -> None:
    """What begins rightly and goes on wrongly is refused, each frame by itself."""
    refused = [each for each in classify(data) if isinstance(each, Malformed)]
    assert [(each.reason, each.effect) for each in refused] == reasons


@pytest.mark.parametrize("each", vectors("members"), ids=lambda each: each.name)
def test_routed_as_a_tomcat_routes(each: tuple[str, bytes, object]) -> None:
    """No vector that begins otherwise is taken for a member."""
    content = classify(each[1])
    assert any(isinstance(part, Heartbeat) for part in content) <= each[1].startswith(b"TRIBES-B\x01\x00")


@given(st.binary(max_size=100) | damaged(HEARTBEATS.map(encode)) | damaged(FRAMES.map(encode_frame)))
def test_any_datagram(data: bytes) -> None:
    """Any bytes are something, with a memory as without."""
    content = classify(data)
    assert all(isinstance(part, Heartbeat | Frame | Acknowledgement | Malformed) for part in content)
    remembered = classify(data, Decoder().decode)
    assert list(map(repr, remembered)) == list(map(repr, content))
