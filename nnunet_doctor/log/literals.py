"""Which expressions a line may match, by the fixed texts that they cannot match without.

A log has few kinds of lines: without its digits, an epoch looks like every other. What an expression needs is looked
for once in each kind, so that almost all lines of a log are never matched at all.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

from nnunet_doctor.expressions import parser

DIGITS = b"0123456789"

Needs = tuple[frozenset[bytes], ...]
"""What a text must hold, digits taken out of both: one of each group."""


def needs_of(pattern: str) -> Needs:
    """Return what every match of an expression holds; the first group is the one that is rarest in logs.

    Empty for an expression of which nothing is known, which has to be tried on every line.
    """
    sre = parser()
    parsed = sre.parse(pattern)
    if parsed.state.flags & sre.SRE_FLAG_IGNORECASE:
        return ()
    groups = {group for group in _needs(parsed, sre) if all(group)}
    return tuple(sorted(groups, key=_rarity, reverse=True))


def _rarity(group: frozenset[bytes]) -> tuple[float, int, list[bytes]]:
    return min(map(_weight, group)), -len(group), sorted(group)


_COMMON = b" etaonirslhdcumpfg_.,:-'\"()/["


def _weight(literal: bytes) -> float:
    """Weigh a text: long ones with rare letters are rare."""
    return sum(0.3 if byte in _COMMON[:12] else 0.6 if byte in _COMMON else 1.0 for byte in literal[:24])


def _needs(parts: Iterable[tuple[Any, Any]], sre: Any) -> list[frozenset[bytes]]:
    found: list[frozenset[bytes]] = []
    run = ""

    def flush() -> None:
        nonlocal run
        literal = run.encode("utf-8", "surrogatepass").translate(None, DIGITS)
        if literal:
            found.append(frozenset({literal}))
        run = ""

    for op, value in parts:
        if op is sre.LITERAL:
            run += chr(value)
        elif op is sre.AT:  # takes no characters
            continue
        else:
            flush()
            found += _needs_of_part(op, value, sre)
    flush()
    return found


def _needs_of_part(op: Any, value: Any, sre: Any) -> list[frozenset[bytes]]:
    if op is sre.SUBPATTERN:
        return [] if value[1] & sre.SRE_FLAG_IGNORECASE else _needs(value[-1], sre)
    if str(op) == "ATOMIC_GROUP":
        return _needs(value, sre)
    if op is sre.BRANCH:
        branches = [_needs(branch, sre) for branch in value[1]]
        if all(branches):
            return [frozenset().union(*(max(needs, key=_rarity) for needs in branches))]
        return []
    if op in (sre.MAX_REPEAT, sre.MIN_REPEAT) or str(op) == "POSSESSIVE_REPEAT":
        least, _most, inner = value
        return _needs(inner, sre) if least else []
    return []


_LARGE = 32 * 1024
"""From here on it pays to load numpy."""


class Index:
    """Finds, for kinds of lines, the expressions that they may match.

    Args:
        needs: What each expression needs.
    """

    def __init__(self, needs: Sequence[Needs]) -> None:
        """Sort the expressions by the text to look for."""
        self._needs = needs
        self.always = tuple(number for number, groups in enumerate(needs) if not groups)
        wanted: dict[bytes, list[int]] = {}
        for number, groups in enumerate(needs):
            for literal in groups[0] if groups else ():
                wanted.setdefault(literal, []).append(number)
        self._wanted: Mapping[bytes, Sequence[int]] = wanted
        self._table: Any = None

    def candidates(self, kinds: Sequence[bytes]) -> dict[int, list[int]]:
        """Return the numbers of the expressions by the number of the kind; a kind that matches none is left out.

        Args:
            kinds: Lines without their digits.
        """
        found: dict[int, list[int]] = {}
        text = b"\n".join(kinds)
        ends: list[int] | None = None
        for at, literal in self._literals_of(text):
            # a kind ends before its line end; the line ends before it count too
            ends = ends or list(accumulate(len(kind) + 1 for kind in kinds))
            which = bisect_right(ends, at)
            for number in self._wanted[literal]:
                if number not in found.get(which, ()) and self._may_match(number, kinds[which]):
                    found.setdefault(which, []).append(number)
        return found

    def _may_match(self, number: int, kind: bytes) -> bool:
        return all(any(literal in kind for literal in group) for group in self._needs[number])

    def _literals_of(self, text: bytes) -> Iterable[tuple[int, bytes]]:
        if len(text) < _LARGE:
            return self._by_search(text, self._wanted)
        return self._by_table(text)

    @staticmethod
    def _by_search(text: bytes, literals: Iterable[bytes]) -> Iterable[tuple[int, bytes]]:
        for literal in literals:
            at = text.find(literal)
            while at >= 0:
                yield at, literal
                at = text.find(literal, at + 1)

    def _by_table(self, text: bytes) -> Iterable[tuple[int, bytes]]:
        """Look at every four bytes of the text at once, in tables of what is in the wanted literals."""
        import numpy as np

        if self._table is None:
            self._table = _Table(self._wanted, np)
        table = self._table
        padded = text + b"\n\n\n"
        grams: Any = np.ndarray((len(text),), "<u4", buffer=padded, strides=(1,))
        fours = np.flatnonzero(table.fours[(grams * np.uint32(_FACTOR)) >> np.uint32(16)])
        yield from _verified(text, fours.tolist(), 4, table.of)
        pairs = np.flatnonzero(table.pairs[grams & np.uint32(0xFFFF)])
        yield from _verified(text, pairs.tolist(), 2, table.of)
        yield from self._by_search(text, table.single)


def _verified(
    text: bytes, places: Iterable[int], size: int, of: Mapping[bytes, Sequence[tuple[bytes, int]]]
) -> Iterable[tuple[int, bytes]]:
    """Yield those literals that really stand around places that a table has marked."""
    for place in places:
        for literal, offset in of.get(text[place : place + size], ()):
            if place >= offset and text.startswith(literal, place - offset):
                yield place - offset, literal


_FACTOR = 2654435761
"""Knuth's multiplicative hash: 2**32 over the golden ratio."""


class _Table:
    """The rarest four bytes of each literal, or two of a short one, where in it they are, and marks of them all."""

    def __init__(self, literals: Iterable[bytes], np: Any) -> None:
        self.fours = np.zeros(1 << 16, dtype=bool)
        self.pairs = np.zeros(1 << 16, dtype=bool)
        self.of: dict[bytes, list[tuple[bytes, int]]] = {}
        self.single: list[bytes] = []
        for literal in literals:
            size = 4 if len(literal) >= 4 else 2
            if len(literal) < 2:
                self.single.append(literal)
                continue
            offset = max(range(len(literal) - size + 1), key=lambda at: _weight(literal[at : at + size]))
            gram = literal[offset : offset + size]
            self.of.setdefault(gram, []).append((literal, offset))
            number = int.from_bytes(gram, "little")
            if size == 4:
                self.fours[(number * _FACTOR & 0xFFFFFFFF) >> 16] = True
            else:
                self.pairs[number] = True
