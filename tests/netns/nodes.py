"""What befalls the nodes: stopped, killed, frozen, exhausted, deaf, under another clock."""

import socket
import struct
import time
from typing import Final

from netns.ground import DROP_TIME, GROUP_PORT, NODES, SEGMENT, STABLE, Ground
from netns.scenario import (
    AGAIN,
    AGREED,
    ALARMS,
    STATES,
    TOLD,
    WHOLE,
    Said,
    Scenario,
    everywhere,
    nothing,
)
from support.speaker import Speaker

from protocols.frame import Frame, Option, encode_frame
from protocols.heartbeat import Heartbeat, Member, encode

THREADS: Final = 6
COMMAND_LENGTH: Final = slice(39, 43)
"""Where a heartbeat of IPv4 says how long its command is."""
LETHAL: Final = struct.pack(">i", 2**31 - 1)
"""A length that makes ``MemberImpl`` ask for an array that no JVM gives: an Error, which nobody catches."""
HOUR: Final = 3600


# -- stopped and started


def _fast_restart(ground: Ground) -> None:
    ready = ground.ready(2)
    ready.be_ready()
    ground.kill(2)
    ground.start(2, ready)


def _resume(ground: Ground) -> None:
    time.sleep(STABLE)
    ground.resume(1)


def _start_late(ground: Ground) -> None:
    time.sleep(STABLE)
    ground.start(2)


def _roll(ground: Ground) -> None:
    for node in NODES:
        ground.stop(node)
        ground.start(node)


# -- a receiver without threads


def _exhaust(ground: Ground) -> None:
    host = ground.host(2)
    sender = Heartbeat(Member(socket.inet_aton(host.address), 4999, bytes(range(16))), 1)
    hold = encode_frame(Frame(sender, b"hold", Option.BYTE_MESSAGE, 0, bytes(range(16, 32))))
    for _ in range(THREADS):
        with host.inside():
            connection = socket.create_connection((host.address, 4000), 1)
        ground.keep(connection)
        connection.sendall(hold)
    for _ in range(THREADS):
        ground.nodes[2].hears("holding")


def _release(ground: Ground) -> None:
    ground.nodes[2].order("release")
    ground.let_go()


# -- a membership receiver thread that is dead


def _deafen_tomcat(ground: Ground) -> None:
    """Send node 3 alone what kills the thread that hears: its socket takes unicast too."""
    victim = ground.host(3)
    heartbeat = encode(Heartbeat(Member(socket.inet_aton(victim.address), 4000, bytes(range(16))), 1))
    lethal = heartbeat[: COMMAND_LENGTH.start] + LETHAL + heartbeat[COMMAND_LENGTH.stop :]
    with ground.host(SEGMENT).inside(), Speaker("eth0") as speaker:
        speaker.say(lethal, victim.address, GROUP_PORT)
    give_up = time.monotonic() + 5
    while "OutOfMemoryError" not in ground.nodes[3].log.read_text(encoding="utf-8"):
        assert time.monotonic() < give_up, "the membership receiver outlives it"
        time.sleep(0.1)


def _restart_beside_the_deaf(ground: Ground) -> None:
    ground.stop(2)
    time.sleep(2 * DROP_TIME)
    ground.start(2)


def _deaf_one_never_notices(ground: Ground) -> str:
    time.sleep(2 * DROP_TIME)
    assert "2" in ground.belief(1).split(", ")
    assert "2" not in ground.belief(3).split(", ")
    return "node 3 never learns of the new node 2, which knows it"


def _restart(ground: Ground, node: int) -> None:
    ground.stop(node)
    ground.start(node)


# -- a clock of its own


def _give_clock(ground: Ground) -> None:
    ground.stop(2)
    ground.start(2, ground.ready(2, **ground.clock()))
    ground.wait_for_whole()


SCENARIOS: Final = (
    Scenario("whole", nothing, everywhere(WHOLE), AGREED, never=ALARMS),
    Scenario(
        "clean stop of node 3",
        lambda ground: ground.stop(3),
        everywhere(Said("degraded", {3: "left"}, "with a goodbye")),
        Said("degraded", words="is left"),
        within=1.0,
        agreed=1.0 + TOLD,
        undo=lambda ground: ground.start(3),
    ),
    Scenario(
        "kill -9 of node 2",
        lambda ground: ground.kill(2),
        everywhere(Said("degraded", {1: "alive", 2: "lost"}, "is lost")),
        Said("degraded", words="is lost"),
        then=Scenario(
            "the same, started again after ten seconds",
            _start_late,
            everywhere(WHOLE),
            AGREED,
            agreed=AGAIN,
        ),
        undo=nothing,
    ),
    Scenario(
        "node 2 killed and back within dropTime (ghost)",
        _fast_restart,
        everywhere(WHOLE),
        AGREED,
        agreed=AGAIN,
        events=("ghost-suspected",),
        undo=lambda ground: ground.forget_ghosts(2),
    ),
    Scenario(
        "node 1 stopped (SIGSTOP) past dropTime",
        lambda ground: ground.pause(1),
        everywhere(Said("degraded", {1: "frozen"}, "is frozen")),
        Said("degraded", words="is frozen"),
        then=Scenario(
            "the same, running again after ten seconds",
            _resume,
            everywhere(WHOLE),
            AGREED,
            agreed=AGAIN,
        ),
        undo=nothing,
    ),
    Scenario(
        "receiver of node 2 without a free thread",
        _exhaust,
        everywhere(Said("degraded", {2: "half"}, "nobody can replicate to it")),
        Said("degraded", words="is half"),
        undo=_release,
    ),
    Scenario(
        "node 3 deaf: its membership receiver thread dead, its heartbeats going out",
        _deafen_tomcat,
        everywhere(WHOLE),
        AGREED,
        then=Scenario(
            "the same, node 2 stopped and started again",
            _restart_beside_the_deaf,
            everywhere(WHOLE),
            AGREED,
            agreed=AGAIN,
            shows=_deaf_one_never_notices,
        ),
        undo=lambda ground: _restart(ground, 3),
    ),
    Scenario(
        "clock of node 2 an hour ahead at once",
        lambda ground: ground.set_clock(HOUR),
        everywhere(WHOLE),
        AGREED,
        events=("clock-stepped",),
        never=STATES,
        before=_give_clock,
        needs="faketime",
        then=Scenario(
            "the same, two hours back",
            lambda ground: ground.set_clock(-HOUR),
            everywhere(WHOLE),
            AGREED,
            events=("clock-stepped",),
        ),
        undo=lambda ground: _restart(ground, 2),
    ),
    Scenario(
        "rolling restart of all three",
        _roll,
        everywhere(WHOLE),
        AGREED,
        within=5.0,
        agreed=AGAIN,
        never=ALARMS,
    ),
)
