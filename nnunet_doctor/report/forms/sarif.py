"""SARIF 2.1.0 (OASIS), as GitHub's code scanning takes it.

GitHub refuses a whole file when one result has no physical location, and tells results of different runs apart by one
of their fingerprints, primaryLocationLineHash ("SARIF support for code scanning" of its documentation).
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from nnunet_doctor.report.forms.manner import Manner, commands_of, cut, text_of, told, waived_because
from nnunet_doctor.report.letters import visible
from nnunet_doctor.report.places import Place, as_uri, located
from nnunet_doctor.report.record import FindingRecord, Report
from nnunet_doctor.words import say

LEVELS = {"error": "error", "warning": "warning", "info": "note"}
PROBLEMS = {"error": "error", "warning": "warning", "info": "recommendation"}
"""GitHub's own words for the severity of what is no security alert."""
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
ROOT = "%SRCROOT%"
MOST_RESULTS = 5000
"""GitHub shows that many results of a run, and refuses a file of more than 25,000."""
MOST_LETTERS = 1024
"""GitHub takes no longer descriptions of a rule."""


def render(report: Report, manner: Manner) -> str:
    """Return the report as SARIF, one result for each finding and file."""
    interrupted = report.dataset is not None and report.dataset.interrupted
    about = manner.places.of_dataset or "machine"
    run = {
        "tool": {
            "driver": {
                "name": "nnunet-doctor",
                "version": report.doctor,
                "rules": [_rule(finding, manner) for finding in report.findings],
            }
        },
        # a category for each dataset: else the analysis of one replaces that of another
        "automationDetails": {"id": f"nnunet-doctor/{visible(about)}/"},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {ROOT: {"description": {"text": say(manner.language, "sarif_root")}}},
        "invocations": [
            {
                "executionSuccessful": not interrupted,
                "toolExecutionNotifications": [
                    {
                        "level": "note",
                        "message": {"text": visible(_undecided(item.id, item.because, manner.language))},
                        "descriptor": {"id": item.id},
                    }
                    for item in report.unknown
                ]
                # GitHub takes no notice of suppressions, and would raise an alert for each
                + [
                    {
                        "level": "note",
                        "message": {"text": visible(f"{item.title}; {waived_because(item, manner.language)}")},
                        "descriptor": {"id": item.id},
                    }
                    for item in report.waived
                ],
            }
        ],
        "results": _results(report, manner),
    }
    # without indents: nobody reads it, and thousands of results would take a second
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, ensure_ascii=True) + "\n"


def _undecided(id: str, because: str, language: str) -> str:
    return say(language, "markdown_not_decided", id=id, because=because)


def _rule(finding: FindingRecord, manner: Manner) -> dict[str, Any]:
    words, marked = [finding.why], [visible(finding.why)]
    for fix in finding.fixes:
        text, commands = text_of(fix, finding, manner.language), commands_of(fix, manner.shell)
        words += [text, *commands]
        marked += [visible(text), *(f"```\n{visible(command)}\n```" for command in commands)]
    return {
        "id": finding.id,
        "name": "".join(word.capitalize() for word in finding.id.split("-")),
        "shortDescription": {"text": cut(visible(finding.title), MOST_LETTERS)},
        "fullDescription": {"text": cut(visible(finding.why), MOST_LETTERS)},
        "help": {"text": visible("\n".join(words)), "markdown": "\n\n".join(marked)},
        "defaultConfiguration": {"level": LEVELS[finding.severity]},
        "properties": {"tags": ["nnU-Net", finding.area], "problem.severity": PROBLEMS[finding.severity]},
    }


def _results(report: Report, manner: Manner) -> list[dict[str, Any]]:
    """Return the results in the order of findings; of too many, those that leave each finding a share."""
    ranked = [
        (rank, number, place)
        for number, finding in enumerate(report.findings)
        for rank, place in enumerate(located(finding, manner.places))
    ]
    chosen = sorted(sorted(ranked)[:MOST_RESULTS], key=lambda item: (item[1], item[0]))
    return [_result(report.findings[number], number, place, manner) for _, number, place in chosen]


def _result(finding: FindingRecord, number: int, place: Place, manner: Manner) -> dict[str, Any]:
    said = "; ".join(told(place.messages, manner.language))
    key = "markdown_said" if said else "markdown_why"
    text = say(manner.language, key, title=finding.title, said=said, why=finding.why)
    return {
        "ruleId": finding.id,
        "ruleIndex": number,
        "level": LEVELS[finding.severity],
        "message": {"text": visible(text)},
        "locations": [{"physicalLocation": {"artifactLocation": _artifact(place.file), "region": _region(place)}}],
        "partialFingerprints": {"primaryLocationLineHash": _fingerprint(finding.id, place)},
    }


def _region(place: Place) -> dict[str, int]:
    """GitHub asks for all four, also where a file has no lines; this is the place before the first character."""
    line = place.line or 1
    return {"startLine": line, "startColumn": 1, "endLine": line, "endColumn": 1}


def _artifact(file: str) -> dict[str, str]:
    uri = as_uri(file)
    return {"uri": uri} if uri.startswith("file:") else {"uri": uri, "uriBaseId": ROOT}


def _fingerprint(id: str, place: Place) -> str:
    """The same problem of the same file is the same result, whatever is said of it and wherever the dataset lies."""
    return hashlib.sha256(f"{id}\0{place.key}".encode("utf-8", "surrogatepass")).hexdigest()[:32]
