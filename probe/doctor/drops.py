"""Sockets of the group that are not read: a Tomcat whose membership thread died is deaf and looks healthy."""

import asyncio
from pathlib import Path
from typing import Final

import msgspec

from probe.doctor.finding import Judgement, error, ok, warning
from probe.doctor.sockets import Owner, Socket, owners, read_sockets
from probe.doctor.subject import Subject

LOOKED_AT: Final = "rx_queue and drops in /proc/net/udp*, twice"
LEAST: Final = 1.0
"""seconds at least between the two looks."""


class Backlog(msgspec.Struct, frozen=True):
    """One socket at two moments: bytes waiting and datagrams dropped, before and after."""

    owner: Owner
    waiting: tuple[int, int]
    drops: tuple[int, int]


async def read_backlogs(subject: Subject, root: Path = Path("/")) -> list[Backlog]:
    """Look twice, four heartbeats apart. Raises OSError."""
    before = {one.inode: one for one in _of(subject, root)}
    await asyncio.sleep(max(LEAST, 4 * subject.group.frequency) if before else 0)
    after = {one.inode: one for one in _of(subject, root)}
    named = owners(list(after.values()), root)
    return [
        Backlog(named[inode], (before[inode].waiting, one.waiting), (before[inode].drops, one.drops))
        for inode, one in after.items()
        if inode in before
    ]


def _of(subject: Subject, root: Path) -> list[Socket]:
    return [one for one in read_sockets("udp", root) if one.port == subject.group.port]


def judge(backlogs: list[Backlog], subject: Subject) -> Judgement:
    """Say whether everybody who waits for the group reads what comes."""
    port = subject.group.port
    for one in backlogs:
        grew = one.drops[1] > one.drops[0]
        unread = 0 < one.waiting[0] <= one.waiting[1]
        if unread and (grew or one.waiting[1] > one.waiting[0]):
            dropped = f" and drops what comes ({one.drops[1]} so far)" if grew else ""
            return error(
                f"{one.owner} does not read UDP {port}: {one.waiting[1]} bytes wait{dropped}",
                "it is deaf: it keeps the members it had, and never learns of a new or a lost one",
                "take a thread dump; restart that Tomcat (its membership receiver thread is dead or stuck)",
            )
    lost = [one for one in backlogs if one.drops[1]]
    if lost:
        found = ", ".join(f"{one.owner}: {one.drops[1]}" for one in lost)
        return warning(
            f"datagrams dropped since the socket was opened: {found}",
            "it was paused or flooded for longer than its buffer lasts; it reads again",
            "look at its pauses (garbage collection), and at net.core.rmem_default",
        )
    if not backlogs:
        return ok(f"nobody here waits on UDP {port}")
    return ok(f"{', '.join(sorted({str(one.owner) for one in backlogs}))}: all is read, nothing was dropped")
