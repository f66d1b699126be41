"""Hundreds of tiny cases tried by one test: to set up a case of its own takes pytest longer than the case takes."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

SHOWN = 20
"""So many failures are shown in full; the others are named."""


def together(
    names: str, cases: Iterable[Any], name_of: Callable[..., str] = lambda *values: ", ".join(map(str, values))
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Have one test try all cases, where ``pytest.mark.parametrize`` makes a test of each.

    No case hides another: the test fails with the name and the error of each one that fails, and counts as skipped
    when a case was. What fixtures make is the same for all cases.

    Args:
        names: Names of the arguments that a case gives, with commas between them.
        cases: A value each, or a tuple where there are several names.
        name_of: Names a case, from its values.

    Raises:
        ValueError: There is no case, so that the test could not fail.
    """
    words = [name.strip() for name in names.split(",")]
    rows = [case if len(words) > 1 else (case,) for case in cases]
    if not rows:
        raise ValueError(f"no case for {names}")

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(test)
        def test_all(**fixtures: Any) -> None:
            failed, skipped = [], []
            for row in rows:
                try:
                    test(**dict(zip(words, row, strict=True)), **fixtures)
                except pytest.skip.Exception as reason:
                    skipped.append(f"{name_of(*row)}: {reason}")
                except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - told below, with its case
                    failed.append((name_of(*row), error))
            if failed:
                pytest.fail(_told(failed, len(rows)), pytrace=False)
            if skipped:
                pytest.skip(f"{len(skipped)} of {len(rows)} cases: {'; '.join(skipped)}")

        kept = [item for name, item in inspect.signature(test).parameters.items() if name not in words]
        test_all.__signature__ = inspect.Signature(kept)  # type: ignore[attr-defined]
        return test_all

    return decorate


def _told(failed: Sequence[tuple[str, BaseException]], number: int) -> str:
    """Name every case that fails, and show the first of them as pytest does."""
    parts = [f"{len(failed)} of {number} cases fail: {'; '.join(name for name, _ in failed)}"]
    for name, error in failed[:SHOWN]:
        shown = pytest.ExceptionInfo.from_exception(error).getrepr(style="short")
        parts.append(f"--- {name}\n{shown}")
    return "\n\n".join(parts)
