"""One run at a time on a dataset.

Each run puts a file named after itself beside the journal and then looks for those of others, so that of two that start
together at least one sees the other. The file of a process that has ended on this machine means nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from nnunet_doctor import processes
from nnunet_doctor.errors import UserError
from nnunet_doctor.fixers.steps import FOLDER

_LOCK = re.compile(r"lock\.(?P<machine>.+)\.(?P<process>\d{1,9})")


@contextlib.contextmanager
def locked(dataset: Path) -> Iterator[None]:
    """Keep other runs out.

    Raises:
        UserError: Another run is at work, or the dataset cannot be written to.
    """
    folder = dataset / FOLDER
    if folder.is_symlink():
        raise UserError(f"{folder} is a link; nothing was changed")
    own = folder / f"lock.{_machine()}.{os.getpid()}"
    try:
        try:
            folder.mkdir(exist_ok=True)
            own.write_bytes(b"")
            for dead in refuse_others(dataset):
                dead.unlink()
        except OSError as error:
            raise UserError(f"{dataset} cannot be written to: {error.strerror}; nothing was changed") from None
        yield
    finally:
        for leave in (own.unlink, folder.rmdir):
            with contextlib.suppress(OSError):  # was never there, or holds a journal
                leave()


def refuse_others(dataset: Path) -> list[Path]:
    """Look for other runs, and return the files of those that have died.

    Raises:
        UserError: Another run is at work.
    """
    machine, dead = _machine(), []
    for file in sorted((dataset / FOLDER).glob("lock.*")):
        match = _LOCK.fullmatch(file.name)
        if match is None or (match["machine"] == machine and int(match["process"]) == os.getpid()):
            continue
        if match["machine"] != machine or processes.is_alive(int(match["process"])):
            raise UserError(
                f"another fix of this dataset is at work: process {match['process']} on {match['machine']}; "
                f"if that is not so, delete {file}"
            )
        dead.append(file)
    return dead


def _machine() -> str:
    """Name this machine; process numbers mean nothing on another one, which may share the disk."""
    name = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
    return re.sub(r"[^\w-]", "_", name) or "here"
