"""From a fault of real Tomcats to the page that wakes somebody, and what the dashboard shows of it."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
from netns.ground import NODES, SEGMENT, VANTAGES, Ground, place
from support.dashboard import QUERIES, filled
from support.netns import FIRST, NETWORK
from support.prometheus import Alertmanager, Page, Pager, Prometheus, hasty_routes, hasty_rules, pager
from support.watcher import PORT

pytestmark = [pytest.mark.tomcat, pytest.mark.netns, pytest.mark.alertmanager, pytest.mark.slow]

RIGHTLY_EMPTY: Final = {
    "Datagrams, B": "nothing malformed is sent",
    "events: comings and goings": "nobody joins or leaves",
    "events: oddities": "nothing is odd",
    "events: restarts": "nobody is restarted",
}
"""Queries that yield nothing while the cluster is split, and why."""


SESSIONS: Final = {
    "nodes": [{"url": f"http://{NETWORK}.{FIRST + node}:8080/app/shop"} for node in range(len(NODES))],
    "logout": "/app/logout",
    "interval": "4s",
    "timeout": "2s",
    "give_up": "2s",
}


class Desk:
    """Whoever is on call: on the segment's host, beside a Prometheus that scrapes every probe."""

    def __init__(self, folder: Path, ground: Ground, stack: ExitStack) -> None:
        host = ground.host(SEGMENT)
        targets = {place(vantage): f"{ground.host(vantage).management}:{PORT}" for vantage in VANTAGES}
        self.ground = ground
        self.told: Pager = stack.enter_context(pager(host))
        self.alertmanager = stack.enter_context(
            Alertmanager(folder, hasty_routes(folder, self.told.url), host=host)
        )
        self.prometheus = stack.enter_context(
            Prometheus(
                folder, targets, rules=hasty_rules(folder), alertmanager=self.alertmanager.port, host=host
            )
        )
        self.prometheus.until(lambda: len(self.prometheus.query("member:tribes_vantages:hearing == 4")) == 3)

    def is_paged(self, name: str, since: float, status: str = "firing") -> Page:
        """Wait until it is, after a moment (monotonic clock)."""

        def told() -> list[Page]:
            return [
                one for one in self.told.pages if one.at > since and (one.name, one.status) == (name, status)
            ]

        page: Page = self.prometheus.until(told)[0]
        return page

    def unanswered(self) -> set[str]:
        """Return the dashboard's queries that yield nothing now."""
        return {name for name, query in QUERIES.items() if not self.prometheus.query(filled(query))}


@pytest.fixture(scope="module", name="desk")
def _desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    with ExitStack() as stack:
        yield Desk(folder, stack.enter_context(Ground(folder, sessions=SESSIONS)), stack)


def test_a_split_is_one_page(desk: Desk, record_property: Callable[[str, object], None]) -> None:
    """Two nodes and one are cut apart: one page, its members' alerts are silenced; the repair ends it."""
    began = time.monotonic()
    desk.ground.part((1, 2, SEGMENT), (3,))
    page = desk.is_paged("TribesClusterSplit", began)
    record_property("split_to_page_seconds", round(page.at - began, 1))
    assert page.path == "/page"
    assert page.alert["labels"] == {"alertname": "TribesClusterSplit", "group": "shop", "severity": "critical"}
    assert page.alert["annotations"]["summary"] == "shop is split into 2 parts"
    assert page.alert["annotations"]["runbook_url"] == "deploy/runbooks/TribesClusterSplit.md"
    # its members' alerts fire as well, and nobody is told
    quiet = desk.alertmanager.until(
        lambda: [one for one in desk.alertmanager.alerts() if one["labels"].get("member")]
    )
    assert all(one["status"]["inhibitedBy"] for one in quiet)

    assert desk.prometheus.until(lambda: desk.unanswered() == RIGHTLY_EMPTY.keys()), desk.unanswered()

    desk.ground.heal()
    desk.is_paged("TribesClusterSplit", began, "resolved")
    assert {one.name for one in desk.told.pages} == {"TribesClusterSplit"}
    desk.ground.wait_for_whole()


def test_a_crash_is_a_page(desk: Desk, record_property: Callable[[str, object], None]) -> None:
    """A node is killed: its loss is told by name."""
    began = time.monotonic()
    desk.ground.kill(2)
    page = desk.is_paged("TribesMemberLost", began)
    record_property("crash_to_page_seconds", round(page.at - began, 1))
    assert page.alert["labels"]["member"] == desk.ground.name(2)
