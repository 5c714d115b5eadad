"""Real Tomcats on the proving ground: what each probe says of each fault, alone and together, and how soon."""

from collections.abc import Iterator

import pytest
from netns.catalogue import SCENARIOS
from netns.ground import VANTAGES, Ground
from netns.scenario import Scenario, run

pytestmark = [pytest.mark.tomcat, pytest.mark.netns, pytest.mark.slow]


@pytest.fixture(scope="module", name="ground")
def _ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with Ground(tmp_path_factory.mktemp("ground")) as ground:
        yield ground


@pytest.mark.parametrize(
    "scenario",
    [
        pytest.param(one, id=one.name, marks=[getattr(pytest.mark, one.needs)] if one.needs else [])
        for one in SCENARIOS
    ],
)
def test_every_vantage_says_what_it_should(scenario: Scenario, ground: Ground) -> None:
    """In time and for good, alone and together; repaired, it is whole for every probe and every Tomcat."""
    for outcome in run(scenario, ground):
        assert set(outcome.together) == set(VANTAGES)


def test_every_probe_outlives_it(ground: Ground) -> None:
    """After all that, every probe still serves, and none lost a datagram of its own."""
    for vantage in VANTAGES:
        view = ground.view(vantage)
        assert (view["receive_drops"], view["verdict"]["state"]) == (0, "whole")
