"""What outlives the probe: whole or not at all, whatever lies there, however it ends, however full the disk."""

import asyncio
import errno
import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe import memory as module
from probe.memory import LARGEST, MOST, DamagedError, Keeper, Memory
from probe.model.learning import Learned

PLACE = "228.0.0.4-45564"
NAME = f"learned-{PLACE}.json"
OLD = frozenset({Learned("10.0.0.1:4000", b"shop"), Learned("[fd77::3]:4000")})
NEW = frozenset({Learned(f"10.0.1.{n}:4000", bytes([n])) for n in range(40)})


@pytest.fixture(name="memory")
def _memory(tmp_path: Path) -> Memory:
    """Give a memory in a folder of its own."""
    return Memory(tmp_path, PLACE)


def names(folder: Path) -> list[str]:
    """Return what lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


# -- what is written is read


MEMBERS = st.builds(
    Learned,
    st.one_of(
        st.builds("10.0.0.{}:{}".format, st.integers(0, 255), st.integers(1, 65535)),
        st.builds("[fd77::{:x}]:{}".format, st.integers(1, 0xFFFF), st.integers(1, 65535)),
    ),
    st.binary(max_size=1500),
)


@given(st.frozensets(MEMBERS, max_size=20))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, learned: frozenset[Learned]) -> None:
    """Any members, any bytes of a domain."""
    memory = Memory(tmp_path_factory.getbasetemp(), PLACE)
    memory.write(learned)
    assert memory.read() == learned


def test_without_a_file_nobody_was_learned(memory: Memory, tmp_path: Path) -> None:
    """Nor without its folder; nothing is made by reading."""
    assert memory.read() == frozenset()
    assert Memory(tmp_path / "nowhere", PLACE).read() == frozenset()
    assert names(tmp_path) == []


def test_the_file_is_for_this_probe_only_and_for_people_too(memory: Memory, tmp_path: Path) -> None:
    """Nobody else may read it, whatever the umask; it says its version and its group."""
    before = os.umask(0)
    try:
        memory.write(OLD)
    finally:
        os.umask(before)
    path = tmp_path / NAME
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text()) == {
        "version": 1,
        "group": PLACE,
        "learned": [
            {"member": "10.0.0.1:4000", "domain": "73686f70"},
            {"member": "[fd77::3]:4000", "domain": ""},
        ],
    }


def test_as_many_as_are_ever_learned_fit() -> None:
    """With the longest domains, too."""
    most = frozenset(
        Learned(f"[fd77:1234:5678:9abc:def0:1234:5678:{n:x}]:65535", bytes(1500)) for n in range(MOST)
    )
    data = module._encode(PLACE, most)
    assert len(data) <= LARGEST
    assert module._decode(data, PLACE) == most


# -- what cannot be used

SOUND = module._encode(PLACE, OLD)
TEXT = SOUND.decode()


def _file(data: bytes) -> Callable[[Path], None]:
    return lambda path: void(path.write_bytes(data))


def void(_: object) -> None:
    """Return nothing."""


def _link(path: Path) -> None:
    (path.parent / "elsewhere").write_bytes(SOUND)
    path.symlink_to("elsewhere")


def _folder(path: Path) -> None:
    path.mkdir()
    (path / "something").touch()


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "empty": (_file(b""), "it is cut off or no JSON"),
    "cut in half": (_file(SOUND[: len(SOUND) // 2]), "it is cut off or no JSON"),
    "cut by a byte of JSON": (_file(SOUND[:-2]), "it is cut off or no JSON"),
    "doubled": (_file(SOUND * 2), "it is cut off or no JSON"),
    "zeros": (_file(bytes(4096)), "it is cut off or no JSON"),
    "no JSON": (_file(b"learned: []"), "it is cut off or no JSON"),
    "no UTF-8": (_file(b'{"version": 1, "group": "\xff"}'), "it is cut off or no JSON"),
    "nested deeply": (_file(b'{"version": 1, "x": ' + b"[" * 200_000), "it is cut off or no JSON"),
    "a list": (_file(b"[]"), "it is no list of members: Expected `object`, got `array`"),
    "a later version": (
        _file(TEXT.replace('"version": 1', '"version": 2').replace("learned", "known").encode()),
        "it is of version 2, this probe reads version 1",
    ),
    "no version": (_file(b"{}"), "it is no list of members: Object missing required field `version`"),
    "something more": (
        _file(TEXT.replace('"member"', '"x": 1, "member"').encode()),
        "contains unknown field `x`",
    ),
    "of another group": (_file(TEXT.replace("228.0.0.4", "228.0.0.5").encode()), "it is of another group"),
    "no member": (_file(TEXT.replace("10.0.0.1:4000", "tomcat1").encode()), '"tomcat1" is no member: write'),
    "a member with a scope": (
        _file(TEXT.replace("fd77::3", r"fe80::1%\n").encode()),
        "is not how a member is written",
    ),
    "a member spelt differently": (
        _file(TEXT.replace("fd77::3", "FD77::3").encode()),
        "is not how a member is",
    ),
    "no hex": (_file(TEXT.replace("73686f70", "shop").encode()), "non-hexadecimal number"),
    "too many": (
        _file(module._encode(PLACE, {Learned(f"10.1.{n >> 8}.{n & 255}:4000") for n in range(MOST + 1)})),
        f"Expected `array` of length <= {MOST}",
    ),
    "huge": (_file(SOUND + b" " * LARGEST), "it is larger than 8 MiB"),
    "a link": (_link, "Too many levels of symbolic links"),
    "a folder": (_folder, "it is no plain file"),
    "a pipe": (os.mkfifo, "it is no plain file"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_what_cannot_be_used_is_kept_aside(memory: Memory, tmp_path: Path, what: str) -> None:
    """One line says which, why and where it is now; nobody is remembered by halves; the next write works."""
    make, why = DAMAGE[what]
    path = tmp_path / NAME
    make(path)
    was = os.lstat(path)
    with pytest.raises(DamagedError) as damaged:
        memory.read()
    text = str(damaged.value)
    assert "\n" not in text
    assert text.startswith(f"{path} cannot be used: ")
    assert why in text
    [aside] = [name for name in names(tmp_path) if "damaged" in name]
    assert text.endswith(f": it is kept as {aside}, nobody is remembered")
    assert os.lstat(tmp_path / aside).st_ino == was.st_ino
    assert not os.path.lexists(path)
    assert memory.read() == frozenset()
    memory.write(NEW)
    assert memory.read() == NEW
    assert os.lstat(tmp_path / aside).st_ino == was.st_ino


def test_an_unreadable_file_is_kept_aside(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """As when it belongs to somebody else; root reads everything, so the kernel's refusal is played."""
    memory.write(OLD)
    real = os.open

    def refuse(path: Any, *rest: Any, **more: Any) -> int:
        if Path(path) == memory.path:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return real(path, *rest, **more)

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        with pytest.raises(DamagedError, match="cannot be used: Permission denied: it is kept as"):
            memory.read()
    assert memory.read() == frozenset()


def test_every_damaged_file_is_kept(memory: Memory, tmp_path: Path) -> None:
    """Several within one second do not overwrite each other."""
    for n in range(5):
        (tmp_path / NAME).write_text(f"damage {n}")
        with pytest.raises(DamagedError):
            memory.read()
    assert {(tmp_path / name).read_text() for name in names(tmp_path)} == {f"damage {n}" for n in range(5)}


def test_a_damaged_file_that_cannot_be_put_aside_is_not_overwritten(
    memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said, every write fails, and once it can be put aside it is."""
    path = tmp_path / NAME
    path.write_text("damage")

    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patched:
        patched.setattr(os, "rename", refuse)
        with pytest.raises(
            DamagedError, match=r"cannot be put aside either \(Read-only file system\), so nothing"
        ):
            memory.read()
        with pytest.raises(OSError, match="Read-only"):
            memory.write(NEW)
        assert path.read_text() == "damage"
    memory.write(NEW)
    assert memory.read() == NEW
    assert [(tmp_path / name).read_text() for name in names(tmp_path) if "damaged" in name] == ["damage"]


# -- killed, or refused, between any two steps

STEPS = ("open", "write", "fsync", "close", "rename", "unlink")

KILLED = f"""
import os, signal, sys
from pathlib import Path
sys.path[:0] = {sys.path!r}
from probe.memory import Memory
from probe.model.learning import Learned

left = int(sys.argv[2])

def fatal(real, name):
    def step(*args, **more):
        global left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "write":
            args = args[0], args[1][:500]
        return real(*args, **more)
    return step

for name in {STEPS!r}:
    setattr(os, name, fatal(getattr(os, name), name))
Memory(Path(sys.argv[1]), {PLACE!r}).write({{Learned(f"10.0.1.{{n}}:4000", bytes([n])) for n in range(40)}})
"""


def test_killed_at_any_step_the_old_or_the_new_is_there(memory: Memory, tmp_path: Path) -> None:
    """SIGKILL before each system call of a write: what is read next is whole, and the next write works."""
    found = []
    for step in range(50):
        memory.write(OLD)
        done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(step)], check=False)
        found.append(memory.read())
        memory.write(OLD)
        assert names(tmp_path) == [NAME]
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL
    assert done.returncode == 0
    turn = found.index(NEW)
    assert found == [OLD] * turn + [NEW] * (len(found) - turn)
    # unlink, open, the content in pieces, fsync, close and rename; open, fsync and close of the folder after
    assert turn >= 9
    assert len(found) - turn == 4


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT])
def test_refused_at_any_step_the_old_or_the_new_is_there(
    memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    """An error of each system call in turn: it is raised, nothing is half there, and the next write works."""
    for step in range(50):
        memory.write(OLD)
        left = step
        raised = False

        def failing(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **more: Any) -> Any:
                nonlocal left, raised
                left -= 1
                if left == -1 and real.__name__ != "close":  # close gives its descriptor back all the same
                    raised = True
                    raise OSError(error, os.strerror(error))
                return real(*args, **more)

            return call

        with monkeypatch.context() as patched:
            for name in STEPS:
                patched.setattr(os, name, failing(getattr(os, name)))
            if left < 0:
                break
            try:
                memory.write(NEW)
            except OSError as refused:
                assert refused.errno == error  # noqa: PT017  # not every step is reached
                assert raised
        assert memory.read() in {OLD, NEW}
        assert names(tmp_path) == [NAME]
        if left >= 0:
            break
    assert step > 6
    assert memory.read() == NEW


FULL = f"""
import errno, subprocess, sys
from pathlib import Path
sys.path[:0] = {sys.path!r}
from probe.memory import Memory
from probe.model.learning import Learned

folder = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=True)
memory = Memory(folder, {PLACE!r})
old, new = {{Learned("10.0.0.1:4000")}}, {{Learned(f"10.0.1.{{n}}:4000", bytes(100)) for n in range(50)}}
memory.write(old)
try:
    with (folder / "filling").open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
except OSError as full:
    assert full.errno == errno.ENOSPC
try:
    memory.write(new)
except OSError as full:
    assert full.errno == errno.ENOSPC
    assert memory.read() == old
    assert sorted(path.name for path in folder.iterdir()) == ["filling", {NAME!r}]
    (folder / "filling").unlink()
    memory.write(new)
    assert memory.read() == new
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    try:
        memory.write(old)
    except OSError as refused:
        assert refused.errno == errno.EROFS
        assert memory.read() == new
        print("survived")
"""


@pytest.mark.netns
def test_a_disk_that_is_full_or_read_only_keeps_what_was_there(tmp_path: Path) -> None:
    """A real file system without room, and one that cannot be written to."""
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", FULL, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("survived\n", "")


# -- beside the loop


class Told:
    """A keeper that runs, and what it told."""

    def __init__(self, memory: Memory) -> None:
        self.lines: list[str] = []
        self.news = asyncio.Event()
        self.keeper = Keeper(memory, self.take)
        self.task: asyncio.Task[None] | None = None

    def take(self, why: str) -> None:
        """Note what is told."""
        self.lines.append(why)
        self.news.set()

    async def next(self) -> str:
        """Wait for what is told next."""
        async with asyncio.timeout(5):
            await self.news.wait()
        self.news.clear()
        return self.lines[-1]

    def start(self) -> None:
        """Begin."""
        self.task = asyncio.create_task(self.keeper.run())

    async def stop(self) -> None:
        """End, as a station does."""
        assert self.task is not None
        self.task.cancel()
        await asyncio.wait([self.task])
        assert self.task.cancelled()


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110  # a thread makes it so
            await asyncio.sleep(0.001)


async def test_changes_are_saved_beside_the_loop(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only changes; what changes while a write is under way is written next, the states between are not."""
    written: list[frozenset[Learned]] = []
    go = asyncio.Event()
    loop = asyncio.get_running_loop()
    real = Memory.write

    def write(self: Memory, learned: frozenset[Learned]) -> None:
        asyncio.run_coroutine_threadsafe(go.wait(), loop).result()
        real(self, learned)
        written.append(learned)

    monkeypatch.setattr(Memory, "write", write)
    told = Told(memory)
    assert told.keeper.recall() == frozenset()
    told.start()
    told.keeper.keep(frozenset())
    told.keeper.keep(OLD)
    await asyncio.sleep(0.01)  # the loop runs on while the disk does not
    for n in range(1, 5):
        told.keeper.keep(frozenset(sorted(NEW)[:n]))
    told.keeper.keep(NEW)
    go.set()
    await until(lambda: len(written) == 2)
    assert written == [OLD, NEW]
    await told.stop()
    assert written == [OLD, NEW]
    assert told.lines == []
    assert told.keeper.saved


async def test_what_is_not_saved_yet_is_saved_at_a_stop(memory: Memory) -> None:
    """A stop right behind a change loses nothing."""
    told = Told(memory)
    told.keeper.recall()
    told.start()
    await asyncio.sleep(0)
    told.keeper.keep(NEW)
    await told.stop()
    assert memory.read() == NEW


async def test_a_disk_that_refuses_is_told_once_and_once_more_when_it_works(
    memory: Memory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is tried again by itself, and with every change; the probe goes on meanwhile."""
    monkeypatch.setattr(module, "AGAIN_AFTER", 0.01)
    tries = 0
    real = Memory.write

    def write(self: Memory, learned: frozenset[Learned]) -> None:
        nonlocal tries
        tries += 1
        real(self, learned)

    monkeypatch.setattr(Memory, "write", write)
    told = Told(memory)
    told.keeper.recall()
    told.start()
    (tmp_path / f".{NAME}.new").mkdir()
    told.keeper.keep(OLD)
    assert re.fullmatch(
        rf"{re.escape(str(tmp_path / NAME))}: (Is a directory|Operation not permitted)", await told.next()
    )
    assert [told.keeper.saved] == [False]
    await until(lambda: tries > 3)
    told.keeper.keep(NEW)
    (tmp_path / f".{NAME}.new").rmdir()
    assert await told.next() == ""
    assert [told.keeper.saved] == [True]
    assert memory.read() == NEW
    assert len(told.lines) == 2
    await told.stop()


async def test_a_folder_that_is_none_is_told_at_once(tmp_path: Path) -> None:
    """Not only after an hour, when somebody is learned."""
    told = Told(Memory(tmp_path / "nowhere", PLACE))
    assert told.keeper.recall() == frozenset()
    assert told.lines == [f"{tmp_path / 'nowhere'} is no folder"]
    assert not told.keeper.saved
    told.start()
    await told.stop()
