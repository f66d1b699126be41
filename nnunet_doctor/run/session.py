"""One use of the command ``run``, from the first look to the exit code."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Sequence
from typing import IO, NamedTuple

from nnunet_doctor import examination
from nnunet_doctor.check import Check
from nnunet_doctor.errors import UserError
from nnunet_doctor.examination import Examination
from nnunet_doctor.probes.base import Context
from nnunet_doctor.request import Request
from nnunet_doctor.run.command import Start, prepare, show
from nnunet_doctor.run.estimate import estimate
from nnunet_doctor.run.folds import BusyError
from nnunet_doctor.run.go import Manner, go
from nnunet_doctor.run.preprocess import prepare_data
from nnunet_doctor.run.recover import Recovery
from nnunet_doctor.run.why import Why
from nnunet_doctor.waivers import PROTECTING, Waiver
from nnunet_doctor.words import say, translated

BLOCKED = 1


class Wishes(NamedTuple):
    """What the user wants beyond the training itself.

    Attributes:
        flags: Options of nnUNetv2_train that are only passed on.
        force: Ids of findings to start in spite of.
        only_shows: Whether nothing is started.
        prepares: Whether what is not preprocessed is, first.
        yes: Whether that may replace what is there.
        estimates: Whether a few iterations are timed first; they are anyway on the CPU.
        retries: Whether a training that failed is started again where a setting mends that.
        trusts_packs: Whether checks that are not built in choose settings too.
        expired: Waivers of the configuration that count no longer.
        manner: How the training is watched.
    """

    flags: Sequence[str]
    force: Sequence[str]
    only_shows: bool
    prepares: bool
    yes: bool
    estimates: bool
    retries: bool
    trusts_packs: bool
    expired: Sequence[Waiver]
    manner: Manner


def run(context: Context, checks: Sequence[Check], wishes: Wishes, out: IO[str]) -> int:
    """Look, plan, show, and start unless something blocks it; return the exit code of section 6 of the contract.

    Raises:
        UserError: What the user asks cannot be done.
    """
    request, language = context.request, wishes.manner.language
    _refuse(wishes.force, request)

    def examine(request: Request) -> Examination:
        facts = examination.look_at(dataclasses.replace(context, request=request))
        return examination.conclude(facts, checks, trust_packs=wishes.trusts_packs, expired=wishes.expired)

    def put_together(found: Examination, request: Request) -> Start:
        return prepare(found, request, wishes.flags, wishes.force)

    found = examine(request)
    if wishes.prepares and not wishes.only_shows:
        code = prepare_data(found, request, context.environ, language, yes=wishes.yes)
        if code:
            return code
        found = found if code is None else examine(request)
    start = put_together(found, request)
    with contextlib.suppress(BrokenPipeError):  # nobody has to read what a training says for it to go on
        show(start, language, out)
        out.flush()
    if start.blocked_by:
        return BLOCKED
    if wishes.only_shows:
        print(say(language, "run_dry"), file=sys.stderr)
        return 0
    if wishes.estimates or (start.facts["training.device"] == "cpu" and not context.quick):
        estimate(start, request, context.environ, language)
    why = Why(checks, language)
    recovery = Recovery(why.cause, examine, put_together, checks) if wishes.retries else None
    try:
        return go(start, request, context.environ, wishes.manner, recovery, why).code
    except BusyError as busy:
        print(f"nnunet-doctor: {translated(language, str(busy))}", file=sys.stderr)
        return BLOCKED


def _refuse(force: Sequence[str], request: Request) -> None:
    """Leave earlier trainings to the two options that say what becomes of them.

    Raises:
        UserError: What protects them is to be forced, or they are to be continued and begun anew at once.
    """
    for id in force:
        if id in PROTECTING:
            raise UserError(
                f"--force {id} is not possible: an earlier training is never overwritten on the way. Add --overwrite "
                "to move it aside, where it is kept, and train anew, or --c to go on from its checkpoint"
            )
    if request.overwrites and request.continues:
        raise UserError("--c and --overwrite do not go together: one goes on with a training, the other begins anew")
