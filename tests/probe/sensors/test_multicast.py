"""A group heard where it can be heard, through everything that happens to interfaces."""

import asyncio
import contextlib
import itertools
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from support.netns import Lab
from support.speaker import Speaker

from probe.config import Group
from probe.model.track import Datagram
from probe.sensors import multicast
from probe.sensors.interfaces import Interfaces, list_interfaces
from probe.sensors.multicast import Multicast
from probe.sensors.recvmmsg import BATCH

GROUP, OTHER, PORT = "239.255.72.1", "239.255.72.2", 45720
MOST_MEMBERSHIPS = int(Path("/proc/sys/net/ipv4/igmp_max_memberships").read_text())

Told = tuple[str, bool, str]


class Ear:
    """A sensor, what it heard and what it told of its joins."""

    def __init__(self, group: Group) -> None:
        self.heard: asyncio.Queue[Datagram] = asyncio.Queue()
        self.told: asyncio.Queue[Told] = asyncio.Queue()
        self.multicast = Multicast(group, self._take, lambda *what: self.told.put_nowait(what))

    def _take(self, batch: list[Datagram]) -> None:
        for datagram in batch:
            self.heard.put_nowait(datagram)

    async def hear(self) -> Datagram:
        """Return the next datagram."""
        async with asyncio.timeout(5):
            return await self.heard.get()

    async def joins(self) -> Told:
        """Return what is told next of a join."""
        async with asyncio.timeout(5):
            return await self.told.get()


def on_loopback(address: str = GROUP, port: int = PORT) -> Group:
    """Give a group's settings."""
    return Group(address=address, port=port, interfaces=("lo",))


@contextlib.contextmanager
def listening(group: Group) -> Iterator[Ear]:
    """Give an ear that joined where it can now, and said so."""
    ear = Ear(group)
    try:
        ear.multicast.follow(list_interfaces())
        yield ear
    finally:
        ear.multicast.close()


async def test_several_groups_on_one_port_and_ports_of_one_group_are_told_apart() -> None:
    """Each sensor hears its own address and port only; unicasts nobody."""
    groups = [on_loopback(), on_loopback(OTHER), on_loopback(port=PORT + 1)]
    with contextlib.ExitStack() as opened:
        ears = [opened.enter_context(listening(group)) for group in groups]
        with Speaker() as speaker:
            speaker.say(b"unicast", "127.0.0.1", PORT)
            for number, group in enumerate(groups):
                speaker.say(b"to %d" % number, group.address, group.port)
        heard = [await ear.hear() for ear in ears]
        assert [data for data, _, _ in heard] == [b"to 0", b"to 1", b"to 2"]
        assert {(origin.interface, origin.ttl) for _, _, origin in heard} == {("lo", 1)}
        assert all(ear.heard.empty() for ear in ears)
        assert await ears[0].joins() == ("lo", True, "joined")


async def test_the_status_tells_joins_buffer_and_drops() -> None:
    """The buffer is what the kernel granted, the drops are the socket's own."""
    with listening(on_loopback()) as ear:
        status = ear.multicast.status()
        assert (status.address, status.port, status.interfaces) == (GROUP, PORT, {"lo": True})
        assert status.receive_buffer > 0
        assert status.receive_drops == ear.multicast.drops() == 0
        assert str(ear.multicast.networks()[0]) == "127.0.0.0/8"
    assert ear.multicast.status().receive_buffer == 0


async def test_drops_are_counted_also_after_the_socket_is_closed() -> None:
    """What did not fit a tiny buffer is told, and the sum outlives the socket."""
    ear = Multicast(on_loopback(), lambda _: None, lambda *_: None, buffer=1)
    ear.follow(list_interfaces())
    with Speaker() as speaker:
        for _ in range(100):
            speaker.say(bytes(100), GROUP, PORT)
    drops = ear.drops()
    assert 0 < drops < 100
    ear.close()
    assert ear.drops() == drops


async def test_a_flood_leaves_the_loop_its_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """A socket that is never empty is drained for one turn only; everything comes in the end."""
    monkeypatch.setattr(multicast, "TURN", 0.0)
    turns = []
    with listening(on_loopback()) as ear, Speaker() as speaker:
        count = 5 * BATCH + 1
        for _ in range(count):
            speaker.say(b"x", GROUP, PORT)
        while ear.heard.qsize() < count:
            await asyncio.sleep(0)
            turns.append(ear.heard.qsize())
    steps = {later - earlier for earlier, later in itertools.pairwise([0, *turns])}
    assert steps <= {0, 1, BATCH}


async def test_draining_hands_over_all_that_has_arrived_without_the_loop() -> None:
    """Before silence speaks, what waits in the socket is taken."""
    with listening(on_loopback()) as ear, Speaker() as speaker:
        count = 3 * BATCH
        for _ in range(count):
            speaker.say(b"x", GROUP, PORT)
        ear.multicast.drain()
        assert ear.heard.qsize() == count


async def test_a_named_interface_that_is_not_there_is_told() -> None:
    """By its name, with the reason; the other one is joined."""
    with listening(Group(address=GROUP, port=PORT, interfaces=("lo", "eth77"))) as ear:
        assert {await ear.joins(), await ear.joins()} == {
            ("lo", True, "joined"),
            ("eth77", False, "there is no such interface"),
        }


async def test_without_names_loopback_is_not_joined() -> None:
    """No interface that carries multicast: that is told once, not at every look."""
    only_lo = [one for one in list_interfaces() if one.loopback]
    ear = Ear(Group(address=GROUP, port=PORT))
    try:
        for _ in range(2):
            ear.multicast.follow(only_lo)
        assert await ear.joins() == ("", False, "no interface carries multicast now")
        assert ear.told.empty()
        assert ear.multicast.status().interfaces == {}
    finally:
        ear.multicast.close()


async def test_a_join_that_the_kernel_refuses_is_told_with_the_remedy() -> None:
    """More memberships than a socket may have: the limit is named."""
    ear = Ear(on_loopback())
    sock = next(iter(ear.multicast._ears.values())).socket.socket
    where = socket.inet_aton("127.0.0.1")
    for number in range(MOST_MEMBERSHIPS):
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, bytes([239, 255, 99, number]) + where)
    ear.multicast.follow(list_interfaces())
    assert await ear.joins() == (
        "lo",
        False,
        "the kernel allows a socket no more memberships (net.ipv4.igmp_max_memberships)",
    )
    ear.multicast.close()


async def test_an_address_in_use_by_somebody_exclusive_is_an_error_at_once() -> None:
    """Another process that does not share the port: the sensor cannot be made."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as greedy:
        greedy.bind((GROUP, PORT))
        with pytest.raises(OSError, match="Address already in use"):
            Ear(on_loopback())


# -- interfaces that come and go, on a segment of two hosts

GROUPS = [(4, GROUP), (6, "ff15::7201"), (6, "ff02::7201")]


class Stage:
    """A host that watches its interfaces, an ear on it, and another host that speaks."""

    def __init__(self, lab: Lab, group: str, version: int) -> None:
        self.lab = lab
        self.here, self.there = lab.hosts
        self.group = group
        self.version = version
        self.ear = Ear(Group(address=group, port=PORT))
        self.interfaces = Interfaces(self.ear.multicast.follow)

    def say(self, data: bytes) -> None:
        """Have the other host speak to the group."""
        with self.there.inside(), Speaker("eth0", ttl=9, version=self.version) as speaker:
            speaker.say(data, self.group, PORT)

    async def hears(self, data: bytes) -> None:
        """Assert that what is said is heard, with its interface and TTL."""
        self.say(data)
        heard, _, origin = await self.ear.hear()
        assert (heard, origin.interface, origin.ttl) == (data, "eth0", 9)


@pytest.fixture(name="stage", params=GROUPS, ids=str)
async def _stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """Give a stage that has joined on eth0; this thread is on the listening host meanwhile."""
    version, group = request.param
    with Lab(2) as lab, lab.hosts[0].inside():
        stage = Stage(lab, group, version)
        task = asyncio.create_task(stage.interfaces.watch())
        assert await stage.ear.joins() == ("eth0", True, "joined")
        yield stage
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        stage.ear.multicast.close()


@pytest.mark.netns
async def test_an_interface_that_goes_down_and_up_is_told_and_heard_again(stage: Stage) -> None:
    """The kernel keeps the membership; what counts is that the operator knows."""
    await stage.hears(b"before")
    stage.here.ip("link set eth0 down")
    assert await stage.ear.joins() == ("eth0", False, "the interface is down")
    assert stage.ear.multicast.status().interfaces == {"eth0": False}
    stage.here.ip("link set eth0 up")
    while (told := await stage.ear.joins()) != ("eth0", True, "joined"):
        assert told[0] == "eth0"
        assert not told[1]
    await stage.hears(b"after")


@pytest.mark.netns
async def test_an_interface_deleted_and_made_again_is_joined_again(stage: Stage) -> None:
    """Its memberships went with it; the new one of the same name gets its own."""
    await stage.hears(b"before")
    stage.lab.unplug(stage.here)
    assert await stage.ear.joins() == ("eth0", False, "there is no such interface")
    stage.lab.plug(stage.here)
    while (told := await stage.ear.joins()) != ("eth0", True, "joined"):
        assert told[0] in {"", "eth0"}
        assert not told[1]
    await stage.hears(b"after")


@pytest.mark.netns
async def test_an_interface_is_made_again_with_its_index(stage: Stage) -> None:
    """Name and index are the same, the membership is not: it is joined anew all the same."""
    await stage.hears(b"before")
    index = socket.if_nametoindex("eth0")
    stage.lab.unplug(stage.here)
    stage.lab.plug(stage.here, index=index)
    assert socket.if_nametoindex("eth0") == index
    while not (told := await stage.ear.joins())[1]:
        assert told[0] in {"", "eth0"}
    assert told[:2] == ("eth0", True)
    await stage.hears(b"after")


@pytest.mark.netns
async def test_a_cable_that_is_out_is_told(stage: Stage) -> None:
    """No carrier is no hearing, though the interface is up; it is joined when the cable is back."""
    await stage.hears(b"before")
    stage.lab.cut(stage.here)
    assert await stage.ear.joins() == ("eth0", False, "the interface has no carrier")
    stage.lab.mend(stage.here)
    assert await stage.ear.joins() == ("eth0", True, "joined")
    await stage.hears(b"after")


@pytest.mark.netns
@pytest.mark.parametrize(("version", "group"), GROUPS)
async def test_no_interface_at_the_start_is_survived(version: int, group: str) -> None:
    """The sensor says that it hears nothing, and joins when an interface comes."""
    with Lab(2) as lab, lab.hosts[0].inside():
        lab.unplug(lab.hosts[0])
        stage = Stage(lab, group, version)
        task = asyncio.create_task(stage.interfaces.watch())
        assert await stage.ear.joins() == ("", False, "no interface carries multicast now")
        lab.plug(stage.here)
        while (told := await stage.ear.joins()) != ("eth0", True, "joined"):
            assert not told[1]
        await stage.hears(b"at last")
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        stage.ear.multicast.close()


@pytest.mark.netns
async def test_an_interface_without_an_address_of_the_family_is_not_joined(stage: Stage) -> None:
    """A Tomcat there could not beat either; what is missing is said."""
    await stage.hears(b"before")
    stage.here.run("ip", f"-{stage.version}", "address", "flush", "dev", "eth0")
    reason = f"the interface has no IPv{stage.version} address"
    assert await stage.ear.joins() == ("eth0", False, reason)


@pytest.mark.netns
async def test_two_interfaces_are_both_heard_and_told_apart() -> None:
    """The same words by two ways come with the interface each came by."""
    with Lab(2) as lab, lab.hosts[0].inside():
        here, there = lab.hosts
        here.ip(f"link add eth1 type veth peer name eth1 netns {there.namespace}")
        for host, number in ((here, 1), (there, 2)):
            host.ip(f"address add 10.78.0.{number}/24 dev eth1")
            host.ip("link set eth1 up")
        with listening(Group(address=GROUP, port=PORT)) as ear:
            for interface in ("eth0", "eth1"):
                with there.inside(), Speaker(interface) as speaker:
                    speaker.say(interface.encode(), GROUP, PORT)
            heard = [await ear.hear() for _ in range(2)]
        assert [(data.decode(), origin.interface) for data, _, origin in heard] == [
            ("eth0", "eth0"),
            ("eth1", "eth1"),
        ]
        assert [origin.source[3] for _, _, origin in heard] == [12, 2]
