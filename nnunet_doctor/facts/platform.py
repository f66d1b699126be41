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

    wsl2_ready: bool | None | Unknown = derived("on Windows: whether a WSL2 distribution is installed; None elsewhere")
