"""A healthy cluster under load and rolling restarts: nobody is alarmed."""

from pathlib import Path

import pytest
from netns.ground import NODES, Ground
from netns.healthy import watch
from support.prometheus import hasty_rules

pytestmark = [pytest.mark.tomcat, pytest.mark.netns, pytest.mark.alertmanager, pytest.mark.slow]

SECONDS = 75.0
EVERY = 14.0
"""seconds between two restarts: longer than t_stable, so that the cluster is found whole between them."""


def test_nobody_is_alarmed(tmp_path: Path) -> None:
    """Not by rules that wait for seconds instead of minutes either; ``make lab`` has the long form."""
    with Ground(tmp_path) as ground:
        report = watch(ground, tmp_path / "prometheus", SECONDS, EVERY, hasty_rules(tmp_path))
    assert report.false_alarms() == [], report.lines()
    assert report.restarts >= len(NODES)
    assert report.logins > SECONDS
    assert report.scrapes > SECONDS
