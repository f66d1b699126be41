"""A bundle holds what a maintainer needs, and nobody's names and images."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from made_up import Installation

from nnunet_doctor import bundle

WHAT = ("10", "-c", "2d", "-f", "0", "--device", "cpu")


@pytest.fixture
def failed(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """A fold with the log of a training that failed, in a dataset whose description tells of people.

    The log is longer than what a bundle takes of one, which is half a megabyte otherwise.
    """
    monkeypatch.setattr(bundle, "MOST_LOG_BYTES", 16_000)
    description = installation.path("raw", "Dataset010_Colon", "dataset.json")
    plain = json.loads(description.read_text(encoding="utf-8"))
    plain |= {"description": "patients of Dr. Keller, Nordklinik", "dataset": {"Schmidt_Karl": {"label": "x.nii.gz"}}}
    description.write_text(json.dumps(plain), encoding="utf-8")
    images = installation.path("raw", "Dataset010_Colon", "imagesTr")
    images.mkdir()
    (images / "Schmidt_Karl_0000.nii.gz").write_bytes(b"voxels of a patient")
    fold = installation.path("results", "Dataset010_Colon", "nnUNetTrainer__nnUNetPlans__2d", "fold_0")
    fold.mkdir(parents=True)
    lines = [
        "first line of all",
        *["x" * 99] * 200,
        f"reading {installation.path('raw')}/Dataset010_Colon",
        "Schmidt_Karl is next; amueller@gpu07 is told, password=hunter2",
        "RuntimeError: CUDA error: out of memory",
    ]
    (fold / "nnunet_doctor_2026-01-01_00-00-00.log").write_text("\n".join(lines), encoding="utf-8")
    return installation


def contents(path: Path) -> dict[str, str]:
    """Return the files of a bundle."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name).decode("utf-8") for name in archive.namelist()}


def test_a_bundle_holds_what_it_lists(failed: Installation) -> None:
    """Facts, report, end of the log, plans and dataset.json; each is listed, and the last line is the path."""
    done = failed.doctor("bundle", *WHAT, "-o", "out.zip")
    held = contents(failed.path("out.zip"))

    assert (done.returncode, done.stderr) == (0, "")
    assert set(held) == {"facts.json", "report.json", "report.md", "log-end.txt", "nnUNetPlans.json", "dataset.json"}
    assert [name for name in held if name not in done.stdout] == []
    assert done.stdout.splitlines()[-1] == "out.zip"
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("depth", [700, 5000])
def test_a_bundle_does_without_json_that_nobody_can_follow(installation: Installation, depth: int) -> None:
    """Plans of lists within lists, far more than nnU-Net writes, cost the bundle no other file."""
    for plans in installation.path("preprocessed").rglob("nnUNetPlans.json"):
        plans.write_text(f'{{"configurations": {"[" * depth}{"]" * depth}}}', encoding="utf-8")
    done = installation.process("bundle", *WHAT, "-o", "out.zip")

    assert (done.returncode, done.stderr) == (0, "")
    assert {"facts.json", "report.json", "dataset.json"} <= set(contents(installation.path("out.zip")))


def test_a_bundle_names_nobody_and_holds_no_image(failed: Installation) -> None:
    """Neither the user, host, folders and cases of this machine, nor the people of a description, nor voxels."""
    failed.doctor("bundle", *WHAT, "-o", "out.zip", USER="amueller", LOGNAME="amueller")
    text = "".join(contents(failed.path("out.zip")).values())
    private = ("Colon", "colon_0", "Schmidt", "Karl", "Keller", "Nordklinik", "amueller", "gpu07", "hunter2")
    private += (str(failed.base), "voxels of a patient")

    assert [word for word in private if word in text] == []


def test_a_bundle_is_of_use(failed: Installation) -> None:
    """Its facts give the findings of its report; the log ends as it ended; labels and plans can be read."""
    failed.doctor("bundle", *WHAT, "-o", "out.zip")
    held = contents(failed.path("out.zip"))
    facts = failed.path("facts.json")
    facts.write_text(held["facts.json"], encoding="utf-8")
    replayed = json.loads(failed.doctor("check", "--facts", str(facts), "--format", "json").stdout)
    report = json.loads(held["report.json"])

    assert (replayed["findings"], replayed["plan"]) == (report["findings"], report["plan"])
    assert held["log-end.txt"].endswith("RuntimeError: CUDA error: out of memory\n")
    assert "first line of all" not in held["log-end.txt"]
    assert json.loads(held["dataset.json"])["labels"] == {"background": 0, "cancer": 1}
    assert json.loads(held["dataset.json"])["description"] == "(left out)"
    assert "2d" in json.loads(held["nnUNetPlans.json"])["configurations"]


def test_a_bundle_knows_no_waivers(failed: Installation) -> None:
    """Their reasons name people, their patterns name cases; the report is that of the facts beside it."""
    waiver = '[[waiver]]\nid = "command-missing"\nreason = "agreed with Dr. Hansen"\n'
    failed.path("nnunet-doctor.toml").write_text(waiver, encoding="utf-8")
    failed.doctor("bundle", *WHAT, "-o", "out.zip")
    held = contents(failed.path("out.zip"))
    report = json.loads(held["report.json"])

    assert "Hansen" not in "".join(held.values())
    assert "command-missing" in [item["id"] for item in report["findings"]]
    assert report["waived"] == []


def test_a_log_can_be_named(failed: Installation) -> None:
    """Also one that PowerShell has written, in UTF-16."""
    failed.path("job.out").write_text("epoch 1\nTraceback\n", encoding="utf-16")
    failed.doctor("bundle", *WHAT, "--log", "job.out", "-o", "out.zip")

    assert contents(failed.path("out.zip"))["log-end.txt"] == "epoch 1\nTraceback\n"


def test_a_log_of_a_chinese_windows_can_be_read(failed: Installation) -> None:
    """cmd.exe writes GBK: the bundle has it as UTF-8, and names are taken out of it."""
    text = "用户 王小明 运行\n读取 C:\\Users\\王小明\\data 失败\nRuntimeError: 错误\n"
    failed.path("job.out").write_bytes(text.encode("gbk"))
    failed.doctor("bundle", *WHAT, "--log", "job.out", "-o", "out.zip", USERNAME="王小明")

    log = contents(failed.path("out.zip"))["log-end.txt"]
    assert "王小明" not in log
    assert log.startswith("用户 ")
    assert log.endswith("RuntimeError: 错误\n")


def test_the_end_of_a_log_without_line_ends_is_put_in(failed: Installation) -> None:
    """Half a megabyte of a progress bar is one line; what follows on it is not lost."""
    bar = "".join(f"\r{number % 101}%|##| {number}/9 [00:01<00:01, 2.0it/s]" for number in range(30_000))
    failed.path("job.out").write_text(f"begin{bar}\rRuntimeError: it ends", encoding="utf-8", newline="")
    failed.doctor("bundle", *WHAT, "--log", "job.out", "-o", "out.zip")

    assert contents(failed.path("out.zip"))["log-end.txt"].splitlines()[-1] == "RuntimeError: it ends"


def test_plans_hold_what_nnunet_writes(failed: Installation) -> None:
    """Sentences of people, their names as keys and keys of services are left out of plans and of dataset.json."""
    plans = failed.path("preprocessed", "Dataset010_Colon", "nnUNetPlans.json")
    description = failed.path("raw", "Dataset010_Colon", "dataset.json")
    told = {"Dr. Hansen": 1, "comment": "for Dr. Meier", "api_key": "k42", "mail": "x.y@nord.de", "dir": "D:/Voss/x y"}
    for path in (plans, description):
        path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **told}), encoding="utf-8")
    failed.doctor("bundle", *WHAT, "-o", "out.zip")
    held = contents(failed.path("out.zip"))
    shown = held["nnUNetPlans.json"] + held["dataset.json"]

    assert [word for word in ("Hansen", "Meier", "k42", "x.y", "nord", "Voss") if word in shown] == []
    assert json.loads(held["nnUNetPlans.json"])["configurations"]["2d"]["normalization_schemes"] == ["CTNormalization"]


def test_names_in_the_bundle_name_nobody(failed: Installation) -> None:
    """Plans that are called after somebody, or by a path, lie in the bundle as a file that names nobody."""
    folder = failed.path("preprocessed", "Dataset010_Colon")
    for name in ("Hansen_Plans", "../Hansen_Plans"):
        (folder / f"{name}.json").write_text(
            (folder / "nnUNetPlans.json").read_text(encoding="utf-8"), encoding="utf-8"
        )
        failed.doctor("bundle", *WHAT, "-p", name, "-o", "out.zip")

        assert "Xxxxxx_Xxxxx.json" in contents(failed.path("out.zip"))


def test_a_bundle_without_dataset_and_log_is_one(installation: Installation) -> None:
    """Where there is no training there are facts and reports; without -o the file lies in the working folder."""
    done = installation.doctor("bundle", "--quick")

    assert done.returncode == 0
    assert set(contents(installation.path(done.stdout.splitlines()[-1]))) == {"facts.json", "report.json", "report.md"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("--log", "nowhere.log"), "the log nowhere.log cannot be read"), (("-o", "no/where.zip"), "cannot be written")],
)
def test_what_cannot_be_done_is_said(installation: Installation, arguments: tuple[str, ...], said: str) -> None:
    """One sentence, exit code 2, and no half of a file."""
    done = installation.doctor("bundle", "--quick", *arguments)

    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert [path for path in installation.base.iterdir() if path.suffix in (".zip", ".part")] == []
