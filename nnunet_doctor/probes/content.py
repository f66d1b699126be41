"""What the files of a dataset hold, as far as one look at each tells: how many, how large, and a fingerprint.

Of a copied or newly mounted dataset all are the same: names, sizes and a small part of each file count, no times. No
check asks them; they are there to be compared with those of another day.
"""

from __future__ import annotations

import contextlib
import os
import stat
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from nnunet_doctor.contents import FILES, SINGLE
from nnunet_doctor.facts import Observed, Unknown
from nnunet_doctor.probes.base import Context, Notes
from nnunet_doctor.probes.jsonfile import MOST_JSON_BYTES, read_json

Files = dict[str, str]
"""The files of one kind: name, and what tells its content from another: size and checksum, "1234 9f86d081"."""

TAIL_BYTES = 4096
SUMMED = (".gz", ".npz", ".b2nd", ".pkl", ".png")
"""Formats whose end tells the whole: a checksum of all that is packed (gzip, zip, the zlib of PNG), or the places and
thus the lengths of all packed pieces (Blosc2)."""

WHOLE_BYTES = 64 * 1024
"""A file of another format is read whole up to this size; of a larger one so much is read, spread over all of it."""

SLOW_SECONDS = 0.001
FIRST = 32
READERS = 16
"""Where one of the first files takes so long, so many are read at a time: a distant disk is bound by latency."""

NO_TIME = "there was no time to look at the content of all files"


class NoTimeError(Exception):
    """The files could not be looked at in time."""


def look(context: Context, *, seen: Callable[[], Mapping[str, Observed] | None] = dict) -> Notes:
    """Note what the files of the dataset and of the wanted configuration hold.

    Args:
        context: Where to look.
        seen: Waits for what the probe of the dataset saw, which is None when it has failed.
    """
    values = seen()
    notes = Notes()
    if values is None:
        return notes
    until = time.monotonic() + context.timeout / 2
    for part, names in FILES.items():
        try:
            found: Sequence[Observed] = amount(files_of(values, part, until))
        except NoTimeError:
            found = [Unknown(NO_TIME)] * len(names)
        except OSError as error:
            found = [Unknown(f"{error.filename} cannot be read: {error.strerror}")] * len(names)
        notes.values |= dict(zip(names, found, strict=True))
    paths = _single(values, context.request.plans)
    notes.values |= {name: _of_json(paths[part]) if part in paths else None for part, name in SINGLE.items()}
    notes.sources |= dict.fromkeys(notes.values, "names, sizes and parts of the files")
    return notes


def amount(files: Files | None) -> tuple[int, int, str] | tuple[None, None, None]:
    """Return number, bytes and fingerprint of files; None of each where there is no folder."""
    if files is None:
        return None, None, None
    return len(files), sum(int(told.partition(" ")[0]) for told in files.values()), fingerprint(files)


def fingerprint(files: Files) -> str:
    """Return 16 digits that tell these files from others; no name can be read from them."""
    return _digest(f"{name}\0{files[name]}\n" for name in sorted(files))


def _digest(lines: Iterable[str]) -> str:
    from hashlib import blake2b  # where no dataset is named, it is not worth its time

    # a name may hold what is no Unicode
    return blake2b("".join(lines).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def files_of(values: Mapping[str, Observed], part: str, until: float) -> Files | None:
    """Look at all files of a kind; None where their folder is not there.

    Args:
        values: Facts that tell where the dataset and the preprocessed cases are.
        part: One of FILES.
        until: When to give up, by time.monotonic.

    Raises:
        NoTimeError: They are too many, or the disk is too slow.
        OSError: The folder cannot be listed.
    """
    listed = _stored(values) if part == "stored" else _raw(values, part)
    if listed is None:
        return None
    return dict(zip(listed, _tell_all([*listed.values()], until), strict=True))


# --- which files ---------------------------------------------------------------------------------------------------


def _raw(values: Mapping[str, Observed], part: str) -> dict[str, str] | None:
    """Return the paths of images or labels by their names, as a folder or dataset.json lists them.

    With spacing files beside TIFFs (nnunetv2/imageio/tif_reader_writer.py), and without what a system leaves behind.
    """
    folder, ending = values.get("dataset.folder"), values.get("dataset.file_ending")
    if not isinstance(folder, str):
        return None
    content = read_json(Path(folder, "dataset.json")).content or {}
    listed = content.get("dataset")
    if isinstance(listed, dict):
        # as nnU-Net resolves them (utilities/utils.py, get_filenames_of_train_images_and_targets)
        return {name: os.path.join(folder, os.path.expandvars(name)) for name in _written(listed, part)}  # noqa: PTH118
    wanted = (ending, ".json") if isinstance(ending, str) else ""
    return _listed(os.path.join(folder, f"{part}Tr"), wanted)  # noqa: PTH118


def _written(listed: Mapping[str, object], part: str) -> Iterator[str]:
    for case in listed.values():
        given = case.get("images" if part == "images" else "label") if isinstance(case, dict) else None
        paths = given if isinstance(given, list) else [given]
        yield from (path for path in paths if isinstance(path, str) and "\0" not in path)


def _stored(values: Mapping[str, Observed]) -> dict[str, str] | None:
    """Return the paths of preprocessed cases; what a training unpacks beside them (npy) is its own."""
    folder = values.get("preprocessed.data_folder")
    return _listed(folder, (".npz", ".b2nd", ".pkl")) if isinstance(folder, str) else None


def _listed(folder: str, endings: str | tuple[str, ...]) -> dict[str, str] | None:
    try:
        with os.scandir(folder) as entries:
            return {
                _composed(entry.name): entry.path
                for entry in entries
                if entry.name.endswith(endings) and not entry.name.startswith(".") and entry.is_file()
            }
    except (FileNotFoundError, NotADirectoryError):
        return None


def _composed(name: str) -> str:
    """Return a name as all systems but macOS keep it."""
    if name.isascii():
        return name
    from unicodedata import normalize

    return normalize("NFC", name)


def _single(values: Mapping[str, Observed], plans: str) -> dict[str, Path]:
    """Return the paths of single files; the splits lie where the plans say (see probes/preprocessed.py)."""
    raw, own, other = (
        values.get(name) for name in ("dataset.folder", "preprocessed.folder", "preprocessed.other_dataset")
    )
    found = {"json": Path(raw, "dataset.json")} if isinstance(raw, str) else {}
    if isinstance(own, str):
        meant = Path(own).with_name(other) if isinstance(other, str) else Path(own)
        found |= {
            "copy": Path(own, "dataset.json"),
            "plans": Path(own, f"{plans}.json"),
            "splits": meant / "splits_final.json",
        }
    return found


# --- what they hold ------------------------------------------------------------------------------------------------


def _of_json(path: Path) -> Observed:
    """Return the fingerprint of a JSON file, however it is indented; None where there is none."""
    try:
        if not path.is_file():
            return None
        if path.stat().st_size > MOST_JSON_BYTES:
            return Unknown(f"it has more than {MOST_JSON_BYTES // 1024**2} MB")
        return _digest(path.read_bytes().decode("utf-8", "backslashreplace").split())
    except OSError as error:
        return Unknown(f"{path} cannot be read: {error.strerror}")


def _tell_all(paths: Sequence[str], until: float) -> list[str]:
    told = [""] * len(paths)
    numbers = iter(range(len(paths)))

    def work(most: int) -> None:
        for number in numbers:
            told[number] = _tell(paths[number])
            if time.monotonic() > until or number + 1 == most:
                return

    begun = time.monotonic()
    work(FIRST)
    if time.monotonic() - begun < FIRST * SLOW_SECONDS:
        work(0)
    else:
        # as daemons, because a dead disk of the network must not hold the doctor
        threads = [threading.Thread(target=work, args=(0,), daemon=True) for _ in range(READERS)]
        started = []
        with contextlib.suppress(RuntimeError):  # the system allows no more threads
            for thread in threads:
                thread.start()
                started.append(thread)
        for thread in started:
            thread.join(max(0.0, until - time.monotonic()))
    if not all(told) and time.monotonic() < until:
        work(0)
    if not all(told):
        raise NoTimeError
    return told


def _tell(path: str) -> str:
    """Return what tells the content of a file from another; of what cannot be read, that."""
    told, file = "0 -", -1
    with contextlib.suppress(OSError, ValueError):
        # without O_NONBLOCK the opening of a FIFO would wait for a writer
        file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        status = os.fstat(file)
        if stat.S_ISREG(status.st_mode):
            size, crc = status.st_size, 0
            for offset in _places(size, path):
                crc = zlib.crc32(_read(file, offset), crc)
            told = f"{size} {crc:08x}"
    if file >= 0:
        os.close(file)
    return told


def _read(file: int, offset: int) -> bytes:
    if _PREAD is not None:
        return _PREAD(file, TAIL_BYTES, offset)
    os.lseek(file, offset, os.SEEK_SET)
    return os.read(file, TAIL_BYTES)


_PREAD: Callable[[int, int, int], bytes] | None = getattr(os, "pread", None)


def _places(size: int, path: str) -> Sequence[int]:
    """Return where to read, so many bytes each."""
    last = max(0, size - TAIL_BYTES)
    if path.endswith(SUMMED):
        return (last,)
    if size <= WHOLE_BYTES:
        return range(0, size, TAIL_BYTES)
    count = WHOLE_BYTES // TAIL_BYTES
    return [last * number // (count - 1) for number in range(count)]
