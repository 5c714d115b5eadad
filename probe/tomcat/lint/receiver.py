"""Where a node is reached: the receiver's address and ports, its threads, who may speak to it."""

import ipaddress
from collections.abc import Iterator
from typing import Final

from probe.tomcat.document import Element
from probe.tomcat.lint import edits
from probe.tomcat.lint.finding import Finding
from probe.tomcat.lint.node import Cluster, quoted

AUTO: Final = "auto"
MOST_PORTS: Final = 65_535
_EXAMPLE: Final = "192.0.2.11"
"""Of the block for documentation: no host has it."""


def check(cluster: Cluster) -> Iterator[Finding]:
    """Yield what is wrong with the receiver of a cluster."""
    address = cluster.receiver_address
    yield from _auto(cluster) if address == AUTO else _literal(cluster, address)
    yield from _ports(cluster)
    yield from _exposure(cluster, address)


def _place(cluster: Cluster) -> Element:
    return cluster.receiver if cluster.receiver is not None else cluster.element


def _at(cluster: Cluster) -> str:
    names = ("address", "host", "tcpListenAddress")
    return next((name for name in names if name in _place(cluster).attributes), "address")


def _auto(cluster: Cluster) -> Iterator[Finding]:
    """Say what ``InetAddress.getLocalHost`` would give, if this host was looked at."""
    node, place = cluster.node, _place(cluster)
    host = node.host
    first = host.resolved[0] if host is not None and host.resolved else ""
    change = [edits.set_value(place, _at(cluster), _EXAMPLE)] if place is cluster.receiver else []
    remedy = "address with this node's own address"
    if host is None:
        yield node.finding(
            "receiver-auto",
            place,
            "address auto: what the host's own name resolves to is announced",
            at=_at(cluster),
            severity="note",
            effect="on Debian 127.0.1.1: nobody can add this node, and nobody logs it",
            remedy=f"{remedy}; or run this on its host with --host",
        )
    elif first and ipaddress.ip_address(first).is_loopback:
        yield node.finding(
            "receiver-loopback",
            place,
            f"address auto, and this host's name {quoted(host.name)} resolves to {first}",
            at=_at(cluster),
            effect=f"INFO … Receiver Server Socket bound to:/{first}; it is announced, nobody can add this node, and nobody logs it",
            remedy=f"{remedy}, or repair /etc/hosts",
            edits=change,
        )
    elif not first or len(host.resolved) > 1 or ":" in first:
        found = ", ".join(host.resolved) or "nothing"
        yield node.finding(
            "receiver-auto",
            place,
            f"address auto, and this host's name {quoted(host.name)} resolves to {found}",
            at=_at(cluster),
            effect="UnknownHostException; Tomcat does not start"
            if not first
            else "Java announces the first: it may be the wrong network's",
            remedy=remedy,
            edits=change,
        )


def _literal(cluster: Cluster, address: str) -> Iterator[Finding]:
    node, place = cluster.node, _place(cluster)
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return  # a name: what it resolves to is the host's affair
    if ip.is_loopback:
        yield node.finding(
            "receiver-loopback",
            place,
            f"{address} is a loopback address",
            at=_at(cluster),
            severity="warning",
            effect="members on other hosts cannot add this node, and none logs it",
            remedy="this node's own address, unless every member is on this host",
        )
    elif node.host is not None and node.host.local.get(address) is False:
        yield node.finding(
            "receiver-not-local",
            place,
            f"{address} is no address of this host",
            at=_at(cluster),
            effect="SEVERE … Unable to start cluster receiver: BindException: Cannot assign requested address; Tomcat does not start",
            remedy="an address of this host",
        )


def _ports(cluster: Cluster) -> Iterator[Finding]:
    node, place = cluster.node, _place(cluster)
    first, _ = cluster.receiver_ports
    at = "tcpListenPort" if "tcpListenPort" in place.attributes else "port"
    if not 0 < first <= MOST_PORTS:
        yield node.finding(
            "value-invalid",
            place,
            f"{first} is no port",
            at=at,
            effect=f"SEVERE … Unable to start cluster receiver: port out of range:{first}; Tomcat does not start",
            remedy="write one from 1 to 65535; 4000 is the default",
        )
    _, group_port = cluster.group
    udp = cluster.number(cluster.receiver, "Receiver", "udpPort")
    if cluster.is_multicast and udp == group_port:
        yield node.finding(
            "port-shared",
            place,
            f"udpPort {udp} is the membership's port",
            at="udpPort",
            effect="two UDP sockets of one port: heartbeats and messages may reach the other's",
            remedy="another port",
        )
    elif cluster.is_multicast and first == group_port:
        yield node.finding(
            "port-shared",
            place,
            f"membership and receiver both have port {first}: one is UDP, the other TCP; it works",
            at=at,
            severity="note",
            remedy="nothing; a firewall's rule for one must not be taken for both",
        )


def threads(cluster: Cluster, members: int) -> Iterator[Finding]:
    """Yield a finding if so many other members may wait for too few threads."""
    most = cluster.number(cluster.receiver, "Receiver", "maxThreads", "tcpThreadCount")
    if most is not None and 0 < most < members:
        yield cluster.node.finding(
            "receiver-threads",
            _place(cluster),
            f"{most} receiver threads for {members} other members",
            at="maxThreads",
            effect="senders wait for each other; with sync a request takes as long",
            remedy="as many as there are members, at least",
        )


def _exposure(cluster: Cluster, address: str) -> Iterator[Finding]:
    if "EncryptInterceptor" in cluster.stack:
        return
    try:
        ip = ipaddress.ip_address(address)
        is_open = ip.is_global or ip.is_unspecified
    except ValueError:
        is_open = False
    yield cluster.node.finding(
        "untrusted-network",
        _place(cluster),
        f"the receiver at {address} is open to the Internet, and there is no EncryptInterceptor"
        if is_open
        else "no EncryptInterceptor: the network to the receiver must be trusted",
        at=_at(cluster),
        severity=None if is_open else "note",
        effect="whoever reaches it reads sessions and has Java objects deserialised",
        remedy="a network of the cluster's own, a firewall; EncryptInterceptor adds to that and does not replace it",
    )
