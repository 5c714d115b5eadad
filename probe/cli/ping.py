"""``tribes-probe ping``."""

import asyncio
import contextlib
import socket
import time
from itertools import count
from typing import Any, Final

import click

from probe import config
from probe.cli.output import json_line, note
from probe.cli.parameters import Duration, GroupParameter
from probe.model.evidence import Answer, Check
from probe.model.track import Datagram
from probe.replay import Group
from probe.sensors.interfaces import list_interfaces
from probe.sensors.multicast import Multicast
from probe.sensors.receiver import Question, ask, own_block
from protocols.datagram import classify
from protocols.heartbeat import Heartbeat, Member, host_text

LISTEN: Final = 3.0
"""seconds for which a heartbeat of the target is waited for with --group."""
LEVELS: Final = ("connect", "ack", "stack")


@click.command("ping")
@click.argument("target", metavar="HOST:PORT")
@click.option(
    "--level", type=click.Choice(LEVELS), default="ack", show_default=True, help="What to ask; see above."
)
@click.option(
    "-c", "--count", type=click.IntRange(0), default=1, show_default=True, help="How often; 0: until Ctrl-C."
)
@click.option("-i", "--interval", type=Duration(), default="1s", show_default=True, help="Pause between two.")
@click.option(
    "-t",
    "--timeout",
    type=Duration(),
    default="1s",
    show_default=True,
    help="For the connect, and for the answer.",
)
@click.option(
    "--option-flag", type=click.IntRange(0), default=0, help="TcpFailureDetector's optionFlag, if it has one."
)
@click.option("--unique-id", metavar="HEX", help="The target's unique id; see above.")
@click.option(
    "--group",
    type=GroupParameter(),
    help="Take the target's member block from its heartbeat in this group, e.g. 228.0.0.4:45564.",
)
@click.option("--interface", "interfaces", multiple=True, help="Listen on this interface only. Repeatable.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def command(target: str, **options: Any) -> int:
    """Ask the receiver of the member at HOST:PORT, once or repeatedly. Exit status 0 if it answered, else 1.

    \b
    connect  a TCP connect: proves the kernel and the port, not that Tomcat runs
    ack      TcpFailureDetector's test with an answer asked for: Tomcat accepts, reads and has a free worker
    stack    the same, answered after the interceptors ran: "fail-ack" if one of them threw

    The question of ack and stack carries a member block, as any message between Tomcats. It is the target's
    own, so that nobody is added anywhere: host and port, with the unique id and domain that --group hears or
    the id that --unique-id says, else an id of zeros and no domain. That is harmless in nearly every stack. Use
    --group where a DomainFilterInterceptor stands below TcpFailureDetector, or where a DNS membership has no
    detector. Use connect where there is an EncryptInterceptor and no detector, or where a Gzip- (7.0, 8.5),
    Order-, Fragmentation- or TwoPhaseCommitInterceptor stands below it: they log an error for each question.

    \b
    tribes-probe ping 10.0.0.1:4000
    tribes-probe ping --level connect --count 5 '[2001:db8::7]:4000'
    tribes-probe ping --group 228.0.0.4:45564 --level stack 10.0.0.1:4000
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    host, port = _resolve(target)
    block = _block(host, port, options["unique_id"])
    answers: list[Answer] = []
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_ping(host, port, block, options, answers))
    served = sum(answer.serves for answer in answers)
    if len(answers) != 1 and not options["as_json"]:
        click.echo(f"{len(answers)} asked, {served} answered")
    return 0 if served else 1


def _resolve(target: str) -> tuple[str, int]:
    """Return the address and port to ask; a name is looked up."""
    host, _, port = target.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise click.UsageError(f"{target!r} is not HOST:PORT, such as 10.0.0.1:4000 or [2001:db8::7]:4000.")
    try:
        found = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except OSError as error:
        raise click.ClickException(f"{host}: {error.strerror}") from error
    return str(found[0][4][0]), int(port)


def _block(host: str, port: int, unique_id: str | None) -> Member:
    try:
        raw = bytes.fromhex(unique_id) if unique_id else bytes(16)
    except ValueError:
        raw = b""
    if len(raw) != 16:  # noqa: PLR2004  # an id's fixed size
        raise click.UsageError(f"--unique-id {unique_id!r} is not 32 hex digits.")
    return own_block(host, port, raw)


async def _ping(host: str, port: int, block: Member, options: dict[str, Any], answers: list[Answer]) -> None:
    name = block.name
    if options["group"] is not None:
        heard = await _listen(options["group"], options["interfaces"], block.address)
        if heard is None:
            note(f"no heartbeat of {name} within {LISTEN:g} s: asking with an unknown unique id")
        block = heard or block
    level = options["level"]
    check = Check.CONNECT if level == "connect" else Check.ACK
    asked = Question(
        host, port, check, options["timeout"], block, options["option_flag"], stack=level == "stack"
    )
    for number in range(options["count"]) if options["count"] else count():
        await asyncio.sleep(options["interval"] if number else 0)
        answer = await ask(asked)
        answers.append(answer)
        click.echo(json_line(_record(name, level, answer)) if options["as_json"] else _text(name, answer))


async def _listen(group: Group, interfaces: tuple[str, ...], address: bytes) -> Member | None:
    """Return the block that the member of an address announces in a group, None if it is not heard."""
    heard: asyncio.Future[Member] = asyncio.get_running_loop().create_future()

    def take(batch: list[Datagram]) -> None:
        for content in (content for data, _, _ in batch for content in classify(data)):
            if isinstance(content, Heartbeat) and content.member.address == address and not heard.done():
                heard.set_result(content.member)

    settings = config.Group(address=host_text(group[0]), port=group[1], interfaces=interfaces)
    ears = Multicast(settings, take, lambda *_: None)
    try:
        ears.follow(await asyncio.to_thread(list_interfaces))
        async with asyncio.timeout(LISTEN):
            return await heard
    except TimeoutError:
        return None
    finally:
        ears.close()


def _record(name: str, level: str, answer: Answer) -> dict[str, Any]:
    return {
        "time": round(time.time(), 6),
        "target": name,
        "level": level,
        "outcome": answer.outcome.value,
        "connect_seconds": answer.connect_seconds,
        "answer_seconds": answer.answer_seconds,
    }


def _text(name: str, answer: Answer) -> str:
    phases = {"connect": answer.connect_seconds, "answer": answer.answer_seconds}
    times = [f"{phase} {taken * 1000:.2f} ms" for phase, taken in phases.items() if taken is not None]
    return ", ".join([f"{name} {answer.outcome}", *times])
