"""``session``: a line for each pair of nodes, and the exit status a script relies on."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from click.testing import Result
from support.command import invoke, refused
from support.shop import Cluster, Shop

Open = Callable[..., Awaitable[Shop]]


@pytest.fixture(name="open_shop")
async def _open_shop() -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def open_shop(cluster: Cluster, route: str = "") -> Shop:
            shop = await Shop(cluster, route).open()
            stack.push_async_callback(shop.close)
            return shop

        yield open_shop


async def session(*arguments: str) -> Result:
    """Run the command while this loop serves."""
    return await asyncio.to_thread(invoke, "session", "--timeout", "1s", "--give-up", "200ms", *arguments)


async def test_a_line_for_each_pair(open_shop: Open) -> None:
    """With the delay; exit status 0."""
    cluster = Cluster()
    shops = [await open_shop(cluster, route) for route in "abc"]
    result = await session(*(shop.url for shop in shops))
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert len(lines) == 7
    assert all(" replicated, " in line and line.endswith(" ms, at the first look") for line in lines[:-1])
    assert lines[-1] == "6 shown, 6 known"


async def test_a_session_that_is_lost_is_exit_status_1(open_shop: Open) -> None:
    """With the reason and what to think of it."""
    first, second = await open_shop(Cluster(), "a"), await open_shop(Cluster(), "b")
    result = await session(first.url, second.url)
    assert result.exit_code == 1
    name = first.url.split("/")[2]
    assert result.stdout.splitlines()[1].endswith(f"-> {name} lost (not-replicated): {name} does not know a "
        f"session made on {second.url.split('/')[2]}, for 0.2 s: it makes a new one")  # fmt: skip
    assert result.stdout.splitlines()[2] == "2 shown, 0 known"


async def test_json_for_machines(open_shop: Open, tmp_path: Path) -> None:
    """Every field, each line by itself; no id and no secret among them."""
    cluster = Cluster()
    first, second = await open_shop(cluster, "a"), await open_shop(cluster, "b")
    for name, value in {"user": "alice", "password": "secret"}.items():
        (tmp_path / name).write_text(f"{value}\n")
    result = await session(
        *("--json", "--count", "2", "--interval", "10ms"),
        *(
            "--login",
            "/app/login",
            "--field",
            f"user={tmp_path}/user",
            "--field",
            f"password={tmp_path}/password",
        ),
        *("--expect-same", r"user=(\w+)", "--logout", "/app/logout", "--header", "X-Probe=yes"),
        *(first.url, second.url),
    )
    assert result.exit_code == 0, result.output
    records = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(records) == 4
    assert set(records[0]) == {
        "time", "from", "to", "state", "reason", "delay_seconds", "resolution_seconds", "made", "ended", "text"
    }  # fmt: skip
    assert all(
        (one["state"], one["reason"], one["made"], one["ended"]) == ("replicated", None, 1, 1)
        for one in records
    )
    assert cluster.sessions == {}
    assert first.headers[0]["X-Probe"] == "yes"
    shown = {cookie for _, _, cookie in first.asked + second.asked} - {""}
    assert not any(cookie.partition(".")[0] in result.output for cookie in shown)
    assert "secret" not in result.output


async def test_nodes_behind_one_balancer_are_told_by_their_routes(open_shop: Open) -> None:
    """One URL, and each node's route."""
    front = await open_shop(Cluster(), "one")
    result = await session("--route", "one", "--route", "two", front.url)
    assert result.exit_code == 1
    assert result.stdout.startswith("one -> two unknown (wrong-node): ")
    assert {path for _, path, _ in front.asked} == {"/app/;jsessionid=.one", "/app/;jsessionid=.two"}


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["http://a/"], "1 nodes are given: name from 2 to 8."),
        (["http://a/", "b:80", "http://c/"], None),
        (["--route", "x", "http://a/", "http://b/"], "1 routes for 2 URLs: give one for each, or one URL."),
        (["--field", "user", "http://a/", "http://b/"], "'user' is not NAME=FILE."),
        (["--header", "=x", "http://a/", "http://b/"], "'' is not NAME=VALUE."),
    ],
)  # fmt: skip
def test_wrong_usage_is_one_line(arguments: list[str], line: str | None) -> None:
    """Exit status 2; nothing is asked, and what may be secret is not repeated."""
    said = refused("session", *arguments)
    if line is not None:
        assert said == f"{line} See tribes-probe session --help."
    else:
        assert said == (
            'the command line: nodes[1].url: "b:80" is no address of a page: write http://10.0.0.1:8080/shop/'
        )


def test_a_secret_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    """With its file's name."""
    said = refused("session", "--header-file", f"X-Token={tmp_path}/none", "http://a/", "http://b/")
    assert said == f"the command line: {tmp_path}/none: cannot be read: No such file or directory"
