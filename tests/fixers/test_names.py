"""Names: one that can be meant is given, and where there are two, the user is asked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from planted import build

from nnunet_doctor.fixers.plan import make
from nnunet_doctor.fixers.record import Plan
from nnunet_doctor.fixers.steps import MoveOut, Rename
from nnunet_doctor.probes.raw.survey import Means, survey_dataset


def planned(root: Path, images: str, labels: str, channels: int = 1, **more: object) -> Plan:
    """Plan for a dataset of empty files; names are separated by blanks."""
    for folder, names in (("imagesTr", images), ("labelsTr", labels)):
        (root / folder).mkdir()
        for name in names.split():
            (root / folder / name).touch()
    content = {
        "channel_names": {str(number): f"MR{number}" for number in range(channels)},
        "labels": {"background": 0, "organ": 1},
        "numTraining": 2,
        "file_ending": ".nii.gz",
        **more,
    }
    (root / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    return make(root, survey_dataset(str(root), None, Means(caches=False)))


CERTAIN = {
    "suffix forgotten": ("a.nii.gz b_0000.nii.gz", "a.nii.gz b.nii.gz", 1, {"imagesTr/a.nii.gz": "imagesTr/a_0000.nii.gz"}),
    "a number that is the case's, as the label tells": (
        "a_12.nii.gz", "a_12.nii.gz", 1, {"imagesTr/a_12.nii.gz": "imagesTr/a_12_0000.nii.gz"}
    ),
    "a number that is the channel's, as the label tells": (
        "a_0.nii.gz a_1.nii.gz", "a.nii.gz", 2,
        {"imagesTr/a_0.nii.gz": "imagesTr/a_0000.nii.gz", "imagesTr/a_1.nii.gz": "imagesTr/a_0001.nii.gz"},
    ),
    "five digits": ("a_00000.nii.gz", "a.nii.gz", 1, {"imagesTr/a_00000.nii.gz": "imagesTr/a_0000.nii.gz"}),
    "no label at all": ("a.nii.gz", "", 1, {"imagesTr/a.nii.gz": "imagesTr/a_0000.nii.gz"}),
    "a label with the suffix": ("a_0000.nii.gz", "a_0000.nii.gz", 1, {"labelsTr/a_0000.nii.gz": "labelsTr/a.nii.gz"}),
    "suffixes on the wrong side": (
        "a.nii.gz", "a_0000.nii.gz", 1,
        {"imagesTr/a.nii.gz": "imagesTr/a_0000.nii.gz", "labelsTr/a_0000.nii.gz": "labelsTr/a.nii.gz"},
    ),
    "ending in capitals": (
        "a_0000.NII.GZ", "a.Nii.gz", 1,
        {"imagesTr/a_0000.NII.GZ": "imagesTr/a_0000.nii.gz", "labelsTr/a.Nii.gz": "labelsTr/a.nii.gz"},
    ),
    "capitals and no suffix": ("a.NII.GZ", "a.nii.gz", 1, {"imagesTr/a.NII.GZ": "imagesTr/a_0000.nii.gz"}),
}  # fmt: skip


@pytest.mark.parametrize(("images", "labels", "channels", "expected"), CERTAIN.values(), ids=CERTAIN)
def test_a_name_that_only_one_can_be_is_given(
    tmp_path: Path, images: str, labels: str, channels: int, expected: dict[str, str]
) -> None:
    """Files get the names that nnU-Net would have wanted, and nothing is left to the user."""
    plan = planned(tmp_path, images, labels, channels)

    assert {step.old: step.new for step in plan.steps if isinstance(step, Rename)} == expected
    assert {left.why for left in plan.left} <= {"fix_left_no_cases"}


UNSURE = {
    "two labels would fit": ("a_0.nii.gz", "a_0.nii.gz a.nii.gz", 1, {"imagesTr/a_0.nii.gz": "fix_left_unsure"}),
    "no label decides": ("a_12.nii.gz", "", 1, {"imagesTr/a_12.nii.gz": "fix_left_unsure"}),
    "two channels": ("a.nii.gz", "a.nii.gz", 2, {"imagesTr/a.nii.gz": "fix_left_channels"}),
    "the right name is taken": (
        "a.nii.gz a_0000.nii.gz", "a.nii.gz", 1, {"imagesTr/a.nii.gz": "fix_left_taken"}
    ),
    "taken but for capitals": (
        "a.nii.gz A_0000.nii.gz", "a.nii.gz A.nii.gz", 1, {"imagesTr/a.nii.gz": "fix_left_taken"}
    ),
    "two files, one name": (
        "a.nii.gz a_00000.nii.gz", "a.nii.gz", 1,
        {"imagesTr/a.nii.gz": "fix_left_taken", "imagesTr/a_00000.nii.gz": "fix_left_taken"},
    ),
    "labels, but none for this name": (
        "a-0000.nii.gz b_0000.nii.gz", "a.nii.gz b.nii.gz", 1, {"imagesTr/a-0000.nii.gz": "fix_left_unsure"}
    ),
    "another format": ("a_0000.nrrd", "a.nii.gz", 1, {"imagesTr/a_0000.nrrd": "fix_left_other_ending"}),
    "a label of another channel": ("a_0000.nii.gz", "a_0001.nii.gz", 1, {"labelsTr/a_0001.nii.gz": "fix_left_no_image"}),
}  # fmt: skip


@pytest.mark.parametrize(("images", "labels", "channels", "expected"), UNSURE.values(), ids=UNSURE)
def test_a_name_that_could_be_another_is_left_to_the_user(
    tmp_path: Path, images: str, labels: str, channels: int, expected: dict[str, str]
) -> None:
    """No file is renamed on a guess or onto another file, and each is named with the reason."""
    plan = planned(tmp_path, images, labels, channels)

    assert [step for step in plan.steps if isinstance(step, Rename)] == []
    assert {left.subject: left.why for left in plan.left if left.subject != "dataset.json"} == expected


def test_an_ending_in_capitals_is_wrong_in_one_place_only(tmp_path: Path) -> None:
    """Where dataset.json shouts and all files do not, the files stay as they are."""
    plan = planned(tmp_path, "a_0000.nii.gz b_0000.nii.gz", "a.nii.gz b.nii.gz", file_ending=".NII.GZ")

    assert [step for step in plan.steps if isinstance(step, Rename)] == []
    assert {left.why for left in plan.left} == {"fix_left_capital_ending"}


def test_hidden_files_are_moved_out(tmp_path: Path) -> None:
    """AppleDouble files leave imagesTr, labelsTr and imagesTs; other hidden files are nobody's concern."""
    (tmp_path / "imagesTs").mkdir()
    (tmp_path / "imagesTs/._c_0000.nii.gz").touch()
    plan = planned(tmp_path, "a_0000.nii.gz ._a_0000.nii.gz .DS_Store", "a.nii.gz ._a.nii.gz")

    expected = {"imagesTr/._a_0000.nii.gz", "labelsTr/._a.nii.gz", "imagesTs/._c_0000.nii.gz"}
    assert {step.path for step in plan.steps if isinstance(step, MoveOut)} == expected


def test_cases_are_counted_with_their_new_names(tmp_path: Path) -> None:
    """numTraining is written for the dataset as it will be, not as it is."""
    plan = planned(tmp_path, "a_0000.nii.gz b.nii.gz c.nii.gz", "a.nii.gz b.nii.gz c.nii.gz", numTraining=9)

    assert [change.what for change in plan.changes if change.id == "num-training"] == ["numTraining 9 -> 3"]


def test_cases_are_not_counted_while_names_are_wrong(tmp_path: Path) -> None:
    """As long as nnU-Net would cut one name wrongly, no number is right."""
    plan = planned(tmp_path, "a_0000.nii.gz b_7.nii.gz", "a.nii.gz", numTraining=9)

    assert [(left.id, left.why) for left in plan.left if left.subject == "dataset.json"] == [
        ("num-training", "fix_left_names_first")
    ]
    assert plan.steps == []


def test_a_lost_image_is_not_counted_away(tmp_path: Path) -> None:
    """A label without image shows that an image is missing; numTraining may be right and the folder wrong."""
    plan = planned(tmp_path, "a_0000.nii.gz", "a.nii.gz b.nii.gz", numTraining=2)

    assert plan.steps == []
    assert [(left.id, left.why) for left in plan.left] == [("num-training", "fix_left_orphans")]


def test_folders_that_lead_elsewhere_are_not_touched(tmp_path: Path) -> None:
    """A dataset whose imagesTr is a link to another place is shown, and nothing there is renamed."""
    folder = build("ct", tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (folder / "imagesTr").rename(tmp_path / "elsewhere/imagesTr")
    (folder / "imagesTr").symlink_to(tmp_path / "elsewhere/imagesTr")
    (folder / "imagesTr/case_001_0000.nii.gz").rename(folder / "imagesTr/case_001.nii.gz")
    plan = make(folder, survey_dataset(str(folder), None, Means(caches=False)))

    assert plan.steps == []
    assert ("imagesTr/case_001.nii.gz", "fix_left_outside") in {(left.subject, left.why) for left in plan.left}
