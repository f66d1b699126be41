"""Facts about preprocessed data."""

from __future__ import annotations

from nnunet_doctor.facts.base import Unknown, derived, fact


class PreprocessedFacts:
    """What planning and preprocessing left for the named dataset. Every fact is None when it is not found."""

    folder: str | None | Unknown = fact("folder of the dataset in nnUNet_preprocessed, whether it exists or not")
    exists: bool | None | Unknown = fact("whether that folder exists")
    fingerprint: bool | None | Unknown = fact("whether dataset_fingerprint.json is there")
    plans_state: str | None | Unknown = fact("of the plans file: ok, missing, invalid")
    plans_error: str | None | Unknown = fact("what is wrong with the plans file; None for nothing")
    plans_names: tuple[str, ...] | None | Unknown = fact("plans files that are there, without .json")
    configurations: tuple[str, ...] | None | Unknown = fact("configurations in the plans file")
    data_folder: str | None | Unknown = fact("folder of the wanted configuration's cases; None without a configuration")
    data_format: str | None | Unknown = fact("npz, b2nd, mixed, empty or missing; None without a configuration")
    cases: int | None | Unknown = fact("number of preprocessed cases of the wanted configuration")
    splits: int | None | Unknown = fact("number of folds in splits_final.json; None without that file")
    json_state: str | None | Unknown = fact("of dataset.json beside the plans: ok, missing, unreadable, invalid")
    splits_error: str | None | Unknown = fact("what is wrong with splits_final.json; None for nothing")
    patch_size: tuple[int, ...] | None | Unknown = fact("patch size of the wanted configuration, in voxels")
    batch_size: int | None | Unknown = fact("batch size of the wanted configuration")
    image_size: tuple[int, ...] | None | Unknown = fact("median image size of the wanted configuration, in voxels")
    labels: int | None | Unknown = fact("number of labels, background included, from dataset.json beside the plans")
    channels: int | None | Unknown = fact("number of input channels, from dataset.json beside the plans")

    configuration_found: bool | None | Unknown = derived(
        "whether the plans hold the wanted configuration; None without one"
    )
    format_fits: bool | None | Unknown = derived(
        "whether the installed nnU-Net reads the data as stored; None without data or without nnU-Net"
    )
    data_lacking: bool | Unknown = derived("whether the wanted configuration is planned but its cases are not there")
    fold_beyond: bool | Unknown = derived("whether the wanted fold is not one of the splits")
