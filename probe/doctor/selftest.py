"""Measures multicast between two doctors, on a port of the group's address that no membership uses."""

import asyncio
import contextlib
import ipaddress
import os
import socket
import struct
import time
from collections.abc import Iterable
from typing import Any, Final, Literal

from probe.config import Group
from probe.doctor.exchange import COUNT, LONGEST, Direction, Outcome, Word, read, write
from probe.doctor.subject import Subject
from probe.fields import shown
from probe.model.track import Datagram
from probe.sensors.groupsocket import one_interface_only
from probe.sensors.interfaces import list_interfaces
from probe.sensors.multicast import Multicast
from probe.sensors.names import Names

PORT: Final = 10565
MEMBERSHIP: Final = 45564
"""Tomcat's own port: never used here, whatever the settings say."""
PACE: Final = 0.1
"""seconds between two datagrams to the group."""
MEET: Final = 60.0
"""seconds in which the other doctor may be started."""
HELLO: Final = 0.25
"""seconds between two hellos, and two reports."""
LAST_WORD: Final = 3.0
"""seconds in which the other's report is waited for."""
_IP_MULTICAST_ALL: Final = 49
_IPV6_MULTICAST_ALL: Final = 29


def refusal(port: int, groups: Iterable[Group]) -> str:
    """Say why a port may not be used; nothing when it may. A Tomcat bound to the wildcard hears any group."""
    named = next((group for group in groups if group.port == port), None)
    if named is not None:
        return f"{port} is the membership port of {named.name}: nothing is ever sent there; name another"
    if port == MEMBERSHIP:
        return f"{port} is the port of Tomcat's memberships: nothing is ever sent there; name another"
    return ""


async def measure(subject: Subject, peer: str, port: int = PORT, meet: float = MEET) -> Outcome:
    """Meet the doctor at a host, send, count and report. Raises OSError."""
    if refusal(port, [subject.group]):
        raise ValueError(refusal(port, [subject.group]))
    family = socket.AF_INET6 if subject.version == 6 else socket.AF_INET  # noqa: PLR2004
    try:
        found = await Names().resolve(peer, port, family)
    except OSError as failed:
        raise OSError(f"{shown(peer)} has no IPv{subject.version} address: {failed}") from None
    test = _Test(subject, str(found[0]["host"]), port)
    try:
        await test.open()
        return await test.run(peer, meet)
    finally:
        test.close()


def _leaves_by(subject: Subject) -> int:
    """Return the interface to send by; 0 leaves it to the route, as a Tomcat does, where that says it."""
    able = (one for one in subject.interfaces if one.up and one.multicast and not one.loopback)
    named = (one for entry in subject.group.interfaces if (one := subject.called(entry)))
    chosen = next(named, next(able, None) if one_interface_only(subject.address) else None)
    return chosen.index if chosen is not None else 0


class _Test:
    """One side of a self-test."""

    def __init__(self, subject: Subject, address: str, port: int) -> None:
        self._subject = subject
        self._address = ipaddress.ip_address(address)
        self._port = port
        self._token = os.urandom(8).hex()
        self._other = ""  # its token, once it is known
        self._knows_us = asyncio.Event()
        self._reported = asyncio.Event()
        self._came: dict[int, int] = {}  # number to TTL
        self._sent_at: dict[int, float] = {}
        self._trips: dict[int, float] = {}
        self._why = ""  # why a beat could not be sent
        self._theirs: Word | None = None
        self._they_are_done = False
        self._ears: Multicast | None = None
        self._socket: socket.socket | None = None

    async def open(self) -> None:
        """Open both sockets: what listens on the group cannot send. Raises OSError."""
        subject = self._subject
        group = Group(address=str(subject.address), port=self._port, interfaces=subject.group.interfaces)
        self._ears = Multicast(group, self._take, lambda *_: None)
        self._ears.follow(await asyncio.to_thread(list_interfaces))
        self._socket = self._open(subject)
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._readable)

    def _open(self, subject: Subject) -> socket.socket:
        version6 = subject.version == 6  # noqa: PLR2004
        sock = socket.socket(socket.AF_INET6 if version6 else socket.AF_INET, socket.SOCK_DGRAM)
        sock.setblocking(False)  # noqa: FBT003  # the socket module's own signature
        index = _leaves_by(subject)
        if version6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MULTICAST_ALL, 0)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, subject.ttl)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_MULTICAST_ALL, 0)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, subject.ttl)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 0)
            bound = next((socket.inet_aton(bind) for bind in subject.binds if "." in bind), bytes(4))
            where = struct.pack("=4s4si", bytes(4), bound, index)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, where)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the ears have the port, too
        sock.bind(("", self._port))
        return sock

    def close(self) -> None:
        """Close both."""
        if self._ears is not None:
            self._ears.close()
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()

    # -- the exchange

    async def run(self, peer: str, meet: float) -> Outcome:
        """Go through it; what was not learned stays unsaid."""
        place = f"UDP {self._port}"
        if not await self._meet(meet):
            return Outcome(peer, place)
        for number in range(COUNT):
            self._to_group(number)
            await asyncio.sleep(PACE)
        await self._report()
        theirs, sent = self._theirs, len(self._sent_at)
        return Outcome(
            peer,
            place,
            met=True,
            out=Direction(
                sent,
                None if theirs is None else len(set(theirs.numbers)),
                -1 if theirs is None else theirs.ttl,
            ),
            back=Direction(
                COUNT if theirs is None else theirs.sent, len(self._came), min(self._came.values(), default=-1)
            ),
            round_trips=tuple(self._trips.values()),
            why=self._why,
        )

    async def _meet(self, patience: float) -> bool:
        """Say hello until the other one knows us, and we it."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience):
                while not self._knows_us.is_set():
                    self._to_peer(self._word("hello"))
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._knows_us.wait(), HELLO)
        return self._knows_us.is_set()

    async def _report(self) -> None:
        """Exchange reports. The other side may have begun a little later: its last beats are waited for."""
        await asyncio.sleep(2 * HELLO + PACE)
        until = time.monotonic() + LAST_WORD
        while time.monotonic() < until and not (self._theirs is not None and self._they_are_done):
            self._say_report()
            self._reported.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._reported.wait(), HELLO)
        self._say_report()

    def _say_report(self) -> None:
        numbers, ttl = tuple(sorted(self._came)), min(self._came.values(), default=-1)
        word = self._word(
            "report", numbers=numbers, sent=len(self._sent_at), ttl=ttl, done=self._theirs is not None
        )
        self._to_peer(word)

    # -- what comes

    def _take(self, batch: list[Datagram]) -> None:
        """Take beats from the group; the kernel's time of arrival is that of ``time.monotonic``."""
        for data, at, origin in batch:
            word = read(data)
            if word is None or word.kind != "beat" or word.to != self._token or word.sender != self._other:
                continue
            self._came.setdefault(word.number, origin.ttl)
            held = min(60.0, max(0.0, time.monotonic() - at))
            self._to_peer(self._word("echo", number=word.number, held=held))

    def _readable(self) -> None:
        assert self._socket is not None  # noqa: S101  # it is read only while it is open
        while True:
            try:
                data, source = self._socket.recvfrom(LONGEST + 1)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error of an earlier word: nobody is there yet
                continue
            if ipaddress.ip_address(source[0].partition("%")[0]) == self._address:
                word = read(data)
                if word is not None and word.kind != "beat":
                    self._hear(word, time.monotonic())

    def _hear(self, word: Word, now: float) -> None:
        if word.group != str(self._subject.address):
            return
        if word.kind == "hello":
            if not self._knows_us.is_set():
                self._other = word.sender  # the last one: a doctor that was started again has another token
            if word.sender == self._other and word.to == self._token:
                self._knows_us.set()
            if not word.done:
                self._to_peer(self._word("hello", done=True))
            return
        if word.sender != self._other or word.to != self._token:
            return
        if word.kind == "echo" and word.number in self._sent_at:
            trip = now - self._sent_at[word.number] - word.held
            self._trips.setdefault(word.number, max(0.0, trip))
        elif word.kind == "report":
            self._knows_us.set()
            self._theirs, self._they_are_done = word, word.done
            self._reported.set()

    # -- what goes out

    def _word(self, kind: Literal["hello", "beat", "echo", "report"], **values: Any) -> Word:
        return Word(kind, str(self._subject.address), self._token, self._other, **values)

    def _to_group(self, number: int) -> None:
        at = time.monotonic()
        try:
            self._send(self._word("beat", number=number), str(self._subject.address))
        except OSError as failed:
            self._why = failed.strerror or str(failed)
        else:
            self._sent_at[number] = at

    def _to_peer(self, word: Word) -> None:
        with contextlib.suppress(OSError):  # it is repeated, or an echo less
            self._send(word, str(self._address))

    def _send(self, word: Word, host: str) -> None:
        assert self._socket is not None  # noqa: S101  # open() made it
        place: Any = (host, self._port)
        self._socket.sendto(write(word), place)
