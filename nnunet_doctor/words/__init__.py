"""What the doctor says in each language; the words of checks stand in the checks.

Sentences of reports have a name and stand in ``en.toml`` and ``zh.toml``. Where a sentence is made deep inside, by a
probe or with an error, no language is known: it is English there, is kept so in facts and caches, and is translated
where it is shown. ``zh-sentences.toml``, ``zh-facts.toml`` and ``zh-help.toml`` say it by its English text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

import tomli

_SPOKEN = "en"
"""The language of the code."""


class Joints(NamedTuple):
    """What a language puts between sentences, between a place and what is said of it, and between parts of a line."""

    sentences: str
    place: str
    parts: str


JOINTS = {"en": Joints("; ", ": ", ", "), "zh": Joints("；", "：", "，")}


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


UNITS = {"en": ("d", "h", "min", "s"), "zh": ("天", "小时", "分钟", "秒")}
"""Units of time, the longest first."""


def duration(seconds: float, language: str) -> str:
    """Return a duration as people say it: 42 s, 3 min 5 s, 2 h 10 min, 12 d 4 h."""
    whole, units = round(seconds), UNITS[language]
    for place, (size, below) in enumerate(((86400, 3600), (3600, 60), (60, 1))):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size} {units[place]}" + (f" {rest} {units[place + 1]}" if rest else "")
    return f"{whole} {units[-1]}"


def bracketed(text: str, language: str) -> str:
    """Return what stands behind a word in brackets, in those of the language."""
    return {"en": f" ({text})", "zh": f"（{text}）"}[language]


# --- sentences of the code -------------------------------------------------------------------------------------------


_PLACE = re.compile(r"\S+|.*[/\\].*|.*:\d+", re.DOTALL)
"""What looks like a path, a name, or a line of a file."""


class _Form(NamedTuple):
    """A sentence with gaps, in English and as the other language says it.

    Attributes:
        letters: How many it has of its own.
        piece: Its longest piece between gaps.
        pattern: What it matches.
        said: The other language; gaps are numbered (``{0}``) where they come in another order.
    """

    letters: int
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
    forms = (
        _Form(
            sum(map(str.isalpha, english)),
            max(english.split("{}"), key=len),
            re.compile("(.*?)".join(map(re.escape, english.split("{}"))), re.DOTALL),
            said,
        )
        for english, said in phrases(language, "sentences").items()
        if "{}" in english
    )
    return tuple(sorted(forms, key=lambda form: -len(form.pattern.pattern)))


def phrase(language: str, book: str, english: str) -> str:
    """Return a text that never varies in a language; it stays English where no translation is known."""
    return english if language == _SPOKEN else phrases(language, book).get(english, english)


def translated(language: str, english: str) -> str:
    """Return a sentence of the code in a language.

    What fills its gaps is translated likewise. Sentences may be joined ("one; the other", "PLACE: sentence"). What is
    no sentence of the code (the words of an operating system, of a library, of a pack) stays as it is.
    """
    return english if language == _SPOKEN else _translation(language, english).text


class _Translation(NamedTuple):
    """A text in another language, and how many letters of the original are known words of the code."""

    known: int
    text: str


@lru_cache(maxsize=4096)
def _translation(language: str, english: str) -> _Translation:
    """Return the reading of a text that knows most of it: as one sentence, or as several that are joined."""
    said = phrases(language, "sentences").get(english)
    if said is not None:
        return _Translation(sum(map(str.isalpha, english)), said)
    found = [*_of_places(language, english), *_filled(language, english), *_joined(language, english)]
    return max(found, key=lambda item: item.known, default=_Translation(0, english))


def _of_places(language: str, english: str) -> Iterator[_Translation]:
    """Read a text as a place, or a sentence, with a sentence that is said of it."""
    for place in re.finditer(JOINTS[_SPOKEN].place, english):
        head, tail = (_translation(language, part) for part in (english[: place.start()], english[place.end() :]))
        if tail.known and (head.known or _PLACE.fullmatch(head.text)):
            yield _Translation(head.known + tail.known, f"{head.text}{JOINTS[language].place}{tail.text}")


def _joined(language: str, english: str) -> Iterator[_Translation]:
    """Read a text as two of equal rank, of which one at least is known."""
    for joint in re.finditer(JOINTS[_SPOKEN].sentences, english):
        parts = [_translation(language, part) for part in (english[: joint.start()], english[joint.end() :])]
        known = sum(part.known for part in parts)
        if known:
            yield _Translation(known, JOINTS[language].sentences.join(part.text for part in parts))


def _filled(language: str, english: str) -> Iterator[_Translation]:
    """Read a text as each sentence whose gaps it fills."""
    for form in _forms(language):
        if form.piece in english and (match := form.pattern.fullmatch(english)):
            values = [_translation(language, value) for value in match.groups()]
            rest = iter(values)
            text = re.sub(r"\{(\d*)\}", lambda gap: (values[int(gap[1])] if gap[1] else next(rest)).text, form.said)  # noqa: B023
            yield _Translation(form.letters + sum(value.known for value in values), text)
