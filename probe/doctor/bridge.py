"""Bridges of this host: one that snoops and has no querier forwards by accident."""

import ipaddress
from typing import Final

import msgspec

from probe.doctor import netlink
from probe.doctor.finding import Judgement, ok, warning
from probe.doctor.netlink import Device
from probe.doctor.subject import Subject

LOOKED_AT: Final = "snooping, querier and mdb of each bridge (netlink)"


class Bridge(msgspec.Struct, frozen=True):
    """A bridge, its ports, and those of them that it knows to want the group."""

    device: Device
    ports: tuple[str, ...] = ()
    wanting: tuple[str, ...] = ()


def read_bridges(subject: Subject) -> list[Bridge]:
    """List the bridges. Raises OSError."""
    devices = netlink.devices()
    names = {device.index: device.name for device in devices}
    bridges = [device for device in devices if device.kind == "bridge"]
    wanting = netlink.joined_ports(ipaddress.ip_address(subject.group.address)) if bridges else []
    return [
        Bridge(
            bridge,
            tuple(sorted(device.name for device in devices if device.master == bridge.index)),
            tuple(sorted({names.get(port, f"#{port}") for index, port in wanting if index == bridge.index})),
        )
        for bridge in bridges
    ]


def judge(bridges: list[Bridge], subject: Subject) -> Judgement:
    """Say whether a bridge forwards the group to all who want it, for good."""
    group = subject.group.address
    used = [bridge for bridge in bridges if bridge.ports]
    if not used:
        idle = f"; {', '.join(one.device.name for one in bridges)} without a port" if bridges else ""
        return ok(
            f"no bridge with ports on this host{idle}",
            "switches beyond it cannot be looked into from here: nobody heard after some four minutes is "
            "snooping without a querier",
        )
    bare = [one for one in used if one.device.snooping and not one.device.querier and not one.device.heard]
    if bare:
        name = bare[0].device.name
        return warning(
            f"{name} ({len(bare[0].ports)} ports) snoops and knows of no querier",
            "it forwards everything only because nobody asks; after one stray query, ports that nobody "
            f"reported for {group} are cut off",
            f"ip link set {name} type bridge mcast_querier 1, or mcast_snooping 0",
        )
    return ok("; ".join(_described(one, group) for one in used))


def _described(bridge: Bridge, group: str) -> str:
    device = bridge.device
    if not device.snooping:
        return f"{device.name} does not snoop: it forwards {group} to all {len(bridge.ports)} ports"
    asks = "asks itself" if device.querier else f"knows the querier {device.heard}"
    wanting = ", ".join(bridge.wanting) or "no port"
    return f"{device.name} snoops and {asks}: {group} goes to {wanting} of {', '.join(bridge.ports)}"
