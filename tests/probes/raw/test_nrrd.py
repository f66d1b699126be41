"""NRRD: the same grid and the same voxels as SimpleITK, and nothing worse than a fault for whatever is in a file."""

from __future__ import annotations

import bz2
import gzip
import math
import os
import zlib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunet_doctor.probes.raw.formats import nrrd
from nnunet_doctor.probes.raw.record import DamageError, Header
from nnunet_doctor.probes.raw.source import Source

pytestmark = pytest.mark.slow

DATA = bytes(range(8))
LPS = "space: left-posterior-superior\n"
ALONG = "space directions: (1,0,0) (0,1,0) (0,0,1)\n"
TYPES = ("Int8", "UInt8", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64", "Float32", "Float64")


def made(extra="", *, sizes="2 2 2", kind="uint8", encoding="raw", data=DATA, endian="", magic="NRRD0005", end="\n"):
    """Return a file with this header, and an empty line unless told otherwise."""
    order = f"endian: {endian}\n" if endian else ""
    head = f"{magic}\ntype: {kind}\ndimension: {len(sizes.split())}\nsizes: {sizes}\n{order}encoding: {encoding}\n"
    return f"{head}{extra}{end}".encode("latin-1") + data


def put(folder, content, name="x.nrrd"):
    """Write a file, and return its path."""
    path = Path(folder) / name
    path.write_bytes(content)
    return str(path)


def header_of(path):
    """Return the header of a file."""
    source = Source(path)
    try:
        return nrrd.read_header(source, "SimpleITKIO")
    finally:
        source.close()


def seen(path):
    """Return the header of a file, what its end says, and its voxels."""
    source = Source(path)
    try:
        header = nrrd.read_header(source, "SimpleITKIO")
        end = nrrd.check_end(source, header)
        return header, end, b"".join(nrrd.voxels(source, header))
    finally:
        source.close()


def decoded(path):
    """Return the voxels of a file without a look at its end."""
    source = Source(path)
    try:
        return b"".join(nrrd.voxels(source, nrrd.read_header(source, "SimpleITKIO")))
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


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("size", [(5, 4), (5, 4, 3), (5, 4, 3, 2)], ids=str)
@pytest.mark.parametrize("kind", TYPES)
def test_as_written(sitk, tmp_path, kind, size, compressed):
    """Every type and dimension that SimpleITK writes comes back: grid, type and voxels."""
    numpy = pytest.importorskip("numpy")
    image = sitk.Image(size, getattr(sitk, f"sitk{kind}"))
    values = numpy.arange(math.prod(size)).reshape(size[::-1])
    again = sitk.GetImageFromArray(values.astype(sitk.GetArrayViewFromImage(image).dtype), isVector=False)
    again.SetSpacing([0.7 + axis for axis in range(len(size))])
    again.SetOrigin([-3.25 * axis + 1 / 3 for axis in range(len(size))])
    path = str(tmp_path / "x.nrrd")
    sitk.WriteImage(again, path, compressed)
    header, end, voxels = seen(path)

    assert grid_of_itk(sitk.ReadImage(path)) == grid_of(header)
    assert ("gzip" if compressed else "raw", True, ()) == (header.encoding, end, header.faults)
    assert sitk.GetArrayFromImage(again).ravel().tolist() == numpy.frombuffer(voxels, header.dtype).tolist()


def test_oblique(sitk, tmp_path):
    """An oblique direction comes back to the last bit."""
    image = sitk.Image([4, 3, 2], sitk.sitkInt16)
    turn = sitk.Euler3DTransform()
    turn.SetRotation(0.3, -1.1, 2.0)
    image.SetDirection(turn.GetMatrix())
    image.SetSpacing((0.48828125, 0.48828125, 1.25))
    image.SetOrigin((-124.755859375, 1 / 3, 1e-7))
    path = str(tmp_path / "x.nrrd")
    sitk.WriteImage(image, path)

    assert grid_of_itk(sitk.ReadImage(path)) == grid_of(header_of(path))


@pytest.mark.parametrize(
    ("kind", "channels"), [("VectorUInt8", 3), ("VectorFloat32", 2), ("ComplexFloat32", 1), ("ComplexFloat64", 1)]
)
def test_no_numbers(sitk, tmp_path, kind, channels):
    """Colours, vectors and complex values have no type of a single number."""
    args = [channels] if channels > 1 else []
    path = str(tmp_path / "x.nrrd")
    sitk.WriteImage(sitk.Image([4, 3, 2], getattr(sitk, f"sitk{kind}"), *args), path, useCompression=True)
    header, end, voxels = seen(path)

    assert ((4, 3, 2), channels, "", True) == (header.shape, header.channels, header.dtype, end)
    assert header.data_bytes == len(voxels)


# --- headers by hand -----------------------------------------------------------------------------------------------

TAKEN = {
    "nothing but sizes": made(),
    "oldest magic": made(magic="NRRD00.01"),
    "first magic": made(magic="NRRD0001"),
    "carriage returns": made().replace(DATA, b"").replace(b"\n", b"\r\n") + DATA,
    "only carriage returns": made().replace(DATA, b"").replace(b"\n", b"\r") + DATA,
    "upper case": made("SPACINGS: 1 2 3\n", kind="UINT8", encoding="RAW"),
    "comments and keys": made("# a: b\n#\nkey:=value\nkey:=value: again\n"),
    "byte of no letter": made("key:=\xe9\0x\n"),
    "LPS": made(LPS + "space directions: (2,0,0) (0,3,0) (0,0,4)\nspace origin: (1,2,3)\n"),
    "RAS": made("space: right-anterior-superior\nspace directions: (2,0,0) (0,3,0) (0,0,4)\nspace origin: (1,2,3)\n"),
    "LAS": made("space: LAS\nspace directions: (2,0,0) (0,0,3) (0,4,0)\nspace origin: (1,2,3)\n"),
    "scanner": made("space: scanner-xyz\nspace directions: (2,0,0) (0,3,0) (0,0,4)\nspace origin: (1,2,3)\n"),
    "left-handed": made("space: 3D-left-handed\n" + ALONG),
    "space dimension": made("space dimension: 3\n" + ALONG + "space origin: (1,2,3)\n"),
    "space dimension 0": made("space dimension: 0\n"),
    "oblique RAS": made("space: RAS\nspace directions: (0.6,0.8,0) (-0.8,0.6,0) (0,0,2)\nspace origin: (1,2,3)\n"),
    "skewed": made(LPS + "space directions: (1,0,0) (0.3,1,0) (0,0.1,2)\n"),
    "blanks in vectors": made(LPS + "space directions: ( 1, 0 , 0)(0,1,0)\t(0, 0,1) \n"),
    "no vector for one axis": made(LPS + "space directions: (1,0,0) none (0,0,2)\nspace origin: (1,2,3)\n"),
    "vector of NaN": made(LPS + "space directions: (1,0,0) (nan,nan,nan) (0,0,2)\n"),
    "no directions": made(LPS + "space origin: (1,2,3)\n"),
    "no origin": made(LPS + ALONG + "space origin: none\n"),
    "spacings": made("spacings: 1 2.5 3e-1\n"),
    "negative spacing": made("spacings: 1 -2 3\n"),
    "hexadecimal spacing": made("spacings: 1 0x10 3\n"),
    "spacings and more": made("spacings: 1 2x 3 mm\n"),
    "spacings NaN beside directions": made(LPS + ALONG + "spacings: nan nan nan\n"),
    "mins": made("axis mins: 1 2 3\n"),
    "mins and spacings": made("spacings: 1 2 3\naxis mins: 1 2 3\n"),
    "mins and maxs": made("axis mins: 1 2 3\naxis maxs: 5 6 7\n"),
    "mins, maxs and centers": made("axismins: 1 2 3\naxismaxs: 5 6 7\ncenterings: node cell ???\n"),
    "kinds": made("kinds: space ??? none\n"),
    "kind of one value first": made("kinds: stub domain domain domain\n", sizes="1 2 2 2"),
    "kind of one value last": made("kinds: domain domain domain scalar\n", sizes="2 2 2 1"),
    "vector of one value": made("kinds: vector domain domain domain\n", sizes="1 2 2 2"),
    "list of two": made("kinds: domain domain domain list\n", sizes="2 2 1 2"),
    "list in a space": made(
        LPS + "space directions: (1,0,0) (0,2,0) (0,0,3) none\nkinds: space space space list\n", sizes="2 1 2 2"
    ),
    "list and stub in a space": made(
        "space: RAS\nspace directions: none (1,0,0) (0,2,0) (0,0,3) none\nspace origin: (5,6,7)\n"
        "kinds: list domain domain domain stub\n",
        sizes="2 2 2 1 1",
    ),
    "colours and list": made("kinds: RGB-color domain domain domain list\n", sizes="3 2 2 1 2", data=bytes(24)),
    "colours": made("kinds: RGB domain domain\n", sizes="3 2 2", data=bytes(12)),
    "matrix": made("kinds: 2D-sym-tensor domain domain domain\n", sizes="3 2 2 2", data=bytes(24)),
    "complex": made("kinds: complex domain domain\n", sizes="2 2 2", kind="float", endian="little", data=bytes(32)),
    "four axes": made("spacings: 1 2 3 4\n", sizes="2 2 1 2"),
    "time": made(
        "space: RAST\nspace directions: (1,0,0,0) (0,2,0,0) (0,0,3,0) (0,0,0,5)\nspace origin: (1,2,3,4)\n",
        sizes="2 2 1 2",
    ),
    "two axes": made("space dimension: 2\nspace directions: (0,2) (3,0)\nspace origin: (5,6)\n", sizes="4 2"),
    "five axes": made(sizes="2 2 1 1 2"),
    "sizes with tabs and a blank": made(sizes="2\t2\t2 "),
    "sizes with fractions": made(sizes="2.5 2 2"),
    "dimension and more": made().replace(b"dimension: 3", b"dimension: 3x"),
    "big-endian": made(kind="short", endian="Big", data=bytes(range(16))),
    "gzip": made(encoding="gz", data=gzip.compress(DATA)),
    "two members of gzip": made(encoding="gzip", data=gzip.compress(DATA[:3]) + gzip.compress(DATA[3:])),
    "text": made(encoding="text", data=b"1 2 3 4 5 6\n7 8"),
    "text with commas": made(encoding="ascii", data=b"1, 2, 3 ,4 , 5 ,,6 ,7 8.9\n"),
    "text of reals": made(encoding="txt", kind="float", data=b"1.5 -2 5e3 inf -inf .5 0x10 1e39\n"),
    "text has no order": made(encoding="text", kind="short", endian="big", data=b"1 -2 3 4 5 6 7 8\n"),
    "hex": made(encoding="hex", data=b"0001 0203\n0a0B0c0D"),
    "hex big-endian": made(encoding="hex", kind="short", endian="big", data=b"00010203040506070001020304050607"),
    "byte skip": made("byte skip: 3\n", data=b"XXX" + DATA),
    "byte skip from the end": made("byte skip: -1\n", data=b"XXX" + DATA),
    "byte skip before the end": made("byteskip: -3\n", data=b"XXX" + DATA + b"YY"),
    "line skip": made("line skip: 2\nbyte skip: 1\n", data=b"one\r\n\rX" + DATA),
    "byte skip in gzip": made("byte skip: 3\n", encoding="gzip", data=gzip.compress(b"XXX" + DATA)),
    "byte skip in gzip from the end": made("byte skip: -3\n", encoding="gzip", data=gzip.compress(b"X" + DATA + b"YY")),
    "line skip before gzip": made("line skip: 1\n", encoding="gzip", data=b"one\n" + gzip.compress(DATA)),
    "all other fields": made(
        'content: x\nnumber: 8\nmin: 1\nmax: 2\nold min: 1\nold max: nan\nthicknesses: 1 2 nan\nunits: "mm" "" "m"\n'
        'labels: "a\\"b" "" "c"\nsample units: x\nblock size: 0\n'
    ),
    "fields of a space": made(
        LPS + ALONG + 'space units: "mm" "mm" "mm"\nmeasurement frame: (1,0,0) (0,1,0) (0,0,1)\nunits: "" "" ""\n'
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
    if header.dtype:
        wanted = sitk.GetArrayFromImage(image)
        mine = numpy.frombuffer(voxels, header.dtype)
        # ITK moves a list before the other axes; we keep the order of the file
        assert sorted(wanted.ravel().tolist()) == sorted(mine.tolist())
        assert wanted.dtype == mine.astype(mine.dtype.newbyteorder("=")).dtype


def test_space_is_turned_to_lps(tmp_path):
    """Right-anterior-superior becomes left-posterior-superior, for directions and origin."""
    header = header_of(put(tmp_path, TAKEN["RAS"]))

    assert header.spacing == (2.0, 3.0, 4.0)
    assert header.origin == (-1.0, -2.0, 3.0)
    assert header.direction == (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)


def test_fourth_axis_is_channels(tmp_path):
    """A fourth axis counts as channels and leaves no trace in the grid, as nnU-Net takes it."""
    header = header_of(put(tmp_path, TAKEN["time"]))

    assert (header.shape, header.channels, header.spacing) == ((2, 2, 1), 2, (1.0, 2.0, 3.0))
    assert (len(header.origin), len(header.direction)) == (3, 9)


def test_skewed_is_no_fault(tmp_path):
    """ITK takes directions that are not at right angles, so nothing is said."""
    assert header_of(put(tmp_path, TAKEN["skewed"])).faults == ()


# --- refused -------------------------------------------------------------------------------------------------------

REFUSED = {
    "version": (made(magic="NRRD0006"), "reader-cannot-read", "NRRD version NRRD0006"),
    "type": (made(kind="float16"), "reader-cannot-read", "type: float16"),
    "block": (made("block size: 1\n", kind="block"), "reader-cannot-read", "type: block"),
    "bzip2": (made(encoding="bzip2", data=bz2.compress(DATA)), "reader-cannot-read", "encoding: bzip2"),
    "encoding": (made(encoding="lzma"), "reader-cannot-read", "encoding: lzma"),
    "space": (made("space: RIP\n"), "reader-cannot-read", "space: RIP"),
    "space of three, image of two": (
        made(LPS + "space directions: (1,0,0) (0,1,0)\n", sizes="4 2"),
        "reader-cannot-read",
        "2 axes in a space of 3",
    ),
    "space of three, image of four": (
        made(LPS + "space directions: (1,0,0) (0,1,0) (0,0,1) none\n", sizes="2 2 1 2"),
        "reader-cannot-read",
        "4 axes in a space of 3",
    ),
    "spacings in a space": (made(LPS + "spacings: 1 2 3\n"), "reader-cannot-read", "space and spacings are both given"),
    "spacings and directions": (
        made(LPS + ALONG + "spacings: 1 2 3\n"),
        "reader-cannot-read",
        "axis 0: space directions and spacings, mins, maxs or units",
    ),
    "units and directions": (
        made(LPS + ALONG + 'units: "" "mm" ""\n'),
        "reader-cannot-read",
        "axis 1: space directions and spacings, mins, maxs or units",
    ),
    "tensor": (
        made("kinds: 3D-symmetric-matrix domain domain domain\n", sizes="6 2 2 2", data=bytes(48)),
        "reader-cannot-read",
        "kinds: 3d-symmetric-matrix, type: uint8",
    ),
    "complex of whole numbers": (
        made("kinds: complex domain domain\n"),
        "reader-cannot-read",
        "kinds: complex, type: uint8",
    ),
    "colours of two": (made("kinds: RGB domain domain\n"), "reader-cannot-read", "kinds: rgb for an axis of 2"),
    "gradient": (
        made("kinds: 3-gradient domain domain\n", sizes="3 2 2", data=bytes(12)),
        "reader-cannot-read",
        "kinds: 3-gradient for an axis of 3",
    ),
    "text from its end": (
        made("byte skip: -1\n", encoding="text", data=b"1 2 3 4 5 6 7 8"),
        "reader-cannot-read",
        "byte skip: -1, encoding: text",
    ),
    "field twice": (made("spacings: 1 2 3\nspacings: 1 2 3\n"), "unreadable", "spacings: twice"),
    "unknown field": (made("spacing: 1 2 3\n"), "unreadable", "no field of NRRD: spacing: 1 2 3"),
    "no colon": (made("spacings 1 2 3\n"), "unreadable", "no field of NRRD: spacings 1 2 3"),
    "type missing": (made().replace(b"type: uint8\n", b""), "unreadable", "type missing in header"),
    "encoding missing": (made().replace(b"encoding: raw\n", b""), "unreadable", "encoding missing in header"),
    "endian missing": (made(kind="short", data=bytes(16)), "unreadable", "endian missing in header"),
    "endian": (made(endian="middle"), "unreadable", "endian: middle"),
    "dimension after sizes": (
        made().replace(b"dimension: 3\n", b"").replace(b"encoding", b"dimension: 3\nencoding"),
        "unreadable",
        "sizes before dimension",
    ),
    "dimension 0": (made().replace(b"dimension: 3", b"dimension: 0"), "unreadable", "dimension: 0"),
    "dimension 17": (made(sizes="1 " * 17), "unreadable", "dimension: 17"),
    "sizes of 0": (made(sizes="2 0 2"), "unreadable", "sizes: 2 0 2"),
    "negative sizes": (made(sizes="2 -2 2"), "unreadable", "sizes: 2 -2 2"),
    "fewer sizes": (made().replace(b"sizes: 2 2 2", b"sizes: 2 2"), "unreadable", "sizes: 2 2"),
    "more sizes": (made().replace(b"sizes: 2 2 2", b"sizes: 2 2 2 1"), "unreadable", "sizes: 2 2 2 1"),
    "absurd sizes": (made(sizes="1000000000 " * 3), "unreadable", "sizes: 1000000000 1000000000 1000000000 "),
    "fewer spacings": (made("spacings: 1 2\n"), "unreadable", "spacings: 1 2"),
    "spacings with commas": (made("spacings: 1,2,3\n"), "unreadable", "spacings: 1,2,3"),
    "space twice": (made(LPS + "space dimension: 3\n"), "unreadable", "space and space dimension are both given"),
    "space after directions": (made(ALONG + LPS), "unreadable", "space directions before space"),
    "space dimension 9": (made("space dimension: 9\n"), "unreadable", "space dimension: 9"),
    "vectors of two": (
        made(LPS + "space directions: (1,0) (0,1) (0,1)\n"),
        "unreadable",
        "space directions: (1,0) (0,1) (0,1)",
    ),
    "half a vector": (
        made(LPS + "space directions: (1,0,0) (nan,1,0) (0,0,1)\n"),
        "unreadable",
        "space directions: (1,0,0) (nan,1,0) (0,0,1)",
    ),
    "more vectors": (
        made(LPS + "space directions: (1,0,0) (0,1,0) (0,0,1) none\n"),
        "unreadable",
        "space directions: (1,0,0) (0,1,0) (0,0,1) none",
    ),
    "origin without end": (made(LPS + ALONG + "space origin: (inf,0,0)\n"), "unreadable", "space origin: (inf,0,0)"),
    "kind": (made("kinds: domain domain voxel\n"), "unreadable", "kinds: domain domain voxel"),
    "fewer kinds": (made("kinds: domain domain\n"), "unreadable", "kinds: domain domain"),
    "centers": (made("centers: cell cell corner\n"), "unreadable", "centers: cell cell corner"),
    "labels": (made("labels: a b c\n"), "unreadable", "labels: a b c"),
    "thicknesses": (made("thicknesses: 1 -2 3\n"), "unreadable", "thicknesses: 1 -2 3"),
    "mins without end": (made("axis mins: 1 inf 3\n"), "unreadable", "axis mins: 1 inf 3"),
    "block size": (made("block size: 4\n"), "unreadable", "block size: 4"),
    "frame": (
        made(LPS + ALONG + "measurement frame: (1,0,0) none (0,0,1)\n"),
        "unreadable",
        "measurement frame: (1,0,0) none (0,0,1)",
    ),
    "no lines to skip": (made("line skip: 9\n", data=b"one\n"), "unreadable", "line skip: 9; 1 lines"),
    "no empty line": (made(end="", data=b""), "unreadable", "header ends after 61 bytes"),
    "nothing but the magic": (b"NRRD0004", "unreadable", "header ends after 8 bytes"),
    "no NRRD": (b"hello world", "unreadable", "no NRRD header: first bytes 68 65 6c 6c 6f 20 77 6f"),
}


@pytest.mark.parametrize(("content", "id", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(tmp_path, content, id, message):
    """What ITK refuses is named, with the field and its value."""
    assert (id, message) == fault_of(header_of, put(tmp_path, content))


@pytest.mark.parametrize("content", [row[0] for row in REFUSED.values()], ids=REFUSED)
def test_refused_by_itk(sitk, tmp_path, content):
    """ITK does refuse all of that."""
    path = put(tmp_path, content)

    with pytest.raises(RuntimeError):
        sitk.ReadImage(path)


FAULTS = {
    "spacing 0": ("spacings: 1 0 3\n", ("bad-spacing", "1 x 0 x 3")),
    "spacing without end": ("spacings: 1 inf 3\n", ("bad-spacing", "1 x inf x 3")),
    "direction of length 0": (
        LPS + "space directions: (1,0,0) (0,0,0) (0,0,2)\n",
        ("bad-spacing", "1 x 0 x 2"),
    ),
    "tiny spacing": ("spacings: 1e-200 1e-200 1e-200\n", ("bad-spacing", "1e-200 x 1e-200 x 1e-200")),
    "two axes along each other": (
        LPS + "space directions: (1,0,0) (2,0,0) (0,0,2)\n",
        ("direction-not-orthonormal", "determinant 0"),
    ),
    "two axes nearly along each other": (
        LPS + "space directions: (1,1,0) (1,1,0.1) (0,0,1)\n",
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


@pytest.mark.parametrize(
    ("extra", "fault"),
    [
        ("spacings: 1 nan 3\n", ("bad-spacing", "1 x nan x 3")),
        ("spacings: 1 1e-7 3\n", ("bad-spacing", "1 x 1e-07 x 3")),
        (LPS + "space directions: (1e200,0,0) (0,1,0) (0,0,1)\n", ("bad-spacing", "inf x 1 x 1")),
    ],
)
def test_grid_that_itk_should_refuse(sitk, tmp_path, extra, fault):
    """A spacing that ITK replaces or passes on although it is nonsense is a fault."""
    path = put(tmp_path, made(extra))
    header = header_of(path)

    assert (fault,) == header.faults
    assert grid_of_itk(sitk.ReadImage(path)) == grid_of(header)


# --- whole or not --------------------------------------------------------------------------------------------------

PACKED = gzip.compress(DATA * 100, mtime=0)
BROKEN = {
    "raw cut": (made(data=DATA[:5]), "data ends after 5 of 8 bytes"),
    "raw and more": (made(data=DATA + b"ab"), "2 bytes after the 8 that the header announces"),
    "nothing behind the header": (made(data=b""), "data ends after 0 of 8 bytes"),
    "skipped over the end": (made("byte skip: 99\n"), "data ends after 0 of 8 bytes"),
    "raw cut, from the end": (made("byte skip: -1\n", sizes="9 99 99"), "data ends after 8 of 88209 bytes"),
    "gzip that cannot hold it": (
        made(encoding="gzip", sizes="512 512 99", data=PACKED),
        f"{len(PACKED)} compressed bytes cannot hold 25952256",
    ),
    "gzip of a few bytes": (made(encoding="gzip", data=PACKED[:9]), "gzip stream ends after 9 bytes"),
    "text cut": (made(encoding="text", data=b"1 2 3"), "5 bytes of text; 15 or more for 8 values"),
    "hex cut": (made(encoding="hex", data=b"0001020"), "7 bytes of hex; 16 or more for 8 values"),
}


@pytest.mark.parametrize(("content", "message"), BROKEN.values(), ids=BROKEN)
def test_cut(tmp_path, content, message):
    """A file that is too short or too long is found out without decoding it, with the numbers."""
    assert ("unreadable", message) == fault_of(seen, put(tmp_path, content))


DECODED = {
    "gzip with less": (made(encoding="gzip", data=gzip.compress(DATA[:7])), "data ends after 7 of 8 bytes"),
    "gzip with more": (
        made(encoding="gzip", data=gzip.compress(DATA + b"a")),
        "more than the 8 bytes that the header announces",
    ),
    "gzip skipped over the end": (
        made("byte skip: 5\n", encoding="gzip", data=gzip.compress(DATA)),
        "data ends after 3 of 8 bytes",
    ),
    "text of words": (made(encoding="text", data=b"1 2 3 four 5 6 7 8"), "no number: four"),
    "text with less": (made(encoding="text", data=b"11 22 33 44 55 66 77"), "text ends after 7 of 8 values"),
    "text with more": (made(encoding="text", data=b"1 2 3 4 5 6 7 8 9"), "more than 8 values"),
    "text over the range": (made(encoding="text", data=b"1 2 3 4 5 6 7 256"), "256 ... 256, over the range of u1"),
    "text of one word": (made(encoding="text", data=b"1" * 5000), "text ends after 0 of 8 values"),
    "hex of other letters": (made(encoding="hex", data=b"000102030405060g"), "no hexadecimal digits before byte 78"),
    "hex with more": (
        made(encoding="hex", data=b"000102030405060708"),
        "more than the 8 bytes that the header announces",
    ),
}


@pytest.mark.parametrize(("content", "message"), DECODED.values(), ids=DECODED)
def test_found_by_decoding(tmp_path, content, message):
    """What the end does not tell is told by the voxels."""
    path = put(tmp_path, content)
    source = Source(path)
    end = nrrd.check_end(source, nrrd.read_header(source, "SimpleITKIO"))
    source.close()

    assert not end
    assert ("unreadable", message) == fault_of(decoded, path)


@pytest.mark.parametrize("at", [-8, -20])
def test_rotten_gzip(tmp_path, at):
    """A changed byte in the stream or its checksum is found."""
    rotten = bytearray(gzip.compress(os.urandom(800), mtime=0))
    rotten[at] ^= 1
    id, message = fault_of(decoded, put(tmp_path, made(encoding="gzip", sizes="8 10 10", data=bytes(rotten))))

    assert id == "unreadable"
    assert message.startswith("gzip stream: ")


def test_bomb(tmp_path):
    """A stream with far more voxels than announced is given up after the first piece."""
    bomb = gzip.compress(bytes(64 * 1024**2))
    fault = fault_of(decoded, put(tmp_path, made(encoding="gzip", data=bomb)))

    assert fault == ("unreadable", "more than the 8 bytes that the header announces")


@pytest.mark.parametrize("encoding", ["raw", "gzip", "hex", "text"])
def test_pieces(tmp_path, encoding):
    """Voxels come in pieces of about a megabyte, each of whole values."""
    count = 3 * 10**5 + 7
    data = os.urandom(8 * count)
    if encoding == "gzip":
        packed = gzip.compress(data[:100001]) + gzip.compress(data[100001:])
    elif encoding == "hex":
        packed = data.hex(" ").encode()
    elif encoding == "text":
        data = b"".join(number.to_bytes(8, "little") for number in range(count))
        packed = " ".join(map(str, range(count))).encode()
    else:
        packed = data
    source = Source(
        put(tmp_path, made(sizes=f"1 1 {count}", kind="int64", endian="little", encoding=encoding, data=packed))
    )
    pieces = list(nrrd.voxels(source, nrrd.read_header(source, "SimpleITKIO")))
    source.close()

    assert data == b"".join(pieces)
    assert {0} == {len(piece) % 8 for piece in pieces}
    assert 0 < min(map(len, pieces)) <= max(map(len, pieces)) <= 1024**2 + 8


# --- files beside the header ---------------------------------------------------------------------------------------


def fill(folder):
    """Write voxels into a folder, whole and in slices, and return it."""
    (folder / "sub").mkdir()
    for name, content in {
        "all.raw": DATA,
        "sub/all.raw": DATA,
        "all.raw.gz": gzip.compress(DATA),
        "later.raw": b"XXX" + DATA + b"YY",
        "all.txt": b"0 1 2 3 4 5 6 7",
        "s1.raw": DATA[:4],
        "s2.raw": DATA[4:],
        "s001.raw": DATA[:4],
        "s002.raw": DATA[4:],
        "s1.gz": gzip.compress(DATA[:4]),
        "s2.gz": gzip.compress(DATA[4:]),
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


APART = {
    "one": made("data file: all.raw\n", data=b""),
    "no empty line": made("datafile: ./all.raw\n", data=b"", end=""),
    "in a folder": made("data file: sub/all.raw\n", data=b""),
    "name of other letters": made("data file: sch\xc3\xa4del.raw\n", data=b""),
    "gzip": made("data file: all.raw.gz\n", encoding="gzip", data=b""),
    "text": made("data file: all.txt\n", encoding="text", data=b""),
    "skipped": made("byte skip: 3\ndata file: later.raw\n", data=b""),
    "skipped from the end": made("byte skip: -3\ndata file: later.raw\n", data=b""),
    "listed": made("data file: LIST\ns1.raw\ns2.raw\n", data=b"", end=""),
    "listed with dimension": made("data file: LIST 2\ns1.raw\ns2.raw\n", data=b"", end=""),
    "listed as slabs": made("data file: LIST 3\ns1.raw\ns2.raw\n", data=b"", end=""),
    "numbered": made("data file: s%d.raw 1 2 1\n", data=b""),
    "numbered with zeros": made("data file: s%03d.raw 1 2 1 2\n", data=b""),
    "numbered backwards": made("data file: s%d.raw 2 1 -1\n", data=b""),
    "numbered gzip": made("data file: s%d.gz 1 2 1\n", encoding="gzip", data=b""),
}


@pytest.mark.parametrize("content", APART.values(), ids=APART)
def test_apart(sitk, beside, content):
    """Voxels in other files are read as SimpleITK reads them."""
    path = put(beside, content)
    header, end, voxels = seen(path)

    assert bytes(sitk.GetArrayFromImage(sitk.ReadImage(path)).ravel()) == voxels
    assert (header.encoding != "text") == end
    assert header.data_file


def test_name_of_the_first_file(beside):
    """The header says where the voxels are."""
    assert header_of(put(beside, APART["numbered with zeros"])).data_file == "s001.raw"
    assert header_of(put(beside, APART["name of other letters"])).data_file == "sch\u00e4del.raw"
    assert header_of(put(beside, APART["skipped"])).offset == 3


APART_BROKEN = {
    "missing": ("data file: none.raw\n", "unreadable", "none.raw: read error: No such file or directory"),
    "cut": ("data file: s1.raw\n", "unreadable", "s1.raw: data ends after 4 of 8 bytes"),
    "more": ("data file: later.raw\n", "unreadable", "later.raw: 5 bytes after the 8 that the header announces"),
    "fewer listed": ("data file: LIST\ns1.raw\n", "unreadable", "data file: 1 names, sizes: 2 2 2"),
    "listed without line end": ("data file: LIST\ns1.raw\ns2.raw", "unreadable", "data file: 1 names, sizes: 2 2 2"),
    "list with dimension 9": ("data file: LIST 9\ns1.raw\ns2.raw\n", "unreadable", "data file: LIST 9"),
    "fewer numbered": ("data file: s%d.raw 1 1 1\n", "unreadable", "data file: 1 names, sizes: 2 2 2"),
    "step 0": ("data file: s%d.raw 1 2 0\n", "unreadable", "data file: s%d.raw 1 2 0"),
    "folder": ("data file: sub\n", "not-a-file", "sub: folder"),
}


@pytest.mark.parametrize(("extra", "id", "message"), APART_BROKEN.values(), ids=APART_BROKEN)
def test_apart_and_broken(beside, extra, id, message):
    """A file that is missing, or does not fit, is named."""
    path = put(beside, made(extra, data=b"", end=""))

    assert (id, message) == fault_of(seen, path)


@pytest.mark.parametrize("which", [which for which in APART_BROKEN if which != "more"])
def test_apart_and_refused(sitk, beside, which):
    """ITK refuses them too."""
    path = put(beside, made(APART_BROKEN[which][0], data=b"", end=""))

    with pytest.raises(RuntimeError):
        sitk.ReadImage(path)


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "../x.nrrd", "sub/../../x", "sub\\..\\x", "\\\\host\\x", "C:x", "-", "~/x", "s%d%s.raw 1 2 1"],
)
def test_names_that_lead_elsewhere(beside, name):
    """A header does not make us read anything outside of its folder."""
    id, message = fault_of(seen, put(beside, made(f"data file: {name}\n", data=b"")))

    assert id == "reader-cannot-read"
    assert name in message


def test_no_name(beside):
    """A header that names no file is not mistaken for one with voxels of its own."""
    fault = fault_of(seen, put(beside, made("data file: \n", data=b"")))

    assert fault == ("reader-cannot-read", "voxels in a file without name")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFO on this system")
def test_fifo(tmp_path):
    """A FIFO beside the header is refused, and nobody waits for it."""
    os.mkfifo(tmp_path / "pipe")

    assert fault_of(seen, put(tmp_path, made("data file: pipe\n", data=b""))) == ("not-a-file", "pipe: FIFO")


# --- hostile -------------------------------------------------------------------------------------------------------


def test_header_without_end(tmp_path):
    """A header of megabytes is given up."""
    path = put(tmp_path, made("# " + "x" * 3 * 1024**2))

    assert fault_of(header_of, path) == ("unreadable", "no end of the header in 1048576 bytes")


def test_header_of_many_lines(tmp_path):
    """So is one of many lines."""
    path = put(tmp_path, made("#\n" * 20_000))

    assert fault_of(header_of, path) == ("unreadable", "20005 lines of header")


def test_long_header(sitk, tmp_path):
    """A header of some hundred kilobytes, as some programs write it, is read."""
    path = put(tmp_path, made("".join(f"key{number}:={'x' * 200}\r\n" for number in range(2000))))

    assert grid_of_itk(sitk.ReadImage(path)) == grid_of(header_of(path))
    assert decoded(path) == DATA


@pytest.mark.parametrize("length", range(4080, 4100))
def test_header_that_ends_where_reading_stops(tmp_path, length):
    """Where the first piece of the file ends makes no difference, not even within a line end."""
    plain = made().replace(DATA, b"").replace(b"\n", b"\r\n")
    content = plain[:-2] + b"#" + b"x" * (length - len(plain) - 3) + b"\r\n\r\n" + DATA

    assert length == content.index(DATA)
    assert decoded(put(tmp_path, content)) == DATA


SEEDS = [
    *TAKEN.values(),
    *APART.values(),
    *(row[0] for row in (*REFUSED.values(), *BROKEN.values(), *DECODED.values())),
    made(data=zlib.compress(DATA), encoding="gzip"),
]


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


EDITS = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 5),
        st.one_of(st.binary(max_size=6), st.text("0123456789.-+e \n\r,()%#:=\0", max_size=6).map(str.encode)),
    ),
    max_size=6,
)


def check_told(error):
    """A fault can be written as text."""
    for id, message in error.faults:
        assert id
        assert message.encode()


def survives(path):
    """Whatever is in a file: a header and voxels as announced, or a fault that can be told to a user."""
    source = Source(path)
    try:
        header = nrrd.read_header(source, "SimpleITKIO")
        assert isinstance(header, Header)
        assert msgspec.json.encode(header)
        try:
            assert nrrd.check_end(source, header) in (True, False)
        except DamageError as error:
            check_told(error)
        assert header.data_bytes == sum(map(len, nrrd.voxels(source, header)))
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
@given(content=st.binary(max_size=400), start=st.sampled_from([b"", b"NRRD", b"NRRD0004\n", made(end="", data=b"")]))
def test_random(beside_all, content, start):
    """So do bytes at random."""
    survives(put(beside_all, start + content))
