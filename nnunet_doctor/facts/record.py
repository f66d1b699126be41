"""All areas together, and the catalogue of every fact's name, type and meaning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from nnunet_doctor.facts.base import NOT_LOOKED_AT, Declared, Detail, Observed
from nnunet_doctor.facts.config import ConfigFacts
from nnunet_doctor.facts.dataset import DatasetFacts
from nnunet_doctor.facts.gpu import GpuFacts
from nnunet_doctor.facts.nnunet import NnunetFacts
from nnunet_doctor.facts.paths import PathsFacts
from nnunet_doctor.facts.platform import PlatformFacts
from nnunet_doctor.facts.preprocessed import PreprocessedFacts
from nnunet_doctor.facts.python import PythonFacts
from nnunet_doctor.facts.resources import ResourcesFacts
from nnunet_doctor.facts.torch import TorchFacts
from nnunet_doctor.facts.training import TrainingFacts
from nnunet_doctor.facts.trial import TrialFacts
from nnunet_doctor.facts.triton import TritonFacts

AREAS: dict[str, type[Any]] = {
    "platform": PlatformFacts,
    "python": PythonFacts,
    "torch": TorchFacts,
    "triton": TritonFacts,
    "gpu": GpuFacts,
    "nnunet": NnunetFacts,
    "paths": PathsFacts,
    "resources": ResourcesFacts,
    "dataset": DatasetFacts,
    "preprocessed": PreprocessedFacts,
    "training": TrainingFacts,
    "trial": TrialFacts,
    "config": ConfigFacts,
}


class FactInfo(NamedTuple):
    """What is known about a fact before anyone looks: its name, type and meaning.

    ``type`` is the type of a known value, ``None`` taken out; ``optional`` says whether ``None`` is a value.
    """

    name: str
    type: Any
    optional: bool
    derived: bool
    doc: str

    @property
    def is_list_of_details(self) -> bool:
        """Whether the fact lists files, cases or folders with a message each."""
        return bool(self.type == tuple[Detail, ...])

    @property
    def type_name(self) -> str:
        """The type in words for documentation."""
        words = TYPE_NAMES[self.type]
        return f"{words} or none" if self.optional else words


TYPE_NAMES: dict[Any, str] = {
    bool: "true or false",
    int: "whole number",
    float: "number",
    str: "text",
    tuple[str, ...]: "list of texts",
    tuple[int, ...]: "list of whole numbers",
    tuple[float, ...]: "list of numbers",
    tuple[Detail, ...]: "list of subject and message",
}
"""What a fact can hold, in words; packs declare their facts with them."""

_TYPES: dict[str, Any] = {
    "bool": bool,
    "int": int,
    "float": float,
    "str": str,
    "tuple[str, ...]": tuple[str, ...],
    "tuple[int, ...]": tuple[int, ...],
    "tuple[float, ...]": tuple[float, ...],
    "tuple[Detail, ...]": tuple[Detail, ...],
}


def _catalogue() -> dict[str, FactInfo]:
    """Read the annotations as texts: to evaluate them takes longer than all else that happens at import."""
    infos: dict[str, FactInfo] = {}
    for area, record in AREAS.items():
        for noun, annotation in record.__annotations__.items():
            members = annotation.split(" | ")
            (plain,) = set(members) - {"Unknown", "None"}
            name = f"{area}.{noun}"
            declared: Declared = getattr(record, noun)
            infos[name] = FactInfo(name, _TYPES[plain], "None" in members, declared.derived, declared.doc)
    return infos


CATALOGUE: dict[str, FactInfo] = _catalogue()
"""Every fact by name; those of installed packs are added when packs are looked for."""


@dataclass(frozen=True, repr=False)
class Facts:
    """Everything that was learnt, with the source of each fact.

    Attributes:
        values: What is known, by name; facts that are not in it have not been looked at.
        sources: Where each fact comes from, by name.
    """

    values: Mapping[str, Observed] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Observed:
        """Return the value of ``area.noun``.

        Raises:
            KeyError: No fact has this name.
        """
        if name in self.values:
            return self.values[name]
        if name not in CATALOGUE:
            raise KeyError(name)
        return NOT_LOOKED_AT

    def __iter__(self) -> Iterator[tuple[str, Observed]]:
        """Yield every name with its value, in the order of the catalogue."""
        return ((name, self[name]) for name in CATALOGUE)

    def source(self, name: str) -> str:
        """Say where a fact comes from."""
        return self.sources.get(name, "not recorded")

    def with_values(self, values: Mapping[str, Observed], sources: Mapping[str, str] | None = None) -> Facts:
        """Return these facts with some values replaced.

        Raises:
            KeyError: A name is not a fact.
        """
        for name in values:
            if name not in CATALOGUE:
                raise KeyError(name)
        return Facts({**self.values, **values}, {**self.sources, **(sources or {})})
