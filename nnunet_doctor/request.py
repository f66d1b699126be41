"""What the user means to do: the dataset, the training and its options, as nnUNetv2_train understands them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nnunet_doctor.facts import Observed

DEVICES = ("auto", "cuda", "cpu", "mps")


@dataclass(frozen=True)
class Request:
    """The user's words. ``None`` is what was not said."""

    dataset: str | None = None
    configuration: str | None = None
    fold: str | None = None
    device: str = "auto"
    trainer: str = "nnUNetTrainer"
    plans: str = "nnUNetPlans"
    num_gpus: int = 1
    continues: bool = False
    validates: bool = False
    pretrained: str | None = None
    overwrites: bool = False

    def as_facts(self, names: Collection[str] | None = None) -> dict[str, Observed]:
        """Return the facts that the request itself is, or those of some of its fields."""
        return {fact: getattr(self, name) for name, fact in FACTS.items() if names is None or name in names}


FACTS = {
    "dataset": "dataset.requested",
    "configuration": "training.configuration",
    "fold": "training.fold",
    "device": "training.device_request",
    "trainer": "training.trainer",
    "plans": "training.plans",
    "num_gpus": "training.num_gpus",
    "continues": "training.continues",
    "validates": "training.validates",
    "pretrained": "training.pretrained",
    "overwrites": "training.overwrites",
}
"""The fact that each field of a request is."""
