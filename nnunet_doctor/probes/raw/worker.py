"""A process that examines files: tasks come as lines of JSON, reports go back in the same order.

It imports as little as it can, since it starts once for each processor and survey.
"""

from __future__ import annotations

import json
import sys

import msgspec

from nnunet_doctor.probes.raw.examine import examine
from nnunet_doctor.probes.raw.memory import keep_memory
from nnunet_doctor.probes.raw.record import Task


def main() -> None:
    """Answer until the input ends."""
    keep_memory()
    answers = sys.stdout.buffer
    encode = msgspec.json.encode
    for line in sys.stdin.buffer:
        # the standard library, because a path that is not UTF-8 holds lone surrogates
        for item in json.loads(line):
            answers.write(encode(examine(Task(*item))) + b"\n")
            answers.flush()


if __name__ == "__main__":
    main()
