"""Facts about the dataset that the user names, its preprocessed data, and what a training of it would meet."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nnunet_doctor.facts import CATALOGUE, Detail, Observed, Unknown
from nnunet_doctor.probes.base import Context, Notes
from nnunet_doctor.probes.paths import FOLDERS
from nnunet_doctor.request import Request

if TYPE_CHECKING:
    from nnunet_doctor.probes.raw.survey import Survey

MOST_JSON_BYTES = 50 * 1024**2
"""A JSON file of nnU-Net is far smaller; a larger one is not read."""

MOST_LETTERS = 255
"""No file system takes a longer name."""

MOST_VOXELS = 2**31
"""A number over this, NaN or infinity is no size of an image and no count of cases."""

REQUIRED_KEYS = ("channel_names", "labels", "numTraining", "file_ending")
"""nnunetv2/experiment_planning/verify_dataset_integrity.py."""

_NAME = re.compile(r"Dataset(\d{3})_.+")


class NoSuchDatasetError(Exception):
    """What the user names as a dataset is neither an id, a name nor a folder; the message is for the user."""


@dataclass(frozen=True)
class Json:
    """A JSON file: its state (ok, missing, unreadable, invalid), what is wrong, and its content."""

    state: str
    error: str | None = None
    content: Any = None


def read_json(path: Path, kind: type = dict) -> Json:
    """Read a JSON file that should hold an object or a list; a hostile one is refused before it costs memory."""
    try:
        if not path.is_file():
            return Json("missing")
        if path.stat().st_size > MOST_JSON_BYTES:
            return Json("invalid", f"{path.name} has more than {MOST_JSON_BYTES // 1024**2} MB")
        raw = path.read_bytes()
        content = json.loads(raw.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        return Json("invalid", f"line {error.lineno}, column {error.colno}: {error.msg}")
    except UnicodeDecodeError as error:
        return Json("invalid", f"byte {error.start} is not UTF-8")
    except ValueError:  # Python's limit of digits
        return Json("invalid", "it holds a number that is too long to be read")
    except RecursionError:
        return Json("invalid", "it is nested too deeply")
    except OSError as error:
        return Json("unreadable", error.strerror or str(error))
    if not isinstance(content, kind):
        wanted = "an object" if kind is dict else f"a {kind.__name__}"
        return Json("invalid", f"it holds a {type(content).__name__} instead of {wanted}")
    if raw.startswith(codecs.BOM_UTF8):
        # json.load, which nnU-Net uses, refuses it
        return Json("invalid", "it begins with a byte order mark (BOM); save it as UTF-8 without one", content)
    return Json("ok", None, content)


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
    for area in ("dataset", "preprocessed"):
        for name, info in CATALOGUE.items():
            if name.startswith(f"{area}.") and not info.derived and name != "dataset.requested":
                notes.values[name], notes.sources[name] = None, absent
    notes.see(absent, training__folder=None, training__state=None)
    if requested is None:
        return notes
    bases = {folder: Path(value) for folder in FOLDERS if (value := context.environ.get(f"nnUNet_{folder}"))}
    found = _resolve(requested, bases, notes)
    if found is None:
        return notes
    plans: Mapping[str, Any] = {}
    if "preprocessed" in bases:
        plans = _preprocessed(bases["preprocessed"] / found, context.request, notes)
    if "results" in bases:
        _results(bases["results"], found, plans, context.request, notes)
    return notes


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
    from nnunet_doctor.probes.raw.survey import Means, survey_dataset, survey_images

    raw = context.raw
    means = Means(partial(_processors, context.environ), context.environ, caches=raw.caches, progress=raw.progress)
    if raw.predict_input is None:
        if not _is_surveyed(context, seen):
            return Notes()
        found = survey_dataset(str(seen["dataset.folder"]), raw.depth, means)
        return _survey_notes(found)
    if not Path(raw.predict_input).is_dir():
        raise NoSuchDatasetError(f"--predict-input {raw.predict_input} is not a folder")
    from nnunet_doctor.probes.raw import model

    known = model.find(raw.model or "", context.environ)
    if known is None:
        raise NoSuchDatasetError(f"--model {raw.model}: there is no dataset.json of a trained model or of a dataset")
    found = survey_images(raw.predict_input, raw.depth or "default", known.description, means)
    model.compare(found, known)
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
    notes.see(
        "folders in nnUNet_raw, nnUNet_preprocessed and nnUNet_results",
        dataset__resolution=resolution,
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
        dataset__file_ending=_typed(content.get("file_ending"), str),
        dataset__training_cases=_typed(content.get("numTraining"), int),
        dataset__channels=_size(content.get("channel_names")),
        dataset__labels=_size(content.get("labels")),
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


def _typed(value: Any, kind: type) -> Any:
    if type(value) is not kind or (isinstance(value, int) and abs(value) >= MOST_VOXELS):
        return None
    return value


def _size(value: Any) -> int | None:
    return len(value) if isinstance(value, (dict, list)) else None


# --- preprocessed data ---------------------------------------------------------------------------------------------


def _preprocessed(folder: Path, request: Request, notes: Notes) -> Mapping[str, Any]:
    """Note what is there, and return the content of the plans file."""
    plans = read_json(folder / f"{request.plans}.json")
    configurations = _configurations(plans)
    state = plans.state if plans.state in ("ok", "missing") else "invalid"
    if plans.state == "ok" and configurations is None:
        state, plans = "invalid", Json("invalid", "it holds no configurations")
    own_json = read_json(folder / "dataset.json")
    beside = own_json.content or {}
    splits, splits_error = _splits(folder)
    notes.see(
        "nnUNet_preprocessed",
        preprocessed__folder=str(folder),
        preprocessed__exists=folder.is_dir(),
        preprocessed__fingerprint=(folder / "dataset_fingerprint.json").is_file(),
        preprocessed__plans_state=state,
        preprocessed__plans_error=plans.error,
        preprocessed__plans_names=_plans_names(folder),
        preprocessed__configurations=tuple(configurations) if configurations else None,
        preprocessed__splits=splits,
        preprocessed__splits_error=splits_error,
        preprocessed__json_state=own_json.state,
        preprocessed__channels=_size(beside.get("channel_names")),
        preprocessed__labels=_size(beside.get("labels")),
    )
    if request.configuration and configurations and request.configuration in configurations:
        _configuration(folder, request, plans.content or {}, resolved(configurations, request.configuration), notes)
    return plans.content or {}


def _configurations(plans: Json) -> dict[str, dict[str, Any]] | None:
    found = (plans.content or {}).get("configurations")
    if not isinstance(found, dict):
        return None
    return {str(name): item for name, item in found.items() if isinstance(item, dict)}


def resolved(configurations: Mapping[str, Mapping[str, Any]], name: str) -> dict[str, Any]:
    """Return a configuration with what it inherits (PlansManager._internal_resolve_configuration_inheritance)."""
    found: dict[str, Any] = {}
    seen: set[str] = set()
    while name in configurations and name not in seen:
        seen.add(name)
        found = {**configurations[name], **found}
        name = str(configurations[name].get("inherits_from", ""))
    return found


def _plans_names(folder: Path) -> tuple[str, ...]:
    files = sorted(folder.glob("*.json")) if folder.is_dir() else []
    return tuple(path.stem for path in files if _configurations(read_json(path)) is not None)


def _splits(folder: Path) -> tuple[Observed, str | None]:
    """Return the number of folds, None without a file, and what is wrong with the file."""
    found = read_json(folder / "splits_final.json", list)
    if found.state == "missing":
        return None, None
    if found.state != "ok":
        return Unknown(f"splits_final.json: {found.error}"), found.error
    return len(found.content), None


def _configuration(
    folder: Path, request: Request, plans: Mapping[str, Any], configuration: Mapping[str, Any], notes: Notes
) -> None:
    identifier = configuration.get("data_identifier") or f"{request.plans}_{request.configuration}"
    data = folder / str(identifier)
    stored: Observed
    cases: Observed
    try:
        stored, cases = stored_cases(data)
    except OSError as error:
        stored = cases = Unknown(f"{data} cannot be looked at: {error.strerror}")
    notes.see(
        "plans file",
        preprocessed__patch_size=_whole_numbers(configuration.get("patch_size")),
        preprocessed__image_size=image_size(plans, configuration),
        preprocessed__batch_size=_typed(configuration.get("batch_size"), int),
        preprocessed__data_folder=str(data),
    )
    notes.see("folder of the configuration", preprocessed__data_format=stored, preprocessed__cases=cases)


def image_size(plans: Mapping[str, Any], configuration: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Return the median size of an image under a configuration, in voxels (z, y, x where the images are 3D).

    A 2D configuration knows the size of a slice only; the number of slices is that of the original images.
    """
    own = _rounded(configuration.get("median_image_size_in_voxels"))
    original = _rounded(plans.get("original_median_shape_after_transp"))
    if own is None or original is None or len(own) == len(original):
        return own
    return (original[0], *own)


def _rounded(value: Any) -> tuple[int, ...] | None:
    usable = _is_short_list(value) and all(type(item) in (int, float) and abs(item) < MOST_VOXELS for item in value)
    return tuple(max(1, round(item)) for item in value) if usable else None


def _whole_numbers(value: Any) -> tuple[int, ...] | None:
    usable = _is_short_list(value) and all(type(item) is int and 0 < item < MOST_VOXELS for item in value)
    return tuple(value) if usable else None


def _is_short_list(value: Any) -> bool:
    return isinstance(value, list) and 1 <= len(value) <= 4


def stored_cases(data: Path) -> tuple[str, int | None]:
    """Say how cases are stored, by the endings that nnU-Net itself goes by, and count them.

    nnU-Net ignores ``pkl`` and ``npy`` and takes any other ending for the format (nnunet_dataset.infer_dataset_class).
    """
    if not data.is_dir():
        return "missing", None
    names = [path.name for path in data.iterdir() if path.is_file()]
    endings = {name.rpartition(".")[2] for name in names} - {"pkl", "npy"}
    if not endings:
        return "empty", 0
    if len(endings) > 1 or not endings <= {"npz", "b2nd"}:
        return "mixed", None
    (ending,) = endings
    return ending, sum(name.endswith(f".{ending}") and not name.endswith(f"_seg.{ending}") for name in names)


# --- results -------------------------------------------------------------------------------------------------------


def _results(results: Path, dataset: str, plans: Mapping[str, Any], request: Request, notes: Notes) -> None:
    """Find the folder of the fold as nnU-Net does: by the names inside the plans file, not by those of the files.

    nnUNetTrainer.__init__ and PlansManager.plans_name, dataset_name: a copy of a plans file under another name leads
    into the folder of the original.
    """
    if request.configuration is None or request.fold is None:
        return
    dataset = str(plans.get("dataset_name") or dataset)
    name = str(plans.get("plans_name") or request.plans)
    fold = results / dataset / f"{request.trainer}__{name}__{request.configuration}" / f"fold_{request.fold}"
    notes.see("nnUNet_results", training__folder=str(fold), training__state=training_state(fold))


def training_state(fold: Path) -> str:
    """Say what lies in the folder of a fold: none, started, resumable or finished.

    ``checkpoint_final.pth`` is written at the end, ``_latest`` every 50 epochs and ``_best`` from the first one on
    (nnUNetTrainer.on_epoch_end, on_train_end); ``--c`` takes any of them (run_training.maybe_load_checkpoint).
    """
    if (fold / "checkpoint_final.pth").is_file():
        return "finished"
    if any((fold / f"checkpoint_{name}.pth").is_file() for name in ("latest", "best")):
        return "resumable"
    started = fold.is_dir() and any(path.name.startswith(("training_log", "debug.json")) for path in fold.iterdir())
    return "started" if started else "none"
