"""How tests of ``fix`` call it, and how they compare folders."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from nnunet_doctor.fixers.command import fix
from nnunet_doctor.fixers.steps import FOLDER
from nnunet_doctor.probes.raw.survey import Means


class Done(NamedTuple):
    """What a call gave: exit code and output."""

    code: int
    text: str


Fix = Callable[..., Done]
Snapshot = Callable[[Path], dict[str, object]]


@pytest.fixture
def run() -> Fix:
    """Call ``fix`` as the command line does."""

    def call(folder: Path, language: str = "en", **options: bool) -> Done:
        out = io.StringIO()
        code = fix(folder, means=Means(caches=False), language=language, out=out, for_shell="posix", **options)
        return Done(code, out.getvalue())

    return call


@pytest.fixture
def snapshot() -> Snapshot:
    """Return everything that a dataset is: names, bytes, links, modes and times of change, to the nanosecond."""

    def take(folder: Path, *, with_times: bool = True) -> dict[str, object]:
        found: dict[str, object] = {}
        for path in sorted(folder.rglob("*")):
            status = path.lstat()
            name = path.relative_to(folder).as_posix()
            if name.startswith(FOLDER):
                found[FOLDER] = "is there"
            elif path.is_symlink():
                found[name] = str(path.readlink())
            elif path.is_file():
                found[name] = (path.read_bytes(), status.st_mode, status.st_mtime_ns if with_times else None)
            else:
                found[name] = "folder"
        return found

    return take


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is not waited for, which takes a hundred times longer than all the rest."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
