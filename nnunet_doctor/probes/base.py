"""What probes share: the context they look in, and the notes they take."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from nnunet_doctor.request import Request

if TYPE_CHECKING:
    from nnunet_doctor.facts import Observed
    from nnunet_doctor.probes.raw.record import Depth
    from nnunet_doctor.probes.raw.survey import Progress, Survey


@dataclass(frozen=True)
class RawLook:
    """How to look at the raw dataset, or at images to predict.

    Attributes:
        depth: quick, default or deep; None looks at names and dataset.json only.
        caches: Whether what is known of unchanged files is used and kept.
        progress: Who hears of the progress.
        predict_input: Folder of images to predict, instead of a dataset.
        model: What they are for: the folder of a trained model, or a dataset by id, name or folder.
        keep: Who gets the survey itself, with all that is known of each case.
    """

    depth: Depth | None = None
    caches: bool = True
    progress: Callable[[Progress], None] | None = None
    predict_input: str | None = None
    model: str | None = None
    keep: Callable[[Survey], None] | None = None


@dataclass(frozen=True)
class Context:
    """Where and how deep to look.

    Attributes:
        python: The interpreter under examination.
        environ: Environment that the training would inherit.
        request: What the user means to do.
        quick: Whether to start no torch.
        deep: Whether to try out what a training does: the device, a worker, the folders.
        timeout: Seconds that each probe, and the child in the examined interpreter, may take.
        raw: How to look at the raw dataset; that takes as long as it takes.
        packs: Installed packs whose probes are run too.
        contents: Whether to look at the content of the dataset's files, which only a comparison with another day asks.
    """

    python: Path
    environ: Mapping[str, str]
    request: Request
    quick: bool = False
    deep: bool = False
    timeout: float = 60.0
    raw: RawLook = RawLook()
    packs: tuple[str, ...] = ()
    contents: bool = False


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
