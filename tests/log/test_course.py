"""The course of a training: epochs, where it stopped, how often it was started, and what is odd about it."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from nnunet_doctor.log.course import Course, Place, Tracker, kind_of
from nnunet_doctor.log.literals import DIGITS
from nnunet_doctor.log.reading import Known, Reader
from nnunet_doctor.log.source import Piece

STAMP = "2026-11-22 06:31:52.787228: "
BANNER = ["Using device: cuda:0", "", "Please cite the following paper when using nnU-Net:"]
READY = [f"{STAMP}Desired fold for training: 0", f"{STAMP}This split has 6 training and 2 validation cases."]


def epoch(number: int, dice: str = "0.5", seconds: float = 10, loss: str = "-0.5", *, ends: bool = True) -> list[str]:
    """Return the lines of an epoch."""
    lines = ["", f"Epoch {number}", "Current learning rate: 0.01"]
    if ends:
        lines += [f"train_loss {loss}", "val_loss -0.4", f"Pseudo dice [np.float32({dice}), np.float32(0.7)]"]
        lines += [f"Epoch time: {seconds} s", f"Yayy! New best EMA pseudo Dice: 0.{number + 10}"]
    return [STAMP + line for line in lines]


def tracked(lines: Iterable[str]) -> Tracker:
    """Follow lines as the reader does."""
    tracker = Tracker()
    for number, line in enumerate(lines, 1):
        kind = kind_of(line.encode().translate(None, DIGITS))
        if kind:
            tracker.take(kind, line.encode(), number)
    return tracker


def course_of(lines: Iterable[str]) -> Course:
    """Return the course that lines tell."""
    return tracked(lines).course()


def odd(lines: Iterable[str]) -> list[str]:
    """Return what is odd about a training."""
    return [item.kind for item in course_of(lines).oddities]


FINISHED = [
    *BANNER,
    *READY,
    *epoch(0),
    *epoch(1),
    f"{STAMP}Training done.",
    f"{STAMP}predicting case_003",
    f"{STAMP}Validation complete",
    f"{STAMP}Mean Validation Dice:  0.864",
]


def test_a_finished_training() -> None:
    """All that a reader wants to know of it."""
    found = course_of(FINISHED)

    assert (found.stage, found.finished_epochs, found.validation_dice, found.best_dice) == ("complete", 2, 0.864, 0.11)
    assert (found.seconds, found.pseudo_dice, found.train_loss, found.val_loss) == (10.0, (0.5, 0.7), -0.5, -0.4)
    assert (found.starts, found.resumed, found.restarted, found.oddities) == (1, 0, 0, ())


@pytest.mark.parametrize(
    ("lines", "stage", "at", "finished"),
    [
        ([], "none", None, 0),
        (["Killed"], "none", None, 0),
        ([*BANNER, *READY], "starting", None, 0),
        ([*BANNER, *READY, *epoch(0), *epoch(1, ends=False)], "epoch", 1, 1),
        ([*BANNER, *READY, *epoch(0), *epoch(1)], "between", 1, 2),
        (FINISHED[:-3], "trained", 1, 2),
        (FINISHED[:-2], "validating", 1, 2),
    ],
)
def test_where_it_stopped(lines: list[str], stage: str, at: int | None, finished: int) -> None:
    """The stage, the epoch, and how many are finished."""
    found = course_of(lines)

    assert (found.stage, found.epoch, found.finished_epochs) == (stage, at, finished)


def test_the_case_of_the_validation_is_named() -> None:
    """A validation that ends half-way names the case it was at."""
    assert course_of(FINISHED[:-2]).case == "case_003"


def test_two_processes_of_one_training_are_one() -> None:
    """Under DDP every process prints the same lines, without stamps from the second on."""
    twice = [line for line in FINISHED for line in (line, line.removeprefix(STAMP))]

    assert (course_of(twice).finished_epochs, course_of(twice).seconds) == (2, 10.0)


def test_numbers_of_numpy_1() -> None:
    """Items of the pseudo Dice are bare numbers with numpy 1."""
    lines = [*BANNER, *READY, f"{STAMP}Epoch 0", f"{STAMP}Pseudo dice [0.1, nan, 1e-05]", f"{STAMP}Epoch time: 3 s"]

    first, second, third = course_of(lines).pseudo_dice
    assert (first, second != second, third) == (0.1, True, 1e-05)  # noqa: PLR0124 - nan


def test_going_on_and_beginning_anew_are_counted() -> None:
    """A start at a later epoch goes on; one at epoch 0 after finished epochs begins anew, which --c would have spared."""
    first = [*BANNER, *READY, *epoch(0), *epoch(1)]
    on = [*BANNER, *READY, *epoch(1), *epoch(2)]
    anew = [*BANNER, *READY, *epoch(0)]

    assert [(item.starts, item.resumed, item.restarted) for item in map(course_of, (first + on, first + anew))] == [
        (2, 1, 0),
        (2, 0, 1),
    ]
    assert (odd(first + on), odd(first + anew)) == (["resumed"], ["restarted"])


def test_another_fold_is_another_training() -> None:
    """A script that trains fold after fold begins nothing anew."""
    other = [line.replace("training: 0", "training: 1") for line in [*BANNER, *READY, *epoch(0)]]

    assert odd([*BANNER, *READY, *epoch(0), *epoch(1), *other]) == []


def test_a_loss_that_is_no_number_is_noticed() -> None:
    """NaN is worth a word wherever it stands, with the epoch in which it came."""
    lines = [*BANNER, *READY, *epoch(0), *epoch(1, loss="nan"), *epoch(2, loss="nan")]
    (found,) = course_of(lines).oddities

    assert (found.kind, found.value) == ("loss-nan", "1")


def test_a_class_that_stays_at_nothing_is_noticed() -> None:
    """Thirty epochs with a Dice of 0 are; twenty, or zeros that end, are not."""

    def zeros(count: int) -> list[str]:
        return [line for number in range(count) for line in epoch(number, dice="0.0")]

    assert odd([*BANNER, *READY, *zeros(31)]) == ["dice-zero"]
    assert odd([*BANNER, *READY, *zeros(20)]) == []
    assert odd([*BANNER, *READY, *zeros(31), *epoch(31, dice="0.1")]) == []


def test_epochs_that_become_slow_are_noticed() -> None:
    """More than twice as slow for some epochs is; one slow epoch, as while a checkpoint is written, is not."""
    usual = [line for number in range(20) for line in epoch(number)]
    slow = [line for number in range(20, 26) for line in epoch(number, seconds=35)]

    assert odd([*BANNER, *READY, *usual, *slow]) == ["slow-down"]
    assert odd([*BANNER, *READY, *usual, *epoch(20, seconds=35), *epoch(21)]) == []


def test_a_missing_validation_is_noticed() -> None:
    """Training done, and nothing after it."""
    assert odd(FINISHED[:-3]) == ["no-validation"]


def test_what_a_training_went_past_did_not_end_it() -> None:
    """One epoch may end while an error is on its way; two do not, nor does the end of the training."""
    tracker = tracked([*BANNER, *READY, *epoch(0)])
    then = tracker.place
    tracker.take("epoch", b"Epoch 1", 50)
    tracker.take("time", b"Epoch time: 3 s", 51)
    after_one = tracker.is_passed(then, ends=True)
    tracker.take("epoch", b"Epoch 2", 52)
    tracker.take("time", b"Epoch time: 3 s", 53)
    after_two = tracker.is_passed(then, ends=True)

    assert (after_one, after_two, tracker.is_passed(tracker.place, ends=True)) == (False, True, False)


def test_what_ended_one_start_is_past_in_the_next() -> None:
    """A later start of the same training is proof that the earlier error is history; that of another fold is none."""
    again = tracked([*BANNER, *READY, *epoch(0, ends=False), *BANNER, *READY])
    other = tracked([*BANNER, *READY, *epoch(0, ends=False), *BANNER, READY[0].replace(": 0", ": 1"), *READY[1:]])
    then = Place(1, 0)

    assert (again.is_passed(then, ends=True), other.is_passed(then, ends=True)) == (True, False)


def test_a_loss_that_does_not_move() -> None:
    """Fifty epochs of the same training loss are worth a word; a loss that scatters, as all do, is not."""
    flat = [line for number in range(60) for line in epoch(number, loss="0.6931")]
    scattering = [line for number in range(60) for line in epoch(number, loss=f"-0.{80 + number % 7}")]

    assert "loss-flat" in odd([*BANNER, *READY, *flat])
    assert odd([*BANNER, *READY, *scattering]) == []


def test_a_long_log_in_one_piece_has_no_flat_loss() -> None:
    """Of lines that are read in large pieces only the last loss is looked at, which is no sign of standing still."""
    reader = Reader(Known(()))
    reader.begin("log")
    lines = [line for number in range(200) for line in epoch(number, loss=f"-0.{80 + number % 7}")]
    reader.take(Piece([line.encode() for line in (*BANNER, *READY, *lines)], range(1, 3 + 2 + len(lines) + 1)))

    assert reader.reading().course.oddities == ()


def test_a_prediction_of_v1_is_no_validation() -> None:
    """nnU-Net v1 names files that it predicts; only a training names a case."""
    lines = [
        "predicting /data/out/case_1.nii.gz",
        "inference done. Now waiting for the segmentation export to finish...",
    ]

    assert course_of(lines).stage == "none"
    assert course_of(["predicting case_1"]).stage == "validating"
