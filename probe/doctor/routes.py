"""Routes: by which way heartbeats leave, and whether those that come pass the reverse path filter."""

import errno
import ipaddress
import itertools
from pathlib import Path
from typing import Final

import msgspec

from probe.doctor import files, netlink
from probe.doctor.finding import Judgement, error, ok, warning
from probe.doctor.subject import Subject
from probe.sensors.interfaces import Interface

GROUP_LOOKED_AT: Final = "the route to the group (netlink)"
FILTER_LOOKED_AT: Final = "rp_filter of all and of each interface, the routes back, IPReversePathFilter"
_GONE: Final = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EINVAL, errno.EACCES})
_STRICT: Final = 1


class Way(msgspec.Struct, frozen=True):
    """Where the heartbeats leave: interface and source, or why they do not."""

    interface: str = ""
    source: str = ""
    why: str = ""


def read_way(subject: Subject) -> Way:
    """Ask for the way to the group. Raises OSError."""
    try:
        route = netlink.route_to(subject.address)
    except OSError as failed:
        if failed.errno in _GONE:
            return Way(why=failed.strerror or str(failed))
        raise
    return Way(subject.indexed(route.interface), route.source)


def judge_way(way: Way, subject: Subject, announced: str) -> Judgement:
    """Say whether a Tomcat's heartbeats leave by the right interface."""
    group = subject.group
    if subject.binds:
        bound = subject.called(subject.binds[0])
        return ok(
            f'Membership bind="{subject.binds[0]}" decides: by {bound.name if bound else "no interface"}',
            "no route is needed",
        )
    if way.why:
        return error(
            f"no route to {group.address}: {way.why}",
            'Tomcat does not start its channel: "SEVERE Unable to join multicast group"',
            f"ip route add 224.0.0.0/4 dev {_best(subject)}, or bind= in <Membership>",
        )
    interface = subject.called(way.interface)
    found = f"to {group.address} by {way.interface}" + (f" as {way.source}" if way.source else "")
    named = [subject.called(entry) for entry in group.interfaces]
    meant = interface in named and interface is not None and interface.loopback
    if interface is not None and not meant and (interface.loopback or not interface.multicast):
        why = "is loopback" if interface.loopback else "has no MULTICAST flag"
        return error(
            f"{found}, which {why}",
            "the heartbeats never leave this host",
            f"ip route replace 224.0.0.0/4 dev {_best(subject)}",
        )
    if named and interface is not None and interface not in named:
        return error(
            f"{found}, and the settings name {', '.join(group.interfaces)}",
            "a Tomcat here joins and sends on another interface than the cluster's",
            f"ip route replace 224.0.0.0/4 dev {group.interfaces[0]}, or bind= in <Membership>",
        )
    if way.source and announced and way.source != announced and not _is_loopback(announced):
        return warning(
            f"{found}, while the receiver is announced at {announced}",
            "legal on a host of several networks; wrong if the others cannot reach that one",
            f'write <Receiver address="{way.source}" …/> if the cluster is on {way.interface}',
        )
    return ok(found)


def _is_loopback(text: str) -> bool:
    return ipaddress.ip_address(text).is_loopback


def _best(subject: Subject) -> str:
    usable = (one.name for one in subject.interfaces if one.up and one.multicast and not one.loopback)
    return next(iter((*subject.group.interfaces, *usable)), "eth0")


class Filter(msgspec.Struct, frozen=True):
    """One interface's filter in force (0 off, 1 strict, 2 loose), and networks whose way back is another's."""

    interface: str
    mode: int
    elsewhere: dict[str, str] = {}
    """Network to the interface that leads there instead."""


class Filters(msgspec.Struct, frozen=True):
    """Every interface's filter, and how many packets of this host they dropped so far (None: not told)."""

    each: tuple[Filter, ...] = ()
    dropped: int | None = None


def read_filters(subject: Subject, root: Path = Path("/")) -> Filters:
    """Read the filters. Raises OSError."""
    conf = root / "proc/sys/net/ipv4/conf"
    for_all = int(files.read(conf / "all/rp_filter", 64))
    each = []
    for one in subject.interfaces:
        mode = max(for_all, files.number(conf / one.name / "rp_filter") or 0)
        if one.up and one.multicast and not one.loopback and one.address(4) is not None:
            each.append(Filter(one.name, mode, _elsewhere(one, subject) if mode == _STRICT else {}))
    return Filters(tuple(each), _dropped(root))


def _elsewhere(interface: Interface, subject: Subject) -> dict[str, str]:
    """Ask for the way back to a host of each of the interface's networks."""
    found = {}
    for address in interface.addresses:
        network = address.network
        if address.version != 4 or network.num_addresses < 4:  # noqa: PLR2004  # nobody else is in there
            continue
        neighbour = network[1] if network[1] != address.ip else network[2]
        try:
            route = netlink.route_to(neighbour)
        except OSError as failed:
            found[str(network)] = failed.strerror or str(failed)
            continue
        if route.interface != interface.index:
            found[str(network)] = subject.indexed(route.interface)
    return found


def _dropped(root: Path) -> int | None:
    """Return TcpExt's IPReversePathFilter."""
    try:
        lines = files.lines(root / "proc/net/netstat")
    except OSError:
        return None
    for names, values in itertools.pairwise(lines):
        counters = dict(zip(names.split(), values.split(), strict=False))
        if "IPReversePathFilter" in counters and counters["IPReversePathFilter"].isdecimal():
            return int(counters["IPReversePathFilter"])
    return None


def judge_filters(filters: Filters, subject: Subject) -> Judgement:
    """Say whether heartbeats that arrive are dropped because the way back is another."""
    if subject.version == 6:  # noqa: PLR2004
        return ok("IPv6 has no such filter")
    for one in filters.each:
        for network, way in one.elsewhere.items():
            return error(
                f"rp_filter is strict on {one.interface}, and the way back to {network} is {way}",
                f"every heartbeat that arrives from there on {one.interface} is dropped without a word",
                f"sysctl net.ipv4.conf.{one.interface}.rp_filter=2 (and of all), or mend the route",
            )
    words = {0: "off", _STRICT: "strict", 2: "loose"}
    found = ", ".join(f"{one.interface} {words.get(one.mode, one.mode)}" for one in filters.each) or "none"
    if filters.dropped and any(one.mode == _STRICT for one in filters.each):
        return warning(
            f"{found}; {filters.dropped} packets were dropped by it since this host started",
            "some senders are not where the routes say",
            "watch IPReversePathFilter in /proc/net/netstat; rp_filter=2 (loose) lets them in",
        )
    return ok(f"{found}; the way back to each network is the way in")
