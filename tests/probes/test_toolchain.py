"""Compilers, libcuda and the cache that torch.compile needs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from nnunet_doctor.probes import toolchain

posix = pytest.mark.skipif(sys.platform == "win32", reason="Triton looks for gcc and libcuda.so outside Windows only")
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has ldconfig and mounts with noexec")


def look(context_of, **environ):
    """Return the facts of the tool chain in this environment."""
    return toolchain.look(context_of(environ)).values


def test_no_compiler(context_of, tmp_path):
    """Without a compiler on PATH there is none."""
    values = look(context_of, PATH=str(tmp_path))

    assert (values["triton.c_compiler"], values["triton.cpp_compiler"]) == (None, None)


@posix
@pytest.mark.parametrize(
    ("names", "c", "cpp"),
    [
        (["gcc", "clang", "g++", "clang++"], "gcc", "g++"),
        (["clang", "clang++"], "clang", "clang++" if sys.platform == "darwin" else None),
        (["gcc"], "gcc", None),
        (["cc", "c++", "tcc"], None, None),
    ],
)
def test_compiler_from_path(context_of, program, tmp_path, names, c, cpp):
    """The compilers that Triton and Inductor look for are found on PATH, in their order."""
    for name in names:
        program(tmp_path, name)

    values = look(context_of, PATH=str(tmp_path))

    assert values["triton.c_compiler"] == (c and str(tmp_path / c))
    assert values["triton.cpp_compiler"] == (cpp and str(tmp_path / cpp))


def test_compiler_from_the_variable(context_of, program, tmp_path):
    """CC and CXX come before PATH."""
    cc, cxx = program(tmp_path / "conda", "x86_64-conda-linux-gnu-cc"), program(tmp_path / "conda", "conda-c++")
    program(tmp_path / "bin", "gcc")
    program(tmp_path / "bin", "g++")

    values = look(context_of, PATH=str(tmp_path / "bin"), CC=str(cc), CXX=str(cxx))

    assert (values["triton.c_compiler"], values["triton.cpp_compiler"]) == (str(cc), str(cxx))


@posix
def test_compiler_from_a_variable_that_leads_nowhere(context_of, program, tmp_path):
    """Triton takes CC at its word, so with a wrong one there is no compiler, although PATH has one."""
    program(tmp_path, "gcc")

    values = look(context_of, PATH=str(tmp_path), CC="/opt/gone/gcc")

    assert values["triton.c_compiler"] is None


@linux
def test_libcuda_from_the_variable_of_the_loader(context_of, tmp_path):
    """libcuda is found in LD_LIBRARY_PATH, and whether there is the name that a compiler links against too."""
    bare, whole = tmp_path / "bare", tmp_path / "whole"
    for folder in (bare, whole):
        folder.mkdir()
        (folder / "libcuda.so.1").touch()
    (whole / "libcuda.so").touch()

    seen = {path: look(context_of, LD_LIBRARY_PATH=str(path), TRITON_LIBCUDA_PATH="") for path in (bare, whole)}

    assert [seen[path]["triton.libcuda"] for path in (bare, whole)] == [True, True]
    assert seen[whole]["triton.libcuda_link"] is True
    assert toolchain.libcuda_folders({"LD_LIBRARY_PATH": f"{bare}::{tmp_path}"})[-1] == bare


@linux
def test_libcuda_from_the_variable_of_triton(context_of, tmp_path):
    """TRITON_LIBCUDA_PATH is taken at its word, as Triton does."""
    values = look(context_of, TRITON_LIBCUDA_PATH=str(tmp_path))

    assert (values["triton.libcuda"], values["triton.libcuda_link"]) == (True, False)


def test_cache(context_of, tmp_path, monkeypatch):
    """The cache is where torch would make it, by the variable or by the name of the user."""
    monkeypatch.setenv("LOGNAME", "a:li")
    own = look(context_of, TORCHINDUCTOR_CACHE_DIR=str(tmp_path / "cache"))
    usual = look(context_of)

    assert own["triton.cache"] == str(tmp_path / "cache")
    assert Path(usual["triton.cache"]).name == "torchinductor_a_li"


@linux
def test_cache_that_may_run_no_programs(context_of, tmp_path, monkeypatch):
    """A cache that would be made on a file system that is mounted with noexec is seen as such."""
    mounted = {"/": 0, str(tmp_path): os.ST_NOEXEC | os.ST_NOSUID}
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_flag=mounted[str(path)]))

    assert look(context_of, TORCHINDUCTOR_CACHE_DIR=f"{tmp_path}/a/b")["triton.cache_executable"] is False
    assert look(context_of, TORCHINDUCTOR_CACHE_DIR="/no/such/cache")["triton.cache_executable"] is True
