"""One vantage's judge: what the tracks say together, and when that changed."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

from probe.model.events import Event, Kind
from probe.model.evidence import MemberState
from probe.model.presence import HEARD, Presence
from probe.model.rules import ExpectedBy, Rules
from probe.model.track import Track
from probe.model.verdict import ClusterState, Findings, Phrase, Verdict, cluster_state

NAMED: Final = 5
"""Members that one sentence names; the others are counted."""


class Judge:
    """Judges one group from one place; remembers the verdict in force."""

    def __init__(self, now: float) -> None:
        self.started_at = now
        self._fit_since: float | None = None
        self.verdict = Verdict(ClusterState.UNKNOWN, now, (("nothing was judged yet",),), {}, 0, 0)

    def judge(
        self,
        rules: Rules,
        tracks: Iterable[Track],
        now: float,
        unfit: Iterable[str] = (),
        evidence: tuple[Phrase, ...] = (),
    ) -> list[Event]:
        """Judge anew; return the change of the cluster state, if there is one.

        ``evidence`` is what the members' own belief adds to the sentence; it changes no state.
        """
        unfit = tuple(unfit)
        if unfit:
            self._fit_since = None
        elif self._fit_since is None:
            self._fit_since = now
        seen = [(track, track.state()) for track in tracks]
        wanted = _wanted(rules, seen)
        alive = sum(_serves(*pair) for pair in wanted)
        findings = self._findings(rules, seen, wanted, alive, now, fit=not unfit)
        state = cluster_state(findings)
        counts = dict(Counter(state for _, state in seen) if not unfit else {MemberState.UNKNOWN: len(seen)})
        since = self.verdict.since if state is self.verdict.state else _began(state, rules, seen, now)
        total = max(rules.expected_count, len(wanted))
        asked_for = seen if rules.expected_count and alive < total else wanted
        reasons = _reasons(state, asked_for, seen, alive, total, unfit, evidence)
        before = self.verdict.state
        self.verdict = Verdict(state, since, reasons, counts, alive, total)
        return [] if state is before else [self._change(rules, before, now, fit=not unfit)]

    def _findings(
        self,
        rules: Rules,
        seen: list[tuple[Track, MemberState]],
        wanted: list[tuple[Track, MemberState]],
        alive: int,
        now: float,
        *,
        fit: bool,
    ) -> Findings:
        return Findings(
            fit=fit,
            known=bool(seen) or rules.expected_count > 0,
            heard=_anybody_heard([track for track, _ in seen]),
            answers=_answers(seen),
            deaf=self._deaf_at(rules, (track for track, _ in seen)) <= now,
            mute=any(_makes_latent(track, state, rules, now) for track, state in seen),
            merging=any(
                track.returned_at is not None
                and track.returned_at >= (self._fit_since or 0.0)  # a probe that starved did not hear them
                and now < track.returned_at + rules.stable_time
                for track, _ in seen
            ),
            missing=alive < max(len(wanted), rules.expected_count),
        )

    def deadline(self, rules: Rules, tracks: Iterable[Track], now: float) -> float | None:
        """Return when time alone may change the verdict next."""
        tracks = list(tracks)
        moments = [] if _anybody_heard(tracks) else [self._deaf_at(rules, tracks)]
        for track in tracks:
            if track.presence is Presence.SILENT:
                moments.append(track.latent_at(rules))
            elif track.returned_at is not None:
                moments.append(track.returned_at + rules.stable_time)
        return min((moment for moment in moments if moment > now), default=None)

    def _deaf_at(self, rules: Rules, tracks: Iterable[Track]) -> float:
        """Return when nothing will have been heard for three dropTimes."""
        last_heard = max((track.last_heard for track in tracks), default=0.0)
        return max(last_heard, self.started_at) + 3 * rules.drop_time

    def _change(self, rules: Rules, before: ClusterState, now: float, *, fit: bool) -> Event:
        verdict = self.verdict
        merged = before is ClusterState.MERGING and verdict.state is ClusterState.WHOLE
        return Event(
            at=now,
            kind=Kind.MERGED if merged else Kind(verdict.state.value),
            group=rules.name,
            sentence=verdict.phrase,
            fit=fit,
            values={"before": before.value, "alive": verdict.alive, "wanted": verdict.wanted},
        )


def _makes_latent(track: Track, state: MemberState, rules: Rules, now: float) -> bool:
    return state is MemberState.MUTE and track.latent_at(rules) <= now


def _anybody_heard(tracks: list[Track]) -> bool:
    """Whether a heartbeat is young enough; where only static members are known, whether one answers."""
    if any(track.presence in HEARD for track in tracks):
        return True
    return all(track.sends_nothing for track in tracks) and any(track.is_up for track in tracks)


def _wanted(rules: Rules, seen: list[tuple[Track, MemberState]]) -> list[tuple[Track, MemberState]]:
    """Return who must be alive for the cluster to be whole."""
    if rules.expected:
        return [pair for pair in seen if pair[0].expected]
    if rules.expected_count:
        return [pair for pair in seen if pair[0].expected_by is ExpectedBy.LEARNED or _serves(*pair)]
    return seen


def _serves(track: Track, state: MemberState) -> bool:
    """Whether it counts as alive: a late one is still a member, unless its receiver failed."""
    if state is MemberState.LATE:
        return track.answer is None or track.answer.serves
    return state is MemberState.ALIVE


def _answers(seen: list[tuple[Track, MemberState]]) -> bool | None:
    """Return whether anybody unheard accepts or answers; None when that is not known of anybody."""
    if not seen:
        return None
    if all(state in (MemberState.LEFT, MemberState.LOST) for _, state in seen):
        return False
    answers = [track.fresh_answer for track, state in seen if state is not MemberState.LEFT]
    if any(answer is not None and answer.connected for answer in answers):
        return True
    return None if None in answers else False


def _began(state: ClusterState, rules: Rules, seen: list[tuple[Track, MemberState]], now: float) -> float:
    """Return since when the state holds: a latent split began when its first member fell silent."""
    if state is not ClusterState.LATENT_SPLIT:
        return now
    return min(track.since for track, member in seen if _makes_latent(track, member, rules, now))


def _reasons(
    state: ClusterState,
    wanted: list[tuple[Track, MemberState]],
    seen: list[tuple[Track, MemberState]],
    alive: int,
    total: int,
    unfit: tuple[str, ...],
    evidence: tuple[Phrase, ...],
) -> tuple[Phrase, ...]:
    if unfit:
        return ((f"the probe is not fit to judge ({', '.join(unfit)})",),)
    missing = [pair for pair in wanted if not _serves(*pair)]
    missing += [pair for pair in seen if pair[1] is MemberState.MUTE and pair not in missing]
    phrases = [_missing(*pair) for pair in missing[:NAMED]]
    if len(missing) > NAMED:
        phrases.append((f"and {len(missing) - NAMED} more",))
    if state in _SUMS_UP:
        phrases.insert(0, (f"{alive} of {total} members alive",))
    advice = _ADVICE.get(state)
    return (*phrases, *evidence, (advice,)) if advice else (*phrases, *evidence)


def _missing(track: Track, state: MemberState) -> Phrase:
    return _MISSING[state](track)


def _milliseconds(track: Track) -> str:
    answer = track.fresh_answer
    seconds = answer.answer_seconds if answer else None
    return f" ({seconds * 1000:.0f} ms)" if seconds is not None else ""


def _failure(track: Track) -> str:
    answer = track.fresh_answer
    return answer.outcome.value if answer else "not asked"


_MISSING: Final[dict[MemberState, Callable[[Track], Phrase]]] = {
    MemberState.MUTE: lambda track: (
        f"{track.name} is not heard (last ", track.last_heard, f") but answers on TCP{_milliseconds(track)}"
    ),
    MemberState.FROZEN: lambda track: (
        f"{track.name} is frozen: not heard (last ", track.last_heard, "), it accepts but does not answer"
    ),
    MemberState.SILENT: lambda track: (
        f"{track.name} is silent (last ", track.last_heard, f"), {_silent(track)}"
    ),
    MemberState.LOST: lambda track: (
        f"{track.name} is lost (last ", track.last_heard, f"), its receiver is closed ({_failure(track)})"
    ),
    MemberState.LEFT: lambda track: (f"{track.name} left (", track.since, ") with a goodbye"),
    MemberState.HALF: lambda track: (
        f"{track.name} is heard but its receiver fails ({_failure(track)}): nobody can replicate to it",
    ),
    MemberState.LATE: lambda track: (
        f"{track.name} is late (last ", track.last_heard, f") and its receiver fails ({_failure(track)})"
    ),
    MemberState.UNHEARD: lambda track: (f"{track.name} {_unheard(track)}",),
}  # fmt: skip


def _unheard(track: Track) -> str:
    if track.expected_by is ExpectedBy.LEARNED:
        return "was learned before this probe started and is not heard since"
    return "is expected and was never heard"


def _silent(track: Track) -> str:
    answer = track.fresh_answer
    if answer is None:
        return "its receiver was not asked: mute, frozen and lost cannot be told apart"
    return "its port accepts connections: mute and frozen cannot be told apart by a connect (level ack can)"


_SUMS_UP: Final = frozenset(
    {ClusterState.WHOLE, ClusterState.DEGRADED, ClusterState.MERGING, ClusterState.DOWN}
)
_ADVICE: Final = {
    ClusterState.LATENT_SPLIT: (
        "multicast is broken, TCP is not. Do not restart any node: it would not be let back in"
    ),
    ClusterState.DEAF: "nothing is heard here but receivers answer: suspect this host, not the cluster",
    ClusterState.DOWN: "nobody is heard and nobody answers",
    ClusterState.MERGING: "members are back that ran on meanwhile: their sessions diverged and do not cross",
    ClusterState.EMPTY: "nothing was ever heard and nothing is expected",
    ClusterState.UNKNOWN: (
        "nobody is heard and not all could be asked: a deaf vantage and a dead cluster look alike"
    ),
}
