"""The condition language of checks: a small subset of Python expressions over facts.

A condition is parsed with :mod:`ast` and interpreted here; nothing is ever executed. It is three-valued: a fact that is
unknown makes the result unknown unless the rest already decides. The evaluator returns the facts that decided.

    platform.os == 'windows' and not triton.importable
    version(nnunet.version, '>=2.4,<2.5') or training.compiles
    gpu.driver is None
    count(preprocessed.configurations) > 2
    '2d' in preprocessed.configurations

It may go over several lines.

``None`` (does not apply) never satisfies ``<``, ``in``, ``not in`` or ``version()``; used as a condition it counts as
false. Since ``not None`` would then be true by accident, ``not`` is refused for facts that can be ``None``: write
``== False``.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, NamedTuple

from nnunet_doctor.errors import nearest
from nnunet_doctor.facts import CATALOGUE, Detail, FactInfo, Facts, Observed, Unknown

MOST_ANDS = 2
"""A condition with more ``and`` than this wants a derived fact with a name."""

_ORDER: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_LISTS = (ast.Tuple, ast.List, ast.Set)
_TUPLES = {tuple[str, ...]: str, tuple[int, ...]: int, tuple[float, ...]: float}


class WhenError(ValueError):
    """A condition that is not in the language; the message says why in one sentence."""


class Verdict(NamedTuple):
    """What a condition says about facts.

    Attributes:
        value: True, False, or None for unknown.
        deciding: Names of the facts that decided, or that are unknown, in the order of the condition.
    """

    value: bool | None
    deciding: tuple[str, ...]


class When(NamedTuple):
    """A parsed condition."""

    text: str
    facts: tuple[str, ...]
    node: ast.expr

    @classmethod
    @cache
    def parse(cls, text: str) -> When:
        """Parse a condition and check its facts, functions and types; several lines become one, without comments.

        Raises:
            WhenError: The text is not a condition of this language.
        """
        text = text.strip()
        try:
            node = _expression(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise WhenError(f"{text!r} is not a condition: it cannot be read as an expression") from None
        ands = sum(
            len(part.values) - 1
            for part in _parts(node)
            if isinstance(part, ast.BoolOp) and isinstance(part.op, ast.And)
        )
        if ands > MOST_ANDS:
            raise WhenError(f"{text!r} has {ands} times 'and'; more than {MOST_ANDS} want a derived fact with a name")
        _check_condition(node)
        return cls(ast.unparse(node) if "\n" in text else text, _names(node), node)

    def holds(self, facts: Facts) -> Verdict:
        """Say whether the condition holds, and which facts decided."""
        return _evaluate(self.node, facts)


# --- reading -------------------------------------------------------------------------------------------------------


def _expression(text: str) -> ast.expr:
    """Read a text as one expression, which may go over several lines.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError: It is none.
    """
    if "\n" not in text:
        return ast.parse(text, mode="eval").body
    node = ast.parse(f"(\n{text}\n)", mode="eval").body
    if node.lineno == 1:  # what takes in the brackets does not stand within them: "a) or (b"
        raise SyntaxError
    return node


def _fact_name(node: ast.expr) -> str | None:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return f"{node.value.id}.{node.attr}"
    return None


def _parts(node: ast.expr) -> list[ast.expr]:
    """Return a condition and all that the language can have in it, in the order of ``ast.walk``, which takes longer."""
    parts = [node]
    for part in parts:
        if isinstance(part, ast.BoolOp):
            parts += part.values
        elif isinstance(part, ast.UnaryOp):
            parts.append(part.operand)
        elif isinstance(part, ast.Compare):
            parts += (part.left, *part.comparators)
        elif isinstance(part, ast.Call):
            parts += part.args
    return parts


@cache
def _names(node: ast.expr) -> tuple[str, ...]:
    """Return the facts of a part of a condition, each once and in order."""
    return tuple(dict.fromkeys(name for part in _parts(node) if (name := _fact_name(part))))


def _info(node: ast.expr) -> FactInfo | None:
    name = _fact_name(node)
    if name is None:
        return None
    if name not in CATALOGUE:
        raise WhenError(f"there is no fact {name!r}{nearest(name, CATALOGUE)}")
    return CATALOGUE[name]


def _check_condition(node: ast.expr) -> None:
    if isinstance(node, ast.BoolOp):
        for value in node.values:
            _check_condition(value)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        _check_condition(node.operand)
        _check_negated(node.operand)
    elif isinstance(node, ast.Compare):
        _check_comparison(node)
    elif isinstance(node, ast.Call):
        if _check_call(node) is not bool:
            raise WhenError(f"{ast.unparse(node)!r} is a number, not a condition; compare it")
    elif info := _info(node):
        if info.type is not bool:
            raise WhenError(f"{info.name!r} is {info.type_name}, not a condition; compare it")
    else:
        raise WhenError(f"{ast.unparse(node)!r} is not part of the condition language")


def _check_negated(node: ast.expr) -> None:
    """Refuse facts that can be None where they are conditions by themselves, not operands of comparisons."""
    parts = node.values if isinstance(node, ast.BoolOp) else [node.operand] if isinstance(node, ast.UnaryOp) else []
    for part in parts:
        _check_negated(part)
    info = _info(node)
    if info is not None and info.optional:
        raise WhenError(f"'not' of {info.name} is unclear, as it can be None; write '{info.name} == False'")


def _check_call(node: ast.Call) -> type:
    function = node.func.id if isinstance(node.func, ast.Name) else ast.unparse(node.func)
    if function not in ("version", "count"):
        raise WhenError(f"there is no function {function!r}; there are version(fact, 'range') and count(fact)")
    if node.keywords:
        raise WhenError(f"{function}() takes no named arguments")
    info = _info(node.args[0]) if node.args else None
    if function == "count":
        if len(node.args) != 1 or info is None or info.type not in (*_TUPLES, tuple[Detail, ...]):
            raise WhenError("count() takes one fact that is a list")
        return int
    if len(node.args) != 2 or info is None or info.type is not str:
        raise WhenError("version() takes a fact that holds a version, and a range such as '>=2.4,<2.5'")
    wanted = node.args[1]
    if isinstance(wanted, ast.Constant) and isinstance(wanted.value, str):
        from packaging.specifiers import InvalidSpecifier, SpecifierSet

        try:
            SpecifierSet(wanted.value)
        except InvalidSpecifier:
            raise WhenError(f"{wanted.value!r} is not a version range such as '>=2.4,<2.5'") from None
    else:
        raise WhenError("the range of version() is a text in quotes")
    return bool


def _check_comparison(node: ast.Compare) -> None:
    if len(node.ops) != 1:
        raise WhenError(f"{ast.unparse(node)!r} compares twice; write two comparisons with 'and'")
    left, op, right = node.left, node.ops[0], node.comparators[0]
    if isinstance(op, (ast.Is, ast.IsNot)):
        if isinstance(right, ast.Constant) and type(right.value) is bool:
            said = "!=" if isinstance(op, ast.IsNot) else "=="
            raise WhenError(f"'is' only asks whether a fact is None; write '{ast.unparse(left)} {said} {right.value}'")
        if _info(left) is None or not _is_none(right):
            raise WhenError("'is' only asks whether a fact is None")
    elif isinstance(op, (ast.Eq, ast.NotEq)) and (_is_none(left) or _is_none(right)):
        fact, negation = ast.unparse(right if _is_none(left) else left), "" if isinstance(op, ast.Eq) else " not"
        raise WhenError(f"{ast.unparse(node)!r} compares with None; write '{fact} is{negation} None'")
    elif isinstance(op, (ast.In, ast.NotIn)):
        _check_membership(left, right)
    else:
        kinds = (_operand_type(left), _operand_type(right))
        numbers = all(kind in (int, float) for kind in kinds)
        if not isinstance(op, (ast.Eq, ast.NotEq)) and not numbers:
            raise WhenError(f"{ast.unparse(node)!r} orders what is not a number; versions are compared by version()")
        if not numbers and kinds[0] is not kinds[1]:
            raise WhenError(f"{ast.unparse(node)!r} compares two different types")
        if _is_literal(left) and _is_literal(right):
            raise WhenError(f"{ast.unparse(node)!r} asks for no fact")


def _check_membership(left: ast.expr, right: ast.expr) -> None:
    if isinstance(right, _LISTS):
        kinds = {_operand_type(item) for item in right.elts if _is_literal(item)}
        if len(kinds) != 1 or not all(_is_literal(item) for item in right.elts) or _info(left) is None:
            raise WhenError("'in' asks for a fact in a list of literals of one type, or for a literal in a fact")
        if _operand_type(left) not in kinds:
            raise WhenError(f"{ast.unparse(left)!r} has another type than the list behind 'in'")
        return
    info = _info(right)
    if info is None or info.type not in _TUPLES or not _is_literal(left):
        raise WhenError("'in' asks for a fact in a list of literals, or for a literal in a fact that is a list")
    if _operand_type(left) is not _TUPLES[info.type]:
        raise WhenError(f"{ast.unparse(left)!r} has another type than the items of {info.name!r}")


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _is_literal(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        node = node.operand
    return isinstance(node, ast.Constant)


def _operand_type(node: ast.expr) -> Any:
    if info := _info(node):
        return info.type
    if isinstance(node, ast.Call):
        return _check_call(node)
    if _is_literal(node):
        kind = type(ast.literal_eval(node))
        if kind in (str, int, float, bool):
            return kind
    raise WhenError(f"{ast.unparse(node)!r} is neither a fact nor a text, number, True or False")


# --- evaluating ----------------------------------------------------------------------------------------------------


def _evaluate(node: ast.expr, facts: Facts) -> Verdict:
    if isinstance(node, ast.BoolOp):
        return _junction(isinstance(node.op, ast.Or), [_evaluate(value, facts) for value in node.values])
    if isinstance(node, ast.UnaryOp):
        inner = _evaluate(node.operand, facts)
        return Verdict(None if inner.value is None else not inner.value, inner.deciding)
    names = _names(node)
    unknown = tuple(name for name in names if isinstance(facts[name], Unknown))
    if unknown:
        return Verdict(None, unknown)
    result = _compare(node, facts) if isinstance(node, ast.Compare) else _value(node, facts)
    if isinstance(result, Unknown):
        return Verdict(None, names)
    return Verdict(bool(result), names)


def _junction(any_decides: bool, parts: list[Verdict]) -> Verdict:
    """Combine verdicts: one that equals ``any_decides`` decides alone; otherwise all of them do."""
    for wanted in (any_decides, None):
        chosen = [part for part in parts if part.value is wanted]
        if chosen:
            return Verdict(wanted, _merged(chosen))
    return Verdict(not any_decides, _merged(parts))


def _merged(parts: list[Verdict]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for part in parts for name in part.deciding))


def _compare(node: ast.Compare, facts: Facts) -> bool | Unknown:
    op, right_node = node.ops[0], node.comparators[0]
    left = _value(node.left, facts)
    if isinstance(op, (ast.Is, ast.IsNot)):
        return (left is None) is isinstance(op, ast.Is)
    right: Any = (
        [_value(item, facts) for item in right_node.elts]
        if isinstance(right_node, _LISTS)
        else _value(right_node, facts)
    )
    for side in (left, right):
        if isinstance(side, Unknown):
            return side
    if isinstance(op, (ast.In, ast.NotIn)):
        return left is not None and right is not None and (left in right) is isinstance(op, ast.In)
    if isinstance(op, (ast.Eq, ast.NotEq)):
        return (left == right) is isinstance(op, ast.Eq)
    return left is not None and right is not None and _ORDER[type(op)](left, right)


def _value(node: ast.expr, facts: Facts) -> Observed:
    if name := _fact_name(node):
        return facts[name]
    if isinstance(node, ast.Call):
        argument = _value(node.args[0], facts)
        if isinstance(node.func, ast.Name) and node.func.id == "count":
            return len(argument) if isinstance(argument, tuple) else 0
        return version_in(argument, ast.literal_eval(node.args[1]))
    literal: Observed = ast.literal_eval(node)
    return literal


@lru_cache(maxsize=512)
def version_in(version: Any, wanted: str) -> bool | Unknown:
    """Say whether a version is in a range; local labels (``+cu128``) do not count, pre-releases do.

    Returns:
        Unknown when the text is no version.
    """
    if version is None:
        return False
    from packaging.specifiers import SpecifierSet
    from packaging.version import InvalidVersion, Version

    try:
        public = Version(Version(version).public)
    except InvalidVersion:
        return Unknown(f"{version!r} is not a version")
    return SpecifierSet(wanted).contains(public, prereleases=True)
