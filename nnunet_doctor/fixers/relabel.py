"""Labels without gaps, on request: in dataset.json and in every label file together, or not at all."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from nnunet_doctor.fixers.labels import Edit, Edits, obstacle
from nnunet_doctor.fixers.record import Given, Plan
from nnunet_doctor.fixers.steps import Write, is_there
from nnunet_doctor.probes.raw.across import scaled
from nnunet_doctor.probes.raw.description import Description
from nnunet_doctor.probes.raw.examine import FORMATS, ending_of
from nnunet_doctor.probes.raw.record import FileReport
from nnunet_doctor.probes.raw.structure import LABELS
from nnunet_doctor.probes.raw.survey import Survey

MAP = "label_map.json"
CHECK = "json-labels"
TEST_LABELS = "labelsTs"

_GAP = re.compile(r"gap before .*|ignore: \d+ instead of \d+", re.DOTALL)
"""What the survey says of labels whose only fault is that they are not consecutive."""

NewValues = Mapping[float, int]
"""New value by old value."""


def add(dataset: Path, survey: Survey, plan: Plan, edits: Edits, *, wanted: bool) -> NewValues:
    """Add the labels that get other values, and the map.

    Returns:
        New value by old value of all that is declared; empty when nothing is to be relabelled.
    """
    new_values = consecutive(survey.description)
    if not new_values:
        return {}
    found = {case.label: _counted(survey.reports.get(case.label)) for case in survey.cases if case.label}
    moving = [path for path, values in found.items() if any(new_values.get(value, value) != value for value in values)]
    if not wanted:
        plan.leave(CHECK, "dataset.json", "fix_left_relabel", what=len(moving))
        return {}
    reasons = list(_reasons_against(dataset, survey, new_values, found, moving))
    for path, why, what in reasons:
        plan.leave(CHECK, path, why, what=what)
    if reasons:
        return {}
    for path in moving:
        edits[path] = replace(edits.get(path, Edit()), values=new_values)
        plan.change(CHECK, path, _shown({value: new_values[value] for value in found[path]}))
    for path in ("dataset.json", MAP):
        plan.change(CHECK, path, _shown(new_values))
    plan.steps.append(Write(MAP))
    table = json.dumps({str(old): new for old, new in new_values.items()}, indent=4)
    plan.contents[MAP] = Given(f"{table}\n".encode())
    if is_there(dataset, TEST_LABELS):
        plan.leave(CHECK, TEST_LABELS, "fix_left_relabel_test", what=MAP)
    return new_values


def consecutive(description: Description) -> dict[float, int]:
    """Return the values without gaps, in the same order, the ignore label last; empty when gaps are not the fault."""
    faults = [message for id, message in description.faults if id == CHECK]
    if description.labels is None or not all(_GAP.fullmatch(message) for message in faults):
        return {}
    values = sorted({value for group in description.labels.values() for value in group})
    if description.ignore is not None:
        if not values or description.ignore <= values[-1]:
            return {}
        values.append(description.ignore)
    if not faults or not values or values[0] != 0:
        return {}
    return {old: new for new, old in enumerate(values)}


def _shown(new_values: NewValues) -> str:
    return ", ".join(f"{old:g} -> {new}" for old, new in new_values.items() if old != new)


def _counted(report: FileReport | None) -> list[float]:
    """Return the values of a label; infinity for one whose values are not known."""
    if report is None or report.header is None or report.tally is None:
        return [math.inf]
    tally = report.tally
    return [math.inf] if tally.distinct_over or tally.nans else [value for value, _ in scaled(report.header, tally)]


def _reasons_against(
    dataset: Path, survey: Survey, new_values: NewValues, found: Mapping[str, list[float]], moving: list[str]
) -> Iterator[tuple[str, str, str]]:
    """Yield file, key of a sentence and what stands in it: whatever would leave labels of two kinds behind."""
    if is_there(dataset, MAP):
        yield MAP, "fix_left_taken", MAP
    for path in _label_files(dataset) - set(found):
        yield path, "fix_left_relabel_others", ""
    for path, values in found.items():
        if any(value not in new_values for value in values):
            yield path, "fix_left_values", ""
        elif path in moving and (why := obstacle(dataset, path, survey.reports.get(path))):
            yield path, *why


def _label_files(dataset: Path) -> set[str]:
    """List what looks like a label, whether nnU-Net takes it or not."""
    try:
        names = [item.name for item in (dataset / LABELS).iterdir()]
    except OSError:
        return set()
    return {f"{LABELS}/{name}" for name in names if not name.startswith(".") and ending_of(name) in FORMATS}
