"""What builds of torch and Triton can do on this machine."""

from __future__ import annotations

from collections.abc import Sequence

from nnunet_doctor.facts.base import Unknown
from nnunet_doctor.facts.derive.rules import capability, capability_of, is_in, public, rule
from nnunet_doctor.facts.tables import is_newer_than_known, newest, row_for, table


@rule("torch.release", "torch.version")
def torch_release(version: str | None) -> str | None | Unknown:
    if version is None:
        return None
    plain = public(version)
    return Unknown(f"{version!r} is not a version") if plain is None else str(plain)


@rule("torch.newest_known")
def newest_known_torch() -> str:
    return newest("torch")


@rule("torch.newer_than_known", "torch.version")
def torch_newer_than_known(version: str | None) -> bool:
    return version is not None and is_newer_than_known("torch", version)


@rule("torch.driver_minimum", "torch.cuda_build", "platform.os", "platform.wsl")
def driver_minimum(cuda: str | None, system: str, wsl: int | None) -> str | None | Unknown:
    """Inside WSL2 the driver is that of Windows, with its numbers."""
    if cuda is None:
        return None
    for row in table("torch")["driver"]:
        if str(row["cuda"]) == cuda.split(".")[0]:
            return str(row["windows" if system == "windows" or wsl == 2 else "linux"])
    return Unknown(f"the driver that CUDA {cuda} needs is not in the table")


@rule("torch.driver_fits", "gpu.driver", "torch.driver_minimum")
def driver_fits(driver: str | None, minimum: str | None) -> bool | None | Unknown:
    return None if driver is None or minimum is None else is_in(driver, f">={minimum}")


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
    for row in table("torch")["code"]:
        if row["cuda"] == cuda and is_in(version, row["torch"]) is True:
            windows = system == "windows"
            listed = [capability(item) for item in row["windows" if windows else "linux"]]
            if not listed:
                return None
            return listed, listed[-1:] if row["linux_ptx"] and not windows else []
    return None


def _runs(gpu: tuple[int, int], binary: list[tuple[int, int]], ptx: list[tuple[int, int]]) -> bool:
    same_major = any(major == gpu[0] and minor <= gpu[1] for major, minor in binary)
    return same_major or any(item <= gpu for item in ptx)


@rule("torch.gpu_too_new", "torch.gpus_without_kernels", "gpu.oldest_capability")
def gpu_too_new(without: Sequence[str] | None, oldest: str | None) -> bool | None:
    """Blackwell (10.x and 12.x) came after builds that still serve every older family."""
    if not without or oldest is None:
        return None
    return all(capability(capability_of(gpu))[0] >= 9 for gpu in without)


@rule("torch.wanted_index", "gpu.driver", "gpu.capabilities", "platform.os", "platform.wsl", "nnunet.torch_requirement")
def wanted_index(
    driver: str | None, capabilities: Sequence[str], system: str, wsl: int | None, requirement: str
) -> str | None:
    if system == "macos":
        return None
    if driver is None or not capabilities:
        return "cpu"
    for row in table("torch")["index"]:
        minimum = driver_minimum(f"{row['cuda']}.0", system, wsl)
        code = [capability(item) for item in row["capabilities"]]
        gpus_run = all(_runs(capability(item), code, []) for item in capabilities)
        if is_in(driver, f">={minimum}") is True and gpus_run and _some_release_in(row["torch"], requirement):
            return str(row["label"])
    return None


def _some_release_in(published: str, requirement: str) -> bool:
    """Say whether an index has a release of torch that a requirement such as ``torch>=2.1,<2.7`` allows."""
    wanted = f"{published},{requirement.removeprefix('torch')}"
    return any(is_in(row["version"], wanted) is True for row in table("torch")["release"])


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


@rule("triton.wanted", "torch.version", "torch.build", "python.version", "platform.os", "platform.arch")
def triton_wanted(torch: str | None, build: str | None, python: str, system: str, arch: str) -> str | None:
    """Look up the release that this torch asks for (Linux) or that triton-windows offers for it."""
    if torch is None or build != "cuda" or system not in ("linux", "windows"):
        return None
    row = row_for("torch", torch)
    if row is None:
        return None
    if system == "windows":
        return f"{row['triton_windows']}.*" if row["triton_windows"] else None
    serves_python = is_in(python, row["triton_python"]) is True
    serves_arch = arch == "x86_64" or is_in(torch, ">=2.11") is True
    return str(row["triton"]) if serves_python and serves_arch else None


@rule("triton.wanted_package", "triton.wanted", "platform.os")
def triton_wanted_package(wanted: str | None, system: str) -> str | None:
    return None if wanted is None else "triton-windows" if system == "windows" else "triton"


@rule("triton.fits", "triton.version", "triton.wanted")
def triton_fits(version: str | None, wanted: str | None) -> bool | None | Unknown:
    return None if version is None or wanted is None else is_in(version, f"=={wanted}")
