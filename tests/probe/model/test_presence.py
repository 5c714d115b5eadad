"""The state machine of presence: every move it knows, and those it must not know."""

from itertools import product

import pytest

from probe.model.events import Kind
from probe.model.presence import HEARD, TRANSITIONS, Presence, Trigger

MOVES = [
    ("unheard", "heartbeat", "present", "joined"),
    ("unheard", "goodbye", "left", "left"),
    ("present", "heartbeat", "present", None),
    ("present", "goodbye", "left", "left"),
    ("present", "t_late", "late", "late"),
    ("late", "heartbeat", "present", None),
    ("late", "goodbye", "left", "left"),
    ("late", "t_drop", "silent", "silent"),
    ("silent", "heartbeat", "present", "returned"),
    ("silent", "goodbye", "left", "left"),
    ("left", "heartbeat", "present", "beats-after-goodbye"),
    ("left", "goodbye", "left", None),
]


@pytest.mark.parametrize(("before", "trigger", "after", "kind"), MOVES)
def test_a_move(before: str, trigger: str, after: str, kind: str | None) -> None:
    """Each trigger leads where it must and tells the word for it."""
    assert TRANSITIONS[Presence(before), Trigger(trigger)] == (
        Presence(after),
        None if kind is None else Kind(kind),
    )


def test_there_are_no_other_moves() -> None:
    """What is heard moves everybody; time moves only who is present, then late."""
    heard = set(product(Presence, (Trigger.HEARTBEAT, Trigger.GOODBYE)))
    timed = {(Presence.PRESENT, Trigger.LATE_TIME), (Presence.LATE, Trigger.DROP_TIME)}
    assert TRANSITIONS.keys() == heard | timed


def test_silence_is_never_told_before_lateness() -> None:
    """Only a late member can fall silent, and only a silent one can return."""
    told = {kind: before for (before, _), (_, kind) in TRANSITIONS.items() if kind}
    assert told[Kind.SILENT] is Presence.LATE
    assert told[Kind.RETURNED] is Presence.SILENT


def test_heard_means_younger_than_drop_time() -> None:
    """A late member is still heard; a silent one, and one that said goodbye, are not."""
    assert {Presence.PRESENT, Presence.LATE} == HEARD
