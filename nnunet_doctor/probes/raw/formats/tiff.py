"""TIFF and BigTIFF, as tifffile reads them for Tiff3DIO, and skimage with tifffile for NaturalImage2DIO.

What tifffile makes of a file was read in its source (2026.3.3: TiffPage, TiffFile.series, TiffPageSeries), and
``tests/probes/raw/test_tiff.py`` compares with it. In short: the pages of a file are one image if their geometry is
the same or if a description says so ("shaped" JSON of tifffile, ImageJ, OME-XML). Axes of length 1 vanish, except in
"shaped" files. Neither palette nor orientation nor MinIsWhite is applied. 1 bit gives 0 and 1, other packed integers
keep their value.

NaturalImage2DIO takes two axes, or three when the last one, or else the first one, has 3 or 4 entries, which are
colours; for Tiff3DIO they are columns or slices.
"""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import json
import lzma
import math
import os
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from nnunet_doctor.probes.raw.formats.png import inflate_exactly
from nnunet_doctor.probes.raw.record import DamageError, Header
from nnunet_doctor.probes.raw.source import Source
from nnunet_doctor.probes.raw.stream import PIECE_BYTES
from nnunet_doctor.probes.raw.voxels import CODES, load_numpy

MOST_VOXELS = 2**40
MOST_PAGES = 2**14
MOST_ENTRIES = 4096
"""What tifffile takes for a suspicious number of entries, too."""

MOST_ENTRIES_IN_ALL = 2**20
MOST_SUB_IFDS = 256
MOST_SEGMENTS = 2**20
MOST_TEXT = 2**22
MOST_AXES = 16

DEFLATE_LIMIT = 1032
"""No deflate stream expands by more (zlib's documentation, "Maximum expansion factor")."""

MUCH_BYTES = 2**30
"""Up to here strips may as well be left out, shared, or compressed by more than deflate can."""

MOST_AT_ONCE = 2**26
"""Bytes of a row, a row of tiles, or a strip of a compression that is not decoded piece by piece."""

NONE, DEFLATE, LZMA = (1,), (8, 32946, 50013), (34925,)

BY_LIBTIFF = {5: 5, 32773: 32773, 50000: 50000, 34926: 50000}
"""LZW, PackBits and Zstandard, which Pillow's libtiff decodes, by the number that it knows them by."""

BY_PILLOW = (2, 3, 4, 7)
"""CCITT and JPEG, where the strips alone say too little."""

JPEG = (6, 7, 33007, 34892)

OTHERS = (6, 22610, 33003, 33004, 33005, 33007, 34712, 34887, 34892, 34927, 34933, 34934, 48124, 50001, 50002, 52546)
"""What else tifffile decodes with imagecodecs (tifffile.CompressionCodec)."""

_FORMATS = {
    **{(kind, bits): "u1" for kind in (1, 4) for bits in range(1, 9)},
    **{(kind, bits): "u2" for kind in (1, 4) for bits in range(9, 17)},
    **{(kind, bits): "u4" for kind in (1, 4) for bits in range(17, 33)},
    **{(kind, 64): "u8" for kind in (1, 4)},
    **{(2, bits): f"i{bits // 8}" for bits in (8, 16, 32, 64)},
    (3, 16): "f4",
    (3, 24): "f4",
    (3, 32): "f4",
    (3, 64): "f8",
    (5, 16): "",
    (5, 32): "",
    (5, 64): "",
    (6, 64): "",
    (6, 128): "",
}
"""Type of a value by SampleFormat and BitsPerSample (tifffile.TIFF.SAMPLE_DTYPES); empty for complex numbers."""

_VARIANTS = {
    34412: "LSM",
    51123: "Micro-Manager",
    34362: "FluoView",
    33628: "MetaMorph STK",
    33560: "Olympus SIS",
    33471: "Olympus SIS",
    65420: "NDPI",
    65000: "EER or Argos",
    65001: "EER or Argos",
    43314: "NIH Image",
    33445: "MD Gel",
}
"""Tags of programs whose files tifffile arranges in ways of their own."""

_SOFTWARE = {
    "PerkinElmer-QPI": "QPI",
    "Philips DP": "Philips",
    "SI.": "ScanImage",
    "ScanOutputManager": "BIF",
    "Ventana": "BIF",
}

_USED = frozenset(
    {256, 257, 258, 259, 262, 266, 270, 273, 274, 277, 278, 279, 284, 292, 293, 305, 317, 322, 323, 324, 325, 330, 338}
    | {339, 347, 530, 700, 32997, 32998, 42113}
    | set(_VARIANTS)
)
"""Entries that are looked at."""

_REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))

_NUMBERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}

_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}


_WHOLE_BITS = (8, 16, 32, 64)


class _File(NamedTuple):
    """How numbers are written in a file.

    Attributes:
        source: The file.
        order: Byte order as ``struct`` writes it.
        is_big: Whether it is BigTIFF.
    """

    source: Source
    order: str
    is_big: bool


class _Field(NamedTuple):
    """Where the values of an entry of an IFD are.

    Attributes:
        kind: Type of the values, as in the file.
        number: How many.
        position: Of the first one.
    """

    kind: int
    number: int
    position: int


class _Segment(NamedTuple):
    """A strip or a tile.

    Attributes:
        position: Of its first byte; 0 for one that is left out.
        stored: Bytes in the file; 0 likewise.
        rows: Rows of pixels, those of all slices of a tile.
    """

    position: int
    stored: int
    rows: int

    @property
    def is_empty(self) -> bool:
        """Whether it is left out."""
        return not (self.position and self.stored)


class _Page(NamedTuple):
    """One IFD.

    Attributes:
        position: Where it is.
        fields: Those of its entries that are looked at, by number; of several with one number the first.
        second: The second ImageDescription.
        width: Columns.
        length: Rows.
        depth: Slices (ImageDepth).
        samples: Values per pixel.
        bits: Per value; 0 when they differ.
        form: SampleFormat; 0 when it differs.
        compression: As in the file.
        is_planar: Whether the values of a pixel are apart.
        predictor: As in the file.
        is_reversed: Whether the bits of a byte are stored in reverse.
        photometric: As in the file.
        tile: Width, length and depth of a tile; empty for strips.
        strip_rows: Rows of a strip.
    """

    position: int
    fields: dict[int, _Field]
    second: _Field | None
    width: int
    length: int
    depth: int
    samples: int
    bits: int
    form: int
    compression: int
    is_planar: bool
    predictor: int
    is_reversed: bool
    photometric: int
    tile: tuple[int, ...]
    strip_rows: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array that tifffile makes of it."""
        space = (self.depth, self.length, self.width) if self.depth > 1 else (self.length, self.width)
        if self.photometric != 2 and self.samples == 1:
            return space
        return (self.samples, *space) if self.is_planar else (*space, self.samples)

    @property
    def axes(self) -> str:
        """Letters of the axes of ``shape``, as tifffile names them."""
        space = "ZYX" if self.depth > 1 else "YX"
        if self.photometric != 2 and self.samples == 1:
            return space
        return "S" + space if self.is_planar else space + "S"

    @property
    def size(self) -> int:
        """Number of values."""
        return self.width * self.length * self.depth * self.samples

    @property
    def bytes(self) -> int:
        """Bytes of all values when they are whole bytes."""
        return self.size * self.bits // 8

    @property
    def together(self) -> int:
        """Values of a pixel that are stored beside each other."""
        return 1 if self.is_planar else self.samples

    @property
    def row_values(self) -> int:
        """Values of a row of a strip or tile."""
        return (self.tile[0] if self.tile else self.width) * self.together

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of a strip or tile as stored."""
        return (self.row_values * self.bits + 7) // 8

    @property
    def kind(self) -> str:
        """Type of the values that ``voxels`` yields, without byte order."""
        return _FORMATS[self.form, self.bits]

    @property
    def item(self) -> int:
        """Bytes of one of them."""
        return int(self.kind[1:] or 0)

    @property
    def likeness(self) -> tuple[object, ...]:
        """What pages must have in common to be one image (tifffile.TiffPage.hash)."""
        return (*self[3:], self.fields.get(338, _Field(0, 0, 0))[:2])


class _Series(NamedTuple):
    """The image that tifffile returns: the first of a file.

    Attributes:
        pages: Its pages; None for one that is missing, which reads as zeros.
        shape: Of the array.
        position: Of the values when they follow each other behind the first page's; 0 for not so.
    """

    pages: Sequence[_Page | None]
    shape: tuple[int, ...]
    position: int = 0

    @property
    def first(self) -> _Page:
        """The page that says how all are stored."""
        return next(page for page in self.pages if page is not None)


def read_header(source: Source, reader: str) -> Header:
    """Read the IFDs and what the description says of their arrangement.

    Spacing is left empty for all readers but NaturalImage2DIO: Tiff3DIO takes it from CASE.json.

    Raises:
        DamageError: ``unreadable``: no TIFF, cut, nonsense. ``reader-cannot-read``: a type or compression that tifffile
            refuses. ``undecoded``: a variant whose arrangement is not known here.
    """
    file, series = _read_series(source)
    first = series.first
    orientation = _number(file, first.fields, 274, 1)
    shape, channels = _as_read(series.shape, reader)
    kind = first.kind
    return Header(
        format="tiff",
        shape=shape,
        channels=channels,
        dtype=kind and ("|" if first.item == 1 else file.order) + kind,
        spacing=(1.0, 1.0) if reader == "NaturalImage2DIO" and len(shape) == 2 else (),
        encoding="tiff",
        offset=series.position or next(iter(_places(file, first, 1)[0]), 0),
        data_bytes=math.prod(series.shape) * (first.item or first.bits // 8),
        faults=(("exif-orientation", str(orientation)),) if 2 <= orientation <= 8 else (),
    )


def check_end(source: Source, header: Header) -> bool:  # noqa: ARG001  the pages are not in it
    """Check that all strips and tiles lie in the file; what is in them only decoding can tell.

    Raises:
        DamageError: ``unreadable``: the file ends before one, or one is too short for its rows.
    """
    file, series = _read_series(source)
    first = series.first
    if series.position:
        _check_place(source, series.position, math.prod(series.shape) * first.bits // 8)
        return True
    for page in series.pages:
        for segment in _segments(file, page, first) if page else ():
            if not segment.is_empty:
                _check_place(source, segment.position, _least_bytes(first, segment))
    return True


def voxels(source: Source, header: Header) -> Iterator[bytes]:
    """Decode all values in the order of tifffile's array, in the byte order of the file.

    Values of fewer than 8 bits come as one byte, other packed integers as 2 bytes, half precision as ``f4``.

    Raises:
        DamageError: ``unreadable``: a strip is missing, cut or damaged. ``undecoded``: a compression, or an
            arrangement, that is not known here, or an absurd amount of data for the size of the file.
    """
    if header.data_bytes > MUCH_BYTES + DEFLATE_LIMIT * source.size:
        raise DamageError("undecoded", f"{header.data_bytes} bytes from a file of {source.size} bytes")
    file, series = _read_series(source)
    first = series.first
    if series.position:
        size = math.prod(series.shape) * first.bits // 8
        yield from map(_finisher(file, first), _read(file, first, series.position, size, PIECE_BYTES))
        return
    for page in series.pages:
        if page is None:
            yield from _repeated(bytes(first.item), first.size)
            continue
        segments = _segments(file, page, first)
        if first.compression in BY_PILLOW:
            yield _by_pillow(file, page, first, segments)
        else:
            yield from (_tiles if first.tile else _values)(file, first, segments)


# --- the file --------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1)
def _read_series(source: Source) -> tuple[_File, _Series]:
    """Read what a file says of its pages: once for the three functions that are called one after the other."""
    order = {b"II": "<", b"MM": ">"}.get(source.head[:2])
    if order is None or len(source.head) < 8:
        raise DamageError("unreadable", f"signature {source.head[:8].hex()}")
    version, size, zero = struct.unpack_from(order + "HHH", source.head, 2)
    if version == 43 and (size, zero) != (8, 0):
        raise DamageError("unreadable", f"BigTIFF with offsets of {size} bytes")
    if version not in {42, 43}:
        raise DamageError("unreadable", f"TIFF version {version}")
    file = _File(source, order, version == 43)
    return file, _series(file, _pages(file))


def _pages(file: _File) -> list[_Page]:
    """Read the chain of IFDs."""
    (position,) = _unpack(file, "Q", 8) if file.is_big else _unpack(file, "I", 4)
    pages: list[_Page] = []
    seen: set[int] = set()
    entries = 0
    while position:
        if position in seen:
            raise DamageError("unreadable", f"IFD {len(pages)} at byte {position}: loop")
        if len(pages) == MOST_PAGES or entries > MOST_ENTRIES_IN_ALL:
            raise DamageError("undecoded", f"more than {len(pages)} IFDs")
        seen.add(position)
        page, position, more = _page(file, position, len(pages))
        pages.append(page)
        entries += more
    if not pages:
        raise DamageError("unreadable", "no IFD")
    return pages


def _page(file: _File, position: int, index: int) -> tuple[_Page, int, int]:
    """Read an IFD; return it with the position of the next one and the number of its entries."""
    head, entry, code = (8, "HHQ8x", "Q") if file.is_big else (2, "HHI4x", "I")
    room, before = struct.calcsize(code), struct.calcsize(f"<{entry}") - struct.calcsize(code)
    endian: Any = "little" if file.order == "<" else "big"
    data = file.source.read_at(position, 1024) if position < 2**63 else b""
    number = int.from_bytes(data[:head], endian) if len(data) >= head else 0
    if number > MOST_ENTRIES:
        raise DamageError("unreadable", f"IFD {index} at byte {position}: {number} entries")
    end = head + number * (before + room)
    if 1024 <= len(data) < end + room:
        data = file.source.read_at(position, end + room)
    if len(data) < end:
        raise DamageError("unreadable", f"IFD {index} at byte {position}: data ends at byte {file.source.size}")
    fields: dict[int, _Field] = {}
    second = None
    at = head + before
    for tag, kind, values in struct.iter_unpack(file.order + entry, data[head:end]):
        if tag in _USED:
            inside = _WIDTHS.get(kind, 1) * values <= room
            field = _Field(
                kind, values, position + at if inside else struct.unpack_from(file.order + code, data, at)[0]
            )
            if tag == 270 and tag in fields:
                second = second or field
            fields.setdefault(tag, field)
        at += before + room
    following = data[end : end + room]
    return _understood(file, position, fields, second), int.from_bytes(following, endian), number


def _understood(file: _File, position: int, fields: dict[int, _Field], second: _Field | None) -> _Page:
    length, samples = _number(file, fields, 257, 0), _number(file, fields, 277, 1)
    tile: tuple[int, ...] = ()
    if 322 in fields:
        tile = (_number(file, fields, 322, 0), _number(file, fields, 323, 0), _number(file, fields, 32998, 1))
    rows = _number(file, fields, 278, length)
    if not rows or (278 in fields and fields[278].number > 1):
        rows = length
    return _Page(
        position=position,
        fields=fields,
        second=second,
        width=_number(file, fields, 256, 0),
        length=length,
        depth=_number(file, fields, 32997, 1),
        samples=samples,
        bits=_common(file, fields, 258, samples),
        form=_common(file, fields, 339, samples),
        compression=_number(file, fields, 259, 1),
        is_planar=_number(file, fields, 284, 1) == 2,
        predictor=_number(file, fields, 317, 1),
        is_reversed=_number(file, fields, 266, 1) == 2,
        photometric=_number(file, fields, 262, 0),
        tile=tile,
        strip_rows=0 if tile else min(rows, length),
    )


def _unpack(file: _File, form: str, position: int) -> tuple[Any, ...]:
    size = struct.calcsize(file.order + form)
    data = file.source.head[position : position + size]
    if len(data) < size and position < 2**63:
        data = file.source.read_at(position, size)
    if len(data) < size:
        raise DamageError("unreadable", f"data ends at byte {file.source.size}, before byte {position + size}")
    return struct.unpack(file.order + form, data)


def _number(file: _File, fields: dict[int, _Field], tag: int, default: int) -> int:
    """Return the first value of an entry."""
    found = _numbers(file, fields.get(tag), 1)
    return max(0, found[0]) if found else default


def _numbers(file: _File, field: _Field | None, most: int) -> tuple[int, ...]:
    """Return the values of an entry, ``most`` at most."""
    if field is None or field.kind not in _NUMBERS or not field.number:
        return ()
    return _unpack(file, f"{min(field.number, most)}{_NUMBERS[field.kind]}", field.position)


def _common(file: _File, fields: dict[int, _Field], tag: int, samples: int) -> int:
    """Return the value that an entry has for all values of a pixel; 0 when they differ."""
    found = set(_numbers(file, fields.get(tag), max(1, min(samples, 2**16)))) or {1}
    return found.pop() if len(found) == 1 else 0


def _text(file: _File, field: _Field | None) -> str:
    """Return a text as tifffile does; empty for what is none."""
    if field is None or field.kind != 2 or field.position >= 2**63:
        return ""
    if field.number > MOST_TEXT:
        raise DamageError("undecoded", f"text of {field.number} bytes")
    data = file.source.read_at(field.position, field.number).rstrip(b"\0")
    return data.decode("utf-8", "replace").strip()


def _texts(file: _File, page: _Page) -> tuple[str, str]:
    """Return both descriptions of a page."""
    return _text(file, page.fields.get(270)), _text(file, page.second)


# --- the arrangement of pages ----------------------------------------------------------------------------------------


def _series(file: _File, pages: list[_Page]) -> _Series:
    """Arrange the pages as tifffile does, and refuse what it refuses."""
    if not 0 < pages[0].size <= MOST_VOXELS:
        raise DamageError("unreadable", f"{' x '.join(map(str, reversed(pages[0].shape)))} pixels")
    series = _arranged(file, pages)
    first = series.first
    if not 0 < math.prod(series.shape) <= MOST_VOXELS:
        raise DamageError("unreadable", f"{' x '.join(map(str, reversed(series.shape)))} pixels")
    _refuse_unknown(file, first)
    # tifffile returns what the pages hold when the description promises something else
    there, promised = len(series.pages) * first.size, math.prod(series.shape)
    if series.position or there == promised:
        return series
    if there % promised == 0:
        return series._replace(shape=(there // promised, *series.shape))
    return series._replace(shape=(len(series.pages), *first.shape))


def _refuse_unknown(file: _File, page: _Page) -> None:
    """Refuse a page that tifffile refuses to decode (TiffPage.decode)."""
    if (page.form, page.bits) not in _FORMATS:
        bits, form = (" ".join(map(str, _numbers(file, page.fields.get(tag), 8))) or "1" for tag in (258, 339))
        raise DamageError("reader-cannot-read", f"BitsPerSample {bits}, SampleFormat {form}")
    if page.compression not in {*NONE, *DEFLATE, *LZMA, *BY_LIBTIFF, *BY_PILLOW, *OTHERS}:
        raise DamageError("reader-cannot-read", f"compression {page.compression}")
    steps = _numbers(file, page.fields.get(530), 2) or ((2, 2) if page.photometric == 6 else (1, 1))
    if steps != (1, 1) and (page.is_planar or page.compression not in JPEG):
        raise DamageError("reader-cannot-read", f"compression {page.compression}, YCbCrSubSampling {steps}")


def _arranged(file: _File, pages: list[_Page]) -> _Series:
    """Find out who says how the pages belong together, in tifffile's order (TiffFile.series)."""
    texts = _texts(file, pages[0])
    if any(map(_shaped, texts)):
        return _by_shape(file, pages) or _by_likeness(file, pages)
    variant = next((name for tag, name in _VARIANTS.items() if tag in pages[0].fields), "")
    if variant in {"LSM", "Micro-Manager"}:
        raise DamageError("undecoded", f"TIFF variant {variant}")
    imagej = next((text for text in texts if text.startswith(("ImageJ=", "SCIFIO="))), "")
    found = None
    if texts[0][-10:].strip().endswith("OME>"):
        found = _by_ome(file, pages, texts[0])
        if not found and not imagej:
            return _by_likeness(file, pages)
    if imagej and not found:
        found = _by_imagej(file, pages, imagej) or _by_likeness(file, pages)
    variant = variant or _variant(file, pages, texts[0])
    if variant and not found:
        raise DamageError("undecoded", f"TIFF variant {variant}")
    return found or _by_likeness(file, pages)


def _variant(file: _File, pages: list[_Page], description: str) -> str:
    """Name the program whose files tifffile arranges in a way of its own; empty for none."""
    if 33445 in pages[min(1, len(pages) - 1)].fields:
        return _VARIANTS[33445]
    if description.startswith("Aperio "):
        return "SVS"
    if description.endswith("</scn>"):
        return "SCN"
    if description.startswith("state.") or "scanimage.SI" in description[-256:]:
        return "ScanImage"
    if 700 in pages[0].fields and description in {"Label Image", "Label_Image", "Probability_Image"}:
        return "BIF"
    software = _text(file, pages[0].fields.get(305))
    return next((name for start, name in _SOFTWARE.items() if software.startswith(start)), "")


def _by_likeness(file: _File, pages: list[_Page]) -> _Series:
    """Take the pages that are like the first one (TiffFile._series_uniform, _series_generic)."""
    first = pages[0]
    alike: list[_Page] = []
    below = 0
    for page in pages:
        if page.likeness == first.likeness:
            alike.append(page)
        for position in _numbers(file, page.fields.get(330), MOST_SUB_IFDS):
            below += 1
            if below > MOST_SUB_IFDS:
                raise DamageError("undecoded", f"more than {MOST_SUB_IFDS} SubIFDs")
            # as tifffile, which passes over those that it cannot read
            with contextlib.suppress(DamageError):
                sub = _page(file, position, 0)[0]
                alike += [sub] if sub.likeness == first.likeness else []
    return _Series(alike, _squeezed((len(alike), *first.shape), "I" + first.axes))


def _squeezed(shape: tuple[int, ...], axes: str) -> tuple[int, ...]:
    """Drop axes of length 1 except columns and rows."""
    return tuple(size for size, axis in zip(shape, axes, strict=True) if size > 1 or axis in "XY")


def _shaped(text: str) -> dict[str, Any]:
    """Read tifffile's own description; empty when it is none."""
    if '"mibi.' in text:
        return {}
    if text.startswith("shape="):
        sizes = [size.strip() for size in text[7:-1].split(",")]
        return {"shape": [int(size) if size.isdecimal() and len(size) < 16 else -1 for size in sizes if size]}
    if not text.startswith("{") or '"shape":' not in text:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {"shape": None}
    return found if isinstance(found, dict) else {}


def _by_shape(file: _File, pages: list[_Page]) -> _Series | None:
    """Follow tifffile's own descriptions (TiffFile._series_shaped); None when they contradict the pages."""
    found: _Series | None = None
    index = 0
    while index < len(pages):
        page = pages[index]
        said = next(filter(None, map(_shaped, _texts(file, page))), {})
        shape: Any = said.get("shape")
        if not _is_shape(shape) or not page.size:
            return None
        number, rest = divmod(math.prod(shape), page.size)
        if rest or not number:
            return None
        truncated = said.get("truncated", False if 330 in page.fields else None)
        members = pages[index : index + number]
        if truncated or len(members) < number:
            members, number = [page], 1 if truncated else number
        axes = said.get("axes")
        fits = isinstance(axes, str) and len(axes) == len(shape)
        found = found or _shaped_series(file, members, tuple(shape), fits=fits)
        index += number
    return found


def _is_shape(shape: Any) -> bool:
    if not isinstance(shape, list) or len(shape) > MOST_AXES:
        return False
    return all(type(size) is int and 0 <= size <= MOST_VOXELS for size in shape)


def _shaped_series(file: _File, pages: list[_Page], shape: tuple[int, ...], *, fits: bool) -> _Series:
    """Arrange pages by the shape that their description gives (append, within TiffFile._series_shaped)."""
    page = pages[0]
    several = (len(pages), *page.shape) if len(pages) > 1 else page.shape
    if not _fills(page.shape, shape):
        return _Series(pages, several)
    place = _place(file, page) if len(pages) == 1 and math.prod(shape) > page.size else 0
    if fits or place or math.prod(several) == math.prod(shape):
        return _Series(pages, shape, place)
    return _Series(pages, several)


def _fills(page: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether a page fills the last axes of a shape (tifffile.check_shape)."""
    at, of_page, of_shape = len(shape), 1, 1
    for size in reversed(page):
        of_page *= size
        while at:
            at -= 1
            of_shape *= shape[at]
            if size == shape[at] or of_page == of_shape:
                break
            if shape[at] != 1 and of_page != of_shape:
                return False
    return True


def _place(file: _File, page: _Page) -> int:
    """Return where the values of a page begin if they are stored as they are, one after the other; otherwise 0."""
    if page.compression not in NONE or page.bits not in _WHOLE_BITS or page.form in {0, 5}:
        return 0
    if page.is_reversed or page.predictor != 1 or page.photometric == 6:
        return 0
    if page.tile:
        width, length, _ = page.tile
        if width != page.width or width % 16 or not length or length % 16 or page.length % length:
            return 0
    places = list(zip(*_places(file, page, _needed(page)), strict=False))
    if len(places) > 1:
        follows = (before + size == after and size for (before, size), (after, _) in itertools.pairwise(places))
        if sum(size for _, size in places) != page.bytes or not all(follows):
            return 0
    return places[0][0] if places else 0


def _by_imagej(file: _File, pages: list[_Page], text: str) -> _Series | None:
    """Follow ImageJ's description (TiffFile._series_imagej); None when it contradicts the pages."""
    said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    texts = [said.get(name, "1").strip() for name in ("frames", "slices", "channels", "images")]
    if not all(value.isdecimal() and len(value) < 12 and int(value) for value in texts):
        return None
    frames, slices, channels, images = map(int, texts)
    page = pages[0]
    apart = page.samples if page.is_planar else 1
    if channels == 1 or (apart > 1 and apart == channels):
        images = frames * slices
    elif images == frames * slices and page.together == channels:
        channels = 1
    else:
        images = frames * slices * channels
    if images == 1:
        images = len(pages)
    place = _place(file, page)
    end = place + images * page.bytes
    if place and end > file.source.size:
        return None
    is_alone = place and not (images > 1 and len(pages) > 1 and end > pages[1].position)
    letters = {"ctz": "ZTC", "zct": "TCZ", "ztc": "CTZ", "tcz": "ZCT", "tzc": "CZT"}
    axes = letters.get(said.get("order", "czt").strip().lower(), "TZC")
    shape = tuple({"T": frames, "Z": slices, "C": channels}[axis] for axis in axes)
    remain = images // math.prod(shape)
    if remain > 1:
        shape, axes = (remain, *shape), "I" + axes
    if apart > 1:
        if axes[-1] != "C":
            raise DamageError("undecoded", f"ImageJ order {said['order']}, {apart} planes")
        shape, axes = shape[:-1] + page.shape, axes + page.axes[1:]
    else:
        shape, axes = shape + page.shape, axes + page.axes
    return _Series([page] if is_alone else pages, _squeezed(shape, axes), place if is_alone else 0)


def _by_ome(file: _File, pages: list[_Page], text: str) -> _Series | None:
    """Follow OME-XML (TiffFile._series_ome); None when no image of it fits the pages."""
    from xml.etree import ElementTree as ET

    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise DamageError("undecoded", "OME-XML with entities")
    try:
        for image in ET.fromstring(text):  # noqa: S314  entities are refused above
            if image.tag.endswith("BinaryOnly"):
                return None
            of_image = [child for child in image if image.tag.endswith("Image") and child.tag.endswith("Pixels")]
            found = next(filter(None, (_ome_pixels(file, pages, pixels) for pixels in of_image)), None)
            if found:
                return found
    except (ET.ParseError, KeyError, ValueError, RecursionError):
        return None
    return None


def _ome_pixels(file: _File, pages: list[_Page], pixels: Any) -> _Series | None:
    """Arrange the pages of one image; None when they do not fit it."""
    axes = "".join(reversed(pixels.attrib["DimensionOrder"]))
    sizes = [_digits(pixels.attrib[f"Size{axis}"]) for axis in axes]
    channels = (child for child in pixels if child.tag.endswith("Channel"))
    samples = next((_digits(child.attrib.get("SamplesPerPixel", "1")) for child in channels), 1)
    if samples > 1:
        sizes = [size // samples if axis == "C" else size for size, axis in zip(sizes, axes, strict=True)]
    number = math.prod(sizes[:-2])
    if not 0 < number <= MOST_PAGES or axes[-2:] != "YX":
        raise DamageError("undecoded", f"OME DimensionOrder {axes[::-1]}, {number} planes")
    members = _ome_planes(file, pages, pixels, dict(zip(axes[:-2], sizes[:-2], strict=True)))
    first = next(filter(None, members), None)
    if first is None:
        return None
    if samples > 1 and first.is_planar:
        sizes, axes = [*sizes[:-2], samples, *sizes[-2:]], axes[:-2] + "S" + axes[-2:]
    elif samples > 1:
        sizes, axes = [*sizes, samples], axes + "S"
    shape = _squeezed(tuple(sizes), axes)
    wanted = max(math.prod(sizes) // first.size, 1)
    if shape[-len(first.shape) :] != first.shape or wanted > MOST_PAGES:
        return None
    members = (members + [None] * wanted)[:wanted]
    return _Series(members, shape) if any(members) else None


def _ome_planes(file: _File, pages: list[_Page], pixels: Any, sizes: dict[str, int]) -> list[_Page | None]:
    """Put the pages into the order of the planes; None for a plane without a page."""
    members: list[_Page | None] = [None] * math.prod(sizes.values())
    own = os.path.basename(file.source.path).lower()
    placed = 0
    for data in pixels:
        if not data.tag.endswith("TiffData"):
            continue
        if any(child.tag.endswith("UUID") and child.attrib.get("FileName", own).lower() != own for child in data):
            raise DamageError("undecoded", "OME-TIFF of several files")
        firsts = [_digits(data.attrib.get(f"First{axis}", "0")) for axis in sizes]
        if any(first >= size for first, size in zip(firsts, sizes.values(), strict=True)):
            continue
        place = 0
        for first, size in zip(firsts, sizes.values(), strict=True):
            place = place * size + first
        start = _digits(data.attrib.get("IFD", "0"))
        planes = _digits(data.attrib.get("NumPlanes", "1" if "IFD" in data.attrib else "0"))
        planes = _digits(data.attrib.get("PlaneCount", str(planes))) or len(pages)
        chosen = pages[start : start + min(planes, len(members) - place)]
        members[place : place + len(chosen)] = chosen
        placed += len(chosen)
        if placed > 4 * MOST_PAGES:
            raise DamageError("undecoded", f"TiffData of {placed} planes")
    return members


def _digits(text: str) -> int:
    if not text.isdecimal() or len(text) > 12:
        raise ValueError(text)
    return int(text)


def _as_read(shape: tuple[int, ...], reader: str) -> tuple[tuple[int, ...], int]:
    """Return the lengths of the spatial axes, fastest first, and the channels, as a reader of nnU-Net understands them.

    skimage.io.imread moves the first of three axes to the end if it has 3 or 4 entries and the last one has not.
    """
    if reader != "Tiff3DIO" and len(shape) == 3:
        if shape[-1] in {3, 4}:
            return shape[1::-1], shape[-1]
        if shape[0] in {3, 4}:
            return shape[:0:-1], shape[0]
    return shape[::-1], 1


# --- strips and tiles ------------------------------------------------------------------------------------------------


def _needed(page: _Page) -> int:
    """Return the number of strips or tiles of a page."""
    needed = page.samples if page.is_planar else 1
    if page.tile:
        width, length, depth = page.tile
        if not (width and length and depth):
            raise DamageError("unreadable", f"tiles of {width} x {length} pixels")
        needed *= -(-page.depth // depth) * -(-page.length // length) * -(-page.width // width)
    else:
        needed *= page.depth * -(-page.length // page.strip_rows)
    if needed > MOST_SEGMENTS:
        raise DamageError("undecoded", f"more than {MOST_SEGMENTS} strips")
    return needed


def _places(file: _File, page: _Page, needed: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return position and bytes of each strip or tile; as many as are needed, or fewer."""
    place, size = (324, 325) if page.tile and 324 in page.fields else (273, 279)
    positions = _numbers(file, page.fields.get(place), needed)
    return positions, _numbers(file, page.fields.get(size), needed) or (page.bytes,)


def _segments(file: _File, page: _Page, first: _Page) -> list[_Segment]:
    """Return the strips or tiles of a page that is laid out like the first one."""
    needed = _needed(first)
    positions, stored = _places(file, page, needed)
    if len(positions) < needed:
        raise DamageError("unreadable", f"IFD at byte {page.position}: {len(positions)} of {needed} strips")
    rows = _segment_rows(first)
    if needed == 1 and first.compression in NONE and not first.tile:
        # tifffile does not look at the number of bytes either
        return [_Segment(positions[0], rows[0] * first.row_bytes, rows[0])]
    if len(stored) < needed:
        raise DamageError("unreadable", f"IFD at byte {page.position}: byte counts of {len(stored)} of {needed} strips")
    return [_Segment(*of_one) for of_one in zip(positions, stored, rows, strict=True)]


def _segment_rows(page: _Page) -> list[int]:
    """Return the rows of each strip or tile."""
    if page.tile:
        return [page.tile[1] * page.tile[2]] * _needed(page)
    whole, rest = divmod(page.length, page.strip_rows)
    return ([page.strip_rows] * whole + [rest] * bool(rest)) * ((page.samples if page.is_planar else 1) * page.depth)


def _least_bytes(page: _Page, segment: _Segment) -> int:
    """Return the bytes that a strip must have in the file."""
    if page.compression not in NONE:
        return segment.stored
    wanted = segment.rows * page.row_bytes
    if segment.stored < wanted:
        raise DamageError("unreadable", f"strip at byte {segment.position}: {segment.stored} of {wanted} bytes")
    return wanted


def _check_place(source: Source, position: int, size: int) -> None:
    if position + size > source.size:
        there = max(0, source.size - position)
        raise DamageError("unreadable", f"data at byte {position} ends after {there} of {size} bytes")


def _tiles(file: _File, page: _Page, segments: list[_Segment]) -> Iterator[bytes]:
    """Decode a row of tiles at a time and put their rows beside each other."""
    width, length, depth = page.tile
    across, down = -(-page.width // width), -(-page.length // length)
    full = page.row_values * page.item
    if depth > 1 or across * length * full > MOST_AT_ONCE:
        raise DamageError("undecoded", f"{across} tiles of {width} x {length} x {depth} pixels beside each other")
    last = full - (across * width - page.width) * page.together * page.item
    for index in range(len(segments) // across):
        data = b"".join(_values(file, page, segments[index * across : (index + 1) * across]))
        rows = []
        for row in range(min(length, page.length - index % down * length)):
            for column in range(across):
                at = (column * length + row) * full
                rows.append(data[at : at + (full if column < across - 1 else last)])
        yield b"".join(rows)


def _values(file: _File, page: _Page, segments: list[_Segment]) -> Iterator[bytes]:
    """Decode strips or tiles, in pieces of whole rows."""
    if page.row_bytes > MOST_AT_ONCE:
        raise DamageError("undecoded", f"row of {page.row_bytes} bytes")
    finish = _finisher(file, page)
    for group in _groups(page, segments):
        if group[0].is_empty:
            yield from _repeated(_fill(file, page), group[0].rows * page.row_values)
        else:
            yield from map(finish, _decompressed(file, page, group))


def _groups(page: _Page, segments: list[_Segment]) -> Iterator[list[_Segment]]:
    """Bring together what is faster together: plain strips that follow each other, and small ones for libtiff."""
    group: list[_Segment] = []
    for segment in segments:
        if group and not _belongs(page, group, segment):
            yield group
            group = []
        group.append(segment)
    yield group


def _belongs(page: _Page, group: list[_Segment], segment: _Segment) -> bool:
    before = group[-1]
    if before.is_empty or segment.is_empty:
        return False
    size = before.rows * page.row_bytes
    if page.compression in NONE:
        return before.stored == size and before.position + size == segment.position
    return page.compression in BY_LIBTIFF and before.rows == group[0].rows and len(group) * size < PIECE_BYTES


def _decompressed(file: _File, page: _Page, group: list[_Segment]) -> Iterable[bytes]:
    """Decompress what belongs together, in pieces of whole rows."""
    position, stored, rows = group[0]
    expected, band = rows * page.row_bytes, _band_bytes(page)
    if page.compression in NONE:
        return _read(file, page, position, sum(_least_bytes(page, segment) for segment in group), band)
    if page.compression in BY_LIBTIFF:
        return (_by_libtiff(file, page, group),)
    pieces = _read(file, page, position, stored, PIECE_BYTES)
    if page.compression in DEFLATE:
        return inflate_exactly(map(memoryview, pieces), expected, band, expected / stored)
    if page.compression in LZMA:
        return _unxz(pieces, expected, band)
    raise DamageError("undecoded", f"compression {page.compression}")


def _band_bytes(page: _Page) -> int:
    """Return the bytes of stored rows that are decoded at a time."""
    # packed integers take much more room on the way
    room = PIECE_BYTES if page.bits in _WHOLE_BITS else PIECE_BYTES // 32
    return max(1, room // page.row_bytes) * page.row_bytes


def _read(file: _File, page: _Page, position: int, size: int, band: int) -> Iterator[bytes]:
    """Read stored bytes in pieces."""
    _check_place(file.source, position, size)
    for at in range(0, size, band):
        data = file.source.read_at(position + at, min(band, size - at))
        if len(data) < min(band, size - at):
            raise DamageError("unreadable", f"data at byte {position} ends after {at + len(data)} of {size} bytes")
        yield data.translate(_REVERSED) if page.is_reversed and page.compression not in JPEG else data


def _repeated(value: bytes, times: int) -> Iterator[bytes]:
    most = PIECE_BYTES // len(value)
    for at in range(0, times, most):
        yield value * min(most, times - at)


def _fill(file: _File, page: _Page) -> bytes:
    """Return the value that a strip without data stands for: that of GDAL_NODATA, or 0."""
    text = _text(file, page.fields.get(42113)).replace(",", ".")
    try:
        return struct.pack(file.order + CODES[page.kind], float(text) if page.kind[0] == "f" else int(text))
    except (ValueError, OverflowError, struct.error):
        return bytes(page.item)


def _unxz(pieces: Iterable[bytes], expected: int, band: int) -> Iterator[bytes]:
    """Decompress an LZMA stream in pieces of ``band`` bytes; only the last one is shorter."""
    decoder = lzma.LZMADecompressor(memlimit=2**27)
    produced, out = 0, b""
    try:
        for piece in pieces:
            given = piece
            while produced < expected and not decoder.eof:
                out += decoder.decompress(given, min(band, expected - produced) - len(out))
                given = b""
                if len(out) == min(band, expected - produced):
                    produced += len(out)
                    yield out
                    out = b""
                elif decoder.needs_input:
                    break
    except lzma.LZMAError as error:
        raise DamageError("unreadable", f"LZMA: {error}, after {produced} bytes") from None
    if produced < expected:
        raise DamageError("unreadable", f"data ends after {produced + len(out)} of {expected} bytes")


# --- values out of rows ----------------------------------------------------------------------------------------------


def _finisher(file: _File, page: _Page) -> Callable[[bytes], bytes]:
    """Return what turns rows as stored into values: predictors and packed integers are undone."""
    if (page.form, page.bits) == (3, 16):
        undone = _unpredicted(page, f"{file.order}f2")
        return lambda data: _widened(undone(data), file.order)
    if page.kind and page.bits in _WHOLE_BITS:
        return _unpredicted(page, file.order + page.kind)
    if page.form == 3 or not page.kind or page.predictor != 1 or page.bits > 16:
        raise DamageError(
            "undecoded", f"BitsPerSample {page.bits}, SampleFormat {page.form}, Predictor {page.predictor}"
        )
    return lambda data: _unpacked(data, page, file.order + page.kind)


def _unpredicted(page: _Page, dtype: str) -> Callable[[bytes], bytes]:
    """Return what undoes the predictor of rows."""
    if page.predictor == 1:
        return lambda data: data
    if page.predictor == 2 and page.form != 3:
        return lambda data: _summed(data, page, dtype)
    if page.predictor == 3 and page.form == 3:
        return lambda data: _gathered(data, page, dtype)
    raise DamageError("undecoded", f"Predictor {page.predictor}, SampleFormat {page.form}")


def _summed(data: bytes, page: _Page, dtype: str) -> bytes:
    """Undo horizontal differencing (predictor 2)."""
    np = load_numpy()
    stored = np.frombuffer(data, dtype)
    native = stored.astype(stored.dtype.newbyteorder("="), copy=False).reshape(-1, page.row_values, 1)
    native = native.reshape(-1, page.row_values // page.together, page.together)
    return bytes(np.add.accumulate(native, axis=1, dtype=native.dtype).astype(dtype, copy=False).tobytes())


def _gathered(data: bytes, page: _Page, dtype: str) -> bytes:
    """Undo the floating-point predictor (3): highest bytes of a row first, each the difference to the one before."""
    np = load_numpy()
    width = np.dtype(dtype).itemsize
    stored = np.frombuffer(data, np.uint8).reshape(-1, page.row_values * width // page.together, page.together)
    planes = np.add.accumulate(stored, axis=1, dtype=np.uint8).reshape(-1, width, page.row_values)
    return bytes(np.ascontiguousarray(planes.transpose(0, 2, 1)).view(f">f{width}").astype(dtype).tobytes())


def _widened(data: bytes, order: str) -> bytes:
    """Turn half precision into single precision."""
    return bytes(load_numpy().frombuffer(data, order + "f2").astype(order + "f4").tobytes())


def _unpacked(data: bytes, page: _Page, dtype: str) -> bytes:
    """Give each of the integers that are packed in rows a place of its own; the first bit is the highest."""
    np = load_numpy()
    rows = np.frombuffer(data, np.uint8).reshape(-1, page.row_bytes)
    single = np.unpackbits(rows, axis=1, count=page.row_values * page.bits)
    if page.bits == 1:
        return bytes(single.tobytes())
    weights = 1 << np.arange(page.bits - 1, -1, -1, dtype=np.uint16)
    return bytes((single.reshape(-1, page.bits) @ weights).astype(dtype).tobytes())


# --- what Pillow decodes ---------------------------------------------------------------------------------------------


def _by_libtiff(file: _File, page: _Page, group: list[_Segment]) -> bytes:
    """Decompress strips or tiles with Pillow's libtiff: as the strips of a grey image that is made up for them.

    All but the last one have the same number of rows.
    """
    rows = sum(segment.rows for segment in group)
    compression = BY_LIBTIFF[page.compression]
    tags = {256: (page.row_bytes,), 257: (rows,), 258: (8,), 259: (compression,), 262: (1,), 277: (1,)}
    return bytes(_made_up(file, page, {**tags, 278: (group[0].rows,)}, group).tobytes())


def _by_pillow(file: _File, page: _Page, first: _Page, segments: list[_Segment]) -> bytes:
    """Decode a page of a compression that needs more than its strips."""
    mode = {(1, 1): "1", (8, 1): "L", (8, 3): "RGB"}.get((first.bits, first.samples))
    if mode is None or first.is_planar or first.depth > 1 or any(segment.is_empty for segment in segments):
        raise DamageError("undecoded", f"compression {first.compression}")
    tags = {256: (first.width,), 257: (first.length,), 258: (first.bits,) * first.samples, 259: (first.compression,)}
    tags |= {262: (first.photometric,), 277: (first.samples,)}
    tags |= {322: first.tile[:1], 323: first.tile[1:2]} if first.tile else {278: (first.strip_rows,)}
    tags |= {tag: _numbers(file, first.fields[tag], 2) for tag in (292, 293, 530) if tag in first.fields}
    tables = page.fields.get(347)
    data = file.source.read_at(tables.position, min(tables.number, 2**16)) if tables else b""
    image = _made_up(file, first, tags, segments, data)
    if (image.mode, image.size) != (mode, (first.width, first.length)):
        raise DamageError("undecoded", f"compression {first.compression}, {image.mode}")
    if mode != "1":
        return bytes(image.tobytes())
    # Pillow turns MinIsWhite round, tifffile does not
    one = 0 if first.photometric == 0 else 255
    return bytes(image.convert("L").tobytes().translate(bytes(value == one for value in range(256))))


def _made_up(
    file: _File, page: _Page, tags: Mapping[int, tuple[int, ...]], segments: list[_Segment], tables: bytes = b""
) -> Any:
    """Decode strips or tiles as a TIFF that has just what is needed for it.

    A file of unknown origin is not given to Pillow as it is: it keeps the values of all entries, however large.
    """
    from PIL import TiffImagePlugin

    decoded, stored = sum(segment.rows for segment in segments) * page.row_bytes, sum(s.stored for s in segments)
    if decoded > MOST_AT_ONCE or stored > 2 * MOST_AT_ONCE:
        raise DamageError("undecoded", f"compression {page.compression}, {decoded} bytes at once")
    data = [b"".join(_read(file, page, position, size, PIECE_BYTES)) for position, size, _ in segments]
    made = _tiff_of(tags, data, tables)
    try:
        with _quiet():
            image = TiffImagePlugin.TiffImageFile(io.BytesIO(made))
            image.load()
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError, struct.error):
        message = f"compression {page.compression}, strip at byte {segments[0].position}"
        raise DamageError("unreadable", message) from None
    return image


def _tiff_of(tags: Mapping[int, tuple[int, ...]], data: list[bytes], tables: bytes) -> bytes:
    """Write a TIFF of one page: header, entries, their values, strips or tiles."""
    place, size = (324, 325) if 322 in tags else (273, 279)
    sizes = [len(strip) for strip in data]
    entries: dict[int, tuple[int, ...] | bytes] = {**tags, place: tuple(sizes), size: tuple(sizes)}
    if tables:
        entries[347] = tables
    behind = 8 + 2 + 12 * len(entries) + 4
    begin = behind + sum(len(values) * (1 if isinstance(values, bytes) else 4) for values in entries.values())
    entries[place] = tuple(begin + end - own for end, own in zip(itertools.accumulate(sizes), sizes, strict=True))
    table = values = b""
    for tag, found in sorted(entries.items()):
        is_raw = isinstance(found, bytes)
        packed = found if isinstance(found, bytes) else struct.pack(f"<{len(found)}I", *found)
        inside = packed.ljust(4, b"\0") if len(packed) <= 4 else struct.pack("<I", behind + len(values))
        table += struct.pack("<HHI", tag, 7 if is_raw else 4, len(found)) + inside
        values += packed
    return struct.pack("<2sHIH", b"II", 42, 8, len(entries)) + table + bytes(4) + values + b"".join(data)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what libtiff has to say of damaged data off standard error."""
    try:
        saved = os.dup(2)
    except OSError:
        yield
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
