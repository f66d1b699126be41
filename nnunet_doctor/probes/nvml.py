"""Facts about NVIDIA GPUs from the driver's own library (NVML), asked in a child process.

NVML is code of the driver: asked in a child, a driver that hangs or crashes costs one unknown and not the doctor.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnunet_doctor import processes
from nnunet_doctor.facts import Observed, Unknown
from nnunet_doctor.probes.base import Context, Notes

MARK = "nnunet-doctor-nvml:"
NOTHING: dict[str, Any] = {"driver": None, "driver_cuda": None, "error": None, "gpus": []}
"""What there is without a driver."""

_CHILD = "import sys; sys.path[:] = sys.argv[1:]; from nnunet_doctor.probes import nvml; nvml.answer()"
_LISTS = ("names", "capabilities", "memory_gib", "free_gib")


def look(context: Context) -> Notes:
    """Note the facts of area gpu; no driver is a normal case."""
    notes = Notes()
    notes.see("CUDA_VISIBLE_DEVICES", gpu__visible=context.environ.get("CUDA_VISIBLE_DEVICES"))
    if not may_have_driver():
        _note(notes, NOTHING, "no device files of an NVIDIA driver")
        return notes
    # with the path of the doctor itself, so that nothing in the working folder is imported
    command = [sys.executable, "-c", _CHILD, *sys.path]
    ended = processes.run(command, context.timeout, context.environ, keep=1 << 20)
    line = next((line for line in ended.output.splitlines() if line.startswith(MARK)), None)
    if line is None:
        how = (
            "did not answer in time" if ended.code is None else f"ended with {ended.death or f'exit code {ended.code}'}"
        )
        unknown = Unknown(f"the NVIDIA management library {how}")
        names = ("driver", "driver_cuda", "driver_error", "count", *_LISTS)
        notes.see("NVML", **{f"gpu__{name}": unknown for name in names})
        return notes
    _note(notes, json.loads(line.removeprefix(MARK)), "NVML")
    return notes


def may_have_driver() -> bool:
    """Say whether it is worth asking: on Linux a driver shows itself in /proc or /dev (inside WSL as /dev/dxg)."""
    places = ("/proc/driver/nvidia", "/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/nvhost-gpu", "/dev/nvmap")
    return sys.platform != "linux" or any(Path(place).exists() for place in places)


def _note(notes: Notes, saw: dict[str, Any], source: str) -> None:
    gpus = saw["gpus"]
    # a driver that answers with an error has GPUs, and does not say how many
    silent: Observed | None = Unknown(f"the NVIDIA driver does not answer: {saw['error']}") if saw["error"] else None
    lists: dict[str, Observed] = {f"gpu__{name}": silent or _each(gpus, name) for name in _LISTS}
    notes.see(
        source,
        gpu__driver=silent or saw["driver"],
        gpu__driver_cuda=silent or saw["driver_cuda"],
        gpu__driver_error=saw["error"],
        gpu__count=silent or len(gpus),
        **lists,
    )


def _each(gpus: Sequence[Mapping[str, Any]], name: str) -> Observed:
    values = tuple(gpu[name] for gpu in gpus)
    return Unknown("the driver does not tell the memory of a GPU") if None in values else values


def ask() -> dict[str, Any]:
    """Ask NVML in this process.

    Returns:
        ``driver``, ``driver_cuda``, ``error`` and ``gpus``; without a driver all are None and there are no GPUs.
    """
    import pynvml

    try:
        pynvml.nvmlInit()
        cuda = pynvml.nvmlSystemGetCudaDriverVersion_v2()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        return {
            "driver": _text(pynvml.nvmlSystemGetDriverVersion()),
            "driver_cuda": f"{cuda // 1000}.{cuda % 1000 // 10}",
            "error": None,
            "gpus": [_gpu(pynvml, handle) for handle in handles],
        }
    except (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded):
        # the library is there without a driver in many containers: that is no driver, not a broken one
        return NOTHING
    except pynvml.NVMLError as error:
        return {**NOTHING, "error": str(error)}


def _gpu(pynvml: Any, handle: Any) -> dict[str, Any]:
    major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
    total = free = None
    try:
        memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
        total, free = round(memory.total / 1024**3, 1), round(memory.free / 1024**3, 1)
    except pynvml.NVMLError_NotSupported:  # a GPU that shares the memory of the machine
        pass
    return {
        "names": _text(pynvml.nvmlDeviceGetName(handle)),
        "capabilities": f"{major}.{minor}",
        "memory_gib": total,
        "free_gib": free,
    }


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def answer() -> None:
    """Print what NVML says, for the doctor that has started this process."""
    sys.stdout.write(MARK + json.dumps(ask()) + "\n")
