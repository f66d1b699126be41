"""The report as a record: what ``check --format json`` prints, and what every other form is made from."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from nnunet_doctor import __version__
from nnunet_doctor.check import INSTALLING, SEVERITIES, Fix, fill
from nnunet_doctor.engine import Diagnosis, Finding, Waived
from nnunet_doctor.facts import Facts, Unknown
from nnunet_doctor.facts.exchange import to_plain
from nnunet_doctor.plan import BUILT_IN, Plan
from nnunet_doctor.words import JOINTS, say, translated


# records are written and never compared: the methods for that would take half the time in which this module is loaded
@dataclass(frozen=True, repr=False, eq=False)
class DetailRecord:
    """A file, case, folder or variable, and what is said of it."""

    subject: str
    message: str


@dataclass(frozen=True, repr=False, eq=False)
class EvidenceRecord:
    """A fact that decided; ``value`` is ``{"unknown": reason}`` for an unknown one."""

    fact: str
    value: Any
    source: str


@dataclass(frozen=True, repr=False, eq=False)
class LaunchRecord:
    """What a plan may set by itself."""

    env: dict[str, str] = field(default_factory=dict)
    args: list[str] = field(default_factory=list)


@dataclass(frozen=True, repr=False, eq=False)
class FixRecord:
    """A way out; ``command`` is one line for the user's shell.

    ``needs_trust`` says that its settings are a pack's, and taken with --trust-packs only.
    """

    text: str
    command: str | None
    launch: LaunchRecord
    needs_trust: bool = False


@dataclass(frozen=True, repr=False, eq=False)
class WaivedRecord:
    """Why a problem is lived with, and the last day on which that counts, as 2026-12-31; None for always."""

    reason: str
    until: str | None


@dataclass(frozen=True, repr=False, eq=False)
class FindingRecord:
    """A problem. ``explained_by`` is the id of the finding that is its cause; ``waived`` is set where it counts not."""

    id: str
    area: str
    severity: Literal["error", "warning", "info"]
    title: str
    why: str
    subjects: list[str]
    details: list[DetailRecord]
    evidence: list[EvidenceRecord]
    fixes: list[FixRecord]
    references: list[str]
    explained_by: str | None = None
    waived: WaivedRecord | None = None


@dataclass(frozen=True, repr=False, eq=False)
class UnknownRecord:
    """A check that could not be decided, and why."""

    id: str
    because: str


@dataclass(frozen=True, repr=False, eq=False)
class ReasonRecord:
    """A setting of the plan, and the check that asked for it."""

    setting: str
    value: str
    because: str
    overrules: str | None = None


@dataclass(frozen=True, repr=False, eq=False)
class PlanRecord:
    """Launch settings.

    ``blocked_by`` lists the findings that no setting removes, ``withheld`` those of them that --trust-packs would.
    """

    env: dict[str, str]
    args: list[str]
    reasons: list[ReasonRecord]
    blocked_by: list[str] = field(default_factory=list)
    withheld: list[str] = field(default_factory=list)


@dataclass(frozen=True, repr=False, eq=False)
class DatasetRecord:
    """The raw dataset that was surveyed, or the images to predict with ``model``; what is unknown is None.

    ``depth`` is quick, default or deep.
    """

    name: str
    depth: str
    cases: int | None
    channels: int | None
    labels: int | None
    files: int | None
    reader: str | None
    model: str | None
    interrupted: bool


@dataclass(frozen=True, repr=False, eq=False)
class MachineRecord:
    """The machine and installation in a few words."""

    system: str
    python: str
    torch: str | None
    nnunet: str | None
    gpu: str


@dataclass(frozen=True, repr=False, eq=False)
class Report:
    """One examination.

    ``waived`` holds what the configuration lives with, ``known`` the ids of which a baseline has said something
    already; neither counts for the verdict.
    """

    verdict: Literal["ok", "problems", "undecided"]
    findings: list[FindingRecord]
    unknown: list[UnknownRecord]
    passed: list[str]
    ignored: list[str]
    plan: PlanRecord
    machine: MachineRecord
    dataset: DatasetRecord | None = None
    waived: list[FindingRecord] = field(default_factory=list)
    known: list[str] = field(default_factory=list)
    doctor: str = __version__
    schema_version: int = 1

    def exit_code(self, fail_on: str) -> int:
        """Return 0, 1 or 3, as the contract of ``check`` says."""
        if fail_on == "never" or self.verdict == "ok":
            return 0
        return 1 if self.verdict == "problems" else 3


def build(
    facts: Facts,
    diagnosis: Diagnosis,
    plan: Plan,
    ignored: Sequence[str],
    language: str,
    fail_on: str,
    known: Sequence[str] = (),
) -> Report:
    """Make the report of a diagnosis in one language.

    Args:
        facts: What was observed.
        diagnosis: What is said of it.
        plan: The settings that follow.
        ignored: Ids of checks that were not asked.
        language: en or zh.
        fail_on: Least severity that makes a problem: error, warning or never.
        known: Ids of which a baseline has said something already, and which the diagnosis leaves out.
    """
    return Report(
        verdict=verdict(diagnosis, fail_on),
        findings=[finding_record(finding, facts, language, plan.trusted) for finding in diagnosis.findings],
        unknown=[UnknownRecord(item.check.id, _because(item.because, language)) for item in diagnosis.undecided],
        passed=[check.id for check in diagnosis.passed],
        ignored=list(ignored),
        plan=plan_record(plan),
        machine=machine(facts, language),
        dataset=dataset(facts),
        waived=[waived_record(item, facts, language) for item in diagnosis.waived],
        known=list(known),
    )


def _because(reasons: Sequence[str], language: str) -> str:
    """Join reasons, each "fact: reason", in one language."""
    joints = JOINTS[language]
    parts = (item.partition(": ") for item in reasons)
    return joints.sentences.join(f"{fact}{joints.place}{translated(language, reason)}" for fact, _, reason in parts)


def waived_record(waived: Waived, facts: Facts, language: str) -> FindingRecord:
    """Put what is waived into words."""
    waiver = waived.waiver
    return replace(finding_record(waived.finding, facts, language), waived=WaivedRecord(waiver.reason, waiver.until))


def verdict(diagnosis: Diagnosis, fail_on: str) -> Literal["ok", "problems", "undecided"]:
    """Say whether a check of the level that counts fired, or, with none, could not be decided."""
    level = SEVERITIES.index("error" if fail_on == "never" else fail_on)
    if any(SEVERITIES.index(finding.check.severity) <= level for finding in diagnosis.findings):
        return "problems"
    return "undecided" if any(SEVERITIES.index(item.check.severity) <= level for item in diagnosis.undecided) else "ok"


def finding_record(finding: Finding, facts: Facts, language: str, trusted: Collection[str] = BUILT_IN) -> FindingRecord:
    """Put a finding into words."""
    check = finding.check
    text = check.text[language]
    said = partial(translated, language)
    if check.waivers and check.subjects:  # the words tell of those only that the finding is about
        facts = facts.with_values({check.subjects: finding.details})
    return FindingRecord(
        id=check.id,
        area=check.area,
        severity=check.severity,  # type: ignore[arg-type]
        title=fill(text.title, facts, said),
        why=fill(text.why, facts, said),
        subjects=[detail.subject for detail in finding.details],
        details=[DetailRecord(detail.subject, said(detail.message)) for detail in finding.details],
        evidence=[EvidenceRecord(item.fact, to_plain(item.value), item.source) for item in finding.evidence],
        fixes=[fix_record(fix, facts, language, check.origin in trusted) for fix in finding.fixes],
        references=list(check.references),
        explained_by=finding.explained_by,
    )


def fix_record(fix: Fix, facts: Facts, language: str, is_trusted: bool) -> FixRecord:
    """Put a fix into words, its command into what the examined environment takes and the user's shell reads."""
    text = fill(fix.text[language], facts, partial(translated, language))
    command, notes = _command(fix, facts) if fix.command else (None, ())
    if notes:
        blank = " " if language == "en" else ""
        known = {"prefix": fill("{python.prefix}", facts), "origin": fill("{nnunet.origin}", facts)}
        text = blank.join([text, *(say(language, note, **known) for note in notes)])
    return FixRecord(
        text=text,
        command=command,
        launch=LaunchRecord(
            {name: fill(value, facts) for name, value in fix.env.items()}, [fill(word, facts) for word in fix.args]
        ),
        needs_trust=fix.is_launch_setting and not is_trusted,
    )


def _command(fix: Fix, facts: Facts) -> tuple[str, tuple[str, ...]]:
    """Return the command, and the keys of the sentences that go with it."""
    from nnunet_doctor.shell import command_lines, environment_of, fitted

    command = [fill(word, facts) for word in fix.command]
    if not fix.installs:
        return command_lines(shell_of(facts), [command]), ()
    commands, notes = fitted(command, environment_of({name: facts[name] for name in INSTALLING}))
    return command_lines(shell_of(facts), commands), notes


def plan_record(plan: Plan) -> PlanRecord:
    """Return the plan as a record."""
    reasons = [ReasonRecord(item.setting, item.value, item.because, item.overrules) for item in plan.reasons]
    blocking = [finding.check.id for finding in plan.diagnosis.blocking]
    return PlanRecord(plan.env, plan.args, reasons, blocking, list(plan.withheld))


def shell_of(facts: Facts) -> str:
    """Return the shell that commands are written for."""
    shell = facts["platform.shell"]
    return shell if isinstance(shell, str) else "posix"


def machine(facts: Facts, language: str) -> MachineRecord:
    """Return the machine in a few words; what is unknown is "?"."""

    def known(name: str) -> str | None:
        value = facts[name]
        return value if isinstance(value, str) or value is None else "?"

    return MachineRecord(
        system=known("platform.version") or "?",
        python=known("python.version") or "?",
        torch=known("torch.version"),
        nnunet=known("nnunet.version"),
        gpu=translated(language, known("gpu.description") or "?"),
    )


FEW_DETAILS = 1000
"""Up to here the standard library is sooner done than msgspec is loaded; far above it takes nine times as long."""


def dataset(facts: Facts) -> DatasetRecord | None:
    """Return what was surveyed; None when nothing was."""
    depth = facts["dataset.surveyed"]
    if not isinstance(depth, str):
        return None

    def known(name: str) -> Any:
        value = facts[f"dataset.{name}"]
        return None if isinstance(value, Unknown) else value

    return DatasetRecord(
        name=known("predict_input") or known("name") or "?",
        depth=depth,
        cases=known("cases"),
        channels=known("channels"),
        labels=known("labels"),
        files=known("files"),
        reader=known("reader"),
        model=known("model"),
        interrupted=known("survey_interrupted") is True,
    )


def to_json(report: Report, *, ascii_only: bool) -> str:
    """Return the report as JSON text, keys in the order of the contract."""
    order = (
        "schema_version",
        "doctor",
        "verdict",
        "machine",
        "dataset",
        "findings",
        "unknown",
        "passed",
        "ignored",
        "waived",
        "known",
        "plan",
    )
    import json

    ordered = {key: getattr(report, key) for key in order}
    if sum(len(finding.details) for finding in (*report.findings, *report.waived)) <= FEW_DETAILS:
        with contextlib.suppress(ValueError):  # a path that is not UTF-8, or a number that JSON does not know
            text = json.dumps(ordered, indent=2, ensure_ascii=ascii_only, allow_nan=False, default=vars)
            text.encode("utf-8")
            return text
    import msgspec

    plain = msgspec.to_builtins(ordered)
    if not ascii_only:
        with contextlib.suppress(UnicodeEncodeError):  # JSON can only escape it
            return msgspec.json.format(msgspec.json.encode(plain), indent=2).decode("utf-8")
    return json.dumps(plain, indent=2)


def schema() -> dict[str, object]:
    """Return the JSON Schema (2020-12) of the report."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Report of nnunet-doctor check",
        **schema_of(Report),
    }


def schema_of(kind: type) -> dict[str, Any]:
    """Return the JSON Schema of a record: every key is written, whatever it holds, and the version is this one.

    A docstring keeps the indentation of the code before Python 3.13.
    """
    import inspect

    import msgspec

    found = msgspec.json.schema(kind)
    for part in found["$defs"].values():
        part["description"] = inspect.cleandoc(part["description"])
        part["required"] = list(part["properties"])
        for key in part["properties"].values():
            key.pop("default", None)
    found["$defs"][kind.__name__]["properties"]["schema_version"] = {"const": kind.schema_version}  # type: ignore[attr-defined]
    return found
