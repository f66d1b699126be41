"""What is done can be undone: after a kill at any point, on a full disk, on a disk that refuses, and later."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from planted import build, edit_json, edit_voxels, moved

from nnunet_doctor import lock
from nnunet_doctor.errors import UserError
from nnunet_doctor.fixers import journal as journal_module
from nnunet_doctor.fixers import steps
from nnunet_doctor.fixers.command import fix
from nnunet_doctor.fixers.journal import Journal
from nnunet_doctor.fixers.steps import FOLDER, KEPT, STAGED, Rename, move
from nnunet_doctor.probes.raw.survey import Means

CASES = ("case_001", "case_002", "case_003", "case_004")
NEEDS_FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows starts processes too slowly for this")


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset that needs a step of every kind, and a plain file that nothing may touch."""
    folder = build("ct", tmp_path_factory.mktemp("spoilt"), CASES)
    images, labels = folder / "imagesTr", folder / "labelsTr"
    for path in labels.iterdir():
        edit_voxels(path, lambda label: np.where(label == 2, 4, label).astype("u1"))
    (images / "case_001_0000.nii.gz").rename(images / "case_001.nii.gz")
    (images / "case_002_0000.nii.gz").rename(images / "case_002_0000.NII.GZ")
    (images / "._case_003_0000.nii.gz").write_bytes(b"\0\5\x16\7")
    edit_voxels(labels / "case_003.nii.gz", lambda label: label.astype("float32"))
    moved(0.01)(labels / "case_004.nii.gz")
    edit_json(folder, lambda content: content.update(labels={"background": 0, "organ": 1, "lesion": 4}, numTraining=9))
    (folder / "README.md").write_text("CC-BY", encoding="utf-8")
    for number, path in enumerate(sorted(folder.rglob("*"))):
        os.utime(path, ns=(10**18 + number, 10**18 + number * 1001))
    return folder


def copy_of(folder: Path, root: Path) -> Path:
    """Copy a dataset with all times."""
    return Path(shutil.copytree(folder, root / folder.name, symlinks=True))


def call(folder: Path, **options: bool) -> int:
    """Call the command with labels renumbered, so that files are written too."""
    relabels = not (options.get("undoes") or options.get("commits"))
    return fix(folder, relabels=relabels, means=Means(caches=False), language="en", out=io.StringIO(), **options)


@pytest.fixture(scope="module")
def half(spoilt: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same dataset after an undisturbed run, which makes more of it readable."""
    folder = copy_of(spoilt, tmp_path_factory.mktemp("half"))
    call(folder, applies=True)
    return folder


@pytest.fixture(scope="module")
def mended(half: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """And after a second run, in which values are renumbered."""
    folder = copy_of(half, tmp_path_factory.mktemp("mended"))
    call(folder, applies=True)
    return folder


@pytest.fixture(params=["first round", "second round"])
def round_(request, spoilt: Path, half: Path, mended: Path) -> tuple[Path, Path]:
    """The dataset before and after a run."""
    return (spoilt, half) if request.param == "first round" else (half, mended)


Disturb = Callable[[int, str], bool]
"""Takes the number and the kind of a change of the disk that is about to be made, and may kill or refuse."""

REFUSED, UNDISTURBED = 99, 98


def disturbed(folder: Path, disturb: Disturb, **options: bool) -> int | None:
    """Call the command in a process of its own, where something goes wrong.

    Returns:
        Its exit code, REFUSED for a UserError, UNDISTURBED when there were not so many changes; None when it was
        killed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the threads of NumPy, which are idle
        child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        return os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
    code = 97
    try:
        hits = watch(folder, disturb)
        try:
            code = call(folder, **options)
        except UserError:
            code = REFUSED
        code = code if hits else UNDISTURBED
    finally:
        os._exit(code)


CHANGING = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "os.link", "os.symlink")


def watch(folder: Path, disturb: Disturb) -> list[int]:
    """See every change of a folder before it is made, and every wait for the disk; return the disturbed ones."""
    count, hits = 0, []

    def point(kind: str) -> None:
        nonlocal count
        count += 1
        try:
            if disturb(count, kind):
                hits.append(count)
        except OSError:
            hits.append(count)
            raise

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        is_change = event in CHANGING
        if event == "open" and isinstance(arguments[2], int):
            is_change = bool(arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        if is_change and str(arguments[0]).startswith(str(folder)):
            point(event)

    sys.addaudithook(hook)
    os.fsync = lambda _: point("fsync")
    return hits


def killed_at(number: int) -> Disturb:
    def disturb(count: int, _: str) -> bool:
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return False

    return disturb


def refused_at(number: int, code: int) -> Disturb:
    def disturb(count: int, _: str) -> bool:
        if count == number:
            raise OSError(code, os.strerror(code))
        return False

    return disturb


def full_from(number: int) -> Disturb:
    """Refuse what needs space; what is there can be renamed and deleted."""

    def disturb(count: int, kind: str) -> bool:
        if count >= number and kind in ("open", "os.mkdir", "fsync"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return False

    return disturb


@pytest.mark.slow
@NEEDS_FORK
def test_killed_anywhere_it_can_be_undone_or_done_again(round_, spoilt, tmp_path, snapshot) -> None:
    """After SIGKILL at every single change of the disk, undo gives the old bytes and times, and apply the new bytes."""
    start, end = round_
    original, wanted = snapshot(spoilt), snapshot(end, with_times=False)
    killed = 0
    for number in range(1, 500):
        root = tmp_path / str(number)
        folder = copy_of(start, root)
        if disturbed(folder, killed_at(number), applies=True) is not None:
            break
        killed += 1
        again = copy_of(folder, root / "again")
        if (folder / FOLDER).exists():
            call(folder, undoes=True)
        if snapshot(again, with_times=False) != wanted:  # else it was killed when all was done
            call(again, applies=True)

        assert snapshot(folder) == original, number
        assert snapshot(again, with_times=False) == wanted, number

    assert killed > 40


@pytest.mark.slow
@NEEDS_FORK
def test_killed_while_undoing_it_can_be_undone(spoilt, mended, tmp_path, snapshot) -> None:
    """After SIGKILL at every change of an undo of two rounds, another undo gives the old bytes and times."""
    original = snapshot(spoilt)
    killed = 0
    for number in range(1, 500):
        folder = copy_of(mended, tmp_path / str(number))
        if disturbed(folder, killed_at(number), undoes=True) is not None:
            break
        killed += 1
        if (folder / FOLDER).exists():
            call(folder, undoes=True)

        assert snapshot(folder) == original, number

    assert killed > 20


@pytest.mark.slow
@NEEDS_FORK
def test_killed_while_committing_it_can_be_committed(mended, tmp_path, snapshot) -> None:
    """After SIGKILL at every change of a commit, the dataset is as applied and another commit cleans up."""
    wanted = {name: value for name, value in snapshot(mended).items() if name != FOLDER}
    killed = 0
    for number in range(1, 500):
        folder = copy_of(mended, tmp_path / str(number))
        if disturbed(folder, killed_at(number), commits=True) is not None:
            break
        killed += 1
        with contextlib.suppress(UserError):
            call(folder, commits=True)

        assert snapshot(folder) == wanted, number

    assert killed > 10


@pytest.mark.slow
@NEEDS_FORK
@pytest.mark.parametrize(
    ("round_", "refusal"),
    [("first round", lambda number: refused_at(number, errno.EACCES)), ("second round", full_from)],
    ids=["refused once", "full from then on"],
    indirect=["round_"],
)
def test_whatever_the_disk_refuses_nothing_is_half_done(round_, refusal, tmp_path, snapshot) -> None:
    """The first change is refused, then the second, and so on: all is done, or nothing and a sentence says so."""
    start, end = round_
    before, after = snapshot(start), snapshot(end, with_times=False)
    codes = []
    for number in range(1, 500):
        folder = copy_of(start, tmp_path / str(number))
        codes.append(disturbed(folder, refusal(number), applies=True))
        if codes[-1] == REFUSED:
            assert snapshot(folder) == before, number
        else:
            assert snapshot(folder, with_times=False) == after, number
        if codes[-1] == UNDISTURBED:
            break

    assert set(codes) <= {0, 1, REFUSED, UNDISTURBED}
    assert codes.count(REFUSED) > 20


# --- without a kill ------------------------------------------------------------------------------------------------


@pytest.fixture
def applied(mended: Path, tmp_path: Path) -> Path:
    """A dataset with two rounds of changes."""
    return copy_of(mended, tmp_path)


def test_all_rounds_are_undone(spoilt, applied, snapshot) -> None:
    """Undo brings back what was there before the first --apply, to the byte and the nanosecond."""
    call(applied, undoes=True)

    assert snapshot(applied) == snapshot(spoilt)


def test_a_copied_dataset_can_be_undone(spoilt, mended, tmp_path, snapshot) -> None:
    """A dataset that went to another disk without its times and empty folders still knows its own files."""
    folder = tmp_path / "copied"
    shutil.copytree(mended, folder, copy_function=shutil.copyfile)
    (folder / STAGED).rmdir()
    call(folder, undoes=True)

    contents = {name: value[0] for name, value in snapshot(spoilt).items() if isinstance(value, tuple)}
    assert {name: value[0] for name, value in snapshot(folder).items() if isinstance(value, tuple)} == contents


def test_commit_leaves_the_new_files_only(applied, mended, snapshot) -> None:
    """After a commit nothing of the journal is left, nothing else is touched, and there is nothing to undo."""
    call(applied, commits=True)

    assert snapshot(applied) == {name: value for name, value in snapshot(mended).items() if name != FOLDER}
    with pytest.raises(UserError, match="no changes that could be undone"):
        call(applied, undoes=True)


def test_a_file_that_the_user_edited_is_not_lost(spoilt, applied, snapshot) -> None:
    """Undo refuses to overwrite it and changes nothing; once it is moved away, undo goes through."""
    path = applied / "dataset.json"
    path.write_text(path.read_text(encoding="utf-8").replace("organ", "liver"), encoding="utf-8")
    before = snapshot(applied)

    with pytest.raises(UserError, match=r"dataset\.json was changed after --apply"):
        call(applied, undoes=True)
    assert snapshot(applied) == before

    path.rename(applied.parent / "mine.json")
    call(applied, undoes=True)
    assert snapshot(applied) == snapshot(spoilt)


def test_a_file_that_came_back_is_not_lost(applied, snapshot) -> None:
    """Where an old name is taken again, undo says so and changes nothing."""
    (applied / "imagesTr/case_001.nii.gz").write_bytes(b"exported again")
    (applied / "imagesTr/._case_003_0000.nii.gz").write_bytes(b"\0\5\x16\7")
    before = snapshot(applied)

    with pytest.raises(UserError, match=r"case_001\.nii\.gz") as caught:
        call(applied, undoes=True)
    assert "._case_003_0000.nii.gz" in str(caught.value)
    assert snapshot(applied) == before


def test_a_file_that_the_user_deleted_comes_back_if_it_can(spoilt, applied, snapshot, run) -> None:
    """A rewritten label is restored; a renamed image is gone for good, and undo says so."""
    (applied / "labelsTr/case_003.nii.gz").unlink()
    (applied / "imagesTr/case_001_0000.nii.gz").unlink()
    done = run(applied, undoes=True)

    wanted = {name: value for name, value in snapshot(spoilt).items() if name != "imagesTr/case_001.nii.gz"}
    assert snapshot(applied) == wanted
    assert "imagesTr/case_001.nii.gz" in done.text


def test_a_torn_line_of_the_journal_was_never_written(applied, mended, snapshot) -> None:
    """The system died while a third round was written down: the first two count."""
    path = applied / FOLDER / "journal.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[: len(whole) // 3])

    assert not Journal(applied).is_interrupted
    call(applied, applies=True)
    assert snapshot(applied, with_times=False) == snapshot(mended, with_times=False)
    assert path.read_bytes() == whole


def test_a_strangers_journal_cannot_reach_out(tmp_path) -> None:
    """A dataset from somewhere else whose journal names files elsewhere is refused."""
    folder = build("ct", tmp_path, CASES)
    (tmp_path / "precious").write_text("mine", encoding="utf-8")
    (folder / "outside").symlink_to(tmp_path)
    for new in ("../precious", str(tmp_path / "precious"), "outside/precious", "a/../../precious", ""):
        (folder / FOLDER).mkdir(exist_ok=True)
        steps = [{"step": "rename", "old": new, "new": "imagesTr/x.nii.gz"}]
        (folder / FOLDER / "journal.jsonl").write_text(json.dumps({"steps": steps, "written": {}}) + "\n", "utf-8")
        with pytest.raises(UserError, match="outside of the dataset"):
            call(folder, undoes=True)

    assert (tmp_path / "precious").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("content", [b"{}\n", b"[]\n", b"\xff\n", b'{"steps": [{"step": "format"}], "written": {}}\n'])
def test_a_journal_that_is_none(content, tmp_path) -> None:
    """Nothing is done on the word of a file that is not understood."""
    folder = build("ct", tmp_path, CASES)
    (folder / FOLDER).mkdir()
    (folder / FOLDER / "journal.jsonl").write_bytes(content)

    with pytest.raises(UserError, match="cannot be understood|is not a journal of this doctor"):
        call(folder, applies=True)


def test_a_linked_journal_folder_is_refused(spoilt, tmp_path) -> None:
    """Originals are never put behind a link."""
    folder = copy_of(spoilt, tmp_path)
    (tmp_path / "elsewhere").mkdir()
    (folder / FOLDER).symlink_to(tmp_path / "elsewhere")

    with pytest.raises(UserError, match="is a link"):
        call(folder, applies=True)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_two_runs_at_once(spoilt, tmp_path, snapshot) -> None:
    """The second is refused while the first lives, and also when it may live on another machine."""
    folder = copy_of(spoilt, tmp_path)
    (folder / FOLDER).mkdir()
    other = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    own = lock.machine()
    lock_file = folder / FOLDER / f"lock.{own}.{other.pid}"
    lock_file.touch()
    before = snapshot(folder)
    for options in ({}, {"applies": True}, {"undoes": True}, {"commits": True}):
        with pytest.raises(UserError, match=f"process {other.pid} on {own}"):
            call(folder, **options)
    other.communicate(b"\n")

    assert snapshot(folder) == before
    call(folder, applies=True)
    call(folder, undoes=True)
    assert snapshot(folder) == snapshot(spoilt)

    (folder / FOLDER).mkdir()
    (folder / FOLDER / f"lock.elsewhere.{other.pid}").touch()
    with pytest.raises(UserError, match="on elsewhere"):
        call(folder, applies=True)


def test_too_little_space_is_said_beforehand(spoilt, tmp_path, snapshot, monkeypatch) -> None:
    """What will not fit is not begun."""
    folder = copy_of(spoilt, tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 10**6))

    with pytest.raises(UserError, match=r"need up to \d+ MB .* 1 MB are free; nothing was changed"):
        call(folder, applies=True)
    assert snapshot(folder) == snapshot(spoilt)


@pytest.mark.parametrize("after", [0, 1, 2, 5, 9])
def test_ctrl_c_takes_everything_back(after, spoilt, tmp_path, snapshot, monkeypatch) -> None:
    """Interrupted between two renames, the dataset is as it was."""
    folder = copy_of(spoilt, tmp_path)
    count = 0

    def impatient(*arguments: object) -> None:
        nonlocal count
        count += 1
        if count == after + 1:
            raise KeyboardInterrupt
        move(*arguments)

    monkeypatch.setattr(journal_module, "move", impatient)
    with pytest.raises(KeyboardInterrupt):
        call(folder, applies=True)

    assert snapshot(folder) == snapshot(spoilt)


def test_what_another_program_changes_meanwhile_is_kept(spoilt, tmp_path, snapshot, monkeypatch) -> None:
    """A label that was saved again after it was looked at is not replaced by what was made of the old one."""
    folder = copy_of(spoilt, tmp_path)
    path = folder / "labelsTr/case_003.nii.gz"
    stage = Journal._stage

    def saved_meanwhile(*arguments: object) -> None:
        stage(*arguments)
        path.write_bytes(b"new")

    monkeypatch.setattr(Journal, "_stage", saved_meanwhile)
    with pytest.raises(UserError, match="changed by somebody else"):
        call(folder, applies=True)

    expected = snapshot(spoilt)
    assert path.read_bytes() == b"new"
    assert {name: value for name, value in snapshot(folder).items() if "case_003.nii" not in name} == {
        name: value for name, value in expected.items() if "case_003.nii" not in name
    }


def test_capitals_where_the_file_system_ignores_them(tmp_path, monkeypatch) -> None:
    """a.NII.GZ becomes a.nii.gz by way of another name, and each state of it is recognised."""
    step = Rename("a.NII.GZ", "a.nii.gz")
    (tmp_path / KEPT).mkdir(parents=True)
    (tmp_path / step.old).touch()

    def is_there_somehow(folder: Path, path: str) -> bool:
        whole = folder / path
        return any(item.name.casefold() == whole.name.casefold() for item in whole.parent.iterdir())

    monkeypatch.setattr(steps, "is_there", is_there_somehow)
    seen = [step.done(tmp_path, 7)]
    for old, new in step.moves(7):
        move(tmp_path, old, new)
        seen.append(step.done(tmp_path, 7))

    assert seen == [0, 1, 2]
    assert [item.name for item in tmp_path.iterdir() if item.is_file()] == ["a.nii.gz"]


def test_a_rename_never_replaces_a_file(tmp_path) -> None:
    """Should the new name be taken at the last moment, both files stay."""
    (tmp_path / "old").write_text("1", encoding="utf-8")
    (tmp_path / "new").write_text("2", encoding="utf-8")

    with pytest.raises(FileExistsError):
        move(tmp_path, "old", "new")
    assert [(tmp_path / name).read_text(encoding="utf-8") for name in ("old", "new")] == ["1", "2"]


def test_permissions_stay(spoilt, tmp_path) -> None:
    """A label that the group may write stays so."""
    folder = copy_of(spoilt, tmp_path)
    path = folder / "labelsTr/case_003.nii.gz"
    path.chmod(0o664)
    call(folder, applies=True)

    assert path.stat().st_mode & 0o777 == 0o664
