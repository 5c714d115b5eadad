"""Whose receiver is asked, and whose never."""

import asyncio
import contextlib
import ipaddress
import os
import resource
import socket
from collections.abc import AsyncIterator

import pytest

from probe.config import ReceiverCheck
from probe.model.evidence import Answer, Check, Outcome
from probe.model.presence import Presence
from probe.model.rules import ExpectedBy
from probe.model.track import Track
from probe.sensors import receivers as module
from probe.sensors.receivers import IN_FLIGHT, Receivers
from probe.simulate.receiver import Receiver
from protocols.heartbeat import Member

HOST = "127.0.0.1"
LOOPBACK = ipaddress.ip_network("127.0.0.0/8")
ON_LINK = [ipaddress.ip_network("10.0.0.0/24"), ipaddress.ip_network("fd77::/64")]


def track(host: str, port: int = 4000) -> Track:
    """Give what is known of a member that is heard."""
    packed = ipaddress.ip_address(host).packed
    member = Member(packed, port, os.urandom(16))
    one = Track(member.name, member.address, 0.5)
    one.member, one.presence = member, Presence.PRESENT
    return one


class Asked:
    """Receivers of a few members, and what they answered."""

    def __init__(self, check: ReceiverCheck) -> None:
        self.members: dict[str, Track] = {}
        self.answers: asyncio.Queue[tuple[bytes, Answer]] = asyncio.Queue()
        self.receivers = Receivers(check, self._take, lambda: [*ON_LINK, LOOPBACK], self.members.get)

    def _take(self, address: bytes, answer: Answer) -> None:
        self.answers.put_nowait((address, answer))

    def follow(self, one: Track) -> None:
        """Take up a member."""
        self.members[one.name] = one
        self.receivers.follow(one)

    async def answer(self) -> tuple[bytes, Answer]:
        """Return the next answer."""
        async with asyncio.timeout(5):
            return await self.answers.get()


@contextlib.asynccontextmanager
async def asking(check: ReceiverCheck) -> AsyncIterator[Asked]:
    """Ask until the block is left."""
    asked = Asked(check)
    task = asyncio.create_task(asked.receivers.run())
    try:
        yield asked
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(name="soon", autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let first questions come at once: the schedule is tested under a clock of its own."""
    monkeypatch.setattr("probe.sensors.schedule.FIRST", 0.01)


REFUSED = [
    ("10.0.0.7", 4000, ("on-link",), ""),
    ("fd77::7", 4000, ("on-link",), ""),
    ("10.0.1.7", 4000, ("on-link",), "10.0.1.7 is outside allowed_networks on-link"),
    ("10.0.1.7", 4000, ("on-link", "10.0.0.0/16"), ""),
    ("10.0.0.7", 4000, ("10.0.0.8/32",), "10.0.0.7 is outside allowed_networks 10.0.0.8/32"),
    ("10.0.0.7", 3999, ("on-link",), "port 3999 is outside allowed_ports 4000-4099"),
    ("10.0.0.7", 4099, ("on-link",), ""),
    ("10.0.0.7", 4100, ("on-link",), "port 4100 is outside allowed_ports 4000-4099"),
    ("10.0.0.7", -1, ("on-link",), "port -1 is outside allowed_ports 4000-4099"),
    ("8.8.8.8", 53, ("on-link",), "port 53 is outside allowed_ports 4000-4099"),
    ("224.0.0.1", 4000, ("on-link",), "224.0.0.1 is outside allowed_networks on-link"),
    ("fe80::1", 4000, ("on-link",), "fe80::1 is outside allowed_networks on-link"),
]


@pytest.mark.parametrize(("host", "port", "networks", "reason"), REFUSED)
async def test_only_allowed_networks_and_ports_are_asked(
    host: str, port: int, networks: tuple[str, ...], reason: str
) -> None:
    """A forged heartbeat does not turn the probe into a scanner; why somebody is not asked is said."""
    asked = Asked(ReceiverCheck(allowed_networks=networks))
    one = track(host, port)
    asked.follow(one)
    assert one.not_asked == reason
    assert (one.name in asked.receivers._schedule) is (reason == "")


async def test_an_expected_member_with_a_host_name_is_not_asked() -> None:
    """Names are not looked up."""
    asked = Asked(ReceiverCheck())
    one = Track("tomcat1:4000", b"tomcat1:4000", 0.5, ExpectedBy.SETTINGS)
    asked.follow(one)
    assert one.not_asked == "tomcat1 is no address that can be asked"


@pytest.mark.parametrize(
    ("level", "check"), [("auto", Check.CONNECT), ("connect", Check.CONNECT), ("ack", Check.ACK), ("off", None)]
)
async def test_the_level_decides_what_is_asked(level: str, check: Check | None) -> None:
    """Off asks nobody; auto without a server.xml is a connect."""
    asked = Asked(ReceiverCheck(level=level))
    one = track("10.0.0.7")
    asked.follow(one)
    assert asked.receivers.level is check
    assert (one.name in asked.receivers._schedule) is (check is not None)
    assert one.not_asked == ("" if check else "receiver_check is off")


async def test_who_said_goodbye_is_left_alone() -> None:
    """And asked again when heard again."""
    asked = Asked(ReceiverCheck())
    one = track("10.0.0.7")
    asked.follow(one)
    one.presence = Presence.LEFT
    asked.follow(one)
    assert one.name not in asked.receivers._schedule
    one.presence = Presence.PRESENT
    asked.follow(one)
    assert one.name in asked.receivers._schedule


async def test_an_address_whose_network_went_is_asked_no_more() -> None:
    """Networks on link are those of now, not those of when the member was first heard."""
    networks = list(ON_LINK)
    one = track("10.0.0.7")
    receivers = Receivers(ReceiverCheck(), lambda *_: None, lambda: networks, {one.name: one}.get)
    receivers.follow(one)
    networks.clear()
    receivers.follow(one)
    assert one.name not in receivers._schedule
    assert one.not_asked == "10.0.0.7 is outside allowed_networks on-link"


async def test_members_are_asked_again_and_again_each_by_its_own_address() -> None:
    """Answers come with the member's key; a closed port is told beside an open one."""
    ports = _free_ports(2)
    receiver = Receiver(HOST, ports[0])
    receiver.open()
    check = ReceiverCheck(level="ack", interval=0.05, timeout=0.04, allowed_ports=(1, 65535))
    up, down = (track(HOST, port) for port in ports)
    async with asking(check) as asked:
        asked.follow(up)
        asked.follow(down)
        told: dict[bytes, list[Outcome]] = {up.address: [], down.address: []}
        while min(map(len, told.values())) < 3:
            address, answer = await asked.answer()
            told[address].append(answer.outcome)
    await receiver.close()
    assert set(told[up.address]) == {Outcome.ANSWERED}
    assert set(told[down.address]) == {Outcome.REFUSED}


async def test_a_member_first_expected_and_then_heard_is_one_member() -> None:
    """Its key changes when it is heard; it is asked once a turn all the same."""
    asked = Asked(ReceiverCheck())
    one = track("10.0.0.7")
    heard, one.address = one.address, one.name.encode()
    asked.follow(one)
    one.address = heard
    asked.follow(one)
    assert len(asked.receivers._schedule) == 1


async def test_a_forgotten_member_is_asked_no_more() -> None:
    """When its turn comes and nothing is known of it, it loses the turn; the next one is asked."""
    [port] = _free_ports(1)
    async with asking(ReceiverCheck(allowed_ports=(1, 65535))) as asked:
        gone, here = track("127.0.0.2", port), track(HOST, port)
        asked.follow(gone)
        del asked.members[gone.name]
        asked.receivers.urge(gone.name)
        asked.follow(here)
        assert (await asked.answer())[0] == here.address
        assert asked.answers.empty()
        assert gone.name not in asked.receivers._schedule


async def test_an_urged_member_is_asked_at_once() -> None:
    """Its next turn would be an hour away."""
    [port] = _free_ports(1)
    check = ReceiverCheck(interval=3600.0, allowed_ports=(1, 65535))
    async with asking(check) as asked:
        one = track(HOST, port)
        asked.follow(one)
        await asked.answer()
        asked.receivers.urge(one.name)
        address, answer = await asked.answer()
        assert (address, answer.outcome) == (one.address, Outcome.REFUSED)
        asked.receivers.heard_again(one.name)
        await asked.answer()


async def test_a_frozen_member_holds_one_connection_of_ours() -> None:
    """However often it is urged: the next question waits for the end of the one before."""
    [port] = _free_ports(1)
    receiver = Receiver(HOST, port)
    receiver.open()
    receiver.freeze()
    check = ReceiverCheck(level="ack", interval=0.6, timeout=0.3, allowed_ports=(1, 65535))
    async with asking(check) as asked:
        one = track(HOST, port)
        asked.follow(one)
        flying = 0
        while asked.answers.empty():
            asked.receivers.urge(one.name)
            asked.receivers.heard_again(one.name)
            asked.follow(one)
            flying = max(flying, IN_FLIGHT - asked.receivers._places._value)
            await asyncio.sleep(0.01)
        assert (await asked.answer())[1].outcome is Outcome.ANSWER_TIMEOUT
        assert flying == 1
    await receiver.close()


async def test_questions_at_one_time_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """More frozen members than places: some wait until a place is free, and all are asked."""
    monkeypatch.setattr(module, "IN_FLIGHT", 2)
    ports = _free_ports(6)
    frozen = [Receiver(HOST, port) for port in ports]
    check = ReceiverCheck(level="ack", timeout=0.1, interval=3600.0, allowed_ports=(1, 65535))
    async with asking(check) as asked:
        for receiver, port in zip(frozen, ports, strict=True):
            receiver.open()
            receiver.freeze()
            asked.follow(track(HOST, port))
        asked_at = sorted([(await asked.answer())[1].asked_at for _ in ports])
    for receiver in frozen:
        await receiver.close()
    assert all(third - first > 0.09 for first, third in zip(asked_at, asked_at[2:], strict=False))


async def test_no_descriptor_left_is_survived_and_says_nothing_of_the_member() -> None:
    """The probe's own shortage is no answer; it asks again when there are descriptors."""
    [port] = _free_ports(1)
    check = ReceiverCheck(interval=0.05, timeout=0.04, allowed_ports=(1, 65535))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with asking(check) as asked:
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            asked.follow(track(HOST, port))
            await asyncio.sleep(0.15)
            assert asked.answers.empty()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert (await asked.answer())[1].outcome is Outcome.REFUSED


def _free_ports(count: int) -> list[int]:
    """Return ports on which nobody listens."""
    with contextlib.ExitStack() as taken:
        sockets = [taken.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]
