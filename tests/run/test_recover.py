"""What is tried after a failure: once, with less than there was, and never without the user's consent."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from made_up import Installation, write

RUN = ("run", "10", "2d", "0")
BUS_ERROR = (
    "ERROR: Unexpected bus error encountered in worker. This might be caused by insufficient shared memory (shm)."
)


def workers_of(output: str) -> list[str]:
    """Return the number of workers of each start."""
    return re.findall(r"WORKERS (\w+)", output)


@pytest.mark.parametrize(("mine", "starts"), [("2", ["2", "0"]), ("1", ["1", "0"]), ("0", ["0"])])
def test_a_retry_lowers_and_never_raises(installation: Installation, mine: str, starts: list[str]) -> None:
    """A training that dies of too many workers starts again with fewer than mine; with none left it is not tried."""
    cure = "nnUNet_n_proc_DA=0" if mine != "0" else "no variable=at all"
    done = installation.doctor(*RUN, nnUNet_n_proc_DA=mine, FAKE_FAILURE=BUS_ERROR, FAKE_CURE=cure)

    assert workers_of(done.stdout) == starts
    assert done.returncode == (1 if mine == "0" else 0)
    assert "shm-too-small" in done.stdout
    assert "nnUNet_n_proc_DA=2" not in done.stdout + done.stderr
    assert ("nnUNet_n_proc_DA=" in done.stdout) is (mine != "0")


PACK = """
severity = "error"
{when}
[text.en]
title = "Our tape is slow"
why = "w"
[text.zh]
title = "磁带很慢"
why = "w"
[[fix]]
en = "Do it otherwise."
zh = "换一种做法。"
launch.env = {{ {setting} }}
{log}
"""


def a_pack(installation: Installation, id: str = "tape-slow", *, before: bool) -> Path:
    """Return a folder with one check whose fix is a launch setting, and that a start, or only a log, shows."""
    examples = "".join(
        f'[[example]]\nexpect = "{expect}"\nfacts = {{ nnunet.compile_variable{value} }}\n'
        for expect, value in (("fires", ".none = true"), ("silent", ' = "false"'))
    )
    log = '[log]\ncause = ["TapeError"]\n' + "".join(
        f'[[example]]\nexpect = "{expect}"\nlog = "{line}"\n'
        for expect, line in (("cause", "TapeError: 1"), ("nothing", "x"))
    )
    text = PACK.format(
        when='when = "nnunet.compile_variable is None"' if before else "",
        setting='nnUNet_compile = "false"',
        log=examples if before else log,
    )
    write(installation.path("pack", "training", f"{id}.toml"), text)
    return installation.path("pack")


def test_a_packs_setting_is_not_tried_without_consent(installation: Installation) -> None:
    """A check that is not built in may name the cause; its setting is tried only with --trust-packs, which is said."""
    pack = str(a_pack(installation, before=False))
    environ = {"FAKE_FAILURE": "TapeError: it is slow", "FAKE_CURE": "nnUNet_compile=false"}
    alone = installation.doctor(*RUN, "--checks", pack, **environ)
    trusted = installation.doctor(*RUN, "--checks", pack, "--trust-packs", **environ)

    assert (alone.returncode, alone.stdout.count("ARGUMENTS")) == (1, 1)
    assert "tape-slow" in alone.stdout
    assert "'nnunet-doctor run --trust-packs' does this by itself" in " ".join(alone.stdout.split())
    assert (trusted.returncode, trusted.stdout.count("ARGUMENTS")) == (0, 2)


@pytest.mark.parametrize("command", [("check", "10", "-c", "2d", "-f", "0"), RUN])
def test_a_packs_setting_that_would_help_is_offered(installation: Installation, command: tuple[str, ...]) -> None:
    """Where a pack's error blocks and its own setting would mend it, check and run say which option allows that."""
    pack = str(a_pack(installation, before=True))
    alone = installation.doctor(*command, "--checks", pack)
    said = " ".join(alone.stdout.split())
    trusted = installation.doctor(*command, "--checks", pack, "--trust-packs")

    assert alone.returncode == 1
    assert "With --trust-packs, checks that are not built in may choose settings too; that mends: tape-slow" in said
    assert "'nnunet-doctor run --trust-packs' does this by itself" in said
    assert "nnUNet_compile=false asked for by tape-slow" in " ".join(trusted.stdout.split())
    assert "With --trust-packs," not in " ".join(trusted.stdout.split())
