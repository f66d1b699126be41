"""dataset.json: what it says, and everything in it that nnU-Net refuses or takes in another way than it seems.

Pure: text in, record out. The rules are those of nnunetv2/utilities/label_handling/label_handling.py (LabelManager),
experiment_planning/verify_dataset_integrity.py and utilities/utils.py of nnU-Net 2.8.1.
"""

from __future__ import annotations

import codecs
import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nnunet_doctor.probes.raw.examine import FORMATS
from nnunet_doctor.probes.raw.record import READERS, Fault

MOST_BYTES = 50 * 1024**2
MOST_REPAIRED = 2 * 1024**2
"""Letters of a text that is repaired; people do not write longer ones by hand."""

MOST_FAULTS = 100
"""Faults of one kind that are told one by one, and how many keys are looked at for one that is misspelt."""

MOST_LETTERS = 300
MOST_REGIONS = 256
LARGEST_VALUE = 2**53
"""No file holds a greater label exactly, and Python refuses to print the greatest that JSON can hold."""

REQUIRED = ("channel_names", "labels", "numTraining", "file_ending")

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig", "byte order mark of UTF-8"),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
_LEGACY = ("gb18030", "cp1252")
"""What editors on Chinese and on western Windows write when it is not UTF-8."""


@dataclass(frozen=True)
class Listed:
    """A case that dataset.json lists under the key ``dataset``: paths as written there."""

    images: tuple[str, ...]
    label: str


@dataclass(frozen=True)
class Description:
    """What dataset.json says, as far as it can be understood.

    Attributes:
        content: The whole; None when it is no JSON object, even after repair.
        faults: Everything that is wrong, in the order of the file's keys.
        channels: Names of the channels in the order of the file; None when they are not known.
        file_ending: None when it is not known.
        cases: numTraining.
        labels: Values of each label by name, without the ignore label; None when one of them is not known.
        ignore: Value of the ignore label.
        reader: overwrite_image_reader_writer, when nnU-Net has such a class.
        listed: Cases under the key ``dataset``; None when there is no such key.
    """

    content: Mapping[str, Any] | None = None
    faults: tuple[Fault, ...] = ()
    channels: tuple[str, ...] | None = None
    file_ending: str | None = None
    cases: int | None = None
    labels: Mapping[str, tuple[int, ...]] | None = None
    ignore: int | None = None
    reader: str | None = None
    listed: Mapping[str, Listed] | None = None

    @property
    def declared(self) -> frozenset[int] | None:
        """All values that a label file may hold."""
        if self.labels is None:
            return None
        values = {value for group in self.labels.values() for value in group}
        return frozenset(values | ({self.ignore} if self.ignore is not None else set()))


def understand(raw: bytes) -> Description:
    """Read the bytes of a dataset.json. Whatever they are, the answer is a record."""
    found = _Found()
    text = _text(raw, found)
    content = _content(text, found) if text is not None else None
    if isinstance(content, dict):
        return _described(content, found)
    if not found.counts["json-syntax"]:
        found.add("json-type", f"{_kind(content)} instead of an object")
    return Description(faults=found.all())


class _Found:
    """The faults so far, some of each kind with short particulars, however many and long they are."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self.counts: Counter[str] = Counter()

    def add(self, id: str, message: str) -> None:
        self.counts[id] += 1
        if self.counts[id] <= MOST_FAULTS:
            self.faults.append((id, _cut(message, MOST_LETTERS)))

    def wrong(self, key: str, value: object, wanted: str) -> None:
        self.add("json-type", f"{_cut(key)} holds {_shown(value)} instead of {wanted}")

    def all(self) -> tuple[Fault, ...]:
        left = {id: count - MOST_FAULTS for id, count in self.counts.items() if count > MOST_FAULTS}
        return (*self.faults, *((id, f"{count} more of this kind") for id, count in left.items()))


def _cut(text: str, length: int = 80) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."


def _text(raw: bytes, found: _Found) -> str | None:
    if len(raw) > MOST_BYTES:
        found.add("json-syntax", f"over {MOST_BYTES // 1024**2} MB")
        return None
    for mark, encoding, name in _BOMS:
        if raw.startswith(mark):
            found.add("json-syntax", name)
            return raw.decode(encoding, "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        found.add("json-syntax", f"line {line}: byte 0x{raw[error.start]:02x} is not UTF-8")
    for encoding in _LEGACY:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")


def _content(text: str, found: _Found) -> Any:
    twice: dict[str, None] = {}

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(items)
        if len(made) < len(items):
            twice.update((key, None) for key, count in Counter(key for key, _ in items).items() if count > 1)
        return made

    try:
        content = json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        if not found.counts["json-syntax"]:
            found.add("json-syntax", _place(text, error))
        content = _repaired_content(text)
    except RecursionError:
        found.add("json-syntax", "nested too deeply")
        return None
    except ValueError:  # Python's limit of digits
        found.add("json-syntax", "a number with too many digits")
        return None
    for key, lines in _lines_of(twice, text).items():
        found.add("json-duplicate-key", f"{_cut(key)}, lines {', '.join(lines)}" if len(lines) > 1 else _cut(key))
    return content


def _lines_of(keys: Iterable[str], text: str) -> dict[str, list[str]]:
    """Return the numbers of the lines in which the keys stand; none for those written with escapes."""
    lines: dict[str, list[str]] = {key: [] for key in keys}
    if lines:
        line, position = 1, 0
        for match in _KEY.finditer(text):
            line += text.count("\n", position, match.start())
            position = match.start()
            if match["key"] in lines:
                lines[match["key"]].append(str(line))
    return lines


_KEY = re.compile(r'"(?P<key>[^"\\\n]*(?:\\.[^"\\\n]*)*)"(?=\s*:)', re.DOTALL)


def _place(text: str, error: json.JSONDecodeError) -> str:
    if not text.strip():
        return "empty file"
    line = text[error.pos - error.colno + 1 :].partition("\n")[0].strip()
    if not line:
        return f"line {error.lineno}, column {error.colno}: {error.msg}"
    return f"line {error.lineno}, column {error.colno}: {error.msg}: {line[:80]}"


# --- repair --------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"""
      (?P<string>"[^"\\\n]*(?:\\.[^"\\\n]*)*"?)
    | (?P<single>'[^'\\\n]*(?:\\.[^'\\\n]*)*'?)
    | (?P<comment>//[^\n]*|\#[^\n]*|/\*(?:.*?\*/|.*))
    | (?P<comma>,)
    | (?P<closer>[}\]])
    | (?P<space>\s+)
    | (?P<word>\w+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
"""Pieces of a text. None of them looks farther than it takes, so that no text takes longer than its length."""

_WORDS = {"True": "true", "False": "false", "None": "null"}


def repaired(text: str) -> str:
    """Return JSON without what people and Python add to it: comments, last commas, single quotes, True and None."""
    parts: list[str] = []
    last_comma: int | None = None
    for match in _TOKEN.finditer(text.removeprefix("\ufeff")):
        kind, piece = match.lastgroup, match.group()
        if kind == "comment":
            continue
        if kind == "closer" and last_comma is not None:
            parts[last_comma] = ""
        if kind == "comma":
            last_comma = len(parts)
        elif kind != "space":
            last_comma = None
        parts.append(_in_double_quotes(piece) if kind == "single" else _WORDS.get(piece, piece))
    return "".join(parts)


def _in_double_quotes(piece: str) -> str:
    if len(piece) < 2 or not piece.endswith("'"):
        return piece
    return json.dumps(re.sub(r"\\(.)", r"\1", piece[1:-1]), ensure_ascii=False)


def _repaired_content(text: str) -> Any:
    if len(text) > MOST_REPAIRED:
        return None
    try:
        return json.loads(repaired(text))
    except (ValueError, RecursionError):
        return None


# --- the keys ------------------------------------------------------------------------------------------------------


def _described(content: Mapping[str, Any], found: _Found) -> Description:
    for key in REQUIRED:
        if key not in content:
            near = _nearest(key, content)
            found.add("json-key-missing", f"{key} (there is {near})" if near else key)
    channels = _channels(content["channel_names"], found) if "channel_names" in content else None
    labels, ignore = _labels(content["labels"], found) if "labels" in content else (None, None)
    if labels is not None:
        _regions(content, labels, found)
    ending = _file_ending(content["file_ending"], found) if "file_ending" in content else None
    reader = _reader(content, found)
    if ending is not None and ending.lower() != ending and _cannot_write(ending.lower(), reader):
        found.add("ending-capitals", f"file_ending {ending}")
    return Description(
        content=content,
        channels=channels,
        file_ending=ending,
        cases=_cases(content["numTraining"], found) if "numTraining" in content else None,
        labels=labels,
        ignore=ignore,
        reader=reader,
        listed=_listed(content["dataset"], found) if "dataset" in content else None,
        faults=found.all(),
    )


def _nearest(key: str, content: Mapping[str, Any]) -> str | None:
    likely = (other for other in content if other not in REQUIRED and len(other) <= 2 * len(key))
    others = list(itertools.islice(likely, MOST_FAULTS))
    same = [other for other in others if re.sub(r"[\W_]", "", other).lower() == re.sub(r"[\W_]", "", key).lower()]
    if key == "channel_names" and "modality" in others:
        return "modality"
    if same:
        return same[0]
    import difflib

    return next(iter(difflib.get_close_matches(key, others, n=1, cutoff=0.75)), None)


def _channels(value: Any, found: _Found) -> tuple[str, ...] | None:
    if not isinstance(value, dict) or not value:
        found.wrong("channel_names", value, 'an object such as {"0": "CT"}')
        return tuple(map(_plain, value)) if isinstance(value, list) and value else None
    for key, name in value.items():
        if not isinstance(name, str):
            found.wrong(f"channel_names[{_cut(key)!r}]", name, "a text")
    if list(value) != [str(number) for number in range(len(value))]:
        found.add("json-channel-keys", ", ".join(value))
    for key, name in value.items():
        if isinstance(name, str) and _CT.search(name) and name.casefold() != "ct":
            found.add("channel-normalisation", f"{key}: {name}")
    return tuple(map(_plain, value.values()))


def _plain(name: Any) -> str:
    return name if isinstance(name, str) else _shown(name)


_CT = re.compile(r"(?:^|[^a-z])(?:ct|ncct|cect|ldct|cta|computed.?tomography)(?:$|[^a-z])", re.IGNORECASE)


def _file_ending(value: Any, found: _Found) -> str | None:
    if not isinstance(value, str) or not value:
        found.wrong("file_ending", value, "a text such as .nii.gz")
        return None
    meant = "." + value.strip().lstrip(".")
    if meant == ".gz":
        meant = ".nii.gz"
    if meant != value:
        found.wrong("file_ending", value, f"{meant!r}")
        return meant
    if value.lower() not in FORMATS:
        found.add("reader-cannot-read", f"file_ending {value}")
    return value


def _cannot_write(ending: str, reader: str | None) -> bool:
    """Say whether the writer refuses an ending, or changes it, when it is in capitals (tried with SimpleITK 2.5)."""
    return ending in (".nii.gz", ".mha", ".gipl", ".nii") and (
        reader.startswith("SimpleITK") if reader else ending != ".nii"
    )


def _cases(value: Any, found: _Found) -> int | None:
    if type(value) is not int or value < 0:
        found.wrong("numTraining", value, "a whole number")
        return int(value) if isinstance(value, str) and value.strip().isdecimal() and len(value) < 10 else None
    return value


def _labels(value: Any, found: _Found) -> tuple[dict[str, tuple[int, ...]] | None, int | None]:
    if not isinstance(value, dict):
        found.wrong("labels", value, 'an object such as {"background": 0, "tumour": 1}')
        return None, None
    if value and all(_is_number(key) and isinstance(name, str) and not _is_number(name) for key, name in value.items()):
        # written as in nnU-Net v1 and the Decathlon: {"0": "background"}
        found.add("json-labels", f"the other way round: {_shown(value)}")
        return {name: (int(key),) for key, name in value.items()}, None
    labels: dict[str, tuple[int, ...]] = {}
    refused: list[str] = []
    ignore: int | None = None
    for name, given in value.items():
        values = _values_of(given)
        if name == "ignore":
            ignore = _ignore(given, values, refused)
        elif values is None:
            refused.append(f"{_cut(name)}: {_shown(given)}")
        else:
            labels[name] = values
    for name, values in labels.items():
        if name != "ignore" and re.sub(r"[^a-z]", "", name.lower()) in _LIKE_IGNORE and any(values):
            found.add("ignore-misspelt", f"{_cut(name)}: {_shown(value[name])}")
    is_clear = len(labels) + ("ignore" in value) == len(value) and (ignore is None) == (value.get("ignore") is None)
    refused += [*_background(value, labels), *(_gaps(labels, ignore) if is_clear else ()), *_shared(labels)]
    for item in refused:
        found.add("json-labels", item)
    return (labels if is_clear else None), ignore


_LIKE_IGNORE = ("ignore", "ignored", "ignorelabel", "labelignore", "ignoreclass", "ignoreregion", "ignoreindex")
"""The letters of names that were meant to be ``ignore``."""


def _values_of(given: Any) -> tuple[int, ...] | None:
    """Return the values of a label or region as int() of nnU-Net makes them; None for what is no whole number."""
    items = given if isinstance(given, list) else [given]
    values = []
    for item in items:
        whole = isinstance(item, int) or (isinstance(item, float) and item.is_integer()) or _is_number(item)
        if not whole or not 0 <= int(item) <= LARGEST_VALUE:
            return None
        values.append(int(item))
    return tuple(values) if values else None


def _is_number(value: Any) -> bool:
    return isinstance(value, str) and value.strip().isascii() and value.strip().isdecimal() and len(value) < 10


def _ignore(given: Any, values: tuple[int, ...] | None, refused: list[str]) -> int | None:
    if given is None:  # the same as no such key
        return None
    if not isinstance(given, int) or values is None:
        refused.append(f"ignore: {_shown(given)} instead of a whole number")
    return values[0] if values and len(values) == 1 else None


def _background(given: Mapping[str, Any], labels: Mapping[str, tuple[int, ...]]) -> Iterator[str]:
    if "background" not in given:
        near = next((name for name in given if name.casefold().strip() in ("background", "bg", "backgroud")), None)
        yield f"no background; {near}" if near else "no background"
    elif labels.get("background") != (0,) or isinstance(given["background"], list):
        yield f"background: {_shown(given['background'])} instead of 0"


def _gaps(labels: Mapping[str, tuple[int, ...]], ignore: int | None) -> Iterator[str]:
    values = sorted({value for group in labels.values() for value in group})
    if ignore is not None and values and ignore != values[-1] + 1:
        yield f"ignore: {ignore} instead of {values[-1] + 1}"
    gaps = [str(value) for last, value in itertools.pairwise(values) if value != last + 1]
    if gaps:
        yield f"gap before {', '.join(gaps[:MOST_FAULTS])}"


def _shared(labels: Mapping[str, tuple[int, ...]]) -> Iterator[str]:
    names: dict[tuple[int, ...], str] = {}
    for name, group in labels.items():
        first = names.setdefault(tuple(sorted(set(group))), name)
        if first != name:
            yield f"{_cut(first)} and {_cut(name)} are both {', '.join(map(str, group[:MOST_FAULTS]))}"


def _regions(content: Mapping[str, Any], labels: Mapping[str, tuple[int, ...]], found: _Found) -> None:
    given = content.get("labels")
    if not isinstance(given, dict) or not any(isinstance(item, list) and len(item) > 1 for item in given.values()):
        return
    # as written: nnU-Net takes a background of "0" for a region
    regions = {
        name: group
        for name, group in labels.items()
        if set(given[name] if isinstance(given[name], list) else [given[name]]) != {0}
    }
    order = content.get("regions_class_order")
    if order is None:
        found.add("json-regions", f"no regions_class_order for {', '.join(regions)}")
    elif not isinstance(order, list) or not all(type(item) is int for item in order):
        found.add("json-regions", f"regions_class_order: {_shown(order)} instead of a list of whole numbers")
    elif len(order) != len(regions):
        found.add("json-regions", f"regions_class_order has {len(order)} entries for {len(regions)} regions")
    else:
        values = {value for group in labels.values() for value in group}
        unknown = [item for item in order if item not in values]
        if unknown:
            found.add("json-regions", f"regions_class_order: {_shown(unknown)} in no region")
        _overwritten(regions, found)
        if not unknown and len(regions) <= MOST_REGIONS:
            _misplaced(regions, order, found)


def _overwritten(regions: Mapping[str, tuple[int, ...]], found: _Found) -> None:
    """Name the regions that vanish, because a later one holds all of theirs."""
    groups = [(name, frozenset(group)) for name, group in itertools.islice(regions.items(), MOST_REGIONS)]
    for number, (small, values) in enumerate(groups):
        large = next((name for name, group in groups[number + 1 :] if values < group), None)
        if large is not None:
            found.add(
                "json-regions", f"{_cut(large)} {_shown(list(regions[large]))} overwrites {_cut(small)} before it"
            )


def _misplaced(regions: Mapping[str, tuple[int, ...]], order: Sequence[int], found: _Found) -> None:
    """Name the values of the order that stand for a region which they do not belong to.

    A prediction starts as background, and each region writes its value over those before it (LabelManager's
    convert_probabilities_to_segmentation). That a label comes out as one of fewer regions may be meant: where regions
    overlap, no value may stand for both.
    """
    pairs = zip(regions.items(), order, strict=True)
    strangers = [(name, group, value) for (name, group), value in pairs if value not in group]
    for name, group, value in strangers:
        found.add("json-regions", f"regions_class_order: {value} is not in {_cut(name)} {_shown(list(group))}")
    if strangers:
        return
    regions_of: dict[int, set[str]] = {}
    written: dict[int, int] = {}
    for (name, group), value in zip(regions.items(), order, strict=True):
        for label in group:
            regions_of.setdefault(label, set()).add(name)
            written[label] = value
    for label, value in sorted(written.items()):
        if label and not regions_of[value] <= regions_of[label]:
            found.add("json-regions", f"regions_class_order: label {label} is predicted as {value}")


def _reader(content: Mapping[str, Any], found: _Found) -> str | None:
    value = content.get("overwrite_image_reader_writer", "None")
    if value == "None":
        return None
    if not isinstance(value, str):
        found.wrong("overwrite_image_reader_writer", value, "a text")
        return None
    if value in READERS:
        return value
    import difflib

    near = difflib.get_close_matches(value[:80], READERS, n=1, cutoff=0.6)
    found.add("json-reader", f"{value} (there is {near[0]})" if near else value)
    return None


def _listed(value: Any, found: _Found) -> dict[str, Listed] | None:
    if not isinstance(value, dict):
        found.wrong("dataset", value, 'an object such as {"case_1": {"images": ["a.nii.gz"], "label": "b.nii.gz"}}')
        return None
    listed: dict[str, Listed] = {}
    for case, entry in value.items():
        images, label = (entry.get("images"), entry.get("label")) if isinstance(entry, dict) else (None, None)
        if not isinstance(images, list) or not images or not all(isinstance(path, str) for path in images):
            found.wrong(f"dataset[{_cut(case)!r}].images", images, "a list of paths")
        elif not isinstance(label, str):
            found.wrong(f"dataset[{_cut(case)!r}].label", label, "a path")
        else:
            listed[case] = Listed(tuple(images), label)
    return listed


def _kind(value: Any) -> str:
    words = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return words.get(type(value), "null")


def _shown(value: Any) -> str:
    try:
        return _cut(json.dumps(value, ensure_ascii=False))
    except RecursionError:
        return _kind(value)


def names_of_values(labels: Mapping[str, Sequence[int]]) -> dict[int, list[str]]:
    """Return the names of the labels or regions that hold a value, for each value."""
    names: dict[int, list[str]] = {}
    for name, group in labels.items():
        for value in dict.fromkeys(group):
            names.setdefault(value, []).append(name)
    return names
