"""What is known of files that have not changed since: reports by path, size, time of change and inode.

The cache lies in the user's cache folder, one file for each dataset. Whatever is wrong with it, the answer is that
nothing is known; whatever keeps it from being written, the survey goes on.
"""

from __future__ import annotations

import contextlib
import os
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from nnunet_doctor import __version__
from nnunet_doctor.probes.raw.record import Decodes, FileReport, Role, Task

Status = tuple[int, int, int]
"""Size, time of change in ns, inode."""

MOST_BYTES = 256 * 1024**2
_LEVEL = {"none": 0, "floats": 1, "all": 2}


class _Entry(msgspec.Struct, array_like=True):
    status: Status
    role: Role
    reader: str
    decodes: Decodes
    report: FileReport


class _Document(msgspec.Struct):
    made_by: str
    folder: str
    files: dict[str, _Entry]


class Cache:
    """The reports of one dataset."""

    def __init__(self, folder: str, environ: Mapping[str, str]) -> None:
        """Read what is known of the files of a folder."""
        self.folder = folder
        # two folders of one name overwrite each other's file, which says whose it is
        name = f"{os.path.basename(_plain(folder))[:60]}-{zlib.crc32(os.fsencode(folder)):08x}"
        self.path = cache_folder(environ) / f"{name}.json"
        self.files: dict[str, _Entry] = {}
        self.changed = False
        with contextlib.suppress(OSError, msgspec.MsgspecError, UnicodeError, RecursionError):
            if self.path.is_file() and self.path.stat().st_size <= MOST_BYTES:
                document = msgspec.json.decode(self.path.read_bytes(), type=_Document)
                if document.made_by == maker() and document.folder == _plain(folder):
                    self.files = document.files

    def get(self, path: str, status: Status, task: Task) -> FileReport | None:
        """Return the report of a file that has not changed, if it was examined as deeply."""
        entry = self.files.get(path)
        if entry is None or entry.status != status or (entry.role, entry.reader) != (task.role, task.reader):
            return None
        return entry.report if _LEVEL[entry.decodes] >= _LEVEL[task.decodes] else None

    def put(self, path: str, status: Status, task: Task, report: FileReport) -> None:
        """Remember a report that the same file would give again."""
        if report.stable:
            self.files[path] = _Entry(status, task.role, task.reader, task.decodes, report)
            self.changed = True

    def save(self) -> None:
        """Write what is new; a full disk or a folder without permission is nobody's concern."""
        if not self.changed:
            return
        import tempfile  # when nothing is new, it is not worth its time

        # what is not UTF-8 cannot be written, and is no reason to forget the others
        files = {path: entry for path, entry in self.files.items() if path.isascii() or _is_unicode(path)}
        with contextlib.suppress(OSError, UnicodeError):
            content = msgspec.json.encode(_Document(maker(), _plain(self.folder), files))
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, beside = tempfile.mkstemp(dir=self.path.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(content)
                os.replace(beside, self.path)
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(beside)


def _is_unicode(path: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in path)


def _plain(folder: str) -> str:
    return os.fsencode(folder).decode("utf-8", "backslashreplace")


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Return where this system keeps caches of users."""
    home = environ.get("HOME") or environ.get("USERPROFILE") or os.path.expanduser("~")
    if sys.platform == "win32":
        base = Path(environ.get("LOCALAPPDATA") or Path(home, "AppData", "Local"))
    elif sys.platform == "darwin":
        base = Path(home, "Library", "Caches")
    else:
        base = Path(environ.get("XDG_CACHE_HOME") or Path(home, ".cache"))
    return base / "nnunet-doctor" / "datasets"


def maker() -> str:
    """Name the code that makes reports: another release or another source file makes others."""
    seen = [__version__]
    for folder in (Path(__file__).parent, Path(__file__).parent / "formats"):
        with os.scandir(folder) as found:
            files = sorted((entry.name, entry.stat().st_mtime_ns) for entry in found if entry.name.endswith(".py"))
        seen += [f"{name} {time}" for name, time in files]
    return "; ".join(seen)
