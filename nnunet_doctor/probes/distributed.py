"""Facts about training on several GPUs: what launchers leave in the environment, and whether a port is taken."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from nnunet_doctor.probes.base import Context, Notes

_LISTENING = "0A"
"""TCP_LISTEN as /proc/net/tcp writes it."""


def look(context: Context) -> Notes:
    """Note what concerns the start of several processes of one training."""
    notes = Notes()
    port = context.environ.get("MASTER_PORT")
    notes.see("MASTER_PORT", training__master_port=port)
    notes.see("/proc/net/tcp", training__master_port_taken=_is_taken(port, Path("/")))
    notes.see("variables of torchrun and mpirun", training__copies=_copies(context.environ))
    return notes


def _is_taken(port: str | None, root: Path) -> bool | None:
    """Say whether a process listens at a port; read, not tried out, because a trial would take the port itself."""
    if port is None or not port.isdigit() or sys.platform != "linux":
        return None
    return int(port) in _listened(root / "proc/net/tcp") | _listened(root / "proc/net/tcp6")


def _listened(table: Path) -> set[int]:
    """Return the ports of listening sockets; the second column of the table is ADDRESS:PORT, the fourth the state."""
    try:
        lines = table.read_text(encoding="ascii", errors="replace").splitlines()[1:]
    except OSError:
        return set()
    rows = [line.split() for line in lines]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if len(row) > 3 and row[3] == _LISTENING}


def _copies(environ: Mapping[str, str]) -> int | None:
    """Tell torchrun by its id, because others set WORLD_SIZE for a single process too."""
    count = environ.get("OMPI_COMM_WORLD_SIZE")
    if environ.get("TORCHELASTIC_RUN_ID") is not None:
        count = environ.get("WORLD_SIZE")
    return int(count) if count is not None and count.isdigit() else None
