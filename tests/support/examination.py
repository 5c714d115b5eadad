"""Subjects and facts for the doctor's judgements, made without a host."""

import ipaddress
from typing import Any

import msgspec

from probe.config import Group
from probe.doctor.subject import Subject
from probe.sensors.interfaces import Interface
from probe.tomcat.server_xml import ClusterElement

OWN = "10.0.0.1"
ETH0 = Interface(
    index=2,
    name="eth0",
    up=True,
    running=True,
    multicast=True,
    loopback=False,
    addresses=(ipaddress.ip_interface(f"{OWN}/24"), ipaddress.ip_interface("fd00::1/64")),
)
LO = Interface(1, "lo", up=True, running=True, multicast=False, loopback=True, addresses=(
    ipaddress.ip_interface("127.0.0.1/8"),
))  # fmt: skip


def eth0(**changes: Any) -> Interface:
    """Return the usual interface, changed."""
    return msgspec.structs.replace(ETH0, **changes)


def subject(*interfaces: Interface, cluster: dict[str, Any] | None = None, **group: Any) -> Subject:
    """Return a subject: loopback and eth0 unless others are given; ``cluster`` is what a file says."""
    clusters = () if cluster is None else (ClusterElement("server.xml", 1, **cluster),)
    return Subject(Group(clusters=clusters, **group), interfaces or (LO, ETH0))
