"""What a running training is warned of, once each, and when it counts as stalled."""

from __future__ import annotations

import pytest

from nnunet_doctor import catalogue
from nnunet_doctor.probes.running import Usage
from nnunet_doctor.run.guard import LEAST_STALL_SECONDS, Guard


def looks(guard: Guard, *samples: tuple[float, Usage]) -> list[str]:
    """Return the keys of all that is said of samples at given times."""
    return [item.key for now, usage in samples for item in guard.look(usage, now)]


def test_silence_without_work_is_a_stall() -> None:
    """Neither output nor processor time for ten minutes is said once, with what the processes are doing."""
    guard = Guard(0.0)
    said = [
        item
        for now in range(0, 1800, 60)
        for item in guard.look(
            Usage(cpu_seconds=5.0, processes=("nnU-Net (7): sleeping", "other processes (3): sleeping")), float(now)
        )
    ]

    assert [item.key for item in said] == ["run_stalled"]
    assert said[0].values["processes"] == "nnU-Net (7): sleeping; other processes (3): sleeping"
    assert said[0].values["minutes"] == LEAST_STALL_SECONDS / 60


@pytest.mark.parametrize(
    "usage",
    [
        lambda now: Usage(cpu_seconds=now * 0.5),
        lambda _now: Usage(cpu_seconds=5.0, gpu_busy=True),
        lambda _now: Usage(),
    ],
    ids=["works on a processor", "works on a GPU", "cannot be told"],
)
def test_work_without_words_is_no_stall(usage) -> None:
    """Compilation and long validations say nothing for long and are left alone."""
    assert looks(Guard(0.0), *((float(now), usage(float(now))) for now in range(0, 7200, 60))) == []


def test_long_epochs_have_long_patience() -> None:
    """With epochs of ten minutes, silence counts after fifty."""
    guard = Guard(0.0, epoch_seconds=600.0)
    idle = Usage(cpu_seconds=5.0)

    assert looks(guard, *((float(now), idle) for now in range(0, 2940, 60))) == []
    assert looks(guard, *((float(now), idle) for now in range(2940, 3120, 60))) == ["run_stalled"]


def test_output_ends_a_stall_and_a_new_one_is_said_again() -> None:
    """A training that goes on and stalls again is worth a second word."""
    guard = Guard(0.0)
    idle = Usage(cpu_seconds=5.0)
    first = looks(guard, *((float(now), idle) for now in range(0, 900, 60)))
    guard.heard(900.0)
    second = looks(guard, *((float(now), idle) for now in range(900, 1800, 60)))

    assert (first, second) == (["run_stalled"], ["run_stalled"])


@pytest.mark.parametrize(
    ("usage", "key"),
    [
        (Usage(memory_left=0.03), "run_memory_low"),
        (Usage(disk_free_gib=0.5), "run_disk_low"),
        (Usage(disk_free_gib=3.0, checkpoint_gib=2.0), "run_disk_low"),
        (Usage(video_memory_left=0.01), "run_video_memory_low"),
        (Usage(gpu_hot=True), "run_gpu_hot"),
    ],
)
def test_a_shortage_is_said_once(usage: Usage, key: str) -> None:
    """What runs out is said when it begins to, and not at every look."""
    assert looks(Guard(0.0), (0.0, usage), (15.0, usage), (30.0, usage)) == [key]


def test_a_machine_with_room_is_silent() -> None:
    """Memory, disk and GPU that are half full are nobody's business."""
    usage = Usage(
        cpu_seconds=1.0,
        memory_left=0.5,
        disk_free_gib=100.0,
        checkpoint_gib=1.0,
        video_memory_left=0.3,
        gpu_busy=True,
        gpu_hot=False,
    )

    assert looks(Guard(0.0), (0.0, usage), (15.0, usage)) == []


def test_the_check_behind_a_warning_can_be_explained() -> None:
    """Every id that a warning names is one of the catalogue, so that `explain` has an answer."""
    everything = Usage(cpu_seconds=5.0, memory_left=0.0, disk_free_gib=0.0, video_memory_left=0.0, gpu_hot=True)
    guard = Guard(0.0)
    said = {item.check for now in (0.0, 3600.0) for item in guard.look(everything, now)}

    assert len(said) == 5
    assert said <= {item.id for item in catalogue.listed()}
