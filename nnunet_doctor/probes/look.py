"""All probes at once.

The child in the examined interpreter is started first, and only then the other probes are loaded, which takes as long.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nnunet_doctor.probes import child
from nnunet_doctor.probes.base import Context, Notes

if TYPE_CHECKING:
    from nnunet_doctor.facts import Facts, Observed

Probe = Callable[[Context], Notes]

GRACE_SECONDS = 5.0
"""What a probe gets beyond the deadline of its own child, to clean up."""


def _probes(examined: Callable[[], child.Report]) -> dict[str, Probe]:
    from nnunet_doctor.probes import dataset, interpreter, nnunet_setup, nvml, paths, platform, resources, toolchain

    return {
        "interpreter": functools.partial(interpreter.look, examined=examined),
        "NVML": nvml.look,
        "platform": platform.look,
        "resources": resources.look,
        "paths": paths.look,
        "dataset": dataset.look,
        "nnU-Net set-up": nnunet_setup.look,
        "toolchain": toolchain.look,
    }


@dataclass
class _Running:
    thread: threading.Thread
    notes: list[Notes] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)


def start_looking(context: Context) -> Callable[[], Facts]:
    """Start all probes at once and return a call that waits for what they see, derived facts included.

    A probe that fails or does not end in time leaves its facts unknown, with that as the reason.

    Raises (the returned call):
        NotAnInterpreterError: The examined interpreter is none.
        NoSuchDatasetError: The dataset is named in a way that nnU-Net cannot understand.
    """
    until = time.monotonic() + context.timeout + GRACE_SECONDS
    examined = child.start(context)
    running = {name: _start(probe, context) for name, probe in _probes(examined).items()}
    return lambda: _collect(running, context, until)


def look(context: Context) -> Facts:
    """Look at everything and return what is seen; see :func:`start_looking`."""
    return start_looking(context)()


def _collect(running: Mapping[str, _Running], context: Context, until: float) -> Facts:
    from nnunet_doctor.facts import CATALOGUE, Facts, Unknown
    from nnunet_doctor.facts.derive import derive
    from nnunet_doctor.probes.dataset import NoSuchDatasetError

    values: dict[str, Observed] = {}
    sources: dict[str, str] = {}
    failures: list[str] = []
    for name, probe in running.items():
        probe.thread.join(max(0.0, until - time.monotonic()))
        if probe.errors and isinstance(probe.errors[0], (child.NotAnInterpreterError, NoSuchDatasetError)):
            raise probe.errors[0]
        if probe.notes:
            values |= probe.notes[0].values
            sources |= probe.notes[0].sources
        else:
            error = probe.errors[0] if probe.errors else None
            reason = f"{type(error).__name__}: {error}" if error else f"no end after {context.timeout:g} s"
            failures.append(f"the probe of {name} failed ({reason})")
    values |= context.request.as_facts()
    sources |= dict.fromkeys(context.request.as_facts(), "command line")
    unknown: Observed = Unknown("; ".join(failures) or "no probe looks at it")
    rest = {name: unknown for name, info in CATALOGUE.items() if not info.derived and name not in values}
    return derive(Facts().with_values(values | rest, sources))


def _start(probe: Probe, context: Context) -> _Running:
    """Run a probe in a daemon thread: one that hangs in a dead network folder must not hold the doctor."""

    def work() -> None:
        try:
            running.notes.append(probe(context))
        except BaseException as error:  # noqa: BLE001 - whatever a probe raises is the reason of an unknown
            running.errors.append(error)

    running = _Running(threading.Thread(target=work, daemon=True))
    running.thread.start()
    return running
