"""Frames and messages against Tomcat's own reading of them, the liveness question, and its answer."""

import hashlib
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.wire import EFFECTS, FRAMES, Vector, damaged, outcome, unjudged, vector, vectors

from protocols.frame import (
    LIVENESS_TEST,
    LONGEST,
    OVERHEAD,
    Acknowledgement,
    Frame,
    Option,
    Reader,
    encode_frame,
    end_of_frame,
    option_names,
    parse_data,
    question,
    read_answer,
    split,
    wrap,
)
from protocols.heartbeat import GOODBYE, Heartbeat, Member, Oddity, encode
from protocols.malformed import Effect, Malformed, Reason

STREAMS = vectors("frames")
GIVEN_UP = {
    "garbage-http": Reason.FRAME_HEADER,
    "garbage-before-header": Reason.FRAME_HEADER,
    "header-lowercase": Reason.FRAME_HEADER,
    "length-int-max": Reason.FRAME_LENGTH,
    "length-int-min": Reason.FRAME_LENGTH,
    "length-minus-11": Reason.FRAME_FOOTER,
}
"""Streams that a Tomcat empties, keeps for ever or fails on."""
MESSAGES = [each for each in STREAMS if each.expect.get("messages")]
REFUSED = [each for each in STREAMS if each.expect["frames"] == 1 and "error" in each.expect]
ACKS = {"ack", "fail-ack"}
SLACK = {"message-len-smaller": 2, "data-trailing": 4}


def named(each: Vector) -> str:
    """Name a case by its vector."""
    return each.name


def read(chunks: list[bytes], longest: int = LONGEST) -> tuple[list[bytes], object, int]:
    """Return the frames of a stream read in chunks, why it was given up, and how many bytes wait."""
    reader = Reader(longest)
    found: list[bytes] = []
    try:
        for chunk in [*chunks, b""]:
            found += reader.feed(chunk)
    except Malformed as refused:
        return found, (refused.reason, refused.effect), reader.waiting
    return found, None, reader.waiting


# -- cutting streams


@pytest.mark.parametrize("each", STREAMS, ids=named)
def test_cuts_what_a_tomcat_cuts(each: Vector) -> None:
    """The frames, their data and what is left over are those of XByteBuffer, or the stream is given up."""
    found, refused, waiting = read([each.data])
    if each.name in GIVEN_UP:
        assert (found, refused, waiting) == ([], (GIVEN_UP[each.name], Effect.IGNORED), 0)
        return
    assert len(found) == each.expect["frames"]
    for data, expected in zip(found, each.expect.get("frame_data", []), strict=False):
        assert expected in {data.hex(), "sha256:" + hashlib.sha256(data).hexdigest()}
    assert refused is None
    assert waiting == each.expect.get("left", 0)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Cut bytes at places."""
    bounds = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(bounds)]


@given(
    st.lists(FRAMES.map(encode_frame), max_size=3).map(b"".join)
    | damaged(st.lists(FRAMES.map(encode_frame), max_size=3).map(b"".join)),
    st.lists(st.integers(0, 2_000), max_size=6),
    st.sampled_from([60, 250, LONGEST]),
)
def test_reads_may_fall_anywhere(data: bytes, places: list[int], longest: int) -> None:
    """However a stream is cut, its frames and its end are those of the whole; and so byte by byte."""
    whole = read([data], longest)
    assert read(cut(data, places), longest) == whole
    assert read([bytes([byte]) for byte in data], longest) == whole
    assert whole[2] <= longest + OVERHEAD


def test_frames_before_garbage_are_not_lost() -> None:
    """The frames of a stream are given before it is given up, once and for all."""
    reader = Reader()
    frame = vector("frames", "ack")
    assert reader.feed(frame + b"GET / HTTP/1.0\r\n") == [b"\x06\x02\x03"]
    for chunk in (b"", frame):
        with pytest.raises(Malformed, match="frame-header"):
            reader.feed(chunk)
        assert reader.waiting == 0


def test_a_claimed_length_takes_no_memory() -> None:
    """A reader holds what came, not what was announced; above its limit it gives up at the length."""
    claim = b"FLT2002" + LONGEST.to_bytes(4)
    reader = Reader()
    assert reader.feed(claim) == []
    assert reader.waiting == len(claim)
    with pytest.raises(Malformed, match="frame-length"):
        Reader(LONGEST - 1).feed(claim)


# -- datagrams


@given(st.lists(FRAMES, min_size=1, max_size=3), st.binary(max_size=7))
def test_several_frames_in_a_datagram(frames: list[Frame], rest: bytes) -> None:
    """All frames are found in order; what is no frame behind them does not matter."""
    assert [wrap(data) for data in split(b"".join(map(encode_frame, frames)) + rest)] == list(
        map(encode_frame, frames)
    )


ACK = vector("frames", "ack")


@pytest.mark.parametrize(
    ("data", "reason", "effect"),
    [
        (b"GET / HTTP", Reason.FRAME_HEADER, Effect.IGNORED),
        (ACK[:-1], Reason.FRAME_LENGTH, Effect.IGNORED),
        (ACK[:-1] + b"4", Reason.FRAME_FOOTER, Effect.IGNORED),
        (ACK + b"FLT2002" + (2**31 - 1).to_bytes(4), Reason.FRAME_LENGTH, Effect.IGNORED),
        (ACK + b"FLT2002" + (-40).to_bytes(4, signed=True), Reason.FRAME_LENGTH, Effect.IGNORED),
        (ACK + b"FLT2002" + (-18).to_bytes(4, signed=True), Reason.FRAME_LENGTH, Effect.KILLS),
        (ACK + ACK + b"FLT2002" + (-39).to_bytes(4, signed=True), Reason.FRAME_LENGTH, Effect.KILLS),
    ],
    ids=["no-frame", "cut", "footer", "overflow", "negative", "endless", "endless-from-afar"],
)
def test_datagrams_refused(data: bytes, reason: Reason, effect: Effect) -> None:
    """Counting throws all away where a position overflows, and never ends where it returns to a footer."""
    assert outcome(split, data) == (reason, effect)


@pytest.mark.parametrize(
    "rest",
    [b"x", b"garbage without header", ACK[:-1], ACK[:-1] + b"4", b"FLT2002" + (-20).to_bytes(4, signed=True)],
)
def test_what_follows_a_frame_is_ignored(rest: bytes) -> None:
    """A Tomcat takes the frames that a datagram begins with, and so does this."""
    assert split(ACK + rest) == [b"\x06\x02\x03"]


@given(st.binary(max_size=60) | damaged(FRAMES.map(encode_frame)))
def test_any_datagram(data: bytes) -> None:
    """Any bytes are frames or refused, and a whole frame ends where it says."""
    found = outcome(split, data)
    if isinstance(found, list):
        end = end_of_frame(data)
        assert end is not None
        assert data[:end] == wrap(found[0])


# -- messages


@pytest.mark.parametrize("each", MESSAGES, ids=named)
def test_reads_the_message_a_tomcat_reads(each: Vector) -> None:
    """Options, timestamp, id, sender and message are those of ChannelData; slack is told."""
    found = [parse_data(data) for data in read([each.data])[0]]
    for frame, expected in zip(found, each.expect["messages"], strict=True):
        assert isinstance(frame, Frame)
        assert spell(frame) | expected == spell(frame) | {"address": expected["address"]}
        address = expected["address"]
        assert frame.sender.member.host.hex() == address["host_hex"]
        assert frame.sender.member.unique_id.hex() == address["unique_id_hex"]
        assert (frame.sender.member.port, frame.sender.alive_ms) == (address["port"], address["alive_ms"])
        assert frame.slack == SLACK.get(each.name, 0)


def spell(frame: Frame) -> dict[str, Any]:
    """Spell a frame as the vectors do."""
    return {
        "options": frame.options,
        "timestamp": frame.timestamp_ms,
        "unique_id_hex": frame.id.hex(),
        "ack_async": frame.options & 6 == 2,
        "ack_sync": frame.options & 6 == 6,
        "message_len": frame.length,
        "message_hex": frame.message.hex(),
        "message_sha256": hashlib.sha256(frame.message).hexdigest(),
    }


@pytest.mark.parametrize("each", [each for each in MESSAGES if each.name not in SLACK], ids=named)
def test_writes_the_message_a_tomcat_writes(each: Vector) -> None:
    """What was read is written back byte for byte."""
    found = read([each.data])[0]
    assert each.data.startswith(b"".join(encode_frame(parse_data(data)) for data in found))


@pytest.mark.parametrize("each", REFUSED, ids=named)
def test_refuses_with_the_effect_on_a_tomcat(each: Vector) -> None:
    """Data that is no message has the effect of Java's exception; the two answers are no messages either."""
    (data,) = split(each.data)
    read_data = outcome(parse_data, data)
    if each.name in ACKS:
        assert isinstance(read_data, Acknowledgement)
        assert encode_frame(read_data) == each.data
    else:
        assert isinstance(read_data, tuple)
        assert read_data[1] is EFFECTS[each.expect["error"]]


MEMBER = Member(bytes([10, 0, 0, 7]), 4000, bytes(range(16)))
BLOCK = encode(Heartbeat(MEMBER, 5))
HEAD = bytes(15) + b"\x10" + bytes(16)  # options, timestamp, length of the id and the id


def i32(number: int) -> bytes:
    """Write a signed integer."""
    return number.to_bytes(4, signed=True)


@pytest.mark.parametrize(
    ("data", "reason", "effect"),
    [
        (b"", Reason.TRUNCATED_FIELDS, Effect.IGNORED),
        (bytes(12) + i32(-1), Reason.MESSAGE_ID_LENGTH, Effect.STALLS),
        (bytes(12) + i32(1), Reason.MESSAGE_ID_LENGTH, Effect.IGNORED),
        (bytes(12) + i32(2**31 - 1), Reason.MESSAGE_ID_LENGTH, Effect.KILLS),
        (HEAD + i32(77) + b"x" * 77, Reason.BEGIN_MARKER, Effect.STALLS),
        (HEAD + i32(13) + BLOCK, Reason.TOO_SMALL, Effect.IGNORED),
        (HEAD + i32(-1) + BLOCK, Reason.TOO_SMALL, Effect.IGNORED),
        (HEAD + i32(76) + BLOCK, Reason.BODY_LENGTH, Effect.IGNORED),
        (HEAD + i32(78) + BLOCK, Reason.MEMBER_LENGTH, Effect.IGNORED),
        (HEAD + i32(2**31 - 1) + BLOCK, Reason.MEMBER_LENGTH, Effect.KILLS),
        (HEAD + i32(77) + BLOCK[:-1] + b"x", Reason.END_MARKER, Effect.STALLS),
        (HEAD + i32(77) + BLOCK, Reason.TRUNCATED_FIELDS, Effect.IGNORED),
        (HEAD + i32(77) + BLOCK + i32(1), Reason.MESSAGE_LENGTH, Effect.IGNORED),
        (HEAD + i32(77) + BLOCK + i32(-1), Reason.MESSAGE_LENGTH, Effect.IGNORED),
        (HEAD + i32(77) + BLOCK + i32(2**31 - 1), Reason.MESSAGE_LENGTH, Effect.IGNORED),
    ],
)
def test_data_refused(data: bytes, reason: Reason, effect: Effect) -> None:
    """Each length has the effect of what Java does with it: allocate, search or copy."""
    assert outcome(parse_data, data) == (reason, effect)


def test_slack_in_the_sender_is_told() -> None:
    """Bytes behind a member block, inside the length it is given, are an oddity of the sender."""
    frame = parse_data(HEAD + i32(80) + BLOCK + b"xyz" + i32(0))
    assert isinstance(frame, Frame)
    assert frame.sender.oddities == (Oddity.TRAILING_BYTES,)


@given(FRAMES)
def test_reading_undoes_writing(frame: Frame) -> None:
    """A message comes back as it was written."""
    (data,) = split(encode_frame(frame))
    again = parse_data(data)
    assert isinstance(again, Frame)
    assert encode_frame(again) == encode_frame(frame)
    assert unjudged(again.sender) == frame.sender
    assert (again.message, again.options, again.timestamp_ms, again.id) == (
        frame.message,
        frame.options,
        frame.timestamp_ms,
        frame.id,
    )


def test_a_member_block_longer_than_its_fields_is_told() -> None:
    """A Tomcat passes over what stands between the fields and the end marker: accepted, and odd."""
    (data,) = split(encode_frame(Frame(Heartbeat(MEMBER, 5), b"", Option.BYTE_MESSAGE, 0, bytes(16))))
    head, block = data.split(BLOCK[:10])
    fields, rest = block[4:].split(b"TRIBES-E", 1)
    lengths = [(len(one) + more).to_bytes(4, "big") for one, more in ((BLOCK, 1), (fields, 1))]
    longer = head[:-4] + lengths[0] + BLOCK[:10] + lengths[1] + fields + b"\0TRIBES-E" + rest
    content = parse_data(longer)
    assert isinstance(content, Frame)
    assert content.sender.member.oddities == (Oddity.BODY_LENGTH_LONG,)


@given(st.binary(max_size=200) | damaged(FRAMES.map(encode_frame).map(lambda data: split(data)[0])))
def test_any_data(data: bytes) -> None:
    """Any bytes are a message, an answer or refused; without slack a message is written back as it was."""
    content = outcome(parse_data, data)
    if isinstance(content, Frame) and not content.slack and not content.sender.member.oddities:
        assert encode_frame(content) == wrap(data)


def test_a_frame_does_not_show_its_message() -> None:
    """Session ids are in messages: a frame's representation counts their bytes."""
    frame = parse_data(split(vector("frames", "session-evt-13"))[0])
    shown = "Frame(10.0.0.7:4000, 424 bytes, ASYNCHRONOUS, 1700000000123 ms, a0a1a2a3a4a5a6a7a8a9aaabacadaeaf)"
    assert repr(frame) == shown


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (0, ()),
        (7, ("BYTE_MESSAGE", "USE_ACK", "SYNCHRONIZED_ACK")),
        (0x108, ("ASYNCHRONOUS", "GZIP")),
        (0x278, ("ASYNCHRONOUS", "SECURE", "UDP", "MULTICAST", "0x200")),
        (-(2**31), ("0x80000000",)),
    ],
)
def test_option_names(options: int, names: tuple[str, ...]) -> None:
    """Bits go by the names of Channel, bits of applications by their value."""
    assert option_names(options) == names


# -- the liveness question


@pytest.mark.parametrize(("name", "stack"), [("tfd-test-with-ack", False), ("tfd-test-sync-ack", True)])
def test_question_is_what_a_tomcat_asks(name: str, *, stack: bool) -> None:
    """Byte for byte TcpFailureDetector with performReadTest, or the same asked of the whole stack."""
    recorded = parse_data(split(vector("frames", name))[0])
    assert isinstance(recorded, Frame)
    asked = question(
        recorded.sender.member,
        message_id=recorded.id,
        timestamp_ms=recorded.timestamp_ms,
        alive_ms=recorded.sender.alive_ms,
        stack=stack,
    )
    assert asked == vector("frames", name)


@given(FRAMES, st.integers(0, 2**31 - 1), st.booleans())
def test_question_never_harms(frame: Frame, option_flag: int, stack: bool) -> None:  # noqa: FBT001
    """Whoever is asked: bytes only, an answer wanted, no goodbye, the target's own identity, the exact text."""
    member = frame.sender.member
    asked = question(member, message_id=frame.id, timestamp_ms=1, option_flag=option_flag, stack=stack)
    content = parse_data(split(asked)[0])
    assert isinstance(content, Frame)
    wanted = Option.BYTE_MESSAGE | Option.USE_ACK | (Option.SYNCHRONIZED_ACK if stack else 0)
    assert content.options == wanted | option_flag
    assert content.message == LIVENESS_TEST
    block = content.sender.member
    assert (block.address, block.unique_id, block.domain) == (member.address, member.unique_id, member.domain)
    assert block.command == b""


def test_question_to_one_who_said_goodbye() -> None:
    """A goodbye heard last is not repeated in the question."""
    leaving = Member(MEMBER.host, MEMBER.port, MEMBER.unique_id, command=GOODBYE)
    asked = {question(member, message_id=bytes(16), timestamp_ms=1) for member in (MEMBER, leaving)}
    assert len(asked) == 1


FAIL_ACK = vector("frames", "fail-ack")
OTHER = wrap(b"\x06\x02\x04")


@pytest.mark.parametrize(
    ("chunks", "answers"),
    [
        ([ACK], [Acknowledgement.ACK]),
        ([FAIL_ACK], [Acknowledgement.FAIL_ACK]),
        ([ACK[:5], ACK[5:]], [None, Acknowledgement.ACK]),
        ([b"", ACK[:20]], [None, None]),
        ([OTHER, OTHER + ACK], [None, Acknowledgement.ACK]),
        ([wrap(b""), vector("frames", "tfd-test-default")], [None, None]),
        ([FAIL_ACK + ACK], [Acknowledgement.FAIL_ACK]),
        ([ACK + b"garbage garbage"], [Acknowledgement.ACK]),
    ],
)
def test_answers(chunks: list[bytes], answers: list[Acknowledgement | None]) -> None:
    """The first ACK or FAIL_ACK is the answer; any other frame is none, and one keeps waiting."""
    reader = Reader(1024)
    assert [read_answer(reader, chunk) for chunk in chunks] == answers


@pytest.mark.parametrize("chunk", [b"HTTP/1.1 400 Bad Request", b"FLT2002" + bytes.fromhex("00000401")])
def test_no_answer_will_come(chunk: bytes) -> None:
    """Who speaks another protocol, or announces too much, gives no answer."""
    with pytest.raises(Malformed):
        read_answer(Reader(1024), chunk)
