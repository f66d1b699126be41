"""What has changed since a training last finished: kept by run, told by diff."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from made_up import Installation, distribution, write
from shared import CHECKS

from nnunet_doctor.cli import main
from nnunet_doctor.examination import read_facts
from nnunet_doctor.facts import CATALOGUE, Detail, Facts, Unknown
from nnunet_doctor.facts.derive import derive
from nnunet_doctor.history import MOST_STARTS, compare, group_of, keep, last_finished, starts_below
from nnunet_doctor.report.difference import print_difference

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
    put(tmp_path, "fold_0", "2026-01-01_00-00-00", 0)
    for number in range(MOST_STARTS + 5):
        put(tmp_path, "fold_0", f"2026-01-02_00-00-{number:02d}", 1)
    starts = starts_below(fold)

    assert len(starts) == MOST_STARTS + 1
    assert last_finished(fold).stamp == "2026-01-01_00-00-00"
    assert len(list((tmp_path / ".nnunet-doctor" / "fold_0").iterdir())) == 2 * len(starts)


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
