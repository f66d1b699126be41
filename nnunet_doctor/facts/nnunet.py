"""Facts about nnU-Net: which release, which command, which variables."""

from __future__ import annotations

from nnunet_doctor.facts.base import Detail, Unknown, derived, fact


class NnunetFacts:
    """nnU-Net in the interpreter under examination, and the environment variables it reads."""

    installed: bool | Unknown = fact("whether nnunetv2 is installed, or a fork or a checkout with its modules is found")
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
    variables: tuple[Detail, ...] | Unknown = fact("variables that some release reads and that are set: name and value")
    distribution: str | None | Unknown = fact(
        "distribution that it comes with: nnunetv2 or that of a fork; None when absent, and for a folder without one"
    )
    origin: str | None | Unknown = fact(
        "address or folder that it was installed from (direct_url.json); None for a package index, and when absent"
    )
    editable: bool | None | Unknown = fact(
        "whether it is a link to that folder (pip install -e); None for a package index, and when absent"
    )
    shadowed: str | None | Unknown = fact(
        "folder in which pip has installed nnU-Net, when Python finds another one first; None otherwise"
    )
    own_paths: bool | None | Unknown = fact(
        "whether its paths.py holds folders of its own and reads no variable, as in some forks; None when absent"
    )
    load_variable: str | None | Unknown = fact("value of TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD; None when unset")
    trainer_named: bool | None | Unknown = fact(
        "whether a file of this installation names the wanted trainer; None for nnUNetTrainer itself, and when absent"
    )
    trainer_outside: bool | None | Unknown = fact(
        "whether a file in the folders of nnUNet_extTrainer does; None likewise"
    )
    trainer_file: str | None | Unknown = fact("file that defines the wanted trainer; None likewise, and without one")
    trainer_takes: tuple[str, ...] | None | Unknown = fact(
        "parameters of the __init__ of that trainer, in order; None when it has none of its own"
    )
    trainer_hands_on: bool | None | Unknown = fact(
        "whether that __init__ hands unpack_dataset on to nnUNetTrainer; None when it has none of its own"
    )
    network_takes: tuple[str, ...] | None | Unknown = fact(
        "parameters of the build_network_architecture of that trainer; None when it has none of its own"
    )
    trainers_missing: tuple[Detail, ...] | Unknown = fact("folders in nnUNet_extTrainer that do not exist")

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
    misspelt_variables: tuple[Detail, ...] | Unknown = derived(
        "those variables that no release reads and that are one slip away from a real one: name, and the real one"
    )
    foreign_variables: tuple[Detail, ...] | Unknown = derived("the rest of them")
    unmet: tuple[Detail, ...] | Unknown = derived(
        "the conflicts that no other fact tells: those about torch and Triton are left out"
    )
    idle_variables: tuple[Detail, ...] | Unknown = derived(
        "variables that are set, that this release does not read and that others do: name, and the releases"
    )
    distutils_lacking: bool | Unknown = derived(
        "whether preprocessing would fail at its end for want of distutils, and no preprocessed data are there yet"
    )
    wandb_word: str | None | Unknown = derived(
        "value of nnUNet_wandb_enabled when this release reads it and takes it for neither yes nor no; None otherwise"
    )
    wandb_lacking: bool | Unknown = derived("whether logging to Weights & Biases is on and wandb is not installed")
    resume_refused: bool | Unknown = derived(
        "whether torch refuses the checkpoint that --c, --val or -pretrained_weights of this training loads"
    )
    trainer_found: bool | None | Unknown = derived(
        "whether this release finds the wanted trainer, by what files name; None for nnUNetTrainer, and when absent"
    )
    trainer_fits: bool | None | Unknown = derived(
        "whether the __init__ of the wanted trainer is one that this release can call; None when it has none of its own"
    )
    network_fits: bool | None | Unknown = derived(
        "whether its build_network_architecture is one that this release can call; None when it has none of its own"
    )
    trainer_form: str | None | Unknown = derived(
        "releases that the wanted trainer was written for, as a range; None when that cannot be told"
    )
