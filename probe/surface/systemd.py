"""Tells systemd how the service stands (sd_notify); silent where nobody listens."""

import contextlib
import os
import socket
import time
from collections.abc import Mapping

_LONGEST_STATUS = 1_000


class Notifier:
    """Sends to ``$NOTIFY_SOCKET``; every method is harmless without one."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self.watchdog_seconds = _watchdog(environment)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

    def ready(self) -> None:
        """Say that start-up, or a reload, is over."""
        self._send("READY=1")

    def reloading(self) -> None:
        """Say that a reload begins (``Type=notify-reload`` matches it with ``ready`` by its time)."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def status(self, text: str) -> None:
        """Show one line in ``systemctl status``."""
        self._send("STATUS=" + " ".join(text.split())[:_LONGEST_STATUS])

    def alive(self) -> None:
        """Feed the watchdog."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        """Say that a clean stop begins."""
        self._send("STOPPING=1")

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def _send(self, message: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError):  # the manager may be gone or busy: the service goes on
            self._socket.sendto(message.encode(), address)


def _watchdog(environment: Mapping[str, str]) -> float | None:
    """Return how often (seconds) the watchdog is to be fed: half its patience."""
    try:
        patience = int(environment.get("WATCHDOG_USEC", "0")) / 1e6
        meant = int(environment.get("WATCHDOG_PID", str(os.getpid()))) == os.getpid()
    except ValueError:
        return None
    return patience / 2 if patience > 0 and meant else None
