"""The condition language says what its table says, and refuses what is not in it."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli
from made_up import check_text

from nnunet_doctor.check import read_check
from nnunet_doctor.facts import Facts
from nnunet_doctor.when import When, WhenError

TABLE = tomli.loads(Path(__file__).with_name("when.toml").read_text(encoding="utf-8"))


def facts_of(written: dict) -> Facts:
    """Read facts as an example of a check does."""
    pairs = ", ".join(
        f"{area}.{noun} = {_toml(value)}" for area, nouns in written.items() for noun, value in nouns.items()
    )
    text = check_text("info", "training.compiles", pairs, "training.compiles = false")
    return read_check("table", "os", text, "table.toml").examples[0].facts


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


@pytest.mark.parametrize("case", TABLE["case"], ids=lambda case: f"{case['when']} | {case['facts']}")
def test_verdict(case: dict) -> None:
    """A condition over facts gives the verdict of the table, decided by the facts of the table."""
    verdict = When.parse(case["when"]).holds(facts_of(case["facts"]))

    assert ("unknown" if verdict.value is None else verdict.value) == case["verdict"]
    assert list(verdict.deciding) == case["deciding"]


@pytest.mark.parametrize("case", TABLE["refused"], ids=lambda case: case["when"])
def test_refusal(case: dict) -> None:
    """What is not in the language is refused when it is read, with a sentence that helps."""
    with pytest.raises(WhenError) as caught:
        When.parse(case["when"])

    assert case["words"] in str(caught.value)


def test_several_lines_are_told_as_one() -> None:
    """A report and a list show a condition in one line, without its comments."""
    when = When.parse("""
        platform.os == 'windows'  # natively
        and (training.compiles
             or not triton.importable)
    """)

    assert when.text == "platform.os == 'windows' and (training.compiles or not triton.importable)"


@pytest.mark.parametrize("text", ["(" * 5000, "not " * 50000 + "training.compiles", "x" * 10**6, "\0", ""])
def test_hostile_conditions_are_refused(text: str) -> None:
    """A condition made to exhaust the reader gets the ordinary refusal."""
    with pytest.raises(WhenError):
        When.parse(text)
