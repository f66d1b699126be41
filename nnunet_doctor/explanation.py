"""All that a check file says, in order, in one language: for the terminal and for the pages of the documentation."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Literal, NamedTuple

from nnunet_doctor.check import NOT_GIVEN, Check, Example, LogExample
from nnunet_doctor.facts import CATALOGUE, Detail, Observed, Unknown
from nnunet_doctor.words import JOINTS, bracketed, phrase, say, translated

Kind = Literal["head", "title", "text", "fact", "fix", "command", "example", "note", "reference", "gap"]


class Part(NamedTuple):
    """A line of an explanation, or a gap between lines."""

    kind: Kind
    text: str = ""


GAP = Part("gap")

_LONGEST = 180
"""Letters that are shown of facts or a log line."""

_TAKEN = ("", "?", "none", "true", "false")
"""Texts that would be taken for other values, or not be seen."""

_FILE = re.compile(r'File "[^"]*[/\\]([^"/\\]+[/\\][^"/\\]+)"')


def explanation(check: Check, language: str) -> list[Part]:
    """Return what is said of a check: problem, condition, facts, ways out, examples, sources."""
    text = check.text[language]
    origin = "" if check.origin == "built in" else f"  {check.origin}"
    parts = [Part("head", f"{check.area}/{check.id}  [{check.severity}]{origin}"), Part("title", text.title), GAP]
    parts += [Part("text", text.why), GAP]
    if check.subjects:
        parts.append(Part("text", say(language, "explain_lists", fact=check.subjects)))
    if check.when:
        parts.append(Part("text", say(language, "explain_when", condition=check.when.text)))
    names = dict.fromkeys([*([check.subjects] if check.subjects else []), *(check.when.facts if check.when else ())])
    colon = JOINTS[language].place
    parts += [Part("fact", f"{name}{colon}{phrase(language, 'facts', CATALOGUE[name].doc)}") for name in names]
    for number, fix in enumerate(check.fixes, 1):
        key = "explain_fix_when" if fix.when else "explain_fix"
        condition = fix.when.text if fix.when else None
        said = say(language, key, number=number, condition=condition, text=fix.text[language])
        parts += [GAP, Part("fix", said)]
        parts += [Part("command", f"{name}={value}") for name, value in fix.env.items()]
        parts += [Part("command", " ".join(words)) for words in (fix.args, fix.command) if words]
    parts.append(GAP)
    parts += _examples(check, language, names)
    if text.false_alarms:
        parts.append(Part("note", say(language, "explain_false_alarms", text=text.false_alarms)))
    if check.references:
        parts.append(Part("reference", say(language, "explain_references", items=", ".join(check.references))))
    return parts


def _examples(check: Check, language: str, asked: Collection[str]) -> list[Part]:
    """Tell the examples by their names, which are English, or else by what decides them."""
    if language == "en":
        return [Part("example", f"{example.expect:7}  {example.name}") for example in check.examples]
    shown = [(example.expect, _given(example, asked, language)) for example in check.examples]
    shown += [(example.expect, _telling(example, check)) for example in check.log_examples]
    return [Part("example", f"{expect:7}  {words}") for expect, words in shown]


def _given(example: Example, asked: Collection[str], language: str) -> str:
    """Return what an example says of the facts that the check asks."""
    names = [name for name in asked if example.facts[name] is not NOT_GIVEN] or asked
    words = ", ".join(f"{name} = {_written(example.facts[name], language)}" for name in names)
    return words if len(words) <= _LONGEST else words[: _LONGEST - 1].rstrip() + "…"


def _written(value: Observed, language: str) -> str:
    if isinstance(value, Unknown):
        return "?"
    if value is None or isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return f"[{', '.join(_item(item, language) for item in value)}]"
    if isinstance(value, str) and (value != value.strip() or value in _TAKEN):
        return f'"{value}"'
    return str(value)


def _item(item: object, language: str) -> str:
    if isinstance(item, Detail):
        return item.subject + (bracketed(translated(language, item.message), language) if item.message else "")
    return str(item)


def _telling(example: LogExample, check: Check) -> str:
    """Return the lines of a log in which the check finds something, and the last one, or else the place of that."""
    *before, last = example.log.splitlines()
    patterns = (*check.log_cause, *check.log_consequence, *check.log_within)
    found = [line for line in before if any(re.search(pattern, line) for pattern in patterns)]
    found = found or [line for line in before if line.lstrip().startswith("File ")][-1:]
    words = " … ".join(_FILE.sub(r'File "…/\1"', line.strip()) for line in (*found, last))
    # an error names its kind at the beginning of its line, and what went wrong often at the end
    half = _LONGEST // 2
    return words if len(words) <= _LONGEST else f"{words[:half].rstrip()}…{words[-half:].lstrip()}"
