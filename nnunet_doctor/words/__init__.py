"""What the doctor says in each language; the words of checks stand in the checks.

Sentences of reports have a name and stand in ``en.toml`` and ``zh.toml``. Where a sentence is made deep inside, by a
probe or with an error, no language is known: it is English there, is kept so in facts and caches, and is translated
where it is shown. ``zh-sentences.toml``, ``zh-facts.toml`` and ``zh-help.toml`` say it by its English text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

import tomli

_SPOKEN = "en"
"""The language of the code."""

JOINTS = {"en": ("; ", ": "), "zh": ("；", "：")}
"""What sentences are joined by: those of equal rank, and a place with what is said of it."""


def _read(name: str) -> dict[str, object]:
    return tomli.loads(Path(__file__).with_name(f"{name}.toml").read_text(encoding="utf-8"))


@cache
def _table(language: str) -> Mapping[str, str]:
    return _read(language)  # type: ignore[return-value]


def say(language: str, key: str, **values: object) -> str:
    """Return a sentence with its values."""
    return template(language, key).format(**values)


def template(language: str, key: str) -> str:
    """Return a sentence with the names of its values in braces."""
    return _table(language)[key]


def keys(language: str) -> frozenset[str]:
    """Return the names of all sentences of a language."""
    return frozenset(_table(language))


# --- sentences of the code -------------------------------------------------------------------------------------------


class _Form(NamedTuple):
    """A sentence with gaps: its longest piece between them, what it matches, and how the other language says it."""

    piece: str
    pattern: re.Pattern[str]
    said: str


@cache
def phrases(language: str, book: str) -> Mapping[str, str]:
    """Return how a language says the sentences of the code; ``{}`` stands for what varies.

    Args:
        language: Any but that of the code.
        book: sentences (errors, reasons, particulars), facts (what each means) or help (of commands and options).
    """
    return {english: said for part in _read(f"{language}-{book}").values() for english, said in part.items()}  # type: ignore[attr-defined]


@cache
def _forms(language: str) -> tuple[_Form, ...]:
    """Return sentences with gaps, those with most letters of their own first."""
    open_ones = [(english, said) for english, said in phrases(language, "sentences").items() if "{}" in english]
    open_ones.sort(key=lambda item: -len(item[0]))
    return tuple(
        _Form(
            max(english.split("{}"), key=len),
            re.compile("(.*?)".join(map(re.escape, english.split("{}"))), re.DOTALL),
            said,
        )
        for english, said in open_ones
    )


def phrase(language: str, book: str, english: str) -> str:
    """Return a text that never varies in a language; it stays English where no translation is known."""
    return english if language == _SPOKEN else phrases(language, book).get(english, english)


def translated(language: str, english: str) -> str:
    """Return a sentence of the code in a language.

    What fills its gaps is translated likewise. Sentences may be joined ("one; the other", "PLACE: sentence"). What is
    no sentence of the code (the words of an operating system, of a library, of a pack) stays as it is.
    """
    return english if language == _SPOKEN else _translation(language, english) or english


def _translation(language: str, english: str) -> str | None:
    """Return the translation of a sentence, or None where none is known."""
    if english in phrases(language, "sentences"):
        return phrases(language, "sentences")[english]
    for form in _forms(language):
        if form.piece in english and (match := form.pattern.fullmatch(english)):
            values = [_translation(language, value) or value for value in match.groups()]
            return _filled(form.said, values)
    (between, behind), (joint, mark) = JOINTS[_SPOKEN], JOINTS[language]
    parts = english.split(between)
    known = [_translation(language, part) for part in parts] if len(parts) > 1 else []
    if any(known):
        return joint.join(said or part for said, part in zip(known, parts, strict=True))
    for found in re.finditer(re.escape(behind), english):
        said = _translation(language, english[found.end() :])
        if said is not None:
            return f"{english[: found.start()]}{mark}{said}"
    return None


def _filled(said: str, values: list[str]) -> str:
    """Fill the gaps of a sentence, which are numbered (``{0}``) where they come in another order."""
    rest = iter(values)
    return re.sub(r"\{(\d*)\}", lambda gap: values[int(gap[1])] if gap[1] else next(rest), said)
