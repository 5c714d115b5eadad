"""Decode and membership update of one heartbeat, against Tomcat's own classes doing the same."""

import random
import statistics
import time
from collections.abc import Iterator
from typing import Final

from benchmarks.row import Row
from support.tomcat import membership_nanoseconds

from probe.model.rules import Rules
from probe.model.track import Datagram, Origin
from probe.model.watch import Watch
from protocols.heartbeat import Heartbeat, Member, encode

WANTED: Final = {100: 1.0, 1_000: 5.0, 10_000: 40.0}
BRANCH: Final = "11.0"
ROUNDS: Final = 5
BATCH: Final = 128
"""datagrams handed over at once, as by the sensor."""
LEARNING: Final = 8
"""periods after which a member's own is known and its place in memory warm."""
CALLS: Final = 300_000
"""heartbeats measured."""


def periods(members: int) -> Iterator[list[Datagram]]:
    """Yield period after period what so many members send: in any order, started some time today."""
    chance = random.Random(members)
    blocks = [
        encode(Heartbeat(Member((0x0A000000 + i).to_bytes(4), 4000, i.to_bytes(16)), 0)) for i in range(members)
    ]
    chance.shuffle(blocks)
    started = [chance.randrange(1_000, 86_400_000) for _ in blocks]
    origins = [Origin(block[34:38], "eth0", 1) for block in blocks]
    for period in range(1, LEARNING + max(3, CALLS // members) + 1):
        yield [
            (
                block[:14] + (started[i] + 500 * period).to_bytes(8) + block[22:],
                1_000 + 0.5 * period + 0.5 * i / members + chance.uniform(0, 0.001),
                origins[i],
            )
            for i, block in enumerate(blocks)
        ]


def nanoseconds(members: int) -> float:
    """Return the CPU nanoseconds that one heartbeat of one of so many members costs."""
    watch = Watch(Rules(strangers_per_second=members), 1_000)
    spent = measured = 0
    for number, period in enumerate(periods(members)):
        batches = [period[start : start + BATCH] for start in range(0, members, BATCH)]
        started = time.process_time_ns()
        for batch in batches:
            watch.receive(batch)
        if number >= LEARNING:
            spent += time.process_time_ns() - started
            measured += members
        watch.tick(period[-1][1])
    assert watch.datagrams["heartbeat"] == measured + LEARNING * members
    assert all(track.heartbeats * members == watch.datagrams["heartbeat"] for track in watch.membership)
    return spent / measured


def measure() -> list[Row]:
    """Measure both in turn, several times, for each number of members."""
    runs = [(membership_nanoseconds(BRANCH, *WANTED), list(map(nanoseconds, WANTED))) for _ in range(ROUNDS)]
    rows = []
    for column, (members, wanted) in enumerate(WANTED.items()):
        pairs = [(tomcat[members], ours[column]) for tomcat, ours in runs]
        theirs, own = (statistics.median(side) for side in zip(*pairs, strict=True))
        rows.append(
            Row(
                f"decode and membership update, {members:,} members",
                f"Tomcat {BRANCH}, warmed up",
                statistics.median(tomcat / ours for tomcat, ours in pairs),
                wanted,
                detail=f"{own:,.0f} ns against {theirs:,.0f} ns",
            )
        )
    return rows
