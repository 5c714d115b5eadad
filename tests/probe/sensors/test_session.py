"""The session canary against small shops: what it says of sound ones, and what bad ones cannot do to it."""

import asyncio
import contextlib
import io
import ssl
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from support.authority import Authority
from support.shop import Cluster, Shop

from probe.config import BasicAuth, Login, PeerTls, SessionNode, Sessions
from probe.fields import ConfigError
from probe.model.canary import DELAYS, Pair, Reason, Result, SessionId, State
from probe.model.events import Event, Kind
from probe.sensors.session import LARGEST, MOST_REDIRECTS, Canaries, Canary, set_cookie
from probe.sensors.site import open_session

Open = Callable[..., Awaitable[Shop]]
BRIEF = {"interval": 60.0, "timeout": 1.0, "give_up": 0.3}


@pytest.fixture(name="open_shop")
async def _open_shop() -> AsyncIterator[Open]:
    """Give what opens a shop for the test."""
    async with AsyncExitStack() as stack:

        async def open_shop(cluster: Cluster, route: str = "", tls: ssl.SSLContext | None = None) -> Shop:
            shop = await Shop(cluster, route).open(tls)
            stack.push_async_callback(shop.close)
            return shop

        yield open_shop


def between(first: Shop, second: Shop, **settings: Any) -> Sessions:
    """Return settings for sessions between two shops."""
    return Sessions((SessionNode(first.url, "a"), SessionNode(second.url, "b")), **{**BRIEF, **settings})


async def check(settings: Sessions, pair: Pair | None = None) -> Result:
    """Check once."""
    async with open_session() as client:
        return await Canary(settings).check(client, pair or Pair("a", "b"))


def login(folder: Path, password: str = "secret") -> Login:  # noqa: S107  # the shop's
    """Return a form whose fields stand in files."""
    (folder / "user").write_text("alice\n")
    (folder / "password").write_text(password)
    return Login("/app/login", {"user": str(folder / "user"), "password": str(folder / "password")})


# -- sound shops


@pytest.mark.parametrize("binds", [True, False], ids=["moved", "kept"])
async def test_a_session_that_the_other_knows_is_replicated(open_shop: Open, binds: bool) -> None:  # noqa: FBT001
    """Whether the other moves it to its own route or lets it be, which it must not do with any id."""
    cluster = Cluster(binds=binds)
    first, second = await open_shop(cluster, "a"), await open_shop(cluster, "b")
    result = await check(between(first, second))
    assert (result.state, result.reason) == (State.REPLICATED, None), result.text
    assert result.delay is not None
    assert 0 < result.delay < BRIEF["give_up"]
    assert result.delay == result.resolution
    assert "at the first look" in result.text
    assert len(second.asked) == (1 if binds else 2)  # the control
    assert (result.made, result.ended) == (1 if binds else 2, 0)


async def test_a_page_is_held_against_an_unknown_id_only_now_and_then(open_shop: Open) -> None:
    """Each control costs a session."""
    cluster = Cluster(binds=False)
    first, second = await open_shop(cluster), await open_shop(cluster)
    canary = Canary(between(first, second))
    async with open_session() as client:
        made = [(await canary.check(client, Pair("a", "b"))).made for _ in range(3)]
    assert made == [2, 1, 1]


async def test_a_session_that_the_other_does_not_know_is_lost(open_shop: Open) -> None:
    """Each look at it leaves a session there; after a loss there are two looks only."""
    first, second = await open_shop(Cluster(), "a"), await open_shop(Cluster(), "b")
    pair = Pair("a", "b")
    result = await check(between(first, second), pair)
    assert (result.state, result.reason) == (State.LOST, Reason.NOT_REPLICATED)
    assert result.made == 1 + len(second.asked) > 4
    pair.take("shop", result, 0.0)
    result = await check(between(first, second), pair)
    assert (result.state, result.made) == (State.LOST, 3)


async def test_the_old_id_is_shown_again_and_again(open_shop: Open) -> None:
    """The ids that the other makes meanwhile are not taken up."""
    cluster = Cluster(lag=0.1)
    first, second = await open_shop(cluster, "a"), await open_shop(cluster, "b")
    result = await check(between(first, second))
    assert result.state is State.REPLICATED, result.text
    assert len({cookie for _, _, cookie in second.asked}) == 1


async def test_a_delay_is_measured(open_shop: Open) -> None:
    """From the end of the first answer to the end of the first that shows the session; how exactly is said."""
    cluster = Cluster(lag=0.1)
    first, second = await open_shop(cluster, "a"), await open_shop(cluster, "b")
    result = await check(between(first, second, give_up=2.0))
    assert result.delay is not None
    assert result.resolution is not None
    assert result.delay > 0.09
    assert result.delay - result.resolution < 0.1
    assert result.resolution < result.delay
    assert "to within" in result.text


async def test_what_is_put_into_a_session_must_come_along(open_shop: Open, tmp_path: Path) -> None:
    """A session that is there without its user is lost all the same."""
    for loses, state, reason in ((False, State.REPLICATED, None), (True, State.LOST, Reason.BODY_DIFFERS)):
        cluster = Cluster(loses_users=loses)
        first, second = await open_shop(cluster, "a"), await open_shop(cluster, "b")
        result = await check(between(first, second, login=login(tmp_path), expect_same=r"user=(\w+)"))
        assert (result.state, result.reason) == (state, reason), result.text


async def test_a_form_is_sent_and_its_redirect_followed(open_shop: Open, tmp_path: Path) -> None:
    """With the id of the session before; the renewed one is shown, the one in the path is not used."""
    cluster = Cluster()
    first, second = await open_shop(cluster, "a"), await open_shop(cluster, "b")
    await check(between(first, second, login=login(tmp_path), expect_same="user=alice"))
    assert first.forms == [{"user": "alice", "password": "secret"}]
    assert [(method, path) for method, path, _ in first.asked] == [
        ("GET", "/app/"),
        ("POST", "/app/login"),
        ("GET", "/app/"),
    ]
    before, with_form, after = (cookie for _, _, cookie in first.asked)
    assert before == ""
    assert with_form != after == second.asked[0][2]


async def test_sessions_are_logged_out(open_shop: Open) -> None:
    """The one that was made, where it lives by then, and those that each early look made."""
    cluster = Cluster(lag=0.1)
    first, second = await open_shop(cluster, "a"), await open_shop(cluster, "b")
    result = await check(between(first, second, logout="/app/logout"))
    assert result.state is State.REPLICATED
    assert result.made == result.ended > 2
    assert not result.logout_failed
    assert cluster.sessions == {}


async def test_a_logout_that_fails_changes_no_verdict(open_shop: Open) -> None:
    """It is counted, and the session is left to expire."""
    cluster = Cluster()
    first, second = await open_shop(cluster, "a"), await open_shop(cluster, "b")

    async def refuses(request: web.Request) -> web.StreamResponse:
        if request.path == "/app/logout":
            return web.Response(status=500)
        return await second.serve(request)

    second.answer = refuses
    result = await check(between(first, second, logout="/app/logout"))
    assert (result.state, result.ended, result.logout_failed) == (State.REPLICATED, 0, True)


# -- what says nothing of sessions


async def test_a_page_that_makes_no_session_proves_nothing(open_shop: Open) -> None:
    """It would seem to keep every id."""
    cluster = Cluster()
    first, second = await open_shop(cluster), await open_shop(cluster)
    peek = second.url.replace("/app/", "/app/peek")
    settings = between(first, second)
    settings = msgspec.structs.replace(settings, nodes=(settings.nodes[0], SessionNode(peek, "b")))
    result = await check(settings)
    assert (result.state, result.reason) == (State.UNKNOWN, Reason.NO_PROOF)
    assert "its page is the same without a session" in result.text


async def test_nothing_is_known_where_a_node_is_down(open_shop: Open) -> None:
    """Neither of the first nor of the second: that is no loss."""
    cluster = Cluster()
    first, second = await open_shop(cluster, "a"), await open_shop(cluster, "b")
    await second.close()
    for pair in (Pair("a", "b"), Pair("b", "a")):
        result = await check(between(first, second), pair)
        assert (result.state, result.reason) == (State.UNKNOWN, Reason.CONNECT)
        assert result.text.endswith("b: cannot be reached: Connection refused")


@pytest.mark.parametrize(
    ("settings", "reason", "words"),
    [
        ({"cookie": "SESSION"}, Reason.NO_COOKIE, "a: it sets no cookie SESSION"),
        ({"expect_same": "wonderland"}, Reason.NO_MATCH, "a: its page does not show"),
    ],
    ids=["cookie", "match"],
)
async def test_settings_that_do_not_fit_are_told(
    open_shop: Open, settings: dict[str, Any], reason: Reason, words: str
) -> None:
    """Another cookie's name, an expression that is not on the page."""
    cluster = Cluster()
    result = await check(between(await open_shop(cluster), await open_shop(cluster), **settings))
    assert (result.state, result.reason) == (State.UNKNOWN, reason)
    assert words in result.text


@pytest.mark.parametrize(("password", "same"), [("wrong", None), ("secret", "user=(bob)")])
async def test_a_login_that_fails_is_told(
    open_shop: Open, tmp_path: Path, password: str, same: str | None
) -> None:
    """By its status, or because the page after it is not the one of somebody who is in."""
    cluster = Cluster()
    settings = between(await open_shop(cluster), await open_shop(cluster), expect_same=same)
    result = await check(msgspec.structs.replace(settings, login=login(tmp_path, password)))
    assert (result.state, result.reason) == (State.UNKNOWN, Reason.LOGIN_FAILED)
    assert password not in result.text


# -- through a balancer


class Balancer:
    """Sends each request to the node whose route the path names, else whose route the cookie does."""

    def __init__(self, *nodes: Shop, by: str = "") -> None:
        self._nodes = {node.route: node for node in nodes}
        self._by = by
        self.down: set[str] = set()

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Choose a node."""
        path = (
            request.raw_path.partition(";jsessionid=")[2] if not self._by else request.cookies.get(self._by, "")
        )
        named = (path or request.cookies.get("JSESSIONID", "")).partition(".")[2]
        up = [node for route, node in self._nodes.items() if route not in self.down]
        node = self._nodes[named] if named in self._nodes and named not in self.down else up[0]
        node.asked.append((request.method, request.raw_path, request.cookies.get("JSESSIONID", "")))
        return await node.serve(request)


@pytest.mark.parametrize("route_cookie", [None, "ROUTEID"])
@pytest.mark.parametrize("binds", [True, False], ids=["moved", "kept"])
async def test_a_balancer_is_told_where_to_go(
    open_shop: Open,
    route_cookie: str | None,
    binds: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    """In the path, or in a cookie of its own; the session's id stays whole, as Tomcat looks it up."""
    cluster = Cluster(binds=binds)
    one, two, front = Shop(cluster, "one"), Shop(cluster, "two"), await open_shop(cluster)
    front.answer = Balancer(one, two, by=route_cookie or "").serve
    settings = Sessions(
        (SessionNode(front.url, "a", "one"), SessionNode(front.url, "b", "two")),
        route_cookie=route_cookie,
        **BRIEF,  # type: ignore[arg-type]
    )
    result = await check(settings)
    assert result.state is State.REPLICATED, result.text
    assert {cookie.partition(".")[2] for _, _, cookie in two.asked} <= {"one", ""}
    assert len(one.asked) == 1
    assert ";jsessionid=.two" in two.asked[0][1] or route_cookie is not None


@pytest.mark.parametrize("binds", [True, False], ids=["moved", "kept"])
@pytest.mark.parametrize("down", ["one", "two"])
async def test_who_answers_for_a_node_that_is_down_is_not_believed(
    open_shop: Open,
    down: str,
    binds: bool,  # noqa: FBT001  # a parameter of the test
) -> None:
    """A balancer that fails over would make every session seem replicated: to the node it was made on."""
    cluster = Cluster(binds=binds)
    one, two, front = Shop(cluster, "one"), Shop(cluster, "two"), await open_shop(cluster)
    balancer = Balancer(one, two)
    balancer.down = {down}
    front.answer = balancer.serve
    nodes = SessionNode(front.url, "a", "one"), SessionNode(front.url, "b", "two")
    result = await check(Sessions(nodes, **BRIEF))  # type: ignore[arg-type]
    assert (result.state, result.reason) == (State.UNKNOWN, Reason.WRONG_NODE), result.text


# -- how nodes are asked


async def test_headers_host_and_basic_auth_are_sent(open_shop: Open, tmp_path: Path) -> None:
    """To both nodes; what is secret comes from files."""
    cluster = Cluster()
    first, second = await open_shop(cluster, "a"), await open_shop(cluster, "b")
    (tmp_path / "token").write_text("t0ken\n")
    (tmp_path / "password").write_text("pässword\n")
    result = await check(
        between(
            first,
            second,
            host="shop.example.org",
            headers={"X-Probe": "yes"},
            header_files={"X-Token": str(tmp_path / "token")},
            basic_auth=BasicAuth("probe", str(tmp_path / "password")),
        )
    )
    assert result.state is State.REPLICATED
    for headers in (first.headers[0], second.headers[0]):
        assert headers["Host"] == "shop.example.org"
        assert (headers["X-Probe"], headers["X-Token"]) == ("yes", "t0ken")
        assert headers["Authorization"] == "Basic cHJvYmU6cMOkc3N3b3Jk"


async def test_nodes_are_asked_over_tls(open_shop: Open, tmp_path: Path) -> None:
    """Those whose certificate the given authority signed; of others it is said that they are not trusted."""
    authority = Authority(tmp_path, "authority")
    pair = authority.issue("node")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    cluster = Cluster()
    first, second = await open_shop(cluster, "a", context), await open_shop(cluster, "b", context)
    result = await check(between(first, second, tls=PeerTls(authority.pair.cert)))
    assert result.state is State.REPLICATED, result.text
    result = await check(between(first, second))
    assert (result.state, result.reason) == (State.UNKNOWN, Reason.TLS)
    assert "its certificate is not trusted" in result.text
    plain = await open_shop(cluster)
    plain.url = plain.url.replace("http:", "https:")
    result = await check(between(plain, second, tls=PeerTls(authority.pair.cert)))
    assert (result.state, result.reason) == (State.UNKNOWN, Reason.TLS)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"\xff\xfe", "is no text"),
        (b"one\ntwo", "is not one line"),
    ],
)
def test_a_secret_that_cannot_be_used_is_told_at_the_start(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    """With its file and without its contents."""
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)
    nodes = SessionNode("http://127.0.0.1:1/", "a"), SessionNode("http://127.0.0.1:2/", "b")
    with pytest.raises(ConfigError) as error:
        Canary(Sessions(nodes, header_files={"X-Token": str(file)}), "shop: sessions")
    [problem] = error.value.problems
    assert problem.startswith(f"shop: sessions: {file}: {words}")


def test_a_certificate_that_cannot_be_used_is_told_at_the_start() -> None:
    """Not at the first check."""
    nodes = SessionNode("https://127.0.0.1:1/", "a"), SessionNode("https://127.0.0.1:2/", "b")
    with pytest.raises(ConfigError, match="TLS cannot be set up"):
        Canary(Sessions(nodes, tls=PeerTls("/nowhere.pem")))


# -- cookies


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        ([], None),
        (["OTHER=1"], None),
        (["JSESSIONID=A.b; Path=/; HttpOnly"], "A.b"),
        (['JSESSIONID="A"'], "A"),
        (["JSESSIONID=A", "JSESSIONID=B; Secure"], "B"),
        (["JSESSIONID=A; Max-Age=0"], ""),
        (["JSESSIONID=; Path=/"], ""),
        (["JSESSIONID=A B"], None),
        (["JSESSIONID=A\u00e9"], None),
        (["JSESSIONID=" + "A" * 300], None),
        (["jsessionid=A"], None),
        (["JSESSIONID"], ""),
        (["=;;;=", "\t"], None),
        ([f"C{n}=x" for n in range(100)] + ["JSESSIONID=A"], "A"),
    ],
)
def test_the_last_sound_cookie_counts(lines: list[str], value: str | None) -> None:
    """Of that name; what no browser would send back is not one."""
    headers = CIMultiDictProxy(CIMultiDict([("Set-Cookie", line) for line in lines]))
    assert set_cookie(headers, "JSESSIONID") == (None if value is None else SessionId(value))


# -- bad nodes


@contextlib.asynccontextmanager
async def raw(answer: bytes, *, hangs: bool = False) -> AsyncIterator[str]:
    """Serve these bytes to whoever comes; give the page's address."""
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        with contextlib.suppress(OSError):
            await reader.read(65536)
            writer.write(answer)
            await writer.drain()
            if hangs:
                await reader.read()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/app/"
    await asyncio.gather(*serving)


SECRET = "5EC2E7" * 4
HEAD = b"HTTP/1.1 200 OK\r\nSet-Cookie: JSESSIONID=" + SECRET.encode() + b"\r\n"


@pytest.mark.parametrize(
    ("answer", "hangs", "reason"),
    [
        (b"", False, Reason.UNREADABLE),
        (b"", True, Reason.TIMEOUT),
        (b"\x15\x03\x01\x00\x02\x02\x46", False, Reason.UNREADABLE),
        (b"SSH-2.0-OpenSSH\r\n", False, Reason.UNREADABLE),
        (HEAD + b"Bro ken\x00: 1\r\n\r\n", False, Reason.UNREADABLE),
        (HEAD.replace(b"200", b"2oo") + b"\r\n", False, Reason.UNREADABLE),
        (HEAD + b"Content-Length: 50\r\n\r\nshort", False, Reason.UNREADABLE),
        (HEAD + b"Content-Length: 50\r\n\r\nshort", True, Reason.TIMEOUT),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", False, Reason.UNREADABLE),
        (HEAD + b"".join(b"X-%d: y\r\n" % n for n in range(100_000)) + b"\r\n", False, Reason.UNREADABLE),
        (HEAD + b"X: " + b"y" * 1_000_000 + b"\r\n\r\n", False, Reason.UNREADABLE),
    ],
    ids=lambda value: value[:12].decode("latin-1") if isinstance(value, bytes) else None,
)
async def test_no_answer_does_harm(
    open_shop: Open, answer: bytes, *, hangs: bool, reason: Reason, capfd: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    """Whatever comes is one reason and one line; what it holds is not repeated, on no way out."""
    cluster = Cluster()
    sound = await open_shop(cluster)
    async with raw(answer, hangs=hangs) as url:
        nodes = SessionNode(sound.url, "a"), SessionNode(url, "b")
        settings = Sessions(nodes, interval=60, timeout=0.3, give_up=0.3)
        for pair in (Pair("a", "b"), Pair("b", "a")):
            result = await check(settings, pair)
            assert (result.state, result.reason) == (State.UNKNOWN, reason), result.text
            assert SECRET not in result.text
            assert result.text.isprintable()
    assert SECRET not in "".join(capfd.readouterr())


async def test_an_endless_page_is_read_to_its_bound(open_shop: Open) -> None:
    """What stands in front is used, the rest is not waited for."""

    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.set_cookie("JSESSIONID", f"{SECRET}.a")
        await response.prepare(request)
        await response.write(b"user=alice\n")
        with contextlib.suppress(ConnectionError):
            while True:
                await response.write(b"x" * 65536)
        return response

    cluster = Cluster()
    first, second = await open_shop(cluster), await open_shop(cluster)
    first.answer = endless
    began = time.monotonic()
    result = await check(between(first, second, expect_same="user=(alice)", give_up=0.05))
    assert (result.state, result.reason) == (State.LOST, Reason.NOT_REPLICATED), result.text
    assert time.monotonic() - began < 1
    assert LARGEST < 2**20


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("/app/", f"redirects more than {MOST_REDIRECTS} times"),
        ("http://127.0.0.2:{port}/app/", "redirects to another address"),
        ("https://127.0.0.1:{port}/app/", "redirects to another address"),
        ("//127.0.0.1:1/app/", "redirects to another address"),
        ("http://[::1", "redirects to what is no address"),
        ("http://127.0.0.1:99999/", "redirects to what is no address"),
        ("file:///etc/passwd", "redirects to another address"),
    ],
)
async def test_only_nodes_that_were_named_are_asked(open_shop: Open, location: str, words: str) -> None:
    """A redirect leads to the same node or nowhere, and not for ever."""
    cluster = Cluster()
    first, second = await open_shop(cluster), await open_shop(cluster)
    port = first.url.split(":")[2].split("/")[0]

    async def away(_: web.Request) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": location.replace("{port}", port)})

    first.answer = away
    result = await check(between(first, second))
    assert (result.state, result.reason) == (State.UNKNOWN, Reason.REDIRECT), result.text
    assert words in result.text
    assert second.asked == []


async def test_a_node_may_call_itself_by_the_host_it_is_given(open_shop: Open) -> None:
    """Its redirects are taken as its own, wherever that name leads: the node is asked, nobody else."""
    cluster = Cluster()
    first, second = await open_shop(cluster), await open_shop(cluster)

    async def named(request: web.Request) -> web.StreamResponse:
        if request.path == "/app/":
            return web.Response(status=302, headers={"Location": "https://shop.example.org/app/home?x=1"})
        return await first.serve(request)

    first.answer = named
    settings = between(first, second, host="shop.example.org")
    await check(settings)
    assert [path for _, path, _ in first.asked][:2] == ["/app/", "/app/home?x=1"]


async def test_no_secret_is_in_a_traceback(open_shop: Open, tmp_path: Path) -> None:
    """Not in what a failing check would print, should it ever be printed."""
    cluster = Cluster()
    first, second = await open_shop(cluster), await open_shop(cluster)
    canary = Canary(between(first, second, login=login(tmp_path, "hunter2")))
    said = io.StringIO()
    async with open_session() as client:
        try:
            await canary.ask(client, SessionNode("http://127.0.0.1:1/", "a"), "GET", "/", SessionId(SECRET))
        except Exception as error:  # noqa: BLE001  # whatever it is
            traceback.print_exception(error, file=said)
    assert "cannot be reached" in said.getvalue()
    for secret in (SECRET, "hunter2"):
        assert secret not in said.getvalue() + repr(vars(canary)["settings"])


# -- all pairs


async def test_every_pair_is_checked_in_its_turn(open_shop: Open) -> None:
    """Both ways, again and again, one check of a pair at a time; changes are told, records stay at a reload."""
    cluster = Cluster()
    first, second = await open_shop(cluster, "a"), await open_shop(cluster, "b")
    settings = between(first, second, interval=0.05)
    told: list[Event] = []
    canaries = Canaries("shop", settings, told.extend)
    task = asyncio.create_task(canaries.run())
    async with asyncio.timeout(10):
        while any(pair.checks < 2 for pair in canaries.pairs):  # noqa: ASYNC110  # it has no event of its own
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert [(pair.made_on, pair.shown_to) for pair in canaries.pairs] == [("a", "b"), ("b", "a")]
    assert [event.kind for event in told] == [Kind.SESSIONS_REPLICATED] * 2
    assert {event.values["from"] for event in told} == {"a", "b"}

    again = Canaries("shop", settings, told.extend, canaries)
    assert again.pairs == canaries.pairs
    nodes = settings.nodes[0], SessionNode(second.url, "c")
    changed = Canaries("shop", msgspec.structs.replace(settings, nodes=nodes), told.extend, canaries)
    assert [pair.checks for pair in changed.pairs] == [0, 0]
    assert Canaries("shop", None, told.extend, canaries).pairs == []


async def test_without_settings_nothing_is_checked() -> None:
    """And nothing is left running."""
    await asyncio.wait_for(Canaries("shop", None, lambda _: None).run(), 1)


def test_the_delays_that_are_counted_reach_as_far_as_is_waited() -> None:
    """What is given up at the default is not beyond the last bound."""
    assert DELAYS[-1] >= Sessions().give_up
