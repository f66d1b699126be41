"""How a report is to be told, whatever its form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from nnunet_doctor.report.letters import visible
from nnunet_doctor.report.places import Places
from nnunet_doctor.report.record import EvidenceRecord, FindingRecord, FixRecord, Report
from nnunet_doctor.shell import set_variable
from nnunet_doctor.words import say

if TYPE_CHECKING:
    from nnunet_doctor.probes.raw.cases import Cases

MARKS = {"error": "FAIL", "warning": "warn", "info": "info"}


class Manner(NamedTuple):
    """How a report is to be told.

    Attributes:
        language: en or zh.
        shell: Shell that commands are written for.
        places: What paths are relative to.
        fail_on: Least severity that counts as a failure: error, warning or never.
        cases: What is known of each case of the dataset; None where nobody asked, or nothing was surveyed.
    """

    language: str
    shell: str
    places: Places
    fail_on: str = "error"
    cases: Cases | None = None


def one_line(text: str) -> str:
    """Return a visible text without line breaks and tabs."""
    return visible(re.sub(r"[\t\n\r\x0b\x0c\u2028\u2029]+", " ", text))


def cut(text: str, most: int) -> str:
    """Return a text of at most so many characters."""
    return text if len(text) <= most else text[: most - 3] + "..."


MOST_MESSAGES = 10
MOST_LETTERS = 300


def told(messages: Sequence[str], language: str) -> list[str]:
    """Return as many of the messages about one file as a reader takes in; a host cuts off what comes after more."""
    left = len(messages) - MOST_MESSAGES
    shown = [cut(message, MOST_LETTERS) for message in messages[:MOST_MESSAGES]]
    return [*shown, say(language, "also", count=left)] if left > 0 else shown


def about_dataset(report: Report, language: str) -> str:
    """Return the dataset in one line; empty without one."""
    dataset = report.dataset
    if dataset is None:
        return ""
    known = {name: "?" if value is None else value for name, value in vars(dataset).items()}
    return say(language, "survey_input" if dataset.model else "survey_title", **known)


def verdict_of(report: Report) -> str:
    """Return the key of the words for the verdict; what was known before may stand in the way all the same."""
    known = "_known" if report.verdict == "ok" and report.known else ""
    return f"markdown_verdict_{report.verdict}{known}"


def counts(report: Report, language: str) -> str:
    """Return in one line how many checks ended how."""
    shown = [finding.severity for finding in report.findings if finding.explained_by is None]
    return say(
        language,
        "counts_ignored" if report.ignored else "counts",
        errors=shown.count("error"),
        warnings=shown.count("warning"),
        infos=shown.count("info"),
        unknown=len(report.unknown),
        passed=len(report.passed),
        ignored=len(report.ignored),
    )


def waived_because(finding: FindingRecord, language: str) -> str:
    """Return why a finding is lived with, and until when."""
    if finding.waived is None:
        return ""
    key = "waived_until" if finding.waived.until else "waived_reason"
    return say(language, key, reason=finding.waived.reason, day=finding.waived.until)


def evidence_of(finding: FindingRecord) -> list[EvidenceRecord]:
    """Return the evidence without the list of files, which the details are made from."""
    return [item for item in finding.evidence if not (finding.details and isinstance(item.value, list))]


def text_of(fix: FixRecord, finding: FindingRecord, language: str) -> str:
    """Return the words of a fix, and that 'run' does it where it does."""
    if not fix.launch.env and not fix.launch.args:
        return fix.text
    tried = any(item.fact.startswith("trial.") for item in finding.evidence)
    key = "run_trusting_does_this" if fix.needs_trust else "run_deep_does_this" if tried else "run_does_this"
    return say(language, key, text=fix.text)


def commands_of(fix: FixRecord, shell: str) -> list[str]:
    """Return the lines to type for a fix: variables, options of the training, the command."""
    lines = [set_variable(shell, name, value) for name, value in fix.launch.env.items() if "?" not in value]
    if fix.launch.args:
        lines.append("nnUNetv2_train ... " + " ".join(fix.launch.args))
    return [*lines, *([fix.command] if fix.command else [])]


def settings_of(report: Report) -> list[str]:
    """Return the settings of the plan, as variables and options are written."""
    return [*(f"{name}={value}" for name, value in report.plan.env.items()), *report.plan.args]


def consequences(report: Report, id: str) -> list[FindingRecord]:
    """Return the findings that another one is the cause of."""
    return [item for item in report.findings if item.explained_by == id]
