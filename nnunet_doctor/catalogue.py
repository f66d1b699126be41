"""Where checks come from: built in, a folder the user names, or an installed pack."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_doctor.check import AREAS, Check, CheckError, read_check

if TYPE_CHECKING:
    if sys.version_info >= (3, 11):
        from importlib.resources.abc import Traversable
    else:
        from importlib.abc import Traversable

ENTRY_POINTS = "nnunet_doctor.checks"
"""Entry-point group of packs: each entry names a package whose data folder holds area folders of check files."""


def built_in_folder() -> Traversable:
    """Return the folder of built-in checks: inside the package in a wheel, beside it in a checkout."""
    packaged = files("nnunet_doctor") / "checks"
    return packaged if packaged.is_dir() else Path(__file__).resolve().parents[1] / "checks"


def load(folders: Sequence[Path] = (), *, with_examples: bool = False) -> tuple[Check, ...]:
    """Read all checks, in the order of areas and ids.

    Raises:
        CheckError: A file is not a check, an id occurs twice, or ``explains`` names no check.
    """
    checks = [*read_folder(built_in_folder(), "built in", with_examples=with_examples), *_packs()]
    for folder in folders:
        checks += read_folder(folder, str(folder), with_examples=True)
    _refuse_duplicates(checks)
    _refuse_lost_explanations(checks)
    return tuple(sorted(checks, key=lambda check: (AREAS.index(check.area), check.id)))


def read_folder(folder: Traversable, origin: str, *, with_examples: bool = False) -> list[Check]:
    """Read every ``AREA/ID.toml`` below a folder.

    Raises:
        CheckError: A file is not a check, or cannot be read.
    """
    return [read_file(path, area, origin, with_examples=with_examples) for area, path in _files(folder)]


def read_file(path: Traversable, area: str, origin: str, *, with_examples: bool = True) -> Check:
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


def _files(folder: Traversable) -> Iterator[tuple[str, Traversable]]:
    for area in sorted(folder.iterdir(), key=lambda item: item.name):
        if area.is_dir() and not area.name.startswith((".", "__")):
            for path in sorted(area.iterdir(), key=lambda item: item.name):
                if path.name.endswith(".toml"):
                    yield area.name, path


def _packs() -> Iterator[Check]:
    """Read the packs that are installed. A package is found by its spec; none of its code runs.

    An entry is written ``NAME = "package:folder"``, or ``NAME = "package"`` for its folder ``checks``.
    """
    if not _some_pack_is_installed():
        return

    from importlib.metadata import entry_points

    for entry in entry_points(group=ENTRY_POINTS):
        top = entry.module.partition(".")[0]
        spec = importlib.util.find_spec(top)
        places = list(spec.submodule_search_locations or ()) if spec else []
        below = entry.module.split(".")[1:]
        for place in places:
            folder = Path(place, *below, entry.attr or "checks")
            if folder.is_dir():
                yield from read_folder(folder, f"pack {entry.name}", with_examples=True)


def _some_pack_is_installed() -> bool:
    """Look for the group's name in the entry points of all distributions; reading them all takes far longer."""
    header = f"[{ENTRY_POINTS}]".encode()
    for folder in map(Path, dict.fromkeys(sys.path)):
        for file in folder.glob("*-info/entry_points.txt") if folder.is_dir() else ():
            try:
                if header in file.read_bytes():
                    return True
            except OSError:  # what cannot be read installs no pack
                continue
    return False


def _refuse_duplicates(checks: Iterable[Check]) -> None:
    seen: dict[str, Check] = {}
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
