"""Faults injected into real trainings: what the doctor does, what comes back, and that no work is lost."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from made_up import gone
from real import Prepared, is_root, prepare

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and mounts")]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The demo's dataset, preprocessed once for all faults."""
    return prepare(tmp_path_factory.mktemp("faults") / "work")


@pytest.fixture
def fresh(prepared: Prepared) -> Prepared:
    """The same without any results."""
    for path in sorted((prepared.base / "nnUNet_results").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    return prepared


def lines_until(process: subprocess.Popen[str], pattern: str) -> list[str]:
    """Read the output up to a line; fails when it ends before."""
    seen = []
    for line in process.stdout:
        seen.append(line)
        if re.search(pattern, line):
            return seen
    raise AssertionError(f"no {pattern!r} in:\n" + "".join(seen[-40:]))


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """List the processes below the doctor."""
    return psutil.Process(process.pid).children(recursive=True)


def epochs_of(text: str) -> list[int]:
    """Return the numbers of the epochs that a training began."""
    return [int(number) for number in re.findall(r": Epoch (\d+)", text)]


def test_a_broken_compiler_is_worked_around(fresh: Prepared, tmp_path: Path) -> None:
    """(a) torch.compile fails in the first step; the same training starts again without it, once, and ends well."""
    environ = {"nnUNet_compile": "true", "CXX": "/bin/false", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    done = fresh.run("--force", "compile-no-cpp-compiler", **environ)

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "Starting again with what mends this: nnUNet_compile=false" in done.stdout
    assert "It took new starts to get there: compile-no-cpp-compiler: nnUNet_compile=false" in done.stdout
    assert epochs_of(done.stdout) == [0, 0, 1, 2]
    assert (fresh.fold / "checkpoint_final.pth").is_file()


def test_no_retry_leaves_a_failure_as_it_is(fresh: Prepared, tmp_path: Path) -> None:
    """With --no-retry the first failure is the last word, with its cause and its fix."""
    environ = {"nnUNet_compile": "true", "CXX": "/bin/false", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path)}
    done = fresh.run("--no-retry", "--force", "compile-no-cpp-compiler", **environ)

    assert done.returncode == 1
    assert "[compile-no-cpp-compiler]" in done.stdout
    assert "nnUNet_compile=false" in done.stdout
    assert "Starting again" not in done.stdout


def test_a_killed_worker_ends_the_training_and_keeps_its_checkpoint(fresh: Prepared) -> None:
    """(b) A data-loading worker is killed in epoch 1: the run ends with nnU-Net's code, and --c goes on behind epoch 0."""
    doctor = fresh.start("--no-retry", SHORT_EPOCHS="40")
    lines_until(doctor, r": Epoch 1")
    workers = [item for item in family(doctor) if not item.children() and "spawn" not in " ".join(item.cmdline())]
    workers[-1].kill()
    rest = doctor.communicate(timeout=120)[0]
    again = fresh.run("--c", SHORT_EPOCHS="3")

    assert doctor.returncode == 1, rest
    assert "One or more background workers are no longer alive" in rest
    assert all(gone(item.pid) for item in workers)
    assert again.returncode == 0, again.stdout[-3000:] + again.stderr
    assert epochs_of(again.stdout)[0] >= 1
    assert (fresh.fold / "checkpoint_final.pth").is_file()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, {1, 130}), (signal.SIGTERM, {143})])
def test_an_interrupted_training_goes_on_where_it_was(fresh: Prepared, number: int, code: set[int]) -> None:
    """(c) Ctrl-C and SIGTERM end the training and all of its processes; --c continues with the next epoch."""
    doctor = fresh.start(SHORT_EPOCHS="40")
    lines_until(doctor, r": Epoch 2")
    below = family(doctor)
    doctor.send_signal(number)
    rest = doctor.communicate(timeout=60)[0]
    again = fresh.run("--c", SHORT_EPOCHS="5")

    assert doctor.returncode in code, rest
    assert below
    assert all(gone(item.pid) for item in below)
    assert again.returncode == 0, again.stdout[-3000:] + again.stderr
    assert epochs_of(again.stdout)[0] in (1, 2, 3)
    assert epochs_of(again.stdout)[-1] == 4


@pytest.fixture
def small_disk(fresh: Prepared) -> Iterator[Path]:
    """A file system for results that takes one checkpoint and not two."""
    if not is_root():
        pytest.skip("mounting is not allowed here")
    results = fresh.base / "nnUNet_results"
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", str(results)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield results
    finally:
        subprocess.run(["umount", "-l", str(results)], check=True)


def test_a_full_disk_is_told_as_that(fresh: Prepared, small_disk: Path) -> None:
    """(d) The disk is full when a checkpoint is written: the run fails with the cause, and what is on the disk stays."""
    doctor = fresh.start("--force", "paths-full", SHORT_EPOCHS="40")
    lines_until(doctor, r": Epoch 1")
    (small_disk / "others").write_bytes(b"\0" * 1024)
    with (small_disk / "others").open("ab") as file:
        try:
            while True:
                file.write(b"\0" * (1 << 20))
                file.flush()
        except OSError:
            pass
    rest = doctor.communicate(timeout=180)[0]

    assert doctor.returncode == 1, rest[-3000:]
    assert re.search(r"paths-full|paths-nearly-full", rest), rest[-3000:]
    assert (small_disk / "others").is_file()


def test_when_the_doctor_is_killed_the_training_ends_too(fresh: Prepared) -> None:
    """(e) Nobody reads the output of a training whose doctor was killed: it ends at its next word, with all its workers."""
    doctor = fresh.start(SHORT_EPOCHS="40")
    lines_until(doctor, r": Epoch 1")
    below = family(doctor)
    doctor.kill()
    doctor.communicate()
    until = time.monotonic() + 90
    while time.monotonic() < until and any(not gone(item.pid, 0.1) for item in below):
        time.sleep(0.5)

    assert below
    assert [item.pid for item in below if not gone(item.pid, 0.1)] == []
    assert (fresh.fold / "checkpoint_latest.pth").is_file()
    assert fresh.run("--c", SHORT_EPOCHS="3").returncode == 0


def test_estimate_is_of_this_training(fresh: Prepared) -> None:
    """Before a training on the CPU, its time is foretold from real iterations; nothing is left in the results for it."""
    command = [part for part in fresh.command("--estimate") if part != "--quick"]
    done = subprocess.run(
        command,
        cwd=fresh.base,
        env={**fresh.environ, "SHORT_EPOCHS": "1"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    said = re.search(r"One epoch takes about ([\d.]+) s: 1 epochs? ", done.stderr)

    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert said, done.stderr
    assert 0.05 < float(said[1]) < 120
    assert [path.name for path in (fresh.base / "nnUNet_results" / fresh.fold.parts[-3]).iterdir()] == [
        fresh.fold.parent.name
    ]
