"""Facts about nnU-Net's environment variables and the command that PATH finds."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from nnunet_doctor.errors import nearest_word
from nnunet_doctor.facts import Detail, Unknown
from nnunet_doctor.facts.tables import table
from nnunet_doctor.probes.base import Context, Notes

V1_VARIABLES = ("nnUNet_raw_data_base", "RESULTS_FOLDER")
_NOT_NNUNETS = re.compile(r"nnunet_doctor|nnunetv?2?_docker", re.IGNORECASE)


def look(context: Context) -> Notes:
    """Note the facts of area nnunet that need no interpreter."""
    notes = Notes()
    environ = context.environ
    notes.see("nnUNet_compile", nnunet__compile_variable=environ.get("nnUNet_compile"))
    notes.see("nnUNet_n_proc_DA", nnunet__workers_variable=environ.get("nnUNet_n_proc_DA"))
    notes.see("nnUNet_def_n_proc", nnunet__processes_variable=environ.get("nnUNet_def_n_proc"))
    loading = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
    notes.see(loading, nnunet__load_variable=environ.get(loading))
    notes.see(
        "environment",
        nnunet__unknown_variables=unknown_variables(environ),
        nnunet__v1_variables=tuple(Detail(name, environ[name]) for name in V1_VARIABLES if name in environ),
        nnunet__variables=tuple(Detail(name, environ[name]) for name in known_variables() if name in environ),
        nnunet__trainers_missing=_missing(environ.get("nnUNet_extTrainer", "")),
    )
    command = shutil.which("nnUNetv2_train", path=environ.get("PATH", os.defpath))
    here = None if command is None else _belongs(Path(command), context.python)
    notes.see("PATH", nnunet__command=command, nnunet__command_here=here)
    return notes


def _missing(folders: str) -> tuple[Detail, ...]:
    """List the folders of nnUNet_extTrainer that nnU-Net passes over without a word (utilities/find_objects.py)."""
    return tuple(Detail(item) for item in folders.split(os.pathsep) if item.strip() and not Path(item).exists())


def _scripts(python: Path) -> Path:
    """Return the folder of scripts beside an interpreter: its own folder, or Scripts below it with conda on Windows."""
    below = python.parent / "Scripts"
    return below if os.name == "nt" and below.is_dir() else python.parent


_SHIMS = re.compile(r"[/\\]\.?(pyenv|pyenv-win|asdf|mise|rtx)[/\\]shims$")


def _belongs(command: Path, python: Path) -> bool | Unknown:
    """Say whether a command lies beside an interpreter or, as after ``pip install --user``, is started by it."""
    if command.resolve().parent == _scripts(python).resolve():
        return True
    if _SHIMS.search(str(command.parent)):
        return Unknown(f"{command} starts what its version manager has chosen")
    if command.suffix.lower() == ".exe":
        return _starts(command, python)
    try:
        with command.open("rb") as file:
            start = file.read(2000).decode("utf-8", "replace")
    except OSError:
        return False
    # the second form is pip's for paths that are long or have blanks
    named = re.findall(r"""^(?:#!|'''exec' "?)\s*(/.*)/python[^/\n]*$""", start, re.MULTILINE)
    return bool(named) and Path(named[-1]).resolve() == python.parent.resolve()


def _starts(launcher: Path, python: Path) -> bool:
    """Say whether a launcher of Windows starts an interpreter: pip and uv write its path behind the program."""
    try:
        with launcher.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - LAUNCHER_TAIL))
            end = file.read().decode("utf-8", "replace").lower()
    except OSError:
        return False
    return any(f"{folder}{os.sep}python".lower() in end for folder in {python.parent, python.parent.resolve()})


LAUNCHER_TAIL = 65_536
"""Bytes at the end of a launcher that hold the path of its interpreter and a small archive."""


def known_variables() -> tuple[str, ...]:
    """List every variable that some release reads."""
    names = ["nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"]
    for row in table("nnunet")["release"]:
        names += row["variables"]
    return tuple(dict.fromkeys(names))


def unknown_variables(environ: Mapping[str, str]) -> tuple[Detail, ...]:
    """List variables that begin like nnU-Net's and that no release reads, with the nearest one that it does."""
    known = known_variables()
    folded = {name.lower(): name for name in known}
    found = []
    for name in sorted(environ):
        strange = name.lower().startswith("nnunet") and name not in known and name not in V1_VARIABLES
        # Windows keeps no case in the names of variables
        if not strange or _NOT_NNUNETS.match(name) or (os.name == "nt" and name.lower() in folded):
            continue
        near = folded.get(name.lower()) or nearest_word(name, known)
        found.append(Detail(name, near))
    return tuple(found)
