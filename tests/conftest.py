"""What every test may use; groups whose tools are missing are skipped and named, or fail in CI."""

import asyncio
import signal
from collections.abc import Callable

import pytest
import uvloop
from hypothesis import HealthCheck, settings
from support import need

settings.register_profile("ci", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("ci")

signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background inherits that it is ignored

_skipped: dict[str, str] = {}


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip or fail a test whose group cannot run here."""
    for marker in need.NEEDS:
        if item.get_closest_marker(marker) is None:
            continue
        reason = need.missing(marker)
        if reason is None:
            continue
        if need.REQUIRED:
            pytest.fail(f"{marker}: {reason}", pytrace=False)
        _skipped[marker] = reason
        pytest.skip(f"{marker}: {reason}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name every group that was skipped, and the remedy."""
    for marker, reason in _skipped.items():
        terminalreporter.write_line(f"skipped group {marker}: {reason}", yellow=True)


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every asynchronous test on both loops."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
