"""The training itself: started, watched to its end."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from nnunet_doctor import launch
from nnunet_doctor.errors import UserError
from nnunet_doctor.request import Request
from nnunet_doctor.run.command import Start
from nnunet_doctor.run.watch import Watch, duration
from nnunet_doctor.words import say


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
