"""Label maps in NIfTI, rewritten in pieces: another type, other values or another grid, and everything else kept."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from nnunet_doctor.fixers.journal import Status
from nnunet_doctor.fixers.record import Plan
from nnunet_doctor.fixers.steps import is_inside, is_plain
from nnunet_doctor.probes.raw import stream
from nnunet_doctor.probes.raw.across import scaled
from nnunet_doctor.probes.raw.formats import nifti
from nnunet_doctor.probes.raw.record import DamageError, FileReport, Header
from nnunet_doctor.probes.raw.source import Source
from nnunet_doctor.probes.raw.survey import Survey
from nnunet_doctor.probes.raw.voxels import load_numpy

MOST_BEFORE_VOXELS = 16 * 1024**2
"""Header and extensions, which are held in memory."""

GROWTH, SLACK = 1.25, 65536
"""How much larger a file may get by being compressed again: level 6 instead of 9, and a few bytes."""

LEVEL = 6


@dataclass(frozen=True)
class _Type:
    """A type of voxels: code and bits as NIfTI has them, and the highest value."""

    name: str
    code: int
    bits: int
    highest: int


NARROW = {"u1": _Type("uint8", 2, 8, 255), "u2": _Type("uint16", 512, 16, 65535)}

_AT_TYPE, _AT_SCALING = 70, 112
"""Of datatype and bitpix, of scl_slope and scl_inter, in a NIfTI-1 header (nifti1.h)."""


@dataclass(frozen=True)
class Edit:
    """What is changed in one label.

    Attributes:
        dtype: A key of :data:`NARROW`; empty to keep the type.
        values: New value by old value, for every value there may be; empty to keep the values.
        grid: Bytes of the header by their place; see ``grids``.
    """

    dtype: str = ""
    values: Mapping[float, int] = field(default_factory=dict)
    grid: Mapping[int, bytes] = field(default_factory=dict)

    @property
    def changes_voxels(self) -> bool:
        """Whether voxels are written otherwise than they were."""
        return bool(self.dtype or self.values)


Edits = dict[str, Edit]
"""By path of the label."""

_SPOILT = ("unreadable", "undecoded", "bad-scaling")


def obstacle(dataset: Path, path: str, report: FileReport | None) -> tuple[str, str] | None:
    """Say why a label cannot be rewritten: key of a sentence and what stands in it; None when it can."""
    if not is_inside(dataset, path):
        return "fix_left_outside", ""
    if not is_plain(dataset, path):
        return "fix_left_link", ""
    header = report.header if report else None
    if report is None or header is None or any(id in _SPOILT for id, _ in report.faults):
        return "fix_left_damaged", ""
    if header.format != "nifti":
        return "fix_left_format", header.format
    if header.offset > MOST_BEFORE_VOXELS or header.channels > 1 or not header.dtype or not _is_nifti1(dataset / path):
        return "fix_left_format", "NIfTI-2, 4D, RGB"
    return None


def _is_nifti1(path: Path) -> bool:
    try:
        start = header_bytes(path, 4)
    except DamageError:
        return False
    return nifti.HEADER_BYTES in (int.from_bytes(start, "little"), int.from_bytes(start, "big"))


def narrow(dataset: Path, survey: Survey, plan: Plan, edits: Edits) -> None:
    """Add the labels that take the smallest type which holds the declared values, those of an edit if it has some."""
    for id in ("label-float", "label-wide-dtype"):
        for path, what in survey.found.get(id, []):
            report = survey.reports.get(path)
            why = obstacle(dataset, path, report)
            edit = edits.get(path, Edit())
            dtype = _narrowest(report, survey.description.declared, edit.values) if report and not why else None
            if dtype is not None:
                edits[path] = replace(edit, dtype=dtype)
                plan.change(id, path, f"{what} -> {NARROW[dtype].name}")
            else:
                key, word = why or ("fix_left_values", "")
                plan.leave(id, path, key, what=word)


def _narrowest(report: FileReport, declared: Iterable[int] | None, new_values: Mapping[float, int]) -> str | None:
    """Return the smallest unsigned type that holds what is in a label and what is declared; None for none."""
    if report.header is None or report.tally is None or report.tally.distinct_over:
        return None
    if report.tally.nans or report.tally.infs:
        return None
    values = [value for value, _ in scaled(report.header, report.tally)]
    if any(value < 0 or value != int(value) for value in values):
        return None
    highest = max(new_values.values() if new_values else [*values, *(declared or ())], default=0)
    return next((dtype for dtype, kind in NARROW.items() if highest <= kind.highest), None)


# --- rewriting -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rewritten:
    """A label with an edit.

    Attributes:
        path: The label.
        reader: The class of nnunetv2/imageio that reads it.
        edit: What is changed.
        seen: The label as it was when the edit was thought of.
    """

    path: Path
    reader: str
    edit: Edit
    seen: Status | None

    @property
    def size(self) -> int:
        """Bytes that it takes at most, as far as can be told."""
        return int(GROWTH * (self.seen[0] if self.seen else 0)) + SLACK

    def write(self, target: Path) -> None:
        """Write the new label, read it again, and compare.

        Raises:
            OSError: The disk is full, or does not give or take the bytes.
            DamageError: The label is not what the survey saw.
        """
        try:
            with closing(Source(str(self.path))) as source:
                header = nifti.read_header(source, self.reader)
                start = _edited(_before_voxels(source, header), header, self.edit)
                new = _new_header(header, self.edit)
                made = _Written(nifti.voxels(source, header), _conversion(header, new, self.edit))
                with target.open("wb") as file:
                    for piece in _stored(start, made.pieces(), header.encoding):
                        file.write(piece)
                _refuse_change(source)
            _verify(target, start, new, made)
        except DamageError as error:
            id, message = error.faults[0]
            raise DamageError(id, f"{self.path}: {message}") from None


class _Written:
    """Pieces of voxels as they are converted, and their checksum when all have passed."""

    def __init__(self, voxels: Iterator[bytes], convert: Callable[[bytes], bytes]) -> None:
        self.voxels, self.convert, self.sum = voxels, convert, hashlib.sha256()

    def pieces(self) -> Iterator[bytes]:
        for piece in self.voxels:
            made = self.convert(piece)
            self.sum.update(made)
            yield made


def _before_voxels(source: Source, header: Header) -> bytes:
    """Return header and extensions."""
    if header.encoding == "gzip":
        return stream.first_bytes(source, header.offset)
    return source.read_at(0, header.offset)


def header_bytes(path: Path, length: int = nifti.HEADER_BYTES) -> bytes:
    """Return the first bytes of a NIfTI file, inflated; raises DamageError."""
    with closing(Source(str(path))) as source:
        return stream.first_bytes(source, length) if nifti.is_gzip(source) else source.read_at(0, length)


def byte_order(start: bytes) -> str:
    """Return "<" or ">", as the number of dimensions tells (nifti1.h)."""
    return "<" if 0 < int.from_bytes(start[40:42], "little", signed=True) < 8 else ">"


def _edited(start: bytes, header: Header, edit: Edit) -> bytes:
    made, order = bytearray(start), byte_order(start)
    if edit.dtype:
        kind = NARROW[edit.dtype]
        struct.pack_into(f"{order}hh", made, _AT_TYPE, kind.code, kind.bits)
    if edit.changes_voxels and _is_scaled(header):
        struct.pack_into(f"{order}ff", made, _AT_SCALING, 1.0, 0.0)
    for place, content in edit.grid.items():
        made[place : place + len(content)] = content
    return bytes(made)


def _is_scaled(header: Header) -> bool:
    return (header.slope, header.intercept) != (1.0, 0.0)


def _new_header(header: Header, edit: Edit) -> Header:
    """Return what is needed to read the new voxels."""
    if not edit.dtype:
        return header
    item = NARROW[edit.dtype].bits // 8
    order = "|" if item == 1 else header.dtype[0]
    return msgspec.structs.replace(header, dtype=order + edit.dtype, data_bytes=header.voxels * item)


def _conversion(header: Header, new: Header, edit: Edit) -> Callable[[bytes], bytes]:
    """Return what turns stored voxels into new ones; it raises DamageError where a voxel would not stay what it is."""
    if not edit.changes_voxels:
        return bytes
    np = load_numpy()
    olds = np.array(sorted(edit.values), np.float64)
    news = np.array([edit.values[value] for value in sorted(edit.values)], np.int64)

    def convert(piece: bytes) -> bytes:
        values = np.frombuffer(piece, header.dtype)
        if _is_scaled(header):
            values = values.astype(np.float64) * header.slope + header.intercept
        if values.dtype.kind == "f":
            values = values.astype(np.float32)  # all that nnU-Net sees of them
        if olds.size:
            places = np.searchsorted(olds, values).clip(max=olds.size - 1)
            if not (olds[places] == values).all():
                raise DamageError("label-unexpected", "a value that is not declared")
            values = news[places]
        with np.errstate(invalid="ignore"):  # what is no number is found below
            made = values.astype(new.dtype)
        if not (made == values).all():
            raise DamageError("label-unexpected", "a value that is no whole number, negative or too large")
        return bytes(made.tobytes())

    return convert


def _stored(start: bytes, voxels: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    if encoding != "gzip":
        yield start
        yield from voxels
        return
    deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, 31)  # gzip without name and time
    yield deflate.compress(start)
    for piece in voxels:
        yield deflate.compress(piece)
    yield deflate.flush()


def _refuse_change(source: Source) -> None:
    if source.has_changed:
        raise DamageError("unreadable", "changed while it was read")


def _verify(target: Path, start: bytes, header: Header, made: _Written) -> None:
    """Read what was written, to its end; raises DamageError when it is something else."""
    with closing(Source(str(target))) as source:
        read = _Written(nifti.voxels(source, header), bytes)
        for _ in read.pieces():
            pass
        if _before_voxels(source, header) != start or read.sum.digest() != made.sum.digest():
            raise DamageError("unreadable", "the disk gives other bytes than were written")
