"""Commands come out as the user's shell wants them."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from nnunet_doctor.shell import command_line, set_variable

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
