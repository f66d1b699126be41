"""A baseline: the report of an earlier check, so that only what is new since then counts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from nnunet_doctor.engine import Diagnosis, Finding
from nnunet_doctor.errors import UserError
from nnunet_doctor.facts import Facts

MOST_BYTES = 256 * 1024**2
"""A report about ten thousand damaged files has some 10 MB."""

_HOW = "write it with 'nnunet-doctor check --report FILE.json'"


class Baseline(NamedTuple):
    """What an earlier report said.

    Attributes:
        subjects: The files, cases or folders of each finding, by id; none for a finding without any.
        undecided: Ids of checks that could not be decided.
        dataset: Name of the raw dataset that was looked at; None without one.
    """

    subjects: Mapping[str, frozenset[str]]
    undecided: frozenset[str]
    dataset: str | None = None


def read_baseline(path: Path) -> Baseline:
    """Read a report that ``check --format json`` or ``--report FILE.json`` has written.

    Raises:
        UserError: The file cannot be read, or is not such a report.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
        document: Any = json.loads(content.decode("utf-8-sig")) if len(content) <= MOST_BYTES else None
    except OSError as error:
        raise UserError(f"--baseline {path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise UserError(f"--baseline {path} is not JSON; {_HOW}") from None
    try:
        if document.get("known"):
            raise UserError(
                f"--baseline {path} was written with --baseline itself and holds only what was new then; "
                "write it without"
            )
        return _baseline(document)
    except (TypeError, KeyError, AttributeError):
        raise UserError(f"--baseline {path} is not a report; {_HOW}") from None


def _baseline(document: Any) -> Baseline:
    if document["schema_version"] != 1:
        raise KeyError("schema_version")
    return Baseline(
        {str(item["id"]): frozenset(map(str, item["subjects"])) for item in document["findings"]},
        frozenset(str(item["id"]) for item in document["unknown"]),
        str(dataset["name"]) if (dataset := document.get("dataset")) else None,
    )


def without_known(diagnosis: Diagnosis, facts: Facts, baseline: Baseline) -> tuple[Diagnosis, list[str]]:
    """Leave out what an earlier report said already, by id and subject.

    Returns:
        What is new, and the ids of which something was left out.

    Raises:
        UserError: The report is about another dataset, whose files have the same names.
    """
    name = facts["dataset.name"]
    if isinstance(name, str) and baseline.dataset not in (None, name):
        raise UserError(f"--baseline is about {baseline.dataset}, and this check about {name}; each has its own")
    left: list[Finding] = []
    known: list[str] = []
    for finding in diagnosis.findings:
        before = baseline.subjects.get(finding.check.id)
        details = tuple(item for item in finding.details if before is None or item.subject not in before)
        if before is None or details:
            left.append(finding._replace(details=details))
        if before is not None and len(details) < max(1, len(finding.details)):
            known.append(finding.check.id)
    shown = {finding.check.id for finding in left}
    # the cause may be an old one, which is not shown
    left = [item if item.explained_by in shown else item._replace(explained_by=None) for item in left]
    undecided = tuple(item for item in diagnosis.undecided if item.check.id not in baseline.undecided)
    known += [item.check.id for item in diagnosis.undecided if item.check.id in baseline.undecided]
    return Diagnosis(tuple(left), undecided, diagnosis.passed, diagnosis.waived), known
