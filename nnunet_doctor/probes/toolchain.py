"""Facts about what torch.compile needs around Triton: compilers, libcuda, variables, caches to run programs from."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from nnunet_doctor import processes
from nnunet_doctor.facts import Detail, Observed, Unknown
from nnunet_doctor.probes.base import Context, Notes
from nnunet_doctor.probes.paths import is_writable, nearest_folder

VARIABLES = (
    "TORCH_COMPILE_DISABLE",
    "TORCHDYNAMO_DISABLE",
    "TORCHDYNAMO_SUPPRESS_ERRORS",
    "TORCHINDUCTOR_COMPILE_THREADS",
    "TORCH_COMPILE_DEBUG",
    "TORCH_LOGS",
    "TRITON_PTXAS_PATH",
    "TRITON_PTXAS_BLACKWELL_PATH",
)
"""Variables of torch.compile and Triton that decide whether a training compiles, with what, and what it prints."""

LDCONFIG = "/sbin/ldconfig"
"""The list of libraries that Triton asks."""

MULTIARCH = ("x86_64-linux-gnu", "aarch64-linux-gnu")
LINKER_FOLDERS = ("lib", "lib64", "usr/lib", "usr/lib64", "usr/local/lib", *(f"usr/lib/{arch}" for arch in MULTIARCH))
"""Where a linker looks without being told, below the root."""


def look(context: Context) -> Notes:
    """Note the facts of area triton that lie outside Python."""
    notes = Notes()
    environ = context.environ
    _compilers(notes, environ)
    linux = os.uname().sysname == "Linux" if hasattr(os, "uname") else False
    folders = libcuda_folders(environ) if linux else None
    notes.see(
        "ldconfig -p, LD_LIBRARY_PATH",
        triton__libcuda=None if folders is None else bool(folders),
        triton__libcuda_link=is_linkable(folders, environ) if folders else None,
    )
    notes.see("environment", triton__variables=variables(environ))
    cache, own = inductor_cache(environ), own_cache(environ)
    notes.see(
        "TORCHINDUCTOR_CACHE_DIR",
        triton__cache=str(cache) if isinstance(cache, Path) else cache,
        triton__cache_there=cache.is_dir() if isinstance(cache, Path) else cache,
    )
    notes.see("TRITON_CACHE_DIR, TRITON_HOME, HOME", triton__own_cache=str(own))
    for name, folder in (("cache", cache), ("own_cache", own)):
        seen = _look_at(folder) if isinstance(folder, Path) else dict.fromkeys(_OF_A_FOLDER, folder)
        notes.see("statvfs", **{f"triton__{name}_{key}": value for key, value in seen.items()})
    return notes


def variables(environ: Mapping[str, str]) -> tuple[Detail, ...]:
    """List the variables that are set."""
    return tuple(Detail(name, environ[name]) for name in VARIABLES if name in environ)


# --- compilers ------------------------------------------------------------------------------------------------------


def _compilers(notes: Notes, environ: Mapping[str, str]) -> None:
    windows, mac = os.name == "nt", sys.platform == "darwin"
    # Inductor looks for no other C++ compiler (torch/_inductor/config.py, cpp.cxx)
    cpp_names = ("cl",) if windows else ("clang++",) if mac else ("g++",)
    c = _compiler("CC", ("cl", "clang-cl") if windows else ("gcc", "clang"), environ)
    cpp = _compiler("CXX", cpp_names, environ)
    if mac and any(found is not None and found.startswith("/usr/bin/") for found in (c, cpp)) and not _has_mac_tools():
        c, cpp = (None if found and found.startswith("/usr/bin/") else found for found in (c, cpp))
    notes.see("CC and PATH", triton__c_compiler=c, triton__cc_variable=environ.get("CC"))
    notes.see("--version", triton__c_compiler_version=None if windows or c is None else compiler_version(c))
    notes.see("CXX and PATH", triton__cpp_compiler=cpp)
    notes.see("OMP_PREFIX, CONDA_PREFIX, Homebrew", triton__openmp=has_openmp(environ) if mac else None)


def _compiler(variable: str, names: tuple[str, ...], environ: Mapping[str, str]) -> str | None:
    """Find the compiler as Triton and Inductor do: the variable first, taken at its word, then PATH."""
    wanted = environ.get(variable)
    path = environ.get("PATH", os.defpath)
    for name in names if wanted is None else (wanted,):
        found = shutil.which(name, path=path)
        if found:
            return found
    return None


def _has_mac_tools() -> bool:
    """Say whether the compilers in /usr/bin of a Mac are more than the place-holders that offer to install them."""
    try:
        return processes.run(["/usr/bin/xcode-select", "-p"], 10.0).code == 0
    except (OSError, subprocess.SubprocessError):
        return False


def compiler_version(compiler: str) -> str | None | Unknown:
    """Return the kind and release of a compiler, such as ``gcc 12.2.0``; None when it does not say."""
    try:
        ended = processes.run([compiler, "--version"], 10.0)
    except (OSError, subprocess.SubprocessError) as error:
        return Unknown(f"{compiler} --version: {error}")
    return kind_and_release(ended.output)


def kind_and_release(text: str) -> str | None:
    """Read what a compiler says of itself: gcc puts its package in brackets before the number, clang says 'version'."""
    line = text.partition("\n")[0]
    clang = re.search(r"clang version (\d+(?:\.\d+)*)", line)
    if clang:
        return f"clang {clang.group(1)}"
    gcc = re.search(r"\) (\d+\.\d+(?:\.\d+)?)", line)
    return f"gcc {gcc.group(1)}" if gcc and "Free Software Foundation" in text else None


def has_openmp(environ: Mapping[str, str]) -> bool:
    """Say whether omp.h and libomp lie where Inductor looks on a Mac (torch/_inductor/cpp_builder.py)."""
    homebrew = environ.get("HOMEBREW_PREFIX")
    prefixes = [environ.get("OMP_PREFIX"), environ.get("CONDA_PREFIX"), homebrew and f"{homebrew}/opt/libomp"]
    prefixes += ["/opt/homebrew/opt/libomp", "/usr/local/opt/libomp"]
    return any(Path(prefix, "include", "omp.h").is_file() for prefix in prefixes if prefix)


# --- libcuda --------------------------------------------------------------------------------------------------------


def libcuda_folders(environ: Mapping[str, str]) -> list[Path]:
    """List the folders with a libcuda.so.1 that Triton finds (triton/backends/nvidia/driver.py, libcuda_dirs).

    It fails where there is no ldconfig, and reads LD_LIBRARY_PATH only when ldconfig lists no libcuda.so.1.
    """
    own = environ.get("TRITON_LIBCUDA_PATH")
    if own:
        return [Path(own)]
    try:
        listed = processes.run([LDCONFIG, "-p"], 10.0, keep=1 << 20).output
    except FileNotFoundError:
        return []
    except (OSError, subprocess.SubprocessError):
        listed = ""
    # libraries of 32 bits are listed as (libc6) alone
    found = [Path(path).parent for path in re.findall(r"libcuda\.so\.1 \([^)]*,[^)]*\) => (\S+)", listed)]
    folders = found or [Path(part) for part in environ.get("LD_LIBRARY_PATH", "").split(":") if part]
    return [folder for folder in dict.fromkeys(folders) if (folder / "libcuda.so.1").exists()]


def is_linkable(folders: Sequence[Path], environ: Mapping[str, str], root: Path = Path("/")) -> bool:
    """Say whether ``-lcuda`` is found: in the folders that Triton names, in LIBRARY_PATH, or where linkers look."""
    named = [Path(part) for part in environ.get("LIBRARY_PATH", "").split(":") if part]
    usual = [root / folder for folder in LINKER_FOLDERS]
    return any((folder / "libcuda.so").exists() for folder in (*folders, *named, *usual))


# --- caches ---------------------------------------------------------------------------------------------------------


def inductor_cache(environ: Mapping[str, str]) -> Path | Unknown:
    """Return the folder that torch makes for compiled code (torch/_inductor/runtime/cache_dir_utils.py)."""
    named = environ.get("TORCHINDUCTOR_CACHE_DIR")
    if named:
        return Path(named)
    try:
        return Path(tempfile.gettempdir(), f"torchinductor_{_user()}")
    except OSError as error:
        return Unknown(f"there is no folder for temporary files: {error}")


def own_cache(environ: Mapping[str, str]) -> Path:
    """Return the folder of Triton's own cache (triton/knobs.py, cache_knobs)."""
    named = environ.get("TRITON_CACHE_DIR")
    if named:
        return Path(named)
    home = environ.get("TRITON_HOME") or environ.get("HOME" if os.name != "nt" else "USERPROFILE")
    return Path(home or os.path.expanduser("~"), ".triton", "cache")  # noqa: PTH111 - Path.home() raises without a home


def _user() -> str:
    """Name the user as torch does (torch/_inductor/runtime/cache_dir_utils.py)."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a user id without a name, as in some containers
        name = f"uid_{os.getuid()}" if hasattr(os, "getuid") else "unknown_user"
    return re.sub(r'[\\/:*?"<>|]', "_", name)


_OF_A_FOLDER = ("executable", "writable", "free_gib")


def _look_at(folder: Path) -> dict[str, Observed]:
    try:
        there = nearest_folder(folder)
        return {
            "executable": _executable(there),
            "writable": not _is_blocked(folder) and is_writable(there),
            "free_gib": round(shutil.disk_usage(there).free / 1024**3, 1),
        }
    except (OSError, ValueError) as error:
        return dict.fromkeys(_OF_A_FOLDER, Unknown(f"{folder} cannot be looked at: {error}"))


def _is_blocked(folder: Path) -> bool:
    """Say whether a file stands where the folder, or one above it, would have to be made."""
    return any(part.exists() and not part.is_dir() for part in (folder, *folder.absolute().parents))


def _executable(folder: Path) -> Observed:
    if not hasattr(os, "ST_NOEXEC"):
        return None
    return not os.statvfs(folder).f_flag & os.ST_NOEXEC
