"""A tiny made-up head CT dataset with bleedings in the brain, in nnU-Net's raw format.

Run as a file by the interpreter that nnU-Net is installed in, because it needs numpy and SimpleITK and nothing else::

    PYTHON nnunet_doctor/demo_data.py FOLDER

Every case is a phantom: air, scalp, skull, fluid, brain with two ventricles, and one haemorrhage whose place and size
change from case to case. No patient was ever in it. The same call writes the same files every time. Nothing is deleted
or overwritten: a FOLDER that already holds something is refused.

The size is chosen for speed. nnU-Net plans a 2D patch of 56 x 48 pixels from it; a side of 64 or more would add a
stage to the network and quadruple its weights. 48 slices keep the batch at nnU-Net's minimum of two.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    # started as a file, so its folder is on the path; the doctor's own modules must not be found there
    sys.path[:] = sys.path[1:]

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK

TRAINING_CASES = 6
TEST_CASES = 1
SEED = 999

SHAPE = (8, 56, 48)
"""Voxels along z, y, x."""
SPACING_MM = (5.0, 4.0, 4.0)
"""Along z, y, x; z is the largest, so nnU-Net takes the axial slices for its 2D configuration."""

BRAIN = 1
HAEMORRHAGE = 2

HU_AIR = -1000.0
HU_SCALP = 20.0
HU_SKULL = 900.0
HU_BRAIN = 34.0
HU_FLUID = 6.0
HU_NOISE = 5.0
HU_LOWEST = -1024

HALF = 0.5
"""A voxel gets a label from this coverage on."""

SCALP_MM = 5.0
SKULL_MM = 7.0
FLUID_MM = 4.0


@dataclass(frozen=True)
class Ellipsoid:
    """An ellipsoid in head coordinates: x to the patient's left, y to the back, z upwards, in mm."""

    centre_mm: tuple[float, float, float]
    radii_mm: tuple[float, float, float]

    def shrunk(self, by_mm: float) -> Ellipsoid:
        """Return the ellipsoid that lies ``by_mm`` further in."""
        x, y, z = self.radii_mm
        return Ellipsoid(self.centre_mm, (x - by_mm, y - by_mm, z - by_mm))


@dataclass(frozen=True)
class Head:
    """What differs between two cases."""

    outline: Ellipsoid
    ventricles: tuple[Ellipsoid, Ellipsoid]
    haemorrhage: Ellipsoid
    haemorrhage_hu: float
    turn_rad: float
    shift_mm: tuple[float, float]
    table_mm: float


def draw_head(rng: np.random.Generator) -> Head:
    """Return a head with a haemorrhage on one side, clear of skull and midline.

    Args:
        rng: Where the chance comes from.

    Returns:
        The head, its lengths in mm.
    """
    outline = Ellipsoid((0.0, 0.0, -20.0), (rng.uniform(72, 78), rng.uniform(90, 97), rng.uniform(88, 96)))
    width, length = rng.uniform(6, 9), rng.uniform(22, 28)
    left = Ellipsoid((11.0, -2.0, 0.0), (width, length, 18.0))
    right = Ellipsoid((-11.0, -2.0, 0.0), (width, length, 18.0))
    side = rng.choice((-1.0, 1.0))
    haemorrhage = Ellipsoid(
        (side * rng.uniform(32, 38), rng.uniform(-28, 28), rng.uniform(-7, 7)),
        (rng.uniform(12, 17), rng.uniform(14, 22), rng.uniform(12, 17)),
    )
    return Head(
        outline=outline,
        ventricles=(left, right),
        haemorrhage=haemorrhage,
        haemorrhage_hu=rng.uniform(62, 74),
        turn_rad=np.deg2rad(rng.uniform(-8, 8)),
        shift_mm=(rng.uniform(-5, 5), rng.uniform(-5, 5)),
        table_mm=rng.uniform(-900, -700),
    )


def head_coordinates(head: Head) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where each voxel lies in the head.

    Args:
        head: How the head is turned and shifted in the scanner.

    Returns:
        x, y and z in mm, each of shape ``SHAPE``.
    """
    z, y, x = np.meshgrid(
        *((np.arange(n) - (n - 1) / 2) * mm for n, mm in zip(SHAPE, SPACING_MM)),  # noqa: B905 - Python 3.9 knows no strict
        indexing="ij",
    )
    x, y = x - head.shift_mm[0], y - head.shift_mm[1]
    cos, sin = np.cos(head.turn_rad), np.sin(head.turn_rad)
    return x * cos + y * sin, y * cos - x * sin, z


def coverage(shape: Ellipsoid, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Return how much of each voxel a shape fills, so that edges are blurred as in a scan.

    Args:
        shape: The ellipsoid.
        x: Left-right position in mm, of any shape.
        y: Front-back position in mm, same shape.
        z: Foot-head position in mm, same shape.

    Returns:
        Values from 0 (outside) to 1 (inside), same shape.
    """
    (cx, cy, cz), (rx, ry, rz) = shape.centre_mm, shape.radii_mm
    relative = np.sqrt(((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 + ((z - cz) / rz) ** 2)
    outside_mm = (relative - 1.0) * min(rx, ry, rz)
    return np.clip(0.5 - outside_mm / SPACING_MM[-1], 0.0, 1.0)


def scan(head: Head, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the image of a head and its segmentation.

    Args:
        head: What to scan.
        rng: Where the noise comes from.

    Returns:
        The image in HU (int16) and the labels (uint8), both of shape ``SHAPE``.
    """
    x, y, z = head_coordinates(head)
    brain = coverage(head.outline.shrunk(SCALP_MM + SKULL_MM + FLUID_MM), x, y, z)
    bleeding = np.minimum(coverage(head.haemorrhage, x, y, z), brain)
    layers = [
        (coverage(head.outline, x, y, z), HU_SCALP),
        (coverage(head.outline.shrunk(SCALP_MM), x, y, z), HU_SKULL),
        (coverage(head.outline.shrunk(SCALP_MM + SKULL_MM), x, y, z), HU_FLUID),
        (brain, HU_BRAIN),
        *((coverage(ventricle, x, y, z), HU_FLUID) for ventricle in head.ventricles),
        (bleeding, head.haemorrhage_hu),
    ]
    hu = np.full(SHAPE, HU_AIR)
    for filled, value in layers:
        hu = hu * (1.0 - filled) + value * filled
    hu = hu + rng.normal(0.0, HU_NOISE, SHAPE)
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[brain >= HALF] = BRAIN
    labels[bleeding >= HALF] = HAEMORRHAGE
    return np.clip(np.rint(hu), HU_LOWEST, None).astype(np.int16), labels


def as_image(voxels: np.ndarray, table_mm: float) -> SimpleITK.Image:
    """Return voxels as an image that knows where it lies in the scanner.

    Args:
        voxels: Of shape ``SHAPE`` (z, y, x).
        table_mm: Position of the lowest slice.

    Returns:
        The image, its axes along those of the patient.
    """
    image = SimpleITK.GetImageFromArray(voxels)
    depth, height, width = (float(mm) for mm in SPACING_MM)
    image.SetSpacing((width, height, depth))
    image.SetOrigin((-width * (SHAPE[2] - 1) / 2, -height * (SHAPE[1] - 1) / 2, round(table_mm, 1)))
    return image


def dataset_description() -> dict[str, object]:
    """Return what dataset.json says."""
    return {
        "name": "DoctorDemo",
        "description": "Made-up head CT with haemorrhages; a demonstration, no patient data",
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "brain": BRAIN, "haemorrhage": HAEMORRHAGE},
        "numTraining": TRAINING_CASES,
        "file_ending": ".nii.gz",
    }


def write_dataset(folder: Path) -> None:
    """Write the dataset.

    Args:
        folder: An empty folder or one that does not exist yet.
    """
    for name in ("imagesTr", "labelsTr", "imagesTs"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(1, TRAINING_CASES + TEST_CASES + 1):
        case = f"head_{number:03d}"
        rng = np.random.default_rng((SEED, number))
        head = draw_head(rng)
        image, labels = (as_image(voxels, head.table_mm) for voxels in scan(head, rng))
        if number <= TRAINING_CASES:
            SimpleITK.WriteImage(image, str(folder / "imagesTr" / f"{case}_0000.nii.gz"))
            SimpleITK.WriteImage(labels, str(folder / "labelsTr" / f"{case}.nii.gz"))
        else:
            SimpleITK.WriteImage(image, str(folder / "imagesTs" / f"{case}_0000.nii.gz"))
    text = json.dumps(dataset_description(), indent=4) + "\n"
    (folder / "dataset.json").write_text(text, encoding="utf-8")


def main() -> int:
    """Write the dataset where the command line says.

    Returns:
        0 when it is written, 2 when the folder is taken.
    """
    parser = argparse.ArgumentParser(description="Write a tiny made-up head CT dataset in nnU-Net's raw format.")
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="a folder that is empty or does not exist yet")
    folder: Path = parser.parse_args().folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        sys.stderr.write(f"{folder} already exists and is not an empty folder, so nothing was written.\n")
        return 2
    write_dataset(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
