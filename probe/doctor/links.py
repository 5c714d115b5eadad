"""Interfaces: whether there is one that carries the group at all."""

from typing import Final

from probe.doctor.finding import Judgement, error, ok, warning
from probe.doctor.subject import Subject
from probe.sensors.interfaces import Interface

LOOKED_AT: Final = "every interface's flags and addresses (netlink)"


def judge(subject: Subject) -> Judgement:
    """Say which interfaces can carry the group, and what the others lack."""
    for entry in (*subject.group.interfaces, *subject.binds):
        interface = subject.called(entry)
        if interface is None:
            return _absent(entry, subject)
        if lack := lacks(interface, subject.version):
            return error(
                f"{interface.name}, which the settings name, {lack}",
                "neither heartbeats nor this probe pass there",
                _REMEDIES[lack.split()[0]].format(interface.name),
            )
    lacking = {one.name: lacks(one, subject.version) for one in subject.interfaces if not one.loopback}
    able = [one for one in subject.interfaces if one.name in lacking and not lacking[one.name]]
    able += [one for entry in subject.group.interfaces if (one := subject.called(entry)) and one.loopback]
    rest = [f"{name} {lack}" for name, lack in lacking.items() if lack]
    if not able:
        found = "; ".join(rest) or "there is none but loopback"
        first = next(((name, lack) for name, lack in lacking.items() if lack), ("eth0", "is down"))
        return error(
            found,
            "no heartbeat can leave or reach this host",
            _REMEDIES[first[1].split()[0]].format(first[0]),
        )
    found = ", ".join(_described(one, subject.version) for one in able)
    deaf = [f"{name} {lack}" for name, lack in lacking.items() if lack.startswith("has no MULTICAST")]
    if deaf:
        name = deaf[0].split()[0]
        return warning(
            f"{found}; {', '.join(deaf)}",
            "if the cluster is on that one, nobody is heard",
            _REMEDIES["has"].format(name),
        )
    return ok(f"{found}{'; ' if rest else ''}{'; '.join(rest)}")


def lacks(interface: Interface, version: int) -> str:
    """Say what keeps an interface from carrying a group of this IP version; nothing when it can."""
    if not interface.up:
        return "is down"
    if not interface.running:
        return "without a carrier"
    if not interface.multicast and not interface.loopback:
        return "has no MULTICAST flag"
    if interface.address(version) is None:
        return f"lacks an IPv{version} address"
    return ""


_REMEDIES: Final = {
    "is": "ip link set {0} up",
    "without": "plug {0} in, or name another interface",
    "has": "ip link set {0} multicast on",
    "lacks": "give {0} an address, or name another interface",
}


def _absent(entry: str, subject: Subject) -> Judgement:
    there = ", ".join(one.name for one in subject.interfaces) or "none"
    if entry in subject.binds:
        return error(
            f'Membership bind="{entry}" is no address of this host',
            "the channel fails to start: IllegalArgumentException \"Invalid value 'null'\"",
            "write an address of this host, or leave bind out",
        )
    return error(
        f"there is no interface {entry}; there are {there}",
        "nothing can be heard there",
        "name one that is there, or none for all",
    )


def _described(interface: Interface, version: int) -> str:
    addresses = [str(address) for address in interface.addresses if address.version == version]
    flag = "loopback" if interface.loopback else "MULTICAST"
    return f"{interface.name} is up, {flag}, {', '.join(addresses)}"
