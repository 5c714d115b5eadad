"""Every error of lint is made by real Tomcats: they log what it says, and not any more once it is fixed."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest
from support import tomcat
from support.clusters import ADDRESS, BRANCHES, MISTAKES, NEEDS_HOST
from support.netns import Host, Lab

from probe.tomcat.document import parse_document
from probe.tomcat.lint.finding import Finding, apply
from probe.tomcat.lint.fix import fix
from probe.tomcat.lint.host import host_facts
from probe.tomcat.lint.linter import judge
from probe.tomcat.lint.node import Node
from probe.tomcat.lint.rule import RULES
from probe.tomcat.release import parse_release

pytestmark = [pytest.mark.tomcat, pytest.mark.netns, pytest.mark.slow]

RELEASES = {
    "6.0": "6.0.53",
    "7.0": "7.0.109",
    "8.5": "8.5.90",
    "9.0": "9.0.113",
    "10.1": "10.1.56",
    "11.0": "11.0.21",
}
"""What each branch's jars are."""
NAME = "node1.cluster"
"""Each lab's host has a name that is loopback, as Debian's hosts have."""
ALL = MISTAKES | NEEDS_HOST
CASES = [(name, branch) for name, mistake in ALL.items() for branch in mistake.branches]

Ends = dict[tuple[str, str, str], tuple[str, list[str]]]
"""(mistake, branch, "bad" or "fixed") to what became of it and what it logged."""


def _node(name: str, branch: str) -> Node:
    """Return a mistake's file as a node of a branch, with what the lab's host says where that is needed."""
    document = parse_document(name, ALL[name].text.encode())
    facts = None
    if name in NEEDS_HOST:
        facts = host_facts({"10.77.9.9"}, {"239.255.0.4"})
        facts = type(facts)(NAME, ("127.0.1.1",), facts.local, facts.routes)
    return Node(document, parse_release(RELEASES[branch]), jvm={"java.net.preferIPv4Stack": "true"}, host=facts)


def finding(name: str, branch: str) -> Finding:
    """Return what lint finds of a mistake: one error of its rule, or one for each of two nodes."""
    found = [one for one in judge([_node(name, branch)]) if one.severity == "error"]
    assert {one.rule for one in found} == {ALL[name].rule}, found
    assert all(re.search(ALL[name].logged(branch), one.effect) for one in found), found
    return found[0]


def fixed(name: str, branch: str) -> str:
    """Return the file as --fix writes it; else with the finding's edits, or the remedy that a person knows."""
    mistake = ALL[name]
    if mistake.remedy is not None:
        assert mistake.remedy[0] in mistake.text
        return mistake.text.replace(*mistake.remedy)
    one = _node(name, branch)
    found = [each for each in judge([one]) if each.rule == mistake.rule and each.severity == "error"]
    if all(each.is_safe for each in found):
        return fix(one.document, tuple(found)).document.text.decode()
    edits = tuple(edit for each in found for edit in each.edits)
    assert edits
    return apply(one.document.text, edits).decode()


class Tomcats:
    """One branch's Tomcats, started one after another by one JVM on a lab's host."""

    def __init__(self, branch: str, host: Host, folder: Path, ends: Ends) -> None:
        self._branch = branch
        self._ends = ends
        self._base = folder / branch
        for each in ("conf", "temp/a", "temp/b", "temp/c", "webapps", "app/WEB-INF"):
            (self._base / each).mkdir(parents=True)
        (self._base / "app/WEB-INF/web.xml").write_text("<web-app><distributable/></web-app>")
        (self._base / "hosts").write_text(f"127.0.1.1 {NAME}\n127.0.0.1 localhost\n")
        self._java = tomcat.starter(branch, self._base, NAME, host.start)

    def run(self) -> None:
        """Start every mistake of the branch, and each once more as it is fixed."""
        with self:
            for name, mistake in ALL.items():
                if self._branch in mistake.branches:
                    self._ends[name, self._branch, "bad"] = self.start(mistake.text)
                    self._ends[name, self._branch, "fixed"] = self.start(fixed(name, self._branch))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._java.kill()

    def start(self, text: str) -> tuple[str, list[str]]:
        """Start one; return what became of it and what it logged."""
        file = self._base / "server.xml"
        file.write_text(text.replace('docBase="app"', f'docBase="{self._base}/app"'))
        self._java.order(str(file))
        said: list[str] = []
        while True:
            word, _, rest = self._java.line().partition(" ")
            if word == "ended":
                return rest, said
            said.append(rest)


@pytest.fixture(name="ends", scope="module")
def _ends(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ends]:
    """Let every branch make every mistake, all branches at once, each on a host of its own."""
    ends: Ends = {}
    folder = tmp_path_factory.mktemp("tomcats")
    for branch in BRANCHES:
        tomcat.class_path(branch)
    labs = [Lab(1) for _ in BRANCHES]
    try:
        hosts = [lab.__enter__().hosts[0] for lab in labs]
        runs = [Tomcats(branch, host, folder, ends) for branch, host in zip(BRANCHES, hosts, strict=True)]
        threads = [threading.Thread(target=run.run) for run in runs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        yield ends
    finally:
        for lab in labs:
            lab.__exit__(None, None, None)


@pytest.mark.parametrize(("name", "branch"), CASES, ids=[f"{name}, {branch}" for name, branch in CASES])
def test_the_prediction_comes_true(ends: Ends, name: str, branch: str) -> None:
    """The bad file's Tomcat logs what the finding says; the fixed file's starts and does not."""
    mistake = ALL[name]
    assert finding(name, branch).rule == mistake.rule
    end, log = ends[name, branch, "bad"]
    logged = re.compile(mistake.logged(branch))
    assert any(logged.search(line) for line in log), "\n".join(log)
    # 6.0 does not say of a server that it failed: its log does
    assert end == mistake.ends or (branch, mistake.ends) == ("6.0", "failed"), (end, log)
    end, log = ends[name, branch, "fixed"]
    assert end == "started", "\n".join(log)
    assert not any(logged.search(line) for line in log), "\n".join(log)
    assert not [line for line in log if "Unable to start cluster" in line], "\n".join(log)


def test_a_host_without_a_way_to_the_group(tmp_path: Path) -> None:
    """Where no route leads to the group, lint says so on that host, and every branch's Tomcat too."""
    text = MISTAKES["an attribute with a typo"].text.replace(' prot="4100"', "")
    with Lab(1) as lab:
        (host,) = lab.hosts
        host.ip("route del 224.0.0.0/4 dev eth0")
        with host.inside():
            facts = host_facts({ADDRESS}, {"239.255.0.4"})
        document = parse_document("server.xml", text.encode())
        (found,) = [one for one in judge([Node(document, host=facts)]) if one.severity == "error"]
        assert found.rule == "multicast-route"
        for branch in BRANCHES:
            with Tomcats(branch, host, tmp_path, {}) as tomcats:
                end, log = tomcats.start(text)
            assert end == "failed" or branch == "6.0"
            assert any("Unable to start cluster" in line for line in log)
            assert any(re.search("Network is unreachable|No such device", line) for line in log), log
            assert re.search("Network is unreachable|No such device", found.effect)


def test_what_is_fixed_has_no_error_left() -> None:
    """Of every fixed file lint says no error."""
    for name, branch in CASES:
        whole = parse_document(name, fixed(name, branch).encode())
        release = parse_release(RELEASES[branch])
        left = [one for one in judge([Node(whole, release)]) if one.severity == "error"]
        assert left == [], (name, branch)


def test_every_rule_that_can_be_an_error_is_proved() -> None:
    """Each rule whose worst is an error has its mistake here."""
    errors = {name for name, rule in RULES.items() if rule.severity == "error"}
    assert errors - {mistake.rule for mistake in ALL.values()} == {"multicast-route"}  # above
