"""All that is known of one address (host:port), whoever lives there now."""

from typing import Final

import msgspec

from probe.model.evidence import Answer, Evidence, MemberState, member_state
from probe.model.presence import HEARD, Presence
from probe.model.rules import ExpectedBy, Rules
from protocols.heartbeat import Member

LEARN: Final = 1 / 16
"""Weight of one gap in the learned period and jitter."""
LEARN_MASK: Final = 7
"""While beats come in time, one gap in eight is learned."""
SAMPLES: Final = 5
"""Gaps after which a member's own period is known (their median)."""
RIVALS: Final = 8
"""Unique ids remembered per address; the one heard longest ago leaves first."""


class Origin(msgspec.Struct, frozen=True, gc=False):
    """Where a datagram came from: packed source address, arriving interface, IP TTL (-1: not known)."""

    source: bytes = b""
    interface: str = ""
    ttl: int = -1


NOWHERE: Final = Origin()

Datagram = tuple[bytes, float, Origin]
"""Bytes, arrival (seconds of the model's clock), and where they came from."""


class Track:
    """What one address told, and what was found out about it; times in seconds of the model's clock.

    ``head`` and ``tail`` are what ``Membership.news`` recognises this member's next datagram by; empty
    while every one is to be looked at.
    """

    __slots__ = (
        "address", "alive_ms", "answer", "answers_since", "checks", "clash_until", "closed", "deviation",
        "expected_by", "failed_at", "failures", "first_heard", "flaps", "ghost", "head", "heartbeats",
        "last_heard", "lost", "lost_told", "member", "mismatch", "name", "not_asked", "origin", "period",
        "presence", "restarts_clean", "restarts_unclean", "returned_at", "rivals", "samples", "since",
        "stall_seconds", "stalls", "static", "stranger", "tail", "up_since",
    )  # fmt: skip

    def __init__(self, name: str, address: bytes, period: float, expected_by: ExpectedBy | None = None) -> None:
        self.name = name
        self.address = address
        self.expected_by = expected_by
        self.static = False
        self.member: Member | None = None
        self.head = self.tail = b""
        self.presence = Presence.UNHEARD
        self.since = self.up_since = 0.0
        self.alive_ms = 0
        self.first_heard = self.last_heard = 0.0
        self.returned_at: float | None = None
        self.origin = NOWHERE
        self.mismatch = self.stranger = False
        self.ghost = ""
        self.clash_until = 0.0
        self.rivals: dict[bytes, float] = {}
        self.period = period
        self.deviation = 0.0
        self.samples: list[float] = []
        self.heartbeats = self.lost = self.stalls = self.flaps = 0
        self.restarts_clean = self.restarts_unclean = 0
        self.stall_seconds = 0.0
        self.answer: Answer | None = None
        self.answers_since = self.failed_at = float("-inf")
        self.closed: bool | None = None
        self.lost_told = False
        self.not_asked = ""
        self.checks: dict[str, int] = {}
        self.failures: dict[tuple[str, str], int] = {}

    @property
    def unique_id(self) -> bytes:
        """The unique id of who lives here now, empty when nobody was heard."""
        return self.member.unique_id if self.member else b""

    @property
    def expected(self) -> bool:
        """Whether it must be there."""
        return self.expected_by is not None

    @property
    def fresh_answer(self) -> Answer | None:
        """The last answer, if it says anything of now: of a silent member only one from after its last beat."""
        answer = self.answer
        if answer is None or self.presence in HEARD or answer.asked_at >= self.last_heard:
            return answer
        return None

    @property
    def passing(self) -> bool:
        """Whether it was heard once at most and nobody expects it."""
        return self.heartbeats <= 1 and not self.expected

    @property
    def sends_nothing(self) -> bool:
        """Whether it is a static member that was never heard."""
        return self.static and self.member is None

    @property
    def is_up(self) -> bool:
        """Bit H; for a member that sends nothing its receiver speaks."""
        if self.sends_nothing:
            return self.answer is not None and self.answer.serves
        return self.presence in HEARD

    def evidence(self, *, fit: bool = True) -> Evidence:
        """Return the bits that the member's state rests on."""
        answer = self.fresh_answer
        return Evidence(
            fit=fit,
            ever=self.member is not None or (self.static and answer is not None),
            goodbye=self.presence is Presence.LEFT,
            heard=self.is_up,
            late=self.presence is Presence.LATE,
            connected=answer.connected if answer else None,
            answered=answer.answered if answer else None,
        )

    def state(self, *, fit: bool = True) -> MemberState:
        """Return what this vantage may say of the member."""
        answer = self.answer
        if fit and self.presence is Presence.PRESENT and (answer is None or answer.serves):
            return MemberState.ALIVE  # the table's commonest row, ten thousand times a judgement
        return member_state(self.evidence(fit=fit))

    def take(self, answer: Answer) -> None:
        """Keep how its receiver took a question; ``answers_since`` is of this silence, if it is silent."""
        self.answer = answer
        if not answer.answered:
            self.failed_at = answer.asked_at
        elif self.answers_since <= max(self.last_heard, self.failed_at):
            self.answers_since = answer.asked_at

    def latent_at(self, rules: Rules) -> float:
        """Return when a mute member that stays so makes a latent split, if it is mute now.

        It is t_stable after the last heartbeat. But a JVM that stood still, or that is started, answers a
        moment before it beats: where a question failed in this silence, t_stable begins with the first answer
        after it, and where none was put, that answer must be a dropTime old.
        """
        if self.failed_at > self.last_heard:
            return self.answers_since + rules.stable_time
        return max(self.last_heard + rules.stable_time, self.answers_since + rules.drop_time)

    def learn(self, gap: float) -> None:
        """Take one gap in time into the member's period and jitter."""
        error = gap - self.period
        self.period += error * LEARN
        self.deviation += (abs(error) - self.deviation) * LEARN

    def sample(self, gap: float) -> None:
        """Collect the first gaps; their median is the member's own period, whatever the group's frequency."""
        self.samples.append(gap)
        if len(self.samples) == SAMPLES:
            self.period = sorted(self.samples)[SAMPLES // 2]

    @property
    def learned(self) -> bool:
        """Whether the member's period is known."""
        return len(self.samples) >= SAMPLES

    def remember_rival(self, unique_id: bytes, last_heard: float) -> None:
        """Keep who lived here before, at most ``RIVALS`` of them."""
        self.rivals.pop(unique_id, None)
        if len(self.rivals) >= RIVALS:
            del self.rivals[next(iter(self.rivals))]
        self.rivals[unique_id] = last_heard
