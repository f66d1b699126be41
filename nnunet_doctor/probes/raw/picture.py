"""A picture of one case: the middle slice of its label, with the label's outlines drawn over the image.

One slice is held in memory, and a picture of at most some 30 kB is made of it, in palette colours. Whatever is in the
files, the answer is a picture, or a reason why there is none.
"""

from __future__ import annotations

import base64
import contextlib
import importlib
import io
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nnunet_doctor.probes.raw import voxels
from nnunet_doctor.probes.raw.examine import FORMATS, ending_of
from nnunet_doctor.probes.raw.record import DamageError, Header, Tally, Task
from nnunet_doctor.probes.raw.source import Source

LONGER_SIDE = 224
SHORTEST_SIDE = 16
"""Pixels of a picture along its sides."""
GREYS = 24
"""With so few greys and this size no picture has more than 30 kB, not even of noise."""
COLOURS = ("#e69f00", "#56b4e9", "#f0e442", "#cc79a7", "#00c896", "#ff7f50", "#8fa8ff")
"""Outlines of labels 1, 2, 3 ..., again from the first after the last; bright enough on black and on white images."""
MOST_SLICE_BYTES = 64 * 1024**2
MOST_SLICES = 100_000
"""More are no image, and would be looked at one by one."""
MOST_NUMBERS = 8
"""Values that are written beside their outlines."""
NO_TIME = "no-time"
WINDOW = (0.5, 99.5)
"""Percentiles of a slice that become black and white."""
INTERLEAVED = ("png", "bmp", "tiff")
"""Formats in which the channels of a pixel stand beside each other."""
VOLUMES = ("nifti",)
"""Formats in which the channels of an image stand one after the other."""


@dataclass(frozen=True)
class Picture:
    """A drawn slice.

    Attributes:
        png: The PNG in base 64; empty where there is none.
        width: Pixels from left to right.
        height: Pixels from top to bottom.
        number: Which slice it is, from 1.
        slices: How many there are.
        values: The values of the label that are in it, without 0, in order.
        reason: Why there is no picture, or no label in it: other-shape, no-time, no-memory, or particulars; else empty.
    """

    png: str = ""
    width: int = 0
    height: int = 0
    number: int = 0
    slices: int = 0
    values: tuple[float, ...] = ()
    reason: str = ""


class _NoPictureError(Exception):
    """Why there is no picture, in a few words."""


def picture_of(image: Task, label: Task | None, until: float) -> Picture:
    """Draw a case.

    Args:
        image: The file of its first channel.
        label: The file of its label; None without one.
        until: When to give up, on the clock of ``time.monotonic``.
    """
    try:
        return _picture_of(image, label, until)
    except _NoPictureError as error:
        return Picture(reason=str(error))
    except DamageError as error:
        return Picture(reason=f"{error.faults[0][0]}: {error.faults[0][1]}")
    except MemoryError:
        return Picture(reason="no-memory")
    except Exception as error:  # noqa: BLE001 - a picture is worth no report
        return Picture(reason=f"{type(error).__name__}: {error}")


def tally_of(image: Task, until: float) -> Tally | None:
    """Decode an image; None where the time is over, or there is something else in the way.

    Args:
        image: Its file.
        until: When to give up, on the clock of ``time.monotonic``.
    """
    try:
        with _opened(image.path) as source:
            form = _form(image.path)
            header = form.read_header(source, image.reader)
            pieces = _timely(form.voxels(source, header), until)
            return voxels.tally(pieces, header.dtype, header.data_bytes, counts=False)[0]
    except Exception:  # noqa: BLE001 - nor are a few more intensities
        return None


def _picture_of(image: Task, label: Task | None, until: float) -> Picture:
    with _opened(image.path) as source:
        form = _form(image.path)
        header = form.read_header(source, image.reader)
        slices = _slices_of(header)
        at, outlined, reason = slices // 2, None, ""
        if label is not None:
            at, outlined, reason = _label_slice(label, header, at, until)
        grey = _slice(form, source, header, at, until)
    np = voxels.load_numpy()
    width, height = _size(header)
    rows, columns = (np.arange(new) * old // new for new, old in ((height, grey.shape[0]), (width, grey.shape[1])))
    pixels = _greys(grey[rows][:, columns], is_volume=len(header.shape) == 3)
    values: tuple[float, ...] = ()
    places: dict[float, tuple[int, int]] = {}
    if outlined is not None:
        values = tuple(sorted({float(value) for value in np.unique(outlined) if value != 0}))
        # the largest value of each block: what is smaller than a pixel of the picture is seen all the same
        blocks = np.maximum.reduceat(np.maximum.reduceat(outlined, rows, axis=0), columns, axis=1)
        places = _outline(pixels, blocks)
    return Picture(_encoded(pixels, places), width, height, at + 1, slices, values, reason)


@contextlib.contextmanager
def _opened(path: str) -> Iterator[Source]:
    source = Source(path)
    try:
        yield source
    finally:
        source.close()


def _form(path: str) -> Any:
    ending = ending_of(path)
    if ending not in FORMATS:
        raise _NoPictureError(f"no reader for {ending}" if ending else "no reader for a name without ending")
    return importlib.import_module(f"nnunet_doctor.probes.raw.formats.{FORMATS[ending]}")


def _slices_of(header: Header) -> int:
    """Return the number of slices along the last axis.

    Raises:
        _NoPictureError: The file holds something else than slices of numbers.
    """
    if not header.dtype:
        raise _NoPictureError("no single numbers")
    if len(header.shape) not in (2, 3) or min(header.shape) < 1:
        raise _NoPictureError(f"image of {' x '.join(map(str, header.shape))} voxels")
    if header.channels > 1 and header.format not in (*INTERLEAVED, *VOLUMES):
        raise _NoPictureError(f"{header.channels} values per voxel")
    if _slice_bytes(header) > MOST_SLICE_BYTES:
        raise _NoPictureError(f"a slice of {_slice_bytes(header) // 1024**2} MB")
    slices = header.shape[2] if len(header.shape) == 3 else 1
    if slices > MOST_SLICES:
        raise _NoPictureError(f"more than {MOST_SLICES} slices")
    return slices


def _slice_bytes(header: Header) -> int:
    each = header.channels if header.format in INTERLEAVED else 1
    return header.shape[0] * header.shape[1] * each * int(header.dtype[2:])


def _label_slice(label: Task, image: Header, middle: int, until: float) -> tuple[int, Any, str]:
    """Return the slice to show, the label in it, and why there is none."""
    try:
        return *_label_in(label, image, middle, until), ""
    except _NoPictureError as error:
        return middle, None, str(error)
    except DamageError as error:
        return middle, None, f"{error.faults[0][0]}: {error.faults[0][1]}"


def _label_in(label: Task, image: Header, middle: int, until: float) -> tuple[int, Any]:
    with _opened(label.path) as source:
        form = _form(label.path)
        header = form.read_header(source, label.reader)
        _slices_of(header)
        if header.shape != image.shape or header.channels > 1:
            raise _NoPictureError("other-shape")
        used = _used_slices(form, source, header, until)
        at = used[len(used) // 2] if used else middle
        found = _slice(form, source, header, at, until)
    scales = (header.slope, header.intercept) != (1.0, 0.0)
    return at, found * header.slope + header.intercept if scales else found


def _used_slices(form: Any, source: Source, header: Header, until: float) -> list[int]:
    """Return the slices that hold anything but 0."""
    size, done = _slice_bytes(header), 0
    used: dict[int, None] = {}
    for piece in _timely(form.voxels(source, header), until):
        view = memoryview(piece)
        while view:
            number = done // size
            part = view[: (number + 1) * size - done]
            # all zero is told fast; a slice that is known to be used needs no look
            if number not in used and bytes(part).count(0) < len(part):
                used[number] = None
            done += len(part)
            view = view[len(part) :]
    return list(used)


def _slice(form: Any, source: Source, header: Header, at: int, until: float) -> Any:
    """Return one slice as stored, as rows and columns; of several channels the first, of colours the mean."""
    size, done = _slice_bytes(header), 0
    first, last = at * size, (at + 1) * size
    found = bytearray()
    for piece in _timely(form.voxels(source, header), until):
        found += memoryview(piece)[max(0, first - done) : max(0, last - done)]
        done += len(piece)
        if done >= last:
            break
    np = voxels.load_numpy()
    if len(found) < size:
        raise _NoPictureError(f"ends after {done} bytes")
    numbers = np.frombuffer(bytes(found), np.dtype(header.dtype))
    if header.format in INTERLEAVED and header.channels > 1:
        return numbers.reshape(header.shape[1], header.shape[0], header.channels)[:, :, :3].mean(axis=2, dtype="f4")
    return numbers.reshape(header.shape[1], header.shape[0])


def _timely(pieces: Iterator[bytes], until: float) -> Iterator[bytes]:
    for piece in pieces:
        if time.monotonic() > until:
            raise _NoPictureError(NO_TIME)
        yield piece


def _size(header: Header) -> tuple[int, int]:
    """Return width and height of the picture, in which a millimetre is as long along both."""
    spacing = header.spacing[:2] if len(header.spacing) >= 2 and min(header.spacing[:2]) > 0 else (1.0, 1.0)
    across, down = (length * step for length, step in zip(header.shape[:2], spacing, strict=True))
    longer = max(across, down)
    width, height = (
        min(LONGER_SIDE, max(SHORTEST_SIDE, round(LONGER_SIDE * side / longer))) for side in (across, down)
    )
    return width, height


def _greys(pixels: Any, *, is_volume: bool) -> Any:
    """Return which grey each pixel gets: of a volume so that the body is told from air, and tissues from each other."""
    np = voxels.load_numpy()
    with np.errstate(all="ignore"):
        numbers = pixels.astype("f8")
        finite = numbers[np.isfinite(numbers)]
        low, high = np.percentile(finite, WINDOW) if finite.size else (0.0, 1.0)
        bright = finite[finite > finite.mean()] if is_volume and finite.size else finite[:0]
        if bright.size:
            darkest, high = np.percentile(bright, WINDOW)
            low = max(low, darkest - (high - darkest) / 2) if high > darkest else low
        share = (numbers - low) / (high - low if high > low and math.isfinite(high - low) else 1.0)
        return (np.clip(np.nan_to_num(share), 0, 1) * (GREYS - 1)).round().astype("u1")


def _outline(pixels: Any, labels: Any) -> dict[float, tuple[int, int]]:
    """Colour the outermost pixels of each label, and return column and row of the first one of each."""
    np = voxels.load_numpy()
    edge = np.zeros(labels.shape, bool)
    edge[1:] |= labels[1:] != labels[:-1]
    edge[:-1] |= labels[1:] != labels[:-1]
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edge[:, :-1] |= labels[:, 1:] != labels[:, :-1]
    with np.errstate(all="ignore"):
        drawn = edge & (labels != 0) & np.isfinite(labels)
        numbers = (np.abs(labels[drawn]).astype("i8") - 1) % len(COLOURS)
    pixels[drawn] = GREYS + numbers
    rows, columns = np.nonzero(drawn)
    values, firsts = np.unique(labels[drawn], return_index=True)
    return {
        float(value): (int(columns[first]), int(rows[first]))
        for value, first in zip(values[:MOST_NUMBERS], firsts[:MOST_NUMBERS], strict=True)
    }


def colour_of(value: float) -> str:
    """Return the colour in which a value of a label is outlined."""
    return COLOURS[(abs(int(value)) - 1) % len(COLOURS)] if math.isfinite(value) else COLOURS[0]


def _encoded(pixels: Any, places: Mapping[float, tuple[int, int]]) -> str:
    """Return the PNG, with the value of each label written above its outline: colours are not for everybody."""
    from PIL import Image, ImageDraw

    palette = [round(255 * grey / (GREYS - 1)) for grey in range(GREYS) for _ in range(3)]
    palette += [int(colour[at : at + 2], 16) for colour in COLOURS for at in (1, 3, 5)]
    picture = Image.frombytes("P", (pixels.shape[1], pixels.shape[0]), pixels.tobytes())
    picture.putpalette(palette)
    pen = ImageDraw.Draw(picture)
    for value, (column, row) in places.items():
        at = (min(column, picture.width - 12), max(row - 12, 0))
        for across, down in ((-1, 0), (1, 0), (0, -1), (0, 1)):  # black around it, to be read on any grey
            pen.text((at[0] + across, at[1] + down), f"{value:g}", fill=0)
        pen.text(at, f"{value:g}", fill=GREYS + COLOURS.index(colour_of(value)))
    stream = io.BytesIO()
    picture.save(stream, "PNG")  # optimized it would be a fiftieth smaller, in six times the time
    return base64.b64encode(stream.getvalue()).decode("ascii")
