"""Planning and preprocessing before a training, where they are missing or do not belong to the raw dataset any more."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from nnunet_doctor import launch
from nnunet_doctor.engine import Diagnosis
from nnunet_doctor.errors import UserError
from nnunet_doctor.examination import Examination
from nnunet_doctor.facts import Facts
from nnunet_doctor.report.record import shell_of
from nnunet_doctor.request import Request
from nnunet_doctor.run.watch import Watch
from nnunet_doctor.shell import command_line
from nnunet_doctor.words import duration, say

PLAN = ("not-preprocessed",)
"""Checks after which the dataset is planned and preprocessed for the first time."""

AGAIN = (
    "plans-broken",
    "plans-names-too-new",
    "preprocessed-json-broken",
    "fingerprint-missing",
    "fingerprint-broken",
    "fingerprint-of-fewer-cases",
    "preprocessed-stale",
    "labels-changed",
    "dataset-json-changed",
)
"""Checks after which fingerprint, plans and preprocessed cases are made anew, because the dataset has changed."""

CASES = (
    "configuration-not-preprocessed",
    "preprocessed-format-newer",
    "preprocessed-mixed",
    "preprocessed-damaged",
    "cases-incomplete",
)
"""Checks after which only the cases of this configuration are preprocessed: the plans are good."""

PLANNERS = {
    "nnUNetPlans": None,
    "nnUNetResEncUNetMPlans": "nnUNetPlannerResEncM",
    "nnUNetResEncUNetLPlans": "nnUNetPlannerResEncL",
    "nnUNetResEncUNetXLPlans": "nnUNetPlannerResEncXL",
}
"""Planner that writes plans of a name; None for the default one (residual_encoder_unet_planners.py, plans_name)."""

STAGES = {"3d_cascade_fullres": ("3d_lowres", "3d_fullres")}
"""Configurations whose preprocessed cases another one uses (ExperimentPlanner.plan_experiment, data_identifier)."""

MOST_PROCESSES = {"2d": 8, "3d_fullres": 4, "3d_lowres": 8}
"""What nnU-Net starts unless told otherwise (plan_and_preprocess_entry, -np)."""


class Preparation(NamedTuple):
    """What is to be done before the training.

    Attributes:
        because: Id of the finding that asks for it.
        script: Console script of nnU-Net.
        arguments: Its arguments.
        replaces: Folders and files that are made anew, and are there.
    """

    because: str
    script: str
    arguments: tuple[str, ...]
    replaces: tuple[Path, ...]


def needed(diagnosis: Diagnosis, facts: Facts, request: Request) -> Preparation | None:
    """Say what planning and preprocessing a training lacks; None for nothing.

    Args:
        diagnosis: What was found.
        facts: The facts that it was found by.
        request: The training that is meant.

    Raises:
        UserError: The plans are of a name that no planner of nnU-Net gives them.
    """
    found = [finding.check.id for finding in diagnosis.findings if finding.check.severity != "info"]
    because = next((id for ids in (AGAIN, PLAN, CASES) for id in ids if id in found), None)
    if because is None or not isinstance(facts["dataset.id"], int):
        return None
    configurations = STAGES.get(str(request.configuration), (str(request.configuration),))
    processes = [str(_processes(facts, name)) for name in configurations]
    if because in CASES:
        arguments = ["-d", str(facts["dataset.id"]), "-plans_name", request.plans, "-c", *configurations]
        return Preparation(
            because, "nnUNetv2_preprocess", (*arguments, "-np", *processes), _replaced(facts, cases=True)
        )
    if request.plans not in PLANNERS:
        raise UserError(
            f"no planner of nnU-Net writes plans named {request.plans}, so --prepare cannot make them; "
            "plan with nnUNetv2_plan_experiment and -overwrite_plans_name"
        )
    planner = PLANNERS[request.plans]
    arguments = ["-d", str(facts["dataset.id"]), *(["-pl", planner] if planner else []), "-c", *configurations]
    arguments += ["-npfp", str(_processes(facts, "2d")), "-np", *processes]
    # without it, a fingerprint that is there is taken as it is (DatasetFingerprintExtractor.run)
    arguments += ["--clean"] if because in AGAIN else []
    return Preparation(because, "nnUNetv2_plan_and_preprocess", tuple(arguments), _replaced(facts, cases=False))


def _processes(facts: Facts, configuration: str) -> int:
    """Count processes: what nnU-Net starts by default, what is safe, or what the user has set; the least of these."""
    safe, wanted = facts["training.safe_processes"], facts["training.processes"]
    if not isinstance(safe, int):
        return 1
    most = [safe, MOST_PROCESSES.get(configuration, min(MOST_PROCESSES.values()))]
    # the variable is for other steps, and says all the same how much of the machine is to be used
    most += [wanted] if isinstance(wanted, int) and facts["nnunet.processes_variable"] is not None else []
    fits = facts["training.preprocessing_processes"]
    most += [fits] if isinstance(fits, int) and configuration == facts["training.configuration"] else []
    return min(most)


def _replaced(facts: Facts, *, cases: bool) -> tuple[Path, ...]:
    """List what nnU-Net deletes or writes over: the configuration's cases (DefaultPreprocessor.run), and the plans."""
    stored, folder = facts["preprocessed.data_folder"], facts["preprocessed.folder"]
    found = [Path(stored)] if isinstance(stored, str) and _holds_something(Path(stored)) else []
    if not cases and isinstance(folder, str):
        plans = Path(folder, f"{facts['training.plans']}.json")
        found += [path for path in (plans, Path(folder, "dataset_fingerprint.json")) if path.is_file()]
    return tuple(found)


def _holds_something(folder: Path) -> bool:
    try:
        return any(folder.iterdir())
    except OSError:
        return False


def prepare_data(
    found: Examination, request: Request, environ: Mapping[str, str], language: str, *, yes: bool
) -> int | None:
    """Plan and preprocess what a training lacks, and return the exit code of that; None when nothing is lacking.

    Args:
        found: What was found before.
        request: The training that is meant.
        environ: Environment that nnU-Net inherits.
        language: Language of the doctor's sentences.
        yes: Whether what is there may be replaced without a question.

    Raises:
        UserError: It cannot be done without the user.
    """
    facts = found.plan.facts
    wanted = needed(found.plan.diagnosis, facts, request)
    if wanted is None:
        return None
    said = say(language, "prepare_replaces", paths=", ".join(map(str, wanted.replaces)))
    if not _may_replace(wanted.replaces, said, yes=yes):
        raise UserError(f"{said}; nothing was started. Add --yes to let --prepare replace them")
    if wanted.because == "plans-broken":
        _move_plans_aside(facts, language)
    command = launch.nnunet_command(facts, wanted.script, wanted.arguments)
    log = Path(tempfile.gettempdir(), f"nnunet_doctor_prepare_{time.strftime('%Y-%m-%d_%H-%M-%S')}.log")
    watch = Watch(language, None, request.trainer)
    watch.tell(say(language, "prepare_starts", id=wanted.because, path=log))
    watch.tell("      " + command_line(shell_of(facts), command))
    try:
        ended = launch.start(command, environ, log, watch.take)
    except OSError as error:
        raise UserError(f"{wanted.script} cannot be started: {error.strerror or error}") from None
    key = "prepare_failed" if ended.code else "prepare_done"
    watch.tell(say(language, key, code=ended.code, time=duration(ended.seconds, language), path=log))
    return ended.code


def _move_plans_aside(facts: Facts, language: str) -> None:
    """The planner reads the plans that are there, to keep configurations of other names (ExperimentPlanner.save_plans).

    Raises:
        UserError: The file cannot be moved.
    """
    plans = Path(str(facts["preprocessed.folder"]), f"{facts['training.plans']}.json")
    aside = plans.with_name(f"{plans.name}.broken_{time.strftime('%Y-%m-%d_%H-%M-%S')}")
    try:
        plans.rename(aside)
    except OSError as error:
        raise UserError(f"{plans} cannot be moved aside: {error.strerror}; nothing was started") from None
    sys.stderr.write(say(language, "prepare_moved", path=aside) + "\n")


def _may_replace(paths: Sequence[Path], question: str, *, yes: bool) -> bool:
    """Ask before anything is made anew; where nobody can answer, the answer is no."""
    if not paths or yes:
        return True
    if not (sys.stdin and sys.stdin.isatty()):
        return False
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes", "j", "是")
