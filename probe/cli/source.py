"""What ``decode`` and ``replay`` read: a file, or standard input for ``-``."""

import io
from typing import IO, cast

import click

FILE = click.argument("source", metavar="FILE", type=click.File("rb"))
"""The argument; ``peekable`` makes its value readable twice at the start."""


def peekable(source: IO[bytes]) -> io.BufferedReader:
    """Return the same source with ``peek``."""
    if hasattr(source, "peek"):
        return cast("io.BufferedReader", source)
    return io.BufferedReader(cast("io.RawIOBase", source))


def name(source: IO[bytes]) -> str:
    """Return what to call it in a message."""
    called = getattr(source, "name", "-")
    return "standard input" if called in ("-", "<stdin>") or not isinstance(called, str) else called
