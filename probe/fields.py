"""Reads one mapping of a settings file field by field, and gathers every mistake with its place and remedy."""

import difflib
import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

T = TypeVar("T")

_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|s|m|h|d)")
_LONGEST_SHOWN: Final = 60


class ConfigError(Exception):
    """Settings that cannot be used; one line a mistake: file, place, what is wrong, what to do."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def duration(value: object) -> float:
    """Return seconds from "500ms", "3s", "1.5m", "1h", "2d" or 0; raises ValueError with the remedy."""
    if value == 0 and not isinstance(value, bool):
        return 0.0
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError(
            f"{shown(value)} is no duration: write a number with its unit, such as 500ms, 3s, 1m or 1h"
        )
    return float(match[1]) * _UNITS[match[2]]


def host_port(value: object) -> str:
    """Return "10.0.0.1:4000" or "[2001:db8::7]:4000" in its one spelling; raises ValueError."""
    host, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
        number = int(port) if port.isdecimal() else 0
        if not 0 < number < 65536 or (address.version == 6 and not host.startswith("[")):  # noqa: PLR2004
            raise ValueError  # noqa: TRY301  # one remedy for all
    except ValueError:
        raise ValueError(f"{shown(value)} is no member: write address:port, such as 10.0.0.1:4000") from None
    return f"[{address}]:{number}" if address.version == 6 else f"{address}:{number}"  # noqa: PLR2004


def domain(word: str) -> bytes:
    """Encode as ``McastService.setDomain`` does: ISO-8859-1, or a list of signed bytes in braces."""
    if not word.startswith("{"):
        return word.encode("latin-1", "replace")
    try:
        return bytes(int(part) & 0xFF for part in word.strip("{}").split(","))
    except ValueError:
        raise ValueError(f"{shown(word)} is no list of bytes: write {{1,-2,3}} or a word") from None


def listen_address(value: object) -> tuple[str, int]:
    """Split ":10564", "127.0.0.1:0", "[::1]:9999" or "localhost:80"; raises ValueError with the remedy."""
    host, separator, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    if not separator or not port.isdecimal() or int(port) > 65535:  # noqa: PLR2004
        raise ValueError(f"{shown(value)} is no listen address: write :10564, 127.0.0.1:10564 or [::1]:10564")
    return host.removeprefix("[").removesuffix("]"), int(port)


def shown(value: object) -> str:
    """Return a value as a mistake shows it: printable, short."""
    text = value if isinstance(value, str) else repr(value)
    text = text if text.isprintable() else repr(text)
    return f'"{text[:_LONGEST_SHOWN]}…"' if len(text) > _LONGEST_SHOWN else f'"{text}"'


class Fields:
    """One mapping at a place of a file. Each reader takes a key out; ``close`` reports what was not known."""

    def __init__(self, value: object, file: str, place: str, problems: list[str]) -> None:
        self.file = file
        self.place = place
        self.problems = problems
        self._known: list[str] = []
        self._values: dict[str, Any] = {}
        if isinstance(value, dict):
            self._values = {str(key): item for key, item in value.items()}
        elif value is not None:
            self.report("", f"{shown(value)} is no mapping: write key: value lines")

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def names(self) -> tuple[str, ...]:
        """Return the keys that are written."""
        return tuple(self._values)

    def report(self, key: str, message: str) -> None:
        """Note a mistake at a key."""
        place = ".".join(part for part in (self.place, key) if part)
        self.problems.append(f"{self.file}: {place}: {message}" if place else f"{self.file}: {message}")

    def take(self, key: str, convert: Callable[[Any], T], default: T) -> T:
        """Return the converted value of a key, its default when it is absent or wrong (and then reported)."""
        self._known.append(key)
        if key not in self._values:
            return default
        try:
            return convert(self._values[key])
        except ValueError as error:
            self.report(key, str(error))
            return default

    def inner(self, key: str) -> "Fields":
        """Return the mapping under a key."""
        self._known.append(key)
        place = f"{self.place}.{key}" if self.place else key
        return Fields(self._values.get(key), self.file, place, self.problems)

    def items(self, key: str) -> list["Fields"]:
        """Return the list of mappings under a key."""
        self._known.append(key)
        values = self._values.get(key)
        if values is None:
            return []
        if not isinstance(values, list):
            self.report(key, f"{shown(values)} is no list: begin each item with a dash")
            return []
        place = f"{self.place}.{key}" if self.place else key
        return [Fields(value, self.file, f"{place}[{i}]", self.problems) for i, value in enumerate(values)]

    def close(self) -> None:
        """Report every key that nobody asked for."""
        for key in self._values:
            if key in self._known:
                continue
            near = difflib.get_close_matches(key, self._known, n=1)
            remedy = f'did you mean "{near[0]}"?' if near else f"known are {', '.join(sorted(self._known))}"
            self.report(key, f"unknown setting: {remedy}")


def positive(convert: Callable[[object], float]) -> Callable[[object], float]:
    """Return a converter that also refuses zero."""

    def checked(value: object) -> float:
        number = convert(value)
        if number <= 0:
            raise ValueError(f"{shown(value)} is not above zero")
        return number

    return checked


def text(value: object) -> str:
    """Accept a string."""
    if not isinstance(value, str) or not value:
        raise ValueError(f"{shown(value)} is no text: quote it")
    return value


def texts(value: object) -> tuple[str, ...]:
    """Accept a string or a list of strings."""
    return tuple(text(item) for item in value) if isinstance(value, list) else (text(value),)


def switch(value: object) -> bool:
    """Accept true or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{shown(value)} is neither true nor false")  # noqa: TRY004  # one kind of mistake
    return value


def mapping(key: Callable[[object], str], item: Callable[[object], str]) -> Callable[[object], dict[str, str]]:
    """Return a converter for a mapping of texts; what is wrong with an item is said with its key."""

    def checked(value: object) -> dict[str, str]:
        if not isinstance(value, dict):
            raise ValueError(f"{shown(value)} is no mapping: write name: value lines")  # noqa: TRY004  # one kind
        found = {}
        for name, held in value.items():
            try:
                found[key(name)] = item(held)
            except ValueError as error:
                raise ValueError(f"{shown(name)}: {error}") from None
        return found

    return checked


def whole(low: int, high: int) -> Callable[[object], int]:
    """Return a converter for whole numbers between two bounds."""

    def checked(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"{shown(value)} is no whole number from {low} to {high}")
        return value

    return checked


def choice(*options: str) -> Callable[[object], str]:
    """Return a converter for one of some words."""

    def checked(value: object) -> str:
        # YAML reads a bare off as false
        word = "off" if value is False and "off" in options else value
        if word not in options:
            raise ValueError(f"{shown(value)} is none of {', '.join(options)}")
        return str(word)

    return checked
