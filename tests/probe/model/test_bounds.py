"""What the network can fill has a size, a counter when it is hit, and a rule of who leaves first."""

import pytest
from support.members import PERIOD, Hearing, Node, Vantage

from probe.model.events import Kind
from probe.model.membership import REFUSALS_TOLD_EVERY
from probe.model.presence import Presence
from probe.model.rules import Rules
from probe.model.track import Origin
from protocols.heartbeat import Member, encode

SMALL = Rules(capacity=4)


def node(number: int) -> Node:
    """Return an invented member."""
    return Node(0x1000 + number)


def names(hearing: Hearing) -> list[int]:
    """Return the numbers of the invented members that are known."""
    return sorted(int.from_bytes(track.address[2:4]) - 0x1000 for track in hearing.membership)


def test_the_defaults() -> None:
    """Without settings 16,384 members fit and 500 strangers a second are taken in at first sight."""
    assert (Rules().capacity, Rules().strangers_per_second) == (16_384, 500)


def test_the_table_is_full_at_its_capacity() -> None:
    """The 16,384th member is taken in, the next refused and counted, and memory of it is not kept."""
    hearing = Hearing()
    for n in range(16_384):
        hearing.membership.hear(Node(1, port=n + 1).beat(1.0), 1.0)
    assert (len(hearing.membership), hearing.membership.overflow) == (16_384, 0)
    [refused] = hearing.membership.hear(Node(2).beat(1.0), 1.0)
    assert (len(hearing.membership), hearing.membership.overflow) == (16_384, 1)
    assert refused.kind is Kind.STRANGER
    assert hearing.membership.get(Node(2).address) is None


def test_refusals_are_counted_and_told_now_and_then() -> None:
    """Every datagram that is refused counts; one event in ten seconds sums them up and names the source."""
    hearing = Hearing(SMALL)
    hearing.beats(node(0), [0.0])
    for n in range(1, 4):
        hearing.beats(node(n), [0.0])
    hearing.told.clear()
    source = Origin(bytes((10, 0, 0, 66)))
    for n in range(100):
        at = n * 0.25
        for present in range(4):
            hearing.beats(node(present), [at])
        hearing.hear(node(50 + n).beat(at), at, source if n else Origin())
    assert hearing.membership.overflow == 100
    told = [event for event in hearing.told if event.kind is Kind.STRANGER]
    assert [event.at for event in told] == [0.0, REFUSALS_TOLD_EVERY, 2 * REFUSALS_TOLD_EVERY]
    assert [event.values for event in told] == [
        {"refused": 1, "source": "an unknown source"},
        {"refused": 41, "source": "10.0.0.66"},
        {"refused": 81, "source": "10.0.0.66"},
    ]
    assert told[1].text == (
        "more unknown members than are taken in (500 a second, 4 in all), lately from 10.0.0.66: "
        "41 datagrams not tracked"
    )


def test_who_was_heard_once_leaves_first() -> None:
    """When full, a silent stranger heard once makes room before one heard often, however long silent."""
    hearing = Hearing(SMALL)
    hearing.beats(node(0), [0.0, 0.5, 1.0])
    for n in range(1, 4):
        hearing.beats(node(n), [2.0 + n])
    hearing.until(20.0)
    hearing.beats(node(9), [20.0])
    assert names(hearing) == [0, 2, 3, 9]
    hearing.beats(node(10), [20.1])
    assert names(hearing) == [0, 3, 9, 10]


def test_then_who_has_been_silent_longest() -> None:
    """With nobody left who was heard once, the longest silent leaves."""
    hearing = Hearing(SMALL)
    for at in (0.0, 0.5):
        for n in range(4):
            hearing.beats(node(n), [at + n * 0.01])
    hearing.beats(node(0), [1.0])
    hearing.until(20.0)
    for n in range(5, 8):
        hearing.beats(node(n), [20.0 + n * 0.01])
    assert names(hearing) == [0, 5, 6, 7]


def test_who_is_present_stays() -> None:
    """A present or a late member is never put out: the newcomer is refused."""
    hearing = Hearing(SMALL)
    for n in range(4):
        hearing.beats(node(n), [0.0])
    hearing.beats(node(0), [0.5, 1.0, 1.5, 2.0])
    assert hearing.track(node(1)).presence is Presence.LATE
    hearing.beats(node(9), [2.1])
    assert names(hearing) == [0, 1, 2, 3]
    hearing.beats(node(9), [3.0])
    assert 0 in names(hearing)
    assert 9 in names(hearing)


def test_who_returned_is_present() -> None:
    """A member heard once, silent, and back again is as present as any: a flood does not put it out."""
    hearing = Hearing(SMALL)
    hearing.beats(node(0), [0.0])
    hearing.beats(node(0), [10.0, 10.5, 11.0])
    for n in range(1, 30):
        hearing.beats(node(n), [11.0 + n * 0.01])
        hearing.beats(node(0), [11.0 + n * 0.01])
    assert 0 in names(hearing)
    hearing.until(100.0)
    assert [e.kind for e in hearing.told if e.member == node(0).name][-2:] == [Kind.LATE, Kind.SILENT]


def test_who_is_expected_stays() -> None:
    """An expected member stays whether silent, left or never heard; others around it leave."""
    expected = frozenset(node(n).name for n in range(3))
    hearing = Hearing(Rules(capacity=4, expected=expected))
    hearing.beats(node(0), [0.0])
    hearing.beats(node(1), [0.0, 0.5])
    hearing.hear(node(1).goodbye(0.6), 0.6)
    for n in range(10, 40):
        hearing.beats(node(n), [10.0 * n])
    assert names(hearing) == [0, 1, 2, 39]
    assert hearing.membership.overflow == 0


def test_who_is_expected_stays_though_silent_longest() -> None:
    """With nobody left who was heard once, strangers heard often leave before an older expected member."""
    hearing = Hearing(Rules(capacity=3, expected=frozenset({node(0).name})))
    for n in range(3):
        hearing.beats(node(n), [n * 0.6, n * 0.6 + 0.5])
    hearing.beats(node(9), [20.0])
    assert names(hearing) == [0, 2, 9]


def test_more_expected_than_capacity() -> None:
    """Every expected member is known even where the table is smaller; strangers find no room."""
    expected = frozenset(node(n).name for n in range(6))
    hearing = Hearing(Rules(capacity=4, expected=expected))
    for n in range(8):
        hearing.beats(node(n), [0.0])
    assert names(hearing) == list(range(6))
    assert hearing.membership.overflow == 2


@pytest.mark.parametrize("burst", [50, 100])
def test_a_flood_leaves_ten_real_members_untouched(burst: int) -> None:
    """Ten members beat on through a flood of invented ones: none is late, the flood is counted and named."""
    rules = Rules(capacity=300, strangers_per_second=200)
    vantage = Vantage(rules)
    real = [Node(n) for n in range(1, 11)]
    vantage.beats(real, 0.0, 5.0)
    assert vantage.state == "whole"
    invented = 0
    for tick in range(200):
        at = 5.0 + tick * 0.05
        batch = []
        for _ in range(burst):
            invented += 1
            lie = Member(bytes((66, *invented.to_bytes(3))), 4000, invented.to_bytes(16))
            batch.append((encode(Node.of(lie).beat(at)), at, Origin(bytes((66, 6, 6, 6)))))
        if tick % 10 == 0:
            batch[burst // 2 : burst // 2] = [(encode(one.beat(at)), at, Origin()) for one in real]
        vantage.until(at)
        vantage.told += vantage.watch.receive(batch)
        assert len(vantage.watch.membership) <= rules.capacity
    mine = {one.name for one in real}
    assert [e.kind for e in vantage.told if e.member in mine] == [Kind.JOINED] * 10
    assert all(vantage.of(one) == "alive" for one in real)
    taken = sum(e.kind is Kind.JOINED for e in vantage.told) - 10
    assert vantage.watch.membership.overflow == invented - taken
    assert taken <= rules.strangers_per_second * 11
    named = [e for e in vantage.told if e.kind is Kind.STRANGER and "66.6.6.6" in e.text]
    assert len(named) == 1
    assert vantage.watch.datagrams["heartbeat"] == invented + 300


def test_known_members_are_served_before_strangers() -> None:
    """In one batch a known member's beat is taken although strangers before it used the budget up."""
    vantage = Vantage(Rules(strangers_per_second=5))
    known = Node(1)
    vantage.beats([known], 0.0, 5.0)
    batch = [(encode(node(n).beat(5.0)), 5.0, Origin()) for n in range(50)]
    batch.append((encode(known.beat(5.001)), 5.001, Origin()))
    vantage.told += vantage.watch.receive(batch)
    assert vantage.watch.membership.overflow == 45
    track = vantage.watch.membership.get(known.address)
    assert track is not None
    assert track.last_heard == 5.001


def test_silent_strangers_have_a_share_of_the_table() -> None:
    """A flood that is over leaves an eighth of the table behind, the latest; who beat twice stays."""
    hearing = Hearing()
    hearing.beats(Node(1), [0.0, 0.5])
    for n in range(5_000):
        hearing.beats(node(n), [1.0 + n * 0.001])
    hearing.until(30.0)
    assert len(hearing.membership) == 16_384 // 8 + 1
    assert hearing.track(Node(1)).presence is Presence.SILENT
    assert hearing.membership.get(node(4_999).address) is not None
    assert hearing.membership.get(node(0).address) is None


def test_what_floods_once_is_forgotten() -> None:
    """Invented members are forgotten after forget_after, and nothing of them stays."""
    hearing = Hearing(Rules(forget_after=60.0))
    for n in range(500):
        hearing.beats(node(n), [n * 0.001])
    hearing.until(100.0)
    membership = hearing.membership
    assert len(membership) == 0
    assert membership.deadline() is None
    assert not membership._names
    assert hearing.kinds().count(Kind.FORGOTTEN) == 500


def test_periods_do_not_matter_to_a_flood_of_one_address() -> None:
    """One address that changes its unique id with every datagram stays one member with eight rivals."""
    hearing = Hearing()
    for n in range(200):
        hearing.beats(Node(1, born=-10.0, incarnation=n), [n * PERIOD / 10])
    [track] = hearing.membership
    assert len(track.rivals) == 8
    assert hearing.kinds().count(Kind.ADDRESS_CLASH) == 1
