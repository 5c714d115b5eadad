"""Several vantages become one state of the cluster: who is on which side, who is deaf, which way is lost.

Views are of different moments and their hosts' clocks differ: only ages, relative to each view's own time,
are compared, and nothing is said before it has outlasted both dropTime and the age of the oldest view.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from probe.model.events import Event, Kind
from probe.model.hearing import Place
from probe.model.joint import Joint, listed, say
from probe.model.picture import ENOUGH, Picture, joint_state
from probe.model.sight import GroupSight, Vantage
from probe.model.verdict import ClusterState, Phrase, Verdict

FRESH: Final = 4.0
"""seconds for which a view says something; with dropTime it stays below t_stable."""

_HOLDS: Final = frozenset(
    {
        ClusterState.WHOLE,
        ClusterState.DEGRADED,
        ClusterState.LATENT_SPLIT,
        ClusterState.ASYMMETRIC,
        ClusterState.SPLIT,
        ClusterState.DEAF,
    }
)
"""States that are still said while the views settle; others give way to ``unknown``."""
_OUTLAST: Final = frozenset({ClusterState.LATENT_SPLIT, ClusterState.ASYMMETRIC, ClusterState.DEAF})
"""States that views of different moments could feign when a split begins or ends: they must outlast FRESH."""


class Together:
    """Judges one group over several vantages; remembers what is in force, and since when."""

    def __init__(self, group: str, now: float) -> None:
        self.group = group
        self.joint = Joint(Verdict(ClusterState.UNKNOWN, now, (("nothing was compared yet",),), {}, 0, 0))
        self._usable_since: dict[str, float] = {}
        self._alive: dict[str, float] = {}
        self._fine_since: float | None = None
        self._candidate: tuple[ClusterState | None, float] = (None, now)
        self._parted: list[dict[str, str]] = []
        self._healed_at: float | None = None

    def judge(self, vantages: Iterable[Vantage], now: float) -> list[Event]:
        """Judge anew; return the change of the state, if there is one."""
        vantages = sorted(vantages, key=lambda vantage: vantage.name)
        silent = {vantage.name: why for vantage in vantages if (why := _unusable(vantage, now))}
        usable = [vantage for vantage in vantages if vantage.name not in silent]
        self._usable_since = {one.name: self._usable_since.get(one.name, now) for one in usable}
        places = [Place(one, self._usable_since[one.name]) for one in usable]
        heard = set[str]().union(*(place.heard for place in places))
        self._alive = {member: self._alive.get(member, now) for member in heard}
        drop = max((one.sight.drop_time_seconds for one in usable if one.sight), default=3.0)
        picture = Picture(places, self._alive, drop, max((one.expected for one in _sights(usable)), default=0))
        return self._conclude(picture, silent, now)

    def _conclude(self, picture: "Picture", silent: dict[str, str], now: float) -> list[Event]:
        findings = picture.findings(
            merging=self._merging(picture, now), stable=self._stable(picture, now) >= picture.stable_time
        )
        state = self._settled(joint_state(findings), now)
        joint = say(state, picture, silent, now) if state else self._held(picture, silent, now)
        before = self.joint.verdict
        if joint.verdict.state is before.state:
            verdict = msgspec.structs.replace(joint.verdict, since=before.since)
            joint = msgspec.structs.replace(joint, verdict=verdict)
        self.joint = joint
        if joint.verdict.state is ClusterState.SPLIT and joint.sides:
            self._parted = [picture.incarnations(side.members) for side in joint.sides]
        return [] if joint.verdict.state is before.state else [self._change(before.state, now)]

    def _stable(self, picture: "Picture", now: float) -> float:
        """Return for how long all have agreed and nobody was missing."""
        fine = picture.enough and not picture.losses and not picture.missing
        self._fine_since = (self._fine_since if self._fine_since is not None else now) if fine else None
        return now - self._fine_since if self._fine_since is not None else 0.0

    def _merging(self, picture: "Picture", now: float) -> bool:
        """Whether who was on two sides is back, each the same process, for less than t_stable."""
        if not picture.enough or picture.losses:
            self._healed_at = None
            return False
        if self._healed_at is None and self._parted:
            self._healed_at = now
        alive = picture.incarnations(self._alive)
        back = sum(any(alive.get(member) == it for member, it in side.items()) for side in self._parted)
        if self._healed_at is not None and now >= self._healed_at + picture.stable_time:
            self._parted, self._healed_at = [], None
            return False
        if back >= ENOUGH:
            return True
        # while all was cut the probes were apart, too: then each found it alone
        return sum(place.says == ClusterState.MERGING for place in picture.places) >= ENOUGH

    def _settled(self, state: ClusterState | None, now: float) -> ClusterState | None:
        """Return the state to be said; None while views of different moments could still feign it."""
        if state is not self._candidate[0]:
            self._candidate = (state, now)
        young = now < self._candidate[1] + FRESH
        if state in _OUTLAST and young and state is not self.joint.verdict.state:
            return None
        return state

    def _held(self, picture: "Picture", silent: dict[str, str], now: float) -> Joint:
        verdict = self.joint.verdict
        if verdict.state in _HOLDS:
            reasons = (*(one for one in verdict.reasons if one != _CHANGING), _CHANGING)
            return msgspec.structs.replace(
                self.joint,
                verdict=msgspec.structs.replace(verdict, reasons=reasons),
                judged=picture.names,
                silent=silent,
            )
        reasons = ((f"{listed(picture.names)} have not agreed for {picture.stable_time:g} s yet",),)
        alive, wanted = picture.alive_of_wanted
        return Joint(Verdict(ClusterState.UNKNOWN, now, reasons, {}, alive, wanted), picture.names, silent)

    def _change(self, before: ClusterState, now: float) -> Event:
        verdict = self.joint.verdict
        merged = before is ClusterState.MERGING and verdict.state is ClusterState.WHOLE
        return Event(
            at=now,
            kind=Kind.MERGED if merged else Kind(verdict.state.value),
            group=self.group,
            sentence=("together ", *verdict.phrase),
            values={
                "before": before.value,
                "alive": verdict.alive,
                "wanted": verdict.wanted,
                "vantages": ", ".join(self.joint.judged),
            },
        )


_CHANGING: Final[Phrase] = ("the views are changing",)


def _unusable(vantage: Vantage, now: float) -> str:
    """Say why a vantage says nothing; empty when it may judge."""
    if vantage.sight is None:
        return vantage.why or "it was not read yet"
    if now - vantage.asked_at > FRESH:
        return f"its last view is {now - vantage.asked_at:.0f} s old" + (
            f": {vantage.why}" if vantage.why else ""
        )
    if not vantage.sight.fit:
        return f"it is not fit to judge ({', '.join(vantage.sight.unfit) or 'it does not say why'})"
    return ""


def _sights(vantages: Iterable[Vantage]) -> list[GroupSight]:
    return [vantage.sight for vantage in vantages if vantage.sight is not None]
