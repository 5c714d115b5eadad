"""One line of the speed table, and how its numbers are taken: medians of interleaved rounds."""

import statistics
import time
from collections.abc import Callable
from typing import Final

import msgspec

ROUNDS: Final = 7


class Row(msgspec.Struct, frozen=True):
    """What was measured against what; ``reached`` compares ``value`` with the least that is wanted.

    ``least`` is a lower bound ("40×"), or with ``at_most`` an upper one ("50 ms"); ``detail`` gives the raw
    figures.
    """

    what: str
    against: str
    value: float
    least: float
    unit: str = "×"
    detail: str = ""
    at_most: bool = False

    @property
    def reached(self) -> bool:
        """Whether the wanted figure was reached."""
        return self.value <= self.least if self.at_most else self.value >= self.least


def seconds_per_call(call: Callable[[], object], calls: int) -> float:
    """Return the CPU seconds of one call, over so many."""
    started = time.process_time()
    for _ in range(calls):
        call()
    return (time.process_time() - started) / calls


def ratio(
    slow: Callable[[], float], fast: Callable[[], float], rounds: int = ROUNDS
) -> tuple[float, float, float]:
    """Measure both in turn; return the median of the ratios slow/fast, and the two medians (seconds)."""
    slow(), fast()  # warm
    pairs = [(slow(), fast()) for _ in range(rounds)]
    return (
        statistics.median(a / b for a, b in pairs),
        statistics.median(a for a, _ in pairs),
        statistics.median(b for _, b in pairs),
    )
