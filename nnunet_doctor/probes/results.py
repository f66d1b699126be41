"""What lies in nnUNet_results where a training would write, and what it would load from there."""

from __future__ import annotations

import itertools
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from nnunet_doctor.facts import Detail, Observed, Unknown
from nnunet_doctor.facts.trainers import is_plain
from nnunet_doctor.probes import checkpoint, network
from nnunet_doctor.request import Request

MOST_MISFITS = 5
"""Tensors that do not fit and are named; one is enough to stop nnU-Net."""


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


def is_validated(fold: Path) -> bool:
    """Say whether the final validation has come to its end, which is when it writes its summary."""
    return (fold / "validation" / "summary.json").is_file()


def loaded_by(request: Request, fold: Path) -> Path | None:
    """Return the checkpoint that a run would load first (run_training.maybe_load_checkpoint); None for none."""
    names = ("final", "latest", "best") if request.continues else ("final",) if request.validates else ()
    files = (fold / f"checkpoint_{name}.pth" for name in names)
    return next((path for path in files if path.is_file()), None)


def damaged(files: Collection[Path]) -> tuple[Detail, ...]:
    """List the checkpoints among some files that torch cannot open, with the reason."""
    found = ((path, checkpoint.fault_of(path)) for path in files)
    return tuple(Detail(str(path), fault) for path, fault in found if fault is not None)


def look_into(
    path: Path, expected: Mapping[str, tuple[int, ...]] | None, *, all_layers: bool
) -> tuple[Observed, Observed]:
    """List what keeps nnU-Net from putting the weights of a file into the network of the plans.

    Args:
        path: A checkpoint.
        expected: Shapes of the network's kernels by name; None where the network is not known.
        all_layers: Whether the segmentation layers have to fit too; pretrained weights do without
            (load_pretrained_weights).

    Returns:
        Names of tensors with their shape in the file and in the network, and whether the tensors were saved from an
        NVIDIA GPU; both unknown when the file cannot be read.
    """
    try:
        found = checkpoint.read(path)
    except checkpoint.UnreadableError as error:
        unknown = Unknown(f"{path}: {error}")
        return unknown, unknown
    if found.weights is None:
        return (Detail("network_weights", "missing"),), None
    # of a network that was trained on several GPUs and saved by other code (nnUNetTrainer.load_checkpoint)
    known = {name.removeprefix("module.") if all_layers else name: shape for name, shape in found.weights.items()}
    misfits = itertools.islice(_misfits(known, expected or {}, all_layers=all_layers), MOST_MISFITS)
    return tuple(misfits), any(device.startswith("cuda") for device in found.devices)


def _misfits(
    known: Mapping[str, tuple[int, ...]], expected: Mapping[str, tuple[int, ...]], *, all_layers: bool
) -> Iterator[Detail]:
    for name, shape in expected.items():
        if (all_layers or ".seg_layers." not in name) and known.get(name) != shape:
            yield Detail(name, f"{_words(known.get(name))} / {_words(shape)}")


def _words(shape: tuple[int, ...] | None) -> str:
    return "-" if shape is None else " x ".join(map(str, shape))


def expected_shapes(
    configuration: Mapping[str, Any], description: Mapping[str, Any], trainer: str
) -> dict[str, tuple[int, ...]] | None:
    """Return the shapes of the kernels of the network that a training builds; None where that is not known.

    Args:
        configuration: The configuration, with what it inherits.
        description: dataset.json beside the plans.
        trainer: Class of the trainer.
    """
    net = network.read(configuration)
    counted = channels_and_heads(configuration, description)
    if net is None or counted is None or not is_plain(trainer):
        return None
    return dict(network.shapes(net, *counted))


def channels_and_heads(configuration: Mapping[str, Any], description: Mapping[str, Any]) -> tuple[int, int] | None:
    """Count input channels and segmentation heads (label_handling.py: determine_num_input_channels, LabelManager)."""
    channels, labels = description.get("modality", description.get("channel_names")), description.get("labels")
    if not isinstance(channels, dict) or not isinstance(labels, dict):
        return None
    declared = [value for name, value in labels.items() if name != "ignore"]
    lists = [value if isinstance(value, list) else [value] for value in declared]
    if not all(type(value) is int for values in lists for value in values):
        return None
    values = {value for listed in lists for value in listed}
    regions = [listed for listed in lists if set(listed) != {0}]
    has_regions = any(isinstance(value, list) and len(value) > 1 for value in declared)
    inputs = len(channels) + (len(values - {0}) if configuration.get("previous_stage") is not None else 0)
    return inputs, len(regions) if has_regions else len(values)


# --- the cascade ---------------------------------------------------------------------------------------------------


def predicted_for(folder: Path, configuration: str) -> Path:
    """Return where a stage puts its predictions for the next one (nnUNetTrainer.perform_actual_validation)."""
    return folder / "predicted_next_stage" / configuration


def names_in(folder: Path) -> frozenset[str]:
    """List the names in a folder; one that is not there has none."""
    try:
        return frozenset(path.name for path in folder.iterdir())
    except FileNotFoundError:
        return frozenset()


def without_prediction(folder: Path, cases: Collection[str], stored: str) -> tuple[Detail, ...]:
    """List cases that a stage has not predicted for the next one.

    Cases of the next stage that are stored as b2nd want a b2nd, npz ones an npz or npy (nnunet_dataset.load_case).
    """
    endings = ("b2nd",) if stored == "b2nd" else ("npz", "npy")
    there = names_in(folder)
    return tuple(Detail(case) for case in sorted(cases) if not any(f"{case}.{ending}" in there for ending in endings))


# --- processes -----------------------------------------------------------------------------------------------------


def running(request: Request, id: int | None, results: Path) -> int | None:
    """Return the number of a process on this machine that trains into the same folder; None when there is none.

    Processes of other users, in other containers and on other machines are not seen.
    """
    import psutil

    for process in psutil.process_iter(["pid", "cmdline", "status"]):
        info = process.info
        if info["pid"] == os.getpid() or info["status"] == psutil.STATUS_ZOMBIE:
            continue
        if not is_same_training(info["cmdline"] or (), request, id):
            continue
        try:
            folder = process.environ().get("nnUNet_results")
        except (psutil.Error, OSError):
            continue
        if folder and os.path.realpath(folder) == os.path.realpath(results):
            number: int = info["pid"]
            return number
    return None


_STARTS = ("nnunetv2_train", "nnunetv2_train.exe", "run_training.py", "nnunetv2.run.run_training")
_WITH_VALUE = ("-tr", "-p", "-pretrained_weights", "-num_gpus", "-device")


def is_same_training(command: Collection[str], request: Request, id: int | None) -> bool:
    """Say whether a command line is nnUNetv2_train for the same dataset, configuration, fold, trainer and plans."""
    words = list(command)
    # a script comes behind its interpreter; other programs keep the words of what they have started long ago
    places = range(3) if words and _base(words[0]).startswith("python") else range(1)
    start = next((place for place in places if place < len(words) and _starts_training(words[place])), None)
    if start is None or "--val" in words:
        return False
    rest, options, positional = iter(words[start + 1 :]), {"-tr": "nnUNetTrainer", "-p": "nnUNetPlans"}, []
    for word in rest:
        name, equals, value = word.partition("=")
        if name in _WITH_VALUE:
            options[name] = value if equals else next(rest, "")
        elif not word.startswith("-"):
            positional.append(word)
    if len(positional) != 3:
        return False
    dataset, configuration, fold = positional
    number = int(dataset) if dataset.isdecimal() and len(dataset) < 10 else None
    same_dataset = number == id if number is not None else dataset == request.dataset or _id_of(dataset) == id
    wanted = (request.configuration, request.fold, request.trainer, request.plans)
    return same_dataset and (configuration, fold, options["-tr"], options["-p"]) == wanted


def _starts_training(word: str) -> bool:
    """Say whether a word is nnU-Net's script or module, or the line by which launch.py starts it without a script."""
    return _base(word) in _STARTS or word.startswith("from nnunetv2.run.run_training import ")


def _base(word: str) -> str:
    return word.replace("\\", "/").rpartition("/")[2].lower()


def _id_of(name: str) -> int | None:
    digits = name[len("Dataset") : len("Dataset") + 3]
    return int(digits) if name.startswith("Dataset") and digits.isdecimal() and len(digits) == 3 else None
