"""PNG as NaturalImage2DIO gets it: compared with skimage, on what is legal, what is odd and what is damaged."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
import warnings
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nnunet_doctor.probes.raw import stream
from nnunet_doctor.probes.raw.formats import png
from nnunet_doctor.probes.raw.record import DamageError
from nnunet_doctor.probes.raw.source import Source

pytestmark = pytest.mark.slow

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from skimage.io import imread

SIGNATURE = b"\x89PNG\r\n\x1a\n"
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
LEGAL = [
    (0, 1),
    (0, 2),
    (0, 4),
    (0, 8),
    (0, 16),
    (2, 8),
    (2, 16),
    (3, 1),
    (3, 2),
    (3, 4),
    (3, 8),
    (4, 16),
    (6, 8),
    (6, 16),
]
READER = "NaturalImage2DIO"


# --- files -----------------------------------------------------------------------------------------------------------


def chunk(name, content=b""):
    """Return a chunk with its checksum."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def ihdr(width, height, colour=0, depth=8, interlace=0, method=0):
    """Return the first chunk."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, method, interlace))


def filtered(rows, step, choose):
    """Filter rows of bytes, each with the filter that ``choose`` names for it."""
    out, before = [], np.zeros(rows.shape[1], np.uint8)
    for number, row in enumerate(rows):
        left, corner = np.zeros_like(row), np.zeros_like(row)
        left[step:], corner[step:] = row[:-step], before[:-step]
        a, b, c = (x.astype(int) for x in (left, before, corner))
        pa, pb, pc = abs(b - c), abs(a - c), abs(a + b - 2 * c)
        paeth = np.where((pa <= pb) & (pa <= pc), a, np.where(pb <= pc, b, c))
        guesses = (0 * a, a, b, (a + b) // 2, paeth)
        residues = [(row - guess).astype(np.uint8) for guess in guesses]
        kind = choose(number, residues)
        out.append(bytes([kind]) + residues[kind].tobytes())
        before = row
    return b"".join(out)


def adaptive(_, residues):
    """Choose as libpng does: the filter with the least sum of absolute differences."""
    return int(np.argmin([np.abs(residue.view(np.int8).astype(int)).sum() for residue in residues]))


def in_turn(number, _):
    """Use all filters."""
    return number % 5


def write(path, width, height, raw, colour=0, depth=8, *, before=(), after=(), pieces=8192, **more):
    """Write a PNG of bytes that are filtered already."""
    stored = zlib.compress(raw)
    data = [chunk(b"IDAT", stored[at : at + pieces]) for at in range(0, len(stored), pieces)]
    ahead = [chunk(*each) for each in before]
    behind = [chunk(*each) for each in after]
    path.write_bytes(
        b"".join((SIGNATURE, ihdr(width, height, colour, depth, **more), *ahead, *data, *behind, chunk(b"IEND")))
    )
    return path


def palette(colour, depth):
    """Return the chunks that an image with a palette needs."""
    return [(b"PLTE", bytes(range(10, 10 + 3 * min(2**depth, 80))))] if colour == 3 else []


def random_rows(width, height, colour, depth, seed=0):
    """Return rows of bytes that make legal pixels."""
    random = np.random.default_rng(seed)
    rows = random.integers(0, 256, (height, (width * SAMPLES[colour] * depth + 7) // 8), dtype=np.uint8)
    return rows % 80 if (colour, depth) == (3, 8) else rows


def label_map(objects, size=256):
    """Return a label map of a few round objects."""
    random = np.random.default_rng(objects)
    y, x = np.mgrid[:size, :size]
    labels = np.zeros((size, size), np.uint8)
    for _ in range(objects):
        left, top = random.uniform(0, size, 2)
        labels[np.hypot(x - left, y - top) < random.uniform(5, 40)] = random.integers(1, 6)
    return labels


def orientation_exif(order, value):
    """Return an EXIF block that holds an orientation."""
    return (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IHHHIHHI", 8, 1, 274, 3, 1, value, 0, 0)


def text_bomb(size):
    """Return the content of an iCCP or zTXt chunk that inflates to ``size`` bytes."""
    return b"name\0\0" + zlib.compress(bytes(size))


# --- what is read ----------------------------------------------------------------------------------------------------


def read(path):
    """Return header, whether the file is whole, and the values of a file."""
    source = Source(str(path))
    try:
        header = png.read_header(source, READER)
        whole = png.check_end(source, header)
        data = b"".join(png.voxels(source, header))
    finally:
        source.close()
    return header, whole, data


def faults(path):
    """Return the faults that keep a file from being read."""
    with pytest.raises(DamageError) as caught:
        read(path)
    return caught.value.faults


def header_of(path):
    """Return the header of a file."""
    source = Source(str(path))
    try:
        return png.read_header(source, READER)
    finally:
        source.close()


def values_of(path):
    """Return the values of a file as an array like that of skimage."""
    header, whole, data = read(path)
    assert whole
    assert len(data) == header.data_bytes
    shape = (*header.shape[::-1], header.channels) if header.channels > 1 else header.shape[::-1]
    return np.frombuffer(data, header.dtype).reshape(shape)


def expected_of(path):
    """Return what skimage reads."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return imread(str(path))


def is_refused_by_skimage(path):
    """Whether nnU-Net's reader gets an error, or an array that it refuses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            array = imread(str(path))
        except Exception:  # noqa: BLE001  anything may come
            return True
    return not (array.ndim == 2 or (array.ndim == 3 and array.shape[-1] in (3, 4)))


@pytest.mark.parametrize(("colour", "depth"), LEGAL)
@pytest.mark.parametrize("width", [1, 5, 33, 200])
def test_values_are_those_of_skimage(tmp_path, colour, depth, width):
    """Every colour type and depth, with all filters, gives shape, channels and values that nnU-Net's reader gets."""
    rows = random_rows(width, 23, colour, depth)
    step = max(1, SAMPLES[colour] * depth // 8)
    raw = filtered(rows, step, in_turn)
    path = write(tmp_path / "a.png", width, 23, raw, colour, depth, before=palette(colour, depth))
    expected = expected_of(path)
    actual = values_of(path)

    assert expected.shape == actual.shape
    assert np.array_equal(expected, actual)


@pytest.mark.parametrize(("colour", "depth"), [*LEGAL, (4, 8)])
def test_header_says_what_the_values_are(tmp_path, colour, depth):
    """Type, spacing and size of the header fit the values; grey with alpha of 8 bits is refused, as by the reader."""
    raw = b"".join(b"\0" + bytes(row) for row in random_rows(4, 7, colour, depth))
    path = write(tmp_path / "a.png", 4, 7, raw, colour, depth, before=palette(colour, depth))
    if (colour, depth) == (4, 8):
        assert is_refused_by_skimage(path)
        assert faults(path) == (("reader-cannot-read", "PNG colour type 4, 8 bit; shape 4 x 7 x 2"),)
        return
    header = header_of(path)

    assert header.dtype == (">u2" if (colour, depth) == (0, 16) else "|u1")
    assert (header.format, header.encoding, header.spacing) == ("png", "png", (1.0, 1.0))
    assert (header.origin, header.direction) == ((), ())
    assert header.shape == (4, 7)


@pytest.mark.parametrize("objects", [0, 1, 3, 20])
@pytest.mark.parametrize(
    "choose", [adaptive, in_turn, lambda *_: 0, lambda *_: 1, lambda *_: 2, lambda *_: 3, lambda *_: 4]
)
def test_label_maps_survive_all_filters(tmp_path, objects, choose):
    """Label maps come out as they went in, whichever filters the writer chose."""
    labels = label_map(objects)
    path = write(tmp_path / "a.png", *labels.shape[::-1], filtered(labels, 1, choose))

    assert np.array_equal(labels, values_of(path))


@pytest.mark.parametrize("mode", ["1", "L", "P", "I;16", "RGB", "RGBA"])
@pytest.mark.parametrize("optimize", [False, True])
def test_files_of_pillow(tmp_path, mode, optimize):
    """What Pillow writes is read as skimage reads it."""
    path = tmp_path / "a.png"
    grey = Image.fromarray(label_map(5))
    wide = Image.fromarray(label_map(5).astype(np.uint16) * 300)
    (wide if mode == "I;16" else grey.convert(mode)).save(path, optimize=optimize)

    assert np.array_equal(expected_of(path), values_of(path))


@pytest.mark.parametrize(("colour", "depth"), [(0, 8), (2, 8), (2, 16), (6, 8), (0, 1), (3, 4)])
def test_large_images_come_in_pieces(tmp_path, colour, depth):
    """An image of several pieces has no seams, and no piece is much larger than 1 MB."""
    width, height = 1500, 1400
    rows = np.cumsum(random_rows(width, height, colour, depth) % 7, axis=0, dtype=np.uint8)
    raw = filtered(rows, max(1, SAMPLES[colour] * depth // 8), lambda number, _: number % 4 + 1)
    path = write(tmp_path / "a.png", width, height, raw, colour, depth, before=palette(colour, depth), pieces=2**21)
    source = Source(str(path))
    pieces = [len(piece) for piece in png.voxels(source, png.read_header(source, READER))]
    source.close()

    assert np.array_equal(expected_of(path), values_of(path))
    assert len(pieces) > 1
    assert max(pieces) <= stream.PIECE_BYTES


@pytest.mark.parametrize(("colour", "depth"), LEGAL)
@pytest.mark.parametrize(("width", "height"), [(1, 1), (3, 2), (8, 8), (37, 21)])
def test_interlaced_images(tmp_path, colour, depth, width, height):
    """Adam7 is undone for every colour type and depth."""
    bits = SAMPLES[colour] * depth
    passes = []
    for left, top, right, down in png._PASSES:
        columns, rows = -(-(width - left) // right), -(-(height - top) // down)
        if columns > 0 and rows > 0:
            part = random_rows(columns, rows, colour, depth, seed=left * 8 + top)
            passes.append(filtered(part, max(1, bits // 8), in_turn))
    path = write(
        tmp_path / "a.png", width, height, b"".join(passes), colour, depth, before=palette(colour, depth), interlace=1
    )

    assert np.array_equal(expected_of(path), values_of(path))


@pytest.mark.parametrize("missing", [("isal",), ("zlib_ng",), ("isal", "zlib_ng")])
def test_any_decoder_will_do(tmp_path, monkeypatch, missing):
    """Without one of the fast decoders, or both, values and damage are the same."""
    for name in missing:
        monkeypatch.setitem(stream._LOADED, name, None)
    labels = label_map(3)
    path = write(tmp_path / "a.png", *labels.shape[::-1], filtered(labels, 1, adaptive))
    damaged = tmp_path / "b.png"
    damaged.write_bytes(DAMAGED["Adler-32"][0])

    assert np.array_equal(labels, values_of(path))
    assert faults(damaged)[0][0] == "unreadable"


# --- what is told ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transparency", [None, b"\0\x80\xff\xff", b"\0", b"\xff\xff"])
def test_palette_is_told_and_gives_three_channels(tmp_path, transparency):
    """A palette is a fault for labels, with or without tRNS, and its colours are what the reader gets."""
    before = [(b"PLTE", bytes(range(12)))] + ([(b"tRNS", transparency)] if transparency else [])
    path = write(tmp_path / "a.png", 4, 2, b"\0\0\1\2\3" * 2, 3, before=before)

    assert header_of(path).faults == (("label-palette", "PNG colour type 3, 4 colours"),)
    assert np.array_equal(expected_of(path), values_of(path))
    assert values_of(path).shape == (2, 4, 3)


def test_index_without_colour_is_black(tmp_path):
    """A pixel that names a colour beyond the palette is read as black, as by Pillow."""
    path = write(tmp_path / "a.png", 3, 1, b"\0\0\1\xc8", 3, before=[(b"PLTE", bytes(range(1, 7)))])

    assert np.array_equal(expected_of(path), values_of(path))
    assert values_of(path)[0, 2].tolist() == [0, 0, 0]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("value", range(10))
def test_exif_orientation_is_told_because_the_reader_ignores_it(tmp_path, order, value):
    """Orientations 2 to 8 are told; skimage reads the pixels as they are stored."""
    rows = random_rows(5, 3, 0, 8)
    raw = b"".join(b"\0" + bytes(row) for row in rows)
    path = write(tmp_path / "a.png", 5, 3, raw, before=[(b"eXIf", orientation_exif(order, value))])

    assert header_of(path).faults == ((("exif-orientation", str(value)),) if 2 <= value <= 8 else ())
    assert np.array_equal(rows, expected_of(path))
    assert np.array_equal(rows, values_of(path))


@pytest.mark.parametrize(
    "extra", [(b"tRNS", b"\0\1"), (b"gAMA", b"\0\0\0\1"), (b"tEXt", b"a\0b"), (b"abCD", b"?" * 5000)]
)
def test_chunks_that_do_not_matter(tmp_path, extra):
    """Transparency of grey images, gamma, texts and unknown chunks change nothing, also when they fill the head."""
    path = write(tmp_path / "a.png", 3, 1, b"\0\0\1\2", before=[extra], after=[extra])

    assert values_of(path).tolist() == expected_of(path).tolist() == [[0, 1, 2]]
    assert header_of(path).faults == ()


# --- what the reader refuses -----------------------------------------------------------------------------------------


def animated(path, frames, colour=0, *, default=False):
    """Write an APNG; with ``default`` its first image is not part of the animation."""
    raw = zlib.compress(b"".join(b"\0" + bytes(5 * SAMPLES[colour]) for _ in range(2)))
    parts = [SIGNATURE, ihdr(5, 2, colour), chunk(b"acTL", struct.pack(">II", frames, 0))]
    if default:
        parts.append(chunk(b"IDAT", raw))
    number = 0
    for frame in range(frames):
        parts.append(chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, 5, 2, 0, 0, 1, 10, 0, 0)))
        number += 1
        if frame == 0 and not default:
            parts.append(chunk(b"IDAT", raw))
        else:
            parts.append(chunk(b"fdAT", struct.pack(">I", number) + raw))
            number += 1
    path.write_bytes(b"".join((*parts, chunk(b"IEND"))))
    return path


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("colour", [0, 2])
@pytest.mark.parametrize("default", [False, True])
def test_animation(tmp_path, frames, colour, default):
    """An APNG is refused, as by the reader; where its frames pass for channels nothing is claimed."""
    path = animated(tmp_path / "a.png", frames, colour, default=default)
    refused = "reader-cannot-read" if is_refused_by_skimage(path) else "undecoded"

    assert faults(path) == ((refused, f"APNG, {frames + default} frames"),)


def test_animation_of_no_frames_is_an_ordinary_image(tmp_path):
    """Pillow ignores an announcement of no frames."""
    path = write(tmp_path / "a.png", 3, 1, b"\0\0\1\2", before=[(b"acTL", bytes(8))])

    assert values_of(path).tolist() == expected_of(path).tolist()


@pytest.mark.parametrize("name", [b"iCCP", b"zTXt"])
@pytest.mark.parametrize(("size", "is_refused"), [(1000, False), (2**20, False), (2**20 + 1, True), (2**26, True)])
def test_large_compressed_chunk(tmp_path, name, size, is_refused):
    """A colour profile or text that Pillow finds too large makes the reader fail, and this is told."""
    path = write(tmp_path / "a.png", 3, 1, b"\0\0\1\2", before=[(name, text_bomb(size))])

    assert is_refused_by_skimage(path) == is_refused
    if is_refused:
        message = f"chunk {name.decode()} inflates to more than 1048576 bytes"
        assert faults(path) == (("reader-cannot-read", message),)
    else:
        assert values_of(path).tolist() == [[0, 1, 2]]


@pytest.mark.parametrize(("width", "height", "is_refused"), [(13377, 13377, False), (13378, 13377, True)])
def test_more_pixels_than_pillow_takes(tmp_path, width, height, is_refused):
    """Pillow raises an error beyond twice its limit, so nnU-Net does as well."""
    path = tmp_path / "a.png"
    path.write_bytes(SIGNATURE + ihdr(width, height) + chunk(b"IDAT", b"") + chunk(b"IEND"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            Image.open(path).close()
            actual = False
        except Image.DecompressionBombError:
            actual = True

    assert actual == is_refused
    if is_refused:
        message = "13378 x 13377 pixels; Pillow reads 178956970 at most"
        assert faults(path) == (("reader-cannot-read", message),)
    else:
        assert header_of(path).shape == (width, height)


# --- damage ----------------------------------------------------------------------------------------------------------

STORED = zlib.compress(b"\0abcde" * 2)
START = SIGNATURE + ihdr(5, 2)
END = chunk(b"IEND")
TEXT = chunk(b"tEXt", b"a\0b")
BEHIND = len(START) + 12 + len(STORED)
WRONG_CRC = chunk(b"IDAT", STORED)[:-1] + b"?"

DAMAGED = {
    "signature": (b"\x89PNG\r\n\x1a\r" + START[8:], "signature 89504e470d0a1a0d"),
    "nothing but a signature": (SIGNATURE, "chunk IHDR missing"),
    "no IHDR": (SIGNATURE + TEXT * 3, "chunk IHDR missing"),
    "IHDR changed": (
        START[:17] + b"\1" + START[18:] + chunk(b"IDAT", STORED) + END,
        "CRC of chunk IHDR at byte 8 wrong",
    ),
    "no pixels": (SIGNATURE + ihdr(0, 5) + chunk(b"IDAT", STORED) + END, "0 x 5 pixels"),
    "depth": (SIGNATURE + ihdr(5, 2, 2, 4) + chunk(b"IDAT", STORED) + END, "PNG colour type 2, 4 bit"),
    "colour": (SIGNATURE + ihdr(5, 2, 5) + chunk(b"IDAT", STORED) + END, "PNG colour type 5, 8 bit"),
    "filter method": (SIGNATURE + ihdr(5, 2, method=1) + chunk(b"IDAT", STORED) + END, "filter method 1"),
    "interlace method": (SIGNATURE + ihdr(5, 2, interlace=2) + chunk(b"IDAT", STORED) + END, "interlace method 2"),
    "no IDAT": (START + END, "chunk IDAT missing"),
    "no palette": (SIGNATURE + ihdr(5, 2, 3) + chunk(b"IDAT", STORED) + END, "chunk PLTE missing"),
    "palette": (
        SIGNATURE + ihdr(5, 2, 3) + chunk(b"PLTE", bytes(13)) + chunk(b"IDAT", STORED) + END,
        "chunk PLTE of 13 bytes",
    ),
    "CRC of text before": (
        START + TEXT[:-1] + b"?" + chunk(b"IDAT", STORED) + END,
        "CRC of chunk tEXt at byte 33 wrong",
    ),
    "CRC of data": (START + WRONG_CRC + END, "CRC of chunk IDAT at byte 33 wrong"),
    "CRC of text after": (
        START + chunk(b"IDAT", STORED) + TEXT[:-1] + b"?" + END,
        f"CRC of chunk tEXt at byte {BEHIND} wrong",
    ),
    "CRC of end": (START + chunk(b"IDAT", STORED) + END[:-1] + b"?", f"CRC of chunk IEND at byte {BEHIND} wrong"),
    "no end": (START + chunk(b"IDAT", STORED), f"data ends at byte {BEHIND}, without chunk IEND"),
    "cut": (
        START + chunk(b"IDAT", STORED)[:-9],
        f"chunk IDAT at byte 33: {len(STORED) + 3} of {len(STORED) + 12} bytes",
    ),
    "name": (START + chunk(b"ab c") + chunk(b"IDAT", STORED) + END, "chunk 61622063 at byte 33"),
    "Adler-32": (START + chunk(b"IDAT", STORED[:-1] + b"?") + END, "zlib stream: "),
    "no Adler-32": (START + chunk(b"IDAT", STORED[:-4]) + END, "zlib stream ends without Adler-32"),
    "no zlib": (START + chunk(b"IDAT", b"\0abcde") + END, "zlib stream: "),
    "rows": (SIGNATURE + ihdr(5, 3) + chunk(b"IDAT", STORED) + END, "data ends after 12 of 18 bytes"),
    "filter": (START + chunk(b"IDAT", zlib.compress(b"\7abcde" * 2)) + END, "filter type 7"),
    "interrupted": (
        START + chunk(b"IDAT", STORED[:4]) + TEXT + chunk(b"IDAT", STORED[4:]) + END,
        "data ends after ",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_told(tmp_path, name):
    """Each kind of damage is told, with its place where there is one."""
    content, message = DAMAGED[name]
    path = tmp_path / "a.png"
    path.write_bytes(content)
    ((id, told),) = faults(path)

    assert id == "unreadable"
    assert told.startswith(message)


def test_every_cut_is_told(tmp_path):
    """However much is missing at the end, it is told without decoding."""
    whole = write(tmp_path / "a.png", 5, 2, b"\0abcde" * 2).read_bytes()
    path = tmp_path / "b.png"
    told = []
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        source = Source(str(path))
        with pytest.raises(DamageError) as caught:
            png.check_end(source, png.read_header(source, READER))
        source.close()
        told.append(caught.value.faults[0][0])

    assert set(told) == {"unreadable"}


@pytest.mark.parametrize("pieces", [3, 2**20 + 5])
def test_every_flipped_bit_of_the_data_is_told(tmp_path, pieces):
    """A changed bit anywhere behind the signature is told without decoding, in small chunks and in large ones."""
    random = np.random.default_rng(0)
    raw = b"".join(
        b"\0" + bytes(row) for row in random.integers(0, 256, (30, 50000 if pieces > 9 else 5), dtype=np.uint8)
    )
    whole = write(tmp_path / "a.png", len(raw) // 30 - 1, 30, raw, pieces=pieces).read_bytes()
    path = tmp_path / "b.png"
    told = set()
    for place in random.integers(8, len(whole), 40):
        changed = bytearray(whole)
        changed[place] ^= 1 << random.integers(8)
        path.write_bytes(changed)
        told.add(faults(path)[0][0])

    assert read(tmp_path / "a.png")[1]
    assert told == {"unreadable"}


@pytest.mark.parametrize("more", [b"x", bytes(100), b"\x89PNG\r\n\x1a\n" * 50])
def test_bytes_after_the_end_do_not_matter(tmp_path, more):
    """The reader does not look at what follows IEND."""
    path = write(tmp_path / "a.png", 5, 2, b"\0abcde" * 2)
    path.write_bytes(path.read_bytes() + more)

    assert np.array_equal(expected_of(path), values_of(path))


@pytest.mark.parametrize("more", [b"\0abcde", b"x", bytes(100_000)])
def test_more_data_than_rows_does_not_matter(tmp_path, more):
    """The reader does not look at what follows the last row."""
    path = write(tmp_path / "a.png", 5, 2, b"\0abcde" * 2 + more)

    assert np.array_equal(expected_of(path), values_of(path))


def test_empty_data_chunks_are_legal(tmp_path):
    """IDAT chunks may be empty, and as small as the writer likes."""
    path = tmp_path / "a.png"
    parts = [chunk(b"IDAT", STORED[at : at + 1]) + chunk(b"IDAT") for at in range(len(STORED))]
    path.write_bytes(START + chunk(b"IDAT") + b"".join(parts) + END)

    assert np.array_equal(expected_of(path), values_of(path))


# --- hostile content -------------------------------------------------------------------------------------------------


def mended(content):
    """Return a PNG with the right checksum for each chunk, so that what it says is believed."""
    out, at = [content[:8]], 8
    while at + 12 <= len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        if at + 12 + length > len(content):
            break
        out.append(chunk(content[at + 4 : at + 8], content[at + 8 : at + 8 + length]))
        at += 12 + length
    return b"".join(out) + content[at:]


def few(path, limit=2**22):
    """Read a file as the survey does; whatever is in it, nothing but a DamageError comes out."""
    source = Source(str(path))
    try:
        header = png.read_header(source, READER)
        png.check_end(source, header)
        size = 0
        for piece in png.voxels(source, header):
            size += len(piece)
            if size > limit:
                return
        assert size == header.data_bytes
    except DamageError:
        pass
    finally:
        source.close()


def samples():
    """Return files to start from."""
    grey = io.BytesIO()
    Image.fromarray(label_map(3, 40)).save(grey, "PNG")
    colours = io.BytesIO()
    Image.fromarray(label_map(3, 40)).convert("P").save(colours, "PNG", transparency=b"\0\x80")
    deep = SIGNATURE + ihdr(3, 2, 6, 16, interlace=1)
    deep += chunk(b"eXIf", orientation_exif("<", 6)) + chunk(b"iCCP", text_bomb(2**12))
    deep += chunk(b"IDAT", zlib.compress(bytes(60))) + END
    moving = SIGNATURE + ihdr(5, 2) + chunk(b"acTL", struct.pack(">II", 3, 0)) + chunk(b"IDAT", STORED) + END
    return [grey.getvalue(), colours.getvalue(), deep, moving]


edits = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(samples()), edits, st.integers(0, 800), st.booleans())
def test_changed_files_do_no_harm(tmp_path_factory, content, changes, cut, mends):
    """Changed and cut files, with checksums that fit or not, give a header or a DamageError."""
    changed = bytearray(content)
    for place, value in changes:
        changed[place % len(changed)] = value
    path = tmp_path_factory.getbasetemp() / "changed.png"
    kept = bytes(changed[: max(0, len(changed) - cut // 2)] if cut % 2 else changed)
    path.write_bytes(mended(kept) if mends else kept)

    few(path)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 3))
def test_random_bytes_do_no_harm(tmp_path_factory, content, start):
    """Random bytes, behind a start that is believed, give a header or a DamageError."""
    path = tmp_path_factory.getbasetemp() / "random.png"
    path.write_bytes((b"", SIGNATURE, START, START + chunk(b"IDAT", content))[start] + content)

    few(path)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "2**31 x 2**31": lambda: ihdr(2**31 - 1, 2**31 - 1) + chunk(b"IDAT", STORED) + END,
    "one row": lambda: ihdr(178_956_970, 1, 6) + chunk(b"IDAT", zlib.compress(bytes(2**22))) + END,
    "one filtered row": lambda: ihdr(10_000_000, 1) + chunk(b"IDAT", zlib.compress(b"\1" + bytes(10_000_000))) + END,
    "one row of bits": lambda: ihdr(178_956_970, 1, 3, 1) + chunk(b"PLTE", bytes(6)) + chunk(b"IDAT", STORED) + END,
    "interlaced": lambda: ihdr(13_377, 13_377, 6, 16, interlace=1) + chunk(b"IDAT", zlib.compress(bytes(2**22))) + END,
    "bomb": lambda: ihdr(5, 2) + chunk(b"IDAT", zlib.compress(bytes(2**27))) + END,
    "large, but nothing in it": lambda: ihdr(13_377, 13_377, 6) + chunk(b"IDAT", zlib.compress(bytes(2**24))) + END,
    "many chunks": lambda: ihdr(5, 2) + chunk(b"tEXt") * 2**14 + chunk(b"IDAT", STORED) + END,
    "many empty chunks": lambda: ihdr(5, 2) + chunk(b"IDAT") * 2**14 + chunk(b"IDAT", STORED) + END,
    "many profiles": lambda: ihdr(5, 2) + chunk(b"iCCP", text_bomb(2**20)) * 500 + chunk(b"IDAT", STORED) + END,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_cost_little(tmp_path, name):
    """Neither absurd sizes nor bombs nor swarms of chunks take much memory or time."""
    path = tmp_path / "a.png"
    path.write_bytes(SIGNATURE + HOSTILE[name]())
    begin = time.process_time()
    few(path)
    seconds = time.process_time() - begin
    tracemalloc.start()
    few(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 64 * 2**20
    assert seconds < 10
