"""Facts that follow from other facts: pure functions, each registered under the name of its fact.

A rule names the facts it reads; when one of them is unknown, so is the result, with the same reason. A rule marked
``tolerant`` is handed the unknowns and decides for itself. Rules run in the order of this file.
"""

from __future__ import annotations

import math
import ntpath
import posixpath
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from nnunet_doctor.facts.base import Detail, Observed, Unknown
from nnunet_doctor.facts.record import Facts
from nnunet_doctor.facts.tables import is_newer_than_known, newest, row_for, table

if TYPE_CHECKING:
    from packaging.version import Version

Rule = Callable[..., Any]
F = TypeVar("F", bound=Rule)

GIB = 1024**3


class _Registered(NamedTuple):
    name: str
    inputs: tuple[str, ...]
    tolerant: bool
    rule: Rule


_RULES: dict[str, _Registered] = {}


def _rule(name: str, *inputs: str, tolerant: bool = False) -> Callable[[F], F]:
    def register(function: F) -> F:
        _RULES[name] = _Registered(name, inputs, tolerant, function)
        return function

    return register


def derive(facts: Facts, names: Collection[str] | None = None) -> Facts:
    """Return the facts with every derived one computed anew from the observed ones.

    Args:
        facts: What was observed.
        names: The derived facts to compute, with those that they follow from; all of them unless given.
    """
    found: dict[str, Observed] = {}
    for name, rule in _RULES.items():
        if names is not None and name not in names:
            continue
        values = [found[given] if given in found else facts[given] for given in rule.inputs]
        unknown = next((value for value in values if isinstance(value, Unknown)), None)
        found[name] = _apply(rule, values) if rule.tolerant or unknown is None else unknown
    return facts.with_values(found, {name: "follows from " + ", ".join(_RULES[name].inputs) for name in found})


def _apply(rule: _Registered, values: list[Observed]) -> Observed:
    """Apply a rule; facts that nobody foresaw, as a file may hold them, make the result unknown and end nothing."""
    try:
        value: Observed = rule.rule(*values)
    except (ValueError, LookupError, ArithmeticError) as error:
        return Unknown(f"it does not follow from {', '.join(rule.inputs)}: {error}")
    return value


def inputs_of(name: str) -> tuple[str, ...]:
    """Return the facts that a derived fact reads; empty for an observed one."""
    return _RULES[name].inputs if name in _RULES else ()


def with_inputs(names: Iterable[str]) -> frozenset[str]:
    """Return facts together with all that they follow from, the inputs of their inputs included."""
    found: set[str] = set()
    rest = list(names)
    while rest:
        name = rest.pop()
        if name not in found:
            found.add(name)
            rest += inputs_of(name)
    return frozenset(found)


def _public(version: str) -> Version | None:
    from packaging.version import InvalidVersion, Version

    try:
        return Version(Version(version).public)
    except InvalidVersion:
        return None


def _in(version: str, wanted: str) -> bool | Unknown:
    public = _public(version)
    if public is None:
        return Unknown(f"{version!r} is not a version")
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(wanted).contains(public, prereleases=True)
    except InvalidSpecifier:
        return Unknown(f"{wanted!r} is not a version range")


# --- platform ------------------------------------------------------------------------------------------------------


@_rule("platform.wsl2_ready", "platform.wsl_distributions")
def wsl2_ready(distributions: Sequence[str] | None) -> bool | None:
    """A distribution is listed as NAME:2 when it runs under WSL2."""
    if distributions is None:
        return None
    return any(item.endswith(":2") and not item.startswith(_NOT_FOR_PEOPLE) for item in distributions)


_NOT_FOR_PEOPLE = ("docker-desktop", "rancher-desktop", "podman-machine")
"""Distributions that programs install for themselves; nothing can be installed in them."""


@_rule("resources.cpus_note", "resources.cpus", "resources.cpus_machine", "resources.cpus_limited_by")
def cpus_note(cpus: int, machine: int, limited_by: str | None) -> str:
    return f"{cpus} of {machine} ({limited_by})" if limited_by else str(cpus)


# --- GPUs ----------------------------------------------------------------------------------------------------------


@_rule("gpu.all_hidden", "gpu.count", "gpu.visible")
def all_hidden(count: int, visible: str | None) -> bool:
    """CUDA stops reading the list at the first entry that names no GPU (CUDA programming guide)."""
    if count == 0 or visible is None:
        return False
    first = visible.split(",")[0].strip()
    if first.startswith(("GPU-", "MIG-")):
        return False
    return not first.isdigit() or int(first) >= count


@_rule(
    "gpu.seen",
    "torch.device_names",
    "torch.device_capabilities",
    "gpu.names",
    "gpu.capabilities",
    "training.num_gpus",
    tolerant=True,
)
def seen_gpus(
    torch_names: Sequence[str] | Unknown,
    torch_capabilities: Sequence[str] | Unknown,
    names: Sequence[str] | Unknown,
    capabilities: Sequence[str] | Unknown,
    wanted: int | Unknown,
) -> tuple[str, ...] | Unknown:
    """Believe torch, whose first devices nnU-Net takes; where it sees none, the driver's GPUs may say why."""
    if not isinstance(torch_names, Unknown) and isinstance(wanted, int):
        torch_names = torch_names[:wanted]
    if isinstance(torch_names, Unknown) or isinstance(torch_capabilities, Unknown) or not torch_names:
        torch_names, torch_capabilities = names, capabilities
    if isinstance(torch_names, Unknown):
        return torch_names
    if isinstance(torch_capabilities, Unknown):
        return torch_capabilities
    return tuple(f"{name} ({capability})" for name, capability in zip(torch_names, torch_capabilities, strict=False))


@_rule("gpu.oldest_capability", "gpu.seen")
def oldest_capability(seen: Sequence[str]) -> str | None:
    return min((_capability_of(gpu) for gpu in seen), key=_capability, default=None)


def _capability_of(gpu: str) -> str:
    """Return 8.6 of ``NAME (8.6)``."""
    return gpu.rpartition("(")[2].rstrip(")")


@_rule("gpu.description", "gpu.names", "gpu.memory_gib")
def describe_gpus(names: Sequence[str], memory_gib: Sequence[float]) -> str:
    if not names:
        return "no NVIDIA GPU"
    return ", ".join(f"{name} ({memory:.0f} GiB)" for name, memory in zip(names, memory_gib, strict=False))


def _capability(text: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    return int(major), int(minor or 0)


# --- Python --------------------------------------------------------------------------------------------------------


@_rule("python.supported", "python.version", "nnunet.version", "nnunet.requires_python")
def python_supported(python: str, nnunet: str | None, requires: str | None) -> bool | Unknown:
    wanted = (requires or "") if nnunet else str(table("nnunet")["release"][-1]["python"])
    return _in(python, wanted)


@_rule("python.newest_nnunet", "python.version")
def newest_nnunet_for(python: str) -> str | Unknown:
    for row in reversed(table("nnunet")["release"]):
        if _in(python, row["python"]) is True:
            return str(row["version"])
    return Unknown(f"no known release of nnU-Net accepts Python {python}")


# --- nnU-Net -------------------------------------------------------------------------------------------------------


@_rule("nnunet.newest_known")
def newest_known() -> str:
    return newest("nnunet")


@_rule("nnunet.behaves_as", "nnunet.version")
def behaves_as(version: str | None) -> str | None | Unknown:
    if version is None:
        return None
    row = row_for("nnunet", version)
    return str(row["version"]) if row else Unknown(f"nnU-Net {version} is not in the table of releases")


@_rule("nnunet.newer_than_known", "nnunet.version")
def newer_than_known(version: str | None) -> bool:
    return version is not None and is_newer_than_known("nnunet", version)


@_rule("nnunet.outdated", "nnunet.version")
def outdated(version: str | None) -> bool | Unknown:
    if version is None:
        return False
    return _in(version, f"<{newest('nnunet')}")


@_rule("nnunet.torch_wanted", "nnunet.behaves_as")
def torch_wanted(release: str | None) -> str | None:
    return None if release is None else str(_release(release)["torch"])


@_rule("nnunet.torch_requirement", "nnunet.torch_wanted")
def torch_requirement(wanted: str | None) -> str:
    """2.9 is left out for every release: its 3D convolutions are several times slower (pytorch/pytorch#166122)."""
    return f"torch{wanted or _release(newest('nnunet'))['torch']},!=2.9.*"


@_rule("nnunet.torch_fits", "torch.version", "nnunet.torch_wanted")
def torch_fits(torch: str | None, wanted: str | None) -> bool | None | Unknown:
    return None if torch is None or wanted is None else _in(torch, wanted)


@_rule("nnunet.torch_excluded", "torch.version", "nnunet.requires_torch")
def torch_excluded(torch: str | None, bound: str | None) -> bool | None | Unknown:
    if torch is None or bound is None:
        return None
    inside = _in(torch, bound)
    return inside if isinstance(inside, Unknown) else not inside


@_rule("nnunet.bad_numbers", "nnunet.workers_variable", "nnunet.processes_variable")
def bad_numbers(workers: str | None, processes: str | None) -> tuple[Detail, ...]:
    """Both go through int() when nnU-Net starts; a negative worker count hangs, 0 processes fails at the end."""
    least = {"nnUNet_n_proc_DA": 0, "nnUNet_def_n_proc": 1}
    values = {"nnUNet_n_proc_DA": workers, "nnUNet_def_n_proc": processes}
    return tuple(
        Detail(name, value)
        for name, value in values.items()
        if value is not None and _whole(value, least[name]) is None
    )


def _whole(text: str, least: int) -> int | None:
    try:
        number = int(text)
    except ValueError:
        return None
    return number if number >= least else None


def _release(version: str) -> dict[str, Any]:
    row = row_for("nnunet", version)
    if row is None:
        raise LookupError(version)
    return row


# --- torch and Triton ----------------------------------------------------------------------------------------------


@_rule("torch.release", "torch.version")
def torch_release(version: str | None) -> str | None | Unknown:
    if version is None:
        return None
    public = _public(version)
    return Unknown(f"{version!r} is not a version") if public is None else str(public)


@_rule("torch.newest_known")
def newest_known_torch() -> str:
    return newest("torch")


@_rule("torch.newer_than_known", "torch.version")
def torch_newer_than_known(version: str | None) -> bool:
    return version is not None and is_newer_than_known("torch", version)


@_rule("torch.driver_minimum", "torch.cuda_build", "platform.os", "platform.wsl")
def driver_minimum(cuda: str | None, system: str, wsl: int | None) -> str | None | Unknown:
    """Inside WSL2 the driver is that of Windows, with its numbers."""
    if cuda is None:
        return None
    for row in table("torch")["driver"]:
        if str(row["cuda"]) == cuda.split(".")[0]:
            return str(row["windows" if system == "windows" or wsl == 2 else "linux"])
    return Unknown(f"the driver that CUDA {cuda} needs is not in the table")


@_rule("torch.driver_fits", "gpu.driver", "torch.driver_minimum")
def driver_fits(driver: str | None, minimum: str | None) -> bool | None | Unknown:
    return None if driver is None or minimum is None else _in(driver, f">={minimum}")


@_rule(
    "torch.gpus_without_kernels",
    "torch.version",
    "torch.cuda_build",
    "torch.arch_list",
    "platform.os",
    "gpu.seen",
    tolerant=True,
)
def gpus_without_kernels(
    version: str | None | Unknown,
    cuda: str | None | Unknown,
    arch_list: Sequence[str] | None | Unknown,
    system: str | Unknown,
    seen: Sequence[str] | Unknown,
) -> tuple[str, ...] | None | Unknown:
    """Apply torch's rule: code for X.Y runs on X.Z with Z >= Y, PTX on everything newer (torch.cuda._check_cubins)."""
    for needed in (version, cuda, system):
        if isinstance(needed, Unknown):
            return needed
    if isinstance(seen, Unknown):
        return seen
    if cuda is None or not seen:
        return None
    code = _code_from_torch(arch_list) if not isinstance(arch_list, Unknown) else None
    code = code or _code_from_table(str(version), str(cuda), str(system))
    if code is None:
        return Unknown(f"the GPUs that torch {version} has code for are not in the table")
    return tuple(gpu for gpu in seen if not _runs(_capability(_capability_of(gpu)), *code))


_Code = tuple[list[tuple[int, int]], list[tuple[int, int]]]


def _code_from_torch(arch_list: Sequence[str] | None) -> _Code | None:
    """Split ``sm_86`` (code) from ``compute_90`` (PTX)."""
    if not arch_list:
        return None
    code: _Code = ([], [])
    for item in arch_list:
        kind, _, number = item.partition("_")
        digits = number.rstrip("abcdefgh")
        if digits.isdigit() and kind in ("sm", "compute"):
            code[kind == "compute"].append((int(digits[:-1]), int(digits[-1])))
    return code


def _code_from_table(version: str, cuda: str, system: str) -> _Code | None:
    for row in table("torch")["code"]:
        if row["cuda"] == cuda and _in(version, row["torch"]) is True:
            windows = system == "windows"
            listed = [_capability(item) for item in row["windows" if windows else "linux"]]
            if not listed:
                return None
            return listed, listed[-1:] if row["linux_ptx"] and not windows else []
    return None


def _runs(gpu: tuple[int, int], binary: list[tuple[int, int]], ptx: list[tuple[int, int]]) -> bool:
    same_major = any(major == gpu[0] and minor <= gpu[1] for major, minor in binary)
    return same_major or any(item <= gpu for item in ptx)


@_rule("torch.gpu_too_new", "torch.gpus_without_kernels", "gpu.oldest_capability")
def gpu_too_new(without: Sequence[str] | None, oldest: str | None) -> bool | None:
    """Blackwell (10.x and 12.x) came after builds that still serve every older family."""
    if not without or oldest is None:
        return None
    return all(_capability(_capability_of(gpu))[0] >= 9 for gpu in without)


@_rule(
    "torch.wanted_index", "gpu.driver", "gpu.capabilities", "platform.os", "platform.wsl", "nnunet.torch_requirement"
)
def wanted_index(
    driver: str | None, capabilities: Sequence[str], system: str, wsl: int | None, requirement: str
) -> str | None:
    if system == "macos":
        return None
    if driver is None or not capabilities:
        return "cpu"
    for row in table("torch")["index"]:
        minimum = driver_minimum(f"{row['cuda']}.0", system, wsl)
        code = [_capability(item) for item in row["capabilities"]]
        gpus_run = all(_runs(_capability(item), code, []) for item in capabilities)
        if _in(driver, f">={minimum}") is True and gpus_run and _some_release_in(row["torch"], requirement):
            return str(row["label"])
    return None


def _some_release_in(published: str, requirement: str) -> bool:
    """Say whether an index has a release of torch that a requirement such as ``torch>=2.1,<2.7`` allows."""
    wanted = f"{published},{requirement.removeprefix('torch')}"
    return any(_in(row["version"], wanted) is True for row in table("torch")["release"])


@_rule(
    "torch.cuda_usable",
    "torch.cuda_available",
    "torch.build",
    "gpu.count",
    "gpu.all_hidden",
    "torch.installed",
    tolerant=True,
)
def cuda_usable(
    available: bool | Unknown,
    build: str | None | Unknown,
    gpus: int | Unknown,
    hidden: bool | Unknown,
    installed: bool | Unknown,
) -> bool | Unknown:
    """Believe torch; where it was not asked, a build without CUDA or a machine without a visible GPU settles it."""
    if not isinstance(available, Unknown):
        return available
    if build in ("cpu", "xpu") or installed is False:
        return False
    if build == "cuda" and (gpus == 0 or hidden is True):
        return False
    return available


@_rule("torch.cuda_proven", "torch.cuda_available", tolerant=True)
def cuda_proven(available: bool | Unknown) -> bool:
    return available is True


@_rule("triton.wanted", "torch.version", "torch.build", "python.version", "platform.os", "platform.arch")
def triton_wanted(torch: str | None, build: str | None, python: str, system: str, arch: str) -> str | None:
    """Look up the release that this torch asks for (Linux) or that triton-windows offers for it."""
    if torch is None or build != "cuda" or system not in ("linux", "windows"):
        return None
    row = row_for("torch", torch)
    if row is None:
        return None
    if system == "windows":
        return f"{row['triton_windows']}.*" if row["triton_windows"] else None
    serves_python = _in(python, row["triton_python"]) is True
    serves_arch = arch == "x86_64" or _in(torch, ">=2.11") is True
    return str(row["triton"]) if serves_python and serves_arch else None


@_rule("triton.wanted_package", "triton.wanted", "platform.os")
def triton_wanted_package(wanted: str | None, system: str) -> str | None:
    return None if wanted is None else "triton-windows" if system == "windows" else "triton"


@_rule("triton.fits", "triton.version", "triton.wanted")
def triton_fits(version: str | None, wanted: str | None) -> bool | None | Unknown:
    return None if version is None or wanted is None else _in(version, f"=={wanted}")


# --- the training that is asked for --------------------------------------------------------------------------------


@_rule("dataset.named", "dataset.requested")
def dataset_named(requested: str | None) -> bool:
    return requested is not None


@_rule("dataset.ambiguous", "dataset.resolution", "dataset.matches")
def ambiguous(resolution: str | None, matches: tuple[Detail, ...] | None) -> tuple[Detail, ...] | None:
    return matches if resolution == "ambiguous" else None


@_rule("dataset.convert_argument", "dataset.layout", "dataset.folder")
def convert_argument(layout: str | None, folder: str | None) -> str | None:
    return folder if layout in ("decathlon", "nnunet-v1") else None


@_rule("training.planned", "training.configuration")
def planned(configuration: str | None) -> bool:
    return configuration is not None


@_rule("dataset.raw_matters", "training.planned", "preprocessed.plans_state", "preprocessed.data_format")
def raw_matters(planned: bool, plans: str | None, stored: str | None) -> bool:
    """Training reads preprocessed data only (run_training.get_trainer_from_args)."""
    return not (planned and plans == "ok" and stored in ("npz", "b2nd"))


@_rule(
    "training.device",
    "training.device_request",
    "torch.cuda_usable",
    "torch.mps_available",
    "platform.os",
    tolerant=True,
)
def device(request: str | Unknown, cuda: bool | Unknown, mps: bool | Unknown, system: str | Unknown) -> str | Unknown:
    if isinstance(request, Unknown) or request != "auto":
        return request
    if isinstance(cuda, Unknown):
        return cuda
    if cuda:
        return "cuda"
    if system != "macos":
        return "cpu"
    return mps if isinstance(mps, Unknown) else "mps" if mps else "cpu"


@_rule("training.device_usable", "training.device", "torch.cuda_usable", "torch.mps_available", tolerant=True)
def device_usable(device: str | Unknown, cuda: bool | Unknown, mps: bool | Unknown) -> bool | Unknown:
    if isinstance(device, Unknown):
        return device
    usable: dict[str, bool | Unknown] = {"cpu": True, "cuda": cuda, "mps": mps}
    return usable.get(device, False)


_DEFAULT_DEVICE = ("training.device_request", "training.device", "training.planned", "gpu.count")


@_rule("training.device_left_to_default", *_DEFAULT_DEVICE, tolerant=True)
def device_left_to_default(
    request: str | Unknown, device: str | Unknown, planned: bool | Unknown, gpus: int | Unknown
) -> bool | Unknown:
    """nnUNetv2_train takes cuda unless -device says otherwise (run_training_entry)."""
    if isinstance(gpus, Unknown):
        return gpus
    return False if gpus > 0 else _falls_to_default(request, device, planned)


@_rule("training.gpu_out_of_reach", *_DEFAULT_DEVICE, tolerant=True)
def gpu_out_of_reach(
    request: str | Unknown, device: str | Unknown, planned: bool | Unknown, gpus: int | Unknown
) -> bool | Unknown:
    """Nobody who has a GPU, its driver silent or not, and says nothing means to train on the CPU for weeks."""
    return False if gpus == 0 else _falls_to_default(request, device, planned)


def _falls_to_default(request: str | Unknown, device: str | Unknown, planned: bool | Unknown) -> bool | Unknown:
    """Say whether a training is planned that names no device, and whose device is not the default."""
    if planned is False or (isinstance(request, str) and request != "auto"):
        return False
    for needed in (planned, request):
        if isinstance(needed, Unknown):
            return needed
    return device if isinstance(device, Unknown) else device != "cuda"


@_rule("training.is_trial", "training.trainer")
def is_trial(trainer: str) -> bool:
    """nnUNetTrainer_Xepochs.py and the benchmark trainers; 20 epochs are the longest of them."""
    found = re.search(r"_(\d+)epochs?(?:_|$)", trainer)
    return found is not None and int(found.group(1)) <= 20


@_rule("training.cuda_in_vain", "training.device", "torch.build", "torch.cuda_usable")
def cuda_in_vain(device: str, build: str | None, usable: bool) -> bool:
    return device == "cuda" and build == "cuda" and not usable


@_rule("training.on_mps", "training.device_request", "training.device", "platform.os", tolerant=True)
def on_mps(request: str | Unknown, device: str | Unknown, system: str | Unknown) -> bool | Unknown:
    if request == "auto" and system in ("linux", "windows"):
        return False
    return device if isinstance(device, Unknown) else device == "mps"


@_rule("training.is_3d", "training.configuration", "preprocessed.patch_size")
def is_3d(configuration: str | None, patch_size: Sequence[int] | None) -> bool:
    if patch_size is not None:
        return len(patch_size) == 3
    return configuration is not None and configuration.startswith("3d")


@_rule("training.uses_variants", "training.trainer", "nnunet.behaves_as")
def uses_variants(trainer: str, release: str | None) -> bool | Unknown:
    """From 2.6.2 on, the search for another trainer imports the Primus trainers, and with them timm and torchvision."""
    if release is None or trainer == "nnUNetTrainer":
        return False
    return _in(release, ">=2.6.2")


@_rule(
    "training.compiles", "nnunet.behaves_as", "platform.os", "training.device", "nnunet.compile_variable", tolerant=True
)
def compiles(
    release: str | None | Unknown, system: str | Unknown, device: str | Unknown, variable: str | None | Unknown
) -> bool | Unknown:
    """Take the decision that nnU-Net takes (nnUNetTrainer._do_i_compile and initialize, per release)."""
    if isinstance(release, Unknown):
        return release
    if isinstance(variable, Unknown):
        return variable
    if release is None:
        return False
    mode = _release(release)["compile"]
    asked = variable is not None and _is_true(variable)
    if mode == "never" or (variable is not None and not asked):
        return False
    if mode == "asked":
        return asked
    if mode == "everywhere":
        return True
    if isinstance(system, Unknown):
        return system
    if isinstance(device, Unknown):
        return device
    return device == "cuda" and system != "windows"


def _is_true(variable: str) -> bool:
    """Read nnUNet_compile as every release does: only these words mean on, in any case and without blanks."""
    return variable.lower() in ("true", "1", "t")


@_rule("training.compiles_for_cuda", "training.compiles", "training.device", "torch.build")
def compiles_for_cuda(compiles: bool, device: str, build: str | None) -> bool:
    return compiles and device == "cuda" and build == "cuda"


@_rule("training.compiles_late", "training.compiles", "nnunet.behaves_as", "nnunet.compile_variable", tolerant=True)
def compiles_late(
    compiles: bool | Unknown, release: str | None | Unknown, variable: str | None | Unknown
) -> bool | Unknown:
    """The predictor of the final validation has its own test, which asks for neither device nor system (2.5.1 on)."""
    if variable is None or release is None or (isinstance(variable, str) and not _is_true(variable)):
        return False
    for needed in (variable, release):
        if isinstance(needed, Unknown):
            return needed
    if isinstance(compiles, Unknown):
        return compiles
    return not compiles and _release(str(release))["compile"] == "cuda-not-windows"


@_rule(
    "training.compiles_late_in_vain",
    "training.compiles_late",
    "training.device",
    "triton.importable",
    "triton.cpp_compiler",
    tolerant=True,
)
def compiles_late_in_vain(
    late: bool | Unknown, device: str | Unknown, triton: bool | Unknown, compiler: str | None | Unknown
) -> bool | Unknown:
    """On CUDA it takes Triton, on the CPU a C++ compiler; on MPS it does not work for nnU-Net."""
    if isinstance(late, Unknown) or not late:
        return late
    if isinstance(device, Unknown):
        return device
    if device == "cuda":
        return triton if isinstance(triton, Unknown) else not triton
    if device == "cpu":
        return compiler if isinstance(compiler, Unknown) else compiler is None
    return True


@_rule("training.compile_python_newest", "torch.version")
def compile_python_newest(torch: str | None) -> str | None | Unknown:
    row = row_for("torch", torch) if torch else None
    if row is None:
        return None if torch is None else Unknown(f"torch {torch} is not in the table of releases")
    return str(row["compile_python"])


@_rule("training.compile_python_fits", "python.version", "training.compile_python_newest")
def compile_python_fits(python: str, newest_python: str | None) -> bool | None | Unknown:
    if newest_python is None:
        return None
    major, _, minor = newest_python.partition(".")
    return _in(python, f"<{major}.{int(minor) + 1}.dev0")


@_rule("training.gpu_compilable", "gpu.oldest_capability")
def gpu_compilable(oldest: str | None) -> bool | None:
    """Torch refuses Triton below compute capability 7.0 (torch._inductor, GPUTooOldForTriton)."""
    return None if oldest is None else _capability(oldest) >= (7, 0)


# --- workers and what they take ------------------------------------------------------------------------------------

DEFAULT_WORKERS = 12
"""nnunetv2/utilities/default_n_proc_DA.py, for every host that is not one of its authors'."""

TYPICAL_PATCH, TYPICAL_BATCH = (128, 128, 128), 2
"""A common 3d_fullres plan, assumed while no plan is known."""

WORKER_GIB = {"linux": 0.5, "macos": 0.8, "windows": 1.5}
"""Private memory of one worker: forked on Linux; elsewhere it starts anew and imports torch with its libraries."""

MAIN_GIB = {"cuda": 3.5, "mps": 3.5, "cpu": 4.0}
"""Memory of the main process: torch and its device libraries; on CPU the network and its activations too."""


@_rule("training.workers", "nnunet.workers_variable", "resources.cpus_machine")
def workers(variable: str | None, cpus: int) -> int | Unknown:
    """min(nnUNet_n_proc_DA or 12, os.cpu_count()) (default_n_proc_DA.get_allowed_n_proc_DA)."""
    wanted = DEFAULT_WORKERS if variable is None else _whole(variable, 0)
    return Unknown(f"nnUNet_n_proc_DA is {variable!r}, which is not a number") if wanted is None else min(wanted, cpus)


@_rule("training.worker_processes", "training.workers")
def worker_processes(workers: int) -> int:
    """Validation gets max(1, n // 2) workers beside the n of training (nnUNetTrainer.get_dataloaders)."""
    return 0 if workers == 0 else workers + max(1, workers // 2)


def batches_in_flight(workers: int) -> int:
    """Count the batches that both loaders keep: num_processes + num_cached each (nnUNetTrainer.get_dataloaders)."""
    if workers == 0:
        return 0
    return workers + max(6, workers // 2) + max(1, workers // 2) + max(3, workers // 4)


def batch_gib(patch: Sequence[int] | None, batch: int | None, channels: int | None) -> float:
    """Size of one batch: float32 images, and int16 labels at every resolution of deep supervision (8/7 of one)."""
    voxels = math.prod(patch or TYPICAL_PATCH) * (batch or TYPICAL_BATCH)
    return voxels * (4 * (channels or 1) + 2 * 8 / 7) / GIB


def memory_gib(workers: int, system: str, device: str, one_batch_gib: float) -> float:
    """Estimate the memory of a training: main process, workers, and the batches they hold."""
    processes = worker_processes(workers)
    return (
        MAIN_GIB.get(device, 4.0) + processes * WORKER_GIB.get(system, 1.0) + batches_in_flight(workers) * one_batch_gib
    )


_PLAN = ("preprocessed.patch_size", "preprocessed.batch_size", "preprocessed.channels")


@_rule("training.memory_needed_gib", "training.workers", "platform.os", "training.device", *_PLAN, tolerant=True)
def memory_needed(
    workers: int | Unknown,
    system: str | Unknown,
    device: str | Unknown,
    patch: Sequence[int] | None | Unknown,
    batch: int | None | Unknown,
    channels: int | None | Unknown,
) -> float | Unknown:
    """The dearest device is assumed while it is not known."""
    if isinstance(workers, Unknown):
        return workers
    if isinstance(system, Unknown):
        return system
    one_batch = batch_gib(_or_none(patch), _or_none(batch), _or_none(channels))
    return round(memory_gib(workers, system, _or_none(device) or "cpu", one_batch), 1)


@_rule("training.shm_needed_gib", "training.workers", "platform.os", *_PLAN)
def shm_needed(
    workers: int, system: str, patch: Sequence[int] | None, batch: int | None, channels: int | None
) -> float | None:
    """Batches travel from the workers through /dev/shm as torch tensors."""
    return round(batches_in_flight(workers) * batch_gib(patch, batch, channels), 3) if system == "linux" else None


PREDICTIONS_IN_FLIGHT = 3
"""One that is written and two in the queue (nnUNetTrainer.perform_actual_validation, check_workers_alive_and_busy)."""


@_rule("training.shm_validation_gib", "platform.os", "preprocessed.image_size", "preprocessed.labels")
def shm_validation(system: str, image: Sequence[int] | None, labels: int | None) -> float | None:
    """Predictions go to the export processes through /dev/shm: one float16 value for each label and voxel."""
    if system != "linux" or image is None or labels is None:
        return None
    return round(PREDICTIONS_IN_FLIGHT * labels * math.prod(image) * 2 / GIB, 3)


@_rule("training.over_shm_validation", "training.shm_validation_gib", "resources.shm_free_gib")
def over_shm_validation(needed: float | None, free: float | None) -> bool | None:
    return over_shm(needed, free)


@_rule("training.over_cpus", "training.workers", "resources.cpus")
def over_cpus(workers: int, cpus: int) -> bool:
    return workers > cpus


@_rule("training.over_memory", "training.memory_needed_gib", "resources.memory_available_gib")
def over_memory(needed: float, available: float) -> bool:
    return needed > available


@_rule("training.over_shm", "training.shm_needed_gib", "resources.shm_free_gib")
def over_shm(needed: float | None, free: float | None) -> bool | None:
    return None if needed is None or free is None else needed > free


@_rule(
    "training.safe_workers",
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
    """Find the most workers that every known limit allows; a limit that is unknown does not limit.

    Up to 2.2.1, nnU-Net without workers fails after the last epoch (SingleThreadedAugmenter has no ``_finish``), so
    one is the least there.
    """
    if isinstance(cpus, Unknown):
        return cpus
    one_batch = batch_gib(_or_none(patch), _or_none(batch), _or_none(channels))
    old = not isinstance(release, Unknown) and release is not None and _in(release, "<2.3") is True
    least = 1 if old else 0
    most = min(DEFAULT_WORKERS, cpus, cpus if isinstance(machine, Unknown) else machine)
    for count in range(most, least, -1):
        fits_memory = (
            isinstance(memory, Unknown)
            or memory_gib(count, _or_none(system) or "", _or_none(device) or "cpu", one_batch) <= memory
        )
        fits_shm = shm is None or isinstance(shm, Unknown) or batches_in_flight(count) * one_batch <= shm
        if fits_memory and fits_shm:
            return count
    return least


DEFAULT_PROCESSES = 8
"""nnunetv2/configuration.py, default_num_processes."""

PROCESS_GIB = 0.7
"""Memory of one export process: it is spawned on every system and imports torch anew."""


@_rule("training.processes", "nnunet.processes_variable")
def processes(variable: str | None) -> int | Unknown:
    wanted = DEFAULT_PROCESSES if variable is None else _whole(variable, 1)
    return Unknown(f"nnUNet_def_n_proc is {variable!r}, which is not a number above 0") if wanted is None else wanted


@_rule("training.safe_processes", "resources.cpus", "resources.memory_available_gib")
def safe_processes(cpus: int, memory: float) -> int:
    room = int((memory - max(MAIN_GIB.values())) / PROCESS_GIB)
    return max(1, min(DEFAULT_PROCESSES, cpus, room))


@_rule("training.over_processes", "training.processes", "training.safe_processes")
def over_processes(processes: int, safe: int) -> bool:
    """The estimate is rough: one process more or less proves nothing."""
    return processes > safe + 1


T = TypeVar("T")


def _or_none(value: T | Unknown) -> T | None:
    return None if isinstance(value, Unknown) else value


# --- what the run would meet ---------------------------------------------------------------------------------------


@_rule("preprocessed.configuration_found", "training.configuration", "preprocessed.configurations")
def configuration_found(wanted: str | None, configurations: Sequence[str] | None) -> bool | None:
    return None if wanted is None or configurations is None else wanted in configurations


@_rule("preprocessed.format_fits", "preprocessed.data_format", "nnunet.behaves_as")
def format_fits(stored: str | None, release: str | None) -> bool | None:
    """2.6.0 and newer read npz and b2nd (infer_dataset_class), older ones read npz only."""
    if release is None or stored not in ("npz", "b2nd"):
        return None
    return stored == "npz" or _release(release)["storage"] == "b2nd"


@_rule("preprocessed.data_lacking", "preprocessed.configuration_found", "preprocessed.data_format")
def data_lacking(found: bool | None, stored: str | None) -> bool:
    return found is True and stored in ("missing", "empty")


@_rule("preprocessed.fold_beyond", "training.fold", "preprocessed.splits")
def fold_beyond(fold: str | None, splits: int | None) -> bool:
    """Without a splits file nnU-Net makes five folds (nnUNetTrainer.do_split)."""
    if fold is None or not fold.lstrip("-").isdigit():
        return False
    return int(fold) < 0 or int(fold) >= (5 if splits is None else splits)


@_rule(
    "training.overwrites_finished", "training.state", "training.continues", "training.validates", "training.overwrites"
)
def overwrites_finished(state: str | None, continues: bool, validates: bool, allowed: bool) -> bool:
    return state == "finished" and not (continues or validates or allowed)


@_rule(
    "training.overwrites_resumable", "training.state", "training.continues", "training.validates", "training.overwrites"
)
def overwrites_resumable(state: str | None, continues: bool, validates: bool, allowed: bool) -> bool:
    return state == "resumable" and not (continues or validates or allowed)


@_rule("training.nothing_to_continue", "training.state", "training.continues")
def nothing_to_continue(state: str | None, continues: bool) -> bool:
    return continues and state in ("none", "started")


@_rule("training.nothing_to_validate", "training.state", "training.validates")
def nothing_to_validate(state: str | None, validates: bool) -> bool:
    return validates and state is not None and state != "finished"


# --- the three folders ---------------------------------------------------------------------------------------------

LEAST_FREE_GIB = {"preprocessed": 5.0, "results": 2.0}
"""Below this a training of any size is at risk: preprocessed cases, and checkpoints with their predictions."""

_FOLDERS = ("raw", "preprocessed", "results")


def _variable(folder: str) -> str:
    return f"nnUNet_{folder}"


_VALUES = tuple(f"paths.{folder}" for folder in _FOLDERS)
_KINDS = tuple(f"paths.{folder}_kind" for folder in _FOLDERS)


@_rule("paths.unset", *_VALUES)
def unset(*values: str | None) -> tuple[Detail, ...]:
    """An empty value counts as set for nnU-Net, and its files then go to the working folder."""
    return tuple(
        Detail(_variable(folder), "" if value is None else '""')
        for folder, value in zip(_FOLDERS, values, strict=True)
        if not value
    )


@_rule("paths.missing", *_VALUES, *_KINDS)
def missing(*known: str | None) -> tuple[Detail, ...]:
    return _of_kind("missing", known)


@_rule("paths.not_folders", *_VALUES, *_KINDS)
def not_folders(*known: str | None) -> tuple[Detail, ...]:
    return _of_kind("file", known)


def _of_kind(wanted: str, known: Sequence[str | None]) -> tuple[Detail, ...]:
    values, kinds = known[:3], known[3:]
    return tuple(
        Detail(_variable(folder), value)
        for folder, value, kind in zip(_FOLDERS, values, kinds, strict=True)
        if value and kind == wanted
    )


@_rule(
    "paths.not_writable", "paths.preprocessed", "paths.results", "paths.preprocessed_writable", "paths.results_writable"
)
def not_writable(
    preprocessed: str | None, results: str | None, preprocessed_writable: bool | None, results_writable: bool | None
) -> tuple[Detail, ...]:
    folders = (("preprocessed", preprocessed, preprocessed_writable), ("results", results, results_writable))
    return tuple(Detail(_variable(folder), value) for folder, value, writable in folders if value and writable is False)


@_rule("paths.same", *_VALUES, "paths.raw_real", "paths.preprocessed_real", "paths.results_real")
def same(*known: str | None) -> tuple[Detail, ...]:
    """Two empty values are unset, not the same."""
    real = [path if value else None for value, path in zip(known[:3], known[3:], strict=True)]
    pairs = [(0, 1), (0, 2), (1, 2)]
    return tuple(
        Detail(f"{_variable(_FOLDERS[a])} = {_variable(_FOLDERS[b])}", str(real[a]))
        for a, b in pairs
        if real[a] is not None and real[a] == real[b]
    )


@_rule("paths.awkward", *_VALUES, "platform.os")
def awkward(*known: str | None) -> tuple[Detail, ...]:
    flavour = ntpath if known[3] == "windows" else posixpath
    return tuple(
        Detail(_variable(folder), value)
        for folder, value in zip(_FOLDERS, known[:3], strict=True)
        if value
        and (value != value.strip(" \"'\t") or value.startswith(("~", "=")) or not _is_absolute(value, flavour))
    )


def _is_absolute(value: str, flavour: Any) -> bool:
    drive, rest = flavour.splitdrive(value)
    return bool(flavour.isabs(value)) and (flavour is posixpath or bool(drive) or rest.startswith(("/", "\\")))


@_rule("paths.risky", *_VALUES)
def risky(*values: str | None) -> tuple[Detail, ...]:
    return tuple(
        Detail(_variable(folder), value)
        for folder, value in zip(_FOLDERS, values, strict=True)
        if value and (" " in value.strip() or not value.isascii())
    )


FULL_GIB = 0.25
"""Below this not even a checkpoint can be written."""


@_rule("paths.full", "paths.preprocessed_free_gib", "paths.results_free_gib")
def full(preprocessed: float | None, results: float | None) -> tuple[Detail, ...]:
    return _short_of_space(preprocessed, results, dict.fromkeys(LEAST_FREE_GIB, FULL_GIB))


@_rule("paths.nearly_full", "paths.preprocessed_free_gib", "paths.results_free_gib")
def nearly_full(preprocessed: float | None, results: float | None) -> tuple[Detail, ...]:
    nearly = _short_of_space(preprocessed, results, LEAST_FREE_GIB)
    return tuple(item for item in nearly if item not in full(preprocessed, results))


def _short_of_space(preprocessed: float | None, results: float | None, least: dict[str, float]) -> tuple[Detail, ...]:
    free = {"preprocessed": preprocessed, "results": results}
    return tuple(
        Detail(_variable(folder), f"{gib:.1f} GiB")
        for folder, gib in free.items()
        if gib is not None and gib < least[folder]
    )


@_rule("paths.on_windows_drive", "platform.wsl", *_VALUES, *(f"paths.{folder}_filesystem" for folder in _FOLDERS))
def on_windows_drive(wsl: int | None, *known: str | None) -> tuple[Detail, ...] | None:
    """WSL2 shows Windows drives as 9p or virtiofs, WSL1 as drvfs."""
    if wsl is None:
        return None
    return tuple(
        Detail(_variable(folder), value)
        for folder, value, filesystem in zip(_FOLDERS, known[:3], known[3:], strict=True)
        if value and filesystem in ("9p", "virtiofs", "drvfs", "v9fs")
    )
