"""The outcomes as tables: in full, and in short for the README."""

from collections.abc import Iterable
from typing import Final

from netns.ground import NODES, VANTAGES, place
from netns.scenario import Outcome

SAME: Final = "the same, "
"""How the name of what follows begins."""
_Said = dict[int, tuple[str, float]]


def in_full(outcomes: Iterable[Outcome]) -> list[str]:
    """Return every sentence of every vantage, alone and together, and what each Tomcat logged and believes."""
    lines = [
        "| what happened | seen from | what is said | after | Tomcats believe in | Tomcats log | also |",
        "|---|---|---|---|---|---|---|",
    ]
    for outcome in outcomes:
        ends = [_by_node(outcome.beliefs), _by_node(outcome.logs), outcome.shown]
        what = outcome.name
        rows = [
            (f"{', '.join(map(place, seen))}, at first", words, took)
            for seen, words, took in _grouped(outcome.soon)
        ]
        rows += [(", ".join(map(place, seen)), words, took) for seen, words, took in _grouped(outcome.alone)]
        rows += [(_jointly(seen), words, took) for seen, words, took in _by_state(outcome.together)]
        for seen_from, words, took in rows:
            lines.append(f"| {' | '.join([what, seen_from, words, f'{took:.1f} s', *ends])} |")
            what, ends = "", ["", "", ""]
    return lines


def in_short(outcomes: Iterable[Outcome]) -> list[str]:
    """Return a line for each outcome and what followed it: states and seconds."""
    lines = [
        "| what happened → and then | each probe alone | all together | the Tomcats believe in | and log |",
        "|---|---|---|---|---|",
    ]
    rows: list[list[list[str]]] = []
    for outcome in outcomes:
        cells = _cells(outcome)
        if outcome.name.startswith(SAME):
            for so_far, cell in zip(rows[-1], cells, strict=True):
                so_far.append(cell)
        else:
            rows.append([[cell] for cell in cells])
    return lines + [f"| {' | '.join(map(_followed, row))} |" for row in rows]


def _cells(outcome: Outcome) -> list[str]:
    first = f"at first {_states(outcome.soon)}, then " if outcome.soon else ""
    shown = f". {outcome.shown[0].upper()}{outcome.shown[1:]}" if outcome.shown else ""
    return [
        outcome.name.removeprefix(SAME),
        first + _states(outcome.alone),
        _states(outcome.together),
        _by_node(outcome.beliefs),
        _by_node(outcome.logs) + shown,
    ]


def _followed(cells: list[str]) -> str:
    return cells[0] if len(set(cells)) == 1 else " → ".join(cells)


def _by_node(facts: dict[int, str]) -> str:
    if not facts:
        return "–"
    if facts == _EACH_OTHER:
        return "each other"
    if len(facts) > 1 and len(set(facts.values())) == 1:
        return f"all: {next(iter(facts.values()))}"
    return "; ".join(f"{node}: {fact}" for node, fact in sorted(facts.items()))


_EACH_OTHER = {node: ", ".join(str(other) for other in NODES if other != node) for node in NODES}


def _jointly(vantages: list[int]) -> str:
    return "together" if len(vantages) == len(VANTAGES) else f"together, at {', '.join(map(place, vantages))}"


def _grouped(said: _Said) -> list[tuple[list[int], str, float]]:
    found: dict[str, tuple[list[int], float]] = {}
    for vantage, (sentence, took) in sorted(said.items()):
        seen, longest = found.get(sentence, ([], 0.0))
        found[sentence] = ([*seen, vantage], max(longest, took))
    return [(seen, sentence, took) for sentence, (seen, took) in found.items()]


def _by_state(said: _Said) -> list[tuple[list[int], str, float]]:
    """Return one sentence for each state: the same, but that each probe names itself first."""
    states = {vantage: (sentence.partition(":")[0], took) for vantage, (sentence, took) in said.items()}
    return [(seen, said[seen[0]][0], took) for seen, _, took in _grouped(states)]


def _states(said: _Said) -> str:
    states = {vantage: (f"`{sentence.partition(':')[0]}`", took) for vantage, (sentence, took) in said.items()}
    groups = sorted(_grouped(states), key=lambda group: len(group[0]))
    return "; ".join(
        f"{state} {took:.1f} s" + ("" if len(seen) == len(VANTAGES) else f" ({', '.join(map(place, seen))})")
        for seen, state, took in groups
    )
