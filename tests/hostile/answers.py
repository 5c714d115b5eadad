"""Receivers that take the liveness question and answer as no Tomcat would."""

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Self

from protocols.frame import FOOTER, HEADER, Acknowledgement, encode_frame, wrap

_ACK: Final = encode_frame(Acknowledgement.ACK)
_FAIL_ACK: Final = encode_frame(Acknowledgement.FAIL_ACK)
_MEGABYTE: Final = 2**20
_HOLDS: Final = 5.0
"""seconds after which a connection is closed that the other side did not close."""

_Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter, random.Random], Awaitable[None]]


async def _nothing(reader: asyncio.StreamReader, _: asyncio.StreamWriter, __: random.Random) -> None:
    while await reader.read(4096):
        pass


async def _reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: random.Random) -> None:
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


async def _half_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: random.Random) -> None:
    writer.write_eof()
    await reader.read()


async def _endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter, chance: random.Random) -> None:
    block = chance.choice((bytes(65_536), HEADER, _ACK[:20], chance.randbytes(4096)))
    while True:
        writer.write(block)
        await writer.drain()


async def _by_byte(_: asyncio.StreamReader, writer: asyncio.StreamWriter, __: random.Random) -> None:
    for n in range(len(_ACK)):
        writer.write(_ACK[n : n + 1])
        await writer.drain()
        await asyncio.sleep(0.01)


async def _no_footer(_: asyncio.StreamReader, writer: asyncio.StreamWriter, chance: random.Random) -> None:
    writer.write(HEADER + chance.choice((1_000, _MEGABYTE, 2**31 - 1)).to_bytes(4))
    for _n in range(4):
        writer.write(bytes(_MEGABYTE))
        await writer.drain()


async def _late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: random.Random) -> None:
    await asyncio.sleep(1.2)  # the question waits for one second
    writer.write(_ACK)
    await reader.read()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, _: random.Random) -> None:
    while chunk := await reader.read(4096):
        writer.write(chunk)


def _says(make: Callable[[random.Random], bytes]) -> _Answer:
    async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chance: random.Random) -> None:
        writer.write(make(chance))
        if chance.random() < 0.5:
            await reader.read()

    return say


def _lying(chance: random.Random) -> bytes:
    length = chance.choice((-1, -18, -(2**31), 0, 2, 4, 1_000, 65_536, 2**31 - 1))
    return HEADER + length.to_bytes(4, signed=True) + chance.choice((b"\x06\x02\x03", b"", bytes(90))) + FOOTER


def _flipped(chance: random.Random) -> bytes:
    data = bytearray(_ACK)
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return bytes(data)


KINDS: Final[dict[str, _Answer]] = {
    "nothing": _nothing,
    "reset": _reset,
    "half-close": _half_close,
    "garbage": _says(lambda chance: chance.randbytes(chance.randrange(3_000))),
    "endless": _endless,
    "ACK": _says(lambda _: _ACK),
    "ACK by byte": _by_byte,
    "FAIL_ACK": _says(lambda _: _FAIL_ACK),
    "lying length": _says(_lying),
    "no footer": _no_footer,
    "late": _late,
    "cut": _says(lambda chance: _ACK[: chance.randrange(len(_ACK))]),
    "echo": _echo,
    "many frames": _says(lambda chance: wrap(b"") * chance.randrange(60) + _ACK + _FAIL_ACK),
    "flipped": _says(_flipped),
}


class Answers:
    """Listens on some ports of all addresses, in a thread of its own; ``given`` counts by kind.

    How a connection is answered is chosen by the seed, the port, and how many came there before.
    """

    def __init__(self, seed: int, ports: Sequence[int]) -> None:
        """Bind in the namespace this is called in."""
        self.given: Counter[str] = Counter(dict.fromkeys(KINDS, 0))
        self._seed = seed
        self._before: Counter[int] = Counter()
        self._sockets = [socket.create_server(("0.0.0.0", port), backlog=50) for port in ports]
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=[self._run()])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join()
        self._loop.close()

    async def _run(self) -> None:
        servers = [await asyncio.start_server(self._serve, sock=sock) for sock in self._sockets]
        await self._end.wait()
        for server in servers:
            server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = writer.get_extra_info("sockname")[1]
        chance = random.Random(f"{self._seed}/{port}/{self._before[port]}")
        self._before[port] += 1
        kind = chance.choice(tuple(KINDS))
        self.given[kind] += 1
        with contextlib.suppress(OSError, TimeoutError, asyncio.CancelledError):  # cancelled when all is over
            async with asyncio.timeout(_HOLDS):
                await KINDS[kind](reader, writer, chance)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
