"""``tribes-probe doctor``."""

import asyncio
import contextlib
import time
from collections import Counter
from importlib.metadata import version
from typing import Any, Final

import click
import msgspec

from probe.cli.output import json_line, note
from probe.cli.parameters import Duration
from probe.cli.settings import insist, source_flags
from probe.config import Settings
from probe.doctor import others, selftest
from probe.doctor.finding import Finding, Status
from probe.doctor.walk import Order, walk

_INDENT: Final = " " * 9


@click.command("doctor")
@source_flags
@click.option(
    "--peer",
    "peers",
    multiple=True,
    metavar="HOST[:PORT]",
    help="Ask the probe there what it hears of this host. Repeatable; an address, a URL, or a peer's name.",
)
@click.option("--listen", type=Duration(), help="For how long. [default: two dropTimes]")
@click.option(
    "--self-test", is_flag=True, help="Measure multicast with the doctor that runs at each --peer now."
)
@click.option(
    "--self-test-port",
    type=click.IntRange(1, 65_535),
    default=selftest.PORT,
    show_default=True,
    help="UDP port of the self-test, the same at both ends; never a membership's.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(
    *,
    peers: tuple[str, ...],
    listen: float | None,
    self_test: bool,
    self_test_port: int,
    as_json: bool,
    **flags: Any,
) -> int:
    """Look on this host for why a cluster does not form, in the order in which the packets go.

    Name, interfaces, route, rp_filter, firewall, ports, bridges, IGMP, drops, the JVM's flag, container,
    buffers; then it listens, asks the receivers, and the probes at --peer. It stops at nothing: what this user
    may not see is "unknown", with what is missing. As root it sees the firewall and whose sockets they are.
    Nothing is sent to a membership group. Exit status 1 if there is an error, 0 with warnings only.

    With --self-test, run on two hosts within a minute, each with the other as --peer, both send 20 datagrams to
    the group's address on another port and tell each other by unicast what came: loss for each direction, round
    trip out by multicast and back by unicast.

    \b
    tribes-probe doctor --server-xml /etc/tomcat10/server.xml
    tribes-probe doctor --peer 10.0.0.2 --peer 10.0.0.3
    tribes-probe doctor --self-test --peer 10.0.0.2      and there: --self-test --peer 10.0.0.1
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    settings = insist(flags)
    order = _order(settings, peers, listen, self_test_port if self_test else None)
    findings: list[Finding] = []
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_walk(order, findings, as_json=as_json))
    counts = Counter(finding.status for finding in findings)
    if as_json:
        click.echo(json_line(_record(settings, findings, counts)))
    else:
        click.echo(_summary(counts))
    return 1 if counts[Status.ERROR] else 0


def _order(settings: Settings, peers: tuple[str, ...], listen: float | None, self_test: int | None) -> Order:
    if self_test is not None:
        if not peers:
            raise click.UsageError("--self-test needs the other host as --peer.")
        if why := selftest.refusal(self_test, settings.groups):
            raise click.UsageError(f"--self-test-port: {why}.")
    try:
        named = [others.peer(text, settings) for text in peers]
    except ValueError as error:
        raise click.UsageError(f"--peer: {error}.") from error
    every = {peer.url: peer for peer in (*settings.peers, *named)}
    hosts = tuple(dict.fromkeys(others.host(peer) for peer in named))
    return Order(settings, tuple(every.values()), hosts, self_test, listen)


async def _walk(order: Order, findings: list[Finding], *, as_json: bool) -> None:
    async for finding in walk(order, note):
        findings.append(finding)
        if not as_json:
            many = len(order.settings.groups) > 1
            click.echo(_text(finding, f" of {finding.group}" if many and finding.group else ""))


def _text(finding: Finding, group: str) -> str:
    """Write one line where all is well, a paragraph where not."""
    head = f"{finding.status:8} {finding.step}{group}: {finding.found}"
    if finding.status is Status.OK:
        return f"{head}; {finding.means}" if finding.means else head
    words = {"looked at": finding.looked_at, "means": finding.means, "do": finding.remedy}
    return "\n".join([head, *(f"{_INDENT}{word}: {text}" for word, text in words.items())])


def _summary(counts: Counter[Status]) -> str:
    named = [f"{counts[status]} {status}" for status in Status]
    return f"{counts.total()} findings: {', '.join(named)}"


def _record(settings: Settings, findings: list[Finding], counts: Counter[Status]) -> dict[str, Any]:
    return {
        "time": round(time.time(), 6),
        "version": version("tribes-probe"),
        "groups": [group.name for group in settings.groups],
        "counts": {status.value: counts[status] for status in Status},
        "findings": [msgspec.to_builtins(finding) for finding in findings],
    }
