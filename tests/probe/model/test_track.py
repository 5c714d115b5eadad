"""What is known of one address: its evidence, its own period, who lived there before."""

import pytest
from support.members import Node, answer

from probe.model.evidence import CONNECT_FAILED, Check, Evidence, MemberState, Outcome, member_state
from probe.model.presence import Presence
from probe.model.track import RIVALS, SAMPLES, Track

NODE = Node()


def track(presence: Presence, last_heard: float = 10.0) -> Track:
    """Return a track that was heard last at some time."""
    made = Track(NODE.name, NODE.address, 0.5)
    made.presence = presence
    made.last_heard = last_heard
    made.member = None if presence is Presence.UNHEARD else NODE.member
    return made


@pytest.mark.parametrize(
    ("presence", "ever", "goodbye", "heard", "late"),
    [
        (Presence.UNHEARD, False, False, False, False),
        (Presence.PRESENT, True, False, True, False),
        (Presence.LATE, True, False, True, True),
        (Presence.SILENT, True, False, False, False),
        (Presence.LEFT, True, True, False, False),
    ],
)
def test_presence_is_evidence(presence: Presence, ever: bool, goodbye: bool, heard: bool, late: bool) -> None:  # noqa: FBT001
    """Where a member stands between heartbeats gives the bits H and S."""
    expected = Evidence(
        fit=True, ever=ever, goodbye=goodbye, heard=heard, late=late, connected=None, answered=None
    )
    assert track(presence).evidence() == expected


def test_a_silent_member_needs_an_answer_from_after_its_last_beat() -> None:
    """An answer from before the silence says nothing of it; one asked at the last beat or later does."""
    silent = track(Presence.SILENT)
    silent.answer = answer(Outcome.ANSWERED, 9.9)
    assert (silent.fresh_answer, silent.state()) == (None, MemberState.SILENT)
    silent.answer = answer(Outcome.ANSWERED, 10.0)
    assert (silent.fresh_answer, silent.state()) == (silent.answer, MemberState.MUTE)


def test_a_heard_member_keeps_its_last_answer() -> None:
    """While it is heard, the last answer holds however old."""
    present = track(Presence.PRESENT)
    present.answer = answer(Outcome.REFUSED, 1.0)
    assert present.state() is MemberState.HALF


ANSWERS = [
    None,
    *((Check.CONNECT, outcome) for outcome in (Outcome.CONNECTED, *sorted(CONNECT_FAILED))),
    *((Check.ACK, outcome) for outcome in Outcome if outcome is not Outcome.CONNECTED),
]


@pytest.mark.parametrize("presence", Presence)
@pytest.mark.parametrize("given", ANSWERS)
def test_the_short_way_to_alive_agrees_with_the_table(
    presence: Presence, given: tuple[Check, Outcome] | None
) -> None:
    """A member's state is what the table spells of its evidence, or unknown when the vantage is unfit."""
    one = track(presence)
    one.answer = answer(given[1], 10.0, given[0]) if given else None
    assert one.state() is member_state(one.evidence())
    assert one.state(fit=False) is MemberState.UNKNOWN


def test_the_period_is_the_median_of_the_first_gaps() -> None:
    """One odd gap among the first does not spoil a member's own period."""
    one = track(Presence.PRESENT)
    for n, gap in enumerate([1.0, 9.0, 1.001, 0.999, 1.0]):
        assert one.learned is (n >= SAMPLES)
        one.sample(gap)
    assert one.learned
    assert one.period == 1.0


def test_a_period_that_changes_is_learnt_slowly() -> None:
    """Each gap moves period and jitter by a sixteenth of the difference."""
    one = track(Presence.PRESENT)
    one.learn(0.66)
    assert (one.period, one.deviation) == pytest.approx((0.51, 0.01))


def test_rivals_are_bounded() -> None:
    """At most eight unique ids are remembered; who was heard longest ago leaves first."""
    one = track(Presence.PRESENT)
    for n in range(RIVALS + 2):
        one.remember_rival(bytes([n]), float(n))
    assert list(one.rivals) == [bytes([n]) for n in range(2, RIVALS + 2)]
    one.remember_rival(bytes([2]), 99.0)
    one.remember_rival(b"new", 100.0)
    assert list(one.rivals) == [*(bytes([n]) for n in range(4, RIVALS + 2)), bytes([2]), b"new"]
