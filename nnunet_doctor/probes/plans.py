"""A plans file: its configurations with what they inherit, and what in them nnU-Net could not use."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnunet_doctor.facts import Detail
from nnunet_doctor.facts.trainers import is_plain
from nnunet_doctor.probes.jsonfile import Json, numbers, read_json, whole_numbers

GENERAL_KEYS = ("dataset_name", "plans_name", "image_reader_writer", "transpose_forward", "transpose_backward")
"""What PlansManager reads beside the configurations, in a training or in its final validation."""

KEYS = ("data_identifier", "patch_size", "batch_size", "spacing")
"""What ConfigurationManager reads whatever the trainer is."""

KEYS_OF_TRAINER = ("batch_dice", "use_mask_for_norm")
"""What nnUNetTrainer and its variants read too (_build_loss, get_dataloaders)."""


def configurations(plans: Json) -> dict[str, dict[str, Any]] | None:
    """Return the configurations of a plans file; None when it holds none."""
    found = (plans.content or {}).get("configurations")
    if not isinstance(found, dict):
        return None
    return {str(name): item for name, item in found.items() if isinstance(item, dict)}


def resolved(found: Mapping[str, Mapping[str, Any]], name: str) -> dict[str, Any]:
    """Return a configuration with what it inherits (PlansManager._internal_resolve_configuration_inheritance)."""
    configuration: dict[str, Any] = {}
    seen: set[str] = set()
    while name in found and name not in seen:
        seen.add(name)
        configuration = {**found[name], **configuration}
        name = str(found[name].get("inherits_from", ""))
    return configuration


def names(folder: Path) -> tuple[str, ...]:
    """List the plans files of a folder, without their ending."""
    files = sorted(folder.glob("*.json")) if folder.is_dir() else []
    return tuple(path.stem for path in files if configurations(read_json(path)) is not None)


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
    found = numbers(value, least=-1.0)
    return None if found is None else tuple(max(1, round(item)) for item in found)


def kind(configuration: Mapping[str, Any]) -> str | None:
    """Tell the two formats of plans: "architecture" of 2.3 and newer, and "flat" of before; None for neither."""
    if "architecture" in configuration:
        return "architecture"
    return "flat" if "UNet_class_name" in configuration else None


def faults(
    plans: Mapping[str, Any], found: Mapping[str, Mapping[str, Any]], name: str, trainer: str
) -> tuple[Detail, ...]:
    """List what nnU-Net could not use in a configuration and what it inherits: keys, with what they hold."""
    broken = _broken_inheritance(found, name)
    if broken is not None:
        return (Detail("inherits_from", broken),)
    configuration = resolved(found, name)
    wanted = KEYS + (KEYS_OF_TRAINER if is_plain(trainer) else ())
    lacking = [key for key in GENERAL_KEYS if key not in plans] + [key for key in wanted if key not in configuration]
    if kind(configuration) is None:
        lacking.append("architecture")
    listed = [Detail(key, "missing") for key in lacking]
    patch, batch = configuration.get("patch_size"), configuration.get("batch_size")
    if "patch_size" in configuration and len(whole_numbers(patch) or ()) not in (2, 3):
        listed.append(Detail("patch_size", str(patch)[:80]))
    if "batch_size" in configuration and (type(batch) is not int or batch < 1):
        listed.append(Detail("batch_size", str(batch)[:80]))
    return tuple(listed)


def _broken_inheritance(found: Mapping[str, Mapping[str, Any]], name: str) -> str | None:
    """Return the chain of a configuration that inherits from one that is missing, or from itself; None for neither."""
    chain = [name]
    while "inherits_from" in found.get(name, {}):
        name = str(found[name]["inherits_from"])
        is_circle = name in chain
        chain.append(name)
        if is_circle or name not in found:
            return " > ".join(chain[:20])
    return None


def names_of_code(plans: Mapping[str, Any], configuration: Mapping[str, Any]) -> tuple[str, ...]:
    """List the functions and classes of nnU-Net that a training looks up by the name in its plans.

    Reader and resampling of probabilities, which the final validation uses; the others are for preprocessing.
    """
    named = (plans.get("image_reader_writer"), configuration.get("resampling_fn_probabilities"))
    return tuple(name for name in named if isinstance(name, str))


def resampled_voxels(
    plans: Mapping[str, Any], configuration: Mapping[str, Any], fingerprint: Mapping[str, Any]
) -> tuple[int, ...] | None:
    """Return the voxels of each case after resampling, from the fingerprint; None when they cannot be told.

    compute_new_shape of preprocessing/resampling/default_resampling.py; a 2D configuration keeps the first axis.
    """
    spacing, order = numbers(configuration.get("spacing")), plans.get("transpose_forward")
    shapes, spacings = fingerprint.get("shapes_after_crop"), fingerprint.get("spacings")
    if spacing is None or order not in ([0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]):
        return None
    if not isinstance(shapes, list) or not isinstance(spacings, list) or len(shapes) != len(spacings):
        return None
    voxels = []
    for shape, old in zip(map(numbers, shapes), map(numbers, spacings), strict=True):
        if shape is None or old is None or len(shape) != 3 or len(old) != 3:
            return None
        # in two dimensions the spacing of slices stays as it is
        wanted = spacing if len(spacing) == 3 else (old[order[0]], *spacing)
        lengths = [round(shape[axis] * old[axis] / wanted[place]) for place, axis in enumerate(order)]
        voxels.append(math.prod(max(1, length) for length in lengths))
    return tuple(voxels) or None
