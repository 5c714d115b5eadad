"""Every branch of Tomcat lives through what can happen to a node; the probe says what, and in time."""

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support import tomcat
from support.netns import Host, Lab
from support.tomcat import Java
from support.watcher import Watcher

from protocols.frame import Frame, Option, encode_frame
from protocols.heartbeat import Heartbeat, Layout, Member

pytestmark = [pytest.mark.tomcat, pytest.mark.netns, pytest.mark.slow]

GROUP = "shop"
DROP_TIME = 3.0
SLACK = 0.25
"""seconds beyond dropTime within which everything must be told."""
THREADS = 6
CHECK = {"level": "ack", "interval": "1s", "timeout": "900ms"}
SETTINGS: list[dict[str, Any]] = [
    {"name": GROUP, "address": "228.0.0.4", "interfaces": ["eth0"], "receiver_check": CHECK}
]


class Cluster:
    """Nodes of one branch on a lab's hosts: whole Tomcats where the branch is run whole."""

    def __init__(self, branch: str, folder: Path, stack: ExitStack) -> None:
        self._branch = branch
        self.layout = Layout.TOMCAT_6 if branch == "6.0" else Layout.CURRENT
        self._folder = folder
        self._stack = stack
        self._count = 0

    def ready(self, host: Host) -> Java:
        """Return a node that has all but joined."""
        self._count += 1
        log = self._folder / f"node{self._count}"
        if self._branch in tomcat.WHOLE:
            node = tomcat.server(self._branch, log, host.address, host.start)
        else:
            node = tomcat.peer(self._branch, log, host.start, address=host.address, threads=THREADS)
        return self._stack.enter_context(node)


@pytest.fixture(params=tomcat.TRIBES, name="branch")
def _branch(request: pytest.FixtureRequest) -> str:
    branch: str = request.param
    return branch


@pytest.fixture(name="stage")
def _stage(branch: str, tmp_path: Path) -> Iterator[tuple[Lab, Cluster, Watcher]]:
    tomcat.class_path(branch)
    with Lab(3) as lab, ExitStack() as stack:
        cluster = Cluster(branch, tmp_path, stack)
        yield lab, cluster, stack.enter_context(Watcher(lab.hosts[2], tmp_path, SETTINGS))


def test_the_life_of_a_node(stage: tuple[Lab, Cluster, Watcher]) -> None:
    """Join, clean stop, start, kill, fast restart, pause and a receiver without threads: each by its name."""
    lab, cluster, probe = stage
    first, second = lab.hosts[:2]
    name = f"{second.address}:4000"
    steady = cluster.ready(first)
    said = steady.go()
    joined(probe, f"{first.address}:4000", said)
    node = cluster.ready(second)
    joined(probe, name, node.go())
    answers(probe, name)

    began = time.time()
    node.stop()
    ended = time.time()
    left = told(probe, "left", name, began, ended)
    assert left["unique_id"] == probe.member(GROUP, name)["unique_id"]
    assert probe.member(GROUP, name)["state"] == "left"

    node = cluster.ready(second)
    began = time.time()
    assert joined(probe, name, node.go(), "restarted", since=began)["goodbye"] is True
    answers(probe, name)

    ghost = fast_restart(probe, cluster, second, node, name)
    stopped_and_continued(probe, ghost, name)
    exhausted(probe, ghost, second, cluster.layout)

    began = time.time()
    ghost.kill()
    told(probe, "lost", name, began, began)
    assert probe.member(GROUP, name)["state"] == "lost"
    assert probe.group(GROUP)["verdict"]["state"] == "degraded"
    assert probe.member(GROUP, f"{first.address}:4000")["state"] == "alive"
    assert probe.group(GROUP)["malformed"] == []


def told(probe: Watcher, kind: str, name: str, since: float, happened: float) -> dict[str, Any]:
    """Return the event, which comes within dropTime and a bit of what happened."""
    event = probe.tells(kind, since, member=name)
    assert event["at"] <= happened + DROP_TIME + SLACK, (event["at"] - happened, event)
    return event


def joined(
    probe: Watcher, name: str, said: dict[str, Any], kind: str = "joined", since: float = 0.0
) -> dict[str, Any]:
    """Return the event of a node that came; what the probe holds of it is what its Java side says."""
    event = probe.tells(kind, since, member=name)
    assert event["at"] <= time.time() + SLACK
    assert event["unique_id"] == said["unique_id"]
    view = probe.member(GROUP, name)
    shown = {key: view[key] for key in ("unique_id", "domain", "secure_port", "udp_port", "state", "ttl")}
    expected = {key: said[key] for key in ("unique_id", "domain", "secure_port", "udp_port")}
    assert shown == {**expected, "state": "alive", "ttl": 1}
    assert view["member"] == f"{socket.inet_ntoa(bytes.fromhex(said['host']))}:{said['port']}"
    return event


def answers(probe: Watcher, name: str) -> None:
    """Wait until the member's receiver has answered the liveness question."""
    until = time.monotonic() + 5
    while not probe.member(GROUP, name)["receiver"]["answered"]:
        assert time.monotonic() < until, probe.member(GROUP, name)
        time.sleep(0.1)


def fast_restart(probe: Watcher, cluster: Cluster, host: Host, node: Java, name: str) -> Java:
    """Kill a node and have it back within dropTime: the others may keep a ghost of it."""
    old = probe.member(GROUP, name)["unique_id"]
    ready = cluster.ready(host)
    ready.be_ready()
    began = time.time()
    node.kill()
    ready.order("go")
    event = told(probe, "ghost-suspected", name, began, began)
    assert event["old_unique_id"] == old
    assert probe.tells("restarted", began, member=name)["goodbye"] is False
    ready.hears("member")
    assert probe.member(GROUP, name)["state"] == "alive"
    answers(probe, name)
    return ready


def stopped_and_continued(probe: Watcher, node: Java, name: str) -> None:
    """Stop a JVM and let it run on: frozen, then back, paused and the same process."""
    began = time.time()
    node.process.send_signal(signal.SIGSTOP)
    told(probe, "silent", name, began, began)
    told(probe, "receiver-frozen", name, began, began)
    assert probe.member(GROUP, name)["state"] == "frozen"
    assert "frozen" in probe.group(GROUP)["verdict"]["sentence"]
    time.sleep(max(0.0, began + 4.3 - time.time()))
    resumed = time.time()
    node.process.send_signal(signal.SIGCONT)
    told(probe, "returned", name, resumed, resumed)
    stalled = told(probe, "stalled", name, resumed, resumed)
    assert stalled["stall_seconds"] == pytest.approx(resumed - began, abs=0.6)
    answers(probe, name)
    assert probe.member(GROUP, name)["state"] == "alive"


def exhausted(probe: Watcher, node: Java, host: Host, layout: Layout) -> None:
    """Hold every thread of the receiver: the member is heard, but nobody can replicate to it."""
    name = f"{host.address}:4000"
    sender = Heartbeat(Member(socket.inet_aton(host.address), 4999, bytes(range(16)), layout=layout), 1)
    hold = encode_frame(Frame(sender, b"hold", Option.BYTE_MESSAGE, 0, bytes(range(16, 32))))
    began = time.time()
    with ExitStack() as held:
        for _ in range(THREADS):
            with host.inside():
                connection = held.enter_context(socket.create_connection((host.address, 4000), 1))
            connection.sendall(hold)
        for _ in range(THREADS):
            node.hears("holding")
        told(probe, "receiver-frozen", name, began, time.time())
        assert probe.member(GROUP, name)["state"] == "half"
        node.order("release")
        probe.tells("receiver-answers", began, member=name)
    assert probe.member(GROUP, name)["state"] == "alive"
