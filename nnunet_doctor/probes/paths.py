"""Facts about the three folders of nnU-Net."""

from __future__ import annotations

import shutil
from pathlib import Path

from nnunet_doctor.facts import Observed, Unknown
from nnunet_doctor.probes.base import Context, Notes

FOLDERS = ("raw", "preprocessed", "results")
GIB = 1024**3


def look(context: Context) -> Notes:
    """Note the facts of area paths. The folders are read as nnU-Net reads them: from the environment."""
    notes = Notes()
    for folder in FOLDERS:
        value = context.environ.get(f"nnUNet_{folder}")
        seen = _look_at(value)
        notes.see(
            f"nnUNet_{folder}",
            **{f"paths__{folder}": value},
            **{f"paths__{folder}_{key}": item for key, item in seen.items()},
        )
    return notes


def _look_at(value: str | None) -> dict[str, Observed]:
    if value is None:
        return dict.fromkeys(("kind", "writable", "real", "free_gib", "filesystem"), None)
    path = Path(value)
    try:
        kind = "folder" if path.is_dir() else "file" if path.exists() else "missing"
        there = nearest_folder(path)
        return {
            "kind": kind,
            "writable": is_writable(path) if kind == "folder" else None,
            "real": str(path.resolve()),
            "free_gib": round(shutil.disk_usage(there).free / GIB, 1),
            "filesystem": filesystem_of(there),
        }
    except (OSError, ValueError, RuntimeError) as error:
        unknown = Unknown(f"{value!r} cannot be looked at: {error}")
        return dict.fromkeys(("kind", "writable", "real", "free_gib", "filesystem"), unknown)


def nearest_folder(path: Path) -> Path:
    """Return the folder, or the nearest one above it that exists."""
    return next((folder for folder in (path, *path.absolute().parents) if folder.is_dir()), Path.cwd())


def is_writable(folder: Path) -> bool:
    """Say whether a file can be made in a folder, by making one that is gone at once."""
    import tempfile

    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def filesystem_of(folder: Path) -> str | None:
    """Name the file system of a folder, by the longest mount point above it."""
    import psutil

    real = folder.resolve()
    mounts = {Path(part.mountpoint): part.fstype for part in psutil.disk_partitions(all=True)}
    return next((mounts[parent] for parent in (real, *real.parents) if mounts.get(parent)), None)
