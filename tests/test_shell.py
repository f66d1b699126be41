"""Commands come out as the user's shell wants them."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from nnunet_doctor.shell import command_line, command_lines, environment_of, fitted, set_variable

HARD = [
    "plain",
    "with blank",
    "it's",
    'say "x"',
    "$HOME",
    "a;b",
    "a&b",
    "100%",
    "back\\slash",
    "数据",
    "a|b",
    "*",
    "!x",
    "(x)",
    "",
]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize("word", HARD)
def test_posix_shell_reads_back_what_was_meant(word: str) -> None:
    """A pasted line hands over every argument and variable unchanged."""
    show = "import os, sys; print(repr((sys.argv[1], os.environ['SOME_VARIABLE'])))"
    line = command_line("posix", [sys.executable, "-c", show, word], {"SOME_VARIABLE": word})
    done = subprocess.run(["/bin/sh", "-c", line], capture_output=True, encoding="utf-8", check=True)

    assert done.stdout.strip() == repr((word, word))


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize("word", HARD)
def test_posix_export_sets_what_was_meant(word: str) -> None:
    """The line that sets a variable sets that value."""
    line = f'{set_variable("posix", "SOME_VARIABLE", word)}; "{sys.executable}" -c "import os; print(repr(os.environ[\'SOME_VARIABLE\']))"'
    done = subprocess.run([shutil.which("sh") or "sh", "-c", line], capture_output=True, encoding="utf-8", check=True)

    assert done.stdout.strip() == repr(word)


@pytest.mark.parametrize(
    ("command", "env", "line"),
    [
        (["C:\\nn\\nnUNetv2_train.exe", "10", "2d", "3"], {"nnUNet_compile": "false"},
         "$env:nnUNet_compile='false'; C:\\nn\\nnUNetv2_train.exe 10 2d 3"),
        (["C:\\Program Files\\py\\nnUNetv2_train.exe", "10"], {}, "& 'C:\\Program Files\\py\\nnUNetv2_train.exe' 10"),
        (["pip", "install", "nnunetv2>=2.8", "it's", "@x", "a,b"], {}, "pip install 'nnunetv2>=2.8' 'it''s' '@x' 'a,b'"),
        (["C:\\用户\\python.exe", "-V"], {}, "& 'C:\\用户\\python.exe' -V"),
    ],
)  # fmt: skip
def test_powershell(command: list[str], env: dict[str, str], line: str) -> None:
    """PowerShell sets variables by $env:, calls a quoted program by &, and doubles single quotes."""
    assert command_line("powershell", command, env) == line


@pytest.mark.parametrize(
    ("command", "env", "line"),
    [
        (["C:\\nn\\nnUNetv2_train.exe", "10", "2d"], {"nnUNet_compile": "false"},
         'set "nnUNet_compile=false" && C:\\nn\\nnUNetv2_train.exe 10 2d'),
        (["C:\\Program Files\\py\\python.exe", "-V"], {}, '"C:\\Program Files\\py\\python.exe" -V'),
        (["pip", "install", "nnunetv2>=2.8"], {}, 'pip install "nnunetv2>=2.8"'),
    ],
)  # fmt: skip
def test_cmd(command: list[str], env: dict[str, str], line: str) -> None:
    """cmd keeps the value free of blanks by quoting the whole assignment, and quotes what it would take as an operator."""
    assert command_line("cmd", command, env) == line


PYTHON = "/env/bin/python"
CUDA = "https://download.pytorch.org/whl/cu126"
TORCH = [PYTHON, "-m", "pip", "install", "--upgrade", "torch>=2.1.2,!=2.9.*", "torchvision", "--index-url", CUDA]
HELD = [PYTHON, "-m", "pip", "install", "nnunetv2==2.8.1", "torch==2.5.1"]
BOTH = [PYTHON, "-m", "pip", "install", "--force-reinstall", "--no-deps", "scipy", "scikit-image"]
KNOWN = {"python.executable": PYTHON, "python.prefix": "/env", "torch.release": "2.5.1", "python.installs_with": "pip"}
CONDA = KNOWN | {"python.environment": "conda", "python.from_conda": ("torch", "scipy"), "python.conda": "/c/bin/conda"}
MANAGED = KNOWN | {"python.installs_with": "venv", "python.externally_managed": True}
READ_ONLY = KNOWN | {"python.installs_with": "venv", "python.externally_managed": False}


@pytest.mark.parametrize(
    ("command", "known", "line", "notes"),
    [
        (HELD, {}, "/env/bin/python -m pip install nnunetv2==2.8.1 torch==2.5.1", ()),
        (HELD, KNOWN, "/env/bin/python -m pip install nnunetv2==2.8.1 torch==2.5.1", ()),
        (
            HELD,
            KNOWN | {"python.installs_with": "uv"},
            "uv pip install --python /env/bin/python nnunetv2==2.8.1 torch==2.5.1",
            (),
        ),
        (
            HELD,
            KNOWN | {"python.installs_with": "ensurepip"},
            "/env/bin/python -m ensurepip --upgrade && /env/bin/python -m pip install nnunetv2==2.8.1 torch==2.5.1",
            (),
        ),
        (
            HELD,
            KNOWN | {"python.installs_with": "conda", "python.conda": "C:\\m\\micromamba.exe"},
            "micromamba install -p /env pip && /env/bin/python -m pip install nnunetv2==2.8.1 torch==2.5.1",
            (),
        ),
        (HELD, CONDA, "/env/bin/python -m pip install nnunetv2==2.8.1 torch==2.5.1", ()),
        (
            TORCH,
            CONDA,
            "conda install -p /env -c conda-forge 'pytorch-gpu>=2.1.2,!=2.9.*' torchvision",
            ("install_conda",),
        ),
        (
            [*TORCH[:5], "torch==2.8.*", "torchvision==0.23.0", "--index-url", CUDA.replace("cu126", "cpu")],
            CONDA,
            "conda install -p /env -c conda-forge pytorch-cpu=2.8 torchvision=0.23.0",
            ("install_conda",),
        ),
        (
            BOTH,
            CONDA,
            (
                "conda install -p /env -c conda-forge --force-reinstall --no-deps scipy && "
                "/env/bin/python -m pip install --force-reinstall --no-deps scikit-image"
            ),
            ("install_conda",),
        ),
        (HELD, KNOWN | {"nnunet.origin": "file:///home/li/nnUNet"}, " ".join(HELD), ("install_checkout",)),
        (TORCH, MANAGED, "/env/bin/python -m venv nnunet-env", ("install_managed",)),
        (TORCH, READ_ONLY, "/env/bin/python -m venv --system-site-packages nnunet-env", ("install_read_only",)),
        (
            TORCH,
            MANAGED | {"python.venv_module": False},
            "sudo apt install python3-venv && /env/bin/python -m venv nnunet-env",
            ("install_managed",),
        ),
        (
            TORCH,
            MANAGED | {"python.venv_module": False, "python.uv": "/usr/bin/uv"},
            "uv venv --seed --python /env/bin/python nnunet-env",
            ("install_managed",),
        ),
        (
            TORCH,
            READ_ONLY | {"python.environment": "conda"},
            "conda create -n nnunet-env python=3.12",
            ("install_read_only",),
        ),
        (["conda", "activate", "/env"], CONDA | {"python.conda": "/usr/bin/mamba"}, "mamba activate /env", ()),
        (["nnUNetv2_train", "-h"], MANAGED, "nnUNetv2_train -h", ()),
        ([PYTHON, "-m", "ensurepip", "--upgrade"], MANAGED, "/env/bin/python -m ensurepip --upgrade", ()),
    ],
)
def test_commands_that_install_are_those_that_work_here(
    command: list[str], known: dict[str, object], line: str, notes: tuple[str, ...]
) -> None:
    """uv without pip, conda for what conda installed, a new environment where nothing can be added; all else stays."""
    done = fitted(command, environment_of(known))

    assert command_lines("posix", done.commands) == line
    assert done.notes == notes


@pytest.mark.parametrize(
    ("shell", "line"),
    [
        ("posix", "conda install -p /env pip && /env/bin/python -m pip install 'numpy>=2'"),
        ("powershell", "conda install -p /env pip; /env/bin/python -m pip install 'numpy>=2'"),
        ("cmd", 'conda install -p /env pip && /env/bin/python -m pip install "numpy>=2"'),
    ],
)
def test_commands_in_turn(shell: str, line: str) -> None:
    """Two commands are one line in every shell; Windows PowerShell 5 knows no &&."""
    command = [PYTHON, "-m", "pip", "install", "numpy>=2"]

    assert (
        command_lines(shell, fitted(command, environment_of(KNOWN | {"python.installs_with": "conda"})).commands)
        == line
    )
