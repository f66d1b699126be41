"""MetaImage (.mha, .mhd) as ITK's reader takes it.

A header is read as MetaIO reads it, from a stream of characters rather than line by line (metaUtils.cxx, MET_Read):
numbers run over line ends, what is no number becomes 0 in fields of reals and ends the header in fields of integers.
All rules were checked against SimpleITK 2.5.7; ``tests/probes/raw/test_metaimage.py`` compares with it.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from nnunet_doctor.probes.raw import stream
from nnunet_doctor.probes.raw.formats.itk import (
    MOST_DIGITS,
    MOST_HEADER_BYTES,
    MOST_LINES,
    beside,
    check_deflate,
    check_size,
    grid,
    pack,
    path_beside,
    raw_pieces,
    shown,
    whole,
)
from nnunet_doctor.probes.raw.record import MOST_VOXELS, DamageError, Header
from nnunet_doctor.probes.raw.source import Source

MOST_AXES = 10
MOST_LENGTH = 2**31 - 1

NDIMS_WITHIN = 8000
"""ITK takes a file for a MetaImage when NDims stands in its first bytes (metaImage.cxx, CanRead)."""

MOST_TEXT = 499
"""MetaIO reads lines into 500 bytes; a longer one ends the header."""

_INTEGERS = {
    "NDims": 1,
    "ID": 1,
    "ParentID": 1,
    "CompressedDataSize": 1,
    "HeaderSize": 1,
    "ElementNumberOfChannels": 1,
    "ElementNBits": 1,
    "DimSize": 0,
    "SequenceID": 0,
}
_REALS = {
    "Color": 4,
    "ElementMin": 1,
    "ElementMax": 1,
    "ElementToIntensityFunctionSlope": 1,
    "ElementToIntensityFunctionOffset": 1,
    **dict.fromkeys(("Position", "Origin", "Offset", "CenterOfRotation", "ImagePosition"), 0),
    **dict.fromkeys(("ElementSpacing", "ElementSize"), 0),
    **dict.fromkeys(("TransformMatrix", "Rotation", "Orientation"), -1),
}
"""Fields of numbers and how many: 0 for one per axis, -1 for a matrix. All others are texts."""

_TYPES = {
    "MET_ASCII_CHAR": "i1",
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_TYPES |= {f"{name}_ARRAY": code for name, code in _TYPES.items() if name != "MET_ASCII_CHAR"}
_TYPES |= {"MET_STRING": "i1", "MET_FLOAT_MATRIX": "f4"}


class _Layout(NamedTuple):
    """Where the voxels are.

    Attributes:
        encoding: raw, zlib or text.
        code: Kind and size of a value: "i2".
        values: Values in each file.
        files: Names beside the header; empty when the voxels follow the header.
        end: First byte after the header.
        header_size: Bytes before the voxels; -1: voxels end where the file ends.
        compressed_size: Bytes of a compressed stream; 0 for the whole file.
    """

    encoding: str
    code: str
    values: int
    files: tuple[str, ...]
    end: int
    header_size: int
    compressed_size: int

    @property
    def item(self) -> int:
        return int(self.code[1])

    @property
    def piece_bytes(self) -> int:
        return self.values * self.item


def read_header(source: Source, reader: str) -> Header:  # noqa: ARG001 - one reader takes the format
    """Read the header.

    Raises:
        DamageError: It is none, it is damaged, or ITK refuses it or makes nonsense of it.
    """
    return _read(source)[0]


def check_end(source: Source, header: Header) -> bool:  # noqa: ARG001 - sizes and files are not in it
    """Compare the sizes of the files with what the header announces."""
    layout = _read(source)[1]
    fits = True
    for name in layout.files or (None,):
        with beside(source, name) as data:
            fits = _fits(data, layout) and fits
    return fits


def voxels(source: Source, header: Header) -> Iterator[bytes]:  # noqa: ARG001 - sizes and files are not in it
    """Yield the voxels in pieces of whole values."""
    layout = _read(source)[1]
    for name in layout.files or (None,):
        with beside(source, name) as data:
            yield from _pieces(data, layout)


def _read(source: Source) -> tuple[Header, _Layout]:
    if b"NDims" not in source.read_at(0, NDIMS_WITHIN).partition(b"\0")[0]:
        raise DamageError("unreadable", f"NDims missing: first bytes {source.head[:8].hex(' ')}")
    fields, end = _parse(source)
    lengths = _lengths(fields)
    channels = _integer(fields, "ElementNumberOfChannels", 1)
    type_name = fields.texts["ElementType"]
    if type_name not in _TYPES or (type_name == "MET_FLOAT_MATRIX" and channels > 1):
        raise DamageError("reader-cannot-read", f"ElementType {shown(type_name)}")
    if not 1 <= channels <= MOST_VOXELS:
        raise DamageError("reader-cannot-read", f"ElementNumberOfChannels {channels}")
    count = math.prod(lengths) * channels
    if count > MOST_VOXELS:
        raise DamageError("unreadable", f"DimSize {_listed(lengths)}, ElementNumberOfChannels {channels}")
    code = _TYPES[type_name]
    layout = _layout(source, fields, end, lengths, channels, code)
    order = "|" if code[1] == "1" else ">" if _is_msb(fields) else "<"
    axes = range(len(lengths))
    spacing = fields.reals("ElementSpacing", fields.reals("ElementSize", [1.0 for _ in axes]))
    matrix = [float(row == column) for row in axes for column in axes]
    for name in ("Orientation", "Rotation", "TransformMatrix"):
        matrix = fields.reals(name, matrix)
    origin = [0.0 for _ in axes]
    for name in ("Position", "Offset", "Origin", "ImagePosition"):
        origin = fields.reals(name, origin)
    # the rows of the matrix are the directions of the axes (itkMetaImageIO.cxx, ReadImageInformation)
    columns = [matrix[len(lengths) * axis : len(lengths) * (axis + 1)] for axis in axes]
    found = grid(spacing, origin, columns, spacing)
    return (
        Header(
            format="metaimage",
            shape=lengths[:3] if len(lengths) == 4 else lengths,
            channels=(lengths[3] if len(lengths) == 4 else 1) * channels,
            # ITK hands a vector of one value on as a scalar
            dtype=order + code if channels == 1 else "",
            spacing=found.spacing,
            origin=found.origin,
            direction=found.direction,
            encoding=layout.encoding,
            offset=max(0, layout.header_size) if layout.files else _start(source, layout),
            data_bytes=count * layout.item,
            data_file=shown(layout.files[0]) if layout.files else "",
            faults=found.faults,
        ),
        layout,
    )


# --- the stream of characters --------------------------------------------------------------------------------------

_NAME = re.compile(rb"[ \t\n\v\f\r]*([^=:\r\n]*)")
_TO_VALUE = re.compile(rb"[^=:]*[=:][=: \t]*")
_BLANKS = re.compile(rb"[ \t\n\v\f\r]*")
_NUMBER = re.compile(rb"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]*)?|\.?)")
"""What C++ takes from a stream for a number (libstdc++, num_get); it need not be one."""


class _Fields:
    """Fields of a header: texts, and numbers by name."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.numbers: dict[str, list[float]] = {}

    def reals(self, name: str, default: list[float]) -> list[float]:
        """Return as many numbers as the default has; the default when the field is not there."""
        numbers = self.numbers.get(name, default)
        if len(numbers) < len(default):
            raise DamageError("unreadable", f"{name}: {len(numbers)} of {len(default)} numbers")
        return numbers[: len(default)]


def _parse(source: Source) -> tuple[_Fields, int]:
    """Return the fields of a header, and where it ends."""
    found = _fields(source.head, is_all=source.size <= len(source.head))
    if found is None:
        text = source.read_at(0, MOST_HEADER_BYTES)
        found = _fields(text, is_all=True)
    if found is None or "ElementDataFile" not in found[0].texts:
        raise DamageError("unreadable", "ElementDataFile missing in header")
    missing = [name for name in ("NDims", "DimSize") if name not in found[0].numbers]
    missing += [name for name in ("ElementType",) if name not in found[0].texts]
    if missing:
        raise DamageError("unreadable", f"{', '.join(missing)} missing in header")
    return found


def _fields(text: bytes, *, is_all: bool) -> tuple[_Fields, int] | None:
    """Read fields up to ElementDataFile; None when the text ends before it and there is more of it."""
    fields, at = _Fields(), 0
    for _ in range(MOST_LINES):
        named = _NAME.match(text, at)
        if not named or named.end() == len(text) or len(named[1]) > MOST_TEXT:
            break
        name = named[1].rstrip(b" \t").partition(b"\0")[0].decode("latin-1")
        value = _TO_VALUE.match(text, named.end())
        if not value or value.end() == len(text):
            break
        at = value.end()
        if name in _INTEGERS or name in _REALS:
            at = _numbers(text, at, name, fields)
        line_end = text.find(b"\n", at)
        if line_end < 0 and not is_all:
            break
        line = text[at : line_end if line_end >= 0 else len(text)]
        if len(line) > MOST_TEXT:
            raise DamageError("unreadable", f"{shown(name)}: line of {len(line)} bytes")
        at += len(line) + 1
        if name not in fields.numbers:
            fields.texts[name] = _stripped(line)
        if name == "ElementDataFile":
            return fields, min(at, len(text))
        if line_end < 0:
            break
    return (fields, len(text)) if is_all else None


def _stripped(line: bytes) -> str:
    """Cut what is blank or not ASCII from the end of a text, as MetaIO does."""
    text = line.partition(b"\0")[0]
    while len(text) > 1 and not 0x21 <= text[-1] <= 0x7E:
        text = text[:-1]
    return text.decode("latin-1") if text.strip() else ""


def _numbers(text: bytes, at: int, name: str, fields: _Fields) -> int:
    """Read the numbers of a field, and return where the last one ends."""
    count = _INTEGERS.get(name, _REALS.get(name, 1))
    if count < 1:
        axes = _axes_of(fields, name)
        count = axes if count == 0 else axes * axes
    numbers: list[float] = []
    for _ in range(count):
        blanks = _BLANKS.match(text, at)
        found = _NUMBER.match(text, blanks.end() if blanks else at)
        digits = found[0] if found else b""
        at = found.end() if found else at
        try:
            number = float(digits) if len(digits) <= MOST_DIGITS else math.inf
        except ValueError:
            number = math.nan
        if math.isinf(number) or (math.isnan(number) and name in _INTEGERS):
            raise DamageError("unreadable", f"{name}: {_line_at(text, at - len(digits))}")
        numbers.append(0.0 if math.isnan(number) else number)
    fields.numbers[name] = numbers
    if name == "NDims":
        _axes_of(fields, name)
    return at


def _line_at(text: bytes, at: int) -> str:
    return shown(text[at : at + MOST_TEXT].lstrip().splitlines()[0].decode("latin-1")) if text[at:].strip() else ""


def _axes_of(fields: _Fields, name: str) -> int:
    if "NDims" not in fields.numbers:
        raise DamageError("unreadable", f"{name} before NDims")
    axes = int(fields.numbers["NDims"][0])
    if not 1 <= axes <= MOST_AXES:
        raise DamageError("unreadable", f"NDims {axes}")
    return axes


# --- meaning -------------------------------------------------------------------------------------------------------


def _lengths(fields: _Fields) -> tuple[int, ...]:
    axes = _axes_of(fields, "DimSize")
    lengths = tuple(int(number) for number in fields.reals("DimSize", [0.0] * axes))
    if not all(0 < length <= MOST_LENGTH for length in lengths):
        raise DamageError("unreadable", f"DimSize {_listed(lengths)}")
    return lengths


def _listed(lengths: tuple[int, ...]) -> str:
    return " ".join(f"{length:.12g}" for length in lengths)


def _integer(fields: _Fields, name: str, default: int) -> int:
    return int(fields.numbers[name][0]) if name in fields.numbers else default


def _is_true(fields: _Fields, name: str, *, default: bool) -> bool:
    return fields.texts[name][:1] in ("T", "t", "1") if name in fields.texts else default


def _is_msb(fields: _Fields) -> bool:
    older = _is_true(fields, "ElementByteOrderMSB", default=False)
    return _is_true(fields, "BinaryDataByteOrderMSB", default=older)


def _layout(
    source: Source,
    fields: _Fields,
    end: int,
    lengths: tuple[int, ...],
    channels: int,
    code: str,
) -> _Layout:
    files, parts = _files(source, fields, end, lengths)
    is_binary = _is_true(fields, "BinaryData", default=True)
    is_compressed = _is_true(fields, "CompressedData", default=False) and is_binary
    size, header_size = _integer(fields, "CompressedDataSize", 0), _integer(fields, "HeaderSize", 0)
    if len(files) == 1 and parts == 1 and not _is_there(source, files[0]):
        # an unpacked name stands for a packed file as well (metaImage.cxx, ReadStream)
        packed = [files[0] + suffix for suffix in (".gz", ".Z") if _is_there(source, files[0] + suffix)]
        if packed:
            files, is_compressed, is_binary = (packed[0],), True, True
    if size < 0:
        raise DamageError("unreadable", f"CompressedDataSize {size}")
    if is_compressed and not files and not size:
        # ITK inflates from the first byte of the header on, and delivers what was in memory
        raise DamageError("reader-cannot-read", "CompressedDataSize missing, ElementDataFile LOCAL")
    if is_compressed and header_size == -1:
        raise DamageError("reader-cannot-read", "HeaderSize -1, CompressedData True")
    if not is_binary and channels > 1:
        raise DamageError("reader-cannot-read", f"BinaryData False, ElementNumberOfChannels {channels}")
    return _Layout(
        encoding="zlib" if is_compressed else "raw" if is_binary else "text",
        code=code,
        values=math.prod(lengths) * channels // parts,
        files=files,
        end=end,
        header_size=header_size if header_size >= -1 else 0,
        compressed_size=size if is_compressed else 0,
    )


def _is_there(source: Source, name: str) -> bool:
    path = path_beside(source, name)
    return path is not None and os.path.lexists(path)


def _files(source: Source, fields: _Fields, end: int, lengths: tuple[int, ...]) -> tuple[tuple[str, ...], int]:
    """Return the names of the files with the voxels, none when they follow the header, and into how many they fall."""
    value = fields.texts["ElementDataFile"]
    if value in ("LOCAL", "Local", "local"):
        return (), 1
    if value.startswith("LIST"):
        words = value.split()
        found = re.match(r"[0-9]{1,9}", words[1]) if len(words) > 1 else None
        per_file = int(found[0]) if found else 0
        if per_file == len(lengths):
            raise DamageError("reader-cannot-read", f"ElementDataFile {shown(value)}, NDims {len(lengths)}")
        per_file = per_file if 0 < per_file < len(lengths) else len(lengths) - 1
        wanted = math.prod(lengths[per_file:])
        # the last name counts only when its line has an end
        lines = source.read_at(end, MOST_HEADER_BYTES).split(b"\n", wanted)[:-1] if wanted <= MOST_LINES else []
        names = tuple(_stripped(line) for line in lines[:wanted])
    elif "%" in value:
        names, wanted = _numbered(value, lengths[-1]), lengths[-1]
    else:
        return (value,), 1
    if len(names) != wanted:
        raise DamageError("unreadable", f"ElementDataFile {shown(value)}: {len(names)} names, {wanted} expected")
    return names, wanted


_PATTERN = re.compile(r"([^%]*)%(0?[0-9]{0,2})[diu]([^%]*)")


def _numbered(value: str, slices: int) -> tuple[str, ...]:
    """Return the names that a pattern stands for, with least, greatest number and step after it (metaImage.cxx)."""
    words = value.split()
    template, numbers = words[0], words[1:]
    if len(numbers) > 3:
        template, numbers = " ".join(words[:-3]), words[-3:]
    parts = _PATTERN.fullmatch(template)
    if not parts or not all(re.fullmatch(r"[0-9]{1,9}", number) for number in numbers):
        raise DamageError("reader-cannot-read", f"ElementDataFile {shown(value)}")
    least, most, step = 1, slices, 1
    if numbers:
        least = int(numbers[0])
        most = least + slices - 1
    if len(numbers) > 1:
        most = int(numbers[1])
        step = (most - least) // slices
    if len(numbers) > 2:
        step = int(numbers[2])
    if step < 1:
        raise DamageError("reader-cannot-read", f"ElementDataFile {shown(value)}: step {step}")
    wanted = range(least, most + 1, step)[: min(slices, MOST_LINES)]
    return tuple(f"{parts[1]}{f'%{parts[2]}d' % number}{parts[3]}" for number in wanted)


# --- voxels --------------------------------------------------------------------------------------------------------


def _start(data: Source, layout: _Layout) -> int:
    if layout.header_size > 0:
        return layout.header_size if layout.encoding != "zlib" or layout.compressed_size else 0
    begin = 0 if layout.files else layout.end
    if layout.header_size == 0:
        return begin
    start = data.size - layout.piece_bytes
    if start < begin:
        raise DamageError("unreadable", f"data ends after {data.size - begin} of {layout.piece_bytes} bytes")
    return start


def _fits(data: Source, layout: _Layout) -> bool:
    start, wanted = _start(data, layout), layout.piece_bytes
    # who skips bytes has a file for more than these voxels
    exactly = layout.header_size == 0
    if layout.encoding == "raw":
        check_size(data.size, start, wanted, exactly=exactly)
        return True
    if layout.encoding == "text":
        # a digit and what separates it from the next
        if data.size - start < 2 * layout.values:
            have = max(0, data.size - start)
            raise DamageError("unreadable", f"{have} bytes of text; {2 * layout.values} or more expected")
        return False
    check_deflate(data.size - start, wanted)
    if not layout.compressed_size:
        return False
    check_size(data.size, start, layout.compressed_size, exactly=exactly)
    check_deflate(layout.compressed_size, wanted)
    return True


def _pieces(data: Source, layout: _Layout) -> Iterator[bytes]:
    start, wanted, item = _start(data, layout), layout.piece_bytes, layout.item
    if layout.encoding == "raw":
        return whole(raw_pieces(data, start, wanted), wanted, item)
    if layout.encoding == "text":
        return _text_pieces(data, start, layout)
    end = start + layout.compressed_size if layout.compressed_size else data.size
    check_size(data.size, start, end - start, exactly=False)
    wrapper: stream.Wrapper = "gzip" if data.read_at(start, 2) == b"\x1f\x8b" else "zlib"
    return whole(stream.inflate(data, wrapper, start, end, expected=wanted), wanted, item)


_BLOCK = 64 * 1024


def _text_pieces(data: Source, start: int, layout: _Layout) -> Iterator[bytes]:
    """Decode numbers, each followed by one character of whatever kind (metaImage.cxx, M_ReadElementData)."""
    left, rest = layout.values, b""
    while left:
        block = data.read_at(start, _BLOCK)
        start += len(block)
        text, at = rest + block, 0
        numbers: list[float] = []
        while left > len(numbers):
            blanks = _BLANKS.match(text, at)
            found = _NUMBER.match(text, blanks.end() if blanks else at)
            if not found or found.end() >= len(text):
                break
            numbers.append(_value(text, found, layout.code))
            at = found.end() + 1
        if numbers:
            yield pack(numbers, layout.code)
        left -= len(numbers)
        rest = text[at:].lstrip()
        if not block or len(rest) > MOST_DIGITS:
            break
    if left:
        raise DamageError("unreadable", f"text ends after {layout.values - left} of {layout.values} values")
    while rest:
        if rest.strip():
            raise DamageError("unreadable", f"more than {layout.values} values")
        rest = data.read_at(start, _BLOCK)
        start += len(rest)


def _value(text: bytes, found: re.Match[bytes], code: str) -> float:
    digits = found[0]
    try:
        number = float(digits) if len(digits) <= MOST_DIGITS else math.inf
    except ValueError:
        number = math.inf
    if math.isinf(number):
        raise DamageError("unreadable", f"no number: {_line_at(text, found.start())}")
    return number if code[0] == "f" else int(number)
