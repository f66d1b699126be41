"""What is recorded on one machine is said on any other: a look at it, and its facts written and read, give one report."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import planted
import pytest
from made_up import Installation, clean_environ

from nnunet_doctor import cli
from nnunet_doctor.facts import Facts
from nnunet_doctor.facts.exchange import to_plain

DEPTHS = ([], ["--quick"], ["--deep"])
NAMES = ["default", "quick", "deep"]
PLANTED = "label with 3"


@pytest.fixture
def one_look(monkeypatch: pytest.MonkeyPatch) -> list[Facts]:
    """Have the next commands see what the first one has seen, since a second look finds other times and free space.

    The facts of the first look, which is a real one, are kept here.
    """
    seen: list[Facts] = []
    start_looking = cli._start_looking

    def looking(*arguments: Any, **options: Any) -> Callable[[], Facts]:
        if seen:
            return lambda: seen[0]
        wait = start_looking(*arguments, **options)

        def facts() -> Facts:
            seen.append(wait())
            return seen[0]

        return facts

    monkeypatch.setattr(cli, "_start_looking", looking)
    return seen


def compare(installation: Installation, seen: list[Facts], dataset: list[str], depth: list[str]) -> dict[str, Any]:
    """See that three reports agree: of the look, of its facts file, and, by their ids, of the redacted one.

    Returns:
        The report.
    """
    files = {name: installation.path(f"{name}.json") for name in ("live", "facts", "replayed", "redacted", "shared")}
    done = installation.doctor("check", *dataset, *depth, "--report", str(files["live"]))
    assert done.returncode in (0, 1, 3), done.stderr
    for name, option in (("facts", []), ("redacted", ["--redact"])):
        kept = installation.doctor("facts", *dataset, *depth, *option, "--output", str(files[name]))
        assert kept.returncode == 0, kept.stderr
    for source, target in (("facts", "replayed"), ("redacted", "shared")):
        again = installation.doctor("check", "--facts", str(files[source]), "--report", str(files[target]))
        assert again.returncode == done.returncode, again.stderr
    live, shared = (json.loads(files[name].read_text(encoding="utf-8")) for name in ("live", "shared"))

    assert files["live"].read_bytes() == files["replayed"].read_bytes()
    assert said(shared) == said(live)
    assert len(seen) == 1
    return dict(live)


def said(report: dict[str, Any]) -> dict[str, Any]:
    """Return what is said, without the names in it."""
    return {
        "verdict": report["verdict"],
        "findings": [(item["id"], len(item["details"]), item["explained_by"]) for item in report["findings"]],
        "undecided": [item["id"] for item in report["unknown"]],
        "passed": report["passed"],
        "plan": [item["because"] for item in report["plan"]["reasons"]],
    }


@pytest.mark.parametrize("depth", DEPTHS, ids=NAMES)
def test_a_replayed_installation_gives_the_very_report(
    installation: Installation, one_look: list[Facts], depth: list[str]
) -> None:
    """Torch, folders, raw and preprocessed data: every byte of the report survives the facts file."""
    report = compare(installation, one_look, ["10"], depth)

    assert report["findings"] != []
    assert any(item["evidence"] for item in report["findings"])


@pytest.mark.parametrize("depth", DEPTHS, ids=NAMES)
def test_a_replayed_dataset_gives_the_very_report(
    installation: Installation, one_look: list[Facts], depth: list[str]
) -> None:
    """Files and their faults, with names beyond ASCII, survive it too, and a redacted file says as much of as many."""
    folder = planted.build("ct", installation.path("raw"))
    next(fault for fault in planted.FAULTS if fault.name == PLANTED).plant(folder)
    (folder / "labelsTr" / "病例 7.nii.gz").write_bytes(b"\x1f\x8b")
    report = compare(installation, one_look, ["42"], depth)
    found = {item["id"]: item["subjects"] for item in report["findings"]}

    assert ("label-unexpected" in found) == (depth != ["--quick"])
    assert any("病例" in subject for subjects in found.values() for subject in subjects)


@pytest.mark.parametrize("depth", [["--quick"], *(pytest.param(d, marks=pytest.mark.slow) for d in ([], ["--deep"]))])
def test_this_machine_replayed_gives_the_very_report(tmp_path: Path, one_look: list[Facts], depth: list[str]) -> None:
    """So it is with the machine that runs the tests, and with whatever is installed on it."""
    environ = clean_environ() | {"NNUNET_DOCTOR_LANG": "en", "NNUNET_DOCTOR_PYTHON": sys.executable}
    machine = Installation(tmp_path, environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")})
    report = compare(machine, one_look, [], depth)

    assert report["machine"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert to_plain(one_look[0]["resources.cpus_machine"]) == os.cpu_count()
