"""What would be changed, and what is left to the user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nnunet_doctor.fixers.journal import Content, Status
from nnunet_doctor.fixers.steps import Step


@dataclass(frozen=True)
class Change:
    """One change of one file.

    Attributes:
        id: The check that asks for it.
        subject: The file, relative to the dataset.
        what: Old and new, names and values only.
    """

    id: str
    subject: str
    what: str


@dataclass(frozen=True)
class Left:
    """A finding that is not mended.

    Attributes:
        id: The check.
        subject: The file.
        why: Key of the sentence that says the reason.
        values: What stands in the sentence.
    """

    id: str
    subject: str
    why: str
    values: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Given:
    """New content that is at hand.

    Attributes:
        content: All of it.
        seen: The original as it was when the content was thought of; None for a file that was not there.
    """

    content: bytes
    seen: Status | None = None

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        return len(self.content)

    def write(self, target: Path) -> None:
        """Write all of it."""
        target.write_bytes(self.content)


@dataclass
class Plan:
    """Everything that would be done.

    Attributes:
        changes: For the user.
        left: For the user.
        steps: For the journal, at most one for each file.
        contents: New content of the files that steps replace or write.
        diff: The old and the new dataset.json, in lines of a unified diff.
    """

    changes: list[Change] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    contents: dict[str, Content] = field(default_factory=dict)
    diff: list[str] = field(default_factory=list)

    def change(self, id: str, subject: str, what: str) -> None:
        """Note a change."""
        self.changes.append(Change(id, subject, what))

    def leave(self, id: str, subject: str, why: str, **values: object) -> None:
        """Note what is left to the user."""
        self.left.append(Left(id, subject, why, values))
