"""What follows from the operating system and its limits."""

from __future__ import annotations

from collections.abc import Sequence

from nnunet_doctor.facts.base import Unknown
from nnunet_doctor.facts.derive.rules import first_unknown, is_in, rule


@rule("platform.wsl2_ready", "platform.wsl_distributions")
def wsl2_ready(distributions: Sequence[str] | None) -> bool | None:
    """A distribution is listed as NAME:2 when it runs under WSL2."""
    if distributions is None:
        return None
    return any(item.endswith(":2") for item in _for_people(distributions))


@rule("platform.wsl1_only", "platform.wsl_distributions")
def wsl1_only(distributions: Sequence[str] | None) -> bool | None:
    if distributions is None:
        return None
    found = _for_people(distributions)
    return bool(found) and all(item.endswith(":1") for item in found)


_NOT_FOR_PEOPLE = ("docker-desktop", "rancher-desktop", "podman-machine")
"""Distributions that programs install for themselves; nothing can be installed in them."""


def _for_people(distributions: Sequence[str]) -> list[str]:
    return [item for item in distributions if not item.startswith(_NOT_FOR_PEOPLE)]


_WSL = ("platform.wsl", "platform.container", "training.device_request")


@rule("platform.wsl_without_gpu", *_WSL, "platform.wsl_gpu", tolerant=True)
def wsl_without_gpu(
    wsl: int | None | Unknown, container: str | None | Unknown, device: str | Unknown, gpu: bool | None | Unknown
) -> bool | None | Unknown:
    """A container has the devices that it was given; who asks for the CPU wants none."""
    inside = _wants_gpu_in_wsl(wsl, container, device)
    if inside is not True:
        return inside
    return gpu if isinstance(gpu, Unknown) else gpu is False


@rule("platform.wsl_without_driver", *_WSL, "platform.wsl_gpu", "platform.wsl_driver", "gpu.count", tolerant=True)
def wsl_without_driver(
    wsl: int | None | Unknown,
    container: str | None | Unknown,
    device: str | Unknown,
    gpu: bool | None | Unknown,
    driver: bool | None | Unknown,
    count: int | Unknown,
) -> bool | None | Unknown:
    """/dev/dxg is there for the graphics of every vendor; libcuda comes with the driver of NVIDIA only."""
    inside = _wants_gpu_in_wsl(wsl, container, device)
    if inside is not True or gpu is False or driver is True:
        return False if inside is True else inside
    if (unknown := first_unknown(gpu, driver)) is not None:
        return unknown
    return gpu is True and driver is False and (isinstance(count, Unknown) or count == 0)


@rule(
    "platform.wsl_wrong_driver", *_WSL, "platform.wsl_linux_driver", "torch.build", "torch.cuda_usable", tolerant=True
)
def wsl_wrong_driver(
    wsl: int | None | Unknown,
    container: str | None | Unknown,
    device: str | Unknown,
    foreign: str | None | Unknown,
    build: str | None | Unknown,
    usable: bool | Unknown,
) -> bool | None | Unknown:
    inside = _wants_gpu_in_wsl(wsl, container, device)
    if inside is not True or foreign is None or usable is True:
        return False if inside is True else inside
    if (unknown := first_unknown(foreign, build, usable)) is not None:
        return unknown
    return build == "cuda"


def _wants_gpu_in_wsl(
    wsl: int | None | Unknown, container: str | None | Unknown, device: str | Unknown
) -> bool | None | Unknown:
    if isinstance(wsl, Unknown):
        return wsl
    if wsl != 2:
        return None
    if container is not None:
        return container if isinstance(container, Unknown) else False
    return device if isinstance(device, Unknown) else device in ("auto", "cuda")


WSL_SMALL_GIB = 8.0
"""Below this preprocessing is at risk, whatever the training needs."""


@rule(
    "platform.wsl_memory_short",
    "platform.wsl",
    "platform.container",
    "resources.memory_gib",
    "training.over_memory",
    tolerant=True,
)
def wsl_memory_short(
    wsl: int | None | Unknown, container: str | None | Unknown, memory: float | Unknown, over: bool | Unknown
) -> bool | None | Unknown:
    """A container on the kernel of WSL2 has limits of its own; Docker Desktop's are set there."""
    if isinstance(wsl, Unknown):
        return wsl
    if wsl != 2:
        return None
    if container is not None:
        return container if isinstance(container, Unknown) else False
    if isinstance(memory, Unknown):
        return memory
    return True if memory < WSL_SMALL_GIB else over


@rule("platform.newest_torch", "platform.os", "platform.arch", "platform.glibc", "platform.macos")
def newest_torch(system: str, arch: str, glibc: str | None, macos: str | None) -> str | None | Unknown:
    """Read the platform tags of the wheels on PyPI.

    Linux: manylinux_2_28 from 2.7.0 on x86_64 and from 2.6.0 on arm64. macOS: none for Intel after 2.2.2; macOS 14
    from 2.12.0 on. What builds itself (conda, distributions) is not bound to them.
    """
    if system == "linux" and glibc is not None:
        last = {"x86_64": "2.6.0", "arm64": "2.5.1"}.get(arch)
        old = is_in(glibc, "<2.28")
        return old if isinstance(old, Unknown) else last if old else None
    if system == "macos" and arch == "x86_64":
        return "2.2.2"
    if system == "macos" and macos is not None:
        old = is_in(macos, "<14")
        return old if isinstance(old, Unknown) else "2.11.0" if old else None
    return None


@rule(
    "platform.cache_nameless",
    "training.compiles",
    "platform.user_named",
    "platform.inductor_cache",
    "torch.version",
    tolerant=True,
)
def cache_nameless(
    compiles: bool | Unknown, named: bool | Unknown, cache: str | None | Unknown, torch: str | None | Unknown
) -> bool | Unknown:
    """Follow torch/_inductor/runtime/cache_dir_utils.py, default_cache_dir: getpass.getuser() fails before torch 2.13.

    From 2.8 on torch/_inductor/codecache.py asks for that name even where the variable names another folder. From 2.10
    on torch/_dynamo/package.py asks for it as soon as nnU-Net imports torch._dynamo, which it does in any training.
    """
    if named is True or torch is None:
        return False
    at_import = cache is None and isinstance(torch, str) and is_in(torch, ">=2.10.dev0,<2.13.dev0") is True
    if compiles is False and not at_import:
        return False
    if (unknown := first_unknown(named, torch)) is not None:
        return unknown
    if at_import or isinstance(compiles, Unknown):
        return at_import or compiles
    if cache is None:
        return is_in(str(torch), "<2.13.dev0")
    fails = is_in(str(torch), ">=2.8,<2.13.dev0")
    return cache if isinstance(cache, Unknown) and fails is not True else fails
