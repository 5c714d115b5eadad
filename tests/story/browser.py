"""Her users: browsers that log in, follow the redirect at once, and read who the shop says they are."""

import itertools
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.cookiejar import CookieJar
from typing import Final
from urllib.parse import urlencode

from support.netns import Host

LOOKING: Final = 4
"""users who look at one time, under load."""
_users: Final = itertools.count(1)


class Browser:
    """One user's browser on a host, with cookies; raises URLError for a page that does not come."""

    def __init__(self, host: Host) -> None:
        self.user = f"user{next(_users)}"
        self.cookies = CookieJar()
        self._host = host
        self._open = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self.cookies)
        ).open

    @property
    def route(self) -> str:
        """Return the jvmRoute behind the session's id."""
        (cookie,) = self.cookies
        return str(cookie.value).rpartition(".")[2]

    def login(self, shop: str) -> bool:
        """Log in and follow the redirect; tell whether the page knows the user."""
        return self._is_known(f"{shop}/login", urlencode({"user": self.user}).encode())

    def look(self, shop: str) -> bool:
        """Tell whether the page knows the user."""
        return self._is_known(f"{shop}/welcome")

    def _is_known(self, url: str, form: bytes | None = None) -> bool:
        with self._host.inside(), self._open(url, form, timeout=20) as answer:
            page = answer.read().decode().strip()
        assert page in {"no user", f"user {self.user}"}, page
        return bool(page != "no user")


def logins(host: Host, shop: str, number: int, at_once: int = 1) -> list[tuple[Browser, bool]]:
    """Have so many users log in, so many at a time; return them, and whether the page after it knows them."""

    def one(browser: Browser) -> tuple[Browser, bool]:
        return browser, browser.login(shop)

    with ThreadPoolExecutor(at_once) as crowd:
        return list(crowd.map(one, [Browser(host) for _ in range(number)]))


@contextmanager
def load(users: list[Browser], shop: str) -> Iterator[list[bool | None]]:
    """Have users look again and again, some at a time, while the block runs.

    The list grows meanwhile: whether the page knew them, None for one that did not come.
    """
    looks: list[bool | None] = []
    over = threading.Event()

    def keep_looking(some: list[Browser]) -> None:
        for user in itertools.cycle(some):
            if over.is_set():
                return
            try:
                looks.append(user.look(shop))
            except urllib.error.URLError:
                looks.append(None)

    with ThreadPoolExecutor(LOOKING) as crowd:
        working = [crowd.submit(keep_looking, users[n::LOOKING]) for n in range(LOOKING)]
        try:
            yield looks
        finally:
            over.set()
    for one in working:
        one.result()
