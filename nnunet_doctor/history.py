"""The facts of every start of a training, kept beside it, and what has changed between two of them.

``run`` keeps them in ``.nnunet-doctor/fold_X/`` beside the folds: ``facts_TIME.json``, which ``check --facts`` reads
too, and ``end_TIME.json``, which says how that start ended.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from nnunet_doctor import __version__
from nnunet_doctor.check import Check
from nnunet_doctor.engine import diagnose
from nnunet_doctor.errors import UserError
from nnunet_doctor.facts import CATALOGUE, Detail, Facts, Observed, Unknown
from nnunet_doctor.facts.derive import with_inputs
from nnunet_doctor.facts.exchange import to_document, to_plain
from nnunet_doctor.request import FACTS, Request
from nnunet_doctor.settings import OPTIONS, VARIABLES
from nnunet_doctor.waivers import PROTECTING

OWN = ".nnunet-doctor"
"""Folder of the doctor beside the folds."""

MOST_STARTS = 20
"""Starts of a fold that are kept, some 30 kB each; the last one that went well is kept beside them."""


# --- keeping -------------------------------------------------------------------------------------------------------


def keep(fold: Path | None, facts: Facts, stamp: str) -> Callable[[int, float, bool], None]:
    """Keep the facts of a start, and return what notes how it ended: exit code, seconds, whether it was interrupted.

    What cannot be written is left out: a training never fails for it.

    Args:
        fold: Folder of the fold; None where it is not known.
        facts: The facts under the settings of the start.
        stamp: The time, as 2026-12-31_23-59-59.
    """
    if fold is None:
        return lambda *_: None
    own = fold.parent / OWN / fold.name
    # a start that failed at once may be followed by another in the same second
    numbers = (f"_{number}" if number > 1 else "" for number in range(1, 100))
    stamp += next((number for number in numbers if not (own / f"facts_{stamp}{number}.json").exists()), "")
    document = to_document(facts, __version__)
    del document["derived"]  # computed anew when the file is read
    _write(own / f"facts_{stamp}.json", document)
    with contextlib.suppress(OSError):
        _forget(own)

    def note(code: int, seconds: float, interrupted: bool) -> None:
        _write(own / f"end_{stamp}.json", {"code": code, "seconds": round(seconds, 1), "interrupted": interrupted})

    return note


def _write(path: Path, plain: Mapping[str, Any]) -> None:
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
        path.write_text(text, encoding="utf-8", errors="backslashreplace")


def _forget(own: Path) -> None:
    starts = _starts_of(own)
    well = [start for start in starts if start.ended_well]
    for start in starts[:-MOST_STARTS]:
        if start not in well[-1:]:
            for path in (start.file, start.end):
                path.unlink(missing_ok=True)


# --- finding -------------------------------------------------------------------------------------------------------


class Start(NamedTuple):
    """A start that was kept.

    Attributes:
        file: Its facts.
        stamp: When it was.
        code: What it ended with; None when it has not ended, or was ended with the doctor.
    """

    file: Path
    stamp: str
    code: int | None

    @property
    def end(self) -> Path:
        """The file that says how it ended."""
        return self.file.with_name(f"end_{self.stamp}.json")

    @property
    def ended_well(self) -> bool:
        """Whether the training was finished."""
        return self.code == 0


def starts_below(folder: Path) -> list[Start]:
    """Return the starts of a fold, of all folds of a model, of a dataset or of all results, in the order of time."""
    places = [folder.parent / OWN / folder.name] if folder.name.startswith("fold_") else []
    for depth in ("", "*/", "*/*/"):
        with contextlib.suppress(OSError):
            places += folder.glob(f"{depth}{OWN}/fold_*")
    return sorted((start for place in places for start in _starts_of(place)), key=lambda start: start.stamp)


def _starts_of(own: Path) -> list[Start]:
    found = []
    for file in sorted(own.glob("facts_*.json")):
        stamp = file.stem.removeprefix("facts_")
        try:
            code = json.loads((own / f"end_{stamp}.json").read_text(encoding="utf-8"))["code"]
        except (OSError, ValueError, KeyError, TypeError):
            code = None
        found.append(Start(file, stamp, code if type(code) is int else None))
    return found


def last_finished(folder: Path) -> Start:
    """Return the last start below a folder that ended well.

    Raises:
        UserError: None did.
    """
    starts = starts_below(folder)
    well = [start for start in starts if start.ended_well]
    if not starts:
        raise UserError(f"no training below {folder} was started by 'nnunet-doctor run' and finished")
    if not well:
        raise UserError(
            f"no training below {folder} was started by 'nnunet-doctor run' and finished; "
            f"{len(starts)} ended otherwise, or have not ended"
        )
    return well[-1]


def last_of(folder: Path) -> Start:
    """Return the last start below a folder, however it ended.

    Raises:
        UserError: There is none.
    """
    starts = starts_below(folder)
    if not starts:
        raise UserError(f"no training below {folder} was started by 'nnunet-doctor run'")
    return starts[-1]


def request_of(facts: Facts) -> Request:
    """Return what the training was that facts were kept of."""
    names = ("dataset", "configuration", "fold", "device", "trainer", "plans", "num_gpus")
    known = {name: facts[FACTS[name]] for name in names}
    return Request(**{name: value for name, value in known.items() if isinstance(value, (str, int))})  # type: ignore[arg-type]


# --- comparing -----------------------------------------------------------------------------------------------------

GROUPS = ("versions", "driver", "settings", "dataset", "machine")

_SETTINGS = frozenset(
    (
        *(setting.fact for setting in (*VARIABLES.values(), *OPTIONS.values())),
        *FACTS.values(),
        *("triton.variables", "triton.cc_variable", "gpu.allocator", "gpu.rocm_override", "resources.blas_threads"),
        *("nnunet.variables", "nnunet.v1_variables", "nnunet.unknown_variables", "nnunet.load_variable"),
        *("paths.raw", "paths.preprocessed", "paths.results"),
    )
)
_VERSIONS = frozenset({"platform.version", "platform.release", "platform.glibc", "platform.macos"})

MOMENTARY = frozenset(
    (
        *(name for name in CATALOGUE if name.endswith(("free_gib", "_seconds", "_mib_s"))),
        *("resources.memory_available_gib", "resources.load", "resources.pids_used", "resources.job_hours_left"),
        *("resources.on_battery", "gpu.processes", "gpu.slowdowns", "platform.console_encoding"),
        *("training.copies", "training.running", "training.master_port_taken", "training.continues"),
        # what the training itself has left behind
        # how much was looked at
        *("dataset.surveyed", "dataset.survey_interrupted", "dataset.decoded_gib"),
        *("training.state", "training.validated", "training.overwrites", "preprocessed.splits", "dataset.matches"),
    )
)
"""Facts that differ from one moment to the next, from look to look, or by the training itself; they count where a
check then says something else."""

_SHOWS_A_LOOK = (
    ("trial.tried", frozenset(name for name in CATALOGUE if name.startswith("trial."))),
    (
        "dataset.surveyed",
        frozenset(
            (
                *(name for name, info in CATALOGUE.items() if name.startswith("dataset.") and info.is_list_of_details),
                *("dataset.reader", "dataset.cases", "dataset.files"),
            )
        )
        - {"dataset.matches", "dataset.near_misses", "dataset.json_missing_keys"},
    ),
)
"""Facts that are None unless there was a look, and what such a look sees: trials, and the files of the raw dataset."""


@dataclass(frozen=True)
class Change:
    """A fact that differs.

    Attributes:
        fact: Its name.
        group: One of GROUPS.
        old: What it was.
        new: What it is.
        decides: Ids of checks that say something else now and ask it.
        is_asked: Whether any check asks it.
    """

    fact: str
    group: str
    old: Observed
    new: Observed
    decides: tuple[str, ...]
    is_asked: bool


class Comparison(NamedTuple):
    """What has changed.

    Attributes:
        fires: Ids of checks that fire now and did not.
        silent: Ids of checks that fired and do not now.
        changes: Facts that differ: first those behind these checks, then those that any check asks, then the rest.
    """

    fires: tuple[str, ...]
    silent: tuple[str, ...]
    changes: tuple[Change, ...]


def compare(old: Facts, new: Facts, checks: Sequence[Check]) -> Comparison:
    """Compare what was observed; what follows from it is left to the checks."""
    # the results of a training are there once it has finished
    before, after = (diagnose(facts, checks).ids - {*PROTECTING} for facts in (old, new))
    turned = before ^ after
    asked = {check.id: with_inputs(check.facts) for check in checks}
    by_any: frozenset[str] = frozenset().union(*asked.values())
    unseen: frozenset[str] = frozenset().union(
        *(names for shown, names in _SHOWS_A_LOOK if (old[shown] is None) != (new[shown] is None))
    )
    changes = []
    for name in _observed():
        decides = tuple(sorted(id for id in turned if name in asked[id]))
        if _differs(old[name], new[name]) and (decides or name not in MOMENTARY | unseen):
            changes.append(Change(name, group_of(name), old[name], new[name], decides, name in by_any))
    changes.sort(key=lambda item: (not item.decides, not item.is_asked, GROUPS.index(item.group)))
    order = [check.id for check in checks]
    return Comparison(_in_order(after - before, order), _in_order(before - after, order), tuple(changes))


def _observed() -> Iterator[str]:
    return (name for name, info in CATALOGUE.items() if not info.derived and not name.startswith("config."))


def _in_order(ids: Collection[str], order: Sequence[str]) -> tuple[str, ...]:
    return tuple(id for id in order if id in ids)


_NOT_SEEN = (
    *("--quick", "not asked for", "the facts file does not hold it", "nothing has looked"),
    "its probe runs only when it is named",
)
"""Beginnings of reasons that tell of a shorter look and not of another machine."""


def _differs(old: Observed, new: Observed) -> bool:
    if any(isinstance(value, Unknown) and value.reason.startswith(_NOT_SEEN) for value in (old, new)):
        return False
    if {old, new} == {None, ()}:  # nothing is listed
        return False
    if isinstance(old, tuple) and isinstance(new, tuple) and all(isinstance(item, Detail) for item in (*old, *new)):
        return set(old) != set(new)
    return old != new


def group_of(name: str) -> str:
    """Name the group that a fact belongs to."""
    area = name.partition(".")[0]
    of_files = CATALOGUE[name].is_list_of_details or name.startswith("training.weights")
    if name in _SETTINGS or (area == "training" and not of_files):
        return "settings"
    if area in ("dataset", "preprocessed", "training"):
        return "dataset"
    if area == "gpu" or (name.startswith(("torch.cuda_", "torch.device_")) and name != "torch.cuda_build"):
        return "driver"
    return "versions" if area in ("python", "torch", "triton", "nnunet") or name in _VERSIONS else "machine"


def to_json(comparison: Comparison, sources: tuple[str, str], *, ascii_only: bool) -> str:
    """Return a comparison as JSON text.

    Args:
        comparison: What has changed.
        sources: Where the old and the new facts come from.
        ascii_only: Whether the reader's code page may lack letters.
    """
    plain = {
        "schema_version": 1,
        "doctor": __version__,
        "old": sources[0],
        "new": sources[1],
        "checks": {"fires": list(comparison.fires), "silent": list(comparison.silent)},
        "changes": [
            {
                "fact": item.fact,
                "group": item.group,
                "old": to_plain(item.old),
                "new": to_plain(item.new),
                "decides": list(item.decides),
                "asked": item.is_asked,
            }
            for item in comparison.changes
        ],
    }
    return json.dumps(plain, indent=2, ensure_ascii=ascii_only)
