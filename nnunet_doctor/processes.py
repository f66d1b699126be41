"""Children of the doctor: started in a group of their own, watched, and ended with all that they started.

Used by probes and by ``launch``; nothing else starts a process.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEEP_BYTES = 8192
"""How much of the end of a child's output is kept; the rest is read and dropped, however much it is."""

SECONDS_TO_TIDY = 2.0
"""How long an interrupted doctor waits for what its children leave to be removed."""

_is_ending = threading.Event()

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
        words = _WINDOWS_STATUS.get(code)
        return f"Windows error 0x{code:08X} ({words})" if words else f"Windows error 0x{code:08X}"
    return None


def run(
    command: Sequence[str], timeout: float, env: Mapping[str, str] | None = None, *, keep: int = KEEP_BYTES
) -> Ended:
    """Run a command to its end, or kill it and its children at the deadline.

    Raises:
        OSError: The command cannot be started, or the doctor itself is ending.
    """
    _refuse_to_begin_at_the_end()
    child = subprocess.Popen(
        list(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=None if env is None else dict(env),
        **own_group(),
    )
    # probes run in threads, which an interrupted doctor does not wait for
    at_exit = functools.partial(_end_at_exit, child)
    atexit.register(at_exit)
    tail = bytearray()

    def keep_end(chunk: bytes) -> None:
        tail.extend(chunk)
        del tail[:-keep]

    reader = drain(child, keep_end)
    # a wait with a timeout polls, and comes up to 50 ms late
    waiter = threading.Thread(target=child.wait, daemon=True)
    waiter.start()
    try:
        waiter.join(timeout)
        code = None if waiter.is_alive() else child.returncode
    finally:
        end_group(child)
        waiter.join()
        atexit.unregister(at_exit)
    reader.join(1.0)
    return Ended(code, bytes(tail).decode("utf-8", "replace"))


def _end_at_exit(child: subprocess.Popen[bytes]) -> None:
    _is_ending.set()
    end_group(child)


def _refuse_to_begin_at_the_end() -> None:
    """See that a thread whose child has been ended at exit starts no other, which nobody would end."""
    if _is_ending.is_set():
        raise InterruptedError("the doctor is ending")


@contextlib.contextmanager
def scratch(place: Path | None = None) -> Iterator[Path]:
    """Give a folder for what a child leaves, and remove it; a doctor that is interrupted meanwhile waits for that.

    Args:
        place: The folder to make it in; that for temporary files if None.

    Raises:
        OSError: Nothing can be made there, or the doctor itself is ending.
    """
    import tempfile

    _refuse_to_begin_at_the_end()
    is_tidy = threading.Event()
    # called after what ends the child, because that is registered later
    atexit.register(is_tidy.wait, SECONDS_TO_TIDY)
    try:
        with tempfile.TemporaryDirectory(prefix="nnunet-doctor-", dir=place, ignore_cleanup_errors=True) as folder:
            yield Path(folder)
    finally:
        is_tidy.set()
        atexit.unregister(is_tidy.wait)


def drain(child: subprocess.Popen[bytes], take: Callable[[bytes], None]) -> threading.Thread:
    """Hand a child's output over as it comes, in a thread that ends with the pipe."""

    def work() -> None:
        pipe: Any = child.stdout
        with pipe:
            while chunk := pipe.read1(65536):
                take(chunk)

    reader = threading.Thread(target=work, daemon=True)
    reader.start()
    return reader


def own_group() -> dict[str, Any]:
    """Return the arguments of Popen that put a child into a process group of its own."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def signal_group(child: subprocess.Popen[bytes], number: int) -> None:
    """Send a signal to a child and all of its group; on Windows, which has one signal for groups, that one."""
    try:
        if sys.platform == "win32":
            child.send_signal(signal.CTRL_BREAK_EVENT)
        else:
            os.killpg(child.pid, number)
    except (ProcessLookupError, PermissionError):
        pass


def offspring(child: subprocess.Popen[bytes]) -> list[Any]:
    """List the processes below a child, as psutil knows them; none when it has ended."""
    import psutil

    try:
        return list(psutil.Process(child.pid).children(recursive=True))
    except psutil.Error:
        return []


def end_group(child: subprocess.Popen[bytes], known: Iterable[Any] = ()) -> None:
    """Kill a child and what is left of its group; what is gone already is fine.

    Windows cannot kill a group as one, and nobody is found below a parent that has ended.

    Args:
        child: The child.
        known: Processes that were seen below it while it ran; used on Windows only.
    """
    if sys.platform != "win32":
        signal_group(child, signal.SIGKILL)
    else:
        import psutil

        for process in [*known, *offspring(child)]:
            with contextlib.suppress(psutil.Error):
                process.kill()
    if child.poll() is None:
        child.kill()


def is_alive(number: int) -> bool:
    """Say whether a process of this number runs; os.kill(number, 0), which asks on POSIX, ends it on Windows."""
    import psutil

    return bool(psutil.pid_exists(number))


def begun(number: int) -> float | None:
    """Return when a process began, in seconds since 1970; None when there is no process of this number."""
    import psutil

    try:
        return float(psutil.Process(number).create_time())
    except psutil.Error:
        return None


def end_tree(number: int) -> None:
    """End a process and all below it; those that do not listen are killed after a few seconds."""
    import psutil

    try:
        main = psutil.Process(number)
        tree = [main, *main.children(recursive=True)]
    except psutil.Error:
        return
    for process in tree:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(tree, timeout=SECONDS_TO_END)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()


SECONDS_TO_END = 5.0
