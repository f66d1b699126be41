"""How fast ``nnunet-doctor diagnose`` reads, in MB/s on one core, and that its memory does not grow with the log.

    python tests/bench/bench_diagnose.py [--mb 200] [--logs FOLDER]

Kinds of logs: epochs (a training without end), console (epochs with progress bars, warnings of torch and blank lines),
prefixed (the same as Kubernetes stores it), retold (real logs, one after another; with --logs), text (no two lines
alike, none of them from nnU-Net), errors (nothing but tracebacks). The contract asks for 50 MB/s on an ordinary log:
epochs and console. As a peer, the time in which grep -E looks for ten words in the same file is given, where there is
a grep.
"""

from __future__ import annotations

import argparse
import random
import shutil
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from nnunet_doctor import catalogue
from nnunet_doctor.log.diagnose import diagnose
from nnunet_doctor.log.reading import Known
from nnunet_doctor.log.source import find_sources
from nnunet_doctor.log.whole import read_logs

MB = 1_000_000
FLOOR = 50.0
GREP = "out of memory|Killed|Traceback|Bus error|No space|oom|triton|Segmentation|denied|not found"

WARNING = (
    "/opt/conda/lib/python3.11/site-packages/torch/optim/lr_scheduler.py:60: UserWarning: The verbose parameter is "
    "deprecated. Please use get_last_lr() to access the learning rate.\n  warnings.warn("
)


def epochs(rng: random.Random, *, console: bool) -> Iterator[str]:
    """Yield the lines of a training, one epoch after another."""
    epoch = 0
    while True:
        stamp = f"2026-11-22 {epoch // 3600 % 24:02}:{epoch // 60 % 60:02}:{epoch % 60:02}.{rng.randrange(10**6):06}: "
        dice = ", ".join(f"np.float32({rng.random():.4f})" for _ in range(3))
        blank = "" if console else " "
        yield f"{stamp}{blank}"
        yield f"{stamp}Epoch {epoch}{blank}"
        yield f"{stamp}Current learning rate: {rng.random():.5f}{blank}"
        if console:
            yield "\r".join(
                f"{at}%|{'#' * (at // 10)} | {at}/100 [00:{at % 60:02}<00:09, 12.1it/s]" for at in (1, 50, 99)
            )
            if epoch % 50 == 0:
                yield WARNING
                yield "using pin_memory on device 0"
        yield f"{stamp}train_loss {-rng.random():.4f}{blank}"
        yield f"{stamp}val_loss {-rng.random():.4f}{blank}"
        yield f"{stamp}Pseudo dice [{dice}]{blank}"
        yield f"{stamp}Epoch time: {40 + rng.random():.2f} s{blank}"
        if epoch % 20 == 0:
            yield f"{stamp}Yayy! New best EMA pseudo Dice: {rng.random()}{blank}"
        epoch += 1


def text(rng: random.Random) -> Iterator[str]:
    """Yield lines of words, no two alike."""
    words = ["".join(rng.choices(string.ascii_lowercase, k=rng.randint(2, 9))) for _ in range(5000)]
    while True:
        yield " ".join(rng.choices(words, k=9))


def errors(rng: random.Random) -> Iterator[str]:
    """Yield tracebacks."""
    while True:
        yield "Traceback (most recent call last):"
        for depth in range(6):
            yield f'  File "/opt/env/lib/python3.11/site-packages/torch/nn/modules/module.py", line {rng.randrange(2000)}, in call'
            yield f"    return self.forward_{depth}(*args, **kwargs)"
        yield f"RuntimeError: Expected a tensor of {rng.randrange(9999)} values"


def prefixed(lines: Iterator[str]) -> Iterator[str]:
    """Yield lines as the files of Kubernetes hold them."""
    for number, line in enumerate(lines):
        yield f"2026-11-22T06:30:{number % 60:02}.{number % 10**9:09}Z stdout F {line}"


def write(path: Path, lines: Iterator[str], size: int) -> None:
    """Write lines until the file has a size."""
    written = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for line in lines:
            written += file.write(line + "\n")
            if written >= size:
                return


def retold(folder: Path) -> Iterator[str]:
    """Yield all lines of the logs in a folder, again and again."""
    logs = [path.read_text(encoding="utf-8", errors="replace").splitlines() for path in sorted(folder.iterdir())]
    while True:
        for log in logs:
            yield from log


def main() -> int:
    """Measure each kind; return 1 when an ordinary log is read more slowly than the contract asks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=int, default=100)
    parser.add_argument("--logs", type=Path)
    parser.add_argument("--only", action="append", default=[])
    options = parser.parse_args()
    rng = random.Random(6)  # noqa: S311 - nothing is secret
    kinds = {
        "epochs": epochs(rng, console=False),
        "console": epochs(rng, console=True),
        "prefixed": prefixed(epochs(rng, console=True)),
        "text": text(rng),
        "errors": errors(rng),
        **({"retold": retold(options.logs)} if options.logs else {}),
    }
    known = Known(catalogue.load())
    slow = []
    with tempfile.TemporaryDirectory() as folder:
        print(f"{'kind':10} {'MB':>6} {'MB/s':>7} {'grep':>7} {'MiB':>6}  outcome")
        for kind, lines in kinds.items():
            if options.only and kind not in options.only:
                continue
            path = Path(folder, f"{kind}.log")
            write(path, lines, options.mb * MB)
            size = path.stat().st_size / MB
            begun = time.process_time()
            found = diagnose(read_logs(find_sources([str(path)]), known))
            rate = size / (time.process_time() - begun)
            peak = psutil.Process().memory_info().rss / 1024**2
            peer = "-"
            if shutil.which("grep"):
                begun = time.perf_counter()
                subprocess.run(["grep", "-cE", GREP, str(path)], capture_output=True, check=False)
                peer = f"{size / (time.perf_counter() - begun):.0f}"
            print(f"{kind:10} {size:6.0f} {rate:7.1f} {peer:>7} {peak:6.0f}  {found.outcome}", flush=True)
            path.unlink()
            if kind in ("epochs", "console") and rate < FLOOR:
                slow.append(kind)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
