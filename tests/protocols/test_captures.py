"""Whole clusters as they were recorded: every byte between Tomcats is understood."""

from collections import Counter
from pathlib import Path

import pytest
from support.wire import CAPTURES, datagrams, segments

from protocols.datagram import classify
from protocols.frame import Acknowledgement, Frame, Reader, encode_frame, parse_data, wrap
from protocols.heartbeat import Decoder, Heartbeat, encode
from protocols.message import name

HEARTBEATS = {
    "00-form": 36,
    "a-steady": 366,
    "c-kill9": 58,
    "d-restart": 54,
    "e-sigstop": 153,
    "f-part-mcast": 204,
    "f4-split-seen-from-node1": 132,
    "f4-split-seen-from-node3": 102,
    "h-127-1": 415,
    "l-fast-restart": 81,
    "n-encrypt-domain-payload": 33,
    "o-ipv6": 56,
    "p-sync-ack": 66,
}
START = {
    "liveness-test": 6,
    "session:GET_ALL_SESSIONS": 2,
    "session:ALL_SESSION_DATA": 2,
    "session:ALL_SESSION_TRANSFERCOMPLETE": 2,
    "ACK": 2,
}
MESSAGES = {
    "00-form": START,
    "a-steady": {},
    "c-kill9": {},
    "d-restart": {each: count - 1 if count == 2 else 4 for each, count in START.items()},
    "e-sigstop": {"liveness-test": 18, "ACK": 6},
    "f-part-mcast": {
        "liveness-test": 23,
        "session:SESSION_CREATED": 2,
        "session:SESSION_DELTA": 4,
        "session:CHANGE_SESSION_ID": 2,
    },
    "f4-split-seen-from-node1": {"liveness-test": 2},
    "f4-split-seen-from-node3": {"liveness-test": 4},
    "h-127-1": {"liveness-test": 2, "session:GET_ALL_SESSIONS": 1},
    "l-fast-restart": {
        "liveness-test": 10,
        "session:GET_ALL_SESSIONS": 1,
        "session:ALL_SESSION_DATA": 1,
        "session:ALL_SESSION_TRANSFERCOMPLETE": 1,
        "session:SESSION_CREATED": 3,
        "session:SESSION_DELTA": 3,
        "ACK": 1,
    },
    "n-encrypt-domain-payload": {"liveness-test": 11, "empty": 1, "ACK": 6},
    "o-ipv6": {"liveness-test": 2},
    "p-sync-ack": {
        "session:SESSION_CREATED": 240,
        "session:SESSION_DELTA": 480,
        "session:CHANGE_SESSION_ID": 240,
        "ACK": 960,
    },
}


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_heartbeats(capture: Path) -> None:
    """Every datagram on the group is a heartbeat, and is written back byte for byte."""
    decoder = Decoder()
    counted = 0
    for data in datagrams(capture):
        (heartbeat,) = classify(data, decoder.decode)
        assert isinstance(heartbeat, Heartbeat)
        assert encode(heartbeat) == data
        assert heartbeat.oddities == ()
        counted += 1
    assert counted == HEARTBEATS[capture.stem]


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_messages(capture: Path) -> None:
    """Every byte of every connection belongs to a frame, and every frame has a name."""
    readers: dict[object, Reader] = {}
    counted = Counter[str]()
    for direction, chunk in segments(capture):
        for data in readers.setdefault(direction, Reader()).feed(chunk):
            content = parse_data(data)
            assert encode_frame(content) == wrap(data)
            counted[content.name if isinstance(content, Acknowledgement) else named(content)] += 1
    assert counted == MESSAGES[capture.stem]
    assert not any(reader.waiting for reader in readers.values())


def named(frame: Frame) -> str:
    """Return what is said of a frame."""
    return name(frame).name
