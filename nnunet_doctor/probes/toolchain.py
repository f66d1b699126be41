"""Facts about what torch.compile needs around Triton: compilers, libcuda and a cache it may run programs from."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from nnunet_doctor import processes
from nnunet_doctor.facts import Observed
from nnunet_doctor.probes.base import Context, Notes
from nnunet_doctor.probes.paths import nearest_folder


def look(context: Context) -> Notes:
    """Note the facts of area triton that lie outside Python."""
    notes = Notes()
    environ = context.environ
    windows = os.name == "nt"
    c_names = ("cl", "clang-cl") if windows else ("gcc", "clang")
    # Inductor looks for no other (torch/_inductor/config.py, cpp.cxx)
    cpp_names = ("cl",) if windows else ("clang++",) if sys.platform == "darwin" else ("g++",)
    notes.see("CC and PATH", triton__c_compiler=_compiler("CC", c_names, environ))
    notes.see("CXX and PATH", triton__cpp_compiler=_compiler("CXX", cpp_names, environ))
    linux = os.uname().sysname == "Linux" if hasattr(os, "uname") else False
    folders = libcuda_folders(environ) if linux else None
    notes.see(
        "ldconfig -p, LD_LIBRARY_PATH",
        triton__libcuda=None if folders is None else bool(folders),
        triton__libcuda_link=any((folder / "libcuda.so").exists() for folder in folders) if folders else None,
    )
    cache = Path(environ.get("TORCHINDUCTOR_CACHE_DIR") or Path(tempfile.gettempdir(), f"torchinductor_{_user()}"))
    notes.see("TORCHINDUCTOR_CACHE_DIR", triton__cache=str(cache))
    notes.see("statvfs", triton__cache_executable=_executable(nearest_folder(cache)))
    return notes


def _compiler(variable: str, names: tuple[str, ...], environ: Mapping[str, str]) -> str | None:
    """Find the compiler as Triton and Inductor do: the variable first, then PATH."""
    wanted = environ.get(variable)
    path = environ.get("PATH", os.defpath)
    for name in (wanted,) if wanted else names:
        found = shutil.which(name, path=path)
        if found:
            return found
    return None


def libcuda_folders(environ: Mapping[str, str]) -> list[Path]:
    """List the folders with a libcuda.so.1 that Triton finds (triton/backends/nvidia/driver.py, libcuda_dirs)."""
    own = environ.get("TRITON_LIBCUDA_PATH")
    if own:
        return [Path(own)]
    try:
        listed = processes.run(["/sbin/ldconfig", "-p"], 10.0, keep=1 << 20).output
    except (OSError, subprocess.SubprocessError):
        listed = ""
    folders = [Path(path).parent for path in re.findall(r"libcuda\.so\.1 .*=> (\S+)", listed)]
    folders += [Path(part) for part in environ.get("LD_LIBRARY_PATH", "").split(":") if part]
    return [folder for folder in dict.fromkeys(folders) if (folder / "libcuda.so.1").exists()]


def _user() -> str:
    """Name the user as torch does (torch/_inductor/runtime/cache_dir_utils.py)."""
    try:
        return re.sub(r'[\\/:*?"<>|]', "_", getpass.getuser())
    except (KeyError, OSError, ImportError):  # a user id without a name, as in some containers
        return "user"


def _executable(folder: Path) -> Observed:
    if not hasattr(os, "ST_NOEXEC"):
        return None
    return not os.statvfs(folder).f_flag & os.ST_NOEXEC
