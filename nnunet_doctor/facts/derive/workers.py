"""Workers of a training, and what they take."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nnunet_doctor.facts.base import Unknown
from nnunet_doctor.facts.derive.rules import GIB, is_in, or_none, rule, whole

DEFAULT_WORKERS = 12
"""nnunetv2/utilities/default_n_proc_DA.py, for every host that is not one of its authors'."""

TYPICAL_PATCH, TYPICAL_BATCH = (128, 128, 128), 2
"""A common 3d_fullres plan, assumed while no plan is known."""

WORKER_GIB = {"linux": 0.5, "macos": 0.8, "windows": 1.5}
"""Private memory of one worker: forked on Linux; elsewhere it starts anew and imports torch with its libraries."""

MAIN_GIB = {"cuda": 3.5, "mps": 3.5, "cpu": 4.0}
"""Memory of the main process: torch and its device libraries; on CPU the network and its activations too."""


@rule("training.ranks", "training.num_gpus")
def ranks(gpus: int) -> int:
    """One process trains on each GPU (run_training.run_training, mp.spawn)."""
    return max(1, gpus)


@rule("training.workers", "nnunet.workers_variable", "resources.cpus_machine")
def workers(variable: str | None, cpus: int) -> int | Unknown:
    """min(nnUNet_n_proc_DA or 12, os.cpu_count()), for each GPU (default_n_proc_DA.get_allowed_n_proc_DA)."""
    wanted = DEFAULT_WORKERS if variable is None else whole(variable, 0)
    return Unknown(f"nnUNet_n_proc_DA is {variable!r}, which is not a number") if wanted is None else min(wanted, cpus)


@rule("training.all_workers", "training.workers", "training.ranks")
def all_workers(workers: int, ranks: int) -> int:
    return workers * ranks


@rule("training.worker_processes", "training.workers", "training.ranks")
def worker_processes(workers: int, ranks: int) -> int:
    """Validation gets max(1, n // 2) workers beside the n of training (nnUNetTrainer.get_dataloaders)."""
    return ranks * (0 if workers == 0 else workers + max(1, workers // 2))


def batches_in_flight(workers: int) -> int:
    """Count the batches that both loaders keep: num_processes + num_cached each (nnUNetTrainer.get_dataloaders)."""
    if workers == 0:
        return 0
    return workers + max(6, workers // 2) + max(1, workers // 2) + max(3, workers // 4)


def batch_gib(patch: Sequence[int] | None, batch: int | None, channels: int | None) -> float:
    """Size of one batch: float32 images, and int16 labels at every resolution of deep supervision (8/7 of one)."""
    voxels = math.prod(patch or TYPICAL_PATCH) * (batch or TYPICAL_BATCH)
    return voxels * (4 * (channels or 1) + 2 * 8 / 7) / GIB


def memory_gib(workers: int, ranks: int, system: str, device: str, one_batch_gib: float) -> float:
    """Estimate the memory of a training: main processes, workers, and the batches they hold.

    Several processes share out the batch of the plans (nnUNetTrainer._set_batch_size_and_oversample), so that theirs
    hold as much together as those of one.
    """
    processes = worker_processes(workers, ranks) * WORKER_GIB.get(system, 1.0)
    return ranks * MAIN_GIB.get(device, 4.0) + processes + batches_in_flight(workers) * one_batch_gib


_PLAN = ("preprocessed.patch_size", "preprocessed.batch_size", "preprocessed.channels")


@rule(
    "training.memory_needed_gib",
    "training.workers",
    "training.ranks",
    "platform.os",
    "training.device",
    *_PLAN,
    tolerant=True,
)
def memory_needed(
    workers: int | Unknown,
    ranks: int | Unknown,
    system: str | Unknown,
    device: str | Unknown,
    patch: Sequence[int] | None | Unknown,
    batch: int | None | Unknown,
    channels: int | None | Unknown,
) -> float | Unknown:
    """The dearest device is assumed while it is not known."""
    if isinstance(workers, Unknown):
        return workers
    if isinstance(ranks, Unknown):
        return ranks
    if isinstance(system, Unknown):
        return system
    one_batch = batch_gib(or_none(patch), or_none(batch), or_none(channels))
    return round(memory_gib(workers, ranks, system, or_none(device) or "cpu", one_batch), 1)


@rule("training.shm_needed_gib", "training.workers", "platform.os", *_PLAN)
def shm_needed(
    workers: int, system: str, patch: Sequence[int] | None, batch: int | None, channels: int | None
) -> float | None:
    """Batches travel from the workers through /dev/shm as torch tensors; several GPUs share out each of them."""
    return round(batches_in_flight(workers) * batch_gib(patch, batch, channels), 3) if system == "linux" else None


PREDICTIONS_IN_FLIGHT = 3
"""One that is written and two in the queue; as many as there are processes, and two, where writing is the slower part
(nnUNetTrainer.perform_actual_validation, check_workers_alive_and_busy)."""


@rule("training.shm_validation_gib", "platform.os", "training.ranks", "preprocessed.image_size", "preprocessed.labels")
def shm_validation(system: str, ranks: int, image: Sequence[int] | None, labels: int | None) -> float | None:
    """Predictions go to the export processes through /dev/shm: one float16 value for each label and voxel."""
    if system != "linux" or image is None or labels is None:
        return None
    return round(ranks * PREDICTIONS_IN_FLIGHT * labels * math.prod(image) * 2 / GIB, 3)


@rule("training.over_shm_validation", "training.shm_validation_gib", "resources.shm_free_gib")
def over_shm_validation(needed: float | None, free: float | None) -> bool | None:
    return over_shm(needed, free)


@rule("training.over_cpus", "training.all_workers", "resources.cpus")
def over_cpus(workers: int, cpus: int) -> bool:
    return workers > cpus


@rule("training.over_memory", "training.memory_needed_gib", "resources.memory_available_gib")
def over_memory(needed: float, available: float) -> bool:
    return needed > available


@rule("training.over_shm", "training.shm_needed_gib", "resources.shm_free_gib")
def over_shm(needed: float | None, free: float | None) -> bool | None:
    return None if needed is None or free is None else needed > free


def least_workers(release: str | None | Unknown) -> int:
    """Up to 2.2.1, nnU-Net without workers fails after the last epoch: SingleThreadedAugmenter has no ``_finish``."""
    return int(isinstance(release, str) and is_in(release, "<2.3") is True)


@rule(
    "training.safe_workers",
    "training.ranks",
    "resources.cpus",
    "resources.cpus_machine",
    "resources.memory_available_gib",
    "resources.shm_free_gib",
    "platform.os",
    "training.device",
    "nnunet.behaves_as",
    *_PLAN,
    tolerant=True,
)
def safe_workers(
    ranks: int | Unknown,
    cpus: int | Unknown,
    machine: int | Unknown,
    memory: float | Unknown,
    shm: float | None | Unknown,
    system: str | Unknown,
    device: str | Unknown,
    release: str | None | Unknown,
    patch: Sequence[int] | None | Unknown,
    batch: int | None | Unknown,
    channels: int | None | Unknown,
) -> int | Unknown:
    """Find the most workers that every known limit allows; a limit that is unknown does not limit."""
    if isinstance(ranks, Unknown):
        return ranks
    if isinstance(cpus, Unknown):
        return cpus
    one_batch = batch_gib(or_none(patch), or_none(batch), or_none(channels))
    least = least_workers(release)
    most = min(DEFAULT_WORKERS, cpus // ranks, cpus if isinstance(machine, Unknown) else machine)
    for count in range(most, least, -1):
        fits_memory = (
            isinstance(memory, Unknown)
            or memory_gib(count, ranks, or_none(system) or "", or_none(device) or "cpu", one_batch) <= memory
        )
        fits_shm = shm is None or isinstance(shm, Unknown) or batches_in_flight(count) * one_batch <= shm
        if fits_memory and fits_shm:
            return count
    return least


DEFAULT_PROCESSES = 8
"""nnunetv2/configuration.py, default_num_processes."""

PROCESS_GIB = 0.7
"""Memory of one export process: it is spawned on every system and imports torch anew."""


@rule("training.processes", "nnunet.processes_variable")
def processes(variable: str | None) -> int | Unknown:
    wanted = DEFAULT_PROCESSES if variable is None else whole(variable, 1)
    return Unknown(f"nnUNet_def_n_proc is {variable!r}, which is not a number above 0") if wanted is None else wanted


@rule("training.all_processes", "training.processes", "training.ranks")
def all_processes(processes: int, ranks: int) -> int:
    """Each of the processes that train has a pool of its own (nnUNetTrainer.perform_actual_validation)."""
    return processes * ranks


def room_for_processes(memory: float, ranks: int) -> int:
    """Count the export processes that memory holds beside the processes that train."""
    return int((memory - ranks * max(MAIN_GIB.values())) / PROCESS_GIB)


@rule("training.safe_processes", "training.ranks", "resources.cpus", "resources.memory_available_gib")
def safe_processes(ranks: int, cpus: int, memory: float) -> int:
    return max(1, min(DEFAULT_PROCESSES, min(cpus, room_for_processes(memory, ranks)) // ranks))


@rule("training.over_processes", "training.processes", "training.safe_processes")
def over_processes(processes: int, safe: int) -> bool:
    """The estimate is rough: one process more or less proves nothing."""
    return processes > safe + 1


# --- the memory of a GPU -------------------------------------------------------------------------------------------

GPU_GIB = 2.7
GPU_BYTES_PER_VALUE = 5.06
"""Memory of a training on a GPU: a part of its own, and one for each value in the feature maps of a batch.

The line through what nnU-Net's authors have measured for their plans (documentation/resenc_presets.md: 9.1, 22.7 and
36.6 GB for ResEnc M, L and XL), against the size of feature maps that these plans aim at with batch size 2 in 3D
(residual_encoder_unet_planners.py: 680e6, 2100e6 and 3600e6). It gives 8.0 GB for the default plans, measured as 7.7.
"""

GPU_SLACK = 1.25
"""Part of what is measured is torch's cache, and torch.compile saves some: a GPU with less than this may do."""


@rule(
    "training.gpu_memory_needed_gib",
    "training.device",
    "training.trains",
    "training.follows_plans",
    "training.num_gpus",
    "preprocessed.feature_maps",
    "preprocessed.batch_size",
)
def gpu_memory_needed(
    device: str, trains: bool, follows: bool, gpus: int, maps: int | None, batch: int | None
) -> float | None:
    """The batch is divided among the GPUs (nnUNetTrainer._set_batch_size_and_oversample)."""
    if device != "cuda" or not trains or not follows or maps is None or batch is None:
        return None
    share = math.ceil(batch / max(1, gpus))
    return round(GPU_GIB + GPU_BYTES_PER_VALUE * maps * share / GIB, 1)


@rule("training.over_gpu_memory", "training.gpu_memory_needed_gib", "gpu.chosen_memory_gib", "gpu.too_small")
def over_gpu_memory(needed: float | None, there: float | None, too_small: bool) -> bool:
    return needed is not None and there is not None and not too_small and needed > GPU_SLACK * there


# --- preprocessing, and the unpacking of its cases -----------------------------------------------------------------

LEAST_COMPRESSED = 0.1
"""Share of their size that images take when they are stored: made-up CT and MR volumes keep 0.13 to 0.5 (blosc2)."""

BYTES_WHILE_RESAMPLING = 16
"""Resampling works on one channel in double precision, and keeps its input beside its result (skimage.resize)."""

PREPROCESSING = {"2d": 8, "3d_fullres": 4, "3d_lowres": 8}
"""Processes that nnUNetv2_plan_and_preprocess starts unless told otherwise; 4 for other configurations."""


@rule(
    "training.unpacking_needs_gib",
    "preprocessed.packed",
    "preprocessed.all_voxels",
    "preprocessed.fingerprint_cases",
    "preprocessed.channels",
    "training.trains",
)
def unpacking_needs(
    packed: int | None, voxels: int | None, cases: int | None, channels: int | None, trains: bool
) -> float | None:
    """Float32 images and int8 labels, unpacked beside the npz (dataloading/utils.py, unpack_dataset)."""
    if not packed or not voxels or not cases or not channels or not trains:
        return None
    return round(packed * voxels / cases * (4 * channels + 1) / GIB, 1)


@rule("training.over_unpacking_space", "training.unpacking_needs_gib", "paths.preprocessed_free_gib")
def over_unpacking_space(needed: float | None, free: float | None) -> bool:
    return needed is not None and free is not None and needed > free


@rule(
    "training.preprocessing_needs_gib",
    "preprocessed.data_lacking",
    "preprocessed.all_voxels",
    "preprocessed.channels",
)
def preprocessing_needs(lacking: bool, voxels: int | None, channels: int | None) -> float | None:
    if not lacking or not voxels or not channels:
        return None
    return round(LEAST_COMPRESSED * voxels * (4 * channels + 2) / GIB, 1)


@rule("training.over_preprocessing_space", "training.preprocessing_needs_gib", "paths.preprocessed_free_gib")
def over_preprocessing_space(needed: float | None, free: float | None) -> bool:
    return needed is not None and free is not None and needed > free


def preprocessing_gib(processes: int, largest: int, average: float, channels: int) -> float:
    """Estimate the memory of preprocessing: one process holds the largest case, the others average ones."""
    voxels = largest + (processes - 1) * average
    return processes * PROCESS_GIB + voxels * (4 * channels + BYTES_WHILE_RESAMPLING) / GIB


_CASES = (
    "preprocessed.data_lacking",
    "preprocessed.largest_voxels",
    "preprocessed.all_voxels",
    "preprocessed.fingerprint_cases",
    "preprocessed.channels",
)


@rule("training.preprocessing_memory_gib", "training.configuration", *_CASES)
def preprocessing_memory(
    configuration: str | None,
    lacking: bool,
    largest: int | None,
    voxels: int | None,
    cases: int | None,
    channels: int | None,
) -> float | None:
    if not lacking or not largest or not voxels or not cases or not channels:
        return None
    processes = min(PREPROCESSING.get(configuration or "", 4), cases)
    return round(preprocessing_gib(processes, largest, voxels / cases, channels), 1)


@rule("training.over_preprocessing_memory", "training.preprocessing_memory_gib", "resources.memory_available_gib")
def over_preprocessing_memory(needed: float | None, available: float) -> bool:
    return needed is not None and needed > available


@rule(
    "training.preprocessing_processes",
    "resources.cpus",
    "resources.memory_available_gib",
    "training.configuration",
    *_CASES,
)
def preprocessing_processes(
    cpus: int,
    available: float,
    configuration: str | None,
    lacking: bool,
    largest: int | None,
    voxels: int | None,
    cases: int | None,
    channels: int | None,
) -> int | None:
    if not lacking or not largest or not voxels or not cases or not channels:
        return None
    most = min(PREPROCESSING.get(configuration or "", 4), cpus, cases)
    fits = (n for n in range(most, 1, -1) if preprocessing_gib(n, largest, voxels / cases, channels) <= available)
    return next(fits, 1)
