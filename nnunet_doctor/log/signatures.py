"""What the lines of a log say of checks: which they name as cause, which as consequence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from nnunet_doctor.check import Check
from nnunet_doctor.log.prefix import strip_prefixes
from nnunet_doctor.log.traceback import Tracebacks

Kind = Literal["cause", "consequence", "within"]


class Signature(NamedTuple):
    """One expression, and the checks that have it; many have the same consequences.

    Attributes:
        checks: The checks; only one when it has a ``within``, which makes its lines its own.
    """

    checks: tuple[Check, ...]
    kind: Kind
    expression: re.Pattern[str]


def signatures_of(checks: Sequence[Check]) -> tuple[Signature, ...]:
    """Return the expressions of all checks, compiled, each once."""
    found: dict[tuple[Kind, str, str], list[Check]] = {}
    for check in checks:
        for kind, patterns in _patterns(check):
            for pattern in dict.fromkeys(patterns):
                found.setdefault((kind, pattern, check.id if check.log_within else ""), []).append(check)
    return tuple(Signature(tuple(of), kind, re.compile(pattern)) for (kind, pattern, _), of in found.items())


def _patterns(check: Check) -> tuple[tuple[Kind, tuple[str, ...]], ...]:
    return ("cause", check.log_cause), ("consequence", check.log_consequence), ("within", check.log_within)


def finds(signature: Signature, text: str, raw: str) -> bool:
    """Say whether a line matches, without what others put in front of it, or with it."""
    return bool(signature.expression.search(text) or (raw != text and signature.expression.search(raw)))


def says(check: Check, text: str) -> str:
    """Say what a check is by a piece of a log: cause, consequence, or nothing of both.

    A piece that holds no traceback counts as part of one.
    """
    tracebacks = Tracebacks()
    chains: list[int | None] = []
    lines = [(raw, strip_prefixes(raw)) for raw in text.splitlines()]
    for number, (_raw, line) in enumerate(lines, 1):
        chains.append(tracebacks.take(number, line.stream, line.text, stamped=line.stamped))
    if not any(chains):
        chains = [0] * len(chains)
    hits: dict[Kind, set[int | None]] = {"cause": set(), "consequence": set(), "within": set()}
    for signature in signatures_of([check]):
        hits[signature.kind].update(
            chain for (raw, line), chain in zip(lines, chains, strict=True) if finds(signature, line.text, raw)
        )
    for kind in ("cause", "consequence"):
        found: set[int | None] = hits[kind]
        if found and (not check.log_within or found & hits["within"] - {None}):
            return kind
    return "nothing"
