"""NRRD, with the voxels in the same file or in others, as ITK's reader takes it.

The rules are those of NrrdIO (formatNRRD.c, parseNrrd.c, simple.c, axis.c) and of itkNrrdImageIO.cxx, checked against
SimpleITK 2.5.7: ``tests/probes/raw/test_nrrd.py`` compares with it, refusals included.
"""

from __future__ import annotations

import binascii
import math
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from nnunet_doctor.probes.raw import stream
from nnunet_doctor.probes.raw.formats.itk import (
    MOST_DIGITS,
    MOST_HEADER_BYTES,
    MOST_LINES,
    beside,
    check_gzip_end,
    check_size,
    grid,
    pack,
    raw_pieces,
    shown,
    whole,
)
from nnunet_doctor.probes.raw.record import MOST_VOXELS, DamageError, Header
from nnunet_doctor.probes.raw.source import Source

MOST_AXES = 16
MOST_SPACE_AXES = 8
MAGIC = b"NRRD"
_MAGICS = ("NRRD00.01", "NRRD0001", "NRRD0002", "NRRD0003", "NRRD0004", "NRRD0005")

_PER_AXIS = ("sizes", "spacings", "thicknesses", "axis mins", "axis maxs", "space directions", "centers", "kinds")
_IN_SPACE = ("space directions", "space units", "space origin", "measurement frame")
_REQUIRED = ("type", "dimension", "sizes", "encoding")
_PLAIN = ("content", "number", "type", "dimension", "space", "sizes", "spacings", "thicknesses", "centers", "kinds")
_MORE = ("labels", "units", "min", "max", "endian", "encoding")
_TWO_WORDS = (
    "block size",
    "space dimension",
    "axis mins",
    "axis maxs",
    "space directions",
    "old min",
    "old max",
    "line skip",
    "byte skip",
    "sample units",
    "space units",
    "space origin",
    "measurement frame",
    "data file",
)
_FIELDS = {
    **{name: name for name in (*_PLAIN, *_MORE)},
    **{spelt: name for name in _TWO_WORDS for spelt in (name, name.replace(" ", ""))},
    "centerings": "centers",
}

_TYPES = {
    **dict.fromkeys(("signed char", "int8", "int8_t"), "i1"),
    **dict.fromkeys(("uchar", "unsigned char", "uint8", "uint8_t"), "u1"),
    **dict.fromkeys(("short", "short int", "signed short", "signed short int", "int16", "int16_t"), "i2"),
    **dict.fromkeys(("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"), "u2"),
    **dict.fromkeys(("int", "signed int", "int32", "int32_t"), "i4"),
    **dict.fromkeys(("uint", "unsigned int", "uint32", "uint32_t"), "u4"),
    **dict.fromkeys(("longlong", "long long", "long long int", "signed long long", "signed long long int"), "i8"),
    **dict.fromkeys(("int64", "int64_t"), "i8"),
    **dict.fromkeys(("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"), "u8"),
    "float": "f4",
    "double": "f8",
}
_ENCODINGS = {
    "raw": "raw",
    **dict.fromkeys(("txt", "text", "ascii"), "text"),
    "hex": "hex",
    **dict.fromkeys(("gz", "gzip"), "gzip"),
}
"""Without bzip2, which ITK's copy of NrrdIO is built without."""


def _spaces() -> dict[str, tuple[int, tuple[float, ...]]]:
    """Return dimension and signs on the way to LPS of every space; ITK turns the three anatomical ones in 3D only."""
    found: dict[str, tuple[int, tuple[float, ...]]] = {}
    for words, signs in (
        (("right", "anterior", "superior"), (-1.0, -1.0, 1.0)),
        (("left", "anterior", "superior"), (1.0, -1.0, 1.0)),
        (("left", "posterior", "superior"), (1.0, 1.0, 1.0)),
    ):
        initials = "".join(word[0] for word in words)
        for text in (initials, *(mark.join(words) for mark in ("-", " ", ""))):
            found[text] = (3, signs)
        timed = (*words, "time")
        for text in (f"{initials}t", *(mark.join(timed) for mark in ("-", " ", ""))):
            found[text] = (4, (1.0,) * 4)
    for hand in ("right", "left"):
        for mark in ("-", " ", ""):
            found[mark.join(("3d", hand, "handed"))] = (3, (1.0,) * 3)
            found[mark.join(("3d", hand, "handed", "time"))] = (4, (1.0,) * 4)
    found["scanner-xyz"] = (3, (1.0,) * 3)
    found["scanner-xyz-time"] = found["scanner-xyzt"] = (4, (1.0,) * 4)
    return found


def _matrices(name: str) -> tuple[str, ...]:
    """Return the spellings of a kind that is a matrix."""
    short = name.replace("symmetric", "sym")
    return tuple({spelt for text in (name, short) for spelt in (text, text.replace("matrix", "tensor"))})


_SPACES = _spaces()
_UNKNOWN_KIND = ("???", "none")
_DOMAIN = ("domain", "space", "time")
_KINDS: dict[str, tuple[int, str]] = {
    **dict.fromkeys(_DOMAIN, (0, "domain")),
    "list": (0, "list"),
    **dict.fromkeys(("point", "vector", "contravariant-vector", "covariant-vector", "normal"), (0, "vector")),
    **dict.fromkeys(("stub", "scalar"), (1, "scalar")),
    "complex": (2, "complex"),
    "2-vector": (2, "vector"),
    **dict.fromkeys(("3-color", "rgb-color", "rgbcolor", "rgb", "hsv-color", "hsvcolor", "hsv"), (3, "vector")),
    **dict.fromkeys(("xyz-color", "3-vector", "3-normal"), (3, "vector")),
    **dict.fromkeys(("4-color", "rgba-color", "rgbacolor", "rgba", "4-vector", "quaternion"), (4, "vector")),
    **dict.fromkeys(_matrices("2d-symmetric-matrix"), (3, "vector")),
    **dict.fromkeys(_matrices("2d-masked-symmetric-matrix"), (4, "vector")),
    **dict.fromkeys(_matrices("2d-matrix"), (4, "vector")),
    **dict.fromkeys(_matrices("2d-masked-matrix"), (5, "vector")),
    **dict.fromkeys(_matrices("3d-symmetric-matrix"), (6, "refused")),
    **dict.fromkeys(_matrices("3d-masked-symmetric-matrix"), (7, "refused")),
    **dict.fromkeys(_matrices("3d-matrix"), (9, "vector")),
    **dict.fromkeys(_matrices("3d-masked-matrix"), (10, "refused")),
    # nrrdKindSize forgets it and asks for an axis of 2**32 - 1
    "3-gradient": (2**32 - 1, "refused"),
}
"""What ITK makes of an axis of this kind, and the length that it must have (0 for any)."""


class _Text(NamedTuple):
    """A header as text: fields, names of files that follow ``data file: LIST``, and where it ends."""

    fields: dict[str, str]
    names: tuple[str, ...]
    end: int
    is_closed: bool


class _Layout(NamedTuple):
    """Where the voxels are.

    Attributes:
        encoding: raw, gzip, text or hex.
        code: Kind and size of a value: "i2".
        values: Values in each file.
        files: Names beside the header; empty when the voxels follow the header.
        end: First byte after the header.
        line_skip: Lines to skip in each file.
        byte_skip: Bytes to skip after them, in the inflated stream for gzip; below 0: voxels end -byte_skip - 1 bytes
            before the end.
    """

    encoding: str
    code: str
    values: int
    files: tuple[str, ...]
    end: int
    line_skip: int
    byte_skip: int

    @property
    def item(self) -> int:
        return int(self.code[1])

    @property
    def piece_bytes(self) -> int:
        return self.values * self.item


def read_header(source: Source, reader: str) -> Header:  # noqa: ARG001 - one reader takes the format
    """Read the header.

    Raises:
        DamageError: It is none, it is damaged, or ITK refuses it.
    """
    return _read(source)[0]


def check_end(source: Source, header: Header) -> bool:  # noqa: ARG001 - skips and files are not in it
    """Compare the sizes of the files, or the lengths in their gzip trailers, with what the header announces."""
    layout = _read(source)[1]
    fits = True
    for name in layout.files or (None,):
        with beside(source, name) as data:
            fits = _fits(data, layout) and fits
    return fits


def voxels(source: Source, header: Header) -> Iterator[bytes]:  # noqa: ARG001 - skips and files are not in it
    """Yield the voxels in pieces of whole values, in the order of the file."""
    layout = _read(source)[1]
    for name in layout.files or (None,):
        with beside(source, name) as data:
            yield from _pieces(data, layout)


def _read(source: Source) -> tuple[Header, _Layout]:
    text = _parse(source)
    fields = text.fields
    dimension = _whole_number(fields, "dimension", 0)
    if not 1 <= dimension <= MOST_AXES:
        raise _invalid("dimension", fields["dimension"])
    sizes = _sizes(fields["sizes"], dimension)
    code, encoding, order = _storage(fields)
    space = _space(fields)
    _check_details(fields, dimension, space[0])
    axes = _axes(fields, sizes, code)
    place = _geometry(fields, space, axes, sizes)
    shape = tuple(sizes[axis] for axis in axes.image)
    found = grid(place.spacing, place.origin, place.columns, place.written)
    files = _files(text, sizes)
    layout = _Layout(
        encoding=encoding,
        code=code,
        values=math.prod(sizes) // max(1, len(files)),
        files=files,
        end=text.end,
        line_skip=_whole_number(fields, "line skip", 0),
        byte_skip=_whole_number(fields, "byte skip", 0),
    )
    _check_skips(layout)
    return (
        Header(
            format="nrrd",
            shape=shape[:3] if len(shape) == 4 else shape,
            channels=(shape[3] if len(shape) == 4 else 1) * axes.components,
            dtype=(order + code) if axes.is_scalar else "",
            spacing=found.spacing,
            origin=found.origin,
            direction=found.direction,
            encoding=encoding,
            offset=max(0, layout.byte_skip) if files else _start(source, layout),
            data_bytes=math.prod(sizes) * layout.item,
            data_file=shown(files[0]) if files else "",
            faults=found.faults,
        ),
        layout,
    )


# --- lines and fields ----------------------------------------------------------------------------------------------

_LINE_END = re.compile(rb"\r\n|\n|\r")
_HEADER_END = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r)")


def _parse(source: Source) -> _Text:
    """Split a header into fields (NrrdIO, _nrrdFormatNRRD_read and _nrrdReadNrrdParseField)."""
    lines, end, is_closed = _lines(source)
    if lines[0] not in _MAGICS:
        raise DamageError("reader-cannot-read", f"NRRD version {shown(lines[0])}")
    fields: dict[str, str] = {}
    names: tuple[str, ...] = ()
    for number, line in enumerate(lines[1:], 2):
        found = _field(line)
        if found is None:
            continue
        name, value = found
        if name in fields:
            raise DamageError("unreadable", f"{name}: twice")
        if name in (*_PER_AXIS, "labels", "units") and "dimension" not in fields:
            raise DamageError("unreadable", f"{name} before dimension")
        if name in _IN_SPACE and "space" not in fields and "space dimension" not in fields:
            raise DamageError("unreadable", f"{name} before space")
        fields[name] = value
        if name == "data file" and value.startswith("LIST") and not _is_pattern(value):
            names = tuple(lines[number:])
            break
    missing = [name for name in _REQUIRED if name not in fields]
    if missing:
        raise DamageError("unreadable", f"{', '.join(missing)} missing in header")
    if not is_closed and "data file" not in fields:
        raise DamageError("unreadable", f"header ends after {end} bytes")
    return _Text(fields, names, end, is_closed)


def _lines(source: Source) -> tuple[list[str], int, bool]:
    """Return the lines of a header, where it ends, and whether an empty line ended it rather than the file."""
    if not source.head.startswith(MAGIC):
        raise DamageError("unreadable", f"no NRRD header: first bytes {source.head[:8].hex(' ')}")
    text, searched = source.head, 0
    while True:
        end = _HEADER_END.search(text, searched)
        # a "\r" at the end of what was read may be half of a line end
        if end and (not text.endswith(b"\r", 0, end.end()) or end.end() < len(text)):
            break
        more = source.read_at(len(text), max(len(text), 4096))
        if not more:
            break
        if len(text) > MOST_HEADER_BYTES:
            raise DamageError("unreadable", f"no end of the header in {MOST_HEADER_BYTES} bytes")
        searched = max(0, len(text) - 4)
        text += more
    lines = _LINE_END.split(text[: end.start()] if end else text)
    if not end:
        lines.pop()
    if len(lines) > MOST_LINES:
        raise DamageError("unreadable", f"{len(lines)} lines of header")
    if not lines:
        raise DamageError("unreadable", f"header ends after {len(text)} bytes")
    return [_c_string(line) for line in lines], end.end() if end else len(text), end is not None


def _c_string(line: bytes) -> str:
    return line.partition(b"\0")[0].decode("latin-1")


def _field(line: str) -> tuple[str, str] | None:
    """Return canonical name and value; None for comments and key/value pairs."""
    if line.startswith("#"):
        return None
    name, colon, value = line.partition(": ")
    field = _FIELDS.get(name.lower()) if colon else None
    if field is None:
        if ":=" in name:
            return None
        raise DamageError("unreadable", f"no field of NRRD: {shown(line)}")
    return field, value.lstrip(" \t")


def _invalid(name: str, value: str) -> DamageError:
    return DamageError("unreadable", f"{name}: {shown(value)}")


def _tokens(text: str, separators: str, most: int) -> list[str]:
    """Split as NrrdIO's airStrtok does: a separator that follows the last token makes an empty one."""
    found: list[str] = []
    rest = text
    while rest and len(found) < most:
        rest = rest.lstrip(separators)
        cut = next((at for at, letter in enumerate(rest) if letter in separators), len(rest))
        found.append(rest[:cut])
        rest = rest[cut + 1 :]
    return found


_DIGITS = re.compile(r"[0-9]{1,18}")
_INTEGER = re.compile(r"[ \t\n\v\f\r]*([+-]?[0-9]+)")
_REAL = re.compile(r"[ \t\n\v\f\r]*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")
_HEX_REAL = re.compile(r"[ \t\n\v\f\r]*([+-]?0[xX](?:[0-9a-fA-F]+\.?[0-9a-fA-F]*|\.[0-9a-fA-F]+)(?:[pP][+-]?[0-9]+)?)")


def real_of(text: str) -> float | None:
    """Parse the number that a text begins with, as NrrdIO's airSingleSscanf does."""
    lower = text.lower()
    if "nan" in lower:
        return math.nan
    if "inf" in lower:
        return -math.inf if "-inf" in lower else math.inf
    if len(text) > MOST_DIGITS:
        return None
    found = _HEX_REAL.match(text)
    if found:
        try:
            return float.fromhex(found[1])
        except OverflowError:
            return math.inf
    found = _REAL.match(text)
    return float(found[1]) if found else None


def _whole_number(fields: dict[str, str], name: str, default: int) -> int:
    if name not in fields:
        return default
    found = _INTEGER.match(fields[name])
    if not found or len(found[1]) > 18:
        raise _invalid(name, fields[name])
    return int(found[1])


def _reals(fields: dict[str, str], name: str, count: int) -> list[float] | None:
    """Return one number per axis; None when the field is not there. What follows and is no number is ignored."""
    if name not in fields:
        return None
    numbers: list[float] = []
    for token in _tokens(fields[name], " \t", count + 1):
        number = real_of(token)
        if number is None:
            break
        numbers.append(number)
    if len(numbers) != count:
        raise _invalid(name, fields[name])
    return numbers


def _sizes(value: str, dimension: int) -> list[int]:
    found = [_DIGITS.match(token) for token in _tokens(value, " \t", dimension + 1)]
    sizes = [int(digits[0]) if digits else 0 for digits in found]
    if len(sizes) != dimension or not 0 < math.prod(sizes) <= MOST_VOXELS:
        raise _invalid("sizes", value)
    return sizes


def _words(fields: dict[str, str], name: str, dimension: int) -> list[str]:
    if name not in fields:
        return ["???"] * dimension
    words = _tokens(fields[name], " \t", dimension + 1)
    if len(words) != dimension:
        raise _invalid(name, fields[name])
    return [word.lower() for word in words]


def _quoted(fields: dict[str, str], name: str, count: int) -> list[str]:
    r"""Return texts in double quotes, in which \" stands for a quote (_nrrdGetQuotedString)."""
    if name not in fields:
        return []
    value, at, found = fields[name], 0, []
    for _ in range(count):
        at += len(value[at:]) - len(value[at:].lstrip(" \t"))
        end = value.find('"', at + 1)
        while end > at + 1 and value[end - 1] == "\\":
            end = value.find('"', end + 1)
        if not value.startswith('"', at) or end < 0:
            raise _invalid(name, value)
        found.append(value[at + 1 : end])
        at = end + 1
    rest = value[at:].lstrip(" \t")
    if rest and (name != "space units" or rest.count('"') > 1):
        raise _invalid(name, value)
    return found


_Vector = tuple[float, ...] | None


def _vectors(fields: dict[str, str], name: str, count: int, space_dimension: int) -> list[_Vector]:
    """Return vectors of a space; None for "none" and for those of NaN (_nrrdSpaceVectorParse)."""
    if name not in fields:
        return [None] * count
    if not space_dimension:
        raise DamageError("unreadable", f"{name} without space")
    value, rest = fields[name], fields[name]
    found: list[_Vector] = []
    for _ in range(count):
        rest = rest.lstrip(" \t")
        if rest == "none" or rest.startswith(("none ", "none\t")):
            found.append(None)
            rest = rest[4:]
            continue
        inner, closing, after = rest[1:].partition(")")
        numbers = [real_of(token) for token in _tokens(f"{inner})", ",", space_dimension + 1)]
        if not rest.startswith("(") or not closing or len(numbers) != space_dimension:
            raise _invalid(name, value)
        found.append(_vector(numbers, name, value))
        rest = after
    if rest.strip(" \t") and name != "space origin":
        raise _invalid(name, value)
    return found


def _vector(numbers: Sequence[float | None], name: str, value: str) -> _Vector:
    vector = tuple(number for number in numbers if number is not None)
    exists = [math.isfinite(number) for number in vector]
    if len(vector) != len(numbers) or any(exists) != all(exists) or any(map(math.isinf, vector)):
        raise _invalid(name, value)
    return vector if exists[0] else None


# --- meaning -------------------------------------------------------------------------------------------------------


def _storage(fields: dict[str, str]) -> tuple[str, str, str]:
    """Return type, encoding and byte order."""
    kind, encoding = fields["type"].lower(), fields["encoding"].lower()
    if kind not in _TYPES:
        raise DamageError("reader-cannot-read", f"type: {shown(fields['type'])}")
    if encoding not in _ENCODINGS:
        raise DamageError("reader-cannot-read", f"encoding: {shown(fields['encoding'])}")
    endian = fields.get("endian", "").lower()
    if "endian" in fields and endian not in ("little", "big"):
        raise _invalid("endian", fields["endian"])
    code = _TYPES[kind]
    if code[1] == "1":
        return code, _ENCODINGS[encoding], "|"
    if _ENCODINGS[encoding] == "text":
        return code, "text", "<"
    if not endian:
        raise DamageError("unreadable", "endian missing in header")
    return code, _ENCODINGS[encoding], ">" if endian == "big" else "<"


def _space(fields: dict[str, str]) -> tuple[int, tuple[float, ...]]:
    """Return the dimension of the space, 0 for none, and the signs that turn it to LPS."""
    if "space" not in fields:
        dimension = _whole_number(fields, "space dimension", 0)
        if not 0 <= dimension <= MOST_SPACE_AXES:
            raise _invalid("space dimension", fields["space dimension"])
        return dimension, (1.0,) * dimension
    if "space dimension" in fields:
        raise DamageError("unreadable", "space and space dimension are both given")
    name = fields["space"].lower()
    if name not in _SPACES:
        raise DamageError("reader-cannot-read", f"space: {shown(fields['space'])}")
    return _SPACES[name]


def _check_details(fields: dict[str, str], dimension: int, space_dimension: int) -> None:
    """Refuse what NrrdIO refuses in fields that are of no use here."""
    thicknesses = _reals(fields, "thicknesses", dimension) or []
    if any(math.isinf(number) or number < 0 for number in thicknesses):
        raise _invalid("thicknesses", fields["thicknesses"])
    for name in ("axis mins", "axis maxs"):
        if any(math.isinf(number) for number in _reals(fields, name, dimension) or []):
            raise _invalid(name, fields[name])
    for name in ("old min", "old max"):
        if name in fields and not _is_bound(real_of(fields[name])):
            raise _invalid(name, fields[name])
    if any(word not in ("node", "cell", *_UNKNOWN_KIND) for word in _words(fields, "centers", dimension)):
        raise _invalid("centers", fields["centers"])
    if fields.get("block size", "0").lstrip("0")[:1].isdigit():
        raise _invalid("block size", fields["block size"])
    _quoted(fields, "labels", dimension)
    if "space units" in fields and not space_dimension:
        raise DamageError("unreadable", "space units without space")
    _quoted(fields, "space units", space_dimension)
    frame = _vectors(fields, "measurement frame", space_dimension, space_dimension)
    if len({vector is None for vector in frame}) > 1:
        raise _invalid("measurement frame", fields["measurement frame"])


def _is_bound(number: float | None) -> bool:
    return number is not None and not math.isinf(number)


class _Axes(NamedTuple):
    """Which axes of the file are axes of the image, in its order, and what its voxels are.

    Attributes:
        image: Axes of space, then those that follow as further dimensions.
        in_space: How many of them are axes of space.
        components: Values of one voxel.
        is_scalar: Whether a voxel is one number.
    """

    image: tuple[int, ...]
    in_space: int
    components: int
    is_scalar: bool


def _axes(fields: dict[str, str], sizes: list[int], code: str) -> _Axes:
    """Sort the axes as ITK does (itkNrrdImageIO.cxx, GetAxisOrderForFileReading)."""
    kinds = _words(fields, "kinds", len(sizes))
    roles: list[str] = []
    for kind, size in zip(kinds, sizes, strict=True):
        if kind not in _KINDS and kind not in _UNKNOWN_KIND:
            raise _invalid("kinds", fields["kinds"])
        wanted, role = _KINDS.get(kind, (0, "domain"))
        if wanted and wanted != size:
            raise DamageError("reader-cannot-read", f"kinds: {kind} for an axis of {size}")
        roles.append(role)
    domain = [axis for axis, role in enumerate(roles) if role == "domain"]
    others = [axis for axis, role in enumerate(roles) if role != "domain"]
    if not others:
        return _Axes(tuple(domain), len(domain), 1, is_scalar=True)
    pixel = next((axis for axis in others if roles[axis] != "list"), others[0])
    if roles[pixel] == "refused" or (roles[pixel] == "complex" and code[0] != "f"):
        raise DamageError("reader-cannot-read", f"kinds: {kinds[pixel]}, type: {fields['type'].lower()}")
    further = [axis for axis in others if axis != pixel]
    is_complex = roles[pixel] == "complex"
    # ITK hands a vector of one value on as a scalar
    is_scalar = sizes[pixel] == 1 and not is_complex
    components = 1 if is_complex else sizes[pixel]
    return _Axes((*domain, *further), len(domain), components, is_scalar)


class _Geometry(NamedTuple):
    """Of the image's axes: what ITK takes, and the spacing that is written, NaN for one that is said to be unknown."""

    spacing: list[float]
    origin: list[float]
    columns: list[list[float]]
    written: list[float]


def _geometry(fields: dict[str, str], space: tuple[int, tuple[float, ...]], axes: _Axes, sizes: list[int]) -> _Geometry:
    """Return where the image lies (nrrdSpacingCalculate, nrrdOriginCalculate)."""
    space_dimension, signs = space
    count = len(axes.image)
    if space_dimension and space_dimension != axes.in_space:
        raise DamageError("reader-cannot-read", f"{axes.in_space} axes in a space of {space_dimension}")
    spacings = _reals(fields, "spacings", len(sizes)) or [math.nan] * len(sizes)
    directions = _vectors(fields, "space directions", len(sizes), space_dimension)
    _refuse_both(fields, directions, spacings)
    spacing, written = [1.0] * count, [1.0] * count
    columns = [[float(row == axis) for row in range(count)] for axis in range(count)]
    for axis, at in enumerate(axes.image[: axes.in_space]):
        vector = directions[at]
        if not math.isnan(spacings[at]):
            if space_dimension:
                raise DamageError("reader-cannot-read", "space and spacings are both given")
            spacing[axis] = written[axis] = spacings[at]
        elif vector:
            written[axis] = length = math.sqrt(sum(number * number for number in vector))
            if math.isinf(length):
                continue
            spacing[axis] = length
            if length:
                turned = [sign * (1.0 / length * number) for sign, number in zip(signs, vector, strict=True)]
                columns[axis] = turned + [0.0] * (count - len(turned))
        elif "spacings" in fields and not space_dimension:
            written[axis] = math.nan
    origin = _origin(fields, space, axes, sizes, spacings)
    return _Geometry(spacing, origin + [0.0] * (count - len(origin)), columns, written)


def _refuse_both(fields: dict[str, str], directions: list[_Vector], spacings: list[float]) -> None:
    """An axis with a direction has no other spacing, range or unit (_nrrdFieldCheckSpaceInfo)."""
    count = len(directions)
    nothing = [math.nan] * count
    mins = _reals(fields, "axis mins", count) or nothing
    maxs = _reals(fields, "axis maxs", count) or nothing
    units = _quoted(fields, "units", count) or [""] * count
    for axis, vector in enumerate(directions):
        numbers = (spacings[axis], mins[axis], maxs[axis])
        if vector and (units[axis] or not all(math.isnan(number) for number in numbers)):
            raise DamageError("reader-cannot-read", f"axis {axis}: space directions and spacings, mins, maxs or units")


def _origin(
    fields: dict[str, str],
    space: tuple[int, tuple[float, ...]],
    axes: _Axes,
    sizes: list[int],
    spacings: list[float],
) -> list[float]:
    """Return the place of the first voxel, from the space or else from the least positions of the axes."""
    space_dimension, signs = space
    if space_dimension:
        (vector,) = _vectors(fields, "space origin", 1, space_dimension)
        return [sign * number for sign, number in zip(signs, vector, strict=True)] if vector else [0.0] * len(signs)
    domain = axes.image[: axes.in_space]
    nothing = [math.nan] * len(sizes)
    mins, maxs = (_reals(fields, name, len(sizes)) or nothing for name in ("axis mins", "axis maxs"))
    if not domain or math.isnan(mins[domain[0]]):
        return [0.0] * len(domain)
    if any(math.isnan(maxs[axis]) and math.isnan(spacings[axis]) for axis in domain):
        return [0.0] * len(domain)
    centers = _words(fields, "centers", len(sizes))
    origin = []
    for axis in domain:
        is_cell = centers[axis] != "node"
        parts = sizes[axis] if is_cell else sizes[axis] - 1
        step = spacings[axis]
        if math.isnan(step):
            step = (maxs[axis] - mins[axis]) / parts if parts else math.nan
        origin.append(mins[axis] + (step / 2 if is_cell else 0.0))
    return origin


# --- files and voxels ----------------------------------------------------------------------------------------------

_PATTERN = re.compile(r"([^%]*)%(0?[0-9]{0,2})d([^%]*)")


def _is_pattern(value: str) -> bool:
    """Say whether names are numbered (_nrrdContainsPercentThisAndMore)."""
    return bool(re.match(r"(?:[^%]|%%)*%[0-9]*d", value))


def _files(text: _Text, sizes: list[int]) -> tuple[str, ...]:
    """Return the names of the files with the voxels; none when they follow the header."""
    value = text.fields.get("data file")
    if value is None:
        return ()
    if _is_pattern(value):
        names, per_file = _numbered(value, len(sizes))
    elif value.startswith("LIST"):
        if text.is_closed:
            raise DamageError("unreadable", "data file: LIST with an empty line")
        names, per_file = text.names, _file_dimension(value[4:], value, len(sizes))
    else:
        return (value,)
    wanted = math.prod(sizes[per_file:]) if per_file < len(sizes) else len(names)
    if not names or len(names) != wanted or (per_file == len(sizes) and sizes[-1] % len(names)):
        raise DamageError("unreadable", f"data file: {len(names)} names, sizes: {shown(text.fields['sizes'])}")
    return names


def _file_dimension(text: str, value: str, dimension: int) -> int:
    if not text:
        return dimension - 1
    found = _INTEGER.match(text[:20])
    if not found or not 1 <= int(found[1]) <= dimension:
        raise _invalid("data file", value)
    return int(found[1])


def _numbered(value: str, dimension: int) -> tuple[tuple[str, ...], int]:
    template, *rest = re.split(r"[ \t]+", value)
    numbers = [int(found[1]) for word in rest[:4] if (found := _INTEGER.match(word[:10]))]
    if len(numbers) < 3 or not numbers[2]:
        raise _invalid("data file", value)
    least, most, step = numbers[:3]
    per_file = dimension - 1
    if len(numbers) > 3:
        per_file = _file_dimension(str(numbers[3]), value, dimension)
    wanted = range(least, most + (1 if step > 0 else -1), step)
    parts = _PATTERN.fullmatch(template)
    if not parts or not 0 < len(wanted) <= MOST_LINES:
        raise DamageError("reader-cannot-read", f"data file: {shown(value)}")
    return tuple(f"{parts[1]}{f'%{parts[2]}d' % number}{parts[3]}" for number in wanted), per_file


def _check_skips(layout: _Layout) -> None:
    if not 0 <= layout.line_skip <= MOST_LINES:
        raise DamageError("unreadable", f"line skip: {layout.line_skip}")
    if layout.byte_skip < 0 and layout.encoding in ("text", "hex"):
        raise DamageError("reader-cannot-read", f"byte skip: {layout.byte_skip}, encoding: {layout.encoding}")


def _start(data: Source, layout: _Layout) -> int:
    """Return the first byte of the voxels, or of the stream that holds them."""
    begin = 0 if layout.files else layout.end
    start = begin
    if layout.line_skip:
        lines = data.read_at(start, MOST_HEADER_BYTES)
        ends = [found.end() for found, _ in zip(_LINE_END.finditer(lines), range(layout.line_skip), strict=False)]
        if len(ends) < layout.line_skip:
            raise DamageError("unreadable", f"line skip: {layout.line_skip}; {len(ends)} lines")
        start += ends[-1]
    if layout.encoding == "gzip":
        return start
    if layout.byte_skip >= 0:
        return start + layout.byte_skip
    start = data.size - layout.piece_bytes + layout.byte_skip + 1
    if start < begin:
        have = max(0, data.size - begin + layout.byte_skip + 1)
        raise DamageError("unreadable", f"data ends after {have} of {layout.piece_bytes} bytes")
    return start


def _fits(data: Source, layout: _Layout) -> bool:
    start, wanted = _start(data, layout), layout.piece_bytes
    if layout.encoding == "gzip":
        fits = check_gzip_end(data, start, wanted + max(0, layout.byte_skip))
        return fits and layout.byte_skip >= 0
    if layout.encoding == "raw":
        # who skips bytes has a file for more than these voxels
        check_size(data.size, start, wanted, exactly=not layout.byte_skip)
        return True
    least = 2 * wanted if layout.encoding == "hex" else 2 * layout.values - 1
    if data.size - start < least:
        have = max(0, data.size - start)
        raise DamageError(
            "unreadable", f"{have} bytes of {layout.encoding}; {least} or more for {layout.values} values"
        )
    return False


def _pieces(data: Source, layout: _Layout) -> Iterator[bytes]:
    start, wanted, item = _start(data, layout), layout.piece_bytes, layout.item
    if layout.encoding == "raw":
        return whole(raw_pieces(data, start, wanted), wanted, item)
    if layout.encoding == "text":
        return _text_pieces(data, start, layout)
    if layout.encoding == "hex":
        return whole(_hex_pieces(data, start), wanted, item)
    skip, after = layout.byte_skip, 0
    if skip < 0:
        after = -skip - 1
        total = sum(map(len, stream.inflate(data, "gzip", start)))
        skip = max(0, total - wanted - after)
    return whole(stream.inflate(data, "gzip", start, expected=wanted), wanted, item, skip=skip, after=after)


_BLOCK = 64 * 1024
_SPACES_OF_C = b" \t\n\v\f\r"


def _hex_pieces(data: Source, start: int) -> Iterator[bytes]:
    rest = b""
    while block := data.read_at(start, _BLOCK):
        start += len(block)
        digits = rest + block.translate(None, _SPACES_OF_C)
        cut = len(digits) - len(digits) % 2
        digits, rest = digits[:cut], digits[cut:]
        try:
            yield binascii.unhexlify(digits)
        except binascii.Error:
            raise DamageError("unreadable", f"no hexadecimal digits before byte {start}") from None


def _text_pieces(data: Source, start: int, layout: _Layout) -> Iterator[bytes]:
    """Decode numbers between blanks; commas before one are passed over (encodingAscii.c)."""
    left, rest = layout.values, b""
    while left >= 0:
        block = data.read_at(start, _BLOCK)
        start += len(block)
        words = (rest + block).split()
        rest = words.pop() if block and words and not block[-1:].isspace() else b""
        if len(rest) > MOST_DIGITS:
            break
        found = [word.lstrip(b",") for word in words if word != b","]
        if len(found) > left:
            raise DamageError("unreadable", f"more than {layout.values} values")
        if found:
            yield pack([_value(word, layout.code) for word in found], layout.code)
        left -= len(found)
        if not block:
            break
    if left:
        raise DamageError("unreadable", f"text ends after {layout.values - left} of {layout.values} values")


def _value(word: bytes, code: str) -> float:
    text = word.decode("latin-1")
    if code[0] == "f":
        number: float | None = real_of(text)
    else:
        found = _INTEGER.match(text[:40])
        number = int(found[1]) if found else None
    if number is None:
        raise DamageError("unreadable", f"no number: {shown(text)}")
    return number
