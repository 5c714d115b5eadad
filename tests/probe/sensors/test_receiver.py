"""One question to one receiver, and every way it can end."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from probe.model.evidence import Answer, Check, Outcome
from probe.sensors.receiver import LONGEST_ANSWER, Question, ask, own_block
from probe.simulate.receiver import Receiver
from protocols.frame import Acknowledgement, Frame, Option, Reader, encode_frame, parse_data
from protocols.heartbeat import Member

HOST = "127.0.0.1"
PATIENCE = 0.2
ACK, FAIL_ACK = encode_frame(Acknowledgement.ACK), encode_frame(Acknowledgement.FAIL_ACK)

Answering = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def question(port: int, check: Check = Check.ACK, **more: object) -> Question:
    """Make a question to this host."""
    return Question(HOST, port, check, timeout=PATIENCE, **more)  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def listening(answer: Answering) -> AsyncIterator[int]:
    """Listen with some way to answer; give the port."""
    serving = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        with contextlib.suppress(OSError):
            await answer(reader, writer)
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(serve, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        if serving:
            await asyncio.wait({task for task in serving if task is not None}, timeout=5)


def says(*pieces: bytes) -> Answering:
    """Answer a question with these pieces, then wait for the other side to close."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        await reader.read()

    return answer


async def closes(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    """Read the question and hang up."""
    await reader.read(4096)


async def resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read the question and reset the connection."""
    await reader.read(4096)
    linger = (1).to_bytes(4, "little") + bytes(4)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


ENDS = [
    ("ACK", says(ACK), Outcome.ANSWERED),
    ("ACK byte by byte", says(*(ACK[n : n + 1] for n in range(len(ACK)))), Outcome.ANSWERED),
    ("FAIL_ACK", says(FAIL_ACK), Outcome.FAIL_ACK),
    ("nothing", says(), Outcome.ANSWER_TIMEOUT),
    ("half an ACK", says(ACK[:10]), Outcome.ANSWER_TIMEOUT),
    ("hangs up", closes, Outcome.CLOSED),
    ("resets", resets, Outcome.CLOSED),
    ("speaks HTTP", says(b"HTTP/1.1 400 Bad Request\r\n" + bytes(LONGEST_ANSWER)), Outcome.NO_ACK),
    ("speaks without end", says(*[os.urandom(64)] * 40), Outcome.NO_ACK),
]


@pytest.mark.parametrize(("answer", "outcome"), [end[1:] for end in ENDS], ids=[end[0] for end in ENDS])
async def test_every_end_of_the_liveness_question(answer: Answering, outcome: Outcome) -> None:
    """The connection was made in each case; the answer's time is known where one was given."""
    async with listening(answer) as port:
        told = await ask(question(port))
    assert (told.outcome, told.check, told.connected) == (outcome, Check.ACK, True)
    assert told.connect_seconds is not None
    assert (told.answer_seconds is not None) is (outcome in {Outcome.ANSWERED, Outcome.FAIL_ACK})


async def test_a_port_on_which_nobody_listens_refuses() -> None:
    """Nothing is measured of a connection that was not made."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        for check in Check:
            told = await ask(question(taken.getsockname()[1], check))
            assert (told.outcome, told.connected) == (Outcome.REFUSED, False)
            assert (told.connect_seconds, told.answer_seconds) == (None, None)


async def test_a_full_accept_queue_times_out() -> None:
    """The kernel drops the handshake: what a Tomcat looks like whose queue of 50 is full."""
    with socket.socket() as full, contextlib.ExitStack() as clients:
        full.bind((HOST, 0))
        full.listen(0)
        for _ in range(3):
            client = clients.enter_context(socket.socket())
            client.settimeout(0)
            client.connect_ex(full.getsockname())
        told = await ask(question(full.getsockname()[1]))
    assert (told.outcome, told.connected) == (Outcome.CONNECT_TIMEOUT, False)


@pytest.mark.parametrize("host", ["255.255.255.255", "fe80::1"])
async def test_an_address_that_cannot_be_reached_is_told(host: str) -> None:
    """The kernel refuses by itself, whatever it calls it: nothing is sent, and nothing is raised."""
    told = await ask(Question(host, 4000, Check.CONNECT, timeout=PATIENCE))
    assert told.outcome is Outcome.UNREACHABLE


async def test_a_connect_says_nothing() -> None:
    """At this level the member gets not one byte."""
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def listen(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        heard.put_nowait(await reader.read())

    async with listening(listen) as port:
        told = await ask(question(port, Check.CONNECT))
        assert await asyncio.wait_for(heard.get(), 5) == b""
    assert (told.outcome, told.answered) == (Outcome.CONNECTED, None)
    assert told.answer_seconds is None


@pytest.mark.parametrize("known", [True, False], ids=["heard", "not heard yet"])
@pytest.mark.parametrize("option_flag", [0, 512])
async def test_the_question_carries_the_targets_own_block_and_nothing_to_deserialise(
    option_flag: int, *, known: bool
) -> None:
    """Invariant 2: the byte-message option is always set, the id fresh, the sender the one who is asked."""
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.put_nowait(await reader.read(4096))
        writer.write(ACK)

    frames = []
    async with listening(listen) as port:
        block = Member(socket.inet_aton(HOST), port, os.urandom(16), domain=b"d") if known else None
        for _ in range(2):
            told = await ask(question(port, block=block, option_flag=option_flag))
            assert told.outcome is Outcome.ANSWERED
            [data] = Reader().feed(await asyncio.wait_for(heard.get(), 5))
            frame = parse_data(data)
            assert isinstance(frame, Frame)
            frames.append(frame)
    assert frames[0].id != frames[1].id
    for frame in frames:
        assert frame.options & Option.BYTE_MESSAGE
        assert frame.options & Option.USE_ACK
        assert frame.options & option_flag == option_flag
        assert frame.sender is not None
        assert frame.sender.member.address == (block or own_block(HOST, port)).address
        assert frame.sender.member.unique_id == (block.unique_id if block else bytes(16))


async def test_a_simulated_receiver_answers_freezes_and_thaws() -> None:
    """Frozen, its port still takes connections, as a stopped JVM's does."""
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]
    receiver = Receiver(HOST, port)
    outcomes = []
    for act in (receiver.open, receiver.freeze, receiver.thaw):
        act()
        outcomes.append((await ask(question(port))).outcome)
    await receiver.close()
    outcomes.append((await ask(question(port))).outcome)
    assert outcomes == [Outcome.ANSWERED, Outcome.ANSWER_TIMEOUT, Outcome.ANSWERED, Outcome.REFUSED]


async def test_ipv6_receivers_are_asked_too() -> None:
    """With a block of 16 address bytes."""
    with socket.socket(socket.AF_INET6) as free:
        free.bind(("::1", 0))
        port = free.getsockname()[1]
    receiver = Receiver("::1", port)
    receiver.open()
    told = await ask(Question("::1", port, Check.ACK, timeout=PATIENCE))
    await receiver.close()
    assert told.outcome is Outcome.ANSWERED
    assert len(own_block("::1", port).host) == 16


async def test_a_question_that_is_cancelled_leaves_no_connection() -> None:
    """The peer sees the end of the stream."""
    ended = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()
        ended.set()

    async with listening(listen) as port:
        task: asyncio.Task[Answer] = asyncio.create_task(ask(question(port)))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(ended.wait(), 5)
