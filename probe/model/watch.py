"""One group as one vantage sees it: datagrams and answers in, events and a verdict out.

The daemon, ``replay`` and the benchmarks all drive this, each under its own clock.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from probe.model.belief import Beliefs, Found, Reading
from probe.model.events import Event, Kind
from probe.model.evidence import Answer
from probe.model.fitness import Fitness
from probe.model.judge import Judge
from probe.model.learning import Learned
from probe.model.membership import Membership
from probe.model.rules import Rules
from probe.model.track import Datagram, Origin
from protocols.frame import HEADER
from protocols.heartbeat import Decoder, host_text, is_heartbeat
from protocols.malformed import Effect, Malformed

HARM_TOLD_EVERY: Final = 10.0
"""seconds between two events about harmful datagrams of one effect."""
JUDGED_EVERY: Final = 0.1
"""seconds between two judgements while events keep coming, and what each member adds to it."""
JUDGED_EVERY_PER_MEMBER: Final = 0.0001


class Watch:
    """Watches one group. ``now`` never goes back; every method returns what happened."""

    def __init__(self, rules: Rules, now: float, fitness: Fitness | None = None) -> None:
        self.rules = rules
        self.fitness = fitness or Fitness(rules.drop_time, now)
        self.membership = Membership(rules)
        self.judge = Judge(now)
        self.beliefs = Beliefs()
        self.decoder = Decoder()
        self.datagrams = Counter[str](
            {"heartbeat": 0, "goodbye": 0, "broadcast": 0, "malformed": 0, "foreign": 0}
        )
        self.malformed = Counter[tuple[str, str]]()
        self.events = Counter[Kind]()
        self._harm_told_at: dict[Effect, float] = {}
        self._judge_at: float | None = now
        self._assessed_at = float("-inf")

    def adopt(self, rules: Rules, now: float) -> None:
        """Take new settings; the members known stay."""
        self.rules = rules
        self.membership.adopt(rules)
        self._judge_at = now

    def recall(self, learned: Iterable[Learned], now: float) -> None:
        """Expect again who was learned before this probe started."""
        self.membership.recall(learned)
        self._judge_at = now

    def start_anew(self, now: float) -> None:
        """Forget who was learned: this is another group now."""
        self.membership.start_anew(now)
        self.beliefs.forget()
        self._judge_at = now

    def forget(self, name: str, now: float) -> list[Event]:
        """Miss a member no more; raises KeyError for who is not known."""
        events = self._noted(self.membership.forget(name, now))
        self._judge_at = now
        return events

    def receive(self, datagrams: Sequence[Datagram]) -> list[Event]:
        """Take a batch: members already known first, then strangers as far as their budget goes."""
        events: list[Event] = []
        strangers: list[Datagram] = []
        for datagram in self.membership.news(datagrams):
            data, at, origin = datagram
            heartbeat = self.decoder.recall(data)
            if heartbeat is None:
                strangers.append(datagram)
            else:
                events += self.membership.hear(heartbeat, at, origin, data)
        self.datagrams["heartbeat"] += len(datagrams) - len(strangers)
        if strangers:
            events += self._receive_strangers(strangers)
        return self._noted(events)

    def _receive_strangers(self, strangers: list[Datagram]) -> list[Event]:
        admits, events, refused = self.membership.door.admits, [], 0
        for data, at, origin in strangers:
            if not is_heartbeat(data):
                self.datagrams["broadcast" if data.startswith(HEADER) else "foreign"] += 1
            elif admits(data, at):
                events += self._read(data, at, origin)
            else:
                refused += 1
        if refused:
            self.datagrams["heartbeat"] += refused
            _, at, origin = strangers[-1]
            events += self.membership.refuse(at, origin, refused)
        return events

    def _read(self, data: bytes, at: float, origin: Origin) -> list[Event]:
        try:
            heartbeat = self.decoder.learn(data)
        except Malformed as refused:
            return self._refuse(refused, at, origin)
        if heartbeat.member.is_goodbye:
            self.datagrams["goodbye"] += 1
        else:
            self.datagrams["heartbeat"] += 1
        return self.membership.hear(heartbeat, at, origin, data)

    def _refuse(self, refused: Malformed, at: float, origin: Origin) -> list[Event]:
        self.datagrams["malformed"] += 1
        self.malformed[refused.reason.value, refused.effect.value] += 1
        if (
            refused.effect is Effect.IGNORED
            or at - self._harm_told_at.get(refused.effect, -1e9) < HARM_TOLD_EVERY
        ):
            return []
        self._harm_told_at[refused.effect] = at
        source = host_text(origin.source) if origin.source else "an unknown source"
        text = f"a datagram from {source} is malformed ({refused.reason}): {_HARM[refused.effect]}"
        values = {"reason": refused.reason.value, "effect": refused.effect.value, "source": source}
        return [Event(at, Kind.HARMFUL_DATAGRAM, self.rules.name, text, values=values)]  # type: ignore[arg-type]

    def take(self, address: bytes, answer: Answer, now: float) -> list[Event]:
        """Take how a member's receiver took a question."""
        track = self.membership.get(address)
        before = track.evidence() if track is not None else None
        events = self._noted(self.membership.take(address, answer, now))
        if not events and track is not None and track.evidence() != before:
            self._judge_soon(now)  # no news of the receiver, but of the member: a silent one is mute now
        return events

    def believe(self, reading: Reading, now: float) -> tuple[Found, ...] | None:
        """Take what a Tomcat says it believes; return what that shows, if it is news."""
        before = self.beliefs.evidence(now)
        if self.fitness.reasons(now):
            self.beliefs.forget()
            reading = msgspec.structs.replace(reading, belief=None, why=reading.why or _UNFIT)
        news = self.beliefs.take(reading, self.membership, self.rules.drop_time, now)
        if self.beliefs.evidence(now) != before:
            self._judge_at = now
        return news

    def tick(self, now: float) -> list[Event]:
        """Let silence speak; judge anew where something changed. Call after what was received is taken."""
        learned = self.membership.learning.revision
        events = self._noted(self.membership.tick(now))
        if self.membership.learning.revision != learned:
            self._judge_soon(now)
        if self._judge_at is not None and self._judge_at <= now:
            events += self.assess(now)
        return events

    def assess(self, now: float) -> list[Event]:
        """Judge now."""
        self._assessed_at = now
        unfit = self.fitness.reasons(now)
        if unfit:
            self.beliefs.forget()
        evidence = self.beliefs.evidence(now)
        events = self.judge.judge(self.rules, self.membership, now, unfit, evidence)
        self.events.update(event.kind for event in events)
        moments = (
            self.judge.deadline(self.rules, self.membership, now),
            self.fitness.deadline(now),
            self.beliefs.deadline(now),
        )
        self._judge_at = min((moment for moment in moments if moment is not None), default=None)
        return events

    def deadline(self) -> float | None:
        """Return when ``tick`` is due next."""
        moments = (self.membership.deadline(), self._judge_at)
        return min((moment for moment in moments if moment is not None), default=None)

    def unsettle(self, now: float) -> None:
        """Have the verdict judged anew at the next tick (fitness changed)."""
        self._judge_at = now

    def _noted(self, events: list[Event]) -> list[Event]:
        if events:
            events = [self._fitted(event) for event in events]
            self.events.update(event.kind for event in events)
            self._judge_soon(events[-1].at)
        return events

    def _judge_soon(self, now: float) -> None:
        pause = JUDGED_EVERY + len(self.membership) * JUDGED_EVERY_PER_MEMBER
        soon = max(now, self._assessed_at + pause)
        self._judge_at = soon if self._judge_at is None else min(self._judge_at, soon)

    def _fitted(self, event: Event) -> Event:
        return msgspec.structs.replace(event, fit=False) if self.fitness.reasons(event.at) else event


_UNFIT: Final = "it is not compared: the probe is not fit to judge"
_HARM: Final = {
    Effect.STALLS: "every Tomcat that hears it is deaf for 500 ms and logs a WARN",
    Effect.KILLS: "every Tomcat that hears it loses its receiver thread and stays deaf until restarted",
}
