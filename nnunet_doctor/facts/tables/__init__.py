"""Dated knowledge that derived facts read: releases of nnU-Net, PyTorch and Triton, and what is true of each."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import tomli

NAMES = ("nnunet", "torch", "triton", "cuda", "torch_problems")
"""The tables there are."""


@cache
def table(name: str) -> dict[str, Any]:
    """Read a table; see the comments at its head for the meaning of each key."""
    return tomli.loads(Path(__file__).with_name(f"{name}.toml").read_text(encoding="utf-8"))


def known_until(name: str) -> str:
    """Return the day (YYYY-MM-DD) up to which a table is complete."""
    day: str = table(name)["known_until"]
    return day


def sources(name: str) -> tuple[str, ...]:
    """Return where the knowledge of a table comes from."""
    return tuple(table(name)["sources"])


def rows(name: str) -> int:
    """Return the number of rows in a table, over all its lists."""
    return sum(len(value) for key, value in table(name).items() if key != "sources" and isinstance(value, list))


def newest(name: str) -> str:
    """Return the newest release in a table of releases."""
    version: str = table(name)["release"][-1]["version"]
    return version


def newest_of(name: str) -> str | None:
    """Return the newest release that a table knows; None for one that is not about releases."""
    if "release" in table(name):
        return newest(name)
    return newest_cuda() if name == "cuda" else None


def newest_cuda() -> str:
    """Return the newest CUDA release whose builds are known."""
    from packaging.version import Version

    return max((str(row["cuda"]) for row in table("cuda")["code"]), key=Version)


def row_for(name: str, version: str) -> dict[str, Any] | None:
    """Return what is known of a release: its own row, or that of the newest release before it.

    So a release newer than the table counts as the newest known one.

    Returns:
        None when the version is older than the table or is no version.
    """
    from packaging.version import InvalidVersion, Version

    try:
        wanted = Version(Version(version).public)
    except InvalidVersion:
        return None
    fitting = [row for row in table(name)["release"] if Version(row["version"]) <= wanted]
    return fitting[-1] if fitting else None


def is_newer_than_known(name: str, version: str) -> bool:
    """Say whether a release is newer than every release of a table."""
    from packaging.version import InvalidVersion, Version

    try:
        return Version(Version(version).public) > Version(newest(name))
    except InvalidVersion:
        return False
