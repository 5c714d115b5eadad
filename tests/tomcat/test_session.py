"""The session canary against whole Tomcats of every branch: what replicates, what does not, and why."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from support import tomcat
from support.netns import Host, Lab
from support.tomcat import HOW_TO, Java, Sessions
from support.watcher import COMMAND, Watcher

pytestmark = [pytest.mark.tomcat, pytest.mark.netns, pytest.mark.slow]

SYNC, ASYNC = 6, 8
USER = r"\w+"


class Pair:
    """Two nodes on hosts of their own, and a third host to look from."""

    def __init__(self, branch: str, folder: Path, stack: ExitStack) -> None:
        self._branch, self._folder, self._stack = branch, folder, stack
        *self.hosts, self.outside = stack.enter_context(Lab(3)).hosts
        self._count = 0
        for name, value in {"user": "alice", "password": "secret", "wrong": "guess"}.items():
            (folder / name).write_text(f"{value}\n")

    def start(self, first: Sessions, second: Sessions | None = None) -> list[Java]:
        """Start both, one after the other: started at once, each waits for the other's sessions."""
        nodes = []
        for host, sessions in zip(self.hosts, (first, second or first), strict=True):
            self._count += 1
            base = self._folder / f"node{self._count}"
            node = tomcat.server(self._branch, base, host.address, host.start, sessions=sessions)
            self._stack.enter_context(node).go()
            nodes.append(node)
        if first.cluster and (second or first).cluster:
            until = time.monotonic() + 20
            while not all(node.ask("members") for node in nodes):
                assert time.monotonic() < until
                time.sleep(0.05)
        return nodes

    def url(self, host: Host, path: str = "/app/shop") -> str:
        """Return a page of a node."""
        return f"http://{host.address}:8080{path}"

    def ask(self, *options: str, path: str = "/app/shop", status: int | None = None) -> list[dict[str, Any]]:
        """Run the command; return a record for each pair and round."""
        urls = [self.url(host, path) for host in self.hosts]
        with self.outside.inside():
            done = subprocess.run(
                [str(COMMAND), "session", "--json", "--give-up", "2s", *options, *urls],
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )
        records = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.stderr == ""
        assert status is None or done.returncode == status, records
        return records

    def login(self, password: str = "password") -> list[str]:  # noqa: S107  # a file's name
        """Return the options of a user who logs in and out."""
        fields = [f"--field=user={self._folder}/user", f"--field=password={self._folder}/{password}"]
        return ["--login", "/app/login", *fields, "--expect-same", USER, "--logout", "/app/logout"]


@pytest.fixture(name="pair")
def _pair(branch: str, tmp_path: Path) -> Iterator[Pair]:
    tomcat.class_path(branch)
    with ExitStack() as stack:
        yield Pair(branch, tmp_path, stack)


def outcomes(records: list[dict[str, Any]]) -> set[tuple[str, str | None]]:
    """Return what came out, each once."""
    return {(record["state"], record["reason"]) for record in records}


def sessions(node: Java) -> int:
    """Return how many sessions a node has."""
    return int(node.ask("sessions").split()[0])


@pytest.mark.parametrize("branch", tomcat.WHOLE)
def test_sessions_that_are_replicated_are_known(pair: Pair) -> None:
    """Sent synchronously each is there with its user at the first look, both ways; the logouts leave none."""
    nodes = pair.start(Sessions(send_options=SYNC))
    records = pair.ask("--count", "3", "--interval", "100ms", *pair.login(), status=0)
    assert outcomes(records) == {("replicated", None)}
    assert len(records) == 6
    assert all(record["made"] == record["ended"] for record in records)
    assert all(record["delay_seconds"] == record["resolution_seconds"] for record in records[2:])
    until = time.monotonic() + 5
    while any(sessions(node) for node in nodes):
        assert time.monotonic() < until, [sessions(node) for node in nodes]
        time.sleep(0.05)
    _look_for_an_id_whose_route_was_exchanged(pair)


def _look_for_an_id_whose_route_was_exchanged(pair: Pair) -> None:
    """See why a balancer is told in the path: Tomcat looks the whole id up, and moves one of another route."""
    first, second = pair.hosts
    cookie = _cookie(pair, pair.url(first))
    base, _, route = cookie.partition(".")
    assert route == "node1"
    forged = _cookie(pair, pair.url(second), f"{base}.node2")
    assert forged.partition(".")[0] != base
    assert _cookie(pair, pair.url(second) + ";jsessionid=.node2", cookie) == f"{base}.node2"


def _cookie(pair: Pair, url: str, shown: str = "") -> str:
    """Return the session cookie that an answer sets."""
    head = pair.outside.run("curl", "-s", "-D", "-", "-o", "/dev/null", "-b", f"JSESSIONID={shown}", url)
    (line,) = [line for line in head.splitlines() if line.lower().startswith("set-cookie: jsessionid=")]
    return line.partition("=")[2].partition(";")[0]


@pytest.mark.parametrize("branch", ["8.5", "10.1"])
def test_asynchronous_replication_is_measured(pair: Pair) -> None:
    """It takes a moment; and messages overtake each other: attributes, or the renewed id, are lost for good."""
    pair.start(Sessions(send_options=ASYNC))
    records = pair.ask("--count", "20", "--interval", "1ms", *pair.login())
    assert outcomes(records) <= {("replicated", None), ("lost", "body-differs"), ("lost", "not-replicated")}
    delays = [record["delay_seconds"] for record in records if record["state"] == "replicated"]
    assert len(delays) >= 5
    assert all(0 < delay < 2 for delay in delays)


@pytest.mark.parametrize("branch", ["8.5", "11.0"])
def test_an_application_that_is_not_distributable_loses_them(pair: Pair) -> None:
    """The cluster forms, and the other node makes a session of its own; each look leaves one there."""
    nodes = pair.start(Sessions(distributable=False))
    records = pair.ask(status=1)
    assert outcomes(records) == {("lost", "not-replicated")}
    assert sum(map(sessions, nodes)) == sum(record["made"] for record in records)


@pytest.mark.parametrize("branch", ["9.0"])
def test_without_a_cluster_they_are_lost(pair: Pair) -> None:
    """Two Tomcats side by side."""
    pair.start(Sessions(cluster=False))
    assert outcomes(pair.ask(status=1)) == {("lost", "not-replicated")}


@pytest.mark.parametrize("branch", ["8.5", "11.0"])
def test_a_backup_manager_s_sessions_are_known(pair: Pair) -> None:
    """A node that is no backup of a session fetches it from who is."""
    pair.start(Sessions(send_options=SYNC, manager="BackupManager"))
    assert outcomes(pair.ask("--count", "2", *pair.login(), status=0)) == {("replicated", None)}


@pytest.mark.parametrize("branch", ["11.0"])
def test_what_says_nothing_of_sessions_is_no_loss(pair: Pair) -> None:
    """A page that makes none, a password that is wrong, a node that is killed."""
    _, second = pair.start(Sessions(send_options=SYNC))
    assert outcomes(pair.ask(path="/app/peek", status=1)) == {("unknown", "no-cookie")}
    assert outcomes(pair.ask(*pair.login("wrong"), status=1)) == {("unknown", "login-failed")}
    second.kill()
    assert outcomes(pair.ask(status=1)) == {("unknown", "connect")}


@pytest.mark.parametrize("branch", ["10.1"])
def test_the_daemon_says_what_becomes_of_sessions(pair: Pair, tmp_path: Path) -> None:
    """In the log, in the view and in the metrics: replicated, then unknown when a node is killed."""
    _, second = pair.start(HOW_TO)
    nodes = [{"name": name, "url": pair.url(host)} for name, host in zip("ab", pair.hosts, strict=True)]
    canary = {"nodes": nodes, "interval": "500ms", "timeout": "300ms", "give_up": "400ms"}
    group = {"name": "shop", "address": "228.0.0.4", "interfaces": ["eth0"], "sessions": canary}
    with Watcher(pair.outside, tmp_path / "probe", [group]) as probe:
        both: list[dict[str, Any]] = [{"from": "a", "to": "b"}, {"from": "b", "to": "a"}]
        for names in both:
            probe.tells("sessions-replicated", **names)
        _until(lambda: all(each["checks"] > 1 for each in probe.group("shop")["sessions"]))
        assert {each["state"] for each in probe.group("shop")["sessions"]} == {"replicated"}
        assert 'tribes_session_replicated{from="a",group="shop",to="b"} 1.0' in probe.get("/metrics").decode()
        second.kill()
        for names in both:
            probe.tells("sessions-unknown", reason="connect", **names)
        assert "tribes_session_replicated{" not in probe.get("/metrics").decode()


def _until(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.05)
