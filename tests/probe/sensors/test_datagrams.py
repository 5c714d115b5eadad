"""The kernel's word on each datagram."""

import contextlib
import ipaddress
import itertools
import select
import socket
import time
from collections.abc import Iterator

import pytest
from support.netns import Lab
from support.speaker import Speaker

from probe.model.track import Datagram, Origin
from probe.sensors import datagrams
from probe.sensors.datagrams import CLOCK_SLACK, Datagrams
from probe.sensors.groupsocket import GroupSocket
from probe.sensors.recvmmsg import BATCH, INLINE

GROUP, PORT = "239.255.71.1", 45711
LO = socket.if_nametoindex("lo")


class Ear:
    """A group's socket and its datagrams."""

    def __init__(self, buffer: int = 4 << 20, group: str = GROUP, interface: int = LO) -> None:
        self.socket = GroupSocket(ipaddress.ip_address(group), PORT, buffer)
        self.datagrams = Datagrams(self.socket.socket, lambda index: f"if{index}")
        self.socket.join(interface)

    def read(self, wanted: int) -> list[Datagram]:
        """Read until so many came."""
        got: list[Datagram] = []
        while len(got) < wanted:
            assert select.select([self.socket.socket], [], [], 5)[0], f"{len(got)} of {wanted} came"
            got += self.datagrams.read()
        return got


@pytest.fixture(name="ear")
def _ear() -> Iterator[Ear]:
    """Give an ear on loopback."""
    ear = Ear()
    yield ear
    ear.socket.close()


@pytest.fixture(name="speaker")
def _speaker() -> Iterator[Speaker]:
    """Give who speaks to it, from one hop below the usual."""
    with Speaker(ttl=7) as speaker:
        yield speaker


def test_each_datagram_comes_with_its_time_source_interface_and_ttl(ear: Ear, speaker: Speaker) -> None:
    """The time is the kernel's: when it arrived, not when it was read."""
    before = time.monotonic()
    speaker.say(b"here", GROUP, PORT)
    after = time.monotonic()
    select.select([ear.socket.socket], [], [], 5)
    while time.monotonic() < after + 0.05:  # reading late
        pass
    [(data, at, origin)] = ear.read(1)
    assert data == b"here"
    assert before - 0.002 <= at <= after + 0.01
    assert origin == Origin(socket.inet_aton("127.0.0.1"), f"if{LO}", 7)


SIZES = [
    [0],
    [87],
    [87] * 5,
    [0, 1, INLINE - 1, INLINE, INLINE + 1],
    [INLINE + 1] * 3,
    [87, 9_000, 87, 65_507, 0, 65_506, 1_400],
]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_sizes_come_whole_and_in_order(ear: Ear, speaker: Speaker, sizes: list[int]) -> None:
    """Alike or mixed, empty or as large as UDP allows."""
    sent = [bytes([number + 1]) * size for number, size in enumerate(sizes)]
    for data in sent:
        speaker.say(data, GROUP, PORT)
    assert [data for data, _, _ in ear.read(len(sent))] == sent


def test_more_than_a_batch_comes_in_batches(ear: Ear, speaker: Speaker) -> None:
    """A full batch tells that more may wait; times never go back; one origin is one object."""
    count = 2 * BATCH + 3
    for number in range(count):
        speaker.say(number.to_bytes(2), GROUP, PORT)
    got = ear.read(count)
    assert [int.from_bytes(data) for data, _, _ in got] == list(range(count))
    times = [at for _, at, _ in got]
    assert all(later - earlier > -CLOCK_SLACK for earlier, later in itertools.pairwise(times))
    assert len({id(origin) for _, _, origin in got}) == 1
    assert ear.datagrams.read() == []


def test_origins_in_one_batch_are_told_apart(ear: Ear) -> None:
    """TTLs differ within a batch, and the same sender is the same object again later."""
    with Speaker(ttl=1) as near, Speaker(ttl=64) as far:
        for speaker in (near, far, near, far):
            speaker.say(b"x", GROUP, PORT)
        first = [origin for _, _, origin in ear.read(4)]
        near.say(b"x", GROUP, PORT)
        assert [origin.ttl for origin in first] == [1, 64, 1, 64]
        assert ear.read(1)[0][2] is first[0]


def test_origins_are_bounded(ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the table is full it is emptied, and goes on."""
    monkeypatch.setattr(datagrams, "ORIGINS", 4)
    for ttl in range(1, 20):
        with Speaker(ttl=ttl) as speaker:
            speaker.say(b"x", GROUP, PORT)
        assert ear.read(1)[0][2].ttl == ttl
        assert len(ear.datagrams._origins) <= 4
        assert all(len(layout) <= 4 for layout in ear.datagrams._layouts.values())


def test_an_interface_is_asked_for_its_name_anew_when_told_so() -> None:
    """An index may mean another interface after a change."""
    names = iter(["old", "new"])
    sock = GroupSocket(ipaddress.ip_address(GROUP), PORT, 1 << 16)
    ear = Datagrams(sock.socket, lambda _: next(names))
    sock.join(LO)
    told = []
    with Speaker() as speaker:
        for _ in range(2):
            for _ in range(2):
                speaker.say(b"x", GROUP, PORT)
                select.select([sock.socket], [], [], 5)
                told += [origin.interface for _, _, origin in ear.read()]
            ear.forget_interfaces()
    sock.close()
    assert told == ["old", "old", "new", "new"]


def test_drops_are_counted_with_the_next_datagram_that_finds_room(speaker: Speaker) -> None:
    """On a tiny buffer, what was read and what was dropped make up what was sent."""
    ear = Ear(buffer=1)
    with contextlib.closing(ear.socket):
        read = 0
        for _ in range(3):
            for _ in range(50):
                speaker.say(bytes(200), GROUP, PORT)
            while batch := ear.datagrams.read():
                read += len(batch)
        speaker.say(b"last", GROUP, PORT)
        read += len(ear.read(1))
        assert read < 50
        assert ear.datagrams.drops == ear.socket.drops() == 151 - read


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_a_wall_clock_that_is_set_does_not_move_arrivals(
    ear: Ear, speaker: Speaker, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    """What arrived before the clock was set and is read after it counts as of now."""
    before = time.monotonic()
    speaker.say(b"x", GROUP, PORT)
    select.select([ear.socket.socket], [], [], 5)
    wall = time.time
    monkeypatch.setattr("probe.sensors.datagrams.time.time", lambda: wall() + step)
    [(_, at, _)] = ear.datagrams.read()
    assert before <= at <= time.monotonic()


@pytest.mark.netns
@pytest.mark.parametrize(("version", "group"), [(4, GROUP), (6, "ff15::7101")])
def test_a_segment_gives_source_interface_and_ttl(version: int, group: str) -> None:
    """Over a real interface, of both families, with the largest datagram, which comes in fragments."""
    with Lab(2) as lab:
        here, there = lab.hosts
        with here.inside():
            index = socket.if_nametoindex("eth0")
            ear = Ear(group=group, interface=index)
        with there.inside(), Speaker("eth0", ttl=33, version=version) as speaker:
            if version == 6:
                speaker.socket.bind((there.address6, 0))
            for size in (87, 9_000, 65_507):
                speaker.say(bytes(size), group, PORT)
        got = ear.read(3)
        ear.socket.close()
    packed = ipaddress.ip_address(there.address if version == 4 else there.address6).packed
    assert [len(data) for data, _, _ in got] == [87, 9_000, 65_507]
    assert {origin for _, _, origin in got} == {Origin(packed, f"if{index}", 33)}
