"""All probes at once, or those that are asked.

The child in the examined interpreter is started first, and only then the other probes are loaded, which takes as long.
"""

from __future__ import annotations

import functools
import importlib
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from nnunet_doctor.config import not_read
from nnunet_doctor.contents import NAMES
from nnunet_doctor.probes.base import Context, Notes
from nnunet_doctor.request import FACTS

if TYPE_CHECKING:
    from nnunet_doctor.facts import Detail, Facts, Observed, Unknown
    from nnunet_doctor.probes.child import Report

Look = Callable[..., Notes]

GRACE_SECONDS = 5.0
"""What a probe gets beyond the deadline of its own child, to clean up."""

CONTENT = "content of files"
"""The probe that goes by what that of the dataset saw."""

PACK = "pack"
"""What notes the facts that installed packs declare, where their probes are named."""

NOT_ASKED = "not asked for"
"""Why a fact is unknown whose probe was not started."""


class Probe(NamedTuple):
    """A module with a function ``look``, and what it notes: single facts, and of the areas all that no other notes."""

    module: str
    notes: tuple[str, ...]


PROBES = {
    "interpreter": Probe("interpreter", ("python", "torch", "triton", "nnunet")),
    "NVML": Probe("nvml", ("gpu",)),
    "platform": Probe("platform", ("platform",)),
    "resources": Probe("resources", ("resources",)),
    "paths": Probe("paths", ("paths",)),
    "dataset": Probe("dataset", ("dataset", "preprocessed", "training")),
    CONTENT: Probe("content", NAMES),
    "nnU-Net set-up": Probe(
        "nnunet_setup",
        (
            "nnunet.compile_variable",
            "nnunet.workers_variable",
            "nnunet.processes_variable",
            "nnunet.unknown_variables",
            "nnunet.v1_variables",
            "nnunet.variables",
            "nnunet.load_variable",
            "nnunet.trainers_missing",
            "nnunet.command",
            "nnunet.command_here",
        ),
    ),
    "toolchain": Probe(
        "toolchain",
        (
            "triton.c_compiler",
            "triton.cc_variable",
            "triton.c_compiler_version",
            "triton.cpp_compiler",
            "triton.openmp",
            "triton.libcuda",
            "triton.libcuda_link",
            "triton.variables",
            "triton.cache",
            "triton.cache_executable",
            "triton.cache_writable",
            "triton.cache_there",
            "triton.cache_free_gib",
            "triton.own_cache",
            "triton.own_cache_executable",
            "triton.own_cache_writable",
            "triton.own_cache_free_gib",
        ),
    ),
    "distributed training": Probe(
        "distributed", ("training.master_port", "training.master_port_taken", "training.copies")
    ),
    "trial": Probe("trial", ("trial",)),
}

_NOTED_BY = {noted: name for name, probe in PROBES.items() for noted in probe.notes} | {"config": "configuration"}


def _unread(environ: Mapping[str, str]) -> tuple[Detail, ...] | None:
    """List variables that are meant for the doctor and that it does not read."""
    found = not_read(environ)
    if not found:
        return None
    from nnunet_doctor.facts import Detail

    return tuple(Detail(name, nearest) for name, nearest in found)


def noted_by(fact: str) -> str:
    """Name the probe that notes an observed fact."""
    return _NOTED_BY.get(fact) or _NOTED_BY.get(fact.partition(".")[0], PACK)


def _known(context: Context) -> Notes:
    """Note what the context tells by itself; a probe that looks closer has the last word."""
    notes = Notes()
    notes.see("command line or own interpreter", python__executable=str(context.python))
    for folder in ("raw", "preprocessed", "results"):
        variable = f"nnUNet_{folder}"
        notes.see(variable, **{f"paths__{folder}": context.environ.get(variable)})
    # no look tells these: they are noted when findings are told from what is waived
    notes.see("configuration", config__expired_waivers=None, config__unused_waivers=None)
    notes.see("environment", config__unread_variables=_unread(context.environ))
    if context.request.dataset is None:
        notes.values |= dict.fromkeys(NAMES)
        notes.sources |= dict.fromkeys(NAMES, "no dataset is named")
    notes.values |= context.request.as_facts()
    notes.sources |= dict.fromkeys(FACTS.values(), "command line")
    return notes


def _named(context: Context, asked: Collection[str] | None) -> list[str]:
    """Name the probes to start; without a dataset there are no files to look at."""
    names = list(PROBES) if asked is None else _needed(context, asked)
    of_files = context.request.dataset is not None and (context.contents or asked is not None)
    return [name for name in names if name != CONTENT or of_files]


def _needed(context: Context, asked: Collection[str]) -> list[str]:
    """Name the probes that note what is asked; a dataset that is named is looked up anyway, as it may not exist."""
    from nnunet_doctor.facts import CATALOGUE

    known = _known(context).values
    wanted = {noted_by(name) for name in asked if name not in known and not CATALOGUE[name].derived}
    wanted |= {"dataset"} if context.request.dataset is not None else set()
    wanted |= _trial_goes_by() if context.deep and "trial" in wanted else set()
    return [name for name in PROBES if name in wanted]


def _trial_goes_by() -> set[str]:
    """Name the probes whose facts decide what is tried."""
    from nnunet_doctor.facts.derive import inputs_of, with_inputs
    from nnunet_doctor.probes.trial import NEEDED

    observed = {name for name in with_inputs(NEEDED) if not inputs_of(name) and name not in FACTS.values()}
    return {"paths", "toolchain"} | {noted_by(name) for name in observed}


def _looks(names: Collection[str], examined: Callable[[], Report] | None) -> dict[str, Look]:
    looks = {name: importlib.import_module(f"nnunet_doctor.probes.{PROBES[name].module}").look for name in names}
    if "interpreter" in looks:
        looks["interpreter"] = functools.partial(looks["interpreter"], examined=examined)
    return looks


def _probes_of_packs(context: Context, asked: Collection[str] | None) -> dict[str, Look]:
    """Return the probes of packs that are named, where their facts are asked."""
    if not context.packs:
        return {}
    from nnunet_doctor.probes import packs

    return {
        f"{PACK} {pack.name}": functools.partial(packs.look, pack=pack)
        for pack in packs.named(context.packs)
        if asked is None or not pack.facts.keys().isdisjoint(asked)
    }


def _not_named(fact: str) -> Unknown:
    from nnunet_doctor.facts import Unknown
    from nnunet_doctor.packs import owner_of

    return Unknown(f"its probe runs only when it is named: --probes {owner_of(fact)}")


@dataclass
class _Running:
    thread: threading.Thread
    notes: list[Notes] = field(default_factory=list)
    errors: list[BaseException] = field(default_factory=list)


def start_looking(context: Context, asked: Collection[str] | None = None) -> Callable[[], Facts]:
    """Start the probes at once and return a call that waits for what they see, derived facts included.

    A probe that fails or does not end in time leaves its facts unknown, with that as the reason.

    Args:
        context: Where to look.
        asked: The facts that are asked, with all that they follow from; the others may stay unknown. Everything is
            looked at unless it is given.

    Raises (the returned call):
        NotAnInterpreterError: The examined interpreter is none.
        NoSuchDatasetError: The dataset is named in a way that nnU-Net cannot understand.
    """
    until = time.monotonic() + context.timeout + GRACE_SECONDS
    names = _named(context, asked)
    own = _probes_of_packs(context, asked)
    examined = None
    if "interpreter" in names:
        from nnunet_doctor.probes import child

        examined = child.start(context)
    looks = _looks(names, examined) | own
    trial, content = looks.pop("trial", None), looks.pop(CONTENT, None)
    running = {name: _start(look, context) for name, look in looks.items()}
    if trial is not None:
        others = tuple(running.values())
        running["trial"] = _start(functools.partial(trial, seen=lambda: _seen(others, context, until)), context)
    if content is not None:
        dataset = running["dataset"]
        running[CONTENT] = _start(functools.partial(content, seen=lambda: _noted(dataset, until)), context)
    return lambda: _collect(running, context, until, asked)


def look(context: Context, asked: Collection[str] | None = None) -> Facts:
    """Look at everything, or at what is asked, and return what is seen; see :func:`start_looking`."""
    return start_looking(context, asked)()


def _collect(running: Mapping[str, _Running], context: Context, until: float, asked: Collection[str] | None) -> Facts:
    from nnunet_doctor.facts import CATALOGUE, Facts, Unknown
    from nnunet_doctor.facts.derive import derive

    known = _known(context)
    values: dict[str, Observed] = {}
    sources: dict[str, str] = {}
    failures: list[str] = []
    if context.deep and "trial" in running:
        _wait_for_trial(running, context, until)
    surveyed, until = _survey(running, context, until, asked)
    for name, probe in running.items():
        _wait(probe, until)
        if probe.notes:
            values |= probe.notes[0].values
            sources |= probe.notes[0].sources
        else:
            error = probe.errors[0] if probe.errors else None
            reason = f"{type(error).__name__}: {error}" if error else f"no end after {context.timeout:g} s"
            failures.append(f"the probe of {name} failed ({reason})")
    values |= surveyed.values
    sources |= surveyed.sources
    lost: Observed = Unknown("; ".join(failures) or "no probe looks at it")
    not_asked: Observed = Unknown(NOT_ASKED)
    for name, info in CATALOGUE.items():
        if info.derived:
            if asked is not None and name not in asked:
                values[name] = not_asked
        elif name in known.values and (name in FACTS.values() or noted_by(name) not in running):
            values[name], sources[name] = known.values[name], known.sources[name]
        elif name not in values and noted_by(name) == PACK:
            values[name] = _not_named(name)
        elif name not in values:
            values[name] = lost if noted_by(name) in running else not_asked
    return derive(Facts(values, sources), asked)


def _wait(probe: _Running, until: float) -> None:
    """Wait for a probe; the user's slip that it finds is raised."""
    probe.thread.join(max(0.0, until - time.monotonic()))
    if probe.errors and is_wrong_use(probe.errors[0]):
        raise probe.errors[0]


def _seen(others: Collection[_Running], context: Context, until: float) -> Facts:
    """Wait for the other probes and return what they saw, with what the trials go by."""
    from nnunet_doctor.facts import Facts
    from nnunet_doctor.facts.derive import derive, with_inputs
    from nnunet_doctor.probes.trial import NEEDED

    values = _known(context).values
    for probe in others:
        _wait(probe, until)
        for notes in probe.notes:
            values |= notes.values
    return derive(Facts(values | context.request.as_facts()), with_inputs(NEEDED))


def _noted(probe: _Running, until: float) -> Mapping[str, Observed] | None:
    """Wait for a probe and return what it saw; None where it has failed."""
    probe.thread.join(max(0.0, until - time.monotonic()))
    return probe.notes[0].values if probe.notes else None


def _wait_for_trial(running: Mapping[str, _Running], context: Context, until: float) -> None:
    """Wait for the trials, which a survey would slow down; a slip of the pen is told before them."""
    if "dataset" in running:
        _wait(running["dataset"], until)
    _wait(running["trial"], until + context.timeout + GRACE_SECONDS)


def _survey(
    running: Mapping[str, _Running], context: Context, until: float, asked: Collection[str] | None
) -> tuple[Notes, float]:
    """Survey the raw dataset while the other probes look; once the user interrupts it, nothing is waited for."""
    probe = running.get("dataset")
    if probe is None:
        return Notes(), until
    probe.thread.join(max(0.0, until - time.monotonic()))
    if not probe.notes:
        return Notes(), until

    from nnunet_doctor.facts import Unknown
    from nnunet_doctor.probes import dataset

    if asked is not None and not set(asked) & set(dataset.FAULTS.values()):
        return Notes(), until
    try:
        notes = dataset.survey(context, probe.notes[0].values)
    except dataset.NoSuchDatasetError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a survey raises is the reason of an unknown
        unknown: Observed = Unknown(f"the survey of the raw dataset failed ({type(error).__name__}: {error})")
        return Notes(dict.fromkeys(dataset.FAULTS.values(), unknown)), until
    return notes, 0.0 if notes.values.get("dataset.survey_interrupted") is True else until


def is_wrong_use(error: BaseException) -> bool:
    """Say whether an error is the user's slip, and not the failure of a probe."""
    from nnunet_doctor.probes.child import NotAnInterpreterError
    from nnunet_doctor.probes.dataset import NoSuchDatasetError

    return isinstance(error, (NotAnInterpreterError, NoSuchDatasetError))


def _start(look: Look, context: Context) -> _Running:
    """Run a probe in a daemon thread: one that hangs in a dead network folder must not hold the doctor."""

    def work() -> None:
        try:
            running.notes.append(look(context))
        except BaseException as error:  # noqa: BLE001 - whatever a probe raises is the reason of an unknown
            running.errors.append(error)

    running = _Running(threading.Thread(target=work, daemon=True))
    running.thread.start()
    return running
