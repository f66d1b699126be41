"""Installed packs: where their checks lie, which facts they add, and what is wrong with them. None of their code runs.

A pack is an installed package with an entry ``NAME = "package:folder"`` (or ``NAME = "package"`` for its folder
``checks``) in the group ``nnunet_doctor.checks``. A folder in a folder is named with ``/`` or, as a module is, with a
dot; the folder that is named holds area folders, or has a folder ``checks`` that does. A file ``facts.toml`` in it
declares facts of its own, which the function ``look`` of the module behind ``NAME`` in the group
``nnunet_doctor.probes`` fills.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from nnunet_doctor.check import AREAS as AREAS_OF_CHECKS
from nnunet_doctor.errors import UserError, nearest
from nnunet_doctor.facts.record import AREAS, CATALOGUE, TYPE_NAMES, FactInfo

CHECKS = "nnunet_doctor.checks"
"""Entry-point group of packs: each entry names a package whose data folder holds area folders of check files."""

PROBES = "nnunet_doctor.probes"
"""Entry-point group of probes: each entry names a module of a pack of the same name."""

DECLARATIONS = "facts.toml"
NO_CHECKS = (DECLARATIONS, "pyproject.toml")
"""Files that may lie beside area folders."""

FOLDER = "checks"
"""Where a pack has its checks, unless its entry names another folder."""

_HEADERS = (f"[{CHECKS}]".encode(), f"[{PROBES}]".encode())
_ENTRY = re.compile(r"([\w.]+)\s*(?::\s*(?!/)([\w./-]+))?\s*(?:\[[^\]]*\]\s*)?")
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_KEYS = {"type", "doc"}


class Pack(NamedTuple):
    """An installed pack.

    Attributes:
        name: Name of its entry.
        folders: Folders of check files.
        facts: Facts that it declares, by name.
        probe: Module that fills them; None without one.
        problem: Why nothing of it can be used, in one sentence; None when all is well.
    """

    name: str
    folders: tuple[Path, ...] = ()
    facts: Mapping[str, FactInfo] = MappingProxyType({})
    probe: str | None = None
    problem: str | None = None


class _Entry(NamedTuple):
    """A line of entry_points.txt, with the group that it stands in."""

    group: str
    name: str
    value: str


class PackError(ValueError):
    """Something about a pack that is not as it should be; the message is one sentence."""


def installed() -> tuple[Pack, ...]:
    """Find all packs, in the order of their names, and make their facts known to the catalogue of facts."""
    return _installed(tuple(sys.path))


@functools.cache
def _installed(path: tuple[str, ...]) -> tuple[Pack, ...]:
    found: list[Pack] = []
    for distribution in _distributions(path):
        found += _packs_of(distribution)
    packs: dict[str, Pack] = {}
    for pack in sorted(found, key=lambda pack: pack.name):
        known = packs.get(pack.name)
        packs[pack.name] = pack if known is None else known._replace(problem="two installed packages have this name")
    return tuple(_declared(pack) for pack in packs.values())


def know_facts_beside(path: Path) -> None:
    """Make known the facts of a pack that is not installed, which check files at a path may ask.

    Raises:
        UserError: The declarations are wrong.
    """
    installed()
    for folder in (path, path / FOLDER, *path.absolute().parents[:2]):
        try:
            CATALOGUE.update(_facts_in(folder / DECLARATIONS))
        except PackError as error:
            raise UserError(str(error)) from None


def owner_of(fact: str) -> str | None:
    """Name the pack that declares a fact; None for a fact of the doctor's own."""
    if fact.partition(".")[0] in AREAS:
        return None
    return next((pack.name for pack in installed() if fact in pack.facts), None)


def _distributions(path: tuple[str, ...]) -> Iterator[Path]:
    """Yield the metadata of distributions whose entry points name one of the groups; reading them all takes longer."""
    seen: set[str] = set()
    for folder in dict.fromkeys(path):
        with contextlib.suppress(OSError), os.scandir(folder or os.curdir) as entries:
            for entry in sorted(entries, key=lambda item: item.name):
                name = entry.name.partition("-")[0].lower()
                if entry.name.endswith("-info") and name not in seen:
                    content = _entry_points(entry)
                    if any(header in content for header in _HEADERS):
                        seen.add(name)
                        yield Path(entry.path)


def _entry_points(distribution: os.DirEntry[str]) -> bytes:
    """Read the entry points of a distribution; one that has none, or cannot be read, installs no pack."""
    try:
        with open(f"{distribution.path}/entry_points.txt", "rb") as file:  # noqa: PTH123 - for each distribution there is
            return file.read()
    except OSError:
        return b""


def _packs_of(distribution: Path) -> list[Pack]:
    try:
        entries = list(_entries((distribution / "entry_points.txt").read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:  # one package's garbage must not cost the others
        name = distribution.name.partition("-")[0]
        return [Pack(name, problem=f"the entry points of {distribution.name} cannot be read: {error}")]
    probes = {entry.name: entry.value for entry in entries if entry.group == PROBES}
    packs = []
    for entry in entries:
        if entry.group == CHECKS:
            try:
                packs.append(_read(entry.name, entry.value, probes.get(entry.name)))
            except (PackError, OSError) as error:
                packs.append(Pack(entry.name, problem=str(error)))
    lost = probes.keys() - {pack.name for pack in packs}
    return packs + [Pack(name, problem=f"its probe has no entry of that name in {CHECKS}") for name in lost]


def _entries(text: str) -> Iterator[_Entry]:
    """Yield the entries of our groups; importlib.metadata refuses all for one of another group, from Python 3.15 on.

    Raises:
        ValueError: One of our groups holds something else.
    """
    group = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            group = line.strip("[] ")
        elif line and not line.startswith("#") and group in (CHECKS, PROBES):
            name, equals, value = line.partition("=")
            if not equals:
                raise PackError(f"{line!r} is no entry")
            yield _Entry(group, name.strip(), value.strip())


def _read(name: str, value: str, probe: str | None) -> Pack:
    import importlib.util

    written = _ENTRY.fullmatch(value)
    if written is None or ".." in value:
        raise PackError(f"its entry says {value!r}, and package:folder is wanted")
    top, *below = written[1].split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError) as error:
        raise PackError(f"the package {top} cannot be found: {error}") from None
    places = list(spec.submodule_search_locations or ()) if spec else []
    folders = tuple(folder for place in places if (folder := _folder_in(Path(place, *below), written[2])))
    if not folders:
        raise PackError(f"there is no folder {written[2] or FOLDER} in the package {written[1]}")
    facts: dict[str, FactInfo] = {}
    for folder in folders:
        facts |= _facts_in(folder / DECLARATIONS)
        refuse_lost_files(folder, needs_checks=not facts)
    if facts and probe is None:
        raise PackError(f"{DECLARATIONS} declares facts, and there is no probe of the name {name} in {PROBES}")
    if probe is not None and not facts:
        raise PackError(f"it has a probe, and no {DECLARATIONS} that declares its facts")
    return Pack(name, folders, facts, probe)


def _folder_in(package: Path, named: str | None) -> Path | None:
    """Return the folder of checks of a package; None when there is none.

    Of the folder that the entry names and ``checks`` in it, it is the one with area folders. Where neither has any, it
    is the one in which the author would look for what is wrong.
    """
    if named is None:
        candidates = [package / FOLDER, package]
    else:
        folder = package / named
        folder = folder if folder.is_dir() else package / named.replace(".", "/")
        candidates = [folder, folder / FOLDER]
    found = next(filter(holds_areas, candidates), None)
    if found is None and candidates[0].is_dir():
        return candidates[0]
    return found or next((folder for folder in candidates if _is_meant(folder)), None)


def holds_areas(folder: Path) -> bool:
    """Say whether a folder has area folders with check files."""
    return any(next((folder / area).glob("*.toml"), None) for area in AREAS_OF_CHECKS)


def _is_meant(folder: Path) -> bool:
    """Say whether a folder looks as if it were to hold checks, if not in areas that there are."""
    return (folder / DECLARATIONS).is_file() or next(folder.glob("*/*.toml"), None) is not None


def refuse_lost_files(folder: Path, *, needs_checks: bool = True) -> None:
    """See that a folder has check files, and none beside the area folders, where nothing would read it.

    Raises:
        PackError: It has none, or one that is lost.
    """
    stray = next((path for path in sorted(folder.glob("*.toml")) if path.name not in NO_CHECKS), None)
    if stray is not None:
        raise PackError(f"{stray} lies in no area folder; check files are AREA/ID.toml")
    if needs_checks and next(folder.glob("*/*.toml"), None) is None:
        raise PackError(f"there is no check file in {folder}; they are AREA/ID.toml")


def _facts_in(path: Path) -> dict[str, FactInfo]:
    """Read declarations: a table for each area, with ``noun = { type = "...", doc = "..." }``."""
    if not path.is_file():
        return {}
    import tomli

    try:
        document = tomli.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise PackError(f"{path} cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, tomli.TOMLDecodeError, RecursionError) as error:
        raise PackError(f"{path} is not TOML: {error}") from None
    facts: dict[str, FactInfo] = {}
    for area, nouns in document.items():
        if area in AREAS:
            raise PackError(f"{path}: {area!r} is an area of the doctor's own")
        if not _NAME.fullmatch(area) or not isinstance(nouns, dict):
            raise PackError(f"{path}: {area!r} is no area: a table in lower case")
        facts |= {f"{area}.{noun}": _fact(path, f"{area}.{noun}", noun, given) for noun, given in nouns.items()}
    return facts


def _fact(path: Path, name: str, noun: str, given: Any) -> FactInfo:
    if not _NAME.fullmatch(noun) or not isinstance(given, dict) or set(given) != _KEYS:
        raise PackError(f"{path}: {name!r} is no fact: a word in lower case, with type and doc")
    words, doc = given["type"], given["doc"]
    plain = words.removesuffix(" or none") if isinstance(words, str) else ""
    types = {said: type for type, said in TYPE_NAMES.items()}
    if plain not in types or not isinstance(doc, str) or not doc.strip():
        near = nearest(plain, types)
        raise PackError(f"{path}: {name}: there is no type {words!r}{near}; there are {', '.join(types)}")
    return FactInfo(name, types[plain], words != plain, derived=False, doc=doc)


def _declared(pack: Pack) -> Pack:
    clash = next((name for name in pack.facts if name in CATALOGUE), None)
    if clash is not None:
        return Pack(pack.name, problem=f"the fact {clash} is declared by another pack")
    if pack.problem is None:
        CATALOGUE.update(pack.facts)
    return pack
