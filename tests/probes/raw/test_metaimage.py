"""MetaImage: the same grid and the same voxels as SimpleITK, and nothing worse than a fault for whatever is in a file."""

from __future__ import annotations

import gzip
import itertools
import math
import os
import zlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunet_doctor.probes.raw.formats import metaimage
from nnunet_doctor.probes.raw.record import DamageError, Header
from nnunet_doctor.probes.raw.source import Source

pytestmark = pytest.mark.slow

DATA = bytes(range(8))
PACKED = zlib.compress(DATA)
TYPES = ("Int8", "UInt8", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64", "Float32", "Float64")


def made(extra="", *, dims="2 2 2", kind="MET_UCHAR", file="LOCAL", data=DATA, axes=None):
    """Return a file with this header."""
    return (
        f"ObjectType = Image\nNDims = {axes or len(dims.split())}\n{extra}DimSize = {dims}\n"
        f"ElementType = {kind}\nElementDataFile = {file}\n"
    ).encode("latin-1") + data


def packed(extra="", *, size=None, data=PACKED, **rest):
    """Return a file with a compressed stream."""
    size = len(data) if size is None else size
    return made(f"CompressedData = True\nCompressedDataSize = {size}\n{extra}", data=data, **rest)


def text(data, **rest):
    """Return a file with voxels as text."""
    return made("BinaryData = False\n", data=data, **rest)


def put(folder, content, name="x.mha"):
    """Write a file, and return its path."""
    path = Path(folder) / name
    path.write_bytes(content)
    return str(path)


def header_of(path):
    """Return the header of a file."""
    source = Source(path)
    try:
        return metaimage.read_header(source, "SimpleITKIO")
    finally:
        source.close()


def seen(path):
    """Return the header of a file, what its end says, and its voxels."""
    source = Source(path)
    try:
        header = metaimage.read_header(source, "SimpleITKIO")
        end = metaimage.check_end(source, header)
        return header, end, b"".join(metaimage.voxels(source, header))
    finally:
        source.close()


def decoded(path):
    """Return the voxels of a file without a look at its end."""
    source = Source(path)
    try:
        return b"".join(metaimage.voxels(source, metaimage.read_header(source, "SimpleITKIO")))
    finally:
        source.close()


def fault_of(see, path):
    """Return the fault that a file is given up with."""
    with pytest.raises(DamageError) as caught:
        see(path)
    (fault,) = caught.value.faults
    return fault


def grid_of(header):
    """Return what SimpleITK tells as well."""
    return header.shape, header.channels, header.spacing, header.origin, header.direction


@pytest.fixture(scope="module")
def sitk():
    """SimpleITK, where it is installed."""
    return pytest.importorskip("SimpleITK")


def grid_of_itk(image):
    """Return the same of an image of SimpleITK, with the fourth axis as channels."""
    size, count = image.GetSize(), image.GetDimension()
    kept = range(3) if count == 4 else range(count)
    direction = image.GetDirection()
    return (
        tuple(size[axis] for axis in kept),
        image.GetNumberOfComponentsPerPixel() * (size[3] if count == 4 else 1),
        tuple(image.GetSpacing()[axis] for axis in kept),
        tuple(image.GetOrigin()[axis] for axis in kept),
        tuple(direction[row * count + axis] for row in kept for axis in kept),
    )


# --- what SimpleITK writes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["mha", "mhd"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("size", [(5, 4), (5, 4, 3), (5, 4, 3, 2)], ids=str)
@pytest.mark.parametrize("kind", TYPES)
def test_as_written(sitk, tmp_path, kind, size, compressed, ending):
    """Every type and dimension that SimpleITK writes comes back: grid, type and voxels."""
    numpy = pytest.importorskip("numpy")
    dtype = sitk.GetArrayViewFromImage(sitk.Image(size, getattr(sitk, f"sitk{kind}"))).dtype
    values = numpy.arange(math.prod(size)).reshape(size[::-1])
    image = sitk.GetImageFromArray(values.astype(dtype), isVector=False)
    image.SetSpacing([0.7 + axis for axis in range(len(size))])
    image.SetOrigin([-3.25 * axis + 1 / 3 for axis in range(len(size))])
    path = str(tmp_path / f"x.{ending}")
    sitk.WriteImage(image, path, compressed)
    header, end, voxels = seen(path)

    assert grid_of_itk(sitk.ReadImage(path)) == grid_of(header)
    assert ("zlib" if compressed else "raw", True, ()) == (header.encoding, end, header.faults)
    assert values.ravel().tolist() == numpy.frombuffer(voxels, header.dtype).tolist()
    assert header.data_file == ("" if ending == "mha" else "x.zraw" if compressed else "x.raw")


def test_oblique(sitk, tmp_path):
    """An oblique direction comes back to the last bit."""
    image = sitk.Image([4, 3, 2], sitk.sitkInt16)
    turn = sitk.Euler3DTransform()
    turn.SetRotation(0.3, -1.1, 2.0)
    image.SetDirection(turn.GetMatrix())
    image.SetSpacing((0.48828125, 0.48828125, 1.25))
    image.SetOrigin((-124.755859375, 1 / 3, 1e-7))
    path = str(tmp_path / "x.mha")
    sitk.WriteImage(image, path)

    assert grid_of_itk(sitk.ReadImage(path)) == grid_of(header_of(path))


@pytest.mark.parametrize(("kind", "channels"), [("VectorUInt8", 3), ("VectorFloat32", 2)])
def test_no_numbers(sitk, tmp_path, kind, channels):
    """Colours and vectors have no type of a single number."""
    path = str(tmp_path / "x.mha")
    sitk.WriteImage(sitk.Image([4, 3, 2], getattr(sitk, f"sitk{kind}"), channels), path, useCompression=True)
    header, end, voxels = seen(path)

    assert ((4, 3, 2), channels, "", True) == (header.shape, header.channels, header.dtype, end)
    assert header.data_bytes == len(voxels)


# --- headers by hand -----------------------------------------------------------------------------------------------

TURNED = "0 1 0 0 0 1 1 0 0"
TAKEN = {
    "nothing but sizes": made(),
    "no object type": made().replace(b"ObjectType = Image\n", b""),
    "another object": made().replace(b"Image", b"Tube"),
    "carriage returns": made().replace(b"\n", b"\r\n"),
    "empty lines": b"\n\n  " + made("\n   \n"),
    "byte order mark": b"\xef\xbb\xbf" + made(),
    "colons": made("ElementSpacing: 1 2 3\n"),
    "no blanks": made("ElementSpacing=1 2 3\n"),
    "tabs": made("ElementSpacing\t=\t1\t2\v3\n"),
    "numbers over lines": made("ElementSpacing = 1\n2\n\n3 mm\n"),
    "spellings of numbers": made("ElementSpacing = +1. .5e1 003 4\n"),
    "numbers without blank": made("ElementSpacing = 1 1.2.3 1\n"),
    "field of other letters": made("elementspacing = 1 2 3\nFoo = bar\n= baz\n"),
    "field without value": made("Comment =\nName = \n"),
    "field twice": made("ElementSpacing = 1 2 3\nElementSpacing = 4 5 6\n"),
    "ElementSize": made("ElementSize = 1 2 3\n"),
    "ElementSize and ElementSpacing": made("ElementSpacing = 4 5 6\nElementSize = 1 2 3\n"),
    "negative spacing": made("ElementSpacing = 1 -2 3\n"),
    "Offset": made("Offset = 1 2 3\n"),
    "Position": made("Position = 1 2 3\n"),
    "Origin": made("Origin = 1 2 3\n"),
    "Offset of NaN": made("Offset = 5 nan 3\nElementSpacing = 3 2 1\n"),
    "TransformMatrix": made(f"TransformMatrix = {TURNED}\n"),
    "Rotation": made(f"Rotation = {TURNED}\n"),
    "Orientation": made(f"Orientation = {TURNED}\n"),
    "version and Origin": made("FileFormatVersion = 1\nOrigin = 7 8 9\n"),
    "skewed": made("TransformMatrix = 1 0.3 0 0 1 0 0 0 1\n"),
    "stretched": made("TransformMatrix = 2 0 0 0 1 0 0 0 1\n"),
    "nearly flat": made("TransformMatrix = 1 0 0 0 1 0 0 0 1e-9\n"),
    "flipped and turned": made(f"TransformMatrix = {TURNED}\nElementSpacing = -1 2 -3\nOffset = 1 2 3\n"),
    "fractions of sizes": made(dims="2.9 2e0 2"),
    "fractions of axes": made(dims="4 2", axes="2.5"),
    "two axes": made("TransformMatrix = 0 1 -1 0\nElementSpacing = 1 2\n", dims="4 2"),
    "four axes": made("ElementSpacing = 1 2 3 4\nOffset = 1 2 3 4\n", dims="2 2 1 2"),
    "five axes": made(dims="2 2 1 1 2"),
    "axes told twice": made("ElementSpacing = 1 2 3\nNDims = 2\n", dims="4 2", axes=3),
    "two channels": made("ElementNumberOfChannels = 2\n", data=DATA * 2),
    "one channel and a half": made("ElementNumberOfChannels = 1.5\n"),
    "vector of one value": made(kind="MET_UCHAR_ARRAY"),
    "matrix of one value": made(kind="MET_FLOAT_MATRIX", data=DATA * 4),
    "letters": made(kind="MET_STRING"),
    "more letters": made(kind="MET_ASCII_CHAR"),
    "long": made(kind="MET_LONG", data=DATA * 4),
    "type and blanks": made(kind="MET_UCHAR  "),
    "big-endian": made("BinaryDataByteOrderMSB = True\n", kind="MET_USHORT", data=DATA * 2),
    "big-endian by the older name": made("ElementByteOrderMSB = T\n", kind="MET_USHORT", data=DATA * 2),
    "two orders": made("BinaryDataByteOrderMSB = No\nElementByteOrderMSB = 1\n", kind="MET_USHORT", data=DATA * 2),
    "local": made(file="local  "),
    "Local": made(file="Local\t"),
    "zlib": packed(),
    "gzip": packed(data=gzip.compress(DATA)),
    "compressed by a number": packed().replace(b"True", b"1"),
    "size with a fraction": packed(size=f"{len(PACKED)}.7"),
    "compressed, but no": packed(data=DATA).replace(b"True", b"no"),
    "skipped": made("HeaderSize = 200\n", data=b"\n" * 200)[:200] + DATA,
    "skipped from the end": made("HeaderSize = -1\n", data=b"XXX" + DATA),
    "negative skip": made("HeaderSize = -2\n"),
    "text": text(b"1 2 3 4 5\n6 7 8\n"),
    "text with commas": text(b"1,2,3,4,5,6,7,8\n"),
    "text with a wide gap": text(b"1 2 3 4" + b" " * 70_000 + b"5 6 7 8\n"),
    "text with fractions": text(b"1.9 2e1 .3 4 5 6 7 8 "),
    "text of reals": text(b"1.9 -2e1 1e39 4 5 6 7 8 ", kind="MET_FLOAT"),
    "text that is compressed": text(b"1 2 3 4 5 6 7 8 ").replace(b"BinaryData", b"CompressedData = True\nBinaryData"),
    # ITK swaps the bytes of numbers that it has read from text
    "text in an order": text(b"1 2 3 4 5 6 7 8 ", kind="MET_USHORT").replace(
        b"BinaryData", b"BinaryDataByteOrderMSB = True\nBinaryData"
    ),
    "all other fields": made(
        "ObjectSubType = x\nComment = a:b=c\nName = x\nID = 1\nParentID = -1\nAcquisitionDate = today\nColor = 1 nan 0 1\n"
        "CenterOfRotation = 0 nan 0\nDistanceUnits = cm\nAnatomicalOrientation = RAI\nModality = MET_MOD_CT\n"
        "SequenceID = 1 2 3\nElementMin = nan\nElementMax = -inf\nElementNBits = 8\n"
        "ElementToIntensityFunctionSlope = 2\nElementToIntensityFunctionOffset = 5\n"
    ),
}


@pytest.mark.parametrize("content", TAKEN.values(), ids=TAKEN)
def test_as_itk_reads_it(sitk, tmp_path, content):
    """Grid, type and voxels of a header by hand are those of SimpleITK."""
    numpy = pytest.importorskip("numpy")
    path = put(tmp_path, content)
    image = sitk.ReadImage(path)
    header, _, voxels = seen(path)

    assert grid_of_itk(image) == grid_of(header)
    assert header.faults == ()
    if header.dtype:
        wanted = sitk.GetArrayFromImage(image)
        assert wanted.ravel().tolist() == numpy.frombuffer(voxels, header.dtype).tolist()
        assert header.dtype[1:] == wanted.dtype.str[1:]


PLACES = {"Offset": "1 2 3", "Position": "4 5 6", "Origin": "7 8 9", "ImagePosition": "2 4 6"}
MATRICES = {"TransformMatrix": TURNED, "Rotation": "1 0 0 0 0 1 0 1 0", "Orientation": "0 1 0 1 0 0 0 0 1"}


@pytest.mark.parametrize(
    ("first", "second"), [*itertools.permutations(PLACES.items(), 2), *itertools.permutations(MATRICES.items(), 2)]
)
def test_which_of_two_counts(sitk, tmp_path, first, second):
    """Of two fields for one thing, the one that SimpleITK takes counts, whatever their order."""
    path = put(tmp_path, made(f"{' = '.join(first)}\n{' = '.join(second)}\n"))

    assert grid_of_itk(sitk.ReadImage(path)) == grid_of(header_of(path))


def test_rows_are_axes(tmp_path):
    """The rows of TransformMatrix are directions of axes, which are columns for SimpleITK."""
    header = header_of(put(tmp_path, TAKEN["TransformMatrix"]))

    assert header.direction == (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


def test_slope_is_not_applied(tmp_path):
    """ITK does not multiply with ElementToIntensityFunctionSlope, so the header has no slope."""
    header = header_of(put(tmp_path, TAKEN["all other fields"]))

    assert (header.slope, header.intercept) == (1.0, 0.0)


# --- refused -------------------------------------------------------------------------------------------------------

REFUSED = {
    "type": (made(kind="uint8"), "reader-cannot-read", "ElementType uint8"),
    "other type": (made(kind="MET_OTHER"), "reader-cannot-read", "ElementType MET_OTHER"),
    "type of small letters": (made(kind="met_uchar"), "reader-cannot-read", "ElementType met_uchar"),
    "no channels": (made("ElementNumberOfChannels = 0\n"), "reader-cannot-read", "ElementNumberOfChannels 0"),
    "type missing": (
        made().replace(b"ElementType = MET_UCHAR\n", b""),
        "unreadable",
        "ElementType missing in header",
    ),
    "sizes missing": (made().replace(b"DimSize = 2 2 2\n", b""), "unreadable", "DimSize missing in header"),
    "file missing": (
        made(data=b"").replace(b"ElementDataFile = LOCAL\n", b""),
        "unreadable",
        "ElementDataFile missing in header",
    ),
    "sizes before axes": (
        made().replace(b"NDims = 3\n", b"").replace(b"ElementType", b"NDims = 3\nElementType"),
        "unreadable",
        "DimSize before NDims",
    ),
    "no axes": (made(axes="0"), "unreadable", "NDims 0"),
    "negative sizes": (made(dims="2 -2 2"), "unreadable", "DimSize 2 -2 2"),
    "large sizes": (made(dims="2 4294967298 2"), "unreadable", "DimSize 2 4294967298 2"),
    "sizes that are no numbers": (made(dims="2 x 2"), "unreadable", "DimSize: x 2"),
    "number without number": (made("HeaderSize = nan\n"), "unreadable", "HeaderSize: nan"),
    "too large a number": (made("ElementSpacing = 1 1e400 1\n"), "unreadable", "ElementSpacing: 1e400 1"),
    "fewer numbers": (made("Offset = 1 2\n"), "unreadable", "DimSize missing in header"),
    "field without separator": (made("Foo bar\n"), "unreadable", "DimSize missing in header"),
    "carriage returns only": (made().replace(b"\n", b"\r"), "unreadable", "ElementDataFile missing in header"),
    "long line": (made(f"Comment = {'x' * 500}\n"), "unreadable", "Comment: line of 500 bytes"),
    "long name": (made(f"{'x' * 500} = 1\n"), "unreadable", "ElementDataFile missing in header"),
    "axes far behind": (
        made("").replace(b"NDims", b"".join(b"X%d = %s\n" % (at, b"x" * 400) for at in range(25)) + b"NDims"),
        "unreadable",
        "NDims missing: first bytes 4f 62 6a 65 63 74 54 79",
    ),
    "no MetaImage": (b"hello world", "unreadable", "NDims missing: first bytes 68 65 6c 6c 6f 20 77 6f"),
    "negative size of a stream": (packed(size=-1), "unreadable", "CompressedDataSize -1"),
    "cut, from the end": (
        made("HeaderSize = -1\n", dims="9 99 99"),
        "unreadable",
        "data ends after 8 of 88209 bytes",
    ),
}


@pytest.mark.parametrize(("content", "id", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(sitk, tmp_path, content, id, message):
    """What ITK refuses is named, with the field and its value."""
    path = put(tmp_path, content)

    assert (id, message) == fault_of(header_of, path)
    with pytest.raises(RuntimeError):
        sitk.ReadImage(path)


NONSENSE = {
    "stream of unknown size": (
        packed(size=0),
        ("reader-cannot-read", "CompressedDataSize missing, ElementDataFile LOCAL"),
    ),
    "no voxels": (made(dims="2 0 2"), ("unreadable", "DimSize 2 0 2")),
    "channels of text": (
        text(b"1 2 3 4 5 6 7 8 " * 2).replace(b"DimSize", b"ElementNumberOfChannels = 2\nDimSize"),
        ("reader-cannot-read", "BinaryData False, ElementNumberOfChannels 2"),
    ),
}


@pytest.mark.parametrize(("content", "fault"), NONSENSE.values(), ids=NONSENSE)
def test_nonsense_that_itk_delivers(sitk, tmp_path, content, fault):
    """What ITK reads without a word, but not as it is meant, is a fault."""
    path = put(tmp_path, content)

    assert fault == fault_of(header_of, path)
    assert sitk.ReadImage(path).GetDimension() == 3


FAULTS = {
    "spacing 0": ("ElementSpacing = 1 0 3\n", ("bad-spacing", "1 x 0 x 3")),
    "spacing NaN": ("ElementSpacing = 1 nan 3\n", ("bad-spacing", "1 x 0 x 0")),
    "spacing with commas": ("ElementSpacing = 1,5 2 3\n", ("bad-spacing", "1 x 0 x 0")),
    "flat": ("TransformMatrix = 1 2 3 4 5 6 7 8 9\n", ("direction-not-orthonormal", "determinant 0")),
    "nothing in the matrix": (
        "TransformMatrix = 0 0 0 0 0 0 0 0 0\n",
        ("direction-not-orthonormal", "determinant 0"),
    ),
}


@pytest.mark.parametrize(("extra", "fault"), FAULTS.values(), ids=FAULTS)
def test_grid_that_itk_refuses(sitk, tmp_path, extra, fault):
    """A grid that ITK refuses is a fault; the rest of the header is known all the same."""
    path = put(tmp_path, made(extra))
    header, _, voxels = seen(path)

    assert ((fault,), (2, 2, 2), DATA) == (header.faults, header.shape, voxels)
    with pytest.raises(RuntimeError):
        sitk.ReadImage(path)


# --- whole or not --------------------------------------------------------------------------------------------------

BROKEN = {
    "raw cut": (made(data=DATA[:5]), "data ends after 5 of 8 bytes"),
    "raw and more": (made(data=DATA + b"ab"), "2 bytes after the 8 that the header announces"),
    "skipped over the end": (made("HeaderSize = 999\n"), "data ends after 0 of 8 bytes"),
    "stream cut": (packed(size=len(PACKED), data=PACKED[:-3]), "data ends after 13 of 16 bytes"),
    "stream and more": (
        packed(size=len(PACKED), data=PACKED + b"junk"),
        "4 bytes after the 16 that the header announces",
    ),
    "stream that cannot hold it": (packed(dims="512 512 99"), "16 compressed bytes cannot hold 25952256"),
    "text cut": (text(b"1 2 3 4"), "7 bytes of text; 16 or more expected"),
}


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=BROKEN)
def test_cut(tmp_path, content, message):
    """A file that is too short or too long is found out without decoding it, with the numbers."""
    assert fault_of(seen, put(tmp_path, content)) == ("unreadable", message)


DECODED = {
    "stream with less": (packed(data=zlib.compress(DATA[:5])), "data ends after 5 of 8 bytes"),
    "stream with more": (
        packed(data=zlib.compress(DATA * 2)),
        "more than the 8 bytes that the header announces",
    ),
    "text of words": (text(b"1 2 3 four 5 6 7 8\n"), "no number: four 5 6 7 8"),
    "text of NaN": (text(b"1 2 3 nan 5 6 7 8\n", kind="MET_FLOAT"), "no number: nan 5 6 7 8"),
    "text with two commas": (text(b"1,,2 3 4 5 6 7 8\n"), "no number: ,2 3 4 5 6 7 8"),
    "text with less": (text(b"11 22 33 44 55 66\n"), "text ends after 6 of 8 values"),
    "text without end": (text(b"11 22 33 44 55 66 77 88"), "text ends after 7 of 8 values"),
    "text with more": (text(b"1 2 3 4 5 6 7 8 9"), "more than 8 values"),
    "text over the range": (text(b"1 2 3 4 5 6 7 256\n"), "1 ... 256, over the range of u1"),
    "text of one number": (text(b"1" * 5000), "text ends after 0 of 8 values"),
}


@pytest.mark.parametrize(("content", "message"), DECODED.values(), ids=DECODED)
def test_found_by_decoding(tmp_path, content, message):
    """What the end does not tell is told by the voxels."""
    assert fault_of(decoded, put(tmp_path, content)) == ("unreadable", message)


def test_text_is_to_be_decoded(tmp_path):
    """The size of a text does not tell that it is whole."""
    assert not seen(put(tmp_path, TAKEN["text"]))[1]


@pytest.mark.parametrize("at", [-1, -20])
def test_rotten_stream(tmp_path, at):
    """A changed byte in the stream or its checksum, which ITK passes over, is found."""
    rotten = bytearray(zlib.compress(os.urandom(800)))
    rotten[at] ^= 1
    id, message = fault_of(decoded, put(tmp_path, packed(dims="8 10 10", data=bytes(rotten))))

    assert id == "unreadable"
    assert message.startswith("zlib stream: ")


def test_bomb(tmp_path):
    """A stream with far more voxels than announced is given up after the first piece."""
    fault = fault_of(decoded, put(tmp_path, packed(data=zlib.compress(bytes(64 * 1024**2)))))

    assert fault == ("unreadable", "more than the 8 bytes that the header announces")


@pytest.mark.parametrize("encoding", ["raw", "zlib", "text"])
def test_pieces(tmp_path, encoding):
    """Voxels come in pieces of about a megabyte, each of whole values."""
    count = 3 * 10**5 + 7
    dims, kind = f"1 1 {count}", "MET_LONG_LONG"
    data = os.urandom(8 * count)
    if encoding == "zlib":
        content = packed(dims=dims, kind=kind, data=zlib.compress(data, 1))
    elif encoding == "text":
        data = b"".join(number.to_bytes(8, "little") for number in range(count))
        content = text(" ".join(map(str, range(count))).encode() + b"\n", dims=dims, kind=kind)
    else:
        content = made(dims=dims, kind=kind, data=data)
    source = Source(put(tmp_path, content))
    pieces = list(metaimage.voxels(source, metaimage.read_header(source, "SimpleITKIO")))
    source.close()

    assert data == b"".join(pieces)
    assert {len(piece) % 8 for piece in pieces} == {0}
    assert 0 < min(map(len, pieces)) <= max(map(len, pieces)) <= 1024**2 + 8


# --- files beside the header ---------------------------------------------------------------------------------------


def fill(folder):
    """Write voxels into a folder, whole and in slices, and return it."""
    (folder / "sub").mkdir()
    for name, content in {
        "all.raw": DATA,
        "sub/all.raw": DATA,
        "all.zraw": PACKED,
        "all.gz": gzip.compress(DATA),
        "hidden.raw.gz": gzip.compress(DATA),
        "hidden.img.Z": PACKED,
        "later.raw": b"XXX" + DATA,
        "all.txt": b"0 1 2 3 4 5 6 7\n",
        "s1.raw": DATA[:4],
        "s2.raw": DATA[4:],
        "s001.raw": DATA[:4],
        "s002.raw": DATA[4:],
        "s 1.raw": DATA[:4],
        "s 2.raw": DATA[4:],
        "s1.zraw": zlib.compress(DATA[:4]),
        "s2.zraw": zlib.compress(DATA[4:]),
        "sch\u00e4del.raw": DATA,
    }.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def beside(tmp_path):
    """A folder with the voxels in other files."""
    return fill(tmp_path)


@pytest.fixture(scope="module")
def beside_all(tmp_path_factory):
    """One for all examples of a test."""
    return fill(tmp_path_factory.mktemp("beside"))


COMPRESSED = "CompressedData = True\n"
APART = {
    "one": made(file="all.raw", data=b""),
    "without line end": made(file="all.raw", data=b"")[:-1],
    "in a folder": made(file="sub/all.raw", data=b""),
    "name of other letters": made(file="sch\xc3\xa4del.raw", data=b""),
    "zlib": made(COMPRESSED, file="all.zraw", data=b""),
    "zlib of known size": packed(size=len(PACKED), file="all.zraw", data=b""),
    "gzip": made(COMPRESSED, file="all.gz", data=b""),
    "packed behind the name": made(file="hidden.raw", data=b""),
    "packed the other way": made(file="hidden.img", data=b""),
    "text": text(b"", file="all.txt"),
    "skipped": made("HeaderSize = 3\n", file="later.raw", data=b""),
    "skipped from the end": made("HeaderSize = -1\n", file="later.raw", data=b""),
    "listed": made(file="LIST", data=b"s1.raw\ns2.raw\n"),
    "listed with carriage returns": made(file="LIST", data=b"s1.raw\r\ns2.raw  \r\nmore\r\n"),
    "listed with dimension": made(file="LIST 2D", data=b"s1.raw\ns2.raw\n"),
    "listed and compressed": made(COMPRESSED, file="LIST", data=b"s1.zraw\ns2.zraw\n"),
    "listed and skipped": made("HeaderSize = -1\n", file="LIST", data=b"s1.raw\ns2.raw\n"),
    "numbered": made(file="s%d.raw", data=b""),
    "numbered from": made(file="s%d.raw 1", data=b""),
    "numbered with step": made(file="s%03d.raw 1 2 1", data=b""),
    "numbered and blank": made(file="s %d.raw 1 2 1", data=b""),
}


@pytest.mark.parametrize("content", APART.values(), ids=APART)
def test_apart(sitk, beside, content):
    """Voxels in other files are read as SimpleITK reads them."""
    path = put(beside, content)
    header, _, voxels = seen(path)

    assert bytes(sitk.GetArrayFromImage(sitk.ReadImage(path)).ravel()) == voxels
    assert header.data_file


@pytest.mark.parametrize(
    ("which", "end"), [("one", True), ("zlib", False), ("zlib of known size", True), ("text", False), ("listed", True)]
)
def test_what_the_size_tells(beside, which, end):
    """A stream of unknown size is to be decoded; the others show their end."""
    assert end == seen(put(beside, APART[which]))[1]


def test_name_of_the_first_file(beside):
    """The header says where the voxels are."""
    assert header_of(put(beside, APART["numbered with step"])).data_file == "s001.raw"
    assert header_of(put(beside, APART["name of other letters"])).data_file == "sch\u00e4del.raw"
    assert header_of(put(beside, APART["packed behind the name"])).data_file == "hidden.raw.gz"
    assert header_of(put(beside, APART["skipped"])).offset == 3


APART_BROKEN = {
    "missing": (made(file="no.raw", data=b""), "unreadable", "no.raw: read error: No such file or directory"),
    "cut": (made(file="s1.raw", data=b""), "unreadable", "s1.raw: data ends after 4 of 8 bytes"),
    "more": (
        made(file="later.raw", data=b""),
        "unreadable",
        "later.raw: 3 bytes after the 8 that the header announces",
    ),
    "stream cut": (
        packed(size=len(PACKED) + 3, file="all.zraw", data=b""),
        "unreadable",
        "all.zraw: data ends after 16 of 19 bytes",
    ),
    "no stream": (
        made(COMPRESSED, file="all.txt", data=b""),
        "unreadable",
        "all.txt: zlib stream: ",
    ),
    "fewer listed": (
        made(file="LIST", data=b"s1.raw\n"),
        "unreadable",
        "ElementDataFile LIST: 1 names, 2 expected",
    ),
    "listed without line end": (
        made(file="LIST", data=b"s1.raw\ns2.raw"),
        "unreadable",
        "ElementDataFile LIST: 1 names, 2 expected",
    ),
    "listed whole": (
        made(file="LIST 3", data=b"all.raw\n"),
        "reader-cannot-read",
        "ElementDataFile LIST 3, NDims 3",
    ),
    "listed without name": (
        made(file="LIST", data=b"\ns1.raw\ns2.raw\n"),
        "reader-cannot-read",
        "voxels in a file without name",
    ),
    "fewer numbered": (
        made(file="s%d.raw 1 1 1", data=b""),
        "unreadable",
        "ElementDataFile s%d.raw 1 1 1: 1 names, 2 expected",
    ),
    "step 0": (made(file="s%d.raw 1 2", data=b""), "reader-cannot-read", "ElementDataFile s%d.raw 1 2: step 0"),
    "folder": (made(file="sub", data=b""), "not-a-file", "sub: folder"),
    "compressed, from the end": (
        packed("HeaderSize = -1\n"),
        "reader-cannot-read",
        "HeaderSize -1, CompressedData True",
    ),
}


@pytest.mark.parametrize(("content", "id", "message"), APART_BROKEN.values(), ids=APART_BROKEN)
def test_apart_and_broken(beside, content, id, message):
    """A file that is missing, or does not fit, is named."""
    fault = fault_of(seen, put(beside, content))

    assert fault[0] == id
    assert fault[1].startswith(message)


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../x.raw", "sub/../../x", "sub\\..\\x", "\\\\host\\x", "C:x", "-", "~/x", "%s.raw", "%d%n"]
)
def test_names_that_lead_elsewhere(beside, name):
    """A header does not make us read anything outside of its folder."""
    id, message = fault_of(seen, put(beside, made(file=name, data=b"")))

    assert id == "reader-cannot-read"
    assert name in message


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFO on this system")
def test_fifo(tmp_path):
    """A FIFO beside the header is refused, and nobody waits for it."""
    os.mkfifo(tmp_path / "pipe")

    assert fault_of(seen, put(tmp_path, made(file="pipe", data=b""))) == ("not-a-file", "pipe: FIFO")


# --- hostile -------------------------------------------------------------------------------------------------------


def test_header_without_end(tmp_path):
    """A header of megabytes is given up."""
    path = put(tmp_path, made("Foo = bar\n" * 300_000))

    assert fault_of(header_of, path) == ("unreadable", "ElementDataFile missing in header")


def test_long_header(sitk, tmp_path):
    """A header of some hundred kilobytes, as some programs write it, is read."""
    path = put(tmp_path, made("".join(f"Key{number} = {'x' * 200}\r\n" for number in range(2000))))

    assert grid_of_itk(sitk.ReadImage(path)) == grid_of(header_of(path))
    assert decoded(path) == DATA


@pytest.mark.parametrize("length", range(4085, 4105))
def test_header_that_ends_where_reading_stops(tmp_path, length):
    """Where the first piece of the file ends makes no difference."""
    plain = made("", data=b"")
    content = plain.replace(b"NDims", b"\n" * (length - len(plain)) + b"NDims") + DATA

    assert length == content.index(DATA)
    assert decoded(put(tmp_path, content)) == DATA


SEEDS = [
    *TAKEN.values(),
    *APART.values(),
    *(row[0] for row in (*REFUSED.values(), *BROKEN.values(), *DECODED.values(), *APART_BROKEN.values())),
]

EDITS = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 5),
        st.one_of(st.binary(max_size=6), st.text("0123456789.-+e \n\r:=%#\0", max_size=6).map(str.encode)),
    ),
    max_size=6,
)


def mutated(seed, edits, cut):
    """Return bytes with some of them changed, left out and put in."""
    content = bytearray(seed)
    for place, kind, piece in edits:
        at = int(place * len(content))
        if kind == 0:
            content[at : at + len(piece)] = piece
        elif kind == 1:
            content[at:at] = piece
        else:
            del content[at : at + kind]
    return bytes(content[: int(cut * len(content)) + 1])


def check_told(error):
    """A fault can be written as text."""
    for id, message in error.faults:
        assert id
        assert message.encode()


def survives(path):
    """Whatever is in a file: a header and voxels as announced, or a fault that can be told to a user."""
    source = Source(path)
    try:
        header = metaimage.read_header(source, "SimpleITKIO")
        assert isinstance(header, Header)
        assert msgspec.json.encode(header)
        try:
            assert metaimage.check_end(source, header) in (True, False)
        except DamageError as error:
            check_told(error)
        assert header.data_bytes == sum(map(len, metaimage.voxels(source, header)))
    except DamageError as error:
        check_told(error)
    finally:
        source.close()


@settings(max_examples=500, deadline=None)
@given(seed=st.sampled_from(SEEDS), edits=EDITS, cut=st.one_of(st.just(1.0), st.floats(0, 1)))
def test_mutated(beside_all, seed, edits, cut):
    """Changed files give a header or a fault."""
    survives(put(beside_all, mutated(seed, edits, cut)))


@settings(max_examples=200, deadline=None)
@given(content=st.binary(max_size=400), start=st.sampled_from([b"", b"NDims", b"NDims = 3\nDimSize =", made(data=b"")]))
def test_random(beside_all, content, start):
    """So do bytes at random."""
    survives(put(beside_all, start + content))
