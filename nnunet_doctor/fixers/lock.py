"""One fix at a time of a dataset."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from nnunet_doctor import lock
from nnunet_doctor.errors import UserError
from nnunet_doctor.fixers.steps import FOLDER


@contextlib.contextmanager
def locked(dataset: Path) -> Iterator[None]:
    """Keep other fixes out.

    Raises:
        UserError: Another fix is at work, or the dataset cannot be written to.
    """
    folder = dataset / FOLDER
    if folder.is_symlink():
        raise UserError(f"{folder} is a link; nothing was changed")
    with contextlib.ExitStack() as held:
        try:
            folder.mkdir(exist_ok=True)
            held.callback(_leave, folder)
            held.enter_context(lock.locked(folder))
        except lock.HeldError as other:
            raise _refusal(other) from None
        except OSError as error:
            raise UserError(f"{dataset} cannot be written to: {error.strerror}; nothing was changed") from None
        yield


def _leave(folder: Path) -> None:
    with contextlib.suppress(OSError):  # holds a journal
        folder.rmdir()


def refuse_others(dataset: Path) -> None:
    """Look for other fixes.

    Raises:
        UserError: Another one is at work.
    """
    try:
        lock.refuse_others(dataset / FOLDER)
    except lock.HeldError as other:
        raise _refusal(other) from None


def _refusal(other: lock.HeldError) -> UserError:
    return UserError(
        f"another fix of this dataset is at work: process {other.process} on {other.machine}; "
        f"if that is not so, delete {other.file}"
    )
