"""Facts about nnU-Net: which release, which command, which variables."""

from __future__ import annotations

from nnunet_doctor.facts.base import Detail, Unknown, derived, fact


class NnunetFacts:
    """nnU-Net in the interpreter under examination, and the environment variables it reads."""

    installed: bool | Unknown = fact("whether nnunetv2 is installed")
    version: str | None | Unknown = fact("its release; None when absent")
    location: str | None | Unknown = fact("folder of the package; None when absent")
    v1_version: str | None | Unknown = fact("release of nnU-Net v1 (distribution nnunet); None when absent")
    requires_python: str | None | Unknown = fact("Requires-Python of the installed release; None when not declared")
    requires_torch: str | None | Unknown = fact("bound on torch in its metadata; None when absent")
    conflicts: tuple[Detail, ...] | Unknown = fact(
        "requirements of nnU-Net and of what it brings that are not met: distribution, and what is wrong"
    )
    command: str | None | Unknown = fact("nnUNetv2_train that PATH finds first; None for none")
    command_here: bool | None | Unknown = fact("whether that command belongs to this interpreter; None for none")
    script: str | None | Unknown = fact("nnUNetv2_train beside this interpreter; None for none")
    compile_variable: str | None | Unknown = fact("value of nnUNet_compile; None when unset")
    workers_variable: str | None | Unknown = fact("value of nnUNet_n_proc_DA; None when unset")
    processes_variable: str | None | Unknown = fact("value of nnUNet_def_n_proc; None when unset")
    unknown_variables: tuple[Detail, ...] | Unknown = fact(
        "variables that look like nnU-Net's and that no release reads: name, and the nearest real one"
    )
    v1_variables: tuple[Detail, ...] | Unknown = fact("variables of nnU-Net v1 that are set: name and value")

    newest_known: str | Unknown = derived("newest release that the table of releases holds")
    behaves_as: str | None | Unknown = derived(
        "release of the table whose behaviour is assumed: its own, or the newest known one before it; None when absent"
    )
    newer_than_known: bool | Unknown = derived("whether the release is newer than the table")
    outdated: bool | Unknown = derived("whether a newer release is known")
    torch_fits: bool | None | Unknown = derived(
        "whether this release trains with the installed torch, by its code and not only by its metadata; "
        "None when either is absent"
    )
    torch_wanted: str | None | Unknown = derived("torch releases that this nnU-Net release trains with, as a range")
    torch_requirement: str | Unknown = derived(
        "torch as pip should be asked for it, so that this nnU-Net trains with it"
    )
    torch_excluded: bool | None | Unknown = derived(
        "whether the metadata of this release excludes the installed torch; None when either is absent"
    )
    bad_numbers: tuple[Detail, ...] | Unknown = derived("variables that must be a number and are not: name and value")
