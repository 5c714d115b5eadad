"""The speed table as a picture: each row's measure against what is wanted, on a scale of ratios."""

import math
from html import escape
from pathlib import Path
from typing import Final

from benchmarks.row import Row

PATH: Final = "deploy/pictures/speed.svg"
ALT: Final = "Each measure against what was wanted"
_FILE: Final = Path(__file__).parent.parent.parent / PATH
_WIDTH, _LEFT, _ROW, _TOP = 960, 430, 30, 56
_LARGEST: Final = 100.0
"""Ratios beyond are drawn as this."""


def draw(rows: list[Row]) -> None:
    """Write the rows that have a scale: those whose wanted value is not 0."""
    shown = [(label, row) for label, row in _labelled(rows) if row.least and row.value]
    height = _TOP + _ROW * len(shown) + 20
    scale = (_WIDTH - _LEFT - 120) / math.log10(_LARGEST)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="20" y="28" font-size="16" fill="#1c2430">{ALT}</text>',
        f'<text x="{_LEFT}" y="46" font-size="11" fill="#5b6676">wanted</text>',
        f'<line x1="{_LEFT}" y1="{_TOP - 4}" x2="{_LEFT}" y2="{height - 12}" stroke="#5b6676"/>',
    ]
    for number, (label, row) in enumerate(shown):
        better = row.least / row.value if row.at_most else row.value / row.least
        length = math.log10(min(max(better, 1 / _LARGEST), _LARGEST)) * scale
        y = _TOP + number * _ROW
        colour = "#1a7f4b" if row.reached else "#b3261e"
        parts += [
            _text(_LEFT - 12, y, label, "end"),
            _bar(min(0, length), y, max(abs(length), 2), colour),
            _text(_LEFT + max(length, 2) + 8, y, f"{better:.2g} times as good"),
        ]
    _FILE.write_text("\n".join([*parts, "</svg>", ""]), encoding="utf-8")


def _labelled(rows: list[Row]) -> list[tuple[str, Row]]:
    """Name each row by what it measures, those below another by their own words."""
    labels = [row.what or f"… {row.against}" for row in rows]
    return [
        (label if len(label) <= 62 else f"{label[:61]}…", row) for label, row in zip(labels, rows, strict=True)
    ]


def _text(x: float, y: float, words: str, anchor: str = "start") -> str:
    place = f'x="{x:.0f}" y="{y + 15}" text-anchor="{anchor}"'
    return f'<text {place} font-size="12" fill="#1c2430">{escape(words)}</text>'


def _bar(x: float, y: float, width: float, colour: str) -> str:
    return f'<rect x="{_LEFT + x:.0f}" y="{y + 2}" width="{width:.0f}" height="17" fill="{colour}"/>'
