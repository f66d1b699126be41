"""TIFF as Tiff3DIO and NaturalImage2DIO get it: compared with tifffile and skimage over what the usual writers write."""

from __future__ import annotations

import functools
import io
import itertools
import json
import logging
import struct
import sys
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
from nnunet_doctor.probes.raw.formats import tiff
from nnunet_doctor.probes.raw.record import DamageError
from nnunet_doctor.probes.raw.source import Source

pytestmark = pytest.mark.slow

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import SimpleITK as sitk  # noqa: N813  everybody calls it so
    import tifffile
    from skimage.io import imread

logging.getLogger("tifffile").disabled = True

FLAT, SOLID = "NaturalImage2DIO", "Tiff3DIO"
READERS = (FLAT, SOLID)
COMPRESSIONS = (None, "zlib", "lzw", "packbits", "zstd", "lzma")
DTYPES = ("u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8", "?")


# --- what is read ----------------------------------------------------------------------------------------------------


def read(path, reader=SOLID):
    """Return header, whether the file is whole, and the values of a file."""
    source = Source(str(path))
    try:
        header = tiff.read_header(source, reader)
        whole = tiff.check_end(source, header)
        data = b"".join(tiff.voxels(source, header))
    finally:
        source.close()
    return header, whole, data


def faults(path, reader=SOLID):
    """Return the faults that keep a file from being read."""
    with pytest.raises(DamageError) as caught:
        read(path, reader)
    return caught.value.faults


def header_of(path, reader=SOLID):
    """Return the header of a file."""
    source = Source(str(path))
    try:
        return tiff.read_header(source, reader)
    finally:
        source.close()


def as_nnunet_reads(path, reader):
    """Return lengths of the axes, fastest first, channels, and tifffile's array; what nnU-Net refuses as it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        array = tifffile.imread(path)
        seen = imread(str(path)) if reader == FLAT else array
    colours = reader == FLAT and seen.ndim == 3 and seen.shape[-1] in (3, 4)
    return (seen.shape[1::-1], seen.shape[-1], array) if colours else (array.shape[::-1], 1, array)


def check(path):
    """Compare with both readers of nnU-Net."""
    for reader in READERS:
        shape, channels, array = as_nnunet_reads(path, reader)
        header, whole, data = read(path, reader)
        values = np.frombuffer(data, header.dtype)

        assert (shape, channels) == (header.shape, header.channels)
        assert whole
        assert len(data) == header.data_bytes
        assert np.array_equal(array.ravel(), values)
        assert (header.format, header.encoding, header.origin, header.direction) == ("tiff", "tiff", (), ())
        assert header.spacing == ((1.0, 1.0) if reader == FLAT and len(shape) == 2 else ())


def numbers(shape, dtype, seed=0):
    """Return an array of a type with some structure in it."""
    random = np.random.default_rng(seed)
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return random.normal(size=shape).astype(kind)
    if kind.kind == "b":
        return random.random(shape) > 0.5
    return np.repeat(random.integers(0, 100, shape), 1).reshape(shape).astype(kind)


def write(path, array, **how):
    """Write a file with tifffile, whatever it has to say about it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tifffile.imwrite(path, array, **how)
    return path


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("order", ["<", ">"])
def test_types_and_compressions(tmp_path, dtype, compression, order):
    """Every type, compression, byte order and predictor, in strips and tiles, small and BigTIFF, comes out right."""
    path = tmp_path / "a.tif"
    array = numbers((50, 70), dtype)
    layouts = ({}, {"tile": (32, 48)}, {"rowsperstrip": 7}, {"bigtiff": True})
    predictors = (False, True) if compression not in (None, "packbits") and dtype not in ("?", "u8", "i8") else (False,)
    for layout, predictor in itertools.product(layouts, predictors):
        write(path, array, compression=compression, byteorder=order, predictor=predictor, **layout)
        check(path)
        expected = {"?": "u1", "f2": "f4"}.get(dtype, dtype)

        assert header_of(path).dtype == ("|" if expected.endswith("1") else order) + expected


SHAPES = {
    "3D": ((5, 50, 70), {}),
    "3D of many slices": ((12, 50, 70), {}),
    "3D of one slice": ((1, 50, 70), {}),
    "3D of two slices": ((2, 50, 70), {"photometric": "minisblack"}),
    "3D of three slices": ((3, 50, 70), {"photometric": "minisblack"}),
    "3D of three columns": ((5, 50, 3), {"photometric": "minisblack"}),
    "RGB": ((50, 70, 3), {"photometric": "rgb"}),
    "RGBA": ((50, 70, 4), {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
    "RGB in planes": ((3, 50, 70), {"photometric": "rgb", "planarconfig": "separate"}),
    "RGB slices": ((5, 50, 70, 3), {"photometric": "rgb"}),
    "RGB slices in planes": ((5, 3, 50, 70), {"photometric": "rgb", "planarconfig": "separate"}),
    "two values a pixel": ((50, 70, 2), {"photometric": "minisblack", "planarconfig": "contig"}),
    "five values a pixel": ((50, 70, 5), {"photometric": "minisblack", "planarconfig": "contig"}),
    "4D": ((2, 5, 50, 70), {}),
    "axes of one": ((1, 1, 50, 70), {}),
    "a row": ((1, 70), {}),
    "a column": ((70, 1), {}),
}
STYLES = (
    {},
    {"metadata": None},
    {"imagej": True},
    {"ome": True},
    {"tile": (16, 32)},
    {"rowsperstrip": 11},
    {"byteorder": ">", "bigtiff": True},
    {"description": "shape=(5, 50, 70)", "metadata": None},
    {"description": "hello", "software": "somebody"},
)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("compression", [None, "zlib", "lzw"])
@pytest.mark.parametrize("style", STYLES, ids=str)
def test_shapes(tmp_path, name, compression, style):
    """Slices, colours and values of a pixel are told apart as tifffile and skimage do, whoever describes them."""
    path = tmp_path / "a.tif"
    shape, how = SHAPES[name]
    if style.get("imagej") and "planarconfig" in how:
        how = {"photometric": "minisblack"}  # ImageJ knows no planes of colours
    write(path, numbers(shape, "u1"), compression=compression, **{**how, **style})
    if style.get("description", "").startswith("shape") and compression is None:
        try:
            tifffile.imread(path)
        except ValueError:
            assert faults(path)[0][0] == "unreadable"
            return
    check(path)


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize(
    ("axes", "shape"),
    [("TZCYX", (2, 3, 4, 20, 21)), ("ZYX", (6, 20, 21)), ("CYX", (3, 20, 21)), ("TYX", (1, 20, 21)), ("YX", (20, 21))],
)
@pytest.mark.parametrize("style", ["ome", "imagej"])
def test_hyperstacks(tmp_path, compression, axes, shape, style):
    """ImageJ hyperstacks and OME-TIFF of several pages have the axes that tifffile gives them."""
    path = write(
        tmp_path / "a.tif",
        numbers(shape, "u2"),
        metadata={"axes": axes},
        compression=compression,
        photometric="minisblack",
        **{style: True},
    )
    check(path)


@pytest.mark.parametrize("axes", ["YXS", "ZYXS", "SYX"])
def test_colours_in_ome(tmp_path, axes):
    """Samples of OME-TIFF are colours, together or apart."""
    lengths = {"Z": 5, "Y": 20, "X": 21, "S": 3}
    apart = {"planarconfig": "separate"} if axes == "SYX" else {}
    array = numbers(tuple(lengths[axis] for axis in axes), "u1")
    path = write(tmp_path / "a.tif", array, ome=True, metadata={"axes": axes}, photometric="rgb", **apart)
    check(path)


@pytest.mark.parametrize(
    "style", [{"truncate": True}, {"imagej": True, "truncate": True}, {"bigtiff": True, "truncate": True}]
)
def test_one_page_that_stands_for_all(tmp_path, style):
    """Values behind the only page belong to it when the description says so."""
    path = write(tmp_path / "a.tif", numbers((10, 64, 65), "u2"), photometric="minisblack", **style)

    check(path)
    assert header_of(path).shape == (65, 64, 10)


def large_imagej(path, count):
    """Write what ImageJ writes beyond 4 GB: one page, and the values of all behind it."""
    text = f"ImageJ=1.53\nimages={count}\nslices={count}\n".encode()
    values = numbers((count, 20, 30), ">u2")
    tags = [(256, 4, 1, 30), (257, 4, 1, 20), (258, 3, 1, 16 << 16), (259, 3, 1, 1 << 16), (262, 3, 1, 1 << 16)]
    behind = 8 + 2 + 9 * 12 + 4
    tags += [(270, 2, len(text), behind), (273, 4, 1, behind + len(text)), (278, 3, 1, 20 << 16), (279, 4, 1, 1200)]
    entries = b"".join(struct.pack(">HHII", *tag) for tag in tags)
    path.write_bytes(struct.pack(">2sHIH", b"MM", 42, 8, len(tags)) + entries + bytes(4) + text + values.tobytes())
    return path


def test_large_stack_of_imagej(tmp_path):
    """A stack with a single IFD is a volume."""
    path = large_imagej(tmp_path / "a.tif", 7)

    check(path)
    assert header_of(path).shape == (30, 20, 7)


@pytest.mark.parametrize("pages", [1, 3, 7, 8, 12])
@pytest.mark.parametrize("how", [{}, {"metadata": None}])
@pytest.mark.parametrize("contiguous", [False, True])
def test_pages_written_one_by_one(tmp_path, pages, how, contiguous):
    """Pages without a common description are one image if nothing says otherwise."""
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        for page in range(pages):
            writer.write(numbers((20, 30), "u1", page), contiguous=contiguous and not how, **how)
    check(path)


def test_pages_of_different_sizes(tmp_path):
    """Of pages that differ those like the first one count."""
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        for size in (30, 15, 30, 30):
            writer.write(numbers((20, size), "u1", size), metadata=None)
    check(path)


@pytest.mark.parametrize("how", [{}, {"metadata": None}, {"ome": True}])
def test_pyramids(tmp_path, how):
    """Of a pyramid the largest image counts."""
    path = tmp_path / "a.tif"
    more = {"metadata": {"axes": "ZYX"}} if how.get("ome") else {"metadata": None} if how else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with tifffile.TiffWriter(path, ome=how.get("ome")) as writer:
            writer.write(numbers((5, 64, 64), "u1"), subifds=1, **more)
            writer.write(numbers((5, 32, 32), "u1"), subfiletype=1, metadata=None)
    check(path)


@pytest.mark.parametrize("how", [{}, {"rowsperstrip": 10}, {"tile": (1, 32, 32)}])
def test_slices_within_a_page(tmp_path, how):
    """ImageDepth makes a page a volume."""
    check(write(tmp_path / "a.tif", numbers((8, 64, 64), "u1"), volumetric=True, **how))


@pytest.mark.parametrize("bits", [2, 4, 6, 7, 10, 12, 14])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite", "rgb"])
def test_packed_integers(tmp_path, bits, photometric):
    """Integers of other widths keep their value."""
    array = numbers((20, 31, 3) if photometric == "rgb" else (20, 31), "u1" if bits <= 8 else "u2") % 2**bits
    path = tmp_path / "a.tif"
    path.write_bytes(packed(array, bits, {"miniswhite": 0, "minisblack": 1, "rgb": 2}[photometric]))
    check(path)


def packed(array, bits, photometric=1):
    """Return a file of integers of so many bits, each row in bytes of its own; no imagecodecs for Python 3.10 packs them."""
    rows = array.reshape(len(array), -1, 1)
    data = np.packbits((rows >> np.arange(bits)[::-1] & 1).astype("?").reshape(len(array), -1), axis=1)
    height, width, samples = (*array.shape, 1)[:3]
    sizes = {"t256": width, "t257": height, "t278": height}
    return start() + page(data.tobytes(), **sizes, t258=bits, t262=photometric, t277=samples)


@pytest.mark.parametrize("dtype", ["u1", "?"])
def test_photometric_is_not_applied(tmp_path, dtype):
    """MinIsWhite and palettes change no value: the reader gets what is stored, and no channels."""
    path = tmp_path / "a.tif"
    check(write(path, numbers((20, 31), dtype), photometric="miniswhite"))
    if dtype == "u1":
        check(write(path, numbers((20, 31), dtype), photometric="palette", colormap=numbers((3, 256), "u2")))

    assert header_of(path, FLAT).faults == ()
    assert header_of(path, FLAT).channels == 1


CCITT = ("group3", "group4", "tiff_ccitt") if sys.version_info >= (3, 11) else ()
"""Compressions of a fax, which no tifffile for Python 3.10 reads."""

PILLOW = {
    "1": (None, "tiff_lzw", "packbits", "tiff_adobe_deflate", "tiff_deflate", "lzma", *CCITT),
    "L": (None, "tiff_lzw", "packbits", "tiff_adobe_deflate", "tiff_deflate", "zstd", "lzma", "jpeg"),
    "P": (None, "tiff_lzw"),
    "I;16": (None, "tiff_lzw"),
    "I": (None, "tiff_lzw"),
    "F": (None, "tiff_lzw"),
    "RGB": (None, "tiff_lzw", "tiff_adobe_deflate", "jpeg"),
    "RGBA": (None, "packbits"),
    "CMYK": (None, "tiff_lzw"),
    "LA": (None, "tiff_lzw"),
}


@pytest.mark.parametrize(("mode", "compression"), [(mode, how) for mode, all_of in PILLOW.items() for how in all_of])
def test_files_of_pillow(tmp_path, mode, compression):
    """What Pillow writes with libtiff, CCITT and JPEG included, is read as tifffile reads it."""
    path = tmp_path / "a.tif"
    grey = Image.fromarray(numbers((40, 50), "u1"))
    made = {
        "I;16": lambda: Image.fromarray(numbers((40, 50), "u2")),
        "I": lambda: Image.fromarray(numbers((40, 50), "i4")),
        "F": lambda: Image.fromarray(numbers((40, 50), "f4")),
        "1": lambda: Image.fromarray(numbers((40, 50), "?")),
    }
    made.get(mode, lambda: grey.convert(mode))().save(path, compression=compression)
    check(path)


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "jpeg"])
def test_pages_of_pillow(tmp_path, compression):
    """Pages without any description are slices."""
    path = tmp_path / "a.tif"
    first, *others = (Image.fromarray(numbers((20, 30), "u1", seed)) for seed in range(9))
    first.save(path, save_all=True, append_images=others, compression=compression)

    check(path)
    assert header_of(path).shape == (30, 20, 9)


@pytest.mark.parametrize("compressor", ["", "LZW", "Deflate", "PackBits"])
@pytest.mark.parametrize(("shape", "dtype"), [((5, 20, 30), "u2"), ((20, 30), "u1"), ((5, 20, 30), "f4")])
def test_files_of_itk(tmp_path, compressor, shape, dtype):
    """What SimpleITK writes is read as tifffile reads it."""
    path = tmp_path / "a.tif"
    image = sitk.GetImageFromArray(numbers(shape, dtype))
    sitk.WriteImage(image, str(path), useCompression=bool(compressor), compressor=compressor)
    check(path)


def test_large_images_come_in_pieces(tmp_path):
    """No piece is much larger than 1 MB, however the file is cut into strips."""
    path = tmp_path / "a.tif"
    largest = []
    for how in ({}, {"compression": "zlib"}, {"compression": "lzw", "rowsperstrip": 3}, {"compression": "lzma"}):
        write(path, numbers((900, 1400), "u2"), **{"rowsperstrip": 900, **how})
        source = Source(str(path))
        largest.append(max(map(len, tiff.voxels(source, tiff.read_header(source, FLAT)))))
        source.close()
        check(path)

    assert max(largest) <= stream.PIECE_BYTES + 3 * 2800


@pytest.mark.parametrize("value", range(1, 9))
def test_orientation_is_told_because_the_reader_ignores_it(tmp_path, value):
    """An orientation other than upright is told; tifffile reads the pixels as they are stored."""
    path = tmp_path / "a.tif"
    Image.fromarray(numbers((20, 30), "u1")).save(path, tiffinfo={274: value})

    check(path)
    assert header_of(path, FLAT).faults == ((("exif-orientation", str(value)),) if value > 1 else ())


# --- files that nobody's writer writes -------------------------------------------------------------------------------

DEFAULTS = {256: 5, 257: 4, 258: 8, 259: 1, 262: 1, 277: 1, 278: 4}


def page(data, *, order="<", big=False, following=0, at=8, **tags):
    """Return an IFD that ends with its data, to be put at a position; tags are given as ``t256=...``."""
    found = {**DEFAULTS, **{int(name[1:]): value for name, value in tags.items()}}
    found = {tag: value for tag, value in found.items() if value is not None}
    for tag in (273, 279):
        found.setdefault(tag, 0)
    unit, room = ("Q", 8) if big else ("I", 4)
    length = (8 if big else 2) + len(found) * (12 + 2 * (room - 4)) + room
    behind = at + length
    texts = b"".join(value for _, value in sorted(found.items()) if isinstance(value, bytes) and len(value) > room)
    found[273] = found[273] or behind + len(texts)
    found[279] = found[279] or len(data)
    entries, place = b"", behind
    for tag, value in sorted(found.items()):
        if isinstance(value, bytes) and len(value) <= room:
            entries += struct.pack(f"{order}HH{unit}{room}s", tag, 2, len(value), value)
        elif isinstance(value, bytes):
            entries += struct.pack(f"{order}HH{unit}{unit}", tag, 2, len(value), place)
            place += len(value)
        else:
            entries += struct.pack(f"{order}HH{unit}{unit}", tag, 16 if big else 4, 1, value)
    count = struct.pack(order + ("Q" if big else "H"), len(found))
    return count + entries + struct.pack(order + unit, following) + texts + data


def start(order="<", *, big=False, first=None):
    """Return the first bytes of a file."""
    mark = b"II" if order == "<" else b"MM"
    if big:
        return mark + struct.pack(order + "HHHQ", 43, 8, 0, first or 16)
    return mark + struct.pack(order + "HI", 42, first or 8)


DATA = bytes(range(20))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [False, True])
def test_made_up_file(tmp_path, order, big):
    """The files that the following tests change are sound."""
    path = tmp_path / "a.tif"
    path.write_bytes(start(order, big=big) + page(DATA, order=order, big=big, at=16 if big else 8))
    check(path)

    assert read(path)[2] == DATA


def test_reversed_bits(tmp_path):
    """FillOrder 2 turns the bits of each byte round."""
    path = tmp_path / "a.tif"
    path.write_bytes(start() + page(DATA, t266=2))

    check(path)
    assert read(path)[2][1] == 128


@pytest.mark.parametrize("nodata", [None, b"7\0", b"nan\0", b"1000\0"])
def test_strips_that_are_left_out(tmp_path, nodata):
    """A strip of no bytes holds the value of GDAL_NODATA if that is one, else 0."""
    path = tmp_path / "a.tif"
    path.write_bytes(start() + page(b"", t259=8, **({"t42113": nodata} if nodata else {})))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = tifffile.imread(path).tobytes()

    assert expected == read(path)[2] == (b"\7" if nodata == b"7\0" else b"\0") * 20


def test_deflate_with_bytes_behind(tmp_path):
    """What follows the end of a zlib stream within a strip does not matter."""
    path = tmp_path / "a.tif"
    path.write_bytes(start() + page(zlib.compress(DATA) + b"more", t259=8))
    check(path)


def test_several_strips_with_a_wrong_count_of_rows(tmp_path):
    """RowsPerStrip of 0, or beyond the image, means one strip."""
    path = tmp_path / "a.tif"
    for rows in (0, 2**32 - 1, None):
        path.write_bytes(start() + page(DATA, t278=rows))

        assert read(path)[2] == DATA


def test_complex_numbers_are_no_scalars(tmp_path):
    """The type of complex values is left empty."""
    path = write(tmp_path / "a.tif", numbers((20, 30), "f4").astype("c8"))

    assert header_of(path).dtype == ""
    assert header_of(path).shape == (30, 20)


@pytest.mark.parametrize(
    "how", [{"volumetric": True, "tile": (4, 32, 32)}, {"compression": "jpeg2000"}, {"compression": "webp"}]
)
def test_what_is_not_decoded_is_no_fault_of_the_file(tmp_path, how):
    """What tifffile can decode and we cannot is "undecoded", after a header with the right shape."""
    shape = (8, 64, 64) if "tile" in how else (64, 64, 3)
    path = write(tmp_path / "a.tif", numbers(shape, "u1"), photometric="minisblack" if "tile" in how else "rgb", **how)

    assert header_of(path).shape == shape[::-1]
    assert faults(path)[0][0] == "undecoded"


@pytest.mark.parametrize(
    ("tags", "fault"),
    [
        ({"t259": 12345}, ("reader-cannot-read", "compression 12345")),
        ({"t258": 48}, ("reader-cannot-read", "BitsPerSample 48, SampleFormat 1")),
        ({"t339": 7}, ("reader-cannot-read", "BitsPerSample 8, SampleFormat 7")),
        ({"t262": 6, "t259": 5}, ("reader-cannot-read", "compression 5, YCbCrSubSampling (2, 2)")),
        ({"t34412": 1}, ("undecoded", "TIFF variant LSM")),
        ({"t270": b"Aperio Image\0"}, ("undecoded", "TIFF variant SVS")),
        ({"t305": b"SI.LINE_FORMAT_VERSION = 1\0"}, ("undecoded", "TIFF variant ScanImage")),
        ({"t256": 0}, ("unreadable", "0 x 4 pixels")),
        ({"t256": None}, ("unreadable", "0 x 4 pixels")),
        ({"t257": 5, "t278": 5}, ("unreadable", "data at byte 122 ends after 20 of 25 bytes")),
        ({"t278": 2}, ("unreadable", "IFD at byte 8: 1 of 2 strips")),
        ({"t273": 130}, ("unreadable", "data at byte 130 ends after 12 of 20 bytes")),
        ({"t273": 2**32 - 1}, ("unreadable", "data at byte 4294967295 ends after 0 of 20 bytes")),
        ({"t259": 8}, ("unreadable", "zlib stream: ")),
        ({"t259": 5}, ("unreadable", "compression 5, strip at byte 122")),
        ({"t259": 32773}, ("unreadable", "compression 32773, strip at byte 122")),
        ({"t259": 34925}, ("unreadable", "LZMA: ")),
        ({"t259": 7}, ("unreadable", "compression 7, strip at byte 122")),
        ({"t322": 0, "t323": 16}, ("unreadable", "tiles of 0 x 16 pixels")),
        ({"t317": 9}, ("undecoded", "Predictor 9, SampleFormat 1")),
    ],
)
def test_refusals_and_damage_are_told(tmp_path, tags, fault):
    """Each is told with the value that stands for it."""
    path = tmp_path / "a.tif"
    path.write_bytes(start() + page(DATA, **tags))
    ((id, message),) = faults(path)

    assert id == fault[0]
    assert message.startswith(fault[1])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"II", "signature 4949"),
        (b"XX*\0\x08\0\0\0", "signature 58582a0008000000"),
        (b"II\x2a\1\x08\0\0\0", "TIFF version 298"),
        (b"II+\0\x04\0\0\0" + bytes(8), "BigTIFF with offsets of 4 bytes"),
        (start(first=2**31), "IFD 0 at byte 2147483648: data ends at byte 8"),
        (b"II*\0" + bytes(4), "no IFD"),
        (start() + b"\xff\xff" + bytes(100), "IFD 0 at byte 8: 65535 entries"),
        (start() + b"\x10\0" + bytes(100), "IFD 0 at byte 8: data ends at byte 110"),
        (start() + page(DATA, following=8), "IFD 1 at byte 8: loop"),
        (start() + page(DATA, following=9999), "IFD 1 at byte 9999: data ends at byte 142"),
        (start(big=True, first=2**63), "IFD 0 at byte 9223372036854775808: data ends at byte 16"),
    ],
)
def test_damaged_chain_is_told(tmp_path, content, message):
    """A chain of IFDs that leads nowhere, or in circles, is damage."""
    path = tmp_path / "a.tif"
    path.write_bytes(content)

    assert faults(path) == (("unreadable", message),)


@pytest.mark.parametrize("how", [{}, {"compression": "zlib"}, {"compression": "lzw"}, {"tile": (16, 16)}])
def test_every_cut_of_the_data_is_told(tmp_path, how):
    """A file that ends too early is told without decoding."""
    whole = write(tmp_path / "a.tif", numbers((5, 40, 50), "u2"), **how).read_bytes()
    path = tmp_path / "b.tif"
    told = set()
    for size in range(0, len(whole) - 1, 97):
        path.write_bytes(whole[:size])
        source = Source(str(path))
        with pytest.raises(DamageError) as caught:
            tiff.check_end(source, tiff.read_header(source, SOLID))
        source.close()
        told.add(caught.value.faults[0][0])

    assert told == {"unreadable"}


def test_damaged_strip_is_told_when_it_is_decoded(tmp_path, capfd):
    """Changed bytes within a deflate or LZW strip are told by decoding, and nothing is written to standard error."""
    path = tmp_path / "a.tif"
    told = []
    for compression in ("zlib", "lzw", "packbits", "zstd"):
        write(path, np.zeros((400, 500), "u2"), compression=compression, rowsperstrip=400)
        content = bytearray(path.read_bytes())
        place = header_of(path).offset
        content[place : place + 60] = b"\xfe" * 60
        path.write_bytes(content)
        told.append(faults(path)[0][0])

    assert told == ["unreadable"] * 4
    assert capfd.readouterr().err == ""


# --- hostile content -------------------------------------------------------------------------------------------------


def few(path, limit=2**22):
    """Read a file as the survey does; whatever is in it, nothing but a DamageError comes out."""
    for reader in READERS:
        source = Source(str(path))
        try:
            header = tiff.read_header(source, reader)
            tiff.check_end(source, header)
            size = 0
            for piece in tiff.voxels(source, header) if header.dtype else ():
                size += len(piece)
                if size > limit:
                    break
            else:
                assert size == header.data_bytes or not header.dtype
        except DamageError:
            pass
        finally:
            source.close()


def samples():
    """Return files to start from."""
    found = []
    for how in (
        {},
        {"compression": "zlib", "predictor": True, "byteorder": ">"},
        {"compression": "lzw", "metadata": None, "rowsperstrip": 3},
        {"compression": "packbits", "bigtiff": True},
        {"tile": (16, 16), "compression": "lzma"},
        {"imagej": True},
        {"ome": True, "metadata": {"axes": "ZYX"}},
        {"imagej": True, "truncate": True},
    ):
        file = io.BytesIO()
        write(file, numbers((3, 9, 17), "u2"), photometric="minisblack", **how)
        found.append(file.getvalue())
    file = io.BytesIO()
    write(file, numbers((9, 17), "f4"), compression="zstd", predictor=True)
    jpeg = io.BytesIO()
    Image.fromarray(numbers((20, 30, 3), "u1")).save(jpeg, "TIFF", compression="jpeg")
    fax = io.BytesIO()
    Image.fromarray(numbers((20, 30), "?")).save(fax, "TIFF", compression="group4")
    return [*found, file.getvalue(), jpeg.getvalue(), fax.getvalue(), packed(numbers((9, 17), "u2"), 12)]


edits = st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=6)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(samples()), edits, st.integers(0, 600))
def test_changed_files_do_no_harm(tmp_path_factory, content, changes, cut):
    """Changed and cut files give a header or a DamageError."""
    changed = bytearray(content)
    for place, value in changes:
        changed[place % len(changed)] = value
    path = tmp_path_factory.getbasetemp() / "changed.tif"
    path.write_bytes(changed[: len(changed) - (cut if cut % 4 == 1 else 0)])

    few(path)


tags = st.dictionaries(
    st.sampled_from(sorted(tiff._USED - {270, 305, 42113})),
    st.one_of(
        st.integers(0, 2**32 - 1), st.integers(0, 40), st.sampled_from([5, 7, 8, 32773, 34925, 50000, 2**31, 2**16])
    ),
    max_size=6,
)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60), tags, st.sampled_from([b"", b"ImageJ=1\nimages=3\nslices=3\n", b'{"shape": [3, 4, 5]}']))
def test_odd_entries_do_no_harm(tmp_path_factory, data, found, text):
    """Whatever numbers the entries hold, they give a header or a DamageError."""
    path = tmp_path_factory.getbasetemp() / "odd.tif"
    values = {f"t{tag}": value for tag, value in found.items()}
    path.write_bytes(start() + page(data, **values, **({"t270": text} if text else {})))

    few(path)


texts = st.one_of(
    st.text(max_size=60),
    st.sampled_from(["ImageJ=", "shape=", "{", "<OME>"]).flatmap(lambda mark: st.text(max_size=60).map(mark.__add__)),
    st.dictionaries(
        st.sampled_from(["shape", "axes", "truncated", "name"]),
        st.one_of(st.lists(st.integers(-5, 2**70), max_size=5), st.text(max_size=4), st.booleans(), st.none()),
    ).map(json.dumps),
    st.dictionaries(
        st.sampled_from(["images", "slices", "frames", "channels", "order"]),
        st.one_of(st.integers(-2, 2**40), st.sampled_from(["czt", "ctz", "0x5", "²"])),
    ).map(lambda found: "ImageJ=1\n" + "\n".join(f"{name}={value}" for name, value in found.items())),
    st.tuples(*[st.integers(0, 9)] * 6).map(
        lambda n: (
            f'<OME><Image><Pixels DimensionOrder="XYZCT" SizeX="5" SizeY="4" SizeZ="{n[0]}" SizeC="{n[1]}" SizeT="1">'
            f'<Channel SamplesPerPixel="{n[2]}"/><TiffData IFD="{n[3]}" PlaneCount="{n[4]}" FirstZ="{n[5]}"/>'
            "</Pixels></Image></OME>"
        )
    ),
)


@settings(max_examples=300, deadline=None)
@given(texts)
def test_odd_descriptions_do_no_harm(tmp_path_factory, text):
    """Whatever the description says, it gives a header or a DamageError."""
    path = tmp_path_factory.getbasetemp() / "described.tif"
    path.write_bytes(start() + page(DATA, t270=text.encode("utf-8", "surrogatepass") + b"\0"))

    few(path)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"", b"II*\0", b"MM\0*", start() + b"\5\0", start(big=True)]))
def test_random_bytes_do_no_harm(tmp_path_factory, content, begin):
    """Random bytes, behind a start that is believed, give a header or a DamageError."""
    path = tmp_path_factory.getbasetemp() / "random.tif"
    path.write_bytes(begin + content)

    few(path)


def long_chain():
    """Return as many IFDs as fit into 2 MB, each on top of the next."""
    count = tiff.MOST_PAGES + 10
    ifds = b"".join(struct.pack("<HHHIII", 1, 256, 4, 1, 5, 8 + 18 * (number + 1)) for number in range(count))
    return start() + ifds + bytes(2)


def crowded_chain():
    """Return many IFDs of many entries that overlap."""
    body = bytearray(struct.pack("<HHII", 256, 4, 1, 5) * 4096 + bytes(2000))
    for number in range(60):
        body[number * 12 : number * 12 + 2] = struct.pack("<H", 4000)
        body[number * 12 + 2 + 48000 : number * 12 + 6 + 48000] = struct.pack("<I", 8 + (number + 1) * 12)
    return start() + bytes(body)


@functools.cache
def bomb():
    """Return 128 MB of zeros in 128 kB."""
    return zlib.compress(bytes(2**27))


ENTITIES = b'<!DOCTYPE a [<!ENTITY a "' + b"a" * 1000 + b'">]><OME>' + b"&a;" * 10000 + b"</OME>\0"
MANY_PLANES = (
    b'<OME><Image><Pixels DimensionOrder="XYZCT" SizeX="5" SizeY="4" SizeZ="16000" SizeC="1" SizeT="1">'
    + b"<TiffData/>" * 20000
    + b"</Pixels></Image></OME>\0"
)

HOSTILE: dict[str, Callable[[], bytes]] = {
    "absurd size": lambda: start() + page(DATA, t256=2**32 - 1, t257=2**32 - 1),
    "absurd samples": lambda: start() + page(DATA, t277=2**32 - 1, t284=2),
    "absurd strips": lambda: start() + page(DATA, t257=2**31, t278=1, t273=8),
    "absurd rows": lambda: start() + page(bomb(), t256=2**28, t257=2**10, t278=2**10, t259=8),
    "absurd tiles": lambda: start() + page(DATA, t322=2**31, t323=2**31, t324=8, t325=20),
    "sparse": lambda: start() + page(b"", t256=2**20, t257=2**20, t278=2**20, t259=8),
    "bomb": lambda: start() + page(bomb(), t259=8),
    "bomb that is announced": lambda: start() + page(bomb(), t256=2**14, t257=2**13, t278=2**13, t259=8),
    "bomb for libtiff": lambda: start() + page(b"\x81\0" * 2**16, t256=2**14, t257=2**13, t278=2**13, t259=32773),
    "shared strip": lambda: start() + page(zlib.compress(bytes(2**20)), t256=2**20, t257=2**20, t278=2**20, t259=8),
    "long chain": long_chain,
    "crowded chain": crowded_chain,
    "long shape": lambda: start() + page(DATA, t270=b"shape=(" + b"9999999999, " * 100000 + b")\0"),
    "deep JSON": lambda: start() + page(DATA, t270=b'{"shape":' + b"[" * 200000 + b"\0"),
    "entities": lambda: start() + page(DATA, t270=ENTITIES),
    "many planes": lambda: start() + page(DATA, t270=MANY_PLANES),
    "deep XML": lambda: start() + page(DATA, t270=b"<OME>" + b"<a>" * 100000 + b"</OME>\0"),
    "long text": lambda: start() + page(DATA, t270=b"x" * 2**23),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_cost_little(tmp_path, name):
    """Neither absurd numbers nor bombs nor swarms of entries take much memory or time."""
    path = tmp_path / "a.tif"
    path.write_bytes(HOSTILE[name]())
    begin = time.process_time()
    few(path)
    seconds = time.process_time() - begin
    tracemalloc.start()
    few(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 64 * 2**20
    assert seconds < 10
