"""A copy of a folder that is spoilt again and again: to put back what was changed takes a tenth of a new copy's time."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path


def contents(folder: Path) -> dict[str, str]:
    """Return a fingerprint of every file below a folder, links by their target."""
    return {
        path.relative_to(folder).as_posix(): (
            f"-> {path.readlink()}" if path.is_symlink() else hashlib.sha256(path.read_bytes()).hexdigest()
        )
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


class Copy:
    """A copy of a folder that stays as it is."""

    def __init__(self, clean: Path, folder: Path) -> None:
        """Copy a folder to a place that there is not yet."""
        self.clean, self.folder = clean, Path(shutil.copytree(clean, folder, symlinks=True))
        self._before = contents(clean)

    def mend(self) -> set[str]:
        """Make it what it was, and return the names of the files that were not."""
        after = contents(self.folder)
        changed = {name for name in self._before.keys() | after.keys() if self._before.get(name) != after.get(name)}
        for name in sorted(changed):  # what stands for a folder before the files in it
            self._put_back(name)
        for folder, inner, files in os.walk(self.folder, topdown=False):
            for path in (Path(folder, name) for name in (*inner, *files)):
                if not os.path.lexists(self.clean / path.relative_to(self.folder)):
                    path.rmdir() if _is_folder(path) else path.unlink()
        return changed

    def _put_back(self, name: str) -> None:
        for above in reversed(Path(name).parents[:-1]):  # a file or a link may have taken the place of a folder
            if _is_folder(self.clean / above) and not _is_folder(self.folder / above):
                (self.folder / above).unlink(missing_ok=True)
        path = self.folder / name
        if _is_folder(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            path.unlink()
        if os.path.lexists(self.clean / name) and not _is_folder(self.clean / name):
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self.clean / name, path, follow_symlinks=False)
