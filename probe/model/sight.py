"""What is read of a probe's view, its own or another's: only what several vantages are judged on.

The fields are those of ``views`` by name; whatever else a view has is passed over, so that probes of
different versions understand each other as far as these go.
"""

from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from probe.model.rules import ExpectedBy

MOST_MEMBERS: Final = 20_000
"""Members that another probe's group may have; ``Rules.capacity`` keeps our own below."""
_NEVER: Final = 1e11
"""seconds: no time and no duration is larger."""

HERE: Final = "here"
"""What a probe calls itself among its peers."""

Word = Annotated[str, Meta(max_length=64)]
Seconds = Annotated[float, Meta(ge=0, le=_NEVER)]
Age = Annotated[float, Meta(ge=-60, le=_NEVER)]
"""seconds; a datagram may be stamped just after the view is."""
Name = Annotated[str, Meta(max_length=64, pattern=r"^(\d{1,3}(\.\d{1,3}){3}|\[[0-9a-f:.]+\]):\d{1,5}$")]
"""A member, "10.0.0.1:4000"."""


class Role(StrEnum):
    """What a vantage's silence means: its host's (beside a Tomcat), its segment's, nobody's."""

    LOCAL = "local"
    SEGMENT = "segment"
    REMOTE = "remote"


class ReceiverSight(msgspec.Struct, frozen=True, gc=False):
    """The last answer of a member's receiver."""

    connected: bool | None
    answered: bool | None
    asked_at: Seconds | None


class MemberSight(msgspec.Struct, frozen=True, gc=False):
    """One member as a vantage sees it; an age of None means that it was never heard."""

    member: Name
    state: Word
    up: bool
    expected: bool
    unique_id: Annotated[str, Meta(max_length=512)]
    domain: Annotated[str, Meta(max_length=4096)]
    source: Word
    last_heartbeat: Seconds | None
    age_seconds: Age | None
    receiver: ReceiverSight
    expected_by: Word | None = None

    @property
    def listed(self) -> bool:
        """Whether settings name it: beside those only the learned are wanted. Older probes know no others."""
        return self.expected and self.expected_by != ExpectedBy.LEARNED

    @property
    def answers(self) -> bool | None:
        """Whether its receiver accepts, and answers if it was asked to; None when that is not known of now."""
        receiver = self.receiver
        if receiver.connected is None or receiver.asked_at is None:
            return None
        if not self.up and self.last_heartbeat is not None and receiver.asked_at < self.last_heartbeat:
            return None
        return receiver.connected and receiver.answered is not False


class VerdictSight(msgspec.Struct, frozen=True, gc=False):
    """What the vantage says alone."""

    state: Word


class GroupSight(msgspec.Struct, frozen=True, gc=False):
    """One group from one vantage; ``addresses`` are the interfaces it listens on ("10.0.0.1/24")."""

    address: Word
    port: int
    drop_time_seconds: Annotated[float, Meta(gt=0, le=86400)]
    expected: Annotated[int, Meta(ge=0, le=10**9)]
    fit: bool
    unfit: Annotated[list[Word], Meta(max_length=64)]
    verdict: VerdictSight
    members: Annotated[list[MemberSight], Meta(max_length=MOST_MEMBERS)]
    addresses: Annotated[list[Word], Meta(max_length=256)] = []


class BuildSight(msgspec.Struct, frozen=True, gc=False):
    """What the probe is made of."""

    version: Word


class ProbeSight(msgspec.Struct, frozen=True, gc=False):
    """A whole view; ``started`` tells one probe from another."""

    build: BuildSight
    time: Seconds
    started: Seconds
    groups: Annotated[list[GroupSight], Meta(max_length=1_000)]
    role: Role = Role.SEGMENT


class Vantage(msgspec.Struct, frozen=True, gc=False):
    """One place to see from: its sight asked for at ``asked_at`` and there at ``at`` (model's clock).

    Without a sight, ``why`` says what is wrong with the place.
    """

    name: str
    role: Role
    asked_at: float
    at: float
    sight: GroupSight | None = None
    why: str = ""
