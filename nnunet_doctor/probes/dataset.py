"""Facts about the dataset that the user names, its preprocessed data, and what a training of it would meet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_doctor import contents
from nnunet_doctor.facts import CATALOGUE, Detail, Observed, Unknown
from nnunet_doctor.probes.base import Context, Notes
from nnunet_doctor.probes.jsonfile import read_json, size_of, typed
from nnunet_doctor.probes.paths import FOLDERS, why_not_listed

if TYPE_CHECKING:
    from nnunet_doctor.probes.raw.survey import Survey

MOST_LETTERS = 255
"""No file system takes a longer name."""

REQUIRED_KEYS = ("channel_names", "labels", "numTraining", "file_ending")
"""nnunetv2/experiment_planning/verify_dataset_integrity.py."""

_NAME = re.compile(r"Dataset(\d{3})_.+")

_OF_TRAINING = (
    "training__folder",
    "training__state",
    "training__validated",
    "training__running",
    "training__damaged_checkpoints",
    "training__weights_misfit",
    "training__weights_from_gpu",
    "training__stage_folder",
    "training__stage_lacking",
    "training__stage_linked",
    "training__stage_leftovers",
)


class NoSuchDatasetError(Exception):
    """What the user names as a dataset is neither an id, a name nor a folder; the message is for the user."""


def look(context: Context) -> Notes:
    """Note the facts of areas dataset and preprocessed, and the observed ones of training's folder.

    Raises:
        NoSuchDatasetError: The dataset is named in a way that nnU-Net cannot understand.
    """
    notes = Notes()
    requested = context.request.dataset
    weights = context.request.pretrained
    notes.see("file system", training__pretrained_found=None if weights is None else Path(weights).is_file())
    absent = "no dataset is named" if requested is None else "not found"
    of_others = ("dataset.requested", *contents.NAMES)
    for area in ("dataset", "preprocessed"):
        for name, info in CATALOGUE.items():
            if name.startswith(f"{area}.") and not info.derived and name not in of_others:
                notes.values[name], notes.sources[name] = None, absent
    notes.see(absent, **dict.fromkeys(_OF_TRAINING, None))
    if requested is None:
        return notes
    bases = {folder: Path(value) for folder in FOLDERS if (value := context.environ.get(f"nnUNet_{folder}"))}
    found = _resolve(requested, bases, notes)
    if found is None:
        return notes
    _prepared(context, bases, found, notes)
    return notes


def _prepared(context: Context, bases: Mapping[str, Path], name: str, notes: Notes) -> None:
    """Note what is preprocessed, and what earlier trainings left; a folder that cannot be read costs its own facts."""
    from nnunet_doctor.probes import preprocessed

    raw = notes.values.get("dataset.folder")
    place = preprocessed.Place(
        bases.get("preprocessed"), bases.get("results"), name, _id_of(name), Path(raw) if isinstance(raw, str) else None
    )
    content: Mapping[str, Any] = {}
    try:
        content = preprocessed.look(place, context.request, notes, deep=context.deep)
    except OSError as error:
        notes.see("nnUNet_preprocessed", preprocessed__plans_state=_unreadable(error))
    try:
        preprocessed.look_at_results(place, content, context.request, notes)
        preprocessed.look_at_weights(place, content, context.request, notes)
    except OSError as error:
        notes.see("nnUNet_results", training__state=_unreadable(error))


def _unreadable(error: OSError) -> Unknown:
    return Unknown(f"{error.filename} cannot be read: {error.strerror}")


# --- the files of the raw dataset ----------------------------------------------------------------------------------


def survey(context: Context, seen: Mapping[str, Observed]) -> Notes:
    """Note what a survey of the raw dataset, or of images to predict, finds; see :mod:`nnunet_doctor.probes.raw`.

    It takes as long as it takes, and is stopped by the user only; so it is not one of the probes that ``look`` starts.

    Args:
        context: Where to look, and how deep.
        seen: What :func:`look` noted.

    Raises:
        NoSuchDatasetError: The folder of images to predict, or the model that they are for, does not exist.
    """
    raw = context.raw
    if raw.predict_input is None and not _is_surveyed(context, seen):
        return Notes()
    from nnunet_doctor.probes.raw.survey import Means, survey_dataset, survey_images

    means = Means(partial(_processors, context.environ), context.environ, caches=raw.caches, progress=raw.progress)
    if raw.predict_input is None:
        found = survey_dataset(str(seen["dataset.folder"]), raw.depth, means)
        if raw.keep is not None:
            raw.keep(found)
        return _survey_notes(found)
    if not Path(raw.predict_input).is_dir():
        raise NoSuchDatasetError(f"--predict-input {raw.predict_input} is not a folder")
    from nnunet_doctor.probes.raw import model

    known = model.find(raw.model or "", context.environ)
    if known is None:
        raise NoSuchDatasetError(f"--model {raw.model}: there is no dataset.json of a trained model or of a dataset")
    found = survey_images(raw.predict_input, raw.depth or "default", known.description, means)
    model.compare(found, known)
    if raw.keep is not None:
        raw.keep(found)
    notes = _survey_notes(found)
    notes.see("command line", dataset__predict_input=raw.predict_input, dataset__model=raw.model)
    return notes


def _is_surveyed(context: Context, seen: Mapping[str, Observed]) -> bool:
    """A training whose preprocessed data are there does not read the raw ones; another layout is to be converted."""
    planned = context.request.configuration is not None
    is_ready = seen.get("preprocessed.plans_state") == "ok" and seen.get("preprocessed.data_format") in ("npz", "b2nd")
    return (
        seen.get("dataset.resolution") == "found"
        and isinstance(seen.get("dataset.folder"), str)
        and seen.get("dataset.layout") not in ("decathlon", "nnunet-v1")
        and not (planned and is_ready)
    )


def _processors(environ: Mapping[str, str]) -> int:
    from nnunet_doctor.probes.resources import granted_cpus

    return granted_cpus(environ)[0]


_NOT_OF_SURVEY = ("dataset.matches", "dataset.near_misses", "dataset.json_missing_keys")
FAULTS = {
    name.removeprefix("dataset.").replace("_", "-"): name
    for name, info in CATALOGUE.items()
    if name.startswith("dataset.") and info.is_list_of_details and not info.derived and name not in _NOT_OF_SURVEY
}
"""The facts that a survey fills, by the id of the check that asks each."""


def _survey_notes(found: Survey) -> Notes:
    from nnunet_doctor.probes.raw.survey import ABOUT_FILES

    notes = Notes()
    for id, name in FAULTS.items():
        details = tuple(Detail(subject, message) for subject, message in found.found.get(id, ()))
        if not details and id in found.undecided:
            notes.see("survey", **{name.replace(".", "__"): Unknown(found.undecided[id])})
        elif details or found.depth is not None or id not in ABOUT_FILES:
            notes.see("survey", **{name.replace(".", "__"): details})
    notes.see(
        "survey",
        dataset__surveyed=found.depth,
        dataset__survey_interrupted=not found.is_complete,
        dataset__reader=found.reader,
        dataset__cases=len(found.cases),
        dataset__files=len(found.reports),
        dataset__decoded_gib=round(found.decoded / 1024**3, 3),
    )
    described = found.description
    if described.channels is not None:
        notes.see("dataset.json, repaired where need be", dataset__channels=len(described.channels))
    if described.labels is not None:
        count = len(described.labels) + (described.ignore is not None)
        notes.see("dataset.json, repaired where need be", dataset__labels=count)
    return notes


# --- resolving -----------------------------------------------------------------------------------------------------


def _resolve(requested: str, bases: Mapping[str, Path], notes: Notes) -> str | None:
    """Find the dataset as nnU-Net does (utilities/dataset_name_id_conversion.py); folders are the doctor's addition."""
    folder = Path(requested)
    raw: Path | None = None
    id: int | None
    if not requested or any(len(part) > MOST_LETTERS for part in folder.parts):
        raise _no_dataset(requested)
    if requested.isdecimal():
        id, names = int(requested), _named_like(f"Dataset{int(requested):03d}", bases)
    elif _is_name(requested) and any((base / requested).is_dir() for base in bases.values()):
        id, names = _id_of(requested), [requested]
    elif folder.is_dir():
        raw = folder.resolve()
        id, names = _id_of(raw.name), [raw.name]
    elif _is_name(requested):
        id, names = _id_of(requested), []
    else:
        raise _no_dataset(requested)
    resolution = "found" if len(names) == 1 else "ambiguous" if names else "absent"
    closed = {folder: error for folder, base in bases.items() if (error := why_not_listed(base)) is not None}
    unlisted = ", ".join(f"nnUNet_{folder} cannot be listed: {error}" for folder, error in closed.items())
    notes.see(
        "folders in nnUNet_raw, nnUNet_preprocessed and nnUNet_results",
        dataset__resolution=Unknown(unlisted) if closed and resolution == "absent" else resolution,
        dataset__id=id,
        dataset__name=names[0] if resolution == "found" else None,
        dataset__matches=tuple(Detail(name, _where(name, bases)) for name in names),
    )
    if resolution == "found":
        _raw(raw or (bases["raw"] / names[0] if "raw" in bases else None), notes)
        notes.see("folders", dataset__near_misses=())
        return names[0]
    near = _near_misses(requested, id, bases) if resolution == "absent" else []
    present = sorted(
        {path.name for base in bases.values() for path in subfolders(base) if path.name.startswith("Dataset")}
    )
    notes.see(
        "folders",
        dataset__near_misses=tuple(Detail(path.name, str(path.parent)) for path in near),
        dataset__present=tuple(present),
    )
    convertible = [path for path in near if layout_of(path) in ("decathlon", "nnunet-v1")]
    if len(convertible) == 1:
        _raw(convertible[0], notes)
    return None


def _is_name(requested: str) -> bool:
    return requested.startswith("Dataset") and "/" not in requested and "\\" not in requested


def _no_dataset(requested: str) -> NoSuchDatasetError:
    return NoSuchDatasetError(
        f"{requested[:MOST_LETTERS]!r} is no dataset: "
        "give its id (10), its name (Dataset010_Colon) or a folder that exists"
    )


def _named_like(prefix: str, bases: Mapping[str, Path]) -> list[str]:
    """nnU-Net compares prefixes only, so Dataset010 also finds Dataset0101_X (find_candidate_datasets)."""
    return sorted({path.name for base in bases.values() for path in subfolders(base) if path.name.startswith(prefix)})


def subfolders(folder: Path) -> list[Path]:
    """List the folders in a folder by name; one that cannot be read has none."""
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:
        return []


def _id_of(name: str) -> int | None:
    match = _NAME.fullmatch(name)
    return int(match.group(1)) if match else None


def _where(name: str, bases: Mapping[str, Path]) -> str:
    return ", ".join(f"nnUNet_{folder}" for folder, base in bases.items() if (base / name).is_dir())


def _near_misses(requested: str, id: int | None, bases: Mapping[str, Path]) -> list[Path]:
    """Find folders that the user may mean: the same number in another form, another case, or one level too deep."""
    wanted = re.sub(r"^Dataset\d*_", "", requested).lower()
    found: dict[str, Path] = {}
    for base in bases.values():
        for path in [*subfolders(base), *(deeper for folder in subfolders(base) for deeper in subfolders(folder))]:
            number = re.match(r"(?:dataset|task)_?0*(\d+)(?=_|$)", path.name, re.IGNORECASE)
            same_id = id is not None and number is not None and int(number.group(1)) == id
            same_name = not requested.isdecimal() and re.sub(r"^\w*?\d*_", "", path.name).lower() == wanted
            if same_id or same_name:
                found.setdefault(path.name, path)
    return list(found.values())


# --- the raw dataset -----------------------------------------------------------------------------------------------


def _raw(folder: Path | None, notes: Notes) -> None:
    if folder is None or not folder.is_dir():
        return
    found = read_json(folder / "dataset.json")
    content = found.content or {}
    notes.see("nnUNet_raw", dataset__folder=str(folder))
    notes.see(
        "dataset.json",
        dataset__json_state=found.state,
        dataset__json_error=found.error,
        dataset__layout=layout_of(folder),
        dataset__json_missing_keys=tuple(Detail(key) for key in REQUIRED_KEYS if key not in content)
        if found.content is not None
        else (),
        dataset__file_ending=typed(content.get("file_ending"), str),
        dataset__training_cases=typed(content.get("numTraining"), int),
        dataset__channels=size_of(content.get("channel_names")),
        dataset__labels=size_of(content.get("labels")),
    )


def layout_of(folder: Path) -> str | None:
    """Tell nnU-Net v2 from v1 and the Decathlon, which both write ``modality`` instead of ``channel_names``.

    The Decathlon keeps all channels in one file, so that its images carry no channel number; those of v1 do.
    """
    content = read_json(folder / "dataset.json").content
    if content is None:
        return None
    if "channel_names" in content or "modality" not in content:
        return "nnunet"
    images = folder / "imagesTr"
    names = (path.name for path in images.iterdir()) if images.is_dir() else iter(())
    first = next((name for name in names if not name.startswith(".")), "")
    return "nnunet-v1" if re.search(r"_\d{4}\.", first) else "decathlon"
