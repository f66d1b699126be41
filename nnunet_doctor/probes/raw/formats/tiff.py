"""TIFF and BigTIFF, as tifffile reads them for Tiff3DIO, and through skimage for NaturalImage2DIO.

What tifffile makes of a file was read in its source (2026.3.3: TiffPage, TiffFile.series, TiffPageSeries) and is compared
with it in ``tests/probes/raw/test_tiff.py``. In short: the pages of a file are one image if their geometry is the same or
if a description says so ("shaped" JSON of tifffile, ImageJ, OME-XML); axes of length 1 vanish except in "shaped" files;
neither palette nor orientation nor MinIsWhite is applied; 1 bit gives 0 and 1, other packed integers keep their value.

NaturalImage2DIO takes two axes, or three when the last one, or else the first one, has 3 or 4 entries: those are colours.
For Tiff3DIO they are slices or columns.
"""

from __future__ import annotations

import contextlib
import io
import json
import lzma
import math
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from nnunet_doctor.probes.raw.formats.png import inflate_exactly
from nnunet_doctor.probes.raw.record import DamageError, Header
from nnunet_doctor.probes.raw.source import Source
from nnunet_doctor.probes.raw.stream import PIECE_BYTES
from nnunet_doctor.probes.raw.voxels import load_numpy

MOST_VOXELS = 2**40
MOST_PAGES = 2**16
MOST_ENTRIES = 4096
"""What tifffile takes for a suspicious number of entries, too."""

MOST_SEGMENTS = 2**20
MOST_TEXT = 2**24
MOST_SUB_PAGES = 64

MOST_AT_ONCE = 2**26
"""Bytes of a row, a row of tiles, or a strip of a compression that is not decoded piece by piece."""

NONE, DEFLATE, LZMA = (1,), (8, 32946, 50013), (34925,)
BY_LIBTIFF = {5: 5, 32773: 32773, 50000: 50000, 34926: 50000}
"""LZW, PackBits and Zstandard, which Pillow's libtiff decodes, by the number that it knows them by."""

BY_PILLOW = (2, 3, 4, 7)
"""CCITT and JPEG, where Pillow decodes a whole page."""

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

_SOFTWARE = {"PerkinElmer-QPI": "QPI", "Philips DP": "Philips", "SI.": "ScanImage"}

_REVERSED = bytes(int(f"{value:08b}"[::-1], 2) for value in range(256))

_NUMBERS = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i", 13: "I", 16: "Q", 17: "q", 18: "Q"}

_WIDTHS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}


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


class _Page(NamedTuple):
    """One IFD.

    Attributes:
        position: Where it is.
        fields: Its entries by number; of several with one number the first.
        second_description: The second ImageDescription.
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
    second_description: _Field | None
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
    def together(self) -> int:
        """Values of a pixel that are stored beside each other."""
        return 1 if self.is_planar else self.samples

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of a strip or tile as stored."""
        return ((self.tile[0] if self.tile else self.width) * self.together * self.bits + 7) // 8

    @property
    def kind(self) -> str:
        """Type of the values that ``voxels`` yields, without byte order."""
        return _FORMATS[self.form, self.bits]

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


def read_header(source: Source, reader: str) -> Header:
    """Read the IFDs and what the description says of their arrangement.

    Spacing is left empty for all readers but NaturalImage2DIO: Tiff3DIO takes it from CASE.json.

    Raises:
        DamageError: ``unreadable``: no TIFF, cut, nonsense. ``reader-cannot-read``: a type or compression that tifffile
            refuses. ``undecoded``: a variant whose arrangement is not known here.
    """
    file = _open(source)
    pages = _pages(file)
    series = _series(file, pages)
    first = _first(series)
    kind = first.kind
    faults = []
    orientation = _number(file, first.fields, 274, 1)
    if 2 <= orientation <= 8:
        faults.append(("exif-orientation", str(orientation)))
    shape, channels = _as_read(series.shape, reader)
    return Header(
        format="tiff",
        shape=shape,
        channels=channels,
        dtype=kind and ("|" if kind.endswith("1") else file.order) + kind,
        spacing=(1.0, 1.0) if reader == "NaturalImage2DIO" and len(shape) == 2 else (),
        encoding="tiff",
        offset=series.position or next(iter(_offsets(file, first)[0]), 0),
        data_bytes=math.prod(series.shape) * (int(kind[1:]) if kind else first.bits // 8),
        faults=tuple(faults),
    )


def check_end(source: Source, header: Header) -> bool:  # noqa: ARG001  the pages are not in it
    """Check that all strips and tiles lie in the file; what is in them only decoding can tell.

    Raises:
        DamageError: ``unreadable``: the file ends before one, or it is too short for what it should hold.
    """
    file = _open(source)
    series = _series(file, _pages(file))
    first = _first(series)
    if series.position:
        _check_place(source, series.position, math.prod(series.shape) * first.bits // 8)
        return True
    for page in series.pages:
        if page is None:
            continue
        for (position, stored), rows in zip(_segments(file, page, first), _segment_rows(first), strict=True):
            if not (position and stored):
                continue
            wanted = rows * first.row_bytes if first.compression in NONE else stored
            if wanted > stored:
                raise DamageError("unreadable", f"strip at byte {position}: {stored} of {wanted} bytes")
            _check_place(source, position, wanted)
    return True


def voxels(source: Source, header: Header) -> Iterator[bytes]:  # noqa: ARG001  the pages are not in it
    """Decode all values in the order of tifffile's array, in the byte order of the file.

    Values of fewer than 8 bits come as one byte, other packed integers as 2 or 4 bytes, half precision as ``f4``.

    Raises:
        DamageError: ``unreadable``: a strip is missing, cut or damaged. ``undecoded``: a compression, or an
            arrangement, that is not known here.
    """
    file = _open(source)
    pages = _pages(file)
    series = _series(file, pages)
    first = _first(series)
    if series.position:
        finish = _finisher(file, first)
        for piece in _read(file, first, series.position, math.prod(series.shape) * first.bits // 8, PIECE_BYTES):
            yield finish(piece)
        return
    numbers = {page.position: number for number, page in enumerate(pages)}
    for page in series.pages:
        if page is None:
            yield from _zeros(first.size * int(first.kind[1:]))
        elif first.compression in BY_PILLOW:
            yield _by_pillow(file, first, numbers.get(page.position, -1))
        else:
            yield from (_tiles if first.tile else _strips)(file, page, first)


# --- the file ------------------------------------------------------------------------------------------------------


def _open(source: Source) -> _File:
    order = {b"II": "<", b"MM": ">"}.get(source.head[:2])
    if order is None or len(source.head) < 8:
        raise DamageError("unreadable", f"signature {source.head[:8].hex()}")
    version, size, zero = struct.unpack_from(order + "HHH", source.head, 2)
    if version == 43 and (size, zero) != (8, 0):
        raise DamageError("unreadable", f"BigTIFF with offsets of {size} bytes")
    if version not in {42, 43}:
        raise DamageError("unreadable", f"TIFF version {version}")
    return _File(source, order, version == 43)


def _pages(file: _File) -> list[_Page]:
    """Read the chain of IFDs."""
    start, code = (8, "Q") if file.is_big else (4, "I")
    (position,) = _unpack(file, code, start)
    pages: list[_Page] = []
    seen: set[int] = set()
    while position:
        if position in seen:
            raise DamageError("unreadable", f"IFD {len(pages)} at byte {position}: loop")
        if len(pages) == MOST_PAGES:
            raise DamageError("undecoded", f"more than {MOST_PAGES} IFDs")
        seen.add(position)
        page, position = _page(file, position, len(pages))
        pages.append(page)
    if not pages:
        raise DamageError("unreadable", "no IFD")
    return pages


def _page(file: _File, position: int, number: int) -> tuple[_Page, int]:
    """Read an IFD; return it with the position of the next one."""
    head, entry, value, code = (8, "HHQ8x", 12, "Q") if file.is_big else (2, "HHI4x", 8, "I")
    entry_bytes = value * 2 - 4
    data = file.source.read_at(position, 1024)
    count = int.from_bytes(data[:head], "little" if file.order == "<" else "big")
    if len(data) < head:
        raise DamageError("unreadable", f"IFD {number} at byte {position}: data ends at byte {file.source.size}")
    if count > MOST_ENTRIES:
        raise DamageError("unreadable", f"IFD {number} at byte {position}: {count} entries")
    end = head + count * entry_bytes
    following = value - 4
    if len(data) < end + following:
        data = file.source.read_at(position, end + following)
    if len(data) < end:
        raise DamageError("unreadable", f"IFD {number} at byte {position}: data ends at byte {position + len(data)}")
    fields: dict[int, _Field] = {}
    second = None
    at = position + head + value
    for tag, kind, values in struct.iter_unpack(file.order + entry, data[head:end]):
        if _WIDTHS.get(kind, 1) * values > following:
            inside = at - position
            (place,) = struct.unpack_from(file.order + code, data, inside)
        else:
            place = at
        field = _Field(kind, values, place)
        if tag == 270 and tag in fields:
            second = second or field
        fields.setdefault(tag, field)
        at += entry_bytes
    tail = data[end : end + following]
    next_position = int.from_bytes(tail, "little" if file.order == "<" else "big") if len(tail) == following else 0
    return _understood(file, position, fields, second), next_position


def _understood(file: _File, position: int, fields: dict[int, _Field], second: _Field | None) -> _Page:
    def number(tag: int, default: int) -> int:
        return _number(file, fields, tag, default)

    width, length, depth = number(256, 0), number(257, 0), number(32997, 1)
    samples, rows = number(277, 1), number(278, length)
    tile = (number(322, 0), number(323, 0), number(32998, 1)) if 322 in fields else ()
    if 278 in fields and fields[278].number > 1:
        rows = length
    return _Page(
        position=position,
        fields=fields,
        second_description=second,
        width=width,
        length=length,
        depth=depth,
        samples=samples,
        bits=_common(file, fields, 258, samples),
        form=_common(file, fields, 339, samples),
        compression=number(259, 1),
        is_planar=number(284, 1) == 2,
        predictor=number(317, 1),
        is_reversed=number(266, 1) == 2,
        photometric=number(262, 0),
        tile=tile,
        strip_rows=0 if tile else min(rows, length),
    )


def _unpack(file: _File, form: str, position: int) -> tuple[Any, ...]:
    size = struct.calcsize(file.order + form)
    data = file.source.head[position : position + size]
    if len(data) < size:
        data = file.source.read_at(position, size)
    if len(data) < size:
        raise DamageError("unreadable", f"data ends at byte {file.source.size}, before byte {position + size}")
    return struct.unpack(file.order + form, data)


def _number(file: _File, fields: dict[int, _Field], tag: int, default: int) -> int:
    """Return the first value of an entry."""
    found = _numbers(file, fields.get(tag), 1)
    return found[0] if found else default


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
    if field is None or field.kind != 2:
        return ""
    if field.number > MOST_TEXT:
        raise DamageError("undecoded", f"text of {field.number} bytes")
    data = file.source.read_at(field.position, field.number).rstrip(b"\0")
    return data.decode("utf-8", "replace").strip()


# --- the arrangement of pages ----------------------------------------------------------------------------------------


def _series(file: _File, pages: list[_Page]) -> _Series:
    """Arrange the pages as tifffile does, and refuse what it refuses."""
    series = _arranged(file, pages)
    first = _first(series)
    if not math.prod(first.shape) or first.size > MOST_VOXELS or math.prod(series.shape) > MOST_VOXELS:
        raise DamageError("unreadable", f"{' x '.join(map(str, reversed(series.shape)))} pixels")
    if (first.form, first.bits) not in _FORMATS:
        bits, form = (" ".join(map(str, _numbers(file, first.fields.get(tag), 8))) or "1" for tag in (258, 339))
        raise DamageError("reader-cannot-read", f"BitsPerSample {bits}, SampleFormat {form}")
    known = (*NONE, *DEFLATE, *LZMA, *BY_LIBTIFF, *BY_PILLOW, *OTHERS)
    if first.compression not in known:
        raise DamageError("reader-cannot-read", f"compression {first.compression}")
    if series.position:
        return series
    # tifffile returns what the pages hold when the description promises something else
    there, promised, page = len(series.pages) * first.size, math.prod(series.shape), math.prod(first.shape)
    if there == promised:
        return series
    if promised and there % promised == 0:
        return series._replace(shape=(there // promised, *series.shape))
    return series._replace(shape=(there // page, *first.shape))


def _first(series: _Series) -> _Page:
    return next(page for page in series.pages if page is not None)


def _arranged(file: _File, pages: list[_Page]) -> _Series:
    first = pages[0]
    if any(not (page.width and page.length and page.depth and page.samples) for page in pages[:1]):
        raise DamageError("unreadable", f"{first.width} x {first.length} pixels")
    texts = (_text(file, first.fields.get(270)), _text(file, first.second_description))
    if any(_shaped(text) for text in texts):
        return _by_shape(file, pages) or _by_likeness(file, pages)
    variant = next((name for tag, name in _VARIANTS.items() if tag in first.fields), "")
    if variant == "LSM" or variant == "Micro-Manager":
        raise DamageError("undecoded", f"TIFF variant {variant}")
    imagej = next((text for text in texts if text.startswith(("ImageJ=", "SCIFIO="))), "")
    if texts[0][-10:].strip().endswith("OME>"):
        found = _by_ome(file, pages, texts[0])
        if found is not None:
            return found
        if not imagej:
            return _by_likeness(file, pages)
    if imagej:
        return _by_imagej(file, pages, imagej) or _by_likeness(file, pages)
    variant = variant or _variant(file, pages, texts[0])
    if variant:
        raise DamageError("undecoded", f"TIFF variant {variant}")
    return _by_likeness(file, pages)


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
    if 700 in pages[0].fields and ("Ventana" in software or software.startswith("ScanOutputManager")):
        return "BIF"
    return next((name for start, name in _SOFTWARE.items() if software.startswith(start)), "")


def _by_likeness(file: _File, pages: list[_Page]) -> _Series:
    """Take the pages that are like the first one (TiffFile._series_uniform, _series_generic)."""
    first = pages[0]
    alike: list[_Page] = []
    for page in pages:
        if page.likeness == first.likeness:
            alike.append(page)
        for position in _numbers(file, page.fields.get(330), MOST_SUB_PAGES):
            if position >= 8:
                with contextlib.suppress(DamageError):
                    below, _ = _page(file, position, 0)
                    if below.likeness == first.likeness:
                        alike.append(below)
    return _Series(alike, _squeezed((len(alike), *first.shape), "I" + first.axes))


def _squeezed(shape: tuple[int, ...], axes: str) -> tuple[int, ...]:
    """Drop axes of length 1 except columns and rows."""
    return tuple(size for size, axis in zip(shape, axes, strict=True) if size > 1 or axis in "XY")


def _shaped(text: str) -> dict[str, Any]:
    """Read tifffile's own description; empty when it is none."""
    if '"mibi.' in text:
        return {}
    if text.startswith("shape="):
        sizes = text[7:-1].split(",")
        return {"shape": [int(size) if size.strip().isdigit() and len(size) < 20 else -1 for size in sizes if size]}
    if not text.startswith("{") or '"shape":' not in text:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {"shape": [-1]}
    return found if isinstance(found, dict) else {}


def _by_shape(file: _File, pages: list[_Page]) -> _Series | None:
    """Follow tifffile's own descriptions (TiffFile._series_shaped); None when they contradict the pages."""
    found: _Series | None = None
    index = 0
    while index < len(pages):
        page = pages[index]
        texts = (_text(file, page.fields.get(270)), _text(file, page.second_description))
        said = next(filter(None, map(_shaped, texts)), {})
        shape = said.get("shape")
        if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
            return None
        count, rest = divmod(math.prod(shape), page.size) if page.size else (0, 1)
        if rest or not count:
            return None
        truncated = said.get("truncated", False if 330 in page.fields else None)
        members = pages[index : index + count]
        if truncated or len(members) < count:
            members, count = [page], 1 if truncated else count
        axes = said.get("axes")
        fits = isinstance(axes, str) and len(axes) == len(shape)
        found = found or _shaped_series(file, members, tuple(shape), fits=fits)
        index += count
    return found


def _shaped_series(file: _File, pages: list[_Page], shape: tuple[int, ...], *, fits: bool) -> _Series:
    """Arrange pages by the shape that their description gives (append, within TiffFile._series_shaped)."""
    page = pages[0]
    several = (len(pages), *page.shape) if len(pages) > 1 else page.shape
    if not _tiles_into(page.shape, shape):
        return _Series(pages, several)
    is_last = len(pages) == 1 and math.prod(shape) > page.size
    place = _place(file, page) if is_last else 0
    if fits or place or math.prod(several) == math.prod(shape):
        return _Series(pages, shape, place)
    return _Series(pages, several)


def _tiles_into(page: tuple[int, ...], shape: tuple[int, ...]) -> bool:
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
    plain = page.compression in NONE and page.bits in {8, 16, 32, 64} and page.form not in {5, 0}
    if not plain or page.is_reversed or page.predictor != 1 or page.photometric == 6:
        return 0
    if page.tile and (
        page.tile[0] != page.width or page.length % max(1, page.tile[1]) or page.tile[0] % 16 or page.tile[1] % 16
    ):
        return 0
    segments = list(zip(*_offsets(file, page), strict=False))
    if len(segments) > 1:
        if sum(stored for _, stored in segments) != page.size * page.bits // 8:
            return 0
        follows = all(a + size == b and size for (a, size), (b, _) in zip(segments, segments[1:], strict=False))
        if not follows:
            return 0
    return segments[0][0] if segments else 0


def _by_imagej(file: _File, pages: list[_Page], text: str) -> _Series | None:
    """Follow ImageJ's description (TiffFile._series_imagej); None when it contradicts the pages."""
    said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    sizes: dict[str, int] = {}
    for name in ("frames", "slices", "channels", "images"):
        value = said.get(name, "1").strip()
        if not (value.isdigit() and 0 < len(value) < 12 and int(value)):
            return None
        sizes[name] = int(value)
    page = pages[0]
    frames, slices, channels, images = sizes["frames"], sizes["slices"], sizes["channels"], sizes["images"]
    apart, together = (page.samples, 1) if page.is_planar else (1, page.samples)
    if channels == 1 or (apart > 1 and apart == channels):
        images = frames * slices
    elif images == frames * slices and together == channels:
        channels = 1
    else:
        images = frames * slices * channels
    if images == 1 and len(pages) > 1:
        images = len(pages)
    place, stored = _place(file, page), images * page.size * page.bits // 8
    if place and place + stored > file.source.size:
        return None
    alone = bool(place) and not (images > 1 and len(pages) > 1 and place + stored > pages[1].position)
    letters = {"ctz": "ZTC", "zct": "TCZ", "ztc": "CTZ", "tcz": "ZCT", "tzc": "CZT"}
    axes = letters.get(said.get("order", "czt").strip().lower(), "TZC")
    shape = tuple({"T": frames, "Z": slices, "C": channels}[axis] for axis in axes)
    remain = images // math.prod(shape)
    if remain > 1:
        shape, axes = (remain, *shape), "I" + axes
    if apart > 1:
        if axes[-1] != "C":
            raise DamageError("undecoded", f"ImageJ order {said.get('order')}, {apart} planes")
        shape, axes = shape[:-1] + page.shape, axes + page.axes[1:]
    else:
        shape, axes = shape + page.shape, axes + page.axes
    return _Series([page] if alone else pages, _squeezed(shape, axes), place if alone else 0)


def _by_ome(file: _File, pages: list[_Page], text: str) -> _Series | None:
    """Follow OME-XML (TiffFile._series_ome); None when no image of it fits the pages."""
    from xml.etree import ElementTree as ET

    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise DamageError("undecoded", "OME-XML with entities")
    try:
        root = ET.fromstring(text)  # noqa: S314  entities are refused above
        for image in root:
            if image.tag.endswith("BinaryOnly"):
                return None
            for pixels in image if image.tag.endswith("Image") else ():
                if pixels.tag.endswith("Pixels"):
                    found = _ome_pixels(file, pages, pixels)
                    if found is not None:
                        return found
    except (ET.ParseError, KeyError, ValueError, RecursionError):
        return None
    return None


def _ome_pixels(file: _File, pages: list[_Page], pixels: Any) -> _Series | None:
    axes = "".join(reversed(pixels.attrib["DimensionOrder"]))
    sizes = [_digits(pixels.attrib[f"Size{axis}"]) for axis in axes]
    samples = next((_digits(c.attrib.get("SamplesPerPixel", "1")) for c in pixels if c.tag.endswith("Channel")), 1)
    if samples > 1:
        sizes = [size // samples if axis == "C" else size for size, axis in zip(sizes, axes, strict=True)]
    count = math.prod(sizes[:-2])
    if not 0 < count <= MOST_PAGES or axes[-2:] != "YX":
        raise DamageError("undecoded", f"OME DimensionOrder {axes[::-1]}, {count} planes")
    members: list[_Page | None] = [None] * count
    used = False
    for data in pixels:
        if not data.tag.endswith("TiffData"):
            continue
        name = os.path.basename(file.source.path).lower()
        if any(child.tag.endswith("UUID") and child.attrib.get("FileName", name).lower() != name for child in data):
            raise DamageError("undecoded", "OME-TIFF of several files")
        start = _digits(data.attrib.get("IFD", "0"))
        planes = _digits(data.attrib.get("NumPlanes", "1" if "IFD" in data.attrib else "0"))
        planes = _digits(data.attrib.get("PlaneCount", str(planes))) or len(pages)
        place = 0
        for size, axis in zip(sizes[:-2], axes[:-2], strict=True):
            index = _digits(data.attrib.get(f"First{axis}", "0"))
            if index >= size:
                break
            place = place * size + index
        else:
            wanted = pages[start : start + planes]
            for number, page in enumerate(wanted[: count - place], place):
                members[number] = page
                used = True
    if not used:
        return None
    first = next(page for page in members if page is not None)
    if samples > 1:
        sizes, axes = (
            ([*sizes[:-2], samples, *sizes[-2:]], axes[:-2] + "S" + axes[-2:])
            if first.is_planar
            else ([*sizes, samples], axes + "S")
        )
    shape = _squeezed(tuple(sizes), axes)
    wanted_pages = max(math.prod(sizes) // first.size, 1)
    if shape[-len(first.shape) :] != first.shape or wanted_pages > MOST_PAGES:
        return None
    members = (members + [None] * wanted_pages)[:wanted_pages]
    return _Series(members, shape) if any(members) else None


def _digits(text: str) -> int:
    if not text.isdigit() or len(text) > 12:
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


# --- the pixels ------------------------------------------------------------------------------------------------------


def _offsets(file: _File, page: _Page) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return position and bytes of each strip or tile; as many as the page needs, or fewer."""
    needed = _needed(page)
    if needed > MOST_SEGMENTS:
        raise DamageError("undecoded", f"{needed} strips")
    place, size = (324, 325) if page.tile and 324 in page.fields else (273, 279)
    positions = _numbers(file, page.fields.get(place), needed)
    stored = _numbers(file, page.fields.get(size), needed)
    return positions, stored or (page.size * page.bits // 8,)


def _needed(page: _Page) -> int:
    """Return the number of strips or tiles."""
    planes = page.samples if page.is_planar else 1
    if not page.tile:
        return planes * page.depth * -(-page.length // max(1, page.strip_rows))
    width, length, depth = page.tile
    if not (width and length and depth):
        raise DamageError("unreadable", f"tiles of {width} x {length} pixels")
    return planes * -(-page.depth // depth) * -(-page.length // length) * -(-page.width // width)


def _segments(file: _File, page: _Page, first: _Page) -> list[tuple[int, int]]:
    """Return position and bytes of each strip or tile of a page that is laid out like the first one."""
    needed = _needed(first)
    positions, stored = _offsets(file, page._replace(**{name: getattr(first, name) for name in _GEOMETRY}))
    if len(positions) < needed:
        raise DamageError("unreadable", f"IFD at byte {page.position}: {len(positions)} of {needed} strips")
    if needed == 1 and first.compression in NONE and not first.tile:
        # tifffile does not look at the number of bytes either
        return [(positions[0], first.length * first.depth * first.row_bytes)]
    if len(stored) < needed:
        raise DamageError("unreadable", f"IFD at byte {page.position}: byte counts of {len(stored)} of {needed} strips")
    return list(zip(positions, stored, strict=True))


_GEOMETRY = ("width", "length", "depth", "samples", "bits", "is_planar", "tile", "strip_rows")


def _segment_rows(page: _Page) -> list[int]:
    """Return the rows of each strip or tile."""
    if page.tile:
        return [page.tile[1] * page.tile[2]] * _needed(page)
    planes = (page.samples if page.is_planar else 1) * page.depth
    whole, rest = divmod(page.length, page.strip_rows)
    return ([page.strip_rows] * whole + [rest] * bool(rest)) * planes


def _check_place(source: Source, position: int, size: int) -> None:
    if position + size > source.size:
        there = max(0, source.size - position)
        raise DamageError("unreadable", f"data at byte {position} ends after {there} of {size} bytes")


def _zeros(size: int) -> Iterator[bytes]:
    for at in range(0, size, PIECE_BYTES):
        yield bytes(min(PIECE_BYTES, size - at))


def _strips(file: _File, page: _Page, first: _Page) -> Iterator[bytes]:
    segments = _segments(file, page, first)
    rows = _segment_rows(first)
    yield from _values(file, first, [(*place, count) for place, count in zip(segments, rows, strict=True)])


def _tiles(file: _File, page: _Page, first: _Page) -> Iterator[bytes]:
    """Decode a row of tiles at a time and put their rows beside each other."""
    segments = _segments(file, page, first)
    width, length, depth = first.tile
    if depth > 1:
        raise DamageError("undecoded", f"tiles of {width} x {length} x {depth} pixels")
    across, down = -(-first.width // width), -(-first.length // length)
    pixel = first.together * int(first.kind[1:])
    if across * width * length * pixel > MOST_AT_ONCE:
        raise DamageError("undecoded", f"{across} tiles of {width} x {length} pixels beside each other")
    last = (first.width - (across - 1) * width) * pixel
    for index in range(len(segments) // across):
        places = segments[index * across : (index + 1) * across]
        data = b"".join(_values(file, first, [(*place, length) for place in places]))
        rows = []
        for row in range(min(length, first.length - index % down * length)):
            for column in range(across):
                at = (column * length + row) * width * pixel
                rows.append(data[at : at + (width * pixel if column < across - 1 else last)])
        yield b"".join(rows)


def _values(file: _File, page: _Page, segments: list[tuple[int, int, int]]) -> Iterator[bytes]:
    """Decode strips or tiles, each given by position, bytes and rows, in pieces of whole rows."""
    row = page.row_bytes
    if row > MOST_AT_ONCE:
        raise DamageError("undecoded", f"row of {row} bytes")
    finish = _finisher(file, page)
    index = 0
    while index < len(segments):
        position, stored, rows = segments[index]
        index += 1
        if not (position and stored):
            values = rows * (page.tile[0] if page.tile else page.width) * page.together
            yield _fill(file, page) * values
        elif page.compression in NONE:
            size = rows * row
            while index < len(segments) and segments[index][0] == position + size and stored >= rows * row:
                _, stored, rows = segments[index]
                size += rows * row
                index += 1
            if stored < rows * row:
                raise DamageError("unreadable", f"strip {index - 1}: {stored} of {rows * row} bytes")
            for piece in _read(file, page, position, size, _piece_bytes(page)):
                yield finish(piece)
        elif page.compression in BY_LIBTIFF:
            group = [(position, stored, rows)]
            while index < len(segments) and len(group) * rows * row < PIECE_BYTES and group[-1][2] == rows:
                if not (segments[index][0] and segments[index][1]):
                    break
                group.append(segments[index])
                index += 1
            yield finish(_by_libtiff(file, page, group))
        else:
            expected = rows * row
            pieces = _read(file, page, position, stored, PIECE_BYTES)
            if page.compression in DEFLATE:
                out = inflate_exactly(map(memoryview, pieces), expected, _piece_bytes(page), expected / stored)
            elif page.compression in LZMA:
                out = _unxz(pieces, expected, _piece_bytes(page))
            else:
                raise DamageError("undecoded", f"compression {page.compression}")
            for piece in out:
                yield finish(piece)


def _piece_bytes(page: _Page) -> int:
    """Return the bytes of stored rows that are decoded at a time."""
    # packed integers become up to 64 times as large on the way
    room = PIECE_BYTES if page.bits in {8, 16, 32, 64} else PIECE_BYTES // 32
    return max(1, room // page.row_bytes) * page.row_bytes


def _read(file: _File, page: _Page, position: int, size: int, piece: int) -> Iterator[bytes]:
    """Read stored bytes in pieces."""
    _check_place(file.source, position, size)
    for at in range(0, size, piece):
        data = file.source.read_at(position + at, min(piece, size - at))
        if len(data) < min(piece, size - at):
            raise DamageError("unreadable", f"data at byte {position} ends after {at + len(data)} of {size} bytes")
        yield data.translate(_REVERSED) if page.is_reversed else data


def _unxz(pieces: Iterator[bytes], expected: int, band: int) -> Iterator[bytes]:
    decoder = lzma.LZMADecompressor(memlimit=2**28)
    produced, out = 0, b""
    try:
        for piece in pieces:
            given = piece
            while not decoder.eof and produced < expected:
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


def _fill(file: _File, page: _Page) -> bytes:
    """Return the value that a strip without data stands for: that of GDAL_NODATA, or 0."""
    code = {"u1": "B", "u2": "H", "u4": "I", "u8": "Q", "i1": "b", "i2": "h", "i4": "i", "i8": "q"}.get(page.kind)
    text = _text(file, page.fields.get(42113)).replace(",", ".")
    try:
        return struct.pack(
            file.order + (code or page.kind[1:].translate(str.maketrans("48", "fd"))),
            int(text) if code else float(text),
        )
    except (ValueError, OverflowError, struct.error):
        return bytes(int(page.kind[1:]))


def _finisher(file: _File, page: _Page) -> Callable[[bytes], bytes]:
    """Return what turns rows as stored into values: predictors and packed integers are undone."""
    if not page.kind or (page.form, page.bits) == (3, 24):
        raise DamageError("undecoded", f"BitsPerSample {page.bits}, SampleFormat {page.form}")
    values = (page.tile[0] if page.tile else page.width) * page.together
    is_half = (page.form, page.bits) == (3, 16)
    if page.bits not in {8, 16, 32, 64}:
        if page.predictor != 1 or page.bits > 16:
            raise DamageError("undecoded", f"BitsPerSample {page.bits}, Predictor {page.predictor}")
        return lambda data: _unpacked(data, page.row_bytes, values, page.bits, file.order + page.kind)
    if page.predictor == 1:
        return (lambda data: _widened(data, file.order)) if is_half else lambda data: data
    if page.predictor == 2 and page.form != 3:
        stored = file.order + page.kind
        return lambda data: _summed(data, stored, values // page.together, page.together)
    if page.predictor == 3 and page.form == 3:
        stored = f"{file.order}f{page.bits // 8}"
        plain = lambda data: _gathered(data, stored, values, page.together)  # noqa: E731
        return (lambda data: _widened(plain(data), file.order)) if is_half else plain
    raise DamageError("undecoded", f"Predictor {page.predictor}, SampleFormat {page.form}")


def _unpacked(data: bytes, row_bytes: int, values: int, bits: int, dtype: str) -> bytes:
    """Give each of the integers that are packed in rows a place of its own; the first bit is the highest."""
    np = load_numpy()
    rows = np.frombuffer(data, np.uint8).reshape(-1, row_bytes)
    single = np.unpackbits(rows, axis=1, count=values * bits)
    if bits == 1:
        return bytes(single.tobytes())
    weights = 1 << np.arange(bits - 1, -1, -1, dtype=np.uint16)
    return bytes((single.reshape(-1, bits) @ weights).astype(dtype).tobytes())


def _widened(data: bytes, order: str) -> bytes:
    """Turn half precision into single precision."""
    return bytes(load_numpy().frombuffer(data, order + "f2").astype(order + "f4").tobytes())


def _summed(data: bytes, dtype: str, width: int, samples: int) -> bytes:
    """Undo horizontal differencing (predictor 2)."""
    np = load_numpy()
    stored = np.frombuffer(data, dtype)
    native = stored.astype(stored.dtype.newbyteorder("="), copy=False).reshape(-1, width, samples)
    return bytes(np.add.accumulate(native, axis=1, dtype=native.dtype).astype(dtype, copy=False).tobytes())


def _gathered(data: bytes, dtype: str, values: int, samples: int) -> bytes:
    """Undo the floating-point predictor (3): highest bytes of a row first, each the difference to the one before."""
    np = load_numpy()
    width = np.dtype(dtype).itemsize
    stored = np.frombuffer(data, np.uint8).reshape(-1, values * width // samples, samples)
    planes = np.add.accumulate(stored, axis=1, dtype=np.uint8).reshape(-1, width, values)
    return bytes(np.ascontiguousarray(planes.transpose(0, 2, 1)).view(f">f{width}").astype(dtype).tobytes())


# --- what Pillow decodes ---------------------------------------------------------------------------------------------


def _by_libtiff(file: _File, page: _Page, group: list[tuple[int, int, int]]) -> bytes:
    """Decompress strips or tiles with Pillow's libtiff: as the strips of a grey image that is made up for them.

    All but the last one have the same number of rows.
    """
    from PIL import TiffImagePlugin

    rows, stored = sum(count for *_, count in group), sum(size for _, size, _ in group)
    if rows * page.row_bytes > MOST_AT_ONCE or stored > 2 * MOST_AT_ONCE:
        raise DamageError("undecoded", f"compression {page.compression}, strip of {rows * page.row_bytes} bytes")
    data = [b"".join(_read(file, page, position, size, PIECE_BYTES)) for position, size, _ in group]
    count = len(group)
    tables = 8 + 2 + 9 * 12 + 4
    begin = tables + 8 * count
    positions = [begin + sum(map(len, data[:index])) for index in range(count)]
    entries = (
        (256, 1, page.row_bytes),
        (257, 1, rows),
        (258, 1, 8),
        (259, 1, BY_LIBTIFF[page.compression]),
        (262, 1, 1),
        (273, count, positions[0] if count == 1 else tables),
        (277, 1, 1),
        (278, 1, group[0][2]),
        (279, count, len(data[0]) if count == 1 else tables + 4 * count),
    )
    made = struct.pack("<2sHIH", b"II", 42, 8, len(entries))
    made += b"".join(struct.pack("<HHII", tag, 4, values, value) for tag, values, value in entries) + bytes(4)
    made += struct.pack(f"<{2 * count}I", *positions, *map(len, data)) + b"".join(data)
    try:
        with _quiet(), TiffImagePlugin.TiffImageFile(io.BytesIO(made)) as image:
            return image.tobytes()
    except (OSError, SyntaxError, ValueError):
        raise DamageError("unreadable", f"compression {page.compression}, strip at byte {group[0][0]}") from None


def _by_pillow(file: _File, page: _Page, number: int) -> bytes:
    """Decode a page of a compression that needs more than its strips."""
    from PIL import TiffImagePlugin

    modes = {"1"} if page.bits == 1 else {"L", "RGB"} if page.bits == 8 else set()
    if number < 0 or page.size > MOST_AT_ONCE or (page.is_planar and page.samples > 1) or not modes:
        raise DamageError("undecoded", f"compression {page.compression}")
    try:
        with open(file.source.path, "rb") as stream, _quiet(), TiffImagePlugin.TiffImageFile(stream) as image:
            image.seek(number)
            bands = len(image.getbands())
            if image.mode not in modes or image.size != (page.width, page.length) or bands != page.samples:
                raise DamageError("undecoded", f"compression {page.compression}, {image.mode}")
            if image.mode != "1":
                return image.tobytes()
            # Pillow turns MinIsWhite round, tifffile does not
            ones = b"\0\xff" if page.photometric == 0 else b"\xff\0"
            return image.convert("L").tobytes().translate(bytes(ones[0] == value for value in range(256)))
    except (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, EOFError, struct.error, OverflowError):
        raise DamageError("unreadable", f"compression {page.compression}, IFD {number}") from None


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
