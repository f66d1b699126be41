"""What NRRD, MetaImage and GIPL share, since ITK reads all three: grids, sizes, and files beside the header."""

from __future__ import annotations

import math
import os
import re
import sys
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import permutations
from typing import NamedTuple

from nnunet_doctor.probes.raw import stream
from nnunet_doctor.probes.raw.geometry import LEAST_SPACING, MOST_SPACING
from nnunet_doctor.probes.raw.record import DamageError, Fault
from nnunet_doctor.probes.raw.source import Source
from nnunet_doctor.probes.raw.voxels import CODES

MOST_HEADER_BYTES = 1024**2
MOST_LINES = 10_000
MOST_DIGITS = 400
"""A longer text is no number that anybody wrote."""

MOST_IMAGE_AXES = 5
"""SimpleITK takes no image with more (sitkImageFileReader.cxx)."""


class Grid(NamedTuple):
    """Where ITK places an image, and what is wrong with that; without a fourth axis, which is nnU-Net's channels."""

    spacing: tuple[float, ...]
    origin: tuple[float, ...]
    direction: tuple[float, ...]
    faults: tuple[Fault, ...]


def grid(
    spacing: Sequence[float],
    origin: Sequence[float],
    columns: Sequence[Sequence[float]],
    written: Sequence[float],
) -> Grid:
    """Return the grid of ITK's image for what its reader found (itkImageFileReader.hxx, GenerateOutputInformation).

    A negative spacing turns the axis round. A spacing of 0 and a direction without inverse are refused
    (itkImageBase.hxx); a direction that is only skewed is not.

    Args:
        spacing: Of all axes, in mm.
        origin: Of the first voxel, in mm and LPS.
        columns: Directions of the axes.
        written: Spacing as the file has it.
    """
    axes = range(len(spacing))
    faults: list[Fault] = []
    is_odd = any(not math.isfinite(size) or size == 0 for size in written)
    if is_odd or not all(LEAST_SPACING <= abs(size) <= MOST_SPACING for size in written[:3]):
        faults.append(("bad-spacing", " x ".join(f"{size:g}" for size in written)))
    rows = [[-columns[axis][row] if spacing[axis] < 0 else columns[axis][row] for axis in axes] for row in axes]
    scaled = [[row[axis] * abs(spacing[axis]) for axis in axes] for row in rows]
    if len(rows) <= MOST_IMAGE_AXES and (_is_singular(rows) or (not faults and _is_singular(scaled))):
        faults.append(("direction-not-orthonormal", "determinant 0"))
    kept = range(3) if len(spacing) == 4 else axes
    return Grid(
        spacing=tuple(abs(spacing[axis]) for axis in kept),
        # no minus before 0
        origin=tuple(origin[axis] + 0.0 for axis in kept),
        direction=tuple(rows[row][axis] + 0.0 for row in kept for axis in kept),
        faults=tuple(faults),
    )


def _is_singular(matrix: Sequence[Sequence[float]]) -> bool:
    """Say whether the determinant is 0 to the last bit: the terms are added up in the order of vnl_determinant."""
    axes = range(len(matrix))
    total = 0.0
    for rows in permutations(axes):
        term = matrix[rows[0]][0]
        for column in axes[1:]:
            term *= matrix[rows[column]][column]
        swaps = sum(rows[one] > rows[other] for one in axes for other in axes[one + 1 :])
        total += -term if swaps % 2 else term
    return total == 0


def shown(text: str) -> str:
    """Return the beginning of a text of a header, which is bytes as Latin-1, for a message."""
    decoded = text[:80].encode("latin-1", "replace").decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else "?" for letter in decoded)


@contextmanager
def beside(source: Source, name: str | None) -> Iterator[Source]:
    """Open a file that a header names; the header itself for None.

    A header comes from anybody, so only plain names are followed: nothing absolute, nothing above the folder.

    Raises:
        DamageError: ``reader-cannot-read``: the name leads elsewhere; else what :class:`Source` raises, and what the
            body of the ``with`` raises, with the name added.
    """
    if name is None:
        yield source
        return
    path = path_beside(source, name)
    if path is None:
        raise DamageError("reader-cannot-read", f"voxels in {shown(name)}" if name else "voxels in a file without name")
    try:
        data = Source(path)
        try:
            yield data
            if data.has_changed:
                raise DamageError("unreadable", "changed while it was read")
        finally:
            data.close()
    except DamageError as error:
        (id, message), *also = error.faults
        raise DamageError(id, f"{shown(name)}: {message}", *also) from None


def path_beside(source: Source, name: str) -> str | None:
    """Return the path of a file that is named in a header; None when it is not below the folder of the header."""
    if name in ("", "-") or name[0] in "/\\~" or name[1:2] == ":" or ".." in re.split(r"[/\\]", name):
        return None
    raw = name.encode("latin-1", "replace")
    known = os.fsdecode(raw) if os.name == "posix" else raw.decode("utf-8", "replace")
    return os.path.join(os.path.dirname(source.path), known)


def check_size(size: int, start: int, wanted: int, *, exactly: bool) -> None:
    """Raise ``unreadable`` when a file has fewer bytes of voxels than it should, or more."""
    have = max(0, size - start)
    if have < wanted:
        raise DamageError("unreadable", f"data ends after {have} of {wanted} bytes")
    if have > wanted and exactly:
        raise DamageError("unreadable", f"{have - wanted} bytes after the {wanted} that the header announces")


def check_deflate(size: int, wanted: int) -> None:
    """Raise ``unreadable`` when a deflate stream of a size cannot hold so many bytes."""
    if wanted > stream.DEFLATE_LIMIT * size:
        raise DamageError("unreadable", f"{max(0, size)} compressed bytes cannot hold {wanted}")


def check_gzip_end(data: Source, start: int, wanted: int) -> bool:
    """Say whether the length at the end of a gzip stream is the one that is wanted.

    Raises:
        DamageError: ``unreadable``: the stream is too short for it.
    """
    check_deflate(data.size - start, wanted)
    if data.size - start < 18:
        raise DamageError("unreadable", f"gzip stream ends after {data.size - start} bytes")
    return int.from_bytes(data.read_at(data.size - 4, 4), "little") == wanted % 2**32


def raw_pieces(data: Source, start: int, length: int) -> Iterator[bytes]:
    """Read part of a file piece by piece."""
    end = start + length
    while start < end and (piece := data.read_at(start, min(stream.PIECE_BYTES, end - start))):
        start += len(piece)
        yield piece


def whole(pieces: Iterator[bytes], wanted: int, item: int, *, skip: int = 0, after: int = 0) -> Iterator[bytes]:
    """Cut pieces so that each holds whole values, and count.

    Args:
        pieces: Bytes as they come.
        wanted: Bytes of voxels.
        item: Bytes of a value.
        skip: Bytes before the voxels.
        after: Bytes after them.

    Raises:
        DamageError: ``unreadable``: more or fewer bytes than that came.
    """
    came, rest = 0, b""
    for piece in pieces:
        begin, came = came, came + len(piece)
        if came > skip + wanted + after:
            raise DamageError("unreadable", f"more than the {wanted} bytes that the header announces")
        part = rest + piece[max(0, skip - begin) : max(0, skip + wanted - begin)]
        cut = len(part) - len(part) % item
        if cut:
            yield part[:cut]
        rest = part[cut:]
    if came < skip + wanted + after:
        raise DamageError("unreadable", f"data ends after {max(0, came - skip)} of {wanted} bytes")


def pack(numbers: Sequence[float], code: str) -> bytes:
    """Return numbers as little-endian values of a type ("i2").

    Raises:
        DamageError: ``unreadable``: one is out of the range of the type.
    """
    try:
        values = array(CODES[code], numbers)
    except OverflowError:
        raise DamageError("unreadable", f"{min(numbers):g} ... {max(numbers):g}, over the range of {code}") from None
    if sys.byteorder == "big":
        values.byteswap()
    return values.tobytes()
