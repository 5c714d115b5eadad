"""The whole receive path, from the kernel to the model, against a C loop that only counts.

Both drain the same bursts from a full socket buffer: what is compared is work, not waking up.
"""

import asyncio
import json
import os
import signal
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Final

from benchmarks.row import Row

from probe.config import Group
from probe.daemon import loop_factory
from probe.model.rules import Rules
from probe.model.track import Datagram
from probe.model.watch import Watch
from probe.sensors.interfaces import list_interfaces
from probe.sensors.multicast import Multicast
from probe.simulate.crowd import Crowd
from probe.simulate.outlet import Outlet, Place
from probe.simulate.story import Shape

GROUP: Final = "239.255.31.8"
PORT: Final = 45_991
MEMBERS: Final = 4_000
"""Their heartbeats fit the socket's buffer."""
PERIOD: Final = 0.5
LEARNING: Final = 7
BURSTS: Final = 8
ROUNDS: Final = 5
WANTED: Final = 0.40
_SOURCE: Final = Path(__file__).with_name("receive_floor.c")


class Bursts:
    """Every period all members beat at once."""

    def __init__(self) -> None:
        self._crowd = Crowd(Shape(MEMBERS, PERIOD))
        self._outlet = Outlet(Place(GROUP, PORT))
        self._started = time.monotonic()
        self._sent = 0

    def wait(self) -> None:
        """Sleep until the next is due."""
        time.sleep(max(0.0, self._started + self._sent * PERIOD - time.monotonic()))

    def send(self) -> None:
        """Send one."""
        self._crowd.send(self._outlet, MEMBERS, self._sent * PERIOD)
        self._sent += 1

    def close(self) -> None:
        """Send no more."""
        self._outlet.close()


async def probe_microseconds() -> float:
    """Return the CPU time of one datagram in the probe: sensor, decoder and model on the running loop."""
    watch = Watch(Rules(strangers_per_second=MEMBERS, frequency=PERIOD), time.monotonic())
    taken = 0

    def take(batch: list[Datagram]) -> None:
        nonlocal taken
        taken += len(batch)
        watch.receive(batch)

    group = Group(name="bench", address=GROUP, port=PORT, interfaces=("lo",))
    ear = Multicast(group, take, lambda *_: None)
    ear.follow(list_interfaces())
    bursts, spent = Bursts(), 0.0
    for number in range(1, LEARNING + BURSTS + 1):
        bursts.wait()
        bursts.send()
        started = time.process_time()
        while taken < number * MEMBERS:  # noqa: ASYNC110
            await asyncio.sleep(0)  # the loop is never idle: waking up is not measured
        if number > LEARNING:
            spent += time.process_time() - started
    assert ear.drops() == 0
    ear.close()
    bursts.close()
    return spent / (BURSTS * MEMBERS) * 1e6


def floor_microseconds(program: Path) -> float:
    """Return the CPU time of one datagram in the C loop, which sleeps while a burst is sent."""
    seconds = (BURSTS + 2) * PERIOD
    command = (str(program), GROUP, str(PORT), "127.0.0.1", str(seconds))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as floor:
        assert floor.stderr is not None
        floor.stderr.readline()
        bursts = Bursts()
        for _ in range(BURSTS):
            bursts.wait()
            os.kill(floor.pid, signal.SIGSTOP)
            bursts.send()
            os.kill(floor.pid, signal.SIGCONT)
        bursts.close()
        output, _ = floor.communicate()
    seen = json.loads(output)
    assert (seen["datagrams"], seen["drops"]) == (BURSTS * MEMBERS, 0)
    microseconds: float = seen["cpu_seconds"] / seen["datagrams"] * 1e6
    return microseconds


def measure() -> Row:
    """Run both in turn, several times."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder, "floor")
        subprocess.run(("gcc", "-O2", "-o", program, _SOURCE), check=True)
        pairs = []
        for _ in range(ROUNDS):
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                probe = runner.run(probe_microseconds())
            pairs.append((floor_microseconds(program), probe))
    ratio = statistics.median(floor / probe for floor, probe in pairs)
    floor, probe = (statistics.median(column) for column in zip(*pairs, strict=True))
    detail = f"{1e6 / probe:,.0f} against {1e6 / floor:,.0f} datagrams per CPU second"
    return Row(
        "whole receive path, datagrams per CPU second",
        "a C loop that only counts",
        ratio,
        WANTED,
        detail=detail,
    )
