"""The NVIDIA driver as its library tells it, with a made-up binding to that library."""

from __future__ import annotations

import contextlib
import io
import os
import sys
import textwrap
import time
import types

import pynvml
import pytest

from nnunet_doctor import processes
from nnunet_doctor.facts import Unknown
from nnunet_doctor.probes import nvml
from nnunet_doctor.processes import Ended

BINDING = """
    class NVMLError(Exception): pass
    class NVMLError_LibraryNotFound(NVMLError): pass
    class NVMLError_DriverNotLoaded(NVMLError): pass
    class NVMLError_NotSupported(NVMLError): pass
    class NVMLError_NoPermission(NVMLError): pass
    class NVMLError_FunctionNotFound(NVMLError): pass
    class NVMLError_NotFound(NVMLError): pass
    class NVMLError_Unknown(NVMLError): pass

    class Memory:
        total, free, used = 24 * 1024**3, 20 * 1024**3, 4 * 1024**3

    class Process:
        def __init__(self, pid): self.pid, self.usedGpuMemory = pid, None

    def not_supported(*_): raise NVMLError_NotSupported("Not Supported")
    def no_permission(*_): raise NVMLError_NoPermission("Insufficient Permissions")
    def function_not_found(*_): raise NVMLError_FunctionNotFound("Function Not Found")

    def nvmlInit(): pass
    def nvmlSystemGetDriverVersion(): return "570.133.20"
    def nvmlSystemGetCudaDriverVersion_v2(): return 12080
    def nvmlDeviceGetCount(): return 2
    def nvmlDeviceGetHandleByIndex(index): return index
    def nvmlDeviceGetName(handle): return [b"NVIDIA GeForce RTX 4090", "NVIDIA A100"][handle]
    def nvmlDeviceGetMemoryInfo(handle): return Memory
    def nvmlDeviceGetCudaComputeCapability(handle): return [(8, 9), (8, 0)][handle]
    def nvmlDeviceGetUUID(handle): return [b"GPU-1f0a", "GPU-2b7c"][handle]
    def nvmlDeviceGetComputeRunningProcesses(handle): return [[], [Process(4242), Process(4243)]][handle]
    def nvmlDeviceGetComputeMode(handle): return 0
    def nvmlDeviceGetMigMode(handle): return [not_supported, lambda: [0, 0]][handle]()
    def nvmlDeviceGetTotalEccErrors(handle, kind, counter):
        assert (kind, counter) == (1, 0)
        return [not_supported, lambda: 0][handle]()
    def nvmlDeviceGetRemappedRows(handle): return [not_supported, lambda: (0, 0, 0, 0)][handle]()
    def nvmlDeviceGetRetiredPagesPendingStatus(handle): return not_supported()
    def nvmlDeviceGetCurrentClocksEventReasons(handle): return 0x1
    def nvmlDeviceGetCurrentClocksThrottleReasons(handle): return 0x1
    def nvmlDeviceGetDriverModel(handle): return not_supported()
    def nvmlDeviceGetP2PStatus(one, other, index):
        assert index == 0
        return 5
"""
"""What the doctor asks of pynvml, answered as a driver with two healthy GPUs does: a GeForce and an A100.

Answers follow NVIDIA's NVML API reference: what a GPU does not have is NVML_ERROR_NOT_SUPPORTED, an idle GPU gives
nvmlClocksEventReasonGpuIdle (1), and GPUs without a way to each other NVML_P2P_STATUS_NOT_SUPPORTED (5).
"""

LISTS = {
    "gpu.uuids",
    "gpu.processes",
    "gpu.compute_modes",
    "gpu.mig_modes",
    "gpu.mig_slices",
    "gpu.memory_errors",
    "gpu.memory_repairs",
    "gpu.slowdowns",
    "gpu.driver_models",
}
"""What a driver need not tell."""

NO_DRIVER = {
    "gpu.driver": None,
    "gpu.driver_cuda": None,
    "gpu.driver_error": None,
    "gpu.count": 0,
    "gpu.names": (),
    "gpu.capabilities": (),
    "gpu.memory_gib": (),
    "gpu.free_gib": (),
    "gpu.peers": None,
    **dict.fromkeys(LISTS),
}

UNSET = {
    "gpu.visible": None,
    "gpu.order": None,
    "gpu.launch_blocking": None,
    "gpu.allocator": None,
    "gpu.allocator_new": None,
    "gpu.nccl_peers": None,
    "gpu.rocm_override": None,
    "gpu.mps_fallback": None,
}

OF_THE_SYSTEM = {"gpu.pci", "gpu.module_built", "gpu.secure_boot", "gpu.kfd", "gpu.shared_service"}
"""What does not come from the driver; it has tests of its own."""


@pytest.fixture
def look(context_of, monkeypatch):
    """Return the facts that come from the driver and the environment, with a binding that is changed by this code.

    What the child would do is done in this process, which takes a tenth of the time.
    """
    monkeypatch.setattr(nvml, "may_have_driver", lambda: True)

    def answered(*_, **__):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            nvml.answer()
        return Ended(0, said.getvalue())

    def look(change="", **environ):
        binding = types.ModuleType("pynvml")
        exec(textwrap.dedent(BINDING) + textwrap.dedent(change), vars(binding))  # noqa: S102 - it stands above
        monkeypatch.setitem(sys.modules, "pynvml", binding)
        with monkeypatch.context() as patch:
            patch.setattr(processes, "run", answered)
            return of_the_driver(nvml.look(context_of(environ)))

    return look


@pytest.fixture
def look_by_a_child(context_of, tmp_path, monkeypatch):
    """Return the same from a process of its own, as the doctor asks the driver."""
    folder = tmp_path / "binding"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(nvml, "may_have_driver", lambda: True)

    def look(change="", timeout=30.0, **environ):
        code = textwrap.dedent(BINDING) + textwrap.dedent(change)
        (folder / "pynvml.py").write_text(code, encoding="utf-8")
        return of_the_driver(nvml.look(context_of(environ, timeout=timeout)))

    return look


def of_the_driver(notes):
    """Return facts without those of the system."""
    return {name: value for name, value in notes.values.items() if name not in OF_THE_SYSTEM}


@pytest.mark.parametrize("by", ["look", "look_by_a_child"])
def test_two_gpus(by, request):
    """A driver with two GPUs gives all facts, in the order of the driver; healthy ones show nothing remarkable."""
    expected = {
        **UNSET,
        "gpu.visible": "1",
        "gpu.driver": "570.133.20",
        "gpu.driver_cuda": "12.8",
        "gpu.driver_error": None,
        "gpu.count": 2,
        "gpu.names": ("NVIDIA GeForce RTX 4090", "NVIDIA A100"),
        "gpu.capabilities": ("8.9", "8.0"),
        "gpu.memory_gib": (24.0, 24.0),
        "gpu.free_gib": (20.0, 20.0),
        "gpu.uuids": ("GPU-1f0a", "GPU-2b7c"),
        "gpu.processes": (0, 2),
        "gpu.compute_modes": ("default", "default"),
        "gpu.mig_modes": ("off", "off"),
        "gpu.mig_slices": (0, 0),
        "gpu.memory_errors": (0, 0),
        "gpu.memory_repairs": ("none", "none"),
        "gpu.slowdowns": ("", ""),
        "gpu.driver_models": None,
        "gpu.peers": False,
    }

    assert request.getfixturevalue(by)(CUDA_VISIBLE_DEVICES="1") == expected


def test_variables(look):
    """What the environment says to CUDA, torch, NCCL and ROCm is noted as it stands."""
    expected = {
        "gpu.visible": "0,0",
        "gpu.order": "PCI_BUS_ID",
        "gpu.launch_blocking": "1",
        "gpu.allocator": "max_split_size_mb=128",
        "gpu.allocator_new": "backend:native",
        "gpu.nccl_peers": "1",
        "gpu.rocm_override": "10.3.0",
        "gpu.mps_fallback": "1",
    }
    environ = {
        "CUDA_VISIBLE_DEVICES": "0,0",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_LAUNCH_BLOCKING": "1",
        "PYTORCH_CUDA_ALLOC_CONF": "max_split_size_mb=128",
        "PYTORCH_ALLOC_CONF": "backend:native",
        "NCCL_P2P_DISABLE": "1",
        "HSA_OVERRIDE_GFX_VERSION": "10.3.0",
        "PYTORCH_ENABLE_MPS_FALLBACK": "1",
    }
    values = look(**environ)

    assert {name: values[name] for name in UNSET} == expected


@pytest.mark.parametrize("error", ["NVMLError_LibraryNotFound", "NVMLError_DriverNotLoaded"])
def test_no_driver(look, error):
    """A machine without an NVIDIA driver has no GPUs; this is no error."""
    assert look(f"def nvmlInit(): raise {error}('none')") == {**UNSET, **NO_DRIVER}


def test_this_machine(context_of):
    """The real binding tells the GPUs of this machine, which are none where it has no NVIDIA library."""
    try:
        pynvml.nvmlInit()
        expected = pynvml.nvmlDeviceGetCount()
    except pynvml.NVMLError_LibraryNotFound:
        expected = 0

    assert nvml.look(context_of()).values["gpu.count"] == expected
    assert len(nvml.ask()["gpus"]) == expected


@pytest.mark.parametrize(
    "change",
    [
        "def nvmlInit(): raise NVMLError('Driver/library version mismatch')",
        "def nvmlSystemGetDriverVersion(): raise NVMLError('Driver/library version mismatch')",
        "def nvmlDeviceGetHandleByIndex(index): raise NVMLError('Driver/library version mismatch')",
    ],
)
def test_driver_that_does_not_work(look, change):
    """A driver that is there and refuses to answer is a fact of its own; how many GPUs it has is then unknown."""
    values = look(change)

    assert values["gpu.driver_error"] == "Driver/library version mismatch"
    assert values["gpu.count"] == values["gpu.names"] == values["gpu.driver"] == values["gpu.mig_modes"]
    assert values["gpu.count"] == Unknown("the NVIDIA driver does not answer: Driver/library version mismatch")


def test_gpu_that_does_not_tell_its_memory(look):
    """A GPU that shares the memory of the machine tells none of its own; the rest is known."""
    values = look("def nvmlDeviceGetMemoryInfo(handle): raise NVMLError_NotSupported('Not Supported')")

    assert (values["gpu.count"], values["gpu.capabilities"]) == (2, ("8.9", "8.0"))
    assert values["gpu.memory_gib"] == values["gpu.free_gib"] == Unknown("the driver does not tell the memory of a GPU")


OPTIONAL = [
    "UUID",
    "ComputeRunningProcesses",
    "ComputeMode",
    "MigMode",
    "TotalEccErrors",
    "RemappedRows",
    "RetiredPagesPendingStatus",
    "CurrentClocksEventReasons",
    "CurrentClocksThrottleReasons",
    "DriverModel",
    "P2PStatus",
]


def all_answer(name):
    """Write a binding whose every optional function answers with one error."""
    return "\n".join(f"nvmlDeviceGet{what} = {name}" for what in OPTIONAL)


def test_nothing_is_supported(look):
    """WSL2 and virtual GPUs answer little; what a GPU does not have at all is no fault, and the rest is not known."""
    values = look(all_answer("not_supported"))

    assert {name: values[name] for name in LISTS} == {
        "gpu.uuids": None,
        "gpu.processes": None,
        "gpu.compute_modes": None,
        "gpu.mig_modes": ("off", "off"),
        "gpu.mig_slices": (0, 0),
        "gpu.memory_errors": (0, 0),
        "gpu.memory_repairs": ("none", "none"),
        "gpu.slowdowns": None,
        "gpu.driver_models": None,
    }
    assert (values["gpu.driver_error"], values["gpu.count"], values["gpu.peers"]) == (None, 2, None)


@pytest.mark.parametrize("error", ["function_not_found", "no_permission"])
def test_old_driver_or_one_that_keeps_silent(look, error):
    """Drivers that do not know a function, or do not let everybody ask, still tell the GPUs and their memory."""
    values = look(all_answer(error))

    assert {values[name] for name in LISTS} == {None}
    assert (values["gpu.driver_error"], values["gpu.count"], values["gpu.free_gib"]) == (None, 2, (20.0, 20.0))


def test_one_gpu_that_is_silent_about_itself(look):
    """A fact about every GPU is not known when one of them does not tell it."""
    values = look("def nvmlDeviceGetComputeMode(handle): return [no_permission, lambda: 0][handle]()")

    assert values["gpu.compute_modes"] is None
    assert values["gpu.slowdowns"] == ("", "")


MIG = """
    def nvmlDeviceGetMigMode(handle): return [not_supported, lambda: [1, 1]][handle]()
    def nvmlDeviceGetMaxMigDeviceCount(handle): return 7
    def nvmlDeviceGetMemoryInfo(handle): return Memory
    def nvmlDeviceGetMigDeviceHandleByIndex(handle, index):
        if index in SLICES: return 100 + index
        raise NVMLError_NotFound("Not Found")
"""


@pytest.mark.parametrize(("slices", "expected"), [("()", 0), ("(0,)", 1), ("(1, 4, 6)", 3)])
def test_slices(look, slices, expected):
    """Slices (MIG) are counted that this process can see; a gap between them means nothing."""
    values = look(f"SLICES = {slices}\n" + textwrap.dedent(MIG))

    assert values["gpu.mig_modes"] == ("off", "on")
    assert values["gpu.mig_slices"] == (0, expected)


def test_divided_gpu_whose_memory_is_not_told(look):
    """Of a divided GPU a container may not ask the memory: that is no driver that does not answer."""
    values = look("def nvmlDeviceGetMemoryInfo(handle): raise NVMLError_NoPermission('Insufficient Permissions')")

    assert values["gpu.driver_error"] is None
    assert values["gpu.count"] == 2
    assert values["gpu.memory_gib"] == Unknown("the driver does not tell the memory of a GPU")


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        (0x1, ""),  # idle
        (0x2, ""),  # clocks that somebody has set
        (0x4, ""),  # power limit
        (0x10, ""),  # clocks that are kept equal
        (0x100, ""),  # the display
        (0x20, ""),  # the driver keeps the temperature
        (0x40 | 0x8, "heat"),
        (0x80 | 0x8, "power"),
        (0x40 | 0x80 | 0x4, "heat, power"),
    ],
)
def test_slowdowns(look, reasons, expected):
    """Only what halves the clocks is told; an idle GPU and one that uses its power to the full are healthy."""
    values = look(f"def nvmlDeviceGetCurrentClocksEventReasons(handle): return {reasons}")

    assert values["gpu.slowdowns"] == (expected, expected)


def test_slowdowns_by_their_older_name(look):
    """Drivers before 535 know the function under another name."""
    change = """
        nvmlDeviceGetCurrentClocksEventReasons = function_not_found
        def nvmlDeviceGetCurrentClocksThrottleReasons(handle): return 0x40
    """

    assert look(change)["gpu.slowdowns"] == ("heat", "heat")


@pytest.mark.parametrize(("mode", "expected"), [(0, "default"), (1, "exclusive"), (2, "prohibited"), (3, "exclusive")])
def test_compute_modes(look, mode, expected):
    """Compute modes have names; the exclusive mode of old drivers counts as the one of today."""
    values = look(f"def nvmlDeviceGetComputeMode(handle): return {mode}")

    assert values["gpu.compute_modes"] == (expected, expected)


@pytest.mark.parametrize(
    ("rows", "pages", "expected"),
    [
        ("(0, 0, 0, 0)", "0", "none"),
        ("(3, 0, 0, 0)", "0", "none"),
        ("(0, 1, 1, 0)", "0", "pending"),
        ("(0, 8, 1, 1)", "0", "failed"),
        ("not_supported()", "1", "pending"),
        ("not_supported()", "0", "none"),
    ],
)
def test_repairs_of_memory(look, rows, pages, expected):
    """Rows that were remapped are mended; one that waits for a reset, or cannot be mended, is not."""
    change = f"""
        def nvmlDeviceGetRemappedRows(handle): return {rows}
        def nvmlDeviceGetRetiredPagesPendingStatus(handle): return {pages}
        def nvmlDeviceGetTotalEccErrors(handle, kind, counter): return 7
    """
    values = look(change)

    assert values["gpu.memory_repairs"] == (expected, expected)
    assert values["gpu.memory_errors"] == (7, 7)


@pytest.mark.parametrize(("status", "expected"), [(0, True), (1, False), (2, False), (5, False)])
def test_peers(look, status, expected):
    """GPUs are peers when the driver says that one may read the memory of another."""
    assert look(f"def nvmlDeviceGetP2PStatus(one, other, index): return {status}")["gpu.peers"] is expected


def test_one_gpu_has_no_peers(look):
    """With one GPU there is nothing to ask."""
    change = """
        def nvmlDeviceGetCount(): return 1
        def nvmlDeviceGetP2PStatus(one, other, index): raise SystemExit(9)
    """

    assert look(change)["gpu.peers"] is None


def test_own_processes_are_not_counted(look_by_a_child):
    """What the doctor itself has on a GPU is no other process: the child in the examined interpreter may be there."""
    change = f"def nvmlDeviceGetComputeRunningProcesses(handle): return [Process({os.getpid()}), Process(4242)]"

    assert look_by_a_child(change)["gpu.processes"] == (1, 1)


@pytest.mark.parametrize(("model", "expected"), [(0, "wddm"), (1, "tcc"), (2, "mcdm")])
def test_driver_models(look, monkeypatch, model, expected):
    """On Windows the driver says whether it runs a GPU as a display."""
    look(f"def nvmlDeviceGetDriverModel(handle): return [{model}, {model}]")
    monkeypatch.setattr(sys, "platform", "win32")

    assert [gpu["driver_models"] for gpu in nvml.ask()["gpus"]] == [expected, expected]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("import os\ndef nvmlInit(): os._exit(5)", "the NVIDIA management library ended with exit code 5"),
        ("def nvmlDeviceGetCount(): return 1 / 0", "the NVIDIA management library ended with exit code 1"),
        ("def nvmlInit():\n    while True: pass", "the NVIDIA management library did not answer in time"),
        (
            "def nvmlDeviceGetMigMode(handle):\n    while True: pass",
            "the NVIDIA management library did not answer in time",
        ),
    ],
)
def test_library_that_breaks_costs_an_unknown(look_by_a_child, change, reason):
    """A library that takes its process down, or does not answer, leaves the GPUs unknown and the doctor alive."""
    begun = time.monotonic()
    values = look_by_a_child(change, timeout=0.3 if "while" in change else 30.0, CUDA_VISIBLE_DEVICES="0")

    assert time.monotonic() - begun < 10
    assert {name: values.pop(name) for name in UNSET} == {**UNSET, "gpu.visible": "0"}
    assert set(values) == set(NO_DRIVER)
    assert set(values.values()) == {Unknown(reason)}


def test_noise_of_the_library_harms_nothing(look_by_a_child):
    """What the library prints is not taken for an answer."""
    values = look_by_a_child("import os\ndef nvmlInit(): os.write(1, b'\\xff\\x00noise\\n' * 10_000)")

    assert values["gpu.count"] == 2


def test_files_of_the_working_folder_are_not_run(look_by_a_child, tmp_path, monkeypatch):
    """A folder that the doctor is called in may hold modules with any name; none of them is imported."""
    for name in ("json", "psutil", "typing", "subprocess", "signal"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w')\nraise SystemExit(9)\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    values = look_by_a_child()

    assert not (tmp_path / "ran").exists()
    assert values["gpu.count"] == 2


@pytest.mark.parametrize(("made", "expected"), [((), False), (("control",), True), (("log",), False)])
def test_multi_process_service(tmp_path, monkeypatch, made, expected):
    """NVIDIA's multi-process service is there when the pipe of its daemon is."""
    monkeypatch.setattr(sys, "platform", "linux")
    for name in made:
        (tmp_path / name).touch()

    assert nvml._has_shared_service({"CUDA_MPS_PIPE_DIRECTORY": str(tmp_path)}) is expected


def test_multi_process_service_is_one_of_linux(monkeypatch):
    """Elsewhere there is no such service."""
    monkeypatch.setattr(sys, "platform", "win32")

    assert nvml._has_shared_service({}) is None
