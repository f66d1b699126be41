"""Graphics devices as Linux tells them without a driver, read from made-up file systems."""

from __future__ import annotations

import os
import platform
import sys

import pytest

from nnunet_doctor.probes import pci
from nnunet_doctor.probes.base import Notes

needs_links = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")


@pytest.fixture
def see(tmp_path, monkeypatch):
    """Return the facts that are read below a made-up root."""
    monkeypatch.setattr(sys, "platform", "linux")

    def see():
        notes = Notes()
        pci.see(notes, tmp_path)
        return notes.values

    return see


@pytest.fixture
def device(tmp_path):
    """Return a maker of devices on the bus."""

    def make(address, vendor, kind, driver=None):
        folder = tmp_path / "sys/bus/pci/devices" / address
        folder.mkdir(parents=True)
        (folder / "vendor").write_text(f"{vendor}\n", encoding="ascii")
        (folder / "class").write_text(f"{kind}\n", encoding="ascii")
        if driver is not None:
            home = tmp_path / "sys/bus/pci/drivers" / driver
            home.mkdir(parents=True, exist_ok=True)
            (folder / "driver").symlink_to(home)

    return make


@needs_links
def test_devices(see, device):
    """Devices that draw or compute are listed by maker and kernel driver; their sound, and other makers, are not."""
    device("0000:00:02.0", "0x8086", "0x030000", "i915")
    device("0000:01:00.0", "0x10de", "0x030000", "nouveau")
    device("0000:01:00.1", "0x10de", "0x040300", "snd_hda_intel")
    device("0000:02:00.0", "0x10de", "0x030200")
    device("0000:03:00.0", "0x1002", "0x038000", "amdgpu")
    device("0000:04:00.0", "0x1a03", "0x030000", "ast")
    device("0000:05:00.0", "0x8086", "0x020000", "e1000e")

    assert see()["gpu.pci"] == ("intel:i915", "nvidia:nouveau", "nvidia:", "amd:amdgpu")


def test_no_bus(see):
    """A system that shows no bus has no devices on it; nothing else is known of it either."""
    expected = {"gpu.pci": (), "gpu.module_built": None, "gpu.secure_boot": None, "gpu.kfd": "missing"}

    assert see() == expected


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        ("kernel/drivers/gpu/drm/nouveau/nouveau.ko.zst: kernel/drivers/video/backlight.ko.zst\n", False),
        ("kernel/drivers/video/fbdev/nvidia/nvidiafb.ko.zst:\n", False),
        (
            "kernel/fs/ext4/ext4.ko:\nupdates/dkms/nvidia.ko.zst:\nupdates/dkms/nvidia-uvm.ko.zst: updates/nvidia.ko\n",
            True,
        ),
        ("kernel/nvidia-535/nvidia.ko:\n", True),
        ("extra/nvidia/nvidia.ko.xz:\n", True),
    ],
)
def test_kernel_module(see, tmp_path, listed, expected):
    """NVIDIA's module is found wherever a distribution puts it; those of similar names are others."""
    folder = tmp_path / "lib/modules" / platform.release()
    folder.mkdir(parents=True)
    (folder / "modules.dep").write_text(listed, encoding="ascii")

    assert see()["gpu.module_built"] is expected


@pytest.mark.parametrize(("value", "expected"), [(b"\x06\x00\x00\x00\x01", True), (b"\x06\x00\x00\x00\x00", False)])
def test_secure_boot(see, tmp_path, value, expected):
    """The firmware's variable is read behind its attributes."""
    folder = tmp_path / "sys/firmware/efi/efivars"
    folder.mkdir(parents=True)
    (folder / "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c").write_bytes(value)

    assert see()["gpu.secure_boot"] is expected


@pytest.mark.parametrize(("allowed", "expected"), [(True, "ok"), (False, "denied")])
def test_device_of_amd(see, tmp_path, monkeypatch, allowed, expected):
    """AMD's device file counts when this user may open it."""
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/kfd").touch()
    monkeypatch.setattr(os, "access", lambda _path, mode: allowed and mode == os.R_OK | os.W_OK)

    assert see()["gpu.kfd"] == expected


def test_other_systems_have_none_of_it(tmp_path, monkeypatch):
    """Outside Linux nothing is read."""
    monkeypatch.setattr(sys, "platform", "darwin")
    notes = Notes()
    pci.see(notes, tmp_path)

    assert set(notes.values.values()) == {None}
