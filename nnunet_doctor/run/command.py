"""What is started: the command line with the settings of the plan, or what keeps it from starting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from nnunet_doctor import launch
from nnunet_doctor.examination import Examination
from nnunet_doctor.facts import Facts
from nnunet_doctor.plan import Reason
from nnunet_doctor.report.record import build, shell_of
from nnunet_doctor.report.text import console_for, print_block, print_command, print_report, print_setting
from nnunet_doctor.request import Request
from nnunet_doctor.run.preprocess import AGAIN, CASES, PLAN
from nnunet_doctor.shell import command_line
from nnunet_doctor.waivers import PROTECTING
from nnunet_doctor.words import say, translated

if TYPE_CHECKING:
    from rich.console import Console


def arguments(dataset: str, request: Request, flags: Sequence[str], plan_args: Sequence[str]) -> list[str]:
    """Return the arguments of nnUNetv2_train: what the user says, with the options of the plan instead of theirs.

    Args:
        dataset: Id or name of the dataset; nnU-Net takes no folder.
        request: What the user means to do.
        flags: Options that the doctor only passes on.
        plan_args: Options of the plan.
    """
    words = [dataset, str(request.configuration), str(request.fold)]
    options: dict[str, list[str]] = {}
    if request.trainer != Request.trainer:
        options["-tr"] = [request.trainer]
    if request.plans != Request.plans:
        options["-p"] = [request.plans]
    if request.pretrained is not None:
        options["-pretrained_weights"] = [request.pretrained]
    if request.num_gpus != 1:
        options["-num_gpus"] = [str(request.num_gpus)]
    if request.device != "auto":
        options["-device"] = [request.device]
    if request.continues:
        options["--c"] = []
    if request.validates:
        options["--val"] = []
    rest = list(plan_args)
    while rest:
        name = rest.pop(0)
        options[name] = [rest.pop(0)] if rest and not rest[0].startswith("-") else []
    return [*words, *(word for name, values in options.items() for word in (name, *values)), *flags]


@dataclass(frozen=True)
class Start:
    """A training that is ready to start, or the findings that keep it from starting."""

    examination: Examination
    command: tuple[str, ...]
    env: Mapping[str, str]
    blocked_by: tuple[str, ...]
    forced: tuple[str, ...]

    @property
    def facts(self) -> Facts:
        """The facts as they are under the plan's settings."""
        return self.examination.plan.facts

    @property
    def is_protected(self) -> bool:
        """Whether it would overwrite an earlier training, or nobody can say that it would not."""
        return any(id in PROTECTING for id in self.blocked_by)

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """The settings with their reasons."""
        return self.examination.plan.reasons


def prepare(
    examination: Examination,
    request: Request,
    flags: Sequence[str],
    force: Sequence[str],
    env: Mapping[str, str] | None = None,
) -> Start:
    """Put the command together and see what blocks it.

    Args:
        examination: What was found and planned.
        request: What the user means to do.
        flags: Options of nnUNetv2_train that the doctor only passes on.
        force: Ids of findings that the user wants to start in spite of.
        env: Further variables of the training.
    """
    plan = examination.plan
    named = str(request.dataset)
    dataset = named if named.isdecimal() else str(plan.facts["dataset.name"] or named)
    command = launch.nnunet_command(plan.facts, "nnUNetv2_train", arguments(dataset, request, flags, plan.args))
    blocking = [finding.check.id for finding in plan.diagnosis.blocking]
    # what protects earlier trainings must be known to be silent, not only not to fire
    blocking += [item.check.id for item in plan.diagnosis.undecided if item.check.id in PROTECTING]
    return Start(
        examination=examination,
        command=tuple(command),
        env={**(env or {}), **plan.env},
        blocked_by=tuple(id for id in blocking if id not in force),
        forced=tuple(id for id in blocking if id in force),
    )


def show(start: Start, language: str, out: IO[str]) -> None:
    """Show what is in the way, what is set and why, and the command for the user's shell."""
    plan, console = start.examination.plan, console_for(out)
    shell = shell_of(start.facts)
    if start.blocked_by:
        report = build(plan.facts, plan.diagnosis, plan, (), language, "error")
        print_report(report, console, language, shell)
        _show_what_blocks(start, language, console)
        console.print()
    else:
        print_block(console, say(language, "run_settings" if plan.reasons else "run_nothing_set"), indent=0)
        for reason in plan.reasons:
            print_setting(console, reason.setting, reason.value, reason.because, reason.overrules, language)
        warned = [finding.check.id for finding in plan.diagnosis.findings if finding.check.severity == "warning"]
        if warned:
            print_block(console, say(language, "run_wanted", ids=", ".join(warned)), indent=0)
        if plan.diagnosis.waived:
            ids = dict.fromkeys(item.finding.check.id for item in plan.diagnosis.waived)
            print_block(console, say(language, "waived_in_run", ids=", ".join(ids)), indent=0)
        for item in plan.diagnosis.undecided:
            if item.check.severity == "error":
                because = translated(language, "; ".join(item.because))
                said = say(language, "run_undecided", id=item.check.id, because=because)
                print_block(console, said, indent=0)
        if start.forced:
            print_block(console, say(language, "run_forced", ids=", ".join(start.forced)), indent=0)
    # a line that is pasted asks nobody before it overwrites
    if start.facts["nnunet.installed"] is True and not start.is_protected:
        if start.facts["training.overwrites"] is True and start.facts["training.state"] not in ("none", None):
            print_block(console, say(language, "run_overwrite_alone"), indent=0)
        console.print(say(language, "run_command"))
        print_command(console, command_line(shell, start.command, start.env), indent=0)


def _show_what_blocks(start: Start, language: str, console: Console) -> None:
    """Say what keeps a training from starting, and which options let it start."""
    others = [id for id in start.blocked_by if id not in PROTECTING]
    if others:
        forces = " ".join(f"--force {id}" for id in others)
        print_block(console, say(language, "run_blocked", ids=", ".join(others), force=forces), indent=0)
    if set(others) & {*PLAN, *AGAIN, *CASES}:
        print_block(console, say(language, "run_may_prepare"), indent=0)
    if start.is_protected:
        ids = ", ".join(id for id in start.blocked_by if id in PROTECTING)
        state = start.facts["training.state"]
        print_block(console, say(language, "run_protected", ids=ids), indent=0)
        key = f"run_protected_{state}" if state in ("finished", "resumable") else "run_protected_unknown"
        print_block(console, say(language, key))
        print_block(console, say(language, "run_protected_overwrite"))
