"""Facts about Triton and what torch.compile needs around it."""

from __future__ import annotations

from nnunet_doctor.facts.base import Detail, Unknown, derived, fact


class TritonFacts:
    """Triton, compilers and caches that torch.compile uses."""

    package: str | None | Unknown = fact("distribution that provides it: triton, triton-windows, ...; None when absent")
    version: str | None | Unknown = fact("its release; None when absent")
    importable: bool | Unknown = fact("whether 'import triton' works")
    import_error: str | None | Unknown = fact("what 'import triton' failed with; None when it worked or is absent")
    distributions: tuple[str, ...] | None | Unknown = fact(
        "every distribution that brings a package named triton, as NAME VERSION; empty or None without any"
    )
    required: str | None | Unknown = fact(
        "what the metadata of torch ask of Triton for this Python and system, such as 'triton==3.4.0'; None for nothing"
    )
    variables: tuple[Detail, ...] | None | Unknown = fact(
        "variables of torch.compile and Triton that change what a training does and are set: name and value"
    )
    c_compiler: str | None | Unknown = fact("C compiler that Triton would call: $CC, gcc, clang or cl; None for none")
    cc_variable: str | None | Unknown = fact("value of CC; None when unset")
    c_compiler_version: str | None | Unknown = fact(
        "kind and release of that compiler, such as 'gcc 12.2.0'; None without one, on Windows, or when it does not say"
    )
    cpp_compiler: str | None | Unknown = fact("C++ compiler that Inductor would call on CPU; None for none")
    openmp: bool | None | Unknown = fact(
        "on a Mac: whether omp.h and libomp lie where Inductor looks for them; None elsewhere"
    )
    libcuda: bool | None | Unknown = fact("whether Triton finds libcuda.so.1; None outside Linux")
    libcuda_link: bool | None | Unknown = fact(
        "whether an unversioned libcuda.so lies beside it, or where the linker looks; None without libcuda.so.1"
    )
    cache: str | Unknown = fact("folder that compiled kernels go to")
    cache_executable: bool | None | Unknown = fact(
        "whether programs may run from that folder; None when not known to matter"
    )
    cache_writable: bool | None | Unknown = fact("whether that folder is there and takes files, or can be made")
    cache_there: bool | None | Unknown = fact("whether that folder exists already")
    cache_free_gib: float | None | Unknown = fact("free space there")
    own_cache: str | None | Unknown = fact(
        "folder in which Triton itself keeps its launcher: TRITON_CACHE_DIR, or .triton/cache in TRITON_HOME or at home"
    )
    own_cache_executable: bool | None | Unknown = fact(
        "whether programs may run from that folder; None when not known to matter"
    )
    own_cache_writable: bool | None | Unknown = fact("whether that folder is there and takes files, or can be made")
    own_cache_free_gib: float | None | Unknown = fact("free space there")

    wanted: str | None | Unknown = derived("Triton release that this torch was built for; None when there is none")
    wanted_package: str | None | Unknown = derived(
        "distribution that provides it: triton or triton-windows; None for none"
    )
    fits: bool | None | Unknown = derived("whether the installed release is the wanted one; None when either is absent")
    newest_known: str | Unknown = derived("newest release that the table of releases holds")
    newer_than_known: bool | Unknown = derived("whether the release is newer than the table")
    compile_off: str | None | Unknown = derived(
        "variable that makes torch.compile do nothing, or swallow its errors, as NAME=value; None for none"
    )
    c_compiler_lacking: str | None | Unknown = derived(
        "on Linux without a C compiler: 'variable' when CC names one that there is not, else 'none'; None otherwise"
    )
    links_libcuda_so: bool | None | Unknown = derived(
        "whether this release links its launcher with the unversioned libcuda.so; None when absent"
    )
    gcc_too_old: bool | None | Unknown = derived(
        "whether the C compiler refuses the C code of this release by default; None when either is absent"
    )
    gpus_too_new: tuple[str, ...] | None | Unknown = derived(
        "GPUs that the assembler of this release does not know, as NAME (capability); None when that cannot be told"
    )
    assembler_cuda: str | None | Unknown = derived(
        "CUDA release of the assembler that it brings for these GPUs; None when absent, or when another one is set"
    )
    driver_behind: bool | None | Unknown = derived(
        "whether the NVIDIA driver belongs to an older CUDA major release than that assembler; None without either"
    )
    threads_unusable: str | None | Unknown = derived(
        "value of TORCHINDUCTOR_COMPILE_THREADS when it is no number; None otherwise"
    )
    compile_lost: bool | Unknown = derived("whether nnU-Net would compile if that variable were not set")
    compile_word: str | None | Unknown = derived(
        "value of nnUNet_compile that means neither on nor off, where nnU-Net would compile if it meant on"
    )
    noisy: tuple[Detail, ...] | Unknown = derived("variables that fill the log with what torch.compile does")
    free_threaded_fits: bool | None | Unknown = derived(
        "whether torch.compile of this torch accepts this free-threaded Python; None for other builds of Python"
    )
    cache_needed: bool | Unknown = derived("whether the training cannot start without the folder for compiled kernels")
    unmakeable: tuple[Detail, ...] | Unknown = derived(
        "folders of that kind that are needed and take no files: variable that moves it, and folder"
    )
    no_exec: tuple[Detail, ...] | Unknown = derived(
        "folders of that kind that are needed and run no programs: variable that moves it, and folder"
    )
    nearly_full: tuple[Detail, ...] | Unknown = derived(
        "folders of that kind that are needed and have no room: variable that moves it, and folder"
    )
    cache_breaks_commands: bool | Unknown = derived(
        "whether the compiler on the CPU would be called with a path that a blank or quote cuts in pieces"
    )
