"""What has changed, for people: checks that say something else, files, then facts in the order of their weight."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import IO, TYPE_CHECKING

from nnunet_doctor.contents import NAMES
from nnunet_doctor.facts import Detail, Observed, Unknown
from nnunet_doctor.history import Amount, Change, Comparison, Content
from nnunet_doctor.report.text import INDENT, console_for, print_block
from nnunet_doctor.words import JOINTS, say, translated

if TYPE_CHECKING:
    from rich.console import Console

MOST_ITEMS = 5
LONGEST = 300
KILO = 1000


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
    # a fingerprint says nothing to people; what differs in the files does
    facts = [item for item in comparison.changes if item.fact not in NAMES or _is_unknown(item)]
    behind = [item for item in facts if item.decides]
    _print_changes(behind, console, language)
    _print_contents(comparison.contents, console, language)
    _print_changes(facts[len(behind) :], console, language)
    if not facts and not comparison.contents:
        console.print()
        print_block(console, say(language, "diff_same"), indent=0)
    if comparison.not_compared is not None:
        reason = translated(language, comparison.not_compared)
        print_block(console, say(language, "diff_not_compared", reason=reason), indent=0)


def _is_unknown(change: Change) -> bool:
    return isinstance(change.old, Unknown) or isinstance(change.new, Unknown)


def _print_changes(all_changes: Sequence[Change], console: Console, language: str) -> None:
    for key, changes in groupby(all_changes, _weight):
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


def _print_contents(contents: Sequence[Content], console: Console, language: str) -> None:
    if not contents:
        return
    console.print()
    print_block(console, say(language, "diff_contents"), indent=0, style="bold")
    for item in contents:
        print_block(console, say(language, f"diff_part_{item.part}"), indent=2)
        for line in _lines(item, language):
            print_block(console, line)


def _lines(item: Content, language: str) -> Iterator[str]:
    """Say which files differ; where the names of then are not known, how many there were and are."""
    if item.named is not None:
        for kind, names in item.named._asdict().items():
            if names:
                shown = [*names[:MOST_ITEMS], *(["..."] if len(names) > MOST_ITEMS else [])]
                count = (item.old or Amount(0, 0)).files
                yield say(language, f"diff_content_{kind}", count=len(names), all=count, names=", ".join(shown))
    elif item.old is None:
        yield say(language, "diff_content_not_then")
    elif item.new is None:
        yield say(language, "diff_content_not_now")
    elif item.new.bytes is None or item.old.bytes is None:
        yield say(language, "diff_content_other")
    else:
        sizes = {"old_size": _size(item.old.bytes), "new_size": _size(item.new.bytes)}
        yield say(language, "diff_content_amounts", old=item.old.files, new=item.new.files, **sizes)


def _size(count: int) -> str:
    """Return a number of bytes as file managers say it."""
    size, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size >= KILO:
            size, unit = size / KILO, larger
    return f"{size:.3g} {unit}" if size < KILO else f"{size:.0f} {unit}"


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
