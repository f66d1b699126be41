"""Every check says of each of its examples what the example expects, and the catalogue keeps its promises."""

from __future__ import annotations

import dataclasses
import re
import string
from pathlib import Path

import pytest
from shared import CHECKS
from together import together

from nnunet_doctor import catalogue
from nnunet_doctor.check import AREAS, LANGUAGES, Check, CheckError, Example, LogExample, fill, read_check
from nnunet_doctor.engine import agrees, diagnose
from nnunet_doctor.errors import UserError
from nnunet_doctor.facts import CATALOGUE, Facts, Observed
from nnunet_doctor.facts.derive import with_inputs
from nnunet_doctor.facts.tables import NAMES, known_until, table
from nnunet_doctor.log.signatures import says
from nnunet_doctor.plan import plan
from nnunet_doctor.report.record import finding_record
from nnunet_doctor.words import keys, template

EXAMPLES = [(check, example) for check in CHECKS for example in check.examples]
LOG_EXAMPLES = [(check, example) for check in CHECKS for example in check.log_examples]


def name_of(check: Check, example: Example | LogExample) -> str:
    """Name an example by its file and its own name."""
    return f"{check.area}/{check.id}.toml, {example.name!r}"


@together("check, example", EXAMPLES, name_of)
def test_example(check: Check, example: Example) -> None:
    """The check fires, stays silent or cannot tell, as its example says."""
    assert agrees(check, example)


@together("check, example", LOG_EXAMPLES, name_of)
def test_log_example(check: Check, example: LogExample) -> None:
    """Lines of a log name the check as cause, as consequence, or not at all, as its example says."""
    assert says(check, example.log) == example.expect


def test_every_area_has_checks() -> None:
    """No area of the contract is empty."""
    assert {check.area for check in CHECKS} == set(AREAS)


def test_every_check_names_a_source() -> None:
    """A check without a reference cannot be checked."""
    assert [check.id for check in CHECKS if not check.references] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_have_their_language(language: str) -> None:
    """Chinese texts are Chinese, English ones are ASCII, and both are there in full."""
    chinese = re.compile("[\u4e00-\u9fff]")
    for check in CHECKS:
        texts = [*check.text[language], *(fix.text[language] for fix in check.fixes)]
        for text in filter(None, texts):
            assert bool(chinese.search(text)) is (language == "zh"), f"{check.id}: {text}"


def test_chinese_has_its_own_punctuation() -> None:
    """Between Chinese characters stand Chinese marks."""
    ascii_mark = re.compile("[\u4e00-\u9fff][,;:!?]|[,;:!?][\u4e00-\u9fff]")
    for check in CHECKS:
        for text in (*check.text["zh"], *(fix.text["zh"] for fix in check.fixes)):
            assert not ascii_mark.search(text), f"{check.id}: {text}"


def test_plain_keys_come_first_and_examples_last() -> None:
    """A built-in check that is read in parts, as a report needs them, says what it says as a whole."""

    def said(check: Check) -> str:
        return f"{check._asdict() | {'body': check.body()._replace(examples=(), log_examples=())}}"

    whole = {check.id: said(check) for check in CHECKS}

    assert [check.id for check in catalogue.load() if whole[check.id] != said(check)] == []


def test_damage_that_shows_only_later_is_told_with_its_line() -> None:
    """A built-in check that damage has reached where it is not read at once says so when it is asked for its words."""
    check = read_check("some-check", "os", GOOD.replace("[text.en]", "[text.en", 1), "x.toml", with_examples=False)
    with pytest.raises(UserError, match="^x.toml:4: this is not TOML"):
        _ = check.text


def test_titles_have_no_full_stop() -> None:
    """A title is a heading."""
    assert [
        check.id for check in CHECKS if check.text["en"].title.endswith(".") or check.text["zh"].title.endswith("。")
    ] == []


def test_false_alarms_are_sentences() -> None:
    """They end with the full stop of their language."""
    ends = {"en": ".", "zh": "。"}

    assert [
        (check.id, language)
        for check in CHECKS
        for language in LANGUAGES
        if check.text[language].false_alarms and not check.text[language].false_alarms.endswith(ends[language])
    ] == []


def test_log_patterns_read_long_lines_in_no_time() -> None:
    """A pattern that a hostile or long line can stall would stall the reading of every log."""
    hostile = ["a" * 20_000, " " * 20_000, "(" * 20_000, "File " * 4_000, "/" * 20_000 + "!", "Error: " * 3_000]
    for check in CHECKS:
        for pattern in (*check.log_cause, *check.log_consequence):
            compiled = re.compile(pattern)
            assert [compiled.search(line) for line in hostile] == [None] * len(hostile), f"{check.id}: {pattern}"


def test_own_sentences_are_complete_in_both_languages() -> None:
    """Each sentence of the doctor is there in both languages with the same values in it."""
    assert keys("en") == keys("zh")
    for key in keys("en"):
        names = [
            {name for _, name, _, _ in string.Formatter().parse(template(language, key)) if name}
            for language in LANGUAGES
        ]
        assert names[0] == names[1], key


@pytest.mark.parametrize("name", NAMES)
def test_tables_are_dated_and_in_order(name: str) -> None:
    """A table says until when it is complete, and lists releases oldest first."""
    from packaging.version import Version

    versions = [Version(row["version"]) for row in table(name).get("release", ())]

    assert re.fullmatch(r"20\d\d-\d\d-\d\d", known_until(name))
    assert versions == sorted(versions)


GOOD = """
severity = "error"
when = "training.compiles"
[text.en]
title = "t"
why = "w"
[text.zh]
title = "t"
why = "w"
[[fix]]
en = "e"
zh = "z"
launch.env = { nnUNet_compile = "false" }
[[example]]
expect = "fires"
facts = { training.compiles = true }
[[example]]
expect = "silent"
facts = { training.compiles = false }
"""

REFUSED = {
    "unknown key": ('severity = "error"', 'severty = "error"', 2, "did you mean 'severity'?"),
    "unknown severity": ('"error"', '"fatal"', 2, "severity is one of"),
    "unknown fact": ('training.compiles"', 'training.compile"', 3, "did you mean 'training.compiles'?"),
    "unknown fact in a text": ('why = "w"', 'why = "{training.compile}"', 6, "did you mean 'training.compiles'?"),
    "a blank in a placeholder": (
        'why = "w"',
        'why = "{training.compiles }"',
        6,
        "is no placeholder, and braces that stand for themselves are doubled; did you mean '{training.compiles}'?",
    ),
    "a capital in a placeholder": (
        'why = "w"',
        'why = "{Training.compiles}"',
        6,
        "did you mean '{training.compiles}'?",
    ),
    "a conversion in a placeholder": ('zh = "z"', 'zh = "{platform.os!r}"', 12, "did you mean '{platform.os}'?"),
    "a format in a placeholder": ('en = "e"', 'en = "{resources.cpus:d}"', 11, "did you mean '{resources.cpus}'?"),
    "a word in braces": ('why = "w"', 'why = "see {notafact}"', 6, "'{notafact}' is no placeholder"),
    "a placeholder that does not end": (
        'why = "w"',
        'why = "{training.compiles is on"',
        6,
        "'{training.compiles' is no placeholder",
    ),
    "a placeholder in two braces": ('why = "w"', 'why = "{{platform.os}}"', 6, "did you mean '{platform.os}'?"),
    "a misspelt placeholder in a command": (
        'zh = "z"',
        'zh = "z"\ncommand = ["{pyton}", "-V"]',
        13,
        "did you mean '{python}'?",
    ),
    "a misspelt placeholder in a setting": (
        '"false"',
        '"{training.workers }"',
        13,
        "did you mean '{training.workers}'?",
    ),
    "comparison with None": ('training.compiles"', 'gpu.driver == None"', 3, "write 'gpu.driver is None'"),
    "language missing": ('[text.zh]\ntitle = "t"\nwhy = "w"', "", None, "[text.zh] is missing"),
    "false alarms in English only": (
        "[text.zh]",
        'false_alarms = "f"\n[text.zh]',
        8,
        "'false_alarms' is missing in [text.zh]: write it in both languages or in none",
    ),
    "false alarms in Chinese only": ("[[fix]]", 'false_alarms = "f"\n[[fix]]', 4, "is missing in [text.en]"),
    "false alarms at the top": ('"error"', '"error"\nfalse_alarms = "f"', 3, "a check has no key 'false_alarms'"),
    "unknown fact in false alarms": (
        "[text.zh]",
        'false_alarms = "{training.compile}"\n[text.zh]',
        7,
        "did you mean 'training.compiles'?",
    ),
    "title missing": ('title = "t"', "", 4, "'title' is missing"),
    "unknown variable": ("nnUNet_compile =", "nnUNet_compil =", 13, "did you mean 'nnUNet_compile'?"),
    "value is no text": ('nnUNet_compile = "false"', "nnUNet_compile = false", 13, "is a text"),
    "unknown fact in an example": ("training.compiles = true", "training.compils = true", 16, "did you mean"),
    "wrong type in an example": ("training.compiles = true", "training.compiles = 1", 16, "is true or false"),
    "unknown expectation": ('expect = "fires"', 'expect = "fire"', 15, "'expect' is one of"),
    "no firing example": ('expect = "fires"', 'expect = "silent"', None, "expects 'fires'"),
    "broken TOML": ("[text.en]", "[text.en", 4, "this is not TOML"),
    "text instead of list": ('severity = "error"', 'severity = "error"\nreferences = "x"', 3, "is a list of texts"),
    "subjects that list nothing": (
        'severity = "error"',
        'severity = "error"\nsubjects = "platform.os"',
        3,
        "lists subjects",
    ),
    "broken pattern": ("[[fix]]", '[log]\ncause = ["("]\n[[fix]]', 11, "is not a regular expression"),
    "endless pattern": ("[[fix]]", "[log]\ncause = ['([a-z]+ ?)+: lost']\n[[fix]]", 11, "repeats a repetition"),
}


@pytest.mark.parametrize(("old", "new", "line", "words"), REFUSED.values(), ids=REFUSED.keys())
def test_a_faulty_file_is_refused_with_file_line_and_reason(old: str, new: str, line: int | None, words: str) -> None:
    """What is not a check is refused when it is read; the message names file, line and the nearest right word."""
    with pytest.raises(CheckError) as caught:
        read_check("some-check", "os", GOOD.replace(old, new, 1), "some-check.toml")

    assert words in str(caught.value)
    assert caught.value.line == line
    assert str(caught.value).startswith("some-check.toml:")


LITERAL = {
    "JSON": ('{"channel_names": {"0": "CT"}, "labels": {}}',) * 2,
    "JSON with a fact in it": ('{"a": {"b": "{platform.os}"}}', '{"a": {"b": "linux"}}'),
    "doubled": ('f"a_{{t:04d}}.nii.gz"', 'f"a_{t:04d}.nii.gz"'),
    "doubled beside a fact": ("{{fold}} of {platform.os}", "{fold} of linux"),
    "of a shell": ("ls ${nnUNet_raw}", "ls ${nnUNet_raw}"),
    "of find": ("find . -exec cat {} +", "find . -exec cat {} +"),
}


@pytest.mark.parametrize(("words", "shown"), LITERAL.values(), ids=LITERAL.keys())
def test_braces_may_stand_for_themselves(words: str, shown: str) -> None:
    """JSON, what a shell fills in, and braces that are doubled are shown as they are meant."""
    check = read_check("some-check", "os", GOOD.replace('en = "e"', f"en = '{words}'", 1), "some-check.toml")

    assert fill(check.fixes[0].text["en"], Facts({"platform.os": "linux"})) == shown


def test_each_check_says_when_it_cannot_tell() -> None:
    """Every built-in check that unknown facts leave undecided has an example of that."""
    assert [
        check.id
        for check in CHECKS
        if check.is_decided_by_facts and all(example.expect != "unknown" for example in check.examples)
    ] == []


def test_ids_are_unique_over_all_areas(tmp_path: Path) -> None:
    """A second check with an id that is taken is refused, wherever it lies."""
    (tmp_path / "paths").mkdir()
    (tmp_path / "paths" / "triton-missing.toml").write_text(GOOD, encoding="utf-8")
    with pytest.raises(CheckError, match="the id 'triton-missing' is taken by triton/triton-missing.toml"):
        catalogue.load([tmp_path])


def test_checks_are_listed_without_being_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The places of files tell ids and areas, so that what is not asked need not be read."""
    monkeypatch.setattr(catalogue, "read_check", None)

    assert [(item.id, item.area) for item in catalogue.listed()] == [(check.id, check.area) for check in CHECKS]


@dataclasses.dataclass(frozen=True)
class Watched(Facts):
    """Facts that remember which of them were asked."""

    asked: set[str] = dataclasses.field(default_factory=set)

    def __getitem__(self, name: str) -> Observed:
        self.asked.add(name)
        return super().__getitem__(name)


@together("check", CHECKS, lambda check: check.id)
def test_a_check_asks_no_fact_beyond_those_it_names(check: Check) -> None:
    """All that deciding, reporting and mending a check asks is among its facts: a look at these alone is enough."""
    known = {"python.executable": "python", "platform.shell": "posix", "nnunet.behaves_as": "2.8.1"}
    for example in check.examples:
        facts = Watched({**known, **example.facts.values})
        diagnosis = diagnose(facts, [check])
        plan(facts, [check])
        for finding in diagnosis.findings:
            for language in LANGUAGES:
                finding_record(finding, facts, language)

        assert facts.asked <= with_inputs(check.facts), example.name


@pytest.mark.parametrize("name", ["Bad", "under_score", "-x", "a--b"])
def test_file_names_are_ids(name: str) -> None:
    """A file name that is no kebab-case id is refused."""
    with pytest.raises(CheckError, match="is not an id"):
        read_check(name, "os", GOOD, f"{name}.toml")


def test_every_fact_is_documented() -> None:
    """Facts are an API: each has a sentence, and a name that is area.noun."""
    for info in CATALOGUE.values():
        assert re.fullmatch(r"[a-z]+\.[a-z0-9_]+", info.name)
        assert len(info.doc) > 5, info.name
