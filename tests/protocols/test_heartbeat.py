"""The membership datagram against Tomcat's own reading of it, and the memory against the grammar."""

import hashlib
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.wire import (
    EFFECTS,
    HEARTBEATS,
    Vector,
    damaged,
    ends_early,
    members,
    outcome,
    unjudged,
    vector,
    vectors,
)

from protocols.heartbeat import (
    BEGIN,
    GOODBYE,
    UDP_LIMIT,
    Decoder,
    Heartbeat,
    Layout,
    Member,
    Oddity,
    address_name,
    encode,
    is_heartbeat,
    parse,
)
from protocols.malformed import Effect, Malformed, Reason

MEMBERS = vectors("members")
SOUND = [each for each in MEMBERS if "error" not in each.expect]
REFUSED = [each for each in MEMBERS if "error" in each.expect and each.data.startswith(BEGIN)]
ELSEWHERE = [each for each in MEMBERS if not each.data.startswith(BEGIN)]

ODDITIES = {
    "command-near-miss-lowercase": (Oddity.UNKNOWN_COMMAND,),
    "command-other": (Oddity.UNKNOWN_COMMAND,),
    "port-minus-1": (Oddity.PORT,),
    "port-0": (Oddity.PORT,),
    "alive-epoch-now": (Oddity.ALIVE_IS_EPOCH,),
    "alive-negative": (Oddity.ALIVE_NEGATIVE,),
    "host-len-3": (Oddity.HOST_LENGTH,),
    "host-len-5": (Oddity.HOST_LENGTH,),
    "host-len-127": (Oddity.HOST_LENGTH,),
    "two-members-in-one": (Oddity.TRAILING_BYTES,),
    "bodylen-short-of-fields": (Oddity.TRAILING_BYTES, Oddity.BODY_LENGTH_SHORT),
    "payloadlen-1": (Oddity.FIELDS_OVER_END_MARKER,),
    "payloadlen-10": (Oddity.FIELDS_OVER_END_MARKER,),
    "payloadlen-11-with-trailing": (Oddity.TRAILING_BYTES, Oddity.FIELDS_OVER_END_MARKER),
}


def named(each: Vector) -> str:
    """Name a case by its vector."""
    return each.name


def fields(heartbeat: Heartbeat) -> dict[str, Any]:
    """Spell a heartbeat as the vectors do."""
    member = heartbeat.member
    return {
        "host_hex": member.host.hex(),
        "port": member.port,
        "secure_port": member.secure_port,
        "udp_port": member.udp_port,
        "alive_ms": heartbeat.alive_ms,
        "unique_id_hex": member.unique_id.hex(),
        "command_hex": member.command.hex(),
        "shutdown": member.is_goodbye,
        "domain_hex": member.domain.hex(),
        "payload_hex": member.payload.hex(),
        "payload_len": len(member.payload),
        "payload_sha256": hashlib.sha256(member.payload).hexdigest(),
    }


@pytest.mark.parametrize("each", SOUND, ids=named)
def test_reads_what_a_tomcat_reads(each: Vector) -> None:
    """Every field is what MemberImpl.getMember found, and slack is named."""
    heartbeat = parse(each.data)
    java_names = {name: each.expect[name] for name in ("hostname", "name")}
    assert fields(heartbeat) | each.expect == fields(heartbeat) | java_names
    assert heartbeat.oddities == ODDITIES.get(each.name, ())


@pytest.mark.parametrize("each", [each for each in SOUND if each.name not in ODDITIES], ids=named)
def test_writes_what_a_tomcat_writes(each: Vector) -> None:
    """A heartbeat without slack is written back byte for byte."""
    assert encode(parse(each.data)) == each.data


@pytest.mark.parametrize("each", REFUSED, ids=named)
def test_refuses_with_the_effect_on_a_tomcat(each: Vector) -> None:
    """The Java exception decides whether the bytes are ignored, stall the receiver thread or kill it."""
    with pytest.raises(Malformed) as refused:
        parse(each.data)
    assert refused.value.effect is EFFECTS[each.expect["error"]]


@pytest.mark.parametrize("each", ELSEWHERE, ids=named)
def test_what_does_not_begin_with_the_marker(each: Vector) -> None:
    """Such a datagram never reaches getMember: it is taken for a broadcast, and ignored."""
    assert outcome(parse, each.data) == (Reason.BEGIN_MARKER, Effect.IGNORED)


@pytest.mark.parametrize("each", vectors("tomcat6"), ids=named)
def test_tomcat_6(each: Vector) -> None:
    """The older layout is read and named, and written back byte for byte."""
    heartbeat = parse(each.data)
    assert heartbeat.member.layout is Layout.TOMCAT_6
    assert Oddity.LEGACY_LAYOUT in heartbeat.oddities
    assert fields(heartbeat) | each.expect == fields(heartbeat)
    assert is_heartbeat(each.data)
    assert encode(heartbeat) == each.data


@given(HEARTBEATS)
def test_reading_undoes_writing(heartbeat: Heartbeat) -> None:
    """Whatever a member says of itself, of either layout, comes back as it was said."""
    assert unjudged(parse(encode(heartbeat))) == heartbeat


@given(st.binary(max_size=200) | damaged(HEARTBEATS.map(encode)) | ends_early())
def test_any_bytes(data: bytes) -> None:
    """Any bytes give a heartbeat or a refusal; what is read without oddity is written back as it was."""
    read = outcome(parse, data)
    if isinstance(read, Heartbeat) and not read.member.oddities:
        assert encode(read) == data


@given(damaged(HEARTBEATS.map(encode)), st.binary(min_size=1, max_size=30))
def test_a_block_with_more_behind_it(data: bytes, more: bytes) -> None:
    """A sound block is read alike whatever stands behind it."""
    read = outcome(parse, data)
    if isinstance(read, Heartbeat):
        assert parse(data + more, len(data)) == read


# -- the memory


@given(
    st.lists(damaged(HEARTBEATS.map(encode)) | ends_early(), max_size=6),
    st.lists(st.binary(min_size=8, max_size=8), min_size=1, max_size=4),
    st.integers(1, 4),
)
@example([vector("members", "ipv4-minimal")], [bytes(8)], 1)
def test_memory_changes_nothing(datagrams: list[bytes], alive: list[bytes], size: int) -> None:
    """Cold and warm, with any alive time set into any bytes, the decoder gives what the grammar gives."""
    decoder = Decoder(size, longest=120)
    for _ in range(2):
        for data in datagrams:
            for at in alive:
                told = data[:14] + at + data[22:] if len(data) >= 22 else data
                assert outcome(decoder.decode, told) == outcome(parse, told)
                assert len(decoder) <= 2 * size


def test_end_marker_inside_the_alive_time_is_not_remembered() -> None:
    """Where another check looks at the alive time's bytes, a remembered member would hide the refusal."""
    data = bytearray(vector("members", "ipv4-minimal"))
    data[10:14] = (2).to_bytes(4)
    data[16:26] = b"TRIBES-E\x01\x00"
    decoder = Decoder()
    assert decoder.decode(bytes(data)) == parse(bytes(data))
    assert len(decoder) == 0
    data[16] ^= 1
    assert outcome(decoder.decode, bytes(data)) == (Reason.END_MARKER, Effect.STALLS)


def test_a_known_member_is_recalled() -> None:
    """The second heartbeat of a member gives the very same member, with its own alive time."""
    decoder = Decoder()
    member = Member(b"\x0a\0\0\x07", 4000, bytes(16))
    assert decoder.recall(encode(Heartbeat(member, 1))) is None
    first = decoder.decode(encode(Heartbeat(member, 1)))
    second = decoder.recall(encode(Heartbeat(member, 2)))
    assert second is not None
    assert second.member is first.member
    assert second.alive_ms == 2


def test_a_flood_is_forgotten_first() -> None:
    """Members heard now and then survive any number of strangers; the memory stays within its bound."""
    decoder = Decoder(size=10)
    real = encode(Heartbeat(Member(b"\x0a\0\0\x07", 4000, bytes(16)), 1))
    decoder.decode(real)
    for number in range(1_000):
        decoder.decode(encode(Heartbeat(Member(number.to_bytes(4), 4000, bytes(16)), 1)))
        assert len(decoder) <= 20
        if number % 9 == 0:
            assert decoder.recall(real) is not None


@pytest.mark.parametrize("name", ["shutdown", "payload-60000"])
def test_what_is_not_remembered(name: str) -> None:
    """A goodbye comes once, and a long datagram costs too much memory: both are read afresh."""
    decoder = Decoder()
    data = vector("members", name)
    assert decoder.decode(data) == parse(data)
    assert len(decoder) == 0


# -- the rest


def test_goodbye_is_an_exact_word() -> None:
    """Only BABY-ALEX says goodbye."""
    assert Member(b"", 1, b"", command=GOODBYE).is_goodbye
    assert not Member(b"", 1, b"", command=GOODBYE.lower()).is_goodbye


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("0a000007", "10.0.0.7:4000"),
        ("20010db8000000000000000000000007", "[2001:db8::7]:4000"),
        ("010203", "0x010203:4000"),
        ("", "0x:4000"),
    ],
)
def test_names(host: str, name: str) -> None:
    """A member is called by its address, an impossible one by its bytes."""
    assert address_name(bytes.fromhex(host), 4000) == name
    assert Member(bytes.fromhex(host), 4000, bytes(16)).name == name


@given(members(), members())
def test_address_is_host_and_port(one: Member, other: Member) -> None:
    """Two members share a key exactly when they share host and port."""
    same = (one.host, one.port) == (other.host, other.port)
    assert (one.address == other.address) == same


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (Member(bytes(128), 1, bytes(16)), "host of 128 bytes: at most 127 fit the length field"),
        (
            Member(bytes(4), 1, bytes(16), payload=bytes(UDP_LIMIT)),
            "heartbeat of 65584 bytes: UDP carries at most 65507",
        ),
    ],
)
def test_what_cannot_be_written(member: Member, message: str) -> None:
    """What no Tomcat could send is refused with the reason."""
    with pytest.raises(ValueError, match=message):
        encode(Heartbeat(member, 0))


def test_largest_datagram() -> None:
    """A payload up to the UDP limit is written and read."""
    heartbeat = Heartbeat(Member(bytes(4), 1, bytes(16), payload=bytes(UDP_LIMIT - 77)), 0)
    assert parse(encode(heartbeat)) == heartbeat
