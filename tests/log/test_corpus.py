"""The labelled corpus: every log gives what its label says. The labels' format is described in corpus/README.md."""

from __future__ import annotations

import re
import tempfile
import time
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import tomli
from shared import CHECKS, KNOWN
from together import together

from nnunet_doctor.facts.exchange import to_plain
from nnunet_doctor.log.diagnose import LogDiagnosis, diagnose
from nnunet_doctor.log.source import OWN_LOG, Source
from nnunet_doctor.log.whole import read_logs
from nnunet_doctor.report.diagnosis import build

FOLDER = Path(__file__).with_name("corpus")
LABELS = tomli.loads((FOLDER / "labels.toml").read_text(encoding="utf-8"))["log"]
IDS = {check.id for check in CHECKS}
OLD = 1e7
"""Seconds after which nobody takes a log for one of a run that goes on."""

WORDS = ("healthy", "unrecognised")


def files_of(label: dict[str, Any]) -> tuple[str, ...]:
    """Return the files of an entry."""
    return tuple(label.get("files") or [label["file"]])


@cache
def read(files: tuple[str, ...], age: float) -> LogDiagnosis:
    """Diagnose the files of an entry as the command does."""
    with tempfile.TemporaryDirectory() as young:
        folder = FOLDER if age == OLD else Path(young)
        for name in files if age != OLD else ():
            text = (FOLDER / name).read_text(encoding="utf-8")
            stamp = time.strftime("%Y-%m-%d %H:%M:%S")  # a log tells its age by its stamps too
            (folder / name).write_text(re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", stamp, text), encoding="utf-8")
        sources = [Source(name, folder / name, age, name.startswith(OWN_LOG)) for name in files]
        return diagnose(read_logs(sources, KNOWN))


def said(label: dict[str, Any]) -> LogDiagnosis:
    """Diagnose an entry."""
    return read(files_of(label), float(label.get("age", OLD)))


def verdict(found: LogDiagnosis) -> str:
    """Return a diagnosis in the words of a label."""
    return found.cause.check.id if found.cause else "healthy" if found.is_healthy else "unrecognised"


@together("label", LABELS, lambda label: files_of(label)[0])
def test_a_log_gives_what_its_label_says(label: dict[str, Any]) -> None:
    """Cause or none, exit code, line, confidence, consequences, what deserves attention, facts, and the ways out."""
    found = said(label)
    record = build(found, "en")
    fixes = [f"{fix.text} {fix.command or ''} {fix.launch.env}" for fix in (record.cause.fixes if record.cause else [])]
    following = {item.check.id for item in found.consequences if item.check} | (
        {found.symptom.id} if found.symptom else set()
    )
    code = label.get("exit", {"healthy": 0, "unrecognised": 3}.get(label["expect"], 1))

    assert verdict(found) in {label["expect"], *label.get("also", ())}, found.cause and found.cause.quote.text
    assert found.exit_code == code
    if "line" in label:
        assert found.cause is not None
        assert found.cause.quote.number == label["line"]
    if "confidence" in label and found.cause:
        assert found.cause.confidence == label["confidence"]
    assert [id for id in label.get("consequences", ()) if id not in following] == []
    assert [kind for kind in label.get("attention", ()) if kind not in {item.kind for item in found.attention}] == []
    assert {name: to_plain(found.facts[name]) for name in label.get("facts", {})} == label.get("facts", {})
    assert "fix" not in label or any(label["fix"] in fix for fix in fixes)
    assert [word for word in label.get("no_fix", ()) for fix in fixes if word in fix] == []


def test_labels_are_complete() -> None:
    """Every file has a label, every label its files, and every id is one of a check."""
    named = [name for label in LABELS for name in files_of(label)]
    there = {path.name for path in FOLDER.iterdir()} - {"README.md", "labels.toml", ".gitattributes"}
    ids = {id for label in LABELS for id in (label["expect"], *label.get("also", ()), *label.get("consequences", ()))}

    assert (sorted(set(named) - there), sorted(there - set(named))) == ([], [])
    assert sorted(ids - IDS - set(WORDS)) == []


def test_the_aim_of_the_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """The table of confusion: causes right in 95 % and more, none on healthy or unrecognisable logs, none that follows."""
    table: Counter[tuple[str, str]] = Counter()
    wrong = []
    for label in LABELS:
        found = verdict(said(label))
        wanted = label["expect"] if label["expect"] in WORDS else "a cause"
        right = found in {label["expect"], *label.get("also", ())}
        given = found if found in WORDS else "that cause" if right else "another cause"
        table[wanted, given] += 1
        if not right:
            wrong.append((files_of(label)[0], label["expect"], found))
    columns = ("that cause", "another cause", "unrecognised", "healthy")
    with capsys.disabled():
        print(f"\n{'label':14}", *(f"{name:>14}" for name in columns))
        for row in ("a cause", *WORDS):
            print(f"{row:14}", *(f"{table[row, name]:14}" for name in columns))
        for item in wrong:
            print("  ", *item)
    causes = sum(count for (wanted, _), count in table.items() if wanted == "a cause")

    assert table["a cause", "that cause"] >= 0.95 * causes
    assert sum(table[word, "another cause"] for word in WORDS) == 0
    assert [files_of(label)[0] for label in LABELS if verdict(said(label)) in label.get("consequences", ())] == []
