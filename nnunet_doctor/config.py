"""Configuration: ``nnunet-doctor.toml``, or ``[tool.nnunet-doctor]`` in ``pyproject.toml``, and the environment.

    fail-on = "warning"                  # any option of check and run but for those that are said each time
    checks = ["ci/checks"]               # paths are relative to the file

    [severity]
    shm-too-small = "info"

    [[waiver]]
    id = "label-unexpected"
    dataset = "Dataset010_*"             # optional pattern: name, id or folder
    subject = "labelsTr/colon_00*"       # optional pattern: file, case or folder
    reason = "values are those of the atlas"
    until = 2027-01-31                   # optional

What is nearer counts: an option, then ``NNUNET_DOCTOR_FAIL_ON`` and its like, then the file, then the default. The file
is looked for in the working folder and upwards; the first folder that has one ends the search, and in it
``nnunet-doctor.toml`` counts. A list that is given replaces the one of the layer below.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, NoReturn

from nnunet_doctor.errors import UserError, nearest, nearest_word
from nnunet_doctor.waivers import PROTECTING, Waiver, on_checks

if TYPE_CHECKING:
    from nnunet_doctor.check import Check

FILE = "nnunet-doctor.toml"
PROJECT = "pyproject.toml"
TABLE = "nnunet-doctor"
PREFIX = "NNUNET_DOCTOR_"
MOST_BYTES = 1024**2
SEVERITIES = ("error", "warning", "info")

Kind = Literal["text", "texts", "flag", "number", "file", "files", "program"]

OPTIONS: Mapping[str, Kind] = MappingProxyType(
    {
        "select": "texts",
        "ignore": "texts",
        "fail-on": "text",
        "format": "text",
        "report": "files",
        "baseline": "file",
        "lang": "text",
        "python": "program",
        "checks": "files",
        "probes": "texts",
        "trust-packs": "flag",
        "quick": "flag",
        "deep": "flag",
        "cache": "flag",
        "timeout": "number",
        "configuration": "text",
        "fold": "text",
        "device": "text",
        "trainer": "text",
        "plans": "text",
        "num-gpus": "number",
        "prepare": "flag",
        "estimate": "flag",
        "retry": "flag",
        "plot": "flag",
        "npz": "flag",
        "stall-timeout": "number",
    }
)
"""Every option that can be configured, and what it holds."""

ONE_START = (
    *("dry-run", "force", "overwrite", "yes", "c", "val", "pretrained-weights"),
    *("val-best", "disable-checkpointing", "use-compressed"),
)
"""Options that are the user's word for one start and stand in no file."""

ONE_COMMAND = (
    *("dataset", "predict-input", "model", "facts", "log", "follow", "here", "old", "new"),
    *("output", "redact", "folder", "tables", "markdown"),
)
"""Options that name what one command reads or writes."""

CHANGES = ("apply", "undo", "commit", "relabel")
"""Options that change a dataset."""

_ALSO_CALLED = MappingProxyType({"tr": "trainer", "p": "plans", "f": "fold", "no-cache": "cache", "no-retry": "retry"})
"""Options as the command line has them, and as a file has them."""

_TABLES = ("severity", "waiver")
_WAIVER = ("id", "dataset", "subject", "reason", "until")
_SHAPES = {
    "text": "a text in quotes",
    "texts": "a list of texts",
    "flag": "true or false",
    "number": "a number",
    "file": "a path in quotes",
    "files": "a list of paths",
    "program": "a path or command in quotes",
}


class Entry(NamedTuple):
    """A value, and where it comes from: FILE:LINE, a variable, or the command line."""

    value: Any
    place: str


class Config(NamedTuple):
    """What a file says.

    Attributes:
        file: The file; None without one.
        options: Values by the name of the option.
        severities: Severities by id.
        waivers: All of them, those that have expired included.
        refused: Why options are not taken from this file, by their names, to be said where one would count.
    """

    file: Path | None = None
    options: Mapping[str, Entry] = MappingProxyType({})
    severities: Mapping[str, Entry] = MappingProxyType({})
    waivers: tuple[Waiver, ...] = ()
    refused: Mapping[str, str] = MappingProxyType({})


# --- finding -------------------------------------------------------------------------------------------------------


def load(here: Path) -> Config:
    """Find and read the file that counts in a folder.

    Raises:
        UserError: The file is not a configuration; the message names file and line.
    """
    shown = str(here)
    for folder in (shown, *map(str, here.parents)):
        for name in (FILE, PROJECT):
            path = os.path.join(folder, name)  # noqa: PTH118 - in each start, upwards to the root
            content = _content(path)
            if content is None or (name == PROJECT and not _MENTIONED.search(content)):
                continue
            called = name if folder == shown else path
            config = parse(_text(content, called), called, Path(folder), in_project=name == PROJECT)
            if config is not None:
                return _without_foreign(config, path)._replace(file=Path(path))
    return Config()


_MENTIONED = re.compile(
    rb"^[ \t]*(\[+[^\]\n]*)?[\"']?nnunet-doctor[\"']?[ \t]*[\].=]|^[ \t]*tool[^\n]*nnunet-doctor", re.MULTILINE
)
"""A table or key of that name; a project that only depends on the doctor has none, and is not read as TOML."""


def _content(path: str) -> bytes | None:
    """Read a file; what is not there, or not for this user, is passed over."""
    try:
        if not os.path.isfile(path):  # noqa: PTH113 - a FIFO would not end
            return None
        with open(path, "rb") as file:  # noqa: PTH123
            content = file.read(MOST_BYTES + 1)
    except OSError:
        return None
    if len(content) > MOST_BYTES and path.endswith(FILE):
        raise UserError(f"{path} has more than {MOST_BYTES // 1024**2} MB; this is not a configuration")
    return content if len(content) <= MOST_BYTES else None


def _text(content: bytes, called: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UserError(f"{called} is not UTF-8 text") from None


ACTING = ("python", "probes", "trust-packs", "report")
"""Options that choose what is run or written."""


def _without_foreign(config: Config, path: str) -> Config:
    """Let nobody else choose what is run or written here.

    On a shared disk anyone can put a file above a working folder, and a dataset may bring one with it.
    """
    acting = [name for name in ACTING if name in config.options]
    if not acting:
        return config
    folder = Path(path).parent
    getuid = getattr(os, "getuid", None)
    if getuid is not None and getuid() != 0 and Path(path).stat().st_uid not in (0, getuid()):
        whose = "that belongs to another user"
    elif any((place / "dataset.json").is_file() for place in (folder, folder.parent)):
        whose = "inside a dataset"
    else:
        return config
    refused = {
        name: f"{config.options[name].place}: {name!r} is not taken from a file {whose}; "
        f"give --{name} or set {variable_of(name)}"
        for name in acting
    }
    kept = {name: entry for name, entry in config.options.items() if name not in refused}
    return config._replace(options=kept, refused=refused)


# --- reading -------------------------------------------------------------------------------------------------------


def parse(text: str, called: str, folder: Path, *, in_project: bool = False) -> Config | None:
    """Read the text of a file.

    Args:
        text: What it holds.
        called: How it is called in messages.
        folder: What its paths are relative to.
        in_project: Whether it is a pyproject.toml.

    Returns:
        None for a pyproject.toml that says nothing about the doctor.

    Raises:
        UserError: It is not a configuration; the message names file and line.
    """
    import tomli

    try:
        document: Any = tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        line = re.search(r"at line (\d+)", str(error))
        raise UserError(f"{called}{f':{line[1]}' if line else ''}: this is not TOML: {error}") from None
    except RecursionError:
        raise UserError(f"{called}: this is not a configuration: it is nested too deeply") from None
    if in_project:
        tools = document.get("tool", {})
        document = tools.get(TABLE) if isinstance(tools, dict) else None
        if document is None:
            return None
    reader = _Reader(text, called, folder, f"tool.{TABLE}" if in_project else "")
    if not isinstance(document, dict):
        reader.refuse(f"[tool.{TABLE}] is a table", TABLE)
    return reader.config(document)


class _Reader:
    """Reads one document, and knows its text, so that every refusal can name the line."""

    def __init__(self, text: str, called: str, folder: Path, below: str) -> None:
        self.lines, self.called, self.folder, self.below = text.splitlines(), called, folder, below

    def place(self, key: str, table: str = "", nth: int = 0) -> str:
        """Name file and line of a key of the nth table of a name; of that table where the key is not found."""
        wanted = ".".join(filter(None, (self.below, table)))
        current, seen, start = "", -1 if wanted else 0, 0
        written = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[.=]")
        header = re.compile(r"\s*\[+\s*([^\]]*?)\s*\]+\s*(#.*)?$")
        for number, line in enumerate(self.lines, 1):
            if match := header.match(line):
                current = re.sub(r"[\"'\s]", "", match[1])
                seen += current == wanted
                start = number if current == wanted and seen == nth else start
                # an unknown table, or one inside it, is a key too
                if not table and key and f"{current}.".startswith(f"{'.'.join(filter(None, (self.below, key)))}."):
                    return f"{self.called}:{number}"
            elif current == wanted and seen == nth and written.match(line):
                return f"{self.called}:{number}"
        if start or not table:
            return f"{self.called}:{start}" if start else self.called
        return self.place(table)  # severity.nan = "info", or a table within a line

    def refuse(self, sentence: str, key: str, table: str = "", nth: int = 0) -> NoReturn:
        raise UserError(f"{self.place(key, table, nth)}: {sentence}")

    def config(self, document: Mapping[str, Any]) -> Config:
        options = {}
        for key, value in document.items():
            if key in _TABLES:
                continue
            name = key.replace("_", "-")
            if name in ONE_START:
                self.refuse(f"{key!r} is said for one start, on the command line, and not in a file", key)
            if name in ONE_COMMAND:
                self.refuse(f"{key!r} names what one command reads or writes, and is said on its command line", key)
            if name in CHANGES:
                self.refuse(f"{key!r} changes a dataset, and is said on the command line each time", key)
            if key in ("tool", TABLE) and isinstance(value, dict):
                self.refuse("in nnunet-doctor.toml options stand at the top, without [tool.nnunet-doctor]", key)
            if key not in OPTIONS:
                meant = _ALSO_CALLED.get(name, name)
                near = nearest(meant, [meant] if meant in OPTIONS else (*OPTIONS, *_TABLES))
                self.refuse(f"there is no option {key!r}{near}", key)
            options[key] = Entry(self.value(key, value), self.place(key))
        return Config(None, options, self.severities(document), self.waivers(document))

    def value(self, key: str, value: Any) -> Any:
        kind = OPTIONS[key]
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        fits = {
            "flag": isinstance(value, bool),
            "number": is_number,
            "texts": isinstance(value, list) and all(isinstance(item, str) for item in value),
            "files": isinstance(value, list) and all(isinstance(item, str) for item in value),
        }
        if key == "fold" and is_number:
            return str(value)
        if not fits.get(kind, isinstance(value, str)):
            self.refuse(f"option {key!r} is {_SHAPES[kind]}, not {value!r}", key)
        if any("\0" in item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str)):
            self.refuse(f"{key!r} holds a character that no name has", key)
        if kind == "files":
            return [self.path(item) for item in value]
        # a command such as python3.11 is looked for in PATH
        is_path = kind == "file" or (kind == "program" and ("/" in value or "\\" in value))
        return self.path(value) if is_path else value

    def path(self, text: str) -> str:
        # pathlib's own raises an error for the home of nobody
        return str(self.folder / os.path.expanduser(text))  # noqa: PTH111

    def severities(self, document: Mapping[str, Any]) -> dict[str, Entry]:
        table = document.get("severity", {})
        if not isinstance(table, dict):
            self.refuse('write severities as [severity] and ID = "warning"', "severity")
        found = {}
        for id, value in table.items():
            if value not in SEVERITIES:
                self.refuse(f"the severity of {id!r} is one of {', '.join(SEVERITIES)}, not {value!r}", id, "severity")
            if id in PROTECTING:
                self.refuse(f"{id!r} keeps a training from being overwritten, and its severity stays", id, "severity")
            found[id] = Entry(value, self.place(id, "severity"))
        return found

    def waivers(self, document: Mapping[str, Any]) -> tuple[Waiver, ...]:
        tables = document.get("waiver", [])
        if not isinstance(tables, list) or not all(isinstance(item, dict) for item in tables):
            self.refuse("write each waiver as [[waiver]]", "waiver")
        return tuple(self.waiver(table, nth) for nth, table in enumerate(tables))

    def waiver(self, table: Mapping[str, Any], nth: int) -> Waiver:
        for key in table:
            if key not in _WAIVER:
                self.refuse(f"there is no key {key!r} in a waiver{nearest(key, _WAIVER)}", key, "waiver", nth)
        for key in ("id", "reason"):
            if not isinstance(table.get(key, ""), str) or not table.get(key, "").strip():
                self.refuse(f"a waiver needs {key!r}, a text", key, "waiver", nth)
        patterns = {key: table.get(key) for key in ("dataset", "subject")}
        patterns = {key: str(value) if type(value) is int else value for key, value in patterns.items()}
        for key, value in patterns.items():
            if value is not None and (not isinstance(value, str) or not value):
                self.refuse(f'{key!r} of a waiver is a pattern in quotes, such as "Dataset010_*"', key, "waiver", nth)
        place = self.place("id", "waiver", nth)
        return Waiver(table["id"], table["reason"].strip(), **patterns, until=self.day(table, nth), place=place)

    def day(self, table: Mapping[str, Any], nth: int) -> str | None:
        if "until" not in table:
            return None
        from datetime import date

        # tomli gives a date, and a date with a time where one is written
        text = str(table["until"])
        try:
            day = date.fromisoformat(text).isoformat()
        except ValueError:
            day = None
        if day != text:  # some releases of Python read 20270131 too
            self.refuse(f"'until' is a day such as 2027-01-31, not {text!r}", "until", "waiver", nth)
        return day


# --- the environment -----------------------------------------------------------------------------------------------


def variable_of(option: str) -> str:
    """Name the environment variable of an option."""
    return PREFIX + option.upper().replace("-", "_")


_BY_VARIABLE = {variable_of(option): option for option in OPTIONS}
_FLAGS = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def from_environ(environ: Mapping[str, str]) -> dict[str, Entry]:
    """Return the options that environment variables set; an empty one sets nothing.

    Raises:
        UserError: A variable holds what its option cannot.
    """
    found = {}
    for name, text in environ.items():
        # Windows gives names in capital letters, which these have anyway
        option = _BY_VARIABLE.get(name) if name.startswith(PREFIX) else None
        if option is not None and text.strip():
            found[option] = Entry(_from_text(option, name, text.strip()), name)
    return found


def _from_text(option: str, name: str, text: str) -> Any:
    kind = OPTIONS[option]
    if kind == "flag":
        if text.lower() not in _FLAGS:
            raise UserError(f"{name} is {text!r}, and one of {', '.join(_FLAGS)} is meant")
        return _FLAGS[text.lower()]
    if kind == "texts":
        return [word.strip() for word in text.split(",") if word.strip()]
    if kind == "files":
        return [part for part in text.split(os.pathsep) if part]
    if option == "lang":  # a locale does as well
        return "zh" if text.lower().startswith("zh") else "en"
    return text


def not_read(environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """List variables that look like those of options and set none, each with the nearest one that there is, if any."""
    names = sorted(name for name in environ if name.startswith(PREFIX) and name not in _BY_VARIABLE)
    if not names:
        return []
    return [(name, nearest_word(name, _BY_VARIABLE)) for name in names]


# --- checks --------------------------------------------------------------------------------------------------------


def refuse_unknown_ids(config: Config, known: Collection[str]) -> None:
    """Refuse severities and waivers of checks that there are not.

    Raises:
        UserError: There is no such check.
    """
    from nnunet_doctor.catalogue import may_lack

    named = [(id, entry.place) for id, entry in config.severities.items()]
    for id, place in (*named, *((waiver.id, waiver.place) for waiver in config.waivers)):
        if id not in known and not may_lack(known):
            raise UserError(f"{place}: there is no check {id!r}{nearest(id, known)}; 'nnunet-doctor list' shows them")


def applied(
    config: Config, checks: Sequence[Check], known: Collection[str], today: str, *, starts: bool = False
) -> tuple[tuple[Check, ...], tuple[Waiver, ...]]:
    """Give checks the severities and waivers of the configuration.

    Args:
        config: What the file says.
        checks: The checks to ask.
        known: Ids of all checks that there are.
        today: The day, as 2026-12-31.
        starts: Whether a training is to be started; what protects earlier ones is then not waived.

    Returns:
        The checks, and the waivers that have expired.

    Raises:
        UserError: There is no such check, or it lists no subjects and a waiver names some.
    """
    refuse_unknown_ids(config, known)
    subjects = {check.id: check.subjects for check in checks}
    for waiver in config.waivers:
        if waiver.subject is not None and subjects.get(waiver.id, "") is None:
            raise UserError(f"{waiver.place}: {waiver.id!r} is about no files or cases; leave out 'subject'")
    severe = tuple(
        check._replace(severity=config.severities[check.id].value) if check.id in config.severities else check
        for check in checks
    )
    active = [waiver for waiver in config.waivers if not waiver.is_expired(today)]
    return on_checks(severe, active, starts=starts), tuple(item for item in config.waivers if item not in active)
