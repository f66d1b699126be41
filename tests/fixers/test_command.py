"""What the user sees of ``fix``: the plan, the result, what is left, and what to type next."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import pytest
from planted import build, edit_json, edit_voxels, moved

from nnunet_doctor.errors import UserError
from nnunet_doctor.fixers import command
from nnunet_doctor.fixers import journal as journal_module
from nnunet_doctor.fixers.command import fix
from nnunet_doctor.fixers.journal import Journal
from nnunet_doctor.fixers.steps import FOLDER
from nnunet_doctor.probes.raw.survey import Means


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A dataset with a name, a label and a number that can be mended."""
    folder = build("ct", tmp_path)
    (folder / "imagesTr/case_001_0000.nii.gz").rename(folder / "imagesTr/case_001.nii.gz")
    edit_voxels(folder / "labelsTr/case_002.nii.gz", lambda label: label.astype("float32"))
    edit_json(folder, lambda content: content.update(numTraining=9))
    return folder


def test_without_apply_nothing_is_changed(folder, run, snapshot) -> None:
    """Every file is shown with its change and the check that asks for it, the text as a diff, and what to type."""
    before = snapshot(folder)
    done = run(folder)

    assert snapshot(folder) == before
    assert done.code == 1
    for shown in (
        "[bad-image-name]",
        "imagesTr/case_001.nii.gz  -> case_001_0000.nii.gz",
        "[label-float]",
        "labelsTr/case_002.nii.gz  float32 -> uint8",
        "[num-training]",
        '-    "numTraining": 9,',
        '+    "numTraining": 6,',
        f"nnunet-doctor fix {folder} --apply",
    ):
        assert shown in done.text


def test_apply_shows_what_has_become_better(folder, run) -> None:
    """The dataset is looked at again; the findings have gone, and undo and commit are offered."""
    done = run(folder, applies=True)

    assert done.code == 0
    assert re.search(r"bad-image-name +1 -> 0", done.text)
    assert re.search(r"num-training +1 -> 0", done.text)
    assert f"nnunet-doctor fix {folder} --undo" in done.text
    assert f"nnunet-doctor fix {folder} --commit" in done.text
    assert (folder / "imagesTr/case_001_0000.nii.gz").is_file()
    assert json.loads((folder / "dataset.json").read_text(encoding="utf-8"))["numTraining"] == 6


def test_errors_that_are_left_are_told(folder, run) -> None:
    """What fix cannot mend is still an error afterwards: exit code 1 and the file's name."""
    (folder / "labelsTr/case_005.nii.gz").unlink()
    done = run(folder, applies=True)

    assert done.code == 1
    assert "FAIL" in done.text.partition("bad-image-name  1 -> 0")[2]
    assert "labelsTr/case_005.nii.gz" in done.text


def test_what_becomes_readable_is_mended_by_another_round(folder, run) -> None:
    """A label that belonged to no case before is looked into only then; the user is told to go on."""
    edit_voxels(folder / "labelsTr/case_001.nii.gz", lambda label: label.astype("float64"))
    first = run(folder, applies=True)
    shown = run(folder)
    second = run(folder, applies=True)

    assert f"nnunet-doctor fix {folder} --apply" in first.text
    assert "labelsTr/case_001.nii.gz  float64 -> uint8" in shown.text
    assert second.code == 0
    assert run(folder).code == 0


def test_nothing_to_do(tmp_path, run, snapshot) -> None:
    """A sound dataset is left alone, and no folder stays behind."""
    folder = build("ct", tmp_path)
    before = snapshot(folder)

    assert (run(folder).code, run(folder, applies=True).code) == (0, 0)
    assert snapshot(folder) == before


def test_the_reason_for_leaving_is_given_once(tmp_path, run) -> None:
    """A label far from its image is named with the distance and the way to look at it; exit code 0: nothing to do."""
    folder = build("ct", tmp_path)
    moved(20)(folder / "labelsTr/case_005.nii.gz")
    done = run(folder)

    assert done.code == 0
    assert "labelsTr/case_005.nii.gz" in done.text
    assert "20 mm" in done.text
    assert done.text.count("nnUNetv2_plot_overlay_pngs -d ID -o FOLDER") == 1


def test_relabel_is_passed_on(tmp_path, run) -> None:
    """The command that is offered does what was shown."""
    folder = build("ct", tmp_path)
    edit_json(folder, lambda content: content.update(labels={"background": 0, "organ": 1, "lesion": 2, "ignore": 255}))
    shown = run(folder, relabels=True)
    done = run(folder, applies=True, relabels=True)

    assert "label_map.json  255 -> 3" in shown.text
    assert f"nnunet-doctor fix {folder} --apply --relabel" in shown.text
    assert "json-labels  1 -> 0" in done.text


def test_an_interrupted_fix_is_recognised(folder, run, monkeypatch) -> None:
    """Nothing is planned on half a dataset: the user is told to undo or to start over."""
    with monkeypatch.context() as patch:
        patch.setattr(Journal, "_roll_back", lambda *_: None)
        patch.setattr(journal_module, "move", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(folder, applies=True)
    done = run(folder)

    assert done.code == 1
    assert "--undo" in done.text
    assert "bad-image-name" not in done.text
    with pytest.raises(UserError, match="was interrupted"):
        run(folder, commits=True)
    assert run(folder, undoes=True).code == 0
    assert not (folder / FOLDER).exists()


def test_an_interrupted_look_changes_nothing(folder, run, snapshot, monkeypatch) -> None:
    """Ctrl-C while files are read ends the command; half a survey is no ground for a plan."""
    look = command.survey_dataset

    def interrupted(*arguments: object) -> object:
        found = look(*arguments)
        found.is_complete = False
        return found

    before = snapshot(folder)
    monkeypatch.setattr(command, "survey_dataset", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(folder, applies=True)

    assert snapshot(folder) == before


def test_wrong_use(folder, tmp_path, run) -> None:
    """A folder that is no dataset, and an undo or commit of nothing, are told in a sentence."""
    with pytest.raises(UserError, match="no raw dataset"):
        run(tmp_path)
    with pytest.raises(UserError, match="no raw dataset"):
        run(tmp_path / "absent", applies=True)
    for options in ({"undoes": True}, {"commits": True}):
        with pytest.raises(UserError, match="there are no changes"):
            run(folder, **options)


def test_commit_names_what_is_gone_for_good(folder, run) -> None:
    """Files that were moved out are deleted with the originals, and named."""
    (folder / "imagesTr/._case_003_0000.nii.gz").write_bytes(b"\0\5\x16\7")
    run(folder, applies=True)
    done = run(folder, commits=True)

    assert done.code == 0
    assert "imagesTr/._case_003_0000.nii.gz" in done.text
    assert not (folder / FOLDER).exists()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_output_is_plain_when_piped(folder, run, language) -> None:
    """No colours and no character that only a terminal understands, in both languages."""
    moved(20)(folder / "labelsTr/case_005.nii.gz")
    texts = [run(folder, language, **options).text for options in ({}, {"applies": True}, {}, {"undoes": True})]

    assert all(texts)
    assert "\x1b" not in "".join(texts)
    assert re.search("[\u4e00-\u9fff]", "".join(texts)) is not None or language == "en"


def test_a_closed_pipe_does_not_keep_it_from_being_done(folder, run) -> None:
    """'fix --apply | head' applies, whoever stops reading."""

    class Closed(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        fix(folder, applies=True, means=Means(caches=False), language="en", out=Closed())

    assert (folder / "imagesTr/case_001_0000.nii.gz").is_file()
    assert run(folder, undoes=True).code == 0


def test_a_dataset_in_one_line_does_not_flood_the_screen(folder, run) -> None:
    """A dataset.json that some program wrote into one long line is cut in the diff."""
    content = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
    (folder / "dataset.json").write_text(json.dumps({**content, "note": "x" * 50_000}), encoding="utf-8")

    assert len(run(folder).text) < 5000


def test_names_that_are_no_utf8_are_taken(tmp_path) -> None:
    """A file name in another encoding can be renamed, undone and printed."""
    folder = build("ct", tmp_path)
    old = folder / "imagesTr/case_001_0000.nii.gz"
    bad = Path(str(old).replace("case_001_0000", "f\udce4ll"))
    try:
        old.rename(bad)
        (folder / "labelsTr/case_001.nii.gz").rename(Path(str(folder / "labelsTr") + "/f\udce4ll.nii.gz"))
    except (OSError, UnicodeError):
        pytest.skip("this file system takes UTF-8 only")
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="replace")
    options = {"means": Means(caches=False), "language": "en", "out": out}
    codes = [fix(folder, applies=True, **options), fix(folder, undoes=True, **options)]

    assert codes == [0, 0]
    assert bad.exists()
