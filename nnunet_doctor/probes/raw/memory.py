"""Memory that is used again and again."""

from __future__ import annotations

import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""glibc's malloc.h"""

KEPT_BYTES = 64 * 1024**2
LARGEST_BYTES = 16 * 1024**2


def keep_memory() -> None:
    """Have the C library keep what is freed.

    glibc gives every piece of a megabyte back to the system and has it zeroed again for the next one, which takes up
    to a third of the time of a survey. Other C libraries are left as they are.
    """
    if sys.platform != "linux":
        return
    import ctypes

    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, LARGEST_BYTES)
        mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
