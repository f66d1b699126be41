"""The demo for real: nnU-Net plans, preprocesses, trains and validates, and its work is then protected.

Needs the extra ``nnunet`` and some minutes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from made_up import clean_environ

pytestmark = pytest.mark.slow

NAME = "Dataset999_DoctorDemo"
FOLD = Path("nnUNet_results", NAME, "nnUNetTrainer_1epoch__nnUNetPlans__2d", "fold_0")


def doctor(*arguments: str, cwd: Path, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does."""
    command = [sys.executable, "-m", "nnunet_doctor", *arguments]
    return subprocess.run(
        command, cwd=cwd, env=environ, capture_output=True, encoding="utf-8", errors="replace", check=False
    )


@pytest.fixture(scope="module")
def environ() -> dict[str, str]:
    """A user's environment, in English, on the processor even where a GPU is, so that all machines do the same."""
    return {**clean_environ(), "NNUNET_DOCTOR_LANG": "en"}


@pytest.fixture(scope="module")
def demo(
    tmp_path_factory: pytest.TempPathFactory, environ: dict[str, str]
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The demo, run once for all tests of this file."""
    folder = tmp_path_factory.mktemp("demo") / "work"
    return folder, doctor("demo", "--folder", str(folder), "--device", "cpu", cwd=folder.parent, environ=environ)


@pytest.fixture(scope="module")
def folders(demo: tuple[Path, object], environ: dict[str, str]) -> dict[str, str]:
    """The environment of somebody who goes on working with the demo's folders."""
    base, _ = demo
    return {
        **environ,
        **{f"nnUNet_{name}": str(base / f"nnUNet_{name}") for name in ("raw", "preprocessed", "results")},
    }


def test_demo_trains_and_validates(demo: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """The demo ends well, with a validation that shows that something was learnt, in a folder that it names."""
    folder, done = demo
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    summary = json.loads((folder / FOLD / "validation" / "summary.json").read_text(encoding="utf-8"))

    assert str(folder) in done.stdout
    assert "5 of 5  Done" in done.stdout
    assert summary["foreground_mean"]["Dice"] > 0.8
    assert f"{summary['foreground_mean']['Dice']:.3f}" in done.stdout
    assert (folder / FOLD / "checkpoint_final.pth").is_file()


def test_demo_keeps_to_its_folder(demo: tuple[Path, object]) -> None:
    """Nothing is written beside the working folder."""
    folder, _ = demo

    assert [path.name for path in folder.parent.iterdir()] == ["work"]


def test_demo_is_not_run_into_the_same_folder_again(demo: tuple[Path, object], environ: dict[str, str]) -> None:
    """A folder with work in it is refused."""
    folder, _ = demo
    again = doctor("demo", "--folder", str(folder), cwd=folder.parent, environ=environ)

    assert again.returncode == 2
    assert "is not empty" in again.stderr


def test_check_knows_the_trained_demo(demo: tuple[Path, object], folders: dict[str, str]) -> None:
    """The real dataset, plans and preprocessed cases are recognised, and nothing real nnU-Net wrote is complained of."""
    folder, _ = demo
    what = ("999", "-c", "2d", "-f", "1", "--device", "cpu", "-tr", "nnUNetTrainer_1epoch", "--format", "json")
    done = doctor("check", *what, cwd=folder.parent, environ=folders)
    report = json.loads(done.stdout)

    assert done.returncode == 0, done.stdout
    assert [
        finding["id"] for finding in report["findings"] if finding["area"] in ("dataset", "training", "paths")
    ] == []


def test_finished_training_is_protected(demo: tuple[Path, object], folders: dict[str, str]) -> None:
    """The same training is not started over what the demo trained."""
    folder, _ = demo
    checkpoint = folder / FOLD / "checkpoint_final.pth"
    before = checkpoint.stat().st_mtime_ns
    done = doctor(
        "run", "999", "2d", "0", "-tr", "nnUNetTrainer_1epoch", "-device", "cpu", cwd=folder.parent, environ=folders
    )

    assert done.returncode == 1
    assert "training-finished" in done.stdout
    assert checkpoint.stat().st_mtime_ns == before


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and shell")
def test_pasted_command_of_a_dry_run_trains(demo: tuple[Path, object], folders: dict[str, str]) -> None:
    """What --dry-run prints starts a real training, which Ctrl-C in the doctor's own run ends without a trace."""
    folder, _ = demo
    what = ("run", "999", "2d", "1", "-tr", "nnUNetTrainer_5epochs", "-device", "cpu")
    dry = doctor(*what, "--dry-run", cwd=folder.parent, environ=folders)
    pasted = subprocess.Popen(["/bin/sh", "-c", "exec " + dry.stdout.splitlines()[-1].replace("nnUNet_", "env nnUNet_", 1)],
                              env=folders, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", start_new_session=True)  # fmt: skip
    seen = _read_until(pasted, "Epoch 0")
    os.killpg(pasted.pid, signal.SIGKILL)
    pasted.communicate(timeout=30)

    assert dry.returncode == 0
    assert seen


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_ctrl_c_ends_a_real_training_and_its_workers(demo: tuple[Path, object], folders: dict[str, str]) -> None:
    """Ctrl-C in the middle of an epoch ends nnU-Net with 130, and no worker of it is left."""
    folder, _ = demo
    command = [
        sys.executable,
        "-m",
        "nnunet_doctor",
        "run",
        "999",
        "2d",
        "2",
        "-tr",
        "nnUNetTrainer_5epochs",
        "-device",
        "cpu",
    ]
    training = subprocess.Popen(command, cwd=folder.parent, env={**folders, "nnUNet_n_proc_DA": "2"}, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, encoding="utf-8", errors="replace")  # fmt: skip
    assert _read_until(training, "Epoch 0")
    time.sleep(3)
    workers = psutil.Process(training.pid).children(recursive=True)
    training.send_signal(signal.SIGINT)
    assert training.stdout is not None
    training.stdout.read()
    code = training.wait(60)
    training.stdout.close()
    _, alive = psutil.wait_procs(workers, timeout=5)

    assert code == 130
    assert len(workers) >= 3
    assert alive == []


def _read_until(process: subprocess.Popen[str], words: str) -> bool:
    assert process.stdout is not None
    return any(words in line for line in process.stdout)
