"""System properties that a JVM is started with: options one a line, or the text of a setenv.sh."""

import re
from pathlib import Path
from typing import Final

from probe.fields import ConfigError

LARGEST_FILE: Final = 2**20
"""bytes of a file of options."""

_OPTION: Final = re.compile(r"""(?:^|[\s"'=])-D([^\s="']{1,200})(?:=("[^"]*"|'[^']*'|[^\s"']*))?""")


def read_jvm_options(path: Path) -> dict[str, str]:
    """Return the properties of every ``-Dname=value`` in a file; comments do not count. Raises ConfigError."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigError([f"{path}: cannot be read: {error.strerror}"]) from None
    if len(data) > LARGEST_FILE:
        raise ConfigError([f"{path}: is larger than {LARGEST_FILE} bytes: no file of JVM options"])
    return parse_jvm_options(data.decode("utf-8", "replace"))


def parse_jvm_options(text: str) -> dict[str, str]:
    """Return the properties that options set; the last of a name counts, as in a JVM."""
    lines = (line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return {match[1]: (match[2] or "").strip("\"'") for line in lines for match in _OPTION.finditer(line)}
