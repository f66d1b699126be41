"""Recorded machines give the findings and the plan that they must."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nnunet_doctor import catalogue
from nnunet_doctor.engine import diagnose
from nnunet_doctor.examination import read_facts
from nnunet_doctor.facts import CATALOGUE
from nnunet_doctor.plan import plan
from nnunet_doctor.report.record import build
from nnunet_doctor.settings import overlay, parse_options

FOLDER = Path(__file__).with_name("machines")
NAMES = sorted(path.name.removesuffix(".expected.json") for path in FOLDER.glob("*.expected.json"))
CHECKS = catalogue.load()


def test_every_recording_has_its_expectation() -> None:
    """No recording lies about untested, and those of the contract are there."""
    recorded = {path.stem for path in FOLDER.glob("*.json") if not path.name.endswith(".expected.json")}

    assert recorded == set(NAMES)
    assert len(NAMES) >= 8


@pytest.mark.parametrize("name", NAMES)
def test_recording_is_complete(name: str) -> None:
    """A recording holds every observed fact: a value, null where it does not apply, or unknown with the reason."""
    document = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))

    assert set(document["facts"]) == {name for name, info in CATALOGUE.items() if not info.derived}


@pytest.mark.parametrize("name", NAMES)
def test_machine_gives_what_it_must(name: str) -> None:
    """Verdict, exit code, findings, undecided checks, plan and what still blocks are as expected."""
    expected = json.loads((FOLDER / f"{name}.expected.json").read_text(encoding="utf-8"))
    facts = read_facts(FOLDER / f"{name}.json", {})
    diagnosis, planned = diagnose(facts, CHECKS), plan(facts, CHECKS)
    report = build(facts, diagnosis, planned, (), "en", "error")
    got = {
        "why": expected["why"],
        "verdict": report.verdict,
        "exit_code": report.exit_code("error"),
        "findings": [finding.id for finding in report.findings],
        "unknown": [item.id for item in report.unknown],
        "plan": {"env": report.plan.env, "args": report.plan.args},
        "blocked_by": report.plan.blocked_by,
    }

    assert got == expected


@pytest.mark.parametrize("name", NAMES)
def test_plan_of_machine_is_proven(name: str) -> None:
    """The settings laid over the facts leave exactly what the plan says is left."""
    facts = read_facts(FOLDER / f"{name}.json", {})
    planned = plan(facts, CHECKS)
    again = diagnose(overlay(facts, {**planned.env, **parse_options(planned.args)}), CHECKS)

    assert again.blocking == planned.diagnosis.blocking
    assert planned.is_safe is (not again.blocking)


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", NAMES)
def test_report_of_machine_has_no_holes(name: str, language: str) -> None:
    """Every title and reason is filled: what fires knows the facts that its words mention."""
    facts = read_facts(FOLDER / f"{name}.json", {})
    report = build(facts, diagnose(facts, CHECKS), plan(facts, CHECKS), (), language, "error")
    texts = [text for finding in report.findings for text in (finding.title, finding.why)]

    assert [text for text in texts if "{" in text or "(?" in text or " ? " in text] == []
