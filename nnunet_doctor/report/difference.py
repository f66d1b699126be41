"""What has changed, for people: checks that say something else, then facts in the order of their weight."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import IO, TYPE_CHECKING

from nnunet_doctor.facts import Detail, Observed, Unknown
from nnunet_doctor.history import Change, Comparison
from nnunet_doctor.report.text import INDENT, console_for, print_block
from nnunet_doctor.words import JOINTS, say, translated

if TYPE_CHECKING:
    from rich.console import Console

MOST_ITEMS = 5
LONGEST = 300


def print_difference(comparison: Comparison, sources: tuple[str, str], language: str, out: IO[str]) -> None:
    """Print a comparison.

    Args:
        comparison: What has changed.
        sources: Where the old and the new facts come from, in words.
        language: en or zh.
        out: Where to.
    """
    console = console_for(out, None if out.isatty() else 80)
    for key, source in zip(("diff_old", "diff_new"), sources, strict=True):
        print_block(console, say(language, key, source=source), indent=0, style="bold")
    for key, ids in (("diff_fires", comparison.fires), ("diff_silent", comparison.silent)):
        if ids:
            print_block(console, say(language, key, ids=JOINTS[language].parts.join(ids)), indent=0)
    for key, changes in groupby(comparison.changes, _weight):
        console.print()
        print_block(console, say(language, key), indent=0, style="bold")
        lost: dict[str, list[str]] = {}
        gone: list[Change] = []
        for change in changes:
            if isinstance(change.new, Unknown) and not change.decides:
                lost.setdefault(change.new.reason, []).append(change.fact)
            elif change.new is None and not change.decides:
                gone.append(change)
            else:
                _print_change(change, console, language)
        _print_gone(gone, console, language)
        for reason, names in lost.items():
            print_block(console, say(language, "diff_lost", reason=translated(language, reason)), indent=2)
            print_block(console, ", ".join(names))
    if not comparison.changes:
        console.print()
        print_block(console, say(language, "diff_same"), indent=0)


def _weight(change: Change) -> str:
    return "diff_decides" if change.decides else "diff_asked" if change.is_asked else "diff_rest"


def _print_gone(changes: Sequence[Change], console: Console, language: str) -> None:
    """Tell facts that have no value any more; where data were removed, there are dozens, and they are named only."""
    if len(changes) <= MOST_ITEMS:
        for change in changes:
            _print_change(change, console, language)
    else:
        print_block(console, say(language, "diff_gone"), indent=2)
        print_block(console, ", ".join(change.fact for change in changes))


def _print_change(change: Change, console: Console, language: str) -> None:
    name = f"{say(language, f'diff_group_{change.group}')}  {change.fact}"
    print_block(console, name + (f"  ({', '.join(change.decides)})" if change.decides else ""), indent=2)
    if isinstance(change.old, tuple) and isinstance(change.new, tuple) and not _are_numbers(change):
        _print_items("-", [item for item in change.old if item not in change.new], console, language)
        _print_items("+", [item for item in change.new if item not in change.old], console, language)
        if set(map(str, change.old)) == set(map(str, change.new)):
            print_block(console, f"{_shown(change.old, language)} -> {_shown(change.new, language)}")
    else:
        print_block(console, f"{_shown(change.old, language)} -> {_shown(change.new, language)}")


def _are_numbers(change: Change) -> bool:
    """Say whether the items are numbers, which have an order: a patch size is one value."""
    items = [item for value in (change.old, change.new) if isinstance(value, tuple) for item in value]
    return any(isinstance(item, (int, float)) for item in items)


def _print_items(mark: str, items: Sequence[object], console: Console, language: str) -> None:
    for item in items[:MOST_ITEMS]:
        print_block(console, f"{mark} {_item(item, language)}")
    if len(items) > MOST_ITEMS:
        print_block(console, f"{mark} {say(language, 'also', count=len(items) - MOST_ITEMS)}", indent=INDENT)


def _item(item: object, language: str) -> str:
    if isinstance(item, Detail):
        return f"{item.subject}  {translated(language, item.message)}".rstrip()
    return translated(language, str(item))


def _shown(value: Observed, language: str) -> str:
    if isinstance(value, Unknown):
        text = say(language, "diff_unknown", reason=translated(language, value.reason))
    elif isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, tuple):
        shown = [_item(item, language) for item in value[:MOST_ITEMS]]
        text = f"[{', '.join([*shown, '...'] if len(value) > MOST_ITEMS else shown)}]"
    else:
        text = say(language, "diff_none") if value is None else str(value)
    return text if len(text) <= LONGEST else text[:LONGEST] + "..."
