"""Several nodes held against each other: what must be equal, what must not."""

from collections.abc import Callable, Iterator
from itertools import combinations

from probe.tomcat.document import Element
from probe.tomcat.lint import edits
from probe.tomcat.lint.finding import Finding
from probe.tomcat.lint.interceptors import send_options
from probe.tomcat.lint.membership import needs_hops
from probe.tomcat.lint.node import Cluster, Node, quoted
from probe.tomcat.lint.receiver import AUTO, threads
from probe.tomcat.lint.releases import unlike
from probe.tomcat.lint.replication import many_nodes


def check(nodes: list[Node]) -> Iterator[Finding]:
    """Yield what is wrong between the clusters of these nodes, and what their number means."""
    clusters = [cluster for node in nodes for cluster in node.clusters]
    for one, other in combinations(clusters, 2):
        yield from _pair(one, other)
    for cluster in clusters:
        peers = [each for each in clusters if each.group == cluster.group and each.node is not cluster.node]
        yield from _size(cluster, peers)
    for node in nodes:
        yield from _twice(node)


def _pair(one: Cluster, other: Cluster) -> Iterator[Finding]:
    if one.node is other.node:
        yield from _shared_group(one, other)
        yield from _shared_port(one, other, same_host=True)
    elif one.is_multicast and other.is_multicast and one.group == other.group:
        yield from _times(one, other)
        yield from _differences(one, other)
        yield from _routes(one, other)
        yield from _loopback(one, other)
        yield from _names(one, other)
        yield from _releases(one, other)
        yield from _shared_port(one, other, same_host=False)
        yield from _watchers(one, other)


def _where(cluster: Cluster, element: Element | None) -> str:
    place = element if element is not None else cluster.element
    return f"{cluster.node.file}:{place.document.position(place.start)[0]}"


# -- what must be equal


def _times(one: Cluster, other: Cluster) -> Iterator[Finding]:
    for name, ours, theirs in zip(("frequency", "dropTime"), one.times, other.times, strict=True):
        if ours == theirs:
            continue
        place = other.membership if other.membership is not None else other.element
        yield other.node.finding(
            "times-differ",
            place,
            f"{name} is {theirs} ms here and {ours} ms in {_where(one, one.membership)}",
            at=name,
            effect="a node with a short dropTime expires those that beat seldom",
            remedy="the same on every node",
            edits=[edits.set_value(place, name, str(ours))] if place is other.membership else [],
        )


def _differences(one: Cluster, other: Cluster) -> Iterator[Finding]:
    facts: tuple[tuple[str, Callable[[Cluster], str], Element, str], ...] = (
        (
            "domain",
            _domain,
            other.membership or other.element,
            "they do not see each other's domain as their own",
        ),
        ("channelSendOptions", _options, other.element, "one node waits where the other does not"),
        (
            "the list of interceptors",
            _stack,
            other.channel or other.element,
            "messages are not undone as they were made",
        ),
        (
            "the manager",
            _manager,
            other.manager or other.element,
            "they do not understand each other's session messages",
        ),
        ("the encryption", _encryption, other.channel or other.element, "Failed to decrypt message"),
    )
    for name, read, place, effect in facts:
        ours, theirs = read(one), read(other)
        if ours != theirs:
            shows = name != "the encryption"
            yield other.node.finding(
                "nodes-differ",
                place,
                f"{name} is {theirs} here and {ours} in {one.node.file}"
                if shows
                else f"{name} is not that of {one.node.file}",
                effect=effect,
                remedy="the same on every node",
            )


def _domain(cluster: Cluster) -> str:
    return cluster.value(cluster.membership, "Membership", "domain") or "none"


def _options(cluster: Cluster) -> str:
    return str(send_options(cluster))


def _stack(cluster: Cluster) -> str:
    return ", ".join(kind or "?" for kind in cluster.stack)


def _manager(cluster: Cluster) -> str:
    return cluster.manager_kind


def _encryption(cluster: Cluster) -> str:
    one = cluster.interceptor("EncryptInterceptor")
    if one is None:
        return ""
    names = ("encryptionKey", "encryptionKeyString", "encryptionAlgorithm")
    return " ".join(cluster.node.text(one, name) or "" for name in names)


def _releases(one: Cluster, other: Cluster) -> Iterator[Finding]:
    if one.node.release is None or other.node.release is None:
        return
    for why in unlike(one, one.node.release, other.node.release):
        yield other.node.finding(
            "mixed-releases",
            other.element,
            f"Tomcat {other.node.release} here and {one.node.release} in {one.node.file}: {why}",
            effect="ERROR … Unable to deserialize message, or Failed to decrypt message; sessions are not replicated",
            remedy="one release on every node",
        )


# -- what must not be equal


def _routes(one: Cluster, other: Cluster) -> Iterator[Finding]:
    ours = one.node.text(one.engine, "jvmRoute")
    theirs = other.node.text(other.engine, "jvmRoute")
    if ours is not None and ours == theirs and other.engine is not None:
        yield other.node.finding(
            "jvm-route-shared",
            other.engine,
            f"jvmRoute {ours} is {one.node.file}'s too",
            at="jvmRoute",
            effect="the balancer sends both nodes' sessions to one of them",
            remedy="another name on each node",
        )


def _loopback(one: Cluster, other: Cluster) -> Iterator[Finding]:
    for cluster, peer in ((one, other), (other, one)):
        if _is_loopback(cluster) and not _is_loopback(peer) and peer.receiver_address != AUTO:
            yield cluster.node.finding(
                "receiver-loopback",
                cluster.receiver or cluster.element,
                f"{cluster.receiver_address} is announced, and {peer.node.file} is at {peer.receiver_address}",
                at="address",
                effect="the others cannot add this node, and log nothing",
                remedy="this node's own address",
            )


def _is_loopback(cluster: Cluster) -> bool:
    return cluster.receiver_address.startswith("127.") or cluster.receiver_address in ("::1", "localhost")


def _shared_port(one: Cluster, other: Cluster, *, same_host: bool) -> Iterator[Finding]:
    """Say what two receivers of one host do with overlapping ports; elsewhere they do not meet."""
    same = one.receiver_address == other.receiver_address
    if not same or (one.receiver_address == AUTO and not same_host):
        return
    (low, high), (first, last) = one.receiver_ports, other.receiver_ports
    if high < first or last < low:
        return
    is_fixed = low == high == first == last
    place = other.receiver if other.receiver is not None else other.element
    yield other.node.finding(
        "receiver-port-shared",
        place,
        f"ports {first}-{last} here and {low}-{high} at {_where(one, one.receiver)} are one host's",
        at="port",
        severity="error" if is_fixed else "warning",
        effect="SEVERE … Unable to start cluster receiver: BindException: Address already in use; Tomcat does not start"
        if is_fixed
        else "which one gets which depends on who starts first; firewalls and probes must allow all",
        remedy="a range of its own for each",
        edits=[edits.set_value(place, "port", str(high + 1))] if place is other.receiver else [],
        is_safe=is_fixed,
    )


def _names(one: Cluster, other: Cluster) -> Iterator[Finding]:
    """Say if two nodes of one group are of clusters with different names: it does not separate them."""
    ours, theirs = (each.node.text(each.element, "clusterName") for each in (one, other))
    if ours and theirs and ours != theirs:
        address, port = one.group
        yield other.node.finding(
            "group-shared",
            other.membership or other.element,
            f"cluster {quoted(theirs)} here and {quoted(ours)} in {one.node.file} both have {address}:{port}",
            effect="clusterName is not sent: both become one cluster; sessions of equal context names cross",
            remedy="another port or address for one of them",
        )


def _shared_group(one: Cluster, other: Cluster) -> Iterator[Finding]:
    if one.is_multicast and other.is_multicast and one.group == other.group:
        address, port = one.group
        yield other.node.finding(
            "group-shared",
            other.membership or other.element,
            f"{address}:{port} is the group of the Cluster at {_where(one, one.element)} too",
            effect="both become one cluster: sessions of equal context names cross",
            remedy="another port or address for one of them",
        )


def _watchers(one: Cluster, other: Cluster) -> Iterator[Finding]:
    if not all(any(True for _ in _watching(cluster)) for cluster in (one, other)):
        return
    deployer = next(_watching(other))
    yield other.node.finding(
        "farm-several",
        deployer,
        f"watchEnabled, and {one.node.file} watches too",
        at="watchEnabled",
        effect="two sources of one WAR: the last one wins",
        remedy="one node that watches",
        edits=[edits.set_value(deployer, "watchEnabled", "false")],
    )


def _watching(cluster: Cluster) -> Iterator[Element]:
    for one in cluster.element.all("Deployer"):
        if cluster.is_true(one, "", "watchEnabled"):
            yield one


# -- what the number of nodes means


def _size(cluster: Cluster, peers: list[Cluster]) -> Iterator[Finding]:
    static = [cluster.value(one, "", "host") for one in cluster.members() if one.tag == "Member"]
    addresses = [each.receiver_address for each in (cluster, *peers)]
    yield from needs_hops(cluster, addresses)
    others = max(len(peers), len(static))
    yield from threads(cluster, others)
    yield from many_nodes(cluster, others + 1)


def _twice(node: Node) -> Iterator[Finding]:
    """Say if an Engine and a Host in it both have a Cluster."""
    engines = {cluster.element.parent for cluster in node.clusters if cluster.container == "Engine"}
    for cluster in node.clusters:
        if cluster.container == "Host" and cluster.engine in engines:
            yield node.finding(
                "cluster-twice",
                cluster.element,
                "a Cluster in this Host and another in its Engine",
                effect="two channels: two receivers and two memberships, and each session is in one of them",
                remedy="keep one",
            )
