"""From a survey to a plan: what is mended, file by file, and what is left to the user."""

from __future__ import annotations

from pathlib import Path

from nnunet_doctor.fixers import description, grids, labels, names, relabel
from nnunet_doctor.fixers.journal import status_of
from nnunet_doctor.fixers.record import Plan
from nnunet_doctor.fixers.steps import Replace
from nnunet_doctor.probes.raw.survey import Survey


def make(dataset: Path, survey: Survey, *, relabels: bool = False) -> Plan:
    """Plan what can be mended safely.

    Args:
        dataset: Its folder.
        survey: At the default depth, since labels are decoded there.
        relabels: Whether gaps between label values are closed, which rewrites labels.
    """
    plan, edits = Plan(), dict[str, labels.Edit]()
    cases = names.add(dataset, survey, plan)
    source = description.read(dataset, survey, plan)
    new_values = relabel.add(dataset, survey, plan, edits, wanted=relabels) if source else {}
    labels.narrow(dataset, survey, plan, edits)
    grids.align(dataset, survey, plan, edits)
    for path, edit in sorted(edits.items()):
        plan.steps.append(Replace(path))
        plan.contents[path] = labels.Rewritten(dataset / path, str(survey.reader), edit, status_of(dataset / path))
    if source:
        description.add(source, survey, plan, cases, new_values)
    return plan
