"""What is tried after a failure: the same training again, with the one setting that mends what ended it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from nnunet_doctor.check import Check
from nnunet_doctor.examination import Examination
from nnunet_doctor.plan import Plan, with_fix_of
from nnunet_doctor.request import Request
from nnunet_doctor.run.command import Start
from nnunet_doctor.run.folds import can_be_continued

MOST_RETRIES = 2


class Tried(NamedTuple):
    """A new start after a failure: what had failed, and the settings that answered it."""

    cause: str
    settings: tuple[str, ...]
    continues: bool


@dataclass
class Recovery:
    """Decides whether a failed training is started again, once for each cause and twice at most.

    Attributes:
        cause_of: Names the problem that a log shows; None when it is not recognised.
        examine: Looks at the machine anew for a request, and plans.
        put_together: Makes a start of an examination.
        checks: The checks to satisfy.
        tried: What was tried so far.
    """

    cause_of: Callable[[Sequence[Path]], Check | None]
    examine: Callable[[Request], Examination]
    put_together: Callable[[Examination, Request], Start]
    checks: Sequence[Check]
    tried: list[Tried] = field(default_factory=list)
    _causes: list[Check] = field(default_factory=list)

    def after(self, logs: Sequence[Path], request: Request, fold: Path | None) -> tuple[Start, Request] | None:
        """Return what to start next, and the request that it answers; None when nothing more is worth a try.

        Args:
            logs: Output of the training that failed.
            request: What that training was.
            fold: Its folder.
        """
        cause = self.cause_of(logs)
        if cause is None or len(self.tried) >= MOST_RETRIES or cause.id in {item.cause for item in self.tried}:
            return None
        request = _continuing(request) if can_be_continued(fold) and not request.validates else request
        found = self.examine(request)
        plan = self._with_fixes(found, [*self._causes, cause])
        if plan is None:
            return None
        start = self.put_together(found._replace(plan=plan), request)
        if start.blocked_by:
            return None
        self._causes.append(cause)
        answers = tuple(f"{item.setting}={item.value}" for item in plan.reasons if item.because == cause.id)
        self.tried.append(Tried(cause.id, answers, request.continues))
        return start, request

    def _with_fixes(self, found: Examination, causes: Sequence[Check]) -> Plan | None:
        """Add the settings of all causes so far; None when the last of them has none that applies."""
        plan = found.plan
        for cause in causes:
            # what was asked for before may be part of the new plan already
            extended = with_fix_of(plan, cause, found.facts, self.checks)
            if extended is None and cause is causes[-1]:
                return None
            plan = extended or plan
        return plan


def _continuing(request: Request) -> Request:
    """From its checkpoint on; pretrained weights are in it, and nnU-Net refuses both (run_training)."""
    return dataclasses.replace(request, continues=True, overwrites=False, pretrained=None)
