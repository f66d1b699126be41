"""Waivers: problems that a user knows of and lives with, for a reason and, perhaps, until a day. Pure.

What a waiver covers is still looked for and still listed, with its reason; it counts for no verdict, no exit code and
no setting of a plan. A waiver names one id, never an area or a pattern of ids, so that it covers nothing that its
writer has not seen; a check that could not be decided stays undecided. It does not reach the checks that keep earlier
trainings from being overwritten when a training is started: what stands in a file for months is not the user's word for
this start, which ``--c`` and ``--overwrite`` are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from nnunet_doctor.check import Check
    from nnunet_doctor.engine import Diagnosis
    from nnunet_doctor.facts import Detail, Facts

PROTECTING = ("training-finished", "training-resumable")
"""Checks that keep earlier trainings from being overwritten."""


class Waiver(NamedTuple):
    """One problem that is lived with.

    Attributes:
        id: Id of the check.
        reason: Why, in the user's words.
        dataset: Pattern (fnmatch) of name, id or folder of the dataset that it is for; None for any, and for none. Of a
            folder the end is enough, since a check may be started above it, in it, or with its whole path.
        subject: Pattern (fnmatch) of the files, cases or folders that it is for; None for the whole finding.
        until: Last day on which it counts, as 2026-12-31; None for always.
        place: Where it is written, as FILE:LINE.
    """

    id: str
    reason: str
    dataset: str | None = None
    subject: str | None = None
    until: str | None = None
    place: str = ""

    def concerns(self, names: Collection[str]) -> bool:
        """Say whether it is for a dataset with one of these names."""
        if self.dataset is None:
            return True
        pattern = _as_path(self.dataset)
        known = [_as_path(name) for name in names]
        if "/" in pattern:
            known += ["/".join(name.split("/")[-1 - pattern.count("/") :]) for name in known]
        return any(fnmatchcase(name, pattern) for name in known)

    def covers(self, subject: str) -> bool:
        """Say whether it is for a file, case or folder."""
        return self.subject is None or fnmatchcase(_as_path(subject), _as_path(self.subject))

    def is_expired(self, today: str) -> bool:
        """Say whether its last day, like today an ISO date, is over."""
        return self.until is not None and self.until < today


def _as_path(text: str) -> str:
    """Return a path, or a pattern of some, in one of the ways in which it may be written."""
    return text.replace("\\", "/").removeprefix("./").rstrip("/")


def names_of_dataset(facts: Facts) -> tuple[str, ...]:
    """Return what the dataset is called: name, number, the user's word and folder, as far as they are known."""
    values = [facts[f"dataset.{noun}"] for noun in ("name", "id", "requested", "folder", "predict_input")]
    return tuple(str(value) for value in values if isinstance(value, (str, int)))


def on_checks(checks: Sequence[Check], waivers: Sequence[Waiver], *, starts: bool = False) -> tuple[Check, ...]:
    """Give each check the waivers that are for it.

    Args:
        checks: The checks to ask.
        waivers: Those that have not expired.
        starts: Whether a training is to be started; what protects earlier ones is then not waived.
    """
    by_id: dict[str, list[Waiver]] = {}
    for waiver in waivers:
        if not (starts and waiver.id in PROTECTING):
            by_id.setdefault(waiver.id, []).append(waiver)
    return tuple(check._replace(waivers=tuple(by_id[check.id])) if check.id in by_id else check for check in checks)


def unused(checks: Sequence[Check], diagnosis: Diagnosis, facts: Facts) -> tuple[Detail, ...]:
    """List the waivers that cover nothing although their check was decided for what they are about.

    A waiver for data says nothing of itself where no dataset is looked at, nor one for a training where none is named.
    """
    used = {item.waiver for item in diagnosis.waived}
    decided = {check.id for check in diagnosis.passed} | diagnosis.ids
    decided |= {item.finding.check.id for item in diagnosis.waived}
    names = names_of_dataset(facts)
    return as_details(
        waiver
        for check in checks
        for waiver in check.waivers
        if check.id in decided and waiver not in used and waiver.concerns(names) and _is_looked_at(check, facts, names)
    )


def _is_looked_at(check: Check, facts: Facts, names: Sequence[str]) -> bool:
    areas = {name.partition(".")[0] for name in check.facts}
    if areas & {"dataset", "preprocessed"} and not names:
        return False
    return "training" not in areas or facts["training.configuration"] is not None


def as_details(waivers: Iterable[Waiver]) -> tuple[Detail, ...]:
    """List waivers as facts do: the check with what the waiver is limited to, and where it stands."""
    from nnunet_doctor.facts import Detail

    return tuple(
        Detail(
            " ".join(
                [
                    waiver.id,
                    *(f"dataset={waiver.dataset}" for _ in range(waiver.dataset is not None)),
                    *(f"subject={waiver.subject}" for _ in range(waiver.subject is not None)),
                ]
            ),
            "; ".join(filter(None, (waiver.place, f"valid until {waiver.until}" if waiver.until else ""))),
        )
        for waiver in waivers
    )
