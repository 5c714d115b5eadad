"""A histogram counts each value under the first bound that is not below it."""

from hypothesis import given
from hypothesis import strategies as st

from probe.model.histogram import Histogram


def test_bounds_are_inclusive() -> None:
    """A value on a bound counts under it, one above all under none."""
    histogram = Histogram([0.1, 1.0])
    for value in (0.0, 0.1, 0.15, 1.0, 1.75):
        histogram.observe(value)
    assert (histogram.counts, histogram.sum) == ([2, 2, 1], 3.0)


@given(st.lists(st.floats(0, 10), unique=True, max_size=6), st.lists(st.floats(0, 20), max_size=50))
def test_cumulated_counts_are_those_of_prometheus(bounds: list[float], values: list[float]) -> None:
    """The sum of counts up to a bound is the number of values not above it."""
    histogram = Histogram(sorted(bounds))
    for value in values:
        histogram.observe(value)
    for n, bound in enumerate(histogram.bounds):
        assert sum(histogram.counts[: n + 1]) == sum(value <= bound for value in values)
    assert sum(histogram.counts) == len(values)
