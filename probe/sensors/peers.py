"""Reads other probes' views over HTTP: one question to each at a time, within a time and a size."""

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Final

import aiohttp
import msgspec

from probe.config import Peer
from probe.fields import shown
from probe.model.sight import GroupSight, ProbeSight, Role, Vantage
from probe.model.vantages import FRESH
from probe.model.views import PeerView
from probe.sensors.site import Hints, Site, UnusableError, open_session

PATH: Final = "/api/v1/view"
PACE: Final = 1.0
"""seconds between two questions to one peer, give or take a tenth."""
REST: Final = 0.2
"""seconds that a slow peer has between an answer and the next question."""
LARGEST: Final = 16 * 2**20
"""bytes of a view: some twenty thousand members."""
_HINTS: Final[Hints] = {
    HTTPStatus.UNAUTHORIZED: "it asks for another name and password (HTTP 401): see basic_auth",
}


class Reader:
    """One peer, and what it was last heard to say. Raises ``ConfigError`` when its files cannot be used."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.sight: ProbeSight | None = None
        self.asked_at = self.at = float("-inf")
        self.read_at: float | None = None
        self.why = "it was not read yet"
        self.up: bool | None = None
        self.site = Site(peer.url, f"peers: {peer.name}", peer.tls, peer.basic_auth, LARGEST)

    def inherit(self, other: "Reader") -> None:
        """Take over what was read before a reload."""
        self.sight, self.asked_at, self.at = other.sight, other.asked_at, other.at
        self.read_at, self.why, self.up = other.read_at, other.why, other.up

    def is_fresh(self, now: float) -> bool:
        """Whether its view was read lately."""
        return self.sight is not None and now - self.asked_at <= FRESH

    async def read(self, session: aiohttp.ClientSession) -> None:
        """Ask once; what went wrong is in ``why``."""
        asked_at = time.monotonic()
        try:
            sight = decode(await self.site.read(session, PATH, _HINTS))
        except UnusableError as error:
            self.why = str(error)
        else:
            self.sight, self.asked_at, self.at = sight, asked_at, time.monotonic()
            self.read_at, self.why = time.time(), ""


class _Version(msgspec.Struct):
    version: str


class _Any(msgspec.Struct):
    build: _Version


def decode(body: bytes | bytearray) -> ProbeSight:
    """Read a view; raises ``UnusableError`` with the reason."""
    try:
        sight = msgspec.json.decode(body, type=ProbeSight)
    except msgspec.ValidationError as error:
        raise UnusableError(_misfit(body, error)) from None
    except (ValueError, RecursionError):
        raise UnusableError("its answer is no JSON") from None
    for group in sight.groups:
        _check(group)
    return sight


def _misfit(body: bytes | bytearray, error: msgspec.ValidationError) -> str:
    try:
        version = msgspec.json.decode(body, type=_Any).build.version
    except (ValueError, RecursionError):
        return "its answer is no view of a probe"
    return f"its view, of version {shown(version)}, is not understood: {error}"


def _check(group: GroupSight) -> None:
    """Refuse what no probe sees; raises ``UnusableError``."""
    if len({one.member for one in group.members}) < len(group.members):
        raise UnusableError("its view has a member twice")
    for one in group.members:
        if one.up and one.age_seconds is not None and one.age_seconds > 2 * group.drop_time_seconds + PACE:
            raise UnusableError(f"its view contradicts itself: {one.member} is up and long silent")


Changed = Callable[[str, str], None]
"""A peer's name, and why it is read no more; empty when it is read again."""


class Peers:
    """All peers; ``started`` is when this probe began, by which it knows itself. Raises ``ConfigError``."""

    def __init__(
        self, peers: Iterable[Peer], started: float, changed: Changed, before: "Peers | None" = None
    ) -> None:
        self.readers = [Reader(peer) for peer in peers]
        self._started = started
        self._changed = changed
        known = {reader.peer.url: reader for reader in before.readers} if before is not None else {}
        for reader in self.readers:
            if reader.peer.url in known:
                reader.inherit(known[reader.peer.url])

    def __bool__(self) -> bool:
        return bool(self.readers)

    async def run(self) -> None:
        """Read them all, until cancelled."""
        async with open_session() as session, asyncio.TaskGroup() as tasks:
            for reader in self.readers:
                tasks.create_task(self._follow(reader, session))

    async def _follow(self, reader: Reader, session: aiohttp.ClientSession) -> None:
        while True:
            due = time.monotonic() + PACE * random.uniform(0.9, 1.1)  # noqa: S311  # jitter is no secret
            await reader.read(session)
            self._tell(reader)
            await asyncio.sleep(max(REST, due - time.monotonic()))

    def _tell(self, reader: Reader) -> None:
        """Tell a change that is no hiccup."""
        up = True if reader.why == "" else False if not reader.is_fresh(time.monotonic()) else reader.up
        if up is not reader.up:
            reader.up = up
            self._changed(reader.peer.name, reader.why)

    def vantages(self, address: str, port: int) -> list[Vantage]:
        """Return what each peer sees of a group."""
        return [
            _vantage(reader, address, port, "" if reader.sight is None else double)
            for reader, double in zip(self.readers, self._doubles(), strict=True)
        ]

    def _doubles(self) -> list[str]:
        """Say of each peer whether it is a probe that speaks already: one probe is one vantage."""
        known = {self._started: "this probe itself"}
        found = []
        for reader in self.readers:
            double = ""
            if reader.sight is not None:
                double = known.get(reader.sight.started, "")
                known.setdefault(reader.sight.started, f"the same probe as {reader.peer.name}")
            found.append(f"it is {double}" if double else "")
        return found

    def view(self) -> list[PeerView]:
        """Return how the peers stand."""
        now = time.monotonic()
        return [
            PeerView(
                name=reader.peer.name,
                url=reader.peer.url,
                role=_role(reader).value,
                up=reader.is_fresh(now) and not double,
                why=double or reader.why,
                version=reader.sight.build.version if reader.sight is not None else "",
                read_at=reader.read_at,
                groups=tuple(f"{group.address}:{group.port}" for group in reader.sight.groups)
                if reader.sight is not None
                else (),
            )
            for reader, double in zip(self.readers, self._doubles(), strict=True)
        ]


def _role(reader: Reader) -> Role:
    if reader.peer.role is not None:
        return Role(reader.peer.role)
    return reader.sight.role if reader.sight is not None else Role.SEGMENT


def _vantage(reader: Reader, address: str, port: int, double: str) -> Vantage:
    name, role = reader.peer.name, _role(reader)
    if reader.sight is None or double:
        return Vantage(name, role, reader.asked_at, reader.at, None, double or reader.why)
    group = next((one for one in reader.sight.groups if (one.address, one.port) == (address, port)), None)
    why = reader.why if group is not None else f"it does not watch {address}:{port}"
    return Vantage(name, role, reader.asked_at, reader.at, group, why)
