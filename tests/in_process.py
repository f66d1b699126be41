"""The command line called in this process: it says what a new one would say, for a fifth of the price.

A process of its own stays where a test is about the process itself: signals, pipes, closed streams, code pages, its end.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from nnunet_doctor import packs
from nnunet_doctor.cli import main
from nnunet_doctor.facts import CATALOGUE


def call(
    arguments: Sequence[object], environ: Mapping[str, str], folder: Path, stdin: bytes = b""
) -> subprocess.CompletedProcess[str]:
    """Run the command line as a new process would, and leave this one as it was.

    Args:
        arguments: What stands after ``nnunet-doctor``.
        environ: All environment variables.
        folder: Working folder.
        stdin: What is piped into it.
    """
    words = [str(argument) for argument in arguments]
    out, error = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="\n") for _ in range(2))
    with (
        _as_new(environ, folder, stdin),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(error),
    ):
        code = _code(words)
    return subprocess.CompletedProcess(words, code, _text(out), _text(error))


def _code(words: Sequence[str]) -> int:
    """Return what the process would end with."""
    try:
        return main(words)
    except SystemExit as end:  # of argparse, after --version
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1


def _text(stream: io.TextIOWrapper) -> str:
    """Return what was written to a stream."""
    stream.flush()
    return stream.detach().getvalue().decode("utf-8")  # type: ignore[attr-defined]


@contextlib.contextmanager
def _as_new(environ: Mapping[str, str], folder: Path, stdin: bytes) -> Iterator[None]:
    """Give this process the environment, folder, input and path of a new one, and take back what it changes of itself."""
    kept, where, path, given = dict(os.environ), Path.cwd(), list(sys.path), sys.stdin
    handler, thresholds, facts = signal.getsignal(signal.SIGTERM), gc.get_threshold(), set(CATALOGUE)
    try:
        _set_environ(environ)
        os.chdir(folder)
        sys.stdin = io.TextIOWrapper(io.BytesIO(stdin), "utf-8")
        sys.path[:0] = [place for place in environ.get("PYTHONPATH", "").split(os.pathsep) if place]
        importlib.invalidate_caches()
        packs._installed.cache_clear()
        yield
    finally:
        for name in CATALOGUE.keys() - facts:
            del CATALOGUE[name]
        packs._installed.cache_clear()
        signal.signal(signal.SIGTERM, handler)
        gc.set_threshold(*thresholds)
        atexit.unregister(gc.freeze)
        sys.stdin, sys.path[:] = given, path
        os.chdir(where)
        _set_environ(kept)


def _set_environ(environ: Mapping[str, str]) -> None:
    """Make the environment this one, and touch nothing that stays."""
    for name in os.environ.keys() - environ.keys():
        del os.environ[name]
    os.environ.update({name: value for name, value in environ.items() if os.environ.get(name) != value})
