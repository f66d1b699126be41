"""Nothing is said of clean datasets, and every planted fault is found, by name, from its depth on."""

from __future__ import annotations

import functools
import gzip
import json
import os
import shutil
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import planted
import pytest
import tifffile
from copies import Copy, contents
from made_up import clean_environ
from PIL import Image
from planted import CLEAN, DEPTHS, FAULTS, INPUT_FAULTS, Depth, Fault, sitk
from together import together

from nnunet_doctor.cli import main

CHECKS = Path(__file__).parents[1] / "checks" / "dataset"

OPTIONS: dict[Depth, list[str]] = {"quick": ["--quick"], "default": [], "deep": ["--deep"]}

CLEAN_CODES: dict[Depth, tuple[int, ...]] = {"quick": (0, 3), "default": (0,), "deep": (0,)}
"""Without voxels the quick look may call some checks of severity error undecided."""

ELSEWHERE = {"dataset-absent", "dataset-ambiguous", "label-out-of-range"}
"""Checks of this area that ask how a dataset is named or prepared, which tests/probes has, or that only a log shows."""


@dataclass(frozen=True)
class Report:
    """What a check of a dataset ends with."""

    folder: Path
    code: int
    content: dict[str, Any]

    def named(self, ids: tuple[str, ...]) -> set[str] | None:
        """Return the subjects of those findings; None when there is none of them."""
        found = [map(self._relative, item["subjects"]) for item in self.content["findings"] if item["id"] in ids]
        return set().union(*found) if found else None

    def _relative(self, subject: str) -> str:
        """Return a subject relative to the dataset, also when it lies elsewhere."""
        if not Path(subject).is_absolute():
            return subject
        return os.path.relpath(subject, self.folder).replace(os.sep, "/")

    def alarms(self) -> dict[str, list[str]]:
        """Return the subjects of all findings that are more than worth knowing."""
        return {
            finding["id"]: finding["subjects"]
            for finding in self.content["findings"]
            if finding["severity"] in ("error", "warning")
        }

    def infos(self) -> set[str]:
        """Return the ids of what is worth knowing."""
        return {finding["id"] for finding in self.content["findings"] if finding["severity"] == "info"}


Check = Callable[..., Report]


@pytest.fixture
def check(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Check:
    """Return a call of `nnunet-doctor check FOLDER --select dataset` at a depth, in this process.

    With ``predicts`` it checks the folder's test images, to be predicted with a model of the dataset.
    """
    for name in os.environ.keys() - clean_environ().keys():
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))

    def check(folder: Path, depth: Depth, *, predicts: bool = False) -> Report:
        what = [str(folder)]
        if predicts:
            monkeypatch.setenv("nnUNet_raw", str(folder.parent))
            monkeypatch.setenv("nnUNet_preprocessed", str(folder.parent / planted.PREPROCESSED))
            what = ["--predict-input", str(folder / "imagesTs"), "--model", "42"]
        capsys.readouterr()
        code = main(["check", *what, "--select", "dataset", "--format", "json", *OPTIONS[depth]])
        said = capsys.readouterr()

        assert said.out, said.err
        return Report(folder, code, json.loads(said.out))

    return check


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder above a clean dataset, which is built once and must not be touched."""
    built: dict[str, Path] = {}

    def pristine(base: str) -> Path:
        if base not in built:
            built[base] = tmp_path_factory.mktemp(base)
            planted.build(base, built[base])
        return built[base]

    return pristine


@pytest.fixture
def spoilt(pristine: Callable[[str], Path], tmp_path: Path) -> Callable[[Fault], Path]:
    """Return a call that plants a fault into a copy, and returns the dataset's folder."""

    def spoilt(fault: Fault) -> Path:
        lacking = planted.lacking(fault.needs, tmp_path)
        if lacking:
            pytest.skip(f"the file system lacks {lacking}")
        folder = shutil.copytree(pristine(fault.base), tmp_path / "spoilt", symlinks=True) / planted.DATASET
        fault.plant(folder)
        return folder

    return spoilt


def missing_names(fault: Fault, named: set[str]) -> list[str]:
    """Return those subjects of a fault that are not named, neither they nor an alternative."""
    return [names for names in fault.subjects if not named & set(names.split("|"))]


# --- the doctor ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("base", CLEAN)
def test_clean_datasets_raise_no_alarm(check: Check, pristine: Callable[[str], Path], base: str, depth: Depth) -> None:
    """What nnU-Net takes as it is gets no error and no warning at any depth, and the exit code says so."""
    report = check(pristine(base) / planted.DATASET, depth)

    assert report.alarms() == {}
    assert report.infos() <= set(CLEAN[base].infos)
    assert report.code in CLEAN_CODES[depth]


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.base}-{fault.name}")
def test_planted_fault_is_found(check: Check, spoilt: Callable[[Fault], Path], fault: Fault) -> None:
    """From its depth on a fault is found and its files are named; nothing else is alleged, at any depth."""
    folder = spoilt(fault)
    for depth in DEPTHS:
        assert_told(check(folder, depth), fault, depth)


@pytest.mark.parametrize("fault", INPUT_FAULTS, ids=lambda fault: fault.name)
def test_planted_fault_of_images_to_predict_is_found(
    check: Check, spoilt: Callable[[Fault], Path], fault: Fault
) -> None:
    """So is one of images that a model is to predict, before it predicts them badly."""
    folder = spoilt(fault)
    for depth in DEPTHS:
        assert_told(check(folder, depth, predicts=True), fault, depth)


@pytest.mark.parametrize("depth", DEPTHS)
def test_clean_images_to_predict_raise_no_alarm(check: Check, pristine: Callable[[str], Path], depth: Depth) -> None:
    """Test images like the training images get no error and no warning."""
    report = check(pristine("with-test") / planted.DATASET, depth, predicts=True)

    assert report.alarms() == {}
    assert report.code in CLEAN_CODES[depth]


def assert_told(report: Report, fault: Fault, depth: Depth) -> None:
    """See that a report tells of a fault, from the fault's depth on, of its files and of nothing else."""
    named = report.named(fault.ids)
    rest = {id: names for id, names in report.alarms().items() if id not in (*fault.ids, *fault.also)}
    is_error = any(finding["severity"] == "error" for finding in report.content["findings"])

    assert rest == {}, depth
    assert report.code in ((1,) if is_error else CLEAN_CODES[depth]), depth
    if depth in fault.depths:
        assert named is not None, f"{depth}: none of {fault.ids} is found, but {sorted(report.alarms())}"
        assert missing_names(fault, named) == [], f"{depth}: {sorted(named)} are named"
    if fault.names and named:
        assert named <= fault.nameable, depth


BESIDE = {
    base: [fault for fault in FAULTS if fault.base == base and not fault.alone]
    for base in CLEAN
    if base != "large" and sum(fault.base == base and not fault.alone for fault in FAULTS) > 1
}
"""Faults that can be planted into one dataset, each in a case of its own; large cases would take seconds to write."""


@pytest.mark.parametrize("base", BESIDE)
def test_everything_is_told_at_once(check: Check, tmp_path: Path, base: str) -> None:
    """One pass over a dataset in which everything is wrong tells all of it, and accuses no healthy case."""
    faults = [fault for fault in BESIDE[base] if not planted.lacking(fault.needs, tmp_path)]
    cases = [f"case_{number:03d}" for number in range(101, 101 + len(faults))]
    folder = planted.build(base, tmp_path, [*planted.CASES, *cases])
    faults = [fault.at(case) for fault, case in zip(faults, cases, strict=True)]
    for fault in faults:
        fault.plant(folder)
    report = check(folder, "deep")
    missed = {}
    for fault in faults:
        named = report.named(fault.ids)
        if named is None or missing_names(fault, named):
            missed[fault.name] = fault.id
    healthy = set(planted.CASES) - {planted.DONOR}
    accused = {
        f"{id}: {name}"
        for id, names in report.alarms().items()
        for name in names
        if any(case in name for case in healthy)
    }

    assert missed == {}
    assert accused == set()
    assert report.code == 1


# --- the corpus itself ---------------------------------------------------------------------------------------------


def test_every_check_of_datasets_is_tried() -> None:
    """Whatever can be found in a raw dataset is planted at least once."""
    checks = {path.stem for path in CHECKS.glob("*.toml")} - ELSEWHERE
    tried = {id for fault in (*FAULTS, *INPUT_FAULTS) for id in fault.ids}

    assert checks - tried == set()


def test_faults_have_names_of_their_own() -> None:
    """No two faults share a name, so that a failure names one."""
    names = [fault.name for fault in (*FAULTS, *INPUT_FAULTS)]

    assert len(set(names)) == len(names)


@pytest.mark.parametrize("base", ["ct", "mr", "tiff", "awkward-but-legal"])
def test_the_corpus_is_the_same_every_time(pristine: Callable[[str], Path], tmp_path: Path, base: str) -> None:
    """Building twice gives the same bytes, so that a failure can be repeated."""
    planted.build(base, tmp_path)

    assert contents(tmp_path) == contents(pristine(base))


@pytest.fixture(scope="module")
def copy_of(pristine: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Copy]:
    """Return copies of the folders above clean datasets, which must be mended by who is done with one."""
    return functools.cache(lambda base: Copy(pristine(base), tmp_path_factory.mktemp("copy") / base))


@pytest.mark.slow
@together("fault", [fault for fault in FAULTS if not fault.alone], lambda fault: f"{fault.base}-{fault.name}")
def test_a_fault_changes_its_case_and_nothing_else(
    copy_of: Callable[[str], Copy], tmp_path: Path, fault: Fault
) -> None:
    """A fault of one case leaves all files of the others as they were."""
    lacking = planted.lacking(fault.needs, tmp_path)
    if lacking:
        pytest.skip(f"the file system lacks {lacking}")
    copy = copy_of(fault.base)
    fault.plant(copy.folder / planted.DATASET)
    changed = copy.mend()

    assert changed
    assert all(fault.case.lower() in name.lower() or name.endswith("dataset.json") for name in changed)


def voxels(path: Path) -> np.ndarray:
    """Read a file as its own library does, z first."""
    if path.name.endswith((".nii", ".nii.gz")):
        return np.asanyarray(nibabel.load(path).dataobj).T
    if path.suffix in (".nrrd", ".mha", ".gipl"):
        return sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    if path.suffix in (".tif", ".tiff"):
        return tifffile.imread(path)
    with Image.open(path) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize("base", [base for base in CLEAN if not base.startswith("paths")])
def test_clean_files_hold_what_they_should(pristine: Callable[[str], Path], base: str) -> None:
    """The libraries read every image and label of a clean dataset, of one shape, and labels as they are declared."""
    folder = pristine(base) / planted.DATASET
    ending = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))["file_ending"]
    labels = {path.name.removesuffix(ending): voxels(path) for path in (folder / "labelsTr").glob(f"*{ending}")}
    images = [path for path in (folder / "imagesTr").glob(f"*{ending}") if path.is_file()]

    assert sorted(labels) == sorted(CLEAN[base].cases)
    assert len(images) % len(labels) == 0
    for path in images:
        label = labels[path.name.removesuffix(ending)[:-5]]

        assert voxels(path).shape[: label.ndim] == label.shape
        assert set(np.unique(label.astype(np.float32))) <= {0, 1, 2}


def test_odd_files_are_odd(pristine: Callable[[str], Path]) -> None:
    """The clean datasets with a point make it: byte order, compression, header extension, forms."""
    first = f"{planted.DATASET}/imagesTr/case_001_0000.nii"
    last = pristine("gzip-variants") / first.replace("001", "005")
    extended = gzip.decompress((pristine("nibabel-written") / f"{first}.gz").read_bytes())

    assert (pristine("big-endian-nii") / first).read_bytes()[:4] == b"\0\0\1\x5c"
    assert last.with_suffix(".nii.gz").read_bytes().endswith(bytes(512))
    assert len(planted.nifti_parts(extended)[0]) > 352
    assert struct.unpack_from("<hh", extended, 252) == (0, 2)
