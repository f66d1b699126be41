"""Facts about the three folders of nnU-Net."""

from __future__ import annotations

from nnunet_doctor.facts.base import Detail, Unknown, derived, fact


class PathsFacts:
    """nnUNet_raw, nnUNet_preprocessed and nnUNet_results."""

    raw: str | None | Unknown = fact("value of nnUNet_raw; None when unset")
    raw_kind: str | None | Unknown = fact("what is there: folder, file, missing; None when unset")
    raw_writable: bool | None | Unknown = fact("whether files can be made there; None when it is no folder")
    raw_real: str | None | Unknown = fact("the folder with links resolved; None when unset")
    raw_free_gib: float | None | Unknown = fact("free space there, or where it would be made; None when unset")
    raw_filesystem: str | None | Unknown = fact("file system, such as ext4, nfs, 9p; None when unset or not known")
    raw_parent: bool | None | Unknown = fact("whether the folder above it exists; None when unset")
    raw_refusal: str | None | Unknown = fact(
        "why no file can be made there, such as 'EACCES: Permission denied'; None when one can, or when it is no folder"
    )
    raw_cloud: str | None | Unknown = fact(
        "service that keeps the folder in step with a cloud, such as OneDrive; None when none is known to"
    )
    raw_level: str | None | Unknown = fact(
        "dataset when it holds imagesTr or dataset.json itself, above when it holds a folder nnUNet_raw; None otherwise"
    )
    preprocessed: str | None | Unknown = fact("value of nnUNet_preprocessed; None when unset")
    preprocessed_kind: str | None | Unknown = fact("what is there: folder, file, missing; None when unset")
    preprocessed_writable: bool | None | Unknown = fact("whether files can be made there; None when it is no folder")
    preprocessed_real: str | None | Unknown = fact("the folder with links resolved; None when unset")
    preprocessed_free_gib: float | None | Unknown = fact("free space there, or where it would be made; None when unset")
    preprocessed_filesystem: str | None | Unknown = fact(
        "file system, such as ext4, nfs, 9p; None when unset or not known"
    )
    preprocessed_parent: bool | None | Unknown = fact("whether the folder above it exists; None when unset")
    preprocessed_refusal: str | None | Unknown = fact(
        "why no file can be made there, such as 'EACCES: Permission denied'; None when one can, or when it is no folder"
    )
    preprocessed_cloud: str | None | Unknown = fact(
        "service that keeps the folder in step with a cloud, such as OneDrive; None when none is known to"
    )
    preprocessed_rotational: bool | None | Unknown = fact(
        "whether it lies on a hard disk with spinning plates; None when that cannot be told"
    )
    unreadable: tuple[Detail, ...] | None | Unknown = fact(
        "folders that are there and whose content may not be listed: variable, path and error; None when none is set"
    )
    longest_name: int | None | Unknown = fact(
        "on Windows without long paths, where folders are long: length of the longest name of a label; None elsewhere"
    )
    preprocessed_drive: str | None | Unknown = fact(
        "on Windows: kind of its drive: fixed, remote, removable, optical, memory; None elsewhere"
    )
    results: str | None | Unknown = fact("value of nnUNet_results; None when unset")
    results_kind: str | None | Unknown = fact("what is there: folder, file, missing; None when unset")
    results_writable: bool | None | Unknown = fact("whether files can be made there; None when it is no folder")
    results_real: str | None | Unknown = fact("the folder with links resolved; None when unset")
    results_free_gib: float | None | Unknown = fact("free space there, or where it would be made; None when unset")
    results_filesystem: str | None | Unknown = fact("file system, such as ext4, nfs, 9p; None when unset or not known")
    results_parent: bool | None | Unknown = fact("whether the folder above it exists; None when unset")
    results_refusal: str | None | Unknown = fact(
        "why no file can be made there, such as 'EACCES: Permission denied'; None when one can, or when it is no folder"
    )
    results_cloud: str | None | Unknown = fact(
        "service that keeps the folder in step with a cloud, such as OneDrive; None when none is known to"
    )

    unset: tuple[Detail, ...] | Unknown = derived("variables that are unset or empty")
    missing: tuple[Detail, ...] | Unknown = derived(
        "folders that do not exist, and that nnU-Net needs or would make below another missing one: variable and path"
    )
    not_folders: tuple[Detail, ...] | Unknown = derived("paths that are a file: variable and path")
    not_writable: tuple[Detail, ...] | Unknown = derived(
        "folders that take no files although what is asked for is sure to write there: variable and path"
    )
    same: tuple[Detail, ...] | Unknown = derived("variables that lead to one folder: both variables and the path")
    awkward: tuple[Detail, ...] | Unknown = derived(
        "values with quotes or blanks at an end, ~, an unresolved variable, or a relative path: variable and value"
    )
    risky: tuple[Detail, ...] | Unknown = derived(
        "values with blanks or non-ASCII characters inside: variable and value"
    )
    full: tuple[Detail, ...] | Unknown = derived("places with no room for a checkpoint: variable and GiB free")
    nearly_full: tuple[Detail, ...] | Unknown = derived("places with too little free space: variable and GiB free")
    on_windows_drive: tuple[Detail, ...] | None | Unknown = derived(
        "inside WSL: folders on a Windows drive: variable and path; None outside WSL"
    )
    preprocessed_on_windows_drive: bool | None | Unknown = derived(
        "inside WSL2: whether the preprocessed data are among those; None outside WSL"
    )
    to_write: tuple[str, ...] | Unknown = derived(
        "folders that what is asked for is sure to write to: preprocessed, results"
    )
    read_only: tuple[Detail, ...] | Unknown = derived(
        "folders that take no files, while no training is named that would write there: variable and path"
    )
    over_quota: tuple[Detail, ...] | Unknown = derived(
        "folders that take no file because a quota or the number of files is used up: variable and error"
    )
    non_ascii: tuple[Detail, ...] | Unknown = derived("values with characters outside ASCII: variable and value")
    unencodable: tuple[Detail, ...] | Unknown = derived(
        "value of nnUNet_preprocessed, when nnU-Net cannot write it into its log: variable and value"
    )
    synced: tuple[Detail, ...] | Unknown = derived(
        "folders of preprocessed data or results that a service keeps in step with a cloud: variable and service"
    )
    on_network: bool | Unknown = derived(
        "whether the preprocessed data lie on the storage of another machine, parallel file systems left out"
    )
    lost_with_container: bool | Unknown = derived(
        "whether results are written to the container's own layer, which is removed with it"
    )
    longest: int | None | Unknown = derived(
        "length of the longest path that the training is sure to make; None when no training is named"
    )
    redirected: tuple[Detail, ...] | Unknown = derived(
        "folders that a Python of the Microsoft Store writes to in another place: variable and value"
    )
    disk_read_often: bool | None | Unknown = derived(
        "whether the preprocessed data lie on spinning plates and are more than memory can keep; None when the disk "
        "does not tell"
    )
