"""The log: one line an event, the same words everywhere; a flood of equal events is summed up."""

import contextlib
import json
import logging
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, Self, TextIO

import structlog

from probe.model.events import Event, Kind
from probe.model.views import clock_text

LEVELS: Final = {"debug": 10, "info": 20, "warn": 30, "error": 40}
WINDOW: Final = 10.0
"""seconds over which equal events are counted."""
MOST: Final = 20
"""Lines of one kind and group in a window; what comes beyond is summed up at its end."""

LONGEST: Final = 2000
"""characters of what a library says."""

_SEVERITY: Final = {
    Kind.HEARTBEATS_LOST: "info",
    Kind.LATE: "warn",
    Kind.SILENT: "warn",
    Kind.LOST: "error",
    Kind.GHOST_SUSPECTED: "error",
    Kind.ADDRESS_CLASH: "error",
    Kind.ADDRESS_MISMATCH: "warn",
    Kind.CLOCK_STEPPED: "warn",
    Kind.STALLED: "warn",
    Kind.STRANGER: "warn",
    Kind.BEATS_AFTER_GOODBYE: "warn",
    Kind.HARMFUL_DATAGRAM: "error",
    Kind.RECEIVER_CLOSED: "warn",
    Kind.RECEIVER_FROZEN: "error",
    Kind.LINK_BROKEN: "error",
    Kind.SESSIONS_LOST: "error",
    Kind.SESSIONS_UNKNOWN: "warn",
    Kind.DEGRADED: "warn",
    Kind.LATENT_SPLIT: "error",
    Kind.ASYMMETRIC: "error",
    Kind.SPLIT: "error",
    Kind.DEAF: "error",
    Kind.DOWN: "error",
    Kind.MERGING: "warn",
    Kind.UNKNOWN: "warn",
}
"""Everything else is info."""


class Journal:
    """Writes lines; ``clock`` gives seconds for the windows, ``now`` the wall time of a line."""

    def __init__(
        self,
        level: str = "info",
        form: str = "logfmt",
        stream: TextIO = sys.stderr,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._stream = stream
        self._clock = clock
        self._now = now
        self._windows: dict[tuple[Kind, str, bool], _Window] = {}
        self.configure(level, form)

    def configure(self, level: str, form: str) -> None:
        """Take another level or format."""
        self._least = LEVELS[level]
        self._render: Any = (
            structlog.processors.JSONRenderer(serializer=json.dumps, ensure_ascii=True)
            if form == "json"
            else structlog.processors.LogfmtRenderer(key_order=["time", "level", "event"], bool_as_flag=False)
        )

    def event(self, event: Event, wall: float) -> None:
        """Write one event that happened at wall time ``wall`` (unix seconds), or count it in a flood."""
        now = self._clock()
        self.close_windows(now)
        key = (event.kind, event.group, event.passing)  # a flood of strangers must not hide who is known
        window = self._windows.setdefault(key, _Window(now))
        window.count += 1
        if window.count > MOST:
            return
        facts: dict[str, object] = {"group": event.group}
        if event.member:
            facts |= {"member": event.member, "unique_id": event.unique_id}
        facts |= {"text": event.say(clock_text(wall - event.at)), **event.values}
        if not event.fit:
            facts["fit"] = False  # the probe itself was in no state to judge
        self._write(_SEVERITY.get(event.kind, "info"), event.kind.value, wall, facts)

    def close_windows(self, now: float) -> None:
        """Sum up the floods whose window is over."""
        for key, window in list(self._windows.items()):
            if now - window.began >= WINDOW:
                del self._windows[key]
                if window.count > MOST:
                    kind, group, _ = key
                    text = f"{window.count - MOST} more of these in {WINDOW:.0f} s are not written"
                    self._write("warn", kind.value, self._now(), {"group": group, "text": text})

    def debug(self, event: str, text: str, **facts: object) -> None:
        """Write what only a developer wants to know."""
        self._write("debug", event, self._now(), {"text": text, **facts})

    def info(self, event: str, text: str, **facts: object) -> None:
        """Write a line of the daemon's own."""
        self._write("info", event, self._now(), {"text": text, **facts})

    def warn(self, event: str, text: str, **facts: object) -> None:
        """Write a warning of the daemon's own."""
        self._write("warn", event, self._now(), {"text": text, **facts})

    def error(self, event: str, text: str, **facts: object) -> None:
        """Write an error of the daemon's own."""
        self._write("error", event, self._now(), {"text": text, **facts})

    def _write(self, level: str, event: str, wall: float, facts: dict[str, object]) -> None:
        if LEVELS[level] < self._least:
            return
        time_text = datetime.fromtimestamp(wall, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = self._render(None, level, {"time": time_text, "level": level, "event": event, **_safe(facts)})
        with contextlib.suppress(OSError):  # a full disk or a reader that went is no reason to stop watching
            print(line, file=self._stream, flush=True)  # the log is written here


class Libraries(logging.Handler):
    """Writes what libraries warn of (asyncio, aiohttp) as lines of the journal, while the block lasts."""

    def __init__(self, journal: Journal, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.WARNING)
        self._journal = journal
        self._clock = clock
        self._window = _Window(clock())

    def __enter__(self) -> Self:
        logging.getLogger().addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger().removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record, the end of its traceback where it has one; a flood is cut off."""
        now = self._clock()
        if now - self._window.began >= WINDOW:
            self._window = _Window(now)
        self._window.count += 1
        if self._window.count > MOST:
            return
        write = self._journal.error if record.levelno >= logging.ERROR else self._journal.warn
        write("library", self.format(record)[-LONGEST:], logger=record.name)


class _Window:
    __slots__ = ("began", "count")

    def __init__(self, began: float) -> None:
        self.began = began
        self.count = 0


def _safe(facts: dict[str, object]) -> dict[str, object]:
    """Escape what no terminal should see raw."""
    return {key: _printable(value) if isinstance(value, str) else value for key, value in facts.items()}


def _printable(text: str) -> str:
    return text if text.isprintable() else text.encode("unicode_escape").decode()
