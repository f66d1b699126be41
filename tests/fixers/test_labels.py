"""Labels rewritten: the voxels and everything else stay, only the type, the grid or the agreed values change."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from planted import build, edit_json, edit_voxels, gz, moved, nifti, patched, rotated, swapped

from nnunet_doctor.fixers.labels import Edit, Rewritten
from nnunet_doctor.fixers.plan import make
from nnunet_doctor.fixers.record import Plan
from nnunet_doctor.probes.raw.record import DamageError
from nnunet_doctor.probes.raw.survey import Means, survey_dataset

LABEL = "labelsTr/case_003.nii.gz"
IMAGE = "imagesTr/case_003_0000.nii.gz"


def planned(folder: Path, **options: bool) -> Plan:
    """Plan at the depth of the command."""
    return make(folder, survey_dataset(str(folder), "default", Means(caches=False)), **options)


def made(plan: Plan, path: str, root: Path) -> Path:
    """Write the new content of a file beside the dataset."""
    target = root / f"made-{Path(path).name}"
    plan.contents[path].write(target)
    return target


def inflated(path: Path) -> bytes:
    """Return a NIfTI file without its compression."""
    raw = path.read_bytes()
    return gzip.decompress(raw) if raw.startswith(b"\x1f\x8b") else raw


def whats(plan: Plan) -> dict[tuple[str, str], str]:
    """Return what is changed by check and file."""
    return {(change.id, change.subject): change.what for change in plan.changes}


def whys(plan: Plan) -> dict[tuple[str, str], str]:
    """Return why something is left by check and file."""
    return {(left.id, left.subject): left.why for left in plan.left}


# --- smaller types -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint32"])
@pytest.mark.parametrize("ending", [".nii.gz", ".nii"])
@pytest.mark.parametrize("big_endian", [False, True], ids=["little-endian", "big-endian"])
def test_wide_labels_become_bytes(tmp_path: Path, dtype: str, ending: str, *, big_endian: bool) -> None:
    """ITK reads the same voxels in the same place from a file of one byte a voxel."""
    folder = build("nii" if ending == ".nii" else "ct", tmp_path)
    path = folder / f"labelsTr/case_003{ending}"
    edit_voxels(path, lambda label: label.astype(dtype))
    if big_endian:
        path.write_bytes((gz if ending.endswith("gz") else bytes)(swapped(inflated(path))))
    before, header = sitk.ReadImage(str(path)), inflated(path)[:352]
    plan = planned(folder)
    after = made(plan, f"labelsTr/case_003{ending}", tmp_path).rename(tmp_path / f"after{ending}")
    image = sitk.ReadImage(str(after))

    order = ">" if big_endian else "<"
    assert inflated(after)[:352] == patched(header, f"{order}hh", 70, 2, 8)
    assert image.GetPixelID() == sitk.sitkUInt8
    assert (sitk.GetArrayFromImage(image) == sitk.GetArrayFromImage(before)).all()
    assert (image.GetOrigin(), image.GetSpacing(), image.GetDirection()) == (
        before.GetOrigin(), before.GetSpacing(), before.GetDirection()
    )  # fmt: skip


def test_declared_values_decide_the_type(tmp_path: Path) -> None:
    """300 is declared though this label does not hold it, so that all labels of the dataset take two bytes."""
    folder = build("ct", tmp_path)
    edit_voxels(folder / LABEL, lambda label: label.astype("float32"))
    edit_json(folder, lambda content: content.update(labels={"background": 0, "organ": 1, "lesion": 2, "vein": 300}))
    plan = planned(folder)
    before, after = inflated(folder / LABEL), inflated(made(plan, LABEL, tmp_path))

    assert whats(plan)["label-float", LABEL] == "float32 -> uint16"
    assert (np.frombuffer(after[352:], "<u2") == np.frombuffer(before[352:], "<f4")).all()
    assert struct.unpack_from("<hh", after, 70) == (512, 16)


def test_extensions_and_odd_fields_are_kept(tmp_path: Path) -> None:
    """Comments in extensions, descriptions and display ranges are the user's."""
    folder = build("ct", tmp_path)
    image = nibabel.load(folder / LABEL)
    changed = nibabel.Nifti1Image(np.asarray(image.dataobj).astype(np.float64), image.affine, image.header)
    changed.set_data_dtype(np.float64)
    changed.header["descrip"] = b"drawn by hand"
    changed.header["cal_max"] = 2
    changed.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"second reader agrees"))
    data = changed.to_bytes()
    (folder / LABEL).write_bytes(gz(data))
    offset = int(struct.unpack_from("<f", data, 108)[0])
    after = inflated(made(planned(folder), LABEL, tmp_path))

    assert after[:offset] == patched(data[:offset], "<hh", 70, 2, 8)
    assert after[offset:] == np.frombuffer(data[offset:], "<f8").astype("u1").tobytes()


def test_scaled_labels_are_stored_as_they_are_read(tmp_path: Path) -> None:
    """Stored 0, 2, 4 with a slope of a half are 0, 1, 2 for every reader, and so they are stored."""
    folder = build("ct", tmp_path)
    edit_voxels(folder / LABEL, lambda label: 2 * label.astype("int32"))
    (folder / LABEL).write_bytes(gz(patched(inflated(folder / LABEL), "<ff", 112, 0.5, 0.0)))
    before = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / LABEL)))
    after = made(planned(folder), LABEL, tmp_path).rename(tmp_path / "after.nii.gz")

    assert struct.unpack_from("<ff", inflated(after), 112) == (1.0, 0.0)
    assert sitk.ReadImage(str(after)).GetPixelID() == sitk.sitkUInt8
    assert (sitk.GetArrayFromImage(sitk.ReadImage(str(after))) == before).all()


def test_dust_of_double_precision_is_gone(tmp_path: Path) -> None:
    """nnU-Net reads everything as float32, in which 2.000000000002 is 2; so it is stored."""
    folder = build("ct", tmp_path)
    edit_voxels(folder / LABEL, lambda label: label * (1 + 1e-12))
    before = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / LABEL))).astype("float32")
    after = made(planned(folder), LABEL, tmp_path).rename(tmp_path / "after.nii.gz")

    assert (sitk.GetArrayFromImage(sitk.ReadImage(str(after))) == before).all()


def test_large_labels_go_piece_by_piece(tmp_path: Path) -> None:
    """Pieces end within a voxel and within the header, and nothing is lost at their seams."""
    label = np.arange(140 * 150 * 160).reshape(140, 150, 160) % 3
    path = tmp_path / "large.nii.gz"
    path.write_bytes(gz(nifti(label.astype("float64"), np.eye(4)), 1))
    Rewritten(path, "SimpleITKIO", Edit(dtype="u1"), None).write(tmp_path / "after.nii.gz")

    assert inflated(tmp_path / "after.nii.gz")[352:] == label.astype("u1").tobytes()


@pytest.mark.parametrize("value", [0.5, -1.0, 256.0, 3e9, float("nan"), float("inf")])
def test_no_voxel_is_ever_changed(tmp_path: Path, value: float) -> None:
    """Should a label hold something else by the time it is rewritten, nothing is made of it."""
    label = np.zeros((3, 4, 5), "float32")
    label[-1, -1, -1] = value
    path = tmp_path / "label.nii.gz"
    path.write_bytes(gz(nifti(label, np.eye(4))))

    with pytest.raises(DamageError, match="whole number"):
        Rewritten(path, "SimpleITKIO", Edit(dtype="u1"), None).write(tmp_path / "after.nii.gz")


def test_no_undeclared_value_is_relabelled(tmp_path: Path) -> None:
    """A value that has no new one stops the rewriting, should it turn up after the survey."""
    path = tmp_path / "label.nii.gz"
    path.write_bytes(gz(nifti(np.full((3, 4, 5), 3, "u1"), np.eye(4))))

    with pytest.raises(DamageError, match="not declared"):
        Rewritten(path, "SimpleITKIO", Edit(values={0: 0, 2: 1, 4: 2}), None).write(tmp_path / "after.nii.gz")


LEFT_LABELS = {
    "a link": (lambda path: (path.rename(path.parents[2] / "shared.nii.gz"), path.symlink_to("../../shared.nii.gz")), "fix_left_link"),
    "negative values": (lambda path: edit_voxels(path, lambda label: label - 1), "fix_left_values"),
    "values over 16 bits": (lambda path: edit_voxels(path, lambda label: label * 70000), "fix_left_values"),
}  # fmt: skip


@pytest.mark.parametrize("case", LEFT_LABELS)
def test_labels_that_are_not_rewritten(tmp_path: Path, case: str) -> None:
    """What is not safe or not a label is named, with the reason."""
    spoil, why = LEFT_LABELS[case]
    folder = build("ct", tmp_path)
    edit_voxels(folder / LABEL, lambda label: label.astype("int32"))
    spoil(folder / LABEL)
    plan = planned(folder)

    assert plan.steps == []
    assert whys(plan)["label-wide-dtype", LABEL] == why


def test_other_formats_are_left(tmp_path: Path) -> None:
    """NRRD is not rewritten, and the plan says so."""
    folder = build("nrrd", tmp_path)
    edit_voxels(folder / "labelsTr/case_003.nrrd", lambda label: label.astype("float32"))
    plan = planned(folder)

    assert plan.steps == []
    assert [(left.subject, left.why, left.values) for left in plan.left] == [
        ("labelsTr/case_003.nrrd", "fix_left_format", {"what": "nrrd"})
    ]


# --- grids ---------------------------------------------------------------------------------------------------------

_GEOMETRY = [(76, 92), (123, 124), (252, 328)]
"""Where a NIfTI-1 header says how voxels lie."""


def without_geometry(data: bytes) -> bytes:
    """Return a header and voxels with zeros where the grid stands."""
    cleared = bytearray(data)
    for start, end in _GEOMETRY:
        cleared[start:end] = bytes(end - start)
    return bytes(cleared)


@pytest.mark.parametrize("damage", [moved(0.01), rotated(0.01)], ids=["moved", "turned"])
def test_rounding_is_taken_from_the_image(tmp_path: Path, damage: object) -> None:
    """The label gets every field that places the image, and keeps all others and its voxels."""
    folder = build("ct", tmp_path)
    damage(folder / LABEL)  # type: ignore[operator]
    before = inflated(folder / LABEL)
    after = made(planned(folder), LABEL, tmp_path).rename(tmp_path / "after.nii.gz")
    image, label = sitk.ReadImage(str(folder / IMAGE)), sitk.ReadImage(str(after))

    assert (label.GetOrigin(), label.GetSpacing(), label.GetDirection()) == (
        image.GetOrigin(), image.GetSpacing(), image.GetDirection()
    )  # fmt: skip
    assert [inflated(after)[a:b] for a, b in _GEOMETRY] == [inflated(folder / IMAGE)[a:b] for a, b in _GEOMETRY]
    assert without_geometry(inflated(after)) == without_geometry(before)


def test_byte_order_is_the_labels_own(tmp_path: Path) -> None:
    """A big-endian label takes the grid of a little-endian image in its own byte order."""
    folder = build("ct", tmp_path)
    moved(0.01)(folder / LABEL)
    (folder / LABEL).write_bytes(gz(swapped(inflated(folder / LABEL))))
    after = made(planned(folder), LABEL, tmp_path).rename(tmp_path / "after.nii.gz")
    image, label = sitk.ReadImage(str(folder / IMAGE)), sitk.ReadImage(str(after))

    assert label.GetOrigin() == image.GetOrigin()
    assert inflated(after)[:4] == struct.pack(">i", 348)


def test_a_label_is_written_once_for_all_that_is_wrong_with_it(tmp_path: Path) -> None:
    """Type and grid are mended together."""
    folder = build("ct", tmp_path)
    edit_voxels(folder / LABEL, lambda label: label.astype("float32"))
    moved(0.01)(folder / LABEL)
    plan = planned(folder)
    after = made(plan, LABEL, tmp_path).rename(tmp_path / "after.nii.gz")

    assert set(whats(plan)) == {("label-float", LABEL), ("origin-mismatch", LABEL)}
    assert len(plan.steps) == 1
    assert sitk.ReadImage(str(after)).GetPixelID() == sitk.sitkUInt8
    assert sitk.ReadImage(str(after)).GetOrigin() == sitk.ReadImage(str(folder / IMAGE)).GetOrigin()


REAL = {
    "moved by a voxel": (moved(0.8), "fix_left_geometry"),
    "moved by a tenth of a voxel": (moved(0.08), "fix_left_geometry"),
    "turned by a degree": (rotated(1), "fix_left_geometry"),
}


@pytest.mark.parametrize("case", REAL)
def test_a_real_difference_is_never_copied_over(tmp_path: Path, case: str) -> None:
    """To copy the header would move the anatomy; the user is told how far apart the two are."""
    damage, why = REAL[case]
    folder = build("ct", tmp_path)
    damage(folder / LABEL)
    plan = planned(folder)

    assert plan.steps == []
    assert {left.why for left in plan.left} == {why}
    assert all(0.01 < float(str(left.values["what"])) < 100 for left in plan.left)


def test_a_flipped_axis_is_a_real_difference(tmp_path: Path) -> None:
    """Origin and direction that agree for the first voxel only do not agree."""
    folder = build("ct", tmp_path)
    header = inflated(folder / LABEL)
    sx = struct.unpack_from("<4f", header, 280)
    flipped = patched(header, "<4f", 280, -sx[0], sx[1], sx[2], sx[3])
    (folder / LABEL).write_bytes(gz(patched(flipped, "<hh", 252, 0, 1)))
    plan = planned(folder)

    assert plan.steps == []
    assert {left.why for left in plan.left} == {"fix_left_geometry"}


def test_what_one_reader_sees_elsewhere_is_not_copied(tmp_path: Path) -> None:
    """ITK finds image and label together by the qform, nibabel finds the label's sform far away: not rounding."""
    folder = build("ct", tmp_path)
    moved(0.01)(folder / LABEL)
    header = inflated(folder / LABEL)
    far = patched(patched(header, "<hh", 252, 1, 2), "<f", 292, 500.0)
    (folder / LABEL).write_bytes(gz(far))
    plan = planned(folder)

    assert plan.steps == []
    assert whys(plan)["origin-mismatch", LABEL] == "fix_left_geometry"


def test_another_shape_is_another_grid(tmp_path: Path) -> None:
    """Nothing is copied between files of different shapes."""
    folder = build("ct", tmp_path)
    moved(0.01)(folder / LABEL)
    image = sitk.ReadImage(str(folder / LABEL))
    sitk.WriteImage(image[:, :, :-1], str(folder / LABEL), True)
    plan = planned(folder)

    assert plan.steps == []
    assert whys(plan)["origin-mismatch", LABEL] == "fix_left_shape"


def test_images_keep_their_headers(tmp_path: Path) -> None:
    """Of two channels that differ nobody knows which is right."""
    folder = build("mr", tmp_path)
    moved(0.01)(folder / "imagesTr/case_003_0002.nii.gz")
    plan = planned(folder)

    assert plan.steps == []
    assert {(left.subject, left.why) for left in plan.left} == {("imagesTr/case_003_0002.nii.gz", "fix_left_image")}


# --- consecutive values --------------------------------------------------------------------------------------------


def with_gap(root: Path, labels: dict[str, object], old_to_new: dict[int, int], **more: object) -> Path:
    """Build a dataset whose labels hold other values."""
    folder = build("ct", root)
    for path in (folder / "labelsTr").iterdir():
        edit_voxels(path, lambda label: np.vectorize(lambda value: old_to_new.get(value, value))(label).astype("u1"))
    edit_json(folder, lambda content: content.update(labels=labels, **more))
    return folder


def test_gaps_are_closed_on_request(tmp_path: Path) -> None:
    """dataset.json and all labels change together, and the map is written beside."""
    folder = with_gap(tmp_path, {"background": 0, "organ": 1, "lesion": 4}, {2: 4})
    before = sitk.GetArrayFromImage(sitk.ReadImage(str(folder / LABEL)))
    plan = planned(folder, relabels=True)
    after = made(plan, LABEL, tmp_path).rename(tmp_path / "after.nii.gz")
    content, table = (
        json.loads(made(plan, name, tmp_path).read_text(encoding="utf-8"))
        for name in ("dataset.json", "label_map.json")
    )

    assert len(plan.steps) == 6 + 2
    assert (sitk.GetArrayFromImage(sitk.ReadImage(str(after))) == np.where(before == 4, 2, before)).all()
    assert content["labels"] == {"background": 0, "organ": 1, "lesion": 2}
    assert table == {"0": 0, "1": 1, "4": 2}


def test_the_ignore_label_stays_the_last(tmp_path: Path) -> None:
    """255 for what is not to be learnt becomes the highest value and nothing else."""
    folder = with_gap(tmp_path, {"background": 0, "organ": 1, "ignore": 255}, {2: 255})
    plan = planned(folder, relabels=True)
    content = json.loads(made(plan, "dataset.json", tmp_path).read_text("utf-8"))

    assert content["labels"] == {"background": 0, "organ": 1, "ignore": 2}


def test_regions_follow(tmp_path: Path) -> None:
    """The values inside regions and their order are those of the same classes as before."""
    labels = {"background": 0, "whole": [1, 4], "lesion": [4]}
    folder = with_gap(tmp_path, labels, {2: 4}, regions_class_order=[1, 4])
    content = json.loads(made(planned(folder, relabels=True), "dataset.json", tmp_path).read_text("utf-8"))

    assert content["labels"] == {"background": 0, "whole": [1, 2], "lesion": [2]}
    assert content["regions_class_order"] == [1, 2]


def test_nobody_relabels_without_being_asked(tmp_path: Path) -> None:
    """Without the option only a sentence is shown, with the number of files that it would cost."""
    folder = with_gap(tmp_path, {"background": 0, "organ": 1, "lesion": 4}, {2: 4})
    plan = planned(folder)

    assert plan.steps == []
    assert [(left.why, left.values) for left in plan.left] == [("fix_left_relabel", {"what": 6})]


HALF = {
    "an undeclared value": (lambda folder: edit_voxels(folder / LABEL, lambda label: label + 1), LABEL, "fix_left_values"),
    "a label without image": (lambda folder: (folder / IMAGE).unlink(), LABEL, "fix_left_relabel_others"),
    "a damaged label": (lambda folder: (folder / LABEL).write_bytes((folder / LABEL).read_bytes()[:200]), LABEL, "fix_left_values"),
    "an old map": (lambda folder: (folder / "label_map.json").write_text("{}", encoding="utf-8"), "label_map.json", "fix_left_taken"),
}  # fmt: skip


@pytest.mark.parametrize("case", HALF)
def test_all_labels_are_relabelled_or_none(tmp_path: Path, case: str) -> None:
    """One label that cannot follow keeps all others as they are; two kinds of labels would be worse than a gap."""
    spoil, subject, why = HALF[case]
    folder = with_gap(tmp_path, {"background": 0, "organ": 1, "lesion": 4}, {2: 4})
    spoil(folder)
    plan = planned(folder, relabels=True)

    assert [step for step in plan.steps if step.path != "dataset.json"] == []
    assert whys(plan)["json-labels", subject] == why
