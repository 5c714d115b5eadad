"""The kernel's tables of sockets, and whose they are as far as this user may see."""

import contextlib
import ipaddress
import os
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from probe.doctor import files

LISTEN: Final = 0x0A
MOST_PROCESSES: Final = 100_000
_LINK: Final = re.compile(r"socket:\[(\d+)\]")


class Socket(msgspec.Struct, frozen=True):
    """One line of /proc/net/udp, udp6, tcp or tcp6; ``waiting`` bytes are received and not read yet."""

    address: str
    port: int
    state: int
    waiting: int
    uid: int
    inode: int
    drops: int = 0


class Owner(msgspec.Struct, frozen=True):
    """Who holds a socket; ``pid`` 0 where this user may not see it."""

    pid: int = 0
    name: str = ""
    uid: int = 0

    def __str__(self) -> str:
        return f"{self.name} (pid {self.pid})" if self.pid else f"user {self.uid} (root may see the process)"


def read_sockets(protocol: str, root: Path = Path("/")) -> Iterator[Socket]:
    """Yield the sockets of "udp" or "tcp", IPv6 too where it is on. Raises OSError."""
    for name in (protocol, f"{protocol}6"):
        path = root / "proc/net" / name
        if name.endswith("6") and not path.exists():
            continue
        for line in files.lines(path)[1:]:
            with contextlib.suppress(ValueError, IndexError):
                yield _read(line.split())


def _read(fields: list[str]) -> Socket:
    host, port = fields[1].split(":")
    return Socket(
        address=_address(host),
        port=int(port, 16),
        state=int(fields[3], 16),
        waiting=int(fields[4].split(":")[1], 16),
        uid=int(fields[7]),
        inode=int(fields[9]),
        drops=int(fields[12]) if len(fields) > 12 and fields[12].isdecimal() else 0,  # noqa: PLR2004
    )


def _address(text: str) -> str:
    """Read an address that is written as words of this machine's order."""
    words = [int(text[at : at + 8], 16) for at in range(0, len(text), 8)]
    address = ipaddress.ip_address(b"".join(struct.pack("=I", word) for word in words))
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def owners(sockets: list[Socket], root: Path = Path("/")) -> dict[int, Owner]:
    """Return who holds each of these sockets, by inode."""
    found = {one.inode: Owner(uid=one.uid) for one in sockets}
    missing = set(found)
    for folder in processes(root) if missing else ():
        with contextlib.suppress(OSError):
            for entry in os.scandir(folder / "fd"):
                with contextlib.suppress(OSError):
                    match = _LINK.fullmatch(str(Path(entry.path).readlink()))
                    inode = int(match[1]) if match else 0
                    if inode in missing:
                        found[inode] = Owner(int(folder.name), files.word(folder / "comm"), found[inode].uid)
                        missing.discard(inode)
        if not missing:
            break
    return found


def processes(root: Path = Path("/")) -> list[Path]:
    """Return the folders of the processes that this user may see, oldest number first."""
    numbers = [name for name in os.listdir(root / "proc") if name.isdecimal()]  # noqa: PTH208  # names are enough
    return [root / "proc" / name for name in sorted(numbers, key=int)[:MOST_PROCESSES]]
