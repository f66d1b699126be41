"""What can be learnt of a regular expression without matching it."""

from __future__ import annotations

import importlib
import sys
from typing import Any


def parser() -> Any:
    """Return the standard library's parser of expressions, which has no public name."""
    return importlib.import_module("re._parser" if sys.version_info >= (3, 11) else "sre_parse")


def may_never_end(pattern: str) -> bool:
    r"""Say whether an expression repeats what may be one repetition alone, such as ``(\w+\s*)+``.

    Every way to cut a text into such pieces is tried before it fails, and 40 letters have more than one can wait for.

    Raises:
        re.error: It is no expression.
    """
    sre = parser()
    return _holds_one(sre.parse(pattern), sre)


def _holds_one(parts: Any, sre: Any) -> bool:
    for op, value in parts:
        inside = _inside(op, value, sre)
        if _is_endless(op, value, sre) and any(_may_be_a_repetition(inner, sre) for inner in inside):
            return True
        if any(_holds_one(inner, sre) for inner in inside):
            return True
    return False


def _inside(op: Any, value: Any, sre: Any) -> list[Any]:
    """List the expressions that a part is made of."""
    if op is sre.BRANCH:
        return list(value[1])
    if str(op) == "ATOMIC_GROUP":
        return [value]
    if op in (sre.SUBPATTERN, sre.ASSERT, sre.ASSERT_NOT) or _is_repeat(op, sre):
        return [value[-1]]
    return []


def _is_repeat(op: Any, sre: Any) -> bool:
    return op in (sre.MAX_REPEAT, sre.MIN_REPEAT) or str(op) == "POSSESSIVE_REPEAT"


def _is_endless(op: Any, value: Any, sre: Any) -> bool:
    """Say whether a part repeats without bound and gives back what it has taken, which a possessive one does not."""
    return op in (sre.MAX_REPEAT, sre.MIN_REPEAT) and value[1] == sre.MAXREPEAT


def _may_be_a_repetition(parts: Any, sre: Any) -> bool:
    """Say whether all that is matched may be one endless repetition, because the rest may match nothing."""
    widths = [sre.SubPattern(parts.state, [part]).getwidth()[0] for part in parts]
    return any(sum(widths) == widths[number] and _repeats(op, value, sre) for number, (op, value) in enumerate(parts))


def _repeats(op: Any, value: Any, sre: Any) -> bool:
    if _is_endless(op, value, sre):
        return True
    once = not _is_repeat(op, sre) or value[0] <= 1
    gives_back = op in (sre.BRANCH, sre.SUBPATTERN, sre.MAX_REPEAT, sre.MIN_REPEAT)
    return once and gives_back and any(_may_be_a_repetition(inner, sre) for inner in _inside(op, value, sre))
