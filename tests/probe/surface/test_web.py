"""The web server, asked by a real client."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator

import bcrypt
import pytest
from support.curl import curl
from support.view import MEMBERS, view

from probe.model.views import ProbeView
from probe.surface import web as module
from probe.surface.web import ListenError, NotForgottenError, NotKnownError, Web
from probe.web_config import WebConfig

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Source:
    """What the web shows, in the hand."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self.wrong: str | None = None
        self.reloads = 0
        self.forgotten: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = asyncio.Event()

    async def view(self) -> ProbeView:
        """Return the view once the gate is open."""
        self.asked.set()
        await self.gate.wait()
        return view()

    def not_ready(self) -> str | None:
        """Say what was set."""
        return self.reason

    async def reload(self) -> str | None:
        """Count, and say what was set."""
        self.reloads += 1
        return self.wrong

    def forget(self, member: str, group: str | None = None) -> str:
        """Forget whom the view has, unless settings say otherwise; know no others."""
        if group not in {None, "one"} or member not in MEMBERS:
            raise NotKnownError(f"{member} is not known")
        if member == MEMBERS[0]:
            raise NotForgottenError(f"{member} is expected by the settings")
        self.forgotten.append(member)
        return f"{member} is forgotten"


class Site:
    """A web server on loopback."""

    def __init__(self, source: Source, web: Web) -> None:
        self.source = source
        self.web = web

    @property
    def url(self) -> str:
        """Where it is, without the slash."""
        return self.web.addresses[0].rstrip("/")


@pytest.fixture(name="site")
async def _site() -> AsyncIterator[Site]:
    """Give a server without protection."""
    source = Source()
    web = Web(source)
    await web.listen(("127.0.0.1:0",))
    yield Site(source, web)
    await web.close()


PATHS = [
    ("/", 200, "text/html; charset=utf-8"),
    ("/metrics", 200, "text/plain; version=0.0.4; charset=utf-8"),
    ("/api/v1/view", 200, "application/json"),
    ("/-/healthy", 200, "text/plain; charset=utf-8"),
    ("/-/ready", 200, "text/plain; charset=utf-8"),
    ("/nowhere", 404, "text/plain; charset=utf-8"),
    ("/-/reload", 405, "text/plain; charset=utf-8"),
    ("/api/v1/forget", 405, "text/plain; charset=utf-8"),
    ("/metrics/", 404, "text/plain; charset=utf-8"),
    ("/..%2f..%2fetc/passwd", 404, "text/plain; charset=utf-8"),
]


@pytest.mark.parametrize(("path", "status", "content_type"), PATHS)
async def test_every_path(site: Site, path: str, status: int, content_type: str) -> None:
    """What is there, what is not, and what it is."""
    reply = await curl(site.url + path)
    assert (reply.status, reply.headers["Content-Type"]) == (status, content_type)
    assert reply.body


@pytest.mark.parametrize("path", ["/", "/metrics", "/api/v1/view", "/-/healthy", "/-/ready"])
async def test_nothing_but_reload_takes_a_post(site: Site, path: str) -> None:
    """Looking changes nothing."""
    assert (await curl(site.url + path, "-X", "POST")).status == 405


@pytest.mark.parametrize("path", ["/", "/metrics", "/api/v1/view", "/-/healthy"])
async def test_headers_forbid_what_a_browser_need_not_do(site: Site, path: str) -> None:
    """No script, no frame, no guessing of types."""
    reply = await curl(site.url + path)
    assert reply.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert reply.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_view_as_json_holds_members_states_verdict_and_fitness(site: Site) -> None:
    """The documented contract of /api/v1/view."""
    seen = json.loads((await curl(f"{site.url}/api/v1/view")).body)
    [group] = seen["groups"]
    assert [(one["member"], one["state"]) for one in group["members"]] == list(
        zip(MEMBERS, ("alive", "half", "frozen", "left"), strict=True)
    )
    assert group["verdict"]["state"] == "degraded"
    assert group["verdict"]["sentence"].startswith("degraded since ")
    assert (seen["fit"], seen["unfit"], seen["ready"]) == (False, ["loop-lag"], True)


async def test_metrics_are_negotiated_and_compressed_on_request(site: Site) -> None:
    """As Prometheus asks; the text is whole either way."""
    plain = await curl(f"{site.url}/metrics", "-H", f"Accept: {OPENMETRICS}")
    packed = await curl(f"{site.url}/metrics", "-H", f"Accept: {OPENMETRICS}", "--compressed")
    assert plain.headers["Content-Type"].startswith(OPENMETRICS)
    assert packed.headers["Content-Encoding"] in {"gzip", "deflate"}
    for reply in (plain, packed):
        assert reply.body.endswith("# EOF\n")
        assert 'tribes_member_up{group="228.0.0.4:45564",member="10.0.0.1:4000"} 1.0' in reply.body


async def test_another_telemetry_path() -> None:
    """The page links to it, and the usual one is not there."""
    web = Web(Source(), "/probe/metrics")
    await web.listen(("127.0.0.1:0",))
    url = web.addresses[0].rstrip("/")
    assert (await curl(f"{url}/probe/metrics")).status == 200
    assert (await curl(f"{url}/metrics")).status == 404
    assert 'href="/probe/metrics"' in (await curl(url)).body
    await web.close()


async def test_ready_says_why_it_is_not(site: Site) -> None:
    """503 with the reason; healthy all the same."""
    site.source.reason = "joined on no interface"
    reply = await curl(f"{site.url}/-/ready")
    assert (reply.status, reply.body) == (503, "not ready: joined on no interface\n")
    assert (await curl(f"{site.url}/-/healthy")).status == 200


async def test_reload_tells_how_it_ended(site: Site) -> None:
    """200, or 400 with the reason."""
    assert (await curl(f"{site.url}/-/reload", "-X", "POST")).body == "reloaded\n"
    site.source.wrong = "tribes.yml: groups[0].port: 0 is no port"
    reply = await curl(f"{site.url}/-/reload", "-X", "POST")
    assert reply.status == 400
    assert reply.body == f"not reloaded, the old settings stay in force:\n{site.source.wrong}\n"
    assert site.source.reloads == 2


FORGETS = [
    (f'{{"member": "{MEMBERS[1]}"}}', 200, f"{MEMBERS[1]} is forgotten"),
    ('{"member": "[FD77:0::3]:4000", "group": "one"}', 200, "[fd77::3]:4000 is forgotten"),
    (f'{{"member": "{MEMBERS[0]}"}}', 400, f"not forgotten: {MEMBERS[0]} is expected by the settings"),
    ('{"member": "10.9.9.9:4000"}', 404, "not forgotten: 10.9.9.9:4000 is not known"),
    (f'{{"member": "{MEMBERS[1]}", "group": "two"}}', 404, f"not forgotten: {MEMBERS[1]} is not known"),
    ('{"member": "tomcat1"}', 400, 'not forgotten: "tomcat1" is no member: write address:port, such as'),
    ('{"member": 4000}', 400, "not forgotten: Expected `str`, got `int`"),
    ('{"member": "10.0.0.2:4000", "x\\ny": 1}', 400, "not forgotten: Object contains unknown field `x y`"),
    ("{}", 400, "not forgotten: Object missing required field `member`"),
    ("", 400, "not forgotten: Input data was truncated"),
    ("[" * 60_000, 400, "not forgotten: "),
    ("member=10.0.0.2:4000", 400, "not forgotten: JSON is malformed"),
]


@pytest.mark.parametrize(("body", "status", "line"), FORGETS)
async def test_forgetting_is_answered_in_one_line(site: Site, body: str, status: int, line: str) -> None:
    """Done, not known, or why not and what to do; nothing else is forgotten."""
    reply = await curl(
        f"{site.url}/api/v1/forget", "-H", "Content-Type: application/json", "--data-binary", body
    )
    assert reply.status == status
    assert reply.body.startswith(line)
    assert len(reply.body.splitlines()) == 1
    assert len(site.source.forgotten) == (status == 200)


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data"])
async def test_no_page_elsewhere_can_have_a_browser_forget(site: Site, kind: str) -> None:
    """What a form of another site can send is refused, whatever is in it."""
    body = f'{{"member": "{MEMBERS[1]}"}}'
    reply = await curl(f"{site.url}/api/v1/forget", "-H", f"Content-Type: {kind}", "-d", body)
    assert reply.status == 400
    assert reply.body.startswith("not forgotten: send JSON, as application/json: ")
    assert site.source.forgotten == []


async def test_garbage_is_refused_and_the_next_client_is_served(site: Site) -> None:
    """What is no HTTP gets an error or nothing; the server stands."""
    host, port = site.url.removeprefix("http://").split(":")
    for garbage in (
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/9\r\n\r\n",
        b"\0" * 9_000,
        b"A" * 100_000 + b"\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(garbage)
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 5)
        assert b"200 OK" not in answer
        writer.close()
    assert (await curl(f"{site.url}/-/healthy")).status == 200


async def test_scrapes_at_one_time_are_bounded(site: Site) -> None:
    """Further ones wait; all are answered."""
    replies = await asyncio.gather(*(curl(f"{site.url}/metrics") for _ in range(8)))
    assert [reply.status for reply in replies] == [200] * 8
    assert site.web._places._value == module.RENDERINGS


async def test_a_request_that_hangs_does_not_hold_up_a_stop(site: Site) -> None:
    """A view that never comes, and a client that never reads: closed within the promised second."""
    site.source.gate.clear()
    hanging = asyncio.create_task(curl(f"{site.url}/metrics"))
    await asyncio.wait_for(site.source.asked.wait(), 5)
    async with asyncio.timeout(1):
        await site.web.close()
    await hanging


# -- listening


async def test_a_port_in_use_is_told_with_the_remedy() -> None:
    """One line; what was opened before is closed again."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        web = Web(Source())
        with pytest.raises(ListenError) as refused:
            await web.listen(("127.0.0.1:0", address))
    assert str(refused.value) == (
        f"cannot listen on {address}: Address already in use: give another --web.listen-address"
    )
    assert web.addresses == []


async def test_an_address_that_is_not_ours_is_told() -> None:
    """The kernel's reason, and the remedy."""
    with pytest.raises(ListenError, match=r"on 192\.0\.2\.1:0: Cannot assign requested address: give"):
        await Web(Source()).listen(("192.0.2.1:0",))


@pytest.mark.parametrize("address", ["10564", "localhost", "1.2.3.4:", "127.0.0.1:65536", ":-1", ":http"])
async def test_what_is_no_address_is_told(address: str) -> None:
    """With examples of what is."""
    with pytest.raises(ListenError, match="is no listen address: write :10564, "):
        await Web(Source()).listen((address,))


async def test_several_addresses_are_all_served() -> None:
    """Both families, and a name."""
    web = Web(Source())
    await web.listen(("127.0.0.1:0", "[::1]:0", "localhost:0"))
    assert [url.rpartition(":")[0] for url in web.addresses][:2] == ["http://127.0.0.1", "http://[::1]"]
    for url in web.addresses:
        assert (await curl(f"{url}-/healthy", "-g")).status == 200
    await web.close()


async def test_no_address_is_no_server() -> None:
    """Nothing listens, nothing fails."""
    web = Web(Source())
    await web.listen(())
    assert web.addresses == []
    await web.close()


# -- protection


async def test_basic_auth_guards_every_path() -> None:
    """With the right password everything, without it nothing, not even what is not there."""
    users = {"admin": bcrypt.hashpw(b"right", bcrypt.gensalt(4))}
    web = Web(Source(), config=WebConfig(basic_auth_users=users))
    await web.listen(("127.0.0.1:0",))
    url = web.addresses[0].rstrip("/")
    for path, status, _ in PATHS:
        assert (await curl(url + path, "-u", "admin:right")).status == status
        for wrong in (("-u", "admin:wrong"), ("-u", "nobody:right"), (), ("-H", "Authorization: Bearer x")):
            reply = await curl(url + path, *wrong)
            assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, "Basic")
    for garbage in ("Basic", "Basic !", "Basic /////w==", "Basic YWRtaW4=", "Basic " + "A" * 4_000):
        assert (await curl(url, "-H", f"Authorization: {garbage}")).status == 401
    await web.close()


async def test_users_change_without_a_restart(site: Site) -> None:
    """A reload takes another list; connections to come are held against it."""
    await site.web.adopt(WebConfig(basic_auth_users={"a": bcrypt.hashpw(b"b", bcrypt.gensalt(4))}))
    assert (await curl(site.url)).status == 401
    assert (await curl(site.url, "-u", "a:b")).status == 200
    await site.web.adopt(WebConfig())
    assert (await curl(site.url)).status == 200


async def test_configured_headers_are_sent(site: Site) -> None:
    """They may overrule ours."""
    await site.web.adopt(
        WebConfig(headers={"Strict-Transport-Security": "max-age=60", "Content-Security-Policy": "x"})
    )
    reply = await curl(site.url)
    assert reply.headers["Strict-Transport-Security"] == "max-age=60"
    assert reply.headers.get_all("Content-Security-Policy") == ["x"]
