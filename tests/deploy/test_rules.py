"""The rules, held against promtool, against the metrics there are, and against their own cases."""

import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from prometheus_client import parser
from support.view import view

from probe.surface.metrics import Exposition

FOLDER: Final = Path(__file__).parents[2] / "deploy" / "prometheus"
RULES: Final = FOLDER / "tribes.rules.yml"
TEXT: Final = RULES.read_text()
ALL: Final[list[dict[str, Any]]] = [rule for each in yaml.safe_load(TEXT)["groups"] for rule in each["rules"]]
ALERTS: Final = [rule for rule in ALL if "alert" in rule]
NAMES: Final = list(dict.fromkeys(rule["alert"] for rule in ALERTS))
FILES: Final = sorted((FOLDER / "tests").glob("*.yml"))
CASES: Final[list[dict[str, Any]]] = [
    case for file in FILES for case in yaml.safe_load(file.read_text())["tests"]
]
WANTED: Final = {
    "TribesClusterSplit", "TribesLatentSplit", "TribesMemberPartlyVisible", "TribesMemberLost",
    "TribesMemberFrozen", "TribesReceiverUnreachable", "TribesMemberFlapping", "TribesRestartLoop",
    "TribesGhostMember", "TribesAddressNotRoutable", "TribesAddressClash", "TribesStranger",
    "TribesHarmfulDatagrams", "TribesHeartbeatMarginLow", "TribesClusterBelowExpected", "TribesProbeUnfit",
    "TribesProbeDeaf", "TribesProbeDown", "TribesSessionsNotReplicated", "TribesSessionReplicationSlow",
}  # fmt: skip


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Ask promtool."""
    return subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False)


def failing(rules: str, cases: list[dict[str, Any]], folder: Path) -> set[str]:
    """Return which cases fail with other rules."""
    (folder / "rules.yml").write_text(rules)
    tests = {"rule_files": ["rules.yml"], "evaluation_interval": "10s", "tests": cases}
    (folder / "tests.yml").write_text(yaml.safe_dump(tests))
    done = promtool("test", "rules", folder / "tests.yml")
    assert "unmarshal" not in done.stdout + done.stderr, done.stdout
    said = done.stdout + done.stderr
    return {case["name"] for case in cases if f"name: {case['name']}," in said}


def cases(alert: str, kind: str) -> list[dict[str, Any]]:
    """Return the cases of an alert: fires, too short, silent."""
    return [case for case in CASES if case["name"].startswith(f"{alert}, {kind}: ")]


def expected(case: dict[str, Any], alert: str) -> list[Any]:
    """Return what a case expects of an alert, all its moments together."""
    return [
        one
        for each in case["alert_rule_test"]
        if each["alertname"] == alert
        for one in each.get("exp_alerts", [])
    ]


@pytest.mark.promtool
def test_promtool_finds_nothing_to_say() -> None:
    """The rules are sound by Prometheus' own tool."""
    done = promtool("check", "rules", RULES)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"SUCCESS: {len(ALL)} rules found" in done.stdout


@pytest.mark.promtool
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_case_goes_as_it_is_written(file: Path) -> None:
    """What fires, with every word of it, and what stays silent."""
    done = promtool("test", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_alerts_are_those_that_are_wanted() -> None:
    """Each has its name from the list, and none is missing."""
    assert set(NAMES) == WANTED


@pytest.mark.parametrize("alert", NAMES)
def test_every_alert_has_its_cases(alert: str) -> None:
    """One that fires, one that is too short, one that only looks like it, each true to its name."""
    fires, short, silent = (cases(alert, kind) for kind in ("fires", "too short", "silent"))
    assert fires
    assert short
    assert silent
    assert all(expected(case, alert) for case in fires)
    assert not any(expected(case, alert) for case in short)
    assert [case["name"] for case in silent if expected(case, alert)] == []
    for case in [*short, *silent]:
        assert any(each["alertname"] == alert for each in case["alert_rule_test"]), case["name"]


def test_every_case_belongs_to_an_alert() -> None:
    """No case is called by a name that nobody looks for, and no name stands twice."""
    names = [case["name"] for case in CASES]
    assert len(set(names)) == len(names)
    assert all(re.match(rf"({'|'.join(NAMES)}), (fires|too short|silent): \S", name) for name in names)


def test_rules_without_any_probe_say_so() -> None:
    """Where nothing is scraped one alert fires, and it is the only one."""
    (case,) = [case for case in CASES if case["name"].endswith("rules without any probe")]
    assert all("tribes_" not in each["series"] for each in case["input_series"])
    assert {each["alertname"] for each in case["alert_rule_test"]} == set(NAMES)
    assert {each["alertname"] for each in case["alert_rule_test"] if each.get("exp_alerts")} == {
        "TribesProbeDown"
    }


@pytest.mark.promtool
def test_no_case_is_too_short_without_for(tmp_path: Path) -> None:
    """Were the waiting left out, each case that is too short would fire: the waiting is what it proves."""
    waiting = {rule["alert"] for rule in ALERTS if "for" in rule}
    counted = {"TribesMemberFlapping", "TribesRestartLoop", "TribesHeartbeatMarginLow", "TribesProbeUnfit"}
    short = [case for alert in waiting - counted for case in cases(alert, "too short")]
    short = [{**case, "alert_rule_test": _every_moment(case)} for case in short]
    assert failing(re.sub(r"^ +for: .*\n", "", TEXT, flags=re.MULTILINE), short, tmp_path) == {
        case["name"] for case in short
    }


def _every_moment(case: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the question put every 10 s: without waiting an alert may be over soon."""
    alert = case["name"].partition(",")[0]
    return [{"eval_time": f"{second}s", "alertname": alert} for second in range(60, 601, 10)]


@pytest.mark.promtool
@pytest.mark.parametrize(
    ("what", "instead", "alert", "silent"),
    [
        (
            " and on (cluster, group, member) vantage:tribes_member:missed\n              or",
            " or",
            "TribesClusterSplit",
            "localLoopbackDisabled, two hosts: no probe ever hears its own",
        ),
        (
            "\n                  and on (cluster, group, instance, member) (tribes_member_local == 1)",
            "",
            "TribesClusterSplit",
            "localLoopbackDisabled, two hosts: no probe ever hears its own",
        ),
        (
            "\n              unless on (cluster, group, instance, member) (tribes_member_local == 1)\n",
            "\n",
            "TribesClusterSplit",
            "localLoopbackDisabled, two hosts, who are expected by list",
        ),
        (
            "\n                  and on (cluster, group, instance) vantage:tribes_network:unequal",
            "",
            "TribesClusterSplit",
            "the same group on two networks, without a cluster label",
        ),
        (
            " and on (cluster, group, instance) vantage:tribes_view:partial\n                    ) >= 3",
            "\n                    ) >= 3",
            "TribesClusterSplit",
            "localLoopbackDisabled, two hosts, and a probe on the segment",
        ),
        (
            "(cluster, group, ",
            "(group, ",
            "TribesClusterSplit",
            "members of the same group at two sites that number alike",
        ),
        (
            "          unless on (cluster, group) group:tribes_members:bridged\n",
            "",
            "TribesClusterSplit",
            "multicast alone is lost, both ways",
        ),
        (
            "and on (cluster, group, instance) (tribes_group_fit == 1)\n          and (",
            "and (",
            "TribesProbeDeaf",
            "it starts",
        ),
        (
            "unless on (cluster, group, member) member:tribes_vantages:hearing",
            "",
            "TribesMemberLost",
            "cut off from one probe, heard by another",
        ),
        ('state=~"left|mute|frozen"', 'state="mute"', "TribesMemberLost", "the goodbye reached one probe only"),
        (
            'state=~"left|mute|frozen"',
            'state="left"',
            "TribesMemberLost",
            "mute: its receiver answers elsewhere",
        ),
        ('state=~"left|mute"', 'state="left"', "TribesMemberFrozen", "another probe gets an answer"),
        (
            "unless on (cluster, group, instance) (min_over_time(tribes_group_fit[15m]) == 0)\n          ) >",
            ") >",
            "TribesMemberFlapping",
            "the probe starved and hears everybody flap",
        ),
        (
            "unless on (cluster, group, instance) (min_over_time(tribes_group_fit[15m]) == 0)\n        for",
            "\n        for",
            "TribesHeartbeatMarginLow",
            "the probe starved meanwhile",
        ),
        (
            ">= 2)\n            ==",
            ">= 0)\n            ==",
            "TribesLatentSplit",
            "a probe that is alone is deaf",
        ),
        ("and on (cluster, group) group:tribes_vantages:hearing", "", "TribesProbeDeaf", "the cluster is down"),
        ('{reason!="starting"}', "", "TribesProbeUnfit", "it starts"),
        ('{reason=~"not-replicated|body-differs"}', "", "TribesSessionsNotReplicated", "a node is down"),
        (") > 2.5", ") > 0", "TribesSessionsNotReplicated", "one lost sample"),
        (
            'ALERTS{alertname="TribesClusterSplit", alertstate="firing"}[10m]',
            'ALERTS{alertname="TribesClusterSplit", alertstate="none"}[10m]',
            "TribesSessionsNotReplicated",
            "what was lost in a split",
        ),
        ("          > 0.1\n", "          > 0\n", "TribesSessionsNotReplicated", "four of a hundred"),
        ("[10m])) > 4.5", "[10m])) > 0", "TribesSessionReplicationSlow", "the first two only"),
        ("quantile(0.9,", "quantile(0.99,", "TribesSessionReplicationSlow", "one of twenty"),
        (
            '{\n              member=~"127',
            '{\n              member!~"127',
            "TribesAddressNotRoutable",
            "behind NAT",
        ),
    ],
    ids=lambda text: text if text in NAMES else "",
)
def test_every_guard_keeps_a_look_alike_silent(
    what: str, instead: str, alert: str, silent: str, tmp_path: Path
) -> None:
    """Were the guard left out, the look-alike would raise the alarm."""
    assert what in TEXT
    (case,) = [case for case in cases(alert, "silent") if case["name"].partition(": ")[2].startswith(silent)]
    only = {**case, "alert_rule_test": [each for each in case["alert_rule_test"] if each["alertname"] == alert]}
    assert failing(TEXT.replace(what, instead), [only], tmp_path) == {case["name"]}


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_alert_says_what_is_wrong_and_where_to_read_on(rule: dict[str, Any]) -> None:
    """Severity, a summary, a description with the value in it, and a runbook."""
    assert set(rule) <= {"alert", "expr", "for", "keep_firing_for", "labels", "annotations"}
    assert rule["labels"]["severity"] in {"critical", "warning"}
    notes = rule["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    assert "$value" in notes["summary"] + notes["description"]
    assert notes["runbook_url"] == f"deploy/runbooks/{rule['alert']}.md"
    assert notes["description"].endswith((".", "{{ end }}"))
    assert not notes["summary"].endswith(".")


def test_the_rules_ask_for_metrics_that_exist() -> None:
    """Every series is one that a probe exports, one that Prometheus makes, or one that is recorded here."""
    chunks, _ = Exposition().render(view(), "")
    exported = {
        sample.name
        for family in parser.text_string_to_metric_families(b"".join(chunks).decode())
        for sample in family.samples
    }
    recorded = {rule["record"] for rule in ALL if "record" in rule}
    for rule in ALL:
        used = set(re.findall(r"(?<![\w:])(?:\w+:)?tribes_\w+(?::\w+)?", rule["expr"]))
        assert used or "up{" in rule["expr"]
        assert {name for name in used if ":" not in name} <= exported
        assert {name for name in used if ":" in name} <= recorded


def test_vantages_are_only_compared_within_a_cluster() -> None:
    """Every aggregation and every match of the rules keeps the scraper's own label apart."""
    for rule in ALL:
        for labels in re.findall(r"\b(?:by|on) \(([^)]*)\)", rule["expr"]):
            assert labels.startswith("cluster, group"), rule
