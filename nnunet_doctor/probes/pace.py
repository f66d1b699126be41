"""How fast a training is on this machine, by a few real iterations of it in the examined interpreter."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_doctor import processes
from nnunet_doctor.facts import Unknown
from nnunet_doctor.request import Request

MARK = "nnunet-doctor-pace:"
SECONDS = 20.0
"""How long steps are timed, once they are warm."""
DEADLINE = 600.0
"""When a training that takes minutes for a single step has been seen enough of."""
DRIFT = 0.15
"""How far an epoch may lie from what a few of its steps foretell, beside chance: clocks and neighbours change."""


@dataclass(frozen=True)
class Pace:
    """Times of a training, in seconds.

    Attributes:
        epochs: Number of epochs of the trainer.
        epoch_seconds: Expected time of one epoch.
        low: The least that it may well be.
        high: The most that it may well be.
    """

    epochs: int
    epoch_seconds: float
    low: float
    high: float


def measure(
    python: Path, environ: Mapping[str, str], dataset: str, request: Request, device: str, seconds: float = SECONDS
) -> Pace | Unknown:
    """Run a few iterations and say what an epoch takes.

    Args:
        python: The interpreter with nnU-Net.
        environ: Environment of the training, the settings of the plan included.
        dataset: Id or name.
        request: What the user means to train.
        device: cuda, cpu or mps.
        seconds: How long to time.
    """
    script = str(Path(__file__).with_name("pace_child.py"))
    words = [dataset, str(request.configuration), str(request.fold), request.trainer, request.plans, device]
    with processes.scratch() as folder:
        ended = processes.run(
            [str(python), script, *words, str(seconds)],
            DEADLINE,
            {**environ, "nnUNet_results": str(folder)},
            keep=1 << 18,
        )
    seen = [_read(line) for line in ended.output.splitlines() if line.startswith(MARK)]
    pace = conclude([item for item in seen if item])
    if pace is not None:
        return pace
    last = next((line for line in reversed(ended.output.splitlines()) if line.strip()), "it printed nothing")
    return Unknown("no iteration ended in time" if ended.code is None else last.strip())


def _read(line: str) -> dict[str, Any]:
    try:
        found = json.loads(line.removeprefix(MARK))
    except ValueError:  # cut by the end of the child
        return {}
    return found if isinstance(found, dict) else {}


def conclude(seen: Sequence[Mapping[str, Any]]) -> Pace | None:
    """Put observations together; None when not a single training step was timed.

    Steps that are not warm count only where there are no others, as with a step of minutes.
    """
    sizes = next((item for item in seen if "epochs" in item), None)
    steps = _times(seen, "step")
    if sizes is None or not steps:
        return None
    validation = _times(seen, "validation_step") or [statistics.mean(steps) / 3]
    train, rest = sizes["steps"] * statistics.mean(steps), sizes["validation_steps"] * statistics.mean(validation)
    doubt = DRIFT + 2 * _error_of_mean(steps)
    return Pace(
        epochs=sizes["epochs"],
        epoch_seconds=train + rest,
        low=(train + rest) / (1 + doubt),
        high=(train + rest) * (1 + doubt),
    )


def _times(seen: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    warm = [item[name] for item in seen if name in item and item["warm"]]
    return warm or [item[name] for item in seen if name in item]


def _error_of_mean(times: Sequence[float]) -> float:
    """Return the standard error of the mean, as a share of it; 0.5 where a single time tells nothing of it."""
    if len(times) < 2:
        return 0.5
    return statistics.stdev(times) / statistics.mean(times) / math.sqrt(len(times))
