"""Who is a member: the group, its times, static and cloud members."""

import ipaddress
from collections.abc import Iterator
from typing import Final

from probe.tomcat.document import Element
from probe.tomcat.lint import edits
from probe.tomcat.lint.finding import Finding
from probe.tomcat.lint.node import DETECTOR, TRIBES, Cluster, corrected, quoted

DEFAULT_GROUP: Final = ("228.0.0.4", 45564)
BEATS_TO_LOSE: Final = 3
"""Heartbeats that should fit into dropTime: fewer, and one lost datagram is close to a lost member."""
UNIQUE_ID: Final = 16
"""bytes."""
MULTICAST_START: Final = 4 | 8
"""Bits of channelStartOptions: membership is received, membership is sent."""
SOME_ID: Final = "{0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15}"
_EXPIRATION: Final = 5000
_BACKGROUND: Final = 10
"""seconds between two runs of an Engine's background thread."""
_MOST_HOPS: Final = 255
_PREFIX: Final = {4: 24, 6: 64}
_RESERVED: Final = (ipaddress.ip_network("224.0.0.0/24"), ipaddress.ip_network("ff02::/16"))


def check(cluster: Cluster) -> Iterator[Finding]:
    """Yield what is wrong with the membership of a cluster."""
    if cluster.is_multicast:
        yield from _times(cluster)
        yield from _group(cluster)
        yield from _bind(cluster)
        yield from _reach(cluster)
    yield from _members(cluster)
    yield from _local_member(cluster)
    yield from _start_options(cluster)
    yield from _heartbeat(cluster)


def _place(cluster: Cluster) -> Element:
    return cluster.membership if cluster.membership is not None else cluster.element


def _written(element: Element, *names: str) -> str:
    """Return the name under which something is written."""
    return next((name for name in names if name in element.attributes), names[0])


def _times(cluster: Cluster) -> Iterator[Finding]:
    frequency, drop_time = cluster.times
    place, node = _place(cluster), cluster.node
    at = _written(place, "dropTime", "mcastDropTime")
    if frequency is None or drop_time is None:
        return
    if frequency <= 0:
        yield node.finding(
            "value-invalid",
            place,
            f"frequency {frequency} ms is no time between heartbeats",
            at=_written(place, "frequency", "mcastFrequency"),
            effect="ChannelException: IllegalArgumentException: timeout < 0; Tomcat does not start"
            if frequency < 0
            else "heartbeats without a pause",
            remedy="write 500, Tomcat's default",
            edits=[edits.set_value(place, _written(place, "frequency", "mcastFrequency"), "500")],
        )
    elif drop_time <= frequency:
        yield node.finding(
            "drop-time",
            place,
            f"dropTime {drop_time} ms is not above frequency {frequency} ms: every member expires between two heartbeats",
            at=at,
            effect=f"{DETECTOR} asks after every member in every cycle: Received memberDisappeared[…] message. Will verify.",
            remedy="six times the frequency, as Tomcat's defaults are; equal on every node",
            edits=[edits.set_value(place, at, str(6 * frequency))],
            is_safe=True,
        )
    elif drop_time < BEATS_TO_LOSE * frequency:
        yield node.finding(
            "drop-time-tight",
            place,
            f"dropTime {drop_time} ms is less than {BEATS_TO_LOSE} heartbeats of {frequency} ms",
            at=at,
            effect="one or two lost datagrams, or a short pause, make a member expire",
            remedy="six times the frequency, as Tomcat's defaults are; equal on every node",
            edits=[edits.set_value(place, at, str(6 * frequency))],
        )


def _group(cluster: Cluster) -> Iterator[Finding]:
    address, port = cluster.group
    place, node = _place(cluster), cluster.node
    at = _written(place, "address", "mcastAddr")
    ip = _ip(address)
    if not 0 < port < 65536:  # noqa: PLR2004  # a port
        yield node.finding(
            "value-invalid",
            place,
            f"{port} is no port",
            at=_written(place, "port", "mcastPort"),
            effect=f"ChannelException: IllegalArgumentException: port out of range:{port}; Tomcat does not start",
            remedy="write one from 1 to 65535",
        )
    if ip is None or not ip.is_multicast:
        effect = "SocketException: Not a multicast address" if ip else f"UnknownHostException: {address}"
        yield node.finding(
            "group-not-multicast",
            place,
            f"{quoted(address)} is no multicast address"
            + ("" if ip else ": a name may stand for one, an address is sure"),
            at=at,
            severity=None if ip else "warning",
            effect=f"Unable to start cluster: {effect}; Tomcat does not start",
            remedy="one of 239.0.0.0/8, the block for one's own use; the same on every node",
            edits=[edits.set_value(place, at, "239.255.0.4")],
        )
    elif any(ip in network for network in _RESERVED):
        yield node.finding(
            "group-reserved",
            place,
            f"{address} is of the block for one link's own protocols",
            at=at,
            effect="no router forwards it, and switches flood it everywhere",
            remedy="one of 239.0.0.0/8",
            edits=[edits.set_value(place, at, "239.255.0.4")],
        )
    if (address, port) == DEFAULT_GROUP:
        yield node.finding(
            "group-default",
            place,
            f"{address}:{port} is every Tomcat's default group",
            at=at,
            effect="another cluster that reaches this network merges with this one; sessions of equal context names cross",
            remedy="a group and port of your own, of 239.0.0.0/8",
        )
    if node.host is not None and node.host.routes.get(address) is False:
        yield node.finding(
            "multicast-route",
            place,
            f"this host has no route to {address}",
            at=at,
            effect="SEVERE … Unable to start cluster: SocketException: Network is unreachable, or No such device; Tomcat does not start",
            remedy="ip route add 224.0.0.0/4 dev INTERFACE, or bind with the interface's address",
        )


def _bind(cluster: Cluster) -> Iterator[Finding]:
    place, node = _place(cluster), cluster.node
    bind = cluster.value(cluster.membership, "Membership", "bind", "mcastBindAddress")
    at = _written(place, "bind", "mcastBindAddress")
    if not bind:
        return
    is_ipv4 = node.jvm is not None and node.jvm.get("java.net.preferIPv4Stack", "").lower() == "true"
    if not is_ipv4:
        yield node.finding(
            "bind-ipv4",
            place,
            "bind, and the JVM's options have no -Djava.net.preferIPv4Stack=true"
            if node.jvm is not None
            else "bind needs -Djava.net.preferIPv4Stack=true where the JVM knows IPv6; its options were not given",
            at=at,
            severity="warning" if node.jvm is not None else "note",
            effect="SocketException: Invalid argument with the first heartbeat; Tomcat does not start",
            remedy='CATALINA_OPTS="$CATALINA_OPTS -Djava.net.preferIPv4Stack=true" in bin/setenv.sh',
        )
    if node.host is not None and node.host.local.get(bind) is False:
        yield node.finding(
            "bind-not-local",
            place,
            f"{bind} is no address of this host",
            at=at,
            effect="SocketException: No network interface with address, or Invalid value 'null'; Tomcat does not start",
            remedy="an address of this host's interface to the cluster",
        )


def _reach(cluster: Cluster) -> Iterator[Finding]:
    place, node = _place(cluster), cluster.node
    ttl = cluster.number(cluster.membership, "Membership", "ttl", "mcastTTL")
    if ttl is not None and ttl > _MOST_HOPS:
        yield node.finding(
            "value-invalid",
            place,
            f"ttl {ttl} is above {_MOST_HOPS}",
            at="ttl",
            effect="ChannelException: IllegalArgumentException: Invalid TTL/hop value; Tomcat does not start",
            remedy="the number of routers between the members, plus one",
        )
    if cluster.is_true(cluster.membership, "Membership", "localLoopbackDisabled"):
        yield node.finding(
            "loopback-disabled",
            place,
            "localLoopbackDisabled: members on one host do not hear each other, nor does a probe beside one",
            at="localLoopbackDisabled",
            remedy="take it out unless every host has one member only",
            edits=[edits.drop_attribute(place, "localLoopbackDisabled")],
        )


def networks(addresses: list[str]) -> set[object]:
    """Return the networks of some addresses, supposing the usual prefixes."""
    return {
        ipaddress.ip_network(f"{ip}/{_PREFIX[ip.version]}", strict=False)
        for address in addresses
        if (ip := _ip(address)) is not None and not ip.is_loopback
    }


def needs_hops(cluster: Cluster, addresses: list[str]) -> Iterator[Finding]:
    """Yield what is wrong if members have these addresses and this cluster's ttl."""
    found = networks(addresses)
    ttl = cluster.number(cluster.membership, "Membership", "ttl", "mcastTTL")
    if len(found) > 1 and cluster.is_multicast and (ttl is None or ttl <= 1):
        yield cluster.node.finding(
            "ttl-subnets",
            _place(cluster),
            f"members in {len(found)} networks ({', '.join(sorted(map(str, found)))}) and a ttl of 1",
            at="ttl",
            effect="no router forwards the heartbeats: the cluster is split from its start",
            remedy="ttl above the number of routers between them, and multicast routing",
        )


# -- static members


def _members(cluster: Cluster) -> Iterator[Finding]:
    seen: dict[tuple[str, str], Element] = {}
    for member in cluster.members():
        if _is_misplaced(cluster, member):
            yield _misplaced(cluster, member)
            continue
        yield from _member(cluster, member)
        key = (cluster.value(member, "", "host"), cluster.value(member, "", "port"))
        if member.tag == "Member" and key in seen:
            line, _ = member.document.position(seen[key].start)
            yield cluster.node.finding(
                "static-member-twice",
                member,
                f"{':'.join(key)} is listed in line {line} too",
                effect="two members of one address: every message is sent twice",
                remedy="take one out",
                correction="<!-- nothing -->",
                edits=[edits.drop(member)],
                is_safe=cluster.value(member, "", "uniqueId") == cluster.value(seen[key], "", "uniqueId"),
            )
        seen.setdefault(key, member)


def _is_misplaced(cluster: Cluster, member: Element) -> bool:
    holder = member.parent
    return (
        holder is not None and holder.tag == "Membership" and cluster.kind(holder) != "StaticMembershipService"
    )


def _misplaced(cluster: Cluster, member: Element) -> Finding:
    effect = (
        f"WARNING … No rules found matching [{member.path}]: they are ignored"
        if cluster.node.is_before("9.0")
        else "NoSuchMethodException: Cannot find method [addStaticMember] or [setLocalMember]; Tomcat does not start"
    )
    return cluster.node.finding(
        "member-misplaced",
        member,
        f"{cluster.membership_kind} takes no {member.tag}",
        effect=effect,
        remedy="put static members into a StaticMembershipInterceptor, or use StaticMembershipService (9.0.11 and later)",
    )


def _member(cluster: Cluster, member: Element) -> Iterator[Finding]:
    node = cluster.node
    unique_id = node.text(member, "uniqueId")
    if unique_id is None and "uniqueId" not in member.attributes:
        if member.tag == "Member":
            yield node.finding(
                "static-member",
                member,
                "no uniqueId: it counts as 16 zero bytes",
                severity="warning",
                effect="the member itself has another one: they are two members to Tomcat",
                remedy="the 16 bytes that the member itself has as LocalMember",
            )
    elif unique_id is not None and _byte_count(unique_id) != UNIQUE_ID:
        yield node.finding(
            "static-member",
            member,
            f"uniqueId {quoted(unique_id)} has not {UNIQUE_ID} bytes",
            at="uniqueId",
            effect="RuntimeException: UUID must be exactly 16 bytes; it is ignored, and the member matches nobody",
            remedy=f"write {SOME_ID}, another one for each member",
            edits=[edits.set_value(member, "uniqueId", SOME_ID)],
        )
    yield from _member_port(cluster, member)


def _member_port(cluster: Cluster, member: Element) -> Iterator[Finding]:
    port = cluster.number(member, "", "port")
    if member.tag == "Member" and port is not None and not 0 < port < 65536:  # noqa: PLR2004  # a port
        yield cluster.node.finding(
            "static-member",
            member,
            f"{port} is no port",
            at="port",
            effect=f"SEVERE … Unable to perform failure detection check: port out of range:{port}",
            remedy="the port of the member's receiver",
        )


def _byte_count(unique_id: str) -> int:
    """Return the bytes of ``{1,2,…}`` or of a text, as ``StaticMember.setUniqueId`` reads it; -1 if it is neither."""
    if not unique_id.startswith("{"):
        return len(unique_id.encode("latin-1", "replace"))
    parts = unique_id.strip("{}").split(",")
    fits = all(part.strip().lstrip("-").isdecimal() and -128 <= int(part) <= 127 for part in parts)  # noqa: PLR2004
    return len(parts) if fits else -1


def _local_member(cluster: Cluster) -> Iterator[Finding]:
    if cluster.membership is not None and cluster.membership_kind == "StaticMembershipService":
        if not cluster.membership.all("LocalMember") and not _own(cluster):
            yield _local_missing(cluster, cluster.membership)
    elif cluster.is_multicast and not cluster.node.is_before("7.0"):
        yield from _local_and_multicast(cluster)


def _local_missing(cluster: Cluster, membership: Element) -> Finding:
    members = membership.all("Member")
    new = f'<LocalMember className="{TRIBES}membership.StaticMember" uniqueId="{SOME_ID}"/>'
    may_match = bool(members) and cluster.receiver_address == "auto"
    return cluster.node.finding(
        "static-local-missing",
        membership,
        "no LocalMember, and "
        + (
            "the receiver's address is auto: one of the list must match it"
            if may_match
            else "no Member is this node"
        ),
        severity="note" if may_match else None,
        effect="IllegalStateException: There is no localMember in static member list.; Tomcat does not start",
        remedy="a LocalMember with the uniqueId that the others list for this node",
        correction=new,
        edits=[edits.before(members[0], new)] if members else [],
    )


def _own(cluster: Cluster) -> bool:
    """Tell whether a Member is this node by its address: then it is found without LocalMember."""
    return any(
        cluster.value(member, "", "host") == cluster.receiver_address
        and cluster.number(member, "", "port") == cluster.receiver_ports[0]
        for member in cluster.members()
    )


def _local_and_multicast(cluster: Cluster) -> Iterator[Finding]:
    start = cluster.number(cluster.element, "", "channelStartOptions")
    local = next((one for each in cluster.interceptors for one in each.all("LocalMember")), None)
    if local is None or (start is not None and not start & MULTICAST_START):
        return
    change = edits.set_value(cluster.element, "channelStartOptions", "3")
    yield cluster.node.finding(
        "static-local-multicast",
        local,
        "a LocalMember, and multicast membership is started too",
        effect="IllegalArgumentException: McastService:Required property [tcpListenPort] is missing; Tomcat does not start",
        remedy="channelStartOptions=3 in Cluster: receiver and sender only, no multicast",
        correction=corrected(cluster.element, (change,)),
        edits=[change],
        is_safe=True,
    )


# -- start and heartbeat of the channel


def _start_options(cluster: Cluster) -> Iterator[Finding]:
    node = cluster.node
    start = cluster.number(cluster.element, "", "channelStartOptions")
    if start is None or "channelStartOptions" not in cluster.element.attributes:
        return
    has_static = any(True for _ in cluster.members())
    if cluster.is_multicast and start & MULTICAST_START != MULTICAST_START and not has_static:
        what = f"channelStartOptions {start} does not start multicast, and no static member is listed"
    elif cluster.membership_kind == "StaticMembershipService" and start & MULTICAST_START != MULTICAST_START:
        what = f"channelStartOptions {start} does not start StaticMembershipService"
    else:
        return
    yield node.finding(
        "start-options",
        cluster.element,
        what,
        at="channelStartOptions",
        effect="the node has no members, and logs nothing of it",
        remedy="take it out: 15, everything, is the default",
        edits=[edits.drop_attribute(cluster.element, "channelStartOptions")],
        is_safe=True,
    )


def _heartbeat(cluster: Cluster) -> Iterator[Finding]:
    node = cluster.node
    is_listed = cluster.membership_kind in ("StaticMembershipService", "CloudMembershipService")
    expiration = cluster.number(cluster.membership, "Membership", "expirationTime") if is_listed else None
    if cluster.is_true(cluster.element, "", "heartbeatBackgroundEnabled"):
        flaps = f", and members expire after {expiration or _EXPIRATION} ms" if is_listed else ""
        yield node.finding(
            "heartbeat-background",
            cluster.element,
            f"heartbeatBackgroundEnabled: the channel's heartbeat comes with the container's background thread{flaps}",
            at="heartbeatBackgroundEnabled",
            effect=f"suspects are asked after every {_BACKGROUND} s instead of 5; never with backgroundProcessorDelay 0",
            remedy="take it out",
            edits=[edits.drop_attribute(cluster.element, "heartbeatBackgroundEnabled")],
            is_safe=True,
        )
    sleep = cluster.number(cluster.channel, "Channel", "heartbeatSleeptime")
    if is_listed and sleep is not None and sleep > (expiration or _EXPIRATION):
        yield node.finding(
            "heartbeat-slow",
            cluster.channel or cluster.element,
            f"heartbeatSleeptime {sleep} ms is above expirationTime {expiration or _EXPIRATION} ms",
            at="heartbeatSleeptime",
            effect="members expire before they are asked again",
            remedy="less than expirationTime; 5000 is the default",
        )


def _ip(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None
