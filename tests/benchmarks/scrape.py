"""Scrapes of many members while their heartbeats pour in."""

import statistics
import time
from typing import Final

from benchmarks.row import Row
from benchmarks.subject import Subject

RATE: Final = 20_000
"""heartbeats a second."""
SECONDS: Final = 10.0
SCRAPES: Final = 3
RUNS: Final = 3


def run(members: int) -> tuple[int, float, float]:
    """Return heartbeats lost, the longest pause of the loop (ms), and how long a scrape took (s)."""
    frequency = members / RATE
    with Subject(frequency) as subject:
        learning = members / 1_500 + 1  # what strangers' budget needs to take them in, and a bit
        traffic = subject.traffic(learning + 4 + SECONDS, members, frequency)
        time.sleep(learning + 4)
        subject.reset_pause()
        began = time.monotonic()
        took = []
        for number in range(SCRAPES):
            time.sleep(max(0.0, began + number * SECONDS / SCRAPES - time.monotonic()))
            started = time.monotonic()
            assert subject.get("/metrics").count(b"\ntribes_member_up{") == members
            took.append(time.monotonic() - started)
        sent = traffic.sent()["heartbeats"]
        lost = sent - subject.datagrams()
        return lost, subject.end() * 1000, statistics.median(took)


def measure(members: int) -> list[Row]:
    """Return the median of some runs."""
    runs = [run(members) for _ in range(RUNS)]
    lost, pause, took = (statistics.median(column) for column in zip(*runs, strict=True))
    what = f"scrape of {members:,} members while {RATE:,} heartbeats/s arrive"
    pauses = ", ".join(f"{each:.0f}" for _, each, _ in runs)
    detail = f"{pauses} ms; a scrape takes {took:.2f} s"
    return [
        Row(what, "heartbeats lost", lost, 0, "", f"in {SECONDS:.0f} s with {SCRAPES} scrapes", at_most=True),
        Row("", "longest pause of the loop", pause, 50, " ms", detail, at_most=True),
    ]
