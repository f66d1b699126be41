"""dataset.json: what is wrong becomes right, and everything else stays as the user wrote it."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnunet_doctor.fixers.plan import make
from nnunet_doctor.fixers.record import Given, Plan
from nnunet_doctor.probes.raw.survey import Means, survey_dataset


def planned(root: Path, raw: bytes) -> Plan:
    """Plan for two cases and a dataset.json."""
    for folder, names in (("imagesTr", ("a_0000.nii.gz", "b_0000.nii.gz")), ("labelsTr", ("a.nii.gz", "b.nii.gz"))):
        (root / folder).mkdir()
        for name in names:
            (root / folder / name).touch()
    (root / "dataset.json").write_bytes(raw)
    return make(root, survey_dataset(str(root), None, Means(caches=False)))


def new_text(plan: Plan) -> str | None:
    """Return the dataset.json that would be written; None for none."""
    content = plan.contents.get("dataset.json")
    return content.content.decode("utf-8") if isinstance(content, Given) else None


GOOD = """{
  "channel_names": { "0": "CT" },
  "labels": {"background": 0,
             "organ": 1},
  "numTraining" : 2,   "file_ending": ".nii.gz"
}
"""

MENDED = {
    "numTraining": (GOOD.replace(": 2,", ": 20,"), GOOD),
    "numTraining as a text": (GOOD.replace(": 2,", ': "2",'), GOOD),
    "numTraining as a fraction": (GOOD.replace(": 2,", ": 2.0,"), GOOD),
    "numTraining is missing": (
        GOOD.replace('"numTraining" : 2,   ', ""),
        GOOD.replace('"numTraining" : 2,   ', "").replace('.nii.gz"\n', '.nii.gz",\n  "numTraining": 2\n'),
    ),
    "numTraining twice, of which the last counts": (
        GOOD.replace(": 2,", ': 2,   "numTraining": 3,'), GOOD.replace(": 2,", ': 2,   "numTraining": 2,')
    ),
    "file_ending without its dot": (GOOD.replace('".nii.gz"', '"nii.gz"'), GOOD),
    "file_ending with a blank": (GOOD.replace('".nii.gz"', '".nii.gz "'), GOOD),
    "file_ending of the last part only": (GOOD.replace('".nii.gz"', '".gz"'), GOOD),
    "file_ending is a list": (GOOD.replace('".nii.gz"', '[".nii.gz"]'), GOOD),
    "file_ending is missing": (
        GOOD.replace(',   "file_ending": ".nii.gz"', ""),
        GOOD.replace(',   "file_ending"', ',\n  "file_ending"'),
    ),
    "labels the other way round": (
        GOOD.replace('"background": 0', '"0": "background"').replace('"organ": 1', '"1":  "organ"'),
        GOOD.replace('"organ": 1', '"organ":  1'),
    ),
    "Background the other way round": (
        GOOD.replace('"background": 0', '"0": "Background"').replace('"organ": 1', '"1": "organ"'), GOOD
    ),
    "an escaped name the other way round": (
        GOOD.replace('"background": 0', '"0": "background"').replace('"organ": 1', '"1": "\\u809d"'),
        GOOD.replace("organ", "\\u809d"),
    ),
    "channels from 1": (
        GOOD.replace('{ "0": "CT" }', '{ "1": "T1",  "2": "T2" }'),
        GOOD.replace('{ "0": "CT" }', '{ "0": "T1",  "1": "T2" }'),
    ),
    "channels as files are named": (GOOD.replace('"0": "CT"', '"0000": "CT"'), GOOD),
    "a comma too many": (GOOD.replace('.gz"\n', '.gz",\n'), GOOD),
    "a comment": (GOOD.replace("{\n", "{\n  // by hand\n", 1), GOOD),
    "a comment at the end of a line": (GOOD.replace('" },', '" },  # one channel'), GOOD),
    "single quotes": (GOOD.replace('"', "'"), GOOD),
    "Python's words": (GOOD.replace("{\n", '{\n  "x": None,\n', 1), GOOD.replace("{\n", '{\n  "x": null,\n', 1)),
    "Windows' ends of lines are kept": (GOOD.replace(": 2,", ": 20,").replace("\n", "\r\n"), GOOD.replace("\n", "\r\n")),
    "all on one line": (
        '{"channel_names":{"0":"CT"},"labels":{"0":"background","1":"x"},"numTraining":5,"file_ending":".nii.gz"}',
        '{"channel_names":{"0":"CT"},"labels":{"background":0,"x":1},"numTraining":2,"file_ending":".nii.gz"}',
    ),
    "everything at once": (
        GOOD.replace(": 2,", ': "7",').replace("{\n", "{\n  # by hand\n", 1).replace('"0"', '"1"').replace('gz"\n', 'gz",\n'),
        GOOD,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("before", "after"), MENDED.values(), ids=MENDED)
def test_only_what_is_wrong_is_replaced(tmp_path: Path, before: str, after: str) -> None:
    """The new text is what the user would have typed, down to blanks and line ends."""
    assert new_text(planned(tmp_path, before.encode())) == after


CHINESE = GOOD.replace("organ", "\u809d\u810f")
ENCODED = {
    "byte order mark": (b"\xef\xbb\xbf" + CHINESE.encode(), CHINESE),
    "UTF-16": (CHINESE.encode("utf-16"), CHINESE),
    "UTF-16 of the other kind": (b"\xfe\xff" + CHINESE.encode("utf-16-be"), CHINESE),
    "UTF-32": (CHINESE.encode("utf-32"), CHINESE),
    "GBK": (CHINESE.encode("gbk"), CHINESE),
    "Windows-1252": (GOOD.replace("organ", "Gef\u00e4\u00df b\u00f6se".replace("\u00df", "ss")).encode("cp1252"), GOOD.replace("organ", "Gef\u00e4ss b\u00f6se")),
}  # fmt: skip


@pytest.mark.parametrize(("raw", "after"), ENCODED.values(), ids=ENCODED)
def test_text_becomes_utf8(tmp_path: Path, raw: bytes, after: str) -> None:
    """Whatever the editor wrote, nnU-Net gets UTF-8 without byte order mark, and no letter is another."""
    plan = planned(tmp_path, raw)

    assert new_text(plan) == after
    assert [change.what.endswith("-> UTF-8") for change in plan.changes] == [True]


LEFT = {
    "channels in another order": (GOOD.replace('"0": "CT"', '"1": "T1", "0": "T2"'), "fix_left_channel_order"),
    "channels with a gap": (GOOD.replace('"0": "CT"', '"0": "T1", "2": "T2"'), "fix_left_channel_keys"),
    "channels by name": (GOOD.replace('"0": "CT"', '"CT": "0"'), "fix_left_channel_keys"),
    "two labels of one name": (
        GOOD.replace('"background": 0', '"0": "organ"').replace('"organ": 1', '"1": "organ"'), "fix_left_turned"
    ),
    "two values of one label": (
        GOOD.replace('"background": 0', '"0": "background"').replace('"organ": 1', '"1": "x", "01": "y"'), "fix_left_turned"
    ),
    "no background": (GOOD.replace("background", "air"), "fix_left_labels"),
    "a key twice": (GOOD.replace('"organ": 1', '"organ": 1, "organ": 1'), "fix_left_duplicate"),
    "cut in the middle": (GOOD[:80], "fix_left_syntax"),
    "an encoding that could be two": (GOOD.replace("organ", "\u00e9\u00e8").encode("latin-1"), "fix_left_encoding"),
    "a dataset of version 1": (
        GOOD.replace("channel_names", "modality").replace('"background": 0', '"0": "background"').replace('"organ": 1', '"1": "x"'),
        "fix_left_version_1",
    ),
    "a gap in the labels": (GOOD.replace('"organ": 1', '"organ": 2'), "fix_left_relabel"),
}  # fmt: skip


@pytest.mark.parametrize(("before", "why"), LEFT.values(), ids=LEFT)
def test_what_only_the_user_knows_is_left(tmp_path: Path, before: str | bytes, why: str) -> None:
    """Nothing is written, and the reason is given."""
    plan = planned(tmp_path, before.encode() if isinstance(before, str) else before)

    assert new_text(plan) is None
    assert [left.why for left in plan.left] == [why]


def test_listed_cases_are_counted_as_nnunet_counts_them(tmp_path: Path) -> None:
    """Every entry under the key dataset is a case, complete or not."""
    listed = (
        '"dataset": {"a": {"images": ["imagesTr/a_0000.nii.gz"], "label": "labelsTr/a.nii.gz"}, "b": {}, "c": {}}, '
    )
    plan = planned(tmp_path, GOOD.replace('"numTraining" : 2', listed + '"numTraining": "x"').encode())

    assert [change.what for change in plan.changes] == ['numTraining "x" -> 3']


def test_nothing_is_wrong(tmp_path: Path) -> None:
    """A sound dataset.json is left alone, odd as its layout may be."""
    plan = planned(tmp_path, GOOD.encode())

    assert plan.steps == []
    assert plan.left == []


def test_a_link_is_not_replaced(tmp_path: Path) -> None:
    """A dataset.json that is a link may belong to somebody else."""
    plan = planned(tmp_path, GOOD.encode())
    (tmp_path / "dataset.json").rename(tmp_path / "shared.json")
    (tmp_path / "shared.json").write_text(GOOD.replace(": 2,", ": 5,"), encoding="utf-8")
    (tmp_path / "dataset.json").symlink_to("shared.json")
    plan = make(tmp_path, survey_dataset(str(tmp_path), None, Means(caches=False)))

    assert plan.steps == []
    assert [left.why for left in plan.left] == ["fix_left_link"]
