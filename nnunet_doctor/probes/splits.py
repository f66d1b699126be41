"""The folds in splits_final.json, as nnUNetTrainer.do_split reads them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from nnunet_doctor.facts import Detail
from nnunet_doctor.probes.jsonfile import kind_of

PARTS = ("train", "val")


@dataclass(frozen=True)
class Fold:
    """One fold: its number and its cases."""

    number: int
    train: tuple[str, ...]
    val: tuple[str, ...]


@dataclass(frozen=True)
class Splits:
    """The folds that a training would use, and what is wrong with them.

    Attributes:
        count: Number of folds in the file.
        folds: All folds that can be read.
        wanted: Those that the training uses: the fold that is asked for, or all when none is.
        faults: Folds that nnU-Net cannot use, with what is wrong.
    """

    count: int
    folds: tuple[Fold, ...]
    wanted: tuple[Fold, ...]
    faults: tuple[Detail, ...]

    def used(self, *, only_val: bool) -> tuple[str, ...] | None:
        """Return the cases that the training opens; None when a fold that it uses cannot be read."""
        if self.faults:
            return None
        listed = [case for fold in self.wanted for case in (fold.val if only_val else fold.train + fold.val)]
        return tuple(dict.fromkeys(listed))


def read(content: Sequence[Any], fold: str | None) -> Splits:
    """Read the content of splits_final.json, for a fold or for all of them."""
    number = int(fold) if fold is not None and fold.isdecimal() else None
    asked = range(len(content)) if fold is None else [number] if number is not None and number < len(content) else []
    folds, faults = [], []
    for place, item in enumerate(content):
        problem = _problem(item)
        if problem is None:
            folds.append(Fold(place, tuple(item["train"]), tuple(item["val"])))
        elif place in asked:
            faults.append(Detail(f"fold {place}", problem))
    return Splits(len(content), tuple(folds), tuple(item for item in folds if item.number in asked), tuple(faults))


def _problem(item: Any) -> str | None:
    """Say what keeps nnU-Net from using a fold; None for nothing. Without a case to draw from, a loader fails."""
    if not isinstance(item, dict):
        return f"it should hold an object, not {kind_of(item)}"
    for part in PARTS:
        if part not in item:
            return f"{part} is missing"
        cases = item[part]
        if not isinstance(cases, list):
            return f"{part} should hold a list, not {kind_of(cases)}"
        if not cases:
            return f"{part}: []"
        strange = [case for case in cases if not isinstance(case, str)]
        if strange:
            return f"{part}: {str(strange[0])[:40]}"
    return None


def lacking(splits: Splits, stored: Collection[str], *, only_val: bool) -> tuple[Detail, ...]:
    """List cases that the wanted folds name and that are not stored, with fold and part."""
    known = set(stored)
    found: dict[str, str] = {}
    for fold in splits.wanted:
        for part, cases in (("val", fold.val),) if only_val else (("train", fold.train), ("val", fold.val)):
            for case in cases:
                if case not in known:
                    found.setdefault(case, f"fold {fold.number}: {part}")
    return tuple(Detail(case, where) for case, where in sorted(found.items()))


def overlapping(splits: Splits) -> tuple[Detail, ...]:
    """List cases that a wanted fold both trains on and validates with."""
    return tuple(
        Detail(case, f"fold {fold.number}")
        for fold in splits.wanted
        for case in sorted(set(fold.train) & set(fold.val))
    )


def repeated(splits: Splits) -> tuple[Detail, ...]:
    """List cases that more than one fold validates with, and those folds.

    accumulate_cv_results stops at a case that two folds have predicted.
    """
    counted = Counter(case for fold in splits.folds for case in set(fold.val))
    return tuple(
        Detail(case, ", ".join(f"fold {fold.number}" for fold in splits.folds if case in fold.val))
        for case in sorted(case for case, count in counted.items() if count > 1)
    )


def unused(splits: Splits, stored: Collection[str]) -> tuple[Detail, ...]:
    """List stored cases that no fold names; none while a fold cannot be read."""
    if len(splits.folds) < splits.count:
        return ()
    named = {case for fold in splits.folds for case in (*fold.train, *fold.val)}
    return tuple(Detail(case) for case in sorted(set(stored) - named))
