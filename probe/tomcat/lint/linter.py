"""One run: files in, findings out."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from probe.fields import ConfigError
from probe.tomcat.document import Document, read_document
from probe.tomcat.jvm_options import read_jvm_options
from probe.tomcat.lint import (
    applications,
    classes,
    comparison,
    interceptors,
    membership,
    receiver,
    releases,
    replication,
)
from probe.tomcat.lint.finding import Finding
from probe.tomcat.lint.host import host_facts
from probe.tomcat.lint.node import Node
from probe.tomcat.lint.rule import RULES
from probe.tomcat.properties import read_properties, resolve, unresolved
from probe.tomcat.release import Release, find_release

SUBJECTS = (classes, membership, receiver, interceptors, replication, releases)
"""Each has ``check(cluster)``."""
GIVEN = ("catalina.", "java.", "user.", "os.", "file.", "line.", "path.")
"""What begins the names of properties that every Tomcat has."""


class Question(msgspec.Struct, frozen=True):
    """What is to be looked at. ``release`` is for every file; without it each one's installation is asked."""

    server_xml: tuple[Path, ...]
    web_xml: tuple[Path, ...] = ()
    jvm_options: Path | None = None
    release: Release | None = None
    upgrade_from: Release | None = None
    on_this_host: bool = False


class Report(msgspec.Struct, frozen=True):
    """What was looked at, and what was found, in the order of the files."""

    nodes: tuple[Node, ...]
    web_xml: tuple[Document, ...]
    findings: tuple[Finding, ...]
    origins: dict[str, str]
    """Where each file's release was taken from."""

    def count(self, severity: str) -> int:
        """Return how many findings have a severity."""
        return sum(finding.severity == severity for finding in self.findings)

    def documents(self) -> tuple[Document, ...]:
        """Return every file that was read."""
        return (*(node.document for node in self.nodes), *self.web_xml)


def lint(question: Question) -> Report:
    """Read every file and judge; raises ConfigError with each file that cannot be read."""
    documents, problems = _read((*question.server_xml, *question.web_xml))
    jvm = None
    if question.jvm_options is not None:
        try:
            jvm = read_jvm_options(question.jvm_options)
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    servers = documents[: len(question.server_xml)]
    origins: dict[str, str] = {}
    nodes = [
        _node(question, path, document, jvm, origins)
        for path, document in zip(question.server_xml, servers, strict=True)
    ]
    web_xml = tuple(documents[len(servers) :])
    found = judge(nodes, web_xml)
    if question.upgrade_from is not None:
        found = _new(nodes, found, question.upgrade_from)
    return Report(tuple(nodes), web_xml, tuple(sorted(found, key=lambda one: one.sort_key)), origins)


def judge(nodes: Iterable[Node], web_xml: Iterable[Document] = ()) -> list[Finding]:
    """Return every finding about these files, each once."""
    several = list(nodes)
    found = [finding for node in several for finding in _one(node)]
    found += comparison.check(several)
    found += [finding for document in web_xml for finding in applications.check_web_xml(document)]
    return list({(one.rule, one.file, one.line, one.column, one.what): one for one in found}.values())


def _one(node: Node) -> Iterator[Finding]:
    if not node.clusters:
        yield node.finding(
            "cluster-missing",
            node.document.root,
            "no Cluster in Engine or Host: this Tomcat replicates nothing",
            remedy='<Cluster className="org.apache.catalina.ha.tcp.SimpleTcpCluster"/> in <Engine> or <Host>',
        )
    yield from classes.check_places(node)
    yield from releases.check_release(node)
    yield from _placeholders(node)
    yield from applications.check(node)
    for cluster in node.clusters:
        for subject in SUBJECTS:
            yield from subject.check(cluster)


def _placeholders(node: Node) -> Iterator[Finding]:
    known = node.properties | (node.jvm or {})
    for cluster in node.clusters:
        for element in cluster.element.walk():
            for name, written in element.attributes.items():
                missing = unresolved(resolve(written.value, known))
                if missing is not None and not missing.startswith(GIVEN):
                    yield node.finding(
                        "placeholder-undefined",
                        element,
                        f"${{{missing[:100]}}} is not in catalina.properties beside the file, nor a given JVM option",
                        at=name,
                        remedy="give the JVM's options with --jvm-options; what depends on it is not said",
                    )


def _read(paths: tuple[Path, ...]) -> tuple[list[Document], list[str]]:
    documents: list[Document] = []
    problems: list[str] = []
    for path in paths:
        try:
            documents.append(read_document(path))
        except ConfigError as error:
            problems += error.problems
    return documents, problems


def _node(
    question: Question, path: Path, document: Document, jvm: dict[str, str] | None, origins: dict[str, str]
) -> Node:
    release = question.release
    if release is not None:
        origins[document.file] = "--tomcat"
    elif (found := find_release(path, (jvm or {}).get("catalina.home", ""))) is not None:
        release = found[0]
        origins[document.file] = str(found[1])
    properties = read_properties(path.parent / "catalina.properties")
    node = Node(document, release, properties, jvm)
    if not question.on_this_host:
        return node
    addresses, groups = set(), set()
    for cluster in node.clusters:
        bind = cluster.value(cluster.membership, "Membership", "bind", "mcastBindAddress")
        addresses |= {one for one in (cluster.receiver_address, bind) if one and one != receiver.AUTO}
        groups |= {cluster.group[0]} if cluster.is_multicast else set()
    return Node(document, release, properties, jvm, host_facts(addresses, groups))


def _new(nodes: list[Node], found: list[Finding], older: Release) -> list[Finding]:
    """Return what is found for the release and was not for an older one, and what the change itself breaks."""
    before = [Node(one.document, older, one.properties, one.jvm, one.host) for one in nodes]
    known = {(one.rule, one.file, one.line, one.column, one.severity) for one in judge(before)}
    fresh = [one for one in found if (one.rule, one.file, one.line, one.column, one.severity) not in known]
    return fresh + [finding for node in nodes for finding in releases.upgrade(node, older)]


def list_rules() -> Iterator[tuple[str, str, str]]:
    """Yield each rule's id, its worst severity and what it looks for."""
    for rule in RULES.values():
        yield rule.name, rule.severity, rule.says
