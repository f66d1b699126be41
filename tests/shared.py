"""What many tests read and none changes: the catalogue, and the recorded machines with what follows from them."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import Any

from nnunet_doctor import catalogue
from nnunet_doctor.examination import Examination, conclude, read_facts
from nnunet_doctor.facts import Facts
from nnunet_doctor.facts.exchange import from_document, to_document
from nnunet_doctor.log.reading import Known
from nnunet_doctor.redact import redact, redactor_for


def tries(number: int) -> int:
    """Return how many random examples hypothesis tries: in CI all of them, and a third where somebody waits for it."""
    return number if os.environ.get("CI") else number // 3


CHECKS = catalogue.load(with_examples=True)
KNOWN = Known(CHECKS)
"""The checks as logs are searched for them."""

FOLDER = Path(__file__).with_name("machines")
MACHINES = sorted(path.name.removesuffix(".expected.json") for path in FOLDER.glob("*.expected.json"))
"""Names of the recorded machines."""


@functools.cache
def facts_of(machine: str) -> Facts:
    """Return the facts of a recorded machine, as `check --facts` reads them."""
    return read_facts(FOLDER / f"{machine}.json", {})


@functools.cache
def concluded(machine: str) -> Examination:
    """Return what checks say of a recorded machine, and what is planned for it."""
    return conclude(facts_of(machine), CHECKS)


@functools.cache
def redacted_of(machine: str) -> Facts:
    """Return the facts of a recorded machine after `facts --redact` has written them and `check --facts` reads them."""
    return redacted(facts_of(machine))


def redacted(facts: Facts) -> Facts:
    """Return facts as `facts --redact` writes them and `check --facts` reads them."""
    shared = redact(facts, redactor_for(facts))
    document: dict[str, Any] = json.loads(json.dumps(to_document(shared, "0")))
    return from_document(document)
