"""Starting a child with a deadline and without leaving anything of it behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

KEEP_BYTES = 8192
"""How much of the end of a child's output is kept; the rest is read and dropped, however much it is."""

_WINDOWS_STATUS = {
    0xC0000005: "access violation",
    0xC000001D: "illegal instruction",
    0xC0000135: "a DLL was not found",
    0xC00000FD: "stack overflow",
    0xC0000409: "stack buffer overrun",
}


@dataclass(frozen=True)
class Ended:
    """How a child ended.

    Attributes:
        code: Exit status as :mod:`subprocess` gives it; None when the deadline came first.
        output: The end of what it printed, standard output and error together.
    """

    code: int | None
    output: str

    @property
    def death(self) -> str | None:
        """The crash in words; None for an ordinary exit or a deadline."""
        return None if self.code is None else death(self.code)


def death(code: int) -> str | None:
    """Say what killed a process, from its exit status; None when nothing did."""
    if code < 0:
        try:
            return f"signal {signal.Signals(-code).name}"
        except ValueError:
            return f"signal {-code}"
    if code >= 0xC0000000:
        return f"{_WINDOWS_STATUS.get(code, 'Windows error')} (0x{code:08X})"
    return None


def run(
    command: Sequence[str], timeout: float, env: Mapping[str, str] | None = None, *, keep: int = KEEP_BYTES
) -> Ended:
    """Run a command to its end, or kill it and its children at the deadline.

    Raises:
        OSError: The command cannot be started.
    """
    child = subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=None if env is None else dict(env),
        **own_group(),
    )
    tail = bytearray()

    def drain() -> None:
        assert_pipe = child.stdout
        while assert_pipe is not None and (chunk := assert_pipe.read1(65536)):  # type: ignore[attr-defined]
            tail.extend(chunk)
            del tail[:-keep]

    reader = threading.Thread(target=drain, daemon=True)
    reader.start()
    try:
        code: int | None = child.wait(timeout)
    except subprocess.TimeoutExpired:
        code = None
    finally:
        kill_group(child.pid)
        child.kill()
        child.wait()
    reader.join(1.0)
    return Ended(code, bytes(tail).decode("utf-8", "replace"))


def own_group() -> dict[str, object]:
    """Return the arguments of Popen that put a child into a process group of its own."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def kill_group(pid: int) -> None:
    """Kill what is left of a child's process group; a group that is gone is fine."""
    if sys.platform != "win32":
        try:
            os.killpg(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass
