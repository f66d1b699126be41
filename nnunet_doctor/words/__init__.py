"""The doctor's own few sentences, in both languages; those of checks stand in the checks."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import tomli


@cache
def _table(language: str) -> dict[str, str]:
    return tomli.loads(Path(__file__).with_name(f"{language}.toml").read_text(encoding="utf-8"))


def say(language: str, key: str, **values: object) -> str:
    """Return a sentence with its values."""
    return template(language, key).format(**values)


def template(language: str, key: str) -> str:
    """Return a sentence with the names of its values in braces."""
    return _table(language)[key]


def keys(language: str) -> frozenset[str]:
    """Return the names of all sentences of a language."""
    return frozenset(_table(language))
