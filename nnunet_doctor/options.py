"""Options that are not given: taken from the environment, the configuration or the default, in this order."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from nnunet_doctor.config import OPTIONS, Config, Entry, from_environ, load
from nnunet_doctor.errors import UserError, nearest

_DESTINATIONS = {"cache": "caches", "retry": "retries", "plot": "plots"}
_NAMES = {_DESTINATIONS.get(name, name.replace("-", "_")): name for name in OPTIONS}
"""The option of each name that argparse keeps it under."""

_WORDS = ("select", "ignore")
"""Options that hold ids and areas."""

_PACKS = "probes"
"""The option that holds names of packs."""

_OF_CHECK = ("format",)
"""Options that mean another thing in other commands."""

_OF_THIS_MACHINE = frozenset(
    (
        *("python", "quick", "deep", "cache", "timeout"),
        *("configuration", "fold", "device", "trainer", "plans", "num-gpus"),
    )
)
"""Options that say how to look at this machine and what for; a recorded machine has its own answers."""


class Row(NamedTuple):
    """An option as it counts: its value, and where that comes from."""

    name: str
    value: Any
    place: str


def make_configurable(parser: argparse.ArgumentParser) -> None:
    """Leave what is not given open, to be settled later, and let each flag be taken back on the command line."""
    defaults: dict[str, Any] = {}
    for action in list(parser._actions):  # noqa: SLF001 - argparse tells them in no other way
        if not action.option_strings or action.dest not in _NAMES or not _is_meant(parser, action.dest):
            continue
        defaults[action.dest] = action.default
        if action.nargs == 0:
            word = action.option_strings[-1].removeprefix("--")
            opposite = f"--{word.removeprefix('no-')}" if word.startswith("no-") else f"--no-{word}"
            taken_back = "store_false" if action.const is True else "store_true"
            parser.add_argument(opposite, dest=action.dest, action=taken_back, help=argparse.SUPPRESS)
    if defaults:
        parser.set_defaults(**dict.fromkeys(defaults), settles=(parser, defaults))


def _is_meant(parser: argparse.ArgumentParser, destination: str) -> bool:
    return destination not in _OF_CHECK or parser.prog.endswith(" check")


def settle(options: argparse.Namespace, environ: Mapping[str, str]) -> None:
    """Fill in what was not given, and keep the configuration as ``options.config``.

    Raises:
        UserError: The configuration or a variable is wrong.
    """
    options.config = Config()
    parser, defaults = getattr(options, "settles", (None, {}))
    if parser is None:
        return
    with contextlib.suppress(FileNotFoundError):  # the working folder has been deleted
        options.config = load(Path.cwd())
    layers, refused = [from_environ(environ), dict(options.config.options)], dict(options.config.refused)
    if isinstance(getattr(options, "facts", None), Path):
        layers = [{name: entry for name, entry in layer.items() if name not in _OF_THIS_MACHINE} for layer in layers]
        refused.pop("python", None)
    ranks, words = {}, dict[str, Entry]()
    for destination, default in defaults.items():
        found = getattr(options, destination)
        ranks[destination] = 0
        if found is None:
            name = _NAMES[destination]
            rank = next((number for number, layer in enumerate(layers, 1) if name in layer), len(layers) + 1)
            ranks[destination] = rank
            if rank > 1 and name in refused:
                raise UserError(refused[name])
            known = layers[rank - 1][name] if rank <= len(layers) else None
            words |= {name: known} if known is not None and name in (*_WORDS, _PACKS) else {}
            found = default if known is None else _converted(parser, destination, known, default)
            setattr(options, destination, found)
    if getattr(options, "npz", False):
        options.flags = ["--npz", *options.flags]
    _prefer_nearer(options, ranks)
    _refuse_unknown_words(words, getattr(options, "checks", ()))


def _prefer_nearer(options: argparse.Namespace, ranks: Mapping[str, int]) -> None:
    """Of two depths that do not go together, the one counts that was said nearer."""
    if getattr(options, "quick", False) and getattr(options, "deep", False) and ranks["quick"] != ranks["deep"]:
        setattr(options, max(("quick", "deep"), key=lambda name: ranks[name]), False)


def _converted(parser: argparse.ArgumentParser, destination: str, entry: Entry, default: Any) -> Any:
    """Turn a value into what the option would have made of it."""
    action = next(item for item in parser._actions if item.dest == destination and item.option_strings)  # noqa: SLF001
    if entry.value == default or isinstance(entry.value, bool):
        return entry.value
    if isinstance(entry.value, list):
        return [_typed(action, destination, item, entry.place) for item in entry.value]
    return _typed(action, destination, entry.value, entry.place)


def _typed(action: argparse.Action, destination: str, value: Any, place: str) -> Any:
    name = _NAMES[destination]
    try:
        typed = action.type(str(value)) if callable(action.type) else value
    except (argparse.ArgumentTypeError, ValueError) as error:
        raise UserError(f"{place}: {name}: {error}") from None
    if name == "report":
        _refuse_unknown_suffix(Path(value), place)
    if action.choices is not None and typed not in action.choices:
        choices = [str(item) for item in action.choices]
        near = nearest(str(value), choices)
        raise UserError(f"{place}: there is no {name} {value!r}{near}; one of {', '.join(choices)} is meant")
    return typed


def _refuse_unknown_suffix(path: Path, place: str) -> None:
    from nnunet_doctor.report.forms import FORMS, form_of

    if form_of(path.name) is None:
        suffixes = ", ".join(suffix for form in FORMS.values() for suffix in form.suffixes)
        raise UserError(f"{place}: --report {path}: the suffix tells the form of the report, and is one of {suffixes}")


def _refuse_unknown_words(entries: Mapping[str, Entry], folders: Sequence[str]) -> None:
    """Refuse ids, areas and packs that there are not where they are written; an option is refused where it is used.

    Args:
        entries: What says which checks to ask, by option, where that is no option of the command line.
        folders: Folders of more checks.

    Raises:
        UserError: There is no such check and no such area, or no such pack.
    """
    if _PACKS in entries:
        from nnunet_doctor.probes.packs import named

        try:
            named(entries[_PACKS].value)
        except UserError as error:
            raise UserError(f"{entries[_PACKS].place}: {error}") from None
    if not set(entries) & set(_WORDS):
        return
    from nnunet_doctor import catalogue
    from nnunet_doctor.check import AREAS

    known = {*AREAS, *(item.id for item in catalogue.listed([Path(name) for name in folders if Path(name).is_dir()]))}
    for entry in (entries[name] for name in _WORDS if name in entries):
        for word in filter(None, (word.strip() for text in entry.value for word in text.split(","))):
            if word not in known and not catalogue.may_lack(known):
                raise UserError(
                    f"{entry.place}: there is no check and no area {word!r}{nearest(word, known)}; "
                    "'nnunet-doctor list' shows them"
                )


def rows(parsers: Sequence[argparse.ArgumentParser], config: Config, environ: Mapping[str, str]) -> list[Row]:
    """Return every option as it counts when nothing is given, each refused where a command would refuse it.

    Args:
        parsers: Those of the commands that the options are for.
        config: What the file says.
        environ: Environment variables.

    Raises:
        UserError: A value is wrong.
    """
    layers = [from_environ(environ), dict(config.options)]
    counting = {name: entry for layer in reversed(layers) for name, entry in layer.items()}
    folders = counting["checks"].value if "checks" in counting else ()
    _refuse_unknown_words(counting, folders)
    found = []
    for name in OPTIONS:
        destination = _DESTINATIONS.get(name, name.replace("-", "_"))
        entry = counting.get(name)
        value: Any = None if entry is None else entry.value
        for parser in parsers:
            defaults = parser.get_default("settles")[1]
            if destination in defaults:
                if entry is None and name in config.refused:
                    raise UserError(config.refused[name])
                if entry is None:
                    value = defaults[destination] if value is None else value
                else:
                    _converted(parser, destination, entry, defaults[destination])
        found.append(Row(name, value, "" if entry is None else entry.place))
    return found
