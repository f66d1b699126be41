"""One file of a raw dataset: everything that can be said of it without the others."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from typing import Any

import msgspec

from nnunet_doctor.probes.raw import stream, voxels
from nnunet_doctor.probes.raw.record import DamageError, Fault, FileReport, Header, Tally, Task
from nnunet_doctor.probes.raw.source import HEAD_BYTES, READ_ERROR, Source

FORMATS = {
    ".nii.gz": "nifti",
    ".nii": "nifti",
    ".nrrd": "nrrd",
    ".mha": "metaimage",
    ".gipl": "gipl",
    ".png": "png",
    ".bmp": "bmp",
    ".tif": "tiff",
    ".tiff": "tiff",
}
"""The endings that nnU-Net has readers for (nnunetv2/imageio, supported_file_endings), and our module for each."""

EXTREME = 1e30
"""Such values ruin every mean; a few of them overflow the squares in float32 that the normalisation sums up."""

FLOAT32 = 3.4028234e38

SMALL_BYTES = 256 * 1024
FLAT_RATIO = 50
"""An image of one value is compressed by far more than this."""

WIDE_LABELS = ("i4", "u4", "i8", "u8")


def ending_of(name: str) -> str:
    """Return the ending of a file name as nnU-Net knows it, in lower case: the longest known one, else the last."""
    lower = name.lower()
    if lower.endswith(".nii.gz"):
        return ".nii.gz"
    _, dot, last = lower.rpartition(".")
    return dot + last if dot else ""


def examine(task: Task) -> FileReport:
    """Examine a file; whatever is in it, the answer is a report."""
    report = FileReport()
    try:
        source = Source(task.path)
    except DamageError as error:
        report.faults += error.faults
        report.stable = False
        return report
    report.status = source.status
    is_sure = True
    try:
        _examine(source, task, report)
    except DamageError as error:
        report.faults += error.faults
    except MemoryError:
        report.faults.append(("undecoded", "not enough memory"))
        is_sure = False
    finally:
        changed = source.has_changed
        source.close()
    if changed:
        report.faults.append(("unreadable", "changed while it was read"))
    has_failed = changed or any(message.startswith(READ_ERROR) for _, message in report.faults)
    # the state of the header tells nothing of a file of voxels beside it
    has_voxels = report.header is None or not report.header.data_file
    report.stable = is_sure and has_voxels and not has_failed
    return report


def _examine(source: Source, task: Task, report: FileReport) -> None:
    if not source.size:
        raise DamageError("unreadable", "0 bytes")
    ending = ending_of(task.path)
    _refuse_other_format(source, ending)
    if ending not in FORMATS:
        raise DamageError(
            "reader-cannot-read", f"no reader for {ending}" if ending else "no reader for a name without ending"
        )
    form: Any = importlib.import_module(f"nnunet_doctor.probes.raw.formats.{FORMATS[ending]}")
    header = _without_nonsense(form.read_header(source, task.reader))
    report.header = header
    report.faults += _header_faults(header, task)
    is_whole = form.check_end(source, header)
    report.content = _fingerprint(source, header)
    if not header.dtype or (is_whole and not _is_decoded(header, task)):
        return
    sums = _Sums()
    if task.role == "image" and header.format == "png" and _is_only_inflated(source, header):
        report.decoded = sum(map(len, sums.of(form.filtered(source, header))))
        report.sums = f"filtered {sums.text}"
        return
    pieces = sums.of(form.voxels(source, header))
    counts = task.role == "label"
    report.tally, report.decoded = voxels.tally(pieces, header.dtype, header.data_bytes, counts=counts)
    report.sums = sums.text
    if task.role == "image":
        report.faults += _image_faults(header, report.tally, task.reader)


def _without_nonsense(header: Header) -> Header:
    """Take out of the grid what is no number: it is a finding already, and nothing can be compared with it."""
    parts = {name: getattr(header, name) for name in ("spacing", "origin", "direction")}
    nonsense = {name: () for name, values in parts.items() if not all(map(math.isfinite, values))}
    return msgspec.structs.replace(header, **nonsense) if nonsense else header


def _fingerprint(source: Source, header: Header) -> str:
    """Return a few bytes that tell most files apart, so that few are worth comparing."""
    if header.data_file:
        return ""
    if header.encoding == "gzip" and header.format == "nifti":
        # CRC32 and length of all that is inflated: header and voxels
        return f"gzip {source.read_at(source.size - 8, 8).hex()}"
    codec: Any = stream.checksums()
    parts = (source.head, source.read_at(source.size // 2, HEAD_BYTES), source.read_at(max(0, source.size - 64), 64))
    return f"sample {codec.crc32(b''.join(parts)):08x} {source.size}"


def _is_decoded(header: Header, task: Task) -> bool:
    return task.decodes == "all" or (task.decodes == "floats" and header.dtype[1] == "f")


def _is_only_inflated(source: Source, header: Header) -> bool:
    """A large PNG whose pixels differ holds nothing to find in them: no NaN, no infinity, and not one value only."""
    return SMALL_BYTES < header.data_bytes < FLAT_RATIO * source.size


class _Sums:
    """Checksums of voxels as they pass: two of 32 bits that know nothing of each other.

    Pieces of background, of which labels are full, count by what lies between them.
    """

    def __init__(self) -> None:
        self.codec: Any = stream.checksums()
        self.crc, self.adler, self.size = 0, 1, 0

    def of(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.size += len(piece)
            if len(piece) == len(voxels.ZEROS) and piece == voxels.ZEROS:
                yield voxels.ZEROS
                continue
            place = self.size.to_bytes(8, "little")
            self.crc = self.codec.crc32(piece, self.codec.crc32(place, self.crc))
            self.adler = self.codec.adler32(piece, self.codec.adler32(place, self.adler))
            yield piece

    @property
    def text(self) -> str:
        return f"{self.crc:08x}{self.adler:08x} {self.size}"


# --- what is wrong -------------------------------------------------------------------------------------------------


def _header_faults(header: Header, task: Task) -> list[Fault]:
    faults = [fault for fault in header.faults if fault[0] != "label-palette" or task.role == "label"]
    named = {id for id, _ in faults}
    size = " x ".join(map(str, header.shape))
    if not header.dtype and "not-scalar" not in named:
        faults.append(("not-scalar", "no single numbers"))
    flat = task.reader == "NaturalImage2DIO"
    wants = {"NaturalImage2DIO": (2,), "Tiff3DIO": (3,)}.get(task.reader, (2, 3))
    if task.role == "label" and header.channels > 1:
        if "label-palette" not in named:
            faults.append(("label-channels", f"{header.channels} channels in one label"))
    elif "not-3d" not in named and (
        (header.channels > 1 and not flat and header.dtype) or len(header.shape) not in wants
    ):
        faults.append(("not-3d", size + (f" x {header.channels}" if header.channels > 1 else "")))
    if task.role == "label" and header.dtype:
        if header.dtype[1:] in WIDE_LABELS:
            faults.append(("label-wide-dtype", _type_name(header.dtype)))
        elif header.dtype[1] == "f":
            faults.append(("label-float", _type_name(header.dtype)))
    return faults


def _type_name(dtype: str) -> str:
    kind = {"i": "int", "u": "uint", "f": "float"}[dtype[1]]
    return f"{kind}{8 * int(dtype[2:])}"


def _image_faults(header: Header, found: Tally, reader: str) -> Iterator[Fault]:
    # ITK's NIfTI reader stores 0 for what is no number (seen with SimpleITK 2.2.1 to 2.5.7)
    is_hidden = header.format == "nifti" and reader.startswith("SimpleITK")
    if found.nans:
        yield "nan", f"NaN voxels: {found.nans}, read as 0" if is_hidden else f"NaN voxels: {found.nans}"
    if found.infs:
        yield "inf", f"infinite voxels: {found.infs}, read as 0" if is_hidden else f"infinite voxels: {found.infs}"
    if found.lowest is None or found.highest is None:
        return
    lowest, highest = (value * header.slope + header.intercept for value in (found.lowest, found.highest))
    largest = max(abs(lowest), abs(highest))
    if largest > FLOAT32 or not math.isfinite(largest):
        yield "extreme-values", f"{lowest:.4g} ... {highest:.4g}, over the range of float32"
    elif largest > EXTREME:
        yield "extreme-values", f"{lowest:.4g} ... {highest:.4g}"
    if found.lowest == found.highest and not found.nans and not found.infs:
        yield "constant-image", f"{lowest:g}"


# --- another format than the name says -----------------------------------------------------------------------------

_STARTS: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"II*\0", "TIFF"),
    (0, b"II+\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"MM\0+", "TIFF"),
    (0, b"NRRD000", "NRRD"),
    (0, b"PK\x03\x04", "ZIP"),
    (0, b"BZh", "bzip2"),
    (0, b"\xfd7zXZ\0", "xz"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z"),
    (0, b"\x89HDF\r\n\x1a\n", "HDF5"),
    (0, b"\x93NUMPY", "NumPy"),
    (0, b"%PDF", "PDF"),
    (0, b"version https://git-lfs", "Git LFS pointer"),
    (0, b"GIF8", "GIF"),
    (0, b"RIFF", "RIFF (WebP, AVI)"),
    (0, b"\x1f\x8b", "gzip"),
    (128, b"DICM", "DICOM"),
    (344, b"n+1\0", "NIfTI"),
    (344, b"ni1\0", "NIfTI"),
    (4, b"n+2\0", "NIfTI"),
    (0, b"ObjectType", "MetaImage"),
    (0, b"NDims", "MetaImage"),
    (0, b"BM", "BMP"),
)
_OWN = {
    "nifti": ("NIfTI", "gzip"),
    "nrrd": ("NRRD",),
    "metaimage": ("MetaImage",),
    "gipl": (),
    "png": ("PNG",),
    "bmp": ("BMP",),
    "tiff": ("TIFF",),
}


def looks_like(head: bytes) -> str:
    """Name the format that the first bytes of a file belong to; empty when they tell nothing."""
    for at, mark, name in _STARTS:
        if head.startswith(mark, at):
            return name
    start = head[:512].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "HTML page"
    if start.startswith(b"<?xml"):
        return "XML"
    return "plain text" if _is_text(head[:512]) else ""


def _is_text(start: bytes) -> bool:
    try:
        text = start.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(start) - 4:  # else a letter is cut at the end
            return False
        text = start[: error.start].decode("utf-8")
    return bool(text) and all(letter.isprintable() or letter in "\r\n\t" for letter in text)


def _refuse_other_format(source: Source, ending: str) -> None:
    seen = looks_like(source.head)
    form = FORMATS.get(ending)
    if seen and form and seen not in _OWN[form]:
        raise DamageError("wrong-format", seen)
