"""One pass over a log finds all that a search of every line with every expression would find, however long it is."""

from __future__ import annotations

import re
import time
import tracemalloc
from collections.abc import Iterable

import pytest
from shared import CHECKS, KNOWN
from together import together

from nnunet_doctor.check import Body, Check, Text
from nnunet_doctor.log.literals import DIGITS, Index, needs_of
from nnunet_doctor.log.prefix import strip_prefixes
from nnunet_doctor.log.reading import ENDING, Known, Reader, Reading, ended_by, fails
from nnunet_doctor.log.signatures import finds, says, signatures_of
from nnunet_doctor.log.source import LONGEST_LINE, Piece

SIGNATURES = signatures_of(CHECKS)


def check(id: str = "some-check", **tables: object) -> Check:
    """Make a check that only a log shows."""
    text = Text("title", "why")
    body = Body({"en": text, "zh": text}, **tables)  # type: ignore[arg-type]
    return Check(id, "training", "error", lambda: body)


def read(lines: Iterable[str], checks: Iterable[Check] = CHECKS, size: int = 1000) -> Reading:
    """Read lines in pieces of a number of lines."""
    reader = Reader(KNOWN if checks is CHECKS else Known(tuple(checks)))
    reader.begin("log")
    encoded = [line.encode() for line in lines]
    for at in range(0, len(encoded), size):
        reader.take(Piece(encoded[at : at + size], range(at + 1, at + 1 + len(encoded[at : at + size]))))
    return reader.reading()


def found(reading: Reading) -> list[tuple[int, str, str]]:
    """Return number, check and kind of all matches."""
    return [(match.quote.number, each.id, match.kind) for match in reading.matches for each in match.checks]


EXAMPLES = sorted({line for each in CHECKS for example in each.log_examples for line in example.log.splitlines()})
"""Thousands of lines that resemble what expressions look for, or are it."""


@pytest.mark.parametrize("alone", [True, False], ids=["few lines", "many lines"])
def test_no_line_is_overlooked(*, alone: bool) -> None:
    """What a line may match by its fixed texts holds all that it does match, by plain search and by table."""
    index = Index([needs_of(signature.expression.pattern) for signature in SIGNATURES])
    kinds = [line.encode().translate(None, DIGITS) for line in EXAMPLES]
    filler = [] if alone else [f"{at * 7919:x} filler of a long log".encode() for at in range(3000)]
    candidates = index.candidates([*kinds, *filler])
    for at, line in enumerate(EXAMPLES):
        matching = {number for number, item in enumerate(SIGNATURES) if item.expression.search(line)}

        assert matching <= {*candidates.get(at, ()), *index.always}, line


def test_expressions_can_be_looked_for() -> None:
    """Every expression of the catalogue needs a fixed text of two letters or more, or all lines would be matched."""
    weak = [
        item.expression.pattern
        for item in SIGNATURES
        if not (needs := needs_of(item.expression.pattern)) or min(map(len, needs[0])) < 2
    ]

    assert weak == []


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        ("CUDA out of memory", ["CUDA out of memory"]),
        (r"\[Errno 24\]", ["[Errno ]"]),
        ("(?:cat|horse) ate", [" ate"]),
        ("(?:cat|horse)", ["cat", "horse"]),
        ("a(?:bc)?defg", ["defg"]),
        ("(?:abc)+", ["abc"]),
        ("x*y*", []),
        ("(?i)error", []),
        ("(?i:error)", []),
        (r"^\d+$", []),
        ("不是内部", ["不是内部"]),
        ("ab(?=cd)", ["ab"]),
    ],
)
def test_what_an_expression_needs(pattern: str, texts: list[str]) -> None:
    """The rarest group comes first, without digits; what is not certain is no need."""
    needs = needs_of(pattern)

    assert (set() if not needs else needs[0]) == {text.encode() for text in texts}


def test_an_expression_of_a_pack_without_fixed_texts_is_tried_on_every_line() -> None:
    """It is slow, and nothing is overlooked."""
    odd = check(log_cause=("(?i)^fatal: .*memory",))

    assert found(read(["Epoch 1", "FATAL: no MEMORY left"], [odd])) == [(2, "some-check", "cause")]


def test_lines_that_differ_in_digits_only_are_told_apart() -> None:
    """'Found 0 instead' and 'Found 3 instead' are of one kind, and of two checks."""
    none = check("none", log_cause=("Found 0 instead",))
    some = check("some", log_cause=("Found [1-9]\\d* instead",))
    lines = [*(f"Found {at} instead" for at in range(1, 40)), "Found 0 instead"]

    numbers = found(read(lines, [none, some]))
    assert (numbers[0], numbers[-1]) == ((1, "some", "cause"), (40, "none", "cause"))


def test_a_flood_of_one_line_is_kept_short() -> None:
    """A hundred thousand device assertions are some matches, and what comes after them is still found."""
    assertion = "Assertion `t >= 0 && t < n_classes` failed."
    lines = [f"../aten/src/Loss.cu:{at}: nll_loss: block: [0,0,0], {assertion}" for at in range(100_000)]
    reading = read([*lines, "slurmstepd: error: Detected 1 oom_kill event in StepId=1.0."])

    assert len(reading.matches) < 60
    assert found(reading)[0][:2] == (1, "label-unexpected")
    assert (100_001, "memory-ran-out", "cause") in found(reading)


def test_within_counts_in_its_own_traceback_only() -> None:
    """A line of two meanings names a check only where its traceback holds the other line, before or after it."""
    ambiguous = check(log_cause=("^KeyError: 'x'",), log_within=("planner\\.py",))

    def traceback(file: str) -> list[str]:
        return [
            "Traceback (most recent call last):",
            f'  File "/opt/{file}", line 3, in f',
            "    y = z['x']",
            "KeyError: 'x'",
        ]

    other, own = traceback("trainer.py"), traceback("planner.py")
    assert found(read(other, [ambiguous])) == []
    assert found(read([*other, *own], [ambiguous])) == [(8, "some-check", "cause")]
    assert found(read(["KeyError: 'x'", "2026-11-22 06:31:52.78: planner.py"], [ambiguous])) == []
    assert (says(ambiguous, "\n".join(other)), says(ambiguous, "\n".join(own))) == ("nothing", "cause")


def test_context_crosses_pieces() -> None:
    """Two lines before and after, wherever a piece ends."""
    lines = ["one", "two", "Killed", "four", "five", "six"]
    for size in (1, 2, 3, 4, 6):
        (match, *_) = read(lines, size=size).matches

        assert (match.quote.before, match.quote.text, match.quote.after) == (["one", "two"], "Killed", ["four", "five"])


@together("signature", SIGNATURES, lambda item: f"{item.checks[0].id}-{item.kind}")
def test_no_expression_is_slow(signature: object) -> None:
    """Lines that are made to be nearly found, as long as lines can get, take a few milliseconds each."""
    slowest = 0.0
    for line in hostile(signature.expression.pattern):  # type: ignore[attr-defined]
        begun = time.process_time()
        signature.expression.search(line)  # type: ignore[attr-defined]
        slowest = max(slowest, time.process_time() - begun)

    assert slowest < 0.05


def hostile(pattern: str) -> list[str]:
    """Return lines of the greatest length in which an expression begins again and again, and never ends."""
    pieces = [text.decode("utf-8", "ignore") for group in needs_of(pattern) for text in group] or ["a"]
    words = [re.sub(r"\\[dws]|\[[^\]]*\]|[.*+?(){}|^$\\]", "1", part) for part in re.split(r"[)(|]", pattern) if part]
    repeated = [*pieces, *words, " ", "1", "a1/", "'", "\\", "ab "]
    lines = [(text * (LONGEST_LINE // len(text) + 1))[:LONGEST_LINE] for text in repeated if text]
    return [*lines, *((pieces[0] + line)[:LONGEST_LINE] for line in lines[-6:])]


def test_reading_is_linear_in_hostile_logs() -> None:
    """Half a megabyte of lines that every expression begins to match is read in seconds."""
    lines = [line for signature in SIGNATURES[::3] for line in hostile(signature.expression.pattern)[:2]]
    begun = time.process_time()
    read(lines)

    assert time.process_time() - begun < 20


def test_memory_does_not_grow_with_the_log() -> None:
    """Three times as many epochs, errors and unlike lines take hardly more memory."""

    def peak(repeats: int) -> int:
        reader = Reader(KNOWN)
        reader.begin("log")
        tracemalloc.start()
        for at in range(repeats):
            lines = [f"2026-11-22 06:31:52.{at:06}: Epoch {at}", f"2026-11-22 06:31:52.{at:06}: Epoch time: 3.1 s"]
            lines += [
                "Traceback (most recent call last):",
                f'  File "/opt/a{at}.py", line {at}, in f',
                f"KeyError: 'x{at}'",
            ]
            lines += [f"RuntimeError: CUDA out of memory. Tried to allocate {at} MiB", f"word{at:x} of no meaning"]
            reader.take(Piece([line.encode() for line in lines], range(at * 7, at * 7 + 7)))
        used = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()
        return used

    few, many = peak(300), peak(1_000)
    assert many < few + 2_500_000


@pytest.mark.parametrize(
    ("line", "code", "signal"),
    [
        ("rc=137", 137, "SIGKILL"),
        ("srun: error: gpu07: task 0: Exited with exit code 1", 1, None),
        ("Exited with exit code 137.", 137, "SIGKILL"),
        ("exitcode  : -9 (pid: 4242)", -9, "SIGKILL"),
        ("subprocess.CalledProcessError: Command '['x']' died with <Signals.SIGSEGV: 11>.", None, "SIGSEGV"),
        ("RuntimeError: DataLoader worker (pid 42) is killed by signal: Bus error. ", None, "SIGBUS"),
        ("process 1 terminated with signal SIGKILL", None, "SIGKILL"),
        ("Command terminated by signal 9", None, "SIGKILL"),
        ("signal: killed", None, "SIGKILL"),
        ("        Reason:          OOMKilled", 137, "SIGKILL"),
        ("Process finished with exit code 139 (interrupted by signal 11: SIGSEGV)", 139, "SIGSEGV"),
        ("exit code 143", 143, "SIGTERM"),
        ("exit status 1", 1, None),
        ("rc=0", 0, None),
    ],
)
def test_ends_of_processes_are_understood(line: str, code: int | None, signal: str | None) -> None:
    """Shells, Slurm, torchrun, Docker and PyCharm tell the end of a process in ways of their own."""
    match = ENDING.search(line)
    assert match is not None

    assert ended_by(match) == (code, signal)


@pytest.mark.parametrize(
    "line",
    [
        "    sys.exit(run_training_entry())",
        "Exiting. Please check the print statements above",
        "2026-11-22 06:31:52.78: Current learning rate: 0.01",
        "exit_on_error = 1.5",
    ],
)
def test_words_like_it_are_no_end(line: str) -> None:
    """Code that calls exit, and numbers behind other words, end nothing."""
    assert ENDING.search(strip_prefixes(line).text) is None


@pytest.mark.parametrize(
    ("line", "is_failure"),
    [
        ("nnUNetv2_train: error: the following arguments are required: configuration, fold", True),
        ("bash: nnUNetv2_train: command not found", True),
        ("terminate called after throwing an instance of 'c10::Error'", True),
        ("'nnUNetv2_train' 不是内部或外部命令，也不是可运行的程序", True),
        ("Exception in background worker 0:", True),
        ("docker: Error response from daemon: could not select device driver", True),
        ("ERROR: No matching distribution found for nnunetv2", True),
        ("zsh: no matches found: [--npz]", True),
        ("ERROR: pip's dependency resolver does not currently take into account all the packages", False),
        ("UserWarning: this will be an error in a future release", False),
        ("Error: some images have another origin, which is harmless", False),
    ],
)
def test_lines_that_end_something_without_a_traceback(line: str, *, is_failure: bool) -> None:
    """Shells and argparse fail in one line; the word 'error' alone says nothing."""
    assert fails(line) is is_failure


def test_says_is_what_a_search_of_all_lines_says() -> None:
    """For checks without 'within', the examples of their files are searched line by line and nothing else."""
    for each in CHECKS:
        if each.log_within:
            continue
        for example in each.log_examples:
            lines = [(strip_prefixes(line).text, line) for line in example.log.splitlines()]
            kinds = [item.kind for item in signatures_of([each]) for text, raw in lines if finds(item, text, raw)]

            assert says(each, example.log) == next(
                (kind for kind in ("cause", "consequence") if kind in kinds), "nothing"
            )
