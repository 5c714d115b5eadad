"""Writes a corrected file: comments and layout stay; what is not safe to change is left and named."""

import os
import stat
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from probe.fields import ConfigError
from probe.tomcat.document import Document
from probe.tomcat.lint.finding import Edit, Finding, apply

SUFFIX: Final = ".fixed"


class Fixed(msgspec.Struct, frozen=True):
    """A document after its safe findings were repaired."""

    document: Document
    repaired: tuple[Finding, ...]
    left: tuple[Finding, ...]


def fix(document: Document, findings: tuple[Finding, ...]) -> Fixed:
    """Make the edits of every safe finding about a document; of two that meet, the first one's."""
    edits: list[Edit] = []
    repaired: list[Finding] = []
    own = [one for one in findings if one.file == document.file]
    for finding in own:
        if finding.is_safe and not _meet(edits, finding.edits):
            edits += finding.edits
            repaired.append(finding)
    text = apply(document.text, tuple(edits))
    try:
        changed = document.with_text(text)
    except ConfigError as error:
        # an edit that breaks the file is never written
        raise ConfigError([f"{document.file}: is left as it is: {error.problems[0]}"]) from None
    return Fixed(changed, tuple(repaired), tuple(one for one in own if one not in repaired))


def _meet(made: list[Edit], wanted: tuple[Edit, ...]) -> bool:
    """Tell whether edits touch what is changed already; two insertions at one place do not."""
    return any(
        (one.start < other.end and other.start < one.end)
        or (one.start <= other.start < one.end)
        or (other.start <= one.start < other.end)
        or one == other
        for one in made
        for other in wanted
    )


def write(fixed: Fixed, *, in_place: bool) -> Path:
    """Write a corrected file beside the original, or over it, all at once; return its path.

    Mode and, as far as allowed, owner are the original's. Raises ConfigError.
    """
    original = Path(fixed.document.file)
    try:
        target = original.resolve(strict=True) if in_place else original.with_name(original.name + SUFFIX)
        _replace(target, fixed.document.encoded(), original.stat())
    except UnicodeEncodeError:
        raise ConfigError([f"{original}: cannot be written in its own encoding: save it as UTF-8"]) from None
    except OSError as error:
        raise ConfigError([f"{original}: cannot be written: {error.strerror}"]) from None
    return target


def _replace(target: Path, data: bytes, like: os.stat_result) -> None:
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            _own(file.fileno(), like)
            os.fsync(file.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _own(descriptor: int, like: os.stat_result) -> None:
    """Give a file the owner and mode of another; who may not change the owner keeps it private to that mode."""
    mode = stat.S_IMODE(like.st_mode)
    mine = os.fstat(descriptor)
    if (mine.st_uid, mine.st_gid) != (like.st_uid, like.st_gid):
        try:
            os.fchown(descriptor, like.st_uid, like.st_gid)
        except PermissionError:
            mode &= ~0o077  # another owner's group and others are not this one's
    os.fchmod(descriptor, mode)
