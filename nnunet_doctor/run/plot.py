"""Losses and Dice of a training as a plot of characters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

HEIGHT, WIDTH = 14, 79
_ASCII = str.maketrans(dict.fromkeys("┌┐└┘┬┴├┤┼", "+") | {"─": "-", "│": "|", "•": "*", "⅃": "R"})
"""What the code pages of older Windows consoles have instead."""


class Epoch(NamedTuple):
    """What one epoch ended with; nan where nothing was printed.

    ``dice`` is the mean pseudo Dice over classes.
    """

    number: int
    train_loss: float
    val_loss: float
    dice: float


def draw(epochs: Sequence[Epoch], width: int = WIDTH, *, ascii_only: bool = False) -> str:
    """Draw losses against the left axis and the mean pseudo Dice against the right one.

    Args:
        epochs: At least one; only finite values are drawn.
        width: Columns.
        ascii_only: Whether to keep to ASCII characters.
    """
    import plotext

    plotext.clear_figure()
    plotext.theme("clear")
    plotext.plot_size(width, HEIGHT)
    series = {
        "train_loss": ("t", [epoch.train_loss for epoch in epochs], "left"),
        "val_loss": ("v", [epoch.val_loss for epoch in epochs], "left"),
        "pseudo Dice": ("D", [epoch.dice for epoch in epochs], "right"),
    }
    for label, (marker, values, side) in series.items():
        points = [(epoch.number, value) for epoch, value in zip(epochs, values, strict=True) if _is_finite(value)]
        if points:
            plotext.plot([x for x, _ in points], [y for _, y in points], label=label, marker=marker, yside=side)
    numbers = [epoch.number for epoch in epochs]
    plotext.xticks(sorted({numbers[0], numbers[len(numbers) // 2], numbers[-1]}))
    drawn = plotext.uncolorize(plotext.build())
    text = "\n".join(line.rstrip() for line in drawn.splitlines())
    return text.translate(_ASCII) if ascii_only else text


def _is_finite(value: float) -> bool:
    return value - value == 0
