"""What builds of torch and Triton can do on this machine."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from nnunet_doctor.facts.base import Detail, Unknown
from nnunet_doctor.facts.derive.rules import capability, capability_of, first_unknown, is_in, or_none, public, rule
from nnunet_doctor.facts.tables import is_newer_than_known, newest, newest_cuda, row_for, table


@rule("torch.release", "torch.version")
def torch_release(version: str | None) -> str | None | Unknown:
    if version is None:
        return None
    plain = public(version)
    return Unknown(f"{version!r} is not a version") if plain is None else str(plain)


@rule("torch.label", "torch.version")
def torch_label(version: str | None) -> str | None:
    found = re.search(r"\+((?:cu|rocm|xpu|cpu)[\d.]*)$", version or "")
    return None if found is None else found.group(1)


@rule("torch.newest_known")
def newest_known_torch() -> str:
    return newest("torch")


@rule("torch.newer_than_known", "torch.version")
def torch_newer_than_known(version: str | None) -> bool:
    return version is not None and is_newer_than_known("torch", version)


@rule("torch.newest_cuda")
def newest_known_cuda() -> str:
    return newest_cuda()


@rule("torch.cuda_newer_than_known", "torch.cuda_build")
def cuda_newer_than_known(cuda: str | None) -> bool | Unknown:
    return False if cuda is None else is_in(cuda, f">{newest_cuda()}")


@rule("torch.driver_minimum", "torch.cuda_build", "platform.os", "platform.wsl")
def driver_minimum(cuda: str | None, system: str, wsl: int | None) -> str | None | Unknown:
    """Inside WSL2 the driver is that of Windows, with its numbers. A newer CUDA asks for no older driver."""
    if cuda is None:
        return None
    fitting = [row for row in table("cuda")["driver"] if int(row["cuda"]) <= capability(cuda)[0]]
    if not fitting:
        return Unknown(f"the driver that CUDA {cuda} needs is not in the table")
    return str(fitting[-1]["windows" if system == "windows" or wsl == 2 else "linux"])


@rule("torch.driver_fits", "gpu.driver", "torch.driver_minimum", "gpu.driver_cuda", "torch.cuda_build", tolerant=True)
def driver_fits(
    driver: str | None | Unknown,
    minimum: str | None | Unknown,
    driver_cuda: str | None | Unknown,
    cuda: str | None | Unknown,
) -> bool | None | Unknown:
    """Images of NVIDIA bring a newer libcuda for older drivers; the driver's library then names its CUDA release."""
    if driver is None or minimum is None:
        return None
    if (unknown := first_unknown(driver, minimum)) is not None:
        return unknown
    if isinstance(driver_cuda, str) and isinstance(cuda, str) and capability(driver_cuda) >= capability(cuda):
        return True
    return is_in(str(driver), f">={minimum}")


@rule(
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
    if (unknown := first_unknown(version, cuda, system)) is not None:
        return unknown
    if isinstance(seen, Unknown):
        return seen
    if cuda is None or not seen:
        return None
    code = _code_from_torch(arch_list) if not isinstance(arch_list, Unknown) else None
    code = code or _code_from_table(str(version), str(cuda), str(system))
    if code is None:
        return Unknown(f"the GPUs that torch {version} has code for are not in the table")
    return tuple(gpu for gpu in seen if not _runs(capability(capability_of(gpu)), *code))


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
    """Read the row of a build; what is newer than the table is taken to run on GPUs that are newer too."""
    rows = table("cuda")["code"]
    newer = is_newer_than_known("torch", version) or is_in(cuda, f">{newest_cuda()}") is True
    for row in rows[-1:] if newer else rows:
        if newer or (row["cuda"] == cuda and is_in(version, row["torch"]) is True):
            windows = system == "windows"
            listed = [capability(item) for item in row["windows" if windows else "linux"]]
            if not listed:
                return None
            return listed, listed[-1:] if newer or (row["linux_ptx"] and not windows) else []
    return None


_EMBEDDED = {(5, 3), (6, 2), (7, 2), (8, 7), (10, 1)}
"""GPUs on a chip (Tegra), which run none of the code that was built for other GPUs of their family."""


def _runs(gpu: tuple[int, int], binary: list[tuple[int, int]], ptx: list[tuple[int, int]]) -> bool:
    if gpu in binary:
        return True
    same_major = gpu not in _EMBEDDED and any(major == gpu[0] and minor <= gpu[1] for major, minor in binary)
    return same_major or any(item <= gpu for item in ptx)


@rule("torch.gpu_too_new", "torch.gpus_without_kernels", "gpu.oldest_capability")
def gpu_too_new(without: Sequence[str] | None, oldest: str | None) -> bool | None:
    """Blackwell (10.x and 12.x) came after builds that still serve every older family."""
    if not without or oldest is None:
        return None
    return all(capability(capability_of(gpu))[0] >= 9 for gpu in without)


@rule(
    "torch.wanted_index",
    "gpu.driver",
    "gpu.capabilities",
    "platform.os",
    "platform.wsl",
    "nnunet.torch_requirement",
    "python.version",
    "platform.glibc",
    "platform.arch",
    tolerant=True,
)
def wanted_index(
    driver: str | None | Unknown,
    capabilities: Sequence[str] | Unknown,
    system: str | Unknown,
    wsl: int | None | Unknown,
    requirement: str | Unknown,
    python: str | Unknown,
    glibc: str | None | Unknown,
    arch: str | Unknown,
) -> str | None | Unknown:
    """Take the first index with builds for everything that is known; what is not known rules nothing out."""
    if (unknown := first_unknown(driver, system, wsl, requirement)) is not None:
        return unknown
    if isinstance(capabilities, Unknown):
        return capabilities
    if system == "macos":
        return None
    if driver is None or not capabilities:
        return "cpu"
    gpus = [capability(item) for item in capabilities]
    libc = or_none(glibc) if system == "linux" else None
    for row in table("cuda")["index"]:
        minimum = driver_minimum(f"{row['cuda']}.0", str(system), or_none(wsl))
        code = [capability(item) for item in row["capabilities"]]
        gpus_run = all(_runs(item, code, []) for item in gpus)
        builds = _has_builds(row, str(requirement), or_none(python), libc, arch == "arm64")
        if is_in(str(driver), f">={minimum}") is True and gpus_run and builds:
            return str(row["label"])
    return None


def _has_builds(index: Mapping[str, Any], requirement: str, python: str | None, glibc: str | None, arm64: bool) -> bool:
    """Say whether an index has a release of torch for this machine that ``torch>=2.1,<2.7`` or the like allows."""
    if (arm64 and not index["arm64"]) or not _holds(glibc, f">={index['glibc']}"):
        return False
    wanted = f"{index['torch']},{requirement.removeprefix('torch')}"
    return any(
        is_in(row["version"], wanted) is True and _holds(python, row["python"]) and _holds(glibc, f">={row['glibc']}")
        for row in table("torch")["release"]
    )


def _holds(version: str | None, wanted: str) -> bool:
    """Say whether a version lies in a range; one that is not known does."""
    return version is None or is_in(version, wanted) is True


@rule(
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


@rule("torch.cuda_proven", "torch.cuda_available", tolerant=True)
def cuda_proven(available: bool | Unknown) -> bool:
    return available is True


@rule("torch.cudnn_release", "torch.cudnn")
def cudnn_release(number: str | None) -> str | None | Unknown:
    """Read the number of cudnnGetVersion(): 8902 is 8.9.2, and from 9 on 91002 is 9.10.2."""
    if number is None:
        return None
    if not number.isdigit():
        return Unknown(f"{number!r} is no version of cuDNN")
    major = 10_000 if int(number) >= 90_000 else 1_000
    return f"{int(number) // major}.{int(number) % major // 100}.{int(number) % 100}"


_PROBLEM = ("torch.version", "torch.build", "torch.cudnn_release", "torch.device_names", "gpu.seen")


@rule("torch.conv3d_slow", *_PROBLEM, tolerant=True)
def conv3d_slow(
    version: str | None | Unknown,
    build: str | None | Unknown,
    cudnn: str | None | Unknown,
    names: Sequence[str] | Unknown,
    seen: Sequence[str] | Unknown,
) -> bool | Unknown:
    return _has_problem("conv3d-slow", version, build, cudnn, names, seen)


@rule("torch.cudnn_without_gpu", *_PROBLEM, "torch.gpus_without_kernels", tolerant=True)
def cudnn_without_gpu(
    version: str | None | Unknown,
    build: str | None | Unknown,
    cudnn: str | None | Unknown,
    names: Sequence[str] | Unknown,
    seen: Sequence[str] | Unknown,
    without: Sequence[str] | None | Unknown,
) -> bool | Unknown:
    """A GPU that torch itself has no code for is another problem."""
    if not isinstance(without, Unknown) and without:
        return False
    return _has_problem("cudnn-without-gpu", version, build, cudnn, names, seen)


def _has_problem(
    problem: str,
    version: str | None | Unknown,
    build: str | None | Unknown,
    cudnn: str | None | Unknown,
    names: Sequence[str] | Unknown,
    seen: Sequence[str] | Unknown,
) -> bool | Unknown:
    """Say whether a row of the table of problems is true of this torch; what no row asks may be unknown."""
    if version is None:
        return False
    if (unknown := first_unknown(version, build)) is not None:
        return unknown
    doubt: Unknown | None = None
    for row in table("torch_problems")["problem"]:
        if row["is"] != problem or row["build"] != build or is_in(str(version), row["torch"]) is not True:
            continue
        verdict = _all_hold(
            _of_cudnn(row, cudnn), _of_gpu(row["gpu"], names) if row["gpu"] else True, _below(row["below"], seen)
        )
        if verdict is True:
            return True
        if isinstance(verdict, Unknown):
            doubt = verdict
    return doubt or False


def _all_hold(*verdicts: bool | Unknown) -> bool | Unknown:
    if False in verdicts:
        return False
    return next((verdict for verdict in verdicts if isinstance(verdict, Unknown)), True)


def _of_cudnn(row: Mapping[str, Any], cudnn: str | None | Unknown) -> bool | Unknown:
    """Take the cuDNN that wheels of torch bring, where the loaded one is not known."""
    if not row["cudnn"]:
        return True
    if isinstance(cudnn, Unknown):
        return bool(row["bundled"])
    return cudnn is not None and is_in(cudnn, row["cudnn"])


def _of_gpu(word: str, names: Sequence[str] | Unknown) -> bool | Unknown:
    return names if isinstance(names, Unknown) else any(word.lower() in name.lower() for name in names)


def _below(limit: str, seen: Sequence[str] | Unknown) -> bool | Unknown:
    if not limit:
        return True
    if isinstance(seen, Unknown):
        return seen
    return any(capability(capability_of(gpu)) < capability(limit) for gpu in seen)


@rule(
    "triton.wanted",
    "torch.version",
    "torch.build",
    "python.version",
    "platform.os",
    "platform.arch",
    "triton.required",
    tolerant=True,
)
def triton_wanted(
    torch: str | None | Unknown,
    build: str | None | Unknown,
    python: str | Unknown,
    system: str | Unknown,
    arch: str | Unknown,
    required: str | None | Unknown,
) -> str | None | Unknown:
    """Believe the metadata of torch; where they say nothing, the row of its own release tells what belongs to it."""
    if isinstance(required, str):
        return _release_of(required)
    if (unknown := first_unknown(torch, build, python, system, arch)) is not None:
        return unknown
    if torch is None or build != "cuda" or system not in ("linux", "windows"):
        return None
    row = row_for("torch", str(torch))
    if row is None or public(str(torch)) != public(row["version"]):
        return None
    if system == "windows":
        return f"{row['triton_windows']}.*" if row["triton_windows"] else None
    serves_python = is_in(str(python), row["triton_python"]) is True
    return str(row["triton"]) if serves_python and (arch == "x86_64" or row["triton_arm64"]) else None


def _release_of(requirement: str) -> str | None:
    """Return 3.4.0 of ``triton==3.4.0`` and 3.8.* of ``triton~=3.8.0``; None for a requirement of another form."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        (specifier,) = Requirement(requirement).specifier
    except (InvalidRequirement, ValueError):
        return None
    if specifier.operator == "~=":
        return specifier.version.rpartition(".")[0] + ".*"
    return specifier.version if specifier.operator == "==" else None


@rule("triton.wanted_package", "triton.wanted", "platform.os", "triton.required", tolerant=True)
def triton_wanted_package(
    wanted: str | None | Unknown, system: str | Unknown, required: str | None | Unknown
) -> str | None | Unknown:
    if wanted is None or isinstance(wanted, Unknown):
        return wanted
    if isinstance(required, str):
        return re.split(r"[^A-Za-z0-9._-]", required, maxsplit=1)[0]
    return system if isinstance(system, Unknown) else "triton-windows" if system == "windows" else "triton"


@rule("triton.fits", "triton.version", "triton.wanted")
def triton_fits(version: str | None, wanted: str | None) -> bool | None | Unknown:
    return None if version is None or wanted is None else is_in(version, f"=={wanted}")


@rule("triton.newest_known")
def newest_known_triton() -> str:
    return newest("triton")


@rule("triton.newer_than_known", "triton.version")
def triton_newer_than_known(version: str | None) -> bool:
    return version is not None and is_newer_than_known("triton", version)


@rule("triton.compile_off", "triton.variables", "torch.version", tolerant=True)
def compile_off(variables: Sequence[Detail] | None | Unknown, torch: str | None | Unknown) -> str | None | Unknown:
    """Name the variable that makes torch.compile return what it is given, or swallow what goes wrong.

    torch/_dynamo/config.py reads TORCH_COMPILE_DISABLE (up to 2.7 any text switches off, later only 1) and
    TORCHDYNAMO_SUPPRESS_ERRORS (any text), eval_frame.py TORCHDYNAMO_DISABLE (only 1).
    """
    if isinstance(variables, Unknown):
        return variables
    older = isinstance(torch, str) and is_in(torch, "<2.8.dev0") is True
    values = {item.subject: item.message for item in variables or ()}
    for name, off in (
        ("TORCH_COMPILE_DISABLE", bool(values.get("TORCH_COMPILE_DISABLE")) if older else None),
        ("TORCHDYNAMO_DISABLE", None),
        ("TORCHDYNAMO_SUPPRESS_ERRORS", bool(values.get("TORCHDYNAMO_SUPPRESS_ERRORS"))),
    ):
        if values.get(name) == "1" if off is None else off:
            return f"{name}={values[name]}"
    return None
