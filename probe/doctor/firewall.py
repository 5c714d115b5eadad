"""The host's own packet filter: what it does with heartbeats, IGMP and the receiver's connections."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Final

import msgspec

from probe.doctor.finding import Judgement, error, ok, unknown, warning
from probe.doctor.iptables import read_iptables
from probe.doctor.nft import read_nft
from probe.doctor.ruleset import Packet, Ruleset, merged
from probe.doctor.subject import Subject

LOOKED_AT: Final = "nft list ruleset, iptables-save (read only)"
PATIENCE: Final = 10.0
"""seconds for a program that lists rules."""
_PLACES: Final = "/usr/sbin:/sbin:/usr/bin:/bin:/usr/local/sbin"
_LEGACY: Final = {
    4: ("iptables-save", "iptables-legacy-save"),
    6: ("ip6tables-save", "ip6tables-legacy-save"),
}
_QUERIES, _REPORTS = {4: "224.0.0.1", 6: "ff02::1"}, {4: "224.0.0.22", 6: "ff02::16"}
_IN, _OUT = ("ingress", "prerouting", "input"), ("output", "postrouting", "egress")


class Filters(msgspec.Struct, frozen=True):
    """The rules in force, or why they could not be listed."""

    ruleset: Ruleset = Ruleset()
    programs: tuple[str, ...] = ()
    lacks: str = ""


def read_filters(version: int) -> Filters:
    """List the rules with the programs that are there."""
    found: list[Ruleset] = []
    used: list[str] = []
    try:
        for name in _LEGACY[version]:
            if (text := _list(name)) is not None:
                found.append(read_iptables(text, name.removesuffix("-save")))
                used.append(name)
        if (text := _list("nft", "-j", "list", "ruleset")) is not None:
            found.append(read_nft(text, version, but_iptables=bool(used)))
            used.append("nft")
    except PermissionError:
        return Filters(lacks="only root (CAP_NET_ADMIN) may list the rules")
    except (OSError, ValueError, KeyError, TypeError, subprocess.SubprocessError) as failed:
        return Filters(lacks=f"the rules could not be listed: {' '.join(str(failed).split())[:200]}")
    if not used:
        return Filters(lacks="neither nft nor iptables-save is installed to list the rules")
    return Filters(merged(found), tuple(used))


def _list(name: str, *arguments: str) -> str | None:
    """Run a program that lists rules; None when it is not there. Raises OSError."""
    path = shutil.which(name, path=_PLACES)
    if path is None:
        return None
    done = subprocess.run(  # noqa: S603  # a fixed program with fixed arguments
        [path, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
        env={**os.environ, "LC_ALL": "C"},
    )
    words = done.stderr.decode("utf-8", "replace")
    if done.returncode or (not done.stdout and words):
        if os.geteuid() != 0 or "ermission denied" in words or "not permitted" in words:
            raise PermissionError(words)
        raise OSError(f"{name}: {words}")
    return done.stdout.decode("utf-8", "replace")


def packets(subject: Subject) -> Iterator[tuple[Packet, str]]:
    """Yield the packets a cluster lives by, and what it means when one does not pass."""
    version, group = subject.version, str(subject.address)
    low, _ = subject.receiver_ports
    port = str(subject.group.port)
    known = _addresses(subject)
    coming, going = ({"saddr": known[1]}, {"saddr": known[0]}) if known else ({}, {})
    to_us, to_them = ({"daddr": known[0]}, {"daddr": known[1]}) if known else ({}, {})
    common = {"nfproto": f"ipv{version}", "protocol": "ip6" if version == 6 else "ip", "state": "new"}  # noqa: PLR2004
    beats = {**common, "l4proto": "udp", "daddr": group, "dport": port, "sport": port, "pkttype": "multicast"}
    asked = {**common, "l4proto": "ipv6-icmp" if version == 6 else "igmp", "sport": "", "dport": ""}  # noqa: PLR2004
    syn = {**common, "l4proto": "tcp", "dport": str(low), "pkttype": "unicast", "flags": "syn"}
    way_in, way_out = _interface(subject, "iif", "oif"), _interface(subject, "oif", "iif")
    yield (
        Packet(f"heartbeats in (UDP {port} to {group})", _IN, {**beats, **way_in, **coming}),
        "a Tomcat here hears nobody",
    )
    yield (
        Packet(f"heartbeats out (UDP {port} to {group})", _OUT, {**beats, **way_out, **going}),
        "nobody hears a Tomcat here",
    )
    query = {**asked, **way_in, "daddr": _QUERIES[version], "pkttype": "multicast"}
    yield (
        Packet("the querier's questions in (IGMP)" if version == 4 else "MLD queries in", _IN, query),  # noqa: PLR2004
        "this host does not answer the querier: a snooping switch cuts it off after some minutes",
    )
    report = {**asked, **way_out, **going, "daddr": _REPORTS[version], "pkttype": "multicast"}
    yield (
        Packet("membership reports out (IGMP)" if version == 4 else "MLD reports out", _OUT, report),  # noqa: PLR2004
        "a snooping switch does not know that this host wants the group: it hears nobody, others hear it",
    )
    yield (
        Packet(f"connections to the receiver here (TCP {low} in)", _IN, {**syn, **way_in, **coming, **to_us}),
        "the others hear this node and cannot replicate to it: they never add it, and log nothing",
    )
    yield (
        Packet(f"connections to other receivers (TCP {low} out)", _OUT, {**syn, **way_out, **going, **to_them}),
        "this node cannot replicate to the others: it never adds them",
    )


def _addresses(subject: Subject) -> tuple[str, str] | None:
    """Return this host's address and its neighbours' network, where there is only one of each."""
    named = subject.group.interfaces
    found = [
        address
        for one in subject.interfaces
        if one.up and not one.loopback and (not named or any(map(one.answers_to, named)))
        for address in one.addresses
        if address.version == subject.version and not address.ip.is_link_local
    ]
    return (str(found[0].ip), str(found[0].network)) if len(found) == 1 else None


def _interface(subject: Subject, one: str, other: str) -> dict[str, str]:
    """Return the interface where it is known, and that there is none on the other side."""
    named = subject.group.interfaces or tuple(
        each.name for each in subject.interfaces if each.up and each.multicast and not each.loopback
    )
    return {one: named[0], other: ""} if len(named) == 1 else {other: ""}


def judge(filters: Filters, subject: Subject) -> list[Judgement]:
    """Say what is dropped, for certain or perhaps; one judgement for each packet that is."""
    if filters.lacks:
        return [unknown(filters.lacks, "run it as root, or read the rules by hand")]
    found: list[Judgement] = []
    for packet, harm in packets(subject):
        passage = filters.ruleset.passage(packet)
        if passage.dropped:
            found.append(
                error(f"{packet.called} are dropped by {passage.dropped}", harm, "accept them before that rule")
            )
        elif passage.may_drop:
            rules = "; ".join(passage.may_drop[:3])
            found.append(
                warning(
                    f"{packet.called} may be dropped by {rules}",
                    f"where it is: {harm}",
                    "look whether that rule meets members; accept them before it",
                )
            )
    chains = sum(bool(chain.hook) for chain in filters.ruleset.chains)
    listed = " and ".join(filters.programs)
    said = f"its {chains} chains let heartbeats, IGMP and TCP to receivers pass" if chains else "no rules"
    return found or [ok(f"{listed}: {said}")]
