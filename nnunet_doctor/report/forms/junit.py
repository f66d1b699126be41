"""JUnit XML: one test case for each check, failed, passed, or skipped where it could not be decided."""

from __future__ import annotations

import re

from nnunet_doctor.report.places import Places
from nnunet_doctor.report.record import FindingRecord, Report


def render(report: Report, language: str, shell: str, places: Places) -> str:  # noqa: ARG001
    """Return the report as JUnit XML. Infos are no failures: their words go to the output of the case."""
    from junitparser import Failure, JUnitXml, Skipped, TestCase, TestSuite

    suite = TestSuite("nnunet-doctor")
    suite.add_property("doctor", report.doctor)
    for finding in report.findings:
        case = TestCase(finding.id, f"nnunet-doctor.{finding.area}")
        if finding.severity == "info":
            case.system_out = _printable(_words(finding))
        else:
            failure = Failure(_printable(finding.title), finding.severity)
            failure.text = _printable(_words(finding))
            case.result = [failure]
        suite.add_testcase(case)
    for item in report.unknown:
        case = TestCase(item.id, "nnunet-doctor")
        case.result = [Skipped(_printable(item.because))]
        suite.add_testcase(case)
    for id in report.passed:
        suite.add_testcase(TestCase(id, "nnunet-doctor"))
    xml = JUnitXml("nnunet-doctor")
    xml.add_testsuite(suite)
    text: bytes = xml.tostring()  # type: ignore[no-untyped-call]
    return text.decode("utf-8")


def _words(finding: FindingRecord) -> str:
    lines = [finding.title, finding.why]
    lines += [f"  {item.subject}: {item.message}".rstrip(": ") for item in finding.details]
    lines += [f"  {item.fact} = {item.value!r}  ({item.source})" for item in finding.evidence]
    for number, fix in enumerate(finding.fixes, 1):
        lines.append(f"{number}. {fix.text}")
        lines += [f"   {fix.command}"] if fix.command else []
    return "\n".join(lines)


def _printable(text: str) -> str:
    """XML has no place for control characters and lone surrogates, which names of files may hold."""
    return _UNPRINTABLE.sub("?", text)


_UNPRINTABLE = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What is no character of XML 1.0 (section 2.2)."""
