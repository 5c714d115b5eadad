"""Asks other probes what they hear of this host's members."""

from typing import Final
from urllib.parse import urlsplit

from probe.config import Peer, Settings, probe_url
from probe.doctor.finding import Judgement, error, ok, unknown
from probe.doctor.hearing import is_heard, is_own
from probe.doctor.subject import Subject
from probe.fields import shown
from probe.model.sight import GroupSight
from probe.model.views import GroupView
from probe.sensors.peers import Reader
from probe.sensors.site import open_session

LOOKED_AT: Final = "/api/v1/view of that probe"
PORT: Final = 10564


def peer(text: str, settings: Settings) -> Peer:
    """Return the peer of the settings by that name or address, or one at HOST, HOST:PORT or a URL.

    Raises ValueError.
    """
    for known in settings.peers:
        if text in {known.name, known.url, urlsplit(known.url).hostname}:
            return known
    if any(map(str.isspace, text)):
        raise ValueError(f"{shown(text)} is no address of a probe: write 10.0.0.2 or http://10.0.0.2:10564")
    if "//" in text:
        url = probe_url(text)
    else:
        bare = text.count(":") > 1 and not text.startswith("[")
        host = f"[{text}]" if bare else text
        with_port = urlsplit(f"//{host}").port is not None
        url = probe_url(f"http://{host}" if with_port else f"http://{host}:{PORT}")
    return Peer(url, urlsplit(url).netloc)


def host(asked: Peer) -> str:
    """Return a peer's host."""
    return urlsplit(asked.url).hostname or ""


async def read(asked: Peer) -> Reader:
    """Read its view once; what went wrong is in ``why``. Raises ``ConfigError`` for its files."""
    reader = Reader(asked)
    async with open_session() as session:
        await reader.read(session)
    return reader


def sight(reader: Reader, subject: Subject) -> GroupSight | None:
    """Return what it sees of the group; None if it does not watch it."""
    groups = reader.sight.groups if reader.sight is not None else []
    wanted = subject.group.address, subject.group.port
    return next((one for one in groups if (one.address, one.port) == wanted), None)


def judge(reader: Reader, subject: Subject, here: GroupView | None) -> Judgement:
    """Say what that probe hears of this host's members, and who is heard at one of the two places only."""
    name, group = reader.peer.name, subject.group
    if reader.sight is None:
        return unknown(f"{name}: {reader.why}", "start a probe there, or see its listen address and firewall")
    theirs = sight(reader, subject)
    if theirs is None:
        return unknown(f"{name} does not watch {group.address}:{group.port}", "give it the same settings")
    if not theirs.fit:
        return unknown(f"{name} is not fit to judge ({', '.join(theirs.unfit)})", "look at that host")
    return _compare(name, theirs, subject, here)


def _compare(name: str, theirs: GroupSight, subject: Subject, here: GroupView | None) -> Judgement:
    """Say who is heard at one of the two places and not at the other."""
    up = {member.member for member in theirs.members if member.up}
    ours = {one.member for one in here.members if one.up} if here is not None else set()
    own = {one.member for one in here.members if is_heard(one) and is_own(one, subject)} if here else set()
    own |= {one.member for one in theirs.members if one.source in subject.own}
    if lost := ", ".join(sorted(own - up)):
        return error(
            f"{name} does not hear {lost} of this host",
            "multicast from here does not come as far as there",
            "the steps above for this host's way out; run the doctor there; --self-test measures it",
        )
    if lost := ", ".join(sorted(up - ours - own)):
        return error(
            f"{name} hears {lost}, and this host does not",
            "multicast does not come as far as here: this host's way in, or its switch port",
            "the steps above; --self-test measures it",
        )
    if lost := ", ".join(sorted(ours - up)):
        return error(
            f"{lost} heard here and not by {name}",
            "multicast does not come as far as there",
            "run the doctor there",
        )
    if not own:
        return ok(f"{name} hears the same {len(up)} member(s); none of them is on this host")
    return ok(f"{name} hears {', '.join(sorted(own))} of this host, and everybody who is heard here")
