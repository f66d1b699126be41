"""What the training that is asked for would meet: preprocessed data, and earlier results."""

from __future__ import annotations

from collections.abc import Sequence

from nnunet_doctor.facts.base import Detail, Unknown
from nnunet_doctor.facts.derive.rules import first_unknown, is_in, release_row, rule


@rule("preprocessed.configuration_found", "training.configuration", "preprocessed.configurations")
def configuration_found(wanted: str | None, configurations: Sequence[str] | None) -> bool | None:
    return None if wanted is None or configurations is None else wanted in configurations


@rule("preprocessed.format_fits", "preprocessed.data_format", "nnunet.behaves_as")
def format_fits(stored: str | None, release: str | None) -> bool | None:
    """2.6.0 and newer read npz and b2nd (infer_dataset_class), older ones read npz only."""
    if release is None or stored not in ("npz", "b2nd"):
        return None
    return stored == "npz" or release_row(release)["storage"] == "b2nd"


@rule(
    "preprocessed.plans_fit",
    "preprocessed.plans_kind",
    "preprocessed.network",
    "nnunet.behaves_as",
    "training.follows_plans",
)
def plans_fit(kind: str | None, network: str | None, release: str | None, follows: bool) -> bool | None | Unknown:
    """2.3 and newer read both kinds of plans (ConfigurationManager.__init__), older ones the flat kind only.

    2.3 to 2.4.2 hand a residual encoder of flat plans the argument n_conv_per_stage, which it does not have.
    """
    if kind is None or release is None or not follows:
        return None
    if kind == "architecture":
        return is_in(release, ">=2.3")
    if network == "ResidualEncoderUNet":
        return is_in(release, "<2.3.dev0") is True or is_in(release, ">=2.5")
    return network == "PlainConvUNet"


CAME_WITH = {
    "resample_torch_fornnunet": "2.5.1",
    "resample_torch_simple": "2.5.1",
    "no_resampling_hack": "2.6.2",
    "SimpleITKIOWithReorient": "2.6.3",
}
"""Functions and classes that plans may name and that not every release has (preprocessing/resampling, imageio)."""


@rule("preprocessed.names_too_new", "preprocessed.names", "nnunet.behaves_as")
def names_too_new(names: Sequence[str] | None, release: str | None) -> tuple[Detail, ...] | None:
    if names is None or release is None:
        return None
    return tuple(
        Detail(name, CAME_WITH[name])
        for name in names
        if name in CAME_WITH and is_in(release, f"<{CAME_WITH[name]}.dev0") is True
    )


@rule("training.patch_unfit", "preprocessed.patch_size", "preprocessed.downsampling", "training.follows_plans")
def patch_unfit(
    patch: Sequence[int] | None, divisors: Sequence[int] | None, follows: bool
) -> tuple[Detail, ...] | None:
    """Halves of the network fit together only where no stride leaves a rest (UNetDecoder.forward, torch.cat)."""
    if patch is None or divisors is None or not follows or len(patch) != len(divisors):
        return None
    return tuple(
        Detail(f"patch_size[{axis}]", f"{size} / {divisor}")
        for axis, (size, divisor) in enumerate(zip(patch, divisors, strict=True))
        if size % divisor
    )


@rule("preprocessed.data_lacking", "preprocessed.configuration_found", "preprocessed.data_format")
def data_lacking(found: bool | None, stored: str | None) -> bool:
    return found is True and stored in ("missing", "empty")


@rule("preprocessed.fold_beyond", "training.fold", "preprocessed.splits")
def fold_beyond(fold: str | None, splits: int | None) -> bool:
    """Without a splits file nnU-Net makes five folds (nnUNetTrainer.do_split)."""
    if fold is None or not fold.lstrip("-").isdigit():
        return False
    return int(fold) < 0 or int(fold) >= (5 if splits is None else splits)


_START = ("training.state", "training.continues", "training.validates", "training.overwrites")


def _overwrites(wanted: str, state: str | None | Unknown, *spared: bool | Unknown) -> bool | Unknown:
    """Say whether a start without the options that spare what is there would write over it."""
    if True in spared or (not isinstance(state, Unknown) and state != wanted):
        return False
    return first_unknown(state, *spared) or True


@rule("training.overwrites_finished", *_START, tolerant=True)
def overwrites_finished(state: str | None | Unknown, *spared: bool | Unknown) -> bool | Unknown:
    return _overwrites("finished", state, *spared)


@rule("training.overwrites_resumable", *_START, tolerant=True)
def overwrites_resumable(state: str | None | Unknown, *spared: bool | Unknown) -> bool | Unknown:
    return _overwrites("resumable", state, *spared)


@rule("training.nothing_to_continue", "training.state", "training.continues")
def nothing_to_continue(state: str | None, continues: bool) -> bool:
    return continues and state in ("none", "started")


@rule("training.nothing_to_validate", "training.state", "training.validates")
def nothing_to_validate(state: str | None, validates: bool) -> bool:
    return validates and state is not None and state != "finished"
