"""Every sentence that the doctor prints exists in English and in Chinese."""

from __future__ import annotations

import argparse
import errno
import io
import itertools
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import tomli
from sentences import GAP, PACKAGE, missing, sentences, single_words, translations, unread

from nnunet_doctor import arguments, cli, examination
from nnunet_doctor.facts import CATALOGUE, Facts, Unknown
from nnunet_doctor.report import record
from nnunet_doctor.report.diagnosis import title_of
from nnunet_doctor.report.listing import print_list
from nnunet_doctor.request import Request
from nnunet_doctor.run import estimate
from nnunet_doctor.run.command import Start, prepare, show
from nnunet_doctor.words import duration, keys, phrases, template, translated
from nnunet_doctor.words.lines import breaks

FOLDER = Path(__file__).with_name("machines")
MACHINES = sorted(set(FOLDER.glob("*.json")) - set(FOLDER.glob("*.expected.json")))
_CHINESE = r"[\u4e00-\u9fff]"
_ENGLISH = re.compile(r"(?<![\w./\\-])[a-z]{2,}(?: [a-z]{2,}){2,}(?![\w./\\-])")
"""Three words of prose in a row."""

_QUOTED = re.compile(r"“[^”]*”|" + "|".join(re.escape(os.strerror(number)) for number in errno.errorcode))
"""What programs print and checks quote, and what the operating system says."""


# --- tables --------------------------------------------------------------------------------------------------------


def test_no_sentence_of_the_code_is_missing_in_chinese() -> None:
    """What is missing is named; `python tests/sentences.py` prints it as lines to fill in."""
    assert [f"{item.file}:{item.line}: {item.text}" for item in missing()] == []


def test_no_reason_of_one_word_is_missing_in_chinese() -> None:
    """A word that is all that is said of a file or a fact is translated, too."""
    words = single_words()

    assert {"folders", "twice", "missing"} & words
    assert sorted(words - set(translations())) == []


def test_no_translation_is_of_a_sentence_that_is_gone() -> None:
    """A sentence that was changed in the code is changed in the tables too."""
    in_code = {item.text for item in sentences(words=1)} | {info.doc for info in CATALOGUE.values()} | PYTHON

    assert sorted(set(translations()) - in_code) == []


PYTHON = {
    english
    for book, part in (
        ("help", "argparse"),
        *(("sentences", part) for part in ("arguments", "json", "toml", "system")),
    )
    for english in tomli.loads((PACKAGE / "words" / f"zh-{book}.toml").read_text(encoding="utf-8"))[part]
}
"""What Python and the system say themselves, which is no text of this code; wrong arguments and broken files have it said below."""


def test_no_text_is_listed_as_unread_for_nothing() -> None:
    """A text that is gone, or is translated, is on the list no more."""
    in_code = {(item.file, item.text) for item in sentences()}
    listed = {(file, text) for file, texts in unread().items() for text in texts}

    assert sorted(listed - in_code) == []
    assert sorted(text for _, text in listed if text in translations()) == []


def test_chinese_is_written_as_chinese() -> None:
    """Each translation holds Chinese letters, with full-width marks beside them."""
    beside = re.compile(rf"{_CHINESE}[,;:?!]|[,;:?!]{_CHINESE}")
    said = translations()

    assert [english for english, text in said.items() if not re.search(_CHINESE, text)] == []
    assert [text for text in said.values() if beside.search(text)] == []


def test_gaps_are_the_same_in_both_languages() -> None:
    """Nothing that varies is lost, and nothing is said twice."""
    lost = []
    for english, said in phrases("zh", "sentences").items():
        gaps = re.findall(r"\{(\d*)\}", said)
        numbers = [int(gap) if gap else place for place, gap in enumerate(gaps)]
        if sorted(numbers) != list(range(english.count(GAP))):
            lost.append(english)

    assert lost == []


def test_a_sentence_with_gaps_has_words_of_its_own() -> None:
    """A form that is nearly empty would match what other programs say."""
    own = {english: re.sub(r"[^A-Za-z]", "", english) for english in phrases("zh", "sentences") if GAP in english}

    assert [english for english, letters in own.items() if len(letters) < 4] == []


NASTY = ("C:\\Users\\a b\\x.nii.gz", "'Dataset010_Colon'", "imagesTr/病例 001_0000.nii.gz", "[Errno 13] x: y", "12.5")


@pytest.mark.parametrize("value", NASTY)
def test_every_sentence_is_found_whatever_fills_its_gaps(value: str) -> None:
    """Paths with blanks, quotes, colons and Chinese names do not hide a sentence, and no other one answers for it."""
    wrong = []
    for english, said in phrases("zh", "sentences").items():
        if ": " in value and ("{}: " in english or f"{{}}: {english}" in phrases("zh", "sentences")):
            continue  # nobody can tell which of two colons is that of the sentence
        values = [f"{value}{number}" for number in range(english.count(GAP))]
        rest = iter(values)
        expected = re.sub(r"\{(\d*)\}", lambda gap: values[int(gap[1])] if gap[1] else next(rest), said)  # noqa: B023
        rest = iter(values)
        if translated("zh", re.sub(r"\{\}", lambda _: next(rest), english)) != expected:  # noqa: B023
            wrong.append(english)

    assert wrong == []


def test_words_of_reports_are_in_both_languages() -> None:
    """Sentences with a name exist in both, with the same values."""
    assert keys("en") == keys("zh")
    values = {
        key: [set(re.findall(r"\{(\w+)\}", template(language, key))) for language in ("en", "zh")] for key in keys("en")
    }
    assert [key for key, (english, chinese) in values.items() if english != chinese] == []


def test_no_word_of_reports_is_left_over() -> None:
    """Each name is used by the code, in whole or put together from a part."""
    code = "\n".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    formats = [*re.findall(r'f"([a-z_]*\{[^"]*)"', code), *re.findall(r"f'([a-z_]*\{[^']*)'", code)]
    parts = {re.sub(r"\{[^}]*\}", ".+", part) for part in formats}
    patterns = [re.compile(part) for part in parts if re.search(r"[a-z]{3,}_", part)]

    assert [
        key
        for key in sorted(keys("en"))
        if f'"{key}"' not in code and f"'{key}'" not in code and not any(item.fullmatch(key) for item in patterns)
    ] == []


# --- help ----------------------------------------------------------------------------------------------------------


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield a parser and all below it."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from parsers(below)


@pytest.mark.parametrize("number", range(len(list(parsers(arguments.command_line())))))
def test_help_is_chinese(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No command and no option is explained in English only, and no line is wider than the terminal."""
    from rich.cells import cell_len

    monkeypatch.setenv("COLUMNS", "80")
    text = arguments.help_of(list(parsers(arguments.command_line()))[number], "zh")

    assert [line for line in text.splitlines() if _ENGLISH.search(line)] == []
    assert [line for line in text.splitlines() if cell_len(line) > 80] == []
    assert re.search(_CHINESE, text)


def test_every_option_has_help() -> None:
    """No option is left without a word."""
    silent = [
        f"{parser.prog} {action.option_strings or action.dest}"
        for parser in parsers(arguments.command_line())
        for action in parser._actions
        if not action.help and not isinstance(action, argparse._SubParsersAction)
    ]

    assert silent == []


# --- what is printed -----------------------------------------------------------------------------------------------

WRONG = {
    "no command": [],
    "no such command": ["chekc"],
    "no such option": ["check", "--quik"],
    "no value": ["check", "--select"],
    "no such choice": ["check", "--fail-on", "eror"],
    "no such form": ["check", "--format", "pdf"],
    "a bad number": ["check", "--timeout", "soon"],
    "no whole number": ["check", "--num-gpus", "0"],
    "a bad fold": ["check", "10", "-f", "first"],
    "arguments missing": ["run", "10"],
    "too many arguments": ["explain", "a", "b"],
    "two that exclude each other": ["fix", "10", "--apply", "--undo"],
    "a value too many": ["check", "--quick=yes"],
    "two depths": ["check", "--quick", "--deep"],
    "images without a model": ["check", "--predict-input", "."],
    "facts and quick": ["check", "--facts", "x.json", "--quick"],
    "no facts file": ["check", "--facts", "no-such-file.json"],
    "no such check": ["explain", "triton-mising"],
    "no such check at all": ["explain", "x"],
    "no such area": ["check", "--select", "tritn"],
    "no folder of checks": ["check", "--checks", "no-such-folder"],
    "no interpreter": ["check", "--python", "no-such-python"],
    "a bad suffix": ["check", "--report", "report.pdf"],
    "no baseline": ["check", "--baseline", "none.json"],
    "no such pack": ["check", "--probes", "none"],
    "no such log": ["diagnose", "none.txt"],
    "following nothing": ["diagnose", "-", "--follow"],
    "nothing to test": ["checks", "test", "none.toml"],
    "no schema": ["schema", "none"],
    "no shell": ["completion", "csh"],
    "nothing to compare": ["diff", "none.json"],
    "no such dataset": ["fix", "no-such-dataset"],
    "an id that is none": ["run", "10", "2d", "0", "--force", "none"],
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG.keys())
def test_wrong_arguments_are_told_in_chinese(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The user's system speaks Chinese, and so does every error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    code = cli.main(arguments)
    said = capsys.readouterr().err

    assert code == 2
    assert re.search(_CHINESE, said), said
    assert not _ENGLISH.search(_QUOTED.sub("", said)), said


BROKEN_TOML = (
    *(
        "x",
        "x = ",
        "= 1",
        "x = 'a",
        'x = "a',
        'x = "\\q"',
        'x = "\\ud800"',
        'x = "\\uzzzz"',
        "x = [1",
        "x = {a = 1",
    ),
    *("x = 1\nx = 2", "[a]\n[a]", "[a", "[[a]", "x = {a = 1, a = 2}", "x = {}\n[x.y]", "a.b = 1\n[a]", "x = 1 y = 2"),
    *(
        "x = 2027-13-40T00:00:00",
        "x = '\x01'",
        "x = 'a\nb'",
        "\x01",
        "# \x01",
        "[fruit]\na.b = 1\n[fruit.a]",
        "a = [{b=1}]\n[a.c]",
    ),
    *("[a.b]\n[a]\nb.c = 1", "## Text\n- of Markdown"),
)


@pytest.mark.parametrize("text", BROKEN_TOML)
def test_broken_toml_is_told_in_chinese(
    text: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What the reader of TOML says of a check file is Chinese too, the place included."""
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    (tmp_path / "rule.toml").write_text(text, encoding="utf-8")
    code = cli.main(["checks", "test", str(tmp_path / "rule.toml")])
    said = "".join(capsys.readouterr()).replace(str(tmp_path), "")

    assert code == 1
    assert re.search("不是 TOML：[^A-Za-z]", said), said
    assert not re.search("[A-Z][a-z]+ [a-z]+|at (?:line|end)", said), said


def test_language_of_an_error_follows_the_option(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """--lang counts before the system, in both ways of writing it, even where the rest of the line is wrong."""
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    cli.main(["check", "--lang", "zh", "--quik"])
    first = capsys.readouterr().err
    cli.main(["check", "--quik", "--lang=zh"])
    second = capsys.readouterr().err

    assert re.search(_CHINESE, first)
    assert first == second


def test_language_of_an_error_follows_the_configuration(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file that asks for Chinese is heeded where the command line cannot be read."""
    (tmp_path / "nnunet-doctor.toml").write_text('lang = "zh"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    monkeypatch.delenv("NNUNET_DOCTOR_LANG", raising=False)
    cli.main(["check", "--quik"])

    assert re.search(_CHINESE, capsys.readouterr().err)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


@pytest.mark.parametrize("path", MACHINES, ids=lambda path: path.stem)
def test_a_report_in_chinese_is_chinese(path: Path) -> None:
    """Of every recorded machine: no finding, reason or particular holds English prose, unless a program has said it."""
    facts = examination.read_facts(path, {})
    result = examination.conclude(facts, examination.load_checks([]))
    report = record.build(result.facts, result.diagnosis, result.plan, (), "zh", "error")
    observed = set(_texts(json.loads(path.read_text(encoding="utf-8"))["facts"]))
    shown = [finding.title + finding.why for finding in report.findings]
    shown += [item.message for finding in report.findings for item in finding.details]
    shown += [fix.text for finding in report.findings for fix in finding.fixes]
    shown += [item.because for item in report.unknown]
    for text in sorted(observed, key=len, reverse=True):
        shown = [line.replace(text, "") for line in shown] if _ENGLISH.search(text) else shown

    assert [line for line in shown if _ENGLISH.search(_QUOTED.sub("", line))] == []


def test_facts_are_listed_whole_in_chinese() -> None:
    """A long sentence without blanks is broken, not cut, and the type of each fact is told in Chinese too."""
    out = io.StringIO()
    print_list("facts", (), "zh", out)
    shown = "".join(out.getvalue().split())

    assert [doc for doc in phrases("zh", "facts").values() if "".join(doc.split()) not in shown] == []
    assert not re.search(r"ornone|trueorfalse|wholenumber", shown)


def test_a_title_without_its_values_reads_on() -> None:
    """Where a log does not tell a version, the blanks around it go with it, and nothing is left of the mark."""
    titles = {check.id: title_of(check, Facts({}), "zh") for check in examination.load_checks([])}
    cut = re.compile(rf"{_CHINESE} +{_CHINESE}|\0|  ")

    assert [title for title in titles.values() if cut.search(title)] == []
    assert titles["driver-too-old"] == "NVIDIA 驱动对 torch 来说太旧"


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("en", ["42 s", "3 min 5 s", "2 h 10 min", "12 d 4 h", "3 d"]),
        ("zh", ["42 秒", "3 分钟 5 秒", "2 小时 10 分钟", "12 天 4 小时", "3 天"]),
    ],
)
def test_times_are_told_in_the_units_of_the_language(language: str, expected: list[str]) -> None:
    """Two units at most, the larger first."""
    actual = [duration(seconds, language) for seconds in (42, 185, 7800, 1051200, 259200)]

    assert expected == actual


@pytest.fixture(scope="module")
def start() -> Start:
    """A training that can start although torch was not asked."""
    facts = examination.read_facts(FOLDER / "linux-cuda-quick.json", {})
    request = Request("10", "3d_fullres", "0")
    return prepare(examination.conclude(facts, examination.load_checks([])), request, [], [])


def test_run_tells_in_chinese_what_it_could_not_decide(start: Start) -> None:
    """The reason of each check that is not decided is Chinese."""
    out = io.StringIO()
    show(start, "zh", out)

    assert "无法判断：" in out.getvalue()
    assert not _ENGLISH.search(_QUOTED.sub("", out.getvalue())), out.getvalue()


def test_run_tells_in_chinese_why_it_foretells_no_time(
    start: Start, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that is too slow for one iteration gets a Chinese reason."""
    monkeypatch.setattr(estimate, "measure", lambda *_: Unknown("no iteration ended in time"))
    estimate.estimate(start, Request("10"), {}, "zh")

    assert capsys.readouterr().err.splitlines()[-1] == "无法估计所需时间：没有一次迭代在时限内完成"


# --- lines ---------------------------------------------------------------------------------------------------------


def test_chinese_lines_break_between_letters_and_never_before_a_closing_mark() -> None:
    """A line of Chinese is filled, a Latin word stays whole, and marks stay where they belong."""
    text = "在本机上实际试一遍训练要做的事，并解码 nnUNet_preprocessed 中每个文件（包括“标签”）的每个字节。"
    for width in range(8, 60):
        places = [0, *breaks(text, width), len(text)]
        lines = [text[start:end].rstrip() for start, end in itertools.pairwise(places)]

        assert "".join(lines).replace(" ", "") == text.replace(" ", "")
        assert [line for line in lines if line[0] in "，。）”" or line[-1] in "（“"] == []
        assert width < 20 or any("nnUNet_preprocessed" in line for line in lines)
