"""The NVIDIA driver as its library tells it, with a made-up binding to that library."""

from __future__ import annotations

import textwrap
import time

import pynvml
import pytest

from nnunet_doctor.facts import Unknown
from nnunet_doctor.probes import nvml

BINDING = """
    class NVMLError(Exception): pass
    class NVMLError_LibraryNotFound(NVMLError): pass
    class NVMLError_DriverNotLoaded(NVMLError): pass
    class NVMLError_NotSupported(NVMLError): pass

    class Memory:
        total, free = 24 * 1024**3, 20 * 1024**3

    def nvmlInit(): pass
    def nvmlSystemGetDriverVersion(): return "570.133.20"
    def nvmlSystemGetCudaDriverVersion_v2(): return 12080
    def nvmlDeviceGetCount(): return 2
    def nvmlDeviceGetHandleByIndex(index): return index
    def nvmlDeviceGetName(handle): return [b"NVIDIA GeForce RTX 4090", "NVIDIA A100"][handle]
    def nvmlDeviceGetMemoryInfo(handle): return Memory
    def nvmlDeviceGetCudaComputeCapability(handle): return [(8, 9), (8, 0)][handle]
"""
"""What the doctor asks of pynvml, answered as a driver with two GPUs does."""

NO_DRIVER = {
    "gpu.visible": None,
    "gpu.driver": None,
    "gpu.driver_cuda": None,
    "gpu.driver_error": None,
    "gpu.count": 0,
    "gpu.names": (),
    "gpu.capabilities": (),
    "gpu.memory_gib": (),
    "gpu.free_gib": (),
}


@pytest.fixture
def look(context_of, tmp_path, monkeypatch):
    """Return the facts about GPUs, with a binding that is changed by this code."""
    folder = tmp_path / "binding"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(nvml, "may_have_driver", lambda: True)

    def look(change="", timeout=30.0, **environ):
        code = textwrap.dedent(BINDING) + textwrap.dedent(change)
        (folder / "pynvml.py").write_text(code, encoding="utf-8")
        return nvml.look(context_of(environ, timeout=timeout)).values

    return look


def test_two_gpus(look):
    """A driver with two GPUs gives all facts, in the order of the driver."""
    expected = {
        "gpu.visible": "1",
        "gpu.driver": "570.133.20",
        "gpu.driver_cuda": "12.8",
        "gpu.driver_error": None,
        "gpu.count": 2,
        "gpu.names": ("NVIDIA GeForce RTX 4090", "NVIDIA A100"),
        "gpu.capabilities": ("8.9", "8.0"),
        "gpu.memory_gib": (24.0, 24.0),
        "gpu.free_gib": (20.0, 20.0),
    }

    assert look(CUDA_VISIBLE_DEVICES="1") == expected


@pytest.mark.parametrize("error", ["NVMLError_LibraryNotFound", "NVMLError_DriverNotLoaded"])
def test_no_driver(look, error):
    """A machine without an NVIDIA driver has no GPUs; this is no error."""
    assert look(f"def nvmlInit(): raise {error}('none')") == NO_DRIVER


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
    assert values["gpu.count"] == values["gpu.names"] == values["gpu.driver"]
    assert values["gpu.count"] == Unknown("the NVIDIA driver does not answer: Driver/library version mismatch")


def test_gpu_that_does_not_tell_its_memory(look):
    """A GPU that shares the memory of the machine tells none of its own; the rest is known."""
    values = look("def nvmlDeviceGetMemoryInfo(handle): raise NVMLError_NotSupported('Not Supported')")

    assert (values["gpu.count"], values["gpu.capabilities"]) == (2, ("8.9", "8.0"))
    assert values["gpu.memory_gib"] == values["gpu.free_gib"] == Unknown("the driver does not tell the memory of a GPU")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("import os\ndef nvmlInit(): os._exit(5)", "the NVIDIA management library ended with exit code 5"),
        ("def nvmlDeviceGetCount(): return 1 / 0", "the NVIDIA management library ended with exit code 1"),
        ("def nvmlInit():\n    while True: pass", "the NVIDIA management library did not answer in time"),
    ],
)
def test_library_that_breaks_costs_an_unknown(look, change, reason):
    """A library that takes its process down, or does not answer, leaves the GPUs unknown and the doctor alive."""
    begun = time.monotonic()
    values = look(change, timeout=1.0 if "while" in change else 30.0, CUDA_VISIBLE_DEVICES="0")

    assert time.monotonic() - begun < 10
    assert values.pop("gpu.visible") == "0"
    assert set(values) == set(NO_DRIVER) - {"gpu.visible"}
    assert set(values.values()) == {Unknown(reason)}


def test_noise_of_the_library_harms_nothing(look):
    """What the library prints is not taken for an answer."""
    values = look("import os\ndef nvmlInit(): os.write(1, b'\\xff\\x00noise\\n' * 10_000)")

    assert values["gpu.count"] == 2


def test_files_of_the_working_folder_are_not_run(look, tmp_path, monkeypatch):
    """A folder that the doctor is called in may hold modules with any name; none of them is imported."""
    for name in ("json", "psutil", "typing", "subprocess", "signal"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w')\nraise SystemExit(9)\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    values = look()

    assert not (tmp_path / "ran").exists()
    assert values["gpu.count"] == 2
