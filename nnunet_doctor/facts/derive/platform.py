"""What follows from the operating system and its limits."""

from __future__ import annotations

from collections.abc import Sequence

from nnunet_doctor.facts.derive.rules import rule


@rule("platform.wsl2_ready", "platform.wsl_distributions")
def wsl2_ready(distributions: Sequence[str] | None) -> bool | None:
    """A distribution is listed as NAME:2 when it runs under WSL2."""
    if distributions is None:
        return None
    return any(item.endswith(":2") and not item.startswith(_NOT_FOR_PEOPLE) for item in distributions)


_NOT_FOR_PEOPLE = ("docker-desktop", "rancher-desktop", "podman-machine")
"""Distributions that programs install for themselves; nothing can be installed in them."""


@rule("resources.cpus_note", "resources.cpus", "resources.cpus_machine", "resources.cpus_limited_by")
def cpus_note(cpus: int, machine: int, limited_by: str | None) -> str:
    return f"{cpus} of {machine} ({limited_by})" if limited_by else str(cpus)
