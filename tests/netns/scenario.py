"""What can befall a cluster, what every vantage is to say of it and how soon; how that is tried."""

import re
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
from netns.ground import DROP_TIME, NODES, STABLE, VANTAGES, Ground, View, place

INTERVAL: Final = 1.0
SLACK: Final = 0.25
TOLD: Final = 2.0
FRESH: Final = 4.0
AT_DROP: Final = DROP_TIME + SLACK + INTERVAL
"""seconds within which a silence is told, with what the receiver says: lost, mute, frozen."""
AT_STABLE: Final = STABLE + 1.0
"""seconds within which one vantage tells a latent split."""
SPLIT: Final = STABLE + TOLD
"""seconds within which all tell a split."""
SETTLED: Final = STABLE + FRESH + TOLD
"""seconds within which all tell what views of different moments could feign: it must outlast their age."""
AGAIN: Final = STABLE + 2 * TOLD
"""seconds within which all find the cluster whole again."""
DEAF: Final = 3 * DROP_TIME + 1.0
STATES: Final = frozenset({"split", "latent-split", "asymmetric", "deaf", "down", "merging"})
"""What somebody is called for; whatever of it is not expected must not be said."""


class Said(msgspec.Struct, frozen=True):
    """What a vantage is to say: the state (any, if empty), the state of some nodes, words of the sentence."""

    state: str = ""
    nodes: dict[int, str] = {}
    words: str = ""

    def holds(self, view: View, verdict: dict[str, Any], sentence: str, names: dict[int, str]) -> bool:
        """Whether a view says so; of its own verdict or the joint one, the sentence in the nodes' names."""
        states = {member["member"]: member["state"] for member in view["members"]}
        nodes = all(states.get(names[node]) == state for node, state in self.nodes.items())
        return nodes and self.state in ("", verdict["state"]) and self.words in sentence


Where = dict[int, Said]

WHOLE: Final = Said("whole", dict.fromkeys(NODES, "alive"), "3 of 3 members alive")
AGREED: Final = Said("whole", words="3 of 3 members alive")
ALARMS: Final = STATES | {
    *("lost", "receiver-frozen", "ghost-suspected", "address-clash", "address-mismatch"),
    *("harmful-datagram", "stranger"),
}
"""What nothing healthy may bring about."""


def everywhere(said: Said) -> Where:
    """Expect the same of every vantage."""
    return dict.fromkeys(VANTAGES, said)


def nothing(_: Ground) -> None:
    """Do nothing."""


def heal(ground: Ground) -> None:
    """Take the faults of the network back."""
    ground.heal()


class Scenario(msgspec.Struct, frozen=True):
    """``before`` prepares it, ``act`` does it. Seconds count from its end.

    ``soon`` is said by each vantage within ``AT_DROP`` at some time, ``says`` within ``within`` and from
    then on, ``together`` likewise within ``agreed`` (one of them for all, or each its own). Each of
    ``events`` is told by every vantage in ``says``, none of ``never`` by any; nor any state that calls for
    somebody and is not expected. ``shows`` asserts what else is to be seen, and says it. ``then`` follows
    before ``undo`` repairs it all. ``needs`` is a marker of what the machine must have.
    """

    name: str
    act: Callable[[Ground], None]
    says: Where
    together: Said | Where
    within: float = AT_DROP
    agreed: float = AT_DROP + TOLD
    soon: Where = {}
    before: Callable[[Ground], None] = nothing
    events: tuple[str, ...] = ()
    never: frozenset[str] = frozenset()
    shows: Callable[[Ground], str] | None = None
    then: "Scenario | None" = None
    undo: Callable[[Ground], None] = heal
    needs: str = ""

    @property
    def jointly(self) -> Where:
        """What each vantage is to say of all."""
        return everywhere(self.together) if isinstance(self.together, Said) else self.together


class Outcome(msgspec.Struct, frozen=True):
    """How it went: per vantage, soon, alone and together, the sentence, and after how many seconds it stood.

    ``beliefs`` are whom each Tomcat holds for a member, ``logs`` what it logged meanwhile, ``shown`` what
    else was seen.
    """

    name: str
    soon: dict[int, tuple[str, float]]
    alone: dict[int, tuple[str, float]]
    together: dict[int, tuple[str, float]]
    beliefs: dict[int, str]
    logs: dict[int, str]
    shown: str


def run(scenario: Scenario, ground: Ground) -> list[Outcome]:
    """Let it happen, wait for every vantage's word, repair it; AssertionError where one says otherwise."""
    began = time.time()
    outcomes = []
    never = set[str]()
    part: Scenario | None = scenario
    while part is not None:
        outcomes.append(_try(part, ground))
        never |= part.never
        part = part.then
    scenario.undo(ground)
    ground.wait_for_whole()
    _nobody_told(never, ground, began)
    return outcomes


def _try(scenario: Scenario, ground: Ground) -> Outcome:
    scenario.before(ground)
    began = time.time()
    ground.logged()
    scenario.act(ground)
    found = _hear(scenario, ground)
    for vantage in scenario.says:
        for event in scenario.events:
            ground.probes[vantage].tells(event, began, scenario.within)
    shown = scenario.shows(ground) if scenario.shows else ""
    expected = {said.state for said in (*scenario.says.values(), *scenario.jointly.values())}
    _nobody_told(STATES - expected, ground, began)
    running = {node: java for node, java in ground.nodes.items() if java.is_running()}
    return Outcome(
        scenario.name,
        found["soon"],
        found["alone"],
        found["together"],
        {node: ground.belief(node) for node in running},
        {node: _gist(lines) for node, lines in ground.logged().items() if node in running},
        "; ".join(filter(None, (", ".join(f"event `{event}`" for event in scenario.events), shown))),
    )


def _nobody_told(kinds: set[str] | frozenset[str], ground: Ground, since: float) -> None:
    for probe in ground.probes.values():
        told = [event for event in probe.events() if event["at"] >= since and event["event"] in kinds]
        assert not told, told


class _Wait(msgspec.Struct):
    """One thing that is to be said; ``once`` if it may pass again."""

    what: str
    vantage: int
    said: Said
    within: float
    at: float | None = None
    sentence: str = ""


def _hear(scenario: Scenario, ground: Ground) -> dict[str, dict[int, tuple[str, float]]]:
    acted = time.monotonic()
    names = {node: ground.name(node) for node in NODES}
    waits = [_Wait("soon", vantage, said, AT_DROP) for vantage, said in scenario.soon.items()]
    waits += [_Wait("alone", vantage, said, scenario.within) for vantage, said in scenario.says.items()]
    waits += [_Wait("together", vantage, said, scenario.agreed) for vantage, said in scenario.jointly.items()]
    while True:
        views = {vantage: ground.view(vantage) for vantage in VANTAGES}
        now = time.monotonic() - acted
        for wait in waits:
            _look(wait, views[wait.vantage], names, now)
        late = [wait for wait in waits if wait.at is None and now > wait.within + SLACK]
        assert not late, [
            (one.what, one.vantage, one.said, views[one.vantage]["verdict"], views[one.vantage]["together"])
            for one in late
        ]
        if all(wait.at is not None for wait in waits):
            break
        time.sleep(0.03)
    slow = [wait for wait in waits if wait.at is not None and wait.at > wait.within]
    assert not slow, slow
    found: dict[str, dict[int, tuple[str, float]]] = {"soon": {}, "alone": {}, "together": {}}
    for wait in waits:
        found[wait.what][wait.vantage] = (wait.sentence, wait.at or 0.0)
    return found


def _look(wait: _Wait, view: View, names: dict[int, str], now: float) -> None:
    verdict = view["together" if wait.what == "together" else "verdict"]
    sentence = _named(verdict["sentence"], wait.vantage, names)
    if wait.said.holds(view, verdict, sentence, names):
        if wait.at is None or wait.what != "soon":
            wait.sentence = sentence
        wait.at = now if wait.at is None else wait.at
    elif wait.what != "soon":
        wait.at = None


def _named(sentence: str, vantage: int, names: dict[int, str]) -> str:
    """Put names for addresses, and leave out times, which differ from run to run."""
    for node, name in names.items():
        sentence = sentence.replace(name, f"node {node}")
    sentence = sentence.partition(" since ")[0] + ": " + sentence.partition(": ")[2]
    sentence = re.sub(r" ?\((last )?\d\d:\d\d:\d\d\)| since \d\d:\d\d:\d\d| \(\d+ ms\)", "", sentence)
    sentence = sentence.replace("; the views are changing", "")
    sentence = sentence.replace("is not heard here", f"is not heard at {place(vantage)}")
    return re.sub(r"\bhere\b(?! but)(?=[ ,;:)]|$)", place(vantage), sentence)


_GIST: Final = {
    "Replication member added": "added",
    "Received member disappeared": "gone",
    "Verification complete. Member still alive": "verified, still alive",
    "OutOfMemoryError": "OutOfMemoryError",
}


def _gist(lines: list[str]) -> str:
    counts = {word: sum(text in line for line in lines) for text, word in _GIST.items()}
    counts["WARNING"] = sum(" WARNING " in line for line in lines)
    counts["SEVERE"] = sum(" SEVERE " in line for line in lines)
    words = [f"{word} ×{count}" if count > 1 else word for word, count in counts.items() if count]
    return ", ".join(words) or "nothing"
