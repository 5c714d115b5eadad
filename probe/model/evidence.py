"""The bits a verdict rests on, and the states of a member that they spell."""

from enum import StrEnum
from itertools import product
from typing import Final

import msgspec


class Check(StrEnum):
    """How a receiver was asked: a TCP connect, or the liveness question of TcpFailureDetector."""

    CONNECT = "connect"
    ACK = "ack"


class Outcome(StrEnum):
    """How a receiver took it."""

    CONNECTED = "connected"
    ANSWERED = "answered"
    FAIL_ACK = "fail-ack"
    REFUSED = "refused"
    CONNECT_TIMEOUT = "connect-timeout"
    UNREACHABLE = "unreachable"
    ANSWER_TIMEOUT = "answer-timeout"
    CLOSED = "closed"
    NO_ACK = "no-ack"


CONNECT_FAILED: Final = frozenset({Outcome.REFUSED, Outcome.CONNECT_TIMEOUT, Outcome.UNREACHABLE})
ANSWER_GIVEN: Final = frozenset({Outcome.ANSWERED, Outcome.FAIL_ACK})
_SERVES: Final = ANSWER_GIVEN | {Outcome.CONNECTED}


class Answer(msgspec.Struct, frozen=True, gc=False):
    """One question to one receiver: when it was put (model's clock), how it ended, phases in seconds.

    A FAIL_ACK is an answer: the receiver works, its stack threw.
    """

    asked_at: float
    check: Check
    outcome: Outcome
    connect_seconds: float | None = None
    answer_seconds: float | None = None

    @property
    def connected(self) -> bool:
        """Bit C: the TCP connect succeeded."""
        return self.outcome not in CONNECT_FAILED

    @property
    def serves(self) -> bool:
        """Whether nothing failed, as far as was asked."""
        return self.outcome in _SERVES

    @property
    def answered(self) -> bool | None:
        """Bit A: the liveness question was answered; None when it was not put."""
        return None if self.check is Check.CONNECT else self.outcome in ANSWER_GIVEN


class MemberState(StrEnum):
    """What one vantage may say of one member."""

    ALIVE = "alive"
    LATE = "late"
    HALF = "half"
    MUTE = "mute"
    FROZEN = "frozen"
    SILENT = "silent"
    LEFT = "left"
    LOST = "lost"
    UNHEARD = "unheard"
    UNKNOWN = "unknown"


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """The bits of one (vantage, member). C and A are None while no fresh answer is known.

    ``heard`` is H (a heartbeat younger than dropTime), ``late`` that it is older than three periods,
    ``ever`` that one was heard at all, ``goodbye`` S, ``connected`` C, ``answered`` A, ``fit`` L.
    """

    fit: bool
    ever: bool
    goodbye: bool
    heard: bool
    late: bool
    connected: bool | None
    answered: bool | None


_ANY: Final = "any"
_NOT_FALSE: Final = "true or unasked"
_T, _F = True, False

STATES: Final = (
    # fit   ever  goodbye heard late  connected   answered     state
    ((_F, _ANY, _ANY, _ANY, _ANY, _ANY, _ANY), MemberState.UNKNOWN),
    ((_T, _F, _ANY, _ANY, _ANY, _ANY, _ANY), MemberState.UNHEARD),
    ((_T, _T, _T, _ANY, _ANY, _ANY, _ANY), MemberState.LEFT),
    ((_T, _T, _F, _T, _T, _ANY, _ANY), MemberState.LATE),
    ((_T, _T, _F, _T, _F, _F, _ANY), MemberState.HALF),
    ((_T, _T, _F, _T, _F, _ANY, _F), MemberState.HALF),
    ((_T, _T, _F, _T, _F, _NOT_FALSE, _NOT_FALSE), MemberState.ALIVE),
    ((_T, _T, _F, _F, _ANY, _ANY, _T), MemberState.MUTE),
    ((_T, _T, _F, _F, _ANY, _T, _F), MemberState.FROZEN),
    ((_T, _T, _F, _F, _ANY, _F, _ANY), MemberState.LOST),
    ((_T, _T, _F, _F, _ANY, _ANY, _ANY), MemberState.SILENT),
)
"""The first row that the evidence matches names the state; every combination matches one."""


def _matches(wanted: object, bit: object) -> bool:
    if wanted is _ANY:
        return True
    if wanted is _NOT_FALSE:
        return bit is not False
    return wanted is bit


def _spell(bits: tuple[bool | None, ...]) -> MemberState:
    return next(state for pattern, state in STATES if all(map(_matches, pattern, bits)))


_SPELLED: Final = {bits: _spell(bits) for bits in product(*[(True, False)] * 5, *[(True, False, None)] * 2)}


def member_state(evidence: Evidence) -> MemberState:
    """Return the state that the evidence spells, by the table."""
    return _SPELLED[msgspec.structs.astuple(evidence)]
