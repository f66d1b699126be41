"""The survey of a raw dataset: every fault of it, all at once."""

from __future__ import annotations

import contextlib
import filecmp
import os
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import msgspec

from nnunet_doctor.probes.raw import across, crew
from nnunet_doctor.probes.raw.cache import Cache
from nnunet_doctor.probes.raw.description import Description, understand
from nnunet_doctor.probes.raw.examine import FORMATS, ending_of, examine, looks_like
from nnunet_doctor.probes.raw.record import Decodes, Depth, FileReport, Header, Task
from nnunet_doctor.probes.raw.structure import Case, Structure, arrange, arrange_images

LITTLE_BYTES = 4 * 1024**2
"""Images that have no more than this together are decoded at the default depth too: it takes no time."""

READER_OF = {
    ".nii.gz": "SimpleITKIO",
    ".nrrd": "SimpleITKIO",
    ".mha": "SimpleITKIO",
    ".gipl": "SimpleITKIO",
    ".png": "NaturalImage2DIO",
    ".bmp": "NaturalImage2DIO",
    ".tif": "NaturalImage2DIO",
    ".tiff": "Tiff3DIO",
    ".nii": "NibabelIO",
}
"""The first reader that nnU-Net tries for an ending (nnunetv2/imageio/reader_writer_registry.py)."""

MOST_JSON_BYTES = 50 * 1024**2
MOST_LOOKED_AT = 500
DICOM_AT = 128


@dataclass(frozen=True)
class Progress:
    """How far a survey is.

    Attributes:
        done: Files that are looked into, unchanged ones included.
        files: All files.
        bytes: What was looked into of them in this survey.
        share: Part of the work that is done, from 0 to 1, by estimate.
        seconds: Time since it began.
    """

    done: int
    files: int
    bytes: int
    share: float
    seconds: float


@dataclass
class Survey:
    """What a survey found.

    Attributes:
        found: Subject and particulars of each fault, by id of check, in the order of subjects.
        depth: How deep it looked; None when files were not opened at all.
        description: What dataset.json says.
        cases: The cases by nnU-Net's rules.
        reader: The class of nnunetv2/imageio that reads them.
        reports: What is known of each file, by its path relative to the dataset.
        undecided: Why some checks could not be decided, by id of check.
        is_complete: False when it was interrupted.
        decoded: Bytes of voxels that were decoded, those of an earlier survey included.
        seconds: How long it took.
    """

    found: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    depth: Depth | None = None
    description: Description = field(default_factory=Description)
    cases: list[Case] = field(default_factory=list)
    reader: str | None = None
    reports: dict[str, FileReport] = field(default_factory=dict)
    undecided: dict[str, str] = field(default_factory=dict)
    is_complete: bool = True
    decoded: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Means:
    """With what to look.

    Attributes:
        processors: Tells how many may be used; asked only when there is work for several.
        environ: Environment, which tells where the cache is.
        caches: Whether the cache is read and written.
        progress: Who hears of the progress.
    """

    processors: Callable[[], int] = lambda: 1
    environ: Mapping[str, str] = field(default_factory=dict)
    caches: bool = True
    progress: Callable[[Progress], None] | None = None


def survey_dataset(folder: str, depth: Depth | None, means: Means) -> Survey:
    """Look at a raw dataset.

    Args:
        folder: The dataset, with dataset.json in it.
        depth: quick, default or deep; None looks at names and dataset.json only.
        means: With what.
    """
    folder = os.path.abspath(folder)
    found = Structure()
    description = _description(folder, found)
    structure = arrange(folder, description)
    structure.found = {**found.found, **structure.found}
    for id, message in description.faults:
        structure.add(id, "dataset.json", message)
    _another_layout(folder, structure)
    ending = description.file_ending or next(iter(structure.endings), ".nii.gz")
    result = Survey(structure.found, depth, description, structure.cases)
    _look_into(folder, structure, description, ending, result, means)
    return result


def survey_images(folder: str, depth: Depth, description: Description, means: Means) -> Survey:
    """Look at a folder of images that a model, whose dataset.json is given, is to predict."""
    folder = os.path.abspath(folder)
    ending = description.file_ending or ".nii.gz"
    channels = len(description.channels) if description.channels is not None else None
    structure = arrange_images(folder, ending, channels)
    result = Survey(structure.found, depth, description, structure.cases)
    _look_into(folder, structure, description, ending, result, means)
    return result


def _description(folder: str, structure: Structure) -> Description:
    path = os.path.join(folder, "dataset.json")
    if not os.path.isfile(path):
        near = [name for name in _names(folder) if re.fullmatch(r"dataset.*\.json.*", name, re.IGNORECASE)]
        structure.add("json-missing", "dataset.json", ", ".join(near))
        return Description()
    try:
        with open(path, "rb") as file:
            return understand(file.read(MOST_JSON_BYTES + 1))
    except OSError as error:
        structure.add("unreadable", "dataset.json", f"read error: {error.strerror or error}")
    return Description()


def _names(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as found:
            return sorted(entry.name for entry, _ in zip(found, range(MOST_LOOKED_AT), strict=False))
    except OSError:
        return []


# --- the files -----------------------------------------------------------------------------------------------------


def _look_into(
    folder: str, structure: Structure, description: Description, ending: str, result: Survey, means: Means
) -> None:
    """Examine the files of all cases, and compare them."""
    begun = time.monotonic()
    result.reader = description.reader or READER_OF.get(ending.lower())
    if result.depth is None:
        return
    if ending.lower() not in FORMATS:
        result.undecided = dict.fromkeys(ABOUT_FILES, f"nnU-Net reads no {ending}")
        return
    paths = _paths(structure.cases)
    same: Callable[[str, str], bool] = _is_never_same
    try:
        result.reader = description.reader or _reader_of(folder, ending.lower(), paths)
        tasks = _tasks(folder, structure, paths, result.reader, result.depth)
        if tasks and all(task.decodes == "all" for task in tasks.values()):
            result.depth = "deep"
        _examine(folder, structure, tasks, result, means)
        _examine_suspects(folder, structure, description, result)
        if result.reader == "Tiff3DIO":
            _side_files(folder, structure, result.reports)
        same = partial(_are_same, folder, result.reader)
        _trained_tests(folder, structure, result)
    except KeyboardInterrupt:
        result.is_complete = False
    across.compare(structure, description, result.reports, same)
    result.undecided = _undecided(result, {path for path, role in paths.items() if role == "label"})
    for items in result.found.values():
        items.sort()
    result.decoded = sum(report.decoded for report in result.reports.values())
    result.seconds = time.monotonic() - begun


def _paths(cases: Sequence[Case]) -> dict[str, str]:
    """Return the role of each file by its path."""
    paths = {path: "image" for case in cases for path in case.images.values()}
    return paths | {case.label: "label" for case in cases if case.label}


def _reader_of(folder: str, ending: str, paths: Mapping[str, str]) -> str:
    """Choose as nnU-Net does: the first reader of the ending that can read the first image.

    Only for .tif this matters among sound files: NaturalImage2DIO refuses 3D ones, and Tiff3DIO follows.
    """
    reader = READER_OF[ending]
    first = next((path for path, role in paths.items() if role == "image"), None)
    if ending != ".tif" or first is None:
        return reader
    report = examine(Task(os.path.join(folder, first), "image", reader, "none"))
    return "Tiff3DIO" if report.header is not None and len(report.header.shape) == 3 else reader


def _tasks(folder: str, structure: Structure, paths: Mapping[str, str], reader: str, depth: Depth) -> dict[str, Task]:
    total = sum(structure.stats[path][0] for path, role in paths.items() if role == "image")
    endings = {ending_of(path) for path in paths}
    # PNG and BMP hold no NaN, and the NIfTI reader of ITK shows 0 where there is one
    hides = endings <= {".png", ".bmp"} or (reader.startswith("SimpleITK") and ".nii.gz" in endings)
    of_images: Decodes = "none" if hides else "floats"
    if depth == "deep" or total <= LITTLE_BYTES:
        of_images = "all"
    decodes: dict[str, Decodes] = {"image": of_images, "label": "all"}
    if depth == "quick":
        decodes = {"image": "none", "label": "none"}
    return {
        path: Task(os.path.join(folder, path), "image" if role == "image" else "label", reader, decodes[role])
        for path, role in paths.items()
    }


def _examine(folder: str, structure: Structure, tasks: Mapping[str, Task], result: Survey, means: Means) -> None:
    cache = Cache(folder, means.environ) if means.caches else None
    known = {}
    if cache is not None:
        known = {path: cache.get(path, structure.stats[path], task) for path, task in tasks.items()}
    reports: dict[str, FileReport] = {path: report for path, report in known.items() if report is not None}
    left = [path for path in tasks if path not in reports]
    sizes = [structure.stats[path][0] for path in left]
    costs = [crew.seconds_of(tasks[path], size) for path, size in zip(left, sizes, strict=True)]
    total, begun, done, spent = sum(costs), time.monotonic(), 0, 0.0

    def take(number: int, report: FileReport) -> None:
        nonlocal done, spent
        path = left[number]
        reports[path] = report
        done += sizes[number]
        spent += costs[number]
        # the listing and the reading may have met two files; the inode is not in a listing of Windows
        if cache is not None and report.status is not None and report.status[:2] == structure.stats[path][:2]:
            cache.put(path, structure.stats[path], tasks[path], report)
        if means.progress is not None:
            means.progress(Progress(len(reports), len(tasks), done, spent / total, time.monotonic() - begun))

    try:
        crew.examine_all([tasks[path] for path in left], sizes, means.processors, take)
    finally:
        result.reports = {path: reports[path] for path in tasks if path in reports}
        if cache is not None:
            cache.save()


def _examine_suspects(folder: str, structure: Structure, description: Description, result: Survey) -> None:
    """Decode the images of labels that hold what only an image can hold: such a label may be a copy."""
    declared = description.declared or frozenset()
    for case in structure.cases:
        report = result.reports.get(case.label or "")
        if report is None or report.tally is None or not report.sums:
            continue
        if sum(value not in declared for value, _ in report.tally.values) < across.COPY_VALUES:
            continue
        for path in case.images.values():
            other = result.reports.get(path)
            if other is not None and not other.sums and _same_voxels(other.header, report.header):
                other.sums = examine(Task(os.path.join(folder, path), "image", str(result.reader), "all")).sums


def _trained_tests(folder: str, structure: Structure, result: Survey) -> None:
    """Name the images of imagesTs that are copies of training images, byte by byte."""
    trained: dict[tuple[int, str], list[str]] = {}
    sizes = set(structure.tests.values())
    for path in (path for case in structure.cases for path in case.images.values()):
        size, report = structure.stats[path][0], result.reports.get(path)
        if size in sizes and report is not None and report.content:
            trained.setdefault((size, report.content), []).append(path)
    of_trained = {size for size, _ in trained}
    for path, size in structure.tests.items():
        if size not in of_trained:
            continue
        report = examine(Task(os.path.join(folder, path), "image", str(result.reader), "none"))
        for other in trained.get((size, report.content), ()):
            if _are_same(folder, str(result.reader), path, other):
                structure.add("test-image-trained", path, f"= {other}")
                break


def _same_voxels(one: Header | None, other: Header | None) -> bool:
    return one is not None and other is not None and (one.shape, one.dtype) == (other.shape, other.dtype)


def _is_never_same(_one: str, _other: str) -> bool:
    """Stand in for a comparison for which there is no time."""
    return False


def _are_same(folder: str, reader: str, one: str, other: str) -> bool:
    """Compare two files whose short fingerprints agree: byte by byte, and if that fails, voxel by voxel.

    Files of one value only, such as channels that were not acquired, are no duplicates.
    """
    first, second = os.path.join(folder, one), os.path.join(folder, other)
    try:
        is_copy = filecmp.cmp(first, second, shallow=False)
    except OSError:
        return False
    report = examine(Task(first, "image", reader, "all"))
    if report.tally is not None and report.tally.lowest == report.tally.highest:
        return False
    return is_copy or report.sums == examine(Task(second, "image", reader, "all")).sums != ""


def _undecided(result: Survey, labels: Collection[str]) -> dict[str, str]:
    """Say which checks cannot be decided at this depth, or because a file could not be decoded."""
    why: dict[str, str] = {}
    if result.depth == "quick":
        why = dict.fromkeys((*ABOUT_LABELS, *ABOUT_IMAGES), "voxels are not decoded with --quick")
    for role, ids in (("label", ABOUT_LABELS), ("image", ABOUT_IMAGES)):
        undecoded = [
            (path, message)
            for path, report in result.reports.items()
            for id, message in report.faults
            if id == "undecoded" and (path in labels) == (role == "label")
        ]
        if undecoded:
            reason = undecoded[0][1]
            paths = [path for path, message in undecoded if message == reason]
            why |= dict.fromkeys(ids, f"not decoded ({', '.join(paths[:3])}): {reason}")
    if not result.is_complete:
        why |= dict.fromkeys(ABOUT_FILES, "the survey was interrupted")
    result.found.pop("undecoded", None)
    return why


ABOUT_LABELS = (
    "label-unexpected",
    "label-empty",
    "label-no-background",
    "class-never-occurs",
    "class-in-one-case",
    "no-foreground",
    "label-is-image",
    "duplicate-label",
)
ABOUT_IMAGES = ("nan", "inf", "extreme-values", "constant-image", "channels-mixed")
ABOUT_FILES = (
    *ABOUT_LABELS,
    *ABOUT_IMAGES,
    "bad-scaling",
    "bad-spacing",
    "channel-count",
    "direction-mismatch",
    "direction-not-orthonormal",
    "duplicate-image",
    "exif-orientation",
    "label-channels",
    "label-float",
    "label-palette",
    "label-wide-dtype",
    "no-orientation",
    "not-3d",
    "not-gzip",
    "not-scalar",
    "orientation-mixed",
    "origin-mismatch",
    "qform-sform",
    "reader-cannot-read",
    "shape-mismatch",
    "shape-outlier",
    "spacing-ambiguous",
    "spacing-file-missing",
    "spacing-mismatch",
    "spacing-outlier",
    "test-image-trained",
    "units",
    "unreadable",
    "wrong-format",
)
"""Checks that cannot be decided when not every file was looked into."""


# --- TIFF ----------------------------------------------------------------------------------------------------------


def _side_files(folder: str, structure: Structure, reports: dict[str, FileReport]) -> None:
    """Read the spacing of 3D TIFFs from the JSON file beside them (nnunetv2/imageio/tif_reader_writer.py)."""
    for case in structure.cases:
        for paths in (list(case.images.values()), [case.label] if case.label else []):
            if not paths:
                continue
            stem = re.sub(r"\.tiff?$", "", paths[0], flags=re.IGNORECASE)
            beside = (stem[:-5] if paths[0] != case.label else stem) + ".json"
            spacing = _spacing_beside(os.path.join(folder, beside), paths[0], beside, structure)
            for path in paths:
                report = reports.get(path)
                if report is not None and report.header is not None and len(report.header.shape) == 3:
                    report.header = msgspec.structs.replace(report.header, spacing=spacing[::-1])


def _spacing_beside(path: str, subject: str, beside: str, structure: Structure) -> tuple[float, ...]:
    """Return the spacing along z, y, x; nnU-Net assumes 1 when there is no file."""
    from nnunet_doctor.probes.jsonfile import read_json

    found = read_json(Path(path))
    if found.state == "missing":
        structure.add("spacing-file-missing", subject, beside)
        return (1.0, 1.0, 1.0)
    spacing = found.content.get("spacing") if isinstance(found.content, dict) else None
    if isinstance(spacing, list) and len(spacing) == 3 and all(_is_length(size) for size in spacing):
        return tuple(float(size) for size in spacing)
    structure.add("bad-spacing", subject, f"{beside}: {found.error or spacing}")
    return (1.0, 1.0, 1.0)


def _is_length(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < float("inf")


# --- another layout ------------------------------------------------------------------------------------------------


def _another_layout(folder: str, structure: Structure) -> None:
    """Tell a BIDS dataset and a folder of DICOM files from a dataset of nnU-Net that lacks something."""
    if "folder-missing" not in structure.found and "no-cases" not in structure.found:
        return
    names = _names(folder)
    subjects = [name for name in names if re.fullmatch(r"sub-[A-Za-z0-9]+", name)]
    if "dataset_description.json" in names or len(subjects) > 1:
        structure.add("dataset-is-bids", ".", ", ".join(subjects[:3]))
    dicom = _first_dicom(folder)
    if dicom:
        structure.add("dataset-is-dicom", ".", dicom)


def _first_dicom(folder: str) -> str:
    """Return a DICOM file of the folder or of those below; empty when the first few files of each are none."""
    looked_at = 0
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names)[:3]:
            looked_at += 1
            path = os.path.join(place, name)
            if os.path.isfile(path):
                with contextlib.suppress(OSError), open(path, "rb") as file:
                    if looks_like(file.read(DICOM_AT + 4)) == "DICOM":
                        return os.path.relpath(path, folder).replace(os.sep, "/")
        if looked_at > MOST_LOOKED_AT:
            break
    return ""
