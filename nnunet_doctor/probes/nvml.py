"""Facts about GPUs from the NVIDIA driver's own library (NVML), from the environment and from the PCI bus.

NVML is code of the driver: asked in a child, a driver that hangs or crashes costs one unknown and not the doctor. Old
drivers, WSL2, slices (MIG) and virtual GPUs answer few questions: what is not told of every GPU is None.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

from nnunet_doctor import processes
from nnunet_doctor.facts import Observed, Unknown
from nnunet_doctor.probes import pci
from nnunet_doctor.probes.base import Context, Notes

MARK = "nnunet-doctor-nvml:"
NOTHING: dict[str, Any] = {"driver": None, "driver_cuda": None, "error": None, "gpus": [], "peers": None}
"""What there is without a driver."""

_CHILD = "import sys; sys.path[:] = sys.argv[1:]; from nnunet_doctor.probes import nvml; nvml.answer()"
_LISTS = ("names", "capabilities", "memory_gib", "free_gib")
_OPTIONAL_LISTS = (
    "uuids",
    "processes",
    "compute_modes",
    "mig_modes",
    "mig_slices",
    "memory_errors",
    "memory_repairs",
    "slowdowns",
    "driver_models",
)
_VARIABLES = {
    "visible": "CUDA_VISIBLE_DEVICES",
    "order": "CUDA_DEVICE_ORDER",
    "launch_blocking": "CUDA_LAUNCH_BLOCKING",
    "allocator": "PYTORCH_CUDA_ALLOC_CONF",
    "allocator_new": "PYTORCH_ALLOC_CONF",
    "nccl_peers": "NCCL_P2P_DISABLE",
    "rocm_override": "HSA_OVERRIDE_GFX_VERSION",
    "mps_fallback": "PYTORCH_ENABLE_MPS_FALLBACK",
}


def look(context: Context) -> Notes:
    """Note the facts of area gpu; no driver is a normal case."""
    notes = Notes()
    for name, variable in _VARIABLES.items():
        notes.see(variable, **{f"gpu__{name}": context.environ.get(variable)})
    notes.see("folder of the multi-process service", gpu__shared_service=_has_shared_service(context.environ))
    pci.see(notes, Path("/"))
    if not may_have_driver():
        _note(notes, NOTHING, "no device files of an NVIDIA driver")
        return notes
    # with the path of the doctor itself, so that nothing in the working folder is imported
    command = [sys.executable, "-c", _CHILD, *sys.path]
    ended = processes.run(command, context.timeout, context.environ, keep=1 << 20)
    line = next((line for line in ended.output.splitlines() if line.startswith(MARK)), None)
    if line is None:
        how = ended.death or f"exit code {ended.code}"
        unknown = Unknown(
            "the NVIDIA management library did not answer in time"
            if ended.code is None
            else f"the NVIDIA management library ended with {how}"
        )
        names = ("driver", "driver_cuda", "driver_error", "count", "peers", *_LISTS, *_OPTIONAL_LISTS)
        notes.see("NVML", **{f"gpu__{name}": unknown for name in names})
        return notes
    _note(notes, json.loads(line.removeprefix(MARK)), "NVML")
    return notes


def may_have_driver() -> bool:
    """Say whether it is worth asking: on Linux a driver shows itself in /proc or /dev (inside WSL as /dev/dxg)."""
    places = ("/proc/driver/nvidia", "/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/nvhost-gpu", "/dev/nvmap")
    return sys.platform != "linux" or any(Path(place).exists() for place in places)


def _has_shared_service(environ: Mapping[str, str]) -> bool | None:
    """Look for the pipe by which CUDA reaches the control daemon (NVIDIA's guide of the multi-process service)."""
    if sys.platform != "linux":
        return None
    return Path(environ.get("CUDA_MPS_PIPE_DIRECTORY", "/tmp/nvidia-mps"), "control").exists()


def _note(notes: Notes, saw: dict[str, Any], source: str) -> None:
    gpus = saw["gpus"]
    # a driver that answers with an error has GPUs, and does not say how many
    silent: Observed | None = Unknown(f"the NVIDIA driver does not answer: {saw['error']}") if saw["error"] else None
    lists: dict[str, Observed] = {f"gpu__{name}": silent or _each(gpus, name) for name in _LISTS}
    lists |= {f"gpu__{name}": silent or _each_or_none(gpus, name) for name in _OPTIONAL_LISTS}
    notes.see(
        source,
        gpu__driver=silent or saw["driver"],
        gpu__driver_cuda=silent or saw["driver_cuda"],
        gpu__driver_error=saw["error"],
        gpu__count=silent or len(gpus),
        gpu__peers=silent or saw["peers"],
        **lists,
    )


def _each(gpus: Sequence[Mapping[str, Any]], name: str) -> Observed:
    values = tuple(gpu[name] for gpu in gpus)
    return Unknown("the driver does not tell the memory of a GPU") if None in values else values


def _each_or_none(gpus: Sequence[Mapping[str, Any]], name: str) -> Observed:
    values = tuple(gpu[name] for gpu in gpus)
    return None if None in values or not values else values


def ask() -> dict[str, Any]:
    """Ask NVML in this process.

    Returns:
        ``driver``, ``driver_cuda``, ``error``, ``gpus`` and ``peers``; without a driver all are None and there are no
        GPUs.
    """
    import pynvml

    try:
        pynvml.nvmlInit()
        cuda = pynvml.nvmlSystemGetCudaDriverVersion_v2()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        own = _own_processes()
        return {
            "driver": _text(pynvml.nvmlSystemGetDriverVersion()),
            "driver_cuda": f"{cuda // 1000}.{cuda % 1000 // 10}",
            "error": None,
            "gpus": [_gpu(pynvml, handle, own) for handle in handles],
            "peers": _peers(pynvml, handles),
        }
    except (pynvml.NVMLError_LibraryNotFound, pynvml.NVMLError_DriverNotLoaded):
        # the library is there without a driver in many containers: that is no driver, not a broken one
        return NOTHING
    except pynvml.NVMLError as error:
        return {**NOTHING, "error": str(error)}


def _own_processes() -> set[int]:
    """Return the numbers of the doctor's processes: the one that started this, and all below it."""
    import psutil

    try:
        doctor = psutil.Process(os.getppid())
        return {doctor.pid, *(child.pid for child in doctor.children(recursive=True))}
    except psutil.Error:
        return set()


def _gpu(pynvml: Any, handle: Any, own: set[int]) -> dict[str, Any]:
    major, minor = pynvml.nvmlDeviceGetCudaComputeCapability(handle)
    tell = functools.partial(_tell, pynvml, handle)
    memory, running, mig = tell("MemoryInfo"), tell("ComputeRunningProcesses"), tell("MigMode", unsupported=(0, 0))
    models = tell("DriverModel") if sys.platform == "win32" else None
    return {
        "names": _text(pynvml.nvmlDeviceGetName(handle)),
        "capabilities": f"{major}.{minor}",
        "memory_gib": None if memory is None else round(memory.total / 1024**3, 1),
        "free_gib": None if memory is None else round(memory.free / 1024**3, 1),
        "uuids": None if (uuid := tell("UUID")) is None else _text(uuid),
        "processes": None if running is None else sum(process.pid not in own for process in running),
        "compute_modes": _COMPUTE_MODES.get(tell("ComputeMode")),
        "mig_modes": None if mig is None else "on" if mig[0] else "off",
        "mig_slices": None if mig is None else _slices(tell) if mig[0] else 0,
        "memory_errors": tell("TotalEccErrors", _UNCORRECTED, _SINCE_LOADED, unsupported=0),
        "memory_repairs": _repairs(tell),
        "slowdowns": _slowdowns(tell),
        "driver_models": None if models is None else _DRIVER_MODELS.get(models[0]),
    }


_COMPUTE_MODES = {0: "default", 1: "exclusive", 2: "prohibited", 3: "exclusive"}
_DRIVER_MODELS = {0: "wddm", 1: "tcc", 2: "mcdm"}
_UNCORRECTED, _SINCE_LOADED = 1, 0
"""NVML_MEMORY_ERROR_TYPE_UNCORRECTED and NVML_VOLATILE_ECC."""

_SLOWDOWNS = {0x40: "heat", 0x80: "power"}
"""nvmlClocksEventReasonHwThermalSlowdown and ...HwPowerBrakeSlowdown, which halve the clocks; idle is a reason too."""

_READ_ACCESS, _GRANTED = 0, 0
"""NVML_P2P_CAPS_INDEX_READ and NVML_P2P_STATUS_OK."""


def _tell(pynvml: Any, handle: Any, what: str, *arguments: Any, unsupported: Any = None) -> Any:
    """Return what ``nvmlDeviceGet...`` tells of a GPU; None when it does not.

    Args:
        pynvml: The binding.
        handle: The GPU.
        what: The rest of the function's name.
        arguments: What it is asked beside the GPU.
        unsupported: What to return for a GPU that does not have it at all.
    """
    try:
        return getattr(pynvml, f"nvmlDeviceGet{what}")(handle, *arguments)
    except pynvml.NVMLError_NotSupported:
        return unsupported
    except pynvml.NVMLError:
        return None


def _slices(tell: Callable[..., Any]) -> int | None:
    most = tell("MaxMigDeviceCount")
    return None if most is None else sum(tell("MigDeviceHandleByIndex", index) is not None for index in range(most))


def _repairs(tell: Callable[..., Any]) -> str | None:
    """Rows are remapped from the Ampere generation on; before it, pages are retired."""
    rows = tell("RemappedRows", unsupported=())
    if rows:
        _, _, pending, failed = rows
        return "failed" if failed else "pending" if pending else "none"
    pages = None if rows is None else tell("RetiredPagesPendingStatus", unsupported=0)
    return None if pages is None else "pending" if pages else "none"


def _slowdowns(tell: Callable[..., Any]) -> str | None:
    reasons = tell("CurrentClocksEventReasons")
    if reasons is None:  # drivers before 535 know the older name only
        reasons = tell("CurrentClocksThrottleReasons")
    return None if reasons is None else ", ".join(name for bit, name in _SLOWDOWNS.items() if reasons & bit)


def _peers(pynvml: Any, handles: Sequence[Any]) -> bool | None:
    said = [_tell(pynvml, one, "P2PStatus", other, _READ_ACCESS) for one, other in combinations(handles, 2)]
    known = [status for status in said if status is not None]
    return _GRANTED in known if known else None


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def answer() -> None:
    """Print what NVML says, for the doctor that has started this process."""
    sys.stdout.write(MARK + json.dumps(ask()) + "\n")
