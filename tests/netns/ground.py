"""The proving ground: three Tomcats of two versions on one segment, a probe beside each and one by itself."""

import functools
import os
import signal
import socket
import time
import urllib.request
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from support import tomcat
from support.netns import Host, Lab
from support.tomcat import Java
from support.watcher import PORT, Watcher

GROUP: Final = "shop"
MULTICAST: Final = "228.0.0.4"
GROUP_PORT: Final = 45564
BRANCHES: Final = ("10.1", "9.0", "10.1")
NODES: Final = (1, 2, 3)
SEGMENT: Final = 4
VANTAGES: Final = (*NODES, SEGMENT)
CHECK: Final = {"level": "ack", "interval": "1s", "timeout": "900ms"}
DROP_TIME: Final = 3.0
STABLE: Final = 10.0
PATIENCE: Final = 40.0

LIBRARIES: Final = Path("/usr/lib")
FAKE_CLOCK: Final = "*/faketime/libfaketime.so.1"

View = dict[str, Any]


def place(vantage: int) -> str:
    """Return what a vantage is called among its peers."""
    return "segment" if vantage == SEGMENT else f"host-{vantage}"


class Visitor:
    """A browser: somebody with a session, or without one yet."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._cookie = ""

    def log_in(self, host: Host) -> None:
        """Have a node make a session; raises OSError."""
        assert self._get(host, f"login?{self.name}") == self.name

    def is_known(self, host: Host) -> bool:
        """Whether a node has the session; one that did not make it takes it over. Raises OSError."""
        return self._get(host, "") == self.name

    def _get(self, host: Host, path: str) -> str:
        request = urllib.request.Request(  # a host of the lab
            f"http://{host.address}:8080/app/{path}", headers={"Cookie": self._cookie}
        )
        with host.inside(), urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            self._cookie = (answer.headers["Set-Cookie"] or self._cookie).partition(";")[0]
            return str(answer.read().decode())


class Ground:
    """Nodes 1 to 3 on hosts of their own with a probe beside each; vantage 4 is the segment's probe.

    The probes read each other over a network of their own, which nothing but ``part_probes`` cuts. ``settings``
    are more of the group's, for every probe.
    """

    def __init__(self, folder: Path, **settings: object) -> None:
        self._folder = folder
        self._settings = settings
        self._stack = ExitStack()
        self._count = 0
        self._kept: list[socket.socket] = []
        self.guests: list[Java] = []
        self._unique_ids: dict[int, str] = {}
        self._read: dict[Path, int] = {}
        self.visitors: dict[str, Visitor] = {}
        self.nodes: dict[int, Java] = {}
        self.probes: dict[int, Watcher] = {}

    def __enter__(self) -> Self:
        for branch in set(BRANCHES):
            tomcat.class_path(branch)
        with ExitStack() as begun:
            self.lab = begun.enter_context(Lab(len(VANTAGES), management=True))
            for vantage in VANTAGES:
                probe = self._probe(vantage)
                self.probes[vantage] = begun.enter_context(probe)
            for node in NODES:
                self.start(node)
            self.wait_for_whole()
            self._stack = begun.pop_all()
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
            **self._settings,
        }
        peers = [
            {"name": place(other), "url": f"http://{self.host(other).management}:{PORT}"}
            for other in VANTAGES
            if other != vantage
        ]
        role = "segment" if vantage == SEGMENT else "local"
        folder = self._folder / f"probe{vantage}"
        return Watcher(self.host(vantage), folder, [group], role=role, peers=peers, forget_after="10s")

    # -- the nodes

    def host(self, number: int) -> Host:
        """Return a node's or a vantage's host."""
        return self.lab.hosts[number - 1]

    def name(self, node: int) -> str:
        """Return a member's name."""
        return f"{self.host(node).address}:4000"

    def ready(self, node: int, address: str | None = None, **environment: str) -> Java:
        """Return a Tomcat that has all but joined."""
        self._count += 1
        base = self._folder / f"node{node}-{self._count}"
        host = self.host(node)
        start = functools.partial(host.start, env={**os.environ, **environment})
        return tomcat.server(BRANCHES[node - 1], base, address or host.address, start)

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
        self.guests.append(guest)

    def invite_peer(self, number: int, port: int, domain: str) -> None:
        """Start a member on the Tribes classes alone, and wait until it is up."""
        host = self.host(number)
        log = self._folder / f"peer{port}.log"
        more: dict[str, Any] = {"domain": domain.encode().hex()} if domain else {}
        peer = tomcat.peer("10.1", log, host.start, address=host.address, port=port, **more)
        self.invite(peer)
        peer.hears("member")

    def send_off(self) -> None:
        """Kill the guests."""
        while self.guests:
            self.guests.pop().kill()

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
            is_ghost = number in NODES and self._unique_ids.get(number) != unique_id
            words.append(f"{number or name}{' (ghost)' if is_ghost else ''}")
        return ", ".join(words) or "nobody"

    def believes(self, node: int) -> set[str]:
        """Return the members that a Tomcat believes in, by name and start of the unique id."""
        return {one.partition("#")[0] for one in self.nodes[node].ask("members").split()}

    def logged(self) -> dict[int, list[str]]:
        """Return what each running Tomcat has logged since this was asked last, a line a record."""
        found = {}
        for node, java in sorted(self.nodes.items()):
            text = java.log.read_text(encoding="utf-8", errors="replace")
            found[node] = text[self._read.get(java.log, 0) :].splitlines()
            self._read[java.log] = len(text)
        return found

    # -- clocks

    def clock(self) -> dict[str, str]:
        """Return the environment of a JVM whose wall clock ``set_clock`` moves, and its monotonic one not."""
        self.set_clock(0)
        return {
            "LD_PRELOAD": str(next(LIBRARIES.glob(FAKE_CLOCK))),
            "FAKETIME_TIMESTAMP_FILE": str(self._folder / "clock"),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set_clock(self, seconds: int) -> None:
        """Set how many seconds that clock is ahead, at once: half a file would be another clock."""
        written = self._folder / "clock.new"
        written.write_text(f"{seconds:+d}\n", encoding="ascii")
        written.replace(self._folder / "clock")

    # -- sessions

    def log_in(self, name: str, node: int) -> None:
        """Have a node make a session for somebody."""
        self.visitors[name] = Visitor(name)
        self.visitors[name].log_in(self.host(node))

    def knows(self, node: int, name: str) -> bool:
        """Whether a node has somebody's session."""
        return self.visitors[name].is_known(self.host(node))

    # -- faults: each host drops what it is not to hear

    def deafen(self, number: int, *sources: int) -> None:
        """Have a host lose the multicast of others: one-way."""
        self.drop({number: [f"ip saddr {self.host(one).address} ip daddr {MULTICAST}" for one in sources]})

    def block_tcp(self, *sides: tuple[int, ...]) -> None:
        """Cut TCP between the sides."""
        self._between(sides, "ip saddr {} ip protocol tcp", [host.address for host in self.lab.hosts])

    def part(self, *sides: tuple[int, ...]) -> None:
        """Cut everything between the sides but the probes' own network."""
        self._between(sides, "ip saddr {}", [host.address for host in self.lab.hosts])

    def part_probes(self, *sides: tuple[int, ...]) -> None:
        """Cut everything between the sides, the probes' own network too."""
        self.part(*sides)
        self._between(sides, "ip saddr {}", [host.management for host in self.lab.hosts])

    def _between(self, sides: tuple[tuple[int, ...], ...], rule: str, addresses: list[str]) -> None:
        rules: dict[int, list[str]] = defaultdict(list)
        for side in sides:
            for number in side:
                rules[number] += [
                    rule.format(addresses[other - 1]) for one in sides if one is not side for other in one
                ]
        self.drop(rules)

    def drop(self, rules: dict[int, list[str]], hook: str = "input") -> None:
        """Have hosts drop what matches rules of nft, of what comes in or of the ``output``."""
        for number, what in rules.items():
            chain = f"add chain inet fault {hook} {{ type filter hook {hook} priority 0; }}"
            lines = ["add table inet fault", chain]
            lines += [f"add rule inet fault {hook} {one} drop" for one in what]
            self.host(number).run("nft", "-f", "-", input="\n".join(lines))

    def heal(self) -> None:
        """Take every fault of the network back."""
        for host in self.lab.hosts:
            if "table inet fault" in host.run("nft", "list tables"):
                host.run("nft", "delete table inet fault")

    # -- what the probes say

    def view(self, vantage: int) -> View:
        """Return a vantage's view of the group."""
        return self.probes[vantage].group(GROUP)

    def together(self, vantage: int) -> View:
        """Return what a vantage says together with its peers."""
        found: View = self.view(vantage)["together"]
        return found

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
        """Wait until every vantage finds it whole, alone and together, and every Tomcat has the two others."""
        for vantage in VANTAGES:
            self.until(lambda view: view["verdict"]["state"] == "whole", vantage, patience)
        give_up = time.monotonic() + patience
        for node in NODES:
            others = {self.name(other) for other in NODES} - {self.name(node)}
            while self.believes(node) != others:
                assert time.monotonic() < give_up, (node, self.believes(node))
                time.sleep(0.1)
        for vantage in VANTAGES:
            self.until(lambda view: view["together"]["state"] == "whole", vantage, patience)
