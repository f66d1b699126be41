"""Tracebacks are told as what they are: which exception started it, where it stands, which lines belong to it."""

from __future__ import annotations

import concurrent.futures
import contextlib
import io
import multiprocessing
import subprocess
import sys
import traceback

import pytest

from nnunet_doctor.log.prefix import strip_prefixes
from nnunet_doctor.log.traceback import Chain, Tracebacks


def chains_of(text: str) -> list[Chain]:
    """Return the chains of a log, in the order in which they begin."""
    return read(text)[0]


def read(text: str) -> tuple[list[Chain], list[int | None]]:
    """Return the chains of a log, and of each line the number of its chain."""
    tracebacks = Tracebacks()
    belongs = []
    for number, raw in enumerate(text.splitlines(), 1):
        line = strip_prefixes(raw)
        belongs.append(tracebacks.take(number, line.stream, line.text, stamped=line.stamped))
    tracebacks.end()
    unique = {chain.number: chain for chain in tracebacks.finished}
    return [unique[number] for number in sorted(unique)], belongs


def told(text: str) -> list[list[tuple[str, str, int]]]:
    """Return class, first line of the message, and line number of all exceptions, chain by chain."""
    return [
        [(item.name, item.message.partition("\n")[0], item.line) for item in chain.raised] for chain in chains_of(text)
    ]


ONE = """\
Traceback (most recent call last):
  File "/opt/run.py", line 3, in main
    train()
    ^^^^^^^
  File "/opt/train.py", line 9, in train
    raise KeyError("x")
KeyError: 'x'
"""


def test_one_traceback() -> None:
    """Class, message, line, and the way to it."""
    (chain,) = chains_of("Using device: cpu\n" + ONE + "\nKilled\n")
    (raised,) = chain.raised

    assert (raised.type, raised.message, raised.first, raised.line) == ("KeyError", "'x'", 2, 8)
    assert [(frame.file, frame.line, frame.function) for frame in raised.frames] == [
        ("/opt/run.py", 3, "main"),
        ("/opt/train.py", 9, "train"),
    ]


def test_what_comes_after_is_not_part_of_it() -> None:
    """Words of the system after an exception belong to nobody's message."""
    _, belongs = read(ONE + "Killed\nslurmstepd: error: Detected 1 oom_kill event\n")

    assert belongs == [1] * 7 + [None, None]


@pytest.mark.parametrize(
    "link",
    [
        "During handling of the above exception, another exception occurred:",
        "The above exception was the direct cause of the following exception:",
    ],
)
def test_the_first_of_a_chain_started_it(link: str) -> None:
    """Python prints first what was raised first."""
    second = ONE.replace("KeyError: 'x'", "RuntimeError: later")

    assert told(f"{ONE}\n{link}\n\n{second}") == [[("KeyError", "'x'", 7), ("RuntimeError", "later", 17)]]


def test_what_this_python_prints_of_a_chain_is_understood() -> None:
    """A real chain, with notes and long messages, as the interpreter that runs the tests prints it."""
    printed = io.StringIO()
    try:
        try:
            raise ValueError("first\nsecond line of it")  # noqa: TRY301
        except ValueError as error:
            raise RuntimeError("last") from error
    except RuntimeError:
        traceback.print_exc(file=printed)

    (found,) = told(printed.getvalue())
    assert [(name, message) for name, message, _ in found] == [("ValueError", "first"), ("RuntimeError", "last")]


def fails() -> None:
    """Fail in another process."""
    raise KeyError("in the worker")


def test_the_error_of_a_worker_is_what_started_it() -> None:
    """multiprocessing and concurrent.futures print the worker's traceback in quotes; it comes first."""
    for pool in (multiprocessing.get_context("fork").Pool, None) if sys.platform == "linux" else ():
        printed = io.StringIO()
        with contextlib.redirect_stderr(printed):
            try:
                if pool is not None:
                    with pool(1) as workers:
                        workers.apply(fails)
                else:
                    context = multiprocessing.get_context("fork")
                    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as workers:
                        workers.submit(fails).result()
            except KeyError:
                traceback.print_exc(file=printed)
        (chain,) = chains_of(printed.getvalue())
        assert [item.name for item in chain.raised] == ["KeyError", "KeyError"]
        assert "RemoteTraceback" in chain.raised[0].heading
        assert chain.raised[0].first < chain.raised[1].first


def test_the_error_of_a_data_loader_is_what_started_it() -> None:
    """torch puts the worker's traceback into the message of the error in the main process."""
    text = """\
Traceback (most recent call last):
  File "/opt/main.py", line 1, in <module>
    raise exception
RuntimeError: Caught KeyError in DataLoader worker process 0.
Original Traceback (most recent call last):
  File "/opt/worker.py", line 3, in _worker_loop
    data = fetcher.fetch(index)
KeyError: 'y'
"""

    expected = [[("KeyError", "'y'", 8), ("RuntimeError", "Caught KeyError in DataLoader worker process 0.", 4)]]
    assert told(text) == expected


def test_the_error_of_a_spawned_process_is_what_started_it() -> None:
    """torch.multiprocessing.spawn does the same, with an empty message and a heading."""
    text = """\
Traceback (most recent call last):
  File "/opt/spawn.py", line 1, in join
    raise ProcessRaisedException(msg, error_index, failed_process.pid)
torch.multiprocessing.spawn.ProcessRaisedException:

-- Process 1 terminated with the following error:
Traceback (most recent call last):
  File "/opt/spawn.py", line 2, in _wrap
    fn(i, *args)
ValueError: q
"""

    assert [(name, line) for name, _, line in told(text)[0]] == [("ValueError", 10), ("ProcessRaisedException", 4)]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups came with Python 3.11")
def test_the_members_of_a_group_come_before_it() -> None:
    """A real exception group of this Python: what it gathers is what started it."""
    code = "def f(e):\n raise e\n\nes = []\nfor e in (ValueError('1'), TypeError('2')):\n try: f(e)\n except Exception as x: es.append(x)\nraise ExceptionGroup('two', es)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False)

    (found,) = told(done.stderr)
    assert [name for name, _, _ in found] == ["ValueError", "TypeError", "ExceptionGroup"]


def test_ranks_that_print_at_once_are_kept_apart() -> None:
    """Line by line in turn, by their prefixes."""
    lines = ONE.splitlines()
    other = ONE.replace("KeyError: 'x'", "torch.OutOfMemoryError: CUDA out of memory.").splitlines()
    text = "\n".join(
        line for pair in zip(lines, other, strict=True) for line in (f"[rank0]: {pair[0]}", f"[rank1]: {pair[1]}")
    )

    assert [(chain.stream, chain.raised[0].name) for chain in chains_of(text)] == [
        ("rank0", "KeyError"),
        ("rank1", "OutOfMemoryError"),
    ]


def test_processes_that_print_at_once_without_prefixes() -> None:
    """Two headers in a row are two tracebacks; both exceptions are found."""
    lines = ONE.splitlines()
    text = "\n".join(line for line in lines for _ in range(2))

    assert [[name for name, _, _ in chain] for chain in told(text)] == [["KeyError"], ["KeyError"]]


def test_a_cut_head_still_gives_the_exception() -> None:
    """A pasted piece that begins among the frames, or with the last line alone."""
    assert told("\n".join(ONE.splitlines()[4:])) == [[("KeyError", "'x'", 3)]]
    assert told("KeyError: 'x'\n") == [[("KeyError", "'x'", 1)]]


def test_a_cut_tail_gives_a_traceback_without_an_end() -> None:
    """It is there, and nothing is made up about its class."""
    ((raised,),) = [chain.raised for chain in chains_of("\n".join(ONE.splitlines()[:4]))]

    assert (raised.type, len(raised.frames)) == ("", 1)


def test_a_notebook_traceback() -> None:
    """IPython prints class and header in one line, and frames in another form."""
    text = """\
---------------------------------------------------------------------------
RuntimeError                              Traceback (most recent call last)
Cell In[3], line 1
----> 1 run_training('10', '2d', 0)

File ~/nnunetv2/run/run_training.py:245, in run_training(name, configuration)
    243     x = 1
--> 245     trainer.run_training()

RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB
"""

    assert told(text) == [[("RuntimeError", "CUDA out of memory. Tried to allocate 2.00 GiB", 10)]]


def test_headings_are_kept() -> None:
    """Who raised it is printed over it: a thread, a worker, an object that is being deleted."""
    text = f"Exception in thread Thread-2 (results_loop):\n{ONE}Exception ignored in: <function Pool.__del__ at 0x7f>\n{ONE}"

    assert [chain.raised[0].heading for chain in chains_of(text)] == [
        "Exception in thread Thread-2 (results_loop):",
        "Exception ignored in: <function Pool.__del__ at 0x7f>",
    ]


def test_lines_of_other_processes_do_not_end_a_traceback() -> None:
    """Progress lines may come in between."""
    lines = ONE.splitlines()
    lines.insert(4, "2026-11-22 06:31:52.787228: Epoch 3")
    lines.insert(6, "using pin_memory on device 0")

    assert told("\n".join(lines)) == [[("KeyError", "'x'", 9)]]


def test_recursion_is_one_traceback() -> None:
    """'[Previous line repeated ...]' is no end."""
    text = ONE.replace("    train()\n", "    train()\n  [Previous line repeated 995 more times]\n")

    assert told(text) == [[("KeyError", "'x'", 8)]]


def test_indentation_that_was_lost_costs_nothing() -> None:
    """Pasted text without the blanks in front of its lines is still a traceback, code included."""
    text = "\n".join(line.lstrip() for line in ONE.splitlines() if "^" not in line)
    _, belongs = read(text)

    assert (told(text), belongs) == ([[("KeyError", "'x'", 6)]], [1] * 6)


def test_a_message_of_many_lines_under_stamps() -> None:
    """Where every line has a stamp of Kubernetes, a stamp ends no message; where none has, one of nnU-Net does."""
    long = [*ONE.splitlines(), "second line of the message", "third line"]
    _, stamped = read("\n".join(f"2026-11-22T06:31:52.123456789Z stderr F {line}" for line in long))
    _, plain = read("\n".join([*long[:8], "2026-11-22 06:31:52.78: Epoch 3", long[8]]))

    assert (stamped, plain) == ([1] * 9, [1] * 8 + [None, None])


def test_an_exception_that_comes_after_the_head_of_another_is_told_with_its_frames() -> None:
    """Two workers print at once: the second one's head stands before the first one's last line."""
    text = """\
Traceback (most recent call last):
  File "/opt/nnunet_dataset.py", line 86, in load_case
    data = np.load(file)
Traceback (most recent call last):
ValueError: mmap length is greater than file size
  File "/opt/other.py", line 5, in work
    item = next(data_loader)
KeyError: 'x'
"""
    chains, belongs = read(text)

    assert [[(item.name, item.line) for item in c.raised] for c in chains] == [[("ValueError", 5)], [("KeyError", 8)]]
    assert belongs == [1, 1, 1, 2, 1, 2, 2, 2]
    assert chains[0].raised[0].frames[-1].file == "/opt/nnunet_dataset.py"
