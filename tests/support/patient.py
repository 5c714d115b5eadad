"""``tribes-probe doctor`` run on a lab's host, with what it says as values."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from support.netns import Host

COMMAND: Final = str(Path(sys.executable).with_name("tribes-probe"))
PATIENCE: Final = 60.0
QUICK: Final = "600ms"
"""Long enough to listen where nobody is, or where what was heard does not matter."""
NOBODY: Final = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
"""What runs the rest of a command line without privileges."""


class Findings:
    """What one run found."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.said, self.errors = process.communicate(timeout=PATIENCE)
        self.status = process.returncode
        assert self.said.startswith("{"), self.errors + self.said
        self.report: dict[str, Any] = json.loads(self.said)

    def all(self, step: str) -> list[dict[str, Any]]:
        """Return what a step found."""
        return [finding for finding in self.report["findings"] if finding["step"] == step]

    def one(self, step: str) -> dict[str, Any]:
        """Return the one thing that a step found."""
        found = self.all(step)
        assert len(found) == 1, self.report["findings"]
        return found[0]

    def __getitem__(self, step: str) -> tuple[str, str]:
        """Return status and finding of a step."""
        found = self.one(step)
        return found["status"], found["found"]


def started(host: Host | str, *options: str, before: tuple[str, ...] = ()) -> "subprocess.Popen[str]":
    """Start it, by ``ip netns exec``: it has /etc/netns' hosts and the namespace's own /sys."""
    namespace = host if isinstance(host, str) else host.namespace
    command = ["ip", "netns", "exec", namespace, *before, COMMAND, "doctor", "--json", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def examined(host: Host | str, *options: str, before: tuple[str, ...] = ()) -> Findings:
    """Run it to its end; it listens shortly unless told otherwise."""
    listen = () if "--listen" in options else ("--listen", QUICK)
    return Findings(started(host, *listen, *options, before=before))
