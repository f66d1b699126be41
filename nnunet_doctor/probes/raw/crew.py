"""Many files examined as fast as the machine allows: this process and one more for each further processor.

Little work is done here alone, because a process takes as long to start as a thousand headers to read. A process that
dies over a file costs that file only.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import msgspec

from nnunet_doctor import processes
from nnunet_doctor.probes.raw.examine import ending_of, examine
from nnunet_doctor.probes.raw.memory import keep_memory
from nnunet_doctor.probes.raw.record import FileReport, Task

WORTH_SECONDS = 0.4
"""From this much work on, processes are started."""

LITTLE_SECONDS = 0.05
"""Less work than this is not worth a preparation."""

BATCH_SECONDS = 0.01
"""Work that is handed over at a time."""

SAMPLES = 4
SLOW_READ_SECONDS = 0.002
"""Head and end of a file that take longer than this come from a cold or distant disk."""

PREFETCHERS = 16
AHEAD_FILES = 256
AHEAD_LARGE = 16
AHEAD_BYTES = 1024**2
"""How far reading ahead may be in front of the work: in files, and in files of more than so many bytes."""

OnReport = Callable[[int, FileReport], None]


def seconds_of(task: Task, size: int) -> float:
    """Estimate the time that a file takes, from measurements on one core of 2024."""
    ending = ending_of(task.path)
    flat = ending in (".png", ".bmp", ".tif", ".tiff")
    if task.decodes == "none":
        return 60e-6 + (size / 3e9 if flat else 0)
    if task.role == "label":
        return 200e-6 + size / (12e6 if ending.endswith("gz") or flat else 1e9)
    return 200e-6 + size / (50e6 if flat else 300e6 if ending != ".nii" else 3e9)


@dataclass
class _Work:
    """What is left to do, shared by all who do it."""

    tasks: Sequence[Task]
    sizes: Sequence[int]
    on_report: OnReport
    left: deque[int]
    lock: threading.Lock = field(default_factory=threading.Lock)
    stopped: threading.Event = field(default_factory=threading.Event)

    def take(self) -> list[int]:
        """Return the next few tasks, some hundredths of a second of work; none when all are taken."""
        with self.lock:
            taken: list[int] = []
            cost = 0.0
            while self.left and cost < BATCH_SECONDS and not self.stopped.is_set():
                number = self.left.popleft()
                taken.append(number)
                cost += seconds_of(self.tasks[number], self.sizes[number])
            return taken

    def report(self, number: int, report: FileReport) -> None:
        with self.lock:
            self.on_report(number, report)


def examine_all(
    tasks: Sequence[Task], sizes: Sequence[int], processors: Callable[[], int], on_report: OnReport
) -> None:
    """Examine all files and hand each report over as it comes.

    Args:
        tasks: The files.
        sizes: Bytes of each.
        processors: Tells how many processes may work, this one included; asked when there is work for several.
        on_report: Takes the number of a task and its report; called by one thread at a time.

    Raises:
        KeyboardInterrupt: The user has had enough; what was reported until then is reported.
    """
    costs = [seconds_of(task, size) for task, size in zip(tasks, sizes, strict=True)]
    helpers = min(processors() - 1, len(tasks) - 1) if sum(costs) > WORTH_SECONDS else 0
    # the largest first, so that no process is left alone with it at the end
    order = sorted(range(len(tasks)), key=lambda number: -costs[number]) if helpers else range(len(tasks))
    if sum(costs) > LITTLE_SECONDS:
        keep_memory()
    work = _Work(tasks, sizes, on_report, deque(order))
    threads = [threading.Thread(target=_supervise, args=(work,), daemon=True) for _ in range(helpers)]
    ahead = _Ahead(work)
    try:
        for thread in threads:
            thread.start()
        while batch := work.take():
            for number in batch:
                work.report(number, examine(tasks[number]))
        for thread in threads:
            while thread.is_alive():
                thread.join(0.1)
    finally:
        work.stopped.set()
        ahead.close()
        for thread in threads:
            thread.join(1.0)


# --- other processes -----------------------------------------------------------------------------------------------


def _supervise(work: _Work) -> None:
    """Keep one process busy; start another one when it dies."""
    batch: list[int] = []
    while not work.stopped.is_set():
        batch = batch or work.take()
        if not batch:
            return
        try:
            child = _start()
        except OSError:
            with work.lock:
                work.left.extendleft(reversed(batch))
            return
        try:
            batch = _feed(child, batch, work)
        finally:
            _end(child)
        if batch and not work.stopped.is_set():
            code = child.wait()
            reason = processes.death(code) or f"exit code {code}"
            work.report(batch.pop(0), FileReport(faults=[("undecoded", f"the reader died: {reason}")], stable=False))


def _start() -> subprocess.Popen[bytes]:
    # without site-packages' start-up files, which can take longer than all that follows
    code = (
        "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
        "from nnunet_doctor.probes.raw import worker; worker.main()"
    )
    return subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-I", "-S", "-c", code, json.dumps([entry or os.getcwd() for entry in sys.path])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        **processes.own_group(),
    )


def _feed(child: subprocess.Popen[bytes], batch: list[int], work: _Work) -> list[int]:
    """Hand over batch after batch, one ahead; return what is unanswered when the process dies or is stopped."""
    decode = msgspec.json.Decoder(FileReport).decode
    stopper = threading.Thread(target=_stop_with, args=(child, work), daemon=True)
    stopper.start()
    waiting = list(batch)
    try:
        _send(child, batch, work)
        while waiting:
            following = work.take()
            if following:
                _send(child, following, work)
                waiting += following
            for _ in range(len(waiting) - len(following)):
                line = child.stdout.readline() if child.stdout else b""
                if not line:
                    return waiting
                work.report(waiting.pop(0), decode(line))
    except (OSError, msgspec.MsgspecError):
        return waiting
    return []


def _send(child: subprocess.Popen[bytes], batch: Sequence[int], work: _Work) -> None:
    lines = json.dumps([msgspec.structs.astuple(work.tasks[number]) for number in batch])
    if child.stdin:
        child.stdin.write(lines.encode("ascii") + b"\n")
        child.stdin.flush()


def _stop_with(child: subprocess.Popen[bytes], work: _Work) -> None:
    """End the process when the survey is interrupted, though it is in the middle of a file."""
    while child.poll() is None:
        if work.stopped.wait(0.2):
            processes.end_group(child)
            return


def _end(child: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        if child.stdin:
            child.stdin.close()
    if child.stdout:
        child.stdout.close()
    try:
        child.wait(2.0)
    except subprocess.TimeoutExpired:
        processes.end_group(child)


# --- reading ahead -------------------------------------------------------------------------------------------------


class _Ahead:
    """Threads that read what comes next, where reading is slow.

    A cold or distant disk is bound by latency: sixteen reads at a time take as long as one.
    """

    def __init__(self, work: _Work) -> None:
        self.work, self.order = work, list(work.left)
        self.pool: ThreadPoolExecutor | None = None
        if len(self.order) > PREFETCHERS and self._is_slow():
            self.pool = ThreadPoolExecutor(PREFETCHERS, thread_name_prefix="ahead")
            threading.Thread(target=self._run, args=(self.pool,), daemon=True).start()

    def _is_slow(self) -> bool:
        begun = time.perf_counter()
        for number in self.order[:SAMPLES]:
            _touch(self.work.tasks[number], self.work.sizes[number], whole=False)
        return time.perf_counter() - begun > SAMPLES * SLOW_READ_SECONDS

    def _run(self, pool: ThreadPoolExecutor) -> None:
        for position, number in enumerate(self.order):
            task, size = self.work.tasks[number], self.work.sizes[number]
            whole = task.decodes == "all"
            window = AHEAD_LARGE if whole and size > AHEAD_BYTES else AHEAD_FILES
            while position - self._done() > window and not self.work.stopped.is_set():
                time.sleep(0.005)
            if self.work.stopped.is_set():
                return
            if position >= self._done():
                with contextlib.suppress(RuntimeError):  # the pool was closed meanwhile
                    pool.submit(_touch, task, size, whole=whole)

    def _done(self) -> int:
        return len(self.order) - len(self.work.left)

    def close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown(wait=False, cancel_futures=True)


def _touch(task: Task, size: int, *, whole: bool) -> None:
    """Read head and end of a file, or all of it, so that the system has them at hand."""
    if not os.path.isfile(task.path):
        return
    with contextlib.suppress(OSError), open(task.path, "rb", buffering=0) as file:
        if whole:
            while file.read(1024**2):
                pass
        else:
            file.read(4096)
            file.seek(max(0, size - 4096))
            file.read(4096)
