"""Commands as the user's own shell wants them: POSIX, PowerShell or cmd."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence

SHELLS = ("posix", "powershell", "cmd")

_PLAIN = re.compile(r"[A-Za-z0-9_./\\:=+,@%^-]+")


def command_line(shell: str, command: Sequence[str], env: Mapping[str, str] | None = None) -> str:
    """Return one line to paste: the environment variables, then the command.

    Args:
        shell: posix, powershell or cmd.
        command: Program and arguments.
        env: Variables for this command; in PowerShell and cmd they stay set in the window.
    """
    variables = env or {}
    if shell == "powershell":
        words = [_powershell(word) for word in command]
        call = ["&", *words] if words[0] != command[0] else words
        return "; ".join(
            [*(f"$env:{name}={_powershell(value, always=True)}" for name, value in variables.items()), " ".join(call)]
        )
    if shell == "cmd":
        return " && ".join([*(f'set "{name}={value}"' for name, value in variables.items()), _cmd(command)])
    return " ".join([*(f"{name}={shlex.quote(value)}" for name, value in variables.items()), shlex.join(command)])


def set_variable(shell: str, name: str, value: str) -> str:
    """Return the line that sets a variable in this window."""
    if shell == "powershell":
        return f"$env:{name}={_powershell(value, always=True)}"
    if shell == "cmd":
        return f'set "{name}={value}"'
    return f"export {name}={shlex.quote(value)}"


def _powershell(word: str, *, always: bool = False) -> str:
    plain = not always and _PLAIN.fullmatch(word) and not word.startswith("@") and "," not in word
    return word if plain else "'" + word.replace("'", "''") + "'"


def _cmd(command: Sequence[str]) -> str:
    """Quote for the C runtime, and also what cmd itself would take as an operator."""
    words = [subprocess.list2cmdline([word]) for word in command]
    return " ".join(
        f'"{word}"' if re.search(r"[&|<>^()]", word) and not word.startswith('"') else word for word in words
    )
