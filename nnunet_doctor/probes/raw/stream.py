"""Compressed streams in pieces: nothing larger than a piece is ever in memory, and every checksum is checked."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal

from nnunet_doctor.probes.raw.record import DamageError

if TYPE_CHECKING:
    from nnunet_doctor.probes.raw.source import Source

PIECE_BYTES = 1024**2
"""Fits in the cache of a core: larger pieces are slower, and so are much smaller ones."""

INPUT_BYTES = 128 * 1024
"""What is handed to the decoder at a time: it copies the rest of its input at every call."""

DEFLATE_LIMIT = 1032
"""No deflate stream expands by more (zlib's documentation, "Maximum expansion factor")."""

REPETITIVE = 30
"""From this ratio of compression on, zlib-ng is always faster (labels)."""

NOISY = 4
"""Up to this ratio ISA-L is always faster (CT); in between (MR) only what was compressed with the fastest level, as
nibabel does and SimpleITK does not, which the gzip header tells. Measured, see tests/bench/bench_dataset.py."""

_FLAGS_AT, _FASTEST = 8, 4
"""XFL of RFC 1952."""

GZIP = b"\x1f\x8b"
"""The first bytes of every member."""

Wrapper = Literal["gzip", "zlib"]

_WINDOW = {"gzip": 31, "zlib": 15}


def inflate(
    source: Source, wrapper: Wrapper, start: int = 0, end: int | None = None, *, expected: int = 0
) -> Iterator[bytes]:
    """Inflate part of a file, piece by piece, to its very end.

    Several gzip members after each other are one stream, as gzip defines it, and zeros after the last one are padding.

    Args:
        source: The file.
        wrapper: gzip (with CRC32 and length) or zlib (with Adler-32).
        start: First byte of the stream.
        end: Byte after the last one; None for the end of the file.
        expected: Bytes that should come out, for the choice of the decoder; 0 for not known.

    Raises:
        DamageError: ``unreadable``: the stream is cut, a checksum is wrong, it is no such stream, or something else
            follows it.
    """
    feed = _Feed(source, start, source.size if end is None else end)
    is_fastest = wrapper == "gzip" and source.read_at(start + _FLAGS_AT, 1) == bytes((_FASTEST,))
    codec = codec_for(expected / max(1, feed.left), is_fastest=is_fastest)
    produced = 0
    while True:
        for piece in _member(feed, codec, wrapper, produced):
            produced += len(piece)
            yield piece
        if wrapper == "gzip":
            feed.skip_zeros()
        if not feed.left:
            return
        if wrapper == "zlib" or not GZIP.startswith(feed.waiting[:2]):
            raise DamageError("unreadable", f"{feed.left} bytes after the end of the {wrapper} stream")


class _Feed:
    """The compressed bytes that are still to be decoded."""

    def __init__(self, source: Source, start: int, end: int) -> None:
        self.source, self.position, self.end, self.waiting = source, start, end, b""

    @property
    def left(self) -> int:
        return len(self.waiting) + self.end - self.position

    def take(self) -> bytes:
        if not self.waiting and self.position < self.end:
            self.waiting = self.source.read_at(self.position, min(INPUT_BYTES, self.end - self.position))
            self.position = self.position + len(self.waiting) if self.waiting else self.end
        taken, self.waiting = self.waiting, b""
        return taken

    def skip_zeros(self) -> None:
        while self.left:
            self.waiting = self.take().lstrip(b"\0")
            if self.waiting:
                return


def _member(feed: _Feed, codec: Any, wrapper: Wrapper, before: int) -> Iterator[bytes]:
    """Inflate one stream; ``before`` is what came out of those in front of it."""
    decoder = codec.decompressobj(_WINDOW[wrapper])
    produced = 0
    while not decoder.eof:
        given = feed.take()
        try:
            piece = decoder.decompress(given, PIECE_BYTES)
        except codec.error as error:
            done = before + produced
            raise DamageError("unreadable", f"{wrapper} stream: {reason_of(error)}, after {done} bytes") from None
        feed.waiting = decoder.unused_data if decoder.eof else decoder.unconsumed_tail
        produced += len(piece)
        if piece:
            yield piece
        elif not given and not decoder.eof:
            raise DamageError("unreadable", f"{wrapper} stream ends too early, after {before + produced} bytes")


def first_bytes(source: Source, length: int) -> bytes:
    """Inflate the beginning of a gzip file; fewer bytes only when the stream is shorter.

    Raises:
        DamageError: ``unreadable``: it is no gzip stream, or it is damaged right there.
    """
    decoder = zlib.decompressobj(31)
    found, position, waiting = b"", 0, b""
    while len(found) < length:
        if not waiting:
            waiting = source.head if position == 0 else source.read_at(position, 4096)
            position += len(waiting)
        if not waiting and not decoder.eof:
            raise DamageError("unreadable", f"gzip stream ends too early, after {len(found)} bytes")
        if decoder.eof:
            waiting = waiting.lstrip(b"\0")
            if not waiting:
                if position >= source.size:
                    return found
                continue
            decoder = zlib.decompressobj(31)
        try:
            found += decoder.decompress(waiting, length - len(found))
        except zlib.error as error:
            raise DamageError("unreadable", f"gzip stream: {reason_of(error)}, after {len(found)} bytes") from None
        waiting = decoder.unused_data
    return found


def reason_of(error: Exception) -> str:
    """Return the reason that a decoder gives, without the words that all of zlib's messages share."""
    text = str(error)
    return text.rpartition(": ")[2] if ": " in text else text


def codec_for(ratio: float, *, is_fastest: bool = False) -> Any:
    """Return the fastest decoder for a ratio of compression that is installed."""
    prefers_isal = ratio <= NOISY or (is_fastest and ratio <= REPETITIVE)
    for name in ("isal", "zlib_ng") if prefers_isal else ("zlib_ng", "isal"):
        codec = _load(name)
        if codec is not None:
            return codec
    return zlib


def checksums() -> Any:
    """Return the fastest module with ``crc32`` and ``adler32`` that is installed."""
    return codec_for(REPETITIVE + 1)


_LOADED: dict[str, Any] = {}


def _load(name: str) -> Any:
    """Import a decoder once; None where there is no wheel for it."""
    if name not in _LOADED:
        module = {"isal": "isal.isal_zlib", "zlib_ng": "zlib_ng.zlib_ng"}[name]
        try:
            _LOADED[name] = importlib.import_module(module)
        except ImportError:
            _LOADED[name] = None
    return _LOADED[name]
