"""The trade-off for moves as a picture: false moves against moves found, an estimator a line."""

import math
from collections.abc import Sequence

from tests.bench.accuracy.compare import Comparison, Point

_LEFT, _TOP, _WIDTH, _HEIGHT = 60, 40, 560, 320
_FALSE_MIN, _FALSE_MAX = 0.01, 1000.0
_COLOURS = ("#0b6", "#c33", "#36c", "#888", "#000", "#b80")


def tradeoff_svg(found: Comparison) -> str:
    """Draw a scenario's trade-off: false moves per item-hour to the right, logarithmic; share of moves found up."""
    names = list(dict.fromkeys(point.estimator for point in found.points))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 170}" height="{_TOP + _HEIGHT + 50}">',
        "<style>text { font: 12px sans-serif }</style>",
        f'<text x="{_LEFT}" y="20" font-size="14">{found.label}: moves found against false moves per item-hour</text>',
        f'<rect x="{_LEFT}" y="{_TOP}" width="{_WIDTH}" height="{_HEIGHT}" fill="none" stroke="#aaa"/>',
        *_axes(),
    ]
    for number, name in enumerate(names):
        colour = _COLOURS[number % len(_COLOURS)]
        own = sorted((p for p in found.points if p.estimator == name), key=lambda p: p.false_per_item_hour)
        y = _TOP + 14 + 18 * number
        parts.append(f'<text x="{_LEFT + _WIDTH + 12}" y="{y}" fill="{colour}">{name}</text>')
        line = " ".join(f"{_x(p):.1f},{_y(p.found_share):.1f}" for p in _frontier(own))
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}"/>')
        parts += [
            f'<circle cx="{_x(p):.1f}" cy="{_y(p.found_share):.1f}" r="3" fill="{colour}"><title>{name}, {p.setting}'
            f"</title></circle>"
            for p in own
        ]
    return "\n".join([*parts, "</svg>", ""])


def _frontier(points: Sequence[Point]) -> list[Point]:
    """Return the settings that no other beats at fewer false moves."""
    best: list[Point] = []
    for point in points:
        if not best or point.found_share > best[-1].found_share:
            best.append(point)
    return best


def _axes() -> list[str]:
    below = _TOP + _HEIGHT
    parts = []
    for power in range(-2, 4):
        x = _x_of(10.0**power)
        parts.append(f'<line x1="{x:.1f}" y1="{_TOP}" x2="{x:.1f}" y2="{below}" stroke="#eee"/>')
        parts.append(f'<text x="{x:.1f}" y="{below + 18}" text-anchor="middle">{10.0**power:g}</text>')
    for tenth in range(0, 11, 2):
        y = _y(tenth / 10)
        parts.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{_LEFT + _WIDTH}" y2="{y:.1f}" stroke="#eee"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10 * tenth} %</text>')
    return parts


def _x(point: Point) -> float:
    return _x_of(point.false_per_item_hour)


def _x_of(rate: float) -> float:
    span = math.log10(_FALSE_MAX / _FALSE_MIN)
    return _LEFT + _WIDTH * math.log10(min(max(rate, _FALSE_MIN), _FALSE_MAX) / _FALSE_MIN) / span


def _y(share: float) -> float:
    return _TOP + _HEIGHT * (1.0 - share)
