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
_SCHEDULERS = {"SLURM_JOB_ID": "slurm", "LSB_JOBID": "lsf", "PBS_JOBID": "pbs"}
_UTF8_CODE_PAGE = 65001


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
    notes.see("/usr/lib/wsl/lib", platform__wsl_driver=wsl_driver(Path("/")) if wsl == 2 else None)
    inside = wsl == 2 and container is None
    notes.see("folders of libraries", platform__wsl_linux_driver=wsl_linux_driver(Path("/")) if inside else None)
    notes.see("Windows registry", platform__wsl_distributions=_wsl_distributions(), platform__long_paths=_long_paths())
    notes.see("Windows registry", platform__wsl_default_version=_wsl_default_version())
    notes.see("environment of the job", platform__scheduler=scheduler_of(context.environ))
    notes.see("parent process", platform__shell=_shell(system))
    notes.see("sys.stdout", platform__console_encoding=sys.__stdout__.encoding if sys.__stdout__ else "none")
    notes.see("CI", platform__ci=context.environ.get("CI", "").lower() not in ("", "0", "false"))
    page = _code_page()
    notes.see("GetACP()", platform__code_page=page)
    notes.see("locale", platform__file_encoding=file_encoding(system, context.environ, _codeset(), page))
    notes.see("environment, list of users", platform__user_named=is_user_named(context.environ))
    notes.see("TORCHINDUCTOR_CACHE_DIR", platform__inductor_cache=context.environ.get("TORCHINDUCTOR_CACHE_DIR"))
    notes.see("processor", platform__avx2=_avx2(system, notes.values["platform.arch"], Path("/")))
    return notes


def scheduler_of(environ: Mapping[str, str]) -> str | None:
    """Name the scheduler whose job this is; JOB_ID alone may be anybody's, beside NSLOTS it is Grid Engine's."""
    if environ.get("JOB_ID") and environ.get("NSLOTS"):
        return "sge"
    return next((name for variable, name in _SCHEDULERS.items() if environ.get(variable)), None)


def file_encoding(system: str, environ: Mapping[str, str], codeset: str, page: int | None) -> str:
    """Name the encoding that ``open()`` of Python 3.7 to 3.14 takes for text, under the environment of the training.

    Args:
        system: linux, macos or windows.
        environ: Its variables; PYTHONUTF8=1 decides (PEP 540).
        codeset: What ``nl_langinfo(CODESET)`` says elsewhere than on Windows. Python takes UTF-8 for the ASCII of the
            C locale, unless PYTHONUTF8=0 forbids it.
        page: The ANSI code page of Windows.
    """
    if environ.get("PYTHONUTF8") == "1" or system == "macos":
        return "utf-8"
    if page is not None:
        return "utf-8" if page == _UTF8_CODE_PAGE else f"cp{page}"
    is_ascii = codeset.upper() in ("", "ANSI_X3.4-1968", "US-ASCII", "ASCII", "646")
    if is_ascii:
        return "ascii" if environ.get("PYTHONUTF8") == "0" else "utf-8"
    return codeset.lower()


def _codeset() -> str:
    if sys.platform == "win32":
        return ""
    import locale

    return locale.nl_langinfo(locale.CODESET)


def _code_page() -> int | None:
    if sys.platform != "win32":
        return None
    import ctypes

    return int(ctypes.windll.kernel32.GetACP())


def is_user_named(environ: Mapping[str, str]) -> bool:
    """Say whether ``getpass.getuser()`` finds a name; in a container a user may be a number only."""
    if any(environ.get(name) for name in ("LOGNAME", "USER", "LNAME", "USERNAME")):
        return True
    if sys.platform == "win32":
        return False
    import pwd

    try:
        return bool(pwd.getpwuid(os.getuid()).pw_name)
    except KeyError:
        return False


def _avx2(system: str, arch: Observed, root: Path) -> bool | None:
    if arch != "x86_64":
        return None
    if system == "linux":
        return cpu_has(root, "avx2")
    if sys.platform == "win32":
        import ctypes

        # PF_AVX2_INSTRUCTIONS_AVAILABLE; Windows before 2004 does not know it and says no to everything
        return True if ctypes.windll.kernel32.IsProcessorFeaturePresent(40) else None
    return None


def cpu_has(root: Path, feature: str) -> bool | None:
    """Say whether the first processor of /proc/cpuinfo has a feature; None when it lists none."""
    try:
        with (root / "proc/cpuinfo").open(encoding="ascii", errors="replace") as file:
            # the block of one processor is some kB long; a large machine has hundreds of them
            listed = next((line for _, line in zip(range(64), file, strict=False) if line.startswith("flags")), None)
    except OSError:
        return None
    return None if listed is None else feature in listed.partition(":")[2].split()


def wsl_driver(root: Path) -> bool:
    """Say whether the NVIDIA driver of Windows is passed into this WSL2."""
    return (root / "usr/lib/wsl/lib/libcuda.so.1").exists()


def wsl_linux_driver(root: Path) -> str | None:
    """Return a libcuda.so.1 that is not the one of Windows, nor a link to it; None for none."""
    own = (root / "usr/lib/wsl").resolve()
    for folder in ("usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib64", "usr/lib"):
        library = root / folder / "libcuda.so.1"
        if library.exists() and own not in library.resolve().parents:
            return str(library)
    return None


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
    try:
        # systemd leaves the name of what it was started by; it counts WSL as a container too
        manager = (root / "run/systemd/container").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        manager = ""
    return "container" if environ.get("container") or manager not in ("", "wsl") else None


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


def _wsl_default_version() -> Observed:
    """Windows takes 2 unless the user has said otherwise (wsl --set-default-version)."""
    if sys.platform != "win32":
        return None
    import winreg

    try:
        with winreg.OpenKey(winreg.HKEY_CURRENT_USER, r"Software\Microsoft\Windows\CurrentVersion\Lxss") as lxss:
            return int(winreg.QueryValueEx(lxss, "DefaultVersion")[0])
    except FileNotFoundError:
        return 2
    except (OSError, ValueError) as error:
        return Unknown(f"the registry does not say: {error}")


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
