"""What several places show at one moment: who is missed where, on which side, by whom; as bits, and a state."""

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from probe.model.evidence import MemberState
from probe.model.hearing import Hearing, Loss, Place, find_deaf, find_losses
from probe.model.verdict import ClusterState

ENOUGH: Final = 2
"""Vantages without which nothing is said."""

_ANY: Final = "any"
_X, _T, _F = _ANY, True, False

SEVERAL_VANTAGES: Final = (
    # enough known heard answer deaf apart bridge latent lost adeaf merging agree missing stable
    ((_F, _X, _X, _X, _X, _X, _X, _X, _X, _X, _X, _X, _X, _X), ClusterState.UNKNOWN),
    ((_T, _F, _X, _X, _X, _X, _X, _X, _X, _X, _X, _X, _X, _X), ClusterState.EMPTY),
    ((_T, _T, _F, None, _X, _X, _X, _X, _X, _X, _X, _X, _X, _X), ClusterState.UNKNOWN),
    ((_T, _T, _F, _F, _X, _X, _X, _X, _X, _X, _X, _X, _X, _X), ClusterState.DOWN),
    ((_T, _T, _F, _T, _T, _X, _X, _X, _X, _X, _X, _X, _X, _X), ClusterState.DEAF),
    ((_T, _T, _X, _X, _X, _T, _F, _X, _X, _X, _X, _X, _X, _X), ClusterState.SPLIT),
    ((_T, _T, _X, _X, _X, _X, _X, _T, _X, _X, _X, _X, _X, _X), ClusterState.LATENT_SPLIT),
    ((_T, _T, _X, _X, _X, _X, _X, _F, _T, _X, _X, _X, _X, _X), ClusterState.ASYMMETRIC),
    ((_T, _T, _X, _X, _X, _X, _X, _F, _F, _T, _X, _X, _X, _X), ClusterState.DEAF),
    ((_T, _T, _T, _X, _X, _X, _X, _F, _F, _F, _T, _T, _X, _X), ClusterState.MERGING),
    ((_T, _T, _X, _X, _X, _X, _X, _F, _F, _F, _X, _T, _T, _X), ClusterState.DEGRADED),
    ((_T, _T, _T, _X, _X, _X, _X, _F, _F, _F, _F, _T, _F, _T), ClusterState.WHOLE),
)
"""The first row that the findings match names the state; where none does, what was said before holds."""


class Findings(msgspec.Struct, frozen=True, gc=False):
    """What the vantages found together, as bits.

    ``enough`` of them are fresh and fit; ``known``: somebody was ever heard or is expected; ``heard``:
    somebody is, anywhere; ``answers``: somebody unheard answers somewhere (None: nobody does, but not all were
    asked); ``all_deaf``: nothing heard anywhere for 3 dropTimes; ``apart``: two sides at least;
    ``bridged``: the receivers of all who are lost answer where they are not heard; ``latent``: somebody is
    not heard somewhere, but answers there; ``lost``: somebody is not heard somewhere; ``deaf``: a place hears
    nobody; ``merging``: who was on two sides is heard everywhere, the same processes; ``agree``: nobody is
    missed anywhere who is heard elsewhere; ``missing``: somebody known or expected is not alive; ``stable``:
    all agreed and nobody was missing for t_stable.
    """

    enough: bool
    known: bool
    heard: bool
    answers: bool | None
    all_deaf: bool
    apart: bool
    bridged: bool
    latent: bool
    lost: bool
    deaf: bool
    merging: bool
    agree: bool
    missing: bool
    stable: bool


def joint_state(findings: Findings) -> ClusterState | None:
    """Return the state that the findings spell, by the table."""
    bits = msgspec.structs.astuple(findings)
    return next(
        (
            state
            for pattern, state in SEVERAL_VANTAGES
            if all(wanted is _ANY or wanted is bit for wanted, bit in zip(pattern, bits, strict=True))
        ),
        None,
    )


class Picture:
    """All that the usable places show at one moment."""

    def __init__(self, places: Sequence[Place], alive: dict[str, float], drop_time: float, count: int) -> None:
        self.places = places
        self.alive = alive
        self.drop_time = drop_time
        self.stable_time = max(2 * drop_time, 10.0)
        self.enough = len(places) >= ENOUGH
        self.names = tuple(place.name for place in places)
        self._at = {place.name: place.at for place in places}
        self.losses = find_losses(places, alive) if self.enough else []
        suspects = find_deaf(places, self.losses)
        self.deaf = {name: since for name, since in suspects.items() if self._at[name] - since >= 3 * drop_time}
        proven = [loss for loss in self.losses if loss.place not in suspects and self._lasts(loss)]
        hearing = Hearing([place for place in places if place.name not in suspects], proven) if proven else None
        self.sides = tuple(hearing.sides()) if hearing else ()
        self.proven = (
            [msgspec.structs.replace(one, back=hearing.back(one)) for one in proven] if hearing else []
        )
        self._count_members(count)
        self.mute = self._find_mute()

    def _lasts(self, loss: Loss) -> bool:
        return self._at[loss.place] - loss.since >= self.stable_time

    def _count_members(self, count: int) -> None:
        known, expected, serving = set[str](), set[str](), set[str]()
        half: dict[str, list[str]] = {}
        listed = False
        for place in self.places:
            for name, seen in place.members.items():
                known.add(name)
                if seen.expected:
                    expected.add(name)
                    listed |= seen.listed
                if seen.up:
                    serving.add(name)
                    if seen.state == MemberState.HALF:
                        half.setdefault(name, []).append(place.name)
        self.known, self.count = known, count
        matter = expected if listed else expected | serving if count > len(expected) else known
        self.half = {name: at for name, at in half.items() if name in matter}
        serving -= {name for name in half if not self.is_partly_half(name)}
        wanted = expected | serving if count > len(expected) and not listed else matter
        self.absent = sorted((expected if listed else known) - (serving - half.keys()))
        self.alive_of_wanted = len(wanted & serving), max(len(wanted), count)
        self.missing = self.alive_of_wanted[0] < self.alive_of_wanted[1] or bool(self.half)

    def is_partly_half(self, name: str) -> bool:
        """Whether a member's receiver fails at some places and not at others that hear it."""
        return name in self.half and any(
            name in place.heard and place.name not in self.half[name] for place in self.places
        )

    def _find_mute(self) -> list[str]:
        """Return who is heard nowhere and answers everywhere, for t_stable."""
        found = []
        for name in self.absent:
            seen = [place.members[name] for place in self.places if name in place.members]
            if len(seen) >= ENOUGH and all(
                one.state == MemberState.MUTE and (one.age_seconds or 0.0) >= self.stable_time for one in seen
            ):
                found.append(name)
        return found

    def findings(self, *, merging: bool, stable: bool) -> Findings:
        """Return the bits; what only time can tell is handed in."""
        latent = [loss for loss in self.proven if loss.answers]
        return Findings(
            enough=self.enough,
            known=bool(self.known) or self.count > 0,
            heard=bool(self.alive) or any(seen.up for place in self.places for seen in place.members.values()),
            answers=self._answers(),
            all_deaf=all(self._quiet(place) for place in self.places),
            apart=bool(self.sides),
            bridged=len(latent) == len(self.proven),
            latent=bool(latent) or bool(self.mute),
            lost=bool(self.proven),
            deaf=bool(self.deaf),
            merging=merging,
            agree=not self.losses,
            missing=self.missing,
            stable=stable,
        )

    def _answers(self) -> bool | None:
        answers = [
            seen.answers
            for place in self.places
            for seen in place.members.values()
            if not seen.up and seen.state != MemberState.LEFT
        ]
        if True in answers:
            return True
        if answers:
            return None if None in answers else False
        return False if self.known else None

    def _quiet(self, place: Place) -> bool:
        ages = [seen.age_seconds for seen in place.members.values() if seen.age_seconds is not None]
        return place.at - place.since >= 3 * self.drop_time and min(ages, default=1e9) >= 3 * self.drop_time

    def incarnations(self, members: Iterable[str]) -> dict[str, str]:
        """Return the unique id by which each of some members is heard."""
        found: dict[str, str] = {}
        for member in members:
            for place in self.places:
                if member in place.heard:
                    found.setdefault(member, place.members[member].unique_id)
        return found

    def hearers(self, members: Iterable[str]) -> list[str]:
        """Return the places that hear all of some members."""
        wanted = set(members)
        return [place.name for place in self.places if wanted <= place.heard]
