"""What probes share: the context they look in, and the notes they take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_doctor.request import Request

if TYPE_CHECKING:
    from nnunet_doctor.facts import Observed


@dataclass(frozen=True)
class Context:
    """Where and how deep to look.

    Attributes:
        python: The interpreter under examination.
        environ: Environment that the training would inherit.
        request: What the user means to do.
        quick: Whether to start no torch.
        timeout: Seconds that each probe, and the child in the examined interpreter, may take.
    """

    python: Path
    environ: Mapping[str, str]
    request: Request
    quick: bool = False
    timeout: float = 60.0


@dataclass
class Notes:
    """What a probe saw, by name, with the source of each fact."""

    values: dict[str, Observed] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)

    def see(self, source: str, **values: Observed) -> None:
        """Note facts of one source, written as ``area__noun=value``."""
        for key, value in values.items():
            name = key.replace("__", ".", 1)
            self.values[name] = value
            self.sources[name] = source
