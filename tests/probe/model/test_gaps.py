"""Gaps: a loss keeps the phase, a stall shifts it, a delay and a clock step disagree with the alive time."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.model.gaps import CLOCK_TOLERANCE, NORMAL, PERIOD_DRIFT, PHASE_TOLERANCE, Gap, GapKind, classify

P = 0.5
EDGE = 1e-9

CASES = {
    "in time": (P, P, NORMAL),
    "in time, as measured": (0.503, 0.503, NORMAL),
    "in time, alive a little off": (P, 0.59, NORMAL),
    "twins after a start": (0.004, 0.004, NORMAL),
    "just short of a period and a half": (0.75 - EDGE, 0.75, NORMAL),
    "one lost": (1.0, 1.0, Gap(GapKind.LOST, lost=1)),
    "two lost": (1.501, 1.501, Gap(GapKind.LOST, lost=2)),
    "five lost: dropTime": (3.0, 3.0, Gap(GapKind.LOST, lost=5)),
    "thirty lost: a partition": (15.5, 15.5, Gap(GapKind.LOST, lost=30)),
    "a period and a half": (0.75, 0.75, Gap(GapKind.STALLED, seconds=0.25)),
    "a pause shifts the phase": (1.25, 1.25, Gap(GapKind.STALLED, seconds=0.75)),
    "a long pause": (19.37, 19.37, Gap(GapKind.STALLED, seconds=18.87)),
    "held up on the way": (1.23, P, Gap(GapKind.DELAYED, seconds=0.73)),
    "two at once: the second of a burst": (0.0, P, Gap(GapKind.DELAYED, seconds=-0.5)),
    "a burst, and beats lost in it": (0.01, 0.3, Gap(GapKind.DELAYED, seconds=-0.29)),
    "held up and lost": (1.7, 1.0, Gap(GapKind.DELAYED, seconds=0.7)),
    "its clock stepped forward": (P, 60.5, Gap(GapKind.CLOCK_STEPPED, seconds=60.0)),
    "its clock stepped back": (P, -59.5, Gap(GapKind.CLOCK_STEPPED, seconds=-60.0)),
    "its clock stepped while one was lost": (1.0, 4.0, Gap(GapKind.CLOCK_STEPPED, seconds=3.0)),
    "its clock stepped while it paused": (1.25, 61.37, Gap(GapKind.CLOCK_STEPPED, seconds=60.12)),
}


@pytest.mark.parametrize("case", CASES)
def test_a_gap(case: str) -> None:
    """Each kind of gap is told from the two clocks and the phase."""
    length, step, expected = CASES[case]
    found = classify(length, step, P)
    assert (found.kind, found.lost) == (expected.kind, expected.lost)
    assert found.seconds == pytest.approx(expected.seconds)


def test_the_clocks_may_differ_by_the_tolerance() -> None:
    """Arrival and alive time agree up to 0.1 s; beyond that they disagree."""
    assert classify(1.0, 1.0 + CLOCK_TOLERANCE - EDGE, P).kind is GapKind.LOST
    assert classify(1.0, 1.0 + CLOCK_TOLERANCE + 1e-6, P).kind is GapKind.CLOCK_STEPPED
    assert classify(1.0, 1.0 - CLOCK_TOLERANCE + EDGE, P).kind is GapKind.LOST
    assert classify(1.0, 1.0 - CLOCK_TOLERANCE - 1e-6, P).kind is GapKind.CLOCK_STEPPED


@pytest.mark.parametrize("deviation", [0.0, 0.0003, 0.002, 0.1])
@pytest.mark.parametrize("periods", [2, 3, 6, 30])
def test_the_phase_tolerance(periods: int, deviation: float) -> None:
    """The phase wanders by the jitter seen, 2.5 ms or more, times the root of the periods, a tenth at most."""
    tolerance = min(max(PHASE_TOLERANCE, 3 * deviation) * math.sqrt(periods), P / 10) + periods * PERIOD_DRIFT
    for sign in (1, -1):
        inside, outside = (periods * P + sign * (tolerance + d) for d in (-1e-6, 1e-6))
        assert classify(inside, inside, P, deviation) == Gap(GapKind.LOST, lost=periods - 1)
        assert classify(outside, outside, P, deviation).kind is GapKind.STALLED


PERIODS = st.floats(0.1, 10.0)


@given(PERIODS, st.integers(1, 100), st.floats(-0.002, 0.002))
def test_a_loss_keeps_the_phase(period: float, lost: int, jitter: float) -> None:
    """Whatever the period, n lost heartbeats leave a gap of n + 1 periods and are counted."""
    length = (lost + 1) * period + jitter
    assert classify(length, length, period) == Gap(GapKind.LOST, lost=lost)


@given(st.floats(0.5, 10.0), st.integers(1, 50), st.floats(0.2, 0.8))
def test_a_stall_shifts_the_phase(period: float, periods: int, phase: float) -> None:
    """A gap that is no whole number of periods is a stall of the time beyond one period."""
    length = (periods + phase) * period
    found = classify(length, length, period)
    expected = GapKind.STALLED if length >= 1.5 * period else GapKind.NORMAL
    assert found.kind is expected
    if expected is GapKind.STALLED:
        assert found.seconds == pytest.approx(length - period)


@given(st.floats(0.2, 10.0), st.floats(0.2, 1e6), st.booleans())
def test_a_clock_step_is_measured(period: float, step: float, back: bool) -> None:  # noqa: FBT001
    """A beat in time whose alive time jumps is a step of the sender's clock, by just that much."""
    size = -step if back else step
    found = classify(period, period + size, period)
    assert found.kind is GapKind.CLOCK_STEPPED
    assert found.seconds == pytest.approx(size)


@given(st.floats(0, 1e5), st.floats(-1e9, 1e9), PERIODS, st.floats(0, 1))
def test_any_gap_is_something(length: float, step: float, period: float, deviation: float) -> None:
    """Any numbers give one kind; only a loss counts heartbeats, and always at least one."""
    found = classify(length, step, period, deviation)
    assert (found.lost > 0) == (found.kind is GapKind.LOST)
    assert found == classify(length, step, period, deviation)
