"""The real daemon in a process of its own, and what it says while it runs."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

from support.curl import Reply, curl

_MAIN = "from probe.cli import main; main()"
_WITHOUT_UVLOOP = f"import sys; sys.modules['uvloop'] = None; {_MAIN}"
PATIENCE = 10.0
_SLOW = "Executing <"
"""What the debug mode says of a step that took long: of the machine's load rather than of the probe."""


class Line(NamedTuple):
    """One line of the log, and when it was read (this host's monotonic clock)."""

    at: float
    said: dict[str, Any]


class Daemon:
    """A running probe."""

    def __init__(self, process: asyncio.subprocess.Process, config: Path) -> None:
        self.process = process
        self.config = config
        self.lines: list[Line] = []
        self.noise: list[str] = []
        self.url = ""
        self._news = asyncio.Condition()
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for raw in self.process.stderr:
            at = time.monotonic()
            try:
                said = json.loads(raw)
            except ValueError:
                self.noise.append(raw.decode())
            else:
                if said["event"] != "library":
                    self.lines.append(Line(at, said))
                elif not said["text"].startswith(_SLOW):
                    self.noise.append(raw.decode())
            async with self._news:
                self._news.notify_all()
        async with self._news:
            self._news.notify_all()

    async def says(self, event: str, after: int = 0, **facts: object) -> Line:
        """Wait for a line of that event with these facts, beyond the first ``after`` lines."""

        def found() -> Line | None:
            wanted = {"event": event, **facts}
            return next((line for line in self.lines[after:] if wanted.items() <= line.said.items()), None)

        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: found() is not None or self._reading.done())
        line = found()
        assert line is not None, f"no {event} {facts} in {[one.said for one in self.lines]} {self.noise}"
        return line

    async def get(self, path: str, *options: str) -> Reply:
        """Ask its web server."""
        return await curl(self.url + path, *options)

    async def group(self, number: int = 0) -> dict[str, Any]:
        """Return what it sees of a group."""
        group: dict[str, Any] = json.loads((await self.get("/api/v1/view")).body)["groups"][number]
        return group

    async def states(self, number: int = 0) -> dict[str, str]:
        """Return the members' states."""
        return {member["member"]: member["state"] for member in (await self.group(number))["members"]}

    async def metric(self, line: str) -> str:
        """Return the value of one series."""
        text = (await self.get("/metrics")).body
        [value] = [row.removeprefix(line + " ") for row in text.splitlines() if row.startswith(line + " ")]
        return value

    async def eventually(self, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait until something is true of the first group."""
        async with asyncio.timeout(PATIENCE):
            while not holds(group := await self.group()):
                pass
        return group

    async def end(self, how: signal.Signals = signal.SIGTERM) -> tuple[int, float]:
        """Ask it to end; return its exit status and how long that took."""
        started = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(how)
        status = await asyncio.wait_for(self.process.wait(), PATIENCE)
        took = time.monotonic() - started
        await self._reading
        return status, took


@contextlib.asynccontextmanager
async def running(config: Path, *options: str, **environment: str) -> AsyncIterator[Daemon]:
    """Run a daemon on the kind of loop that runs here; it is killed if it does not end by itself."""
    here = type(asyncio.get_running_loop()).__module__
    code = _MAIN if here.startswith("uvloop") else _WITHOUT_UVLOOP
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-X", "dev", "-c", code, "run", "--config.file", str(config)),
        *("--log.format", "json", *options),
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    daemon = Daemon(process, config)
    try:
        daemon.url = str((await daemon.says("started")).said["text"]).split(": ")[1].rstrip("/")
        yield daemon
        if process.returncode is None:
            assert (await daemon.end())[0] == 0
        assert daemon.noise == [], daemon.noise
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
            await daemon.end()
