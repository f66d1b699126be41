"""Commands of GitHub's workflows: an annotation for each finding, at its file.

GitHub shows ten errors, ten warnings and ten notices of a step ("Workflow commands" of its documentation); what comes
after is only in the log, so the worst comes first and a finding with many files has a few of them annotated.
"""

from __future__ import annotations

from nnunet_doctor.report.places import Places, files_of
from nnunet_doctor.report.record import FindingRecord, Report
from nnunet_doctor.words import say

COMMANDS = {"error": "error", "warning": "warning", "info": "notice"}
MOST_FILES = 3


def render(report: Report, language: str, shell: str, places: Places) -> str:  # noqa: ARG001
    """Return one line for each annotation; findings that are consequences of others are left out."""
    lines = [
        line
        for finding in report.findings
        if finding.explained_by is None
        for line in _annotations(finding, language, places)
    ]
    return "".join(f"{line}\n" for line in lines)


def _annotations(finding: FindingRecord, language: str, places: Places) -> list[str]:
    files = files_of(finding, places)
    messages = {item.subject: item.message for item in finding.details}
    advice = finding.fixes[0] if finding.fixes else None
    parts = [finding.why, *([advice.text] if advice else []), *([advice.command] if advice and advice.command else [])]
    if len(files) > MOST_FILES:
        parts.insert(0, say(language, "also", count=len(files) - MOST_FILES))
    rest = "\n".join(parts)
    found = []
    for number, file in enumerate(files[:MOST_FILES]):
        said = messages.get(finding.subjects[number], "") if len(files) > 1 or file != places.machine else ""
        text = f"{said}\n{rest}" if said else rest
        properties = f"file={_property(file)},line=1,title={_property(f'{finding.id}: {finding.title}')}"
        found.append(f"::{COMMANDS[finding.severity]} {properties}::{_data(text)}")
    return found


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
