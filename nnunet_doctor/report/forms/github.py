"""Commands of GitHub's workflows: an annotation for each finding, at its file.

GitHub shows ten errors, ten warnings and ten notices of a step ("Workflow commands" of its documentation), so the worst
come first, each finding has one before any has two, and what is left is told in the log. The log shows of a command its
message alone, without title and file (IssueCommandExtension and ExecutionContext.AddIssue of actions/runner), so the
title of each finding stands there in plain words, and the message begins with the file.
"""

from __future__ import annotations

from nnunet_doctor.report.forms.manner import (
    MARKS,
    Manner,
    about_dataset,
    commands_of,
    counts,
    one_line,
    text_of,
    told,
    verdict_of,
    waived_because,
)
from nnunet_doctor.report.letters import visible
from nnunet_doctor.report.places import Place, located
from nnunet_doctor.report.record import FindingRecord, Report
from nnunet_doctor.words import JOINTS, say

COMMANDS = {"error": "error", "warning": "warning", "info": "notice"}
MOST_FILES = 3
MOST_OF_A_KIND = 10


def render(report: Report, manner: Manner) -> str:
    """Return a line for each finding, followed by its annotations; consequences of others are left out."""
    findings = [finding for finding in report.findings if finding.explained_by is None]
    lines = [_head(report, manner)]
    if report.verdict == "undecided":
        lines.append(_undecided(report, manner))
    for severity, command in COMMANDS.items():
        of_kind = [(item, located(item, manner.places)) for item in findings if item.severity == severity]
        room = MOST_OF_A_KIND - (command == "error" and report.verdict == "undecided")
        chosen = sorted(
            (rank, number) for number, (_, places) in enumerate(of_kind) for rank in range(min(len(places), MOST_FILES))
        )[:room]
        for number, (finding, places) in enumerate(of_kind):
            lines.append(_plain(finding, MARKS[severity]))
            shown = [places[rank] for rank, other in chosen if other == number]
            left = [0] * (len(shown) - 1) + [len(places) - len(shown)]  # said once, with the last
            lines += [_annotation(finding, *item, manner) for item in zip(shown, left, strict=False)]
    lines += [f"{_plain(item, '--')}  {one_line(waived_because(item, manner.language))}" for item in report.waived]
    if report.known:
        lines.append(f"--  {say(manner.language, 'waived_known', ids=', '.join(report.known))}")
    lines.append(counts(report, manner.language))
    # the runner takes ##[...] for a command too, wherever it stands
    return "".join(f"{line}\n" for line in lines).replace("##[", "## [")


def _head(report: Report, manner: Manner) -> str:
    joints = JOINTS[manner.language]
    said = [say(manner.language, verdict_of(report)), one_line(about_dataset(report, manner.language))]
    return f"nnunet-doctor {report.doctor}{joints.place}{joints.sentences.join(filter(None, said))}"


def _annotation(finding: FindingRecord, place: Place, left: int, manner: Manner) -> str:
    parts = told(place.messages, manner.language)
    if place.line is not None or place.file != manner.places.machine:
        where = place.file if place.line is None else f"{place.file}:{place.line}"
        parts[:1] = [JOINTS[manner.language].place.join([where, *parts[:1]])]
    parts += [say(manner.language, "also", count=left)] if left else []
    parts.append(finding.why)
    if finding.fixes:
        parts += [text_of(finding.fixes[0], finding, manner.language), *commands_of(finding.fixes[0], manner.shell)]
    title = f"{finding.id}: {finding.title}"
    return _command(COMMANDS[finding.severity], place.file, title, "\n".join(parts), place.line)


def _undecided(report: Report, manner: Manner) -> str:
    """Without this a step would fail and say nothing of why."""
    ids: dict[str, list[str]] = {}
    for item in report.unknown:
        ids.setdefault(item.because, []).append(item.id)
    groups = [
        f"{say(manner.language, 'undecided', count=len(said), reason=because)}\n{', '.join(said)}"
        for because, said in ids.items()
    ]
    text = "\n".join(told(groups, manner.language))
    title = say(manner.language, "markdown_undecided", count=len(report.unknown))
    return _command("error", manner.places.machine, title, text)


def _plain(finding: FindingRecord, mark: str) -> str:
    return f"{mark}  {one_line(finding.title)}  [{finding.id}]"


def _command(command: str, file: str, title: str, text: str, line: int | None = None) -> str:
    return f"::{command} file={_property(file)},line={line or 1},title={_property(title)}::{_data(visible(text))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(visible(text)).replace(":", "%3A").replace(",", "%2C")
