"""Files that are opened, and streams that are inflated piece by piece: to the last byte, with every checksum."""

from __future__ import annotations

import errno
import functools
import gzip
import itertools
import os
import random
import socket
import sys
import time
import zlib

import pytest
from made_up_nifti import rewrite

from nnunet_doctor.probes.raw import stream
from nnunet_doctor.probes.raw.record import DamageError
from nnunet_doctor.probes.raw.source import HEAD_BYTES, Source
from nnunet_doctor.probes.raw.stream import PIECE_BYTES, first_bytes, inflate

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has none")
RANDOM = random.Random(0)  # noqa: S311 - no secret

CODECS = [name for name in ("isal", "zlib_ng") if stream._load(name) is not None]


@pytest.fixture(params=["zlib", *CODECS])
def codec(request, monkeypatch):
    """Have one decoder after the other do the work."""
    others = [name for name in ("isal", "zlib_ng") if name != request.param]
    for name in others:
        monkeypatch.setitem(stream._LOADED, name, None)
    return request.param


@pytest.fixture
def inflated(tmp_path):
    """Return what comes out of a stream, and what the message is when something is wrong with it."""

    def inflated(content, wrapper="gzip", start=0, end=None):
        path = tmp_path / "stream"
        rewrite(path, content)
        source = Source(str(path))
        found = bytearray()
        try:
            for piece in inflate(source, wrapper, start, end):
                assert 0 < len(piece) <= PIECE_BYTES
                found += piece
        except DamageError as error:
            ((id, message),) = error.faults
            assert id == "unreadable"
            return bytes(found), message
        finally:
            source.close()
        return bytes(found), None

    return inflated


def squeezed(content, level=6):
    """Return a gzip member."""
    return gzip.compress(content, level, mtime=0)


def mixed(length):
    """Return bytes that can be compressed a little."""
    return b"".join(RANDOM.choice([b"abcabc", bytes(40), RANDOM.randbytes(9)]) for _ in range(length // 9 + 1))[:length]


SHORT = mixed(3000)


# --- streams -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [0, 1, 131072, PIECE_BYTES, 2 * PIECE_BYTES + 17])
@pytest.mark.parametrize("make", [bytes, RANDOM.randbytes, mixed])
def test_lengths(codec, inflated, make, length):  # noqa: ARG001 - the decoder is set
    """What was compressed comes out again, at every length around that of a piece, in one member or in three."""
    content, whole, members, wrapped = sample(make, length)

    assert inflated(whole) == (content, None)
    assert inflated(members) == (content, None)
    assert inflated(wrapped, "zlib") == (content, None)


@functools.cache
def sample(make, length):
    """Return some bytes, and the same as one gzip member, as three and an empty one, and as a zlib stream."""
    content, third = make(length), length // 3
    members = [content[:third], content[third : 2 * third], content[2 * third :], b""]
    return content, squeezed(content), b"".join(map(squeezed, members)), zlib.compress(content)


@pytest.mark.parametrize(
    ("tail", "message"),
    [
        (bytes(1), None),
        (bytes(200_000), None),
        (b"x", "1 bytes after the end of the gzip stream"),
        (bytes(200_000) + b"xyz", "3 bytes after the end of the gzip stream"),
        (bytes(7) + b"<html>", "6 bytes after the end of the gzip stream"),
        (b"\x1f\x8b", "gzip stream ends too early, after 3000 bytes"),
    ],
)
def test_what_follows(codec, inflated, tail, message):  # noqa: ARG001
    """Behind the last member there may be zeros, and nothing else."""
    assert inflated(squeezed(SHORT) + tail) == (SHORT, message)


def test_zlib_ends_where_it_ends(codec, inflated):  # noqa: ARG001
    """Behind a zlib stream there is nothing, not even zeros; the part of the file that is read is told."""
    content = zlib.compress(SHORT)

    assert inflated(content + b"\0\0", "zlib") == (SHORT, "2 bytes after the end of the zlib stream")
    assert inflated(b"head" + content + b"tail", "zlib", 4, 4 + len(content)) == (SHORT, None)


@pytest.mark.parametrize("wrapper", ["gzip", "zlib"])
def test_every_cut_is_found(codec, inflated, wrapper):  # noqa: ARG001
    """A stream that is cut at any byte is said to be cut, and what came before is right."""
    content = squeezed(SHORT) if wrapper == "gzip" else zlib.compress(SHORT)
    for length in [1, 2, *range(3, len(content), 17), len(content) - 1]:
        found, message = inflated(content[:length], wrapper)
        assert SHORT.startswith(found)
        assert message == f"{wrapper} stream ends too early, after {len(found)} bytes"


@pytest.mark.parametrize("wrapper", ["gzip", "zlib"])
def test_every_flipped_bit_is_found(codec, inflated, wrapper):  # noqa: ARG001
    """A bit that flips in a stream is found, or changes nothing of what comes out."""
    content = squeezed(SHORT) if wrapper == "gzip" else zlib.compress(SHORT)
    places = [*range(12), *range(12, len(content), 71), *range(len(content) - 8, len(content))]
    for place, bit in itertools.product(places, range(8)):
        changed = bytearray(content)
        changed[place] ^= 1 << bit
        found, message = inflated(bytes(changed), wrapper)
        assert message is not None or found == SHORT, (place, bit)


def test_many_members_take_no_time(inflated):
    """Members so short that a megabyte holds fifty thousand are decoded at once."""
    begun = time.process_time()

    assert inflated(squeezed(b"") * 50_000 + squeezed(b"end")) == (b"end", None)
    assert time.process_time() - begun < 3


def test_decoders_are_optional(monkeypatch, inflated):
    """Without a wheel of a faster decoder, Python's own does the work, and makes the checksums."""
    monkeypatch.setattr(stream, "_LOADED", {})
    monkeypatch.setitem(sys.modules, "isal.isal_zlib", None)
    monkeypatch.setitem(sys.modules, "zlib_ng.zlib_ng", None)

    assert stream.checksums() is zlib
    assert inflated(squeezed(SHORT)) == (SHORT, None)


# --- the beginning of a stream -------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 348, 3000])
@pytest.mark.parametrize("step", [1, 100, 3000])
def test_first_bytes(tmp_path, length, step):
    """The beginning is the same however many members it comes from."""
    path = tmp_path / "stream"
    path.write_bytes(b"".join(squeezed(SHORT[at : at + step]) for at in range(0, 3000, step)))
    source = Source(str(path))

    assert first_bytes(source, length) == SHORT[:length]
    source.close()


@pytest.mark.parametrize("tail", [b"", bytes(10), bytes(10_000)])
def test_first_bytes_of_a_short_stream(tmp_path, tail):
    """A stream that holds less gives what it holds."""
    path = tmp_path / "stream"
    path.write_bytes(squeezed(b"short") + tail)
    source = Source(str(path))

    assert first_bytes(source, 348) == b"short"
    source.close()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (squeezed(SHORT)[:100], "gzip stream ends too early, after "),
        (squeezed(b"")[:5], "gzip stream ends too early, after 0 bytes"),
        (b"\x1f\x8b\x08\x08" + b"name" * 5000, "gzip stream ends too early, after 0 bytes"),
        (b"\x1f\x8b\x07" + bytes(50), "gzip stream: unknown compression method, after 0 bytes"),
        (squeezed(b"short") + b"junk", "gzip stream: incorrect header check, after 5 bytes"),
    ],
)
def test_first_bytes_of_a_damaged_stream(tmp_path, content, message):
    """A beginning that is damaged is said to be so."""
    path = tmp_path / "stream"
    path.write_bytes(content)
    source = Source(str(path))
    with pytest.raises(DamageError) as raised:
        first_bytes(source, 348)
    source.close()

    ((id, told),) = raised.value.faults
    assert id == "unreadable"
    assert told.startswith(message)


# --- files ---------------------------------------------------------------------------------------------------------


def refusal(path):
    """Return the fault of a path that cannot be opened."""
    with pytest.raises(DamageError) as raised:
        Source(str(path))
    return raised.value.faults


def test_file(tmp_path):
    """A file is read at any place, and has fewer bytes only at its end."""
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 100)
    source = Source(str(path))

    assert (source.size, len(source.head)) == (25600, HEAD_BYTES)
    assert source.read_at(25599, 10) == b"\xff"
    assert source.read_at(99999, 10) == b""
    assert not source.has_changed
    source.close()


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(b"longer"), lambda path: os.utime(path, ns=(5, 5))])
def test_file_that_changes(tmp_path, change):
    """A file that is written to after it was opened has changed."""
    path = tmp_path / "file"
    path.write_bytes(b"file")
    source = Source(str(path))
    change(path)

    assert source.has_changed
    source.close()


def test_file_that_goes_away(tmp_path):
    """A file of which the system knows nothing any more, as on a network, has changed, and cannot be read."""
    path = tmp_path / "file"
    path.write_bytes(b"file")
    source = Source(str(path))
    handle, source._fd = source._fd, 999_999

    assert source.has_changed
    with pytest.raises(DamageError) as raised:
        source.read_at(0, 4)
    ((id, message),) = raised.value.faults
    assert (id, message.partition(":")[0]) == ("unreadable", "read error")
    source._fd = handle
    source.close()


def test_folder(tmp_path):
    """A folder is no file."""
    assert refusal(tmp_path) == (("not-a-file", "folder"),)


def test_nothing(tmp_path):
    """What is not there cannot be read."""
    ((id, message),) = refusal(tmp_path / "nothing")

    assert (id, message.partition(":")[0]) == ("unreadable", "read error")


@posix
def test_no_file(tmp_path):
    """FIFOs, sockets and devices are named as what they are, at once: nobody is waited for."""
    os.mkfifo(tmp_path / "fifo")
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(os.path.relpath(tmp_path / "socket"))  # the name of a socket is short

    assert refusal(tmp_path / "fifo") == (("not-a-file", "FIFO"),)
    assert refusal(tmp_path / "socket") == (("not-a-file", "socket"),)
    assert refusal("/dev/null") == (("not-a-file", "character device"),)
    bound.close()


@posix
def test_links(tmp_path):
    """Links to nothing and to themselves are broken; a link to a file is that file."""
    (tmp_path / "broken").symlink_to("nothing")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_bytes(b"file")
    (tmp_path / "good").symlink_to("file")
    (tmp_path / "odd").symlink_to(os.fsdecode(b"\xff\n"))

    assert refusal(tmp_path / "broken") == (("broken-link", "-> nothing"),)
    assert refusal(tmp_path / "loop") == (("broken-link", "-> loop"),)
    assert refusal(tmp_path / "odd") == (("broken-link", "-> \\xff\n"),)
    source = Source(str(tmp_path / "good"))
    assert source.head == b"file"
    source.close()


def test_no_permission(tmp_path, monkeypatch):
    """A file that may not be read is unreadable."""
    path = tmp_path / "file"
    path.touch()
    refused = PermissionError(errno.EACCES, "Permission denied")
    monkeypatch.setattr("os.open", lambda *_: (_ for _ in ()).throw(refused))

    assert refusal(path) == (("unreadable", "read error: Permission denied"),)
