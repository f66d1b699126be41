"""JUnit XML: one test case for each check, failed, passed, or skipped where it could not be decided."""

from __future__ import annotations

from nnunet_doctor.check import SEVERITIES
from nnunet_doctor.report.forms.manner import (
    Manner,
    commands_of,
    evidence_of,
    one_line,
    text_of,
    waived_because,
)
from nnunet_doctor.report.letters import visible
from nnunet_doctor.report.record import FindingRecord, Report
from nnunet_doctor.report.text import value_of
from nnunet_doctor.words import bracketed, say, translated

SUITE = "nnunet-doctor"


def render(report: Report, manner: Manner) -> str:
    """Return the report as JUnit XML, in ASCII so that it is right in every code page.

    Findings below the level that counts are no failures, as they are none for the exit code: their words go to the
    output of the case. All cases of a dataset are of one class, so that the history of a check goes on when it changes
    its mind, and that the cases of another dataset are others: GitLab drops the second of two of one class and name.
    """
    from junitparser import JUnitXml, Skipped, TestCase, TestSuite

    about = manner.places.of_dataset
    kind = SUITE if about is None else f"{SUITE}/{one_line(about)}"
    suite = TestSuite(kind)
    suite.add_property("doctor", report.doctor)
    suite.add_property("verdict", report.verdict)
    cases = [_case(finding, kind, manner) for finding in report.findings]
    for id, reason in _skipped(report, manner.language).items():
        case = TestCase(id, kind)
        case.result = [Skipped(visible(reason))]
        cases.append(case)
    suite.add_testcases([*cases, *(TestCase(id, kind) for id in report.passed)])
    xml = JUnitXml(SUITE)
    xml.add_testsuite(suite)
    xml.update_statistics()  # type: ignore[no-untyped-call]
    text: bytes = xml.tostring()  # type: ignore[no-untyped-call]
    body = text.decode("utf-8").partition("?>")[2] if text.startswith(b"<?xml") else text.decode("utf-8")
    ascii_only = body.strip().encode("ascii", "xmlcharrefreplace").decode("ascii")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ascii_only}\n'


def _skipped(report: Report, language: str) -> dict[str, str]:
    """Return why checks were not decided or do not count; one of which a part counts is a finding and no other case."""
    reasons = {id: say(language, "waived_known", ids=id) for id in report.known}
    reasons |= {item.id: waived_because(item, language) for item in report.waived}
    reasons |= {item.id: item.because for item in report.unknown}
    found = {finding.id for finding in report.findings}
    return {id: reason for id, reason in reasons.items() if id not in found}


def _case(finding: FindingRecord, kind: str, manner: Manner):  # type: ignore[no-untyped-def]  # noqa: ANN202 - loaded where it is needed
    from junitparser import Failure, TestCase

    case = TestCase(finding.id, kind)
    words = visible(_words(finding, manner))
    level = "error" if manner.fail_on == "never" else manner.fail_on
    if SEVERITIES.index(finding.severity) <= SEVERITIES.index(level):
        failure = Failure(visible(finding.title), finding.severity)
        failure.text = words
        case.result = [failure]
    else:
        case.system_out = words
    return case


def _words(finding: FindingRecord, manner: Manner) -> str:
    language = manner.language
    lines = [finding.title, finding.why]
    lines += [f"  {item.subject}: {item.message}".removesuffix(": ") for item in finding.details]
    lines += [
        f"  {item.fact} = {value_of(item.value, language)} {bracketed(translated(language, item.source), language)}"
        for item in evidence_of(finding)
    ]
    for number, fix in enumerate(finding.fixes, 1):
        lines.append(f"{number}. {text_of(fix, finding, language)}")
        lines += [f"   {command}" for command in commands_of(fix, manner.shell)]
    if finding.explained_by is not None:
        lines.append(say(language, "markdown_follows_from", id=finding.explained_by))
    return "\n".join(lines)
