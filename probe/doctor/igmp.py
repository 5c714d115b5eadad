"""IGMP and MLD: which version is spoken, and on which interfaces this host has joined the group."""

import contextlib
import ipaddress
from pathlib import Path
from typing import Final

import msgspec

from probe.doctor import files
from probe.doctor.finding import Judgement, error, ok, warning
from probe.doctor.subject import Subject

LOOKED_AT: Final = "/proc/net/igmp, igmp6, force_igmp_version, igmp_max_memberships"
FEW: Final = 20
"""Memberships a socket may have: the kernel's default."""


class Memberships(msgspec.Struct, frozen=True):
    """``joined``: interface to how many sockets; ``versions`` as seen by the kernel, ``forced`` if not 0."""

    joined: dict[str, int] = {}
    versions: dict[str, str] = {}
    forced: dict[str, int] = {}
    most: int | None = None


def read_memberships(subject: Subject, root: Path = Path("/")) -> Memberships:
    """Read them. Raises OSError."""
    if subject.version == 6:  # noqa: PLR2004
        return Memberships(joined=dict(_joined6(files.lines(root / "proc/net/igmp6"), subject)))
    conf = root / "proc/sys/net/ipv4/conf"
    names = ("all", *(one.name for one in subject.interfaces))
    forced = {name: files.number(conf / name / "force_igmp_version") or 0 for name in names}
    joined, versions = _read(files.lines(root / "proc/net/igmp"), subject)
    return Memberships(
        joined,
        versions,
        {name: version for name, version in forced.items() if version},
        files.number(root / "proc/sys/net/ipv4/igmp_max_memberships"),
    )


def _read(lines: list[str], subject: Subject) -> tuple[dict[str, int], dict[str, str]]:
    """Read the table: a line for an interface, indented lines for its groups."""
    wanted = int.from_bytes(subject.address.packed, "little")
    joined: dict[str, int] = {}
    versions: dict[str, str] = {}
    name = ""
    for line in lines[1:]:
        words = line.replace(":", " : ", 1).split() if not line[:1].isspace() else line.split()
        with contextlib.suppress(ValueError, IndexError):
            if not line[:1].isspace():
                name, versions[words[1]] = words[1], words[-1]
            elif int(words[0], 16) == wanted:
                joined[name] = int(words[1])
    return joined, versions


def _joined6(lines: list[str], subject: Subject) -> list[tuple[str, int]]:
    found = []
    for line in lines:
        with contextlib.suppress(ValueError, IndexError):
            _, name, group, users, *_ = line.split()
            if ipaddress.ip_address(bytes.fromhex(group)) == subject.address:
                found.append((name, int(users)))
    return found


def judge(memberships: Memberships, subject: Subject, way: str, held: bool) -> Judgement:  # noqa: FBT001  # a fact
    """Say whether who has the group's port has joined, and where. ``held``: somebody has it."""
    group, joined = subject.group.address, memberships.joined
    spoken = _spoken(memberships)
    if memberships.most is not None and memberships.most < 1:
        return error(
            "net.ipv4.igmp_max_memberships is 0",
            "no socket of this host may join any group",
            f"sysctl net.ipv4.igmp_max_memberships={FEW}",
        )
    if held and not joined:
        return error(
            f"UDP {subject.group.port} is waited on, and no interface has joined {group}",
            "who waits there hears nobody: the join went with an interface that was made anew, or never was",
            "restart that Tomcat",
        )
    where = ", ".join(f"{name} by {users}" for name, users in joined.items())
    if joined and way and way not in joined:
        return warning(
            f"{group} is joined on {where}, and heartbeats leave by {way}",
            "it listens on one network and speaks on another",
            "bind= in <Membership>, or a route for 224.0.0.0/4",
        )
    if memberships.forced:
        named = ", ".join(f"{name} to version {version}" for name, version in memberships.forced.items())
        return warning(
            f"force_igmp_version: {named}{spoken}",
            "reports are sent in an older form than the switches may expect",
            "set it to 0 where no old switch needs it",
        )
    if not joined:
        return ok(f"nobody on this host has joined {group}, and nobody waits for it{spoken}")
    return ok(f"{group} is joined on {where}{spoken}")


def _spoken(memberships: Memberships) -> str:
    versions = {name: version for name, version in memberships.versions.items() if name != "lo"}
    return (
        f"; IGMP {', '.join(f'{version} on {name}' for name, version in versions.items())}" if versions else ""
    )
