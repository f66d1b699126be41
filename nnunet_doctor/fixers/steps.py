"""The kinds of steps: each is one or two renames, and shows by where the files are how far it has come."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

FOLDER = ".nnunet-doctor-fix"
"""In the dataset; nnU-Net looks into imagesTr, labelsTr and imagesTs only."""

KEPT, STAGED = f"{FOLDER}/originals", f"{FOLDER}/staged"

Moves = tuple[tuple[str, str], ...]
"""Old and new name, relative to the dataset; the new one is free when its turn comes."""


def kept(number: int) -> str:
    """Return where a step keeps the original."""
    return f"{KEPT}/{number}"


def staged(number: int) -> str:
    """Return where the new content of a step waits."""
    return f"{STAGED}/{number}"


class Step(Protocol):
    """A change of one file. ``number`` is its place in the journal."""

    @property
    def path(self) -> str:
        """The file that is there before, or else after."""

    def moves(self, number: int) -> Moves:
        """Return the renames that make it."""

    def done(self, dataset: Path, number: int) -> int:
        """Return how many of them have been made."""


@dataclass(frozen=True)
class Rename:
    """A file gets another name in its folder."""

    old: str
    new: str

    @property
    def path(self) -> str:
        """The old name."""
        return self.old

    def moves(self, number: int) -> Moves:
        """Return one rename; two where a file system that ignores case would take both names for one."""
        if self._differs_by_case:
            return (self.old, kept(number)), (kept(number), self.new)
        return ((self.old, self.new),)

    def done(self, dataset: Path, number: int) -> int:
        """Look whether the old name is still there, spelt exactly so."""
        if is_there(dataset, kept(number)):
            return 1
        there = is_there(dataset, self.old)
        if there and self._differs_by_case:
            whole = dataset / self.old
            there = any(item.name == whole.name for item in whole.parent.iterdir())
        return 0 if there else len(self.moves(number))

    @property
    def _differs_by_case(self) -> bool:
        return self.old.casefold() == self.new.casefold()


@dataclass(frozen=True)
class Replace:
    """A file gets new content; the original is kept."""

    path: str

    def moves(self, number: int) -> Moves:
        """Return two renames: the original goes, the new one comes."""
        return (self.path, kept(number)), (staged(number), self.path)

    def done(self, dataset: Path, number: int) -> int:
        """Look whether the new content still waits."""
        if is_there(dataset, staged(number)):
            return int(is_there(dataset, kept(number)))
        return 2


@dataclass(frozen=True)
class Write:
    """A file comes that was not there."""

    path: str

    def moves(self, number: int) -> Moves:
        """Return one rename."""
        return ((staged(number), self.path),)

    def done(self, dataset: Path, number: int) -> int:
        """Look whether the content still waits."""
        return int(not is_there(dataset, staged(number)))


@dataclass(frozen=True)
class MoveOut:
    """A file goes out of the dataset, into the folder of originals."""

    path: str

    def moves(self, number: int) -> Moves:
        """Return one rename."""
        return ((self.path, kept(number)),)

    def done(self, dataset: Path, number: int) -> int:
        """Look whether it has arrived."""
        return int(is_there(dataset, kept(number)))


KINDS: Mapping[str, type[Rename | Replace | Write | MoveOut]] = {
    "rename": Rename,
    "replace": Replace,
    "write": Write,
    "move out": MoveOut,
}


def to_record(step: Step) -> dict[str, str]:
    """Return a step as JSON has it."""
    kind = next(name for name, kind in KINDS.items() if isinstance(step, kind))
    return {"step": kind, **asdict(step)}  # type: ignore[call-overload]


def from_record(record: Mapping[str, Any], dataset: Path) -> Step:
    """Return a step that was written down.

    Raises:
        ValueError: It is none, or it would reach out of the dataset.
    """
    fields = {str(name): value for name, value in record.items() if name != "step"}
    try:
        step: Step = KINDS[record["step"]](**fields)
    except (KeyError, TypeError):
        raise ValueError(f"{record} is no step") from None
    for path in fields.values():
        if not isinstance(path, str) or not is_inside(dataset, path):
            raise ValueError(f"{path!r} is outside of the dataset")
    return step


# --- the file system -----------------------------------------------------------------------------------------------


def is_there(dataset: Path, path: str) -> bool:
    """Say whether a name is taken, be it by a link to nothing."""
    return os.path.lexists(dataset / path)


def is_inside(dataset: Path, path: str) -> bool:
    """Say whether a path stays in the dataset and on its file system, also when links of folders are followed."""
    if not path or "\0" in path or ".." in Path(path).parts or Path(path).anchor:
        return False
    folder, top = (dataset / path).parent, dataset.resolve()
    try:
        real = folder.resolve()
        return (real == top or top in real.parents) and folder.stat().st_dev == top.stat().st_dev
    except (OSError, RuntimeError):  # no such folder, a loop of links
        return False


def is_plain(dataset: Path, path: str) -> bool:
    """Say whether a path is a regular file and no link."""
    try:
        return stat.S_ISREG((dataset / path).lstat().st_mode)
    except OSError:
        return False


def move(dataset: Path, old: str, new: str) -> None:
    """Rename a file to a name that is free, and see that the disk knows.

    Raises:
        OSError: The name is taken, or the system refuses.
    """
    source, target = dataset / old, dataset / new
    if os.path.lexists(target):  # POSIX would replace it
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    source.rename(target)
    for folder in {target.parent, source.parent}:
        sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """See that the names in a folder are on the disk, where the system can say so (Windows does it by itself)."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        pass
    finally:
        os.close(handle)
