"""Many files examined by several processes: the same reports as by one, whatever happens to a process."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import Counter

import numpy as np
import pytest
from made_up_nifti import write_nifti

from nnunet_doctor import processes
from nnunet_doctor.probes.raw import crew
from nnunet_doctor.probes.raw.examine import examine
from nnunet_doctor.probes.raw.record import FileReport, Task

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has none")


LAST = 23


@pytest.fixture(scope="module")
def tasks(tmp_path_factory):
    """Make 24 files, sound, damaged, and none at all; the last one is sound."""
    folder = tmp_path_factory.mktemp("files")
    made = []
    for number in range(LAST):
        path = folder / f"case_{number:03d}.nii.gz"
        write_nifti(path, np.full((6, 5, 4), number % 7, ["u1", "i2", "f4"][number % 3]))
        if number % 5 == 1:
            path.write_bytes(path.read_bytes()[:-9])
        if number % 10 == 2:
            path.unlink()
        made.append(Task(str(path), "label" if number % 2 else "image", "SimpleITKIO", "all"))
    last = write_nifti(folder / "last.nii.gz", np.ones((6, 5, 4), "u1"))
    return [*made, Task(str(last), "label", "SimpleITKIO", "all")]


@pytest.fixture
def eager(monkeypatch):
    """Have processes started for any work, one file handed over at a time, and this process do little itself."""
    monkeypatch.setattr(crew, "WORTH_SECONDS", 0)
    monkeypatch.setattr(crew, "BATCH_SECONDS", 1e-9)

    def slowly(task):
        time.sleep(0.03)
        return examine(task)

    monkeypatch.setattr(crew, "examine", slowly)


@pytest.fixture
def patient(monkeypatch, eager):  # noqa: ARG001 - processes are started
    """Have this process take one file, and wait with it until others have done all the rest; return what is reported."""
    reported = []
    inner = crew._Work.report

    def report(work, number, found):
        inner(work, number, found)
        reported.append((number, len(work.tasks)))

    def wait(task):
        end = time.monotonic() + 20
        while not (reported and len(reported) >= reported[0][1] - 1) and time.monotonic() < end:
            time.sleep(0.005)
        return examine(task)

    monkeypatch.setattr(crew._Work, "report", report)
    monkeypatch.setattr(crew, "examine", wait)
    return reported


@pytest.fixture
def workers(monkeypatch):
    """Return a maker of processes that run other code first, and all processes that were started."""
    started = []

    def run(code):
        def start():
            whole = f"import os, sys, time; sys.path[:] = {sys.path!r}\nfrom nnunet_doctor.probes.raw import worker\n{code}\nworker.main()"
            child = subprocess.Popen(
                [sys.executable, "-c", whole],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                **processes.own_group(),
            )
            started.append(child)
            return child

        monkeypatch.setattr(crew, "_start", start)
        return started

    return run


def reports_of(tasks, processors=2, within=30.0):
    """Examine all files; return the reports by number, and assert that each came once and nothing is left behind."""
    taken = []
    failed = []

    def work():
        try:
            crew.examine_all(tasks, [1000] * len(tasks), lambda: processors, lambda *report: taken.append(report))
        except BaseException as error:  # noqa: BLE001 - raised again below
            failed.append(error)

    # a deadlock must not take the tests with it
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(within)
    assert not thread.is_alive(), "deadlock"
    if failed:
        raise failed[0]
    assert Counter(number for number, _ in taken) == Counter(range(len(tasks)))
    return dict(taken)


def patch(condition, action):
    """Return code that does something to the process when it comes to certain files."""
    return (
        "inner = worker.examine\n"
        "def examine(task):\n"
        f"    if {condition}: {action}\n"
        "    return inner(task)\n"
        "worker.examine = examine"
    )


# --- the same as alone ---------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("processors", [2, 4])
def test_same_reports_as_alone(tasks, workers, processors):
    """Several processes give the reports that one gives, each once."""
    started = workers("")

    assert reports_of(tasks, processors) == {number: examine(task) for number, task in enumerate(tasks)}
    assert len(started) == processors - 1
    assert all(child.poll() == 0 for child in started)


@pytest.mark.usefixtures("patient")
def test_real_processes(tasks, monkeypatch):
    """The processes that are started without the test's help do their part, with modules from where they are."""
    here = []
    wait = crew.examine
    monkeypatch.setattr(crew, "examine", lambda task: here.append(task) or wait(task))

    assert reports_of(tasks) == {number: examine(task) for number, task in enumerate(tasks)}
    assert len(here) == 1


def test_alone(tasks, monkeypatch):
    """One processor, or little work, starts no process and no thread."""
    monkeypatch.setattr(crew, "_start", lambda: pytest.fail("a process is started"))
    monkeypatch.setattr(threading.Thread, "start", lambda _: pytest.fail("a thread is started"))

    crew.examine_all(tasks, [1000] * len(tasks), lambda: 8, lambda *_: None)
    monkeypatch.setattr(crew, "WORTH_SECONDS", 0)
    crew.examine_all(tasks, [1000] * len(tasks), lambda: 1, lambda *_: None)


def test_nothing_to_do():
    """No file is no work."""
    assert reports_of([], 4) == {}


@posix
@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has UTF-8 names only")
@pytest.mark.usefixtures("patient")
def test_odd_paths(tmp_path, workers):
    """Paths that are not UTF-8, or that hold line breaks and quotes, are examined by other processes too."""
    workers("")
    names = ["caf\udce9.nii.gz", "a\nb.nii.gz", 'a"b\\.nii.gz', "\u809d\U0001f9e0.nii.gz"]
    paths = [write_nifti(tmp_path / name, np.ones((2, 3, 4), "i2")) for name in names]

    found = reports_of([Task(str(path), "label", "SimpleITKIO", "all") for path in paths * 5])
    assert {(24.0, report.tally.values[0][1]) for report in found.values()} == {(24.0, 24)}


# --- processes that die --------------------------------------------------------------------------------------------


@posix
@pytest.mark.usefixtures("patient")
def test_process_that_is_killed(tasks, workers):
    """A process that is killed over a file costs that file, and a new one goes on with the others."""
    started = workers(patch("'last' in task.path", "os.kill(os.getpid(), 9)"))
    found = reports_of(tasks)

    expected = {number: examine(task) for number, task in enumerate(tasks)}
    expected[LAST] = FileReport(faults=[("undecoded", "the reader died: signal SIGKILL")], stable=False)
    assert found == expected
    assert next(child.poll() for child in started) == -9


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("batch_seconds", [1e-9, 10])
def test_process_that_dies_over_every_file(tasks, workers, monkeypatch, batch_seconds):
    """When every process dies over its first file, each file is reported: as not decoded, or by this process."""
    monkeypatch.setattr(crew, "BATCH_SECONDS", batch_seconds)
    workers(patch("True", "os._exit(3)"))
    found = reports_of(tasks[:9], 3)

    dead = FileReport(faults=[("undecoded", "the reader died: exit code 3")], stable=False)
    assert all(report in (dead, examine(tasks[number])) for number, report in found.items())
    assert dead in found.values()


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("garbage", ["garbage", "[]garbage", "[null, 7]", "\\xff", ""])
def test_process_that_says_something_else(tasks, workers, garbage):
    """An answer that is none costs the file that it was for, and no other."""
    workers(patch("'last' in task.path", f"sys.stdout.buffer.write(b'{garbage}\\n')"))
    found = reports_of(tasks)

    assert [id for id, _ in found.pop(LAST).faults] == ["undecoded"]
    assert found == {number: examine(task) for number, task in enumerate(tasks[:-1])}


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("code", ["sys.exit(1)", "print('hello')", "os.close(1)"])
def test_process_that_cannot_start(tasks, workers, code):
    """Where processes end before they are ready, this one does all the work, and no file is given up."""
    started = workers(code)

    assert reports_of(tasks[:5], 3) == {number: examine(task) for number, task in enumerate(tasks[:5])}
    assert len(started) == 2


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("error", [OSError("no room"), TypeError("no interpreter"), FileNotFoundError("no folder")])
def test_no_process_at_all(tasks, monkeypatch, error):
    """Where the system starts no process, this one does all the work."""

    def refuse():
        time.sleep(0.1)
        raise error

    monkeypatch.setattr(crew, "_start", refuse)
    assert reports_of(tasks[:3], 3) == {number: examine(task) for number, task in enumerate(tasks[:3])}


@pytest.mark.usefixtures("eager")
def test_no_thread_at_all(tasks, monkeypatch):
    """Where the system allows no more threads, this one does all the work."""
    found = {}

    def refuse(self):  # noqa: ARG001 - in place of a method
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    crew.examine_all(tasks[:4], [1000] * 4, lambda: 3, found.__setitem__)
    assert found == {number: examine(task) for number, task in enumerate(tasks[:4])}


# --- large answers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [10, 3000])
def test_pipes_that_are_full(workers, monkeypatch, length):
    """Tasks and answers that fill both pipes at once do not block each other."""
    monkeypatch.setattr(crew, "WORTH_SECONDS", 0)
    monkeypatch.setattr(crew, "BATCH_SECONDS", 0.03)
    workers(
        "from nnunet_doctor.probes.raw.record import FileReport, Tally\n"
        "answer = Tally(values=[(i / 7, i) for i in range(1024)])\n"
        "worker.examine = lambda task: FileReport(content=task.path, tally=answer)"
    )
    here, reported = [], []
    inner = crew._Work.report
    monkeypatch.setattr(crew._Work, "report", lambda work, *found: reported.append(inner(work, *found)))

    def examine_here(task):
        while len(reported) < 400:
            time.sleep(0.01)
        here.append(task)
        return FileReport(content=task.path)

    monkeypatch.setattr(crew, "examine", examine_here)
    tasks = [Task(f"{number:05d}{'x' * length}", "image", "SimpleITKIO", "none") for number in range(1200)]
    found = reports_of(tasks)

    assert [found[number].content for number in range(1200)] == [task.path for task in tasks]
    assert len(here) < 1000


# --- interrupted ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("eager")
def test_interrupt(tasks, workers, monkeypatch):
    """Ctrl-C ends it within a second with what was found, though processes are in the middle of files."""
    started = workers(patch("True", "time.sleep(60)"))
    found = {}
    before = threading.active_count()

    def interrupt(task):
        # until both processes are at work
        while len(started) < 2 or any(child.poll() is not None for child in started):
            time.sleep(0.01)
        if len(found) == 3:
            time.sleep(0.3)
            raise KeyboardInterrupt
        return examine(task)

    monkeypatch.setattr(crew, "examine", interrupt)
    with pytest.raises(KeyboardInterrupt):
        crew.examine_all(tasks, [1000] * len(tasks), lambda: 3, found.__setitem__)
    interrupted = time.monotonic()

    assert len(found) == 3
    for child in started:
        child.wait(1.0)
    while threading.active_count() > before and time.monotonic() < interrupted + 1:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_interrupt_takes_no_second(tasks, workers, monkeypatch):
    """The time from Ctrl-C to the end is short, with a process that sleeps in a file."""
    monkeypatch.setattr(crew, "WORTH_SECONDS", 0)
    workers(patch("True", "time.sleep(60)"))
    raised = []

    def interrupt(task):  # noqa: ARG001 - in place of a function
        time.sleep(0.4)
        raised.append(time.monotonic())
        raise KeyboardInterrupt

    monkeypatch.setattr(crew, "examine", interrupt)
    with pytest.raises(KeyboardInterrupt):
        crew.examine_all(tasks, [10**7] * len(tasks), lambda: 2, lambda *_: None)
    assert time.monotonic() - raised[0] < 1


@pytest.mark.usefixtures("eager")
def test_listener_that_fails(tasks, workers, monkeypatch):
    """What goes wrong where reports are taken is raised, also when another process had made the report."""
    workers("")
    failed = threading.Event()
    monkeypatch.setattr(crew, "examine", lambda task: failed.wait(20) and examine(task))

    def take(number, report):  # noqa: ARG001 - as it is called
        if threading.current_thread() is not threading.main_thread():
            failed.set()
            raise BrokenPipeError("nobody listens")

    with pytest.raises(BrokenPipeError, match="nobody listens"):
        crew.examine_all(tasks, [1000] * len(tasks), lambda: 2, take)


# --- reading ahead -------------------------------------------------------------------------------------------------


@posix
@pytest.mark.parametrize("decodes", ["all", "none"])
def test_reading_ahead(tasks, tmp_path, monkeypatch, decodes):
    """Reading ahead does not wait for what is no file, and ends with the work."""
    monkeypatch.setattr(crew, "SLOW_READ_SECONDS", -1)
    monkeypatch.setattr(crew, "AHEAD_FILES", 4)
    monkeypatch.setattr(crew, "AHEAD_LARGE", 4)
    os.mkfifo(tmp_path / "fifo.nii.gz")
    paths = [str(tmp_path / "fifo.nii.gz"), "/dev/zero", str(tmp_path), *(task.path for task in tasks)]
    found = reports_of([Task(path, "image", "SimpleITKIO", decodes) for path in paths], 1)
    begun = time.monotonic()

    assert [found[number].faults[0][0] for number in range(3)] == ["not-a-file"] * 3
    while [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]:
        assert time.monotonic() - begun < 2
        time.sleep(0.01)


def test_reading_ahead_stops(tmp_path, monkeypatch):
    """A file of any size that is read ahead does not keep the program from ending."""
    monkeypatch.setattr(crew, "SLOW_READ_SECONDS", -1)
    path = tmp_path / "large.nii"
    with path.open("wb") as file:
        file.truncate(2**40 if sys.platform == "linux" else 2**32)
    tasks = [Task(str(path), "image", "SimpleITKIO", "all")] * 40

    def interrupt(task):  # noqa: ARG001 - in place of a function
        time.sleep(0.2)
        raise KeyboardInterrupt

    monkeypatch.setattr(crew, "examine", interrupt)
    with pytest.raises(KeyboardInterrupt):
        crew.examine_all(tasks, [2**40] * 40, lambda: 1, lambda *_: None)
    begun = time.monotonic()
    while [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]:
        assert time.monotonic() - begun < 2
        time.sleep(0.01)
