"""What is to be done is written down before anything is done, and can be undone until it is committed.

Beside the originals and the staged files lies ``journal.jsonl``, a line for each round of changes. A line is written,
and known to be on the disk, when all new content of its round is; only then do files change places. Nothing is written
from there on: how far a round has come is seen from where its files are (``steps``), and a disk that is full by then
hinders neither the rest nor the way back. States, by what is there after a kill:

    no line           nothing of the dataset was touched; what was staged is swept away
    a line, all or some of its steps not made: roll back from the last step on, then drop the line
    a line, all of its steps made: applied; ``undo`` rolls back all rounds, ``commit`` deletes the originals
    committed.jsonl   a commit was begun; only deleting is left
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nnunet_doctor import __version__
from nnunet_doctor.errors import UserError
from nnunet_doctor.fixers.steps import (
    FOLDER,
    KEPT,
    STAGED,
    MoveOut,
    Rename,
    Replace,
    Step,
    Write,
    from_record,
    is_there,
    kept,
    move,
    staged,
    sync_folder,
    to_record,
)
from nnunet_doctor.probes.raw.record import DamageError

SPARE_BYTES = 1024**2
"""For the journal and the folders."""

Status = tuple[int, int, int]
"""Size, time of change in ns, inode."""


class Content(Protocol):
    """New content of a file."""

    @property
    def size(self) -> int:
        """Bytes that it takes at most, as far as can be told."""

    @property
    def seen(self) -> Status | None:
        """The original as it was when the content was thought of; None for a file that was not there."""

    def write(self, target: Path) -> None:
        """Write all of it; raises OSError or DamageError."""


@dataclass(frozen=True)
class Round:
    """What one ``--apply`` does.

    Attributes:
        first: Number of its first step.
        steps: In their order.
        written: SHA-256 of each file that is replaced or written.
        start: Where its line begins in the journal, in bytes.
    """

    first: int
    steps: tuple[Step, ...]
    written: Mapping[str, str]
    start: int

    @property
    def numbered(self) -> Iterator[tuple[int, Step]]:
        """The steps with their numbers."""
        return enumerate(self.steps, self.first)

    def is_whole(self, dataset: Path) -> bool:
        """Say whether every step has been made."""
        return all(step.done(dataset, number) == len(step.moves(number)) for number, step in self.numbered)


class Journal:
    """The journal of a dataset, and what it says has been changed."""

    def __init__(self, dataset: Path) -> None:
        """Read it.

        Raises:
            UserError: It cannot be read, or is none of ours.
        """
        self.dataset = dataset
        self.file = dataset / FOLDER / "journal.jsonl"
        self.committed = dataset / FOLDER / "committed.jsonl"
        self.rounds: list[Round] = []
        self.end = 0
        for folder in (FOLDER, KEPT, STAGED):
            if (dataset / folder).is_symlink():
                raise UserError(f"{dataset / folder} is a link; nothing was changed")
        try:
            lines = self.file.read_bytes().split(b"\n")[:-1]  # without what was not written to its end
        except FileNotFoundError:
            return
        except OSError as error:
            raise UserError(f"{self.file} cannot be read: {error.strerror}") from None
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            steps = tuple(from_record(step, self.dataset) for step in record["steps"])
            written = {str(path): str(digest) for path, digest in record["written"].items()}
        except ValueError as error:
            raise UserError(f"{self.file} cannot be understood: {error}") from None
        except (KeyError, TypeError, AttributeError, RecursionError):
            raise UserError(f"{self.file} is not a journal of this doctor; nothing was changed") from None
        first = self.rounds[-1].first + len(self.rounds[-1].steps) if self.rounds else 0
        self.rounds.append(Round(first, steps, written, self.end))
        self.end += len(line) + 1

    @property
    def has_originals(self) -> bool:
        """Whether there is something to undo or to commit."""
        return bool(self.rounds)

    @property
    def is_interrupted(self) -> bool:
        """Whether something stopped an earlier run in the middle."""
        return any(not item.is_whole(self.dataset) for item in self.rounds)

    # --- forward ---------------------------------------------------------------------------------------------------

    def apply(self, steps: Sequence[Step], contents: Mapping[str, Content]) -> None:
        """Carry out a round of steps: all of them or, whatever happens, none.

        Raises:
            UserError: It was not possible; the dataset is as before.
        """
        self._refuse_reserved(steps)
        self._refuse_lack_of_space(contents)
        before = len(self.rounds)
        try:
            self._stage(steps, contents)
            for number, step in self.rounds[-1].numbered:
                self._forward(step, number, contents)
        except BaseException as error:
            self._roll_back(before)
            if isinstance(error, OSError):
                name = error.filename2 or error.filename or self.dataset
                raise UserError(f"{name}: {error.strerror}; the dataset is as it was before") from None
            if isinstance(error, DamageError):
                raise UserError(f"{error}; the dataset is as it was before") from None
            raise

    def _refuse_reserved(self, steps: Sequence[Step]) -> None:
        """See that no step takes a name that an earlier round would need when it is undone."""
        reserved = {step.path for item in self.rounds for step in item.steps if isinstance(step, (Rename, MoveOut))}
        for step in steps:
            new = step.new if isinstance(step, Rename) else step.path if isinstance(step, Write) else None
            if new in reserved:
                raise UserError(f"{new} would take the place of an original; --commit or --undo first")

    def _refuse_lack_of_space(self, contents: Mapping[str, Content]) -> None:
        needed = sum(content.size for content in contents.values()) + SPARE_BYTES
        free = shutil.disk_usage(self.dataset).free
        if needed > free:
            raise UserError(
                f"{self.dataset}: the new files need up to {needed / 1e6:.0f} MB beside the old ones, and "
                f"{free / 1e6:.0f} MB are free; nothing was changed"
            )

    def _stage(self, steps: Sequence[Step], contents: Mapping[str, Content]) -> None:
        """Write all new content, then the line that says what is to be done."""
        first = self.rounds[-1].first + len(self.rounds[-1].steps) if self.rounds else 0
        written: dict[str, str] = {}
        for folder in (KEPT, STAGED):
            (self.dataset / folder).mkdir(exist_ok=True)
        for number, step in enumerate(steps, first):
            if isinstance(step, (Replace, Write)):
                target = self.dataset / staged(number)
                contents[step.path].write(target)
                written[step.path] = _finished(target)
                if isinstance(step, Replace):
                    with contextlib.suppress(OSError):
                        shutil.copymode(self.dataset / step.path, target)
        sync_folder(self.dataset / STAGED)
        record = {"doctor": __version__, "steps": [to_record(step) for step in steps], "written": written}
        line = json.dumps(record).encode("ascii") + b"\n"
        with self.file.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(self.file.parent)
        self.rounds.append(Round(first, tuple(steps), written, self.end))
        self.end += len(line)

    def _forward(self, step: Step, number: int, contents: Mapping[str, Content]) -> None:
        if isinstance(step, Replace) and contents[step.path].seen != status_of(self.dataset / step.path):
            raise OSError(errno.EAGAIN, "was changed by somebody else meanwhile", str(self.dataset / step.path))
        for old, new in step.moves(number):
            move(self.dataset, old, new)

    # --- back ------------------------------------------------------------------------------------------------------

    def recover(self) -> None:
        """Bring a dataset on which a run was stopped to what it was before that run.

        Raises:
            UserError: Somebody has changed what would have to be changed back.
        """
        if self.committed.exists():
            self._delete_originals()
        for index, item in enumerate(self.rounds):
            if not item.is_whole(self.dataset):
                self._refuse_conflicts(index)
                self._roll_back(index)
                break
        else:
            self._roll_back(len(self.rounds))

    def undo(self) -> list[str]:
        """Take back all rounds, and return the files that somebody has deleted meanwhile.

        Raises:
            UserError: Somebody has changed what would have to be changed back, or the system refuses.
        """
        self._refuse_conflicts(0)
        renames = [step for item in self.rounds for step in item.steps if isinstance(step, Rename)]
        self._roll_back(0)
        between = {step.new for step in renames}
        return [step.old for step in renames if step.old not in between and not is_there(self.dataset, step.old)]

    def _roll_back(self, index: int) -> None:
        """Take back the rounds from one on, the last step first, and forget them."""
        try:
            for item in reversed(self.rounds[index:]):
                (self.dataset / STAGED).mkdir(exist_ok=True)  # a copy of a dataset may lack empty folders
                for number, step in reversed(list(item.numbered)):
                    self._back(step, number)
            self._cut(self.rounds[index].start if self.rounds[index:] else self.end)
            del self.rounds[index:]
            self._sweep()
        except OSError as error:
            name = error.filename2 or error.filename or self.dataset
            raise UserError(f"{name}: {error.strerror}; when this is put right, --undo brings back the rest") from None

    def _back(self, step: Step, number: int) -> None:
        for old, new in reversed(step.moves(number)[: step.done(self.dataset, number)]):
            if is_there(self.dataset, new):  # else somebody has deleted it
                move(self.dataset, new, old)

    def _cut(self, start: int) -> None:
        """Drop the lines of the journal from a place on, before what they speak of goes."""
        self.end = start
        if not start:
            self.file.unlink(missing_ok=True)
        else:
            os.truncate(self.file, start)
        sync_folder(self.file.parent)

    def _sweep(self) -> None:
        """Delete staged files that no line of the journal knows any more."""
        for file in (self.dataset / STAGED).glob("*"):
            _delete(file)
        if self.rounds:
            return
        for folder in (STAGED, KEPT):
            with contextlib.suppress(OSError):  # not there, or it holds what is not ours
                (self.dataset / folder).rmdir()
        if (self.dataset / KEPT).exists():
            raise UserError(f"{self.dataset / KEPT} holds files that no journal knows; look at them, then delete it")

    def _refuse_conflicts(self, index: int) -> None:
        """See that the way back is free and that nobody's work is lost on it."""
        found: list[str] = []
        seen: set[str] = set()
        for item in reversed(self.rounds[index:]):
            for number, step in reversed(list(item.numbered)):
                found += self._conflicts(step, number, None if step.path in seen else item.written.get(step.path))
                if step.done(self.dataset, number):
                    seen.add(step.path)
        if found:
            raise UserError(f"{'; '.join(found[:5])}; nothing was changed")

    def _conflicts(self, step: Step, number: int, digest: str | None) -> Iterator[str]:
        """Say what has changed since a step was made; ``digest`` is None where a later step explains it."""
        done, there = step.done(self.dataset, number), is_there(self.dataset, step.path)
        if isinstance(step, Rename):
            if done == 0 and step.old != step.new and len(step.moves(number)) == 1 and is_there(self.dataset, step.new):
                yield f"move one of the two files away: {step.old}, {step.new}"
            return
        if isinstance(step, Replace) and done and not is_there(self.dataset, kept(number)):
            yield f"the original of {step.path} is gone: {kept(number)}"
        is_made = done == len(step.moves(number)) and isinstance(step, (Replace, Write))
        if is_made and there and digest is not None and digest_of(self.dataset / step.path) != digest:
            yield f"{step.path} was changed after --apply: move it away, so that this is not lost"
        elif done and there and not is_made:
            yield f"{step.path} is there again: move it away"

    # --- the end ---------------------------------------------------------------------------------------------------

    def commit(self) -> None:
        """Delete the originals.

        Raises:
            UserError: The system refuses.
        """
        try:
            self.file.replace(self.committed)
            sync_folder(self.file.parent)
        except OSError as error:
            raise UserError(f"{self.file} cannot be renamed: {error.strerror}; nothing was changed") from None
        self._delete_originals()

    def _delete_originals(self) -> None:
        try:
            for folder in (KEPT, STAGED):
                for file in (self.dataset / folder).glob("*"):
                    _delete(file)
                with contextlib.suppress(FileNotFoundError):
                    (self.dataset / folder).rmdir()
            self.committed.unlink()
        except OSError as error:
            raise UserError(f"{error.filename}: {error.strerror}; --commit again deletes the rest") from None
        self.rounds, self.end = [], 0


# --- files ---------------------------------------------------------------------------------------------------------


def status_of(path: Path) -> Status | None:
    """Return size, time of change and inode; None when there is nothing."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file; empty when it cannot be read."""
    made = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(1024**2):
                made.update(piece)
    except OSError:
        return ""
    return made.hexdigest()


def _delete(path: Path) -> None:
    try:
        path.unlink()
    except PermissionError:  # Windows keeps files that are marked as read-only
        path.chmod(stat.S_IWRITE)
        path.unlink()


def _finished(path: Path) -> str:
    """See that a file is on the disk, and return its SHA-256."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    return digest_of(path)
