"""``nnunet-doctor diagnose`` as a user meets it: files, pairs, folders, standard input, growing logs, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from in_process import call

from nnunet_doctor.cli import main

CORPUS = Path(__file__).with_name("corpus")
STAMP = "2026-11-22 06:31:52.787228: "
START = [
    "Using device: cpu",
    "Please cite the following paper when using nnU-Net:",
    f"{STAMP}This split has 6 training and 2 validation cases.",
]
EPOCH = [
    STAMP + line for line in ("Epoch 0", "train_loss -0.5", "val_loss -0.4", "Pseudo dice [0.5]", "Epoch time: 9.5 s")
]
ERROR = [
    "Traceback (most recent call last):",
    '  File "/home/user/x.py", line 1, in f',
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB",
]


def written(path: Path, *lines: str) -> Path:
    """Write a log of some lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


ENVIRON = {**os.environ, "NNUNET_DOCTOR_LANG": "en"}


def doctor(*arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Run the command in this process."""
    return call(["diagnose", *arguments], ENVIRON, Path.cwd(), stdin)


def process(*arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    command = [sys.executable, "-m", "nnunet_doctor", "diagnose", *map(str, arguments)]
    return subprocess.run(
        command, input=stdin.decode(), capture_output=True, encoding="utf-8", env=ENVIRON, check=False
    )


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict[str, Any]]:
    """Return exit code and JSON of the command, run in this process."""
    code = main(["diagnose", *map(str, arguments), "--format", "json"])
    return code, json.loads(capsys.readouterr().out)


def test_the_same_from_a_file_from_stdin_and_from_a_folder(tmp_path: Path) -> None:
    """However the log comes, cause, line and exit code are the same."""
    lines = [*START, *EPOCH, *ERROR]
    fold = tmp_path / "Dataset010_Colon" / "nnUNetTrainer__nnUNetPlans__2d" / "fold_0"
    log = written(fold / "nnunet_doctor_2026-11-22_06-31-00.log", *lines)
    outputs = [doctor(log), doctor("-", stdin=log.read_bytes()), doctor(tmp_path)]
    outputs.append(process("-", stdin=log.read_bytes()))

    assert [done.returncode for done in outputs] == [1, 1, 1, 1]
    for done in outputs:
        assert "[gpu-memory-full]" in done.stdout
        assert "line 11:" in done.stdout
        assert done.stderr == ""


def test_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """0 healthy, 1 recognised, 3 not recognised, 2 wrong use."""
    healthy = written(tmp_path / "a", *START, *EPOCH, f"{STAMP}Training done.", f"{STAMP}Validation complete")
    known = written(tmp_path / "b", *START, *ERROR)
    unknown = written(tmp_path / "c", *START, *ERROR[:2], "KeyError: 'mine'")

    assert [said(capsys, path)[0] for path in (healthy, known, unknown)] == [0, 1, 3]
    assert main(["diagnose", str(tmp_path / "nowhere")]) == 2
    assert main(["diagnose", str(tmp_path)]) == 2
    assert main(["diagnose"]) == 2


def test_a_pair_of_a_job_is_one_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The error is named with its file, the course comes from the other."""
    out = written(tmp_path / "slurm-7.out", *START, *EPOCH, f"{STAMP}Epoch 1")
    err = written(tmp_path / "slurm-7.err", "slurmstepd: error: Detected 1 oom_kill event in StepId=7.0.")
    code, document = said(capsys, out, err)

    assert (code, document["cause"]["id"], document["cause"]["log"]) == (1, "memory-ran-out", str(err))
    assert (document["progress"]["epochs"], document["facts"]["platform.scheduler"]) == (1, "slurm")


def test_a_training_log_without_an_error_says_where_the_error_is(tmp_path: Path) -> None:
    """nnU-Net does not write errors into its own log, which is what a results folder holds."""
    log = written(
        tmp_path / "training_log_2026_1_1_10_00_00.txt", *START, *EPOCH, f"{STAMP}Epoch 1".replace("2026", "2024")
    )
    done = doctor(log)

    assert done.returncode == 3
    assert "nnU-Net writes no errors into training_log files" in done.stdout


def test_the_total_of_epochs_comes_from_debug_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No line of a log holds it."""
    log = written(tmp_path / "training_log_2026_1_1_10_00_00.txt", *START, *EPOCH)
    written(tmp_path / "debug.json", '{"num_epochs": "250", "torch_version": "2.8.0+cu128"}')
    _, document = said(capsys, log)

    assert (document["progress"]["total_epochs"], document["facts"]["torch.version"]) == (250, "2.8.0+cu128")


def test_markdown_and_language(tmp_path: Path) -> None:
    """Both are chosen by options."""
    log = written(tmp_path / "a.log", *START, *ERROR)
    done = doctor(log, "--format", "markdown", "--lang", "zh")

    assert done.stdout.startswith("## ")
    assert "`gpu-memory-full`" in done.stdout
    assert "显存" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
def test_a_reader_that_has_seen_enough_changes_no_exit_code(tmp_path: Path) -> None:
    """'| head -1' ends the output, not the verdict."""
    log = written(tmp_path / "a.log", *START, *ERROR)
    line = f"{sys.executable} -m nnunet_doctor diagnose {log} | head -c 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, encoding="utf-8", check=False)

    assert (done.returncode, done.stdout, done.stderr) == (1, "F", "")


def test_a_pack_brings_its_own_signatures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--checks adds what a laboratory knows of its own cluster."""
    check = """
severity = "error"
[text.en]
title = "The scratch disk of our cluster is away"
why = "It is mounted anew every night."
[text.zh]
title = "集群的临时磁盘不可用"
why = "它每晚都会重新挂载。"
[log]
cause = ["Stale scratch 77"]
"""
    written(tmp_path / "pack" / "resources" / "our-scratch.toml", check)
    log = written(tmp_path / "a.log", *START, "OSError: Stale scratch 77")
    code, document = said(capsys, log, "--checks", tmp_path / "pack")

    assert (code, document["cause"]["id"]) == (1, "our-scratch")


def test_a_huge_log_takes_little_memory(tmp_path: Path) -> None:
    """A hundred megabytes are read within an address space of which Python and the checks take the most."""
    resource = pytest.importorskip("resource")
    log = tmp_path / "huge.log"
    block = "".join(f"{line}\n" for _ in range(2000) for line in EPOCH).encode()
    with log.open("wb") as file:
        for _ in range(100):
            file.write(block)
        file.write("\n".join(ERROR).encode())
    limit = 900 * 1024**2

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    done = subprocess.run(
        [sys.executable, "-m", "nnunet_doctor", "diagnose", str(log)],
        capture_output=True,
        encoding="utf-8",
        preexec_fn=limited,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        check=False,
    )

    assert (done.returncode, done.stderr) == (1, "")
    assert log.stat().st_size > 30_000_000


def test_following_ends_with_the_run(tmp_path: Path) -> None:
    """A log that grows is watched; its end is told as it comes, and the exit code is that of what was found."""
    log = written(tmp_path / "a.log", *START)
    process = subprocess.Popen(
        [sys.executable, "-m", "nnunet_doctor", "diagnose", "--follow", str(log)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "NNUNET_DOCTOR_LANG": "en"},
    )

    def grow() -> None:
        for lines in (EPOCH, [line.replace("Epoch 0", "Epoch 1") for line in EPOCH], [*ERROR, "Killed"]):
            time.sleep(0.4)
            with log.open("a", encoding="utf-8") as file:
                file.write("\n".join(lines) + "\n")

    writer = threading.Thread(target=grow)
    writer.start()
    out, err = process.communicate(timeout=30)
    writer.join()

    assert process.returncode == 1
    assert "epoch 2 of ?" in err
    assert "[gpu-memory-full]" in out


def test_names_of_what_was_asked_are_in_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    """'nnunet-doctor schema diagnosis' prints the schema of what diagnose prints."""
    assert main(["schema", "diagnosis"]) == 0

    assert json.loads(capsys.readouterr().out)["title"] == "What nnunet-doctor diagnose says of a log"
