"""The largest datagrams that UDP carries: their members are kept short, and can still be asked."""

import struct
from collections.abc import Iterator

import msgspec
import pytest
from support.members import Hearing, Node

from probe.model.membership import KEPT_LONGEST, STEADY_LONGEST
from probe.model.track import NOWHERE
from protocols.frame import question
from protocols.heartbeat import END, GOODBYE, UDP_LIMIT, Heartbeat, Member, encode, parse, splitter

NODE = Node()
_PAYLOAD = 14 + 8 + 12 + 1 + 4 + 4 + 4 + 16  # where the payload's length stands


def reaching_over_its_end(size: int) -> bytes:
    """Make a block whose body length finds the end marker early while its payload goes on to the last byte."""
    data = bytearray(encode(Heartbeat(msgspec.structs.replace(NODE.member, payload=END), 1000)))
    data += bytes(size - len(data))
    struct.pack_into(">i", data, _PAYLOAD, size - _PAYLOAD - 4)
    struct.pack_into(">i", data, 10, _PAYLOAD + 4 - 14)
    return bytes(data)


def long_members() -> Iterator[Heartbeat]:
    """Yield members that announce much more than a Tomcat does, in every field that is free."""
    for long in ({"payload": bytes(60_000)}, {"domain": b"d" * 60_000}, {"command": b"c" * 60_000}):
        yield Heartbeat(msgspec.structs.replace(NODE.member, **long), 1000)
    yield parse(reaching_over_its_end(UDP_LIMIT))


def kept(heartbeat: Heartbeat) -> Member:
    """Return what a table keeps of the sender."""
    hearing = Hearing()
    hearing.hear(heartbeat, 1.0)
    member = hearing.track(NODE).member
    assert member is not None
    return member


@pytest.mark.parametrize("heartbeat", list(long_members()))
def test_what_is_kept_of_a_long_member_is_short_and_can_be_asked(heartbeat: Heartbeat) -> None:
    """Whatever a member announces, the table does not grow by it and the liveness question fits."""
    member = kept(heartbeat)
    assert len(member.payload) + len(member.domain) + len(member.command) <= KEPT_LONGEST
    assert member.address == NODE.address
    assert member.unique_id == NODE.member.unique_id
    assert len(question(member, message_id=bytes(16), timestamp_ms=0)) < 2 * KEPT_LONGEST


def test_a_member_of_ordinary_length_is_kept_whole() -> None:
    """A payload that fits a packet is carried by the question as it was announced."""
    member = msgspec.structs.replace(NODE.member, payload=bytes(1_000), domain=b"cluster")
    assert kept(Heartbeat(member, 1000)) is member


def test_a_long_goodbye_is_one() -> None:
    """Cutting leaves the command that says goodbye."""
    hearing = Hearing()
    hearing.hear(NODE.beat(1.0), 1.0)
    member = msgspec.structs.replace(NODE.member, command=GOODBYE, payload=bytes(60_000))
    [event] = hearing.hear(Heartbeat(member, 2000), 2.0)
    assert event.kind == "left"


def test_a_long_foreign_domain_makes_a_short_line() -> None:
    """The event about a stranger's domain shows its start only."""
    hearing = Hearing(msgspec.structs.replace(Hearing().membership.rules, domain=b"ours"))
    events = hearing.hear(Heartbeat(msgspec.structs.replace(NODE.member, domain=b"\xff" * 60_000), 1000), 1.0)
    assert "stranger" in [event.kind for event in events]
    assert all(len(event.text) < 4 * KEPT_LONGEST for event in events)


def test_lengths_that_nobody_keeps_leave_nothing_behind() -> None:
    """Datagrams of every length up to the limit make no more splitters than lengths are remembered."""
    splitter.cache_clear()
    membership = Hearing().membership
    for length in range(0, UDP_LIMIT, 7):
        assert [each[0] for each in membership.news([(bytes(length), 1.0, NOWHERE)])]
    assert splitter.cache_info().currsize <= STEADY_LONGEST


@pytest.mark.parametrize("alive_ms", [-(2**63), -1, 0, 1, 2**31, 10**12 - 1, 10**12, 2**63 - 1])
def test_any_alive_time_is_heard_whatever_came_before(alive_ms: int) -> None:
    """An alive time is the sender's word: however far it steps, forth or back, the member stays heard."""
    hearing = Hearing()
    hearing.beats(NODE, (n / 2 for n in range(20)))
    for n, alive in enumerate((alive_ms, 10_000, alive_ms, alive_ms, -alive_ms if alive_ms > 0 else 5)):
        hearing.hear(Heartbeat(NODE.member, alive), 10.0 + n / 2)
    assert hearing.track(NODE).last_heard == 12.0
