"""Alertmanager's example: accepted, routed, inhibited; and a page that really comes, from split to webhook."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from support.netns import Host, Lab
from support.prometheus import DEPLOY, Alertmanager, Page, Prometheus, hasty_routes, hasty_rules, pager
from support.watcher import COMMAND

CONFIG: Final = DEPLOY / "alertmanager" / "alertmanager.yml"
RULES: Final = yaml.safe_load((DEPLOY / "prometheus" / "tribes.rules.yml").read_text())
ALERTS: Final = [rule for each in RULES["groups"] for rule in each["rules"] if "alert" in rule]
GROUP: Final = {"address": "239.255.77.66", "port": 45664, "frequency": "100ms", "drop_time": "600ms"}

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


def member(host: Host) -> Any:
    """Start a simulated member on a host, heard by the whole segment."""
    options = ("--members", "1", "--frequency", "100ms", "--host", host.address, "--interface", "eth0")
    return host.start(
        str(COMMAND), "simulate", *options, "--allow-any-interface", stdout=subprocess.DEVNULL
    )  # fmt: skip


def probe(host: Host, folder: Path) -> None:
    """Start a probe on a host, which asks nobody."""
    settings = folder / f"{host.address}.yml"
    group = {"name": "shop", **GROUP, "interfaces": ["eth0"], "receiver_check": {"level": "off"}}
    web = {"listen_addresses": [f"{host.address}:10564"]}
    settings.write_text(yaml.safe_dump({"groups": [group], "web": web}))
    with (folder / f"{host.address}.log").open("wb") as log:
        host.start(str(COMMAND), "run", "--config.file", str(settings), stderr=log)


def deafen(host: Host, other: Host) -> None:
    """Have a host lose the other's heartbeats; everything else goes through."""
    host.run("nft", "add table inet loss; add chain inet loss in { type filter hook input priority 0 ; }")
    host.run("nft", f"add rule inet loss in ip saddr {other.address} udp dport {GROUP['port']} drop")


@pytest.mark.netns
@pytest.mark.slow
def test_a_split_pages_and_so_does_a_crash(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """Two hosts lose each other's heartbeats: one page says so and ends with the repair; then one dies."""
    with Lab(3) as lab:
        one, two, desk = lab.hosts
        members = [member(host) for host in (one, two)]
        for host in (one, two):
            probe(host, tmp_path)
        targets = {"tomcat1": f"{one.address}:10564", "tomcat2": f"{two.address}:10564"}
        with (
            pager(desk) as told,
            Alertmanager(tmp_path, hasty_routes(tmp_path, told.url), host=desk) as alertmanager,
            Prometheus(
                tmp_path, targets, rules=hasty_rules(tmp_path), alertmanager=alertmanager.port, host=desk
            ) as prometheus,
        ):
            prometheus.until(lambda: _values(prometheus.query("tribes_view_members")) == [2, 2])
            prometheus.until(lambda: prometheus.query("member:tribes_vantages:hearing == 2"))

            began = time.monotonic()
            deafen(one, two)
            deafen(two, one)
            page: Page = prometheus.until(lambda: told.find("TribesClusterSplit"))
            record_property("split_to_page_seconds", round(page.at - began, 1))
            assert page.path == "/page"
            assert page.alert["labels"] == {
                "alertname": "TribesClusterSplit",
                "group": "shop",
                "severity": "critical",
            }
            assert page.alert["annotations"]["summary"] == "shop is split into 2 parts"
            assert page.alert["annotations"]["runbook_url"] == "deploy/runbooks/TribesClusterSplit.md"
            # its members' alerts fire as well, and nobody is told
            quiet = alertmanager.until(lambda: [each for each in alertmanager.alerts() if _is_partly(each)])
            assert all(each["status"]["inhibitedBy"] for each in quiet)

            for host in (one, two):
                host.run("nft", "delete table inet loss")
            prometheus.until(lambda: told.find("TribesClusterSplit", "resolved"))
            assert {each.name for each in told.pages} == {"TribesClusterSplit"}

            began = time.monotonic()
            members[1].kill()
            page = prometheus.until(lambda: told.find("TribesMemberLost"))
            record_property("crash_to_page_seconds", round(page.at - began, 1))
            assert page.alert["labels"]["member"] == f"{two.address}:4000"


def _values(series: list[dict[str, Any]]) -> list[float]:
    return [float(each["value"][1]) for each in series]


def _is_partly(known: dict[str, Any]) -> bool:
    return bool(known["labels"]["alertname"] == "TribesMemberPartlyVisible")
