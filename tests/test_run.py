"""``nnunet-doctor run``: what starts, with what, what never starts, and what comes back."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest
from made_up import Installation

RUN = ("run", "10", "2d", "0")
FOLD = ("results", "Dataset010_Colon", "nnUNetTrainer__nnUNetPlans__2d", "fold_0")


def test_training_runs_with_the_settings_of_the_plan(installation: Installation) -> None:
    """A start without -device on a machine without a GPU gets -device cpu, says why, and passes the output on."""
    done = installation.doctor(*RUN)

    assert done.returncode == 0, done.stderr
    assert "ARGUMENTS 10 2d 0 -device cpu" in done.stdout
    assert "-device cpu   asked for by default-device-unusable" in done.stdout
    assert "epoch 2 of 1000, 1.5 s each, 24 min 57 s left, losses -0.5 / -0.6, pseudo Dice 0.910" in done.stderr


def test_output_is_kept_unchanged_in_a_log_beside_the_training(installation: Installation) -> None:
    """The log file holds every byte that nnU-Net prints, and none of the doctor's."""
    installation.doctor(*RUN)
    (log,) = installation.path(*FOLD).glob("nnunet_doctor_*.log")
    text = log.read_text(encoding="utf-8")

    assert text.startswith("ARGUMENTS 10 2d 0 -device cpu")
    assert text.count("Epoch time: 1.5 s ") == 2
    assert "asked for by" not in text


@pytest.mark.parametrize("code", [1, 3, 77])
def test_exit_code_is_that_of_the_training(installation: Installation, code: int) -> None:
    """Whatever nnU-Net ends with is what run ends with."""
    done = installation.doctor(*RUN, FAKE_EXIT=str(code))

    assert done.returncode == code
    assert f"exit code {code}" in done.stdout


def test_options_of_train_pass_through(installation: Installation) -> None:
    """Options that the doctor has no opinion of reach nnU-Net, and the user's own device is kept."""
    done = installation.doctor(*RUN, "-device", "cpu", "--npz")

    assert "ARGUMENTS 10 2d 0 -device cpu --npz" in done.stdout


@pytest.mark.parametrize(
    ("file", "id"), [("checkpoint_final.pth", "training-finished"), ("checkpoint_latest.pth", "training-resumable")]
)
def test_existing_training_is_never_overwritten_unasked(installation: Installation, file: str, id: str) -> None:
    """A finished or resumable training blocks the start with exit code 1, and its files stay as they are."""
    checkpoint = installation.path(*FOLD, file)
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"weeks of work")
    done = installation.doctor(*RUN)

    assert done.returncode == 1
    assert id in done.stdout
    assert "ARGUMENTS" not in done.stdout
    assert [path.name for path in checkpoint.parent.iterdir()] == [file]
    assert checkpoint.read_bytes() == b"weeks of work"


def test_existing_training_may_be_overwritten_or_continued_when_told(installation: Installation) -> None:
    """--overwrite and --c each let the start through; --c reaches nnU-Net."""
    checkpoint = installation.path(*FOLD, "checkpoint_latest.pth")
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"")

    assert installation.doctor(*RUN, "--overwrite").returncode == 0
    continued = installation.doctor(*RUN, "--c")
    assert continued.returncode == 0
    assert "ARGUMENTS 10 2d 0 --c -device cpu" in continued.stdout


def test_force_starts_in_spite_of_a_named_finding(installation: Installation) -> None:
    """--force ID starts although that finding blocks; another one still blocks."""
    nothing = (*RUN, "--val", "--force")

    assert installation.doctor(*nothing, "configuration-absent").returncode == 1
    assert installation.doctor(*nothing, "nothing-to-validate").returncode == 0


@pytest.mark.parametrize("id", ["training-finished", "training-resumable"])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_what_protects_a_training_cannot_be_forced(installation: Installation, id: str, language: str) -> None:
    """--force of a check that keeps trainings from being overwritten is wrong use; what to say instead is named."""
    checkpoint = installation.path(*FOLD, "checkpoint_final.pth")
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"weeks of work")
    done = installation.doctor(*RUN, "--force", id, "--lang", language)

    assert done.returncode == 2
    assert done.stdout == ""
    assert id in done.stderr
    assert "--overwrite" in done.stderr
    assert "--c" in done.stderr
    assert checkpoint.read_bytes() == b"weeks of work"


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize(
    ("file", "id"), [("checkpoint_final.pth", "training-finished"), ("checkpoint_latest.pth", "training-resumable")]
)
def test_refusal_names_the_options_that_decide(installation: Installation, file: str, id: str, language: str) -> None:
    """The last lines say what --c and --overwrite do here; --force and a command that would overwrite are not shown."""
    checkpoint = installation.path(*FOLD, file)
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"")
    done = installation.doctor(*RUN, "--lang", language)
    *_, first, second = done.stdout.rstrip().splitlines()

    assert first.strip().startswith("--c")
    assert second.strip().startswith("--overwrite")
    assert "--force" not in done.stdout
    assert f"nnUNetv2_train {' '.join(RUN[1:])}" not in done.stdout
    assert id in done.stdout


def test_continuing_and_beginning_anew_at_once_is_wrong_use(installation: Installation) -> None:
    """--c and --overwrite contradict each other, and nothing is moved or started."""
    checkpoint = installation.path(*FOLD, "checkpoint_latest.pth")
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"")
    done = installation.doctor(*RUN, "--c", "--overwrite")

    assert (done.returncode, done.stdout) == (2, "")
    assert "--c and --overwrite" in done.stderr
    assert checkpoint.is_file()


def test_diagnosis_of_a_failure_is_on_stdout_behind_its_output(installation: Installation) -> None:
    """What a redirected run keeps holds the training's output, its end, cause and fix; progress and notes are beside it."""
    failure = "RuntimeError: Cannot find a working triton installation. More information on installing Triton"
    done = installation.doctor(*RUN, "--no-retry", FAKE_FAILURE=failure, FAKE_CURE="no variable=at all")
    output, end, cause = (done.stdout.index(text) for text in ("Traceback", "exit code 1", "[triton-missing]"))
    (log,) = installation.path(*FOLD).glob("nnunet_doctor_*.log")

    assert output < end < cause
    assert f"      {log}\n" in done.stdout[end:]
    assert "triton-missing" not in done.stderr
    assert "The output also goes to" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_reader_that_has_gone_costs_neither_retry_nor_exit_code(installation: Installation) -> None:
    """After '| head' the training still starts again where a setting mends it, and what came of it is said on stderr."""
    doctor = subprocess.Popen(
        [sys.executable, "-m", "nnunet_doctor", *RUN],
        env={**installation.environ, "nnUNet_n_proc_DA": "2", "FAKE_CURE": "nnUNet_n_proc_DA=0", "FAKE_EXIT": "7",
             "FAKE_FAILURE": "ERROR: Unexpected bus error encountered in worker."},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )  # fmt: skip
    assert doctor.stdout is not None
    for line in doctor.stdout:
        if line.startswith("The command for your shell"):
            break
    doctor.stdout.close()
    said = doctor.stderr.read()
    doctor.stderr.close()

    assert doctor.wait(30) == 7, said
    assert "Starting again with what mends this: nnUNet_n_proc_DA=0" in said


def test_force_of_an_unknown_finding_is_wrong_use(installation: Installation) -> None:
    """A misspelt id is refused with the nearest one, before anything starts."""
    done = installation.doctor(*RUN, "--force", "training-finnished")

    assert done.returncode == 2
    assert "did you mean 'training-finished'?" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="the pasted line is for a POSIX shell")
def test_dry_run_prints_a_command_that_works_when_pasted(installation: Installation) -> None:
    """--dry-run starts nothing and leaves nothing; its last line, pasted into a shell, trains."""
    done = installation.doctor(*RUN, "--dry-run")
    left = list(installation.path("results").iterdir())
    pasted = subprocess.run(
        ["/bin/sh", "-c", done.stdout.splitlines()[-1]],
        env=installation.environ,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert (done.returncode, left) == (0, [])
    assert pasted.returncode == 0, pasted.stderr
    assert "ARGUMENTS 10 2d 0 -device cpu" in pasted.stdout


def test_dry_run_of_a_blocked_training_exits_1(installation: Installation) -> None:
    """What would be refused is refused by a dry run too."""
    done = installation.doctor("run", "10", "3d_fullres", "0", "--dry-run")

    assert done.returncode == 1
    assert "configuration-absent" in done.stdout


def test_the_users_own_variable_wins_over_a_mere_warning(installation: Installation) -> None:
    """A number of processes that the user sets stays, even where the doctor would take another one."""
    done = installation.doctor(*RUN, "--dry-run", nnUNet_def_n_proc="64")

    assert "nnUNet_def_n_proc=" not in done.stdout.splitlines()[-1]
    assert "processes-over-cpus" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signals_reach_the_training_and_its_end_is_waited_for(
    installation: Installation, number: int, code: int
) -> None:
    """Ctrl-C and SIGTERM end nnU-Net; run ends with 128 + n and leaves no process of the training behind."""
    doctor = subprocess.Popen(
        [sys.executable, "-m", "nnunet_doctor", *RUN],
        env={**installation.environ, "FAKE_SLEEP": "50"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    )
    assert doctor.stdout is not None
    for line in doctor.stdout:
        if "SLEEPING" in line:
            break
    time.sleep(0.2)
    doctor.send_signal(number)
    doctor.stdout.read()
    code_then = doctor.wait(20)
    doctor.stdout.close()
    left = subprocess.run(["pgrep", "-f", shlex.quote(str(installation.base))], capture_output=True, check=False).stdout

    assert code_then == code
    assert left == b""


def test_a_copied_plans_file_does_not_hide_a_finished_training(installation: Installation) -> None:
    """nnU-Net writes to the folder that is named inside the plans file, so that folder is what is protected."""
    plans = installation.path("preprocessed", "Dataset010_Colon", "nnUNetPlans.json")
    content = json.loads(plans.read_text(encoding="utf-8")) | {"plans_name": "nnUNetPlans"}
    plans.with_name("myPlans.json").write_text(json.dumps(content), encoding="utf-8")
    checkpoint = installation.path(*FOLD, "checkpoint_final.pth")
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"")
    done = installation.doctor(*RUN, "-p", "myPlans")

    assert done.returncode == 1
    assert "training-finished" in done.stdout


@pytest.mark.parametrize("fold", ["00", "\uff10"])
def test_a_fold_in_another_spelling_is_the_same_fold(installation: Installation, fold: str) -> None:
    """nnU-Net reads the fold as a number, and so does the protection of what lies there."""
    checkpoint = installation.path(*FOLD, "checkpoint_final.pth")
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"")

    assert installation.doctor("run", "10", "2d", fold).returncode == 1


def test_what_cannot_be_looked_at_is_not_overwritten(installation: Installation) -> None:
    """Where it is not known whether a training lies there, the start is refused until --overwrite or --c is given."""
    installation.path(*FOLD[:-1]).mkdir(parents=True)
    installation.path(*FOLD).write_text("a file where the folder of the fold should be", encoding="utf-8")
    program = installation.path("broken.py")
    program.write_text(
        "import sys\nfrom nnunet_doctor.probes import results\nfrom nnunet_doctor.cli import main\n"
        "def fails(fold): raise PermissionError(13, 'Permission denied')\n"
        "results.training_state = fails\nsys.exit(main(sys.argv[1:]))\n",
        encoding="utf-8",
    )

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(program), *RUN, "-device", "cpu", *options]
        return subprocess.run(command, env=installation.environ, capture_output=True, encoding="utf-8", check=False)

    done, told = run(), run("--overwrite")
    (aside,) = installation.path(*FOLD[:-1]).glob("before_*")
    said = " ".join(done.stdout.split())

    assert done.returncode == 1, done.stderr
    assert "--overwrite: it is moved aside" in said
    assert "--force" not in said
    assert "Permission denied" in said
    assert told.returncode == 0, told.stdout + told.stderr
    assert aside.read_text(encoding="utf-8") == "a file where the folder of the fold should be"


def test_a_dataset_given_as_a_folder_is_handed_over_by_name(installation: Installation) -> None:
    """nnUNetv2_train takes no folder; the name of the dataset goes to it instead."""
    done = installation.doctor("run", str(installation.path("raw", "Dataset010_Colon")), "2d", "0", "--dry-run")

    assert done.returncode == 0, done.stdout
    assert " Dataset010_Colon 2d 0 " in done.stdout.splitlines()[-1]


def test_what_is_overwritten_is_moved_aside(installation: Installation) -> None:
    """--overwrite keeps every byte of the old fold, under a name that nnU-Net does not take for a fold, and says where."""
    old = installation.path(*FOLD, "checkpoint_final.pth")
    old.parent.mkdir(parents=True)
    old.write_bytes(b"weeks of work")
    done = installation.doctor(*RUN, "--overwrite")
    (aside,) = [path for path in old.parent.parent.iterdir() if path.name.startswith("before_")]

    assert done.returncode == 0, done.stderr
    assert "the command alone overwrites it" in " ".join(done.stdout.split())
    assert (aside / "checkpoint_final.pth").read_bytes() == b"weeks of work"
    assert str(aside) in done.stderr
    assert not old.exists()


def test_a_second_run_of_the_same_fold_is_refused(installation: Installation) -> None:
    """While one run is at work in a fold, another one of it exits with 1 and starts nothing; one of another fold starts."""
    first = subprocess.Popen(
        [sys.executable, "-m", "nnunet_doctor", *RUN],
        cwd=installation.base,
        env={**installation.environ, "FAKE_SLEEP": "60"},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
    )
    for line in first.stdout:
        if "SLEEPING" in line:
            break
    second = installation.doctor(*RUN)
    other = installation.doctor("run", "10", "2d", "1")
    first.send_signal(signal.SIGTERM)
    first.communicate()

    assert second.returncode == 1
    assert "training-runs-already" in second.stdout
    assert "ARGUMENTS" not in second.stdout
    assert other.returncode == 0
    assert installation.doctor(*RUN).returncode == 0


def test_prepare_makes_what_is_missing_and_trains(installation: Installation) -> None:
    """--prepare plans and preprocesses with safe numbers of processes, and then the training runs; without it, it is blocked."""
    shutil.rmtree(installation.path("preprocessed", "Dataset010_Colon"))
    blocked = installation.doctor(*RUN)
    done = installation.doctor(*RUN, "--prepare")

    assert blocked.returncode == 1
    assert "not-preprocessed" in blocked.stdout
    assert "With --prepare it is planned and preprocessed first." in blocked.stdout
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"PREPARING -d 10 -c 2d -npfp \d -np \d\n", done.stdout)
    assert "ARGUMENTS 10 2d 0" in done.stdout


def test_prepare_starts_no_more_processes_than_mine(installation: Installation) -> None:
    """The user's smaller number of processes is kept in planning and preprocessing too."""
    shutil.rmtree(installation.path("preprocessed", "Dataset010_Colon"))
    done = installation.doctor(*RUN, "--prepare", nnUNet_def_n_proc="1")

    assert "PREPARING -d 10 -c 2d -npfp 1 -np 1\n" in done.stdout


def test_prepare_that_fails_ends_the_run(installation: Installation) -> None:
    """The exit code is that of planning and preprocessing, and no training is started."""
    shutil.rmtree(installation.path("preprocessed", "Dataset010_Colon"))
    done = installation.doctor(*RUN, "--prepare", FAKE_EXIT="5")

    assert done.returncode == 5
    assert "ARGUMENTS" not in done.stdout


def test_prepare_asks_before_it_replaces(installation: Installation) -> None:
    """Where nobody can answer, preprocessed data of a dataset that has changed stay as they are; --yes lets them be replaced."""
    raw = installation.path("raw", "Dataset010_Colon", "dataset.json")
    raw.write_text(raw.read_text(encoding="utf-8").replace('"cancer": 1', '"cancer": 1, "polyp": 2'), encoding="utf-8")
    plans = installation.path("preprocessed", "Dataset010_Colon", "nnUNetPlans.json")
    before = plans.read_bytes()
    asked = installation.doctor(*RUN, "--prepare")
    kept = plans.read_bytes()
    told = installation.doctor(*RUN, "--prepare", "--yes")

    assert asked.returncode == 2
    assert str(plans) in asked.stderr
    assert kept == before
    assert told.returncode == 0, told.stdout + told.stderr
    assert "PREPARING -d 10 -c 2d" in told.stdout
    assert "--clean" in told.stdout


def test_prepare_moves_broken_plans_aside(installation: Installation) -> None:
    """nnU-Net's planner stops at a plans file that it cannot read, so --prepare keeps it under another name first."""
    plans = installation.path("preprocessed", "Dataset010_Colon", "nnUNetPlans.json")
    plans.write_text("{ cut", encoding="utf-8")
    done = installation.doctor(*RUN, "--prepare", "--yes")
    (aside,) = plans.parent.glob("nnUNetPlans.json.broken_*")

    assert done.returncode == 0, done.stdout + done.stderr
    assert aside.read_text(encoding="utf-8") == "{ cut"
    assert "PREPARING -d 10 -c 2d" in done.stdout
