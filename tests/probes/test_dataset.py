"""The dataset that the user names, its preprocessed data, and what a training would find in its folder."""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
import tracemalloc
from pathlib import Path

import pytest

from nnunet_doctor.facts import Detail, Unknown
from nnunet_doctor.probes import dataset, stored
from nnunet_doctor.probes.dataset import NoSuchDatasetError, layout_of
from nnunet_doctor.probes.jsonfile import read_json
from nnunet_doctor.probes.plans import resolved
from nnunet_doctor.probes.results import training_state

GOOD = {
    "channel_names": {"0": "CT"},
    "labels": {"background": 0, "tumour": 1},
    "numTraining": 3,
    "file_ending": ".nii.gz",
}

PLANS = {
    "dataset_name": "Dataset010_Colon",
    "configurations": {
        "2d": {"data_identifier": "nnUNetPlans_2d", "batch_size": 12, "patch_size": [512, 448]},
        "3d_fullres": {"batch_size": 2, "patch_size": [56, 192, 192]},
        "3d_bs4": {"inherits_from": "3d_fullres", "batch_size": 4, "data_identifier": "nnUNetPlans_3d_fullres"},
    },
}


@pytest.fixture
def bases(tmp_path):
    """Make nnU-Net's three folders, empty."""
    folders = {name: tmp_path / f"nnUNet_{name}" for name in ("raw", "preprocessed", "results")}
    for folder in folders.values():
        folder.mkdir()
    return folders


@pytest.fixture
def look(context_of, bases):
    """Return the facts about a dataset that is named in this way."""

    def look(named, **words):
        environ = {f"nnUNet_{name}": str(folder) for name, folder in bases.items()}
        return dataset.look(context_of(environ, dataset=named, **words)).values

    return look


def write(path, content):
    """Write a JSON file, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def raw_dataset(folder, content=None):
    """Make a raw dataset with this dataset.json and one image."""
    write(folder / "dataset.json", GOOD if content is None else content)
    (folder / "imagesTr").mkdir()
    (folder / "imagesTr" / "case_001_0000.nii.gz").touch()
    return folder


def with_peak(work):
    """Return what a function returns, and the most bytes of memory that it took."""
    tracemalloc.start()
    try:
        return work(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


# --- which dataset -------------------------------------------------------------------------------------------------


def test_no_dataset(look):
    """Where no dataset is named every fact about one is None, and not unknown."""
    values = look(None)

    assert set(values.values()) == {None}
    assert {"dataset.resolution", "preprocessed.plans_state", "training.state"} <= set(values)


def test_source_of_what_is_not_found(context_of, bases):
    """The evidence of a dataset that is named and not found does not say that none is named."""
    context = context_of({"nnUNet_raw": str(bases["raw"])}, dataset="10")

    assert dataset.look(context).sources["dataset.folder"] == "not found"
    assert dataset.look(context_of()).sources["dataset.folder"] == "no dataset is named"


@pytest.mark.parametrize("named", ["10", "010", "Dataset010_Colon"])
def test_dataset_by_id_and_name(look, bases, named):
    """A dataset is found by its number, however many zeros, and by its name."""
    folder = raw_dataset(bases["raw"] / "Dataset010_Colon")
    (bases["preprocessed"] / "Dataset010_Colon").mkdir()

    values = look(named)

    expected = {
        "dataset.resolution": "found",
        "dataset.id": 10,
        "dataset.name": "Dataset010_Colon",
        "dataset.matches": (Detail("Dataset010_Colon", "nnUNet_raw, nnUNet_preprocessed"),),
        "dataset.near_misses": (),
        "dataset.folder": str(folder),
        "dataset.layout": "nnunet",
        "dataset.json_state": "ok",
        "dataset.json_error": None,
        "dataset.json_missing_keys": (),
        "dataset.file_ending": ".nii.gz",
        "dataset.training_cases": 3,
        "dataset.channels": 1,
        "dataset.labels": 2,
    }
    assert {name: values[name] for name in expected} == expected


@pytest.mark.parametrize("end", ["", "/"])
def test_dataset_by_folder(look, tmp_path, end):
    """A folder that lies elsewhere is looked at where it is, and its name says which dataset it is."""
    folder = raw_dataset(tmp_path / "download" / "Dataset010_Colon")

    values = look(f"{folder}{end}")

    assert (values["dataset.resolution"], values["dataset.id"]) == ("found", 10)
    assert values["dataset.folder"] == str(folder.resolve())
    assert values["dataset.json_state"] == "ok"


def test_dataset_by_relative_folder(look, tmp_path, monkeypatch):
    """A folder may be named from the working folder, a dot included."""
    folder = raw_dataset(tmp_path / "Dataset010_Colon")

    monkeypatch.chdir(tmp_path)
    assert look("./Dataset010_Colon")["dataset.folder"] == str(folder.resolve())
    monkeypatch.chdir(folder)
    assert look(".")["dataset.name"] == "Dataset010_Colon"


def test_folder_that_is_named_like_a_dataset_where_the_user_stands(look, tmp_path, monkeypatch):
    """A name that nnU-Net's folders do not hold is a folder of this name, if there is one."""
    raw_dataset(tmp_path / "elsewhere" / "Dataset077_Lung")
    monkeypatch.chdir(tmp_path / "elsewhere")
    values = look("Dataset077_Lung")

    assert (values["dataset.resolution"], values["dataset.id"]) == ("found", 77)
    assert values["dataset.folder"] == str((tmp_path / "elsewhere" / "Dataset077_Lung").resolve())


def test_name_is_looked_up_as_nnunet_does(look, bases, monkeypatch):
    """A name means the dataset in nnU-Net's folders, also where the working folder holds one of that name."""
    folder = raw_dataset(bases["raw"] / "Dataset010_Colon")
    write(bases["preprocessed"] / "Dataset010_Colon" / "dataset.json", {"channel_names": {}})
    monkeypatch.chdir(bases["preprocessed"])

    values = look("Dataset010_Colon")

    assert values["dataset.folder"] == str(folder)
    assert values["dataset.channels"] == 1


def test_dataset_without_raw_data(look, bases):
    """A dataset that is only preprocessed can be trained; about its raw data nothing is known."""
    write(bases["preprocessed"] / "Dataset010_Colon" / "nnUNetPlans.json", PLANS)

    values = look("10")

    assert values["dataset.matches"] == (Detail("Dataset010_Colon", "nnUNet_preprocessed"),)
    assert (values["dataset.folder"], values["dataset.json_state"]) == (None, None)
    assert values["preprocessed.configurations"] == ("2d", "3d_fullres", "3d_bs4")


def test_ambiguous_id(look, bases):
    """Two names with one number are ambiguous, and it is said where each lies; a name is not."""
    raw_dataset(bases["raw"] / "Dataset010_Colon")
    (bases["results"] / "Dataset010_Kidney").mkdir()

    values = look("10")

    assert (values["dataset.resolution"], values["dataset.name"], values["dataset.id"]) == ("ambiguous", None, 10)
    assert values["dataset.matches"] == (
        Detail("Dataset010_Colon", "nnUNet_raw"),
        Detail("Dataset010_Kidney", "nnUNet_results"),
    )
    assert look("Dataset010_Colon")["dataset.resolution"] == "found"


@pytest.mark.parametrize(
    ("named", "there"),
    [
        ("10", "Task10_Colon"),
        ("10", "Task010_Colon"),
        ("10", "Dataset10_Colon"),
        ("10", "dataset_10_Colon"),
        ("Dataset010_Colon", "Task10_Colon"),
        ("Dataset010_Colon", "Dataset10_Colon"),
        ("Dataset010_Colon", "Dataset011_Colon"),
        ("Dataset010_Colon", "Dataset010_Colonoscopy"),
        ("10", "download/Dataset010_Colon"),
        ("Dataset010_Colon", "download/Dataset010_Colon"),
    ],
)
def test_near_miss(look, bases, named, there):
    """A folder that the user may mean is named with its place: another form of the name, or one level too deep."""
    folder = bases["raw"] / there
    folder.mkdir(parents=True)
    (bases["raw"] / "Dataset099_Other").mkdir()
    (bases["raw"] / "Task100_Heart").mkdir()

    values = look(named)

    assert (values["dataset.resolution"], values["dataset.name"]) == ("absent", None)
    assert values["dataset.near_misses"] == (Detail(folder.name, str(folder.parent)),)


def test_wrong_case(look, bases):
    """A name in the wrong case is a near miss where the file system tells cases apart, and found where it does not."""
    folder = bases["raw"] / "Dataset010_Colon"
    folder.mkdir()
    if (bases["raw"] / "DATASET010_COLON").exists():
        assert look("Dataset010_colon")["dataset.resolution"] == "found"
    else:
        assert look("Dataset010_colon")["dataset.near_misses"] == (Detail("Dataset010_Colon", str(bases["raw"])),)


def test_nothing_like_it(look, bases):
    """Where nothing is like what the user names, nothing is offered."""
    (bases["raw"] / "Dataset099_Other").mkdir()

    for named in ("10", "Dataset010_Colon"):
        values = look(named)
        assert (values["dataset.resolution"], values["dataset.near_misses"]) == ("absent", ())


def test_near_miss_that_can_be_converted_is_read(look, bases):
    """The one Decathlon folder that is meant is looked into, so that the report can say how to convert it."""
    folder = raw_dataset(bases["raw"] / "Task10_Colon", {"modality": {"0": "CT"}, "labels": {"0": "background"}})
    (folder / "imagesTr" / "case_001_0000.nii.gz").rename(folder / "imagesTr" / "colon_001.nii.gz")

    values = look("10")

    assert values["dataset.folder"] == str(folder)
    assert values["dataset.layout"] == "decathlon"


@pytest.mark.parametrize("named", ["colon", "", " ", "10a", "-1", "3.5", "dataset010_Colon", "no/such/folder", "a\0b"])
def test_words_that_name_no_dataset(look, named):
    """What is no number, name or folder is the user's slip, told in a sentence that shows the right form."""
    with pytest.raises(NoSuchDatasetError, match=r"is no dataset: give its id \(10\), its name \(Dataset010_Colon\)"):
        look(named)


@pytest.mark.parametrize("named", ["9" * 5000, "Dataset010_" + "x" * 5000, "x" * 5000])
def test_endless_words_name_no_dataset(look, named):
    """A word of thousands of letters is no dataset; it is neither a crash nor an unknown."""
    with pytest.raises(NoSuchDatasetError):
        look(named)


def test_folders_that_are_not_there(context_of, tmp_path):
    """A base folder that does not exist, or is a file, holds no dataset."""
    (tmp_path / "file").touch()
    environ = {"nnUNet_raw": str(tmp_path / "file"), "nnUNet_results": str(tmp_path / "no"), "nnUNet_preprocessed": ""}

    for named in ("10", "Dataset010_Colon"):
        values = dataset.look(context_of(environ, dataset=named)).values
        assert (values["dataset.resolution"], values["dataset.near_misses"]) == ("absent", ())


# --- dataset.json --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "first", "expected"),
    [
        pytest.param(GOOD, "case_001_0000.nii.gz", "nnunet", id="nnU-Net"),
        pytest.param({**GOOD, "modality": {}}, "case_001.nii.gz", "nnunet", id="both"),
        pytest.param({"labels": {}}, "case_001.nii.gz", "nnunet", id="neither"),
        pytest.param({"modality": {"0": "CT"}}, "case_001_0000.nii.gz", "nnunet-v1", id="v1"),
        pytest.param({"modality": {"0": "MR"}}, "BRATS_001.nii.gz", "decathlon", id="Decathlon"),
        pytest.param({"modality": {"0": "MR"}}, None, "decathlon", id="no images"),
    ],
)
def test_layout(tmp_path, content, first, expected):
    """The Decathlon and nnU-Net v1 write 'modality'; only v1 numbers the channels in the names of images."""
    write(tmp_path / "dataset.json", content)
    if first is not None:
        (tmp_path / "imagesTr").mkdir()
        (tmp_path / "imagesTr" / first).touch()
        (tmp_path / "imagesTr" / "._hidden_0000.nii.gz").touch()
        (tmp_path / "imagesTr" / ".DS_Store").touch()

    assert layout_of(tmp_path) == expected


@pytest.mark.parametrize("content", [b"", b"{", b"[]"])
def test_layout_of_a_broken_dataset(tmp_path, content):
    """Without a dataset.json that can be read there is no telling."""
    (tmp_path / "dataset.json").write_bytes(content)

    assert layout_of(tmp_path) is None


@pytest.mark.parametrize(
    ("content", "error"),
    [
        pytest.param(b"", "line 1, column 1: Expecting value", id="empty"),
        pytest.param(b'{\n  "a": 1,\n  "b": 2\n  "c": 3\n}', "line 4, column 3: ", id="comma missing"),
        pytest.param(b"[" * 200_000, "it is nested too deeply", id="deep lists"),
        pytest.param(b'{"a":' * 200_000, "it is nested too deeply", id="deep objects"),
        pytest.param(b"[1, 2]", "it should hold an object, not a list", id="list"),
        pytest.param(b'"labels"', "it should hold an object, not a text", id="text"),
        pytest.param(b"null", "it should hold an object, not null", id="null"),
        pytest.param('{"a": 1}'.encode("utf-16"), "byte 0 is not UTF-8", id="UTF-16"),
        pytest.param('{"a": 1}'.encode("utf-16-le"), "line 1, column 2: ", id="UTF-16 without a mark"),
        pytest.param('{"labels": "肿瘤"}'.encode("gbk"), "byte 12 is not UTF-8", id="GBK"),
        pytest.param('{"a": 1}'.encode("utf-8-sig"), "it begins with a byte order mark", id="BOM"),
        pytest.param(
            b'{"numTraining": ' + b"9" * 5000 + b"}",
            "it holds a number that is too long to be read",
            id="endless number",
        ),
        pytest.param(b"\x00" * 100, "line 1, column 1: ", id="NUL bytes"),
    ],
)
def test_broken_json(tmp_path, content, error):
    """A file that nnU-Net could not read is invalid, with the place or the reason."""
    path = tmp_path / "dataset.json"
    path.write_bytes(content)

    begun = time.monotonic()
    found = read_json(path)

    assert found.state == "invalid"
    assert found.error[: len(error)] == error
    assert time.monotonic() - begun < 2


def test_huge_json_is_not_read(tmp_path):
    """A file that is huge, and takes no space on the disk, is refused by its size before it fills the memory."""
    path = tmp_path / "dataset.json"
    with path.open("wb") as file:
        file.truncate(200 * 1024**2)

    found, peak = with_peak(lambda: read_json(path))

    assert peak < 10 * 1024**2
    assert (found.state, found.error) == ("invalid", "it has more than 50 MB")


def test_missing_json(tmp_path):
    """A file that is not there is missing, and so is one whose name a folder has."""
    (tmp_path / "folder.json").mkdir()

    assert read_json(tmp_path / "dataset.json").state == "missing"
    assert read_json(tmp_path / "folder.json").state == "missing"
    assert read_json(tmp_path / "no" / "dataset.json").state == "missing"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pipes in folders")
def test_pipe_instead_of_json(tmp_path):
    """A pipe of that name, which nobody writes to, is not waited for."""
    os.mkfifo(tmp_path / "dataset.json")

    assert read_json(tmp_path / "dataset.json").state == "missing"


def test_unreadable_json(tmp_path, monkeypatch):
    """A file that the system does not hand out is unreadable, with the system's reason."""
    path = write(tmp_path / "dataset.json", GOOD)
    if sys.platform == "win32" or os.geteuid() == 0:

        def refuse(_path):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "read_bytes", refuse)
    else:
        path.chmod(0)

    found = read_json(path)

    assert (found.state, found.error) == ("unreadable", "Permission denied")


@pytest.mark.parametrize(
    ("content", "missing"),
    [
        ({}, ["channel_names", "labels", "numTraining", "file_ending"]),
        ({"labels": {}, "numTraining": 3}, ["channel_names", "file_ending"]),
        (GOOD, []),
    ],
)
def test_keys_that_nnunet_needs(look, bases, content, missing):
    """The keys that nnU-Net needs and that are not there are listed, all of them for an empty object."""
    raw_dataset(bases["raw"] / "Dataset010_Colon", content)

    values = look("10")

    assert values["dataset.json_missing_keys"] == tuple(map(Detail, missing))


@pytest.mark.parametrize("cases", ["3", 3.0, True, None, 10**400, float("nan")])
def test_wrong_types_in_dataset_json(look, bases, cases):
    """Values of the wrong type are no values; they are neither taken over nor a crash."""
    content = {"channel_names": "CT", "labels": 7, "numTraining": cases, "file_ending": ["nii"]}
    raw_dataset(bases["raw"] / "Dataset010_Colon", content)

    values = look("10")

    names = ("channels", "labels", "training_cases", "file_ending")
    assert [values[f"dataset.{name}"] for name in names] == [None, None, None, None]
    assert values["dataset.json_state"] == "ok"


def test_broken_dataset_json_costs_that_file_only(look, bases):
    """A broken dataset.json is a fact about itself; the preprocessed data beside it are looked at all the same."""
    folder = raw_dataset(bases["raw"] / "Dataset010_Colon")
    (folder / "dataset.json").write_bytes(b"[" * 200_000)
    write(bases["preprocessed"] / "Dataset010_Colon" / "nnUNetPlans.json", PLANS)

    values = look("10")

    assert (values["dataset.json_state"], values["dataset.layout"]) == ("invalid", None)
    assert values["preprocessed.plans_state"] == "ok"


# --- preprocessed data ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("configuration", "patch_size", "batch_size", "data_folder"),
    [
        ("2d", (512, 448), 12, "nnUNetPlans_2d"),
        ("3d_fullres", (56, 192, 192), 2, "nnUNetPlans_3d_fullres"),
        ("3d_bs4", (56, 192, 192), 4, "nnUNetPlans_3d_fullres"),
        ("3d_lowres", None, None, None),
    ],
)
def test_configuration(look, bases, configuration, patch_size, batch_size, data_folder):
    """A configuration is read with what it inherits; one that is not planned has nothing."""
    folder = bases["preprocessed"] / "Dataset010_Colon"
    write(folder / "nnUNetPlans.json", PLANS)
    write(folder / "dataset.json", GOOD)
    for name in ("colon_001.b2nd", "colon_001_seg.b2nd", "colon_001.pkl"):
        write(folder / str(data_folder) / name, {})

    values = look("10", configuration=configuration)

    assert (values["preprocessed.exists"], values["preprocessed.channels"]) == (True, 1)
    assert (values["preprocessed.patch_size"], values["preprocessed.batch_size"]) == (patch_size, batch_size)
    assert values["preprocessed.data_folder"] == (data_folder and str(folder / data_folder))
    assert (values["preprocessed.data_format"], values["preprocessed.cases"]) == (
        ("b2nd", 1) if data_folder else (None, None)
    )


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ([105.0, 512.0, 512.4], [512.0, 512.0], (105, 512, 512)),
        ([105.0, 512.0, 512.0], [96.3, 480, 480], (96, 480, 480)),
        ([1.0, 512.0, 512.0], [0.2, 512, 512], (1, 512, 512)),
        (None, [512.0, 512.0], (512, 512)),
        ([105.0, 512.0, 512.0], None, None),
    ],
)
def test_size_of_images(look, bases, shape, size, expected):
    """A 2D configuration has the slices of the original images, a 3D one its own, and no side is shorter than 1."""
    plans = {
        "original_median_shape_after_transp": shape,
        "configurations": {"2d": {"median_image_size_in_voxels": size}},
    }
    write(bases["preprocessed"] / "Dataset010_Colon" / "nnUNetPlans.json", plans)

    assert look("10", configuration="2d")["preprocessed.image_size"] == expected


def test_inheritance_in_a_circle_ends():
    """Configurations that inherit from each other, from themselves or from nothing end, with what they say."""
    circle = {
        "a": {"inherits_from": "b", "batch_size": 2},
        "b": {"inherits_from": "c", "patch_size": [8, 8]},
        "c": {"inherits_from": "a", "batch_size": 9, "spacing": [1, 1]},
        "self": {"inherits_from": "self", "batch_size": 3},
        "odd": {"inherits_from": ["a"], "batch_size": 4},
        "lost": {"inherits_from": "nothing", "batch_size": 5},
    }

    assert resolved(circle, "a")["batch_size"] == 2
    assert resolved(circle, "a")["patch_size"] == [8, 8]
    assert [resolved(circle, name)["batch_size"] for name in ("self", "odd", "lost")] == [3, 4, 5]
    assert resolved(circle, "none") == {}


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ([1], "it should hold an object, not a list"),
        ({"plans": 1}, "it holds no configurations"),
        ({"configurations": ["2d"]}, "it holds no configurations"),
    ],
)
def test_broken_plans(look, bases, content, error):
    """A plans file that nnU-Net could not use is invalid, and its configurations are none."""
    write(bases["preprocessed"] / "Dataset010_Colon" / "nnUNetPlans.json", content)

    values = look("10", configuration="2d")

    assert (values["preprocessed.plans_state"], values["preprocessed.plans_error"]) == ("invalid", error)
    assert (values["preprocessed.configurations"], values["preprocessed.data_folder"]) == (None, None)


def test_missing_plans(look, bases):
    """Plans under another name than the wanted one are missing, and those that are there are named."""
    folder = bases["preprocessed"] / "Dataset010_Colon"
    write(folder / "nnUNetResEncUNetLPlans.json", PLANS)
    write(folder / "dataset_fingerprint.json", {"spacings": []})
    (folder / "broken.json").write_text("{", encoding="utf-8")

    values = look("10")

    assert (values["preprocessed.plans_state"], values["preprocessed.fingerprint"]) == ("missing", True)
    assert values["preprocessed.plans_names"] == ("nnUNetResEncUNetLPlans",)
    assert look("10", plans="nnUNetResEncUNetLPlans")["preprocessed.plans_state"] == "ok"


def test_nothing_preprocessed(look, bases):
    """A dataset that nobody has planned has no folder, no plans and no splits."""
    raw_dataset(bases["raw"] / "Dataset010_Colon")

    values = look("10")

    expected = {
        "preprocessed.folder": str(bases["preprocessed"] / "Dataset010_Colon"),
        "preprocessed.exists": False,
        "preprocessed.fingerprint": False,
        "preprocessed.plans_state": "missing",
        "preprocessed.plans_names": (),
        "preprocessed.configurations": None,
        "preprocessed.splits": None,
    }
    assert {name: values[name] for name in expected} == expected


@pytest.mark.parametrize(
    "strange",
    [
        {"patch_size": [0, -1], "batch_size": "2", "data_identifier": "../../../etc"},
        {"patch_size": "512", "batch_size": True, "data_identifier": 7},
        {"patch_size": [1.5], "batch_size": None, "data_identifier": "a\0b"},
        {"patch_size": [], "batch_size": 2.0, "data_identifier": "x" * 5000},
        {"patch_size": {}, "batch_size": [], "data_identifier": ["2d"]},
        {"patch_size": [10**400, 1], "batch_size": 10**400},
        {"patch_size": [512] * 10_000, "batch_size": 2**63},
        {"median_image_size_in_voxels": [float("nan"), 1.0]},
        {"median_image_size_in_voxels": [float("inf"), 1.0]},
        {"median_image_size_in_voxels": [None, "1"]},
        {"median_image_size_in_voxels": 512},
    ],
)
def test_strange_configuration(look, bases, strange):
    """Values of plans that make no sense are none, and no name in them makes the doctor fail."""
    write(bases["preprocessed"] / "Dataset010_Colon" / "nnUNetPlans.json", {"configurations": {"2d": strange}})

    values = look("10", configuration="2d")

    assert (values["preprocessed.patch_size"], values["preprocessed.batch_size"]) == (None, None)
    assert values["preprocessed.image_size"] is None
    assert values["preprocessed.configurations"] == ("2d",)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (["a.b2nd", "a_seg.b2nd", "a.pkl", "b.b2nd", "b_seg.b2nd", "b.pkl"], ("b2nd", 2)),
        (["a.npz", "a.pkl", "b.npz", "b.pkl"], ("npz", 2)),
        (["a.npz", "a.npy", "a_seg.npy", "a.pkl"], ("npz", 1)),
        (["a.b2nd", "a.pkl", ".DS_Store"], ("mixed", None)),
        (["a.b2nd", "a.npz", "a.pkl"], ("mixed", None)),
        (["a.npz", "a.npz.tmp"], ("mixed", None)),
        (["a.zarr"], ("mixed", None)),
        (["a.pkl"], ("empty", 0)),
        (["a.npy", "a_seg.npy", "a.pkl"], ("empty", 0)),
        ([], ("empty", 0)),
        (None, ("missing", None)),
    ],
)
def test_stored_cases(tmp_path, files, expected):
    """Cases are counted in the format that nnU-Net would take; a stray file, as of macOS, makes it fail."""
    data = tmp_path / "nnUNetPlans_2d"
    if files is not None:
        (data / "folder.of.something").mkdir(parents=True)
        for name in files:
            (data / name).touch()

    found = stored.look(data)

    assert (found.format, None if found.cases is None else len(found.cases)) == expected


@pytest.mark.parametrize(
    ("content", "count", "error"),
    [
        (b"[{}, {}, {}, {}, {}]", 5, None),
        (b"[]", 0, None),
        (None, None, None),
        (b"{}", None, "it should hold a list, not an object"),
        (b"[", None, "line 1, column 2: Expecting value"),
        (b"[" * 200_000, None, "it is nested too deeply"),
        (b"\xff\xfe[\x00]\x00", None, "byte 0 is not UTF-8"),
        (b"[" + b"9" * 5000 + b"]", None, "it holds a number that is too long to be read"),
    ],
)
def test_splits(look, bases, content, count, error):
    """The folds of splits_final.json are counted; of a broken one it is said what is wrong, and the number is unknown."""
    folder = bases["preprocessed"] / "Dataset010_Colon"
    folder.mkdir()
    if content is not None:
        (folder / "splits_final.json").write_bytes(content)

    values = look("10")

    assert values["preprocessed.splits_error"] == error
    assert values["preprocessed.splits"] == (Unknown(f"splits_final.json: {error}") if error else count)


def test_huge_splits_are_not_read(look, bases):
    """A splits_final.json of many GB is not read into memory."""
    folder = bases["preprocessed"] / "Dataset010_Colon"
    folder.mkdir()
    with (folder / "splits_final.json").open("wb") as file:
        file.truncate(200 * 1024**2)

    values, peak = with_peak(lambda: look("10"))

    assert values["preprocessed.splits_error"] == "it has more than 50 MB"
    assert peak < 10 * 1024**2


# --- the folder of a training --------------------------------------------------------------------------------------

FILES = (
    "checkpoint_final.pth",
    "checkpoint_latest.pth",
    "checkpoint_best.pth",
    "training_log_2026_1_1.txt",
    "debug.json",
)


@pytest.mark.parametrize(
    "present", [chosen for count in range(len(FILES) + 1) for chosen in itertools.combinations(FILES, count)]
)
def test_training_state(tmp_path, present):
    """A training is finished with its last checkpoint, resumable with any other, and started with a trace of it."""
    for name in present:
        (tmp_path / name).touch()
    (tmp_path / "progress.png").touch()
    (tmp_path / "nnunet_doctor_2026-11-22_06-56-26.log").touch()

    if FILES[0] in present:
        expected = "finished"
    elif FILES[1] in present or FILES[2] in present:
        expected = "resumable"
    else:
        expected = "started" if present else "none"
    assert training_state(tmp_path) == expected


def test_training_state_of_no_folder(tmp_path):
    """Where there is no folder, nothing was trained, and folders with the names of checkpoints are none."""
    (tmp_path / "fold_1" / "checkpoint_final.pth").mkdir(parents=True)

    assert training_state(tmp_path / "fold_0") == "none"
    assert training_state(tmp_path / "fold_1") == "none"


def test_folder_of_the_training(look, bases):
    """The folder is the one that nnU-Net would write to, by trainer, plans, configuration and fold."""
    raw_dataset(bases["raw"] / "Dataset010_Colon")
    model = bases["results"] / "Dataset010_Colon" / "nnUNetTrainer_5epochs__myPlans__2d"
    (model / "fold_all").mkdir(parents=True)
    (model / "fold_all" / "checkpoint_best.pth").touch()
    words = {"trainer": "nnUNetTrainer_5epochs", "plans": "myPlans", "configuration": "2d"}

    trained, other, none = (look("10", **words, fold=fold) for fold in ("all", "0", None))

    assert (trained["training.folder"], trained["training.state"]) == (str(model / "fold_all"), "resumable")
    assert (other["training.folder"], other["training.state"]) == (str(model / "fold_0"), "none")
    assert (none["training.folder"], none["training.state"]) == (None, None)
