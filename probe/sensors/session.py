"""The session canary: makes a session on one node over HTTP, shows it to another, and says what became of it.

What the answers mean is ``model.canary``'s. Session ids, form fields and passwords are never shown: every error
is put into words of our own, because the client's may quote what it sent or received.
"""

import asyncio
import os
import random
import re
import ssl
import time
from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Final
from urllib.parse import urljoin, urlsplit

import aiohttp
from aiohttp import hdrs
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from probe.config import SessionNode, Sessions
from probe.fields import ConfigError
from probe.model.canary import (
    NOBODYS,
    Bond,
    Finding,
    Page,
    Pair,
    Reason,
    Result,
    SessionId,
    State,
    bond,
    looks,
    proves,
    read,
)
from probe.model.events import Event
from probe.sensors.site import credentials, open_session, trust

LARGEST: Final = 256 * 1024
"""bytes of an answer that are read; what stands behind is not searched."""
LONGEST_ID: Final = 256
"""characters of a session id."""
LONGEST_SECRET: Final = 4096
"""bytes of a file that holds a form's field or a header."""
MOST_REDIRECTS: Final = 5
"""from one page to the next."""
IN_FLIGHT: Final = 8
"""pairs of one group that are checked at one time."""
FIRST: Final = 2.0
"""seconds within which every pair is checked first."""
JITTER: Final = 0.2
"""Share of the interval by which it varies."""
REST: Final = 1.0
"""seconds that a slow pair has between two checks."""
PROVED_FOR: Final = 3600.0
"""seconds until a page must show again what it does with an id that nobody knows."""

_UNLIMITED: Final = aiohttp.ClientTimeout(total=None)
"""The session's own limit is another's; each request here has one around it."""
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_REPEATS: Final = frozenset({307, 308})
"""Redirects after which a form is sent again."""
_OCTETS: Final = re.compile(r"[!#-+\--:<-\[\]-~]+")
"""What a cookie's value is made of."""


class TroubleError(Exception):
    """Why a node's answer says nothing of a session."""

    def __init__(self, reason: Reason, node: SessionNode, text: str) -> None:
        super().__init__(f"{node.name}: {text}")
        self.reason = reason


class Canary:
    """Checks one pair at a time as the settings say. Raises ``ConfigError`` when their files cannot be used."""

    def __init__(self, settings: Sessions, where: str = "sessions") -> None:
        self.settings = settings
        self.nodes = {node.name: node for node in settings.nodes}
        self._where = where
        encrypted = any(node.url.startswith("https:") for node in settings.nodes)
        self._tls = trust(settings.tls, where) if encrypted else True
        self._headers = self._read_headers()
        self._form = self._read_form()
        self._same = re.compile(settings.expect_same) if settings.expect_same is not None else None
        self._proved: dict[str, float] = {}

    # -- what is read once

    def _read_headers(self) -> dict[str, str]:
        settings = self.settings
        headers = dict(settings.headers)
        headers |= {name: self._secret(file) for name, file in settings.header_files.items()}
        if settings.host is not None:
            headers[hdrs.HOST] = settings.host
        return headers | credentials(settings.basic_auth, self._where)

    def _read_form(self) -> dict[str, str] | None:
        login = self.settings.login
        return {name: self._secret(file) for name, file in login.fields.items()} if login is not None else None

    def _secret(self, file: str) -> str:
        """Return a file's text without the end of its line."""
        try:
            with Path(file).open("rb") as opened:
                secret = opened.read(LONGEST_SECRET).decode().rstrip("\r\n")
        except OSError as error:
            raise ConfigError([f"{self._where}: {file}: cannot be read: {error.strerror}"]) from None
        except UnicodeDecodeError:
            raise ConfigError([f"{self._where}: {file}: is no text"]) from None
        if not secret.isprintable():
            raise ConfigError([f"{self._where}: {file}: is not one line of printable text"])
        return secret

    # -- a check

    async def check(self, client: aiohttp.ClientSession, pair: Pair) -> Result:
        """Make a session on the pair's first node and show it to the second; never raises."""
        check = _Check(self, client, self.nodes[pair.made_on], self.nodes[pair.shown_to])
        try:
            result = await check.run(brief=pair.was_lost)
        except TroubleError as trouble:
            text = f"nothing is known of sessions from {pair.made_on} on {pair.shown_to}: {trouble}"
            result = Result(State.UNKNOWN, text, trouble.reason)
        return await check.tidied(result)

    async def ask(
        self,
        client: aiohttp.ClientSession,
        node: SessionNode,
        method: str,
        path: str,
        cookie: SessionId | None,
        form: dict[str, str] | None = None,
    ) -> tuple[Page, str]:
        """Put one request; return the answer and where it leads. Raises ``TroubleError``."""
        timeout = self.settings.timeout
        try:
            async with asyncio.timeout(timeout):
                return await self._exchange(client, node, method, path, cookie, form)
        except TimeoutError:
            raise TroubleError(Reason.TIMEOUT, node, f"no answer within {timeout:g} s") from None
        except Exception as error:  # noqa: BLE001  # whatever a node makes the client raise is that node's trouble
            raise TroubleError(*_reason(error, node)) from None

    async def _exchange(
        self,
        client: aiohttp.ClientSession,
        node: SessionNode,
        method: str,
        path: str,
        cookie: SessionId | None,
        form: dict[str, str] | None,
    ) -> tuple[Page, str]:
        host = self.settings.host
        async with client.request(
            method,
            self._address(node, path),
            headers=self._headers_for(node, cookie),
            data=form,
            ssl=self._tls,
            server_hostname=urlsplit(f"//{host}").hostname if host and node.url.startswith("https:") else None,
            allow_redirects=False,
            timeout=_UNLIMITED,
        ) as response:
            body = await _body(response)
            page = Page(
                status=response.status,
                cookie=set_cookie(response.headers, self.settings.cookie),
                match=self._find(body) if hdrs.CONTENT_ENCODING not in response.headers else None,
            )
            location = response.headers.get(hdrs.LOCATION, "") if response.status in _REDIRECTS else ""
            return page, location

    def _address(self, node: SessionNode, path: str) -> URL:
        if node.route is not None and self.settings.route_cookie is None:
            # mod_proxy_balancer and mod_jk look here first; Tomcat takes the cookie's id all the same
            front, mark, query = path.partition("?")
            path = f"{front};jsessionid=.{node.route}{mark}{query}"
        return URL(_origin(node.url) + path, encoded=True)

    def _headers_for(self, node: SessionNode, cookie: SessionId | None) -> CIMultiDict[str]:
        headers = CIMultiDict(self._headers)
        cookies = [f"{self.settings.cookie}={cookie.reveal()}"] if cookie is not None else []
        if node.route is not None and self.settings.route_cookie is not None:
            cookies.append(f"{self.settings.route_cookie}=.{node.route}")
        if cookies:
            headers[hdrs.COOKIE] = "; ".join(cookies)
        return headers

    def _find(self, body: bytes) -> str | None:
        found = self._same.search(body.decode(errors="replace")) if self._same is not None else None
        if found is None:
            return None
        return (found[1] or "") if found.re.groups else found[0]

    def within(self, node: SessionNode, path: str, location: str) -> str:
        """Return the path that a redirect leads to on the same node; raises ``TroubleError``."""
        here = urlsplit(node.url)
        try:
            there = urlsplit(urljoin(_origin(node.url) + path, location))
            name = there.hostname, there.port
        except ValueError:
            raise TroubleError(Reason.REDIRECT, node, "it redirects to what is no address") from None
        hidden = urlsplit(f"//{self.settings.host}") if self.settings.host is not None else None
        # with a host of its own a node may call itself by that, and by https where TLS ends before it
        own = (there.scheme, *name) == (here.scheme, here.hostname, here.port)
        if not own and (hidden is None or name != (hidden.hostname, hidden.port)):
            raise TroubleError(Reason.REDIRECT, node, "it redirects to another address: name that one")
        bare = re.sub(";[^/]*", "", there.path) or "/"  # a session id may be there
        return bare + (f"?{there.query}" if there.query else "")

    async def login(self, visit: "_Visit", page: Page) -> Page:
        """Send the form, if there is one; return the page that it leads to. Raises ``TroubleError``."""
        login = self.settings.login
        if login is None:
            return page
        page = await visit.go("POST", login.path, self._form)
        if not page.is_good:
            raise TroubleError(Reason.LOGIN_FAILED, visit.node, f"the form is answered by HTTP {page.status}")
        return page

    def is_proved(self, node: SessionNode, now: float) -> bool:
        """Whether a page showed lately what it does with an id that nobody knows.

        Behind a balancer it must each time: who answers there may change at any moment.
        """
        return node.route is None and now < self._proved.get(node.name, now)

    def proved(self, node: SessionNode, now: float) -> None:
        """Note that a page can tell."""
        self._proved[node.name] = now + PROVED_FOR


class _Visit:
    """One node as a browser goes through it; ``cookie`` is what it shows."""

    def __init__(
        self, canary: Canary, client: aiohttp.ClientSession, node: SessionNode, cookie: SessionId | None = None
    ) -> None:
        self.node = node
        self.cookie = cookie
        self.path = ""
        self._canary = canary
        self._client = client
        self._adopts = cookie is None

    async def go(self, method: str, path: str, form: dict[str, str] | None = None) -> Page:
        """Ask for a page and follow it on the same node; its cookie is the last that was set on the way.

        Whoever came with a cookie presents it at every step, and stops where it is not kept. Raises
        ``TroubleError``.
        """
        found: SessionId | None = None
        for _ in range(MOST_REDIRECTS + 1):
            self.path = path
            page, location = await self._canary.ask(self._client, self.node, method, path, self.cookie, form)
            found = page.cookie if page.cookie is not None else found
            if self._adopts and page.cookie is not None:
                self.cookie = page.cookie if page.cookie.base else None
            page = Page(page.status, found, page.match)
            if not location or (not self._adopts and not self._is_known(found)):
                return page
            if page.status not in _REPEATS:
                method, form = "GET", None
            path = self._canary.within(self.node, path, location)
        raise TroubleError(Reason.REDIRECT, self.node, f"it redirects more than {MOST_REDIRECTS} times")

    def _is_known(self, found: SessionId | None) -> bool:
        return self.cookie is not None and bond(self.cookie, found) in {Bond.KEPT, Bond.MOVED}


class _Check:
    """One session's way from one node to another, and what it leaves behind."""

    def __init__(
        self, canary: Canary, client: aiohttp.ClientSession, maker: SessionNode, witness: SessionNode
    ) -> None:
        self._canary = canary
        self._settings = canary.settings
        self._client = client
        self._maker, self._witness = maker, witness
        self._left: list[tuple[SessionNode, SessionId]] = []

    async def run(self, *, brief: bool) -> Result:
        """Check. Raises ``TroubleError``."""
        shown, first = await self._make()
        made_at, missed_at, page = time.monotonic(), 0.0, first
        finding = Finding(State.UNKNOWN)
        for at in looks(self._settings.give_up, brief=brief):
            await asyncio.sleep(made_at + at - time.monotonic())
            asked_at = time.monotonic() - made_at
            page = await self._show(shown)
            seen_at = time.monotonic() - made_at
            finding = self._read(shown, first, page)
            if finding.state is State.REPLICATED:
                if not finding.sure:
                    await self._control(first)
                return self._known(seen_at, seen_at - missed_at)
            missed_at = asked_at
        return self._lost(finding.reason)

    async def _make(self) -> tuple[SessionId, Page]:
        canary, maker = self._canary, self._maker
        visit, start = _Visit(canary, self._client, maker), _path(maker.url)
        page = await canary.login(visit, await visit.go("GET", start))
        if visit.path != start:  # the page that is shown to the other node, and no other
            page = await visit.go("GET", start)
        if visit.cookie is not None:
            self._left.append((maker, visit.cookie))
        return self._made(visit, page), page

    def _made(self, visit: _Visit, page: Page) -> SessionId:
        """Return the id of a session that was made as it should. Raises ``TroubleError``."""
        maker, cookie = self._maker, visit.cookie
        if not page.is_good:
            raise TroubleError(Reason.STATUS, maker, f"its page is answered by HTTP {page.status}")
        if cookie is None:
            raise TroubleError(Reason.NO_COOKIE, maker, f"it sets no cookie {self._settings.cookie}")
        if maker.route is not None and cookie.route != maker.route:
            raise TroubleError(Reason.WRONG_NODE, maker, "another node answers, or it has no such jvmRoute")
        if self._settings.expect_same is not None and page.match is None:
            failed = self._settings.login is not None
            text = "its page does not show what expect_same is to find" + (" after the login" if failed else "")
            raise TroubleError(Reason.LOGIN_FAILED if failed else Reason.NO_MATCH, maker, text)
        return cookie

    async def _show(self, shown: SessionId) -> Page:
        page = await self._ask_witness(shown)
        cookie, kind = page.cookie, bond(shown, page.cookie)
        if cookie is not None and kind is Bond.NEW:
            self._left.append((self._witness, cookie))
        elif cookie is not None and kind is Bond.MOVED:
            self._left = [each for each in self._left if each[1] != shown]
            self._left.append((self._witness, cookie))
        return page

    async def _ask_witness(self, cookie: SessionId) -> Page:
        visit = _Visit(self._canary, self._client, self._witness, cookie)
        return await visit.go("GET", _path(self._witness.url))

    def _read(self, shown: SessionId, first: Page, page: Page) -> Finding:
        witness = self._witness
        finding = read(shown, first, page, matches=self._settings.expect_same is not None, route=witness.route)
        if finding.state is not State.UNKNOWN or finding.reason is None:
            return finding
        words = {Reason.WRONG_NODE: "another node answers"}
        raise TroubleError(
            finding.reason, witness, words.get(finding.reason, f"its page is answered by HTTP {page.status}")
        )

    async def _control(self, first: Page) -> None:
        """See that the page would have been another for an id that nobody knows. Raises ``TroubleError``."""
        witness = self._witness
        if self._canary.is_proved(witness, time.monotonic()):
            return
        page = await self._show_nobodys()
        reason = proves(first, page, matches=self._settings.expect_same is not None, route=witness.route)
        if reason is Reason.WRONG_NODE:
            raise TroubleError(reason, witness, "another node answers")
        if reason is not None:
            text = "its page is the same without a session: name one that makes sessions, or an expect_same"
            raise TroubleError(reason, witness, text)
        self._canary.proved(witness, time.monotonic())

    async def _show_nobodys(self) -> Page:
        page = await self._ask_witness(NOBODYS)
        if page.cookie is not None and bond(NOBODYS, page.cookie) is Bond.NEW:
            self._left.append((self._witness, page.cookie))
        return page

    def _known(self, delay: float, resolution: float) -> Result:
        within = "at the first look" if resolution == delay else f"to within {resolution * 1000:.1f} ms"
        text = (
            f"a session made on {self._maker.name} is known on {self._witness.name} "
            f"after {delay * 1000:.1f} ms, {within}"
        )
        return Result(State.REPLICATED, text, None, delay, resolution)

    def _lost(self, reason: Reason | None) -> Result:
        maker, witness, for_ = self._maker.name, self._witness.name, f"{self._settings.give_up:g} s"
        if reason is Reason.BODY_DIFFERS:
            text = f"{witness} keeps a session made on {maker}, but without what was put into it, for {for_}"
        else:
            text = f"{witness} does not know a session made on {maker}, for {for_}: it makes a new one"
        return Result(State.LOST, text, reason)

    async def tidied(self, result: Result) -> Result:
        """Log every session out that was left behind, if there is a way; say how many there were."""
        made, ended, failed = len(self._left), 0, False
        for node, cookie in self._left if self._settings.logout is not None else ():
            try:
                page, _ = await self._canary.ask(self._client, node, "GET", self._settings.logout or "", cookie)
            except TroubleError:
                failed = True
            else:
                ended += page.status < 400  # noqa: PLR2004  # HTTP's own ranges
                failed |= page.status >= 400  # noqa: PLR2004
        return Result(
            result.state, result.text, result.reason, result.delay, result.resolution, made, ended, failed
        )


def set_cookie(headers: CIMultiDictProxy[str], name: str) -> SessionId | None:
    """Return the last value that a cookie is set to: empty if it is taken away, None if it is not set."""
    found = None
    for line in headers.getall(hdrs.SET_COOKIE, ()):
        first, *attributes = line.split(";")
        key, _, value = first.partition("=")
        if key.strip() != name:
            continue
        value = value.strip().strip('"')
        if any(each.strip().lower() == "max-age=0" for each in attributes) or not value:
            found = SessionId("")
        elif len(value) <= LONGEST_ID and _OCTETS.fullmatch(value):
            found = SessionId(value)
    return found


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk[: LARGEST - len(body)]
        if len(body) >= LARGEST:
            response.close()  # the rest is not waited for
            break
    return bytes(body)


def _reason(error: Exception, node: SessionNode) -> tuple[Reason, SessionNode, str]:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return Reason.TLS, node, f"its certificate is not trusted: {error.certificate_error}"
    if isinstance(error, aiohttp.ClientConnectorSSLError | ssl.SSLError):
        return Reason.TLS, node, "TLS fails: does it speak TLS there, and want another certificate?"
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    if isinstance(error, OSError) and not isinstance(error, aiohttp.ServerDisconnectedError):
        known = error.errno is not None and error.errno > 0
        words = os.strerror(error.errno) if known and error.errno is not None else "its name is not found"
        return Reason.CONNECT, node, f"cannot be reached: {words}"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return Reason.UNREADABLE, node, "it hangs up without an answer"
    return Reason.UNREADABLE, node, "its answer is no HTTP"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _path(url: str) -> str:
    return url[len(_origin(url)) :]


Take = Callable[[list[Event]], None]


class Canaries:
    """All pairs of one group, each checked in its turn; ``take`` gets what changes. Raises ``ConfigError``.

    ``before`` is what was in force until a reload: pairs of the same names keep their record.
    """

    def __init__(
        self, group: str, settings: Sessions | None, take: Take, before: "Canaries | None" = None
    ) -> None:
        self._group = group
        self._take = take
        self._canary = Canary(settings, f"{group}: sessions") if settings is not None else None
        past: list[Pair] = before.pairs if before is not None else []
        known = {(pair.made_on, pair.shown_to): pair for pair in past}
        names = self._canary.nodes if self._canary is not None else ()
        self.pairs: list[Pair] = [known.get(both) or Pair(*both) for both in permutations(names, 2)]
        self._places = asyncio.Semaphore(IN_FLIGHT)

    async def run(self) -> None:
        """Check until cancelled."""
        if self._canary is None:
            return
        async with open_session() as client, asyncio.TaskGroup() as tasks:
            for pair in self.pairs:
                tasks.create_task(self._follow(self._canary, client, pair))

    async def _follow(self, canary: Canary, client: aiohttp.ClientSession, pair: Pair) -> None:
        chance = random.Random()  # noqa: S311  # jitter is no secret
        interval = canary.settings.interval
        await asyncio.sleep(chance.uniform(0, min(FIRST, interval)))
        while True:
            due = time.monotonic() + interval * chance.uniform(1 - JITTER, 1 + JITTER)
            async with self._places:
                result = await canary.check(client, pair)
            if events := pair.take(self._group, result, time.monotonic()):
                self._take(events)
            await asyncio.sleep(max(REST, due - time.monotonic()))
