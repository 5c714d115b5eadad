"""A flood of invented members beside ten real ones."""

import time
from typing import Any, Final

import msgspec
from benchmarks.row import Row
from benchmarks.subject import Subject

RATE: Final = 100_000
SECONDS: Final = 30.0
REAL: Final = 10
GROWTH: Final = 100.0
"""MiB: 16,384 strangers tracked and as many remembered, at two to three kB each, twice over."""


class Seen(msgspec.Struct):
    """What the daemon showed at the end of one run."""

    resident: float
    late: int
    up: float
    told: bool
    refused: float
    drops: float
    rate: float


def watch(seconds: float, strangers: int) -> Seen:
    """Watch ten real members for so long beside so many strangers a second."""
    with Subject() as subject:
        real = subject.traffic(seconds + 6, REAL)
        time.sleep(4)
        flood = subject.traffic(seconds, 1, frequency=3600, strangers=strangers) if strangers else None
        until = time.monotonic() + seconds
        invented = flood.sent()["strangers"] if flood else 0
        time.sleep(max(0.0, until - time.monotonic()))
        events = subject.events()
        seen = Seen(
            resident=subject.resident(),
            late=sum(event["event"] in {"late", "silent"} and _is_real(event) for event in events),
            up=subject.metric('tribes_member_up{group="bench",member="127.0.0.1:'),
            told=any(event["event"] == "stranger" and "not tracked" in event["text"] for event in events),
            refused=subject.metric("tribes_members_overflow_total"),
            drops=subject.metric("tribes_receive_drops_total"),
            rate=invented / seconds,
        )
        real.sent()
        return seen


def _is_real(event: dict[str, Any]) -> bool:
    return str(event.get("member")).startswith("127.0.0.1:")


def measure(seconds: float = SECONDS) -> list[Row]:
    """Return whether anything real suffered, and what the flood cost."""
    calm, flooded = watch(8, 0), watch(seconds, RATE)
    what = f"a flood of {flooded.rate:,.0f} invented members a second for {seconds:.0f} s"
    detail = f"{flooded.up:.0f} of {REAL} real members up; without the flood {calm.late} late"
    share = (flooded.refused + flooded.drops) / (flooded.rate * seconds)
    return [
        Row(what, "real members judged late", flooded.late + REAL - flooded.up, 0, "", detail, at_most=True),
        Row("", "memory grown", flooded.resident - calm.resident, GROWTH, " MiB", at_most=True),
        Row("", "invented members a second", flooded.rate, 0.95 * RATE, ""),
        Row(
            "",
            "share of them counted; 0 if nobody is told",
            share * flooded.told,
            0.9,
            "",
            detail=f"{flooded.refused:,.0f} refused, {flooded.drops:,.0f} dropped by the kernel",
        ),
    ]
