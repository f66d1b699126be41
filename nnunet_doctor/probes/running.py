"""A running training, sampled now and then: its processes, memory, the disk of its results, its GPUs."""

from __future__ import annotations

import collections
import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from nnunet_doctor.probes.resources import group_limits

GIB = 1024**3


@dataclass(frozen=True)
class Usage:
    """A sample of the machine; None where it cannot be told.

    Attributes:
        cpu_seconds: Processor time that the process tree has used so far.
        memory_left: Share of the granted memory that is free.
        disk_free_gib: Free space where the results go.
        checkpoint_gib: Size of the largest checkpoint there; None before the first.
        gpu_busy: Whether a GPU of the training computes; None without one.
        video_memory_left: Least share of memory that is free on such a GPU.
        gpu_hot: Whether such a GPU lowers its clocks because it is hot.
        processes: The processes in words, for a stall.
    """

    cpu_seconds: float | None = None
    memory_left: float | None = None
    disk_free_gib: float | None = None
    checkpoint_gib: float | None = None
    gpu_busy: bool | None = None
    video_memory_left: float | None = None
    gpu_hot: bool | None = None
    processes: tuple[str, ...] = ()


def sample(process: int, results: Path | None, *, gpus: bool) -> Usage:
    """Look at the process tree of a training, at memory, at the disk of its results and at its GPUs.

    Args:
        process: Number of the training's process.
        results: Folder of the fold; None when it is not known.
        gpus: Whether it trains on NVIDIA GPUs.
    """
    tree = _tree(process)
    busy, left, hot = _gpu({item.pid for item in tree}) if gpus else (None, None, None)
    return Usage(
        cpu_seconds=_cpu_seconds(tree),
        memory_left=_memory_left(),
        disk_free_gib=_free(results),
        checkpoint_gib=_largest_checkpoint(results),
        gpu_busy=busy,
        video_memory_left=left,
        gpu_hot=hot,
        processes=tuple(_words(tree)),
    )


def _tree(process: int) -> list[Any]:
    try:
        main = psutil.Process(process)
        return [main, *main.children(recursive=True)]
    except psutil.Error:
        return []


def _cpu_seconds(tree: list[Any]) -> float | None:
    total: float | None = None
    for item in tree:
        with contextlib.suppress(psutil.Error):
            times = item.cpu_times()
            total = (total or 0.0) + times.user + times.system
    return total


def _words(tree: list[Any]) -> Iterator[str]:
    """Say what each process does, the main one first, workers of the same state together."""
    states: collections.Counter[str] = collections.Counter()
    for number, item in enumerate(tree):
        with contextlib.suppress(psutil.Error):
            if number == 0:
                yield f"nnU-Net ({item.pid}): {item.status()}"
            else:
                states[item.status()] += 1
    yield from (f"other processes ({count}): {state}" for state, count in states.items())


def _memory_left() -> float | None:
    """Return the free share of what the control group grants, or of the machine's memory."""
    memory = psutil.virtual_memory()
    group = group_limits(Path("/"))
    shares: list[float] = [memory.available / memory.total]
    if group.memory:
        shares.append(1 - (group.memory_used or 0) / group.memory)
    return min(shares)


def _free(results: Path | None) -> float | None:
    if results is None:
        return None
    try:
        return shutil.disk_usage(results).free / GIB
    except OSError:
        return None


def _largest_checkpoint(results: Path | None) -> float | None:
    sizes = []
    for path in results.glob("checkpoint_*.pth") if results else ():
        with contextlib.suppress(OSError):
            sizes.append(path.stat().st_size / GIB)
    return max(sizes, default=None)


def _gpu(tree: set[int]) -> tuple[bool | None, float | None, bool | None]:
    """Ask the driver about those GPUs that processes of the training are on; all None when it does not answer."""
    try:
        import pynvml
    except ImportError:
        return None, None, None
    hot = pynvml.nvmlClocksThrottleReasonSwThermalSlowdown | pynvml.nvmlClocksThrottleReasonHwThermalSlowdown
    busy: list[bool] = []
    left: list[float] = []
    throttled: list[bool] = []
    try:
        pynvml.nvmlInit()
        for number in range(pynvml.nvmlDeviceGetCount()):
            device = pynvml.nvmlDeviceGetHandleByIndex(number)
            # inside a container the driver knows processes by other numbers; then every visible GPU counts
            on_it = {item.pid for item in pynvml.nvmlDeviceGetComputeRunningProcesses(device)}
            if on_it and tree.isdisjoint(on_it) and any(_is_here(item) for item in on_it):
                continue
            memory = pynvml.nvmlDeviceGetMemoryInfo(device)
            left.append(memory.free / memory.total)
            busy.append(pynvml.nvmlDeviceGetUtilizationRates(device).gpu > 0)
            throttled.append(bool(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons(device) & hot))
    except pynvml.NVMLError:
        pass
    return (any(busy) if busy else None, min(left, default=None), any(throttled) if throttled else None)


def _is_here(number: int) -> bool:
    return bool(psutil.pid_exists(number))
