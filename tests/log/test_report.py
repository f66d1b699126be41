"""What ``diagnose`` prints: one screen of text, JSON by its schema, Markdown that can be pasted."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from shared import CHECKS, KNOWN

from nnunet_doctor.cli import main
from nnunet_doctor.facts import Facts
from nnunet_doctor.facts.derive import derive
from nnunet_doctor.log.diagnose import LogDiagnosis, diagnose
from nnunet_doctor.log.reading import Reader
from nnunet_doctor.log.source import Piece
from nnunet_doctor.report.diagnosis import (
    build,
    print_diagnosis,
    schema,
    shell_for,
    title_of,
    to_json,
    to_markdown,
    why_of,
)
from nnunet_doctor.report.text import console_for

STAMP = "2026-11-22 06:31:52.787228: "
HEAD = [
    "Using device: cuda:0",
    "Please cite the following paper when using nnU-Net:",
    f"{STAMP}This split has 6 training and 2 validation cases.",
]
EPOCH = [
    STAMP + line for line in ("Epoch 0", "train_loss -0.5", "val_loss nan", "Pseudo dice [nan]", "Epoch time: 9.5 s")
]
OUT_OF_MEMORY = [
    "Traceback (most recent call last):",
    '  File "/home/user/env/lib/python3.11/site-packages/nnunetv2/training/nnUNetTrainer/nnUNetTrainer.py", line 1, in f',
    "    output = self.network(data) # 网络 " + "x" * 300,
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 7.79 GiB",
    "Exception in thread Thread-2 (results_loop):",
    *(
        "RuntimeError: One or more background workers are no longer alive. Exiting. Please check the print"
        for _ in range(3)
    ),
]
UNKNOWN = [
    "Traceback (most recent call last):",
    '  File "/home/user/mine.py", line 1, in f',
    "    `x`",
    "KeyError: '`mine`'",
]
LOGS = {
    "cause": [*HEAD, *EPOCH, *OUT_OF_MEMORY],
    "likely": [*HEAD, *EPOCH, "Killed"],
    "unknown": [*HEAD, *EPOCH, *UNKNOWN],
    "consequences": [*HEAD, *EPOCH, OUT_OF_MEMORY[-1]],
    "stopped": [*HEAD, *EPOCH, f"{STAMP}Epoch 1"],
    "healthy": [*HEAD, *EPOCH, f"{STAMP}Training done.", f"{STAMP}Validation complete"],
    "nothing": ["hello"],
}


def said(lines: list[str]) -> LogDiagnosis:
    """Diagnose lines of one log."""
    reader = Reader(KNOWN)
    reader.begin("some/folder/job.log")
    encoded = [line.encode() for line in lines]
    reader.take(Piece(encoded, range(1, len(encoded) + 1)))
    return diagnose(reader.reading())


def text(name: str, language: str = "en", width: int = 80, *, short: bool = False) -> str:
    """Return what is printed of a log."""
    found = said(LOGS[name])
    stream = io.StringIO()
    print_diagnosis(build(found, language), console_for(stream, width), language, shell_for(found), short=short)
    return stream.getvalue()


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", LOGS)
def test_text_fits_a_screen(name: str, language: str) -> None:
    """Eighty columns, but for commands, which must be whole; and no more lines than a screen has."""
    from rich.cells import cell_len

    lines = text(name, language).splitlines()
    wide = [
        line
        for line in lines
        if cell_len(line) > 80 and not line.lstrip().startswith(("export", "pip", "python", "nnU"))
    ]

    assert (wide, len(lines) <= 40) == ([], True)


def test_text_of_a_cause() -> None:
    """Verdict, the line with its number and what is around it, why, how to mend it, and what follows, folded."""
    printed = text("cause")

    assert printed.startswith("FAIL  The memory of the GPU ran out  [gpu-memory-full]\n      job.log, line 12:\n")
    assert "     12  torch.OutOfMemoryError: CUDA out of memory. Tried to allocate" in printed
    assert "fix 1  " in printed
    assert "export nnUNet_n_proc_DA" not in printed
    assert printed.count("One or more background workers") == 2  # beside the cause, and folded below
    assert "(3 times)" in printed
    assert "nnunet-doctor explain gpu-memory-full" in printed


def test_text_says_how_sure_it_is() -> None:
    """A kill without words is likely what it seems, and no more."""
    assert "likely, not certain" in text("likely")
    assert "likely" not in text("cause")


def test_nothing_is_guessed_where_nothing_is_known() -> None:
    """The most telling line with its number, what to do with it, and no way out."""
    printed = text("unknown")

    assert "no check knows why" in printed
    assert "     12  KeyError: '`mine`'" in printed
    assert "fix" not in printed


def test_consequences_alone_are_said_to_be_that() -> None:
    """They are explained, the real error is said to be elsewhere, and no way out is offered."""
    printed = text("consequences")

    assert "only what followed" in printed
    assert "[workers-died]" in printed
    assert ".err" in printed
    assert "fix" not in printed


def test_a_short_text_leaves_out_what_was_just_seen() -> None:
    """After a run, the lines around the cause and the course of the training stand above already."""
    assert "output = self.network" not in text("cause", short=True)
    assert "Training:" not in text("cause", short=True)


VALIDATOR = jsonschema.Draft202012Validator(schema())


def test_the_schema_is_one() -> None:
    """The schema is valid by the draft that it names."""
    VALIDATOR.check_schema(schema())

    assert jsonschema.validators.validator_for(schema()) is jsonschema.Draft202012Validator


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", LOGS)
def test_json_follows_its_schema(name: str, language: str) -> None:
    """What is printed is valid by the published schema, in the order of the contract, without NaN."""
    printed = to_json(build(said(LOGS[name]), language), ascii_only=True)
    document = json.loads(printed, parse_constant=pytest.fail)
    wrong = [error.message for error in VALIDATOR.iter_errors(document)]

    assert wrong == []
    assert list(document)[:7] == ["schema_version", "doctor", "healthy", "outcome", "cause", "consequences", "progress"]
    assert document["healthy"] is (name in ("healthy", "nothing"))


def test_json_of_a_cause() -> None:
    """The keys of the contract, and what else there is."""
    document = json.loads(to_json(build(said(LOGS["cause"]), "en"), ascii_only=False))

    assert {"id", "title", "why", "line", "text", "fixes"} <= document["cause"].keys()
    assert (document["cause"]["id"], document["cause"]["line"]) == ("gpu-memory-full", 12)
    assert {"text", "command", "launch", "needs_trust"} == document["cause"]["fixes"][0].keys()
    assert [(item["id"], item["times"]) for item in document["consequences"]] == [
        ("workers-died", 1),
        ("workers-died", 3),
    ]
    assert (document["progress"]["epochs"], document["progress"]["val_loss"]) == (1, None)
    assert document["facts"]["platform.os"] == "linux"


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", LOGS)
def test_markdown_can_be_pasted(name: str, language: str) -> None:
    """A heading, the quoted lines in a fence that they cannot break out of, and a table of facts."""
    printed = to_markdown(build(said(LOGS[name]), language), language)

    assert printed.startswith("## ")
    assert printed.count("```") % 2 == 0
    if name == "unknown":
        assert "12: KeyError: '`mine`'" in printed
    if name == "cause":
        assert "| platform.os | linux |" in printed


def test_words_need_no_facts_that_nobody_knows() -> None:
    """Of a title and a reason nothing is left that a placeholder stood in; what remains reads as a sentence."""
    unknown = derive(Facts())
    for check in CHECKS:
        if not check.log_cause and not check.log_consequence:
            continue
        for language in ("en", "zh"):
            title, why = title_of(check, unknown, language), why_of(check, unknown, language)
            broken = [piece for piece in ("\0", "{n", "{t", "{p", "  ", " ,", "（）", "'?'") if piece in title + why]

            assert (broken, bool(title), bool(why)) == ([], True, True), f"{check.id}: {title} | {why}"


def test_facts_that_are_known_are_in_the_words() -> None:
    """A version from the log stands in the title."""
    (check,) = [item for item in CHECKS if item.id == "torch-does-not-train"]
    known = derive(Facts().with_values({"nnunet.version": "2.4.2", "torch.version": "2.9.0"}))

    assert "nnU-Net 2.4.2 cannot train with torch 2.9.0" in title_of(check, known, "en")


def test_numbers_of_now_are_not_told_of_then() -> None:
    """What is free in a machine now says nothing of the moment in which a run failed."""
    machine = {"resources.shm_free_gib": 23.5, "training.shm_needed_gib": 0.3, "platform.os": "linux"}
    found = said([*HEAD, *EPOCH, "ERROR: Unexpected bus error encountered in worker."])
    record = build(replace(found, facts=found.facts.with_values(machine)), "en")
    assert record.cause is not None

    assert (record.cause.id, "23.5" in record.cause.title) == ("shm-too-small", False)


def test_a_log_of_something_else_is_said_to_be_one() -> None:
    """The wrong file has no failure of nnU-Net in it, and nothing else of it either."""
    assert "nothing that nnU-Net prints" in text("nothing")
    assert "nothing that nnU-Net prints" not in text("healthy")


@pytest.mark.parametrize("form", ["text", "markdown"])
def test_what_stands_in_no_line_names_none(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A log that begins in the middle is of a training that went on; no line of it says so."""
    log = Path(__file__).parent / "corpus" / "ok-grep-of-log.txt"
    main(["diagnose", str(log), "--format", form, "--lang", "en"])
    said = capsys.readouterr().out

    assert "went on from a checkpoint" in said
    assert "line 0" not in said
