"""What planning and preprocessing left, and whether it belongs to the raw dataset, the folds and the results."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path

import pytest

from nnunet_doctor.facts import Detail, Unknown
from nnunet_doctor.probes import dataset

TINY = Path(__file__).with_name("checkpoints") / "tiny.pth"
NAME = "Dataset010_Colon"
DESCRIPTION = {
    "channel_names": {"0": "CT"},
    "labels": {"background": 0, "tumour": 1},
    "numTraining": 6,
    "file_ending": ".nii.gz",
}
CASES = [f"colon_{number}" for number in range(6)]
SPLITS = [{"train": [case for case in CASES if case != val], "val": [val]} for val in CASES[:5]]


def unet(stages=3):
    """Return the network of a configuration, as planning writes it."""
    return {
        "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
        "arch_kwargs": {
            "n_stages": stages,
            "features_per_stage": [32, 64, 128],
            "kernel_sizes": [[3, 3, 3]] * stages,
            "strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2]],
            "n_conv_per_stage": [2] * stages,
            "n_conv_per_stage_decoder": [2] * (stages - 1),
            "conv_bias": True,
            "norm_op": "torch.nn.modules.instancenorm.InstanceNorm3d",
            "norm_op_kwargs": {"affine": True},
        },
    }


def configuration(name, **words):
    """Return a planned configuration."""
    planned = {
        "data_identifier": f"nnUNetPlans_{name}",
        "patch_size": [16, 32, 32],
        "batch_size": 2,
        "spacing": [3.0, 1.0, 1.0],
        "batch_dice": True,
        "use_mask_for_norm": [False],
        "resampling_fn_probabilities": "resample_torch_fornnunet",
        "architecture": unet(),
    }
    return {**planned, **words}


def plans(**words):
    """Return plans with a cascade."""
    found = {
        "3d_lowres": configuration("3d_lowres", next_stage="3d_cascade_fullres"),
        "3d_fullres": configuration("3d_fullres"),
        "3d_cascade_fullres": {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"},
        "mine": {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"},
    }
    general = {"dataset_name": NAME, "plans_name": "nnUNetPlans", "image_reader_writer": "SimpleITKIO"}
    order = {"transpose_forward": [0, 1, 2], "transpose_backward": [0, 1, 2]}
    return {**general, **order, "configurations": found, **words}


def write(path, content):
    """Write a JSON file, with the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def store(folder, cases=CASES):
    """Store preprocessed cases as b2nd."""
    folder.mkdir(parents=True, exist_ok=True)
    head = b"\x9e\xa8b2frame\0\xd2" + struct.pack(">i", 203) + b"\xcf" + struct.pack(">Q", 24)
    for case in cases:
        (folder / f"{case}.b2nd").write_bytes(head)
        (folder / f"{case}_seg.b2nd").write_bytes(head)
        (folder / f"{case}.pkl").write_bytes(b"}.")


class Place:
    """A dataset that is planned and preprocessed in full, with its raw images."""

    def __init__(self, folder):
        self.base = folder
        self.raw, self.folder = folder / "nnUNet_raw" / NAME, folder / "nnUNet_preprocessed" / NAME
        self.model = folder / "nnUNet_results" / NAME
        self.data = self.folder / "nnUNetPlans_3d_fullres"
        write(self.raw / "dataset.json", DESCRIPTION)
        write(self.folder / "dataset.json", DESCRIPTION)
        write(self.folder / "nnUNetPlans.json", plans())
        write(self.folder / "splits_final.json", SPLITS)
        shapes = {"shapes_after_crop": [[16, 64, 64]] * 6, "spacings": [[3.0, 1.0, 1.0]] * 6}
        write(self.folder / "dataset_fingerprint.json", shapes)
        store(self.data)
        for part in ("imagesTr", "labelsTr"):
            (self.raw / part).mkdir()
        (self.folder / "gt_segmentations").mkdir()
        self.model.mkdir(parents=True)
        for case in CASES:
            (self.raw / "imagesTr" / f"{case}_0000.nii.gz").write_bytes(b"image")
            (self.raw / "labelsTr" / f"{case}.nii.gz").write_bytes(b"label")
            (self.folder / "gt_segmentations" / f"{case}.nii.gz").write_bytes(b"label")

    def fold(self, name="3d_fullres", fold="0"):
        """Make the folder of a fold."""
        path = self.model / f"nnUNetTrainer__nnUNetPlans__{name}" / f"fold_{fold}"
        path.mkdir(parents=True, exist_ok=True)
        return path


@pytest.fixture
def place(tmp_path):
    """Return a sound dataset."""
    return Place(tmp_path)


@pytest.fixture
def look(context_of, place):
    """Return what is seen of it, without the names of the areas."""

    def look(**words):
        environ = {f"nnUNet_{part}": str(place.base / f"nnUNet_{part}") for part in ("raw", "preprocessed", "results")}
        words = {"dataset": "10", "configuration": "3d_fullres", "fold": "0", **words}
        values = dataset.look(context_of(environ, **words)).values
        return {name.partition(".")[2]: value for name, value in values.items() if not name.startswith("dataset.")}

    return look


FAULTS = (
    "configuration_faults",
    "strangers",
    "incomplete",
    "damaged",
    "not_stored",
    "not_raw",
    "labels_changed",
    "json_changed",
    "truth_lacking",
    "split_faults",
    "split_lacking",
    "split_overlap",
    "split_repeated",
    "split_unused",
    "next_lacking",
)


def test_a_sound_dataset_has_no_faults(look):
    """Of a dataset as nnU-Net leaves it nothing is said but what it is."""
    values = look()

    assert {name: values[name] for name in FAULTS} == dict.fromkeys(FAULTS, ())
    assert (values["other_dataset"], values["plans_name"], values["plans_kind"]) == (
        None,
        "nnUNetPlans",
        "architecture",
    )
    assert (values["downsampling"], values["names"]) == ((2, 4, 4), ("SimpleITKIO", "resample_torch_fornnunet"))
    assert (values["largest_voxels"], values["all_voxels"], values["fingerprint_cases"]) == (65536, 6 * 65536, 6)
    assert (values["state"], values["validated"], values["running"]) == ("none", False, None)


def test_plans_of_another_dataset(look, place):
    """A copied folder trains on the original: its name is told, and its cases are looked at."""
    write(place.folder / "nnUNetPlans.json", plans(dataset_name="Dataset501_Old"))
    values = look()

    assert values["other_dataset"] == "Dataset501_Old"
    assert values["data_folder"] == str(place.folder.with_name("Dataset501_Old") / "nnUNetPlans_3d_fullres")
    assert (values["data_format"], values["not_stored"]) == ("missing", None)


def test_one_folder_under_two_names(look, place):
    """A dataset that is a link to itself under the name in the plans is no other dataset."""
    try:
        place.folder.with_name("Dataset501_Old").symlink_to(place.folder, target_is_directory=True)
    except OSError:
        pytest.skip("no right to make links")
    write(place.folder / "nnUNetPlans.json", plans(dataset_name="Dataset501_Old"))

    assert look()["other_dataset"] is None


@pytest.mark.parametrize("name", ["../Dataset010_Colon", "", 7, None, "a/b"])
def test_a_strange_name_in_plans(look, place, name):
    """What is no name of a folder leads nowhere."""
    write(place.folder / "nnUNetPlans.json", plans(dataset_name=name))

    assert look()["other_dataset"] is None


def test_cases_that_the_raw_dataset_and_the_stored_ones_do_not_share(look, place):
    """Added, removed and renamed cases are named."""
    (place.raw / "imagesTr" / "colon_9_0000.nii.gz").write_bytes(b"image")
    (place.raw / "imagesTr" / "colon_3_0000.nii.gz").unlink()
    (place.raw / "imagesTr" / "._colon_4_0000.nii.gz").write_bytes(b"x")
    values = look()

    assert values["not_stored"] == (Detail("colon_9"),)
    assert values["not_raw"] == (Detail("colon_3"),)


def test_raw_images_that_are_gone(look, place):
    """Where the raw dataset was emptied to save space, nothing is said of it."""
    shutil.rmtree(place.raw / "imagesTr")
    values = look()

    assert (values["not_stored"], values["not_raw"]) == (None, None)


def test_a_label_that_was_corrected(look, place):
    """A label of another size than the copy in gt_segmentations was changed since."""
    (place.raw / "labelsTr" / "colon_2.nii.gz").write_bytes(b"corrected label")

    assert look()["labels_changed"] == (Detail("colon_2.nii.gz"),)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"labels": {"background": 0, "Tumor": 1}}, ()),
        ({"numTraining": 7, "name": "x"}, ()),
        ({"channel_names": {"0": "ct"}}, ()),
        ({"labels": {"background": 0, "tumour": 1, "cyst": 2}}, (Detail("labels", "0, 1, 2 / 0, 1"),)),
        ({"channel_names": {"0": "MRI"}}, (Detail("channel_names", "zscore / ct"),)),
        ({"file_ending": ".nrrd"}, (Detail("file_ending", ".nrrd / .nii.gz"),)),
    ],
)
def test_a_dataset_json_that_was_changed(look, place, change, told):
    """What changes a training is told with both values; other names for the same labels are not."""
    write(place.raw / "dataset.json", {**DESCRIPTION, **change})

    assert look()["json_changed"] == told


def test_labels_that_the_validation_wants(look, place):
    """Of the wanted fold the validation cases are compared; with fold all every case is."""
    for case in ("colon_0", "colon_4"):
        (place.folder / "gt_segmentations" / f"{case}.nii.gz").unlink()

    assert look(fold="0")["truth_lacking"] == (Detail("colon_0.nii.gz"),)
    assert look(fold="1")["truth_lacking"] == ()
    assert look(fold="all")["truth_lacking"] == (Detail("colon_0.nii.gz"), Detail("colon_4.nii.gz"))


def test_labels_without_folds(look, place):
    """Before the folds are made nobody knows their cases: only a folder without any label is told."""
    (place.folder / "splits_final.json").unlink()
    (place.folder / "gt_segmentations" / "colon_0.nii.gz").unlink()

    assert look()["truth_lacking"] == ()
    shutil.rmtree(place.folder / "gt_segmentations")
    assert len(look()["truth_lacking"]) == 6


def test_only_the_cases_of_the_fold_count(look, place):
    """A case that this run does not open may lack its files."""
    (place.data / "colon_0.pkl").unlink()
    (place.data / "colon_5_seg.b2nd").write_bytes(b"")

    assert look()["incomplete"] == (Detail("colon_0", "colon_0.pkl"),)
    assert look()["damaged"] == (Detail("colon_5", "colon_5_seg.b2nd: 0 bytes"),)
    assert look(fold="1", validates=True)["incomplete"] == ()


def test_a_case_that_the_folds_name(look, place):
    """A renamed case is named with the fold that wants it."""
    for path in place.data.glob("colon_1*"):
        path.rename(path.with_name(path.name.replace("colon_1", "colon_x")))
    values = look()

    assert values["split_lacking"] == (Detail("colon_1", "fold 0: train"),)
    assert Detail("colon_x") in values["split_unused"]


def test_a_cascade_without_its_first_stage(look, place):
    """Each case of the fold wants a prediction, in the folder of the stage before."""
    there = place.model / "nnUNetTrainer__nnUNetPlans__3d_lowres" / "predicted_next_stage" / "3d_cascade_fullres"
    there.mkdir(parents=True)
    for case in CASES[1:]:
        (there / f"{case}.b2nd").touch()
    values = look(configuration="3d_cascade_fullres")

    assert (values["previous_stage"], values["stage_folder"]) == ("3d_lowres", str(there))
    assert (values["stage_lacking"], values["stage_linked"]) == ((Detail("colon_0"),), True)
    assert look(configuration="3d_cascade_fullres", validates=True, fold="1")["stage_lacking"] == ()


def test_a_cascade_that_its_first_stage_does_not_know(look):
    """A configuration of one's own that the first stage does not name gets no predictions from it."""
    values = look(configuration="mine")

    assert (values["stage_linked"], len(values["stage_lacking"])) == (False, 6)


def test_a_first_stage(look, place):
    """Predictions for the next stage that are there already are told for the cases of this fold."""
    store(place.folder / "nnUNetPlans_3d_lowres")
    there = place.model / "nnUNetTrainer__nnUNetPlans__3d_lowres" / "predicted_next_stage" / "3d_cascade_fullres"
    there.mkdir(parents=True)
    (there / "colon_0.b2nd").touch()
    (there / "colon_1.b2nd").touch()
    values = look(configuration="3d_lowres")

    assert values["stage_leftovers"] == (Detail("3d_cascade_fullres/colon_0.b2nd"),)
    assert (values["next_lacking"], values["stage_lacking"]) == ((), None)
    shutil.rmtree(place.data)
    assert look(configuration="3d_lowres")["next_lacking"] == (Detail("3d_cascade_fullres", str(place.data)),)


def test_a_checkpoint_that_does_not_fit(look, place):
    """With --c the checkpoint is compared with the network of the plans; without, it is not even opened."""
    shutil.copy(TINY, place.fold() / "checkpoint_latest.pth")
    values = look(continues=True)

    assert values["damaged_checkpoints"] == ()
    assert values["weights_misfit"][0] == Detail("encoder.stages.0.0.convs.0.conv.weight", "- / 32 x 1 x 3 x 3 x 3")
    assert look()["weights_misfit"] is None


def test_a_checkpoint_that_is_cut(look, place):
    """The file that --val would load, or pretrained weights, are told when torch cannot open them."""
    final = place.fold() / "checkpoint_final.pth"
    final.write_bytes(TINY.read_bytes()[:2000])
    weights = place.base / "weights.pth"
    weights.write_bytes(b"<html>")
    values = look(validates=True)

    assert values["damaged_checkpoints"] == (Detail(str(final), "cut off, 2000 bytes"),)
    assert values["weights_misfit"] is None
    assert look(pretrained=str(weights))["damaged_checkpoints"] == (Detail(str(weights), "web page, 6 bytes"),)


def test_a_trainer_with_a_network_of_its_own(look, place):
    """What another trainer builds is not known, so its checkpoint is not compared."""
    path = place.model / "nnUNetTrainerUMambaBot__nnUNetPlans__3d_fullres" / "fold_0"
    path.mkdir(parents=True)
    shutil.copy(TINY, path / "checkpoint_best.pth")

    assert look(continues=True, trainer="nnUNetTrainerUMambaBot")["weights_misfit"] == ()


def test_a_finished_training(look, place):
    """The summary of the validation is what tells that it came to its end."""
    fold = place.fold()
    (fold / "checkpoint_final.pth").touch()

    assert (look()["state"], look()["validated"]) == ("finished", False)
    write(fold / "validation" / "summary.json", {})
    assert look()["validated"] is True


def test_folders_that_cannot_be_read_cost_their_own_facts(look, monkeypatch):
    """A server that breaks off in the middle leaves unknown what it did not tell, and nothing else."""

    def refuse(*_args, **_words):
        raise OSError(5, "Input/output error", "/mnt/nas")

    monkeypatch.setattr("nnunet_doctor.probes.stored.look", refuse)
    monkeypatch.setattr("nnunet_doctor.probes.results.training_state", refuse)
    values = look()

    unknown = Unknown("/mnt/nas cannot be read: Input/output error")
    assert (values["data_format"], values["incomplete"], values["state"]) == (unknown, unknown, unknown)
    assert (values["plans_state"], values["downsampling"]) == ("ok", (2, 4, 4))


def test_no_configuration_is_named(look):
    """Without one only what concerns all of them is looked at."""
    values = look(configuration=None)

    assert (values["plans_state"], values["splits"], values["json_changed"]) == ("ok", 5, ())
    assert (values["data_folder"], values["not_stored"], values["folder"]) == (None, None, None)


@pytest.mark.parametrize(
    "content",
    [
        {"train": [], "val": []},
        [None, 1, "x", [], {}],
        [{"train": "abc", "val": {"a": 1}}],
        [{"train": [{}], "val": [[]]}],
    ],
)
def test_hostile_splits(look, place, content):
    """Folds of any shape give faults, and no crash."""
    write(place.folder / "splits_final.json", content)
    values = look(fold=None)

    assert values["splits_error"] is not None or values["split_faults"] != ()
