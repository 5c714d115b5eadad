"""A quarter of a minute of what ``fuzz.py`` does for as long as one likes."""

import pytest
from hostile.fuzz import Fuzz

SECONDS = 15.0


@pytest.mark.slow
@pytest.mark.netns
@pytest.mark.promtool
def test_nothing_that_the_network_sends_disturbs_the_daemon() -> None:
    """It lives, stays small, logs little, tells nothing bad of who behaves, and ends as it was told."""
    fuzz = Fuzz(SECONDS, seed=1)
    fuzz.run()
    assert fuzz.problems == []
    assert set(fuzz.sent) >= {"vector", "random", "mutated", "invented", "flood", "over its end"}
    assert all(fuzz.given.values())
