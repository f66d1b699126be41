"""NIfTI as the readers of nnU-Net understand it: compared with SimpleITK and nibabel, on what is legal and what is not."""

from __future__ import annotations

import gzip
import itertools
import random
import struct
import subprocess
import sys
import warnings

import msgspec
import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_up_nifti import CODES, nifti_header, rewrite, write_nifti
from shared import tries

from nnunet_doctor.probes.raw.examine import examine
from nnunet_doctor.probes.raw.formats import nifti
from nnunet_doctor.probes.raw.record import DamageError, FileReport, Header, Task
from nnunet_doctor.probes.raw.source import Source

with warnings.catch_warnings():  # its generated wrapper is behind the newest Pythons
    warnings.simplefilter("ignore")
    import SimpleITK as sitk  # noqa: N813 - everybody calls it so

sitk.ProcessObject.SetGlobalWarningDisplay(False)

ITK, NIBABEL = "SimpleITKIO", "NibabelIO"
READERS = (ITK, NIBABEL)


def header_of(path, reader):
    """Return the header of a file, or the faults that keep it from being read."""
    source = Source(str(path))
    try:
        return nifti.read_header(source, reader)
    except DamageError as error:
        return error.faults
    finally:
        source.close()


def examined(path, reader=ITK, role="image", decodes="all"):
    """Return everything that is known of a file."""
    return examine(Task(str(path), role, reader, decodes))


def faults_of(path, reader=ITK, role="image", decodes="all"):
    """Return the ids of the faults of a file."""
    return [id for id, _ in examined(path, reader, role, decodes).faults]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return one folder for all the files that are compared and forgotten."""
    return tmp_path_factory.mktemp("nifti")


# --- geometry ------------------------------------------------------------------------------------------------------


def rotation(randomly):
    """Return a rotation matrix and its quaternion (b, c, d), with a of at least 0."""
    a, b, c, d = (randomly.gauss(0, 1) for _ in range(4))
    if randomly.random() < 0.3:
        # about 180 degrees, where a is nearly 0, as between the axes of ITK and those of NIfTI
        a, b, c, d = randomly.choice([0, 1e-5, 1e-3]), 0, randomly.choice([0, 1e-4]), 1
    length = (a * a + b * b + c * c + d * d) ** 0.5 * (1 if a >= 0 else -1)
    a, b, c, d = a / length, b / length, c / length, d / length
    matrix = [
        [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
        [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
        [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
    ]
    return np.array(matrix), (b, c, d)


def random_fields(randomly):
    """Return fields of a header that is legal but for, now and then, a sheared or moved sform."""
    turn, quaternion = rotation(randomly)
    sizes = [randomly.uniform(0.3, 5) for _ in range(3)]
    handedness = randomly.choice([1, -1])
    affine = turn @ np.diag([1, 1, handedness]) @ np.diag(sizes)
    # ITK refuses directions that are more than about 1e-4 from orthonormal
    shear = randomly.choice([0, 0, 0, 1e-5, 5e-5, 8e-5, 1.3e-4, 2e-4, 1e-3, 0.2])
    one, other = randomly.sample(range(3), 2)
    skewed = np.eye(3)
    skewed[one, other] = shear
    affine = affine @ skewed * randomly.choice([1, 1, 1, 1.5])
    if randomly.random() < 0.15:
        affine = rotation(randomly)[0] @ affine
    offset = [randomly.uniform(-300, 300) for _ in range(3)]
    other_offset = offset if randomly.random() < 0.7 else [randomly.uniform(-300, 300) for _ in range(3)]
    return {
        "shape": randomly.choice([(4, 5, 6)] * 5 + [(4, 5, 1), (120, 1, 1), (4, 5), (4, 5, 6, 1)]),
        "pixdim": (handedness, *sizes),
        "codes": (randomly.randrange(5), randomly.randrange(5)),
        "quaternion": quaternion,
        "offset": offset,
        "sform": np.column_stack([affine, other_offset]),
        "units": randomly.choice([2, 2, 2, 10, 0, 1, 3, 9]),
    }


def test_geometry_as_itk_and_nibabel(folder):
    """Shape, spacing, origin and direction of 300 headers are those of SimpleITK and of nibabel, refusals too."""
    randomly = random.Random(42)  # noqa: S311 - no secret
    path = folder / "case.nii"
    refused = 0
    for _ in range(300):
        fields = random_fields(randomly)
        rewrite(path, nifti_header(**fields) + bytes(240))
        found = header_of(path, ITK)
        try:
            image = sitk.ReadImage(str(path))
        except RuntimeError:
            refused += 1
            assert "direction-not-orthonormal" in [id for id, _ in found.faults], fields
        else:
            factor = {1: 1000, 3: 0.001}.get(fields["units"] & 7, 1)
            assert found.shape == image.GetSize(), fields
            assert np.allclose(found.spacing, image.GetSpacing(), rtol=1e-7), fields
            assert np.allclose(found.origin, image.GetOrigin(), atol=2e-4 * factor), fields
            # with a sform that is nearly the qform, ITK may take either
            assert np.allclose(found.direction, image.GetDirection(), atol=2e-4), fields
        found, affine = header_of(path, NIBABEL), nibabel.load(path).affine
        if found.direction:
            sizes = np.linalg.norm(affine[:3, :3], axis=0)
            assert np.allclose(np.reshape(found.direction, (3, 3)) * sizes, affine[:3, :3], atol=2e-5), fields
        assert np.allclose(found.origin, affine[:3, 3], atol=1e-4), fields
        assert np.allclose(found.spacing, fields["pixdim"][1 : len(found.shape) + 1]), fields
    assert 10 < refused < 100


@pytest.mark.parametrize("shear", [0, 5e-5, 9e-5, 1.1e-4, 2e-4, 1e-2])
@pytest.mark.parametrize("codes", [(1, 1), (0, 1), (0, 2), (1, 0)])
def test_shear_at_the_threshold(folder, shear, codes):
    """A sheared sform is refused exactly where ITK refuses it, and where there is a qform ITK takes that."""
    path = folder / "case.nii"
    path.write_bytes(
        nifti_header(sform=[[-1, shear, 0], [0, -1, 0], [0, 0, 1]], pixdim=(1, 1, 1, 1), codes=codes) + bytes(240)
    )
    found = header_of(path, ITK)
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError:
        assert "direction-not-orthonormal" in [id for id, _ in found.faults]
    else:
        assert "direction-not-orthonormal" not in [id for id, _ in found.faults]
        assert np.allclose(found.direction, image.GetDirection(), atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((4, 5, 6), ((4, 5, 6), 1)),
        ((4, 5, 1), ((4, 5, 1), 1)),
        ((4, 5), ((4, 5), 1)),
        ((4, 5, 6, 1), ((4, 5, 6), 1)),
        ((4, 5, 6, 1, 1, 1, 1), ((4, 5, 6), 1)),
        ((4, 5, 3, 2), ((4, 5, 3), 2)),
        ((4, 5, 2, 1, 3), ((4, 5, 2), 3)),
    ],
)
def test_shapes(folder, shape, expected):
    """Axes of length 1 from the fourth on are no axes to ITK, and one too many to nibabel."""
    path = folder / "case.nii"
    path.write_bytes(nifti_header(shape) + bytes(240))
    found = examined(path)

    assert (found.header.shape, found.header.channels) == expected
    size = sitk.ReadImage(str(path)).GetSize()
    assert (size[:3], int(np.prod(size[3:]))) == expected
    assert ("not-3d" in faults_of(path)) == (expected[1] > 1)
    assert ("not-3d" in faults_of(path, NIBABEL)) == (len(shape) != 3)


@pytest.mark.parametrize(("code", "name"), [(128, "RGB24"), (2304, "RGBA32"), (32, "complex64"), (1792, "complex128")])
@pytest.mark.parametrize("reader", READERS)
def test_no_single_numbers(folder, code, name, reader):
    """Colours and complex numbers are named, and not decoded."""
    path = folder / "case.nii"
    path.write_bytes(nifti_header((2, 2, 2), code) + bytes(8 * {"RGB24": 3, "RGBA32": 4, "complex64": 8}.get(name, 16)))

    assert examined(path, reader).faults == [("not-scalar", name)]


@pytest.mark.parametrize("intent", [1005, 1006, 1007])
def test_vectors(folder, intent):
    """Five axes of which the last one is a vector are no image, for images and labels."""
    path = folder / "case.nii"
    path.write_bytes(nifti_header((4, 5, 2, 1, 3), intent=intent) + bytes(240))

    assert examined(path).faults == [("not-scalar", f"intent_code {intent}")]
    assert intent != 1007 or sitk.ReadImage(str(path)).GetNumberOfComponentsPerPixel() == 3


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("scaling", [(1, 0), (0.5, -1000), (0, 0), (0, 7), (-2, 3), (float("nan"), float("nan"))])
def test_values_as_delivered(folder, order, code, scaling):
    """Stored values with slope and intercept are what ITK and nibabel deliver, for every type and byte order."""
    voxels = np.arange(24).reshape(2, 3, 4).astype(code)
    path = write_nifti(folder / "case.nii", voxels, order=order, scaling=scaling)

    image = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    for reader, delivered in ((ITK, image), (NIBABEL, nibabel.load(path).get_fdata())):
        report = examined(path, reader, "label")
        assert report.header.dtype == ("|" if code[1] == "1" else order) + code
        values = [value * report.header.slope + report.header.intercept for value, _ in report.tally.values]
        assert np.allclose(sorted(values), np.unique(delivered))
        assert report.decoded == voxels.nbytes


@pytest.mark.parametrize("end", ["", ".gz"])
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "vox_offset", [0, 1, 348, 350, 352, 352.5, 353, 368, 1000, -1, 2.0**31, 1e30, float("nan"), float("inf")]
)
def test_vox_offset(folder, vox_offset, reader, end):
    """Voxels are read from where the reader reads them, or the offset is said to be senseless; nothing in between."""
    voxels = np.arange(1, 121, dtype="i2")
    start = int(vox_offset) if 348 <= vox_offset < 2000 else 352
    raw = nifti_header(vox_offset=vox_offset)[:348].ljust(start, b"\0") + voxels.tobytes()
    path = folder / f"offset.nii{end}"
    path.write_bytes(gzip.compress(raw, 1) if end else raw)
    report = examined(path, reader, "label")
    try:
        if reader == ITK:
            delivered = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
        else:
            delivered = np.asarray(nibabel.load(path).dataobj)
        is_right = np.array_equal(np.unique(delivered), voxels)
    except (RuntimeError, ValueError, OSError, OverflowError, EOFError, nibabel.spatialimages.HeaderDataError):
        is_right = False

    assert is_right == (report.faults == [("label-wide-dtype", "int16")][:0])
    if is_right:
        assert [value for value, _ in report.tally.values] == list(range(1, 121))
    else:
        assert [id for id, _ in report.faults] == ["unreadable"]


def test_extension(folder):
    """A header that is followed by extensions is none the worse for it."""
    image = nibabel.Nifti1Image(np.arange(24, dtype="i2").reshape(2, 3, 4), np.diag([-1, -1, 1, 1]))
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"made up " * 50))
    path = folder / "extended.nii.gz"
    nibabel.save(image, path)

    assert faults_of(path) == []
    assert header_of(path, ITK).offset > 700


# --- what programs write -------------------------------------------------------------------------------------------


def oblique(degrees):
    """Return the affines of a plane that is tilted like a knee or a brain is, in the axes of ITK and of NIfTI."""
    x, y = np.radians([degrees, degrees / 3])
    tilt = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    turn = np.array([[np.cos(y), -np.sin(y), 0], [np.sin(y), np.cos(y), 0], [0, 0, 1]])
    sagittal = np.array([[0, 0, 1], [1, 0, 0], [0, -1, 0]])
    return [tilt @ turn @ base for base in (np.eye(3), np.diag([-1, -1, 1]), sagittal, np.diag([-1, 1, 1]))]


OBLIQUE = [matrix for degrees in (0, 0.001, 0.02, 0.05, 0.3, 2, 20) for matrix in oblique(degrees)]


def enlarged(path, shape=(512, 512, 600)):
    """Give a header the size of a large CT: rounding shows most at the far corner."""
    raw = bytearray(path.read_bytes()[:352])
    struct.pack_into("<4h", raw, 40, 3, *shape)
    rewrite(path, raw)
    return path


def by_simpleitk(path, matrix, sizes, origin):
    """Write as SimpleITK, ITK-SNAP, ANTs and 3D Slicer do: through ITK."""
    image = sitk.Image(2, 2, 2, sitk.sitkInt16)
    image.SetSpacing(sizes)
    image.SetOrigin(origin)
    image.SetDirection(np.ravel(matrix).tolist())
    sitk.WriteImage(image, str(path))


def by_nibabel(path, matrix, sizes, origin):
    """Write as nibabel does by default."""
    affine = np.eye(4)
    affine[:3] = np.column_stack([matrix @ np.diag(sizes), origin])
    nibabel.save(nibabel.Nifti1Image(np.zeros((2, 2, 2), "i2"), affine), path)


def by_both_forms(path, matrix, sizes, origin, codes=(1, 1)):
    """Write as dcm2niix, FSL, FreeSurfer and MRtrix do: both forms, from float32 on."""
    affine = np.eye(4, dtype=np.float32)
    affine[:3] = np.column_stack([matrix @ np.diag(sizes), origin])
    image = nibabel.Nifti1Image(np.zeros((2, 2, 2), "i2"), affine)
    image.set_qform(affine, codes[0])
    image.set_sform(affine, codes[1])
    nibabel.save(image, path)


@pytest.mark.parametrize("write", [by_simpleitk, by_nibabel, by_both_forms])
def test_no_fault_in_what_programs_write(folder, write):
    """Headers of sound programs, tilted by any angle, at 0.4 mm and 512 x 512 x 600 voxels, are without fault."""
    path = folder / "written.nii"
    for number, matrix in enumerate(OBLIQUE):
        write(path, matrix, [(0.4, 0.4, 0.5), (0.9765625, 0.9765625, 5)][number % 2], (-123.456, 98.7, -1011.1))
        for reader in READERS:
            assert header_of(enlarged(path), reader).faults == (), (number, reader)


@pytest.mark.parametrize("codes", [(1, 2), (2, 2), (1, 4), (4, 4)])
def test_no_fault_with_other_codes(folder, codes):
    """Forms that say the same are without fault, whatever space their codes name."""
    for matrix in OBLIQUE:
        by_both_forms(folder / "written.nii", matrix, (0.4, 0.4, 0.5), (-123.456, 98.7, -1011.1), codes)
        assert header_of(enlarged(folder / "written.nii"), ITK).faults == ()


def test_no_fault_in_2d_by_simpleitk(folder):
    """A slice that SimpleITK writes is without fault to ITK, and has too few axes for nibabel."""
    image = sitk.Image(20, 30, sitk.sitkFloat32)
    image.SetSpacing((0.5, 0.7))
    sitk.WriteImage(image, str(folder / "slice.nii.gz"))

    assert faults_of(folder / "slice.nii.gz") == ["constant-image"]
    assert faults_of(folder / "slice.nii.gz", NIBABEL) == ["not-3d", "constant-image"]


# --- what is wrong -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "itk", "by_nibabel"),
    [
        ({"codes": (0, 0)}, ["no-orientation"], ["no-orientation"]),
        ({"units": 1, "pixdim": (1, 0.5, 0.5, 0.5)}, ["units"], ["units"]),
        ({"units": 3}, ["units"], ["units"]),
        ({"pixdim": (1, 1, 0, 3)}, ["bad-spacing"], ["bad-spacing"]),
        ({"pixdim": (1, 1, -2, 3)}, ["bad-spacing"], ["bad-spacing"]),
        ({"pixdim": (1, 1, float("nan"), 3), "sform": np.diag([-1, -2, 3])}, ["bad-spacing"], ["bad-spacing"]),
        ({"pixdim": (1, 1, float("inf"), 3), "sform": np.diag([-1, -2, 3])}, ["bad-spacing"], ["bad-spacing"]),
        ({"pixdim": (1, 1, 1e-5, 3)}, ["bad-spacing"], ["bad-spacing"]),
        ({"sform": np.diag([-2.0, -4, 6])}, ["spacing-ambiguous"], ["spacing-ambiguous"]),
        ({"sform": np.diag([-1.0, 2, 3])}, ["qform-sform"], ["qform-sform"]),
        ({"quaternion": (0, 0, 0.999)}, ["qform-sform"], ["qform-sform"]),
        ({"sform": [[-1, 0, 0, 10.3], [0, -2, 0, 20], [0, 0, 3, 30]]}, ["qform-sform"], ["qform-sform"]),
        ({"sform": [[-1, 0, 0, 10.04], [0, -2, 0, 20], [0, 0, 3, 30]]}, [], []),
        ({"sform": [[-1, 0.01, 0], [0, -2, 0], [0, 0, 3]], "codes": (0, 1)}, ["direction-not-orthonormal"], []),
        ({"sform": [[-1, 0, 0, float("nan")], [0, -2, 0, 20], [0, 0, 3, 30]]}, ["unreadable"], ["unreadable"]),
        (
            {"sform": [[-1, 0, 0, 0], [0, float("inf"), 0, 0], [0, 0, 3, 0]], "codes": (0, 1)},
            ["unreadable"],
            ["unreadable"],
        ),
        ({"quaternion": (0, float("nan"), 0)}, ["unreadable"], ["unreadable"]),
        ({"offset": (0, 0, float("-inf")), "codes": (1, 0)}, ["unreadable"], ["unreadable"]),
        ({"quaternion": (3, 4, 0), "codes": (1, 0)}, [], ["unreadable"]),
        ({"scaling": (float("inf"), 0)}, ["bad-scaling"], ["bad-scaling"]),
        ({"scaling": (1, float("inf"))}, ["bad-scaling"], ["bad-scaling"]),
        ({"dtype": 1}, ["reader-cannot-read"], ["reader-cannot-read"]),
        ({"dtype": 1536}, ["reader-cannot-read"], ["reader-cannot-read"]),
        ({"magic": b"ni1\0"}, ["reader-cannot-read"], ["reader-cannot-read"]),
        ({"dim": (3, 4, 0, 6, 1, 1, 1, 1)}, ["unreadable"], ["unreadable"]),
        ({"dim": (3, 4, -5, 6, 1, 1, 1, 1)}, ["unreadable"], ["unreadable"]),
        ({"dim": (0, 4, 5, 6, 1, 1, 1, 1)}, ["unreadable"], ["unreadable"]),
        ({"dim": (9, 4, 5, 6, 1, 1, 1, 1)}, ["unreadable"], ["unreadable"]),
        ({"dim": (7, *[32767] * 7)}, ["unreadable"], ["unreadable"]),
    ],
)
def test_one_cause_one_fault(folder, fields, itk, by_nibabel):
    """A header with one thing wrong has one fault, and none that follows from it."""
    path = folder / "case.nii"
    path.write_bytes(nifti_header(**fields) + np.arange(120, dtype="<i2").tobytes())

    assert (faults_of(path, ITK), faults_of(path, NIBABEL)) == (itk, by_nibabel)


def test_nifti_2(folder):
    """NIfTI-2 is what nibabel makes of it, and refused by ITK."""
    affine = np.diag([-0.5, -0.6, 0.7, 1])
    affine[:3, 3] = 10, 20, 30
    for order in "<>":
        image = nibabel.Nifti2Image(np.arange(24, dtype="i2").reshape(2, 3, 4), affine)
        path = folder / "second.nii"
        nibabel.Nifti2Image(image.dataobj, affine, image.header.as_byteswapped(order)).to_filename(path)
        found = examined(path, NIBABEL)

        assert found.faults == []
        assert (found.header.shape, found.header.dtype) == ((2, 3, 4), f"{order}i2")
        assert np.allclose(found.header.spacing, (0.5, 0.6, 0.7))
        assert np.allclose(found.header.origin, (10, 20, 30))
        assert (found.tally.lowest, found.tally.highest) == (0, 23)
        assert examined(path).faults == [("reader-cannot-read", "NIfTI-2")]
        with pytest.raises(RuntimeError):
            sitk.ReadImage(str(path))


@pytest.mark.parametrize("magic", [b"\0\0\0\0", b"abcd"])
def test_analyze(folder, magic):
    """Without the mark of NIfTI, ITK takes a file for Analyze, which knows no orientation, and nibabel takes it for none."""
    path = folder / "analyze.nii"
    path.write_bytes(nifti_header(magic=magic) + np.arange(120, dtype="<i2").tobytes())
    found, image = examined(path), sitk.ReadImage(str(path))

    assert [id for id, _ in found.faults] == ["no-orientation"]
    header = found.header
    assert (header.shape, header.spacing, header.origin) == (image.GetSize(), image.GetSpacing(), image.GetOrigin())
    assert header.direction == image.GetDirection()
    assert (found.tally.lowest, found.tally.highest) == (sitk.GetArrayViewFromImage(image).min(), 119)
    assert faults_of(path, NIBABEL) == ["reader-cannot-read"]
    with pytest.raises(nibabel.filebasedimages.ImageFileError):
        nibabel.load(path)


def test_other_kinds_of_file(folder):
    """A header that is cut, and compression that the name does not tell, are named as what they are."""
    raw = nifti_header() + np.arange(120, dtype="<i2").tobytes()
    for name, content, expected in (
        ("b.nii", raw[:347], "unreadable"),
        ("c.nii.gz", gzip.compress(raw[:347]), "unreadable"),
        ("d.nii", gzip.compress(raw), "wrong-format"),
        ("e.nii", b"\0" * 500, "unreadable"),
        ("f.nii.gz", b"", "unreadable"),
    ):
        (folder / name).write_bytes(content)
        assert faults_of(folder / name) == [expected], name


# --- the end -------------------------------------------------------------------------------------------------------

SMALL = nifti_header((5, 6, 7), "f4") + np.random.default_rng(0).normal(0, 100, 210).astype("<f4").tobytes()


@pytest.mark.parametrize("decodes", ["all", "none"])
@pytest.mark.parametrize("end", ["", ".gz"])
def test_every_truncation_is_found(folder, end, decodes):
    """A file that is cut at any place is damaged, with or without its voxels being decoded."""
    whole = gzip.compress(SMALL, mtime=0) if end else SMALL
    path = folder / f"cut.nii{end}"
    path.write_bytes(whole)
    assert faults_of(path, decodes=decodes) == []
    for length in {*range(0, len(whole), 7), 1, 2, 17, *range(len(whole) - 9, len(whole))}:
        rewrite(path, whole[:length])
        assert faults_of(path, decodes=decodes), length
        assert length < 7 or "unreadable" in faults_of(path, decodes=decodes), length


def test_every_flipped_bit_is_found(folder):
    """When all voxels are decoded, a bit that flips anywhere is found, or changes neither header nor voxels."""
    path = folder / "flipped.nii.gz"
    content = gzip.compress(SMALL, mtime=0)
    path.write_bytes(content)
    good = examined(path)
    places = [*range(12), *range(20, len(content), 31), *range(len(content) - 8, len(content))]
    for place, bit in itertools.product(places, range(8)):
        changed = bytearray(content)
        changed[place] ^= 1 << bit
        rewrite(path, changed)
        report = examined(path)
        report.status = good.status  # the time is another one
        assert report == good or report.faults, (place, bit)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw + b"x", "more than the 840 bytes of voxels"),
        (lambda raw: raw[:-1], "ends after 839 of 840 bytes of voxels"),
        (lambda raw: raw + raw, "more than the 840 bytes of voxels"),
        (lambda raw: raw[:400], "ends after 48 of 840 bytes of voxels"),
        (lambda raw: raw[:352], "ends after 0 of 840 bytes of voxels"),
    ],
)
@pytest.mark.parametrize("decodes", ["all", "none"])
def test_other_length_than_announced(folder, change, message, decodes):
    """Voxels that are more or fewer than the header announces are found by the length in the last four bytes."""
    path = folder / "length.nii.gz"
    path.write_bytes(gzip.compress(change(SMALL), mtime=0))
    ((id, told),) = examined(path, decodes=decodes).faults

    assert id == "unreadable"
    assert told.startswith(message)


@pytest.mark.parametrize("decodes", ["all", "none"])
@pytest.mark.parametrize("step", [1, 3, 100, 349, 357, 1000])
def test_several_members(folder, step, decodes):
    """What bgzip and concatenation make of a file, members of any length, is one stream and no fault."""
    members = [gzip.compress(SMALL[start : start + step], mtime=0) for start in range(0, len(SMALL), step)]
    path = folder / "members.nii.gz"
    path.write_bytes(b"".join(members) + (gzip.compress(b"", mtime=0) if step == 100 else b""))
    (folder / "one.nii.gz").write_bytes(gzip.compress(SMALL))
    report = examined(path, decodes=decodes)

    assert report.faults == []
    assert report.header == header_of(folder / "one.nii.gz", ITK)
    if decodes == "all":
        assert report.tally == examined(folder / "one.nii.gz").tally


def test_zeros_and_garbage_behind(folder):
    """Zeros after the last member are padding, as gzip has it; anything else is damage."""
    content = gzip.compress(SMALL, mtime=0)
    path = folder / "behind.nii.gz"
    for tail, expected in (
        (bytes(5), []),
        (bytes(5000), []),
        (b"x", ["unreadable"]),
        (bytes(9) + b"\x1f\x8b", ["unreadable"]),
    ):
        rewrite(path, content + tail)
        assert faults_of(path) == expected
        assert faults_of(path, decodes="none") == expected


def test_bombs(folder):
    """A megabyte that inflates to a gigabyte is refused, or decoded piece by piece, as its header says."""
    member = gzip.compress(bytes(2**24), 9, mtime=0)
    for shape, dtype, expected in (
        ((1024, 1024, 1024), "f8", "compressed bytes cannot hold"),
        ((10, 10, 10), "u1", "more than the 1000 bytes of voxels"),
        ((1024, 1024, 256), "u1", "more than the 268435456 bytes of voxels"),
    ):
        path = folder / "bomb.nii.gz"
        rewrite(path, gzip.compress(nifti_header(shape, dtype)) + 64 * member)
        ((id, message),) = examined(path, role="label").faults[-1:]
        assert id == "unreadable"
        assert expected in message


@pytest.mark.skipif(sys.platform == "win32", reason="Windows tells no peak of memory without another package")
def test_memory(folder):
    """However large a file is when it is decoded, 300 MB here, a process stays below 150 MB."""
    randomly = np.random.default_rng(0)
    noise = (randomly.integers(-50, 50, 5 * 2**20) * (randomly.random(5 * 2**20) < 0.05)).astype("<i2").tobytes()
    blob = (np.arange(10 * 2**20) // 2**20).astype("u1").tobytes()
    (folder / "image.nii.gz").write_bytes(gzip.compress(nifti_header((1024, 1024, 150))) + 30 * gzip.compress(noise, 1))
    (folder / "label.nii.gz").write_bytes(
        gzip.compress(nifti_header((1024, 1024, 300), "u1")) + 30 * gzip.compress(blob, 1)
    )
    with (folder / "raw.nii").open("wb") as file:
        file.write(nifti_header((1024, 1024, 75), "f4"))
        file.truncate(352 + 4 * 75 * 2**20)
    code = """if True:
        import os, resource, sys
        from nnunet_doctor.probes.raw.examine import examine
        from nnunet_doctor.probes.raw.record import Task
        for name, role in (("image.nii.gz", "image"), ("label.nii.gz", "label"), ("raw.nii", "image"), ("raw.nii", "label")):
            report = examine(Task(f"{sys.argv[1]}/{name}", role, "SimpleITKIO", "all"))
            assert report.decoded == 300 * 2**20, report
        if os.path.exists("/proc/self/status"):  # what getrusage tells on Linux is that of the parent, if it had more
            (peak,) = [int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")]
        else:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(peak // 1024)
    """
    ended = subprocess.run([sys.executable, "-c", code, str(folder)], check=True, capture_output=True, encoding="utf-8")

    assert int(ended.stdout) < 150


# --- anything ------------------------------------------------------------------------------------------------------


@given(data=st.data())
@settings(max_examples=tries(150), deadline=None)
def test_any_header(folder, data):
    """Whatever 348 bytes hold, the answer is a report, and one that a process can send to another."""
    raw = bytearray(nifti_header(order=data.draw(st.sampled_from("<>"))))
    for _ in range(data.draw(st.integers(1, 5))):
        place = data.draw(
            st.sampled_from(
                [0, 40, 42, 44, 46, 68, 70, 76, 80, 84, 88, 108, 112, 116, 123, 252, 254, *range(256, 328, 4), 344]
            )
        )
        value = data.draw(
            st.one_of(
                st.binary(min_size=4, max_size=4),
                st.sampled_from([float("nan"), float("inf"), -1.0, 0.0, 3e38, 1e-40]).map(
                    lambda x: struct.pack("<f", x)
                ),
                st.integers(-(2**15), 2**15 - 1).map(lambda x: struct.pack("<h", x)),
            )
        )
        raw[place : place + len(value)] = value
    path = folder / "any.nii"
    rewrite(path, bytes(raw) + bytes(240))
    for reader in READERS:
        report = examined(path, reader, data.draw(st.sampled_from(["image", "label"])))
        assert isinstance(report.header, Header) or report.faults
        assert msgspec.json.decode(msgspec.json.encode(report), type=FileReport) == report


@given(raw=st.binary(max_size=600))
@settings(max_examples=tries(100), deadline=None)
def test_any_bytes(folder, raw):
    """Any bytes under the name of a NIfTI file are a report with a fault."""
    for name, content in (("any.nii", raw), ("any.nii.gz", raw), ("inflated.nii.gz", gzip.compress(raw))):
        rewrite(folder / name, content)
        assert faults_of(folder / name), name
