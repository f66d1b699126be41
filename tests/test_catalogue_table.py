"""Every known way to fail has a check, lines of logs lead to the right one, and the printed catalogue is up to date."""

from __future__ import annotations

import io
import re
from contextlib import redirect_stdout
from pathlib import Path

from shared import CHECKS
from together import together

from nnunet_doctor.check import AREAS, Check, LogExample
from nnunet_doctor.cli import main
from nnunet_doctor.log.prefix import strip_prefixes
from nnunet_doctor.log.signatures import says
from nnunet_doctor.report.listing import failure_modes, to_markdown

DOCUMENT = Path(__file__).resolve().parents[1] / "checks" / "CATALOGUE.md"


def test_every_failure_mode_has_a_check() -> None:
    """No way to fail that users have reported is without a check that knows it."""
    covered = {name for check in CHECKS for name in check.covers}

    assert [mode.id for mode in failure_modes() if mode.id not in covered] == []


def test_covers_names_failure_modes_that_there_are() -> None:
    """A misspelt failure mode, or one named twice in a check, is found."""
    known = {mode.id for mode in failure_modes()}

    assert [(check.id, name) for check in CHECKS for name in check.covers if name not in known] == []
    assert [check.id for check in CHECKS if len(set(check.covers)) != len(check.covers)] == []


def test_failure_modes_have_names_in_both_languages() -> None:
    """Ids are unique; English names are ASCII, Chinese ones Chinese, and no name is used twice."""
    modes = failure_modes()

    assert len({mode.id for mode in modes}) == len({mode.en for mode in modes}) == len({mode.zh for mode in modes})
    assert [mode.id for mode in modes if not mode.en.isascii() or mode.en.endswith(".")] == []
    assert [mode.id for mode in modes if not re.search("[\u4e00-\u9fff]", mode.zh)] == []


def test_the_printed_catalogue_is_up_to_date() -> None:
    """checks/CATALOGUE.md is what `nnunet-doctor list --markdown` prints; write it anew after changing a check."""
    printed = io.StringIO()
    with redirect_stdout(printed):
        assert main(["list", "--markdown"]) == 0

    assert DOCUMENT.read_text(encoding="utf-8") == printed.getvalue() == to_markdown(CHECKS)


def test_links_of_the_catalogue_lead_to_files() -> None:
    """Every check is in the table of its area, by a link to its file, and tables have as many cells as their heads."""
    text = DOCUMENT.read_text(encoding="utf-8")
    links = set(re.findall(r"\]\(([^)]+)\)", text))
    rows = [line for line in text.splitlines() if line.startswith("|")]

    assert links == {f"{check.area}/{check.id}.toml" for check in CHECKS}
    assert [link for link in links if not (DOCUMENT.parent / link).is_file()] == []
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {5, 6}
    assert [area for area in AREAS if f"\n## {area}\n" not in text] == []


def test_no_pattern_is_the_cause_of_two_checks() -> None:
    """A line must not be told to have two causes."""
    patterns = [pattern for check in CHECKS for pattern in check.log_cause]

    assert [pattern for pattern in set(patterns) if patterns.count(pattern) > 1] == []


LINES = [(check, example) for check in CHECKS for example in check.log_examples]


@together("check", [check for check in CHECKS if check.log_cause or check.log_consequence], lambda check: check.id)
def test_every_pattern_is_shown_a_line_and_a_near_miss(check: Check) -> None:
    """No pattern is without a line that it finds, and each check says as many near misses as it has patterns."""
    for kind, patterns in (("cause", check.log_cause), ("consequence", check.log_consequence)):
        shown = [line for example in check.log_examples if example.expect == kind for line in example.log.splitlines()]
        unseen = [pattern for pattern in patterns if not any(re.search(pattern, line) for line in shown)]
        # a line that is a cause of this check too counts as that
        unseen = [] if kind == "consequence" and check.log_cause else unseen
        assert unseen == []

    misses = sum(example.expect == "nothing" for example in check.log_examples)
    assert misses >= len(check.log_cause) or misses >= len(check.log_cause) + len(check.log_consequence)


CAUSES = [(check, [re.compile(pattern) for pattern in check.log_cause]) for check in CHECKS if check.log_cause]


def _named(log: str) -> list[Check]:
    """Return the checks that a piece of a log names as cause; those without a pattern in it are not asked."""
    lines = [text for raw in log.splitlines() for text in (raw, strip_prefixes(raw).text)]
    maybe = [check for check, patterns in CAUSES if any(pattern.search(line) for pattern in patterns for line in lines)]
    return [check for check in maybe if says(check, log) == "cause"]


def _follows(other: Check, check: Check, example: LogExample) -> bool:
    """Say whether what names another check is known to this one as its consequence, and so counts for less."""
    if other is check:
        return False
    lines = example.log.splitlines()
    named = [line for line in lines if any(re.search(pattern, line) for pattern in other.log_cause)]
    return all(any(re.search(pattern, line) for pattern in check.log_consequence) for line in named)


@together("check, example", LINES, lambda check, example: f"{check.area}/{check.id}.toml, {example.name!r}")
def test_a_line_leads_to_one_cause(check: Check, example: LogExample) -> None:
    """What is printed when a known problem strikes leads to that problem, and to no other; a symptom is no cause."""
    causes = {other.id for other in _named(example.log) if not _follows(other, check, example)}

    if example.expect == "cause":
        assert causes == {check.id}
    if example.expect == "consequence":
        assert check.id not in causes


HARMLESS = [
    "2026-11-22 05:40:30.753150: Unable to plot network architecture:",
    "2026-11-22 05:40:30.753228: No module named 'hiddenlayer'",
    "2026-11-22 05:40:30.753150: Unable to plot network architecture: nnUNet_compile is enabled!",
    "INFO: You are using the old nnU-Net default plans. We have updated our recommendations.",
    "FutureWarning: `torch.cuda.amp.GradScaler(args...)` is deprecated.",
    "using pin_memory on device 0",
    "Using device: cuda:0",
    "2026-11-22 06:31:52.788261: Pseudo dice [np.float32(nan), np.float32(0.9)]",
    "2026-11-22 06:31:52.788261: Pseudo dice [np.float32(0.0)]",
    "UserWarning: resource_tracker: There appear to be 6 leaked semaphore objects to clean up at shutdown",
    "OSError: [Errno 16] Device or resource busy: '.nfs000000000123'",
    "Warning: Origin mismatch between segmentation and corresponding images.",
    "perform_everything_on_device=True is only supported for cuda devices! Setting this to False",
    "Detected old nnU-Net plans format. Attempting to reconstruct network architecture parameters.",
    "BrokenPipeError: [Errno 32] Broken pipe",
    "nnUNet_preprocessed=/data/nnunet/pre",
]
"""Lines of healthy logs, and lines that users take for failures and that are none."""


@together("line", HARMLESS)
def test_a_harmless_line_has_no_cause(line: str) -> None:
    """Nobody is sent after a line that means nothing."""
    assert _named(line) == []
