"""Compressed streams in pieces: nothing larger than a piece is ever in memory, and every checksum is checked."""

from __future__ import annotations

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

REPETITIVE = 30
"""From this ratio of compression on, zlib-ng is faster (labels); below, ISA-L (images)."""

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
    end = source.size if end is None else end
    codec = _codec(expected / max(1, end - start))
    decoder: Any = codec.decompressobj(_WINDOW[wrapper])
    position, waiting, produced, fresh = start, b"", 0, True
    while True:
        if not waiting and position < end:
            waiting = source.read_at(position, min(INPUT_BYTES, end - position))
            position += len(waiting)
        if fresh and produced and not waiting.lstrip(b"\0"):
            if position < end and waiting:
                waiting = b""
                continue
            return
        try:
            piece = decoder.decompress(waiting, PIECE_BYTES)
        except codec.error as error:
            if fresh and produced:
                follows = end - position + len(waiting)
                raise DamageError("unreadable", f"{follows} bytes after the end of the {wrapper} stream") from None
            raise DamageError("unreadable", f"{wrapper} stream: {_plain(error)}, after {produced} bytes") from None
        fresh = fresh and not piece
        produced += len(piece)
        if piece:
            yield piece
        if decoder.eof:
            waiting, decoder, fresh = decoder.unused_data, codec.decompressobj(_WINDOW[wrapper]), True
            if wrapper == "zlib":
                if waiting or position < end:
                    follows = end - position + len(waiting)
                    raise DamageError("unreadable", f"{follows} bytes after the end of the {wrapper} stream")
                return
            if not waiting and position >= end:
                return
            continue
        waiting = decoder.unconsumed_tail
        if not waiting and position >= end and len(piece) < PIECE_BYTES:
            raise DamageError("unreadable", f"{wrapper} stream ends too early, after {produced} bytes")


def first_bytes(source: Source, length: int) -> bytes:
    """Inflate the beginning of a gzip file; fewer bytes only when the stream is shorter.

    Raises:
        DamageError: ``unreadable``: it is no gzip stream, or it is damaged right there.
    """
    decoder = zlib.decompressobj(31)
    found, position = b"", 0
    while len(found) < length and not decoder.eof:
        waiting = source.head if position == 0 else source.read_at(position, 4096)
        if not waiting:
            raise DamageError("unreadable", f"gzip stream ends too early, after {len(found)} bytes")
        position += len(waiting)
        try:
            found += decoder.decompress(waiting, length - len(found))
        except zlib.error as error:
            raise DamageError("unreadable", f"gzip stream: {_plain(error)}, after {len(found)} bytes") from None
    return found


def _plain(error: Exception) -> str:
    """Return the reason without the words that all of zlib's messages share."""
    text = str(error)
    return text.rpartition(": ")[2] if ": " in text else text


def _codec(ratio: float) -> Any:
    """Return the fastest decoder for a ratio of compression that is installed."""
    for name in ("zlib_ng", "isal") if ratio > REPETITIVE else ("isal", "zlib_ng"):
        codec = _load(name)
        if codec is not None:
            return codec
    return zlib


_LOADED: dict[str, Any] = {}


def _load(name: str) -> Any:
    """Import a decoder once; None where there is no wheel for it."""
    if name not in _LOADED:
        try:
            if name == "isal":
                from isal import isal_zlib as module
            else:
                from zlib_ng import zlib_ng as module
        except ImportError:
            module = None
        _LOADED[name] = module
    return _LOADED[name]
