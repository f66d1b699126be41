"""The grid of a label, copied from its image where the two differ by rounding only."""

from __future__ import annotations

import itertools
import math
import struct
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from nnunet_doctor.fixers.labels import Edit, Edits, byte_order, header_bytes, obstacle
from nnunet_doctor.fixers.record import Plan
from nnunet_doctor.probes.raw.formats import nifti
from nnunet_doctor.probes.raw.record import DamageError, Header
from nnunet_doctor.probes.raw.source import Source
from nnunet_doctor.probes.raw.survey import Survey

MISMATCHES = ("spacing-mismatch", "origin-mismatch", "direction-mismatch")

SAME_PLACE = 0.05
"""Part of the smallest voxel size by which two headers may place a corner differently and still mean the same grid."""

READERS = ("SimpleITKIO", "NibabelIO")
"""One reader of each family: they may take different forms of one header, and in neither may anything move."""

_FIELDS = ((76, "4f"), (123, "B"), (252, "2h"), (256, "6f"), (280, "12f"))
"""Place and format of pixdim[0..3], xyzt_units, the codes of qform and sform, quaternion and offsets, and srow
(nifti1.h)."""


def align(dataset: Path, survey: Survey, plan: Plan, edits: Edits) -> None:
    """Add the labels that take the grid of their image, and say of the others how far apart they are."""
    images = {case.label: next(iter(case.images.values())) for case in survey.cases if case.label}
    for id in MISMATCHES:
        for path, _ in survey.found.get(id, []):
            image = images.get(path)
            if image is None:
                plan.leave(id, path, "fix_left_image")
                continue
            why, what = _verdict(dataset, path, image, survey)
            if why:
                plan.leave(id, path, why, what=what)
            else:
                grid = _grid(header_bytes(dataset / image), header_bytes(dataset / path))
                edits[path] = replace(edits.get(path, Edit()), grid=grid)
                plan.change(id, path, f"<- {image} ({what} mm)")


def _verdict(dataset: Path, path: str, image: str, survey: Survey) -> tuple[str, str]:
    """Return the key of the reason why a grid is not copied, empty for none, and what stands in the sentence."""
    report, other = survey.reports.get(path), survey.reports.get(image)
    why = obstacle(dataset, path, report)
    if why or report is None or report.header is None:
        return why or ("fix_left_damaged", "")
    if other is None or other.header is None or other.header.format != "nifti":
        return "fix_left_grid", ""
    if report.header.shape != other.header.shape:
        return "fix_left_shape", ""
    try:
        apart = max(_apart(label, picture) for label, picture in _seen(dataset / path, dataset / image))
    except DamageError:
        return "fix_left_grid", ""
    if not math.isfinite(apart):
        return "fix_left_grid", ""
    smallest = min(*report.header.spacing, *other.header.spacing)
    return ("" if apart <= SAME_PLACE * smallest else "fix_left_geometry"), f"{apart:.3g}"


def _seen(label: Path, image: Path) -> Iterator[tuple[Header, Header]]:
    """Yield the headers of both as each family of readers understands them."""
    with closing(Source(str(label))) as one, closing(Source(str(image))) as other:
        for reader in READERS:
            yield nifti.read_header(one, reader), nifti.read_header(other, reader)


def _apart(one: Header, other: Header) -> float:
    """Return the greatest distance between the places that two headers give to a corner of the grid, in mm."""
    if not (one.direction and other.direction):
        return math.inf
    corners = itertools.product(*((0, length - 1) for length in one.shape))
    return max(math.dist(_place(one, corner), _place(other, corner)) for corner in corners)


def _place(header: Header, voxel: tuple[int, ...]) -> list[float]:
    """Return where the centre of a voxel lies, in mm."""
    rows = len(header.origin)
    return [
        header.origin[row]
        + sum(header.direction[row * rows + axis] * header.spacing[axis] * index for axis, index in enumerate(voxel))
        for row in range(rows)
    ]


def _grid(image: bytes, label: bytes) -> dict[int, bytes]:
    """Return the fields of an image's header that place the grid, in the byte order of the label."""
    source, target = byte_order(image), byte_order(label)
    return {
        place: struct.pack(target + form, *struct.unpack_from(source + form, image, place)) for place, form in _FIELDS
    }
