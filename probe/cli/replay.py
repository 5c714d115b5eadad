"""``tribes-probe replay``."""

from typing import IO, Any

import click

from probe.cli import source as sources
from probe.cli.output import Lines, is_live, json_line
from probe.cli.parameters import Duration, GroupParameter
from probe.model.rules import Rules
from probe.replay import Group, Replay, describe_event, describe_verdict, event_text, verdict_text
from protocols import pcap


@click.command("replay")
@sources.FILE
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line; the last is the verdict.")
@click.option(
    "--group",
    "groups",
    multiple=True,
    type=GroupParameter(),
    help="Watch only this group. Repeatable. [default: every group on which heartbeats are seen]",
)
@click.option(
    "--frequency", type=Duration(), default="500ms", show_default=True, help="The members' frequency."
)
@click.option("--drop-time", type=Duration(), default="3s", show_default=True, help="The members' dropTime.")
@click.option(
    "--expect",
    multiple=True,
    metavar="HOST:PORT|COUNT",
    help="A member that must be there, or how many must be. Repeatable.",
)
def command(
    source: IO[bytes],
    *,
    as_json: bool,
    groups: tuple[Group, ...],
    frequency: float,
    drop_time: float,
    expect: tuple[str, ...],
) -> None:
    """Tell what happened in the capture FILE, and the verdict at its end; - reads standard input.

    It is what a probe at that place would have told. Time is the capture's own: a silence is told at its
    exact deadline. Receivers cannot be asked in a capture, so whoever is not heard is "silent".

    \b
    tribes-probe replay capture.pcap
    tribes-probe replay --expect 10.0.0.1:4000 --expect 10.0.0.2:4000 capture.pcap
    tribes-probe replay --drop-time 10s --json capture.pcap | tail -1
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    replay = Replay(Rules(frequency=frequency, drop_time=drop_time, **_expected(expect)), groups)
    lines = Lines(live=is_live(source))
    error = None
    try:
        for event in replay.play(pcap.read(sources.peekable(source))):
            lines.write(json_line(describe_event(event)) if as_json else event_text(event))
    except pcap.CaptureError as damaged:
        error = damaged
    for event in replay.finish():
        lines.write(json_line(describe_event(event)) if as_json else event_text(event))
    for watch in replay.watches.values():
        lines.write(
            json_line(describe_verdict(watch, replay.now)) if as_json else verdict_text(watch, replay.now)
        )
    lines.flush()
    if error is not None:
        raise click.ClickException(f"{sources.name(source)}: {error}")


def _expected(expect: tuple[str, ...]) -> dict[str, Any]:
    """Return the rules about who must be there."""
    counts = [int(text) for text in expect if text.isdigit()]
    members = frozenset(text for text in expect if not text.isdigit())
    for member in members:
        if not member.rpartition(":")[2].isdigit() or not member.rpartition(":")[0]:
            raise click.BadParameter(f"{member!r} is neither HOST:PORT nor a number", param_hint="--expect")
    return {"expected": members, "expected_count": max(counts, default=0)}
