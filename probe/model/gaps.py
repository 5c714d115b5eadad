"""What a gap between two heartbeats of one member was: loss, stall, delay or a clock step.

A lost datagram leaves the next ones where they would have been: the gap is a whole number of periods.
A paused sender (fixed delay: ``McastServiceImpl.SenderThread``) resumes anywhere, so the phase shifts.
The alive time is the sender's wall clock, so a step of it shows as alive time and arrival disagreeing.
One gap alone can deceive: a stall looks like a loss by chance in about 2 * tolerance / period of cases.
"""

import math
from enum import Enum
from typing import Final

import msgspec

CLOCK_TOLERANCE: Final = 0.1
"""seconds: how far arrival and alive time of one beat may disagree in health (measured: 1-3 ms)."""
PHASE_TOLERANCE: Final = 0.0025
"""seconds: how far a beat may be from its phase in health (measured: sd 0.3 ms)."""
PERIOD_DRIFT: Final = 0.00025
"""seconds per missed beat: what the learned period may be wrong by."""


class GapKind(Enum):
    """What one gap was."""

    NORMAL = "normal"
    LOST = "lost"
    STALLED = "stalled"
    DELAYED = "delayed"
    CLOCK_STEPPED = "clock-stepped"


class Gap(msgspec.Struct, frozen=True, gc=False):
    """A gap's kind, how many heartbeats were lost in it, and its excess in seconds.

    ``seconds`` is the time beyond one period for a stall or a delay, the step (forward positive) for a clock.
    """

    kind: GapKind
    lost: int = 0
    seconds: float = 0.0


NORMAL: Final = Gap(GapKind.NORMAL)


def classify(gap: float, step: float, period: float, deviation: float = 0.0) -> Gap:
    """Tell what a gap was from its length, the alive time's step, the member's period and its jitter.

    All in seconds. Pure: the same four numbers always give the same answer.
    """
    if abs(gap - step) <= CLOCK_TOLERANCE:
        return _same_clock(gap, period, deviation)
    if _periods(gap, period, deviation):
        return Gap(GapKind.CLOCK_STEPPED, seconds=step - gap)
    if _periods(step, period, CLOCK_TOLERANCE / 4) or gap < period:
        return Gap(GapKind.DELAYED, seconds=gap - step)
    return Gap(GapKind.CLOCK_STEPPED, seconds=step - gap)


def _same_clock(gap: float, period: float, deviation: float) -> Gap:
    if gap < 1.5 * period:
        return NORMAL
    if periods := _periods(gap, period, deviation):
        return Gap(GapKind.LOST, lost=periods - 1)
    return Gap(GapKind.STALLED, seconds=gap - period)


def _periods(length: float, period: float, deviation: float) -> int:
    """Return how many whole periods a length is, 0 when it is none."""
    count = round(length / period)
    if count < 1:
        return 0
    # a late beat shifts all that follow: over n periods the phase wanders by sqrt(n) times its jitter
    wander = max(PHASE_TOLERANCE, 3 * deviation) * math.sqrt(count)
    tolerance = min(wander, period / 10) + count * PERIOD_DRIFT
    return count if abs(length - count * period) <= tolerance else 0
