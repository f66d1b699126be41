"""The child in the examined interpreter: started with a deadline, and its report read stage by stage.

This module loads fast, because it is wanted before all others.
"""

from __future__ import annotations

import os.path
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_doctor.errors import UserError
from nnunet_doctor.probes.base import Context

if TYPE_CHECKING:
    from nnunet_doctor import processes

SCRIPT = Path(__file__).with_name("examine.py")


def find_python(text: str) -> Path:
    """Return the interpreter to examine: a path, a command on PATH, or the folder of an environment.

    Links are kept, because the link is what makes an interpreter that of an environment.

    Raises:
        UserError: There is no such interpreter.
    """
    path = Path(text).expanduser()
    try:
        return _interpreter(text, path)
    except OSError as error:
        raise UserError(f"--python {text} cannot be looked at: {error.strerror}") from None


def _interpreter(text: str, path: Path) -> Path:
    if path.is_dir():
        inside = [path / name for name in ("bin/python", "Scripts/python.exe", "python.exe")]
        found = next((candidate for candidate in inside if candidate.is_file()), None)
        if found is None:
            raise UserError(f"--python {text} is a folder without a Python interpreter in it")
        return Path(os.path.abspath(found))
    if path.is_file():
        return Path(os.path.abspath(path))
    import shutil

    command = shutil.which(text)
    if command is None:
        raise UserError(f"--python {text}: there is no such file and no such command")
    return Path(os.path.abspath(command))


class NotAnInterpreterError(Exception):
    """The program named as interpreter ends without running Python; the message is one sentence for the user."""


@dataclass(frozen=True)
class Stage:
    """What one stage of the child left: what it saw, or the error of an import; neither when it never ended."""

    saw: Mapping[str, Any] | None = None
    error: str | None = None


@dataclass(frozen=True)
class Report:
    """Everything that the child left.

    Attributes:
        stages: The stages that began, by name.
        ended: How the child ended.
        seconds: The deadline it had.
    """

    stages: Mapping[str, Stage]
    ended: processes.Ended
    seconds: float

    def saw(self, stage: str) -> Mapping[str, Any]:
        """Return what a stage saw; empty when it did not."""
        return (self.stages.get(stage) or Stage()).saw or {}

    def outcome(self, stage: str) -> str | None:
        """Return ok, error, crash or timeout; None when the stage never began."""
        found = self.stages.get(stage)
        if found is None:
            return None
        if found.saw is not None:
            return "ok"
        if found.error is not None:
            return "error"
        return "timeout" if self.ended.code is None else "crash"

    def complaint(self, stage: str) -> str | None:
        """Say what a stage failed with; None when it did not."""
        outcome = self.outcome(stage)
        if outcome == "error":
            return self.stages[stage].error
        return self.end if outcome in ("crash", "timeout") else None

    @property
    def end(self) -> str:
        """How the child ended, in words."""
        if self.ended.code is None:
            return f"no end after {self.seconds:g} s"
        return f"the interpreter ended with {_how(self.ended)}"


def _how(ended: processes.Ended) -> str:
    """Name the death or the exit code, and the last line that was printed; control characters stay out of reports."""
    lines = ("".join(filter(str.isprintable, line)).strip() for line in reversed(ended.output.splitlines()))
    last = next(filter(None, lines), "")
    return (ended.death or f"exit code {ended.code}") + (f": {last[:300]}" if last else "")


def start(context: Context) -> Callable[[], Report]:
    """Start the child and return a call that waits for its report.

    The doctor's own modules take as long to load as the child takes to answer, so it is started before them.

    Raises (the returned call):
        NotAnInterpreterError: The program cannot be started, or is not Python.
    """
    reports: list[Report] = []
    errors: list[Exception] = []

    def work() -> None:
        try:
            reports.append(_examine(context))
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            errors.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()

    def wait() -> Report:
        thread.join()
        if errors:
            raise errors[0]
        return reports[0]

    return wait


def _examine(context: Context) -> Report:
    from nnunet_doctor import processes

    wanted = [] if context.quick else ["torch"]
    if context.request.trainer != "nnUNetTrainer":
        wanted += [f"trainer={context.request.trainer}", *([] if context.quick else ["torchvision"])]
    with processes.scratch() as folder:
        report = folder / "report.jsonl"
        command = [str(context.python), str(SCRIPT), str(report), *wanted]
        try:
            ended = processes.run(command, context.timeout, context.environ)
        except OSError as error:
            raise NotAnInterpreterError(f"{context.python} cannot be started: {error.strerror or error}") from None
        stages = read_stages(report)
    if not stages and ended.code is not None and ended.death is None:
        raise NotAnInterpreterError(f"{context.python} is not a Python interpreter that can run ({_how(ended)})")
    return Report(stages, ended, context.timeout)


def read_stages(report: Path) -> dict[str, Stage]:
    """Return the stages that a child has begun, with what it wrote of those that it ended."""
    import json

    stages: dict[str, Stage] = {}
    try:
        lines = report.read_text(encoding="utf-8").splitlines()
    except OSError:
        return stages
    for text in lines:
        try:
            line = json.loads(text)
        except ValueError:  # the last line of a child that was killed while it wrote
            continue
        if "begins" in line:
            stages[line["begins"]] = Stage()
        else:
            stages[line["ends"]] = Stage(line.get("saw"), line.get("error"))
    return stages
