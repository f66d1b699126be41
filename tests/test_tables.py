"""Dated tables: complete, consistent with each other, shown with their sources, and compared with releases as they are."""

from __future__ import annotations

import io
import json
import re
from contextlib import redirect_stdout
from itertools import pairwise
from typing import Any

import pytest
from check_tables import Metadata, Torch, compare_requires_python, compare_torch, verdict
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from nnunet_doctor.cli import main
from nnunet_doctor.facts.derive.rules import capability
from nnunet_doctor.facts.tables import (
    NAMES,
    is_newer_than_known,
    known_until,
    newest_cuda,
    newest_of,
    row_for,
    rows,
    sources,
    table,
)


def row_of(version: str) -> dict[str, Any]:
    """Return the row of a release of torch."""
    (row,) = [row for row in table("torch")["release"] if row["version"] == version]
    return row


@pytest.mark.parametrize("name", NAMES)
def test_tables_say_where_their_knowledge_is_from(name: str) -> None:
    """Each table has sources, a day, rows, and no two rows for one release."""
    versions = [row["version"] for row in table(name).get("release", ())]

    assert sources(name)
    assert all(source and not re.search(r"https?:", source) for source in sources(name))
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", known_until(name))
    assert rows(name) > 0
    assert len(versions) == len(set(versions))


@pytest.mark.parametrize("name", ["nnunet", "torch", "triton"])
def test_releases_are_in_order(name: str) -> None:
    """Releases stand oldest first, so that what is newer than the table counts as the last row."""
    versions = [Version(row["version"]) for row in table(name)["release"]]

    assert versions == sorted(versions)
    assert row_for(name, "99.0") == table(name)["release"][-1]
    assert (is_newer_than_known(name, "99.0"), is_newer_than_known(name, str(versions[-1]))) == (True, False)


def test_every_row_of_torch_has_every_key() -> None:
    """No row lacks what rules read, and every value is of the kind that they expect."""
    keys = {
        "version",
        "python",
        "glibc",
        "cuda",
        "triton",
        "triton_python",
        "triton_arm64",
        "triton_windows",
        "compile_python",
    }

    for row in table("torch")["release"]:
        assert set(row) == keys, row["version"]
        assert row["glibc"] in ("2.17", "2.28")
        assert re.fullmatch(r"\d+\.\d+\.(?:\d+|\*)", row["triton"])
        assert SpecifierSet(row["python"]).contains(row["compile_python"]), row["version"]


def test_triton_of_every_torch_is_known() -> None:
    """For each Triton that a known torch asks for the table tells what it asks of the machine."""
    known = [row["version"] for row in table("triton")["release"]]
    asked = [
        row["triton"].replace(".*", ".0")
        for row in table("torch")["release"]
        if Version(row["version"]) >= Version("2.1")
    ]

    assert [version for version in asked if version not in known] == []


def test_series_of_triton_windows_follow_those_of_triton() -> None:
    """Where a torch asks for Triton on Linux and there is a build for Windows, both are of one series (from torch 2.5 on)."""
    pairs = [
        (row["triton_windows"], ".".join(row["triton"].split(".")[:2]))
        for row in table("torch")["release"]
        if row["triton_windows"] and Version(row["version"]) >= Version("2.5")
    ]

    assert [pair for pair in pairs if pair[0] != pair[1]] == []


def test_builds_for_every_default_cuda_are_known() -> None:
    """For the CUDA that the wheel of a torch on PyPI brings, the table tells the GPUs and the driver."""
    code, drivers = table("cuda")["code"], [str(row["cuda"]) for row in table("cuda")["driver"]]

    for row in table("torch")["release"]:
        fitting = [
            item
            for item in code
            if item["cuda"] == row["cuda"] and SpecifierSet(item["torch"]).contains(row["version"])
        ]
        assert len(fitting) == 1, row["version"]
        assert row["cuda"].split(".")[0] in drivers


def test_newer_cuda_asks_for_no_older_driver() -> None:
    """Drivers stand in the order of CUDA, so that an unknown newer CUDA counts as the newest known one."""
    for system in ("linux", "windows"):
        versions = [Version(row[system]) for row in table("cuda")["driver"]]

        assert versions == sorted(versions)
    assert newest_of("cuda") == newest_cuda() == "13.2"


def test_indexes_serve_releases_that_there_are() -> None:
    """Every suggested index has a known torch, GPUs in order, and a driver."""
    for index in table("cuda")["index"]:
        served = [row for row in table("torch")["release"] if SpecifierSet(index["torch"]).contains(row["version"])]
        gpus = [capability(item) for item in index["capabilities"]]

        assert served, index["label"]
        assert gpus == sorted(gpus)
        assert index["label"] == f"cu{index['cuda']}{index['label'][-1]}"


def test_assemblers_only_learn() -> None:
    """From release to release the assembler of Triton gets no older."""
    for before, after in pairwise(table("triton")["release"]):
        assert Version(before["ptxas"]) <= Version(after["ptxas"])
        assert Version(before["ptxas_blackwell"] or "0") <= Version(after["ptxas_blackwell"] or "0")


def test_problems_are_of_known_releases() -> None:
    """Each row of problems concerns a torch that the table of releases holds, and what is avoided is concerned."""
    versions = [row["version"] for row in table("torch")["release"]]

    for row in table("torch_problems")["problem"]:
        concerned = [version for version in versions if SpecifierSet(row["torch"]).contains(version)]
        assert concerned, row
        assert not row["avoid"] or not any(SpecifierSet(row["avoid"]).contains(version) for version in concerned)


# --- what the list shows --------------------------------------------------------------------------------------------


def listed(*options: str) -> str:
    """Return what ``nnunet-doctor list --tables`` prints."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        assert main(["list", "--tables", *options]) == 0
    return printed.getvalue()


@pytest.mark.parametrize(("language", "words"), [("en", "28 rows, known until "), ("zh", "28 行，截至 ")])
def test_list_shows_each_table_with_its_date_size_and_sources(
    language: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Name, number of rows, day and sources of every table stand in the list, within the width of the screen."""
    monkeypatch.setattr("nnunet_doctor.report.text.PIPED_WIDTH", 80)
    text = listed("--lang", language)
    flat = " ".join(text.split())

    assert [name for name in NAMES if f"\n{name}\n" not in f"\n{text}"] == []
    assert words + known_until("torch") in text
    for name in NAMES:
        for source in sources(name):
            assert " ".join(source.split()) in flat
    assert [line for line in text.splitlines() if len(line) > 80] == []


def test_list_for_programs() -> None:
    """As JSON each table comes with its name, day, rows, newest release and sources."""
    found = json.loads(listed("--format", "json"))

    assert [item["name"] for item in found] == list(NAMES)
    assert [item["rows"] for item in found] == [rows(name) for name in NAMES]
    assert [item["known_until"] for item in found] == [known_until(name) for name in NAMES]
    assert [tuple(item["sources"]) for item in found] == [sources(name) for name in NAMES]
    assert {item["name"]: item["newest"] for item in found}["torch"] == table("torch")["release"][-1]["version"]
    assert {item["name"]: item["newest"] for item in found}["torch_problems"] is None


# --- comparing with releases ----------------------------------------------------------------------------------------

TORCH_2_2_1 = Torch(
    Metadata(
        "2.2.1",
        ">=3.8.0",
        (
            'nvidia-cuda-runtime-cu12 (==12.1.105) ; platform_system == "Linux" and platform_machine == "x86_64"',
            'triton (==2.2.0) ; platform_system == "Linux" and platform_machine == "x86_64" and python_version < "3.12"',
            "filelock",
        ),
    ),
    pythons=("3.8", "3.12"),
    asked=("3.8", "3.12", "3.13"),
    on_old_glibc=True,
)
TORCH_2_14_1 = Torch(
    Metadata(
        "2.14.1",
        ">=3.10",
        (
            'cuda-toolkit[cublas,cudart,cufft,nvtx]==13.0.3; platform_system == "Linux"',
            'cuda-bindings<14,>=13.0.3; platform_system == "Linux" and python_version < "3.15"',
            'triton~=3.8.0; platform_system == "Linux" and python_version < "3.15"',
        ),
    ),
    pythons=("3.10", "3.14"),
    asked=("3.9", "3.10", "3.14", "3.15"),
    on_old_glibc=False,
)
"""Metadata as pip has reported them, and the Python releases for which it found a wheel."""


def test_a_release_that_is_as_the_table_says_agrees() -> None:
    """The rows of these two releases hold what their metadata say, in the old form and in the new."""
    assert compare_torch(row_of("2.2.1"), TORCH_2_2_1) == []
    assert compare_torch(row_of("2.14.1"), TORCH_2_14_1) == []


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("triton", "3.8.0", "triton: '3.8.0' and '3.8.*'"),
        ("triton_python", "", ""),
        ("triton_arm64", False, "triton_arm64: False and True"),
        ("cuda", "12.8", "cuda: '12.8' and '13.0'"),
        ("glibc", "2.17", "glibc: '2.17' and '2.28'"),
        ("python", ">=3.10,<3.14", "python: ('3.10',) and ('3.10', '3.14')"),
        ("python", ">=3.9,<3.15", "python: ('3.9', '3.10', '3.14') and ('3.10', '3.14')"),
    ],
)
def test_a_row_that_is_wrong_differs(key: str, value: object, words: str) -> None:
    """Each key of a row is compared; a marker that no wheel of the release can meet is no difference."""
    assert compare_torch({**row_of("2.14.1"), key: value}, TORCH_2_14_1) == ([words] if words else [])


def test_a_release_without_triton_for_a_python_differs_from_one_that_asks_for_it() -> None:
    """torch 2.2.0 asked for Triton on every Python, 2.2.1 no longer on 3.12; taking one for the other is found."""
    assert compare_torch({**row_of("2.2.1"), "triton_python": ""}, TORCH_2_2_1) == [
        "triton_python: ('3.8', '3.9', '3.10', '3.11', '3.12') and ('3.8', '3.9', '3.10', '3.11')"
    ]


@pytest.mark.parametrize(
    ("told", "found", "differs"),
    [(">=3.10", ">=3.10", []), ("", None, []), (">=3.9", ">=3.10", ["python: '>=3.9' and '>=3.10'"])],
)
def test_python_releases_of_nnunet_are_compared(told: str, found: str | None, differs: list[str]) -> None:
    """Requires-Python of a release of nnU-Net is that of its row; none at all is an empty range."""
    assert compare_requires_python({"python": told}, Metadata("2.8.1", found, ())) == differs


def test_verdicts_in_words() -> None:
    """A release agrees, differs in what it says, or is not to be had."""
    assert [verdict(item) for item in ([], ["cuda: '12.8' and '13.0'"], None)] == [
        "agrees",
        "differs (table and release): cuda: '12.8' and '13.0'",
        "not to be had",
    ]
