"""What is known of each case after a survey, for a report that shows cases; nothing is looked up twice."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nnunet_doctor.probes.raw.across import scaled
from nnunet_doctor.probes.raw.description import names_of_values
from nnunet_doctor.probes.raw.picture import Picture, picture_of
from nnunet_doctor.probes.raw.record import FileReport, Task
from nnunet_doctor.probes.raw.structure import Case
from nnunet_doctor.probes.raw.survey import Survey

MOST_PICTURES = 40
PICTURE_SECONDS = 20.0
"""What all pictures together may take; reading goes on for as long as one piece of a file at most."""


@dataclass(frozen=True)
class CaseFacts:
    """A case.

    Attributes:
        id: Its identifier.
        files: Paths of its images and its label, relative to the dataset.
        shape: Voxels of its first image along x, y, z; empty where the header could not be read.
        spacing: In mm, in the order of ``shape``; empty where there is none.
        ranges: Least and greatest intensity of each channel that was decoded, by its number, as a reader delivers them.
        labels: Voxels of each value of its label; None where they were not counted.
    """

    id: str
    files: tuple[str, ...]
    shape: tuple[int, ...] = ()
    spacing: tuple[float, ...] = ()
    ranges: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    labels: Mapping[float, int] | None = None


@dataclass(frozen=True)
class Cases:
    """All cases.

    Attributes:
        cases: In the order of their ids.
        channels: Names of the channels by number.
        names: Names of the label values.
        pictures: By id of case, for cases that a finding names, the worst first.
    """

    cases: Sequence[CaseFacts]
    channels: Mapping[int, str] = field(default_factory=dict)
    names: Mapping[float, str] = field(default_factory=dict)
    pictures: Mapping[str, Picture] = field(default_factory=dict)


def gather(folder: str, found: Survey, named: Iterable[str], most_pictures: int = MOST_PICTURES) -> Cases:
    """Return what a survey found of each case, with pictures of those whose files are named.

    Args:
        folder: The dataset, or the folder of images.
        found: The survey of it.
        named: Paths relative to the folder, the most interesting first; those of no case count for nothing.
        most_pictures: How many at most.
    """
    of_file = {path: case for case in found.cases for path in _files(case)}
    wanted = {of_file[path].id: of_file[path] for path in named if path in of_file}
    until = time.monotonic() + PICTURE_SECONDS
    described = found.description
    return Cases(
        [_facts(case, found.reports) for case in found.cases],
        dict(enumerate(described.channels or ())),
        {value: ", ".join(names) for value, names in names_of_values(described.labels or {}).items()},
        {id: _picture(folder, case, found, until) for id, case in list(wanted.items())[:most_pictures]}
        if found.is_complete  # whoever interrupts a survey waits for no pictures
        else {},
    )


def _files(case: Case) -> tuple[str, ...]:
    return (*case.images.values(), *([case.label] if case.label else []))


def _facts(case: Case, reports: Mapping[str, FileReport]) -> CaseFacts:
    header = next((report.header for path in case.images.values() if (report := reports.get(path))), None)
    ranges = {
        channel: limits for channel, path in case.images.items() if (limits := _range(reports.get(path))) is not None
    }
    shape, spacing = (header.shape, header.spacing) if header is not None else ((), ())
    return CaseFacts(case.id, _files(case), shape, spacing, ranges, _counts(reports.get(case.label or "")))


def _range(report: FileReport | None) -> tuple[float, float] | None:
    if report is None or report.header is None or report.tally is None:
        return None
    lowest, highest = report.tally.lowest, report.tally.highest
    if lowest is None or highest is None:
        return None
    slope, intercept = report.header.slope, report.header.intercept
    low, high = sorted((lowest * slope + intercept, highest * slope + intercept))
    return low, high


def _counts(report: FileReport | None) -> Mapping[float, int] | None:
    if report is None or report.header is None or report.tally is None or report.tally.distinct_over:
        return None
    return dict(scaled(report.header, report.tally))


def _picture(folder: str, case: Case, found: Survey, until: float) -> Picture:
    reader = str(found.reader)
    first = next(iter(case.images.values()), None)
    if first is None:
        return Picture(reason="no-image")
    label = Task(os.path.join(folder, case.label), "label", reader, "all") if case.label else None
    return picture_of(Task(os.path.join(folder, first), "image", reader, "all"), label, until)
