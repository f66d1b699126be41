"""The launch settings that a plan may choose: a closed list, each tied to the fact that it changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nnunet_doctor.facts import CATALOGUE, Facts, Observed, Value
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
        in_force: For an amount the fact that says how many there are, set or not; it is only ever lowered. Else None.
    """

    name: str
    fact: str
    unset: Value = None
    takes_value: bool = True
    in_force: str | None = None


VARIABLES: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        Setting("nnUNet_compile", "nnunet.compile_variable"),
        Setting("nnUNet_n_proc_DA", "nnunet.workers_variable", in_force="training.workers"),
        Setting("nnUNet_def_n_proc", "nnunet.processes_variable", in_force="training.processes"),
        Setting("CUDA_VISIBLE_DEVICES", "gpu.visible"),
        Setting("CUDA_DEVICE_ORDER", "gpu.order"),
        Setting("CUDA_LAUNCH_BLOCKING", "gpu.launch_blocking"),
        Setting("PYTORCH_CUDA_ALLOC_CONF", "gpu.allocator"),
        Setting("PYTORCH_ALLOC_CONF", "gpu.allocator_new"),
        Setting("PYTORCH_ENABLE_MPS_FALLBACK", "gpu.mps_fallback"),
        Setting("NCCL_P2P_DISABLE", "gpu.nccl_peers"),
        Setting("MASTER_PORT", "training.master_port"),
        Setting("OMP_NUM_THREADS", "resources.blas_threads", in_force="resources.blas_threads"),
        Setting("TORCHINDUCTOR_CACHE_DIR", "platform.inductor_cache"),
    )
}
"""Environment variables by name."""

OPTIONS: dict[str, Setting] = {
    setting.name: setting
    for setting in (
        Setting("-device", "training.device_request", unset="auto"),
        Setting("-num_gpus", "training.num_gpus", unset=1, in_force="training.num_gpus"),
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
    """Say whether the examined nnU-Net release reads this variable of its own; what others read it does not touch."""
    if not name.startswith("nnUNet_"):
        return True
    release = facts["nnunet.behaves_as"]
    row = row_for("nnunet", release) if isinstance(release, str) else None
    return row is not None and name in row["variables"]


def raises(name: str, value: str, facts: Facts) -> bool:
    """Say whether a setting asks for as many of something as are in force, or more: then it mends nothing.

    Where it is not known how many that are, it is not said to.
    """
    setting = setting_of(name)
    had = facts[setting.in_force] if setting.in_force else None
    return isinstance(had, int) and value.isdecimal() and int(value) >= had


def overlay(facts: Facts, settings: Mapping[str, str]) -> Facts:
    """Return the facts as they would be under these settings."""
    values: dict[str, Observed] = {}
    for name, value in settings.items():
        setting = setting_of(name)
        values[setting.fact] = _as_fact(setting, value)
    sources = dict.fromkeys(values, "launch settings")
    return derive(facts.with_values(values, sources))


def _as_fact(setting: Setting, value: str) -> Observed:
    """Return a value as the fact would be if it were set."""
    if not setting.takes_value:
        return True
    return int(value) if CATALOGUE[setting.fact].type is int else value
