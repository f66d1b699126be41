"""Facts about GPUs, learnt from drivers and the system without torch."""

from __future__ import annotations

from nnunet_doctor.facts.base import Detail, Unknown, derived, fact


class GpuFacts:
    """The NVIDIA driver and its GPUs, in the order of the driver (PCI bus), and what else CUDA, ROCm and MPS go by.

    What the driver does not tell of every GPU is None: old drivers, WSL2, slices (MIG) and virtual GPUs tell little.
    """

    driver: str | None | Unknown = fact("version of the NVIDIA driver; None without one")
    driver_cuda: str | None | Unknown = fact("newest CUDA release that the driver supports; None without one")
    driver_error: str | None | Unknown = fact("why the driver does not answer although it is installed; None otherwise")
    count: int | Unknown = fact("number of NVIDIA GPUs, hidden ones included")
    names: tuple[str, ...] | Unknown = fact("their names")
    capabilities: tuple[str, ...] | Unknown = fact("their compute capabilities, such as 8.6")
    memory_gib: tuple[float, ...] | Unknown = fact("their memory")
    free_gib: tuple[float, ...] | Unknown = fact("their memory that is free now")
    uuids: tuple[str, ...] | None | Unknown = fact("their identifiers, which CUDA_VISIBLE_DEVICES may hold")
    processes: tuple[int, ...] | None | Unknown = fact(
        "how many processes compute on each of them, those of the doctor left out"
    )
    compute_modes: tuple[str, ...] | None | Unknown = fact("their compute modes: default, exclusive or prohibited")
    mig_modes: tuple[str, ...] | None | Unknown = fact("whether they are divided into slices (MIG): on or off")
    mig_slices: tuple[int, ...] | None | Unknown = fact("how many slices (MIG) each of them has that can be seen here")
    memory_errors: tuple[int, ...] | None | Unknown = fact(
        "uncorrectable memory errors since the driver was loaded; 0 for a GPU that does not count them"
    )
    memory_repairs: tuple[str, ...] | None | Unknown = fact(
        "repairs of their memory: none, pending (until a reset) or failed"
    )
    slowdowns: tuple[str, ...] | None | Unknown = fact(
        "why their hardware holds them back now: heat, power, or nothing (an empty text)"
    )
    driver_models: tuple[str, ...] | None | Unknown = fact(
        "on Windows: what the driver runs them as: wddm, tcc or mcdm; None elsewhere"
    )
    peers: bool | None | Unknown = fact(
        "whether the driver says that two of them can read each other's memory; None with fewer than two"
    )

    visible: str | None | Unknown = fact("value of CUDA_VISIBLE_DEVICES; None when unset")
    order: str | None | Unknown = fact("value of CUDA_DEVICE_ORDER; None when unset")
    launch_blocking: str | None | Unknown = fact("value of CUDA_LAUNCH_BLOCKING; None when unset")
    allocator: str | None | Unknown = fact("value of PYTORCH_CUDA_ALLOC_CONF; None when unset")
    allocator_new: str | None | Unknown = fact("value of PYTORCH_ALLOC_CONF; None when unset")
    nccl_peers: str | None | Unknown = fact("value of NCCL_P2P_DISABLE; None when unset")
    rocm_override: str | None | Unknown = fact("value of HSA_OVERRIDE_GFX_VERSION; None when unset")
    mps_fallback: str | None | Unknown = fact("value of PYTORCH_ENABLE_MPS_FALLBACK; None when unset")
    shared_service: bool | None | Unknown = fact(
        "whether NVIDIA's multi-process service is there, by which processes share a GPU; None outside Linux"
    )

    pci: tuple[str, ...] | None | Unknown = fact(
        "graphics and compute devices on the PCI bus as MAKER:KERNEL DRIVER, such as nvidia:nouveau; None outside Linux"
    )
    module_built: bool | None | Unknown = fact(
        "whether NVIDIA's kernel module is installed for the running kernel; None outside Linux"
    )
    secure_boot: bool | None | Unknown = fact("whether Secure Boot is on; None outside Linux and without UEFI")
    kfd: str | None | Unknown = fact(
        "whether AMD's compute device /dev/kfd can be opened: ok, denied or missing; None outside Linux"
    )

    present: bool | Unknown = derived(
        "whether an NVIDIA GPU is in this machine, though driver, container or job may keep it from us"
    )
    all_hidden: bool | Unknown = derived("whether there are GPUs and CUDA_VISIBLE_DEVICES hides every one")
    seen: tuple[str, ...] | Unknown = derived(
        "GPUs that a training would use, as NAME (capability): the first that torch sees, else those of the driver"
    )
    oldest_capability: str | None | Unknown = derived("lowest compute capability among those; None without GPUs")
    description: str | Unknown = derived("the GPUs in one line")
    chosen: tuple[int, ...] | Unknown = derived(
        "the driver's numbers of the GPUs that a training would surely use, hidden ones and slices left out"
    )
    prohibited: tuple[str, ...] | Unknown = derived("those of them on which no process may compute")
    taken: tuple[str, ...] | Unknown = derived("those of them that another process has for itself alone")
    faulty: tuple[Detail, ...] | Unknown = derived("those of them whose memory has failed, with what is known")
    held_back: tuple[Detail, ...] | Unknown = derived("those of them that their hardware holds back now, and why")
    chosen_free_gib: float | None | Unknown = derived(
        "least memory that is free on one of them; None when the driver does not tell it"
    )
    chosen_memory_gib: float | None | Unknown = derived(
        "least memory that one of them has; None when the driver does not tell it"
    )
    chosen_processes: int | None | Unknown = derived(
        "processes that compute on them, those of the doctor left out; None when the driver does not tell them"
    )
    memory_wanted_gib: float | None | Unknown = derived(
        "memory that the training takes on each of them at least, by its plan; None without a plan, and off CUDA"
    )
    too_small: bool | Unknown = derived("whether one of them has less memory than that")
    occupied: bool | Unknown = derived("whether one of them has that much memory, and others hold too much of it")
    planning_target_gb: int | None | Unknown = derived(
        "GB that plans for them may aim at, some kept for the desktop; None when it is under 2, or not told"
    )
    freest: int | None | Unknown = derived(
        "the driver's number of another GPU with twice as much free memory, which may be taken; None without one"
    )
    spills: bool | None | Unknown = derived(
        "on Windows: whether a full GPU goes on in main memory instead of failing; None elsewhere"
    )
    models_differ: bool | Unknown = derived("whether several GPUs are to train together that are not of one model")
    misnumbered: bool | Unknown = derived(
        "whether a number in CUDA_VISIBLE_DEVICES means another model than nvidia-smi shows under it"
    )
    divided: bool | Unknown = derived("whether every GPU is divided into slices (MIG)")
    without_slices: bool | Unknown = derived("whether every GPU is to be divided into slices (MIG), and none has one")
    driverless: tuple[str, ...] | None | Unknown = derived(
        "NVIDIA GPUs on the PCI bus, by kernel driver, while no NVIDIA driver is found and CUDA does not work; "
        "None outside Linux"
    )
    cuda_error: int | None | Unknown = derived(
        "number of the CUDA error that torch met while it looked for GPUs; None without one"
    )
    allocator_faults: tuple[Detail, ...] | Unknown = derived(
        "settings of torch's memory allocator that torch refuses: variable and setting"
    )
    peers_claimed: bool | Unknown = derived(
        "whether those GPUs are said to read each other's memory, and are of a kind that cannot"
    )
    peers_suspect: bool | Unknown = derived(
        "whether several GPUs are to train together of which this is said by an old driver, and NCCL will try it"
    )
