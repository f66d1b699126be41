"""What is known of one file of a raw dataset."""

from __future__ import annotations

from typing import Literal

import msgspec

Depth = Literal["quick", "default", "deep"]
Role = Literal["image", "label"]
Decodes = Literal["all", "floats", "none"]

READERS = (
    "NaturalImage2DIO",
    "SimpleITKIO",
    "SimpleITKIOWithReorient",
    "Tiff3DIO",
    "NibabelIO",
    "NibabelIOWithReorient",
)
"""The classes of nnunetv2/imageio that can be named in dataset.json (2.8.1)."""

MOST_VOXELS = 2**40
"""A header that announces more is damaged or hostile."""

Fault = tuple[str, str]
"""Id of a check, and the particulars: values and field names, no sentences."""


class DamageError(Exception):
    """A file cannot be read any further.

    Attributes:
        faults: Ids of the checks that say so, with the particulars; mostly one.
    """

    def __init__(self, id: str, message: str, *also: Fault) -> None:
        """Keep id and particulars as a fault."""
        super().__init__(f"{id}: {message}")
        self.faults: tuple[Fault, ...] = ((id, message), *also)


class Header(msgspec.Struct, array_like=True, frozen=True):
    """What the header of an image or label says, as the reader that nnU-Net chooses understands it.

    Attributes:
        format: nifti, nrrd, metaimage, gipl, png, bmp or tiff.
        shape: Voxels along the spatial axes, fastest first (x, y, z); two entries for a 2D image.
        channels: Values per voxel, or images in one file (fourth dimension).
        dtype: Byte order, kind and size of one value as NumPy writes it: "<i2", "|u1", ">f4"; empty for what nnU-Net's
            readers do not take as a number.
        spacing: Of the spatial axes, in mm, order of ``shape``; empty where the reader knows none.
        origin: Of the first voxel, in mm and LPS for ITK's readers, RAS for nibabel's; empty where there is none.
        direction: Cosines, row by row as SimpleITK's GetDirection gives them (columns are axes); empty likewise.
        slope: What stored values are multiplied with.
        intercept: What is added then.
        encoding: How the voxels are stored: raw, gzip, zlib, bzip2, text, or the name of the image format.
        offset: First byte of voxels; in the inflated file when the whole file is gzip (.nii.gz), else in ``data_file``.
        data_bytes: Bytes of all voxels when decoded.
        data_file: Name of the file with the voxels, beside the header; empty for the same file.
        faults: Faults of the header that do not keep it from being read.
    """

    format: str
    shape: tuple[int, ...]
    channels: int
    dtype: str
    spacing: tuple[float, ...] = ()
    origin: tuple[float, ...] = ()
    direction: tuple[float, ...] = ()
    slope: float = 1.0
    intercept: float = 0.0
    encoding: str = "raw"
    offset: int = 0
    data_bytes: int = 0
    data_file: str = ""
    faults: tuple[Fault, ...] = ()

    @property
    def voxels(self) -> int:
        """Number of voxels of one channel."""
        count = 1
        for length in self.shape:
            count *= length
        return count


class Tally(msgspec.Struct, array_like=True):
    """What the voxels of one file are, as stored (slope and intercept are not applied).

    Attributes:
        values: Distinct values in order, with how often each occurs; empty when they were not counted, or are too many.
        distinct_over: Whether there are more distinct values than are counted (``voxels.MOST_VALUES``).
        lowest: Least finite value; None when there is none.
        highest: Greatest finite value.
        nans: Number of NaN.
        infs: Number of infinities.
        fractions: Number of finite values that are no whole numbers (counted for labels only).
    """

    values: list[tuple[float, int]] = []
    distinct_over: bool = False
    lowest: float | None = None
    highest: float | None = None
    nans: int = 0
    infs: int = 0
    fractions: int = 0


class FileReport(msgspec.Struct, array_like=True):
    """Everything that is known of one file.

    Attributes:
        header: None when it could not be read.
        faults: All faults of the file by itself, those of the header included.
        tally: None when the voxels were not decoded.
        content: Short fingerprint of the file: what is the same gives the same text, but not only that.
        decoded: Bytes that were decoded.
        stable: Whether the same file gives the same report next time (no read error, not changed while it was read).
        sums: Checksums of all voxels; empty when they were not decoded.
        status: Size, time of change in ns and inode of the file that was read.
    """

    header: Header | None = None
    faults: list[Fault] = []
    tally: Tally | None = None
    content: str = ""
    decoded: int = 0
    stable: bool = True
    sums: str = ""
    status: tuple[int, int, int] | None = None


class Task(msgspec.Struct, array_like=True, frozen=True):
    """A file to examine.

    Attributes:
        path: Where it is.
        role: image or label.
        reader: Class of nnunetv2/imageio that nnU-Net would read it with.
        decodes: Whose voxels are decoded: "all", of "floats" only (which may hide a NaN), or "none", where the header
            and the end of the file are enough. A file whose end does not fit its header is decoded in any case.
    """

    path: str
    role: Role
    reader: str
    decodes: Decodes
