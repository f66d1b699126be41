"""Facts about NVIDIA GPUs from the driver's own library (NVML), asked in a child process.

NVML is code of the driver: asked in a child, a driver that hangs or crashes costs one unknown and not the doctor.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from nnunet_doctor import processes
from nnunet_doctor.facts import Unknown
from nnunet_doctor.probes.base import Context, Notes

MARK = "nnunet-doctor-nvml:"
_LISTS = ("names", "capabilities", "memory_gib", "free_gib")


def look(context: Context) -> Notes:
    """Note the facts of area gpu; no driver is a normal case."""
    notes = Notes()
    notes.see("CUDA_VISIBLE_DEVICES", gpu__visible=context.environ.get("CUDA_VISIBLE_DEVICES"))
    ended = processes.run(
        [sys.executable, "-m", "nnunet_doctor.probes.nvml"], context.timeout, context.environ, keep=1 << 20
    )
    line = next((line for line in ended.output.splitlines() if line.startswith(MARK)), None)
    if line is None:
        how = (
            "did not answer in time" if ended.code is None else f"ended with {ended.death or f'exit code {ended.code}'}"
        )
        unknown = Unknown(f"the NVIDIA management library {how}")
        names = ("driver", "driver_cuda", "driver_error", "count", *_LISTS)
        notes.see("NVML", **{f"gpu__{name}": unknown for name in names})
        return notes
    saw: dict[str, Any] = json.loads(line.removeprefix(MARK))
    gpus = saw["gpus"]
    notes.see(
        "NVML",
        gpu__driver=saw["driver"],
        gpu__driver_cuda=saw["driver_cuda"],
        gpu__driver_error=saw["error"],
        gpu__count=len(gpus),
        **{f"gpu__{name}": tuple(gpu[name] for gpu in gpus) for name in _LISTS},
    )
    return notes


def ask() -> dict[str, Any]:
    """Ask NVML in this process.

    Returns:
        ``driver``, ``driver_cuda``, ``error`` and ``gpus``; without a driver all are None and there are no GPUs.
    """
    import pynvml

    nothing: dict[str, Any] = {"driver": None, "driver_cuda": None, "error": None, "gpus": []}
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError_LibraryNotFound:
        return nothing
    except pynvml.NVMLError as error:
        # the library is there without a driver in many containers: that is no driver, not a broken one
        absent = isinstance(error, pynvml.NVMLError_DriverNotLoaded)
        return nothing if absent else {**nothing, "error": str(error)}
    cuda = pynvml.nvmlSystemGetCudaDriverVersion_v2()
    handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
    return {
        "driver": _text(pynvml.nvmlSystemGetDriverVersion()),
        "driver_cuda": f"{cuda // 1000}.{cuda % 1000 // 10}",
        "error": None,
        "gpus": [_gpu(pynvml, handle) for handle in handles],
    }


def _gpu(pynvml: Any, handle: Any) -> dict[str, Any]:
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
    return {
        "names": _text(pynvml.nvmlDeviceGetName(handle)),
        "capabilities": f"{major}.{minor}",
        "memory_gib": round(memory.total / 1024**3, 1),
        "free_gib": round(memory.free / 1024**3, 1),
    }


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


if __name__ == "__main__":
    sys.stdout.write(MARK + json.dumps(ask()) + "\n")
