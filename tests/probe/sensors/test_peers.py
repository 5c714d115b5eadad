"""Other probes' views: what a sound peer says is taken, and what a bad one does harms nobody but itself."""

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Self

import aiohttp
import bcrypt
import msgspec
import pytest
from aiohttp import web
from support.authority import Authority
from support.view import view

from probe.config import BasicAuth, Peer, PeerTls
from probe.fields import ConfigError
from probe.model.sight import Role
from probe.model.vantages import FRESH
from probe.model.views import ProbeView
from probe.sensors import peers
from probe.sensors.peers import Peers, Reader, decode
from probe.sensors.site import PATIENCE, UnusableError
from probe.surface.web import Web
from probe.web_config import Tls, WebConfig

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
GROUP = ("228.0.0.4", 45564)
STARTED = 1.0
"""When the probe that reads was started."""


def body(**changes: object) -> bytes:
    """Return a view as JSON, some of its fields changed."""
    return json.dumps({**msgspec.json.decode(msgspec.json.encode(view())), **changes}).encode()


class Site:
    """A server that answers as a test wants it to; it counts the questions under way."""

    def __init__(self) -> None:
        self.asked = self.under_way = self.most = 0
        self.url = ""
        self.answer: Handler = self.sound

    async def sound(self, _: web.Request) -> web.StreamResponse:
        """Answer as a probe does."""
        return web.Response(body=body(), content_type="application/json")

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Count, and answer."""
        self.asked += 1
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            return await self.answer(request)
        finally:
            self.under_way -= 1


@pytest.fixture(name="site")
async def _site() -> AsyncIterator[Site]:
    """Give a server on loopback."""
    site = Site()
    app = web.Application()
    app.router.add_get("/api/v1/view", site.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield site
    await runner.cleanup()


async def read(url: str, **settings: Any) -> Reader:
    """Ask a peer once."""
    reader = Reader(Peer(url, "b", **settings))
    async with aiohttp.ClientSession(auto_decompress=False) as session:
        await reader.read(session)
    return reader


class Reading:
    """Peers that are read while the block runs, and what was told of them."""

    def __init__(self, *all_peers: Peer, before: Peers | None = None) -> None:
        self.told: list[tuple[str, str]] = []
        self.peers = Peers(all_peers, STARTED, lambda *change: self.told.append(change), before)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.peers.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something is true."""
        async with asyncio.timeout(10):
            while not holds():  # noqa: ASYNC110  # what it waits for has no event of its own
                await asyncio.sleep(0.01)


# -- a sound peer


async def test_a_view_is_read(site: Site) -> None:
    """All that is judged on arrives, with the moment it was asked for."""
    before = time.monotonic()
    reader = await read(site.url)
    assert reader.why == ""
    assert reader.sight is not None
    assert before <= reader.asked_at <= reader.at <= time.monotonic()
    [group] = reader.sight.groups
    assert [one.member for one in group.members] == [one.member for one in view().groups[0].members]
    assert group.members[0].receiver.answered is True


async def test_a_newer_version_that_says_more_is_read(site: Site) -> None:
    """Fields that this version does not know are passed over."""

    async def newer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body(build={"version": "9.9", "more": 1}, moods=["fine"], role="local"))

    site.answer = newer
    reader = await read(site.url)
    assert reader.sight is not None
    assert (reader.sight.build.version, reader.sight.role) == ("9.9", Role.LOCAL)


async def test_a_view_becomes_a_vantage(site: Site) -> None:
    """By its group's address and port, whatever it calls the group; the settings' role counts first."""
    async with Reading(Peer(site.url, "b", "remote")) as reading:
        assert reading.peers.vantages(*GROUP)[0].why == "it was not read yet"
        await reading.until(lambda: reading.peers.readers[0].sight is not None)
        [vantage] = reading.peers.vantages(*GROUP)
        [elsewhere] = reading.peers.vantages("239.0.0.1", 45564)
        [shown] = reading.peers.view()
    assert (vantage.name, vantage.role, vantage.why) == ("b", Role.REMOTE, "")
    assert vantage.sight is not None
    assert (elsewhere.sight, elsewhere.why) == (None, "it does not watch 239.0.0.1:45564")
    assert (shown.up, shown.why, shown.version, shown.role) == (True, "", "0.1.0", "remote")
    assert reading.told == [("b", "")]


async def test_one_question_at_a_time_and_one_a_second(site: Site) -> None:
    """A slow peer is not asked again before it has answered, a quick one not more often than agreed."""

    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.3)
        return await site.sound(request)

    site.answer = slow
    async with Reading(Peer(site.url, "b")) as reading:
        began = time.monotonic()
        await reading.until(lambda: site.asked == 3)
        took = time.monotonic() - began
    assert site.most == 1
    assert took >= 1.8


async def test_a_reload_keeps_what_was_read(site: Site) -> None:
    """The view of a peer that stays is not missing until it is read anew."""
    async with Reading(Peer(site.url, "b")) as reading:
        await reading.until(lambda: reading.peers.readers[0].sight is not None)
    after = Reading(Peer(site.url, "called c now"), before=reading.peers)
    [vantage] = after.peers.vantages(*GROUP)
    assert vantage.sight is not None
    assert vantage.name == "called c now"


async def test_one_probe_is_one_vantage(site: Site) -> None:
    """A peer that is this very probe, or another peer under a second address, does not count."""
    twice = [Peer(site.url, "b"), Peer(site.url.replace("127.0.0.1", "127.0.0.2"), "c")]
    async with Reading(*twice[:1]) as reading:
        await reading.until(lambda: reading.peers.readers[0].sight is not None)
    sight = reading.peers.readers[0].sight
    assert sight is not None
    both = Peers([twice[0], twice[1]], STARTED, lambda *_: None)
    itself = Peers([twice[0]], sight.started, lambda *_: None)
    for reader in (*both.readers, *itself.readers):
        reader.sight, reader.why = sight, ""
    first, second = both.vantages(*GROUP)
    assert first.sight is not None
    assert (second.sight, second.why) == (None, "it is the same probe as b")
    assert itself.vantages(*GROUP)[0].why == "it is this probe itself"
    assert itself.view()[0].up is False


# -- bad peers


def garbage(data: bytes) -> Handler:
    """Return a handler that answers with these bytes."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(body=data, content_type="application/json")

    return answer


def member(**changes: object) -> bytes:
    """Return a view whose first member is changed."""
    seen = json.loads(body())
    seen["groups"][0]["members"][0] |= changes
    return json.dumps(seen).encode()


def twice() -> bytes:
    """Return a view that has its first member twice."""
    seen = json.loads(body())
    seen["groups"][0]["members"].append(seen["groups"][0]["members"][0])
    return json.dumps(seen).encode()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "its answer is no JSON"),
        (b"<html>hello</html>", "its answer is no JSON"),
        (b"\xff\xfe\x00", "its answer is no JSON"),
        (body()[:-100], "its answer is no JSON"),
        (b"[" * 100_000, "its answer is no view of a probe"),
        (b"{}", "its answer is no view of a probe"),
        (b"null", "its answer is no view of a probe"),
        (
            body(groups=3),
            'its view, of version "0.1.0", is not understood: Expected `array`, got `int` - at `$.groups`',
        ),
        (body(build={"version": "\x1b[31m9", "x": 1}, groups=None), r'''its view, of version "'\x1b[31m9'"'''),
        (body(role="oracle"), "is not understood: Invalid enum value 'oracle'"),
        (body(started=-1), "is not understood: Expected `float` >= 0.0 - at `$.started`"),
        (body(groups=[{}] * 1001), "is not understood"),
        (member(age_seconds="soon"), "is not understood: Expected `float | null`, got `str`"),
        (member(age_seconds=1e300), "is not understood"),
        (member(member="10.0.0.1:4000\nlevel=error"), "is not understood"),
        (member(member="<b>"), "is not understood"),
        (member(domain="00" * 5000), "is not understood"),
        (member(age_seconds=900.0), "its view contradicts itself: 10.0.0.1:4000 is up and long silent"),
        (twice(), "its view has a member twice"),
    ],
)
def test_what_is_no_view(data: bytes, why: str) -> None:
    """Each gets its reason in one printable line."""
    with pytest.raises(UnusableError) as refused:
        decode(data)
    assert why in str(refused.value)
    assert str(refused.value).isprintable()


async def test_garbage_harms_only_that_peer(site: Site) -> None:
    """It is told once, with the reason; the sound one beside it is read on."""
    sound = Site()
    app = web.Application()
    app.router.add_get("/api/v1/view", sound.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.answer = garbage(b"<html>")
    good = Peer(f"http://127.0.0.1:{runner.addresses[0][1]}", "good")
    async with Reading(Peer(site.url, "bad"), good) as reading:
        await reading.until(lambda: site.asked >= 2 and sound.asked >= 2)
    await runner.cleanup()
    assert sorted(reading.told) == [("bad", "its answer is no JSON"), ("good", "")]
    assert [one.up for one in reading.peers.view()] == [False, True]


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (401, "it asks for another name and password (HTTP 401): see basic_auth"),
        (404, "it answers HTTP 404 to /api/v1/view"),
        (302, "it answers HTTP 302 to /api/v1/view"),
        (503, "it answers HTTP 503 to /api/v1/view"),
    ],
)
async def test_another_status(site: Site, status: int, why: str) -> None:
    """Nobody is followed elsewhere, and the name and password go nowhere else."""

    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, headers={"Location": "http://127.0.0.1:9/"})

    site.answer = answer
    assert (await read(site.url)).why == why
    assert site.asked == 1


async def test_an_answer_that_never_ends_in_size(site: Site) -> None:
    """Megabytes are given up at the limit, not gathered."""
    sent = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b" " * 2**20)
            sent += 2**20

    site.answer = answer
    reader = await read(site.url)
    assert reader.why in {"its answer is larger than 16 MiB", f"no answer within {PATIENCE:g} s"}
    assert sent < 2 * peers.LARGEST


async def test_a_packed_answer_is_refused(site: Site) -> None:
    """A few bytes that unpack to gigabytes are not unpacked."""

    async def answer(_: web.Request) -> web.StreamResponse:
        response = web.Response(body=body())
        response.enable_compression(web.ContentCoding.gzip)
        return response

    site.answer = answer
    reader = await read(site.url)
    assert reader.why == "its answer is packed, which was not asked for"


@pytest.mark.parametrize("talks", [False, True])
async def test_an_answer_that_never_ends_in_time(site: Site, *, talks: bool) -> None:
    """Silent, or with a byte now and then: both are given up in time."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        if talks:
            await response.prepare(request)
        while True:
            await asyncio.sleep(0.05)
            if talks:
                await response.write(b" ")

    site.answer = answer
    began = time.monotonic()
    reader = await read(site.url)
    assert reader.why == "no answer within 2 s"
    assert time.monotonic() - began < PATIENCE + 1


async def test_what_was_read_before_is_kept_until_it_is_stale(site: Site) -> None:
    """One bad answer makes nobody unusable at once; a view that is too old is shown as down."""
    reading = Reading(Peer(site.url, "b"))
    [reader] = reading.peers.readers
    async with aiohttp.ClientSession() as session:
        await reader.read(session)
        site.answer = garbage(b"{")
        await reader.read(session)
    [vantage] = reading.peers.vantages(*GROUP)
    assert vantage.sight is not None
    assert vantage.why == "its answer is no JSON"
    assert reading.peers.view()[0].up is True
    reader.asked_at -= FRESH
    assert reading.peers.view()[0].up is False


async def test_who_is_not_there_and_who_speaks_no_http() -> None:
    """A closed port, a name that does not exist, and a server of something else: each says so."""

    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(other, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    spoken_to = await read(f"http://127.0.0.1:{port}")
    server.close()
    await server.wait_closed()
    assert spoken_to.why.startswith("its answer is no HTTP: ")
    assert (await read(f"http://127.0.0.1:{port}")).why == "cannot be reached: Connection refused"


# -- a probe's own web server, protected


class Source:
    """Something to show."""

    async def view(self) -> ProbeView:
        """Return the view."""
        return view()

    def not_ready(self) -> str | None:
        """Be ready."""
        return None

    async def reload(self) -> str | None:
        """Find nothing wrong."""
        return None

    def forget(self, member: str, group: str | None = None) -> str:
        """Forget nobody."""
        raise NotImplementedError


async def test_tls_with_certificates_on_both_sides(tmp_path: Path) -> None:
    """The peer is believed by its authority, and believes us by ours; without either nothing is read."""
    ca, other = Authority(tmp_path, "authority"), Authority(tmp_path, "stranger")
    server, client = ca.issue("server"), ca.issue("client")
    tls = Tls(*server, client_auth_type="RequireAndVerifyClientCert", client_ca_file=ca.pair.cert)
    served = Web(Source(), config=WebConfig(tls))
    await served.listen(("127.0.0.1:0",))
    url = served.addresses[0].rstrip("/")
    assert (await read(url, tls=PeerTls(ca.pair.cert, *client))).why == ""
    assert "certificate" in (await read(url, tls=PeerTls(other.pair.cert, *client))).why
    assert (await read(url, tls=PeerTls(ca.pair.cert))).sight is None
    assert (await read(url.replace("https", "http"))).sight is None
    await served.close()


async def test_basic_auth(tmp_path: Path) -> None:
    """The password is the file's line; a wrong one is told as such."""
    users = {"probe": bcrypt.hashpw(b"s3cret", bcrypt.gensalt(4))}
    served = Web(Source(), config=WebConfig(basic_auth_users=users))
    await served.listen(("127.0.0.1:0",))
    url = served.addresses[0].rstrip("/")
    right, wrong = tmp_path / "right", tmp_path / "wrong"
    right.write_text("s3cret\n")
    wrong.write_text("secret\n")
    assert (await read(url, basic_auth=BasicAuth("probe", str(right)))).why == ""
    for settings in ({}, {"basic_auth": BasicAuth("probe", str(wrong))}):
        assert "HTTP 401" in (await read(url, **settings)).why
    await served.close()


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    """Each is one line that names the peer."""
    nothing, noise = tmp_path / "nothing", tmp_path / "noise"
    noise.write_bytes(b"\xff\xfe noise")
    for settings, line in (
        ({"tls": PeerTls(ca_file=str(nothing))}, "TLS cannot be set up: "),
        ({"tls": PeerTls(ca_file=str(noise))}, "TLS cannot be set up: "),
        ({"basic_auth": BasicAuth("probe", str(nothing))}, "the password cannot be read: "),
        ({"basic_auth": BasicAuth("probe", str(noise))}, "the password cannot be read: "),
    ):
        with pytest.raises(ConfigError) as refused:
            Reader(Peer("https://127.0.0.1", "b", **settings))
        assert str(refused.value).startswith(f"peers: b: {line}")


def test_old_versions_of_tls_are_not_spoken() -> None:
    """Nothing below 1.2, and certificates are always checked."""
    context = Reader(Peer("https://127.0.0.1", "b")).site.tls
    assert isinstance(context, ssl.SSLContext)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
