"""Where voxels lie, compared with NumPy, nibabel and SimpleITK."""

from __future__ import annotations

import math
import warnings

import nibabel
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from shared import tries

from nnunet_doctor.probes.raw import geometry
from nnunet_doctor.probes.raw.record import Header

with warnings.catch_warnings():  # its generated wrapper is behind the newest Pythons
    warnings.simplefilter("ignore")
    import SimpleITK as sitk  # noqa: N813 - everybody calls it so

RANDOM = np.random.default_rng(0)
NUMBERS = st.floats(-1e6, 1e6)


def affines(count=50):
    """Return random affines: three rows of four."""
    return [RANDOM.normal(0, 3, (3, 4)) for _ in range(count)]


def rotations(count=50):
    """Return random rotations, mirrored every other time."""
    found = [np.linalg.qr(RANDOM.normal(0, 1, (3, 3)))[0] for _ in range(count)]
    return [matrix @ np.diag([1, 1, (-1) ** number]) for number, matrix in enumerate(found)]


def test_columns():
    """Lengths and directions of the columns are those of linear algebra."""
    for affine in affines():
        sizes = np.linalg.norm(affine[:, :3], axis=0)

        assert np.allclose(geometry.lengths(affine), sizes)
        assert np.allclose(geometry.direction_of(affine), np.ravel(affine[:, :3] / sizes))


@pytest.mark.parametrize("value", [0.0, math.nan, math.inf, 1e-200])
def test_columns_without_direction(value):
    """A column that has no length, or no number, has no direction."""
    affine = np.diag([1.0, value, 1.0, 1.0])[:3]

    found = geometry.direction_of(tuple(map(tuple, affine.tolist())))
    assert (found is None) == (value != 1e-200)


def test_skew():
    """Rotations and mirrors are not skew; others are, by the greatest entry of their product with themselves."""
    for matrix in rotations():
        assert geometry.skew(np.ravel(matrix)) < 1e-12
    for affine in affines():
        matrix = affine[:, :3]
        expected = np.abs(matrix @ matrix.T - np.eye(3)).max()
        assert math.isclose(geometry.skew(np.ravel(matrix)), expected, rel_tol=1e-9)


def test_apart():
    """The distance of two affines is at least that of any corner, and at most three times the greatest."""
    corners = np.array(np.meshgrid([0, 19], [0, 29], [0, 9], [1])).reshape(4, -1)
    for one, other in zip(affines(), affines(), strict=True):
        largest = np.linalg.norm((one - other) @ corners, axis=0).max()

        assert largest - 1e-9 <= geometry.apart(one, other, (20, 30, 10)) <= 3 * largest


def test_to_lps():
    """Turning axes is what SimpleITK does to what nibabel reads, and leaves no negative zero."""
    direction, origin = geometry.to_lps((1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0), (0.0, 5.0, -7.0))

    assert repr(direction) == "(-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)"
    assert repr(origin) == "(0.0, -5.0, -7.0)"


@given(st.lists(st.tuples(NUMBERS, NUMBERS, st.sampled_from([0, 1e-9, 1e-8, 2e-8, 1e-6])), max_size=9))
@example([(1.0, 1.0, 1e-5)])
@example([(1e6, 1e6 + 10.00005, 0)])
@settings(max_examples=tries(200), deadline=None)
def test_are_close(pairs):
    """Two lists are close when numpy.allclose says so."""
    for wanted, found in (
        ([one for one, _, _ in pairs], [other for _, other, _ in pairs]),
        ([one for one, _, _ in pairs], [one + apart for one, _, apart in pairs]),
        ([one for one, _, _ in pairs], [one * (1 + 1000 * apart) for one, _, apart in pairs]),
    ):
        assert geometry.are_close(found, wanted) == np.allclose(found, wanted)


def test_are_close_in_length():
    """Lists of other lengths are not close."""
    assert not geometry.are_close((1.0,), (1.0, 1.0))
    assert geometry.are_close((), ())


def test_orientation():
    """Axes are named as SimpleITK and nibabel name them."""
    for matrix in rotations():
        direction = np.ravel(matrix).tolist()
        letters = sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(direction)
        assert geometry.orientation_of(direction) == letters
    for matrix in rotations():
        affine = np.eye(4)
        # of what points between two axes, each names the one or the other
        affine[:3, :3] = np.sign(matrix) * (np.abs(matrix) == np.abs(matrix).max(axis=0)) + 0.1 * matrix
        if abs(np.linalg.det(np.rint(affine[:3, :3]))) == 1:
            letters = "".join(nibabel.aff2axcodes(affine))
            assert geometry.orientation_of(np.ravel(affine[:3, :3]).tolist(), is_ras=True) == letters


@pytest.mark.parametrize("direction", [(), (1.0, 0.0, 0.0, 1.0)])
def test_no_orientation(direction):
    """Where there are no three axes there is no name."""
    assert geometry.orientation_of(direction) == ""


def test_distance():
    """Points are as far apart as Pythagoras says; those of other dimensions infinitely."""
    assert geometry.distance((0.0, 3.0, 0.0), (4.0, 0.0, 0.0)) == 5
    assert geometry.distance((0.0, 3.0), (4.0, 0.0, 0.0)) == math.inf


def test_turned_as_the_readers_that_reorient(tmp_path):
    """Shape, spacing and place of a stored image are afterwards those that nibabel delivers along R, A and S."""
    path = tmp_path / "a.nii"
    for turn in rotations(30):
        affine = np.eye(4)
        affine[:3, :3] = turn @ np.diag([0.5, 1.25, 3.0])
        affine[:3, 3] = RANDOM.normal(0, 50, 3)
        image = nibabel.Nifti1Image(np.zeros((4, 5, 6), np.uint8), affine)
        stored = Header(
            "nifti", (4, 5, 6), 1, "|u1", (0.5, 1.25, 3.0), tuple(affine[:3, 3].tolist()), tuple(turn.ravel().tolist())
        )
        found = geometry.turned(stored, is_ras=True)
        wanted = image.as_reoriented(nibabel.io_orientation(affine))

        assert found.shape == wanted.shape
        assert np.allclose(found.spacing, nibabel.affines.voxel_sizes(wanted.affine))
        assert np.allclose(found.origin, wanted.affine[:3, 3], atol=1e-4)
        assert np.allclose(np.reshape(found.direction, (3, 3)) * found.spacing, wanted.affine[:3, :3], atol=1e-4)

        nibabel.save(image, path)
        itk = sitk.ReadImage(str(path))
        read = Header("nifti", itk.GetSize(), 1, "|u1", itk.GetSpacing(), itk.GetOrigin(), itk.GetDirection())
        turned = sitk.DICOMOrient(itk, "RAS")
        found = geometry.turned(read)

        assert found.shape == turned.GetSize()
        assert np.allclose(found.origin, turned.GetOrigin(), atol=1e-3)
        assert np.allclose(found.direction, turned.GetDirection(), atol=1e-4)
