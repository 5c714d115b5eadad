"""Who of the strangers is looked at while a flood of them comes in."""

from support.members import Node, Vantage

from probe.model.door import AGAIN, REMEMBERED, Door
from probe.model.rules import Rules
from probe.model.track import Origin
from protocols.heartbeat import GOODBYE, encode

RATE = 10


def invented(number: int, at: float = 0.0) -> bytes:
    """Return a heartbeat of nobody."""
    return encode(Node(0x1000 + number).beat(at))


def let_in(door: Door, datagrams: list[bytes], at: float) -> int:
    """Return how many of some are let in at one time."""
    return sum(door.admits(data, at) for data in datagrams)


def test_at_first_sight_the_rate() -> None:
    """Of members never seen so many get in as the rate says."""
    door = Door(RATE)
    assert let_in(door, [invented(n) for n in range(100)], 0.0) == RATE
    assert let_in(door, [invented(n) for n in range(100, 200)], 0.5) == RATE // 2


def test_at_second_sight_more() -> None:
    """Who comes again, with another alive time, gets in at four times the rate."""
    door = Door(RATE)
    assert let_in(door, [invented(n) for n in range(100)], 0.0) == RATE
    assert let_in(door, [invented(n, 0.5) for n in range(RATE, 100)], 0.01) == RATE * AGAIN


def test_goodbyes_have_a_share_of_their_own() -> None:
    """A flood of heartbeats does not use up what goodbyes get, nor the other way round."""
    door = Door(RATE)
    let_in(door, [invented(n) for n in range(100)], 0.0)
    goodbye = encode(Node(1).goodbye(1.0))
    assert GOODBYE in goodbye
    assert let_in(door, [goodbye] * 100, 0.0) == RATE


def test_what_is_remembered_is_bounded() -> None:
    """Two generations, however many are invented."""
    door = Door(1)
    for n in range(2 * REMEMBERED + 10):
        door.admits(n.to_bytes(40), 0.0)
    assert len(door._young) + len(door._old) <= 2 * REMEMBERED


def test_a_real_newcomer_gets_in_amid_a_flood() -> None:
    """It is refused once at most: at its second heartbeat it is told from the flood; its goodbye is heard."""
    vantage = Vantage(Rules(strangers_per_second=RATE))
    node = Node(1)
    flood = iter(range(10**6))
    for tick in range(20):
        at = tick * 0.5
        batch = [(invented(next(flood), at), at, Origin()) for _ in range(500)]
        last = node.beat(at) if tick < 19 else node.goodbye(at)
        vantage.until(at)
        vantage.told += vantage.watch.receive([*batch, (encode(last), at, Origin())])
    mine = [(event.kind.value, event.at) for event in vantage.told if event.member == node.name]
    assert mine == [("joined", 0.5), ("left", 9.5)]
