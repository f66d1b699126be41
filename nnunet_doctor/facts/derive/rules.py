"""How a derived fact is registered and computed, and what rules share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from nnunet_doctor.facts.base import Observed, Unknown
from nnunet_doctor.facts.record import Facts
from nnunet_doctor.facts.tables import row_for

if TYPE_CHECKING:
    from packaging.version import Version

Rule = Callable[..., Any]
F = TypeVar("F", bound=Rule)
T = TypeVar("T")

GIB = 1024**3


class Registered(NamedTuple):
    """A rule with the fact that it computes and those that it reads."""

    name: str
    inputs: tuple[str, ...]
    tolerant: bool
    rule: Rule


RULES: dict[str, Registered] = {}
"""Every rule by the name of its fact."""


def rule(name: str, *inputs: str, tolerant: bool = False) -> Callable[[F], F]:
    """Register a function as the rule of a fact.

    Args:
        name: The fact.
        inputs: The facts that the function is handed, in this order.
        tolerant: Whether it is handed unknowns too and decides for itself.
    """

    def register(function: F) -> F:
        RULES[name] = Registered(name, inputs, tolerant, function)
        return function

    return register


def derive(facts: Facts, names: Collection[str] | None = None) -> Facts:
    """Return the facts with every derived one computed anew from the observed ones.

    Args:
        facts: What was observed.
        names: The derived facts to compute, with those that they follow from; all of them unless given.
    """
    wanted = RULES.keys() if names is None else RULES.keys() & set(names)
    found: dict[str, Observed] = {}

    def value(name: str) -> Observed:
        if name not in wanted:
            return facts[name]
        if name not in found:
            found[name] = _apply(RULES[name], [value(given) for given in RULES[name].inputs])
        return found[name]

    for name in RULES:
        value(name)
    return facts.with_values(found, {name: _source(RULES[name].inputs) for name in found})


def _source(inputs: Sequence[str]) -> str:
    return f"follows from {', '.join(inputs)}" if inputs else "tables of the doctor"


def _apply(rule: Registered, values: list[Observed]) -> Observed:
    """Apply a rule; facts that nobody foresaw, as a file may hold them, make the result unknown and end nothing."""
    unknown = first_unknown(*values)
    if unknown is not None and not rule.tolerant:
        return unknown
    try:
        value: Observed = rule.rule(*values)
    except (ValueError, LookupError, ArithmeticError) as error:
        return Unknown(f"it does not follow from {', '.join(rule.inputs)}: {error}")
    return value


def inputs_of(name: str) -> tuple[str, ...]:
    """Return the facts that a derived fact reads; empty for an observed one."""
    return RULES[name].inputs if name in RULES else ()


def with_inputs(names: Iterable[str]) -> frozenset[str]:
    """Return facts together with all that they follow from, the inputs of their inputs included."""
    found: set[str] = set()
    rest = list(names)
    while rest:
        name = rest.pop()
        if name not in found:
            found.add(name)
            rest += inputs_of(name)
    return frozenset(found)


def public(version: str) -> Version | None:
    """Return a version without its local label; None for a text that is none."""
    from packaging.version import InvalidVersion, Version

    try:
        return Version(Version(version).public)
    except InvalidVersion:
        return None


def is_in(version: str, wanted: str) -> bool | Unknown:
    """Say whether a version lies in a range, pre-releases included."""
    plain = public(version)
    if plain is None:
        return Unknown(f"{version!r} is not a version")
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(wanted).contains(plain, prereleases=True)
    except InvalidSpecifier:
        return Unknown(f"{wanted!r} is not a version range")


def whole(text: str, least: float) -> int | None:
    """Return a text as a whole number; None when it is none, or below the least."""
    try:
        number = int(text)
    except ValueError:
        return None
    return number if number >= least else None


def first_unknown(*values: object) -> Unknown | None:
    """Return the first unknown of some values; None when all are known."""
    return next((value for value in values if isinstance(value, Unknown)), None)


def or_none(value: T | Unknown) -> T | None:
    """Return None for an unknown."""
    return None if isinstance(value, Unknown) else value


def release_row(version: str) -> dict[str, Any]:
    """Return what the table knows of a release of nnU-Net.

    Raises:
        LookupError: The release is older than the table.
    """
    row = row_for("nnunet", version)
    if row is None:
        raise LookupError(version)
    return row


def capability(text: str) -> tuple[int, int]:
    """Return a compute capability such as 8.6 as two numbers."""
    major, _, minor = text.partition(".")
    return int(major), int(minor or 0)


def capability_of(gpu: str) -> str:
    """Return 8.6 of ``NAME (8.6)``."""
    return gpu.rpartition("(")[2].rstrip(")")
