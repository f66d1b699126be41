"""What a training does, tried out in the examined interpreter: folders, device, worker, convolution, compilation.

The trials share one child, because each start of it imports torch; a trial that ends the child costs itself, and the
rest goes on in a new one. Each has a deadline, and all of them together have that of a probe.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PureWindowsPath
from typing import Any, NamedTuple

from nnunet_doctor import processes
from nnunet_doctor.facts import CATALOGUE, Detail, Facts, Observed, Unknown
from nnunet_doctor.probes.base import Context, Notes
from nnunet_doctor.probes.child import Report, read_stages
from nnunet_doctor.probes.paths import nearest_folder

SCRIPT = Path(__file__).with_name("trial_child.py")

NEEDED = ("training.device", "training.compiles", "training.is_3d", "training.planned")
"""Derived facts that the trials go by."""

SHARES = {
    "raw": 0.1,
    "preprocessed": 0.1,
    "results": 0.1,
    "torch": 0.5,
    "device": 1 / 3,
    "worker": 0.5,
    "convolution": 1 / 3,
    "compile": 2 / 3,
}
"""Deadline of each stage, in the order of the stages, as a share of that of all."""

FOLDERS = ("raw", "preprocessed", "results")
NEEDS = {"device": "torch", "worker": "torch", "convolution": "device", "compile": "device"}
"""What a stage stands on, as in trial_child.py."""

ROOM_GIB = 0.1
"""A folder with less is left alone: the disk is full anyway, which another fact says."""

USUAL_BATCH = (2, 1, 128, 128, 128)
"""A common 3d_fullres batch (cases, channels, voxels), taken while no plan is known."""

LARGEST_BATCH_GIB = 0.5
"""A batch above this size, of float32, is not tried, but the usual one."""

CACHES = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")
"""What was compiled before hides a compiler that is missing now, so the trial has empty caches beside the real ones."""


class Outcome(NamedTuple):
    """How a stage ended: with what it saw, with an error, or at its deadline, which is an error too."""

    saw: Mapping[str, Any] = {}
    error: str | None = None
    is_late: bool = False


@dataclass
class _Trials:
    """What is to be tried, and how it went.

    Attributes:
        stages: Stages to run, in order.
        hindrance: Why nothing that needs torch is tried, if so: a fact for all of it.
        outcomes: How each stage ended that began.
    """

    stages: list[str]
    hindrance: Sequence[Observed]
    outcomes: dict[str, Outcome] = field(default_factory=dict)


def look(context: Context, seen: Callable[[], Facts] = Facts) -> Notes:
    """Note the facts of area trial: None, which is "does not apply", unless the context is deep.

    Args:
        context: Where to look, and how deep.
        seen: Waits for what the other probes saw, with the facts of :data:`NEEDED`.
    """
    notes = Notes()
    if not context.deep:
        names = [name.replace(".", "__") for name in CATALOGUE if name.startswith("trial.")]
        notes.see("not tried without --deep", **dict.fromkeys(names))
        return notes
    facts = seen()
    trials = _choose(facts)
    _run_all(trials, facts, context)
    _note(trials, facts, context, notes)
    return notes


# --- what to try ---------------------------------------------------------------------------------------------------


def _choose(facts: Facts) -> _Trials:
    hindrance = _hindrance(facts)
    stages = [name for name in FOLDERS if _is_tried(name, facts)]
    if not hindrance:
        stages += ["torch", "device", "worker", "convolution"]
        # where it is unknown whether nnU-Net compiles, a trial does no harm
        stages += ["compile"] if facts["training.compiles"] is not False else []
    return _Trials(stages, hindrance)


def _hindrance(facts: Facts) -> Sequence[Observed]:
    """Say why torch cannot be tried: empty when it can, None inside when it is not there."""
    if facts["torch.installed"] is False:
        return [None]
    if facts["torch.importable"] is False:
        return [Unknown("torch cannot be imported")]
    needed = [facts[name] for name in ("torch.installed", "torch.importable", "training.device")]
    return [value for value in needed if isinstance(value, Unknown)][:1]


def _is_tried(name: str, facts: Facts) -> bool:
    """Leave out what other facts condemn: unset, no folder, not writable (which raw data need not be), or full."""
    kind, writable, free = (facts[f"paths.{name}_{noun}"] for noun in ("kind", "writable", "free_gib"))
    exists = kind == "folder" or isinstance(kind, Unknown)
    has_room = not isinstance(free, float) or free >= ROOM_GIB
    return bool(facts[f"paths.{name}"]) and exists and writable is not False and has_room


def _plan(facts: Facts) -> dict[str, Any]:
    """Return what the child needs to know."""
    flat = facts["training.planned"] is True and facts["training.is_3d"] is False
    return {
        "folders": {name: str(facts[f"paths.{name}"]) for name in FOLDERS},
        "device": facts["training.device"] if isinstance(facts["training.device"], str) else "cpu",
        "dimensions": 2 if flat else 3,
        "batch": _batch(facts),
    }


def _batch(facts: Facts) -> Sequence[int]:
    size, channels, patch = (facts[f"preprocessed.{noun}"] for noun in ("batch_size", "channels", "patch_size"))
    if isinstance(size, int) and isinstance(channels, int) and isinstance(patch, tuple):
        planned = (size, channels, *(edge for edge in patch if isinstance(edge, int)))
        numbers = 1
        for edge in planned:
            numbers *= edge
        if 0 < numbers * 4 <= LARGEST_BATCH_GIB * 1024**3:
            return planned
    return USUAL_BATCH


# --- trying --------------------------------------------------------------------------------------------------------


def _run_all(trials: _Trials, facts: Facts, context: Context) -> None:
    """Run the stages in as many children as it takes, until the time is up."""
    until = time.monotonic() + context.timeout
    rest = list(trials.stages)
    while rest and (seconds := until - time.monotonic()) > 0:
        wanted = rest if "torch" in rest or not set(rest) & set(NEEDS) else ["torch", *rest]
        found = _run(wanted, _plan(facts), facts, context, seconds)
        if not found:
            return
        trials.outcomes |= found
        failed = {name for name, outcome in trials.outcomes.items() if outcome.error is not None}
        rest = [name for name in rest if name not in trials.outcomes and not failed & set(_stands_on(name))]


def _stands_on(name: str) -> list[str]:
    """List the stages without which one makes no sense, the nearest first."""
    need = NEEDS.get(name)
    return [need, *_stands_on(need)] if need else []


def _run(
    stages: Iterable[str], plan: Mapping[str, Any], facts: Facts, context: Context, seconds: float
) -> dict[str, Outcome]:
    """Run a child to its end, and return how the stages ended that began."""
    timed = [(name, round(SHARES[name] * context.timeout, 2)) for name in stages]
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(processes.scratch())
        stack.callback(_remove_sockets, folder)
        environ = dict(context.environ)
        if any(name == "compile" for name, _ in timed):
            try:
                environ |= _empty_caches(stack, facts, context)
            except OSError as error:
                return {"compile": Outcome(error=f"{type(error).__name__}: {error}")}
        report = folder / "report.jsonl"
        words = json.dumps({**plan, "stages": timed, "temporary": str(folder)})
        try:
            ended = processes.run([str(context.python), str(SCRIPT), str(report), words], seconds, environ)
        except OSError:
            return {}
        return _outcomes(Report(read_stages(report), ended, seconds), dict(timed), _place(report))


def _remove_sockets(folder: Path) -> None:
    """Remove the folder that multiprocessing made for its sockets, which the child has named."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        sockets = Path((folder / "sockets").read_text(encoding="utf-8"))
        if sockets.name.startswith("pymp-"):
            shutil.rmtree(sockets, ignore_errors=True)


def _empty_caches(stack: contextlib.ExitStack, facts: Facts, context: Context) -> dict[str, str]:
    """Make empty caches for what is compiled, on the file systems of the real ones, one thread for it, and no pool.

    Raises:
        OSError: Nothing can be written there, which the training would find out too.
    """
    environ = {"TORCHINDUCTOR_COMPILE_THREADS": "1"}
    real = facts["triton.cache"] if isinstance(facts["triton.cache"], str) else tempfile.gettempdir()
    for variable in CACHES:
        place = nearest_folder(Path(context.environ.get(variable) or real))
        environ[variable] = str(stack.enter_context(processes.scratch(place)))
    return environ


def _place(report: Path) -> str | None:
    """Name the function that hung, which the child left before it ended itself; None when it did not."""
    try:
        text = report.with_name(report.name + ".place").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    if not text:
        return None
    # the main thread is the last one, and its innermost call the first
    found = re.search(r'File "(.+)", line \d+ in (.+)', text.rpartition("most recent call first")[2])
    return f"{found[2]}, {PureWindowsPath(found[1]).name}" if found else "?"


def _outcomes(report: Report, seconds: Mapping[str, float], place: str | None) -> dict[str, Outcome]:
    found = {}
    for name in report.stages:
        how = report.outcome(name)
        if how == "ok":
            found[name] = Outcome(report.saw(name))
        elif how == "error":
            found[name] = Outcome(error=report.complaint(name))
        elif how == "timeout":
            found[name] = Outcome(error=report.complaint(name), is_late=True)
        elif place is not None:
            found[name] = Outcome(error=f"no end after {seconds[name]:g} s (in {place})", is_late=True)
        else:
            found[name] = Outcome(error=report.complaint(name))
    return found


# --- what it tells -------------------------------------------------------------------------------------------------


def _note(trials: _Trials, facts: Facts, context: Context, notes: Notes) -> None:
    source = "a trial in the examined interpreter"
    tried = tuple(name for name in trials.outcomes if name != "torch")
    device: Observed = trials.hindrance[0] if trials.hindrance else facts["training.device"]
    notes.see(source, trial__tried=tried, trial__device=device)
    for name in ("device", "worker", "convolution", "compile"):
        error, seconds = _error(name, trials, context), _number(name, "seconds", trials, context)
        notes.see(source, **{f"trial__{name}_error": error})
        if name != "device":
            notes.see(source, **{f"trial__{name}_seconds": seconds})
    lost = [value for name in FOLDERS if isinstance(value := _error(name, trials, context), Unknown)]
    failed = [Detail(f"nnUNet_{name}", str(trials.outcomes[name].error)) for name in FOLDERS if _fails(name, trials)]
    notes.see(source, trial__folders_error=lost[0] if lost else tuple(failed))
    for name in FOLDERS:
        notes.see(source, **{f"trial__{name}_write_mib_s": _number(name, "mib_s", trials, context)})


def _fails(name: str, trials: _Trials) -> bool:
    return name in trials.outcomes and trials.outcomes[name].error is not None


def _error(name: str, trials: _Trials, context: Context) -> Observed:
    """Return what a trial failed with: None for nothing and for what does not apply, unknown when it had no chance."""
    if name not in trials.stages:
        return trials.hindrance[0] if trials.hindrance and name not in FOLDERS else None
    outcome = trials.outcomes.get(name)
    if outcome is None:
        return _no_chance(name, trials, context)
    if name == "compile" and outcome.is_late:  # slow and hanging look alike, and slow ones train
        return Unknown(f"{outcome.error}; --timeout gives it more time")
    return outcome.error


def _no_chance(name: str, trials: _Trials, context: Context) -> Unknown:
    for need in _stands_on(name):
        if _fails(need, trials):
            error = trials.outcomes[need].error
            if need == "torch":
                return Unknown(f"torch cannot be imported: {error}")
            return Unknown(f"the trial of the device failed: {error}")
    return Unknown(f"the {context.timeout:g} s of all trials were over before it; --timeout gives them more")


def _number(name: str, key: str, trials: _Trials, context: Context) -> Observed:
    outcome = trials.outcomes.get(name)
    if outcome is not None and outcome.error is None:
        value: Observed = outcome.saw.get(key)
        return value
    error = _error(name, trials, context)
    return error if isinstance(error, Unknown) else None
