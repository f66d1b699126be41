"""The training itself: started, watched to its end, and started again where a setting mends what ended it."""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from nnunet_doctor import history, launch, processes
from nnunet_doctor.errors import UserError
from nnunet_doctor.probes.running import sample
from nnunet_doctor.report.text import console_for, print_block, print_command
from nnunet_doctor.request import Request
from nnunet_doctor.run import folds
from nnunet_doctor.run.command import Start, show
from nnunet_doctor.run.guard import SECONDS_BETWEEN_LOOKS, Guard, every
from nnunet_doctor.run.recover import Recovery
from nnunet_doctor.run.watch import Watch, conclude, tell
from nnunet_doctor.run.why import Why
from nnunet_doctor.words import JOINTS, duration, say, translated

if TYPE_CHECKING:
    from rich.console import Console


class Manner(NamedTuple):
    """How a training is watched.

    Attributes:
        language: Language of the doctor's sentences.
        plots: Whether losses and Dice are drawn below the output.
        stall_timeout: Seconds without any sign of life after which the training is ended; None for never.
    """

    language: str
    plots: bool = False
    stall_timeout: float | None = None


def go(
    start: Start,
    request: Request,
    environ: Mapping[str, str],
    manner: Manner,
    recovery: Recovery | None = None,
    why: Why | None = None,
) -> launch.Ended:
    """Start the training and watch it to its end; the exit code is nnU-Net's own.

    Args:
        start: What to start.
        request: What the user means to do.
        environ: Environment that the training inherits.
        manner: How to watch.
        recovery: How to go on after a failure that a setting mends; None for not at all.
        why: Says what ended a training that failed; None for nothing.

    Raises:
        BusyError: Another run of the same fold is at work.
        UserError: The training cannot be started, or what is to be overwritten cannot be moved aside.
    """
    known = start.facts["training.folder"]
    fold = Path(known) if isinstance(known, str) else None
    with folds.held(fold) if fold else contextlib.nullcontext():
        if fold and request.overwrites and not (request.continues or request.validates):
            aside = folds.move_aside(fold)
            if aside:
                tell(say(manner.language, "run_moved_aside", path=aside))
        while True:
            ended = _once(start, request, fold, environ, manner)
            again = None
            if ended.code and not ended.interrupted and why:
                why.tell(ended.logs, ended.code, start.facts)
            if ended.code and not ended.interrupted and recovery:
                again = recovery.after(ended.logs, request, fold)
            if again is None:
                break
            start, request = again
            _announce(recovery, start, manner.language)
    if ended.interrupted and ended.code and folds.can_be_continued(fold):
        conclude(lambda out: print_block(console_for(out), say(manner.language, "run_may_continue"), indent=0))
    if recovery and recovery.tried:
        steps = _history(recovery, ended, manner.language)
        conclude(lambda out: print_block(console_for(out), steps, indent=0))
    return ended


def _once(
    start: Start, request: Request, fold: Path | None, environ: Mapping[str, str], manner: Manner
) -> launch.Ended:
    log = log_path(fold)
    watch = Watch(manner.language, fold, request.trainer, manner.plots)
    guard = Guard(time.monotonic())
    child: list[int] = []
    watch.tell(say(manner.language, "run_log", path=log))

    def take(chunk: bytes) -> None:
        guard.heard(time.monotonic())
        watch.take(chunk)

    def look() -> None:
        guard.epoch_seconds = watch.epoch_seconds
        now = time.monotonic()
        usage = sample(child[0], fold, gpus=start.facts["training.device"] == "cuda")
        for item in guard.look(usage, now):
            values = {name: translated(manner.language, str(value)) for name, value in item.values.items()}
            watch.tell(say(manner.language, item.key, id=item.check, **values))
        if manner.stall_timeout is not None and guard.silent_for(now) >= manner.stall_timeout:
            watch.tell(say(manner.language, "run_stall_ends", minutes=round(guard.silent_for(now) / 60)))
            processes.end_tree(child[0])

    note = history.keep(fold, start.facts, time.strftime("%Y-%m-%d_%H-%M-%S"))
    try:
        with every(SECONDS_BETWEEN_LOOKS, look):
            ended = launch.start(
                start.command,
                {**environ, **start.env},
                log,
                take,
                on_interrupt=lambda: watch.tell(say(manner.language, "run_interrupted")),
                on_start=child.append,
            )
    except OSError as error:
        raise UserError(f"the training cannot be started: {start.command[0]}: {error.strerror or error}") from None
    watch.close()
    note(ended.code, ended.seconds, ended.interrupted)
    conclude(lambda out: _print_verdict(ended, manner.language, console_for(out)))
    return ended


def _print_verdict(ended: launch.Ended, language: str, console: Console) -> None:
    """Say how a training ended and, where it failed, which files hold its output: whole, so that they can be copied."""
    took = duration(ended.seconds, language)
    if ended.code == 0:
        print_block(console, say(language, "run_ended", time=took), indent=0)
        return
    key = "run_killed" if ended.signal_name else "run_failed"
    said = say(language, key, signal=ended.signal_name, code=ended.code, time=took)
    print_block(console, said, indent=0)
    for log in ended.logs:
        print_command(console, str(log))


def _announce(recovery: Recovery | None, start: Start, language: str) -> None:
    """Say what is tried next, with the command."""
    if recovery is not None:
        last = recovery.tried[-1]
        key = "run_again_continues" if last.continues else "run_again"
        said = say(language, key, id=last.cause, settings=", ".join(last.settings))

        def write(out: IO[str]) -> None:
            print_block(console_for(out), said, indent=0)
            show(start, language, out)

        conclude(write)


def _history(recovery: Recovery, ended: launch.Ended, language: str) -> str:
    """List all that was tried, in the order of time."""
    joints = JOINTS[language]
    steps = joints.sentences.join(f"{item.cause}{joints.place}{', '.join(item.settings)}" for item in recovery.tried)
    return say(language, "run_tried_well" if ended.code == 0 else "run_tried_in_vain", steps=steps)


def log_path(folder: Path | None) -> Path:
    """Name a new file for output: beside the training's own files or, failing that, in the temporary folder."""
    stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
    for number in range(1, 100):
        name = f"nnunet_doctor_{stamp}{f'_{number}' if number > 1 else ''}.log"
        if folder is None:
            break
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).touch(exist_ok=False)
            return folder / name
        except FileExistsError:
            continue
        except OSError:
            break
    return Path(tempfile.gettempdir(), f"nnunet_doctor_{stamp}.log")
