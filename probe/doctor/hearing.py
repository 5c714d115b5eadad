"""Listens with the probe's own ears and lets it ask the receivers, for a while: who is heard, who answers."""

import asyncio
import ipaddress
import time
from typing import Final

import msgspec

from probe.config import Group
from probe.doctor.finding import Judgement, error, ok, unknown, warning
from probe.doctor.subject import Subject
from probe.model.views import GroupView, MemberView
from probe.sensors.interfaces import list_interfaces
from probe.station import Station

HEARD_AT: Final = "the group itself, joined and listened to"
FROM_AT: Final = "each heartbeat's address and source"
DATAGRAMS_AT: Final = "datagrams on the group that are no heartbeat"
ASKED_AT: Final = "each member's receiver, within allowed_networks and allowed_ports"
ASKING: Final = 2.5
"""seconds at least: a new member is asked within one, and has one to answer."""
SHOWN: Final = 10
"""Members named in one sentence."""


class Heard(msgspec.Struct, frozen=True):
    """What the ears have, and why joins do not hold, by interface ("" where there is none at all)."""

    view: GroupView
    seconds: float
    failures: dict[str, str] = {}


def how_long(group: Group) -> float:
    """Return for how long a group is listened to, in seconds."""
    return max(ASKING, 2 * group.drop_time)


def _ignore(*_: object) -> None:
    """Take what happens: it is in the view at the end."""


async def listen(group: Group, seconds: float) -> Heard:
    """Join, hear and ask for so long; nothing is sent to the group. Raises OSError."""
    failures: dict[str, str] = {}

    def changed(_: Group, interface: str, joined: bool, why: str) -> None:  # noqa: FBT001  # the station's callback
        failures.pop(interface, None)
        if not joined:
            failures[interface] = why

    station = Station(group, 3600.0, _ignore, changed, _ignore, _ignore)
    try:
        async with asyncio.TaskGroup() as tasks:
            station.follow(await asyncio.to_thread(list_interfaces))
            station.start(tasks)
            await asyncio.sleep(seconds)
            view = await station.view(time.time() - time.monotonic())
            station.close()
    finally:
        station.close()
    return Heard(view, seconds, failures)


def is_heard(member: MemberView) -> bool:
    """Whether anything of this member arrived."""
    return member.first_heartbeat is not None


def is_own(member: MemberView, subject: Subject) -> bool:
    """Whether this member lives on this host: by where its heartbeats come from, else by its name."""
    host = member.member.rpartition(":")[0].strip("[]")
    return (member.source or host) in subject.own


def judge_heard(heard: Heard, subject: Subject) -> Judgement:
    """Say who is heard, from where and with which TTL."""
    view, group = heard.view, subject.group
    joined = [name for name, holds in view.joined.items() if holds]
    if not joined:
        why = "; ".join(f"{name}: {why}" if name else why for name, why in heard.failures.items())
        return error(
            f"{group.address} could not be joined: {why or 'on no interface'}",
            "nothing can be heard here",
            "see the interfaces and the route above",
        )
    there = [member for member in view.members if is_heard(member)]
    listened = f"in {heard.seconds:g} s on {', '.join(joined)}"
    if not there:
        return error(
            f"nobody was heard {listened}",
            "either no Tomcat of this group runs, or its multicast does not come as far as here",
            "see the steps above; then the switch (IGMP snooping without a querier), TTL 1 behind a router, "
            "a network without multicast",
        )
    names = "; ".join(_described(member, subject) for member in there[:SHOWN])
    more = f"; {len(there) - SHOWN} more" if len(there) > SHOWN else ""
    wanting = max(view.expected, group.expected_count)
    missing = [member.member for member in view.members if member.expected and not is_heard(member)]
    if missing or len(there) < wanting:
        who = ", ".join(missing[:SHOWN]) or f"{wanting - len(there)} of {wanting}"
        return error(
            f"{listened} {names}{more}; not heard: {who}",
            "their heartbeats do not come as far as here, or they do not run",
            "run the doctor there, with --peer to here",
        )
    if all(is_own(member, subject) for member in there):
        return warning(
            f"{listened} only this host's own: {names}{more}",
            "nobody else runs, or nobody else's multicast comes as far as here",
            "run the doctor on the other node, with --peer to here",
        )
    return ok(f"{listened} {names}{more}")


def _described(member: MemberView, subject: Subject) -> str:
    own = " (here)" if is_own(member, subject) else ""
    source = f" from {member.source}" if member.source and not member.member.startswith(member.source) else ""
    ttl = f", TTL {member.ttl}" if member.ttl >= 0 else ""
    return f"{member.member}{own}{source} on {member.interface}{ttl}"


def judge_addresses(heard: Heard) -> Judgement:
    """Say whether the members announce addresses that are theirs alone and can be reached."""
    there = [member for member in heard.view.members if is_heard(member)]
    clash = [member for member in there if member.address_clash or member.rivals]
    mismatch = [member for member in there if member.address_mismatch]
    loopback = [member for member in mismatch if _is_loopback(member)]
    if loopback:
        one = loopback[0]
        return error(
            f"{one.source} announces {one.member}",
            "whoever hears it connects to itself: it is never added, nothing is logged"
            + (", and several nodes say the same" if clash else ""),
            f'on {one.source}: <Receiver address="{one.source}" …/>; the doctor there says why',
        )
    if clash:
        return error(
            f"several processes announce {clash[0].member}",
            "cloned hosts, or NAT: their peers take them for one",
            "give each an address of its own",
        )
    if mismatch:
        found = "; ".join(f"{one.source} announces {one.member}" for one in mismatch[:SHOWN])
        return warning(
            found,
            "legal on a host of several networks; wrong if the others cannot reach that address",
            'write <Receiver address="…"/> with the address on the cluster\'s network',
        )
    return ok(
        f"{len(there)} member(s) announce the address that they send from" if there else "nobody was heard"
    )


def _is_loopback(member: MemberView) -> bool:
    return ipaddress.ip_address(member.member.rpartition(":")[0].strip("[]")).is_loopback


def judge_datagrams(heard: Heard) -> Judgement:
    """Say what else is sent to the group, and what it does to a Tomcat."""
    counts = heard.view.datagrams
    harmful = [one for one in heard.view.malformed if one[1] != "ignored"]
    if harmful:
        found = ", ".join(f"{count} {reason} ({effect})" for reason, effect, count in harmful)
        return error(
            f"malformed: {found}",
            "each stalls every Tomcat for 500 ms, or ends its membership for good (kills)",
            "find the sender (tribes-probe run logs it) and stop it; give the group another port",
        )
    odd = {kind: counts.get(kind, 0) for kind in ("foreign", "malformed", "broadcast")}
    if any(odd.values()):
        found = ", ".join(f"{count} {kind}" for kind, count in odd.items() if count)
        return warning(
            found,
            "another program uses this group and port; Tomcats throw it away",
            "give the group an address and a port of its own",
        )
    return ok(f"none among {sum(counts.values())} datagrams")


def judge_asked(heard: Heard) -> Judgement:
    """Say which receivers answer."""
    members = heard.view.members
    if not members:
        return ok("nobody is known to be asked")
    failed = [one for one in members if _failed(one)]
    not_asked = {one.member: one.receiver.not_asked for one in members if one.receiver.outcome is None}
    if failed:
        found = ", ".join(f"{one.member} {one.receiver.outcome}" for one in failed[:SHOWN])
        return error(
            found,
            "nobody can replicate to a receiver that does not answer; a new node is never added",
            "refused: it listens elsewhere (address, autoBind). connect-timeout: a firewall. "
            "answer-timeout: a frozen JVM or no free thread",
        )
    if not_asked:
        name, why = next(iter(not_asked.items()))
        return unknown(
            f"{len(not_asked)} of {len(members)} not asked, {name}: {why or 'not its turn yet'}",
            "see receiver_check in the settings",
        )
    found = ", ".join(f"{one.member} {one.receiver.outcome}" for one in members[:SHOWN])
    return ok(found)


def _failed(member: MemberView) -> bool:
    receiver = member.receiver
    return receiver.connected is False or receiver.answered is False
