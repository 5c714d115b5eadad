"""Which network interfaces there are, and when that changes."""

import asyncio
import ipaddress
import socket
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from probe.sensors import rtnetlink
from probe.sensors.rtnetlink import IPInterface

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SETTLE: Final = 0.05
"""seconds between two looks: changes come in bursts (link, then addresses)."""


class Interface(msgspec.Struct, frozen=True):
    """One interface as the kernel tells it.

    ``life`` counts how often its index was made anew: with the old one its memberships went.
    """

    index: int
    name: str
    up: bool
    running: bool
    multicast: bool
    loopback: bool
    addresses: tuple[IPInterface, ...] = ()
    life: int = 0

    @property
    def identity(self) -> tuple[int, int]:
        """What the kernel ties memberships to; a name may change meanwhile."""
        return self.index, self.life

    def address(self, version: int) -> IPInterface | None:
        """Return its first address of an IP version."""
        return next((address for address in self.addresses if address.version == version), None)

    def answers_to(self, entry: str) -> bool:
        """Whether a setting means this interface: by its name, or by one of its addresses."""
        return entry == self.name or any(entry == str(address.ip) for address in self.addresses)

    def networks(self) -> list[Network]:
        """Return the networks whose hosts can be reached over it without naming it."""
        return [address.network for address in self.addresses if not address.ip.is_link_local]


def list_interfaces() -> tuple[Interface, ...]:
    """Ask the kernel; it answers at once. Raises OSError."""
    return _put_together(rtnetlink.list_links())


def _put_together(
    messages: Iterable[rtnetlink.Message], lives: Counter[int] | None = None
) -> tuple[Interface, ...]:
    links: dict[int, rtnetlink.Link] = {}
    addresses: dict[int, list[IPInterface]] = {}
    for message in messages:
        if isinstance(message, rtnetlink.Link):
            links[message.index] = message
        elif isinstance(message, rtnetlink.Address):
            addresses.setdefault(message.index, []).append(message.address)
    lives = lives or Counter()
    return tuple(
        _interface(link, tuple(addresses.get(index, ())), lives[index]) for index, link in links.items()
    )


def _interface(link: rtnetlink.Link, addresses: tuple[IPInterface, ...], life: int) -> Interface:
    flags = link.flags
    return Interface(
        index=link.index,
        name=link.name,
        up=bool(flags & rtnetlink.UP),
        running=bool(flags & rtnetlink.RUNNING),
        multicast=bool(flags & rtnetlink.MULTICAST),
        loopback=bool(flags & rtnetlink.LOOPBACK),
        addresses=addresses,
        life=life,
    )


class Interfaces:
    """Tells ``changed`` of the interfaces at the start and after every change. Raises OSError when made."""

    def __init__(self, changed: Callable[[tuple[Interface, ...]], None]) -> None:
        self.now: tuple[Interface, ...] = ()
        self._changed = changed
        self._noticed = asyncio.Event()
        self._lives = Counter[int]()
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )

    async def watch(self) -> None:
        """Run until cancelled."""
        loop = asyncio.get_running_loop()
        self._socket.bind((0, rtnetlink.GROUPS))
        loop.add_reader(self._socket.fileno(), self._notice)
        try:
            while True:
                self._noticed.clear()
                self._try_again()
                await asyncio.sleep(SETTLE)
                await self._noticed.wait()
        finally:
            loop.remove_reader(self._socket.fileno())
            self._socket.close()

    def _try_again(self) -> None:
        try:
            self.refresh()
        except OSError:
            if not self.now:  # it never worked: this is no passing shortage
                raise
            self._noticed.set()

    def refresh(self) -> None:
        """List them now, and tell if they are others than before."""
        now = _put_together(rtnetlink.list_links(), self._lives)
        self._lives = Counter({interface.index: interface.life for interface in now if interface.life})
        if now != self.now:
            self.now = now
            self._changed(now)

    def _notice(self) -> None:
        """Note a change. What it is, is asked afresh: a notice lost in a burst (ENOBUFS) costs nothing."""
        self._noticed.set()
        try:
            data = self._socket.recv(rtnetlink.LONGEST)
        except OSError:
            return
        for message in rtnetlink.read(data):
            if isinstance(message, rtnetlink.Gone):
                self._lives[message.index] += 1
