"""NIfTI files byte by byte, so that tests can make what no program writes."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np

CODES = {"u1": 2, "i2": 4, "i4": 8, "f4": 16, "f8": 64, "i1": 256, "u2": 512, "u4": 768, "i8": 1024, "u8": 1280}
"""NIfTI's numbers of data types."""


def nifti_header(
    shape: tuple[int, ...] = (4, 5, 6),
    dtype: str | int = "i2",
    *,
    pixdim: tuple[float, ...] = (1, 1, 2, 3),
    codes: tuple[int, int] = (1, 1),
    quaternion: tuple[float, ...] = (0, 0, 1),
    offset: tuple[float, ...] = (10, 20, 30),
    sform: Any = None,
    units: int = 2,
    scaling: tuple[float, float] = (1, 0),
    vox_offset: float = 352,
    intent: int = 0,
    order: str = "<",
    magic: bytes = b"n+1\0",
    dim: tuple[int, ...] | None = None,
) -> bytes:
    """Return 352 bytes of a header; by default both forms say the same, with the axes of ITK."""
    raw = bytearray(352)
    code = CODES[dtype] if isinstance(dtype, str) else dtype
    dim = dim or (len(shape), *shape, *[1] * (7 - len(shape)))
    rows = np.diag([-pixdim[1], -pixdim[2], pixdim[3]]) if sform is None else sform
    if np.shape(rows) == (3, 3):
        rows = np.column_stack([rows, offset])
    for at, kind, values in (
        (0, "i", [348]),
        (40, "8h", dim),
        (68, "h", [intent]),
        (70, "2h", [code, 8 * (int(dtype[1]) if isinstance(dtype, str) else 1)]),
        (76, "8f", [*pixdim, *[0] * (8 - len(pixdim))]),
        (108, "3f", [vox_offset, *scaling]),
        (123, "B", [units]),
        (252, "2h", codes),
        (256, "6f", [*quaternion, *offset]),
        (280, "12f", np.ravel(rows)),
        (344, "4s", [magic]),
    ):
        struct.pack_into(order + kind, raw, at, *values)
    return bytes(raw)


def rewrite(path: Path, content: bytes) -> None:
    """Write a file anew; when one is cut and written again, ext4 waits for the disk."""
    path.unlink(missing_ok=True)
    path.write_bytes(content)


def write_nifti(path: Path, voxels: Any, **fields: Any) -> Path:
    """Write an array (x, y, z) as NIfTI, gzip-compressed where the name says so."""
    voxels = np.asarray(voxels)
    order = fields.get("order", "<")
    header = nifti_header(voxels.shape, voxels.dtype.str[1:], **fields)
    raw = header + voxels.astype(voxels.dtype.newbyteorder(order)).tobytes("F")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(raw, 1, mtime=0) if path.name.endswith(".gz") else raw)
    return path
