"""Which network interfaces there are, and when that changes (rtnetlink)."""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable
from typing import Final

import msgspec

Address = ipaddress.IPv4Interface | ipaddress.IPv6Interface

_RTMGRP: Final = 0x1 | 0x10 | 0x100  # LINK, IPV4_IFADDR, IPV6_IFADDR
_UP, _LOOPBACK, _RUNNING, _MULTICAST = 0x1, 0x8, 0x40, 0x1000
SETTLE: Final = 0.05
"""seconds: changes come in bursts (link, then addresses); the last of a burst is acted upon."""


class Interface(msgspec.Struct, frozen=True):
    """One interface as the kernel tells it."""

    index: int
    name: str
    up: bool
    running: bool
    multicast: bool
    loopback: bool
    addresses: tuple[Address, ...] = ()

    def address(self, version: int) -> Address | None:
        """Return its first address of an IP version."""
        return next((address for address in self.addresses if address.version == version), None)


def list_interfaces() -> tuple[Interface, ...]:
    """Ask the kernel. Blocks for some milliseconds: call it in a thread."""
    from pyroute2 import IPRoute  # noqa: PLC0415  # costs a quarter of a second to import

    with IPRoute() as route:
        links = list(route.get_links())
        addresses = list(route.get_addr())
    found: dict[int, list[Address]] = {}
    for address in addresses:
        text = f"{address.get_attr('IFA_LOCAL') or address.get_attr('IFA_ADDRESS')}/{address['prefixlen']}"
        found.setdefault(address["index"], []).append(ipaddress.ip_interface(text))
    return tuple(_interface(link, tuple(found.get(link["index"], ()))) for link in links)


def _interface(link: object, addresses: tuple[Address, ...]) -> Interface:
    flags = link["flags"]  # type: ignore[index]  # pyroute2 is untyped
    return Interface(
        index=link["index"],  # type: ignore[index]
        name=link.get_attr("IFLA_IFNAME"),  # type: ignore[attr-defined]
        up=bool(flags & _UP),
        running=bool(flags & _RUNNING),
        multicast=bool(flags & _MULTICAST),
        loopback=bool(flags & _LOOPBACK),
        addresses=addresses,
    )


class Interfaces:
    """Tells ``changed`` of the interfaces at the start and after every change."""

    def __init__(self, changed: Callable[[tuple[Interface, ...]], None]) -> None:
        self._changed = changed
        self._noticed = asyncio.Event()
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )
        self.now: tuple[Interface, ...] = ()

    async def watch(self) -> None:
        """Run until cancelled."""
        loop = asyncio.get_running_loop()
        self._socket.bind((0, _RTMGRP))
        loop.add_reader(self._socket.fileno(), self._notice)
        try:
            while True:
                await self.refresh()
                await self._noticed.wait()
                await asyncio.sleep(SETTLE)
                self._noticed.clear()
        finally:
            loop.remove_reader(self._socket.fileno())
            self._socket.close()

    async def refresh(self) -> None:
        """List them now and tell."""
        self.now = await asyncio.to_thread(list_interfaces)
        self._changed(self.now)

    def _notice(self) -> None:
        """Something changed; what, is asked afresh: a lost notice (ENOBUFS) then costs nothing."""
        self._noticed.set()
        with contextlib.suppress(BlockingIOError):
            while True:
                try:
                    self._socket.recv(65536)
                except BlockingIOError:
                    raise
                except OSError:
                    continue
