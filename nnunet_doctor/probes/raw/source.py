"""A file that is read at any place, without surprises: no FIFO, no device, no change unnoticed."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable

from nnunet_doctor.probes.raw.record import DamageError


class Source:
    """An open regular file.

    Attributes:
        path: Where it is.
        size: Bytes when it was opened.
        head: Its first bytes, :data:`HEAD_BYTES` at most.
    """

    def __init__(self, path: str) -> None:
        """Open the file.

        Raises:
            DamageError: It is not a regular file (``not-a-file``), a dead link (``broken-link``), or it cannot be
                opened or read (``unreadable``).
        """
        self.path = path
        try:
            # without O_NONBLOCK the opening of a FIFO would wait for a writer
            self._fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        except OSError as error:
            raise _refusal(path, error) from None
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(self._fd)
            raise DamageError("not-a-file", kind_of(status.st_mode))
        self._status = status
        self.size = status.st_size
        try:
            self.head = self.read_at(0, HEAD_BYTES)
        except DamageError:
            os.close(self._fd)
            raise

    @property
    def status(self) -> tuple[int, int, int]:
        """Size, time of change in ns and inode when it was opened."""
        return self._status.st_size, self._status.st_mtime_ns, self._status.st_ino

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)

    def read_at(self, offset: int, length: int) -> bytes:
        """Read up to ``length`` bytes from a place; fewer only at the end of the file.

        Raises:
            DamageError: The disk does not give them (``unreadable``).
        """
        # the system sets all of it aside, however little there is to read
        length = max(0, min(length, self.size - offset))
        try:
            if _PREAD is not None:
                return _PREAD(self._fd, length, offset)
            os.lseek(self._fd, offset, os.SEEK_SET)
            return os.read(self._fd, length)
        except OSError as error:
            raise DamageError("unreadable", f"{READ_ERROR} {error.strerror or error}") from None

    @property
    def has_changed(self) -> bool:
        """Whether somebody has written to the file since it was opened; true where it is no more."""
        try:
            now = os.fstat(self._fd)
        except OSError:  # on network file systems
            return True
        return (now.st_size, now.st_mtime_ns) != (self._status.st_size, self._status.st_mtime_ns)


HEAD_BYTES = 4096
"""What is read when a file is opened; the headers of all formats but long NRRD ones fit in."""

READ_ERROR = "read error:"

_PREAD: Callable[[int, int, int], bytes] | None = getattr(os, "pread", None)


def kind_of(mode: int) -> str:
    """Say what a thing in a folder is that is no regular file."""
    kinds = {
        stat.S_ISDIR: "folder",
        stat.S_ISFIFO: "FIFO",
        stat.S_ISSOCK: "socket",
        stat.S_ISBLK: "block device",
        stat.S_ISCHR: "character device",
    }
    return next((word for is_kind, word in kinds.items() if is_kind(mode)), "special file")


def _refusal(path: str, error: OSError) -> DamageError:
    if os.path.islink(path) and not os.path.exists(path):
        target = os.fsencode(os.readlink(path)).decode("utf-8", "backslashreplace")
        return DamageError("broken-link", f"-> {target}")
    with contextlib.suppress(OSError):
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            return DamageError("not-a-file", kind_of(mode))
    return DamageError("unreadable", f"{READ_ERROR} {error.strerror or error}")
