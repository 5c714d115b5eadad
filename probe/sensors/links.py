"""Looks every two seconds to whom this host's Tomcat has connections; needs no privilege, sends nothing."""

import asyncio
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from probe.model.link import Connection
from probe.sensors.sockdiag import list_connections

PACE: Final = 2.0
"""seconds between two looks."""


class Look:
    """One group's looks at sockets with a port between ``ports``.

    ``take`` gets this host's without the probe's own, ``fail`` why the kernel does not say.
    """

    def __init__(
        self,
        ports: tuple[int, int],
        take: Callable[[list[Connection]], None],
        fail: Callable[[str], None],
    ) -> None:
        self._ports = ports
        self._take = take
        self._fail = fail

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(PACE)

    def look(self) -> None:
        """Look once. The kernel answers at once, and lets through only what may be a receiver's."""
        try:
            found = list_connections(self._ports)
        except OSError as error:
            self._fail(f"the kernel does not tell of its sockets: {error.strerror}")
            return
        own = _own() if found else frozenset()
        self._take([one for one in found if one.inode not in own or not one.inode])


def _own() -> frozenset[int]:
    """Return the inodes of this process' sockets: it asks receivers, too."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            status = os.fstat(int(entry.name))
        except OSError:  # the listing's own, closed by now
            continue
        if stat.S_ISSOCK(status.st_mode):
            found.add(status.st_ino)
    return frozenset(found)
