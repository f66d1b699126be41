"""What pre-commit runs: a check of the datasets of a repository where a commit changes one.

pre-commit names the files of a commit, but never those that it deletes: with ``files`` alone, a commit that takes a
label away runs no hook. So the hook runs with every commit, and asks git what is changed.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from nnunet_doctor import arguments, processes
from nnunet_doctor.cli import main as doctor  # noqa: TID251 - another way in, as __main__ is
from nnunet_doctor.errors import UserError

CHECK = ("check", "--select", "dataset")
DEEPEST = 3
"""Folders below one another that a dataset of a repository is looked for in."""
MOST_BYTES = 16 * 1024**2
"""So much of the names of what is changed is looked at."""

_SECONDS = 20.0
_NAME = re.compile(r"Dataset\d{3}_")
_OF_A_DATASET = re.compile(
    r"(^|/)(Dataset\d{3}_[^/]*(/.*)?|dataset\.json|(images|labels)T[rs](/.*)?|nnunet-doctor\.toml)$", re.DOTALL
)


def main(words: Sequence[str]) -> int:
    """Check what a commit changes, and return the exit code of ``nnunet-doctor check``; 0 where it changes no dataset.

    Args:
        words: Options of ``check``, and the dataset; all of the repository are checked where none is named.
    """
    changed = _changed()
    if changed is not None and not any(map(_OF_A_DATASET.search, changed)):
        return 0
    try:
        named = arguments.command_line().parse_args([*CHECK, *words]).dataset
    except (UserError, arguments.HelpAsked):  # is said again, in the language of the user
        return doctor([*CHECK, *words])
    folders = [str(folder) for folder in _datasets(Path())]
    if named is None:
        return max((doctor([*CHECK, *words, f"./{folder}"]) for folder in folders), default=0)
    # a commit may take the whole dataset away, and a branch may have none; a name that is misspelt is told
    parts = ("dataset.json", "imagesTr", "labelsTr")
    is_gone = re.search(r"[\\/]", named) is not None and not any(Path(named, part).exists() for part in parts)
    return 0 if is_gone and not folders else doctor([*CHECK, *words])


def _changed() -> list[str] | None:
    """Return the paths that a commit changes, deleted ones included; None to check without a question.

    Nothing is staged in ``pre-commit run --all-files``; before a push, two commits are compared.
    """
    ends = [os.environ.get(f"PRE_COMMIT_{end}_REF", "") for end in ("FROM", "TO")]
    between = ["...".join(ends)] if all(ends) else ["--cached"]
    asked = ["git", "diff", "--name-only", "--no-renames", "--no-ext-diff", "-z", *between, "--"]
    try:
        answer = processes.run(asked, _SECONDS, keep=MOST_BYTES)
    except OSError:
        return None
    found = [path for path in answer.output.split("\0") if path]
    return found if answer.code == 0 and found else None


def _datasets(folder: Path, depth: int = 1) -> Iterator[Path]:
    """Yield the raw datasets in a folder, in the order of their names; preprocessed ones have other folders."""
    try:
        below = sorted(path for path in folder.iterdir() if not path.name.startswith(".") and path.is_dir())
    except OSError:
        return
    for path in below:
        if _NAME.match(path.name):
            if any((path / name).is_dir() for name in ("imagesTr", "labelsTr")):
                yield path
        elif depth < DEEPEST:
            yield from _datasets(path, depth + 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
