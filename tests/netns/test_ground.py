"""Real Tomcats on the proving ground: what each probe says of each fault, and within which time."""

from collections.abc import Iterator

import pytest
from netns.ground import VANTAGES, Ground
from netns.scenarios import SCENARIOS, Scenario, run

pytestmark = [pytest.mark.tomcat, pytest.mark.netns, pytest.mark.slow]


@pytest.fixture(scope="module", name="ground")
def _ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with Ground(tmp_path_factory.mktemp("ground")) as ground:
        yield ground


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_every_vantage_says_what_it_should(scenario: Scenario, ground: Ground) -> None:
    """In time, and after the repair the cluster is whole again for every probe and every Tomcat."""
    outcome = run(scenario, ground)
    assert set(outcome.sentences) == set(scenario.says)


def test_every_probe_outlives_it(ground: Ground) -> None:
    """After all that, every probe still serves, and none lost a datagram of its own."""
    for vantage in VANTAGES:
        view = ground.view(vantage)
        assert (view["receive_drops"], view["verdict"]["state"]) == (0, "whole")
