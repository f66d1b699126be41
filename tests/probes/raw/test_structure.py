"""Which files belong to which case: names, folders and what lies in them, one finding for each cause."""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shared import tries

from nnunet_doctor.probes.raw import structure
from nnunet_doctor.probes.raw.description import Description, understand
from nnunet_doctor.probes.raw.structure import arrange, arrange_images

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such names or files")
ENDING = ".nii.gz"


def described(channels=1, cases=6, ending=ENDING, **more):
    """Return a description without fault."""
    content = {
        "channel_names": {str(number): f"MR{number}" for number in range(channels)},
        "labels": {"background": 0, "tumour": 1},
        "numTraining": cases,
        "file_ending": ending,
        **more,
    }
    found = understand(json.dumps(content).encode())
    assert found.faults == ()
    return found


@pytest.fixture
def dataset(tmp_path):
    """Return a maker of datasets of empty files: six cases, with names added and taken away."""

    def make(*added, without=(), channels=1, ending=ENDING, cases=6):
        names = [f"labelsTr/case_{number}{ending}" for number in range(cases)]
        names += [
            f"imagesTr/case_{number}_{channel:04d}{ending}" for number in range(cases) for channel in range(channels)
        ]
        for name in (*names, *added):
            if name not in without:
                path = tmp_path / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
        return str(tmp_path)

    return make


def found_in(folder, description=None):
    """Return what is found, by id: the subjects."""
    return {
        id: [subject for subject, _ in items] for id, items in arrange(folder, description or described()).found.items()
    }


# --- as nnU-Net does -----------------------------------------------------------------------------------------------


def test_cases(dataset):
    """Cases are what lies before the channel, in order, with their files and what is known of these."""
    folder = dataset(channels=2)
    arranged = arrange(folder, described(2))

    assert arranged.found == {}
    assert [case.id for case in arranged.cases] == [f"case_{number}" for number in range(6)]
    assert arranged.cases[3].images == {0: "imagesTr/case_3_0000.nii.gz", 1: "imagesTr/case_3_0001.nii.gz"}
    assert arranged.cases[3].label == "labelsTr/case_3.nii.gz"
    status = Path(folder, "labelsTr/case_3.nii.gz").stat()
    assert arranged.stats["labelsTr/case_3.nii.gz"] == (0, status.st_mtime_ns, status.st_ino)
    assert len(arranged.stats) == 18


ODD = ["a b", "a.b", "a_0000", "_a", "-a", "CASE", "\u809d\u810f", "a+b(1)[2]", "a.nii", "0000_0001", "a" * 90]


@pytest.mark.parametrize("id", ODD)
def test_odd_names_that_are_right(dataset, id):
    """Blanks, dots, brackets, Chinese, and what looks like a channel, in the middle of a name are no faults."""
    arranged = arrange(dataset(f"imagesTr/{id}_0000.nii.gz", f"labelsTr/{id}.nii.gz"), described(cases=7))

    assert arranged.found == {}
    (case,) = [case for case in arranged.cases if case.id == id]
    assert (case.images, case.label) == ({0: f"imagesTr/{id}_0000.nii.gz"}, f"labelsTr/{id}.nii.gz")


NAMES = st.text(st.sampled_from("ab_0019.-\n \u00e9(+"), min_size=1, max_size=12)


def cases_by_nnunet(names, ending):
    """Return the images of each case as nnU-Net's get_identifiers_from_splitted_dataset_folder and create_paths_fn do."""
    names = [name for name in names if name.endswith(ending)]
    ids = {name[: -(len(ending) + 5)] for name in names}
    return {
        id: [name for name in sorted(names) if re.fullmatch(re.escape(id) + r"_\d\d\d\d" + re.escape(ending), name)]
        for id in ids
    }


@posix
@given(stems=st.sets(st.one_of(NAMES, NAMES.map(lambda name: f"{name}_0000"), NAMES.map(lambda name: f"{name}_0001"))))
@settings(max_examples=tries(100), deadline=None)
def test_cases_as_nnunet_makes_them(tmp_path_factory, stems):
    """Every file that nnU-Net takes for an image is the image of that case here, or is named as what is wrong."""
    folder = tmp_path_factory.mktemp("raw")
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir()
    names = {f"{stem}{ENDING}" for stem in stems}
    for name in names:
        (folder / "imagesTr" / name).touch()
    arranged = arrange(str(folder), described(2))
    named = {subject for items in arranged.found.values() for subject, _ in items}
    ours = {case.id: [path.partition("/")[2] for path in case.images.values()] for case in arranged.cases}

    for id, images in cases_by_nnunet(names, ENDING).items():
        if ours.get(id, []) != images or not images:
            cut = [name for name in names if name[: -len(ENDING) - 5] == id]
            assert {f"imagesTr/{name}" for name in cut} & named, id
    for name in names:
        path = f"imagesTr/{name}"
        assert path in named or any(path in case.images.values() for case in arranged.cases)


# --- one finding for each cause ------------------------------------------------------------------------------------

CASE_0, LABEL_0 = "imagesTr/case_0_0000.nii.gz", "labelsTr/case_0.nii.gz"


@pytest.mark.parametrize(
    ("added", "without", "expected"),
    [
        ([], [LABEL_0], {"label-missing": [LABEL_0]}),
        ([], [CASE_0], {"label-orphan": [LABEL_0], "num-training": ["dataset.json"]}),
        (["labelsTr/other.nii.gz"], [], {"label-orphan": ["labelsTr/other.nii.gz"]}),
        (["imagesTr/case_0.nii.gz"], [CASE_0], {"bad-image-name": ["imagesTr/case_0.nii.gz"]}),
        (["imagesTr/case_0_0.nii.gz"], [CASE_0], {"bad-image-name": ["imagesTr/case_0_0.nii.gz"]}),
        (["imagesTr/case_0_00000.nii.gz"], [CASE_0], {"bad-image-name": ["imagesTr/case_0_00000.nii.gz"]}),
        (["imagesTr/case_0-0000.nii.gz"], [CASE_0], {"bad-image-name": ["imagesTr/case_0-0000.nii.gz"]}),
        (["labelsTr/case_0_0000.nii.gz"], [LABEL_0], {"bad-image-name": ["labelsTr/case_0_0000.nii.gz"]}),
        (["imagesTr/case_0_0000.NII.GZ"], [CASE_0], {"wrong-file-ending": ["imagesTr/case_0_0000.NII.GZ"]}),
        (["imagesTr/case_0_0000.nii"], [CASE_0], {"wrong-file-ending": ["imagesTr/case_0_0000.nii"]}),
        (["labelsTr/case_0.nrrd"], [LABEL_0], {"wrong-file-ending": ["labelsTr/case_0.nrrd"]}),
        (["imagesTr/case_0_0000.nii"], [], {"nii-beside-gz": [CASE_0]}),
        (["labelsTr/case_0.nii"], [], {"nii-beside-gz": [LABEL_0]}),
        (["imagesTr/case_0_0001.nii.gz"], [], {"channel-extra": ["imagesTr/case_0_0001.nii.gz"]}),
        (["imagesTr/._case_0_0000.nii.gz"], [], {"hidden-file": ["imagesTr/._case_0_0000.nii.gz"]}),
        (["labelsTr/.case_0.nii.gz"], [], {"hidden-file": ["labelsTr/.case_0.nii.gz"]}),
        (["imagesTr/README.md", "imagesTr/Thumbs.db", "imagesTr/.DS_Store", "labelsTr/x.json"], [], {}),
        (["imagesTs/new_0000.nii.gz"], [], {}),
        (["imagesTs/new.nii.gz"], [], {"test-images": ["imagesTs/new.nii.gz"]}),
    ],
)
def test_names(dataset, added, without, expected):
    """What is wrong with a name is one finding that names the file, and nothing that follows from it is another."""
    assert found_in(dataset(*added, without=without)) == expected


def test_channel_that_is_missing(dataset):
    """The file of a missing channel is named, for every case that lacks it."""
    missing = ["imagesTr/case_1_0001.nii.gz", "imagesTr/case_4_0000.nii.gz"]

    assert found_in(dataset(channels=2, without=missing), described(2)) == {"channel-missing": missing}


def test_channels_numbered_alike(dataset):
    """nnU-Net goes by the order of a case's files: numbers from 1 do no harm if all cases have them."""
    folder = dataset(channels=3, without=[f"imagesTr/case_{number}_0000.nii.gz" for number in range(6)])
    arranged = arrange(folder, described(2))

    assert arranged.found == {}
    assert arranged.cases[0].images == {0: "imagesTr/case_0_0001.nii.gz", 1: "imagesTr/case_0_0002.nii.gz"}


def test_channels_beyond_measure(dataset):
    """However many channels dataset.json declares, the first few missing ones are named, and how many more there are."""
    begun = time.process_time()
    arranged = arrange(dataset(), Description(channels=("x",) * 10**7, file_ending=ENDING, cases=6))
    missing = arranged.found["channel-missing"]

    assert len(missing) == 6 * structure.MOST_MISSING
    assert missing[0] == ("imagesTr/case_0_0001.nii.gz", "")
    assert missing[structure.MOST_MISSING - 1] == ("imagesTr/case_0_0020.nii.gz", f"and {10**7 - 21} more")
    assert time.process_time() - begun < 2


def test_channels_in_one_file(dataset):
    """A picture may hold all channels: only a hole in the numbers is a channel that is missing."""
    ending = ".png"
    assert found_in(dataset(ending=ending), described(3, ending=ending)) == {}
    assert found_in(dataset("imagesTr/case_0_0002.png", ending=ending), described(3, ending=ending)) == {
        "channel-missing": ["imagesTr/case_0_0001.png"]
    }


def test_numbers(dataset):
    """numTraining is compared with what is there; a case whose name is wrong is one that was meant."""
    folder = dataset("imagesTr/case_6.nii.gz", "labelsTr/case_6.nii.gz")

    assert arrange(folder, described(cases=9)).found["num-training"] == [
        ("dataset.json", "numTraining 9; cases found: 6")
    ]
    for cases in (6, 7):
        assert found_in(folder, described(cases=cases)) == {"bad-image-name": ["imagesTr/case_6.nii.gz"]}


@pytest.mark.parametrize("cases", [1, 4, 5])
def test_few_cases(dataset, cases):
    """Fewer than five cases are too few, counting those whose label or name has to be mended first."""
    few = {"cases-few": ["imagesTr"]} if cases < 5 else {}

    folder = dataset(cases=cases)
    assert found_in(folder, described(cases=cases)) == few
    Path(folder, LABEL_0).unlink()
    assert found_in(folder, described(cases=cases)) == {"label-missing": [LABEL_0], **few}
    Path(folder, CASE_0).rename(Path(folder, "imagesTr/case_0.nii.gz"))
    found = found_in(folder, described(cases=cases))
    assert found.get("cases-few") == (few.get("cases-few") if cases > 1 else None)


@pytest.mark.parametrize(
    ("there", "expected"),
    [
        ([], [("imagesTr", ""), ("labelsTr", "")]),
        (["ImagesTr_old", "images", "labels"], [("imagesTr", "ImagesTr_old, images"), ("labelsTr", "labels")]),
        (["imagesTr"], [("labelsTr", "")]),
    ],
)
def test_folders_that_are_missing(tmp_path, there, expected):
    """A folder that is missing is named with what resembles it, and none of its files is said to be missing."""
    for name in there:
        (tmp_path / name).mkdir()
        (tmp_path / name / "case_0_0000.nii.gz").touch()
    arranged = arrange(str(tmp_path), described(cases=1))

    assert arranged.found.pop("folder-missing") == expected
    assert set(arranged.found) <= {"cases-few"}


def test_folder_that_is_a_file(tmp_path):
    """A dataset that is a file, or is gone, lacks its folders."""
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "gone"):
        assert found_in(str(folder)) == {"folder-missing": ["imagesTr", "labelsTr"]}


def test_no_cases(dataset):
    """When the ending is another one than that of all files, the finding says so."""
    arranged = arrange(dataset(), described(ending=".nrrd"))

    assert arranged.found["no-cases"] == [("imagesTr", "6 x .nii.gz; file_ending .nrrd")]
    assert arranged.cases == []


def test_ending_that_is_not_known(dataset):
    """Without file_ending the most common ending is taken for what was meant."""
    folder = dataset("imagesTr/x_0000.nrrd")

    assert len(arrange(folder, Description()).cases) == 6


@posix
@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["Case_0"], {"id-collision": ["imagesTr/case_0_0000.nii.gz"]}),
        (["\u00e9", "e\u0301"], {"id-collision": ["imagesTr/\u00e9_0000.nii.gz"]}),
        ([" x"], {"id-awkward": ["imagesTr/ x_0000.nii.gz"]}),
        (["x "], {"id-awkward": ["imagesTr/x _0000.nii.gz"]}),
        (["x\ny"], {"id-awkward": ["imagesTr/x\ny_0000.nii.gz"]}),
        (["x:y"], {"id-awkward": ["imagesTr/x:y_0000.nii.gz"]}),
        (["x" * 101], {"id-awkward": [f"imagesTr/{'x' * 101}_0000.nii.gz"]}),
        (["x_seg"], {"id-awkward": ["imagesTr/x_seg_0000.nii.gz"]}),
        (["\udce9"], {"id-awkward": ["imagesTr/\udce9_0000.nii.gz"]}),
    ],
)
def test_names_that_break_later(dataset, names, expected):
    """Names that are one on other systems, or that later steps stumble over, are named; nothing is raised."""
    if sys.platform == "darwin" and ("\udce9" in names or "e\u0301" in names):
        pytest.skip("macOS has no such names")
    added = [path for name in names for path in (f"imagesTr/{name}_0000.nii.gz", f"labelsTr/{name}.nii.gz")]

    assert found_in(dataset(*added), described(cases=6 + len(names))) == expected


# --- no files ------------------------------------------------------------------------------------------------------


@posix
def test_what_is_no_file(dataset, monkeypatch):
    """Folders, FIFOs, sockets, devices and broken links are named as such, and are no cases that miss something."""
    kinds = ("folder", "fifo", "socket", "device", "broken", "loop")
    folder = dataset(*(f"labelsTr/{kind}.nii.gz" for kind in kinds))
    monkeypatch.chdir(folder)
    for where, suffix in (("imagesTr", "_0000.nii.gz"), ("labelsTr", ".nii.gz")):
        names = {
            kind: f"{where}/{kind if where == 'imagesTr' else 'case_' + str(at)}{suffix}"
            for at, kind in enumerate(kinds)
        }
        for name in names.values():
            Path(name).unlink(missing_ok=True)
        Path(names["folder"]).mkdir()
        os.mkfifo(names["fifo"])
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(names["socket"])
        Path(names["device"]).symlink_to("/dev/null")
        Path(names["broken"]).symlink_to("nothing")
        Path(names["loop"]).symlink_to(Path(names["loop"]).name)
    arranged = arrange(folder, described())

    assert arranged.found == {
        "not-a-file": [
            ("imagesTr/device_0000.nii.gz", "character device"),
            ("imagesTr/fifo_0000.nii.gz", "FIFO"),
            ("imagesTr/folder_0000.nii.gz", "folder"),
            ("imagesTr/socket_0000.nii.gz", "socket"),
            ("labelsTr/case_0.nii.gz", "folder"),
            ("labelsTr/case_1.nii.gz", "FIFO"),
            ("labelsTr/case_2.nii.gz", "socket"),
            ("labelsTr/case_3.nii.gz", "character device"),
        ],
        "broken-link": [
            ("imagesTr/broken_0000.nii.gz", "-> nothing"),
            ("imagesTr/loop_0000.nii.gz", "-> loop_0000.nii.gz"),
            ("labelsTr/case_4.nii.gz", "-> nothing"),
            ("labelsTr/case_5.nii.gz", "-> case_5.nii.gz"),
        ],
    }


@posix
def test_links(dataset, tmp_path):
    """Links to files and to folders are as good as these."""
    folder = dataset()
    Path(folder, "imagesTr").rename(tmp_path / "elsewhere")
    Path(folder, "imagesTr").symlink_to("elsewhere")
    Path(folder, LABEL_0).rename(tmp_path / "label")
    Path(folder, LABEL_0).symlink_to("../label")

    assert found_in(folder) == {}


@pytest.mark.parametrize("name", ["imagesTr", "labelsTr", "imagesTs"])
def test_folder_without_permission(dataset, monkeypatch, name):
    """A folder that may not be listed is unreadable, not missing, and its files are not missing either."""
    folder = dataset("imagesTs/new_0000.nii.gz")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith(name):
            raise PermissionError(errno.EACCES, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)
    assert found_in(folder) == ({} if name == "imagesTs" else {"unreadable": [name]})


@posix
@pytest.mark.parametrize("is_link", [False, True])
def test_file_without_permission(dataset, monkeypatch, is_link):
    """A file of which not even the size may be known is unreadable, and so is one behind a folder that is closed."""
    folder = dataset()
    path = Path(folder, LABEL_0)
    if is_link:
        path.unlink()
        path.symlink_to("closed/label.nii.gz")
    entry = structure._entry

    class Closed:
        """An entry of a folder, as os.scandir gives it, that cannot be looked at."""

        def __init__(self, inner):
            self.name, self.path, self.is_symlink = inner.name, inner.path, inner.is_symlink

        def stat(self):
            raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(structure, "_entry", lambda item, at: entry(Closed(item) if at == LABEL_0 else item, at))
    assert arrange(folder, described()).found == {"unreadable": [(LABEL_0, "read error: Permission denied")]}


# --- cases that dataset.json lists ---------------------------------------------------------------------------------


def listed(folder, cases, channels=1, count=None):
    """Return what is found in a dataset that lists its cases."""
    content = {id: {"images": images, "label": label} for id, (images, label) in cases.items()}
    return arrange(folder, described(channels, len(cases) if count is None else count, dataset=content))


FILES = {
    f"case {number}": ([f"imagesTr/case_{number}_0000.nii.gz"], f"labelsTr/case_{number}.nii.gz") for number in range(6)
}


def test_listed_cases(dataset, tmp_path, monkeypatch):
    """Listed files may lie anywhere: relative, absolute, above, behind a link and behind a variable."""
    folder = dataset("imagesTr/deep/er.nii.gz")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "a.nii.gz").touch()
    monkeypatch.setenv("MADE_UP", str(tmp_path / "outside"))
    cases = {
        **FILES,
        "variable": (["$MADE_UP/a.nii.gz"], "${MADE_UP}/a.nii.gz"),
        "absolute": ([str(tmp_path / "outside" / "a.nii.gz")], "imagesTr/../labelsTr/case_0.nii.gz"),
        "above": ([f"../{tmp_path.name}/outside/a.nii.gz"], "./imagesTr/deep/er.nii.gz"),
    }
    arranged = listed(folder, cases)

    assert arranged.found == {}
    found = {case.id: (case.images, case.label) for case in arranged.cases}
    assert found["case 0"] == ({0: CASE_0}, LABEL_0)
    assert found["variable"] == ({0: "outside/a.nii.gz"}, "outside/a.nii.gz")
    assert found["absolute"] == ({0: "outside/a.nii.gz"}, LABEL_0)
    assert found["above"] == ({0: "outside/a.nii.gz"}, "imagesTr/deep/er.nii.gz")
    assert set(arranged.stats) == {path for case in arranged.cases for path in (*case.images.values(), case.label)}


def test_listed_outside(dataset, tmp_path):
    """Files outside of the dataset keep their whole path."""
    dataset()
    (tmp_path / "inner").mkdir()
    arranged = listed(str(tmp_path / "inner"), {"a": ([f"../{CASE_0}"], str(tmp_path / LABEL_0))})

    (case,) = arranged.cases
    assert case.images == {0: f"{tmp_path}/{CASE_0}".replace(os.sep, "/")}
    assert case.label == f"{tmp_path}/{LABEL_0}".replace(os.sep, "/")


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ((["imagesTr/gone.nii.gz"], LABEL_0), {"json-path": [("imagesTr/gone.nii.gz", "a")]}),
        (([CASE_0], "labelsTr/gone.nii.gz"), {"json-path": [("labelsTr/gone.nii.gz", "a")]}),
        (([CASE_0], "$NOT_THERE/x.nii.gz"), {"json-path": [("$NOT_THERE/x.nii.gz", "a")]}),
        (([CASE_0], "labelsTr"), {"not-a-file": [("labelsTr", "folder")]}),
        (([CASE_0], ""), {"not-a-file": [(".", "folder")]}),
        (([CASE_0, LABEL_0], LABEL_0), {"channel-extra": [(LABEL_0, "a: 2 of 1 channels")]}),
        ((["\ud800.nii.gz"], LABEL_0), {"json-path": [("\ud800.nii.gz", "a")]}),
        (([f"{'x' * 5000}.nii.gz"], LABEL_0), {"json-path": [(f"{'x' * 5000}.nii.gz", "a")]}),
    ],
)
def test_listed_cases_with_a_fault(dataset, case, expected):
    """What is wrong with a listed case is one finding; the others are as they are."""
    assert listed(dataset(), {**FILES, "a": case}).found == expected


def test_listed_labels_of_another_format(dataset):
    """A listed label is copied to a name with file_ending, under which only a .nii for .nii.gz can be read."""
    folder = dataset("labelsTr/a.nrrd", "labelsTr/a.nii", "labelsTr/A.NII.GZ", "imagesTr/a.nrrd")
    for label, expected in (
        ("labelsTr/a.nrrd", {"wrong-file-ending": [("labelsTr/a.nrrd", ".nrrd")]}),
        ("labelsTr/a.nii", {}),
        ("labelsTr/A.NII.GZ", {}),
    ):
        assert listed(folder, {**FILES, "a": (["imagesTr/a.nrrd"], label)}).found == expected


def test_listed_cases_without_a_channel(dataset):
    """A listed case with fewer images than channels lacks one."""
    folder = dataset(channels=2)
    cases = {id: ([*images, images[0].replace("_0000", "_0001")], label) for id, (images, label) in FILES.items()}

    assert listed(folder, cases, 2).found == {}
    cases["case 0"] = FILES["case 0"]
    assert listed(folder, cases, 2).found == {"channel-missing": [(CASE_0, "case 0: 1 of 2 channels")]}


def test_listed_cases_in_another_number(dataset):
    """numTraining is compared with the listed cases, whatever lies in the folders."""
    assert listed(dataset(), FILES, count=7).found == {
        "num-training": [("dataset.json", "numTraining 7; cases found: 6")]
    }


@posix
def test_listed_files_that_are_none(dataset, monkeypatch):
    """Listed FIFOs and links to nothing are named as what they are."""
    folder = dataset()
    monkeypatch.chdir(folder)
    os.mkfifo("fifo.nii.gz")
    Path("link.nii.gz").symlink_to("nothing")
    found = listed(folder, {**FILES, "a": (["fifo.nii.gz"], LABEL_0), "b": ([CASE_0], "link.nii.gz")}).found

    assert found == {"not-a-file": [("fifo.nii.gz", "FIFO")], "broken-link": [("link.nii.gz", "link.nii.gz")]}


# --- images to predict ---------------------------------------------------------------------------------------------


def test_images_to_predict(dataset):
    """A folder of images has cases without labels, and the same faults of names."""
    folder = dataset("imagesTr/x.nii.gz")
    arranged = arrange_images(str(Path(folder, "imagesTr")), ENDING, 1)

    assert arranged.found == {"bad-image-name": [("x.nii.gz", "")]}
    assert next((case.images, case.label) for case in arranged.cases) == ({0: "case_0_0000.nii.gz"}, None)


def test_images_to_predict_that_are_not_there(tmp_path, monkeypatch):
    """A folder that is not there, that is empty, or that may not be listed, is said to be so."""
    assert arrange_images(str(tmp_path / "gone"), ENDING, 1).found == {"folder-missing": [("gone", "")]}
    assert arrange_images(str(tmp_path), ENDING, 1).found == {"no-cases": [(".", "file_ending .nii.gz")]}
    monkeypatch.setattr("os.scandir", lambda _: (_ for _ in ()).throw(PermissionError(errno.EACCES, "no")))
    assert list(arrange_images(str(tmp_path), ENDING, 1).found) == ["unreadable"]


# --- many ----------------------------------------------------------------------------------------------------------


def test_many_files(monkeypatch):
    """A hundred thousand files are arranged, in a second, however many of them have odd names."""

    def entries(_, name):
        end, count = ("_0000.nii.gz", 50_000) if name == "imagesTr" else (".nii.gz", 50_000)
        names = [f"{['case', 'Case', 'x y', 'é'][number % 4]}_{number // 2}{end}" for number in range(count)]
        return [structure._Entry(item, f"{name}/{item}", (1, 2, 3)) for item in names] if name != "imagesTs" else []

    monkeypatch.setattr(structure, "_entries", entries)
    arranged = arrange("nowhere", described(2, cases=50_000))

    assert len(arranged.cases) == 50_000
    assert len(arranged.found["channel-missing"]) == 50_000
    assert len(arranged.found["id-collision"]) == 12_500
