"""The attention strangers get: so much a second, saved up for one second."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.model.budget import Budget


def taken(budget: Budget, at: float, wanted: int) -> int:
    """Return how many of some are allowed at one time."""
    return sum(budget.take(at) for _ in range(wanted))


def test_a_burst_gets_one_seconds_worth() -> None:
    """At first, and after any rest, one second's worth is allowed at once, no more."""
    budget = Budget(10)
    assert taken(budget, 5.0, 100) == 10
    assert taken(budget, 1000.0, 100) == 10


def test_it_fills_again_with_time() -> None:
    """A tenth of a second brings a tenth of the rate."""
    budget = Budget(10)
    taken(budget, 0.0, 10)
    assert [taken(budget, at, 100) for at in (0.05, 0.11, 0.51, 0.51)] == [0, 1, 4, 0]


def test_time_that_goes_back_brings_nothing() -> None:
    """An earlier time is taken as the latest one seen."""
    budget = Budget(10)
    taken(budget, 10.0, 10)
    assert taken(budget, 3.0, 5) == 0
    assert taken(budget, 10.5, 100) == 5


@pytest.mark.parametrize("rate", [0, 0.5])
def test_a_rate_below_one_allows_nobody(rate: float) -> None:
    """One second's worth must be a whole one."""
    budget = Budget(rate)
    assert taken(budget, 0.0, 3) + taken(budget, 1e6, 3) == 0


@given(st.integers(1, 50), st.lists(st.floats(0, 20), min_size=1, max_size=200))
def test_never_more_than_the_rate(rate: int, times: list[float]) -> None:
    """However the wishes fall, any second takes at most twice the rate, all seconds the rate and one burst."""
    budget = Budget(rate)
    allowed = [at for at in sorted(times) if budget.take(at)]
    assert len(allowed) <= rate + rate * (max(times) - min(times)) + 1e-6
    assert all(sum(at <= other < at + 1 for other in allowed) <= 2 * rate for at in allowed)
