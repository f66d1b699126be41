"""What has changed since a training last finished: kept by run, told by diff."""

from __future__ import annotations

import gzip
import io
import json
import math
import os
import shutil
import sys
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_up import Installation, blosc2_frame, distribution, write
from shared import CHECKS

from nnunet_doctor.cli import main
from nnunet_doctor.examination import read_facts
from nnunet_doctor.facts import CATALOGUE, Detail, Facts, Unknown
from nnunet_doctor.facts.derive import derive
from nnunet_doctor.history import MOST_STARTS, compare, group_of, keep, last_finished, starts_below
from nnunet_doctor.probes.base import Context
from nnunet_doctor.probes.content import NoTimeError, amount, files_of, fingerprint
from nnunet_doctor.probes.look import look
from nnunet_doctor.redact import Redactor, redact
from nnunet_doctor.report.difference import print_difference
from nnunet_doctor.request import Request

MACHINES = Path(__file__).with_name("machines")
TRAINING = ("10", "2d", "0", "-device", "cpu", "--no-retry")


def machine(**values: Any) -> Facts:
    """Return a healthy machine with some facts changed."""
    facts = read_facts(MACHINES / "linux-cuda-healthy.json", {})
    return derive(facts.with_values({name.replace("__", "."): value for name, value in values.items()}))


def changed(old: Facts, new: Facts) -> list[str]:
    """Return the names of facts that differ."""
    return [item.fact for item in compare(old, new, CHECKS).changes]


def width(line: str) -> int:
    """Return the columns that a line takes in a terminal."""
    return sum(1 + (ord(char) > 0x2E80) for char in line.rstrip())


# --- run keeps, diff tells -----------------------------------------------------------------------------------------


@pytest.fixture
def trained(installation: Installation) -> Installation:
    """A training that has finished under `run`."""
    done = installation.doctor("run", *TRAINING)
    assert done.returncode == 0, done.stderr
    return installation


def own_of(installation: Installation) -> Path:
    """Return the folder where the starts of the fold are kept."""
    model = installation.path("results", "Dataset010_Colon", "nnUNetTrainer__nnUNetPlans__2d")
    return model / ".nnunet-doctor" / "fold_0"


def test_run_keeps_the_facts_of_a_start_and_how_it_ended(trained: Installation) -> None:
    """A small facts file that `check --facts` reads, and the exit code; nothing lies among the files of nnU-Net."""
    (facts,) = own_of(trained).glob("facts_*.json")
    (end,) = own_of(trained).glob("end_*.json")
    again = trained.doctor("check", "--facts", str(facts), "--format", "json")

    assert facts.stat().st_size < 50_000
    assert json.loads(end.read_text(encoding="utf-8"))["code"] == 0
    assert again.returncode in (0, 1), again.stderr
    assert list(own_of(trained).parents[1].glob("fold_*/facts_*")) == []


def test_a_failed_start_is_kept_as_such(installation: Installation) -> None:
    """Its exit code stands in its file, and diff does not take it for one that worked."""
    done = installation.doctor("run", *TRAINING, FAKE_EXIT="7")
    (end,) = own_of(installation).glob("end_*.json")
    told = installation.doctor("diff")

    assert (done.returncode, json.loads(end.read_text(encoding="utf-8"))["code"]) == (7, 7)
    assert told.returncode == 2
    assert "no training below" in told.stderr
    assert "1 ended otherwise" in told.stderr


def test_a_training_that_cannot_be_noted_goes_on(installation: Installation) -> None:
    """A file in the way of the doctor's folder costs the history, not the training."""
    write(own_of(installation).parent, "in the way")

    assert installation.doctor("run", *TRAINING).returncode == 0


def test_nothing_has_changed(trained: Installation) -> None:
    """Right after a training, nothing differs but what changes by itself, and nothing of that is told."""
    told = json.loads(trained.doctor("diff", "--format", "json").stdout)

    assert told["changes"] == []
    assert told["checks"] == {"fires": [], "silent": []}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_diff_tells_versions_settings_and_data_apart(trained: Installation, language: str) -> None:
    """An upgrade, a variable and a new dataset.json are told by group, with the checks that say something else."""
    site = Path(trained.environ["PYTHONPATH"])
    (site / "nnunetv2-2.8.1.dist-info" / "METADATA").unlink()
    (site / "nnunetv2-2.8.1.dist-info").rmdir()
    distribution(site, "nnunetv2", "2.4.2", "torch>=2.0.0")
    description = trained.path("raw", "Dataset010_Colon", "dataset.json")
    description.write_text(description.read_text(encoding="utf-8").replace('"CT"', '"MRI"'), encoding="utf-8")
    variables = {"nnUNet_n_proc_DA": "3"}
    told = json.loads(trained.doctor("diff", "--format", "json", **variables).stdout)
    groups = {item["fact"]: item["group"] for item in told["changes"]}
    text = trained.doctor("diff", "--lang", language, **variables).stdout

    assert groups["nnunet.version"] == "versions"
    assert groups["nnunet.workers_variable"] == "settings"
    assert groups["preprocessed.json_changed"] == "dataset"
    assert "nnunet-outdated" in told["checks"]["fires"]
    assert "2.8.1 -> 2.4.2" in text
    assert "nnunet-outdated" in text
    assert max(map(width, text.splitlines())) <= 80


def test_facts_behind_checks_come_first() -> None:
    """Then those that checks ask, then the rest; each says which checks it turns."""
    new = machine(
        nnunet__version="2.6.2", platform__release="9.9", python__threadpoolctl="9.9.9", torch__version="2.9.0+cu128"
    )
    found = compare(machine(), new, CHECKS)
    ranks = [(not item.decides, not item.is_asked) for item in found.changes]

    assert ranks == sorted(ranks)
    assert found.changes[0].decides != ()
    assert {*found.fires, *found.silent} >= {id for item in found.changes for id in item.decides}


def test_what_was_looked_at_is_no_change() -> None:
    """Trials of --deep, a survey of the raw dataset and the probe of a pack, which one of two looks lacks, tell nothing."""
    seen = machine(
        trial__tried=("device",),
        trial__folders_error=(),
        trial__device="cuda:0",
        dataset__surveyed="default",
        dataset__cases=9,
        dataset__files=18,
        dataset__nan=(),
    )
    unseen = machine(
        trial__tried=None,
        trial__folders_error=None,
        trial__device=None,
        dataset__surveyed=None,
        dataset__cases=None,
        dataset__files=None,
        dataset__nan=None,
    )

    assert (changed(seen, unseen), changed(unseen, seen)) == ([], [])


def test_a_list_without_items_is_as_good_as_none() -> None:
    """What lists no fault and what does not apply are one to a reader."""
    old, new = machine(preprocessed__damaged=()), machine(preprocessed__damaged=None)

    assert changed(old, new) == []


def test_numbers_of_a_list_are_one_value() -> None:
    """A patch size is told as it was and as it is, though some of its numbers stay."""
    old, new = machine(preprocessed__patch_size=(64, 64, 96)), machine(preprocessed__patch_size=(64, 96, 96))

    assert "[64, 64, 96] -> [64, 96, 96]" in told(old, new)


def test_what_is_gone_is_named_once() -> None:
    """A folder of preprocessed data that was removed takes dozens of facts along; they are named in one block."""
    new = {
        name.replace(".", "__"): None
        for name, info in CATALOGUE.items()
        if name.startswith("preprocessed.") and info.optional and not info.derived
    }
    text = told(machine(), machine(**new))

    assert "Have no value any more:" in text
    assert text.count("-> none") <= 5


def told(old: Facts, new: Facts) -> str:
    """Return what a reader is told of a comparison."""
    out = io.StringIO()
    print_difference(compare(old, new, CHECKS), ("old", "new"), "en", out)
    return out.getvalue()


def test_what_changes_by_itself_counts_only_where_a_check_says_something_else() -> None:
    """Some more or less free memory is nothing; too little is told, with the check."""
    plenty = machine(resources__memory_available_gib=100.0, paths__results_free_gib=900.0)

    assert changed(plenty, machine(resources__memory_available_gib=90.0, paths__results_free_gib=800.0)) == []
    assert changed(plenty, machine(resources__memory_available_gib=100.0, paths__results_free_gib=0.1)) == [
        "paths.results_free_gib"
    ]


def test_the_end_of_a_training_is_no_change() -> None:
    """That the fold is finished now, and that a start would overwrite it, is why one asks."""
    assert changed(machine(training__state="none"), machine(training__state="finished")) == []
    assert compare(machine(training__state="none"), machine(training__state="finished"), CHECKS).fires == ()


def test_a_shorter_look_is_no_change() -> None:
    """What --quick leaves unknown, or an older file does not hold, has not changed; what cannot be learnt any more has."""
    quick = Unknown("--quick starts no torch")

    assert changed(machine(), machine(torch__cudnn=quick)) == []
    assert changed(machine(torch__cudnn=Unknown("the facts file does not hold it")), machine()) == []
    assert "torch.cudnn" in changed(machine(), machine(torch__cudnn=Unknown("torch cannot be imported")))


def test_the_order_of_a_list_is_no_change() -> None:
    """Files are listed in the order in which they are found."""
    items = (Detail("a.nii.gz", "1"), Detail("b.nii.gz", "2"))

    assert changed(machine(dataset__nan=items), machine(dataset__nan=items[::-1])) == []
    assert "dataset.nan" in changed(machine(dataset__nan=items), machine(dataset__nan=items[:1]))


@pytest.mark.parametrize(
    ("fact", "group"),
    [
        ("torch.version", "versions"),
        ("platform.release", "versions"),
        ("gpu.driver", "driver"),
        ("torch.cuda_available", "driver"),
        ("gpu.visible", "settings"),
        ("nnunet.compile_variable", "settings"),
        ("training.trainer", "settings"),
        ("paths.results", "settings"),
        ("dataset.cases", "dataset"),
        ("preprocessed.patch_size", "dataset"),
        ("resources.cpus", "machine"),
    ],
)
def test_groups(fact: str, group: str) -> None:
    """Versions, driver, settings and content of the dataset are told apart."""
    assert group_of(fact) == group


# --- content of the dataset ----------------------------------------------------------------------------------------


@pytest.fixture
def with_files(installation: Installation) -> Installation:
    """A training that has finished under `run`, of a dataset whose images and labels are there."""
    for number in range(6):
        for name in (f"imagesTr/colon_{number:03d}_0000.nii.gz", f"labelsTr/colon_{number:03d}.nii.gz"):
            path = installation.path("raw", "Dataset010_Colon", *name.split("/"))
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(gzip.compress(name.encode() * 50))
    done = installation.doctor("run", *TRAINING)
    assert done.returncode == 0, done.stderr
    return installation


def contents(installation: Installation, *arguments: str) -> dict[str, Any]:
    """Return what `diff` tells of files, by what they are."""
    told = json.loads(installation.doctor("diff", "--format", "json", *arguments).stdout)
    assert told["contents_not_compared"] is None
    return {item.pop("part"): item for item in told["contents"]}


def test_files_that_changed_are_named(with_files: Installation) -> None:
    """A label that is deleted, one that is new, images that are overwritten, a case that is cut: each by its name."""
    raw, prepared = (with_files.path(name, "Dataset010_Colon") for name in ("raw", "preprocessed"))
    (raw / "labelsTr" / "colon_000.nii.gz").unlink()
    shutil.copy(raw / "labelsTr" / "colon_001.nii.gz", raw / "labelsTr" / "colon_009.nii.gz")
    shutil.copy(raw / "imagesTr" / "colon_001_0000.nii.gz", raw / "imagesTr" / "colon_002_0000.nii.gz")
    (prepared / "nnUNetPlans_2d" / "colon_004.b2nd").write_bytes(blosc2_frame(199))
    found = contents(with_files)
    text = with_files.doctor("diff").stdout
    names = {part: [item["changed"], item["added"], item["gone"]] for part, item in found.items()}

    assert names == {
        "images": [["colon_002_0000.nii.gz"], [], []],
        "labels": [[], ["colon_009.nii.gz"], ["colon_000.nii.gz"]],
        "stored": [["colon_004.b2nd"], [], []],
    }
    assert (found["labels"]["old"]["files"], found["labels"]["new"]["files"]) == (6, 6)
    assert "content changed in 1 of 6 files: colon_002_0000.nii.gz" in text
    assert "not there any more, 1 of 6: colon_000.nii.gz" in text
    assert "Nothing has changed" not in text


def test_content_is_told_in_chinese(with_files: Installation) -> None:
    """In sentences, and no fingerprint is shown."""
    (with_files.path("raw", "Dataset010_Colon", "labelsTr") / "colon_000.nii.gz").unlink()
    text = with_files.doctor("diff", "--lang", "zh").stdout

    assert "6 个文件中有 1 个已不存在：colon_000.nii.gz" in text
    assert "label_content" not in text


def test_a_copy_is_no_change(with_files: Installation) -> None:
    """Files of another time, with other inodes, and a dataset.json that is indented otherwise are the same content."""
    for area in ("raw", "preprocessed"):
        folder = with_files.path(area, "Dataset010_Colon")
        shutil.copytree(folder, folder.with_name("copy"), copy_function=shutil.copyfile)
        shutil.rmtree(folder)
        folder.with_name("copy").rename(folder)
        for path in (item for item in folder.rglob("*") if item.is_file()):
            os.utime(path, (1e9, 1e9))
        description = json.loads((folder / "dataset.json").read_text(encoding="utf-8"))
        (folder / "dataset.json").write_text(json.dumps(description, indent=3), encoding="utf-8")

    assert contents(with_files) == {}
    assert "Nothing has changed" in with_files.doctor("diff").stdout


def test_single_files_are_told_apart(with_files: Installation) -> None:
    """dataset.json, its copy, plans and splits; the splits that the first training makes are no change."""
    prepared = with_files.path("preprocessed", "Dataset010_Colon")
    write(prepared / "splits_final.json", json.dumps([{"train": ["colon_001"], "val": ["colon_002"]}]))
    made = contents(with_files)
    description = with_files.path("raw", "Dataset010_Colon", "dataset.json")
    description.write_text(description.read_text(encoding="utf-8").replace("cancer", "tumour"), encoding="utf-8")
    plans = prepared / "nnUNetPlans.json"
    plans.write_text(plans.read_text(encoding="utf-8").replace('"batch_size": ', '"batch_size": 1'), encoding="utf-8")
    (prepared / "dataset.json").unlink()

    assert made == {}
    assert contents(with_files).keys() == {"json", "plans", "copy"}
    assert "not there any more" in with_files.doctor("diff").stdout


def test_changed_splits_are_told(with_files: Installation) -> None:
    """What a training was validated with is not what the next one is."""
    splits = with_files.path("preprocessed", "Dataset010_Colon", "splits_final.json")
    write(splits, json.dumps([{"train": ["colon_001"], "val": ["colon_002"]}]))
    again = with_files.doctor("run", *TRAINING, "--overwrite")
    write(splits, json.dumps([{"train": ["colon_002"], "val": ["colon_001"]}]))

    assert again.returncode == 0, again.stderr
    assert contents(with_files).keys() == {"splits"}


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_bytes(b"no gzip")])
def test_without_the_list_of_files_their_numbers_are_told(
    with_files: Installation, spoil: Callable[[Path], object]
) -> None:
    """An older start, or a damaged list: how many there were and are, and how large."""
    (files,) = own_of(with_files).glob("files_*")
    spoil(files)
    (with_files.path("raw", "Dataset010_Colon", "labelsTr") / "colon_000.nii.gz").unlink()
    found = contents(with_files)["labels"]

    assert (found["old"]["files"], found["new"]["files"], found["gone"]) == (6, 5, None)
    assert "number of files: 6 -> 5" in " ".join(with_files.doctor("diff").stdout.split())


def test_facts_of_two_days_tell_content(with_files: Installation, tmp_path: Path) -> None:
    """Two files of `facts`, and no list of files, are enough to tell what has changed."""
    days = [str(tmp_path / f"{day}.json") for day in ("monday", "today")]
    (with_files.doctor("facts", "10", "--output", days[0])).check_returncode()
    (with_files.path("raw", "Dataset010_Colon", "imagesTr") / "colon_000_0000.nii.gz").write_bytes(b"another")
    (with_files.doctor("facts", "10", "--output", days[1])).check_returncode()

    assert contents(with_files, *days).keys() == {"images"}


def test_what_was_not_looked_at_is_said() -> None:
    """Facts that were kept before there were fingerprints leave open whether the content is the same."""
    named = {"dataset__requested": "10"}
    older = machine(**named, dataset__label_content=Unknown("the facts file does not hold it"))

    assert "not compared: the facts file does not hold it" in " ".join(told(older, machine(**named)).split())


@pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".png", ".npz", ".b2nd", ".pkl", ".tif", ".nrrd"])
@pytest.mark.parametrize("size", [1, 5_000, 300_000])
def test_another_file_of_the_same_size_is_told(tmp_path: Path, ending: str, size: int) -> None:
    """Whatever its format is, and though its name, size and time are those of the old one; a copy is the same."""
    folder = tmp_path / "labelsTr"
    folder.mkdir()
    seen = []
    for content in (b"a" * size, b"b" * size, b"a" * size):
        (folder / f"case{ending}").write_bytes(content)
        os.utime(folder / f"case{ending}", (1e9, 1e9))
        seen.append(files_of({"dataset.folder": str(tmp_path), "dataset.file_ending": ending}, "labels", math.inf))

    assert seen[0] == seen[2] != seen[1]


def test_files_that_dataset_json_lists_count_wherever_they_lie(tmp_path: Path) -> None:
    """Images and labels outside of imagesTr, as nnU-Net reads them; one that is not there is none."""
    write(tmp_path / "elsewhere.nii.gz", "image")
    listed = {"a": {"images": ["elsewhere.nii.gz"], "label": "lost.nii.gz"}, "b": "nonsense", "c": {"images": 7}}
    write(tmp_path / "dataset.json", json.dumps({"dataset": listed}))
    values = {"dataset.folder": str(tmp_path), "dataset.file_ending": ".nii.gz"}

    assert files_of(values, "images", math.inf) == {"elsewhere.nii.gz": f"5 {zlib.crc32(b'image'):08x}"}
    assert amount(files_of(values, "labels", math.inf))[:2] == (1, 0)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no FIFOs")
def test_a_fifo_holds_nobody(tmp_path: Path) -> None:
    """What dataset.json lists may be anything; nothing waits for a writer."""
    os.mkfifo(tmp_path / "pipe.nii.gz")
    write(tmp_path / "dataset.json", json.dumps({"dataset": {"a": {"images": ["pipe.nii.gz"], "label": "x"}}}))

    assert files_of({"dataset.folder": str(tmp_path)}, "images", math.inf) == {"pipe.nii.gz": "0 -"}


def test_too_little_time_leaves_the_content_unknown(tmp_path: Path) -> None:
    """And says so, instead of a fingerprint of a part of the files."""
    for number in range(100):
        write(tmp_path / "imagesTr" / f"{number}.nii.gz", "image")

    with pytest.raises(NoTimeError):
        files_of({"dataset.folder": str(tmp_path)}, "images", 0.0)


def test_a_distant_disk_is_read_by_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each file takes long, they are looked at side by side, and none is forgotten."""
    for number in range(100):
        write(tmp_path / "imagesTr" / f"{number}.nii.gz", "image")
    values = {"dataset.folder": str(tmp_path)}
    near = files_of(values, "images", math.inf)
    monkeypatch.setattr("nnunet_doctor.probes.content.SLOW_SECONDS", 0.0)

    assert files_of(values, "images", time.monotonic() + 60) == near


def test_without_threads_files_are_looked_at_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system allows no more threads, a training starts nevertheless, and its files are noted."""
    for number in range(100):
        write(tmp_path / "imagesTr" / f"{number}.nii.gz", "image")

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("nnunet_doctor.probes.content.SLOW_SECONDS", 0.0)
    monkeypatch.setattr(threading.Thread, "start", refuse)

    assert len(files_of({"dataset.folder": str(tmp_path)}, "images", time.monotonic() + 60)) == 100


def test_fingerprints_tell_no_names() -> None:
    """They are kept in facts that are shared, and hold nothing of a name."""
    files = {"Mustermann_Erika.nii.gz": "5 adf3f363"}
    shared = redact(machine(dataset__label_content=fingerprint(files)), Redactor())

    assert shared["dataset.label_content"] == fingerprint(files)
    assert len(fingerprint(files)) == 16
    assert set(fingerprint(files)) <= set("0123456789abcdef")


def test_a_check_does_not_look_at_content(with_files: Installation) -> None:
    """Only what is compared with another day costs a look at each file."""
    request = Request(dataset="10")
    environ = {**with_files.environ}
    seen = {
        contents: look(Context(Path(environ["NNUNET_DOCTOR_PYTHON"]), environ, request, quick=True, contents=contents))
        for contents in (False, True)
    }

    assert seen[False]["dataset.label_content"] == Unknown("not asked for")
    assert (seen[True]["dataset.label_files"], seen[True]["preprocessed.splits_content"]) == (6, None)


# --- which interpreter ---------------------------------------------------------------------------------------------


def test_the_interpreter_of_then_is_examined(trained: Installation) -> None:
    """Whoever has the doctor in another environment need not name the interpreter again; it is said which it is."""
    python = trained.environ.pop("NNUNET_DOCTOR_PYTHON")
    told = trained.doctor("diff")

    assert f"theinterpreterofthen:{python}" in "".join(told.stdout.split())
    assert "Nothing has changed" in told.stdout


def test_an_interpreter_that_is_gone_is_said(trained: Installation, tmp_path: Path) -> None:
    """The doctor's own is examined then, and no difference is taken for one of the machine without a word."""
    del trained.environ["NNUNET_DOCTOR_PYTHON"]
    (file,) = own_of(trained).glob("facts_*.json")
    gone = str(tmp_path / "removed" / "python")
    kept = json.loads(file.read_text(encoding="utf-8"))
    kept["facts"]["python.executable"] = gone
    file.write_text(json.dumps(kept), encoding="utf-8")
    told = json.loads(trained.doctor("diff", "--quick", "--format", "json").stdout)

    assert told["new"] == f"this machine, with {sys.executable}; the interpreter of then is not there any more: {gone}"


def test_an_interpreter_that_is_named_counts(trained: Installation) -> None:
    """--python, or the configuration, has the last word."""
    told = json.loads(trained.doctor("diff", "--quick", "--python", sys.executable, "--format", "json").stdout)

    assert told["new"] == "this machine"
    assert "python.executable" in [item["fact"] for item in told["changes"]]


# --- which start ---------------------------------------------------------------------------------------------------


def put(folder: Path, fold: str, stamp: str, code: int | None, **values: Any) -> None:
    """Keep a start, with its end unless the code is None."""
    note = keep(folder / fold, machine(**values), stamp)
    if code is not None:
        note(code, 1.0, False)


def test_the_last_training_that_finished_is_found(tmp_path: Path) -> None:
    """Below results, dataset, model or fold; failed and unfinished starts are left aside."""
    model = tmp_path / "results" / "Dataset010_Colon" / "trainer__plans__2d"
    put(model, "fold_0", "2026-01-01_00-00-00", 0)
    put(model, "fold_1", "2026-01-02_00-00-00", 0)
    put(model, "fold_1", "2026-01-03_00-00-00", 1)
    put(model, "fold_0", "2026-01-04_00-00-00", None)

    for folder in (tmp_path / "results", model.parent, model, model / "fold_1"):
        assert last_finished(folder).stamp == "2026-01-02_00-00-00"
    assert last_finished(model / "fold_0").stamp == "2026-01-01_00-00-00"


def test_two_starts_of_a_second_are_two(tmp_path: Path) -> None:
    """A start that failed at once, and the one that answers it, are both kept, in their order."""
    put(tmp_path, "fold_0", "2026-01-01_00-00-00", 1)
    put(tmp_path, "fold_0", "2026-01-01_00-00-00", 0)

    assert [start.code for start in starts_below(tmp_path / "fold_0")] == [1, 0]


def test_only_the_last_starts_are_kept(tmp_path: Path) -> None:
    """A job that starts over and over fills no disk, and does not push out the last start that went well."""
    fold = tmp_path / "fold_0"
    write(tmp_path / "labelsTr" / "a.nii.gz", "label")
    labels = {"dataset__folder": str(tmp_path), "dataset__label_files": 1}
    put(tmp_path, "fold_0", "2026-01-01_00-00-00", 0, **labels)
    for number in range(MOST_STARTS + 5):
        put(tmp_path, "fold_0", f"2026-01-02_00-00-{number:02d}", 1, **labels)
    starts = starts_below(fold)

    assert len(starts) == MOST_STARTS + 1
    assert last_finished(fold).stamp == "2026-01-01_00-00-00"
    assert len(list((tmp_path / ".nnunet-doctor" / "fold_0").iterdir())) == 3 * len(starts)


def test_two_files_are_compared(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a look at this machine."""
    files = [str(MACHINES / f"{name}.json") for name in ("linux-cuda-healthy", "linux-driver-mismatch")]

    assert main(["diff", *files, "--format", "json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["old"], told["new"]) == tuple(files)
    assert "driver-not-answering" in told["checks"]["fires"]


def test_a_folder_stands_for_its_starts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As OLD for the last that finished, as NEW for the last of all: the failed training against the one that worked."""
    put(tmp_path, "fold_0", "2026-01-01_00-00-00", 0)
    put(tmp_path, "fold_0", "2026-01-02_00-00-00", 1, torch__version="2.9.0+cu128")

    assert main(["diff", str(tmp_path), str(tmp_path), "--format", "json"]) == 0
    assert [item["fact"] for item in json.loads(capsys.readouterr().out)["changes"]] == ["torch.version"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [((), "nnUNet_results is not set"), (("nowhere.json",), "cannot be read"), ((".",), "no training below")],
)
def test_wrong_use(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    said: str,
) -> None:
    """One sentence and exit code 2."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(os.environ, "nnUNet_results", raising=False)

    assert main(["diff", *arguments]) == 2
    assert said in capsys.readouterr().err
