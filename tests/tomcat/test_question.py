"""The liveness question, once a second for a minute, leaves no trace in any Tomcat."""

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from support import tomcat
from support.netns import Host, Lab
from support.tomcat import Java
from support.watcher import Watcher

pytestmark = [pytest.mark.tomcat, pytest.mark.netns, pytest.mark.slow]

ASKED_FOR: Final = 60.0
GROUP_PORT: Final = 45564
CHECK: Final = {"level": "ack", "interval": "1s", "timeout": "900ms"}


class Pair(msgspec.Struct):
    """Two nodes of one branch, in a group of their own."""

    branch: str
    port: int
    nodes: list[Java]

    def remembers(self) -> list[tuple[str, str, str]]:
        """Return of each node its members, its sessions and its log."""
        whole = self.branch in tomcat.WHOLE
        return [
            (node.ask("members"), node.ask("sessions") if whole else "", node.log.read_text(errors="replace"))
            for node in self.nodes
        ]


def test_a_minute_of_questions(tmp_path: Path) -> None:
    """Every question is answered; no log line, no member list and no session changes."""
    with Lab(2 * len(tomcat.TRIBES) + 1) as lab, ExitStack() as stack:
        pairs = [
            start(branch, GROUP_PORT + number, lab.hosts[2 * number : 2 * number + 2], tmp_path, stack)
            for number, branch in enumerate(tomcat.TRIBES)
        ]
        time.sleep(6)  # a channel's first heartbeat, five seconds after its start, may still log
        before = [pair.remembers() for pair in pairs]
        assert all(len(members.split()) == 1 for nodes in before for members, _, _ in nodes)
        assert all(sessions.startswith("1 ") for nodes in before[2:] for _, sessions, _ in nodes)
        with Watcher(lab.hosts[-1], tmp_path, [settings(pair) for pair in pairs]) as probe:
            time.sleep(ASKED_FOR)
            for pair in pairs:
                group = probe.group(pair.branch)
                assert group["verdict"]["state"] == "whole", group["verdict"]
                for member in group["members"]:
                    receiver = member["receiver"]
                    assert receiver["answered"], member
                    assert receiver["checks"]["ack"] >= 0.9 * ASKED_FOR
                    assert receiver["failures"] == []
        assert [pair.remembers() for pair in pairs] == before


def start(branch: str, port: int, hosts: list[Host], folder: Path, stack: ExitStack) -> Pair:
    """Start two nodes one after the other; of whole Tomcats the first has a session."""
    pair = Pair(branch, port, [])
    for number, host in enumerate(hosts):
        name = folder / f"{branch}-{number}"
        node = (
            tomcat.server(branch, name, host.address, host.start, port)
            if branch in tomcat.WHOLE
            else tomcat.peer(branch, name, host.start, address=host.address, groupPort=port)
        )
        pair.nodes.append(stack.enter_context(node))
        node.go()
    if branch in tomcat.WHOLE:
        pair.nodes[0].order("create")
        pair.nodes[0].hears("created")
    return pair


def settings(pair: Pair) -> dict[str, Any]:
    """Return how the probe is told of the pair's group."""
    return {
        "name": pair.branch,
        "address": "228.0.0.4",
        "port": pair.port,
        "interfaces": ["eth0"],
        "receiver_check": dict(CHECK),
        "expected": 2,
    }
