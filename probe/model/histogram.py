"""Counts of observations per bucket."""

from bisect import bisect_left
from collections.abc import Sequence


class Histogram:
    """``bounds`` are upper bounds, ascending; one more count is for all above."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value
