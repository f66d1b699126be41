"""Facts files of others: read from wherever they come, and without what this doctor does not know yet."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from in_process import call
from made_up import clean_environ, write

MACHINE = Path(__file__).with_name("machines") / "windows-cpu-nnunet242.json"
ASKED = ("check", "--format", "json", "--lang", "en", "--facts")


def doctor(folder: Path, *arguments: str, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Run the command line in a folder."""
    return call(arguments, clean_environ(), folder, stdin)


def findings(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the ids of the findings of a report."""
    return [finding["id"] for finding in json.loads(done.stdout)["findings"]]


def with_facts(added: dict[str, object], **document: object) -> str:
    """Return the recorded machine with other facts, and other keys of the document."""
    recorded = json.loads(MACHINE.read_text(encoding="utf-8"))
    return json.dumps({**recorded, **document, "facts": {**recorded["facts"], **added}})


def test_facts_are_read_from_standard_input(tmp_path: Path) -> None:
    """`nnunet-doctor facts | ssh ... check --facts -` needs no file."""
    expected = doctor(tmp_path, *ASKED, str(MACHINE))
    done = doctor(tmp_path, *ASKED, "-", stdin=MACHINE.read_bytes())

    assert findings(expected)
    assert (done.returncode, done.stdout) == (expected.returncode, expected.stdout)


def test_what_is_wrong_with_standard_input_is_told(tmp_path: Path) -> None:
    """A sentence says where the garbage came from."""
    done = doctor(tmp_path, *ASKED, "-", stdin=b"\n{")
    chinese = doctor(tmp_path, "check", "--lang", "zh", "--facts", "-", stdin=b"\n{")

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("nnunet-doctor: standard input is not JSON: line 2, column 2")
    assert "标准输入" in chinese.stderr


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes with a name are of POSIX")
def test_facts_are_read_from_a_pipe(tmp_path: Path) -> None:
    """What a shell makes of <(...) is read like a file."""
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(MACHINE.read_bytes(),), daemon=True)
    writer.start()
    done = doctor(tmp_path, *ASKED, "pipe")
    writer.join(timeout=10)

    assert findings(done) == findings(doctor(tmp_path, *ASKED, str(MACHINE)))


@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="no such device")
def test_facts_are_read_from_the_device_of_standard_input(tmp_path: Path) -> None:
    """A shell's /dev/stdin is a pipe like others."""
    done = subprocess.run(
        [sys.executable, "-m", "nnunet_doctor", *ASKED, "/dev/stdin"],
        input=MACHINE.read_text(encoding="utf-8"),
        env=clean_environ(),
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )

    assert findings(done) == findings(doctor(tmp_path, *ASKED, str(MACHINE))), done.stderr


def test_endless_facts_are_not_read(tmp_path: Path) -> None:
    """Nobody can fill the memory through standard input."""
    done = doctor(tmp_path, *ASKED, "-", stdin=b" " * (20 * 1024**2 + 1))

    assert (done.returncode, done.stdout) == (2, "")
    assert "standard input has more than 20 MB" in done.stderr


@pytest.mark.parametrize(("added", "theirs"), [(1, None), (5, "99.1")])
def test_facts_of_a_newer_doctor_are_read_without_what_is_new(tmp_path: Path, added: int, theirs: str | None) -> None:
    """The report is that of the facts which are known here, and one note on stderr says what is left out."""
    new = {f"gpu.colour_{number}": {"rgb": number} for number in range(added)}
    document = {} if theirs is None else {"doctor": theirs}
    write(tmp_path / "machine.json", with_facts(new, **document))
    done = doctor(tmp_path, *ASKED, "machine.json")
    expected = doctor(tmp_path, *ASKED, str(MACHINE))

    assert (done.returncode, done.stdout) == (expected.returncode, expected.stdout)
    assert (len(done.stderr.splitlines()), expected.stderr) == (1, "")
    assert f"does not know {added} of the facts in machine.json" in done.stderr
    assert "gpu.colour_0" in done.stderr
    assert (theirs is not None) is ("nnunet-doctor 99.1 wrote it" in done.stderr)


def test_the_note_is_told_in_chinese_and_by_diff(tmp_path: Path) -> None:
    """Every command that reads a facts file says so, in the language of the user."""
    write(tmp_path / "machine.json", with_facts({"gpu.colour": "red"}, doctor="99.1"))
    done = doctor(tmp_path, "diff", "machine.json", str(MACHINE), "--lang", "zh")

    assert "machine.json 中有 1 个事实" in done.stderr
    assert "99.1" in done.stderr


def test_a_hostile_name_does_not_reach_the_terminal(tmp_path: Path) -> None:
    """Names that could steer a terminal, or fill it, are counted and not shown."""
    write(tmp_path / "machine.json", with_facts({"\x1b[2J.x": 1, "gpu." + "x" * 10**5: 1}, doctor="9\x1b[2J"))
    done = doctor(tmp_path, *ASKED, "machine.json")

    assert "does not know 2 of the facts" in done.stderr
    assert "\x1b" not in done.stderr
    assert len(done.stderr) < 300


def test_a_slip_of_the_pen_is_refused(tmp_path: Path) -> None:
    """A name that is nearly that of a fact which the file lacks was written by hand: it would be lost unseen."""
    recorded = json.loads(MACHINE.read_text(encoding="utf-8"))
    recorded["facts"]["platform.oss"] = recorded["facts"].pop("platform.os")
    write(tmp_path / "machine.json", json.dumps(recorded))
    done = doctor(tmp_path, *ASKED, "machine.json")

    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no fact 'platform.oss'; did you mean 'platform.os'?" in done.stderr


def test_a_wrong_type_is_refused_beside_what_is_new(tmp_path: Path) -> None:
    """Facts that are known here hold what they are declared to hold, whoever wrote the file."""
    write(tmp_path / "machine.json", with_facts({"gpu.colour": 1, "resources.cpus": "many"}, doctor="99.1"))
    done = doctor(tmp_path, *ASKED, "machine.json")

    assert (done.returncode, done.stdout) == (2, "")
    assert "is whole number, not 'many'" in done.stderr
