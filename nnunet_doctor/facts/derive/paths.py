"""What is wrong with nnU-Net's three folders."""

from __future__ import annotations

import ntpath
import posixpath
import re
from collections.abc import Sequence
from typing import Any

from nnunet_doctor.facts.base import Detail, Unknown
from nnunet_doctor.facts.derive.rules import GIB, first_unknown, is_in, or_none, rule

LEAST_FREE_GIB = {"preprocessed": 5.0, "results": 2.0}
"""Below this a training of any size is at risk: preprocessed cases, and checkpoints with their predictions."""

_FOLDERS = ("raw", "preprocessed", "results")


def _variable(folder: str) -> str:
    return f"nnUNet_{folder}"


_VALUES = tuple(f"paths.{folder}" for folder in _FOLDERS)
_KINDS = tuple(f"paths.{folder}_kind" for folder in _FOLDERS)


@rule("paths.unset", *_VALUES)
def unset(*values: str | None) -> tuple[Detail, ...]:
    """An empty value counts as set for nnU-Net, and its files then go to the working folder."""
    return tuple(
        Detail(_variable(folder), "" if value is None else '""')
        for folder, value in zip(_FOLDERS, values, strict=True)
        if not value
    )


@rule(
    "paths.missing",
    *_VALUES,
    *_KINDS,
    "dataset.raw_matters",
    "paths.preprocessed_parent",
    "paths.results_parent",
    tolerant=True,
)
def missing(*known: Any) -> tuple[Detail, ...] | Unknown:
    """What nnU-Net writes to, it makes itself; only where the folder above is missing too is the path doubtful."""
    values, kinds, (raw_matters, *parents) = known[:3], known[3:6], known[6:]
    unknown = first_unknown(*values, *kinds)
    if unknown is not None:
        return unknown
    found = _of_kind("missing", (*values, *kinds))
    made = {_variable(folder) for folder, parent in zip(_FOLDERS[1:], parents, strict=True) if parent is True}
    if raw_matters is False:
        made.add("nnUNet_raw")
    return tuple(item for item in found if item.subject not in made)


@rule("paths.not_folders", *_VALUES, *_KINDS, "dataset.raw_matters", tolerant=True)
def not_folders(*known: Any) -> tuple[Detail, ...] | Unknown:
    """Where raw data do not matter, nnU-Net passes a file in their place over (find_candidate_datasets)."""
    unknown = next((item for item in known[:6] if isinstance(item, Unknown)), None)
    if unknown is not None:
        return unknown
    found = _of_kind("file", known[:6])
    return tuple(item for item in found if item.subject != "nnUNet_raw") if known[6] is False else found


def _of_kind(wanted: str, known: Sequence[str | None]) -> tuple[Detail, ...]:
    values, kinds = known[:3], known[3:]
    return tuple(
        Detail(_variable(folder), value)
        for folder, value, kind in zip(_FOLDERS, values, kinds, strict=True)
        if value and kind == wanted
    )


@rule(
    "paths.to_write",
    "training.planned",
    "training.fold",
    "dataset.requested",
    "preprocessed.plans_state",
    "preprocessed.data_lacking",
    "preprocessed.splits",
)
def to_write(
    planned: bool, fold: str | None, dataset: str | None, plans: str | None, lacking: bool, splits: int | None
) -> tuple[str, ...]:
    """A training reads preprocessed data; it writes the splits there unless they are there (nnUNetTrainer.do_split)."""
    if not planned:
        return ("preprocessed",) if dataset is not None and plans != "ok" else ()
    prepares = plans != "ok" or lacking or (splits is None and fold != "all")
    return ("preprocessed", "results") if prepares else ("results",)


_SHUT = ("paths.preprocessed_writable", "paths.results_writable")
_REFUSALS = ("paths.preprocessed_refusal", "paths.results_refusal")
_FREE = ("paths.preprocessed_free_gib", "paths.results_free_gib")


@rule("paths.not_writable", "paths.to_write", "paths.preprocessed", "paths.results", *_SHUT, *_REFUSALS)
def not_writable(
    wanted: Sequence[str],
    preprocessed: str | None,
    results: str | None,
    preprocessed_writable: bool | None,
    results_writable: bool | None,
    *refusals: str | None,
) -> tuple[Detail, ...]:
    shut = _shut((preprocessed, results), (preprocessed_writable, results_writable), refusals)
    return tuple(detail for folder, detail in shut.items() if folder in wanted)


@rule(
    "paths.read_only", "paths.to_write", "training.planned", "paths.preprocessed", "paths.results", *_SHUT, *_REFUSALS
)
def read_only(
    wanted: Sequence[str],
    planned: bool,
    preprocessed: str | None,
    results: str | None,
    preprocessed_writable: bool | None,
    results_writable: bool | None,
    *refusals: str | None,
) -> tuple[Detail, ...]:
    """A training that is named, and does not write there, is right with data that others may not change."""
    shut = _shut((preprocessed, results), (preprocessed_writable, results_writable), refusals)
    return () if planned else tuple(detail for folder, detail in shut.items() if folder not in wanted)


def _shut(
    values: Sequence[str | None], writable: Sequence[bool | None], refusals: Sequence[str | None]
) -> dict[str, Detail]:
    """Return the folders that take no files for another reason than a quota."""
    return {
        folder: Detail(_variable(folder), value)
        for folder, value, open_, refusal in zip(_FOLDERS[1:], values, writable, refusals, strict=True)
        if value and open_ is False and not _is_quota(refusal)
    }


def _is_quota(refusal: str | None) -> bool:
    return (refusal or "").startswith(("EDQUOT", "ENOSPC"))


@rule("paths.over_quota", "paths.to_write", "training.planned", *_REFUSALS, *_FREE)
def over_quota(
    wanted: Sequence[str], planned: bool, preprocessed: str | None, results: str | None, *free: float | None
) -> tuple[Detail, ...]:
    """With no room at all the disk is full; with room, a quota or the number of files is what is used up."""
    return tuple(
        Detail(_variable(folder), str(refusal))
        for folder, refusal, gib in zip(_FOLDERS[1:], (preprocessed, results), free, strict=True)
        if _is_quota(refusal)
        and (gib is None or gib >= FULL_GIB or str(refusal).startswith("EDQUOT"))
        and (folder in wanted or not planned)
    )


@rule("paths.same", *_VALUES, "paths.raw_real", "paths.preprocessed_real", "paths.results_real")
def same(*known: str | None) -> tuple[Detail, ...]:
    """Two empty values are unset, not the same."""
    real = [path if value else None for value, path in zip(known[:3], known[3:], strict=True)]
    pairs = [(0, 1), (0, 2), (1, 2)]
    return tuple(
        Detail(f"{_variable(_FOLDERS[a])} = {_variable(_FOLDERS[b])}", str(real[a]))
        for a, b in pairs
        if real[a] is not None and real[a] == real[b]
    )


@rule("paths.awkward", *_VALUES, "platform.os")
def awkward(*known: str | None) -> tuple[Detail, ...]:
    flavour = ntpath if known[3] == "windows" else posixpath
    return tuple(
        Detail(_variable(folder), value)
        for folder, value in zip(_FOLDERS, known[:3], strict=True)
        if value
        and (
            value != value.strip(" \"'\t\r\n")
            or value.startswith(("~", "="))
            or _UNRESOLVED.search(value)
            or not _is_absolute(value, flavour)
        )
    )


_UNRESOLVED = re.compile(r"\$[A-Za-z_{(]|%[A-Za-z_]\w{0,60}%")
"""A variable of the shell inside single quotes, or of cmd where another shell reads it."""


def _is_absolute(value: str, flavour: Any) -> bool:
    drive, rest = flavour.splitdrive(value)
    return bool(flavour.isabs(value)) and (flavour is posixpath or bool(drive) or rest.startswith(("/", "\\")))


@rule("paths.risky", *_VALUES)
def risky(*values: str | None) -> tuple[Detail, ...]:
    return tuple(
        Detail(_variable(folder), value)
        for folder, value in zip(_FOLDERS, values, strict=True)
        if value and (" " in value.strip() or not value.isascii())
    )


FULL_GIB = 0.25
"""Below this not even a checkpoint can be written."""


_SPACE = ("paths.to_write", "training.planned", *_FREE, *_SHUT, *_REFUSALS)


@rule("paths.full", *_SPACE)
def full(wanted: Sequence[str], planned: bool, *known: Any) -> tuple[Detail, ...]:
    """Data that are only read may lie on a full disk, or on one that takes no files at all."""
    return _short_of_space(wanted, planned, known, dict.fromkeys(LEAST_FREE_GIB, FULL_GIB))


@rule("paths.nearly_full", *_SPACE)
def nearly_full(wanted: Sequence[str], planned: bool, *known: Any) -> tuple[Detail, ...]:
    nearly = _short_of_space(wanted, planned, known, LEAST_FREE_GIB)
    return tuple(item for item in nearly if item not in full(wanted, planned, *known))


def _short_of_space(
    wanted: Sequence[str], planned: bool, known: Sequence[Any], least: dict[str, float]
) -> tuple[Detail, ...]:
    free, writable, refusals = known[:2], known[2:4], known[4:]
    return tuple(
        Detail(_variable(folder), f"{gib:.1f} GiB")
        for folder, gib, open_, refusal in zip(_FOLDERS[1:], free, writable, refusals, strict=True)
        if gib is not None
        and gib < least[folder]
        and (folder in wanted if planned else open_ is not False or _is_quota(refusal))
    )


@rule("paths.on_windows_drive", "platform.wsl", *_VALUES, *(f"paths.{folder}_filesystem" for folder in _FOLDERS))
def on_windows_drive(wsl: int | None, *known: str | None) -> tuple[Detail, ...] | None:
    """WSL2 shows Windows drives as 9p or virtiofs, WSL1 as drvfs."""
    if wsl is None:
        return None
    return tuple(
        Detail(_variable(folder), value)
        for folder, value, filesystem in zip(_FOLDERS, known[:3], known[3:], strict=True)
        if value and filesystem in ("9p", "virtiofs", "drvfs", "v9fs")
    )


@rule("paths.preprocessed_on_windows_drive", "paths.on_windows_drive", "platform.wsl")
def preprocessed_on_windows_drive(folders: Sequence[Detail] | None, wsl: int | None) -> bool | None:
    """WSL1 hands what is read over by the kernel of Windows, without a border between machines."""
    return None if folders is None else wsl == 2 and any(item.subject == "nnUNet_preprocessed" for item in folders)


@rule("paths.non_ascii", *_VALUES)
def non_ascii(*values: str | None) -> tuple[Detail, ...]:
    return tuple(
        Detail(_variable(folder), value)
        for folder, value in zip(_FOLDERS, values, strict=True)
        if value and not value.isascii()
    )


@rule(
    "paths.unencodable",
    "paths.preprocessed",
    "preprocessed.folder",
    "platform.file_encoding",
    "python.version",
    "training.fold",
    tolerant=True,
)
def unencodable(
    value: str | None | Unknown,
    folder: str | None | Unknown,
    encoding: str | Unknown,
    python: str | Unknown,
    fold: str | None | Unknown,
) -> tuple[Detail, ...] | Unknown:
    """The log names the splits file unless the fold is 'all' (nnUNetTrainer.do_split, print_to_log_file).

    Python 3.15 opens text files as UTF-8 whatever the system says (PEP 686).
    """
    if isinstance(value, Unknown):
        return value
    path = (or_none(folder) or value) if value else None
    if path is None or path.isascii() or fold == "all":
        return ()
    if isinstance(encoding, Unknown):
        return encoding
    if isinstance(python, str) and is_in(python, ">=3.15.dev0") is True:
        encoding = "utf-8"
    try:
        path.encode(encoding)
    except UnicodeEncodeError:
        return (Detail("nnUNet_preprocessed", path),)
    return ()


@rule("paths.synced", "paths.preprocessed_cloud", "paths.results_cloud")
def synced(*services: str | None) -> tuple[Detail, ...]:
    return tuple(
        Detail(_variable(folder), service)
        for folder, service in zip(_FOLDERS[1:], services, strict=True)
        if service is not None
    )


_OF_ANOTHER_MACHINE = frozenset(
    (
        *("nfs", "nfs3", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "afpfs", "afs", "ncpfs", "sshfs", "davfs"),
        *("webdav", "glusterfs", "vboxsf", "prl_fs", "vmhgfs", "fakeowner", "fuse.sshfs", "fuse.rclone", "fuse.drive"),
        *("fuse.gcsfuse", "fuse.s3fs", "fuse.goofys", "fuse.mountpoint-s3", "fuse.blobfuse", "fuse.blobfuse2"),
        *("fuse.glusterfs", "fuse.davfs2", "fuse.onedriver", "fuse.google-drive-ocamlfuse", "fuse.vmhgfs-fuse"),
        *("fuse.grpcfuse", "fuse.osxfs"),
    )
)
"""File systems over a network, or shared by the host of a virtual machine; Lustre, GPFS, BeeGFS, CephFS and their like
are made for such reading."""


@rule(
    "paths.on_network", "paths.preprocessed", "paths.preprocessed_filesystem", "paths.preprocessed_drive", tolerant=True
)
def on_network(
    value: str | None | Unknown, filesystem: str | None | Unknown, drive: str | None | Unknown
) -> bool | Unknown:
    """Windows names the file system of the server (NTFS) for a drive that lies on one."""
    if drive == "remote" or filesystem in _OF_ANOTHER_MACHINE:
        return True
    if value is None:
        return False
    return filesystem if isinstance(filesystem, Unknown) else False


@rule("paths.lost_with_container", "platform.container", "paths.results_filesystem", tolerant=True)
def lost_with_container(container: str | None | Unknown, filesystem: str | None | Unknown) -> bool | Unknown:
    """Apptainer keeps an overlay in a file that the user names; the others remove their layer with the container."""
    if container is None or container == "apptainer" or filesystem is None:
        return False
    if isinstance(container, Unknown):
        return container
    return (
        filesystem
        if isinstance(filesystem, Unknown)
        else filesystem in ("overlay", "aufs", "fuse-overlayfs", "fuse.fuse-overlayfs")
    )


LOG_NAME = "training_log_2026_1_1_00_00_00.txt"
"""The shortest name of the log in the folder of a fold (nnUNetTrainer.__init__)."""


@rule(
    "paths.longest",
    "training.folder",
    "preprocessed.data_folder",
    "paths.longest_name",
    "dataset.file_ending",
    tolerant=True,
)
def longest(
    results: str | None | Unknown,
    preprocessed: str | None | Unknown,
    name: int | None | Unknown,
    ending: str | None | Unknown,
) -> int | None | Unknown:
    """Measure the log of the fold and, where the longest name is known, predictions and preprocessed data of that case.

    Predictions keep the ending of the labels; preprocessed cases have at least 4 letters of ending (.pkl, .npz).
    """
    if results is None or isinstance(results, Unknown):
        return results
    found = [len(results) + 1 + len(LOG_NAME)]
    if isinstance(name, int):
        found.append(len(results) + len("/validation/") + name)
        if isinstance(preprocessed, str) and isinstance(ending, str):
            found.append(len(preprocessed) + 1 + name - len(ending) + 4)
    return max(found)


@rule("paths.redirected", "paths.preprocessed", "paths.results", "python.store", tolerant=True)
def redirected(
    preprocessed: str | None | Unknown, results: str | None | Unknown, store: bool | None | Unknown
) -> tuple[Detail, ...] | Unknown:
    """Windows keeps what an app of the Store writes below AppData in the folder of the app, and deletes it with it."""
    below = {"preprocessed": preprocessed, "results": results}
    found = tuple(
        Detail(_variable(folder), value)
        for folder, value in below.items()
        if isinstance(value, str) and "\\appdata\\" in value.lower().replace("/", "\\")
    )
    if not found:
        return next((value for value in below.values() if isinstance(value, Unknown)), ())
    if isinstance(store, Unknown):
        return store
    return found if store is True else ()


STORED = 0.5
"""Share of its size that a case takes when it is stored; blosc2 and npz leave no more of CT and MR volumes."""


@rule(
    "paths.disk_read_often",
    "paths.preprocessed_rotational",
    "preprocessed.all_voxels",
    "preprocessed.channels",
    "resources.memory_available_gib",
    tolerant=True,
)
def disk_read_often(
    spins: bool | None | Unknown,
    voxels: int | None | Unknown,
    channels: int | None | Unknown,
    memory: float | Unknown,
) -> bool | None | Unknown:
    """What was read once stays in memory while there is room, so that only larger data are read in every epoch."""
    if spins is None or isinstance(spins, Unknown) or not spins or voxels is None or channels is None:
        return spins if spins is None or isinstance(spins, Unknown) else False
    if (unknown := first_unknown(voxels, channels, memory)) is not None:
        return unknown
    if not isinstance(voxels, int) or not isinstance(channels, int) or not isinstance(memory, float):
        return False
    return STORED * voxels * (4 * channels + 2) / GIB > memory
