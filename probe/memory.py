"""What outlives the probe: who was learned, one file for each group in the state directory.

A file is replaced as a whole or not at all. One that cannot be used is put aside, never deleted or overwritten.
"""

import asyncio
import contextlib
import errno
import os
import stat
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import msgspec

from probe.fields import host_port, shown
from probe.model.learning import LEARNED_SHARE, Learned
from probe.model.rules import Rules

FORMAT: Final = 1
"""Version of the file."""
LARGEST: Final = 8 * 2**20
"""bytes of a file: as many members as are ever learned, each with the longest domain."""
MOST: Final = Rules().capacity // LEARNED_SHARE
"""members in a file."""
NOT_KEPT: Final = "learned members last only until the probe stops: state_directory is not set, nor systemd's"
AGAIN_AFTER: Final = 60.0
"""seconds until what could not be written is tried again."""
_PRIVATE: Final = 0o600
_MOST_ASIDE: Final = 100
"""Files put aside within one second that are told apart."""


class DamagedError(Exception):
    """A file cannot be used; one line: which, why, and what became of it."""


class _Version(msgspec.Struct, frozen=True):
    version: int


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    member: str
    domain: Annotated[str, msgspec.Meta(max_length=4096)]


class _Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    group: str
    learned: Annotated[list[_Entry], msgspec.Meta(max_length=MOST)]


class Memory:
    """One group's file; ``place`` is its address and port, the file's name and the group within it."""

    def __init__(self, folder: Path, place: str) -> None:
        self.folder = folder
        self.place = place
        self.path = folder / f"learned-{place}.json"
        self._foreign = False
        """Whether what lies there is not ours to replace."""
        self._lock = threading.Lock()

    def obstacle(self) -> str:
        """Say why nothing can be written, as far as that shows beforehand."""
        if not self.folder.is_dir():
            return f"{self.folder} is no folder"
        return "" if os.access(self.folder, os.W_OK | os.X_OK) else f"{self.folder} cannot be written to"

    def read(self) -> frozenset[Learned]:
        """Return who was learned, nobody where there is no file; raises ``DamagedError``."""
        try:
            return _decode(_read(self.path), self.place)
        except FileNotFoundError:
            return frozenset()
        except (OSError, ValueError) as error:
            self._foreign = True
            why = error.strerror if isinstance(error, OSError) else str(error)
            raise DamagedError(f"{self.path} cannot be used: {why}: {self._say_aside()}") from None

    def _say_aside(self) -> str:
        try:
            return f"it is kept as {self._put_aside().name}, nobody is remembered"
        except OSError as error:
            return f"it cannot be put aside either ({error.strerror}), so nothing is saved there"

    def _put_aside(self) -> Path:
        """Give what lies there a name of its own; raises OSError."""
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        for number in range(_MOST_ASIDE):
            ending = f"{stamp}-{number}" if number else stamp
            aside = self.path.with_name(f"{self.path.name}.damaged-{ending}")
            if not os.path.lexists(aside):
                self.path.rename(aside)
                self._foreign = False
                return aside
        raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))

    def write(self, learned: Iterable[Learned]) -> None:
        """Replace the file; return when it is safe on the disk. Raises OSError, and then the old one stays."""
        content = _encode(self.place, learned)
        with self._lock:
            if self._foreign and os.path.lexists(self.path):
                self._put_aside()
            _replace(self.path, content)


def _read(path: Path) -> bytes:
    """Return a file's bytes; raises OSError, and ValueError for what is no plain file of that size."""
    # a link may lead anywhere, and a pipe would keep us waiting
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is no plain file")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(LARGEST + 1)
    finally:
        os.close(descriptor)
    if len(data) > LARGEST:
        raise ValueError(f"it is larger than {LARGEST // 2**20} MiB")
    return data


def _decode(data: bytes, place: str) -> frozenset[Learned]:
    """Read a file's content; raises ValueError with the reason."""
    try:
        version = msgspec.json.decode(data, type=_Version).version
        content = msgspec.json.decode(data, type=_Content) if version == FORMAT else None
    except msgspec.ValidationError as error:
        raise ValueError(f"it is no list of members: {error}") from None
    except (ValueError, RecursionError):
        raise ValueError("it is cut off or no JSON") from None
    if content is None:
        raise ValueError(f"it is of version {version}, this probe reads version {FORMAT}")
    if content.group != place:
        raise ValueError("it is of another group")
    return frozenset(Learned(_member(one.member), bytes.fromhex(one.domain)) for one in content.learned)


def _member(name: str) -> str:
    if host_port(name) != name or "%" in name:
        raise ValueError(f"{shown(name)} is not how a member is written")
    return name


def _encode(place: str, learned: Iterable[Learned]) -> bytes:
    entries = [_Entry(one.member, one.domain.hex()) for one in sorted(learned)]
    return msgspec.json.format(msgspec.json.encode(_Content(FORMAT, place, entries)), indent=1) + b"\n"


def _replace(path: Path, content: bytes) -> None:
    """Put a file there by way of a new one: whoever reads finds the old or the new content. Raises OSError."""
    fresh = path.with_name(f".{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()  # of a probe that was killed while it wrote
    try:
        _write(fresh, content)
        fresh.rename(path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)  # else the name may be lost with the power
    finally:
        os.close(folder)


def _write(path: Path, content: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, _PRIVATE)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


Changed = Callable[[str], None]
"""Why nothing can be saved; empty when it can again."""


class Keeper:
    """Saves what one group learned, beside the loop: at a change, and again after a failure.

    ``saved`` tells whether all is safe on the disk; ``changed`` is told when that ends and when it is so again.
    """

    def __init__(self, memory: Memory, changed: Changed) -> None:
        self.memory = memory
        self.saved = True
        self._why = ""
        self._changed = changed
        self._wanted: frozenset[Learned] = frozenset()
        self._written: frozenset[Learned] = frozenset()
        self._news = asyncio.Event()

    def recall(self) -> frozenset[Learned]:
        """Return who was learned before; raises ``DamagedError``, and then it was nobody.

        Says now, not after an hour, that nothing can be saved.
        """
        self._why = self.memory.obstacle()
        self._tell()
        self._wanted = self._written = self.memory.read()
        return self._written

    def keep(self, learned: frozenset[Learned]) -> None:
        """Have these be saved."""
        if learned != self._wanted:
            self._wanted = learned
            self._news.set()

    async def run(self) -> None:
        """Save until cancelled; what is not saved then is saved at once."""
        try:
            while True:
                await self._until_news()
                await asyncio.to_thread(self._save)
                self._tell()
        finally:
            if self._wanted != self._written:
                self._save()
                self._tell()

    async def _until_news(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if self.saved else AGAIN_AFTER):
                await self._news.wait()
        self._news.clear()

    def _save(self) -> None:
        wanted = self._wanted
        try:
            self.memory.write(wanted)
        except OSError as error:
            self._why = f"{self.memory.path}: {error.strerror or error}"
        else:
            self._written, self._why = wanted, ""

    def _tell(self) -> None:
        if self.saved is bool(self._why):
            self.saved = not self._why
            self._changed(self._why)
