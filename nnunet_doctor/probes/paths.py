"""Facts about the three folders of nnU-Net."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_doctor.facts import Detail, Observed, Unknown
from nnunet_doctor.probes.base import Context, Notes

if TYPE_CHECKING:
    from psutil._common import sdiskpart

FOLDERS = ("raw", "preprocessed", "results")
GIB = 1024**3

_KEYS = ("kind", "writable", "real", "free_gib", "filesystem", "parent", "refusal", "cloud")


def look(context: Context) -> Notes:
    """Note the facts of area paths. The folders are read as nnU-Net reads them: from the environment."""
    notes = Notes()
    values = {folder: context.environ.get(f"nnUNet_{folder}") for folder in FOLDERS}
    mounts = _mounts() if any(values.values()) else {}
    for folder, value in values.items():
        seen = _look_at(value, mounts, context.environ)
        notes.see(
            f"nnUNet_{folder}",
            **{f"paths__{folder}": value},
            **{f"paths__{folder}_{key}": item for key, item in seen.items()},
        )
    notes.see("os.scandir()", paths__unreadable=_unreadable(values))
    raw = values["raw"]
    level = _level(Path(raw)) if raw is not None and notes.values["paths.raw_kind"] == "folder" else None
    notes.see("names in nnUNet_raw", paths__raw_level=level)
    place = values["preprocessed"]
    notes.see(
        "/sys/class/block", paths__preprocessed_rotational=None if place is None else _rotational(Path(place), mounts)
    )
    notes.see("GetDriveType()", paths__preprocessed_drive=None if place is None else _drive(Path(place)))
    notes.see("names of labels", paths__longest_name=_longest_name(context, values))
    return notes


def _look_at(value: str | None, mounts: Mapping[Path, sdiskpart], environ: Mapping[str, str]) -> dict[str, Observed]:
    if value is None:
        return dict.fromkeys(_KEYS, None)
    path = Path(value)
    try:
        kind = "folder" if path.is_dir() else "file" if path.exists() else "missing"
        there = nearest_folder(path)
        refusal = why_not_writable(path) if kind == "folder" else None
        return {
            "kind": kind,
            "writable": refusal is None if kind == "folder" else None,
            "real": str(path.resolve()),
            "free_gib": round(shutil.disk_usage(there).free / GIB, 1),
            "filesystem": _filesystem(there, mounts),
            "parent": path.absolute().parent.is_dir(),
            "refusal": refusal,
            "cloud": cloud_service(path.absolute(), environ),
        }
    except (OSError, ValueError, RuntimeError) as error:
        unknown = Unknown(f"{value!r} cannot be looked at: {error}")
        return dict.fromkeys(_KEYS, unknown)


def _unreadable(values: Mapping[str, str | None]) -> tuple[Detail, ...] | None:
    """List the folders that nnU-Net would stop at: it looks for datasets in all three, and catches no error.

    Source: nnunetv2/utilities/dataset_name_id_conversion.py, find_candidate_datasets.
    """
    given = {folder: value for folder, value in values.items() if value}
    if not given:
        return None
    found = [(folder, value, why_not_listed(Path(value))) for folder, value in given.items()]
    return tuple(Detail(f"nnUNet_{folder}", f"{value}: {error}") for folder, value, error in found if error is not None)


def why_not_listed(folder: Path) -> str | None:
    """Say why the content of a folder that is there cannot be listed; None when it can, or where there is no folder."""
    try:
        with os.scandir(folder) as entries:
            next(entries, None)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    except OSError as error:
        return error.strerror or str(error)
    return None


def nearest_folder(path: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next((folder for folder in (path, *path.absolute().parents) if folder.is_dir()), Path.cwd())


def is_writable(folder: Path) -> bool:
    """Say whether a file can be made in a folder, by making one that is gone at once."""
    return why_not_writable(folder) is None


def why_not_writable(folder: Path) -> str | None:
    """Say why no file can be made in a folder, by making one that is gone at once; None when one can.

    Returns:
        Name and words of the error, such as ``EDQUOT: Disk quota exceeded``.
    """
    try:
        with _passing_file(folder) as file:
            # a quota refuses the first block, or the end of the file, rather than the file
            file.write(b"\0" * 4096)
    except OSError as error:
        return f"{errno.errorcode.get(error.errno or 0, 'error')}: {error.strerror or error}"
    return None


def _passing_file(folder: Path) -> Any:
    """Open a new file that is removed when it is closed; on Linux it never has a name."""
    import tempfile

    if sys.platform != "win32":
        return tempfile.TemporaryFile(dir=folder)
    # there tempfile takes "access is denied" for a name that is taken, and tries the next one for ever (bpo-22107)
    import secrets

    path = folder / f"nnunet-doctor-{secrets.token_hex(8)}.tmp"
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_BINARY | os.O_TEMPORARY
    return os.fdopen(os.open(path, flags), "r+b")


# --- disks ---------------------------------------------------------------------------------------------------------


def filesystem_of(folder: Path) -> str | None:
    """Name the file system of a folder, by the longest mount point above it."""
    return _filesystem(folder, _mounts())


def _mounts() -> dict[Path, sdiskpart]:
    """Return what is mounted, by the place; of two in one place the last."""
    import psutil

    return {Path(part.mountpoint): part for part in psutil.disk_partitions(all=True)}


def _mount_of(folder: Path, mounts: Mapping[Path, sdiskpart]) -> sdiskpart | None:
    real = folder.resolve()
    return next(
        (mounts[parent] for parent in (real, *real.parents) if parent in mounts and mounts[parent].fstype), None
    )


def _filesystem(folder: Path, mounts: Mapping[Path, sdiskpart]) -> str | None:
    mount = _mount_of(folder, mounts)
    return None if mount is None else str(mount.fstype)


def _rotational(folder: Path, mounts: Mapping[Path, sdiskpart]) -> bool | None:
    if sys.platform != "linux":
        return None
    try:
        mount = _mount_of(nearest_folder(folder), mounts)
        return None if mount is None else is_rotational(mount.device, Path("/"))
    except (OSError, ValueError, RuntimeError):
        return None


_MADE_UP_DISKS = ("QEMU", "VBOX", "VMWARE", "VIRTUAL")


def is_rotational(device: str, root: Path) -> bool | None:
    """Say whether a device lies on a spinning disk, whole or in part; None when that cannot be told.

    Virtual disks and RAID controllers call themselves rotational whatever is behind them, so only a disk that answers
    as an ATA one, and not under the name of a virtual machine, is believed.

    Args:
        device: What is mounted, such as ``/dev/sda1`` or ``/dev/mapper/vg-data``.
        root: The file system's root; tests give another one.
    """
    node = root / device.lstrip("/")
    if not device.startswith("/dev/") or not node.exists():
        return None
    return _spins((root / "sys/class/block" / node.resolve().name).resolve())


def _spins(block: Path) -> bool | None:
    if (block / "partition").exists():
        block = block.parent
    below = sorted((block / "slaves").iterdir()) if (block / "slaves").is_dir() else []
    if below:
        answers = [_spins(part.resolve()) for part in below]
        return True if True in answers else None if None in answers else False
    flag = _word(block / "queue/rotational")
    if flag != "1":
        return False if flag == "0" else None
    model = _word(block / "device/model").upper()
    believed = _word(block / "device/vendor") == "ATA" and not any(name in model for name in _MADE_UP_DISKS)
    return True if believed else None


def _word(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _drive(folder: Path) -> str | None:
    if sys.platform != "win32":
        return None
    import ctypes

    # GetDriveTypeW asks for the root with its backslash; a share of a server is remote by that
    kind = int(ctypes.windll.kernel32.GetDriveTypeW(folder.absolute().anchor))
    return {2: "removable", 3: "fixed", 4: "remote", 5: "optical", 6: "memory"}.get(kind)


# --- names ---------------------------------------------------------------------------------------------------------


def cloud_service(path: Path, environ: Mapping[str, str]) -> str | None:
    """Name the service that keeps a folder in step with a cloud, as far as places and marks of services tell it.

    Args:
        path: The folder, absolute; it need not exist.
        environ: Its variables; OneDrive names its folders in some.
    """
    named = [environ[name] for name in ("OneDrive", "OneDriveConsumer", "OneDriveCommercial") if environ.get(name)]
    if any(path.is_relative_to(folder) for folder in named):
        return "OneDrive"
    parts = path.parts
    for above, part, below in zip(("", *parts), parts, (*parts[1:], ""), strict=False):
        if above == "Library" and part == "Mobile Documents":
            return "iCloud"
        if above == "Library" and part == "CloudStorage" and below:
            return below.partition("-")[0]
    # from Linux and WSL the profile of a Windows user is known by its place only
    if "Users" in parts[:-2]:
        home = parts[parts.index("Users") + 2 :]
        if home and (home[0] == "OneDrive" or home[0].startswith("OneDrive - ")):
            return "OneDrive"
        if home and home[0] == "iCloudDrive":
            return "iCloud"
    marks = {".dropbox": "Dropbox", ".nextcloudsync.log": "Nextcloud", ".owncloudsync.log": "ownCloud"}
    # os.path says no of a folder that may not be entered, where pathlib raises up to Python 3.13
    return next(
        (
            service
            for folder in (path, *path.parents)
            for mark, service in marks.items()
            if os.path.isfile(folder / mark)  # noqa: PTH113
        ),
        None,
    )


def _level(raw: Path) -> str | None:
    try:
        if (raw / "dataset.json").is_file() or (raw / "imagesTr").is_dir():
            return "dataset"
        return "above" if (raw / "nnUNet_raw").is_dir() else None
    except OSError:
        return None


LONG_FOLDER = 100
"""Letters of a folder up to which no name of a case brings a path near the limit of Windows."""


def _longest_name(context: Context, values: Mapping[str, str | None]) -> int | None:
    """Look at names only where the limit may matter: on Windows without long paths, and in long folders."""
    longest = max((len(values[folder] or "") for folder in ("preprocessed", "results")), default=0)
    if sys.platform != "win32" or longest <= LONG_FOLDER or values["raw"] is None or context.request.dataset is None:
        return None
    return longest_label(Path(values["raw"]), context.request.dataset)


def longest_label(raw: Path, dataset: str) -> int | None:
    """Return the length of the longest name in labelsTr of a dataset, given by id or name; None without labels."""
    prefix = f"Dataset{int(dataset):03d}_" if dataset.isdecimal() else dataset
    try:
        folder = next(item for item in sorted(raw.iterdir()) if item.name.startswith(prefix))
        return max((len(item.name) for item in os.scandir(folder / "labelsTr")), default=None)
    except (OSError, StopIteration):
        return None
