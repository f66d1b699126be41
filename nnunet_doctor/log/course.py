"""The course of a training: starts, epochs, where it is or stopped, and what is odd about it.

From a whole log, which may hold several starts, or line by line while the training runs.
"""

from __future__ import annotations

import math
import re
import statistics
from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from nnunet_doctor.log.literals import DIGITS

NUMBER = rb"(?:np\.float\d+\()?(nan|-?inf|[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?)\)?"

_KINDS = {
    "epoch": rb"(?:^|[:\s])Epoch  ?$",
    "nan": rb"\b(?:train|val)_loss \S*nan",
    "train": rb"\btrain_loss \S* ?$",
    "val": rb"\bval_loss \S* ?$",
    "dice": rb"\bPseudo dice \[[^\]]*\] ?$",
    "time": rb"\bEpoch time: \S* s ?$",
    "best": rb"New best EMA pseudo Dice: ",
    "done": rb"(?:^|: )Training done\. ?$",
    "predicting": rb"(?:^|: )predicting (?!\S*[/\\])\S",
    "complete": rb"(?:^|: )Validation complete ?$",
    "mean": rb"\bMean Validation Dice: ",
    "start": rb"Please cite the following paper when using nnU-Net",
    "ready": rb"\bThis (?:random : )?split has  training and  validation cases",
    "fold": rb"\bDesired fold for training: ",
    "configuration": rb"^Configuration name: ",
    "dataset": rb"'dataset_name': 'Dataset_",
    "wrote": rb"\bdone with \S|Segmentation export complete",
    "works": rb"(?:^|\t|[:|>F] (?:- )?|(?:ERROR|WARNING|INFO|DEBUG) - )"
    rb"(?:Fingerprint extraction|Experiment planning|Plans were saved|Preprocessing |Configuration: )"
    rb"|^Predicting |^verify_dataset_integrity Done|^ ?There are  cases ",
}
"""Lines of nnUNetTrainer and nnUNetPredictor without their digits; they are the same in all releases from 2.0 on."""

QUIET = ("train", "val", "best")
"""Lines of which only the last counts."""

_EXPRESSIONS = {kind: re.compile(expression) for kind, expression in _KINDS.items()}

MARKS = (
    r"Epoch |_loss |Pseudo dice \[|New best EMA pseudo Dice: |Training done\.|predicting |Validation complete"
    r"|Mean Validation Dice: |Please cite the following paper|split has \d+ training|Desired fold|Configuration name: "
    r"|'dataset_name': |done with |Segmentation export complete|Fingerprint extraction|Experiment planning"
    r"|Plans were saved|Preprocessing |Configuration: |Predicting |verify_dataset_integrity Done|There are \d+ cases"
)
"""Something of each of them, to look for."""


def kind_of_whole(line: bytes) -> str | None:
    """Return which line of a training this is, digits and all; None for any other."""
    return kind_of(line.translate(None, DIGITS))


def kind_of(line: bytes) -> str | None:
    """Return which line of a training this is, by the line without its digits; None for any other."""
    return next((kind for kind, expression in _EXPRESSIONS.items() if expression.search(line)), None)


class Place(NamedTuple):
    """A moment in a log: which start of a training, and how far it had come, as a number that only grows."""

    start: int
    steps: int


MOST_STARTS = 10_000
EPOCH_STEPS = 1
MILESTONE_STEPS = 2


@dataclass
class Start:
    """One start of a training or of a validation."""

    line: int
    steps: int = 0
    first_epoch: int | None = None
    epoch: int | None = None
    finished_epochs: int = 0
    stage: str = "starting"
    stage_line: int = 0
    case: str = ""
    is_done: bool = False
    is_complete: bool = False
    identity: dict[str, str] = field(default_factory=dict)

    def may_be(self, other: Start) -> bool:
        """Say whether two starts are of one training, as far as they tell."""
        return all(other.identity.get(key, value) == value for key, value in self.identity.items())


@dataclass(frozen=True)
class Oddity:
    """Something that deserves attention in a training that did not fail."""

    kind: str
    line: int
    value: str = ""


@dataclass(frozen=True)
class Course:
    """How a training went.

    Attributes:
        stage: none (no training in this log), starting, epoch (within one), between (after one), trained, validating,
            complete.
        stage_line: Number of the line with which that stage began.
        epoch: The epoch that it was in, or had finished last, from 0.
        finished_epochs: Epochs that are finished, those before this log included.
        total_epochs: Epochs that the training is to have; None where nothing tells.
        best_dice: Best moving average of the pseudo Dice.
        seconds: Median duration of an epoch; ``last_seconds`` that of the last.
        starts: How often a training was started; ``resumed`` of them went on, ``restarted`` began anew.
        case: The last case of the final validation that was begun.
    """

    stage: str = "none"
    stage_line: int = 0
    epoch: int | None = None
    finished_epochs: int = 0
    total_epochs: int | None = None
    best_dice: float | None = None
    pseudo_dice: tuple[float, ...] = ()
    train_loss: float | None = None
    val_loss: float | None = None
    validation_dice: float | None = None
    seconds: float | None = None
    last_seconds: float | None = None
    starts: int = 0
    resumed: int = 0
    restarted: int = 0
    case: str = ""
    oddities: tuple[Oddity, ...] = ()

    @property
    def is_training(self) -> bool:
        """Whether the log is one of a training."""
        return self.stage != "none"

    @property
    def is_finished(self) -> bool:
        """Whether what was begun is done; a training without its validation is not."""
        return self.stage in ("complete", "none")


_BASELINE = 200
_LATELY = 5
_LEAST_BASELINE = 10
_SLOW = 2.0
_LONG_ZERO = 30
_LONG_FLAT = 50
_FLAT = 1e-3
"""A training loss that stays within this for so many epochs has stopped to learn; it scatters more when all is well."""


class Tracker:
    """Follows the lines of a training."""

    def __init__(self) -> None:
        """Begin before any start."""
        self.starts: list[Start] = [Start(0)]
        self._seconds: list[float] = []
        self._lately: deque[float] = deque(maxlen=_LATELY)
        self._usual = 0.0
        self._last: dict[str, bytes] = {}
        self._zeros: list[int] = []
        self._loss = math.nan
        self._flat = 0
        self._oddities: dict[str, Oddity] = {}
        self._validation_dice: float | None = None

    @property
    def place(self) -> Place:
        """The moment that was reached."""
        return Place(len(self.starts) - 1, self.starts[-1].steps)

    def is_passed(self, place: Place, *, ends: bool) -> bool:
        """Say whether a training went on after a moment, so that what was printed then did not end it.

        Args:
            place: The moment.
            ends: Whether what was printed ends a process, as an error does that nobody catches. Then every later start
                of the same training went past it; else that start must have come further.
        """
        start = self.starts[place.start]
        if start.steps - place.steps >= MILESTONE_STEPS:  # one epoch may still end while an error is on its way
            return True
        later = [other for other in self.starts[place.start + 1 :] if start.may_be(other)]
        return bool(later) if ends else any(other.steps for other in later)

    def group(self, place: Place, *, ends: bool) -> int:
        """Return the start that something belongs to: what is printed before its banner does, unless it ends one."""
        start = self.starts[place.start]
        before_banner = place.start == 0 and not start.line and start.first_epoch is None
        return place.start + (1 if not ends and (before_banner or start.is_complete) else 0)

    def take(self, kind: str, line: bytes, number: int) -> None:
        """Read one line of a training."""
        start = self.starts[-1]
        if kind == "epoch":
            self._begin_epoch(start, int(_EPOCH.findall(line)[-1]), number)
        elif kind == "time":
            self._end_epoch(start, line, number)
        elif kind == "dice":
            self._last[kind] = line
            if self._zeros or b"0.0" in line:
                self._count_zeros(line, number)
        elif kind in QUIET:
            self._last[kind] = line
            if kind == "train":
                self._look_at_loss(start, line, number)
        elif kind == "nan":
            self._last["train" if b"train_loss" in line else "val"] = line
            self._note("loss-nan", number, str(start.epoch))
        else:
            self._milestone(start, kind, line, number)

    def _begin_epoch(self, start: Start, epoch: int, number: int) -> None:
        if start.epoch == epoch and start.stage == "epoch":
            return  # another process of the same training says it too
        if start.first_epoch is None:
            start.first_epoch = epoch
        elif epoch == 0 and start.finished_epochs:  # started anew, without the banner in between
            start = self._new_start(number)
            start.first_epoch = epoch
        start.epoch, start.stage, start.stage_line = epoch, "epoch", number

    def _end_epoch(self, start: Start, line: bytes, number: int) -> None:
        if start.stage == "between":
            return
        start.stage, start.stage_line = "between", number
        start.finished_epochs += 1
        start.steps += EPOCH_STEPS
        found = _SECONDS.findall(line)
        if not found:
            return
        seconds = float(found[-1])
        self._lately.append(seconds)
        if len(self._seconds) < _BASELINE:
            self._seconds.append(seconds)
            self._usual = statistics.median(self._seconds)
        if seconds > _SLOW * self._usual and len(self._seconds) > _LEAST_BASELINE:
            slow = statistics.median(self._lately)
            if slow > _SLOW * self._usual:
                self._note("slow-down", number, f"{start.epoch} {self._usual:.1f} {slow:.1f}")

    def _look_at_loss(self, start: Start, line: bytes, number: int) -> None:
        """Count losses that stay where one was; of a log that is read in large pieces each counts once a piece only."""
        found = _NUMBERS.findall(line.rpartition(b"_loss ")[2])
        loss = float(found[0]) if found else math.nan
        if abs(loss - self._loss) < _FLAT:
            self._flat += 1
        else:
            self._loss, self._flat = loss, 1
        if self._flat == _LONG_FLAT:
            self._note("loss-flat", number, f"{start.epoch} {loss}")

    def _count_zeros(self, line: bytes, number: int) -> None:
        values = _NUMBERS.findall(line.partition(b"[")[2])
        if len(values) != len(self._zeros):
            self._zeros = [0] * len(values)
        self._zeros = [count + 1 if float(value) == 0 else 0 for count, value in zip(self._zeros, values, strict=True)]
        if _LONG_ZERO in self._zeros:
            self._note("dice-zero", number, str(self._zeros.index(_LONG_ZERO) + 1))
        elif not any(self._zeros):
            self._zeros = []
            self._oddities.pop("dice-zero", None)

    def _milestone(self, start: Start, kind: str, line: bytes, number: int) -> None:
        if kind == "start":
            if start.first_epoch is not None or start.stage != "starting" or not start.line or start.stage_line:
                self._new_start(number)
        elif kind in _IDENTITY:
            found = _IDENTITY[kind].search(line)
            if found:
                start.identity.setdefault(kind, found.group(1).decode("utf-8", "replace"))
        elif kind == "wrote":
            start.steps += EPOCH_STEPS
        elif kind == "works":
            pass
        elif kind == "ready":
            if start.stage == "starting":
                start.stage_line = start.stage_line or number
        else:
            self._reach(start, kind, line, number)

    def _reach(self, start: Start, kind: str, line: bytes, number: int) -> None:
        if kind == "mean":
            found = _NUMBERS.findall(line)
            self._validation_dice = float(found[-1]) if found else None
        elif kind == "predicting":
            start.case = line.rpartition(b"predicting ")[2].strip().decode("utf-8", "replace")
        # 2.0 and 2.1 do not say that the training is done, and begin to predict
        start.is_done = start.is_done or kind == "done" or start.finished_epochs > 0
        start.is_complete = start.is_complete or kind in ("complete", "mean")
        stage = {"done": "trained", "predicting": "validating"}.get(kind, "complete")
        if start.stage != stage:
            start.steps += MILESTONE_STEPS
            start.stage, start.stage_line = stage, number

    def _new_start(self, number: int) -> Start:
        started = Start(number)
        if len(self.starts) < MOST_STARTS:
            self.starts.append(started)
        else:
            self.starts[-1] = started
        return started

    def _note(self, kind: str, number: int, value: str) -> None:
        self._oddities.setdefault(kind, Oddity(kind, number, value))

    def course(self, total_epochs: int | None = None) -> Course:
        """Tell all of it."""
        trained = [start for start in self.starts if start.line or start.first_epoch is not None or start.steps]
        if not any(start.first_epoch is not None or start.stage_line for start in trained):
            return Course(starts=len(trained))
        last = trained[-1]
        runs = [start for start in trained if start.first_epoch is not None]
        resumed = sum(bool(start.first_epoch) for start in runs)
        restarted = sum(
            start.first_epoch == 0
            and any(old.finished_epochs and old.may_be(start) and not old.is_done for old in runs[max(0, at - 50) : at])
            for at, start in enumerate(runs)
        )
        newest = next((start for start in reversed(trained) if start.epoch is not None), last)
        finished = 0
        if newest.epoch is not None:
            finished = newest.epoch + (0 if newest.stage == "epoch" else 1)
        oddities = dict(self._oddities)
        if last.is_done and not last.is_complete and last.stage == "trained":
            oddities["no-validation"] = Oddity("no-validation", last.stage_line)
        if resumed:
            oddities["resumed"] = Oddity("resumed", runs[-1].line, str(resumed))
        if restarted:
            oddities["restarted"] = Oddity("restarted", runs[-1].line, str(restarted))

        def number(kind: str) -> float | None:
            found = _NUMBERS.findall(self._last.get(kind, b"").rpartition(b"_loss ")[2])
            return float(found[0]) if found else None

        best = _NUMBERS.findall(self._last.get("best", b""))
        return Course(
            stage=last.stage,
            stage_line=last.stage_line or last.line,
            epoch=newest.epoch,
            finished_epochs=finished,
            total_epochs=total_epochs,
            best_dice=float(best[-1]) if best else None,
            pseudo_dice=tuple(map(float, _NUMBERS.findall(self._last.get("dice", b"").partition(b"[")[2]))),
            train_loss=number("train"),
            val_loss=number("val"),
            validation_dice=self._validation_dice,
            seconds=statistics.median(self._seconds) if self._seconds else None,
            last_seconds=self._lately[-1] if self._lately else None,
            starts=len(trained),
            resumed=resumed,
            restarted=restarted,
            case=last.case if last.stage == "validating" else "",
            oddities=tuple(oddities.values()),
        )


_NUMBERS = re.compile(NUMBER)
_EPOCH = re.compile(rb"Epoch (\d+)")
_SECONDS = re.compile(rb"Epoch time: (\d+\.?\d*)")
_IDENTITY = {
    "fold": re.compile(rb"Desired fold for training: (\w+)"),
    "configuration": re.compile(rb"Configuration name: (\S+)"),
    "dataset": re.compile(rb"'dataset_name': '(\w+)'"),
}
