"""The launch settings that a plan may choose: a closed list, each tied to the fact that it changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nnunet_doctor.facts import Facts, Observed, Value
from nnunet_doctor.facts.derive import derive
from nnunet_doctor.facts.tables import row_for


@dataclass(frozen=True)
class Setting:
    """An environment variable or an option of nnUNetv2_train.

    Attributes:
        name: As the user writes it.
        fact: The fact that says how it is set.
        unset: Value of that fact while the user has not set it.
        takes_value: Whether an option is followed by a value; variables always have one.
    """

    name: str
    fact: str
    unset: Value = None
    takes_value: bool = True


VARIABLES: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        Setting("nnUNet_compile", "nnunet.compile_variable"),
        Setting("nnUNet_n_proc_DA", "nnunet.workers_variable"),
        Setting("nnUNet_def_n_proc", "nnunet.processes_variable"),
    )
}
"""Environment variables by name."""

OPTIONS: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        Setting("-device", "training.device_request", unset="auto"),
        Setting("--c", "training.continues", unset=False, takes_value=False),
    )
}
"""Options of nnUNetv2_train by name."""


def parse_options(arguments: Sequence[str]) -> dict[str, str]:
    """Return ``["-device", "cpu", "--c"]`` as ``{"-device": "cpu", "--c": ""}``.

    Raises:
        ValueError: An option is not in the closed list, or lacks its value.
    """
    found: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        name = rest.pop(0)
        if name not in OPTIONS:
            raise ValueError(f"{name!r} is not an option that a plan may set; there are {', '.join(OPTIONS)}")
        if OPTIONS[name].takes_value and not rest:
            raise ValueError(f"option {name!r} lacks its value")
        found[name] = rest.pop(0) if OPTIONS[name].takes_value else ""
    return found


def setting_of(name: str) -> Setting:
    """Return the variable or option of this name."""
    return VARIABLES[name] if name in VARIABLES else OPTIONS[name]


def is_understood(name: str, facts: Facts) -> bool:
    """Say whether the examined nnU-Net release reads this variable; options of the list exist in every release."""
    if name not in VARIABLES:
        return True
    release = facts["nnunet.behaves_as"]
    row = row_for("nnunet", release) if isinstance(release, str) else None
    return row is not None and name in row["variables"]


def overlay(facts: Facts, settings: Mapping[str, str]) -> Facts:
    """Return the facts as they would be under these settings."""
    values: dict[str, Observed] = {}
    for name, value in settings.items():
        setting = setting_of(name)
        values[setting.fact] = value if setting.takes_value else True
    sources = dict.fromkeys(values, "launch settings")
    return derive(facts.with_values(values, sources))
