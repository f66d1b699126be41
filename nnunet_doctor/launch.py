"""The only module that starts nnU-Net: its command, its process group, its output, its end."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_doctor import processes
from nnunet_doctor.facts import Facts

ENTRY_POINTS = {
    "nnUNetv2_train": "nnunetv2.run.run_training:run_training_entry",
    "nnUNetv2_plan_and_preprocess": (
        "nnunetv2.experiment_planning.plan_and_preprocess_entrypoints:plan_and_preprocess_entry"
    ),
    "nnUNetv2_preprocess": "nnunetv2.experiment_planning.plan_and_preprocess_entrypoints:preprocess_entry",
}
"""Console scripts of nnunetv2 (entry points of its distribution) that the doctor starts."""


@dataclass(frozen=True)
class Ended:
    """How a child ended.

    Attributes:
        code: Its exit status as a shell would give it: 128 + n for signal n.
        seconds: The time it took.
        interrupted: Whether it was told to end, by the user or by who ended the doctor.
        logs: Files that hold its output: the log and, where its disk became full, one in the temporary folder.
    """

    code: int
    seconds: float
    interrupted: bool = False
    logs: tuple[Path, ...] = ()

    @property
    def signal_name(self) -> str | None:
        """Name of the signal that ended it; None for an ordinary exit."""
        if self.code <= 128 or os.name == "nt":
            return None
        try:
            return signal.Signals(self.code - 128).name
        except ValueError:
            return None


def nnunet_command(facts: Facts, script: str, arguments: Sequence[str]) -> list[str]:
    """Return the command that starts a console script of nnU-Net in the examined interpreter.

    The script beside the interpreter is taken where it is; otherwise its entry point is called.
    """
    train, python = facts["nnunet.script"], str(facts["python.executable"])
    if isinstance(train, str):
        windows = "\\" in train
        folder, _, name = train.rpartition("\\" if windows else "/")
        path = f"{folder}{chr(92) if windows else '/'}{name.replace('nnUNetv2_train', script)}"
        # the first line of the script may name an interpreter that is gone, as in an environment that was moved
        return [path, *arguments] if name.endswith(".exe") else [python, path, *arguments]
    module, _, function = ENTRY_POINTS[script].partition(":")
    return [python, "-c", f"from {module} import {function}; {function}()", *arguments]


def start(
    command: Sequence[str],
    environ: Mapping[str, str],
    log: Path,
    take: Callable[[bytes], None] = lambda _chunk: None,
    on_interrupt: Callable[[], None] = lambda: None,
    on_start: Callable[[int], None] = lambda _process: None,
) -> Ended:
    """Run a command in a process group of its own, with its output in a file.

    Ctrl-C, SIGTERM and the end of the terminal are passed on and the end is waited for. Nothing of the group is left
    running.

    Args:
        command: Program and arguments.
        environ: Its environment; output is made unbuffered, so that progress is seen when it happens.
        log: File that the output is written to, for as long as it can be.
        take: Called with every piece of output as it comes, in another thread. What it raises is dropped.
        on_interrupt: Called when the user's first interruption is passed on.
        on_start: Called with the number of the child's process.

    Raises:
        OSError: The command cannot be started, or the log cannot be written.
    """
    begun = time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(_Copy(log)) as output:
        child = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**environ, "PYTHONUNBUFFERED": "1"},
            **processes.own_group(),
        )

        def copy(chunk: bytes) -> None:
            # neither a full disk nor a closed screen may stop the training, which needs somebody to read its output
            output.write(chunk)
            with contextlib.suppress(Exception):
                take(chunk)

        previous: dict[int, Any] = {}
        seen: list[int] = []
        below: set[Any] = set()
        reader = processes.drain(child, copy)
        try:
            on_start(child.pid)
            previous = _pass_signals_on(child, on_interrupt, seen)
            code = _wait(child, below)
            reader.join(SECONDS_FOR_LAST_WORDS)
        finally:
            processes.end_group(child, below)
            reader.join(SECONDS_FOR_LAST_WORDS)
            for number, handler in previous.items():
                signal.signal(number, handler)
    return Ended(128 - code if code < 0 else code, time.monotonic() - begun, interrupted=bool(seen), logs=output.paths)


class _Copy:
    """The output in a file; what its disk does not take goes to the temporary folder, or is lost."""

    def __init__(self, path: Path) -> None:
        self.paths: tuple[Path, ...] = (path,)
        self._file: Any = path.open("wb", buffering=0)

    def close(self) -> None:
        self._file.close()

    def write(self, chunk: bytes) -> None:
        with contextlib.suppress(OSError, ValueError):
            rest = chunk[self._written(chunk) :]
            if rest and len(self.paths) == 1:
                spare = Path(tempfile.gettempdir(), f"{self.paths[0].stem}_rest.log")
                self._file.close()
                self._file = spare.open("wb", buffering=0)
                self.paths = (*self.paths, spare)
            if rest:
                self._file.write(rest)

    def _written(self, chunk: bytes) -> int:
        """Write what the disk takes, and say how much that was."""
        try:
            return int(self._file.write(chunk) or 0)
        except OSError:
            return 0


SECONDS_FOR_LAST_WORDS = 3.0
"""How long output is still read after nnU-Net itself has ended: its workers may keep the pipe open for ever."""


def _wait(child: subprocess.Popen[bytes], below: set[Any]) -> int:
    """Wait in short steps, because on Windows a wait without end keeps Ctrl-C from being seen.

    There the processes below are noted meanwhile: once the child has ended, nobody could find its workers.
    """
    while (code := child.poll()) is None:
        if os.name == "nt":
            below.update(processes.offspring(child))
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(0.5)
    return code


def _pass_signals_on(
    child: subprocess.Popen[bytes], on_interrupt: Callable[[], None], seen: list[int]
) -> dict[int, Any]:
    """Forward signals to the group, but for those that are ignored (nohup); a second Ctrl-C ends it at once.

    Args:
        child: The child.
        on_interrupt: Called at the first Ctrl-C.
        seen: Takes the signals that come.

    Returns:
        The handlers that were there before, by signal.
    """

    def forward(number: int, _frame: object) -> None:
        seen.append(number)
        if number == signal.SIGINT and len(seen) == 1:
            on_interrupt()
        if number == signal.SIGINT and len(seen) > 1:
            processes.end_group(child)
        else:
            processes.signal_group(child, number)

    numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    heard = [number for number in numbers if signal.getsignal(number) != signal.SIG_IGN]
    return {number: signal.signal(number, forward) for number in heard}


def lines_of(take: Callable[[str], None]) -> Callable[[bytes], None]:
    """Return a taker of pieces that hands over whole lines; a carriage return ends a line too."""
    rest = bytearray()

    def pieces(chunk: bytes) -> None:
        nonlocal rest
        *whole, last = re.split(rb"[\r\n]", bytes(rest) + chunk)
        rest = bytearray(last[-65536:])
        for text in whole:
            take(text.decode("utf-8", "replace"))

    return pieces
