"""A whole survey: the same findings by one process or several, with the cache or without, and an end to every trouble."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from made_up_nifti import write_nifti

from nnunet_doctor.probes.raw import crew, examine, survey, voxels
from nnunet_doctor.probes.raw.survey import Means, survey_dataset

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has none")
DEPTHS = ("quick", "default", "deep")
GRID = {"pixdim": (1, 0.8, 0.8, 2.5)}


def voxels_of(number):
    """Return an image and a label unlike those of any other number."""
    randomly = np.random.default_rng(number)
    label = np.zeros((20, 18, 12), "u1")
    label[number + 1 : number + 6, 4:9, 2:5] = 1
    return randomly.normal(500, 100, label.shape).astype("i2"), label


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Make a sound dataset of six cases with two channels."""
    folder = tmp_path_factory.mktemp("raw") / "Dataset001_MadeUp"
    for number in range(6):
        for channel in range(2):
            write_nifti(folder / f"imagesTr/c{number}_{channel:04d}.nii.gz", voxels_of(number)[0] + channel, **GRID)
        write_nifti(folder / f"labelsTr/c{number}.nii.gz", voxels_of(number)[1], **GRID)
    content = {
        "channel_names": {"0": "T1", "1": "T2"},
        "labels": {"background": 0, "tumour": 1},
        "numTraining": 6,
        "file_ending": ".nii.gz",
    }
    (folder / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


@pytest.fixture
def dataset(template, tmp_path):
    """Return a copy of the sound dataset that may be spoilt."""
    return Path(shutil.copytree(template, tmp_path / template.name))


def spoil(folder):
    """Plant one fault of each family; return what is to be found at the default depth."""
    write_nifti(folder / "labelsTr/c1.nii.gz", voxels_of(1)[1] * 3, **GRID)
    path = folder / "imagesTr/c2_0001.nii.gz"
    path.write_bytes(path.read_bytes()[:-20])
    write_nifti(folder / "imagesTr/c3_0000.nii.gz", voxels_of(3)[0], pixdim=(1, 0.8, 0.8, 2.6))
    shutil.copy(folder / "imagesTr/c4_0000.nii.gz", folder / "imagesTr/c5_0000.nii.gz")
    (folder / "imagesTr/c0.nii.gz").touch()
    return {
        "label-unexpected": ["labelsTr/c1.nii.gz"],
        "unreadable": ["imagesTr/c2_0001.nii.gz"],
        "spacing-mismatch": ["imagesTr/c3_0000.nii.gz"],
        "duplicate-image": ["imagesTr/c4_0000.nii.gz", "imagesTr/c5_0000.nii.gz"],
        "bad-image-name": ["imagesTr/c0.nii.gz"],
    }


def found_in(result):
    """Return the subjects of each finding."""
    return {id: [subject for subject, _ in items] for id, items in result.found.items() if items}


def look(folder, depth="default", **means):
    """Survey a dataset, without the cache unless told otherwise."""
    return survey_dataset(str(folder), depth, Means(**{"caches": False, **means}))


@pytest.mark.parametrize("depth", DEPTHS)
def test_sound(template, depth):
    """A sound dataset is without fault at every depth."""
    result = look(template, depth)

    assert found_in(result) == {}
    assert (len(result.cases), len(result.reports), result.reader) == (6, 18, "SimpleITKIO")
    assert result.is_complete


def test_faults(dataset):
    """Every planted fault is one finding, all in one survey."""
    expected = spoil(dataset)

    assert found_in(look(dataset)) == expected


def test_processes(dataset, monkeypatch):
    """Several processes find what one finds."""
    spoil(dataset)
    alone = look(dataset, "deep")
    monkeypatch.setattr(crew, "WORTH_SECONDS", 0)
    together = look(dataset, "deep", processors=lambda: 3)

    assert together.found == alone.found
    assert together.reports == alone.reports


@pytest.mark.parametrize("depth", DEPTHS)
def test_cache(dataset, tmp_path, monkeypatch, depth):
    """A second survey finds the same without opening a file, and after a change opens the changed one alone."""
    spoil(dataset)
    means = {"caches": True, "environ": {"HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path)}}
    plain = look(dataset, depth)
    first = look(dataset, depth, **means)
    opened = []
    inner = examine.examine
    monkeypatch.setattr(crew, "examine", lambda task: opened.append(Path(task.path).name) or inner(task))
    second = look(dataset, depth, **means)

    assert opened == []
    assert plain.found == first.found == second.found
    assert plain.reports == first.reports == second.reports
    assert plain.undecided == second.undecided
    write_nifti(dataset / "labelsTr/c1.nii.gz", voxels_of(1)[1], **GRID)
    assert "label-unexpected" not in found_in(look(dataset, depth, **means))
    assert opened == ["c1.nii.gz"]


def test_cache_of_a_deeper_look(template, tmp_path, monkeypatch):
    """What was decoded once need not be decoded for a quicker look, but what was looked at quickly must be."""
    means = {"caches": True, "environ": {"HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path)}}
    opened = []
    inner = examine.examine
    monkeypatch.setattr(crew, "examine", lambda task: opened.append(task) or inner(task))

    for depth, expected in (("quick", 18), ("deep", 18), ("deep", 0), ("default", 0), ("quick", 0)):
        opened.clear()
        look(template, depth, **means)
        assert len(opened) == expected, depth


def test_names_only(template, monkeypatch):
    """Without a depth no file is opened but dataset.json."""
    monkeypatch.setattr(crew, "examine_all", lambda *_: pytest.fail("a file is opened"))
    result = look(template, None)

    assert (found_in(result), result.reports, len(result.cases)) == ({}, {}, 6)


def test_quick(template, monkeypatch):
    """The quick look decodes no voxels, and says of what depends on them that it is not decided."""
    monkeypatch.setattr(voxels, "tally", lambda *_, **__: pytest.fail("voxels are decoded"))
    result = look(template, "quick")

    assert result.decoded == 0
    assert {"label-unexpected", "nan", "class-never-occurs"} <= set(result.undecided)


def test_progress(template):
    """The progress tells how many files and bytes are done, and which part of the work, up to all of it."""
    seen = []
    look(template, progress=seen.append)

    assert [item.done for item in seen] == list(range(1, 19))
    assert {item.files for item in seen} == {18}
    assert seen[-1].bytes == sum(path.stat().st_size for path in template.rglob("*.nii.gz"))
    assert [item.share for item in seen] == sorted(item.share for item in seen)
    assert seen[-1].share == pytest.approx(1)


# --- changes in the middle -----------------------------------------------------------------------------------------


def once_at(done, action):
    """Return a listener of the progress that does something when so many files are done."""
    return lambda progress: action() if progress.done == done else None


def test_file_that_is_written_to(dataset, tmp_path, monkeypatch):
    """A file that changes while it is read is said to have changed, and is read again the next time."""
    means = {"caches": True, "environ": {"HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path)}}
    path = dataset / "labelsTr/c3.nii.gz"
    inner = voxels.tally
    times = iter(range(99))

    def tally(pieces, dtype, size, *, counts):
        if counts:
            time = next(times)
            os.utime(path, ns=(time, time))
        return inner(pieces, dtype, size, counts=counts)

    monkeypatch.setattr(voxels, "tally", tally)
    result = look(dataset, **means)
    assert result.found == {"unreadable": [("labelsTr/c3.nii.gz", "changed while it was read")]}
    monkeypatch.undo()
    assert found_in(look(dataset, **means)) == {}


@posix
@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (lambda path: path.unlink(), ("unreadable", "read error: No such file or directory")),
        (lambda path: (path.unlink(), os.mkfifo(path)), ("not-a-file", "FIFO")),
        (lambda path: (path.unlink(), path.mkdir()), ("not-a-file", "folder")),
        (lambda path: (path.unlink(), path.symlink_to("nothing")), ("broken-link", "-> nothing")),
        (lambda path: path.write_bytes(b""), ("unreadable", "0 bytes")),
    ],
)
def test_file_that_is_another_meanwhile(dataset, tmp_path, action, expected):
    """A file that is gone, or something else, between listing and reading is a finding, and is not remembered as one."""
    means = {"caches": True, "environ": {"HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path)}}
    path = dataset / "labelsTr/c5.nii.gz"
    kept = path.read_bytes()
    result = look(dataset, progress=once_at(3, lambda: action(path)), **means)

    assert result.found == {expected[0]: [("labelsTr/c5.nii.gz", expected[1])]}
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
    path.write_bytes(kept)
    assert found_in(look(dataset, **means)) == {}


def test_dataset_that_vanishes(dataset):
    """When the whole dataset is deleted in the middle, what was left is unreadable, and nothing is raised."""
    result = look(dataset, progress=once_at(3, lambda: shutil.rmtree(dataset)))

    assert set(found_in(result)) <= {"unreadable", "duplicate-image", "duplicate-label"}
    assert len(result.found["unreadable"]) == 15


@pytest.mark.parametrize("processors", [1, 3])
def test_interrupted(dataset, tmp_path, monkeypatch, processors):
    """Ctrl-C ends a survey with what was found; what was not looked at is not decided, and the next one goes on there."""
    monkeypatch.setattr(crew, "WORTH_SECONDS", 0)
    monkeypatch.setattr(crew, "BATCH_SECONDS", 1e-9)
    spoil(dataset)
    means = {"caches": True, "environ": {"HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path)}}
    counted = []

    def listen(progress):
        counted.append(progress)
        if len(counted) == 7:
            raise KeyboardInterrupt

    result = look(dataset, progress=listen, processors=lambda: processors, **means)
    assert not result.is_complete
    assert 7 <= len(result.reports) < 18
    assert result.undecided["unreadable"] == "the survey was interrupted"
    # a class may be in what was not looked at
    assert not {"class-never-occurs", "no-foreground"} & set(found_in(result))
    counted.clear()
    assert found_in(look(dataset, progress=counted.append, **means)) == spoil(dataset)
    assert len(counted) == 18 - len(result.reports)


# --- what is no dataset --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [None, *DEPTHS])
@pytest.mark.parametrize("kind", ["file", "gone", "empty"])
def test_no_dataset(tmp_path, kind, depth):
    """A file, nothing, or an empty folder in place of a dataset lack everything, and nothing is raised."""
    folder = tmp_path / "Dataset001_MadeUp"
    if kind == "file":
        folder.write_text("a file", encoding="utf-8")
    elif kind == "empty":
        folder.mkdir()

    assert found_in(look(folder, depth)) == {
        "json-missing": ["dataset.json"],
        "folder-missing": ["imagesTr", "labelsTr"],
    }


@posix
@pytest.mark.parametrize("kind", ["folder", "fifo", "loop"])
def test_no_description(dataset, kind):
    """What is no file in place of dataset.json is not waited for; the files are surveyed by their names."""
    path = dataset / "dataset.json"
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("dataset.json")
    result = look(dataset)

    assert found_in(result) == {"json-missing": ["dataset.json"]}
    assert len(result.reports) == 18


@posix
@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has UTF-8 names only")
def test_names_that_are_not_utf8(dataset, tmp_path, monkeypatch):
    """A name that is not UTF-8 is a finding, and the other files are surveyed and remembered."""
    means = {"caches": True, "environ": {"HOME": str(tmp_path)}}
    monkeypatch.setattr(crew, "WORTH_SECONDS", 0)
    for name in ("imagesTr/c5_0000", "imagesTr/c5_0001", "labelsTr/c5"):
        (dataset / f"{name}.nii.gz").rename(dataset / f"{name.replace('c5', chr(0xDCE9))}.nii.gz")
    result = look(dataset, processors=lambda: 2, **means)

    assert found_in(result) == {"id-awkward": ["imagesTr/\udce9_0000.nii.gz"]}
    assert len(result.reports) == 18
    counted = []
    look(dataset, progress=counted.append, **means)
    assert len(counted) == 3


def test_many_files_beside(dataset):
    """Thousands of other files beside imagesTr do not matter."""
    (dataset / "other").mkdir()
    for number in range(survey.MOST_LOOKED_AT * 2):
        (dataset / f"{number}.txt").touch()

    assert found_in(look(dataset, "quick")) == {}
