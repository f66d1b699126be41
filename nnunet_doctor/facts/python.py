"""Facts about the interpreter under examination."""

from __future__ import annotations

from nnunet_doctor.facts.base import Detail, Unknown, derived, fact


class PythonFacts:
    """The Python that nnU-Net is, or would be, installed in."""

    version: str | Unknown = fact("release, such as 3.11.7")
    implementation: str | Unknown = fact("CPython, PyPy, ...")
    executable: str | Unknown = fact("path of the interpreter")
    prefix: str | Unknown = fact("sys.prefix: the folder of its environment")
    environment: str | Unknown = fact("venv, conda or system")
    bits: int | Unknown = fact("32 or 64")
    free_threaded: bool | Unknown = fact("whether it is built without the global interpreter lock")
    headers: bool | Unknown = fact("whether Python.h is there, which compiling a kernel needs")
    headers_folder: str | Unknown = fact("where Python.h is looked for")
    pip: bool | Unknown = fact("whether pip is installed there")
    arch: str | Unknown = fact("architecture of this build: x86_64, arm64, ...")
    emulated: bool | None | Unknown = fact(
        "whether a processor of another kind runs this build: Rosetta on a Mac, x64 on Windows for ARM; None on Linux"
    )
    externally_managed: bool | Unknown = fact(
        "whether it belongs to the system and pip refuses to install into it (PEP 668)"
    )
    writable: bool | Unknown = fact("whether its folder of packages can be written to")
    user_site: bool | Unknown = fact("whether it also finds packages in a folder of the user (site.ENABLE_USER_SITE)")
    made_by: str | None | Unknown = fact(
        "what made its environment: venv, virtualenv, uv, uv tool, pipx, pixi, conda; None for none"
    )
    conda_base: bool | None | Unknown = fact("whether it is the base environment of conda; None outside conda")
    store: bool | None | Unknown = fact("on Windows: whether it comes from the Microsoft Store; None elsewhere")
    venv_module: bool | Unknown = fact(
        "whether ensurepip is there, without which 'python -m venv' makes no environment"
    )
    optimize: int | Unknown = fact("level of PYTHONOPTIMIZE: 1 leaves out assert statements, 2 docstrings too")
    uv: str | None | Unknown = fact("uv that PATH finds; None for none")
    conda: str | None | Unknown = fact(
        "conda, mamba or micromamba that the environment names or PATH finds; None for none"
    )
    numpy: str | None | Unknown = fact("release of numpy; None when absent")
    blosc2: str | None | Unknown = fact("release of blosc2; None when absent")
    acvl_utils: str | None | Unknown = fact("release of acvl-utils; None when absent")
    batchgenerators: str | None | Unknown = fact("release of batchgenerators; None when absent")
    batchgeneratorsv2: str | None | Unknown = fact("release of batchgeneratorsv2; None when absent")
    threadpoolctl: str | None | Unknown = fact("release of threadpoolctl; None when absent")
    setuptools: str | None | Unknown = fact("release of setuptools; None when absent")
    wandb: str | None | Unknown = fact("release of wandb; None when absent")
    from_conda: tuple[str, ...] | Unknown = fact("packages that nnU-Net needs and that conda has installed")
    conda_torch: str | None | Unknown = fact(
        "release and build of the package pytorch that conda has in this environment; None when it has none"
    )
    hidden: tuple[Detail, ...] | Unknown = fact(
        "files of PYTHONPATH that stand before a module which nnU-Net means: file, and the name of the module"
    )
    before_user: tuple[Detail, ...] | Unknown = fact(
        "packages of the user's own folder that stand before other releases of the environment: name, and "
        "the release in use != the other"
    )
    before_path: tuple[Detail, ...] | Unknown = fact("the same for packages in folders of PYTHONPATH")
    twice: tuple[Detail, ...] | Unknown = fact(
        "packages with the metadata of two releases in one folder: name, and the release that is told != the other"
    )

    supported: bool | None | Unknown = derived(
        "whether the installed nnU-Net, or without one the newest known, accepts this Python release"
    )
    newest_nnunet: str | Unknown = derived("newest known nnU-Net release that accepts this Python release")
    too_new: bool | Unknown = derived("whether it is newer than the releases that nnU-Net's packages have wheels for")
    installs_with: str | Unknown = derived(
        "how packages get into it: pip, uv, conda (which brings pip first), ensurepip (likewise), "
        "venv (nothing can be added here: only into a new environment) or nothing"
    )
    torch_from_conda: bool | Unknown = derived("whether the torch that is found is the one that conda has installed")
    torch_over_conda: bool | Unknown = derived("whether another torch lies over the one that conda has installed")
    numpy_too_new: bool | None | Unknown = derived(
        "whether the installed torch was built for numpy 1 and meets numpy 2; None when either is absent"
    )
    numpy_too_old: bool | None | Unknown = derived(
        "whether nnU-Net or blosc2 calls what this numpy does not have; None when numpy or nnU-Net is absent"
    )
    blosc2_lacking: bool | Unknown = derived("whether acvl-utils imports blosc2 and it is absent")
    threadpoolctl_fails: bool | Unknown = derived(
        "whether threadpoolctl cannot read the OpenBLAS of this numpy, so that every worker fails"
    )
    distutils: bool | Unknown = derived("whether 'import distutils' works: from 3.12 on only with setuptools")
    on_wrong_chip: bool | Unknown = derived("whether it was built for Intel and runs on an Apple chip")
