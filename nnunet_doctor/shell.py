"""Commands as the user's own shell wants them, and as packages get into the examined environment."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from typing import NamedTuple

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


def command_lines(shell: str, commands: Sequence[Sequence[str]]) -> str:
    """Return one line to paste that runs commands in turn; in Windows PowerShell 5 a failure does not end it."""
    return ("; " if shell == "powershell" else " && ").join(command_line(shell, command) for command in commands)


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


NEW_ENVIRONMENT = "nnunet-env"
"""Folder of an environment that the user is advised to make."""


class Environment(NamedTuple):
    """What is known of how packages get into the examined environment; see the facts of area python.

    Attributes:
        way: python.installs_with: pip, uv, conda, ensurepip, venv or nothing.
        python: Path of the interpreter.
        prefix: Folder of the environment.
        is_conda: Whether conda made it.
        uv: Whether uv is there.
        venv_module: Whether the interpreter can make environments by itself.
        conda: Name of the program that looks after conda's environments.
        from_conda: Distributions that conda has installed.
        torch: Installed release of torch; None without it.
        system_packages: Whether a new environment is to see the packages of this one.
        checkout: Whether nnU-Net was installed from a folder or a repository.
    """

    way: str = "pip"
    python: str = "python"
    prefix: str = ""
    is_conda: bool = False
    conda: str = "conda"
    uv: bool = False
    venv_module: bool = True
    from_conda: frozenset[str] = frozenset()
    torch: str | None = None
    system_packages: bool = False
    checkout: bool = False


def environment_of(known: Mapping[str, object]) -> Environment:
    """Return the environment that facts tell of; what is unknown counts as an ordinary one with pip."""

    def text(name: str) -> str | None:
        value = known.get(name)
        return value if isinstance(value, str) else None

    conda, packages = text("python.conda"), known.get("python.from_conda")
    name = re.split(r"[/\\]", conda or "")[-1].removesuffix(".exe")
    return Environment(
        way=text("python.installs_with") or "pip",
        python=text("python.executable") or "?",
        prefix=text("python.prefix") or "?",
        is_conda=known.get("python.environment") == "conda",
        conda=name if name in ("mamba", "micromamba") else "conda",
        uv=text("python.uv") is not None,
        venv_module=known.get("python.venv_module") is not False,
        from_conda=frozenset(packages) if isinstance(packages, tuple) else frozenset(),
        torch=text("torch.release"),
        system_packages=known.get("python.externally_managed") is not True,
        checkout=text("nnunet.origin") is not None,
    )


class Fitted(NamedTuple):
    """Commands that do in one environment what was asked for, and the keys of sentences that are to go with them."""

    commands: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


def fitted(command: Sequence[str], environment: Environment) -> Fitted:
    """Say how a command is to be given in an environment.

    Commands of conda go to the program that is there; those that install with pip become what works: uv where there
    is no pip, conda for what conda has installed, and a new environment where nothing can be added to this one.
    """
    if command[0] == "conda":
        return Fitted(((environment.conda, *command[1:]),))
    if tuple(command[1:4]) != ("-m", "pip", "install") or command[0] != environment.python:
        return Fitted((tuple(command),))
    if environment.way == "venv":
        return _in_new_environment(environment)
    words = _words(command[4:])
    for_conda = [word for word in words if _is_of_conda(word[0], environment)]
    rest = [word for word in words if word not in for_conda]
    commands: list[tuple[str, ...]] = []
    if for_conda:
        commands.append(_with_conda(for_conda, rest, environment))
        rest = [word for word in rest if not word[0].endswith("index-url")]
    if any(not word[0].startswith("-") for word in rest):
        commands += _with_pip([item for word in rest for item in word], environment)
    replaces = environment.checkout and any(_project(word[0]) == "nnunetv2" for word in rest)
    return Fitted(tuple(commands), ("install_conda",) * bool(for_conda) + ("install_checkout",) * replaces)


_WITH_VALUE = frozenset({"--index-url", "--extra-index-url", "--find-links", "--upgrade-strategy", "-c", "-r"})


def _words(arguments: Sequence[str]) -> list[tuple[str, ...]]:
    """Put each option of pip together with its value."""
    words: list[tuple[str, ...]] = []
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        words.append((word, rest.pop(0)) if word in _WITH_VALUE and rest else (word,))
    return words


_OF_TORCH = frozenset({"torch", "torchvision", "torchaudio", "triton"})


def _is_of_conda(word: str, environment: Environment) -> bool:
    """Say whether a requirement changes what conda has installed; torch held at its release changes nothing."""
    name = _project(word)
    if word.startswith("-") or word == f"torch=={environment.torch}":
        return False
    return name in environment.from_conda or (name in _OF_TORCH and "torch" in environment.from_conda)


def _project(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[^A-Za-z0-9._-]", requirement, maxsplit=1)[0]).lower()


def _with_conda(
    words: Sequence[tuple[str, ...]], others: Sequence[tuple[str, ...]], environment: Environment
) -> tuple[str, ...]:
    """Return the command of conda; conda-forge calls torch pytorch, pytorch-gpu with CUDA and pytorch-cpu without."""
    index = next((word[1].rpartition("/")[2] for word in others if word[0] == "--index-url"), "")
    torch = "pytorch-gpu" if index.startswith("cu") else "pytorch-cpu" if index == "cpu" else "pytorch"
    specs = []
    for (word,) in words:
        name = _project(word)
        range_ = re.sub(r"==([^,]+?)(\.\*)?(?=,|$)", r"=\1", word[len(name) :])
        specs.append((torch if name == "torch" else name) + range_)
    kept = [word[0] for word in others if word[0] in ("--force-reinstall", "--no-deps")]
    return (environment.conda, "install", "-p", environment.prefix, "-c", "conda-forge", *kept, *specs)


def _with_pip(arguments: Sequence[str], environment: Environment) -> list[tuple[str, ...]]:
    python = environment.python
    pip = (python, "-m", "pip", "install", *arguments)
    if environment.way == "uv":
        return [("uv", "pip", "install", "--python", python, *arguments)]
    if environment.way == "conda":
        return [(environment.conda, "install", "-p", environment.prefix, "pip"), pip]
    return [(python, "-m", "ensurepip", "--upgrade"), pip] if environment.way == "ensurepip" else [pip]


def _in_new_environment(environment: Environment) -> Fitted:
    """Return how to make an environment, the only thing that can be done; what goes into it is told by a look at it."""
    notes = ("install_read_only" if environment.system_packages else "install_managed",)
    if environment.is_conda:
        return Fitted(((environment.conda, "create", "-n", NEW_ENVIRONMENT, "python=3.12"),), notes)
    seeing = ("--system-site-packages",) if environment.system_packages else ()
    if not environment.venv_module and environment.uv:
        return Fitted((("uv", "venv", "--seed", "--python", environment.python, *seeing, NEW_ENVIRONMENT),), notes)
    make = (environment.python, "-m", "venv", *seeing, NEW_ENVIRONMENT)
    # only Debian and its kin take ensurepip out of Python
    first = () if environment.venv_module else (("sudo", "apt", "install", "python3-venv"),)
    return Fitted((*first, make), notes)
