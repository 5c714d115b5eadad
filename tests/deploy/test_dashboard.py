"""The dashboard: made from its code, sound as Grafana reads it, every query answered by a real Prometheus."""

import importlib.util
import re
import subprocess
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from support.command import started, stop, wait_for
from support.dashboard import BOARD, FOLDER, PANELS, QUERIES, TEXT, filled
from support.prometheus import Prometheus, free_port, hasty_rules

from probe.model.events import Kind
from probe.model.evidence import MemberState
from probe.model.verdict import ClusterState

RIGHTLY_EMPTY: Final = {
    "Alerts, A": "nothing that fires lasts",
    "Datagrams, B": "nothing malformed is sent",
    "Members in each view, B": "the demo expects nobody",
    "Verdict of all together, A": "the demo has no peers",
    "Sessions, A": "the demo has no sessions",
    "Time until a session is known, A": "nor any time of theirs",
    "events: oddities": "nothing is odd",
    "events: restarts": "the first is after 40 s",
}
"""Queries that need not yield anything in the first half minute of the demo, and why; they run nevertheless."""


def module() -> Any:
    """Load the code that makes it."""
    spec = importlib.util.spec_from_file_location("dashboard", FOLDER / "dashboard.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


CODE: Final = module()


def test_the_file_is_what_the_code_makes() -> None:
    """Whoever changes the code makes the file anew."""
    assert CODE.text() == TEXT, "run: python deploy/grafana/dashboard.py"


def test_states_and_events_are_the_words_of_the_verdict() -> None:
    """Every state has its number and colour, and every event that is marked exists."""
    assert set(CODE.CLUSTER_STATES) == {state.value for state in ClusterState}
    assert set(CODE.MEMBER_STATES) == {state.value for state in MemberState}
    marked = [kind for _, kinds in CODE.EVENTS.values() for kind in kinds.split("|")]
    assert set(marked) < {kind.value for kind in Kind}
    assert len(set(marked)) == len(marked)


def test_it_has_what_grafana_needs() -> None:
    """A title and a uid; panels numbered, of known kinds, with a description, a place and lettered queries."""
    assert {"uid", "title", "schemaVersion", "panels", "templating", "annotations", "time"} <= BOARD.keys()
    assert "id" not in BOARD  # a number belongs to one Grafana
    assert [panel["id"] for panel in PANELS] == list(range(1, len(PANELS) + 1))
    for panel in PANELS:
        assert panel["type"] in {"timeseries", "state-timeline", "table"}
        assert panel["title"]
        assert panel["description"]
        assert [each["refId"] for each in panel["targets"]] == list("ABC"[: len(panel["targets"])])
        assert all(each["datasource"]["uid"] == "${datasource}" for each in (panel, *panel["targets"]))
        assert {"defaults", "overrides"} == panel["fieldConfig"].keys()
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)


def test_no_panel_lies_upon_another() -> None:
    """Every panel has room of its own within Grafana's 24 columns."""
    places = [panel["gridPos"] for panel in PANELS]
    assert all(each["x"] >= 0 and each["x"] + each["w"] <= 24 for each in places)
    for one, two in combinations(places, 2):
        beside = one["x"] + one["w"] <= two["x"] or two["x"] + two["w"] <= one["x"]
        below = one["y"] + one["h"] <= two["y"] or two["y"] + two["h"] <= one["y"]
        assert beside or below


def test_variables_that_are_used_exist() -> None:
    """Every $name is a variable of the dashboard, or one that Grafana fills in."""
    used = {found for found in re.findall(r"\$\{?(\w+)", TEXT) if not found.startswith("__")}
    assert used == {each["name"] for each in BOARD["templating"]["list"]}
    for query in QUERIES.values():
        assert "$cluster" in query or re.search(r"tribes_probe_|ALERTS", query)


@pytest.mark.promtool
def test_the_queries_are_promql(tmp_path: Path) -> None:
    """Prometheus can read every query, with the variables filled in."""
    rules = [{"record": "one", "expr": filled(query), "labels": {"n": name}} for name, query in QUERIES.items()]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module", name="prometheus")
def _prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes the demo's probe until there is something to see."""
    folder = tmp_path_factory.mktemp("prometheus")
    address = f"127.0.0.1:{free_port()}"
    with started("demo", "--web.listen-address", address) as demo:
        wait_for(demo, "event=whole")
        with Prometheus(folder, {"demo": address}, rules=hasty_rules(folder)) as running:
            running.until(lambda: running.query("group:tribes_members:heard == 3"))
            yield running
        assert stop(demo) == 0


@pytest.mark.alertmanager
@pytest.mark.slow
@pytest.mark.parametrize("name", QUERIES)
def test_a_query_is_answered(prometheus: Prometheus, name: str) -> None:
    """Every query runs; what yields nothing here does so rightly, and is on the list."""
    if name in RIGHTLY_EMPTY:
        prometheus.query(filled(QUERIES[name]))
        return
    found = prometheus.until(lambda: prometheus.query(filled(QUERIES[name])))
    assert all(each["value"][1] != "NaN" for each in found) or "quantile" in QUERIES[name]


def test_the_list_of_empty_queries_has_no_stale_entry() -> None:
    """Every query on the list exists."""
    assert set(RIGHTLY_EMPTY) < set(QUERIES)


@pytest.mark.alertmanager
def test_states_are_drawn_as_what_they_are(prometheus: Prometheus) -> None:
    """The number that a query of states yields is the one that is written as the state in force."""
    words = PANELS[0]["fieldConfig"]["defaults"]["mappings"][0]["options"]

    def agree() -> bool:
        (verdict,) = prometheus.query(filled(QUERIES["Verdict of each probe, A"]))
        (held,) = prometheus.query("tribes_cluster_state == 1")
        return bool(words[verdict["value"][1]]["text"] == held["metric"]["state"])

    prometheus.until(agree)  # at once, unless it changes between the two questions


@pytest.mark.alertmanager
def test_the_variables_have_choices(prometheus: Prometheus) -> None:
    """The groups to choose from are those that are watched."""
    assert [each["metric"]["group"] for each in prometheus.query(filled("tribes_group_info"))] == ["demo"]
