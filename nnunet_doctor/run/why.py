"""Why a training failed, by what it printed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nnunet_doctor.check import Check
from nnunet_doctor.errors import UserError
from nnunet_doctor.facts import Facts
from nnunet_doctor.log.diagnose import LogDiagnosis
from nnunet_doctor.log.whole import diagnose_files
from nnunet_doctor.report.diagnosis import build, print_diagnosis
from nnunet_doctor.report.record import shell_of
from nnunet_doctor.report.text import console_for
from nnunet_doctor.run.watch import conclude


class Why:
    """Diagnoses the logs of one use of ``run``, each once.

    Args:
        checks: What is known.
        language: Language of the sentences.
    """

    def __init__(self, checks: Sequence[Check], language: str) -> None:
        """Keep what is needed once a training has failed."""
        self._checks, self._language = checks, language
        self._told: dict[tuple[Path, ...], LogDiagnosis] = {}

    def tell(self, logs: Sequence[Path], code: int, facts: Facts) -> None:
        """Say what ended a training, and how to mend it.

        Args:
            logs: What it printed.
            code: What it ended with.
            facts: The facts as they were for it, with its settings.
        """
        try:
            found = diagnose_files(logs, self._checks, facts, code)
        except UserError:  # the disk is full, or the file is gone; the training's own end counts
            return
        self._told[tuple(logs)] = found
        record, shell = build(found, self._language), shell_of(facts)
        conclude(lambda out: print_diagnosis(record, console_for(out), self._language, shell, short=True))

    def cause(self, logs: Sequence[Path]) -> Check | None:
        """Return the problem that the output of a training has been told to show; None when it is not recognised."""
        found = self._told.get(tuple(logs))
        return found.cause.check if found is not None and found.cause else None
