"""What the host says of itself where a rule needs it: its own name, its addresses, its way to a group."""

import ipaddress
import socket
from typing import Final

import msgspec

_ANY_PORT: Final = 9
"""A connected UDP socket sends nothing; the port only has to be one."""


class HostFacts(msgspec.Struct, frozen=True):
    """Facts of the host on which the Tomcat is to run, gathered at one moment."""

    name: str
    resolved: tuple[str, ...] = ()
    """What the host's own name resolves to, IPv4 first as Java has it: it takes the first."""
    local: dict[str, bool] = {}
    """Whether an address that a file names is one of this host's; names are not looked up."""
    routes: dict[str, bool] = {}
    """Whether there is a route to a group that a file names."""


def host_facts(addresses: set[str], groups: set[str]) -> HostFacts:
    """Look at this host; nothing is sent but what a look-up of its own name needs."""
    name = socket.gethostname()
    return HostFacts(
        name,
        _resolve(name),
        {address: _is_local(address) for address in sorted(addresses) if _is_address(address)},
        {group: _has_route(group) for group in sorted(groups) if _is_address(group)},
    )


def _resolve(name: str) -> tuple[str, ...]:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple(sorted(dict.fromkeys(str(one[4][0]) for one in found), key=lambda address: ":" in address))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_local(address: str) -> bool:
    """Tell whether a socket can be bound to it, as the receiver's will be."""
    try:
        with socket.socket(_family(address), socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def _has_route(group: str) -> bool:
    """Tell whether the kernel finds a way: connecting a UDP socket looks it up and sends nothing."""
    try:
        with socket.socket(_family(group), socket.SOCK_DGRAM) as probe:
            probe.connect((group, _ANY_PORT))
    except OSError:
        return False
    return True


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET if ipaddress.ip_address(address).version == 4 else socket.AF_INET6  # noqa: PLR2004
