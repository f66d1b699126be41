"""What a model was trained on, for images that it is to predict."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_doctor.probes.raw import geometry
from nnunet_doctor.probes.raw.description import Description, understand
from nnunet_doctor.probes.raw.survey import MOST_JSON_BYTES, Means, Survey, survey_dataset

MARGIN = 1.5
"""A spacing is outside when it is this much finer or coarser than every training image."""


@dataclass(frozen=True)
class Model:
    """What is known of the images that a model was trained on.

    Attributes:
        description: The dataset.json that the model goes by.
        spacings: Spacing of each training image in mm along z, y, x, as dataset_fingerprint.json has it.
        orientations: Axis orientations of the training images; empty when they are not at hand.
    """

    description: Description
    spacings: Sequence[Sequence[float]] = ()
    orientations: frozenset[str] = frozenset()


def find(name: str, environ: Mapping[str, str]) -> Model | None:
    """Find a model by the folder of its results, or a dataset by folder, name or id; None when there is none.

    nnU-Net keeps dataset.json and dataset_fingerprint.json beside the folds of a trained model
    (nnUNetTrainer.on_train_start) and beside the plans of a preprocessed dataset.
    """
    raw, others = _folders(name, environ)
    for folder in (*others, *raw):
        description = _description(folder / "dataset.json")
        if description is not None:
            spacings = [size for other in (*others, *raw) for size in _spacings(other)]
            return Model(description, spacings, frozenset().union(*map(_orientations, raw)))
    return None


def _folders(name: str, environ: Mapping[str, str]) -> tuple[list[Path], list[Path]]:
    """Return the folders of raw data, and those of results and preprocessed data, that a name stands for."""
    given = Path(name)
    if given.is_dir():
        is_raw = (given / "imagesTr").is_dir()
        dataset = next((part for part in reversed(given.resolve().parts) if part.startswith("Dataset")), "")
    else:
        is_raw, dataset = False, f"Dataset{int(name):03d}_" if name.isdecimal() else name
    raw, others = ([given], []) if is_raw else ([], [given] if given.is_dir() else [])
    return [*raw, *_named(dataset, environ.get("nnUNet_raw"))], [
        *others,
        *_named(dataset, environ.get("nnUNet_preprocessed")),
    ]


def _named(dataset: str, base: str | None) -> list[Path]:
    if not base or not dataset or not os.path.isdir(base):
        return []
    return sorted(path for path in Path(base).iterdir() if path.is_dir() and _is_named(path.name, dataset))


def _is_named(found: str, wanted: str) -> bool:
    return found == wanted or (wanted.endswith("_") and found.startswith(wanted))


def _description(path: Path) -> Description | None:
    try:
        with path.open("rb") as file:
            return understand(file.read(MOST_JSON_BYTES + 1))
    except OSError:
        return None


def _spacings(folder: Path) -> Sequence[Sequence[float]]:
    from nnunet_doctor.probes.jsonfile import read_json

    content: Any = read_json(folder / "dataset_fingerprint.json").content or {}
    spacings = content.get("spacings")
    if not isinstance(spacings, list):
        return ()
    return [item for item in spacings if _is_spacing(item)]


def _is_spacing(item: Any) -> bool:
    return isinstance(item, list) and len(item) == 3 and all(isinstance(size, (int, float)) for size in item)


def _orientations(folder: Path) -> frozenset[str]:
    """Read the headers of the training images."""
    if not (folder / "imagesTr").is_dir():
        return frozenset()
    found = survey_dataset(str(folder), "quick", Means(caches=False))
    images = [path for case in found.cases for path in case.images.values()]
    return frozenset(axes for path in images if (axes := _axes(found, path)))


def _axes(found: Survey, path: str) -> str:
    report = found.reports.get(path)
    if report is None or report.header is None:
        return ""
    is_ras = str(found.reader).startswith("Nibabel")
    return geometry.orientation_of(report.header.direction, is_ras=is_ras)


def compare(found: Survey, model: Model) -> None:
    """Add to a survey of images the spacings and orientations that the model has never seen."""
    for path, report in found.reports.items():
        header = report.header
        if header is None or len(header.spacing) != 3:
            continue
        spacing = header.spacing[::-1]
        if model.spacings:
            least = [min(axis) for axis in zip(*model.spacings, strict=True)]
            most = [max(axis) for axis in zip(*model.spacings, strict=True)]
            if any(
                not low / MARGIN <= one <= high * MARGIN for one, low, high in zip(spacing, least, most, strict=True)
            ):
                trained = ", ".join(f"{low:.3g} ... {high:.3g}" for low, high in zip(least, most, strict=True))
                message = f"{', '.join(f'{size:.3g}' for size in spacing)} (z, y, x); trained {trained}"
                found.found.setdefault("input-spacing", []).append((path, message))
        axes = _axes(found, path)
        if axes and model.orientations and axes not in model.orientations:
            trained = ", ".join(sorted(model.orientations))
            found.found.setdefault("input-orientation", []).append((path, f"{axes}; trained {trained}"))
