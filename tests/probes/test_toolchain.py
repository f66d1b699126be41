"""Compilers, libcuda and the cache that torch.compile needs."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from nnunet_doctor.facts import Detail, Unknown
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


@posix
def test_an_empty_variable_names_no_compiler(context_of, program, tmp_path):
    """CC set to nothing is a name too for Triton, of a program that there is not; what CC holds is told."""
    program(tmp_path, "gcc")

    values = look(context_of, PATH=str(tmp_path), CC="")

    assert (values["triton.c_compiler"], values["triton.cc_variable"]) == (None, "")


@posix
def test_compiler_that_tells_its_release(context_of, program, tmp_path):
    """The compiler is asked for its release; one that says nothing of use leaves it unknown to nobody's harm."""
    program(tmp_path / "old", "gcc", f"#!/bin/sh\ncat <<'END'\n{CENTOS7}END\n")
    program(tmp_path / "mute", "gcc", "#!/bin/sh\nexit 1\n")

    told = [look(context_of, PATH=f"{tmp_path / name}:/bin:/usr/bin") for name in ("old", "mute")]

    assert [values["triton.c_compiler_version"] for values in told] == ["gcc 4.8.5", None]


CENTOS7 = """gcc (GCC) 4.8.5 20150623 (Red Hat 4.8.5-44)
Copyright (C) 2015 Free Software Foundation, Inc.
This is free software; see the source for copying conditions.  There is NO
warranty; not even for MERCHANTABILITY or FITNESS FOR A PARTICULAR PURPOSE.

"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (CENTOS7, "gcc 4.8.5"),
        ("gcc (Debian 12.2.0-14+deb12u1) 12.2.0\nCopyright (C) 2022 Free Software Foundation, Inc.\n", "gcc 12.2.0"),
        ("cc (conda-forge gcc 13.3.0-2) 13.3.0\nCopyright (C) 2023 Free Software Foundation, Inc.\n", "gcc 13.3.0"),
        ("Ubuntu clang version 14.0.0-1ubuntu1.1\nTarget: x86_64-pc-linux-gnu\n", "clang 14.0.0"),
        ("clang version 3.4.2 (tags/RELEASE_34/dot2-final)\n", "clang 3.4.2"),
        ("icc (ICC) 19.0.5.281 20190815\nCopyright (C) 1985-2019 Intel Corporation.  All rights reserved.\n", None),
        ("nvc 24.3-0 64-bit target on x86-64 Linux -tp zen3\n", None),
        ("", None),
    ],
)
def test_what_compilers_say_of_themselves(text, expected):
    """Kind and release are read from the first line; what is neither gcc nor clang is not taken for one."""
    assert toolchain.kind_and_release(text) == expected


def test_openmp_of_a_mac(tmp_path):
    """OpenMP counts where Inductor looks: OMP_PREFIX, the environment of conda, Homebrew's libomp."""
    header = tmp_path / "opt" / "libomp" / "include" / "omp.h"
    header.parent.mkdir(parents=True)
    header.touch()

    assert toolchain.has_openmp({"OMP_PREFIX": str(header.parents[1])})
    assert toolchain.has_openmp({"HOMEBREW_PREFIX": str(tmp_path)})
    assert not toolchain.has_openmp({"CONDA_PREFIX": str(tmp_path)})


@linux
def test_libcuda_where_the_linker_looks(tmp_path):
    """A libcuda.so in LIBRARY_PATH, or in a folder that linkers search by themselves, serves as well as one beside."""
    beside, stubs, root = tmp_path / "driver", tmp_path / "stubs", tmp_path / "root"
    for folder in (beside, stubs, root / "usr" / "lib64"):
        folder.mkdir(parents=True)
    found = [toolchain.is_linkable([beside], {"LIBRARY_PATH": f":{stubs}"}, root)]
    (stubs / "libcuda.so").touch()
    found.append(toolchain.is_linkable([beside], {"LIBRARY_PATH": f":{stubs}"}, root))
    found.append(toolchain.is_linkable([beside], {}, root))
    (root / "usr" / "lib64" / "libcuda.so").touch()
    found.append(toolchain.is_linkable([beside], {}, root))

    assert found == [False, True, False, True]


@linux
def test_libcuda_from_the_variable_of_the_loader(context_of, program, tmp_path, monkeypatch):
    """libcuda is found in LD_LIBRARY_PATH, and whether there is the name that a compiler links against too."""
    monkeypatch.setattr(toolchain, "LDCONFIG", str(program(tmp_path / "sbin", "ldconfig")))
    bare, whole = tmp_path / "bare", tmp_path / "whole"
    for folder in (bare, whole):
        folder.mkdir()
        (folder / "libcuda.so.1").touch()
    (whole / "libcuda.so").touch()

    seen = {path: look(context_of, LD_LIBRARY_PATH=str(path), TRITON_LIBCUDA_PATH="") for path in (bare, whole)}

    assert [seen[path]["triton.libcuda"] for path in (bare, whole)] == [True, True]
    assert seen[whole]["triton.libcuda_link"] is True
    assert toolchain.libcuda_folders({"LD_LIBRARY_PATH": f"{bare}::{tmp_path}"}) == [bare]


LISTED = """1234 libs found in cache `/etc/ld.so.cache'
\tlibcudart.so.12 (libc6,x86-64) => /usr/local/cuda/lib64/libcudart.so.12
\tlibcuda.so.1 (libc6,x86-64) => {folder}/x86_64/libcuda.so.1
\tlibcuda.so.1 (libc6) => {folder}/i386/libcuda.so.1
"""


@linux
def test_libcuda_from_the_list_of_the_loader(program, tmp_path, monkeypatch):
    """Folders of 64 bits in the list of ldconfig count, and then LD_LIBRARY_PATH is not read, as Triton does."""
    for name in ("x86_64", "i386", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "libcuda.so.1").touch()
    text = f"#!/bin/sh\ncat <<'END'\n{LISTED.format(folder=tmp_path)}END\n"
    monkeypatch.setattr(toolchain, "LDCONFIG", str(program(tmp_path / "sbin", "ldconfig", text)))

    assert toolchain.libcuda_folders({"LD_LIBRARY_PATH": str(tmp_path / "other")}) == [tmp_path / "x86_64"]


@linux
def test_libcuda_without_ldconfig(tmp_path, monkeypatch):
    """Where there is no ldconfig Triton finds nothing, whatever LD_LIBRARY_PATH says; its own variable helps."""
    (tmp_path / "libcuda.so.1").touch()
    monkeypatch.setattr(toolchain, "LDCONFIG", str(tmp_path / "ldconfig"))

    found = [toolchain.libcuda_folders({name: str(tmp_path)}) for name in ("LD_LIBRARY_PATH", "TRITON_LIBCUDA_PATH")]

    assert found == [[], [tmp_path]]


@linux
def test_libcuda_from_the_variable_of_triton(context_of, tmp_path):
    """TRITON_LIBCUDA_PATH is taken at its word, as Triton does."""
    values = look(context_of, TRITON_LIBCUDA_PATH=str(tmp_path))

    assert (values["triton.libcuda"], values["triton.libcuda_link"]) == (True, False)


def test_variables_of_torch_compile(context_of):
    """Variables that switch torch.compile off, or make it talk, are seen with their values; others are not."""
    values = look(context_of, TORCHDYNAMO_DISABLE="1", TORCH_LOGS="+dynamo", TORCH_HOME="/data")

    assert values["triton.variables"] == (Detail("TORCHDYNAMO_DISABLE", "1"), Detail("TORCH_LOGS", "+dynamo"))


@posix
@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"HOME": "/home/li"}, "/home/li/.triton/cache"),
        ({"HOME": "/home/li", "TRITON_HOME": "/scratch/li"}, "/scratch/li/.triton/cache"),
        ({"HOME": "/home/li", "TRITON_HOME": "/scratch/li", "TRITON_CACHE_DIR": "/tmp/t"}, "/tmp/t"),
        ({"HOME": "/"}, "/.triton/cache"),
    ],
)
def test_cache_of_triton_itself(environ, expected):
    """Triton keeps its launcher at home, unless a variable names another place."""
    assert toolchain.own_cache(environ).as_posix() == expected


def test_caches_that_take_files(context_of, tmp_path):
    """A cache that is not there yet counts as its nearest folder; one that a file stands in the way of takes nothing."""
    (tmp_path / "file").touch()
    values = look(
        context_of, TORCHINDUCTOR_CACHE_DIR=str(tmp_path / "a" / "b"), TRITON_CACHE_DIR=str(tmp_path / "file" / "c")
    )

    assert (values["triton.cache_writable"], values["triton.own_cache_writable"]) == (True, False)
    assert values["triton.cache_free_gib"] > 0
    assert not (tmp_path / "a").exists()


@linux
def test_a_cache_where_nobody_can_write(context_of):
    """Not even root makes a folder in /proc."""
    assert look(context_of, TORCHINDUCTOR_CACHE_DIR="/proc/no/cache")["triton.cache_writable"] is False


def test_cache_of_a_user_without_a_name(context_of, monkeypatch):
    """Torch takes the number of a user that has no name; nothing of that is an error for the doctor."""

    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr(toolchain.getpass, "getuser", nameless)

    assert re.search(r"torchinductor_(uid_\d+|unknown_user)$", str(look(context_of)["triton.cache"]))


def test_cache_without_a_folder_for_temporary_files(context_of, monkeypatch):
    """Where nothing temporary can be written, torch has no place for its cache either, and that is the reason told."""

    def nowhere() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(toolchain.tempfile, "gettempdir", nowhere)

    values = look(context_of)

    assert isinstance(values["triton.cache"], Unknown)
    assert values["triton.cache_writable"] == values["triton.cache"]


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
    real = os.statvfs
    mounted = {"/": 0, str(tmp_path): os.ST_NOEXEC | os.ST_NOSUID}

    def statvfs(path):
        seen = real(path)
        return SimpleNamespace(
            f_flag=mounted.get(str(path), 0), f_frsize=seen.f_frsize, f_blocks=seen.f_blocks,
            f_bfree=seen.f_bfree, f_bavail=seen.f_bavail,
        )  # fmt: skip

    monkeypatch.setattr(os, "statvfs", statvfs)
    values = look(context_of, TORCHINDUCTOR_CACHE_DIR=f"{tmp_path}/a/b", TRITON_CACHE_DIR="/no/such/cache")

    assert (values["triton.cache_executable"], values["triton.own_cache_executable"]) == (False, True)
