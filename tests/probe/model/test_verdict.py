"""What one vantage may say of the cluster, and how the sentence is written."""

from itertools import product
from typing import Any

import msgspec
import pytest

from probe.model.verdict import ONE_VANTAGE, ClusterState, Findings, Verdict, cluster_state

WELL = Findings(
    fit=True,
    known=True,
    heard=True,
    answers=None,
    deaf=False,
    mute=False,
    merging=False,
    missing=False,
)

WORDS = {
    "whole: every expected member alive": ({}, "whole"),
    "degraded: some member gone": ({"missing": True}, "degraded"),
    "latent-split: a member mute for t_stable": ({"missing": True, "mute": True}, "latent-split"),
    "latent-split, though others return": ({"mute": True, "merging": True}, "latent-split"),
    "deaf: nothing heard for three dropTimes, receivers answer": (
        {"heard": False, "answers": True, "deaf": True, "missing": True},
        "deaf",
    ),
    "deaf, though members are mute for t_stable": (
        {"heard": False, "answers": True, "deaf": True, "mute": True, "missing": True},
        "deaf",
    ),
    "not deaf yet: degraded": ({"heard": False, "answers": True, "missing": True}, "degraded"),
    "not deaf yet, mute already": ({"heard": False, "answers": True, "mute": True}, "degraded"),
    "down: nobody heard, nobody answers": ({"heard": False, "answers": False, "missing": True}, "down"),
    "merging: members return with the unique ids they had": ({"merging": True}, "merging"),
    "merging, others still gone": ({"merging": True, "missing": True}, "merging"),
    "empty: nothing ever heard, nothing expected": ({"known": False, "heard": False}, "empty"),
    "unknown: not L": ({"fit": False}, "unknown"),
    "unknown: nobody heard, the receivers not asked": ({"heard": False, "deaf": True}, "unknown"),
}


@pytest.mark.parametrize("words", WORDS)
def test_the_words(words: str) -> None:
    """Each state's condition in the words of the product spells that state."""
    bits, state = WORDS[words]
    assert cluster_state(msgspec.structs.replace(WELL, **bits)) == state


BIT: tuple[Any, ...] = (True, False)
EVERYTHING = [Findings(*bits) for bits in product(*[BIT] * 3, (*BIT, None), *[BIT] * 4)]


def test_one_vantage_never_says_split() -> None:
    """Whatever is found, one vantage says neither split nor asymmetric; all else it can say."""
    assert {cluster_state(found) for found in EVERYTHING} == set(ClusterState) - {
        ClusterState.SPLIT,
        ClusterState.ASYMMETRIC,
    }


def test_an_unfit_vantage_says_nothing() -> None:
    """Without fitness the state is unknown, and nothing else found changes that."""
    said = {cluster_state(found) for found in EVERYTHING if not found.fit}
    assert said == {ClusterState.UNKNOWN}


def test_whole_needs_everybody() -> None:
    """Whole is said only when somebody is heard, nobody is missing or mute, and nobody has just returned."""
    for found in EVERYTHING:
        whole = found.fit and found.known and found.heard
        whole = whole and not (found.mute or found.merging or found.missing)
        assert (cluster_state(found) is ClusterState.WHOLE) == whole


@pytest.mark.parametrize("row", range(len(ONE_VANTAGE)))
def test_every_row_of_the_table_is_needed(row: int) -> None:
    """Without one row the table spells something else somewhere, or nothing."""
    rest = ONE_VANTAGE[:row] + ONE_VANTAGE[row + 1 :]

    def spell(found: Findings) -> ClusterState | None:
        bits = msgspec.structs.astuple(found)
        for pattern, state in rest:
            if all(want == "any" or want is bit for want, bit in zip(pattern, bits, strict=True)):
                return state
        return None

    assert any(spell(found) != cluster_state(found) for found in EVERYTHING)


def test_the_sentence_is_one_for_every_clock() -> None:
    """State, since when, and the reasons; whoever shows it writes the times."""
    reasons = (("2 of 3 members alive",), ("10.0.0.1:4000 left (", 7.0, ") with a goodbye"))
    verdict = Verdict(ClusterState.DEGRADED, 7.5, reasons, {}, 2, 3)
    assert verdict.sentence(lambda at: f"03:12:{at:04.1f}") == (
        "degraded since 03:12:07.5: 2 of 3 members alive; 10.0.0.1:4000 left (03:12:07.0) with a goodbye"
    )
    assert verdict.evidence(lambda at: f"{8.0 - at:.1f} s ago") == (
        "2 of 3 members alive; 10.0.0.1:4000 left (1.0 s ago) with a goodbye"
    )
