"""``ping``: the three levels against receivers that answer, freeze, refuse, hang up or are none."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from click.testing import Result
from support.command import invoke, refused

from probe.simulate.outlet import Outlet, Place
from probe.simulate.receiver import Receiver
from protocols.frame import Acknowledgement, Frame, Reader, encode_frame, parse_data
from protocols.heartbeat import Heartbeat, Member, encode

HOST = "127.0.0.1"
GROUP, PORT = "239.255.77.92", 45792


def free_port() -> int:
    """Return a port that nobody has at this moment."""
    with socket.socket() as tried:
        tried.bind((HOST, 0))
        return int(tried.getsockname()[1])


async def ping(*arguments: str) -> Result:
    """Run the command while this loop serves."""
    return await asyncio.to_thread(invoke, "ping", "--timeout", "300ms", *arguments)


@pytest.fixture(name="receiver")
async def _receiver() -> AsyncIterator[Receiver]:
    """Open a receiver as the simulated members have it."""
    receiver = Receiver(HOST, free_port())
    receiver.open()
    yield receiver
    await receiver.close()


@asynccontextmanager
async def answering(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]],
) -> AsyncIterator[str]:
    """Serve connections in another way than a receiver; yield the place."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(one, HOST, 0)
    async with server:
        yield "{}:{}".format(*server.sockets[0].getsockname())


@pytest.mark.parametrize(
    ("level", "word", "phases"),
    [
        ("connect", "connected", ["connect"]),
        ("ack", "answered", ["connect", "answer"]),
        ("stack", "answered", ["connect", "answer"]),
    ],
)
async def test_a_receiver_that_works(receiver: Receiver, level: str, word: str, phases: list[str]) -> None:
    """At each level a working receiver is told as such with the time of each phase, exit status 0."""
    target = "{}:{}".format(*receiver.address)
    result = await ping("--level", level, target)
    assert (result.exit_code, result.stderr) == (0, "")
    outcome, *times = result.stdout.strip().split(", ")
    assert outcome == f"{target} {word}"
    assert [time.split()[0] for time in times] == phases
    assert all(time.endswith(" ms") for time in times)


async def test_a_frozen_receiver(receiver: Receiver) -> None:
    """A frozen receiver still connects, and does not answer: the levels tell it from a working one."""
    receiver.freeze()
    target = "{}:{}".format(*receiver.address)
    connected, asked = await ping("--level", "connect", target), await ping(target)
    assert connected.exit_code == 0
    assert asked.exit_code == 1
    assert asked.stdout.startswith(f"{target} answer-timeout, connect ")


@pytest.mark.parametrize("level", ["connect", "ack", "stack"])
def test_a_port_that_is_closed(level: str) -> None:
    """Where nobody listens the connect is refused, exit status 1."""
    target = f"{HOST}:{free_port()}"
    result = invoke("ping", "--level", level, target)
    assert (result.exit_code, result.output) == (1, f"{target} refused\n")


async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """End the connection when something comes."""
    await reader.read(1)
    writer.close()


async def speak_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as a web server would."""
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n" * 100)
    await writer.drain()
    await reader.read()


async def throw(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as a Tomcat does whose interceptor threw."""
    await reader.read(1)
    writer.write(encode_frame(Acknowledgement.FAIL_ACK))
    await writer.drain()
    await reader.read()


@pytest.mark.parametrize(
    ("serve", "word", "status"),
    [(hang_up, "closed", 1), (speak_http, "no-ack", 1), (throw, "fail-ack", 0)],
    ids=["hangs up", "speaks HTTP", "an interceptor threw"],
)
async def test_a_peer_that_is_no_receiver(serve: Any, word: str, status: int) -> None:
    """Whatever else a peer does has its own word; a failure that is acknowledged is an answer."""
    async with answering(serve) as target:
        result = await ping("--level", "stack", target)
    assert result.stdout.startswith(f"{target} {word}")
    assert result.exit_code == status


async def test_json(receiver: Receiver) -> None:
    """Each question is one object with target, level, outcome and the time of each phase."""
    target = "{}:{}".format(*receiver.address)
    result = await ping("--json", "--count", "2", "--interval", "10ms", target)
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(found) == 2
    for record in found:
        assert list(record) == ["time", "target", "level", "outcome", "connect_seconds", "answer_seconds"]
        assert (record["target"], record["level"], record["outcome"]) == (target, "ack", "answered")
        assert 0 < record["connect_seconds"] < 1
        assert 0 < record["answer_seconds"] < 1


async def test_repeated_questions_are_summed_up(receiver: Receiver) -> None:
    """Several questions end with how many were answered; one answer is enough for exit status 0."""
    target = "{}:{}".format(*receiver.address)
    result = await ping("--count", "3", "--interval", "10ms", target)
    assert result.stdout.splitlines()[-1] == "3 asked, 3 answered"
    assert result.exit_code == 0
    await receiver.close()
    result = await ping("--count", "2", "--interval", "10ms", target)
    assert result.stdout.splitlines() == [f"{target} refused"] * 2 + ["2 asked, 0 answered"]
    assert result.exit_code == 1


async def question_of(*flags: str) -> Frame:
    """Return the frame that a question consists of."""
    asked: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()

    async def listen(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        frames = Reader()
        while chunk := await reader.read(65_536):
            for data in frames.feed(chunk):
                content = parse_data(data)
                assert isinstance(content, Frame)
                asked.set_result(content)

    async with answering(listen) as target:
        await ping(*flags, target)
        return await asked


@pytest.mark.parametrize(
    ("flags", "options"),
    [((), 3), (("--level", "stack"), 7), (("--option-flag", "256"), 259)],
)
async def test_what_a_question_says(flags: tuple[str, ...], options: int) -> None:
    """A question is never one that is deserialised, and carries the target's own address as its sender."""
    frame = await question_of(*flags)
    assert frame.options == options
    assert frame.sender.member.host == bytes((127, 0, 0, 1))
    assert frame.sender.member.unique_id == bytes(16)


async def test_the_unique_id_can_be_given() -> None:
    """The id that is given is the id that is carried."""
    frame = await question_of("--unique-id", "000102030405060708090a0b0c0d0e0f")
    assert frame.sender.member.unique_id == bytes(range(16))


async def test_the_block_can_be_taken_from_the_group(receiver: Receiver) -> None:
    """With --group the target's own heartbeat gives its block: here, a target that is heard on loopback."""
    member = Member(bytes((127, 0, 0, 1)), receiver.address[1], bytes(range(16)))

    async def beat() -> None:
        with Outlet(Place(GROUP, PORT)) as outlet:
            while True:
                outlet.send(encode(Heartbeat(member, 1000)))
                await asyncio.sleep(0.05)

    beating = asyncio.create_task(beat())
    target = "{}:{}".format(*receiver.address)
    result = await ping("--group", f"{GROUP}:{PORT}", "--interface", "lo", target)
    beating.cancel()
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{target} answered")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["localhost"], "'localhost' is not HOST:PORT, such as 10.0.0.1:4000 or [2001:db8::7]:4000."),
        (["10.0.0.1:0"], "'10.0.0.1:0' is not HOST:PORT, such as 10.0.0.1:4000 or [2001:db8::7]:4000."),
        ([":4000"], "':4000' is not HOST:PORT, such as 10.0.0.1:4000 or [2001:db8::7]:4000."),
        (["--unique-id", "abc", "10.0.0.1:4000"], "--unique-id 'abc' is not 32 hex digits."),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_wrong_usage_is_one_line(arguments: list[str], line: str) -> None:
    """What is no target and no id is told in one line, exit status 2."""
    assert refused("ping", *arguments) == f"{line} See tribes-probe ping --help."
