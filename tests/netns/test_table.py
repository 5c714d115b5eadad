"""How the proving ground's outcomes are written down, and that the README shows them all."""

from pathlib import Path

import msgspec
from netns.catalogue import SCENARIOS
from netns.scenario import Outcome
from netns.table import SAME, in_full, in_short

README = Path(__file__).parents[2] / "README.md"

OUTCOME = Outcome(
    name="host 2 does not hear node 1",
    soon={2: ("degraded: 2 of 3 members alive", 3.04)},
    alone={
        1: ("whole: all", 0.0),
        2: ("latent-split: node 1", 9.81),
        3: ("whole: all", 0.1),
        4: ("whole: all", 0.0),
    },
    together={n: (f"latent-split: {n}", 14.0 + 0.3 * n) for n in (1, 2, 3, 4)},
    beliefs={1: "2, 3", 2: "1, 3", 3: "1, 2"},
    logs={1: "nothing", 2: "nothing", 3: "nothing"},
    shown="nobody is let in",
)


def test_a_line_in_short() -> None:
    """States and the slowest one's seconds; who is meant where not all say the same."""
    assert in_short([OUTCOME])[2] == (
        "| host 2 does not hear node 1 | "
        "at first `degraded` 3.0 s (host-2), then `latent-split` 9.8 s (host-2); "
        "`whole` 0.1 s (host-1, host-3, segment) | `latent-split` 15.2 s | each other | "
        "all: nothing. Nobody is let in |"
    )


def test_lines_in_full() -> None:
    """A line for each sentence; what all say together is one sentence, whoever is named first in it."""
    rows = [line.split(" | ")[1:4] for line in in_full([OUTCOME])[2:]]
    assert rows == [
        ["host-2, at first", "degraded: 2 of 3 members alive", "3.0 s"],
        ["host-1, host-3, segment", "whole: all", "0.1 s"],
        ["host-2", "latent-split: node 1", "9.8 s"],
        ["together", "latent-split: 1", "15.2 s"],
    ]


def test_what_follows_stands_in_the_same_line() -> None:
    """Cell by cell, once where nothing differs."""
    after = msgspec.structs.replace(OUTCOME, name="the same, healed", soon={}, beliefs={}, shown="")
    assert in_short([OUTCOME, after])[2] == (
        "| host 2 does not hear node 1 → healed | "
        "at first `degraded` 3.0 s (host-2), then `latent-split` 9.8 s (host-2); "
        "`whole` 0.1 s (host-1, host-3, segment) → `latent-split` 9.8 s (host-2); "
        "`whole` 0.1 s (host-1, host-3, segment) | "
        "`latent-split` 15.2 s | each other → – | all: nothing. Nobody is let in → all: nothing |"
    )


def test_the_readme_shows_every_scenario() -> None:
    """In the order in which they are run, with what follows each."""
    names = []
    for scenario in SCENARIOS:
        chain = [scenario.name]
        part = scenario.then
        while part is not None:
            assert part.name.startswith(SAME)
            chain.append(part.name.removeprefix(SAME))
            part = part.then
        names.append(" → ".join(chain))
    text = README.read_text(encoding="utf-8")
    table = text.split("<!-- lab table -->\n")[1].split("<!-- /lab table -->")[0]
    assert [line.split(" | ")[0].removeprefix("| ") for line in table.splitlines()[2:]] == names
