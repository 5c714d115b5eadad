"""Turns under a clock and a chance that are handed in."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.model.evidence import Answer, Check, Outcome
from probe.sensors.schedule import FIRST, JITTER, PAUSES, Schedule

INTERVAL = 10.0
ONE, TWO = "10.0.0.1:4000", "10.0.0.2:4000"


def schedule(seed: int = 1) -> Schedule:
    """Make one with a reproducible chance."""
    return Schedule(INTERVAL, random.Random(seed))


def answer(outcome: Outcome = Outcome.ANSWERED, check: Check = Check.ACK) -> Answer:
    """Make an answer of that kind."""
    return Answer(0.0, check, outcome)


def next_turn(turns: Schedule, member: str = ONE) -> float:
    """Go to the next deadline, at which one member is due; return when it was."""
    at = turns.deadline()
    assert at is not None
    assert turns.due(at - 0.001) == []
    assert turns.due(at) == [member]
    return at


def test_a_new_member_is_asked_soon_and_then_once_an_interval_with_jitter() -> None:
    """The first question comes within a second, later ones within a fifth of the interval, never in step."""
    turns = schedule()
    turns.add(ONE, 100.0)
    at = next_turn(turns)
    assert 100.0 <= at <= 100.0 + FIRST
    gaps = []
    for _ in range(200):
        turns.answered(ONE, answer(), at)
        before, at = at, next_turn(turns)
        gaps.append(at - before)
    assert INTERVAL * (1 - JITTER) <= min(gaps) < INTERVAL * 0.9
    assert INTERVAL * 1.1 < max(gaps) <= INTERVAL * (1 + JITTER)
    assert sum(gaps) / len(gaps) == pytest.approx(INTERVAL, rel=0.05)


def test_pauses_grow_while_questions_stay_unanswered_and_fall_back_after_an_answer() -> None:
    """A frozen member is asked less and less, so that its accept queue is not filled by us."""
    turns = Schedule(1.0, random.Random(1))
    turns.add(ONE, 0.0)
    at = next_turn(turns)
    gaps = []
    for _ in range(len(PAUSES) + 2):
        turns.answered(ONE, answer(Outcome.ANSWER_TIMEOUT), at)
        before, at = at, next_turn(turns)
        gaps.append(at - before)
    assert gaps == pytest.approx([*PAUSES, PAUSES[-1], PAUSES[-1]])
    turns.answered(ONE, answer(), at)
    assert next_turn(turns) - at <= 1 + JITTER
    turns.answered(ONE, answer(Outcome.NO_ACK), at)
    assert next_turn(turns) - at == pytest.approx(PAUSES[0])


@pytest.mark.parametrize(
    ("outcome", "check", "costs_a_slot"),
    [
        (Outcome.ANSWERED, Check.ACK, False),
        (Outcome.FAIL_ACK, Check.ACK, False),
        (Outcome.CONNECTED, Check.CONNECT, False),
        (Outcome.REFUSED, Check.ACK, False),
        (Outcome.CONNECT_TIMEOUT, Check.ACK, False),
        (Outcome.UNREACHABLE, Check.CONNECT, False),
        (Outcome.ANSWER_TIMEOUT, Check.ACK, True),
        (Outcome.CLOSED, Check.ACK, True),
        (Outcome.NO_ACK, Check.ACK, True),
    ],
)
def test_only_what_may_cost_a_slot_of_the_accept_queue_makes_pauses(
    outcome: Outcome, check: Check, *, costs_a_slot: bool
) -> None:
    """A connection that was made and not answered does; a refusal costs the member nothing."""
    turns = Schedule(0.1, random.Random(1))
    turns.add(ONE, 0.0)
    at = next_turn(turns)
    turns.answered(ONE, answer(outcome, check), at)
    assert (next_turn(turns) - at >= PAUSES[0]) is costs_a_slot


def test_a_pause_is_never_shorter_than_the_interval() -> None:
    """Somebody who asks once a minute does not ask a frozen member more often."""
    turns = Schedule(60.0, random.Random(1))
    turns.add(ONE, 0.0)
    at = next_turn(turns)
    turns.answered(ONE, answer(Outcome.ANSWER_TIMEOUT), at)
    assert next_turn(turns) - at == 60.0


def test_urging_asks_now_pause_or_not() -> None:
    """A member that fell silent is asked at once, and its stale turn does not come as well."""
    turns = schedule()
    turns.add(ONE, 0.0)
    at = next_turn(turns)
    turns.answered(ONE, answer(Outcome.ANSWER_TIMEOUT), at)
    turns.urge(ONE, at + 0.5)
    assert turns.due(at + 0.5) == [ONE]
    turns.answered(ONE, answer(), at + 0.6)
    assert turns.due(at + INTERVAL * (1 - JITTER)) == []


def test_one_question_is_in_flight_whatever_happens_meanwhile() -> None:
    """Urged, heard again, or taken off and put on again: a member that is being asked is not asked twice."""
    turns = schedule()
    turns.add(ONE, 0.0)
    at = next_turn(turns)
    turns.urge(ONE, at)
    turns.heard_again(ONE, at)
    turns.remove(ONE)
    turns.add(ONE, at)
    assert turns.due(at + 1000) == []
    turns.answered(ONE, answer(), at + 1)
    assert turns.due(at + 1000) == [ONE]


def test_a_member_that_beats_again_is_asked_soon_and_without_a_grudge() -> None:
    """Its long pause is forgotten."""
    turns = schedule()
    turns.add(ONE, 0.0)
    at = next_turn(turns)
    for _ in range(4):
        turns.answered(ONE, answer(Outcome.ANSWER_TIMEOUT), at)
        at = next_turn(turns)
    turns.answered(ONE, answer(Outcome.ANSWER_TIMEOUT), at)
    turns.heard_again(ONE, at)
    again = next_turn(turns)
    assert again - at <= FIRST
    turns.answered(ONE, answer(Outcome.ANSWER_TIMEOUT), again)
    assert next_turn(turns) - again == max(PAUSES[0], INTERVAL)


def test_who_is_taken_off_is_asked_no_more() -> None:
    """Its turn passes; what is said of strangers changes nothing."""
    turns = schedule()
    turns.add(ONE, 0.0)
    turns.add(TWO, 0.0)
    turns.remove(ONE)
    assert (ONE in turns, TWO in turns, len(turns)) == (False, True, 1)
    assert turns.due(100.0) == [TWO]
    for act in (turns.urge, turns.heard_again):
        act(ONE, 100.0)
    turns.answered(ONE, None, 100.0)
    turns.remove(ONE)
    assert len(turns) == 1


def test_who_was_taken_off_while_asked_is_gone_when_the_answer_comes() -> None:
    """The answer sets no further turn."""
    turns = schedule()
    turns.add(ONE, 0.0)
    at = next_turn(turns)
    turns.remove(ONE)
    assert ONE not in turns
    turns.answered(ONE, answer(), at)
    assert (len(turns), turns.due(at + 1000)) == (0, [])


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "remove", "urge", "heard_again", "due", "answered", "refused", "silent"]),
        st.sampled_from([ONE, TWO]),
        st.floats(0, 20),
    ),
    max_size=200,
)


@given(STEPS)
def test_never_two_in_flight_never_unbounded_never_forgotten(steps: list[tuple[str, str, float]]) -> None:
    """Whatever the order of things: one question per member, a bounded queue, and a turn for who waits."""
    turns, now, flying = schedule(), 0.0, Counter[str]()
    outcomes = {"answered": Outcome.ANSWERED, "refused": Outcome.REFUSED, "silent": Outcome.ANSWER_TIMEOUT}
    for act, member, pause in steps:
        now += pause
        if act in outcomes:
            if flying[member]:
                flying[member] -= 1
                turns.answered(member, answer(outcomes[act]), now)
        elif act == "due":
            flying.update(turns.due(now))
        elif act == "remove":
            turns.remove(member)
        else:
            getattr(turns, act)(member, now)
        assert max(flying.values(), default=0) <= 1
        assert len(turns._queue) <= 4 * 2 + 65
    waiting = {member for member in (ONE, TWO) if member in turns and not flying[member]}
    assert set(turns.due(now + 1000)) == waiting
