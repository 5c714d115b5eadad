"""Datagrams and frames in words: the contract of ``decode --json``, on vectors, captures and broken streams."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.wire import CAPTURES, FRAMES, HEARTBEATS, VECTORS, damaged, segments, vectors

from probe.decode import MOST_STREAMS, Capture, Describer, read_hex, text
from protocols.frame import Acknowledgement, Frame, Reader, encode_frame, parse_data, wrap
from protocols.heartbeat import GOODBYE, Heartbeat, Member, encode
from protocols.malformed import Malformed
from protocols.packet import SYN, Segment
from protocols.pcap import Packet, read

MEMBER = {
    "host",
    "port",
    "secure_port",
    "udp_port",
    "alive_ms",
    "unique_id",
    "command",
    "domain",
    "payload_length",
    "oddities",
}
KEYS = {
    "heartbeat": {"kind", *MEMBER},
    "goodbye": {"kind", *MEMBER},
    "frame": {"kind", "options", "timestamp_ms", "id", "sender", "message", "length"},
    "ack": {"kind"},
    "fail-ack": {"kind"},
    "malformed": {"kind", "reason", "effect"},
    "foreign": {"kind"},
}
PLACE = {"time", "source", "destination"}
ALICE = Heartbeat(Member(bytes((10, 0, 0, 7)), 4000, bytes(range(16))), 12345)


def describe(capture: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Return a capture's records and the notes on what was left out."""
    decoding = Capture()
    with capture.open("rb") as file:
        return list(decoding.describe(read(file))), decoding.notes()


DATAGRAMS: dict[str, tuple[bytes, dict[str, Any]]] = {
    "a heartbeat": (
        encode(ALICE),
        {
            "kind": "heartbeat",
            "host": "10.0.0.7",
            "port": 4000,
            "secure_port": -1,
            "udp_port": -1,
            "alive_ms": 12345,
            "unique_id": "000102030405060708090a0b0c0d0e0f",
            "command": "",
            "domain": "",
            "payload_length": 0,
            "oddities": [],
        },
    ),
    "an acknowledgement": (encode_frame(Acknowledgement.ACK), {"kind": "ack"}),
    "a refusal": (encode_frame(Acknowledgement.FAIL_ACK), {"kind": "fail-ack"}),
    "a broken end marker": (
        encode(ALICE)[:-1] + b"\x07",
        {"kind": "malformed", "reason": "end-marker", "effect": "stalls"},
    ),
    "something else": (b"M-SEARCH * HTTP/1.1", {"kind": "foreign"}),
    "nothing": (b"", {"kind": "foreign"}),
}


@pytest.mark.parametrize(("data", "expected"), DATAGRAMS.values(), ids=DATAGRAMS)
def test_a_datagram_becomes_one_record(data: bytes, expected: dict[str, Any]) -> None:
    """The record is the contract's, the first time and when the member is known."""
    describer = Describer()
    assert describer.datagram(data) == describer.datagram(data) == [expected]


def test_a_frame_names_its_sender_and_message() -> None:
    """The record of a frame holds its header, its sender as in a heartbeat, and what it carries."""
    [record] = Describer().datagram(encode_frame(Frame(ALICE, b"", 3, 99, bytes(16))))
    assert record == {
        "kind": "frame",
        "options": 3,
        "timestamp_ms": 99,
        "id": "00" * 16,
        "sender": {key: value for key, value in DATAGRAMS["a heartbeat"][1].items() if key != "kind"},
        "message": "empty",
        "length": 0,
    }


def test_several_frames_in_one_datagram_are_several_records() -> None:
    """A broadcast may hold more than one frame."""
    both = encode_frame(Frame(ALICE, b"")) + encode_frame(Acknowledgement.ACK)
    assert [record["kind"] for record in Describer().datagram(both)] == ["frame", "ack"]


@pytest.mark.parametrize("name", ["members", "tomcat6", "frames"])
def test_every_vector_keeps_the_contract(name: str) -> None:
    """Every recorded vector, sound or broken, becomes records of a known kind with exactly its keys."""
    for vector in vectors(name):
        for record in Describer().datagram(vector.data):
            assert record.keys() == KEYS[record["kind"]], vector.name
            assert text(record).isprintable(), vector.name


@given(damaged(st.builds(encode, HEARTBEATS) | st.builds(encode_frame, FRAMES)))
def test_no_bytes_break_the_contract(data: bytes) -> None:
    """Whatever the bytes, the record has its kind's keys and its text is one printable line."""
    for record in Describer().datagram(data):
        assert record.keys() == KEYS[record["kind"]]
        assert text(record).isprintable()


@given(st.lists(damaged(st.builds(encode_frame, FRAMES)), max_size=4), st.data())
def test_a_remembered_sender_changes_nothing(frames: list[bytes], draw: st.DataObject) -> None:
    """A frame is described alike whether its sender was met before or not, down to the refusal."""
    used = Describer()
    for data in draw.draw(st.permutations(frames * 2)):
        inner = data[11:-7]
        assert used.frame(inner) == Describer().frame(inner)


COUNTS = {
    "00-form": {"heartbeat": 36, "frame": 12, "ack": 2},
    "a-steady": {"heartbeat": 366},
    "e-sigstop": {"heartbeat": 153, "frame": 18, "ack": 6},
    "o-ipv6": {"heartbeat": 52, "frame": 2, "goodbye": 4},
    "p-sync-ack": {"heartbeat": 66, "frame": 960, "ack": 960},
}


@pytest.mark.parametrize(("name", "expected"), COUNTS.items())
def test_captures_are_told_whole(name: str, expected: dict[str, int]) -> None:
    """Real captures give every heartbeat, frame and answer in them, and nothing is left out."""
    records, notes = describe(VECTORS / "captures" / f"{name}.pcap")
    assert Counter(record["kind"] for record in records) == expected
    assert notes == []


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_capture_records_say_when_and_between_whom(capture: Path) -> None:
    """Each record of a capture has time, source and destination beside its contract, in order of time."""
    records, _ = describe(capture)
    assert all(record.keys() == KEYS[record["kind"]] | PLACE for record in records)
    times = [record["time"] for record in records]
    assert times == sorted(times)


@pytest.mark.parametrize("capture", CAPTURES, ids=lambda path: path.stem)
def test_frames_are_those_of_an_independent_reassembly(capture: Path) -> None:
    """The frames found are, direction by direction, those of scapy's segments put through the reader."""
    readers: dict[object, Reader] = {}
    expected: Counter[int] = Counter()
    for direction, payload in segments(capture):
        for data in readers.setdefault(direction, Reader()).feed(payload):
            content = parse_data(data)
            expected[content.length if isinstance(content, Frame) else -1] += 1
    records, _ = describe(capture)
    found = Counter(record.get("length", -1) for record in records if record["kind"] in {"frame", "ack"})
    assert found == expected


def test_no_session_id_is_said() -> None:
    """Nothing of a replicated session but its event and size leaves a capture."""
    records, _ = describe(VECTORS / "captures" / "p-sync-ack.pcap")
    raw = (VECTORS / "captures" / "p-sync-ack.pcap").read_bytes()
    secrets = set(re.findall(rb"(?<![0-9A-F])[0-9A-F]{32}(?![0-9A-F])", raw))
    said = repr(records) + "".join(map(text, records))
    assert secrets
    assert not [secret for secret in secrets if secret.decode() in said]
    assert {record["message"].partition(":")[0] for record in records if record["kind"] == "frame"} == {
        "session"
    }


# -- streams


def tcp(sequence: int, payload: bytes, port: int = 1, flags: int = 0x10) -> Segment:
    """Return a segment to a receiver."""
    return Segment(b"\x0a\0\0\1", port, b"\x0a\0\0\2", 4000, sequence, flags, payload, len(payload))


def stream(monkeypatch: pytest.MonkeyPatch, *content: Segment) -> tuple[list[str], list[str]]:
    """Return the kinds of record of a capture of these segments, and its notes."""
    monkeypatch.setattr("probe.decode.dissect", lambda packet: content[int(packet.at)])
    capture = Capture()
    records = list(capture.describe(Packet(float(n), 1, b"", 0) for n in range(len(content))))
    return [record["kind"] for record in records], capture.notes()


ACK = encode_frame(Acknowledgement.ACK)
START = tcp(0, b"", flags=SYN)
STREAMS = {
    "whole": ([START, tcp(1, ACK + ACK)], ["ack", "ack"], []),
    "byte by byte": ([START, *(tcp(1 + n, ACK[n : n + 1]) for n in range(21))], ["ack"], []),
    "HTTP": ([START, tcp(1, b"GET / HTTP/1.1\r\n"), tcp(17, ACK)], ["foreign"], []),
    "from the middle on": ([tcp(9, b"rest of a frame" + ACK[:3]), tcp(27, ACK[3:] + ACK)], ["ack", "ack"], []),
    "a broken footer": (
        [START, tcp(1, ACK[:-1] + b"!"), tcp(22, ACK)],
        ["malformed"],
        [],
    ),
    "a connection on the same ports": (
        [START, tcp(1, ACK[:9]), tcp(500, b"", flags=SYN), tcp(501, ACK)],
        ["ack"],
        [],
    ),
    "ends inside a frame": ([START, tcp(1, ACK[:9])], [], ["1 TCP streams end inside a frame"]),
    "a segment not captured": (
        [START, tcp(1, ACK), *(tcp(43 + 21 * n, ACK) for n in range(1025))],
        ["ack"] * 1026,
        ["21 bytes of TCP streams are not in the capture; frames over them are left out"],
    ),
}


@pytest.mark.parametrize(("content", "kinds", "notes"), STREAMS.values(), ids=STREAMS)
def test_a_stream_gives_its_frames(
    content: list[Segment], kinds: list[str], notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However a connection was cut, its frames come once, and what is missing is said."""
    assert stream(monkeypatch, *content) == (kinds, notes)


def test_streams_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of more connections than are followed the one without traffic longest leaves."""
    content = [tcp(0, ACK[:9], port) for port in range(MOST_STREAMS + 1)]
    _, notes = stream(monkeypatch, *content)
    assert notes == [f"{MOST_STREAMS} TCP streams end inside a frame"]


# -- hex


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("00ff", b"\0\xff"),
        ("00 FF\n", b"\0\xff"),
        ("00:ff", b"\0\xff"),
        ("0x00ff", b"\0\xff"),
        ("  00ff  # a comment", b"\0\xff"),
        ("# only a comment", b""),
        ("\n", b""),
    ],
)
def test_hex_is_read_as_people_write_it(line: str, expected: bytes) -> None:
    """Spaces, colons, a leading 0x and comments do not count."""
    assert read_hex(line) == expected


@pytest.mark.parametrize("line", ["0g", "0", "TRIBES-B"])
def test_what_is_not_hex_is_refused(line: str) -> None:
    """Anything else is a ValueError."""
    with pytest.raises(ValueError, match="hex"):
        read_hex(line)


# -- text

TEXTS = {
    "heartbeat": (encode(ALICE), "heartbeat 10.0.0.7:4000 alive 12.345 s id 000102030405060708090a0b0c0d0e0f"),
    "goodbye with everything": (
        encode(
            Heartbeat(
                Member(bytes(15) + b"\1", 4000, bytes(16), command=GOODBYE, domain=b"\x07x", payload=b"abc"), -5
            )
        ),
        (
            "goodbye [::1]:4000 alive -0.005 s id 00000000000000000000000000000000, domain '\\x07x', "
            "payload 3 bytes, odd: alive-negative"
        ),
    ),
    "ack": (ACK, "ack"),
    "malformed": (
        encode(ALICE)[:-1] + b"!",
        "malformed: end-marker; a Tomcat that hears it is deaf for 500 ms",
    ),
    "frame": (
        encode_frame(Frame(ALICE, b"", -1)),
        (
            "frame empty (0 bytes, options 0xffffffff) from 10.0.0.7:4000 alive 12.345 s "
            "id 000102030405060708090a0b0c0d0e0f"
        ),
    ),
}


@pytest.mark.parametrize(("data", "expected"), TEXTS.values(), ids=TEXTS)
def test_a_record_in_words(data: bytes, expected: str) -> None:
    """A person reads one line."""
    assert [text(record) for record in Describer().datagram(data)] == [expected]


def test_a_frame_that_is_none_is_malformed() -> None:
    """A frame whose data is no message is refused by reason."""
    with pytest.raises(Malformed):
        parse_data(b"short")
    assert Describer().datagram(wrap(b"short"))[0]["kind"] == "malformed"
