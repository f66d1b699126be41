"""splits_final.json as nnU-Net reads it."""

from __future__ import annotations

import pytest

from nnunet_doctor.facts import Detail
from nnunet_doctor.probes import splits

FOLDS = [
    {"train": ["b", "c", "d"], "val": ["a"]},
    {"train": ["a", "c", "d"], "val": ["b"]},
]


def test_the_wanted_fold():
    """A number chooses its fold, no number all of them, and one beyond the folds none."""
    assert [fold.number for fold in splits.read(FOLDS, "1").wanted] == [1]
    assert [fold.number for fold in splits.read(FOLDS, None).wanted] == [0, 1]
    assert splits.read(FOLDS, "7").wanted == ()


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ([["a"], ["b"]], "it should hold an object, not a list"),
        ({"train": ["a"]}, "val is missing"),
        ({"training": ["a"], "val": ["b"]}, "train is missing"),
        ({"train": ["a"], "val": []}, "val: []"),
        ({"train": {"a": 1}, "val": ["b"]}, "train should hold a list, not an object"),
        ({"train": ["a", 12], "val": ["b"]}, "train: 12"),
        ({"train": ["a"], "val": [None]}, "val: None"),
    ],
)
def test_a_fold_that_nnunet_cannot_use(item, message):
    """What is wrong with a fold is told if that fold is used, and not of another."""
    assert splits.read([item], "0").faults == (Detail("fold 0", message),)
    assert splits.read([item, FOLDS[0]], "1").faults == ()
    assert splits.read([item, FOLDS[0]], None).faults == (Detail("fold 0", message),)


def test_cases_that_are_not_stored():
    """A case that a fold names and nobody preprocessed is told with its place; --val opens validation cases only."""
    read = splits.read([{"train": ["a", "x"], "val": ["b", "y"]}], "0")

    assert splits.lacking(read, ["a", "b"], only_val=False) == (
        Detail("x", "fold 0: train"),
        Detail("y", "fold 0: val"),
    )
    assert splits.lacking(read, ["a", "b"], only_val=True) == (Detail("y", "fold 0: val"),)
    assert read.used(only_val=True) == ("b", "y")


def test_a_leak():
    """A case on both sides of a wanted fold is told, and of another fold it is not."""
    leaking = [{"train": ["a", "b"], "val": ["b"]}, FOLDS[0]]

    assert splits.overlapping(splits.read(leaking, "0")) == (Detail("b", "fold 0"),)
    assert splits.overlapping(splits.read(leaking, "1")) == ()


def test_cases_that_are_validated_twice():
    """Splits that were drawn at random have them, folds of a cross-validation do not."""
    assert splits.repeated(splits.read([*FOLDS, FOLDS[0]], "1")) == (Detail("a", "fold 0, fold 2"),)
    assert splits.repeated(splits.read(FOLDS, None)) == ()


def test_cases_in_no_fold():
    """A case that was added later is in no fold; while a fold cannot be read nothing is said."""
    assert splits.unused(splits.read(FOLDS, "0"), ["a", "b", "c", "d", "e"]) == (Detail("e"),)
    assert splits.unused(splits.read([*FOLDS, {}], "0"), ["e"]) == ()
