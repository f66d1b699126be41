"""All that a check file says, in order, in one language: for the terminal and for the pages of the documentation."""

from __future__ import annotations

from typing import Literal, NamedTuple

from nnunet_doctor.check import Check
from nnunet_doctor.facts import CATALOGUE
from nnunet_doctor.words import say

Kind = Literal["head", "title", "text", "fact", "fix", "command", "example", "note", "reference", "gap"]


class Part(NamedTuple):
    """A line of an explanation, or a gap between lines."""

    kind: Kind
    text: str = ""


GAP = Part("gap")


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
    parts += [Part("fact", f"{name}: {CATALOGUE[name].doc}") for name in names]
    for number, fix in enumerate(check.fixes, 1):
        only = f" ({say(language, 'explain_when', condition=fix.when.text)})" if fix.when else ""
        parts += [GAP, Part("fix", f"{say(language, 'fix')} {number}{only}: {fix.text[language]}")]
        parts += [Part("command", f"{name}={value}") for name, value in fix.env.items()]
        parts += [Part("command", " ".join(words)) for words in (fix.args, fix.command) if words]
    parts.append(GAP)
    parts += [Part("example", f"{example.expect:7}  {example.name}") for example in check.examples]
    if check.false_alarms:
        parts.append(Part("note", say(language, "explain_false_alarms", text=check.false_alarms)))
    if check.references:
        parts.append(Part("reference", say(language, "explain_references", items=", ".join(check.references))))
    return parts
