"""What torch.compile needs around Triton for the training that is asked for."""

from __future__ import annotations

import math
from collections.abc import Sequence

from nnunet_doctor.facts.base import Detail, Unknown
from nnunet_doctor.facts.derive.rules import capability, capability_of, first_unknown, is_in, rule, whole
from nnunet_doctor.facts.derive.training import compiles as compiles_by_nnunet
from nnunet_doctor.facts.tables import is_newer_than_known, row_for

LEAST_FREE_GIB = 0.2
"""What the code of one network takes in the cache; a compiled nnU-Net leaves some ten MiB behind."""


@rule("triton.links_libcuda_so", "triton.version", tolerant=True)
def links_libcuda_so(version: str | None | Unknown) -> bool | None | Unknown:
    if version is None or isinstance(version, Unknown):
        return version
    row = row_for("triton", version)
    return True if row is None else bool(row["libcuda"] == "libcuda.so")


@rule("triton.c_compiler_lacking", "triton.c_compiler", "triton.cc_variable", "platform.os", tolerant=True)
def c_compiler_lacking(
    compiler: str | None | Unknown, variable: str | None | Unknown, system: str | Unknown
) -> str | None | Unknown:
    """Triton takes CC at its word. On Windows it brings a compiler of its own."""
    if compiler is None and system == "linux":
        return variable if isinstance(variable, Unknown) else "none" if variable is None else "variable"
    unknown = compiler if isinstance(compiler, Unknown) else system
    return unknown if isinstance(unknown, Unknown) else None


@rule("triton.gcc_too_old", "triton.version", "triton.c_compiler_version")
def gcc_too_old(version: str | None, compiler: str | None) -> bool | None | Unknown:
    """Gcc takes C of 1989 by default before release 5, and has stdatomic.h from 4.9 on; clang has had both for long."""
    if version is None or compiler is None:
        return None
    row = row_for("triton", version)
    if row is None or not compiler.startswith("gcc "):
        return False
    return is_in(compiler.removeprefix("gcc "), f"<{row['gcc']}")


@rule("triton.gpus_too_new", "triton.version", "triton.variables", "gpu.seen", "torch.gpus_without_kernels")
def gpus_too_new(
    version: str | None, variables: Sequence[Detail] | None, seen: Sequence[str], without: Sequence[str] | None
) -> tuple[str, ...] | None:
    """Of GPUs from 10.0 on the assembler knows those that it was made for; a newer Triton may know any.

    Those that torch itself has no code for are left out.
    """
    if version is None or is_newer_than_known("triton", version):
        return None
    row = row_for("triton", version)
    own = {"TRITON_PTXAS_PATH", "TRITON_PTXAS_BLACKWELL_PATH"} & {item.subject for item in variables or ()}
    if row is None or own:
        return None
    return tuple(
        gpu
        for gpu in seen
        if capability(capability_of(gpu)) >= (10, 0)
        and capability_of(gpu) not in row["blackwell"]
        and gpu not in (without or ())
    )


@rule("triton.assembler_cuda", "triton.version", "triton.variables", "gpu.seen")
def assembler_cuda(version: str | None, variables: Sequence[Detail] | None, seen: Sequence[str]) -> str | None:
    """Name the newest CUDA release that its assembler works by for these GPUs; None where another one is set."""
    row = row_for("triton", version) if version is not None else None
    own = {"TRITON_PTXAS_PATH", "TRITON_PTXAS_BLACKWELL_PATH"} & {item.subject for item in variables or ()}
    if row is None or own or not seen:
        return None
    new = any(capability(capability_of(gpu)) >= (10, 0) for gpu in seen)
    return str((new and row["ptxas_blackwell"]) or row["ptxas"])


@rule("triton.driver_behind", "triton.assembler_cuda", "gpu.driver_cuda")
def driver_behind(assembler: str | None, driver: str | None) -> bool | None:
    """A driver loads what assemblers of its own CUDA major release make. Those up to 12.1 still made older files."""
    if assembler is None or driver is None:
        return None
    return capability(assembler) > (12, 1) and capability(driver)[0] < capability(assembler)[0]


@rule("triton.threads_unusable", "triton.variables")
def threads_unusable(variables: Sequence[Detail] | None) -> str | None:
    """torch/_inductor/config.py hands the variable to int() when it is imported; 0 and less compile like 1."""
    for item in variables or ():
        if item.subject == "TORCHINDUCTOR_COMPILE_THREADS" and whole(item.message, -math.inf) is None:
            return item.message
    return None


@rule(
    "triton.compile_lost",
    "triton.compile_off",
    "nnunet.behaves_as",
    "platform.os",
    "training.device",
    "nnunet.compile_variable",
    tolerant=True,
)
def compile_lost(
    off: str | None | Unknown,
    release: str | None | Unknown,
    system: str | Unknown,
    device: str | Unknown,
    variable: str | None | Unknown,
) -> bool | Unknown:
    if off is None or isinstance(off, Unknown):
        return off or False
    return compiles_by_nnunet(release, system, device, variable)


ON, OFF = ("true", "1", "t"), ("false", "0", "f", "no", "n", "off")
"""What nnUNet_compile means on with, in any case (nnUNetTrainer._do_i_compile), and what its users mean off with."""


@rule(
    "triton.compile_word",
    "nnunet.compile_variable",
    "nnunet.behaves_as",
    "platform.os",
    "training.device",
    "triton.compile_off",
    tolerant=True,
)
def compile_word(
    variable: str | None | Unknown,
    release: str | None | Unknown,
    system: str | Unknown,
    device: str | Unknown,
    off: str | None | Unknown,
) -> str | None | Unknown:
    """Where nnU-Net does not compile whatever is asked for, no word is lost."""
    if variable is None or isinstance(variable, Unknown):
        return variable
    if variable.lower() in ON or variable.strip().lower() in OFF:
        return None
    would = compiles_by_nnunet(release, system, device, "true", off)
    return would if isinstance(would, Unknown) else variable if would else None


@rule("triton.noisy", "triton.variables")
def noisy(variables: Sequence[Detail] | None) -> tuple[Detail, ...]:
    return tuple(
        item
        for item in variables or ()
        if (item.subject in ("TORCH_LOGS", "TORCH_TRACE") and item.message)
        or (item.subject in ("TORCH_COMPILE_DEBUG", "TORCHDYNAMO_VERBOSE") and item.message == "1")
    )


@rule("triton.free_threaded_fits", "python.free_threaded", "python.version", "torch.version")
def free_threaded_fits(free: bool, python: str, torch: str | None) -> bool | None | Unknown:
    """Torch 2.6 and 2.7 refuse every such build, later ones those before 3.13.3 (torch/__init__.py, compile)."""
    if not free or torch is None:
        return None
    old = is_in(torch, "<2.8.dev0")
    return old if isinstance(old, Unknown) else not old and is_in(python, ">=3.13.3") is True


@rule("triton.cache_needed", "nnunet.installed", "training.compiles", "torch.version", tolerant=True)
def cache_needed(installed: bool | Unknown, compiles: bool | Unknown, torch: str | None | Unknown) -> bool | Unknown:
    """From torch 2.10 on the folder is made as soon as nnU-Net imports torch._dynamo (torch/_dynamo/package.py)."""
    if compiles is True:
        return True
    if installed is False or torch is None:
        return False
    if isinstance(torch, Unknown):
        return torch
    imports = is_in(torch, ">=2.10.dev0")
    if isinstance(imports, Unknown) or imports:
        return installed if imports is True and isinstance(installed, Unknown) else imports
    return compiles


@rule(
    "triton.unmakeable",
    "triton.cache_needed",
    "training.compiles",
    "triton.cache",
    "triton.cache_writable",
    "triton.cache_there",
    "training.compiles_for_cuda",
    "triton.own_cache",
    "triton.own_cache_writable",
    tolerant=True,
)
def unmakeable(
    needed: bool | Unknown,
    compiles: bool | Unknown,
    cache: str | Unknown,
    writable: bool | None | Unknown,
    there: bool | None | Unknown,
    for_cuda: bool | Unknown,
    own: str | Unknown,
    own_writable: bool | None | Unknown,
) -> tuple[Detail, ...] | Unknown:
    """The import of torch._dynamo only makes the folder; it writes nothing to one that is there."""
    good = True if compiles is False and there is True else writable
    return _bad_caches(
        (needed, "TORCHINDUCTOR_CACHE_DIR", cache, good), (for_cuda, "TRITON_CACHE_DIR", own, own_writable)
    )


@rule(
    "triton.no_exec",
    "training.compiles",
    "triton.cache",
    "triton.cache_executable",
    "training.compiles_for_cuda",
    "triton.own_cache",
    "triton.own_cache_executable",
    tolerant=True,
)
def no_exec(
    compiles: bool | Unknown,
    cache: str | Unknown,
    executable: bool | None | Unknown,
    for_cuda: bool | Unknown,
    own: str | Unknown,
    own_executable: bool | None | Unknown,
) -> tuple[Detail, ...] | Unknown:
    return _bad_caches(
        (compiles, "TORCHINDUCTOR_CACHE_DIR", cache, executable), (for_cuda, "TRITON_CACHE_DIR", own, own_executable)
    )


@rule(
    "triton.nearly_full",
    "training.compiles",
    "triton.cache",
    "triton.cache_free_gib",
    "training.compiles_for_cuda",
    "triton.own_cache",
    "triton.own_cache_free_gib",
    tolerant=True,
)
def nearly_full(
    compiles: bool | Unknown,
    cache: str | Unknown,
    free: float | None | Unknown,
    for_cuda: bool | Unknown,
    own: str | Unknown,
    own_free: float | None | Unknown,
) -> tuple[Detail, ...] | Unknown:
    return _bad_caches(
        (compiles, "TORCHINDUCTOR_CACHE_DIR", cache, _is_roomy(free)),
        (for_cuda, "TRITON_CACHE_DIR", own, _is_roomy(own_free)),
    )


_Cache = tuple["bool | Unknown", str, "str | Unknown", "bool | None | Unknown"]


def _bad_caches(*caches: _Cache) -> tuple[Detail, ...] | Unknown:
    """List those that are needed and not good, as variable and folder; what cannot be told of one is told of none."""
    bad, doubt = [], None
    for needed, variable, folder, good in caches:
        if needed is False or good is True or good is None:
            continue
        unknown = first_unknown(needed, good, folder)
        if unknown is None:
            bad.append(Detail(variable, str(folder)))
        else:
            doubt = doubt or unknown
    return tuple(bad) or doubt or ()


def _is_roomy(free: float | None | Unknown) -> bool | None | Unknown:
    return free >= LEAST_FREE_GIB if isinstance(free, (int, float)) else free


@rule("triton.cache_breaks_commands", "training.compiles", "training.device", "triton.cache", tolerant=True)
def cache_breaks_commands(compiles: bool | Unknown, device: str | Unknown, cache: str | Unknown) -> bool | Unknown:
    """On the CPU Inductor writes the path into a command line without quotes (torch/_inductor/cpp_builder.py)."""
    clean = isinstance(cache, str) and not any(mark in cache for mark in " '\"")
    if clean or compiles is False or (isinstance(device, str) and device != "cpu"):
        return False
    if (unknown := first_unknown(compiles, device, cache)) is not None:
        return unknown
    return True
