"""Facts about NVIDIA GPUs, learnt from the driver without torch."""

from __future__ import annotations

from nnunet_doctor.facts.base import Unknown, derived, fact


class GpuFacts:
    """The NVIDIA driver and its GPUs, in the order of the driver (PCI bus)."""

    driver: str | None | Unknown = fact("version of the NVIDIA driver; None without one")
    driver_cuda: str | None | Unknown = fact("newest CUDA release that the driver supports; None without one")
    driver_error: str | None | Unknown = fact("why the driver does not answer although it is installed; None otherwise")
    count: int | Unknown = fact("number of NVIDIA GPUs, hidden ones included")
    names: tuple[str, ...] | Unknown = fact("their names")
    capabilities: tuple[str, ...] | Unknown = fact("their compute capabilities, such as 8.6")
    memory_gib: tuple[float, ...] | Unknown = fact("their memory")
    free_gib: tuple[float, ...] | Unknown = fact("their memory that is free now")
    visible: str | None | Unknown = fact("value of CUDA_VISIBLE_DEVICES; None when unset")

    all_hidden: bool | Unknown = derived("whether there are GPUs and CUDA_VISIBLE_DEVICES hides every one")
    seen: tuple[str, ...] | Unknown = derived(
        "GPUs that a training would use, as NAME (capability): the first that torch sees, else all of the driver's"
    )
    oldest_capability: str | None | Unknown = derived("lowest compute capability among those; None without GPUs")
    description: str | Unknown = derived("the GPUs in one line")
