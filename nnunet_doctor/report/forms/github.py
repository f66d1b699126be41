"""Commands of GitHub's workflows: an annotation for each finding, at its file.

GitHub shows ten errors, ten warnings and ten notices of a step ("Workflow commands" of its documentation), so the worst
come first, each finding has one before any has two, and what is left is told in the log in plain words.
"""

from __future__ import annotations

from nnunet_doctor.report.forms.manner import MARKS, Manner, commands_of, one_line, text_of, visible, waived_because
from nnunet_doctor.report.places import Place, located
from nnunet_doctor.report.record import FindingRecord, Report
from nnunet_doctor.words import say

COMMANDS = {"error": "error", "warning": "warning", "info": "notice"}
MOST_FILES = 3
MOST_OF_A_KIND = 10


def render(report: Report, manner: Manner) -> str:
    """Return one line for each annotation; findings that are consequences of others are left out."""
    findings = [finding for finding in report.findings if finding.explained_by is None]
    lines: list[str] = []
    for severity, command in COMMANDS.items():
        of_kind = [(item, located(item, manner.places)) for item in findings if item.severity == severity]
        room = MOST_OF_A_KIND - (command == "error" and report.verdict == "undecided")
        chosen = sorted(
            (rank, number) for number, (_, places) in enumerate(of_kind) for rank in range(min(len(places), MOST_FILES))
        )[:room]
        for rank, number in sorted(chosen, key=lambda item: item[::-1]):
            finding, places = of_kind[number]
            shown = sum(number == other for _, other in chosen)
            lines.append(_annotation(finding, places[rank], len(places) - shown, manner))
        left = [item for number, (item, _) in enumerate(of_kind) if (0, number) not in chosen]
        lines += [_plain(finding, MARKS[severity]) for finding in left]
    lines += [f"{_plain(item, '--')}  {one_line(waived_because(item, manner.language))}" for item in report.waived]
    if report.verdict == "undecided":
        lines.insert(0, _undecided(report, manner))
    # the runner takes ##[...] for a command too, wherever it stands
    return "".join(f"{line}\n" for line in lines).replace("##[", "## [")


def _annotation(finding: FindingRecord, place: Place, left: int, manner: Manner) -> str:
    parts = [*place.messages]
    parts += [say(manner.language, "also", count=left)] if left else []
    parts.append(finding.why)
    if finding.fixes:
        parts += [text_of(finding.fixes[0], finding, manner.language), *commands_of(finding.fixes[0], manner.shell)]
    return _command(COMMANDS[finding.severity], place.file, f"{finding.id}: {finding.title}", "\n".join(parts))


def _undecided(report: Report, manner: Manner) -> str:
    """Without this a step would fail and say nothing of why."""
    text = "\n".join(
        say(manner.language, "markdown_not_decided", id=item.id, because=item.because) for item in report.unknown
    )
    title = say(manner.language, "markdown_undecided", count=len(report.unknown))
    return _command("error", manner.places.machine, title, text)


def _plain(finding: FindingRecord, mark: str) -> str:
    return f"{mark}  {one_line(finding.title)}  [{finding.id}]"


def _command(command: str, file: str, title: str, text: str) -> str:
    return f"::{command} file={_property(file)},line=1,title={_property(title)}::{_data(visible(text))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(visible(text)).replace(":", "%3A").replace(",", "%2C")
