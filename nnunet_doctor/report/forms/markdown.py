"""Markdown that fits an issue: verdict, findings with evidence and fixes, the plan, what is undecided."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nnunet_doctor.report.forms.manner import (
    MARKS,
    Manner,
    about_dataset,
    commands_of,
    consequences,
    counts,
    cut,
    evidence_of,
    one_line,
    settings_of,
    text_of,
    verdict_of,
    waived_because,
)
from nnunet_doctor.report.letters import visible
from nnunet_doctor.report.record import FindingRecord, Report
from nnunet_doctor.report.text import about, value_of
from nnunet_doctor.words import JOINTS, say

MOST_CHARACTERS = 60_000
"""GitHub takes no issue and no comment of more than 65,536; a person may want to write a few words above."""
MOST_DETAILS = 20
MOST_LETTERS = 300
MOST_ROWS = 40
LANGUAGES = {"posix": "sh", "powershell": "powershell", "cmd": "bat"}


def render(report: Report, manner: Manner) -> str:
    """Return the report as Markdown (GitHub's flavour)."""
    language = manner.language
    known = [f"**{escape(counts(report, language))}**", escape(about_dataset(report, language))]
    head = [
        f"## nnunet-doctor {report.doctor}{JOINTS[language].place}{say(language, verdict_of(report))}",
        escape(about(report, language)),
        *filter(None, known),
    ]
    tail = [*_plan(report, language), *_undecided(report, language), *_waived(report, language)]
    room = MOST_CHARACTERS - sum(len(block) + 2 for block in (*head, *tail))
    findings: list[str] = []
    for finding in report.findings:
        if finding.explained_by is None:
            block = _finding(finding, report, manner)
            room -= len(block) + 2
            if room < len(say(language, "markdown_cut")) + 2:
                findings.append(say(language, "markdown_cut"))
                break
            findings.append(block)
    return "\n\n".join([*head, *findings, *tail]) + "\n"


def _finding(finding: FindingRecord, report: Report, manner: Manner) -> str:
    language = manner.language
    blocks = [f"### {MARKS[finding.severity]}: {escape(finding.title)} ({span(finding.id)})", escape(finding.why)]
    rows = [
        f"- {span(item.subject)}" + (f" {escape(item.message)}" if item.message else "")
        for item in finding.details[:MOST_DETAILS]
    ]
    if len(finding.details) > MOST_DETAILS:
        rows.append("- " + say(language, "also", count=len(finding.details) - MOST_DETAILS))
    rows += [
        f"- {say(language, 'because')} {span(item.fact)} = {span(value_of(item.value, language))}"
        for item in evidence_of(finding)[:MOST_DETAILS]
    ]
    folded = consequences(report, finding.id)
    if folded:
        rows.append("- " + say(language, "follows", ids=", ".join(span(item.id) for item in folded)))
    if rows:
        blocks.append("\n".join(rows))
    for number, fix in enumerate(finding.fixes, 1):
        blocks.append(f"{number}. {escape(text_of(fix, finding, language))}")
        # as much indented as the text of the number above, or it would end the list
        indent = " " * len(f"{number}. ")
        commands = commands_of(fix, manner.shell)
        blocks += [fenced("\n".join(commands), LANGUAGES.get(manner.shell, "text"), indent)] if commands else []
    return "\n\n".join(blocks)


def _plan(report: Report, language: str) -> list[str]:
    blocks: list[str] = []
    settings = settings_of(report)
    if settings:
        key = "run_settings" if report.plan.blocked_by else "plan_head"
        reasons = [
            f"- {span(f'{item.setting} {item.value}')} {say(language, 'plan_reason', id=span(item.because))}"
            for item in report.plan.reasons
        ]
        blocks += [escape(say(language, key)), fenced(" ".join(settings), "text"), "\n".join(reasons)]
    if report.plan.blocked_by:
        blocks.append(say(language, "plan_blocked", ids=", ".join(map(span, report.plan.blocked_by))))
    return [block for block in blocks if block]


def _undecided(report: Report, language: str) -> list[str]:
    if not report.unknown:
        return []
    rows = [f"- {span(item.id)} {escape(item.because)}" for item in report.unknown]
    return _folded(say(language, "markdown_undecided", count=len(rows)), rows, language)


def _waived(report: Report, language: str) -> list[str]:
    rows = [
        f"- {escape(item.title)} ({span(item.id)}): {escape(waived_because(item, language))}" for item in report.waived
    ]
    if report.known:
        rows.append("- " + escape(say(language, "waived_known", ids=", ".join(report.known))))
    key = "html_waived" if report.waived else "markdown_known"
    return _folded(say(language, key), rows, language) if rows else []


def _folded(title: str, rows: Sequence[str], language: str) -> list[str]:
    left = [f"- {say(language, 'also', count=len(rows) - MOST_ROWS)}"] if len(rows) > MOST_ROWS else []
    return [f"<details><summary>{title}</summary>", "\n".join([*rows[:MOST_ROWS], *left]), "</details>"]


def fenced(text: str, language: str, indent: str = "") -> str:
    """Fence a text with more back ticks than it holds."""
    fence = "`" * max(3, 1 + _longest_run(text))
    return "\n".join(indent + line for line in (f"{fence}{language}", *visible(text).splitlines(), fence))


def span(text: str) -> str:
    """Return a text as code within a line, fenced with more back ticks than it holds."""
    text = cut(one_line(text), MOST_LETTERS).strip() or '""'
    fence = "`" * (1 + _longest_run(text))
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


def escape(text: str) -> str:
    """Keep Markdown, HTML, formulas, mentions and links to issues from happening inside a text that holds names."""
    text = re.sub(r"([\\`*_{}\[\]<>|~])", r"\\\1", cut(one_line(text), 4 * MOST_LETTERS).replace("&", "&amp;"))
    # GitHub looks for these after the Markdown is done, where a backslash is gone
    text = re.sub(r"([@#])(?=\w)", "\\1\u200b", text)
    return re.sub(r"(?i)\b(GH)-(?=\d)", "\\1\u200b-", text).replace("$", "<span>$</span>")
