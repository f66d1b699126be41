"""The start of nnU-Net: its exit code, its output, its workers and the signals that it gets."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import psutil
import pytest
from made_up import gone

from nnunet_doctor import launch
from nnunet_doctor.facts import Facts
from nnunet_doctor.launch import Ended, lines_of, nnunet_command, start

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals and no process groups to end")
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a device that is always full")


@pytest.fixture
def train(tmp_path):
    """Return a starter of made-up trainings, with the log, what was taken and how it ended."""

    class Training:
        log = tmp_path / "results" / "fold_0" / "training.log"
        taken = bytearray()

        def __call__(self, code, take=None, log=None, environ=os.environ):
            self.taken = bytearray()
            command = [sys.executable, "-c", textwrap.dedent(code)]
            return start(command, environ, log or self.log, take or self.taken.extend)

    return Training()


# --- the command ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("/env/bin/nnUNetv2_train", "/env/bin/nnUNetv2_plan_and_preprocess"),
        (r"C:\env\Scripts\nnUNetv2_train.exe", r"C:\env\Scripts\nnUNetv2_plan_and_preprocess.exe"),
        ("/nnUNetv2_train/bin/nnUNetv2_train", "/nnUNetv2_train/bin/nnUNetv2_plan_and_preprocess"),
    ],
)
def test_command_beside_the_interpreter(script, expected):
    """The commands of nnU-Net are taken from the folder where the examined environment has them."""
    facts = Facts().with_values({"nnunet.script": script, "python.executable": "/env/bin/python"})

    before = [] if script.endswith(".exe") else ["/env/bin/python"]

    assert nnunet_command(facts, "nnUNetv2_train", ["10", "2d", "0"]) == [*before, script, "10", "2d", "0"]
    assert nnunet_command(facts, "nnUNetv2_plan_and_preprocess", []) == [*before, expected]


@pytest.mark.parametrize("script", sorted(launch.ENTRY_POINTS))
def test_command_without_a_script(tmp_path, script):
    """Without a script the entry point is called by the interpreter, with the same arguments."""
    module, function = launch.ENTRY_POINTS[script].split(":")
    path = tmp_path.joinpath(*module.split(".")).with_suffix(".py")
    path.parent.mkdir(parents=True)
    for package in [path.parent, *path.parent.parents][: module.count(".")]:
        (package / "__init__.py").write_text(
            "", encoding="utf-8"
        )  # a folder without it loses against an installed nnU-Net
    path.write_text(f"import sys\ndef {function}(): print(sys.argv[1:])\n", encoding="utf-8")
    facts = Facts().with_values({"nnunet.script": None, "python.executable": sys.executable})

    command = nnunet_command(facts, script, ["10", "--c"])
    printed = subprocess.check_output(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, encoding="utf-8"
    )

    assert printed.strip() == "['10', '--c']"


# --- its end -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 1, 3, 77])
def test_exit_code_passes_through(train, code):
    """The exit code is nnU-Net's own."""
    ended = train(f"import sys; sys.exit({code})")

    assert (ended.code, ended.signal_name) == (code, None)
    assert 0 < ended.seconds < 30


@posix
@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV", "SIGTERM"])
def test_death_by_a_signal(train, name):
    """A training that a signal has killed gives 128 and the number, as in a shell; SIGKILL is what the kernel sends."""
    ended = train(f"import os, signal; os.kill(os.getpid(), signal.{name})")

    assert (ended.code, ended.signal_name) == (128 + getattr(signal, name), name)


def test_exit_codes_that_are_no_signal():
    """A code over 128 that no signal has is an ordinary one."""
    assert [Ended(code, 1.0).signal_name for code in (0, 1, 128, 255)] == [None, None, None, None]


def test_program_that_is_not_there(tmp_path):
    """A command that cannot be started is an error of the system, for the caller to tell."""
    with pytest.raises(FileNotFoundError):
        start([str(tmp_path / "nnUNetv2_train")], os.environ, tmp_path / "log")


def test_log_that_cannot_be_written(tmp_path):
    """A log that cannot be made is told before anything starts."""
    (tmp_path / "file").touch()
    mark = tmp_path / "started"

    with pytest.raises(OSError, match="file"):
        start([sys.executable, "-c", f"open({str(mark)!r}, 'w')"], os.environ, tmp_path / "file" / "log")
    assert not mark.exists()


# --- its output ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "output",
    [
        pytest.param(b"Epoch 0\nEpoch 1\n", id="lines"),
        pytest.param(b" 10%|#   |\r 20%|##  |\r100%|####|\r\n", id="progress bars"),
        pytest.param(b"no end of the line", id="no final newline"),
        pytest.param(b"\xff\xfe\x00\x80 \xe8\x82", id="no UTF-8"),
        pytest.param(bytes(range(256)) * 4, id="every byte"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_output_is_unchanged(train, output):
    """Every byte of the output reaches the log and the screen as it was written."""
    train(f"import os; os.write(1, {output!r})")

    assert train.log.read_bytes() == output
    assert train.taken == output


def test_much_output_is_unchanged(train):
    """Tens of megabytes on both streams arrive in full."""
    train("import os\nfor _ in range(320): os.write(1, b'o' * 65536); os.write(2, b'e' * 65536)")

    assert train.log.read_bytes() == bytes(train.taken)
    assert (train.taken.count(b"o"), train.taken.count(b"e")) == (320 * 65536, 320 * 65536)


def test_output_is_seen_when_it_happens(train):
    """A line is handed over while the training goes on, although nnU-Net does not flush it."""
    seen = []
    train("import time; print('Epoch 0'); time.sleep(0.5)", take=lambda _piece: seen.append(time.monotonic()))

    assert time.monotonic() - seen[0] > 0.3


def test_environment_is_the_given_one(train):
    """The training sees the variables of the plan."""
    train("import os; print(os.environ['nnUNet_compile'])", environ={**os.environ, "nnUNet_compile": "false"})

    assert train.taken.split() == [b"false"]


LONG = "import os\nfor _ in range(40): os.write(1, b'Epoch' * 5000)\nopen({mark!r}, 'w')"
"""A training that writes more than a pipe holds, and would stand still if nobody read it."""


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), ValueError("I/O operation on closed file")])
def test_screen_that_is_closed_stops_no_training(train, tmp_path, error):
    """When the screen is gone, as after '| head', the training goes on and its output is in the log."""
    mark = tmp_path / "finished"

    def take(_piece):
        raise error

    ended = train(LONG.format(mark=str(mark)), take=take)

    assert (ended.code, mark.exists()) == (0, True)
    assert train.log.read_bytes() == b"Epoch" * 200_000


@linux
def test_full_disk_stops_no_training(train, tmp_path):
    """When the log cannot grow, because the disk is full, the training goes on and its output is on the screen."""
    mark, full = tmp_path / "finished", tmp_path / "log"
    full.symlink_to("/dev/full")

    ended = train(LONG.format(mark=str(mark)), log=full)

    assert (ended.code, mark.exists()) == (0, True)
    assert train.taken == b"Epoch" * 200_000


def test_lines_of_pieces():
    """Pieces are put together to lines; a carriage return ends a line, and a character may be cut in two."""
    lines = []
    take = lines_of(lines.append)

    for piece in (b"Epo", b"ch 0\nEpoch", b" 1\r", b"50%\r\xe8\x82", b"\xbf\n", b"\xff\n", b"no end"):
        take(piece)

    assert [line for line in lines if line] == ["Epoch 0", "Epoch 1", "50%", "肿", "\ufffd"]


def test_line_without_end_takes_no_memory():
    """Of a line that never ends only the last part is kept."""
    lines = []
    take = lines_of(lines.append)

    for _ in range(100):
        take(b"x" * 65536)
    take(b"y\n")

    assert len(lines) == 1
    assert len(lines[0]) <= 2 * 65536
    assert lines[0].endswith("xy")


# --- its workers ---------------------------------------------------------------------------------------------------

WORKER = "import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).pid)"


@posix
@pytest.mark.parametrize("end", ["", "; sys.exit(1)", "; import os; os.kill(os.getpid(), 9)"])
def test_worker_that_outlives_the_training_is_ended(train, monkeypatch, end):
    """A worker that the training leaves behind, with its output open, is ended and does not hold the doctor."""
    monkeypatch.setattr(launch, "SECONDS_FOR_LAST_WORDS", 0.1)

    begun = time.monotonic()
    train(f"{WORKER}; sys.stdout.flush(){end}")

    assert time.monotonic() - begun < 5
    assert gone(int(train.taken))


@posix
def test_worker_in_a_session_of_its_own_does_not_hold_the_doctor(train, monkeypatch, capfd):
    """A daemon that the training leaves behind is out of reach; it is not waited for, and its words do no harm."""
    monkeypatch.setattr(launch, "SECONDS_FOR_LAST_WORDS", 0.2)
    talker = "import time, os; time.sleep(0.5); os.write(1, b'late'); time.sleep(60)"
    options = "start_new_session=True"
    code = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {talker!r}], {options}).pid)"

    begun = time.monotonic()
    ended = train(code)
    seconds = time.monotonic() - begun
    log = train.log.read_bytes()
    time.sleep(0.5)
    psutil.Process(int(log)).kill()

    assert (ended.code, seconds < 5) == (0, True)
    assert train.log.read_bytes() == log
    assert "Traceback" not in capfd.readouterr().err


# --- signals -------------------------------------------------------------------------------------------------------

DOCTOR = """
    import os, sys
    from pathlib import Path
    from nnunet_doctor.launch import start
    ended = start(
        [sys.executable, "-c", sys.argv[1]], os.environ, Path(sys.argv[2]),
        on_interrupt=lambda: print("passed on", flush=True),
    )
    print(ended.code)
"""

TRAINING = """
import os, signal, subprocess, sys, time
{prepare}
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(os.getpid(), worker.pid, flush=True)
time.sleep(60)
"""

STUBBORN = "signal.signal(signal.SIGINT, signal.SIG_IGN)"
TIDY = "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))"


@posix
@pytest.mark.parametrize(
    ("prepare", "signals", "expected"),
    [
        pytest.param("", ["SIGINT"], ["passed on", "130"], id="Ctrl-C"),
        pytest.param("", ["SIGTERM"], ["143"], id="SIGTERM"),
        pytest.param("", ["SIGHUP"], ["129"], id="terminal closed"),
        pytest.param(TIDY, ["SIGTERM"], ["5"], id="training that tidies up"),
        pytest.param(STUBBORN, ["SIGINT", "SIGINT"], ["passed on", "137"], id="Ctrl-C twice"),
    ],
)
def test_signals_are_passed_on(tmp_path, prepare, signals, expected):
    """Signals reach the training and its workers; the doctor waits for the end and gives the exit code."""
    log = tmp_path / "log"
    doctor = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(DOCTOR), TRAINING.format(prepare=prepare), str(log)],
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    while not (log.exists() and log.read_text(encoding="utf-8").endswith("\n")):
        assert doctor.poll() is None
        time.sleep(0.02)
    training, worker = map(int, log.read_text(encoding="utf-8").split()[:2])
    for name in signals[:-1]:
        doctor.send_signal(getattr(signal, name))
        time.sleep(0.2)
    doctor.send_signal(getattr(signal, signals[-1]))
    printed, _ = doctor.communicate(timeout=15)

    assert printed.split("\n")[:-1] == expected
    assert gone(training)
    assert gone(worker)


@posix
def test_hangup_that_is_ignored_stays_ignored(tmp_path):
    """Under nohup a training survives its terminal."""
    log = tmp_path / "log"
    code = "import os, signal; os.kill(os.getppid(), signal.SIGHUP); import time; time.sleep(0.3); print('finished')"
    script = "import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + textwrap.dedent(DOCTOR)

    printed = subprocess.check_output([sys.executable, "-c", script, code, str(log)], encoding="utf-8")

    assert printed.strip() == "0"
    assert log.read_text(encoding="utf-8").strip() == "finished"


@posix
def test_handlers_are_put_back(train):
    """After the training signals are the doctor's own again."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]

    train("")

    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


@linux
def test_what_a_full_disk_does_not_take_goes_to_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last words of a training, which say that the disk is full, are not lost with the log on that disk."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = launch.start([sys.executable, "-c", "print('No space left on device')"], os.environ, Path("/dev/full"))
    _log, rest = ended.logs

    assert ended.code == 0
    assert rest.parent == tmp_path
    assert rest.read_text(encoding="utf-8") == "No space left on device\n"
