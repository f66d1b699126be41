"""Scripts that complete the command line in bash, zsh, fish and PowerShell, from the parser that reads it."""

from __future__ import annotations

import argparse
import copy
import re
from collections.abc import Iterator, Mapping, Sequence

SHELLS = ("bash", "zsh", "fish", "powershell")

FILES = frozenset(("FILE", "PATH", "LOG", "LOG|FILE", "OLD", "NEW"))
"""Metavars of arguments that take a file or a folder."""

FOLDERS = frozenset(("FOLDER", "DATASET", "FOLDER|DATASET"))
"""Metavars of arguments that take a folder, or a dataset by its folder."""

WORDS: Mapping[str, tuple[str, ...]] = {
    "CONFIGURATION": ("2d", "3d_fullres", "3d_lowres", "3d_cascade_fullres"),
    "FOLD": ("0", "1", "2", "3", "4", "all"),
    "TRAINER": ("nnUNetTrainer",),
    "PLANS": ("nnUNetPlans", "nnUNetResEncUNetMPlans", "nnUNetResEncUNetLPlans", "nnUNetResEncUNetXLPlans"),
}
"""Metavars of arguments with words that most users mean; others are taken as well."""


def script(parser: argparse.ArgumentParser, shell: str, ids: Sequence[str], areas: Sequence[str]) -> str:
    """Return the script of a shell.

    Args:
        parser: The parser of the command.
        shell: One of SHELLS.
        ids: Checks that there are.
        areas: Areas that there are.
    """
    import shtab

    # with these words as its only choices it would refuse others
    parser = copy.deepcopy(parser)
    words = {**WORDS, "ID": tuple(ids), "ID|AREA": (*areas, *ids)}
    for action in actions_of(parser):
        metavar = str(action.metavar)
        if action.choices is None and metavar in words:
            action.choices = words[metavar]
        elif metavar in FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif metavar in FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    text: str = shtab.complete(parser, shell)
    if shell == "fish":
        # -s takes one letter: -s device would be -d, -e, -v and so on; words after one dash, as nnU-Net's, are -o
        text = re.sub(r"(?m)^(complete .*? )-s (?=\w\w)", r"\1-o ", text)
    return text if text.endswith("\n") else f"{text}\n"


def actions_of(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield all options and arguments of a parser and of those below it."""
    for action in parser._actions:  # noqa: SLF001 - argparse tells them in no other way
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - likewise
            for below in action.choices.values():
                yield from actions_of(below)
