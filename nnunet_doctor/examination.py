"""``facts = look(); findings = diagnose(facts, checks); settings = plan(findings)``: the middle of every command."""

from __future__ import annotations

import os.path
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from nnunet_doctor import __version__, catalogue, waivers
from nnunet_doctor.check import AREAS, Check
from nnunet_doctor.engine import Diagnosis, diagnose
from nnunet_doctor.errors import UserError, nearest
from nnunet_doctor.facts import Facts, Observed, Unknown
from nnunet_doctor.facts.derive import derive, with_inputs
from nnunet_doctor.packs import PackError, refuse_lost_files
from nnunet_doctor.plan import Plan, plan
from nnunet_doctor.probes.base import Context
from nnunet_doctor.probes.look import NOT_ASKED, is_wrong_use, look, start_looking
from nnunet_doctor.waivers import Waiver

MOST_FACTS_BYTES = 20 * 1024**2
"""A facts file has some 30 kB; one over this size is not read."""


class Examination(NamedTuple):
    """Facts and all that was concluded from them."""

    facts: Facts
    diagnosis: Diagnosis
    plan: Plan


def conclude(
    facts: Facts, checks: Sequence[Check], *, trust_packs: bool = False, expired: Sequence[Waiver] = ()
) -> Examination:
    """Diagnose and plan.

    Args:
        facts: What was observed.
        checks: What to ask, with the waivers that count.
        trust_packs: Whether checks that are not built in may choose settings.
        expired: Waivers that count no longer.
    """
    trusted = {check.origin for check in checks} if trust_packs else {"built in"}
    facts = _with_waivers(facts, checks, expired)
    return Examination(facts, diagnose(facts, checks), plan(facts, checks, trusted))


def _with_waivers(facts: Facts, checks: Sequence[Check], expired: Sequence[Waiver]) -> Facts:
    """Note what is wrong with the waivers; a recording knows nothing of those that count here."""
    idle = waivers.unused(checks, diagnose(facts, checks), facts) if any(check.waivers for check in checks) else ()
    values: dict[str, Observed] = {
        "config.expired_waivers": waivers.as_details(expired) or None,
        "config.unused_waivers": idle or None,
    }
    return facts.with_values(values, dict.fromkeys(values, "configuration"))


def asked_by(checks: Iterable[Check]) -> frozenset[str]:
    """Return the facts that checks ask, with all that these follow from; a look at more would be for nothing."""
    return with_inputs({name for check in checks for name in check.facts})


def look_at(context: Context) -> Facts:
    """Look at everything on this machine; raises as :func:`facts_from`."""
    return facts_from(context, start_looking(context))


def facts_from(context: Context, wait: Callable[[], Facts]) -> Facts:
    """Wait for the facts of a look that was started.

    Raises:
        UserError: The interpreter or the dataset that the user names does not exist.
    """
    try:
        facts = wait()
    except Exception as error:
        if is_wrong_use(error):
            raise UserError(str(error)) from None
        raise
    _refuse_lost_dataset(facts, context)
    return facts


_KINDS = frozenset({"paths.raw_kind", "paths.preprocessed_kind"})


def _refuse_lost_dataset(facts: Facts, context: Context) -> None:
    """A number or name that matches nothing, with all folders set, is a slip of the pen and not a finding."""
    if facts["dataset.resolution"] != "absent" or facts["dataset.near_misses"] != ():
        return
    folders = look(context, _KINDS) if any(facts[name] == Unknown(NOT_ASKED) for name in _KINDS) else facts
    if any(folders[name] != "folder" for name in _KINDS):
        return
    wanted, raw, present = (facts[name] for name in ("dataset.requested", "paths.raw", "dataset.present"))
    if not isinstance(present, tuple) or not present:
        raise UserError(f"there is no dataset {wanted} in {raw} or nnU-Net's other two folders; there is none at all")
    known = ", ".join(map(str, present[:20]))
    raise UserError(f"there is no dataset {wanted} in {raw} or nnU-Net's other two folders; there are {known}")


def read_facts(path: Path, given: Mapping[str, Observed], tell: Callable[[str], None] | None = None) -> Facts:
    """Read a facts file, with those facts of the request that the user gives laid over it.

    Args:
        path: The file, or a pipe; ``-`` is standard input.
        given: The facts of the request.
        tell: Takes a sentence about what a newer doctor has recorded and this one does not know.

    Raises:
        UserError: The file cannot be read, is not one of facts, or holds another dataset than the one that is named.
    """
    place = "standard input" if path == _STANDARD_INPUT else str(path)
    facts, note = _read_facts_file(path, place)
    if note and tell:
        tell(note)
    dataset = given.get("dataset.requested")
    recorded = {str(facts[f"dataset.{name}"]) for name in ("requested", "name", "id")}
    named = str(int(dataset)) if isinstance(dataset, str) and dataset.isdecimal() else str(dataset)
    if dataset is not None and not {str(dataset), named} & recorded:
        raise UserError(
            f"{place} holds nothing about dataset {dataset}; record it with 'nnunet-doctor facts {dataset}'"
        )
    rest = {name: value for name, value in given.items() if name != "dataset.requested"}
    if any(facts[name] != rest.get(name, facts[name]) for name in OF_ONE_TRAINING):
        other: Observed = Unknown("the file was recorded for another training")
        rest = dict.fromkeys(RECORDED_FOR_ONE_TRAINING, other) | rest
    return derive(facts.with_values(rest, dict.fromkeys(rest, "command line")))


_STANDARD_INPUT = Path("-")


def _read_facts_file(path: Path, place: str) -> tuple[Facts, str]:
    """Return the facts of a file, and a note about those that are not known here, or an empty text."""
    import codecs
    import json

    from nnunet_doctor.facts.exchange import FactError, from_document

    try:
        content = _content(path)
        if len(content) > MOST_FACTS_BYTES:
            raise UserError(f"{place} has more than {MOST_FACTS_BYTES // 1024**2} MB; this is not a facts file")
        # PowerShell 5 writes UTF-16 when its output is redirected
        utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        document = json.loads(content.decode("utf-16" if utf16 else "utf-8-sig"))
        return from_document(document), _note_of(document, place)
    except OSError as error:
        raise UserError(f"the facts file {place} cannot be read: {error.strerror}") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{place} is not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None
    except UnicodeDecodeError:
        name = "machine.json" if path == _STANDARD_INPUT else path.name
        raise UserError(f"{place} is not UTF-8 text; write it with 'nnunet-doctor facts --output {name}'") from None
    except RecursionError:
        raise UserError(f"{place} is nested too deeply; this is not a facts file") from None
    except FactError as error:
        raise UserError(f"{place} is not a facts file of nnunet-doctor: {error}") from None
    except ValueError:  # Python's limit of digits
        raise UserError(f"{place} holds a number that is too long to be read") from None


def _content(path: Path) -> bytes:
    """Read a file, pipe or device, or standard input, up to what is too much for facts."""
    if path == _STANDARD_INPUT:
        import sys

        return sys.stdin.buffer.read(MOST_FACTS_BYTES + 1) if sys.stdin else b""
    with path.open("rb") as file:
        return file.read(MOST_FACTS_BYTES + 1)


_SHOWN_NAMES = 3
_FACT_NAME = re.compile(r"[A-Za-z0-9_.]{1,60}")
_VERSION = re.compile(r"[0-9A-Za-z.+!-]{1,30}")


def _note_of(document: Mapping[str, Any], place: str) -> str:
    """Say which facts of a document are left out because they are not known here; an empty text when none is."""
    from nnunet_doctor.facts.exchange import strangers

    new = strangers(document)
    if not new:
        return ""
    # a file may hold anything, and this goes to a terminal
    names = [name for name in sorted(new) if _FACT_NAME.fullmatch(name)][:_SHOWN_NAMES]
    shown = ", ".join([*names, "..."] if len(names) < len(new) else names)
    note = f"nnunet-doctor {__version__} does not know {len(new)} of the facts in {place}, and does without: {shown}"
    doctor = document.get("doctor")
    told = isinstance(doctor, str) and _VERSION.fullmatch(doctor)
    return f"{note}; nnunet-doctor {doctor} wrote it" if told else note


OF_ONE_TRAINING = ("training.configuration", "training.fold", "training.trainer", "training.plans")
"""What tells one training from another."""

RECORDED_FOR_ONE_TRAINING = (
    "training.folder",
    "training.state",
    "preprocessed.data_folder",
    "preprocessed.data_format",
    "preprocessed.cases",
    "preprocessed.patch_size",
    "preprocessed.image_size",
    "preprocessed.batch_size",
    "preprocessed.plans_name",
    "preprocessed.other_dataset",
    "preprocessed.plans_kind",
    "preprocessed.network",
    "preprocessed.names",
    "preprocessed.configuration_faults",
    "preprocessed.downsampling",
    "preprocessed.feature_maps",
    "preprocessed.parameters",
    "preprocessed.largest_voxels",
    "preprocessed.all_voxels",
    "preprocessed.strangers",
    "preprocessed.packed",
    "preprocessed.incomplete",
    "preprocessed.damaged",
    "preprocessed.not_stored",
    "preprocessed.not_raw",
    "preprocessed.labels_changed",
    "preprocessed.truth_lacking",
    "preprocessed.split_faults",
    "preprocessed.split_lacking",
    "preprocessed.split_overlap",
    "preprocessed.split_repeated",
    "preprocessed.split_unused",
    "preprocessed.previous_stage",
    "preprocessed.next_lacking",
    "preprocessed.stored_files",
    "preprocessed.stored_bytes",
    "preprocessed.stored_content",
    "training.validated",
    "training.running",
    "training.damaged_checkpoints",
    "training.weights_misfit",
    "training.weights_from_gpu",
    "training.stage_folder",
    "training.stage_lacking",
    "training.stage_linked",
    "training.stage_leftovers",
)
"""What a recording knows of that training only."""


def load_checks(folders: Sequence[str], *, with_examples: bool = False) -> tuple[Check, ...]:
    """Load all checks.

    Raises:
        UserError: A folder does not exist, or a file in it is not a check.
    """
    with _refusing_folders():
        return catalogue.load(_existing(folders), with_examples=with_examples)


def choose_checks(
    folders: Sequence[str], select: Sequence[str], ignore: Sequence[str]
) -> tuple[tuple[Check, ...], tuple[str, ...]]:
    """Load the checks to ask, chosen by id or area, and name those to leave out, whose files are not read.

    Raises:
        UserError: A word is neither an id nor an area, a folder does not exist, or a file in it is not a check.
    """
    with _refusing_folders():
        if not select and not ignore:
            return catalogue.load(_existing(folders)), ()
        listed = catalogue.listed(_existing(folders))
        known = {*AREAS, *(item.id for item in listed)}
        for word in (*select, *ignore):
            if word not in known and not catalogue.may_lack(known):
                raise UserError(
                    f"there is no check and no area {word!r}{nearest(word, known)}; 'nnunet-doctor list' shows them"
                )
        asked: list[Check] = []
        left: list[str] = []
        for item in listed:
            names = {item.id, item.area}
            if catalogue.is_unreadable(item):  # its checks may be of any area
                names, wanted = {item.id}, True
            else:
                wanted = not select or not names.isdisjoint(select)
            if wanted and names.isdisjoint(ignore):
                asked.append(item.read())
            else:
                left.append(item.id)
        return tuple(asked), tuple(left)


def _existing(folders: Sequence[str]) -> list[Path]:
    paths = [Path(folder) for folder in folders]
    for path in paths:
        if not os.path.isdir(path):  # noqa: PTH112 - says no where there is no permission to look
            raise UserError(f"--checks {path} is not a folder")
        try:
            refuse_lost_files(path)
        except PackError as error:
            raise UserError(str(error)) from None
    return paths


@contextmanager
def _refusing_folders() -> Iterator[None]:
    """A folder that cannot be read becomes one sentence for the user."""
    try:
        yield
    except OSError as error:
        raise UserError(f"--checks {error.filename} cannot be read: {error.strerror}") from None
