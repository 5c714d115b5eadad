"""What each marked group of tests needs of the machine, and what to do where it is missing."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final


def _programs(*names: str) -> Callable[[], str | None]:
    def missing() -> str | None:
        absent = [name for name in names if shutil.which(name) is None]
        return f"{', '.join(absent)} not found: run make test as root once, or install it" if absent else None

    return missing


def _root() -> str | None:
    if os.geteuid() != 0:
        return "network namespaces need root: run make test as root"
    return _programs("ip", "nft")()


def _httpd() -> str | None:
    if not Path("/usr/lib/apache2/modules/mod_jk.so").exists():
        return "Apache httpd's mod_jk not found: run make test as root once, or install libapache2-mod-jk"
    return _programs("apache2", "unshare")()


NEEDS: Final[dict[str, Callable[[], str | None]]] = {
    "tomcat": _programs("javac", "mvn"),
    "netns": _root,
    "tshark": _programs("tshark"),
    "promtool": _programs("promtool"),
    "alertmanager": _programs("promtool", "prometheus", "amtool", "prometheus-alertmanager"),
    "browser": _programs("chromium"),
    "systemd": _programs("systemd-analyze"),
    "httpd": _httpd,
    "faketime": _programs("faketime"),
}
"""Marker to a question that returns why its tests cannot run, or None."""

REQUIRED: Final = os.environ.get("CI") == "true"
"""Whether a missing tool is a failure."""


def missing(marker: str) -> str | None:
    """Return why the tests of a group cannot run here."""
    return NEEDS[marker]()
