"""``tribes-probe session``."""

import asyncio
import contextlib
import time
from itertools import count, permutations
from pathlib import Path
from typing import Any, Final

import click

from probe.cli.output import json_line
from probe.cli.parameters import Duration
from probe.cli.settings import SettingsError
from probe.config import MOST_NODES, Sessions, read_sessions
from probe.fields import ConfigError, Fields
from probe.model.canary import Pair, Result, State
from probe.sensors.session import Canary
from probe.sensors.site import open_session

LONGEST: Final = 1e8
"""seconds: the settings' interval, which the command paces by itself."""
_FILE: Final = click.Path(exists=True, dir_okay=False)


@click.command("session")
@click.argument("urls", metavar="URL…", nargs=-1, required=True)
@click.option("--route", "routes", multiple=True, help="A node's jvmRoute, for the balancer. Repeatable.")
@click.option("--cookie", default="JSESSIONID", show_default=True, help="The session cookie's name.")
@click.option("--route-cookie", help="The cookie by which the balancer routes, if it has one of its own.")
@click.option("--expect-same", metavar="REGEX", help="What must be the same on both nodes' pages.")
@click.option("--login", metavar="PATH", help="Send a form there before the session is shown.")
@click.option("--field", "fields", multiple=True, metavar="NAME=FILE", help="A field of the form. Repeatable.")
@click.option("--logout", metavar="PATH", help="End each session there; else they are left to expire.")
@click.option("--header", "headers", multiple=True, metavar="NAME=VALUE", help="Send a header. Repeatable.")
@click.option("--header-file", "header_files", multiple=True, metavar="NAME=FILE", help="Likewise. Repeatable.")
@click.option("--host", metavar="HOST", help="The Host header, where it is not the URL's.")
@click.option("--user", metavar="NAME", help="For basic auth.")
@click.option("--password-file", type=_FILE, help="For basic auth.")
@click.option("--ca-file", type=_FILE, help="Who signed the nodes' certificates; else whom the system trusts.")
@click.option("--cert-file", type=_FILE, help="The certificate that nodes are shown.")
@click.option("--key-file", type=_FILE, help="Its key.")
@click.option("-t", "--timeout", type=Duration(), default="5s", show_default=True, help="For one answer.")
@click.option("--give-up", type=Duration(), default="10s", show_default=True, help="When a session is lost.")
@click.option(
    "-c", "--count", type=click.IntRange(0), default=1, show_default=True, help="How often; 0: until Ctrl-C."
)
@click.option("-i", "--interval", type=Duration(), default="1s", show_default=True, help="Pause between two.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def command(urls: tuple[str, ...], **options: Any) -> int:
    """Make a session on each node and show it to each other one. Exit status 0 if all were known, else 1.

    Each URL is a page that makes a session, on one Tomcat each. Behind a balancer give its one URL and each
    node's --route: it is told by a path parameter (;jsessionid=.ROUTE), or in --route-cookie.

    A node that knows a session keeps the cookie, or moves it to its own jvmRoute; one that does not makes a new
    session. The time until it is known is measured by looking again and again, until --give-up. With
    --expect-same what was put into the session must have come along, too: what the regular expression finds
    on both pages (its first group, if it has one).

    Each look that comes too early leaves a session on that node, besides the one on the first: up to a dozen
    for a pair. Give --logout, or they stay for the application's session timeout. No id, field or password is
    shown.

    \b
    tribes-probe session http://10.0.0.1:8080/shop/ http://10.0.0.2:8080/shop/
    tribes-probe session --route a --route b --count 10 --json https://shop.example.org/
    tribes-probe session --expect-same 'Hello .+' --login /in --field user=name http://a/ http://b/
    """  # noqa: D301  # click's mark for lines that are not to be wrapped
    try:
        canary = Canary(_settings(urls, options), "the command line")
    except ConfigError as error:
        raise SettingsError("\n".join(error.problems)) from None
    results: list[Result] = []
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_check(canary, options, results))
    known = sum(result.state is State.REPLICATED for result in results)
    if len(results) > 1 and not options["as_json"]:
        click.echo(f"{len(results)} shown, {known} known")
    return 0 if results and known == len(results) else 1


def _settings(urls: tuple[str, ...], options: dict[str, Any]) -> Sessions:
    """Read the options as the settings file is read; raises ``ConfigError``."""
    routes = options["routes"]
    if routes and len(urls) == 1:
        urls = urls * len(routes)
    if routes and len(routes) != len(urls):
        raise click.UsageError(f"{len(routes)} routes for {len(urls)} URLs: give one for each, or one URL.")
    nodes = [{"url": url, **({"route": routes[i]} if routes else {})} for i, url in enumerate(urls)]
    if not 1 < len(nodes) <= MOST_NODES:
        raise click.UsageError(f"{len(nodes)} nodes are given: name from 2 to {MOST_NODES}.")
    written = {name: options[name] for name in ("cookie", "route_cookie", "expect_same", "logout", "host")}
    written |= {"headers": _pairs(options, "headers"), "header_files": _pairs(options, "header_files")}
    if options["login"] is not None or options["fields"]:
        written["login"] = {"path": options["login"], "fields": _pairs(options, "fields")}
    if options["user"] is not None or options["password_file"] is not None:
        written["basic_auth"] = {"username": options["user"], "password_file": options["password_file"]}
    tls = {name: options[name] for name in ("ca_file", "cert_file", "key_file") if options[name] is not None}
    problems: list[str] = []
    given = {name: value for name, value in written.items() if value}
    times = {name: f"{options[name]:f}s" for name in ("timeout", "give_up")}
    fields = Fields(
        {**given, **times, **({"tls": tls} if tls else {}), "nodes": nodes, "interval": f"{LONGEST:.0f}s"},
        "the command line",
        "",
        problems,
    )
    settings = read_sessions(fields, Path())
    if problems:
        raise ConfigError(problems)
    return settings


def _pairs(options: dict[str, Any], name: str) -> dict[str, str]:
    found = {}
    for each in options[name]:
        key, mark, value = each.partition("=")
        if not key or not mark:
            wanted = "VALUE" if name == "headers" else "FILE"
            raise click.UsageError(f"{key!r} is not NAME={wanted}.")  # what stands behind may be a secret
        found[key] = value
    return found


async def _check(canary: Canary, options: dict[str, Any], results: list[Result]) -> None:
    pairs = [Pair(*both) for both in permutations(canary.nodes, 2)]
    async with open_session() as client:
        for number in range(options["count"]) if options["count"] else count():
            await asyncio.sleep(options["interval"] if number else 0)
            for pair in pairs:
                result = await canary.check(client, pair)
                pair.take("", result, time.monotonic())
                results.append(result)
                click.echo(json_line(_record(pair, result)) if options["as_json"] else _text(pair, result))


def _record(pair: Pair, result: Result) -> dict[str, Any]:
    return {
        "time": round(time.time(), 6),
        "from": pair.made_on,
        "to": pair.shown_to,
        "state": result.state.value,
        "reason": result.reason.value if result.reason is not None else None,
        "delay_seconds": result.delay,
        "resolution_seconds": result.resolution,
        "made": result.made,
        "ended": result.ended,
        "text": result.text,
    }


def _text(pair: Pair, result: Result) -> str:
    between = f"{pair.made_on} -> {pair.shown_to} {result.state}"
    if result.delay is None or result.resolution is None:
        return f"{between} ({result.reason}): {result.text}"
    within = (
        "at the first look"
        if result.resolution == result.delay
        else f"within {result.resolution * 1000:.1f} ms"
    )
    return f"{between}, {result.delay * 1000:.1f} ms, {within}"
