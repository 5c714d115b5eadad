"""One direction of a captured TCP connection, put back in order: retransmissions dropped, holes named."""

from typing import Final

from protocols.packet import SYN, Segment

WINDOW: Final = 1 << 20
"""bytes kept while an earlier segment is missing; then it counts as not captured."""
MOST_HELD: Final = 1_024
"""segments kept likewise."""
_HALF: Final = 1 << 31
_MASK: Final = (1 << 32) - 1


class Reassembly:
    """Takes segments as captured, gives bytes in sequence. ``missing`` counts the bytes of holes."""

    def __init__(self) -> None:
        self.missing = 0
        self._next: int | None = None
        self._early: dict[int, Segment] = {}
        self._held = 0

    def take(self, segment: Segment) -> list[bytes | None]:
        """Return what is now in sequence; None stands where bytes are missing or a new connection begins."""
        if segment.flags & SYN:
            fresh = segment.sequence + 1 & _MASK
            news: list[bytes | None] = [] if self._next in {None, fresh} else [*self.finish(), None]
            self._next = fresh
            return news
        if self._next is None:
            self._next = segment.sequence
        if segment.sequence == self._next and not self._early:
            return self._deliver(segment)  # as nearly all do
        return self._take_early(segment) if segment.size else []

    def finish(self) -> list[bytes | None]:
        """Give up waiting: return what was held, with its holes."""
        given: list[bytes | None] = []
        while self._early:
            given += self._skip_hole()
        return given

    def _deliver(self, segment: Segment) -> list[bytes | None]:
        """Give the new part of a segment that begins at or before what comes next."""
        known = self._ahead(segment.sequence)
        new = segment.size + known
        if new <= 0:
            return []
        self._next = segment.sequence + segment.size & _MASK
        payload = segment.payload[-known:] if known else segment.payload
        if len(payload) == new:
            return [payload]
        self.missing += new - len(payload)
        return [payload, None] if payload else [None]

    def _take_early(self, segment: Segment) -> list[bytes | None]:
        held = self._early.get(segment.sequence)
        if held is None or held.size < segment.size:
            self._held += segment.size - (held.size if held else 0)
            self._early[segment.sequence] = segment
        given = self._drain()
        while self._held > WINDOW or len(self._early) > MOST_HELD:
            given += self._skip_hole()
        return given

    def _drain(self) -> list[bytes | None]:
        given: list[bytes | None] = []
        while self._early:
            first = min(self._early, key=self._ahead)
            if self._ahead(first) > 0:
                break
            given += self._deliver(self._pop(first))
        return given

    def _skip_hole(self) -> list[bytes | None]:
        first = min(self._early, key=self._ahead)
        self.missing += self._ahead(first)
        self._next = first
        return [None, *self._drain()]

    def _pop(self, sequence: int) -> Segment:
        segment = self._early.pop(sequence)
        self._held -= segment.size
        return segment

    def _ahead(self, sequence: int) -> int:
        """Return how far a sequence number lies beyond what comes next, negative for what was given."""
        distance = sequence - (self._next or 0) & _MASK
        return distance if distance < _HALF else distance - _HALF * 2
