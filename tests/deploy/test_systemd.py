"""The unit: sound by systemd's own judgement, and the probe lives within what it allows."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import seccomp

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "tribes-probe.service"
COMMAND = Path(sys.executable).parent / "tribes-probe"
PATIENCE = 20.0
"""seconds for what takes far less, on a busy machine too."""

SETTINGS = """
groups:
  - {address: 239.255.77.91, port: 45791, interfaces: [lo], drop_time: 600ms, frequency: 100ms}
web: {listen_addresses: ["127.0.0.1:0"]}
"""

pytestmark = pytest.mark.systemd


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Ask systemd-analyze."""
    environment = {**os.environ, "SYSTEMD_COLORS": "0"}
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )


def test_nothing_is_to_be_said_against_it(tmp_path: Path) -> None:
    """systemd-analyze verify finds nothing once the program is where the unit says."""
    program = tmp_path / "tribes-probe"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/tribes-probe/bin/tribes-probe", str(program)))
    verified = analyze("verify", "--man=no", str(unit))
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


def test_it_exposes_next_to_nothing() -> None:
    """The exposure that systemd computes is at most 1.5."""
    judged = analyze("security", "--offline=yes", "--threshold=15", str(UNIT))
    assert judged.returncode == 0, judged.stdout + judged.stderr
    (exposure,) = re.findall(r"Overall exposure level for \S+: (\d+\.\d)", judged.stdout)
    assert float(exposure) <= 1.5


def test_what_the_older_systemd_knows() -> None:
    """Readiness, watchdog and reload are asked for in words that systemd 252 has."""
    unit = seccomp.settings(UNIT)
    assert unit["Type"] == ["notify"]
    assert unit["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert unit["WatchdogSec"] == ["30s"]
    assert unit["CapabilityBoundingSet"] == unit["AmbientCapabilities"] == [""]


@pytest.fixture(name="restrict", scope="module")
def _restrict() -> seccomp.Filter:
    return seccomp.Filter(UNIT)


class Manager:
    """Stands in for systemd at the other end of the notification socket."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.address)
        self.socket.settimeout(PATIENCE)

    def wait(self, word: str) -> str:
        """Return the next message that begins so."""
        return next(message for message in self._messages() if message.startswith(word))

    def close(self) -> None:
        """Listen no more."""
        self.socket.close()

    def _messages(self) -> Iterator[str]:
        while True:
            yield self.socket.recv(65536).decode()


@contextlib.contextmanager
def service(folder: Path, manager: Manager, restrict: seccomp.Filter) -> Iterator[subprocess.Popen[str]]:
    """Run the probe as the unit does: its system calls, no capability, a watchdog of 400 ms."""
    (folder / "settings.yml").write_text(SETTINGS)
    with subprocess.Popen(
        [COMMAND, "run", "--config.file", folder / "settings.yml"],
        env={**os.environ, "NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "400000"},
        preexec_fn=restrict,  # noqa: PLW1509  # no thread runs here
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_the_probe_lives_within_it(tmp_path: Path, restrict: seccomp.Filter) -> None:
    """Under the unit's filter and without capabilities it starts, serves, reloads, feeds the dog and stops."""
    with contextlib.closing(Manager(tmp_path)) as manager, service(tmp_path, manager, restrict) as process:
        manager.wait("READY=1")
        assert process.stdout is not None
        page = next(found[0] for line in process.stdout if (found := re.search(r"http://[\d.:]+/", line)))
        with urllib.request.urlopen(page + "metrics") as answer:  # noqa: S310  # the probe's own
            metrics = answer.read().decode()
        assert 'tribes_group_joined{group="239.255.77.91:45791",interface="lo"} 1.0' in metrics
        assert "process_start_time_seconds" in metrics
        for _ in range(3):
            manager.wait("WATCHDOG=1")
        process.send_signal(signal.SIGHUP)
        manager.wait("RELOADING=1\nMONOTONIC_USEC=")
        manager.wait("READY=1")
        process.send_signal(signal.SIGTERM)
        asked = time.monotonic()
        manager.wait("STOPPING=1")
        assert process.wait(PATIENCE) == 0
        assert time.monotonic() - asked < 1.0


def test_what_was_learned_can_be_saved_within_it(tmp_path: Path, restrict: seccomp.Filter) -> None:
    """The unit gives it a folder of its own, and the filter lets it put aside and replace a file."""
    unit = seccomp.settings(UNIT)
    assert (unit["StateDirectory"], unit["StateDirectoryMode"]) == (["tribes-probe"], ["0700"])
    (tmp_path / "learned-here.json").write_text("damaged")
    tried = subprocess.run(
        [sys.executable, "-c", SAVES, tmp_path],
        preexec_fn=restrict,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (tried.stdout, tried.stderr) == ("put aside\nsaved\n", "")
    assert len(list(tmp_path.iterdir())) == 2


SAVES = """
import pathlib, sys
from probe.memory import DamagedError, Memory
from probe.model.learning import Learned

memory, learned = Memory(pathlib.Path(sys.argv[1]), "here"), {Learned("10.0.0.1:4000")}
try:
    memory.read()
except DamagedError as damaged:
    print("put aside" if "it is kept as" in str(damaged) else damaged)
memory.write(learned)
print("saved" if memory.read() == learned else memory.read())
"""


@pytest.mark.parametrize(
    ("what", "does"),
    [
        ("a raw packet socket", "import socket; socket.socket(socket.AF_PACKET, socket.SOCK_RAW)"),
        ("memory to write and execute", "import mmap; mmap.mmap(-1, 4096, prot=7)"),
        ("another priority", "import os; os.setpriority(os.PRIO_PROCESS, 0, 1)"),
        ("another user", "import os; os.setuid(1)"),
    ],
)
def test_the_filter_is_real(restrict: seccomp.Filter, what: str, does: str) -> None:
    """What the unit forbids is refused by the very filter under which the probe was tried."""
    tried = subprocess.run(
        [sys.executable, "-c", does],
        preexec_fn=restrict,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "PermissionError" in tried.stderr, what
