"""Children of the doctor: their output, their deadline, their death, and what they leave running."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import psutil
import pytest
from made_up import gone

from nnunet_doctor import processes
from nnunet_doctor.processes import Ended, death, run

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals")


def python(code, timeout=30.0, **options):
    """Run a piece of Python."""
    return run([sys.executable, "-c", code], timeout, **options)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (0, None),
        (1, None),
        (255, None),
        (3221225477, "Windows error 0xC0000005 (access violation)"),
        (3221225785, "Windows error 0xC0000139"),
    ],
)
def test_death_by_the_exit_status(code, expected):
    """An ordinary exit is no death; the numbers of Windows are told in words where they have some."""
    assert death(code) == expected
    assert Ended(code, "").death == expected


@posix
@pytest.mark.parametrize(
    ("code", "expected"), [(-9, "signal SIGKILL"), (-signal.SIGSEGV, "signal SIGSEGV"), (-200, "signal 200")]
)
def test_death_by_a_signal(code, expected):
    """A signal is named as users know it."""
    assert death(code) == expected


def test_end_with_output():
    """Both streams are kept together, with the exit code."""
    ended = python("import sys; print('out', flush=True); print('error', file=sys.stderr); sys.exit(3)")

    assert (ended.code, ended.output.split(), ended.death) == (3, ["out", "error"], None)


def test_only_the_end_of_the_output_is_kept():
    """Of much output the last bytes are kept, whole to the end."""
    ended = python("import sys; sys.stdout.write('x' * 5_000_000 + 'the end')", keep=1000)

    assert len(ended.output) == 1000
    assert ended.output.endswith("xthe end")


def test_output_that_is_not_text():
    """Bytes that are no UTF-8 are shown as such and are no error."""
    ended = python(r"import os; os.write(1, b'a\xff\x00b\r\n')")

    assert ended.output == "a\ufffd\x00b\r\n"


def test_environment_is_the_given_one(monkeypatch):
    """The child sees the variables that it is given, and without any those of the doctor."""
    monkeypatch.setenv("NNUNET_DOCTOR_TEST", "own")
    code = "import os; print(os.environ.get('NNUNET_DOCTOR_TEST'))"
    given = {name: value for name, value in psutil.Process().environ().items() if name == "SYSTEMROOT"}

    assert python(code).output.strip() == "own"
    assert python(code, env={**given, "NNUNET_DOCTOR_TEST": "given"}).output.strip() == "given"
    assert python(code, env=given).output.strip() == "None"


def test_nothing_is_read_from_the_keyboard():
    """A child that asks for a word gets the end of its input at once."""
    assert "EOFError" in python("input('password: ')").output


def test_deadline():
    """A child that does not end is killed at the deadline, whatever it catches; what it said before is kept."""
    code = """
import signal, time
for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
    if hasattr(signal, name):
        signal.signal(getattr(signal, name), signal.SIG_IGN)
print("before", flush=True)
time.sleep(60)
"""
    begun = time.monotonic()
    ended = python(code, timeout=0.5)

    assert 0.5 <= time.monotonic() - begun < 4
    assert (ended.code, ended.output.strip(), ended.death) == (None, "before", None)


@pytest.mark.parametrize("last", ["time.sleep(60)", "pass"])
@pytest.mark.skipif(sys.platform == "win32", reason="Windows forgets whose child a process was when the parent ends")
def test_children_of_the_child_are_not_left(last):
    """What a child has started ends with it, at the deadline and after an ordinary end."""
    code = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(child.pid, flush=True)
{last}
"""
    begun = time.monotonic()
    ended = python(code, timeout=0.5 if last != "pass" else 30.0)

    assert time.monotonic() - begun < 4
    assert gone(int(ended.output))


@posix
def test_crash():
    """A child that kills itself has died of that signal."""
    ended = python("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")

    assert (ended.code, ended.death) == (-signal.SIGSEGV, "signal SIGSEGV")


def test_program_that_is_not_there(tmp_path):
    """A program that does not exist is an error of the system, for the caller to tell."""
    with pytest.raises(FileNotFoundError):
        run([str(tmp_path / "no such program")], 10.0)


def test_group_that_is_gone_is_no_error():
    """To signal or end what has ended already is fine."""
    child = subprocess.Popen([sys.executable, "-c", ""], **processes.own_group())
    child.wait()

    processes.signal_group(child, signal.SIGTERM)
    processes.end_group(child)

    assert child.returncode == 0
