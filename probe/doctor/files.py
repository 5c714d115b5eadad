"""Reads the host's own files, within bounds: whatever another user may have written into them."""

import contextlib
from pathlib import Path
from typing import Final

LARGEST: Final = 4 * 2**20
"""bytes read of one file: a table of some 25,000 sockets."""


def read(path: Path, largest: int = LARGEST) -> str:
    """Return a file's text, cut off where it is too long. Raises OSError."""
    with path.open("rb") as file:
        return file.read(largest).decode("utf-8", "replace")


def lines(path: Path) -> list[str]:
    """Return a file's lines. Raises OSError."""
    return read(path).splitlines()


def number(path: Path) -> int | None:
    """Return the whole number in a file; None where there is none."""
    with contextlib.suppress(OSError, ValueError):
        return int(read(path, 64))
    return None


def word(path: Path) -> str:
    """Return a file's one short line; nothing where it cannot be read."""
    with contextlib.suppress(OSError):
        return " ".join(printable(read(path, 256)).split())
    return ""


def printable(text: str) -> str:
    """Return a text without what a terminal would act on."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
