"""The bits of evidence and the member states they spell, held against the words of the product."""

from itertools import product
from typing import Any

import msgspec
import pytest

from probe.model.evidence import (
    STATES,
    Answer,
    Check,
    Evidence,
    MemberState,
    Outcome,
    member_state,
)

SOUND = Evidence(fit=True, ever=True, goodbye=False, heard=True, late=False, connected=None, answered=None)
SILENT = msgspec.structs.replace(SOUND, heard=False)

WORDS = {
    "alive: H, asked nothing": ({}, "alive"),
    "alive: H, and C": ({"connected": True}, "alive"),
    "alive: H, and A": ({"connected": True, "answered": True}, "alive"),
    "late: older than t_late, younger than t_drop": ({"late": True}, "late"),
    "late: whatever its receiver says": ({"late": True, "connected": False}, "late"),
    "half: H, and C fails": ({"connected": False}, "half"),
    "half: H, and A fails": ({"connected": True, "answered": False}, "half"),
    "mute: not H, A succeeds": ({"heard": False, "connected": True, "answered": True}, "mute"),
    "frozen: not H, C succeeds, A times out": (
        {"heard": False, "connected": True, "answered": False},
        "frozen",
    ),
    "left: S, then silence": ({"heard": False, "goodbye": True}, "left"),
    "left: S, its port still open": (
        {"heard": False, "goodbye": True, "connected": True, "answered": True},
        "left",
    ),
    "lost: not H, C fails, no S": ({"heard": False, "connected": False}, "lost"),
    "lost: asked at level ack": ({"heard": False, "connected": False, "answered": False}, "lost"),
    "silent: asking is off": ({"heard": False}, "silent"),
    "silent: a connect alone cannot tell mute from frozen": ({"heard": False, "connected": True}, "silent"),
    "unheard: expected, never heard": ({"ever": False, "heard": False}, "unheard"),
    "unheard: though its receiver answers": (
        {"ever": False, "heard": False, "connected": True, "answered": True},
        "unheard",
    ),
    "unknown: not L": ({"fit": False}, "unknown"),
    "unknown: not L, whatever else": ({"fit": False, "heard": False, "connected": False}, "unknown"),
}


@pytest.mark.parametrize("words", WORDS)
def test_the_words(words: str) -> None:
    """Each state's condition in the words of the product spells that state."""
    bits, state = WORDS[words]
    assert member_state(msgspec.structs.replace(SOUND, **bits)) == state


def by_words(bits: Evidence) -> str:  # noqa: PLR0911  # one line a sentence
    """Say the state as a person would who has only the words."""
    if not bits.fit:
        return "unknown"
    if not bits.ever:
        return "unheard"
    if bits.goodbye:
        return "left"
    if bits.heard and bits.late:
        return "late"
    if bits.heard:
        return "half" if bits.connected is False or bits.answered is False else "alive"
    if bits.answered:
        return "mute"
    if bits.connected is False:
        return "lost"
    return "frozen" if bits.connected and bits.answered is False else "silent"


BIT: tuple[Any, ...] = (True, False)
EVERYTHING = [Evidence(*bits) for bits in product(*[BIT] * 5, *[(*BIT, None)] * 2)]


def test_every_combination_is_spelled_as_the_words_say() -> None:
    """The table and the words agree on all 288 combinations of bits."""
    assert {bits: member_state(bits).value for bits in EVERYTHING} == {
        bits: by_words(bits) for bits in EVERYTHING
    }


@pytest.mark.parametrize("row", range(len(STATES)))
def test_every_row_of_the_table_is_needed(row: int) -> None:
    """Without one row the table spells something else somewhere, or nothing."""
    rest = STATES[:row] + STATES[row + 1 :]

    def spell(bits: Evidence) -> MemberState | None:
        values = msgspec.structs.astuple(bits)
        for pattern, state in rest:
            if all(_fits(want, bit) for want, bit in zip(pattern, values, strict=True)):
                return state
        return None

    assert any(spell(bits) != member_state(bits) for bits in EVERYTHING)


def _fits(wanted: object, bit: object) -> bool:
    return wanted == "any" or wanted is bit or (wanted == "true or unasked" and bit is not False)


@pytest.mark.parametrize(
    ("outcome", "check", "connected", "answered", "serves"),
    [
        (Outcome.CONNECTED, Check.CONNECT, True, None, True),
        (Outcome.REFUSED, Check.CONNECT, False, None, False),
        (Outcome.CONNECT_TIMEOUT, Check.CONNECT, False, None, False),
        (Outcome.UNREACHABLE, Check.CONNECT, False, None, False),
        (Outcome.ANSWERED, Check.ACK, True, True, True),
        (Outcome.FAIL_ACK, Check.ACK, True, True, True),
        (Outcome.REFUSED, Check.ACK, False, False, False),
        (Outcome.ANSWER_TIMEOUT, Check.ACK, True, False, False),
        (Outcome.CLOSED, Check.ACK, True, False, False),
        (Outcome.NO_ACK, Check.ACK, True, False, False),
    ],
)
def test_an_answer_is_two_bits(
    outcome: Outcome,
    check: Check,
    connected: bool,  # noqa: FBT001
    answered: bool | None,  # noqa: FBT001
    serves: bool,  # noqa: FBT001
) -> None:
    """Each outcome says whether the port took the connection, whether the question was answered."""
    given = Answer(0.0, check, outcome)
    assert (given.connected, given.answered, given.serves) == (connected, answered, serves)
