"""Ports: who has the group's UDP port and the receiver's TCP port on this host."""

import errno
import ipaddress
import socket
from pathlib import Path
from typing import Final

import msgspec

from probe.doctor.finding import Judgement, error, ok, warning
from probe.doctor.sockets import LISTEN, Owner, Socket, owners, read_sockets
from probe.doctor.subject import Subject

GROUP_LOOKED_AT: Final = "/proc/net/udp*, /proc/*/fd, a bind with SO_REUSEADDR"
RECEIVER_LOOKED_AT: Final = "/proc/net/tcp*, /proc/*/fd"
JAVA: Final = "java"


class Held(msgspec.Struct, frozen=True):
    """A socket and who holds it."""

    socket: Socket
    owner: Owner

    @property
    def is_java(self) -> bool:
        """Whether it may be a Tomcat's, as far as this user sees."""
        return self.owner.name == JAVA or not self.owner.pid

    def __str__(self) -> str:
        host = f"[{self.socket.address}]" if ":" in self.socket.address else self.socket.address
        return f"{host}:{self.socket.port} by {self.owner}"


def read_group_port(subject: Subject, root: Path = Path("/")) -> tuple[list[Held], bool]:
    """Return who has the group's port, and whether they share it. Raises OSError."""
    found = [one for one in read_sockets("udp", root) if one.port == subject.group.port]
    return _held(found, root), _is_shared(subject)


def _is_shared(subject: Subject) -> bool:
    """Bind as a Tomcat does; nothing is joined, nothing is sent."""
    family = socket.AF_INET6 if subject.version == 6 else socket.AF_INET  # noqa: PLR2004
    with socket.socket(family, socket.SOCK_DGRAM) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            tried.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            tried.bind(("", subject.group.port))
        except OSError as failed:
            if failed.errno != errno.EADDRINUSE:
                raise
            return False
    return True


def _held(found: list[Socket], root: Path) -> list[Held]:
    named = owners(found, root)
    return [Held(one, named[one.inode]) for one in found]


def judge_group_port(held: list[Held], shared: bool, subject: Subject) -> Judgement:  # noqa: FBT001  # a fact
    """Say whether a Tomcat may have the group's port, or has it."""
    port = subject.group.port
    who = "; ".join(dict.fromkeys(map(str, held)))
    if not shared:
        return error(
            f"UDP {port} is taken and not shared: {who or 'by whom is not told'}",
            'a Tomcat cannot start its membership: "Address already in use"',
            "stop that program, or give the group another port",
        )
    if not held:
        return ok(f"nobody has UDP {port} here: no Tomcat of this group runs on this host")
    return ok(f"UDP {who}; others may share it")


def read_receivers(subject: Subject, root: Path = Path("/")) -> list[Held]:
    """Return who listens on the ports the receiver may have. Raises OSError."""
    low, high = subject.receiver_ports
    found = [one for one in read_sockets("tcp", root) if one.state == LISTEN and low <= one.port <= high]
    return _held(found, root)


def judge_receivers(held: list[Held], subject: Subject, announced: str) -> Judgement:
    """Say whether a receiver listens where the others will ask for it."""
    low, high = subject.receiver_ports
    if not held:
        return ok(f"nobody listens on TCP {low}-{high}: no receiver runs here, and none is in its way")
    found = "; ".join(map(str, held))
    own = [one for one in held if one.is_java]
    if not own:
        taken = {one.socket.port for one in held}
        if len(taken) > high - low:
            return error(
                f"{found}: every port of the receiver is taken",
                'Tomcat does not start: "Unable to bind server socket to:[…] throwing error."',
                "free one, or give the receiver another port",
            )
        return warning(
            f"{found}, which is no Java",
            f"a Tomcat's receiver moves on to the next port, {low + 1} and so on: firewalls must let it in",
            "give the receiver a port of its own",
        )
    loopback = [one for one in own if ipaddress.ip_address(one.socket.address).is_loopback]
    if loopback:
        reachable = announced if announced and not ipaddress.ip_address(announced).is_loopback else ""
        return error(
            found,
            "that receiver listens on loopback: nobody else can replicate to it",
            f'write <Receiver address="{reachable or "…"}" …/> with the address that others reach',
        )
    if announced and not any(_serves(one.socket.address, announced) for one in own):
        return warning(
            found,
            f"and {announced} is announced by a Tomcat that is started now",
            'compare <Receiver address="…"/> with what the running one took',
        )
    return ok(found)


def _serves(listening: str, announced: str) -> bool:
    return listening == announced or ipaddress.ip_address(listening).is_unspecified
