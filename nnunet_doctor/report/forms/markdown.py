"""Markdown that fits an issue: verdict, findings with evidence and fixes, what is undecided, the plan."""

from __future__ import annotations

import re
from collections.abc import Iterable

from nnunet_doctor.report.places import Places
from nnunet_doctor.report.record import FindingRecord, Report
from nnunet_doctor.shell import set_variable
from nnunet_doctor.words import say

MOST_CHARACTERS = 60_000
"""GitHub refuses a comment of more than 65,536."""
MOST_DETAILS = 20
LANGUAGES = {"posix": "sh", "powershell": "powershell", "cmd": "bat"}


def render(report: Report, language: str, shell: str, places: Places) -> str:  # noqa: ARG001
    """Return the report as Markdown (GitHub's flavour)."""
    machine = report.machine
    torch = f"torch {machine.torch}" if machine.torch else say(language, "without_torch")
    nnunet = f"nnU-Net {machine.nnunet}" if machine.nnunet else say(language, "without_nnunet")
    about = ", ".join((machine.system, f"Python {machine.python}", torch, nnunet, machine.gpu))
    blocks = [f"## nnunet-doctor {report.doctor}: {report.verdict}", escape(about)]
    blocks += [_finding(item, report, language, shell) for item in report.findings if item.explained_by is None]
    if report.unknown:
        rows = [f"- `{item.id}`: {escape(item.because)}" for item in report.unknown]
        blocks.append(_folded(say(language, "markdown_undecided", count=len(rows)), rows))
    settings = [*(f"{name}={value}" for name, value in report.plan.env.items()), *report.plan.args]
    if settings:
        blocks.append(say(language, "plan_head") + "\n\n" + _code(" ".join(settings), "text"))
    text = "\n\n".join(blocks) + "\n"
    if len(text) > MOST_CHARACTERS:
        text = text[: text.rfind("\n\n", 0, MOST_CHARACTERS)] + f"\n\n{say(language, 'markdown_cut')}\n"
    return text


def _finding(finding: FindingRecord, report: Report, language: str, shell: str) -> str:
    mark = {"error": "FAIL", "warning": "warn", "info": "info"}[finding.severity]
    lines = [f"### {mark}: {escape(finding.title)} (`{finding.id}`)", "", escape(finding.why), ""]
    lines += [
        f"- `{_in_code(item.subject)}`" + (f": {escape(item.message)}" if item.message else "")
        for item in finding.details[:MOST_DETAILS]
    ]
    if len(finding.details) > MOST_DETAILS:
        lines.append("- " + say(language, "also", count=len(finding.details) - MOST_DETAILS))
    lines += [
        f"- {say(language, 'because')} `{item.fact}` = `{_in_code(_value(item.value))}`" for item in finding.evidence
    ]
    folded = [item.id for item in report.findings if item.explained_by == finding.id]
    if folded:
        lines.append("- " + say(language, "follows", ids=", ".join(f"`{id}`" for id in folded)))
    for number, fix in enumerate(finding.fixes, 1):
        lines += ["", f"{number}. {escape(fix.text)}"]
        settings = [*(set_variable(shell, *item) for item in fix.launch.env.items()), *fix.launch.args]
        for line in (fix.command, " ".join(settings)):
            if line:
                lines += ["", _code(line, LANGUAGES.get(shell, "text"), indent="   ")]
    return "\n".join(lines)


def _value(value: object) -> str:
    return f"unknown: {value['unknown']}" if isinstance(value, dict) and "unknown" in value else str(value)


def _folded(summary: str, rows: Iterable[str]) -> str:
    return f"<details><summary>{summary}</summary>\n\n" + "\n".join(rows) + "\n\n</details>"


def _code(text: str, language: str, indent: str = "") -> str:
    """Fence a text with more back ticks than it holds."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return "\n".join(indent + line for line in (f"{fence}{language}", *text.splitlines(), fence))


def _in_code(text: str) -> str:
    return text.replace("`", "'").replace("\n", " ")


def escape(text: str) -> str:
    """Keep Markdown, HTML and mentions from happening inside a text that holds names of files and messages."""
    text = re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", text.replace("\r", " ").replace("\n", " "))
    return text.replace("@", "@\u200b")
