"""What is remembered of files: only what the same file would give again, and only as long as nothing is wrong with it."""

from __future__ import annotations

import itertools
import json
import os
import sys
import threading
from pathlib import Path

import msgspec
import pytest
from made_up_nifti import rewrite

from nnunet_doctor.probes.raw import cache
from nnunet_doctor.probes.raw.cache import Cache, cache_folder, maker
from nnunet_doctor.probes.raw.record import FileReport, Header, Tally, Task

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has none")
STATUS = (1000, 1_700_000_000_000_000_001, 42)
TASK = Task("/data/imagesTr/a_0000.nii.gz", "image", "SimpleITKIO", "floats")
REPORT = FileReport(
    Header("nifti", (2, 3, 4), 1, "<f4", (1.0, 0.1, 1 / 3), (0.0, -1e-300, 5.0), (), encoding="gzip", offset=352),
    [("nan", "NaN voxels: 3, read as 0")],
    Tally([(0.0, 5), (0.1, 2)], lowest=0.0, highest=3.4028234663852886e38, nans=3),
    "voxels 0123",
    96,
)


@pytest.fixture
def environ(tmp_path):
    """Return an environment with a home of its own."""
    folder = str(tmp_path / "home")
    return {"HOME": folder, "LOCALAPPDATA": folder}


@pytest.fixture
def kept(environ):
    """Return a maker of caches of one dataset, and keep one report in it."""
    first = Cache("/data", environ)
    first.put("a", STATUS, TASK, REPORT)
    first.save()
    return lambda folder="/data": Cache(folder, environ)


def test_hit(kept):
    """What was kept comes back as it was, to the last bit."""
    assert kept().get("a", STATUS, TASK) == REPORT


@pytest.mark.parametrize("place", [0, 1, 2])
def test_file_that_has_changed(kept, place):
    """A file with another size, time or inode is another file."""
    status = tuple(value + (at == place) for at, value in enumerate(STATUS))

    assert kept().get("a", status, TASK) is None


@pytest.mark.parametrize("change", [{"role": "label"}, {"reader": "NibabelIO"}])
def test_other_question(kept, change):
    """A file is seen otherwise as a label, and by another reader."""
    assert kept().get("a", STATUS, msgspec.structs.replace(TASK, **change)) is None
    assert kept().get("b", STATUS, TASK) is None


@pytest.mark.parametrize(("known", "asked"), [*itertools.product(["none", "floats", "all"], repeat=2)])
def test_depth(environ, known, asked):
    """A report of a deeper look answers the question of a shallower one, and never the other way round."""
    first = Cache("/data", environ)
    first.put("a", STATUS, msgspec.structs.replace(TASK, decodes=known), REPORT)
    first.save()
    found = Cache("/data", environ).get("a", STATUS, msgspec.structs.replace(TASK, decodes=asked))

    order = ["none", "floats", "all"]
    assert (found == REPORT) == (order.index(known) >= order.index(asked))


def test_what_may_be_another_time(environ):
    """A report that the same file may not give again is not kept, and nothing is written for it."""
    first = Cache("/data", environ)
    first.put("a", STATUS, TASK, FileReport(faults=[("unreadable", "read error: x")], stable=False))
    first.save()

    assert first.get("a", STATUS, TASK) is None
    assert not Path(environ["HOME"]).exists()


def test_other_dataset(kept, environ):
    """Datasets do not know of each other's files, even if their files in the cache have one name."""
    other = kept("/other")
    assert other.get("a", STATUS, TASK) is None
    other.path.parent.mkdir(parents=True, exist_ok=True)
    other.path.write_bytes(Cache("/data", environ).path.read_bytes())

    assert kept("/other").get("a", STATUS, TASK) is None


def test_other_code(kept, monkeypatch):
    """Another release, or another version of a module, asks every file again."""
    monkeypatch.setattr(cache, "__version__", "0.0.1")

    assert kept().get("a", STATUS, TASK) is None
    monkeypatch.undo()
    assert kept().get("a", STATUS, TASK) == REPORT
    folder = Path(cache.__file__).parent
    assert all(path.name in maker() for path in (*folder.glob("*.py"), *folder.glob("formats/*.py")))


# --- what is wrong with it -----------------------------------------------------------------------------------------


def changed(document, *keys, to):
    """Return a document with one value changed."""
    copy = json.loads(json.dumps(document))
    inner = copy
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = to
    return json.dumps(copy).encode()


def test_damaged(kept):
    """Whatever is in the file, nothing is raised, and what is not right is not known."""
    path = kept().path
    good = path.read_bytes()
    document = json.loads(good)
    damaged = [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        good[: len(good) // 2],
        good + b"x",
        good.replace(b"SimpleITKIO", b"\xff"),
        changed(document, "files", to=[]),
        changed(document, "files", "a", to=None),
        changed(document, "files", "a", 0, to=[1, 2]),
        changed(document, "files", "a", 1, to="other"),
        changed(document, "files", "a", 3, to="deeper"),
        changed(document, "files", "a", 4, to=[]),
        changed(document, "files", "a", 4, 0, 4, to=[None, 1.0, 1.0]),
        changed(document, "made_by", to="somebody"),
    ]
    for content in damaged:
        rewrite(path, content)
        found = kept().get("a", STATUS, TASK)
        assert found in (None, FileReport()), content
    path.write_bytes(good)
    assert kept().get("a", STATUS, TASK) == REPORT


def test_every_bit(kept):
    """A file with any bit flipped is read without an error."""
    path = kept().path
    good = path.read_bytes()
    for place in range(0, len(good), 3):
        content = bytearray(good)
        content[place] ^= 1 << place % 8
        rewrite(path, content)
        kept().get("a", STATUS, TASK)


def test_huge(kept, monkeypatch):
    """A file that is larger than any should be is not read."""
    monkeypatch.setattr(cache, "MOST_BYTES", 100)

    assert kept().get("a", STATUS, TASK) is None


@posix
@pytest.mark.parametrize("make", ["mkfifo", "mkdir", "symlink"])
def test_no_file(kept, make):
    """A FIFO, a folder or a device in its place is not waited for, and does not keep a survey from going on."""
    path = kept().path
    path.unlink()
    if make == "symlink":
        path.symlink_to("/dev/zero")
    else:
        getattr(os, make)(path)
    there = kept()

    assert there.get("a", STATUS, TASK) is None
    there.put("a", STATUS, TASK, REPORT)
    there.save()


@pytest.mark.parametrize("place", ["home", "home/.cache", "home/.cache/nnunet-doctor"])
def test_not_writable(tmp_path, place):
    """Where the folder cannot be made, nothing is kept, and nothing is raised."""
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("a file", encoding="utf-8")
    environ = {"HOME": str(tmp_path / "home"), "LOCALAPPDATA": str(path)}
    there = Cache("/data", environ)
    there.put("a", STATUS, TASK, REPORT)
    there.save()

    assert Cache("/data", environ).get("a", STATUS, TASK) is None


def test_full_disk(kept, monkeypatch):
    """When the disk is full the old file stays, and nothing is left beside it."""

    def refuse(*_):
        raise OSError(28, "No space left on device")

    there = kept()
    there.put("b", STATUS, TASK, REPORT)
    monkeypatch.setattr("os.replace", refuse)
    there.save()
    monkeypatch.undo()

    assert [path.name for path in there.path.parent.iterdir()] == [there.path.name]
    assert kept().get("a", STATUS, TASK) == REPORT
    assert kept().get("b", STATUS, TASK) is None


def test_names_that_are_not_utf8(kept):
    """One name that cannot be written does not make the others forgotten."""
    there = kept()
    there.put("caf\udce9", STATUS, TASK, REPORT)
    there.put("\u809d", STATUS, TASK, REPORT)
    there.save()

    assert kept().get("\u809d", STATUS, TASK) == REPORT
    assert kept().get("caf\udce9", STATUS, TASK) is None
    there = kept("/caf\udce9")
    there.put("a", STATUS, TASK, REPORT)
    there.save()
    assert kept("/caf\udce9").get("a", STATUS, TASK) == REPORT


@pytest.mark.parametrize("folder", ["/", "/" + "x" * 200, "/" + "\u809d" * 80, "/a\nb", "/.."])
def test_folders_of_any_name(environ, folder):
    """The file in the cache has a name that systems take, whatever the dataset is called."""
    there = Cache(folder, environ)
    there.put("a", STATUS, TASK, REPORT)
    there.save()

    assert Cache(folder, environ).get("a", STATUS, TASK) == REPORT
    assert there.path.parent == cache_folder(environ)


# --- several at a time ---------------------------------------------------------------------------------------------


def test_concurrent_writers(kept):
    """Surveys that end at the same time leave the whole file of one of them, and nothing else."""
    writers = [kept() for _ in range(8)]
    for number, writer in enumerate(writers):
        for at in range(50):
            writer.put(f"{number}-{at}", STATUS, TASK, REPORT)
    threads = [threading.Thread(target=writer.save) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    there = kept()

    assert len(there.files) == 51
    assert len(list(there.path.parent.iterdir())) == 1


def test_nothing_new(kept):
    """What is all known already is not written again."""
    there = kept()
    before = there.path.stat().st_mtime_ns
    there.get("a", STATUS, TASK)
    os.utime(there.path, ns=(5, 5))
    there.save()

    assert there.path.stat().st_mtime_ns == 5 != before


@pytest.mark.parametrize(
    ("platform", "environ", "expected"),
    [
        ("linux", {"HOME": "/home/me"}, "/home/me/.cache/nnunet-doctor/datasets"),
        ("linux", {"HOME": "/home/me", "XDG_CACHE_HOME": "/fast"}, "/fast/nnunet-doctor/datasets"),
        ("darwin", {"HOME": "/Users/me"}, "/Users/me/Library/Caches/nnunet-doctor/datasets"),
        ("win32", {"USERPROFILE": "C:/me", "LOCALAPPDATA": "C:/me/Local"}, "C:/me/Local/nnunet-doctor/datasets"),
        ("win32", {"USERPROFILE": "C:/me"}, "C:/me/AppData/Local/nnunet-doctor/datasets"),
    ],
)
def test_place(monkeypatch, platform, environ, expected):
    """The cache lies where the system keeps caches."""
    monkeypatch.setattr(sys, "platform", platform)

    assert cache_folder(environ) == Path(expected)
