"""A process that examines files: tasks come as lines of JSON, reports go back in the same order.

It imports as little as it can, since it starts once for each processor and survey.
"""

from __future__ import annotations

import json
import sys
import threading
from queue import SimpleQueue

import msgspec

from nnunet_doctor.probes.raw.examine import examine
from nnunet_doctor.probes.raw.memory import keep_memory
from nnunet_doctor.probes.raw.record import Task

READY = b"ready\n"
"""What it says first: all that it needs could be imported."""


def main() -> None:
    """Answer until the input ends."""
    keep_memory()
    answers = sys.stdout.buffer
    answers.write(READY)
    answers.flush()
    lines: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_read, args=(lines,), daemon=True).start()
    while line := lines.get():
        # the standard library, because a path that is not UTF-8 holds lone surrogates
        for item in json.loads(line):
            answers.write(msgspec.json.encode(examine(Task(*item))) + b"\n")
            answers.flush()


def _read(lines: SimpleQueue[bytes]) -> None:
    """Take lines as they come: whoever sends them must not wait while its own answers wait for it in another pipe."""
    for line in sys.stdin.buffer:
        lines.put(line)
    lines.put(b"")


if __name__ == "__main__":
    main()
