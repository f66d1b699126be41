"""One process at a time in a folder: each puts a file named after itself there, and then looks for those of others.

So of two that start together at least one sees the other. The file of a process that has ended on this machine means
nothing.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nnunet_doctor import processes

_NAME = re.compile(r"lock\.(?P<machine>.+)\.(?P<process>\d{1,9})")


@dataclass
class HeldError(Exception):
    """Another process is at work in the folder.

    Attributes:
        file: Its file.
        process: Its number.
        machine: The machine that it runs on.
    """

    file: Path
    process: int
    machine: str


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep others out of a folder, which has to be there.

    Raises:
        HeldError: Another process is at work.
        OSError: The folder cannot be written to.
    """
    own = folder / f"lock.{machine()}.{os.getpid()}"
    try:
        own.write_text(str(processes.begun(os.getpid())), encoding="ascii")
        for dead in refuse_others(folder):
            dead.unlink(missing_ok=True)
        yield
    finally:
        with contextlib.suppress(OSError):  # was never there, or its disk is gone
            own.unlink()


def refuse_others(folder: Path) -> list[Path]:
    """Look for other processes at work, and return the files of those that have ended.

    Raises:
        HeldError: Another one is at work.
    """
    here, dead = machine(), []
    for file in sorted(folder.glob("lock.*")):
        match = _NAME.fullmatch(file.name)
        if match is None:
            continue
        number = int(match["process"])
        if match["machine"] == here and number == os.getpid():
            continue
        if match["machine"] != here or _is_at_work(number, file):
            raise HeldError(file, number, match["machine"])
        dead.append(file)
    return dead


def _is_at_work(number: int, file: Path) -> bool:
    """Tell a process from a later one that got the same number; a file that is empty yet was made just now."""
    try:
        recorded = float(file.read_text(encoding="ascii") or "nan")
    except (OSError, ValueError):
        return processes.is_alive(number)
    began = processes.begun(number)
    return began is not None and (recorded != recorded or abs(began - recorded) < 2)  # noqa: PLR0124 - nan


def machine() -> str:
    """Name this machine; process numbers mean nothing on another one, which may share the disk."""
    name = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
    return re.sub(r"[^\w-]", "_", name) or "here"
