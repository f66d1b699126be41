"""Where a finding is, as a path that a code host can show: a file of the dataset, or one for the machine."""

from __future__ import annotations

import contextlib
import posixpath
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from nnunet_doctor.report.record import FindingRecord, FixRecord, Report

CONFIGURATION = ("nnunet-doctor.toml", "pyproject.toml", "README.md")
"""Files that a finding about the machine is put to, where no workflow runs: the first that is there."""

DESCRIPTION = "dataset.json"
"""File that stands for the dataset as a whole, and for its folders."""

FOLDERS = frozenset({"", ".", "imagesTr", "labelsTr", "imagesTs", "labelsTs"})
"""Subjects that are folders, at which a code host shows nothing."""


class Places(NamedTuple):
    """What paths are relative to.

    Attributes:
        root: Folder of the repository.
        dataset: Folder of the dataset, or of the images to predict; None without one.
        machine: Path, relative to the root, of the file that stands for the machine.
        is_checkout: Whether a CI system names the root: its paths are then of no use anywhere else.
        here: The working folder, from which a configuration is named; None for the root.
    """

    root: PurePath
    dataset: PurePath | None
    machine: str
    is_checkout: bool = False
    here: PurePath | None = None

    @property
    def of_dataset(self) -> str | None:
        """What tells the dataset from others: its folder as the repository has it, or its name; None without one."""
        if self.dataset is None:
            return None
        with contextlib.suppress(ValueError):
            return self.dataset.relative_to(self.root).as_posix()
        return self.dataset.name


class Place(NamedTuple):
    """A file that a finding is about.

    Attributes:
        file: Its path with slashes: relative to the root if it lies below it, else absolute; never empty.
        key: The same wherever the repository lies, and the same for no other dataset of it.
        messages: What is said of it, subjects first where the file stands for a folder or for the machine.
        line: Which line is meant, from 1; None for the file as a whole.
    """

    file: str
    key: str
    messages: tuple[str, ...]
    line: int | None = None


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
    known = _folder(dataset, here) if dataset else None
    return Places(root, known, machine, is_checkout=bool(given), here=_resolved(here))


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
    configured = _in_configuration(finding, places)
    if configured:
        return configured
    if finding.area != "dataset" or places.dataset is None or not finding.subjects:
        said = tuple(f"{item.subject}: {item.message}".removesuffix(": ") for item in finding.details)
        # of two datasets, each has a training
        about = places.of_dataset if finding.area in ("dataset", "training") else None
        return [Place(places.machine, "/".join(filter(None, (places.machine, about))), said)]
    known = {subject: _below(places.dataset, subject, places.root) for subject in finding.subjects}
    keys = {file: f"{places.of_dataset}/{inside}" for file, inside in known.values()}
    messages: dict[str, list[str]] = {file: [] for file in keys}
    for item in finding.details:
        file, inside = known[item.subject]
        is_named = inside == item.subject
        messages[file].append(item.message if is_named else f"{item.subject}: {item.message}".removesuffix(": "))
    return [Place(file, key, tuple(filter(None, messages[file]))) for file, key in keys.items()]


def _in_configuration(finding: FindingRecord, places: Places) -> list[Place]:
    """Return the lines of a configuration that a finding is about; none for one about anything else.

    What a waiver is for tells it from others, and not its line, which changes with every line above it.
    """
    stated = {
        item["subject"]: item["message"]
        for evidence in finding.evidence
        if evidence.fact.startswith("config.") and isinstance(evidence.value, list)
        for item in reversed(evidence.value)  # of two that say the same, the first one's line
    }
    found: dict[str, Place] = {}
    for detail in finding.details:
        written = _WRITTEN.match(stated.get(detail.subject, ""))
        if written is None:
            return []
        path = _resolved(Path(places.here or places.root) / written["file"])
        try:
            file = path.relative_to(_resolved(Path(places.root))).as_posix()
        except ValueError:  # nobody who reads the repository can open it
            return []
        said = detail.subject + _WRITTEN.sub("", detail.message, count=1)  # the place is shown beside it
        line = int(written["line"]) if written["line"] else None
        place = found.setdefault(f"{file}/{detail.subject}", Place(file, f"{file}/{detail.subject}", (), line))
        found[place.key] = place._replace(messages=(*place.messages, said))
    return list(found.values())


_WRITTEN = re.compile(r"(?P<file>.*?(?:nnunet-doctor|pyproject)\.toml)(?::(?P<line>\d+))?(?=\W|$)")
"""Where a waiver stands, at the beginning of what is said of it (waivers.py)."""


def _below(dataset: PurePath, subject: str, root: PurePath) -> tuple[str, str]:
    """Return the path of the file that stands for a subject, and what it is called inside the dataset."""
    path = dataset / subject
    inside = DESCRIPTION if subject in FOLDERS or path == dataset else subject
    path = path if inside == subject else dataset / inside
    with contextlib.suppress(ValueError):
        path = path.relative_to(root)
    return posixpath.normpath(path.as_posix()), inside


def from_checkout(report: Report, places: Places) -> Report:
    """Return a report whose words and commands name paths of a CI system's checkout as every checkout has them."""
    root = str(places.root)
    if not places.is_checkout:
        return report
    whole = re.compile(rf"(?<![\w.~/\\:-]){re.escape(root)}(?=[/\\\s\"',;:)]|$)")

    def told(text: str) -> str:
        return whole.sub(".", text) if root in text else text

    def of_fix(fix: FixRecord) -> FixRecord:
        return replace(fix, text=told(fix.text), command=None if fix.command is None else told(fix.command))

    def of_finding(finding: FindingRecord) -> FindingRecord:
        details = [
            replace(item, message=told(item.message)) if root in item.message else item for item in finding.details
        ]
        fixes = [of_fix(fix) for fix in finding.fixes]
        return replace(finding, title=told(finding.title), why=told(finding.why), details=details, fixes=fixes)

    return replace(
        report,
        findings=[of_finding(item) for item in report.findings],
        waived=[of_finding(item) for item in report.waived],
    )


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
