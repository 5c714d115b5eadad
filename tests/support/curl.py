"""A real HTTP client, to be sure that it is not only our own that understands us."""

import asyncio
from email.message import Message
from email.parser import BytesHeaderParser
from typing import NamedTuple


class Reply(NamedTuple):
    """What curl printed; ``status`` is 0 when there was no answer, and ``error`` then says why."""

    status: int
    headers: Message
    body: str
    error: str


async def curl(url: str, *options: str) -> Reply:
    """Ask for a URL; never waits longer than ten seconds."""
    process = await asyncio.create_subprocess_exec(
        *("curl", "-sS", "-i", "--noproxy", "*", "--max-time", "10", *options, url),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    head, _, body = out.partition(b"\r\n\r\n")
    first, _, lines = head.partition(b"\r\n")
    status = int(first.split()[1]) if first else 0
    return Reply(status, BytesHeaderParser().parsebytes(lines), body.decode(), error.decode())
