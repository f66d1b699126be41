"""Facts as plain data: how they are written to a file, and read back with every name and type checked.

    {
      "schema_version": 1,
      "doctor": "0.1.0",
      "facts":   { "platform.os": "windows", "triton.importable": { "unknown": "reason" }, ... },
      "derived": { "training.compiles": true, ... },
      "packs":   { "scanner.model": "A1", ... },
      "sources": { "platform.os": "platform.system()", ... }
    }

Facts are added, and never renamed: what a newer doctor has recorded is read without the facts that are not known here.
``derived`` is for readers: it is computed anew from ``facts`` when a file is read. ``packs`` holds what installed packs
have added, where there are any; whoever reads the file may not have them, and does without.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

from nnunet_doctor.facts.base import Detail, Observed, Unknown
from nnunet_doctor.facts.derive import derive
from nnunet_doctor.facts.record import AREAS, CATALOGUE, FactInfo, Facts

SCHEMA_VERSION = 1


class FactError(ValueError):
    """Plain data that is not a fact; the message says which and why in one sentence."""


def to_plain(value: Observed) -> Any:
    """Return a value as JSON knows it; an unknown becomes ``{"unknown": reason}``."""
    if isinstance(value, Unknown):
        return {"unknown": value.reason}
    if isinstance(value, tuple):
        return [
            {"subject": item.subject, "message": item.message} if isinstance(item, Detail) else item for item in value
        ]
    return value


def from_plain(name: str, value: Any) -> Observed:
    """Return the value of a named fact from plain data.

    Raises:
        FactError: There is no such fact, or the value has another type than the fact.
    """
    info = CATALOGUE.get(name)
    if info is None:
        import difflib

        near = next(iter(difflib.get_close_matches(name, CATALOGUE, n=1)), "")
        hint = f"did you mean {near!r}?"
        raise FactError(f"there is no fact {name!r}" + (f"; {hint}" if near else ""))
    if isinstance(value, Mapping) and set(value) == {"unknown"} and isinstance(value["unknown"], str):
        return Unknown(value["unknown"])
    if value is None and info.optional:
        return None
    return _typed(info, value)


def _typed(info: FactInfo, value: Any) -> Observed:
    if info.type is float and _is_number(value):
        return float(value)
    if info.type in (str, int, bool) and type(value) is info.type:
        return value  # type: ignore[no-any-return]
    if info.is_list_of_details and isinstance(value, list):
        return tuple(_detail(info, item) for item in value)
    kinds: dict[Any, Callable[[Any], bool]] = {
        tuple[str, ...]: lambda item: type(item) is str,
        tuple[int, ...]: lambda item: type(item) is int,
        tuple[float, ...]: _is_number,
    }
    if info.type in kinds and isinstance(value, list) and all(map(kinds[info.type], value)):
        return tuple(value)
    raise FactError(f"fact {info.name!r} is {info.type_name}, not {value!r}")


def _is_number(value: Any) -> bool:
    """Say whether a value is a number that JSON can write, which knows neither NaN nor infinity."""
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


def _detail(info: FactInfo, item: Any) -> Detail:
    known = isinstance(item, Mapping) and isinstance(item.get("subject"), str) and set(item) <= {"subject", "message"}
    if not known or not isinstance(item.get("message", ""), str):
        raise FactError(f"fact {info.name!r} lists records of 'subject' and 'message', not {item!r}")
    return Detail(item["subject"], item.get("message", ""))


def to_document(facts: Facts, doctor: str) -> dict[str, Any]:
    """Return facts as the document described above."""
    plain = {name: to_plain(value) for name, value in facts}
    added = {name: plain.pop(name) for name in list(plain) if name.partition(".")[0] not in AREAS}
    return {
        "schema_version": SCHEMA_VERSION,
        "doctor": doctor,
        "facts": {name: value for name, value in plain.items() if not CATALOGUE[name].derived},
        "derived": {name: value for name, value in plain.items() if CATALOGUE[name].derived},
        **({"packs": added} if added else {}),
        "sources": {
            name: facts.sources[name] for name in plain if name in facts.sources and not CATALOGUE[name].derived
        },
    }


def from_document(document: Any) -> Facts:
    """Return facts from such a document, with the derived ones computed anew.

    A fact that the document does not hold is unknown; one that is not known here is left out: see :func:`strangers`.

    Raises:
        FactError: The document is not one of facts, or was written by a newer schema.
    """
    if not isinstance(document, Mapping) or not isinstance(document.get("facts"), Mapping):
        raise FactError("it holds no 'facts'")
    version = document.get("schema_version")
    if type(version) is not int or version != SCHEMA_VERSION:
        raise FactError(f"its schema_version is {version!r}; this doctor reads {SCHEMA_VERSION}")
    sources = document.get("sources", {})
    if not isinstance(sources, Mapping) or not all(isinstance(text, str) for text in sources.values()):
        raise FactError("its 'sources' are not texts")
    absent: Observed = Unknown("the facts file does not hold it")
    values: dict[str, Observed] = {name: absent for name, info in CATALOGUE.items() if not info.derived}
    new = strangers(document)
    for name, value in document["facts"].items():
        if name in new:
            continue
        if name in CATALOGUE and CATALOGUE[name].derived:
            raise FactError(f"{name!r} follows from other facts and cannot be given")
        values[name] = from_plain(name, value)
    added = document.get("packs", {})
    if not isinstance(added, Mapping) or any(name.partition(".")[0] in AREAS for name in added):
        raise FactError("its 'packs' are not facts of packs")
    values |= {name: from_plain(name, value) for name, value in added.items() if name in CATALOGUE}
    return derive(Facts().with_values(values, {str(name): text for name, text in sources.items()}))


def strangers(document: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of what a document of facts holds and this doctor does not know: a newer one has recorded it.

    A name that is nearly that of a fact which the document lacks is none of them, but a slip of the pen.
    """
    given: Mapping[str, Any] = document["facts"]
    new = [name for name in given if name not in CATALOGUE]
    return frozenset(name for name in new if len(new) > _MOST_SLIPS or not _is_slip(name, given))


_MOST_SLIPS = 20
"""Nobody misspells more; to compare each of very many names would take long."""

_LONGEST = 100
"""Letters of a name that are compared; no fact has so many."""


def _is_slip(name: str, given: Mapping[str, Any]) -> bool:
    import difflib

    observed = [known for known, info in CATALOGUE.items() if not info.derived]
    meant = difflib.get_close_matches(name[:_LONGEST], observed, n=1, cutoff=0.85)
    return bool(meant) and meant[0] not in given


def schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a facts document."""
    properties = {name: _schema_of(info) for name, info in CATALOGUE.items()}
    observed = {name: part for name, part in properties.items() if not CATALOGUE[name].derived}
    following = {name: part for name, part in properties.items() if CATALOGUE[name].derived}

    def record(parts: dict[str, Any]) -> dict[str, Any]:
        return {"type": "object", "properties": parts, "additionalProperties": False}

    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Facts about a machine, an installation and a dataset, as nnunet-doctor records them",
        "type": "object",
        "required": ["schema_version", "facts"],
        "additionalProperties": False,
        "properties": {
            "schema_version": {"const": SCHEMA_VERSION},
            "doctor": {"type": "string"},
            "facts": record(observed),
            "derived": record(following),
            "packs": {"type": "object"},
            "sources": {"type": "object", "additionalProperties": {"type": "string"}},
        },
    }


def _schema_of(info: FactInfo) -> dict[str, Any]:
    detail = {
        "type": "object",
        "required": ["subject"],
        "properties": {"subject": {"type": "string"}, "message": {"type": "string"}},
        "additionalProperties": False,
    }
    plain: dict[Any, dict[str, Any]] = {
        bool: {"type": "boolean"},
        int: {"type": "integer"},
        float: {"type": "number"},
        str: {"type": "string"},
        tuple[str, ...]: {"type": "array", "items": {"type": "string"}},
        tuple[int, ...]: {"type": "array", "items": {"type": "integer"}},
        tuple[float, ...]: {"type": "array", "items": {"type": "number"}},
        tuple[Detail, ...]: {"type": "array", "items": detail},
    }
    unknown = {
        "type": "object",
        "required": ["unknown"],
        "properties": {"unknown": {"type": "string"}},
        "additionalProperties": False,
    }
    options = [plain[info.type], unknown, *([{"type": "null"}] if info.optional else [])]
    return {"description": info.doc, "anyOf": options}
