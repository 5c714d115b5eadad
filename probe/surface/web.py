"""HTTP: metrics, health, readiness, reload, the page and the view as JSON."""

import asyncio
import ipaddress
import ssl
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

import msgspec
from aiohttp import BasicAuth, hdrs, web

from probe.fields import ConfigError, listen_address
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


class Source(Protocol):
    """What the web shows and may ask for."""

    async def view(self) -> ProbeView:
        """Return everything this probe sees now."""

    def not_ready(self) -> str | None:
        """Say why this probe is not ready, None when it is."""

    async def reload(self) -> str | None:
        """Read the settings anew; return what was wrong with them."""


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
        self._runner = web.AppRunner(self._app(), access_log=None, keepalive_timeout=IDLE, handle_signals=False)
        self.addresses: list[str] = []

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=LARGEST_REQUEST, middlewares=[self._guard])
        app.router.add_get(self._path, self._metrics)
        app.router.add_get("/", self._page)
        app.router.add_get("/api/v1/view", self._view)
        app.router.add_get("/-/healthy", self._healthy)
        app.router.add_get("/-/ready", self._ready)
        app.router.add_post("/-/reload", self._reload)
        return app

    async def listen(self, addresses: tuple[str, ...]) -> None:
        """Open every address; raises ``ListenError`` and opens none when one cannot be used."""
        await self._runner.setup()
        try:
            for address in addresses:
                await self._open(address)
        except ListenError:
            await self.close()
            raise
        self.addresses = [_url(name, tls=self._tls is not None) for name in self._runner.addresses]

    async def _open(self, address: str) -> None:
        host, port = split_address(address)
        site = web.TCPSite(self._runner, host or None, port, ssl_context=self._tls, backlog=128)
        try:
            await site.start()
        except OSError as error:
            raise ListenError(
                f"cannot listen on {address}: {error.strerror or error}: give another --web.listen-address"
            ) from None

    async def close(self) -> None:
        """Stop listening and let go of every connection."""
        await self._runner.cleanup()

    def adopt(self, config: WebConfig) -> None:
        """Take another protection; a certificate is read anew, for connections to come.

        Raises ``ConfigError`` when TLS is to begin or end, OSError or ssl.SSLError for bad files.
        """
        if (config.tls is None) is not (self._tls is None):
            raise ConfigError(["turning TLS on or off takes a restart"])
        if self._tls is not None and config.tls is not None:
            _set_up(self._tls, config.tls)
        self._config = config
        self._users = Users(config.basic_auth_users)

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


def split_address(address: str) -> tuple[str, int]:
    """Split ":10564", "127.0.0.1:0", "[::1]:9999" or "localhost:80"; raises ``ListenError``."""
    try:
        return listen_address(address)
    except ValueError as error:
        raise ListenError(str(error)) from None


def _url(name: tuple[str, int], *, tls: bool) -> str:
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
    context.load_cert_chain(tls.cert_file, tls.key_file)
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
