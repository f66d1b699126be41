"""Facts about the dataset that the user names."""

from __future__ import annotations

from nnunet_doctor.facts.base import Detail, Unknown, derived, fact


class DatasetFacts:
    """The dataset as nnU-Net resolves it. Every fact is None when no dataset is named."""

    requested: str | None | Unknown = fact("id, name or folder as the user gives it")
    resolution: str | None | Unknown = fact("found, absent or ambiguous")
    id: int | None | Unknown = fact("number of the dataset")
    name: str | None | Unknown = fact("DatasetXXX_Name; None when it is not found")
    matches: tuple[Detail, ...] | None | Unknown = fact("every folder with this id: name and where it lies")
    near_misses: tuple[Detail, ...] | None | Unknown = fact(
        "folders that look like it but do not count: name and where"
    )
    present: tuple[str, ...] | None | Unknown = fact(
        "datasets that there are, when the wanted one is not; None otherwise"
    )
    folder: str | None | Unknown = fact("folder of the raw dataset; None when there is none")
    layout: str | None | Unknown = fact("nnunet, nnunet-v1 or decathlon; None when there is no raw folder")
    json_state: str | None | Unknown = fact("of dataset.json: ok, missing, unreadable, invalid")
    json_error: str | None | Unknown = fact("what is wrong with dataset.json, with line and column; None for nothing")
    json_missing_keys: tuple[Detail, ...] | None | Unknown = fact("keys that nnU-Net needs and dataset.json lacks")
    file_ending: str | None | Unknown = fact("file_ending of dataset.json")
    training_cases: int | None | Unknown = fact("numTraining of dataset.json")
    channels: int | None | Unknown = fact("number of channel_names of dataset.json")
    labels: int | None | Unknown = fact("number of labels of dataset.json, background included")

    surveyed: str | None | Unknown = fact("how deep the raw dataset was looked into: quick, default or deep")
    survey_interrupted: bool | None | Unknown = fact("whether the survey was interrupted by the user")
    reader: str | None | Unknown = fact("class of nnunetv2/imageio that reads the images")
    cases: int | None | Unknown = fact("cases that there are by nnU-Net's rules of names")
    files: int | None | Unknown = fact("files that were looked into")
    decoded_gib: float | None | Unknown = fact("voxels that were decoded, in GiB")
    image_files: int | None | Unknown = fact("number of files of images")
    image_bytes: int | None | Unknown = fact("what the images take on the disk, in bytes")
    image_content: str | None | Unknown = fact(
        "fingerprint of the images, by names, sizes and a part of each file; the same for a copy"
    )
    label_files: int | None | Unknown = fact("number of files of labels")
    label_bytes: int | None | Unknown = fact("what the labels take on the disk, in bytes")
    label_content: str | None | Unknown = fact(
        "fingerprint of the labels, by names, sizes and a part of each file; the same for a copy"
    )
    json_content: str | None | Unknown = fact("fingerprint of dataset.json, without blanks; None without that file")
    predict_input: str | None | Unknown = fact("folder of images to predict, when such a one was surveyed")
    model: str | None | Unknown = fact("model or dataset that the images to predict are compared with")

    # what a survey of the raw dataset finds: one list for each check of area dataset, named as its id
    folder_missing: tuple[Detail, ...] | None | Unknown = fact(
        "imagesTr or labelsTr when it is not there, with what is there instead"
    )
    no_cases: tuple[Detail, ...] | None | Unknown = fact(
        "imagesTr when nnU-Net finds no image in it, with what is there instead"
    )
    json_missing: tuple[Detail, ...] | None | Unknown = fact(
        "dataset.json when it is not there, with what is there instead"
    )
    json_syntax: tuple[Detail, ...] | None | Unknown = fact(
        "dataset.json when it is not JSON as nnU-Net reads it, with the place"
    )
    json_type: tuple[Detail, ...] | None | Unknown = fact("values of dataset.json that have the wrong type")
    json_key_missing: tuple[Detail, ...] | None | Unknown = fact("keys that dataset.json lacks")
    json_duplicate_key: tuple[Detail, ...] | None | Unknown = fact("keys that dataset.json holds twice")
    json_path: tuple[Detail, ...] | None | Unknown = fact("files that dataset.json lists and that are not there")
    json_channel_keys: tuple[Detail, ...] | None | Unknown = fact(
        "channel_names whose keys are not 0, 1, ... in this order"
    )
    json_labels: tuple[Detail, ...] | None | Unknown = fact("labels of dataset.json that nnU-Net refuses")
    ignore_misspelt: tuple[Detail, ...] | None | Unknown = fact(
        "labels of dataset.json that are called almost ignore, and are trained like any other"
    )
    json_regions: tuple[Detail, ...] | None | Unknown = fact(
        "regions of dataset.json that nnU-Net refuses or that overwrite each other"
    )
    json_reader: tuple[Detail, ...] | None | Unknown = fact("reader named in dataset.json that nnU-Net does not have")
    num_training: tuple[Detail, ...] | None | Unknown = fact("numTraining when it differs from the number of cases")
    channel_missing: tuple[Detail, ...] | None | Unknown = fact("image files of channels that a case lacks")
    channel_extra: tuple[Detail, ...] | None | Unknown = fact(
        "image files of channels that dataset.json does not declare"
    )
    channel_count: tuple[Detail, ...] | None | Unknown = fact(
        "image files with another number of channels than declared"
    )
    bad_image_name: tuple[Detail, ...] | None | Unknown = fact(
        "images without, or labels with, the four-digit channel number"
    )
    wrong_file_ending: tuple[Detail, ...] | None | Unknown = fact("images and labels that do not end in file_ending")
    wrong_format: tuple[Detail, ...] | None | Unknown = fact(
        "files whose content is of another format than their ending says"
    )
    label_missing: tuple[Detail, ...] | None | Unknown = fact("label files that are not there though their images are")
    label_orphan: tuple[Detail, ...] | None | Unknown = fact("labels without an image")
    duplicate_image: tuple[Detail, ...] | None | Unknown = fact("images that are the same in two cases")
    duplicate_label: tuple[Detail, ...] | None | Unknown = fact("labels, not empty, that are the same in two cases")
    id_collision: tuple[Detail, ...] | None | Unknown = fact("names that are one where upper and lower case are one")
    hidden_file: tuple[Detail, ...] | None | Unknown = fact("hidden files that nnU-Net takes for images or labels")
    not_a_file: tuple[Detail, ...] | None | Unknown = fact("images and labels that are folders, FIFOs or devices")
    broken_link: tuple[Detail, ...] | None | Unknown = fact("images and labels that are links to nothing")
    unreadable: tuple[Detail, ...] | None | Unknown = fact("files that cannot be read to their last byte")
    not_gzip: tuple[Detail, ...] | None | Unknown = fact("files that end in .gz and are not compressed")
    reader_cannot_read: tuple[Detail, ...] | None | Unknown = fact("sound files that nnU-Net's reader refuses")
    not_3d: tuple[Detail, ...] | None | Unknown = fact("files with another number of dimensions than the reader takes")
    not_scalar: tuple[Detail, ...] | None | Unknown = fact("files whose voxels are no single numbers")
    shape_mismatch: tuple[Detail, ...] | None | Unknown = fact("files whose shape differs from that of their case")
    spacing_mismatch: tuple[Detail, ...] | None | Unknown = fact("files whose spacing differs from that of their case")
    origin_mismatch: tuple[Detail, ...] | None | Unknown = fact("files whose origin differs from that of their case")
    direction_mismatch: tuple[Detail, ...] | None | Unknown = fact(
        "files whose direction differs from that of their case"
    )
    direction_not_orthonormal: tuple[Detail, ...] | None | Unknown = fact("files whose direction cosines ITK refuses")
    bad_spacing: tuple[Detail, ...] | None | Unknown = fact("files whose spacing is no length")
    spacing_ambiguous: tuple[Detail, ...] | None | Unknown = fact(
        "files whose pixdim and sform tell different voxel sizes"
    )
    spacing_file_missing: tuple[Detail, ...] | None | Unknown = fact("3D TIFF files without a spacing file beside them")
    units: tuple[Detail, ...] | None | Unknown = fact("files whose header counts in another unit than mm")
    qform_sform: tuple[Detail, ...] | None | Unknown = fact("files whose qform and sform differ")
    no_orientation: tuple[Detail, ...] | None | Unknown = fact("files that tell no orientation")
    bad_scaling: tuple[Detail, ...] | None | Unknown = fact("files whose scaling is not finite")
    nan: tuple[Detail, ...] | None | Unknown = fact("images with NaN as stored, with what the reader makes of it")
    inf: tuple[Detail, ...] | None | Unknown = fact("images with infinite values as stored")
    extreme_values: tuple[Detail, ...] | None | Unknown = fact(
        "images with finite values that are too large to compute with"
    )
    constant_image: tuple[Detail, ...] | None | Unknown = fact("images whose voxels are all equal")
    exif_orientation: tuple[Detail, ...] | None | Unknown = fact("images that viewers turn and nnU-Net does not")
    label_unexpected: tuple[Detail, ...] | None | Unknown = fact(
        "labels with values that dataset.json does not declare"
    )
    label_float: tuple[Detail, ...] | None | Unknown = fact("labels of whole numbers stored as floating point")
    label_wide_dtype: tuple[Detail, ...] | None | Unknown = fact("labels stored in 32 or 64 bit integers")
    label_empty: tuple[Detail, ...] | None | Unknown = fact("labels with background only")
    label_no_background: tuple[Detail, ...] | None | Unknown = fact("labels without any background")
    label_channels: tuple[Detail, ...] | None | Unknown = fact("labels with several channels")
    label_palette: tuple[Detail, ...] | None | Unknown = fact(
        "labels with a palette, whose colours nnU-Net reads as channels"
    )
    class_never_occurs: tuple[Detail, ...] | None | Unknown = fact("declared labels that no voxel has")
    no_foreground: tuple[Detail, ...] | None | Unknown = fact("labelsTr when no label of it has foreground")
    class_in_one_case: tuple[Detail, ...] | None | Unknown = fact("label files of the only case that holds a class")
    label_is_image: tuple[Detail, ...] | None | Unknown = fact("labels that are a copy of an image")
    nii_beside_gz: tuple[Detail, ...] | None | Unknown = fact(".nii.gz files with a .nii of the same name beside them")
    id_awkward: tuple[Detail, ...] | None | Unknown = fact("files whose case names break later steps")
    dataset_is_bids: tuple[Detail, ...] | None | Unknown = fact("the folder when it is a BIDS dataset")
    dataset_is_dicom: tuple[Detail, ...] | None | Unknown = fact("the folder when it holds DICOM files")
    channel_normalisation: tuple[Detail, ...] | None | Unknown = fact(
        "channel names that select another normalisation than they seem to"
    )
    channels_mixed: tuple[Detail, ...] | None | Unknown = fact("images of another kind than the rest of their channel")
    spacing_outlier: tuple[Detail, ...] | None | Unknown = fact("images whose spacing is far from the median")
    shape_outlier: tuple[Detail, ...] | None | Unknown = fact("images whose size is far from the median")
    orientation_mixed: tuple[Detail, ...] | None | Unknown = fact("images with another axis orientation than most")
    input_spacing: tuple[Detail, ...] | None | Unknown = fact(
        "images to predict whose spacing is outside of what the model was trained on"
    )
    input_orientation: tuple[Detail, ...] | None | Unknown = fact(
        "images to predict whose axes lie otherwise than those that the model was trained on"
    )
    cases_few: tuple[Detail, ...] | None | Unknown = fact("imagesTr when it holds too few cases for five folds")
    ending_capitals: tuple[Detail, ...] | None | Unknown = fact("file_ending in capitals that nnU-Net cannot write")
    test_image_trained: tuple[Detail, ...] | None | Unknown = fact("files of imagesTs that lie in imagesTr too")
    test_images: tuple[Detail, ...] | None | Unknown = fact("files of imagesTs that prediction does not take")

    named: bool | Unknown = derived("whether the user names a dataset")
    raw_matters: bool | Unknown = derived(
        "whether faults of the raw dataset matter: not to a training whose preprocessed data are there"
    )
    ambiguous: tuple[Detail, ...] | None | Unknown = derived(
        "the folders that share the id; None when it is not ambiguous"
    )
    convert_argument: str | None | Unknown = derived("folder to hand to nnU-Net's conversion command; None without one")
