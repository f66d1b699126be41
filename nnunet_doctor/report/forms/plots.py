"""How values lie over cases, as SVG: a row of bars for each quantity, and a diamond for each case that is marked."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from nnunet_doctor.report.forms.markup import Markup, el

WIDTH = 340
LEFT, RIGHT = 92, 12
ROW = 44
BAR = 24
BINS = 48
AXIS = 26
MOST_TICKS = 6
NAME_LETTERS = 14
MANY_DECADES = 3
VERY_WIDE = 1e6
"""No scanner's range is wider; on a plain axis such an image would hide all others."""


class Value(NamedTuple):
    """A case, what was measured of it, and whether a finding names it for that."""

    case: str
    value: float
    marked: bool


class Row(NamedTuple):
    """A quantity and its values, one for each case at most."""

    name: str
    values: Sequence[Value]


class Scale(NamedTuple):
    """Where values lie from left to right, and those that are written under the axis."""

    of: Callable[[float], float]
    ticks: Sequence[float]


def plot(rows: Sequence[Row], label: str, id: str, *, logarithmic: bool = False) -> Markup:
    """Return a picture of all rows over one axis.

    Args:
        rows: At least one, each with at least one finite value.
        label: What is shown, for those who cannot see it.
        id: Of the picture, unique in the document.
        logarithmic: Whether ratios count; then all values are above zero.
    """
    values = [item.value for row in rows for item in row.values]
    scale = _scale(min(values), max(values), logarithmic=logarithmic)
    height = ROW * len(rows) + AXIS
    parts = [el("title", label, id=f"{id}-title")]
    for tick in scale.ticks:
        x = _x(scale.of(tick))
        parts += [
            el("line", class_="grid", x1=x, x2=x, y1=4, y2=height - AXIS),
            el("text", number(tick), class_="tick", x=x, y=height - 8, text_anchor="middle"),
        ]
    for position, row in enumerate(rows):
        parts += _row(row, scale, ROW * position)
    return el(
        "svg", *parts, viewBox=f"0 0 {WIDTH} {height}", role="img", aria_labelledby=f"{id}-title", class_="plot", id=id
    )


def _row(row: Row, scale: Scale, top: int) -> list[Markup]:
    base = top + 8 + BAR
    counts = [0] * BINS
    for item in row.values:
        counts[min(BINS - 1, int(scale.of(item.value) * BINS))] += 1
    most = max(counts)
    step = (WIDTH - LEFT - RIGHT) / BINS
    bars = [
        # one case is to be seen beside a thousand
        f"M{LEFT + step * bin:.1f} {base}v-{max(2.0, BAR * count / most):.1f}h{step - 0.6:.1f}V{base}z"
        for bin, count in enumerate(counts)
        if count
    ]
    name = row.name if len(row.name) <= NAME_LETTERS else row.name[: NAME_LETTERS - 1] + "\u2026"
    parts = [
        el("text", name, class_="name", x=LEFT - 8, y=base - 4, text_anchor="end"),
        el("line", class_="base", x1=LEFT, x2=WIDTH - RIGHT, y1=base, y2=base),
        el("path", class_="bars", d="".join(bars)),
    ]
    parts += [
        el(
            "g",
            el("title", f"{item.case}: {number(item.value)}"),
            el("path", class_="diamond", d=f"M{_x(scale.of(item.value))} {base - 5}l5 5l-5 5l-5 -5z"),
        )
        for item in row.values
        if item.marked
    ]
    return parts


def _x(share: float) -> float:
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def _scale(low: float, high: float, *, logarithmic: bool) -> Scale:
    if low == high:
        return Scale(lambda _: 0.5, (low,))
    if logarithmic:
        return _ratios(low, high)
    if high - low > VERY_WIDE:
        return _decades(low, high)
    return Scale(lambda value: (value - low) / (high - low), _round_numbers(low, high))


def _ratios(low: float, high: float) -> Scale:
    start, end = math.log10(low), math.log10(high)

    def of(value: float) -> float:
        return (math.log10(value) - start) / (end - start)

    if end - start < 1:
        return Scale(of, _round_numbers(low, high))
    decades = range(math.floor(start), math.ceil(end) + 1)
    steps = (1, 2, 5) if len(decades) <= MANY_DECADES else (1,)
    ticks = [tick for decade in decades for step in steps if low <= (tick := step * 10.0**decade) <= high]
    return Scale(of, _few(ticks))


def _decades(low: float, high: float) -> Scale:
    """Let values of both signs and of very different size be seen together."""

    def size(value: float) -> float:
        return math.copysign(math.log10(1 + abs(value)), value)

    start, end = size(low), size(high)
    ticks = [0.0, *(sign * 10.0**decade for decade in range(1, 39) for sign in (1, -1))]
    return Scale(
        lambda value: (size(value) - start) / (end - start), _few(sorted(tick for tick in ticks if low <= tick <= high))
    )


def _few(ticks: Sequence[float]) -> Sequence[float]:
    return ticks[:: math.ceil(len(ticks) / MOST_TICKS)] if ticks else ()


def _round_numbers(low: float, high: float) -> list[float]:
    """Return a few round numbers between two."""
    rough = (high - low) / 4
    unit = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * unit for factor in (1, 2, 5, 10) if factor * unit >= rough)
    first = math.ceil(low / step)
    return [round(step * count, 12) for count in range(first, first + MOST_TICKS) if step * count <= high]


def number(value: float) -> str:
    """Return a number as short as it is still told from others."""
    if abs(value) < 1e6 and value == int(value):
        return str(int(value))
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"
