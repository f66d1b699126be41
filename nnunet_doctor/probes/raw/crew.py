"""Many files examined as fast as the machine allows: this process and one more for each further processor.

Little work is done here alone, because a process takes as long to start as a thousand headers to read. A process that
dies over a file costs that file only.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from nnunet_doctor.probes.raw.examine import ending_of, examine
from nnunet_doctor.probes.raw.memory import keep_memory
from nnunet_doctor.probes.raw.record import FileReport, Task
from nnunet_doctor.probes.raw.worker import READY

if TYPE_CHECKING:
    import subprocess
    from concurrent.futures import ThreadPoolExecutor

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
    """What is left to do, shared by all who do it.

    Attributes:
        tasks: All files.
        sizes: Bytes of each.
        on_report: Takes the reports.
        left: Numbers of the tasks that nobody has taken yet.
        stopped: Set when nobody needs the rest.
        failure: What went wrong in a thread, for the one that waits for it.
    """

    tasks: Sequence[Task]
    sizes: Sequence[int]
    on_report: OnReport
    left: deque[int]
    failure: BaseException | None = None
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

    def give_back(self, numbers: Sequence[int]) -> None:
        """Leave tasks that were taken to others."""
        with self.lock:
            self.left.extendleft(reversed(numbers))

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
    threads: list[threading.Thread] = []
    ahead = _Ahead(work)
    try:
        for _ in range(helpers):
            thread = threading.Thread(target=_supervise, args=(work,), daemon=True)
            with contextlib.suppress(RuntimeError):  # the system allows no more threads
                thread.start()
                threads.append(thread)
        _work_off(work)
        for thread in threads:
            while thread.is_alive():
                thread.join(0.1)
        _work_off(work)
    finally:
        work.stopped.set()
        ahead.close()
        for thread in threads:
            thread.join(1.0)
    if work.failure is not None:
        raise work.failure


def _work_off(work: _Work) -> None:
    """Examine in this process until nothing is left."""
    while batch := work.take():
        for number in batch:
            work.report(number, examine(work.tasks[number]))


# --- other processes -----------------------------------------------------------------------------------------------


def _supervise(work: _Work) -> None:
    """Keep one process busy, and start another one when it dies."""
    try:
        left: list[int] = []
        while not work.stopped.is_set() and (left := left or work.take()):
            left = _with_process(work, left)
    except _CannotStartError:
        work.give_back(left)
    except BaseException as error:  # noqa: BLE001 - raised again where somebody waits
        work.failure = error
        work.stopped.set()


class _CannotStartError(Exception):
    """There is no process that could examine files."""


def _with_process(work: _Work, batch: list[int]) -> list[int]:
    """Examine files in a process until nothing is left or it dies; return what it has taken and not answered.

    The first file that it has not answered is the one it died over: that is reported.

    Raises:
        _CannotStartError: It has not even come to the first file.
    """
    try:
        child = _start()
    except (OSError, TypeError, ValueError):  # no interpreter, no working folder, no room for another process
        raise _CannotStartError from None
    threading.Thread(target=_stop_with, args=(child, work), daemon=True).start()
    try:
        if _line(child) != READY:
            raise _CannotStartError
        left = _feed(child, batch, work)
    finally:
        _end(child)
    if left and not work.stopped.is_set():
        code = child.wait()
        from nnunet_doctor import processes

        reason = processes.death(code) or f"exit code {code}"
        work.report(left.pop(0), FileReport(faults=[("undecoded", f"the reader died: {reason}")], stable=False))
    return left


def _start() -> subprocess.Popen[bytes]:
    # without site-packages' start-up files, which can take longer than all that follows
    code = (
        "import sys, json; sys.path[:] = json.loads(sys.argv[1]); "
        "from nnunet_doctor.probes.raw import worker; worker.main()"
    )
    import subprocess

    from nnunet_doctor import processes

    return subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-I", "-S", "-c", code, json.dumps([entry or os.getcwd() for entry in sys.path])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        **processes.own_group(),
    )


def _feed(child: subprocess.Popen[bytes], batch: Sequence[int], work: _Work) -> list[int]:
    """Hand over batch after batch, one ahead; return what is unanswered when the process dies or is stopped."""
    waiting = list(batch)
    _send(child, batch, work)
    while waiting:
        following = work.take()
        waiting += following
        _send(child, following, work)
        for _ in range(len(waiting) - len(following)):
            try:
                report = _DECODE(_line(child))
            except msgspec.MsgspecError:
                return waiting
            work.report(waiting.pop(0), report)
    return []


_DECODE = msgspec.json.Decoder(FileReport).decode


def _line(child: subprocess.Popen[bytes]) -> bytes:
    """Return the next line of what a process says; empty when it is dead."""
    try:
        return child.stdout.readline() if child.stdout else b""
    except (OSError, ValueError):
        return b""


def _send(child: subprocess.Popen[bytes], batch: Sequence[int], work: _Work) -> None:
    """Hand tasks over; a process that is dead is found so when it does not answer."""
    if batch and child.stdin:
        lines = json.dumps([msgspec.structs.astuple(work.tasks[number]) for number in batch])
        with contextlib.suppress(OSError):
            child.stdin.write(lines.encode("ascii") + b"\n")
            child.stdin.flush()


def _stop_with(child: subprocess.Popen[bytes], work: _Work) -> None:
    """End the process when the survey is interrupted, though it is in the middle of a file."""
    while child.poll() is None:
        if work.stopped.wait(0.2):
            from nnunet_doctor import processes

            processes.end_group(child)
            return


def _end(child: subprocess.Popen[bytes]) -> None:
    import subprocess

    from nnunet_doctor import processes

    with contextlib.suppress(OSError):
        if child.stdin:
            child.stdin.close()
    if child.stdout:
        child.stdout.close()
    try:
        child.wait(2.0)
    except subprocess.TimeoutExpired:
        processes.end_group(child)
        child.wait()


# --- reading ahead -------------------------------------------------------------------------------------------------


class _Ahead:
    """Threads that read what comes next, where reading is slow.

    A cold or distant disk is bound by latency: sixteen reads at a time take as long as one.
    """

    def __init__(self, work: _Work) -> None:
        self.work, self.order = work, list(work.left)
        self.pool: ThreadPoolExecutor | None = None
        if len(self.order) > PREFETCHERS and self._is_slow():
            from concurrent.futures import ThreadPoolExecutor

            self.pool = ThreadPoolExecutor(PREFETCHERS, thread_name_prefix="ahead")
            with contextlib.suppress(RuntimeError):  # the system allows no more threads
                threading.Thread(target=self._run, args=(self.pool,), daemon=True).start()

    def _is_slow(self) -> bool:
        begun = time.perf_counter()
        for number in self.order[:SAMPLES]:
            self._touch(number, whole=False)
        return time.perf_counter() - begun > SAMPLES * SLOW_READ_SECONDS

    def _run(self, pool: ThreadPoolExecutor) -> None:
        for position, number in enumerate(self.order):
            whole = self.work.tasks[number].decodes == "all"
            window = AHEAD_LARGE if whole and self.work.sizes[number] > AHEAD_BYTES else AHEAD_FILES
            while position - self._done() > window and not self.work.stopped.is_set():
                time.sleep(0.005)
            if self.work.stopped.is_set():
                return
            if position >= self._done():
                with contextlib.suppress(RuntimeError):  # the pool was closed meanwhile
                    pool.submit(self._touch, number, whole=whole)

    def _done(self) -> int:
        return len(self.order) - len(self.work.left)

    def close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown(wait=False, cancel_futures=True)

    def _touch(self, number: int, *, whole: bool) -> None:
        """Read head and end of a file, or all of it, so that the system has them at hand."""
        path, size = self.work.tasks[number].path, self.work.sizes[number]
        if not os.path.isfile(path):
            return
        with contextlib.suppress(OSError), open(path, "rb", buffering=0) as file:
            if whole:
                while not self.work.stopped.is_set() and file.read(1024**2):
                    pass
            else:
                file.read(4096)
                file.seek(max(0, size - 4096))
                file.read(4096)
