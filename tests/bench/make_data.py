"""Seeded data sets for ``bench_dataset.py``: made-up bodies, heads and pictures, stored as real ones are.

    python tests/bench/make_data.py [--data FOLDER] [--sets ct,mr] [--short]

Shapes are smooth and the low bits are noise, because that decides how well a file compresses and how fast it inflates.
Gzip streams come from zlib-ng at level 6, which is what SimpleITK writes, to the byte. No two files are equal, every
class occurs in every label, and nothing is wrong with any data set, except that those of fewer than five cases are too
small for five folds. The same call writes the same files; what is there and complete is used again.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import struct
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from zlib_ng import zlib_ng

SEED = 20_240

SPACING_MM = (0.75, 0.75, 2.5)
"""Along x, y, z; exact in binary, so that no format rounds it."""

LEVEL = 6
PNG_LEVEL = 4
"""Files as large as at Pillow's default of 6, in half the time."""

NIFTI = struct.Struct("<i 10s 18s i h c b 8h 3f 4h 8f 3f h 2b 4f 2i 80s 24s 2h 6f 12f 16s 4s")
NIFTI_TYPES = {"uint8": 2, "int16": 4, "float32": 16}
NRRD_TYPES = {"uint8": "unsigned char", "int16": "short", "float32": "float"}
META_TYPES = {"uint8": "MET_UCHAR", "int16": "MET_SHORT", "float32": "MET_FLOAT"}


@dataclass(frozen=True)
class Part:
    """An ellipsoid of one tissue; it covers what was drawn before it.

    Attributes:
        centre: Along z, y, x, as a fraction of the volume's length.
        radii: Likewise.
        tissue: Index into the tables of a phantom.
    """

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    tissue: int


@dataclass(frozen=True)
class Phantom:
    """What is scanned.

    Attributes:
        parts: In the order in which they are drawn.
        values: Mean of each tissue, one row for each channel. Tissue 0 surrounds everything and has no noise.
        labels: Label of each tissue.
        noise: Standard deviation.
        varies: By how much, as a fraction, parts differ between cases.
    """

    parts: tuple[Part, ...]
    values: tuple[tuple[float, ...], ...]
    labels: tuple[int, ...]
    noise: float
    varies: float


BODY = Phantom(
    parts=(
        Part((0.5, 0.5, 0.5), (60.0, 0.5, 0.5), 1),  # what the scanner reconstructs: a cylinder
        Part((0.5, 0.5, 0.5), (1.8, 0.29, 0.40), 2),
        Part((0.5, 0.5, 0.5), (1.75, 0.27, 0.375), 3),
        Part((0.2, 0.45, 0.32), (0.45, 0.15, 0.12), 4),
        Part((0.2, 0.45, 0.68), (0.45, 0.15, 0.12), 4),
        Part((0.5, 0.68, 0.5), (3.0, 0.055, 0.05), 5),
        Part((0.66, 0.44, 0.36), (0.17, 0.11, 0.15), 6),
        Part((0.7, 0.52, 0.68), (0.10, 0.07, 0.055), 7),
        Part((0.66, 0.43, 0.34), (0.05, 0.03, 0.035), 8),
    ),
    values=((-1024, -990, -95, 48, -830, 380, 66, 78, 34),),
    labels=(0, 0, 0, 0, 0, 0, 1, 2, 3),
    noise=15.0,
    varies=0.04,
)
HEAD = Phantom(
    parts=(
        Part((0.5, 0.5, 0.5), (0.399, 0.366, 0.318), 1),
        Part((0.52, 0.5, 0.5), (0.33, 0.30, 0.26), 2),
        Part((0.54, 0.48, 0.44), (0.10, 0.13, 0.03), 3),
        Part((0.54, 0.48, 0.56), (0.10, 0.13, 0.03), 3),
        Part((0.58, 0.36, 0.62), (0.12, 0.10, 0.09), 4),
        Part((0.58, 0.36, 0.62), (0.08, 0.06, 0.06), 5),
        Part((0.57, 0.35, 0.61), (0.04, 0.04, 0.03), 6),
    ),
    values=(
        (0, 620, 910, 340, 560, 720, 400),
        (0, 640, 930, 330, 580, 1150, 420),
        (0, 780, 560, 1400, 990, 860, 1050),
        (0, 800, 600, 280, 1080, 940, 700),
    ),
    labels=(0, 0, 0, 0, 1, 2, 3),
    noise=62.0,
    varies=0.015,
)


def enlarged(phantom: Phantom, by: float) -> Phantom:
    """Return a phantom that fills more of the volume."""
    parts = []
    for part in phantom.parts:
        z, y, x = (0.5 + (middle - 0.5) * by for middle in part.centre)
        depth, height, width = (radius * by for radius in part.radii)
        parts.append(Part((z, y, x), (depth, height, width), part.tissue))
    return replace(phantom, parts=tuple(parts))


CROPPED_HEAD = enlarged(HEAD, 1.37)


@dataclass(frozen=True)
class Recipe:
    """One data set.

    Attributes:
        folder: Its name below the data folder.
        cases: Number of cases.
        short: Number of cases in the mode for every day.
        shape: Voxels along z, y, x; y, x for pictures.
        dtypes: Of each channel's file.
        ending: file_ending of dataset.json.
        channels: channel_names of dataset.json, in order.
        classes: Names of the labels after background.
        phantom: None for pictures.
    """

    folder: str
    cases: int
    short: int
    shape: tuple[int, ...]
    dtypes: tuple[str, ...]
    ending: str
    channels: tuple[str, ...]
    classes: tuple[str, ...]
    phantom: Phantom | None


_ORGANS = ("liver", "spleen", "tumour")
_TUMOUR = ("oedema", "enhancing", "necrosis")
_MR = ("T1", "T1Gd", "T2", "FLAIR")

RECIPES = {
    "ct": Recipe("Dataset901_Ct", 24, 3, (120, 512, 512), ("int16",), ".nii.gz", ("CT",), _ORGANS, BODY),
    "mr": Recipe(
        "Dataset902_Mr", 60, 4, (155, 240, 240), ("int16", "int16", "float32", "float32"), ".nii.gz", _MR, _TUMOUR, HEAD
    ),
    "small": Recipe("Dataset903_Small", 400, 60, (48, 64, 64), ("float32",), ".nii.gz", ("T1",), _TUMOUR, CROPPED_HEAD),
    "png": Recipe(
        "Dataset904_Png", 2000, 200, (512, 512), ("uint8",), ".png", ("R", "G", "B"), ("cell", "nucleus"), None
    ),
    "ctnii": Recipe("Dataset905_CtNii", 24, 3, (120, 512, 512), ("int16",), ".nii", ("CT",), _ORGANS, BODY),
    "nrrd": Recipe("Dataset906_Nrrd", 8, 8, (64, 256, 256), ("int16",), ".nrrd", ("CT",), _ORGANS, BODY),
    "mha": Recipe("Dataset907_Mha", 8, 8, (64, 256, 256), ("int16",), ".mha", ("CT",), _ORGANS, BODY),
    "tiny": Recipe(
        "Dataset908_Tiny", 4, 4, (32, 40, 40), ("int16", "float32"), ".nii.gz", ("T1", "T1Gd"), _TUMOUR, CROPPED_HEAD
    ),
}
SHORT = ("ct", "mr", "small", "png", "tiny")
"""Sets of the mode for every day."""

DEFAULT_FOLDER = Path(tempfile.gettempdir()) / "nnunet-doctor-bench"


def fill(tissues: np.ndarray, centre: tuple[float, ...], radii: tuple[float, ...], tissue: int) -> None:
    """Draw an ellipsoid, or an ellipse, into a map of tissues.

    Args:
        tissues: What is drawn into.
        centre: In voxels, axis by axis.
        radii: Likewise.
        tissue: What is drawn.
    """
    spans = [
        slice(max(0, int(middle - radius)), max(0, min(length, int(middle + radius) + 2)))
        for middle, radius, length in zip(centre, radii, tissues.shape, strict=True)
    ]
    axes = (
        ((np.arange(span.start, span.stop, dtype=np.float32) - middle) / radius) ** 2
        for span, middle, radius in zip(spans, centre, radii, strict=True)
    )
    tissues[tuple(spans)][functools.reduce(np.add.outer, axes) < 1] = tissue


@functools.lru_cache(maxsize=4)
def noise_pool(dtype: str, deviation: float, count: int) -> np.ndarray:
    """Return noise for many volumes: each takes ``count`` values from a place of its own.

    Args:
        dtype: Of the values; integers are rounded.
        deviation: Standard deviation.
        count: Values that a volume needs; there are 2**20 more.
    """
    values = np.random.default_rng(SEED).standard_normal(count + 2**20, dtype=np.float32) * np.float32(deviation)
    return values if dtype == "float32" else np.rint(values).astype(dtype)


def noise(dtype: str, deviation: float, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Return a view of the pool."""
    count = int(np.prod(shape))
    begin = int(rng.integers(2**20))
    return noise_pool(dtype, deviation, count)[begin : begin + count].reshape(shape)


def scan(recipe: Recipe, phantom: Phantom, rng: np.random.Generator) -> tuple[list[np.ndarray], np.ndarray]:
    """Return the images of a case, channel by channel, and its labels."""
    tissues = np.zeros(recipe.shape, dtype=np.uint8)
    for part in phantom.parts:
        centre = [
            (middle + phantom.varies * radius * rng.uniform(-1, 1)) * length
            for middle, radius, length in zip(part.centre, np.minimum(part.radii, 1), recipe.shape, strict=True)
        ]
        radii = [
            radius * rng.uniform(1 - phantom.varies, 1 + phantom.varies) * length
            for radius, length in zip(part.radii, recipe.shape, strict=True)
        ]
        fill(tissues, tuple(centre), tuple(radii), part.tissue)
    inside = tissues > 0
    images = []
    for dtype, means in zip(recipe.dtypes, phantom.values, strict=False):
        table = np.array(means) + rng.uniform(-8, 8, len(means)) * (np.arange(len(means)) > 0)
        image = table.astype(dtype)[tissues]
        np.add(image, noise(dtype, phantom.noise, recipe.shape, rng), out=image, where=inside)
        images.append(image)
    return images, np.array(phantom.labels, dtype=np.uint8)[tissues]


def photograph(recipe: Recipe, rng: np.random.Generator) -> tuple[list[np.ndarray], np.ndarray]:
    """Return a picture of cells, (y, x, 3), and its labels, (y, x)."""
    labels = np.zeros(recipe.shape, dtype=np.uint8)
    for _ in range(44):
        centre, radius = rng.uniform(0, 512, 2), rng.uniform(9, 22)
        fill(labels, tuple(centre), (radius, radius * rng.uniform(0.7, 1.4)), 1)
        fill(labels, tuple(centre + rng.uniform(-2, 2, 2)), (radius * 0.5, radius * 0.5), 2)
    rows, columns = (np.arange(length, dtype=np.float32) for length in recipe.shape)
    light = [
        np.add.outer(25 * np.sin(rows / rng.uniform(60, 120)), 25 * np.cos(columns / rng.uniform(60, 120)))
        for _ in range(3)
    ]
    stain = np.array(((190, 160, 175), (150, 80, 140), (80, 50, 110)), dtype=np.float32) + rng.uniform(-12, 12, (3, 3))
    image = np.stack(light, axis=-1) + stain.astype(np.float32)[labels]
    image += noise("float32", 2.2, image.shape, rng)
    return [np.clip(np.rint(image), 0, 255).astype(np.uint8)], labels


def deflated(data: memoryview | bytes, window: int) -> bytes:
    """Return data as a gzip (``window`` 31) or zlib (15) stream."""
    codec = zlib_ng.compressobj(LEVEL, zlib_ng.DEFLATED, window)
    return codec.compress(data) + codec.flush()


def origin(shape: tuple[int, ...]) -> tuple[float, float, float]:
    """Return where the first voxel of a volume (z, y, x) lies: x, y, z in mm, LPS; the centre is 0."""
    x, y, z = (-length / 2 * mm for length, mm in zip(reversed(shape), SPACING_MM, strict=True))
    return x, y, z


def nifti_header(voxels: np.ndarray) -> bytes:
    """Return a NIfTI-1 header whose qform and sform say the same, with the four bytes for extensions."""
    sizes = voxels.shape[::-1]
    left, back, up = SPACING_MM
    x, y, z = origin(voxels.shape)
    fields: tuple[Any, ...] = (348, b"", b"", 0, 0, b"r", 0, 3, *sizes, 1, 1, 1, 1, 0, 0, 0, 0)
    fields += (NIFTI_TYPES[voxels.dtype.name], voxels.itemsize * 8, 0, 1, *SPACING_MM, 0, 0, 0, 0, 352, 1, 0, 0, 0, 10)
    fields += (0, 0, 0, 0, 0, 0, b"", b"", 1, 1, 0, 0, 1, -x, -y, z)  # half a turn around z: RAS from LPS
    fields += (-left, 0, 0, -x, 0, -back, 0, -y, 0, 0, up, z, b"", b"n+1")
    return NIFTI.pack(*fields) + bytes(4)


def nrrd_header(voxels: np.ndarray) -> bytes:
    """Return a NRRD header as ITK writes it, for voxels in a gzip stream."""
    x, y, z = SPACING_MM
    lines = (
        "NRRD0004",
        f"type: {NRRD_TYPES[voxels.dtype.name]}",
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, voxels.shape[::-1]))}",
        f"space directions: ({x},0,0) (0,{y},0) (0,0,{z})",
        "kinds: domain domain domain",
        *(("endian: little",) if voxels.itemsize > 1 else ()),
        "encoding: gzip",
        f"space origin: ({','.join(map(str, origin(voxels.shape)))})",
        "\n",
    )
    return "\n".join(lines).encode("ascii")


def meta_header(voxels: np.ndarray, stream_bytes: int) -> bytes:
    """Return a MetaImage header as ITK writes it, for voxels in a zlib stream of that many bytes."""
    lines = (
        "ObjectType = Image",
        "NDims = 3",
        "BinaryData = True",
        "BinaryDataByteOrderMSB = False",
        "CompressedData = True",
        f"CompressedDataSize = {stream_bytes}",
        "TransformMatrix = 1 0 0 0 1 0 0 0 1",
        f"Offset = {' '.join(map(str, origin(voxels.shape)))}",
        "CenterOfRotation = 0 0 0",
        "AnatomicalOrientation = RAI",
        f"ElementSpacing = {' '.join(map(str, SPACING_MM))}",
        f"DimSize = {' '.join(map(str, voxels.shape[::-1]))}",
        f"ElementType = {META_TYPES[voxels.dtype.name]}",
        "ElementDataFile = LOCAL",
        "",
    )
    return "\n".join(lines).encode("ascii")


def write(path: Path, voxels: np.ndarray, ending: str) -> None:
    """Write a volume (z, y, x) or a picture (y, x) or (y, x, 3) in the format that the ending names."""
    if ending == ".png":
        Image.fromarray(voxels).save(path, "PNG", compress_level=PNG_LEVEL)
        return
    raw = np.ascontiguousarray(voxels).data.cast("B")
    if ending == ".nii.gz":
        path.write_bytes(deflated(b"".join((nifti_header(voxels), raw)), 31))
    elif ending == ".nii":
        path.write_bytes(b"".join((nifti_header(voxels), raw)))
    elif ending == ".nrrd":
        path.write_bytes(nrrd_header(voxels) + deflated(raw, 31))
    else:
        stream = deflated(raw, 15)
        path.write_bytes(meta_header(voxels, len(stream)) + stream)


def write_case(folder: Path, name: str, number: int) -> None:
    """Write images and labels of one case of a set."""
    recipe = RECIPES[name]
    seed = "ct" if name == "ctnii" else name  # the same volumes in another format
    rng = np.random.default_rng((SEED, *seed.encode("ascii"), number))
    images, labels = scan(recipe, recipe.phantom, rng) if recipe.phantom else photograph(recipe, rng)
    case = f"case_{number:04d}"
    for channel, image in enumerate(images):
        write(folder / "imagesTr" / f"{case}_{channel:04d}{recipe.ending}", image, recipe.ending)
    write(folder / "labelsTr" / f"{case}{recipe.ending}", labels, recipe.ending)


def files_of(folder: Path) -> list[Path]:
    """Return every file of a data set, images before labels, each in order of name."""
    return [path for part in ("imagesTr", "labelsTr") for path in sorted((folder / part).glob("*"))]


def stamp(name: str, folder: Path) -> dict[str, Any]:
    """Return what must be true of a complete set: the code that wrote it, and the files that it left."""
    sizes = [path.stat().st_size for path in files_of(folder)]
    code = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    return {"set": name, "code": code, "files": len(sizes), "bytes": sum(sizes)}


def make(data: Path, name: str, *, short: bool) -> Path:
    """Return the folder of a set, written first unless it is there and complete.

    Args:
        data: The cache folder.
        name: Key of ``RECIPES``.
        short: Whether to write the few cases of the mode for every day.

    Raises:
        SystemExit: The folder holds other files as well; nothing is ever deleted here.
    """
    recipe = RECIPES[name]
    cases = recipe.short if short else recipe.cases
    folder = data / ("short" if short else "full") / recipe.folder
    mark = folder.with_suffix(".complete.json")
    if mark.is_file() and json.loads(mark.read_text(encoding="utf-8")) == stamp(name, folder):
        return folder
    mark.unlink(missing_ok=True)
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    begun = time.perf_counter()
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as workers:
        for _ in workers.map(functools.partial(write_case, folder, name), range(1, cases + 1)):
            pass
    description = {
        "channel_names": {str(index): channel for index, channel in enumerate(recipe.channels)},
        "labels": {"background": 0, **{label: index for index, label in enumerate(recipe.classes, 1)}},
        "numTraining": cases,
        "file_ending": recipe.ending,
    }
    (folder / "dataset.json").write_text(json.dumps(description, indent=4) + "\n", encoding="utf-8")
    found = stamp(name, folder)
    if found["files"] != cases * (len(recipe.dtypes) + 1):
        sys.exit(f"{folder} holds files that are not of the benchmark: remove it, or name another folder with --data")
    mark.write_text(json.dumps(found) + "\n", encoding="utf-8")
    seconds = time.perf_counter() - begun
    print(f"{name}: {found['files']} files, {found['bytes'] / 1e6:,.0f} MB, in {seconds:.0f} s", file=sys.stderr)
    return folder


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what both programs take."""
    parser.add_argument(
        "--data", type=Path, default=DEFAULT_FOLDER, help="where the data sets are kept; default: %(default)s"
    )
    parser.add_argument("--sets", default="", help=f"some of {','.join(RECIPES)}, separated by commas; default: all")
    parser.add_argument("--short", action="store_true", help=f"few cases of {','.join(SHORT)}")


def chosen(options: argparse.Namespace) -> list[str]:
    """Return the names of the sets that were asked for.

    Raises:
        SystemExit: There is no such set.
    """
    names = options.sets.split(",") if options.sets else list(SHORT if options.short else RECIPES)
    unknown = [name for name in names if name not in RECIPES]
    if unknown:
        sys.exit(f"no such set: {', '.join(unknown)}; there are {', '.join(RECIPES)}")
    return names


def main() -> None:
    """Write the sets, and say where they lie."""
    parser = argparse.ArgumentParser(description="write the data sets of bench_dataset.py")
    add_options(parser)
    options = parser.parse_args()
    for name in chosen(options):
        print(make(options.data, name, short=options.short))


if __name__ == "__main__":
    main()
