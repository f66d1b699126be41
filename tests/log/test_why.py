"""After a training has failed, ``run`` says why, by what it printed and the code that it ended with."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnunet_doctor import catalogue
from nnunet_doctor.facts import Facts
from nnunet_doctor.facts.derive import derive
from nnunet_doctor.run.why import Why

STAMP = "2026-11-22 06:31:52.787228: "
START = ["Using device: cuda:0", "Please cite the following paper when using nnU-Net:", f"{STAMP}Epoch 0"]
ERROR = [
    "Traceback (most recent call last):",
    '  File "/home/user/x.py", line 1, in f',
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB",
]


MACHINE = derive(
    Facts().with_values(
        {"platform.os": "linux", "platform.container": "docker", "platform.scheduler": None, "platform.wsl": None}
    )
)


@pytest.fixture
def why() -> Why:
    """Return what knows all checks."""
    return Why(catalogue.load(), "en")


def written(folder: Path, *lines: str) -> Path:
    """Write the output of a training."""
    path = folder / "nnunet_doctor_2026-11-22_06-31-00.log"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_the_cause_is_told_on_stdout(why: Why, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Title, line and ways out, without the lines around it, which have just been on the screen."""
    log = written(tmp_path, *START, *ERROR)
    why.tell([log], 1, MACHINE)
    printed = capsys.readouterr()
    cause = why.cause([log])
    assert cause is not None

    assert (cause.id, printed.err) == ("gpu-memory-full", "")
    assert "[gpu-memory-full]" in printed.out
    assert "File " not in printed.out


def test_a_kill_without_words_is_known_by_its_code(
    why: Why, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """SIGKILL leaves nothing in the output; the code says it, and facts of this machine choose the ways out."""
    log = written(tmp_path, *START)
    why.tell([log], 137, MACHINE)
    cause = why.cause([log])
    assert cause is not None

    assert cause.id == "memory-ran-out"
    said = capsys.readouterr().out
    assert "likely, not certain" in said
    assert "give the container more memory" in said
    assert "In a container" not in said


def test_an_unknown_failure_is_not_guessed_at(why: Why, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is started again for it."""
    log = written(tmp_path, *START, *ERROR[:2], "KeyError: 'mine'")
    why.tell([log], 1, MACHINE)

    assert why.cause([log]) is None
    assert "no check knows why" in capsys.readouterr().out


def test_a_log_that_is_gone_is_no_reason_to_fail(why: Why, tmp_path: Path) -> None:
    """The exit code is that of the training, whatever became of its log."""
    why.tell([tmp_path / "gone.log"], 1, MACHINE)

    assert why.cause([tmp_path / "gone.log"]) is None
