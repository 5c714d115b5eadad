"""When to ask which receiver: paced, jittered, one question in flight each, longer pauses after silence.

Pure: time and chance are handed in. A question that is not answered costs a frozen Tomcat one of the 50
places of its accept queue, and a full queue makes its peers drop it: so pauses grow.
"""

import heapq
import random
from typing import Final

from probe.model.evidence import Answer

FIRST: Final = 1.0
"""seconds within which a new member is asked first."""
JITTER: Final = 0.2
"""Share of a pause by which it varies, so that many probes and members do not fall into step."""
PAUSES: Final = (5.0, 10.0, 20.0, 40.0, 60.0)
"""seconds after the first, second, … unanswered question in a row."""


class Turn:
    """One member's next turn."""

    __slots__ = ("asking", "due", "leaving", "unanswered")

    def __init__(self, due: float) -> None:
        self.due = due
        self.unanswered = 0
        self.asking = False
        self.leaving = False  # taken off while it is asked: stays until the answer, so that nobody asks beside


class Schedule:
    """Which member, by name, is to be asked when; times in seconds of any one clock."""

    def __init__(self, interval: float, chance: random.Random) -> None:
        self.interval = interval
        self._chance = chance
        self._turns: dict[str, Turn] = {}
        self._queue: list[tuple[float, str]] = []

    def __contains__(self, member: str) -> bool:
        turn = self._turns.get(member)
        return turn is not None and not turn.leaving

    def __len__(self) -> int:
        return sum(not turn.leaving for turn in self._turns.values())

    def add(self, member: str, now: float) -> None:
        """Begin to ask a member, soon."""
        turn = self._turns.get(member)
        if turn is not None:
            turn.leaving = False
            return
        self._turns[member] = Turn(0.0)
        self._put(member, now + self._chance.uniform(0, FIRST))

    def remove(self, member: str) -> None:
        """Ask it no more."""
        turn = self._turns.get(member)
        if turn is not None and turn.asking:
            turn.leaving = True
        else:
            self._turns.pop(member, None)

    def urge(self, member: str, now: float) -> None:
        """Ask it now, pause or not: its heartbeats stopped, so its last answer says nothing any more."""
        turn = self._turns.get(member)
        if turn is not None and not turn.asking:
            self._put(member, now)

    def due(self, now: float) -> list[str]:
        """Return who is to be asked now; each counts as being asked until ``answered``."""
        found = []
        while self._queue and self._queue[0][0] <= now:
            at, member = heapq.heappop(self._queue)
            turn = self._turns.get(member)
            if turn is not None and not turn.asking and turn.due == at:
                turn.asking = True
                found.append(member)
        return found

    def answered(self, member: str, answer: Answer | None, now: float) -> None:
        """Take how it ended (None: it could not be asked) and set the next turn."""
        turn = self._turns.get(member)
        if turn is None:
            return
        turn.asking = False
        if turn.leaving:
            del self._turns[member]
            return
        if answer is not None and answer.connected and answer.answered is False:
            pause = PAUSES[min(turn.unanswered, len(PAUSES) - 1)]
            turn.unanswered += 1
            self._put(member, now + max(pause, self.interval))
            return
        turn.unanswered = 0
        self._put(member, now + self.interval * self._chance.uniform(1 - JITTER, 1 + JITTER))

    def heard_again(self, member: str, now: float) -> None:
        """Forget the pauses of a member that beats again."""
        turn = self._turns.get(member)
        if turn is not None:
            turn.unanswered = 0
            if not turn.asking:
                self._put(member, now + self._chance.uniform(0, FIRST))

    def deadline(self) -> float | None:
        """Return when the next turn comes."""
        return self._queue[0][0] if self._queue else None

    def _put(self, member: str, at: float) -> None:
        self._turns[member].due = at
        heapq.heappush(self._queue, (at, member))
        if len(self._queue) > 4 * len(self._turns) + 64:  # urging leaves stale entries behind
            self._queue = [(turn.due, member) for member, turn in self._turns.items() if not turn.asking]
            heapq.heapify(self._queue)
