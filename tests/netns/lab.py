"""Runs the proving ground and prints its table: ``make lab``; words choose scenarios, --readme also writes."""

import argparse
import re
import signal
import sys
import tempfile
from pathlib import Path
from typing import Final

from netns.catalogue import SCENARIOS
from netns.ground import Ground
from netns.healthy import watch
from netns.scenario import Outcome, run
from netns.table import in_full, in_short

ROOT: Final = Path(__file__).parent.parent.parent
README: Final = ROOT / "README.md"
TABLE: Final = Path(__file__).with_name("table.md")
HEALTHY: Final = Path(__file__).with_name("healthy.md")
RESTART_EVERY: Final = 100.0
"""seconds between two restarts of a healthy cluster's nodes: each is restarted every five minutes."""
_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}


def main() -> None:
    """Run the chosen ones one after the other on one ground; the first that goes wrong ends it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("words", nargs="*", help="run the scenarios whose names hold one of these")
    parser.add_argument(
        "--readme", action="store_true", help="write what came out into the README and beside this"
    )
    parser.add_argument(
        "--healthy", type=_duration, metavar="30m", help="instead: load and restarts, that long"
    )
    given = parser.parse_args()
    for ending in (signal.SIGINT, signal.SIGTERM):  # in the background the first is ignored
        signal.signal(ending, signal.default_int_handler)
    with tempfile.TemporaryDirectory() as folder, Ground(Path(folder)) as ground:
        if given.healthy:
            report = watch(ground, Path(folder) / "prometheus", given.healthy, RESTART_EVERY)
            print("\n".join(report.lines()))
            if given.readme:
                HEALTHY.write_text("\n".join([HEALTHY_HEAD, *report.lines(), ""]), encoding="utf-8")
            sys.exit(1 if report.false_alarms() else 0)
        outcomes = _run(ground, given.words)
    print("\n".join(in_full(outcomes)))
    if given.readme:
        _write(outcomes)


def _duration(text: str) -> float:
    found = re.fullmatch(r"(\d+)([smh])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text} is no duration such as 30m")
    return float(found[1]) * _UNITS[found[2]]


def _run(ground: Ground, words: list[str]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for scenario in SCENARIOS:
        if not words or any(word in scenario.name for word in words):
            print(f"{scenario.name} …", file=sys.stderr)
            outcomes += run(scenario, ground)
    return outcomes


def _write(outcomes: list[Outcome]) -> None:
    begin, end = "<!-- lab table -->", "<!-- /lab table -->"
    before, rest = README.read_text(encoding="utf-8").split(begin)
    table = "\n".join(in_short(outcomes))
    README.write_text(f"{before}{begin}\n{table}\n{end}{rest.split(end)[1]}", encoding="utf-8")
    TABLE.write_text("\n".join([HEAD, *in_full(outcomes), ""]), encoding="utf-8")


HEAD: Final = """\
# What befell real Tomcats, and what every probe said

Written by `make lab ARGS=--readme`. Seconds count from the moment it was done (the cut, the kill) until it
was said for good; the last heartbeat may have gone half a second before. dropTime is 3 s, t_stable 10 s,
receivers are asked once a second. Hosts 1 to 3 carry the Tomcats, the segment's probe has a host of its own.
"Together" is the joint verdict, in the words of one probe and with the time of the slowest.
"""
HEALTHY_HEAD: Final = """\
# A healthy cluster, and what was said of it

Written by `make lab ARGS="--healthy 30m --readme"`: three Tomcats under load, restarted in turn, four probes
that read each other, a Prometheus with the rules as delivered. What they may tell is a table in `healthy.py`.
"""


if __name__ == "__main__":
    main()
