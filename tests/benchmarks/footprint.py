"""What the daemon takes: memory, time to start, CPU."""

import statistics
import time
from typing import Final

import msgspec
from benchmarks.subject import Subject

RATE: Final = 2_000
"""heartbeats a second of a large cluster, or of some hundred small ones."""


class Footprint(msgspec.Struct):
    """MiB, seconds, share of one core."""

    resident_3: float
    resident_10000: float
    start: float
    cpu_share: float


def measure() -> Footprint:
    """Run it with few members, many, and at a steady rate."""
    starts = []
    for _ in range(5):
        with Subject() as subject:
            starts.append(subject.start_seconds)
    with Subject() as subject:
        traffic = subject.traffic(8, 3)
        time.sleep(7)
        few = subject.resident()
        traffic.sent()
    with Subject() as subject:
        traffic = subject.traffic(14, 10_000)
        time.sleep(13)
        many = subject.resident()
        traffic.sent()
    with Subject() as subject:
        traffic = subject.traffic(16, RATE // 2)
        time.sleep(5)
        began, used = time.monotonic(), subject.cpu_seconds()
        time.sleep(10)
        share = (subject.cpu_seconds() - used) / (time.monotonic() - began)
        traffic.sent()
    return Footprint(few, many, statistics.median(starts), share)
