"""Names become addresses, and a name server that hangs holds nothing up."""

import asyncio
import socket
import threading
from typing import Any

import pytest

from probe.sensors.names import Names


async def test_a_name_becomes_addresses() -> None:
    """Every host knows its own loopback."""
    found = await Names().resolve("localhost", 80, socket.AF_INET)
    assert {(one["host"], one["port"], one["hostname"]) for one in found} == {("127.0.0.1", 80, "localhost")}


async def test_a_name_that_is_none() -> None:
    """The reason is an OSError, as the client expects it."""
    with pytest.raises(OSError, match=r"label|not known|too long|resolution"):
        await Names().resolve("a" * 64 + ".", 80)


async def test_a_look_up_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is not put twice, and other threads are not taken by it."""
    calls, release = [], threading.Event()

    def hang(*arguments: Any) -> list[Any]:
        calls.append(arguments)
        release.wait(10)
        raise OSError("too late")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    names = Names()
    for _ in range(20):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(names.resolve("b", 80), 0.01)
    assert await asyncio.wait_for(asyncio.to_thread(lambda: "free"), 5) == "free"
    assert len(calls) == 1
    release.set()
    with pytest.raises(OSError, match="too late"):
        await names.resolve("b", 80)
