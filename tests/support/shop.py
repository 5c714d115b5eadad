"""Small shops that keep sessions as Tomcats do: over HTTP, clustered, with a lag, with or without routes."""

import itertools
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Self

from aiohttp import web

_numbers = itertools.count(1)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Cluster:
    """What all shops of one cluster know of each session: where and when it was made, and whose it is."""

    def __init__(self, lag: float = 0.0, *, loses_users: bool = False, binds: bool = True) -> None:
        self.lag = lag
        self.loses_users = loses_users
        self.binds = binds
        self.sessions: dict[str, dict[str, object]] = {}

    def make(self, shop: "Shop") -> str:
        """Make a session; return its whole id."""
        base = f"{next(_numbers):032X}"
        self.sessions[base] = {"shop": shop, "at": time.monotonic(), "user": None}
        return base + (f".{shop.route}" if shop.route else "")

    def known(self, shop: "Shop", whole: str) -> dict[str, object] | None:
        """Return a session if this shop knows it by now; its route is part of its name, as with Tomcat."""
        base, _, route = whole.partition(".")
        session = self.sessions.get(base)
        if session is None:
            return None
        home = session["shop"]
        if home is shop:
            return session
        assert isinstance(home, Shop)
        late = time.monotonic() < float(str(session["at"])) + self.lag
        return None if late or home.cluster is not shop.cluster or route != home.route else session


class Shop:
    """One node; ``url`` is its page. It notes the cookies and paths it was asked with."""

    def __init__(self, cluster: Cluster, route: str = "") -> None:
        self.cluster = cluster
        self.route = route
        self.url = ""
        self.asked: list[tuple[str, str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.forms: list[dict[str, str]] = []
        self.answer: Handler | None = None
        self._runner = web.AppRunner(web.Application())

    async def open(self, tls: ssl.SSLContext | None = None) -> Self:
        """Serve on a port of 127.0.0.1."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=tls).start()
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self._runner.addresses[0][1]}/app/"
        return self

    async def close(self) -> None:
        """Serve no more."""
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        cookie = request.cookies.get("JSESSIONID", "")
        self.asked.append((request.method, request.raw_path, cookie))
        self.headers.append(dict(request.headers))
        return await (self.answer or self.serve)(request)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer as the application does."""
        path = request.raw_path.partition(";")[0]
        shown = request.cookies.get("JSESSIONID", "")
        session = self.cluster.known(self, shown) if shown else None
        if path == "/app/peek":
            return web.Response(text="user=None")
        if path == "/app/logout":
            ended = self.cluster.sessions.pop(shown.partition(".")[0], None)
            return web.Response(status=200 if ended is not None else 404)
        whole = shown
        if session is None:
            whole = self.cluster.make(self)
            session = self.cluster.sessions[whole.partition(".")[0]]
        elif self.cluster.binds and self.route:
            whole = f"{shown.partition('.')[0]}.{self.route}"
        if path == "/app/login":
            return await self._login(request, session)
        seen = None if self.cluster.loses_users and session["shop"] is not self else session["user"]
        response = web.Response(text=f"hello\nuser={seen}\n")
        if whole != shown:
            response.set_cookie("JSESSIONID", whole, path="/app", httponly=True)
        return response

    async def _login(self, request: web.Request, session: dict[str, object]) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.forms.append(form)
        if form.get("password") != "secret":
            return web.Response(status=403)
        whole = self.cluster.make(self)  # a login renews the id
        self.cluster.sessions[whole.partition(".")[0]]["user"] = form["user"]
        self.cluster.sessions = {key: one for key, one in self.cluster.sessions.items() if one is not session}
        response = web.Response(status=302, headers={"Location": f"/app/;jsessionid={whole}"})
        response.set_cookie("JSESSIONID", whole, path="/app")
        return response
