"""The proving ground: three Tomcats of two versions on one segment, a probe beside each and one by itself."""

import signal
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from support import tomcat
from support.netns import Host, Lab
from support.tomcat import Java
from support.watcher import Watcher

GROUP: Final = "shop"
MULTICAST: Final = "228.0.0.4"
BRANCHES: Final = ("10.1", "9.0", "10.1")
NODES: Final = (1, 2, 3)
SEGMENT: Final = 4
VANTAGES: Final = (*NODES, SEGMENT)
CHECK: Final = {"level": "ack", "interval": "1s", "timeout": "900ms"}
DROP_TIME: Final = 3.0
STABLE: Final = 10.0
PATIENCE: Final = 40.0

View = dict[str, Any]


class Ground:
    """Nodes 1 to 3 on hosts of their own with a probe beside each; vantage 4 is the segment's probe."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self._folder = folder
        self._settings = settings
        self._stack = ExitStack()
        self._count = 0
        self._kept: list[socket.socket] = []
        self._guests: list[Java] = []
        self._unique_ids: dict[int, str] = {}
        self.nodes: dict[int, Java] = {}
        self.probes: dict[int, Watcher] = {}

    def __enter__(self) -> Self:
        for branch in set(BRANCHES):
            tomcat.class_path(branch)
        with ExitStack() as begun:
            self.lab = begun.enter_context(Lab(len(VANTAGES)))
            for vantage in VANTAGES:
                probe = self._probe(vantage)
                self.probes[vantage] = begun.enter_context(probe)
            for node in NODES:
                self.start(node)
            self._stack = begun.pop_all()
        self.wait_for_whole()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.let_go()
        self.send_off()
        for node in self.nodes.values():
            node.kill()
        self._stack.close()

    def _probe(self, vantage: int) -> Watcher:
        group = {
            "name": GROUP,
            "address": MULTICAST,
            "interfaces": ["eth0"],
            "expected": [self.name(node) for node in NODES],
            "receiver_check": dict(CHECK),
        }
        return Watcher(self.host(vantage), self._folder / f"probe{vantage}", [group], **self._settings)

    # -- the nodes

    def host(self, number: int) -> Host:
        """Return a node's or a vantage's host."""
        return self.lab.hosts[number - 1]

    def name(self, node: int) -> str:
        """Return a member's name."""
        return f"{self.host(node).address}:4000"

    def ready(self, node: int, address: str | None = None) -> Java:
        """Return a Tomcat that has all but joined."""
        self._count += 1
        base = self._folder / f"node{node}-{self._count}"
        host = self.host(node)
        return tomcat.server(BRANCHES[node - 1], base, address or host.address, host.start)

    def start(self, node: int, ready: Java | None = None) -> None:
        """Start a node."""
        self.nodes[node] = ready or self.ready(node)
        self._unique_ids[node] = self.nodes[node].go()["unique_id"]

    def stop(self, node: int) -> None:
        """Stop a node cleanly."""
        self.nodes.pop(node).stop()

    def kill(self, node: int) -> None:
        """Kill a node: no goodbye."""
        self.nodes.pop(node).kill()

    def pause(self, node: int) -> None:
        """Stop a node's JVM where it stands."""
        self.nodes[node].process.send_signal(signal.SIGSTOP)

    def resume(self, node: int) -> None:
        """Let a paused JVM run on."""
        self.nodes[node].process.send_signal(signal.SIGCONT)

    def forget_ghosts(self, node: int) -> None:
        """Stop a node for long enough that every ghost of it is found out, and start it again."""
        self.stop(node)
        others = [other for other in NODES if other != node]
        give_up = time.monotonic() + PATIENCE
        while any(self.name(node) in self.believes(other) for other in others):
            assert time.monotonic() < give_up, "a ghost stays although its port is closed"
            time.sleep(0.1)
        self.start(node)

    def invite(self, guest: Java) -> None:
        """Start a node that need not come up: one that nobody can reach waits a minute for sessions."""
        guest.be_ready()
        guest.order("go")
        self._guests.append(guest)

    def send_off(self) -> None:
        """Kill the guests."""
        while self._guests:
            self._guests.pop().kill()

    def keep(self, connection: socket.socket) -> None:
        """Keep a connection open until ``let_go``."""
        self._kept.append(connection)

    def let_go(self) -> None:
        """Close the connections kept."""
        while self._kept:
            self._kept.pop().close()

    def belief(self, node: int) -> str:
        """Return whom a Tomcat believes in, by the nodes' numbers; who lives no more is a ghost."""
        words = []
        for member in sorted(self.nodes[node].ask("members").split()):
            name, _, unique_id = member.partition("#")
            number = next((one for one in NODES if self.name(one) == name), 0)
            living = self._unique_ids.get(number) == unique_id
            words.append(f"{number or name}{'' if living else ' (ghost)'}")
        return ", ".join(words) or "nobody"

    def believes(self, node: int) -> set[str]:
        """Return the members that a Tomcat believes in, by name and start of the unique id."""
        return {one.partition("#")[0] for one in self.nodes[node].ask("members").split()}

    # -- faults: each host drops what it is not to hear

    def deafen(self, number: int, *sources: int) -> None:
        """Have a host lose the multicast of others: one-way."""
        for source in sources:
            self._drop(number, f"ip saddr {self.host(source).address} ip daddr {MULTICAST}")

    def block_tcp(self, number: int, *others: int) -> None:
        """Cut TCP between a host and others, both ways."""
        for other in others:
            self._drop(number, f"ip saddr {self.host(other).address} ip protocol tcp")

    def part(self, *sides: tuple[int, ...]) -> None:
        """Cut everything between the sides."""
        for side in sides:
            others = [number for other in sides if other is not side for number in other]
            for number in side:
                for other in others:
                    self._drop(number, f"ip saddr {self.host(other).address}")

    def _drop(self, number: int, what: str) -> None:
        host = self.host(number)
        host.run("nft", "add table inet fault")
        host.run("nft", "add chain inet fault in { type filter hook input priority 0; }")
        host.run("nft", f"add rule inet fault in {what} drop")

    def heal(self) -> None:
        """Take every fault of the network back."""
        for host in self.lab.hosts:
            if "table inet fault" in host.run("nft", "list tables"):
                host.run("nft", "delete table inet fault")

    # -- what the probes say

    def view(self, vantage: int) -> View:
        """Return a vantage's view of the group."""
        return self.probes[vantage].group(GROUP)

    def states(self, vantage: int) -> dict[int, str]:
        """Return the nodes' states as a vantage sees them."""
        states = {member["member"]: member["state"] for member in self.view(vantage)["members"]}
        return {node: states.get(self.name(node), "absent") for node in NODES}

    def until(self, holds: Callable[[View], bool], vantage: int, patience: float = PATIENCE) -> View:
        """Wait until something is true of a vantage's view; return the view."""
        give_up = time.monotonic() + patience
        while not holds(view := self.view(vantage)):
            assert time.monotonic() < give_up, (vantage, view["verdict"])
            time.sleep(0.03)
        return view

    def wait_for_whole(self, patience: float = PATIENCE) -> None:
        """Wait until every vantage finds the cluster whole, and every Tomcat has the two others."""
        for vantage in VANTAGES:
            self.until(lambda view: view["verdict"]["state"] == "whole", vantage, patience)
        give_up = time.monotonic() + patience
        for node in NODES:
            others = {self.name(other) for other in NODES} - {self.name(node)}
            while self.believes(node) != others:
                assert time.monotonic() < give_up, (node, self.believes(node))
                time.sleep(0.1)
