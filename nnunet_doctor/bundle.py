"""Puts what a maintainer needs into one file: facts, report, the end of the log, plans. No names, and no images."""

from __future__ import annotations

import codecs
import contextlib
import io
import json
import os
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from nnunet_doctor import __version__
from nnunet_doctor.errors import UserError
from nnunet_doctor.facts import Facts
from nnunet_doctor.facts.exchange import to_document
from nnunet_doctor.log.source import pieces
from nnunet_doctor.redact import Redactor, is_path
from nnunet_doctor.report.text import console_for, print_block, print_command
from nnunet_doctor.words import say

MOST_LOG_BYTES = 512 * 1024
"""The end of a log that is put in: some thousand lines; the cause of a failure stands there."""

MOST_JSON_BYTES = 32 * 1024**2

LEFT_OUT = "(left out)"

LOGS = ("nnunet_doctor_*.log", "training_log_*.txt")
"""Logs of a fold: what `run` has kept, which holds errors, and nnU-Net's own, which does not."""

_READ_BY_NNUNET = (
    *("channel_names", "modality", "labels", "numTraining", "file_ending", "overwrite_image_reader_writer"),
    *("regions_class_order", "nnUNet_version"),
)
"""Keys of dataset.json that are put in with their values; others tell of people and places, or list files."""


class Item(NamedTuple):
    """A file of the bundle."""

    name: str
    content: str

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return len(self.content.encode("utf-8", "backslashreplace"))


def log_of(facts: Facts) -> Path | None:
    """Return the newest log of the fold that facts are about; None without one."""
    folder = facts["training.folder"]
    if not isinstance(folder, str):
        return None
    found: list[tuple[float, Path]] = []
    for pattern in LOGS:
        with contextlib.suppress(OSError):
            found += [(path.stat().st_mtime, path) for path in Path(folder).glob(pattern)]
        if found:
            break
    return max(found)[1] if found else None


def learn_cases(facts: Facts, redactor: Redactor) -> None:
    """Let the names of all cases be taken out of the log, those included that no finding is about."""
    places = (
        ("dataset.folder", "imagesTr"),
        ("dataset.folder", "labelsTr"),
        ("dataset.folder", "imagesTs"),
        ("preprocessed.folder", "gt_segmentations"),
        ("preprocessed.data_folder", "."),
    )
    for known, below in places:
        folder = facts[known]
        if isinstance(folder, str):
            with contextlib.suppress(OSError):
                for name in sorted(path.name for path in Path(folder, below).iterdir()):
                    redactor.path(name)


def collect(facts: Facts, shared: Facts, reports: Sequence[Item], log: Path | None, redactor: Redactor) -> list[Item]:
    """Return the files of the bundle.

    Args:
        facts: What was observed, with the paths of this machine.
        shared: The same, redacted.
        reports: Reports about the redacted facts.
        log: The log whose end is put in; None for none.
        redactor: What has redacted the facts.

    Raises:
        UserError: The log cannot be read.
    """
    learn_cases(facts, redactor)
    document = to_document(shared, __version__)
    found = [Item("facts.json", json.dumps(document, indent=2, ensure_ascii=False) + "\n"), *reports]
    if log is not None:
        found.append(Item("log-end.txt", redactor.text(_end_of(log))))
    plans = facts["training.plans"]
    for name, folders in (
        (f"{plans}.json", ("preprocessed.folder",)),
        ("dataset.json", ("dataset.folder", "preprocessed.folder")),
    ):
        known = [facts[folder] for folder in folders]
        content = next(
            (text for text in (_json(Path(item, name)) for item in known if isinstance(item, str)) if text), None
        )
        # JSON may be nested more deeply, since Python 3.13 by far, than what goes through it can follow
        with contextlib.suppress(RecursionError):
            if content is not None:
                plain = _without_sentences(content) if name != "dataset.json" else _without_texts(content)
                told = redactor.plain(_unnamed(plain, redactor))
                own = redactor.piece(re.split(r"[\\/]", name)[-1])
                found.append(Item(own, json.dumps(told, indent=2, ensure_ascii=False) + "\n"))
    return found


def _end_of(log: Path) -> str:
    try:
        with log.open("rb") as file:
            head = file.read(4)
            size = file.seek(0, os.SEEK_END)
            # a letter has two or four bytes in what PowerShell 5 and others write
            start = max(0, size - MOST_LOG_BYTES) // 4 * 4
            file.seek(start)
            content = file.read(MOST_LOG_BYTES + 4)
    except OSError as error:
        raise UserError(f"the log {log} cannot be read: {error.strerror}") from None
    mark = next((mark for mark in _MARKS if start and head.startswith(mark)), b"")
    lines = [line for piece in pieces(io.BytesIO(mark + content).read1) for line in piece.lines]
    # the first line is cut
    return "".join(f"{line.decode('utf-8', 'replace')}\n" for line in (lines[1:] if start else lines))


_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def _json(path: Path) -> Any:
    """Read a JSON file; one that is not there, too large or broken is left out, and the facts say so."""
    try:
        with path.open("rb") as file:
            content = file.read(MOST_JSON_BYTES + 1)
        return json.loads(content.decode("utf-8-sig")) if len(content) <= MOST_JSON_BYTES else None
    except (OSError, ValueError, RecursionError):
        return None


def _without_texts(description: Any) -> Any:
    """Keep of dataset.json what nnU-Net goes by; of the rest, say only that it is there."""
    if not isinstance(description, dict):
        return description
    return {_known(key): value if key in _READ_BY_NNUNET else LEFT_OUT for key, value in description.items()}


def _without_sentences(value: Any) -> Any:
    """Leave out of plans what nnU-Net does not write there: texts with blanks, which people write for people."""
    if isinstance(value, dict):
        return {_known(key): _without_sentences(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_sentences(item) for item in value]
    return LEFT_OUT if isinstance(value, str) and " " in value and not is_path(value) else value


def _known(key: str) -> str:
    """Return a key of JSON; one that is no name of code is a text."""
    return key if re.fullmatch(r"[\w.-]+", key, re.ASCII) else LEFT_OUT


def _unnamed(document: Any, redactor: Redactor) -> Any:
    """Replace the name of the dataset, which is a single word and looks like no path."""
    if isinstance(document, dict) and isinstance(document.get("dataset_name"), str):
        return {**document, "dataset_name": redactor.path(document["dataset_name"])}
    return document


def write(path: Path, items: Sequence[Item]) -> None:
    """Write the bundle, whole or not at all.

    Raises:
        UserError: It cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with zipfile.ZipFile(unfinished, "w", zipfile.ZIP_DEFLATED) as bundle:
            for item in items:
                bundle.writestr(item.name, item.content.encode("utf-8", "backslashreplace"))
        unfinished.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            unfinished.unlink()
        raise UserError(f"{path} cannot be written: {error.strerror}") from None


def print_contents(path: Path, items: Sequence[Item], log: Path | None, language: str, out: IO[str]) -> None:
    """List what is in the bundle, what is never in it, and where it is."""
    console = console_for(out, None if out.isatty() else 80)
    print_block(console, say(language, "bundle_holds"), indent=0, style="bold")
    width = max(len(item.name) for item in items)
    for item in items:
        said = say(language, _SAID.get(item.name, "bundle_plans"), log=log and log.name)
        print_block(console, f"{item.name:{width}}  {-(-item.size // 1024):6} KiB  {said}", indent=2)
    print_block(console, say(language, "bundle_left_out"), indent=0)
    console.print()
    print_command(console, str(path), indent=0)


_SAID = {
    "facts.json": "bundle_facts",
    "report.json": "bundle_report",
    "report.md": "bundle_report",
    "log-end.txt": "bundle_log",
    "dataset.json": "bundle_dataset",
}
