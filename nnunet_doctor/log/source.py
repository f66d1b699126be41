"""What people have of a run: files, pairs of files, a folder of results, standard input; and their text, in pieces.

The only module of this package that opens files. A log is handed on in pieces of about a megabyte, as lines in UTF-8
that know their number in the file, however it was encoded and however long its lines are.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from nnunet_doctor.errors import UserError

PIECE = 1024 * 1024
"""Bytes that are read at once; nothing of a log is kept beyond a piece of it."""

LONGEST_LINE = 4096
"""A longer line is handed on in parts with one number, so that no expression sees more than this at once."""


class Piece(NamedTuple):
    """Some lines of a log, in UTF-8, without line ends, colours and NUL bytes, and the number of each in its file."""

    lines: Sequence[bytes]
    numbers: Sequence[int]


class Source(NamedTuple):
    """A log that can be read.

    Attributes:
        name: What the reader calls it.
        path: Where it is; None for standard input.
        age: Seconds since it was last written to; None where nobody can know.
        is_own: Whether nnU-Net itself wrote it (training_log_*.txt), which never holds an error message.
    """

    name: str
    path: Path | None
    age: float | None
    is_own: bool


# --- which files ---------------------------------------------------------------------------------------------------


def find_sources(arguments: Sequence[str]) -> tuple[Source, ...]:
    """Return the logs that the arguments of the command name; a folder stands for the newest training in it.

    Raises:
        UserError: A file or folder does not exist, or a folder holds no log.
    """
    found: list[Source] = []
    for argument in arguments:
        if argument == "-":
            found.append(Source("standard input", None, None, is_own=False))
            continue
        path = Path(argument)
        try:
            folder = path.is_dir()
            paths = _of_folder(path) if folder else [path]
            if not folder and not path.exists():
                raise UserError(f"there is no file or folder {argument}")
            found += [_file(item) for item in paths]
        except OSError as error:
            raise UserError(f"{argument} cannot be read: {error.strerror or error}") from None
    return tuple(dict.fromkeys(found))


def _file(path: Path) -> Source:
    return Source(str(path), path, max(0.0, time.time() - path.stat().st_mtime), path.name.startswith(OWN_LOG))


OWN_LOG = "training_log_"
"""Beginning of the files that nnUNetTrainer.print_to_log_file writes."""

CAPTURED_LOG = "nnunet_doctor_"
"""Beginning of the files that ``nnunet-doctor run`` writes: all that a training prints, its errors too."""

_DEEPEST = 5
_MOST_FOLDERS = 20_000


def _of_folder(folder: Path) -> list[Path]:
    """Return all training logs of the fold that was written to last, oldest first; a captured log is worth more.

    nnU-Net starts a new file with every start, so that the files of one fold tell one story.
    """
    newest: tuple[float, Path] | None = None
    for count, (place, folders, names) in enumerate(os.walk(folder)):
        if count > _MOST_FOLDERS:
            break
        if len(Path(place).relative_to(folder).parts) >= _DEEPEST:
            folders.clear()
        for name in names:
            if name.startswith((OWN_LOG, CAPTURED_LOG)) and name.endswith((".txt", ".log")):
                path = Path(place, name)
                written = path.stat().st_mtime
                if newest is None or written > newest[0]:
                    newest = (written, path)
    if newest is None:
        raise UserError(
            f"{folder} holds no training log; nnU-Net writes {OWN_LOG}*.txt into "
            "nnUNet_results/DATASET/TRAINER__PLANS__CONFIGURATION/fold_X"
        )
    fold = newest[1].parent
    captured = sorted(fold.glob(f"{CAPTURED_LOG}*.log"), key=_written)
    own = sorted(fold.glob(f"{OWN_LOG}*.txt"), key=_written)
    if captured and (not own or _written(captured[-1]) >= _written(own[-1]) - _SAME_RUN_S):
        # what nnU-Net wrote in the run that was captured stands in the capture too
        return [*[path for path in own if _started_before(path, captured[-1])], captured[-1]]
    return own


_SAME_RUN_S = 300.0


def _written(path: Path) -> float:
    return path.stat().st_mtime


def _started_before(own: Path, captured: Path) -> bool:
    """Say by their names whether a log of nnU-Net was begun before a captured one."""
    moments = [tuple(map(int, re.findall(r"\d+", path.stem)[:6])) for path in (own, captured)]
    return len(moments[0]) == len(moments[1]) == 6 and moments[0] < moments[1]


def is_of_results(sources: Sequence[Source], results: str | None) -> bool:
    """Say whether all logs lie in the results folder of the nnU-Net that is set up here."""
    if not results:
        return False
    top = Path(os.path.abspath(results))
    return all(source.path is not None and top in Path(os.path.abspath(source.path)).parents for source in sources)


_MOST_DEBUG_BYTES = 4 * 1024**2


def read_debug(sources: Sequence[Source]) -> Mapping[str, str]:
    """Return what nnU-Net noted in debug.json beside the log, before the first epoch; empty without one."""
    for source in reversed(sources):
        if source.path is None:
            continue
        try:
            with source.path.with_name("debug.json").open("rb") as file:
                content = json.loads(file.read(_MOST_DEBUG_BYTES))
        except (OSError, ValueError, RecursionError):
            continue
        if isinstance(content, dict):
            return {str(key): str(value) for key, value in content.items()}
    return {}


# --- their text ----------------------------------------------------------------------------------------------------


def read_source(source: Source, stdin: IO[bytes]) -> Iterator[Piece]:
    """Read a log from its beginning to its end.

    Raises:
        UserError: The file cannot be read.
    """
    try:
        if source.path is None:
            yield from pieces(_reader(stdin))
            return
        with source.path.open("rb", buffering=0) as file:
            yield from pieces(_reader(file))
    except OSError as error:
        raise UserError(f"{source.name} cannot be read: {error.strerror or error}") from None


def _reader(file: IO[bytes]) -> Callable[[], bytes]:
    read: Callable[[int], bytes | None] = getattr(file, "read1", file.read)
    return lambda: read(PIECE) or b""


def pieces(read: Callable[[], bytes]) -> Iterator[Piece]:
    """Turn what a call gives, until it gives nothing more, into pieces of lines."""
    lines = Lines()
    while block := read():
        piece = lines.take(block)
        if piece.lines:
            yield piece
    piece = lines.end()
    if piece.lines:
        yield piece


class Lines:
    """Cuts blocks of bytes into numbered lines, and keeps what has not ended yet."""

    def __init__(self) -> None:
        """Begin at line 1 with an encoding that is not known."""
        self._decode: Callable[[bytes], bytes] | None = None
        self._rest = b""
        self._number = 1
        self._numbers = _LineNumbers()

    def take(self, block: bytes) -> Piece:
        """Return the lines that are complete with one more block."""
        if self._decode is None:
            block = self._rest + block
            self._rest = b""
            if len(block) < 4:
                self._rest = block
                return Piece((), ())
            self._decode = _decoder(block)
        data = self._rest + self._decode(block)
        end = data.rfind(b"\n") + 1
        if end == 0 and len(data) >= PIECE:
            # a line without end: its finished states go on, or else all of it
            end = data.rfind(b"\r", 0, len(data) - 1) + 1 or len(data)
            self._rest = data[end:]
            return self._numbered(data[:end], ends=False)
        self._rest = data[end:]
        return self._numbered(data[: end - 1], ends=True) if end else Piece((), ())

    def end(self) -> Piece:
        """Return the last line, which no line end follows."""
        data = self._rest if self._decode is None else self._rest + self._decode(b"")
        self._rest = b""
        return self._numbered(data.removesuffix(b"\n"), ends=True) if data else Piece((), ())

    def _numbered(self, data: bytes, *, ends: bool) -> Piece:
        data = _clean(data)
        lines = self._numbers.take_away(data.split(b"\n"))
        first = self._number
        self._number += len(lines) if ends else len(lines) - 1
        odd = [at for at, line in enumerate(lines) if b"\r" in line] if b"\r" in data else []
        if _ESCAPED in data:
            odd = [at for at, line in enumerate(lines) if _ESCAPED in line or b"\r" in line]
        if max(map(len, lines)) > LONGEST_LINE:
            odd = [at for at, line in enumerate(lines) if len(line) > LONGEST_LINE or b"\r" in line or _ESCAPED in line]
        if not odd:
            return Piece(lines, range(first, first + len(lines)))
        shown: list[bytes] = []
        numbers: list[int] = []
        done = 0
        for at in [*odd, len(lines)]:
            shown += lines[done:at]
            numbers += range(first + done, first + at)
            parts = _parts(lines[at]) if at < len(lines) else []
            shown += parts
            numbers += [first + at] * len(parts)
            done = at + 1
        return Piece(shown, numbers)


def _parts(line: bytes) -> list[bytes]:
    """Return what is to be read of a line that was written over, or that is too long."""
    if _ESCAPED in line:
        states = _LINE_END.split(line)
        states = [_ESCAPE.sub(lambda found: found[1], state) for state in states]
    else:
        states = last_states(line) if b"\r" in line else [line]
    return [state[at : at + LONGEST_LINE] for state in states for at in range(0, len(state), LONGEST_LINE)]


_ESCAPED = rb"\n  File "
"""What a traceback holds that stands in one line, as programs print records and other programs' output."""

_LINE_END = re.compile(rb"(?<!\\)(?:\\r)?\\n")
_ESCAPE = re.compile(rb"""\\([\\"'])""")

_NUMBERED = re.compile(rb" {0,6}(?P<number>\d{1,6})(?P<mark>[:.|]| \|)?(?P<blanks> {0,4})")
_LEAST_NUMBERED = 4


class _LineNumbers:
    """Takes away the numbers of an editor, of a viewer or of grep, which count the lines of what was copied."""

    def __init__(self) -> None:
        self._form: tuple[bytes | None, int] | None = None
        self._next = 0

    def take_away(self, lines: Sequence[bytes]) -> Sequence[bytes]:
        """Return lines without numbers; those that are no part of the count stay as they are."""
        if self._form is None and not self._learn(lines):
            return lines
        mark, blanks = self._form or (None, 0)
        bare = list(lines)
        for at, found in enumerate(map(_NUMBERED.match, lines)):
            if found and found["mark"] == mark and int(found["number"]) == self._next:
                bare[at] = lines[at][found.end("mark" if mark else "number") + blanks :]
                self._next += 1
        return bare

    def _learn(self, lines: Sequence[bytes]) -> bool:
        """Say whether the first lines each begin with the number after that of the line before, all in one form."""
        first = [line for line in lines[: 4 * _LEAST_NUMBERED] if line.strip()][:_LEAST_NUMBERED]
        found = [item for line in first if (item := _NUMBERED.match(line))]
        if len(found) < _LEAST_NUMBERED or len({item["mark"] for item in found}) > 1:
            return False
        mark, start = found[0]["mark"], int(found[0]["number"])
        if [int(item["number"]) for item in found] != list(range(start, start + len(found))):
            return False
        if not mark and not all(item["blanks"] or item.end() == len(item.string) for item in found):
            return False
        all_found = filter(None, map(_NUMBERED.match, lines))
        blanks = min((len(item["blanks"]) for item in all_found if item.end() < len(item.string)), default=0)
        self._form, self._next = (mark, blanks), start
        return True


_COLOURS = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,400}(?:\x07|\x1b\\)?|[@-Z\\-_])")
"""Control sequences of terminals (ECMA-48), and the titles of windows."""


def _clean(data: bytes) -> bytes:
    if b"\0" in data:
        data = data.replace(b"\0", b"")
    if b"\x1b" in data:
        data = _COLOURS.sub(b"", data)
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r\n", b"\n").removesuffix(b"\r")
    if data.startswith(_OF_DOCKER) or b"\n" + _OF_DOCKER in data:
        data = b"\n".join(map(_of_docker, data.split(b"\n")))
    return data if data.isascii() else _as_utf8(data)


_OF_DOCKER = b'{"log":"'
"""Beginning of a record of Docker's json-file driver."""


def _of_docker(record: bytes) -> bytes:
    """Return the line that a record holds; what is no record stays."""
    try:
        return str(json.loads(record)["log"]).rstrip("\r\n").replace("\n", " ").encode("utf-8", "replace")
    except (ValueError, LookupError, TypeError, RecursionError):
        return record


_BAR = re.compile(rb"(?:\d+%\|| \d+/(?:\d+|\?) \[\d\d:|\dit \[\d\d:).*\]\s*$|\d+%[^a-zA-Z]{0,20}$", re.DOTALL)


def last_states(line: bytes) -> list[bytes]:
    """Return what a line shows that carriage returns wrote over: of a progress bar its last state, and all else."""
    returns = line.count(b"\r")
    if returns == line.count(b"]\r") == line.count(b"%|") - 1:  # nothing but bars, one over the other
        return [line[line.rfind(b"\r") + 1 :]]
    states = [state for state in line.split(b"\r") if state.strip()]
    written_over = {number for number, state in enumerate(states[:-1]) if _BAR.search(state)}
    return [state for number, state in enumerate(states) if number not in written_over]


def _decoder(head: bytes) -> Callable[[bytes], bytes]:
    """Choose by its first bytes how a log is turned into UTF-8."""
    name = next((name for mark, name in _MARKS if head.startswith(mark)), None)
    if name is None and b"\0" in head:
        # what a power cut or a network drive leaves is zeros without letters between them
        pairs = [pair for pair in zip(head[::2], head[1::2], strict=False) if any(pair)]
        little, big = sum(not high for _, high in pairs), sum(not high for high, _ in pairs)
        if max(little, big) > len(pairs) // 2:
            name = "utf-16-le" if little > big else "utf-16-be"
    if name is None:
        return bytes
    decoder = codecs.getincrementaldecoder(name)("replace")

    def decode(block: bytes) -> bytes:
        return decoder.decode(block, not block).encode("utf-8", "replace")

    return decode


_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
"""PowerShell 5 writes UTF-16 when output is redirected."""


def _as_utf8(data: bytes) -> bytes:
    """Return valid UTF-8; lines that are not are taken for GBK or Latin-1, whichever they can be.

    The programs of one log need not agree: cmd.exe writes in the code page of the system, Python in UTF-8.
    """
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return b"\n".join(line if line.isascii() else _line_as_utf8(line) for line in data.split(b"\n"))
    return data


_GB2312_PAIRS = re.compile(rb"[\xa1-\xf7][\xa1-\xfe]")


def _line_as_utf8(line: bytes) -> bytes:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        high = sum(byte >= 0x80 for byte in line)
        letters = "".join(letter for letter in line.decode("utf-8", "ignore") if ord(letter) >= 0x80)
        if len(letters.encode()) > high / 2:  # UTF-8 that was cut or damaged somewhere
            return line.decode("utf-8", "replace").encode()
        if 2 * len(_GB2312_PAIRS.findall(line)) >= 0.8 * high:
            return line.decode("gb18030", "replace").encode()
        return line.decode("latin-1").encode()
    return line


# --- a log that grows ----------------------------------------------------------------------------------------------


def follow(path: Path, waits: Callable[[], None]) -> Iterator[Piece]:
    """Read a log, and what is added to it, for as long as the caller wants more.

    Args:
        path: The log.
        waits: Called whenever nothing more is there; it comes back when it is time to look again.

    Yields:
        Pieces; an empty one whenever nothing more is there, which is the time to say how things stand.
    """
    lines = Lines()
    with path.open("rb", buffering=0) as file:
        while True:
            block = file.read(PIECE)
            if block:
                piece = lines.take(block)
                if piece.lines:
                    yield piece
                continue
            yield Piece((), ())
            if os.fstat(file.fileno()).st_size < file.tell():  # written anew from its beginning
                file.seek(0)
                lines = Lines()
            waits()


def total_epochs(debug: Mapping[str, Any]) -> int | None:
    """Return the number of epochs that debug.json tells; None when it does not."""
    try:
        return int(debug["num_epochs"])
    except (KeyError, ValueError, TypeError):
        return None
