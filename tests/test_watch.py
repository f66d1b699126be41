"""The line that stays below a training's output in a terminal."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time

import pytest
from made_up import Installation

if sys.platform == "win32":
    pytest.skip("pseudo-terminals are POSIX", allow_module_level=True)
import fcntl
import pty
import struct
import termios

WIDTH = 40


def test_status_line_fits_the_terminal_in_chinese(installation: Installation) -> None:
    """Two columns for each Chinese character are reckoned with: what is drawn never wraps, or it could not be erased."""
    from rich.cells import cell_len

    terminal, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, WIDTH, 0, 0))
    command = [sys.executable, "-m", "nnunet_doctor", "run", "10", "2d", "0", "--lang", "zh"]
    environ = {**installation.environ, "FAKE_SLEEP": "0.3", "PYTHONIOENCODING": "utf-8"}
    doctor = subprocess.Popen(command, cwd=installation.base, env=environ, stdin=inner, stdout=inner, stderr=inner)
    os.close(inner)
    seen, until = b"", time.monotonic() + 30
    while time.monotonic() < until:
        if not select.select([terminal], [], [], 0.2)[0]:
            continue
        try:
            chunk = os.read(terminal, 65536)
        except OSError:  # the other end has closed
            break
        if not chunk:
            break
        seen += chunk
    doctor.wait(10)
    os.close(terminal)
    drawn = [
        line for line in seen.decode("utf-8").replace("\x1b[K", "\n").replace("\r", "\n").split("\n") if "剩余" in line
    ]

    assert drawn
    assert all(cell_len(line) < WIDTH for line in drawn)
