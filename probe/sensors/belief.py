"""Reads what Tomcats themselves believe, through the Manager's jmxproxy: one question to each at a time."""

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import aiohttp

from probe.config import BasicAuth, BeliefSource, Group
from probe.model.belief import FRESH, Belief, Reading
from probe.sensors.site import Hints, Site, UnusableError, open_session
from probe.tomcat.channel import QUERY, read_belief
from probe.tomcat.mbeans import UnreadableError

PATH: Final = f"?qry={quote(QUERY, safe='')}"
PACE: Final = 3.0
"""seconds between two questions to one Tomcat, give or take a tenth; each costs it some 3 ms."""
REST: Final = 1.0
"""seconds that a slow Tomcat has between an answer and the next question."""
LARGEST: Final = 2**20
"""bytes of an answer: a cluster of some two thousand members, more than any where each knows all others."""
_HINTS: Final[Hints] = {
    HTTPStatus.UNAUTHORIZED: "it asks for another name and password (HTTP 401): see username, password_file",
    HTTPStatus.FORBIDDEN: (
        "it forbids it (HTTP 403): give the user the role manager-jmx, "
        "and let this host through the Manager's RemoteAddrValve"
    ),
    HTTPStatus.NOT_FOUND: "it has no jmxproxy there (HTTP 404): is the Manager deployed, at this path?",
}

Taken = Callable[[str, Reading], None]
"""A group's name, and what one of its Tomcats said, or why it said nothing."""
Changed = Callable[[str, BeliefSource, str], None]
"""A group's name, a source, and why it is read no more; empty when it is read again."""


class Tomcat:
    """One Tomcat whose belief is read. Raises ``ConfigError`` when its files cannot be used."""

    def __init__(self, group: Group, source: BeliefSource) -> None:
        self.group = group
        self.source = source
        self.read_at = float("-inf")
        self.up: bool | None = None
        place = f"belief of {group.name}: {source.url}"
        auth = BasicAuth(source.username, source.password_file) if source.password_file else None
        self._site = Site(source.url, place, source.tls, auth, LARGEST)

    async def read(self, session: aiohttp.ClientSession) -> Reading:
        """Ask once."""
        asked_at = time.monotonic()
        belief: Belief | None = None
        why = ""
        try:
            belief = self._understand(await self._site.read(session, PATH, _HINTS))
        except (UnusableError, UnreadableError) as error:
            why = str(error)
        else:
            self.read_at = asked_at
        return Reading(self.source.url, self.source.member, asked_at, belief, why)

    def _understand(self, body: bytearray) -> Belief:
        return read_belief(body.decode("latin-1"), self.group.address, self.group.port)

    def turned(self, why: str, now: float) -> bool:
        """Whether it is read again, or no more, which a single bad answer does not mean."""
        up = True if not why else self.up if now - self.read_at <= FRESH else False
        news, self.up = up is not self.up, up
        return news


class Tomcats:
    """All whose belief is read, of every group. Raises ``ConfigError`` when their files cannot be used."""

    def __init__(self, groups: Iterable[Group], taken: Taken, changed: Changed) -> None:
        self._taken = taken
        self._changed = changed
        self.all = [Tomcat(group, source) for group in groups for source in group.belief]

    def __bool__(self) -> bool:
        return bool(self.all)

    def inherit(self, before: "Tomcats") -> None:
        """Take over who was read before a reload, so that nobody is told anew."""
        known = {(one.group.name, one.source.url): one for one in before.all}
        for one in self.all:
            if (old := known.get((one.group.name, one.source.url))) is not None:
                one.read_at, one.up = old.read_at, old.up

    async def run(self) -> None:
        """Read them all, until cancelled."""
        async with open_session() as session, asyncio.TaskGroup() as tasks:
            for tomcat in self.all:
                tasks.create_task(self._follow(tomcat, session))

    async def _follow(self, tomcat: Tomcat, session: aiohttp.ClientSession) -> None:
        await asyncio.sleep(random.uniform(0.0, REST))  # noqa: S311  # jitter is no secret
        while True:
            due = time.monotonic() + PACE * random.uniform(0.9, 1.1)  # noqa: S311  # likewise
            reading = await tomcat.read(session)
            if tomcat.turned(reading.why, time.monotonic()):
                self._changed(tomcat.group.name, tomcat.source, reading.why)
            self._taken(tomcat.group.name, reading)
            await asyncio.sleep(max(REST, due - time.monotonic()))
