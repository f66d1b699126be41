"""The command ``fix``: show what would be changed, change it, take it back, or let go of the originals."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from nnunet_doctor import catalogue
from nnunet_doctor.check import Check, CheckError
from nnunet_doctor.errors import UserError
from nnunet_doctor.fixers.journal import Journal
from nnunet_doctor.fixers.lock import locked, refuse_others
from nnunet_doctor.fixers.plan import make
from nnunet_doctor.fixers.record import Plan
from nnunet_doctor.fixers.steps import FOLDER, KEPT, MoveOut
from nnunet_doctor.probes.raw.structure import IMAGES, LABELS
from nnunet_doctor.probes.raw.survey import Means, Survey, survey_dataset
from nnunet_doctor.report.text import INDENT, MARKS, MOST_DETAILS, console_for, print_block, print_command
from nnunet_doctor.shell import command_line
from nnunet_doctor.words import say, translated

if TYPE_CHECKING:
    from rich.console import Console

MOST_LETTERS = 400
"""Of a line of dataset.json that is shown; some programs write the whole file into one."""

DEFAULT_SHELL = "powershell" if os.name == "nt" else "posix"


def fix(
    folder: Path,
    *,
    applies: bool = False,
    undoes: bool = False,
    commits: bool = False,
    relabels: bool = False,
    means: Means,
    language: str,
    out: IO[str],
    for_shell: str = DEFAULT_SHELL,
) -> int:
    """Mend a raw dataset.

    Args:
        folder: The dataset.
        applies: Make the changes instead of only showing them.
        undoes: Take back all changes that are not committed.
        commits: Delete the originals that are kept for ``undoes``.
        relabels: Close gaps between label values too, which rewrites label files.
        means: With what to look at the dataset.
        language: en or zh.
        out: Where to print.
        for_shell: Whose quoting the shown commands have: posix, powershell or cmd.

    Returns:
        0 when nothing is left that could be mended, or it was done; 1 when there are changes to make, or errors are
        left after they were made.

    Raises:
        UserError: There is no such dataset, nothing to undo or to commit, another run at work, or the disk refuses;
            the dataset is as it was before.
        KeyboardInterrupt: The user has had enough; likewise.
    """
    dataset = folder.absolute()
    if not any((dataset / name).exists() for name in ("dataset.json", IMAGES, LABELS)):
        raise UserError(f"{folder} is no raw dataset: there is neither dataset.json nor {IMAGES}")
    run = _Run(dataset, means, language, for_shell, console_for(out))
    if not (applies or undoes or commits):
        refuse_others(dataset)
        return run.show(relabels=relabels)
    if not applies and not (dataset / FOLDER).is_dir():
        if undoes:
            raise UserError(f"{folder}: there are no changes that could be undone")
        raise UserError(f"{folder}: there are no changes that could be committed")
    with locked(dataset):
        return run.undo() if undoes else run.commit() if commits else run.apply(relabels=relabels)


@dataclass(frozen=True)
class _Run:
    """One call of the command."""

    dataset: Path
    means: Means
    language: str
    shell: str
    console: Console

    # --- what the user asks for ------------------------------------------------------------------------------------

    def show(self, *, relabels: bool) -> int:
        """Show what would be changed."""
        journal = Journal(self.dataset)
        if journal.is_interrupted:
            self._say("fix_interrupted")
            self._commands("--undo", "--apply")
            return 1
        plan = make(self.dataset, self._survey(), relabels=relabels)
        self._print_plan(plan)
        if plan.changes:
            self._say("fix_next", count=len(plan.steps))
            self._commands("--apply --relabel" if relabels else "--apply")
        if journal.has_originals:
            self._print_kept()
        return 1 if plan.changes else 0

    def apply(self, *, relabels: bool) -> int:
        """Make the changes, look again, and show what has become better."""
        journal = Journal(self.dataset)
        journal.recover()
        before = self._survey()
        plan = make(self.dataset, before, relabels=relabels)
        if plan.steps:
            # before anything is printed: whether it is done must not hang on who reads it
            journal.apply(plan.steps, plan.contents)
        self._print_plan(plan)
        if not plan.steps:
            return 0
        after = self._survey()
        self._say("fix_done", count=len(plan.steps))
        errors = self._compare(before, after)
        if make(self.dataset, after, relabels=relabels).changes:
            self._say("fix_more")
            self._commands("--apply")
        self._say("fix_preprocess_again")
        self._print_kept()
        return 1 if errors else 0

    def undo(self) -> int:
        """Take back what was changed."""
        journal = Journal(self.dataset)
        if journal.committed.exists():
            journal.recover()
            raise UserError(f"{self.dataset}: the changes were committed and cannot be undone")
        lost = journal.undo()
        self._say("fix_undone")
        for path in lost:
            self._say("fix_lost", path=path)
        return 0

    def commit(self) -> int:
        """Delete the originals."""
        journal = Journal(self.dataset)
        if journal.is_interrupted:
            raise UserError(f"{self.dataset}: a fix was interrupted; --undo takes it back, --apply starts over")
        if not journal.has_originals and not journal.committed.exists():
            journal.recover()
            raise UserError(f"{self.dataset}: there are no changes that could be committed")
        gone = [step.path for item in journal.rounds for step in item.steps if isinstance(step, MoveOut)]
        if journal.committed.exists():
            journal.recover()
        else:
            journal.commit()
        self._say("fix_committed")
        if gone:
            self._say("fix_committed_moved")
            self._paths(gone)
        return 0

    # --- looking ---------------------------------------------------------------------------------------------------

    def _survey(self) -> Survey:
        found = survey_dataset(str(self.dataset), "default", self.means)
        if not found.is_complete:
            raise KeyboardInterrupt
        return found

    def _compare(self, before: Survey, after: Survey) -> bool:
        """Print which findings have gone and which errors are left; say whether there are any."""
        for id in dict.fromkeys([*before.found, *after.found]):
            old, new = len(before.found.get(id, [])), len(after.found.get(id, []))
            if old != new:
                print_block(self.console, f"{id}  {old} -> {new}", indent=2)
        self.console.print()
        errors = [id for id, items in after.found.items() if items and _severity(id) == "error"]
        for id in errors:
            self._heading(id, MARKS["error"][0])
            self._paths([path for path, _ in after.found[id]])
        if errors:
            self.console.print()
        return bool(errors)

    # --- printing --------------------------------------------------------------------------------------------------

    def _say(self, key: str, **values: object) -> None:
        print_block(self.console, say(self.language, key, **values), indent=0)

    def _commands(self, *options: str) -> None:
        for option in options:
            line = command_line(self.shell, ["nnunet-doctor", "fix", str(self.dataset), *option.split()])
            print_command(self.console, line, indent=2)

    def _print_plan(self, plan: Plan) -> None:
        for id in dict.fromkeys(change.id for change in plan.changes):
            self._heading(id)
            for change in plan.changes:
                if change.id == id:
                    print_block(self.console, f"{change.subject}  {translated(self.language, change.what)}")
            self.console.print()
        if plan.diff:
            self._print_diff(plan.diff)
        if plan.left:
            self._print_left(plan)
        if not plan.changes:
            self._say("fix_nothing")

    def _print_diff(self, lines: Iterable[str]) -> None:
        from rich.text import Text

        styles = {"+": "green", "-": "red", "@": "cyan"}
        for line in lines:
            shown = line if len(line) <= MOST_LETTERS else f"{line[:MOST_LETTERS]}..."
            self.console.print(Text(" " * INDENT + shown, style=styles.get(line[:1], "")), soft_wrap=True)
        self.console.print()

    def _print_left(self, plan: Plan) -> None:
        """Print the reasons, each once for all files that it stands for."""
        print_block(self.console, say(self.language, "fix_left"), indent=0, style="bold")
        for id in dict.fromkeys(left.id for left in plan.left):
            self._heading(id)
            reasons: dict[str, list[str]] = {}
            for left in plan.left:
                if left.id == id:
                    words = {name: translated(self.language, str(value)) for name, value in left.values.items()}
                    reasons.setdefault(say(self.language, left.why, **words), []).append(left.subject)
            for reason, paths in reasons.items():
                print_block(self.console, reason, indent=INDENT - 2)
                self._paths(paths)
        self.console.print()

    def _heading(self, id: str, mark: str = "") -> None:
        check = _check(id)
        title = check.text[self.language].title if check else id
        print_block(self.console, f"{mark}  {title}  [{id}]".strip(), indent=2, style="bold")

    def _paths(self, paths: list[str]) -> None:
        for path in paths[:MOST_DETAILS]:
            print_block(self.console, path)
        if len(paths) > MOST_DETAILS:
            print_block(self.console, say(self.language, "also", count=len(paths) - MOST_DETAILS))

    def _print_kept(self) -> None:
        self._say("fix_kept", folder=KEPT)
        self._commands("--undo", "--commit")


def _check(id: str) -> Check | None:
    try:
        return catalogue.read_file(
            catalogue.built_in_folder() / "dataset" / f"{id}.toml", "dataset", "built in", with_examples=False
        )
    except CheckError:
        return None


def _severity(id: str) -> str:
    check = _check(id)
    return check.severity if check else "error"
