"""Measures everything and prints the table: ``make bench``; with --readme it also goes into the README."""

import argparse
import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from benchmarks import capture, decode, flood, footprint, membership, picture, receive, scrape
from benchmarks.row import Row

README: Final = Path(__file__).parent.parent.parent / "README.md"
BEGIN, END = "<!-- speed table -->", "<!-- /speed table -->"

MEASURES: Final[dict[str, Callable[[], list[Row]]]] = {
    "decode": lambda: [decode.measure()],
    "membership": membership.measure,
    "receive": lambda: [receive.measure()],
    "flood": flood.measure,
    "scrape": lambda: [*scrape.measure(1_000), *scrape.measure(10_000)],
    "capture": capture.measure,
}


def lines(rows: list[Row]) -> Iterator[str]:
    """Yield the table as Markdown."""
    yield "| what | against | wanted | measured | |"
    yield "|---|---|---|---|---|"
    for row in rows:
        wanted = f"{'at most' if row.at_most else 'at least'} {_number(row.least)}{row.unit}"
        measured = f"{_number(row.value)}{row.unit}" + ("" if row.reached else " **missed**")
        yield f"| {row.what} | {row.against} | {wanted} | {measured} | {row.detail} |"


def _number(value: float) -> str:
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def footprint_line() -> str:
    """Return what the daemon takes, as a sentence."""
    taken = footprint.measure()
    return (
        f"Resident memory {taken.resident_3:.0f} MiB with 3 members, {taken.resident_10000:.0f} MiB with "
        f"10,000; {taken.start:.2f} s from start to joined and serving; "
        f"{taken.cpu_share * 100:.1f} % of a core at "
        f"{footprint.RATE:,} heartbeats a second."
    )


def publish(text: str) -> None:
    """Put the table between its marks in the README."""
    readme = README.read_text(encoding="utf-8")
    before, rest = readme.split(BEGIN)
    README.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")


def main() -> int:
    """Return 1 if a row misses what is wanted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("rows", nargs="*", choices=[*MEASURES, "footprint", []], help="default: all")
    parser.add_argument("--readme", action="store_true", help="write table and picture into the README too")
    given = parser.parse_args()
    rows: list[Row] = []
    for name in given.rows or MEASURES:
        if name in MEASURES:
            print(f"measuring {name} …", file=sys.stderr)
            rows += MEASURES[name]()
    table = "\n".join(lines(rows))
    print(table)
    if not given.rows or "footprint" in given.rows:
        sentence = footprint_line()
        print(f"\n{sentence}")
        if given.readme:
            where = f"Python {platform.python_version()} on two cores of a shared {platform.machine()} machine."
            picture.draw(rows)
            publish(f"{table}\n\n{sentence} {where}\n\n![{picture.ALT}]({picture.PATH})")
    missed = [row for row in rows if not row.reached]
    for row in missed:
        print(f"missed: {row.what} {row.against}: {row.value:.3g}{row.unit}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
