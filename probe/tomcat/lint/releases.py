"""What depends on the release alone: known vulnerabilities, releases that cannot be mixed, what an upgrade breaks."""

from collections.abc import Iterator
from typing import Final

from probe.tomcat.lint.finding import Finding
from probe.tomcat.lint.node import Cluster, Node
from probe.tomcat.release import Release, first_of, parse_release
from probe.tomcat.tables import advisories

SESSION_LINE: Final = first_of("8.5")
"""From here on session messages have another serial number."""
MEMBER_LINES: Final = tuple(map(first_of, ("10.0", "10.1")))
"""From these on a member in a BackupManager's message is another class to Java."""
WINDOW_LINES: Final = tuple(map(parse_release, ("9.0.119", "10.1.56", "11.0.23")))
GCM_LINES: Final = tuple(map(parse_release, ("9.0.121", "10.1.58", "11.0.25")))
"""EncryptInterceptor's messages begin with a time; its default algorithm is AES/GCM."""


def check_release(node: Node) -> Iterator[Finding]:
    """Ask for the release where it is not known."""
    if node.release is None and node.clusters:
        yield node.finding(
            "release-unknown",
            node.document.root,
            "the Tomcat's release is not known: what depends on it is not said",
            remedy="--tomcat 9.0.113, or the file in its installation, beside lib/catalina.jar",
        )


def check(cluster: Cluster) -> Iterator[Finding]:
    """Yield the advisories that concern a cluster."""
    node = cluster.node
    if node.release is None:
        return
    for advisory in advisories():
        holder = cluster.interceptor(advisory["needs"])
        if holder is None and cluster.membership_kind == advisory["needs"]:
            holder = cluster.membership
        if holder is None or not _is_affected(node.release, advisory["affected"]):
            continue
        if advisory["id"] == "CVE-2026-29146" and "/GCM/" in (node.text(holder, "encryptionAlgorithm") or ""):
            continue  # it is the default algorithm's
        yield node.finding(
            "advisory",
            holder,
            f"{advisory['id']} concerns Tomcat {node.release}: {advisory['says']}",
            effect=advisory["source"],
            remedy=advisory["remedy"],
        )


def _is_affected(release: Release, ranges: list[list[str]]) -> bool:
    return release.is_exact and any(
        parse_release(low) <= release <= parse_release(high) for low, high in ranges
    )


def unlike(cluster: Cluster, one: Release, other: Release) -> Iterator[str]:
    """Yield why two nodes of these releases cannot be in this cluster at once."""
    older, newer = sorted((one, other))
    if older < SESSION_LINE <= newer:
        yield "8.5 and later cannot read the session messages of 7.0 and older, nor the other way"
    if cluster.manager_kind == "BackupManager" and any(older < line <= newer for line in MEMBER_LINES):
        yield "BackupManager's messages cannot cross 9.0, 10.0 and 10.1: InvalidClassException"
    encrypt = cluster.interceptor("EncryptInterceptor")
    if encrypt is None or not (one.is_exact and other.is_exact):
        return
    if one.has(WINDOW_LINES) != other.has(WINDOW_LINES):
        yield "EncryptInterceptor's messages carry a time from 9.0.119, 10.1.56 and 11.0.23 on: the others refuse them"
    if one.has(GCM_LINES) != other.has(GCM_LINES) and "encryptionAlgorithm" not in encrypt.attributes:
        yield "EncryptInterceptor's default is AES/GCM from 9.0.121, 10.1.58 and 11.0.25 on: the others cannot decrypt it"


def upgrade(node: Node, older: Release) -> Iterator[Finding]:
    """Yield what a node cannot do while others of its cluster still are of another release."""
    for cluster in node.clusters:
        for why in unlike(cluster, older, node.release) if node.release is not None else ():
            yield node.finding(
                "mixed-releases",
                cluster.element,
                f"{older} and {node.release} cannot be one cluster: {why}",
                effect="ERROR … Unable to deserialize message, or Failed to decrypt message; sessions are not replicated",
                remedy="stop every node, upgrade all, start them; sessions in memory do not survive it",
            )
