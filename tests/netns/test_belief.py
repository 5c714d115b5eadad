"""What real Tomcats believe, read through the real jmxproxy, while things befall them: a probe beside none."""

import socket
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

from protocols.heartbeat import Heartbeat, Member, encode

pytestmark = [pytest.mark.netns, pytest.mark.tomcat, pytest.mark.slow]

GROUP: Final = "shop"
MULTICAST: Final = "228.0.0.4"
BRANCHES: Final = ("10.1", "9.0", "11.0")
USER: Final = ("probe", "s3cret")
FOUND: Final = 25.0
"""seconds within which a finding is there: dropTime twice, the slack, and some readings."""
COMMAND_LENGTH: Final = 39
"""Where the length of the command stands in a heartbeat of an IPv4 member."""

View = dict[str, Any]


class Ground:
    """Three Tomcats with a Manager on hosts of their own, and a probe on a fourth that reads them all."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._count = 0
        self._ids: dict[int, str] = {}
        self.hosts: list[Host] = stack.enter_context(Lab(4)).hosts
        password = folder / "password"
        password.write_text(f"{USER[1]}\n")
        group = {
            "name": GROUP,
            "address": MULTICAST,
            "interfaces": ["eth0"],
            "receiver_check": {"level": "ack", "interval": "1s", "timeout": "900ms"},
            "belief": [
                {
                    "url": f"http://{host.address}{tomcat.JMXPROXY}",
                    "username": USER[0],
                    "password_file": str(password),
                }
                for host in self.hosts[:3]
            ],
        }
        self.probe = stack.enter_context(Watcher(self.hosts[3], folder / "probe", [group]))
        self.nodes: dict[int, Java] = {}
        for node in (1, 2, 3):
            self.start(node)
        stack.callback(self._end)

    def _end(self) -> None:
        for node in self.nodes.values():
            node.kill()

    def name(self, node: int) -> str:
        """Return a member's name."""
        return f"{self.hosts[node - 1].address}:4000"

    def ready(self, node: int) -> Java:
        """Return a Tomcat that has all but joined."""
        self._count += 1
        host = self.hosts[node - 1]
        base = self._folder / f"node{node}-{self._count}"
        return tomcat.server(BRANCHES[node - 1], base, host.address, host.start, manager=USER)

    def start(self, node: int, ready: Java | None = None) -> None:
        """Start a node."""
        self.nodes[node] = ready or self.ready(node)
        self._ids[node] = self.nodes[node].go()["unique_id"]

    def unique_id(self, node: int) -> str:
        """Return what it says of itself."""
        return self._ids[node]

    def keeps(self, node: int, other: int, unique_id: str) -> bool:
        """Whether a Tomcat says itself, asked directly, that it has a member of this unique id."""
        return f"{self.name(other)}#{unique_id}" in self.nodes[node].ask("members").split()

    def deafen(self, node: int, source: int) -> None:
        """Have a node's host lose the multicast of another: one-way."""
        host, address = self.hosts[node - 1], self.hosts[source - 1].address
        host.run("nft", "add table inet fault")
        host.run("nft", "add chain inet fault in { type filter hook input priority 0; }")
        host.run("nft", f"add rule inet fault in ip saddr {address} ip daddr {MULTICAST} drop")

    def heal(self, node: int) -> None:
        """Take the fault back."""
        self.hosts[node - 1].run("nft", "delete table inet fault")

    def kill_membership_thread(self, node: int) -> None:
        """Send one node alone what its membership's receiver thread dies of (OutOfMemoryError)."""
        lethal = bytearray(encode(Heartbeat(Member(bytes((10, 77, 0, 99)), 4000, bytes(16)), 1000)))
        lethal[COMMAND_LENGTH : COMMAND_LENGTH + 4] = b"\x7f\xff\xff\xff"
        with self.hosts[3].inside(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(lethal, (self.hosts[node - 1].address, 45564))

    # -- what the probe says

    def view(self) -> View:
        """Return its view of the group."""
        return self.probe.group(GROUP)

    def findings(self, view: View | None = None) -> dict[str, list[str]]:
        """Return what is found of whom."""
        members = (view or self.view())["members"]
        return {
            one["member"]: [finding["finding"] for finding in one["belief"]["findings"]]
            for one in members
            if one["belief"] is not None
        }

    def until(self, holds: Callable[[View], bool], patience: float = FOUND) -> View:
        """Wait until something is true of the view; return it."""
        give_up = time.monotonic() + patience
        while not holds(view := self.view()):
            if time.monotonic() > give_up:
                said = (view["verdict"]["sentence"], self.findings(view), view["beliefs"])
                raise AssertionError("\n".join(map(str, said)))
            time.sleep(0.1)
        return view

    def until_found(self, node: int, *findings: str) -> dict[str, Any]:
        """Wait until exactly this is found of one node, and of no other; return its member's view."""
        wanted = {self.name(one): list(findings) if one == node else [] for one in (1, 2, 3)}
        view = self.until(lambda view: self.findings(view) == wanted)
        return self.member(view, node)

    def member(self, view: View, node: int) -> dict[str, Any]:
        """Return one member of a view."""
        found: dict[str, Any] = next(one for one in view["members"] if one["member"] == self.name(node))
        return found

    def until_agreed(self) -> None:
        """Wait until all are read, the cluster is whole, and nobody's belief differs."""
        nothing: dict[str, list[str]] = {self.name(node): [] for node in (1, 2, 3)}
        self.until(
            lambda view: (
                view["verdict"]["state"] == "whole"
                and self.findings(view) == nothing
                and all(len(one["belief"]["hears"]) == 2 for one in view["members"])
                and all(one["up"] for one in view["beliefs"])
                and all(
                    len(one["belief"]["keeps"]) == len(one["belief"]["hears"]) == 2 for one in view["members"]
                )
            ),
            60.0,
        )

    def metric(self, node: int, finding: str) -> str:
        """Return the value of a finding's metric."""
        [value] = [
            line.rpartition(" ")[2]
            for line in self.probe.get("/metrics").decode().splitlines()
            if line.startswith("tribes_member_belief{")
            and f'finding="{finding}"' in line
            and f'member="{self.name(node)}"' in line
        ]
        return value


@pytest.fixture(name="all_nodes", scope="module")
def _all_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Give the one ground that all stories are played on."""
    with ExitStack() as stack:
        yield Ground(tmp_path_factory.mktemp("belief"), stack)


@pytest.fixture(name="ground")
def _ground(all_nodes: Ground) -> Ground:
    """Give it whole, everybody's belief read and agreed."""
    all_nodes.until_agreed()
    return all_nodes


def test_a_whole_cluster_believes_what_is_heard(ground: Ground) -> None:
    """In 30 s nothing is found of anybody, and nothing is told; each says of itself who it is."""
    began = time.time()
    while time.time() < began + 30:
        view = ground.view()
        assert not any(ground.findings(view).values())
        assert "itself" not in view["verdict"]["sentence"]
        time.sleep(0.5)
    assert [line for line in ground.probe.events() if line["event"] == "belief"] == []
    for node in (1, 2, 3):
        belief = ground.member(view, node)["belief"]
        others = {f"{ground.name(other)}#{ground.unique_id(other)}" for other in {1, 2, 3} - {node}}
        assert set(belief["hears"]) == set(belief["keeps"]) == others
        assert belief["drop_time_seconds"] == 3.0
        assert ground.metric(node, "ghost") == "0.0"


def test_one_way_loss_is_a_latent_split_from_inside(ground: Ground) -> None:
    """The probe hears everybody; node 1 itself does not hear node 2, and keeps it. Healed, it agrees again."""
    began = time.time()
    ground.deafen(1, 2)
    try:
        belief = ground.until_found(1, "latent-split")["belief"]
        [finding] = belief["findings"]
        text = f"{ground.name(1)} itself does not hear {ground.name(2)} any more but still keeps it"
        assert (finding["members"], finding["unique_ids"]) == ([ground.name(2)], [ground.unique_id(2)])
        assert finding["text"] == text
        verdict = ground.view()["verdict"]
        assert (verdict["state"], verdict["sentence"].partition("; ")[2]) == ("whole", text)
        assert ground.probe.tells("belief", began, member=ground.name(1))["text"] == text
        assert ground.metric(1, "latent-split") == "1.0"
        assert text in ground.probe.get("/").decode()
    finally:
        ground.heal(1)
    ground.until_agreed()
    assert ground.probe.tells("belief", began, findings="")["member"] == ground.name(1)


def test_a_ghost_is_proven(ground: Ground) -> None:
    """Node 2 is killed and back within dropTime: others keep its old unique id, and that is seen."""
    old = ground.unique_id(2)
    ready = ground.ready(2)
    ready.be_ready()
    ground.nodes.pop(2).kill()
    ground.start(2, ready)
    time.sleep(5)  # until the others have asked the port of the old one
    haunted = [node for node in (1, 3) if ground.keeps(node, 2, old)]
    assert haunted
    wanted = {ground.name(node): ["ghost"] if node in haunted else [] for node in (1, 2, 3)}
    view = ground.until(lambda view: ground.findings(view) == wanted)
    for node in haunted:
        belief = ground.member(view, node)["belief"]
        assert belief["findings"][0]["unique_ids"] == [old]
        assert f"{ground.name(2)}#{old}" in belief["keeps"]
        assert f"{ground.name(2)}#{old}" not in belief["hears"]
        assert ground.unique_id(2) != old
    sentence = ground.view()["verdict"]["sentence"]
    assert f"itself still keeps a ghost of {ground.name(2)} ({old[:8]}…)" in sentence
    ground.nodes.pop(2).stop()
    time.sleep(8)  # the others find its port closed, and let the ghost go
    ground.start(2)


def test_a_deaf_node_is_proven(ground: Ground) -> None:
    """Its membership's thread is dead, its heartbeats go on: whole from outside, and it itself hears nobody."""
    ground.kill_membership_thread(1)
    member = ground.until_found(1, "deaf")
    assert (member["state"], member["up"]) == ("alive", True)
    assert member["belief"]["hears"] == []
    [finding] = member["belief"]["findings"]
    assert finding["members"] == sorted([ground.name(2), ground.name(3)])
    verdict = ground.view()["verdict"]
    assert verdict["state"] == "whole"
    assert f"{ground.name(1)} itself hears nobody: its own membership is empty" in verdict["sentence"]
    assert "OutOfMemoryError" in ground.nodes[1].log.read_text(errors="replace")
    for other in (2, 3):
        assert "OutOfMemoryError" not in ground.nodes[other].log.read_text(errors="replace")
        assert len(ground.member(ground.view(), other)["belief"]["hears"]) == 2
