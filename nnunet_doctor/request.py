"""What the user means to do: the dataset, the training and its options, as nnUNetv2_train understands them."""

from __future__ import annotations

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

    def changes(self) -> dict[str, Observed]:
        """Return those facts of the request that differ from what is meant by saying nothing."""
        plain = Request().as_facts()
        return {name: value for name, value in self.as_facts().items() if value != plain[name]}

    def as_facts(self) -> dict[str, Observed]:
        """Return the facts that the request itself is."""
        return {
            "dataset.requested": self.dataset,
            "training.configuration": self.configuration,
            "training.fold": self.fold,
            "training.device_request": self.device,
            "training.trainer": self.trainer,
            "training.plans": self.plans,
            "training.num_gpus": self.num_gpus,
            "training.continues": self.continues,
            "training.validates": self.validates,
            "training.pretrained": self.pretrained,
            "training.overwrites": self.overwrites,
        }
