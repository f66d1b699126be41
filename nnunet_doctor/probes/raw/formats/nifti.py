"""NIfTI-1, plain and gzip-compressed, as ITK and as nibabel understand it.

The rules were found by experiment with SimpleITK 2.5.7 and nibabel 5.4.2; ``tests/probes/raw/test_nifti.py`` compares
with both. What ITK makes of a file is written down in itkNiftiImageIO.cxx and nifti1_io.c.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from nnunet_doctor.probes.raw import geometry, stream
from nnunet_doctor.probes.raw.record import MOST_VOXELS, DamageError, Fault, Header
from nnunet_doctor.probes.raw.source import Source

HEADER_BYTES = 348
SINGLE_FILE = b"n+1\0"
NIFTI2_BYTES = 540
MOST_OFFSET = 2**31

DTYPES = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
NO_NUMBERS = {
    32: ("complex64", 8),
    128: ("RGB24", 3),
    1792: ("complex128", 16),
    2048: ("complex256", 32),
    2304: ("RGBA32", 4),
}
VECTORS = (1005, 1006, 1007)
"""Intent codes of a symmetric matrix, a displacement and a vector: the fifth dimension holds its components."""

UNITS = {1: ("metre", 1000.0), 3: ("micrometre", 0.001)}
"""Low three bits of xyzt_units, and the factor that ITK applies."""


class _Fields(NamedTuple):
    size: int
    order: str
    dim: tuple[int, ...]
    intent: int
    datatype: int
    pixdim: tuple[float, ...]
    vox_offset: float
    slope: float
    intercept: float
    units: int
    qform_code: int
    sform_code: int
    quaternion: tuple[float, ...]
    qoffset: tuple[float, ...]
    sform: geometry.Matrix
    magic: bytes


_Grid = tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]
"""Spacing, origin and direction."""

_LAYOUT = "i36x8h12x3h2x8f3f3xB128x2h6f12f16x4s"
_LAYOUT_2 = "i4s4x2h8q24x8dq2d152x2i6d12d4x2i"
_STRUCTS = {order: (struct.Struct(order + _LAYOUT), struct.Struct(order + _LAYOUT_2)) for order in "<>"}
"""NIfTI-1 and NIfTI-2 (nifti1.h, nifti2.h)."""


def is_gzip(source: Source) -> bool:
    """Say whether the whole file is gzip-compressed."""
    return source.head.startswith(stream.GZIP)


def read_header(source: Source, reader: str) -> Header:
    """Read the 348 bytes of the header.

    Raises:
        DamageError: It is none, it is damaged, or the reader refuses it.
    """
    compressed = is_gzip(source)
    if compressed and not _is_named_gz(source):
        raise DamageError("wrong-format", "gzip-compressed")
    if not compressed and _is_named_gz(source) and not _looks_like_nifti(source.head):
        seen = f"first bytes {source.head[:8].hex(' ')}"
        raise DamageError("unreadable", seen, ("not-gzip", seen))
    start = stream.first_bytes(source, NIFTI2_BYTES) if compressed else source.head[:NIFTI2_BYTES]
    fields = _fields(start, source.size)
    nibabel = reader.startswith("Nibabel")
    _refuse_variants(fields, nibabel=nibabel)
    if fields.magic != SINGLE_FILE:
        # ITK takes it for Analyze 7.5, which knows no orientation
        fields = fields._replace(qform_code=0, sform_code=0)
    shape, channels, dtype, item = _voxel_type(fields)
    count = math.prod(shape) * channels
    if not 0 < count <= MOST_VOXELS:
        raise DamageError("unreadable", f"dim {' x '.join(map(str, fields.dim[1 : fields.dim[0] + 1]))}")
    faults = _type_faults(fields, nibabel=nibabel)
    if not compressed and _is_named_gz(source):
        faults.append(("not-gzip", "plain NIfTI"))
        if nibabel:
            faults.append(("reader-cannot-read", "plain NIfTI named .gz"))
    # the images and the label of a case mostly lie in one place, which is worked out once
    place = fields._replace(order="", intent=0, datatype=0, vox_offset=0.0, slope=1.0, intercept=0.0)
    place_faults, (spacing, origin, direction) = _placed(place, nibabel)
    slope, intercept = _scaling(fields, nibabel=nibabel)
    return Header(
        format="nifti",
        shape=shape,
        channels=channels,
        dtype=dtype and (fields.order if item > 1 else "|") + dtype,
        spacing=spacing,
        origin=origin,
        direction=direction,
        slope=slope,
        intercept=intercept,
        encoding="gzip" if compressed else "raw",
        offset=_offset(fields, nibabel=nibabel),
        data_bytes=count * item,
        faults=(*faults, *place_faults),
    )


def check_end(source: Source, header: Header) -> bool:
    """Compare the size that the file or its gzip trailer tells with the one that the header announces."""
    wanted = header.offset + header.data_bytes
    if header.encoding == "raw":
        if source.size < wanted:
            raise DamageError("unreadable", f"ends after {source.size} of {wanted} bytes")
        if source.size > wanted:
            raise DamageError("unreadable", f"{source.size - wanted} bytes more than the header announces ({wanted})")
        return True
    if wanted > stream.DEFLATE_LIMIT * source.size:
        raise DamageError("unreadable", f"{source.size} compressed bytes cannot hold the {wanted} of the header")
    (length,) = struct.unpack("<I", source.read_at(source.size - 4, 4))
    return bool(length == wanted % 2**32)


def voxels(source: Source, header: Header) -> Iterator[bytes]:
    """Yield the voxels in pieces of whole values."""
    pieces = _stored(source, header)
    skip, done, item = header.offset, 0, max(1, _item_bytes(header))
    rest = b""
    for piece in pieces:
        if skip:
            skipped = min(skip, len(piece))
            skip -= skipped
            if skipped == len(piece):
                continue
            piece = piece[skipped:]  # noqa: PLW2901 - the rest of the piece
        if done + len(rest) + len(piece) > header.data_bytes:
            raise DamageError(
                "unreadable", f"more than the {header.data_bytes} bytes of voxels that the header announces"
            )
        if rest or len(piece) % item:
            piece = rest + piece  # noqa: PLW2901 - with what was left of the value before
            cut = len(piece) - len(piece) % item
            piece, rest = piece[:cut], piece[cut:]  # noqa: PLW2901
        done += len(piece)
        yield piece
    if done + len(rest) < header.data_bytes:
        raise DamageError("unreadable", f"ends after {done + len(rest)} of {header.data_bytes} bytes of voxels")


def _stored(source: Source, header: Header) -> Iterator[bytes]:
    if header.encoding == "gzip":
        yield from stream.inflate(source, "gzip", expected=header.offset + header.data_bytes)
        return
    position = 0
    while piece := source.read_at(position, stream.PIECE_BYTES):
        position += len(piece)
        yield piece


def _item_bytes(header: Header) -> int:
    return int(header.dtype[2:]) if header.dtype else 1


# --- the header ----------------------------------------------------------------------------------------------------


def _is_named_gz(source: Source) -> bool:
    return source.path.lower().endswith(".gz")


def _looks_like_nifti(start: bytes) -> bool:
    return start[344:348] in (b"n+1\0", b"ni1\0") or start[4:8] in (b"n+2\0", b"ni2\0")


def _fields(start: bytes, size: int) -> _Fields:
    if len(start) < HEADER_BYTES:
        raise DamageError("unreadable", f"{min(size, len(start))} bytes; a NIfTI header has {HEADER_BYTES}")
    for order, name in (("<", "little"), (">", "big")):
        if int.from_bytes(start[:4], name) == NIFTI2_BYTES:  # type: ignore[arg-type]
            return _fields_2(start, order)
    order = "<" if 0 < int.from_bytes(start[40:42], "little", signed=True) < 8 else ">"
    got = _STRUCTS[order][0].unpack_from(start)
    if got[0] != HEADER_BYTES or not 0 < got[1] < 8:
        raise DamageError("unreadable", f"no NIfTI header: sizeof_hdr {got[0]}, dim[0] {got[1]}")
    sform = got[32:44]
    return _Fields(
        size=HEADER_BYTES,
        order=order,
        dim=got[1:9],
        intent=got[9],
        datatype=got[10],
        pixdim=got[12:20],
        vox_offset=got[20],
        slope=got[21],
        intercept=got[22],
        units=got[23] & 7,
        qform_code=got[24],
        sform_code=got[25],
        quaternion=got[26:29],
        qoffset=got[29:32],
        sform=(sform[0:4], sform[4:8], sform[8:12]),
        magic=got[44],
    )


def _fields_2(start: bytes, order: str) -> _Fields:
    if len(start) < NIFTI2_BYTES:
        raise DamageError("unreadable", f"{len(start)} bytes; a NIfTI-2 header has {NIFTI2_BYTES}")
    got = _STRUCTS[order][1].unpack_from(start)
    if not 0 < got[4] < 8:
        raise DamageError("unreadable", f"no NIfTI-2 header: dim[0] {got[4]}")
    sform = got[31:43]
    return _Fields(
        size=NIFTI2_BYTES,
        order=order,
        dim=got[4:12],
        intent=got[44],
        datatype=got[2],
        pixdim=got[12:20],
        vox_offset=got[20],
        slope=got[21],
        intercept=got[22],
        units=got[43] & 7,
        qform_code=got[23],
        sform_code=got[24],
        quaternion=got[25:28],
        qoffset=got[28:31],
        sform=(sform[0:4], sform[4:8], sform[8:12]),
        magic=b"ni1\0" if got[1] == b"ni2\0" else b"n+1\0",
    )


def _refuse_variants(fields: _Fields, *, nibabel: bool) -> None:
    if fields.size == NIFTI2_BYTES and not nibabel:
        raise DamageError("reader-cannot-read", "NIfTI-2")
    if fields.magic == b"ni1\0":
        raise DamageError("reader-cannot-read", "NIfTI pair: the voxels belong into an .img file")
    if fields.magic != SINGLE_FILE and nibabel:
        raise DamageError("reader-cannot-read", f"Analyze 7.5: magic {fields.magic!r}")
    if fields.datatype not in DTYPES and fields.datatype not in NO_NUMBERS:
        raise DamageError("reader-cannot-read", f"datatype {fields.datatype}")


def _offset(fields: _Fields, *, nibabel: bool) -> int:
    """Return where the voxels begin; nibabel wants the four bytes after the header that tell of extensions."""
    least = fields.size + 4 if nibabel else fields.size
    if not fields.vox_offset >= least:
        raise DamageError("unreadable", f"vox_offset {fields.vox_offset:g}; the header has {fields.size + 4} bytes")
    return int(min(fields.vox_offset, MOST_OFFSET))


def _finite(values: tuple[float, ...]) -> tuple[float, ...]:
    return values if all(map(math.isfinite, values)) else ()


def _voxel_type(fields: _Fields) -> tuple[tuple[int, ...], int, str, int]:
    """Return shape, channels, type without byte order, and bytes of one value.

    ITK drops axes of length 1 from the fourth on.
    """
    lengths = list(fields.dim[1 : fields.dim[0] + 1])
    while len(lengths) > 3 and lengths[-1] == 1:
        lengths.pop()
    if any(length < 1 for length in lengths):
        raise DamageError("unreadable", f"dim {_times(lengths)}")
    channels = math.prod(lengths[3:])
    is_vector = fields.intent in VECTORS and len(lengths) > 4
    if fields.datatype in NO_NUMBERS or is_vector:
        return tuple(lengths[:3]), channels, "", _stored_bytes(fields.datatype)
    return tuple(lengths[:3]), channels, DTYPES[fields.datatype], _stored_bytes(fields.datatype)


def _stored_bytes(datatype: int) -> int:
    return NO_NUMBERS[datatype][1] if datatype in NO_NUMBERS else int(DTYPES[datatype][1])


def _type_faults(fields: _Fields, *, nibabel: bool) -> list[Fault]:
    faults: list[Fault] = []
    lengths = fields.dim[1 : fields.dim[0] + 1]
    if (nibabel and len(lengths) != 3) or len(lengths) < 2:
        faults.append(("not-3d", _times(lengths)))
    if fields.datatype in NO_NUMBERS:
        faults.append(("not-scalar", NO_NUMBERS[fields.datatype][0]))
    elif fields.intent in VECTORS and fields.dim[0] > 4:
        faults.append(("not-scalar", f"intent_code {fields.intent}"))
    if _is_scaling_unclear(fields):
        faults.append(("bad-scaling", f"scl_slope {fields.slope:g}, scl_inter {fields.intercept:g}"))
    return faults


@lru_cache(maxsize=4096)
def _placed(fields: _Fields, nibabel: bool) -> tuple[tuple[Fault, ...], _Grid]:
    """Return where an image lies, as ITK or nibabel has it, and what is wrong with that."""
    faults = _place_faults(fields, nibabel=nibabel)
    spacing, origin, direction = (_nibabel_grid if nibabel else _itk_grid)(fields, faults)
    return tuple(faults), (_finite(spacing), _finite(origin), _finite(direction))


def _place_faults(fields: _Fields, *, nibabel: bool) -> list[Fault]:
    faults: list[Fault] = []
    lengths = fields.dim[1 : fields.dim[0] + 1]
    if fields.units in UNITS:
        word, factor = UNITS[fields.units]
        faults.append(("units", f"{word}; pixdim {_times(fields.pixdim[1:4])}, ITK x {factor:g}"))
    if not fields.qform_code > 0 and not fields.sform_code > 0:
        analyze = "Analyze 7.5, " if fields.magic != SINGLE_FILE else ""
        codes = f"qform_code {fields.qform_code}, sform_code {fields.sform_code}"
        faults.append(("no-orientation", analyze + codes))
    spacing = fields.pixdim[1 : min(3, len(lengths)) + 1]
    factor = UNITS.get(fields.units, ("", 1.0))[1] if not nibabel else 1.0
    senseless = list(_senseless_forms(fields, nibabel=nibabel))
    faults += senseless
    if not all(geometry.LEAST_SPACING <= size * factor <= geometry.MOST_SPACING for size in spacing):
        faults.append(("bad-spacing", f"pixdim {_times(spacing)}"))
    elif fields.sform_code > 0 and len(lengths) > 2 and not senseless:
        faults.extend(_sform_faults(fields))
    return faults


def _senseless_forms(fields: _Fields, *, nibabel: bool) -> Iterator[Fault]:
    """Name the forms that place the image nowhere."""
    sform = [value for row in fields.sform for value in row]
    if fields.sform_code > 0 and not all(map(math.isfinite, sform)):
        yield "unreadable", f"sform {', '.join(f'{value:g}' for value in sform)}"
    if fields.qform_code > 0:
        square = sum(value * value for value in fields.quaternion)
        # nibabel refuses a longer quaternion when it needs it, ITK makes it shorter
        is_long = nibabel and not fields.sform_code > 0 and square > 1 + LONG_QUATERNION
        if is_long or not all(map(math.isfinite, (*fields.quaternion, *fields.qoffset))):
            parts = ", ".join(f"{value:g}" for value in (*fields.quaternion, *fields.qoffset))
            yield "unreadable", f"quatern and qoffset {parts}"


def _sform_faults(fields: _Fields) -> Iterator[Fault]:
    spacing = fields.pixdim[1:4]
    sizes = geometry.lengths(fields.sform)
    if any(abs(size - abs(pixdim)) > SAME_SIZE * abs(pixdim) for size, pixdim in zip(sizes, spacing, strict=True)):
        yield "spacing-ambiguous", f"pixdim {_times(spacing)}; sform {_times(sizes)}"
    if not fields.qform_code > 0:
        return
    if not _are_one_place(fields):
        apart = geometry.apart(fields.sform, _qform(fields), fields.dim[1:4])
        itk = "sform" if _itk_prefers_sform(fields) else "qform"
        yield "qform-sform", f"up to {apart:.3g} mm apart; ITK {itk}, nibabel sform"


def _are_one_place(fields: _Fields) -> bool:
    """Compare where the forms begin and where their axes point to; their voxel sizes are another matter."""
    qform = _qform(fields)
    one, other = geometry.direction_of(fields.sform), geometry.direction_of(qform)
    if one is None or other is None or max(abs(a - b) for a, b in zip(one, other, strict=True)) > SAME_TURN:
        return False
    begins = [abs(p[3] - q[3]) for p, q in zip(fields.sform, qform, strict=True)]
    return max(begins) <= SAME_PLACE * min(fields.pixdim[1:4])


SAME_SIZE = 1e-3
"""Voxel sizes that agree to a thousandth are rounded, not different."""

SAME_PLACE = 0.05
"""Part of a voxel by which the first voxel may lie elsewhere."""

SAME_TURN = 1e-3
"""Difference of direction cosines that rounding makes: quaternions of float32 tell turns of about 180 degrees, such as
that from ITK's axes to NIfTI's, no more exactly than to 8e-4 (found by trying)."""

LONG_QUATERNION = 3 * 2.0**-23
"""nibabel.nifti1, quaternion_threshold."""


def _times(values: tuple[float, ...] | list[int]) -> str:
    return " x ".join(f"{value:g}" for value in values)


def _is_scaling_unclear(fields: _Fields) -> bool:
    """Say whether ITK and nibabel make something different of slope and intercept."""
    if _is_slope(fields.slope):
        return not math.isfinite(fields.intercept)
    return math.isinf(fields.slope) or (math.isfinite(fields.intercept) and fields.intercept != 0)


def _is_slope(slope: float) -> bool:
    return math.isfinite(slope) and slope != 0


def _scaling(fields: _Fields, *, nibabel: bool) -> tuple[float, float]:
    """A slope that is 0 or no number means none (nifti1.h); then nibabel adds no intercept either, but ITK does."""
    intercept = fields.intercept if math.isfinite(fields.intercept) else 0.0
    if _is_slope(fields.slope):
        return fields.slope, intercept
    return 1.0, 0.0 if nibabel else intercept


# --- the grid ------------------------------------------------------------------------------------------------------


def _itk_grid(fields: _Fields, faults: list[Fault]) -> _Grid:
    """Return spacing, origin and direction as ITK has them, and note a direction that it refuses."""
    axes = min(3, fields.dim[0])
    factor = UNITS.get(fields.units, ("", 1.0))[1]
    sizes = [abs(size) if math.isfinite(size) and size else 1.0 for size in fields.pixdim[1:4]]
    spacing = tuple(size * factor for size in sizes[:axes])
    if not fields.qform_code > 0 and not fields.sform_code > 0:
        return spacing, (0.0,) * axes, _cut((1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0), axes)
    if _itk_prefers_sform(fields):
        affine = fields.sform
    elif fields.qform_code > 0:
        affine = _qform(fields)
    else:
        direction = geometry.direction_of(fields.sform)
        if all(math.isfinite(value) for row in fields.sform for value in row):
            shown = f"sform {geometry.skew(direction):.2g}" if direction else "sform"
            faults.append(("direction-not-orthonormal", shown))
        return spacing, (), ()
    direction, origin = geometry.to_lps(geometry.direction_of(affine) or (), [row[3] * factor for row in affine])
    return spacing, origin[:axes], _cut(direction, axes)


def _itk_prefers_sform(fields: _Fields) -> bool:
    if not (fields.sform_code == 1 or (fields.sform_code > 0 and not fields.qform_code > 0)):
        return False
    direction = geometry.direction_of(fields.sform)
    return direction is not None and geometry.skew(direction) < geometry.SKEW


def _cut(direction: tuple[float, ...], axes: int) -> tuple[float, ...]:
    """Return the direction of the first axes; ITK makes the columns of a 2D image unit vectors again."""
    if axes == 3 or not direction:
        return direction
    columns = [[direction[row * 3 + column] for row in range(axes)] for column in range(axes)]
    sizes = [math.hypot(*column) or 1.0 for column in columns]
    return tuple(columns[column][row] / sizes[column] for row in range(axes) for column in range(axes))


def _nibabel_grid(fields: _Fields, faults: list[Fault]) -> _Grid:  # noqa: ARG001 - nibabel refuses no direction
    """Return spacing, origin and direction as nibabel has them, in RAS (nibabel.nifti1, get_best_affine)."""
    sizes = tuple(abs(size) or 1.0 for size in fields.pixdim[1 : min(3, fields.dim[0]) + 1])
    if fields.sform_code > 0:
        affine = fields.sform
    elif fields.qform_code > 0:
        affine = _qform(fields)
    else:
        x, y, z = (*sizes, 1.0, 1.0)[:3]
        centre = [(length - 1) / 2 for length in fields.dim[1:4]]
        affine = ((-x, 0.0, 0.0, x * centre[0]), (0.0, y, 0.0, -y * centre[1]), (0.0, 0.0, z, -z * centre[2]))
    direction = geometry.direction_of(affine) or ()
    return sizes, tuple(row[3] for row in affine), direction


def _qform(fields: _Fields) -> geometry.Matrix:
    """Return the affine of the quaternion (nifti1.h, method 2; nifti1_io.c, nifti_quatern_to_mat44)."""
    b, c, d = fields.quaternion
    square = 1.0 - (b * b + c * c + d * d)
    if square < 1e-7:
        norm = math.sqrt(b * b + c * c + d * d) or 1.0
        a, b, c, d = 0.0, b / norm, c / norm, d / norm
    else:
        a = math.sqrt(square)
    x, y, z = (abs(size) if math.isfinite(size) and size else 1.0 for size in fields.pixdim[1:4])
    z = -z if fields.pixdim[0] < 0 else z
    return (
        ((a * a + b * b - c * c - d * d) * x, 2 * (b * c - a * d) * y, 2 * (b * d + a * c) * z, fields.qoffset[0]),
        (2 * (b * c + a * d) * x, (a * a + c * c - b * b - d * d) * y, 2 * (c * d - a * b) * z, fields.qoffset[1]),
        (2 * (b * d - a * c) * x, 2 * (c * d + a * b) * y, (a * a + d * d - c * c - b * b) * z, fields.qoffset[2]),
    )
