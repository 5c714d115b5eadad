"""What a group's members are held against."""

from enum import StrEnum

import msgspec


class ExpectedBy(StrEnum):
    """Who says that a member must be there."""

    SETTINGS = "settings"
    STATIC = "static"
    LEARNED = "learned"


class Rules(msgspec.Struct, frozen=True):
    """Settings of one group as the model needs them; durations in seconds.

    ``expected`` names members ("10.0.0.1:4000"); ``expected_count`` stands alone when only a number is
    known. ``static`` names those that send no heartbeats (StaticMembershipInterceptor): expected beside
    whoever else is, and alive when their receivers answer. Who was up for ``learn_after`` without a break is
    expected beside them, too; None learns nobody. ``asks`` tells that receivers are asked, so
    that silence can be told apart. ``capacity`` bounds the table; ``strangers_per_second`` bounds how many
    new members are taken in at their first heartbeat; at their second it is four times as many.
    """

    name: str = "228.0.0.4:45564"
    frequency: float = 0.5
    drop_time: float = 3.0
    forget_after: float = 3600.0
    expected: frozenset[str] = frozenset()
    expected_count: int = 0
    static: frozenset[str] = frozenset()
    learn_after: float | None = None
    domain: bytes | None = None
    asks: bool = True
    capacity: int = 16_384
    strangers_per_second: int = 500

    @property
    def late_time(self) -> float:
        """t_late: three periods, or dropTime where that is shorter."""
        return min(3 * self.frequency, self.drop_time)

    @property
    def stable_time(self) -> float:
        """t_stable: how long a view must hold before it is believed."""
        return max(2 * self.drop_time, 10.0)
