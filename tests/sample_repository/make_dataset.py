"""Writes Dataset099_Sample with nothing but the standard library: five cases with three faults."""

from __future__ import annotations

import gzip
import json
import struct
from pathlib import Path

SHAPE = (6, 5, 4)


def nifti(voxels: list[int], code: int, letter: str, origin: float = 0) -> bytes:
    """Return a NIfTI-1 file of 1 mm voxels; code and letter are NIfTI's and Python's names of the data type."""
    header = bytearray(352)
    for at, form, values in (
        (0, "i", [348]),
        (40, "8h", [3, *SHAPE, 1, 1, 1, 1]),
        (70, "2h", [code, 8 * struct.calcsize(letter)]),
        (76, "8f", [1, 1, 1, 1, 0, 0, 0, 0]),
        (108, "3f", [352, 1, 0]),
        (252, "2h", [0, 1]),
        (280, "12f", [1, 0, 0, origin, 0, 1, 0, 0, 0, 0, 1, 0]),
        (344, "4s", [b"n+1\0"]),
    ):
        struct.pack_into("<" + form, header, at, *values)
    return gzip.compress(bytes(header) + struct.pack(f"<{len(voxels)}{letter}", *voxels), mtime=0)


def main(base: Path) -> None:
    """Write the dataset into a folder."""
    size = SHAPE[0] * SHAPE[1] * SHAPE[2]
    dataset = base / "Dataset099_Sample"
    for folder in ("imagesTr", "labelsTr"):
        (dataset / folder).mkdir(parents=True, exist_ok=True)
    for case in range(5):
        image = [(17 * place + 31 * case) % 301 for place in range(size)]
        label = [int(40 <= place < 60 + 5 * case) for place in range(size)]
        (dataset / "imagesTr" / f"sample_{case:03d}_0000.nii.gz").write_bytes(nifti(image, 4, "h"))
        stored = nifti(label, 16, "f") if case == 1 else nifti(label, 2, "B", 0.25 if case == 2 else 0)
        (dataset / "labelsTr" / f"sample_{case:03d}.nii.gz").write_bytes(stored)
    description = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "lesion": 1},
        "numTraining": 6,
        "file_ending": ".nii.gz",
    }
    (dataset / "dataset.json").write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path.cwd())
