"""What schedulers, containers, launchers and people put in front of the lines of a log."""

from __future__ import annotations

import re
from typing import NamedTuple


class Stripped(NamedTuple):
    """A line without what others put in front of it.

    Attributes:
        text: The line as the program printed it.
        stream: The process that printed it, as far as the line tells; lines of one process belong together.
        stamped: Whether a time stamp stood in front, as nnU-Net and loggers write it, and Python's own errors do not.
    """

    text: str
    stream: str
    stamped: bool


_MOST = 5
"""Prefixes that may stand in front of one another, as in a labelled srun inside of a container."""

_NAMED = (
    # docker compose, one service beside others
    re.compile(r"(?P<stream>[A-Za-z][\w.-]{0,60}[-_]\d{1,3}) {1,30}\| ?"),
    # srun --label
    re.compile(r" {0,5}(?P<stream>\d{1,5}): "),
    # torchrun with --tee or --log-dir, torch.distributed since 2.3
    re.compile(r"\[(?P<stream>(?:default|rank|trainer|worker)\d{1,5})\]:? ?"),
    # mpirun --tag-output
    re.compile(r"\[\d{1,5},(?P<stream>\d{1,5})\]<std(?:out|err|diag)>: ?"),
    # Ray and others
    re.compile(r"\((?P<stream>[\w. ]{0,60}\bpid=\d{1,9}(?:, ip=[\d.]{1,15})?)\) ?"),
)
_STAMPS = (
    # Kubernetes (CRI), as its files on a node hold it
    re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.?\d{0,9}(?:Z|[+-]\d\d:\d\d) std(?:out|err) [FP] ?"),
    # nnU-Net: an empty line has a stamp too
    re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d{1,6})?: ?"),
    # loggers, docker logs -t, kubectl logs --timestamps, GitHub Actions
    re.compile(
        r"\[?\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?\]?:?(?:[ \t]{1,4}|$)"
        r"(?:- [\w.]{1,80} (?=- (?:DEBUG|INFO|WARNING|ERROR|CRITICAL) ))?"
        r"(?:-? ?\[?(?:DEBUG|INFO|WARNING|ERROR|CRITICAL)\]?(?: -| \||:)? |- {1,4}\[[\w.-]{1,40}\] "
        r"|\| (?:TRACE|DEBUG|INFO|SUCCESS|WARNING|ERROR|CRITICAL) {1,4}\| [\w.<>]{1,80}:[\w<>]{1,80}:\d{1,6} - )?"
    ),
    re.compile(r"\[?\d\d:\d\d:\d\d(?:[.,]\d{1,6})?\]? "),
    # the loggers of torch and of Google's libraries
    re.compile(r"[IWEFV]\d{4} \d\d:\d\d:\d\d\.\d{1,9} {1,4}\d{1,9} [^\s\]]{1,120}:\d{1,6}\] (?:\[[\d/_]{1,12}\] )?"),
    # journald and syslog, and the kernel's ring buffer
    re.compile(r"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d [\w.-]{1,64} [\w.@/-]{1,64}(?:\[\d{1,9}\])?: "),
    re.compile(r"\[ {0,8}\d{1,9}\.\d{1,9}\] "),
    # the log of a notebook on Kaggle: seconds, number of the line
    re.compile(r"\d{1,7}\.\d{1,3}s\t\d{1,7}\t"),
)
_OTHERS = (
    # quoted in a mail or an issue; two '>' with a third are Python's prompt
    re.compile(r"(?:> )+(?!>)|>(?=Traceback|  File|\w+Error)"),
    # logging without a format of its own
    re.compile(r"(?:DEBUG|INFO|WARNING|ERROR|CRITICAL):[\w.]{1,80}:(?! )"),
    # a progress bar that no line end follows
    re.compile(r"[^|]{0,200}\d{1,3}%\|[^|]{0,200}\|[^\]]{0,200}\](?=\s{0,4}\S)"),
    # cat -n and editors
    re.compile(r" {0,6}\d{1,7}\t"),
)
_ANY = re.compile("|".join(re.sub(r"\?P<\w+>", "?:", each.pattern) for each in (*_STAMPS, *_NAMED, *_OTHERS)))
"""Most lines have no prefix, which this says at once."""


def strip_prefixes(line: str) -> Stripped:
    """Take away what stands in front of a line, and keep what it tells of the process and of time."""
    stream, stamped = "", False
    for _ in range(_MOST):
        if not _ANY.match(line):
            break
        for expression in _STAMPS:
            if found := expression.match(line):
                line, stamped = line[found.end() :], True
                break
        else:
            found = next((match for each in _NAMED if (match := each.match(line))), None)
            if found is not None:
                stream = f"{stream}/{found['stream']}" if stream else found["stream"]
            else:
                found = next((match for each in _OTHERS if (match := each.match(line))), None)
            if found is None:
                break
            line = line[found.end() :]
    return Stripped(line, stream, stamped)
