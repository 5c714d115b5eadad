"""What Tomcats believe, read over HTTP: a sound answer is taken, a bad one harms nobody but its own Tomcat."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import web
from support.authority import Authority

from probe.config import BeliefSource, Group, PeerTls
from probe.fields import ConfigError
from probe.model.belief import FRESH, Reading
from probe.sensors.belief import LARGEST, PACE, Tomcat, Tomcats
from probe.sensors.site import PATIENCE, open_session
from probe.surface.web import _context
from probe.web_config import Tls

RECORDED: Final = Path(__file__).parents[2] / "vectors" / "jmxproxy" / "10.1.txt"
SOUND: Final = RECORDED.read_bytes()
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Manager:
    """A server that answers as a test wants it to; it counts the questions under way and keeps the last."""

    def __init__(self) -> None:
        self.asked = self.under_way = self.most = 0
        self.last: web.Request | None = None
        self.url = ""
        self.answer: Handler = answered(SOUND)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Count, and answer."""
        self.asked += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        self.last = request
        try:
            return await self.answer(request)
        finally:
            self.under_way -= 1


def answered(body: bytes, status: int = 200, **headers: str) -> Handler:
    """Return a handler that answers with these bytes."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, status=status, content_type="text/plain", headers=headers)

    return answer


@pytest.fixture(name="manager")
async def _manager() -> AsyncIterator[Manager]:
    """Give a server on loopback."""
    manager = Manager()
    app = web.Application()
    app.router.add_get("/manager/jmxproxy", manager.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    manager.url = f"http://127.0.0.1:{runner.addresses[0][1]}/manager/jmxproxy"
    yield manager
    await runner.cleanup()


def group(*sources: BeliefSource) -> Group:
    """Return a group whose Tomcats are read."""
    return Group(name="shop", belief=sources)


async def read(url: str, **settings: Any) -> Reading:
    """Ask a Tomcat once."""
    async with open_session() as session:
        return await Tomcat(group(), BeliefSource(url, **settings)).read(session)


async def test_a_belief_is_read(manager: Manager) -> None:
    """The query of its channel's MBeans and no other, with the moment it was asked for."""
    before = time.monotonic()
    reading = await read(manager.url, member="10.77.0.13:4000")
    assert reading.why == ""
    assert before <= reading.at <= time.monotonic()
    assert (reading.source, reading.member) == (manager.url, "10.77.0.13:4000")
    assert reading.belief is not None
    assert reading.belief.local.member == "10.77.0.13:4000"
    assert manager.last is not None
    assert dict(manager.last.query) == {"qry": "ClusterChannel:type=Channel,*"}
    assert manager.last.headers["Accept-Encoding"] == "identity"
    assert "Authorization" not in manager.last.headers


async def test_who_asks_is_told_by_basic_auth(manager: Manager, tmp_path: Path) -> None:
    """The password is the file's line; it goes nowhere else when the answer leads elsewhere."""
    password = tmp_path / "password"
    password.write_text("s3cret\n")
    elsewhere: list[str] = []

    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        elsewhere.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.close()

    server = await asyncio.start_server(other, "127.0.0.1", 0)
    there = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    manager.answer = answered(b"", 302, Location=there)
    reading = await read(manager.url, username="probe", password_file=str(password))
    server.close()
    await server.wait_closed()
    assert manager.last is not None
    kind, _, pair = manager.last.headers["Authorization"].partition(" ")
    assert (kind, base64.b64decode(pair)) == ("Basic", b"probe:s3cret")
    assert reading.why == "it answers HTTP 302 to /manager/jmxproxy"
    assert elsewhere == []
    assert "s3cret" not in repr(reading)


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        (answered(b""), "its answer is no dump of MBeans: is it the address of a Manager's jmxproxy?"),
        (
            answered(b"<html>log in"),
            "its answer is no dump of MBeans: is it the address of a Manager's jmxproxy?",
        ),
        (
            answered(b"\xff\xfe\x00" * 9),
            "its answer is no dump of MBeans: is it the address of a Manager's jmxproxy?",
        ),
        (answered(SOUND[:-99]), "its answer ends within a"),
        (answered(SOUND.replace(b"228.0.0.4", b"228.0.0.5")), "it is no member of 228.0.0.4:45564 but of"),
        (answered(SOUND.replace(b"MembersByName", b"Mem\x1b[31mName")), "its answer lacks MembersByName"),
        (answered(SOUND * 300), f"its answer is larger than {LARGEST // 2**20} MiB"),
        (answered(b"", 401), "it asks for another name and password (HTTP 401): see username, password_file"),
        (answered(b"", 403), "it forbids it (HTTP 403): give the user the role manager-jmx"),
        (answered(b"", 404), "it has no jmxproxy there (HTTP 404)"),
        (answered(b"", 500), "it answers HTTP 500 to /manager/jmxproxy"),
        (answered(b"x", 200, **{"Content-Encoding": "gzip"}), "its answer is packed, which was not asked for"),
    ],
)
async def test_an_answer_that_cannot_be_used(manager: Manager, handler: Handler, why: str) -> None:
    """One clear, printable reason each."""
    manager.answer = handler
    reading = await read(manager.url)
    assert reading.belief is None
    assert reading.why.startswith(why)
    assert reading.why.isprintable()
    assert manager.asked == 1


@pytest.mark.parametrize("talks", [False, True])
async def test_an_answer_that_never_ends(manager: Manager, *, talks: bool) -> None:
    """Silent, or with a byte now and then: both are given up in time."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if talks:
            await response.prepare(request)
        while True:
            await asyncio.sleep(0.05)
            if talks:
                await response.write(b" ")

    manager.answer = answer
    began = time.monotonic()
    assert (await read(manager.url)).why == "no answer within 2 s"
    assert time.monotonic() - began < PATIENCE + 1


async def test_who_is_not_there() -> None:
    """A closed port says so."""
    assert (await read("http://127.0.0.1:9/manager/jmxproxy")).why == "cannot be reached: Connection refused"


async def test_over_tls(tmp_path: Path) -> None:
    """Read where the certificate is trusted; a stranger's authority reads nothing."""
    ca, other = Authority(tmp_path, "authority"), Authority(tmp_path, "stranger")
    app = web.Application()
    app.router.add_get("/manager/jmxproxy", answered(SOUND))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=_context(Tls(*ca.issue("server")))).start()
    url = f"https://127.0.0.1:{runner.addresses[0][1]}/manager/jmxproxy"
    assert (await read(url, tls=PeerTls(ca.pair.cert))).why == ""
    assert "certificate" in (await read(url, tls=PeerTls(other.pair.cert))).why
    await runner.cleanup()


class Attending:
    """Tomcats that are read while the block runs, what was taken and what was told of them."""

    def __init__(self, *urls: str, before: "Attending | None" = None) -> None:
        self.taken: list[Reading] = []
        self.told: list[tuple[str, str]] = []
        self.tomcats = Tomcats(
            [group(*map(BeliefSource, urls))],
            lambda _, reading: self.taken.append(reading),
            lambda _, source, why: self.told.append((source.url, why)),
        )
        if before is not None:
            self.tomcats.inherit(before.tomcats)

    async def until(self, holds: Callable[[], bool], patience: float = 15) -> None:
        """Read until something is true."""
        task = asyncio.create_task(self.tomcats.run())
        try:
            async with asyncio.timeout(patience):
                while not holds():  # noqa: ASYNC110  # what it waits for has no event of its own
                    await asyncio.sleep(0.01)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_garbage_harms_only_that_tomcat(manager: Manager) -> None:
    """It is told once, with the reason; the sound one beside it is read on, and both are asked in turn."""
    bad = "http://127.0.0.1:9/manager/jmxproxy"
    attending = Attending(bad, manager.url)
    began = time.monotonic()
    await attending.until(lambda: manager.asked >= 3)
    assert time.monotonic() - began >= 2 * 0.9 * PACE
    assert set(attending.told) == {(bad, "cannot be reached: Connection refused"), (manager.url, "")}
    assert len(attending.told) == 2
    assert {one.source for one in attending.taken if one.belief is None} == {bad}
    assert manager.most == 1


async def test_a_single_bad_answer_is_no_news(manager: Manager) -> None:
    """Only once the last good one is stale it is read no more; a reload tells nobody anew."""
    [tomcat] = Attending(manager.url).tomcats.all
    async with open_session() as session:
        assert tomcat.turned((await tomcat.read(session)).why, time.monotonic())
        manager.answer = answered(b"")
        why = (await tomcat.read(session)).why
        assert not tomcat.turned(why, time.monotonic())
        assert tomcat.turned(why, time.monotonic() + FRESH + 1)
        assert not tomcat.turned(why, time.monotonic() + FRESH + 2)
    before = Attending(manager.url)
    before.tomcats.all[0].up = False
    after = Attending(manager.url, before=before)
    assert after.tomcats.all[0].up is False
    assert bool(after.tomcats)
    assert not Attending().tomcats


@pytest.mark.parametrize(
    ("settings", "line"),
    [
        ({"tls": PeerTls(ca_file="gone")}, "TLS cannot be set up: "),
        ({"username": "a", "password_file": "gone"}, "the password cannot be read: "),
    ],
)
def test_files_that_cannot_be_used(settings: dict[str, Any], line: str) -> None:
    """Each is one line that names the group and the address."""
    url = "https://127.0.0.1/manager/jmxproxy"
    with pytest.raises(ConfigError) as refused:
        Tomcat(group(), BeliefSource(url, **settings))
    assert str(refused.value).startswith(f"belief of shop: {url}: {line}")
