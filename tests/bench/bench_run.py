"""What ``nnunet-doctor run`` costs a training, and how near its estimate is, with a real nnU-Net on the CPU.

    python tests/bench/bench_run.py [--rounds N] [--steps N] [--epochs N]

In each round the same short training is done by ``nnUNetv2_train`` and by ``run``, in turns. Budgets of the contract:
under 1 % of the wall time beyond the check before the start, and under 60 MB for the doctor's own process. The estimate
of ``run --estimate`` is compared with the epochs that follow it; it should be within 25 %.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from real import TRAINER, Prepared, prepare

TRAIN = "from nnunetv2.run.run_training import run_training_entry as go; go()"


def peer(environ: dict[str, str]) -> float:
    """Train with nnU-Net's own command and return the seconds."""
    command = [sys.executable, "-c", TRAIN, "999", "2d", "0", "-tr", TRAINER, "-device", "cpu"]
    begun = time.perf_counter()
    subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


def ours(prepared: Prepared, environ: dict[str, str]) -> tuple[float, float, float]:
    """Train with ``run``; return all seconds, those of nnU-Net alone, and the doctor's peak memory in MB."""
    begun = time.perf_counter()
    doctor = subprocess.Popen(
        prepared.command("--overwrite"),
        cwd=prepared.base,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    started = 0.0
    memory = 0.0
    for line in doctor.stderr:
        if line.startswith("The output also goes to"):
            started = time.perf_counter()
        if line.startswith("epoch"):
            memory = max(memory, peak_mb(doctor.pid))
    if doctor.wait():
        sys.exit("run failed")
    ended = time.perf_counter()
    return ended - begun, ended - started, memory


def peak_mb(pid: int) -> float:
    """Return the peak resident memory of a process (proc(5), VmHWM)."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


def memory(environ: dict[str, str], workers: int) -> tuple[float, float]:
    """Return the memory in GiB that is foretold for a number of workers, and the most that the processes really took.

    Shared pages are counted once (proportional set size); the final validation is left out.
    """
    environ = {**environ, "nnUNet_n_proc_DA": str(workers)}
    command = [sys.executable, "-m", "nnunet_doctor", "facts", "999", "-c", "2d", "-f", "0", "--device", "cpu"]
    facts = json.loads(subprocess.run(command, env=environ, check=True, capture_output=True, encoding="utf-8").stdout)
    train = [sys.executable, "-c", TRAIN, "999", "2d", "0", "-tr", TRAINER, "-device", "cpu"]
    training = subprocess.Popen(train, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    most = 0.0
    while training.poll() is None:
        most = max(most, sum(map(_share, _tree(training.pid))))
        time.sleep(0.3)
    return facts["derived"]["training.memory_needed_gib"], most / 1024**3


def _tree(pid: int) -> list[psutil.Process]:
    try:
        main = psutil.Process(pid)
        return [main, *main.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _share(process: psutil.Process) -> int:
    try:
        return process.memory_full_info().pss
    except psutil.Error:
        return 0


def estimated(prepared: Prepared, environ: dict[str, str]) -> tuple[float, float]:
    """Return the seconds of an epoch as ``run --estimate`` foretells them, and as they were (the first left out)."""
    command = [*prepared.command("--overwrite", "--estimate")]
    done = subprocess.run(
        command, cwd=prepared.base, env=environ, capture_output=True, encoding="utf-8", errors="replace", check=True
    )
    foretold = float(re.search(r"One epoch takes about ([\d.]+) s", done.stderr)[1])
    real = [float(seconds) for seconds in re.findall(r"Epoch time: ([\d.]+) s", done.stdout)]
    return foretold, statistics.mean(real[1:])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="run against nnUNetv2_train")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40, help="training steps in each epoch")
    parser.add_argument("--epochs", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        prepared = prepare(Path(folder, "work"))
        environ = {**prepared.environ, "SHORT_STEPS": str(options.steps), "SHORT_EPOCHS": str(options.epochs)}
        peer(environ)  # warms the file cache for both
        rounds = []
        for _ in range(options.rounds):
            theirs = peer(environ)
            rounds.append((theirs, *ours(prepared, environ), *estimated(prepared, environ)))
            print("  ".join(f"{value:8.1f}" for value in rounds[-1]), flush=True)
        for workers in (1, 2):
            said, took = memory(environ, workers)
            print(f"{f'memory with {workers} workers':34} {took:8.1f} GiB, foretold {said:.1f}", flush=True)
    theirs, whole, alone, own, foretold, real = (list(column) for column in zip(*rounds, strict=True))
    print(f"{'nnUNetv2_train':34} {statistics.median(theirs):8.1f} s")
    print(f"{'run, without the check before':34} {statistics.median(alone):8.1f} s")
    print(
        f"{'ratio, median of the pairs':34} {statistics.median(a / b for a, b in zip(alone, theirs, strict=True)):8.3f}"
    )
    print(f"{'check before the start':34} {statistics.median(a - b for a, b in zip(whole, alone, strict=True)):8.1f} s")
    print(f"{'memory of the doctor':34} {max(own):8.1f} MB")
    off = [abs(a / b - 1) for a, b in zip(foretold, real, strict=True)]
    print(f"{'estimate of an epoch is off by':34} {100 * statistics.median(off):8.1f} %")


if __name__ == "__main__":
    main()
