"""One group's rooms together: what is known of a member, and whether its receiver is asked."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator

import msgspec
import pytest
from support.speaker import Speaker

from probe.config import Group, ReceiverCheck, SessionNode, Sessions
from probe.model.events import Event, Kind
from probe.model.fitness import Unfit
from probe.sensors.interfaces import list_interfaces
from probe.station import Station
from protocols.heartbeat import Heartbeat, Member, encode

GROUP = Group(
    name="one",
    address="239.255.74.1",
    port=45740,
    interfaces=("lo",),
    frequency=0.05,
    drop_time=0.2,
    receiver_check=ReceiverCheck(interval=3600.0, allowed_ports=(1, 65535)),
)
FORGET = 0.4


class Watched:
    """A station on loopback and what it told."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self.tasks = tasks
        self.told: asyncio.Queue[Event] = asyncio.Queue()
        self.station = Station(GROUP, FORGET, self._tell, *[lambda *_: None] * 3)
        self.station.start(tasks)
        self.station.follow(list_interfaces())

    def _tell(self, events: list[Event]) -> None:
        for event in events:
            self.told.put_nowait(event)

    async def tells(self, kind: Kind) -> Event:
        """Wait for an event of that kind."""
        async with asyncio.timeout(5):
            while (event := await self.told.get()).kind is not kind:
                pass
        return event

    def adopt(self, **changes: object) -> None:
        """Take changed settings, as a reload does."""
        group = msgspec.structs.replace(self.station.group, **changes)
        canaries = self.station.check_sessions(group)
        self.station.adopt(group, FORGET, None, canaries, self.tasks)
        self.station.follow(list_interfaces())


@pytest.fixture(name="watched")
async def _watched() -> AsyncIterator[Watched]:
    """Give a station that listens and asks."""
    async with asyncio.TaskGroup() as tasks:
        watched = Watched(tasks)
        yield watched
        watched.station.close()


def beat(port: int = 0) -> Member:
    """Have a member on this host beat once; nobody listens at its port unless one is given."""
    if not port:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
    member = Member(socket.inet_aton("127.0.0.1"), port, os.urandom(16))
    with Speaker() as speaker:
        speaker.say(encode(Heartbeat(member, 1000)), GROUP.address, GROUP.port)
    return member


async def test_a_forgotten_member_is_asked_no_more(watched: Watched) -> None:
    """It goes through its whole life, and leaves nothing behind."""
    member = beat()
    assert (await watched.tells(Kind.JOINED)).member == member.name
    assert (await watched.tells(Kind.LOST)).member == member.name
    await watched.tells(Kind.FORGOTTEN)
    watched.station.receivers.urge(member.name)
    for _ in range(3):
        await asyncio.sleep(0)
    assert member.name not in watched.station.receivers._schedule


async def test_a_late_member_is_asked_again(watched: Watched) -> None:
    """It may have ended since it was asked last: lost in time, however long the pause between questions."""
    watched.adopt(frequency=0.2, drop_time=0.8)
    with socket.create_server(("127.0.0.1", 0)) as server:
        member = beat(server.getsockname()[1])
        await watched.tells(Kind.JOINED)
        watched.station.receivers.urge(member.name)
        server.setblocking(False)  # noqa: FBT003  # positional only
        async with asyncio.timeout(5):
            connection, _ = await asyncio.get_running_loop().sock_accept(server)
        connection.close()
    assert (await watched.tells(Kind.LOST)).member == member.name


async def test_what_a_member_answered_goes_when_it_is_asked_no_more(watched: Watched) -> None:
    """Off means that nothing is held against it; on, that it is asked again."""
    member = beat()
    await watched.tells(Kind.JOINED)
    [track] = watched.station.watch.membership
    watched.station.receivers.urge(track.name)
    await watched.tells(Kind.RECEIVER_CLOSED)
    watched.adopt(receiver_check=ReceiverCheck(level="off"))
    assert track.answer is None
    assert track.not_asked == "receiver_check is off"
    watched.adopt(receiver_check=GROUP.receiver_check)
    assert track.not_asked == ""
    assert member.name in watched.station.receivers._schedule


async def test_a_longer_drop_time_makes_a_longer_calm(watched: Watched) -> None:
    """After a trouble, the probe waits for as long as the settings in force say."""
    watched.adopt(drop_time=60.0)
    assert watched.station.watch.fitness.calm == 60.0
    watched.station.incident(Unfit.LOOP_LAG, 1000.0)
    assert Unfit.LOOP_LAG in watched.station.watch.fitness.reasons(1059.0)


async def test_a_view_is_of_now(watched: Watched) -> None:
    """Members, joins and the sentence."""
    member = beat()
    await watched.tells(Kind.JOINED)
    seen = await watched.station.view(0.0)
    assert [one.member for one in seen.members] == [member.name]
    assert (seen.joined, seen.group) == ({"lo": True}, "one")
    assert seen.receive_buffer > 0


async def test_sessions_are_checked_and_told(watched: Watched) -> None:
    """As long as the settings say so; what was found stays at a reload, and its series go with the settings."""
    nodes = SessionNode("http://127.0.0.1:9/", "a"), SessionNode("http://127.0.0.1:9/x", "b")
    watched.adopt(sessions=Sessions(nodes, interval=0.2, timeout=0.1, give_up=0.1))
    event = await watched.tells(Kind.SESSIONS_UNKNOWN)
    assert event.values["reason"] == "connect"
    assert watched.station.watch.events[Kind.SESSIONS_UNKNOWN] >= 1
    watched.adopt(drop_time=0.3)
    seen = await watched.station.view(0.0)
    assert {(one.made_on, one.shown_to) for one in seen.sessions} == {("a", "b"), ("b", "a")}
    assert sum(one.checks for one in seen.sessions) >= 1
    watched.adopt(sessions=None)
    assert (await watched.station.view(0.0)).sessions == []
