"""What a run would find in nnUNet_results, and load from there."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from nnunet_doctor.facts import Detail, Unknown
from nnunet_doctor.probes import results
from nnunet_doctor.request import Request

TINY = Path(__file__).with_name("checkpoints") / "tiny.pth"
RUN = "from nnunetv2.run.run_training import run_training_entry; run_training_entry()"
"""What the doctor itself starts where there is no script beside the interpreter (launch.py)."""

WANTED = Request(dataset="10", configuration="3d_fullres", fold="0")


@pytest.mark.parametrize(
    ("words", "there", "loaded"),
    [
        ({"continues": True}, ["final", "latest", "best"], "final"),
        ({"continues": True}, ["latest", "best"], "latest"),
        ({"continues": True}, ["best"], "best"),
        ({"continues": True}, [], None),
        ({"validates": True}, ["final", "best"], "final"),
        ({"validates": True}, ["best"], None),
        ({}, ["final", "latest"], None),
    ],
)
def test_the_checkpoint_that_is_loaded(tmp_path, words, there, loaded):
    """--c takes the most advanced checkpoint, --val the final one only, and a new training none."""
    for name in there:
        (tmp_path / f"checkpoint_{name}.pth").touch()

    found = results.loaded_by(Request(**words), tmp_path)

    assert found == (None if loaded is None else tmp_path / f"checkpoint_{loaded}.pth")


def test_weights_that_fit():
    """Where every kernel of the network is in the file with its shape, nothing is said."""
    assert results.look_into(TINY, {"conv.weight": (2, 1, 1, 3, 3)}, all_layers=True) == ((), False)


def test_weights_that_do_not_fit():
    """Another shape and a missing tensor are told with both shapes; pretrained weights may lack segmentation layers."""
    expected = {"conv.weight": (2, 1, 3, 3, 3), "decoder.seg_layers.0.weight": (2, 32, 1, 1, 1), "other.weight": (4,)}

    misfits, _ = results.look_into(TINY, expected, all_layers=False)
    of_all, _ = results.look_into(TINY, expected, all_layers=True)

    assert misfits == (Detail("conv.weight", "2 x 1 x 1 x 3 x 3 / 2 x 1 x 3 x 3 x 3"), Detail("other.weight", "- / 4"))
    assert [item.subject for item in of_all] == list(expected)


def test_weights_of_an_unknown_network():
    """Where the network is not known, only a file without weights of nnU-Net is told."""
    assert results.look_into(TINY, None, all_layers=True) == ((), False)


def test_weights_that_cannot_be_read(tmp_path):
    """What is no checkpoint of torch is unknown here, and not wrong."""
    path = tmp_path / "old.pth"
    path.write_bytes(b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.")

    assert all(isinstance(value, Unknown) for value in results.look_into(path, None, all_layers=False))


@pytest.mark.parametrize(
    ("labels", "previous", "counted"),
    [
        ({"background": 0, "liver": 1, "tumour": 2}, None, (1, 3)),
        ({"background": 0, "liver": 1, "tumour": 2}, "3d_lowres", (3, 3)),
        ({"background": 0, "liver": 1, "tumour": 2, "ignore": 3}, None, (1, 3)),
        ({"background": 0, "whole": [1, 2], "core": 2}, None, (1, 2)),
        ({"background": 0, "whole": [1, 2], "core": 2, "ignore": 3}, "3d_lowres", (3, 2)),
        ({"background": 0, "liver": "1"}, None, None),
    ],
)
def test_channels_and_heads(labels, previous, counted):
    """Labels, regions and the cascade give the network its inputs and outputs, as LabelManager counts them."""
    description = {"channel_names": {"0": "CT"}, "labels": labels}

    assert results.channels_and_heads({"previous_stage": previous}, description) == counted


@pytest.mark.parametrize(
    ("stored", "there", "lacking"),
    [
        ("b2nd", ["a.b2nd"], ["b"]),
        ("b2nd", ["a.npz", "b.b2nd"], ["a"]),
        ("npz", ["a.npz", "b.npy"], []),
        ("npz", ["a.b2nd"], ["a", "b"]),
    ],
)
def test_predictions_for_the_next_stage(tmp_path, stored, there, lacking):
    """A prediction counts in the format of the cases that it is for."""
    for name in there:
        (tmp_path / name).touch()

    assert [item.subject for item in results.without_prediction(tmp_path, {"a", "b"}, stored)] == lacking


@pytest.mark.parametrize(
    ("command", "same"),
    [
        (["nnUNetv2_train", "10", "3d_fullres", "0"], True),
        (
            ["/opt/venv/bin/python", "/opt/venv/bin/nnUNetv2_train", "Dataset010_Colon", "3d_fullres", "0", "--npz"],
            True,
        ),
        (["C:\\venv\\Scripts\\nnUNetv2_train.exe", "010", "3d_fullres", "0", "-device", "cpu"], True),
        (["python3", "-m", "nnunetv2.run.run_training", "10", "3d_fullres", "0", "-p", "nnUNetPlans", "--c"], True),
        (["nnUNetv2_train", "-tr", "nnUNetTrainer", "10", "3d_fullres", "0"], True),
        (["/opt/venv/bin/python", "-c", RUN, "10", "3d_fullres", "0", "-device", "cpu"], True),
        (["/opt/venv/bin/python", "-c", "print(1)", "10", "3d_fullres", "0"], False),
        (["nnUNetv2_train", "10", "3d_fullres", "1"], False),
        (["nnUNetv2_train", "11", "3d_fullres", "0"], False),
        (["nnUNetv2_train", "10", "2d", "0"], False),
        (["nnUNetv2_train", "10", "3d_fullres", "0", "-tr", "nnUNetTrainer_5epochs"], False),
        (["nnUNetv2_train", "10", "3d_fullres", "0", "-p=nnUNetResEncUNetLPlans"], False),
        (["nnUNetv2_train", "10", "3d_fullres", "0", "--val"], False),
        (["nnUNetv2_train", "10", "3d_fullres"], False),
        (["nnUNetv2_predict", "10", "3d_fullres", "0"], False),
        (["tmux", "new", "nnUNetv2_train", "10", "3d_fullres", "0"], False),
        (["grep", "nnUNetv2_train", "10", "3d_fullres", "0"], False),
        ([], False),
    ],
)
def test_commands_that_train_the_same(command, same):
    """Only a command that nnU-Net itself would file under the same folder counts, in any of its forms."""
    assert results.is_same_training(command, WANTED, 10) is same


def test_a_training_that_runs(tmp_path, monkeypatch):
    """A process with that command and the same results folder is found by its number; with another folder it is not."""
    script = tmp_path / "nnUNetv2_train"
    script.write_text("import sys, time\nprint('up', flush=True)\ntime.sleep(60)\n", encoding="utf-8")
    monkeypatch.setenv("nnUNet_results", str(tmp_path))
    command = [sys.executable, str(script), "10", "3d_fullres", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline()
        assert results.running(WANTED, 10, tmp_path) == process.pid
        assert results.running(WANTED, 10, tmp_path / "other") is None
    finally:
        process.kill()
        process.wait()
        process.stdout.close()

    begun = time.monotonic()
    assert results.running(WANTED, 10, tmp_path) is None
    assert time.monotonic() - begun < 10
