"""Checkpoints are read without torch, and nothing in them is executed."""

from __future__ import annotations

import io
import pickle
import pickletools
import struct
import time
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from nnunet_doctor.probes import checkpoint
from nnunet_doctor.probes.checkpoint import UnreadableError

TINY = Path(__file__).with_name("checkpoints") / "tiny.pth"
"""Made with torch 2.14 as nnUNetTrainer.save_checkpoint does, for a network of one convolution."""


def archive(path, pickled, name="archive/data.pkl"):
    """Write a zip file as torch does."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(name, pickled)
        file.writestr("archive/version", "3\n")
    return path


def test_what_a_checkpoint_tells():
    """Names and shapes of its tensors, where they were saved, and the trainer."""
    found = checkpoint.read(TINY)

    assert found.weights == {"conv.weight": (2, 1, 1, 3, 3), "conv.bias": (2,)}
    assert (found.devices, found.trainer) == ({"cpu"}, "nnUNetTrainer")
    assert checkpoint.fault_of(TINY) is None


@pytest.mark.parametrize("kept", [1, 100, 1700, 3000, 3454])
def test_a_checkpoint_that_is_cut(tmp_path, kept):
    """Wherever it ends, torch cannot open it, and neither is it read here."""
    path = tmp_path / "checkpoint_latest.pth"
    path.write_bytes(TINY.read_bytes()[:kept])

    if kept >= 4:
        assert checkpoint.fault_of(path) == f"cut off, {kept} bytes"
    with pytest.raises(UnreadableError):
        checkpoint.read(path)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "0 bytes"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 249\n", "Git LFS pointer, 68 bytes"),
        (b"<!DOCTYPE html><html><head>", "web page, 27 bytes"),
        (b"\n<html lang='en'>", "web page, 17 bytes"),
        (b"\0" * 100, "only zeros, 100 bytes"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", None),
    ],
)
def test_what_is_no_checkpoint(tmp_path, content, fault):
    """What a download or a full disk leaves is named; the format of old torch releases is left to torch."""
    path = tmp_path / "weights.pth"
    path.write_bytes(content)

    assert checkpoint.fault_of(path) == fault


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (exec, (f"open({str(self.path)!r}, 'w').close()",))


@pytest.mark.parametrize("protocol", range(6))
def test_nothing_is_executed(tmp_path, protocol):
    """A pickle that would write a file writes none, and what is beside it is read."""
    trace = tmp_path / "trace"
    pickled = pickle.dumps({"trainer_name": "mine", "network_weights": {}, "evil": Evil(trace)}, protocol=protocol)
    found = checkpoint.read(archive(tmp_path / "a.pth", pickled))

    assert (found.trainer, found.weights) == ("mine", {})
    assert not trace.exists()


@pytest.mark.parametrize("protocol", range(6))
def test_containers_of_every_protocol(protocol):
    """Texts, numbers and containers come out as they went in."""
    content = {"a": [1, 2.5, (3, None), ()], "b": {"c": True, "d": "é"}, 5: [[]], "e": -(10**30), "f": (1, 2, 3, 4)}

    assert checkpoint.follow(pickle.dumps(content, protocol=protocol)) == content


def test_weights_without_the_key(tmp_path):
    """A file of other software holds no network_weights; that is not the same as none."""
    found = checkpoint.read(archive(tmp_path / "a.pth", pickle.dumps({"state_dict": {}}, protocol=2)))

    assert found.weights is None


@pytest.mark.parametrize(
    "pickled",
    [
        b"",
        b".",
        b"\x80\x02",
        b"\x80\x02}q\x00",
        b"\x80\x02h\x05.",
        b"\x80\x02]R.",
        b"\x80\x02a.",
        b"\x80\x02t.",
        b"\x80\x02(u.",
        b"\xff\xfe",
        b"\x80\x05\x96" + struct.pack("<Q", 2**62),
        b"\x80\x02r\xff\xff\xff\x7f.",
        pickle.dumps([1, 2], protocol=2),
    ],
)
def test_hostile_pickles_cost_nothing(tmp_path, pickled):
    """Broken pickles, and those that ask for huge memory, are refused with a reason, at once."""
    path = archive(tmp_path / "a.pth", pickled)
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableError):
            checkpoint.read(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 5 * 1024**2


def test_a_bomb_is_not_unpacked(tmp_path):
    """A pickle that is small when compressed and huge when not is given up."""
    path = tmp_path / "a.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file, file.open("archive/data.pkl", "w") as inside:
        for _ in range(40):
            inside.write(b"\0" * 1024**2)

    begun = time.monotonic()
    with pytest.raises(UnreadableError, match="more than 16 MB"):
        checkpoint.read(path)
    assert time.monotonic() - begun < 5


def test_a_zip_file_of_something_else(tmp_path):
    """An exported model, or any other zip file, is no checkpoint."""
    with pytest.raises(UnreadableError, match="not a zip file that torch has written"):
        checkpoint.read(archive(tmp_path / "model.zip", b"x", "Dataset010_Colon/plans.json"))


def test_opcodes_are_all_known():
    """No opcode that pickles can hold ends in an error of another kind."""
    for opcode in pickletools.opcodes:
        try:
            checkpoint.follow(b"\x80\x02}(K\x01K\x02u" + opcode.code.encode("latin-1") + b"\0" * 16 + b".")
        except UnreadableError:
            continue


def test_a_checkpoint_of_a_long_training_is_read_in_no_time(tmp_path):
    """The curves of 1000 epochs, a thousand tensors and the plans take less than a second or two."""
    logging = {name: [float(epoch) for epoch in range(1000)] for name in "abcdefgh"}
    content = {"logging": logging, "init_args": {"plans": {str(n): list(range(50)) for n in range(200)}}}
    buffer = io.BytesIO()
    pickle.Pickler(buffer, protocol=2).dump({"trainer_name": "nnUNetTrainer", **content})
    path = archive(tmp_path / "a.pth", buffer.getvalue())

    begun = time.monotonic()
    assert checkpoint.read(path).trainer == "nnUNetTrainer"
    assert time.monotonic() - begun < 2
