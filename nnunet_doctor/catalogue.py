"""Where checks come from: built in, a folder the user names, or an installed pack."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from nnunet_doctor import packs
from nnunet_doctor.check import AREAS, LANGUAGES, Body, Check, CheckError, Text, line_of, read_check
from nnunet_doctor.errors import nearest
from nnunet_doctor.words import say


class Listed(NamedTuple):
    """A check that is known to exist and may not have been read yet: its place tells id and area.

    ``read`` returns the check; it raises CheckError when the file is not one.
    """

    id: str
    area: str
    origin: str
    read: Callable[[], Check]


def built_in_folder() -> Path:
    """Return the folder of built-in checks: inside the package in a wheel, beside it in a checkout.

    The package is a plain folder wherever it is installed; it is not imported from an archive.
    """
    packaged = Path(__file__).with_name("checks")
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[1] / "checks"


def built_in_ids() -> frozenset[str]:
    """Return the ids of the built-in checks, which no other check may have."""
    return frozenset(path.name.removesuffix(".toml") for _, path in _files(built_in_folder()))


def is_own(folder: Path) -> bool:
    """Say whether a folder of areas is the catalogue of the doctor: the built-in one, or that of any checkout."""
    own = folder.name == "checks" and (folder.parent / "nnunet_doctor" / "check.py").is_file()
    return own or folder.resolve() == built_in_folder().resolve()


def load(folders: Sequence[Path] = (), *, with_examples: bool = False) -> tuple[Check, ...]:
    """Read all checks, in the order of areas and ids.

    Args:
        folders: More folders of areas.
        with_examples: Whether to read all of the built-in ones at once; see :func:`read_check`.

    Raises:
        CheckError: A file is not a check, an id occurs twice, or ``explains`` names no check.
    """
    checks = tuple(item.read() for item in listed(folders, with_examples=with_examples))
    _refuse_lost_explanations(checks)
    return checks


def listed(folders: Sequence[Path] = (), *, with_examples: bool = False) -> tuple[Listed, ...]:
    """List all checks, in the order of areas and ids; only those of packs and folders, which are few, are read.

    Raises:
        CheckError: A file of a folder is not a check, or an id occurs twice. A pack that is at fault is left out.
    """
    items = [
        Listed(
            path.name.removesuffix(".toml"),
            area,
            "built in",
            functools.partial(read_file, path, area, "built in", with_examples=with_examples),
        )
        for area, path in _files(built_in_folder())
    ]
    read = [
        *_packs({item.id for item in items}),
        *(check for folder in folders for check in read_folder(folder, str(folder))),
    ]
    items += map(_as_listed, read)
    _refuse_duplicates(items)
    place = {area: number for number, area in enumerate(AREAS)}
    return tuple(sorted(items, key=lambda item: (place.get(item.area, len(place)), item.id)))


def _itself(check: Check) -> Check:
    return check


def read_folder(folder: Path, origin: str) -> list[Check]:
    """Read every ``AREA/ID.toml`` below a folder, examples included.

    Raises:
        CheckError: A file is not a check, or cannot be read.
    """
    return [read_file(path, area, origin) for area, path in _files(folder)]


def read_file(path: Path, area: str, origin: str, *, with_examples: bool = True) -> Check:
    """Read one check file of an area.

    Raises:
        CheckError: It is not a check, or cannot be read.
    """
    name = str(path) if origin != "built in" else f"checks/{area}/{path.name}"
    try:
        if origin != "built in" and not path.is_file():
            raise CheckError(name, None, "the file is not a regular file")
        # Notepad puts a mark before UTF-8
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise CheckError(name, None, "the file is not UTF-8 text") from None
    except OSError as error:
        raise CheckError(name, None, f"the file cannot be read: {error.strerror}") from None
    return read_check(path.name.removesuffix(".toml"), area, text, name, origin, with_examples=with_examples)


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    for area in sorted(folder.iterdir(), key=lambda item: item.name):
        if not area.name.startswith((".", "__")) and area.is_dir():
            for path in sorted(area.iterdir(), key=lambda item: item.name):
                if path.name.endswith(".toml"):
                    yield area.name, path


def _packs(taken: Collection[str]) -> list[Check]:
    """Read the packs that are installed.

    What is wrong with a pack must not take the doctor down, and must not pass unseen: one check, which nobody can
    decide, stands in the place of all of its own.
    """
    checks: list[Check] = []
    for pack in packs.installed():
        if pack.problem is not None:
            checks.append(unreadable(pack.name, pack.problem))
            continue
        try:
            read = [check for folder in pack.folders for check in read_folder(folder, f"pack {pack.name}")]
            _refuse_duplicates([*map(_as_listed, checks), *map(_as_listed, read)], taken)
        except (CheckError, OSError) as error:
            read = [unreadable(pack.name, str(error))]
        checks += read
    return checks


def unreadable(pack: str, problem: str) -> Check:
    """Return what stands in the place of a pack that cannot be read; its checks may be errors, so it counts as one."""
    text = {
        language: Text(say(language, "pack_unreadable", pack=pack), say(language, "pack_unreadable_why"))
        for language in LANGUAGES
    }
    id = LEFT_OUT + re.sub(r"[^a-z0-9]+", "-", pack.lower()).strip("-")
    return Check(id, "nnunet", "error", lambda: Body(text), origin=f"pack {pack}", unreadable=problem)


LEFT_OUT = "pack-"
"""What the ids begin with that stand in the place of packs that cannot be read."""


def may_lack(known: Iterable[str]) -> bool:
    """Say whether there may be more checks than the ids that are known, because a pack cannot be read."""
    return any(id.startswith(LEFT_OUT) for id in known)


def is_unreadable(item: Listed) -> bool:
    """Say whether an item stands in the place of a pack that cannot be read."""
    return item.origin.startswith("pack ") and item.read().unreadable is not None


def _as_listed(check: Check) -> Listed:
    return Listed(check.id, check.area, check.origin, functools.partial(_itself, check))


def _refuse_duplicates(checks: Iterable[Listed], taken: Collection[str] = ()) -> None:
    seen: dict[str, Listed] = {}
    for check in checks:
        if check.id in taken:
            raise CheckError(f"{check.area}/{check.id}.toml", None, f"the id {check.id!r} is taken by a built-in check")
        first = seen.setdefault(check.id, check)
        if first is not check:
            raise CheckError(
                f"{check.area}/{check.id}.toml",
                None,
                f"the id {check.id!r} is taken by {first.area}/{first.id}.toml ({first.origin}); "
                "no two checks of any area share an id",
            )


def _refuse_lost_explanations(checks: Sequence[Check]) -> None:
    ids = {check.id for check in checks}
    for check in checks:
        # what a pack explains may be another pack's, which is not here, or cannot be read
        if not ids.issuperset(check.explains) and not check.origin.startswith("pack "):
            folder = built_in_folder() if check.origin == "built in" else Path(check.origin)
            refuse_lost_explanation(check, folder / check.area / f"{check.id}.toml", ids)


def refuse_lost_explanation(check: Check, path: Path, ids: Collection[str]) -> None:
    """See that what a check explains are checks.

    Args:
        check: The check.
        path: Its file, which is read again for the line.
        ids: Ids of all checks that there are.

    Raises:
        CheckError: One is none.
    """
    lost = next((id for id in check.explains if id not in ids), None)
    if lost is not None:
        line = line_of(path.read_text(encoding="utf-8-sig"), "explains")
        raise CheckError(str(path), line, f"'explains' names {lost!r}, and there is no such check{nearest(lost, ids)}")
