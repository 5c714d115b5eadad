"""Who announces what is not so: addresses that nobody reaches, other clusters, forgeries."""

import functools
import socket
import time
from typing import Any, Final

from netns.ground import DROP_TIME, GROUP_PORT, MULTICAST, NODES, SEGMENT, VANTAGES, Ground
from netns.scenario import AGAIN, AGREED, AT_DROP, WHOLE, Said, Scenario, everywhere
from support.speaker import Speaker

from protocols.heartbeat import GOODBYE, Heartbeat, Member, encode

LOOPBACK: Final = "127.0.1.1"
NOBODY: Final = "10.77.0.99"


# -- address=auto where the host's name is 127.0.1.1


def _announce_loopback(ground: Ground) -> None:
    ground.kill(3)
    time.sleep(DROP_TIME + 1)  # its true entry is to be gone everywhere
    ground.invite(ground.ready(3, LOOPBACK))


def _announce_truly(ground: Ground) -> None:
    ground.send_off()
    ground.start(3)


def _kill_all(ground: Ground) -> None:
    for node in NODES:
        ground.kill(node)


def _all_announce_loopback(ground: Ground) -> None:
    for node in NODES:
        ground.invite(ground.ready(node, LOOPBACK))
        time.sleep(1)


def _all_announce_truly(ground: Ground) -> None:
    ground.send_off()
    time.sleep(DROP_TIME + 1)
    for node in NODES:
        ground.start(node)


def _logs_look_perfect(ground: Ground) -> str:
    give_up = time.monotonic() + 10
    while (seen := [_counted(guest.log.read_text(encoding="utf-8")) for guest in ground.guests]) != _PERFECT:
        assert time.monotonic() < give_up, seen
        time.sleep(0.1)
    return "every Tomcat's log looks perfect: two members added, none gone, no WARNING"


def _counted(log: str) -> tuple[int, ...]:
    return tuple(log.count(word) for word in ("Replication member added", "disappeared", "WARNING", "SEVERE"))


_PERFECT: Final = [(len(NODES) - 1, 0, 0, 0)] * len(NODES)


# -- another cluster


def _invite_cluster(domain: str, ground: Ground) -> None:
    for port in (4000, 4001):
        ground.invite_peer(SEGMENT, port, domain)


def _told_by(domain: str, ground: Ground) -> str:
    guests = {f"{ground.host(SEGMENT).address}:{port}" for port in (4000, 4001)}
    for vantage in VANTAGES:
        ground.until(
            lambda view: (
                guests == {one["member"] for one in view["members"] if _is_up_in(domain, one)} & guests
            ),
            vantage,
            patience=AT_DROP,
        )
    for node in NODES:
        assert guests <= ground.believes(node)
    told = f"the domain {domain} tells them, too" if domain else "who is expected tells them"
    return f"{told}; every Tomcat takes them in"


def _is_up_in(domain: str, member: dict[str, Any]) -> bool:
    return bool(member["up"] and member["domain"] == domain.encode().hex())


def _send_cluster_off(ground: Ground) -> None:
    guests = {f"{ground.host(SEGMENT).address}:{port}" for port in (4000, 4001)}
    ground.send_off()
    give_up = time.monotonic() + 20
    while any(guests & ground.believes(node) for node in NODES):
        assert time.monotonic() < give_up, "a Tomcat keeps a guest that is gone"
        time.sleep(0.1)


# -- forgeries


def _forge_goodbye(ground: Ground) -> None:
    member = next(one for one in ground.view(SEGMENT)["members"] if one["member"] == ground.name(3))
    unique_id = bytes.fromhex(member["unique_id"])
    forged = Member(socket.inet_aton(ground.host(3).address), 4000, unique_id, command=GOODBYE)
    _say(ground, Heartbeat(forged, member["alive_ms"]))


def _forge_member(ground: Ground) -> None:
    nobody = Member(socket.inet_aton(NOBODY), 4000, bytes(range(16)))
    for beat in range(4):
        _say(ground, Heartbeat(nobody, 1000 + 500 * beat))
        time.sleep(0.5)


def _say(ground: Ground, heartbeat: Heartbeat) -> None:
    with ground.host(SEGMENT).inside(), Speaker("eth0") as speaker:
        speaker.say(encode(heartbeat), MULTICAST, GROUP_PORT)


SCENARIOS: Final = (
    Scenario(
        "node 3 announces 127.0.1.1 (address=auto)",
        _announce_loopback,
        everywhere(Said("degraded", {1: "alive", 2: "alive"}, "2 of 3")),
        Said("degraded", words="2 of 3"),
        events=("address-mismatch",),
        undo=_announce_truly,
    ),
    Scenario(
        "another cluster of two in the same group",
        functools.partial(_invite_cluster, ""),
        everywhere(WHOLE),
        AGREED,
        events=("stranger",),
        shows=functools.partial(_told_by, ""),
        then=Scenario(
            "the same, with a domain",
            functools.partial(_invite_cluster, "test"),
            everywhere(WHOLE),
            AGREED,
            before=_send_cluster_off,
            events=("stranger",),
            shows=functools.partial(_told_by, "test"),
        ),
        undo=_send_cluster_off,
    ),
    Scenario(
        "a goodbye of node 3 forged from another host",
        _forge_goodbye,
        everywhere(WHOLE),
        AGREED,
        within=1.5,
        agreed=AGAIN,
        events=("beats-after-goodbye",),
    ),
    Scenario(
        "a member that is not there forged from another host",
        _forge_member,
        everywhere(WHOLE),
        AGREED,
        events=("stranger", "address-mismatch"),
    ),
    Scenario(
        "kill -9 of all three",
        _kill_all,
        everywhere(Said("down", dict.fromkeys(NODES, "lost"), "nobody is heard and nobody answers")),
        Said("down", words="from anywhere"),
        then=Scenario(
            "the same, all three started again and announcing 127.0.1.1 (address=auto)",
            _all_announce_loopback,
            everywhere(Said("degraded", words="0 of 3")),
            Said("degraded", words="0 of 3"),
            events=("address-mismatch", "address-clash"),
            shows=_logs_look_perfect,
        ),
        undo=_all_announce_truly,
    ),
)
