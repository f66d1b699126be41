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
    preprocessed: str | None | Unknown = fact("value of nnUNet_preprocessed; None when unset")
    preprocessed_kind: str | None | Unknown = fact("what is there: folder, file, missing; None when unset")
    preprocessed_writable: bool | None | Unknown = fact("whether files can be made there; None when it is no folder")
    preprocessed_real: str | None | Unknown = fact("the folder with links resolved; None when unset")
    preprocessed_free_gib: float | None | Unknown = fact("free space there, or where it would be made; None when unset")
    preprocessed_filesystem: str | None | Unknown = fact(
        "file system, such as ext4, nfs, 9p; None when unset or not known"
    )
    results: str | None | Unknown = fact("value of nnUNet_results; None when unset")
    results_kind: str | None | Unknown = fact("what is there: folder, file, missing; None when unset")
    results_writable: bool | None | Unknown = fact("whether files can be made there; None when it is no folder")
    results_real: str | None | Unknown = fact("the folder with links resolved; None when unset")
    results_free_gib: float | None | Unknown = fact("free space there, or where it would be made; None when unset")
    results_filesystem: str | None | Unknown = fact("file system, such as ext4, nfs, 9p; None when unset or not known")

    unset: tuple[Detail, ...] | Unknown = derived("variables that are unset or empty")
    missing: tuple[Detail, ...] | Unknown = derived("folders that do not exist: variable and path")
    not_folders: tuple[Detail, ...] | Unknown = derived("paths that are a file: variable and path")
    not_writable: tuple[Detail, ...] | Unknown = derived(
        "folders of preprocessed data or results that cannot be written to"
    )
    same: tuple[Detail, ...] | Unknown = derived("variables that lead to one folder: both variables and the path")
    awkward: tuple[Detail, ...] | Unknown = derived(
        "values with quotes, blanks at an end, a tilde, or a relative path: variable and value"
    )
    risky: tuple[Detail, ...] | Unknown = derived(
        "values with blanks or non-ASCII characters inside: variable and value"
    )
    full: tuple[Detail, ...] | Unknown = derived("places with no room for a checkpoint: variable and GiB free")
    nearly_full: tuple[Detail, ...] | Unknown = derived("places with too little free space: variable and GiB free")
    on_windows_drive: tuple[Detail, ...] | None | Unknown = derived(
        "inside WSL: folders on a Windows drive: variable and path; None outside WSL"
    )
