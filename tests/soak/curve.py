"""The samples as a CSV file, and one value's curve as an SVG picture without any library."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.soak.samples import Sample

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 760, 320, 60, 40
_FONT = 'font-family="sans-serif" font-size="12"'
_COLOURS = ("#1f5fa8", "#b5482a", "#2f7d3b", "#7a4aa0", "#6b6b6b")


def write_csv(path: Path, samples: Sequence[Sample]) -> None:
    """Write all samples, a line each."""
    names = sorted({name for each in samples for name in each.values})
    with path.open("w", newline="") as stream:
        out = csv.writer(stream)
        out.writerow(["at_s", *names])
        for each in samples:
            out.writerow([f"{each.at_s:.1f}", *(_cell(each.values, name) for name in names)])


def _cell(values: Mapping[str, float], name: str) -> str:
    return f"{values[name]:.3f}".rstrip("0").rstrip(".") if name in values else ""


def svg(samples: Sequence[Sample], suffix: str, title: str) -> str:
    """Draw every value whose name ends in a suffix over time, minutes to the right, from zero upwards."""
    names = sorted({name for each in samples for name in each.values if name.endswith(suffix)})
    ends_s = max(each.at_s for each in samples) or 1.0
    top = 1.1 * max(each.values.get(name, 0.0) for each in samples for name in names)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}" {_FONT}>',
        f'<text x="{_LEFT}" y="16" font-size="14">{title}</text>',
    ]
    for step in range(5):
        y, value = _y(top * step / 4, top), top * step / 4
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{_WIDTH - 10}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:,.0f}</text>')
    for step in range(7):
        x, minutes = _x(ends_s * step / 6, ends_s), ends_s * step / 6 / 60
        parts.append(f'<text x="{x:.1f}" y="{_HEIGHT - 18}" text-anchor="middle">{minutes:.0f} min</text>')
    for number, name in enumerate(names):
        points = " ".join(
            f"{_x(each.at_s, ends_s):.1f},{_y(each.values[name], top):.1f}" for each in samples if name in each.values
        )
        colour = _COLOURS[number % len(_COLOURS)]
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        x = _LEFT + 130 * number
        parts.append(f'<text x="{x}" y="{_HEIGHT - 2}" fill="{colour}">{name.removesuffix(suffix)}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _x(at_s: float, ends_s: float) -> float:
    return _LEFT + (_WIDTH - 20 - _LEFT) * at_s / ends_s


def _y(value: float, top: float) -> float:
    return _HEIGHT - _BOTTOM - (_HEIGHT - _BOTTOM - 28) * value / (top or 1.0)
