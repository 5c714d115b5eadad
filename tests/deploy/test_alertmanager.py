"""Alertmanager's example: accepted, routed, inhibited. Pages really come in tests/netns/test_pages.py."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from support.prometheus import DEPLOY, Alertmanager, hasty_routes, pager

CONFIG: Final = DEPLOY / "alertmanager" / "alertmanager.yml"
RULES: Final = yaml.safe_load((DEPLOY / "prometheus" / "tribes.rules.yml").read_text())
ALERTS: Final = [rule for each in RULES["groups"] for rule in each["rules"] if "alert" in rule]

pytestmark = pytest.mark.alertmanager


def amtool(*arguments: str | Path) -> str:
    """Ask amtool; return what it prints."""
    done = subprocess.run(["amtool", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_amtool_accepts_it() -> None:
    """The file is sound by Alertmanager's own tool."""
    assert "SUCCESS" in amtool("check-config", CONFIG)


@pytest.mark.parametrize(("severity", "receiver"), [("critical", "pager"), ("warning", "mail")])
def test_what_is_critical_wakes_somebody(severity: str, receiver: str) -> None:
    """Critical alerts go to the pager, the others to the mail."""
    labels = (f"severity={severity}", "alertname=TribesMemberLost")
    assert amtool("config", "routes", "test", f"--config.file={CONFIG}", *labels).strip() == receiver


def test_every_alert_that_is_named_exists() -> None:
    """No inhibition waits for an alert that the rules do not have, and every one meets some alert."""
    names = {rule["alert"] for rule in ALERTS}
    for rule in yaml.safe_load(CONFIG.read_text())["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            label, _, wanted = matcher.replace("=~", "=").replace('"', "").partition("=")
            if label == "alertname":
                for name in wanted.split("|"):
                    assert name in names or any(other.startswith(name.removesuffix(".+")) for other in names)


ONE, TWO = "10.0.0.1:4000", "10.0.0.2:4000"


def alert(name: str, group: str = "shop", **labels: str) -> dict[str, str]:
    """Return an alert's labels, as the rules give them."""
    severity = labels.pop(
        "severity", next(rule["labels"]["severity"] for rule in ALERTS if rule["alert"] == name)
    )
    return {"alertname": name, "group": group, "severity": severity, **labels}


INHIBITED: Final = [
    (alert("TribesClusterSplit"), alert("TribesMemberPartlyVisible", member=ONE), True),
    (alert("TribesClusterSplit"), alert("TribesMemberLost", member=ONE), True),
    (alert("TribesClusterSplit"), alert("TribesLatentSplit"), True),
    (alert("TribesClusterSplit"), alert("TribesClusterBelowExpected"), True),
    (alert("TribesClusterSplit"), alert("TribesMemberLost", "stage", member=ONE), False),
    (alert("TribesClusterSplit"), alert("TribesMemberLost", member=ONE, cluster="test"), False),
    (alert("TribesClusterSplit"), alert("TribesHarmfulDatagrams"), False),
    (alert("TribesClusterSplit"), alert("TribesSessionsNotReplicated", **{"from": "a", "to": "b"}), True),
    (alert("TribesLatentSplit"), alert("TribesSessionsNotReplicated", **{"from": "a", "to": "b"}), False),
    (
        alert("TribesMemberFrozen", member=ONE),
        alert("TribesSessionReplicationSlow", **{"from": "a", "to": "b"}),
        True,
    ),
    (alert("TribesClusterSplit"), alert("TribesProbeDown", instance="tomcat1"), False),
    (alert("TribesLatentSplit"), alert("TribesMemberPartlyVisible", member=ONE), True),
    (alert("TribesLatentSplit"), alert("TribesMemberFrozen", member=ONE), False),
    (alert("TribesMemberLost", member=ONE), alert("TribesClusterBelowExpected"), True),
    (alert("TribesMemberLost", member=ONE), alert("TribesMemberFlapping", member=ONE), True),
    (alert("TribesMemberLost", member=ONE), alert("TribesMemberFlapping", member=TWO), False),
    (alert("TribesAddressNotRoutable", member=ONE), alert("TribesAddressClash", member=ONE), True),
    (
        {"alertname": "TribesProbeDown", "severity": "critical"},
        {"alertname": "TribesProbeDown", "severity": "warning", "instance": "tomcat1"},
        True,
    ),
]


@pytest.fixture(scope="module", name="alertmanager")
def _alertmanager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Alertmanager]:
    folder = tmp_path_factory.mktemp("alertmanager")
    with pager() as told, Alertmanager(folder, hasty_routes(folder, told.url)) as running:
        yield running


@pytest.mark.parametrize(
    ("number", "source", "target", "silenced"),
    [(number, *row) for number, row in enumerate(INHIBITED)],
    ids=[f"{one['alertname']}-{two['alertname']}-{silenced}" for one, two, silenced in INHIBITED],
)
def test_what_a_worse_alert_silences(
    alertmanager: Alertmanager, number: int, source: dict[str, str], target: dict[str, str], *, silenced: bool
) -> None:
    """A split silences its members' alerts, in its own cluster and group only; a real Alertmanager says so."""
    # each row in a cluster of its own, so that rows do not silence each other's alerts
    mark = f"row{number}-"
    both = [{**labels, "cluster": mark + labels.get("cluster", "")} for labels in (source, target)]
    alertmanager.get("/api/v2/alerts", [{"labels": labels} for labels in both])

    def status(of: dict[str, str]) -> dict[str, Any] | None:
        """Return how an alert stands, once that is reckoned."""
        wanted = {**of, "cluster": mark + of.get("cluster", "")}
        found = (each["status"] for each in alertmanager.alerts() if each["labels"] == wanted)
        return next((each for each in found if each["state"] != "unprocessed"), None)

    assert not alertmanager.until(lambda: status(source))["inhibitedBy"]
    if silenced:
        alertmanager.until(lambda: (known := status(target)) and known["inhibitedBy"])
    else:
        assert not alertmanager.until(lambda: status(target))["inhibitedBy"]
