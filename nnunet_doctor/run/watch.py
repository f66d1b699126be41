"""What is shown while a training runs: its output, unchanged, and where it is."""

from __future__ import annotations

import contextlib
import json
import math
import re
import shutil
import statistics
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from rich.cells import chop_cells

from nnunet_doctor import launch
from nnunet_doctor.log.course import Course, Oddity, Tracker, kind_of_whole
from nnunet_doctor.run.plot import HEIGHT, WIDTH, Epoch, draw
from nnunet_doctor.words import duration, say

DEFAULT_EPOCHS = 1000
"""nnUNetTrainer.__init__, num_epochs."""

MOST_EPOCHS_DRAWN = 400

ODDITIES = {"loss-nan": "loss-nan", "loss-flat": "", "dice-zero": "", "slow-down": ""}
"""What is said of a running training, once each, and the check that tells more about it."""


def tell(sentence: str) -> None:
    """Say something of the doctor's own, where progress goes."""
    print(sentence, file=sys.stderr, flush=True)


def conclude(write: Callable[[IO[str]], None]) -> None:
    """Say what came of a training: where its output goes, or beside the progress if nobody reads that any more."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # a reader that has gone, a full disk, a closed stream
            write(stream)
            stream.flush()
            return


@dataclass
class Watch:
    """Copies nnU-Net's output to the screen, unchanged, and says where the training is.

    In a terminal a line, or a plot, stays below the output; elsewhere each epoch gets a line of its own. Both go to
    stderr.
    """

    language: str
    folder: Path | None
    trainer: str
    plots: bool = False
    seconds: list[float] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)
    status: str = ""

    def __post_init__(self) -> None:
        """Find the streams."""
        self._lines = launch.lines_of(self._line)
        self._screen: Any = getattr(sys.stdout, "buffer", None)
        self._live = sys.stderr.isatty() and sys.stdout.isatty()
        self._drawn = 0
        self._tracker = Tracker()
        self._read = 0
        self._told: set[str] = set()
        self._turn = threading.RLock()

    def take(self, chunk: bytes) -> None:
        """Show a piece of output."""
        with self._turn:
            self._erase()
            if self._screen is not None:
                self._screen.write(chunk)
                self._screen.flush()
            self._lines(chunk)
            if chunk.endswith(b"\n"):
                self._draw()

    def tell(self, sentence: str) -> None:
        """Say something of the doctor's own."""
        with self._turn:
            self._erase()
            tell(sentence)
            self._draw()

    def close(self) -> None:
        """Take the status away; a plot is left standing."""
        with self._turn:
            self._erase()
            if self._live and self.plots and self.epochs:
                tell(self._plot())
            self.status = ""

    @property
    def epoch_seconds(self) -> float | None:
        """Typical time of the last epochs; None before the first has ended."""
        return statistics.median(self.seconds) if self.seconds else None

    def _line(self, text: str) -> None:
        self._read += 1
        line = text.encode("utf-8", "replace")
        kind = kind_of_whole(line)
        if kind is None:
            return
        before = self._tracker.place
        self._tracker.take(kind, line, self._read)
        if kind != "time" or self._tracker.place == before:
            return
        course = self._tracker.course(total_epochs(self.folder, self.trainer))
        self.seconds = [*self.seconds[-9:], course.last_seconds or 0.0]
        self.status = self._sentence(course)
        self._note(course)
        if not self._live:
            tell(self.status)
        for odd in course.oddities:
            if odd.kind in ODDITIES and odd.kind not in self._told:
                self._told.add(odd.kind)
                self.tell(self._worth_a_look(odd))

    def _worth_a_look(self, odd: Oddity) -> str:
        values = [*odd.value.split(), "", "", ""]
        key, id = f"diagnose_{odd.kind.replace('-', '_')}", ODDITIES[odd.kind]
        text = say(self.language, key, a=values[0], b=values[1], c=values[2])
        return say(self.language, "run_odd", text=text, id=id) if id else say(self.language, "run_odd_only", text=text)

    def _note(self, course: Course) -> None:
        """Keep what is drawn: every epoch of a short training, and ever fewer of a long one."""
        known = [value for value in course.pseudo_dice if value == value]  # noqa: PLR0124 - nan
        dice = statistics.mean(known) if known else math.nan
        losses = [math.nan if value is None else value for value in (course.train_loss, course.val_loss)]
        self.epochs.append(Epoch(course.epoch or 0, losses[0], losses[1], dice))
        if len(self.epochs) > MOST_EPOCHS_DRAWN:
            del self.epochs[1:-1:2]

    def _sentence(self, course: Course) -> str:
        total, done = course.total_epochs or 0, course.finished_epochs
        each = statistics.median(self.seconds)
        dice = ", ".join(f"{value:.3f}" for value in course.pseudo_dice) or "-"
        return say(
            self.language,
            "run_epoch",
            epoch=done,
            epochs=total,
            seconds=f"{each:.1f}",
            left=duration(max(0, total - done) * each, self.language),
            train=course.train_loss,
            val=course.val_loss,
            dice=dice,
            best="-" if course.best_dice is None else f"{course.best_dice:.3f}",
        )

    def _plot(self) -> str:
        ascii_only = (sys.stderr.encoding or "").lower().replace("-", "") not in ("utf8", "cp65001")
        width = min(WIDTH, shutil.get_terminal_size().columns - 1)
        return draw(self.epochs, width, ascii_only=ascii_only)

    def _erase(self) -> None:
        if self._drawn:
            up = f"\x1b[{self._drawn - 1}A" if self._drawn > 1 else ""
            sys.stderr.write(f"\r{up}\x1b[J")
            sys.stderr.flush()
            self._drawn = 0

    def _draw(self) -> None:
        if self._live and self.status:
            columns = shutil.get_terminal_size().columns - 1
            lines = [chop_cells(self.status, columns)[0]]
            if self.plots and shutil.get_terminal_size().lines > 2 * HEIGHT:
                lines = [*self._plot().splitlines(), *lines]
            sys.stderr.write("\n".join(lines))
            sys.stderr.flush()
            self._drawn = len(lines)


def total_epochs(folder: Path | None, trainer: str) -> int:
    """Return the number of epochs: from debug.json, which nnU-Net writes before the first, else by the name."""
    try:
        found = json.loads(Path(folder or "", "debug.json").read_text(encoding="utf-8")).get("num_epochs")
        return int(found)
    except (OSError, ValueError, TypeError, AttributeError):
        named = re.search(r"_(\d+)epochs?", trainer)
        return int(named.group(1)) if named else DEFAULT_EPOCHS
