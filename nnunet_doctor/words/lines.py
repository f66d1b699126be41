"""Where a line may end: at blanks, and in Chinese between any two letters, but never before a closing mark.

A small part of the Unicode line breaking algorithm (UAX #14): classes ID, OP, CL, QU and SP.
"""

from __future__ import annotations

_CLOSING = frozenset("，。；：？！、）》」』】”’％…")
_OPENING = frozenset("（《「『【“‘")


def breaks(text: str, width: int) -> list[int]:
    """Return the places in a text where a new line begins.

    Args:
        text: One or more lines.
        width: Columns of a line; a Chinese letter takes two. What has no place to break at is cut there.
    """
    from rich.cells import get_character_cell_size

    found: list[int] = []
    start, column, last = 0, 0, 0
    for place, letter in enumerate(text):
        size = get_character_cell_size(letter)
        if place > start and text[place - 1] == "\n":
            found.append(place)
            start, column, last = place, 0, place
        elif place > start and may_break(text[place - 1], letter):
            last = place
        if column + size > width and letter not in " \n":
            start = last if last > start else place
            found.append(start)
            column = sum(map(get_character_cell_size, text[start:place]))
            last = start
        column += size
    return found


def may_break(before: str, behind: str) -> bool:
    """Say whether a line may end between two letters."""
    if before == " " or behind == " ":
        return behind != " "
    if behind in _CLOSING or before in _OPENING:
        return False
    return any(letter in _CLOSING or letter in _OPENING or _is_chinese(letter) for letter in (before, behind))


def _is_chinese(letter: str) -> bool:
    return "\u2e80" <= letter <= "\u9fff" or "\uf900" <= letter <= "\uffef"
