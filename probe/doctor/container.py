"""Containers and machines that somebody else's network carries: many of them have no multicast."""

import os
from pathlib import Path
from typing import Final

import msgspec

from probe.doctor import files, netlink
from probe.doctor.finding import Judgement, ok, warning

LOOKED_AT: Final = "/.dockerenv, /run/.containerenv, /proc/1/cgroup, DMI, the interfaces' kinds"
_CLOUDS: Final = {
    "amazon ec2": "Amazon EC2",
    "google": "Google Cloud",
    "microsoft corporation": "Azure or Hyper-V",
    "alibaba cloud": "Alibaba Cloud",
    "digitalocean": "DigitalOcean",
    "hetzner": "Hetzner Cloud",
    "oraclecloud": "Oracle Cloud",
    "openstack foundation": "OpenStack",
    "scaleway": "Scaleway",
    "vultr": "Vultr",
    "upcloud": "UpCloud",
    "akamai": "Akamai (Linode)",
    "linode": "Akamai (Linode)",
}
"""Beginnings of what DMI says, in lower case."""
_DMI: Final = ("sys_vendor", "bios_vendor", "board_vendor", "chassis_asset_tag", "product_name")
_CGROUPS: Final = {"kubepods": "Kubernetes", "docker": "Docker", "libpod": "Podman", "lxc": "LXC"}
_MADE: Final = frozenset({"veth", "macvlan", "ipvlan", "vxlan", "geneve", "tun", "wireguard"})
"""Kinds of interfaces that no hardware and no virtual machine has."""


class Place(msgspec.Struct, frozen=True):
    """Where this host runs, as far as it shows; ``kinds`` are those of its interfaces that software made."""

    container: str = ""
    cloud: str = ""
    kinds: dict[str, str] = {}


def read_place(root: Path = Path("/"), environment: dict[str, str] | None = None) -> Place:
    """Look for hints. Raises OSError."""
    environment = dict(os.environ) if environment is None else environment
    kinds = {one.name: one.kind for one in netlink.devices() if one.kind in _MADE and not one.master}
    return Place(_container(root, environment), _cloud(root), kinds)


def _container(root: Path, environment: dict[str, str]) -> str:
    if "KUBERNETES_SERVICE_HOST" in environment:
        return "Kubernetes"
    if (root / ".dockerenv").exists():
        return "Docker"
    if (root / "run/.containerenv").exists():
        return "Podman"
    groups = files.word(root / "proc/1/cgroup")
    return next((name for hint, name in _CGROUPS.items() if hint in groups), "")


def _cloud(root: Path) -> str:
    for name in _DMI:
        said = files.word(root / "sys/class/dmi/id" / name).lower()
        for beginning, cloud in _CLOUDS.items():
            if said.startswith(beginning):
                return cloud
    return ""


def judge(place: Place) -> Judgement:
    """Say whether this network may be one that has no multicast at all."""
    remedy = "a network with multicast, or static membership (StaticMembershipInterceptor)"
    if place.cloud:
        return warning(
            f"this machine is {place.cloud}'s",
            "clouds' networks carry no multicast unless it was set up for them",
            remedy,
        )
    kinds = ", ".join(f"{name} is {kind}" for name, kind in place.kinds.items())
    if place.container and place.kinds:
        return warning(
            f"in a container ({place.container}) with a network of its own: {kinds}",
            "its bridge carries multicast at most between containers of one host, an overlay none",
            "the host's network (--network host, hostNetwork: true), or static membership",
        )
    if place.container:
        return ok(f"in a container ({place.container}) that seems to have its host's network")
    return ok(f"no sign of a container or a cloud{'; ' if kinds else ''}{kinds}")
