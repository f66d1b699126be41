"""The manual page of the command, as groff reads it, from the parser that reads the command line.

It is written anew with ``python .docs/manual.py``; a test fails when that is due.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator

from nnunet_doctor import __version__

SECTION = 1


def page(parser: argparse.ArgumentParser) -> str:
    """Return the manual page of a parser with its commands; argparse's own layout, which changes, is not used."""
    name = parser.prog
    lines = [
        f'.TH "{name.upper()}" "{SECTION}" "" "{name} {__version__}" "User Commands"',
        ".SH NAME",
        f"{_text(name)} \\- {_text(_without_stop(parser.description or ''))}",
        ".SH SYNOPSIS",
        f".B {_text(name)}",
        "COMMAND [OPTION]... [ARGUMENT]...",
        ".SH DESCRIPTION",
        _text(parser.description or ""),
        ".SH COMMANDS",
    ]
    for command in _commands(parser):
        lines += [f".SS {_text(command.prog.removeprefix(name).strip())}", _text(command.description or "")]
        for action in command._actions:  # noqa: SLF001 - argparse tells them in no other way
            if action.help != argparse.SUPPRESS and not isinstance(action, argparse._HelpAction):  # noqa: SLF001
                lines += [".TP", _head(action), _text(_help(action))]
        lines += _examples(command.epilog or "")
    lines += [".SH OPTIONS", ".TP", ".B \\-\\-version", "Print the release.", ".TP", ".B \\-h, \\-\\-help"]
    lines += ["Print the options of a command, with examples.", ".SH EXIT STATUS", _text(parser.epilog or "")]
    return "\n".join(lines) + "\n"


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


def _help(action: argparse.Action) -> str:
    if not action.help:
        return "One of " + ", ".join(map(str, action.choices)) + "." if action.choices else "As nnUNetv2_train has it."
    return action.help[0].upper() + action.help[1:] + "."


def _examples(epilog: str) -> list[str]:
    _, mark, rest = epilog.partition("examples:\n")
    return [".PP", "Examples:", ".PP", ".nf", *(_text(line) for line in rest.splitlines()), ".fi"] if mark else []


def _without_stop(text: str) -> str:
    return text.removesuffix(".")


def _text(text: str) -> str:
    """Return a text as groff takes it: no control line, no escape, and signs that are to be copied as they are."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    return re.sub(r"^([.])", r"\\&\1", text, flags=re.MULTILINE)
