"""What ``explain`` tells of a check in each language."""

from __future__ import annotations

from shared import CHECKS
from together import together

from nnunet_doctor.check import Check, read_check
from nnunet_doctor.explanation import explanation

MADE_UP = """
severity = "error"
when = "triton.fits == False and training.device == 'cuda'"
[text.en]
title = "t"
why = "w"
false_alarms = "Another Triton may do."
[text.zh]
title = "t"
why = "w"
false_alarms = "别的 Triton 可能够用。"
[log]
cause = ["No module named 'triton'", "import triton$"]
within = ["train_step"]
[[example]]
name = "a wheel without Triton"
expect = "fires"
facts = { platform.os = "linux", triton.fits = false, training.device = "cuda" }
[[example]]
name = "nothing is compiled"
expect = "silent"
facts = { triton.fits.none = true, training.device = "none" }
[[example]]
name = "nobody looked"
expect = "unknown"
facts = { triton.fits.unknown = "timeout", training.device = "" }
[[example]]
name = "nothing is given"
expect = "unknown"
[[example]]
name = "one line"
expect = "nothing"
log = "ModuleNotFoundError: No module named 'tritonclient'"
[[example]]
name = "a training"
expect = "cause"
log = '''
Traceback (most recent call last):
  File "/env/nnunetv2/training/nnUNetTrainer.py", line 1, in train_step
    run()
  File "/env/torch/compile.py", line 2, in run
    import triton
No module named 'triton''''
[[example]]
name = "another program"
expect = "nothing"
log = '''
  File "C:\\env\\other\\program.py", line 1, in run
    import other
No module named 'tritonclient''''
"""


def told(check: Check, language: str, kind: str) -> list[str]:
    return [part.text for part in explanation(check, language) if part.kind == kind]


def test_english_tells_examples_by_their_names() -> None:
    """Names are English sentences; those of facts are shown."""
    check = read_check("made-up", "triton", MADE_UP, "made-up.toml")

    assert told(check, "en", "example") == [
        "fires    a wheel without Triton",
        "silent   nothing is compiled",
        "unknown  nobody looked",
        "unknown  nothing is given",
    ]


def test_chinese_tells_examples_by_what_decides() -> None:
    """Facts that the check asks are shown as they are given, and lines of a log as far as they tell something."""
    check = read_check("made-up", "triton", MADE_UP, "made-up.toml")

    assert told(check, "zh", "example") == [
        "fires    triton.fits = false, training.device = cuda",
        'silent   triton.fits = none, training.device = "none"',
        'unknown  triton.fits = ?, training.device = ""',
        "unknown  triton.fits = ?, training.device = ?",
        "nothing  ModuleNotFoundError: No module named 'tritonclient'",
        "cause    File \"…/training/nnUNetTrainer.py\", line 1, in train_step … import triton … No module named 'triton'",
        "nothing  File \"…/other\\program.py\", line 1, in run … No module named 'tritonclient'",
    ]


def test_false_alarms_are_told_in_the_language_asked_for() -> None:
    """The note is in English in the one and in Chinese in the other."""
    check = read_check("made-up", "triton", MADE_UP, "made-up.toml")

    assert told(check, "en", "note") == ["false alarms: Another Triton may do."]
    assert told(check, "zh", "note") == ["可能的误报：别的 Triton 可能够用。"]


@together("check", CHECKS, lambda check: check.id)
def test_examples_that_expect_different_things_look_different(check: Check) -> None:
    """What is shown, cut as it is, is enough to see why one fires and the other does not; a screen's two lines do."""
    shown = [text.split(maxsplit=1) for text in told(check, "zh", "example")]

    assert len({words for _, words in shown}) == len({(expect, words) for expect, words in shown})
    assert [words for _, words in shown if len(words) > 190] == []
