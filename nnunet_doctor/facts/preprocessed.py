"""Facts about preprocessed data."""

from __future__ import annotations

from nnunet_doctor.facts.base import Detail, Unknown, derived, fact


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
    fingerprint_error: str | None | Unknown = fact("what is wrong with dataset_fingerprint.json; None for nothing")
    fingerprint_cases: int | None | Unknown = fact("number of cases in dataset_fingerprint.json; None without it")
    plans_name: str | None | Unknown = fact("name that the plans give themselves, by which results are filed")
    other_dataset: str | None | Unknown = fact(
        "dataset that the plans name, where its folder is another than that of the named dataset; None otherwise"
    )
    plans_kind: str | None | Unknown = fact(
        "how plans describe the network of the wanted configuration: architecture (2.3 and newer) or flat (before)"
    )
    network: str | None | Unknown = fact("class of the network of the wanted configuration")
    names: tuple[str, ...] | None | Unknown = fact(
        "functions and classes of nnU-Net that the plans name and that a training looks up"
    )
    configuration_faults: tuple[Detail, ...] | None | Unknown = fact(
        "keys of the wanted configuration that nnU-Net cannot use, and what they hold"
    )
    downsampling: tuple[int, ...] | None | Unknown = fact(
        "by what each axis of a patch has to be divisible; None for a network that is not one of nnU-Net's U-Nets"
    )
    feature_maps: int | None | Unknown = fact(
        "values in the feature maps of one sample as nnU-Net's planner counts them; None for another network"
    )
    parameters: int | None | Unknown = fact("weights of the network; None for one that is not nnU-Net's")
    largest_voxels: int | None | Unknown = fact("voxels of the largest case after resampling, by the fingerprint")
    all_voxels: int | None | Unknown = fact("voxels of all cases after resampling, by the fingerprint")
    strangers: tuple[Detail, ...] | None | Unknown = fact(
        "files among the cases that keep nnU-Net from telling their format"
    )
    packed: int | None | Unknown = fact(
        "number of cases whose npz has no npy beside it, which the start of a training makes; None for another format"
    )
    incomplete: tuple[Detail, ...] | None | Unknown = fact("cases that the run opens and that lack a file, and which")
    damaged: tuple[Detail, ...] | None | Unknown = fact(
        "cases that the run opens with a file that is empty or cut, and its size"
    )
    not_stored: tuple[Detail, ...] | None | Unknown = fact("cases of the raw dataset that are not preprocessed")
    not_raw: tuple[Detail, ...] | None | Unknown = fact("preprocessed cases that the raw dataset does not hold")
    labels_changed: tuple[Detail, ...] | None | Unknown = fact(
        "labels of the raw dataset that are another file than at preprocessing, by their size"
    )
    json_changed: tuple[Detail, ...] | None | Unknown = fact(
        "keys of dataset.json that differ from the copy beside the plans: raw value / copy"
    )
    truth_lacking: tuple[Detail, ...] | None | Unknown = fact(
        "files that the final validation wants in gt_segmentations and that are not there"
    )
    split_faults: tuple[Detail, ...] | None | Unknown = fact(
        "folds of splits_final.json that nnU-Net cannot use, of those that the run uses, and what is wrong"
    )
    split_lacking: tuple[Detail, ...] | None | Unknown = fact(
        "cases that the wanted folds name and that are not among the preprocessed ones: case, fold and part"
    )
    split_overlap: tuple[Detail, ...] | None | Unknown = fact(
        "cases that a wanted fold both trains on and validates with"
    )
    split_repeated: tuple[Detail, ...] | None | Unknown = fact("cases that several folds validate with, and which")
    split_unused: tuple[Detail, ...] | None | Unknown = fact("preprocessed cases that no fold names")
    previous_stage: str | None | Unknown = fact("configuration of the cascade's stage before; None for none")
    stored_files: int | None | Unknown = fact("number of files of the wanted configuration's cases, without npy")
    stored_bytes: int | None | Unknown = fact("what these files take on the disk, in bytes")
    stored_content: str | None | Unknown = fact(
        "fingerprint of these files, by names, sizes and a part of each; the same for a copy, not when they are made "
        "again"
    )
    plans_content: str | None | Unknown = fact("fingerprint of the plans file, without blanks; None without that file")
    splits_content: str | None | Unknown = fact(
        "fingerprint of splits_final.json, without blanks; None without that file"
    )
    json_content: str | None | Unknown = fact(
        "fingerprint of dataset.json beside the plans, without blanks; None without that file"
    )
    next_lacking: tuple[Detail, ...] | None | Unknown = fact(
        "next stages of the cascade whose cases are not preprocessed: configuration and folder"
    )

    configuration_found: bool | None | Unknown = derived(
        "whether the plans hold the wanted configuration; None without one"
    )
    format_fits: bool | None | Unknown = derived(
        "whether the installed nnU-Net reads the data as stored; None without data or without nnU-Net"
    )
    plans_fit: bool | None | Unknown = derived(
        "whether the installed nnU-Net builds the network that the plans describe; None without them, without nnU-Net, "
        "and for trainers that build another"
    )
    names_too_new: tuple[Detail, ...] | None | Unknown = derived(
        "those of the names that came with a later release than the installed one, and that release"
    )
    data_lacking: bool | Unknown = derived("whether the wanted configuration is planned but its cases are not there")
    fold_beyond: bool | Unknown = derived("whether the wanted fold is not one of the splits")
