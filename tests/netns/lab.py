"""Runs the proving ground and prints its table: ``make lab``; words choose scenarios, --readme also writes."""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Final

from netns.ground import Ground
from netns.scenarios import SCENARIOS, Outcome, rows, run

README: Final = Path(__file__).parent.parent.parent / "README.md"
BEGIN, END = "<!-- lab table -->", "<!-- /lab table -->"


def main() -> None:
    """Run the chosen ones one after the other on one ground; the first that goes wrong ends it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs="*", help="run the scenarios whose names hold one of these")
    parser.add_argument("--readme", action="store_true", help="put the table into the README")
    given = parser.parse_args()
    chosen = [one for one in SCENARIOS if not given.words or any(word in one.name for word in given.words)]
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as folder, Ground(Path(folder)) as ground:
        for scenario in chosen:
            print(f"{scenario.name} …", file=sys.stderr)
            outcomes.append(run(scenario, ground))
    table = "\n".join(rows(outcomes))
    print(table)
    if given.readme:
        readme = README.read_text(encoding="utf-8")
        before, rest = readme.split(BEGIN)
        README.write_text(f"{before}{BEGIN}\n{table}\n{END}{rest.split(END)[1]}", encoding="utf-8")


if __name__ == "__main__":
    main()
