"""dataset.json: one new text for everything that is mended in it, with all the rest as the user wrote it."""

from __future__ import annotations

import codecs
import difflib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nnunet_doctor.fixers.journal import Status, status_of
from nnunet_doctor.fixers.jsontext import Edit, Member, edited, inside, member, numbers
from nnunet_doctor.fixers.record import Given, Plan
from nnunet_doctor.fixers.relabel import CHECK, NewValues, consecutive
from nnunet_doctor.fixers.steps import Replace, is_plain
from nnunet_doctor.probes.raw.description import MOST_BYTES, MOST_REPAIRED, repaired
from nnunet_doctor.probes.raw.examine import FORMATS, ending_of
from nnunet_doctor.probes.raw.survey import Survey

NAME = "dataset.json"
UTF_8 = "UTF-8"
OTHER_WAY_ROUND = "the other way round"

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8 + BOM"),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
"""Beginning of a file, Python's name of the encoding, and its name for the user."""

_SHOWN = 60


@dataclass(frozen=True)
class Source:
    """dataset.json as it is.

    Attributes:
        encoding: In words.
        text: Everything in it.
        json: The text as JSON, which is another one when it had to be repaired.
        seen: The file when it was read.
    """

    encoding: str
    text: str
    json: str
    seen: Status | None


def read(dataset: Path, survey: Survey, plan: Plan) -> Source | None:
    """Read dataset.json and repair it in memory; None, and the reason left to the user, when it cannot be rewritten."""
    path, faults = dataset / NAME, {id for id in _MENDED if id in survey.found}
    if "json-missing" in survey.found:
        return None
    if not is_plain(dataset, NAME):
        for id in faults:
            plan.leave(id, NAME, "fix_left_link")
        return None
    seen = status_of(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError:
        return None
    decoded = _decoded(raw) if len(raw) <= MOST_BYTES else None
    if decoded is None:
        plan.leave("json-syntax", NAME, "fix_left_encoding")
        return None
    encoding, text = decoded
    valid = next((candidate for candidate in _candidates(text) if _is_object(candidate)), None)
    if valid is None:
        if "json-syntax" in faults:
            plan.leave("json-syntax", NAME, "fix_left_syntax")
        return None
    return Source(encoding, text, valid, seen)


_MENDED = ("json-syntax", "json-labels", "json-channel-keys", "num-training")


def _decoded(raw: bytes) -> tuple[str, str] | None:
    """Return encoding and text; None where more than one encoding is likely."""
    for mark, encoding, name in _MARKS:
        if raw.startswith(mark):
            return _strictly(raw, encoding, name)
    as_utf8 = _strictly(raw, "utf-8", UTF_8)
    if as_utf8:
        return as_utf8
    runs = [len(run) for run in re.findall(rb"[\x80-\xff]+", raw)]
    if all(length % 2 == 0 for length in runs) and max(runs) > 2:  # words of two characters and more
        return _strictly(raw, "gb18030", "GB18030")
    return _strictly(raw, "cp1252", "Windows-1252") if max(runs) == 1 else None  # single letters with accents


def _strictly(raw: bytes, encoding: str, name: str) -> tuple[str, str] | None:
    try:
        return name, raw.decode(encoding)
    except UnicodeDecodeError:
        return None


def _candidates(text: str) -> Iterator[str]:
    yield text
    if len(text) <= MOST_REPAIRED:
        # without the blanks in front of comments, and the lines that held nothing else
        yield re.sub(r"(?m)^[ \t]+\r?\n|[ \t]+(?=\r?$)", "", repaired(text))


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


# --- what is mended ------------------------------------------------------------------------------------------------


def add(source: Source, survey: Survey, plan: Plan, cases: int | None, new_values: NewValues) -> None:
    """Add the new text.

    Args:
        source: The old one.
        survey: What is wrong with it.
        plan: It is added here.
        cases: How many there will be; None when nobody can tell yet.
        new_values: New value by old value of all labels; empty to keep them.
    """
    if source.encoding != UTF_8:
        plan.change("json-syntax", NAME, f"{source.encoding} -> {UTF_8}")
    elif source.json != source.text:
        plan.change("json-syntax", NAME, survey.found["json-syntax"][0][1])
    text = source.json
    if member(text, "modality") and not member(text, "channel_names"):
        plan.leave("json-key-missing", NAME, "fix_left_version_1")  # nnU-Net's converters want the rest as it is
    else:
        text = _relabelled(text, new_values) if new_values else _turned(text, survey, plan)
        text = _renumbered(text, survey, plan)
        text = _ended(text, survey, plan)
        text = _counted(text, survey, plan, cases)
    for _, message in survey.found.get("json-duplicate-key", []):
        plan.leave("json-duplicate-key", NAME, "fix_left_duplicate", what=message)
    if (text, source.encoding) != (source.text, UTF_8):
        plan.diff = list(difflib.unified_diff(_lines(source.text), _lines(text), NAME, NAME, lineterm=""))
        plan.steps.append(Replace(NAME))
        plan.contents[NAME] = Given(text.encode("utf-8"), source.seen)


def _lines(text: str) -> list[str]:
    return text.replace("\r\n", "\n").split("\n")


def _turned(text: str, survey: Survey, plan: Plan) -> str:
    """Write {"background": 0} for the {"0": "background"} of nnU-Net v1."""
    messages = [message for _, message in survey.found.get(CHECK, [])]
    if not any(message.startswith(OTHER_WAY_ROUND) for message in messages):
        if not consecutive(survey.description):
            for message in messages:
                plan.leave(CHECK, NAME, "fix_left_labels", what=message)
        return text
    labels = member(text, "labels")
    pairs = list(inside(text, labels.start)) if labels else []
    names = [_name(text, pair) for pair in pairs]
    numbers = [str(int(pair.key or "")) for pair in pairs]
    if len(set(names)) < len(pairs) or len(set(numbers)) < len(pairs):
        plan.leave(CHECK, NAME, "fix_left_turned")
        return text
    shown = [f"{number}: {name} -> {name}: {number}" for number, name in zip(numbers, names, strict=True)]
    plan.change(CHECK, NAME, _short(", ".join(shown)))
    edits = [Edit(pair.key_start, pair.key_end, name) for pair, name in zip(pairs, names, strict=True)]
    edits += [Edit(pair.start, pair.end, number) for pair, number in zip(pairs, numbers, strict=True)]
    return edited(text, edits)


def _name(text: str, pair: Member) -> str:
    """Return the name of a label as it is written, the background as nnU-Net wants it."""
    is_background = int(pair.key or "") == 0 and str(pair.value).strip().casefold() == "background"
    return '"background"' if is_background else text[pair.start : pair.end]


def _renumbered(text: str, survey: Survey, plan: Plan) -> str:
    """Number the channels from 0 when they are in order; in which order nnU-Net takes them does not change."""
    channels = member(text, "channel_names")
    if "json-channel-keys" not in survey.found or channels is None:
        return text
    pairs = list(inside(text, channels.start))
    keys = [pair.key or "" for pair in pairs]
    numbers = [int(key) for key in keys if key.isascii() and key.isdecimal()]
    if len(numbers) == len(keys) and numbers in (list(range(len(keys))), list(range(1, len(keys) + 1))):
        news = [str(number) for number in range(len(keys))]
        plan.change("json-channel-keys", NAME, _short(f"{', '.join(keys)} -> {', '.join(news)}"))
        edits = [Edit(pair.key_start, pair.key_end, f'"{new}"') for pair, new in zip(pairs, news, strict=True)]
        return edited(text, edits)
    is_shuffled = sorted(numbers) == list(range(len(keys)))
    why = "fix_left_channel_order" if is_shuffled else "fix_left_channel_keys"
    plan.leave("json-channel-keys", NAME, why, what=_short(", ".join(keys)))
    return text


def _ended(text: str, survey: Survey, plan: Plan) -> str:
    """Write the ending that all images and labels have, where there is none that nnU-Net understands."""
    faults = [
        id
        for id in ("json-type", "json-key-missing")
        for _, message in survey.found.get(id, [])
        if message.startswith("file_ending")
    ]
    if not faults:
        return text
    paths = [path for case in survey.cases for path in (*case.images.values(), case.label) if path]
    ending = ending_of(paths[0]) if paths else ""
    if survey.found.get("wrong-file-ending") or not all(path.endswith(ending) for path in paths):
        return text
    if ending not in FORMATS:
        plan.leave(faults[0], NAME, "fix_left_no_cases")
        return text
    found = member(text, "file_ending")
    old = "" if found is None else f" {_short(text[found.start : found.end])}"
    plan.change(faults[0], NAME, f"file_ending{old} -> {ending}")
    if found is not None:
        return edited(text, [Edit(found.start, found.end, json.dumps(ending))])
    return _with_last(text, f'"file_ending": {json.dumps(ending)}')


def _counted(text: str, survey: Survey, plan: Plan, cases: int | None) -> str:
    """Write the number of cases."""
    faults = [
        (id, message)
        for id in ("num-training", "json-type", "json-key-missing")
        for _, message in survey.found.get(id, [])
        if message.startswith("numTraining")
    ]
    if not faults:
        return text
    id, _ = faults[0]
    listed = member(text, "dataset")
    if listed is not None and isinstance(listed.value, dict):
        cases = len(listed.value)  # nnU-Net counts entries, whatever is in them
    if not cases:
        plan.leave(id, NAME, "fix_left_names_first" if cases is None else "fix_left_no_cases")
        return text
    if "label-orphan" in survey.found and (survey.description.cases or 0) > cases:
        plan.leave(id, NAME, "fix_left_orphans", what=survey.found["label-orphan"][0][0])
        return text
    found = member(text, "numTraining")
    if found is not None and type(found.value) is int and found.value == cases:
        return text  # right as soon as files are renamed
    old = "" if found is None else f" {_short(text[found.start : found.end])}"
    plan.change(id, NAME, f"numTraining{old} -> {cases}")
    if found is not None:
        return edited(text, [Edit(found.start, found.end, str(cases))])
    return _with_last(text, f'"numTraining": {cases}')


def _with_last(text: str, pair: str) -> str:
    """Add a member at the end, set as the one before it."""
    members = list(inside(text))
    if not members:
        return f"{{{pair}}}"
    last = members[-1]
    before = text[members[-2].end if len(members) > 1 else text.index("{") + 1 : last.key_start]
    return edited(text, [Edit(last.end, last.end, f",{before.replace(',', '')}{pair}")])


def _relabelled(text: str, new_values: NewValues) -> str:
    """Write the new values into labels and into the order of regions."""
    edits = []
    for key in ("labels", "regions_class_order"):
        found = member(text, key)
        for item in numbers(text, found) if found else ():
            new = None if item.value is None else new_values.get(int(item.value))
            if new is not None and new != int(item.value):
                edits.append(Edit(item.start, item.end, str(new)))
    return edited(text, edits)


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
