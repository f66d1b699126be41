"""Small raw datasets, some without fault and many with exactly one, to test the dataset doctor against.

``CLEAN`` holds builders of datasets that nnU-Net takes as they are, in all formats and as odd as real ones are legally.
``FAULTS`` holds what goes wrong in the wild: each fault names the clean dataset that it spoils, the id that must be
found, the files that the finding must name, and the least depth of checking that must see it.

    folder = build("ct", tmp_path)
    fault = next(fault for fault in FAULTS if fault.name == "image cut in the middle")
    fault.plant(folder)

Everything is seeded: the same call gives the same voxels. Facts about what nnU-Net's readers accept were tried with
nnU-Net 2.8.1, SimpleITK 2.5.7, nibabel 5.4.2, scikit-image 0.26 and tifffile 2026.3.3; ``bench/compare_with_nnunet.py``
tries them again.
"""

from __future__ import annotations

import bz2
import gzip
import io
import itertools
import json
import os
import re
import shutil
import struct
import sys
import tarfile
import unicodedata
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import nibabel
import numpy as np
import tifffile
from PIL import Image

with warnings.catch_warnings():  # its generated wrapper is behind the newest Pythons
    warnings.simplefilter("ignore")
    import SimpleITK as sitk  # noqa: N813 - everybody calls it so
sitk.ProcessObject.SetGlobalWarningDisplay(False)  # it finds the faults of some files worth a line


Depth = Literal["quick", "default", "deep"]
Array = np.ndarray
Damage = Callable[[Path], None]
"""Spoils one file."""

DATASET, PREPROCESSED = "Dataset042_Planted", "preprocessed"
CASES = tuple(f"case_{number:03d}" for number in range(1, 7))
VICTIM, DONOR = "case_003", "case_002"
DEPTHS: tuple[Depth, ...] = ("quick", "default", "deep")

CODES = {
    "uint8": 2,
    "int16": 4,
    "int32": 8,
    "float32": 16,
    "complex64": 32,
    "float64": 64,
    "int8": 256,
    "uint16": 512,
    "uint32": 768,
    "int64": 1024,
}
"""NIfTI's numbers of data types."""

# --- content -------------------------------------------------------------------------------------------------------


def seeded(*words: object) -> np.random.Generator:
    """Return a generator of random numbers that depends on nothing but the words."""
    return np.random.default_rng(zlib.crc32(repr(words).encode()))


def ball(shape: Sequence[int], centre: Sequence[float], radii: Sequence[float]) -> Array:
    """Return a mask of an ellipsoid (or ellipse); centre and radii are shares of the shape."""
    grids = np.ogrid[tuple(slice(0, length) for length in shape)]
    parts = (((grid - c * n) / (r * n)) ** 2 for grid, c, r, n in zip(grids, centre, radii, shape, strict=True))
    return sum(parts) <= 1


def slices_of(case: str) -> int:
    """Return the number of slices of a case: 12 to 14, and the same for the usual victim and donor."""
    number = case.rpartition("_")[2]
    return 12 + (int(number) // 2 if number.isdecimal() else len(case)) % 3


def label_of(case: str, *, flat: bool = False) -> Array:
    """Return a label map (z, y, x), or (y, x) when flat, with background, organ 1 and lesion 2, like no other case's."""
    random = seeded("label", case)
    shape = (40, 48) if flat else (slices_of(case), 20, 24)
    centre = random.uniform(0.42, 0.58, len(shape))
    organ = ball(shape, centre, [0.28] * len(shape))
    lesion = ball(shape, centre + 0.05, [0.11] * len(shape)) | (organ & (random.random(shape) < 0.05))
    label = organ.astype(np.uint8)
    label[lesion] = 2
    return label


def ct_of(case: str, label: Array) -> Array:
    """Return a CT (int16, Hounsfield units): air of -1024 around a body in which organ and lesion stand out."""
    random = seeded("ct", case)
    image = np.where(ball(label.shape, [0.5] * label.ndim, [0.49] * label.ndim), 40 + 60 * (label > 0), -1024)
    image = image + 40 * (label == 2) + np.where(image > -1024, random.normal(0, 15, label.shape), 0)
    return image.astype(np.int16)


def mr_of(case: str, channel: int, label: Array) -> Array:
    """Return an MR image (float32) from 0 to about 1000; scanners scale as they like, so that cases differ."""
    random = seeded("mr", case, channel)
    body = ball(label.shape, [0.5] * label.ndim, [0.49] * label.ndim)
    image = body * (200 + 40 * channel) + 80 * label + body * random.normal(0, 20, label.shape)
    return (np.clip(image, 0, None) * random.uniform(0.8, 1.3)).astype(np.float32)


def colour_of(case: str, label: Array) -> Array:
    """Return an RGB image (y, x, 3) of uint8."""
    random = seeded("colour", case)
    noise = random.integers(0, 60, (*label.shape, 3))
    return (noise + 60 * label[..., None] + np.array([90, 50, 20])).astype(np.uint8)


@dataclass(frozen=True)
class Grid:
    """Where voxels lie, in ITK's terms: mm, LPS, x first; direction row by row."""

    spacing: tuple[float, ...] = (0.8, 0.8, 2.5)
    origin: tuple[float, ...] = (-90.5, -80.25, 30.0)
    direction: tuple[float, ...] = (1, 0, 0, 0, 1, 0, 0, 0, 1)

    @property
    def affine(self) -> Array:
        """The same in nibabel's terms: RAS, 4 x 4."""
        affine = np.eye(4)
        affine[:3, :3] = np.array(self.direction).reshape(3, 3) * self.spacing
        affine[:3, 3] = self.origin
        return np.diag([-1, -1, 1, 1]) @ affine


def grid_of(case: str) -> Grid:
    """Return a grid along the axes of the body that differs a little from case to case."""
    random = seeded("grid", case)
    across = round(float(random.uniform(0.7, 0.95)), 4)
    return Grid((across, across, float(random.choice([2.0, 2.5, 3.0]))), tuple(random.uniform(-200, 200, 3).round(3)))


def turned(grid: Grid, degrees: Sequence[float]) -> Grid:
    """Return the grid, turned about z, y and x."""
    (cz, cy, cx), (sz, sy, sx) = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    turn = about_z @ about_y @ about_x @ np.array(grid.direction).reshape(3, 3)
    return replace(grid, direction=tuple(turn.ravel()))


# --- files ---------------------------------------------------------------------------------------------------------


def write_sitk(path: Path, array: Array, grid: Grid | None = None, *, compress: bool = True) -> None:
    """Write an image as most conversion scripts do."""
    image = sitk.GetImageFromArray(array)
    if grid is not None:
        image.SetSpacing(grid.spacing)
        image.SetOrigin(grid.origin)
        image.SetDirection(grid.direction)
    sitk.WriteImage(image, str(path), compress)


def nifti(array: Array, affine: Array, codes: tuple[int, int] | None = None, *, units: str = "") -> bytes:
    """Return a NIfTI file as nibabel writes it: sform aligned, no qform, no units, unless told otherwise.

    Args:
        array: Voxels, (z, y, x).
        affine: To RAS, in mm.
        codes: Of qform and sform; both forms get the affine.
        units: Of space, "mm" for instance.
    """
    image = nibabel.Nifti1Image(np.ascontiguousarray(array.T), affine)
    if codes is not None:
        image.set_qform(affine, codes[0])
        image.set_sform(affine, codes[1])
    if units:
        image.header.set_xyzt_units(units)
    return image.to_bytes()


def gz(data: bytes, level: int = 6) -> bytes:
    """Compress without the time, so that the same content gives the same file."""
    return gzip.compress(data, level, mtime=0)


def write_json(
    folder: Path, channels: Sequence[str], cases: Sequence[str], ending: str, labels: Any = None, **more: Any
) -> None:
    """Write dataset.json as nnU-Net's generate_dataset_json does (dataset_conversion/generate_dataset_json.py)."""
    content = {
        "channel_names": {str(number): name for number, name in enumerate(channels)},
        "labels": {"background": 0, "organ": 1, "lesion": 2} if labels is None else labels,
        "numTraining": len(cases),
        "file_ending": ending,
        "licence": "CC-BY",
        **more,
    }
    (folder / "dataset.json").write_text(json.dumps(content, indent=4), encoding="utf-8")


def new_folder(root: Path) -> tuple[Path, Path, Path]:
    """Make an empty dataset and return its folder, and those of images and labels."""
    folder = root / DATASET
    images, labels = folder / "imagesTr", folder / "labelsTr"
    images.mkdir(parents=True)
    labels.mkdir()
    return folder, images, labels


def link_or_copy(source: Path, link: Path) -> None:
    """Make a relative symbolic link; where users may not (Windows), a copy."""
    try:
        link.symlink_to(os.path.relpath(source, link.parent))
    except OSError:
        shutil.copyfile(source, link)


# --- clean datasets ------------------------------------------------------------------------------------------------


def _ct(root: Path, cases: Sequence[str]) -> None:
    folder, images, labels = new_folder(root)
    for case in cases:
        label, grid = label_of(case), grid_of(case)
        write_sitk(images / f"{case}_0000.nii.gz", ct_of(case, label), grid)
        write_sitk(labels / f"{case}.nii.gz", label, grid)
    write_json(folder, ["CT"], cases, ".nii.gz")


def _large(root: Path, cases: Sequence[str]) -> None:
    """As large as it takes for ITK not to see damage: it notices only what lies in the first bytes that zlib reads.

    And as large as it takes for the doctor not to decode images unless it is told to, which it does with a few megabytes.
    """
    folder, images, labels = new_folder(root)
    for case in cases:
        label, grid = np.kron(label_of(case), np.ones((6, 6, 6), np.uint8)), grid_of(case)
        label[seeded("large", case).random(label.shape) < 0.02] = 1
        write_sitk(images / f"{case}_0000.nii.gz", ct_of(case, label), grid)
        write_sitk(labels / f"{case}.nii.gz", label, grid)
    write_json(folder, ["CT"], cases, ".nii.gz")


def _mr(root: Path, cases: Sequence[str]) -> None:
    folder, images, labels = new_folder(root)
    level = itertools.cycle(range(10))
    for case in cases:
        label, grid = label_of(case), grid_of(case)
        for channel in range(4):
            image, path = mr_of(case, channel, label), images / f"{case}_{channel:04d}.nii.gz"
            if channel == 2:
                write_sitk(path, image.astype(np.int16), grid)
            else:
                stored = image.astype(np.int16) if channel == 0 else image
                path.write_bytes(gz(nifti(stored, grid.affine, (1, 1), units="mm"), next(level)))
        (labels / f"{case}.nii.gz").write_bytes(gz(nifti(label, grid.affine, (1, 1), units="mm"), next(level)))
    write_json(folder, ["T1", "T1ce", "T2", "FLAIR"], cases, ".nii.gz")


def _nii(root: Path, cases: Sequence[str]) -> None:
    folder, images, labels = new_folder(root)
    for case in cases:
        label, affine = label_of(case), grid_of(case).affine
        (images / f"{case}_0000.nii").write_bytes(nifti(mr_of(case, 0, label), affine))
        (labels / f"{case}.nii").write_bytes(nifti(label, affine))
    write_json(folder, ["T2"], cases, ".nii")


def _by_sitk(ending: str) -> Callable[[Path, Sequence[str]], None]:
    """Return a builder: float32 MR and uint8 labels, of which some are not compressed."""

    def builder(root: Path, cases: Sequence[str]) -> None:
        folder, images, labels = new_folder(root)
        for case in cases:
            label, grid = label_of(case), grid_of(case)
            write_sitk(images / f"{case}_0000{ending}", mr_of(case, 0, label), grid, compress=case not in CASES[3:5])
            write_sitk(labels / f"{case}{ending}", label, grid, compress=case not in CASES[4:])
        write_json(folder, ["ADC"], cases, ending)

    return builder


def _gipl(root: Path, cases: Sequence[str]) -> None:
    folder, images, labels = new_folder(root)
    for case in cases:
        label, grid = label_of(case), Grid((1.0, 1.0, 2.5), (0.0, 0.0, 0.0))
        write_sitk(images / f"{case}_0000.gipl", ct_of(case, label), grid)
        write_sitk(labels / f"{case}.gipl", label, grid)
    write_json(folder, ["CT"], cases, ".gipl")


def _flat(ending: str, channels: Sequence[str], **how: Any) -> Callable[[Path, Sequence[str]], None]:
    """Return a builder of 2D images: RGB for three channels, else grey."""

    def builder(root: Path, cases: Sequence[str]) -> None:
        folder, images, labels = new_folder(root)
        for case in cases:
            label = label_of(case, flat=True)
            image = colour_of(case, label)
            picture = Image.fromarray(image if len(channels) == 3 else image[..., 0])
            picture.save(images / f"{case}_0000{ending}", **how)
            Image.fromarray(label).save(labels / f"{case}{ending}", **how)
        write_json(folder, channels, cases, ending)

    return builder


def _png_binary(root: Path, cases: Sequence[str]) -> None:
    """One label, stored with one bit; images of 16 bits with one channel a file."""
    folder, images, labels = new_folder(root)
    for case in cases:
        label = label_of(case, flat=True)
        for channel in range(2):
            grey = mr_of(case, channel, label).astype(np.uint16) * 50
            Image.fromarray(grey).save(images / f"{case}_{channel:04d}.png")
        Image.fromarray(label > 0).save(labels / f"{case}.png")
    write_json(folder, ["phase", "amplitude"], cases, ".png", {"background": 0, "cell": 1})


def _png_rgba(root: Path, cases: Sequence[str]) -> None:
    """Four channels in one file, declared as such, and labels of 16 bits."""
    folder, images, labels = new_folder(root)
    for case in cases:
        label = label_of(case, flat=True)
        alpha = seeded("alpha", case).integers(1, 255, label.shape).astype(np.uint8)
        picture = Image.fromarray(np.dstack([colour_of(case, label), alpha]))
        picture.save(images / f"{case}_0000.png", dpi=(96, 96), compress_level=0)
        Image.fromarray(label.astype(np.uint16)).save(labels / f"{case}.png", compress_level=9)
    write_json(folder, ["R", "G", "B", "A"], cases, ".png")


def _volumes_as_tiff(ending: str) -> Callable[[Path, Sequence[str]], None]:
    """Return a builder of 3D TIFF with the spacing beside it (nnunetv2/imageio/tif_reader_writer.py)."""

    def builder(root: Path, cases: Sequence[str]) -> None:
        folder, images, labels = new_folder(root)
        for case in cases:
            label, spacing = label_of(case), json.dumps({"spacing": list(grid_of(case).spacing[::-1])})
            tifffile.imwrite(images / f"{case}_0000{ending}", mr_of(case, 0, label))
            tifffile.imwrite(labels / f"{case}{ending}", label, compression="zlib")
            (images / f"{case}.json").write_text(spacing, encoding="utf-8")
            (labels / f"{case}.json").write_text(spacing, encoding="utf-8")
        write_json(folder, ["fluorescence"], cases, ending)

    return builder


def _tif_odd(root: Path, cases: Sequence[str]) -> None:
    """LZW, 1 bit and palettes: tifffile, which nnU-Net reads .tif with, gives the indices of a palette, not its colours."""
    folder, images, labels = new_folder(root)
    for number, case in enumerate(cases):
        label = label_of(case, flat=True)
        Image.fromarray(colour_of(case, label)[..., 0]).save(images / f"{case}_0000.tif", compression="tiff_lzw")
        picture = Image.fromarray(label)
        if number % 2:
            picture.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0] + [7] * 759)
        picture.save(labels / f"{case}.tif")
    write_json(folder, ["grey"], cases, ".tif")


def _regions(root: Path, cases: Sequence[str]) -> None:
    _ct(root, cases)
    labels = {"background": 0, "whole": [1, 2], "lesion": [2]}
    write_json(root / DATASET, ["CT"], cases, ".nii.gz", labels, regions_class_order=[1, 2])


def _ignore(root: Path, cases: Sequence[str]) -> None:
    _ct(root, cases)
    write_json(root / DATASET, ["CT"], cases, ".nii.gz", {"background": 0, "organ": 1, "ignore": 2})


def _paths(place: str) -> Callable[[Path, Sequence[str]], None]:
    """Return a builder of a dataset whose dataset.json lists the files, in a folder relative to the dataset."""

    def builder(root: Path, cases: Sequence[str]) -> None:
        folder = root / DATASET
        folder.mkdir(parents=True)
        listed = {}
        for case in cases:
            label, grid = label_of(case), grid_of(case)
            (folder / place / case).mkdir(parents=True)
            names = [f"{place}/{case}/{name}.nii.gz" for name in ("t1", "t2", "seg")]
            for channel, name in enumerate(names[:2]):
                write_sitk(folder / name, mr_of(case, channel, label), grid)
            write_sitk(folder / names[2], label, grid)
            listed[case] = {"images": names[:2], "label": names[2]}
        write_json(folder, ["T1", "T2"], cases, ".nii.gz", dataset=listed)

    return builder


def _oblique(root: Path, cases: Sequence[str]) -> None:
    """Turned grids, written with both forms: the quaternion of the qform is rounded, so that they never quite agree."""
    folder, images, labels = new_folder(root)
    for number, case in enumerate(cases):
        label, random = label_of(case), seeded("turn", case)
        grid = turned(grid_of(case), random.uniform(-35, 35, 3))
        image = ct_of(case, label)
        if number % 2:
            write_sitk(images / f"{case}_0000.nii.gz", image, grid)
            write_sitk(labels / f"{case}.nii.gz", label, grid)
        else:
            rounded = replace(grid, direction=tuple(np.round(grid.direction, 6)))  # as DICOM files give it
            (images / f"{case}_0000.nii.gz").write_bytes(gz(nifti(image, rounded.affine, (1, 1), units="mm")))
            (labels / f"{case}.nii.gz").write_bytes(gz(nifti(label, rounded.affine, (1, 1), units="mm")))
    write_json(folder, ["ct"], cases, ".nii.gz")


def _nibabel_written(root: Path, cases: Sequence[str]) -> None:
    """sform_code 2, qform_code 0, no units, left-handed axes, and text in a header extension before the voxels."""
    folder, images, labels = new_folder(root)
    for case in cases:
        label, affine = label_of(case), grid_of(case).affine @ np.diag([-1, 1, 1, 1])
        image = nibabel.Nifti1Image(np.ascontiguousarray(ct_of(case, label).T), affine)
        image.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"converted by hand " * 9))
        (images / f"{case}_0000.nii.gz").write_bytes(gz(image.to_bytes()))
        (labels / f"{case}.nii.gz").write_bytes(gz(nifti(label, affine)))
    write_json(folder, ["CT"], cases, ".nii.gz")


def _sitk_written(root: Path, cases: Sequence[str]) -> None:
    """All stored types that SimpleITK makes of integers, and a label whose grid is rounded in the seventh place."""
    folder, images, labels = new_folder(root)
    kinds = itertools.cycle(["int16", "int32", "float32", "float64"])
    for case, kind in zip(cases, kinds, strict=False):
        label, grid = label_of(case), grid_of(case)
        near = replace(grid, spacing=tuple(length * (1 + 2e-7) for length in grid.spacing))
        write_sitk(images / f"{case}_0000.nii.gz", ct_of(case, label).astype(kind), grid)
        write_sitk(labels / f"{case}.nii.gz", label.astype(np.uint16 if kind == "int16" else np.int16), near)
    write_json(folder, ["CT"], cases, ".nii.gz")


def _with_test(root: Path, cases: Sequence[str]) -> None:
    """Test images, and beside the dataset what nnU-Net has noted of its spacings when it was planned."""
    folder, images, labels = new_folder(root)
    test = folder / "imagesTs"
    test.mkdir()
    for case in cases:
        label, grid = label_of(case), grid_of(case)
        for channel in range(2):
            write_sitk(images / f"{case}_{channel:04d}.nii.gz", mr_of(case, channel, label), grid)
        write_sitk(labels / f"{case}.nii.gz", label, grid)
    for case, like in (("test_001", cases[0]), ("test_002", cases[1])):
        label, grid = label_of(case), grid_of(like)
        for channel in range(2):
            write_sitk(test / f"{case}_{channel:04d}.nii.gz", mr_of(case, channel, label), grid)
    (folder / "labelsTs").mkdir()
    write_sitk(folder / "labelsTs" / "test_001.nii.gz", label_of("test_001"), grid_of(cases[0]))
    planned = root / PREPROCESSED / DATASET
    planned.mkdir(parents=True)
    for place in (folder, planned):
        write_json(place, ["T1", "T2"], cases, ".nii.gz")
    fingerprint = {"spacings": [grid_of(case).spacing[::-1] for case in cases]}
    (planned / "dataset_fingerprint.json").write_text(json.dumps(fingerprint), encoding="utf-8")


AWKWARD_CASES = (
    "case_0001.5_a",
    "0007",
    "scan_0000",
    "P.12-v2",
    "a+b=c [1]",
    "pat (2)",
    "x",
    "_under_",
    "it's",
    "50%",
    unicodedata.normalize("NFC", "Gr\u00f6\u00dfe"),
    "\u60a3\u8005_01",
)


def _awkward(root: Path, cases: Sequence[str]) -> None:
    """Everything that looks strange and is right: names, files beside, links, keys that nnU-Net does not use."""
    folder, images, labels = new_folder(root)
    store = root / "store"
    store.mkdir()
    for number, case in enumerate(cases):
        label, grid = label_of(case), grid_of(case)
        image_path, label_path = images / f"{case}_0000.nii.gz", labels / f"{case}.nii.gz"
        if number % 4 == 3:
            write_sitk(store / f"{number}.nii.gz", ct_of(case, label), grid)
            write_sitk(store / f"{number}_seg.nii.gz", label, grid)
            link_or_copy(store / f"{number}.nii.gz", image_path)
            link_or_copy(store / f"{number}_seg.nii.gz", label_path)
        else:
            write_sitk(image_path, ct_of(case, label), grid)
            write_sitk(label_path, label, grid)
    for place in (folder, images, labels):
        (place / ".DS_Store").write_bytes(b"\0\0\0\1Bud1" + bytes(64))
        (place / "Thumbs.db").write_bytes(bytes(64))
    (folder / "README.md").write_text("# Where this comes from\n", encoding="utf-8")
    (images / "notes.txt").write_text("case x was scanned twice\n", encoding="utf-8")
    (labels / "raters.json").write_text("{}", encoding="utf-8")
    (images / "old").mkdir()
    (images / "old" / "case_0000.nii").write_bytes(b"forgotten")
    more = {
        "name": "Ger\u00e4t \u4e2d\u6587",
        "tensorImageSize": "3D",
        "test": [],
        "training": [{"image": "./imagesTr/x.nii.gz", "label": "./labelsTr/x.nii.gz"}],
        "overwrite_image_reader_writer": "SimpleITKIO",
    }
    write_json(folder, ["CT"], cases, ".nii.gz", **more)
    text = (folder / "dataset.json").read_text(encoding="utf-8")
    unescaped = json.dumps(json.loads(text), indent=1, ensure_ascii=False)
    (folder / "dataset.json").write_bytes(unescaped.replace("\n", "\r\n").encode("utf-8"))


def gzip_member(data: bytes, flags: int = 0) -> bytes:
    """Return a gzip member whose header carries what gzip allows: 2 checksum, 4 extra, 8 name, 16 comment."""
    header = struct.pack("<4BIBB", 0x1F, 0x8B, 8, flags, 1_700_000_000, 2, 3)
    header += struct.pack("<H2sH4s", 8, b"XY", 4, b"1234") if flags & 4 else b""
    header += b"\xe9 case.nii\0" if flags & 8 else b""
    header += b"compressed by a scanner\0" if flags & 16 else b""
    header += struct.pack("<H", zlib.crc32(header) & 0xFFFF) if flags & 2 else b""
    packer = zlib.compressobj(6, wbits=-15)
    return header + packer.compress(data) + packer.flush() + struct.pack("<II", zlib.crc32(data), len(data))


def gz_variants(data: bytes) -> list[bytes]:
    """Return files that all decompress to the same: stored, with names, in members, with bgzip's end, padded."""
    middle, empty = len(data) // 2, gzip_member(b"")
    return [
        gz(data, 0),
        gzip_member(data, 2 | 4 | 8 | 16),
        gzip_member(data[:100]) + gzip_member(data[100:middle], 8) + gzip_member(data[middle:]),
        b"".join(gzip_member(data[start : start + 999], 4) for start in range(0, len(data), 999)) + empty,
        gz(data, 9) + bytes(512),
        empty + gz(data, 1),
    ]


def _gzip_variants(root: Path, cases: Sequence[str]) -> None:
    folder, images, labels = new_folder(root)
    for number, case in enumerate(cases):
        label, affine = label_of(case), grid_of(case).affine
        variants = gz_variants(nifti(ct_of(case, label), affine, (1, 1), units="mm"))
        (images / f"{case}_0000.nii.gz").write_bytes(variants[number % len(variants)])
        variants = gz_variants(nifti(label, affine, (1, 1), units="mm"))
        (labels / f"{case}.nii.gz").write_bytes(variants[(number + 1) % len(variants)])
    write_json(folder, ["CT"], cases, ".nii.gz")


def swapped(data: bytes) -> bytes:
    """Return a NIfTI file in the other byte order."""
    image = nibabel.Nifti1Image.from_bytes(data)
    header = image.header.as_byteswapped(">")
    stored = np.asanyarray(image.dataobj).astype(header.get_data_dtype())
    return nibabel.Nifti1Image(stored, None, header).to_bytes()


def _big_endian(ending: str) -> Callable[[Path, Sequence[str]], None]:
    def builder(root: Path, cases: Sequence[str]) -> None:
        folder, images, labels = new_folder(root)
        pack = gz if ending.endswith(".gz") else bytes
        for case in cases:
            label, affine = label_of(case), grid_of(case).affine
            image = nifti(mr_of(case, 0, label), affine, (1, 1))
            (images / f"{case}_0000{ending}").write_bytes(pack(swapped(image)))
            (labels / f"{case}{ending}").write_bytes(pack(swapped(nifti(label.astype(np.int16), affine, (1, 1)))))
        write_json(folder, ["T1"], cases, ending)

    return builder


def _scaled(root: Path, cases: Sequence[str]) -> None:
    """CT stored from 0 with an intercept of -1024, MR-like slopes, labels stored as 0, 2, 4 with a slope of a half."""
    folder, images, labels = new_folder(root)
    for number, case in enumerate(cases):
        label, affine = label_of(case), grid_of(case).affine
        image = ct_of(case, label)
        if number % 2:
            stored, slope, inter = ((image + 1024.0) * 4).astype(np.uint16), 0.25, -1024.0
        else:  # two ways to say: not scaled
            nothing = float("nan") if number % 4 else 0.0
            stored, slope, inter = image, nothing, nothing
        data = nifti(stored, affine, (1, 1), units="mm")
        (images / f"{case}_0000.nii.gz").write_bytes(gz(patched(data, "<2f", 112, slope, inter)))
        data = nifti(label * 2, affine, (1, 1), units="mm")
        (labels / f"{case}.nii.gz").write_bytes(gz(patched(data, "<2f", 112, 0.5, 0.0)))
    write_json(folder, ["CT"], cases, ".nii.gz")


def _nifti2(root: Path, cases: Sequence[str]) -> None:
    """NibabelIO reads NIfTI-2; SimpleITK does not."""
    folder, images, labels = new_folder(root)
    for case in cases:
        label, affine = label_of(case), grid_of(case).affine
        for path, array in ((images / f"{case}_0000.nii", mr_of(case, 0, label)), (labels / f"{case}.nii", label)):
            path.write_bytes(nibabel.Nifti2Image(np.ascontiguousarray(array.T), affine).to_bytes())
    write_json(folder, ["T2"], cases, ".nii")


def _fourth_axis_of_one(root: Path, cases: Sequence[str]) -> None:
    """ITK drops trailing axes of length 1."""
    folder, images, labels = new_folder(root)
    for case in cases:
        label, affine = label_of(case), grid_of(case).affine
        (images / f"{case}_0000.nii.gz").write_bytes(gz(nifti(ct_of(case, label)[None], affine, (1, 1))))
        (labels / f"{case}.nii.gz").write_bytes(gz(nifti(label[None], affine, (1, 1))))
    write_json(folder, ["CT"], cases, ".nii.gz")


def _flat_nifti(root: Path, cases: Sequence[str]) -> None:
    """2D NIfTI, which SimpleITKIO takes."""
    folder, images, labels = new_folder(root)
    grid = Grid((0.5, 0.5), (0.0, 0.0), (1, 0, 0, 1))
    for case in cases:
        label = label_of(case, flat=True)
        write_sitk(images / f"{case}_0000.nii.gz", mr_of(case, 0, label), grid)
        write_sitk(labels / f"{case}.nii.gz", label, grid)
    write_json(folder, ["XRay"], cases, ".nii.gz")


def nrrd(array: Array, grid: Grid, encoding: str = "raw", *, endian: str = "little", more: str = "") -> bytes:
    """Return an NRRD file written by hand; its header is as free as the format is."""
    kind = {"uint8": "uint8_t", "int16": "signed short", "float32": "float"}[array.dtype.name]
    matrix = np.array(grid.direction).reshape(3, 3) * grid.spacing
    vectors = " ".join("(" + ",".join(f"{value:.17g}" for value in column) + ")" for column in matrix.T)
    stored = array.astype(array.dtype.newbyteorder(">" if endian == "big" else "<")).tobytes()
    pack = {
        "raw": lambda: stored,
        "gzip": lambda: gz(stored),
        "gz": lambda: gz(stored),
        "bzip2": lambda: bz2.compress(stored),
        "ascii": lambda: " ".join(map(repr, array.ravel().tolist())).encode(),
        "hex": lambda: stored.hex().encode(),
    }
    lines = [
        "NRRD0005",
        "# written by hand",
        f"type: {kind}",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {' '.join(str(length) for length in array.shape[::-1])}",
        f"space directions: {vectors}",
        "kinds: domain domain domain",
        f"endian: {endian}",
        f"encoding: {encoding}",
        "space origin: (" + ",".join(f"{value:.17g}" for value in grid.origin) + ")",
        *more.splitlines(),
        "",
        "",
    ]
    return "\n".join(lines).encode() + pack[encoding]()


def _nrrd_odd(root: Path, cases: Sequence[str]) -> None:
    folder, images, labels = new_folder(root)
    ways = itertools.cycle(
        [
            {"encoding": "raw"},
            {"encoding": "raw", "endian": "big"},
            {"encoding": "gz"},
            {"encoding": "ascii"},
            {"encoding": "hex"},
            {"encoding": "gzip", "more": "Segmentation_MasterRepresentation:=Binary labelmap\n# a remark"},
        ]
    )
    for case, way in zip(cases, ways, strict=False):
        label, grid = label_of(case), grid_of(case)
        (images / f"{case}_0000.nrrd").write_bytes(nrrd(ct_of(case, label), grid, **way))
        (labels / f"{case}.nrrd").write_bytes(nrrd(label, grid, **way))
    write_json(folder, ["CT"], cases, ".nrrd")


def mha(array: Array, grid: Grid, *, msb: bool = False, packed: bool = False, more: str = "") -> bytes:
    """Return a MetaImage file written by hand."""
    kind = {"uint8": "MET_UCHAR", "int16": "MET_SHORT", "float32": "MET_FLOAT"}[array.dtype.name]
    data = array.astype(array.dtype.newbyteorder(">" if msb else "<")).tobytes()
    data = zlib.compress(data) if packed else data
    matrix = np.array(grid.direction).reshape(3, 3).T.ravel()  # MetaImage keeps columns together
    words = {
        "ObjectType": "Image",
        "NDims": 3,
        "Comment": "written by hand",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": msb,
        "CompressedData": packed,
        **({"CompressedDataSize": len(data)} if packed else {}),
        "TransformMatrix": " ".join(f"{value:.17g}" for value in matrix),
        "Offset": " ".join(f"{value:.17g}" for value in grid.origin),
        "ElementSpacing": " ".join(f"{value:.17g}" for value in grid.spacing),
        "DimSize": " ".join(str(length) for length in array.shape[::-1]),
        "ElementType": kind,
    }
    text = "".join(f"{word} = {value}\n" for word, value in words.items()) + more + "ElementDataFile = LOCAL\n"
    return text.encode() + data


def _mha_odd(root: Path, cases: Sequence[str]) -> None:
    folder, images, labels = new_folder(root)
    for number, case in enumerate(cases):
        label, grid, msb = label_of(case), grid_of(case), number % 3 == 0
        image = mha(ct_of(case, label), grid, msb=msb, packed=number % 2 == 1)
        (images / f"{case}_0000.mha").write_bytes(image)
        (labels / f"{case}.mha").write_bytes(mha(label, grid, packed=number % 2 == 0))
    write_json(folder, ["CT"], cases, ".mha")


def _labels_as_text(root: Path, cases: Sequence[str]) -> None:
    """nnU-Net takes int() of every value (LabelManager._get_all_labels)."""
    _ct(root, cases)
    write_json(root / DATASET, ["CT"], cases, ".nii.gz", {"background": "0", "organ": "1", "lesion": "2"})


def _labels_stored_large(root: Path, cases: Sequence[str]) -> None:
    _ct(root, cases)
    for case, kind in zip(cases, itertools.cycle(["float32", "float64", "int32", "int64", "int8"]), strict=False):
        edit_voxels(root / DATASET / "labelsTr" / f"{case}.nii.gz", lambda label, kind=kind: label.astype(kind))


def _labels_with_dust(root: Path, cases: Sequence[str]) -> None:
    """What a computation in double precision leaves is gone in float32, which nnU-Net reads everything as."""
    _ct(root, cases)
    for case in cases:
        edit_voxels(root / DATASET / "labelsTr" / f"{case}.nii.gz", lambda label: label * (1 + 1e-12))


def _linked_folders(root: Path, cases: Sequence[str]) -> None:
    """The folders of images and labels are links."""
    _ct(root, cases)
    for place in ("imagesTr", "labelsTr"):
        (root / DATASET / place).rename(root / place)
        try:
            (root / DATASET / place).symlink_to(f"../{place}", target_is_directory=True)
        except OSError:
            (root / place).rename(root / DATASET / place)


def _healthy_cases(root: Path, cases: Sequence[str]) -> None:
    """Two cases without foreground, whose label files are the same byte for byte when their grids are."""
    folder, images, labels = new_folder(root)
    for number, case in enumerate(cases):
        label, grid = label_of(case), Grid()
        if number in (1, 4):
            label = np.zeros((12, 20, 24), np.uint8)
        write_sitk(images / f"{case}_0000.nii.gz", ct_of(case, label), grid)
        write_sitk(labels / f"{case}.nii.gz", label, grid)
    write_json(folder, ["CT"], cases, ".nii.gz")


def _names_like_ct(root: Path, cases: Sequence[str]) -> None:
    """Channel names that hold the letters c and t, and are no CT."""
    _mr(root, cases)
    write_json(root / DATASET, ["OCT", "fractional anisotropy", "contrast", "noNorm"], cases, ".nii.gz")


def _reoriented(root: Path, cases: Sequence[str]) -> None:
    """Cases lie differently, and the reader that is named turns them all to RAS."""
    folder, images, labels = new_folder(root)
    for number, case in enumerate(cases):
        label, grid = label_of(case), grid_of(case)
        grid = replace(grid, direction=(-1, 0, 0, 0, -1, 0, 0, 0, 1)) if number % 2 else grid
        write_sitk(images / f"{case}_0000.nii.gz", mr_of(case, 0, label), grid)
        write_sitk(labels / f"{case}.nii.gz", label, grid)
    more = {"overwrite_image_reader_writer": "NibabelIOWithReorient"}
    write_json(folder, ["T1"], cases, ".nii.gz", **more)


def _nothing(root: Path, cases: Sequence[str]) -> None:
    del cases
    (root / DATASET).mkdir(parents=True)


@dataclass(frozen=True)
class Clean:
    """A dataset without fault.

    Attributes:
        write: Builds it below a folder, with these cases.
        infos: Ids of severity info that may be found, with the reason.
        cases: Names of its cases when they are part of the point.
    """

    write: Callable[[Path, Sequence[str]], None]
    infos: Mapping[str, str] = field(default_factory=dict)
    cases: tuple[str, ...] = CASES


_UNORIENTED = {"no-orientation": "the format knows no orientation, or the file leaves it out, which all do alike here"}

CLEAN: dict[str, Clean] = {
    "ct": Clean(_ct),
    "large": Clean(_large),
    "mr": Clean(_mr),
    "nii": Clean(_nii),
    "nrrd": Clean(_by_sitk(".nrrd")),
    "mha": Clean(_by_sitk(".mha")),
    "gipl": Clean(_gipl, _UNORIENTED),
    "png": Clean(_flat(".png", ["R", "G", "B"])),
    "png-grey": Clean(_flat(".png", ["grey"])),
    "png-binary": Clean(_png_binary),
    "png-rgba": Clean(_png_rgba),
    "bmp": Clean(_flat(".bmp", ["grey"])),
    "tif2d": Clean(_flat(".tif", ["R", "G", "B"])),
    "tif2d-odd": Clean(_tif_odd),
    "tiff": Clean(_volumes_as_tiff(".tiff")),
    "tif3d": Clean(_volumes_as_tiff(".tif")),
    "regions": Clean(_regions),
    "ignore": Clean(_ignore),
    "paths": Clean(_paths("scans")),
    "paths-elsewhere": Clean(_paths("../shared/scans")),
    "oblique": Clean(_oblique),
    "nibabel-written": Clean(_nibabel_written),
    "sitk-written": Clean(_sitk_written),
    "with-test": Clean(_with_test),
    "awkward-but-legal": Clean(_awkward, {}, AWKWARD_CASES),
    "gzip-variants": Clean(_gzip_variants),
    "big-endian": Clean(_big_endian(".nii.gz")),
    "big-endian-nii": Clean(_big_endian(".nii")),
    "scaled": Clean(_scaled, {"label-float": "a slope of a half makes floating point of the labels"}),
    "nifti2": Clean(_nifti2),
    "fourth-axis-of-one": Clean(_fourth_axis_of_one),
    "flat-nifti": Clean(_flat_nifti),
    "nrrd-odd": Clean(_nrrd_odd),
    "mha-odd": Clean(_mha_odd),
    "labels-as-text": Clean(_labels_as_text),
    "labels-stored-large": Clean(
        _labels_stored_large,
        {"label-float": "two labels are stored so, which works", "label-wide-dtype": "two others are, which works too"},
    ),
    "labels-with-dust": Clean(_labels_with_dust, {"label-float": "they are stored as float64"}),
    "linked-folders": Clean(_linked_folders),
    "healthy-cases": Clean(_healthy_cases, {"label-empty": "two cases are healthy"}),
    "names-like-ct": Clean(_names_like_ct),
    "reoriented": Clean(_reoriented, {"orientation-mixed": "they are mixed, though the reader turns them"}),
}

_BARE = Clean(_nothing)


def build(base: str, root: Path, cases: Sequence[str] | None = None) -> Path:
    """Build a clean dataset below a folder and return its own folder; "nothing" gives an empty one."""
    clean = CLEAN.get(base, _BARE)
    clean.write(root, clean.cases if cases is None else cases)
    return root / DATASET


# --- how files are spoilt ------------------------------------------------------------------------------------------


def overwritten(content: bytes) -> Damage:
    """Put other content under the name."""
    return lambda path: _replace(path, content)


def rewritten(change: Callable[[bytes], bytes]) -> Damage:
    """Change the bytes as they lie on the disk."""

    def damage(path: Path) -> None:
        data = path.read_bytes()
        made = change(data)
        if made == data:
            raise ValueError(f"{path.name} is not changed")
        _replace(path, made)

    return damage


def replaced(old: bytes, new: bytes) -> Damage:
    """Put bytes in the place of others, wherever these are."""
    return rewritten(lambda data: data.replace(old, new))


def reheadered(format: str, offset: int, *values: float | bytes) -> Damage:
    """Change fields of a NIfTI header, compressed or not."""
    return lambda path: _store(path, patched(_load(path), format, offset, *values))


def patched(data: bytes, format: str, offset: int, *values: float | bytes) -> bytes:
    """Return bytes with packed values at a place."""
    return data[:offset] + struct.pack(format, *values) + data[offset + struct.calcsize(format) :]


def inflated(change: Callable[[bytes], bytes]) -> Damage:
    """Change the bytes inside a gzip file and compress them again, soundly."""
    return lambda path: _store(path, change(_load(path)))


def regridded(change: Callable[[sitk.Image], sitk.Image | None]) -> Damage:
    """Change an image with SimpleITK and write it again."""

    def damage(path: Path) -> None:
        image = sitk.ReadImage(str(path))
        image = change(image) or image
        path.unlink()
        sitk.WriteImage(image, str(path), True)

    return damage


def revoxelled(change: Callable[[Array], Array]) -> Damage:
    """Change voxels and keep everything else."""
    return lambda path: edit_voxels(path, change)


def nifti_parts(data: bytes) -> tuple[bytes, Array]:
    """Return what lies before the voxels of a NIfTI file, and the voxels as stored."""
    offset, code = int(struct.unpack_from("<f", data, 108)[0]), struct.unpack_from("<h", data, 70)[0]
    rank, *lengths = struct.unpack_from("<8h", data, 40)
    kind = next(word for word, number in CODES.items() if number == code)
    return data[:offset], np.frombuffer(data[offset:], kind).reshape(lengths[:rank][::-1]).copy()


def edit_voxels(path: Path, change: Callable[[Array], Array]) -> None:
    """Change the voxels, (z, y, x) or (y, x[, colour]), of a file that one of the builders wrote; the grid stays."""
    name = path.name
    if name.endswith((".nii", ".nii.gz")):
        header, array = nifti_parts(_load(path))
        array = change(array)
        header = patched(header, "<hh", 70, CODES[array.dtype.name], array.dtype.itemsize * 8)
        header = patched(header, f"<h{array.ndim}h", 40, array.ndim, *array.shape[::-1])
        _store(path, header + array.tobytes())
    elif name.endswith((".nrrd", ".mha")):
        image = sitk.ReadImage(str(path))
        changed = sitk.GetImageFromArray(change(sitk.GetArrayFromImage(image)))
        changed.CopyInformation(image)
        path.unlink()
        sitk.WriteImage(changed, str(path), True)
    elif name.endswith(".tiff"):
        _replace_by(path, tifffile.imwrite, change(tifffile.imread(path)))
    else:
        with Image.open(path) as picture:
            array = change(np.asarray(picture).copy())
        _replace_by(path, lambda target, values: Image.fromarray(values).save(target), array)


def _replace_by(path: Path, write: Callable[[Path, Array], object], array: Array) -> None:
    path.unlink()
    write(path, array)


def _replace(path: Path, content: bytes) -> None:
    path.unlink()  # what a link leads to stays
    path.write_bytes(content)


def _load(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.name.endswith(".gz") else data


def _store(path: Path, data: bytes) -> None:
    _replace(path, gz(data) if path.name.endswith(".gz") else data)


def cut(share: float) -> Damage:
    """Keep the first part of a file."""
    return rewritten(lambda data: data[: int(len(data) * share)])


def kept(count: int) -> Damage:
    """Keep the first bytes; with a negative number, all but the last."""
    return rewritten(lambda data: data[:count])


def flipped(share: float) -> Damage:
    """Flip one bit at a place."""

    def change(data: bytes) -> bytes:
        place = int(len(data) * share)
        return data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]

    return rewritten(change)


def zeroed(start: float, end: float) -> Damage:
    """Put zeros over a part, as a copy does that was interrupted after the space was taken."""

    def change(data: bytes) -> bytes:
        first, last = int(len(data) * start), int(len(data) * end)
        return data[:first] + bytes(last - first) + data[last:]

    return rewritten(change)


def _in_text_mode(data: bytes) -> bytes:
    return data.replace(b"\n", b"\r\n")


def at_last_voxel(value: float, kind: str | None = None) -> Callable[[Array], Array]:
    """Put a value into the very last voxel, where a sloppy reader does not look."""

    def change(array: Array) -> Array:
        array = array if kind is None else array.astype(kind)
        array[(-1,) * array.ndim] = value
        return array

    return change


def in_some(value: float, kind: str | None = None) -> Callable[[Array], Array]:
    """Put a value into five voxels of the middle."""

    def change(array: Array) -> Array:
        array = array if kind is None else array.astype(kind)
        array.reshape(-1)[array.size // 2 : array.size // 2 + 5] = value
        return array

    return change


def moved(distance: float) -> Damage:
    """Move an image along x, in mm."""

    def change(image: sitk.Image) -> None:
        x, *rest = image.GetOrigin()
        image.SetOrigin((x + distance, *rest))

    return regridded(change)


def stretched(factor: float) -> Damage:
    """Multiply the spacing along the last axis."""

    def change(image: sitk.Image) -> None:
        *rest, last = image.GetSpacing()
        image.SetSpacing((*rest, last * factor))

    return regridded(change)


def enlarged(factor: float) -> Damage:
    """Multiply the spacing along all axes."""
    return regridded(lambda image: image.SetSpacing([length * factor for length in image.GetSpacing()]))


def directed(*direction: float) -> Damage:
    """Give an image a direction."""
    return regridded(lambda image: image.SetDirection(direction))


def rotated(degrees: float) -> Damage:
    """Turn an image about z."""

    def change(image: sitk.Image) -> None:
        image.SetDirection(turned(Grid(direction=image.GetDirection()), (degrees, 0, 0)).direction)

    return regridded(change)


FLIP = (-1, 0, 0, 0, -1, 0, 0, 0, 1)


def sheared(amount: float) -> Damage:
    """Shear the sform of a NIfTI file, along x by this share of the spacing of y."""

    def change(data: bytes) -> bytes:
        spacing = struct.unpack_from("<f", data, 84)[0]
        return patched(data, "<f", 284, amount * spacing)

    return inflated(change)


def converted(write: Callable[[Path, sitk.Image], None]) -> Damage:
    """Put the image there in another format, under the old name."""

    def damage(path: Path) -> None:
        image = sitk.ReadImage(str(path))
        write(path, image)

    return damage


def as_format(ending: str) -> Damage:
    """Write the image in the format of another ending, under the old name."""

    def write(path: Path, image: sitk.Image) -> None:
        other = path.with_name("converting" + ending)
        sitk.WriteImage(image, str(other))
        other.replace(path)

    return converted(write)


def repictured(change: Callable[[Image.Image], Image.Image], ending: str | None = None, **how: Any) -> Damage:
    """Change a picture with Pillow, and write it in the format of an ending, under the old name."""

    def damage(path: Path) -> None:
        with Image.open(path) as picture:
            picture.load()
            changed = change(picture)
        other = path.with_name("converting" + (ending or path.suffix))
        changed.save(other, **how)
        other.replace(path)

    return damage


def png_chunks(data: bytes) -> list[bytes]:
    """Return the chunks of a PNG file, each with length, name and checksum."""
    chunks, place = [], 8
    while place < len(data):
        end = place + 12 + struct.unpack_from(">I", data, place)[0]
        chunks.append(data[place:end])
        place = end
    return chunks


def rechunked(change: Callable[[bytes], bytes]) -> Damage:
    """Change the chunks of a PNG file one by one; an empty one is left out."""
    return rewritten(lambda data: data[:8] + b"".join(change(chunk) for chunk in png_chunks(data)))


def _with_checksum_wrong(chunk: bytes) -> bytes:
    return chunk[:-1] + bytes([chunk[-1] ^ 1]) if chunk[4:8] == b"IDAT" else chunk


def _with_bit_flipped(chunk: bytes) -> bytes:
    middle = len(chunk) // 2
    return chunk[:middle] + bytes([chunk[middle] ^ 8]) + chunk[middle + 1 :] if chunk[4:8] == b"IDAT" else chunk


def _immense(chunk: bytes) -> bytes:
    if chunk[4:8] != b"IHDR":
        return chunk
    content = b"IHDR" + struct.pack(">II", 60_000, 60_000) + chunk[16:-4]
    return chunk[:4] + content + struct.pack(">I", zlib.crc32(content))


def palette_of(colours: Sequence[int]) -> Callable[[Image.Image], Image.Image]:
    """Return a change that gives a grey picture a palette; its values become indices."""

    def change(picture: Image.Image) -> Image.Image:
        other = Image.frombytes("P", picture.size, picture.tobytes())
        other.putpalette([*colours, *[0] * (768 - len(colours))])
        return other

    return change


def to_nifti2(path: Path) -> None:
    """Write a NIfTI-1 file as NIfTI-2."""
    image = nibabel.Nifti1Image.from_bytes(_load(path))
    _store(path, nibabel.Nifti2Image(np.asanyarray(image.dataobj), image.affine).to_bytes())


def to_rgb(data: bytes) -> bytes:
    """Return a NIfTI file of colours (data type 128) of the same grid."""
    lengths = struct.unpack_from("<3h", data, 42)
    header = patched(data[:352], "<hh", 70, 128, 24)
    return patched(header, "<f", 108, 352.0) + seeded("rgb").bytes(3 * int(np.prod(lengths)))


def in_four_dimensions(array: Array) -> Array:
    """Return two volumes, one after the other, along a fourth axis."""
    return np.stack([array, array + array.dtype.type(1)])


def dicom() -> bytes:
    """Return the beginning of a DICOM file: preamble, file meta information, a little of the data set."""
    syntax = b"1.2.840.10008.1.2.1\0"
    meta = struct.pack("<HH2sH", 2, 0x10, b"UI", len(syntax)) + syntax
    start = bytes(128) + b"DICM" + struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(meta)) + meta
    modality, name = struct.pack("<HH2sH", 8, 0x60, b"CS", 2) + b"CT", struct.pack("<HH2sH", 0x10, 0x10, b"PN", 4)
    return start + modality + name + b"A^B "


def zip_of(name: str, content: bytes) -> bytes:
    """Return a zip archive of one file."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), content)
    return stream.getvalue()


def tar_gz_of(name: str, content: bytes) -> bytes:
    """Return a .tar.gz of one file."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return gz(stream.getvalue())


def png_bytes() -> bytes:
    """Return a small PNG file."""
    stream = io.BytesIO()
    Image.fromarray(label_of("png", flat=True)).save(stream, "PNG")
    return stream.getvalue()


HTML = b"<!DOCTYPE html>\n<html><head><title>403 Forbidden</title></head><body>Please log in.</body></html>\n"
POINTER = (
    b"version https://git-lfs.github.com/spec/v1\n"
    b"oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345678\n"
)
APPLE_DOUBLE = b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(4000)

# --- faults --------------------------------------------------------------------------------------------------------

Need = Literal[
    "symbolic links",
    "two names by case",
    "two Unicode forms",
    "odd names",
    "long names",
    "byte names",
    "FIFO",
    "device",
]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault, and what must be said of it.

    In ids and names, ``|`` separates those of which any one suffices, since several are equally right; everything
    else that is listed must be there.

    Attributes:
        name: What is wrong, in words; unique.
        base: Name of the clean dataset that it spoils; "nothing" for an empty folder.
        change: Spoils a case of a dataset; arguments are the dataset's folder and the case.
        id: Of the finding.
        names: Files that the finding must name, relative to the dataset; "{case}" stands for the
            case, "{Case}" for the case in other letters. Empty: any.
        depth: Least depth at which it must be found.
        also: Ids of errors and warnings that may be found besides, as unavoidable consequences.
        may_name: Files that the finding may name besides.
        case: The case that is spoilt.
        alone: Whether it concerns all cases, so that it cannot be planted beside other faults.
        needs: What the file system must be able to do.
    """

    name: str
    base: str
    change: Callable[[Path, str], None]
    id: str
    names: tuple[str, ...]
    depth: Depth = "quick"
    also: tuple[str, ...] = ()
    may_name: tuple[str, ...] = ()
    case: str = VICTIM
    alone: bool = False
    needs: tuple[Need, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of which one must be found."""
        return tuple(self.id.split("|"))

    @property
    def subjects(self) -> tuple[str, ...]:
        """Files that the finding must name; alternatives are separated by ``|``."""
        return tuple(self._filled(name) for name in self.names)

    @property
    def nameable(self) -> set[str]:
        """All files that the finding may name."""
        return {self._filled(name) for names in (*self.names, *self.may_name) for name in names.split("|")}

    @property
    def depths(self) -> tuple[Depth, ...]:
        """Depths at which it must be found."""
        return DEPTHS[DEPTHS.index(self.depth) :]

    def _filled(self, name: str) -> str:
        return name.replace("{case}", self.case).replace("{Case}", self.case.capitalize())

    def plant(self, folder: Path) -> None:
        """Spoil a dataset."""
        self.change(folder, self.case)

    def at(self, case: str) -> Fault:
        """Return the same fault in another case."""
        return replace(self, case=case)


def lacking(needs: Sequence[Need], folder: Path) -> list[Need]:
    """Return those needs that the system or the file system of a folder does not meet."""
    return [need for need in needs if not _MET[need](folder)]


def _two_files(folder: Path, names: tuple[str, str]) -> bool:
    try:
        for name in names:
            (folder / name).touch()
        return len({path.name for path in folder.iterdir()} & set(names)) == 2
    finally:
        for name in names:
            (folder / name).unlink(missing_ok=True)


def _can_link(folder: Path) -> bool:
    link = folder / "link-on-trial"
    try:
        link.symlink_to("nothing")
    except OSError:
        return False
    link.unlink()
    return True


_MET: dict[Need, Callable[[Path], bool]] = {
    "symbolic links": _can_link,
    "two names by case": lambda folder: _two_files(folder, ("on-trial", "ON-TRIAL")),
    "two Unicode forms": lambda folder: _two_files(folder, ("\u00f6-on-trial", "o\u0308-on-trial")),
    "odd names": lambda _: os.name == "posix",
    "long names": lambda _: os.name == "posix",
    "byte names": lambda _: sys.platform == "linux",
    "FIFO": lambda _: hasattr(os, "mkfifo"),
    "device": lambda _: Path("/dev/zero").exists(),
}

_ENDINGS = {
    "nii": ".nii",
    "nrrd": ".nrrd",
    "mha": ".mha",
    "png": ".png",
    "png-grey": ".png",
    "bmp": ".bmp",
    "tif2d": ".tif",
    "tiff": ".tiff",
}

Role = Literal["image", "label", "both"]


def _in(role: Role, name: str, base: str, damage: Damage, id: str, depth: Depth = "quick", **more: Any) -> Fault:
    """Return the fault of one file of a case, or of its image and its label alike.

    Args:
        role: Which of them.
        name: Of the fault.
        base: Of the dataset.
        damage: What is done to each file.
        id: Of the finding.
        depth: Least depth that finds it.
        more: Of the fault; and ``channel``, the number of the image, and ``either``, when image and label do not fit
            together, so that the finding may name either.
    """
    ending, channel = _ENDINGS.get(base, ".nii.gz"), more.pop("channel", 0)
    image, label = f"imagesTr/{{case}}_{channel:04d}{ending}", f"labelsTr/{{case}}{ending}"
    spoilt = {"image": (image,), "label": (label,), "both": (image, label)}[role]
    if more.pop("either", False):
        more["names"] = (f"{image}|{label}",)

    def change(folder: Path, case: str) -> None:
        for path in spoilt:
            damage(folder / path.format(case=case))

    more = {"names": spoilt, **more}
    return Fault(name=name, base=base, change=change, id=id, depth=depth, **more)


def _image(name: str, base: str, damage: Damage, id: str, depth: Depth = "quick", **more: Any) -> Fault:
    return _in("image", name, base, damage, id, depth, **more)


def _label(name: str, base: str, damage: Damage, id: str, depth: Depth = "quick", **more: Any) -> Fault:
    return _in("label", name, base, damage, id, depth, **more)


def _both(name: str, base: str, damage: Damage, id: str, depth: Depth = "quick", **more: Any) -> Fault:
    return _in("both", name, base, damage, id, depth, **more)


_I, _L = "imagesTr/{case}_0000.nii.gz", "labelsTr/{case}.nii.gz"

_FOUND = DEPTHS[1]  # at the default depth: where labels are decoded, and floats that the reader would show as NaN

# --- faults: damaged files -----------------------------------------------------------------------------------------


def _crc(data: bytes) -> bytes:
    return data[:-8] + bytes([data[-8] ^ 0xFF]) + data[-7:]


def _length(data: bytes) -> bytes:
    return data[:-4] + struct.pack("<I", struct.unpack("<I", data[-4:])[0] + 7)


def _second_member_cut(data: bytes) -> bytes:
    plain = gzip.decompress(data)
    return gz(plain[:5000]) + gz(plain[5000:])[:-900]


def _bomb(data: bytes) -> bytes:
    return data + bytes(64 * 1024**2)


def _without_size(data: bytes) -> bytes:
    """ITK inflates nothing then, and takes the compressed bytes for voxels, without an error."""
    return re.sub(rb"CompressedDataSize = \d+\n", b"", data)


def _saved(text: bytes) -> Damage:
    return rewritten(lambda data: data + text)


_DAMAGED = [
    _image("image is empty", "ct", overwritten(b""), "unreadable"),
    _image("image of one byte", "ct", kept(1), "unreadable|not-gzip"),
    _image("image cut in the gzip header", "ct", kept(6), "unreadable"),
    _image("image cut in the NIfTI header", "ct", kept(60), "unreadable"),
    _image("image cut early", "ct", cut(0.1), "unreadable"),
    _image("image cut in the middle", "ct", cut(0.5), "unreadable"),
    _image("image without its last 8 bytes", "ct", kept(-8), "unreadable"),
    _image("image without its last byte", "ct", kept(-1), "unreadable"),
    _image("image with one bit flipped early", "ct", flipped(0.2), "unreadable", "deep"),
    _image("image with one bit flipped late", "ct", flipped(0.8), "unreadable", "deep"),
    _image("image with a wrong checksum", "ct", rewritten(_crc), "unreadable", "deep"),
    _image("image with a wrong length", "ct", rewritten(_length), "unreadable"),
    _image("image with a page appended", "ct", _saved(HTML), "unreadable"),
    _image("image appended to itself", "ct", rewritten(lambda data: data + data), "unreadable", "deep"),
    _image("image whose end is zeros", "ct", zeroed(0.75, 1), "unreadable"),
    _image("image with a hole of zeros", "ct", zeroed(0.4, 0.5), "unreadable", "deep"),
    _image("image all zeros", "ct", zeroed(0, 1), "unreadable|not-gzip|wrong-format"),
    _image("image sent in text mode", "ct", rewritten(_in_text_mode), "unreadable", "deep"),
    _image("image whose second gzip member is cut", "ct", rewritten(_second_member_cut), "unreadable"),
    _image("image with 64 MB too many", "ct", inflated(_bomb), "unreadable"),
    _image("image with a byte too few", "ct", inflated(lambda data: data[:-1]), "unreadable"),
    _image("image with a byte too many", "ct", inflated(lambda data: data + b"\0"), "unreadable"),
    _image("image of the header alone", "ct", inflated(lambda data: data[:352]), "unreadable"),
    _image("header 10 % wider", "ct", reheadered("<h", 42, 26), "unreadable", also=("shape-mismatch",)),
    _image("header 10 % narrower", "ct", reheadered("<h", 42, 22), "unreadable", also=("shape-mismatch",)),
    _image("header as wide as it can say", "ct", reheadered("<3h", 42, *[32767] * 3), "unreadable", also=("shape-mismatch",)),
    _image("header of 16 bits for 32", "ct", reheadered("<hh", 70, CODES["int32"], 32), "unreadable"),
    _image("negative width", "ct", reheadered("<h", 42, -24), "unreadable"),
    _image("no height", "ct", reheadered("<h", 44, 0), "unreadable|shape-mismatch", also=("shape-mismatch",)),
    _image("no dimensions", "ct", reheadered("<h", 40, 0), "unreadable|not-3d"),
    _image("3000 dimensions", "ct", reheadered("<h", 40, 3000), "unreadable"),
    _image("7 dimensions", "ct", inflated(lambda data: patched(patched(data, "<h", 40, 7), "<4h", 48, 1, 1, 1, 2)), "unreadable|not-3d|channel-count", also=("shape-mismatch", "not-3d", "channel-count")),
    _image("unknown data type", "ct", reheadered("<h", 70, 9999), "unreadable|not-scalar|reader-cannot-read"),
    _image("no data type", "ct", reheadered("<h", 70, 0), "unreadable|not-scalar|reader-cannot-read"),
    _image("voxels beyond the end", "ct", reheadered("<f", 108, 1e9), "unreadable"),
    _image("voxels from NaN", "ct", reheadered("<f", 108, float("nan")), "unreadable"),
    _image("voxels from -352", "ct", reheadered("<f", 108, -352.0), "unreadable"),
    _image("voxels from 400", "ct", reheadered("<f", 108, 400.0), "unreadable"),
    _image("no NIfTI magic", "ct", reheadered("<4s", 344, bytes(4)), "unreadable|wrong-format|reader-cannot-read|no-orientation|origin-mismatch", also=("origin-mismatch",)),
    _image("large image with one bit flipped", "large", flipped(0.5), "unreadable", "deep"),
    _image("large image with a wrong checksum", "large", rewritten(_crc), "unreadable", "deep"),
    _image("large image with a hole of zeros", "large", zeroed(0.6, 0.62), "unreadable", "deep"),
    _image("large image sent in text mode", "large", rewritten(_in_text_mode), "unreadable", "deep"),
    _label("large label with one bit flipped", "large", flipped(0.7), "unreadable", _FOUND),
    _label("large label with a hole of zeros", "large", zeroed(0.8, 0.82), "unreadable", _FOUND),
    _label("label is empty", "ct", overwritten(b""), "unreadable"),
    _label("label cut in the middle", "ct", cut(0.5), "unreadable"),
    _label("label without its last byte", "ct", kept(-1), "unreadable"),
    _label("label with one bit flipped", "ct", flipped(0.6), "unreadable", _FOUND),
    _label("label with a wrong checksum", "ct", rewritten(_crc), "unreadable", _FOUND),
    _label("label with a page appended", "ct", _saved(HTML), "unreadable"),
    _label("label with a byte too few", "ct", inflated(lambda data: data[:-1]), "unreadable"),
    _image("one channel cut", "mr", cut(0.7), "unreadable", channel=2),
    _image(".nii cut in the middle", "nii", cut(0.5), "unreadable"),
    _image(".nii cut in the header", "nii", kept(200), "unreadable|wrong-format"),
    _image(".nii without its last byte", "nii", kept(-1), "unreadable"),
    _image(".nii with bytes too many", "nii", _saved(bytes(100)), "unreadable"),
    _image(".nii is empty", "nii", overwritten(b""), "unreadable"),
    _image(".nii all zeros", "nii", zeroed(0, 1), "unreadable|wrong-format"),
    _image(".nii 10 % wider", "nii", reheadered("<h", 42, 26), "unreadable", also=("shape-mismatch",)),
    _image(".nii with voxels in the header", "nii", reheadered("<f", 108, 0.0), "unreadable"),
    _label(".nii label cut", "nii", cut(0.9), "unreadable"),
    _image("NRRD cut in the header", "nrrd", kept(150), "unreadable"),
    _image("NRRD cut in the voxels", "nrrd", cut(0.6), "unreadable"),
    _image("NRRD without its last byte", "nrrd", kept(-1), "unreadable"),
    _image("NRRD with one bit flipped", "nrrd", flipped(0.6), "unreadable", _FOUND),
    _image("NRRD is empty", "nrrd", overwritten(b""), "unreadable|wrong-format"),
    _image("NRRD 10 % wider", "nrrd", replaced(b"sizes: 24", b"sizes: 26"), "unreadable", also=("shape-mismatch",)),
    _image("NRRD without sizes", "nrrd", replaced(b"sizes: ", b"# sizes: "), "unreadable"),
    _image("NRRD of an unknown encoding", "nrrd", replaced(b"encoding: gzip", b"encoding: lzma"), "unreadable|reader-cannot-read"),
    _image("NRRD of an unknown type", "nrrd", replaced(b"type: float", b"type: flaot"), "unreadable|reader-cannot-read"),
    _image("NRRD whose voxels lie elsewhere", "nrrd", replaced(b"encoding: gzip", b"encoding: raw\ndata file: voxels.raw"), "unreadable|broken-link"),
    _label("NRRD label cut", "nrrd", cut(0.9), "unreadable"),
    _image("MetaImage cut in the header", "mha", kept(150), "unreadable"),
    _image("MetaImage cut in the voxels", "mha", cut(0.6), "unreadable"),
    _image("MetaImage without its last byte", "mha", kept(-1), "unreadable"),
    _image("MetaImage with one bit flipped", "mha", flipped(0.6), "unreadable", _FOUND),
    _image("MetaImage is empty", "mha", overwritten(b""), "unreadable|wrong-format"),
    _image("MetaImage 10 % wider", "mha", replaced(b"DimSize = 24", b"DimSize = 26"), "unreadable", _FOUND, also=("shape-mismatch",)),
    _image("compressed MetaImage that does not tell its size", "mha", rewritten(_without_size), "unreadable|reader-cannot-read", _FOUND),
    _label("compressed MetaImage label that does not tell its size", "mha", rewritten(_without_size), "unreadable|reader-cannot-read", _FOUND),
    _image("MetaImage with bytes too many", "mha", _saved(bytes(100)), "unreadable"),
    _image("MetaImage whose voxels lie elsewhere", "mha", replaced(b"= LOCAL", b"= voxels.raw"), "unreadable|broken-link"),
    _image("PNG is empty", "png", overwritten(b""), "unreadable"),
    _image("PNG cut in the middle", "png", cut(0.5), "unreadable"),
    _image("PNG without its end", "png", kept(-12), "unreadable"),
    _image("PNG with a wrong checksum", "png", rechunked(_with_checksum_wrong), "unreadable", _FOUND),
    _image("PNG with one bit flipped", "png", rechunked(_with_bit_flipped), "unreadable", _FOUND),
    _image("PNG without pixels", "png", rechunked(lambda chunk: b"" if chunk[4:8] == b"IDAT" else chunk), "unreadable"),
    _image("PNG of 60,000 x 60,000", "png", rechunked(_immense), "unreadable|reader-cannot-read", _FOUND, also=("shape-mismatch",)),
    _label("PNG label cut", "png", cut(0.6), "unreadable"),
    _label("PNG label with one bit flipped", "png", rechunked(_with_bit_flipped), "unreadable", _FOUND),
    _image("BMP cut in the middle", "bmp", cut(0.5), "unreadable"),
    _image("BMP is empty", "bmp", overwritten(b""), "unreadable"),
    _image("TIFF cut in the middle", "tiff", cut(0.5), "unreadable"),
    _image("TIFF is empty", "tiff", overwritten(b""), "unreadable"),
    _image(".tif cut in the middle", "tif2d", cut(0.5), "unreadable"),
    _label("TIFF label cut", "tiff", cut(0.7), "unreadable"),
]  # fmt: skip

# --- faults: other content -----------------------------------------------------------------------------------------

_OTHER_CONTENT = [
    _image("plain NIfTI named .nii.gz", "ct", rewritten(gzip.decompress), "not-gzip"),
    _label("plain NIfTI label named .nii.gz", "ct", rewritten(gzip.decompress), "not-gzip"),
    _image("gzip named .nii", "nii", rewritten(gz), "wrong-format|unreadable|reader-cannot-read"),
    _image("PNG named .nii.gz", "ct", overwritten(png_bytes()), "wrong-format"),
    _image("DICOM named .nii.gz", "ct", overwritten(dicom()), "wrong-format"),
    _image("web page named .nii.gz", "ct", overwritten(HTML), "wrong-format"),
    _image("Git LFS pointer named .nii.gz", "ct", overwritten(POINTER), "wrong-format"),
    _image("text named .nii.gz", "ct", overwritten(b"see the other disk\n"), "wrong-format"),
    _image("MetaImage named .nii.gz", "ct", as_format(".mha"), "wrong-format"),
    _image("NRRD named .nii.gz", "ct", as_format(".nrrd"), "wrong-format"),
    _image("zip named .nii.gz", "ct", rewritten(lambda data: zip_of("case.nii", gzip.decompress(data))), "wrong-format"),
    _image("tar.gz named .nii.gz", "ct", rewritten(lambda data: tar_gz_of("case.nii", gzip.decompress(data))), "wrong-format|unreadable"),
    _image("text in gzip named .nii.gz", "ct", overwritten(gz(b"see the other disk\n" * 50)), "wrong-format|unreadable"),
    _image("gzip in gzip named .nii.gz", "ct", rewritten(gz), "wrong-format|unreadable"),
    _image("bzip2 named .nii.gz", "ct", rewritten(lambda data: bz2.compress(gzip.decompress(data))), "wrong-format|not-gzip"),
    _label("web page as label", "ct", overwritten(HTML), "wrong-format"),
    _label("Git LFS pointer as label", "ct", overwritten(POINTER), "wrong-format"),
    _image("MetaImage named .nii", "nii", as_format(".mha"), "wrong-format"),
    _image("NIfTI named .nrrd", "nrrd", as_format(".nii"), "wrong-format"),
    _image("NRRD named .mha", "mha", as_format(".nrrd"), "wrong-format"),
    _image("JPEG named .png", "png", repictured(lambda picture: picture, ".jpg"), "wrong-format"),
    _label("JPEG named .png as label", "png", repictured(lambda picture: picture, ".jpg"), "wrong-format", also=("label-unexpected",)),
    _image("TIFF named .png", "png", repictured(lambda picture: picture, ".tif"), "wrong-format"),
    _image("web page named .png", "png", overwritten(HTML), "wrong-format"),
    _image("PNG named .bmp", "bmp", repictured(lambda picture: picture, ".png"), "wrong-format"),
    _image("PNG named .tif", "tif2d", repictured(lambda picture: picture, ".png"), "wrong-format"),
    _image("Git LFS pointer named .tiff", "tiff", overwritten(POINTER), "wrong-format"),
    _image("NIfTI-2 named .nii.gz", "ct", to_nifti2, "reader-cannot-read"),
    _label("NIfTI-2 label named .nii.gz", "ct", to_nifti2, "reader-cannot-read"),
    _image("NRRD in bzip2", "nrrd", converted(lambda path, image: _replace(path, nrrd(sitk.GetArrayFromImage(image), Grid(image.GetSpacing(), image.GetOrigin()), "bzip2"))), "reader-cannot-read"),
    _image("header of a NIfTI pair", "ct", inflated(lambda data: patched(data, "<4s", 344, b"ni1\0")[:348]), "reader-cannot-read|unreadable"),
    _image("4D image", "ct", revoxelled(in_four_dimensions), "not-3d|channel-count", also=("shape-mismatch",)),
    _image("4D .nii", "nii", revoxelled(in_four_dimensions), "not-3d"),
    _image(".nii with a fourth axis of one", "nii", reheadered("<h", 40, 4), "not-3d|unreadable"),
    _image("2D .nii", "nii", revoxelled(lambda array: array[5].copy()), "not-3d", also=("shape-mismatch",)),
    _image("one slice for a volume", "ct", revoxelled(lambda array: array[5].copy()), "not-3d|shape-mismatch", either=True, also=("shape-mismatch", "spacing-mismatch")),
    _image("2D TIFF among 3D", "tiff", revoxelled(lambda array: array[5].copy()), "not-3d", also=("shape-mismatch",)),
    _image("TIFF of four dimensions", "tiff", revoxelled(in_four_dimensions), "not-3d|channel-count", also=("shape-mismatch",)),
    _image(".tif of many pages among pictures", "tif2d", lambda path: _replace_by(path, tifffile.imwrite, seeded("pages").integers(0, 255, (5, 40, 48), np.uint8)), "not-3d|channel-count|shape-mismatch", also=("shape-mismatch", "channel-count")),
    _image("colours in NIfTI", "ct", inflated(to_rgb), "not-scalar", also=("channel-count",)),
    _image("colours in .nii", "nii", inflated(to_rgb), "not-scalar", also=("channel-count",)),
    _image("complex numbers in NIfTI", "ct", revoxelled(lambda array: array.astype(np.complex64)), "not-scalar"),
    _image("vectors in NRRD", "nrrd", regridded(lambda image: sitk.Compose(image, image)), "not-scalar|channel-count"),
    _image("vectors in MetaImage", "mha", regridded(lambda image: sitk.Compose(image, image)), "not-scalar|channel-count"),
]  # fmt: skip

# --- faults: grids -------------------------------------------------------------------------------------------------


def _pixdim(*values: float) -> Damage:
    """Give all of pixdim, and take both forms away, so that nothing else tells the voxel size."""
    return inflated(lambda data: patched(patched(data, "<3f", 80, *values), "<hh", 252, 0, 0))


def _metric(factor: float, code: int) -> Damage:
    """Write the same grid in another unit, as the header then says."""

    def change(data: bytes) -> bytes:
        for place, count in ((80, 3), (268, 3), (280, 12)):
            values = struct.unpack_from(f"<{count}f", data, place)
            data = patched(data, f"<{count}f", place, *(value * factor for value in values))
        return patched(data, "<B", 123, code)

    return inflated(change)


def _sform(change: Callable[[Array], Array], code: int = 1) -> Damage:
    """Change the sform and leave the qform."""

    def damage(data: bytes) -> bytes:
        rows = np.array(struct.unpack_from("<12f", data, 280)).reshape(3, 4)
        return patched(patched(data, "<12f", 280, *change(rows).ravel()), "<h", 254, code)

    return inflated(damage)


def _qform_moved(distance: float) -> Damage:
    return inflated(lambda data: patched(data, "<f", 268, struct.unpack_from("<f", data, 268)[0] + distance))


def _qform_flipped(data: bytes) -> bytes:
    is_turned = struct.unpack_from("<f", data, 264)[0] != 0
    return patched(data, "<3f", 256, 0.0, 0.0, 0.0 if is_turned else 1.0)


def _aux(change: Callable[[Path], None]) -> Callable[[Path, str], None]:
    """Return a change of the files that hold the spacing of 3D TIFF, of image and label."""

    def both(folder: Path, case: str) -> None:
        for place in ("imagesTr", "labelsTr"):
            change(folder / place / f"{case}.json")

    return both


def _spacing_file(text: str) -> Callable[[Path, str], None]:
    return _aux(lambda path: path.write_text(text, encoding="utf-8") and None)


_TIFFS = ("imagesTr/{case}_0000.tiff|imagesTr/{case}.json", "labelsTr/{case}.tiff|labelsTr/{case}.json")

_GRIDS = [
    _label("label lacks a slice", "ct", regridded(lambda image: image[:, :, :-1]), "shape-mismatch", either=True),
    _label("label with axes swapped", "ct", revoxelled(lambda label: np.ascontiguousarray(label.swapaxes(1, 2))), "shape-mismatch", either=True),
    _image("channel lacks a slice", "mr", regridded(lambda image: image[:, :, 1:]), "shape-mismatch", channel=1, also=("origin-mismatch",)),
    _label(".nii label lacks a row", "nii", revoxelled(lambda label: label[:, :-1].copy()), "shape-mismatch", either=True),
    _label("NRRD label lacks a slice", "nrrd", regridded(lambda image: image[:, :, :-1]), "shape-mismatch", either=True),
    _label("PNG label of another size", "png", repictured(lambda picture: picture.crop((0, 0, 40, 40))), "shape-mismatch", either=True),
    _label("PNG label on its side", "png", repictured(lambda picture: picture.transpose(Image.Transpose.ROTATE_90)), "shape-mismatch", either=True),
    _label("TIFF label lacks a slice", "tiff", revoxelled(lambda label: label[:-1].copy()), "shape-mismatch", either=True),
    _label("label of another spacing", "ct", stretched(1.1), "spacing-mismatch", either=True),
    _label("label of another spacing by a ten-thousandth", "ct", stretched(1.0001), "spacing-mismatch", either=True),
    _image("channel of another spacing", "mr", enlarged(1.25), "spacing-mismatch", channel=3),
    _label(".nii label of another spacing", "nii", stretched(1.1), "spacing-mismatch", either=True),
    _label("NRRD label of another spacing", "nrrd", stretched(1.1), "spacing-mismatch", either=True),
    _label("MetaImage label of another spacing", "mha", stretched(1.1), "spacing-mismatch", either=True),
    Fault(name="TIFF label of another spacing", base="tiff", id="spacing-mismatch", names=("labelsTr/{case}.tiff|labelsTr/{case}.json|imagesTr/{case}_0000.tiff",), change=lambda folder, case: _replace(folder / "labelsTr" / f"{case}.json", b'{"spacing": [5, 0.8, 0.8]}')),
    _label("label moved by 5 mm", "ct", moved(5), "origin-mismatch", either=True),
    _image("channel moved by 0.1 mm", "mr", moved(0.1), "origin-mismatch", channel=2),
    _label(".nii label moved by 5 mm", "nii", moved(5), "origin-mismatch", either=True),
    _label("NRRD label moved by 5 mm", "nrrd", moved(5), "origin-mismatch", either=True),
    _label("MetaImage label moved by 5 mm", "mha", moved(5), "origin-mismatch", either=True),
    _label("label flipped", "ct", directed(*FLIP), "direction-mismatch", either=True),
    _label("label turned by 3 degrees", "ct", rotated(3), "direction-mismatch", either=True),
    _label(".nii label flipped", "nii", directed(*FLIP), "direction-mismatch", either=True),
    _label("NRRD label flipped", "nrrd", directed(*FLIP), "direction-mismatch", either=True),
    _image("channel flipped", "mr", directed(*FLIP), "direction-mismatch", channel=1),
    _both("sheared by a fifth", "nibabel-written", sheared(0.2), "direction-not-orthonormal", also=("spacing-ambiguous",)),
    _both("sheared by a thousandth", "nibabel-written", sheared(1e-3), "direction-not-orthonormal"),
    _label("label sheared by a thousandth", "nibabel-written", sheared(1e-3), "direction-not-orthonormal", also=("direction-mismatch",)),
    _both("direction of MetaImage all zeros", "mha", replaced(b"TransformMatrix = 1 0 0 0 1 0 0 0 1", b"TransformMatrix = 0 0 0 0 0 0 0 0 0"), "direction-not-orthonormal|bad-spacing|unreadable"),
    _both("spacing of 0", "ct", _pixdim(0.8, 0.8, 0.0), "bad-spacing"),
    _both("spacing all 0", "ct", _pixdim(0.0, 0.0, 0.0), "bad-spacing"),
    _both("negative spacing", "ct", _pixdim(0.8, 0.8, -2.5), "bad-spacing"),
    _both("spacing NaN", "ct", _pixdim(0.8, 0.8, float("nan")), "bad-spacing"),
    _both("spacing infinite", "ct", _pixdim(0.8, 0.8, float("inf")), "bad-spacing"),
    _both("spacing of a nanometre", "ct", enlarged(1e-6), "bad-spacing"),
    _both("spacing of metres", "ct", enlarged(2000), "bad-spacing"),
    _both(".nii of spacing 0", "nii", _pixdim(0.8, 0.8, 0.0), "bad-spacing"),
    _both(".nii of spacing NaN", "nii", _pixdim(0.8, 0.8, float("nan")), "bad-spacing"),
    _both("NRRD of spacing 0", "nrrd", rewritten(lambda data: re.sub(rb"(space directions: )\([^)]*\)", rb"\1(0,0,0)", data)), "bad-spacing|unreadable"),
    _both("MetaImage of spacing 0", "mha", replaced(b"ElementSpacing = 0.", b"ElementSpacing = 0 0."), "bad-spacing"),
    Fault(name="TIFF of spacing 0", base="tiff", change=_spacing_file('{"spacing": [2.5, 0.8, 0]}'), id="bad-spacing", names=_TIFFS),
    Fault(name="TIFF of spacing NaN", base="tiff", change=_spacing_file('{"spacing": [NaN, 0.8, 0.8]}'), id="bad-spacing", names=_TIFFS),
    Fault(name="TIFF of two spacings", base="tiff", change=_spacing_file('{"spacing": [2.5, 0.8]}'), id="bad-spacing|unreadable|spacing-file-missing", names=_TIFFS),
    Fault(name="TIFF whose spacing is no JSON", base="tiff", change=_spacing_file("spacing: 2.5, 0.8, 0.8"), id="bad-spacing|unreadable|spacing-file-missing", names=_TIFFS),
    Fault(name="TIFF whose spacing file says nothing", base="tiff", change=_spacing_file('{"spacings": [2.5, 0.8, 0.8]}'), id="bad-spacing|unreadable|spacing-file-missing", names=_TIFFS),
    Fault(name="TIFF without spacing", base="tiff", change=_aux(lambda path: path.unlink()), id="spacing-file-missing", names=_TIFFS),
    Fault(name="TIFF label without spacing", base="tiff", change=lambda folder, case: (folder / "labelsTr" / f"{case}.json").unlink(), id="spacing-file-missing", names=(_TIFFS[1],), also=("spacing-mismatch",)),
    _both("pixdim differs from the sform", "nibabel-written", reheadered("<f", 88, 5.0), "spacing-ambiguous"),
    _both("pixdim of .nii differs from the sform", "nii", reheadered("<f", 88, 5.0), "spacing-ambiguous"),
    _both("pixdim all 1, sform tells it", "nibabel-written", reheadered("<3f", 80, 1.0, 1.0, 1.0), "spacing-ambiguous"),
    _both("in metres", "ct", _metric(1e-3, 1), "units"),
    _both("in micrometres", "ct", _metric(1e3, 3), "units"),
    _both("qform 10 mm beside the sform", "ct", _qform_moved(10), "qform-sform"),
    _both("qform flipped against the sform", "ct", inflated(_qform_flipped), "qform-sform"),
    _both("aligned sform beside the qform", "ct", _sform(lambda rows: rows + [[0, 0, 0, 7.5]] * 3, code=2), "qform-sform"),
    _label("label whose qform moved", "ct", _qform_moved(10), "qform-sform"),
    _both("no form at all", "ct", reheadered("<hh", 252, 0, 0), "no-orientation"),
    _both(".nii with no form at all", "nii", reheadered("<hh", 252, 0, 0), "no-orientation"),
    _both("spacing ten times that of the others", "ct", enlarged(10), "spacing-outlier", names=(_I,), may_name=(_L,)),
    _both("metres without saying so", "ct", enlarged(1e-3), "bad-spacing", names=(_I,), may_name=(_L,)),
    _both("a localiser of two slices", "ct", regridded(lambda image: image[:, 9:11, 6:8]), "shape-outlier", names=(_I,), may_name=(_L,)),
    _both("lies the other way round", "ct", directed(*FLIP), "orientation-mixed", names=(_I,), may_name=(_L,)),
]  # fmt: skip

# --- faults: voxels ------------------------------------------------------------------------------------------------


def _twin(
    base: str,
    name: str,
    *places: str,
    depth: Depth = _FOUND,
    change: Damage | None = None,
    link: bool = False,
    **more: Any,
) -> Fault:
    """Return the fault of files that are copies of another case's: of the first place, and of those that go with it.

    Args:
        base: Of the dataset.
        name: Of the fault.
        places: Names of files, "imagesTr/{case}_0000.nii.gz" for instance.
        depth: Least depth that finds it.
        change: What is done to the copies, so that they are not the same byte for byte.
        link: Whether they are links to the other case's files.
        more: Of the fault.
    """

    def copy(folder: Path, case: str) -> None:
        for place in places:
            target, donor = folder / place.format(case=case), folder / place.format(case=DONOR)
            if link:
                target.unlink()
                target.symlink_to(donor.name)
            else:
                _replace(target, donor.read_bytes())
            if change is not None:
                change(target)

    return Fault(name=name, base=base, change=copy, id=_twin_id(places[0]), names=(places[0], places[0].replace("{case}", DONOR)), depth=depth, **more)  # fmt: skip


def _twin_voxels(base: str, name: str, place: str, depth: Depth) -> Fault:
    """Return the fault of a file with the voxels of another case's, and its own header."""

    def copy(folder: Path, case: str) -> None:
        taken = nifti_parts(_load(folder / place.format(case=DONOR)))[1]
        edit_voxels(folder / place.format(case=case), lambda _: taken)

    return Fault(name=name, base=base, change=copy, id=_twin_id(place), names=(place, place.replace("{case}", DONOR)), depth=depth)  # fmt: skip


def _twin_id(place: str) -> str:
    return "duplicate-image" if place.startswith("images") else "duplicate-label"


def _label_from_image(ending: str, change: Damage | None = None) -> Callable[[Path, str], None]:
    def copy(folder: Path, case: str) -> None:
        target = folder / "labelsTr" / f"{case}{ending}"
        target.unlink()
        shutil.copyfile(folder / "imagesTr" / f"{case}_0000{ending}", target)
        if change is not None:
            change(target)

    return copy


def _as_mr(array: Array) -> Array:
    return np.clip((array.astype(np.int32) + 1024) * 3, 0, 4000).astype(np.int16)


_VOXELS = [
    _image("NaN in .nii.gz", "mr", revoxelled(in_some(float("nan"))), "nan", "deep", channel=1),
    _image("NaN in the last voxel of .nii.gz", "mr", revoxelled(at_last_voxel(float("nan"))), "nan", "deep", channel=3),
    _image("infinity in .nii.gz", "mr", revoxelled(in_some(float("inf"))), "inf", "deep", channel=1),
    _image("NaN in .nii", "nii", revoxelled(in_some(float("nan"))), "nan", _FOUND),
    _image("NaN in the last voxel of .nii", "nii", revoxelled(at_last_voxel(float("nan"))), "nan", _FOUND),
    _image("infinity in .nii", "nii", revoxelled(in_some(float("-inf"))), "inf", _FOUND),
    _image("all of .nii NaN", "nii", revoxelled(lambda array: np.full_like(array, np.nan)), "nan", _FOUND, also=("constant-image",)),
    _image("NaN in NRRD", "nrrd", revoxelled(in_some(float("nan"))), "nan", _FOUND),
    _image("infinity in NRRD", "nrrd", revoxelled(in_some(float("inf"))), "inf", _FOUND),
    _image("NaN in MetaImage", "mha", revoxelled(in_some(float("nan"))), "nan", _FOUND),
    _image("infinity in MetaImage", "mha", revoxelled(in_some(float("inf"))), "inf", _FOUND),
    _image("NaN in TIFF", "tiff", revoxelled(in_some(float("nan"))), "nan", _FOUND),
    _image("infinity in TIFF", "tiff", revoxelled(in_some(float("inf"))), "inf", _FOUND),
    _image("1e38 in .nii.gz", "mr", revoxelled(in_some(1e38)), "extreme-values", "deep", channel=1, also=("channels-mixed",)),
    _image("1e300 in .nii.gz", "ct", revoxelled(in_some(1e300, "float64")), "extreme-values", "deep", also=("channels-mixed",)),
    _image("-1e31 in .nii", "nii", revoxelled(in_some(-1e31)), "extreme-values", "deep", also=("channels-mixed",)),
    _image("image all air", "ct", revoxelled(lambda array: np.full_like(array, -1024)), "constant-image", "deep"),
    _image("channel all 0", "mr", revoxelled(np.zeros_like), "constant-image", "deep", channel=3),
    _image(".nii all 1", "nii", revoxelled(np.ones_like), "constant-image", "deep"),
    _image("PNG all black", "png", revoxelled(np.zeros_like), "constant-image", "deep"),
    _image("infinite slope", "ct", reheadered("<2f", 112, float("inf"), 0.0), "bad-scaling"),
    _image("infinite intercept", "ct", reheadered("<2f", 112, 1.0, float("inf")), "bad-scaling"),
    _image("intercept NaN beside a slope", "ct", reheadered("<2f", 112, 2.0, float("nan")), "bad-scaling"),
    _image("slope NaN beside an intercept", "ct", reheadered("<2f", 112, float("nan"), 5.0), "bad-scaling"),
    _image("infinite intercept in .nii", "nii", reheadered("<2f", 112, 1.0, float("inf")), "bad-scaling", also=("reader-cannot-read",)),
    _label("label with an infinite slope", "ct", reheadered("<2f", 112, float("-inf"), 0.0), "bad-scaling"),
    _image("MR among CT", "ct", revoxelled(_as_mr), "channels-mixed", "deep"),
    _image("scaled to 0 and 1 among CT", "ct", revoxelled(lambda array: ((array + 1024) / 1400).astype(np.float32)), "channels-mixed", "deep"),
    _image("one channel a million times brighter", "mr", revoxelled(lambda array: array * np.float32(1e6)), "channels-mixed", "deep", channel=1),
    _image("PNG that viewers turn", "png", repictured(lambda picture: picture, exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"), "exif-orientation", _FOUND),
    _image("TIFF that viewers turn", "tif2d", repictured(lambda picture: picture, tiffinfo={274: 6}), "exif-orientation", _FOUND),
    _image("RGBA among RGB", "png", repictured(lambda picture: picture.convert("RGBA")), "channel-count"),
    _image("grey among RGB", "png", repictured(lambda picture: picture.convert("L")), "channel-count"),
    _image("grey with alpha", "png-grey", repictured(lambda picture: picture.convert("LA")), "channel-count|not-scalar|reader-cannot-read"),
    _image("RGB behind one channel", "png-grey", repictured(lambda picture: picture.convert("RGB")), "channel-count"),
    _image("palette behind one channel", "png-grey", repictured(palette_of([shade * 7 % 256 for shade in range(768)])), "channel-count"),
    _image("CMYK among RGB", "tif2d", repictured(lambda picture: picture.convert("CMYK")), "channel-count"),
    _image("RGB BMP behind one channel", "bmp", repictured(lambda picture: picture.convert("RGB")), "channel-count"),
    _twin("ct", "patient there twice", _I, _L, also=("duplicate-label",)),
    _twin("ct", "patient there twice, compressed anew", _I, _L, change=inflated(lambda data: data), also=("duplicate-label",)),
    _twin("large", "large patient there twice", _I, _L, also=("duplicate-label",)),
    _twin("nii", "patient there twice in .nii", "imagesTr/{case}_0000.nii", "labelsTr/{case}.nii", depth="deep", also=("duplicate-label",)),
    _twin("png", "PNG of another case", "imagesTr/{case}_0000.png", depth="deep"),
    _twin("png", "PNG of another case, compressed anew", "imagesTr/{case}_0000.png", depth="deep", change=repictured(lambda picture: picture, compress_level=1)),
    _twin("ct", "patient there twice by link", _I, _L, link=True, also=("duplicate-label",), needs=("symbolic links",)),
    _twin_voxels("ct", "voxels of another case under another header", _I, "deep"),
    _twin_voxels("mr", "voxels of another case in one channel", "imagesTr/{case}_0001.nii.gz", "deep"),
    _twin_voxels("ct", "label of another case", _L, _FOUND),
    _twin_voxels("nii", "label of another case in .nii", "labelsTr/{case}.nii", _FOUND),
    _twin("png", "label of another case in PNG", "labelsTr/{case}.png"),
    _label("label with 3", "ct", revoxelled(in_some(3)), "label-unexpected", _FOUND),
    _label("label with 3 in the last voxel", "ct", revoxelled(at_last_voxel(3)), "label-unexpected", _FOUND),
    _label("label with 255", "ct", revoxelled(in_some(255)), "label-unexpected", _FOUND),
    _label("label with -1", "ct", revoxelled(in_some(-1, "int16")), "label-unexpected", _FOUND),
    _label("label with 256", "ct", revoxelled(in_some(256, "int16")), "label-unexpected", _FOUND),
    _label("label with 65535", "ct", revoxelled(in_some(65535, "uint16")), "label-unexpected", _FOUND),
    _label("label with 2 to the 33rd", "ct", revoxelled(in_some(2**33, "int64")), "label-unexpected", _FOUND),
    _label("label with halves", "ct", revoxelled(in_some(0.5, "float32")), "label-unexpected", _FOUND),
    _label("label with NaN", "ct", revoxelled(in_some(float("nan"), "float32")), "label-unexpected|nan", _FOUND, also=("nan",)),
    _label("label with a slope of 2", "ct", reheadered("<2f", 112, 2.0, 0.0), "label-unexpected", _FOUND),
    _label("label with an intercept of 1", "ct", reheadered("<2f", 112, 1.0, 1.0), "label-unexpected", _FOUND),
    _label("label that was resampled with splines", "ct", revoxelled(lambda label: (label * 0.999 + 0.0005).astype(np.float32)), "label-unexpected", _FOUND),
    _label("label of 0 and 255", "png", revoxelled(lambda label: ((label > 0) * 255).astype(np.uint8)), "label-unexpected", _FOUND),
    _label("label of .nii with 3", "nii", revoxelled(in_some(3)), "label-unexpected", _FOUND),
    _label("label of NRRD with 3", "nrrd", revoxelled(at_last_voxel(3)), "label-unexpected", _FOUND),
    _label("label of MetaImage with 3", "mha", revoxelled(at_last_voxel(3)), "label-unexpected", _FOUND),
    _label("label of TIFF with 3", "tiff", revoxelled(at_last_voxel(3)), "label-unexpected", _FOUND),
    _label("label of BMP with 3", "bmp", revoxelled(at_last_voxel(3)), "label-unexpected", _FOUND),
    _label("label of .tif with 3", "tif2d", revoxelled(at_last_voxel(3)), "label-unexpected", _FOUND),
    _label("label in float32", "ct", revoxelled(lambda label: label.astype(np.float32)), "label-float", _FOUND),
    _label("label in float64", "ct", revoxelled(lambda label: label.astype(np.float64)), "label-float", _FOUND),
    _label("label in float32 of .nii", "nii", revoxelled(lambda label: label.astype(np.float32)), "label-float", _FOUND),
    _label("label in int64", "ct", revoxelled(lambda label: label.astype(np.int64)), "label-wide-dtype", _FOUND),
    _label("label in int32", "ct", revoxelled(lambda label: label.astype(np.int32)), "label-wide-dtype", _FOUND),
    _label("label without foreground", "ct", revoxelled(np.zeros_like), "label-empty", _FOUND),
    _label("label without foreground in PNG", "png", revoxelled(np.zeros_like), "label-empty", _FOUND),
    _label("label without background", "ct", revoxelled(lambda label: np.maximum(label, 1)), "label-no-background", _FOUND),
    _label("label in RGB", "png", repictured(lambda picture: picture.convert("RGB")), "label-channels"),
    _label("label in RGBA", "png", repictured(lambda picture: picture.convert("RGBA")), "label-channels"),
    _label("label in RGB of BMP", "bmp", repictured(lambda picture: picture.convert("RGB")), "label-channels"),
    _label("label in RGB of .tif", "tif2d", repictured(lambda picture: picture.convert("RGB")), "label-channels"),
    _label("label of four dimensions", "ct", revoxelled(lambda label: np.stack([label == 1, label == 2]).astype(np.uint8)), "label-channels|not-3d", also=("shape-mismatch",)),
    _label("label of vectors", "nrrd", regridded(lambda image: sitk.Compose(image, image)), "label-channels|not-scalar"),
    _label("label in colours of NIfTI", "ct", inflated(to_rgb), "label-channels|not-scalar"),
    _label("label with a palette", "png", repictured(palette_of([0, 0, 0, 255, 0, 0, 0, 255, 0])), "label-palette"),
    _label("label with a grey palette", "png", repictured(palette_of([grey for grey in range(256) for _ in range(3)])), "label-palette"),
    _label("label with a palette in BMP", "bmp", repictured(palette_of([0, 0, 0, 255, 0, 0, 0, 255, 0])), "label-palette"),
    Fault(name="label is the image", base="ct", change=_label_from_image(".nii.gz"), id="label-is-image", names=("labelsTr/{case}.nii.gz",), depth=_FOUND, also=("label-unexpected",)),
    Fault(name="label is the image, compressed anew", base="ct", change=_label_from_image(".nii.gz", inflated(lambda data: data)), id="label-is-image", names=("labelsTr/{case}.nii.gz",), depth=_FOUND, also=("label-unexpected",)),
    Fault(name="large label is the image", base="large", change=_label_from_image(".nii.gz"), id="label-is-image", names=("labelsTr/{case}.nii.gz",), depth=_FOUND, also=("label-unexpected",)),
    Fault(name="label is the image in PNG", base="png-grey", change=_label_from_image(".png"), id="label-is-image", names=("labelsTr/{case}.png",), depth=_FOUND, also=("label-unexpected",)),
    Fault(name="label is the image in .nii", base="nii", change=_label_from_image(".nii"), id="label-is-image", names=("labelsTr/{case}.nii",), depth=_FOUND, also=("label-unexpected",)),
]  # fmt: skip

# --- faults: names and folders -------------------------------------------------------------------------------------


def _renamed(old: str, new: str) -> Callable[[Path, str], None]:
    def rename(folder: Path, case: str) -> None:
        (folder / old.replace("{case}", case)).rename(folder / new.replace("{case}", case))

    return rename


def _added(*names: str, content: Callable[[Path], bytes] | bytes = b"", count: int = 0) -> Callable[[Path, str], None]:
    """Add files; ``content`` may be made of the file of the same folder that belongs to the case."""

    def add(folder: Path, case: str) -> None:
        for name in names:
            target = folder / name.replace("{case}", case)
            made = content(target) if callable(content) else content
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(made)
        if count:
            edit_json(folder, lambda content: content.update(numTraining=content["numTraining"] + count))

    return add


def _alpha_apart(folder: Path, case: str) -> None:
    """Put the fourth channel of a picture into a file of its own."""
    path = folder / "imagesTr" / f"{case}_0000.png"
    picture = Image.open(path)
    picture.getchannel("A").save(path.with_name(f"{case}_0001.png"))
    picture.convert("RGB").save(path)


def _fresh(target: Path) -> bytes:
    """Return an image or label that no case has, of the kind that belongs there."""
    case = re.sub(r"(_\d{4})?\.nii(\.gz)?$", "", target.name)
    label, affine = label_of(f"fresh {case}"), grid_of("fresh").affine
    is_label = target.parent.name.startswith("labels")
    data = nifti(label if is_label else ct_of(target.name, label), affine, (1, 1), units="mm")
    return gz(data) if target.name.endswith(".gz") else data


def _of_the_case(suffix: str) -> Callable[[Path], bytes]:
    """Return the content that an existing image of the victim has, made different."""

    def content(target: Path) -> bytes:
        donor = next(target.parent.glob(f"{target.name.rpartition('_')[0]}_0*{suffix}"))
        image = nibabel.Nifti1Image.from_bytes(_load(donor))
        array = np.asanyarray(image.dataobj)
        return gz(nibabel.Nifti1Image(array[::-1].copy(), None, image.header).to_bytes())

    return content


def _removed(name: str) -> Callable[[Path, str], None]:
    return lambda folder, case: (folder / name.replace("{case}", case)).unlink()


def _in_place_of(name: str, make: Callable[[Path], object]) -> Callable[[Path, str], None]:
    """Put something else where a file was."""

    def put(folder: Path, case: str) -> None:
        path = folder / name.replace("{case}", case)
        path.unlink()
        make(path)

    return put


def _make_fifo(path: Path) -> None:
    os.mkfifo(path)  # looked up when it is called: Windows has none


def _unpacked(folder: Path, case: str) -> None:
    path = folder / _I.format(case=case)
    path.with_suffix("").write_bytes(_load(path))
    path.unlink()


def _label_to_nrrd(folder: Path, case: str) -> None:
    path = folder / _L.format(case=case)
    sitk.WriteImage(sitk.ReadImage(str(path)), str(path.with_name(f"{case}.nrrd")))
    path.unlink()


def _as_case(new: str) -> Callable[[Path, str], None]:
    """Give a case another name, image and label alike."""

    def rename(folder: Path, case: str) -> None:
        for old, ending in ((f"imagesTr/{case}", "_0000.nii.gz"), (f"labelsTr/{case}", ".nii.gz")):
            (folder / (old + ending)).rename(folder / (old.replace(case, new.replace("{case}", case)) + ending))

    return rename


def _awkward_case(name: str, new: str, needs: tuple[Need, ...] = (), shown: str | None = None) -> Fault:
    """Return the fault of a case whose name breaks later steps; ``shown`` is how it may be written otherwise."""
    forms = [new] if shown is None else [new, *shown.split("|")]
    image = "|".join(f"imagesTr/{form}_0000.nii.gz" for form in forms)
    label = "|".join(f"labelsTr/{form}.nii.gz" for form in forms)
    return Fault(name=name, base="ct", change=_as_case(new), id="id-awkward", names=(f"{image}|{label}",), needs=needs)


def _byte_name(folder: Path, case: str) -> None:
    for place, ending in (("imagesTr", "_0000.nii.gz"), ("labelsTr", ".nii.gz")):
        new = os.fsdecode(case.encode() + b"\xe9" + ending.encode())
        (folder / place / f"{case}{ending}").rename(folder / place / new)


_BYTE_FORMS = ("{case}\udce9", "{case}\\xe9", "{case}\\udce9", "{case}\ufffd", "{case}?", "{case}%E9", "{case}\u00e9")


def _colliding(new: Callable[[str], str]) -> Callable[[Path, str], None]:
    """Add a case whose name is one with another's on some systems."""

    def add(folder: Path, case: str) -> None:
        name = new(case)
        _added(f"imagesTr/{name}_0000.nii.gz", f"labelsTr/{name}.nii.gz", content=_fresh, count=1)(folder, case)

    return add


def _two_forms(folder: Path, case: str) -> None:
    _as_case("{case}\u00f6")(folder, case)
    _colliding(lambda case: f"{case}o\u0308")(folder, case)


_LOST = ("num-training", "label-orphan")
"""What follows when nnU-Net does not see an image."""


def _file(name: str, change: Callable[[Path, str], None], id: str, *names: str, base: str = "ct", **more: Any) -> Fault:
    return Fault(name=name, base=base, change=change, id=id, names=names, **more)


_TEST_001 = ("imagesTs/test_001_0000.nii.gz", "imagesTs/test_001_0001.nii.gz")

_NAMES = [
    _file("label is missing", _removed(_L), "label-missing", _L),
    _file("PNG label is missing", _removed("labelsTr/{case}.png"), "label-missing", "labelsTr/{case}.png", base="png"),
    _file("label without an image", _added("labelsTr/{case}b.nii.gz", content=_fresh), "label-orphan", "labelsTr/{case}b.nii.gz"),
    _file("image is missing", _removed(_I), "label-orphan", _L, also=("num-training",)),
    _file("second channel is missing", _removed("imagesTr/{case}_0001.nii.gz"), "channel-missing", "imagesTr/{case}_0001.nii.gz", base="mr"),
    _file("first channel is missing", _removed("imagesTr/{case}_0000.nii.gz"), "channel-missing", "imagesTr/{case}_0000.nii.gz", base="mr"),
    _file("last channel is missing", _removed("imagesTr/{case}_0003.nii.gz"), "channel-missing", "imagesTr/{case}_0003.nii.gz", base="mr"),
    _file("a channel too many", _added("imagesTr/{case}_0004.nii.gz", content=_of_the_case(".nii.gz")), "channel-extra", "imagesTr/{case}_0004.nii.gz", base="mr"),
    _file("a channel too many for CT", _added("imagesTr/{case}_0001.nii.gz", content=_of_the_case(".nii.gz")), "channel-extra", "imagesTr/{case}_0001.nii.gz"),
    _file("image files numbered from 1", _renamed(_I, "imagesTr/{case}_0001.nii.gz"), "channel-missing|channel-extra", "imagesTr/{case}_0000.nii.gz|imagesTr/{case}_0001.nii.gz", also=("channel-missing", "channel-extra")),
    _file("image without channel number", _renamed(_I, "imagesTr/{case}.nii.gz"), "bad-image-name", "imagesTr/{case}.nii.gz", also=(*_LOST, "label-missing")),
    _file("channel number of one digit", _renamed(_I, "imagesTr/{case}_0.nii.gz"), "bad-image-name", "imagesTr/{case}_0.nii.gz", also=(*_LOST, "label-missing")),
    _file("channel number of five digits", _renamed(_I, "imagesTr/{case}_00000.nii.gz"), "bad-image-name", "imagesTr/{case}_00000.nii.gz", also=(*_LOST, "label-missing")),
    _file("channel number after a hyphen", _renamed(_I, "imagesTr/{case}-0000.nii.gz"), "bad-image-name", "imagesTr/{case}-0000.nii.gz", also=(*_LOST, "label-missing")),
    _file("label with a channel number", _renamed(_L, "labelsTr/{case}_0000.nii.gz"), "bad-image-name", "labelsTr/{case}_0000.nii.gz", also=("label-missing", "label-orphan")),
    _file("image ends in .NII.GZ", _renamed(_I, "imagesTr/{case}_0000.NII.GZ"), "wrong-file-ending", "imagesTr/{case}_0000.NII.GZ", also=_LOST),
    _file("image ends in .nii", _unpacked, "wrong-file-ending", "imagesTr/{case}_0000.nii", also=_LOST),
    _file("label ends in .nrrd", _label_to_nrrd, "wrong-file-ending", "labelsTr/{case}.nrrd", also=("label-missing",)),
    _file("label ends in .bmp", _renamed("labelsTr/{case}.png", "labelsTr/{case}.bmp"), "wrong-file-ending", "labelsTr/{case}.bmp", base="png", also=("label-missing",)),
    _file("JPEG among PNG", _added("imagesTr/{case}b_0000.jpg", content=b"\xff\xd8\xff\xe0\0\x10JFIF\0"), "wrong-file-ending", "imagesTr/{case}b_0000.jpg", base="png"),
    _file(".tif among .tiff", _renamed("imagesTr/{case}_0000.tiff", "imagesTr/{case}_0000.tif"), "wrong-file-ending", "imagesTr/{case}_0000.tif", base="tiff", also=_LOST),
    _file("hidden file beside an image", _added("imagesTr/._{case}_0000.nii.gz", content=APPLE_DOUBLE), "hidden-file", "imagesTr/._{case}_0000.nii.gz", also=("num-training",)),
    _file("hidden file beside a label", _added("labelsTr/._{case}.nii.gz", content=APPLE_DOUBLE), "hidden-file", "labelsTr/._{case}.nii.gz"),
    _file("hidden files beside both", _added("imagesTr/._{case}_0000.png", "labelsTr/._{case}.png", content=APPLE_DOUBLE), "hidden-file", "imagesTr/._{case}_0000.png", "labelsTr/._{case}.png", base="png", also=("num-training",)),
    _file("hidden partial download", _added("imagesTr/.{case}b_0000.nii.gz", content=_fresh), "hidden-file", "imagesTr/.{case}b_0000.nii.gz", also=("num-training",)),
    _file("folder for an image", _in_place_of(_I, Path.mkdir), "not-a-file", _I, also=_LOST),
    _file("folder for a label", _in_place_of(_L, Path.mkdir), "not-a-file", _L, also=("label-missing",)),
    _file("FIFO for an image", _in_place_of(_I, _make_fifo), "not-a-file", _I, also=_LOST, needs=("FIFO",)),
    _file("FIFO for a label", _in_place_of(_L, _make_fifo), "not-a-file", _L, also=("label-missing",), needs=("FIFO",)),
    _file("link to a device for an image", _in_place_of(_I, lambda path: path.symlink_to("/dev/zero")), "not-a-file", _I, also=_LOST, needs=("device",)),
    _file("link to nothing for an image", _in_place_of(_I, lambda path: path.symlink_to("../../store/gone.nii.gz")), "broken-link", _I, also=_LOST, needs=("symbolic links",)),
    _file("link to nothing for a label", _in_place_of(_L, lambda path: path.symlink_to("../.git/annex/objects/Kj/0g/SHA256E-s12.nii.gz")), "broken-link", _L, also=("label-missing",), needs=("symbolic links",)),
    _file("link to itself for an image", _in_place_of(_I, lambda path: path.symlink_to(path.name)), "broken-link", _I, also=_LOST, needs=("symbolic links",)),
    _file("stale .nii beside an image", _added("imagesTr/{case}_0000.nii", content=_fresh), "nii-beside-gz", _I, also=("wrong-file-ending",)),
    _file("same .nii beside an image", _added("imagesTr/{case}_0000.nii", content=lambda target: _load(target.with_name(target.name + ".gz"))), "nii-beside-gz", _I, also=("wrong-file-ending",)),
    _file("stale .nii beside a label", _added("labelsTr/{case}.nii", content=_fresh), "nii-beside-gz", _L, also=("wrong-file-ending",)),
    _file("two cases by case", _colliding(str.capitalize), "id-collision", "imagesTr/{Case}_0000.nii.gz|imagesTr/{case}_0000.nii.gz|labelsTr/{Case}.nii.gz|labelsTr/{case}.nii.gz", needs=("two names by case",)),
    _file("two cases by Unicode form", _two_forms, "id-collision", "imagesTr/{case}\u00f6_0000.nii.gz|imagesTr/{case}o\u0308_0000.nii.gz|labelsTr/{case}\u00f6.nii.gz|labelsTr/{case}o\u0308.nii.gz", needs=("two Unicode forms",)),
    _awkward_case("case that ends in a blank", "{case} "),
    _awkward_case("case that begins with a blank", " {case}"),
    _awkward_case("case with an asterisk", "{case}*", ("odd names",)),
    _awkward_case("case with a colon", "{case}:2", ("odd names",)),
    _awkward_case("case with a question mark", "{case}?", ("odd names",)),
    _awkward_case("case with a line break", "{case}\nb", ("odd names",), "{case}\\nb"),
    _awkward_case("case of 150 letters", "{case}" + "x" * 142, ("long names",)),
    replace(_awkward_case("case that is no Unicode", "{case}\udce9", ("byte names",), "|".join(_BYTE_FORMS)), change=_byte_name),
    _file("test image without channel number", _renamed("imagesTs/test_001_0000.nii.gz", "imagesTs/test_001.nii.gz"), "test-images", "imagesTs/test_001.nii.gz", base="with-test", alone=True, may_name=_TEST_001),
    _file("test image of another ending", _renamed("imagesTs/test_001_0000.nii.gz", "imagesTs/test_001_0000.nii"), "test-images", "imagesTs/test_001_0000.nii|imagesTs/test_001_0000.nii.gz", base="with-test", alone=True, may_name=_TEST_001),
    _file("test image lacks a channel", _removed("imagesTs/test_002_0001.nii.gz"), "test-images", "imagesTs/test_002_0001.nii.gz|imagesTs/test_002_0000.nii.gz", base="with-test", alone=True),
    _file("patient in training and test", _in_place_of("imagesTs/test_001_0001.nii.gz", lambda path: shutil.copyfile(path.parents[1] / "imagesTr" / f"{DONOR}_0001.nii.gz", path)), "test-image-trained", "imagesTs/test_001_0001.nii.gz", base="with-test", alone=True),
    _file("grey picture beside a colour picture", _alpha_apart, "channel-count", "imagesTr/{case}_0001.png", base="png-rgba", may_name=("imagesTr/{case}_0000.png",), depth="quick"),
    _file("test image of a channel too many", _added("imagesTs/test_002_0002.nii.gz", content=_fresh), "test-images", "imagesTs/test_002_0002.nii.gz", base="with-test", alone=True),
    _file("hidden file among test images", _added("imagesTs/._test_002_0000.nii.gz", content=APPLE_DOUBLE), "test-images|hidden-file", "imagesTs/._test_002_0000.nii.gz", base="with-test", alone=True),
]  # fmt: skip

# --- faults: dataset.json ------------------------------------------------------------------------------------------


def edit_json(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the content of dataset.json."""
    path = folder / "dataset.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content, indent=4), encoding="utf-8")


def _listed_as_nrrd(folder: Path, case: str) -> None:
    """Let dataset.json list a label of another format than file_ending."""
    path = folder / "scans" / case / "seg.nii.gz"
    sitk.WriteImage(sitk.ReadImage(str(path)), str(path.with_name("seg.nrrd")))
    edit_json(folder, lambda content: content["dataset"][case].update(label=f"scans/{case}/seg.nrrd"))


def _all_in_capitals(folder: Path, _: str) -> None:
    """Write the ending of every file in capitals, and say so in dataset.json: nnU-Net reads it and cannot write it."""
    for path in [*folder.glob("images*/*.nii.gz"), *folder.glob("labels*/*.nii.gz")]:
        path.rename(path.with_name(path.name.replace(".nii.gz", ".NII.GZ")))
    edit_json(folder, _set(file_ending=".NII.GZ"))


def _json(name: str, id: str, change: Callable[[dict[str, Any]], object], base: str = "ct", **more: Any) -> Fault:
    """Return the fault of a value in dataset.json."""
    more = {"names": ("dataset.json",), "alone": True, **more}
    return Fault(name=name, base=base, id=id, change=lambda folder, _: edit_json(folder, change), **more)


def _text(name: str, change: Callable[[str], str | bytes], id: str = "json-syntax", **more: Any) -> Fault:
    """Return the fault of the text of dataset.json."""

    def rewrite(folder: Path, _: str) -> None:
        path = folder / "dataset.json"
        made = change(path.read_text(encoding="utf-8"))
        path.write_bytes(made if isinstance(made, bytes) else made.encode("utf-8"))

    more = {"names": ("dataset.json",), "also": ("dataset-json-broken",), "alone": True, **more}
    return Fault(name=name, base="ct", change=rewrite, id=id, **more)


def _set(**values: Any) -> Callable[[dict[str, Any]], object]:
    return lambda content: content.update(values)


def _labels(**values: Any) -> Callable[[dict[str, Any]], object]:
    return _set(labels=values)


def _respelt(old: str, new: str) -> Callable[[dict[str, Any]], object]:
    return lambda content: content.update({new: content.pop(old)})


def _entry(path: Sequence[str], value: Any) -> Callable[[Path, str], None]:
    """Set, or with None remove, a value in the list of a case."""

    def change(folder: Path, case: str) -> None:
        def edit(content: dict[str, Any]) -> None:
            inner = content["dataset"][case]
            for step in path[:-1]:
                inner = inner[step]
            if value is None:
                del inner[path[-1]]
            else:
                inner[path[-1]] = json.loads(json.dumps(value).replace("{case}", case))

        edit_json(folder, edit)

    return change


def _all_labels(change: Callable[[Array], Array], *, but: str = "") -> Callable[[Path, str], None]:
    """Change the voxels of all labels."""

    def edit(folder: Path, case: str) -> None:
        for path in sorted((folder / "labelsTr").iterdir()):
            if path.name != but.replace("{case}", case):
                edit_voxels(path, change)

    return edit


def _without_2(label: Array) -> Array:
    return np.where(label == 2, 1, label).astype(label.dtype)


def _gap(folder: Path, case: str) -> None:
    _all_labels(lambda label: np.where(label == 2, 3, label).astype(label.dtype))(folder, case)
    edit_json(folder, _labels(background=0, organ=1, lesion=3))


_BEGUN = '{\n    "channel_names"'

_JSON = [
    _file("dataset.json is missing", _removed("dataset.json"), "json-missing", "dataset.json", alone=True, also=("dataset-json-missing",)),
    _file("dataset.json is written Dataset.json", _renamed("dataset.json", "Dataset.json"), "json-missing", "dataset.json", alone=True, also=("dataset-json-missing",), needs=("two names by case",)),
    _file("dataset.json is dataset.json.txt", _renamed("dataset.json", "dataset.json.txt"), "json-missing", "dataset.json", alone=True, also=("dataset-json-missing",)),
    _file("dataset.json is a folder", _in_place_of("dataset.json", Path.mkdir), "json-missing|not-a-file|json-syntax", "dataset.json", alone=True, also=("dataset-json-missing", "dataset-json-broken")),
    _file("dataset.json is a link to nothing", _in_place_of("dataset.json", lambda path: path.symlink_to("../gone.json")), "json-missing|broken-link", "dataset.json", alone=True, also=("dataset-json-missing",), needs=("symbolic links",)),
    _text("comma after the last value", lambda text: text.rstrip("}\n") + ",\n}\n"),
    _text("comma forgotten", lambda text: text.replace("},", "}", 1)),
    _text("comment in dataset.json", lambda text: text.replace(_BEGUN, '{\n    // checked by hand\n    "channel_names"')),
    _text("single quotes", lambda text: text.replace('"', "'")),
    _text("typographic quotes", lambda text: text.replace('"CT"', "\u201cCT\u201d")),
    _text("full-width colon", lambda text: text.replace('"labels": ', '"labels"\uff1a')),
    _text("byte order mark", lambda text: b"\xef\xbb\xbf" + text.encode()),
    _text("dataset.json in UTF-16", lambda text: text.encode("utf-16")),
    _text("dataset.json in GBK", lambda text: text.replace("CC-BY", "\u4e2d\u6587\u6570\u636e").encode("gbk")),
    _text("dataset.json in Latin-1", lambda text: text.replace("CC-BY", "M\u00fcnchen").encode("latin-1")),
    _text("a line break in a text", lambda text: text.replace("CC-BY", "CC-BY\nfor now")),
    _text("dataset.json is empty", lambda _: b""),
    _text("dataset.json is cut", lambda text: text[: len(text) // 2]),
    _text("dataset.json is a web page", lambda _: HTML),
    _text("dataset.json is a Git LFS pointer", lambda _: POINTER),
    _text("dataset.json all zeros", lambda text: bytes(len(text))),
    _text("200,000 brackets", lambda _: "[" * 200_000),
    _text("two objects in dataset.json", lambda text: text + text),
    _text("merge conflict", lambda text: "<<<<<<< HEAD\n" + text + "=======\n" + text + ">>>>>>> other\n"),
    _text("NaN in dataset.json", lambda text: text.replace('"numTraining": 6', '"numTraining": NaN'), "json-syntax|json-type|num-training", also=("dataset-json-broken", "num-training")),
    _text("number of 5,000 digits", lambda text: text.replace('"numTraining": 6', '"numTraining": ' + "6" * 5000), "json-syntax|json-type|num-training", also=("dataset-json-broken", "num-training")),
    _text("list for an object", lambda text: f"[{text}]", "json-type|json-syntax"),
    _text("text for an object", json.dumps, "json-type|json-syntax"),
    _text("key there twice", lambda text: text.replace(_BEGUN, '{\n    "file_ending": ".nrrd",\n    "channel_names"'), "json-duplicate-key", also=()),
    _text("label there twice", lambda text: text.replace('"lesion": 2', '"lesion": 1,\n        "lesion": 2'), "json-duplicate-key", also=()),
    _json("numTraining is a text", "json-type", _set(numTraining="6")),
    _json("numTraining is a fraction", "json-type", _set(numTraining=6.0)),
    _json("labels is a list", "json-type", _set(labels=["background", "organ", "lesion"])),
    _json("channel_names is a list", "json-type", _set(channel_names=["CT"])),
    _json("channel_names is a text", "json-type", _set(channel_names="CT")),
    _json("file_ending is a list", "json-type", _set(file_ending=[".nii.gz"])),
    _json("channel name is a number", "json-type", _set(channel_names={"0": 7})),
    _json("labels is null", "json-type", _set(labels=None)),
    _json("no labels", "json-key-missing", lambda content: content.pop("labels"), also=("dataset-json-keys",)),
    _json("no channel_names", "json-key-missing", lambda content: content.pop("channel_names"), also=("dataset-json-keys",)),
    _json("no numTraining", "json-key-missing", lambda content: content.pop("numTraining"), also=("dataset-json-keys",)),
    _json("no file_ending", "json-key-missing", lambda content: content.pop("file_ending"), also=("dataset-json-keys",)),
    _json("channel_names misspelt", "json-key-missing", _respelt("channel_names", "chanel_names"), also=("dataset-json-keys",)),
    _json("numTraining in lower case", "json-key-missing", _respelt("numTraining", "numtraining"), also=("dataset-json-keys",)),
    _json("file_ending misspelt", "json-key-missing", _respelt("file_ending", "file_endings"), also=("dataset-json-keys",)),
    _json("labels in the singular", "json-key-missing", _respelt("labels", "label"), also=("dataset-json-keys",)),
    _json("channels from 1", "json-channel-keys", lambda content: content.update(channel_names={"1": "T1", "2": "T1ce", "3": "T2", "4": "FLAIR"}), base="mr"),
    _json("channels out of order", "json-channel-keys", lambda content: content.update(channel_names={"1": "T1ce", "0": "T1", "2": "T2", "3": "FLAIR"}), base="mr"),
    _json("channels with a gap", "json-channel-keys", lambda content: content.update(channel_names={"0": "T1", "1": "T1ce", "2": "T2", "4": "FLAIR"}), base="mr"),
    _json("channels the other way round", "json-channel-keys", _set(channel_names={"CT": "0"})),
    _json("channels as files are named", "json-channel-keys", _set(channel_names={"0000": "CT"})),
    _json("labels the other way round", "json-labels", _set(labels={"0": "background", "1": "organ", "2": "lesion"})),
    _json("no labels at all", "json-labels", _labels(), also=("label-unexpected",)),
    _json("no background", "json-labels", _labels(organ=1, lesion=2), also=("label-unexpected",)),
    _json("Background in capitals", "json-labels", _labels(Background=0, organ=1, lesion=2)),
    _json("background is 1", "json-labels", _labels(background=1, organ=0, lesion=2)),
    _json("background is a list", "json-labels", _labels(background=[0], organ=1, lesion=2)),
    _json("label is a word", "json-labels", _labels(background=0, organ="one", lesion=2), also=("label-unexpected",)),
    _json("label is null", "json-labels|json-type", _labels(background=0, organ=None, lesion=2), also=("label-unexpected",)),
    _json("label is negative", "json-labels", _labels(background=0, organ=1, lesion=2, vein=-1), also=("class-never-occurs",)),
    _json("two names for a label", "json-labels", _labels(background=0, organ=1, liver=1, lesion=2)),
    _json("ignore in the middle", "json-labels", _labels(background=0, ignore=1, lesion=2)),
    _json("ignore is a list", "json-labels", _labels(background=0, organ=1, ignore=[2]), also=("label-unexpected",)),
    _json("ignore is a text", "json-labels|json-type", _labels(background=0, organ=1, ignore="2"), also=("label-unexpected",)),
    _file("a gap in the labels", _gap, "json-labels", "dataset.json", alone=True),
    _json("regions without order", "json-regions", lambda content: content.pop("regions_class_order"), base="regions"),
    _json("order of regions too long", "json-regions", _set(regions_class_order=[1, 2, 3]), base="regions"),
    _json("order of regions with background", "json-regions", _set(regions_class_order=[0, 1, 2]), base="regions"),
    _json("order of regions in words", "json-regions|json-type", _set(regions_class_order=["whole", "lesion"]), base="regions"),
    _json("order of regions is a number", "json-regions|json-type", _set(regions_class_order=2), base="regions"),
    _json("order of regions names what is not declared", "json-regions", _set(regions_class_order=[1, 7]), base="regions"),
    _json("order of regions of another list", "json-regions", _set(regions_class_order=[2, 1]), base="regions"),
    _json("order of regions that gives all to the small one", "json-regions", _set(regions_class_order=[2, 2]), base="regions"),
    _json("ignore with a capital letter", "ignore-misspelt", lambda content: content.update(labels={"background": 0, "organ": 1, "Ignore": 2}), base="ignore"),
    _json("large region over small", "json-regions", lambda content: content.update(labels={"background": 0, "lesion": [2], "whole": [1, 2]}, regions_class_order=[2, 1]), base="regions"),
    _json("reader misspelt", "json-reader", _set(overwrite_image_reader_writer="SimpleITKI0")),
    _json("reader of nobody", "json-reader", _set(overwrite_image_reader_writer="MyHospitalIO")),
    _json("numTraining too large", "num-training", _set(numTraining=7)),
    _json("numTraining too small", "num-training", _set(numTraining=5)),
    _json("numTraining 0", "num-training", _set(numTraining=0)),
    _json("file_ending without its dot", "no-cases|reader-cannot-read|json-type|wrong-file-ending", _set(file_ending="nii.gz"), names=(), also=("no-cases", "reader-cannot-read", "num-training", "wrong-file-ending", "bad-image-name")),
    _json("file_ending in capitals", "no-cases", _set(file_ending=".NII.GZ"), names=("imagesTr",), also=("wrong-file-ending", "num-training", "ending-capitals")),
    _file("all files and file_ending in capitals", _all_in_capitals, "ending-capitals", "dataset.json", alone=True),
    _json("file_ending of another format", "no-cases", _set(file_ending=".nrrd"), names=("imagesTr",), also=("wrong-file-ending", "num-training")),
    _json("file_ending empty", "no-cases|reader-cannot-read|json-type|bad-image-name", _set(file_ending=""), names=(), also=("no-cases", "reader-cannot-read", "num-training", "wrong-file-ending", "bad-image-name")),
    _json("CT with a word behind", "channel-normalisation", _set(channel_names={"0": "CT_venous"})),
    _json("CT with a word before", "channel-normalisation", _set(channel_names={"0": "portal venous CT"})),
    _json("CT with a blank", "channel-normalisation", _set(channel_names={"0": "CT "})),
    _json("a label that never occurs", "class-never-occurs", _labels(background=0, organ=1, lesion=2, vessel=3), depth=_FOUND),
    Fault(name="listed image is missing", base="paths", change=_removed("scans/{case}/t2.nii.gz"), id="json-path", names=("scans/{case}/t2.nii.gz",)),
    Fault(name="listed label is missing", base="paths", change=_removed("scans/{case}/seg.nii.gz"), id="json-path", names=("scans/{case}/seg.nii.gz",), also=("label-missing",)),
    Fault(name="listed image is misspelt", base="paths", change=_entry(["images"], ["scans/{case}/t1.nii.gz", "scans/typo/t2.nii.gz"]), id="json-path", names=("scans/typo/t2.nii.gz",), may_name=("scans/{case}/t1.nii.gz",)),
    Fault(name="listed case without images", base="paths", change=_entry(["images"], None), id="json-path|json-type", names=(), alone=True),
    Fault(name="listed case without label", base="paths", change=_entry(["label"], None), id="json-path|json-type", names=(), alone=True, also=("label-missing",)),
    Fault(name="listed images as one text", base="paths", change=_entry(["images"], "scans/x.nii.gz"), id="json-path|json-type", names=(), alone=True, also=("channel-missing", "channel-count")),
    Fault(name="listed case lacks a channel", base="paths", change=_entry(["images"], ["scans/{case}/t1.nii.gz"]), id="channel-missing|channel-count", names=(), alone=True),
    Fault(name="listed label of another format", base="paths", change=_listed_as_nrrd, id="wrong-file-ending", names=("scans/{case}/seg.nrrd",)),
    Fault(name="listed label is cut", base="paths", change=lambda folder, case: cut(0.5)(folder / "scans" / case / "seg.nii.gz"), id="unreadable", names=("scans/{case}/seg.nii.gz",)),
    Fault(name="label elsewhere is cut", base="paths-elsewhere", change=lambda folder, case: cut(0.5)(folder / "../shared/scans" / case / "seg.nii.gz"), id="unreadable", names=("../shared/scans/{case}/seg.nii.gz",)),
]  # fmt: skip

# --- faults: the whole dataset -------------------------------------------------------------------------------------


def _only(count: int) -> Callable[[Path, str], None]:
    def keep(folder: Path, _: str) -> None:
        for case in CASES[count:]:
            (folder / f"imagesTr/{case}_0000.nii.gz").unlink()
            (folder / f"labelsTr/{case}.nii.gz").unlink()
        edit_json(folder, _set(numTraining=count))

    return keep


def _empty(*places: str) -> Callable[[Path, str], None]:
    def empty(folder: Path, _: str) -> None:
        for place in places:
            for path in (folder / place).iterdir():
                path.unlink()

    return empty


def _all_images(damage: Damage) -> Callable[[Path, str], None]:
    def edit(folder: Path, _: str) -> None:
        for path in sorted((folder / "imagesTr").iterdir()):
            damage(path)

    return edit


def _to_grey_levels(array: Array) -> Array:
    return np.clip((array.astype(np.int32) + 1024) // 5, 0, 255).astype(np.uint8)


def _folder_becomes_file(name: str) -> Callable[[Path, str], None]:
    """A link that was checked out by a system without links is a text file with its target."""

    def change(folder: Path, _: str) -> None:
        (folder / name).rename(folder.parent / name)
        (folder / name).write_text(f"../{name}", encoding="utf-8")

    return change


def _folder_becomes_dead_link(folder: Path, _: str) -> None:
    shutil.rmtree(folder / "imagesTr")
    (folder / "imagesTr").symlink_to("../gone")


def _all_to_jpeg(folder: Path, _: str) -> None:
    for path in sorted((folder / "imagesTr").iterdir()):
        with Image.open(path) as picture:
            picture.save(path.with_suffix(".jpg"))
        path.unlink()
    for path in sorted((folder / "labelsTr").iterdir()):
        with Image.open(path) as picture:
            picture.save(path.with_suffix(".jpg"), quality=100)
        path.unlink()
    edit_json(folder, _set(file_ending=".jpg"))


def _all_to(ending: str) -> Callable[[Path, str], None]:
    def change(folder: Path, _: str) -> None:
        for place in ("imagesTr", "labelsTr"):
            for path in sorted((folder / place).iterdir()):
                sitk.WriteImage(sitk.ReadImage(str(path)), str(path).replace(".nii.gz", ending))
                path.unlink()
        edit_json(folder, _set(file_ending=ending))

    return change


def _all_to_bz2(folder: Path, _: str) -> None:
    for place in ("imagesTr", "labelsTr"):
        for path in sorted((folder / place).iterdir()):
            path.with_suffix(".bz2").write_bytes(bz2.compress(_load(path)))
            path.unlink()
    edit_json(folder, _set(file_ending=".nii.bz2"))


def _decathlon(folder: Path, _: str) -> None:
    for place in ("imagesTr", "labelsTr", "imagesTs"):
        (folder / place).mkdir()
    training = []
    for case in CASES:
        label, affine = label_of(case), grid_of(case).affine
        image = np.stack([mr_of(case, channel, label) for channel in range(2)])
        (folder / f"imagesTr/{case}.nii.gz").write_bytes(gz(nifti(image, affine, (1, 1))))
        (folder / f"labelsTr/{case}.nii.gz").write_bytes(gz(nifti(label, affine, (1, 1))))
        training.append({"image": f"./imagesTr/{case}.nii.gz", "label": f"./labelsTr/{case}.nii.gz"})
    content = {
        "name": "Prostate",
        "tensorImageSize": "4D",
        "modality": {"0": "T2", "1": "ADC"},
        "labels": {"0": "background", "1": "PZ", "2": "TZ"},
        "numTraining": len(CASES),
        "numTest": 0,
        "training": training,
        "test": [],
    }
    (folder / "dataset.json").write_text(json.dumps(content), encoding="utf-8")


def _version_1(folder: Path, _: str) -> None:
    edit_json(folder, lambda content: content.update(modality=content.pop("channel_names")))
    edit_json(folder, lambda content: content.pop("file_ending"))
    edit_json(folder, _set(labels={"0": "background", "1": "organ", "2": "lesion"}))


def _bids(folder: Path, _: str) -> None:
    (folder / "dataset_description.json").write_text('{"Name": "Lesions", "BIDSVersion": "1.8.0"}', encoding="utf-8")
    (folder / "participants.tsv").write_text("participant_id\tage\n", encoding="utf-8")
    for number, case in enumerate(CASES, 1):
        label, grid = label_of(case), grid_of(case)
        anatomy = folder / f"sub-{number:02d}" / "anat"
        masks = folder / "derivatives" / "masks" / f"sub-{number:02d}" / "anat"
        anatomy.mkdir(parents=True)
        masks.mkdir(parents=True)
        write_sitk(anatomy / f"sub-{number:02d}_T1w.nii.gz", mr_of(case, 0, label), grid)
        (anatomy / f"sub-{number:02d}_T1w.json").write_text("{}", encoding="utf-8")
        write_sitk(masks / f"sub-{number:02d}_label-lesion_mask.nii.gz", label, grid)


def _dicom_series(*places: str, ending: str = ".dcm") -> Callable[[Path, str], None]:
    def series(folder: Path, _: str) -> None:
        for place in places:
            (folder / place).mkdir(parents=True)
            for number in range(4):
                (folder / place / f"IM{number:04d}{ending}").write_bytes(dicom())

    return series


def _dicom_for_images(folder: Path, case: str) -> None:
    _empty("imagesTr")(folder, case)
    _dicom_series(*(f"imagesTr/{case}" for case in CASES))(folder, case)


_BARE_FOLDER = ("folder-missing", "json-missing", "dataset-json-missing", "dataset-not-converted")
_UNCONVERTED = ("json-key-missing", "json-labels", "dataset-json-keys")

_WHOLE = [
    _file("images lie in images", _renamed("imagesTr", "images"), "folder-missing", "imagesTr", alone=True, also=("num-training",)),
    _file("images lie in imagesTR", _renamed("imagesTr", "imagesTR"), "folder-missing", "imagesTr", alone=True, also=("num-training",), needs=("two names by case",)),
    _file("labels lie in labels", _renamed("labelsTr", "labels"), "folder-missing", "labelsTr", alone=True),
    _file("imagesTr is a text file", _folder_becomes_file("imagesTr"), "folder-missing|not-a-file", "imagesTr", alone=True, also=("num-training",)),
    _file("imagesTr is a link to nothing", _folder_becomes_dead_link, "folder-missing|broken-link", "imagesTr", alone=True, also=("num-training",), needs=("symbolic links",)),
    _file("imagesTr is empty", _empty("imagesTr"), "no-cases", "imagesTr", alone=True, also=_LOST),
    _file("both folders are empty", _empty("imagesTr", "labelsTr"), "no-cases", "imagesTr", alone=True, also=("num-training",)),
    _file("DICOM series for images", _dicom_for_images, "no-cases|dataset-is-dicom", alone=True, also=(*_LOST, "no-cases", "dataset-is-dicom")),
    _file("everything is JPEG", _all_to_jpeg, "reader-cannot-read", base="png", alone=True, also=("label-unexpected",)),
    _file("everything is .mhd", _all_to(".mhd"), "reader-cannot-read", alone=True),
    _file("everything is Analyze", _all_to(".img"), "reader-cannot-read", alone=True, also=("wrong-file-ending",)),
    _file("everything is .nii.bz2", _all_to_bz2, "reader-cannot-read", alone=True),
    _file("no label has foreground", _all_labels(np.zeros_like), "no-foreground", "labelsTr", alone=True, depth=_FOUND, also=("class-never-occurs",)),
    _file("lesion in no label", _all_labels(_without_2), "class-never-occurs", "dataset.json", alone=True, depth=_FOUND),
    _file("lesion in one label", _all_labels(_without_2, but="{case}.nii.gz"), "class-in-one-case", _L, alone=True, depth=_FOUND),
    _file("all labels of 0 and 255", _all_labels(lambda label: ((label > 0) * 255).astype(np.uint8)), "label-unexpected", *(f"labelsTr/{case}.png" for case in CASES), base="png", alone=True, depth=_FOUND, also=("class-never-occurs", "no-foreground")),
    _file("three cases", _only(3), "cases-few", "imagesTr", alone=True),
    _file("four cases", _only(4), "cases-few", "imagesTr", alone=True),
    _file("CT of grey levels", _all_images(revoxelled(_to_grey_levels)), "channel-normalisation", "dataset.json", alone=True, depth="deep"),
    Fault(name="all images RGB behind one channel", base="png-grey", change=_all_images(repictured(lambda picture: picture.convert("RGB"))), id="channel-count", names=tuple(f"imagesTr/{case}_0000.png" for case in CASES), alone=True),
    Fault(name="a Decathlon dataset", base="nothing", change=_decathlon, id="dataset-not-converted", names=(), alone=True, also=(*_UNCONVERTED, "no-cases", "bad-image-name", "label-missing", "label-orphan", "num-training", "not-3d", "channel-count")),
    Fault(name="a dataset of version 1", base="mr", change=_version_1, id="dataset-not-converted", names=(), alone=True, also=_UNCONVERTED),
    Fault(name="a BIDS dataset", base="nothing", change=_bids, id="dataset-is-bids", names=(), alone=True, also=_BARE_FOLDER),
    Fault(name="a folder of DICOM series", base="nothing", change=_dicom_series("patient1/CT", "patient2/CT"), id="dataset-is-dicom", names=(), alone=True, also=_BARE_FOLDER),
    Fault(name="DICOM files without ending", base="nothing", change=_dicom_series("DICOM/PA0/ST0/SE0", ending=""), id="dataset-is-dicom", names=(), alone=True, also=_BARE_FOLDER),
]  # fmt: skip

FAULTS: tuple[Fault, ...] = (*_DAMAGED, *_OTHER_CONTENT, *_GRIDS, *_VOXELS, *_NAMES, *_JSON, *_WHOLE)

# --- faults: images to predict -------------------------------------------------------------------------------------


def _input(name: str, damage: Damage | None, id: str, *names: str, **more: Any) -> Fault:
    """Return the fault of the images of a test case; names are relative to imagesTs, the folder of the input."""

    def change(folder: Path, case: str) -> None:
        for path in sorted((folder / "imagesTs").glob(f"{case}_*")):
            damage(path)

    return Fault(name=name, base="with-test", id=id, names=names, case="test_001", **{"change": change, **more})


_BOTH = ("{case}_0000.nii.gz", "{case}_0001.nii.gz")

INPUT_FAULTS = (
    _input("input ten times as large", enlarged(10), "input-spacing", *_BOTH),
    _input("input of slices three times as thick", stretched(3), "input-spacing", *_BOTH),
    _input("input lies the other way round", directed(*FLIP), "input-orientation", *_BOTH),
    _input("input is cut", cut(0.5), "unreadable", *_BOTH),
    _input("input of NaN", revoxelled(in_some(float("nan"))), "nan", *_BOTH, depth="deep"),
    _input("input lacks a channel", None, "channel-missing", _BOTH[1], change=_removed(f"imagesTs/{_BOTH[1]}")),
    _input("input without channel number", None, "bad-image-name", "{case}.nii.gz", change=_renamed(f"imagesTs/{_BOTH[0]}", "imagesTs/{case}.nii.gz"), also=("channel-missing",)),
)  # fmt: skip
"""Faults of test images that are about to be predicted with a model of the dataset."""
