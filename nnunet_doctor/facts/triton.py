"""Facts about Triton and what torch.compile needs around it."""

from __future__ import annotations

from nnunet_doctor.facts.base import Unknown, derived, fact


class TritonFacts:
    """Triton, compilers and caches that torch.compile uses."""

    package: str | None | Unknown = fact("distribution that provides it: triton, triton-windows, ...; None when absent")
    version: str | None | Unknown = fact("its release; None when absent")
    importable: bool | Unknown = fact("whether 'import triton' works")
    import_error: str | None | Unknown = fact("what 'import triton' failed with; None when it worked or is absent")
    c_compiler: str | None | Unknown = fact("C compiler that Triton would call: $CC, gcc, clang or cl; None for none")
    cpp_compiler: str | None | Unknown = fact("C++ compiler that Inductor would call on CPU; None for none")
    libcuda: bool | None | Unknown = fact("whether the loader finds libcuda.so.1; None outside Linux")
    libcuda_link: bool | None | Unknown = fact("whether an unversioned libcuda.so lies beside it; None without it")
    cache: str | Unknown = fact("folder that compiled kernels go to")
    cache_executable: bool | None | Unknown = fact(
        "whether programs may run from that folder; None when not known to matter"
    )

    wanted: str | None | Unknown = derived("Triton release that this torch was built for; None when there is none")
    wanted_package: str | None | Unknown = derived(
        "distribution that provides it: triton or triton-windows; None for none"
    )
    fits: bool | None | Unknown = derived("whether the installed release is the wanted one; None when either is absent")
