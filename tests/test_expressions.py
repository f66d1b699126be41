"""Expressions of packs: which of them would never end."""

from __future__ import annotations

import pytest

from nnunet_doctor.expressions import may_never_end

ENDLESS = [
    r"(a+)+b",
    r"(a*)*b",
    r"(?:\w+\s*)+: lost",
    r"(\w+?)*!",
    r"((ab|c+))+d",
    r"x(?:(?:a+)?)*y",
    r"^(\s*\S+)*$",
    r"(?=(a+)+b)",
]
ENDING = [
    r"Cannot find a working triton installation",
    r"\w+Error: .*",
    r"(?:\s+at \d+)+ end",
    r"(ab)+c*",
    r"(a+){1,3}b",
    r"File \".+\", line \d+, in .+",
    r"(?:a|b)+c",
    r"",
]


@pytest.mark.parametrize("pattern", ENDLESS)
def test_repeated_repetitions_are_found(pattern: str) -> None:
    """Nested without anything needed between, in groups, branches, optional parts and looks ahead."""
    assert may_never_end(pattern)


@pytest.mark.parametrize("pattern", ENDING)
def test_ordinary_expressions_pass(pattern: str) -> None:
    """Repetitions one after the other, bounded ones, and those that something else keeps apart."""
    assert not may_never_end(pattern)
