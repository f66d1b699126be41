"""BMP, as NaturalImage2DIO gets it: skimage, that is imageio, that is Pillow.

Found by experiment with scikit-image 0.26, imageio 2.38 and Pillow 13:

    1 bit, palette black, white             0 and 1
    8 bit, palette 0, 1, 2, ... in grey     as stored
    any other palette                       R, G, B
    16, 24, 32 bit                          R, G, B; the fourth byte is dropped
    32 bit with masks that name an alpha    R, G, B, A
    4 bit, palette 0, 1, 2, ... in grey     refused, by mistake: Pillow takes it for 8 bit

Rows are stored from the bottom up, or from the top down when the height is negative. Run lengths are read; JPEG and PNG
within are not.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

from nnunet_doctor.probes.raw.formats.png import MOST_PIXELS
from nnunet_doctor.probes.raw.record import DamageError, Fault, Header
from nnunet_doctor.probes.raw.source import Source
from nnunet_doctor.probes.raw.stream import PIECE_BYTES

MOST_RLE_PIXELS = 2**24
"""Pillow decodes run lengths in Python."""

MOST_RLE_BYTES = 2**21

MOST_ROW_BYTES = 2**26

_PLAIN = {
    1: ("P", "P;1"),
    4: ("P", "P;4"),
    8: ("P", "P"),
    16: ("RGB", "BGR;15"),
    24: ("RGB", "BGR"),
    32: ("RGB", "BGRX"),
}

_MASKED = {
    (32, (0xFF0000, 0xFF00, 0xFF, 0)): ("RGB", "BGRX"),
    (32, (0xFF000000, 0xFF0000, 0xFF00, 0)): ("RGB", "XBGR"),
    (32, (0xFF000000, 0xFF00, 0xFF, 0)): ("RGB", "BGXR"),
    (32, (0xFF000000, 0xFF0000, 0xFF00, 0xFF)): ("RGBA", "ABGR"),
    (32, (0xFF, 0xFF00, 0xFF0000, 0xFF000000)): ("RGBA", "RGBA"),
    (32, (0xFF0000, 0xFF00, 0xFF, 0xFF000000)): ("RGBA", "BGRA"),
    (32, (0xFF000000, 0xFF00, 0xFF, 0xFF0000)): ("RGBA", "BGAR"),
    (32, (0, 0, 0, 0)): ("RGBA", "BGRA"),
    (24, (0xFF0000, 0xFF00, 0xFF)): ("RGB", "BGR"),
    (16, (0xF800, 0x7E0, 0x1F)): ("RGB", "BGR;16"),
    (16, (0x7C00, 0x3E0, 0x1F)): ("RGB", "BGR;15"),
}
"""Pillow's mode, and its name for the stored bytes, by bits per pixel and the masks of red, green, blue (and alpha)."""

_HEADERS = (12, 40, 52, 56, 64, 108, 124)

_CHANNELS = {"1": 1, "L": 1, "P": 3, "RGB": 3, "RGBA": 4}

_STORED_BITS = {"1": 1, "P;1": 1, "P;4": 4, "L": 8, "P": 8, "BGR;15": 16, "BGR;16": 16, "BGR": 24}


class _Numbers(NamedTuple):
    """What the header says.

    Attributes:
        width: Pixels.
        height: Pixels.
        bits: Of a stored pixel.
        compression: 0 none, 1 and 2 run lengths, 3 none but with masks.
        colours: Of the palette; 0 for as many as the bits allow.
        padding: Bytes of a colour.
        upwards: Whether the last row is stored first.
    """

    width: int
    height: int
    bits: int
    compression: int = 0
    colours: int = 0
    padding: int = 3
    upwards: bool = True


class _Layout(NamedTuple):
    """How the pixels are stored.

    Attributes:
        numbers: What the header says.
        mode: Pillow's name for the decoded image.
        stored: Pillow's name for the bytes in the file.
        palette: Colours, blue first.
        first: Position of the pixels.
    """

    numbers: _Numbers
    mode: str
    stored: str
    palette: bytes
    first: int

    @property
    def is_packed(self) -> bool:
        """Whether the pixels are stored as run lengths."""
        return self.numbers.compression in {1, 2}

    @property
    def stride(self) -> int:
        """Bytes from one row to the next."""
        return (self.numbers.width * self.numbers.bits + 31) // 8 & ~3

    @property
    def row_bytes(self) -> int:
        """Bytes of a row without what fills it up to its stride."""
        return (self.numbers.width * _STORED_BITS.get(self.stored, 32) + 7) // 8


def read_header(source: Source, reader: str) -> Header:  # noqa: ARG001  every reader of nnU-Net goes through Pillow
    """Read the headers and the palette of a BMP.

    Raises:
        DamageError: ``unreadable``: no BMP, cut, or nonsense. ``reader-cannot-read``: a variant that Pillow refuses, or
            more pixels than it takes.
    """
    layout = _layout(source)
    numbers, channels = layout.numbers, _CHANNELS[layout.mode]
    faults: list[Fault] = []
    if layout.mode == "P":
        colours = len(layout.palette) // numbers.padding
        faults.append(("label-palette", f"BMP {numbers.bits} bit, {colours} colours"))
    return Header(
        format="bmp",
        shape=(numbers.width, numbers.height),
        channels=channels,
        dtype="|u1",
        spacing=(1.0, 1.0),
        encoding="bmp",
        offset=layout.first,
        data_bytes=numbers.width * numbers.height * channels,
        faults=tuple(faults),
    )


def check_end(source: Source, header: Header) -> bool:  # noqa: ARG001  bits and compression are not in it
    """Check that the last row is there; False for run lengths, which must be decoded.

    Raises:
        DamageError: ``unreadable``: rows are missing.
    """
    layout = _layout(source)
    if layout.is_packed:
        return False
    _check_size(source, layout)
    return True


def voxels(source: Source, header: Header) -> Iterator[bytes]:
    """Decode all pixels, row by row from the top, red, green and blue beside each other, one byte each.

    Raises:
        DamageError: ``unreadable``: rows are missing, run lengths end too early. ``undecoded``: larger than
            ``MOST_RLE_PIXELS``, ``MOST_RLE_BYTES`` or ``MOST_ROW_BYTES``.
    """
    layout = _layout(source)
    if layout.is_packed:
        yield _run_lengths(source, layout)
        return
    _check_size(source, layout)
    width, height = header.shape
    row = header.data_bytes // height
    if row > MOST_ROW_BYTES:
        raise DamageError("undecoded", f"row of {row} bytes")
    from PIL import Image

    rows = max(1, PIECE_BYTES // max(row, layout.stride))
    direction = -1 if layout.numbers.upwards else 1
    for top in range(0, height, rows):
        count = min(rows, height - top)
        first = height - top - count if layout.numbers.upwards else top
        wanted = (count - 1) * layout.stride + layout.row_bytes
        data = source.read_at(layout.first + first * layout.stride, wanted)
        if len(data) < wanted:
            raise DamageError("unreadable", f"data ends after {first * layout.stride + len(data)} bytes")
        # Pillow looks for whole strides, whatever is in them
        data += bytes(layout.stride - layout.row_bytes)
        image = Image.frombytes(layout.mode, (width, count), data, "raw", layout.stored, layout.stride, direction)
        yield _coloured(image, layout)


def _check_size(source: Source, layout: _Layout) -> None:
    """Compare the size of the file with what the rows need; the fill of the last one may be missing."""
    wanted = (layout.numbers.height - 1) * layout.stride + layout.row_bytes
    there = max(0, source.size - layout.first)
    if there < wanted:
        raise DamageError("unreadable", f"data ends after {there} of {wanted} bytes")


def _layout(source: Source) -> _Layout:
    """Read the headers as Pillow does (BmpImagePlugin._bitmap), its mistakes included."""
    head = source.head
    if head[:2] != b"BM":
        raise DamageError("unreadable", f"signature {head[:2].hex()}")
    if len(head) < 26:
        raise DamageError("unreadable", f"header ends after {len(head)} bytes")
    first, length = struct.unpack("<II", head[10:18])
    if length not in _HEADERS:
        raise DamageError("reader-cannot-read", f"header of {length} bytes")
    if len(head) < 14 + length:
        raise DamageError("unreadable", f"header ends after {len(head)} of {14 + length} bytes")
    numbers = _numbers(head, length)
    width, height = numbers.width, numbers.height
    if not width or not height:
        raise DamageError("unreadable", f"{width} x {height} pixels")
    if width * height > MOST_PIXELS:
        raise DamageError("reader-cannot-read", f"{width} x {height} pixels; Pillow reads {MOST_PIXELS} at most")
    mode, stored, position = _mode(head, length, numbers)
    palette = b""
    if mode == "P":
        colours = numbers.colours or 1 << numbers.bits
        padding = numbers.padding
        first += padding * colours if first == 14 + length else 0
        palette = source.read_at(position, padding * min(colours, 65536))
        position += len(palette)
        if _is_grey(palette, colours, padding):
            mode = stored = "1" if colours <= 2 else "L"
        elif colours > 65536 or not 0 < len(palette) <= 256 * padding:
            raise DamageError("reader-cannot-read", f"palette of {colours} colours")
    layout = _Layout(numbers, mode, stored, palette, first or position)
    _refuse_mixtures(layout)
    return layout


def _refuse_mixtures(layout: _Layout) -> None:
    """Refuse what is sound each by itself, but not together."""
    numbers = layout.numbers
    if layout.is_packed and layout.mode not in {"1", "L", "P"}:
        raise DamageError("reader-cannot-read", f"BMP {numbers.bits} bit, compression {numbers.compression}")
    if not layout.is_packed and layout.row_bytes > layout.stride:
        raise DamageError("reader-cannot-read", f"BMP {numbers.bits} bit, grey palette")


def _numbers(head: bytes, length: int) -> _Numbers:
    if length == 12:
        return _Numbers(*struct.unpack("<HHxxH", head[18:26]))
    width, height, bits, compression, colours = struct.unpack("<IIxxHI12xI", head[18:50])
    # Pillow takes a height for negative by its highest byte
    upwards = head[25] != 0xFF
    return _Numbers(width, height if upwards else 2**32 - height, bits, compression, colours, 4, upwards)


def _mode(head: bytes, length: int, numbers: _Numbers) -> tuple[str, str, int]:
    """Return Pillow's mode, its name for the stored bytes, and the position behind header and masks."""
    bits, compression = numbers.bits, numbers.compression
    position = 14 + length
    if bits not in _PLAIN or compression not in {0, 1, 2, 3}:
        raise DamageError("reader-cannot-read", f"BMP {bits} bit, compression {compression}")
    if compression != 3:
        return (*_PLAIN[bits], position)
    if length == 40:
        masks = struct.unpack("<III", head[54:66].ljust(12, b"\0"))
        masks, position = (*masks, 0), position + 12
    else:
        masks = struct.unpack("<IIII", head[54:70].ljust(16, b"\0"))
        if length == 52:
            masks = (*masks[:3], 0)
    found = _MASKED.get((bits, masks if bits == 32 else masks[:3]))
    if found is None:
        raise DamageError("reader-cannot-read", f"BMP masks {' '.join(f'{mask:08x}' for mask in masks)}")
    return (*found, position)


def _is_grey(palette: bytes, colours: int, padding: int) -> bool:
    """Whether the palette says nothing that the numbers do not say: 0, 1, 2, ... or black, white."""
    if colours > 256 or len(palette) < padding * (colours - 1) + 3:
        return False
    shades = b"\0\xff" if colours == 2 else bytes(range(colours))
    return all(palette[place::padding][:colours] == shades for place in range(3))


def _run_lengths(source: Source, layout: _Layout) -> bytes:
    """Let Pillow decode a file with run lengths."""
    pixels = layout.numbers.width * layout.numbers.height
    if pixels > MOST_RLE_PIXELS or source.size > MOST_RLE_BYTES:
        raise DamageError("undecoded", f"run lengths of {pixels} pixels in {source.size} bytes")
    from PIL import BmpImagePlugin

    try:
        with BmpImagePlugin.BmpImageFile(io.BytesIO(source.read_at(0, source.size))) as image:
            image.load()
            return _coloured(image, layout)
    except (OSError, ValueError, SyntaxError) as error:
        raise DamageError("unreadable", f"run lengths: {error}") from None


def _coloured(image: Any, layout: _Layout) -> bytes:
    """Return the values of an image: of a palette its colours, of a bitmap 0 and 1."""
    if image.mode == "P":
        image.putpalette(layout.palette, "BGRX" if layout.numbers.padding == 4 else "BGR")
        return bytes(image.convert("RGB").tobytes())
    if image.mode == "1":
        return bytes(image.convert("L").tobytes().replace(b"\xff", b"\1"))
    return bytes(image.tobytes())
