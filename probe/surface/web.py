"""HTTP: metrics, health, readiness, reload, the page and the view as JSON."""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

import msgspec
from aiohttp import BasicAuth, hdrs, web

from probe.fields import host_port, listen_address
from probe.model.views import ProbeView
from probe.surface import page
from probe.surface.auth import Users
from probe.surface.metrics import Exposition
from probe.web_config import VERSIONS, Tls, WebConfig

LARGEST_REQUEST: Final = 64 * 1024
"""bytes."""
RENDERINGS: Final = 2
"""Scrapes rendered at one time; further ones wait."""
IDLE: Final = 30.0
"""seconds an idle connection is kept."""
BACKLOG: Final = 128
LAST_WORDS: Final = 0.3
"""seconds that answers under way get at a stop."""

_CSP: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _CSP,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ListenError(Exception):
    """A listen address cannot be used; one line."""


class NotKnownError(Exception):
    """A member or group is not known; one line."""


class NotForgottenError(Exception):
    """A member cannot be forgotten; one line with the remedy."""


class Forget(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to forget; ``group`` is its name, needed where several know the member."""

    member: str
    group: str | None = None


class Source(Protocol):
    """What the web shows and may ask for."""

    async def view(self) -> ProbeView:
        """Return everything this probe sees now."""

    def not_ready(self) -> str | None:
        """Say why this probe is not ready, None when it is."""

    async def reload(self) -> str | None:
        """Read the settings anew; return what was wrong with them."""

    def forget(self, member: str, group: str | None = None) -> str:
        """Miss a member no more; say what that means. Raises ``NotKnownError``, ``NotForgottenError``."""


class Web:
    """The web server: listens on every address given, or on none."""

    def __init__(
        self, source: Source, telemetry_path: str = "/metrics", config: WebConfig | None = None
    ) -> None:
        self._source = source
        self._path = telemetry_path
        self._config = config or WebConfig()
        self._users = Users(self._config.basic_auth_users)
        self._exposition = Exposition()
        self._places = asyncio.Semaphore(RENDERINGS)
        self._tls = _context(self._config.tls) if self._config.tls else None
        self._runner = web.AppRunner(
            self._app(),
            access_log=None,
            keepalive_timeout=IDLE,
            handle_signals=False,
            shutdown_timeout=LAST_WORDS,
        )
        self._sockets: list[socket.socket] = []
        self.addresses: list[str] = []

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=LARGEST_REQUEST, middlewares=[self._guard])
        app.router.add_get(self._path, self._metrics)
        app.router.add_get("/", self._page)
        app.router.add_get("/api/v1/view", self._view)
        app.router.add_get("/-/healthy", self._healthy)
        app.router.add_get("/-/ready", self._ready)
        app.router.add_post("/-/reload", self._reload)
        app.router.add_post("/api/v1/forget", self._forget)
        return app

    async def listen(self, addresses: tuple[str, ...]) -> None:
        """Open every address; raises ``ListenError`` and opens none when one cannot be used."""
        await self._runner.setup()
        try:
            for address in addresses:
                self._sockets += _bind(address)
            await self._serve()
        except ListenError:
            await self.close()
            raise

    async def _serve(self) -> None:
        """Serve on every socket as it is to be now, and only then no more as it was."""
        before = list(self._runner.sites)
        for sock in self._sockets:
            site = web.SockSite(self._runner, sock.dup(), ssl_context=self._tls, backlog=BACKLOG)
            await site.start()
        for old in before:
            await old.stop()
        self.addresses = [_url(sock.getsockname(), tls=self._tls is not None) for sock in self._sockets]

    async def close(self) -> None:
        """Stop listening and let go of every connection."""
        await self._runner.cleanup()
        for sock in self._sockets:
            sock.close()
        self._sockets = []

    async def adopt(self, config: WebConfig) -> None:
        """Take another protection, for connections to come; files are read anew. Raises ``ListenError``."""
        tls = _context(config.tls) if config.tls else None  # a new one: an old one would keep trusting old CAs
        plain = tls is None and self._tls is None
        self._config, self._tls = config, tls
        self._users = Users(config.basic_auth_users)
        if not plain:
            await self._serve()

    # -- answers

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if self._users and not await self._admitted(request):
            raise web.HTTPUnauthorized(headers={hdrs.WWW_AUTHENTICATE: "Basic"})
        return await handler(request)

    async def _admitted(self, request: web.Request) -> bool:
        try:
            given = BasicAuth.decode(request.headers.get(hdrs.AUTHORIZATION, ""), encoding="utf-8")
        except ValueError:
            return False
        return await self._users.admit(given.login, given.password)

    def _headers(self) -> dict[str, str]:
        return {**_HEADERS, **self._config.headers}

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        async with self._places:
            view = await self._source.view()
            chunks, content_type = self._exposition.render(view, request.headers.get(hdrs.ACCEPT, ""))
            response = web.StreamResponse(headers={**self._headers(), hdrs.CONTENT_TYPE: content_type})
            response.enable_compression()
            await response.prepare(request)
            while (chunk := await asyncio.to_thread(next, chunks, None)) is not None:
                await response.write(chunk)
            await response.write_eof()
        return response

    async def _page(self, _: web.Request) -> web.Response:
        text = page.render(await self._source.view(), self._path)
        return web.Response(text=text, content_type="text/html", headers=self._headers())

    async def _view(self, _: web.Request) -> web.Response:
        body = await asyncio.to_thread(msgspec.json.encode, await self._source.view())
        return web.Response(body=body, content_type="application/json", headers=self._headers())

    async def _healthy(self, _: web.Request) -> web.Response:
        return web.Response(text="tribes-probe is healthy.\n", headers=self._headers())

    async def _ready(self, _: web.Request) -> web.Response:
        reason = self._source.not_ready()
        if reason is not None:
            return web.Response(status=503, text=f"not ready: {reason}\n", headers=self._headers())
        return web.Response(text="tribes-probe is ready.\n", headers=self._headers())

    async def _reload(self, _: web.Request) -> web.Response:
        wrong = await self._source.reload()
        if wrong is not None:
            return web.Response(status=400, text=f"not reloaded, the old settings stay in force:\n{wrong}\n")
        return web.Response(text="reloaded\n", headers=self._headers())

    async def _forget(self, request: web.Request) -> web.Response:
        try:
            wanted = _whom(request.content_type, await request.read())
            status, text = 200, self._source.forget(wanted.member, wanted.group)
        except NotKnownError as error:
            status, text = 404, f"not forgotten: {error}"
        except (NotForgottenError, ValueError) as error:
            status, text = 400, f"not forgotten: {error}"
        return web.Response(status=status, text=" ".join(text.split()) + "\n", headers=self._headers())


def _whom(content_type: str, body: bytes) -> Forget:
    """Read whom to forget; raises ValueError with the remedy.

    Not a form: another site's page could have a browser send one, with the password that it remembers.
    """
    if content_type != "application/json":
        raise ValueError('send JSON, as application/json: {"member": "10.0.0.1:4000"}')
    wanted = msgspec.json.decode(body, type=Forget)
    return Forget(host_port(wanted.member), wanted.group)


def split_address(address: str) -> tuple[str, int]:
    """Split ":10564", "127.0.0.1:0", "[::1]:9999" or "localhost:80"; raises ``ListenError``."""
    try:
        return listen_address(address)
    except ValueError as error:
        raise ListenError(str(error)) from None


def _bind(address: str) -> list[socket.socket]:
    """Return a socket for every address that this one means; raises ``ListenError``."""
    host, port = split_address(address)
    bound: list[socket.socket] = []
    try:
        infos = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, _, _, name in dict.fromkeys(infos):
            try:
                sock = socket.socket(family, kind)
            except OSError:  # a host without IPv6 lists its addresses all the same
                continue
            bound.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind(name)
            sock.listen(BACKLOG)
    except OSError as error:
        for sock in bound:
            sock.close()
        why = error.strerror or str(error)
        raise ListenError(f"cannot listen on {address}: {why}: give another --web.listen-address") from None
    return bound


def _url(name: tuple[Any, ...], *, tls: bool) -> str:
    host, port = name[0], name[1]
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        host = "localhost"
    elif address.version == 6:  # noqa: PLR2004
        host = f"[{host}]"
    return f"{'https' if tls else 'http'}://{host}:{port}/"


def _context(tls: Tls) -> ssl.SSLContext:
    """Return the server's TLS settings; raises ``ListenError``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        _set_up(context, tls)
    except (OSError, ssl.SSLError) as error:
        raise ListenError(f"TLS cannot be set up with {tls.cert_file}: {error}") from None
    return context


def _set_up(context: ssl.SSLContext, tls: Tls) -> None:
    context.load_cert_chain(tls.cert_file, tls.key_file, password="")  # else a locked key asks on the terminal
    context.minimum_version = VERSIONS[tls.min_version]
    context.maximum_version = VERSIONS[tls.max_version]
    if tls.client_ca_file:
        context.load_verify_locations(tls.client_ca_file)
    if tls.cipher_suites:
        context.set_ciphers(":".join(tls.cipher_suites))
    context.verify_mode = _VERIFY[tls.client_auth_type]


_VERIFY: Final = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
