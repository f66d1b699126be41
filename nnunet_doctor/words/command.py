"""The help of commands and options in a language."""

from __future__ import annotations

import argparse
import copy

from nnunet_doctor.words import phrase


def in_language(parser: argparse.ArgumentParser, language: str) -> argparse.ArgumentParser:
    """Return a copy of a parser, with those below it, that has all its words in a language."""
    parser = copy.deepcopy(parser)
    _translate(parser, language)
    return parser


def _translate(parser: argparse.ArgumentParser, language: str) -> None:
    def said(english: str | None) -> str | None:
        return english and phrase(language, "help", english)

    parser.description = as_sentence(parser.description or "", language)
    parser.epilog = parser.epilog and "\n\n".join(_block(block, language) for block in parser.epilog.split("\n\n"))
    for group in parser._action_groups:  # noqa: SLF001 - argparse tells them in no other way
        group.title = said(group.title)
    for action in parser._actions:  # noqa: SLF001 - likewise
        action.help = action.help if action.help == argparse.SUPPRESS else said(action.help)
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001 - likewise
            for choice in action._choices_actions:  # noqa: SLF001 - likewise
                choice.help = said(choice.help)
            for below in action.choices.values():
                _translate(below, language)


def as_sentence(text: str, language: str) -> str:
    """Return what a command or option does as a sentence with its full stop."""
    text = phrase(language, "help", text)
    text = text[:1].upper() + text[1:]
    stop = {"en": ".", "zh": "。"}[language]
    return text if not text or text.endswith((stop, ":", "：")) else text + stop


def _block(block: str, language: str) -> str:
    """Translate a paragraph; of examples, which are commands, only the head."""
    head, line, commands = block.partition("\n")
    examples = head == "examples:"
    return f"{phrase(language, 'help', head)}{line}{commands}" if examples else phrase(language, "help", block)
