"""Facts about the operating system, and what lies between it and the user."""

from __future__ import annotations

from nnunet_doctor.facts.base import Unknown, derived, fact


class PlatformFacts:
    """The system that would run the training."""

    os: str | Unknown = fact("operating system: linux, windows, macos, or Python's own name for another")
    release: str | Unknown = fact("kernel release, as platform.release() gives it")
    version: str | Unknown = fact("name and version of the system as its users know it")
    arch: str | Unknown = fact("processor architecture: x86_64, arm64, ...")
    glibc: str | None | Unknown = fact("version of the GNU C library; None without one")
    macos: str | None | Unknown = fact("macOS version; None elsewhere")
    wsl: int | None | Unknown = fact("1 or 2 inside the Windows Subsystem for Linux; None elsewhere")
    wsl_gpu: bool | None | Unknown = fact("inside WSL2: whether Windows passes a GPU in (/dev/dxg); None elsewhere")
    wsl_distributions: tuple[str, ...] | None | Unknown = fact(
        "on Windows: the WSL distributions of this user as NAME:1 or NAME:2; None elsewhere"
    )
    container: str | None | Unknown = fact("docker, podman, kubernetes, apptainer, container; None outside")
    scheduler: str | None | Unknown = fact("slurm, lsf, pbs, sge when inside a job of theirs; None outside")
    shell: str | Unknown = fact("shell that commands are written for: posix, powershell, cmd")
    console_encoding: str | Unknown = fact("encoding of standard output")
    long_paths: bool | None | Unknown = fact(
        "on Windows: whether paths over 260 characters are enabled; None elsewhere"
    )
    ci: bool | Unknown = fact("whether a continuous-integration service runs this")
    file_encoding: str | Unknown = fact(
        "encoding of text files that are opened without naming one, as nnU-Net opens its log (before Python 3.15)"
    )
    code_page: int | None | Unknown = fact(
        "on Windows: ANSI code page, such as 936, or 65001 for UTF-8; None elsewhere"
    )
    user_named: bool | Unknown = fact(
        "whether Python finds a name for the user: in a variable such as USER, or in the list of users"
    )
    inductor_cache: str | None | Unknown = fact("value of TORCHINDUCTOR_CACHE_DIR; None when unset")
    avx2: bool | None | Unknown = fact(
        "whether the processor has AVX2; None on other architectures, and where the system does not tell"
    )
    wsl_driver: bool | None | Unknown = fact(
        "inside WSL2: whether the NVIDIA driver of Windows is passed in (/usr/lib/wsl/lib/libcuda.so.1); None elsewhere"
    )
    wsl_linux_driver: str | None | Unknown = fact(
        "inside WSL2: libcuda.so.1 that an NVIDIA driver for Linux has brought; None without one, and elsewhere"
    )
    wsl_default_version: int | None | Unknown = fact(
        "on Windows: version that a new WSL distribution gets, 1 or 2; None elsewhere"
    )

    wsl2_ready: bool | None | Unknown = derived("on Windows: whether a WSL2 distribution is installed; None elsewhere")
    wsl1_only: bool | None | Unknown = derived(
        "on Windows: whether there are WSL distributions for people, and all are WSL1; None elsewhere"
    )
    wsl_without_gpu: bool | None | Unknown = derived(
        "whether Windows passes no GPU into WSL2, and the training is not asked to run on the CPU; None outside WSL2"
    )
    wsl_without_driver: bool | None | Unknown = derived(
        "whether WSL2 has a GPU of Windows and no NVIDIA driver, and the training is not asked to run on the CPU; "
        "None outside WSL2"
    )
    wsl_wrong_driver: bool | None | Unknown = derived(
        "whether CUDA fails in WSL2 while a driver for Linux is installed in it; None outside WSL2"
    )
    wsl_memory_short: bool | None | Unknown = derived(
        "whether WSL2, and no container in it, has less than 8 GiB of memory, or less than the training needs; None "
        "outside WSL2"
    )
    newest_torch: str | None | Unknown = derived(
        "newest torch release whose published builds run on this system; None when the newest known one does"
    )
    cache_nameless: bool | Unknown = derived(
        "whether torch.compile, or the import of it, fails because torch names its cache after a user without a name"
    )
