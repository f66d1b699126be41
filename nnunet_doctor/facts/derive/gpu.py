"""Which GPUs a training would use."""

from __future__ import annotations

from collections.abc import Sequence

from nnunet_doctor.facts.base import Unknown
from nnunet_doctor.facts.derive.rules import capability, capability_of, rule


@rule("gpu.all_hidden", "gpu.count", "gpu.visible")
def all_hidden(count: int, visible: str | None) -> bool:
    """CUDA stops reading the list at the first entry that names no GPU (CUDA programming guide)."""
    if count == 0 or visible is None:
        return False
    first = visible.split(",")[0].strip()
    if first.startswith(("GPU-", "MIG-")):
        return False
    return not first.isdigit() or int(first) >= count


@rule(
    "gpu.seen",
    "torch.device_names",
    "torch.device_capabilities",
    "gpu.names",
    "gpu.capabilities",
    "training.num_gpus",
    tolerant=True,
)
def seen_gpus(
    torch_names: Sequence[str] | Unknown,
    torch_capabilities: Sequence[str] | Unknown,
    names: Sequence[str] | Unknown,
    capabilities: Sequence[str] | Unknown,
    wanted: int | Unknown,
) -> tuple[str, ...] | Unknown:
    """Believe torch, whose first devices nnU-Net takes; where it sees none, the driver's GPUs may say why."""
    if not isinstance(torch_names, Unknown) and isinstance(wanted, int):
        torch_names = torch_names[:wanted]
    if isinstance(torch_names, Unknown) or isinstance(torch_capabilities, Unknown) or not torch_names:
        torch_names, torch_capabilities = names, capabilities
    if isinstance(torch_names, Unknown):
        return torch_names
    if isinstance(torch_capabilities, Unknown):
        return torch_capabilities
    return tuple(f"{name} ({capability})" for name, capability in zip(torch_names, torch_capabilities, strict=False))


@rule("gpu.oldest_capability", "gpu.seen")
def oldest_capability(seen: Sequence[str]) -> str | None:
    return min((capability_of(gpu) for gpu in seen), key=capability, default=None)


@rule("gpu.description", "gpu.names", "gpu.memory_gib")
def describe_gpus(names: Sequence[str], memory_gib: Sequence[float]) -> str:
    if not names:
        return "no NVIDIA GPU"
    return ", ".join(f"{name} ({memory:.0f} GiB)" for name, memory in zip(names, memory_gib, strict=False))
