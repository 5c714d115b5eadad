"""Placeholders of a server.xml, ``${name}`` and ``${name:-default}``, as Tomcat's Digester resolves them."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from probe.fields import ConfigError

LARGEST_FILE: Final = 2**20
"""bytes of a catalina.properties."""
DEEPEST: Final = 20
"""Rounds of replacement (``IntrospectionUtils.replaceProperties``)."""

_PLACEHOLDER: Final = re.compile(r"\$\{([^}]*)\}")
_LINE: Final = re.compile(r"\s*((?:\\.|[^\s:=\\])+)(?:\s*[=:\s]\s*(.*))?", re.DOTALL)
_ENDS: Final = re.compile(r"\r\n|\r|\n")
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_ESCAPED: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


def read_properties(path: Path) -> dict[str, str]:
    """Read a Java properties file; a file that is not there has none. Raises ``ConfigError``."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    if len(data) > LARGEST_FILE:
        raise ConfigError([f"{path}: is larger than {LARGEST_FILE} bytes: no properties file"])
    return parse_properties(data.decode("latin-1"))


def parse_properties(text: str) -> dict[str, str]:
    """Parse ``java.util.Properties`` text: comments, continued lines, escapes."""
    return {
        _unescape(match[1]): _unescape(match[2] or "")
        for line in _logical_lines(text)
        if (match := _LINE.fullmatch(line))
    }


def _logical_lines(text: str) -> Iterator[str]:
    """Join lines that end with an odd number of backslashes with the next; comments never continue."""
    begun = ""
    for line in _ENDS.split(text):
        part = line.lstrip(" \t\f")
        if not begun and part.startswith(("#", "!")):
            continue
        if (len(part) - len(part.rstrip("\\"))) % 2:
            begun += part[:-1]
            continue
        yield begun + part
        begun = ""
    yield begun


def _unescape(text: str) -> str:
    def replace(match: re.Match[str]) -> str:
        escape = match[1]
        return chr(int(escape[1:], 16)) if len(escape) > 1 else _ESCAPED.get(escape, escape)

    return _ESCAPE.sub(replace, text)


def resolve(value: str, properties: dict[str, str]) -> str:
    """Replace placeholders as far as they are known; an unknown one without a default stays."""
    room = LARGEST_FILE

    def replace(match: re.Match[str]) -> str:
        nonlocal room
        name, separator, default = match[1].partition(":-")
        known = properties.get(match[1], properties.get(name))
        text = known if known is not None else default if separator else match[0]
        room -= len(text)
        return text if room > 0 else match[0]  # names that grow when replaced end here

    for _ in range(DEEPEST):
        end = value.rfind("}") + 1  # beyond it the pattern would look for a brace from every place, to the end
        replaced = _PLACEHOLDER.sub(replace, value[:end]) + value[end:]
        if replaced == value or room <= 0:
            break
        value = replaced
    return value


def unresolved(value: str) -> str | None:
    """Return the name of a placeholder that is left, if one is."""
    match = _PLACEHOLDER.search(value[: value.rfind("}") + 1])
    return match[1] if match else None
