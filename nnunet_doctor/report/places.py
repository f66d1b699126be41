"""Where a finding is, as a path that a code host can show: a file of the dataset, or one for the machine."""

from __future__ import annotations

import contextlib
import posixpath
import re
from collections.abc import Mapping
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from nnunet_doctor.report.record import FindingRecord

CONFIGURATION = ("nnunet-doctor.toml", "pyproject.toml", "README.md")
"""Files that a finding about the machine is put to, where no workflow runs: the first that is there."""

DESCRIPTION = "dataset.json"
"""File that stands for the dataset as a whole."""


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


class Place(NamedTuple):
    """A file that a finding is about.

    Attributes:
        file: Its path with slashes: relative to the root if it lies below it, else absolute; never empty.
        key: The same wherever the repository and the dataset lie, as far as that can be.
        messages: What is said of it, file names first where the file stands for the machine.
    """

    file: str
    key: str
    messages: tuple[str, ...]


def places_of(environ: Mapping[str, str], here: Path, dataset: str | None) -> Places:
    """Find the places of a run.

    Args:
        environ: Environment; GitHub names its workspace and the file of the workflow there, GitLab its checkout.
        here: The working folder.
        dataset: Folder of the dataset as a text; a recorded one may be of another system.
    """
    given = environ.get("GITHUB_WORKSPACE") or environ.get("CI_PROJECT_DIR")
    root = _resolved(Path(given)) if given else _repository(_resolved(here))
    # owner/repository/.github/workflows/NAME.yml@refs/heads/main
    workflow = re.match(r"[^/]+/[^/]+/(.+?\.ya?ml)@", environ.get("GITHUB_WORKFLOW_REF", ""))
    if workflow:
        machine = workflow[1]
    else:
        machine = next((name for name in CONFIGURATION if (root / name).is_file()), CONFIGURATION[0])
    return Places(root, _folder(dataset, here) if dataset else None, machine)


def _repository(here: Path) -> Path:
    """Return the nearest folder upwards that is a checkout; the folder itself when there is none."""
    return next((folder for folder in (here, *here.parents) if (folder / ".git").exists()), here)


def _resolved(path: Path) -> Path:
    """Follow links, as a code host does not; a path that this system cannot follow stays as it is."""
    with contextlib.suppress(OSError, RuntimeError, ValueError):
        return path.resolve()
    return path


def _folder(text: str, here: Path) -> PurePath:
    if Path(text).is_absolute():
        return _resolved(Path(text))
    if text.startswith("/"):
        return PurePosixPath(text)
    if "\\" in text or PureWindowsPath(text).drive:
        return PureWindowsPath(text)
    return _resolved(here / text)


def located(finding: FindingRecord, places: Places) -> list[Place]:
    """Return the files of a finding, each once and in its order; the machine's file where it is about none."""
    if finding.area != "dataset" or places.dataset is None or not finding.subjects:
        said = tuple(f"{item.subject}: {item.message}".removesuffix(": ") for item in finding.details)
        return [Place(places.machine, places.machine, said)]
    messages: dict[str, list[str]] = {subject: [] for subject in finding.subjects}
    for item in finding.details:
        messages.setdefault(item.subject, []).append(item.message)
    name = places.dataset.name
    return [
        Place(_below(places.dataset, subject, places.root), f"{name}/{subject}", tuple(filter(None, said)))
        for subject, said in messages.items()
    ]


def _below(dataset: PurePath, subject: str, root: PurePath) -> str:
    # a folder is no place to show something at, and the root itself would be an empty path
    path = dataset / (DESCRIPTION if subject in ("", ".") else subject)
    with contextlib.suppress(ValueError):
        path = path.relative_to(root)
    return posixpath.normpath(path.as_posix())


def as_uri(path: str) -> str:
    """Return a path as a URI reference (RFC 3986): an absolute one as file: URI, with host or drive where it has one.

    Bytes that are no UTF-8, which Python holds as lone surrogates, are encoded as what they are.
    """
    windows = PureWindowsPath(path)
    if windows.drive.startswith("\\\\"):
        return f"file:{_quoted(path)}"
    if windows.is_absolute():
        return f"file:///{windows.drive}{_quoted(path[2:])}"
    return f"file://{_quoted(path)}" if path.startswith("/") else _quoted(path)


def _quoted(path: str) -> str:
    try:
        content = path.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        content = path.encode("utf-8", "surrogatepass")
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in content)


_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/")
"""What stands for itself in the path of a URI: unreserved characters and the slash; a colon would make a scheme."""
