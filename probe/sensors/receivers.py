"""Asks the receivers of a group's members in their turns, within the allowed networks and ports."""

import asyncio
import contextlib
import ipaddress
import random
import time
from collections.abc import Callable, Iterable
from typing import Final

from probe.config import ReceiverCheck
from probe.model.evidence import Answer, Check
from probe.model.presence import Presence
from probe.model.track import Track
from probe.sensors.receiver import Question, ask
from probe.sensors.schedule import Schedule
from protocols.heartbeat import host_text

IN_FLIGHT: Final = 64
"""questions at one time, over all members; half at most to who is neither expected nor heard steadily."""

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Receivers:
    """One group's questions. ``take`` gets every answer; ``on_link`` gives the networks this host is on.

    ``named`` gives what is known of a member now; one of whom nothing is known any more is asked no more.
    """

    def __init__(
        self,
        check: ReceiverCheck,
        take: Callable[[bytes, Answer], None],
        on_link: Callable[[], Iterable[Network]],
        named: Callable[[str], Track | None],
    ) -> None:
        self.check = check
        self._take = take
        self._on_link = on_link
        self._named = named
        self._schedule = Schedule(check.interval, random.Random())  # noqa: S311  # jitter is no secret
        self._changed = asyncio.Event()
        self._places = asyncio.Semaphore(IN_FLIGHT)
        self._strangers = asyncio.Semaphore(max(1, IN_FLIGHT // 2))  # a flood of them delays nobody known

    @property
    def level(self) -> Check | None:
        """The check in force; None when receivers are not asked. ``auto`` alone is a connect."""
        return {"off": None, "ack": Check.ACK}.get(self.check.level, Check.CONNECT)

    def follow(self, track: Track) -> None:
        """Take up a member that is new or changed; let one go that said goodbye or may not be asked."""
        track.not_asked = self.refusal(track)
        if track.not_asked or track.presence is Presence.LEFT:
            self._schedule.remove(track.name)
        elif track.name not in self._schedule:
            self._schedule.add(track.name, time.monotonic())
            self._changed.set()

    def refusal(self, track: Track) -> str:
        """Say why a member is not asked; nothing when it may be."""
        if self.level is None:
            return "receiver_check is off"
        host, _, port = track.name.rpartition(":")
        try:
            address = ipaddress.ip_address(host.strip("[]"))
        except ValueError:
            return f"{host} is no address that can be asked"
        low, high = self.check.allowed_ports
        if not low <= int(port) <= high:
            return f"port {port} is outside allowed_ports {low}-{high}"
        if not any(address in network for network in self._allowed()):
            return f"{address} is outside allowed_networks {', '.join(self.check.allowed_networks)}"
        return ""

    def _allowed(self) -> Iterable[Network]:
        for text in self.check.allowed_networks:
            if text == "on-link":
                yield from self._on_link()
            else:
                yield ipaddress.ip_network(text, strict=False)

    def urge(self, member: str) -> None:
        """Ask this member now: it fell silent."""
        self._schedule.urge(member, time.monotonic())
        self._changed.set()

    def heard_again(self, member: str) -> None:
        """Forget the pauses of a member that beats again."""
        self._schedule.heard_again(member, time.monotonic())
        self._changed.set()

    async def run(self) -> None:
        """Ask until cancelled."""
        async with asyncio.TaskGroup() as questions:
            while True:
                await self._until_due()
                for member in self._schedule.due(time.monotonic()):
                    questions.create_task(self._ask(member))

    async def _until_due(self) -> None:
        deadline = self._schedule.deadline()
        wait = None if deadline is None else max(0.0, deadline - time.monotonic())
        self._changed.clear()
        try:
            async with asyncio.timeout(wait):
                await self._changed.wait()
        except TimeoutError:
            pass

    async def _ask(self, member: str) -> None:
        answer = None
        track = self._named(member)
        known = track is not None and (track.expected or track.learned)
        async with contextlib.nullcontext() if known else self._strangers, self._places:
            track = self._named(member)
            if track is not None:
                with contextlib.suppress(OSError):  # no descriptor left: that says nothing of the member
                    answer = await ask(self._question(track))
            else:
                self._schedule.remove(member)
        wanted = member in self._schedule
        self._schedule.answered(member, answer, time.monotonic())
        self._changed.set()
        if track is not None and answer is not None and wanted:
            self._take(track.address, answer)

    def _question(self, track: Track) -> Question:
        host, _, port = track.name.rpartition(":")
        member = track.member
        return Question(
            host=host_text(member.host) if member else host.strip("[]"),
            port=int(port),
            check=self.level or Check.CONNECT,
            timeout=self.check.timeout,
            block=member,
            option_flag=self.check.option_flag,
        )
