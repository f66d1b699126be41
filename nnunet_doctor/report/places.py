"""Where a finding is, as a path that a code host can show: a file of the dataset, or one for the machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from nnunet_doctor.report.record import FindingRecord

CONFIGURATION = ("nnunet-doctor.toml", "pyproject.toml", "README.md")
"""Files that a finding about the machine is put to, where no workflow runs: the first that is there."""


class Places(NamedTuple):
    """What paths are relative to.

    Attributes:
        root: Folder of the repository.
        dataset: Folder of the dataset, or of the images to predict; None without one.
        machine: Path, relative to the root, of the file that stands for the machine.
    """

    root: PurePath
    dataset: PurePath | None
    machine: str


def places_of(environ: Mapping[str, str], here: Path, dataset: str | None) -> Places:
    """Find the places of a run.

    Args:
        environ: Environment; GitHub names its workspace and the file of the workflow there.
        here: The working folder.
        dataset: Folder of the dataset as a text; a recorded one may be of another system.
    """
    root = Path(environ.get("GITHUB_WORKSPACE") or here).absolute()
    # owner/repository/.github/workflows/NAME.yml@refs/heads/main
    workflow = re.fullmatch(r"[^/]+/[^/]+/(.+)@.+", environ.get("GITHUB_WORKFLOW_REF", ""))
    if workflow:
        machine = workflow[1]
    else:
        machine = next((name for name in CONFIGURATION if (root / name).is_file()), CONFIGURATION[0])
    return Places(root, _folder(dataset, here) if dataset else None, machine)


def _folder(text: str, here: Path) -> PurePath:
    foreign = PureWindowsPath(text)
    if "\\" in text or foreign.drive:
        return foreign
    return PurePosixPath(text) if text.startswith("/") else here / text


def files_of(finding: FindingRecord, places: Places) -> list[str]:
    """Return the paths of a finding, relative to the root where they lie below it; the machine's file for others."""
    if finding.area != "dataset" or places.dataset is None or not finding.subjects:
        return [places.machine]
    return [_relative(places.dataset / subject, places.root) for subject in dict.fromkeys(finding.subjects)]


def _relative(path: PurePath, root: PurePath) -> str:
    try:
        return path.relative_to(root).as_posix()
    except ValueError:
        return path.as_posix()


def as_uri(path: str) -> str:
    """Return a path as a URI reference (RFC 3986): an absolute one as file: URI, with drive or without."""
    if PureWindowsPath(path).drive:
        return PureWindowsPath(path).as_uri()
    if path.startswith("/"):
        return PurePosixPath(path).as_uri()
    return PurePosixPath("/", path).as_uri().removeprefix("file:///")
