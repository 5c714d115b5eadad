"""A simulated member's receiver: it acknowledges like ``NioReceiver``, and can freeze as a stopped JVM does."""

import asyncio
import contextlib
import socket
from collections.abc import Coroutine
from typing import Final

from protocols.frame import Acknowledgement, Frame, Option, Reader, encode_frame, parse_data
from protocols.malformed import Malformed

BACKLOG: Final = 50
"""Connections that the kernel completes while nobody accepts them, as in a Tomcat."""
_CHUNK: Final = 65_536
_ACK: Final = encode_frame(Acknowledgement.ACK)


class Receiver:
    """Listens on one address while open; frozen, it leaves connecting to the kernel and answers nothing."""

    def __init__(self, host: str, port: int) -> None:
        self.address = (host, port)
        self._socket: socket.socket | None = None
        self._awake = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        """Start to listen; raises OSError."""
        family = socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(self.address)
        self._socket.listen(BACKLOG)
        self._awake.set()
        self._start(self._accept(self._socket))

    def freeze(self) -> None:
        """Stop to accept and to answer."""
        self._awake.clear()

    def thaw(self) -> None:
        """Go on where it stopped."""
        self._awake.set()

    async def close(self) -> None:
        """Close the port and every connection."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._awake.wait()
            connection, _ = await loop.sock_accept(listening)
            self._start(self._serve(connection))

    async def _serve(self, connection: socket.socket) -> None:
        loop, reader = asyncio.get_running_loop(), Reader()
        with connection, contextlib.suppress(OSError, Malformed):
            connection.setblocking(False)  # noqa: FBT003
            while chunk := await loop.sock_recv(connection, _CHUNK):
                await self._awake.wait()
                for data in reader.feed(chunk):
                    if _wants_answer(data):
                        await loop.sock_sendall(connection, _ACK)


def _wants_answer(data: bytes) -> bool:
    content = parse_data(data)
    return isinstance(content, Frame) and bool(content.options & Option.USE_ACK)
