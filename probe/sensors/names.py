"""Looks names up in threads of their own: a name server that hangs holds up nothing else, not even a stop."""

import asyncio
import contextlib
import socket
import threading
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

_Key = tuple[str, int, int]


class Names(AbstractResolver):
    """One look-up at a time for each name; the standard library's threads are left to others."""

    def __init__(self) -> None:
        self._asking: dict[_Key, asyncio.Future[list[Any]]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host; raises OSError."""
        key = (host, port, int(family))
        if key not in self._asking:
            self._asking[key] = self._ask(key)
        infos = await asyncio.shield(self._asking[key])
        return [
            ResolveResult(
                hostname=host, host=name[0], port=name[1], family=kind, proto=proto, flags=socket.AI_NUMERICHOST
            )
            for kind, _, proto, _, name in infos
        ]

    def _ask(self, key: _Key) -> asyncio.Future[list[Any]]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[list[Any]] = loop.create_future()

        def over(done: asyncio.Future[list[Any]]) -> None:
            self._asking.pop(key, None)
            if not done.cancelled():
                done.exception()  # whoever asked may be gone

        def look_up() -> None:
            host, port, family = key
            give: Any
            try:
                give, it = future.set_result, socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
            except (OSError, ValueError) as error:
                give, it = future.set_exception, OSError(str(error))  # type: ignore[assignment]
            with contextlib.suppress(RuntimeError):  # the loop may be closed by now
                loop.call_soon_threadsafe(lambda: future.done() or give(it))

        future.add_done_callback(over)
        threading.Thread(target=look_up, name=f"look-up of {key[0]}", daemon=True).start()
        return future

    async def close(self) -> None:
        """Wait for nobody."""
