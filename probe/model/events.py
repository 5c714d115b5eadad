"""Things that happen: the words of the log, the page, the API and the runbooks, and no others."""

from collections.abc import Callable
from enum import StrEnum

import msgspec


class Kind(StrEnum):
    """What happened to a member, to its receiver, or to the cluster as a whole."""

    JOINED = "joined"
    LATE = "late"
    SILENT = "silent"
    RETURNED = "returned"
    LEFT = "left"
    LOST = "lost"
    FORGOTTEN = "forgotten"
    RESTARTED = "restarted"
    RECOVERED = "recovered"
    CHANNEL_RESTARTED = "channel-restarted"
    GHOST_SUSPECTED = "ghost-suspected"
    ADDRESS_CLASH = "address-clash"
    ADDRESS_MISMATCH = "address-mismatch"
    CLOCK_STEPPED = "clock-stepped"
    STALLED = "stalled"
    HEARTBEATS_LOST = "heartbeats-lost"
    STRANGER = "stranger"
    BEATS_AFTER_GOODBYE = "beats-after-goodbye"
    HARMFUL_DATAGRAM = "harmful-datagram"

    RECEIVER_CLOSED = "receiver-closed"
    RECEIVER_FROZEN = "receiver-frozen"
    RECEIVER_ANSWERS = "receiver-answers"

    LINK_BROKEN = "link-broken"
    LINK_MENDED = "link-mended"

    SESSIONS_REPLICATED = "sessions-replicated"
    SESSIONS_LOST = "sessions-lost"
    SESSIONS_UNKNOWN = "sessions-unknown"

    WHOLE = "whole"
    DEGRADED = "degraded"
    LATENT_SPLIT = "latent-split"
    ASYMMETRIC = "asymmetric"
    SPLIT = "split"
    DEAF = "deaf"
    DOWN = "down"
    MERGING = "merging"
    MERGED = "merged"
    EMPTY = "empty"
    UNKNOWN = "unknown"


class Event(msgspec.Struct, frozen=True, gc=False):
    """One thing that happened, at a time of the model's clock (seconds).

    ``text`` says it to a person, or where the cluster as a whole is meant ``sentence``: the verdict's, a number
    in it is a time still to be written. ``values`` are its numbers and names for machines. ``fit``: whether
    this vantage was fit to judge at that time; ``passing`` that the member was heard once at most and is not
    expected, as nearly all are in a flood.
    """

    at: float
    kind: Kind
    group: str
    text: str = ""
    member: str = ""
    unique_id: str = ""
    fit: bool = True
    passing: bool = False
    values: dict[str, str | int | float | bool] = {}
    sentence: tuple[str | float, ...] = ()

    def say(self, clock: Callable[[float], str]) -> str:
        """Return what it says to a person; ``clock`` writes a time of the model's clock."""
        return self.text or "".join(part if isinstance(part, str) else clock(part) for part in self.sentence)
