"""What the training that is asked for would meet: preprocessed data, and earlier results."""

from __future__ import annotations

from collections.abc import Sequence

from nnunet_doctor.facts.derive.rules import release_row, rule


@rule("preprocessed.configuration_found", "training.configuration", "preprocessed.configurations")
def configuration_found(wanted: str | None, configurations: Sequence[str] | None) -> bool | None:
    return None if wanted is None or configurations is None else wanted in configurations


@rule("preprocessed.format_fits", "preprocessed.data_format", "nnunet.behaves_as")
def format_fits(stored: str | None, release: str | None) -> bool | None:
    """2.6.0 and newer read npz and b2nd (infer_dataset_class), older ones read npz only."""
    if release is None or stored not in ("npz", "b2nd"):
        return None
    return stored == "npz" or release_row(release)["storage"] == "b2nd"


@rule("preprocessed.data_lacking", "preprocessed.configuration_found", "preprocessed.data_format")
def data_lacking(found: bool | None, stored: str | None) -> bool:
    return found is True and stored in ("missing", "empty")


@rule("preprocessed.fold_beyond", "training.fold", "preprocessed.splits")
def fold_beyond(fold: str | None, splits: int | None) -> bool:
    """Without a splits file nnU-Net makes five folds (nnUNetTrainer.do_split)."""
    if fold is None or not fold.lstrip("-").isdigit():
        return False
    return int(fold) < 0 or int(fold) >= (5 if splits is None else splits)


@rule(
    "training.overwrites_finished", "training.state", "training.continues", "training.validates", "training.overwrites"
)
def overwrites_finished(state: str | None, continues: bool, validates: bool, allowed: bool) -> bool:
    return state == "finished" and not (continues or validates or allowed)


@rule(
    "training.overwrites_resumable", "training.state", "training.continues", "training.validates", "training.overwrites"
)
def overwrites_resumable(state: str | None, continues: bool, validates: bool, allowed: bool) -> bool:
    return state == "resumable" and not (continues or validates or allowed)


@rule("training.nothing_to_continue", "training.state", "training.continues")
def nothing_to_continue(state: str | None, continues: bool) -> bool:
    return continues and state in ("none", "started")


@rule("training.nothing_to_validate", "training.state", "training.validates")
def nothing_to_validate(state: str | None, validates: bool) -> bool:
    return validates and state is not None and state != "finished"
