"""``simulate``: what it refuses to do to a network, and what it does on loopback or into a file."""

import json
import signal
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.command import invoke, refused, run, started, stop

from protocols.heartbeat import GOODBYE, Heartbeat, parse

GROUP, PORT = "239.255.77.93", 45793
PLACE = ("--group", GROUP, "--port", str(PORT))


def elsewhere() -> str | None:
    """Return an interface of this host that is not loopback."""
    return next((name for _, name in socket.if_nameindex() if name != "lo"), None)


@contextmanager
def listening() -> Iterator[socket.socket]:
    """Hear the group on loopback."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ears:
        ears.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        ears.bind((GROUP, PORT))
        loopback = struct.pack("=4s4si", socket.inet_aton(GROUP), bytes(4), socket.if_nametoindex("lo"))
        ears.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, loopback)
        ears.settimeout(10)
        yield ears


def heard(ears: socket.socket) -> list[Heartbeat]:
    """Return what has come."""
    ears.setblocking(False)  # noqa: FBT003
    found = []
    while True:
        try:
            found.append(parse(ears.recv(65_536)))
        except BlockingIOError:
            return found


# -- refused


def test_tomcats_own_group_is_refused() -> None:
    """Tomcat's default group is refused with what would happen and how to insist."""
    assert refused("simulate", "--group", "228.0.0.4") == (
        "group 228.0.0.4 is Tomcat's own: every Tomcat that hears it would connect to the invented members; "
        "take another group, or say that you mean it with --allow-tomcat-group. "
        "See tribes-probe simulate --help."
    )


@pytest.mark.skipif(elsewhere() is None, reason="this host has no interface but loopback")
def test_any_other_interface_is_refused() -> None:
    """An interface that others can hear is refused with what would happen and how to insist."""
    name = elsewhere()
    assert refused("simulate", *PLACE, "--interface", str(name)) == (
        f"interface {name} is not loopback: other hosts would hear the invented members; "
        "take lo, or say that you mean it with --allow-any-interface. See tribes-probe simulate --help."
    )


@pytest.mark.skipif(elsewhere() is None, reason="this host has no interface but loopback")
def test_one_permission_is_not_the_other() -> None:
    """Leave to use Tomcat's group is no leave to use any interface, and the other way round."""
    told = refused("simulate", "--group", "228.0.0.4", "--allow-tomcat-group", "--interface", str(elsewhere()))
    assert "is not loopback" in told
    told = refused("simulate", "--group", "228.0.0.4", "--allow-any-interface", "--interface", str(elsewhere()))
    assert "is Tomcat's own" in told


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--group", "10.0.0.1"], "group 10.0.0.1: not a multicast address; heartbeats go to groups only."),
        (["--group", "cluster"], "group cluster: not an IP address."),
        ([*PLACE, "--interface", "none0"], "interface none0: No such device."),
        ([*PLACE, "--host", "tomcat1"], "--host: 'tomcat1' does not appear to be an IPv4 or IPv6 address."),
        ([*PLACE, "--fault", "crash:4@1s"], "a --fault names a member beyond the 3 there are."),
        (
            [*PLACE, "--fault", "explode:1@1s"],
            "Invalid value for '--fault': 'explode:1@1s' is no fault; write ACT:MEMBER@WHEN[+HOW_LONG], ",
        ),
        ([*PLACE, "--loss", "2"], "Invalid value for '--loss': 2.0 is not in the range 0<=x<=1."),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_wrong_usage_is_one_line(arguments: list[str], line: str) -> None:
    """What cannot be simulated is told in one line, exit status 2."""
    assert refused("simulate", *arguments).startswith(line)


# -- done


def test_members_are_heard_on_loopback() -> None:
    """The members beat with their frequency and say goodbye at the end; nothing can leave the host."""
    with listening() as ears:
        done = run("simulate", *PLACE, "--members", "2", "--frequency", "50ms", "--duration", "400ms")
        found = heard(ears)
    assert done.returncode == 0, done.stderr
    assert f"sending to {GROUP}:{PORT} on lo: nothing leaves this host" in done.stderr
    assert {each.member.name for each in found} == {"127.0.0.1:4000", "127.0.0.1:4001"}
    assert [each.member.command for each in found[-2:]] == [GOODBYE, GOODBYE]
    assert len(found) > 8
    assert f"{len(found)} datagrams sent" in done.stderr


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGTERM])
def test_whoever_ends_it_hears_goodbyes(with_signal: signal.Signals) -> None:
    """Without a duration it goes on until it is told to end, and then every member says goodbye."""
    with listening() as ears, started("simulate", *PLACE, "--frequency", "50ms") as process:
        first = parse(ears.recv(65_536))
        assert stop(process, with_signal) == 0
        found = [first, *heard(ears)]
    assert sum(each.member.command == GOODBYE for each in found) == 3


def test_faults_are_told_as_they_happen() -> None:
    """A fault is announced with its time and member when it happens."""
    done = run("simulate", *PLACE, "--duration", "300ms", "--fault", "crash:1@100ms")
    assert done.returncode == 0
    first = [line for line in done.stdout.splitlines() if "member 1" in line]
    assert first == [
        "   0.000 s  member 1, 127.0.0.1:4000: start",
        "   0.100 s  member 1, 127.0.0.1:4000: crash",
    ]


def test_a_story_can_be_written(tmp_path: Path) -> None:
    """With --write nothing is sent; the capture tells the same story when it is replayed."""
    story = tmp_path / "ghost.pcap"
    flags = ("--duration", "40s", "--fault", "crash:3@20s", "--domain", "shop", "--write", str(story))
    assert invoke("simulate", *flags).exit_code == 0
    *events, verdict = map(json.loads, invoke("replay", "--json", story).stdout.splitlines())
    crashed = [event["event"] for event in events if event["member"] == "127.0.0.1:4002"]
    assert crashed == ["joined", "late", "silent"]
    assert verdict["verdict"] == "degraded"
    first = json.loads(invoke("decode", "--json", story).stdout.splitlines()[0])
    assert bytes.fromhex(first["domain"]) == b"shop"


def test_the_same_seed_is_the_same_story(tmp_path: Path) -> None:
    """Two runs with one seed write the same datagrams, another seed writes others."""
    told = []
    for seed in ("7", "7", "8"):
        file = tmp_path / "story.pcap"
        invoke("simulate", "--duration", "5s", "--loss", "0.2", "--seed", seed, "--write", file)
        records = map(json.loads, invoke("decode", "--json", file).stdout.splitlines())
        told.append([(record["unique_id"], record["alive_ms"]) for record in records])
    assert told[0] == told[1] != told[2]
