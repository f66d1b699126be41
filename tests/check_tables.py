"""Compare the tables of releases with what the releases say of themselves; pip fetches their metadata.

Run by hand when a release has come out, with a network and some patience (no wheel of torch is downloaded):

    python tests/check_tables.py [torch] [triton-windows] [nnunetv2]

One line for each release: agrees, differs (and where), or not to be had. The exit code is 1 when something differs.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from nnunet_doctor.facts.tables import is_newer_than_known, newest, table

PYTHONS = tuple(f"3.{minor}" for minor in range(8, 17))
OLD_GLIBC = ("linux_x86_64", "manylinux1_x86_64", "manylinux2014_x86_64", "manylinux_2_17_x86_64")
NEW_GLIBC = (*OLD_GLIBC, "manylinux_2_27_x86_64", "manylinux_2_28_x86_64")
WINDOWS = ("win_amd64",)


class Metadata(NamedTuple):
    """What a distribution says of itself."""

    version: str
    requires_python: str | None
    requires: tuple[str, ...]


class Torch(NamedTuple):
    """What is found out about a release of torch.

    Attributes:
        metadata: Of its wheel for Linux on x86_64.
        pythons: Those of ``asked`` that it has a wheel for.
        asked: Python releases that were asked for.
        on_old_glibc: Whether one of these wheels runs with glibc 2.17.
    """

    metadata: Metadata
    pythons: tuple[str, ...]
    asked: tuple[str, ...]
    on_old_glibc: bool


# --- comparing ------------------------------------------------------------------------------------------------------


def compare_torch(row: Mapping[str, Any], found: Torch) -> list[str]:
    """Say where a row of torch.toml differs from the release."""
    requirements = [Requirement(text) for text in found.metadata.requires]
    triton = next((item for item in requirements if item.name == "triton"), None)
    served = [python for python in PYTHONS if SpecifierSet(row["python"]).contains(python)]
    told = {
        "python": tuple(python for python in found.asked if SpecifierSet(row["python"]).contains(python)),
        "glibc": row["glibc"],
        "cuda": row["cuda"],
        "triton": row["triton"],
        "triton_python": tuple(item for item in served if SpecifierSet(row["triton_python"]).contains(item)),
        "triton_arm64": row["triton_arm64"],
    }
    seen = {
        "python": found.pythons,
        "glibc": "2.17" if found.on_old_glibc else "2.28",
        "cuda": cuda_of(requirements),
        "triton": None if triton is None else pinned(triton.specifier),
        "triton_python": _served_by(triton, served, "x86_64"),
        "triton_arm64": bool(_served_by(triton, served, "aarch64")),
    }
    return [f"{key}: {told[key]!r} and {seen[key]!r}" for key in seen if told[key] != seen[key]]


def compare_requires_python(row: Mapping[str, Any], found: Metadata) -> list[str]:
    """Say where the Python releases of a row differ from Requires-Python."""
    told, seen = (SpecifierSet(text or "") for text in (row["python"], found.requires_python))
    return [] if told == seen else [f"python: {str(told)!r} and {str(seen)!r}"]


def cuda_of(requirements: Collection[Requirement]) -> str | None:
    """Return the CUDA release that a wheel brings: 12.1 of nvidia-cuda-runtime-cu12==12.1.105."""
    for item in requirements:
        if re.fullmatch(r"cuda-toolkit|nvidia-cuda-runtime(-cu\d+)?", item.name):
            (specifier,) = item.specifier
            return ".".join(specifier.version.split(".")[:2])
    return None


def pinned(specifier: SpecifierSet) -> str:
    """Return a pin as the tables write it: 3.4.0 of ==3.4.0, and 3.8.* of ~=3.8.0."""
    (only,) = specifier
    return only.version.rpartition(".")[0] + ".*" if only.operator == "~=" else only.version


def _served_by(requirement: Requirement | None, pythons: Sequence[str], machine: str) -> tuple[str, ...]:
    """List the Python releases for which a requirement holds on Linux."""
    environment: dict[str, Any] = {
        **default_environment(),
        "platform_system": "Linux",
        "sys_platform": "linux",
        "extra": "",
    }
    return tuple(
        python
        for python in pythons
        if requirement is not None
        and (
            requirement.marker is None
            or requirement.marker.evaluate(
                {
                    **environment,
                    "platform_machine": machine,
                    "python_version": python,
                    "python_full_version": f"{python}.0",
                }
            )
        )
    )


# --- fetching -------------------------------------------------------------------------------------------------------


def fetch(requirement: str, python: str, platforms: Sequence[str], *, source: bool = False) -> Metadata | None:
    """Have pip find a distribution and report its metadata, without installing it; None when there is none."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--no-deps", "--quiet"]
        command += ["--report", "-", "--target", folder, "--python-version", python]
        command += [] if source else ["--only-binary=:all:", *(f"--platform={platform}" for platform in platforms)]
        done = subprocess.run([*command, requirement], capture_output=True, encoding="utf-8", check=False)
    if done.returncode != 0:
        return None
    metadata = json.loads(done.stdout)["install"][0]["metadata"]
    return Metadata(metadata["version"], metadata.get("requires_python"), tuple(metadata.get("requires_dist", ())))


def fetch_torch(row: Mapping[str, Any]) -> Torch | None:
    """Ask for the wheels of the oldest and the newest Python of a row, and of those before and behind."""
    served = [python for python in PYTHONS if SpecifierSet(row["python"]).contains(python)]
    first, last = PYTHONS.index(served[0]), PYTHONS.index(served[-1])
    asked = tuple(PYTHONS[at] for at in (first - 1, first, last, last + 1) if 0 <= at < len(PYTHONS))
    requirement = f"torch=={row['version']}"
    found = {python: fetch(requirement, python, NEW_GLIBC) for python in asked}
    metadata = next((item for item in found.values() if item is not None), None)
    if metadata is None:
        return None
    old = fetch(requirement, served[-1], OLD_GLIBC) is not None
    return Torch(metadata, tuple(python for python in asked if found[python] is not None), asked, old)


# --- what is checked ------------------------------------------------------------------------------------------------

Line = tuple[str, "list[str] | None"]
"""A release, and where it differs; None when it is not to be had."""


def torch_lines() -> Iterator[Line]:
    """Check every release of torch, and that none is newer."""
    for row in table("torch")["release"]:
        found = fetch_torch(row)
        yield f"torch {row['version']}", None if found is None else compare_torch(row, found)
    yield _newest_line("torch", "torch", fetch("torch", newest_python(), NEW_GLIBC))
    yield _newest_line("triton", "triton", fetch("triton", newest_python(), NEW_GLIBC))


def newest_python() -> str:
    """Return the newest Python that the newest known torch has wheels for."""
    wanted = SpecifierSet(table("torch")["release"][-1]["python"])
    return [python for python in PYTHONS if wanted.contains(python)][-1]


def _newest_line(distribution: str, name: str, found: Metadata | None) -> Line:
    if found is None:
        return f"{distribution}, the newest", None
    newer = is_newer_than_known(name, found.version) and Version(found.version) > Version(newest(name))
    said = [f"{found.version} is out, and the table ends with {newest(name)}"] if newer else []
    return f"{distribution} {found.version}, the newest", said


def triton_windows_lines() -> Iterator[Line]:
    """Check that triton-windows has the series that torch.toml names, and no other for a torch that is said to have none."""
    rows = table("torch")["release"]
    for series in dict.fromkeys(row["triton_windows"] for row in rows if row["triton_windows"]):
        there = any(fetch(f"triton-windows=={series}.*", python, WINDOWS) for python in ("3.10", "3.12"))
        yield f"triton-windows {series}", [] if there else None
    for row in rows[-3:]:
        if not row["triton_windows"]:
            series = ".".join(row["triton"].split(".")[:2])
            found = fetch(f"triton-windows=={series}.*", newest_python(), WINDOWS)
            said = [f"{found.version} is out for torch {row['version']}"] if found else []
            yield f"triton-windows {series} (none)", said


def nnunetv2_lines() -> Iterator[Line]:
    """Check every release of nnU-Net, and that none is newer."""
    for row in table("nnunet")["release"]:
        found = fetch(f"nnunetv2=={row['version']}", "3.11", (), source=True)
        yield f"nnunetv2 {row['version']}", None if found is None else compare_requires_python(row, found)
    yield _newest_line("nnunetv2", "nnunet", fetch("nnunetv2", "3.11", (), source=True))


CHECKED: dict[str, Callable[[], Iterator[Line]]] = {
    "torch": torch_lines,
    "triton-windows": triton_windows_lines,
    "nnunetv2": nnunetv2_lines,
}


def verdict(differs: list[str] | None) -> str:
    """Say in words how a release compares."""
    if differs is None:
        return "not to be had"
    return f"differs (table and release): {'; '.join(differs)}" if differs else "agrees"


def main(names: Sequence[str]) -> int:
    """Print a line for each release, and return 1 when something differs."""
    bad = 0
    for name in names or CHECKED:
        for release, differs in CHECKED[name]():
            print(f"{release}: {verdict(differs)}", flush=True)
            bad += bool(differs)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
