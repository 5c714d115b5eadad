"""A Tomcat's release: what a person writes for it, what an installation says of itself."""

import re
import zipfile
from pathlib import Path
from typing import Final

import msgspec

from probe.fields import shown

BRANCHES: Final = ("6.0", "7.0", "8.0", "8.5", "9.0", "10.0", "10.1", "11.0", "12.0")
"""12.0 is what ``main`` becomes."""

_TEXT: Final = re.compile(
    r"(\d{1,3})(?:\.(\d{1,3})(?:\.(\d{1,4})(?:[.-]?(?:M|RC)(\d{1,3})|\.\d{1,4})?)?)?", re.IGNORECASE
)
_SHORT: Final = {"6": "6.0", "7": "7.0", "9": "9.0", "11": "11.0", "12": "12.0", "main": "12.0"}
_LATEST: Final = 1_000_000
"""The patch of a branch named without one: its last."""
_INFO: Final = "org/apache/catalina/util/ServerInfo.properties"
_LARGEST_INFO: Final = 65_536
_NUMBER: Final = re.compile(r"^server\.number=(\S+)", re.MULTILINE)
_DEBIAN: Final = re.compile(r"tomcat\d+")


class Release(msgspec.Struct, frozen=True, order=True):
    """A release, or a whole branch when ``patch`` is not known. A milestone comes before its release."""

    major: int
    minor: int
    patch: int = _LATEST
    milestone: int = _LATEST

    @property
    def branch(self) -> str:
        """Return "9.0"."""
        return f"{self.major}.{self.minor}"

    @property
    def is_exact(self) -> bool:
        """Whether more than the branch is known."""
        return self.patch != _LATEST

    def __str__(self) -> str:
        if self.milestone == 0:
            return self.branch
        patch = f".{self.patch}" if self.is_exact else ""
        return f"{self.branch}{patch}{f'-M{self.milestone}' if self.milestone != _LATEST else ''}"

    def has(self, since: "tuple[Release, ...]") -> bool:
        """Tell whether something is there that came with these releases, one for each branch that got it."""
        own = [one for one in since if one.branch == self.branch]
        return self >= own[0] if own else self > max(since)


def parse_release(text: str) -> Release:
    """Read "9", "9.0", "9.0.113", "10.1.0-M15" or "main"; raises ValueError with the remedy."""
    match = _TEXT.fullmatch(_SHORT.get(text, text))
    if match is None or match[2] is None or f"{match[1]}.{match[2]}" not in BRANCHES:
        raise ValueError(f"{shown(text)} is no Tomcat release: write one of {', '.join(BRANCHES)}, or 9.0.113")
    numbers = [int(part) if part else _LATEST for part in match.groups()]
    return Release(*numbers)


def first_of(text: str) -> Release:
    """Read a release; of a branch its very first one, milestones included."""
    major, minor, *_ = text.split(".")
    return parse_release(text) if text.count(".") > 1 else Release(int(major), int(minor), 0, 0)


def find_release(server_xml: Path, home: str = "") -> tuple[Release, Path] | None:
    """Return the release of the installation that a server.xml belongs to, and the jar that says it.

    ``home`` is the JVM's catalina.home, where that is known.
    """
    for jar in _jars(server_xml.absolute(), home):
        release = _read_jar(jar)
        if release is not None:
            return release, jar
    return None


def _jars(server_xml: Path, home: str) -> list[Path]:
    """Return where catalina.jar may be: at home, beside conf, or in Debian's place for /etc/tomcat9."""
    folder = server_xml.parent
    homes = [Path(home), folder.parent] if home else [folder.parent]
    if _DEBIAN.fullmatch(folder.name):
        homes.append(Path("/usr/share") / folder.name)
    return [home / "lib/catalina.jar" for home in homes]


def _read_jar(path: Path) -> Release | None:
    try:
        with zipfile.ZipFile(path) as jar, jar.open(_INFO) as file:
            match = _NUMBER.search(file.read(_LARGEST_INFO).decode("latin-1"))
        return parse_release(match[1]) if match else None
    except (OSError, KeyError, ValueError, NotImplementedError, RuntimeError, zipfile.BadZipFile):
        return None
