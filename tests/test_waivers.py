"""Waivers and baselines: what is lived with is listed and does not count; what is new does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from made_up import Installation

from nnunet_doctor.cli import main

MACHINES = Path(__file__).with_name("machines")
WINDOWS = MACHINES / "windows-cpu-nnunet242.json"
HEALTHY = MACHINES / "linux-cuda-healthy.json"


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Return a call that checks a recorded machine under a configuration: exit code and report."""
    monkeypatch.chdir(tmp_path)

    def check(machine: Path, configuration: str, *arguments: str) -> tuple[int, dict[str, Any]]:
        (tmp_path / "nnunet-doctor.toml").write_text(configuration, encoding="utf-8")
        capsys.readouterr()
        code = main(["check", "--facts", str(machine), "--format", "json", *arguments])
        return code, json.loads(capsys.readouterr().out)

    return check


def ids(items: list[dict[str, Any]]) -> list[str]:
    """Return the ids of findings."""
    return [item["id"] for item in items]


def recorded(folder: Path, **values: Any) -> Path:
    """Write a healthy machine with some facts of its dataset changed."""
    document = json.loads(HEALTHY.read_text(encoding="utf-8"))
    document["facts"] |= {name.replace("__", "."): value for name, value in values.items()}
    path = folder / "machine.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


ALL = """
[[waiver]]
id = "compile-on-windows"
reason = "ours is patched"
until = 2099-12-31
"""


def test_a_waived_finding_is_listed_and_does_not_count(check: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """It leaves the findings, the exit code and the plan, stays in the report with its reason, and fits the schema."""
    code, report = check(WINDOWS, ALL, "--select", "compile-on-windows")
    main(["schema", "report"])
    jsonschema.validate(report, json.loads(capsys.readouterr().out))

    assert (code, report["verdict"], report["findings"], report["plan"]["reasons"]) == (0, "ok", [], [])
    assert ids(report["waived"]) == ["compile-on-windows"]
    assert report["waived"][0]["waived"] == {"reason": "ours is patched", "until": "2099-12-31"}
    assert "compile-on-windows" not in report["passed"]


@pytest.mark.parametrize(
    ("language", "words"),
    [("en", "waived until 2099-12-31: ours is patched"), ("zh", "豁免至 2099-12-31：ours is patched")],
)
def test_the_report_shows_the_reason(check: Any, capsys: pytest.CaptureFixture[str], language: str, words: str) -> None:
    """A reader sees what is waived, why, and until when."""
    check(WINDOWS, ALL)
    main(["check", "--facts", str(WINDOWS), "--lang", language])

    assert words in capsys.readouterr().out


NAN = [{"subject": f"imagesTr/colon_{number:03d}_0000.nii.gz", "message": "3 voxels"} for number in range(4)]


def test_a_pattern_of_subjects_waives_only_those(check: Any, tmp_path: Path) -> None:
    """The others are found as if they were alone, and count."""
    machine = recorded(tmp_path, dataset__nan=NAN, dataset__surveyed="default")
    waiver = '[[waiver]]\nid = "nan"\nsubject = "./imagesTr/colon_00[01]_*"\nreason = "masked"'
    code, report = check(machine, waiver, "--select", "nan", "--fail-on", "warning")

    assert code == 1
    assert [item["subjects"] for item in report["findings"]] == [[item["subject"] for item in NAN[2:]]]
    assert [item["subjects"] for item in report["waived"]] == [[item["subject"] for item in NAN[:2]]]


@pytest.mark.parametrize(("pattern", "waived"), [("Dataset010_*", True), ("10", True), ("Dataset011_*", False)])
def test_a_pattern_of_datasets_waives_only_there(check: Any, tmp_path: Path, pattern: str, waived: bool) -> None:
    """Name and number both do; for another dataset the waiver is neither used nor told to be idle."""
    machine = recorded(tmp_path, dataset__nan=NAN, dataset__surveyed="default")
    waiver = f'[[waiver]]\nid = "nan"\ndataset = "{pattern}"\nreason = "masked"'
    _, report = check(machine, waiver, "--select", "nan,waiver-unused")

    assert (ids(report["findings"]), ids(report["waived"])) == (([], ["nan"]) if waived else (["nan"], []))


@pytest.mark.parametrize(
    ("pattern", "waived"),
    [
        ("raw/Dataset010_Colon", True),
        ("./raw/Dataset010_*/", True),
        ("raw\\\\Dataset010_Colon", True),
        ("raw/*", True),
        ("*/raw/Dataset010_Colon", True),
        ("other/Dataset010_Colon", False),
        ("raw/Dataset011_*", False),
        ("aw/Dataset010_Colon", False),
    ],
)
@pytest.mark.parametrize("how", ["/data/raw/Dataset010_Colon", "./raw/Dataset010_Colon", "raw/Dataset010_Colon/", "."])
def test_a_folder_is_meant_however_the_check_is_started(
    check: Any, tmp_path: Path, pattern: str, waived: bool, how: str
) -> None:
    """From above, from inside, with the whole path: a waiver for a folder counts there, and for no other folder."""
    machine = recorded(
        tmp_path,
        dataset__nan=NAN,
        dataset__surveyed="default",
        dataset__requested=how,
        dataset__folder="/data/raw/Dataset010_Colon",
    )
    waiver = f'[[waiver]]\nid = "nan"\ndataset = "{pattern}"\nreason = "masked"'
    _, report = check(machine, waiver, "--select", "nan")

    assert (ids(report["findings"]), ids(report["waived"])) == (([], ["nan"]) if waived else (["nan"], []))


def test_an_expired_waiver_is_a_finding_and_waives_nothing(check: Any) -> None:
    """The problem counts again; the report says where the waiver stands, and that its day is over."""
    code, report = check(WINDOWS, ALL.replace("2099", "2020"), "--select", "compile-on-windows,waiver-expired")
    found = {item["id"]: item for item in report["findings"]}

    assert code == 1
    assert set(found) == {"compile-on-windows", "waiver-expired"}
    assert found["waiver-expired"]["severity"] == "warning"
    assert found["waiver-expired"]["details"] == [
        {"subject": "compile-on-windows", "message": "nnunet-doctor.toml:3; valid until 2020-12-31"}
    ]
    assert report["waived"] == []


@pytest.mark.parametrize(("until", "found"), [("2020-12-31", ["waiver-expired"]), ("2099-12-31", ["waiver-unused"])])
def test_selected_checks_do_not_hide_what_is_wrong_with_waivers(check: Any, until: str, found: list[str]) -> None:
    """A pipeline asks for an area alone, and is where a waiver runs out; --ignore leaves these out as it does others."""
    text = f'[[waiver]]\nid = "nan"\nreason = "masked"\nuntil = {until}'
    _, report = check(HEALTHY, text, "--select", "dataset")
    _, without = check(HEALTHY, text, "--select", "dataset", "--ignore", "waiver-expired,waiver-unused")

    assert ids(report["findings"]) == found
    assert not set(report["ignored"]) & {"waiver-expired", "waiver-unused"}
    assert ids(without["findings"]) == []


def test_an_unused_waiver_is_a_finding(check: Any) -> None:
    """Where the problem is not, the waiver could only hide a later one."""
    code, report = check(HEALTHY, ALL)

    assert code == 0
    assert [(item["id"], item["severity"], item["subjects"]) for item in report["findings"]] == [
        ("waiver-unused", "info", ["compile-on-windows"])
    ]


@pytest.mark.parametrize(
    "arguments", [("--select", "triton-missing,waiver-unused"), ("--ignore", "compile-on-windows")]
)
def test_a_waiver_of_a_check_that_is_not_asked_is_not_unused(check: Any, arguments: tuple[str, ...]) -> None:
    """Nobody knows whether it would cover something."""
    assert ids(check(HEALTHY, ALL, *arguments)[1]["findings"]) == []


def test_a_waiver_for_data_is_not_unused_where_no_data_are_looked_at(check: Any, tmp_path: Path) -> None:
    """A check of the machine alone says nothing about the waivers of a dataset."""
    document = json.loads(HEALTHY.read_text(encoding="utf-8"))
    document["facts"] |= {name: None for name in document["facts"] if name.startswith(("dataset.", "preprocessed."))}
    machine = tmp_path / "machine.json"
    machine.write_text(json.dumps(document), encoding="utf-8")

    assert ids(check(machine, '[[waiver]]\nid = "nan"\nreason = "masked"')[1]["findings"]) == []


def test_no_waivers_change_nothing(check: Any) -> None:
    """Without any, the report of a machine has nothing about them."""
    _, report = check(HEALTHY, "")

    assert (report["findings"], report["waived"], report["known"]) == ([], [], [])


FINISHED = '[[waiver]]\nid = "training-finished"\nreason = "we always train again"\n'


def test_no_waiver_lets_run_overwrite_an_earlier_training(installation: Installation) -> None:
    """The waiver holds for `check`; `run` wants the word of this start."""
    fold = installation.path("results", "Dataset010_Colon", "nnUNetTrainer__nnUNetPlans__2d", "fold_0")
    fold.mkdir(parents=True)
    (fold / "checkpoint_final.pth").write_text("", encoding="utf-8")
    installation.path("nnunet-doctor.toml").write_text(FINISHED, encoding="utf-8")
    what = ("10", "2d", "0", "-device", "cpu", "--dry-run")
    refused = installation.doctor("run", *what)
    checked = installation.doctor("check", "10", "-c", "2d", "-f", "0", "--device", "cpu")

    assert refused.returncode == 1
    assert "training-finished" in refused.stdout
    assert "waived: we always train again" in checked.stdout


def test_run_starts_in_spite_of_what_is_waived_and_says_so(installation: Installation) -> None:
    """A blocking finding that is waived blocks no start; the reader sees its id."""
    what = ("run", "10", "2d", "0", "-device", "mps", "--dry-run")
    blocked = installation.doctor(*what)
    (id,) = re.findall(r"\[([a-z-]+)\]$", blocked.stdout.partition("\nwarn")[0], re.MULTILINE)
    text = f'[[waiver]]\nid = "{id}"\nreason = "it works here"\n'
    installation.path("nnunet-doctor.toml").write_text(text, encoding="utf-8")
    started = installation.doctor(*what)

    assert (blocked.returncode, started.returncode) == (1, 0)
    assert f"Waived: {id}" in started.stdout


# --- baseline ------------------------------------------------------------------------------------------------------


def test_only_what_is_new_is_reported(check: Any, tmp_path: Path) -> None:
    """By id and subject: old findings are named as known, and of an old one only new files are shown and counted."""
    before = recorded(tmp_path, dataset__nan=NAN[:2], dataset__surveyed="default")
    _, old = check(before, "", "--report", str(tmp_path / "old.json"))
    same = check(before, "", "--baseline", str(tmp_path / "old.json"), "--fail-on", "warning")
    after = recorded(tmp_path, dataset__nan=NAN, dataset__inf=NAN[:1], dataset__surveyed="default")
    code, report = check(after, "", "--baseline", str(tmp_path / "old.json"), "--fail-on", "warning")

    assert "nan" in ids(old["findings"])
    assert (same[0], same[1]["findings"], same[1]["known"]) == (0, [], ids(old["findings"]))
    assert code == 1
    assert {item["id"]: item["subjects"] for item in report["findings"]} == {
        "nan": [item["subject"] for item in NAN[2:]],
        "inf": [NAN[0]["subject"]],
    }


def test_the_baseline_of_another_dataset_is_refused(
    check: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """dataset.json is a file of both: what is new in one would pass for what was known of the other."""
    fault = [{"subject": "dataset.json", "message": "numTraining 7; 6 cases"}]
    known = {"dataset__num_training": fault, "dataset__surveyed": "default"}
    check(recorded(tmp_path, **known), "", "--report", str(tmp_path / "old.json"))
    other = recorded(tmp_path, **known, dataset__name="Dataset011_Liver")
    code = main(["check", "--facts", str(other), "--baseline", str(tmp_path / "old.json")])

    assert code == 2
    assert "is about Dataset010_Colon, and this check about Dataset011_Liver" in capsys.readouterr().err


def test_what_a_known_problem_explains_is_shown_when_it_is_new(check: Any, tmp_path: Path) -> None:
    """It would otherwise be folded under a finding that is not shown."""
    machine = MACHINES / "windows-cpu-torch-beside-gpu.json"
    _, whole = check(machine, "")
    folded = [item for item in whole["findings"] if item["explained_by"]]
    cause = {item["explained_by"] for item in folded}
    old = {**whole, "findings": [item for item in whole["findings"] if item["id"] in cause]}
    (tmp_path / "old.json").write_text(json.dumps(old), encoding="utf-8")
    _, report = check(machine, "", "--baseline", str(tmp_path / "old.json"))

    assert folded
    assert {item["explained_by"] for item in report["findings"] if item["id"] in ids(folded)} == {None}


def test_a_report_of_what_was_new_is_no_baseline(
    check: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What stood in the first baseline is not in it, and would be told as new."""
    old, new = str(tmp_path / "old.json"), str(tmp_path / "new.json")
    check(WINDOWS, "", "--report", old)
    second, _ = check(WINDOWS, "", "--baseline", old, "--report", new)

    assert second == 0
    assert main(["check", "--facts", str(WINDOWS), "--baseline", new]) == 2
    assert "was written with --baseline itself and holds only what was new then" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "said"),
    [(None, "cannot be read"), ("{", "is not JSON"), ("[]", "is not a report"), ("{}", "is not a repo")],
)
def test_a_baseline_that_is_none_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, said: str
) -> None:
    """A lost baseline must not make everything old, nor everything new."""
    path = tmp_path / "old.json"
    if text is not None:
        path.write_text(text, encoding="utf-8")

    assert main(["check", "--facts", str(HEALTHY), "--baseline", str(path)]) == 2
    assert said in capsys.readouterr().err
