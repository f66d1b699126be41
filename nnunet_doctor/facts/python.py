"""Facts about the interpreter under examination."""

from __future__ import annotations

from nnunet_doctor.facts.base import Unknown, derived, fact


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

    supported: bool | None | Unknown = derived(
        "whether the installed nnU-Net, or without one the newest known, accepts this Python release"
    )
    newest_nnunet: str | Unknown = derived("newest known nnU-Net release that accepts this Python release")
