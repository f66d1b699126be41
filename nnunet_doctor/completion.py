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

LIST = "ID|AREA"
"""Metavar of options that take several words with commas between them."""

PROGRAM = "nnunet-doctor"

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
    words = {**WORDS, "ID": tuple(ids), LIST: (*areas, *ids)}
    for action in actions_of(parser):
        metavar = str(action.metavar)
        if action.choices is None and metavar in words:
            action.choices = words[metavar]
        elif metavar in FILES:
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        elif metavar in FOLDERS:
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
    text: str = shtab.complete(parser, shell)
    lists = [action for action in actions_of(parser) if action.metavar == LIST]
    text = {"bash": _in_bash, "zsh": _in_zsh, "fish": _in_fish}.get(shell, lambda text, _: text)(text, lists)
    return text if text.endswith("\n") else f"{text}\n"


def _in_bash(text: str, lists: Sequence[argparse.Action]) -> str:
    """Complete the last of several words with commas between them, and keep those before it."""
    names = {re.sub(r"\W", "_", name) for action in lists for name in action.option_strings}
    before = """\
    local before="" last="$completing_word"
    [[ "$completing_word" == *,* && "$current_action" =~ (NAMES)$ ]] && before="${completing_word%,*},"
    last="${completing_word#"$before"}"
"""
    offer = '    while IFS= read -r line; do COMPREPLY+=("$line"); done < <(\n'
    words = '      compgen -W "${current_action_choices[*]}" -- "$completing_word")\n'
    new = '      compgen -P "$before" -W "${current_action_choices[*]}" -- "$last")\n'
    return text.replace(offer + words, before.replace("NAMES", "|".join(sorted(names))) + offer + new)


def _in_zsh(text: str, lists: Sequence[argparse.Action]) -> str:
    """Complete each of several words with commas between them; work wherever the script is read."""
    for metavar in {str(action.metavar) for action in lists}:
        text = re.sub(rf":{re.escape(metavar)}:\(([^()\n]*)\)", rf":{metavar}:_sequence compadd - \1", text)
    # the file is a function where it lies in fpath, and else is read by eval or source, maybe before compinit
    ours = """\
if [[ $zsh_eval_context[-1] != loadautofunc && $funcstack[1] != _PROG ]]; then
  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
"""
    theirs = "if [[ $zsh_eval_context[-1] == eval ]]; then\n  # eval/source/. command, register function for later\n"
    return text.replace(theirs, ours.replace("PROG", PROGRAM))


def _in_fish(text: str, lists: Sequence[argparse.Action]) -> str:
    """Complete words after one dash, as nnU-Net's, and each of several words with commas between them."""
    # -s takes one letter: -s device would be -d, -e, -v and so on
    text = re.sub(r"(?m)^(complete .*? )-s (?=\w\w)", r"\1-o ", text)
    names = "|".join(sorted({name.removeprefix("--") for action in lists for name in action.option_strings}))

    def listed(found: re.Match[str]) -> str:
        words = ",".join(found[2].split())
        return f"{found[1]}\"(__fish_complete_list , 'string split , {words}')\""

    return re.sub(rf'(-l (?:{names}) -xka )"([\w -]+)"', listed, text)


def actions_of(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Yield all options and arguments of a parser and of those below it."""
    for action in parser._actions:  # noqa: SLF001 - argparse tells them in no other way
        yield action
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - likewise
            for below in action.choices.values():
                yield from actions_of(below)
