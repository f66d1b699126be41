"""What a fact is: a typed value, or an :class:`Unknown` with the reason.

``None`` means "does not apply here" (WSL facts on macOS); it is not unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar, Union

T = TypeVar("T")


@dataclass(frozen=True)
class Unknown:
    """A fact that nobody could learn, with the reason in one sentence."""

    reason: str


@dataclass(frozen=True)
class Detail:
    """One file, case, folder or variable that a problem is about, and what is said of it.

    ``message`` holds values (a path, a number, a requirement), not sentences, so that it needs no translation.
    """

    subject: str
    message: str = ""


Scalar = Union[str, int, float, bool, None]
"""What a plain fact can hold."""

Value = Union[Scalar, tuple[str, ...], tuple[float, ...], tuple[int, ...], tuple[Detail, ...]]
"""What any fact can hold."""

Observed = Union[Value, Unknown]

NOT_LOOKED_AT = Unknown("nothing has looked at this")


class Declared(NamedTuple):
    """A fact as its area declares it: its meaning, and whether it follows from others."""

    doc: str
    derived: bool


def fact(doc: str) -> Any:
    """Declare a fact that a probe or the user's request fills."""
    return Declared(doc, derived=False)


def derived(doc: str) -> Any:
    """Declare a fact that :mod:`nnunet_doctor.facts.derive` computes from other facts."""
    return Declared(doc, derived=True)
