"""Which files of a raw dataset belong to which case, by the rules of nnU-Net, and what falls outside of them.

nnU-Net takes every file that ends in file_ending, cuts the ending and five characters (_0000) off, and calls the rest a
case (nnunetv2/utilities/utils.py, get_identifiers_from_splitted_dataset_folder). So a name that is only slightly wrong
becomes another case, or none.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import stat
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nnunet_doctor.probes.raw.description import Description, Listed
from nnunet_doctor.probes.raw.examine import FORMATS, ending_of
from nnunet_doctor.probes.raw.source import READ_ERROR, kind_of

IMAGES, LABELS, TEST = "imagesTr", "labelsTr", "imagesTs"

FLAT = (".png", ".bmp", ".tif", ".tiff")
"""Formats whose files may hold several channels (RGB), so that names alone do not tell how many there are."""

FOREIGN = {*FORMATS, ".jpg", ".jpeg", ".dcm", ".nii.bz2", ".hdr", ".img", ".mhd", ".nhdr", ".npy", ".npz", ".gif"}
"""Endings of images; what has another one (README.md, Thumbs.db, CASE.json) is nobody's mistake."""

UNLISTED = "the folder cannot be listed"
FOLDS = 5
MOST_MISSING = 20
MOST_LETTERS = 100
_FORBIDDEN = re.compile(r'[<>:"\\|?*\x00-\x1f\x7f]')

Found = dict[str, list[tuple[str, str]]]
"""Subjects and particulars by id of check."""


@dataclass(frozen=True)
class Case:
    """A case: the files of its channels by number, and its label; paths relative to the dataset, or absolute."""

    id: str
    images: Mapping[int, str]
    label: str | None


@dataclass
class Structure:
    """The cases of a dataset and what is wrong with names and folders.

    Attributes:
        cases: In the order of their ids.
        lost: How many cases there are besides, whose image is there but not as nnU-Net wants it.
        found: Faults by id of check.
        stats: (size, mtime in ns, inode) of each file of a case, by its path.
        endings: How many files there are of each ending of imagesTr.
        tests: Size of each image of imagesTs, by its path.
    """

    cases: list[Case] = field(default_factory=list)
    lost: int = 0
    found: Found = field(default_factory=dict)
    stats: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    endings: dict[str, int] = field(default_factory=dict)
    tests: dict[str, int] = field(default_factory=dict)

    def add(self, id: str, subject: str, message: str = "") -> None:
        """Note a fault."""
        self.found.setdefault(id, []).append((subject, message))

    def note(self, entry: _Entry) -> None:
        """Remember size, time and inode of a file of a case."""
        if entry.status is not None:
            self.stats[entry.path] = entry.status


@dataclass(frozen=True)
class _Entry:
    """Something in a folder: size, mtime and inode of a regular file, or what it is instead, as a fault."""

    name: str
    path: str
    status: tuple[int, int, int] | None
    fault: tuple[str, str] = ("not-a-file", "")

    @property
    def is_file(self) -> bool:
        return self.status is not None


def arrange(folder: str, description: Description) -> Structure:
    """Look at the folders of a dataset."""
    structure = Structure()
    if description.listed is not None:
        _listed_cases(folder, description.listed, (description.file_ending or "").lower(), structure)
        _listed_channels(description.listed, description, structure)
        entries = (description.content or {}).get("dataset", description.listed)
        structure.lost = len(entries) - len(structure.cases)
        _compare_numbers(description, len(entries), structure)
    else:
        _folder_cases(folder, description, structure)
    _awkward_ids(structure)
    # a case whose image or label has to be mended is one nevertheless
    if structure.cases and len(structure.cases) + structure.lost < FOLDS:
        structure.add("cases-few", IMAGES, f"{len(structure.cases) + structure.lost}")
    return structure


def arrange_images(folder: str, ending: str, channels: int | None) -> Structure:
    """Look at a folder of images to predict: the same names, no labels."""
    structure = Structure()
    entries = _entries(folder, "")
    if entries is None:
        structure.add(*_no_entries(folder, "", os.path.basename(folder)))
        return structure
    images = _Images(ending, channels, structure)
    images.take(entries)
    structure.cases = [Case(id, files, None) for id, files in sorted(images.cases.items())]
    if not structure.cases:
        structure.add("no-cases", ".", _endings_in_words(structure.endings, ending))
    _awkward_ids(structure)
    return structure


# --- cases that dataset.json lists ---------------------------------------------------------------------------------


def _listed_cases(folder: str, listed: Mapping[str, Listed], ending: str, structure: Structure) -> None:
    for id, entry in listed.items():
        images = {number: _resolved(folder, path) for number, path in enumerate(entry.images)}
        label = _resolved(folder, entry.label)
        there = {}
        for written, path in zip((*entry.images, entry.label), (*images.values(), label), strict=True):
            there[path] = _note_listed(folder, path, written, id, structure)
        if there[label] and not _may_be_called(label, ending):
            structure.add("wrong-file-ending", label, ending_of(label))
        found = {number: path for number, path in images.items() if there[path]}
        if found:
            structure.cases.append(Case(id, found, label if there[label] else None))
    if not structure.cases:
        structure.add("no-cases", "dataset.json", "dataset")


def _may_be_called(label: str, ending: str) -> bool:
    """Say whether a label can be read under another ending: preprocessing copies it to CASE with file_ending.

    ITK reads a .nii that is called .nii.gz, and nothing else under another name (nnU-Net's plan_and_preprocess_api.py,
    preprocess_dataset; tried with SimpleITK 2.5).
    """
    kind = ending_of(label)
    return ending not in FORMATS or kind == ending or (kind == ".nii" and ending == ".nii.gz")


def _listed_channels(listed: Mapping[str, Listed], description: Description, structure: Structure) -> None:
    wanted = len(description.channels or ())
    for case in structure.cases:
        first, count = case.images[min(case.images)], len(listed[case.id].images)
        if not wanted or first.lower().endswith(FLAT):
            continue
        if count < wanted:
            structure.add("channel-missing", first, f"{case.id}: {count} of {wanted} channels")
        for channel, path in case.images.items():
            if channel >= wanted:
                structure.add("channel-extra", path, f"{case.id}: {count} of {wanted} channels")


def _resolved(folder: str, path: str) -> str:
    """Follow nnU-Net: variables are expanded, relative paths start at the dataset."""
    expanded = os.path.expandvars(path)
    whole = os.path.abspath(os.path.join(folder, expanded))
    inside = os.path.relpath(whole, folder) if os.path.splitdrive(whole)[0] == os.path.splitdrive(folder)[0] else whole
    return whole.replace(os.sep, "/") if inside.startswith("..") else inside.replace(os.sep, "/")


def _note_listed(folder: str, path: str, written: str, id: str, structure: Structure) -> bool:
    whole = os.path.join(folder, path)
    try:
        status = os.stat(whole)
    except (OSError, ValueError):
        is_link = "\0" not in whole and os.path.islink(whole)
        structure.add("broken-link" if is_link else "json-path", path, written if is_link else id)
        return False
    if not stat.S_ISREG(status.st_mode):
        structure.add("not-a-file", path, kind_of(status.st_mode))
        return False
    structure.stats[path] = (status.st_size, status.st_mtime_ns, status.st_ino)
    return True


# --- cases by the names of files -----------------------------------------------------------------------------------


def _folder_cases(folder: str, description: Description, structure: Structure) -> None:
    images_there, labels_there = _entries(folder, IMAGES), _entries(folder, LABELS)
    for name, there in ((IMAGES, images_there), (LABELS, labels_there)):
        if there is None:
            structure.add(*_no_entries(folder, name, name, _similar_folder(folder, name)))
    ending = description.file_ending or _most_common_ending(images_there or [])
    channels = len(description.channels) if description.channels is not None else None
    images = _Images(ending, channels, structure)
    images.take(images_there or [])
    labels = _Labels(ending, images, structure)
    labels.take(labels_there if labels_there is not None and images_there is not None else [])
    structure.cases = [Case(id, files, labels.files.get(id)) for id, files in sorted(images.cases.items())]
    if labels_there is not None:
        for case in structure.cases:
            if case.label is None and case.id not in labels.spoilt:
                structure.add("label-missing", f"{LABELS}/{case.id}{ending}")
    if images_there is not None and not structure.cases:
        structure.add("no-cases", IMAGES, _endings_in_words(structure.endings, ending))
    structure.lost = len(images.lost - set(images.cases))
    _compare_numbers(description, len(structure.cases) + structure.lost, structure)
    _test_images(folder, ending, channels, structure)


def _entries(folder: str, name: str) -> list[_Entry] | None:
    """List a folder by name; None when it is not there or is none."""
    try:
        with os.scandir(os.path.join(folder, name)) as found:
            prefix = f"{name}/" if name else ""
            entries = [_entry(entry, prefix + entry.name) for entry in found]
    except OSError:
        return None
    return sorted(entries, key=lambda entry: entry.name)


def _no_entries(folder: str, name: str, subject: str, message: str = "") -> tuple[str, str, str]:
    """Say why a folder could not be listed."""
    if os.path.isdir(os.path.join(folder, name)):
        return "unreadable", subject, f"{READ_ERROR} {UNLISTED}"
    return "folder-missing", subject, message


def _entry(entry: os.DirEntry[str], path: str) -> _Entry:
    try:
        status = entry.stat()
    except OSError as error:
        fault = ("unreadable", f"{READ_ERROR} {error.strerror or error}")
        with contextlib.suppress(OSError):
            if entry.is_symlink() and error.errno != errno.EACCES:  # a link to nothing, or a loop of links
                target = os.fsencode(os.readlink(entry.path)).decode("utf-8", "backslashreplace")
                fault = ("broken-link", f"-> {target}")
        return _Entry(entry.name, path, None, fault)
    if not stat.S_ISREG(status.st_mode):
        return _Entry(entry.name, path, None, ("not-a-file", kind_of(status.st_mode)))
    return _Entry(entry.name, path, (status.st_size, status.st_mtime_ns, status.st_ino))


class _Images:
    """Sorts the files of imagesTr into cases and channels."""

    def __init__(self, ending: str, channels: int | None, structure: Structure) -> None:
        self.ending, self.channels, self.structure = ending, channels, structure
        self.cases: dict[str, dict[int, str]] = {}
        self.spoilt: set[str] = set()
        """Possible ids of cases whose image is there, but not as nnU-Net wants it; their labels are no orphans."""
        self.lost: set[str] = set()
        """One id for each of these cases."""
        self.pattern = re.compile(rf"(?P<case>.+)_(?P<channel>\d{{4}}){re.escape(ending)}", re.DOTALL)

    def take(self, entries: Sequence[_Entry]) -> None:
        beside = _nii_beside_gz(entries, self.ending, self.structure)
        for entry in entries:
            if entry.name not in beside:
                self._take(entry)
        self._channels()

    def _take(self, entry: _Entry) -> None:
        name, structure = entry.name, self.structure
        kind = ending_of(name)
        if entry.is_file and kind in FOREIGN:
            structure.endings[kind] = structure.endings.get(kind, 0) + 1
        if not name.endswith(self.ending):
            if kind in FOREIGN and not name.startswith("."):
                structure.add("wrong-file-ending", entry.path, name[len(name) - len(kind) :])
                self._spoil(name[: len(name) - len(kind)])
            return
        if name.startswith("."):
            if entry.is_file:
                structure.add("hidden-file", entry.path)
            return
        match = self.pattern.fullmatch(name)
        if not entry.is_file:
            self._spoil(name[: -len(self.ending)])
            structure.add(entry.fault[0], entry.path, entry.fault[1])
        elif match is None:
            structure.add("bad-image-name", entry.path)
            self._spoil(name[: -len(self.ending)])
        else:
            self.cases.setdefault(match["case"], {})[int(match["channel"])] = entry.path
            structure.note(entry)

    def _spoil(self, stem: str) -> None:
        """Note a case whose image is not as nnU-Net wants it; its label may be named with or without a last number."""
        short = re.sub(r"_\d+$", "", stem)
        self.spoilt |= {stem, short, stem[:-5]}
        self.lost.add(short if re.search(r"_\d{4}$", stem) else stem)

    def _channels(self) -> None:
        numbers = {frozenset(files) for files in self.cases.values()}
        if len(self.cases) > 1 and len(numbers) == 1 and self.channels == len(next(iter(numbers))):
            # from 1, for instance: nnU-Net goes by the order of the files, and by how many there are
            for files in self.cases.values():
                paths = [files[number] for number in sorted(files)]
                files.clear()
                files.update(enumerate(paths))
            return
        for id, files in self.cases.items():
            count = self.channels
            if count is None or self.ending.lower() not in FORMATS:
                continue
            if id not in self.spoilt:
                self._missing(files, max(files) if self.ending.lower() in FLAT else count)
            for channel, path in files.items():
                if channel >= (self.channels or 0):
                    self.structure.add("channel-extra", path, f"{channel:04d}")

    def _missing(self, files: Mapping[int, str], count: int) -> None:
        """Name the first few files that are not there; of formats that hold several channels, count to the last one."""
        stem = next(iter(files.values()))[: -len(self.ending) - 4]
        missing = list(itertools.islice((channel for channel in range(count) if channel not in files), MOST_MISSING))
        left = count - sum(channel < count for channel in files) - len(missing)
        for channel in missing:
            more = f"and {left} more" if left and channel == missing[-1] else ""
            self.structure.add("channel-missing", f"{stem}{channel:04d}{self.ending}", more)


def _nii_beside_gz(entries: Sequence[_Entry], ending: str, structure: Structure) -> set[str]:
    """Note each .nii.gz with a .nii of the same name beside it, and return the names of the latter."""
    if ending != ".nii.gz":
        return set()
    names = {entry.name for entry in entries}
    beside = [entry for entry in entries if entry.name.endswith(".nii") and f"{entry.name}.gz" in names]
    for entry in beside:
        structure.add("nii-beside-gz", f"{entry.path}.gz", entry.path)
    return {entry.name for entry in beside}


class _Labels:
    """Sorts the files of labelsTr to the cases."""

    def __init__(self, ending: str, images: _Images, structure: Structure) -> None:
        self.ending, self.images, self.structure = ending, images, structure
        self.files: dict[str, str] = {}
        self.spoilt: set[str] = set()
        """Cases whose label is there, but not as nnU-Net wants it."""

    def take(self, entries: Sequence[_Entry]) -> None:
        beside = _nii_beside_gz(entries, self.ending, self.structure)
        for entry in entries:
            if entry.name not in beside:
                self._take(entry)

    def _take(self, entry: _Entry) -> None:
        name, structure = entry.name, self.structure
        kind = ending_of(name)
        if not name.endswith(self.ending):
            if kind in FOREIGN and not name.startswith("."):
                structure.add("wrong-file-ending", entry.path, name[len(name) - len(kind) :])
                self.spoilt.add(name[: len(name) - len(kind)])
            return
        id = name[: -len(self.ending)]
        if name.startswith("."):
            if entry.is_file:
                structure.add("hidden-file", entry.path)
        elif not entry.is_file:
            self.spoilt.add(id)
            structure.add(entry.fault[0], entry.path, entry.fault[1])
        elif id in self.images.cases:
            self.files[id] = entry.path
            structure.note(entry)
        elif re.fullmatch(r".+_\d{4}", id) and (id[:-5] in self.images.cases or id[:-5] in self.images.spoilt):
            structure.add("bad-image-name", entry.path)
            self.spoilt.add(id[:-5])
        elif id not in self.images.spoilt:
            structure.add("label-orphan", entry.path)


def _similar_folder(folder: str, wanted: str) -> str:
    try:
        with os.scandir(folder) as found:
            names = sorted(entry.name for entry in found if entry.is_dir() and not entry.name.startswith("."))
    except OSError:
        return ""
    stem = wanted[:-2].rstrip("s").lower()
    return ", ".join(name for name in names if name.lower().startswith(stem) and name not in (IMAGES, LABELS, TEST))


def _most_common_ending(entries: Iterable[_Entry]) -> str:
    """What file_ending should have said."""
    kinds = [ending_of(entry.name) for entry in entries if entry.is_file and not entry.name.startswith(".")]
    known = [kind for kind in kinds if kind in FORMATS]
    return max(set(known), key=lambda kind: (known.count(kind), kind)) if known else ".nii.gz"


def _endings_in_words(endings: Mapping[str, int], wanted: str) -> str:
    there = ", ".join(f"{count} x {kind}" for kind, count in sorted(endings.items()))
    return f"{there}; file_ending {wanted}" if there else f"file_ending {wanted}"


def _compare_numbers(description: Description, meant: int, structure: Structure) -> None:
    """Compare numTraining with the cases; what is wrong with names is said there and not again here."""
    wanted, cases = description.cases, len(structure.cases)
    if wanted is not None and wanted not in (cases, meant) and cases:
        structure.add("num-training", "dataset.json", f"numTraining {wanted}; cases found: {cases}")


def _test_images(folder: str, ending: str, channels: int | None, structure: Structure) -> None:
    entries = _entries(folder, TEST)
    if not entries:
        return
    apart = Structure()
    images = _Images(ending, channels, apart)
    images.take(entries)
    for id, items in apart.found.items():
        for subject, message in items:
            structure.add("test-images", subject, f"{id}: {message}" if message else id)
    structure.tests = {path: size for path, (size, _, _) in apart.stats.items()}


def _awkward_ids(structure: Structure) -> None:
    by_form: dict[str, str] = {}
    for case in structure.cases:
        why = _awkwardness(case.id)
        path = next(iter(case.images.values()))
        if why:
            structure.add("id-awkward", path, why)
        form = unicodedata.normalize("NFC", case.id).casefold() if not case.id.isascii() else case.id.lower()
        first = by_form.setdefault(form, path)
        if first != path:
            structure.add("id-collision", path, first)


def _awkwardness(id: str) -> str:
    if id != id.strip() or id.endswith("."):
        return "blank or dot at an end"
    forbidden = _FORBIDDEN.search(id)
    if forbidden:
        return f"{forbidden.group()!r}"
    if any("\ud800" <= letter <= "\udfff" for letter in id):
        return "not UTF-8"
    if id.endswith("_seg"):
        # nnUNetDatasetBlosc2.get_identifiers takes CASE_seg.b2nd for the segmentation of CASE and drops the case
        return "ends in _seg"
    return f"name of {len(id)} letters" if len(id) > MOST_LETTERS else ""
