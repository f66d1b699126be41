"""The three folders of nnU-Net: what lies where the variables point."""

from __future__ import annotations

import errno
import os
import shutil
import sys
from pathlib import Path

import psutil
import pytest

from nnunet_doctor.facts import Detail, Unknown
from nnunet_doctor.probes import paths
from nnunet_doctor.probes.paths import (
    cloud_service,
    filesystem_of,
    is_rotational,
    is_writable,
    longest_label,
    nearest_folder,
    why_not_writable,
)

LOOKS = ("kind", "writable", "real", "free_gib", "filesystem", "parent", "refusal", "cloud")


def look_at_raw(context_of, value):
    """Return the facts about nnUNet_raw with this value, by their last words."""
    values = paths.look(context_of({"nnUNet_raw": str(value)})).values
    assert values["paths.raw"] == str(value)
    return {name: values[f"paths.raw_{name}"] for name in LOOKS}


def test_unset(context_of):
    """A variable that is not set is no folder, and nothing is unknown about it."""
    values = paths.look(context_of()).values

    names = [f"paths.{folder}{name}" for folder in paths.FOLDERS for name in ("", *(f"_{look}" for look in LOOKS))]
    alone = ("raw_level", "unreadable", "preprocessed_rotational", "preprocessed_drive", "longest_name")
    assert values == dict.fromkeys([*names, *(f"paths.{name}" for name in alone)])


def test_folder(context_of, tmp_path):
    """A folder is one that can be written to, with its free space and its file system."""
    seen = look_at_raw(context_of, tmp_path)

    assert (seen["kind"], seen["writable"], seen["real"]) == ("folder", True, str(tmp_path.resolve()))
    assert (seen["parent"], seen["refusal"], seen["cloud"]) == (True, None, None)
    assert 0 < seen["free_gib"] <= shutil.disk_usage(tmp_path).total / 1024**3
    assert isinstance(seen["filesystem"], str)
    assert list(tmp_path.iterdir()) == [tmp_path / "packages"]


def test_missing_folder_has_the_space_of_the_one_above(context_of, tmp_path):
    """A folder that is not there yet would have the space of the nearest one above it."""
    seen = look_at_raw(context_of, tmp_path / "not" / "there")

    assert (seen["kind"], seen["writable"], seen["parent"]) == ("missing", None, False)
    assert look_at_raw(context_of, tmp_path / "not")["parent"] is True
    assert seen["free_gib"] == pytest.approx(shutil.disk_usage(tmp_path).free / 1024**3, abs=2)
    assert seen["filesystem"] == filesystem_of(tmp_path)
    assert not (tmp_path / "not").exists()


def test_file(context_of, tmp_path):
    """A file where a folder should be is named as such."""
    (tmp_path / "file").touch()

    seen = look_at_raw(context_of, tmp_path / "file")

    assert (seen["kind"], seen["writable"]) == ("file", None)
    assert look_at_raw(context_of, tmp_path / "file" / "below")["kind"] == "missing"


def test_link_is_followed(context_of, tmp_path):
    """Two variables that lead to one folder over a link have one real path."""
    (tmp_path / "real").mkdir()
    try:
        (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    except OSError:
        pytest.skip("this user of Windows may make no links")

    seen = look_at_raw(context_of, tmp_path / "link")

    assert (seen["kind"], seen["real"]) == ("folder", str((tmp_path / "real").resolve()))


@pytest.mark.skipif(sys.platform == "win32", reason="links in Windows need a right")
def test_links_in_a_circle(context_of, tmp_path):
    """A link that leads to itself is no folder, and neither a hang nor a traceback."""
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")

    seen = look_at_raw(context_of, tmp_path / "a")

    assert isinstance(seen["kind"], Unknown) or seen["kind"] == "missing"


def test_folder_that_takes_no_files(tmp_path):
    """Where no file can be made the folder is not writable, whatever its bits say; for root bits say nothing."""
    folder = tmp_path / "read only"
    folder.mkdir()
    if sys.platform != "win32" and os.geteuid() != 0:
        folder.chmod(0o555)

        assert is_writable(folder) is False
    else:
        # a folder that is gone takes no files either, for root and on Windows too
        folder.rmdir()

        assert is_writable(folder) is False


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a folder that even root cannot fill")
def test_folder_that_takes_no_files_from_root(context_of):
    """A file system that takes no files is seen as such by root too."""
    seen = look_at_raw(context_of, "/proc/self/fdinfo")

    assert (seen["kind"], seen["writable"], seen["filesystem"]) == ("folder", False, "proc")


@pytest.mark.parametrize(
    "value", ['"/data/nnUNet_raw"', "'/data/raw'", " /data/raw", "/data/raw ", "~/nnUNet_raw", "=/data", "数据/原始"]
)
def test_odd_values_are_missing_folders(context_of, tmp_path, monkeypatch, value):
    """Quotes, blanks and tildes are taken as nnU-Net takes them: as part of the name."""
    monkeypatch.chdir(tmp_path)

    seen = look_at_raw(context_of, value)

    assert (seen["kind"], seen["writable"]) == ("missing", None)


def test_folder_with_blanks_and_other_letters(context_of, tmp_path):
    """A folder whose name has blanks and Chinese letters is a folder like any other."""
    folder = tmp_path / "my data 数据"
    folder.mkdir()

    seen = look_at_raw(context_of, folder)

    assert (seen["kind"], seen["writable"], seen["real"]) == ("folder", True, str(folder.resolve()))


@pytest.mark.parametrize("value", ["a\0b", "x" * 5000])
def test_value_that_is_no_path_costs_that_folder_only(context_of, tmp_path, value):
    """A value that the system refuses as a path costs its own facts at most; the other folders are known."""
    values = paths.look(context_of({"nnUNet_raw": value, "nnUNet_results": str(tmp_path)})).values

    assert isinstance(values["paths.raw_kind"], Unknown) or values["paths.raw_kind"] == "missing"
    assert values["paths.results_kind"] == "folder"


def test_one_dead_folder_costs_that_folder_only(context_of, tmp_path, monkeypatch):
    """A folder whose server is gone leaves its own facts unknown, with the reason, and the other folders known."""
    dead, alive = tmp_path / "dead", tmp_path / "alive"
    dead.mkdir()
    alive.mkdir()
    usage = shutil.disk_usage

    def of_a_dead_server(path):
        if str(path) == str(dead):
            raise OSError(116, "Stale file handle")
        return usage(path)

    monkeypatch.setattr(shutil, "disk_usage", of_a_dead_server)
    values = paths.look(context_of({"nnUNet_raw": str(dead), "nnUNet_results": str(alive)})).values

    assert isinstance(values["paths.raw_free_gib"], Unknown)
    assert "Stale file handle" in values["paths.raw_free_gib"].reason
    assert (values["paths.results_kind"], values["paths.results_writable"]) == ("folder", True)


def test_nearest_folder_of_a_relative_path(tmp_path, monkeypatch):
    """A relative path is looked for from the working folder, as the training would."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path)

    assert nearest_folder(tmp_path.joinpath("here").relative_to(tmp_path)).resolve() == (tmp_path / "here").resolve()
    assert nearest_folder(tmp_path.joinpath("no", "no").relative_to(tmp_path)).resolve() == tmp_path.resolve()


def test_file_system_is_that_of_the_nearest_mount(tmp_path, monkeypatch):
    """A folder has the file system of the longest mount point above it, the last one mounted there."""
    part = psutil.disk_partitions(all=True)[0]
    mounts = [
        (tmp_path.anchor, "ext4"),
        (tmp_path / "mnt", "autofs"),
        (tmp_path / "mnt", "nfs4"),
        ("/elsewhere", "xfs"),
    ]
    partitions = [part._replace(mountpoint=str(path), fstype=kind) for path, kind in mounts]
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_options: partitions)
    (tmp_path / "mnt" / "data").mkdir(parents=True)

    assert filesystem_of(tmp_path / "mnt" / "data") == "nfs4"
    assert filesystem_of(tmp_path) == "ext4"


def test_reason_why_no_file_can_be_made(tmp_path):
    """The error is kept with its name, which tells a quota from a right that is missing."""
    reason = why_not_writable(tmp_path / "gone")

    assert reason is not None
    assert reason.startswith("ENOENT: ")


FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="only Linux has a device that is always full")
def test_quota_that_refuses_the_first_block(tmp_path, monkeypatch):
    """A folder that lets a file be made, and refuses what is written to it, takes no files."""
    monkeypatch.setattr(paths, "_passing_file", lambda _folder: FULL.open("wb"))

    assert why_not_writable(tmp_path) == "ENOSPC: No space left on device"


@pytest.mark.parametrize(
    ("made", "expected"), [("imagesTr", "dataset"), ("nnUNet_raw", "above"), ("Dataset001_X", None)]
)
def test_level_of_the_raw_folder(context_of, tmp_path, made, expected):
    """A raw folder that is a dataset itself, or the folder above, is told by what lies in it."""
    raw = tmp_path / "data"
    (raw / made).mkdir(parents=True)

    assert paths.look(context_of({"nnUNet_raw": str(raw)})).values["paths.raw_level"] == expected


def disk(root, name, rotational, vendor="ATA", model="ST8000NM", partition=None, below=None):
    """Make a block device as /sys shows it, with its node in /dev."""
    block = root / "sys/devices/made" / name
    (block / "queue").mkdir(parents=True)
    (block / "queue/rotational").write_text(f"{rotational}\n", encoding="ascii")
    (block / "device").mkdir()
    (block / "device/vendor").write_text(f"{vendor:<8}\n", encoding="ascii")
    (block / "device/model").write_text(f"{model:<16}\n", encoding="ascii")
    (root / "sys/class/block").mkdir(parents=True, exist_ok=True)
    (root / "dev").mkdir(exist_ok=True)
    names = [(name, block)]
    if partition is not None:
        (block / partition).mkdir()
        (block / partition / "partition").write_text("1\n", encoding="ascii")
        names.append((partition, block / partition))
    if below is not None:
        (block / "slaves").mkdir()
        (block / "slaves" / below).symlink_to(root / "sys/class/block" / below)
    for each, folder in names:
        (root / "sys/class/block" / each).symlink_to(folder)
        (root / "dev" / each).touch()


@pytest.mark.skipif(sys.platform == "win32", reason="links in Windows need a right")
@pytest.mark.parametrize(
    ("rotational", "vendor", "model", "expected"),
    [
        (1, "ATA", "ST8000NM0055-1RM", True),
        (0, "ATA", "Samsung SSD 870", False),
        (1, "ATA", "QEMU HARDDISK", None),
        (1, "Msft", "Virtual Disk", None),
        (1, "DELL", "PERC H740P", None),
        ("", "ATA", "ST8000NM0055-1RM", None),
    ],
)
def test_spinning_disk(tmp_path, rotational, vendor, model, expected):
    """Only a disk that surely spins is said to spin: virtual ones and RAID controllers say so of themselves anyway."""
    disk(tmp_path, "sda", rotational, vendor, model, partition="sda1")

    assert is_rotational("/dev/sda1", tmp_path) is expected
    assert is_rotational("/dev/sda", tmp_path) is expected


@pytest.mark.skipif(sys.platform == "win32", reason="links in Windows need a right")
def test_volume_over_a_spinning_disk(tmp_path):
    """A logical volume is as slow as the disk below it."""
    disk(tmp_path, "sda", 1, partition="sda2")
    disk(tmp_path, "dm-0", 1, vendor="", model="", below="sda2")
    (tmp_path / "dev/mapper").mkdir()
    (tmp_path / "dev/mapper/vg-data").symlink_to(tmp_path / "dev/dm-0")

    assert is_rotational("/dev/mapper/vg-data", tmp_path) is True


@pytest.mark.parametrize("device", ["tmpfs", "server:/export", "/dev/not-there", "overlay", "pool/data"])
def test_what_is_no_disk_does_not_spin(tmp_path, device):
    """A server, memory and a pool of disks are no disk, and nothing is said of them."""
    assert is_rotational(device, tmp_path) is None


@pytest.mark.parametrize(
    ("below", "expected"),
    [
        ("Users/li/OneDrive/nnunet", "OneDrive"),
        ("mnt/c/Users/li/OneDrive - Uni Heidelberg/nnunet", "OneDrive"),
        ("Users/li/iCloudDrive/nnunet", "iCloud"),
        ("Users/li/Library/Mobile Documents/com~apple~CloudDocs/nnunet", "iCloud"),
        ("Users/li/Library/CloudStorage/GoogleDrive-li@example.org/My Drive", "GoogleDrive"),
        ("Users/li/nnunet", None),
        ("home/li/OneDrive-backup/nnunet", None),
        ("Users/OneDrive", None),
    ],
)
def test_folders_of_services_that_synchronise(tmp_path, below, expected):
    """A folder that a service keeps in step is known by its place; a name that only resembles one is not."""
    assert cloud_service(tmp_path / below, {}) == expected


def test_folder_that_onedrive_names(tmp_path):
    """OneDrive names its folder in a variable, wherever it lies; a folder beside it is not in it."""
    environ = {"OneDriveCommercial": str(tmp_path / "Cloud")}

    assert cloud_service(tmp_path / "Cloud" / "nnunet", environ) == "OneDrive"
    assert cloud_service(tmp_path / "Cloudless" / "nnunet", environ) is None


def test_folder_of_dropbox_has_a_mark(tmp_path):
    """Dropbox leaves a file in its folder; a folder that is only called so is none of its."""
    (tmp_path / "Dropbox").mkdir()

    assert cloud_service(tmp_path / "Dropbox" / "nnunet", {}) is None

    (tmp_path / "Dropbox" / ".dropbox").touch()

    assert cloud_service(tmp_path / "Dropbox" / "nnunet", {}) == "Dropbox"


@pytest.mark.parametrize("dataset", ["7", "Dataset007_Colon"])
def test_longest_name_of_a_label(tmp_path, dataset):
    """The longest name is that of a label of this dataset, named by number or in full."""
    for name in ("Dataset007_Colon", "Dataset008_Liver"):
        (tmp_path / name / "labelsTr").mkdir(parents=True)
    (tmp_path / "Dataset007_Colon/labelsTr/case_1.nii.gz").touch()
    (tmp_path / "Dataset007_Colon/labelsTr/case_001.nii.gz").touch()
    (tmp_path / "Dataset008_Liver/labelsTr/a_name_that_is_much_longer.nii.gz").touch()

    assert longest_label(tmp_path, dataset) == len("case_001.nii.gz")
    assert longest_label(tmp_path, "9") is None


def closed(monkeypatch, folder):
    """Take the right to list a folder away, which root, as whom tests may run, always has."""
    scandir, isfile = os.scandir, os.path.isfile

    def refuse(path="."):
        if Path(path) == folder:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    monkeypatch.setattr(os.path, "isfile", lambda path: Path(path).parent != folder and isfile(path))


def test_a_folder_that_may_not_be_listed_is_told(context_of, tmp_path, monkeypatch):
    """nnU-Net lists all three folders for every dataset; one that is not there, or a file, is another matter."""
    raw = tmp_path / "raw"
    raw.mkdir()
    (tmp_path / "file").touch()
    environ = {
        "nnUNet_raw": str(raw),
        "nnUNet_preprocessed": str(tmp_path / "absent"),
        "nnUNet_results": str(tmp_path / "file"),
    }
    before = paths.look(context_of(environ)).values["paths.unreadable"]
    closed(monkeypatch, raw)
    values = paths.look(context_of(environ)).values

    assert before == ()
    assert values["paths.unreadable"] == (Detail("nnUNet_raw", f"{raw}: Permission denied"),)
    assert values["paths.raw_kind"] == "folder"
