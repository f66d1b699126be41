"""What a training takes of limits that are neither processors nor memory nor shared memory."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from nnunet_doctor.facts.base import Unknown
from nnunet_doctor.facts.derive.rules import first_unknown, is_in, or_none, rule
from nnunet_doctor.facts.derive.workers import (
    DEFAULT_WORKERS,
    batch_gib,
    least_workers,
    memory_gib,
    room_for_processes,
    worker_processes,
)


@rule("resources.cpus_note", "resources.cpus", "resources.cpus_machine", "resources.cpus_limited_by")
def cpus_note(cpus: int, machine: int, limited_by: str | None) -> str:
    return f"{cpus} of {machine} (limited by {limited_by})" if limited_by else str(cpus)


@rule("resources.over_workers", "training.all_workers", "resources.cpus", "resources.cpus_machine")
def over_workers(workers: int, cpus: int, machine: int) -> bool:
    """One or two more than there are processors change nothing: workers wait for the disk and for one another.

    On a whole machine, where only several GPUs bring more of them than processors, they take turns at no cost of note
    until they are twice as many; within a limit the main process is held up with them.
    """
    return workers > (2 * cpus if cpus >= machine else cpus + max(1, cpus // 4))


@rule(
    "resources.over_processes",
    "training.all_processes",
    "training.ranks",
    "resources.cpus",
    "resources.cpus_machine",
    "resources.memory_available_gib",
)
def over_processes(processes: int, ranks: int, cpus: int, machine: int, memory: float) -> bool:
    """On a machine of one's own they only take turns; memory, and what others share, they must not exceed.

    The estimate is rough: one process more or less proves nothing.
    """
    return processes > room_for_processes(memory, ranks) + 1 or (cpus < machine and processes > cpus + 1)


MOST_TMP_LETTERS = 75
"""A socket is TMPDIR/pymp-12345678/listener-12345678, and sun_path takes 107 bytes on Linux (measured: 76 fails)."""


@rule("resources.tmp_too_long", "platform.os", "resources.tmp", "python.version", tolerant=True)
def tmp_too_long(system: str | Unknown, tmp: str | Unknown, python: str | Unknown) -> bool | Unknown:
    """Torch hands tensors over by such sockets on Linux only; from 3.13.4 on Python itself chooses a shorter folder.

    Source: multiprocessing/util.py, get_temp_dir (python/cpython#132124).
    """
    if isinstance(system, Unknown) or system != "linux":
        return system if isinstance(system, Unknown) else False
    if isinstance(tmp, Unknown):
        return tmp
    if len(tmp.encode("utf-8", "surrogateescape")) <= MOST_TMP_LETTERS:
        return False
    return python if isinstance(python, Unknown) else is_in(python, "<3.13.4.dev0")


TENSORS_OF_A_BATCH = 8
"""The images, and the labels at each resolution of deep supervision; each holds one file open (torch's file_descriptor
sharing)."""

OTHER_FILES = 128
"""Libraries, devices of the driver, pipes of torch.compile's processes."""


@rule("resources.open_files_needed", "platform.os", "training.workers")
def open_files_needed(system: str, workers: int) -> int | None:
    """Count the batches that wait in a process that trains (nnUNetTrainer.get_dataloaders), and its workers' pipes.

    The limit holds for each process, and so not for several GPUs together.
    """
    if system != "linux":
        return None
    batches = 4 if workers == 0 else max(6, workers // 2) + max(3, workers // 4) + 4
    return batches * TENSORS_OF_A_BATCH + 4 * worker_processes(workers, 1) + OTHER_FILES


@rule("resources.over_open_files", "resources.open_files", "resources.open_files_needed")
def over_open_files(limit: int | None, needed: int | None) -> bool | None:
    return None if limit is None or needed is None else needed > limit


@rule(
    "resources.over_commit",
    "resources.commit_free_gib",
    "training.memory_needed_gib",
    "training.over_memory",
    tolerant=True,
)
def over_commit(free: float | None | Unknown, needed: float | Unknown, over_memory: bool | Unknown) -> Any:
    """Where memory itself is short, that is what is to be said."""
    if free is None or over_memory is True:
        return None if free is None else False
    unknown = first_unknown(free, needed, over_memory)
    return unknown or (isinstance(free, float) and isinstance(needed, float) and needed > free)


@rule(
    "resources.commit_workers",
    "resources.commit_free_gib",
    "training.safe_workers",
    "training.ranks",
    "platform.os",
    "training.device",
    "nnunet.behaves_as",
    "preprocessed.patch_size",
    "preprocessed.batch_size",
    "preprocessed.channels",
    tolerant=True,
)
def commit_workers(
    free: float | None | Unknown,
    safe: int | Unknown,
    ranks: int | Unknown,
    system: str | Unknown,
    device: str | Unknown,
    release: str | None | Unknown,
    patch: Sequence[int] | None | Unknown,
    batch: int | None | Unknown,
    channels: int | None | Unknown,
) -> int | None | Unknown:
    """Find the most workers that fit; what is not known of plan and device counts as for training.safe_workers."""
    if free is None or isinstance(free, Unknown):
        return free
    if isinstance(ranks, Unknown):
        return ranks
    one_batch = batch_gib(or_none(patch), or_none(batch), or_none(channels))
    most = min(DEFAULT_WORKERS, DEFAULT_WORKERS if isinstance(safe, Unknown) else safe)
    fits = (
        count
        for count in range(most, 0, -1)
        if memory_gib(count, ranks, or_none(system) or "", or_none(device) or "cpu", one_batch) <= free
    )
    return next(fits, least_workers(release))


MOST_BLAS_THREADS = 64
"""OpenBLAS in the wheels of numpy and scipy starts no more."""


def _blas(cpus: int, limited_by: str | None, machine: int, wanted: int | None) -> int:
    """Count the threads beside the first that the two libraries of a process start when they are loaded."""
    seen = cpus if limited_by == "affinity" else machine
    return 2 * (min(seen, MOST_BLAS_THREADS, wanted or MOST_BLAS_THREADS) - 1)


_BLAS = ("resources.cpus", "resources.cpus_limited_by", "resources.cpus_machine", "resources.blas_threads")


@rule(
    "resources.threads_needed",
    "platform.os",
    "training.ranks",
    "training.worker_processes",
    "training.all_processes",
    *_BLAS,
)
def threads_needed(
    system: str,
    ranks: int,
    workers: int,
    processes: int,
    cpus: int,
    limited_by: str | None,
    machine: int,
    wanted: int | None,
) -> int | None:
    """Take the larger of training and final validation.

    Workers are forked and keep to one thread of BLAS, beside those of their queues; processes of the validation are
    spawned and load numpy and scipy anew (nnUNetTrainer.perform_actual_validation).
    """
    if system != "linux":
        return None
    blas = _blas(cpus, limited_by, machine, wanted)
    return _main_threads(ranks, blas, cpus) + max(3 * workers, processes * (2 + blas))


def _main_threads(ranks: int, blas: int, cpus: int) -> int:
    """Count the threads of the processes that train; several have another one above them, which only waits."""
    return ranks * (1 + blas + min(cpus, 16)) + (1 + blas if ranks > 1 else 0)


@rule("resources.threads_limit", "resources.processes_limit", "resources.pids_limit", "resources.pids_used")
def threads_limit(user: int | None, group: int | None, used: int | None) -> int | None:
    """What runs already counts against the control group; what else the user runs is not known."""
    return min(
        (limit for limit in (user, None if group is None else group - (used or 0)) if limit is not None), default=None
    )


@rule("resources.over_threads", "resources.threads_limit", "resources.threads_needed", tolerant=True)
def over_threads(limit: int | None | Unknown, needed: int | None | Unknown) -> bool | None | Unknown:
    if limit is None or needed is None:
        return None
    if isinstance(limit, Unknown):
        return limit
    return needed if isinstance(needed, Unknown) else needed > limit


@rule("resources.thread_processes", "resources.threads_limit", "training.ranks", *_BLAS)
def thread_processes(
    limit: int | None, ranks: int, cpus: int, limited_by: str | None, machine: int, wanted: int | None
) -> int | None:
    if limit is None:
        return None
    blas = _blas(cpus, limited_by, machine, wanted)
    return max(1, (limit - _main_threads(ranks, blas, cpus)) // (2 + blas) // ranks)


LEAST_ADDRESS_SPACE_GIB = {"cuda": 16.0}
"""CUDA maps its GPUs and the memory of the machine into every process that uses it."""

LEAST_ADDRESS_SPACE_OF_TORCH_GIB = 5.0
"""Importing the trainer takes 4.0 GiB of address space (measured with torch 2.14 and nnU-Net 2.8.1)."""


@rule("resources.over_address_space", "resources.address_space_gib", "training.device", tolerant=True)
def over_address_space(limit: float | None | Unknown, device: str | Unknown) -> bool | None | Unknown:
    if limit is None or isinstance(limit, Unknown):
        return limit
    if limit < LEAST_ADDRESS_SPACE_OF_TORCH_GIB:
        return True
    if limit >= max(LEAST_ADDRESS_SPACE_GIB.values()):
        return False
    return device if isinstance(device, Unknown) else limit < LEAST_ADDRESS_SPACE_GIB.get(device, 0.0)


LARGE_MACHINE = 8
"""Processors of a machine that several people are likely to share."""


@rule("resources.busy", "resources.load", "resources.cpus_machine")
def busy(load: float | None, machine: int) -> bool | None:
    return None if load is None else machine >= LARGE_MACHINE and load >= machine


FASTEST_EPOCH_SECONDS = 5.0
"""Half of the shortest epoch that nnU-Net's authors tell of (documentation/benchmarking.md: Hippocampus, 2d, A100)."""


@rule(
    "resources.job_too_short",
    "resources.job_hours_left",
    "training.planned",
    "training.trainer",
    "training.continues",
    tolerant=True,
)
def job_too_short(
    hours: float | None | Unknown, planned: bool | Unknown, trainer: str | Unknown, continues: bool | Unknown
) -> bool | None | Unknown:
    """A trainer with a name of its own may train for any number of epochs; --c is how trainings go on over jobs."""
    if hours is None or planned is False or continues is True:
        return None if hours is None else False
    if (unknown := first_unknown(hours, planned, trainer, continues)) is not None:
        return unknown
    named = re.search(r"_(\d+)epochs?(?:_|$)", str(trainer))
    epochs = int(named.group(1)) if named else 1000 if trainer == "nnUNetTrainer" else 0
    return isinstance(hours, float) and hours * 3600 < epochs * FASTEST_EPOCH_SECONDS
