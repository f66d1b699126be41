"""GIPL: the same grid and the same voxels as SimpleITK, and nothing worse than a fault for whatever is in a file."""

from __future__ import annotations

import math
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnunet_doctor.probes.raw.formats import gipl
from nnunet_doctor.probes.raw.record import DamageError, Header
from nnunet_doctor.probes.raw.source import Source

pytestmark = pytest.mark.slow

DATA = bytes(range(8))


def made(dims=(2, 2, 2, 1), *, kind=8, spacing=(1, 1, 1, 1), origin=(0, 0, 0, 0), magic=0xEFFFE9B0, data=DATA):
    """Return a file with this header."""
    return struct.pack(">4HH4f178x4d16xI", *dims, kind, *spacing, *origin, magic) + data


def put(folder, content):
    """Write a file, and return its path."""
    path = Path(folder) / "x.gipl"
    path.write_bytes(content)
    return str(path)


def header_of(path):
    """Return the header of a file."""
    source = Source(path)
    try:
        return gipl.read_header(source, "SimpleITKIO")
    finally:
        source.close()


def seen(path):
    """Return the header of a file, what its end says, and its voxels."""
    source = Source(path)
    try:
        header = gipl.read_header(source, "SimpleITKIO")
        end = gipl.check_end(source, header)
        return header, end, b"".join(gipl.voxels(source, header))
    finally:
        source.close()


def fault_of(see, path):
    """Return the fault that a file is given up with."""
    with pytest.raises(DamageError) as caught:
        see(path)
    (fault,) = caught.value.faults
    return fault


def grid_of(header):
    """Return what SimpleITK tells as well, in words: NaN is not equal to itself."""
    return str((header.shape, header.channels, header.spacing, header.origin, header.direction))


@pytest.fixture(scope="module")
def sitk():
    """SimpleITK, where it is installed."""
    return pytest.importorskip("SimpleITK")


def grid_of_itk(image):
    """Return the same of an image of SimpleITK, with the fourth axis as channels."""
    size, count = image.GetSize(), image.GetDimension()
    kept = range(3) if count == 4 else range(count)
    direction = image.GetDirection()
    return str(
        (
            tuple(size[axis] for axis in kept),
            size[3] if count == 4 else 1,
            tuple(image.GetSpacing()[axis] for axis in kept),
            tuple(image.GetOrigin()[axis] for axis in kept),
            tuple(direction[row * count + axis] + 0.0 for row in kept for axis in kept),
        )
    )


@pytest.mark.parametrize("size", [(5, 4), (5, 4, 3), (5, 4, 3, 2)], ids=str)
@pytest.mark.parametrize("kind", ["Int8", "UInt8", "Int16", "UInt16", "Float32", "Float64"])
def test_as_written(sitk, tmp_path, kind, size):
    """Every type and dimension that SimpleITK writes comes back: grid, type and voxels."""
    numpy = pytest.importorskip("numpy")
    values = numpy.arange(math.prod(size)).reshape(size[::-1])
    dtype = sitk.GetArrayViewFromImage(sitk.Image(size, getattr(sitk, f"sitk{kind}"))).dtype
    image = sitk.GetImageFromArray(values.astype(dtype), isVector=False)
    image.SetSpacing([0.7 + axis for axis in range(len(size))])
    image.SetOrigin([-3.25 * axis + 1 / 3 for axis in range(len(size))])
    path = str(tmp_path / "x.gipl")
    sitk.WriteImage(image, path)
    header, end, voxels = seen(path)

    assert grid_of_itk(sitk.ReadImage(path)) == grid_of(header)
    assert (end, header.faults) == (True, ())
    assert values.ravel().tolist() == numpy.frombuffer(voxels, header.dtype).tolist()


TAKEN = {
    "older magic": made(magic=0x2AE389B8),
    "bits": made(kind=1),
    "two axes": made((2, 4, 0, 0)),
    "two axes and one slice": made((2, 4, 1, 1)),
    "no third axis": made((2, 4, 0, 1)),
    "four axes": made((2, 2, 1, 2), spacing=(1, 2, 3, 0.5), origin=(1, 2, 3, 4)),
    "negative spacing": made(spacing=(1, -2, 3, 1)),
    "spacing of an axis that is none": made(spacing=(1, 1, 1, 0)),
    "origin of NaN": made(origin=(math.nan, math.inf, 2, 3)),
}


@pytest.mark.parametrize("content", TAKEN.values(), ids=TAKEN)
def test_as_itk_reads_it(sitk, tmp_path, content):
    """Grid and voxels of a header by hand are those of SimpleITK."""
    path = put(tmp_path, content)
    image = sitk.ReadImage(path)
    header, _, voxels = seen(path)

    assert grid_of_itk(image) == grid_of(header)
    assert sitk.GetArrayFromImage(image).tobytes() == voxels
    assert header.faults == ()


def test_negative_spacing_turns_the_axis(tmp_path):
    """A negative spacing turns the axis round, as ITK has it."""
    header = header_of(put(tmp_path, TAKEN["negative spacing"]))

    assert header.spacing == (1.0, 2.0, 3.0)
    assert header.direction == (1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0)


@pytest.mark.parametrize(
    ("spacing", "message"),
    [
        ((1, 0, 1, 1), "1 x 0 x 1"),
        ((1, math.nan, 1, 1), "1 x nan x 1"),
        ((math.inf, 1, 1, 1), "inf x 1 x 1"),
        ((1, 1, 2000, 1), "1 x 1 x 2000"),
    ],
)
def test_bad_spacing(tmp_path, spacing, message):
    """A spacing that ITK refuses or passes on although it is nonsense is a fault."""
    assert header_of(put(tmp_path, made(spacing=spacing))).faults == (("bad-spacing", message),)


REFUSED = {
    "short header": (made()[:255], "unreadable", "255 bytes; a GIPL header has 256"),
    "magic": (made(magic=0x12345), "unreadable", "no GIPL header: magic number 0x00012345"),
    "int": (made(kind=32), "reader-cannot-read", "image type 32 (int32)"),
    "unsigned int": (made(kind=31), "reader-cannot-read", "image type 31 (uint32)"),
    "complex": (made(kind=192), "reader-cannot-read", "image type 192"),
    "no axes": (made((0, 0, 0, 0)), "unreadable", "dimensions 0 0 0 0"),
}


@pytest.mark.parametrize(("content", "id", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(sitk, tmp_path, content, id, message):
    """What ITK refuses is named."""
    path = put(tmp_path, content)

    assert (id, message) == fault_of(header_of, path)
    with pytest.raises(RuntimeError):
        sitk.ReadImage(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (made(data=DATA[:5]), "data ends after 5 of 8 bytes"),
        (made(data=b""), "data ends after 0 of 8 bytes"),
        (made(data=DATA + b"abc"), "3 bytes after the 8 that the header announces"),
        (made((0, 2, 2, 1)), "dimensions 0 2 2 1"),
    ],
)
def test_damaged(tmp_path, content, message):
    """Damage that ITK passes over, delivering what was in memory, is found."""
    assert fault_of(seen, put(tmp_path, content)) == ("unreadable", message)


def test_cut_while_decoding(tmp_path):
    """Voxels alone tell as well that they are cut."""
    source = Source(put(tmp_path, made(data=DATA[:5])))
    pieces = gipl.voxels(source, gipl.read_header(source, "SimpleITKIO"))

    assert next(pieces) == DATA[:5]
    with pytest.raises(DamageError, match="data ends after 5 of 8 bytes"):
        next(pieces)
    source.close()


@settings(max_examples=300, deadline=None)
@given(
    seed=st.sampled_from([made(), *TAKEN.values(), *(row[0] for row in REFUSED.values())]),
    edits=st.lists(st.tuples(st.integers(0, 270), st.binary(max_size=6)), max_size=5),
    length=st.one_of(st.none(), st.integers(0, 300)),
)
def test_mutated(tmp_path_factory, seed, edits, length):
    """Changed files give a header and voxels as announced, or a fault."""
    content = bytearray(seed)
    for at, piece in edits:
        content[at : at + len(piece)] = piece
    source = Source(put(tmp_path_factory.getbasetemp(), bytes(content[:length])))
    try:
        header = gipl.read_header(source, "SimpleITKIO")
        assert isinstance(header, Header)
        assert gipl.check_end(source, header)
        assert header.data_bytes == sum(map(len, gipl.voxels(source, header)))
    except DamageError as error:
        assert all(message.encode() for _, message in error.faults)  # noqa: PT017 - any fault will do
    finally:
        source.close()
