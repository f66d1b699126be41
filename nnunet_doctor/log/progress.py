"""Progress of a training from the lines it prints.

The lines are those of nnUNetTrainer.on_epoch_start and on_epoch_end; they are the same in all releases from 2.0 on.
numpy 2 writes the items of the pseudo Dice as ``np.float32(0.15)``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_NUMBER = r"(?:np\.float\d+\()?(nan|-?inf|[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?)\)?"
_EPOCH = re.compile(r"(?:^|: )Epoch (\d+) ?$")
_TRAIN = re.compile(rf"(?:^|: )train_loss {_NUMBER} ?$")
_VAL = re.compile(rf"(?:^|: )val_loss {_NUMBER} ?$")
_DICE = re.compile(r"(?:^|: )Pseudo dice \[([^\]]*)\] ?$")
_TIME = re.compile(rf"(?:^|: )Epoch time: {_NUMBER} s ?$")
_MEAN = re.compile(rf"(?:^|: )Mean Validation Dice: +{_NUMBER} ?$")


@dataclass(frozen=True)
class Progress:
    """Where a training is.

    Attributes:
        epoch: Number of the current epoch, from 0; None before the first.
        finished_epochs: Epochs that ended since the start.
        seconds: Duration of the last epoch.
        pseudo_dice: One value per class or region, of the last epoch.
        validation_dice: Mean Dice of the final validation.
    """

    epoch: int | None = None
    finished_epochs: int = 0
    seconds: float | None = None
    train_loss: float | None = None
    val_loss: float | None = None
    pseudo_dice: tuple[float, ...] = ()
    validation_dice: float | None = None

    def after(self, line: str) -> Progress:
        """Return the progress after one more line."""
        if found := _EPOCH.search(line):
            return replace(self, epoch=int(found.group(1)))
        if found := _TRAIN.search(line):
            return replace(self, train_loss=float(found.group(1)))
        if found := _VAL.search(line):
            return replace(self, val_loss=float(found.group(1)))
        if found := _DICE.search(line):
            items = tuple(float(item) for item in re.findall(_NUMBER, found.group(1)))
            return replace(self, pseudo_dice=items)
        if found := _TIME.search(line):
            return replace(self, seconds=float(found.group(1)), finished_epochs=self.finished_epochs + 1)
        if found := _MEAN.search(line):
            return replace(self, validation_dice=float(found.group(1)))
        return self
