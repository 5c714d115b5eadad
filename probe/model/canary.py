"""What two answers say of a session: made on one node, shown to another; and a pair's record of it.

Tomcat's own managers file a session under its whole id, ``jvmRoute`` included. A node that knows it keeps the
cookie, or moves it to its own route where JvmRouteBinderValve stands in the way; one that does not makes a
new session (``Request.doGetSession``). That an answer sets no cookie proves something only if the page would
have set one for an id that nobody knows: that is what a control shows.
"""

from collections import Counter
from collections.abc import Iterator
from enum import StrEnum
from typing import Final

import msgspec

from probe.model.events import Event, Kind
from probe.model.histogram import Histogram

DELAYS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds (s) of the time until a session is known."""
FIRST_PAUSE: Final = 0.01
"""seconds between the first two looks at the other node; each further pause is twice as long."""


class SessionId:
    """A session's id: equal to its like, and never written out by accident."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SessionId) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "<a session id>"

    @property
    def base(self) -> str:
        """What stands before the first dot."""
        return self._value.partition(".")[0]

    @property
    def route(self) -> str:
        """The jvmRoute behind the first dot; empty without one."""
        return self._value.partition(".")[2]

    def reveal(self) -> str:
        """Return the secret itself, for a Cookie header and nothing else."""
        return self._value


NOBODYS: Final = SessionId("0" * 32)
"""An id that no node knows."""


class Bond(StrEnum):
    """What an answer does with the session id that it was shown."""

    KEPT = "kept"
    MOVED = "moved"
    NEW = "new"
    DROPPED = "dropped"


def bond(shown: SessionId, answered: SessionId | None) -> Bond:
    """Compare the id shown with the cookie of the answer: None sets none, an empty one takes it away."""
    if answered is None or answered == shown:
        return Bond.KEPT
    if not answered.base:
        return Bond.DROPPED
    return Bond.MOVED if answered.base == shown.base else Bond.NEW


class State(StrEnum):
    """What is known of a pair by its last check."""

    REPLICATED = "replicated"
    LOST = "lost"
    UNKNOWN = "unknown"


class Reason(StrEnum):
    """Why a check did not end well."""

    NOT_REPLICATED = "not-replicated"
    BODY_DIFFERS = "body-differs"

    CONNECT = "connect"
    TLS = "tls"
    TIMEOUT = "timeout"
    UNREADABLE = "unreadable"
    STATUS = "status"
    REDIRECT = "redirect"
    NO_COOKIE = "no-cookie"
    LOGIN_FAILED = "login-failed"
    NO_MATCH = "no-match"
    WRONG_NODE = "wrong-node"
    NO_PROOF = "no-proof"

    LOGOUT_FAILED = "logout-failed"


LOST: Final = (Reason.NOT_REPLICATED, Reason.BODY_DIFFERS)
"""Reasons that speak of the session. All others but a failed logout say that nothing is known of it."""


class Page(msgspec.Struct, frozen=True):
    """An answer: its HTTP status, the session cookie it sets, what ``expect_same`` finds in it.

    None for a cookie that is not set, and where nothing is found.
    """

    status: int
    cookie: SessionId | None = None
    match: str | None = None

    @property
    def is_good(self) -> bool:
        """Whether the status says that the page is there."""
        return 200 <= self.status < 300  # noqa: PLR2004  # HTTP's own ranges


class Finding(msgspec.Struct, frozen=True):
    """What one look says; ``sure`` unless a control must show first that the page could have said otherwise."""

    state: State
    reason: Reason | None = None
    sure: bool = True


FINDINGS: Final = {
    # bond, expect_same: absent (None), the same (True), not (False)
    (Bond.KEPT, None): Finding(State.REPLICATED, sure=False),
    (Bond.KEPT, True): Finding(State.REPLICATED, sure=False),
    (Bond.KEPT, False): Finding(State.LOST, Reason.BODY_DIFFERS),
    (Bond.MOVED, None): Finding(State.REPLICATED),
    (Bond.MOVED, True): Finding(State.REPLICATED),
    (Bond.MOVED, False): Finding(State.LOST, Reason.BODY_DIFFERS),
    # an application may renew ids by itself; that the page is the same then proves that the session is
    (Bond.NEW, None): Finding(State.LOST, Reason.NOT_REPLICATED),
    (Bond.NEW, True): Finding(State.REPLICATED, sure=False),
    (Bond.NEW, False): Finding(State.LOST, Reason.NOT_REPLICATED),
    (Bond.DROPPED, None): Finding(State.LOST, Reason.NOT_REPLICATED),
    (Bond.DROPPED, True): Finding(State.LOST, Reason.NOT_REPLICATED),
    (Bond.DROPPED, False): Finding(State.LOST, Reason.NOT_REPLICATED),
}


def read(shown: SessionId, first: Page, second: Page, *, matches: bool, route: str | None = None) -> Finding:
    """Say what the second node's answer to a session means; ``first`` is the first node's last answer.

    ``matches``: an ``expect_same`` is given. ``route``: the second node's jvmRoute, where it is known.
    """
    kind, cookie = bond(shown, second.cookie), second.cookie
    if route is not None and kind in {Bond.MOVED, Bond.NEW} and cookie is not None and cookie.route != route:
        return Finding(State.UNKNOWN, Reason.WRONG_NODE)
    if not second.is_good and kind in {Bond.KEPT, Bond.MOVED}:
        return Finding(State.UNKNOWN, Reason.STATUS)
    return FINDINGS[kind, second.match == first.match if matches else None]


def proves(first: Page, control: Page, *, matches: bool, route: str | None = None) -> Reason | None:
    """Say by the answer to an id that nobody knows why the page proves nothing; None when it does."""
    if control.cookie is not None and route is not None and control.cookie.route != route:
        return Reason.WRONG_NODE
    told_apart = control.match != first.match if matches else bond(NOBODYS, control.cookie) is not Bond.KEPT
    return None if told_apart else Reason.NO_PROOF


def looks(give_up: float, *, brief: bool = False) -> Iterator[float]:
    """Yield when to look at the second node, in seconds after the first one's answer.

    Pauses double, so that a delay is known to within half of it. Each look that comes too early costs a session
    on the second node: ``brief``, for a pair that was lost before, is the first look and the last.
    """
    at, pause = 0.0, FIRST_PAUSE
    while at < give_up:
        yield at
        at, pause = (give_up, 0.0) if brief else (at + pause, 2 * pause)
    yield give_up


class Result(msgspec.Struct, frozen=True):
    """How one check ended: seconds until the session was known, and how far that may be too long.

    ``text`` says it to a person; ``made`` and ``ended`` count the sessions that the check made and logged out.
    """

    state: State
    text: str
    reason: Reason | None = None
    delay: float | None = None
    resolution: float | None = None
    made: int = 0
    ended: int = 0
    logout_failed: bool = False


_TOLD: Final = {
    State.REPLICATED: Kind.SESSIONS_REPLICATED,
    State.LOST: Kind.SESSIONS_LOST,
    State.UNKNOWN: Kind.SESSIONS_UNKNOWN,
}


class Pair:
    """What sessions made on one node and shown to another came to; times of the model's clock."""

    def __init__(self, made_on: str, shown_to: str) -> None:
        self.made_on = made_on
        self.shown_to = shown_to
        self.state: State | None = None
        self.since = 0.0
        self.checked_at: float | None = None
        self.result: Result | None = None
        self.checks = self.made = self.ended = 0
        self.failures = Counter(dict.fromkeys(LOST, 0))  # counters begin at zero, so that the first one shows
        self.delays = Histogram(DELAYS)

    @property
    def was_lost(self) -> bool:
        """Whether the last check found the session lost."""
        return self.state is State.LOST

    def take(self, group: str, result: Result, now: float) -> list[Event]:
        """Take how a check ended; return the change, if it is one."""
        before, self.state, self.result, self.checked_at = self.state, result.state, result, now
        self.checks += 1
        self.made += result.made
        self.ended += result.ended
        if result.reason is not None:
            self.failures[result.reason] += 1
        if result.logout_failed:
            self.failures[Reason.LOGOUT_FAILED] += 1
        if result.delay is not None:
            self.delays.observe(result.delay)
        if before is result.state:
            return []
        self.since = now
        return [self._change(group, result, now)]

    def _change(self, group: str, result: Result, now: float) -> Event:
        values: dict[str, str | int | float | bool] = {"from": self.made_on, "to": self.shown_to}
        if result.reason is not None:
            values["reason"] = result.reason.value
        if result.delay is not None:
            values["delay_seconds"] = round(result.delay, 6)
        return Event(now, _TOLD[result.state], group, result.text, values=values)
