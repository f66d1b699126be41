"""What deserves attention in samples of a running training: signs of life, memory, disks, GPUs."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from nnunet_doctor.probes.running import Usage

SECONDS_BETWEEN_LOOKS = 15.0
LEAST_STALL_SECONDS = 600.0
"""Silence that is never a stall: torch.compile, unpacking and the validation of a large case take minutes."""
EPOCHS_OF_SILENCE = 5
"""How many epoch times a silence lasts before it counts as one."""
IDLE_SHARE = 0.02
"""Share of one processor that a process tree which only waits may use."""
MEMORY_LEFT = 0.04
"""Share of the granted memory below which the system is about to kill."""
VIDEO_MEMORY_LEFT = 0.02
CHECKPOINT_GIB = 0.4
"""A checkpoint with its optimizer state where none is there to be measured: 3D networks of the default plans."""


class Warned(NamedTuple):
    """Something that deserves attention: the key of its sentence, the check behind it, and the values to fill in."""

    key: str
    check: str
    values: dict[str, object]


@dataclass
class Guard:
    """Looks at samples and says what deserves attention, each thing once.

    Attributes:
        epoch_seconds: Typical time of an epoch so far; None before the first has ended.
        last_output: When the training printed last.
    """

    last_output: float
    epoch_seconds: float | None = None
    told: set[str] = field(default_factory=set)
    _last_life: float = 0.0
    _cpu_seconds: float | None = None
    _looked: float | None = None

    def heard(self, now: float) -> None:
        """Note that the training has printed something, which ends a stall."""
        self.last_output = now
        self.told.discard("run_stalled")

    def look(self, usage: Usage, now: float) -> list[Warned]:
        """Return what is new in a sample."""
        found = [*self._stall(usage, now), *_shortages(usage)]
        new = [item for item in found if item.key not in self.told]
        self.told.update(item.key for item in new)
        return new

    def silent_for(self, now: float) -> float:
        """Return the seconds without a sign of life: neither output, nor work on a processor or GPU."""
        return now - max(self.last_output, self._last_life)

    def _stall(self, usage: Usage, now: float) -> Iterator[Warned]:
        if usage.cpu_seconds is not None and self._cpu_seconds is not None and self._looked is not None:
            used, passed = usage.cpu_seconds - self._cpu_seconds, now - self._looked
            # workers that have ended take their time with them
            if used > IDLE_SHARE * passed or used < 0 or usage.gpu_busy:
                self._last_life = now
        else:
            self._last_life = now
        self._cpu_seconds, self._looked = usage.cpu_seconds, now
        patience = max(LEAST_STALL_SECONDS, EPOCHS_OF_SILENCE * (self.epoch_seconds or 0.0))
        if self.silent_for(now) >= patience:
            values = {"minutes": round(self.silent_for(now) / 60), "processes": "; ".join(usage.processes) or "?"}
            yield Warned("run_stalled", "workers-died", values)


def _shortages(usage: Usage) -> Iterator[Warned]:
    if usage.memory_left is not None and usage.memory_left < MEMORY_LEFT:
        yield Warned("run_memory_low", "memory-short", {"percent": round(100 * usage.memory_left, 1)})
    if usage.disk_free_gib is not None:
        # nnU-Net writes a checkpoint anew beside the old one only when it is the best or the last one
        needed = 2 * (usage.checkpoint_gib or CHECKPOINT_GIB)
        if usage.disk_free_gib < needed:
            values: dict[str, object] = {"free": f"{usage.disk_free_gib:.1f}", "needed": f"{needed:.1f}"}
            yield Warned("run_disk_low", "paths-nearly-full", values)
    if usage.video_memory_left is not None and usage.video_memory_left < VIDEO_MEMORY_LEFT:
        yield Warned("run_video_memory_low", "gpu-memory-full", {"percent": round(100 * usage.video_memory_left, 1)})
    if usage.gpu_hot:
        yield Warned("run_gpu_hot", "gpu-held-back", {})


@contextlib.contextmanager
def every(seconds: float, work: Callable[[], None]) -> Iterator[None]:
    """Do something again and again in a thread until the block ends; what it raises is dropped."""
    done = threading.Event()

    def repeat() -> None:
        while not done.wait(seconds):
            with contextlib.suppress(Exception):
                work()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(1.0)
