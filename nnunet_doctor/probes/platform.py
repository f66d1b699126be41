"""Facts about the operating system, WSL, containers, schedulers and the console."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from pathlib import Path

from nnunet_doctor.facts import Observed, Unknown
from nnunet_doctor.probes.base import Context, Notes

_SYSTEMS = {"Linux": "linux", "Windows": "windows", "Darwin": "macos"}
_ARCHES = {"AMD64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "ARM64": "arm64"}
_SCHEDULERS = {"SLURM_JOB_ID": "slurm", "LSB_JOBID": "lsf", "PBS_JOBID": "pbs", "JOB_ID": "sge"}


def look(context: Context) -> Notes:
    """Note the facts of area platform."""
    notes = Notes()
    system = _SYSTEMS.get(platform.system(), platform.system().lower())
    release = platform.release()
    notes.see("platform.system()", platform__os=system)
    notes.see("platform.release()", platform__release=release)
    notes.see("platform.machine()", platform__arch=_ARCHES.get(platform.machine(), platform.machine()))
    notes.see("platform", platform__version=_version(system, release))
    notes.see("platform.libc_ver()", platform__glibc=_glibc() if system == "linux" else None)
    notes.see("platform.mac_ver()", platform__macos=platform.mac_ver()[0] or None if system == "macos" else None)
    container = container_kind(Path("/"), context.environ) if system == "linux" else None
    notes.see("files of the container runtime", platform__container=container)
    wsl = wsl_version(release, Path("/")) if system == "linux" else None
    notes.see("kernel release", platform__wsl=wsl)
    notes.see("/dev/dxg", platform__wsl_gpu=Path("/dev/dxg").exists() if wsl == 2 else None)
    notes.see("Windows registry", platform__wsl_distributions=_wsl_distributions(), platform__long_paths=_long_paths())
    scheduler = next((name for variable, name in _SCHEDULERS.items() if context.environ.get(variable)), None)
    notes.see("environment of the job", platform__scheduler=scheduler)
    notes.see("parent process", platform__shell=_shell(system))
    notes.see("sys.stdout", platform__console_encoding=sys.__stdout__.encoding if sys.__stdout__ else "none")
    notes.see("CI", platform__ci=context.environ.get("CI", "").lower() not in ("", "0", "false"))
    return notes


def wsl_version(release: str, root: Path) -> int | None:
    """Tell WSL1 and WSL2 by the kernel's name, as Microsoft's own init does; a custom kernel leaves /run/WSL."""
    if "Microsoft" in release:
        return 1
    return 2 if "microsoft" in release or (root / "run/WSL").is_dir() else None


def container_kind(root: Path, environ: Mapping[str, str]) -> str | None:
    """Name the container runtime, or None outside of one."""
    if environ.get("KUBERNETES_SERVICE_HOST"):
        return "kubernetes"
    if environ.get("APPTAINER_CONTAINER") or environ.get("SINGULARITY_CONTAINER") or (root / ".singularity.d").is_dir():
        return "apptainer"
    if (root / "run/.containerenv").exists():
        return "podman"
    if (root / ".dockerenv").exists():
        return "docker"
    return "container" if environ.get("container") else None


def _version(system: str, release: str) -> str:
    if system == "linux":
        try:
            return platform.freedesktop_os_release().get("PRETTY_NAME", f"Linux {release}")
        except OSError:
            return f"Linux {release}"
    if system == "macos":
        return f"macOS {platform.mac_ver()[0]}"
    if system == "windows":
        return _windows_version(release, platform.version())
    return f"{platform.system()} {release}"


def _windows_version(release: str, version: str) -> str:
    """Windows 11 still calls itself 10; its builds start at 22000."""
    build = version.rpartition(".")[2]
    name = "11" if release == "10" and build.isdigit() and int(build) >= 22000 else release
    return f"Windows {name} ({version})"


def _glibc() -> str | None:
    name, version = platform.libc_ver()
    return version if name == "glibc" else None


def _shell(system: str) -> str:
    if system != "windows":
        return "posix"
    import psutil

    try:
        parents = [parent.name().lower() for parent in psutil.Process().parents()]
    except psutil.Error:
        return "powershell"
    shells = {"cmd.exe": "cmd", "powershell.exe": "powershell", "pwsh.exe": "powershell", "bash.exe": "posix"}
    return next((shells[name] for name in parents if name in shells), "powershell")


def _wsl_distributions() -> Observed:
    """Read them from the registry; WSL2 is bit 8 of Flags (Version is the file-system format, not WSL1 or WSL2)."""
    if sys.platform != "win32":
        return None
    import winreg

    try:
        with winreg.OpenKey(winreg.HKEY_CURRENT_USER, r"Software\Microsoft\Windows\CurrentVersion\Lxss") as lxss:
            found = []
            for index in range(winreg.QueryInfoKey(lxss)[0]):
                with winreg.OpenKey(lxss, winreg.EnumKey(lxss, index)) as key:
                    name = str(winreg.QueryValueEx(key, "DistributionName")[0])
                    flags = int(winreg.QueryValueEx(key, "Flags")[0])
                    found.append(f"{name}:{2 if flags & 8 else 1}")
    except FileNotFoundError:
        return ()
    except OSError as error:
        return Unknown(f"the registry does not say: {error.strerror}")
    return tuple(found)


def _long_paths() -> Observed:
    if sys.platform != "win32":
        return None
    import winreg

    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Control\FileSystem") as key:
            return bool(winreg.QueryValueEx(key, "LongPathsEnabled")[0])
    except FileNotFoundError:
        return False
    except OSError as error:
        return Unknown(f"the registry does not say: {error.strerror}")


def default_language(environ: Mapping[str, str]) -> str:
    """Return zh where the user's system speaks Chinese, else en."""
    for variable in ("NNUNET_DOCTOR_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        if environ.get(variable):
            return "zh" if environ[variable].lower().startswith("zh") else "en"
    if os.name == "nt":
        import ctypes

        # primary language of the user interface; 0x04 is Chinese
        return "zh" if ctypes.windll.kernel32.GetUserDefaultUILanguage() & 0x3FF == 0x04 else "en"  # type: ignore[attr-defined, unused-ignore]
    return "en"
