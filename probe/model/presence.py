"""Where a member stands between heartbeats, and what moves it: the state machine as a table."""

from enum import StrEnum
from typing import Final

from probe.model.events import Kind


class Presence(StrEnum):
    """Where a member stands."""

    UNHEARD = "unheard"
    PRESENT = "present"
    LATE = "late"
    SILENT = "silent"
    LEFT = "left"


class Trigger(StrEnum):
    """What moves it."""

    HEARTBEAT = "heartbeat"
    GOODBYE = "goodbye"
    LATE_TIME = "t_late"
    DROP_TIME = "t_drop"


SILENCE: Final = {
    Trigger.LATE_TIME: (Presence.LATE, Kind.LATE),
    Trigger.DROP_TIME: (Presence.SILENT, Kind.SILENT),
}
"""Where silence alone leads; it always tells."""

TRANSITIONS: Final = {
    (Presence.UNHEARD, Trigger.HEARTBEAT): (Presence.PRESENT, Kind.JOINED),
    (Presence.UNHEARD, Trigger.GOODBYE): (Presence.LEFT, Kind.LEFT),
    (Presence.PRESENT, Trigger.HEARTBEAT): (Presence.PRESENT, None),
    (Presence.PRESENT, Trigger.GOODBYE): (Presence.LEFT, Kind.LEFT),
    (Presence.PRESENT, Trigger.LATE_TIME): SILENCE[Trigger.LATE_TIME],
    (Presence.LATE, Trigger.HEARTBEAT): (Presence.PRESENT, None),
    (Presence.LATE, Trigger.GOODBYE): (Presence.LEFT, Kind.LEFT),
    (Presence.LATE, Trigger.DROP_TIME): SILENCE[Trigger.DROP_TIME],
    (Presence.SILENT, Trigger.HEARTBEAT): (Presence.PRESENT, Kind.RETURNED),
    (Presence.SILENT, Trigger.GOODBYE): (Presence.LEFT, Kind.LEFT),
    (Presence.LEFT, Trigger.HEARTBEAT): (Presence.PRESENT, Kind.BEATS_AFTER_GOODBYE),
    (Presence.LEFT, Trigger.GOODBYE): (Presence.LEFT, None),
}
"""For one unique id. A new unique id on the same host:port starts over at PRESENT (``restarted``)."""

HEARD: Final = frozenset({Presence.PRESENT, Presence.LATE})
"""Bit H: a heartbeat younger than dropTime, no goodbye since."""
