"""What the voxels of a file are: which values, how often, and what is no number.

Three ways to the same answer. Labels of one byte are counted with methods of ``bytes``, which take several GB/s and
need no NumPy (a tenth of a second to import). A few voxels are looked at one by one. All others go through NumPy.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nnunet_doctor.probes.raw.record import Tally

MOST_VALUES = 1024
"""A label map with more distinct values is none; no more are counted."""

FEW_BYTES = 512 * 1024
"""Up to here to look at voxels one by one is faster than to import NumPy."""

MANY_BYTE_VALUES = 16
"""From here on NumPy counts bytes faster."""

WIDE = 65536
"""Up to this range of whole numbers they are counted in one pass with a table."""

EXACT = 2**53
"""Below it whole numbers are exact in every type."""

_STEP = 32 * 1024
ZEROS = bytes(1024 * 1024)
"""A piece of background; what equals it is replaced by it, so that it is compared once only."""

CODES = {"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q", "f4": "f", "f8": "d"}


def tally(pieces: Iterable[bytes], dtype: str, size: int, *, counts: bool) -> tuple[Tally, int]:
    """Look at all voxels of a file.

    Args:
        pieces: The voxels as stored, whole values in each piece.
        dtype: As in a header: byte order, kind and size.
        size: Bytes of all voxels, for the choice of the way.
        counts: Whether distinct values are counted (labels); otherwise only range, NaN and infinity.

    Returns:
        What was found, and the bytes that were looked at.

    Raises:
        DamageError: The pieces end with it.
    """
    counting = _way(dtype, size, counts=counts)
    done = 0
    for piece in _small(pieces):
        if isinstance(counting, _Bytes) and counting.has_many:
            counting = _Numpy(dtype, counts=True, so_far=counting.found)
        counting.add(piece)
        done += len(piece)
    return counting.result(), done


def _small(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Cut what is too large for the cache, and drop what is empty."""
    for piece in pieces:
        if 0 < len(piece) <= len(ZEROS):
            yield piece
        else:
            for start in range(0, len(piece), len(ZEROS)):
                yield piece[start : start + len(ZEROS)]


def _way(dtype: str, size: int, *, counts: bool) -> _Bytes | _OneByOne | _Numpy:
    if counts and dtype[1:] == "u1":
        return _Bytes()
    if size <= FEW_BYTES and dtype[1:] in CODES and "numpy" not in sys.modules:
        return _OneByOne(dtype, counts=counts)
    return _Numpy(dtype, counts=counts)


class _Bytes:
    """Counts unsigned bytes: what is all zero is compared at once, the rest in pieces that fit the cache."""

    def __init__(self) -> None:
        self.found: dict[float, int] = {}

    @property
    def has_many(self) -> bool:
        return len(self.found) > MANY_BYTE_VALUES

    def add(self, piece: bytes) -> None:
        found = self.found
        if piece == (ZEROS if len(piece) == len(ZEROS) else ZEROS[: len(piece)]):
            found[0] = found.get(0, 0) + len(piece)
            return
        for at in range(0, len(piece), _STEP):
            rest = piece[at : at + _STEP]
            if rest == (ZEROS[:_STEP] if len(rest) == _STEP else ZEROS[: len(rest)]):
                found[0] = found.get(0, 0) + len(rest)
                continue
            while rest:
                value = rest[0]
                left = rest.translate(None, bytes((value,)))
                found[value] = found.get(value, 0) + len(rest) - len(left)
                rest = left

    def result(self) -> Tally:
        values = _in_order(self.found)
        if not values:
            return Tally()
        return Tally(values=values, lowest=values[0][0], highest=values[-1][0])


class _OneByOne:
    """Looks at every voxel with Python's own numbers."""

    def __init__(self, dtype: str, *, counts: bool) -> None:
        self.code, self.counts = CODES[dtype[1:]], counts
        self.swaps = dtype[0] == (">" if sys.byteorder == "little" else "<")
        self.found: Counter[float] = Counter()

    def add(self, piece: bytes) -> None:
        numbers = array(self.code)
        numbers.frombytes(piece)
        if self.swaps:
            numbers.byteswap()
        if self.counts:
            self.found.update(array("f", numbers) if self.code == "d" else numbers)
        elif self.code not in "fd" or math.isfinite(sum(numbers)):
            # a sum of finite numbers may overflow, but one with NaN or infinity in it is never finite
            self.found[min(numbers)] += 1
            self.found[max(numbers)] += 1
        else:
            self.found.update(numbers)

    def result(self) -> Tally:
        finite = {value: count for value, count in self.found.items() if math.isfinite(value)}
        values = _in_order(finite)
        return Tally(
            values=values[:MOST_VALUES] if self.counts else [],
            distinct_over=self.counts and len(values) > MOST_VALUES,
            lowest=values[0][0] if values else None,
            highest=values[-1][0] if values else None,
            # every NaN that is made anew is a key of its own
            nans=sum(count for value, count in self.found.items() if math.isnan(value)),
            infs=sum(count for value, count in self.found.items() if math.isinf(value)),
            fractions=sum(count for value, count in values if not value.is_integer()) if self.counts else 0,
        )


class _Numpy:
    """Looks at voxels in bulk."""

    def __init__(self, dtype: str, *, counts: bool, so_far: dict[float, int] | None = None) -> None:
        self.np = load_numpy()
        self.dtype, self.counts = self.np.dtype(dtype), counts
        self.is_float = dtype[1] == "f"
        # nnU-Net's readers hand every label over in float32, where 1 + 1e-12 is 1
        self.is_double_label = counts and dtype[1:] == "f8"
        self.found: dict[float, int] = dict(so_far or {})
        self.lowest: float = min(self.found, default=math.inf)
        self.highest: float = max(self.found, default=-math.inf)
        self.nans = self.infs = self.fractions = 0
        self.over = False

    def add(self, piece: bytes) -> None:
        numbers = self.np.frombuffer(piece, self.dtype)
        if self.is_double_label:
            with self.np.errstate(over="ignore", invalid="ignore"):
                numbers = numbers.astype(self.np.float32)
        if self.counts and piece == ZEROS[: len(piece)]:
            self.found[0] = self.found.get(0, 0) + numbers.size
            self._widen(0, 0)
            return
        lowest, highest = numbers.min(), numbers.max()
        if self.is_float and not (math.isfinite(lowest) and math.isfinite(highest)):
            finite = self.np.isfinite(numbers)
            nans = int(self.np.count_nonzero(self.np.isnan(numbers)))
            self.nans += nans
            self.infs += numbers.size - int(self.np.count_nonzero(finite)) - nans
            numbers = numbers[finite]
            if not numbers.size:
                return
            lowest, highest = numbers.min(), numbers.max()
        self._widen(lowest.item(), highest.item())
        if self.counts and not self.over:
            self._count(numbers, lowest.item(), highest.item())

    def _widen(self, lowest: float, highest: float) -> None:
        self.lowest, self.highest = min(self.lowest, lowest), max(self.highest, highest)

    def _count(self, numbers: Any, lowest: float, highest: float) -> None:
        if self.is_float:
            whole = numbers == self.np.floor(numbers)
            fractions = numbers.size - int(self.np.count_nonzero(whole))
            self.fractions += fractions
            if fractions:
                self._add_up(*self.np.unique(numbers, return_counts=True))
                return
        if highest - lowest < WIDE and abs(lowest) < EXACT:
            table = self.np.bincount(numbers.astype(self.np.int64) - int(lowest))
            (used,) = self.np.nonzero(table)
            self._add_up(used + int(lowest), table[used])
        else:
            self._add_up(*self.np.unique(numbers, return_counts=True))

    def _add_up(self, values: Any, counts: Any) -> None:
        for value, count in zip(values[: MOST_VALUES + 1].tolist(), counts[: MOST_VALUES + 1].tolist(), strict=True):
            self.found[value] = self.found.get(value, 0) + count
        self.over = len(self.found) > MOST_VALUES

    def result(self) -> Tally:
        return Tally(
            values=_in_order(self.found)[:MOST_VALUES] if self.counts else [],
            distinct_over=self.over,
            lowest=self.lowest + 0.0 if math.isfinite(self.lowest) else None,
            highest=self.highest + 0.0 if math.isfinite(self.highest) else None,
            nans=self.nans,
            infs=self.infs,
            fractions=self.fractions,
        )


def _in_order(found: Mapping[float, int]) -> list[tuple[float, int]]:
    """Return values as they are after a way through JSON: all of them floating point, and none of them -0."""
    merged: dict[float, int] = {}
    for value, count in found.items():
        merged[value + 0.0] = merged.get(value + 0.0, 0) + count
    return sorted(merged.items())


def load_numpy() -> Any:
    """Import NumPy without the threads of its linear algebra, which are not used and take as long to start."""
    if "numpy" not in sys.modules:
        import os

        name = "OPENBLAS_NUM_THREADS"
        had = os.environ.get(name)
        os.environ[name] = "1"
        try:
            import numpy as np  # noqa: F401
        finally:
            if had is None:
                del os.environ[name]
            else:
                os.environ[name] = had
    return sys.modules["numpy"]
