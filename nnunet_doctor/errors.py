"""What goes wrong by the user's hand: one sentence, exit code 2, no traceback."""

from __future__ import annotations

from collections.abc import Iterable


class UserError(Exception):
    """Wrong use. The message is one sentence that says what is wrong, where, and what to do."""


def nearest(word: str, words: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest of some words, or an empty text."""
    found = nearest_word(word, words)
    hint = f"did you mean {found!r}?"
    return f"; {hint}" if found else ""


def nearest_word(word: str, words: Iterable[str]) -> str:
    """Return the nearest of some words, or an empty text where none is near."""
    import difflib

    return next(iter(difflib.get_close_matches(word, list(words), n=1, cutoff=0.6)), "")
