"""Progress is read from the lines of real trainings of several releases."""

from __future__ import annotations

import pytest

from nnunet_doctor.log.progress import Progress

NUMPY_2 = """
2026-11-22 06:56:26.644563: Epoch 0
2026-11-22 06:56:26.644697: Current learning rate: 0.01
2026-11-22 07:09:33.420251: train_loss -0.8656
2026-11-22 07:09:33.420474: val_loss -0.987
2026-11-22 07:09:33.420513: Pseudo dice [np.float32(0.9927), np.float32(nan)]
2026-11-22 07:09:33.420568: Epoch time: 786.78 s
2026-11-22 07:09:47.557852: Mean Validation Dice:  0.9936623720352663
"""
NUMPY_1 = """
2024-05-01 06:56:26: Epoch 41\x20
2024-05-01 07:09:33.420251: train_loss nan\x20
2024-05-01 07:09:33.420474: val_loss -1e-05\x20
2024-05-01 07:09:33.420513: Pseudo dice [0.1511]\x20
2024-05-01 07:09:33.420568: Epoch time: 12.0 s\x20
"""


def read(text: str) -> Progress:
    """Read lines one after the other."""
    progress = Progress()
    for line in text.splitlines():
        progress = progress.after(line)
    return progress


def test_progress_of_a_finished_epoch() -> None:
    """Epoch, losses, duration, Dice per class and the final Dice are all there."""
    progress = read(NUMPY_2)

    assert (progress.epoch, progress.finished_epochs, progress.seconds) == (0, 1, 786.78)
    assert (progress.train_loss, progress.val_loss) == (-0.8656, -0.987)
    assert progress.pseudo_dice[0] == 0.9927
    assert len(progress.pseudo_dice) == 2
    assert progress.validation_dice == 0.9936623720352663


def test_lines_of_the_log_file_end_in_a_blank() -> None:
    """The file's trailing blanks and numpy 1's plain numbers are read too."""
    progress = read(NUMPY_1)

    assert (progress.epoch, progress.finished_epochs, progress.seconds) == (41, 1, 12.0)
    assert progress.train_loss != progress.train_loss
    assert (progress.val_loss, progress.pseudo_dice) == (-1e-05, (0.1511,))


@pytest.mark.parametrize(
    "line", ["", "Epoch x", "Using device: cpu", "train_loss", "Pseudo dice", "Epoch time: soon s", "Epoch 3 of my own"]
)
def test_other_lines_change_nothing(line: str) -> None:
    """What is no progress line leaves the progress as it is."""
    assert Progress().after(line) == Progress()
