"""Names that nnU-Net cuts wrongly or does not see: made right where only one name can be meant."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nnunet_doctor.fixers.record import Plan
from nnunet_doctor.fixers.steps import KEPT, MoveOut, Rename, is_inside
from nnunet_doctor.probes.raw.structure import IMAGES, LABELS
from nnunet_doctor.probes.raw.survey import Survey

FIRST = "_0000"
_RIGHT = re.compile(r"(?P<case>.+)_\d{4}", re.DOTALL)
_NUMBERED = re.compile(r"(?P<case>.+)_(?P<number>\d+)", re.DOTALL)


@dataclass(frozen=True)
class _Bad:
    """A file whose name could be made right.

    Attributes:
        id: The check that names it.
        folder: imagesTr or labelsTr.
        name: As it is.
        stem: Without the ending.
    """

    id: str
    folder: str
    name: str
    stem: str

    @property
    def path(self) -> str:
        return f"{self.folder}/{self.name}"


@dataclass(frozen=True)
class _Doubt:
    """Why no name can be given: key of a sentence, and the name or number in it."""

    why: str
    what: object = ""


def add(dataset: Path, survey: Survey, plan: Plan) -> int | None:
    """Add what is to be renamed or moved out.

    Returns:
        How many cases there are then; None when nnU-Net would still cut the name of an image wrongly.
    """
    _move_out(dataset, survey, plan)
    ending, channels = survey.description.file_ending or "", len(survey.description.channels or ())
    cases, label_ids = {case.id for case in survey.cases}, _label_ids(dataset, ending)
    bad = _bad_names(survey, plan)
    images = {item: _image(item.stem, label_ids, channels) for item in bad if item.folder == IMAGES}
    cases |= {stem[: -len(FIRST)] for stem in _rename(dataset, images, ending, plan)}
    labels = {item: _label(item.stem, cases) for item in bad if item.folder == LABELS}
    _rename(dataset, labels, ending, plan)
    is_cut_wrongly = any(item.id == "bad-image-name" and item.subject.startswith(IMAGES) for item in plan.left)
    return None if is_cut_wrongly else len(cases)


def _move_out(dataset: Path, survey: Survey, plan: Plan) -> None:
    """Hidden files, which nnU-Net takes for cases; AppleDouble files of macOS nearly always."""
    hidden = [("hidden-file", path) for path, _ in survey.found.get("hidden-file", [])]
    hidden += [("test-images", path) for path, what in survey.found.get("test-images", []) if what == "hidden-file"]
    for id, path in hidden:
        if is_inside(dataset, path):
            plan.change(id, path, f"-> {KEPT}/")
            plan.steps.append(MoveOut(path))
        else:
            plan.leave(id, path, "fix_left_outside")


def _bad_names(survey: Survey, plan: Plan) -> list[_Bad]:
    """List the files with a wrong name whose ending is right, or differs from the right one by case."""
    ending = survey.description.file_ending
    bad = []
    for id in ("bad-image-name", "wrong-file-ending"):
        for path, _ in survey.found.get(id, []):
            folder, _, name = path.rpartition("/")
            if ending is None:
                plan.leave(id, path, "fix_left_no_ending")
            elif ending != ending.lower():
                plan.leave(id, path, "fix_left_capital_ending", what=ending)
            elif not name.casefold().endswith(ending.casefold()):
                plan.leave(id, path, "fix_left_other_ending", what=ending)
            else:
                bad.append(_Bad(id, folder, name, name[: -len(ending)]))
    return bad


def _label_ids(dataset: Path, ending: str) -> set[str]:
    """Return the cases that labels may belong to, those with the suffix of a channel twice."""
    names = [name for name in _names(dataset, LABELS) if name.casefold().endswith(ending.casefold())]
    stems = {name[: len(name) - len(ending)] for name in names}
    return stems | {stem.removesuffix(FIRST) for stem in stems}


def _names(dataset: Path, folder: str) -> list[str]:
    try:
        return [item.name for item in (dataset / folder).iterdir()]
    except OSError:
        return []


def _image(stem: str, label_ids: set[str], channels: int) -> str | _Doubt:
    """Return the right name of an image.

    A number at the end is that of the case or that of the channel; which one, its label tells. A dataset without any
    label has nobody to ask, and names without a number are plain even there.
    """
    if _RIGHT.fullmatch(stem):
        return stem
    numbered = _NUMBERED.fullmatch(stem)
    by_case = {stem: stem + FIRST} if channels == 1 else {}
    if numbered and int(numbered["number"]) < channels:
        by_case[numbered["case"]] = f"{numbered['case']}_{int(numbered['number']):04d}"
    if not by_case:
        return _Doubt("fix_left_channels", channels)
    with_label = [name for case, name in by_case.items() if case in label_ids]
    if len(with_label) == 1:
        return with_label[0]
    if with_label or label_ids or numbered:
        return _Doubt("fix_left_unsure", " / ".join(by_case.values()))
    return by_case[stem]


def _label(stem: str, cases: set[str]) -> str | _Doubt:
    """Return the right name of a label: that of its case."""
    fitting = [case for case in (stem, stem.removesuffix(FIRST)) if case in cases]
    return fitting[0] if fitting else _Doubt("fix_left_no_image", stem)


def _rename(dataset: Path, wanted: Mapping[_Bad, str | _Doubt], ending: str, plan: Plan) -> list[str]:
    """Add the renames that are possible; return the new names without the ending."""
    there = {folder: Counter(name.casefold() for name in _names(dataset, folder)) for folder in (IMAGES, LABELS)}
    claims = Counter(f"{stem}{ending}".casefold() for stem in wanted.values() if isinstance(stem, str))
    made = []
    for bad, stem in wanted.items():
        if isinstance(stem, _Doubt):
            plan.leave(bad.id, bad.path, stem.why, what=stem.what)
            continue
        new = f"{stem}{ending}"
        others = there[bad.folder][new.casefold()] - (new.casefold() == bad.name.casefold())
        if not is_inside(dataset, bad.path):
            plan.leave(bad.id, bad.path, "fix_left_outside")
        elif others or claims[new.casefold()] > 1:
            plan.leave(bad.id, bad.path, "fix_left_taken", what=new)
        else:
            plan.change(bad.id, bad.path, f"-> {new}")
            plan.steps.append(Rename(bad.path, f"{bad.folder}/{new}"))
            made.append(stem)
    return made
