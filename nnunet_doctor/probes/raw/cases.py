"""What is known of each case after a survey, for a report that shows cases; nothing is looked up twice.

Pictures, and the intensities of a few images that the survey left undecoded, are made for as long as a reader of the
report waits for: a whole report is to come within a second of the findings.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from nnunet_doctor.probes.raw import picture, voxels
from nnunet_doctor.probes.raw.across import scaled
from nnunet_doctor.probes.raw.description import names_of_values
from nnunet_doctor.probes.raw.picture import Picture
from nnunet_doctor.probes.raw.record import FileReport, Task
from nnunet_doctor.probes.raw.structure import Case
from nnunet_doctor.probes.raw.survey import Survey

MOST_PICTURES = 40
FEW_PICTURES = 3
"""So many are drawn also where the time is over."""
PATIENT_SECONDS = 20.0
HURRIED_SECONDS = 0.5
"""What all pictures together may take; reading goes on for as long as one piece of a file at most."""
SAMPLE_SECONDS = 0.25
"""What the intensities of images that nobody has decoded may take besides."""
MOST_THREADS = 8
GOLDEN = (5**0.5 - 1) / 2


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
        undrawn: How many more cases findings name.
        hurried: Whether some of them were left out because the time was over.
    """

    cases: Sequence[CaseFacts]
    channels: Mapping[int, str] = field(default_factory=dict)
    names: Mapping[float, str] = field(default_factory=dict)
    pictures: Mapping[str, Picture] = field(default_factory=dict)
    undrawn: int = 0
    hurried: bool = False


def gather(
    folder: str,
    found: Survey,
    named: Iterable[str],
    most_pictures: int = MOST_PICTURES,
    *,
    assured: int = FEW_PICTURES,
    seconds: float = PATIENT_SECONDS,
    threads: int = 1,
) -> Cases:
    """Return what a survey found of each case, with pictures of those whose files are named.

    Args:
        folder: The dataset, or the folder of images.
        found: The survey of it.
        named: Paths relative to the folder, the most interesting first; those of no case count for nothing.
        most_pictures: How many at most.
        assured: How many of them are drawn however short the time is; more than a few are not.
        seconds: What the others may take.
        threads: How many draw at a time.
    """
    begun = time.monotonic()
    of_file = {path: case for case in found.cases for path in _files(case)}
    wanted = {of_file[path].id: of_file[path] for path in named if path in of_file}
    cases = [_facts(case, found.reports) for case in found.cases]
    pictures: dict[str, Picture] = {}
    if found.is_complete:  # whoever interrupts a survey waits for no pictures
        chosen = list(wanted.values())[:most_pictures]
        pictures = _drawn(folder, found, chosen, min(assured, FEW_PICTURES), begun + seconds, threads)
        cases = _with_samples(folder, found, cases, begun + seconds + SAMPLE_SECONDS, threads)
    described = found.description
    return Cases(
        cases,
        dict(enumerate(described.channels or ())),
        {value: ", ".join(names) for value, names in names_of_values(described.labels or {}).items()},
        pictures,
        undrawn=len(wanted) - len(pictures),
        hurried=found.is_complete and len(pictures) < min(len(wanted), most_pictures),
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


# --- what is read for the report alone -----------------------------------------------------------------------------


def _drawn(
    folder: str, found: Survey, cases: Sequence[Case], assured: int, until: float, threads: int
) -> dict[str, Picture]:
    """Draw cases in their order for as long as there is time, several at once."""
    drawn: dict[str, Picture] = {}

    def draw(rank: int) -> None:
        case = cases[rank]
        is_assured = rank < assured
        if is_assured or time.monotonic() < until:
            made = _picture(folder, case, found, until + PATIENT_SECONDS if is_assured else until)
            if is_assured or made.reason != picture.NO_TIME:
                drawn[case.id] = made

    _at_once(draw, len(cases), threads)
    return {case.id: drawn[case.id] for case in cases if case.id in drawn}


def _picture(folder: str, case: Case, found: Survey, until: float) -> Picture:
    reader = str(found.reader)
    first = next(iter(case.images.values()), None)
    if first is None:
        return Picture(reason="no-image")
    label = Task(os.path.join(folder, case.label), "label", reader, "all") if case.label else None
    return picture.picture_of(Task(os.path.join(folder, first), "image", reader, "all"), label, until)


def _with_samples(
    folder: str, found: Survey, cases: Sequence[CaseFacts], until: float, threads: int
) -> list[CaseFacts]:
    """Decode images that the survey has left undecoded, of cases from all over the dataset, while there is time."""
    sampled = list(cases)
    open_ = [number for number, case in enumerate(found.cases) if _is_undecoded(case, found)]
    # steps of the golden ratio leave no part of a list out for long
    order = sorted(open_, key=lambda number: number * GOLDEN % 1) if found.depth == "default" else []

    def sample(rank: int) -> None:
        if time.monotonic() > until:
            return
        number = order[rank]
        ranges = {
            channel: limits
            for channel, path in found.cases[number].images.items()
            if (limits := _decoded_range(folder, path, found, until)) is not None
        }
        if ranges:
            sampled[number] = replace(cases[number], ranges={**cases[number].ranges, **ranges})

    _at_once(sample, len(order), threads)
    return sampled


def _is_undecoded(case: Case, found: Survey) -> bool:
    reports = [found.reports.get(path) for path in case.images.values()]
    return any(report is not None and report.header is not None and report.tally is None for report in reports)


def _decoded_range(folder: str, path: str, found: Survey, until: float) -> tuple[float, float] | None:
    report = found.reports.get(path)
    if report is None or report.header is None or report.tally is not None or report.faults:
        return None
    tally = picture.tally_of(Task(os.path.join(folder, path), "image", str(found.reader), "all"), until)
    return _range(FileReport(report.header, tally=tally))


def _at_once(work: Callable[[int], None], count: int, threads: int) -> None:
    """Do numbered pieces of work in their order, some at a time; decoders let go of the interpreter meanwhile."""
    left = deque(range(count))

    def work_off() -> None:
        while True:
            try:
                number = left.popleft()
            except IndexError:
                return
            work(number)

    helpers = [threading.Thread(target=work_off, daemon=True) for _ in range(min(threads, count, MOST_THREADS) - 1)]
    if helpers:
        voxels.load_numpy()  # once, before several threads ask for it
    started = []
    for helper in helpers:
        try:
            helper.start()
        except RuntimeError:  # the system allows no more threads
            break
        started.append(helper)
    work_off()
    for helper in started:
        while helper.is_alive():
            helper.join(0.1)  # in steps, so that Ctrl-C is heard on Windows too
