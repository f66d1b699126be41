"""What the lines of a log say of a check: they name it as cause, as consequence, or not at all."""

from __future__ import annotations

import re
from collections.abc import Iterable

from nnunet_doctor.check import Check


def says(check: Check, text: str) -> str:
    """Say what a check is by a piece of a log: cause, consequence, or nothing of both."""
    lines = text.splitlines()
    if check.log_within and not _found(check.log_within, lines):
        return "nothing"
    if _found(check.log_cause, lines):
        return "cause"
    return "consequence" if _found(check.log_consequence, lines) else "nothing"


def _found(patterns: Iterable[str], lines: Iterable[str]) -> bool:
    return any(re.search(pattern, line) for pattern in patterns for line in lines)
