"""Findings in, launch settings out. Pure. Safe means proven: what is planned is evaluated again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from nnunet_doctor.check import Check, Fix, fill
from nnunet_doctor.engine import Diagnosis, Finding, diagnose, fixes_of
from nnunet_doctor.facts import Facts, Unknown
from nnunet_doctor.settings import VARIABLES, is_understood, overlay, parse_options, setting_of

BUILT_IN = frozenset({"built in"})
"""Origins whose launch settings need no consent."""


@dataclass(frozen=True)
class Reason:
    """Why a setting was chosen: the check that asked for it, and what the user had set, if it was overruled."""

    setting: str
    value: str
    because: str
    overrules: str | None = None


@dataclass(frozen=True)
class Plan:
    """Launch settings, and what is left to say under them.

    Attributes:
        reasons: One for each setting, in the order they were chosen.
        facts: The facts as they are under the settings.
        diagnosis: What all checks say of those facts.
        trusted: Origins of checks whose launch settings were taken.
        withheld: Ids of blocking findings that would be gone with the settings of the other origins.
    """

    reasons: tuple[Reason, ...]
    facts: Facts
    diagnosis: Diagnosis
    trusted: frozenset[str] = BUILT_IN
    withheld: tuple[str, ...] = ()

    @property
    def env(self) -> dict[str, str]:
        """Environment variables to set."""
        return {reason.setting: reason.value for reason in self.reasons if reason.setting in VARIABLES}

    @property
    def args(self) -> list[str]:
        """Options to add to nnUNetv2_train."""
        chosen = [reason for reason in self.reasons if reason.setting not in VARIABLES]
        return [word for reason in chosen for word in (reason.setting, reason.value) if word]

    @property
    def is_safe(self) -> bool:
        """Whether no blocking finding is left."""
        return not self.diagnosis.blocking


def plan(facts: Facts, checks: Sequence[Check], trusted: Collection[str] = BUILT_IN) -> Plan:
    """Choose settings until nothing changes.

    In each round the first applicable fix of the first finding is laid over the facts and everything is asked again. A
    setting is chosen once at most, or again to lower an amount further, so this ends; one that would make a new
    blocking finding appear is not taken, nor one for a warning that stays all the same.

    Args:
        facts: The facts as they are.
        checks: The checks to satisfy.
        trusted: Origins of checks whose launch settings may be taken; a pack's need the user's consent.
    """
    chosen: dict[str, Reason] = {}
    diagnosis, current = diagnose(facts, checks), facts
    while step := _next_step(facts, current, diagnosis, chosen, checks, trusted):
        chosen, current, diagnosis = step
    withheld = _withheld(facts, diagnosis, checks, trusted)
    return Plan(tuple(chosen.values()), current, diagnosis, frozenset(trusted), withheld)


def _withheld(facts: Facts, diagnosis: Diagnosis, checks: Sequence[Check], trusted: Collection[str]) -> tuple[str, ...]:
    """Name the blocking findings that the settings of all origins would remove, where some are not trusted."""
    foreign = {item.check.origin for item in diagnosis.findings if any(fix.is_launch_setting for fix in item.fixes)}
    if not diagnosis.blocking or foreign <= {*trusted}:
        return ()
    left = _blocking_ids(plan(facts, checks, {check.origin for check in checks} | {*trusted}).diagnosis)
    return tuple(item.check.id for item in diagnosis.blocking if item.check.id not in left)


def with_fix_of(planned: Plan, shown: Check, facts: Facts, checks: Sequence[Check]) -> Plan | None:
    """Add the first launch setting of a problem that a log has shown, although no fact foretold it.

    Args:
        planned: The plan under which the problem came up.
        shown: The problem.
        facts: The facts as they are without any setting.
        checks: The checks to satisfy.

    Returns:
        None when no launch setting of the problem may be taken, applies here and is not in the plan yet, or when each
        would make a new blocking finding appear.
    """
    if shown.origin not in planned.trusted:
        return None
    fixes = fixes_of(shown, planned.facts)
    chosen = {reason.setting: reason for reason in planned.reasons}
    for fix in fixes:
        step = _taking(Finding(shown, (), (), fixes), fix, facts, planned.facts, chosen, checks)
        if step is not None and _blocking_ids(step[2]) <= _blocking_ids(planned.diagnosis):
            return replace(planned, reasons=tuple(step[0].values()), facts=step[1], diagnosis=step[2])
    return None


_Step = tuple[dict[str, Reason], Facts, Diagnosis]


def _next_step(
    facts: Facts,
    current: Facts,
    diagnosis: Diagnosis,
    chosen: dict[str, Reason],
    checks: Sequence[Check],
    trusted: Collection[str],
) -> _Step | None:
    blocking = _blocking_ids(diagnosis)
    for finding in diagnosis.findings:
        if finding.check.severity == "info" or finding.check.origin not in trusted:
            continue
        for fix in finding.fixes:
            step = _taking(finding, fix, facts, current, chosen, checks)
            if step is None:
                continue
            helps = finding.is_blocking or finding.check.id not in step[2].ids
            # a setting against a mere consequence is for nothing, and would stay in the user's advice
            helps = helps and (finding.explained_by is None or finding.explained_by not in step[2].ids)
            if helps and _blocking_ids(step[2]) <= blocking:
                return step
    return None


def _blocking_ids(diagnosis: Diagnosis) -> set[str]:
    return {finding.check.id for finding in diagnosis.blocking}


def _taking(
    finding: Finding, fix: Fix, facts: Facts, current: Facts, chosen: dict[str, Reason], checks: Sequence[Check]
) -> _Step | None:
    """Return what would be with the settings of a fix too; None when it may not, or need not, be applied."""
    reasons = _reasons(finding, fix, facts, current, chosen)
    if not reasons:
        return None
    tried = {**chosen, **{reason.setting: reason for reason in reasons}}
    then = overlay(facts, {name: reason.value for name, reason in tried.items()})
    return tried, then, diagnose(then, checks)


def _is_lower(value: str, than: str) -> bool:
    return value.isdecimal() and than.isdecimal() and int(value) < int(than)


def _reasons(finding: Finding, fix: Fix, facts: Facts, current: Facts, chosen: dict[str, Reason]) -> tuple[Reason, ...]:
    """Return the settings of a fix with their reasons; empty when it may not, or need not, be applied."""
    if not fix.is_launch_setting:
        return ()
    wanted = {**fix.env, **parse_options(fix.args)}
    reasons = []
    for name, template in wanted.items():
        setting, value = setting_of(name), fill(template, current)
        had = facts[setting.fact]
        if not is_understood(name, facts) or value in ("?", "-"):
            return ()
        if name in chosen:
            if setting.in_force is None:
                return ()
            if not _is_lower(value, chosen[name].value):
                continue
        set_by_user = had != setting.unset
        if str(had) == value:
            continue  # as it has to be already
        if set_by_user and not finding.is_blocking:
            return ()
        overruled = str(had) if set_by_user and not isinstance(had, Unknown) else None
        reasons.append(Reason(name, value, finding.check.id, overruled))
    return tuple(reasons)
