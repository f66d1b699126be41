"""What is learnt by trying: success, errors, crashes and hangs of each trial, and that nothing of it is left behind."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from made_up import clean_environ, distribution, gone, write
from shared import CHECKS

from nnunet_doctor.engine import diagnose
from nnunet_doctor.examination import read_facts
from nnunet_doctor.facts import CATALOGUE, Detail, Facts, Unknown
from nnunet_doctor.facts.derive import derive
from nnunet_doctor.plan import plan
from nnunet_doctor.probes import look as look_module
from nnunet_doctor.probes import trial, trial_child
from nnunet_doctor.probes.dataset import NoSuchDatasetError

TORCH = """
import os, signal, time

class Some:
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self
    def __call__(self, *arguments, **options): return self
    def __float__(self): return 1048576.0
    def __eq__(self, other): return self
    def __hash__(self): return 1
    def __iter__(self): return iter((self,))
    def __enter__(self): return self
    def __exit__(self, *error): return None
    def share_memory_(self):
        WORKER
        return self

class Layers(Some):
    def __getattr__(self, name):
        if name == "InstanceNorm3d":
            CONVOLUTION
        return Some.__getattr__(self, name)

def device(name):
    DEVICE
    return name

def compile(network):
    COMPILE
    return network

def ones(*shape, **options): return Some()
def set_num_threads(number): IMPORT
randn = randint = autocast = isfinite = Some()
nn = Layers()
"""
"""Torch as far as the trials need it; a word in capitals is where a test breaks it."""

PLACES = ("WORKER", "CONVOLUTION", "DEVICE", "COMPILE", "IMPORT")
ERRORS = ("device_error", "worker_error", "convolution_error", "compile_error")
BREAKS = 'raise RuntimeError("out of luck\\n\\nadvice that nobody needs")'
HANGS = "time.sleep(60)"
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


def broken_torch(**breaks: str) -> str:
    """Return the code of a torch that breaks in these places."""
    code = TORCH
    for place in PLACES:
        code = code.replace(place, breaks.get(place, "pass"))
    return code


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, str]:
    """The three folders of nnU-Net."""
    made = {name: tmp_path / "data" / name for name in trial.FOLDERS}
    for folder in made.values():
        folder.mkdir(parents=True)
    return {name: str(folder) for name, folder in made.items()}


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files, of the doctor and of its children; its name is short, as names of sockets are."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


@pytest.fixture
def tried(context_of: Any, packages: Any, folders: dict[str, str], temporary: Path, tmp_path: Path) -> Any:
    """Return a maker of the facts that are learnt with a torch that breaks; it sees that nothing is left behind."""

    def make(timeout: float = 20.0, seen: dict[str, Any] | None = None, **breaks: str) -> dict[str, Any]:
        folder = packages.torch(broken_torch(**breaks))
        (folder / "multiprocessing.py").write_text("from multiprocessing import *\n", encoding="utf-8")
        values = {
            "torch.installed": True,
            "torch.importable": True,
            "training.device": "cpu",
            "training.compiles": True,
            "triton.cache": str(temporary),
        }
        values |= {f"paths.{name}": path for name, path in folders.items()}
        values |= {f"paths.{name}_kind": "folder" for name in folders}
        words = {"TMPDIR": str(temporary), "PYTHONDONTWRITEBYTECODE": "1"}
        context = dataclasses.replace(context_of(words, timeout=timeout), deep=True)
        notes = trial.look(context, lambda: Facts(values | (seen or {})))

        assert [path for place in (temporary, tmp_path / "data") for path in place.rglob("*") if path.is_file()] == []
        assert list(temporary.iterdir()) == []
        assert psutil.Process().children(recursive=True) == []
        return {name.partition(".")[2]: value for name, value in notes.values.items()}

    return make


def test_all_trials_of_a_machine_that_works(tried: Any) -> None:
    """Every trial comes to a verdict, none of them to an error, and what takes time is timed."""
    facts = tried()

    assert facts["tried"] == ("raw", "preprocessed", "results", "device", "worker", "convolution", "compile")
    assert [facts[name] for name in ERRORS] == [None] * 4
    assert (facts["device"], facts["folders_error"]) == ("cpu", ())
    numbers = [name for name in facts if name.endswith(("_seconds", "_mib_s"))]
    assert len(numbers) == 6
    assert [name for name in numbers if not isinstance(facts[name], float)] == []


def test_nothing_is_tried_unless_asked(context_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --deep no child is started, and no fact is unknown: trials do not apply."""
    monkeypatch.setattr(trial.processes, "run", None)
    notes = trial.look(context_of())

    assert notes.values == dict.fromkeys(name for name in CATALOGUE if name.startswith("trial."))


def test_not_compiling_is_not_tried(tried: Any) -> None:
    """Where nnU-Net does not compile, a torch.compile that fails is nobody's business."""
    facts = tried(seen={"training.compiles": False}, COMPILE=BREAKS)

    assert "compile" not in facts["tried"]
    assert (facts["compile_error"], facts["compile_seconds"]) == (None, None)


@pytest.mark.parametrize("place", ["CONVOLUTION", "COMPILE", "WORKER"])
def test_an_error_is_kept_with_its_words(tried: Any, place: str) -> None:
    """An exception is the fact, in its own first line; the other trials are not touched by it."""
    facts = tried(**{place: BREAKS})

    name = f"{place.lower()}_error"
    where = "RuntimeError: in the worker process: " if place == "WORKER" else ""
    assert facts[name] == f"{where}RuntimeError: out of luck"
    assert [facts[other] for other in ERRORS if other != name] == [None] * 3
    assert facts[f"{place.lower()}_seconds"] is None


def test_device_that_fails_is_not_asked_further(tried: Any) -> None:
    """What stands on the device is unknown, with the device's error as reason; worker and folders are tried."""
    facts = tried(DEVICE=BREAKS)

    unknown = Unknown("the trial of the device failed: RuntimeError: out of luck")
    assert facts["device_error"] == "RuntimeError: out of luck"
    assert [facts[name] for name in ("convolution_error", "compile_error", "compile_seconds")] == [unknown] * 3
    assert facts["tried"] == ("raw", "preprocessed", "results", "device", "worker")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("os._exit(3)", "the interpreter ended with exit code 3"),
        pytest.param("os.kill(os.getpid(), signal.SIGSEGV)", "the interpreter ended with signal SIGSEGV", marks=POSIX),
        pytest.param(
            "print('Illegal something', flush=True); os.abort()",
            "the interpreter ended with signal SIGABRT: Illegal something",
            marks=POSIX,
        ),
    ],
)
def test_a_crash_costs_one_trial(tried: Any, code: str, words: str) -> None:
    """A trial that brings the interpreter down is told by how it ended; those after it run in another one."""
    facts = tried(CONVOLUTION=code)

    assert facts["convolution_error"] == words
    assert (facts["worker_error"], facts["compile_error"]) == (None, None)
    assert isinstance(facts["compile_seconds"], float)


@pytest.mark.parametrize(
    "code",
    [
        HANGS,
        pytest.param("import ctypes; ctypes.PyDLL(None).sleep(60)", marks=POSIX, id="holding the interpreter's lock"),
    ],
)
def test_a_hang_ends_at_its_deadline(tried: Any, code: str) -> None:
    """A trial that hangs is ended after its share of the time, with the place where it hung; the others run."""
    begun = time.monotonic()
    facts = tried(timeout=1.8, CONVOLUTION=code)

    assert facts["convolution_error"] == "no end after 0.6 s (in __getattr__, __init__.py)"
    assert (facts["worker_error"], facts["compile_error"]) == (None, None)
    assert time.monotonic() - begun < 3.0


def test_slow_compilation_is_no_failure(tried: Any) -> None:
    """A compilation without an end is unknown, because a slow one would look the same and train."""
    facts = tried(timeout=1.5, COMPILE=HANGS)

    assert facts["compile_error"] == Unknown("no end after 1 s (in compile, __init__.py); --timeout gives it more time")


def test_all_trials_together_have_one_deadline(tried: Any) -> None:
    """However many trials hang, the time of all is bounded, and what had no chance says so."""
    begun = time.monotonic()
    facts = tried(timeout=2.0, WORKER=HANGS, CONVOLUTION=HANGS, COMPILE=HANGS)

    assert time.monotonic() - begun < 4.0
    assert "within 0.6 s" in facts["worker_error"]
    assert isinstance(facts["compile_error"], Unknown)


@pytest.mark.parametrize("method", ["spawn", pytest.param("forkserver", marks=POSIX)])
def test_worker_may_be_started_anew(tried: Any, packages: Any, method: str) -> None:
    """Where processes are not forked, as on Windows, on macOS and since Python 3.14, the worker hands its batch over."""
    write(
        packages.folder / "sitecustomize.py", f"import multiprocessing\nmultiprocessing.set_start_method({method!r})\n"
    )
    facts = tried()

    assert facts["worker_error"] is None
    assert isinstance(facts["worker_seconds"], float)


@POSIX
def test_killed_worker_is_told_by_its_signal(tried: Any) -> None:
    """A worker that the system kills, as for want of memory, is named with the signal, at once."""
    begun = time.monotonic()
    facts = tried(WORKER="os.kill(os.getpid(), signal.SIGKILL)")

    assert facts["worker_error"] == "RuntimeError: the worker process ended with signal SIGKILL"
    assert time.monotonic() - begun < 5.0


def test_hanging_worker_is_ended(tried: Any, tmp_path: Path) -> None:
    """A worker that hands nothing over is given up and killed."""
    file = tmp_path / "pid"
    facts = tried(timeout=2.0, WORKER=f"open({str(file)!r}, 'w').write(str(os.getpid())); {HANGS}")

    assert facts["worker_error"] == "RuntimeError: no batch came from the worker process within 0.6 s"
    assert gone(int(file.read_text(encoding="utf-8")))


@POSIX
def test_worker_does_not_outlive_a_crash(tried: Any, tmp_path: Path) -> None:
    """A worker whose main process dies is ended with it."""
    file = tmp_path / "pid"
    parent = "__import__('multiprocessing').parent_process().pid"
    code = f"open({str(file)!r}, 'w').write(str(os.getpid())); os.kill({parent}, signal.SIGKILL); {HANGS}"
    facts = tried(WORKER=code)

    assert facts["worker_error"] == "the interpreter ended with signal SIGKILL"
    assert gone(int(file.read_text(encoding="utf-8")))


def test_without_torch_the_folders_are_tried(tried: Any) -> None:
    """Without torch its trials do not apply, since another check says that it is missing; folders need none."""
    facts = tried(seen={"torch.installed": False})

    assert facts["tried"] == ("raw", "preprocessed", "results")
    assert [facts[name] for name in ("device", *ERRORS)] == [None] * 5
    assert facts["folders_error"] == ()


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        ({"torch.importable": False}, "torch cannot be imported"),
        ({"torch.importable": Unknown("no end after 60 s")}, "no end after 60 s"),
        ({"training.device": Unknown("torch was not asked")}, "torch was not asked"),
    ],
)
def test_unusable_torch_leaves_its_trials_unknown(tried: Any, seen: dict[str, Any], reason: str) -> None:
    """Where torch does not answer nothing is tried with it, and the reason is that of torch."""
    facts = tried(seen=seen)

    assert [facts[name] for name in ERRORS] == [Unknown(reason)] * 4
    assert facts["tried"] == ("raw", "preprocessed", "results")


def test_torch_that_fails_only_now(tried: Any) -> None:
    """An import that worked before and fails in the trial leaves the trials unknown."""
    facts = tried(IMPORT=BREAKS)

    assert facts["convolution_error"] == Unknown("torch cannot be imported: RuntimeError: out of luck")


DENIED = """
import os
real = os.open
def opens(path, *arguments, **options):
    if "results" in str(path).split(os.sep)[-2:]:
        raise PermissionError(13, "Permission denied", str(path))
    return real(path, *arguments, **options)
os.open = opens
"""
FULL = """
import os
def fsync(number): raise OSError(28, "No space left on device")
os.fsync = fsync
"""
UNREADABLE = """
import mmap
class mmap_of_nothing:
    def __init__(self, *arguments, **options): pass
    def read(self, size): return b""
    def close(self): pass
mmap.mmap = mmap_of_nothing
"""


@pytest.mark.parametrize(
    ("code", "failing", "words"),
    [
        (DENIED, ["nnUNet_results"], "PermissionError: [Errno 13] Permission denied"),
        (FULL, ["nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"], "OSError: [Errno 28] No space left on device"),
        (UNREADABLE, ["nnUNet_preprocessed"], "OSError: what is read is not what was written"),
    ],
    ids=["no permission", "full disk", "what is mapped is not what was written"],
)
def test_folders_that_fail(tried: Any, packages: Any, code: str, failing: list[str], words: str) -> None:
    """Each folder that does not take a file is listed with the error, and the speed of the others is known."""
    write(packages.folder / "sitecustomize.py", code)
    facts = tried()

    assert [item.subject for item in facts["folders_error"]] == failing
    assert all(item.message.startswith(words) for item in facts["folders_error"])
    assert (facts["results_write_mib_s"] is None) is ("nnUNet_results" in failing)
    assert facts["device_error"] is None


@pytest.mark.parametrize(
    "seen",
    [
        {"paths.raw": None, "paths.raw_kind": None},
        {"paths.raw_kind": "missing"},
        {"paths.raw_writable": False},
        {"paths.raw_free_gib": 0.0},
    ],
    ids=["unset", "missing", "read-only", "full"],
)
def test_folders_that_others_condemn_are_left_alone(tried: Any, seen: dict[str, Any]) -> None:
    """What other checks say already is not said twice, raw data may be read-only, and a full disk is not filled."""
    facts = tried(seen={"torch.installed": False, **seen})

    assert facts["tried"] == ("preprocessed", "results")
    assert (facts["folders_error"], facts["raw_write_mib_s"]) == ((), None)


def test_planned_batch_is_moved_if_it_is_of_bearable_size() -> None:
    """The batch that is moved is that of the plan; a huge or unknown one is replaced by the usual one."""
    plans = {"preprocessed.batch_size": 2, "preprocessed.channels": 4, "preprocessed.patch_size": (64, 80)}

    assert trial._batch(Facts(plans)) == (2, 4, 64, 80)
    assert trial._batch(Facts(plans | {"preprocessed.patch_size": (512, 512, 512)})) == trial.USUAL_BATCH
    assert trial._batch(Facts()) == trial.USUAL_BATCH


def test_words_are_those_of_the_innermost_error() -> None:
    """Of a chain of errors and pages of advice, the one line that says what is wrong is kept."""
    inner = RuntimeError(
        "C++ compile error\n\nCommand:\ng++ main.cpp\n\nOutput:\nmain.cpp:1: fatal error: Python.h: no"
    )
    outer = RuntimeError("backend='inductor' raised")
    outer.inner_exception = inner  # type: ignore[attr-defined]

    assert trial_child.words(outer) == "RuntimeError: C++ compile error: main.cpp:1: fatal error: Python.h: no"
    assert trial_child.words(ValueError("a\x1b[31mb\nc")) == "ValueError: a[31mb"


@pytest.mark.parametrize(
    ("words", "id"),
    [
        ("RuntimeError: Cannot find a working triton installation. Either the package", "triton-missing"),
        ("RuntimeError: Failed to find C compiler. Please specify via CC environment variable", "compile-no-c-compiler"),
        ("InvalidCxxCompiler: No working C++ compiler found in torch._inductor.config.cpp.cxx: (None, 'g++')", "compile-no-cpp-compiler"),
        ("AssertionError: libcuda.so cannot found!", "compile-libcuda-missing"),
        ("CalledProcessError: command failed: main.c:9:10: fatal error: Python.h: No such file or directory", "python-headers-missing"),
        ("AcceleratorError: CUDA error: no kernel image is available for execution on the device", "gpu-without-kernels"),
        ("RuntimeError: The NVIDIA driver on your system is too old (found version 11040)", "driver-too-old"),
        ("OSError: [Errno 28] No space left on device", None),
        ("RuntimeError: in the worker process: RuntimeError: unable to write to file </torch_7_1_0>: No space", "shm-too-small"),
    ],
)  # fmt: skip
def test_words_are_those_of_the_signatures(words: str, id: str | None) -> None:
    """What a trial keeps of an error is what the signatures of logs recognise, so that it leads to the same check."""
    found = {check.id for check in CHECKS if any(re.search(pattern, words) for pattern in check.log_cause)}

    assert id is None or id in found


MACHINES = Path(__file__).parents[1] / "machines"


def healthy(**changes: Any) -> Facts:
    """Return the facts of a machine without a problem, with some changed."""
    facts = read_facts(MACHINES / "linux-cuda-healthy.json", {})
    return derive(facts.with_values({name.replace("__", "."): value for name, value in changes.items()}))


def test_failed_compilation_turns_it_off() -> None:
    """The plan of a machine where the trial of torch.compile fails is proven safe without it."""
    facts = healthy(trial__device="cuda", trial__compile_error="RuntimeError: Failed to find C compiler")
    planned = plan(facts, CHECKS)

    assert diagnose(facts, CHECKS).ids == {"trial-compile-fails"}
    assert planned.env == {"nnUNet_compile": "false"}
    assert planned.is_safe


def test_known_cause_explains_the_failed_trial() -> None:
    """A trial that fails for a reason that the facts tell is folded under that reason."""
    facts = healthy(
        trial__device="cuda",
        trial__compile_error="RuntimeError: Cannot find a working triton installation.",
        triton__importable=False,
    )
    causes = {finding.check.id: finding.explained_by for finding in diagnose(facts, CHECKS).findings}

    assert causes["trial-compile-fails"] == "triton-missing"


def test_failed_worker_leaves_the_batches_to_the_main_process() -> None:
    """The plan of a machine where no worker can hand over a batch trains without workers."""
    planned = plan(healthy(trial__worker_error="RuntimeError: the worker process ended with signal SIGBUS"), CHECKS)

    assert planned.env == {"nnUNet_n_proc_DA": "0"}
    assert planned.is_safe


@pytest.mark.parametrize(
    ("changes", "id"),
    [
        ({"trial__device": "cuda", "trial__device_error": "RuntimeError: out of luck"}, "trial-device-fails"),
        ({"trial__device": "cuda", "trial__convolution_error": "RuntimeError: no luck"}, "trial-convolution-fails"),
        ({"trial__folders_error": (Detail("nnUNet_results", "OSError: quota"),)}, "trial-folder-fails"),
    ],
)
def test_failed_trial_blocks_a_training(changes: dict[str, Any], id: str) -> None:
    """What no setting mends keeps a training from starting."""
    planned = plan(healthy(**changes), CHECKS)

    assert {finding.check.id for finding in planned.diagnosis.blocking} == {id}


def test_trial_is_made_when_one_of_its_facts_is_asked(context_of: Any, packages: Any, temporary: Path) -> None:
    """A look at one trial alone starts those probes, too, that decide what is to be tried."""
    folder = packages.torch(broken_torch(CONVOLUTION=BREAKS))
    (folder / "multiprocessing.py").write_text("from multiprocessing import *\n", encoding="utf-8")
    packages.distribution("nnunetv2", "2.8.1", ["torch>=2.1.2"])
    context = dataclasses.replace(context_of({"TMPDIR": str(temporary)}, device="cpu"), deep=True)

    facts = look_module.look(context, {"trial.convolution_error"})

    assert facts["trial.convolution_error"] == "RuntimeError: out of luck"
    assert (facts["trial.compile_error"], facts["resources.cpus"]) == (None, Unknown("not asked for"))


def test_slip_of_the_pen_is_told_before_the_trials(context_of: Any, packages: Any) -> None:
    """A dataset that does not exist is refused at once, whatever hangs in the trials."""
    packages.torch(broken_torch(DEVICE=HANGS))
    context = dataclasses.replace(context_of(device="cpu", dataset="colon"), deep=True)

    begun = time.monotonic()
    with pytest.raises(NoSuchDatasetError):
        look_module.look(context)

    assert time.monotonic() - begun < 5.0


def test_report_shows_the_words_of_the_error(installation: Any) -> None:
    """`check --deep` fails on what only a trial can find, with the error in the title; without --deep it passes."""
    site = Path(installation.environ["PYTHONPATH"])
    text = (site / "torch" / "__init__.py").read_text(encoding="utf-8")
    write(site / "torch" / "__init__.py", text + broken_torch(CONVOLUTION=BREAKS))
    write(site / "torch" / "multiprocessing.py", "from multiprocessing import *\n")
    words = ("check", "--device", "cpu", "--select", "device", "--format", "json")

    deep, usual = installation.doctor(*words, "--deep"), installation.doctor(*words)

    assert (deep.returncode, usual.returncode) == (1, 0), deep.stderr
    titles = {finding["id"]: finding["title"] for finding in json.loads(deep.stdout)["findings"]}
    assert titles["trial-convolution-fails"] == "A training step on cpu fails: RuntimeError: out of luck"
    assert [item for item in json.loads(usual.stdout)["unknown"] if item["id"].startswith("trial")] == []


@POSIX
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_trial_leaves_nothing(installation: Any, temporary: Path, number: int) -> None:
    """Ctrl-C in the middle of a trial ends doctor, child and worker, and no file stays."""
    site, file = Path(installation.environ["PYTHONPATH"]), installation.path("pid")
    text = (site / "torch" / "__init__.py").read_text(encoding="utf-8")
    pids = "(os.getpid(), os.getppid(), __import__('multiprocessing').parent_process().pid)"
    hangs = f"open({str(file)!r}, 'w').write('%d %d %d' % {pids}); {HANGS}"
    write(site / "torch" / "__init__.py", text + broken_torch(WORKER=hangs))
    write(site / "torch" / "multiprocessing.py", "from multiprocessing import *\n")
    command = [sys.executable, "-m", "nnunet_doctor", "check", "--deep", "--device", "cpu"]
    environ = {**installation.environ, "TMPDIR": str(temporary)}
    doctor = subprocess.Popen(command, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 20
    while not (file.exists() and file.stat().st_size) and time.monotonic() < until:
        time.sleep(0.05)
    doctor.send_signal(number)

    assert doctor.wait(10) == (130 if number == signal.SIGINT else 128 + number)
    assert [gone(int(pid)) for pid in file.read_text(encoding="utf-8").split()] == [True] * 3
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(("version", "compiles"), [(None, False), ("2.4.2", True)])
def test_real_trials_on_the_cpu(tmp_path: Path, version: str | None, compiles: bool) -> None:
    """With the real torch `check --deep` ends in a minute and all trials succeed; only old releases compile on the CPU."""
    pytest.importorskip("torch")
    site = tmp_path / "site"
    site.mkdir()
    if version:
        distribution(site, "nnunetv2", version)
    folders = {f"nnUNet_{name}": str(tmp_path / name) for name in trial.FOLDERS}
    for folder in folders.values():
        Path(folder).mkdir()
    environ = {**clean_environ(), **folders, "PYTHONPATH": f"{site}{os.pathsep}{Path(__file__).parents[2]}"}
    command = [sys.executable, "-m", "nnunet_doctor", "facts", "--deep", "--device", "cpu"]

    begun = time.monotonic()
    done = subprocess.run(command, env=environ, capture_output=True, encoding="utf-8", check=True, cwd=tmp_path)
    seconds = time.monotonic() - begun

    facts = json.loads(done.stdout)["facts"]
    assert [facts[f"trial.{name}"] for name in ERRORS] == [None] * 4
    assert facts["trial.folders_error"] == []
    wanted = ["raw", "preprocessed", "results", "device", "worker", "convolution"] + ["compile"] * compiles
    assert facts["trial.tried"] == wanted
    assert seconds < 60
    assert [path for folder in folders.values() for path in Path(folder).iterdir()] == []
