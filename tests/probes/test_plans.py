"""Plans files: what nnU-Net could not use in them, and how large cases become."""

from __future__ import annotations

import pytest

from nnunet_doctor.facts import Detail
from nnunet_doctor.probes import plans

GENERAL = {
    "dataset_name": "Dataset010_Colon",
    "plans_name": "nnUNetPlans",
    "image_reader_writer": "SimpleITKIO",
    "transpose_forward": [0, 1, 2],
    "transpose_backward": [0, 1, 2],
}
FULL = {
    "data_identifier": "nnUNetPlans_3d_fullres",
    "patch_size": [64, 128, 128],
    "batch_size": 2,
    "spacing": [3.0, 1.0, 1.0],
    "batch_dice": True,
    "use_mask_for_norm": [False],
    "architecture": {},
}


def faults(configuration, trainer="nnUNetTrainer", general=None, **others):
    """Return what is wrong with a configuration."""
    found = {"3d_fullres": FULL, **others, "mine": configuration}
    return list(plans.faults(GENERAL if general is None else general, found, "mine", trainer))


def test_a_sound_configuration():
    """As planning writes it, and as a user adds one that inherits, nothing is wrong."""
    assert faults(FULL) == []
    assert faults({"inherits_from": "3d_fullres", "batch_size": 4}) == []


@pytest.mark.parametrize(
    ("configuration", "chain"),
    [
        ({"inherits_from": "3d_fulres"}, "mine > 3d_fulres"),
        ({"inherits_from": "mine"}, "mine > mine"),
        ({"inherits_from": "other"}, "mine > other > mine"),
    ],
)
def test_broken_inheritance(configuration, chain):
    """A configuration that is not there, or a circle, is told as the chain that leads to it."""
    assert faults(configuration, other={"inherits_from": "mine"}) == [Detail("inherits_from", chain)]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"batch_size": 0}, Detail("batch_size", "0")),
        ({"batch_size": "2"}, Detail("batch_size", "2")),
        ({"batch_size": True}, Detail("batch_size", "True")),
        ({"patch_size": [64, 128.5, 128]}, Detail("patch_size", "[64, 128.5, 128]")),
        ({"patch_size": [0, 128, 128]}, Detail("patch_size", "[0, 128, 128]")),
        ({"patch_size": 128}, Detail("patch_size", "128")),
        ({"patch_size": [128]}, Detail("patch_size", "[128]")),
    ],
)
def test_values_that_make_no_sense(change, fault):
    """A patch or a batch that nobody can train with is told with its value."""
    assert faults({**FULL, **change}) == [fault]


def test_keys_that_are_missing():
    """Every key that nnU-Net reads is asked for; what only its own trainers read is not asked of others."""
    assert {item.subject for item in faults({"inherits_from": "x"}, x={})} == {
        *plans.KEYS,
        *plans.KEYS_OF_TRAINER,
        "architecture",
    }
    assert {item.subject for item in faults({}, "nnUNetTrainerUMambaBot")} == {*plans.KEYS, "architecture"}
    assert [item.subject for item in faults(FULL, general={})] == list(plans.GENERAL_KEYS)


def test_kinds_of_plans():
    """The two formats are told apart by what describes the network."""
    assert plans.kind(FULL) == "architecture"
    assert plans.kind({"UNet_class_name": "PlainConvUNet"}) == "flat"
    assert plans.kind({}) is None


@pytest.mark.parametrize(
    ("spacing", "order", "voxels"),
    [
        ([3.0, 1.0, 1.0], [0, 1, 2], (50 * 200 * 200, 30 * 100 * 50)),
        ([1.0, 1.0], [0, 1, 2], (30 * 200 * 200, 30 * 100 * 50)),
        ([1.0, 3.0, 1.0], [1, 0, 2], (200 * 50 * 200, 100 * 30 * 50)),
    ],
)
def test_voxels_after_resampling(spacing, order, voxels):
    """Cases have the spacing of the plans, in the order of their axes; a 2D configuration keeps its slices."""
    fingerprint = {"shapes_after_crop": [[30, 100, 100], [30, 100, 50]], "spacings": [[5.0, 2.0, 2.0], [3.0, 1.0, 1.0]]}
    content, configuration = {"transpose_forward": order}, {"spacing": spacing}

    assert plans.resampled_voxels(content, configuration, fingerprint) == voxels


@pytest.mark.parametrize(
    "fingerprint",
    [
        {},
        {"shapes_after_crop": [[1, 2, 3]], "spacings": []},
        {"shapes_after_crop": [[1, 2]], "spacings": [[1, 1]]},
        {"shapes_after_crop": [["1", 2, 3]], "spacings": [[1, 1, 1]]},
        {"shapes_after_crop": 7, "spacings": 7},
    ],
)
def test_a_fingerprint_that_tells_nothing(fingerprint):
    """A broken fingerprint gives no size, and no crash."""
    assert plans.resampled_voxels({"transpose_forward": [0, 1, 2]}, {"spacing": [1.0, 1.0, 1.0]}, fingerprint) is None
