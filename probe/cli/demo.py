"""``tribes-probe demo``."""

import asyncio
import socket
from typing import Any

import click
import msgspec

from probe.cli.settings import demo_flags, insist, starting
from probe.config import Settings
from probe.daemon import Daemon, loop_factory
from probe.simulate.demo import Demo

PORT = 10564


@click.command("demo")
@demo_flags
def command(**flags: Any) -> None:
    """Watch a simulated cluster of three on loopback: a story of a minute, again and again, until Ctrl-C.

    Members join, one is paused as by a long garbage collection, one is killed and started again, one is
    stopped cleanly. The probe is the real one: see the page, the metrics and the log while it happens. Needs
    no privilege, no Java and no network; nothing leaves this host. Groups in a settings file are not watched.

    \b
    tribes-probe demo
    tribes-probe demo --web.listen-address 127.0.0.1:8080 --log.format json
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    settings = insist(flags)
    if not flags["listen_addresses"] and not flags["config_file"] and not _is_free(PORT):
        settings = _replace_web(settings, ":0")
    with starting():
        demo = Demo(_tell)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_run(msgspec.structs.replace(settings, groups=(demo.group,)), demo))


def _tell(at: float, text: str) -> None:
    click.echo(f"{at:6.1f} s  {text}")


def _ready(addresses: list[str]) -> None:
    pages = " ".join(dict.fromkeys(addresses))
    click.echo(f"see {pages} (page), /metrics and /api/v1/view there; Ctrl-C ends the demo")


async def _run(settings: Settings, demo: Demo) -> None:
    """Run the probe and the cluster until one of them ends."""
    probe = Daemon(settings)
    playing = asyncio.create_task(demo.play())
    playing.add_done_callback(lambda _: probe.stop())
    try:
        await probe.run(_ready)
    finally:
        playing.cancel()
        await asyncio.wait([playing])
    if not playing.cancelled():
        playing.result()


def _replace_web(settings: Settings, address: str) -> Settings:
    web = msgspec.structs.replace(settings.web, listen_addresses=(address,))
    return msgspec.structs.replace(settings, web=web)


def _is_free(port: int) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("", port))
        except OSError:
            return False
    return True
