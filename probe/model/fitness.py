"""Whether this probe is itself fit to judge: bit L, with hysteresis."""

from enum import StrEnum
from typing import Final

LAG_LIMIT: Final = 0.5
"""seconds the loop may run behind before silence can no longer be told from not having looked."""


class Unfit(StrEnum):
    """The closed set of reasons for which the probe must not judge."""

    STARTING = "starting"
    LOOP_LAG = "loop-lag"
    RECEIVE_DROPS = "receive-drops"
    INTERFACE_DOWN = "interface-down"
    NOT_JOINED = "not-joined"
    SUSPENDED = "suspended"


LASTING: Final = frozenset({Unfit.NOT_JOINED, Unfit.INTERFACE_DOWN})
"""Conditions that hold until they are cured; the others are incidents that pass after ``calm`` seconds."""


class Fitness:
    """Remembers when each trouble was last seen; fit again ``calm`` seconds after the last."""

    def __init__(self, calm: float, now: float) -> None:
        self.calm = calm
        self._until: dict[Unfit, float] = {Unfit.STARTING: now + calm}

    def trouble(self, reason: Unfit, now: float) -> None:
        """Note an incident, or that a lasting condition began."""
        self._until[reason] = float("inf") if reason in LASTING else now + self.calm

    def cured(self, reason: Unfit, now: float) -> None:
        """Note that a lasting condition ended; what was missed meanwhile is forgiven after ``calm`` seconds."""
        if self._until.get(reason) == float("inf"):
            self._until[reason] = now + self.calm

    def lag(self, seconds: float, now: float) -> None:
        """Take how late the loop was."""
        if seconds > LAG_LIMIT:
            self.trouble(Unfit.LOOP_LAG, now)

    def reasons(self, now: float) -> tuple[Unfit, ...]:
        """Return why the probe must not judge now, nothing when it may."""
        return tuple(reason for reason, until in self._until.items() if until > now)

    def deadline(self, now: float) -> float | None:
        """Return when the next reason passes by itself."""
        return min((until for until in self._until.values() if now < until < float("inf")), default=None)
