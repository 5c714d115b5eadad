"""A group on loopback for a real daemon: its settings in a file, and members that beat and answer there."""

import asyncio
import contextlib
import os
import socket
import time
from pathlib import Path

from probe.simulate.outlet import Outlet, Place
from probe.simulate.receiver import Receiver
from protocols.heartbeat import GOODBYE, Heartbeat, Member, encode

GROUP = "239.255.73.1"
FREQUENCY, DROP_TIME = 0.1, 0.6
SOON = 0.25
"""seconds beyond t_drop within which everything is told."""


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Return a port nobody has."""
    with socket.socket(socket.AF_INET, kind) as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class Beating:
    """A member on loopback: it beats, and its receiver answers."""

    def __init__(self, outlet: Outlet) -> None:
        port = free_port()
        self.member = Member(socket.inet_aton("127.0.0.1"), port, os.urandom(16))
        self.name = f"127.0.0.1:{port}"
        self.last = 0.0
        self._outlet = outlet
        self._receiver = Receiver("127.0.0.1", port)
        self._started = time.monotonic()
        self._beating: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Beat until stopped."""
        self._receiver.open()
        self.beat()

    def beat(self) -> None:
        """Go on beating."""
        self._beating = asyncio.create_task(self._beat())

    async def _beat(self) -> None:
        while True:
            now = time.monotonic()
            self._outlet.send(encode(Heartbeat(self.member, int((now - self._started) * 1000))))
            self.last = now
            await asyncio.sleep(FREQUENCY)

    def renew(self) -> None:
        """Be another process from now on: a new unique id on the same address."""
        self.member = Member(self.member.host, self.member.port, os.urandom(16))
        self._receiver = Receiver("127.0.0.1", self.member.port)
        self._started = time.monotonic()

    def pause(self) -> None:
        """Stop beating; the receiver goes on."""
        if self._beating is not None:
            self._beating.cancel()

    async def crash(self) -> None:
        """Stop beating and answering, without a word."""
        self.pause()
        await self._receiver.close()

    def goodbye(self) -> None:
        """Say it."""
        self.pause()
        block = Member(self.member.host, self.member.port, self.member.unique_id, command=GOODBYE)
        self._outlet.send(encode(Heartbeat(block, int((time.monotonic() - self._started) * 1000))))
        self.last = time.monotonic()


class Stage:
    """A group's port, its settings in a file, and members that beat there."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.port = free_port(socket.SOCK_DGRAM)
        self.config = folder / "tribes-probe.yml"
        self.opened = contextlib.AsyncExitStack()
        self.write()

    def write(self, *, port: int = 0, group: str = "", more: str = "", head: str = "") -> None:
        """Write settings."""
        self.config.write_text(
            f"""
{head}
web: {{listen_addresses: ["127.0.0.1:0"]}}
groups:
  - name: one
    address: {GROUP}
    port: {port or self.port}
    interfaces: [lo]
    frequency: {FREQUENCY * 1000:.0f}ms
    drop_time: {DROP_TIME * 1000:.0f}ms
    {group or "receiver_check: {interval: 1s, timeout: 300ms, level: ack, allowed_ports: 1-65535}"}
{more}
"""
        )

    def outlet(self, port: int = 0) -> Outlet:
        """Return a way to the group."""
        return self.opened.enter_context(Outlet(Place(GROUP, port or self.port)))

    async def members(self, count: int, port: int = 0) -> list[Beating]:
        """Return members that beat."""
        outlet = self.outlet(port)
        members = [Beating(outlet) for _ in range(count)]
        for member in members:
            member.start()
            self.opened.push_async_callback(member.crash)
        return members
