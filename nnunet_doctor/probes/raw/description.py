"""dataset.json: what it says, and everything in it that nnU-Net refuses or takes in another way than it seems.

Pure: text in, record out. The rules are those of nnunetv2/utilities/label_handling/label_handling.py (LabelManager),
experiment_planning/verify_dataset_integrity.py and utilities/utils.py of nnU-Net 2.8.1.
"""

from __future__ import annotations

import codecs
import difflib
import itertools
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nnunet_doctor.probes.raw.examine import FORMATS
from nnunet_doctor.probes.raw.record import READERS, Fault

MOST_BYTES = 50 * 1024**2
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
        labels: Values of each label by name, without the ignore label; None when they are not known.
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
    faults: list[Fault] = []
    text = _text(raw, faults)
    content = _content(text, faults) if text is not None else None
    if not isinstance(content, dict):
        if not any(id == "json-syntax" for id, _ in faults):
            faults.append(("json-type", f"{_kind(content)} instead of object"))
        return Description(faults=tuple(faults))
    return _described(content, faults)


def _text(raw: bytes, faults: list[Fault]) -> str | None:
    if len(raw) > MOST_BYTES:
        faults.append(("json-syntax", f"over {MOST_BYTES // 1024**2} MB"))
        return None
    for mark, encoding, name in _BOMS:
        if raw.startswith(mark):
            faults.append(("json-syntax", name))
            return raw.decode(encoding, "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        faults.append(("json-syntax", f"line {line}: byte 0x{raw[error.start]:02x} is not UTF-8"))
    for encoding in _LEGACY:
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")


def _content(text: str, faults: list[Fault]) -> Any:
    twice: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        twice.extend(key for key, count in Counter(key for key, _ in items).items() if count > 1)
        return dict(items)

    try:
        content = json.loads(text, object_pairs_hook=pairs)
    except json.JSONDecodeError as error:
        if not any(id == "json-syntax" for id, _ in faults):
            faults.append(("json-syntax", _place(text, error)))
        content = _repaired_content(text)
    except RecursionError:
        faults.append(("json-syntax", "nested too deeply"))
        return None
    except ValueError:  # Python's limit of digits
        faults.append(("json-syntax", "a number with too many digits"))
        return None
    for key in dict.fromkeys(twice):
        lines = [str(number) for number, line in enumerate(text.splitlines(), 1) if f'"{key}"' in line]
        faults.append(("json-duplicate-key", f"{key}, lines {', '.join(lines)}" if len(lines) > 1 else key))
    return content


def _place(text: str, error: json.JSONDecodeError) -> str:
    if not text.strip():
        return "empty"
    lines = text.splitlines()
    line = lines[error.lineno - 1].strip() if error.lineno <= len(lines) else ""
    return f"line {error.lineno}, column {error.colno}: {error.msg}" + (f": {line[:80]}" if line else "")


# --- repair --------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"""
      (?P<string>"(?:[^"\\\n]|\\.)*")
    | (?P<single>'(?:[^'\\\n]|\\.)*')
    | (?P<comment>//[^\n]*|\#[^\n]*|/\*.*?\*/)
    | (?P<comma>,(?=(?:\s|//[^\n]*|\#[^\n]*|/\*.*?\*/)*[}\]]))
    | (?P<word>\b(?:True|False|None)\b)
    """,
    re.VERBOSE | re.DOTALL,
)
_WORDS = {"True": "true", "False": "false", "None": "null"}


def repaired(text: str) -> str:
    """Return JSON without what people and Python add to it: comments, last commas, single quotes, True and None."""
    return _TOKEN.sub(_repair, text.removeprefix("\ufeff"))


def _repair(match: re.Match[str]) -> str:
    found = match.group()
    if match.lastgroup == "single":
        return json.dumps(re.sub(r"\\(.)", r"\1", found[1:-1]), ensure_ascii=False)
    return {"string": found, "comment": "", "comma": "", "word": _WORDS.get(found, found)}[str(match.lastgroup)]


def _repaired_content(text: str) -> Any:
    try:
        return json.loads(repaired(text))
    except (ValueError, RecursionError):
        return None


# --- the keys ------------------------------------------------------------------------------------------------------


@dataclass
class _Found:
    """What is understood of one key after the other."""

    faults: list[Fault] = field(default_factory=list)

    def wrong(self, key: str, value: object, wanted: str) -> None:
        self.faults.append(("json-type", f"{key}: {_shown(value)} instead of {wanted}"))


def _described(content: Mapping[str, Any], faults: list[Fault]) -> Description:
    found = _Found(faults)
    for key in REQUIRED:
        if key not in content:
            near = _nearest(key, content)
            found.faults.append(("json-key-missing", f"{key} (there is {near})" if near else key))
    channels = _channels(content["channel_names"], found) if "channel_names" in content else None
    labels, ignore = _labels(content["labels"], found) if "labels" in content else (None, None)
    if labels is not None:
        _regions(content, labels, found)
    return Description(
        content=content,
        channels=channels,
        file_ending=_file_ending(content["file_ending"], found) if "file_ending" in content else None,
        cases=_cases(content["numTraining"], found) if "numTraining" in content else None,
        labels=labels,
        ignore=ignore,
        reader=_reader(content, found),
        listed=_listed(content["dataset"], found) if "dataset" in content else None,
        faults=tuple(found.faults),
    )


def _nearest(key: str, content: Mapping[str, Any]) -> str | None:
    others = [other for other in content if other not in REQUIRED]
    same = [other for other in others if re.sub(r"[\W_]", "", other).lower() == re.sub(r"[\W_]", "", key).lower()]
    if key == "channel_names" and "modality" in others:
        return "modality"
    return next(iter(same or difflib.get_close_matches(key, others, n=1, cutoff=0.75)), None)


def _channels(value: Any, found: _Found) -> tuple[str, ...] | None:
    if not isinstance(value, dict) or not value:
        found.wrong("channel_names", value, 'object such as {"0": "CT"}')
        return tuple(map(str, value)) if isinstance(value, list) and value else None
    for key, name in value.items():
        if not isinstance(name, str):
            found.wrong(f"channel_names[{key!r}]", name, "text")
    if list(value) != [str(number) for number in range(len(value))]:
        found.faults.append(("json-channel-keys", ", ".join(value)))
    for key, name in value.items():
        if isinstance(name, str) and _CT.search(name) and name.casefold() != "ct":
            found.faults.append(("channel-normalisation", f"{key}: {name}"))
    return tuple(map(str, value.values()))


_CT = re.compile(r"(?:^|[^a-z])(?:ct|ncct|cect|ldct|cta|computed.?tomography)(?:$|[^a-z])", re.IGNORECASE)


def _file_ending(value: Any, found: _Found) -> str | None:
    if not isinstance(value, str) or not value:
        found.wrong("file_ending", value, "text such as .nii.gz")
        return None
    if not value.startswith("."):
        found.wrong("file_ending", value, f"{'.' + value!r}")
        return f".{value}"
    if value.lower() not in FORMATS:
        found.faults.append(("reader-cannot-read", f"file_ending {value}"))
    return value


def _cases(value: Any, found: _Found) -> int | None:
    if type(value) is not int or value < 0:
        found.wrong("numTraining", value, "whole number")
        return int(value) if isinstance(value, str) and value.strip().isdecimal() and len(value) < 10 else None
    return value


def _labels(value: Any, found: _Found) -> tuple[dict[str, tuple[int, ...]] | None, int | None]:
    if not isinstance(value, dict):
        found.wrong("labels", value, 'object such as {"background": 0, "tumour": 1}')
        return None, None
    if value and all(_is_number(key) and isinstance(name, str) and not _is_number(name) for key, name in value.items()):
        # written as in nnU-Net v1 and the Decathlon: {"0": "background"}
        found.faults.append(("json-labels", f"the other way round: {_shown(value)}"))
        return {name: (int(key),) for key, name in value.items()}, None
    labels: dict[str, tuple[int, ...]] = {}
    refused: list[str] = []
    ignore: int | None = None
    for name, given in value.items():
        values = _values_of(given)
        if name == "ignore":
            ignore = _ignore(given, values, refused)
        elif values is None:
            refused.append(f"{name}: {_shown(given)}")
        else:
            labels[name] = values
    _refused_labels(value, labels, ignore, refused)
    found.faults += [("json-labels", item) for item in refused]
    return labels, ignore


def _values_of(given: Any) -> tuple[int, ...] | None:
    """Return the values of a label or region as int() of nnU-Net makes them; None for what is no whole number."""
    items = given if isinstance(given, list) else [given]
    values = []
    for item in items:
        whole = type(item) is int or (isinstance(item, float) and item.is_integer()) or _is_number(item)
        if not whole or int(item) < 0:
            return None
        values.append(int(item))
    return tuple(values) if values else None


def _is_number(value: Any) -> bool:
    return isinstance(value, str) and value.strip().isascii() and value.strip().isdecimal() and len(value) < 10


def _ignore(given: Any, values: tuple[int, ...] | None, refused: list[str]) -> int | None:
    if type(given) is not int:
        refused.append(f"ignore: {_shown(given)} instead of a whole number")
    return values[0] if values and len(values) == 1 else None


def _refused_labels(
    given: Mapping[str, Any], labels: Mapping[str, tuple[int, ...]], ignore: int | None, refused: list[str]
) -> None:
    if "background" not in given:
        near = next((name for name in given if name.casefold().strip() in ("background", "bg", "backgroud")), None)
        refused.append("no background" + (f"; {near}" if near else ""))
    elif labels.get("background") != (0,) or isinstance(given["background"], list):
        refused.append(f"background: {_shown(given['background'])} instead of 0")
    values = sorted({value for group in labels.values() for value in group})
    if ignore is not None and values and ignore != values[-1] + 1:
        refused.append(f"ignore: {ignore} instead of {values[-1] + 1}")
    elif ignore is not None:
        values.append(ignore)
    gaps = [str(value) for last, value in itertools.pairwise(values) if value != last + 1]
    if gaps:
        refused.append(f"gap before {', '.join(gaps)}")
    names: dict[tuple[int, ...], str] = {}
    for name, group in labels.items():
        first = names.setdefault(tuple(sorted(set(group))), name)
        if first != name:
            refused.append(f"{first} and {name} are both {', '.join(map(str, group))}")


def _regions(content: Mapping[str, Any], labels: Mapping[str, tuple[int, ...]], found: _Found) -> None:
    given = content.get("labels")
    if not isinstance(given, dict) or not any(isinstance(item, list) and len(item) > 1 for item in given.values()):
        return
    regions = {name: group for name, group in labels.items() if set(group) != {0}}
    order = content.get("regions_class_order")
    wrong = found.faults.append
    if order is None:
        wrong(("json-regions", f"no regions_class_order for {', '.join(regions)}"))
        return
    if not isinstance(order, list) or not all(type(item) is int for item in order):
        wrong(("json-regions", f"regions_class_order: {_shown(order)} instead of a list of whole numbers"))
        return
    if len(order) != len(regions):
        wrong(("json-regions", f"regions_class_order has {len(order)} entries for {len(regions)} regions"))
        return
    values = {value for group in labels.values() for value in group}
    unknown = [str(item) for item in order if item not in values]
    if unknown:
        wrong(("json-regions", f"regions_class_order: {', '.join(unknown)} in no region"))
    names = list(regions)
    for first, small in enumerate(names):
        for large in names[first + 1 :]:
            if set(regions[small]) <= set(regions[large]):
                wrong(("json-regions", f"{large} {_shown(list(regions[large]))} overwrites {small} before it"))


def _reader(content: Mapping[str, Any], found: _Found) -> str | None:
    value = content.get("overwrite_image_reader_writer", "None")
    if value == "None":
        return None
    if not isinstance(value, str):
        found.wrong("overwrite_image_reader_writer", value, "text")
        return None
    if value in READERS:
        return value
    near = difflib.get_close_matches(value, READERS, n=1, cutoff=0.6)
    found.faults.append(("json-reader", value + (f" (there is {near[0]})" if near else "")))
    return None


def _listed(value: Any, found: _Found) -> dict[str, Listed] | None:
    if not isinstance(value, dict):
        found.wrong("dataset", value, 'object such as {"case_1": {"images": ["a.nii.gz"], "label": "b.nii.gz"}}')
        return None
    listed: dict[str, Listed] = {}
    for case, entry in value.items():
        images, label = (entry.get("images"), entry.get("label")) if isinstance(entry, dict) else (None, None)
        if not isinstance(images, list) or not images or not all(isinstance(path, str) for path in images):
            found.wrong(f"dataset[{case!r}].images", images, "list of paths")
        elif not isinstance(label, str):
            found.wrong(f"dataset[{case!r}].label", label, "path")
        else:
            listed[case] = Listed(tuple(images), label)
    return listed


def _kind(value: Any) -> str:
    words = {dict: "object", list: "list", str: "text", bool: "true or false", int: "number", float: "number"}
    return words.get(type(value), "null")


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:77] + "..."


def names_of_values(labels: Mapping[str, Sequence[int]], value: int) -> str:
    """Return the names of the labels or regions that hold a value."""
    return ", ".join(name for name, group in labels.items() if value in group)
