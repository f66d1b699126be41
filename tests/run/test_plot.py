"""The plot of losses and Dice in the terminal."""

from __future__ import annotations

import math

from nnunet_doctor.run.plot import HEIGHT, Epoch, draw

EPOCHS = [Epoch(number, 0.5 - 0.03 * number, 0.4 - 0.02 * number, 0.02 * number) for number in range(40)]


def test_plot_fits_its_place() -> None:
    """No line is longer than asked, and there are as many as the status below the output reckons with."""
    lines = draw(EPOCHS, 60).splitlines()

    assert max(map(len, lines)) <= 60
    assert len(lines) == HEIGHT
    assert {"train_loss", "val_loss"} <= set(" ".join(lines).split())


def test_values_that_are_no_numbers_leave_a_gap() -> None:
    """NaN losses and an unknown Dice do not end the training's output."""
    drawn = draw([Epoch(0, math.nan, math.inf, math.nan), Epoch(1, 0.1, math.nan, 0.5)], 60)

    assert "train_loss" in drawn
    assert "val_loss" not in drawn


def test_old_consoles_get_ascii() -> None:
    """A console without line-drawing characters shows the plot all the same."""
    assert draw(EPOCHS, 60, ascii_only=True).isascii()
