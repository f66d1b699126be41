"""SARIF 2.1.0 (OASIS), as GitHub's code scanning takes it.

GitHub refuses a whole file when one result has no physical location, and tells results of different runs apart by their
fingerprints ("SARIF support for code scanning" of its documentation).
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from nnunet_doctor.report.places import Places, as_uri, files_of
from nnunet_doctor.report.record import FindingRecord, Report

LEVELS = {"error": "error", "warning": "warning", "info": "note"}
PROBLEMS = {"error": "error", "warning": "warning", "info": "recommendation"}
"""GitHub's own words for the severity of what is no security alert."""
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
MOST_RESULTS = 5000
"""GitHub shows the first 5,000 results of a run and refuses a file of more than 25,000."""


def render(report: Report, language: str, shell: str, places: Places) -> str:  # noqa: ARG001
    """Return the report as SARIF, one result for each finding and file."""
    results = [result for finding in report.findings for result in _results(finding, places)]
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "nnunet-doctor",
                        "version": report.doctor,
                        "semanticVersion": report.doctor,
                        "rules": [_rule(finding) for finding in report.findings],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "originalUriBaseIds": {"ROOT": {"description": {"text": "The root of the repository."}}},
                "invocations": [
                    {
                        "executionSuccessful": True,
                        "toolExecutionNotifications": [
                            {
                                "level": "note",
                                "message": {"text": f"{item.id} is not decided: {item.because}"},
                                "descriptor": {"id": item.id},
                            }
                            for item in report.unknown
                        ],
                    }
                ],
                "results": results[:MOST_RESULTS],
            }
        ],
    }
    return json.dumps(log, indent=2, ensure_ascii=True) + "\n"


def _rule(finding: FindingRecord) -> dict[str, Any]:
    fixes = "\n".join(f"- {fix.text}" + (f" `{fix.command}`" if fix.command else "") for fix in finding.fixes)
    return {
        "id": finding.id,
        "name": "".join(word.capitalize() for word in finding.id.split("-")),
        "shortDescription": {"text": finding.title},
        "fullDescription": {"text": finding.why},
        "help": {"text": fixes or finding.why, "markdown": fixes or finding.why},
        "defaultConfiguration": {"level": LEVELS[finding.severity]},
        "properties": {"tags": ["nnU-Net", finding.area], "problem.severity": PROBLEMS[finding.severity]},
    }


def _results(finding: FindingRecord, places: Places) -> list[dict[str, Any]]:
    messages: dict[str, list[str]] = {}
    for detail in finding.details:
        messages.setdefault(detail.subject, []).append(detail.message)
    files = files_of(finding, places)
    subjects = list(dict.fromkeys(finding.subjects)) if len(files) > 1 or files != [places.machine] else [""]
    found = []
    for file, subject in zip(files, subjects, strict=False):
        said = "; ".join(filter(None, messages.get(subject, ())))
        text = f"{finding.title}: {said}" if said else finding.title
        found.append(
            {
                "ruleId": finding.id,
                "level": LEVELS[finding.severity],
                "message": {"text": f"{text}. {finding.why}"},
                "locations": [
                    {
                        "physicalLocation": {
                            "artifactLocation": _artifact(file),
                            "region": {"startLine": 1},
                        }
                    }
                ],
                "partialFingerprints": {"nnunetDoctor/v1": _fingerprint(finding.id, file)},
            }
        )
    return found


def _artifact(file: str) -> dict[str, str]:
    uri = as_uri(file)
    return {"uri": uri} if uri.startswith("file:") else {"uri": uri, "uriBaseId": "ROOT"}


def _fingerprint(id: str, file: str) -> str:
    """The same problem of the same file is the same result, whatever is said of it and in whichever language."""
    return hashlib.sha256(f"{id}\0{file}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
