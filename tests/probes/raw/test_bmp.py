"""BMP as NaturalImage2DIO gets it: compared with skimage, mistakes of Pillow included."""

from __future__ import annotations

import struct
import time
import tracemalloc
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nnunet_doctor.probes.raw import stream
from nnunet_doctor.probes.raw.formats import bmp
from nnunet_doctor.probes.raw.record import DamageError
from nnunet_doctor.probes.raw.source import Source

pytestmark = pytest.mark.slow

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from skimage.io import imread

READER = "NaturalImage2DIO"


# --- files -----------------------------------------------------------------------------------------------------------


def bitmap(
    width, height, bits, data, colours=b"", *, compression=0, header=40, number=0, offset=None, masks=b"", size=None
):
    """Return a BMP; ``header`` is the length of its header, ``number`` that of its colours."""
    if header == 12:
        start = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        start = struct.pack("<IiiHHIIiiII", header, width, height, 1, bits, compression, len(data), 0, 0, number, 0)
        start += masks if header == 40 else masks.ljust(header - 40, b"\0")
    first = 14 + len(start) + len(colours) if offset is None else offset
    whole = first + len(data) if size is None else size
    return b"BM" + struct.pack("<IHHI", whole, 0, 0, first) + start + colours + data


def pixels(width, height, bits, seed=0):
    """Return rows of random pixels, each filled up to four bytes."""
    random = np.random.default_rng(seed)
    return random.integers(0, 256, height * ((width * bits + 31) // 32 * 4), dtype=np.uint8).tobytes()


def shades(values, padding=4):
    """Return a palette of grey."""
    return b"".join(bytes([value] * 3).ljust(padding, b"\0") for value in values)


COLOURS = b"".join(bytes((value, 255 - value, 3, 0)) for value in range(256))
IDENTITY = shades(range(256))
BLACK_WHITE = shades((0, 255))
RGB, RGBA = struct.pack("<III", 0xFF0000, 0xFF00, 0xFF), struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
R565, R555 = struct.pack("<III", 0xF800, 0x7E0, 0x1F), struct.pack("<III", 0x7C00, 0x3E0, 0x1F)
RLE8 = bytes((5, 7, 0, 0, 0, 3, 1, 2, 3, 0, 2, 9, 0, 1))
RLE4 = bytes((5, 0x12, 0, 0, 5, 0x34, 0, 1))

LEGAL = {
    "8 bit, grey": bitmap(5, 3, 8, pixels(5, 3, 8), IDENTITY),
    "8 bit, grey, top first": bitmap(5, -3, 8, pixels(5, 3, 8), IDENTITY),
    "8 bit, number of colours": bitmap(5, 3, 8, pixels(5, 3, 8), IDENTITY, number=256),
    "8 bit, 100 shades": bitmap(5, 3, 8, pixels(5, 3, 8), IDENTITY[:400], number=100),
    "8 bit, colours": bitmap(5, 3, 8, pixels(5, 3, 8), COLOURS),
    "8 bit, colours, top first": bitmap(5, -3, 8, pixels(5, 3, 8), COLOURS),
    "8 bit, 7 colours": bitmap(5, 3, 8, bytes((0, 1, 6, 200, 3, 0, 0, 0)) * 3, COLOURS[:28], number=7),
    "8 bit, black and white": bitmap(5, 3, 8, bytes((0, 1, 0, 1, 255, 0, 0, 0)) * 3, BLACK_WHITE, number=2),
    "8 bit, 0 and 1": bitmap(5, 3, 8, bytes((0, 1, 0, 1, 1, 0, 0, 0)) * 3, shades((0, 1)), number=2),
    "4 bit, shades": bitmap(9, 3, 4, pixels(9, 3, 4), shades(range(0, 256, 17))),
    "1 bit, black and white": bitmap(37, 3, 1, pixels(37, 3, 1), BLACK_WHITE),
    "1 bit, white and black": bitmap(37, 3, 1, pixels(37, 3, 1), shades((255, 0))),
    "16 bit": bitmap(5, 3, 16, pixels(5, 3, 16)),
    "16 bit, 565": bitmap(5, 3, 16, pixels(5, 3, 16), compression=3, masks=R565),
    "16 bit, 555": bitmap(5, 3, 16, pixels(5, 3, 16), compression=3, masks=R555),
    "24 bit": bitmap(5, 3, 24, pixels(5, 3, 24)),
    "24 bit, top first": bitmap(5, -3, 24, pixels(5, 3, 24)),
    "24 bit, OS/2": bitmap(5, 3, 24, pixels(5, 3, 24), header=12),
    "24 bit, OS/2 2": bitmap(5, 3, 24, pixels(5, 3, 24), header=64),
    "8 bit, OS/2": bitmap(5, 3, 8, pixels(5, 3, 8), shades(range(256), 3), header=12),
    "32 bit": bitmap(5, 3, 32, pixels(5, 3, 32)),
    "32 bit, version 4": bitmap(5, 3, 32, pixels(5, 3, 32), header=108),
    "32 bit, masks": bitmap(5, 3, 32, pixels(5, 3, 32), compression=3, masks=RGB),
    "32 bit, masks, version 2": bitmap(5, 3, 32, pixels(5, 3, 32), compression=3, header=52, masks=RGB),
    "32 bit, alpha, version 3": bitmap(5, 3, 32, pixels(5, 3, 32), compression=3, header=56, masks=RGBA),
    "32 bit, alpha, version 5": bitmap(5, 3, 32, pixels(5, 3, 32), compression=3, header=124, masks=RGBA),
    "32 bit, masks of zero": bitmap(5, 3, 32, pixels(5, 3, 32), compression=3, header=56, masks=bytes(16)),
    "no offset": bitmap(5, 3, 24, pixels(5, 3, 24), offset=0),
    "offset of the header": bitmap(5, 3, 8, pixels(5, 3, 8), IDENTITY, offset=54),
    "wrong size": bitmap(5, 3, 24, pixels(5, 3, 24), size=3),
    "bytes behind": bitmap(5, 3, 24, pixels(5, 3, 24)) + b"more",
    "last fill missing": bitmap(5, 3, 8, pixels(5, 3, 8), IDENTITY)[:-3],
    "run lengths": bitmap(5, 2, 8, RLE8, IDENTITY, compression=1),
    "run lengths, colours": bitmap(5, 2, 8, RLE8, COLOURS, compression=1),
    "run lengths, top first": bitmap(5, -2, 8, RLE8, IDENTITY, compression=1),
    "run lengths of 4 bit": bitmap(5, 2, 4, RLE4, shades(range(0, 256, 17)), compression=2),
    "run lengths of 4 bit, grey": bitmap(5, 2, 4, RLE4, shades(range(16)), compression=2),
}

REFUSED = {
    "4 bit, grey": (bitmap(9, 3, 4, pixels(9, 3, 4), shades(range(16))), "BMP 4 bit, grey palette"),
    "2 bit": (bitmap(9, 3, 2, pixels(9, 3, 2), COLOURS[:16]), "BMP 2 bit, compression 0"),
    "300 colours": (bitmap(5, 3, 8, pixels(5, 3, 8), COLOURS + COLOURS[:176], number=300), "palette of 300 colours"),
    "JPEG": (bitmap(5, 3, 24, pixels(5, 3, 24), compression=4), "BMP 24 bit, compression 4"),
    "PNG": (bitmap(5, 3, 24, pixels(5, 3, 24), compression=5), "BMP 24 bit, compression 5"),
    "run lengths of 24 bit": (bitmap(5, 2, 24, RLE8, compression=1), "BMP 24 bit, compression 1"),
    "masks": (
        bitmap(5, 3, 32, pixels(5, 3, 32), compression=3, header=56, masks=b"\1" * 16),
        "BMP masks 01010101 01010101 01010101 01010101",
    ),
    "header": (bitmap(5, 3, 24, pixels(5, 3, 24), header=50), "header of 50 bytes"),
    "too many pixels": (
        bitmap(13378, 13377, 24, b""),
        "13378 x 13377 pixels; Pillow reads 178956970 at most",
    ),
    "negative width": (
        bitmap(-5, 3, 24, pixels(5, 3, 24)),
        "4294967291 x 3 pixels; Pillow reads 178956970 at most",
    ),
}

DAMAGED = {
    "signature": (b"BN" + LEGAL["24 bit"][2:], "signature 424e"),
    "header": (LEGAL["24 bit"][:20], "header ends after 20 bytes"),
    "long header": (LEGAL["32 bit, version 4"][:100], "header ends after 100 of 122 bytes"),
    "no pixels": (bitmap(5, 0, 24, b""), "5 x 0 pixels"),
    "no data": (bitmap(5, 3, 24, b""), "data ends after 0 of 47 bytes"),
    "cut": (LEGAL["8 bit, grey"][:-4], "data ends after 20 of 21 bytes"),
    "offset": (bitmap(5, 3, 24, pixels(5, 3, 24), offset=2**31), "data ends after 0 of 47 bytes"),
    "height": (bitmap(1, -(2**24), 8, bytes(16), IDENTITY), "data ends after 16 of 67108861 bytes"),
    "run lengths cut": (bitmap(5, 2, 8, RLE8[:3], IDENTITY, compression=1), "run lengths: not enough image data"),
    "run lengths too few": (
        bitmap(5, 2, 8, bytes((5, 7, 0, 0, 0, 1)), IDENTITY, compression=1),
        "run lengths: not enough image data",
    ),
}


# --- what is read ----------------------------------------------------------------------------------------------------


def read(path):
    """Return header, whether the file is whole, and the values of a file."""
    source = Source(str(path))
    try:
        header = bmp.read_header(source, READER)
        whole = bmp.check_end(source, header)
        data = b"".join(bmp.voxels(source, header))
    finally:
        source.close()
    return header, whole, data


def values_of(path):
    """Return the values of a file as an array like that of skimage."""
    header, _, data = read(path)
    assert len(data) == header.data_bytes
    shape = (*header.shape[::-1], header.channels) if header.channels > 1 else header.shape[::-1]
    return np.frombuffer(data, header.dtype).reshape(shape)


def is_refused_by_skimage(path):
    """Whether nnU-Net's reader gets an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            imread(str(path))
        except Exception:  # noqa: BLE001  anything may come
            return True
    return False


@pytest.mark.parametrize("name", LEGAL)
def test_values_are_those_of_skimage(tmp_path, name):
    """Every variant that the reader takes gives its shape, channels and values."""
    path = tmp_path / "a.bmp"
    path.write_bytes(LEGAL[name])
    expected = imread(str(path))
    actual = values_of(path)

    assert expected.shape == actual.shape
    assert np.array_equal(expected, actual)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_large_files_of_pillow(tmp_path, mode):
    """What Pillow writes is read as skimage reads it, in pieces of 1 MB at most."""
    path = tmp_path / "a.bmp"
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 256, (1300, 1101), dtype=np.uint8)).convert(mode).save(path)
    source = Source(str(path))
    pieces = [len(piece) for piece in bmp.voxels(source, bmp.read_header(source, READER))]
    source.close()

    assert np.array_equal(imread(str(path)), values_of(path))
    assert len(pieces) > 1
    assert max(pieces) <= stream.PIECE_BYTES


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("8 bit, grey", ()),
        ("1 bit, black and white", ()),
        ("24 bit", ()),
        ("8 bit, colours", (("label-palette", "BMP 8 bit, 256 colours"),)),
        ("8 bit, 7 colours", (("label-palette", "BMP 8 bit, 7 colours"),)),
        ("8 bit, 0 and 1", (("label-palette", "BMP 8 bit, 2 colours"),)),
        ("4 bit, shades", (("label-palette", "BMP 4 bit, 16 colours"),)),
        ("1 bit, white and black", (("label-palette", "BMP 1 bit, 2 colours"),)),
    ],
)
def test_palette_is_told_where_it_gives_three_channels(tmp_path, name, fault):
    """A palette is a fault for labels unless Pillow drops it."""
    path = tmp_path / "a.bmp"
    path.write_bytes(LEGAL[name])
    header = read(path)[0]

    assert header.faults == fault
    assert header.channels == (3 if fault or name == "24 bit" else 1)
    assert (header.format, header.encoding, header.dtype, header.spacing) == ("bmp", "bmp", "|u1", (1.0, 1.0))


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_of_the_reader_are_told(tmp_path, name):
    """A sound file that Pillow refuses is told to be one."""
    content, message = REFUSED[name]
    path = tmp_path / "a.bmp"
    path.write_bytes(content)
    with pytest.raises(DamageError) as caught:
        read(path)

    assert is_refused_by_skimage(path)
    assert caught.value.faults == (("reader-cannot-read", message),)


@pytest.mark.parametrize("name", DAMAGED)
def test_damage_is_told(tmp_path, name):
    """Each kind of damage is told with numbers, and the reader gets an error as well."""
    content, message = DAMAGED[name]
    path = tmp_path / "a.bmp"
    path.write_bytes(content)
    with pytest.raises(DamageError) as caught:
        read(path)

    assert is_refused_by_skimage(path)
    assert caught.value.faults == (("unreadable", message),)


def test_only_run_lengths_must_be_decoded_to_know_their_end(tmp_path):
    """Whether a file is whole is known from its size, but for run lengths."""
    path = tmp_path / "a.bmp"
    known = {}
    for name in ("24 bit", "run lengths"):
        path.write_bytes(LEGAL[name])
        known[name] = read(path)[1]

    assert known == {"24 bit": True, "run lengths": False}


# --- hostile content -------------------------------------------------------------------------------------------------


def few(path, limit=2**22):
    """Read a file as the survey does; whatever is in it, nothing but a DamageError comes out."""
    source = Source(str(path))
    try:
        header = bmp.read_header(source, READER)
        bmp.check_end(source, header)
        size = 0
        for piece in bmp.voxels(source, header):
            size += len(piece)
            if size > limit:
                return
        assert size == header.data_bytes
    except DamageError:
        pass
    finally:
        source.close()


edits = st.lists(st.tuples(st.integers(0, 90), st.integers(0, 255)), max_size=5)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(list(LEGAL.values())), edits, st.integers(0, 100))
def test_changed_files_do_no_harm(tmp_path_factory, content, changes, cut):
    """Changed and cut files give a header or a DamageError."""
    changed = bytearray(content)
    for place, value in changes:
        changed[place % len(changed)] = value
    path = tmp_path_factory.getbasetemp() / "changed.bmp"
    path.write_bytes(changed[: len(changed) - (cut if cut % 2 else 0)])

    few(path)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"", b"BM", LEGAL["run lengths"][:30], LEGAL["24 bit"][:54]]))
def test_random_bytes_do_no_harm(tmp_path_factory, content, start):
    """Random bytes, behind a start that is believed, give a header or a DamageError."""
    path = tmp_path_factory.getbasetemp() / "random.bmp"
    path.write_bytes(start + content)

    few(path)


HOSTILE = {
    "one row of colours": bitmap(178_956_970, 1, 1, bytes(178_956_970 // 8 + 8), COLOURS[:8]),
    "large run lengths": bitmap(13_377, 13_377, 4, bytes((255, 0x12)) * 1000, COLOURS[:64], compression=2),
    "many run lengths": bitmap(4096, 4096, 8, bytes((0, 2, 0, 0)) * 2**17, IDENTITY, compression=1),
    "many colours": bitmap(5, 3, 8, b"", COLOURS * 300, number=65536),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_cost_little(tmp_path, name):
    """Neither absurd sizes nor idle run lengths take much memory or time."""
    path = tmp_path / "a.bmp"
    path.write_bytes(HOSTILE[name])
    begin = time.process_time()
    few(path)
    seconds = time.process_time() - begin
    tracemalloc.start()
    few(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 24 * 2**20
    assert seconds < 10
