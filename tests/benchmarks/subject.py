"""The daemon as the thing measured, and the traffic it hears: processes on loopback."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import yaml

GROUP: Final = "239.255.31.7"
_PATIENCE: Final = 30.0
_TICK: Final = os.sysconf("SC_CLK_TCK")
_ports = itertools.count(46_000)


class Subject:
    """A daemon that watches one group of its own; receivers are not asked: nobody is there."""

    def __init__(self, frequency: float = 0.5) -> None:
        self.port = next(_ports)
        self._folder = tempfile.TemporaryDirectory()
        self._log = Path(self._folder.name, "log")
        settings = {
            "groups": [
                {
                    "name": "bench",
                    "address": GROUP,
                    "port": self.port,
                    "interfaces": ["lo"],
                    "frequency": f"{frequency * 1000:g}ms",
                    "receiver_check": {"level": "off"},
                }
            ],
            "web": {"listen_addresses": ["127.0.0.1:0"]},
            "log": {"format": "json"},
        }
        self._settings = Path(self._folder.name, "settings.yml")
        self._settings.write_text(yaml.safe_dump(settings), encoding="utf-8")

    def __enter__(self) -> Self:
        started = time.perf_counter()
        with self._log.open("wb") as log:
            command = (sys.executable, "-m", "benchmarks.watched", str(self._settings))
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        while (
            not (found := re.search(r"http://127\.0\.0\.1:\d+", self.log())) or "group-joined" not in self.log()
        ):
            assert self.process.poll() is None, self.log()
            assert time.perf_counter() < started + _PATIENCE, self.log()
            time.sleep(0.005)
        self.start_seconds = time.perf_counter() - started
        self._url = found.group()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._folder.cleanup()

    def log(self) -> str:
        """Return what it logged until now."""
        return self._log.read_text(encoding="utf-8")

    def events(self) -> list[dict[str, Any]]:
        """Return its log lines."""
        return [json.loads(line) for line in self.log().splitlines()]

    def get(self, path: str) -> bytes:
        """Return what its web server answers."""
        with urllib.request.urlopen(self._url + path, timeout=_PATIENCE) as answer:
            body: bytes = answer.read()
            return body

    def metric(self, name: str) -> float:
        """Return the sum over the series of a metric whose line starts so."""
        rows = (row for row in self.get("/metrics").decode().splitlines() if row.startswith(name))
        return sum(float(row.rpartition(" ")[2]) for row in rows)

    def datagrams(self) -> int:
        """Return how many heartbeats it counted."""
        [group] = json.loads(self.get("/api/v1/view"))["groups"]
        heartbeats: int = group["datagrams"]["heartbeat"]
        return heartbeats

    def cpu_seconds(self) -> float:
        """Return the CPU time it has used: user and system."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK

    def resident(self) -> float:
        """Return its resident memory in MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def reset_pause(self) -> None:
        """Forget the longest pause of its loop."""
        self.process.send_signal(signal.SIGUSR1)

    def end(self) -> float:
        """Stop it; return the longest pause (s) of its loop."""
        self.process.terminate()
        output, _ = self.process.communicate(timeout=_PATIENCE)
        pause: float = json.loads(output)["longest_pause"]
        return pause

    def traffic(self, seconds: float, members: int, frequency: float = 0.5, strangers: float = 0) -> "Traffic":
        """Begin to send to its group."""
        return Traffic(self.port, seconds, members, frequency, strangers)


class Traffic:
    """A process that sends heartbeats."""

    def __init__(self, port: int, seconds: float, members: int, frequency: float, strangers: float) -> None:
        given = {
            "group": GROUP,
            "port": port,
            "members": members,
            "frequency": frequency,
            "strangers": strangers,
            "seconds": seconds,
        }
        options = [word for key, value in given.items() for word in (f"--{key}", str(value))]
        command = (sys.executable, "-m", "benchmarks.traffic", *options)
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def sent(self) -> dict[str, int]:
        """Wait for its end; return how many heartbeats and strangers were sent."""
        output, _ = self._process.communicate()
        counts: dict[str, int] = json.loads(output)
        return counts
