"""What a few timed steps foretell of an epoch."""

from __future__ import annotations

import json
import math

import pytest

from nnunet_doctor.probes.pace import MARK, Pace, _read, conclude

SIZES = {"epochs": 1000, "steps": 250, "validation_steps": 50}


def steps(*times: float, name: str = "step", warm: bool = True) -> list[dict[str, object]]:
    """Return observations as the child prints them."""
    return [{name: time, "warm": warm} for time in times]


def test_an_epoch_is_its_steps_and_its_validation() -> None:
    """250 steps of 0.2 s and 50 of 0.1 s take 55 s; first steps, which start workers, do not count."""
    seen = [SIZES, *steps(9.0, warm=False), *steps(0.2, 0.2, 0.2), *steps(0.1, 0.1, name="validation_step")]

    assert conclude(seen) == Pace(1000, pytest.approx(55.0), pytest.approx(55 / 1.15), pytest.approx(55 * 1.15))


def test_steps_that_differ_make_a_wider_range() -> None:
    """The range tells how much is known."""
    steady, shaky = conclude([SIZES, *steps(1, 1, 1, 1)]), conclude([SIZES, *steps(0.2, 1.8, 0.2, 1.8)])

    assert steady is not None
    assert shaky is not None
    assert shaky.high - shaky.low > 2 * (steady.high - steady.low)


def test_one_cold_step_is_better_than_nothing() -> None:
    """A training that takes minutes for a step is told as that, with a range to match."""
    pace = conclude([SIZES, *steps(120.0, warm=False)])

    assert pace is not None
    assert pace.epoch_seconds == pytest.approx(120 * 250 + 40 * 50)
    assert pace.high > 2 * pace.epoch_seconds


@pytest.mark.parametrize("seen", [[], [SIZES], steps(0.2)])
def test_without_a_step_nothing_is_said(seen: list[dict[str, object]]) -> None:
    """No number is made up."""
    assert conclude(seen) is None


def test_a_line_that_was_cut_is_dropped() -> None:
    """A child that is killed in the middle of a word spoils nothing."""
    whole = MARK + json.dumps({"step": 0.5, "warm": True})

    assert _read(whole) == {"step": 0.5, "warm": True}
    assert _read(whole[:-4]) == {}
    assert not math.isnan(_read(whole)["step"])
