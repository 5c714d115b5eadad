"""The Tomcats that run here, and the one Java flag that decides how they speak multicast."""

import contextlib
from pathlib import Path
from typing import Final

import msgspec

from probe.doctor import files
from probe.doctor.finding import Judgement, error, ok, unknown, warning
from probe.doctor.sockets import processes
from probe.doctor.subject import Subject

LOOKED_AT: Final = "/proc/*/cmdline and environ: -Djava.net.preferIPv4Stack"
_FLAG: Final = "-Djava.net.preferIPv4Stack"
_TOMCAT: Final = ("-Dcatalina.base=", "org.apache.catalina.startup.")
_VARIABLES: Final = ("JDK_JAVA_OPTIONS=", "JAVA_TOOL_OPTIONS=", "_JAVA_OPTIONS=")
"""What a JVM reads beside its command line."""
LARGEST: Final = 256 * 1024


class Tomcat(msgspec.Struct, frozen=True):
    """A running Tomcat; ``only_ipv4`` None where the flag is not given, ``all_read`` if its environment was."""

    pid: int
    only_ipv4: bool | None = None
    all_read: bool = True


class Tomcats(msgspec.Struct, frozen=True):
    """All that can be seen; ``hidden`` when other users' processes are not shown."""

    running: tuple[Tomcat, ...] = ()
    hidden: bool = False


def read_tomcats(root: Path = Path("/")) -> Tomcats:
    """Find them among the processes of this network namespace. Raises OSError."""
    here = _namespace(root / "proc/self")
    running = []
    for folder in processes(root):
        with contextlib.suppress(OSError):
            words = files.read(folder / "cmdline", LARGEST).split("\0")
            if any(word.startswith(_TOMCAT) for word in words) and _namespace(folder) in {here, ""}:
                running.append(_tomcat(folder, words))
    return Tomcats(tuple(running), hidden=not (root / "proc/1").exists())


def _namespace(folder: Path) -> str:
    try:
        return str((folder / "ns/net").readlink())
    except OSError:
        return ""


def _tomcat(folder: Path, words: list[str]) -> Tomcat:
    beside: list[str] = []
    all_read = True
    try:
        for line in files.read(folder / "environ", LARGEST).split("\0"):
            if line.startswith(_VARIABLES):
                beside += line.partition("=")[2].split()
    except OSError:
        all_read = False
    flags = [word for word in (*beside, *words) if word.partition("=")[0] == _FLAG]  # the last one counts
    said = flags[-1].partition("=")[2] == "true" if flags else None
    return Tomcat(int(folder.name), said, all_read)


def judge(tomcats: Tomcats, subject: Subject) -> Judgement:
    """Say whether the flag fits the group and Membership's bind."""
    if not tomcats.running:
        if tomcats.hidden:
            return unknown("other users' processes are hidden here (hidepid)", "run it as root")
        return ok("no Tomcat runs here, as far as this user sees")
    described = ", ".join(f"pid {one.pid} {_described(one)}" for one in tomcats.running)
    if subject.version == 6:  # noqa: PLR2004
        return _judge6(described, tomcats, subject)
    unset = [one for one in tomcats.running if not one.only_ipv4]
    if any(one.only_ipv4 is None and not one.all_read for one in unset):
        return unknown(
            f"{described}; its environment may set it and only root or its user may read that",
            "run it as root",
        )
    return _judge_unset(described, subject) if unset else ok(described)


def _judge6(described: str, tomcats: Tomcats, subject: Subject) -> Judgement:
    if not any(one.only_ipv4 for one in tomcats.running):
        return ok(described)
    return error(
        described,
        f"a JVM with that flag cannot join the IPv6 group {subject.group.address}",
        f"remove {_FLAG}=true from CATALINA_OPTS",
    )


def _judge_unset(described: str, subject: Subject) -> Judgement:
    """Judge a Tomcat that speaks IPv4 multicast through an IPv6 socket (``McastServiceImpl.setupSocket``)."""
    if subject.binds:
        return error(
            described,
            'with bind= in <Membership> its heartbeats fail: "java.net.SocketException: Invalid argument"',
            f'CATALINA_OPTS="$CATALINA_OPTS {_FLAG}=true"',
        )
    if subject.group.clusters:
        return ok(described, "without bind= in <Membership> it is not needed")
    return warning(
        described,
        'if its <Membership> has bind=, its heartbeats fail: "java.net.SocketException: Invalid argument"',
        f'CATALINA_OPTS="$CATALINA_OPTS {_FLAG}=true", or give this command its server.xml',
    )


def _described(tomcat: Tomcat) -> str:
    if tomcat.only_ipv4 is None:
        return "without preferIPv4Stack"
    return f"with preferIPv4Stack={str(tomcat.only_ipv4).lower()}"
