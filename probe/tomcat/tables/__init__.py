"""What each release of Tomcat knows below <Cluster>: classes and attributes, compared with its own classes."""

import csv
import difflib
import functools
import tomllib
from collections.abc import Iterable
from importlib import resources
from typing import Any, Final

import msgspec

from probe.tomcat.release import Release, first_of, parse_release

OPEN: Final = frozenset({"org.apache.catalina.tribes.membership.cloud.CloudMembershipService"})
"""Classes that take any attribute (``setProperty``)."""
_CLOSE: Final = 0.8
UNTOLD: Final = "8.0"
"""A branch of which is known only what is the same on both sides of it."""
_PACKAGES: Final = (
    "org.apache.catalina.ha.",
    "org.apache.catalina.tribes.",
    "org.apache.catalina.cluster.",
)


class JavaClass(msgspec.Struct, frozen=True):
    """A class of Tomcat's cluster packages and the element that names it, "" for none."""

    name: str
    element: str
    since: tuple[Release, ...]
    removed_in: Release | None
    replacement: str

    @property
    def short(self) -> str:
        """Return the name without its package."""
        return self.name.rpartition(".")[2]

    def is_in(self, release: Release) -> bool:
        """Tell whether a release has it."""
        return release.has(self.since) and (self.removed_in is None or release < self.removed_in)


class Attribute(msgspec.Struct, frozen=True):
    """An attribute of a class: what its setter takes, and Tomcat's default as text, "" if it has none."""

    name: str
    kinds: frozenset[str]
    default: str
    since: tuple[Release, ...]
    until: Release | None

    def is_in(self, release: Release) -> bool | None:
        """Tell whether a release has it; None if nobody looked."""
        if release.branch == UNTOLD and (
            self.since == (first_of("8.5"),) or self.until == parse_release("7.0")
        ):
            return None
        return release.has(self.since) and (self.until is None or release <= self.until)


@functools.cache
def classes() -> dict[str, JavaClass]:
    """Return every class by its full name."""
    return {
        row["class"]: JavaClass(
            row["class"],
            row["element"],
            _since(row["since"]),
            first_of(row["removed_in"]) if row["removed_in"] else None,
            row["replacement"],
        )
        for row in _rows("classes.csv")
    }


@functools.cache
def attributes(class_name: str) -> dict[str, Attribute]:
    """Return the attributes of a class by name; of a class whose attributes are not known, none."""
    return {
        row["attribute"]: Attribute(
            row["attribute"],
            frozenset(row["type"].split("/")),
            row["default"],
            _since(row["since"]),
            parse_release(row["until"]) if row["until"] else None,
        )
        for row in _all_attributes()
        if row["class"] == class_name
    }


def is_tomcats(class_name: str) -> bool:
    """Tell whether a class, by its package, can only be one of Tomcat's cluster."""
    return class_name.startswith(_PACKAGES)


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the name that was probably meant."""
    names = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.7)
    return names[found[0]] if found else None


def is_close(word: str, name: str) -> bool:
    """Tell whether a name is so near that it can hardly be another that was meant."""
    return difflib.SequenceMatcher(None, word.lower(), name.lower()).ratio() >= _CLOSE


@functools.cache
def advisories() -> list[dict[str, Any]]:
    """Return the known vulnerabilities of the cluster, as advisories.toml has them."""
    text = resources.files(__package__).joinpath("advisories.toml").read_text("utf-8")
    found: list[dict[str, Any]] = tomllib.loads(text)["advisory"]
    return found


def _since(text: str) -> tuple[Release, ...]:
    """Read the first release of each branch that got something."""
    return tuple(map(first_of, text.split()))


@functools.cache
def _all_attributes() -> list[dict[str, str]]:
    return _rows("attributes.csv")


def _rows(name: str) -> list[dict[str, str]]:
    text = resources.files(__package__).joinpath(name).read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))
