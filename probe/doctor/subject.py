"""Whom the walk is about: one group's settings, and what the nodes' own files say beyond them."""

import ipaddress

import msgspec

from probe.config import Group
from probe.sensors.interfaces import Interface, Network


class Subject(msgspec.Struct, frozen=True):
    """One group on this host, and the host's interfaces as they were when the walk began."""

    group: Group
    interfaces: tuple[Interface, ...] = ()

    @property
    def address(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
        """The group's address."""
        return ipaddress.ip_address(self.group.address)

    @property
    def version(self) -> int:
        """4 or 6."""
        return self.address.version

    @property
    def own(self) -> frozenset[str]:
        """Every address of this host."""
        return frozenset(str(address.ip) for one in self.interfaces for address in one.addresses)

    @property
    def receiver_address(self) -> str:
        """The receiver's address as the files say it; "auto" where they differ or none was given."""
        said = {cluster.receiver_address for cluster in self.group.clusters}
        mine = said & self.own
        return said.pop() if len(said) == 1 else mine.pop() if len(mine) == 1 else "auto"

    @property
    def binds(self) -> tuple[str, ...]:
        """What Membership is bound to; nothing where no file says it."""
        return tuple(sorted({cluster.bind for cluster in self.group.clusters if cluster.bind}))

    @property
    def ttl(self) -> int:
        """The TTL that heartbeats are sent with: Linux takes 1 where no file says it."""
        said = max((cluster.ttl for cluster in self.group.clusters), default=-1)
        return min(said, 255) if said >= 0 else 1

    @property
    def receiver_ports(self) -> tuple[int, int]:
        """The ports the receiver may be bound to."""
        return self.group.receiver_check.allowed_ports

    def called(self, entry: str) -> Interface | None:
        """Return the interface that a setting means."""
        return next((one for one in self.interfaces if one.answers_to(entry)), None)

    def indexed(self, index: int) -> str:
        """Return an interface's name."""
        return next((one.name for one in self.interfaces if one.index == index), f"#{index}")

    def networks(self) -> list[Network]:
        """Return the networks this host is on, but loopback's."""
        return [network for one in self.interfaces if not one.loopback for network in one.networks()]
