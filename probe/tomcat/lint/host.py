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
    """What the host's own name resolves to, the first one first: Java takes that one."""
    local: dict[str, bool] = {}
    """Whether an address that a file names is one of this host's."""
    routes: dict[str, bool] = {}
    """Whether there is a route to a group that a file names."""


def host_facts(addresses: set[str], groups: set[str]) -> HostFacts:
    """Look at this host; nothing is sent but what a name look-up needs."""
    name = socket.gethostname()
    return HostFacts(
        name,
        _resolve(name),
        {address: _is_local(address) for address in sorted(addresses)},
        {group: _has_route(group) for group in sorted(groups)},
    )


def _resolve(name: str) -> tuple[str, ...]:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except OSError:
        return ()
    return tuple(dict.fromkeys(str(one[4][0]) for one in found))


def _is_local(address: str) -> bool:
    """Tell whether a socket can be bound to it, as the receiver's will be."""
    try:
        with socket.socket(_family(address), socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except (OSError, ValueError):
        return False
    return True


def _has_route(group: str) -> bool:
    """Tell whether the kernel finds a way: connecting a UDP socket looks it up and sends nothing."""
    try:
        with socket.socket(_family(group), socket.SOCK_DGRAM) as probe:
            probe.connect((group, _ANY_PORT))
    except (OSError, ValueError):
        return False
    return True


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET if ipaddress.ip_address(address).version == 4 else socket.AF_INET6  # noqa: PLR2004
