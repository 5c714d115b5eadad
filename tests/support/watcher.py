"""The real daemon, run as its users run it: a settings file in, log lines, metrics and a view out."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import yaml
from support.netns import Host

COMMAND: Final = Path(sys.executable).with_name("tribes-probe")
PATIENCE: Final = 30.0
PORT: Final = 10564


class Watcher:
    """A probe on a lab's host, until the block is left; ``groups`` and ``more`` as in the settings file."""

    def __init__(self, host: Host, folder: Path, groups: list[dict[str, Any]], **more: object) -> None:
        folder.mkdir(exist_ok=True)
        self._host = host
        self._log = folder / "probe.log"
        self._settings = folder / "probe.yml"
        addresses = filter(None, ("127.0.0.1", host.address, host.management))
        web = {"listen_addresses": [f"{address}:{PORT}" for address in addresses]}
        self._settings.write_text(yaml.safe_dump({"groups": groups, "web": web, **more}), encoding="utf-8")
        self.process: subprocess.Popen[Any] | None = None

    def __enter__(self) -> Self:
        command = (str(COMMAND), "run", "--config.file", str(self._settings), "--log.format", "json")
        with self._log.open("wb") as log:
            self.process = self._host.start(*command, stdout=log, stderr=log)
        self.tells("group-joined")
        until = time.monotonic() + PATIENCE
        while not self._is_ready():
            assert time.monotonic() < until, self._log.read_text(encoding="utf-8")
            time.sleep(0.05)
        return self

    def _is_ready(self) -> bool:
        try:
            self.get("/-/ready")
        except urllib.error.HTTPError as answer:
            if answer.code != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            return False
        return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self.process is not None
        self.process.terminate()
        assert self.process.wait(PATIENCE) == 0, self._log.read_text(encoding="utf-8")

    def events(self) -> list[dict[str, Any]]:
        """Return the lines of its log, each with ``at``, its unix time in seconds."""
        text = self._log.read_text(encoding="utf-8")
        whole = text.split("\n")[:-1]
        strange = [line for line in whole if not line.startswith("{")]
        assert not strange, "\n".join(strange)  # it said why it does not start, or what it stumbled over
        lines = [json.loads(line) for line in whole]
        assert not [line for line in lines if line["event"] == "library"], lines  # nor that
        return [{**line, "at": datetime.fromisoformat(line["time"]).timestamp()} for line in lines]

    def tells(
        self, kind: str, since: float = 0.0, patience: float = PATIENCE, **facts: object
    ) -> dict[str, Any]:
        """Wait for an event with these facts at a time not before ``since``; return it."""
        until = time.monotonic() + patience
        while True:
            events = self.events()
            for event in events:
                wanted = {"event": kind, **facts}
                if event["at"] >= since - 0.001 and all(event.get(key) == fact for key, fact in wanted.items()):
                    return event
            if time.monotonic() > until:
                told = "\n".join(map(str, events[-30:]))
                raise AssertionError(f"no {kind} {facts} within {patience} s; lately:\n{told}")
            time.sleep(0.02)

    def get(self, path: str) -> bytes:
        """Return what its web server answers."""
        with self._host.inside(), urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}", timeout=5) as answer:
            body: bytes = answer.read()
            return body

    def group(self, name: str) -> dict[str, Any]:
        """Return its view of one group."""
        groups = json.loads(self.get("/api/v1/view"))["groups"]
        group: dict[str, Any] = next(group for group in groups if group["group"] == name)
        return group

    def member(self, group: str, name: str) -> dict[str, Any]:
        """Return its view of one member."""
        found: dict[str, Any] = next(each for each in self.group(group)["members"] if each["member"] == name)
        return found
