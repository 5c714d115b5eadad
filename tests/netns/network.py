"""What befalls the network: multicast or TCP lost one way, both ways, everything cut; a switch that snoops."""

import time
from typing import Final

from netns.ground import DROP_TIME, NODES, SEGMENT, Ground
from netns.scenario import (
    AGREED,
    AT_STABLE,
    FRESH,
    SETTLED,
    SPLIT,
    WHOLE,
    Said,
    Scenario,
    Where,
    everywhere,
    heal,
    nothing,
)

LEFT: Final = (1, 2, SEGMENT)
"""One side; node 3 is the other."""
MEMBERSHIP: Final = 6.0
"""seconds for which the bridge sends a group to a port that asked for it; 260 where nobody changes it."""
QUERIER: Final = (
    "mcast_snooping 1 mcast_querier 1 mcast_query_interval 200 mcast_query_response_interval 100 "
    f"mcast_startup_query_interval 100 mcast_membership_interval {MEMBERSHIP * 100:.0f}"
)


# -- one way


def _restart_unheard(ground: Ground) -> None:
    ground.deafen(2, 1)
    ground.until(lambda view: view["verdict"]["state"] == "latent-split", 2)
    ground.kill(1)
    time.sleep(DROP_TIME + 1)
    ground.start(1)


def _cut_one_way(ground: Ground) -> None:
    ground.deafen(2, 1)
    ground.block_tcp((1,), (2,))


def _never_let_in(ground: Ground) -> str:
    time.sleep(DROP_TIME)
    assert "1" in ground.belief(3).split(", ")
    assert "1" not in ground.belief(2).split(", ")
    return "node 2 does not let the new node 1 in, node 3 does"


def _let_in_again(ground: Ground) -> None:
    ground.heal()
    ground.forget_ghosts(1)


# -- both ways


def _cut_multicast(ground: Ground) -> None:
    for side in LEFT:
        ground.deafen(side, 3)
    ground.deafen(3, 1, 2)


def _part(ground: Ground) -> None:
    ground.log_in("ann", 1)
    _until_known(ground, "ann", 2, 3)
    ground.part(LEFT, (3,))


def _heal_with_sessions(ground: Ground) -> None:
    ground.log_in("ben", 1)
    ground.log_in("eve", 3)
    ground.heal()


def _sessions_do_not_cross(ground: Ground) -> str:
    others = {node: {ground.name(other) for other in NODES} - {ground.name(node)} for node in NODES}
    give_up = time.monotonic() + 10
    while any(ground.believes(node) != others[node] for node in NODES):
        assert time.monotonic() < give_up, "the Tomcats do not find each other again"
        time.sleep(0.1)
    time.sleep(1)
    assert not ground.knows(3, "ben")
    assert not ground.knows(1, "eve")
    assert not ground.knows(2, "eve")
    assert ground.knows(2, "ben")
    assert ground.knows(3, "eve")
    assert ground.knows(3, "ann")
    return (
        "a session made on node 1 meanwhile is known to nodes 1 and 2 and never to 3, "
        "one made on node 3 to 3 alone, one made before to all"
    )


def _until_known(ground: Ground, name: str, *nodes: int) -> None:
    give_up = time.monotonic() + 5
    for node in nodes:
        while not ground.knows(node, name):
            assert time.monotonic() < give_up, f"node {node} has no session of {name}"
            time.sleep(0.1)


# -- a switch that snoops


def _snoop(ground: Ground) -> None:
    ground.lab.bridge("mcast_snooping 1")
    time.sleep(2 * MEMBERSHIP)


def _query(ground: Ground) -> None:
    ground.lab.bridge(QUERIER)
    time.sleep(2 * MEMBERSHIP)


def _block_igmp(ground: Ground) -> None:
    ground.drop({3: ["ip protocol igmp"]}, "output")


def _flood(ground: Ground) -> None:
    ground.lab.bridge("mcast_snooping 0 mcast_querier 0")
    ground.heal()


# -- a wrong route


def _send_elsewhere(ground: Ground) -> None:
    ground.kill(3)
    time.sleep(DROP_TIME + 1)
    ground.host(3).ip("route replace 224.0.0.0/4 dev eth1")
    ground.start(3)


def _send_here(ground: Ground) -> None:
    ground.kill(3)
    ground.host(3).ip("route replace 224.0.0.0/4 dev eth0")
    time.sleep(DROP_TIME + 1)
    ground.start(3)


def _unheard(*nodes: int) -> Said:
    return Said("latent-split", dict.fromkeys(nodes, "mute"), "Do not restart any node")


def _mute(says: Where) -> Where:
    return {vantage: Said(nodes=said.nodes) for vantage, said in says.items() if said.state == "latent-split"}


_ONE_WAY: Final[Where] = {**everywhere(WHOLE), 2: _unheard(1)}
_BOTH_WAYS: Final[Where] = {**everywhere(_unheard(3)), 3: _unheard(1, 2)}
_APART: Final[Where] = {
    **dict.fromkeys(LEFT, Said("degraded", {1: "alive", 2: "alive", 3: "lost"}, "2 of 3")),
    3: Said("degraded", {1: "lost", 2: "lost", 3: "alive"}, "1 of 3"),
}

SCENARIOS: Final = (
    Scenario(
        "host 2 does not hear node 1 (multicast lost one way)",
        lambda ground: ground.deafen(2, 1),
        _ONE_WAY,
        Said("latent-split", words="node 1 is not heard at host-2"),
        within=AT_STABLE,
        agreed=SETTLED,
        soon=_mute(_ONE_WAY),
    ),
    Scenario(
        "host 2 neither hears nor reaches node 1, node 1 hears node 2",
        _cut_one_way,
        {
            1: Said("degraded", {2: "half", 3: "alive"}, "nobody can replicate to it"),
            2: Said("degraded", {1: "lost", 3: "alive"}, "is lost"),
            **dict.fromkeys((3, SEGMENT), WHOLE),
        },
        Said("asymmetric", words="multicast is lost in this direction only"),
        agreed=SETTLED,
    ),
    Scenario(
        "host 2 does not hear node 1, which is killed and started again",
        _restart_unheard,
        {**everywhere(WHOLE), 2: _unheard(1)},
        Said("latent-split", words="Do not restart any node"),
        within=AT_STABLE,
        agreed=SETTLED,
        shows=_never_let_in,
        undo=_let_in_again,
    ),
    Scenario(
        "multicast cut between nodes 1, 2 and node 3",
        _cut_multicast,
        _BOTH_WAYS,
        Said("latent-split", words="multicast is broken, TCP is not"),
        within=AT_STABLE,
        agreed=SETTLED,
        soon=_mute(_BOTH_WAYS),
    ),
    Scenario(
        "TCP cut between nodes 1, 2 and node 3",
        lambda ground: ground.block_tcp((1, 2), (3,)),
        {
            **dict.fromkeys((1, 2), Said("degraded", {3: "half"}, "nobody can replicate to it")),
            3: Said("degraded", {1: "half", 2: "half"}),
            SEGMENT: WHOLE,
        },
        Said("degraded", words="is heard but its receiver fails at host-"),
    ),
    Scenario(
        "everything cut between nodes 1, 2 and node 3",
        _part,
        _APART,
        Said("split", words="both sides live"),
        agreed=SPLIT,
        then=Scenario(
            "the same, healed after sessions were made on both sides",
            _heal_with_sessions,
            everywhere(Said("merging", words="their sessions diverged")),
            Said("merging", words="do not cross"),
            within=3.0,
            agreed=3.0,
            shows=_sessions_do_not_cross,
        ),
        undo=nothing,
    ),
    Scenario(
        "everything cut between all three",
        lambda ground: ground.part((1, SEGMENT), (2,), (3,)),
        {
            **dict.fromkeys((1, SEGMENT), Said("degraded", {1: "alive", 2: "lost", 3: "lost"}, "1 of 3")),
            2: Said("degraded", {1: "lost", 2: "alive", 3: "lost"}, "1 of 3"),
            3: Said("degraded", {1: "lost", 2: "lost", 3: "alive"}, "1 of 3"),
        },
        Said("split", words="all 3 sides live"),
        agreed=SPLIT,
        then=Scenario(
            "the same, healed",
            heal,
            everywhere(Said("merging", words="their sessions diverged")),
            Said("merging", words="do not cross"),
            within=3.0,
            agreed=3.0,
        ),
        undo=nothing,
    ),
    Scenario(
        "everything cut between nodes 1, 2 and node 3, the probes' own network too",
        lambda ground: ground.part_probes(LEFT, (3,)),
        _APART,
        {
            **dict.fromkeys(LEFT, Said("degraded", words="node 3 is lost")),
            3: Said("unknown", words="1 of 4 vantages can judge, two are needed"),
        },
        agreed=FRESH + AT_STABLE,
    ),
    Scenario(
        "a switch that snoops IGMP, no querier",
        _snoop,
        everywhere(WHOLE),
        AGREED,
        undo=nothing,
    ),
    Scenario(
        "a switch that snoops IGMP, and queries",
        _query,
        everywhere(WHOLE),
        AGREED,
        then=Scenario(
            "the same, IGMP of host 3 blocked by its own firewall",
            _block_igmp,
            {**everywhere(WHOLE), 3: _unheard(1, 2)},
            Said("deaf", words="host-3 hears nobody but its own host"),
            within=MEMBERSHIP + 2 + AT_STABLE,
            agreed=MEMBERSHIP + 2 + SETTLED,
        ),
        undo=_flood,
    ),
    Scenario(
        "node 3 sends and listens on another interface (route)",
        _send_elsewhere,
        everywhere(_unheard(3)),
        Said("latent-split", words="heard nowhere but answers everywhere"),
        within=AT_STABLE,
        agreed=SETTLED,
        undo=_send_here,
    ),
)
