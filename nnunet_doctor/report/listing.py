"""The catalogue in print: ``list``, ``explain`` and ``checks test``."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import tomli

from nnunet_doctor.catalogue import built_in_ids, is_own, listed, read_file, refuse_lost_explanation
from nnunet_doctor.check import AREAS, SEVERITIES, Check, CheckError
from nnunet_doctor.engine import agrees, ask
from nnunet_doctor.errors import UserError
from nnunet_doctor.explanation import explanation
from nnunet_doctor.facts import CATALOGUE
from nnunet_doctor.facts.derive import inputs_of
from nnunet_doctor.facts.tables import NAMES, known_until, newest_of, rows, sources
from nnunet_doctor.log.signatures import says
from nnunet_doctor.packs import FOLDER, NO_CHECKS, holds_areas
from nnunet_doctor.report.text import console_for, print_block, print_hanging
from nnunet_doctor.words import phrase, say, translated


class FailureMode(NamedTuple):
    """A way in which nnU-Net has failed its users: its id, and its name in both languages."""

    id: str
    en: str
    zh: str


def failure_modes() -> tuple[FailureMode, ...]:
    """Read the failure modes that checks may name as ``covers``."""
    text = Path(__file__).with_name("failures.toml").read_text(encoding="utf-8")
    return tuple(FailureMode(**mode) for mode in tomli.loads(text)["mode"])


def _rows(what: str, checks: Sequence[Check]) -> list[dict[str, Any]]:
    if what == "facts":
        return [
            {
                "name": info.name,
                "type": info.type_name,
                "derived": info.derived,
                "from": list(inputs_of(info.name)),
                "doc": info.doc,
            }
            for info in CATALOGUE.values()
        ]
    if what == "tables":
        return [
            {
                "name": name,
                "known_until": known_until(name),
                "newest": newest_of(name),
                "rows": rows(name),
                "sources": list(sources(name)),
            }
            for name in NAMES
        ]
    return [
        {
            "id": check.id,
            "area": check.area,
            "severity": check.severity,
            "when": check.when.text if check.when else None,
            "subjects": check.subjects,
            "titles": {language: text.title for language, text in check.text.items()},
            "references": list(check.references),
            "covers": list(check.covers),
            "origin": check.origin,
        }
        for check in checks
    ]


def to_json(what: str, checks: Sequence[Check], *, ascii_only: bool) -> str:
    """Return checks, facts or tables as JSON text."""
    return json.dumps(_rows(what, checks), indent=2, ensure_ascii=ascii_only)


def to_markdown(checks: Sequence[Check]) -> str:
    """Return a document of two tables: all checks by area, and the checks of each failure mode."""
    modes = failure_modes()
    lines = [
        "# The catalogue",
        "",
        f"{len(checks)} checks, and {len(modes)} ways to fail that users of nnU-Net have reported.",
        "`nnunet-doctor list --markdown` makes this page; `nnunet-doctor explain ID` says all about a check.",
        "",
        "A check with *before* fires before a run, from facts; one with *log* recognises what a failed run printed.",
        "One with *symptom* explains a message that only says that something went wrong elsewhere.",
    ]
    for area in AREAS:
        lines += [
            "",
            f"## {area}",
            "",
            "| check | severity | seen | problem | 问题 |",
            "| --- | --- | --- | --- | --- |",
        ]
        lines += [
            _table_row(
                f"[{check.id}]({area}/{check.id}.toml)",
                check.severity,
                _seen(check),
                *(_without_facts(check.text[language].title) for language in ("en", "zh")),
            )
            for check in checks
            if check.area == area
        ]
    lines += [
        "",
        "## Failure modes",
        "",
        "| failure mode | what happens | 情况 | checks |",
        "| --- | --- | --- | --- |",
    ]
    for mode in modes:
        found_by = ", ".join(
            f"[{check.id}]({check.area}/{check.id}.toml)" for check in checks if mode.id in check.covers
        )
        lines.append(_table_row(mode.id, mode.en, mode.zh, found_by))
    return "\n".join(lines) + "\n"


def _seen(check: Check) -> str:
    in_log = "log" if check.log_cause else "" if check.is_decided_by_facts or not check.log_consequence else "symptom"
    return ", ".join(filter(None, ("before" if check.is_decided_by_facts else "", in_log)))


def _without_facts(title: str) -> str:
    return re.sub(r"\{[a-z0-9_.]+\}", "…", title)


def _table_row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def print_list(what: str, checks: Sequence[Check], language: str, out: IO[str]) -> None:
    """Print checks, facts or tables, a line or two each."""
    from rich.text import Text

    console = console_for(out)
    if what == "checks":
        for area in AREAS:
            for check in (check for check in checks if check.area == area):
                head = Text(f"{check.area:{_AREA}}{check.severity:{_SEVERITY}}")
                told = Text.assemble((check.id, "bold"), f"\n{_without_facts(check.text[language].title)}")
                print_hanging(console, head, told, _AREA + _SEVERITY)
        console.print(f"{len(checks)}")
    elif what == "tables":
        for row in _rows(what, checks):
            newest = "" if row["newest"] is None else say(language, "table_newest", release=row["newest"])
            size = say(language, "table_size", rows=row["rows"], day=row["known_until"])
            print_block(console, row["name"], indent=0, style="bold")
            print_block(console, size + newest)
            for source in row["sources"]:
                print_block(console, f"- {source}", style="dim")
    else:
        facts = _rows(what, checks)
        indent = max(len(row["name"]) for row in facts) + 2
        for row in facts:
            key = "list_fact_derived" if row["derived"] else "list_fact_observed"
            doc, kind = phrase(language, "facts", row["doc"]), translated(language, row["type"])
            said = say(language, key, doc=doc, type=kind, others=", ".join(row["from"]))
            print_hanging(console, Text(row["name"], style="bold"), Text(said), indent)


_AREA = max(map(len, AREAS)) + 2
_SEVERITY = max(map(len, SEVERITIES)) + 2
"""Columns of a list of checks."""


def print_explanation(check: Check, language: str, out: IO[str]) -> None:
    """Print all that a check file says, in one language."""
    from rich.text import Text

    console = console_for(out)
    for part in explanation(check, language):
        if part.kind == "gap":
            console.print()
        elif part.kind == "command":
            console.print(Text(f"    {part.text}", style="green"), soft_wrap=True)
        else:
            indent = 4 if part.kind == "fact" else 0
            print_block(console, part.text, indent, _STYLES.get(part.kind, ""))


_STYLES = {"head": "bold", "title": "bold", "fact": "dim", "example": "dim", "note": "dim", "reference": "dim"}


def test_checks(path: Path, language: str, out: IO[str]) -> int:
    """Validate check files and run their examples; return 0 when all is well, else 1.

    Raises:
        UserError: There are no check files at the path.
    """
    files = check_files(path)
    if not files:
        raise UserError(f"{path} holds no check files; they are AREA/ID.toml, and the areas are {', '.join(AREAS)}")
    console = console_for(out)
    company = _company_of(files)
    bad = 0
    for file in files:
        problems, missing = _problems(file, company)
        bad += bool(problems)
        for problem in problems:
            console.print(f"FAIL  {translated(language, problem)}", soft_wrap=True)
        if missing:
            console.print(f"warn  {translated(language, missing)}", soft_wrap=True)
        if not problems:
            console.print(f"ok    {file}", soft_wrap=True)
    console.print(f"{len(files) - bad} ok, {bad} FAIL")
    return 1 if bad else 0


class _Company(NamedTuple):
    """The checks that those under test are going to stand beside.

    Attributes:
        built_in: Ids that are taken; none where the built-in checks themselves are under test.
        seen: Files of the same pack by id: those that are not under test, and those that have been tested.
        ids: Ids of all checks that another may explain.
    """

    built_in: Collection[str]
    seen: dict[str, Path]
    ids: Collection[str]


def _company_of(files: Sequence[Path]) -> _Company:
    tested = {file.resolve() for file in files}
    pack = files[0].resolve().parent.parent
    beside = [file for area in AREAS for file in sorted((pack / area).glob("*.toml")) if file not in tested]
    return _Company(
        () if is_own(pack) else built_in_ids(),
        {file.stem: file for file in beside},
        {file.stem for file in (*tested, *beside)} | {item.id for item in listed()},
    )


def _problems(file: Path, company: _Company) -> tuple[list[str], str]:
    """Return what is wrong with a check file, and what it had better have, each with its place."""
    try:
        check = read_file(file, file.resolve().parent.name, str(file.parent))
        refuse_lost_explanation(check, file, company.ids)
    except CheckError as error:
        return [str(error)], ""
    problems = []
    if check.id in company.built_in:
        problems.append(f"{file}: the id {check.id!r} is taken by a built-in check")
    first = company.seen.setdefault(check.id, file)
    if first != file:
        problems.append(f"{file}: the id {check.id!r} is taken by {first}; ids are unique over all areas")
    for example in check.examples:
        if not agrees(check, example):
            verdict = ask(check, example.facts)
            said = {True: "fires", False: "silent", None: "unknown"}[verdict.value]
            problem = f"{file}: example {example.name!r} expects {example.expect}, and the check says {said}"
            problems.append(f"{problem}; decided by {', '.join(verdict.deciding)}" if verdict.deciding else problem)
    for quoted in check.log_examples:
        said = says(check, quoted.log)
        if said != quoted.expect:
            problems.append(f"{file}: example {quoted.name!r} expects {quoted.expect}, and the log says {said}")
    lacking = check.is_decided_by_facts and all(example.expect != "unknown" for example in check.examples)
    missing = f"{file}: no [[example]] expects 'unknown', and what the check asks may be unknown" if lacking else ""
    return problems, missing


def check_files(path: Path) -> list[Path]:
    """List check files: the file itself, or those of an area folder, of a folder of areas, or of ``checks`` in it.

    Raises:
        UserError: The path does not exist.
    """
    try:
        if path.is_file():
            return [path]
        if not path.is_dir():
            raise UserError(f"{path} does not exist")
        own = sorted(file for file in path.glob("*.toml") if file.name not in NO_CHECKS)
        if not own and not holds_areas(path) and holds_areas(path / FOLDER):
            path = path / FOLDER
        return own or sorted(file for file in path.glob("*/*.toml") if not file.parent.name.startswith((".", "__")))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from None
