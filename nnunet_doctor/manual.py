"""The manual page of the command, as groff reads it, from the parser that reads the command line.

It is written anew, in both languages, with ``python .docs/manual.py``; a test fails when that is due.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

from nnunet_doctor import __version__
from nnunet_doctor.words import say
from nnunet_doctor.words.command import as_sentence, in_language
from nnunet_doctor.words.lines import may_break

SECTION = 1


def page(parser: argparse.ArgumentParser, language: str) -> str:
    """Return the manual page of a parser with its commands; argparse's own layout, which changes, is not used."""
    parser = in_language(parser, language)
    name = parser.prog
    description = parser.description or ""
    lines = [
        f'.TH "{name.upper()}" "{SECTION}" "" "{name} {__version__}" "{say(language, "manual_title")}"',
        *(".ad l", ".nh"),
        *(".ds AD l", ".nr HY 0"),  # the same for groff 1.23 and newer, which sets both anew at every paragraph
        _section("name", language),
        f"{_text(name)} \\- {_text(description.rstrip('.。'))}",
        _section("synopsis", language),
        f".B {_text(name)}",
        "COMMAND [OPTION]... [ARGUMENT]...",
        _section("description", language),
        _text(description),
        _section("commands", language),
    ]
    for command in _commands(parser):
        lines += [f".SS {_text(command.prog.removeprefix(name).strip())}", _text(command.description or "")]
        lines += _arguments(command, language)
        lines += _examples(command.epilog or "", language)
    lines += [
        _section("options", language),
        *_arguments(parser, language),
        ".TP",
        ".B \\-\\-version",
        _text(say(language, "manual_version")),
    ]
    lines += [".TP", ".B \\-h, \\-\\-help", _text(say(language, "manual_help"))]
    lines += [_section("exit", language), _text(parser.epilog or "")]
    return "\n".join(lines) + "\n"


def _section(name: str, language: str) -> str:
    title = say(language, f"manual_{name}")
    return f'.SH "{title}"'


def _arguments(parser: argparse.ArgumentParser, language: str) -> Iterator[str]:
    for action in parser._actions:  # noqa: SLF001 - argparse tells them in no other way
        told_apart = (argparse._HelpAction, argparse._VersionAction, argparse._SubParsersAction)  # noqa: SLF001
        if action.help != argparse.SUPPRESS and not isinstance(action, told_apart):
            yield from (".TP", _head(action), _text(as_sentence(action.help or "", language)))


def _commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield the parsers of commands that have none below them."""
    for action in parser._actions:  # noqa: SLF001 - argparse tells them in no other way
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - likewise
            for command in action.choices.values():
                below = list(_commands(command))
                yield from below or [command]


def _head(action: argparse.Action) -> str:
    names = ", ".join(f"\\fB{_text(word)}\\fR" for word in action.option_strings)
    if action.nargs == 0:
        return names
    value = str(action.metavar or "|".join(map(str, action.choices or ())) or action.dest.upper())
    shown = f"\\fI{_text(value)}\\fR" + ("..." if action.nargs in ("+", "*") else "")
    return f"{names} {shown}" if names else shown


def _examples(epilog: str, language: str) -> list[str]:
    head, _, rest = epilog.rpartition("\n\n")[2].partition("\n")
    if not rest:
        return []
    return [".PP", _text(as_sentence(head, language)), ".PP", ".nf", *map(_text, rest.splitlines()), ".fi"]


def _text(text: str) -> str:
    """Return a text as groff takes it: no control line, no escape, and signs that are to be copied as they are."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    if not text.isascii():  # groff breaks lines at blanks and at \:
        text = "".join(
            letter + ("\\:" if " " not in (letter, behind) and may_break(letter, behind) else "")
            for letter, behind in zip(text, text[1:] + " ", strict=True)
        )
    return re.sub(r"^([.])", r"\\&\1", text, flags=re.MULTILINE)
