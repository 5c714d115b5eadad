"""To whom a real Tomcat replicates, seen from its own host: healthy, TCP cut, a peer that is heard no more."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pytest
from support import tomcat
from support.netns import Host, Lab
from support.tomcat import Java
from support.watcher import Watcher

pytestmark = [pytest.mark.tomcat, pytest.mark.netns, pytest.mark.slow]

SETTINGS: Final[dict[str, Any]] = {
    "name": "shop",
    "address": "228.0.0.4",
    "interfaces": ["eth0"],
    "receiver_check": {"level": "ack", "interval": "2s", "timeout": "900ms"},
    "links": True,
}
PATIENCE: Final = 30.0


class Stage:
    """Two Tomcats on hosts of their own, a probe beside the first."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.hosts: list[Host] = stack.enter_context(Lab(2)).hosts
        self.nodes: list[Java] = []
        for number, host in enumerate(self.hosts, 1):
            node = tomcat.server("10.1", folder / f"node{number}", host.address, host.start)
            stack.enter_context(node).go()
            self.nodes.append(node)
        self.peer = f"{self.hosts[1].address}:4000"
        self.probe = stack.enter_context(Watcher(self.hosts[0], folder / "probe", [SETTINGS]))

    def link(self) -> dict[str, Any]:
        """Return the view of the link to the peer."""
        found: dict[str, Any] | None = self.probe.member("shop", self.peer)["link"]
        return found or {"state": None, "outgoing": 0, "opening": 0, "incoming": 0, "acked": 0, "finding": None}

    def until(self, holds: Callable[[dict[str, Any]], Any], *, load: bool = True) -> dict[str, Any]:
        """Wait until something holds of the link, while the first node makes sessions."""
        until = time.monotonic() + PATIENCE
        while not holds(link := self.link()):
            assert time.monotonic() < until, link
            if load:
                self.nodes[0].order("create")
            time.sleep(0.05)
        return link

    def drop(self, what: str) -> None:
        """Have the first host lose what comes from the second."""
        host = self.hosts[0]
        host.run("nft", "add table inet fault")
        host.run("nft", "add chain inet fault in { type filter hook input priority 0; }")
        host.run("nft", f"add rule inet fault in ip saddr {self.hosts[1].address} {what} drop")

    def heal(self) -> None:
        """Lose nothing any more."""
        self.hosts[0].run("nft", "delete table inet fault")


@pytest.fixture(name="stage")
def _stage(tmp_path: Path) -> Iterator[Stage]:
    tomcat.class_path("10.1")
    with ExitStack() as stack:
        yield Stage(tmp_path, stack)


def test_a_node_s_own_links_are_seen(stage: Stage) -> None:
    """Sessions go out and are acknowledged; TCP is cut: they wait, while every heartbeat is heard; it heals."""
    link = stage.until(lambda link: link["state"] == "up" and link["acked"] > 0)
    assert link["outgoing"] >= 1
    assert link["finding"] is None
    assert 0 < link["round_trip_seconds"] < 1
    assert stage.probe.group("shop")["links"] == {"why": "", "strangers": []}
    metrics = stage.probe.get("/metrics").decode()
    assert f'tribes_link_up{{group="shop",member="{stage.peer}"}} 1.0' in metrics

    stage.drop("ip protocol tcp")
    cut = time.time()
    link = stage.until(lambda link: link["state"] == "broken")
    assert link["finding"] == "stuck"
    assert link["retransmits"] > 0 or link["opening"] > 0
    event = stage.probe.tells("link-broken", cut, member=stage.peer)
    assert event["level"] == "error"
    assert stage.probe.member("shop", stage.peer)["up"]
    assert f'tribes_link_up{{group="shop",member="{stage.peer}"}} 0.0' in stage.probe.get("/metrics").decode()

    stage.heal()
    stage.until(lambda link: link["state"] == "up")
    stage.probe.tells("link-mended", cut, member=stage.peer)


def test_a_member_that_is_not_heard_and_replicated_to_is_told(stage: Stage) -> None:
    """Multicast is lost one way: the Tomcat keeps the member, and its connections prove it."""
    stage.until(lambda link: link["state"] == "up")
    stage.drop("ip daddr 228.0.0.4")
    link = stage.until(lambda link: link["finding"] == "unheard")
    assert link["state"] == "up"
    assert not stage.probe.member("shop", stage.peer)["up"]
