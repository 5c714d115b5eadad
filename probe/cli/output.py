"""Lines on standard output, as text or as JSON; what stands beside the result goes to standard error."""

import stat
import sys
from os import fstat
from typing import IO, Any

import click
import msgspec

_encode = msgspec.json.Encoder().encode


def json_line(record: dict[str, Any]) -> str:
    """Write a record as one JSON object."""
    return _encode(record).decode()


class Lines:
    """Writes lines, each at once where somebody may be reading along."""

    def __init__(self, *, live: bool) -> None:
        self._live = live or sys.stdout.isatty()

    def write(self, line: str) -> None:
        """Write one line."""
        sys.stdout.write(line + "\n")
        if self._live:
            sys.stdout.flush()

    def flush(self) -> None:
        """Write out what waits."""
        sys.stdout.flush()


def is_live(source: IO[bytes]) -> bool:
    """Whether more may yet be written to what is read: a pipe or a terminal, not a file."""
    try:
        return not stat.S_ISREG(fstat(source.fileno()).st_mode)
    except (OSError, AttributeError):
        return False


def note(text: str) -> None:
    """Say something beside the result."""
    click.echo(f"tribes-probe: {text}", err=True)
