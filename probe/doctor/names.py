"""Host name to address: what ``<Receiver address="auto">`` announces to the others."""

import asyncio
import ipaddress
import socket
from pathlib import Path
from typing import Final

import msgspec

from probe.doctor import files
from probe.doctor.finding import Judgement, error, ok, warning
from probe.doctor.subject import Subject
from probe.sensors.names import Names

PATIENCE: Final = 5.0
"""seconds for a name server."""
LOOKED_AT: Final = "the host's own name, getaddrinfo, /etc/hosts"


class Lookup(msgspec.Struct, frozen=True):
    """A name and what it resolves to, in the resolver's order; ``why`` it does not, else the hosts' line."""

    name: str
    addresses: tuple[str, ...] = ()
    why: str = ""
    line: str = ""

    @property
    def java(self) -> str:
        """What ``InetAddress.getLocalHost`` and ``getByName`` take: the first IPv4 address, else the first."""
        fours = [address for address in self.addresses if ":" not in address]
        return next(iter(fours or self.addresses), "")


async def look_up(receiver_address: str, root: Path = Path("/")) -> Lookup:
    """Look up what the receiver's address means; an address stays itself."""
    name = socket.gethostname() if receiver_address == "auto" else receiver_address
    if is_address(name):
        return Lookup(name, (name,))
    line = _hosts_line(name, root)
    try:
        async with asyncio.timeout(PATIENCE):
            found = await Names().resolve(name, 0, socket.AF_UNSPEC)
    except TimeoutError:
        return Lookup(name, why=f"no name server answered within {PATIENCE:g} s", line=line)
    except OSError as failed:
        return Lookup(name, why=" ".join(str(failed).split()), line=line)
    return Lookup(name, tuple(dict.fromkeys(one["host"] for one in found)), line=line)


def is_address(text: str) -> bool:
    """Whether a text is an address and no name."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _hosts_line(name: str, root: Path) -> str:
    """Return "/etc/hosts:2", the first line that has the name."""
    try:
        lines = files.lines(root / "etc/hosts")
    except OSError:
        return ""
    for number, line in enumerate(lines, 1):
        _, *names = line.partition("#")[0].split() or [""]
        if name.lower() in (one.lower() for one in names):
            return f"/etc/hosts:{number}"
    return ""


def judge(lookup: Lookup, subject: Subject, serving: frozenset[str] = frozenset()) -> Judgement:
    """Say whether the address that a Tomcat here would announce can be reached by the others.

    ``serving``: where receivers of running Tomcats listen.
    """
    auto = subject.receiver_address == "auto"
    candidates = _candidates(subject)
    remedy = f'write <Receiver address="{candidates[0] if candidates else "…"}" …/> in server.xml'
    if not lookup.java:
        return error(
            f"{lookup.name} has no address: {lookup.why or 'nothing was found'}",
            'Tomcat logs "Failed bind replication listener on address:[auto]" and announces nothing usable',
            f"{remedy}, or give the name an address in /etc/hosts",
        )
    address, place = ipaddress.ip_address(lookup.java), f" ({lookup.line})" if lookup.line else ""
    found = f"{lookup.name} is {address}{place}" if auto or lookup.name != str(address) else f"{address}"
    if address.is_loopback and auto and not subject.group.clusters and serving & set(candidates):
        return warning(
            found,
            f"the receiver that runs here has another address, {', '.join(sorted(serving))}; one with "
            f'address="auto" would announce {address} and be added by nobody',
            f"see that server.xml names the address; or let {lookup.name} be it in /etc/hosts",
        )
    if address.is_loopback:
        return error(
            found,
            f"every heartbeat from here announces {address}: the others would connect to themselves, never "
            "add this node, and log nothing",
            f"{remedy}, or let {lookup.name} be that address in /etc/hosts" if auto else remedy,
        )
    if str(address) not in subject.own:
        return error(
            f"{found}, which no interface of this host has",
            'Tomcat does not start its channel: "Unable to bind server socket to:[…] throwing error."',
            f"{remedy}, or correct the name's address",
        )
    if address.version != subject.version and candidates:
        return warning(
            f"{found}, and the group is IPv{subject.version}",
            f"the others connect over IPv{address.version}: all of them need it",
            remedy,
        )
    others = [one for one in candidates if one != str(address)]
    more = f"; this host has {', '.join(others)} too" if others else ""
    how = 'address="auto" announces it' if auto else "the receiver's address in server.xml"
    return ok(f"{found}, an address of this host: {how}{more}")


def _candidates(subject: Subject) -> list[str]:
    """Return the addresses that others could reach, those of the group's interfaces first."""
    named = subject.group.interfaces
    reachable = [one for one in subject.interfaces if one.up and not one.loopback]
    reachable.sort(key=lambda one: not any(map(one.answers_to, named)))
    return [
        str(address.ip)
        for one in reachable
        for address in one.addresses
        if address.version == subject.version and not address.ip.is_link_local
    ]
