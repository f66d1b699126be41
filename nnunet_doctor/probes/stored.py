"""The preprocessed cases of a configuration: how they are stored, and which are incomplete or cut."""

from __future__ import annotations

import os
import struct
import time
import zipfile
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nnunet_doctor.facts import Detail

FORMATS = ("npz", "b2nd")

NEWEST = 32
"""So many files are opened, those that were written last: a stop or a full disk cuts what is being written."""

SECONDS_FOR_SIZES = 10.0
"""After that no more files are asked for their size: on a slow network each takes milliseconds."""

MOST_NAMES = 5
"""Strangers of one ending that are named; of more only their number is told."""


@dataclass(frozen=True)
class Stored:
    """What lies in the folder of a configuration.

    Attributes:
        format: npz, b2nd, mixed, empty or missing.
        cases: Names of the cases; None when the format is none.
        incomplete: Cases that lack a file, with those that they lack.
        damaged: Cases with a file that is empty or cut, with file and size.
        strangers: Files that keep nnU-Net from telling the format.
        packed: Cases whose npz has no npy beside it; None for another format.
    """

    format: str
    cases: tuple[str, ...] | None = None
    incomplete: Mapping[str, str] = field(default_factory=dict)
    damaged: Mapping[str, str] = field(default_factory=dict)
    strangers: tuple[Detail, ...] = ()
    packed: int | None = None


def look(folder: Path, *, every: bool = False) -> Stored:
    """Look at a folder, by the endings that nnU-Net itself goes by.

    nnU-Net ignores ``pkl`` and ``npy`` and takes any other ending for the format (nnunet_dataset.infer_dataset_class);
    a case is what has a data file (nnUNetDatasetNumpy, nnUNetDatasetBlosc2: get_identifiers).

    Args:
        folder: The folder of a configuration's cases.
        every: Whether to open every file and not only those that were written last.

    Raises:
        OSError: The folder cannot be listed.
    """
    if not folder.is_dir():
        return Stored("missing")
    with os.scandir(folder) as entries:
        files = {entry.name: entry for entry in entries if entry.is_file()}
    by_ending: dict[str, list[str]] = defaultdict(list)
    for name in files:
        by_ending[name.rpartition(".")[2]].append(name)
    endings = by_ending.keys() - {"pkl", "npy"}
    if not endings:
        return Stored("empty", ())
    if len(endings) > 1 or not endings <= set(FORMATS):
        return Stored("mixed", strangers=_strangers({ending: by_ending[ending] for ending in endings}))
    (ending,) = endings
    cases = [name[: -len(ending) - 1] for name in by_ending[ending] if not name.endswith(f"_seg.{ending}")]
    return Stored(
        ending,
        tuple(sorted(cases)),
        dict(_incomplete(cases, ending, files)),
        dict(_damaged(files.values(), ending, every=every)),
        packed=sum(f"{case}.npy" not in files for case in cases) if ending == "npz" else None,
    )


def parts(case: str, ending: str) -> tuple[str, ...]:
    """Name the files that a case consists of."""
    return (f"{case}.{ending}", f"{case}.pkl") + ((f"{case}_seg.b2nd",) if ending == "b2nd" else ())


def _incomplete(cases: Collection[str], ending: str, files: Collection[str]) -> Iterator[tuple[str, str]]:
    for case in cases:
        lacking = [name for name in parts(case, ending) if name not in files]
        if lacking:
            yield case, ", ".join(lacking)


def _strangers(found: Mapping[str, list[str]]) -> tuple[Detail, ...]:
    """Name what does not belong: all but the more frequent one of the two formats; both where they are mixed."""
    formats = [ending for ending in found if ending in FORMATS]
    listed: list[Detail] = []
    for ending, names in sorted(found.items()):
        if len(formats) == 1 and ending in FORMATS:
            continue
        if len(names) <= MOST_NAMES:
            listed += [Detail(name) for name in sorted(names)]
        else:
            listed.append(Detail(f"*.{ending}", str(len(names))))
    return tuple(listed)


# --- files that are cut --------------------------------------------------------------------------------------------


def _damaged(entries: Collection[os.DirEntry[str]], ending: str, *, every: bool) -> Iterator[tuple[str, str]]:
    """Yield cases with a file that is empty or cut, and which.

    A cut npy is left out: nnU-Net 2.4 and newer unpacks it anew (dataloading/utils.py, _convert_to_npy).
    """
    until = time.monotonic() + SECONDS_FOR_SIZES
    sizes: list[tuple[float, int, str, str]] = []
    for entry in entries:
        if time.monotonic() > until:
            break
        known = entry.stat()
        sizes.append((known.st_mtime, known.st_size, entry.name, entry.path))
    sizes.sort(reverse=True)
    for place, (_, size, name, path) in enumerate(sizes):
        if size == 0:
            yield case_of(name), f"{name}: 0 bytes"
        elif (every or place < NEWEST) and not name.endswith(".npy") and is_cut(path, size, ending):
            yield case_of(name), f"{name}: cut off, {size} bytes"


def case_of(name: str) -> str:
    """Return the case that a file belongs to."""
    stem = name.rpartition(".")[0]
    return stem.removesuffix("_seg") if name.endswith(("_seg.b2nd", "_seg.npy")) else stem


def is_cut(path: str, size: int, ending: str) -> bool:
    """Say whether a stored file ends before its own end; one that cannot be opened is not."""
    kind = path.rpartition(".")[2]
    try:
        if kind == "npz":
            return not zipfile.is_zipfile(path)
        with Path(path).open("rb") as file:
            if kind == "pkl":
                file.seek(-1, os.SEEK_END)
                return file.read(1) != b"."
            return kind == ending == "b2nd" and _frame_is_cut(file.read(24), size)
    except OSError:
        return False


def _frame_is_cut(head: bytes, size: int) -> bool:
    """Compare the length that a frame of Blosc2 declares with that of its file.

    Its head is an array of MessagePack: the name b2frame, the length of the header, the length of the frame (Blosc2
    contiguous frame format). blosc2_schunk_open_offset returns NULL when the file is shorter.
    """
    if head[2:10] != b"b2frame\0" or head[15:16] != b"\xcf":
        return True
    declared: int = struct.unpack_from(">Q", head, 16)[0]
    return declared > size
