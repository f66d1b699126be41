"""Where voxels lie: affines, orthonormality, and the comparisons that nnU-Net makes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from nnunet_doctor.probes.raw.record import Header

Matrix = tuple[tuple[float, ...], ...]
"""Rows of a 3 x 4 affine, in mm and RAS as NIfTI writes it."""

LEAST_SPACING, MOST_SPACING = 1e-4, 1000.0
"""In mm: finer than any microscope that nnU-Net is used with, and larger than a patient's slice."""

SKEW = 1e-4
"""ITK takes directions for orthonormal when M times its transpose differs less from the identity
(itkNiftiImageIO.cxx, SetImageIOOrientationFromNIfTI)."""


def lengths(affine: Matrix) -> tuple[float, float, float]:
    """Return the lengths of the columns: the voxel size that an affine stands for."""
    (a, b, c, _), (d, e, f, _), (g, h, i, _) = affine
    return math.hypot(a, d, g), math.hypot(b, e, h), math.hypot(c, f, i)


def direction_of(affine: Matrix) -> tuple[float, ...] | None:
    """Return the direction cosines row by row, in the axes of the affine; None when a column has no length."""
    x, y, z = lengths(affine)
    if not (0 < x < math.inf and 0 < y < math.inf and 0 < z < math.inf):
        return None
    (a, b, c, _), (d, e, f, _), (g, h, i, _) = affine
    return a / x, b / y, c / z, d / x, e / y, f / z, g / x, h / y, i / z


def skew(direction: Sequence[float]) -> float:
    """Return how far a 3 x 3 matrix is from an orthonormal one: the greatest entry of M times its transpose, less 1."""
    a, b, c, d, e, f, g, h, i = direction
    return max(
        abs(a * a + b * b + c * c - 1),
        abs(d * d + e * e + f * f - 1),
        abs(g * g + h * h + i * i - 1),
        abs(a * d + b * e + c * f),
        abs(a * g + b * h + c * i),
        abs(d * g + e * h + f * i),
    )


def apart(one: Matrix, other: Matrix, shape: Sequence[int]) -> float:
    """Return an upper bound, at most 3 times too high, of the distance at which two affines place one voxel, in mm."""
    x, y, z = (length - 1 for length in shape)
    return math.hypot(
        *(
            abs(p[0] - q[0]) * x + abs(p[1] - q[1]) * y + abs(p[2] - q[2]) * z + abs(p[3] - q[3])
            for p, q in zip(one, other, strict=True)
        )
    )


def to_lps(direction: Sequence[float], origin: Sequence[float]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Turn NIfTI's axes (right, anterior, superior) into ITK's (left, posterior, superior)."""
    turned = (*(-value for value in direction[0:6]), *direction[6:9])
    return tuple(value + 0.0 for value in turned), (-origin[0] + 0.0, -origin[1] + 0.0, origin[2])


def are_close(found: Sequence[float], wanted: Sequence[float]) -> bool:
    """Compare as numpy.allclose(found, wanted) does, which nnU-Net's verification uses for spacing and origin."""
    return len(found) == len(wanted) and all(
        abs(a - b) <= 1e-8 + 1e-5 * abs(b) for a, b in zip(found, wanted, strict=True)
    )


def orientation_of(direction: Sequence[float], *, is_ras: bool = False) -> str:
    """Name the axes by where they point to most: "LPS" for an ITK image along the axes of the patient.

    Args:
        direction: Cosines of three axes, row by row; empty where there are none.
        is_ras: Whether they are in nibabel's axes instead of ITK's.
    """
    if len(direction) != 9:
        return ""
    letters = ("RL", "AP", "SI") if is_ras else ("LR", "PA", "SI")
    found = ["", "", ""]
    rows = {0, 1, 2}
    # the clearest axis first, as ITK does: no two are named alike
    for place in sorted(range(9), key=lambda place: -abs(direction[place])):
        row, axis = divmod(place, 3)
        if row in rows and not found[axis]:
            rows.remove(row)
            found[axis] = letters[row][direction[place] < 0]
    return "".join(found)


def turned(header: Header, *, is_ras: bool = False) -> Header:
    """Return a header of three axes as readers that reorient have it: axes along R, A and S, and the voxels with them.

    Args:
        header: As stored; one without direction is returned as it is.
        is_ras: Whether its origin and direction are in nibabel's axes instead of ITK's.
    """
    axes = orientation_of(header.direction, is_ras=is_ras)
    if len(axes) != 3 or len(header.shape) != 3 or len(header.spacing) != 3 or len(header.origin) != 3:
        return header
    order = [next(axis for axis in range(3) if axes[axis] in pair) for pair in ("RL", "AP", "SI")]
    signs = [1.0 if axes[axis] in "RAS" else -1.0 for axis in order]
    columns = [[header.direction[row * 3 + axis] for row in range(3)] for axis in order]
    origin = list(header.origin)
    for axis, sign, column in zip(order, signs, columns, strict=True):
        if sign < 0:
            length = header.spacing[axis] * (header.shape[axis] - 1)
            origin = [start + part * length for start, part in zip(origin, column, strict=True)]
    return msgspec.structs.replace(
        header,
        shape=tuple(header.shape[axis] for axis in order),
        spacing=tuple(header.spacing[axis] for axis in order),
        origin=tuple(origin),
        direction=tuple(columns[axis][row] * signs[axis] for row in range(3) for axis in range(3)),
    )


def distance(found: Sequence[float], wanted: Sequence[float]) -> float:
    """Return the distance of two points."""
    return math.dist(found, wanted) if len(found) == len(wanted) else math.inf
