"""What ended a run: the rules by which one line is the cause, others follow, and most say nothing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

import pytest
from shared import CHECKS, KNOWN

from nnunet_doctor.check import Body, Check, Fix, Text
from nnunet_doctor.facts import Facts
from nnunet_doctor.log.diagnose import LogDiagnosis, diagnose, fixes_for
from nnunet_doctor.log.facts import laid_over
from nnunet_doctor.log.reading import Known, Reader
from nnunet_doctor.log.source import Piece
from nnunet_doctor.when import When

STAMP = "2026-11-22 06:31:52.787228: "
BANNER = ["Using device: cuda:0", "Please cite the following paper when using nnU-Net:"]
READY = [f"{STAMP}Desired fold for training: 0", f"{STAMP}This split has 6 training and 2 validation cases."]
DONE = [f"{STAMP}Training done.", f"{STAMP}predicting a", f"{STAMP}Validation complete"]
WORKERS = "RuntimeError: One or more background workers are no longer alive. Exiting. Please check the print statements"


def epochs(first: int, last: int) -> list[str]:
    """Return the lines of epochs."""
    words = ("Epoch {}", "train_loss -0.5", "val_loss -0.4", "Pseudo dice [0.5]", "Epoch time: 9.5 s")
    return [STAMP + word.format(at) for at in range(first, last + 1) for word in words]


def raised(*errors: str, file: str = "/home/user/train.py", heading: str = "") -> list[str]:
    """Return the traceback of a chain of errors."""
    lines = [heading] if heading else []
    for number, error in enumerate(errors):
        if number:
            lines += ["", "During handling of the above exception, another exception occurred:", ""]
        lines += ["Traceback (most recent call last):", f'  File "{file}", line 3, in f', "    g()", error]
    return lines


def said(
    lines: Iterable[str], checks: Iterable[Check] = CHECKS, age: float | None = None, *, is_own: bool = False
) -> LogDiagnosis:
    """Diagnose lines of one log."""
    reader = Reader(KNOWN if checks is CHECKS else Known(tuple(checks)))
    reader.begin("job.log", is_own=is_own, age=age)
    encoded = [line.encode() for line in lines]
    reader.take(Piece(encoded, range(1, len(encoded) + 1)))
    return diagnose(reader.reading())


def check(
    id: str, severity: str = "error", when: When | None = None, explains: tuple[str, ...] = (), **tables: object
) -> Check:
    """Make a check that a log shows."""
    text = Text(f"title of {id}", "why")
    body = Body({"en": text, "zh": text}, **tables)  # type: ignore[arg-type]
    return Check(id, "training", severity, lambda: body, when, explains=explains)


BROKEN = check("broken", log_cause=("broken thing",))
ODD = check("odd", "warning", log_cause=("odd thing",))
DEAD = check("dead", log_consequence=("workers are no longer alive",))
OWN = (BROKEN, ODD, DEAD)


def cause(found: LogDiagnosis) -> tuple[str, int] | None:
    """Return id and line of the cause."""
    return (found.cause.check.id, found.cause.quote.number) if found.cause else None


# --- the cause -----------------------------------------------------------------------------------------------------


def test_the_exceptions_own_line_is_the_cause_line() -> None:
    """The line of code that raises it has the same words, and is not shown."""
    lines = raised("RuntimeError: broken thing")
    lines[2] = '    raise RuntimeError("broken thing")'

    assert cause(said(lines, OWN)) == ("broken", 4)


def test_the_first_of_a_chain_is_the_cause() -> None:
    """What it led to follows, whatever it says."""
    found = said(raised("RuntimeError: broken thing", "KeyError: 'x'"), OWN)

    assert cause(found) == ("broken", 4)
    assert [(item.check, item.quote.text) for item in found.consequences] == [(None, "KeyError: 'x'")]


def test_of_several_errors_the_first_is_the_cause() -> None:
    """A second problem that a check knows follows from the first, or does not matter any more."""
    other = check("other", log_cause=("other thing",))
    found = said([*raised("RuntimeError: broken thing"), *raised("RuntimeError: other thing")], (*OWN, other))

    assert cause(found) == ("broken", 4)
    assert [item.check.id for item in found.consequences if item.check] == ["other"]


def test_a_consequence_before_the_cause_is_none_the_less_one() -> None:
    """The main process may print first that workers died, and a worker later why."""
    found = said([*raised(WORKERS), *raised("RuntimeError: broken thing")], OWN)

    assert (cause(found), [item.check.id for item in found.consequences if item.check]) == (("broken", 8), ["dead"])


def test_a_line_of_two_meanings_is_a_cause_only_without_another() -> None:
    """What one check takes for its cause and another for a consequence gives way to any other cause."""
    eof = check("damaged", log_cause=("Ran out of input",))
    follows = check("follows", log_cause=("killed thing",), log_consequence=("Ran out of input",))
    alone = raised("EOFError: Ran out of input")
    both = [*alone, "slurm: killed thing"]

    assert cause(said(alone, (eof, follows))) == ("damaged", 4)
    assert cause(said(both, (eof, follows))) == ("follows", 5)


def test_an_unknown_error_before_a_doubtful_one_is_not_passed_over() -> None:
    """A clean-up error that resembles a known cause does not explain an error that nobody knows."""
    eof = check("damaged", log_cause=("Ran out of input",))
    follows = check("follows", log_cause=("killed thing",), log_consequence=("Ran out of input",))
    found = said([*raised("KeyError: 'mine'"), *raised("EOFError: Ran out of input")], (eof, follows))

    assert (cause(found), found.outcome, [quote.number for quote in found.telling]) == (None, "unknown", [4])


def test_what_explains_another_is_the_cause() -> None:
    """A check that names another as its consequence wins, in whatever order they were printed."""
    reason = check("reason", log_cause=("real reason",), explains=("broken",))

    assert cause(said([*raised("RuntimeError: broken thing"), "driver: real reason"], (*OWN, reason))) == ("reason", 5)


def test_what_a_training_went_past_is_not_the_cause() -> None:
    """An error that was caught in epoch 0 has not ended a training in epoch 5."""
    caught = [*BANNER, *READY, *epochs(0, 0), *raised("RuntimeError: broken thing"), *epochs(1, 5)]
    other = check("other", log_cause=("other thing",))

    assert cause(said([*caught, *raised("RuntimeError: other thing")], (*OWN, other))) == ("other", len(caught) + 4)
    assert said([*caught, *DONE], OWN).outcome == "healthy"


def test_an_earlier_start_that_failed_is_history() -> None:
    """A log that was appended to tells how its last start ended."""
    failed = [*BANNER, *READY, *raised("RuntimeError: broken thing")]

    assert said([*failed, *BANNER, *READY, *epochs(0, 1), *DONE], OWN).outcome == "healthy"
    assert said([*failed, *BANNER, *READY, *raised("KeyError: 'x'")], OWN).outcome == "unknown"


def test_another_fold_that_failed_is_not_forgotten() -> None:
    """A script that trains fold after fold has failed when one of them has."""
    first = [*BANNER, *READY, *raised("RuntimeError: broken thing")]
    second = [*BANNER, READY[0].replace(": 0", ": 1"), READY[1], *epochs(0, 1), *DONE]

    assert cause(said([*first, *second], OWN)) == ("broken", 8)


def test_a_warning_is_not_the_cause_of_another_failure() -> None:
    """What only warns is pointed at, beside the failure that nobody knows."""
    found = said([*BANNER, f"{STAMP}WARNING: odd thing", *raised("KeyError: 'x'")], OWN)

    assert (found.outcome, [item.kind for item in found.attention]) == ("unknown", ["odd"])


def test_what_is_printed_just_before_an_error_explains_it() -> None:
    """nnU-Net prints some reasons and then raises something general; a line that calls itself a warning is none."""
    printed = said([*BANNER, "odd thing: x", *raised("ValueError: invalid literal for int()")], OWN)
    warned = said([*BANNER, "WARNING: odd thing: x", *raised("ValueError: invalid literal for int()")], OWN)

    assert (cause(printed), cause(warned)) == (("odd", 3), None)


def test_a_condition_about_the_system_decides_between_two_causes_only() -> None:
    """Facts of the log never veto a cause; where two are there, what they rule out comes second."""
    windows = check("windows", log_cause=("first thing",), when=When.parse("platform.os == 'windows'"))
    linux = raised("RuntimeError: first thing")
    both = [*linux, *raised("RuntimeError: broken thing")]

    assert cause(said(linux, (windows, BROKEN))) == ("windows", 4)
    assert cause(said(both, (windows, BROKEN))) == ("broken", 8)


# --- no cause ------------------------------------------------------------------------------------------------------


def test_a_consequence_alone_is_explained_and_no_cause() -> None:
    """It is worded as what it is, and the exit code says that nothing is known."""
    found = said([*BANNER, *READY, *epochs(0, 3), *raised(WORKERS)], OWN)

    assert (found.outcome, found.cause, found.symptom, found.exit_code) == ("consequences", None, DEAD, 3)


def test_an_unknown_error_is_quoted_and_not_guessed_at() -> None:
    """The first exception of the chain and the last, and no way out."""
    found = said([*BANNER, *raised("KeyError: 'mine'", "RuntimeError: yours")], OWN)

    assert (found.outcome, found.exit_code, found.consequences) == ("unknown", 3, ())
    assert [quote.text for quote in found.telling] == ["KeyError: 'mine'", "RuntimeError: yours"]


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["nothing of nnU-Net at all"],
        [*BANNER, *READY, *epochs(0, 3), *DONE],
        [*BANNER, *READY, *epochs(0, 3), *DONE, "resource_tracker: There appear to be 6 leaked semaphore objects"],
        [*BANNER, *READY, *epochs(0, 3), *DONE, *raised("OSError: [Errno 16] Device or resource busy: '.nfs0001'")],
        [*BANNER, *READY, *epochs(0, 3), *DONE, *raised("ValueError: x", heading="Exception ignored in: <function f>")],
        [*BANNER, *READY, *epochs(0, 3), *DONE, "Segmentation fault (core dumped)"],
        ["torch/cuda/amp.py:1: FutureWarning: this will be an error", *BANNER, *READY, *epochs(0, 3), *DONE],
        ["done with case_000", "Segmentation export complete."],
        ["bash: module: command not found", "Fingerprint extraction...", "Configuration: 2d..."],
        ["/bin/sh: 1: nvidia-smi: Permission denied", *BANNER, *READY, *epochs(0, 3), *DONE],
    ],
    ids=range(11),
)
def test_healthy_logs_are_healthy(lines: list[str]) -> None:
    """Noise, warnings, and a clean-up that fails after all is done are no failures."""
    found = said(lines)

    assert (found.outcome, found.cause, found.exit_code) == ("healthy", None, 0)


def test_a_log_that_just_ends_names_no_cause() -> None:
    """An old one was ended from outside, possibly; one that was just written to goes on."""
    lines = [*BANNER, *READY, *epochs(0, 3), f"{STAMP}Epoch 4"]
    old, fresh, unknown = (said(lines, age=age) for age in (1e5, 5, None))

    assert [(item.outcome, item.exit_code) for item in (old, fresh, unknown)] == [
        ("stopped", 3),
        ("running", 0),
        ("stopped", 3),
    ]
    assert (old.cause, old.confidence) == (None, "possible")


def test_epochs_that_take_hours_do_not_make_a_log_old() -> None:
    """A training of which nothing is heard for less than three epochs may go on."""
    lines = [*BANNER, *READY, *(line.replace("9.5", "3000.5") for line in epochs(0, 2))]

    assert (said(lines, age=8000).outcome, said(lines, age=12_000).outcome) == ("running", "stopped")


@pytest.mark.parametrize(
    ("line", "id", "confidence"),
    [
        ("Killed", "memory-ran-out", "likely"),
        ("job.sh: line 7:  4242 Killed                  nnUNetv2_train 10 2d 0", "memory-ran-out", "likely"),
        ("Exited with exit code 137", "memory-ran-out", "likely"),
        ("srun: error: gpu07: task 0: Out Of Memory", "memory-ran-out", "certain"),
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=1.0.", "memory-ran-out", "certain"),
        ("Segmentation fault (core dumped)", "process-crashed", "certain"),
        ("Process finished with exit code 139 (interrupted by signal 11: SIGSEGV)", "process-crashed", "certain"),
        (
            "slurmstepd: error: *** JOB 1 ON a CANCELLED AT 2026-01-01T00:00:00 DUE TO TIME LIMIT ***",
            "job-time-limit",
            "certain",
        ),
        ("KeyboardInterrupt", "run-interrupted", "certain"),
    ],
)
def test_kills_without_words_are_recognised(line: str, id: str, confidence: str) -> None:
    """What systems leave behind when they end a process, with how sure that is."""
    found = said([*BANNER, *READY, *epochs(0, 3), f"{STAMP}Epoch 4", line])
    assert found.cause is not None

    assert (found.cause.check.id, found.cause.confidence, found.exit_code) == (id, confidence, 1)


def test_an_exit_code_of_its_own_is_an_unknown_failure() -> None:
    """Code 1 says that something failed, and not what."""
    assert said([*BANNER, *READY, *epochs(0, 3), "exit code 1"]).outcome == "unknown"


def test_a_time_limit_of_the_caller_is_an_end_from_outside() -> None:
    """Code 124 is that of 'timeout'; the training has no error of its own."""
    found = said([*BANNER, *READY, *epochs(0, 3), "rc=124 wall=540s"])

    assert (found.outcome, found.confidence, found.exit_code) == ("stopped", "likely", 3)


def test_oddities_of_a_healthy_training_are_pointed_at() -> None:
    """With the check that knows it, where there is one."""
    lines = [*BANNER, *READY, *(line.replace("-0.5", "nan") for line in epochs(0, 3)), *DONE]
    found = said(lines)

    assert (found.outcome, [(item.kind, item.check.id if item.check else None) for item in found.attention]) == (
        "healthy",
        [("loss-nan", "loss-nan")],
    )


def test_the_cause_in_one_file_and_the_epochs_in_another() -> None:
    """The .out and the .err file of a job tell one story."""
    reader = Reader(Known(OWN))
    for name, lines in (
        ("job.out", [*BANNER, *READY, *epochs(0, 3)]),
        ("job.err", raised("RuntimeError: broken thing")),
    ):
        reader.begin(name)
        encoded = [line.encode() for line in lines]
        reader.take(Piece(encoded, range(1, len(encoded) + 1)))
    found = diagnose(reader.reading())
    assert found.cause is not None

    assert (found.cause.quote.source, found.cause.quote.number, found.course.finished_epochs) == ("job.err", 4, 4)


# --- facts and ways out --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "fact", "value"),
    [
        (r'  File "C:\Users\user\env\Lib\site-packages\torch\x.py", line 1, in f', "platform.os", "windows"),
        (r'  File "C:\Users\user\env\Lib\site-packages\torch\x.py", line 1, in f', "platform.container", None),
        ('  File "/Users/user/env/lib/python3.12/site-packages/torch/x.py", line 1, in f', "platform.os", "macos"),
        ('  File "/home/user/env/lib/python3.12/site-packages/torch/x.py", line 1, in f', "platform.os", "linux"),
        ('  File "/home/user/env/lib/python3.12/site-packages/torch/x.py", line 1, in f', "python.version", "3.12"),
        (
            '  File "/opt/conda/lib/python3.11/site-packages/nnunetv2/run/run_training.py", line 1',
            "torch.installed",
            True,
        ),
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=1.0.", "platform.scheduler", "slurm"),
        ("2026-11-22T06:31:52.123456789Z stdout F Epoch 0", "platform.container", "kubernetes"),
        ("Possible files are located at ['/usr/lib/wsl/lib/libcuda.so.1']", "platform.wsl", 2),
        (r"PS C:\nnunet> nnUNetv2_train 10 2d 0", "platform.shell", "powershell"),
        (r"C:\nnunet>nnUNetv2_train 10 2d 0", "platform.shell", "cmd"),
        ("torch==2.4.1+cu121", "torch.cuda_build", "12.1"),
        ("nnunetv2                  2.5.1", "nnunet.version", "2.5.1"),
        ("Using device: cuda:0", "training.device", "cuda"),
        ("2026-11-22 06:31:52.78: Using torch.compile...", "training.compiles", True),
        ("2026-11-22 06:31:52.78: Desired fold for training: all", "training.fold", "all"),
        ("Configuration name: 3d_fullres", "training.configuration", "3d_fullres"),
        (
            "Copied to /r/Dataset010_Colon/nnUNetTrainer_5epochs__nnUNetPlans__2d/fold_1/x",
            "training.trainer",
            "nnUNetTrainer_5epochs",
        ),
        ("Copied to /r/Dataset010_Colon/nnUNetTrainer_5epochs__nnUNetPlans__2d/fold_1/x", "dataset.id", 10),
        ("nnUNet_raw=None", "paths.raw", None),
    ],
)
def test_facts_are_learnt_from_lines(line: str, fact: str, value: object) -> None:
    """Paths, versions, devices and names become facts with the source "log"."""
    found = said([line]).facts

    assert (found[fact], found.source(fact)) == (value, "log")


def test_contradictions_go_to_what_most_lines_say() -> None:
    """A prompt of Windows above a log of a Linux server makes no Windows of it."""
    linux = '  File "/home/user/env/lib/python3.12/site-packages/torch/x.py", line 1, in f'

    assert said([r"C:\Users\user>ssh server", linux, linux]).facts["platform.os"] == "linux"


def fix(words: str, when: str | None = None, **keys: object) -> Fix:
    """Make a way out."""
    return Fix(When.parse(when) if when else None, {"en": words, "zh": words}, **keys)  # type: ignore[arg-type]


def offered(facts: dict[str, object], *fixes: Fix) -> list[tuple[str, str | None]]:
    """Return text and place of the ways out that are offered by facts."""
    known = laid_over(Facts(), facts)  # type: ignore[arg-type]
    return [(item.fix.text["en"], item.where) for item in fixes_for(check("x", fixes=fixes), known)]


def test_ways_out_fit_what_is_known() -> None:
    """Those of another system are left out; those that hang on what a reader knows are said to do so, and come last."""
    ways = (
        fix("container", "platform.container is not None"),
        fix("windows", "platform.os == 'windows'"),
        fix("posix", "platform.os != 'windows'"),
        fix("slurm", "platform.scheduler == 'slurm'"),
        fix("always"),
        fix("needs {torch.wanted_index}"),
    )

    assert offered({"platform.os": "windows", "platform.container": None, "platform.scheduler": None}, *ways) == [
        ("windows", None),
        ("always", None),
    ]
    assert offered({"platform.os": "linux", "platform.scheduler": "slurm"}, *ways) == [
        ("posix", None),
        ("slurm", None),
        ("always", None),
        ("container", "container"),
    ]
    assert offered({}, *ways)[0] == ("always", None)


def test_a_way_out_that_may_not_apply_is_better_than_none() -> None:
    """Where nothing is sure, what hangs on facts that no log tells is offered with that doubt."""
    assert offered({}, fix("only with data", "count(preprocessed.plans_names) > 1")) == [("only with data", "perhaps")]


def test_a_command_that_cannot_be_completed_is_left_out() -> None:
    """The words stay."""
    way = fix("Install another torch.", command=("{python}", "-m", "pip", "install", "torch=={torch.release}"))
    (found,) = fixes_for(check("x", fixes=(way,)), Facts())

    assert (found.fix.text["en"], found.fix.command) == ("Install another torch.", ())


def test_facts_of_the_machine_count_when_the_log_is_its_own() -> None:
    """What the log states is laid over them, and what follows is derived anew."""
    machine = Facts().with_values({"platform.os": "linux", "platform.container": "docker", "nnunet.version": "2.5.1"})
    found = laid_over(machine, {"training.device": "cpu", "nnunet.version": "2.8.1"})

    assert (found["platform.container"], found["training.device"], found["nnunet.behaves_as"]) == (
        "docker",
        "cpu",
        "2.8.1",
    )


def test_a_diagnosis_has_no_state() -> None:
    """Reading the same lines twice says the same."""
    lines = [*BANNER, *READY, *epochs(0, 3), *raised("RuntimeError: broken thing"), *raised(WORKERS)]

    first, second = (replace(said(lines, OWN), facts=Facts()) for _ in range(2))
    assert re.sub("0x[0-9a-f]+", "", repr(first)) == re.sub("0x[0-9a-f]+", "", repr(second))


def test_a_warning_about_the_driver_ends_no_run_on_the_cpu() -> None:
    """Python's warnings stop nothing; an error that is printed after one, and follows from it, tells that it mattered."""
    warning = (
        "/opt/torch/cuda/__init__.py:187: UserWarning: CUDA initialization: The NVIDIA driver on your system is too old"
    )
    later = raised("EOFError", file="/usr/lib/python3.12/multiprocessing/connection.py")

    assert cause(said([warning, "  return torch._C._cuda_getDeviceCount() > 0", *["..."] * 5, *later])) is None
    assert "driver-too-old" in str(cause(said([warning, *["..."] * 5, *later, WORKERS])))


def test_a_training_that_goes_on_after_pip_has_warned_is_not_one_that_failed() -> None:
    """What pip says of other packages before the first epoch has ended nothing."""
    pip = "ERROR: pip's dependency resolver does not currently take into account all the packages that are installed."

    assert said([pip, *epochs(4, 4)], age=5).is_healthy
    assert said([pip, *raised("ValueError: 3"), *epochs(4, 4)], age=5).exit_code == 3


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ('when I preprocess data, I get an error"zlib.error:Error -7 while decompressing"', 3),
        ("and the answer was LookupError: no such thing", 3),
        ("I have trained for a week, and there was no error: all is well", 0),
        ("All is well.", 0),
    ],
)
def test_an_error_in_a_sentence_is_a_failure_that_nobody_knows(line: str, code: int) -> None:
    """What somebody writes about an exception is not passed over as a log without a failure."""
    assert code == said([line]).exit_code


@pytest.mark.parametrize("width", [60, 80, 120])
def test_an_exception_that_a_window_has_folded_is_read_as_one_line(width: int) -> None:
    """PowerShell 5 breaks what is wider than its window, also in a file; the line of the cause is the first of both."""
    error = "FileNotFoundError: [Errno 2] No such file or directory: '" + "D:\\\\nnUNet_preprocessed\\\\" * 2
    error += "Dataset010_Colon\\\\nnUNetPlans.json'"
    lines = raised(error)
    folded = [*lines[:-1], *[error[at : at + width] for at in range(0, len(error), width)]]

    assert cause(said(lines)) == ("not-preprocessed", 4)
    assert cause(said(folded)) == ("not-preprocessed", 4)


def test_an_indented_exception_is_recognised() -> None:
    """A log that stands indented in somebody's text has lost its line beginnings, not its meaning."""
    lines = raised("KeyError: 'configurations'", file="/opt/nnunetv2/utilities/plans_handling/plans_handler.py")
    lines[2] = "    return self.plans['configurations']"

    assert cause(said(lines)) == cause(said(["    " + line for line in lines]))
    assert "plans-broken" in str(cause(said(lines)))


@pytest.mark.parametrize("before", [[], [*BANNER, *READY, *epochs(0, 1)]], ids=["alone", "in a training"])
@pytest.mark.parametrize(
    "line",
    [
        "./train.sh: line 3: 1234 Aborted                 (core dumped) nnUNetv2_train 1 2d 0",
        "Aborted (core dumped)",
        "srun: error: node7: task 0: Aborted (core dumped)",
        "rc=134",
    ],
)
def test_a_process_that_aborts_has_failed_by_itself(before: list[str], line: str) -> None:
    """Nobody outside ends a process so; what it complained of is not there, and nothing is guessed."""
    found = said([*before, line])

    assert (found.outcome, found.exit_code) == ("unknown", 3)


def test_a_warning_that_quotes_an_error_is_no_failure() -> None:
    """Python prints a warning and goes on, whatever its text says."""
    assert said(["/opt/env/lib/x.py:3: UserWarning: RuntimeError: falling back to the slow path"]).outcome == "healthy"
