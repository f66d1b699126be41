"""The folder of a fold while a training is at work there: nobody else's, and never overwritten."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from nnunet_doctor import history, lock
from nnunet_doctor.errors import UserError

OWN = history.OWN
"""Folder of the doctor beside the folds; nnU-Net looks for folders named fold_* only."""

CHECKPOINTS = ("checkpoint_final.pth", "checkpoint_latest.pth", "checkpoint_best.pth")
"""What a training can be continued from, in the order that nnU-Net takes them (run_training.maybe_load_checkpoint)."""


class BusyError(Exception):
    """Another run of the fold is at work; the message says which."""


@contextlib.contextmanager
def held(fold: Path) -> Iterator[None]:
    """Keep other runs of this fold out.

    Raises:
        BusyError: Another run is at work there.
    """
    own = fold.parent / OWN / fold.name
    with contextlib.ExitStack() as stack:
        try:
            own.mkdir(parents=True, exist_ok=True)
            stack.enter_context(lock.locked(own))
        except lock.HeldError as other:
            raise BusyError(
                f"another run of this fold is at work: process {other.process} on {other.machine}; "
                f"if that is not so, delete {other.file}"
            ) from None
        except OSError:
            pass  # nothing can be written there, which is a finding of its own
        yield


def move_aside(fold: Path) -> Path | None:
    """Move what a fold holds out of the way, beside it; None when there is nothing.

    Raises:
        UserError: It cannot be moved.
    """
    if not os.path.lexists(fold) or _is_empty(fold):
        return None
    # a name that begins with fold_ would be taken for a fold by nnU-Net (auto_detect_available_folds)
    aside = fold.with_name(f"before_{time.strftime('%Y-%m-%d_%H-%M-%S')}_{fold.name}")
    try:
        return fold.rename(aside)
    except OSError as error:
        raise UserError(f"{fold} cannot be moved aside: {error.strerror}; nothing was started") from None


def _is_empty(folder: Path) -> bool:
    try:
        return not any(folder.iterdir())
    except OSError:  # what cannot be looked into may hold anything
        return False


def can_be_continued(fold: Path | None) -> bool:
    """Say whether a fold holds a checkpoint."""
    return fold is not None and any((fold / name).is_file() for name in CHECKPOINTS)
