"""Which GPUs a training would use, and what is to be known of them."""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence

from nnunet_doctor.facts.base import Detail, Unknown
from nnunet_doctor.facts.derive.rules import capability, capability_of, first_unknown, is_in, or_none, rule


def visible_entries(variable: str) -> list[int] | list[str]:
    """Read CUDA_VISIBLE_DEVICES as CUDA does (torch.cuda._parse_visible_devices).

    An entry that is no number, or no identifier after identifiers, ends the list; one that is repeated empties it.
    """
    entries = variable.split(",")
    for prefix in ("GPU-", "MIG-"):
        if variable.startswith(prefix):
            names = [entry for entry in entries if entry.startswith(prefix)]
            end = next((at for at, entry in enumerate(entries) if not entry.startswith(prefix)), len(entries))
            return [] if len(set(names[:end])) < end else names[:end]
    numbers: list[int] = []
    for entry in entries:
        found = re.match(r"\s*\+?(\d+)", entry)
        if found is None:
            break
        if int(found.group(1)) in numbers:
            return []
        numbers.append(int(found.group(1)))
    return numbers


def visible_numbers(count: int, variable: str | None, uuids: Sequence[str] | None) -> list[int] | None:
    """Return the numbers of the GPUs that CUDA_VISIBLE_DEVICES leaves; None when it names slices, or who knows what."""
    if variable is None:
        return list(range(count))
    numbers: list[int] = []
    for entry in visible_entries(variable):
        if isinstance(entry, str):
            if uuids is None or entry.startswith("MIG-"):
                return None
            named = [number for number, uuid in enumerate(uuids) if uuid.startswith(entry)]
            entry = named[0] if len(named) == 1 else count  # noqa: PLW2901 - a name is what stands for a number
        if entry >= count:
            break
        if entry in numbers:
            return []
        numbers.append(entry)
    return numbers


def _on_bus(pci: Sequence[str]) -> tuple[str, ...]:
    """List the kernel drivers of NVIDIA GPUs, without those that are kept for virtual machines (vfio-pci, pci-stub)."""
    drivers = [item.partition(":")[2] for item in pci if item.startswith("nvidia:")]
    return tuple(name or "none" for name in drivers if name not in ("vfio-pci", "pci-stub"))


@rule("gpu.present", "gpu.count", "gpu.pci", "platform.wsl_driver", tolerant=True)
def present(
    count: int | Unknown, pci: Sequence[str] | None | Unknown, wsl_driver: bool | None | Unknown
) -> bool | Unknown:
    """WSL2 has no bus to look at, and the driver of Windows only where there is a GPU."""
    if wsl_driver is True or (not isinstance(pci, Unknown) and _on_bus(pci or ())):
        return True
    return count if isinstance(count, Unknown) else count > 0


@rule("gpu.all_hidden", "gpu.count", "gpu.visible", "gpu.uuids", tolerant=True)
def all_hidden(
    count: int | Unknown, visible: str | None | Unknown, uuids: Sequence[str] | None | Unknown
) -> bool | Unknown:
    if visible is None or count == 0:
        return False
    if isinstance(visible, Unknown):
        return visible
    return count if isinstance(count, Unknown) else visible_numbers(count, visible, or_none(uuids)) == []


@rule(
    "gpu.seen",
    "torch.device_names",
    "torch.device_capabilities",
    "gpu.names",
    "gpu.capabilities",
    "gpu.visible",
    "gpu.order",
    "gpu.uuids",
    "training.num_gpus",
    tolerant=True,
)
def seen_gpus(
    torch_names: Sequence[str] | Unknown,
    torch_capabilities: Sequence[str] | Unknown,
    names: Sequence[str] | Unknown,
    capabilities: Sequence[str] | Unknown,
    visible: str | None | Unknown,
    order: str | None | Unknown,
    uuids: Sequence[str] | None | Unknown,
    wanted: int | Unknown,
) -> tuple[str, ...] | Unknown:
    """Believe torch, whose first devices nnU-Net takes; where it sees none, the driver's GPUs may say why.

    Where torch was not asked, the first of the driver's are the same only among GPUs of one model, as CUDA counts the
    fastest first.
    """
    if not isinstance(torch_names, Unknown) and isinstance(wanted, int):
        torch_names = torch_names[:wanted]
    if not isinstance(torch_names, Unknown) and not isinstance(torch_capabilities, Unknown) and torch_names:
        return _as_seen(torch_names, torch_capabilities)
    if isinstance(names, Unknown):
        return names
    if isinstance(capabilities, Unknown):
        return capabilities
    if isinstance(torch_names, Unknown) and isinstance(wanted, int):
        numbers = visible_numbers(len(names), or_none(visible), or_none(uuids)) or range(len(names))
        names, capabilities = [names[number] for number in numbers], [capabilities[number] for number in numbers]
        if wanted < len(names) and len(set(names)) > 1 and order != "PCI_BUS_ID":
            return torch_names
        return _as_seen(names[:wanted], capabilities[:wanted])
    return _as_seen(names, capabilities)


def _as_seen(names: Sequence[str], capabilities: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{name} ({capability})" for name, capability in zip(names, capabilities, strict=False))


@rule("gpu.oldest_capability", "gpu.seen")
def oldest_capability(seen: Sequence[str]) -> str | None:
    return min((capability_of(gpu) for gpu in seen), key=capability, default=None)


@rule("gpu.description", "gpu.names", "gpu.memory_gib", tolerant=True)
def describe_gpus(names: Sequence[str] | Unknown, memory_gib: Sequence[float] | Unknown) -> str | Unknown:
    if isinstance(names, Unknown):
        return names
    if not names:
        return "no NVIDIA GPU"
    if isinstance(memory_gib, Unknown):
        return ", ".join(names)
    return ", ".join(f"{name} ({memory:.0f} GiB)" for name, memory in zip(names, memory_gib, strict=False))


@rule(
    "gpu.chosen",
    "gpu.count",
    "gpu.names",
    "gpu.uuids",
    "gpu.visible",
    "gpu.order",
    "gpu.mig_modes",
    "torch.device_names",
    "training.num_gpus",
    tolerant=True,
)
def chosen(
    count: int | Unknown,
    names: Sequence[str] | Unknown,
    uuids: Sequence[str] | None | Unknown,
    visible: str | None | Unknown,
    order: str | None | Unknown,
    mig: Sequence[str] | None | Unknown,
    torch_names: Sequence[str] | Unknown,
    wanted: int | Unknown,
) -> tuple[int, ...] | Unknown:
    """Follow CUDA's order: the fastest GPU first, unless CUDA_DEVICE_ORDER says PCI_BUS_ID (CUDA programming guide).

    Among GPUs of one model both orders are the same; among others the name that torch sees tells, where it is unique.
    """
    if isinstance(count, Unknown):
        return count
    if isinstance(names, Unknown):
        return names
    if isinstance(visible, Unknown):
        return visible
    numbers = visible_numbers(count, visible, or_none(uuids))
    if numbers is None:
        return ()
    most = or_none(wanted) or 1
    by_name = Counter(names)
    if len(by_name) < 2 or order == "PCI_BUS_ID" or (visible or "").startswith("GPU-"):
        found = numbers[:most]
    else:
        found = [names.index(name) for name in (or_none(torch_names) or ())[:most] if by_name[name] == 1]
    divided = or_none(mig) or ("off",) * count
    return tuple(number for number in found if divided[number] != "on")


def _labels(chosen: Sequence[int], names: Sequence[str]) -> dict[int, str]:
    return {number: f"GPU {number} ({names[number]})" for number in chosen}


@rule("gpu.prohibited", "gpu.chosen", "gpu.names", "gpu.compute_modes")
def prohibited(chosen: Sequence[int], names: Sequence[str], modes: Sequence[str] | None) -> tuple[str, ...]:
    labels = _labels(chosen, names)
    return tuple(label for number, label in labels.items() if modes and modes[number] == "prohibited")


@rule("gpu.taken", "gpu.chosen", "gpu.names", "gpu.compute_modes", "gpu.processes", "gpu.shared_service")
def taken(
    chosen: Sequence[int],
    names: Sequence[str],
    modes: Sequence[str] | None,
    processes: Sequence[int] | None,
    shared: bool | None,
) -> tuple[str, ...]:
    """Under the multi-process service exclusive mode is the rule, and processes share the GPU all the same."""
    if not modes or not processes or shared:
        return ()
    labels = _labels(chosen, names)
    return tuple(label for number, label in labels.items() if modes[number] == "exclusive" and processes[number] > 0)


@rule("gpu.faulty", "gpu.chosen", "gpu.names", "gpu.memory_errors", "gpu.memory_repairs")
def faulty(
    chosen: Sequence[int], names: Sequence[str], errors: Sequence[int] | None, repairs: Sequence[str] | None
) -> tuple[Detail, ...]:
    found = []
    for number, label in _labels(chosen, names).items():
        said = [f"errors: {errors[number]}"] if errors and errors[number] else []
        said += [f"repair: {repairs[number]}"] if repairs and repairs[number] != "none" else []
        found += [Detail(label, "; ".join(said))] if said else []
    return tuple(found)


@rule("gpu.held_back", "gpu.chosen", "gpu.names", "gpu.slowdowns")
def held_back(chosen: Sequence[int], names: Sequence[str], slowdowns: Sequence[str] | None) -> tuple[Detail, ...]:
    labels = _labels(chosen, names)
    return tuple(
        Detail(label, slowdowns[number]) for number, label in labels.items() if slowdowns and slowdowns[number]
    )


def _over_chosen(
    choose: Callable[[list[float]], float], chosen: Sequence[int] | Unknown, values: Sequence[float] | None | Unknown
) -> float | None | Unknown:
    """Combine what the driver tells of the chosen GPUs.

    Of GPUs without memory of their own, or slices, drivers tell nothing: nothing is missed there.
    """
    if isinstance(chosen, Unknown):
        return chosen
    told = or_none(values)
    return choose([told[number] for number in chosen]) if chosen and told else None


@rule("gpu.chosen_free_gib", "gpu.chosen", "gpu.free_gib", tolerant=True)
def chosen_free(chosen: Sequence[int] | Unknown, free: Sequence[float] | Unknown) -> float | None | Unknown:
    return _over_chosen(min, chosen, free)


@rule("gpu.chosen_memory_gib", "gpu.chosen", "gpu.memory_gib", tolerant=True)
def chosen_memory(chosen: Sequence[int] | Unknown, memory: Sequence[float] | Unknown) -> float | None | Unknown:
    return _over_chosen(min, chosen, memory)


@rule("gpu.chosen_processes", "gpu.chosen", "gpu.processes", tolerant=True)
def chosen_processes(
    chosen: Sequence[int] | Unknown, processes: Sequence[int] | None | Unknown
) -> int | None | Unknown:
    found = _over_chosen(sum, chosen, processes)
    return int(found) if isinstance(found, (int, float)) else found


LEAST_GIB = 0.8
"""Memory that a training takes on a GPU beside its batch: the CUDA context, and 31 million weights with gradients."""

GIB_PER_MILLION_VOXELS = 1.2
"""Memory that the voxels of a batch take at least.

Of each, nnU-Net's plainest planned network keeps 850 bytes for the backward pass (PlainConvUNet with 32 features at
full resolution, in half precision); what is measured in practice lies at twice the value (documentation/
resenc_presets.md: 7.7 GB for default plans).
"""


@rule(
    "gpu.memory_wanted_gib",
    "training.device",
    "training.validates",
    "training.num_gpus",
    "preprocessed.patch_size",
    "preprocessed.batch_size",
    tolerant=True,
)
def memory_wanted(
    device: str | Unknown,
    validates: bool | Unknown,
    gpus: int | Unknown,
    patch: Sequence[int] | None | Unknown,
    batch: int | None | Unknown,
) -> float | None | Unknown:
    """The batch is divided among the GPUs (nnUNetTrainer._set_batch_size_and_oversample)."""
    elsewhere = not isinstance(device, Unknown) and device != "cuda"
    if elsewhere or validates is True or patch is None or batch is None:
        return None
    if isinstance(patch, Unknown):
        return patch
    if isinstance(batch, Unknown):
        return batch
    most = math.ceil(batch / max(1, or_none(gpus) or 1))
    return round(LEAST_GIB + GIB_PER_MILLION_VOXELS * math.prod(patch) * most / 1e6, 1)


def _is_less(memory: float | None | Unknown, wanted: float | None | Unknown, device: str | Unknown) -> bool | Unknown:
    """What is enough is so on whatever device the training runs."""
    if memory is None or wanted is None:
        return False
    if isinstance(memory, Unknown):
        return memory
    if isinstance(wanted, Unknown):
        return wanted
    return device if memory < wanted and isinstance(device, Unknown) else memory < wanted


@rule("gpu.too_small", "gpu.chosen_memory_gib", "gpu.memory_wanted_gib", "training.device", tolerant=True)
def too_small(memory: float | None | Unknown, wanted: float | None | Unknown, device: str | Unknown) -> bool | Unknown:
    return _is_less(memory, wanted, device)


LEAST_HELD = 0.1
"""Share of a GPU's memory below which nobody holds it: drivers and desktops take a few percent."""


@rule(
    "gpu.occupied",
    "gpu.chosen_free_gib",
    "gpu.chosen_memory_gib",
    "gpu.memory_wanted_gib",
    "gpu.too_small",
    "training.device",
    tolerant=True,
)
def occupied(
    free: float | None | Unknown,
    memory: float | None | Unknown,
    wanted: float | None | Unknown,
    small: bool | Unknown,
    device: str | Unknown,
) -> bool | Unknown:
    if small is True or (isinstance(free, float) and isinstance(memory, float) and free > (1 - LEAST_HELD) * memory):
        return False
    return _is_less(free, wanted, device)


@rule("gpu.planning_target_gb", "gpu.chosen_memory_gib")
def planning_target(memory: float | None) -> int | None:
    """Plans take about what they aim at (documentation/resenc_presets.md); driver and desktop take about 0.5 GiB."""
    target = 0 if memory is None else int(memory - 0.5)
    return target if target >= 2 else None


@rule(
    "gpu.freest",
    "gpu.chosen",
    "gpu.free_gib",
    "gpu.mig_modes",
    "gpu.compute_modes",
    "platform.scheduler",
    "training.num_gpus",
)
def freest(
    chosen: Sequence[int],
    free: Sequence[float],
    mig: Sequence[str] | None,
    modes: Sequence[str] | None,
    scheduler: str | None,
    gpus: int,
) -> int | None:
    """Inside a job the scheduler has chosen; a GPU that it did not give must not be taken."""
    if len(chosen) != 1 or gpus != 1 or not free:
        return None
    divided, mode = mig or ("off",) * len(free), modes or ("default",) * len(free)
    shared = [number for number in range(len(free)) if divided[number] != "on" and mode[number] == "default"]
    best = max(shared, key=lambda number: free[number], default=chosen[0])
    return best if scheduler is None and best != chosen[0] and free[best] >= 2 * free[chosen[0]] else None


@rule("gpu.spills", "platform.os", "gpu.driver", "gpu.driver_models", "gpu.chosen", tolerant=True)
def spills(
    system: str | Unknown,
    driver: str | None | Unknown,
    models: Sequence[str] | None | Unknown,
    chosen: Sequence[int] | Unknown,
) -> bool | None | Unknown:
    """Drivers do so from 536.40 on, for GPUs that they run as displays (NVIDIA's article 5490)."""
    if isinstance(system, Unknown):
        return system
    if system != "windows":
        return None
    if isinstance(chosen, Unknown):
        return chosen
    told = or_none(models)
    shown = any(told[number] == "wddm" for number in chosen) if told else False
    return shown and isinstance(driver, str) and is_in(driver, ">=536.40") is True


@rule("gpu.models_differ", "training.num_gpus", "torch.device_names", tolerant=True)
def models_differ(gpus: int | Unknown, torch_names: Sequence[str] | Unknown) -> bool | Unknown:
    if isinstance(gpus, Unknown):
        return gpus
    if gpus < 2:
        return False
    return torch_names if isinstance(torch_names, Unknown) else len(set(torch_names[:gpus])) > 1


@rule("gpu.misnumbered", "gpu.names", "gpu.visible", "gpu.order", "torch.device_names", tolerant=True)
def misnumbered(
    names: Sequence[str] | Unknown,
    visible: str | None | Unknown,
    order: str | None | Unknown,
    torch_names: Sequence[str] | Unknown,
) -> bool | Unknown:
    """CUDA counts the fastest GPU first, nvidia-smi by the place on the PCI bus."""
    if visible is None or order == "PCI_BUS_ID":
        return False
    if isinstance(visible, Unknown):
        return visible
    if isinstance(names, Unknown):
        return names
    numbers = visible_numbers(len(names), visible, None)
    if not numbers or len(set(names)) < 2:
        return False
    if isinstance(torch_names, Unknown):
        return torch_names
    pairs = zip(numbers, torch_names, strict=False)
    return any(seen in names and seen != names[number] for number, seen in pairs)


@rule("gpu.divided", "gpu.mig_modes")
def divided(modes: Sequence[str] | None) -> bool:
    return bool(modes) and set(modes or ()) == {"on"}


@rule("gpu.without_slices", "gpu.divided", "gpu.mig_slices")
def without_slices(divided: bool, slices: Sequence[int] | None) -> bool:
    return divided and slices is not None and sum(slices) == 0


@rule("gpu.driverless", "gpu.driver", "gpu.pci", "torch.cuda_usable", tolerant=True)
def driverless(
    driver: str | None | Unknown, pci: Sequence[str] | None | Unknown, usable: bool | Unknown
) -> tuple[str, ...] | None | Unknown:
    """A driver that does not answer is one."""
    if pci is None or isinstance(pci, Unknown):
        return pci
    found = _on_bus(pci)
    if not found or driver is not None or usable is True:
        return ()
    return usable if isinstance(usable, Unknown) else found


@rule("gpu.cuda_error", "torch.cuda_message", "torch.build", tolerant=True)
def cuda_error(message: str | None | Unknown, build: str | None | Unknown) -> int | None | Unknown:
    """Read what torch warns of (c10/cuda/CUDAFunctions.cpp); 999 is the one that it calls unknown."""
    if message is None or (not isinstance(build, Unknown) and build != "cuda"):
        return None
    if isinstance(message, Unknown):
        return message
    if "CUDA unknown error" in message:
        return 999
    found = re.search(r"\bError (\d+):", message)
    return int(found.group(1)) if found else None


_FLAGS = (
    "expandable_segments",
    "graph_capture_record_stream_reuse",
    "pinned_use_background_threads",
    "pinned_use_cuda_host_register",
    "pinned_use_hip_host_register",
    "release_lock_on_cudamalloc",
    "release_lock_on_hipmalloc",
    "throw_on_cudamalloc_oom",
)
_NUMBERS = (
    "backend",
    "garbage_collection_threshold",
    "large_segment_size_mb",
    "max_non_split_rounding_mb",
    "max_split_size_mb",
    "per_process_memory_fraction",
    "pinned_free_catchup",
    "pinned_max_cached_size_mb",
    "pinned_max_round_threshold_mb",
    "pinned_num_register_threads",
    "pinned_reserve_segment_size_mb",
    "roundup_power2_divisions",
)


@rule(
    "gpu.allocator_faults",
    "gpu.allocator",
    "gpu.allocator_new",
    "torch.version",
    tolerant=True,
)
def allocator_faults(
    old: str | None | Unknown, new: str | None | Unknown, torch: str | None | Unknown
) -> tuple[Detail, ...] | Unknown:
    """Apply the rules that all releases share (c10/core/AllocatorConfig.cpp, CUDAAllocatorConfig.cpp).

    From 2.9 on PYTORCH_ALLOC_CONF is read, and goes before the other.
    """
    if (unknown := first_unknown(old, new)) is not None:
        return unknown
    if old is None and new is None:
        return ()
    if isinstance(torch, Unknown):
        return torch
    if torch is None:
        return ()
    reads_new = new is not None and is_in(torch, ">=2.9") is True
    name, text = ("PYTORCH_ALLOC_CONF", new) if reads_new else ("PYTORCH_CUDA_ALLOC_CONF", old)
    entries = re.split(r",(?![^\[]*\])", str(text or "").replace(" ", ""))
    return tuple(Detail(name, entry) for entry in entries if entry and _is_refused(entry, str(torch)))


def _is_refused(entry: str, torch: str) -> bool:
    """Say whether torch refuses a setting; of a key that is not known, only what looks misspelt is."""
    key, colon, value = entry.partition(":")
    if not colon or not value:
        return True
    if key in _FLAGS:
        old = key == "expandable_segments" and is_in(torch, "<2.1") is True
        return old or value not in ("True", "False")
    if key == "max_split_size_mb":
        return not value.isdigit() or int(value) < 20
    if key == "garbage_collection_threshold":
        return re.fullmatch(r"0?\.\d*[1-9]\d*", value) is None
    return key not in _NUMBERS and bool(difflib.get_close_matches(key, (*_FLAGS, *_NUMBERS), n=1, cutoff=0.85))


@rule("gpu.peers_claimed", "gpu.names", "gpu.chosen", "gpu.peers")
def peers_claimed(names: Sequence[str], chosen: Sequence[int], peers: bool | None) -> bool:
    """GPUs of the RTX 40 series have no way to read each other's memory."""
    return peers is True and any("RTX 40" in names[number] for number in chosen)


@rule("gpu.peers_suspect", "training.num_gpus", "gpu.nccl_peers", "gpu.peers_claimed", "gpu.driver", tolerant=True)
def peers_suspect(
    gpus: int | Unknown, switched_off: str | None | Unknown, claimed: bool | Unknown, driver: str | None | Unknown
) -> bool | Unknown:
    """Drivers before 550.40.07 are known to hang over it (accelerate: check_cuda_p2p_ib_support)."""
    few = not isinstance(gpus, Unknown) and gpus < 2
    if few or switched_off == "1" or claimed is False or driver is None:
        return False
    if (unknown := first_unknown(gpus, switched_off, claimed, driver)) is not None:
        return unknown
    return is_in(str(driver), "<550.40.07")


@rule("training.means_cuda", "training.device_request", "training.device", "training.gpu_out_of_reach", tolerant=True)
def means_cuda(request: str | Unknown, device: str | Unknown, out_of_reach: bool | Unknown) -> bool | Unknown:
    """Nobody who has a GPU and names no device means to train on the CPU for weeks."""
    if not isinstance(request, Unknown) and request != "auto":
        return request == "cuda"
    return True if out_of_reach is True else device if isinstance(device, Unknown) else device == "cuda"


@rule(
    "training.mps_operator_missing",
    "training.on_mps",
    "training.is_3d",
    "training.plans",
    "torch.version",
    "gpu.mps_fallback",
)
def mps_operator_missing(on_mps: bool, is_3d: bool, plans: str, torch: str | None, fallback: str | None) -> bool:
    """ResEnc plans average-pool where a block halves its size; torch has avg_pool3d on MPS since 2.9."""
    if not on_mps or not is_3d or torch is None or fallback == "1":
        return False
    return plans.startswith("nnUNetResEncUNet") and is_in(torch, "<2.9") is True
