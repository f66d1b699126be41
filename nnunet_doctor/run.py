"""The command ``run``: look, plan, show, refuse or start, and watch."""

from __future__ import annotations

import json
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from rich.cells import chop_cells

from nnunet_doctor import launch
from nnunet_doctor.errors import UserError
from nnunet_doctor.examination import Examination
from nnunet_doctor.facts import Facts
from nnunet_doctor.log.progress import Progress
from nnunet_doctor.plan import Reason
from nnunet_doctor.report.record import build, shell_of
from nnunet_doctor.report.text import console_for, print_block, print_command, print_report, print_setting
from nnunet_doctor.request import Request
from nnunet_doctor.shell import command_line
from nnunet_doctor.words import say

PROTECTING = ("training-finished", "training-resumable")
"""Checks that keep earlier trainings from being overwritten."""

DEFAULT_EPOCHS = 1000
"""nnUNetTrainer.__init__, num_epochs."""


def arguments(dataset: str, request: Request, flags: Sequence[str], plan_args: Sequence[str]) -> list[str]:
    """Return the arguments of nnUNetv2_train: what the user says, with the options of the plan instead of theirs.

    Args:
        dataset: Id or name of the dataset; nnU-Net takes no folder.
        request: What the user means to do.
        flags: Options that the doctor only passes on.
        plan_args: Options of the plan.
    """
    words = [dataset, str(request.configuration), str(request.fold)]
    options: dict[str, list[str]] = {}
    if request.trainer != Request.trainer:
        options["-tr"] = [request.trainer]
    if request.plans != Request.plans:
        options["-p"] = [request.plans]
    if request.pretrained is not None:
        options["-pretrained_weights"] = [request.pretrained]
    if request.num_gpus != 1:
        options["-num_gpus"] = [str(request.num_gpus)]
    if request.device != "auto":
        options["-device"] = [request.device]
    if request.continues:
        options["--c"] = []
    if request.validates:
        options["--val"] = []
    rest = list(plan_args)
    while rest:
        name = rest.pop(0)
        options[name] = [rest.pop(0)] if rest and not rest[0].startswith("-") else []
    return [*words, *(word for name, values in options.items() for word in (name, *values)), *flags]


@dataclass(frozen=True)
class Start:
    """A training that is ready to start, or the findings that keep it from starting."""

    examination: Examination
    command: tuple[str, ...]
    env: Mapping[str, str]
    blocked_by: tuple[str, ...]
    forced: tuple[str, ...]

    @property
    def facts(self) -> Facts:
        """The facts as they are under the plan's settings."""
        return self.examination.plan.facts

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """The settings with their reasons."""
        return self.examination.plan.reasons


def prepare(
    examination: Examination,
    request: Request,
    flags: Sequence[str],
    force: Sequence[str],
    env: Mapping[str, str] | None = None,
) -> Start:
    """Put the command together and see what blocks it.

    Args:
        examination: What was found and planned.
        request: What the user means to do.
        flags: Options of nnUNetv2_train that the doctor only passes on.
        force: Ids of findings that the user wants to start in spite of.
        env: Further variables of the training.
    """
    plan = examination.plan
    named = str(request.dataset)
    dataset = named if named.isdecimal() else str(plan.facts["dataset.name"] or named)
    command = launch.nnunet_command(plan.facts, "nnUNetv2_train", arguments(dataset, request, flags, plan.args))
    blocking = [finding.check.id for finding in plan.diagnosis.blocking]
    # what protects earlier trainings must be known to be silent, not only not to fire
    blocking += [item.check.id for item in plan.diagnosis.undecided if item.check.id in PROTECTING]
    return Start(
        examination=examination,
        command=tuple(command),
        env={**(env or {}), **plan.env},
        blocked_by=tuple(id for id in blocking if id not in force),
        forced=tuple(id for id in blocking if id in force),
    )


def show(start: Start, language: str, out: IO[str]) -> None:
    """Show what is in the way, what is set and why, and the command for the user's shell."""
    plan, console = start.examination.plan, console_for(out)
    shell = shell_of(start.facts)
    if start.blocked_by:
        report = build(plan.facts, plan.diagnosis, plan, (), language, "error")
        print_report(report, console, language, shell)
        forces = " ".join(f"--force {id}" for id in start.blocked_by)
        print_block(console, say(language, "run_blocked", ids=", ".join(start.blocked_by), force=forces), indent=0)
        console.print()
    else:
        print_block(console, say(language, "run_settings" if plan.reasons else "run_nothing_set"), indent=0)
        for reason in plan.reasons:
            print_setting(console, reason.setting, reason.value, reason.because, reason.overrules, language)
        warned = [finding.check.id for finding in plan.diagnosis.findings if finding.check.severity == "warning"]
        if warned:
            print_block(console, say(language, "run_wanted", ids=", ".join(warned)), indent=0)
        for item in plan.diagnosis.undecided:
            if item.check.severity == "error":
                said = say(language, "run_undecided", id=item.check.id, because="; ".join(item.because))
                print_block(console, said, indent=0)
        if start.forced:
            print_block(console, say(language, "run_forced", ids=", ".join(start.forced)), indent=0)
    if start.facts["nnunet.installed"] is True:
        console.print(say(language, "run_command"))
        print_command(console, command_line(shell, start.command, start.env), indent=0)


def go(start: Start, request: Request, environ: Mapping[str, str], language: str) -> launch.Ended:
    """Start the training and watch it to its end; the exit code is nnU-Net's own."""
    known = start.facts["training.folder"]
    folder = Path(known) if isinstance(known, str) else None
    log = log_path(folder)
    watch = Watch(language, folder, request.trainer)
    watch.tell(say(language, "run_log", path=log))
    try:
        ended = launch.start(
            start.command,
            {**environ, **start.env},
            log,
            watch.take,
            on_interrupt=lambda: watch.tell(say(language, "run_interrupted")),
        )
    except OSError as error:
        raise UserError(f"the training cannot be started: {start.command[0]}: {error.strerror or error}") from None
    watch.close()
    took = duration(ended.seconds)
    if ended.code == 0:
        watch.tell(say(language, "run_ended", time=took))
    elif ended.signal_name:
        watch.tell(say(language, "run_killed", signal=ended.signal_name, time=took, path=log))
    else:
        watch.tell(say(language, "run_failed", code=ended.code, time=took, path=log))
    return ended


def log_path(folder: Path | None) -> Path:
    """Name a new file for output: beside the training's own files or, failing that, in the temporary folder."""
    name = f"nnunet_doctor_{time.strftime('%Y-%m-%d_%H-%M-%S')}.log"
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
            return folder / name
        except OSError:
            pass
    return Path(tempfile.gettempdir(), name)


def duration(seconds: float) -> str:
    """Return a duration as people say it: 42 s, 3 min 5 s, 2 h 10 min, 12 d 4 h."""
    whole = round(seconds)
    for size, unit, below, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size} {unit}" + (f" {rest} {small}" if rest else "")
    return f"{whole} s"


@dataclass
class Watch:
    """Copies nnU-Net's output to the screen, unchanged, and says where the training is.

    In a terminal one line stays below the output; elsewhere each epoch gets a line of its own. Both go to stderr.
    """

    language: str
    folder: Path | None
    trainer: str
    progress: Progress = Progress()
    seconds: list[float] = field(default_factory=list)
    status: str = ""

    def __post_init__(self) -> None:
        """Find the streams."""
        self._lines = launch.lines_of(self._line)
        self._screen: Any = getattr(sys.stdout, "buffer", None)
        self._live = sys.stderr.isatty() and sys.stdout.isatty()

    def take(self, chunk: bytes) -> None:
        """Show a piece of output."""
        self._erase()
        if self._screen is not None:
            self._screen.write(chunk)
            self._screen.flush()
        self._lines(chunk)
        if chunk.endswith(b"\n"):
            self._draw()

    def tell(self, sentence: str) -> None:
        """Say something of the doctor's own."""
        self._erase()
        print(sentence, file=sys.stderr, flush=True)
        self._draw()

    def close(self) -> None:
        """Take the status line away."""
        self._erase()
        self.status = ""

    def _line(self, text: str) -> None:
        after = self.progress.after(text)
        if after.finished_epochs > self.progress.finished_epochs:
            self.seconds = [*self.seconds[-9:], after.seconds or 0.0]
            self.status = self._sentence(after)
            if not self._live:
                print(self.status, file=sys.stderr, flush=True)
        self.progress = after

    def _sentence(self, progress: Progress) -> str:
        total = total_epochs(self.folder, self.trainer)
        done = (progress.epoch or 0) + 1
        each = statistics.median(self.seconds)
        dice = ", ".join(f"{value:.3f}" for value in progress.pseudo_dice) or "-"
        return say(
            self.language,
            "run_epoch",
            epoch=done,
            epochs=total,
            seconds=f"{each:.1f}",
            left=duration(max(0, total - done) * each),
            train=progress.train_loss,
            val=progress.val_loss,
            dice=dice,
        )

    def _erase(self) -> None:
        if self._live and self.status:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _draw(self) -> None:
        if self._live and self.status:
            columns = shutil.get_terminal_size().columns - 1
            sys.stderr.write(chop_cells(self.status, columns)[0])
            sys.stderr.flush()


def total_epochs(folder: Path | None, trainer: str) -> int:
    """Return the number of epochs: from debug.json, which nnU-Net writes before the first, else by the name."""
    try:
        found = json.loads(Path(folder or "", "debug.json").read_text(encoding="utf-8")).get("num_epochs")
        return int(found)
    except (OSError, ValueError, TypeError, AttributeError):
        named = re.search(r"_(\d+)epochs?", trainer)
        return int(named.group(1)) if named else DEFAULT_EPOCHS
