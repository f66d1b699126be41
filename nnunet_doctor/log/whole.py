"""From the names of logs to a diagnosis."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO

from nnunet_doctor.check import Check
from nnunet_doctor.errors import UserError
from nnunet_doctor.facts import Facts
from nnunet_doctor.log.course import Course
from nnunet_doctor.log.diagnose import LogDiagnosis, diagnose
from nnunet_doctor.log.facts import from_debug, from_name, laid_over, observed_in
from nnunet_doctor.log.reading import Known, Reader, Reading
from nnunet_doctor.log.source import Source, find_sources, follow, read_debug, read_source, total_epochs
from nnunet_doctor.words import say


def read_logs(sources: Sequence[Source], known: Known, stdin: IO[bytes] | None = None) -> Reading:
    """Read logs of one run, or of one training, one after another.

    Raises:
        UserError: One of them cannot be read.
    """
    reader, debug = reader_for(sources, known)
    for source in sources:
        reader.begin(source.name, is_own=source.is_own, age=source.age)
        for piece in read_source(source, stdin or io.BytesIO()):
            reader.take(piece)
    return aged(reader.reading(total_epochs(debug)), time.time())


def aged(reading: Reading, now: float) -> Reading:
    """Correct the age of a log by the time that its last lines tell: a copy of an old log is old.

    Up to a day, a container may only have another time zone.
    """
    try:
        told = time.mktime(time.strptime(reading.stamp.replace("T", " "), "%Y-%m-%d %H:%M:%S"))
    except (ValueError, OverflowError):
        return reading
    return reading if now - told < A_DAY else replace(reading, age=now - told)


A_DAY = 86400.0
SECONDS_BETWEEN_LOOKS = 1.0


def follow_log(sources: Sequence[Source], known: Known, tell: Callable[[str], None], language: str) -> Reading:
    """Read a log and what is added to it, until the run has ended or the user has seen enough.

    Args:
        sources: Logs; the last one is followed, and those before it are read first.
        known: What is known.
        tell: Called with a sentence about the course whenever an epoch has ended.
        language: Language of the sentences.

    Raises:
        UserError: A log cannot be read, or is no file.
    """
    *before, last = sources
    reader, debug = reader_for(sources, known)
    if last.path is None:
        raise UserError("--follow watches a file; standard input is read to its end anyway")
    for source in before:
        reader.begin(source.name, is_own=source.is_own, age=source.age)
        for piece in read_source(source, io.BytesIO()):
            reader.take(piece)
    total = total_epochs(debug)
    tell(say(language, "diagnose_follow", log=last.name))
    reader.begin(last.name, is_own=last.is_own, age=0.0)
    said = 0
    try:
        for piece in follow(last.path, lambda: time.sleep(SECONDS_BETWEEN_LOOKS)):
            reader.take(piece)
            if piece.lines:
                continue
            course = reader.tracker.course(total)
            if course.finished_epochs != said:
                said = course.finished_epochs
                tell(_sentence(course, language))
            if course.stage == "complete" or reader.has_ended:
                break
    except KeyboardInterrupt:
        tell("")
    return reader.reading(total)


def _sentence(course: Course, language: str) -> str:
    dice = ", ".join(f"{value:.3f}" for value in course.pseudo_dice) or "-"
    losses = [f"{value:.4f}" if value is not None else "-" for value in (course.train_loss, course.val_loss)]
    return say(
        language,
        "diagnose_epoch",
        epochs=course.finished_epochs,
        total=course.total_epochs or "?",
        seconds=f"{course.last_seconds or 0:.1f}",
        train=losses[0],
        val=losses[1],
        dice=dice,
    )


def reader_for(sources: Sequence[Source], known: Known) -> tuple[Reader, dict[str, str]]:
    """Return a reader that knows already what names, folders and debug.json tell, and the latter's content."""
    reader = Reader(known)
    debug = dict(read_debug(sources))
    reader.learner.note(from_debug(debug))
    for source in sources:
        reader.learner.note(from_name(source.name))
    return reader, debug


def diagnose_files(
    paths: Sequence[Path], checks: Sequence[Check], facts: Facts | None = None, code: int | None = None
) -> LogDiagnosis:
    """Say what ended the run that some files, one after another, are the output of.

    Args:
        paths: The files.
        checks: What is known.
        facts: Facts of the machine that it ran on; only what the log tells unless given.
        code: What the run ended with, where that is known; 128 + n for signal n.

    Raises:
        UserError: A file cannot be read.
    """
    sources = find_sources([str(path) for path in paths])
    reader, debug = reader_for(sources, Known(checks))
    for source in sources:
        reader.begin(source.name, age=source.age)
        for piece in read_source(source, io.BytesIO()):
            reader.take(piece)
    if code:
        reader.end_with(code)
    reading = reader.reading(total_epochs(debug))
    return diagnose(reading, laid_over(facts, observed_in(reading.facts)) if facts else None)
