"""What a step found: how bad it is, what was seen, what that means, what to do."""

from enum import StrEnum

import msgspec


class Status(StrEnum):
    """How a step ended; unknown is neither good nor bad, and says what was missing."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"
    UNKNOWN = "unknown"


class Judgement(msgspec.Struct, frozen=True):
    """What the facts of one step say."""

    status: Status
    found: str
    means: str = ""
    remedy: str = ""


class Finding(msgspec.Struct, frozen=True):
    """A judgement with its place: the step, the group it is about ("" for the host), what was looked at."""

    step: str
    group: str
    looked_at: str
    status: Status
    found: str
    means: str
    remedy: str


def ok(found: str, means: str = "") -> Judgement:
    """Say that nothing stands in the way here."""
    return Judgement(Status.OK, found, means)


def warning(found: str, means: str, remedy: str) -> Judgement:
    """Say that it may be the cause, or become one."""
    return Judgement(Status.WARNING, found, means, remedy)


def error(found: str, means: str, remedy: str) -> Judgement:
    """Say that with this the cluster does not work, or not for everybody."""
    return Judgement(Status.ERROR, found, means, remedy)


def unknown(lacks: str, remedy: str) -> Judgement:
    """Say that it could not be looked at."""
    return Judgement(Status.UNKNOWN, lacks, "this step says nothing", remedy)


def without(failed: OSError) -> Judgement:
    """Say what the system did not let us see."""
    place = f"{failed.filename}: " if failed.filename else ""
    why = failed.strerror or str(failed)
    if isinstance(failed, PermissionError):
        return unknown(f"{place}{why}: only root may look there", "run it as root")
    return unknown(f"{place}{why}", "look there by hand")
