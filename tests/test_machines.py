"""Recorded machines give the findings and the plan that they must."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nnunet_doctor import catalogue
from nnunet_doctor.engine import diagnose
from nnunet_doctor.examination import read_facts
from nnunet_doctor.facts import CATALOGUE
from nnunet_doctor.facts.derive import derive
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


@pytest.mark.parametrize(
    ("changes", "alarm"),
    [
        ({}, True),
        ({"platform.os": "linux", "triton.cpp_compiler": "/usr/bin/g++"}, False),
        ({"platform.os": "macos", "triton.cpp_compiler": "/usr/bin/clang++"}, False),
        ({"nnunet.version": "2.5.1"}, False),
        ({"nnunet.version": "2.8.1"}, False),
        ({"nnunet.version": "9.9.9"}, False),
        ({"nnunet.version": "2.3.1"}, False),
        ({"nnunet.version": "2.3.1", "nnunet.compile_variable": "true"}, True),
        ({"nnunet.compile_variable": "false"}, False),
    ],
)
def test_the_story_and_its_neighbours(changes: dict[str, str], alarm: bool) -> None:
    """`nnUNetv2_train 10 2d 3 -device cpu` with nnU-Net 2.4.2 on Windows alarms; elsewhere, and with others, it does not."""
    facts = derive(read_facts(FOLDER / "windows-cpu-nnunet242.json", {}).with_values(changes))
    found = diagnose(facts, CHECKS)

    assert ("compile-on-windows" in found.ids) is alarm
    assert plan(facts, CHECKS).env.get("nnUNet_compile") == ("false" if alarm else None)


def test_fixes_of_the_story_come_in_the_order_of_effort() -> None:
    """First the setting that `run` takes by itself, then the upgrade, WSL2 with how to get it, and a Linux machine with a GPU."""
    facts = read_facts(FOLDER / "windows-cpu-nnunet242.json", {})
    report = build(facts, diagnose(facts, CHECKS), plan(facts, CHECKS), (), "en", "error")
    fixes = next(finding.fixes for finding in report.findings if finding.id == "compile-on-windows")

    assert fixes[0].launch.env == {"nnUNet_compile": "false"}
    assert "pip install --upgrade nnunetv2 torch==2.1.2" in str(fixes[1].command)
    assert fixes[2].command == "wsl --install -d Ubuntu"
    assert "Linux machine with an NVIDIA GPU" in fixes[3].text
