"""What a rule found: where, what a Tomcat makes of it, what to do, and the edit that does it."""

from typing import Final, Literal

import msgspec

Severity = Literal["error", "warning", "note"]
SEVERITIES: Final[tuple[Severity, ...]] = ("error", "warning", "note")
"""Does not work; is likely wrong; is worth knowing."""


class Edit(msgspec.Struct, frozen=True, order=True):
    """Bytes ``start`` to ``end`` of a document's text become ``text``."""

    start: int
    end: int
    text: bytes


class Finding(msgspec.Struct, frozen=True):
    """One finding. ``effect`` is what Tomcat does or logs, ``correction`` an element to paste.

    ``edits`` are made by ``--fix`` if ``is_safe``: then what they change works on every node as it is.
    """

    rule: str
    severity: Severity
    file: str
    line: int
    column: int
    place: str
    what: str
    effect: str = ""
    remedy: str = ""
    correction: str = ""
    edits: tuple[Edit, ...] = ()
    is_safe: bool = False

    @property
    def sort_key(self) -> tuple[str, int, int, int, str]:
        """Order findings by file and place, the worst first."""
        return self.file, self.line, self.column, SEVERITIES.index(self.severity), self.rule


def apply(text: bytes, edits: tuple[Edit, ...]) -> bytes:
    """Return a text with edits made; they must not overlap. Insertions at one place keep their order."""
    for edit in sorted(edits, key=lambda one: (one.start, one.end))[::-1]:
        text = text[: edit.start] + edit.text + text[edit.end :]
    return text
