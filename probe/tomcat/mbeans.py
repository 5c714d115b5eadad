"""What the Manager's jmxproxy answers to a query: a dump of MBeans as ``MBeanDumper.dumpBeans`` writes it.

A count, then for each bean its name, its class and its attributes, a line each, ended by CR LF. An array has
its items on lines of their own behind a tab. A value with a line feed in it is folded: the line feed becomes
a backslash and an n, and LF SPACE follows it and every 78 characters (``MBeanDumper.escape``).
"""

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from probe.fields import shown

MOST: Final = 10_000
"""Beans, or items of one array."""


class UnreadableError(Exception):
    """An answer is no such dump, or not of what was asked for; one line."""


class Bean(msgspec.Struct, frozen=True):
    """One MBean: its object name, its class, its attributes; an array's value is a tuple."""

    name: str
    kind: str
    attributes: dict[str, str | tuple[str, ...]]


_COUNT: Final = re.compile(r"OK - Number of results: (\d{1,9})\r?\n\r?\n")
_ATTRIBUTE: Final = re.compile(r"([^ :=\r\n\t]+): (.*)", re.DOTALL)
_ARRAY: Final = re.compile(r"Array\[[^\]\s]+\] of length (\d{1,9})")
_REFUSED: Final = "Error - "
_NO_DUMP: Final = "its answer is no dump of MBeans: is it the address of a Manager's jmxproxy?"


def read_beans(text: str) -> list[Bean]:
    """Read a whole dump; raises ``UnreadableError`` with the reason."""
    if text.startswith(_REFUSED):
        said = text.removeprefix(_REFUSED).splitlines()
        raise UnreadableError(f"its jmxproxy refuses the question: {shown(said[0] if said else '')}")
    count = _COUNT.match(text)
    if count is None:
        raise UnreadableError(_NO_DUMP)
    wanted = int(count[1])
    if wanted > MOST:
        raise UnreadableError(f"its answer has {wanted} MBeans, more than {MOST}")
    lines = _Lines(text[count.end() :])
    beans = [_read_bean(lines) for _ in range(wanted)]
    if lines.next() is not None:
        raise UnreadableError(f"its answer goes on after {wanted} MBeans")
    return beans


class _Lines:
    """The lines, unfolded; each must be whole."""

    def __init__(self, text: str) -> None:
        self._lines = self._split(text)

    def _split(self, text: str) -> Iterator[str]:
        *whole, rest = text.split("\r\n")
        for line in whole:
            yield line.replace("\\n\n ", "\n").replace("\n ", "") if "\n" in line else line
        if rest:
            raise UnreadableError(f"its answer ends within a line: {shown(rest)}")

    def next(self) -> str | None:
        return next(self._lines, None)

    def some(self) -> str:
        line = self.next()
        if line is None:
            raise UnreadableError("its answer ends within an MBean")
        return line


def _read_bean(lines: _Lines) -> Bean:
    name = _read_head(lines.some(), "Name")
    kind, attributes = "", dict[str, str | tuple[str, ...]]()
    while line := lines.some():
        key, value = _read_pair(line)
        if key in attributes or (key == "modelerType" and kind):
            raise UnreadableError(f"its answer says {shown(key)} of {shown(name)} twice")
        if key == "modelerType":
            kind = value
            continue
        array = _ARRAY.fullmatch(value)
        attributes[key] = _read_items(lines, int(array[1])) if array is not None else value
    return Bean(name, kind, attributes)


def _read_head(line: str, key: str) -> str:
    found, value = _read_pair(line)
    if found != key:
        raise UnreadableError(f"its answer has {shown(line)} where an MBean should begin")
    return value


def _read_pair(line: str) -> tuple[str, str]:
    pair = _ATTRIBUTE.fullmatch(line)
    if pair is None:
        raise UnreadableError(f"its answer has {shown(line)} where an attribute should stand")
    return pair[1], pair[2]


def _read_items(lines: _Lines, count: int) -> tuple[str, ...]:
    if count > MOST:
        raise UnreadableError(f"its answer has an array of {count} items, more than {MOST}")
    items = []
    for _ in range(count):
        line = lines.some()
        if not line.startswith("\t"):
            raise UnreadableError(f"its answer has {shown(line)} where an item of an array should stand")
        items.append(line[1:])
    return tuple(items)
