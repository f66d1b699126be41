"""How far a survey is, on standard error: one line that renews itself in a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from nnunet_doctor.probes.raw.survey import Progress

QUIET_SECONDS = 0.7
"""A survey that takes less has ended before anyone has read a line."""

TERMINAL_SECONDS, PIPED_SECONDS = 0.2, 15.0


class SurveyProgress:
    """Shows the progress of a survey."""

    def __init__(self, stream: IO[str], language: Callable[[], str]) -> None:
        """Show it on a stream, in a language that is asked for when there is something to show."""
        self.stream, self.language = stream, language
        self.is_terminal = stream.isatty()
        self.due = time.monotonic() + QUIET_SECONDS
        self.width = 0

    def __call__(self, progress: Progress) -> None:
        """Show where the survey is, if it is time again."""
        now = time.monotonic()
        if now < self.due or progress.seconds < QUIET_SECONDS:  # too soon to tell what is left
            return
        from nnunet_doctor.words import duration, say

        self.due = now + (TERMINAL_SECONDS if self.is_terminal else PIPED_SECONDS)
        left = progress.seconds * (1 - progress.share) / max(progress.share, 1e-6)
        line = say(
            self.language(),
            "survey_progress",
            done=progress.done,
            files=progress.files,
            rate=round(progress.bytes / 1e6 / max(progress.seconds, 1e-3)),
            left=duration(left, self.language()),
        )
        if self.is_terminal:
            self.stream.write("\r" + line + " " * (self.width - len(line)))
            self.width = len(line)
        else:
            self.stream.write(line + "\n")
        self.stream.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self.width:
            self.stream.write("\r" + " " * 2 * self.width + "\r")
            self.stream.flush()
            self.width = 0
