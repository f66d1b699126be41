"""GIPL, the format of Guy's Image Processing Lab, as ITK's reader takes it (itkGiplImageIO.cxx).

A header of 256 bytes, big-endian, and the voxels behind it, in the order of the axes. It has no direction that ITK
reads. ``tests/probes/raw/test_gipl.py`` compares with SimpleITK 2.5.7.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

from nnunet_doctor.probes.raw.formats.itk import check_size, grid, raw_pieces, whole
from nnunet_doctor.probes.raw.record import MOST_VOXELS, DamageError, Header
from nnunet_doctor.probes.raw.source import Source

HEADER_BYTES = 256
MAGICS = (0xEFFFE9B0, 0x2AE389B8)

_FIELDS = struct.Struct(">4HH4f178x4d16xI")
"""Lengths, type, spacing; text, matrix, flags, least and greatest value; origin; offsets and gaps; magic number."""

_TYPES = {1: "u1", 7: "i1", 8: "u1", 15: "i2", 16: "u2", 64: "f4", 65: "f8"}
_REFUSED = {31: "uint32", 32: "int32"}
"""ITK knows them and has forgotten to swap their bytes (SwapBytesIfNecessary)."""


def read_header(source: Source, reader: str) -> Header:  # noqa: ARG001 - one reader takes the format
    """Read the header.

    Raises:
        DamageError: It is none, it is damaged, or ITK refuses it.
    """
    if len(source.head) < HEADER_BYTES:
        raise DamageError("unreadable", f"{source.size} bytes; a GIPL header has {HEADER_BYTES}")
    got = _FIELDS.unpack_from(source.head)
    dims, image_type, spacing, origin = got[0:4], got[4], got[5:9], got[9:13]
    if got[13] not in MAGICS:
        raise DamageError("unreadable", f"no GIPL header: magic number {got[13]:#010x}")
    if image_type not in _TYPES:
        name = f" ({_REFUSED[image_type]})" if image_type in _REFUSED else ""
        raise DamageError("reader-cannot-read", f"image type {image_type}{name}")
    # ITK counts the axes that have a length, and takes as many from the beginning
    axes = sum(length > 0 for length in dims[:3]) + (dims[3] > 1)
    lengths, code = dims[:axes], _TYPES[image_type]
    if not 0 < math.prod(lengths) <= MOST_VOXELS or not axes:
        raise DamageError("unreadable", f"dimensions {' '.join(map(str, dims))}")
    identity = [[float(row == axis) for row in range(axes)] for axis in range(axes)]
    found = grid(spacing[:axes], origin[:axes], identity, spacing[:axes])
    return Header(
        format="gipl",
        shape=lengths[:3],
        channels=lengths[3] if axes == 4 else 1,
        dtype=("|" if code[1] == "1" else ">") + code,
        spacing=found.spacing,
        origin=found.origin,
        direction=found.direction,
        offset=HEADER_BYTES,
        data_bytes=math.prod(lengths) * int(code[1]),
        faults=found.faults,
    )


def check_end(source: Source, header: Header) -> bool:
    """Compare the size of the file with what the header announces; ITK does not, and delivers what was in memory."""
    check_size(source.size, header.offset, header.data_bytes, exactly=True)
    return True


def voxels(source: Source, header: Header) -> Iterator[bytes]:
    """Yield the voxels in pieces of whole values."""
    pieces = raw_pieces(source, header.offset, header.data_bytes)
    return whole(pieces, header.data_bytes, int(header.dtype[2]))
