"""Where checks come from: built in, a folder the user names, or an installed pack."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from nnunet_doctor.check import AREAS, Check, CheckError, read_check

ENTRY_POINTS = "nnunet_doctor.checks"
"""Entry-point group of packs: each entry names a package whose data folder holds area folders of check files."""


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


def load(folders: Sequence[Path] = (), *, with_examples: bool = False) -> tuple[Check, ...]:
    """Read all checks, in the order of areas and ids.

    Raises:
        CheckError: A file is not a check, an id occurs twice, or ``explains`` names no check.
    """
    checks = tuple(item.read() for item in listed(folders, with_examples=with_examples))
    _refuse_lost_explanations(checks)
    return checks


def listed(folders: Sequence[Path] = (), *, with_examples: bool = False) -> tuple[Listed, ...]:
    """List all checks, in the order of areas and ids; only those of packs and folders, which are few, are read.

    Raises:
        CheckError: A file of a pack or folder is not a check, or an id occurs twice.
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
    read = [*_packs(), *(check for folder in folders for check in read_folder(folder, str(folder)))]
    items += [Listed(check.id, check.area, check.origin, functools.partial(_itself, check)) for check in read]
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
        text = path.read_text(encoding="utf-8")
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


def _packs() -> Iterator[Check]:
    """Read the packs that are installed. A package is found by its spec; none of its code runs.

    An entry is written ``NAME = "package:folder"``, or ``NAME = "package"`` for its folder ``checks``.
    """
    if not _some_pack_is_installed():
        return

    import importlib.util
    from importlib.metadata import entry_points

    for entry in entry_points(group=ENTRY_POINTS):
        top = entry.module.partition(".")[0]
        spec = importlib.util.find_spec(top)
        places = list(spec.submodule_search_locations or ()) if spec else []
        below = entry.module.split(".")[1:]
        for place in places:
            folder = Path(place, *below, entry.attr or "checks")
            if folder.is_dir():
                yield from read_folder(folder, f"pack {entry.name}")


def _some_pack_is_installed() -> bool:
    """Look for the group's name in the entry points of all distributions; reading them all takes far longer."""
    header = f"[{ENTRY_POINTS}]".encode()
    for folder in dict.fromkeys(sys.path):
        with contextlib.suppress(OSError), os.scandir(folder or os.curdir) as entries:
            if any(header in _entry_points(entry) for entry in entries if entry.name.endswith("-info")):
                return True
    return False


def _entry_points(distribution: os.DirEntry[str]) -> bytes:
    """Read the entry points of a distribution; one that has none, or cannot be read, installs no pack."""
    try:
        with open(f"{distribution.path}/entry_points.txt", "rb") as file:  # noqa: PTH123 - for each distribution there is
            return file.read()
    except OSError:
        return b""


def _refuse_duplicates(checks: Iterable[Listed]) -> None:
    seen: dict[str, Listed] = {}
    for check in checks:
        first = seen.setdefault(check.id, check)
        if first is not check:
            raise CheckError(
                f"{check.area}/{check.id}.toml",
                None,
                f"the id {check.id!r} is taken by {first.area}/{first.id}.toml ({first.origin}); "
                "ids are unique over all areas",
            )


def _refuse_lost_explanations(checks: Sequence[Check]) -> None:
    ids = {check.id for check in checks}
    for check in checks:
        for id in check.explains:
            if id not in ids:
                raise CheckError(
                    f"{check.area}/{check.id}.toml", None, f"'explains' names {id!r}, and there is no such check"
                )
