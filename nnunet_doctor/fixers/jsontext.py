"""JSON as text: where its values stand, so that one can be replaced and everything else stays as the user wrote it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

_DECODER = json.JSONDecoder()
_BLANKS = re.compile(r"[ \t\n\r]*")


class Member(NamedTuple):
    """A member of an object, or with the key None an item of a list; places in the text of key and value."""

    key: str | None
    key_start: int
    key_end: int
    value: Any
    start: int
    end: int


class Edit(NamedTuple):
    """A part of a text and what comes in its place."""

    start: int
    end: int
    text: str


def inside(text: str, at: int = 0) -> Iterator[Member]:
    """Yield the members of the object, or the items of the list, that begins at a place of valid JSON."""
    at = _skip(text, at)
    is_object, closer = text[at] == "{", "}" if text[at] == "{" else "]"
    at = _skip(text, at + 1)
    while text[at] != closer:
        key, key_start, key_end = None, at, at
        if is_object:
            key, key_end = _DECODER.raw_decode(text, at)
            at = _skip(text, _skip(text, key_end) + 1)
        value, end = _DECODER.raw_decode(text, at)
        yield Member(key, key_start, key_end, value, at, end)
        at = _skip(text, end)
        if text[at] == ",":
            at = _skip(text, at + 1)


def member(text: str, key: str) -> Member | None:
    """Return a member of the outermost object; of several with one key the last, as JSON readers do."""
    return next((item for item in reversed(list(inside(text))) if item.key == key), None)


def numbers(text: str, item: Member) -> Iterator[Member]:
    """Yield everything below a value that is neither an object nor a list."""
    if isinstance(item.value, (dict, list)):
        for inner in inside(text, item.start):
            yield from numbers(text, inner)
    else:
        yield item


def edited(text: str, edits: Iterable[Edit]) -> str:
    """Return the text with parts replaced; they do not overlap."""
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _skip(text: str, at: int) -> int:
    match = _BLANKS.match(text, at)
    return match.end() if match else at
