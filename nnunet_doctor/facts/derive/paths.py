"""What is wrong with nnU-Net's three folders."""

from __future__ import annotations

import ntpath
import posixpath
from collections.abc import Sequence
from typing import Any

from nnunet_doctor.facts.base import Detail
from nnunet_doctor.facts.derive.rules import rule

LEAST_FREE_GIB = {"preprocessed": 5.0, "results": 2.0}
"""Below this a training of any size is at risk: preprocessed cases, and checkpoints with their predictions."""

_FOLDERS = ("raw", "preprocessed", "results")


def _variable(folder: str) -> str:
    return f"nnUNet_{folder}"


_VALUES = tuple(f"paths.{folder}" for folder in _FOLDERS)
_KINDS = tuple(f"paths.{folder}_kind" for folder in _FOLDERS)


@rule("paths.unset", *_VALUES)
def unset(*values: str | None) -> tuple[Detail, ...]:
    """An empty value counts as set for nnU-Net, and its files then go to the working folder."""
    return tuple(
        Detail(_variable(folder), "" if value is None else '""')
        for folder, value in zip(_FOLDERS, values, strict=True)
        if not value
    )


@rule("paths.missing", *_VALUES, *_KINDS)
def missing(*known: str | None) -> tuple[Detail, ...]:
    return _of_kind("missing", known)


@rule("paths.not_folders", *_VALUES, *_KINDS)
def not_folders(*known: str | None) -> tuple[Detail, ...]:
    return _of_kind("file", known)


def _of_kind(wanted: str, known: Sequence[str | None]) -> tuple[Detail, ...]:
    values, kinds = known[:3], known[3:]
    return tuple(
        Detail(_variable(folder), value)
        for folder, value, kind in zip(_FOLDERS, values, kinds, strict=True)
        if value and kind == wanted
    )


@rule(
    "paths.not_writable", "paths.preprocessed", "paths.results", "paths.preprocessed_writable", "paths.results_writable"
)
def not_writable(
    preprocessed: str | None, results: str | None, preprocessed_writable: bool | None, results_writable: bool | None
) -> tuple[Detail, ...]:
    folders = (("preprocessed", preprocessed, preprocessed_writable), ("results", results, results_writable))
    return tuple(Detail(_variable(folder), value) for folder, value, writable in folders if value and writable is False)


@rule("paths.same", *_VALUES, "paths.raw_real", "paths.preprocessed_real", "paths.results_real")
def same(*known: str | None) -> tuple[Detail, ...]:
    """Two empty values are unset, not the same."""
    real = [path if value else None for value, path in zip(known[:3], known[3:], strict=True)]
    pairs = [(0, 1), (0, 2), (1, 2)]
    return tuple(
        Detail(f"{_variable(_FOLDERS[a])} = {_variable(_FOLDERS[b])}", str(real[a]))
        for a, b in pairs
        if real[a] is not None and real[a] == real[b]
    )


@rule("paths.awkward", *_VALUES, "platform.os")
def awkward(*known: str | None) -> tuple[Detail, ...]:
    flavour = ntpath if known[3] == "windows" else posixpath
    return tuple(
        Detail(_variable(folder), value)
        for folder, value in zip(_FOLDERS, known[:3], strict=True)
        if value
        and (value != value.strip(" \"'\t") or value.startswith(("~", "=")) or not _is_absolute(value, flavour))
    )


def _is_absolute(value: str, flavour: Any) -> bool:
    drive, rest = flavour.splitdrive(value)
    return bool(flavour.isabs(value)) and (flavour is posixpath or bool(drive) or rest.startswith(("/", "\\")))


@rule("paths.risky", *_VALUES)
def risky(*values: str | None) -> tuple[Detail, ...]:
    return tuple(
        Detail(_variable(folder), value)
        for folder, value in zip(_FOLDERS, values, strict=True)
        if value and (" " in value.strip() or not value.isascii())
    )


FULL_GIB = 0.25
"""Below this not even a checkpoint can be written."""


@rule("paths.full", "paths.preprocessed_free_gib", "paths.results_free_gib")
def full(preprocessed: float | None, results: float | None) -> tuple[Detail, ...]:
    return _short_of_space(preprocessed, results, dict.fromkeys(LEAST_FREE_GIB, FULL_GIB))


@rule("paths.nearly_full", "paths.preprocessed_free_gib", "paths.results_free_gib")
def nearly_full(preprocessed: float | None, results: float | None) -> tuple[Detail, ...]:
    nearly = _short_of_space(preprocessed, results, LEAST_FREE_GIB)
    return tuple(item for item in nearly if item not in full(preprocessed, results))


def _short_of_space(preprocessed: float | None, results: float | None, least: dict[str, float]) -> tuple[Detail, ...]:
    free = {"preprocessed": preprocessed, "results": results}
    return tuple(
        Detail(_variable(folder), f"{gib:.1f} GiB")
        for folder, gib in free.items()
        if gib is not None and gib < least[folder]
    )


@rule("paths.on_windows_drive", "platform.wsl", *_VALUES, *(f"paths.{folder}_filesystem" for folder in _FOLDERS))
def on_windows_drive(wsl: int | None, *known: str | None) -> tuple[Detail, ...] | None:
    """WSL2 shows Windows drives as 9p or virtiofs, WSL1 as drvfs."""
    if wsl is None:
        return None
    return tuple(
        Detail(_variable(folder), value)
        for folder, value, filesystem in zip(_FOLDERS, known[:3], known[3:], strict=True)
        if value and filesystem in ("9p", "virtiofs", "drvfs", "v9fs")
    )
