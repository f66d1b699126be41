"""Cases that are tried together fail as they would one by one."""

from __future__ import annotations

import pytest
from together import SHOWN, together


def test_every_case_that_fails_is_named_with_its_error() -> None:
    """The first failure ends nothing: the message names all that fail, and none of the others."""

    @together("number,limit", [(1, 5), (7, 5), (2, 5), (9, 5)], lambda number, _: f"case {number}")
    def test(number: int, limit: int) -> None:
        assert number < limit

    with pytest.raises(pytest.fail.Exception) as failed:
        test()

    said = str(failed.value)
    assert said.startswith("2 of 4 cases fail: case 7; case 9\n")
    assert "--- case 7\n" in said
    assert "assert 9 < 5" in said
    assert "case 1" not in said


def test_a_missing_exception_is_a_failure() -> None:
    """What pytest itself fails is told like an assertion."""

    @together("value", ["3", "x"])
    def test(value: str) -> None:
        with pytest.raises(ValueError, match="invalid literal"):
            int(value)

    with pytest.raises(pytest.fail.Exception, match="1 of 2 cases fail: 3"):
        test()


def test_a_case_that_is_skipped_skips_no_other() -> None:
    """The others are tried; the test is told as skipped, with the case and its reason."""
    tried = []

    @together("value", [1, 2, 3])
    def test(value: int) -> None:
        tried.append(value)
        if value == 2:
            pytest.skip("no such disk")

    with pytest.raises(pytest.skip.Exception, match="1 of 3 cases: 2: no such disk"):
        test()

    assert tried == [1, 2, 3]


def test_of_many_failures_each_is_named() -> None:
    """Pages of errors are cut, names are not."""

    @together("value", range(100))
    def test(value: int) -> None:
        raise KeyError(value)

    with pytest.raises(pytest.fail.Exception) as failed:
        test()

    assert "; 98; 99\n" in str(failed.value)
    assert str(failed.value).count("---") == SHOWN


def test_no_cases_are_refused() -> None:
    """A test without a case would pass for ever."""
    with pytest.raises(ValueError, match="no case for value"):
        together("value", [])


@together("number", [1, 2])
def test_fixtures_are_those_of_the_test(number: int, tmp_path: object) -> None:
    """What is no value of a case comes from a fixture."""
    assert (number in (1, 2), tmp_path is not None) == (True, True)
