"""Placeholders of a server.xml, ``${name}`` and ``${name:-default}``, as Tomcat's Digester resolves them."""

import re
from pathlib import Path
from typing import Final

from probe.fields import ConfigError

LARGEST_FILE: Final = 2**20
"""bytes of a catalina.properties."""
DEEPEST: Final = 20
"""Rounds of replacement (``IntrospectionUtils.replaceProperties``)."""

_PLACEHOLDER: Final = re.compile(r"\$\{([^}]*)\}")
_LINE: Final = re.compile(r"\s*((?:\\.|[^\s:=\\])+)\s*[=:\s]\s*(.*)", re.DOTALL)
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
    joined = re.sub(r"(?<!\\)((?:\\\\)*)\\\r?\n[ \t\f]*", r"\1", text)
    found = {}
    for line in joined.splitlines():
        match = _LINE.fullmatch(line)
        if match and not line.lstrip().startswith(("#", "!")):
            found[_unescape(match[1])] = _unescape(match[2])
    return found


def _unescape(text: str) -> str:
    def replace(match: re.Match[str]) -> str:
        escape = match[1]
        return chr(int(escape[1:], 16)) if len(escape) > 1 else _ESCAPED.get(escape, escape)

    return _ESCAPE.sub(replace, text)


def resolve(value: str, properties: dict[str, str]) -> str:
    """Replace placeholders as far as they are known; an unknown one without a default stays."""

    def replace(match: re.Match[str]) -> str:
        name, separator, default = match[1].partition(":-")
        known = properties.get(match[1], properties.get(name))
        return known if known is not None else default if separator else match[0]

    for _ in range(DEEPEST):
        replaced = _PLACEHOLDER.sub(replace, value)
        if replaced == value or len(replaced) > LARGEST_FILE:
            break
        value = replaced
    return value


def unresolved(value: str) -> str | None:
    """Return the name of a placeholder that is left, if one is."""
    match = _PLACEHOLDER.search(value)
    return match[1] if match else None
