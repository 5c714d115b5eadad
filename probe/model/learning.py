"""Who is expected because it was up for long: learned once, missed from then on, forgotten on request only.

Pure: ``now`` is handed in (seconds of the model's clock, which does not go back). Who is up waits in one queue
of one constant time, so the queue is in the order of its deadlines by itself.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

import msgspec

LEARNED_SHARE: Final = 8
"""The learned may fill the eighth part of a group's table, so that the living always find room beside them."""


class Learned(msgspec.Struct, frozen=True, order=True, gc=False):
    """One member that was learned: its name ("10.0.0.1:4000"), and the domain it had then."""

    member: str
    domain: bytes = b""


class Learning:
    """Learns members of one group; ``after`` seconds up make one expected, None learns nobody.

    Bounded by ``most``: once so many are learned, nobody leaves for a newcomer. It is counted in ``refused``
    each time its wait is over, and waits anew. ``revision`` grows with every change of the learned.
    """

    def __init__(self) -> None:
        self.after: float | None = None
        self.most = 0
        self.refused = 0
        self.revision = 0
        self._learned: dict[str, Learned] = {}
        self._waiting: OrderedDict[str, float] = OrderedDict()  # since when each is up

    def __contains__(self, name: str) -> bool:
        return name in self._learned

    def adopt(self, up: Iterable[tuple[float, str]]) -> None:
        """Take anew who is up, since when, and not expected; ``after`` and ``most`` may be others now."""
        self._waiting.clear()
        for since, name in sorted(up):
            self.began(name, since)

    def members(self, domain: bytes | None = None) -> frozenset[Learned]:
        """Return who is expected: of this domain, or of any; nobody while nobody is to be learned."""
        if self.after is None:
            return frozenset()
        return frozenset(one for one in self._learned.values() if domain is None or one.domain == domain)

    def everybody(self) -> frozenset[Learned]:
        """Return all who were learned, for safe keeping."""
        return frozenset(self._learned.values())

    def began(self, name: str, now: float) -> None:
        """Take that somebody whom nobody expects is up from now on."""
        if self.after is not None:
            self._waiting[name] = now
            self._waiting.move_to_end(name)

    def ended(self, name: str) -> None:
        """Take that somebody fell silent or said goodbye: what it waited for does not count."""
        self._waiting.pop(name, None)

    def deadline(self) -> float | None:
        """Return when somebody will have been up for long enough."""
        if self.after is None or not self._waiting:
            return None
        return next(iter(self._waiting.values())) + self.after

    def due(self, now: float) -> list[str]:
        """Return who has been up for long enough; they wait no more."""
        found = []
        while (at := self.deadline()) is not None and at <= now:
            name, _ = self._waiting.popitem(last=False)
            found.append(name)
        return found

    def learn(self, one: Learned) -> bool:
        """Learn a member, unless there is no room."""
        if one.member not in self._learned and len(self._learned) >= self.most:
            self.refused += 1
            return False
        self._learned[one.member] = one
        self.revision += 1
        return True

    def recall(self, learned: Iterable[Learned]) -> None:
        """Take back who was learned before; what is known already stays."""
        for one in sorted(learned):
            if one.member not in self._learned and len(self._learned) < self.most:
                self._learned[one.member] = one
                self.revision += 1

    def forget(self, name: str) -> bool:
        """Forget a member; tell whether it had been learned."""
        if self._learned.pop(name, None) is None:
            return False
        self.revision += 1
        return True

    def clear(self) -> None:
        """Forget everybody: what follows is another group."""
        self.revision += bool(self._learned)
        self._learned.clear()
