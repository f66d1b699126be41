"""The command ``demo``: a tiny dataset in a folder of its own, checked, prepared and trained for real."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from nnunet_doctor import launch
from nnunet_doctor.check import Check
from nnunet_doctor.errors import UserError
from nnunet_doctor.examination import conclude, look_at
from nnunet_doctor.probes.base import Context
from nnunet_doctor.probes.jsonfile import read_json
from nnunet_doctor.report.record import build, shell_of
from nnunet_doctor.report.text import console_for, print_command, print_report, print_setting
from nnunet_doctor.request import Request
from nnunet_doctor.run.command import Start, prepare, show
from nnunet_doctor.run.go import Manner, go
from nnunet_doctor.shell import command_line
from nnunet_doctor.words import bracketed, duration, say

DATASET, NAME = "999", "Dataset999_DoctorDemo"
TRAINERS = {"cpu": "nnUNetTrainer_1epoch", "mps": "nnUNetTrainer_1epoch", "cuda": "nnUNetTrainer_5epochs"}
"""nnU-Net's own short trainers: one epoch on two slow cores takes as long as five on a GPU."""

EXPORTS = {"nnUNet_def_n_proc": "1"}
"""Processes of the final validation: two cases are exported sooner than a second process has started."""

NOT_OF_DEMO = ("not-preprocessed", "paths-missing")
"""What the demo itself is about to do."""


def demo(context: Context, checks: Sequence[Check], folder: Path | None, language: str, out: IO[str]) -> int:
    """Run the demo and return its exit code: 0, 1 when something blocks it, else that of the step that failed.

    Raises:
        UserError: nnU-Net is not installed, or the working folder cannot be used.
    """
    console = console_for(out)

    def tell(key: str, **values: object) -> None:
        console.print(say(language, key, **values), soft_wrap=True)
        out.flush()

    plain = dataclasses.replace(context, request=Request(device=context.request.device), quick=True)
    if look_at(plain)["nnunet.installed"] is not True:
        raise UserError(say(language, "demo_no_nnunet", python=context.python))
    base = _working_folder(folder)
    tell("demo_folder", path=base)
    folders = _three_folders(base)
    variables = {**EXPORTS, **{name: context.environ[name] for name in EXPORTS if name in context.environ}, **folders}
    environ = {**context.environ, **variables}

    tell("demo_data")
    log = base / "make_dataset.log"
    script = str(Path(__file__).with_name("demo_data.py"))
    made = launch.start([str(context.python), script, str(Path(folders["nnUNet_raw"], NAME))], environ, log)
    if made.code:
        return _failed(made, "demo_data.py", log, language)

    tell("demo_check")
    request = Request(DATASET, "2d", "0", device=context.request.device, trainer=TRAINERS["cpu"])
    context = dataclasses.replace(context, environ=environ, request=request)
    found = conclude(look_at(context), checks)
    device = found.plan.facts["training.device"]
    blocking = [finding for finding in found.plan.diagnosis.blocking if finding.check.id not in NOT_OF_DEMO]
    if blocking:
        rest = tuple(item for item in found.plan.diagnosis.findings if item.check.id not in NOT_OF_DEMO)
        diagnosis = dataclasses.replace(found.plan.diagnosis, findings=rest)
        report = build(found.plan.facts, diagnosis, found.plan, (), language, "error")
        print_report(report, console, language, shell_of(found.facts))
        tell("demo_blocked", ids=", ".join(finding.check.id for finding in blocking))
        return 1

    tell("demo_prepare")
    log = base / "plan_and_preprocess.log"
    command = launch.nnunet_command(found.facts, "nnUNetv2_plan_and_preprocess", _prepare_arguments())
    prepared = launch.start(command, environ, log)
    if prepared.code:
        return _failed(prepared, "nnUNetv2_plan_and_preprocess", log, language)

    request = dataclasses.replace(request, trainer=TRAINERS.get(str(device), TRAINERS["cpu"]))
    tell("demo_train", device=device, trainer=request.trainer)
    ready = conclude(look_at(dataclasses.replace(context, request=request)), checks)
    start = prepare(ready, request, [], [], variables)
    show(start, language, out)
    out.flush()
    if start.blocked_by:
        return 1
    ended = go(start, request, environ, Manner(language))
    if ended.code == 0:
        _summary(start, prepared.seconds, ended.seconds, language, out)
    return ended.code


def _prepare_arguments() -> list[str]:
    """One process each: with data this small, every further process costs more to start than it saves."""
    return ["-d", DATASET, "-c", "2d", "-np", "1", "-npfp", "1", "--verify_dataset_integrity"]


def _working_folder(folder: Path | None) -> Path:
    """Return an empty folder to work in; one that the user names has to be empty or new.

    Raises:
        UserError: The folder is not empty, or cannot be made.
    """
    wanted = Path("nnunet-doctor-demo") if folder is None else folder
    number = 1
    while folder is None and wanted.exists() and (not wanted.is_dir() or any(wanted.iterdir())):
        number += 1
        wanted = Path(f"nnunet-doctor-demo-{number}")
    try:
        wanted.mkdir(parents=True, exist_ok=True)
        if any(wanted.iterdir()):
            raise UserError(f"{wanted} is not empty; name another folder with --folder")
    except OSError as error:
        raise UserError(f"the working folder {wanted} cannot be made: {error.strerror}") from None
    return wanted.resolve()


def _three_folders(base: Path) -> dict[str, str]:
    """Make nnU-Net's three folders inside the working folder and return their variables."""
    folders = {f"nnUNet_{name}": str(base / f"nnUNet_{name}") for name in ("raw", "preprocessed", "results")}
    for path in folders.values():
        Path(path).mkdir()
    return folders


def _failed(ended: launch.Ended, step: str, log: Path, language: str) -> int:
    print(say(language, "demo_failed_step", step=step, code=ended.code, path=log), file=sys.stderr)
    return ended.code


def _summary(start: Start, prepare_seconds: float, train_seconds: float, language: str, out: IO[str]) -> None:
    from rich.table import Table
    from rich.text import Text

    console = console_for(out)
    folder = Path(str(start.facts["training.folder"]))
    scores = read_scores(folder / "validation" / "summary.json")
    names = label_names(Path(str(start.facts["dataset.folder"])) / "dataset.json")
    console.print()
    console.print(Text(say(language, "demo_done"), style="bold green"))
    grid = Table.grid(padding=(0, 3, 0, 0))
    grid.add_row(say(language, "demo_dice"), f"{scores[ALL]:.3f}" if ALL in scores else "?")
    for label, value in scores.items():
        if label != ALL:
            grid.add_row(say(language, "demo_dice_class", label=names.get(label, label)), f"{value:.3f}")
    times = (prepare_seconds, train_seconds, prepare_seconds + train_seconds)
    prepare, train, both = (duration(seconds, language) for seconds in times)
    parts = say(language, "demo_time_parts", prepare=prepare, train=train)
    grid.add_row(say(language, "demo_time"), both + bracketed(parts, language))
    grid.add_row(say(language, "demo_settings"), "" if start.reasons else say(language, "demo_no_settings"))
    console.print(grid)
    for reason in start.reasons:
        print_setting(console, reason.setting, reason.value, reason.because, reason.overrules, language)
    console.print(say(language, "demo_model", path=folder), soft_wrap=True)
    console.print()
    console.print(say(language, "demo_next"))
    for command in (["nnunet-doctor", "check", "DATASET"], ["nnunet-doctor", "run", "DATASET", "3d_fullres", "0"]):
        print_command(console, command_line(shell_of(start.facts), command))
    console.print(say(language, "demo_clean"))


ALL = "all"
"""Key of the mean over all labels."""


def read_scores(summary: Path) -> dict[str, float]:
    """Return the mean Dice of nnU-Net's validation, of all labels and by label; empty when it cannot be read."""
    content = read_json(summary).content or {}
    try:
        by_label = {str(label): float(scores["Dice"]) for label, scores in content["mean"].items()}
        return {ALL: float(content["foreground_mean"]["Dice"]), **by_label}
    except (KeyError, TypeError, ValueError, AttributeError):
        return {}


def label_names(dataset_json: Path) -> dict[str, str]:
    """Return the names of labels by their value, as dataset.json has them."""
    labels = (read_json(dataset_json).content or {}).get("labels", {})
    return {str(value): str(name) for name, value in labels.items()}
