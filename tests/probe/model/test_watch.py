"""One group as one vantage sees it: bytes and answers in, counted events and a verdict out."""

import pytest
from support.members import PERIOD, Node, Vantage, answer
from support.wire import vectors

from probe.model.events import Kind
from probe.model.evidence import Outcome
from probe.model.rules import Rules
from probe.model.track import NOWHERE, Origin
from probe.model.watch import HARM_TOLD_EVERY, JUDGED_EVERY, JUDGED_EVERY_PER_MEMBER, Watch
from protocols.frame import HEADER
from protocols.heartbeat import END, encode
from protocols.malformed import Effect

A, B, C = NODES = Node(1), Node(2), Node(3)
SOURCE = Origin(bytes((10, 0, 0, 66)))

STALLS = encode(A.beat(0.0)).replace(END, bytes(len(END)))
"""The end marker is missing."""
KILLS = next(
    each.data for each in vectors("members") if each.expect.get("error", "").endswith("OutOfMemoryError")
)
IGNORED = encode(A.beat(0.0))[:30]


def test_each_datagram_is_counted_by_its_kind() -> None:
    """Heartbeats, goodbyes, broadcast frames, malformed and foreign bytes each have their counter."""
    watch = Watch(Rules(), 0.0)
    sent = [
        encode(A.beat(0.0)),
        encode(A.beat(0.5)),
        encode(B.beat(0.5)),
        encode(B.goodbye(0.6)),
        HEADER + b"rest",
        STALLS,
        b"M-SEARCH * HTTP/1.1",
        b"",
    ]
    watch.receive([(data, 0.1 * n, NOWHERE) for n, data in enumerate(sent)])
    assert watch.datagrams == {"heartbeat": 3, "goodbye": 1, "broadcast": 1, "malformed": 1, "foreign": 2}


@pytest.mark.parametrize(
    ("data", "effect", "words"),
    [
        (STALLS, Effect.STALLS, "every Tomcat that hears it is deaf for 500 ms and logs a WARN"),
        (KILLS, Effect.KILLS, "every Tomcat that hears it loses its receiver thread and stays deaf"),
    ],
)
@pytest.mark.parametrize("origin", [SOURCE, NOWHERE])
def test_a_harmful_datagram_is_told_with_what_it_does(
    data: bytes, effect: Effect, words: str, origin: Origin
) -> None:
    """Bytes that hurt a Tomcat are told once in ten seconds, with their source; each is counted."""
    vantage = Vantage()
    for n in range(41):
        at = n * HARM_TOLD_EVERY / 20
        vantage.told += vantage.watch.receive([(data, at, origin)])
    assert [event.at for event in vantage.told] == [0.0, HARM_TOLD_EVERY, 2 * HARM_TOLD_EVERY]
    event = vantage.told[0]
    source = "10.0.0.66" if origin is SOURCE else "an unknown source"
    assert event.kind is Kind.HARMFUL_DATAGRAM
    assert words in event.text
    assert (event.values["effect"], event.values["source"]) == (effect.value, source)
    assert vantage.watch.malformed == {(event.values["reason"], effect.value): 41}


def test_the_effects_are_told_apart() -> None:
    """One harmful kind does not hush the other."""
    vantage = Vantage()
    vantage.told += vantage.watch.receive([(STALLS, 0.0, SOURCE), (KILLS, 0.1, SOURCE), (STALLS, 0.2, SOURCE)])
    assert [event.values["effect"] for event in vantage.told] == ["stalls", "kills"]


def test_what_no_tomcat_minds_is_counted_only() -> None:
    """Bytes that a Tomcat drops without harm are no event."""
    vantage = Vantage()
    vantage.told += vantage.watch.receive([(IGNORED, 0.0, SOURCE)])
    assert vantage.told == []
    assert sum(vantage.watch.malformed.values()) == 1


def test_malformed_bytes_spend_the_strangers_budget() -> None:
    """A flood of broken datagrams is not even parsed beyond what strangers get."""
    watch = Watch(Rules(strangers_per_second=10), 0.0)
    told = watch.receive([(STALLS, 0.0, SOURCE)] * 500)
    assert [event.kind for event in told] == [Kind.HARMFUL_DATAGRAM, Kind.STRANGER]
    assert (watch.datagrams["malformed"], watch.membership.overflow) == (10 + 40, 450)


def test_the_decoder_remembers_a_bounded_number() -> None:
    """However many members are invented, two generations of them are remembered at most."""
    watch = Watch(Rules(capacity=10, strangers_per_second=10**6), 0.0)
    watch.decoder.size = 50
    watch.receive([(encode(Node(0x1000 + n).beat(0.0)), 0.0, SOURCE) for n in range(500)])
    assert len(watch.decoder) <= 100
    assert len(watch.membership) == 10


def test_events_are_marked_by_the_fitness_of_their_time() -> None:
    """What is heard before the probe is fit says so; what is heard after does not."""
    vantage = Vantage(fit=False)
    vantage.hear(A.beat(2.9), 2.9)
    vantage.hear(B.beat(3.0), 3.0)
    assert [(e.member[-6], e.fit) for e in vantage.told if e.member] == [("1", False), ("2", True)]


def test_a_judgement_waits_for_its_turn() -> None:
    """While events keep coming the verdict is judged at most every tenth of a second, and in the end."""
    vantage = Vantage()
    vantage.until(1.0)
    for n in range(100):
        vantage.hear(Node(1 + n).beat(1.0 + n * 0.001), 1.0 + n * 0.001)
    assert vantage.state == "whole"
    [whole] = [event for event in vantage.told if event.kind is Kind.WHOLE]
    assert whole.at == 1.0
    counted = vantage.watch.judge.verdict.alive
    pause = JUDGED_EVERY + 100 * JUDGED_EVERY_PER_MEMBER
    vantage.until(1.0 + pause)
    assert (counted < 100, vantage.watch.judge.verdict.alive) == (True, 100)


def test_nothing_is_due_while_nobody_is_late() -> None:
    """In a steady cluster the next deadline is somebody's lateness, nothing else."""
    vantage = Vantage()
    vantage.beats(NODES, 0.0, 20.0)
    last = [track.last_heard for track in vantage.watch.membership]
    assert vantage.watch.deadline() == min(last) + 1.5
    assert vantage.watch.judge.deadline(vantage.watch.rules, vantage.watch.membership, 20.0) is None


def test_an_empty_group_is_asked_no_more() -> None:
    """Once nothing was heard for three dropTimes, time alone changes nothing."""
    vantage = Vantage()
    vantage.until(100.0)
    assert vantage.watch.deadline() is None


def test_an_answer_to_a_silent_member_is_judged() -> None:
    """The first answer after a silence tells mute from silent: the sentence follows, though no event does."""
    vantage = Vantage()
    vantage.beats(NODES, 0.0, 4.0)
    vantage.take(C, Outcome.ANSWERED, 4.0)
    vantage.beats(NODES, 4.0, 5.0)
    vantage.beats([A, B], 5.0, 9.0)
    assert vantage.said().endswith("mute, frozen and lost cannot be told apart")
    told = len(vantage.told)
    vantage.take(C, Outcome.ANSWERED, 9.0)
    vantage.until(9.2)
    assert vantage.said().endswith("10.0.0.3:4000 is not heard (last 4.5) but answers on TCP (2 ms)")
    assert len(vantage.told) == told
    deadline = vantage.watch.deadline()
    vantage.take(C, Outcome.ANSWERED, 9.2)
    assert vantage.watch.deadline() == deadline


def test_an_answer_of_nobody_changes_nothing() -> None:
    """An answer of an address that is not known is dropped."""
    watch = Watch(Rules(), 0.0)
    assert watch.take(A.address, answer(Outcome.ANSWERED, 1.0), 1.0) == []


def test_new_settings_are_judged_at_once() -> None:
    """Whoever is expected from now on is missing from now on; whoever is not, is not."""
    vantage = Vantage()
    vantage.beats([A, B], 0.0, 5.0)
    vantage.watch.adopt(Rules(expected=frozenset({A.name, B.name, C.name})), 5.0)
    vantage.until(5.0)
    assert vantage.state == "degraded"
    vantage.watch.adopt(Rules(), 5.1)
    vantage.beats([A, B], 5.1, 6.1)
    assert vantage.state == "whole"
    assert vantage.watch.membership.named(C.name) is None


def test_who_is_expected_no_more_is_forgotten_in_time() -> None:
    """A silent member, or one that left, is let go when its time is over once nobody expects it."""
    vantage = Vantage(Rules(expected=frozenset({A.name, B.name, C.name}), forget_after=30.0))
    vantage.beats(NODES, 0.0, 5.0)
    vantage.hear(B.goodbye(5.0), 5.0)
    vantage.beats([A], 5.0, 50.0, PERIOD)
    assert len(vantage.watch.membership) == 3
    vantage.watch.adopt(Rules(expected=frozenset({A.name}), forget_after=30.0), 50.0)
    vantage.until(50.0)
    assert [track.name for track in vantage.watch.membership] == [A.name]
    assert [e.member for e in vantage.told if e.kind is Kind.FORGOTTEN] == [C.name, B.name]
