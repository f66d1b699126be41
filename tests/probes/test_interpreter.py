"""The child in the examined interpreter: what is learnt from it however it ends."""

from __future__ import annotations

import contextlib
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from nnunet_doctor.facts import Detail, Unknown
from nnunet_doctor.probes import child, interpreter
from nnunet_doctor.probes.child import NotAnInterpreterError
from nnunet_doctor.probes.interpreter import conflicts

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs scripts with #!, signals or sessions")

CUDA_FACTS = ("cuda_available", "cuda_devices", "cuda_message", "arch_list", "cudnn", "mps_available")

LEARNT_BEFORE = {
    "python.version": platform.python_version(),
    "python.environment": "venv",
    "python.pip": True,
    "torch.installed": True,
    "torch.version": "2.8.0+cu128",
    "torch.build": "cuda",
    "torch.cuda_build": "12.8",
    "triton.package": "triton",
    "triton.version": "3.4.0",
    "nnunet.installed": True,
    "nnunet.version": "2.8.1",
    "nnunet.requires_python": ">=3.10",
    "nnunet.requires_torch": ">=2.1.2",
    "nnunet.conflicts": (Detail("nnunetv2", "acvl-utils<0.3,>=0.2.3 != -"),),
}
"""What no import is needed for, and no crash may take away."""


@pytest.fixture
def installed(packages):
    """Install a made-up nnU-Net with Triton; each test adds the torch that it wants."""
    packages.distribution(
        "nnunetv2", "2.8.1", ["torch>=2.1.2", "acvl-utils<0.3,>=0.2.3", "pytest; extra == 'dev'"], ">=3.10"
    )
    packages.distribution("torch", "2.8.0", ["triton==3.4.0; python_version > '3'"])
    packages.distribution("triton", "3.4.0")
    packages.module("triton", "__version__ = '3.4.0'")
    packages.module("pip", "raise SystemError('the doctor imports no pip')")
    run = packages.module("nnunetv2", "raise SystemError('the doctor imports no nnU-Net')") / "run"
    run.mkdir()
    (run / "run_training.py").touch()
    return packages


def learnt(values):
    """Return those of the facts that no crash may take away."""
    return {name: values.get(name) for name in LEARNT_BEFORE}


def end(pid):
    """End a process that a test has started, if it is still there."""
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).kill()


def gone(pid, seconds=5.0):
    """Say whether a process ends within some seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


# --- ends of the child ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "outcome", "importable", "error"),
    [
        pytest.param(
            "import faulthandler; faulthandler._sigsegv()",
            "crash",
            False,
            r"the interpreter ended with (signal (SIGSEGV|SIGBUS)|Windows error 0xC0000005 \(access violation\))",
            id="segfault",
        ),
        pytest.param("import os; os._exit(7)", "crash", False, r"the interpreter ended with exit code 7", id="exit"),
        pytest.param("import os; os._exit(0)", "crash", False, r"the interpreter ended with exit code 0", id="exit 0"),
        pytest.param(
            "import os; os.write(2, b'OMP: Error 15\\n'); os._exit(3)",
            "crash",
            False,
            r"the interpreter ended with exit code 3: OMP: Error 15",
            id="last words",
        ),
        pytest.param(
            "import os; os.write(1, b'\\x1b[2J\\x00\\xff\\x07GPU\\r\\n'); os._exit(3)",
            "crash",
            False,
            r"the interpreter ended with exit code 3: [^\x00-\x1f\x7f]*GPU",
            id="binary last words",
        ),
        pytest.param(
            "raise ImportError('libcudart.so.12: cannot open shared object file')",
            "error",
            False,
            r"ImportError: libcudart.so.12: cannot open shared object file",
            id="ImportError",
        ),
        pytest.param("raise SystemExit(3)", "error", False, r"SystemExit: 3", id="SystemExit"),
        pytest.param("raise KeyboardInterrupt", "error", False, r"KeyboardInterrupt: ", id="KeyboardInterrupt"),
        pytest.param("def f(): f()\nf()", "error", False, r"RecursionError: .*", id="endless recursion"),
    ],
)
def test_import_that_fails_is_a_fact(installed, context_of, code, outcome, importable, error):
    """A torch that cannot be imported costs what only it knows, and the report says how its import ended."""
    installed.torch(code)

    values = interpreter.look(context_of()).values

    assert learnt(values) == LEARNT_BEFORE
    assert (values["torch.import_outcome"], values["torch.importable"]) == (outcome, importable)
    assert re.fullmatch(error, values["torch.import_error"])
    assert {values[f"torch.{name}"] for name in CUDA_FACTS} == {Unknown("torch cannot be imported")}


def test_crash_of_torch_leaves_triton_unknown_with_the_reason(installed, context_of):
    """What would have been asked after the crash is unknown and not false, and says what came first."""
    installed.torch("import os; os._exit(7)")

    values = interpreter.look(context_of()).values

    assert values["triton.importable"] == Unknown(
        "the look at torch came first: the interpreter ended with exit code 7"
    )


def test_endless_import_ends_at_the_deadline(installed, context_of):
    """An import without end is cut off at --timeout: whether torch works is then unknown, and not no."""
    installed.torch("while True: pass")

    begun = time.monotonic()
    values = interpreter.look(context_of(timeout=0.7)).values

    assert time.monotonic() - begun < 5
    assert learnt(values) == LEARNT_BEFORE
    assert values["torch.import_outcome"] == "timeout"
    assert values["torch.import_error"] == "no end after 0.7 s"
    assert values["torch.importable"] == Unknown("no end after 0.7 s")
    assert values["torch.cuda_available"] == Unknown("no end after 0.7 s")
    assert values["triton.importable"] == Unknown("the look at torch came first: no end after 0.7 s")


@posix
def test_interpreter_that_does_not_begin_says_so(context_of, program, tmp_path):
    """An interpreter that hangs before its first word leaves every fact unknown, and the reason is the deadline."""
    python = program(tmp_path, "python", "#!/bin/sh\nsleep 60\n")

    values = interpreter.look(context_of(python=python, timeout=0.3)).values

    assert values["python.version"] == Unknown("no end after 0.3 s")
    assert values["torch.importable"] == Unknown("no end after 0.3 s")
    assert values["nnunet.installed"] == Unknown("no end after 0.3 s")


@posix
def test_interpreter_that_crashes_before_it_begins_says_so(context_of, program, tmp_path):
    """An interpreter that is killed before its first word leaves every fact unknown, and the reason is the signal."""
    python = program(tmp_path, "python", "#!/bin/sh\nkill -ILL $$\n")

    values = interpreter.look(context_of(python=python)).values

    assert values["python.version"] == Unknown("the interpreter ended with signal SIGILL")
    assert values["nnunet.version"] == Unknown("the interpreter ended with signal SIGILL")


def test_flood_of_output_harms_nothing(installed, context_of):
    """Tens of megabytes on both streams are neither an obstacle nor kept."""
    installed.torch(
        """
        import os
        for number in range(40):
            for stream in (1, 2):
                left = b"A warning that nobody reads.\\n" * 20_000
                while left:
                    left = left[os.write(stream, left):]
        """
    )

    report = child.start(context_of())()

    assert report.outcome("torch") == "ok"
    assert report.saw("cuda")["count"] == 2
    assert len(report.ended.output) <= 8192


def test_binary_garbage_on_the_output_harms_nothing(installed, context_of):
    """What an import prints is not read as an answer, whatever the bytes."""
    installed.torch("""import os; os.write(1, bytes(range(256)) * 99 + b'{"ends": "torch", "error": "no"}\\n')""")

    values = interpreter.look(context_of()).values

    assert (values["torch.import_outcome"], values["torch.cuda_devices"]) == ("ok", 2)


def test_child_of_the_import_is_not_left_running(installed, context_of, tmp_path):
    """A process that the import has started and that keeps the output open neither holds the doctor nor outlives it."""
    note = tmp_path / "pid"
    installed.torch(
        f"""
        import subprocess, sys
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        open({str(note)!r}, "w").write(str(child.pid))
        """
    )

    begun = time.monotonic()
    values = interpreter.look(context_of()).values

    assert time.monotonic() - begun < 5
    assert values["torch.import_outcome"] == "ok"
    assert sys.platform == "win32" or gone(int(note.read_text(encoding="utf-8")))


@posix
def test_child_in_a_session_of_its_own_does_not_hold_the_doctor(installed, context_of, tmp_path):
    """Even a daemon, which no group reaches and which keeps the output open, does not make the doctor wait for it."""
    note = tmp_path / "pid"
    installed.torch(
        f"""
        import subprocess, sys
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
        open({str(note)!r}, "w").write(str(child.pid))
        """
    )

    begun = time.monotonic()
    values = interpreter.look(context_of()).values
    seconds = time.monotonic() - begun
    end(int(note.read_text(encoding="utf-8")))

    assert seconds < 5
    assert values["torch.import_outcome"] == "ok"


def test_line_cut_by_a_kill_is_ignored(installed, context_of):
    """A child that is killed while it writes its answer has crashed; the half answer is not taken for one."""
    installed.torch(
        """
        import os, sys
        with open(sys.argv[1], "a") as report:
            report.write('{"ends": "torch", "saw": {"seconds": 1.0, "version": "2.')
        os._exit(9)
        """
    )

    values = interpreter.look(context_of()).values

    assert learnt(values) == LEARNT_BEFORE
    assert (values["torch.import_outcome"], values["torch.importable"]) == ("crash", False)


@posix
def test_interrupted_doctor_leaves_no_child(installed, context_of, tmp_path):
    """Ctrl-C while torch is imported ends the doctor and the interpreter that it has started."""
    note = tmp_path / "pid"
    installed.torch(f"import os, time; open({str(note)!r}, 'w').write(str(os.getpid())); time.sleep(60)")
    context = context_of()
    script = f"""
        from pathlib import Path
        from nnunet_doctor.probes.base import Context
        from nnunet_doctor.probes.look import look
        from nnunet_doctor.request import Request
        look(Context(Path({str(context.python)!r}), {dict(context.environ)!r}, Request()))
    """
    doctor = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stderr=subprocess.PIPE)
    while not (note.exists() and note.read_text(encoding="utf-8")):
        time.sleep(0.02)
    doctor.send_signal(signal.SIGINT)
    _, printed = doctor.communicate(timeout=10)
    child = int(note.read_text(encoding="utf-8"))
    ended = gone(child)
    end(child)

    assert b"KeyboardInterrupt" in printed
    assert ended


# --- a torch that works --------------------------------------------------------------------------------------------


def test_working_torch_answers_about_cuda(installed, context_of):
    """A torch that works gives every fact about CUDA."""
    installed.torch("")

    values = interpreter.look(context_of()).values

    expected = {
        "torch.import_outcome": "ok",
        "torch.importable": True,
        "torch.import_error": None,
        "torch.cuda_build": "12.8",
        "torch.cuda_available": True,
        "torch.cuda_devices": 2,
        "torch.device_names": ("Made-up GPU", "Made-up GPU"),
        "torch.device_capabilities": ("9.0", "9.1"),
        "torch.cuda_message": None,
        "torch.arch_list": ("sm_80", "sm_90", "compute_90"),
        "torch.cudnn": "91002",
        "torch.mps_available": False,
        "triton.importable": True,
        "triton.import_error": None,
    }
    assert learnt(values) == LEARNT_BEFORE
    assert {name: values[name] for name in expected} == expected
    assert 0 <= values["torch.import_seconds"] < 30


def test_warning_of_torch_about_cuda_is_kept(installed, context_of):
    """What torch says when it finds no GPU is a fact, because it names the reason."""
    folder = installed.torch("")
    with (folder / "__init__.py").open("a", encoding="utf-8") as file:
        file.write("import warnings\ncuda.is_available = lambda: bool(warnings.warn('driver too old'))\n")

    values = interpreter.look(context_of()).values

    assert values["torch.importable"] is True
    assert (values["torch.cuda_available"], values["torch.cuda_devices"]) == (False, 0)
    assert values["torch.cuda_message"] == "driver too old"


def test_crash_in_cuda_leaves_the_import_right(installed, context_of):
    """A driver that kills the process when a GPU is opened leaves torch importable and CUDA unknown, with the death."""
    folder = installed.torch("")
    with (folder / "__init__.py").open("a", encoding="utf-8") as file:
        file.write("import os\ncuda.get_device_name = lambda index: os._exit(11)\n")

    values = interpreter.look(context_of()).values

    assert (values["torch.import_outcome"], values["torch.importable"]) == ("ok", True)
    assert values["torch.cuda_available"] == Unknown("the interpreter ended with exit code 11")
    assert values["torch.cuda_build"] == "12.8"


def test_interpreter_without_torch_and_nnunet(context_of):
    """A bare interpreter gives plain answers and no unknowns about what is not installed."""
    values = interpreter.look(context_of()).values

    expected = {
        "python.environment": "venv",
        "python.pip": False,
        "torch.installed": False,
        "torch.version": None,
        "torch.build": None,
        "torch.import_outcome": None,
        "torch.importable": False,
        "torch.cuda_available": False,
        "torch.cuda_devices": 0,
        "triton.package": None,
        "triton.importable": False,
        "nnunet.installed": False,
        "nnunet.version": None,
        "nnunet.location": None,
        "nnunet.conflicts": (),
        "nnunet.script": None,
    }
    assert {name: values[name] for name in expected} == expected
    assert [name for name, value in values.items() if isinstance(value, Unknown)] == []


def test_quick_imports_nothing(installed, context_of, tmp_path):
    """With --quick versions are known and torch and Triton are not imported."""
    mark = tmp_path / "imported"
    installed.torch(f"open({str(mark)!r}, 'w')")
    installed.module("triton", f"open({str(mark)!r}, 'w')")

    values = interpreter.look(context_of(quick=True)).values

    assert learnt(values) == LEARNT_BEFORE
    assert not mark.exists()
    assert values["torch.importable"] == Unknown("--quick starts no torch")
    assert values["torch.cuda_available"] == Unknown("--quick starts no torch")
    assert values["triton.importable"] == Unknown("--quick imports nothing")


@pytest.mark.parametrize(
    ("trainer", "importable", "error"),
    [
        ("nnUNetTrainer", None, None),
        ("nnUNetTrainerDAOrd0", False, "RuntimeError: operator torchvision::nms does not exist"),
    ],
)
def test_torchvision_is_imported_for_other_trainers_only(installed, context_of, trainer, importable, error):
    """nnU-Net itself imports no torchvision, so a broken one is a fact only where a trainer may."""
    installed.torch("")
    installed.module(
        "torchvision",
        "raise RuntimeError('operator torchvision::nms does not exist')",
        "__version__ = '0.22.0+cu128'\n",
    )

    values = interpreter.look(context_of(trainer=trainer)).values

    assert values["torch.torchvision"] == "0.22.0+cu128"
    assert (values["torch.torchvision_importable"], values["torch.torchvision_error"]) == (importable, error)


@pytest.mark.parametrize(
    ("version_file", "version", "build", "cuda"),
    [
        ("__version__ = '2.8.0+cpu'\ncuda: Optional[str] = None\n", "2.8.0+cpu", "cpu", None),
        ("__version__ = '2.8.0+rocm6.4'\ncuda = None\nhip = '6.4.43483'\n", "2.8.0+rocm6.4", "rocm", None),
        ("__version__ = '2.8.0+xpu'\ncuda = None\nxpu = '20250101'\n", "2.8.0+xpu", "xpu", None),
        ('__version__ = "2.8.0"\ncuda: Optional[str] = "12.8"\n', "2.8.0", "cuda", "12.8"),
        ("", "2.8.0", "cpu", None),
    ],
)
def test_build_is_read_from_the_version_file(installed, context_of, version_file, version, build, cuda):
    """Which build of torch this is follows from its files, without an import."""
    installed.module("torch", "raise SystemError('not to be imported')", version_file)

    values = interpreter.look(context_of(quick=True)).values

    assert (values["torch.version"], values["torch.build"], values["torch.cuda_build"]) == (version, build, cuda)


@pytest.mark.parametrize("safe_path", ["", "1"])
def test_path_of_the_child_is_that_of_the_user(installed, context_of, safe_path):
    """The imports see the user's packages and none of the doctor's modules, under PYTHONSAFEPATH too."""
    installed.torch(
        """
        import importlib.util
        strange = [name for name in ("examine", "nvml", "toolchain") if importlib.util.find_spec(name)]
        assert not strange, strange
        """
    )

    values = interpreter.look(context_of({"PYTHONSAFEPATH": safe_path})).values

    assert learnt(values) == LEARNT_BEFORE
    assert values["torch.import_error"] is None


def test_modules_beside_the_script_do_not_shadow_the_standard_library(bare_python, tmp_path):
    """The folder of the script holds a module named platform; Python's own is taken all the same."""
    for path in child.SCRIPT.parent.glob("*.py"):
        shutil.copy(path, tmp_path)
    for name in ("json", "struct", "sysconfig", "typing", "re"):
        (tmp_path / f"{name}.py").write_text("raise SystemError('shadowed')\n", encoding="utf-8")

    command = [bare_python, tmp_path / "examine.py", tmp_path / "report.jsonl"]
    ended = subprocess.run(command, capture_output=True, check=False)

    assert (ended.returncode, ended.stderr) == (0, b"")
    assert '{"ends": "python", "saw"' in (tmp_path / "report.jsonl").read_text(encoding="utf-8")


def test_broken_metadata_of_one_distribution_does_not_hide_the_others(installed, context_of):
    """A half removed package, as pip leaves it, costs nothing but itself."""
    (installed.folder / "half_removed-1.0.dist-info").mkdir()
    (installed.folder / "~umpy-2.0.dist-info").mkdir()
    broken = installed.folder / "broken-1.0.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_bytes(b"\xff\xfe\x00Name")
    installed.torch("")

    values = interpreter.look(context_of()).values

    assert learnt(values) == LEARNT_BEFORE


def test_folder_that_pip_has_left_is_no_package(installed, context_of):
    """A folder without metadata, left by an update that failed, is neither a package nor in the way of one."""
    for name in ("nnunetv2-2.4.dist-info", "torchvision-0.20.dist-info", "nnunet-1.7.1.dist-info", "a-1.egg-info"):
        (installed.folder / name).mkdir()
    installed.torch("")

    values = interpreter.look(context_of()).values

    assert learnt(values) == LEARNT_BEFORE
    assert values["nnunet.v1_version"] is None


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_only_the_head_of_metadata_counts(context_of, packages, newline):
    """What a description says about other packages is no requirement, and neither is a licence in many lines."""
    folder = packages.distribution("nnunetv2", "2.8.1")
    text = """Metadata-Version: 2.1
Name: nnunetv2
License: Apache

        Version: 7
Version: 2.8.1
Requires-Dist: torch>=2.1.2

Version: 1.0
Requires-Dist: tensorflow
"""
    (folder / "METADATA").write_bytes(text.replace("\n\n  ", "\n        \n  ").replace("\n", newline).encode())

    values = interpreter.look(context_of(quick=True)).values

    assert (values["nnunet.version"], values["nnunet.requires_torch"]) == ("2.8.1", ">=2.1.2")
    assert values["nnunet.conflicts"] == (Detail("nnunetv2", "torch>=2.1.2 != -"),)


@pytest.mark.parametrize("name", ["nnunet-1.7.1-py3.11.egg-info", "nnunet.egg-info"])
@pytest.mark.parametrize("as_file", [True, False])
def test_package_of_an_older_kind(context_of, packages, name, as_file):
    """Packages of conda, of a checkout and of old setuptools keep their metadata in other files, and are found too."""
    path = packages.folder / name
    if not as_file:
        path.mkdir()
        path = path / "PKG-INFO"
    path.write_text("Metadata-Version: 2.1\nName: nnunet\nVersion: 1.7.1\n", encoding="utf-8")

    values = interpreter.look(context_of(quick=True)).values

    assert values["nnunet.v1_version"] == "1.7.1"


# --- not an interpreter --------------------------------------------------------------------------------------------


def test_missing_interpreter_is_named(context_of, tmp_path):
    """An interpreter that does not exist is the user's slip, told in a sentence with the path."""
    path = tmp_path / "no such python"

    with pytest.raises(NotAnInterpreterError, match=f"^{re.escape(str(path))} cannot be started: .+"):
        interpreter.look(context_of(python=path))


@pytest.mark.parametrize("executable", [False, True])
def test_text_file_is_no_interpreter(context_of, tmp_path, executable):
    """A text file is refused, executable or not."""
    path = tmp_path / "notes.txt"
    path.write_text("To do: install Python\n", encoding="utf-8")
    path.chmod(0o755 if executable else 0o644)

    with pytest.raises(NotAnInterpreterError, match=f"^{re.escape(str(path))} cannot be started: .+"):
        interpreter.look(context_of(python=path))


@posix
@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("exit 0", r"is not a Python interpreter that can run \(exit code 0\)"),
        (
            "echo 'error while loading shared libraries: libpython3.10.so.1.0' >&2; exit 127",
            r"is not a Python .+ \(exit code 127: error while loading shared libraries: libpython3.10.so.1.0\)",
        ),
    ],
)
def test_other_program_is_no_interpreter(context_of, program, tmp_path, text, sentence):
    """A program that runs no Python is refused with its exit code and its last words."""
    path = program(tmp_path, "python", f"#!/bin/sh\n{text}\n")

    with pytest.raises(NotAnInterpreterError, match=f"^{re.escape(str(path))} {sentence}$"):
        interpreter.look(context_of(python=path))


# --- requirements --------------------------------------------------------------------------------------------------


def distributions(requires, **versions):
    """Return an nnU-Net with these requirements beside other distributions."""
    found = {name.replace("_", "-"): {"version": version, "requires": []} for name, version in versions.items()}
    return {"nnunetv2": {"version": "2.8.1", "requires": requires}, **found}


@pytest.mark.parametrize(
    ("requires", "versions", "expected"),
    [
        pytest.param(["torch>=2.1.2"], {"torch": "2.8.0+cu128"}, [], id="met"),
        pytest.param(["torch>=2.1.2"], {"torch": "1.13.1"}, ["torch>=2.1.2 != 1.13.1"], id="too old"),
        pytest.param(["torch"], {}, ["torch != -"], id="missing"),
        pytest.param(["torch>=2.1"], {"torch": "2.9.0.dev20250901"}, [], id="nightly"),
        pytest.param(["numpy<2; python_version < '3.9'"], {"numpy": "2.1"}, [], id="marker of another Python"),
        pytest.param(["numpy<2; python_version >= '3.9'"], {"numpy": "2.1"}, ["numpy<2 != 2.1"], id="marker"),
        pytest.param(["numpy<2; python_full_version < '3.11.8'"], {"numpy": "2.1"}, ["numpy<2 != 2.1"], id="full"),
        pytest.param(["ruff; extra == 'dev'", "black; extra=='dev'"], {}, [], id="extras of its own"),
        pytest.param(["fft-conv[all]>=1"], {"fft_conv": "1.2"}, [], id="extras of another"),
        pytest.param(["Batch_Generators.v2>=0.25"], {"batch_generators_v2": "0.25"}, [], id="spelling"),
        pytest.param(["batch__generators"], {"batch_generators": "0.25"}, [], id="odd spelling"),
        pytest.param(["nnunetv2-helper @ git+https://example.org/x"], {"nnunetv2_helper": "1"}, [], id="address"),
        pytest.param(["torch >== 2 ,,", "", "???"], {}, [], id="requirements that nobody can read"),
        pytest.param(["torch; no_such_marker == '1'"], {}, [], id="marker that nobody knows"),
        pytest.param(["numpy<2"], {"numpy": "unknown"}, [], id="version that nobody can read"),
        pytest.param(["numpy<2"], {"numpy": ""}, [], id="no version"),
    ],
)
def test_conflicts(requires, versions, expected):
    """A requirement that is not met is listed with what is there; one that does not count or cannot be read is not."""
    found = conflicts(distributions(requires, **versions), "3.11.7")

    assert found == tuple(Detail("nnunetv2", message) for message in expected)


def test_conflicts_of_what_nnunet_brings(installed, context_of):
    """A torch beside a Triton that it was not built for is a conflict of torch, although nnU-Net's own are met."""
    shutil.rmtree(installed.folder / "triton-3.4.0.dist-info")
    installed.distribution("triton", "3.1.0")
    installed.distribution("acvl-utils", "0.2.5")

    values = interpreter.look(context_of(quick=True)).values

    assert values["nnunet.conflicts"] == (Detail("torch", "triton==3.4.0 != 3.1.0"),)


def test_script_beside_the_interpreter_is_found(installed, context_of, bare_python):
    """The command that belongs to the examined interpreter is found without PATH."""
    script = bare_python.with_name("nnUNetv2_train" + (".exe" if os.name == "nt" else ""))
    script.touch()
    try:
        values = interpreter.look(context_of({"PATH": ""}, quick=True)).values
    finally:
        script.unlink()

    assert values["nnunet.script"] == str(script)
    assert values["nnunet.location"] == str(installed.folder / "nnunetv2")


# --- which nnU-Net, and what stands before it ----------------------------------------------------------------------


def test_checkout_that_nobody_installed_is_found_without_a_release(installed, context_of):
    """Modules of nnU-Net on the path count as nnU-Net; which release they are, nobody knows."""
    shutil.rmtree(installed.folder / "nnunetv2-2.8.1.dist-info")

    values = interpreter.look(context_of(quick=True)).values

    folder = str(installed.folder / "nnunetv2")
    assert (values["nnunet.installed"], values["nnunet.location"]) == (True, folder)
    assert values["nnunet.version"] == Unknown(f"{folder} lies on the path of Python without having been installed")
    assert values["nnunet.distribution"] is None


def test_folder_of_data_is_no_nnunet(packages, context_of):
    """A folder that is only called nnunetv2 is not taken for nnU-Net."""
    (packages.folder / "nnunetv2" / "data").mkdir(parents=True)

    values = interpreter.look(context_of(quick=True)).values

    assert (values["nnunet.installed"], values["nnunet.location"]) == (False, None)


def test_fork_with_a_distribution_of_its_own(installed, context_of):
    """A fork that brings nnU-Net's modules under another name is nnU-Net in the release that it tells."""
    (installed.folder / "nnunetv2-2.8.1.dist-info").rename(installed.folder / "nnunetv2_neuropoly-2.6.2.dist-info")
    metadata = installed.folder / "nnunetv2_neuropoly-2.6.2.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text(encoding="utf-8").replace("2.8.1", "2.6.2"), encoding="utf-8")

    values = interpreter.look(context_of(quick=True)).values

    assert (values["nnunet.distribution"], values["nnunet.version"]) == ("nnunetv2-neuropoly", "2.6.2")
    assert values["nnunet.requires_torch"] == ">=2.1.2"


def test_nnunet_of_setup_py_install(installed, context_of):
    """A folder .egg on the path, as setup.py install makes it, is a distribution with its release."""
    egg = installed.folder / "nnunetv2-2.1.1-py3.10.egg"
    egg.mkdir()
    (installed.folder / "nnunetv2").rename(egg / "nnunetv2")
    (installed.folder / "nnunetv2-2.8.1.dist-info").rename(egg / "EGG-INFO")
    (egg / "EGG-INFO" / "METADATA").rename(egg / "EGG-INFO" / "PKG-INFO")
    both = os.pathsep.join([str(egg), str(installed.folder)])

    values = interpreter.look(context_of({"PYTHONPATH": both}, quick=True)).values

    assert (values["nnunet.version"], values["nnunet.location"]) == ("2.8.1", str(egg / "nnunetv2"))
    assert values["nnunet.shadowed"] is None


@pytest.mark.parametrize(
    ("note", "origin", "editable"),
    [
        (None, None, None),
        ('{"url": "file:///home/li/nnUNet", "dir_info": {"editable": true}}', "file:///home/li/nnUNet", True),
        ('{"url": "https://example.org/U-Mamba", "vcs_info": {"vcs": "git"}}', "https://example.org/U-Mamba", False),
        ("{", None, None),
    ],
)
def test_where_nnunet_was_installed_from(installed, context_of, note, origin, editable):
    """pip's own note tells a checkout or a repository from the package index."""
    if note is not None:
        (installed.folder / "nnunetv2-2.8.1.dist-info" / "direct_url.json").write_text(note, encoding="utf-8")

    values = interpreter.look(context_of(quick=True)).values

    assert (values["nnunet.origin"], values["nnunet.editable"]) == (origin, editable)


def test_checkout_before_the_installed_nnunet(installed, context_of, tmp_path):
    """Where PYTHONPATH leads to other modules than those that pip has installed, both folders are told."""
    checkout = tmp_path / "checkout"
    shutil.copytree(installed.folder / "nnunetv2", checkout / "nnunetv2")
    both = os.pathsep.join([str(checkout), str(installed.folder)])

    values = interpreter.look(context_of({"PYTHONPATH": both}, quick=True)).values

    assert values["nnunet.location"] == str(checkout / "nnunetv2")
    assert values["nnunet.shadowed"] == str(installed.folder / "nnunetv2")
    assert interpreter.look(context_of(quick=True)).values["nnunet.shadowed"] is None


@pytest.mark.parametrize(
    ("code", "own"),
    [
        ("import os\nnnUNet_raw = os.environ.get('nnUNet_raw')\n", False),
        ("base = 'data'\nnnUNet_raw = base + '/nnUNet_raw' # os.environ.get('nnUNet_raw')\n", True),
        ("class _EnvPath:\n    def get(self): return os.environ.get(self.name)\nnnUNet_raw = _EnvPath()\n", False),
    ],
)
def test_fork_that_reads_no_variables(installed, context_of, code, own):
    """A paths.py with folders of its own is told from one that reads the variables, whatever its comments say."""
    (installed.folder / "nnunetv2" / "paths.py").write_text(code, encoding="utf-8")

    assert interpreter.look(context_of(quick=True)).values["nnunet.own_paths"] is own


def test_files_of_the_user_that_hide_modules(installed, context_of):
    """Scripts named like modules that nnU-Net needs are told, and do not keep the doctor from looking."""
    for name in ("json", "random", "platform", "calendar"):
        (installed.folder / f"{name}.py").write_text("raise SystemError('mine')\n", encoding="utf-8")
    (installed.folder / "queue").mkdir()
    for folder in installed.folder.glob("*.dist-info"):
        shutil.rmtree(folder)
    (installed.folder / "numpy.py").touch()

    values = interpreter.look(context_of(quick=True)).values

    expected = [(f"{name}.py", name) for name in ("json", "numpy", "platform", "random")]
    expected += [(name, name) for name in ("triton",)]
    assert values["python.hidden"] == tuple(Detail(str(installed.folder / file), name) for file, name in expected)
    assert values["python.version"] == platform.python_version()


def test_packages_of_another_environment_hide_nothing(installed, context_of):
    """A folder with metadata of its own is an environment; what is in it is installed there and not in the way."""
    installed.torch("")

    assert interpreter.look(context_of(quick=True)).values["python.hidden"] == ()


def test_packages_before_those_of_the_environment(installed, context_of, bare_python):
    """A release in PYTHONPATH that stands before another one of the environment is told, an equal one is not."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    environment = subprocess.run([bare_python, "-I", "-c", code], capture_output=True, encoding="utf-8", check=True)
    folders = [type(installed)(Path(environment.stdout.strip())).distribution("triton", "3.1.0")]
    folders.append(type(installed)(Path(environment.stdout.strip())).distribution("torch", "2.8.0"))
    try:
        values = interpreter.look(context_of(quick=True)).values
    finally:
        for folder in folders:
            shutil.rmtree(folder)

    assert values["python.before_path"] == (Detail("triton", "3.4.0 != 3.1.0"),)
    assert (values["python.before_user"], values["python.twice"]) == ((), ())


def test_package_that_is_recorded_twice(installed, context_of):
    """Two releases of one package in one folder, as a broken upgrade leaves them, are told."""
    installed.distribution("triton", "3.1.0")

    (twice,) = interpreter.look(context_of(quick=True)).values["python.twice"]

    assert twice.subject == "triton"
    assert set(twice.message.split(" != ")) == {"3.1.0", "3.4.0"}


def test_packages_of_the_user_before_those_of_python(packages, context_of, tmp_path):
    """What pip install --user has put into the folder of the user is told when it stands before another release."""
    python = Path(getattr(sys, "_base_executable", sys.executable))
    environ = {"PYTHONUSERBASE": str(tmp_path), "PYTHONPATH": ""}
    code = "import site, importlib.metadata as m; print(site.ENABLE_USER_SITE, site.USER_SITE, m.version('pip'))"
    asked = subprocess.run(
        [python, "-c", code], capture_output=True, encoding="utf-8", check=False, env={**os.environ, **environ}
    )
    if asked.returncode or not asked.stdout.startswith("True "):
        pytest.skip("this Python has no pip, or knows no folder of the user")
    _, folder, version = asked.stdout.split()
    mine = type(packages)(Path(folder))
    mine.folder.mkdir(parents=True)
    mine.distribution("nnunetv2", "2.8.1", ["pip"])
    mine.distribution("pip", "0.0.1")

    values = interpreter.look(context_of(environ, python=python, quick=True)).values

    assert values["python.before_user"] == (Detail("pip", f"0.0.1 != {version}"),)
    assert values["python.user_site"] is True


@pytest.mark.usefixtures("installed")
def test_what_conda_has_installed(context_of, bare_python):
    """conda's records tell which packages are its own, and which torch it believes to be there."""
    records = bare_python.parents[1] / "conda-meta"
    records.mkdir()
    for name in ("pytorch-2.8.0-py3.11_cuda12.8_0.json", "triton-3.1.0-py311_0.json", "history"):
        (records / name).touch()
    try:
        values = interpreter.look(context_of(quick=True)).values
    finally:
        shutil.rmtree(records)

    assert (values["python.environment"], values["python.made_by"]) == ("conda", "conda")
    assert values["python.from_conda"] == ("torch",)
    assert values["python.conda_torch"] == "2.8.0 py3.11_cuda12.8_0"


def test_releases_of_packages_that_break_others(installed, context_of):
    """The releases of which some do not go together are facts; what is absent is None."""
    installed.distribution("numpy", "1.26.4")
    installed.distribution("setuptools", "80.9.0")

    values = interpreter.look(context_of(quick=True)).values

    expected = {"numpy": "1.26.4", "setuptools": "80.9.0", "wandb": None, "blosc2": None}
    assert {name: values[f"python.{name}"] for name in expected} == expected


@pytest.mark.parametrize(("variable", "level"), [("", 0), ("1", 1), ("2", 2)])
def test_level_of_optimization(context_of, variable, level):
    """PYTHONOPTIMIZE, under which nnU-Net's assert statements vanish, is a fact."""
    assert interpreter.look(context_of({"PYTHONOPTIMIZE": variable}, quick=True)).values["python.optimize"] == level


def test_programs_that_install(context_of, program, tmp_path):
    """uv is found on PATH, and conda in the variable that its activation sets."""
    uv = program(tmp_path / "bin", "uv")
    environ = {"PATH": str(tmp_path / "bin"), "CONDA_EXE": "/home/li/miniforge3/bin/conda"}

    values = interpreter.look(context_of(environ, quick=True)).values

    assert os.path.normcase(values["python.uv"]) == os.path.normcase(uv)
    assert values["python.conda"] == "/home/li/miniforge3/bin/conda"


@pytest.mark.parametrize("mark", ["pipx_metadata.json", "uv-receipt.toml"])
def test_program_that_made_the_environment(context_of, bare_python, mark):
    """Environments of pipx and of uv tool are told by the file that each leaves."""
    file = bare_python.parents[1] / mark
    file.touch()
    try:
        made_by = interpreter.look(context_of(quick=True)).values["python.made_by"]
    finally:
        file.unlink()

    assert made_by == {"pipx_metadata.json": "pipx", "uv-receipt.toml": "uv tool"}[mark]
    assert interpreter.look(context_of(quick=True)).values["python.made_by"] == "venv"


# --- the trainer that is asked for ---------------------------------------------------------------------------------

TRAINER = """
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

raise SystemError('the doctor imports no trainer')


class MyTrainer(nnUNetTrainer):
    def __init__(self, plans, configuration, fold, dataset_json, unpack_dataset=True, device=None):
        super().__init__(plans, configuration, fold, dataset_json, unpack_dataset, device)

    @staticmethod
    def build_network_architecture(plans_manager, dataset_json, configuration_manager, *args, deep=True, **kwargs):
        return None
"""


@pytest.fixture
def trainers(installed):
    """Return the folder of nnU-Net's own trainers."""
    folder = installed.folder / "nnunetv2" / "training" / "nnUNetTrainer"
    folder.mkdir(parents=True)
    return folder


def test_trainer_is_read_and_not_imported(trainers, context_of):
    """The file of the wanted trainer is found by its text, with what its methods take and hand on."""
    (trainers / "variants").mkdir()
    (trainers / "variants" / "mine.py").write_text(TRAINER, encoding="utf-8")

    values = interpreter.look(context_of(trainer="MyTrainer", quick=True)).values

    expected = {
        "nnunet.trainer_named": True,
        "nnunet.trainer_outside": False,
        "nnunet.trainer_file": str(trainers / "variants" / "mine.py"),
        "nnunet.trainer_takes": ("plans", "configuration", "fold", "dataset_json", "unpack_dataset", "device"),
        "nnunet.trainer_hands_on": True,
        "nnunet.network_takes": ("plans_manager", "dataset_json", "configuration_manager", "*args", "deep", "**kwargs"),
    }
    assert {name: values[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("from elsewhere import MyTrainer\n", True),
        ("class MyTrainer2: pass\n", False),
        ("class MyTrainer(:\n", True),
        ("", False),
    ],
)
def test_trainer_that_is_only_named(trainers, context_of, text, named):
    """A file that only imports the class is enough for nnU-Net to find it; a longer name is another class."""
    (trainers / "mine.py").write_text(text, encoding="utf-8")

    values = interpreter.look(context_of(trainer="MyTrainer", quick=True)).values

    assert (values["nnunet.trainer_named"], values["nnunet.trainer_takes"]) == (named, None)


@pytest.mark.usefixtures("trainers")
def test_trainer_in_a_folder_of_the_users(context_of, tmp_path):
    """A trainer in nnUNet_extTrainer is told apart from those of the installation."""
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mine.py").write_text("class MyTrainer:\n    pass\n", encoding="utf-8")
    environ = {"nnUNet_extTrainer": os.pathsep.join([str(tmp_path / "gone"), str(tmp_path / "own")])}

    values = interpreter.look(context_of(environ, trainer="MyTrainer", quick=True)).values

    assert (values["nnunet.trainer_named"], values["nnunet.trainer_outside"]) == (False, True)
    assert values["nnunet.trainer_file"] == str(tmp_path / "own" / "mine.py")


@pytest.mark.usefixtures("installed")
def test_default_trainer_is_not_searched(context_of):
    """nnUNetTrainer itself needs no search, and no fact tells of one."""
    values = interpreter.look(context_of(quick=True)).values

    names = ("trainer_named", "trainer_outside", "trainer_file", "trainer_takes", "trainer_hands_on", "network_takes")
    assert {values[f"nnunet.{name}"] for name in names} == {None}
