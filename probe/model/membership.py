"""Who is heard: heartbeats, and the silence between them, become members and events.

Pure: ``now`` is handed in (seconds, a clock that does not go back). A Tomcat decides liveness the same
way (``Membership.memberAlive``, ``expire``): by the time since the last datagram, never by the alive
time. Silence waits in queues of one constant time-out each, so every queue is in the order of its
deadlines by itself and only its head is ever looked at.
"""

import ipaddress
import struct
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from probe.model.door import Door
from probe.model.events import Event, Kind
from probe.model.evidence import Answer, Check, MemberState
from probe.model.gaps import CLOCK_TOLERANCE, Gap, GapKind, classify
from probe.model.histogram import Histogram
from probe.model.learning import LEARNED_SHARE, Learned, Learning
from probe.model.presence import HEARD, SILENCE, TRANSITIONS, Presence, Trigger
from probe.model.rules import ExpectedBy, Rules
from probe.model.track import LEARN_MASK, NOWHERE, Datagram, Origin, Track
from protocols.heartbeat import EPOCH_LIKE_MS, LEAST, Heartbeat, Member, host_text, is_lasting, splitter

TFD_SLACK: Final = 1.0
"""seconds: TcpFailureDetector's connectTimeout; an old entry may outlive dropTime by this much."""
START_SLACK: Final = 1.0
"""seconds: by how much a start reckoned from the alive time may be wrong."""
PASSING_SHARE: Final = 8
PASSING_LEAST: Final = 64
"""Who was heard once and fell silent may fill the eighth part of the table, or so many: a flood leaves nothing
that every scrape would have to carry for an hour."""
REFUSALS_TOLD_EVERY: Final = 10.0
"""seconds between two events about refused strangers."""
BUCKETS: Final = (0.25, 0.5, 0.9, 1.1, 1.5, 2.5, 3.5, 4.5, 5.5, 7.5, 10.5, 20.5, 60.5)
"""Upper bounds of the gap histogram, in periods of the group's frequency; one more counts all above."""
_IN_TIME: Final = BUCKETS.index(1.1)
STEADY_LONGEST: Final = 1_500
"""bytes: longer datagrams are looked at closely each time, so that what is remembered stays small."""
KEPT_LONGEST: Final = 1_500
"""bytes of payload, domain and command that are kept of a member; of one who announces more, only the start."""
_KEPT_EACH: Final = 500
SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Upper bounds of the durations of questions that were answered."""

_Queue = OrderedDict[bytes, Track]


class Membership:
    """The members of one group as one vantage hears them.

    Bounded: at most ``rules.capacity`` addresses. Silent strangers heard only once have a share of them and
    leave first, then whoever has been silent longest; who is present or expected stays, and the newcomer is
    refused and counted.
    """

    def __init__(self, rules: Rules) -> None:
        self._tracks: dict[bytes, Track] = {}
        self._names: dict[str, Track] = {}
        self._present: _Queue = OrderedDict()
        self._late: _Queue = OrderedDict()
        self._passing: _Queue = OrderedDict()  # silent, and heard only once
        self._gone: _Queue = OrderedDict()
        self._steady: dict[bytes, Track] = {}  # by the tail of their datagrams
        self._refusals_told_at = float("-inf")
        self.overflow = 0
        self.learning = Learning()
        self.gaps = Histogram(())
        self.check_seconds = {check: Histogram(SECONDS) for check in Check}
        self.adopt(rules)

    def adopt(self, rules: Rules) -> None:
        """Take new rules; the members known stay."""
        self.rules = rules
        self.door = Door(rules.strangers_per_second)
        bounds = tuple(bound * rules.frequency for bound in BUCKETS)
        if self.gaps.bounds != bounds:
            self.gaps = Histogram(bounds)
        self._in_time = _in_time(rules.frequency)
        self.learning.after = rules.learn_after
        self.learning.most = rules.capacity // LEARNED_SHARE
        self._expect()
        self.learning.adopt(
            (one.up_since, one.name) for one in self if one.presence in HEARD and not one.expected
        )

    def recall(self, learned: Iterable[Learned]) -> None:
        """Expect again who was learned before."""
        self.learning.recall(learned)
        self._expect()

    def start_anew(self, now: float) -> None:
        """Forget whom this group learned: it is another one. The members known stay."""
        self.learning.clear()
        for track in self:
            track.up_since = now
        self.adopt(self.rules)

    def _expect(self) -> None:
        """Hold every member against the rules, and those it is to have against the members."""
        expected = self._expected()
        for name in sorted(expected.keys() - self._names.keys()):
            if (address := _packed(name)) not in self._tracks:
                self._keep(Track(name, address, self.rules.frequency))
        for track in list(self._tracks.values()):
            was_expected, track.expected_by = track.expected, expected.get(track.name)
            if track.expected:
                self.learning.ended(track.name)
            elif was_expected:
                self._let_go(track)
            track.static = track.name in self.rules.static
            track.stranger = track.member is not None and bool(_strange(track, track.member, self.rules))

    def _expected(self) -> dict[str, ExpectedBy]:
        """Return who must be there; of several who say so the settings' list comes first."""
        rules = self.rules
        return {
            **dict.fromkeys((one.member for one in self.learning.members(rules.domain)), ExpectedBy.LEARNED),
            **dict.fromkeys(rules.static, ExpectedBy.STATIC),
            **dict.fromkeys(rules.expected, ExpectedBy.SETTINGS),
        }

    def _let_go(self, track: Track) -> None:
        """Have one that is expected no more be forgotten in its time, which may be over."""
        if track.presence is Presence.UNHEARD:
            self._drop(track)
        elif track.presence not in HEARD and track.address not in self._passing:
            self._gone[track.address] = track
            if track.last_heard < _head(self._gone).last_heard:
                self._gone.move_to_end(track.address, last=False)

    def _keep(self, track: Track) -> None:
        self._tracks[track.address] = self._names[track.name] = track

    def _drop(self, track: Track) -> None:
        del self._tracks[track.address], self._names[track.name]
        self._look_closely(track)

    def __iter__(self) -> Iterator[Track]:
        return iter(self._tracks.values())

    def __len__(self) -> int:
        return len(self._tracks)

    def get(self, address: bytes) -> Track | None:
        """Return what is known of an address (``Member.address``)."""
        return self._tracks.get(address)

    def named(self, name: str) -> Track | None:
        """Return what is known of a member by its name ("10.0.0.1:4000")."""
        return self._names.get(name)

    # -- hearing

    def news(self, datagrams: Sequence[Datagram]) -> Iterator[Datagram]:
        """Take the beats that tell nothing new; yield the other datagrams in their order.

        Nothing new: the bytes that ``hear`` was given before, from the same place, in time by both clocks.
        Nearly every datagram of a life ends here, so it is one loop without a call: a known member costs
        one split, one look-up and one move in its queue.
        """
        recall, wait = self._steady.get, self._present.move_to_end
        soonest, latest, least, most = self._in_time
        total, closely, split = 0.0, 0, splitter(LEAST)
        for data, now, origin in datagrams:
            try:
                head, alive_ms, tail = split(data)
            except struct.error:  # another length than the one before: rare
                if not LEAST <= len(data) <= STEADY_LONGEST:
                    closely += 1
                    yield data, now, origin
                    continue
                split = splitter(len(data))
                head, alive_ms, tail = split(data)
            track = recall(tail, _NOBODY)
            if track.head == head and track.origin is origin:
                gap = now - track.last_heard
                if soonest < gap <= latest and least < alive_ms - track.alive_ms < most:
                    track.last_heard = now
                    track.alive_ms = alive_ms
                    track.heartbeats = heartbeats = track.heartbeats + 1
                    if not heartbeats & LEARN_MASK:
                        track.learn(gap)
                    total += gap
                    wait(track.address)
                    continue
            closely += 1
            yield data, now, origin
        self.gaps.counts[_IN_TIME] += len(datagrams) - closely
        self.gaps.sum += total

    def hear(
        self, heartbeat: Heartbeat, now: float, origin: Origin = NOWHERE, data: bytes = b""
    ) -> list[Event]:
        """Take one heartbeat or goodbye that arrived at ``now``; return what it means, mostly nothing.

        With its ``data`` given, ``news`` knows its like from then on.
        """
        heartbeat = _bounded(heartbeat)
        member = heartbeat.member
        track = self._tracks.get(member.address)
        if track is None:
            track = self._admit(member)
            if track is None:
                return self.refuse(now, origin)
        now = max(now, track.last_heard)
        if track.member is not None and member.unique_id != track.unique_id:
            events = self._hear_other(track, heartbeat, now, origin)
        elif member.is_goodbye:
            return self._hear_goodbye(track, heartbeat, now, origin)
        else:
            events = self._hear_beat(track, heartbeat, now, origin)
        self._know(track, member, data, now)
        return events

    def _know(self, track: Track, member: Member, data: bytes, now: float) -> None:
        """Have ``news`` take this datagram when it comes again, if there is nothing about it to look at."""
        quiet = track.member is member and track.learned and track.clash_until <= now
        if quiet and LEAST <= len(data) <= STEADY_LONGEST and is_lasting(member, data):
            track.head, _, track.tail = splitter(len(data))(data)
            self._steady[track.tail] = track

    def _look_closely(self, track: Track) -> None:
        """Have the next datagram of a member go through ``hear``."""
        self._steady.pop(track.tail, None)
        track.head = track.tail = b""

    def _admit(self, member: Member) -> Track | None:
        if len(self._tracks) >= self.rules.capacity and not self._make_room():
            return None
        track = Track(member.name, member.address, self.rules.frequency)
        self._keep(track)
        return track

    def _make_room(self) -> bool:
        for queue in (self._passing, self._gone):
            for address, track in queue.items():
                if not track.expected:
                    del queue[address]
                    self._drop(track)
                    return True
        return False

    def refuse(self, now: float, origin: Origin = NOWHERE, count: int = 1) -> list[Event]:
        """Count datagrams of strangers that are not taken in; tell it now and then."""
        self.overflow += count
        if now - self._refusals_told_at < REFUSALS_TOLD_EVERY:
            return _NOTHING
        self._refusals_told_at = now
        source = host_text(origin.source) if origin.source else "an unknown source"
        text = (
            f"more unknown members than are taken in ({self.rules.strangers_per_second} a second, "
            f"{self.rules.capacity} in all), lately from {source}: {self.overflow} datagrams not tracked"
        )
        return [self._event(Kind.STRANGER, None, now, text, refused=self.overflow, source=source)]

    def _hear_goodbye(self, track: Track, heartbeat: Heartbeat, now: float, origin: Origin) -> list[Event]:
        presence, kind = TRANSITIONS[track.presence, Trigger.GOODBYE]
        if kind is None:
            return _NOTHING
        if track.member is None:
            track.first_heard = now
        track.member = heartbeat.member
        track.origin = origin
        self._move(track, presence, now)
        track.last_heard = now
        track.alive_ms = heartbeat.alive_ms
        return [self._event(kind, track, now, f"{track.name} said goodbye: a clean stop")]

    def _hear_beat(self, track: Track, heartbeat: Heartbeat, now: float, origin: Origin) -> list[Event]:
        events = []
        before = track.presence
        presence, kind = TRANSITIONS[before, Trigger.HEARTBEAT]
        gap, step = now - track.last_heard, (heartbeat.alive_ms - track.alive_ms) / 1000
        if track.member is None:
            track.first_heard = now
            events += self._strangeness(track, heartbeat.member, now)
        elif special := _begun_again(track, heartbeat, gap):
            kind = special
            events.append(self._told(kind, track, now, gap))
            track.samples.clear()
            kind = None
        elif before is not Presence.LEFT:
            events += self._hear_gap(track, gap, step, now)
        if kind is Kind.RETURNED:
            track.flaps += 1
            paused = any(event.kind is Kind.STALLED for event in events)
            track.returned_at = None if _slept(track.fresh_answer, paused=paused) else now
        if kind is not None:
            events.insert(0, self._told(kind, track, now, gap, heartbeat))
        self._settle(track, heartbeat, now, origin, presence)
        return events + self._mismatch(track, now)

    def _settle(
        self, track: Track, heartbeat: Heartbeat, now: float, origin: Origin, presence: Presence
    ) -> None:
        if track.presence not in HEARD or now - track.last_heard >= self.rules.drop_time:
            self._come_up(track, now)
        track.member = heartbeat.member
        track.origin = origin
        track.last_heard = now
        track.alive_ms = heartbeat.alive_ms
        track.heartbeats += 1
        self._move(track, presence, now)
        track.lost_told = False

    def _hear_gap(self, track: Track, length: float, step: float, now: float) -> list[Event]:
        self.gaps.observe(length)
        if not track.learned:
            if length > self.rules.frequency / 4:
                track.sample(length)
            if length < self.rules.late_time:
                return []
        gap = classify(length, step, track.period, track.deviation)
        if gap.kind is GapKind.NORMAL and length > track.period / 2:
            track.learn(length)
        return self._tell_gap(track, gap, length, now)

    def _tell_gap(self, track: Track, gap: Gap, length: float, now: float) -> list[Event]:
        if gap.kind is GapKind.LOST:
            track.lost += gap.lost
            text = f"{gap.lost} heartbeats of {track.name} were lost on the way ({length:.2f} s, phase kept)"
            return [self._event(Kind.HEARTBEATS_LOST, track, now, text, lost=gap.lost, gap_seconds=length)]
        if gap.kind is GapKind.CLOCK_STEPPED:
            text = f"the clock of {track.name} stepped by {gap.seconds:+.3f} s"
            return [self._event(Kind.CLOCK_STEPPED, track, now, text, step_seconds=gap.seconds)]
        stood_still = gap.kind is GapKind.DELAYED and length >= self.rules.late_time
        if gap.kind is not GapKind.STALLED and not stood_still:
            return []
        track.stalls += 1
        track.stall_seconds += gap.seconds
        text = f"{track.name} paused for {gap.seconds:.2f} s" + (
            ", and its clock with it" if stood_still else ""
        )
        return [self._event(Kind.STALLED, track, now, text, stall_seconds=gap.seconds, gap_seconds=length)]

    # -- another unique id on the same address

    def _hear_other(self, track: Track, heartbeat: Heartbeat, now: float, origin: Origin) -> list[Event]:
        member = heartbeat.member
        if member.is_goodbye:  # a Tomcat removes by identity: the one who lives here now is not concerned
            track.rivals.pop(member.unique_id, None)
            return []
        gap = now - track.last_heard
        if self._overlaps(track, heartbeat, gap):
            return self._clash(track, heartbeat, now, origin)
        events = self._restart(track, member, now, gap)
        track.returned_at = None
        track.samples.clear()
        track.period, track.deviation = self.rules.frequency, 0.0
        self._settle(track, heartbeat, now, origin, Presence.PRESENT)
        return events + self._strangeness(track, member, now) + self._mismatch(track, now)

    def _overlaps(self, track: Track, heartbeat: Heartbeat, gap: float) -> bool:
        """Whether both live: the newcomer was heard before, or started before the other's last beat."""
        if track.presence not in HEARD:
            return False
        started_before = heartbeat.alive_ms < EPOCH_LIKE_MS and heartbeat.alive_ms / 1000 > gap + START_SLACK
        return heartbeat.member.unique_id in track.rivals or started_before

    def _clash(self, track: Track, heartbeat: Heartbeat, now: float, origin: Origin) -> list[Event]:
        told = track.clash_until > now
        other = track.unique_id.hex()
        track.clash_until = now + self.rules.drop_time
        track.remember_rival(track.unique_id, track.last_heard)
        track.rivals.pop(heartbeat.member.unique_id, None)
        self._settle(track, heartbeat, now, origin, Presence.PRESENT)
        mismatch = self._mismatch(track, now)
        if told:
            return mismatch
        text = f"two members announce {track.name} at the same time: their peers cannot tell them apart"
        return [self._event(Kind.ADDRESS_CLASH, track, now, text, other_unique_id=other), *mismatch]

    def _restart(self, track: Track, member: Member, now: float, gap: float) -> list[Event]:
        clean = track.presence is Presence.LEFT
        old = track.unique_id
        if clean:
            track.restarts_clean += 1
        else:
            track.restarts_unclean += 1
            track.remember_rival(old, track.last_heard)
        how = "after a goodbye" if clean else "without a goodbye"
        text = f"{track.name} restarted {how}: new unique id, {gap:.1f} s after the old one's last heartbeat"
        events = [
            self._event(
                Kind.RESTARTED,
                track,
                now,
                text,
                member,
                goodbye=clean,
                old_unique_id=old.hex(),
                gap_seconds=gap,
            )
        ]
        track.ghost = ""
        if not clean and gap <= self.rules.drop_time + TFD_SLACK:
            track.ghost = old.hex()
            text = (
                f"{track.name} was back before its old entry expired: the other members may keep a ghost "
                f"of it ({track.ghost}) and send every message twice"
            )
            events.append(self._event(Kind.GHOST_SUSPECTED, track, now, text, member, old_unique_id=old.hex()))
        return events

    # -- what is odd about a member

    def _strangeness(self, track: Track, member: Member, now: float) -> list[Event]:
        strange = _strange(track, member, self.rules)
        track.stranger = bool(strange)
        return [self._event(Kind.STRANGER, track, now, strange, member)] if strange else []

    def _mismatch(self, track: Track, now: float) -> list[Event]:
        member, source = track.member, track.origin.source
        mismatch = bool(source) and member is not None and member.host != source
        news = mismatch and not track.mismatch
        track.mismatch = mismatch
        if not news:
            return []
        sender = host_text(source)
        text = f"{track.name} is announced by {sender}, another address"
        if track.name.startswith(("127.", "[::1]")):
            text += ": a loopback address, no other host can reach it (address=auto and the host's own name?)"
        return [self._event(Kind.ADDRESS_MISMATCH, track, now, text, source=sender)]

    # -- asking

    def take(self, address: bytes, answer: Answer, now: float) -> list[Event]:
        """Take how a receiver took a question; return what changed."""
        track = self._tracks.get(address)
        if track is None:
            return []
        check = answer.check.value
        track.checks[check] = track.checks.get(check, 0) + 1
        if not answer.connected or answer.answered is False:
            key = (check, answer.outcome.value)
            track.failures[key] = track.failures.get(key, 0) + 1
        else:
            self.check_seconds[answer.check].observe(
                (answer.connect_seconds or 0) + (answer.answer_seconds or 0)
            )
        before = track.answer
        track.take(answer)
        news = before is None or (before.connected, before.answered) != (answer.connected, answer.answered)
        return (self._tell_answer(track, before, answer, now) if news else []) + self._tell_lost(track, now)

    def _tell_answer(self, track: Track, before: Answer | None, answer: Answer, now: float) -> list[Event]:
        if not answer.connected:
            kind, text = (
                Kind.RECEIVER_CLOSED,
                f"the receiver of {track.name} takes no connection ({answer.outcome})",
            )
        elif answer.answered is False:
            kind, text = Kind.RECEIVER_FROZEN, f"the receiver of {track.name} accepts but does not answer"
        elif before is None or before.serves:
            return []
        else:
            kind, text = Kind.RECEIVER_ANSWERS, f"the receiver of {track.name} answers again"
        if kind is Kind.RECEIVER_CLOSED and track.presence is Presence.LEFT:
            return []  # a clean stop closes its receiver: no news
        return [self._event(kind, track, now, text, outcome=answer.outcome.value, check=answer.check.value)]

    def _tell_lost(self, track: Track, now: float) -> list[Event]:
        if track.presence is not Presence.SILENT or track.lost_told or track.state() is not MemberState.LOST:
            return []
        track.lost_told = True
        gap = now - track.last_heard
        text = f"{track.name} is lost: not heard for {gap:.1f} s, its receiver closed, no goodbye"
        return [self._event(Kind.LOST, track, now, text)]

    # -- silence

    def deadline(self) -> float | None:
        """Return when ``tick`` next has something to say, if nothing is heard until then."""
        rules = self.rules
        waits = (
            (self._present, rules.late_time),
            (self._late, rules.drop_time),
            (self._passing, rules.forget_after),
            (self._gone, rules.forget_after),
        )
        moments = [_head(queue).last_heard + wait for queue, wait in waits if queue]
        if (learned_at := self.learning.deadline()) is not None:
            moments.append(learned_at)
        return min(moments, default=None)

    def tick(self, now: float) -> list[Event]:
        """Say what the silence until ``now`` means, each member at its own deadline."""
        events: list[Event] = []
        while self._present and (track := _head(self._present)).last_heard + self.rules.late_time <= now:
            events += self._expire(track, Trigger.LATE_TIME, track.last_heard + self.rules.late_time)
        while self._late and (track := _head(self._late)).last_heard + self.rules.drop_time <= now:
            events += self._expire(track, Trigger.DROP_TIME, track.last_heard + self.rules.drop_time)
        for queue in (self._passing, self._gone):
            while queue and (track := _head(queue)).last_heard + self.rules.forget_after <= now:
                del queue[track.address]
                events += self._forget(track, now)
        for name in self.learning.due(now):
            self._learn(self._names[name], now)
        return events

    def _expire(self, track: Track, trigger: Trigger, now: float) -> list[Event]:
        presence, kind = SILENCE[trigger]
        self._move(track, presence, now)
        return [self._told(kind, track, now, now - track.last_heard), *self._tell_lost(track, now)]

    def _forget(self, track: Track, now: float) -> list[Event]:
        if track.expected:
            return []
        self._drop(track)
        return [self._event(Kind.FORGOTTEN, track, now, f"{track.name} is forgotten: gone for good")]

    def _move(self, track: Track, presence: Presence, now: float) -> None:
        """Change where a member stands, and the queue its next deadline waits in."""
        self._leave_queues(track)
        if presence not in HEARD:
            track.returned_at = None
            self.learning.ended(track.name)
        if presence is not track.presence:
            track.presence = presence
            track.since = now
        self._look_closely(track)
        self._queue(presence, track)[track.address] = track
        if len(self._passing) > max(self.rules.capacity // PASSING_SHARE, PASSING_LEAST):
            _, oldest = self._passing.popitem(last=False)
            self._drop(oldest)

    def _leave_queues(self, track: Track) -> None:
        """Have it wait for nothing: not only where it belongs, for what is expected may have changed."""
        for queue in (self._present, self._late, self._passing, self._gone):
            queue.pop(track.address, None)

    def _queue(self, presence: Presence, track: Track) -> _Queue:
        if presence is Presence.PRESENT:
            return self._present
        if presence is Presence.LATE:
            return self._late
        return self._passing if track.passing else self._gone

    # -- learning

    def _come_up(self, track: Track, now: float) -> None:
        """Begin to count for how long it is up."""
        track.up_since = now
        if not track.expected:
            self.learning.began(track.name, now)

    def _learn(self, track: Track, now: float) -> None:
        """Expect it from now on; one of another domain, or for whom there is no room, waits anew."""
        domain = track.member.domain if track.member else b""
        if track.stranger or not self.learning.learn(Learned(track.name, domain)):
            self.learning.began(track.name, now)
        else:
            track.expected_by = ExpectedBy.LEARNED

    def forget(self, name: str, now: float) -> list[Event]:
        """Miss a member no more: one that is up has to be learned anew, another one leaves the table.

        Not for whom the settings expect; raises KeyError for who is not known.
        """
        track = self._names[name]
        self.learning.forget(name)
        track.expected_by = None
        if track.presence in HEARD:
            self._come_up(track, now)
            return []
        self._leave_queues(track)
        self._drop(track)
        return [self._event(Kind.FORGOTTEN, track, now, f"{name} is forgotten, as was asked for")]

    # -- words

    def _told(
        self, kind: Kind, track: Track, now: float, gap: float, heartbeat: Heartbeat | None = None
    ) -> Event:
        text = _TOLD[kind].format(name=track.name, gap=gap)
        member = heartbeat.member if heartbeat else None
        return self._event(kind, track, now, text, member, **({"gap_seconds": gap} if track.member else {}))

    def _event(
        self,
        kind: Kind,
        track: Track | None,
        at: float,
        text: str,
        member: Member | None = None,
        /,
        **values: str | float | bool,
    ) -> Event:
        member = member or (track.member if track else None)
        return Event(
            at=at,
            kind=kind,
            group=self.rules.name,
            text=text,
            member=track.name if track else "",
            unique_id=member.unique_id.hex() if member else "",
            passing=track is not None and track.passing,
            values=values,
        )


_NOTHING: Final[list[Event]] = []
_NOBODY: Final = Track("", b"", 0.0)

_TOLD: Final = {
    Kind.JOINED: "{name} is heard",
    Kind.LATE: "{name} is late: no heartbeat for {gap:.1f} s",
    Kind.SILENT: "{name} is silent: no heartbeat for {gap:.1f} s, which is dropTime",
    Kind.RETURNED: "{name} is heard again after {gap:.1f} s, the same process",
    Kind.RECOVERED: "{name} has re-made its multicast socket (recovery): goodbye, then the same unique id",
    Kind.CHANNEL_RESTARTED: "{name} restarted its channel, not its JVM: the same unique id, a new alive time",
    Kind.BEATS_AFTER_GOODBYE: "{name} said goodbye and still beats: a forged goodbye, or a stop that failed",
}


def _in_time(frequency: float) -> tuple[float, float, float, float]:
    """Return between which gaps (s) and which steps of the alive time (ms) a beat tells nothing new."""
    leeway = min(0.1 * frequency, CLOCK_TOLERANCE / 2)  # of both together never more than the clocks' own
    step = 1000 * CLOCK_TOLERANCE / 2
    return frequency - leeway, frequency + leeway, 1000 * frequency - step, 1000 * frequency + step


def _bounded(heartbeat: Heartbeat) -> Heartbeat:
    """Return it without what would fill the table: no Tomcat tells members apart by these."""
    member = heartbeat.member
    if len(member.payload) + len(member.domain) + len(member.command) <= KEPT_LONGEST:
        return heartbeat
    domain, command = member.domain[:_KEPT_EACH], member.command[:_KEPT_EACH]
    return Heartbeat(
        msgspec.structs.replace(member, payload=b"", domain=domain, command=command), heartbeat.alive_ms
    )


def _slept(answer: Answer | None, *, paused: bool) -> bool:
    """Whether a member that is back only slept, and did not live on elsewhere.

    A frozen process still accepts connections and answers none; one that is cut off takes none, one that is
    merely not heard answers. Where that was not asked, the phase of its heartbeats has to tell.
    """
    if answer is None or (answer.connected and answer.answered is None):
        return paused
    return answer.connected and answer.answered is False


def _begun_again(track: Track, heartbeat: Heartbeat, gap: float) -> Kind | None:
    """Recognise, by the alive time, a recovery or a channel restart of the same unique id."""
    alive_ms, before = heartbeat.alive_ms, track.alive_ms
    if alive_ms >= EPOCH_LIKE_MS and (before < EPOCH_LIKE_MS or track.presence is Presence.LEFT):
        return Kind.RECOVERED
    if 0 <= alive_ms < before and alive_ms / 1000 <= gap + CLOCK_TOLERANCE:
        return Kind.CHANNEL_RESTARTED
    return None


def _strange(track: Track, member: Member, rules: Rules) -> str:
    """Say why nobody expects a member, or nothing."""
    if rules.domain is not None and member.domain != rules.domain:
        return f"{track.name} is of domain {_printable(member.domain)}, not {_printable(rules.domain)}"
    if rules.expected and not track.expected and rules.learn_after is None:
        return f"{track.name} is not an expected member"
    return ""


def _packed(name: str) -> bytes:
    """Return the address ("Member.address") that a name spells."""
    host, _, port = name.rpartition(":")
    return ipaddress.ip_address(host.strip("[]")).packed + int(port).to_bytes(4)


def _head(queue: _Queue) -> Track:
    return next(iter(queue.values()))


def _printable(domain: bytes) -> str:
    return repr(domain.decode("latin-1"))
