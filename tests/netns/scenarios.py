"""What can befall a cluster, who is expected to say what of it, and within which time."""

import re
import signal
import socket
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
from netns.ground import DROP_TIME, NODES, SEGMENT, STABLE, VANTAGES, Ground, View
from support.speaker import Speaker

from protocols.frame import Frame, Option, encode_frame
from protocols.heartbeat import GOODBYE, Heartbeat, Member, encode

INTERVAL: Final = 1.0
SLACK: Final = 0.25
AT_DROP: Final = DROP_TIME + SLACK + INTERVAL
"""seconds within which a silence is told, with what the receiver says."""
AT_STABLE: Final = DROP_TIME + STABLE + 1.0
THREADS: Final = 6


class Said(msgspec.Struct, frozen=True):
    """What a vantage is to say: the cluster's state, the state of some nodes, words of the sentence."""

    state: str
    nodes: dict[int, str] = {}
    words: str = ""

    def holds(self, view: View, names: dict[int, str]) -> bool:
        """Whether a view says so."""
        states = {member["member"]: member["state"] for member in view["members"]}
        verdict = view["verdict"]
        nodes = all(states.get(names[node]) == state for node, state in self.nodes.items())
        return verdict["state"] == self.state and nodes and self.words in verdict["sentence"]


class Scenario(msgspec.Struct, frozen=True):
    """``act`` does it; ``says`` what each vantage is to say within ``within`` seconds; ``undo`` repairs it.

    ``event`` is told by every vantage in ``says``, none of ``never`` by any.
    """

    name: str
    act: Callable[[Ground], None]
    says: dict[int, Said]
    within: float = AT_DROP
    undo: Callable[[Ground], None] = lambda ground: ground.heal()
    event: str = ""
    never: frozenset[str] = frozenset()


class Outcome(msgspec.Struct, frozen=True):
    """One row of the table: per vantage the sentence and after how many seconds; what the Tomcats believe."""

    name: str
    sentences: dict[int, tuple[str, float]]
    beliefs: dict[int, str]


def run(scenario: Scenario, ground: Ground) -> Outcome:
    """Let it happen, wait for every vantage's word, repair it; AssertionError where one says otherwise."""
    began = time.time()
    scenario.act(ground)
    sentences = _hear(scenario, ground)
    for vantage in scenario.says if scenario.event else ():
        ground.probes[vantage].tells(scenario.event, began, scenario.within)
        sentence, took = sentences[vantage]
        sentences[vantage] = (f"{sentence} (event `{scenario.event}`)", took)
    beliefs = {node: ground.belief(node) for node, java in ground.nodes.items() if java.is_running()}
    scenario.undo(ground)
    ground.wait_for_whole()
    for probe in ground.probes.values():
        told = [event for event in probe.events() if event["at"] >= began and event["event"] in scenario.never]
        assert not told, told
    return Outcome(scenario.name, sentences, beliefs)


def _hear(scenario: Scenario, ground: Ground) -> dict[int, tuple[str, float]]:
    names = {node: ground.name(node) for node in NODES}
    acted = time.monotonic()
    sentences: dict[int, tuple[str, float]] = {}
    waiting = dict(scenario.says)
    while waiting:
        for vantage, said in list(waiting.items()):
            view = ground.view(vantage)
            if said.holds(view, names):
                sentence = view["verdict"]["sentence"]
                for node, name in names.items():
                    sentence = sentence.replace(name, f"node {node}")
                sentences[vantage] = (sentence, time.monotonic() - acted)
                del waiting[vantage]
        assert time.monotonic() < acted + scenario.within + SLACK, {
            vantage: (ground.states(vantage), ground.view(vantage)["verdict"]["sentence"])
            for vantage in waiting
        }
        time.sleep(0.02)
    return sentences


def everywhere(said: Said) -> dict[int, Said]:
    """Expect the same of every vantage."""
    return dict.fromkeys(VANTAGES, said)


def _fast_restart(ground: Ground) -> None:
    ready = ground.ready(2)
    ready.be_ready()
    ground.kill(2)
    ground.start(2, ready)


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


def _forge_goodbye(ground: Ground) -> None:
    member = next(one for one in ground.view(SEGMENT)["members"] if one["member"] == ground.name(3))
    host = ground.host(SEGMENT)
    forged = Member(
        socket.inet_aton(ground.host(3).address), 4000, bytes.fromhex(member["unique_id"]), command=GOODBYE
    )
    with host.inside(), Speaker("eth0") as speaker:
        speaker.say(encode(Heartbeat(forged, member["alive_ms"])), "228.0.0.4", 45564)


def _cut_multicast(ground: Ground) -> None:
    for side in (1, 2, SEGMENT):
        ground.deafen(side, 3)
    ground.deafen(3, 1, 2)


def _cut_tcp(ground: Ground) -> None:
    for side in (1, 2):
        ground.block_tcp(side, 3)
    ground.block_tcp(3, 1, 2)


def _part_and_heal(ground: Ground) -> None:
    ground.part((1, 2, SEGMENT), (3,))
    time.sleep(10)
    ground.heal()


def _restart_unheard(ground: Ground) -> None:
    ground.deafen(2, 1)
    ground.until(lambda view: view["verdict"]["state"] != "whole", 2)
    ground.kill(1)
    ground.start(1)


def _let_in_again(ground: Ground) -> None:
    ground.heal()
    ground.forget_ghosts(1)


def _announce_loopback(ground: Ground) -> None:
    ground.kill(3)
    time.sleep(DROP_TIME + 1)  # its true entry is to be gone everywhere
    ground.invite(ground.ready(3, "127.0.1.1"))


def _announce_truly(ground: Ground) -> None:
    ground.send_off()
    ground.start(3)


def _starve_probe(ground: Ground) -> None:
    process = ground.probes[SEGMENT].process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    time.sleep(5)
    process.send_signal(signal.SIGCONT)


def _roll(ground: Ground) -> None:
    for node in NODES:
        ground.stop(node)
        ground.start(node)


def _nothing(_: Ground) -> None:
    pass


ALARMS: Final = frozenset(
    {"lost", "latent-split", "split", "asymmetric", "deaf", "down", "merging", "receiver-frozen"}
    | {"ghost-suspected", "address-clash", "address-mismatch", "harmful-datagram", "stranger"}
)
"""What nothing healthy may bring about."""

WHOLE: Final = Said("whole", dict.fromkeys(NODES, "alive"), "3 of 3 members alive")

SCENARIOS: Final = (
    Scenario("whole", _nothing, everywhere(WHOLE)),
    Scenario(
        "clean stop of node 3",
        lambda ground: ground.stop(3),
        everywhere(Said("degraded", {3: "left"}, "with a goodbye")),
        within=1.0,
        undo=lambda ground: ground.start(3),
    ),
    Scenario(
        "kill -9 of node 2",
        lambda ground: ground.kill(2),
        everywhere(Said("degraded", {1: "alive", 2: "lost"}, "is lost")),
        undo=lambda ground: ground.start(2),
    ),
    Scenario(
        "node 2 killed and back within dropTime (ghost)",
        _fast_restart,
        everywhere(WHOLE),
        undo=lambda ground: ground.forget_ghosts(2),
        event="ghost-suspected",
    ),
    Scenario(
        "node 1 stopped (SIGSTOP) past dropTime",
        lambda ground: ground.pause(1),
        everywhere(Said("degraded", {1: "frozen"}, "is frozen")),
        undo=lambda ground: ground.resume(1),
    ),
    Scenario(
        "receiver of node 2 without a free thread",
        _exhaust,
        everywhere(Said("degraded", {2: "half"}, "nobody can replicate to it")),
        undo=_release,
    ),
    Scenario(
        "host 2 does not hear node 1 (one-way)",
        lambda ground: ground.deafen(2, 1),
        {
            1: WHOLE,
            2: Said("latent-split", {1: "mute", 3: "alive"}, "Do not restart any node"),
            3: WHOLE,
            SEGMENT: WHOLE,
        },
        within=AT_STABLE,
    ),
    Scenario(
        "multicast cut between nodes 1, 2 and node 3",
        _cut_multicast,
        {
            **dict.fromkeys(
                (1, 2, SEGMENT), Said("latent-split", {3: "mute"}, "multicast is broken, TCP is not")
            ),
            3: Said("latent-split", {1: "mute", 2: "mute"}, "multicast is broken, TCP is not"),
        },
        within=AT_STABLE,
    ),
    Scenario(
        "TCP cut between nodes 1, 2 and node 3",
        _cut_tcp,
        {
            **dict.fromkeys((1, 2), Said("degraded", {3: "half"}, "nobody can replicate to it")),
            3: Said("degraded", {1: "half", 2: "half"}),
            SEGMENT: WHOLE,
        },
    ),
    Scenario(
        "everything cut between nodes 1, 2 and node 3",
        lambda ground: ground.part((1, 2, SEGMENT), (3,)),
        {
            **dict.fromkeys((1, 2, SEGMENT), Said("degraded", {1: "alive", 2: "alive", 3: "lost"}, "2 of 3")),
            3: Said("degraded", {1: "lost", 2: "lost", 3: "alive"}, "1 of 3"),
        },
        within=DROP_TIME + INTERVAL + 0.9 + SLACK,
    ),
    Scenario(
        "everything cut between all three",
        lambda ground: ground.part((1, SEGMENT), (2,), (3,)),
        {
            **dict.fromkeys((1, SEGMENT), Said("degraded", {1: "alive", 2: "lost", 3: "lost"}, "1 of 3")),
            2: Said("degraded", {1: "lost", 2: "alive", 3: "lost"}, "1 of 3"),
            3: Said("degraded", {1: "lost", 2: "lost", 3: "alive"}, "1 of 3"),
        },
        within=DROP_TIME + INTERVAL + 0.9 + SLACK,
    ),
    Scenario(
        "the segment's probe alone hears nothing",
        lambda ground: ground.deafen(SEGMENT, *NODES),
        {
            **dict.fromkeys(NODES, WHOLE),
            SEGMENT: Said("deaf", dict.fromkeys(NODES, "mute"), "suspect this host"),
        },
        within=3 * DROP_TIME + 1.0,
    ),
    Scenario(
        "nodes 1, 2 and node 3 apart for ten seconds, healed",
        _part_and_heal,
        {vantage: Said("merging", words="their sessions diverged") for vantage in VANTAGES},
        within=3.0,
    ),
    Scenario(
        "node 1 unheard by host 2, killed and started again",
        _restart_unheard,
        {2: Said("latent-split", {1: "mute"}, "it would not be let back in"), 3: WHOLE, SEGMENT: WHOLE},
        within=AT_STABLE,
        undo=_let_in_again,
    ),
    Scenario(
        "node 3 announces 127.0.1.1 (address=auto)",
        _announce_loopback,
        everywhere(Said("degraded", {1: "alive", 2: "alive"}, "2 of 3")),
        undo=_announce_truly,
        event="address-mismatch",
    ),
    Scenario(
        "a goodbye of node 3 forged from another host",
        _forge_goodbye,
        everywhere(WHOLE),
        within=1.5,
        event="beats-after-goodbye",
    ),
    Scenario(
        "the segment's probe stopped (SIGSTOP) for 5 s",
        _starve_probe,
        {**dict.fromkeys(NODES, WHOLE), SEGMENT: Said("unknown", words="not fit to judge")},
        within=2.0,
        never=ALARMS,
    ),
    Scenario(
        "rolling restart of all three",
        _roll,
        everywhere(WHOLE),
        within=5.0,
        never=ALARMS,
    ),
)


def rows(outcomes: list[Outcome]) -> list[str]:
    """Return the table as Markdown, a row for each scenario and each different sentence."""
    lines = ["| what happened | seen by | the probe says | after | Tomcat believes |", "|---|---|---|---|---|"]
    for outcome in outcomes:
        beliefs = "; ".join(f"{node}: {names}" for node, names in sorted(outcome.beliefs.items()))
        what = outcome.name
        for vantages, sentence, took in _grouped(outcome.sentences):
            lines.append(f"| {what} | {vantages} | {sentence} | {took:.1f} s | {beliefs} |")
            what = beliefs = ""
    return lines


def _grouped(sentences: dict[int, tuple[str, float]]) -> list[tuple[str, str, float]]:
    found: dict[str, Any] = {}
    for vantage, (sentence, took) in sorted(sentences.items()):
        words = sentence.partition(" since ")[0] + ": " + sentence.partition(": ")[2]
        found.setdefault(_without_times(words), []).append((vantage, took))
    return [
        (
            ", ".join("segment" if one == SEGMENT else str(one) for one, _ in seen),
            words,
            max(t for _, t in seen),
        )
        for words, seen in found.items()
    ]


def _without_times(words: str) -> str:
    return re.sub(r" ?\((last )?\d\d:\d\d:\d\d\)", "", re.sub(r" \(\d+ ms\)", "", words))
