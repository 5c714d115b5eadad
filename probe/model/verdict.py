"""Evidence becomes the state of the cluster, and one sentence that says it everywhere alike."""

from collections.abc import Callable
from enum import StrEnum
from itertools import product
from typing import Final

import msgspec

from probe.model.evidence import MemberState


class ClusterState(StrEnum):
    """What may be said of the cluster; one vantage never says ``asymmetric`` or ``split``."""

    WHOLE = "whole"
    DEGRADED = "degraded"
    LATENT_SPLIT = "latent-split"
    ASYMMETRIC = "asymmetric"
    SPLIT = "split"
    DEAF = "deaf"
    DOWN = "down"
    MERGING = "merging"
    EMPTY = "empty"
    UNKNOWN = "unknown"


_ANY: Final = "any"
_T, _F = True, False

ONE_VANTAGE: Final = (
    # fit   known heard  answer deaf   mute   merging missing
    ((_F, _ANY, _ANY, _ANY, _ANY, _ANY, _ANY, _ANY), ClusterState.UNKNOWN),
    ((_T, _F, _ANY, _ANY, _ANY, _ANY, _ANY, _ANY), ClusterState.EMPTY),
    ((_T, _T, _F, None, _ANY, _ANY, _ANY, _ANY), ClusterState.UNKNOWN),
    ((_T, _T, _F, _F, _ANY, _ANY, _ANY, _ANY), ClusterState.DOWN),
    ((_T, _T, _F, _T, _T, _ANY, _ANY, _ANY), ClusterState.DEAF),
    ((_T, _T, _T, _ANY, _ANY, _T, _ANY, _ANY), ClusterState.LATENT_SPLIT),
    ((_T, _T, _T, _ANY, _ANY, _F, _T, _ANY), ClusterState.MERGING),
    ((_T, _T, _T, _ANY, _ANY, _F, _F, _F), ClusterState.WHOLE),
    ((_T, _T, _ANY, _ANY, _ANY, _ANY, _ANY, _ANY), ClusterState.DEGRADED),
)
"""The first row that the findings match names the state. ``answer`` is None while nobody unheard was asked."""


class Findings(msgspec.Struct, frozen=True, gc=False):
    """What one vantage found, as bits.

    ``known``: somebody was ever heard or is expected; ``heard``: somebody is; ``answers``: somebody unheard
    answers or accepts (None: nobody does, but not all were asked); ``deaf``: nothing heard for 3 dropTimes;
    ``mute``: a member mute for t_stable; ``merging``: members returned within t_stable, the same processes;
    ``missing``: somebody known or expected is not alive.
    """

    fit: bool
    known: bool
    heard: bool
    answers: bool | None
    deaf: bool
    mute: bool
    merging: bool
    missing: bool


def _spell(bits: tuple[bool | None, ...]) -> ClusterState:
    return next(
        state
        for pattern, state in ONE_VANTAGE
        if all(wanted is _ANY or wanted is bit for wanted, bit in zip(pattern, bits, strict=True))
    )


_SPELLED: Final = {
    bits: _spell(bits) for bits in product(*[(True, False)] * 3, (True, False, None), *[(True, False)] * 4)
}


def cluster_state(findings: Findings) -> ClusterState:
    """Return the state that the findings spell, by the table."""
    return _SPELLED[msgspec.structs.astuple(findings)]


Phrase = tuple[str | float, ...]
"""A clause of the sentence; a number in it is a time of the model's clock."""


def written(phrase: Phrase, clock: Callable[[float], str]) -> str:
    """Write a phrase; ``clock`` writes a time of the model's clock."""
    return "".join(part if isinstance(part, str) else clock(part) for part in phrase)


class Verdict(msgspec.Struct, frozen=True):
    """The state of the cluster, since when (model's clock), and its evidence in words.

    ``alive`` of ``wanted`` members are alive; ``counts`` are all known members per state.
    """

    state: ClusterState
    since: float
    reasons: tuple[Phrase, ...]
    counts: dict[MemberState, int]
    alive: int
    wanted: int

    @property
    def phrase(self) -> Phrase:
        """The whole sentence, times of the model's clock still open: whoever shows it writes them."""
        evidence = [part for reason in self.reasons for part in ("; ", *reason)]
        return (f"{self.state} since ", self.since, ": ", *evidence[1:])

    def sentence(self, clock: Callable[[float], str]) -> str:
        """Say the verdict with its evidence; ``clock`` writes a time of the model's clock."""
        return written(self.phrase, clock)

    def evidence(self, clock: Callable[[float], str]) -> str:
        """Say the evidence alone."""
        return "; ".join(written(reason, clock) for reason in self.reasons)
