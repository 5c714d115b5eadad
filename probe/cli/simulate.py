"""``tribes-probe simulate``."""

import contextlib
import ipaddress
import signal
import time
from typing import IO, Any

import click

from probe.cli.output import note
from probe.cli.parameters import Duration, FaultParameter
from probe.simulate.crowd import Strangers
from probe.simulate.outlet import GROUP, PORT, Outlet, Place
from probe.simulate.player import Player, record, until
from probe.simulate.story import Cluster, Fault, Shape
from protocols.heartbeat import address_name


@click.command("simulate")
@click.option("--members", type=click.IntRange(1, 100_000), default=3, show_default=True, help="How many.")
@click.option(
    "--frequency",
    type=Duration(),
    default="500ms",
    show_default=True,
    help="Time between two heartbeats of a member.",
)
@click.option(
    "--rate",
    type=click.FloatRange(0, min_open=True),
    help="Heartbeats a second of all members together; instead of --frequency.",
)
@click.option("--duration", type=Duration(), help="How long. [default: until Ctrl-C; with --write 1m]")
@click.option(
    "--fault",
    "faults",
    type=FaultParameter(),
    multiple=True,
    metavar="ACT:MEMBER@WHEN[+HOW_LONG]",
    help="What befalls a member; see above. Repeatable.",
)
@click.option(
    "--loss", type=click.FloatRange(0, 1), default=0.0, help="Share of the datagrams that is lost, 0 to 1."
)
@click.option(
    "--churn",
    type=click.FloatRange(0),
    default=0.0,
    help="Members a minute that crash or leave, and come back.",
)
@click.option(
    "--strangers",
    type=click.IntRange(0),
    default=0,
    help="Members invented each second, each heard once: a flood.",
)
@click.option("--domain", default="", help="The members' domain.")
@click.option(
    "--payload", type=click.IntRange(0, 65_000), default=0, help="Bytes of payload in each heartbeat."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The receivers' address.")
@click.option(
    "--receiver-port",
    type=click.IntRange(1, 65_535),
    default=4000,
    show_default=True,
    help="The first member's receiver port; the others' count up.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed tells the same story.")
@click.option("--group", default=GROUP, show_default=True, help="Multicast group to send to.")
@click.option("--port", type=click.IntRange(1, 65_535), default=PORT, show_default=True, help="Its port.")
@click.option("--interface", default="lo", show_default=True, help="Interface to send on.")
@click.option(
    "--write", type=click.File("wb"), metavar="FILE", help="Write a capture instead of sending anything."
)
@click.option("--allow-tomcat-group", is_flag=True, help="Yes, send to 228.0.0.4, where Tomcats may listen.")
@click.option("--allow-any-interface", is_flag=True, help="Yes, let other hosts hear it.")
def command(**options: Any) -> None:
    """Send the heartbeats of a cluster that does not exist.

    Every Tomcat that hears them tries to connect to the invented members. Therefore they go to a group that
    is not Tomcat's and on loopback only, unless both is explicitly allowed. Nothing listens at the members'
    ports; see demo for members that answer.

    ACT of a fault is start, stall, crash, restart (a crash, HOW_LONG later a start), goodbye, clock-step (by
    HOW_LONG, with + or -) or loss; MEMBER counts from 1, WHEN from the beginning.

    \b
    tribes-probe simulate --members 5 --fault stall:2@10s+8s --fault crash:3@30s
    tribes-probe simulate --members 10000 --rate 20000 --duration 30s
    tribes-probe simulate --fault restart:1@20s+1s --duration 40s --write ghost.pcap
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    shape = _shape(options)
    place = Place(
        options["group"],
        options["port"],
        options["interface"],
        tomcat_group=options["allow_tomcat_group"],
        any_interface=options["allow_any_interface"],
    )
    faults = sorted(options["faults"], key=lambda fault: fault.at)
    if any(fault.member >= shape.members for fault in faults):
        raise click.UsageError(f"a --fault names a member beyond the {shape.members} there are.")
    cluster = Cluster(shape, faults)
    try:
        if options["write"]:
            _write(cluster, place, options["write"], options["duration"] or 60.0)
        else:
            _send(cluster, place, options["duration"] or float("inf"), options["strangers"])
    except ValueError as error:
        raise click.UsageError(f"{error}.") from error
    except OSError as error:
        raise click.ClickException(f"{place.name}: {error.strerror or error}") from error


def _shape(options: dict[str, Any]) -> Shape:
    try:
        host = ipaddress.ip_address(options["host"]).packed
    except ValueError as error:
        raise click.UsageError(f"--host: {error}.") from error
    rate = options["rate"]
    return Shape(
        members=options["members"],
        frequency=options["members"] / rate if rate else options["frequency"],
        host=host,
        first_port=options["receiver_port"],
        domain=options["domain"].encode("latin-1", "replace"),
        payload=bytes(options["payload"]),
        loss=options["loss"],
        churn=options["churn"] / 60,
        seed=options["seed"],
    )


def _write(cluster: Cluster, place: Place, file: IO[bytes], seconds: float) -> None:
    for piece in record(until(cluster.play(), seconds), cluster.shape, place, time.time()):
        file.write(piece)


def _send(cluster: Cluster, place: Place, seconds: float, strangers: int) -> None:
    """Send until the time is over or somebody ends it; then every member says goodbye."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)

    def tell(fault: Fault) -> None:
        name = address_name(cluster.shape.host, cluster.shape.port(fault.member))
        click.echo(f"{fault.at:8.3f} s  member {fault.member + 1}, {name}: {fault.act}")

    with Outlet(place) as outlet:
        note(f"sending to {place.name}{'' if place.any_interface else ': nothing leaves this host'}")
        player = Player(outlet, tell, Strangers(strangers) if strangers else None)
        with contextlib.suppress(KeyboardInterrupt):
            player.play(cluster.play(), seconds)
        for moment in cluster.end(player.now):
            player.do(moment)
    note(f"{player.sent} datagrams sent, at worst {player.behind:.3f} s late")
