"""Which strangers are looked at: so few that a flood costs little, yet no real one waits for long."""

from typing import Final

from probe.model.budget import Budget
from protocols.heartbeat import GOODBYE, LEAST

REMEMBERED: Final = 65_536
"""Datagrams remembered by a number each, and as many of before: a second of a flood of 100,000 a second."""
AGAIN: Final = 4
"""How many times more strangers are taken in at their second heartbeat than at their first."""


class Door:
    """Lets ``rate`` strangers a second in at first sight, more when they come again, and as many goodbyes.

    A real newcomer repeats itself one period later; the invented members of a flood mostly do not.
    """

    def __init__(self, rate: float) -> None:
        self._first = Budget(rate)
        self._again = Budget(rate * AGAIN)
        self._leaving = Budget(rate)
        self._young: set[int] = set()
        self._old: set[int] = set()

    def admits(self, data: bytes, now: float) -> bool:
        """Whether a stranger's datagram that arrived at ``now`` is to be read."""
        if GOODBYE in data:
            return self._leaving.take(now)
        if self._first.take(now):
            return True
        key = hash(data[LEAST:])
        if key in self._young or key in self._old:
            return self._again.take(now)
        if len(self._young) >= REMEMBERED:
            self._old, self._young = self._young, set()
        self._young.add(key)
        return False
