"""Facts about the dataset that the user names."""

from __future__ import annotations

from dataclasses import dataclass

from nnunet_doctor.facts.base import Detail, Unknown, derived, fact


@dataclass(frozen=True, kw_only=True, repr=False)
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

    named: bool | Unknown = derived("whether the user names a dataset")
    raw_matters: bool | Unknown = derived(
        "whether faults of the raw dataset matter: not to a training whose preprocessed data are there"
    )
    ambiguous: tuple[Detail, ...] | None | Unknown = derived(
        "the folders that share the id; None when it is not ambiguous"
    )
    convert_argument: str | None | Unknown = derived("folder to hand to nnU-Net's conversion command; None without one")
