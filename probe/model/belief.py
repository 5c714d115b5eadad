"""What a Tomcat itself believes, held against what is heard here: it proves ghosts, deaf nodes, a latent split.

A belief is read at one moment and heartbeats are heard at others, so whatever differs must differ in every
reading for longer than dropTime before it is a finding. Findings are evidence: they change no state.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Final

import msgspec

from probe.model.evidence import MemberState, Outcome
from probe.model.membership import Membership
from probe.model.presence import HEARD
from probe.model.track import Track
from probe.model.verdict import Phrase

FRESH: Final = 10.0
"""seconds for which a reading says something of now."""
SLACK: Final = 3.0
"""seconds by which a difference must outlast dropTime; with 3 s of it TcpFailureDetector has tried again."""
NAMED: Final = 3
"""Members that one clause names."""


class Entry(msgspec.Struct, frozen=True):
    """One entry of a Tomcat's list: "10.0.0.1:4000" (or as it resolves the name), and the unique id."""

    member: str
    unique_id: bytes

    def __str__(self) -> str:
        return f"{self.member}#{self.unique_id.hex()}"


class Belief(msgspec.Struct, frozen=True):
    """A Tomcat's own member, whom its membership hears, whom its channel keeps; dropTime in seconds."""

    local: Entry
    hears: tuple[Entry, ...]
    keeps: tuple[Entry, ...]
    drop_time: float


class Reading(msgspec.Struct, frozen=True):
    """What one Tomcat said when it was asked at a time of the model's clock; or nothing, and ``why``.

    ``member`` is whose belief it is to be, empty where that was left to be found out.
    """

    source: str
    member: str
    at: float
    belief: Belief | None = None
    why: str = ""


class Finding(StrEnum):
    """What a Tomcat's belief shows of it, the gravest first."""

    DEAF = "deaf"
    LATENT_SPLIT = "latent-split"
    GHOST = "ghost"
    NOT_LET_IN = "not-let-in"


class Found(msgspec.Struct, frozen=True):
    """One finding about a believer, the entries it is about, and since when it was seen (model's clock)."""

    finding: Finding
    believer: str
    about: tuple[Entry, ...]
    since: float
    hears_nobody: bool = False

    @property
    def text(self) -> str:
        """Say it in one clause."""
        return _WORDS[self.finding](self)


def _named(found: Found) -> str:
    names = [entry.member for entry in found.about[:NAMED]]
    more = len(found.about) - len(names)
    return ", ".join(names) + (f" and {more} more" if more else "")


def _them(found: Found) -> str:
    return "them" if len(found.about) > 1 else "it"


def _deaf(found: Found) -> str:
    if found.hears_nobody:
        return f"{found.believer} itself hears nobody: its own membership is empty"
    return f"{found.believer} itself does not hear {_named(found)}, heard here"


def _latent_split(found: Found) -> str:
    return f"{found.believer} itself does not hear {_named(found)} any more but still keeps {_them(found)}"


def _ghost(found: Found) -> str:
    first = found.about[0]
    more = f" and {len(found.about) - 1} more" if len(found.about) > 1 else ""
    return f"{found.believer} itself still keeps a ghost of {first.member} ({first.unique_id.hex()[:8]}…){more}"


def _not_let_in(found: Found) -> str:
    return f"{found.believer} itself hears {_named(found)} but has not let {_them(found)} in"


_WORDS: Final = {
    Finding.DEAF: _deaf,
    Finding.LATENT_SPLIT: _latent_split,
    Finding.GHOST: _ghost,
    Finding.NOT_LET_IN: _not_let_in,
}
_GRAVITY: Final = {finding: number for number, finding in enumerate(Finding)}
_Differing = dict[tuple[Finding, Entry], float]
"""What differs, and the time of the first reading in which it did."""


class Held:
    """One source: its last good reading, whose it is, what differs in it, and what is found by now.

    ``why`` says why the last attempt gave nothing to compare; empty when it did.
    """

    def __init__(self) -> None:
        self.read: Reading | None = None
        self.member = ""
        self.why = "it was not read yet"
        self.differing: _Differing = {}
        self.found: tuple[Found, ...] = ()
        self.told: tuple[Found, ...] = ()

    def forget(self) -> None:
        """Let go of all that differed."""
        self.differing, self.found = {}, ()

    def news(self) -> tuple[Found, ...] | None:
        """Return what is found, if it is not what was told last; what only may differ yet is no news."""
        said = [(one.finding, one.about) for one in self.found]
        if said == [(one.finding, one.about) for one in self.told] or (self.differing and not said):
            return None
        self.told = self.found
        return self.found

    def is_fresh(self, now: float) -> bool:
        """Whether the last good reading still says something of now."""
        return self.read is not None and now < self.read.at + FRESH


class Beliefs:
    """All that the Tomcats of one group believe, by source."""

    def __init__(self) -> None:
        self.held: dict[str, Held] = {}

    def keep(self, sources: Iterable[str]) -> None:
        """Know these sources and no others."""
        self.held = {source: self.held.get(source, Held()) for source in sources}

    def forget(self) -> None:
        """Let go of all that was found: who was not fit to judge does not know what differed meanwhile."""
        for held in self.held.values():
            held.forget()

    def take(
        self, reading: Reading, membership: Membership, drop_time: float, now: float
    ) -> tuple[Found, ...] | None:
        """Hold one reading against who is heard; ``drop_time`` is the group's own.

        Return what is found of this Tomcat if that is news, nothing in it when it agrees again; else None.
        """
        held = self.held.setdefault(reading.source, Held())
        belief = reading.belief
        if belief is None:
            held.why = reading.why
            held.member = held.member or reading.member
            if not held.is_fresh(now):
                held.forget()
            return None
        believer = _believer(reading.member, belief, membership)
        held.member = believer.name if believer is not None else reading.member or belief.local.member
        held.why = self._unlike(held, belief, believer)
        if held.why or believer is None:
            held.read = None
            held.forget()
            return None
        if held.read is None or reading.at >= held.read.at + FRESH:
            held.forget()
        held.read = reading
        differing = set(_differ(belief, believer, membership, self._heard_elsewhere(held, now), now))
        held.differing = {key: held.differing.get(key, reading.at) for key in differing}
        lasting = reading.at - max(belief.drop_time, drop_time) - SLACK
        held.found = tuple(_gather(believer.name, held.differing, lasting, nobody=not belief.hears))
        return held.news()

    def _unlike(self, held: Held, belief: Belief, believer: Track | None) -> str:
        """Say why a belief cannot be held against anything; empty when it can."""
        for other in self.held.values():
            if other is held:
                break
            if other.member == held.member and other.read is not None:
                return f"it is {held.member}, which is read elsewhere"
        if believer is None or believer.member is None:
            return f"it is {held.member}, which was never heard here"
        if believer.unique_id != belief.local.unique_id:
            return f"it is another process than the one heard at {held.member}"
        return ""

    def _heard_elsewhere(self, held: Held, now: float) -> set[bytes]:
        """Return the unique ids that any other Tomcat hears."""
        return {
            entry.unique_id
            for other in self.fresh(now)
            if other is not held and other.read is not None and other.read.belief is not None
            for entry in other.read.belief.hears
        }

    def fresh(self, now: float) -> Iterator[Held]:
        """Yield the sources whose last good reading still says something."""
        return (held for held in self.held.values() if held.is_fresh(now))

    def found(self, now: float) -> dict[str, tuple[Found, ...]]:
        """Return what is found of each member whose belief is read."""
        return {held.member: held.found for held in self.fresh(now)}

    def evidence(self, now: float) -> tuple[Phrase, ...]:
        """Return the one clause that the verdict's sentence gains, or nothing."""
        found = [one for held in self.fresh(now) for one in held.found]
        if not found:
            return ()
        gravest = min(
            found, key=lambda one: (_GRAVITY[one.finding], not one.hears_nobody, one.since, one.believer)
        )
        more = f", and {len(found) - 1} more such" if len(found) > 1 else ""
        return ((gravest.text + more,),)

    def deadline(self, now: float) -> float | None:
        """Return when something found becomes too old to be said."""
        moments = (held.read.at + FRESH for held in self.fresh(now) if held.read is not None and held.found)
        return min(moments, default=None)


def _believer(member: str, belief: Belief, membership: Membership) -> Track | None:
    """Return whose belief it is: as set, or by its unique id, or by its address."""
    if member:
        return membership.named(member)
    mine = (track for track in membership if track.unique_id == belief.local.unique_id)
    return next(mine, membership.named(belief.local.member))


def _differ(
    belief: Belief, believer: Track, membership: Membership, elsewhere: set[bytes], now: float
) -> Iterator[tuple[Finding, Entry]]:
    """Yield what differs at this moment."""
    hears = {entry.unique_id for entry in belief.hears}
    keeps = {entry.unique_id: entry for entry in belief.keeps if entry.unique_id != believer.unique_id}
    for track in _beside(believer, membership, now):
        entry = Entry(track.name, track.unique_id)
        if track.unique_id in hears:
            if track.unique_id not in keeps:
                yield Finding.NOT_LET_IN, entry
        else:
            kept = track.unique_id in keeps and bool(hears)
            yield Finding.LATENT_SPLIT if kept else Finding.DEAF, entry
    for entry in keeps.values():
        there = membership.named(entry.member)
        if there is None or entry.unique_id in hears or entry.unique_id in elsewhere:
            continue
        if there.unique_id == entry.unique_id and there.state() is MemberState.MUTE:
            yield Finding.LATENT_SPLIT, entry
        elif _is_ghost(entry, there, now):
            yield Finding.GHOST, entry


def _beside(believer: Track, membership: Membership, now: float) -> Iterator[Track]:
    """Yield who is heard where the believer is, in its domain: whom it should hear and keep."""
    mine = believer.member
    if mine is None or believer.presence not in HEARD:
        return
    for track in membership:
        member = track.member
        if track is believer or member is None or track.presence not in HEARD or track.clash_until > now:
            continue
        if member.domain == mine.domain and track.origin.interface == believer.origin.interface:
            yield track


def _is_ghost(entry: Entry, track: Track, now: float) -> bool:
    """Whether an entry's process lives no more: another lives there, or its port is closed to everybody."""
    if track.static or track.clash_until > now:
        return False
    if track.presence in HEARD:
        return track.unique_id != entry.unique_id
    answer = track.fresh_answer
    return answer is not None and answer.outcome is Outcome.REFUSED


def _gather(believer: str, differing: _Differing, lasting: float, *, nobody: bool) -> Iterator[Found]:
    """Yield one finding of each kind over what has differed since ``lasting`` at the latest."""
    for finding in Finding:
        since = {entry: at for (kind, entry), at in differing.items() if kind is finding and at <= lasting}
        if since:
            about = tuple(sorted(since, key=lambda entry: (entry.member, entry.unique_id)))
            yield Found(finding, believer, about, min(since.values()), hears_nobody=nobody)
