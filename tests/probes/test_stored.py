"""Preprocessed cases: which are there, which lack a file, and which are cut."""

from __future__ import annotations

import os
import pickle
import struct
import zipfile

import pytest

from nnunet_doctor.facts import Detail
from nnunet_doctor.probes import stored


def frame(size=200, declared=None):
    """Return a file as Blosc2 writes it: its head declares the length of the whole."""
    head = b"\x9e\xa8b2frame\0\xd2" + struct.pack(">i", 203) + b"\xcf" + struct.pack(">Q", declared or size)
    return head + b"x" * (size - len(head))


def npz(path):
    """Write a zip file, as numpy's savez does."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("data.npy", b"x" * 100)
    return path


@pytest.fixture
def folder(tmp_path):
    """Make the folder of a configuration with two sound cases, stored as b2nd."""
    for case in ("a", "b"):
        (tmp_path / f"{case}.b2nd").write_bytes(frame())
        (tmp_path / f"{case}_seg.b2nd").write_bytes(frame())
        (tmp_path / f"{case}.pkl").write_bytes(pickle.dumps({"spacing": (1, 1, 1)}))
    return tmp_path


def test_sound_cases(folder):
    """Nothing is said of cases that are whole."""
    found = stored.look(folder, every=True)

    assert (found.format, found.cases) == ("b2nd", ("a", "b"))
    assert (found.incomplete, found.damaged, found.strangers) == ({}, {}, ())


@pytest.mark.parametrize(
    ("missing", "incomplete"),
    [("a.pkl", {"a": "a.pkl"}), ("b_seg.b2nd", {"b": "b_seg.b2nd"}), ("b.b2nd", {})],
)
def test_a_case_that_lacks_a_file(folder, missing, incomplete):
    """A case is what has a data file, and each other file that it lacks is named."""
    (folder / missing).unlink()

    assert stored.look(folder).incomplete == incomplete


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.b2nd", b"", "a.b2nd: 0 bytes"),
        ("a_seg.b2nd", frame(200, declared=201), "a_seg.b2nd: cut off, 200 bytes"),
        ("a.b2nd", b"\0" * 300, "a.b2nd: cut off, 300 bytes"),
        ("a.b2nd", frame()[:10], "a.b2nd: cut off, 10 bytes"),
        (
            "a.pkl",
            pickle.dumps(list(range(100)))[:-1],
            f"a.pkl: cut off, {len(pickle.dumps(list(range(100)))) - 1} bytes",
        ),
    ],
)
def test_a_file_that_is_cut(folder, name, content, what):
    """An empty file, one that is shorter than it says, and a pickle without its end are told, with their size."""
    (folder / name).write_bytes(content)

    assert stored.look(folder).damaged == {"a": what}


def test_npz(tmp_path):
    """Cases of older releases consist of npz and pkl; an npz without its directory is cut."""
    for case in ("a", "b"):
        npz(tmp_path / f"{case}.npz")
        (tmp_path / f"{case}.pkl").write_bytes(pickle.dumps({}))
    (tmp_path / "b.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:-30])
    (tmp_path / "a.npy").write_bytes(b"x")

    found = stored.look(tmp_path)

    assert (found.format, found.cases, found.packed) == ("npz", ("a", "b"), 1)
    assert list(found.damaged) == ["b"]


def test_an_empty_npy_is_damage_and_a_cut_one_is_not(tmp_path):
    """nnU-Net unpacks a cut npy anew, and stops at an empty one."""
    npz(tmp_path / "a.npz")
    npz(tmp_path / "b.npz")
    (tmp_path / "a.npy").write_bytes(b"")
    (tmp_path / "b_seg.npy").write_bytes(b"\x93NUMPY")

    assert stored.look(tmp_path).damaged == {"a": "a.npy: 0 bytes"}


def test_only_the_newest_files_are_opened(folder, monkeypatch):
    """What was written long before the end of preprocessing is sound; a deep look opens it all the same."""
    monkeypatch.setattr(stored, "NEWEST", 3)
    (folder / "a.b2nd").write_bytes(frame(200, declared=201))
    for path in folder.iterdir():
        os.utime(path, (1000, 1000) if path.name.startswith("a") else (2000, 2000))

    assert stored.look(folder).damaged == {}
    assert list(stored.look(folder, every=True).damaged) == ["a"]


@pytest.mark.parametrize(
    ("names", "strangers"),
    [
        ([".DS_Store"], [Detail(".DS_Store")]),
        (["a.b2nd.aQ3x", "notes.txt"], [Detail("a.b2nd.aQ3x"), Detail("notes.txt")]),
        (
            [f"{n}.npz" for n in range(3)],
            [*(Detail(f"{c}.b2nd") for c in ("a", "a_seg", "b", "b_seg")), *(Detail(f"{n}.npz") for n in range(3))],
        ),
        ([f"{n}.json" for n in range(9)], [Detail("*.json", "9")]),
    ],
)
def test_files_that_do_not_belong(folder, names, strangers):
    """What keeps nnU-Net from telling the format is named; of two formats both are, and of many files the number."""
    for name in names:
        (folder / name).write_bytes(b"x")

    found = stored.look(folder)

    assert (found.format, found.cases) == ("mixed", None)
    assert list(found.strangers) == strangers


def test_a_large_dataset_is_listed_and_not_opened(tmp_path, monkeypatch):
    """Of many hundreds of files only the newest are opened."""
    for number in range(400):
        (tmp_path / f"case_{number}.b2nd").write_bytes(frame(30))
        (tmp_path / f"case_{number}_seg.b2nd").write_bytes(frame(30))
        (tmp_path / f"case_{number}.pkl").write_bytes(b".")
    opened = []
    monkeypatch.setattr(stored, "is_cut", lambda path, *_: opened.append(path))
    found = stored.look(tmp_path)

    assert len(found.cases) == 400
    assert len(opened) == stored.NEWEST
