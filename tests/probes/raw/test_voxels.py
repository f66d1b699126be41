"""Which values the voxels of a file are: every way of counting gives the same, for every type and any bytes."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nnunet_doctor.probes.raw import voxels
from nnunet_doctor.probes.raw.record import DamageError, Tally
from nnunet_doctor.probes.raw.voxels import tally

CODES = ("i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8")
TYPES = [("|" if code[1] == "1" else order) + code for code in CODES for order in ("<>" if code[1] != "1" else "<")]

BITS = {
    "f4": (0x7FA00000, 0x7FC00001, 0xFFC00000, 0x7F800000, 0xFF800000, 0x80000000, 0, 1, 0x7F7FFFFF, 0x3F800000),
    "f8": (0x7FF4 << 48, (0x7FF8 << 48) + 1, 0x7FF << 52, 0xFFF << 52, 1 << 63, 0, 1, (0x7FF << 52) - 1, 0x3FF << 52),
}
"""Signalling and quiet NaN with payload, infinities, zeros, the least, the greatest, and one."""

CUT = 64
"""Bytes of a piece, in these tests."""


def voxels_of(dtype, draw):
    """Draw some values of a type, the rare ones among them, as bytes."""
    code = dtype[1:]
    if code in BITS:
        kind = f"{dtype[0]}u{code[1]}"
        values = st.one_of(st.sampled_from(BITS[code]), st.sampled_from(BITS[code][-4:]))
    else:
        limits = np.iinfo(code)
        kind = dtype
        near = [limits.min, limits.max, limits.max - 1, *(value for value in (0, 1, 2, -1, -5) if limits.min <= value)]
        far = [value for value in (65535, 65536, 2**53 - 1, 2**53) if value <= limits.max]
        values = st.one_of(st.sampled_from(near + far), st.integers(0, 3))
    return np.array(draw(st.lists(values, min_size=1, max_size=100)), kind).tobytes()


def expected_of(raw, dtype, *, counts):
    """Look at the voxels in the plainest way there is; labels of float64 are those of float32, as nnU-Net reads them."""
    numbers = np.frombuffer(raw, dtype)
    if counts and dtype[1:] == "f8":
        with np.errstate(all="ignore"):
            numbers = numbers.astype("f4")
    values = [float(value) + 0.0 for value in numbers.tolist()]
    finite = [value for value in values if math.isfinite(value)]
    return Tally(
        values=sorted(Counter(finite).items()) if counts else [],
        lowest=min(finite, default=None),
        highest=max(finite, default=None),
        nans=sum(map(math.isnan, values)),
        infs=sum(map(math.isinf, values)),
        fractions=sum(not value.is_integer() for value in finite) if counts else 0,
    )


def found_by(way, raw):
    """Return what a way of counting finds when the voxels come in pieces."""
    for start in range(0, len(raw), CUT):
        way.add(raw[start : start + CUT])
    return way.result()


def printed(code):
    """Return what a new interpreter, without NumPy so far, prints."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, encoding="utf-8").stdout


@pytest.mark.parametrize("dtype", TYPES)
@given(data=st.data(), counts=st.booleans())
@settings(max_examples=25, deadline=None)
def test_ways_agree(dtype, data, counts):
    """One by one, with NumPy, and, for bytes, without: range, counts, NaN and infinities are the same, to the sign of 0."""
    raw = voxels_of(dtype, data.draw)
    ways = [voxels._OneByOne(dtype, counts=counts), voxels._Numpy(dtype, counts=counts)]
    if dtype == "|u1" and counts:
        ways.append(voxels._Bytes())

    expected = repr(expected_of(raw, dtype, counts=counts))
    assert [expected] * len(ways) == [repr(found_by(way, raw)) for way in ways]


@given(raw=st.binary(max_size=3000), sizes=st.lists(st.integers(0, 999), max_size=5))
@example(raw=bytes(70_000) + bytes(range(256)) * 300, sizes=[0, 40_000, 0])
@settings(max_examples=50, deadline=None)
def test_bytes_in_any_pieces(raw, sizes):
    """Bytes are counted as often as they occur, whatever the pieces, empty ones too, and however many values there are."""
    pieces, rest = [], raw
    for size in sizes:
        pieces.append(rest[:size])
        rest = rest[size:]

    expected = (expected_of(raw, "|u1", counts=True), len(raw))
    assert expected == tally(iter([*pieces, rest]), "|u1", len(raw), counts=True)


@pytest.mark.parametrize("counts", [True, False])
@pytest.mark.parametrize("dtype", ["|u1", "<i2", ">f8"])
def test_no_voxels(dtype, counts):
    """Where there is not one voxel there is no value, no range and no error."""
    assert tally(iter([]), dtype, 0, counts=counts) == (Tally(), 0)
    assert tally(iter([b"", b""]), dtype, 0, counts=counts) == (Tally(), 0)


@pytest.mark.parametrize("dtype", ["|u1", "<i2", "<f4"])
@pytest.mark.parametrize("value", [0, 1])
def test_piece_larger_than_the_cache(dtype, value):
    """A decoder that gives all voxels at once, some million, is counted as one that gives pieces."""
    numbers = np.full(3 * 2**20 + 5, value, dtype)

    expected = Tally([(float(value), numbers.size)], lowest=float(value), highest=float(value))
    assert expected == tally(iter([numbers.tobytes()]), dtype, numbers.nbytes, counts=True)[0]


@pytest.mark.parametrize("dtype", ["<i2", ">u4", "<f4", ">f8", "<u8"])
def test_more_values_than_a_label_has(dtype):
    """Values are counted up to a limit, which is told; the range is that of all."""
    numbers = np.arange(5000, dtype=dtype)
    raw = numbers.tobytes()

    for way in (voxels._OneByOne(dtype, counts=True), voxels._Numpy(dtype, counts=True)):
        for start in range(0, len(raw), 8000):
            way.add(raw[start : start + 8000])
        found = way.result()
        assert found.distinct_over
        assert len(found.values) == voxels.MOST_VALUES
        assert (found.lowest, found.highest) == (0, 4999)


def test_as_many_values_as_counted():
    """Exactly as many values as are counted are not too many."""
    raw = np.arange(voxels.MOST_VALUES, dtype="<i2").tobytes()

    for way in (voxels._OneByOne("<i2", counts=True), voxels._Numpy("<i2", counts=True)):
        way.add(raw)
        found = way.result()
        assert not found.distinct_over
        assert len(found.values) == voxels.MOST_VALUES


def test_whole_numbers_far_apart():
    """Two whole numbers at the ends of their type need no table between them."""
    for dtype in ("<i4", "<i8", "<u8", "<f8"):
        low, high = (-(2.0**100), 2.0**100) if dtype == "<f8" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
        way = voxels._Numpy(dtype, counts=True)
        way.add(np.array([low, high, low], dtype).tobytes())

        assert way.result().values == [(float(low), 2), (float(high), 1)]


def test_half_precision():
    """Numbers of two bytes, which TIFF can hold, are counted too, with NumPy or before it is there."""
    raw = np.array([0, 1.5, np.nan, np.inf], "<f2").tobytes()

    expected = Tally([(0.0, 1), (1.5, 1)], lowest=0.0, highest=1.5, nans=1, infs=1, fractions=1)
    assert expected == tally(iter([raw]), "<f2", len(raw), counts=True)[0]
    code = f"from nnunet_doctor.probes.raw.voxels import tally; print(tally([{raw!r}], '<f2', 8, counts=True)[0])"
    assert f"{expected}\n" == printed(code)


def test_few_voxels_without_numpy():
    """Small files, and labels of one byte of any size, are counted without importing NumPy."""
    code = (
        "import sys; from nnunet_doctor.probes.raw.voxels import tally\n"
        "print(tally([bytes(2**20), b'\\1'], '|u1', 2**30, counts=True)[0].values)\n"
        "print(tally([b'\\0\\1\\1\\0'], '>i2', 4, counts=True)[0].values)\n"
        "print(tally([b'\\0\\0\\xc0\\x7f'], '<f4', 4, counts=False)[0].nans, 'numpy' in sys.modules)"
    )

    assert printed(code) == "[(0.0, 1048576), (1.0, 1)]\n[(1.0, 1), (256.0, 1)]\n1 False\n"


def test_damage_passes_through():
    """What ends a stream ends the counting."""

    def pieces():
        yield b"\0\1"
        raise DamageError("unreadable", "cut")

    with pytest.raises(DamageError):
        tally(pieces(), "|u1", 10, counts=True)


@pytest.mark.parametrize("threads", [None, "7"])
def test_variable_of_numpys_threads(monkeypatch, threads):
    """The variable that keeps NumPy from starting threads is as it was when NumPy is there."""
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    if threads is not None:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", threads)
    code = "import os; from nnunet_doctor.probes.raw.voxels import load_numpy; load_numpy()\n"

    assert printed(code + "print(os.environ.get('OPENBLAS_NUM_THREADS'))") == f"{threads}\n"
