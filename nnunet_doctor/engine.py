"""Facts and checks in, findings out. Pure: no clock, no environment, no disk, no process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from nnunet_doctor.check import SEVERITIES, Check, Example, Fix, lowering
from nnunet_doctor.facts import Detail, Facts, Observed, Unknown
from nnunet_doctor.facts.derive import inputs_of
from nnunet_doctor.waivers import Waiver, names_of_dataset
from nnunet_doctor.when import Verdict


class Evidence(NamedTuple):
    """A fact that decided."""

    fact: str
    value: Observed
    source: str


class Finding(NamedTuple):
    """A check that fired.

    Attributes:
        details: Files, cases or folders that it is about.
        evidence: The facts that decided, in the order of the condition.
        fixes: The ways out that apply here, in the order of the check.
        explained_by: Id of the finding that is the cause of this one; None for none.
    """

    check: Check
    details: tuple[Detail, ...]
    evidence: tuple[Evidence, ...]
    fixes: tuple[Fix, ...]
    explained_by: str | None = None

    @property
    def is_blocking(self) -> bool:
        """Whether a training must not start with it."""
        return self.check.severity == "error"


class Undecided(NamedTuple):
    """A check that could not be decided, and the reasons."""

    check: Check
    because: tuple[str, ...]


class Waived(NamedTuple):
    """A finding, or some of its files, cases or folders, that the user lives with."""

    finding: Finding
    waiver: Waiver


@dataclass(frozen=True)
class Diagnosis:
    """What a set of checks says about facts, in the order of severity and then of the catalogue."""

    findings: tuple[Finding, ...]
    undecided: tuple[Undecided, ...]
    passed: tuple[Check, ...]
    waived: tuple[Waived, ...] = ()

    @property
    def blocking(self) -> tuple[Finding, ...]:
        """The findings with which a training must not start."""
        return tuple(finding for finding in self.findings if finding.is_blocking)

    @property
    def ids(self) -> frozenset[str]:
        """Ids of all findings."""
        return frozenset(finding.check.id for finding in self.findings)


def diagnose(facts: Facts, checks: Iterable[Check]) -> Diagnosis:
    """Ask every check that facts can decide."""
    findings: list[Finding] = []
    undecided: list[Undecided] = []
    passed: list[Check] = []
    waived: list[Waived] = []
    for check in checks:
        if check.unreadable is not None:
            undecided.append(Undecided(check, (check.unreadable,)))
            continue
        if not check.is_decided_by_facts:
            continue
        verdict = ask(check, facts)
        if verdict.value is None:
            undecided.append(Undecided(check, reasons(facts, verdict.deciding)))
        elif verdict.value:
            left, covered = _told_apart(_finding(check, facts, verdict), facts)
            findings += left
            waived += covered
        else:
            passed.append(check)
    findings.sort(key=lambda finding: SEVERITIES.index(finding.check.severity))
    return Diagnosis(tuple(_with_causes(findings)), tuple(undecided), tuple(passed), tuple(waived))


def _told_apart(finding: Finding, facts: Facts) -> tuple[list[Finding], list[Waived]]:
    """Return what is left of a finding, and what waivers cover of it."""
    left = finding.details
    covered: list[Waived] = []
    names = names_of_dataset(facts) if finding.check.waivers else ()
    for waiver in finding.check.waivers:
        if not waiver.concerns(names):
            continue
        if waiver.subject is None:
            return [], [*covered, Waived(finding._replace(details=left), waiver)]
        mine = tuple(item for item in left if waiver.covers(item.subject))
        if mine:
            covered.append(Waived(finding._replace(details=mine), waiver))
            left = tuple(item for item in left if not waiver.covers(item.subject))
    return [] if covered and not left else [finding._replace(details=left)], covered


def ask(check: Check, facts: Facts) -> Verdict:
    """Say whether one check fires, and the facts that decide it."""
    if check.subjects is None:
        return check.when.holds(facts) if check.when else Verdict(False, ())
    listed = facts[check.subjects]
    if not isinstance(listed, Unknown) and not listed:
        return Verdict(False, (check.subjects,))
    condition = check.when.holds(facts) if check.when else Verdict(True, ())
    if condition.value is False:
        return condition
    if isinstance(listed, Unknown):
        return Verdict(None, (check.subjects,))
    return Verdict(condition.value, tuple(dict.fromkeys((check.subjects, *condition.deciding))))


def agrees(check: Check, example: Example) -> bool:
    """Say whether a check says of an example what the example expects."""
    said = {True: "fires", False: "silent", None: "unknown"}[ask(check, example.facts).value]
    return said == example.expect


def reasons(facts: Facts, names: Sequence[str]) -> tuple[str, ...]:
    """Say why facts are unknown, each as "fact: reason"."""
    found = []
    for name in names:
        value = facts[name]
        reason = value.reason if isinstance(value, Unknown) else f"{value!r} cannot be compared"
        found.append(f"{name}: {reason}")
    return tuple(dict.fromkeys(found))


def _finding(check: Check, facts: Facts, verdict: Verdict) -> Finding:
    listed = facts[check.subjects] if check.subjects else ()
    details = tuple(item for item in listed if isinstance(item, Detail)) if isinstance(listed, tuple) else ()
    names = [name for name in verdict.deciding if name != check.subjects] or list(verdict.deciding)
    return Finding(check, details, evidence_of(facts, names), fixes_of(check, facts))


def fixes_of(check: Check, facts: Facts) -> tuple[Fix, ...]:
    """Return the ways out that apply, in the order of the check; what asks for fewer is none where there are fewer."""
    applying = (fix for fix in check.fixes if fix.when is None or fix.when.holds(facts).value)
    return tuple(fix for fix in (lowering(fix, facts) for fix in applying) if fix is not None)


def evidence_of(facts: Facts, names: Sequence[str]) -> tuple[Evidence, ...]:
    """Return facts with their values and sources; a derived fact is followed by those observed facts it rests on."""
    ordered: dict[str, None] = {}
    for name in names:
        ordered[name] = None
        for base in inputs_of(name):
            value = facts[base]
            if not isinstance(value, (Unknown, tuple)) and value is not None:
                ordered[base] = None
    return tuple(Evidence(name, facts[name], facts.source(name)) for name in ordered)


def _with_causes(findings: list[Finding]) -> list[Finding]:
    weight = {finding.check.id: SEVERITIES.index(finding.check.severity) for finding in findings}
    causes = {
        consequence: finding.check.id
        for finding in reversed(findings)
        for consequence in finding.check.explains
        # what is worse than its cause is shown all the same, or a report would fail without showing why
        if consequence != finding.check.id and weight.get(consequence, -1) >= weight[finding.check.id]
    }
    return [item._replace(explained_by=_root(item.check.id, causes)) for item in findings]


def _root(id: str, causes: Mapping[str, str]) -> str | None:
    """Follow causes of causes to the one that nothing explains; two that explain each other are both shown."""
    seen = {id}
    while (cause := causes.get(id)) is not None and cause not in seen:
        seen.add(cause)
        id = cause
    return None if len(seen) == 1 or cause is not None else id
