"""Facts about what planning and preprocessing left for a dataset, and about earlier results of the training."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_doctor.facts import Detail, Observed, Unknown
from nnunet_doctor.probes import network, plans, results, splits, stored
from nnunet_doctor.probes.base import Notes
from nnunet_doctor.probes.jsonfile import Json, read_json, size_of, typed, whole_numbers
from nnunet_doctor.request import Request


@dataclass(frozen=True)
class Place:
    """Where to look.

    Attributes:
        preprocessed: nnUNet_preprocessed; None when it is unset.
        results: nnUNet_results; None when it is unset.
        dataset: Name of the dataset.
        id: Its number; None when its name holds none.
        raw: Folder of the raw dataset; None when there is none.
    """

    preprocessed: Path | None
    results: Path | None
    dataset: str
    id: int | None
    raw: Path | None

    @property
    def folder(self) -> Path:
        """Folder of the dataset, from which plans and dataset.json are read; of the working folder when unset."""
        return (self.preprocessed or Path()) / self.dataset


@dataclass(frozen=True)
class Planned:
    """A configuration that the plans hold, and all that it is looked at with.

    Attributes:
        place: Where to look.
        request: What the user means to do.
        plans: Content of the plans file.
        configurations: Its configurations.
        configuration: The wanted one, with what it inherits.
        description: Content of dataset.json beside the plans.
        folder: Folder of the dataset that the plans name, from which cases and splits are read.
    """

    place: Place
    request: Request
    plans: Mapping[str, Any]
    configurations: Mapping[str, Mapping[str, Any]]
    configuration: Mapping[str, Any]
    description: Mapping[str, Any]
    folder: Path

    def cases_of(self, name: str) -> Path:
        """Return the folder with the cases of a configuration (nnUNetTrainer.__init__, data_identifier)."""
        identifier = plans.resolved(self.configurations, name).get("data_identifier")
        return self.folder / str(identifier or f"{self.request.plans}_{name}")


def look(place: Place, request: Request, notes: Notes, *, deep: bool = False) -> Mapping[str, Any]:
    """Note what is there, and return the content of the plans file.

    Raises:
        OSError: A folder cannot be read.
    """
    if place.preprocessed is None:
        return {}
    folder = place.folder
    file = read_json(folder / f"{request.plans}.json")
    configurations = plans.configurations(file)
    state = file.state if file.state in ("ok", "missing") else "invalid"
    if file.state == "ok" and configurations is None:
        state, file = "invalid", Json("invalid", "it holds no configurations")
    content: Mapping[str, Any] = file.content or {}
    own_json = read_json(folder / "dataset.json")
    beside = own_json.content or {}
    fingerprint = read_json(folder / "dataset_fingerprint.json")
    meant = _folder_that_is_meant(place, content)
    split_file = read_json(meant / "splits_final.json", list)
    readable = split_file.state == "ok"
    notes.see(
        "nnUNet_preprocessed",
        preprocessed__folder=str(folder),
        preprocessed__exists=folder.is_dir(),
        preprocessed__fingerprint=(meant / "dataset_fingerprint.json").is_file(),
        preprocessed__fingerprint_error=fingerprint.error if fingerprint.state == "invalid" else None,
        preprocessed__fingerprint_cases=size_of((fingerprint.content or {}).get("spacings")),
        preprocessed__plans_state=state,
        preprocessed__plans_error=file.error,
        preprocessed__plans_names=plans.names(folder),
        preprocessed__plans_name=typed(content.get("plans_name"), str),
        preprocessed__other_dataset=None if meant == folder else meant.name,
        preprocessed__configurations=tuple(configurations) if configurations else None,
        preprocessed__splits=_count(split_file),
        preprocessed__splits_error=None if readable else split_file.error,
        preprocessed__json_state=own_json.state,
        preprocessed__channels=size_of(beside.get("channel_names")),
        preprocessed__labels=size_of(beside.get("labels")),
    )
    if place.raw is not None and own_json.state == "ok":
        raw_json = read_json(place.raw / "dataset.json").content or {}
        notes.see("both files dataset.json", preprocessed__json_changed=changed(raw_json, beside))
    if not request.configuration or not configurations or request.configuration not in configurations:
        return content
    configuration = plans.resolved(configurations, request.configuration)
    planned = Planned(place, request, content, configurations, configuration, beside, meant)
    _plan(planned, fingerprint.content or {}, notes)
    try:
        _cases(planned, split_file.content if readable else None, notes, deep=deep)
    except OSError as error:
        unknown: Observed = Unknown(f"{error.filename} cannot be read: {error.strerror}")
        notes.see(
            "folder of the configuration", **{name: unknown for name in _OF_CASES if notes.values[_fact(name)] is None}
        )
    return content


_OF_CASES = (
    "preprocessed__data_format",
    "preprocessed__cases",
    "preprocessed__incomplete",
    "preprocessed__damaged",
    "preprocessed__split_lacking",
    "preprocessed__not_stored",
    "preprocessed__truth_lacking",
)


def _fact(name: str) -> str:
    return name.replace("__", ".", 1)


def _folder_that_is_meant(place: Place, content: Mapping[str, Any]) -> Path:
    """Return the folder of the dataset that the plans name; cases, splits and results go by it, not by the command.

    nnUNetTrainer.__init__, PlansManager.dataset_name. One folder under two names is one.
    """
    name = typed(content.get("dataset_name"), str)
    other = place.folder.with_name(name) if name and Path(name).name == name else place.folder
    try:
        return place.folder if other.samefile(place.folder) else other
    except OSError:
        return other


def _count(file: Json) -> Observed:
    """Return the number of folds; None without a file."""
    if file.state == "missing":
        return None
    return len(file.content) if file.state == "ok" else Unknown(f"splits_final.json: {file.error}")


def changed(raw: Mapping[str, Any], beside: Mapping[str, Any]) -> tuple[Detail, ...]:
    """List what differs between the raw dataset.json and its copy, as far as it changes a training.

    Names of labels change nothing; their values do, and names of channels that select another normalisation.
    """
    keys = [key for key in ("labels", "channel_names", "regions_class_order", "file_ending") if key in raw]
    pairs = [(key, _what_counts(key, raw[key]), _what_counts(key, beside[key])) for key in keys if key in beside]
    return tuple(Detail(key, f"{_short(ours)} / {_short(theirs)}") for key, ours, theirs in pairs if ours != theirs)


_NORMALISED_BY_NAME = ("ct", "nonorm", "zscore", "rescale_to_0_1", "rgb_to_0_1")
"""map_channel_name_to_normalization.py; any other name means zscore."""


def _what_counts(key: str, value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    words = sorted(map(str, value.values())) if key == "labels" else [str(name).casefold() for name in value.values()]
    return words if key == "labels" else [word if word in _NORMALISED_BY_NAME else "zscore" for word in words]


def _short(value: Any) -> str:
    words = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return words if len(words) <= 60 else f"{words[:60]}..."


# --- the wanted configuration --------------------------------------------------------------------------------------


def _plan(planned: Planned, fingerprint: Mapping[str, Any], notes: Notes) -> None:
    configuration, wanted = planned.configuration, str(planned.request.configuration)
    net = network.read(configuration)
    counted = results.channels_and_heads(configuration, planned.description)
    patch = whole_numbers(configuration.get("patch_size"))
    maps = None
    if net is not None and counted is not None and patch is not None and len(patch) == len(net.strides[0]):
        maps = network.feature_maps(net, patch, counted[1])
    previous = configuration.get("previous_stage")
    voxels = plans.resampled_voxels(planned.plans, configuration, fingerprint)
    notes.see(
        "plans file",
        preprocessed__patch_size=patch,
        preprocessed__image_size=plans.image_size(planned.plans, configuration),
        preprocessed__batch_size=typed(configuration.get("batch_size"), int),
        preprocessed__data_folder=str(planned.cases_of(wanted)),
        preprocessed__plans_kind=plans.kind(configuration),
        preprocessed__network=network.class_of(configuration),
        preprocessed__names=plans.names_of_code(planned.plans, configuration),
        preprocessed__downsampling=net.downsampling if net is not None else None,
        preprocessed__feature_maps=maps,
        preprocessed__parameters=network.parameters(net, *counted) if net is not None and counted else None,
        preprocessed__configuration_faults=plans.faults(
            planned.plans, planned.configurations, wanted, planned.request.trainer
        ),
        preprocessed__previous_stage=previous if isinstance(previous, str) else None,
    )
    notes.see(
        "dataset_fingerprint.json and plans file",
        preprocessed__largest_voxels=max(voxels) if voxels else None,
        preprocessed__all_voxels=sum(voxels) if voxels else None,
    )


def _cases(planned: Planned, split_list: Sequence[Any] | None, notes: Notes, *, deep: bool) -> None:
    """Note the stored cases, the folds, and what both miss of each other.

    Raises:
        OSError: A folder cannot be read.
    """
    folder = planned.cases_of(str(planned.request.configuration))
    fold = planned.request.fold
    found = stored.look(folder, every=deep)
    notes.see(
        "folder of the configuration",
        preprocessed__data_format=found.format,
        preprocessed__cases=len(found.cases) if found.cases is not None else None,
        preprocessed__strangers=found.strangers,
        preprocessed__packed=found.packed,
    )
    known = None if split_list is None or fold == "all" else splits.read(split_list, fold)
    _folds(known, found.cases, planned.request, notes)
    if not found.cases:
        return
    only_val = planned.request.validates
    named = None if known is None else known.used(only_val=only_val)
    # without a file, and beyond its folds, any case may be drawn
    opened = set(named) if named else set(found.cases)
    notes.see(
        "folder of the configuration",
        preprocessed__incomplete=_of_cases(found.incomplete, opened),
        preprocessed__damaged=_of_cases(found.damaged, opened),
    )
    validated = None if known is None or known.faults else [case for item in known.wanted for case in item.val]
    _truth(planned, found.cases, validated, notes)
    if planned.place.raw is not None and planned.folder == planned.place.folder:
        _raw(planned, planned.place.raw, found.cases, notes)
    _stages(planned, found, opened, validated if fold is not None else None, notes)


def _of_cases(found: Mapping[str, str], cases: Collection[str]) -> tuple[Detail, ...]:
    return tuple(Detail(case, words) for case, words in sorted(found.items()) if case in cases)


def _folds(known: splits.Splits | None, cases: Collection[str] | None, request: Request, notes: Notes) -> None:
    if known is None:
        return
    notes.see(
        "splits_final.json",
        preprocessed__split_faults=known.faults,
        preprocessed__split_overlap=splits.overlapping(known),
        preprocessed__split_repeated=splits.repeated(known),
    )
    if cases:
        notes.see(
            "splits_final.json and folder of the configuration",
            preprocessed__split_lacking=splits.lacking(known, cases, only_val=request.validates),
            preprocessed__split_unused=splits.unused(known, cases),
        )


def _truth(planned: Planned, cases: Collection[str], validated: Sequence[str] | None, notes: Notes) -> None:
    """Note cases whose true segmentation the final validation misses (nnUNetTrainer.perform_actual_validation)."""
    ending = planned.description.get("file_ending")
    if not isinstance(ending, str):
        return
    folder = planned.folder / "gt_segmentations"
    there = results.names_in(folder)
    missing = sorted(case for case in set(validated or cases) if f"{case}{ending}" not in there)
    # without a split it is not known which of them this fold would validate with
    certain = validated or planned.request.fold == "all" or len(missing) == len(cases)
    notes.see(
        "folder gt_segmentations",
        preprocessed__truth_lacking=tuple(Detail(f"{case}{ending}") for case in missing) if certain else (),
    )


def _raw(planned: Planned, raw: Path, cases: Collection[str], notes: Notes) -> None:
    """Note cases that are in the raw dataset or among the stored ones only, and labels that were changed since."""
    labels = raw_labels(raw)
    if not labels:
        return
    ours, there = set(cases), set(labels)
    notes.see(
        "raw dataset and folder of the configuration",
        preprocessed__not_stored=tuple(Detail(case) for case in sorted(there - ours)),
        preprocessed__not_raw=tuple(Detail(case) for case in sorted(ours - there)) if ours & there else (),
    )
    ending = str(planned.description.get("file_ending"))
    truth = planned.folder / "gt_segmentations"
    changed_labels = [case for case in sorted(ours & there) if _differ(labels[case], truth / f"{case}{ending}")]
    notes.see(
        "labelsTr and folder gt_segmentations",
        preprocessed__labels_changed=tuple(Detail(labels[case].name) for case in changed_labels),
    )


def _differ(label: Path, copy: Path) -> bool:
    """Say whether a label and the copy that preprocessing made of it differ in size, which copying never changes."""
    try:
        return label.stat().st_size != copy.stat().st_size
    except OSError:
        return False


def raw_labels(folder: Path) -> dict[str, Path]:
    """Return the label file of each case of a raw dataset, as nnU-Net takes them from names and dataset.json.

    utilities/utils.py: get_filenames_of_train_images_and_targets.
    """
    content = read_json(folder / "dataset.json").content or {}
    listed, ending = content.get("dataset"), content.get("file_ending")
    if isinstance(listed, dict):
        given = {str(case): item.get("label") for case, item in listed.items() if isinstance(item, dict)}
        return {case: folder / path for case, path in given.items() if isinstance(path, str)}
    if not isinstance(ending, str) or not ending:
        return {}
    cut = len(ending) + len("_0000")
    names = results.names_in(folder / "imagesTr")
    cases = {name[:-cut] for name in names if name.endswith(ending) and len(name) > cut and not name.startswith(".")}
    return {case: folder / "labelsTr" / f"{case}{ending}" for case in cases}


def _stages(
    planned: Planned, found: stored.Stored, opened: Collection[str], validated: Sequence[str] | None, notes: Notes
) -> None:
    """Note what a cascade lacks: predictions of the stage before, and cases of the stage after."""
    wanted, model = str(planned.request.configuration), _model_of(planned.place, planned.plans, planned.request)
    next_stages = _next_stages(planned.configuration)
    following = [name for name in next_stages if name in planned.configurations]
    lacking = [(name, planned.cases_of(name)) for name in following]
    notes.see(
        "plans file and folders of the configurations",
        preprocessed__next_lacking=tuple(
            Detail(name, str(folder))
            for name, folder in lacking
            if not any(file.endswith((".npz", ".b2nd")) for file in results.names_in(folder))
        ),
    )
    previous = planned.configuration.get("previous_stage")
    if model is None:
        return
    if isinstance(previous, str) and found.format in stored.FORMATS:
        before = plans.resolved(planned.configurations, previous)
        folder = results.predicted_for(model(previous), wanted)
        notes.see(
            "nnUNet_results",
            training__stage_folder=str(folder),
            training__stage_lacking=results.without_prediction(folder, opened, found.format),
            training__stage_linked=wanted in _next_stages(before),
        )
    if validated is not None and following:
        left = [
            Detail(f"{name}/{case}.b2nd")
            for name in following
            for there in [results.names_in(results.predicted_for(model(wanted), name))]
            for case in sorted(set(validated))
            if f"{case}.b2nd" in there
        ]
        notes.see("nnUNet_results", training__stage_leftovers=tuple(left))


def _next_stages(configuration: Mapping[str, Any]) -> list[str]:
    """Return the next stages of a configuration (ConfigurationManager.next_stage_names)."""
    given = configuration.get("next_stage")
    return [given] if isinstance(given, str) else [str(name) for name in given] if isinstance(given, list) else []


# --- results -------------------------------------------------------------------------------------------------------


def _model_of(place: Place, content: Mapping[str, Any], request: Request) -> Callable[[str], Path] | None:
    """Return a function from a configuration to the folder of its model; None without nnUNet_results.

    By the names inside the plans file, not by those of the files (nnUNetTrainer.__init__): a copy of a plans file under
    another name leads into the folder of the original.
    """
    if place.results is None:
        return None
    dataset = str(content.get("dataset_name") or place.dataset)
    name = str(content.get("plans_name") or request.plans)
    base = place.results / dataset
    return lambda configuration: base / f"{request.trainer}__{name}__{configuration}"


def look_at_results(place: Place, content: Mapping[str, Any], request: Request, notes: Notes) -> None:
    """Note what lies in the folder of the fold, and what the run would load from there."""
    model = _model_of(place, content, request)
    if model is None or place.results is None or request.configuration is None or request.fold is None:
        return
    fold = model(request.configuration) / f"fold_{request.fold}"
    # noted first: it is known too of a folder that cannot be looked into
    notes.see("nnUNet_results", training__folder=str(fold))
    notes.see(
        "nnUNet_results",
        training__state=results.training_state(fold),
        training__validated=results.is_validated(fold),
    )
    notes.see(
        "processes of this user",
        training__running=None if request.validates else results.running(request, place.id, place.results),
    )


def look_at_weights(place: Place, content: Mapping[str, Any], request: Request, notes: Notes) -> None:
    """Note what is wrong with the checkpoint, or the pretrained weights, that the run would load."""
    configurations = plans.configurations(Json("ok", None, content)) or {}
    wanted = str(request.configuration)
    expected = None
    if wanted in configurations:
        description = read_json(place.folder / "dataset.json").content or {}
        configuration = plans.resolved(configurations, wanted)
        expected = results.expected_shapes(configuration, description, request.trainer)
    model = _model_of(place, content, request)
    loaded = results.loaded_by(request, model(wanted) / f"fold_{request.fold}") if model and request.fold else None
    pretrained = None if request.pretrained is None else Path(request.pretrained)
    files = [path for path in (loaded, pretrained) if path is not None and path.is_file()]
    if not files:
        return
    damaged = results.damaged(files)
    notes.see("file system", training__damaged_checkpoints=damaged)
    if not damaged:
        misfits, from_gpu = results.look_into(files[0], expected, all_layers=files[0] == loaded)
        notes.see("checkpoint and plans file", training__weights_misfit=misfits, training__weights_from_gpu=from_gpu)
