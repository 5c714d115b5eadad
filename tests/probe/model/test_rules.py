"""Times that follow from a group's settings."""

import pytest

from probe.model.rules import Rules


@pytest.mark.parametrize(
    ("frequency", "drop_time", "late", "stable"),
    [(0.5, 3.0, 1.5, 10.0), (1.0, 6.0, 3.0, 12.0), (2.0, 5.0, 5.0, 10.0), (0.5, 30.0, 1.5, 60.0)],
)
def test_late_and_stable_time(frequency: float, drop_time: float, late: float, stable: float) -> None:
    """t_late is three periods but not over dropTime; t_stable two dropTimes but ten seconds at least."""
    rules = Rules(frequency=frequency, drop_time=drop_time)
    assert (rules.late_time, rules.stable_time) == (late, stable)
