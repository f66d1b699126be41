"""PNG, as NaturalImage2DIO gets it: skimage, that is imageio, that is Pillow.

Found by experiment with scikit-image 0.26, imageio 2.38 and Pillow 13, for every colour type and bit depth:

    grey 1 bit               0 and 1
    grey 2, 4 bit            spread over 0..255: 0 85 170 255, and multiples of 17
    grey 8, 16 bit           as stored
    grey and alpha, 8 bit    refused: two values per pixel
    grey and alpha, 16 bit   R = G = B, A; of each value the high byte only
    RGB, RGBA, 8 bit         as stored
    RGB, RGBA, 16 bit        of each value the high byte only
    palette                  R, G, B, with tRNS as well as without

Neither an EXIF orientation nor tRNS nor gamma is applied. An APNG becomes a stack of frames, which the reader refuses.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from nnunet_doctor.probes.raw.record import DamageError, Fault, Header
from nnunet_doctor.probes.raw.source import Source
from nnunet_doctor.probes.raw.stream import INPUT_BYTES, PIECE_BYTES, checksums, codec_for, reason_of

MOST_PIXELS = 178_956_970
"""Twice PIL.Image.MAX_IMAGE_PIXELS: what Pillow, and so nnU-Net's reader, refuses to open beyond."""

MOST_AT_ONCE = 2**26
"""Bytes of a row, or of an interlaced image, that are decoded: neither comes in pieces."""

MOST_CHUNKS = 2**18
"""A file of nothing but empty chunks is not worth the time."""

MOST_AHEAD = 2**14

MOST_EXIF = 2**16

MOST_TEXT = 2**20
"""Pillow raises an error when a compressed chunk beside the image inflates to more (PngImagePlugin.MAX_TEXT_CHUNK)."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"

_START = struct.Struct(">I4s")

_CRC = struct.Struct(">I")

_IDLE_ROWS = 16

MOST_FILTER = 4
"""None, Sub, Up, Average and Paeth (PNG specification, 9.2)."""


class _Kind(NamedTuple):
    """What becomes of a colour type and a bit depth.

    Attributes:
        mode: Pillow's name for the decoded image.
        stored: Pillow's name for the bytes in the file.
        channels: Values per pixel that the reader gets.
        dtype: Of each.
    """

    mode: str
    stored: str
    channels: int = 1
    dtype: str = "|u1"


_KINDS = {
    (0, 1): _Kind("1", "1"),
    (0, 2): _Kind("L", "L;2"),
    (0, 4): _Kind("L", "L;4"),
    (0, 8): _Kind("L", "L"),
    (0, 16): _Kind("I;16B", "I;16B", 1, ">u2"),
    (2, 8): _Kind("RGB", "RGB", 3),
    (2, 16): _Kind("RGB", "RGB;16B", 3),
    (3, 1): _Kind("P", "P;1", 3),
    (3, 2): _Kind("P", "P;2", 3),
    (3, 4): _Kind("P", "P;4", 3),
    (3, 8): _Kind("P", "P", 3),
    (4, 16): _Kind("RGBA", "LA;16B", 4),
    (6, 8): _Kind("RGBA", "RGBA", 4),
    (6, 16): _Kind("RGBA", "RGBA;16B", 4),
}

_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}

_FILTERED = {1: "L", 2: "I;16", 3: "RGB", 4: "RGBA"}
"""Modes whose pixels have as many bytes as a filter looks back."""

_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column and row, and distances, of the seven images within an interlaced one."""


class _Layout(NamedTuple):
    """What the chunks before the first IDAT say.

    Attributes:
        width: Pixels.
        height: Pixels.
        colour: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGBA.
        depth: Bits of a stored value.
        interlaced: Whether it is stored as seven images (Adam7).
        first: Position of the first IDAT chunk.
        palette: R, G, B of each colour.
        orientation: Of the eXIf chunk, 1 for upright or none.
    """

    width: int
    height: int
    colour: int
    depth: int
    interlaced: bool
    first: int
    palette: bytes
    orientation: int

    @property
    def kind(self) -> _Kind:
        """What becomes of it."""
        return _KINDS[self.colour, self.depth]

    @property
    def row_bytes(self) -> int:
        """Bytes of one row without its filter byte."""
        return (self.width * self.depth * _SAMPLES[self.colour] + 7) // 8


def read_header(source: Source, reader: str) -> Header:  # noqa: ARG001  every reader of nnU-Net goes through Pillow
    """Read what a PNG says before its pixels.

    Raises:
        DamageError: ``unreadable``: no PNG, cut, or nonsense. ``reader-cannot-read``: grey with alpha, an APNG, more
            pixels than Pillow takes. ``undecoded``: an APNG whose frames happen to pass as channels.
    """
    layout = _layout(source)
    faults: list[Fault] = []
    if layout.colour == 3:
        faults.append(("label-palette", f"PNG colour type 3, {len(layout.palette) // 3} colours"))
    if layout.orientation != 1:
        faults.append(("exif-orientation", str(layout.orientation)))
    kind = layout.kind
    return Header(
        format="png",
        shape=(layout.width, layout.height),
        channels=kind.channels,
        dtype=kind.dtype,
        spacing=(1.0, 1.0),
        encoding="png",
        offset=layout.first,
        data_bytes=layout.width * layout.height * kind.channels * int(kind.dtype[-1]),
        faults=tuple(faults),
    )


def check_end(source: Source, header: Header) -> bool:  # noqa: ARG001  the chunks say it all
    """Check the CRC32 of every chunk from the signature to IEND.

    What follows IEND is not looked at, as Pillow does not.

    Raises:
        DamageError: ``unreadable``: a CRC is wrong, or the file ends before IEND.
    """
    for _ in _chunks(source, len(_SIGNATURE)):
        pass
    return True


def voxels(source: Source, header: Header) -> Iterator[bytes]:
    """Decode all pixels, row by row from the top, the values of a pixel beside each other.

    Values of 16 bits come with the high byte first (``>u2``), all others as one byte.

    Raises:
        DamageError: ``unreadable``: a CRC, the Adler-32 or the zlib stream is wrong, rows are missing, a filter is
            unknown. ``undecoded``: rows or interlaced images of more than ``MOST_AT_ONCE`` bytes.
    """
    layout = _layout(source)
    row = header.data_bytes // layout.height
    whole = header.data_bytes if layout.interlaced else row
    if whole > MOST_AT_ONCE:
        raise DamageError(
            "undecoded", f"interlaced image of {whole} bytes" if layout.interlaced else f"row of {whole} bytes"
        )
    if layout.interlaced:
        yield _interlaced(source, layout)
        return
    length = layout.row_bytes
    rows = max(1, PIECE_BYTES // max(row, length + 1))
    bands = _bands(source, layout, layout.height * (length + 1), rows * (length + 1))
    step = max(1, _SAMPLES[layout.colour] * layout.depth // 8)
    if layout.depth == 16 and layout.colour != 0:
        bands = (_high_bytes(band, layout.row_bytes + 1) for band in bands)
        length, step = length // 2, step // 2
    previous = bytes(length)
    for band in bands:
        plain = _unfilter(band, length + 1, _FILTERED[step], previous)
        previous = plain[-length:]
        yield _expand(plain, layout)


def filtered(source: Source, header: Header) -> Iterator[bytes]:
    """Inflate all rows as they are stored, each with its filter in front.

    All checksums, the number of rows and their filters are checked: enough to know that an image is whole, in half the
    time that its pixels take.

    Raises:
        DamageError: As :func:`voxels` does.
    """
    layout = _layout(source)
    if layout.interlaced:
        yield from voxels(source, header)
        return
    stride = layout.row_bytes + 1
    if stride > MOST_AT_ONCE:
        raise DamageError("undecoded", f"row of {stride} bytes")
    rows = max(1, PIECE_BYTES // stride)
    for band in _bands(source, layout, layout.height * stride, rows * stride):
        if max(band[::stride]) > MOST_FILTER:
            raise DamageError("unreadable", f"filter {max(band[::stride])} of a row")
        yield band


def _layout(source: Source) -> _Layout:
    """Read IHDR, and of the chunks before the first IDAT what bears on the values."""
    head = source.head
    if not head.startswith(_SIGNATURE):
        raise DamageError("unreadable", f"signature {head[:8].hex()}")
    if head[12:16] != b"IHDR" or len(head) < 33:
        raise DamageError("unreadable", "chunk IHDR missing")
    width, height, depth, colour, _, method, interlace, crc = struct.unpack(">IIBBBBBI", head[16:33])
    if head[8:12] != b"\0\0\0\r" or crc != checksums().crc32(head[12:29]):
        raise DamageError("unreadable", "CRC of chunk IHDR at byte 8 wrong")
    _check_numbers(width, height, colour, depth, method, interlace)
    first, found = _ahead(source)
    orientation = 1
    if found:
        for name in (b"iCCP", b"zTXt"):
            if name in found:
                _check_text(source, name.decode(), *found[name])
        _refuse_frames(source, found, single=_KINDS[colour, depth].channels == 1)
        if b"eXIf" in found:
            position, length = found[b"eXIf"]
            orientation = _orientation(source.read_at(position, min(length, MOST_EXIF)))
    palette = _palette(source, found) if colour == 3 else b""
    return _Layout(width, height, colour, depth, interlace == 1, first, palette, orientation)


def _ahead(source: Source) -> tuple[int, dict[bytes, tuple[int, int]]]:
    """Return the position of the first IDAT, and content and length of the chunks before it; of equal ones the last."""
    head = source.head
    found: dict[bytes, tuple[int, int]] = {}
    position = 33
    for _ in range(MOST_AHEAD):
        start = head[position : position + 8]
        if len(start) < 8:
            start = source.read_at(position, 8)
        if len(start) < 8 or start[4:] == b"IEND":
            raise DamageError("unreadable", "chunk IDAT missing")
        length, name = _START.unpack(start)
        if name == b"IDAT":
            return position, found
        found[name] = (position + 8, length)
        position += 12 + length
    raise DamageError("undecoded", f"more than {MOST_AHEAD} chunks before IDAT")


def _palette(source: Source, found: dict[bytes, tuple[int, int]]) -> bytes:
    """Return red, green and blue of all colours."""
    if b"PLTE" not in found:
        raise DamageError("unreadable", "chunk PLTE missing")
    position, length = found[b"PLTE"]
    if not length or length % 3 or length > 768:
        raise DamageError("unreadable", f"chunk PLTE of {length} bytes")
    return source.read_at(position, length)


def _refuse_frames(source: Source, found: dict[bytes, tuple[int, int]], *, single: bool) -> None:
    """Refuse an APNG, of which imageio makes a stack; three or four grey frames pass for colours."""
    if b"acTL" not in found:
        return
    frames = int.from_bytes(source.read_at(found[b"acTL"][0], 4), "big")
    if not 0 < frames <= 2**31:
        return
    # an image that is not part of the animation is one frame more for Pillow
    frames += b"fcTL" not in found
    raise DamageError("undecoded" if single and frames in {3, 4} else "reader-cannot-read", f"APNG, {frames} frames")


def _check_numbers(width: int, height: int, colour: int, depth: int, method: int, interlace: int) -> None:
    """Refuse what is nonsense in IHDR, and what the reader refuses."""
    if not (0 < width < 2**31 and 0 < height < 2**31):
        raise DamageError("unreadable", f"{width} x {height} pixels")
    if (colour, depth) == (4, 8):
        raise DamageError("reader-cannot-read", f"PNG colour type 4, 8 bit; shape {width} x {height} x 2")
    if (colour, depth) not in _KINDS:
        raise DamageError("unreadable", f"PNG colour type {colour}, {depth} bit")
    if method:
        raise DamageError("unreadable", f"filter method {method}")
    if interlace > 1:
        raise DamageError("unreadable", f"interlace method {interlace}")
    if width * height > MOST_PIXELS:
        raise DamageError("reader-cannot-read", f"{width} x {height} pixels; Pillow reads {MOST_PIXELS} at most")


def _orientation(exif: bytes) -> int:
    """Read the orientation out of an eXIf chunk, which is a small TIFF; 1 when there is none."""
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4], "")
    if not order or len(exif) < 8:
        return 1
    (start,) = struct.unpack_from(order + "I", exif, 4)
    number = struct.unpack_from(order + "H", exif, start)[0] if start + 2 <= len(exif) else 0
    entries = exif[start + 2 : start + 2 + 12 * number]
    for code, value in struct.iter_unpack(order + "HxxxxxxHxx", entries[: len(entries) // 12 * 12]):
        if code == 274:
            return int(value) if 2 <= value <= 8 else 1
    return 1


def _check_text(source: Source, name: str, position: int, length: int) -> None:
    """Refuse a compressed colour profile or text that Pillow refuses."""
    # deflate cannot shrink anything to less than a 1032nd
    if length * 1032 <= MOST_TEXT:
        return
    stored = source.read_at(position, min(length, MOST_TEXT + 2**16)).partition(b"\0")[2]
    codec = codec_for(1)
    decoder = codec.decompressobj(15)
    try:
        inflated = decoder.decompress(stored[1:], MOST_TEXT + 1)
    except codec.error:
        return
    if len(inflated) > MOST_TEXT:
        raise DamageError("reader-cannot-read", f"chunk {name} inflates to more than {MOST_TEXT} bytes")


class _Window:
    """A part of a file that is read at once."""

    def __init__(self, source: Source) -> None:
        self.source, self.start, self.data = source, 0, memoryview(source.head)

    def take(self, position: int, length: int) -> memoryview:
        """Return bytes; fewer only at the end of the file."""
        at = position - self.start
        if at + length > len(self.data) and self.start + len(self.data) < self.source.size:
            self.data = memoryview(self.source.read_at(position, max(length, PIECE_BYTES)))
            self.start, at = position, 0
        return self.data[at : at + length]


def _chunks(source: Source, position: int) -> Iterator[tuple[bytes, memoryview]]:
    """Walk the chunks to IEND and check the CRC32 of each; a large one comes in pieces, before its CRC is checked."""
    crc32 = checksums().crc32
    window = _Window(source)
    for _ in range(MOST_CHUNKS):
        start = window.take(position, 8)
        if len(start) < 8:
            raise DamageError("unreadable", f"data ends at byte {position + len(start)}, without chunk IEND")
        length, name = _START.unpack(start)
        if not name.isalpha():
            raise DamageError("unreadable", f"chunk {name.hex()} at byte {position}")
        if position + 12 + length > source.size:
            there = source.size - position
            raise DamageError("unreadable", f"chunk {name.decode()} at byte {position}: {there} of {12 + length} bytes")
        if length <= PIECE_BYTES:
            whole = window.take(position + 4, length + 8)
            if whole[-4:] != _CRC.pack(crc32(whole[:-4])):
                raise DamageError("unreadable", f"CRC of chunk {name.decode()} at byte {position} wrong")
            yield name, whole[4:-4]
        else:
            for piece in _large(source, position, length, name):
                yield name, piece
        if name == b"IEND":
            return
        position += 12 + length
    raise DamageError("undecoded", f"more than {MOST_CHUNKS} chunks")


def _large(source: Source, position: int, length: int, name: bytes) -> Iterator[memoryview]:
    """Read the content of a chunk in pieces."""
    crc32 = checksums().crc32
    crc = crc32(name)
    for at in range(0, length, PIECE_BYTES):
        piece = source.read_at(position + 8 + at, min(PIECE_BYTES, length - at))
        crc = crc32(piece, crc)
        yield memoryview(piece)
    if source.read_at(position + 8 + length, 4) != _CRC.pack(crc):
        raise DamageError("unreadable", f"CRC of chunk {name.decode()} at byte {position} wrong")


def _bands(source: Source, layout: _Layout, expected: int, band: int) -> Iterator[bytes]:
    """Inflate the IDAT chunks in pieces of ``band`` bytes, and check the chunks after them."""
    chunks = _chunks(source, layout.first)
    ratio = expected / max(1, source.size - layout.first)
    yield from inflate_exactly(_data(chunks), expected, band, ratio)
    for _ in chunks:
        pass


def _data(chunks: Iterable[tuple[bytes, memoryview]]) -> Iterator[memoryview]:
    """Return the content of IDAT chunks; those after another chunk do not count, as for Pillow."""
    for name, content in chunks:
        if name != b"IDAT":
            return
        yield content


def inflate_exactly(stored: Iterable[memoryview], expected: int, band: int, ratio: float) -> Iterator[bytes]:
    """Inflate a zlib stream that should give ``expected`` bytes, in pieces of ``band``; only the last one is shorter.

    More data than expected is no fault: neither Pillow nor libpng nor libtiff minds.

    Args:
        stored: The stream, in pieces.
        expected: Bytes that are needed.
        band: Bytes of a piece.
        ratio: Of compression, for the choice of the decoder.

    Raises:
        DamageError: ``unreadable``: it is no zlib stream, it is cut, or its Adler-32 is wrong.
    """
    codec = codec_for(ratio)
    decoder: Any = codec.decompressobj(15)
    parts: list[bytes] = []
    room, produced, over = min(band, expected), 0, False
    for piece in stored:
        for at in range(0, len(piece), INPUT_BYTES):
            waiting: Any = piece[at : at + INPUT_BYTES]
            while not (decoder.eof or over):
                asked = room or 1
                try:
                    out = decoder.decompress(waiting, asked)
                except codec.error as error:
                    raise DamageError(
                        "unreadable", f"zlib stream: {reason_of(error)}, after {produced} bytes"
                    ) from None
                over = bool(out and not room)
                if out and room:
                    produced, room = produced + len(out), room - len(out)
                    parts.append(out)
                    if not room:
                        yield parts[0] if len(parts) == 1 else b"".join(parts)
                        parts, room = [], min(band, expected - produced)
                waiting = decoder.unconsumed_tail
                if not waiting and len(out) < asked:
                    break
    if produced < expected:
        raise DamageError("unreadable", f"data ends after {produced} of {expected} bytes")
    if not (decoder.eof or over):
        raise DamageError("unreadable", "zlib stream ends without Adler-32")


def _interlaced(source: Source, layout: _Layout) -> bytes:
    """Decode an interlaced image, which takes all of it at once."""
    from PIL import Image

    bits = layout.depth * _SAMPLES[layout.colour]
    expected = 0
    for left, top, right, down in _PASSES:
        columns = (layout.width - left + right - 1) // right
        rows = (layout.height - top + down - 1) // down
        if columns > 0 and rows > 0:
            expected += rows * (1 + (columns * bits + 7) // 8)
    raw = b"".join(_bands(source, layout, expected, expected))
    size = (layout.width, layout.height)
    try:
        image = Image.frombytes(layout.kind.mode, size, _stored(raw), "zip", layout.kind.stored, 1)
    except ValueError:
        raise DamageError("unreadable", "filter type unknown") from None
    return _coloured(image, layout)


def _high_bytes(rows: bytes, stride: int) -> bytes:
    """Drop the low bytes of values of 16 bits: filters work on bytes, so that one is undone without the other."""
    stored = range(0, len(rows), stride)
    return b"".join([rows[at : at + 1] + rows[at + 1 : at + stride : 2] for at in stored])


def _unfilter(raw: bytes, stride: int, mode: str, previous: bytes) -> bytes:
    """Undo the filters of rows.

    Pillow's decoder does it, as fast as anything at hand: a stored deflate stream costs it a copy. It is spared rows
    without filter, and the empty parts of label maps.

    Args:
        raw: Whole rows, a filter byte before each.
        stride: Bytes of a row with its filter byte.
        mode: Pillow's mode with as many bytes per pixel as the filters look back.
        previous: The row before.
    """
    kinds = raw[::stride]
    if kinds.count(0) == len(kinds):
        return b"".join([raw[at + 1 : at + stride] for at in range(0, len(raw), stride)])
    if max(kinds) > 4:
        raise DamageError("unreadable", f"filter type {max(kinds)}")
    block = _IDLE_ROWS * stride
    if len(raw) < block:
        return _undo(raw, stride, mode, previous)
    # rows of zeros, without filter or with the one that adds what is on the left
    idle = tuple((bytes([kind]) + bytes(stride - 1)) * _IDLE_ROWS for kind in (0, 1))
    zeros = bytes(_IDLE_ROWS * (stride - 1))
    done: list[bytes] = []
    begin = 0
    for at in range(0, len(raw), block):
        if raw[at : at + block] in idle:
            if begin < at:
                done.append(_undo(raw[begin:at], stride, mode, previous))
            done.append(zeros)
            previous = zeros[: stride - 1]
            begin = at + block
    if begin < len(raw):
        done.append(_undo(raw[begin:], stride, mode, previous))
    return done[0] if len(done) == 1 else b"".join(done)


def _undo(raw: bytes, stride: int, mode: str, previous: bytes) -> bytes:
    """Let Pillow undo the filters, with the row before as one more row that has no filter."""
    from PIL import Image

    seed = b"\0" + previous if previous.count(0) < len(previous) else b""
    rows = (len(seed) + len(raw)) // stride
    width = (stride - 1) // (1 if mode == "L" else 2 if mode == "I;16" else len(mode))
    plain = Image.frombytes(mode, (width, rows), _stored(seed + raw), "zip", mode).tobytes()
    return plain[stride - 1 :] if seed else plain


def _stored(data: bytes) -> bytes:
    """Wrap bytes in a zlib stream that does not compress."""
    parts = [b"\x78\x01"]
    for at in range(0, len(data), 65535):
        block = data[at : at + 65535]
        parts += (struct.pack("<BHH", 0, len(block), len(block) ^ 65535), block)
    parts.append(b"\1\0\0\xff\xff")
    return b"".join(parts)


def _expand(rows: bytes, layout: _Layout) -> bytes:
    """Turn stored values into those that the reader gets."""
    if layout.depth >= 8 and layout.colour in {0, 2, 6}:
        return rows
    from PIL import Image

    if layout.colour == 4:
        return Image.frombytes("LA", (layout.width, len(rows) // (2 * layout.width)), rows).convert("RGBA").tobytes()
    size = (layout.width, len(rows) // layout.row_bytes)
    return _coloured(Image.frombytes(layout.kind.mode, size, rows, "raw", layout.kind.stored), layout)


def _coloured(image: Any, layout: _Layout) -> bytes:
    """Return the values of an image: of a palette its colours, of a bitmap 0 and 1."""
    if image.mode == "P":
        image.putpalette(layout.palette)
        return bytes(image.convert("RGB").tobytes())
    if image.mode == "1":
        return bytes(image.convert("L").tobytes().replace(b"\xff", b"\1"))
    return bytes(image.tobytes())
