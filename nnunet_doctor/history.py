"""The facts of every start of a training, kept beside it, and what has changed between two of them.

``run`` keeps them in ``.nnunet-doctor/fold_X/`` beside the folds: ``facts_TIME.json``, which ``check --facts`` reads
too, ``end_TIME.json``, which says how that start ended, and ``files_TIME.json.gz``, which tells each file of the
dataset from another of its name.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from nnunet_doctor import __version__
from nnunet_doctor.check import Check
from nnunet_doctor.contents import FILES, NAMES, SINGLE
from nnunet_doctor.engine import diagnose
from nnunet_doctor.errors import UserError
from nnunet_doctor.facts import CATALOGUE, Detail, Facts, Observed, Unknown
from nnunet_doctor.facts.derive import with_inputs
from nnunet_doctor.facts.exchange import to_document, to_plain
from nnunet_doctor.probes import content
from nnunet_doctor.probes.content import Files
from nnunet_doctor.request import FACTS, Request
from nnunet_doctor.settings import OPTIONS, VARIABLES
from nnunet_doctor.waivers import PROTECTING

OWN = ".nnunet-doctor"
"""Folder of the doctor beside the folds."""

MOST_STARTS = 20
"""Starts of a fold that are kept, some 40 kB each; the last one that went well is kept beside them."""

MOST_FILES = 50_000
"""Of a dataset with more files only the fingerprint of all is kept: the list would have more than half a megabyte."""

MOST_LIST_BYTES = 50 * 1024**2
LISTING_SECONDS = 10.0
"""What a training waits for the list at most; the probe has just looked at the same files."""


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
    _write_files(own / f"files_{stamp}.json.gz", facts)
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


def _write_files(path: Path, facts: Facts) -> None:
    numbers = [facts[names[0]] for names in FILES.values()]
    if not 0 < sum(number for number in numbers if isinstance(number, int)) <= MOST_FILES:
        return
    import gzip

    with contextlib.suppress(OSError):
        text = json.dumps(files_now(facts), separators=(",", ":"))
        path.write_bytes(gzip.compress(text.encode("ascii"), 6))


def files_now(facts: Facts) -> dict[str, Files]:
    """Look at the files that facts tell of, kind by kind; those that cannot be looked at in time are left out."""
    found = {}
    until = time.monotonic() + LISTING_SECONDS
    for part in FILES:
        with contextlib.suppress(OSError, content.NoTimeError):
            files = content.files_of(facts.values, part, until)
            if files is not None:
                found[part] = files
    return found


def files_of(file: Path) -> dict[str, Files]:
    """Return the files that were kept beside a file of facts; none where none were, or where it is damaged."""
    beside = file.with_name(f"files_{file.stem.removeprefix('facts_')}.json.gz")
    if not file.name.startswith("facts_") or not beside.is_file():
        return {}
    import gzip
    import zlib

    try:
        with gzip.open(beside) as stream:
            kept = json.loads(stream.read(MOST_LIST_BYTES))
    except (OSError, EOFError, ValueError, RecursionError, zlib.error):
        return {}
    lists = kept.items() if isinstance(kept, dict) else ()
    return {part: files for part, files in lists if isinstance(files, dict) and all(map(_is_text, files.values()))}


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _forget(own: Path) -> None:
    starts = _starts_of(own)
    well = [start for start in starts if start.ended_well]
    for start in starts[:-MOST_STARTS]:
        if start not in well[-1:]:
            for path in (start.file, start.end, start.files):
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
    def files(self) -> Path:
        """The file that tells the files of the dataset."""
        return self.file.with_name(f"files_{self.stamp}.json.gz")

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

_MADE_BY_TRAINING = frozenset({"preprocessed.splits_content"})
"""Facts of files that the first training makes where there are none (nnUNetTrainer.do_split)."""

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


class Amount(NamedTuple):
    """How many files, and how many bytes all together; None of a single file."""

    files: int
    bytes: int | None


class Named(NamedTuple):
    """Files by name: with another content, new, and not there any more."""

    changed: tuple[str, ...]
    added: tuple[str, ...]
    gone: tuple[str, ...]


@dataclass(frozen=True)
class Content:
    """Files whose content differs.

    Attributes:
        part: What they are, as in FILES and SINGLE.
        old: How many there were; None where there was no folder, or no file.
        new: How many there are.
        named: Which of them differ; None where that was not kept, and of single files.
    """

    part: str
    old: Amount | None
    new: Amount | None
    named: Named | None = None


class Comparison(NamedTuple):
    """What has changed.

    Attributes:
        fires: Ids of checks that fire now and did not.
        silent: Ids of checks that fired and do not now.
        changes: Facts that differ: first those behind these checks, then those that any check asks, then the rest.
        contents: Files whose content differs.
        not_compared: Why the content of files could not be compared; None where it could.
    """

    fires: tuple[str, ...]
    silent: tuple[str, ...]
    changes: tuple[Change, ...]
    contents: tuple[Content, ...] = ()
    not_compared: str | None = None


_Lists = Mapping[str, Files]


def compare(old: Facts, new: Facts, checks: Sequence[Check], files: tuple[_Lists, _Lists] = ({}, {})) -> Comparison:
    """Compare what was observed; what follows from it is left to the checks.

    Args:
        old: Facts of then.
        new: Facts of now.
        checks: What to ask.
        files: The files of then and of now, as far as they are known, by the names of FILES.
    """
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
        if old[name] is None and name in _MADE_BY_TRAINING:
            continue
        if _differs(old[name], new[name]) and (decides or name not in MOMENTARY | unseen):
            changes.append(Change(name, group_of(name), old[name], new[name], decides, name in by_any))
    changes.sort(key=lambda item: (not item.decides, not item.is_asked, GROUPS.index(item.group)))
    order = [check.id for check in checks]
    return Comparison(
        _in_order(after - before, order),
        _in_order(before - after, order),
        tuple(changes),
        tuple(_contents((old, new), files, {item.fact for item in changes})),
        _not_compared(old, new),
    )


def _contents(facts: tuple[Facts, Facts], files: tuple[_Lists, _Lists], changed: Collection[str]) -> Iterator[Content]:
    old, new = facts
    for part, (number, size, mark) in FILES.items():
        if mark in changed and _are_known(mark, facts):
            lists = [
                list[part]
                for known, list in zip(facts, files, strict=True)
                # it was made a moment later than the facts
                if part in list and content.fingerprint(list[part]) == known[mark]
            ]
            named = _named(*lists) if len(lists) == len(facts) else None
            yield Content(part, _amount(old[number], old[size]), _amount(new[number], new[size]), named)
    for part, mark in SINGLE.items():
        if mark in changed and _are_known(mark, facts):
            then, now = (None if known[mark] is None else Amount(1, None) for known in facts)
            yield Content(part, then, now)


def _are_known(mark: str, facts: Sequence[Facts]) -> bool:
    """Say whether both looks tell of the files; where a whole folder is gone, the fact that names it says so."""
    folder = f"{mark.partition('.')[0]}.folder"
    return not any(isinstance(known[mark], Unknown) or known[folder] is None for known in facts)


def _amount(number: Observed, size: Observed) -> Amount | None:
    return Amount(number, size) if isinstance(number, int) and isinstance(size, int) else None


def _named(old: Files, new: Files) -> Named:
    return Named(
        tuple(sorted(name for name in old.keys() & new.keys() if old[name] != new[name])),
        tuple(sorted(new.keys() - old.keys())),
        tuple(sorted(old.keys() - new.keys())),
    )


def _not_compared(old: Facts, new: Facts) -> str | None:
    """Say why the content of files was not compared though there is a dataset."""
    if None in (old["dataset.requested"], new["dataset.requested"]):
        return None
    values = (known[name] for name in NAMES for known in (old, new))
    return next((value.reason for value in values if _is_not_seen(value)), None)


def _observed() -> Iterator[str]:
    return (name for name, info in CATALOGUE.items() if not info.derived and not name.startswith("config."))


def _in_order(ids: Collection[str], order: Sequence[str]) -> tuple[str, ...]:
    return tuple(id for id in order if id in ids)


_NOT_SEEN = (
    *("--quick", "not asked for", "the facts file does not hold it", "nothing has looked"),
    "its probe runs only when it is named",
    content.NO_TIME,
)
"""Beginnings of reasons that tell of a shorter look and not of another machine."""


def _is_not_seen(value: Observed) -> TypeGuard[Unknown]:
    return isinstance(value, Unknown) and value.reason.startswith(_NOT_SEEN)


def _differs(old: Observed, new: Observed) -> bool:
    if _is_not_seen(old) or _is_not_seen(new):
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
        "contents": [_plain(item) for item in comparison.contents],
        "contents_not_compared": comparison.not_compared,
    }
    return json.dumps(plain, indent=2, ensure_ascii=ascii_only)


def _plain(item: Content) -> dict[str, Any]:
    named = item.named._asdict() if item.named else dict.fromkeys(Named._fields)
    amounts = {"old": item.old, "new": item.new}
    return {"part": item.part, **{key: amount and amount._asdict() for key, amount in amounts.items()}, **named}
