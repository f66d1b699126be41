"""The report for people: words as marks, evidence under every finding, commands whole so that they can be copied."""

from __future__ import annotations

import html
import io
import os
import re
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING

from nnunet_doctor.report.letters import visible, visible_name
from nnunet_doctor.report.record import DatasetRecord, FindingRecord, FixRecord, Report
from nnunet_doctor.shell import set_variable
from nnunet_doctor.words import JOINTS, bracketed, say, translated
from nnunet_doctor.words.lines import breaks

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

MARKS = {"error": ("FAIL", "bold red"), "warning": ("warn", "yellow"), "info": ("info", "cyan")}
INDENT = 6
LABELLED = INDENT + 7
MOST_DETAILS = 12
SVG_COLUMN = 12.2
"""Width of a letter in pictures of the terminal, as rich draws them."""
MOST_WAIVED = 3
PIPED_WIDTH = 100
"""Width where there is no terminal; commands are never broken anyway."""


def console_for(stream: IO[str], width: int | None = None, *, plain: bool = False) -> Console:
    """Return a console that follows NO_COLOR, FORCE_COLOR and what the stream is; a plain one is without both.

    NO_COLOR leaves no bold and no dim letters either, which rich would keep; an empty variable counts as unset.
    """
    from rich.console import Console

    class Frank(Console):
        def on_broken_pipe(self) -> None:
            """Leave the exit code to the command; rich would end the program with 1."""
            raise BrokenPipeError

    terminal, forced = stream.isatty(), os.environ.get("FORCE_COLOR", "")
    plain = plain or forced == "0" or bool(os.environ.get("NO_COLOR"))
    return Frank(
        file=stream,
        width=width or (None if terminal else PIPED_WIDTH),
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=None if terminal else False,
        force_terminal=terminal or forced not in ("", "0"),
        color_system=None if plain else "auto",
    )


def print_report(report: Report, console: Console, language: str, shell: str) -> None:
    """Print the whole report."""
    print_block(console, _title(report, language), indent=0, style="bold")
    if report.dataset is not None:
        _print_dataset(report.dataset, console, language)
    console.print()
    for finding in report.findings:
        if finding.explained_by is None:
            _print_finding(finding, report.findings, console, language, shell)
    _print_undecided(report, console, language)
    _print_waived(report, console, language)
    print_plan(report, console, language)
    _print_summary(report, console, language)


def _title(report: Report, language: str) -> str:
    known = about(report, language)
    return f"nnunet-doctor {report.doctor}" + (f"{JOINTS[language].place}{known}" if known else "")


def about(report: Report, language: str) -> str:
    """Return in one line what is known of the machine and the installation."""
    machine = report.machine
    torch = f"torch {machine.torch}" if machine.torch else say(language, "without_torch")
    nnunet = f"nnU-Net {machine.nnunet}" if machine.nnunet else say(language, "without_nnunet")
    parts = (machine.system, f"Python {machine.python}", torch, nnunet, machine.gpu)
    return JOINTS[language].parts.join(part for part in parts if not part.endswith("?"))


def _print_dataset(dataset: DatasetRecord, console: Console, language: str) -> None:
    """Name the dataset, and say what was not looked into."""
    values = {
        name: "?" if value is None else value
        for name, value in (
            ("name", dataset.name),
            ("cases", dataset.cases),
            ("channels", dataset.channels),
            ("labels", dataset.labels),
            ("files", dataset.files),
            ("reader", dataset.reader),
            ("model", dataset.model),
        )
    }
    line = say(language, "survey_input" if dataset.model else "survey_title", **values)
    print_block(console, line, indent=0, style="bold")
    if dataset.interrupted:
        print_block(console, say(language, "survey_interrupted"), indent=0, style="yellow")
    elif dataset.depth != "deep" and dataset.files:
        print_block(console, say(language, f"survey_{dataset.depth}"), indent=0, style="dim")


def _print_finding(
    finding: FindingRecord, findings: Iterable[FindingRecord], console: Console, language: str, shell: str
) -> None:
    mark, style = MARKS[finding.severity]
    _marked(console, mark, style, finding.title, tail=f"  [{finding.id}]")
    print_block(console, finding.why)
    for detail in finding.details[:MOST_DETAILS]:
        print_block(console, visible_name(f"{detail.subject}  {detail.message}".rstrip()), indent=INDENT + 2)
    if len(finding.details) > MOST_DETAILS:
        print_block(console, say(language, "also", count=len(finding.details) - MOST_DETAILS), indent=INDENT + 2)
    if finding.severity != "info" and not finding.details:
        known = [f"{item.fact} = {value_of(item.value, language)}" for item in finding.evidence]
        print_block(console, f"{say(language, 'because')} {', '.join(known)}", style="dim")
    # what only a trial shows, run has to try out as well
    tried = any(item.fact.startswith("trial.") for item in finding.evidence)
    for number, fix in enumerate(finding.fixes, 1):
        print_fix(fix, number if len(finding.fixes) > 1 else None, console, language, shell, tried=tried)
    swallowed = [other.id for other in findings if other.explained_by == finding.id]
    if swallowed:
        print_block(console, say(language, "follows", ids=", ".join(swallowed)), style="dim")
    console.print()


def print_fix(
    fix: FixRecord, number: int | None, console: Console, language: str, shell: str, *, tried: bool = False
) -> None:
    """Print a fix with its command, or the lines that set its variables."""
    head = f"{say(language, 'fix')} {number}" if number else say(language, "fix")
    launches = bool(fix.launch.env or fix.launch.args)
    key = "run_trusting_does_this" if fix.needs_trust else "run_deep_does_this" if tried else "run_does_this"
    text = say(language, key, text=fix.text) if launches else fix.text
    _labelled(console, head, text)
    lines = [set_variable(shell, name, value) for name, value in fix.launch.env.items() if "?" not in value]
    if fix.launch.args:
        lines.append("nnUNetv2_train ... " + " ".join(fix.launch.args))
    for line in [*lines, *([fix.command] if fix.command else [])]:
        print_command(console, line, indent=LABELLED)


def print_command(console: Console, line: str, indent: int = INDENT) -> None:
    """Print a command on one line, however long, so that it can be copied."""
    from rich.text import Text

    console.print(Text(" " * indent + visible(line), style="green"), soft_wrap=True)


def _print_undecided(report: Report, console: Console, language: str) -> None:
    by_reason: dict[str, list[str]] = {}
    for item in report.unknown:
        by_reason.setdefault(_reason(item.because, language), []).append(item.id)
    for reason, ids in by_reason.items():
        _marked(console, "?", "magenta", say(language, "undecided", count=len(ids), reason=reason))
        print_block(console, ", ".join(ids), style="dim")
    if by_reason:
        console.print()


def _print_waived(report: Report, console: Console, language: str) -> None:
    """List what is lived with, each with the reason, and name what a baseline has said already."""
    for item in report.waived:
        if item.waived is not None:
            key = "waived_until" if item.waived.until else "waived_reason"
            _marked(console, "--", "dim", item.title, tail=f"  [{item.id}]")
            print_block(console, say(language, key, reason=item.waived.reason, day=item.waived.until), style="dim")
            if item.subjects:
                shown = ", ".join(item.subjects[:MOST_WAIVED])
                rest = len(item.subjects) - MOST_WAIVED
                print_block(console, shown + (f" {say(language, 'also', count=rest)}" if rest > 0 else ""), style="dim")
    if report.known:
        print_block(console, say(language, "waived_known", ids=", ".join(report.known)), indent=0, style="dim")
    if report.waived or report.known:
        console.print()


def _reason(because: str, language: str) -> str:
    """Drop the names of facts, so that one reason for many checks is said once."""
    joints = JOINTS[language]
    name = rf"[a-z0-9_]+\.[a-z0-9_]+{re.escape(joints.place)}"
    reasons = re.split(rf"{re.escape(joints.sentences)}(?={name})", because)
    return joints.sentences.join(dict.fromkeys(re.sub(rf"^{name}", "", reason) for reason in reasons))


def print_plan(report: Report, console: Console, language: str) -> None:
    """Print the settings with their reasons, and what they leave unsolved."""
    if report.plan.reasons:
        if not report.plan.blocked_by:
            print_block(console, say(language, "plan_head"), indent=0, style="bold")
        else:
            print_block(console, say(language, "run_settings"), indent=0, style="bold")
        for item in report.plan.reasons:
            print_setting(console, item.setting, item.value, item.because, item.overrules, language)
        console.print()
    if report.plan.blocked_by:
        print_block(
            console, say(language, "plan_blocked", ids=", ".join(report.plan.blocked_by)), indent=0, style="bold"
        )
        if report.plan.withheld:
            print_block(console, say(language, "plan_withheld", ids=", ".join(report.plan.withheld)), indent=0)
        console.print()


def print_setting(
    console: Console, setting: str, value: str, because: str, overrules: str | None, language: str
) -> None:
    """Print one setting and who asked for it."""
    shown = f"{setting} {value}".rstrip() if setting.startswith("-") else f"{setting}={value}"
    key = "plan_reason" if overrules is None else "plan_overrules"
    print_block(console, f"{shown}   {say(language, key, id=because, value=overrules)}")


def _print_summary(report: Report, console: Console, language: str) -> None:
    shown: list[str] = [finding.severity for finding in report.findings if finding.explained_by is None]
    count = {severity: shown.count(severity) for severity in MARKS}
    key = "counts_ignored" if report.ignored else "counts"
    line = say(
        language,
        key,
        errors=count["error"],
        warnings=count["warning"],
        infos=count["info"],
        unknown=len(report.unknown),
        passed=len(report.passed),
        ignored=len(report.ignored),
    )
    style = {"ok": "bold green", "problems": "bold red", "undecided": "bold magenta"}[report.verdict]
    print_block(console, line, indent=0, style=style)
    if report.verdict == "ok" and (report.known or report.waived):
        key = "waived_nothing_new" if report.known else "waived_nothing_else"
        _marked(console, "ok", "bold green", say(language, key))
    elif not count["error"] and not count["warning"] and not report.unknown:
        _marked(console, "ok", "bold green", say(language, "all_well"))
    elif report.verdict == "ok":
        _marked(console, "ok", "bold green", say(language, "no_problem"))
    first = next((finding.id for finding in report.findings if finding.explained_by is None), None)
    if first is not None:
        print_block(console, say(language, "more", id=first), indent=0, style="dim")


def to_svg(report: Report, language: str, shell: str, width: int = 100) -> str:
    """Return the report as it looks in a terminal, as an SVG picture."""
    from rich.console import Console

    console = Console(
        file=io.StringIO(),
        width=width,
        record=True,
        force_terminal=True,
        highlight=False,
        markup=False,
        color_system="truecolor",
    )
    print_report(report, console, language, shell)
    # without the fonts that rich would have a browser load from the network
    svg = re.sub(r"@font-face \{.*?\}", "", console.export_svg(title="nnunet-doctor check"), flags=re.DOTALL)
    return re.sub(r'(textLength=")[\d.]+("[^>]*>)([^<]*)', _as_wide_as_it_is, svg)


def _as_wide_as_it_is(found: re.Match[str]) -> str:
    """Give a text the width of its columns; rich counts letters, which squeezes Chinese ones."""
    from rich.cells import cell_len

    return f"{found[1]}{SVG_COLUMN * cell_len(html.unescape(found[3])):.1f}{found[2]}{found[3]}"


def value_of(value: object, language: str) -> str:
    """Return the value of a fact, as a record holds it, as words."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "?" + bracketed(translated(language, str(value.get("unknown"))), language)
    if isinstance(value, list):
        return "[" + ", ".join(str(item) for item in value) + "]"
    return "none" if value is None else str(value)


def print_block(console: Console, text: str, indent: int = INDENT, style: str = "") -> None:
    """Print a text, wrapped to the width and indented."""
    from rich.text import Text

    print_hanging(console, Text(), Text(text, style=style), indent)


def _marked(console: Console, mark: str, style: str, text: str, tail: str = "") -> None:
    from rich.text import Text

    print_hanging(console, Text(mark, style=style), Text.assemble((text, "bold"), (tail, "dim")), INDENT)


def _labelled(console: Console, label: str, text: str) -> None:
    from rich.text import Text

    print_hanging(console, Text.assemble(" " * INDENT, (label, "bold")), Text(text), LABELLED)


def print_hanging(console: Console, head: Text, text: Text, indent: int) -> None:
    """Print a text wrapped below its first line, with a head in the margin and no blanks at the ends of lines."""
    from rich.cells import cell_len
    from rich.text import Text

    seen = visible(text.plain)
    text = text if seen == text.plain else Text(seen, style=text.style)
    for number, line in enumerate(text.divide(breaks(text.plain, max(20, console.width - indent)))):
        line.rstrip()
        margin = head.copy() if number == 0 else head[:0]
        margin.append(" " * (indent - cell_len(margin.plain)))
        console.print(margin.append_text(line), soft_wrap=True)
