"""What a check is: one known problem, read from one TOML file, or refused with the reason.

The format is described in ``checks/README.md``. A check is data: nothing in it is ever executed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

import tomli

from nnunet_doctor.errors import UserError, nearest
from nnunet_doctor.expressions import may_never_end
from nnunet_doctor.facts import CATALOGUE, Detail, Facts, Observed, Unknown
from nnunet_doctor.settings import VARIABLES, parse_options, raises, setting_of
from nnunet_doctor.waivers import Waiver
from nnunet_doctor.when import When, WhenError

AREAS = ("os", "python", "triton", "device", "wsl2", "nnunet", "paths", "resources", "dataset", "training")
"""Areas of checks: the folders of ``checks/``, in the order of reports."""

SEVERITIES = ("error", "warning", "info")
LANGUAGES = ("en", "zh")
EXPECTATIONS = ("fires", "silent", "unknown")
LOG_EXPECTATIONS = ("cause", "consequence", "nothing")

NOT_GIVEN = Unknown("the example does not give it")
"""What every fact is that an example does not mention."""

INSTALLING = (
    "python.installs_with",
    "python.externally_managed",
    "python.executable",
    "python.prefix",
    "python.environment",
    "python.venv_module",
    "python.uv",
    "python.conda",
    "python.from_conda",
    "torch.release",
    "nnunet.origin",
)
"""Facts that decide how a command that installs packages is shown."""

_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_PLACEHOLDER = re.compile(r"\{([a-z0-9_]+\.[a-z0-9_]+|python)\}")
_DOUBLED = re.compile(r"\{\{([^{}]*)\}\}")
_BRACES = re.compile(rf"{_DOUBLED.pattern}|(?<!\$)\{{([^{{}}]*)\}}?")
"""Braces that stand for themselves, or those that may be a placeholder; a shell's ``${NAME}`` is none."""

_KEYS: dict[str, tuple[str, ...]] = {
    "a check": (
        "severity",
        "when",
        "subjects",
        "references",
        "explains",
        "covers",
        "text",
        "fix",
        "log",
        "example",
    ),
    "[text]": LANGUAGES,
    "[text.*]": ("title", "why", "false_alarms"),
    "[[fix]]": ("when", *LANGUAGES, "launch", "command"),
    "[[fix]] launch": ("env", "args"),
    "[log]": ("cause", "consequence", "within"),
    "[[example]]": ("expect", "name", "facts", "log"),
}


class CheckError(UserError):
    """A file that is not a check.

    Attributes:
        file: Name of the file, as the user knows it.
        line: Line (from 1) that the sentence is about, or None.
        sentence: What is wrong, in one sentence.
    """

    def __init__(self, file: str, line: int | None, sentence: str) -> None:
        """Keep file, line and sentence, and make them one message."""
        super().__init__(f"{file}:{line}: {sentence}" if line else f"{file}: {sentence}")
        self.file, self.line, self.sentence = file, line, sentence


class Text(NamedTuple):
    """What a check says in one language: title, reason, and when it may fire wrongly, if that can be."""

    title: str
    why: str
    false_alarms: str = ""


class Fix(NamedTuple):
    """A way out.

    Attributes:
        when: Condition under which it is offered; None for always.
        text: The advice by language.
        command: Arguments of a command to show; empty for none. Never executed.
        env: Environment variables of the training that a plan may set.
        args: Options of nnUNetv2_train that a plan may add.
    """

    when: When | None
    text: Mapping[str, str]
    command: tuple[str, ...] = ()
    env: Mapping[str, str] = MappingProxyType({})
    args: tuple[str, ...] = ()

    @property
    def installs(self) -> bool:
        """Whether its command brings packages into the environment, and so depends on how that is done there."""
        return self.command[:4] == ("{python}", "-m", "pip", "install") or self.command[:1] == ("conda",)

    @property
    def is_launch_setting(self) -> bool:
        """Whether a plan can apply it."""
        return bool(self.env or self.args)


class Example(NamedTuple):
    """Facts and what the check must say of them. Facts that are not given are unknown."""

    name: str
    expect: str
    facts: Facts


class LogExample(NamedTuple):
    """Lines of a log and what the check must say of them: they name it as cause, as consequence, or not at all."""

    name: str
    expect: str
    log: str


class Body(NamedTuple):
    """What the tables of a check file hold; nothing of it decides whether the check fires.

    Attributes:
        text: Title and reason by language.
        fixes: The ways out, least effort first.
        log_cause: Regular expressions of log lines that this problem causes.
        log_consequence: Regular expressions of log lines that follow from it, or, in a check without a cause, of
            lines that only say that something went wrong elsewhere.
        log_within: Regular expressions; unless empty, a line counts only in a traceback that one of them is found in.
        examples: What the check must say of facts.
        log_examples: What it must say of lines of a log.
    """

    text: Mapping[str, Text]
    fixes: tuple[Fix, ...] = ()
    log_cause: tuple[str, ...] = ()
    log_consequence: tuple[str, ...] = ()
    log_within: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()
    log_examples: tuple[LogExample, ...] = ()


class Check(NamedTuple):
    """One known problem.

    Attributes:
        id: Name of its file: kebab-case, never renamed.
        area: Folder of its file.
        severity: error, warning or info.
        when: Condition over facts; None when ``subjects`` alone decides, or when only a log shows the problem.
        body: Returns what the tables of its file hold, which is read when it is first asked for.
        subjects: Fact that lists the files, cases or folders concerned; None for none.
        explains: Checks whose findings this one is the cause of.
        covers: Failure modes of ``report/failures.toml`` that this check finds, before a run or in its log.
        origin: "built in", or the folder or package that it comes from.
        unreadable: For what stands in the place of a pack whose checks cannot be read: the reason, in one sentence.
        waivers: What the user's configuration says of living with the problem; no part of the file.
    """

    id: str
    area: str
    severity: str
    body: Callable[[], Body]
    when: When | None = None
    subjects: str | None = None
    references: tuple[str, ...] = ()
    explains: tuple[str, ...] = ()
    covers: tuple[str, ...] = ()
    origin: str = "built in"
    unreadable: str | None = None
    waivers: tuple[Waiver, ...] = ()

    @property
    def text(self) -> Mapping[str, Text]:
        """Title and reason by language."""
        return self.body().text

    @property
    def fixes(self) -> tuple[Fix, ...]:
        """The ways out, least effort first."""
        return self.body().fixes

    @property
    def log_cause(self) -> tuple[str, ...]:
        """Regular expressions of log lines that it causes."""
        return self.body().log_cause

    @property
    def log_consequence(self) -> tuple[str, ...]:
        """Regular expressions of log lines that follow from it."""
        return self.body().log_consequence

    @property
    def log_within(self) -> tuple[str, ...]:
        """Regular expressions, one of which is found in a traceback whose lines count."""
        return self.body().log_within

    @property
    def examples(self) -> tuple[Example, ...]:
        """What it must say of facts."""
        return self.body().examples

    @property
    def log_examples(self) -> tuple[LogExample, ...]:
        """What it must say of lines of a log."""
        return self.body().log_examples

    @property
    def is_decided_by_facts(self) -> bool:
        """Whether facts alone can show the problem, before a run."""
        return self.when is not None or self.subjects is not None

    @property
    def facts(self) -> frozenset[str]:
        """Every fact that the check and its fixes ask, mention or, as launch settings, change."""
        names = {self.subjects} if self.subjects else set()
        names.update(self.when.facts if self.when else ())
        words = [word for text in self.text.values() for word in text]
        for fix in self.fixes:
            names.update(fix.when.facts if fix.when else ())
            words += (*fix.text.values(), *fix.command, *fix.env.values(), *fix.args)
            if fix.command or fix.env:
                names.add("platform.shell")
            names.update(INSTALLING if fix.installs else ())
            for name in (*fix.env, *parse_options(fix.args)):
                names |= {setting_of(name).fact, "nnunet.behaves_as"}
        return frozenset(names.union(*map(placeholders, words)))


def lowering(fix: Fix, facts: Facts) -> Fix | None:
    """Return a fix without the amounts that would not be lowered by it; None when it has been for these only."""
    if not fix.is_launch_setting:
        return fix
    env = {name: value for name, value in fix.env.items() if not raises(name, fill(value, facts), facts)}
    options = parse_options(fix.args)
    kept = {name: value for name, value in options.items() if not raises(name, fill(value, facts), facts)}
    if len(env) == len(fix.env) and len(kept) == len(options):
        return fix
    args = tuple(word for name, value in kept.items() for word in (name, value) if word)
    return fix._replace(env=MappingProxyType(env), args=args) if env or args or fix.command else None


def fill(template: str, facts: Facts, said: Callable[[str], str] = str) -> str:
    """Put facts into the ``{area.noun}`` of a text; ``{python}`` is the examined interpreter.

    Args:
        template: The text.
        facts: What is known.
        said: Turns a sentence that a fact holds, such as an error, into the language of the text.
    """

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        return _words(facts["python.executable" if name == "python" else name], said)

    return _PLACEHOLDER.sub(value, template)


def _words(value: Observed, said: Callable[[str], str]) -> str:
    if isinstance(value, Unknown):
        return "?"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(_item(item, said) for item in value) if value else "-"
    return "-" if value is None else said(str(value))


def _item(item: object, said: Callable[[str], str]) -> str:
    if isinstance(item, Detail):
        return f"{item.subject} ({said(item.message)})" if item.message else item.subject
    return said(str(item))


def placeholders(template: str) -> tuple[str, ...]:
    """Return the facts that a text mentions."""
    if "{" not in template:
        return ()
    return tuple("python.executable" if name == "python" else name for name in _PLACEHOLDER.findall(template))


def line_of(text: str, *path: str) -> int | None:
    """Return the line (from 1) of a key of a check file; None where it is not found."""
    return _Reader("", text).line_of(*path)


def read_check(
    id: str, area: str, text: str, file: str, origin: str = "built in", *, with_examples: bool = True
) -> Check:
    """Turn the text of a check file into a check.

    Args:
        id: Name of the file without ending.
        area: Name of its folder.
        text: Content of the file.
        file: How the file is called in messages.
        origin: "built in", or where the pack comes from.
        with_examples: Whether to read and validate all of it at once. Otherwise its plain keys are read, which decide
            whether it fires; its tables, which come after them, once they are asked for; and its examples, which
            come last, never. That is for built-in checks, which the test-suite reads as a whole.

    Raises:
        CheckError: The file is not a check; the message names file and line and, for a misspelt word, the nearest one.
            Of what is read later, the check raises it.
    """
    if not with_examples:
        text = text.partition("\n[[example]]")[0]
        keys = text.partition("\n[")[0]
        reader = _Reader(file, text)
        return reader.check(id, area, reader.parsed(keys), origin, cache(lambda: reader.body(reader.parsed(text))))
    reader = _Reader(file, text)
    document = reader.parsed(text)
    body = reader.body(document)
    check = reader.check(id, area, document, origin, lambda: body)
    reader.is_complete(check)
    reader.patterns_are_regular(check)
    return check


class _Reader:
    """Reads one document; knows file and text so that every refusal can name the line."""

    def __init__(self, file: str, text: str) -> None:
        self.file, self.content = file, text

    def parsed(self, part: str) -> dict[str, Any]:
        try:
            document = tomli.loads(part)
        except tomli.TOMLDecodeError as error:
            line = re.search(r"at line (\d+)", str(error))
            raise CheckError(self.file, int(line.group(1)) if line else None, f"this is not TOML: {error}") from None
        except RecursionError:
            raise CheckError(self.file, None, "this is not a check: it is nested too deeply") from None
        self.known_keys(document, "a check")
        return document

    def fail(self, sentence: str, *path: str, nth: int = 0) -> CheckError:
        return CheckError(self.file, self.line_of(*path, nth=nth), sentence)

    def line_of(self, *path: str, nth: int = 0) -> int | None:
        """Find the line of a key: at the top, or in the nth table of a name; failing that, the line of that table."""
        *tables, key = path or ("",)
        lines = self.content.splitlines()
        headers = [number for number, line in enumerate(lines) if line.lstrip().startswith("[")]
        first, last = 0, headers[0] if headers else len(lines)
        if tables:
            name = re.compile(rf"\s*\[+\s*{re.escape(tables[0])}\s*\]+")
            named = [number for number in headers if name.match(lines[number])]
            if nth >= len(named):
                return None
            first = named[nth]
            last = next((number for number in headers if number > first), len(lines))
        written = re.compile(rf"(.*[{{,])?\s*[\"']?{re.escape(key)}[\"']?\s*[.=]|.*[.{{,\s]{re.escape(key)}\s*[.=]")
        for number in range(first, last):
            if key and written.match(lines[number]):
                return number + 1
        header = re.compile(rf"\s*\[+\s*{re.escape(key)}\s*[\].]")
        of_key = [number for number in headers if key and not tables and header.match(lines[number])]
        return of_key[0] + 1 if of_key else first + 1 if tables else None

    def check(self, id: str, area: str, document: dict[str, Any], origin: str, body: Callable[[], Body]) -> Check:
        if not _ID.fullmatch(id):
            raise self.fail(f"the file name {id!r} is not an id: lower-case words joined by '-'")
        if area not in AREAS:
            raise self.fail(f"there is no area {area!r} (the folder of a check names its area){nearest(area, AREAS)}")
        severity = self.text(document, "severity", required=True)
        if severity not in SEVERITIES:
            raise self.fail(f"severity is one of {', '.join(SEVERITIES)}, not {severity!r}", "severity")
        subjects = self.text(document, "subjects") or None
        if subjects is not None and (subjects not in CATALOGUE or not CATALOGUE[subjects].is_list_of_details):
            lists = [name for name, info in CATALOGUE.items() if info.is_list_of_details]
            raise self.fail(
                f"'subjects' names a fact that lists subjects, not {subjects!r}{nearest(subjects, lists)}", "subjects"
            )
        return Check(
            id=id,
            area=area,
            severity=severity,
            body=body,
            when=self.condition(document, "when"),
            subjects=subjects,
            references=self.texts_list(document, "references"),
            explains=self.texts_list(document, "explains"),
            covers=self.ids(document, "covers"),
            origin=origin,
        )

    def body(self, document: dict[str, Any]) -> Body:
        log = self.table(document, "log")
        self.known_keys(log, "[log]", "log")
        examples = [self.example(item, nth) for nth, item in enumerate(self.tables(document, "example"))]
        return Body(
            text=self.texts(document),
            fixes=tuple(self.fix(fix, nth) for nth, fix in enumerate(self.tables(document, "fix"))),
            log_cause=self.texts_list(log, "cause", "log"),
            log_consequence=self.texts_list(log, "consequence", "log"),
            log_within=self.texts_list(log, "within", "log"),
            examples=tuple(item for item in examples if isinstance(item, Example)),
            log_examples=tuple(item for item in examples if isinstance(item, LogExample)),
        )

    def is_complete(self, check: Check) -> None:
        if not check.is_decided_by_facts and not check.log_cause and not check.log_consequence:
            raise self.fail("a check needs 'when' or 'subjects', or a [log] when only a log shows the problem")
        wanted = {"fires", "silent"} if check.is_decided_by_facts else set()
        lacking = wanted - {example.expect for example in check.examples}
        if lacking:
            raise self.fail(f"no [[example]] expects {', '.join(map(repr, sorted(lacking)))}")

    def texts(self, document: dict[str, Any]) -> dict[str, Text]:
        texts = self.table(document, "text")
        self.known_keys(texts, "[text]", "text")
        found = {}
        for language in LANGUAGES:
            if language not in texts:
                raise self.fail(f"[text.{language}] is missing: a check needs both languages")
            part = self.table(texts, language)
            where = f"text.{language}"
            self.known_keys(part, "[text.*]", where)
            found[language] = Text(
                *(
                    self.template(self.text(part, key, where, required=key != "false_alarms"), where, key)
                    for key in Text._fields
                )
            )
        lacking = [language for language in LANGUAGES if not found[language].false_alarms]
        if len(lacking) == 1:
            where = f"text.{lacking[0]}"
            raise self.fail(
                f"'false_alarms' is missing in [{where}]: write it in both languages or in none", where, "false_alarms"
            )
        return found

    def fix(self, fix: dict[str, Any], nth: int) -> Fix:
        self.known_keys(fix, "[[fix]]", "fix", nth)
        words = {
            language: self.template(self.text(fix, language, "fix", nth=nth, required=True), "fix", language, nth)
            for language in LANGUAGES
        }
        launch = self.table(fix, "launch")
        self.known_keys(launch, "[[fix]] launch", "fix", nth)
        env = self.table(launch, "env")
        for name, value in env.items():
            if name not in VARIABLES:
                raise self.fail(
                    f"{name!r} is not a variable that a plan may set{nearest(name, VARIABLES)}", "fix", name, nth=nth
                )
            if not isinstance(value, str):
                raise self.fail(f"{name!r} is a text", "fix", name, nth=nth)
        env = {name: self.template(value, "fix", name, nth) for name, value in env.items()}
        args = self.texts_list(launch, "args", "fix", nth)
        try:
            parse_options(args)
        except ValueError as error:
            raise self.fail(str(error), "fix", "launch", nth=nth) from None
        args = tuple(self.template(word, "fix", "launch", nth) for word in args)
        command = tuple(
            self.template(word, "fix", "command", nth) for word in self.texts_list(fix, "command", "fix", nth)
        )
        return Fix(when=self.condition(fix, "when", "fix", nth), text=words, command=command, env=env, args=args)

    def example(self, example: dict[str, Any], nth: int) -> Example | LogExample:
        self.known_keys(example, "[[example]]", "example", nth)
        expect = self.text(example, "expect", "example", nth=nth, required=True)
        log = self.text(example, "log", "example", nth=nth)
        expectations = LOG_EXPECTATIONS if log else EXPECTATIONS
        if expect not in expectations:
            raise self.fail(
                f"'expect' is one of {', '.join(expectations)}, not {expect!r}", "example", "expect", nth=nth
            )
        name = self.text(example, "name", "example", nth=nth)
        if log:
            if "facts" in example:
                raise self.fail("an [[example]] holds 'facts' or a 'log', not both", "example", "log", nth=nth)
            return LogExample(name or log.splitlines()[-1], expect, log)
        from nnunet_doctor.facts.exchange import FactError, from_plain

        values: dict[str, Observed] = dict.fromkeys(CATALOGUE, NOT_GIVEN)
        for area, nouns in self.table(example, "facts").items():
            if not isinstance(nouns, Mapping):
                raise self.fail(f"facts are written as area.noun = value, not {area!r}", "example", "facts", nth=nth)
            for noun, value in nouns.items():
                try:
                    # TOML has no null: a fact that does not apply is written area.noun.none = true
                    plain = None if value == {"none": True} else value
                    values[f"{area}.{noun}"] = from_plain(f"{area}.{noun}", plain)
                except FactError as error:
                    raise self.fail(str(error), "example", "facts", nth=nth) from None
        return Example(name or f"{expect} {nth + 1}", expect, Facts().with_values(values))

    def condition(self, table: dict[str, Any], key: str, where: str = "", nth: int = 0) -> When | None:
        text = self.text(table, key, where, nth=nth)
        if not text:
            return None
        try:
            return When.parse(text)
        except WhenError as error:
            raise self.fail(str(error), *filter(None, (where, key)), nth=nth) from None

    def template(self, words: str, where: str, key: str, nth: int = 0) -> str:
        """Return words whose placeholders name facts, and whose doubled braces are single, as they are shown."""
        if "{" not in words:
            return words
        for braces in _BRACES.finditer(words):
            said = braces.group()
            name = _PLACEHOLDER.fullmatch(said)
            if name and name[1] != "python" and name[1] not in CATALOGUE:
                near = nearest(name[1], CATALOGUE)
                raise self.fail(f"there is no fact {name[1]!r} to put into the text{near}", where, key, nth=nth)
            # what is doubled stands for itself, and so do the braces of JSON, which hold quotes or nothing
            doubled, single = braces.groups()
            literal = single is None or not single.strip() or '"' in single or "'" in single
            if not name and (not literal or (doubled and _PLACEHOLDER.fullmatch(f"{{{doubled}}}"))):
                said = said if said.endswith("}") else said.split(maxsplit=1)[0]
                near = nearest(said, (f"{{{name}}}" for name in ("python", *CATALOGUE)))
                sentence = f"{said!r} is no placeholder, and braces that stand for themselves are doubled{near}"
                raise self.fail(sentence, where, key, nth=nth)
        return _DOUBLED.sub(r"{\1}", words)

    def patterns_are_regular(self, check: Check) -> None:
        log = {"cause": check.log_cause, "consequence": check.log_consequence, "within": check.log_within}
        for key, patterns in log.items():
            for pattern in patterns:
                try:
                    re.compile(pattern)
                except re.error as error:
                    raise self.fail(f"{pattern!r} is not a regular expression: {error}", "log", key) from None
                if may_never_end(pattern):
                    raise self.fail(
                        f"{pattern!r} repeats a repetition, and may take forever on a line that it does not match; "
                        "one of the two is enough",
                        "log",
                        key,
                    )

    def known_keys(self, table: Mapping[str, Any], kind: str, where: str = "", nth: int = 0) -> None:
        for key in table:
            if key not in _KEYS[kind]:
                raise self.fail(
                    f"{kind} has no key {key!r}{nearest(key, _KEYS[kind])}", *filter(None, (where, key)), nth=nth
                )

    def text(self, table: Mapping[str, Any], key: str, where: str = "", *, nth: int = 0, required: bool = False) -> str:
        value = table.get(key, "")
        if not isinstance(value, str):
            raise self.fail(f"{key!r} is a text", *filter(None, (where, key)), nth=nth)
        if required and not value.strip():
            lacking = f"{key!r} is missing in [{where}]" if where else f"{key!r} is missing"
            raise self.fail(lacking, *filter(None, (where, key)), nth=nth)
        return value.strip()

    def texts_list(self, table: Mapping[str, Any], key: str, where: str = "", nth: int = 0) -> tuple[str, ...]:
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.fail(f"{key!r} is a list of texts", *filter(None, (where, key)), nth=nth)
        return tuple(value)

    def ids(self, table: Mapping[str, Any], key: str) -> tuple[str, ...]:
        names = self.texts_list(table, key)
        for name in names:
            if not _ID.fullmatch(name):
                raise self.fail(f"{key!r} holds {name!r}, which is not an id: lower-case words joined by '-'", key)
        return names

    def table(self, table: Mapping[str, Any], key: str) -> dict[str, Any]:
        value = table.get(key, {})
        if not isinstance(value, dict):
            raise self.fail(f"{key!r} is a table", key)
        return value

    def tables(self, table: Mapping[str, Any], key: str) -> Sequence[dict[str, Any]]:
        value = table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            raise self.fail(f"write each {key} as [[{key}]]", key)
        return value
