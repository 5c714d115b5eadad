"""Asks one receiver, once: a connect, or the liveness question and its answer, each phase timed."""

import asyncio
import errno
import os
import socket
import time
from typing import Final

import msgspec

from probe.model.evidence import Answer, Check, Outcome
from protocols.frame import Acknowledgement, Reader, question, read_answer
from protocols.heartbeat import Member
from protocols.malformed import Malformed

LONGEST_ANSWER: Final = 1024
"""bytes read in wait of a 21-byte answer before the peer is said not to speak this protocol."""


class Question(msgspec.Struct, frozen=True):
    """Whom to ask and how; ``timeout`` (seconds) bounds the connect and the answer, each by itself.

    ``block`` is the member block to carry: the target's own, so that nothing is added anywhere.
    """

    host: str
    port: int
    check: Check = Check.CONNECT
    timeout: float = 1.0
    block: Member | None = None
    option_flag: int = 0
    stack: bool = False


async def ask(asked: Question) -> Answer:
    """Put one question on one short connection; never raises for what the network does."""
    started = time.monotonic()
    sock = socket.socket(socket.AF_INET6 if ":" in asked.host else socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)  # noqa: FBT003  # the socket module's own signature
    try:
        outcome = await _connect(sock, asked)
        connected = time.monotonic()
        if outcome is not Outcome.CONNECTED or asked.check is Check.CONNECT:
            seconds = connected - started if outcome is Outcome.CONNECTED else None
            return Answer(started, asked.check, outcome, seconds)
        outcome = await _answer(sock, asked)
        given = outcome in {Outcome.ANSWERED, Outcome.FAIL_ACK}
        seconds = time.monotonic() - connected if given else None
        return Answer(started, asked.check, outcome, connected - started, seconds)
    finally:
        sock.close()  # FIN: nothing is left unread where the peer answered as it should


async def _connect(sock: socket.socket, asked: Question) -> Outcome:
    try:
        async with asyncio.timeout(asked.timeout):
            await asyncio.get_running_loop().sock_connect(sock, (asked.host, asked.port))
    except TimeoutError:
        return Outcome.CONNECT_TIMEOUT
    except OSError as error:
        return Outcome.REFUSED if error.errno == errno.ECONNREFUSED else Outcome.UNREACHABLE
    return Outcome.CONNECTED


async def _answer(sock: socket.socket, asked: Question) -> Outcome:
    loop = asyncio.get_running_loop()
    block = asked.block or own_block(asked.host, asked.port)
    words = question(
        block,
        message_id=os.urandom(16),
        timestamp_ms=time.time_ns() // 10**6,
        option_flag=asked.option_flag,
        stack=asked.stack,
    )
    try:
        async with asyncio.timeout(asked.timeout):
            await loop.sock_sendall(sock, words)
            return await _read(loop, sock)
    except TimeoutError:
        return Outcome.ANSWER_TIMEOUT
    except OSError:
        return Outcome.CLOSED


async def _read(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> Outcome:
    reader, read = Reader(LONGEST_ANSWER), 0
    while read <= LONGEST_ANSWER:
        chunk = await loop.sock_recv(sock, LONGEST_ANSWER)
        if not chunk:
            return Outcome.CLOSED
        read += len(chunk)
        try:
            answer = read_answer(reader, chunk)
        except Malformed:
            return Outcome.NO_ACK
        if answer is not None:
            return Outcome.ANSWERED if answer is Acknowledgement.ACK else Outcome.FAIL_ACK
    return Outcome.NO_ACK


def own_block(host: str, port: int, unique_id: bytes = bytes(16)) -> Member:
    """Return a block for a target not heard yet: its address, and its unique id if that is known."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return Member(socket.inet_pton(family, host), port, unique_id)
